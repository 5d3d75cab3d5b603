//! One connection of a worker: a socket, and the session that reads it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{SendFlags, Shutdown},
};

use super::{
    Fed, Session,
    buffer::ReadBuffer,
    outgoing::Outgoing,
    session::{End, Input},
};
use crate::pipeline::Lane;

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To be read from when something has come.
    Read,
    /// The same, and to be written to when there is room.
    ReadAndWrite,
    /// To be written to when there is room, and not to be read before.
    Write,
    /// To wait until an exporter has room.
    Wait,
    /// To wait until a request can be answered.
    Answer,
    /// Nothing any more.
    Close,
}

/// How many reads it takes at most to have all that has arrived: a socket's buffer
/// holds a few megabytes.
const LAST_READS_MAX: u32 = 256;

/// A socket and its session.
#[derive(Debug)]
pub(super) struct Connection {
    /// Before the socket: it is dropped first, so that a peer that finds itself
    /// disconnected finds its place in the input free as well.
    session: Session,
    socket: OwnedFd,
    left_over: Vec<u8>,
    outgoing: Outgoing,
    /// The exporters it waits for; none if it does not wait.
    blocked_by: Vec<usize>,
    ended: bool,
    /// How often it may still be read, once its input is no more.
    last_reads: Option<u32>,
    /// When it was accepted.
    since: Instant,
    /// What it is registered for with its worker's epoll; `None` if it is not.
    pub(super) interest: Option<EventFlags>,
}

impl Connection {
    /// A connection that has said and heard nothing yet.
    pub(super) fn new(socket: OwnedFd, session: Session) -> Self {
        Connection {
            socket,
            session,
            left_over: Vec::new(),
            outgoing: Outgoing::default(),
            blocked_by: Vec::new(),
            ended: false,
            last_reads: None,
            since: Instant::now(),
            interest: None,
        }
    }

    /// The exporters it waits for; none if it does not wait.
    pub(super) fn blocked_by(&self) -> &[usize] {
        &self.blocked_by
    }

    /// Forgets which exporters it waits for: after a change of the configuration
    /// they may have other places. It is to be [resumed](Self::resume) then.
    pub(super) fn forget_blocked_by(&mut self) {
        self.blocked_by.clear();
    }

    /// Tells the peer something: now, or when it takes it.
    pub(super) fn say(&mut self, text: Arc<[u8]>) -> Wish {
        self.outgoing.say(text);
        self.write()
    }

    /// Whose connection it is.
    pub(super) fn input(&self) -> &Arc<Input> {
        self.session.input()
    }

    /// Reads once and feeds the session.
    pub(super) fn read(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        lane.tick();
        let read =
            buffer.fill(&mut self.left_over, |room| Ok(rustix::io::read(&self.socket, room)?));
        if let Some(left) = &mut self.last_reads {
            *left = left.saturating_sub(1);
            self.ended |= *left == 0;
        }
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            // Everything that had arrived has been read.
            Err(error) if is_temporary(&error) && self.last_reads.is_some() => self.ended = true,
            Err(error) if is_temporary(&error) => {}
            // A reset is an end like any other: what came before it counts.
            Err(_) => self.ended = true,
        }
        self.feed(buffer, lane)
    }

    /// Goes on with what was left over when an exporter had no room.
    pub(super) fn resume(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        lane.tick();
        self.blocked_by.clear();
        // Nothing is read: the fill only moves what was left over.
        let _ = buffer.fill(&mut self.left_over, |_| Ok(0));
        self.feed(buffer, lane)
    }

    fn feed(&mut self, buffer: &ReadBuffer, lane: &mut Lane) -> Wish {
        let (consumed, fed) = self.session.feed(buffer.bytes(), lane);
        let wish = match fed {
            Fed::Close => Wish::Close,
            Fed::Blocked => {
                self.blocked_by.extend_from_slice(lane.blocked_by());
                Wish::Wait
            }
            Fed::More if self.ended => {
                self.session.end(&buffer.bytes()[consumed..], End::OfConnection, lane);
                Wish::Close
            }
            Fed::More if self.outgoing.is_empty() => Wish::Read,
            Fed::More => Wish::ReadAndWrite,
        };
        if wish != Wish::Close {
            buffer.keep(consumed, &mut self.left_over);
        }
        lane.publish();
        wish
    }

    /// Writes what the peer takes of what it has not got yet.
    pub(super) fn write(&mut self) -> Wish {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        while !self.outgoing.is_empty() {
            match rustix::net::send(&self.socket, self.outgoing.bytes(), flags) {
                Ok(written) => self.outgoing.taken(written),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Wish::ReadAndWrite,
                // It does not listen; what it says may be read all the same.
                Err(_) => self.outgoing = Outgoing::default(),
            }
        }
        if self.blocked_by.is_empty() { Wish::Read } else { Wish::Wait }
    }

    /// Ends it soon, because its input is no more: what has arrived is read. (A
    /// TCP peer can go on to send; so the reads are counted.)
    pub(super) fn retire(&mut self) {
        self.stop_receiving();
        self.last_reads = Some(LAST_READS_MAX);
    }

    /// The same if it was there at that time, because its peer finds somebody else.
    pub(super) fn part(&mut self, before: Instant) {
        if self.since <= before && self.last_reads.is_none() {
            self.retire();
        }
    }

    /// Lets nothing more come: what has arrived can still be read.
    pub(super) fn stop_receiving(&self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Read);
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
