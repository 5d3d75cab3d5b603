//! The syslog daemon's socket: records of RFC 3164, section 4.1, in the form of the local
//! socket, which has no host name, or of RFC 5424.

use std::{
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Instant,
};

use fantail_sdk::{List, Template};
use jiff::Zoned;
use rustix::{
    io::Errno,
    net::{SendFlags, SocketType, send},
};

use crate::{
    LogError, line, socket,
    style::{self, Style},
};

/// A connection to the daemon.
pub(crate) struct Syslog {
    path: PathBuf,
    socket: OwnedFd,
    socket_type: SocketType,
    record: Vec<u8>,
    value: Vec<u8>,
}

/// The name of the structured data: with the number that RFC 5612 sets aside for those who
/// have none.
const DATA: &str = "fantail@32473";

/// The longest name of a host and of a message's type in RFC 5424.
const HOSTNAME_MAX: usize = 255;
const TYPE_MAX: usize = 32;

impl Syslog {
    /// Connects to a datagram socket or, if it is one, to a stream socket.
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        let mut socket_type = SocketType::DGRAM;
        let mut opened = socket::open(path, socket_type);
        if opened.as_ref().is_err_and(|errno| *errno == Errno::PROTOTYPE) {
            socket_type = SocketType::STREAM;
            opened = socket::open(path, socket_type);
        }
        let socket = opened.map_err(|errno| socket::error("connect to", path, errno))?;
        Ok(Syslog {
            path: path.to_owned(),
            socket,
            socket_type,
            record: Vec::new(),
            value: Vec::new(),
        })
    }

    pub(crate) fn write(
        &mut self,
        payload: &[u8],
        style: &Style,
        label: &List<'_>,
        deadline: Instant,
    ) -> Result<(), LogError> {
        self.record.clear();
        let priority = style.facility * 8 + style.severity(label);
        if style.is_rfc5424 {
            self.begin_rfc5424(priority, style, label);
        } else {
            let time = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
            let (name, process) = (&style.app_name, std::process::id());
            write!(self.record, "<{priority}>{time} {name}[{process}]: ")
                .expect("invariant: a vector takes all");
        }
        line::append(&mut self.record, payload);
        if self.socket_type == SocketType::STREAM {
            self.record.push(0);
        }
        self.send(deadline)
    }

    /// What stands before the payload: header and structured data.
    fn begin_rfc5424(&mut self, priority: u8, style: &Style, label: &List<'_>) {
        let Syslog { record, value, .. } = self;
        match style.time(label) {
            Some(time) => write!(record, "<{priority}>1 {time}"),
            None => write!(record, "<{priority}>1 -"),
        }
        .expect("invariant: a vector takes all");
        name(&style.hostname, label, HOSTNAME_MAX, value, record);
        write!(record, " {} {}", style.app_name, std::process::id())
            .expect("invariant: a vector takes all");
        name(&style.event, label, TYPE_MAX, value, record);
        let empty = record.len();
        for field in &style.fields {
            let value = style::expand(&field.value, label, value);
            if value.is_empty() {
                continue;
            }
            if record.len() == empty {
                write!(record, " [{DATA}").expect("invariant: a vector takes all");
            }
            write!(record, " {}=\"", field.name).expect("invariant: a vector takes all");
            data(value, record);
            record.push(b'"');
        }
        record.extend_from_slice(if record.len() == empty { b" - " } else { b"] " });
    }

    fn send(&self, deadline: Instant) -> Result<(), LogError> {
        let mut sent = 0;
        while sent < self.record.len() {
            let send = || send(&self.socket, &self.record[sent..], SendFlags::NOSIGNAL);
            sent += match socket::write_when_ready(&self.socket, deadline, send) {
                Ok(count) => count,
                Err(Errno::MSGSIZE) => {
                    let reason = format!("{} bytes are too long for syslog", self.record.len());
                    return Err(LogError::GiveUp(reason));
                }
                // A daemon can't find the next record after a piece of one.
                Err(Errno::AGAIN) if sent > 0 => {
                    return Err(LogError::Lost(format!("{} does not read", self.path.display())));
                }
                Err(errno) => return Err(socket::error("write to", &self.path, errno)),
            };
        }
        Ok(())
    }
}

/// Appends a space and a name: printable characters of ASCII, at most `max`; `-` when there is none.
fn name(template: &Template, label: &List<'_>, max: usize, value: &mut Vec<u8>, out: &mut Vec<u8>) {
    out.push(b' ');
    let value = style::expand(template, label, value);
    let plain = |byte: &u8| if byte.is_ascii_graphic() { *byte } else { b'_' };
    match value {
        [] => out.push(b'-'),
        value => out.extend(value.iter().take(max).map(plain)),
    }
}

/// Appends a value of structured data with its escapes (RFC 5424, section 6.3.3). It is UTF-8
/// there, so other bytes become U+FFFD; control characters are written as in a payload, since a
/// daemon may end the record at some of them.
fn data(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' | b']' => out.extend([b'\\', byte]),
                _ => line::append(out, &[byte]),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
