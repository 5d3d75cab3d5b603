//! The thread: it accepts, waits for all its connections at once, and keeps time.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Dialog,
    connection::{Connection, Phase},
};
use crate::{queue::Wake, socket::Socket, telemetry::log::RateLimit};

/// How many connections a thread has at most, its listeners' together.
const CONNECTIONS_MAX: usize = 64;

/// How long accepting rests after the process ran out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket to be served.
pub struct Door {
    /// Its name in messages: `listener NAME`.
    pub name: String,
    /// The open socket.
    pub socket: Socket,
    /// Begins a connection's dialog.
    pub dialog: Box<dyn Fn() -> Box<dyn Dialog> + Send>,
}

/// A running thread. Dropped, it ends: its sockets are closed then, and their files
/// removed.
pub struct Server {
    stop: Arc<AtomicBool>,
    leave: Arc<Leave>,
    wake: Wake,
    thread: Option<thread::JoinHandle<()>>,
}

/// Which sockets are left.
#[derive(Default)]
struct Leave {
    shared: AtomicBool,
    own: AtomicBool,
}

impl Server {
    /// Starts to serve. `wake` is what dialogs hand out to have another turn.
    ///
    /// # Errors
    ///
    /// When the system can't start a thread.
    pub fn start(name: &str, doors: Vec<Door>, wake: Wake) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let leave = Arc::<Leave>::default();
        let state = State {
            doors,
            wake: wake.clone(),
            stop: Arc::clone(&stop),
            leave: Arc::clone(&leave),
            connections: Vec::new(),
            rest_until: None,
            trouble: RateLimit::new(Duration::from_secs(60)),
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || state.run())?;
        Ok(Server { stop, leave, wake, thread: Some(thread) })
    }
}

impl Server {
    /// Leaves the sockets that others have as well to them: who connects from now on waits for
    /// our successor. With `own` those that are ours alone are closed. Connections go on.
    pub fn leave(&self, own: bool) {
        self.leave.own.store(own, Ordering::Release);
        self.leave.shared.store(true, Ordering::Release);
        self.wake.wake();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    doors: Vec<Door>,
    wake: Wake,
    stop: Arc<AtomicBool>,
    leave: Arc<Leave>,
    connections: Vec<Connection>,
    /// Until when nothing is accepted.
    rest_until: Option<Instant>,
    trouble: RateLimit,
}

impl State {
    fn run(mut self) {
        loop {
            let found = self.wait();
            let now = Instant::now();
            if !found[0].is_empty() {
                self.wake.clear();
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                self.connections.iter_mut().for_each(|connection| connection.woken(now));
            }
            let (doors, connections) = found[1..].split_at(self.doors.len());
            for (connection, events) in self.connections.iter_mut().zip(connections) {
                if !events.is_empty() {
                    connection.ready(*events, now);
                }
                if connection.deadline().is_some_and(|deadline| deadline <= now) {
                    connection.late(now);
                }
            }
            for (index, events) in doors.iter().enumerate() {
                if !events.is_empty() {
                    self.accept(index, now);
                }
            }
            if self.leave.shared.load(Ordering::Acquire) {
                let own = self.leave.own.load(Ordering::Acquire);
                self.doors.retain(|door| !own && !door.socket.is_shared());
            }
            // Those that were over as soon as they were accepted, too.
            self.connections.retain(|connection| connection.phase() != Phase::Over);
        }
    }

    /// Waits for something to happen; what happened to the wake, the doors and the
    /// connections, in this order.
    fn wait(&mut self) -> Vec<PollFlags> {
        let now = Instant::now();
        if self.rest_until.is_some_and(|until| until <= now) {
            self.rest_until = None;
        }
        let accepts = self.rest_until.is_none() && self.has_room();
        let door = if accepts { PollFlags::IN } else { PollFlags::empty() };
        let mut waited = vec![PollFd::new(&self.wake, PollFlags::IN)];
        waited.extend(self.doors.iter().map(|one| PollFd::new(&one.socket, door)));
        waited.extend(self.connections.iter().map(|one| PollFd::new(one, one.interest())));
        let deadlines = self.connections.iter().filter_map(Connection::deadline);
        let first = deadlines.chain(self.rest_until).min();
        let patience = first.map(|first| {
            // A little more, so that it has really passed.
            let left = first.saturating_duration_since(now) + Duration::from_millis(1);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut waited, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => log::error!("waiting for those who read the host failed: {error}"),
        }
        waited.iter().map(PollFd::revents).collect()
    }

    /// Whether one more can be accepted, if need be in the place of an idle one.
    fn has_room(&self) -> bool {
        let is_idle = |connection: &Connection| connection.phase() == Phase::Idle;
        self.connections.len() < CONNECTIONS_MAX || self.connections.iter().any(is_idle)
    }

    fn accept(&mut self, index: usize, now: Instant) {
        while self.has_room() {
            let door = &self.doors[index];
            match door.socket.accept() {
                Ok((socket, _)) => {
                    let dialog = (door.dialog)();
                    self.adopt(socket, dialog, now);
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => {
                    if self.trouble.pass(now).is_some() {
                        log::error!("{}: no connection can be accepted: {error}", door.name);
                    }
                    self.rest_until = Some(now + EXHAUSTED_PAUSE);
                    return;
                }
            }
        }
    }

    fn adopt(&mut self, socket: OwnedFd, dialog: Box<dyn Dialog>, now: Instant) {
        if self.connections.len() >= CONNECTIONS_MAX {
            let idle = self.connections.iter().enumerate();
            let idle = idle.filter(|(_, connection)| connection.phase() == Phase::Idle);
            if let Some((oldest, _)) = idle.min_by_key(|(_, connection)| connection.since()) {
                self.connections.swap_remove(oldest);
            }
        }
        self.connections.push(Connection::new(socket, dialog, now));
    }
}
