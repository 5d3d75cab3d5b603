//! The bytes that Dovecot's own `tab-text` writes, and the corners that it has none for.

#![allow(clippy::unwrap_used, reason = "a test")]

use fantail_integration_tests::format_cases::check_cases;
use fantail_sdk::runner::{FormatRunner, TestEvent};
use fantail_tab_text::TabText;
use serde_json::json;

#[test]
fn every_case_comes_out_byte_for_byte() {
    check_cases::<TabText>("tab-text", |id| {
        // Where Dovecot dies, of an event without a name, there is only the part missing.
        assert_eq!(id, "include-030");
        b"field:a=1\tfield:duration=0".to_vec()
    });
}

#[test]
fn other_events_are_written_in_the_same_way() {
    let check = |event: TestEvent, expected: &[u8]| {
        let mut runner = FormatRunner::open::<TabText>(&json!({})).unwrap();
        assert_eq!(runner.content_type(), "text/plain");
        let payload = runner.format(&event).unwrap();
        assert_eq!(payload.escape_ascii().to_string(), expected.escape_ascii().to_string());
    };
    let no_categories = || TestEvent::new().categories::<&str>(&[]);
    check(TestEvent::new(), b"");
    check(TestEvent::new().fields(), b"");
    check(no_categories(), b"");
    check(no_categories().text("k", "v"), b"\tfield:k=v");
    check(no_categories().name("n").text("k", "v"), b"event:n\t\tfield:k=v");
    check(no_categories().name("n").fields(), b"event:n\t");
    check(TestEvent::new().json("k", "{\t}"), b"field:k={\x01t}");
    check(TestEvent::new().list::<&str>("l", &[]), b"field:l=");
    check(TestEvent::new().list("l", &["", "\x01"]), b"field:l=\x01t\x0111");
    check(TestEvent::new().unknown_kind("k", "text"), b"field:k=text");
    check(
        TestEvent::new().text("k=", b"\0\x01\t\r\n\x02\x0d\xff"),
        b"field:k==\x010\x011\x01t\x01r\x01n\x02\x01r\xff",
    );
}

/// Every length around the words of eight bytes and the blocks of 32, with a special byte at every
/// place, and with others behind the text.
#[test]
fn a_special_byte_is_found_wherever_it_is() {
    let mut runner = FormatRunner::open::<TabText>(&json!({})).unwrap();
    for (special, escaped) in [("\t", "\x01t"), ("\0", "\x010"), ("\x0b", "\x0b"), ("\n", "\x01n")]
    {
        for len in (0..40).chain(62..67) {
            for at in 0..=len {
                let with = |byte: &str| format!("{}{byte}{}", "x".repeat(at), "y".repeat(len - at));
                let event = TestEvent::new().text(with(special), with(special));
                let expected = format!("field:{0}={0}", with(escaped));
                assert_eq!(runner.format(&event).unwrap(), expected.as_bytes());
                let event = event.ip("l", "\t".repeat(40));
                let expected = format!("{expected}\tfield:l={}", "\x01t".repeat(40));
                assert_eq!(runner.format(&event).unwrap(), expected.as_bytes());
            }
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_cut() {
    let context = fantail_sdk::FormatContext::new("log", Some(4));
    let mut runner = FormatRunner::open_with::<TabText>(&json!({}), &context).unwrap();
    let mut check = |event: TestEvent, expected: &[u8]| {
        assert_eq!(runner.format(&event).unwrap(), expected);
    };
    check(TestEvent::new().text("k", "abcd"), b"field:k=abcd");
    check(TestEvent::new().text("long key", "abcde"), b"field:long key=abcd...");
    check(TestEvent::new().text("k", "abc\u{e9}"), b"field:k=abc\xc3...");
    check(TestEvent::new().list("k", &["abcde"]), b"field:k=abcde");
    check(TestEvent::new().integer("k", 12_345), b"field:k=12345");
}
