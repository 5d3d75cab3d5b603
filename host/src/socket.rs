//! Listening sockets: UNIX sockets and TCP ports, opened so that nobody else's
//! is harmed. What goes wrong is said with the path or address, and what to do.

use std::{
    fmt::Display,
    fs, io,
    net::{TcpListener, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, connect,
        socket_with,
    },
};

/// The longest path of a UNIX socket in bytes: unix(7), with its final NUL 108.
const UNIX_PATH_MAX: usize = 107;

/// How many connections the kernel keeps until they are accepted: as many as the system
/// allows (`net.core.somaxconn`), for a mail server's processes may all come at once.
const BACKLOG: i32 = i32::MAX;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A UNIX stream socket: its path, mode, owner and group.
    Unix(PathBuf, u32, Option<u32>, Option<u32>),
    /// A TCP address: `host:port`.
    Tcp(String),
}

/// An open listening socket.
#[derive(Debug)]
pub struct Socket {
    /// Removed when this is dropped, before the socket is closed: a successor must not
    /// find it free and then lose its own.
    file: Option<SocketFile>,
    listener: Listener,
    is_shared: bool,
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The file of a UNIX socket that we made.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// It is not removed when this is dropped.
    stays: bool,
}

impl Endpoint {
    /// A TCP address as configurations have it: `*` is every address, of both families.
    pub fn tcp(address: &str) -> Self {
        Endpoint::Tcp(address.replacen("*:", "[::]:", 1))
    }

    /// Whether both are the same path or address, whatever the rights.
    pub fn is_same_place(&self, other: &Endpoint) -> bool {
        match (self, other) {
            (Endpoint::Unix(path, ..), Endpoint::Unix(other, ..)) => path == other,
            (Endpoint::Tcp(address), Endpoint::Tcp(other)) => address == other,
            (Endpoint::Unix(..), Endpoint::Tcp(_)) | (Endpoint::Tcp(_), Endpoint::Unix(..)) => {
                false
            }
        }
    }

    /// Gives a socket that is open already the mode, owner and group.
    ///
    /// # Errors
    ///
    /// When the system does not allow it, or the socket's file is gone.
    pub fn apply_rights(&self) -> io::Result<()> {
        let Endpoint::Unix(path, mode, user, group) = self else { return Ok(()) };
        fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
        std::os::unix::fs::lchown(path, *user, *group)
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When somebody else listens there, or the path or address can't be had: what
    /// the error says names it, and what to do.
    pub fn open(&self) -> io::Result<Socket> {
        match self {
            Endpoint::Unix(path, mode, user, group) => open_unix(path, *mode, *user, *group),
            Endpoint::Tcp(address) => open_tcp(address),
        }
    }
}

/// An error of the same kind that says what was done, and what to do instead.
fn explain(error: &io::Error, doing: impl Display, remedy: &str) -> io::Error {
    let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    io::Error::new(error.kind(), format!("{doing}: {error}{remedy}"))
}

fn open_unix(path: &Path, mode: u32, user: Option<u32>, group: Option<u32>) -> io::Result<Socket> {
    let shown = path.display();
    let length = path.as_os_str().len();
    if length > UNIX_PATH_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "can't listen on {shown}: the path has {length} bytes, and a socket's can have \
                 {UNIX_PATH_MAX} at most; choose a shorter one"
            ),
        ));
    }
    remove_stale(path)?;
    let listen_error = |error: &io::Error| {
        explain(error, format_args!("can't listen on {shown}"), unix_remedy(error.kind()))
    };
    let listener = bind_unix(path, mode).map_err(|error| listen_error(&error))?;
    let status = fs::symlink_metadata(path).map_err(|error| listen_error(&error))?;
    let file =
        SocketFile { path: path.to_owned(), identity: (status.dev(), status.ino()), stays: false };
    if user.is_some() || group.is_some() {
        // Of the socket itself: a link that somebody put there is not followed.
        std::os::unix::fs::lchown(path, user, group).map_err(|error| {
            let id = |id: Option<u32>| id.map_or_else(|| "-".into(), |id| id.to_string());
            let doing = format!("can't give {shown} to user {} and group {}", id(user), id(group));
            let remedy = "run as root, or leave out `user`, and name a `group` that the host's \
                          user is in";
            explain(&error, doing, remedy)
        })?;
    }
    rustix::net::listen(&listener, BACKLOG).map_err(|error| listen_error(&error.into()))?;
    Ok(Socket { file: Some(file), listener: Listener::Unix(listener), is_shared: false })
}

/// A socket that is bound, and does not listen yet: nobody can connect before it has
/// the owners it is to have.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // On Linux the file gets the mode that the socket has, less the umask (bind(2) makes
    // an inode of the socket's mode). So it is never wider than it is to be; the umask
    // itself is the process's, and other threads may be making files.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(UnixListener::from(socket))
}

/// What to do when a UNIX socket can't be made.
fn unix_remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "make its directory first, or choose another path",
        io::ErrorKind::NotADirectory => "what should be its directory is none; choose another path",
        io::ErrorKind::PermissionDenied => {
            "let the host's user write to its directory, or choose another path"
        }
        io::ErrorKind::ReadOnlyFilesystem => "choose a path that can be written to",
        io::ErrorKind::AddrInUse => "stop who has it, or choose another path",
        _ => "",
    }
}

/// Removes a socket that nobody listens on any more. Anything else in its place
/// is not ours to remove.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(status) = fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    let taken = |kind, reason: &str| {
        Err(io::Error::new(kind, format!("can't listen on {shown}: {reason}")))
    };
    if !status.file_type().is_socket() {
        let reason = "it exists and is no socket; remove it, or choose another path";
        return taken(io::ErrorKind::AlreadyExists, reason);
    }
    let doing = format!("can't find out whether somebody listens on {shown}");
    // Without waiting: somebody who listens and does not accept is somebody.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|probe| Ok(connect(&probe, &SocketAddrUnix::new(path)?)));
    match probe.map_err(|error| explain(&error.into(), &doing, ""))? {
        Ok(()) | Err(Errno::AGAIN) => {
            let reason = "somebody listens there already; stop that, or choose another path";
            taken(io::ErrorKind::AddrInUse, reason)
        }
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|error| {
            let doing = format!("can't remove {shown}, on which nobody listens any more");
            explain(&error, doing, unix_remedy(error.kind()))
        }),
        Err(error) => {
            let remedy = "remove it if nobody does, or choose another path";
            Err(explain(&error.into(), doing, remedy))
        }
    }
}

fn open_tcp(address: &str) -> io::Result<Socket> {
    let found = address.to_socket_addrs().map_err(|error| {
        explain(&error, format_args!("the address of {address}"), "write its number instead")
    })?;
    let mut last_error = None;
    for address in found {
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                let listener = Listener::Tcp(listener);
                return Ok(Socket { file: None, listener, is_shared: false });
            }
            Err(error) => {
                let doing = format_args!("can't listen on {address}");
                last_error = Some(explain(&error, doing, tcp_remedy(error.kind())));
            }
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    Err(last_error.unwrap_or_else(none))
}

/// What to do when a TCP address can't be had.
fn tcp_remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "stop who has it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "it is no address of this machine",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another one"
        }
        _ => "",
    }
}

impl Socket {
    /// A socket that somebody else has open as well, and that listens already.
    pub fn shared_unix(listener: UnixListener) -> Self {
        Socket { file: None, listener: Listener::Unix(listener), is_shared: true }
    }

    /// The same, of TCP.
    pub fn shared_tcp(listener: TcpListener) -> Self {
        Socket { file: None, listener: Listener::Tcp(listener), is_shared: true }
    }

    /// The same socket, which somebody else has now, too: its file stays.
    pub fn into_shared(mut self) -> Self {
        if let Some(file) = &mut self.file {
            file.stays = true;
        }
        Socket { is_shared: true, ..self }
    }

    /// Whether it stays open when this is dropped: then who connects waits for a successor
    /// of ours.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The address that was really opened, for messages and for port 0.
    pub fn address(&self) -> String {
        match &self.listener {
            Listener::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "?".into(), |path| path.display().to_string())
            }
            Listener::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
            }
        }
    }

    /// Accepts a connection: its socket, non-blocking, and its peer's name in messages.
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] when nobody waits; others as accept(2) has them.
    pub fn accept(&self) -> Result<(OwnedFd, String), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, address) = acceptfrom_with(self.as_fd(), flags)?;
        let peer = match self.listener {
            Listener::Tcp(_) => {
                match address.and_then(|any| std::net::SocketAddr::try_from(any).ok()) {
                    Some(address) => address.to_string(),
                    None => "?".into(),
                }
            }
            Listener::Unix(_) => match rustix::net::sockopt::socket_peercred(&socket) {
                Ok(peer) => format!("process {}", peer.pid.as_raw_nonzero()),
                Err(_) => "?".into(),
            },
        };
        Ok((socket, peer))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.listener {
            Listener::Unix(listener) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // A successor may have put its own socket there meanwhile.
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|status| (status.dev(), status.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, os::unix::net::UnixListener, path::Path};

    use super::{Endpoint, UNIX_PATH_MAX};

    #[test]
    fn an_error_names_its_path_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let check = |path: &Path, owner: Option<u32>, reason: &str, remedy: &str| {
            let endpoint = Endpoint::Unix(path.to_owned(), 0o600, owner, None);
            let said = endpoint.open().unwrap_err().to_string();
            for part in [path.to_str().unwrap(), reason, remedy] {
                assert!(said.contains(part), "`{part}` in: {said}");
            }
        };
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        let _taken = UnixListener::bind(at("taken")).unwrap();
        let long = at(&"x".repeat(UNIX_PATH_MAX));
        check(&long, None, "can have 107 at most", "choose a shorter one");
        check(&at("file"), None, "exists and is no socket", "remove it");
        check(&at("taken"), None, "listens there already", "stop that");
        check(&at("missing/socket"), None, "can't listen on", "make its directory first");
        check(&at("file/socket"), None, "can't listen on", "choose another path");
        if !rustix::process::geteuid().is_root() {
            check(&at("root's"), Some(0), "can't give", "run as root");
        }
        // One byte less than too long is no error of length.
        let longest = UNIX_PATH_MAX - dir.path().as_os_str().len() - 1;
        assert!(Endpoint::Unix(at(&"x".repeat(longest)), 0o600, None, None).open().is_ok());
    }

    #[test]
    fn an_error_names_its_address_and_what_to_do() {
        let taking = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taking.local_addr().unwrap().to_string();
        let check = |address: &str, remedy: &str| {
            let said = Endpoint::Tcp(address.to_owned()).open().unwrap_err().to_string();
            assert!(said.contains(address) && said.contains(remedy), "{said}");
        };
        check(&taken, "choose another port");
        // A network that is for documentation only: RFC 5737.
        check("192.0.2.1:9", "no address of this machine");
    }
}
