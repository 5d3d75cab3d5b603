//! The host's log: `fantail_sdk::log::warn!("...")` and its siblings.
//!
//! These are the macros of the [`log`](https://docs.rs/log) crate; what a
//! plugin (or a library it uses) logs by that crate reaches the host's log under
//! the plugin's name. The host has its own limits on how often it writes.

use std::sync::OnceLock;

use crate::abi::{HostTableRef, RStr};

pub use ::log::{debug, error, info, trace, warn};

struct HostLog {
    host: OnceLock<(HostTableRef, RStr<'static>)>,
}

static HOST_LOG: HostLog = HostLog { host: OnceLock::new() };

/// Connects the `log` crate of this library with the host. The first host stays;
/// a second call (by a test runner) changes nothing.
pub(crate) fn install(host: HostTableRef, plugin: RStr<'static>) {
    if HOST_LOG.host.set((host, plugin)).is_ok() && ::log::set_logger(&HOST_LOG).is_ok() {
        ::log::set_max_level(::log::LevelFilter::Trace);
    }
}

impl ::log::Log for HostLog {
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        // Asked every time, for the host's level can change; nothing is written
        // out for a line that the host does not want.
        self.host.get().is_some_and(|(host, _)| metadata.level() as u32 <= host.log_level_max()())
    }

    fn log(&self, record: &::log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if let Some((host, plugin)) = self.host.get() {
            let text = record.args().to_string();
            host.log()(*plugin, record.level() as u32, RStr::from_str(&text));
        }
    }

    fn flush(&self) {}
}
