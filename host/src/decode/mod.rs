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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Decoded, Decoder, Protocol};
    use crate::event::{OpenLimits, Symbols, Wanted};

    fn table(fields: &[&str], categories: &[&str]) -> Arc<Symbols> {
        let mut wanted = Wanted::all();
        fields.iter().for_each(|name| wanted.field(name));
        categories.iter().for_each(|name| wanted.category(name));
        Arc::new(Symbols::new(&wanted))
    }

    /// The symbols of the last line's fields by name, and its categories' bits.
    fn symbols(decoder: &mut Decoder, line: &str, symbols: &Symbols) -> (Vec<String>, Vec<u64>) {
        let Ok(Decoded::Event(event)) = decoder.decode(line.as_bytes()) else { panic!("{line}") };
        let fields = event.layers().flat_map(|layer| layer.fields());
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = fields.filter(|field| field.symbol.is_some()).map(|field| {
            assert_eq!(symbols.name(field.symbol), field.key);
            assert_eq!(event.value_of(field.symbol), event.value(field.key));
            name(field.key)
        });
        let mut bits = vec![0; symbols.category_words()];
        event.category_bits(symbols, &mut bits);
        (fields.collect(), bits)
    }

    #[test]
    fn every_decoder_notes_the_symbols_of_the_table_it_has() {
        let before =
            ["VERSION\tstats-client\t4\t0", "CATEGORY\tstorage", "CATEGORY\tmbox\tstorage"];
        let begin = "BEGIN\t7\t0\t0\t1\t0\tcmbox\tSuser\tx\tSother\ty";
        let lines = [
            (Protocol::StatsWriter, "EVENT\t0\t7\t0\t1\t0\tIn\t3\tSo\x01tther\tz"),
            (
                Protocol::Json,
                r#"{"categories":["mbox","storage"],
                    "fields":{"n":3,"o\tther":"z","duration":0,"user":"x","other":"y"}}"#,
            ),
            (
                Protocol::TabText,
                "category:mbox\tcategory:storage\tfield:n=3\tfield:o\x01tther=z\t\
                 field:duration=0\tfield:user=x\tfield:other=y",
            ),
        ];
        let first = table(&["n", "user", "o\tther"], &["storage"]);
        let second = table(&["other"], &["inbox", "mbox", "storage"]);
        for (protocol, line) in lines {
            let mut decoder = Decoder::new(protocol, OpenLimits::default(), &first);
            if protocol == Protocol::StatsWriter {
                for line in before.iter().chain([&begin]) {
                    decoder.decode(line.as_bytes()).unwrap();
                }
            }
            let mut check = |table: &Arc<Symbols>, mut expected: Vec<&str>, bits: u64| {
                decoder.set_symbols(table);
                let (mut found, set) = symbols(&mut decoder, line, table);
                found.sort();
                found.dedup();
                expected.sort_unstable();
                assert_eq!(
                    (found, set),
                    (expected.into_iter().map(str::to_owned).collect(), vec![bits])
                );
            };
            check(&first, vec!["n", "o\tther", "duration", "user"], 0b1);
            check(&second, vec!["other", "duration"], 0b110);
            check(&first, vec!["n", "o\tther", "duration", "user"], 0b1);
        }
    }
}
