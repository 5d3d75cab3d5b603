//! The sockets that somebody else opened for us, or keeps for us, by where they listen.
//!
//! Whoever wants to listen asks here first: a socket that is there already is used as it
//! is. One that somebody else has opened is never bound, and its file is neither given rights nor
//! removed: that is the business of whoever has opened it. One that we have bound is handed to systemd's
//! store, if there is one, and comes back from there at the next start. A place of our own is kept open here for as long as the host
//! runs, so an input that a reload brings back finds its socket again, and peers that
//! connect meanwhile wait.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    descriptor::{Address, listening_address},
    kept,
    systemd::{Manager, State},
};
use crate::socket::{Endpoint, Socket};

/// What an inherited socket is for, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Events of Dovecot's processes.
    Writer,
    /// The stats-reader protocol.
    Reader,
    /// Pages over HTTP.
    Http,
}

/// An inherited socket, for those who look for what it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name, as whoever opened it calls it.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it is for; `None`: only the configuration can tell.
    pub purpose: Option<Purpose>,
}

/// All inherited sockets of the process. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    sockets: Arc<Mutex<Vec<Inheritance>>>,
    manager: Option<Arc<Manager>>,
}

#[derive(Debug)]
struct Inheritance {
    offer: Offer,
    socket: OwnedFd,
    /// Somebody listens on it, or did.
    used: bool,
    /// The name under which systemd keeps it, if we have bound it.
    kept: Option<String>,
}

impl Inherited {
    /// An empty table. What is bound for it is kept by the manager, if that keeps anything.
    pub fn new(manager: Option<Manager>) -> Self {
        Inherited { sockets: Arc::default(), manager: manager.map(Arc::new) }
    }

    /// Takes a socket into the table.
    ///
    /// # Errors
    ///
    /// Why nobody can listen on it, to follow its name in a message: `is no socket`.
    pub(super) fn add(
        &self,
        name: String,
        purpose: impl FnOnce(&Address) -> Option<Purpose>,
        socket: OwnedFd,
    ) -> Result<(), String> {
        let address = listening_address(&socket)?;
        // The open socket has this mode, for everybody who has it. Who waits for several sockets at
        // once must not get stuck in accept(2) when another process was faster.
        rustix::io::ioctl_fionbio(&socket, true).map_err(|error| error.to_string())?;
        let offer = Offer { name, purpose: purpose(&address), address };
        self.sockets().push(Inheritance { offer, socket, used: false, kept: None });
        Ok(())
    }

    /// Takes a socket from systemd into the table. What it is for is told by its file's name; one of
    /// ours was kept for what the configuration says.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub(super) fn add_named(&self, name: &str, socket: OwnedFd) -> Result<(), String> {
        if kept::is_kept(name) {
            return self.add_kept(name, socket);
        }
        let called = match listening_address(&socket)? {
            Address::Unix(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Address::Tcp(_) => None,
        };
        let called = called.unwrap_or_else(|| name.to_owned());
        let purpose = match called.as_str() {
            "stats-writer" => Some(Purpose::Writer),
            "stats-reader" => Some(Purpose::Reader),
            _ => None,
        };
        self.add(called, |_| purpose, socket)
    }

    /// Takes back a socket that was kept for us, unless nobody can reach it any more.
    fn add_kept(&self, name: &str, socket: OwnedFd) -> Result<(), String> {
        let address = listening_address(&socket).ok();
        if address.and_then(|address| kept::name(&address)).as_deref() != Some(name) {
            self.keep_no_longer(name);
            return Err("was kept for us, but its file is gone".into());
        }
        self.add(name.to_owned(), |_| None, socket)?;
        if let Some(added) = self.sockets().last_mut() {
            added.kept = Some(name.to_owned());
        }
        Ok(())
    }

    /// The sockets that there are.
    pub fn offers(&self) -> Vec<Offer> {
        self.sockets().iter().map(|one| one.offer.clone()).collect()
    }

    /// Begins to listen: on the inherited socket, if there is one for this place. Whoever goes on
    /// listening gives a new one to [`keep`](Self::keep).
    ///
    /// # Errors
    ///
    /// As [`Endpoint::open`] has them; when the process has no descriptor left.
    pub fn open(&self, endpoint: &Endpoint) -> io::Result<Socket> {
        let mut sockets = self.sockets();
        let Some(found) = sockets.iter_mut().find(|one| one.offer.address.is_at(endpoint)) else {
            drop(sockets);
            return endpoint.open();
        };
        if found.kept.is_some() {
            endpoint.apply_rights()?;
        }
        let socket = found.socket.try_clone()?;
        found.used = true;
        Ok(match found.offer.address {
            Address::Unix(_) => Socket::shared_unix(socket.into()),
            Address::Tcp(_) => Socket::shared_tcp(socket.into()),
        })
    }

    /// Hands a socket that we have bound to systemd's store, if there is one. If that fails
    /// it is ours alone, as without a store.
    ///
    /// Not before it is certain that we listen there: what is kept stays open, and peers that
    /// nobody accepts wait.
    pub fn keep(&self, socket: Socket) -> Socket {
        let keeper = self.manager.as_ref().filter(|manager| manager.keeps && !socket.is_shared());
        let Some(manager) = keeper else { return socket };
        let stored = || -> io::Result<Inheritance> {
            let address = listening_address(&socket).map_err(io::Error::other)?;
            let name = kept::name(&address).ok_or(io::ErrorKind::NotFound)?;
            manager.store(&name, socket.as_fd())?;
            let offer = Offer { name: name.clone(), address, purpose: None };
            let descriptor = socket.as_fd().try_clone_to_owned()?;
            Ok(Inheritance { offer, socket: descriptor, used: true, kept: Some(name) })
        };
        match stored() {
            Ok(stored) => {
                self.sockets().push(stored);
                socket.into_shared()
            }
            Err(error) => {
                log::warn!("systemd can't keep {} for us: {error}", socket.address());
                socket
            }
        }
    }

    /// Gives the socket of this place, which is open, the mode, owner and group, if it
    /// is one that we have bound.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::apply_rights`].
    pub fn apply_rights(&self, endpoint: &Endpoint) -> io::Result<()> {
        let sockets = self.sockets();
        let found = sockets.iter().find(|one| one.offer.address.is_at(endpoint));
        match found.is_none_or(|found| found.kept.is_some()) {
            true => endpoint.apply_rights(),
            false => Ok(()),
        }
    }

    /// The socket of this place is wanted no longer: if we have bound it, it is closed, its
    /// file removed, and not kept any more.
    pub fn forget(&self, endpoint: &Endpoint) {
        self.forget_those(|one| one.offer.address.is_at(endpoint));
    }

    /// The same for those that nobody has listened on since the start: their inputs are no more.
    pub fn forget_unused(&self) {
        self.forget_those(|one| !one.used);
    }

    fn forget_those(&self, is_meant: impl Fn(&Inheritance) -> bool) {
        self.sockets().retain(|one| {
            let Some(name) = one.kept.as_ref().filter(|_| is_meant(one)) else { return true };
            if let Address::Unix(path) = &one.offer.address
                && kept::name(&one.offer.address).as_ref() == Some(name)
            {
                // What can't be removed is replaced by whoever listens there next.
                let _ = fs::remove_file(path);
            }
            self.keep_no_longer(name);
            false
        });
    }

    fn keep_no_longer(&self, name: &str) {
        if let Some(manager) = &self.manager
            && let Err(error) = manager.remove(name)
        {
            log::warn!("systemd goes on keeping a socket that nobody needs ({name}): {error}");
        }
    }

    /// Tells systemd what we do, if it wants to know.
    pub fn announce(&self, state: State, status: &str) {
        if let Some(manager) = &self.manager {
            manager.announce(state, status);
        }
    }

    /// The sockets that nobody has listened on.
    pub fn unused(&self) -> Vec<Offer> {
        let sockets = self.sockets();
        sockets.iter().filter(|one| !one.used).map(|one| one.offer.clone()).collect()
    }

    /// Gives up all of them: peers that connect from now on wait for whoever else has the
    /// sockets, or are refused if that is nobody.
    pub fn release(&self) {
        self.sockets().clear();
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<Inheritance>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Address {
    /// Whether who wants to listen at `endpoint` gets what he wants by a socket with this
    /// address. Paths are the same when they lead to the same file, by whatever way; and a
    /// socket for all addresses of IPv4 or IPv6 is one for "all addresses".
    pub fn is_at(&self, endpoint: &Endpoint) -> bool {
        match (self, endpoint) {
            (Address::Unix(bound), Endpoint::Unix(path, ..)) => is_same_file(bound, path),
            (Address::Tcp(bound), Endpoint::Tcp(address)) => {
                let all = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), bound.port());
                let is_all = |ip: IpAddr| ip.is_unspecified();
                // Names are looked up once more when they are bound: here it is enough to
                // know whether it is one of ours.
                address.to_socket_addrs().is_ok_and(|mut found| {
                    found.any(|one| one == *bound || one == all && is_all(bound.ip()))
                })
            }
            (Address::Unix(_), Endpoint::Tcp(_)) | (Address::Tcp(_), Endpoint::Unix(..)) => false,
        }
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let status = fs::metadata(path).ok()?;
        Some((status.dev(), status.ino()))
    };
    one == other || identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::unix::net::{UnixListener, UnixStream},
        path::Path,
    };

    use super::{Address, Inherited, Purpose};
    use crate::socket::Endpoint;

    fn unix(path: &Path) -> Endpoint {
        Endpoint::Unix(path.to_owned(), 0o600, None, None)
    }

    #[test]
    fn an_address_is_found_by_whoever_wants_it() {
        let check = |bound: &str, wanted: &str, expected: bool| {
            let address = Address::Tcp(bound.parse().unwrap());
            assert_eq!(address.is_at(&Endpoint::Tcp(wanted.into())), expected, "{bound} {wanted}");
        };
        check("127.0.0.1:9100", "127.0.0.1:9100", true);
        check("127.0.0.1:9100", "127.0.0.1:9101", false);
        check("127.0.0.1:9100", "[::]:9100", false);
        check("[::]:9100", "[::]:9100", true);
        // Dovecot opens two sockets for `listen = *, ::`.
        check("0.0.0.0:9100", "[::]:9100", true);
        check("[::]:9100", "0.0.0.0:9100", false);
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _bound = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("socket", at("link")).unwrap();
        let check = |wanted: &str, expected: bool| {
            assert_eq!(Address::Unix(at("socket")).is_at(&unix(&at(wanted))), expected, "{wanted}");
        };
        check("socket", true);
        check("link", true);
        check("missing", false);
        assert!(!Address::Unix(at("socket")).is_at(&Endpoint::Tcp("127.0.0.1:1".into())));
    }

    #[test]
    fn an_inherited_socket_outlives_who_listens_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let bound = UnixListener::bind(&path).unwrap();
        let inherited = Inherited::default();
        inherited.add("s".into(), |_| Some(Purpose::Writer), bound.into()).unwrap();
        assert_eq!(inherited.unused().len(), 1);
        let socket = inherited.open(&unix(&path)).unwrap();
        assert_eq!(inherited.unused(), []);
        assert_eq!(socket.address(), path.display().to_string());
        drop(socket);
        // Who connects meanwhile waits, and is there for the next one.
        let _peer = UnixStream::connect(&path).unwrap();
        assert!(inherited.open(&unix(&path)).unwrap().accept().is_ok());
        inherited.release();
        assert!(path.exists() && UnixStream::connect(&path).is_err());
    }

    #[test]
    fn other_places_are_bound_as_ever() {
        let dir = tempfile::tempdir().unwrap();
        let inherited = Inherited::default();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        inherited.add("t".into(), |_| None, tcp.into()).unwrap();
        let path = dir.path().join("own");
        drop(inherited.open(&unix(&path)).unwrap());
        assert!(!path.exists());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(inherited.add("f".into(), |_| None, file.into()), Err("is no socket".into()));
    }
}
