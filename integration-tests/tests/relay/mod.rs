//! A relay in a test: a line is decoded by the host and written again by a format.

use fantail::decode::{LineError, LineScratch};
use fantail::event::{Categories, Event};
use fantail_integration_tests::format_cases::cases;
use fantail_sdk::abi::{FormatInstance, FormatTableRef, RSlice, RawEvent, RawField, value_kind};
use fantail_sdk::{FieldValue, FormatContext, List};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use serde_json::json;

/// A decoder of lines.
pub(crate) type Decode = for<'a> fn(&'a [u8], &'a mut LineScratch) -> Result<Event<'a>, LineError>;

/// A decoder and the format that writes what it reads.
pub(crate) struct Relay {
    decode: Decode,
    rfc3339: FormatInstance,
    unix: FormatInstance,
    scratch: LineScratch,
}

impl Relay {
    /// A relay from lines that `decode` reads to the format of `table`.
    pub(crate) fn new(decode: Decode, table: fn() -> FormatTableRef) -> Self {
        let open = |time_format: &str| {
            let settings = json!({ "time_format": time_format });
            FormatInstance::open(table(), &settings, &FormatContext::default()).expect("it opens")
        };
        let (rfc3339, unix) = (open("rfc3339"), open("unix"));
        Relay { decode, rfc3339, unix, scratch: LineScratch::default() }
    }

    /// What becomes of `line`.
    pub(crate) fn relay(&mut self, line: &[u8], time_format: &str) -> Result<Vec<u8>, LineError> {
        let event = (self.decode)(line, &mut self.scratch)?;
        let format = if time_format == "unix" { &mut self.unix } else { &mut self.rfc3339 };
        Ok(write(format, &Written::of(&event)))
    }

    /// Checks that an event written, decoded and written again is the same bytes.
    pub(crate) fn check(&mut self, event: &Written) {
        for time_format in ["rfc3339", "unix"] {
            let format = if time_format == "unix" { &mut self.unix } else { &mut self.rfc3339 };
            let line = write(format, event);
            let relayed = self.relay(&line, time_format);
            let relayed = relayed.map(|line| line.escape_ascii().to_string());
            assert_eq!(relayed, Ok(line.escape_ascii().to_string()));
        }
    }

    /// Checks that every line that Dovecot wrote for a case comes out as it went in.
    pub(crate) fn check_cases(&mut self, format: &str) {
        for case in cases(format) {
            let Some(line) = case.expected else { continue };
            let relayed = self.relay(&line, &case.time_format);
            if case.id == "key-012" {
                // A metric that names a field twice: an event has a field once.
                assert_eq!(relayed.expect_err("a field twice").reason().word(), "duplicate");
                continue;
            }
            let relayed = relayed.map(|line| line.escape_ascii().to_string());
            assert_eq!(relayed, Ok(line.escape_ascii().to_string()), "{}", case.id);
        }
    }
}

/// An event as a format is given it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    parts: u32,
    name: Vec<u8>,
    hostname: Vec<u8>,
    start_micros: i64,
    end_micros: i64,
    categories: Vec<Vec<u8>>,
    fields: Vec<(Vec<u8>, WrittenValue)>,
}

#[derive(Clone, Debug)]
struct WrittenValue {
    kind: u32,
    text: Vec<u8>,
    number: i64,
}

impl Written {
    fn of(event: &Event<'_>) -> Self {
        let Categories::Named(bytes, names) = event.categories else { panic!("a line names them") };
        Written {
            parts: u32::from(event.parts.bits()),
            name: event.name.unwrap_or_default().to_vec(),
            hostname: event.hostname.unwrap_or_default().to_vec(),
            start_micros: event.start_time.as_micros(),
            end_micros: event.end_time.unwrap_or_default().as_micros(),
            categories: names.iter().map(|&name| bytes.at(name).to_vec()).collect(),
            fields: event
                .own
                .fields()
                .map(|field| (field.key.to_vec(), WrittenValue::of(field.value)))
                .collect(),
        }
    }
}

impl WrittenValue {
    fn new(kind: u32, text: &[u8], number: i64) -> Self {
        WrittenValue { kind, text: text.to_vec(), number }
    }

    fn of(value: FieldValue<'_>) -> Self {
        let raw = RawField::new(b"", value);
        Self::new(raw.kind, raw.text(), raw.number)
    }
}

fn write(format: &mut FormatInstance, event: &Written) -> Vec<u8> {
    let categories: Vec<RSlice<'_, u8>> =
        event.categories.iter().map(|name| name.as_slice().into()).collect();
    let fields: Vec<RawField<'_>> = event
        .fields
        .iter()
        .map(|(key, value)| RawField::of_kind(key, value.kind, &value.text, value.number))
        .collect();
    let raw = RawEvent {
        parts: event.parts,
        log_type: u32::MAX,
        name: event.name.as_slice().into(),
        hostname: event.hostname.as_slice().into(),
        start_micros: event.start_micros,
        end_micros: event.end_micros,
        categories: categories.as_slice().into(),
        fields: fields.as_slice().into(),
    };
    let mut payload = Vec::new();
    format.format(&raw, &mut payload).expect("it is written");
    payload
}

/// Any event that a format can be given, with any of its parts.
pub(crate) fn events() -> impl Strategy<Value = Written> {
    let names = prop::collection::vec(texts(), 0..4);
    let fields = prop::collection::vec((texts(), values()), 0..20);
    (0..64u32, texts(), texts(), any::<i64>(), any::<i64>(), names, fields).prop_map(
        |(parts, name, hostname, start_micros, end_micros, categories, fields)| {
            // The number makes keys differ, up to a `=` too.
            let key = |index: usize, key: Vec<u8>| [format!("{index}.").as_bytes(), &key].concat();
            let fields = fields.into_iter().enumerate();
            let fields = fields.map(|(index, (name, value))| (key(index, name), value)).collect();
            let with = |bit: u32| parts & bit != 0;
            Written {
                parts,
                name,
                hostname,
                start_micros,
                end_micros,
                categories: if with(16) { categories } else { Vec::new() },
                fields: if with(32) { fields } else { Vec::new() },
            }
        },
    )
}

/// Texts with much of what formats escape in them, and much that is not UTF-8.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => b'a'..=b'z',
        2 => prop::sample::select(b"\0\x01\t\r\n\x0b\"\\/=:\x7f".to_vec()),
        1 => any::<u8>(),
    ];
    let pieces = prop_oneof![
        6 => byte.prop_map(|byte| vec![byte]),
        1 => any::<char>().prop_map(|character| character.to_string().into_bytes()),
        1 => prop::sample::select(vec!["\u{2028}", "\u{2029}", "\x01t", "1.500000", "-7", "[1]"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = WrittenValue> {
    // As JSON values that nothing else stands for.
    let json =
        ["true", "null", "1.5", "-0", "1e9", "[1, {\"a\":\t\"\\n\"}]", "{}", "{\"a\" : [ ]}"];
    prop_oneof![
        3 => texts().prop_map(|text| WrittenValue::new(value_kind::TEXT, &text, 0)),
        1 => any::<i64>().prop_map(|number| WrittenValue::new(value_kind::INTEGER, b"", number)),
        1 => any::<i64>().prop_map(|micros| WrittenValue::new(value_kind::TIMESTAMP, b"", micros)),
        1 => Just(WrittenValue::new(value_kind::IP, b"2001:db8::1", 0)),
        1 => prop::collection::vec(texts(), 0..4).prop_map(|elements| {
            WrittenValue::new(value_kind::LIST, &List::escape(&elements), elements.len() as i64)
        }),
        1 => prop::sample::select(json.to_vec())
            .prop_map(|json| WrittenValue::new(value_kind::JSON, json.as_bytes(), 0)),
    ]
}
