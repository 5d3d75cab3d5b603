//! The thread that listens: it accepts connections and hands each to the worker
//! that has the fewest.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    io::Errno,
};

use super::{
    seat::Seat,
    session::Input,
    worker::{self, WorkerHandle},
};
use crate::{queue::Wake, socket::Socket, telemetry::log::RateLimit};

/// How long accepting rests after the process ran out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// An input with its socket.
pub struct Listener {
    /// The open socket.
    pub socket: Socket,
    /// Whose connections they are.
    pub input: Arc<Input>,
}

/// The running thread.
pub struct ListenerThread {
    commands: Sender<Command>,
    wake: Wake,
    thread: thread::JoinHandle<()>,
}

/// What the thread can be told.
enum Command {
    /// Accept on this socket, by this number.
    Open(u64, Listener),
    /// What the socket with this number accepts is this input's now.
    Hand(u64, Arc<Input>),
    /// Close the socket with this number, and say so.
    Close(u64, Sender<()>),
    /// Close all of them and end.
    Stop,
}

impl ListenerThread {
    /// Starts to accept connections for `workers`, on no socket yet.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor or thread left.
    pub fn start(workers: Vec<WorkerHandle>) -> io::Result<Self> {
        let wake = Wake::new()?;
        let (commands, told) = unbounded();
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        let state = State {
            epoll,
            wake: wake.clone(),
            commands: told,
            workers,
            listeners: HashMap::new(),
            trouble: RateLimit::new(Duration::from_secs(60)),
        };
        let thread = thread::Builder::new().name("listener".into()).spawn(move || state.run())?;
        Ok(ListenerThread { commands, wake, thread })
    }

    fn tell(&self, command: Command) {
        // The thread ends only by being told to, or with an error in the log.
        let _ = self.commands.send(command);
        self.wake.wake();
    }

    /// Accepts on one more socket, which is called by `number` from now on.
    pub fn open(&self, number: u64, listener: Listener) {
        self.tell(Command::Open(number, listener));
    }

    /// Gives what the socket will accept to another input.
    pub fn hand(&self, number: u64, input: Arc<Input>) {
        self.tell(Command::Hand(number, input));
    }

    /// Closes a socket: it is closed and its file removed when this returns.
    pub fn close(&self, number: u64) {
        let (done, closed) = bounded(1);
        self.tell(Command::Close(number, done));
        // A thread that has ended has closed it.
        let _ = closed.recv();
    }

    /// Stops to listen: the sockets are closed and their files removed when this
    /// returns.
    pub fn stop(self) {
        self.tell(Command::Stop);
        let _ = self.thread.join();
    }
}

/// The token of the thread's own wake-up among the sockets' numbers.
const WAKE_TOKEN: u64 = u64::MAX;

struct State {
    epoll: OwnedFd,
    wake: Wake,
    commands: Receiver<Command>,
    workers: Vec<WorkerHandle>,
    listeners: HashMap<u64, Listener>,
    trouble: RateLimit,
}

impl State {
    fn run(mut self) {
        let mut ready: Vec<Event> = Vec::with_capacity(64);
        loop {
            ready.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    log::error!("waiting for new connections failed: {error}");
                    return;
                }
            }
            for event in &ready {
                match event.data.u64() {
                    WAKE_TOKEN if self.obey() => return,
                    WAKE_TOKEN => {}
                    number => self.accept(number),
                }
            }
        }
    }

    /// Does what it was told; true when that is to end.
    fn obey(&mut self) -> bool {
        self.wake.clear();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open(number, listener) => self.open(number, listener),
                Command::Hand(number, input) => {
                    if let Some(listener) = self.listeners.get_mut(&number) {
                        listener.input = input;
                    }
                }
                Command::Close(number, done) => {
                    self.close(number);
                    drop(done);
                }
                Command::Stop => {
                    let numbers: Vec<u64> = self.listeners.keys().copied().collect();
                    numbers.into_iter().for_each(|number| self.close(number));
                    return true;
                }
            }
        }
        false
    }

    fn open(&mut self, number: u64, listener: Listener) {
        let data = EventData::new_u64(number);
        if let Err(error) = epoll::add(&self.epoll, &listener.socket, data, EventFlags::IN) {
            let name = &listener.input.name;
            log::error!("input {name}: new connections can't be waited for: {error}");
        }
        self.listeners.insert(number, listener);
    }

    /// What has been let in is not turned away: here, or by our successor.
    fn close(&mut self, number: u64) {
        if let Some(listener) = self.listeners.remove(&number) {
            // By name: a shared socket would go on being waited for.
            if let Err(error) = epoll::delete(&self.epoll, &listener.socket) {
                log::error!(
                    "input {}: its socket is still waited for: {error}",
                    listener.input.name
                );
            }
            if !listener.socket.is_shared() {
                let _ = accept_all(&listener, &self.workers);
            }
        }
    }

    fn accept(&self, number: u64) {
        let Some(listener) = self.listeners.get(&number) else { return };
        if let Err(error) = accept_all(listener, &self.workers) {
            if self.trouble.pass(Instant::now()).is_some() {
                let name = &listener.input.name;
                log::error!("input {name}: a connection could not be accepted: {error}");
            }
            thread::sleep(EXHAUSTED_PAUSE);
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
        let Some(least) = workers.iter().min_by_key(|worker| worker.connections()) else {
            return Ok(());
        };
        // Without a place in the input it is closed here.
        if let Some(seat) = Seat::take(&listener.input, &peer) {
            least.tell(worker::Command::Adopt(socket, seat, peer));
        }
    }
}
