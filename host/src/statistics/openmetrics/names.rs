//! What may be a name in OpenMetrics.

/// Whether a metric may have this name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub(super) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| is_letter(byte) || byte == b':');
    first && bytes.all(|byte| is_letter(byte) || byte == b':' || byte.is_ascii_digit())
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// The name with `_` for every character that no name may have: what is left is the
/// end of a metric's name, or a label's. Never empty, does not begin with a digit,
/// nor with the two `_` that Prometheus keeps for itself.
pub(super) fn made_valid(name: &str) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut made: String = name.chars().map(valid).collect();
    if made.is_empty() || made.starts_with(|first: char| first.is_ascii_digit()) {
        made.insert(0, '_');
    }
    while made.starts_with("__") {
        made.remove(0);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::{is_metric_name, made_valid};

    #[test]
    fn names_are_letters_and_digits() {
        for name in ["a", "_a", ":a", "a:b_9", "A"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["", "9", "a-b", "a b", "imap/log/select", "é"] {
            assert!(!is_metric_name(name), "{name}");
        }
        for (name, expected) in [
            ("cmd_name", "cmd_name"),
            ("a-b.c", "a_b_c"),
            ("9a", "_9a"),
            ("", "_"),
            ("__a", "_a"),
            ("é", "_"),
            ("a:b", "a_b"),
        ] {
            assert_eq!(made_valid(name), expected);
        }
    }
}
