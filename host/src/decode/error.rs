//! Why a line is not understood, and where.

use std::fmt;

/// What is wrong with a line, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    reason: Reason,
    offset: usize,
    expected: &'static str,
}

/// The kinds of rejected lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The line does not follow the grammar of its protocol or format.
    Syntax,
    /// A line of JSON is not UTF-8.
    Utf8,
    /// A part is none that events have.
    UnknownPart,
    /// A part or a field is there twice.
    Duplicate,
    /// A part has a value of a type that it can't have.
    WrongType,
    /// A time is not one, or can't be told in microseconds.
    Time,
    /// The line is longer than a decoder can count.
    TooLong,
    /// A JSON value is nested too deeply.
    TooDeep,
    /// There are more fields than an event may have.
    TooManyFields,
    /// There are more categories than an event may have.
    TooManyCategories,
    /// The connection does not begin with the VERSION line of a peer that we
    /// understand. The only reason to close it.
    Version,
    /// The line's command is none of the protocol's.
    UnknownCommand,
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
    /// The peers of an input together have, or the line would make them have, more
    /// than we keep.
    NoRoom,
}

impl LineError {
    /// An error at the byte `offset` of the line, where `expected` (a noun
    /// phrase) should stand.
    pub(super) const fn new(reason: Reason, offset: usize, expected: &'static str) -> Self {
        LineError { reason, offset, expected }
    }

    /// What kind of error it is.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Where in the line it is, in bytes from 1.
    pub const fn column(&self) -> usize {
        self.offset + 1
    }

    /// What should stand there, such as `a log type from 0 to 5`.
    pub const fn expected(&self) -> &'static str {
        self.expected
    }

    /// Whether the connection must be closed. Every other error costs the line
    /// only.
    pub fn closes_connection(&self) -> bool {
        self.reason == Reason::Version
    }
}

impl Reason {
    /// The word by which the ledger counts it; it never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::Syntax => "syntax",
            Reason::Utf8 => "utf8",
            Reason::UnknownPart => "unknown-part",
            Reason::Duplicate => "duplicate",
            Reason::WrongType => "wrong-type",
            Reason::Time => "time",
            Reason::TooLong => "too-long",
            Reason::TooDeep => "too-deep",
            Reason::TooManyFields => "too-many-fields",
            Reason::TooManyCategories => "too-many-categories",
            Reason::Version => "version",
            Reason::UnknownCommand => "unknown-command",
            Reason::UnknownEvent => "unknown-event",
            Reason::UnknownParent => "unknown-parent",
            Reason::DuplicateEvent => "duplicate-event",
            Reason::ChangedParent => "changed-parent",
            Reason::UnknownCategory => "unknown-category",
            Reason::ChangedCategory => "changed-category",
            Reason::TooMany => "too-many",
            Reason::NoRoom => "no-room",
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at column {}", self.expected, self.column())
    }
}

impl std::error::Error for LineError {}
