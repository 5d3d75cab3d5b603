//! A UNIX socket that never waits longer than it is told.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send,
        socket_with,
    },
};

/// A connected socket.
pub(crate) struct Connection(OwnedFd);

/// Why there is no connection.
pub(crate) enum ConnectError {
    /// The system says no.
    System(Errno),
    /// The peer's backlog stayed full for this long.
    Timeout(Duration),
}

/// Why the peer did not get all bytes.
pub(crate) enum WriteError {
    /// The connection is no more.
    Broken(Errno),
    /// The peer does not read: the connection has taken what it can.
    Timeout,
    /// No socket takes a datagram of this length.
    TooLong,
}

/// The pauses between attempts to connect to a peer whose backlog is full: no
/// event tells when there is room.
const BACKLOG_PAUSE: Duration = Duration::from_millis(2);

impl Connection {
    /// Connects, within `timeout`.
    pub(crate) fn open(
        path: &Path,
        socket_type: SocketType,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + timeout;
        let address = SocketAddrUnix::new(path).map_err(ConnectError::System)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, socket_type, flags, None)
            .map_err(ConnectError::System)?;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Ok(Connection(socket)),
                Err(Errno::AGAIN) if Instant::now() >= deadline => {
                    return Err(ConnectError::Timeout(timeout));
                }
                Err(Errno::AGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    std::thread::sleep(left.min(BACKLOG_PAUSE));
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(ConnectError::System(errno)),
            }
        }
    }

    /// Whether the peer has closed its end.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut socket = [PollFd::new(&self.0, PollFlags::empty())];
        let polled = poll(&mut socket, Some(&Timespec::default()));
        polled.is_ok_and(|ready| ready > 0)
            && socket[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Writes the bytes from `written` on, and moves that on. Returns at the deadline
    /// at the latest.
    pub(crate) fn write(
        &self,
        bytes: &[u8],
        written: &mut usize,
        deadline: Instant,
    ) -> Result<(), WriteError> {
        while *written < bytes.len() {
            match send(&self.0, &bytes[*written..], SendFlags::NOSIGNAL) {
                Ok(count) => *written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(deadline)?,
                Err(errno) => return Err(WriteError::Broken(errno)),
            }
        }
        Ok(())
    }

    /// Sends a datagram, by the deadline.
    pub(crate) fn send(&self, datagram: &[u8], deadline: Instant) -> Result<(), WriteError> {
        loop {
            match send(&self.0, datagram, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(deadline)?,
                Err(Errno::MSGSIZE) => return Err(WriteError::TooLong),
                Err(errno) => return Err(WriteError::Broken(errno)),
            }
        }
    }

    /// Waits until the socket takes more bytes.
    fn wait(&self, deadline: Instant) -> Result<(), WriteError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(WriteError::Timeout);
        }
        let left = Timespec::try_from(left).map_err(|_| WriteError::Timeout)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(WriteError::Broken(errno)),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::System(errno) => io::Error::from(*errno).fmt(f),
            ConnectError::Timeout(timeout) => {
                write!(f, "its backlog stayed full for {} ms", timeout.as_millis())
            }
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Broken(errno) => io::Error::from(*errno).fmt(f),
            WriteError::Timeout => f.write_str("the peer does not read"),
            WriteError::TooLong => f.write_str("it is too long"),
        }
    }
}
