//! No line may make the decoder panic, and what it takes must be within its buffers.

#![no_main]

use fantail::decode::{LineScratch, tab_text};
use fantail::event::Categories;
use fantail_sdk::FieldValue;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let mut scratch = LineScratch::default();
    let event = match tab_text::decode(line, &mut scratch) {
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
});
