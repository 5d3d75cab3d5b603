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

#[cfg(test)]
mod tests {
    use super::is_metric_name;

    #[test]
    fn names_are_letters_and_digits() {
        for name in ["a", "_a", ":a", "a:b_9", "A"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["", "9", "a-b", "a b", "imap/log/select", "é"] {
            assert!(!is_metric_name(name), "{name}");
        }
    }
}
