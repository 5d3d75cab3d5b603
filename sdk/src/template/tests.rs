use super::{Template, TemplateError};
use crate::{LabelPart, List};

/// The text of a template for an event with these values.
fn expand(text: &str, values: &[(&str, &str)]) -> String {
    let template = Template::parse(text).unwrap();
    let of = |part: &LabelPart| {
        let name = match part {
            LabelPart::Field(name) => name.as_str(),
            LabelPart::Event => "(event)",
            LabelPart::Hostname => "(hostname)",
            LabelPart::StartTime => "(start)",
            LabelPart::EndTime => "(end)",
            _ => "",
        };
        values.iter().find(|(wanted, _)| *wanted == name).map_or("", |(_, value)| value)
    };
    let values: Vec<&str> = template.wants().iter().map(of).collect();
    let label = List::escape(&values);
    let mut out = Vec::new();
    template.expand(&List::from_escaped(&label, values.len()), &mut out, |value, out| {
        out.extend(value.iter().map(|&byte| if byte == b'/' { b'!' } else { byte }));
    });
    String::from_utf8(out).unwrap()
}

#[test]
fn values_stand_at_their_places() {
    let check = |text: &str, expected: &str| {
        let values = [
            ("user", "jo/e@Example.com@x"),
            ("event", "field"),
            ("(event)", "imap_command_finished"),
            ("(hostname)", "mail.example.com"),
            ("(end)", "1795194309422744"),
            ("(start)", "-1"),
            ("tab", "a\tb\0"),
            ("a b-c", "odd"),
        ];
        assert_eq!(expand(text, &values), expected, "{text}");
    };
    check("", "");
    check("/plain/text", "/plain/text");
    check("/a/%{user}/%{event}", "/a/jo!e@Example.com@x/imap_command_finished");
    check("%{field:event} %{hostname}", "field mail.example.com");
    check("%{ user|domain }", "Example.com@x");
    check("%{user | username | upper}", "JO!E");
    check("%{user | domain | lower}", "example.com@x");
    check("%{none}%{none | default('n}o|n\\'e')}%{tab | domain}", "n}o|n'e");
    check("%{user | default(\"x\") | substr(0, 2)}", "jo");
    check(
        "%{user|substr(-1)}%{user|substr(5)}%{user|substr(3,-12)}%{user|substr(99)}",
        "xExample.com@xe@E",
    );
    check("%{tab}", "a\tb\0");
    check("%{a b-c}", "odd");
    check("100% %%{user} %%%{user | username} %", "100% %{user} %%{user | username} %");
    check("%{time} %{start_time}", "2026-11-20T17:05:09Z 1969-12-31T23:59:59Z");
    check(
        "%{time | date('%Y/%m/%d %H.%M.%S %y %j %F %T %s %%')}",
        "2026!11!20 17.05.09 26 324 2026-11-20 17:05:09 1795194309 %",
    );
    check("%{time | lower}", "2026-11-20t17:05:09z");
}

#[test]
fn what_is_wanted_is_wanted_once() {
    let field = |name: &str| LabelPart::Field(name.to_owned());
    let template = Template::parse("%{b}%{a | lower}%{b}%{time}").unwrap();
    assert_eq!(template.wants(), [field("b"), field("a"), LabelPart::EndTime]);
    assert_eq!((template.constant(), template.prefix()), (None, ""));
    let template = Template::parse("x%{b}").unwrap();
    assert_eq!((template.constant(), template.prefix()), (None, "x"));
    assert_eq!(Template::parse("x%").unwrap().constant(), Some("x%"));

    let mut wants = vec![LabelPart::Event];
    let one = Template::parse_beside("%{a}", &mut wants).unwrap();
    assert!(Template::parse_beside("%{c}%{", &mut wants).is_err());
    let other = Template::parse_beside("%{a}%{event}", &mut wants).unwrap();
    assert_eq!(wants, [LabelPart::Event, field("a")]);
    let label = List::from_escaped(b"e\ta", 2);
    let mut out = Vec::new();
    one.expand(&label, &mut out, |value, out| out.extend(value));
    other.expand(&label, &mut out, |value, out| out.extend(value));
    assert_eq!(out, b"aae");
}

/// Texts made of pieces of the syntax are read or refused, with a place inside, and what was read can
/// be expanded with any values.
#[test]
fn no_text_is_too_odd() {
    const PIECES: &[&str] = &[
        "%{",
        "%{user",
        "%{time ",
        "%%{",
        "%",
        "}",
        "|",
        "(",
        ")",
        ",",
        "'",
        "\"",
        "\\",
        " ",
        "user",
        "event",
        "time",
        "field:",
        "lower",
        "domain",
        "substr",
        "default",
        "date",
        "%Y",
        "-1",
        "0",
        "99999999999999999999",
        "\u{fc}",
        "\u{1f4e7}",
        "\n",
        "x",
        "{",
        "| lower",
        "| substr(1, -1)",
        "| date('%F')",
        "| default('%{')",
    ];
    const VALUES: &[&str] =
        &["", "\0\t\n\r\u{1}", "a@b@c", "9223372036854775807", "-9223372036854775808"];
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut read, mut expanded) = (0, Vec::new());
    for _ in 0..100_000 {
        let text: String = (0..random(9)).map(|_| PIECES[random(PIECES.len())]).collect();
        match Template::parse(&text) {
            Ok(template) => {
                read += usize::from(template.constant().is_none());
                let values: Vec<_> = template.wants().iter().map(|_| VALUES[random(5)]).collect();
                let label = List::escape(&values);
                expanded.clear();
                let label = List::from_escaped(&label, values.len());
                template.expand(&label, &mut expanded, |value, out| out.extend_from_slice(value));
            }
            Err(error) => assert!(error.place() <= text.chars().count(), "{text:?}: {error}"),
        }
    }
    assert!(read > 1000, "{read} templates with values");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let check = |text: &str, place: usize, expected: &str| {
        let error: TemplateError = Template::parse(text).unwrap_err();
        assert_eq!((error.place(), error.text.as_str()), (place, expected), "{text}");
        assert_eq!(error.to_string(), format!("character {}: {expected}", place + 1));
    };
    let filters = "lower, upper, username, domain, substr, default, date";
    check("a%{", 3, "expected the name of a field, event, hostname or time");
    check("a%{ }", 4, "expected the name of a field, event, hostname or time");
    check("\u{fc}%{user", 7, "expected `|` or `}`, but the text ends");
    check("%{a%{b}}", 3, "expected `|` or `}` behind a name, not `%`");
    check("%{user | donain}", 9, &format!("there is no filter `donain`, but {filters}"));
    check("%{user | }", 9, &format!("expected a filter ({filters}), not `}}`"));
    check("%{user | default}", 16, "expected `(`, not `}`");
    check("%{user | default(x)}", 17, "expected a text in quotes, not `x`");
    check("%{user | default('x)}", 21, "expected the closing quote, but the text ends");
    check("%{user | default('x'}", 20, "expected `)`, not `}`");
    check("%{user | substr(x)}", 16, "expected a whole number, not `x`");
    check("%{user | lower upper}", 15, "expected `|` or `}`, not `u`");
    check("%{user | date('%Y')}", 9, "date must be the first filter of time or start_time");
    check(
        "%{time | lower | date('%Y')}",
        17,
        "date must be the first filter of time or start_time",
    );
    let letters = "in a date, expected of the letters %Y %y %m %d %H %M %S %j %F %T %s %% only";
    check("%{time | date('%Q')}", 14, letters);
    check("%{time | date('x%')}", 14, letters);
}
