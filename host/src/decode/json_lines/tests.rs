use fantail_sdk::{FieldValue, List};

use super::decode;
use crate::decode::{LineScratch, Reason};
use crate::event::{Categories, Parts};

#[test]
fn every_part_is_read() {
    let line = br#" { "fields" : { "a" : 1 , "duration":7 }, "categories":["x" , "y\n"],
        "end_time":2.000000,"start_time":"1970-01-01T00:00:01Z","hostname":"h","event":"n" } "#
        .map(|byte| if byte == b'\n' { b' ' } else { byte });
    let mut scratch = LineScratch::default();
    let event = decode(&line, &mut scratch).unwrap();
    assert_eq!((event.name, event.hostname), (Some(b"n".as_slice()), Some(b"h".as_slice())));
    assert_eq!(event.start_time.as_micros(), 1_000_000);
    assert_eq!(event.end_time.unwrap().as_micros(), 2_000_000);
    assert_eq!((event.duration, event.parts), (7, Parts::ALL));
    assert_eq!(event.value(b"a"), Some(FieldValue::Integer(1)));
    let Categories::Named(bytes, names) = event.categories else { panic!("named") };
    let names: Vec<_> = names.iter().map(|&name| bytes.at(name)).collect();
    assert_eq!(names, [b"x".as_slice(), b"y\n"]);
}

#[test]
fn parts_that_a_line_lacks_are_not_added() {
    let check = |line: &str, parts: Parts, start: i64, duration: i64| {
        let mut scratch = LineScratch::default();
        let event = decode(line.as_bytes(), &mut scratch).unwrap();
        assert_eq!(event.parts, parts, "{line}");
        assert_eq!((event.start_time.as_micros(), event.duration), (start, duration), "{line}");
        assert_eq!(event.name.is_some(), parts.contains(Parts::NAME), "{line}");
        assert_eq!(event.end_time.is_some(), parts.contains(Parts::END_TIME), "{line}");
    };
    check("{}", Parts::NONE, 0, 0);
    check(r#"{"event":""}"#, Parts::NAME, 0, 0);
    check(r#"{"start_time":1.000000}"#, Parts::START_TIME, 1_000_000, 0);
    check(r#"{"end_time":1}"#, Parts::END_TIME, 1_000_000, 0);
    check(r#"{"start_time":3.5,"end_time":1}"#, Parts::TIMESTAMPS, 3_500_000, -2_500_000);
    check(r#"{"categories":[]}"#, Parts::CATEGORIES, 0, 0);
    check(r#"{"fields":{}}"#, Parts::FIELDS, 0, 0);
    check(r#"{"fields":{"duration":"7"}}"#, Parts::FIELDS, 0, 0);
    check(r#"{"\u0066ields":{"dur\u0061tion":7}}"#, Parts::FIELDS, 0, 7);
}

#[test]
fn values_have_the_types_that_are_written_again_the_same() {
    let check = |json: &str, expected: FieldValue<'_>| {
        let line = format!(r#"{{"fields":{{"k":{json}}}}}"#);
        let mut scratch = LineScratch::default();
        let event = decode(line.as_bytes(), &mut scratch).unwrap();
        assert_eq!(event.value(b"k"), Some(expected), "{json}");
    };
    let list = |escaped, count| FieldValue::List(List::from_escaped(escaped, count));
    let time = |micros| FieldValue::Timestamp(fantail_sdk::Timestamp::from_micros(micros));
    check(r#""""#, FieldValue::Text(b""));
    check(r#""192.0.2.1""#, FieldValue::Text(b"192.0.2.1"));
    check(
        r#""\"\\\/\b\f\n\r\t\u0000\u001F\u00e9""#,
        FieldValue::Text(b"\"\\/\x08\x0c\n\r\t\0\x1f\xc3\xa9"),
    );
    check(
        r#""\uD83D\ude00 \u2028\uFFFF""#,
        FieldValue::Text("\u{1f600} \u{2028}\u{ffff}".as_bytes()),
    );
    check("0", FieldValue::Integer(0));
    check("-9223372036854775808", FieldValue::Integer(i64::MIN));
    check("1.500000", time(1_500_000));
    check("-1.500000", time(-500_000));
    check("[]", list(b"", 0));
    check(r#"[""]"#, list(b"", 1));
    check(r#"["a" , "b\tc\u0001\\"]"#, list(b"a\tb\x01tc\x011\\", 2));
    for other in [
        "true",
        "false",
        "null",
        "-0",
        "1e3",
        "1E+3",
        "1.5",
        "1.5000000",
        "1.500000e0",
        "-0.500000",
        "9223372036854775808",
        "99999999999999999999.000000",
        "{}",
        r#"{"a":[1,{"b":"\n"}],"a":null}"#,
        "[1]",
        "[[]]",
        r#"["a",1]"#,
        r#"[ "a\n" , [ "b" ] ]"#,
        r#"{ "a" : { } , "b" : [ ] }"#,
    ] {
        check(other, FieldValue::Json(other.as_bytes()));
    }
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    check(&deep, FieldValue::Json(deep.as_bytes()));
}

fn check_error(line: &[u8], reason: Reason, message: &str) {
    let mut scratch = LineScratch::default();
    let error = decode(line, &mut scratch).map(|_| ()).unwrap_err();
    let found = (error.reason(), error.to_string());
    assert_eq!(found, (reason, message.to_owned()), "{}", line.escape_ascii());
}

#[test]
fn what_is_not_an_event_is_refused_with_its_place() {
    let check = check_error;
    check(b"", Reason::Syntax, "expected an object at column 1");
    check(b"[]", Reason::Syntax, "expected an object at column 1");
    check(b"{", Reason::Syntax, "expected a key in quotes at column 2");
    check(b"{}x", Reason::Syntax, "expected the end of the line at column 3");
    check(b"{} {}", Reason::Syntax, "expected the end of the line at column 4");
    check(br#"{"event":"a",}"#, Reason::Syntax, "expected a key in quotes at column 14");
    check(br#"{"event" "a"}"#, Reason::Syntax, "expected a colon behind the key at column 10");
    check(
        br#"{"event":"a" "b"}"#,
        Reason::Syntax,
        "expected a comma or the end of the object at column 14",
    );
    check(
        br#"{"event":"a}"#,
        Reason::Syntax,
        "expected the closing quote of a string at column 13",
    );
    check(
        b"{\"event\":\"a\tb\"}",
        Reason::Syntax,
        "expected no control character in a string at column 12",
    );
}

#[test]
fn what_an_event_can_not_have_is_refused_with_its_place() {
    let check = check_error;
    check(b"{\"event\":\"\xff\"}", Reason::Utf8, "expected valid UTF-8 at column 11");
    check(
        br#"{"event":null}"#,
        Reason::WrongType,
        "expected a string as the event's name at column 10",
    );
    check(
        br#"{"hostname":1}"#,
        Reason::WrongType,
        "expected a string as the hostname at column 13",
    );
    check(br#"{"fields":[]}"#, Reason::WrongType, "expected an object of fields at column 11");
    check(
        br#"{"categories":{}}"#,
        Reason::WrongType,
        "expected an array of categories at column 15",
    );
    check(
        br#"{"categories":["a",]}"#,
        Reason::WrongType,
        "expected a string as a category at column 20",
    );
    check(
        br#"{"categories":["a" "b"]}"#,
        Reason::Syntax,
        "expected a comma or the end of the array at column 20",
    );
    check(
        br#"{"start_time":true}"#,
        Reason::WrongType,
        "expected a string or a number as a time at column 15",
    );
    check(
        br#"{"start_time":"today"}"#,
        Reason::Time,
        "expected a time that microseconds can tell at column 15",
    );
    check(
        br#"{"end_time":1.0000001}"#,
        Reason::Time,
        "expected a time that microseconds can tell at column 13",
    );
    let members =
        "expected event, hostname, start_time, end_time, categories or fields at column 2";
    check(br#"{"Event":"a"}"#, Reason::UnknownPart, members);
    check(
        br#"{"event":"a","event":"a"}"#,
        Reason::Duplicate,
        "expected no part a second time at column 14",
    );
    check(
        br#"{"fields":{"a":1,"b":2,"\u0061":1}}"#,
        Reason::Duplicate,
        "expected no field a second time at column 24",
    );
}

#[test]
fn values_that_are_no_json_are_refused() {
    let check = |json: &str, reason: Reason, message: &str| {
        // The value stands behind eleven bytes and its key behind four more.
        check_error(format!(r#"{{"fields":{{"k":{json}}}}}"#).as_bytes(), reason, message);
    };
    check("", Reason::Syntax, "expected a value at column 16");
    check("True", Reason::Syntax, "expected a value at column 16");
    check("nul", Reason::Syntax, "expected a value at column 16");
    check("-", Reason::Syntax, "expected a digit at column 17");
    check("1.", Reason::Syntax, "expected a digit at column 18");
    check("1e", Reason::Syntax, "expected a digit at column 18");
    check("01", Reason::Syntax, "expected a comma or the end of the object at column 17");
    check("+1", Reason::Syntax, "expected a value at column 16");
    check(r#""\x""#, Reason::Syntax, "expected an escape that JSON has at column 17");
    check(
        r#""\u12G4""#,
        Reason::Syntax,
        "expected four hexadecimal digits behind \\u at column 17",
    );
    check(r#""a\uD83D""#, Reason::Syntax, "expected both halves of a surrogate pair at column 18");
    check(
        r#""\uDE00\uD83D""#,
        Reason::Syntax,
        "expected both halves of a surrogate pair at column 17",
    );
    check(r#"["\uD83D"]"#, Reason::Syntax, "expected both halves of a surrogate pair at column 18");
    check(r#"["a",]"#, Reason::Syntax, "expected a value at column 21");
    check(r#"["a";"b"]"#, Reason::Syntax, "expected a comma or the end of the array at column 20");
    check("[,]", Reason::Syntax, "expected a value at column 17");
    check("[1}", Reason::Syntax, "expected a comma or the end of the array at column 18");
    check(r#"{"a":1]"#, Reason::Syntax, "expected a comma or the end of the object at column 22");
    check(r#"{"a":1,}"#, Reason::Syntax, "expected a key in quotes at column 23");
    check(r#"{"a"}"#, Reason::Syntax, "expected a colon behind the key at column 20");
    check("{1:2}", Reason::Syntax, "expected a key in quotes at column 17");
    check(&"[".repeat(65), Reason::TooDeep, "expected at most 64 levels of nesting at column 80");
    check(
        &"[".repeat(100_000),
        Reason::TooDeep,
        "expected at most 64 levels of nesting at column 80",
    );
}

#[test]
fn fields_and_categories_are_bounded() {
    let fields = |count: usize, twice: Option<usize>| {
        let keys = (0..count).chain(twice).map(|index| format!("\"prefix of the key {index}\":0"));
        format!("{{\"fields\":{{{}}}}}", keys.collect::<Vec<_>>().join(","))
    };
    let mut scratch = LineScratch::default();
    assert!(decode(fields(1000, None).as_bytes(), &mut scratch).is_ok());
    let reason =
        |line: String| decode(line.as_bytes(), &mut LineScratch::default()).unwrap_err().reason();
    assert_eq!(reason(fields(1001, None)), Reason::TooManyFields);
    assert_eq!(reason(fields(999, Some(500))), Reason::Duplicate);
    assert_eq!(reason(fields(31, Some(0))), Reason::Duplicate);
    assert_eq!(reason(fields(32, Some(31))), Reason::Duplicate);
    let categories = |count| format!("{{\"categories\":[{}]}}", vec!["\"c\""; count].join(","));
    assert!(decode(categories(1000).as_bytes(), &mut scratch).is_ok());
    assert_eq!(reason(categories(1001)), Reason::TooManyCategories);
}

#[test]
fn scratch_is_used_again_and_never_grows_within_a_line() {
    let mut scratch = LineScratch::default();
    let line = br#"{"event":"\n\u0000","fields":{"\u2028":["\t","\u0001"],"k":"\ud83d\ude00"}}"#;
    for _ in 0..3 {
        decode(line, &mut scratch).unwrap();
        assert_eq!(scratch.text.capacity(), line.len());
    }
    decode(b"{}", &mut scratch).unwrap();
    assert!(scratch.text.is_empty());
}
