//! Payloads as one line of text.

/// Appends a payload, with control characters other than TAB as `#` and three octal
/// digits, as syslog daemons write them.
pub(crate) fn append(line: &mut Vec<u8>, payload: &[u8]) {
    for &byte in payload {
        match byte {
            0..=0x08 | 0x0a..=0x1f | 0x7f => {
                line.extend([b'#', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)])
            }
            _ => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    fn check(payload: &str, expected: &str) {
        let mut line = Vec::new();
        super::append(&mut line, payload.as_bytes());
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_payload_is_one_line() {
        check("", "");
        check("event:a\tfield:b=\u{fc}#~ ", "event:a\tfield:b=\u{fc}#~ ");
        check("a\nb\r\0\x1b[31m\x7f", "a#012b#015#000#033[31m#177");
    }
}
