//! The functions behind the tables: from raw views to the authors' traits.
//!
//! Every one of them catches a panic inside the plugin: one that left an
//! `extern "C"` function would end the host.

use std::panic::{catch_unwind, AssertUnwindSafe};

use abi_stable::{
    library::{CheckTypeLayout, LibHeader},
    prefix_type::PrefixTypeTrait,
    std_types::{RErr, ROk, ROption, RResult, RStr, RString},
};
use serde::de::DeserializeOwned;

use super::{
    format_status, send_status, DriverTable, DriverTableRef, FormatTable, FormatTableRef,
    HostTableRef, Instance, PluginTable, PluginTableRef, RawBatch, RawBuffer, RawEvent, RawSent,
};
use crate::{label, settings, Batch, Buffer, Driver, Event, Format, PluginError, SendError};

pub use abi_stable::library::RootModuleResult as RootResult;

/// The table of a plugin; leaked, for it is asked for once in a library's life.
pub fn plugin_table(
    name: &'static str,
    version: &'static str,
    description: &'static str,
    format: Option<FormatTableRef>,
    driver: Option<DriverTableRef>,
) -> PluginTableRef {
    PluginTable {
        sdk_version: RStr::from_str(super::SDK_VERSION),
        name: RStr::from_str(name),
        version: RStr::from_str(version),
        description: RStr::from_str(description),
        start: start_plugin,
        format: ROption::from(format),
        driver: ROption::from(driver),
    }
    .leak_into_prefix()
}

/// Runs a library's constructor for the loader.
pub fn start(constructor: fn() -> PluginTableRef) -> RootResult {
    abi_stable::library::__call_root_module_loader(constructor)
}

/// The static by which the loader finds a plugin.
pub const fn header(constructor: extern "C" fn() -> RootResult) -> LibHeader {
    // SAFETY: a constructor is written by the export macros only, as a call of
    // `start` above, which returns an erased `PluginTableRef` as is promised here.
    unsafe { LibHeader::from_constructor::<PluginTableRef>(constructor, CheckTypeLayout::Yes) }
}

extern "C" fn start_plugin(host: HostTableRef, plugin: RStr<'static>) {
    crate::log::install(host, plugin);
}

/// The table of the format `F`.
pub fn format_table<F: Format>() -> FormatTableRef {
    FormatTable {
        schema: schema::<F::Settings>,
        open: open_format::<F>,
        content_type: content_type::<F>,
        format: format::<F>,
        close: close::<F>,
    }
    .leak_into_prefix()
}

/// The table of the driver `D`.
pub fn driver_table<D: Driver>() -> DriverTableRef {
    DriverTable {
        schema: schema::<D::Settings>,
        field_length_max: D::FIELD_LENGTH_MAX.map_or(0, |length| length as u64),
        open: open_driver::<D>,
        send: send::<D>,
        flush: flush::<D>,
        reopen: reopen::<D>,
        close: close::<D>,
        wants: wants::<D>,
    }
    .leak_into_prefix()
}

extern "C" fn schema<S: crate::Settings>() -> RString {
    caught(settings::schema::<S>).unwrap_or_default().into()
}

extern "C" fn open_format<F: Format>(
    settings: RStr<'_>,
    context: RStr<'_>,
) -> RResult<Instance, RString> {
    open(settings, context, F::open)
}

extern "C" fn open_driver<D: Driver>(
    settings: RStr<'_>,
    context: RStr<'_>,
) -> RResult<Instance, RString> {
    open(settings, context, D::open)
}

fn open<T, S: DeserializeOwned, C: DeserializeOwned>(
    settings: RStr<'_>,
    context: RStr<'_>,
    make: impl FnOnce(S, &C) -> Result<T, PluginError>,
) -> RResult<Instance, RString> {
    let made = caught(|| {
        let settings = serde_json::from_str(settings.as_str())
            .map_err(|error| format!("the settings can't be read: {error}"))?;
        let context = serde_json::from_str(context.as_str())
            .map_err(|error| format!("the context can't be read: {error}"))?;
        make(settings, &context).map_err(|error| error.to_string())
    });
    match made {
        Ok(Ok(instance)) => ROk(Box::into_raw(Box::new(instance)).cast()),
        Ok(Err(message)) | Err(message) => RErr(message.into()),
    }
}

/// # Safety
///
/// `instance` must come from [`open`] for the same `T`, must not have been
/// closed, and no other thread may use it during the call.
unsafe fn instance_mut<'a, T>(instance: Instance) -> &'a mut T {
    // SAFETY: by the contract it is a live `Box<T>` that this call has alone.
    unsafe { &mut *instance.cast::<T>() }
}

/// # Safety
///
/// As for [`instance_mut`], which every entry of a table passes on to its caller.
unsafe extern "C" fn content_type<F: Format>(instance: Instance) -> RString {
    // SAFETY: this function's contract.
    let format = unsafe { instance_mut::<F>(instance) };
    caught(|| RString::from(format.content_type()))
        .unwrap_or_else(|_| RString::from("application/octet-stream"))
}

/// # Safety
///
/// As for [`instance_mut`].
unsafe extern "C" fn format<F: Format>(
    instance: Instance,
    event: &RawEvent<'_>,
    out: &mut RawBuffer,
) -> u32 {
    // SAFETY: this function's contract.
    let format = unsafe { instance_mut::<F>(instance) };
    let start = out.len();
    let done = caught(|| format.format(&Event::new(event), &mut Buffer::new(out)));
    let (status, message) = match done {
        Ok(Ok(())) => return format_status::DONE,
        Ok(Err(error)) => (format_status::FAILED, error.to_string()),
        Err(message) => (format_status::PANICKED, message),
    };
    out.truncate(start);
    out.extend(message.as_bytes());
    status
}

/// # Safety
///
/// As for [`instance_mut`].
unsafe extern "C" fn wants<D: Driver>(instance: Instance) -> RString {
    // SAFETY: this function's contract.
    let driver = unsafe { instance_mut::<D>(instance) };
    caught(|| label::to_json(&driver.wants())).unwrap_or_default().into()
}

/// # Safety
///
/// As for [`instance_mut`].
unsafe extern "C" fn send<D: Driver>(instance: Instance, raw: &mut RawBatch<'_>) -> RawSent {
    // SAFETY: this function's contract.
    let driver = unsafe { instance_mut::<D>(instance) };
    let batch = Batch::new(raw);
    let sent = caught(|| driver.send(&batch));
    let given_up = batch.take_given_up();
    match &sent {
        Ok(Ok(())) => batch.rest_delivered(),
        Ok(Err(SendError::Retry { .. } | SendError::Stop { .. })) | Err(_) => {}
    }
    let mut answer = outcome(sent);
    answer.given_up = given_up.into();
    answer
}

/// # Safety
///
/// As for [`instance_mut`].
unsafe extern "C" fn flush<D: Driver>(instance: Instance) -> RawSent {
    // SAFETY: this function's contract.
    let driver = unsafe { instance_mut::<D>(instance) };
    outcome(caught(|| driver.flush()))
}

/// # Safety
///
/// As for [`instance_mut`].
unsafe extern "C" fn reopen<D: Driver>(instance: Instance) -> RawSent {
    // SAFETY: this function's contract.
    let driver = unsafe { instance_mut::<D>(instance) };
    outcome(caught(|| driver.reopen()))
}

/// # Safety
///
/// As for [`instance_mut`]; the instance must not be used afterwards.
unsafe extern "C" fn close<T>(instance: Instance) {
    // SAFETY: by the contract it is a live `Box<T>` that nobody uses any more.
    let instance = unsafe { Box::from_raw(instance.cast::<T>()) };
    // A panic while the instance is dropped is caught like any other; the
    // panic hook has written it to the log.
    let _ = caught(|| drop(instance));
}

fn outcome(result: Result<Result<(), SendError>, String>) -> RawSent {
    match result {
        Ok(Ok(())) => RawSent::done(),
        Ok(Err(SendError::Retry { reason, after })) => {
            let mut sent = RawSent::with_status(send_status::RETRY, reason);
            if let Some(after) = after {
                sent.retry_after_millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX - 1);
            }
            sent
        }
        Ok(Err(SendError::Stop { reason })) => RawSent::with_status(send_status::STOP, reason),
        Err(message) => RawSent::with_status(send_status::PANICKED, message),
    }
}

/// Calls the author's code; a panic becomes its message.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        let message = format!("panicked: {said}");
        // Dropping what was thrown could throw again, and nobody would catch that.
        std::mem::forget(panic);
        message
    })
}
