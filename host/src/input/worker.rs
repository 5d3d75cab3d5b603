//! A worker thread: many connections, one lane, one wait for all of them.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
    io::Errno,
};
use slab::Slab;

use super::{
    Session,
    buffer::ReadBuffer,
    connection::{Connection, Wish},
    greeting::Greeting,
    http::{HttpConnection, HttpSession},
    peer::Peer,
    seat::Seat,
    session::{Input, InputKind},
};
use crate::{
    format::Closed,
    pipeline::{Lane, LaneUpdate},
    queue::Wake,
};

/// What a worker can be told.
pub enum Command {
    /// Read from this connection: its socket, its place in its input and its peer's
    /// name.
    Adopt(OwnedFd, Seat, String),
    /// Go on with another configuration, and tell stats-writer connections which
    /// events are wanted now.
    Reload(Box<LaneUpdate>, Greeting),
    /// The input is no more: take no more from its connections than what has
    /// arrived.
    Retire(Arc<Input>),
    /// The peers of lines that had connected until then find somebody else: take no more from
    /// them than what has arrived.
    Part(Instant),
    /// Take no more than what has arrived until now, and end.
    Finish,
    /// End at once; what is in the open batches stays there.
    Abandon,
}

/// The other threads' end of a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    commands: Sender<Command>,
    wake: Wake,
    connections: Arc<AtomicUsize>,
}

/// A running worker.
pub struct WorkerThread {
    /// How to talk to it.
    pub handle: WorkerHandle,
    thread: thread::JoinHandle<()>,
}

/// The token of the worker's own wake-up among the connections' ones.
const WAKE_TOKEN: u64 = u64::MAX;

/// How often connections are looked at that have a limit in time.
const TICK: Duration = Duration::from_millis(100);

/// How long to wait for room in a queue before it is tried again unasked.
const BLOCKED_WAIT: Duration = Duration::from_millis(100);

/// How long a thread that is to end goes on reading from peers that never stop.
pub(super) const LAST_READS: Duration = Duration::from_secs(2);

impl WorkerHandle {
    /// Tells the worker something.
    pub fn tell(&self, command: Command) {
        if matches!(command, Command::Adopt(..)) {
            self.connections.fetch_add(1, Ordering::Relaxed);
        }
        // A worker that has ended reads no more connections: this one is closed.
        let _ = self.commands.send(command);
        self.wake.wake();
    }

    /// How many connections it has.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What the queues call when there is room again.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl WorkerThread {
    /// Starts a worker that has no connection yet, and no configuration:
    /// [`Command::Reload`] is the first that it must be told.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor or thread left.
    pub fn start(number: usize) -> io::Result<Self> {
        let (commands, receiver) = unbounded();
        let wake = Wake::new()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        let connections = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            epoll,
            wake: wake.clone(),
            commands: receiver,
            connections: Slab::new(),
            count: Arc::clone(&connections),
            lane: Lane::empty(),
            greeting: Greeting::default(),
            buffer: ReadBuffer::new(),
            waiting: VecDeque::new(),
            answering: VecDeque::new(),
            timed: 0,
            next_tick: Instant::now(),
            finish_by: None,
            abandoned: false,
        };
        let name = format!("worker {number}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run())?;
        Ok(WorkerThread { handle: WorkerHandle { commands, wake, connections }, thread })
    }

    /// Whether the worker has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

struct Worker {
    epoll: OwnedFd,
    wake: Wake,
    commands: Receiver<Command>,
    connections: Slab<Peer>,
    count: Arc<AtomicUsize>,
    lane: Lane,
    greeting: Greeting,
    buffer: ReadBuffer,
    /// The connections that wait for room, in the order in which they began to.
    waiting: VecDeque<usize>,
    /// The connections with a request that waits for its answer, in the same order.
    answering: VecDeque<usize>,
    /// How many connections have a limit in time, and when to look at them.
    timed: usize,
    next_tick: Instant,
    /// Set once the worker is to end.
    finish_by: Option<Instant>,
    /// Set once the worker is to end at once.
    abandoned: bool,
}

impl Worker {
    fn run(mut self) {
        let mut ready = Vec::with_capacity(256);
        loop {
            // With open batches the wait is none: as soon as nothing is left to
            // read they are closed, or it is known how long they wait for more.
            let patience = match (self.lane.has_open_batches(), self.finish_by) {
                (true, _) => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
                (false, Some(_)) => Some(Timespec { tv_sec: 0, tv_nsec: 10_000_000 }),
                (false, None) if self.timed > 0 => Timespec::try_from(TICK).ok(),
                (false, None) => None,
            };
            self.wait(&mut ready, patience.as_ref());
            if self.finish_by.is_some_and(|finish_by| Instant::now() >= finish_by) {
                self.close_all_but_waiting();
            }
            if self.timed > 0 {
                self.end_patience();
            }
            if ready.is_empty() && self.idle(&mut ready) {
                return;
            }
            for event in ready.drain(..) {
                self.turn(event);
            }
            if self.abandoned {
                return self.lane.publish();
            }
        }
    }

    fn wait(&self, ready: &mut Vec<Event>, patience: Option<&Timespec>) {
        ready.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), patience) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => log::error!("waiting for connections failed: {error}"),
        }
    }

    /// There is nothing to read: closes the open batches, and then waits for what
    /// comes, for room in a queue, or until a batch has waited long enough for more
    /// payloads. True when the worker has ended.
    fn idle(&mut self, ready: &mut Vec<Event>) -> bool {
        let closed = match self.finish_by {
            None => self.lane.flush_due(),
            Some(_) if self.lane.flush() => Closed::All,
            Some(_) => Closed::Blocked,
        };
        if closed == Closed::All && self.finish_by.is_some() && self.connections.is_empty() {
            return true;
        }
        let resumed = !self.waiting.is_empty() || !self.answering.is_empty();
        if resumed {
            self.resume_waiting();
            self.resume_answering();
        }
        let patience = match closed {
            Closed::Blocked => BLOCKED_WAIT,
            // Those that go on may have opened batches that wait for nothing.
            Closed::Waiting(left) if !resumed => left,
            Closed::Waiting(_) | Closed::All => return false,
        };
        let patience = if self.timed > 0 { patience.min(TICK) } else { patience };
        // One that is too long for the system never ends.
        self.wait(ready, Timespec::try_from(patience).ok().as_ref());
        false
    }

    fn turn(&mut self, event: Event) {
        let token = event.data.u64();
        if token == WAKE_TOKEN {
            return self.woken();
        }
        let key = token as usize;
        let flags = event.flags;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_waiting() {
            return;
        }
        let mut wish = Wish::Read;
        if flags.contains(EventFlags::OUT) {
            wish = connection.write();
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP)
        {
            wish = connection.read(&mut self.buffer, &mut self.lane);
        }
        self.grant(key, wish);
    }

    /// Waits for what a connection wants, or closes it.
    fn grant(&mut self, key: usize, wish: Wish) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let interest = match wish {
            Wish::Read => Some(EventFlags::IN),
            Wish::ReadAndWrite => Some(EventFlags::IN | EventFlags::OUT),
            // Not registered at all: a peer that hangs up would be reported
            // over and over whatever is asked for.
            Wish::Wait => {
                self.waiting.push_back(key);
                None
            }
            Wish::Answer => {
                self.answering.push_back(key);
                None
            }
            Wish::Write => Some(EventFlags::OUT),
            Wish::Close => return self.close(key),
        };
        let before = std::mem::replace(connection.interest(), interest);
        if interest == before {
            return;
        }
        let data = EventData::new_u64(key as u64);
        let registered = match (before, interest) {
            (None, Some(flags)) => epoll::add(&self.epoll, &*connection, data, flags),
            (Some(_), Some(flags)) => epoll::modify(&self.epoll, &*connection, data, flags),
            (_, None) => epoll::delete(&self.epoll, &*connection),
        };
        if let Err(error) = registered {
            log::error!("a connection can't be waited for: {error}");
            self.close(key);
        }
    }

    fn close(&mut self, key: usize) {
        if let Peer::Http(_) = self.connections.remove(key) {
            self.timed -= 1;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn woken(&mut self) {
        self.wake.clear();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Adopt(socket, seat, peer) => {
                    self.adopt(socket, seat, peer);
                }
                Command::Reload(update, greeting) => self.reload(*update, greeting),
                Command::Retire(input) => self.retire(&input),
                Command::Part(before) => {
                    self.connections.iter_mut().for_each(|(_, one)| one.part(before));
                }
                Command::Finish => self.finish(),
                Command::Abandon => self.abandoned = true,
            }
        }
        if !self.abandoned {
            self.resume_waiting();
            self.resume_answering();
        }
    }

    /// Goes on with the connections whose exporters have room again. The others
    /// keep their turn: each is fed one event when there is room, not at every
    /// wake-up.
    fn resume_waiting(&mut self) {
        self.lane.unblock();
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if self.lane.has_room(connection.blocked_by()) {
                let wish = connection.resume(&mut self.buffer, &mut self.lane);
                self.grant(key, wish);
            } else {
                self.waiting.push_back(key);
            }
        }
    }

    /// Goes on with the requests that wait for room or for an answer, as far as they can.
    fn resume_answering(&mut self) {
        if self.answering.is_empty() {
            return;
        }
        self.lane.unblock();
        for _ in 0..self.answering.len() {
            let Some(key) = self.answering.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if connection.is_waiting() {
                let wish = connection.resume(&mut self.buffer, &mut self.lane);
                self.grant(key, wish);
            }
        }
    }

    /// Looks once in a while for connections that have taken too long.
    fn end_patience(&mut self) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let late = self.connections.iter().filter(|(_, one)| one.is_late(now));
        let late: Vec<usize> = late.map(|(key, _)| key).collect();
        for key in late {
            self.answering.retain(|&one| one != key);
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let wish = connection.late(&mut self.buffer, &mut self.lane);
            self.grant(key, wish);
        }
        // What another worker has in flight wakes nobody here.
        self.resume_answering();
    }

    /// The time for last reads is over. What waits for an exporter has been
    /// accepted and goes on waiting.
    fn close_all_but_waiting(&mut self) {
        let idle = self.connections.iter().filter(|(_, one)| !one.is_waiting());
        let idle: Vec<usize> = idle.map(|(key, _)| key).collect();
        idle.into_iter().for_each(|key| self.close(key));
    }

    fn adopt(&mut self, socket: OwnedFd, seat: Seat, peer: String) {
        let (mut connection, wish) = match seat.input().kind {
            InputKind::Http => match self.http_connection(socket, seat, peer) {
                Some(connection) => (Peer::Http(Box::new(connection)), Wish::Read),
                None => {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
            },
            kind => {
                let session = Session::new(seat, peer, self.lane.symbols());
                let mut connection = Connection::new(socket, session);
                // The greeting goes out before anything else can happen: a peer may
                // wait for it.
                let wish = match kind {
                    InputKind::StatsWriter => connection.say(Arc::clone(&self.greeting.first)),
                    InputKind::Lines(_) | InputKind::Any | InputKind::Http => Wish::Read,
                };
                (Peer::Lines(connection), wish)
            }
        };
        if self.finish_by.is_some() {
            connection.stop_receiving();
        }
        self.timed += usize::from(matches!(connection, Peer::Http(_)));
        let key = self.connections.insert(connection);
        self.grant(key, wish);
    }

    fn http_connection(&self, socket: OwnedFd, seat: Seat, peer: String) -> Option<HttpConnection> {
        let session = HttpSession::new(seat, peer, self.wake.clone(), Instant::now())?;
        let name = session.input().name.clone();
        let connection = HttpConnection::new(socket, session);
        connection.inspect_err(|error| log::error!("input {name}: TLS: {error}")).ok()
    }

    fn reload(&mut self, update: LaneUpdate, greeting: Greeting) {
        self.lane.adopt(update);
        // The exporters have other places now; all who wait are asked again.
        for &key in self.waiting.iter().chain(&self.answering) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.forget_exporters();
            }
        }
        let wanted = std::mem::replace(&mut self.greeting, greeting);
        if wanted == self.greeting {
            return;
        }
        let writers = self.connections.iter();
        let writers = writers.filter(|(_, one)| one.input().kind == InputKind::StatsWriter);
        let writers: Vec<usize> = writers.map(|(key, _)| key).collect();
        for key in writers {
            let waiting = self.waiting.contains(&key);
            let Some(Peer::Lines(connection)) = self.connections.get_mut(key) else { continue };
            let wish = connection.say(Arc::clone(&self.greeting.filter));
            // Those who wait have their turn in a moment, and then write as well.
            if !waiting {
                self.grant(key, wish);
            }
        }
    }

    fn retire(&mut self, input: &Arc<Input>) {
        let connections = self.connections.iter_mut();
        // Its settings may have changed since they connected; its ledger has not.
        let theirs = connections.filter(|(_, one)| one.input().is_same(input));
        theirs.for_each(|(_, connection)| connection.retire());
    }

    fn finish(&mut self) {
        self.finish_by = Some(Instant::now() + LAST_READS);
        for (_, connection) in &mut self.connections {
            connection.stop_receiving();
        }
    }
}
