//! `data/cases/format_cases.json`: events, and the exact bytes that Dovecot's own
//! formats made of them.
//!
//! A case gives an event with its parent and its global event; a format is given
//! one flat event, so the cases are flattened here, in a plain way of their own.

#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a panic here is a failed test")]

use std::collections::BTreeSet;

use fantail_sdk::{
    Format, FormatContext,
    runner::{FormatRunner, TestEvent},
};
use serde_json::{Value, json};

/// The file's text.
pub const TEXT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/cases/format_cases.json"));

/// The longest field that the driver `log` asks for, in bytes.
const LOG_FIELD_LENGTH_MAX: usize = 1000;

/// One case for one format.
pub struct FormatCase {
    /// Its name in the file.
    pub id: String,
    /// The flat event.
    pub event: TestEvent,
    /// The exporter's `time_format`.
    pub time_format: String,
    /// What the exporter's driver asks for.
    pub context: FormatContext,
    /// The payload; `None` where Dovecot dies instead of writing one.
    pub expected: Option<Vec<u8>>,
}

/// All cases that the file has for `format`.
pub fn cases(format: &str) -> Vec<FormatCase> {
    let file: Value = serde_json::from_str(TEXT).expect("the file is JSON");
    let cases = file["cases"].as_array().expect("the file has cases");
    let of_format = cases.iter().filter(|case| !case["output"][format].is_null());
    of_format.map(|case| format_case(case, format, &file["categories"])).collect()
}

/// Has the format `F` write every case that the file has for `name`, and compares.
///
/// `instead` says what is to come where Dovecot dies.
pub fn check_cases<F: Format>(name: &str, instead: impl Fn(&str) -> Vec<u8>) {
    let cases = cases(name);
    assert!(cases.len() > 90, "{} cases", cases.len());
    for case in cases {
        let settings = json!({ "time_format": case.time_format });
        let mut runner =
            FormatRunner::open_with::<F>(&settings, &case.context).expect("good settings");
        let payload = runner.format(&case.event).expect("it is written");
        let expected = case.expected.unwrap_or_else(|| instead(&case.id));
        let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(show(&payload), show(&expected), "{}", case.id);
    }
}

fn format_case(case: &Value, format: &str, registry: &Value) -> FormatCase {
    let output = &case["output"][format];
    let expected = output["hex"].as_str().map(from_hex);
    let log = case["driver"] == "log";
    FormatCase {
        id: text(&case["id"]),
        event: test_event(case, expected.as_deref().unwrap_or_default(), registry),
        time_format: text(&case["time_format"]),
        context: FormatContext::new("cases", log.then_some(LOG_FIELD_LENGTH_MAX)),
        expected,
    }
}

fn test_event(case: &Value, expected: &[u8], registry: &Value) -> TestEvent {
    let includes = |part: &str| {
        case["include"].as_array().expect("as the cases are made").iter().any(|one| one == part)
    };
    let mut event = TestEvent::new();
    if let (true, Some(name)) = (includes("name"), case["event"]["name"].as_str()) {
        event = event.name(name);
    }
    if includes("hostname") {
        event = event.hostname(text(&case["hostname"]));
    }
    if includes("timestamps") {
        event = event.times(micros(&case["event"]["created"]), micros(&case["end_time"]));
    }
    if includes("categories") {
        event = event.categories(&in_order_of(expected, categories(case, registry)));
    }
    if includes("fields") {
        event = event.fields();
        let fields = fields(case);
        let Some(wanted) = case["metric_fields"].as_array() else {
            return fields.iter().fold(event, with_field);
        };
        let find = |key: &Value| fields.iter().find(|(known, _)| key == known);
        event = wanted.iter().filter_map(find).fold(event, with_field);
    }
    event
}

/// The event itself, then its parents from the nearest up.
fn chain(event: &Value) -> Vec<&Value> {
    let given = (!event.is_null()).then_some(event);
    std::iter::successors(given, |event| event.get("parent")).collect()
}

/// All events whose fields the case's event has, the one with the last word last.
fn layers(case: &Value) -> Vec<&Value> {
    let event = &case["event"];
    let global = chain(&event["global"]).into_iter().rev();
    global.chain(chain(event).into_iter().rev()).collect()
}

#[derive(Clone)]
enum FieldOf<'a> {
    Text(Vec<u8>),
    Integer(i64),
    Time(i64),
    Ip(String),
    List(Vec<&'a str>),
}

fn fields(case: &Value) -> Vec<(String, FieldOf<'_>)> {
    let mut flat: Vec<(String, FieldOf<'_>)> = Vec::new();
    for layer in layers(case) {
        for field in layer["fields"].as_array().expect("as the cases are made") {
            let (key, value) = (text(&field["key"]), field_value(field));
            let Some((_, known)) = flat.iter_mut().find(|(known, _)| *known == key) else {
                flat.push((key, value));
                continue;
            };
            match (known, value) {
                (FieldOf::List(known), FieldOf::List(more)) => {
                    for element in more {
                        if !known.contains(&element) {
                            known.push(element);
                        }
                    }
                }
                (known, value) => *known = value,
            }
        }
    }
    let duration = case["event"]["duration_usecs"].as_i64().expect("as the cases are made");
    flat.push(("duration".to_owned(), FieldOf::Integer(duration)));
    flat
}

fn field_value(field: &Value) -> FieldOf<'_> {
    let value = &field["value"];
    match field["type"].as_str().expect("as the cases are made") {
        "str" => FieldOf::Text(match field["value_hex"].as_str() {
            Some(hex) => from_hex(hex),
            None => text(value).into_bytes(),
        }),
        "int" => FieldOf::Integer(value.as_i64().expect("as the cases are made")),
        "time" => FieldOf::Time(micros(value)),
        "ip" => FieldOf::Ip(
            text(value).parse::<std::net::IpAddr>().expect("as the cases are made").to_string(),
        ),
        "strlist" => {
            let mut elements: Vec<&str> = Vec::new();
            for element in value
                .as_array()
                .expect("as the cases are made")
                .iter()
                .map(|one| one.as_str().expect("as the cases are made"))
            {
                // Over the wire a list comes as it is; set in a process it has no duplicates.
                if field["wire_import"] == true || !elements.contains(&element) {
                    elements.push(element);
                }
            }
            FieldOf::List(elements)
        }
        other => panic!("no such type of field: {other}"),
    }
}

fn with_field(event: TestEvent, (key, value): &(String, FieldOf<'_>)) -> TestEvent {
    match value {
        FieldOf::Text(text) => event.text(key, text),
        FieldOf::Integer(number) => event.integer(key, *number),
        FieldOf::Time(micros) => event.timestamp(key, *micros),
        FieldOf::Ip(address) => event.ip(key, address),
        FieldOf::List(elements) => event.list(key, elements),
    }
}

/// The categories of all layers and their ancestors.
fn categories(case: &Value, registry: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for layer in layers(case) {
        for name in layer["categories"].as_array().expect("as the cases are made") {
            let ancestors = std::iter::successors(name.as_str(), |name| registry[*name].as_str());
            all.extend(ancestors.map(str::to_owned));
        }
    }
    all
}

/// The names in the order in which the payload has them: Dovecot's is by chance.
fn in_order_of(payload: &[u8], names: BTreeSet<String>) -> Vec<String> {
    let place = |name: &String| {
        let quoted = [format!("\"{name}\""), format!("category:{name}\t")];
        let payload = [payload, b"\t"].concat();
        let mut windows = quoted.iter().filter_map(|wanted| {
            payload.windows(wanted.len()).position(|window| window == wanted.as_bytes())
        });
        windows.next().unwrap_or(0)
    };
    let mut ordered: Vec<String> = names.into_iter().collect();
    ordered.sort_by_key(place);
    ordered
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn micros(time: &Value) -> i64 {
    time["sec"].as_i64().expect("as the cases are made") * 1_000_000
        + time["usec"].as_i64().expect("as the cases are made")
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|two| {
            u8::from_str_radix(str::from_utf8(two).expect("as the cases are made"), 16)
                .expect("as the cases are made")
        })
        .collect()
}
