//! Descriptors that are known by their numbers only, as every protocol has them that
//! hands some to a process.
//!
//! A number is no descriptor: whoever takes one for his own must be the only one. Here
//! that is asked of the kernel, without `unsafe`: the number is sent through a socket to
//! ourselves, and what arrives is a descriptor of our own (with close-on-exec, so no child
//! has it). Then the number is closed.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags,
        SocketType, getsockname, recvmsg, socketpair, sockopt,
    },
};

/// Where an inherited socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path that a UNIX socket was bound to.
    Unix(PathBuf),
    /// A TCP address.
    Tcp(SocketAddr),
}

/// The socket that descriptors go through. Open it before anything else of the process opens
/// or closes descriptors, or a number might be somebody's.
pub(super) struct Handover {
    here: OwnedFd,
    there: OwnedFd,
}

/// More sockets than anybody passes.
pub(super) const SOCKETS_MAX: usize = 256;

/// Numbers from here on are our own: those below may be somebody's.
const OWN: RawFd = SOCKETS_MAX as RawFd + 16;

impl Handover {
    /// Whatever is opened here gets a number behind those that may have been passed to us: so
    /// none of them is ever one of our own.
    ///
    /// # Errors
    ///
    /// When the process may not have that many descriptors.
    pub(super) fn new() -> io::Result<Self> {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let here = fcntl_dupfd_cloexec(here, OWN)?;
        Ok(Handover { here, there: fcntl_dupfd_cloexec(there, OWN)? })
    }

    /// Takes the descriptor with this number, which is closed then.
    ///
    /// # Errors
    ///
    /// [`Errno::BADF`] when there is none.
    pub(super) fn take(&self, number: RawFd) -> Result<OwnedFd, Errno> {
        let numbers = [number];
        let message = [ControlMessage::ScmRights(&numbers)];
        let (there, data) = (self.there.as_raw_fd(), [IoSlice::new(b"d")]);
        sendmsg::<UnixAddr>(there, &data, &message, MsgFlags::empty(), None)
            .map_err(|error| Errno::from_raw_os_error(error as i32))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut data = [IoSliceMut::new(&mut byte)];
        recvmsg(&self.here, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let taken = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let taken = fcntl_dupfd_cloexec(taken.ok_or(Errno::MFILE)?, OWN)?;
        // The original has no close-on-exec, and would keep a socket open that we close.
        let _ = nix::unistd::close(number);
        Ok(taken)
    }
}

/// Where the socket listens.
///
/// # Errors
///
/// What it is instead, to follow its name in a message: `is no socket`.
pub(super) fn listening_address(descriptor: impl AsFd) -> Result<Address, String> {
    match sockopt::socket_acceptconn(&descriptor) {
        Err(Errno::NOTSOCK) => return Err("is no socket".into()),
        Err(error) => return Err(format!("can't be asked whether it listens: {error}")),
        Ok(false) => return Err("is a socket that does not listen".into()),
        Ok(true) => {}
    }
    if sockopt::socket_type(&descriptor) != Ok(SocketType::STREAM) {
        return Err("is no stream socket".into());
    }
    let address = getsockname(&descriptor).map_err(|error| format!("has no address: {error}"))?;
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Ok(Address::Tcp(address));
    }
    let path = rustix::net::SocketAddrUnix::try_from(address).ok().and_then(|address| {
        let path = address.path_bytes()?.to_owned();
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(&path)))
    });
    path.map(Address::Unix).ok_or_else(|| "is neither a UNIX socket with a path nor TCP".into())
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Unix(path) => path.display().fmt(f),
            Address::Tcp(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        net::{TcpListener, UdpSocket},
        os::{
            fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd},
            unix::net::{UnixListener, UnixStream},
        },
    };

    use super::{Address, Errno, Handover, listening_address};

    #[test]
    fn a_number_becomes_a_descriptor_of_our_own() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let number = other.into_raw_fd();
        // Other tests have descriptors, too: the number can be taken only while it is open.
        let handover = Handover::new().unwrap();
        let taken = handover.take(number).unwrap();
        assert!(taken.as_raw_fd() >= super::OWN);
        let flags = rustix::io::fcntl_getfd(&taken).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        // The number is closed: nobody else holds this end.
        drop(taken);
        assert_eq!(std::io::Read::read(&mut one, &mut [0]).unwrap(), 0);
        assert_eq!(handover.take(1_000_000).unwrap_err(), Errno::BADF);
    }

    #[test]
    fn only_a_listening_stream_socket_has_an_address() {
        let check = |descriptor: OwnedFd, expected: Result<Address, &str>| {
            let found = listening_address(descriptor.as_fd());
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        check(UnixListener::bind(&path).unwrap().into(), Ok(Address::Unix(path)));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        check(tcp.into(), Ok(Address::Tcp(address)));
        check(File::open("/dev/null").unwrap().into(), Err("is no socket"));
        let silent = "is a socket that does not listen";
        check(UnixStream::pair().unwrap().0.into(), Err(silent));
        check(UdpSocket::bind("127.0.0.1:0").unwrap().into(), Err(silent));
    }
}
