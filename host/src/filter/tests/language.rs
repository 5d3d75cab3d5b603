//! What the cases don't say: errors and their places, depth, and sets.

use std::time::Instant;

use crate::event::builder::{EventBuilder, EventChain};
use crate::filter::{
    ErrorKind, Filter, FilterSet, LENGTH_MAX, Matcher, NESTING_MAX, WarningKind, warnings,
};

fn matches(filter: &str, event: EventBuilder) -> bool {
    Filter::parse(filter).unwrap().matches(&EventChain::new(event, &[]).event())
}

#[test]
fn errors_say_where_and_what() {
    let check = |text: &str, kind: ErrorKind, span: std::ops::Range<usize>, expected: &str| {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!((error.kind(), error.span()), (kind, span), "{text:?}");
        assert_eq!(error.to_string(), expected, "{text:?}");
    };
    check(
        "event=a AND",
        ErrorKind::UnexpectedEnd,
        11..11,
        "line 1, column 12: expected a key, NOT or `(`, but the filter ends here",
    );
    check(
        "user=\"ä\" AND\n user=a@b",
        ErrorKind::NeedsQuotes,
        21..22,
        "line 2, column 8: expected AND, OR or the end of the filter; `@` may only stand inside \
         quotes",
    );
    check(
        "\"ä\" x",
        ErrorKind::Unexpected,
        5..6,
        "line 1, column 5: expected `=`, `>`, `<`, `>=` or `<=`, found `x`",
    );
    check(
        "a=1 AND (b=2 OR (c=3)",
        ErrorKind::UnclosedParenthesis,
        8..9,
        "line 1, column 9: this parenthesis is never closed",
    );
    check(
        "event > = a",
        ErrorKind::OnlyEqual,
        6..9,
        "line 1, column 7: expected `=`: only fields support inequality comparisons",
    );
    check(
        "a=1 AND Or=2",
        ErrorKind::KeywordAsKey,
        8..10,
        "line 1, column 9: expected a key, NOT or `(`; a field called `Or` needs quotes",
    );
    check(
        "a=\"b",
        ErrorKind::UnclosedQuote,
        2..4,
        "line 1, column 3: expected a value, but the quote never ends",
    );
    check(
        "a=\"b\\\nc\"",
        ErrorKind::EscapedNewline,
        4..5,
        "line 1, column 5: a backslash can't escape the end of a line",
    );
    check("a=\"\0\"", ErrorKind::Nul, 3..4, "line 1, column 4: a filter can't contain a NUL byte");
    let error = Filter::parse(b"a=\"\xff\"").unwrap_err();
    assert_eq!((error.kind(), error.span()), (ErrorKind::NotUtf8, 3..4));
}

#[test]
fn depth_is_bounded_and_length_is_cheap() {
    let started = Instant::now();
    let nested = |open: &str, levels: usize, close: &str| {
        Filter::parse(open.repeat(levels) + "a=1" + &close.repeat(levels))
    };
    for (open, close) in [("(", ")"), ("NOT ", ""), ("b=2 OR (", ")"), ("NOT (", ")")] {
        let levels = NESTING_MAX / if open == "NOT (" { 2 } else { 1 };
        let deepest = nested(open, levels, close).unwrap();
        let event = EventChain::new(EventBuilder::new().integer("a", 1), &[]);
        let odd_nots = open.starts_with("NOT") && levels % 2 == 1;
        assert_eq!(deepest.matches(&event.event()), !odd_nots, "{open}");
        // Canonical text has parentheses around each AND, OR and NOT.
        let half = nested(open, levels / 2 - 1, close).unwrap();
        assert_eq!(Filter::parse(half.canonical()).unwrap(), half);
        assert!(!deepest.canonical().is_empty());
        assert_eq!(nested(open, levels + 1, close).unwrap_err().kind(), ErrorKind::TooDeep);
        assert_eq!(nested(open, 1_000_000, "").unwrap_err().kind(), ErrorKind::TooDeep);
    }
    let long = Filter::parse("a=0 OR ".repeat(200_000) + "a=1").unwrap();
    assert!(!long.requires_event_name());
    assert!(long.matches(&EventChain::new(EventBuilder::new().integer("a", 1), &[]).event()));
    assert!(!long.canonical().is_empty());
    let mixed = Filter::parse("a=0 OR b=0 AND ".repeat(100_000) + "a=1").unwrap();
    let found = warnings(&mixed);
    let mixed = found.iter().filter(|warning| warning.kind == WarningKind::MixedJoints);
    assert_eq!(mixed.count(), 199_999);
    let too_long = Filter::parse(" ".repeat(LENGTH_MAX + 1)).unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::TooLong);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn canonical_text_keeps_the_escapes_it_needs() {
    let check = |text: &str, canonical: &str| {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.canonical(), canonical);
        assert_eq!(Filter::parse(canonical).unwrap(), filter);
    };
    check("", "");
    check(r#"a="\*b*""#, r#"("a"="\*b*")"#);
    check(r#"a="\*""#, r#"("a"="\*")"#);
    check(r#"event="a\?""#, r#"(event="a\?")"#);
    check(r#"a="\12h""#, r#"("a"="\12h")"#);
    check(r#"a="1\2h""#, r#"("a"="\12h")"#);
    check(r#"a=1m OR a="1\m""#, r#"(("a"="1m" OR "a"="\1m"))"#);
    check(r#"category="\debug""#, r#"(category="\debug")"#);
    check(r#""a\"b"="c\"d""#, r#"("a\"b"="c\"d")"#);
    check("a=b\"c", r#"("a"="b")"#);
}

#[test]
fn a_set_names_the_filters_that_match() {
    let parse = |text: &str| Filter::parse(text).unwrap();
    let texts = ["event=a", "", "b=1 OR event=a", "NOT event=a"];
    let set = FilterSet::new(texts.map(parse));
    let symbols = set.symbols();
    let mut matcher = Matcher::new(&set, &symbols);
    let mut check = |event: EventBuilder, expected: &[u32]| {
        let mut matched = vec![7, 8, 9];
        let chain = EventChain::new(event, &[]).resolve(&symbols);
        set.matches_into(&chain.event(), &mut matcher, &mut matched);
        assert_eq!(matched, expected);
    };
    check(EventBuilder::new().name("a"), &[0, 2]);
    check(EventBuilder::new().name("b"), &[3]);
    check(EventBuilder::new().name("b").integer("b", 1), &[2, 3]);
    check(EventBuilder::new(), &[3]);
    assert_eq!(set.canonical(), r#"(event="a") OR (("b"="1" OR event="a")) OR ((NOT event="a"))"#);
    assert!(!set.drops_unnamed());

    let named = FilterSet::new(["event=a", "", "NOT event=b"].map(parse));
    let (mut matcher, mut matched) = (Matcher::new(&named, &named.symbols()), Vec::new());
    let event = EventChain::new(EventBuilder::new(), &[]);
    named.matches_into(&event.event(), &mut matcher, &mut matched);
    assert!(matched.is_empty() && named.drops_unnamed());
    assert!(parse("NOT event=b").matches(&EventChain::new(EventBuilder::new(), &[]).event()));
    assert_eq!(FilterSet::new([]).canonical(), "");

    // A set that is for named events only says so, whatever its filters need.
    let set = FilterSet::of(["b=1"].map(parse), false);
    let symbols = set.symbols();
    let mut matcher = Matcher::new(&set, &symbols);
    let mut check = |event: EventBuilder, expected: &[u32]| {
        let chain = EventChain::new(event.integer("b", 1), &[]).resolve(&symbols);
        set.matches_into(&chain.event(), &mut matcher, &mut matched);
        assert_eq!(matched, expected);
    };
    check(EventBuilder::new().name("a"), &[0]);
    check(EventBuilder::new(), &[]);
    assert!(set.drops_unnamed());
}

#[test]
fn what_only_our_events_have_is_compared_as_text() {
    let event = || EventBuilder::new().list("l", &["a\tb", "\x01"]).name("");
    assert!(matches("l=\"a\tb\"", event()));
    assert!(matches("l=\"\x01\"", event()));
    assert!(!matches("l=\"atb\"", event()));
    assert!(matches("l=\"?\tb\"", event()));
    assert!(!matches("event=\"\" OR event=*", event()), "an empty name is none");
    assert!(!matches("source_location=x OR category=debug", event()), "it carries neither");
    assert!(matches("NOT category=debug", event()));
    assert!(matches("duration<0", EventBuilder::new().start_time(9).last_sent(5)));
}

#[test]
fn a_plain_text_in_an_ancestor_is_a_list_of_one() {
    let chain = EventChain::new(EventBuilder::new().list::<&str>("l", &[]), &[])
        .parents([EventBuilder::new().text("l", "p")])
        .global([EventBuilder::new().integer("l", 5)]);
    let check = |filter: &str, expected: bool| {
        assert_eq!(Filter::parse(filter).unwrap().matches(&chain.event()), expected, "{filter}");
    };
    check("l=P", true);
    check("l=*", true);
    check("l=\"\"", false);
    check("l=5", false);
    check("NOT l=q", true);
}
