//! The escapes of Dovecot's tab-separated line protocols.
//!
//! The byte 0x01 introduces an escape: `0` is NUL, `1` is 0x01 itself, `t` is
//! TAB, `r` is CR and `n` is LF. Nothing else is escaped, so every other byte
//! stands for itself. The elements of a [`List`](crate::List) are written so.

/// The byte that introduces an escape.
pub const ESCAPE: u8 = 0x01;

/// The character behind [`ESCAPE`] that stands for `byte`, when it needs one.
#[inline]
pub const fn escape_code(byte: u8) -> Option<u8> {
    match byte {
        0 => Some(b'0'),
        ESCAPE => Some(b'1'),
        b'\t' => Some(b't'),
        b'\r' => Some(b'r'),
        b'\n' => Some(b'n'),
        _ => None,
    }
}

/// The byte that `code` behind [`ESCAPE`] stands for; `None` when it is no escape.
#[inline]
pub const fn unescape_code(code: u8) -> Option<u8> {
    match code {
        b'0' => Some(0),
        b'1' => Some(ESCAPE),
        b't' => Some(b'\t'),
        b'r' => Some(b'\r'),
        b'n' => Some(b'\n'),
        _ => None,
    }
}

/// Appends `text` with its escapes.
pub fn escape_into(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match escape_code(byte) {
            Some(code) => out.extend_from_slice(&[ESCAPE, code]),
            None => out.push(byte),
        }
    }
}

/// Appends `text` without its escapes. A 0x01 that introduces nothing known is
/// kept, with the byte behind it. Never longer than `text`.
pub fn unescape_into(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1).and_then(|&code| unescape_code(code)) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 2..];
            }
            None => {
                out.push(ESCAPE);
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::{escape_into, unescape_into};

    #[test]
    fn escapes_go_both_ways() {
        let check = |plain: &[u8], escaped: &[u8]| {
            let mut there = Vec::new();
            escape_into(plain, &mut there);
            assert_eq!(there, escaped);
            let mut back = Vec::new();
            unescape_into(escaped, &mut back);
            assert_eq!(back, plain);
        };
        check(b"", b"");
        check(b"plain \xff text", b"plain \xff text");
        check(b"\0\x01\t\r\n", b"\x010\x011\x01t\x01r\x01n");
        check(b"a\tb", b"a\x01tb");
    }

    #[test]
    fn unknown_escapes_are_kept() {
        let mut plain = Vec::new();
        unescape_into(b"a\x01zb\x01", &mut plain);
        assert_eq!(plain, b"a\x01zb\x01");
    }
}
