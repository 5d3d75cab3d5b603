//! What holds for every filter and every text.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::{prop_assert_eq, prop_oneof};

use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Event, LogType};
use crate::filter::{Expr, Filter, Node, NodeId, naive, warnings};

/// Pieces that texts made at random rarely have.
const PIECES: [&str; 34] = [
    "event",
    "category",
    "source_location",
    "a",
    "b",
    "duration",
    "=",
    ">",
    "<",
    "(",
    ")",
    " AND ",
    " OR ",
    "NOT ",
    "\"",
    "\\",
    "*",
    "?",
    "5",
    "05",
    "1KB",
    "1m",
    "12h",
    "1.2",
    "10.0.0.0/8",
    "::1",
    "fe80::1%lo",
    "debug",
    "imap",
    "x",
    "ä",
    "\n",
    ":",
    "'",
];

const VALUES: [&str; 22] = [
    "\"\"",
    "*",
    "?",
    "x",
    "X*",
    "5",
    "05",
    "4*",
    "1KB",
    "1m",
    "12h",
    "\"\\12h\"",
    "\"\\*x*\"",
    "\"x\\?\"",
    "1.2",
    "10.0.0.0/8",
    "::1",
    "fe80::1%lo",
    "debug",
    "\"\\debug\"",
    "and",
    "f.c:1",
];

fn a_value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..VALUES.len()).prop_map(|index| VALUES[index].to_owned()),
        "[ -~ä]{0,6}".prop_map(|text| {
            let escaped: String = text
                .chars()
                .flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"\"\\".contains(c))))
                .collect();
            format!("\"{escaped}\"")
        }),
    ]
}

fn a_test() -> impl Strategy<Value = String> {
    let special = prop_oneof!["event=", "category=", "source_location="];
    let field = ("(a|b|l|duration|\"k y\")", "=|>|<|>=|<=").prop_map(|(key, op)| key + &op);
    (prop_oneof![special, field], a_value()).prop_map(|(start, value)| start + &value)
}

fn a_filter() -> impl Strategy<Value = String> {
    a_test().prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| format!("NOT {filter}")),
            inner.clone().prop_map(|filter| format!("({filter})")),
            (inner.clone(), "AND|or", inner).prop_map(|(a, joint, b)| format!("{a} {joint} {b}")),
        ]
    })
}

fn events() -> Vec<EventChain> {
    const CATEGORIES: [(&str, Option<&str>); 3] =
        [("imap", None), ("debug", None), ("x", Some("imap"))];
    let events = [
        EventBuilder::new(),
        EventBuilder::new().name("x").text("a", "x").integer("b", 5).text("k y", "12h"),
        EventBuilder::new().name("5").integer("a", 1024).text("b", "*x").category("x"),
        EventBuilder::new().log_type(LogType::Debug).source("f.c", 1).text("a", ""),
        EventBuilder::new().ip("a", "10.1.1.1").ip("b", "fe80::1%lo").list("l", &["x", ""]),
        EventBuilder::new().timestamp("a", 5).list("b", &["5", "05"]).category("debug"),
    ];
    let parent = || EventBuilder::new().name("p").text("l", "x").integer("a", 5).category("imap");
    let mut chains: Vec<_> =
        events.iter().map(|event| EventChain::new(event.clone(), &CATEGORIES)).collect();
    chains.extend(
        events.into_iter().map(|event| EventChain::new(event, &CATEGORIES).parents([parent()])),
    );
    chains
}

/// The evaluator with recursion, against which the one without is checked.
fn by_recursion(expr: &Expr, id: NodeId, event: &Event<'_>) -> bool {
    match expr.node(id) {
        Node::Test(test) => naive::passes(expr.test(test), event, &mut |_| {}),
        Node::Not(child) => !by_recursion(expr, child, event),
        Node::And(left, right) => {
            by_recursion(expr, left, event) && by_recursion(expr, right, event)
        }
        Node::Or(left, right) => {
            by_recursion(expr, left, event) || by_recursion(expr, right, event)
        }
    }
}

/// A filter that parses has a canonical text that stands for it.
fn check_canonical(filter: &Filter) {
    let canonical = filter.canonical();
    let again = Filter::parse(&canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
    assert_eq!(&again, filter, "{canonical}");
    assert_eq!(again.canonical(), canonical);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn canonical_text_is_an_equal_filter_with_the_same_answers(text in a_filter()) {
        let filter = Filter::parse(&text);
        let filter = filter.unwrap_or_else(|error| panic!("{text}: {error}"));
        check_canonical(&filter);
        let again = Filter::parse(filter.canonical()).unwrap();
        let never = warnings(&filter)
            .iter()
            .any(|warning| warning.kind == crate::filter::WarningKind::NeverMatches);
        for chain in events() {
            let event = chain.event();
            let answer = filter.matches(&event);
            prop_assert_eq!(answer, again.matches(&event));
            prop_assert_eq!(answer, by_recursion(filter.expr(), filter.expr().root().unwrap(), &event));
            assert!(!(never && answer), "{text} matches and is said not to");
        }
    }

    #[test]
    fn any_bytes_parse_or_fail_within_themselves(bytes in vec(any::<u8>(), 0..80)) {
        check_any(&bytes);
    }

    #[test]
    fn any_pieces_parse_or_fail_within_themselves(pieces in vec(0..PIECES.len(), 0..20)) {
        let text: String = pieces.into_iter().map(|index| PIECES[index]).collect();
        check_any(text.as_bytes());
    }
}

fn check_any(bytes: &[u8]) {
    match Filter::parse(bytes) {
        Ok(filter) => {
            check_canonical(&filter);
            for warning in warnings(&filter) {
                assert!(bytes.get(warning.span.clone()).is_some(), "{warning:?}");
            }
        }
        Err(error) => {
            assert!(bytes.get(error.span()).is_some(), "{error:?}");
            assert!(!error.to_string().is_empty());
        }
    }
}
