//! From bytes to requests.

use httparse::{EMPTY_HEADER, Error, Header};
use memchr::memchr;

use super::{Answer, Request, Status, Version};

/// How many headers a request may have.
const HEADERS_MAX: usize = 100;

/// The longest line with a chunk's size and extensions, and the longest trailer
/// line, in bytes.
const CHUNK_LINE_MAX: usize = 1024;

/// How many bytes of trailers are passed over.
const TRAILERS_MAX: usize = 16 * 1024;

/// How much a peer may send for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest head, in bytes.
    pub head: usize,
    /// The largest body, in bytes, its chunks' frames not counted.
    pub body: usize,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing whole: more bytes are needed.
    More,
    /// A head whose sender waits for [`Codec::CONTINUE`] before it sends the body.
    Continue,
    /// A whole request.
    Request(Request),
    /// Something that is no request, or too large: this is to be said, and then the
    /// connection is at its end. Nothing more can be read.
    Refused(Refusal),
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of trouble.
    pub status: Status,
    /// What exactly.
    pub reason: &'static str,
}

/// The server's ear of one connection.
#[derive(Debug)]
pub struct Codec {
    limits: Limits,
    state: State,
    /// The request whose body is being read.
    request: Option<Request>,
    /// How much of its body has been read, and whether that is passed over.
    body: usize,
    is_discarding: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in a head.
    Head,
    /// In a body of which so many bytes are missing.
    Body(usize),
    /// Before or in the line with a chunk's size.
    ChunkSize,
    /// In a chunk of which so many bytes are missing.
    Chunk(usize),
    /// Before or in the end of line behind a chunk.
    ChunkEnd,
    /// In the trailers, of which so many bytes have been passed over.
    Trailers(usize),
    /// Nothing can be read any more.
    Broken(Refusal),
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

type Step<T> = Result<T, Refusal>;

impl Refusal {
    const fn new(status: Status, reason: &'static str) -> Self {
        Refusal { status, reason }
    }

    /// The request did not come to its end in time.
    pub const TOO_LATE: Refusal =
        Refusal::new(Status::RequestTimeout, "the request did not come to its end in time");

    /// What to say to the peer.
    pub fn answer(&self) -> Answer {
        Answer::line(self.status, self.reason)
    }
}

fn bad<T>(reason: &'static str) -> Step<T> {
    Err(Refusal::new(Status::BadRequest, reason))
}

impl Codec {
    /// What is said to a peer that waits before it sends a body.
    pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

    /// A codec that has read nothing yet.
    pub fn new(limits: Limits) -> Self {
        let (request, body, is_discarding) = (None, 0, false);
        Codec { limits, state: State::Head, request, body, is_discarding }
    }

    /// The request whose body is being read, with what there is of it.
    pub fn pending(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// Passes over the body that is being read, which is empty then: it is known already what
    /// to say to the request. Its limit holds all the same.
    pub fn discard(&mut self) {
        if let Some(request) = &mut self.request {
            request.body = Vec::new();
            self.is_discarding = true;
        }
    }

    /// Whether no request has begun, as far as the bytes go that were consumed.
    pub fn is_between_requests(&self) -> bool {
        self.state == State::Head
    }

    /// Reads from `bytes` up to the end of one request. Returns how many bytes it is
    /// done with, and what it has read. The others must come first in the next
    /// call: those of an unfinished head, or of the next request.
    pub fn read(&mut self, bytes: &[u8]) -> (usize, Read) {
        let mut consumed = 0;
        loop {
            match self.step(&bytes[consumed..]) {
                Ok((count, Some(read))) => return (consumed + count, read),
                Ok((0, None)) => return (consumed, Read::More),
                Ok((count, None)) => consumed += count,
                Err(refusal) => {
                    self.state = State::Broken(refusal);
                    self.request = None;
                    return (bytes.len(), Read::Refused(refusal));
                }
            }
        }
    }

    /// One step: how many bytes it took, and what is whole now. A step that neither
    /// takes nor brings anything needs more bytes.
    fn step(&mut self, bytes: &[u8]) -> Step<(usize, Option<Read>)> {
        match self.state {
            State::Head => self.head(bytes),
            State::Body(left) => Ok(self.body(bytes, left, State::Head)),
            State::Chunk(left) => Ok(self.body(bytes, left, State::ChunkEnd)),
            State::ChunkSize => self.chunk_size(bytes),
            State::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok((2, None))
                }
                [] | [b'\r'] => Ok((0, None)),
                _ => bad("a chunk is longer than its size"),
            },
            State::Trailers(passed) => self.trailer(bytes, passed),
            State::Broken(refusal) => Err(refusal),
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Step<(usize, Option<Read>)> {
        // Empty lines before a request are passed over, as RFC 9112 asks.
        match bytes {
            [b'\r', b'\n', ..] => return Ok((2, None)),
            [b'\n', ..] => return Ok((1, None)),
            _ => {}
        }
        let limited = &bytes[..bytes.len().min(self.limits.head)];
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(limited) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < self.limits.head => {
                return Ok((0, None));
            }
            Ok(httparse::Status::Partial) if memchr(b'\n', limited).is_none() => {
                return Err(Refusal::new(Status::UriTooLong, "the request line is too long"));
            }
            Ok(httparse::Status::Partial) => {
                return Err(Refusal::new(Status::HeadersTooLarge, "the head is too large"));
            }
            Err(error) => return Err(malformed(error, limited)),
        };
        let Some(written) = head.method else { return bad("there is no method") };
        let Some(method) = Request::METHODS.iter().find(|known| **known == written) else {
            return Err(Refusal::new(Status::NotImplemented, "this method is not known"));
        };
        let mut request = Request {
            method,
            target: head.path.unwrap_or_default().to_owned(),
            version: if head.version == Some(0) { Version::Http10 } else { Version::Http11 },
            headers: head.headers.iter().map(owned).collect(),
            body: Vec::new(),
            keep_alive: false,
        };
        let body = self.judge(&mut request)?;
        let expects = expects(&request, body)?;
        self.state = match body {
            Length::Known(length) => State::Body(length),
            Length::Chunked => State::ChunkSize,
        };
        self.request = Some(request);
        (self.body, self.is_discarding) = (0, false);
        if body == Length::Known(0) {
            return Ok((length, self.finished()));
        }
        Ok((length, expects.then_some(Read::Continue)))
    }

    /// Whether a head makes sense: how long the body is, and whether the connection
    /// stays.
    fn judge(&self, request: &mut Request) -> Step<Length> {
        let hosts = request.values("host").count();
        if hosts > 1 || hosts == 0 && request.version == Version::Http11 {
            return bad("there must be one Host header");
        }
        let options = request.words("connection");
        let has = |word: &str| options.iter().any(|option| option == word);
        request.keep_alive = match request.version {
            Version::Http11 => !has("close"),
            Version::Http10 => has("keep-alive") && !has("close"),
        };
        let has_coding = request.values("transfer-encoding").next().is_some();
        let codings = request.words("transfer-encoding");
        let mut lengths = request.values("content-length");
        match (codings.as_slice(), lengths.next()) {
            ([], None) if !has_coding => Ok(Length::Known(0)),
            ([], Some(length)) if !has_coding => {
                if lengths.any(|other| other != length) {
                    return bad("there are several Content-Lengths");
                }
                self.content_length(length).map(Length::Known)
            }
            // Whoever is between us might believe the other one.
            (_, Some(_)) => bad("there are Transfer-Encoding and Content-Length"),
            (_, None) if request.version == Version::Http10 => {
                bad("HTTP/1.0 has no Transfer-Encoding")
            }
            ([coding], None) if coding == "chunked" => Ok(Length::Chunked),
            _ => Err(Refusal::new(Status::NotImplemented, "this transfer coding is not known")),
        }
    }

    fn content_length(&self, value: &[u8]) -> Step<usize> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return bad("the Content-Length is no number");
        }
        let text = std::str::from_utf8(value).unwrap_or_default();
        // What does not fit into a number is too large all the same.
        match text.parse::<usize>() {
            Ok(length) if length <= self.limits.body => Ok(length),
            _ => Err(TOO_LARGE),
        }
    }

    /// Takes what there is of a body or chunk, of which `left` bytes are missing.
    fn body(&mut self, bytes: &[u8], left: usize, then: State) -> (usize, Option<Read>) {
        let count = left.min(bytes.len());
        self.body += count;
        if let Some(request) = self.request.as_mut().filter(|_| !self.is_discarding) {
            request.body.extend_from_slice(&bytes[..count]);
        }
        let in_chunk = then == State::ChunkEnd;
        match (left - count, in_chunk) {
            (0, true) => self.state = State::ChunkEnd,
            (0, false) => return (count, self.finished()),
            (left, true) => self.state = State::Chunk(left),
            (left, false) => self.state = State::Body(left),
        }
        (count, None)
    }

    fn chunk_size(&mut self, bytes: &[u8]) -> Step<(usize, Option<Read>)> {
        let limited = &bytes[..bytes.len().min(CHUNK_LINE_MAX)];
        // A line without any digit would be read as 0.
        if limited.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
            return bad("a chunk's size is no hexadecimal number");
        }
        let (length, size) = match httparse::parse_chunk_size(limited) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) if bytes.len() < CHUNK_LINE_MAX => {
                return Ok((0, None));
            }
            Ok(httparse::Status::Partial) => return bad("the line of a chunk's size is too long"),
            Err(_) => return bad("a chunk's size is no hexadecimal number"),
        };
        let size = usize::try_from(size).map_err(|_| TOO_LARGE)?;
        if size > self.limits.body - self.body {
            return Err(TOO_LARGE);
        }
        self.state = if size == 0 { State::Trailers(0) } else { State::Chunk(size) };
        Ok((length, None))
    }

    /// Passes over a trailer, or ends with the empty line.
    fn trailer(&mut self, bytes: &[u8], passed: usize) -> Step<(usize, Option<Read>)> {
        let limited = &bytes[..bytes.len().min(CHUNK_LINE_MAX)];
        let Some(end) = memchr(b'\n', limited) else {
            return match bytes.len() < CHUNK_LINE_MAX {
                true => Ok((0, None)),
                false => Err(Refusal::new(Status::HeadersTooLarge, "a trailer is too long")),
            };
        };
        if matches!(&bytes[..end], [] | [b'\r']) {
            return Ok((end + 1, self.finished()));
        }
        let passed = passed + end + 1;
        if passed > TRAILERS_MAX {
            return Err(Refusal::new(Status::HeadersTooLarge, "the trailers are too large"));
        }
        self.state = State::Trailers(passed);
        Ok((end + 1, None))
    }

    /// The request is whole.
    fn finished(&mut self) -> Option<Read> {
        self.state = State::Head;
        self.request.take().map(Read::Request)
    }
}

const TOO_LARGE: Refusal = Refusal::new(Status::ContentTooLarge, "the body is too large");

fn owned(header: &Header<'_>) -> (String, Vec<u8>) {
    (header.name.to_ascii_lowercase(), header.value.to_vec())
}

/// Whether the peer waits until it is told to go on.
fn expects(request: &Request, body: Length) -> Step<bool> {
    let expected = request.words("expect");
    if expected.iter().any(|word| word != "100-continue") {
        return Err(Refusal::new(Status::ExpectationFailed, "only 100-continue can be expected"));
    }
    let waits = request.version == Version::Http11 && body != Length::Known(0);
    Ok(waits && !expected.is_empty())
}

fn malformed(error: Error, head: &[u8]) -> Refusal {
    let bad = |reason| Refusal::new(Status::BadRequest, reason);
    match error {
        Error::TooManyHeaders => {
            Refusal::new(Status::HeadersTooLarge, "there are too many headers")
        }
        Error::Version if names_a_version(head) => {
            Refusal::new(Status::VersionNotSupported, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        Error::HeaderName | Error::HeaderValue => bad("a header is malformed"),
        Error::NewLine => bad("an end of line is malformed"),
        Error::Status | Error::Token | Error::Version => bad("the request line is malformed"),
    }
}

/// Whether the request line has an HTTP version in it.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.windows(7).any(|seven| seven.starts_with(b" HTTP/") && seven[6].is_ascii_digit())
}
