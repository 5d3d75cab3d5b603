//! Tables of functions, and what they return.

use abi_stable::{
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{ROption, RResult, RStr, RString, RVec},
    StableAbi,
};

use super::{RawBatch, RawBuffer, RawEvent};

/// A format's or a driver's instance: a pointer that only the plugin looks behind.
pub type Instance = *mut ();

/// What [`FormatTable::format`] returns.
pub mod format_status {
    /// The payload was appended.
    pub const DONE: u32 = 0;
    /// The event can't be written: what was appended is the reason, in UTF-8.
    pub const FAILED: u32 = 1;
    /// The format panicked: what was appended is the message. The instance is unusable.
    pub const PANICKED: u32 = 2;
}

/// What [`RawSent::status`] says.
pub mod send_status {
    /// Every payload was delivered or given up.
    pub const DONE: u32 = 0;
    /// The payloads that are pending can be sent again, after a pause.
    pub const RETRY: u32 = 1;
    /// The driver can't go on with this instance.
    pub const STOP: u32 = 2;
    /// The driver panicked. The instance is unusable.
    pub const PANICKED: u32 = 3;
}

/// A payload that a driver has given up.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawGivenUp {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Why.
    pub reason: RString,
}

/// What became of a call of [`DriverTable::send`], [`flush`](DriverTable::flush) or
/// [`reopen`](DriverTable::reopen).
#[repr(C)]
#[derive(StableAbi)]
pub struct RawSent {
    /// One of [`send_status`].
    pub status: u32,
    /// The least pause before the next attempt that the peer asked for, in
    /// milliseconds; `u64::MAX` if it asked for none.
    pub retry_after_millis: u64,
    /// What went wrong; empty when nothing did.
    pub message: RString,
    /// The payloads given up in this call, with their reasons.
    pub given_up: RVec<RawGivenUp>,
}

/// What a plugin may call in the host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTableRef)))]
#[sabi(missing_field(option))]
pub struct HostTable {
    /// The most detailed level that the host's log takes now: 0 for none, else as
    /// for `log`. Callable from any thread, and cheap.
    pub log_level_max: extern "C" fn() -> u32,
    /// Writes a line to the host's log: the plugin's name, the level (1 error,
    /// 2 warning, 3 info, 4 debug, 5 trace) and the text. Callable from any thread.
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(plugin: RStr<'_>, level: u32, text: RStr<'_>),
}

/// A format plugin's functions.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = FormatTableRef)))]
#[sabi(missing_field(option))]
pub struct FormatTable {
    /// The JSON Schema of the settings.
    pub schema: extern "C" fn() -> RString,
    /// Makes an instance from its settings and context (both JSON), or says why not.
    pub open: extern "C" fn(settings: RStr<'_>, context: RStr<'_>) -> RResult<Instance, RString>,
    /// The payloads' MIME type.
    pub content_type: unsafe extern "C" fn(instance: Instance) -> RString,
    /// Appends one event's payload; returns one of [`format_status`].
    pub format:
        unsafe extern "C" fn(instance: Instance, event: &RawEvent<'_>, out: &mut RawBuffer) -> u32,
    /// Ends the instance; the pointer is dead afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(instance: Instance),
}

/// A driver plugin's functions.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = DriverTableRef)))]
#[sabi(missing_field(option))]
pub struct DriverTable {
    /// The JSON Schema of the settings.
    pub schema: extern "C" fn() -> RString,
    /// The longest field value that the driver wants, in bytes; 0 for no limit.
    pub field_length_max: u64,
    /// Makes an instance from its settings and context (both JSON), or says why not.
    pub open: extern "C" fn(settings: RStr<'_>, context: RStr<'_>) -> RResult<Instance, RString>,
    /// Delivers a batch.
    pub send: unsafe extern "C" fn(instance: Instance, batch: &mut RawBatch<'_>) -> RawSent,
    /// Brings everything that was taken to its end.
    pub flush: unsafe extern "C" fn(instance: Instance) -> RawSent,
    /// Opens files and connections anew.
    pub reopen: unsafe extern "C" fn(instance: Instance) -> RawSent,
    /// Ends the instance; the pointer is dead afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(instance: Instance),
    /// The [`LabelPart`](crate::LabelPart)s that the driver wants, a JSON array.
    /// Without this entry: none.
    pub wants: unsafe extern "C" fn(instance: Instance) -> RString,
}

/// A plugin library's root: who it is and what it can do.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginTableRef)))]
#[sabi(missing_field(option))]
pub struct PluginTable {
    /// The version of the SDK that it was built with.
    pub sdk_version: RStr<'static>,
    /// The name by which configurations call it.
    pub name: RStr<'static>,
    /// The plugin's own version.
    pub version: RStr<'static>,
    /// One line on what it does.
    pub description: RStr<'static>,
    /// Called once, before anything else: the host's table, which lives until exit.
    pub start: extern "C" fn(host: HostTableRef, plugin: RStr<'static>),
    /// Its format, if it has one.
    pub format: ROption<FormatTableRef>,
    /// Its driver, if it has one.
    #[sabi(last_prefix_field)]
    pub driver: ROption<DriverTableRef>,
}

impl RootModule for PluginTableRef {
    abi_stable::declare_root_module_statics! {PluginTableRef}

    const BASE_NAME: &'static str = "fantail_plugin";
    const NAME: &'static str = "fantail_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

impl RawSent {
    /// Everything was done.
    pub fn done() -> Self {
        Self::with_status(send_status::DONE, String::new())
    }

    /// Something else, with a message.
    pub fn with_status(status: u32, message: impl Into<RString>) -> Self {
        RawSent {
            status,
            retry_after_millis: u64::MAX,
            message: message.into(),
            given_up: RVec::new(),
        }
    }
}
