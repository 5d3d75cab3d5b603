//! `fantail filter`, the language's grep.

use std::{collections::BTreeMap, fs};

use fantail_integration_tests::{Workdir, data, events, fantail, feed};
use serde_json::{Map, Value, json};

fn three() -> Vec<u8> {
    events::lines([events::json("a", 1), events::json("b", 2), events::json("a", 3)])
}

#[test]
fn its_exit_statuses_are_greps() {
    let check = |filter: &str, input: &[u8], status: i32, stdout: &str| {
        let done = feed(["filter", filter], input);
        assert_eq!((done.status, done.text()), (Some(status), stdout), "{filter}: {}", done.stderr);
    };
    let (first, third) = (events::json("a", 1), events::json("a", 3));
    check("event=a", &three(), 0, &format!("{first}\n{third}\n"));
    check("event=c", &three(), 1, "");
    check("event=a", b"", 1, "");
    check("event=", &three(), 2, "");
    check("(event=a", &three(), 2, "");
    // What can't be read does not match, and is reported.
    let done = feed(["filter", "event=a"], b"nonsense\n{\"event\":\"a\"}\n{\"event\":\n");
    assert_eq!(done.status, Some(0));
    assert!(
        done.stderr.contains("line 1: ") && done.stderr.contains("line 3: "),
        "{}",
        done.stderr
    );
    let missing = fantail(["filter", "event=a", "/nonexistent/file"]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.stderr.contains("/nonexistent/file"), "{}", missing.stderr);
    assert_eq!(fantail(["filter"]).status, Some(2));
    assert_eq!(fantail(["filter", "-n", "-c", "event=a"]).status, Some(2));
}

#[test]
fn a_hyphen_is_standard_input() {
    let done = feed(["filter", "-n", "event=a", "-"], &three());
    assert_eq!((done.status, done.text()), (Some(0), "1\n3\n"), "{}", done.stderr);
    // A file of that name has another way.
    let file = fantail(["filter", "-n", "event=a", "./-"]);
    assert_eq!(file.status, Some(2));
    assert!(file.stderr.starts_with("fantail filter: ./-: "), "{}", file.stderr);
}

#[test]
fn an_input_that_can_not_be_read_is_named() {
    let done = fantail(["filter", "event=a", "/"]);
    assert_eq!(done.status, Some(2));
    assert!(done.stderr.starts_with("fantail filter: /: "), "{}", done.stderr);
}

#[test]
fn an_error_is_shown_under_the_expression() {
    let filter = "event=a AND size > ten KB";
    let done = feed(["filter", filter], b"");
    assert_eq!(done.status, Some(2));
    assert!(done.stderr.contains("line 1, column 24: "), "{}", done.stderr);
    let marked = format!("  | {filter}\n  | {}^^\n", " ".repeat(filter.len() - 2));
    assert!(done.stderr.ends_with(&marked), "{}", done.stderr);
}

#[test]
fn it_prints_numbers_and_counts() {
    let dir = Workdir::new();
    let file = dir.write("events.json", three()).display().to_string();
    assert_eq!(fantail(["filter", "-n", "event=a", &file]).text(), "1\n3\n");
    assert_eq!(fantail(["filter", "-c", "event=a", &file]).text(), "2\n");
    let none = fantail(["filter", "-c", "event=c", &file]);
    assert_eq!((none.status, none.text()), (Some(1), "0\n"));
}

#[test]
fn it_prints_the_canonical_text_and_reads_nothing() {
    let check = |filter: &str, canonical: &str| {
        let done = fantail(["filter", "--canonical", filter]);
        assert_eq!((done.status, done.text()), (Some(0), format!("{canonical}\n").as_str()));
    };
    check("event = a", "(event=\"a\")");
    check("  event\t=\n\"a\"\r", "(event=\"a\")");
    check("((( event = a )))", "(event=\"a\")");
    assert_eq!(fantail(["filter", "--canonical", "event"]).status, Some(2));
}

#[test]
fn it_explains_the_filter_and_every_verdict() {
    let filter = "event=a OR event=b AND session=12h";
    let done = feed(["filter", "--explain", filter], &three());
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    let text = done.text();
    let (understood, verdicts) = text.split_once("line 1: ").unwrap();
    let mut lines = understood.lines();
    assert_eq!(lines.next(), Some("all of:"));
    assert_eq!(lines.next(), Some("  any of:"));
    assert!(understood.contains("43200000000 microseconds"), "{understood}");
    assert_eq!(understood.matches("warning: ").count(), 2, "{understood}");
    assert!(verdicts.starts_with("does not match\n  session=12h  false: there is no such field\n"));
    assert_eq!(verdicts.matches("does not match\n").count(), 3, "{verdicts}");
    // A match decides the exit status as it does without.
    let done = feed(["filter", "--explain", "event=b"], &three());
    assert_eq!(done.status, Some(0));
    let found = "line 2: matches\n  event=b  true: its name is \"b\"\n";
    assert!(done.text().contains(found), "{}", done.text());
    assert_eq!(fantail(["filter", "--explain", "-c", "event=b"]).status, Some(2));
}

#[test]
fn it_reads_tab_text_and_recorded_streams() {
    let dir = Workdir::new();
    let tab = events::lines([events::tab_text("a", 1), events::tab_text("b", 2)]);
    let tab = dir.write("events.tab", tab).display().to_string();
    let done = fantail(["filter", "event=b AND category=storage", &tab]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.text().starts_with("{\"event\":\"b\",\"hostname\":\"mail1\""), "{}", done.text());
    // As many as Dovecot itself exported: one stream after the other.
    let capture = data("captures/dovecot-2.4");
    let expected = fs::read_to_string(capture.join("expected/all.json")).unwrap();
    let wanted = |line: &&str| line.starts_with("{\"event\":\"imap_command_finished\"");
    let mut streams: Vec<_> =
        fs::read_dir(capture.join("streams")).unwrap().map(|it| it.unwrap().path()).collect();
    streams.sort();
    let mut found = Vec::new();
    for stream in streams {
        let stream = stream.display().to_string();
        let done = fantail(["filter", "event=imap_command_finished", &stream]);
        assert!(matches!(done.status, Some(0 | 1)), "{}", done.stderr);
        assert_eq!(done.stderr, "");
        found.extend(done.text().lines().map(str::to_owned));
    }
    let expected: Vec<_> = expected.lines().filter(wanted).collect();
    let normal = fantail_integration_tests::expect::normal_json;
    let expected: Vec<_> = expected.into_iter().map(normal).collect();
    let found: Vec<_> = found.iter().map(|line| normal(line)).collect();
    assert_eq!(found, expected);
}

/// An event of the recorded cases as a line of JSON, if JSON can say the same.
fn as_line(event: &Value, parents: &Map<String, Value>) -> Option<String> {
    let known = ["name", "log_type", "source", "categories", "fields", "duration_usecs"];
    let members = event.as_object()?;
    if members.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    // A line's categories include the ancestors; an event's of Dovecot imply them.
    let mut categories = Vec::new();
    for category in members["categories"].as_array()? {
        let mut category = Some(category.as_str()?);
        while let Some(name) = category {
            categories.push(name);
            category = parents.get(name)?.as_str();
        }
    }
    let mut fields = BTreeMap::new();
    for field in members["fields"].as_array()? {
        let value = match field["type"].as_str()? {
            "str" | "int" | "strlist" => field["value"].clone(),
            _ => return None,
        };
        if fields.insert(field["key"].as_str()?, value).is_some() {
            return None;
        }
    }
    if let Some(duration) = members.get("duration_usecs") {
        fields.insert("duration", duration.clone());
    }
    let mut line = json!({"categories": categories, "fields": fields});
    if let Some(name) = members["name"].as_str() {
        line["event"] = name.into();
    }
    Some(line.to_string())
}

/// A line of JSON has no severity (which filters call a category) and no place in a
/// source; an argument has no NUL.
fn asks_for_more_than_lines_have(filter: &str) -> bool {
    const SEVERITIES: [&str; 6] = ["debug", "info", "warn", "error", "fatal", "panic"];
    let filter = filter.to_lowercase();
    let severity = SEVERITIES.iter().any(|severity| filter.contains(severity));
    filter.contains("category") && severity || filter.contains("source") || filter.contains('\0')
}

/// What Dovecot's own code found, of those cases that lines of JSON can express.
#[test]
fn it_agrees_with_dovecot() {
    let cases = fs::read(data("cases/filter_cases.json")).unwrap();
    let cases: Value = serde_json::from_slice(&cases).unwrap();
    let parents = cases["categories"].as_object().unwrap();
    let (mut refused, mut compared) = (0, 0);
    for case in cases["cases"].as_array().unwrap() {
        let (id, filter) = (&case["id"], case["filter"].as_str().unwrap());
        if case.get("also_filter").is_some() || asks_for_more_than_lines_have(filter) {
            continue;
        }
        let events = case["events"].as_array().unwrap().iter();
        let events =
            events.filter_map(|event| Some((as_line(&event["event"], parents)?, &event["match"])));
        let (lines, expected): (Vec<_>, Vec<_>) = events.unzip();
        // Some begin with a hyphen, as options do.
        let done = feed(["filter", "-n", "--", filter], &events::lines(lines.clone()));
        if case["parse"] != "ok" {
            assert_eq!(done.status, Some(2), "{id}: {filter}");
            refused += 1;
            continue;
        }
        let found: Vec<_> = done.text().lines().collect();
        for (at, expected) in expected.into_iter().enumerate() {
            let matched = found.contains(&(at + 1).to_string().as_str());
            assert_eq!(&Value::Bool(matched), expected, "{id}: {filter}: {}", lines[at]);
            compared += 1;
        }
    }
    // Should a new edition of the cases change its shape, this must not pass unseen.
    assert!(refused >= 40 && compared >= 400, "{refused} refused, {compared} compared");
}
