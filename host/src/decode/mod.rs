//! From bytes to events: one decoder for each protocol, without any IO.
//!
//! A decoder borrows: an event's texts stay in the line they came in, and what
//! has to be written anew (an escape undone) goes to a scratch buffer that the
//! connection keeps. Nothing is dropped silently: a line is taken whole or not at all.

pub mod error;
pub mod stats_writer;
pub mod json_lines;
mod json_reader;
pub mod tab_text;
pub mod line;
mod number;
mod time;

pub use error::{LineError, Reason};
pub use line::{LineScratch, Protocol};
pub use stats_writer::StatsWriter;

use crate::event::{Event, OpenLimits};

/// What a line was.
#[expect(
    clippy::large_enum_variant,
    reason = "most lines are events; a box would be an allocation"
)]
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// The line by which a connection begins.
    Handshake,
    /// A line that changed the connection's state only.
    Context,
    /// An event that was sent.
    Event(Event<'a>),
}

/// The decoder of one connection.
#[derive(Debug)]
pub enum Decoder {
    /// For Dovecot's stats-writer protocol.
    StatsWriter(Box<StatsWriter>),
    /// For lines of JSON.
    Json(Box<LineScratch>),
    /// For lines of tab-text.
    TabText(Box<LineScratch>),
}

impl Decoder {
    /// A decoder that has seen nothing yet. `limits` are for protocols with
    /// open events.
    pub fn new(protocol: Protocol, limits: OpenLimits) -> Self {
        match protocol {
            Protocol::StatsWriter => Decoder::StatsWriter(Box::new(StatsWriter::new(limits))),
            Protocol::Json => Decoder::Json(Box::default()),
            Protocol::TabText => Decoder::TabText(Box::default()),
        }
    }

    /// What it decodes.
    pub fn protocol(&self) -> Protocol {
        match self {
            Decoder::StatsWriter(_) => Protocol::StatsWriter,
            Decoder::Json(_) => Protocol::Json,
            Decoder::TabText(_) => Protocol::TabText,
        }
    }

    /// Decodes the next line, given without its LF.
    ///
    /// # Errors
    ///
    /// When the line can't be understood: nothing has changed then.
    #[inline]
    pub fn decode<'a>(&'a mut self, line: &'a [u8]) -> Result<Decoded<'a>, LineError> {
        match self {
            Decoder::StatsWriter(writer) => writer.decode(line),
            Decoder::Json(scratch) => json_lines::decode(line, scratch).map(Decoded::Event),
            Decoder::TabText(scratch) => tab_text::decode(line, scratch).map(Decoded::Event),
        }
    }
}
