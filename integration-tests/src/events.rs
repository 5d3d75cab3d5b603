//! Events in each of the languages that inputs speak, and one for formats.

use fantail_sdk::{abi::RawEvent, runner::TestEvent};
use serde_json::Value;

use crate::load::Load;

/// A line of JSON: an event with the field `n`.
pub fn json(name: &str, n: usize) -> String {
    json_with(name, &format!("\"n\":{n}"))
}

/// The `n` of each of the lines that [`json`] writes.
///
/// # Panics
///
/// When a line has none at its end.
pub fn numbers(lines: &[String]) -> Vec<usize> {
    let number = |line: &String| {
        let digits = line.rsplit_once("\"n\":").expect("a number").1;
        digits.trim_end_matches('}').parse().expect("a number")
    };
    lines.iter().map(number).collect()
}

/// A line of JSON: an event with these members of its `fields`.
pub fn json_with(name: &str, fields: &str) -> String {
    format!(
        "{{\"event\":\"{name}\",\"hostname\":\"mail1\",\
         \"start_time\":\"2026-03-01T10:00:00.000001Z\",\
         \"end_time\":\"2026-03-01T10:00:00.000002Z\",\
         \"categories\":[],\"fields\":{{{fields}}}}}"
    )
}

/// A line of tab-text: an event with the field `n`.
pub fn tab_text(name: &str, n: usize) -> String {
    format!(
        "event:{name}\thostname:mail1\tstart_time:2026-03-01T10:00:00.000001Z\t\
         end_time:2026-03-01T10:00:00.000002Z\tcategory:storage\tfield:n={n}"
    )
}

/// A stats-writer line: an event with the field `n`.
pub fn stats(name: &str, n: usize) -> String {
    format!("EVENT\t0\t0\t0\t1700000000\t0\tl1700000000\t25\tn{name}\tIn\t{n}")
}

/// What a format is given for an event as IMAP servers send them, with 15 fields.
pub fn imap_command() -> TestEvent {
    TestEvent::new()
        .name("imap_command_finished")
        .hostname("mx1.example.com")
        .times(1_560_940_705_422_744, 1_560_940_712_250_000)
        .categories(&["imap", "service:imap"])
        .text("user", "jeffpc@example.com")
        .text("session", "xlBB1KqLz1isGwB+")
        .text("service", "imap")
        .text("mailbox", "INBOX")
        .integer("command_tag", 5)
        .text("cmd_name", "SELECT")
        .text("cmd_args", "INBOX")
        .text("tagged_reply_state", "OK")
        .text("tagged_reply", "OK [READ-WRITE] Done")
        .timestamp("last_run_time", 1_560_940_705_422_709)
        .integer("running_usecs", 1953)
        .integer("net_in_bytes", 7)
        .integer("net_out_bytes", 331)
        .ip("remote_ip", "192.0.2.1")
        .integer("duration", 2068)
}

/// What a format is given for the first `count` events of a [`Load`], but for the times,
/// which are others.
///
/// # Panics
///
/// When a load is not what `json` writes: a bug.
pub fn mail(count: usize) -> Vec<TestEvent> {
    let load = Load::new(1, count);
    let lines = load.json.split_inclusive(|byte| *byte == b'\n').take(count);
    let event = |(number, line): (usize, &[u8])| {
        let line = serde_json::from_slice(line).expect("a line of JSON");
        mail_event(&line, 1_790_000_000_000_000 + 12_345 * number as i64)
    };
    lines.enumerate().map(event).collect()
}

/// The event that began at this moment, in microseconds.
fn mail_event(line: &Value, micros: i64) -> TestEvent {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().expect("an array").iter().map(text).collect()
    };
    let event = TestEvent::new()
        .name(text(&line["event"]))
        .hostname(text(&line["hostname"]))
        .times(micros, micros + 1_234)
        .categories(&texts(&line["categories"]));
    let fields = line["fields"].as_object().expect("fields");
    fields.iter().fold(event, |event, (key, value)| match value {
        Value::Number(number) => event.integer(key, number.as_i64().expect("an integer")),
        Value::Array(_) => event.list(key, &texts(value)),
        _ if key.ends_with("_time") => event.timestamp(key, micros + 12),
        text_value => event.text(key, text(text_value)),
    })
}

/// Shows `use_it` all of the events at once, as formats are given them.
pub fn with_raws<T>(events: &[TestEvent], use_it: impl FnOnce(&[RawEvent<'_>]) -> T) -> T {
    fn next<T>(
        events: &[TestEvent],
        raws: Vec<RawEvent<'_>>,
        use_it: impl FnOnce(&[RawEvent<'_>]) -> T,
    ) -> T {
        match events.split_first() {
            None => use_it(&raws),
            Some((event, rest)) => event.with_raw(|raw| {
                let mut raws: Vec<RawEvent<'_>> = raws.to_vec();
                raws.push(*raw);
                next(rest, raws, use_it)
            }),
        }
    }
    next(events, Vec::new(), use_it)
}

/// Lines with their ends.
pub fn lines(lines: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}
