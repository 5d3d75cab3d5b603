//! Events in each of the languages that inputs speak.

/// A line of JSON: an event with the field `n`.
pub fn json(name: &str, n: usize) -> String {
    json_with(name, &format!("\"n\":{n}"))
}

/// A line of JSON: an event with these members of its `fields`.
pub fn json_with(name: &str, fields: &str) -> String {
    format!(
        "{{\"event\":\"{name}\",\"hostname\":\"mail1\",\
         \"start_time\":\"2026-03-01T10:00:00.000001Z\",\
         \"end_time\":\"2026-03-01T10:00:00.000002Z\",\
         \"categories\":[],\"fields\":{{{fields}}}}}"
    )
}

/// A line of tab-text: an event with the field `n`.
pub fn tab_text(name: &str, n: usize) -> String {
    format!(
        "event:{name}\thostname:mail1\tstart_time:2026-03-01T10:00:00.000001Z\t\
         end_time:2026-03-01T10:00:00.000002Z\tcategory:storage\tfield:n={n}"
    )
}

/// A stats-writer line: an event with the field `n`.
pub fn stats(name: &str, n: usize) -> String {
    format!("EVENT\t0\t0\t0\t1700000000\t0\tl1700000000\t25\tn{name}\tIn\t{n}")
}

/// Lines with their ends.
pub fn lines(lines: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}
