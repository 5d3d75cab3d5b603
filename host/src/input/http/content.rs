//! From a request's body to the texts of its events.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr2};

use super::verdict::Refused;
use crate::{
    decode::Protocol,
    http::{Request, Status},
};

/// The largest window of Zstandard, as a power of 2: what RFC 9659 allows, 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
    Zstd,
}

/// How events stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One on each line.
    Lines,
    /// Objects of JSON, one behind the other or in an array.
    Objects,
}

/// What a body's type says of the events in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Objects of JSON, on any lines.
    Json,
    /// A line of JSON for each.
    JsonLines,
    /// A line of tab-text for each.
    TabText,
    /// The body shows it.
    Unknown,
}

/// The events of a body that has been unpacked.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    form: Form,
    /// What they are written in.
    pub(super) protocol: Protocol,
}

/// An event's text, and where it begins in the body: line and column, in bytes from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Coding {
    /// What a request says of it.
    pub(super) fn of(request: &Request) -> Result<Self, Refused> {
        match request.words("content-encoding").as_slice() {
            [] => Ok(Coding::Plain),
            [one] if one == "identity" => Ok(Coding::Plain),
            [one] if one == "gzip" || one == "x-gzip" => Ok(Coding::Gzip),
            [one] if one == "zstd" => Ok(Coding::Zstd),
            others => Err(Refused::new(
                Status::UnsupportedMediaType,
                "content-encoding",
                format!("Content-Encoding: expected gzip or zstd, not {}", cut(&others.join(", "))),
            )),
        }
    }

    /// The body without compression, of at most `max` bytes.
    fn unpack(self, body: Vec<u8>, max: usize) -> Result<Vec<u8>, Refused> {
        let too_large = || {
            let text = format!("the body is larger than http_request_max_size, {max} bytes");
            Refused::new(Status::ContentTooLarge, "too-large", text)
        };
        let broken = |error: std::io::Error| {
            let text = format!("the body is not what Content-Encoding says: {error}");
            Refused::new(Status::BadRequest, "compression", text)
        };
        let mut bytes = Vec::new();
        // One byte more tells a body that is too large from one that fits.
        let limit = (max as u64).saturating_add(1);
        match self {
            Coding::Plain => bytes = body,
            Coding::Gzip => {
                let mut unpacked = MultiGzDecoder::new(body.as_slice()).take(limit);
                unpacked.read_to_end(&mut bytes).map_err(broken)?;
            }
            Coding::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(body.as_slice()).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
                decoder.take(limit).read_to_end(&mut bytes).map_err(broken)?;
            }
        }
        if bytes.len() > max { Err(too_large()) } else { Ok(bytes) }
    }
}

impl Kind {
    /// What a request says of it. `configured` is what the input's configuration says; then nobody
    /// else is asked.
    pub(super) fn of(request: &Request, configured: Option<Protocol>) -> Result<Self, Refused> {
        let written = request.values("content-type").next().unwrap_or_default();
        let written = String::from_utf8_lossy(written).to_ascii_lowercase();
        let kind = written.split(';').next().unwrap_or_default().trim();
        Ok(match (configured, kind) {
            (Some(Protocol::TabText), _) => Kind::TabText,
            (_, "application/x-ndjson" | "application/ndjson" | "application/jsonl") => {
                Kind::JsonLines
            }
            (Some(_), _) | (_, "application/json") => Kind::Json,
            (None, kind) if kind.ends_with("+json") => Kind::Json,
            (None, "" | "text/plain" | "application/octet-stream") => Kind::Unknown,
            (None, kind) => {
                return Err(Refused::new(
                    Status::UnsupportedMediaType,
                    "content-type",
                    format!(
                        "Content-Type: expected application/json, application/x-ndjson or \
                         text/plain, not {}",
                        cut(kind)
                    ),
                ));
            }
        })
    }
}

impl Content {
    /// The events of a body, which is at most `max` bytes long when it is unpacked.
    pub(super) fn open(
        body: Vec<u8>,
        coding: Coding,
        kind: Kind,
        max: usize,
    ) -> Result<Self, Refused> {
        let bytes = coding.unpack(body, max)?;
        let shown = bytes.trim_ascii_start();
        let (form, protocol) = match kind {
            Kind::Json => (Form::Objects, Protocol::Json),
            Kind::JsonLines => (Form::Lines, Protocol::Json),
            Kind::TabText => (Form::Lines, Protocol::TabText),
            Kind::Unknown if shown.starts_with(b"[") => (Form::Objects, Protocol::Json),
            Kind::Unknown => match Protocol::detect(shown).or_else(|| Protocol::detect(&bytes)) {
                Some(Protocol::Json) => (Form::Objects, Protocol::Json),
                // An empty body has no events, whatever they would be written in.
                Some(Protocol::TabText) => (Form::Lines, Protocol::TabText),
                None if shown.is_empty() => (Form::Lines, Protocol::TabText),
                Some(Protocol::StatsWriter) | None => {
                    let text = "expected an event of json or tab-text at line 1, column 1";
                    return Err(Refused::new(Status::BadRequest, "unknown-format", text));
                }
            },
        };
        Ok(Content { bytes, form, protocol })
    }

    /// The bytes of the whole body, unpacked.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the events.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
    }

    /// The texts of the events, in their order.
    pub(super) fn texts(&self) -> Texts<'_> {
        let is_array =
            self.form == Form::Objects && self.bytes.trim_ascii_start().starts_with(b"[");
        let mut texts = Texts {
            bytes: &self.bytes,
            form: self.form,
            at: 0,
            line: 1,
            line_start: 0,
            place: if is_array { Place::First } else { Place::NoArray },
        };
        if is_array {
            texts.skip_blanks();
            texts.at += 1;
        }
        texts
    }
}

/// Cuts a body into the texts of events.
pub(super) struct Texts<'a> {
    bytes: &'a [u8],
    form: Form,
    at: usize,
    line: usize,
    line_start: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not in an array.
    NoArray,
    /// Before the first element.
    First,
    /// Behind an element.
    Behind,
    /// Behind the array, or behind a mistake.
    Over,
}

impl<'a> Texts<'a> {
    /// What is wrong here.
    fn wrong(&mut self, expected: &str) -> Refused {
        let (line, column) = (self.line, self.at - self.line_start + 1);
        (self.place, self.at) = (Place::Over, self.bytes.len());
        let text = format!("expected {expected} at line {line}, column {column}");
        Refused::new(Status::BadRequest, "syntax", text)
    }

    fn next_line(&mut self) -> Option<Text<'a>> {
        loop {
            let (start, number) = (self.at, self.line);
            let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            (self.at, self.line) = (start + length + 1, number + 1);
            let bytes = &rest[..length];
            if !bytes.trim_ascii().is_empty() {
                return Some(Text { bytes, line: number, column: 1 });
            }
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
            if self.bytes[self.at - 1] == b'\n' {
                (self.line, self.line_start) = (self.line + 1, self.at);
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_object(&mut self) -> Option<Result<Text<'a>, Refused>> {
        self.skip_blanks();
        match (self.place, self.peek()) {
            (Place::NoArray | Place::Over, None) => return None,
            (Place::First | Place::Behind, Some(b']')) => {
                (self.place, self.at) = (Place::Over, self.at + 1);
                return self.next_object();
            }
            (Place::Over, Some(_)) => return Some(Err(self.wrong("the end of the body"))),
            (Place::Behind, Some(b',')) => {
                self.at += 1;
                self.skip_blanks();
            }
            (Place::Behind, _) => {
                return Some(Err(self.wrong("a comma or the end of the array")));
            }
            (Place::NoArray | Place::First, _) => {}
        }
        if self.peek() != Some(b'{') {
            return Some(Err(self.wrong("an event, which begins with {")));
        }
        if self.place == Place::First {
            self.place = Place::Behind;
        }
        let (line, column) = (self.line, self.at - self.line_start + 1);
        let start = self.at;
        self.at += object_len(&self.bytes[start..]);
        let bytes = &self.bytes[start..self.at];
        if let Some(last) = memchr::memrchr(b'\n', bytes) {
            self.line += memchr::memchr_iter(b'\n', bytes).count();
            self.line_start = start + last + 1;
        }
        Some(Ok(Text { bytes, line, column }))
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = Result<Text<'a>, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.form {
            Form::Lines => self.next_line().map(Ok),
            Form::Objects => self.next_object(),
        }
    }
}

/// What is shown of a peer's own words.
fn cut(words: &str) -> String {
    words.chars().take(100).flat_map(char::escape_default).collect()
}

/// How long the object is that begins here: up to the bracket that closes it, or to the end. What
/// is in it is for its decoder to judge.
fn object_len(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            b'"' => at += string_len(&bytes[at..]),
            _ => {}
        }
    }
    bytes.len()
}

/// How long a string is from behind its first quote until behind its last one.
fn string_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        // What an escape escapes is no quote.
        at += 1;
    }
    bytes.len()
}

impl Text<'_> {
    /// Where the column of this text is in the body: a text may have several lines.
    pub(super) fn place(&self, column: usize) -> (usize, usize) {
        let before = &self.bytes[..self.bytes.len().min(column.saturating_sub(1))];
        match memchr::memrchr(b'\n', before) {
            None => (self.line, self.column + before.len()),
            Some(last) => {
                let lines = memchr::memchr_iter(b'\n', before).count();
                (self.line + lines, before.len() - last)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Coding, Content, Kind, Refused};
    use crate::{decode::Protocol, http::Status};

    fn open(body: &[u8], coding: Coding, kind: Kind) -> Result<Content, Refused> {
        Content::open(body.to_vec(), coding, kind, 1000)
    }

    /// The events with their places, or what is wrong.
    fn cut(body: &str, kind: Kind) -> Vec<String> {
        let content = match open(body.as_bytes(), Coding::Plain, kind) {
            Ok(content) => content,
            Err(refused) => return vec![refused.text],
        };
        let shown = content.texts().map(|text| match text {
            Ok(text) => {
                let shown = String::from_utf8_lossy(text.bytes);
                format!("{}:{} {shown}", text.line, text.column)
            }
            Err(refused) => refused.text,
        });
        shown.take(10).collect()
    }

    #[track_caller]
    fn check(body: &str, kind: Kind, expected: &[&str]) {
        assert_eq!(cut(body, kind), expected, "{body:?}");
    }

    #[test]
    fn bodies_are_cut_into_events() {
        check("", Kind::Unknown, &[]);
        check(" \n\n", Kind::Json, &[]);
        check("{}", Kind::Json, &["1:1 {}"]);
        check("{}\n{\"a\":\n1}\n", Kind::Json, &["1:1 {}", "2:1 {\"a\":\n1}"]);
        check("{} {}", Kind::Unknown, &["1:1 {}", "1:4 {}"]);
        check("[]", Kind::Json, &[]);
        check(" [ ] ", Kind::Unknown, &[]);
        check("[{},\n {\"a\":[1]}]\n", Kind::Json, &["1:2 {}", "2:2 {\"a\":[1]}"]);
        let tricky = r#"{"a":"]}\"\\","b":{"c":["}"]}}"#;
        check(&format!("[{tricky},{{}}]"), Kind::Json, &[&format!("1:2 {tricky}"), "1:33 {}"]);
        check("{\nx\n\n{}", Kind::JsonLines, &["1:1 {", "2:1 x", "4:1 {}"]);
        check("event:a\nx\n", Kind::Unknown, &["1:1 event:a", "2:1 x"]);
        check("\tfield:a=1\n", Kind::Unknown, &["1:1 \tfield:a=1"]);
        check("\nevent:a", Kind::TabText, &["2:1 event:a"]);
    }

    #[test]
    fn what_is_no_body_of_events_is_refused() {
        check("x", Kind::Unknown, &["expected an event of json or tab-text at line 1, column 1"]);
        let event = |place: &str| format!("expected an event, which begins with {{ at {place}");
        check("{}\n x{}", Kind::Json, &["1:1 {}", &event("line 2, column 2")]);
        check("[{},]", Kind::Json, &["1:2 {}", &event("line 1, column 5")]);
        check("[1]", Kind::Json, &[&event("line 1, column 2")]);
        check("[", Kind::Json, &[&event("line 1, column 2")]);
        let comma = |place: &str| format!("expected a comma or the end of the array at {place}");
        check("[{}{}]", Kind::Json, &["1:2 {}", &comma("line 1, column 4")]);
        check("[{}", Kind::Json, &["1:2 {}", &comma("line 1, column 4")]);
        let end = "expected the end of the body at line 2, column 1";
        check("[{}]\n[]", Kind::Json, &["1:2 {}", end]);
        // What has no end is for the decoder to refuse.
        check("[{\"a]}", Kind::Json, &["1:2 {\"a]}", &comma("line 1, column 7")]);
    }

    #[test]
    fn a_place_in_an_event_is_one_in_the_body() {
        let content = open(b"\n {\"a\":\n\n  x}", Coding::Plain, Kind::Json).unwrap();
        let text = content.texts().next().unwrap().unwrap();
        let places = [1, 6, 7, 8, 9, 11].map(|column| text.place(column));
        assert_eq!(places, [(2, 2), (2, 7), (3, 1), (4, 1), (4, 2), (4, 4)]);
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_unpacked_within_a_limit() {
        let check = |coding: Coding, body: &[u8], expected: Result<usize, (u16, &str)>| {
            let found = open(body, coding, Kind::TabText);
            let found = found.map(|content| content.len());
            let found = found.map_err(|refused| (refused.status.code(), refused.reason));
            assert_eq!(found, expected, "{coding:?}");
        };
        let (fits, large, bomb) = ([b'x'; 1000], [b'x'; 1001], vec![0; 50 << 20]);
        let zstd = |plain: &[u8]| zstd::bulk::compress(plain, 3).unwrap();
        let too_large = Err((413, "too-large"));
        let broken = Err((400, "compression"));
        check(Coding::Plain, &fits, Ok(1000));
        check(Coding::Plain, &large, too_large);
        for (coding, pack) in
            [(Coding::Gzip, &gzip as &dyn Fn(&[u8]) -> Vec<u8>), (Coding::Zstd, &zstd)]
        {
            check(coding, &pack(&fits), Ok(1000));
            check(coding, &[pack(&fits[..500]), pack(&fits[500..])].concat(), Ok(1000));
            check(coding, &pack(&large), too_large);
            check(coding, &pack(&bomb), too_large);
            let whole = pack(&fits);
            check(coding, &whole[..whole.len() - 1], broken);
            check(coding, b"no such thing", broken);
        }
        // A window that takes more memory than is allowed.
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&bomb).unwrap();
        check(Coding::Zstd, &encoder.finish().unwrap(), broken);
    }

    #[test]
    fn content_types_are_known() {
        let check = |written: &str, configured, expected: Option<Kind>| {
            let request = crate::http::Request {
                method: "POST",
                target: "/".into(),
                version: crate::http::Version::Http11,
                headers: vec![("content-type".into(), written.into())],
                body: Vec::new(),
                keep_alive: true,
            };
            let found = Kind::of(&request, configured);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{written}");
            if let Err(refused) = found {
                assert_eq!(refused.status, Status::UnsupportedMediaType);
            }
        };
        check("application/json", None, Some(Kind::Json));
        check("Application/ECS+JSON; charset=utf-8", None, Some(Kind::Json));
        check("application/x-ndjson", None, Some(Kind::JsonLines));
        check("text/plain; charset=utf-8", None, Some(Kind::Unknown));
        check("", None, Some(Kind::Unknown));
        check("application/x-www-form-urlencoded", None, None);
        check("image/png", Some(Protocol::Json), Some(Kind::Json));
        check("image/png", Some(Protocol::TabText), Some(Kind::TabText));
        check("application/x-ndjson", Some(Protocol::Json), Some(Kind::JsonLines));
    }
}
