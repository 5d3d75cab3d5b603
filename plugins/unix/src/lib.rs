//! The driver `unix`: sends each payload and a line feed over a UNIX stream socket, or each payload
//! as a datagram.
//!
//! The driver connects when a batch comes and there is no connection. A payload
//! counts as delivered when the socket has taken it whole, line feed
//! included; what a peer leaves unread in its socket when it goes is lost, as
//! a stream has no way to tell.
//!
//! * A connection that breaks in the middle of a payload: the whole payload is sent
//!   again over the next one. The peer sees a piece without a line feed, then the end.
//! * A peer that does not read: after `unix_write_timeout` the rest of the batch is
//!   left to the host. The connection stays, and goes on at the byte it has come to
//!   when the host sends that payload again.
//! * A peer that closed or restarted between batches is noticed before a batch is
//!   sent, and connected to anew.
//!
//! A datagram arrives whole or not at all. Delivered are those that the peer's socket has taken; one
//! that is too long for it is given up.

#![deny(unsafe_code)]

mod connection;

use std::{path::PathBuf, time::Instant};

use fantail_sdk::{Batch, Driver, DriverContext, Millis, PluginError, SendError, export_driver};

use connection::{Connection, WriteError};

fantail_sdk::settings! {
    /// Where to and how patiently.
    pub struct Settings {
        /// The socket to connect to, a path of 107 bytes at most. No default.
        #[schemars(extend("x-aliases" = ["event_exporter_unix_path", "transport_args"]))]
        unix_path: PathBuf,
        /// How long to wait for a connection while the peer's backlog is full, 1 ms to 1 h.
        /// Default: 250 ms.
        #[serde(default = "connect_timeout")]
        #[schemars(extend(
            "minimum" = 1, "maximum" = TIMEOUT_MAX.0,
            "x-aliases" = ["event_exporter_unix_connect_timeout", "transport_timeout"]
        ))]
        unix_connect_timeout: Millis,
        /// How long the peer may take to accept a batch, 1 ms to 1 h. The rest of the batch
        /// is sent later over the same connection. Default: 1 s.
        #[serde(default = "write_timeout")]
        #[schemars(extend("minimum" = 1, "maximum" = TIMEOUT_MAX.0))]
        unix_write_timeout: Millis,
        /// What the socket is: `stream`, for lines, or `datagram`, for payloads without a
        /// line feed. Default: stream.
        #[serde(default)]
        unix_socket_type: SocketType,
    }
}

fantail_sdk::settings! {
    /// What a socket is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum SocketType {
        /// Lines over a connection.
        #[default]
        Stream,
        /// A datagram for each payload.
        Datagram,
    }
}

const TIMEOUT_MIN: Millis = Millis(1);
const TIMEOUT_MAX: Millis = Millis(3_600_000);

fn connect_timeout() -> Millis {
    Millis(250)
}

fn write_timeout() -> Millis {
    Millis(1000)
}

/// Sends to one socket.
pub struct Unix {
    settings: Settings,
    connection: Option<Connection>,
    lines: Vec<u8>,
    begun: Option<Begun>,
}

/// A payload that the connection has taken a part of.
struct Begun {
    line: Vec<u8>,
    sent: usize,
}

/// The room for lines that is kept from batch to batch, in bytes.
const LINES_KEPT_MAX: usize = 1 << 20;

impl Unix {
    /// A connection that is good for this batch: the one there is, or a new one.
    fn connect(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let first = batch.payloads().next();
        let other_line = |begun: &Begun| begun.line.strip_suffix(b"\n") != first;
        // The host has given the begun payload up: the peer must not take the next
        // one for the rest of it.
        let unusable = self.begun.as_ref().is_some_and(other_line)
            || self.connection.as_ref().is_some_and(Connection::is_hung_up);
        if unusable {
            self.disconnect();
        }
        if self.connection.is_none() {
            let timeout = self.settings.unix_connect_timeout.duration();
            let socket_type = match self.settings.unix_socket_type {
                SocketType::Stream => rustix::net::SocketType::STREAM,
                SocketType::Datagram => rustix::net::SocketType::DGRAM,
            };
            let connected = Connection::open(&self.settings.unix_path, socket_type, timeout);
            self.connection = Some(connected.map_err(|error| self.retry("connect to", error))?);
        }
        Ok(())
    }

    fn send_datagrams(&mut self, batch: &Batch<'_>, deadline: Instant) -> Result<(), SendError> {
        let connection = self.connection.as_ref().expect("invariant: connected before");
        let mut result = Ok(());
        for (index, payload) in batch.payloads().enumerate() {
            match connection.send(payload, deadline) {
                Ok(()) => batch.delivered(index),
                Err(WriteError::TooLong) => {
                    let len = payload.len();
                    batch.give_up(index, format!("{len} bytes are too long for a datagram"));
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        result.map_err(|error| self.failed(error))
    }

    /// What the host is told of an error; a connection that is no more is forgotten.
    fn failed(&mut self, error: WriteError) -> SendError {
        if let WriteError::Broken(_) = error {
            self.disconnect();
        }
        self.retry("write to", error)
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.begun = None;
    }

    fn retry(&self, what: &str, error: impl std::fmt::Display) -> SendError {
        SendError::retry(format_args!(
            "can't {what} {}: {error}",
            self.settings.unix_path.display()
        ))
    }

    /// Marks what has been delivered when the lines were taken up to `written`, and
    /// remembers the line that was begun.
    fn mark(&mut self, batch: &Batch<'_>, written: usize) {
        let mut start = 0;
        for (index, payload) in batch.payloads().enumerate() {
            let end = start + payload.len() + 1;
            if end > written {
                batch.delivered_until(index);
                self.begun = (written > start).then(|| Begun {
                    line: self.lines[start..end].to_vec(),
                    sent: written - start,
                });
                return;
            }
            start = end;
        }
        self.begun = None;
    }
}

impl Driver for Unix {
    type Settings = Settings;

    fn open(settings: Settings, _context: &DriverContext) -> Result<Self, PluginError> {
        if settings.unix_path.as_os_str().is_empty() {
            return Err(PluginError::new("unix_path is empty"));
        }
        let timeouts = [settings.unix_connect_timeout, settings.unix_write_timeout];
        if !timeouts.iter().all(|timeout| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(timeout)) {
            return Err(PluginError::new(
                "unix_connect_timeout and unix_write_timeout must be 1 ms to 1 h",
            ));
        }
        Ok(Unix { settings, connection: None, lines: Vec::new(), begun: None })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        self.connect(batch)?;
        let deadline = Instant::now() + self.settings.unix_write_timeout.duration();
        if self.settings.unix_socket_type == SocketType::Datagram {
            return self.send_datagrams(batch, deadline);
        }
        self.lines.clear();
        self.lines.shrink_to(LINES_KEPT_MAX);
        for payload in batch.payloads() {
            self.lines.extend_from_slice(payload);
            self.lines.push(b'\n');
        }
        let mut written = self.begun.as_ref().map_or(0, |begun| begun.sent);
        let connection = self.connection.as_ref().expect("invariant: connected above");
        let result = connection.write(&self.lines, &mut written, deadline);
        self.mark(batch, written);
        result.map_err(|error| self.failed(error))
    }

    fn reopen(&mut self) -> Result<(), SendError> {
        self.disconnect();
        Ok(())
    }
}

export_driver!(Unix, "unix");

#[cfg(test)]
mod tests;
