//! Recorded streams of real Dovecot processes, played to the decoder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};

use fantail::decode::{Decoded, StatsWriter};
use fantail::event::{Event, Export, Flattener, OpenLimits, Parts};
use fantail_sdk::abi::{RawEvent, RawField, value_kind};
use fantail_sdk::{List, Timestamp};
use serde_json::{Map, Value};

const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/data/captures");
const GENERATIONS: [&str; 2] = ["dovecot-2.3", "dovecot-2.4"];

/// The streams of one generation in the order in which Dovecot's own server
/// was given them.
fn streams(generation: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(CAPTURES).join(generation).join("streams");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 70, "the captures are complete");
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn lines(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    stream.strip_suffix(b"\n").expect("a stream ends in LF").split(|&byte| byte == b'\n')
}

#[test]
fn no_line_of_a_recorded_stream_is_rejected() {
    for generation in GENERATIONS {
        for (path, stream) in streams(generation) {
            let mut writer = StatsWriter::default();
            for (number, line) in lines(&stream).enumerate() {
                if let Err(error) = writer.decode(line) {
                    panic!("{}:{}: {error}", path.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn events_are_what_dovecot_itself_exported() {
    for generation in GENERATIONS {
        let file = Path::new(CAPTURES).join(generation).join("expected/all.json");
        let text = fs::read_to_string(file).unwrap();
        let mut expected = text.lines().enumerate();
        let mut flattener = Flattener::default();
        for (path, stream) in streams(generation) {
            let mut writer = StatsWriter::default();
            for line in lines(&stream) {
                let Ok(Decoded::Event(event)) = writer.decode(line) else { continue };
                if event.name.is_none() {
                    continue;
                }
                let (number, expected) = expected.next().expect("no event too many");
                let expected = comparable(serde_json::from_str(expected).unwrap());
                let found = comparable(exported(&event, &mut flattener));
                // Texts, because maps are equal in any order.
                assert_eq!(
                    found.to_string(),
                    expected.to_string(),
                    "{}, expected line {}",
                    path.display(),
                    number + 1
                );
            }
        }
        assert_eq!(expected.next(), None, "no event too few");
    }
}

#[test]
fn bad_lines_change_nothing() {
    let mut random = Random(1);
    let mut rejected = 0;
    for generation in GENERATIONS {
        for (_, stream) in streams(generation).into_iter().step_by(7) {
            let (mut clean, mut disturbed) = (StatsWriter::default(), StatsWriter::default());
            let mut flatteners = (Flattener::default(), Flattener::default());
            for (number, line) in lines(&stream).enumerate() {
                for _ in 0..if number == 0 { 0 } else { random.below(4) } {
                    let bad = spoilt(line, &mut random);
                    rejected += 1;
                    assert!(disturbed.decode(&bad).is_err(), "{}", String::from_utf8_lossy(&bad));
                }
                match (clean.decode(line), disturbed.decode(line)) {
                    (Ok(Decoded::Event(one)), Ok(Decoded::Event(other))) => assert_eq!(
                        exported(&one, &mut flatteners.0).to_string(),
                        exported(&other, &mut flatteners.1).to_string()
                    ),
                    (Ok(Decoded::Handshake), Ok(Decoded::Handshake))
                    | (Ok(Decoded::Context), Ok(Decoded::Context)) => {}
                    (one, other) => panic!("{one:?} but {other:?}"),
                }
            }
            assert_eq!(clean.open_events().bytes(), disturbed.open_events().bytes());
        }
    }
    assert!(rejected > 500, "{rejected}");
}

/// The line with something wrong in it; all that is right stays in, so that a
/// decoder that applied it bit by bit would be caught.
fn spoilt(line: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bad = line.to_vec();
    if !(line.starts_with(b"CATEGORY") || line.starts_with(b"END")) {
        let tails: [&[u8]; 9] = [
            b"\tcno-such-category",
            b"\tIkey",
            b"\tIkey\t1x",
            b"\tPkey\t1.2.3",
            b"\tLkey\t3\ta\tb",
            b"\tTkey\t1\t1000000",
            b"\tl1",
            b"\tsfile.c",
            b"\tS\tvalue",
        ];
        bad.extend_from_slice(tails[random.below(tails.len())]);
        return bad;
    }
    match random.below(3) {
        0 => bad.insert(0, b'X'),
        1 => bad.truncate(line.iter().position(|&byte| byte == b'\t').unwrap()),
        _ => {
            bad.clear();
            bad.extend_from_slice(b"END\t987654321");
        }
    }
    bad
}

#[test]
fn a_hostile_client_can_not_make_it_keep_more_than_the_limits_say() {
    let limits = OpenLimits { events_max: 100, depth_max: 10, fields_max: 50, bytes_max: 100_000 };
    let check = |line: fn(usize) -> String, kept_max: usize| {
        let mut writer = StatsWriter::new(limits, std::sync::Arc::default());
        writer.decode(b"VERSION\tstats-client\t4\t0").unwrap();
        writer.decode(b"BEGIN\t1\t0\t0\t1\t1").unwrap();
        let (mut accepted, mut refused) = (0, 0);
        for number in 2..2_000 {
            match writer.decode(line(number).as_bytes()) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    assert_eq!(error.reason().word(), "too-many", "{error}");
                    refused += 1;
                }
            }
            assert!(writer.open_events().bytes() <= limits.bytes_max);
            assert!(writer.open_events().len() <= kept_max);
        }
        assert!(accepted > 0 && refused > 0, "{accepted} {refused}");
    };
    check(|id| format!("BEGIN\t{id}\t0\t0\t1\t1"), 100);
    check(|id| format!("BEGIN\t{id}\t{}\t0\t1\t1", (id - 1).min(11)), 100);
    check(|id| format!("BEGIN\t{id}\t0\t0\t1\t1\tSkey\t{}", "x".repeat(30_000)), 4);
    check(|id| format!("UPDATE\t1\t0\t1\t1\tSkey{id}\t{}", "x".repeat(10_000)), 1);
    check(|id| format!("UPDATE\t1\t0\t1\t1\tSkey{id}\tx"), 1);
    check(|id| format!("UPDATE\t1\t0\t1\t1{}", list(id.saturating_sub(1_900) * 1_000)), 1);
    check(|id| format!("CATEGORY\tcategory{id}"), 1);
    check(|id| format!("EVENT\t0\t0\t0\t1\t1{}", keys(id)), 1);
}

fn list(count: usize) -> String {
    format!("\tLlist\t{count}{}", "\tx".repeat(count))
}

fn keys(count: usize) -> String {
    (0..count).map(|number| format!("\tSkey{number}\tx")).collect()
}

/// All parts of the event, as the json format writes them.
fn exported(event: &Event<'_>, flattener: &mut Flattener) -> Value {
    let export = Export { include: Parts::ALL, fields: Vec::new() };
    flattener.with_raw(event, &export, b"vm", Timestamp::from_micros(0), json)
}

fn json(raw: &RawEvent<'_>) -> Value {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
    let fields = raw.fields.iter().map(|field| {
        let key = String::from_utf8_lossy(field.key()).into_owned();
        (key, field_json(field))
    });
    let categories = raw.categories.iter().map(|category| text(category.as_slice()));
    let mut event = Map::new();
    event.insert("event".into(), text(raw.name.as_slice()));
    event.insert("hostname".into(), text(raw.hostname.as_slice()));
    event.insert("start_time".into(), rfc3339(raw.start_micros).into());
    event.insert("end_time".into(), rfc3339(raw.end_micros).into());
    event.insert("categories".into(), categories.collect());
    event.insert("fields".into(), Value::Object(fields.collect()));
    Value::Object(event)
}

fn field_json(field: &RawField<'_>) -> Value {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
    match field.kind {
        value_kind::INTEGER => field.number.into(),
        value_kind::TIMESTAMP => rfc3339(field.number).into(),
        value_kind::LIST => {
            let list = List::from_escaped(field.text(), field.number as usize);
            list.iter().map(|element| text(&element)).collect()
        }
        _ => text(field.text()),
    }
}

/// The export without what differs from run to run, its categories in one order.
fn comparable(mut event: Value) -> Value {
    let event = event.as_object_mut().unwrap();
    event.remove("end_time").unwrap();
    event.remove("hostname").unwrap();
    let categories = event["categories"].as_array_mut().unwrap();
    categories.sort_by_key(ToString::to_string);
    Value::Object(std::mem::take(event))
}

fn rfc3339(micros: i64) -> String {
    let time = Timestamp::from_micros(micros);
    let (day, second) = (time.seconds().div_euclid(86_400), time.seconds().rem_euclid(86_400));
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = time.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The date of a day since 1970, counted out.
fn date(mut day: i64) -> (i64, usize, i64) {
    let leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    for (index, days) in
        [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate()
    {
        if day < days {
            return (year, index + 1, day + 1);
        }
        day -= days;
    }
    unreachable!("a year has twelve months");
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % end
    }
}
