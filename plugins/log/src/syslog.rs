//! The syslog daemon's socket: RFC 3164, section 4.1, in the form of the local
//! socket, which has no host name.

use std::{
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::Zoned;
use rustix::{
    io::Errno,
    net::{SendFlags, SocketType, send},
};

use crate::{LogError, line, socket};

/// A connection to the daemon.
pub(crate) struct Syslog {
    path: PathBuf,
    socket: OwnedFd,
    socket_type: SocketType,
    record: Vec<u8>,
}

/// Facility mail, 2, and severity info, 6.
const PRIORITY: u32 = 2 * 8 + 6;

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
        Ok(Syslog { path: path.to_owned(), socket, socket_type, record: Vec::new() })
    }

    pub(crate) fn write(&mut self, payload: &[u8], deadline: Instant) -> Result<(), LogError> {
        let time = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        self.record.clear();
        write!(self.record, "<{PRIORITY}>{time} fantail[{}]: ", std::process::id())
            .expect("invariant: a vector takes all");
        line::append(&mut self.record, payload);
        if self.socket_type == SocketType::STREAM {
            self.record.push(0);
        }
        self.send(deadline)
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
