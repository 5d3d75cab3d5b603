//! What Dovecot's master process passes to a process of one of its services, and what it
//! wants to know of it (`src/lib-master/master-interface.h` of Dovecot's sources).
//!
//! | what | where |
//! | --- | --- |
//! | "a process of ours" | `DOVECOT_CHILD_PROCESS` is set |
//! | listening sockets | `SOCKET_COUNT` descriptors in a row, from 7 on (2.3), 8 (2.4.0, 2.4.1) or 9 (2.4.2) |
//! | their names | `SOCKETn_SETTINGS`: the listener's name, then TAB-separated: `type=writer`, `ssl`, ... |
//! | how many connections we may have | `CLIENT_LIMIT` |
//! | our status | messages on descriptor 5: process, `GENERATION`, connections still available |
//! | the master's end | an error on descriptor 6, once nobody reads that pipe |
//!
//! Nothing says where the row begins; but before it there is never a socket that listens: in 2.3
//! nothing, in 2.4 a configuration (for the log service only) and a connection that was accepted
//! already (with `client_limit = 1` only). So it begins with the first that does.
//!
//! The master kills a process that has not told its status after 30 s, and starts a new
//! one as soon as somebody connects while no process has a connection available. When that is
//! beyond `process_limit` it warns, and closes connections. Fantail has limits of its own, so it
//! always says that one more is available, until it stops.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::FileType,
    io::Errno,
};

use super::{
    Environment,
    descriptor::{Handover, SOCKETS_MAX},
    table::{Inherited, Purpose},
};
use crate::queue::Wake;

/// Descriptors that are of no use to us: pipes to other processes of Dovecot's.
const UNUSED: [i32; 2] = [3, 4];
/// Where the master reads how many connections are available.
const STATUS: i32 = 5;
/// A pipe that the master has the reading end of.
const DEATH: i32 = 6;
/// Where the listening sockets may begin.
const FIRST: std::ops::RangeInclusive<i32> = 7..=9;

/// How often the master hears of connections at most.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
/// After so long the master is told that we live, ready or not: in 30 s it would kill us.
const FIRST_STATUS: Duration = Duration::from_secs(20);

/// The master process, as we see it.
#[derive(Debug)]
pub struct Master {
    status: OwnedFd,
    death: OwnedFd,
    generation: u32,
    client_limit: u32,
}

/// Takes what the master has passed to us: its sockets into the table. `None` when no master
/// has started us. What is wrong with it is added to `complaints`, a line each.
///
/// Call it before anything else of the process opens or closes descriptors.
pub fn inherit(
    environment: &Environment<'_>,
    inherited: &Inherited,
    complaints: &mut Vec<String>,
) -> Option<Master> {
    environment("DOVECOT_CHILD_PROCESS")?;
    let mut number = |name: &str| {
        let value = environment(name);
        let number = value.as_ref().and_then(|value| value.parse::<u32>().ok());
        if number.is_none() {
            let value = value.map_or_else(|| "missing".into(), |value| format!("`{value}`"));
            complaints.push(format!(
                "DOVECOT_CHILD_PROCESS says that Dovecot's master has started this process, \
                 but {name} is {value}: it is not believed"
            ));
        }
        number
    };
    let generation = number("GENERATION")?;
    let client_limit = number("CLIENT_LIMIT")?;
    let count = number("SOCKET_COUNT")? as usize;
    let taken = Handover::new().and_then(|handover| {
        let (status, death) = (handover.take(STATUS)?, handover.take(DEATH)?);
        if [&status, &death].into_iter().all(is_pipe) {
            Ok((handover, status, death))
        } else {
            Err(io::Error::other("they are no pipes"))
        }
    });
    let (handover, status, death) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            complaints.push(format!(
                "Dovecot's master has started this process, but its descriptors {STATUS} and \
                 {DEATH} can't be used: {error}"
            ));
            return None;
        }
    };
    for number in UNUSED {
        // Closed by being dropped.
        let _ = handover.take(number);
    }
    if client_limit == 1 {
        complaints.push(
            "client_limit = 1 of this service lets in one Dovecot process at a time: remove it"
                .into(),
        );
    }
    sockets(&handover, count, environment, inherited, complaints);
    Some(Master { status, death, generation, client_limit })
}

fn is_pipe(descriptor: &OwnedFd) -> bool {
    let status = rustix::fs::fstat(descriptor);
    status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Fifo)
}

/// Takes the row of listening sockets into the table.
fn sockets(
    handover: &Handover,
    count: usize,
    environment: &Environment<'_>,
    inherited: &Inherited,
    complaints: &mut Vec<String>,
) {
    let mut numbers = FIRST;
    let first = (count > 0).then(|| {
        numbers.find_map(|number| {
            let socket = handover.take(number).ok()?;
            rustix::net::sockopt::socket_acceptconn(&socket)
                .is_ok_and(|listens| listens)
                .then_some((number, socket))
        })
    });
    let Some(first) = first else { return };
    let Some((first, mut socket)) = first else {
        complaints.push(format!(
            "SOCKET_COUNT is {count}, but none of the descriptors {} to {} is a listening socket",
            FIRST.start(),
            FIRST.end()
        ));
        return;
    };
    for index in 0..count.min(SOCKETS_MAX) {
        let settings = environment(&format!("SOCKET{index}_SETTINGS")).unwrap_or_default();
        let (name, purpose) = understand(&settings);
        if let Err(reason) = inherited.add(name.clone(), |_| purpose, socket) {
            complaints.push(format!(
                "the socket `{name}` of Dovecot's master, descriptor {}, {reason}: left out",
                first as usize + index
            ));
        }
        if index + 1 == count {
            return;
        }
        socket = match handover.take(first + index as i32 + 1) {
            Ok(socket) => socket,
            Err(error) => {
                complaints.push(format!(
                    "SOCKET_COUNT is {count}, but there are only {}, from descriptor {first} on: \
                     {error}",
                    index + 1
                ));
                return;
            }
        };
    }
}

/// A socket's name and purpose, as `SOCKETn_SETTINGS` tells them.
fn understand(settings: &str) -> (String, Option<Purpose>) {
    let mut parts = settings.split('\t');
    let name = parts.next().unwrap_or_default();
    let (mut kind, mut is_plain) = (None, true);
    for part in parts {
        match part {
            "ssl" | "haproxy" | "pid" => is_plain = false,
            part => kind = part.strip_prefix("type=").or(kind),
        }
    }
    // Without a type, what stands behind the last `-` of the name is it.
    let kind = kind.or_else(|| name.rsplit(['-', '/']).next());
    let purpose = match kind {
        Some("writer") => Some(Purpose::Writer),
        Some("reader") => Some(Purpose::Reader),
        Some("http") => Some(Purpose::Http),
        _ => None,
    };
    (name.to_owned(), purpose.filter(|_| is_plain))
}

/// The configuration file that the master itself has read, if it tells. 2.4 names it; 2.3
/// names the socket of its process `config`, and beside that lies a link to the file.
pub fn config_file(environment: &Environment<'_>) -> Option<PathBuf> {
    environment("DOVECOT_CHILD_PROCESS")?;
    let told = PathBuf::from(environment("CONFIG_FILE")?);
    let beside = told.with_file_name("dovecot.conf");
    [told, beside].into_iter().find(|path| Path::is_file(path))
}

/// The thread that talks with the master.
#[derive(Clone)]
pub struct Talk {
    shared: Arc<Shared>,
}

struct Shared {
    wake: Wake,
    is_ready: AtomicBool,
    is_asked: AtomicBool,
    has_gone: AtomicBool,
}

impl Master {
    /// Talks with the master from now on: tells it of `connections`, and calls `gone` once when it
    /// has gone, or wants us to go, as after `doveadm reload`.
    ///
    /// # Errors
    ///
    /// When the system has no thread or descriptor left.
    pub fn talk(
        self,
        connections: impl Fn() -> u64 + Send + 'static,
        gone: impl FnOnce() + Send + 'static,
    ) -> io::Result<Talk> {
        let shared = Arc::new(Shared {
            wake: Wake::new()?,
            is_ready: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            has_gone: AtomicBool::new(false),
        });
        let talk = Talk { shared: Arc::clone(&shared) };
        let run = move || {
            self.listen(&shared, connections);
            shared.has_gone.store(true, Ordering::Release);
            // Nobody may be there to read it; but after a reload the master waits for it.
            let _ = self.tell(0);
            gone();
        };
        thread::Builder::new().name("dovecot".into()).spawn(run)?;
        Ok(talk)
    }

    /// Tells the master what there is to tell until it has gone.
    fn listen(&self, shared: &Shared, connections: impl Fn() -> u64) {
        let (start, mut told) = (Instant::now(), None);
        loop {
            let ended = self.wait(&shared.wake);
            if ended {
                return;
            }
            let is_asked = shared.is_asked.swap(false, Ordering::AcqRel);
            if !shared.is_ready.load(Ordering::Acquire) && start.elapsed() < FIRST_STATUS {
                continue;
            }
            let open = u32::try_from(connections()).unwrap_or(u32::MAX);
            let available = self.client_limit.saturating_sub(open).max(1);
            if told != Some(available) || is_asked {
                match self.tell(available) {
                    Ok(()) => told = Some(available),
                    // The pipe is full of what others have told: next time.
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => log::error!("Dovecot's master can't be told of us: {error}"),
                }
            }
        }
    }

    /// Waits for a moment, or until somebody wakes us; true when the master has gone.
    fn wait(&self, wake: &Wake) -> bool {
        let pause = Timespec { tv_sec: STATUS_PAUSE.as_secs() as i64, tv_nsec: 0 };
        // An error is reported without being asked for.
        let mut waited =
            [PollFd::new(&self.death, PollFlags::empty()), PollFd::new(wake, PollFlags::IN)];
        let _ = poll(&mut waited, Some(&pause));
        let [death, woken] = waited.map(|one| one.revents());
        if !woken.is_empty() {
            wake.clear();
        }
        death.intersects(PollFlags::ERR | PollFlags::HUP)
    }

    fn tell(&self, available: u32) -> Result<(), Errno> {
        let mut message = [0; 12];
        let numbers = [std::process::id(), self.generation, available];
        for (place, number) in message.chunks_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        // Shorter than PIPE_BUF: whole or not at all.
        rustix::io::write(&self.status, &message).map(|_| ())
    }
}

impl Talk {
    /// We are ready for connections.
    pub fn ready(&self) {
        self.shared.is_ready.store(true, Ordering::Release);
        self.shared.wake.wake();
    }

    /// The master has asked whether we can go, being idle (SIGINT): it is told that we stay.
    pub fn stay(&self) {
        self.shared.is_asked.store(true, Ordering::Release);
        self.shared.wake.wake();
    }

    /// Whether the master has gone, and we are stopping for that.
    pub fn has_gone(&self) -> bool {
        self.shared.has_gone.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, time::Duration};

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::{Inherited, Master, Purpose, config_file, inherit, understand};

    #[test]
    fn a_listener_is_what_its_settings_say() {
        let check = |settings: &str, name: &str, purpose: Option<Purpose>| {
            assert_eq!(understand(settings), (name.to_owned(), purpose), "{settings:?}");
        };
        check("stats-writer", "stats-writer", Some(Purpose::Writer));
        check("login/stats-writer", "login/stats-writer", Some(Purpose::Writer));
        check("stats-reader", "stats-reader", Some(Purpose::Reader));
        check("stats-writer\ttype=writer", "stats-writer", Some(Purpose::Writer));
        check("mine\ttype=reader", "mine", Some(Purpose::Reader));
        check("http", "http", Some(Purpose::Http));
        check("http\tssl", "http", None);
        check("admin", "admin", None);
        check("stats-writer\tpid", "stats-writer", None);
        check("", "", None);
    }

    #[test]
    fn without_a_master_there_is_none_and_a_bad_one_is_told_of() {
        let check = |variables: &[(&str, &str)], complaint: Option<&str>| {
            let environment = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let mut complaints = Vec::new();
            assert!(inherit(&environment, &Inherited::default(), &mut complaints).is_none());
            match complaint {
                Some(part) => assert!(complaints[0].contains(part), "{complaints:?}"),
                None => assert!(complaints.is_empty(), "{complaints:?}"),
            }
        };
        let child = ("DOVECOT_CHILD_PROCESS", "1");
        check(&[], None);
        check(&[("SOCKET_COUNT", "3"), ("GENERATION", "1")], None);
        check(&[child], Some("GENERATION is missing"));
        check(&[child, ("GENERATION", "x")], Some("GENERATION is `x`"));
        let some = [child, ("GENERATION", "1"), ("CLIENT_LIMIT", "9"), ("SOCKET_COUNT", "-1")];
        check(&some, Some("SOCKET_COUNT is `-1`"));
    }

    #[test]
    fn the_configuration_is_found_in_both_generations() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let _config = std::os::unix::net::UnixListener::bind(at("config")).unwrap();
        fs::write(at("here.conf"), "").unwrap();
        let check = |told: Option<String>, expected: Option<&str>| {
            let environment = |name: &str| match name {
                "CONFIG_FILE" => told.clone(),
                name => (name == "DOVECOT_CHILD_PROCESS").then(|| "1".into()),
            };
            let found = config_file(&environment).map(|path| path.display().to_string());
            assert_eq!(found, expected.map(at));
        };
        check(None, None);
        check(Some(at("here.conf")), Some("here.conf"));
        check(Some(at("config")), None);
        std::os::unix::fs::symlink("here.conf", at("dovecot.conf")).unwrap();
        check(Some(at("config")), Some("dovecot.conf"));
    }

    #[test]
    fn the_master_is_told_and_heard() {
        let (status_read, status) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (death_read, death) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let master = Master { status, death, generation: 7, client_limit: 3 };
        let (sender, gone) = crossbeam_channel::bounded(1);
        // More connections than the limit: there is still place for one.
        let talk = master.talk(|| 5, move || sender.send(()).unwrap()).unwrap();
        let mut status = fs::File::from(status_read);
        let mut heard = || {
            let mut message = [0; 12];
            status.read_exact(&mut message).unwrap();
            let number = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
            assert_eq!((number(0), number(4)), (std::process::id(), 7));
            number(8)
        };
        talk.ready();
        assert_eq!(heard(), 1);
        talk.stay();
        assert_eq!(heard(), 1);
        assert!(!talk.has_gone());
        drop(death_read);
        gone.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(talk.has_gone());
        assert_eq!(heard(), 0);
    }
}
