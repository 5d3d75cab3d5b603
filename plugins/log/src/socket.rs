//! UNIX sockets of logs: never waited for longer than a batch may.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use crate::LogError;

/// Connects without waiting.
pub(crate) fn open(path: &Path, socket_type: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, socket_type, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Calls `write` until it is done, waiting for `fd` in between as long as
/// it would block.
pub(crate) fn write_when_ready<T>(
    fd: impl AsFd,
    deadline: Instant,
    mut write: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    loop {
        match write() {
            Err(Errno::AGAIN) => wait(fd.as_fd(), deadline)?,
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Waits until `fd` can be written to; `AGAIN` if it can't at the deadline.
pub(crate) fn wait(fd: impl AsFd, deadline: Instant) -> Result<(), Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&left)) {
            Ok(0) => return Err(Errno::AGAIN),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What to do about an error of a socket at `path`.
pub(crate) fn error(what: &str, path: &Path, errno: Errno) -> LogError {
    let reason = |text: &dyn std::fmt::Display| format!("can't {what} {}: {text}", path.display());
    match errno {
        Errno::AGAIN => LogError::Wait(reason(&"the log does not read")),
        other => LogError::Lost(reason(&io::Error::from(other))),
    }
}
