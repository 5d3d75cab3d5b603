//! What can be wrong with a line.

use std::fmt;

/// Why a line was rejected, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    reason: Reason,
    column: usize,
    expected: &'static str,
}

/// The kinds of rejected lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The connection does not begin with the VERSION line of a peer that we
    /// understand. The only reason to close it.
    Version,
    /// The line's command is none of the protocol's.
    UnknownCommand,
    /// An argument is missing or is not what it must be.
    Syntax,
    /// The line is longer than [`LINE_MAX`](super::LINE_MAX).
    TooLong,
    /// UPDATE, END or a global event's id names an event that is not open.
    UnknownEvent,
    /// A parent's id names an event that is not open.
    UnknownParent,
    /// BEGIN names an event that is open already.
    DuplicateEvent,
    /// UPDATE names another parent than the event's.
    ChangedParent,
    /// A category has not been registered.
    UnknownCategory,
    /// CATEGORY names another parent than the first time.
    ChangedCategory,
    /// The peer has, or the line would make it have, more than we keep.
    TooMany,
}

impl LineError {
    pub(super) fn new(reason: Reason, column: usize, expected: &'static str) -> Self {
        LineError { reason, column, expected }
    }

    /// What kind of error it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Where in the line the offending argument starts, in bytes from 0.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What should have been there, such as `a log type from 0 to 5`.
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    /// Whether the connection must be closed. Every other error costs the line
    /// only.
    pub fn closes_connection(&self) -> bool {
        self.reason == Reason::Version
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 11] = [
        Reason::Version,
        Reason::UnknownCommand,
        Reason::Syntax,
        Reason::TooLong,
        Reason::UnknownEvent,
        Reason::UnknownParent,
        Reason::DuplicateEvent,
        Reason::ChangedParent,
        Reason::UnknownCategory,
        Reason::ChangedCategory,
        Reason::TooMany,
    ];

    /// The word by which the ledger counts it.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::Version => "version",
            Reason::UnknownCommand => "unknown-command",
            Reason::Syntax => "syntax",
            Reason::TooLong => "too-long",
            Reason::UnknownEvent => "unknown-event",
            Reason::UnknownParent => "unknown-parent",
            Reason::DuplicateEvent => "duplicate-event",
            Reason::ChangedParent => "changed-parent",
            Reason::UnknownCategory => "unknown-category",
            Reason::ChangedCategory => "changed-category",
            Reason::TooMany => "too-many",
        }
    }
}

impl fmt::Display for LineError {
    /// One sentence without the full stop; columns count from 1 here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: expected {}", self.column + 1, self.expected)
    }
}

impl std::error::Error for LineError {}
