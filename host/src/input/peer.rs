//! A worker's connection, of lines or of requests.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Instant,
};

use rustix::event::epoll::EventFlags;

use super::{
    buffer::ReadBuffer,
    connection::{Connection, Wish},
    http::HttpConnection,
    session::Input,
};
use crate::pipeline::Lane;

/// Any connection of a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "those of lines are read most; a box would be one more step to each"
)]
pub(super) enum Peer {
    /// Lines.
    Lines(Connection),
    /// Requests.
    Http(Box<HttpConnection>),
}

impl Peer {
    /// What it is registered for with its worker's epoll.
    pub(super) fn interest(&mut self) -> &mut Option<EventFlags> {
        match self {
            Peer::Lines(connection) => &mut connection.interest,
            Peer::Http(connection) => &mut connection.interest,
        }
    }

    /// Whose connection it is.
    pub(super) fn input(&self) -> &Arc<Input> {
        match self {
            Peer::Lines(connection) => connection.input(),
            Peer::Http(connection) => connection.input(),
        }
    }

    /// The exporters it waits for; none if it does not wait for any.
    pub(super) fn blocked_by(&self) -> &[usize] {
        match self {
            Peer::Lines(connection) => connection.blocked_by(),
            Peer::Http(_) => &[],
        }
    }

    /// Whether nothing is to be read from it for now.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Peer::Lines(connection) => !connection.blocked_by().is_empty(),
            Peer::Http(connection) => connection.is_waiting(),
        }
    }

    /// After a change of the configuration exporters have other places.
    pub(super) fn forget_exporters(&mut self) {
        match self {
            Peer::Lines(connection) => connection.forget_blocked_by(),
            Peer::Http(connection) => connection.forget_destinations(),
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        match self {
            Peer::Lines(connection) => connection.read(buffer, lane),
            Peer::Http(connection) => connection.read(buffer, lane),
        }
    }

    /// Goes on with what had to wait.
    pub(super) fn resume(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        match self {
            Peer::Lines(connection) => connection.resume(buffer, lane),
            Peer::Http(connection) => connection.go_on(buffer, lane),
        }
    }

    /// Writes what the peer takes.
    pub(super) fn write(&mut self) -> Wish {
        match self {
            Peer::Lines(connection) => connection.write(),
            Peer::Http(connection) => connection.write(),
        }
    }

    /// Whether patience with it has come to its end.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        match self {
            Peer::Lines(_) => false,
            Peer::Http(connection) => connection.is_late(now),
        }
    }

    /// Does what is to be done then.
    pub(super) fn late(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        match self {
            Peer::Lines(_) => Wish::Read,
            Peer::Http(connection) => connection.late(buffer, lane),
        }
    }

    /// Ends it soon, because its input is no more: what has arrived is read.
    pub(super) fn retire(&mut self) {
        match self {
            Peer::Lines(connection) => connection.retire(),
            Peer::Http(connection) => connection.retire(),
        }
    }

    /// The same for one that was there at that time, because its peer finds somebody else. One of
    /// requests stays: it is told when its request is answered.
    pub(super) fn part(&mut self, before: Instant) {
        match self {
            Peer::Lines(connection) => connection.part(before),
            Peer::Http(_) => {}
        }
    }

    /// Lets nothing more come, because the host ends: what has arrived can still be read.
    pub(super) fn stop_receiving(&mut self) {
        match self {
            Peer::Lines(connection) => connection.stop_receiving(),
            // Each of its answers says so, too.
            Peer::Http(connection) => connection.retire(),
        }
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Peer::Lines(connection) => connection.as_fd(),
            Peer::Http(connection) => connection.as_fd(),
        }
    }
}
