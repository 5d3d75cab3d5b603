//! Dovecot's own answers: `integration-tests/data/cases/filter_cases.json`.

use serde_json::Value as Json;

use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Event, LogType};
use crate::filter::{Filter, FilterSet, Matcher, Mismatch, MismatchKind, SeenMismatches};

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/data/cases/filter_cases.json");

/// Cases in which we differ from Dovecot on purpose: our canonical text keeps
/// the escape that makes a wildcard literal.
const KEPT_ESCAPES: [(&str, &str); 2] =
    [("string-013", r#"("user"="a\*")"#), ("string-015", r#"("user"="a\?")"#)];

/// A backslash before the end of a line: Dovecot writes it to its standard
/// output, and the case's note says to make an error of it.
const ERROR_BY_NOTE: &str = "lex-026";

#[test]
fn every_case_comes_out_as_in_dovecot() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let file: Json = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 269);
    let mut failures = Vec::new();
    for case in cases {
        check_keys(case);
        if let Err(failure) = check(case, &file["categories"]) {
            failures.push(format!("{}: {failure}", case["id"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// No case may say something that this test does not look at. `case_sensitive`
/// would be a way of parsing that no metric uses and that we don't have.
fn check_keys(case: &Json) {
    const KNOWN: [&str; 10] = [
        "id",
        "topic",
        "note",
        "filter",
        "also_filter",
        "parse",
        "dovecot_error",
        "canonical_export",
        "requires_event_name",
        "events",
    ];
    for key in case.as_object().unwrap().keys() {
        assert!(KNOWN.contains(&key.as_str()), "{}: unknown key {key}", case["id"]);
    }
}

fn check(case: &Json, categories: &Json) -> Result<(), String> {
    let id = case["id"].as_str().unwrap();
    let text = case["filter"].as_str().unwrap();
    let filter = Filter::parse(text);
    if case["parse"] == "error" || id == ERROR_BY_NOTE {
        return filter.map_or(Ok(()), |_| Err("parses".into()));
    }
    let filter = filter.map_err(|error| error.to_string())?;
    let also = case.get("also_filter").map(|also| also.as_str().unwrap());
    let set = FilterSet::new(
        [filter.clone()].into_iter().chain(also.map(|also| Filter::parse(also).unwrap())),
    );

    // The two filters of one case are one metric's: one expression.
    let whole =
        also.map_or(filter.clone(), |also| Filter::parse(format!("({text}) OR ({also})")).unwrap());
    let kept = KEPT_ESCAPES.iter().find(|(kept, _)| *kept == id).map(|(_, canonical)| *canonical);
    let expected = kept.or(case["canonical_export"].as_str()).unwrap();
    same("canonical", whole.canonical().as_str(), expected)?;
    same("requires_event_name", set.drops_unnamed(), case["requires_event_name"] == true)?;

    let seen = SeenMismatches::new(&set);
    for (index, given) in case["events"].as_array().unwrap().iter().enumerate() {
        let chain = chain(&given["event"], categories);
        let (matched, warnings) = ask(&set, &chain.resolve(&set.symbols()).event(), &seen);
        same(&format!("match of event {index}"), matched, given["match"] == true)?;
        let expected: Vec<_> = given.get("warning").and_then(Json::as_str).into_iter().collect();
        same(&format!("warnings of event {index}"), warnings, expected)?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} is {found:?} instead of {expected:?}"))
    }
}

/// Whether some filter of the set matches, and the mismatches seen for the first time.
fn ask(set: &FilterSet, event: &Event<'_>, seen: &SeenMismatches) -> (bool, Vec<&'static str>) {
    let mut warnings = Vec::new();
    let mut matched = vec![99];
    set.matches_into_reporting(event, &mut matched, &mut |mismatch: Mismatch| {
        if seen.is_first(mismatch) {
            assert!(!set.describe(mismatch).to_string().is_empty());
            warnings.push(name(mismatch.kind));
        }
    });
    // The compiled filters say the same, however few of them are left to be asked.
    for few in [0, 100] {
        let set = FilterSet::with_few(set.filters().to_vec(), true, few);
        let mut found = vec![99];
        set.matches_into(event, &mut Matcher::new(&set, &set.symbols()), &mut found);
        assert_eq!(found, matched, "{:?}, few = {few}", set.canonical());
    }
    (!matched.is_empty(), warnings)
}

/// The name of a mismatch in the cases.
fn name(kind: MismatchKind) -> &'static str {
    match kind {
        MismatchKind::AmbiguousUnit => "ambiguous_unit",
        MismatchKind::TextInequality | MismatchKind::AddressInequality => "inequality_unsupported",
        MismatchKind::NotANumber => "int_vs_noninteger",
        MismatchKind::PatternInequality => "int_wildcard_inequality",
        MismatchKind::NotAnAddress => "ip_vs_nonip",
        MismatchKind::Timestamp => "timestamp_unsupported",
    }
}

fn chain(event: &Json, categories: &Json) -> EventChain {
    let registered: Vec<_> = categories
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, parent)| (name.as_str(), parent.as_str()))
        .collect();
    let registered = parents_first(registered);
    let mut chain = EventChain::new(builder(event), &registered);
    if let Some(parent) = event.get("parent") {
        chain = chain.parents(from_root(parent));
    }
    if let Some(global) = event.get("global") {
        chain = chain.global(from_root(global));
    }
    chain
}

fn parents_first<'a>(
    mut categories: Vec<(&'a str, Option<&'a str>)>,
) -> Vec<(&'a str, Option<&'a str>)> {
    let mut sorted: Vec<(&str, Option<&str>)> = Vec::new();
    while !categories.is_empty() {
        let (ready, later): (Vec<_>, Vec<_>) = categories.into_iter().partition(|(_, parent)| {
            parent.is_none_or(|parent| sorted.iter().any(|(name, _)| *name == parent))
        });
        assert!(!ready.is_empty(), "every parent is a category");
        sorted.extend(ready);
        categories = later;
    }
    sorted
}

/// The event's ancestors and the event itself, the root first.
fn from_root(event: &Json) -> Vec<EventBuilder> {
    let mut events: Vec<_> =
        std::iter::successors(Some(event), |event| event.get("parent")).map(builder).collect();
    events.reverse();
    events
}

fn builder(event: &Json) -> EventBuilder {
    let mut builder = EventBuilder::new();
    for (key, value) in event.as_object().unwrap() {
        builder = match key.as_str() {
            "name" => value.as_str().map_or(builder.clone(), |name| builder.clone().name(name)),
            "log_type" => {
                let mut all = LogType::ALL.into_iter();
                builder.log_type(all.find(|log_type| value == log_type.name()).unwrap())
            }
            "source" => {
                let line = u32::try_from(value["line"].as_u64().unwrap()).unwrap();
                builder.source(value["file"].as_str().unwrap(), line)
            }
            "categories" => {
                let names = value.as_array().unwrap().iter();
                names.fold(builder, |builder, name| builder.category(name.as_str().unwrap()))
            }
            "fields" => value.as_array().unwrap().iter().fold(builder, field),
            "duration_usecs" => {
                builder.start_time(1_000_000).last_sent(1_000_000 + value.as_i64().unwrap())
            }
            "parent" | "global" => builder,
            other => panic!("unknown key {other}"),
        }
    }
    builder
}

fn field(builder: EventBuilder, field: &Json) -> EventBuilder {
    let (key, value) = (field["key"].as_str().unwrap(), &field["value"]);
    match field["type"].as_str().unwrap() {
        "str" => builder.text(key, value.as_str().unwrap()),
        "int" => builder.integer(key, value.as_i64().unwrap()),
        "ip" => builder.ip(key, value.as_str().unwrap()),
        "time" => {
            let micros = value["sec"].as_i64().unwrap() * 1_000_000;
            builder.timestamp(key, micros + value["usec"].as_i64().unwrap())
        }
        "strlist" => {
            let elements = value.as_array().unwrap().iter();
            builder.list(key, &elements.map(|e| e.as_str().unwrap()).collect::<Vec<_>>())
        }
        other => panic!("unknown type {other}"),
    }
}
