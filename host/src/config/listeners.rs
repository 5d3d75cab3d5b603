//! `listener` blocks to typed listeners.

use super::inputs::{checked, socket};
use super::reader::{Reader, Section};
use super::settings::{ListenerConfig, ListenerDriver, OpenMetricsCompat};
use super::table::{BlockKind, LISTENER_DRIVERS};
use super::tree::BlockId;

/// Reads one `listener` block; `None` when it cannot be one.
pub(super) fn read(reader: &mut Reader<'_>, id: BlockId) -> Option<ListenerConfig> {
    let section = Section { id, kind: BlockKind::Listener };
    let name = reader.name(section);
    let written = reader.is_written(section, "driver");
    let Some(driver) = reader.choice(section, "driver") else {
        if !written {
            reader.missing(section, "driver");
        }
        let is_known = |name: &str| BlockKind::Listener.setting(name).is_some();
        reader.refuse_unknown(section, "", is_known, &[]);
        return None;
    };
    let driver = LISTENER_DRIVERS[driver.value];
    reader.refuse_unknown(section, driver, |_| false, &[]);
    let driver = match driver {
        "stats-reader" => ListenerDriver::StatsReader { socket: socket(reader, section)? },
        _ => http(reader, section)?,
    };
    Some(ListenerConfig { name, driver })
}

fn http(reader: &mut Reader<'_>, section: Section) -> Option<ListenerDriver> {
    let written = reader.list(section, "listen");
    if written.is_empty() {
        reader.missing(section, "listen");
        return None;
    }
    let mut addresses = Vec::new();
    for address in written {
        addresses.push(checked(reader, address)?);
    }
    let compat = match reader.choice(section, "openmetrics_compat")?.value {
        0 => OpenMetricsCompat::Off,
        _ => OpenMetricsCompat::Dovecot,
    };
    Some(ListenerDriver::Http { addresses, compat })
}
