//! The bytes that Dovecot's own `json` writes, and the corners that it has none for.

#![allow(clippy::unwrap_used, reason = "a test")]

use fantail_integration_tests::format_cases::check_cases;
use fantail_json::Json;
use fantail_sdk::runner::{FormatRunner, TestEvent};
use serde_json::json;

#[test]
fn every_case_comes_out_byte_for_byte() {
    check_cases::<Json>("json", |_| unreachable!("Dovecot writes all of them"));
}

#[test]
fn other_values_are_written_as_they_are() {
    let check = |event: TestEvent, expected: &str| {
        let mut runner = FormatRunner::open::<Json>(&json!({})).unwrap();
        assert_eq!(runner.content_type(), "application/json");
        assert_eq!(String::from_utf8(runner.format(&event).unwrap()).unwrap(), expected);
    };
    check(TestEvent::new(), "{}");
    check(TestEvent::new().name(""), r#"{"event":""}"#);
    check(TestEvent::new().fields(), r#"{"fields":{}}"#);
    check(TestEvent::new().categories::<&str>(&[]).fields(), r#"{"categories":[],"fields":{}}"#);
    check(TestEvent::new().json("", r#"{"a": [1.5]}"#), r#"{"fields":{"":{"a": [1.5]}}}"#);
    check(TestEvent::new().list::<&str>("l", &[]), r#"{"fields":{"l":[]}}"#);
    check(TestEvent::new().list("l", &["", "a\tb"]), r#"{"fields":{"l":["","a\tb"]}}"#);
    let one = |element: &str| TestEvent::new().list("l", &[element]).text("m", "x".repeat(32));
    let rest = format!(r#","m":"{}"}}}}"#, "x".repeat(32));
    check(one(""), &(r#"{"fields":{"l":[""]"#.to_owned() + &rest));
    check(one("one"), &(r#"{"fields":{"l":["one"]"#.to_owned() + &rest));
    check(one("a\tb\x01"), &(r#"{"fields":{"l":["a\tb\u0001"]"#.to_owned() + &rest));
    check(TestEvent::new().unknown_kind("k", "text"), r#"{"fields":{"k":"text"}}"#);
    check(
        TestEvent::new().text("k", b"\0\x1f\x7f\x08\x0c"),
        "{\"fields\":{\"k\":\"\\u0000\\u001F\x7f\\b\\f\"}}",
    );
}

/// Every length around the words of eight bytes and the blocks of 32, with a special byte at every
/// place, and with others behind the text.
#[test]
fn a_special_byte_is_found_wherever_it_is() {
    let mut runner = FormatRunner::open::<Json>(&json!({})).unwrap();
    for special in ["\"", "\\", "\n", "\u{1}", "\u{2028}", "\u{20ac}", "\u{7f}"] {
        for len in (0..40).chain(62..67) {
            for at in 0..=len {
                let text = format!("{}{special}{}", &"x".repeat(at), &"y".repeat(len - at));
                let event = TestEvent::new().text(&text, &text);
                let mut check = |event: &TestEvent, expected: serde_json::Value| {
                    let payload = runner.format(event).unwrap();
                    let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                    assert_eq!(value, json!({ "fields": expected }));
                    assert_eq!(payload.is_ascii(), special != "\u{20ac}");
                };
                check(&event, json!({ &text: text }));
                let behind = "\"\\\n".repeat(12);
                check(&event.ip("l", &behind), json!({ &text: text, "l": behind }));
            }
        }
    }
}

/// Elements with every special byte in lists of every length around a block's, first and last in
/// their event, against the library that writes JSON.
#[test]
fn a_list_is_an_array_of_its_elements() {
    let mut runner = FormatRunner::open::<Json>(&json!({})).unwrap();
    for special in ["", "\t", "\"", "\\", "\u{1}", "\u{20ac}"] {
        for len in 0..40 {
            for elements in [
                vec!["x".repeat(len), special.to_owned()],
                vec![special.to_owned(), "x".repeat(len), String::new()],
                vec![format!("{}{special}", "x".repeat(len))],
            ] {
                let event = TestEvent::new().list("l", &elements);
                let expected = serde_json::to_string(&elements).unwrap();
                let mut check = |event: &TestEvent, expected: String| {
                    let payload = runner.format(event).unwrap();
                    assert_eq!(String::from_utf8(payload).unwrap(), expected);
                };
                check(&event, format!("{{\"fields\":{{\"l\":{expected}}}}}"));
                let behind =
                    format!("{{\"fields\":{{\"l\":{expected},\"m\":\"{}\"}}}}", "y".repeat(40));
                check(&event.text("m", "y".repeat(40)), behind);
            }
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let context = fantail_sdk::FormatContext::new("log", Some(4));
    let mut runner = FormatRunner::open_with::<Json>(&json!({}), &context).unwrap();
    let mut check = |text: &[u8], expected: &str| {
        let payload = runner.format(&TestEvent::new().text("k", text)).unwrap();
        let expected = format!("{{\"fields\":{{\"k\":\"{expected}\"}}}}");
        assert_eq!(String::from_utf8(payload).unwrap(), expected);
    };
    check(b"abc", "abc");
    check(b"abcd", "abcd...");
    check(b"abcde", "abcd...");
    check("abc\u{e9}".as_bytes(), "abc...");
    check("abcd\u{e9}".as_bytes(), "abcd...");
    check("\u{e9}\u{e9}\u{e9}".as_bytes(), "\u{e9}...");
    check("\u{1f600}e".as_bytes(), "\u{1f600}...");
    check(b"\x80\x80\x80\x80\x80", "...");
    let list = TestEvent::new().list("l", &["ab", "abcde", "a\"c"]);
    let payload = runner.format(&list).unwrap();
    assert_eq!(payload, br#"{"fields":{"l":["ab","abcd...","a\"c"]}}"#);
}
