//! What `check` has to say about legal filters.

use crate::filter::{Filter, WarningKind, warnings};

/// The warnings as `name: text they are about`.
fn found(text: &str) -> Vec<String> {
    let filter = Filter::parse(text).unwrap();
    warnings(&filter)
        .iter()
        .map(|warning| {
            assert!(!warning.kind.to_string().is_empty());
            let name = match &warning.kind {
                WarningKind::Taken { taken, normalised, .. } => format!("{taken:?} {normalised}"),
                other => format!("{other:?}"),
            };
            format!("{name}: {}", &text[warning.span.clone()])
        })
        .collect()
}

#[test]
fn mixed_joints_need_parentheses() {
    let check = |text: &str, expected: &[&str]| assert_eq!(found(text), expected, "{text}");
    check("a=x OR b=x AND c=x", &["MixedJoints: AND"]);
    check("a=x AND NOT b=x or c=x", &["MixedJoints: or"]);
    check("(a=x OR b=x) AND c=x", &[]);
    check("a=x OR (b=x AND c=x) OR d=x", &[]);
    check("a=x OR (b=x AND c=x OR e=x) OR d=x", &["MixedJoints: OR"]);
    check("NOT (a=x OR b=x) AND c=x", &[]);
    check("a=x AND (b=x OR c=x) AND d=x", &[]);
}

#[test]
fn values_are_named_as_what_they_were_taken_for() {
    let check = |text: &str, expected: &[&str]| assert_eq!(found(text), expected, "{text}");
    check("session=12h", &["Interval 43200000000: 12h"]);
    check("a=\"1KB\"", &["Size 1024: \"1KB\""]);
    check("tls=1.2", &["Address 1.0.0.2: 1.2"]);
    check("a=05", &["Number 5: 05"]);
    check("a=\"\\12h\" AND b=12h*", &[]);
    check("duration>12h", &[]);
    check("a=1m", &["AmbiguousUnit: 1m"]);
    check("category=service:*", &["CategoryWildcard: service:*"]);
    check("event=5", &[]);
    check("a=b\" OR c=d", &["UnclosedQuote: \" OR c=d"]);
}

#[test]
fn filters_that_never_match_are_told() {
    let check = |text: &str, expected: &[&str]| {
        let mut found = found(text);
        found.retain(|warning| warning.starts_with("Never") || warning.starts_with("Contra"));
        assert_eq!(found, expected, "{text}");
    };
    check("", &["NeverMatches: "]);
    check("event=\"\"", &["NeverMatches: event=\"\"", "NeverTrue: event=\"\""]);
    check("event=\"\" OR a=x", &["NeverTrue: event=\"\""]);
    check("NOT a>x", &["NeverTrue: a>x"]);
    check("NOT NOT a>x", &["NeverMatches: NOT NOT a>x", "NeverTrue: a>x"]);
    check("a>\"\" AND b=*", &[]);
    check(
        "source_location=a.c:012",
        &["NeverMatches: source_location=a.c:012", "NeverTrue: source_location=a.c:012"],
    );
    check("duration=x OR duration=5*", &["NeverTrue: duration=x"]);
    check(
        "event=a AND b=x AND event=b",
        &["NeverMatches: event=a AND b=x AND event=b", "Contradiction: event=b"],
    );
    check("event=a* AND event=ab AND NOT event=b*", &[]);
    check(
        "event=ab AND event=b*",
        &["NeverMatches: event=ab AND event=b*", "Contradiction: event=b*"],
    );
    check("a=x AND (b=y AND NOT a=X)", &[]);
    check(
        "a=x AND (b=y AND NOT a=x)",
        &["NeverMatches: a=x AND (b=y AND NOT a=x)", "Contradiction: a=x"],
    );
    check("a=1 AND a=2", &[]);
    check(
        "category=debug AND category=error",
        &["NeverMatches: category=debug AND category=error", "Contradiction: category=error"],
    );
    check("c=x OR (duration>5 AND duration<6)", &["Contradiction: duration<6"]);
    check("duration>=5 AND duration<=5", &[]);
    check("category=imap AND category=lmtp", &[]);
}

#[test]
fn values_taken_for_numbers_are_told_where_fields_hold_text() {
    let check = |text: &str, expected: usize| {
        let warnings = warnings(&Filter::parse(text).unwrap());
        let told = warnings.iter().filter(|warning| warning.is_worth_telling(text));
        assert_eq!(told.count(), expected, "{text}");
    };
    check("session=12h", 1);
    check("user=\"05\"", 1);
    check("tls_protocol=1.2", 1);
    check("reason_code=1KB", 1);
    // The text that it is compared with is the one that was written.
    check("user=10.0.0.1 AND cmd_tag=\"5\"", 0);
    check("bytes_in=1KB AND unknown=12h AND duration=12h", 0);
    check("session=1m", 1);
}
