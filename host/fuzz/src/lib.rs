//! What holds of every line that a decoder was given, whatever its protocol.

use fantail::decode::{LineError, LineScratch};
use fantail::event::{Categories, Event};
use fantail_sdk::FieldValue;

/// What makes an event of one line.
pub type Decode = for<'a> fn(&'a [u8], &'a mut LineScratch) -> Result<Event<'a>, LineError>;

/// Decodes all lines of `bytes` one after the other, each twice, and panics when one is not
/// decoded as it is by itself, or not within its buffers.
pub fn check_lines(bytes: &[u8], decode: Decode) {
    let mut scratch = LineScratch::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        // The second time it follows what was learned the first time.
        for _ in 0..2 {
            let mut fresh = LineScratch::default();
            let decoded = decode(line, &mut scratch);
            check_same(&decoded, &decode(line, &mut fresh));
            check_line(line, decoded);
        }
    }
}

/// Panics when two decoders made different things of one line.
fn check_same(one: &Result<Event<'_>, LineError>, other: &Result<Event<'_>, LineError>) {
    let parts = |event: &Event<'_>| (event.duration, event.parts, event.start_time);
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert!(one.own.fields().eq(other.own.fields()));
            assert_eq!(parts(one), parts(other));
            assert_eq!(one.name, other.name);
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("{one:?} and {other:?}"),
    }
}

/// Panics when `decoded`, made of `line`, is not within its buffers, or has a key twice.
fn check_line(line: &[u8], decoded: Result<Event<'_>, LineError>) {
    let event = match decoded {
        Ok(event) => event,
        Err(error) => {
            assert!((1..=line.len() + 1).contains(&error.column()), "{error}");
            return;
        }
    };
    // Each of these panics when its place is not within the line or the scratch.
    let mut keys = Vec::new();
    for field in event.own.fields() {
        keys.push(field.key);
        match field.value {
            FieldValue::List(list) => assert_eq!(list.iter().count(), list.len()),
            FieldValue::Json(json) => assert!(!json.is_empty()),
            _ => {}
        }
    }
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "a key twice");
    let Categories::Named(bytes, names) = event.categories else { panic!("a line names them") };
    assert!(names.iter().all(|&name| bytes.at(name).len() <= line.len()));
}
