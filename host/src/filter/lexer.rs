//! A filter's text as tokens.
//!
//! Blanks are space, TAB, CR and LF. A word is made of ASCII letters, digits and
//! `: . * ? / % _ -`; any other text needs quotes, in which `\x` is x for any x
//! but the end of a line. AND, OR and NOT are keywords in any case.

use std::ops::Range;

use super::error::{Error, ErrorKind};

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `NOT`
    Not,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// A word that is no keyword.
    Word(&'a str),
    /// What stands between two quotes, with its escapes.
    Quoted(&'a str),
    /// A quote that never ends. As in Dovecot it ends the text, with all behind it.
    Unclosed,
    /// A character that begins no token.
    Stray,
    /// The text's end.
    End,
}

/// Where the lexer is in a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { text, at: 0 }
    }

    /// The next token and its bytes; at the end always [`Token::End`].
    ///
    /// # Errors
    ///
    /// When a backslash inside quotes escapes the end of a line. Dovecot has no
    /// rule for that and writes the backslash to its standard output.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Range<usize>), Error> {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\r', '\n']);
        let start = self.text.len() - rest.len();
        let (token, len) = match rest.as_bytes().first() {
            None => (Token::End, 0),
            Some(b'(') => (Token::Open, 1),
            Some(b')') => (Token::Close, 1),
            Some(b'=') => (Token::Equal, 1),
            Some(b'>') => (Token::Greater, 1),
            Some(b'<') => (Token::Less, 1),
            Some(b'"') => self.quoted(start)?,
            Some(&byte) if is_word(byte) => word(rest),
            Some(_) => (Token::Stray, rest.chars().next().map_or(0, char::len_utf8)),
        };
        self.at = start + len;
        Ok((token, start..self.at))
    }

    /// The quoted text whose first quote is at `start`, and its length with quotes.
    fn quoted(&self, start: usize) -> Result<(Token<'a>, usize), Error> {
        let inner = &self.text[start + 1..];
        let mut bytes = inner.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => return Ok((Token::Quoted(&inner[..at]), at + 2)),
                b'\\' if bytes.next().is_some_and(|(_, escaped)| escaped == b'\n') => {
                    let span = start + 1 + at..start + 2 + at;
                    let text = self.text.as_bytes();
                    return Err(Error::new(ErrorKind::EscapedNewline, text, span, ""));
                }
                // The guard above has taken the byte behind a backslash.
                _ => {}
            }
        }
        Ok((Token::Unclosed, inner.len() + 1))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":.*?/%_-".contains(&byte)
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let len = rest.bytes().take_while(|&byte| is_word(byte)).count();
    let word = &rest[..len];
    let keywords = [("and", Token::And), ("or", Token::Or), ("not", Token::Not)];
    let keyword = keywords.into_iter().find(|(keyword, _)| word.eq_ignore_ascii_case(keyword));
    (keyword.map_or(Token::Word(word), |(_, token)| token), len)
}

#[cfg(test)]
mod tests {
    use super::{Lexer, Token};

    #[test]
    fn tokens_come_with_their_places() {
        let check = |text: &str, expected: &[(Token<'_>, &str)]| {
            let mut lexer = Lexer::new(text);
            for (token, source) in expected {
                let (found, span) = lexer.next().unwrap();
                assert_eq!((found, &text[span]), (*token, *source), "{text:?}");
            }
            assert_eq!(lexer.next().unwrap(), (Token::End, text.len()..text.len()));
        };
        check("", &[]);
        check(" \t\r\n", &[]);
        check(
            "a>=5",
            &[
                (Token::Word("a"), "a"),
                (Token::Greater, ">"),
                (Token::Equal, "="),
                (Token::Word("5"), "5"),
            ],
        );
        check(
            "(nOt aNd or ands)",
            &[
                (Token::Open, "("),
                (Token::Not, "nOt"),
                (Token::And, "aNd"),
                (Token::Or, "or"),
                (Token::Word("ands"), "ands"),
                (Token::Close, ")"),
            ],
        );
        check(
            r#""a\"b" "\\""c"#,
            &[
                (Token::Quoted(r#"a\"b"#), r#""a\"b""#),
                (Token::Quoted(r"\\"), r#""\\""#),
                (Token::Unclosed, "\"c"),
            ],
        );
        check("x@ä", &[(Token::Word("x"), "x"), (Token::Stray, "@"), (Token::Stray, "ä")]);
        check("\"\\", &[(Token::Unclosed, "\"\\")]);
        check("\x0b", &[(Token::Stray, "\x0b")]);
    }
}
