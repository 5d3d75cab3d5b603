//! A reader thread: the inputs that have an end, `stdin` and `file`.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
};

use super::{
    Fed, Session,
    buffer::ReadBuffer,
    seat::Seat,
    session::{End, Input},
    worker::LAST_READS,
};
use crate::{
    format::Closed,
    pipeline::{Lane, LaneUpdate},
    queue::Wake,
};

/// What a reader reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// These files one after the other, each as a connection of its own.
    Files(Vec<PathBuf>),
}

/// A running reader.
pub struct Reader {
    stop: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    /// To be looked at once it has ended.
    has_failed: Arc<AtomicBool>,
    wake: Wake,
    updates: Sender<LaneUpdate>,
    /// One that is dropped without having begun reads nothing.
    begin: Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Reader {
    /// Starts a thread that reads as soon as it is told to
    /// [begin](Self::begin). When the end is reached and everything is in the queues,
    /// `notices` hears of it.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor or thread left.
    pub fn start(
        input: Arc<Input>,
        source: Source,
        lane: Lane,
        notices: Sender<()>,
    ) -> io::Result<Self> {
        let wake = Wake::new()?;
        let stop = Arc::new(AtomicBool::new(false));
        let abandoned = Arc::new(AtomicBool::new(false));
        let (updates, told) = unbounded();
        let state = State {
            input: Arc::clone(&input),
            lane,
            updates: told,
            buffer: ReadBuffer::new(),
            left_over: Vec::new(),
            wake: wake.clone(),
            stop: Arc::clone(&stop),
            abandoned: Arc::clone(&abandoned),
            drain_until: None,
            failed: false,
        };
        let ended = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&ended);
        let has_failed = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&has_failed);
        let (begin, begun) = bounded(1);
        let run = move || {
            if begun.recv().is_err() {
                return;
            }
            failed.store(!state.run(source), Ordering::Relaxed);
            done.store(true, Ordering::Release);
            // The pipeline may be ending for another reason and not listen any more.
            let _ = notices.send(());
        };
        let thread = thread::Builder::new().name(format!("input {}", input.name)).spawn(run)?;
        Ok(Reader { stop, abandoned, ended, has_failed, wake, updates, begin, thread })
    }

    /// What the queues call when there is room again.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Has the reader read.
    pub fn begin(&self) {
        // It waits for this and nothing else.
        let _ = self.begin.try_send(());
    }

    /// Has the reader go on with another configuration.
    pub fn reload(&self, update: LaneUpdate) {
        // A reader that has ended needs none.
        let _ = self.updates.send(update);
        self.wake.wake();
    }

    /// Has the reader take no more, put what it has into the queues, and end.
    pub fn finish(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake.wake();
    }

    /// Has the reader end at once; what is in the open batches stays there.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.finish();
    }

    /// Whether it has read everything that it could.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether it has ended, and something could not be read: the log says what.
    pub fn has_failed(&self) -> bool {
        self.has_ended() && self.has_failed.load(Ordering::Relaxed)
    }

    /// Whether its thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

struct State {
    input: Arc<Input>,
    lane: Lane,
    updates: Receiver<LaneUpdate>,
    buffer: ReadBuffer,
    left_over: Vec<u8>,
    wake: Wake,
    stop: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    /// Until when a reader that is to end goes on with what has arrived.
    drain_until: Option<Instant>,
    /// Something could not be read.
    failed: bool,
}

/// Opens a file to read. A FIFO that nobody writes to yet is waited for later, where
/// a stop is heard.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    File::options().read(true).custom_flags(flags).open(path)
}

impl State {
    /// Reads everything; whether all of it could be read.
    fn run(mut self, source: Source) -> bool {
        match source {
            Source::Stdin => match io::stdin().as_fd().try_clone_to_owned() {
                Ok(stdin) => self.read(&stdin, "standard input", true),
                Err(error) => self.fail("standard input", &error),
            },
            Source::Files(paths) => {
                for path in paths {
                    if self.stopped() {
                        break;
                    }
                    let shown = path.display().to_string();
                    match open(&path) {
                        Ok(file) => self.read(&file.into(), &shown, false),
                        Err(error) => self.fail(&shown, &error),
                    }
                }
            }
        }
        while !self.abandoned() && !self.lane.flush() {
            self.wait_for_room();
        }
        self.lane.publish();
        !self.failed
    }

    fn fail(&mut self, name: &str, error: &io::Error) {
        log::error!("input {}: {name}: {error}", self.input.name);
        self.failed = true;
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Reads to the end. Of a `pipe`, what has arrived is read even when the reader
    /// is to end: its writer counts it as delivered.
    fn read(&mut self, file: &OwnedFd, name: &str, pipe: bool) {
        let mut session =
            Session::new(Seat::reserved(&self.input), name.to_owned(), self.lane.symbols());
        self.left_over.clear();
        while self.wait_for_bytes(file, pipe) {
            let read = self.buffer.fill(&mut self.left_over, |room| {
                loop {
                    match rustix::io::read(file, &mut *room) {
                        Err(Errno::INTR) => {}
                        done => return Ok(done?),
                    }
                }
            });
            let ended = match read {
                Ok(brought) => brought == 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => {
                    self.fail(name, &error);
                    true
                }
            };
            if !self.feed(&mut session) {
                return;
            }
            if ended {
                self.lane.tick();
                session.end(&self.left_over, End::OfFile, &mut self.lane);
                self.lane.publish();
                return;
            }
        }
    }

    /// Feeds everything that was read, however long the exporters take. False
    /// when the rest is not worth reading: a recording of another protocol, or the
    /// host ends at once.
    fn feed(&mut self, session: &mut Session) -> bool {
        let mut consumed = 0;
        loop {
            self.adopt_updates();
            self.lane.tick();
            let (count, fed) = session.feed(&self.buffer.bytes()[consumed..], &mut self.lane);
            consumed += count;
            self.lane.publish();
            match fed {
                Fed::More => break,
                Fed::Close => return false,
                Fed::Blocked => {
                    let blocked_by = self.lane.blocked_by().to_vec();
                    while !self.lane.has_room(&blocked_by) {
                        if self.abandoned() {
                            return false;
                        }
                        if self.adopt_updates() {
                            // The exporters have other places now: try again.
                            break;
                        }
                        self.wait_for_room();
                        // All of them: what was for others must not wait as well.
                        self.lane.flush();
                    }
                }
            }
        }
        self.buffer.keep(consumed, &mut self.left_over);
        true
    }

    /// Goes on with the newest configuration; true if there was a new one.
    fn adopt_updates(&mut self) -> bool {
        let mut adopted = false;
        while let Ok(update) = self.updates.try_recv() {
            self.lane.adopt(update);
            adopted = true;
        }
        adopted
    }

    /// Waits until something can be read; false when the reader is to end. Before
    /// it waits, every open batch is closed that does not wait for more.
    fn wait_for_bytes(&mut self, file: &OwnedFd, pipe: bool) -> bool {
        while !self.stopped() {
            self.adopt_updates();
            if self.poll(Some(file), Some(0)) {
                return true;
            }
            let patience = match self.lane.flush_due() {
                Closed::Blocked => {
                    self.wait_for_room();
                    continue;
                }
                // A millisecond more than the rest of one, so that it is over then.
                Closed::Waiting(left) => i64::try_from(left.as_millis() + 1).ok(),
                Closed::All => None,
            };
            if !self.stopped() && self.poll(Some(file), patience) {
                // Looked once more at the stop: the poll without patience may have
                // taken the wake-up that came with it.
                return true;
            }
        }
        let until = *self.drain_until.get_or_insert_with(|| Instant::now() + LAST_READS);
        pipe && Instant::now() < until && self.poll(Some(file), Some(0))
    }

    fn wait_for_room(&self) {
        self.poll(None, Some(100));
    }

    /// Waits for `file`, a wake-up, or the end of `patience` in milliseconds; true
    /// when the file can be read.
    fn poll(&self, file: Option<&OwnedFd>, patience: Option<i64>) -> bool {
        let patience = patience
            .map(|millis| Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 });
        let mut waited = vec![PollFd::new(&self.wake, PollFlags::IN)];
        waited.extend(file.map(|file| PollFd::new(file, PollFlags::IN)));
        if poll(&mut waited, patience.as_ref()).is_err() {
            return false;
        }
        if !waited[0].revents().is_empty() {
            self.wake.clear();
        }
        waited.get(1).is_some_and(|file| !file.revents().is_empty())
    }
}
