//! A thread that answers a few connections: those who read a running host.
//!
//! What is said is the business of a [`Dialog`], which does no IO. Here it is seen to
//! that nobody can harm the host by connecting: connections are few, the idle ones
//! make room for new ones, whoever is slow to ask or to read is closed after a
//! while, and nothing more is read from a peer that has not taken its answer yet.
//! A thread of this kind shares nothing with those that read events.

mod connection;
mod thread;

pub use thread::{Door, Server};

/// One connection's conversation.
pub trait Dialog: Send {
    /// Appends what is said to a peer before it has said anything.
    fn greet(&mut self, answers: &mut Vec<u8>);

    /// Reads from `received` at most one request, and appends its answer. What was not
    /// consumed comes again, with more behind it. Whatever a peer sends, a dialog
    /// must have consumed or refused it before 128 KiB are held.
    fn turn(&mut self, received: &[u8], answers: &mut Vec<u8>) -> Turn;

    /// Whether no request has begun, as far as the bytes go that were consumed.
    fn is_between_requests(&self) -> bool;

    /// Appends what is said to a peer whose request did not come to its end in time.
    fn too_late(&mut self, answers: &mut Vec<u8>);
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many bytes are done with.
    pub consumed: usize,
    /// What comes next.
    pub next: Next,
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is no whole request: more bytes are needed.
    More,
    /// A request has been answered; there may be another one.
    Answered,
    /// The host has been asked and will answer: another turn, when the server's
    /// [`Wake`](crate::queue::Wake) has been called.
    Wait,
    /// The connection's end, once the answers have been sent.
    Close,
}
