//! From bytes to events: one decoder for each protocol, without any IO.
//!
//! A decoder borrows: an event's texts stay in the line they came in, and what
//! has to be written anew (an escape undone) goes to a scratch buffer that the
//! connection keeps. Nothing is dropped silently: a line is taken whole or not at all.
//!
//! A field that the configuration does not ask for (see [`Symbols`]) is passed over
//! where nothing else could ask for it later: it is not in the event. What it would
//! be rejected for is not looked at then, but for what finds its end: a value
//! that is no number, time or address (stats-writer), an escape that there is not
//! (tab-text), its name a second time, and how many such fields there are. In JSON it must still be
//! JSON, nested no deeper than the limit.

mod cut;
pub mod error;
pub mod stats_writer;
pub mod json_lines;
mod json_reader;
pub mod tab_text;
pub mod line;
mod number;
mod shape;
mod side_by_side;
mod time;
mod token;

pub use cut::Line;
pub use error::{LineError, Reason};
pub use line::{LineScratch, Protocol};
pub use stats_writer::StatsWriter;

use std::sync::Arc;

use crate::event::{Event, OpenLimits, Symbols};

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
    /// open events; the configuration asks for `symbols`.
    pub fn new(protocol: Protocol, limits: OpenLimits, symbols: &Arc<Symbols>) -> Self {
        let symbols = Arc::clone(symbols);
        match protocol {
            Protocol::StatsWriter => {
                Decoder::StatsWriter(Box::new(StatsWriter::new(limits, symbols)))
            }
            Protocol::Json => Decoder::Json(Box::new(LineScratch::new(symbols))),
            Protocol::TabText => Decoder::TabText(Box::new(LineScratch::new(symbols))),
        }
    }

    /// Goes over to the names of another configuration, between two lines; without
    /// effect when they are those it has.
    pub fn set_symbols(&mut self, symbols: &Arc<Symbols>) {
        match self {
            Decoder::StatsWriter(writer) => writer.set_symbols(symbols),
            Decoder::Json(scratch) | Decoder::TabText(scratch) => scratch.set_symbols(symbols),
        }
    }

    /// Bytes of the events that the peer has open.
    pub fn open_bytes(&self) -> usize {
        match self {
            Decoder::StatsWriter(writer) => writer.open_events().bytes(),
            Decoder::Json(_) | Decoder::TabText(_) => 0,
        }
    }

    /// Allows so many bytes of open events for now, whatever its limits say.
    pub fn set_open_allowed(&mut self, bytes: usize) {
        match self {
            Decoder::StatsWriter(writer) => writer.set_open_allowed(bytes),
            Decoder::Json(_) | Decoder::TabText(_) => {}
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

    /// As it is, but without the learning of shapes: what the tests compare with.
    #[cfg(test)]
    fn without_shapes(mut self) -> Self {
        self.shapes().turn_off();
        self
    }

    #[cfg(test)]
    fn shapes(&mut self) -> &mut shape::Shapes {
        match self {
            Decoder::StatsWriter(writer) => writer.shapes(),
            Decoder::Json(scratch) | Decoder::TabText(scratch) => scratch.shapes(),
        }
    }

    /// Decodes the next line, given without its LF.
    ///
    /// # Errors
    ///
    /// When the line can't be understood: nothing has changed then.
    #[inline]
    pub fn decode<'a>(&'a mut self, line: impl Into<Line<'a>>) -> Result<Decoded<'a>, LineError> {
        let line = line.into();
        match self {
            Decoder::StatsWriter(writer) => writer.decode(line),
            Decoder::Json(scratch) => json_lines::decode(line.bytes(), scratch).map(Decoded::Event),
            Decoder::TabText(scratch) => {
                tab_text::decode(line.bytes(), scratch).map(Decoded::Event)
            }
        }
    }
}

#[cfg(test)]
mod tests;
