use fantail_sdk::FieldValue;

use super::decode;
use crate::decode::{LineScratch, Reason};
use crate::event::{Categories, Parts};

#[test]
fn every_part_is_read() {
    let line =
        b"event:n\x01t\thostname:h\tstart_time:1970-01-01T00:00:01.000000Z\tend_time:2.000000\t\
        category:x\tcategory:y\x01n\tfield:a=1\tfield:b\x011=c=\x010\tfield:duration=7";
    let mut scratch = LineScratch::default();
    let event = decode(line, &mut scratch).unwrap();
    assert_eq!((event.name, event.hostname), (Some(b"n\t".as_slice()), Some(b"h".as_slice())));
    assert_eq!(event.start_time.as_micros(), 1_000_000);
    assert_eq!(event.end_time.unwrap().as_micros(), 2_000_000);
    assert_eq!((event.duration, event.parts), (7, Parts::ALL));
    let fields: Vec<_> = event.own.fields().map(|field| (field.key, field.value)).collect();
    let expected = [
        (b"a".as_slice(), FieldValue::Integer(1)),
        (b"b\x01", FieldValue::Text(b"c=\0")),
        (b"duration", FieldValue::Integer(7)),
    ];
    assert_eq!(fields, expected);
    let Categories::Named(bytes, names) = event.categories else { panic!("named") };
    let names: Vec<_> = names.iter().map(|&name| bytes.at(name)).collect();
    assert_eq!(names, [b"x".as_slice(), b"y\n"]);
}

#[test]
fn parts_that_a_line_lacks_are_not_added() {
    let check = |line: &str, parts: Parts| {
        let mut scratch = LineScratch::default();
        let event = decode(line.as_bytes(), &mut scratch).unwrap();
        assert_eq!(event.parts, parts, "{line}");
    };
    check("", Parts::NONE);
    check("event:", Parts::NAME);
    check("event:x\t", Parts::NAME.or(Parts::CATEGORIES));
    check("\tfield:a=1", Parts::CATEGORIES.or(Parts::FIELDS));
    check("event:x\t\tfield:a=1", Parts::NAME.or(Parts::CATEGORIES).or(Parts::FIELDS));
    check("field:=", Parts::FIELDS);
    check("end_time:1", Parts::END_TIME);
}

#[test]
fn values_are_integers_or_text() {
    let check = |text: &[u8], expected: FieldValue<'_>| {
        let line = [b"field:k=", text].concat();
        let mut scratch = LineScratch::default();
        let event = decode(&line, &mut scratch).unwrap();
        assert_eq!(event.value(b"k"), Some(expected));
    };
    check(b"", FieldValue::Text(b""));
    check(b"-1953", FieldValue::Integer(-1953));
    check(b"01", FieldValue::Text(b"01"));
    check(b"1.500000", FieldValue::Text(b"1.500000"));
    check(b"one\x01ttwo", FieldValue::Text(b"one\ttwo"));
    check(b"a\x011tb", FieldValue::Text(b"a\x01tb"));
    check(b"\x01n\x01r\xff\r-", FieldValue::Text(b"\n\r\xff\r-"));
    // One CR before the LF belongs to the line's end.
    check(b"12\r", FieldValue::Integer(12));
    check(b"a\x01r\r", FieldValue::Text(b"a\r"));
    check(b"a\r\r", FieldValue::Text(b"a\r"));
    check(b"\r", FieldValue::Text(b""));
}

#[test]
fn what_is_not_an_event_is_refused_with_its_place() {
    let check = |line: &[u8], reason: Reason, message: &str| {
        let mut scratch = LineScratch::default();
        let error = decode(line, &mut scratch).map(|_| ()).unwrap_err();
        assert_eq!((error.reason(), error.to_string()), (reason, message.to_owned()));
    };
    let parts = "expected event:, hostname:, start_time:, end_time:, category: or field:";
    check(b"x", Reason::UnknownPart, &format!("{parts} at column 1"));
    check(b"event:a\tEvent:b", Reason::UnknownPart, &format!("{parts} at column 9"));
    check(b"field:a=1\t", Reason::UnknownPart, &format!("{parts} at column 11"));
    check(b"field:a", Reason::Syntax, "expected = behind the key at column 8");
    check(b"field:a\tfield:b=1", Reason::Syntax, "expected = behind the key at column 8");
    check(b"event:a\tevent:a", Reason::Duplicate, "expected no part a second time at column 9");
    check(b"\t\tfield:a=1", Reason::Duplicate, "expected no part a second time at column 2");
    check(
        b"category:a\t\tfield:a=1",
        Reason::Duplicate,
        "expected no part a second time at column 12",
    );
    check(
        b"\tcategory:a",
        Reason::Duplicate,
        "expected no category behind an empty part at column 2",
    );
    check(
        b"field:a=1\tfield:a=1",
        Reason::Duplicate,
        "expected no field a second time at column 11",
    );
    check(
        b"start_time:now",
        Reason::Time,
        "expected a time that microseconds can tell at column 12",
    );
    let escape = "expected 0, 1, t, r or n behind the byte 0x01";
    check(b"event:a\x01", Reason::Syntax, &format!("{escape} at column 9"));
    check(b"event:a\x01z", Reason::Syntax, &format!("{escape} at column 9"));
    check(b"event:a\x01\tfield:t=1", Reason::Syntax, &format!("{escape} at column 9"));
    let fields: Vec<String> = (1000..2001).map(|key| format!("field:{key}=v")).collect();
    let expected = "expected at most 1000 fields at column 13001";
    check(fields.join("\t").as_bytes(), Reason::TooManyFields, expected);
    let categories = vec!["category:c"; 1001].join("\t");
    check(
        categories.as_bytes(),
        Reason::TooManyCategories,
        "expected at most 1000 categories at column 11001",
    );
}
