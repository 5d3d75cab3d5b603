//! A filter in words: how its text was understood, and which of its tests decided
//! about an event.

use fantail_sdk::FieldValue;

use super::Filter;
use super::ast::{FieldTest, NameTest, Node, NodeId, Op, Test, TestId};
use super::literal::{Literal, Taken};
use super::mismatch::{Description, MismatchKind};
use super::naive;
use crate::event::Event;

/// One line of an outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How many groups it stands in.
    pub depth: usize,
    /// The test as the filter has it, or what begins a group: `all of:`.
    pub text: String,
    /// What the test means; empty for a group.
    pub meaning: String,
}

/// The filter as groups in groups, whatever its parentheses are: what one group
/// joins stands below it. `text` is the text that the filter was parsed from.
pub fn outline(filter: &Filter, text: &str) -> Vec<Line> {
    let expr = filter.expr();
    let mut lines = Vec::new();
    let mut rest: Vec<_> = expr.root().map(|root| (root, 0, 0)).into_iter().collect();
    while let Some((id, depth, nots)) = rest.pop() {
        let mut line = Line { depth, text: "not ".repeat(nots), meaning: String::new() };
        match expr.node(id) {
            Node::Not(child) => {
                rest.push((child, depth, nots + 1));
                continue;
            }
            Node::Test(test) => {
                line.text.push_str(&source_of(filter, text, test));
                line.meaning = meaning(expr.test(test), filter.origin().test(test).taken);
            }
            Node::And(..) | Node::Or(..) => {
                let is_and = matches!(expr.node(id), Node::And(..));
                line.text.push_str(if is_and { "all of:" } else { "any of:" });
                let children = joined(filter, id);
                rest.extend(children.into_iter().rev().map(|child| (child, depth + 1, 0)));
            }
        }
        lines.push(line);
    }
    lines
}

/// What a row of ANDs, or of ORs, joins, in order.
fn joined(filter: &Filter, id: NodeId) -> Vec<NodeId> {
    let expr = filter.expr();
    let is_and = matches!(expr.node(id), Node::And(..));
    let mut found = Vec::new();
    let mut rest = vec![id];
    while let Some(id) = rest.pop() {
        match expr.node(id) {
            Node::And(left, right) if is_and => rest.extend([right, left]),
            Node::Or(left, right) if !is_and => rest.extend([right, left]),
            _ => found.push(id),
        }
    }
    found
}

/// The test as it stands in the filter's text, on one line.
fn source_of(filter: &Filter, text: &str, test: TestId) -> String {
    let source = text.get(filter.origin().test(test).span()).unwrap_or_default();
    let mut line = String::with_capacity(source.len());
    for character in source.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// What the test asks, with the type that its value was taken for.
fn meaning(test: &Test, taken: Option<Taken>) -> String {
    match test {
        Test::Name(NameTest::Exact(name)) if name.is_empty() => "never true".to_owned(),
        Test::Name(NameTest::Exact(_)) => "the event's own name".to_owned(),
        Test::Name(NameTest::Pattern(_)) => {
            "a pattern for the event's own name; a letter's case counts".to_owned()
        }
        Test::Category(_) => {
            "a category, or one below it, of the event or of one above it".to_owned()
        }
        Test::LogType(_) => "the severity".to_owned(),
        Test::Source(place) if place.contains(':') => "a file and a line in the source".to_owned(),
        Test::Source(_) => "a file of the source".to_owned(),
        Test::Field(test) => field_meaning(test, taken),
    }
}

fn field_meaning(test: &FieldTest, taken: Option<Taken>) -> String {
    let text = test.value.text();
    let compared = if test.is_duration() {
        "computed from the event's times, in microseconds"
    } else if test.op == Op::Equal {
        match &test.value {
            Literal::Integer(_) | Literal::Network(_) => &format!("text has to be `{text}`"),
            Literal::Text(text) if text.is_empty() => "the field is missing or empty",
            Literal::Pattern(_) => "a pattern; a letter's case does not count",
            Literal::Ambiguous(_) => "no number equals it: write `mins` or `MB`",
            Literal::Text(_) => "text; a letter's case does not count",
        }
    } else {
        "numbers only"
    };
    match (&test.value, taken) {
        (Literal::Integer(_), Some(Taken::Size)) => format!("a size ({text} bytes); {compared}"),
        (Literal::Integer(_), Some(Taken::Interval)) => {
            format!("an interval ({text} microseconds); {compared}")
        }
        (Literal::Integer(_), _) => format!("the number {text}; {compared}"),
        (Literal::Network(network), _) if network.is_wide() => {
            format!("the network {text}; {compared}")
        }
        (Literal::Network(_), _) => format!("the address {text}; {compared}"),
        (Literal::Ambiguous(_), _) => format!("mega or minutes; {compared}"),
        (Literal::Text(_) | Literal::Pattern(_), _) => compared.to_owned(),
    }
}

/// What a filter says of an event, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it matches.
    pub matches: bool,
    /// Whether it was not asked at all: the event has no name, and no event
    /// without one is of use to the filter.
    pub is_dropped: bool,
    /// The tests that decided, in the filter's order: as long as they have the same
    /// answers, so has the filter.
    pub decided: Vec<Decided>,
}

/// A test that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The test.
    pub test: TestId,
    /// Its answer.
    pub answer: bool,
    /// Why it can't work with what the event has, if it can't.
    pub mismatch: Option<MismatchKind>,
}

impl Verdict {
    /// Asks the filter alone about the event.
    pub fn new(filter: &Filter, event: &Event<'_>) -> Self {
        let expr = filter.expr();
        let is_unnamed = event.name.is_none_or(<[u8]>::is_empty);
        let Some(root) = expr.root() else {
            return Verdict { matches: false, is_dropped: false, decided: Vec::new() };
        };
        if is_unnamed && filter.requires_event_name() {
            return Verdict { matches: false, is_dropped: true, decided: Vec::new() };
        }
        let mut mismatches = vec![None; expr.tests().len()];
        let mut answers: Vec<bool> = Vec::with_capacity(expr.nodes().len());
        for (_, node) in expr.nodes() {
            let of = |child: NodeId| answers[child.index()];
            let answer = match node {
                Node::Test(test) => naive::passes(expr.test(test), event, &mut |kind| {
                    mismatches[test.index()] = Some(kind);
                }),
                Node::Not(child) => !of(child),
                Node::And(left, right) => of(left) && of(right),
                Node::Or(left, right) => of(left) || of(right),
            };
            answers.push(answer);
        }
        let of = |child: NodeId| answers[child.index()];
        let mut decided = Vec::new();
        let mut rest = vec![root];
        while let Some(id) = rest.pop() {
            match expr.node(id) {
                Node::Test(test) => {
                    let mismatch = mismatches[test.index()];
                    decided.push(Decided { test, answer: of(id), mismatch });
                }
                Node::Not(child) => rest.push(child),
                // One false part decides, and one true alternative: the first of them.
                Node::And(left, right) | Node::Or(left, right) => {
                    let alone = matches!(expr.node(id), Node::Or(..));
                    if of(left) == alone {
                        rest.push(left);
                    } else if of(right) == alone {
                        rest.push(right);
                    } else {
                        rest.extend([right, left]);
                    }
                }
            }
        }
        Verdict { matches: of(root), is_dropped: false, decided }
    }
}

impl Decided {
    /// The test as the filter's `text` has it, its answer, and what the event has.
    pub fn describe(&self, filter: &Filter, text: &str, event: &Event<'_>) -> (String, String) {
        let test = filter.expr().test(self.test);
        let why = match self.mismatch {
            Some(kind) => Description { test, kind }.to_string(),
            None => found(test, event),
        };
        (source_of(filter, text, self.test), format!("{}: {why}", self.answer))
    }
}

/// What the event has where the test looks.
fn found(test: &Test, event: &Event<'_>) -> String {
    match test {
        Test::Name(_) => match event.name {
            Some(name) => format!("its name is {}", quoted(name)),
            None => "it has no name".to_owned(),
        },
        Test::Category(name) if event.has_category(name.as_bytes()) => "it has it".to_owned(),
        Test::Category(_) => "neither it nor one above it has".to_owned(),
        Test::LogType(_) => match event.log_type {
            Some(log_type) => format!("its severity is {}", log_type.name()),
            None => "its input carries no severity".to_owned(),
        },
        Test::Source(_) => match event.source {
            Some(source) => format!("it comes from {}:{}", quoted(source.file), source.line),
            None => "its input does not say where it comes from".to_owned(),
        },
        Test::Field(test) if test.is_duration() => format!("it is {}", event.duration),
        Test::Field(test) => match event.value(test.key.as_bytes()) {
            Some(value) => value_in_words(value),
            None => "there is no such field".to_owned(),
        },
    }
}

fn value_in_words(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Text([]) => "the field was cleared".to_owned(),
        FieldValue::Text(text) => format!("the text {}", quoted(text)),
        FieldValue::Integer(number) => format!("the number {number}"),
        FieldValue::Timestamp(_) => "a point in time".to_owned(),
        FieldValue::Ip(address) => format!("the address {}", address.escape_ascii()),
        FieldValue::List(list) if list.is_empty() => "an empty list".to_owned(),
        FieldValue::List(list) => {
            let elements: Vec<_> = list.iter().map(|element| quoted(&element)).collect();
            format!("the list of {}", elements.join(", "))
        }
        FieldValue::Json(text) => format!("the JSON value {}", text.escape_ascii()),
    }
}

/// The text between quotes, with an ellipsis when it is long.
fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let more = if text.len() > SHOWN { "..." } else { "" };
    format!("{shown:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::{Verdict, outline};
    use crate::event::builder::{EventBuilder, EventChain};
    use crate::filter::Filter;

    #[test]
    fn an_outline_shows_what_joins_what() {
        let check = |text: &str, expected: &[&str]| {
            let lines = outline(&Filter::parse(text).unwrap(), text);
            let found: Vec<_> = lines
                .iter()
                .map(|line| format!("{}{} | {}", "  ".repeat(line.depth), line.text, line.meaning))
                .map(|line| line.trim_end_matches(" | ").to_owned())
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check("", &[]);
        check("event=a", &["event=a | the event's own name"]);
        check(
            "a=x OR duration>1sec AND c=10KB",
            &[
                "all of:",
                "  any of:",
                "    a=x | text; a letter's case does not count",
                "    duration>1sec | an interval (1000000 microseconds); computed from the event's \
                 times, in microseconds",
                "  c=10KB | a size (10240 bytes); text has to be `10240`",
            ],
        );
        check(
            "NOT NOT category=debug AND (ip=10.0.0.0/8 AND NOT (a=1 OR b=\"\"))",
            &[
                "all of:",
                "  not not category=debug | the severity",
                "  ip=10.0.0.0/8 | the network 10.0.0.0/8; text has to be `10.0.0.0/8`",
                "  not any of:",
                "    a=1 | the number 1; text has to be `1`",
                "    b=\"\" | the field is missing or empty",
            ],
        );
        check("a>5", &["a>5 | the number 5; numbers only"]);
        check("a=1m", &["a=1m | mega or minutes; no number equals it: write `mins` or `MB`"]);
    }

    #[test]
    fn a_verdict_names_the_tests_that_decided() {
        let check = |text: &str, matches: bool, expected: &[(&str, &str)]| {
            let filter = Filter::parse(text).unwrap();
            let own = EventBuilder::new().name("n").text("a", "x").integer("b", 5);
            let chain = EventChain::new(own, &[]);
            let event = chain.event();
            let verdict = Verdict::new(&filter, &event);
            assert_eq!(verdict.matches, filter.matches(&event), "{text}");
            assert_eq!(verdict.matches, matches, "{text}");
            let decided = verdict.decided.iter();
            let found: Vec<_> = decided.map(|it| it.describe(&filter, text, &event)).collect();
            let found: Vec<_> = found.iter().map(|(test, why)| (&**test, &**why)).collect();
            assert_eq!(found, expected, "{text}");
        };
        let (a, b) = (("a=x", "true: the text \"x\""), ("b=5", "true: the number 5"));
        check("a=x AND b=5", true, &[a, b]);
        check("a=x OR b=5", true, &[a]);
        check("a=y OR b=5", true, &[b]);
        check("a=x AND event=m", false, &[("event=m", "false: its name is \"n\"")]);
        check("NOT (a=x AND b=5)", false, &[a, b]);
        check("c=y OR NOT a=x", false, &[("c=y", "false: there is no such field"), a]);
        let cannot = "false: the number in `b` can't be compared with `x`";
        check("NOT b=x", true, &[("b=x", cannot)]);
        check("", false, &[]);
    }

    #[test]
    fn unnamed_events_may_be_dropped() {
        let chain = EventChain::new(EventBuilder::new(), &[]);
        let verdict = |text: &str| Verdict::new(&Filter::parse(text).unwrap(), &chain.event());
        assert!(verdict("NOT event=a").is_dropped);
        assert!(!verdict("NOT event=a OR a=\"\"").is_dropped);
    }
}
