//! The sockets that somebody else opened for us, by where they listen.
//!
//! Whoever wants to listen asks here first: a socket that is there already is used as it
//! is. It is never bound, and its file is neither given rights nor removed: that is the
//! business of whoever has opened it. A place of our own is kept open here for as long as the host
//! runs, so an input that a reload brings back finds its socket again, and peers that
//! connect meanwhile wait.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::descriptor::{Address, listening_address};
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
}

#[derive(Debug)]
struct Inheritance {
    offer: Offer,
    socket: OwnedFd,
    /// Somebody listens on it, or did.
    used: bool,
}

impl Inherited {
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
        self.sockets().push(Inheritance { offer, socket, used: false });
        Ok(())
    }

    /// The sockets that there are.
    pub fn offers(&self) -> Vec<Offer> {
        self.sockets().iter().map(|one| one.offer.clone()).collect()
    }

    /// Begins to listen: on the inherited socket, if there is one for this place.
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
        let socket = found.socket.try_clone()?;
        found.used = true;
        Ok(match found.offer.address {
            Address::Unix(_) => Socket::shared_unix(socket.into()),
            Address::Tcp(_) => Socket::shared_tcp(socket.into()),
        })
    }

    /// Whether there is a socket for this place.
    pub fn has(&self, endpoint: &Endpoint) -> bool {
        self.sockets().iter().any(|one| one.offer.address.is_at(endpoint))
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
        assert!(!inherited.has(&unix(&path)));
        drop(inherited.open(&unix(&path)).unwrap());
        assert!(!path.exists());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(inherited.add("f".into(), |_| None, file.into()), Err("is no socket".into()));
    }
}
