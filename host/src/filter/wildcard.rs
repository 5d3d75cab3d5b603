//! Patterns with `*` (any bytes, also none) and `?` (one byte, not one character).
//!
//! `\*`, `\?` and `\\` stand for the second byte. A backslash before anything
//! else is an ordinary byte here, unlike in a value without a wildcard.

/// Whether `A` and `a` are one letter. Only ASCII letters have two cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are one.
    Ignored,
}

/// A pattern that has at least one wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// As the filter has it, escapes and all.
    text: Box<str>,
    pieces: Box<[Piece]>,
}

/// What one place of a pattern takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// This byte.
    Byte(u8),
    /// `?`: any one byte.
    One,
    /// `*`: any bytes.
    Many,
}

impl Pattern {
    /// Reads a pattern; `None` when no wildcard in it is live.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().peekable();
        let mut live = false;
        while let Some(byte) = bytes.next() {
            let piece = match byte {
                b'*' => Piece::Many,
                b'?' => Piece::One,
                b'\\' => {
                    let escaped = bytes.next_if(|next| matches!(next, b'*' | b'?' | b'\\'));
                    Piece::Byte(escaped.unwrap_or(b'\\'))
                }
                plain => Piece::Byte(plain),
            };
            live |= !matches!(piece, Piece::Byte(_));
            // A second `*` adds nothing but work.
            if piece != Piece::Many || pieces.last() != Some(&Piece::Many) {
                pieces.push(piece);
            }
        }
        live.then(|| Pattern { text: text.into(), pieces: pieces.into() })
    }

    /// The pattern as the filter has it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pattern piece by piece; never two [`Piece::Many`] in a row.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it may match a number's decimal text: only digits and wildcards,
    /// so neither a sign nor an escape.
    pub fn is_numeric(&self) -> bool {
        self.text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'*' | b'?'))
    }

    /// Whether every text matches that is not empty.
    pub fn takes_any(&self) -> bool {
        let count = |wanted| self.pieces.iter().filter(|piece| **piece == wanted).count();
        let (many, one) = (count(Piece::Many), count(Piece::One));
        many > 0 && one <= 1 && many + one == self.pieces.len()
    }

    /// Whether all of `bytes` matches. Takes at most as many steps as the
    /// pattern is long times as `bytes` is.
    pub fn matches(&self, bytes: impl Iterator<Item = u8> + Clone, case: Case) -> bool {
        let mut rest = bytes;
        let mut at = 0;
        // Behind the last `*`: the place in the pattern, and where its bytes may end.
        let mut retry = None;
        loop {
            let piece = self.pieces.get(at);
            if piece == Some(&Piece::Many) {
                at += 1;
                if at == self.pieces.len() {
                    return true;
                }
                retry = Some((at, rest.clone()));
                continue;
            }
            let here = rest.next();
            match (piece, here) {
                (None, None) => return true,
                (Some(&Piece::Byte(wanted)), Some(byte)) if case.same(wanted, byte) => at += 1,
                (Some(Piece::One), Some(_)) => at += 1,
                (Some(_), None) => return false,
                // The last `*` takes one byte more, and all behind it starts anew.
                _ => {
                    let Some((behind, end)) = &mut retry else { return false };
                    if end.next().is_none() {
                        return false;
                    }
                    at = *behind;
                    rest = end.clone();
                }
            }
        }
    }
}

impl Case {
    /// Whether the two bytes are the same letter.
    pub const fn same(self, left: u8, right: u8) -> bool {
        match self {
            Case::Sensitive => left == right,
            Case::Ignored => left.eq_ignore_ascii_case(&right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Pattern};

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap();
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in texts {
                let matched = pattern.matches(text.bytes(), Case::Ignored);
                assert_eq!(matched, expected, "{pattern:?} {text:?}");
            }
        }
    }

    #[test]
    fn wildcards_take_bytes() {
        check("*", &["", "a", "ab"], &[]);
        check("**", &["", "a"], &[]);
        check("?", &["a", "*"], &["", "ab", "ä"]);
        check("?*", &["a", "abc"], &[""]);
        check("*?*?*", &["ab", "abc"], &["", "a"]);
        check("a*b*c", &["abc", "aXbYc", "AbbcbC"], &["abcb", "ab", "xabc"]);
        check("*ab", &["ab", "aab", "abab"], &["aba", "b"]);
        check("a*", &["a", "A", "ab"], &["", "ba"]);
    }

    #[test]
    fn some_take_any_text() {
        for (text, expected) in [
            ("*", true),
            ("**", true),
            ("?*", true),
            ("*?*", true),
            ("?", false),
            ("??*", false),
            ("?*?", false),
            ("*a", false),
            (r"\**", false),
        ] {
            assert_eq!(Pattern::parse(text).unwrap().takes_any(), expected, "{text}");
        }
    }

    #[test]
    fn escapes_are_for_wildcards_and_backslashes_only() {
        check(r"\**", &["*", "*a"], &["a", r"\*"]);
        check(r"\?*", &["?a"], &["xa"]);
        check(r"\\*", &[r"\", r"\a"], &["a"]);
        check(r"\n*", &[r"\n", r"\na"], &["n", "na"]);
        check(r"\\\a*", &[r"\\a"], &[r"\a"]);
        assert_eq!(Pattern::parse(r"a\*\?\\b"), None);
        assert_eq!(Pattern::parse(""), None);
    }

    #[test]
    fn case_counts_when_asked() {
        let pattern = Pattern::parse("aÄ*").unwrap();
        assert!(pattern.matches("aÄx".bytes(), Case::Sensitive));
        assert!(!pattern.matches("AÄx".bytes(), Case::Sensitive));
        assert!(pattern.matches("AÄx".bytes(), Case::Ignored));
        assert!(!pattern.matches("aäx".bytes(), Case::Ignored), "not an ASCII letter");
    }

    #[test]
    fn many_stars_are_not_slow() {
        let pattern = Pattern::parse(&"*a".repeat(2_000)).unwrap();
        let text = "a".repeat(20_000) + "b";
        assert!(!pattern.matches(text.bytes(), Case::Sensitive));
    }
}
