//! What came out against what Dovecot made of the same.

use std::collections::BTreeMap;

/// A line of Dovecot's json without what may differ: the host name, the moment
/// of the export, the order of categories, and how hexadecimal digits are written.
pub fn normal_json(line: &str) -> String {
    // What names and values contain stands behind; the keys before it are fixed.
    let fields = line.find("\"fields\":").unwrap_or(line.len());
    let (head, fields) = line.split_at(fields);
    let head = without(head, "\"hostname\":\"", "\"");
    let head = if head.contains("\"end_time\":\"") {
        without(&head, "\"end_time\":\"", "\"")
    } else {
        without(&head, "\"end_time\":", ",")
    };
    sorted(&head, "\"categories\":[", "]") + &lower_escapes(fields)
}

/// The same for tab-text.
pub fn normal_tab_text(line: &str) -> String {
    let mut parts: Vec<&str> = line.split('\t').collect();
    for part in &mut parts {
        for changing in ["hostname:", "end_time:"] {
            if part.starts_with(changing) {
                *part = changing;
            }
        }
    }
    let is_category = |part: &&str| part.starts_with("category:");
    if let Some(first) = parts.iter().position(is_category) {
        let count = parts[first..].iter().take_while(|part| is_category(part)).count();
        parts[first..first + count].sort_unstable();
    }
    parts.join("\t")
}

/// Requires the same lines in any order, each after `normal`, and each as often.
///
/// # Panics
///
/// When they are not; it shows some of those that only one side has.
#[track_caller]
pub fn same_set<'a>(
    what: &str,
    expected: impl IntoIterator<Item = &'a String>,
    found: impl IntoIterator<Item = &'a String>,
    normal: impl Fn(&str) -> String,
) {
    let mut surplus: BTreeMap<String, i64> = BTreeMap::new();
    expected.into_iter().for_each(|line| *surplus.entry(normal(line)).or_default() -= 1);
    found.into_iter().for_each(|line| *surplus.entry(normal(line)).or_default() += 1);
    surplus.retain(|_, count| *count != 0);
    let some: Vec<String> =
        surplus.iter().take(6).map(|(line, count)| format!("{count:+} {line}")).collect();
    assert!(some.is_empty(), "{what}: {} differences:\n{}", surplus.len(), some.join("\n"));
}

/// Requires the same lines in the same order, each after `normal`.
#[track_caller]
pub fn same_lines(name: &str, expected: &str, found: &str, normal: fn(&str) -> String) {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    for (at, (expected, found)) in expected.iter().zip(&found).enumerate() {
        assert_eq!(normal(expected), normal(found), "{name}, line {}", at + 1);
    }
    assert_eq!(expected.len(), found.len(), "number of lines in {name}");
}

/// The text without what stands between `start` and the next `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let Some((before, rest)) = text.split_once(start) else { return text.to_owned() };
    let (_, after) = rest.split_once(end).expect("what was begun ends");
    format!("{before}{start}{end}{after}")
}

/// The text with the list between `start` and the next `end` in order.
fn sorted(text: &str, start: &str, end: &str) -> String {
    let Some((before, rest)) = text.split_once(start) else { return text.to_owned() };
    let (list, after) = rest.split_once(end).expect("what was begun ends");
    let mut list: Vec<_> = list.split(',').collect();
    list.sort_unstable();
    format!("{before}{start}{}{end}{after}", list.join(","))
}

/// `\u001B` as `\u001b`.
fn lower_escapes(text: &str) -> String {
    let mut pieces = text.split("\\u");
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len().min(4);
        lower.push_str("\\u");
        lower.push_str(&piece[..digits].to_lowercase());
        lower.push_str(&piece[digits..]);
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::{normal_json, normal_tab_text};

    #[test]
    fn only_what_may_differ_is_ignored() {
        let check = |one: &str, other: &str, same: bool| {
            assert_eq!(normal_json(one) == normal_json(other), same, "{one}\n{other}");
        };
        check(
            r#"{"event":"a","hostname":"x","end_time":"1","categories":["b","a"],"fields":{"n":1}}"#,
            r#"{"event":"a","hostname":"y","end_time":"2","categories":["a","b"],"fields":{"n":1}}"#,
            true,
        );
        check(r#"{"end_time":1.5,"fields":{}}"#, r#"{"end_time":2.5,"fields":{}}"#, true);
        check(r#"{"fields":{"a":"\u001B"}}"#, r#"{"fields":{"a":"\u001b"}}"#, true);
        check(r#"{"fields":{"a":1,"b":2}}"#, r#"{"fields":{"b":2,"a":1}}"#, false);
        check(r#"{"event":"a","fields":{}}"#, r#"{"event":"b","fields":{}}"#, false);
        let check = |one: &str, other: &str, same: bool| {
            assert_eq!(normal_tab_text(one) == normal_tab_text(other), same, "{one}\n{other}");
        };
        check(
            "event:a\thostname:x\tcategory:b\tcategory:a",
            "event:a\thostname:y\tcategory:a\tcategory:b",
            true,
        );
        check("field:a=1\tfield:b=2", "field:b=2\tfield:a=1", false);
        check("event:a\t", "event:a", false);
    }
}
