//! What systemd passes to a service, and what it wants to know of it: sd_listen_fds(3),
//! sd_notify(3) and the descriptor store (`FileDescriptorStoreMax=` in systemd.service(5)).
//!
//! The store keeps sockets that we have bound ourselves, while we do not run: they come back with
//! the next start among those that a socket unit opened. Their names there tell them apart, and
//! which file they have: a path that leads somewhere else by now is bound anew.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::BorrowedFd,
};

use rustix::{
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
        SocketFlags, SocketType, sendmsg_addr, socket_with,
    },
    time::{ClockId, clock_gettime},
};

use super::{
    Environment,
    descriptor::{Handover, SOCKETS_MAX},
    table::Inherited,
};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

/// Takes the sockets that were passed to this process into the table. What is wrong with
/// them is added to `complaints`, a line each.
///
/// Call it before anything else of the process opens or closes descriptors.
pub fn inherit(environment: &Environment<'_>, inherited: &Inherited, complaints: &mut Vec<String>) {
    let Some(listen_fds) = environment("LISTEN_FDS") else { return };
    // They may be for another process, which has started us.
    let is_ours = |pid: String| pid.parse() == Ok(std::process::id());
    if !environment("LISTEN_PID").is_some_and(is_ours) {
        return;
    }
    let Ok(count) = listen_fds.parse::<usize>() else {
        complaints.push(format!("LISTEN_FDS is `{listen_fds}`, which is no number: ignored"));
        return;
    };
    let handover = match Handover::new() {
        Ok(handover) => handover,
        Err(error) => {
            complaints.push(format!("the sockets of LISTEN_FDS can't be taken: {error}"));
            return;
        }
    };
    let names = environment("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    for number in (FIRST..).take(count.min(SOCKETS_MAX)) {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let socket = match handover.take(number) {
            Ok(socket) => socket,
            Err(error) => {
                complaints.push(format!(
                    "LISTEN_FDS is {count}, but there are only {}: {error}",
                    number - FIRST
                ));
                return;
            }
        };
        if let Err(reason) = inherited.add_named(name, socket) {
            complaints.push(format!(
                "the descriptor {number} (`{name}`) of LISTEN_FDS {reason}: left out"
            ));
        }
    }
}

/// The way to systemd's notification socket. It has no descriptor while it is silent: its number
/// would be among those that are still to be taken.
#[derive(Debug)]
pub struct Manager {
    address: SocketAddrUnix,
    /// Whether it keeps descriptors for us.
    pub(super) keeps: bool,
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is ready, for the first time or after a reload.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It stops.
    Stopping,
}

impl Manager {
    /// The manager that `NOTIFY_SOCKET` names, if any. It keeps descriptors when `FDSTORE` says
    /// how many, which systemd sets since version 254.
    pub fn find(environment: &Environment<'_>, complaints: &mut Vec<String>) -> Option<Self> {
        let path = environment("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None => SocketAddrUnix::new(&path),
        };
        match address {
            Ok(address) => {
                let max = environment("FDSTORE").and_then(|max| max.parse::<u32>().ok());
                Some(Manager { address, keeps: max.is_some_and(|max| max > 0) })
            }
            Err(error) => {
                complaints.push(format!("NOTIFY_SOCKET is `{path}`: {error}: ignored"));
                None
            }
        }
    }

    /// Tells what we do, with a line for people.
    pub fn announce(&self, state: State, status: &str) {
        let status = status.replace('\n', " ");
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
        let state = match state {
            State::Ready => "READY=1".to_owned(),
            State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={now}"),
            State::Stopping => "STOPPING=1".to_owned(),
        };
        if let Err(error) = self.send(&format!("{state}\nSTATUS={status}"), None) {
            log::warn!("systemd can't be told of us: {error}");
        }
    }

    /// Has it keep the socket under this name.
    pub(super) fn store(&self, name: &str, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.send(&format!("FDSTORE=1\nFDNAME={name}"), Some(socket))
    }

    /// Has it keep the socket of this name no longer.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None)
    }

    fn send(&self, text: &str, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
        if !sockets.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&sockets));
        }
        let data = [IoSlice::new(text.as_bytes())];
        let manager =
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sendmsg_addr(&manager, &self.address, &data, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::{Inherited, Manager, State, inherit};

    #[test]
    fn bad_numbers_of_descriptors_are_told_of() {
        let own = std::process::id().to_string();
        let check = |pid: &str, count: &str, complaint: Option<&str>| {
            let environment = |name: &str| match name {
                "LISTEN_PID" => Some(pid.to_owned()),
                "LISTEN_FDS" => Some(count.to_owned()),
                _ => None,
            };
            let mut complaints = Vec::new();
            inherit(&environment, &Inherited::default(), &mut complaints);
            match complaint {
                Some(part) => assert!(complaints[0].contains(part), "{complaints:?}"),
                None => assert!(complaints.is_empty(), "{complaints:?}"),
            }
        };
        check(&own, "banana", Some("LISTEN_FDS is `banana`"));
        check(&own, "-1", Some("LISTEN_FDS is `-1`"));
        check(&own, "0", None);
        check("1", "banana", None);
        check("", "1", None);
    }

    #[test]
    fn the_manager_hears_what_we_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        let named = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.display().to_string()),
            name => (name == "FDSTORE").then(|| "16".into()),
        };
        let mut complaints = Vec::new();
        let manager = Manager::find(&named, &mut complaints).unwrap();
        assert!(manager.keeps && complaints.is_empty());
        let mut text = [0; 200];
        let mut hear = || {
            let length = heard.recv(&mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        manager.announce(State::Ready, "two\nlines");
        assert_eq!(hear(), "READY=1\nSTATUS=two lines");
        manager.announce(State::Reloading, "");
        assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        manager.remove("name").unwrap();
        assert_eq!(hear(), "FDSTOREREMOVE=1\nFDNAME=name");
        assert!(Manager::find(&|_| None, &mut complaints).is_none());
        let long = |_: &str| Some("x".repeat(200));
        assert!(Manager::find(&long, &mut complaints).is_none());
        assert!(complaints[0].contains("NOTIFY_SOCKET"), "{complaints:?}");
    }
}
