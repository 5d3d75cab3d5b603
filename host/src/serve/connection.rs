//! One connection: its socket, its dialog, and what is on the way.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{SendFlags, Shutdown},
};

use super::{Dialog, Next};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How long a peer may be connected without asking anything. Whoever asks once a
/// minute keeps its connection.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// How long a request may take from its first byte to its last.
const ASKING_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take, and how long without any progress.
const ANSWERING_MAX: Duration = Duration::from_secs(60);
const STUCK_MAX: Duration = Duration::from_secs(10);

/// How long a peer may go on sending after the last word.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is asked.
    Idle,
    /// A request has begun.
    Asking,
    /// The host is working on the answer.
    Waiting,
    /// The peer has not taken all of its answer.
    Answering,
    /// Everything is said. What the peer still sends is read and passed over: to close
    /// before that could destroy our last answer on its way.
    Ending,
    /// To be closed.
    Over,
}

pub(super) struct Connection {
    socket: OwnedFd,
    dialog: Box<dyn Dialog>,
    received: Vec<u8>,
    answers: Vec<u8>,
    /// How much of the answers the peer has taken.
    taken: usize,
    phase: Phase,
    /// When the phase began, and when the peer last took something.
    since: Instant,
    progress: Instant,
    waiting: bool,
    /// There may be another request in what was received: others come first.
    hungry: bool,
    /// No further request is read.
    closing: bool,
    /// The peer sends no more.
    ended: bool,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, mut dialog: Box<dyn Dialog>, now: Instant) -> Self {
        let mut answers = Vec::new();
        dialog.greet(&mut answers);
        let mut connection = Connection {
            socket,
            dialog,
            received: Vec::new(),
            answers,
            taken: 0,
            phase: Phase::Idle,
            since: now,
            progress: now,
            waiting: false,
            hungry: false,
            closing: false,
            ended: false,
        };
        connection.send(now);
        // It may have asked already; then it is not taken for an idle one.
        connection.ready(PollFlags::IN, now);
        connection
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when it has been in its phase.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// What to wait for. (An error or a vanished peer is always heard of.)
    pub(super) fn interest(&self) -> PollFlags {
        match self.phase {
            // Which it is at once.
            Phase::Asking if self.hungry => PollFlags::OUT,
            Phase::Idle | Phase::Asking | Phase::Ending => PollFlags::IN,
            Phase::Answering => PollFlags::OUT,
            Phase::Waiting | Phase::Over => PollFlags::empty(),
        }
    }

    /// When patience with the peer ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => Some(self.since + IDLE_MAX),
            Phase::Asking => Some(self.since + ASKING_MAX),
            Phase::Answering => Some((self.since + ANSWERING_MAX).min(self.progress + STUCK_MAX)),
            Phase::Ending => Some(self.since + ENDING_MAX),
            Phase::Waiting | Phase::Over => None,
        }
    }

    /// Does what can be done now that the socket is ready for `events`.
    pub(super) fn ready(&mut self, events: PollFlags, now: Instant) {
        match self.phase {
            _ if events.contains(PollFlags::ERR) => self.phase = Phase::Over,
            // Its end alone is no reason: it may have asked, and wait for the answer.
            Phase::Waiting if events.contains(PollFlags::HUP) => self.phase = Phase::Over,
            Phase::Idle | Phase::Asking if !self.hungry => self.read(),
            Phase::Ending => self.pass_over(),
            Phase::Answering => self.send(now),
            Phase::Idle | Phase::Asking | Phase::Waiting | Phase::Over => {}
        }
        self.talk(now);
    }

    /// Looks whether the host has answered.
    pub(super) fn woken(&mut self, now: Instant) {
        if self.phase == Phase::Waiting {
            self.waiting = false;
            self.talk(now);
        }
    }

    /// The deadline has passed.
    pub(super) fn late(&mut self, now: Instant) {
        if self.phase == Phase::Asking {
            self.dialog.too_late(&mut self.answers);
            self.closing = true;
            self.received.clear();
            self.send(now);
            self.settle(now);
        } else {
            self.phase = Phase::Over;
        }
    }

    fn read(&mut self) {
        let held = self.received.len();
        self.received.resize(held + READ_BYTES, 0);
        let read = rustix::io::read(&self.socket, &mut self.received[held..]);
        self.received.truncate(held + read.unwrap_or(0));
        match read {
            Ok(0) => self.ended = true,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.phase = Phase::Over,
        }
    }

    fn pass_over(&mut self) {
        match rustix::io::read(&self.socket, &mut [0; READ_BYTES]) {
            Ok(0) => self.phase = Phase::Over,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.phase = Phase::Over,
        }
    }

    /// Lets the dialog answer one request, if it may.
    fn talk(&mut self, now: Instant) {
        if self.phase != Phase::Over && !self.waiting && !self.closing && self.is_sent() {
            let turn = self.dialog.turn(&self.received, &mut self.answers);
            self.received.drain(..turn.consumed);
            self.hungry = turn.next == Next::Answered && !self.received.is_empty();
            match turn.next {
                // What has not come until the peer's end will not come.
                Next::More => self.closing = self.ended,
                // The next request begins now.
                Next::Answered => self.since = now,
                Next::Wait => self.waiting = true,
                Next::Close => self.closing = true,
            }
            self.send(now);
        }
        self.settle(now);
    }

    fn is_sent(&self) -> bool {
        self.taken == self.answers.len()
    }

    fn send(&mut self, now: Instant) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        while !self.is_sent() {
            match rustix::net::send(&self.socket, &self.answers[self.taken..], flags) {
                Ok(count) => {
                    self.taken += count;
                    self.progress = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.phase = Phase::Over;
                    break;
                }
            }
        }
        // A large answer's memory is not kept for the next one.
        self.answers = Vec::new();
        self.taken = 0;
    }

    /// Finds out the phase.
    fn settle(&mut self, now: Instant) {
        let phase = match self.phase {
            Phase::Over => Phase::Over,
            _ if !self.is_sent() => Phase::Answering,
            Phase::Ending => Phase::Ending,
            _ if self.closing && self.ended => Phase::Over,
            _ if self.closing => match rustix::net::shutdown(&self.socket, Shutdown::Write) {
                Ok(()) => Phase::Ending,
                Err(_) => Phase::Over,
            },
            _ if self.waiting => Phase::Waiting,
            _ if self.received.is_empty() && self.dialog.is_between_requests() => Phase::Idle,
            _ => Phase::Asking,
        };
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
            self.progress = now;
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        os::unix::net::UnixStream,
        time::{Duration, Instant},
    };

    use rustix::event::PollFlags;

    use super::{ASKING_MAX, Connection, ENDING_MAX, IDLE_MAX, Phase, STUCK_MAX};
    use crate::serve::{Dialog, Next, Turn};

    /// Says every line again; `large`, `wait` and `end` are something else.
    struct Echo {
        asked: bool,
    }

    impl Dialog for Echo {
        fn greet(&mut self, answers: &mut Vec<u8>) {
            answers.extend_from_slice(b"hello\n");
        }

        fn turn(&mut self, received: &[u8], answers: &mut Vec<u8>) -> Turn {
            let Some(end) = received.iter().position(|byte| *byte == b'\n') else {
                return Turn { consumed: 0, next: Next::More };
            };
            let line = &received[..=end];
            match line {
                b"wait\n" if !self.asked => {
                    self.asked = true;
                    return Turn { consumed: 0, next: Next::Wait };
                }
                b"large\n" => answers.resize(8 << 20, b'x'),
                _ => answers.extend_from_slice(line),
            }
            let next = if line == b"end\n" { Next::Close } else { Next::Answered };
            Turn { consumed: line.len(), next }
        }

        fn is_between_requests(&self) -> bool {
            true
        }

        fn too_late(&mut self, answers: &mut Vec<u8>) {
            answers.extend_from_slice(b"too late\n");
        }
    }

    struct Pair {
        peer: UnixStream,
        connection: Connection,
        now: Instant,
    }

    impl Pair {
        fn new(said: &str) -> Self {
            let (ours, mut peer) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            peer.set_nonblocking(true).unwrap();
            peer.write_all(said.as_bytes()).unwrap();
            let now = Instant::now();
            let dialog = Box::new(Echo { asked: false });
            Pair { peer, connection: Connection::new(ours.into(), dialog, now), now }
        }

        fn say(&mut self, text: &str) -> &mut Self {
            self.peer.write_all(text.as_bytes()).unwrap();
            self.turn()
        }

        fn turn(&mut self) -> &mut Self {
            let events = self.connection.interest();
            self.connection.ready(events, self.now);
            self
        }

        /// Lets time go by, and the deadline pass if it is there.
        fn later(&mut self, time: Duration) -> &mut Self {
            self.now += time;
            if self.connection.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.connection.late(self.now);
            }
            self
        }

        #[track_caller]
        fn hears(&mut self, expected: &str) -> &mut Self {
            let mut heard = Vec::new();
            match self.peer.read_to_end(&mut heard) {
                Ok(_) => heard.extend_from_slice(b"<end>"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert_eq!(String::from_utf8(heard).unwrap(), expected);
            self
        }

        #[track_caller]
        fn is(&mut self, phase: Phase) -> &mut Self {
            assert_eq!(self.connection.phase(), phase);
            self
        }
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn requests_are_answered_one_a_turn() {
        let mut pair = Pair::new("a\nb\nc");
        pair.hears("hello\na\n").is(Phase::Asking);
        assert_eq!(pair.connection.interest(), PollFlags::OUT);
        pair.turn().hears("b\n").turn().hears("").is(Phase::Asking);
        assert_eq!(pair.connection.interest(), PollFlags::IN);
        pair.say("\n").hears("c\n").is(Phase::Idle);
        pair.later(IDLE_MAX - MOMENT).say("d\n").hears("d\n").is(Phase::Idle);
        pair.later(IDLE_MAX - MOMENT).is(Phase::Idle).later(MOMENT).is(Phase::Over);
    }

    #[test]
    fn whoever_asks_slowly_is_told() {
        let mut pair = Pair::new("");
        pair.hears("hello\n").say("a").later(ASKING_MAX / 2).say("b").later(ASKING_MAX / 2);
        pair.hears("too late\n<end>").is(Phase::Ending).say("more").is(Phase::Ending);
        pair.later(ENDING_MAX).is(Phase::Over);
    }

    #[test]
    fn whoever_does_not_read_is_left() {
        let mut pair = Pair::new("large\nb\n");
        pair.is(Phase::Answering).later(STUCK_MAX - MOMENT).is(Phase::Answering);
        // Nothing is read from it meanwhile.
        assert_eq!(pair.connection.interest(), PollFlags::OUT);
        pair.later(MOMENT).is(Phase::Over);
    }

    #[test]
    fn whoever_reads_slowly_gets_all_of_it() {
        let mut pair = Pair::new("large\nb\n");
        let (mut heard, mut buffer) = (0, vec![0; 512 << 10]);
        while heard < (8 << 20) + "hello\n".len() - "b\n".len() {
            heard += pair.peer.read(&mut buffer).unwrap();
            pair.later(MOMENT).turn();
        }
        pair.turn().turn();
        assert!(pair.connection.phase() == Phase::Idle, "{:?}", pair.connection.phase());
    }

    #[test]
    fn a_half_closed_peer_gets_its_answers() {
        let mut pair = Pair::new("a\nb\nrest");
        pair.peer.shutdown(std::net::Shutdown::Write).unwrap();
        pair.turn().turn().turn().hears("hello\na\nb\n").is(Phase::Over);
    }

    #[test]
    fn the_last_word_ends_it() {
        let mut pair = Pair::new("end\nmore\n");
        pair.hears("hello\nend\n<end>").is(Phase::Ending);
        pair.peer.shutdown(std::net::Shutdown::Write).unwrap();
        pair.turn().turn().is(Phase::Over);
    }

    #[test]
    fn an_answer_may_come_later() {
        let mut pair = Pair::new("wait\n");
        pair.hears("hello\n").is(Phase::Waiting).later(Duration::from_secs(3600));
        pair.is(Phase::Waiting);
        pair.connection.woken(pair.now);
        pair.hears("wait\n").is(Phase::Idle);
    }
}
