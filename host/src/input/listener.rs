//! The thread that listens: it accepts connections and hands each to the worker
//! that has the fewest.

use std::{
    fs, io,
    net::{TcpListener, ToSocketAddrs},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    fs::Mode,
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, connect,
        socket_with,
    },
};

use super::{
    session::Input,
    worker::{Command, WorkerHandle},
};
use crate::{queue::Wake, telemetry::log::RateLimit};

/// How long accepting rests after the process ran out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

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
pub enum Socket {
    /// A UNIX socket. Its file is removed when this is dropped, before it is closed:
    /// a successor must not find it free and then lose its own.
    Unix(SocketFile, UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// The file of a UNIX socket that we made.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// An input with its socket.
pub struct Listener {
    /// The open socket.
    pub socket: Socket,
    /// Whose connections they are.
    pub input: Arc<Input>,
    /// What is said to every connection first.
    pub greeting: Arc<[u8]>,
}

impl Endpoint {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When somebody else listens there, or the path or address can't be had.
    pub fn open(&self) -> io::Result<Socket> {
        match self {
            Endpoint::Unix(path, mode, user, group) => open_unix(path, *mode, *user, *group),
            Endpoint::Tcp(address) => open_tcp(address),
        }
    }
}

fn open_unix(path: &Path, mode: u32, user: Option<u32>, group: Option<u32>) -> io::Result<Socket> {
    remove_stale(path)?;
    // The mode is right from the first moment: nobody connects in between. (The
    // umask is the process's; no other thread of the host makes files yet.)
    let umask = rustix::process::umask(Mode::from_raw_mode(!mode & 0o777));
    let listener = UnixListener::bind(path);
    rustix::process::umask(umask);
    let listener = listener?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let status = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (status.dev(), status.ino()) };
    if user.is_some() || group.is_some() {
        // Of the socket itself: a link that somebody put there is not followed.
        std::os::unix::fs::lchown(path, user, group)?;
    }
    Ok(Socket::Unix(file, listener))
}

/// Removes a socket that nobody listens on any more. Anything else in its place
/// is not ours to remove.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(status) = fs::symlink_metadata(path) else { return Ok(()) };
    if !status.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "exists and is no socket"));
    }
    // Without waiting: somebody who listens and does not accept is somebody.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&probe, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already"))
        }
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(error) => Err(error.into()),
    }
}

fn open_tcp(address: &str) -> io::Result<Socket> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return Ok(Socket::Tcp(listener));
            }
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

impl Socket {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Socket::Unix(_, listener) => listener.as_fd(),
            Socket::Tcp(listener) => listener.as_fd(),
        }
    }

    /// The address that was really opened, for messages and for port 0.
    pub fn address(&self) -> String {
        match self {
            Socket::Unix(file, _) => file.path.display().to_string(),
            Socket::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
            }
        }
    }

    /// Accepts a connection: its socket and its peer's name in messages.
    fn accept(&self) -> Result<(OwnedFd, String), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, address) = acceptfrom_with(self.fd(), flags)?;
        let peer = match self {
            Socket::Tcp(_) => {
                match address.and_then(|any| std::net::SocketAddr::try_from(any).ok()) {
                    Some(address) => address.to_string(),
                    None => "?".into(),
                }
            }
            Socket::Unix(..) => match rustix::net::sockopt::socket_peercred(&socket) {
                Ok(peer) => format!("process {}", peer.pid.as_raw_nonzero()),
                Err(_) => "?".into(),
            },
        };
        Ok((socket, peer))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own socket there meanwhile.
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|status| (status.dev(), status.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The running thread.
pub struct ListenerThread {
    stop: Wake,
    thread: thread::JoinHandle<()>,
}

impl ListenerThread {
    /// Starts to accept connections for `workers`.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor or thread left.
    pub fn start(listeners: Vec<Listener>, workers: Vec<WorkerHandle>) -> io::Result<Self> {
        let stop = Wake::new()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &stop, EventData::new_u64(u64::MAX), EventFlags::IN)?;
        for (index, listener) in listeners.iter().enumerate() {
            let data = EventData::new_u64(index as u64);
            epoll::add(&epoll, listener.socket.fd(), data, EventFlags::IN)?;
        }
        let thread = thread::Builder::new()
            .name("listener".into())
            .spawn(move || listen(&epoll, &listeners, &workers))?;
        Ok(ListenerThread { stop, thread })
    }

    /// Stops to listen: the sockets are closed and their files removed when this
    /// returns.
    pub fn stop(self) {
        self.stop.wake();
        let _ = self.thread.join();
    }
}

fn listen(epoll: &OwnedFd, listeners: &[Listener], workers: &[WorkerHandle]) {
    let mut ready: Vec<Event> = Vec::with_capacity(64);
    let trouble = RateLimit::new(Duration::from_secs(60));
    loop {
        ready.clear();
        match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                log::error!("waiting for new connections failed: {error}");
                return;
            }
        }
        for event in &ready {
            let Some(listener) = listeners.get(event.data.u64() as usize) else {
                // Told to stop. Who has connected before that is heard.
                for listener in listeners {
                    let _ = accept_all(listener, workers);
                }
                return;
            };
            if let Err(error) = accept_all(listener, workers) {
                if trouble.pass(Instant::now()).is_some() {
                    let name = &listener.input.name;
                    log::error!("input {name}: a connection could not be accepted: {error}");
                }
                thread::sleep(EXHAUSTED_PAUSE);
            }
        }
    }
}

fn accept_all(listener: &Listener, workers: &[WorkerHandle]) -> Result<(), Errno> {
    loop {
        let (socket, peer) = match listener.socket.accept() {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Ok(()),
            // The peer has gone before it was accepted.
            Err(Errno::CONNABORTED | Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) else {
            return Ok(());
        };
        let (input, greeting) = (Arc::clone(&listener.input), Arc::clone(&listener.greeting));
        worker.tell(Command::Adopt(socket, input, peer, greeting));
    }
}
