//! `input` blocks to typed inputs.

use std::path::PathBuf;

use super::reader::{Reader, Section};
use super::settings::{
    Assumed, HttpConfig, InputConfig, InputDriver, InputFormat, OpenEventsConfig, Socket,
};
use super::source::Placed;
use super::table::{BlockKind, INPUT_DRIVERS, Kind};
use super::text::Text;
use super::tree::BlockId;

/// Reads one `input` block; `None` when it cannot be one.
pub(super) fn read(reader: &mut Reader<'_>, id: BlockId) -> Option<InputConfig> {
    let section = Section { id, kind: BlockKind::Input };
    let name = reader.name(section);
    let written = reader.is_written(section, "driver");
    let Some(driver) = reader.choice(section, "driver") else {
        if !written {
            reader.missing(section, "driver");
        }
        reader.refuse_unknown(section, "", |name| BlockKind::Input.setting(name).is_some(), &[]);
        return None;
    };
    let driver = INPUT_DRIVERS[driver.value];
    reader.refuse_unknown(section, driver, |_| false, &[]);
    let line_limit = reader.size(section, "line_limit");
    let driver = match driver {
        "stats-writer" => InputDriver::StatsWriter {
            socket: socket(reader, section)?,
            max_connections: reader.count(section, "max_connections"),
            open_events: open_events(reader, section),
        },
        "unix" => InputDriver::Unix {
            socket: socket(reader, section)?,
            max_connections: reader.count(section, "max_connections"),
            format: format(reader, section, false)?,
        },
        "tcp" => InputDriver::Tcp {
            address: address(reader, section)?,
            max_connections: reader.count(section, "max_connections"),
            format: format(reader, section, false)?,
        },
        "http" => InputDriver::Http(Box::new(http(reader, section)?)),
        "stdin" => InputDriver::Stdin { format: format(reader, section, false)? },
        _ => InputDriver::File {
            paths: paths(reader, section)?,
            format: format(reader, section, true)?,
            open_events: open_events(reader, section),
        },
    };
    Some(InputConfig { name, driver, line_limit })
}

fn http(reader: &mut Reader<'_>, section: Section) -> Option<HttpConfig> {
    let address = address(reader, section)?;
    let format = format(reader, section, false)?;
    let path = reader.text(section, "http_path")?;
    if !path.value.starts_with('/') || path.value.contains(['?', '#', ' ']) {
        let text = Text::standing_for(&path.value, path.place);
        reader.wrong(&text, "is not the path of a URL, which begins with /", Kind::Text);
        return None;
    }
    Some(HttpConfig {
        address,
        max_connections: reader.count(section, "max_connections"),
        format,
        path,
        bearer_token_file: reader.path(section, "http_bearer_token_file"),
        request_max_size: reader.size(section, "http_request_max_size"),
        requests_max_size: reader.size(section, "http_requests_max_size"),
        request_timeout: reader.duration(section, "http_request_timeout").value,
        idle_timeout: reader.duration(section, "http_idle_timeout").value,
        answer_timeout: reader.duration(section, "http_answer_timeout").value,
        cert_file: reader.path(section, "ssl_server_cert_file"),
        key_file: reader.path(section, "ssl_server_key_file"),
        ca_file: reader.path(section, "ssl_server_ca_file"),
    })
}

/// What an input's peers may keep open.
pub(super) fn open_events(reader: &mut Reader<'_>, section: Section) -> OpenEventsConfig {
    OpenEventsConfig {
        max: reader.count(section, "open_events_max"),
        max_size: reader.size(section, "open_events_max_size"),
    }
}

fn paths(reader: &mut Reader<'_>, section: Section) -> Option<Vec<Placed<String>>> {
    let paths = reader.list(section, "path");
    if paths.is_empty() {
        reader.missing(section, "path");
        return None;
    }
    Some(paths)
}

/// The socket of an input or a listener.
pub(super) fn socket(reader: &mut Reader<'_>, section: Section) -> Option<Socket> {
    let mut paths = paths(reader, section)?.into_iter();
    let path = paths.next()?;
    if let Some(second) = paths.next() {
        reader.error(second.place, "a socket has one path", "quote it when it has blanks");
    }
    Some(Socket {
        path: Placed::new(PathBuf::from(path.value), path.place),
        mode: reader.mode(section, "mode"),
        user: reader.text(section, "user"),
        group: reader.text(section, "group"),
        assumed: Assumed::Nothing,
    })
}

fn address(reader: &mut Reader<'_>, section: Section) -> Option<Placed<String>> {
    let Some(address) = reader.text(section, "address") else {
        reader.missing(section, "address");
        return None;
    };
    checked(reader, address)
}

/// The address, if it is a host and a port.
pub(super) fn checked(reader: &mut Reader<'_>, address: Placed<String>) -> Option<Placed<String>> {
    let port = address.value.rsplit_once(':').filter(|(host, _)| {
        // Colons within the host need the brackets of an IPv6 address.
        !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'))
    });
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        let text = Text::standing_for(&address.value, address.place);
        reader.wrong(&text, "is not HOST:PORT", Kind::Text);
        return None;
    }
    Some(address)
}

fn format(reader: &mut Reader<'_>, section: Section, recordings: bool) -> Option<InputFormat> {
    let format = reader.choice(section, "format")?;
    Some(match format.value {
        0 => InputFormat::Auto,
        1 => InputFormat::Json,
        2 => InputFormat::TabText,
        _ if recordings => InputFormat::StatsWriter,
        _ => {
            reader.error(
                format.place,
                "the format `stats-writer` is for files",
                "for sockets there is `driver = stats-writer`",
            );
            return None;
        }
    })
}
