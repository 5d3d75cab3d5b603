use fantail_sdk::abi::{RawEvent, RawField, part, value_kind};
use fantail_sdk::{List, Timestamp};

use super::{Export, Flattener, recycle};
use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Bytes, Categories, Parts, Span};

const CATEGORIES: [(&str, Option<&str>); 4] =
    [("storage", None), ("mailbox", Some("storage")), ("mail", Some("mailbox")), ("imap", None)];

fn new() -> EventBuilder {
    EventBuilder::new()
}

fn export(include: Parts, fields: &[&str]) -> Export {
    Export { include, fields: fields.iter().map(|field| field.as_bytes().into()).collect() }
}

fn show(raw: &RawEvent<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut words: Vec<String> =
        raw.categories.iter().map(|name| format!("#{}", text(name.as_slice()))).collect();
    words.extend(raw.fields.iter().map(|field| {
        let value = match field.kind {
            value_kind::INTEGER => field.number.to_string(),
            value_kind::LIST => {
                let list = List::from_escaped(field.text(), field.number as usize);
                let elements: Vec<_> = list.iter().map(|element| text(&element)).collect();
                format!("[{}]", elements.join("|"))
            }
            _ => format!("'{}'", text(field.text())),
        };
        format!("{}={value}", text(field.key()))
    }));
    words.join(" ")
}

fn check_fields(chain: &EventChain, fields: &[&str], expected: &str) {
    let mut flattener = Flattener::default();
    let export = export(Parts::FIELDS, fields);
    for _ in 0..2 {
        // The second time with the scratch of the first.
        let event = chain.event();
        let found = flattener.with_raw(&event, &export, b"", Timestamp::from_micros(0), show);
        assert_eq!(found, expected);
    }
}

#[test]
fn fields_are_flattened() {
    let check = |own, parents: &[EventBuilder], globals: &[EventBuilder], all, some| {
        let chain = EventChain::new(own, &CATEGORIES)
            .parents(parents.iter().cloned())
            .global(globals.iter().cloned());
        check_fields(&chain, &[], all);
        check_fields(&chain, &["c", "none", "a"], some);
    };
    let abc = new().text("a", "own").integer("b", 1).text("c", "");
    check(abc.clone(), &[], &[], "a='own' b=1 c=''", "c='' a='own'");
    check(abc.clone(), &[new()], &[new()], "a='own' b=1 c=''", "c='' a='own'");
    check(new(), std::slice::from_ref(&abc), &[], "a='own' b=1 c=''", "c='' a='own'");
    check(new(), &[], &[], "", "");
    // An overridden field keeps its first position: the global event's root comes first.
    check(
        new().text("c", "own").text("d", "own"),
        &[new().text("b", "root").text("d", "root"), new().text("a", "parent")],
        &[new().text("c", "global root").text("a", "global root"), new().text("b", "global")],
        "c='own' a='parent' b='root' d='own'",
        "c='own' a='parent'",
    );
    // Cleared.
    check(new().text("a", ""), &[new().integer("a", 1)], &[], "a=''", "a=''");
}

#[test]
fn lists_along_the_chain_are_one() {
    let check = |own, parents: &[EventBuilder], globals: &[EventBuilder], expected| {
        let chain = EventChain::new(own, &CATEGORIES)
            .parents(parents.iter().cloned())
            .global(globals.iter().cloned());
        check_fields(&chain, &[], expected);
        check_fields(&chain, &["l"], expected);
    };
    let list = |elements: &[&str]| new().list("l", elements);
    let text = |text| new().text("l", text);
    check(list(&["c", "x"]), &[list(&["p", "x"])], &[list(&["g"])], "l=[g|p|x|c]");
    check(list(&["a", "b\tc"]), &[list(&["b\tc", "d"]), list(&[])], &[], "l=[b\\tc|d|a]");
    // What came in alone stays as it is; what is flattened has no duplicates.
    check(list(&["a", "a"]), &[], &[], "l=[a|a]");
    check(list(&["a", "a"]), &[new()], &[], "l=[a]");
    check(new(), &[list(&["a", "a", ""])], &[], "l=[a|]");
    check(list(&[]), &[list(&[])], &[], "l=[]");
    check(list(&[""]), &[list(&[])], &[], "l=[]");
    // Another kind takes the place of what was there.
    check(text("t"), &[list(&["p"])], &[], "l='t'");
    check(list(&["a"]), &[text("t")], &[], "l=[a]");
    check(list(&["a"]), &[text("")], &[list(&["g"])], "l=[a]");
    check(list(&["a"]), &[list(&["p", "q"]), text("t"), list(&["b"])], &[], "l=[b|a]");
    check(text("t"), &[list(&["p", "q"]), list(&["b"])], &[], "l='t'");
}

#[test]
fn two_lists_do_not_get_mixed_up() {
    let chain = EventChain::new(
        new().list("m", &["m2"]).list("l", &["l2", "l1"]).integer("n", 1),
        &CATEGORIES,
    )
    .parents([new().list("l", &["l1"]).list("m", &["m1"])]);
    check_fields(&chain, &[], "l=[l1|l2] m=[m1|m2] n=1");
    check_fields(&chain, &["n", "m", "l"], "n=1 m=[m1|m2] l=[l1|l2]");
}

#[test]
fn categories_come_with_their_ancestors_each_once() {
    let chain = EventChain::new(new().category("mail").category("imap"), &CATEGORIES)
        .parents([new().category("storage"), new().category("imap")])
        .global([new().category("mailbox")]);
    let found = Flattener::default().with_raw(
        &chain.event(),
        &export(Parts::CATEGORIES, &[]),
        b"",
        Timestamp::from_micros(0),
        show,
    );
    assert_eq!(found, "#mailbox #storage #imap #mail");
}

#[test]
fn categories_by_name_are_passed_on() {
    let chain = EventChain::new(new(), &[]);
    let mut event = chain.event();
    let spans = [Span::line(2, 3), Span::line(0, 2)];
    event.categories = Categories::Named(Bytes::new(b"abc", b""), &spans);
    let found = Flattener::default().with_raw(
        &event,
        &export(Parts::ALL, &[]),
        b"",
        Timestamp::from_micros(0),
        show,
    );
    assert_eq!(found, "#c #ab");
}

#[test]
fn an_export_has_the_parts_asked_for_that_the_event_has() {
    let own = new().name("n").hostname("other").start_time(5).integer("f", 1);
    let chain = EventChain::new(own, &[]);
    let unnamed = EventChain::new(new(), &[]);
    let check = |chain: &EventChain, include, has, expected: (u32, &str, &str, i64, i64, usize)| {
        let mut event = chain.event();
        event.parts = has;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Flattener::default().with_raw(
            &event,
            &export(include, &[]),
            b"mine",
            Timestamp::from_micros(9),
            |raw| {
                let (name, host) = (text(raw.name.as_slice()), text(raw.hostname.as_slice()));
                let (start, end) = (raw.start_micros, raw.end_micros);
                let found = (raw.parts, &*name, &*host, start, end, raw.fields.len());
                assert_eq!(found, expected);
                assert_eq!(raw.log_type, u32::MAX);
            },
        );
    };
    check(&chain, Parts::ALL, Parts::ALL, (63, "n", "other", 5, 9, 1));
    check(&chain, Parts::NONE, Parts::ALL, (0, "", "", 0, 0, 0));
    check(&chain, Parts::ALL, Parts::NAME, (part::NAME, "n", "", 0, 0, 0));
    check(&chain, Parts::TIMESTAMPS, Parts::ALL, (12, "", "", 5, 9, 0));
    check(&chain, Parts::FIELDS, Parts::ALL, (part::FIELDS, "", "", 0, 0, 1));
    check(&unnamed, Parts::ALL, Parts::ALL, (62, "", "mine", 0, 9, 0));
}

#[test]
fn an_end_time_that_came_in_is_kept() {
    let chain = EventChain::new(new().end_time(7), &[]);
    let export = export(Parts::END_TIME, &[]);
    let end = Flattener::default().with_raw(
        &chain.event(),
        &export,
        b"",
        Timestamp::from_micros(9),
        |raw| raw.end_micros,
    );
    assert_eq!(end, 7);
}

/// A format may copy a short text without looking how long it is.
#[test]
fn the_texts_of_all_layers_come_in_blocks() {
    let layer = |key| new().text(key, "someone").text("end", "x".repeat(80));
    let chain = EventChain::new(layer("user"), &[]).parents([layer("session")]);
    let export = export(Parts::FIELDS, &[]);
    Flattener::default().with_raw(&chain.event(), &export, b"", Timestamp::from_micros(0), |raw| {
        assert_eq!(raw.fields.len(), 3);
        for field in raw.fields.iter().filter(|field| field.key() != b"end") {
            let (key, text) = (field.key_block().unwrap(), field.text_block().unwrap());
            assert!(key.starts_with(field.key()) && field.has_plain_key());
            assert_eq!(field.text()[..7], text[..7]);
        }
    });
}

#[test]
fn only_plain_names_are_said_to_be_plain() {
    let chain = EventChain::new(new().text("a_b-c.D9", "").text("a b", "").text("\u{e9}", ""), &[]);
    let export = export(Parts::FIELDS, &[]);
    let plain =
        Flattener::default().with_raw(&chain.event(), &export, b"", Timestamp::default(), |raw| {
            raw.fields.iter().map(RawField::has_plain_key).collect::<Vec<_>>()
        });
    assert_eq!(plain, [true, false, false]);
}

#[test]
fn a_recycled_vector_keeps_its_allocation() {
    let mut vec: Vec<RawField<'_>> = Vec::with_capacity(100);
    let key = b"key".to_vec();
    vec.push(RawField::of_kind(&key, value_kind::TEXT, &key, 0));
    let place = vec.as_ptr().addr();
    let recycled: Vec<RawField<'static>> = recycle(vec);
    assert!(recycled.is_empty());
    assert_eq!((recycled.capacity(), recycled.as_ptr().addr()), (100, place));
}

/// Layers small and large, with names that are alike, against a plain list.
#[test]
fn every_name_is_there_once_however_many_there_are() {
    let mut state = 7_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % end
    };
    for _ in 0..200 {
        let mut expected: Vec<(String, String)> = Vec::new();
        let mut layers = Vec::new();
        for depth in 0..1 + below(5) {
            let mut layer = new();
            let (of, step, count) = (1 + below(120), 1 + below(7), below(60));
            let numbers = (0..count.min(of)).map(|number| number * step % of);
            let mut names: Vec<String> = numbers.map(|number| number.to_string()).collect();
            names.sort_by_key(|name| name.bytes().rev().collect::<Vec<_>>());
            names.dedup();
            for name in names {
                let value = format!("'{name}@{depth}'");
                layer = layer.text(&name, value.trim_matches('\''));
                match expected.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = value,
                    None => expected.push((name, value)),
                }
            }
            layers.push(layer);
        }
        let own = layers.pop().unwrap_or_default();
        let words = expected.iter().map(|(name, value)| format!("{name}={value}"));
        let expected = words.collect::<Vec<_>>().join(" ");
        check_fields(&EventChain::new(own, &CATEGORIES).parents(layers), &[], &expected);
    }
}
