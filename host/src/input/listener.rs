//! The thread that listens: it accepts connections and hands each to the worker
//! that has the fewest.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    io::Errno,
};

use super::{
    session::Input,
    worker::{Command, WorkerHandle},
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
    /// What is said to every connection first.
    pub greeting: Arc<[u8]>,
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
            epoll::add(&epoll, &listener.socket, data, EventFlags::IN)?;
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
