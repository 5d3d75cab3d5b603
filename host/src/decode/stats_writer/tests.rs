use fantail_sdk::FieldValue;

use super::{Decoded, Reason, StatsWriter};
use crate::decode::tests::Random;
use crate::event::{Event, Field};

/// The lines of a connection that has two categories and three open events.
const SETUP: [&str; 8] = [
    "VERSION\tstats-client\t4\t0",
    "CATEGORY\tstorage",
    "CATEGORY\tmailbox\tstorage",
    "BEGIN\t1\t0\t0\t100\t0\tsroot.c\t1\tl100\t5\tnroot\tcstorage\tSuser\tann\tIsize\t1\tLlist\t1\ta",
    "BEGIN\t2\t1\t1\t101\t0\tcmailbox\tSuser\tbob",
    "BEGIN\t3\t0\t2\t102\t0",
    "BEGIN\t4\t3\t2\t102\t0",
    "END\t3",
];

fn connection() -> StatsWriter {
    let mut writer = StatsWriter::default();
    for line in SETUP {
        writer.decode(line.as_bytes()).unwrap();
    }
    writer
}

/// The event with its own fields, in words.
fn show(event: &Event<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut shown = event.name.map_or("-".to_owned(), text);
    shown += &format!(" {:?} at {}", event.log_type.unwrap(), event.start_time.as_micros());
    if let Some(source) = event.source {
        shown += &format!(" from {}:{}", text(source.file), source.line);
    }
    if let crate::event::Categories::Registered(registry) = event.categories {
        for &id in event.own.categories() {
            shown += &format!(" #{}", text(registry.name(id)));
        }
    }
    for Field { key, value, .. } in event.own.fields() {
        let value = match value {
            FieldValue::Text(bytes) => format!("'{}'", text(bytes)),
            FieldValue::Integer(number) => number.to_string(),
            FieldValue::Timestamp(time) => format!("@{}", time.as_micros()),
            FieldValue::Ip(bytes) => format!("ip {}", text(bytes)),
            FieldValue::List(list) => {
                let elements = list.iter().map(|element| text(&element));
                format!("{}[{}]", list.len(), elements.collect::<Vec<_>>().join("|"))
            }
            FieldValue::Json(_) => unreachable!("the protocol has no JSON"),
        };
        shown += &format!(" {}={value}", text(key));
    }
    shown
}

fn check(line: &str, expected: &str) {
    let mut writer = connection();
    let found = match writer.decode(line.as_bytes()) {
        Ok(Decoded::Handshake) => "version".to_owned(),
        Ok(Decoded::Context) => "control".to_owned(),
        Ok(Decoded::Event(event)) => show(&event),
        Err(error) => format!("{} at {}", error.reason().word(), error.column() - 1),
    };
    assert_eq!(found, expected, "{line:?}");
}

#[test]
fn an_event_is_what_its_items_say() {
    check("EVENT\t0\t0\t0\t1\t2", "- Debug at 1000002 duration=0");
    check("EVENT\t0\t0\t5\t-1\t999999", "- Panic at -1 duration=0");
    check(
        "EVENT\t0\t0\t3\t1\t0\tnname\tsfile.c\t7",
        "name Error at 1000000 from file.c:7 duration=0",
    );
    check("EVENT\t0\t0\t0\t1\t0\tn", " Debug at 1000000 duration=0");
    check("EVENT\t0\t0\t0\t1\t0\tl2\t1", "- Debug at 1000000 duration=1000001");
    check("EVENT\t0\t0\t0\t9\t0\tl2\t1", "- Debug at 9000000 duration=-6999999");
    check("EVENT\t0\t0\t0\t9\t0\tl0\t1", "- Debug at 9000000 duration=0");
    check(
        "EVENT\t0\t0\t0\t1\t0\tcmailbox\tcstorage\tcmailbox",
        "- Debug at 1000000 #mailbox #storage duration=0",
    );
    check(
        "EVENT\t0\t0\t0\t0\t0\tIn\t-5\tSs\t\tTt\t1\t2\tPp\t::1\tPq\t010.0.0.1\tLe\t0\tLl\t2\t\tx",
        "- Debug at 0 n=-5 s='' t=@1000002 p=ip ::1 q=ip 10.0.0.1 e=0[] l=2[|x] duration=0",
    );
    check(
        "EVENT\t0\t0\t0\t0\t0\tSa\x01tb\tc\x010\x011\x01r\x01nd\tLl\t1\tx\x01ty\tn\x01t",
        r"\t Debug at 0 a\tb='c\x00\x01\r\nd' l=1[x\ty] duration=0",
    );
    // Unknown items and empty arguments mean nothing.
    check("EVENT\t0\t0\t0\t0\t0\ta\tzzz\t\t\x01t\tIn\t1\t", "- Debug at 0 n=1 duration=0");
    // The last value counts, at the place of the first.
    check("EVENT\t0\t0\t0\t0\t0\tIa\t1\tIb\t2\tSa\tx", "- Debug at 0 a='x' b=2 duration=0");
    check("EVENT\t0\t0\t0\t0\t0\tSduration\tx\tIb\t2\tl1\t0", "- Debug at 0 duration=1000000 b=2");
    check("BEGIN\t9\t2\t1\t3\t0\tnname\tIn\t1", "name Info at 3000000 n=1 duration=0");
    check("EVENT\t1\t2\t0\t1\t0", "- Debug at 1000000 duration=0");
}

/// Categories of every kind of event, one behind the other and apart, each line by a connection
/// that has seen all lines before and by one that has seen none.
#[test]
fn categories_seen_before_change_nothing() {
    let mut random = Random(1);
    let mut one_of = |choice: &[&'static str]| random.one_of(choice);
    let new = || {
        let mut writer = connection();
        for name in ["mail", "mailboxes", "m\x01t", "a-category-with-a-name-of-32-bytes"] {
            writer.decode(format!("CATEGORY\t{name}").as_bytes()).unwrap();
        }
        writer
    };
    let show = |writer: &mut StatsWriter, line: &str| match writer.decode(line.as_bytes()) {
        Ok(Decoded::Event(event)) => show(&event),
        other => format!("{:?}", other.unwrap_err()),
    };
    let mut old = new();
    let (mut taken, mut rejected) = (0, 0);
    for _ in 0..5000 {
        let mut line = format!("EVENT\t0\t0\t0\t1\t2{}", one_of(&["", "\tnone", "\tnother"]));
        for _ in 0..one_of(&["", " ", "   ", "      "]).len() {
            line += one_of(&["\tcmail", "\tcmail", "\tcmailbox", "\tcmailbox", "\tcmailboxes"]);
            line += one_of(&["", "", "\tcstorage", "\tcm\x01t", "\tla\t0", "\tIn\t1", "\ts\t1"]);
            line += one_of(&["", "", "", "", "\tcnone", "\tc", "\tl5\t1", "\t"]);
            line += one_of(&["", "", "", "\tca-category-with-a-name-of-32-bytes"]);
        }
        line +=
            one_of(&["", "\tSuser\tsomebody with a name that is as long as a block of the line"]);
        let found = show(&mut old, &line);
        assert_eq!(found, show(&mut new(), &line), "{line:?}");
        match found.starts_with("LineError") {
            true => rejected += 1,
            false => taken += 1,
        }
    }
    assert!(taken > 1000 && rejected > 1000, "{taken} {rejected}");
}

#[test]
fn times_at_the_edge_do_not_overflow() {
    check(
        "EVENT\t0\t0\t0\t-9223372036854\t0\tl9223372036854\t775807",
        "- Debug at -9223372036854000000 duration=9223372036854775807",
    );
    check("EVENT\t0\t0\t0\t9223372036854\t775808", "syntax at 12");
    check("EVENT\t0\t0\t0\t9223372036854775808\t0", "syntax at 12");
}

#[test]
fn control_lines_are_taken() {
    check("CATEGORY\tmailbox\tstorage", "control");
    check("CATEGORY\tnew", "control");
    check("UPDATE\t2\t1\t101\t0", "control");
    check("END\t4", "control");
}

#[test]
fn a_bad_line_is_rejected_with_reason_and_column() {
    check("", "unknown-command at 0");
    check("VERSION\tstats-client\t4\t0", "unknown-command at 0");
    check("event\t0", "unknown-command at 0");
    check("EVENT", "syntax at 5");
    check("EVENT\t", "syntax at 6");
    check("EVENT\t0", "syntax at 7");
    check("EVENT\t-1\t0\t0\t1\t0", "syntax at 6");
    check("EVENT\t+1\t0\t0\t1\t0", "syntax at 6");
    check("EVENT\t18446744073709551616\t0\t0\t1\t0", "syntax at 6");
    check("EVENT\t7\t0\t0\t1\t0", "unknown-event at 6");
    check("EVENT\t0\t7\t0\t1\t0", "unknown-parent at 8");
    check("EVENT\t0\t3\t0\t1\t0", "unknown-parent at 8");
    check("EVENT\t0\t0\t6\t1\t0", "syntax at 10");
    check("EVENT\t0\t0\t0", "syntax at 11");
    check("EVENT\t0\t0\t0\t1", "syntax at 13");
    check("EVENT\t0\t0\t0\t1\t1000000", "syntax at 14");
    check("EVENT\t0\t0\t0\t1\t-1", "syntax at 14");
    check("EVENT\t0\t0\t0\t1\t0\tcnone", "unknown-category at 17");
    check("EVENT\t0\t0\t0\t1\t0\tsfile", "syntax at 21");
    check("EVENT\t0\t0\t0\t1\t0\tsfile\t-1", "syntax at 22");
    check("EVENT\t0\t0\t0\t1\t0\tIn", "syntax at 18");
    check("EVENT\t0\t0\t0\t1\t0\tIn\t", "syntax at 19");
    check("EVENT\t0\t0\t0\t1\t0\tIn\t9223372036854775808", "syntax at 19");
    check("EVENT\t0\t0\t0\t1\t0\tI\t1", "syntax at 17");
    check("EVENT\t0\t0\t0\t1\t0\tPp\t1.2.3", "syntax at 19");
    check("EVENT\t0\t0\t0\t1\t0\tPp\t", "syntax at 19");
    check("EVENT\t0\t0\t0\t1\t0\tTt\t1", "syntax at 20");
    check("EVENT\t0\t0\t0\t1\t0\tLl\t2\tx", "syntax at 22");
    check("EVENT\t0\t0\t0\t1\t0\tLl\t4294967295\tx", "syntax at 31");
    check("EVENT\t0\t0\t0\t1\t0\tLl\t4294967296\tx", "syntax at 19");
    check("BEGIN\t1\t0\t0\t1\t0", "duplicate-event at 6");
    check("BEGIN\t9\t8\t0\t1\t0", "unknown-parent at 8");
    check("UPDATE\t9\t0\t1\t0", "unknown-event at 7");
    check("UPDATE\t2\t0\t1\t0", "changed-parent at 9");
    check("UPDATE\t2\t9\t1\t0", "changed-parent at 9");
    check("UPDATE\t2\t1\t1", "syntax at 12");
    check("END", "syntax at 3");
    check("END\tx", "syntax at 4");
    check("END\t3", "unknown-event at 4");
    check("CATEGORY", "syntax at 8");
    check("CATEGORY\tmailbox", "changed-category at 16");
    check("CATEGORY\tmailbox\tnone", "unknown-category at 17");
    check(&format!("CATEGORY\t{}", "x".repeat(256)), "syntax at 9");
    let fields: String = (0..=1000).map(|number| format!("\tI{number:04}\t1")).collect();
    check(&format!("EVENT\t0\t0\t0\t1\t0{fields}"), "too-many at 8017");
}

#[test]
fn an_update_keeps_what_it_does_not_mention() {
    let check = |line: &str, expected: &str| {
        let mut writer = connection();
        writer.decode(line.as_bytes()).unwrap();
        let open = &writer.open;
        let event = open.event(open.find(1).unwrap());
        let found = show(&Event {
            name: event.name(),
            log_type: event.log_type(),
            source: event.source(),
            hostname: None,
            start_time: event.created(),
            end_time: None,
            duration: 0,
            parts: crate::event::Parts::ALL,
            own: event.layer(),
            ancestors: crate::event::Ancestors::default(),
            categories: crate::event::Categories::Registered(&writer.registry),
        });
        assert_eq!(found, expected, "{line:?}");
    };
    check(
        "UPDATE\t1\t0\t100\t0",
        "root Debug at 100000000 from root.c:1 user='ann' size=1 list=1[a] duration=5",
    );
    check(
        "UPDATE\t1\t0\t200\t0\tnnew\tsnew.c\t2\tl300\t0\tcmailbox\tIadded\t1\tLlist\t1\tb\tSsize\tx",
        "new Debug at 200000000 from new.c:2 #mailbox \
         user='ann' size='x' list=1[b] duration=5 added=1",
    );
}

#[test]
fn the_first_line_says_who_speaks() {
    let check = |line: &str, expected: Option<usize>| {
        let mut writer = StatsWriter::default();
        match (writer.decode(line.as_bytes()), expected) {
            (Ok(Decoded::Handshake), None) => {}
            (Err(error), Some(column)) => {
                assert!(error.closes_connection(), "{line:?}");
                assert_eq!(
                    (error.reason(), error.column() - 1),
                    (Reason::Version, column),
                    "{line:?}"
                );
            }
            (found, _) => panic!("{line:?}: {found:?}"),
        }
    };
    check("VERSION\tstats-client\t4\t0", None);
    check("VERSION\tstats-client\t4\t9", None);
    check("VERSION\tstats-client\t5\t0", Some(21));
    check("VERSION\tstats-client\t4\tx", Some(23));
    check("VERSION\tstats-client\t4", Some(22));
    check("VERSION\tstats-client\t4\t0\t", Some(25));
    check("VERSION\tstats-reader-client\t4\t0", Some(8));
    check("VERSION", Some(7));
    check("EVENT\t0\t0\t0\t1\t0", Some(0));
    check("", Some(0));
}

#[test]
fn an_error_is_one_clear_sentence() {
    let mut writer = connection();
    let error = writer.decode(b"EVENT\t0\t0\t9\t1\t0").unwrap_err();
    assert_eq!(error.to_string(), "expected a log type from 0 to 5 at column 11");
    assert!(!error.closes_connection());
}

#[test]
fn an_ended_event_lives_on_in_its_children() {
    let mut writer = connection();
    let Ok(Decoded::Event(event)) = writer.decode(b"EVENT\t2\t4\t0\t1\t0") else { panic!() };
    assert_eq!(event.ancestors.layers().count(), 4);
    assert_eq!(event.value(b"user"), Some(FieldValue::Text(b"bob")));
    assert_eq!(event.value(b"size"), Some(FieldValue::Integer(1)));
    assert!(event.has_category(b"storage"));
}

#[test]
fn a_cr_at_the_end_of_a_line_is_the_values() {
    let mut writer = StatsWriter::default();
    writer.decode(b"VERSION\tstats-client\t4\t0").unwrap();
    let line = b"EVENT\t0\t0\t1\t1700000000\t0\tnx\tSa\t12\r";
    let Ok(Decoded::Event(event)) = writer.decode(line) else { panic!("an event") };
    assert_eq!(event.value(b"a"), Some(FieldValue::Text(b"12\r")));
}
