//! An answer and its bytes.

use std::io::Write as _;

use super::{Request, Version};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200: here it is.
    Ok,
    /// 400: this is no request.
    BadRequest,
    /// 401: who is asking?
    Unauthorized,
    /// 404: there is nothing of this name.
    NotFound,
    /// 405: this can't be done with it.
    MethodNotAllowed,
    /// 408: the request did not come to its end in time.
    RequestTimeout,
    /// 411: the length of the body is missing.
    LengthRequired,
    /// 413: the body is too large.
    ContentTooLarge,
    /// 414: the target is too long.
    UriTooLong,
    /// 415: nobody here reads this type of content, or this coding of it.
    UnsupportedMediaType,
    /// 417: the peer expects something unknown.
    ExpectationFailed,
    /// 431: the head is too large.
    HeadersTooLarge,
    /// 501: nobody here knows this method or coding.
    NotImplemented,
    /// 503: not now.
    Unavailable,
    /// 505: another HTTP.
    VersionNotSupported,
}

impl Status {
    /// The number.
    pub const fn code(self) -> u16 {
        match self {
            Status::Ok => 200,
            Status::BadRequest => 400,
            Status::Unauthorized => 401,
            Status::NotFound => 404,
            Status::MethodNotAllowed => 405,
            Status::RequestTimeout => 408,
            Status::LengthRequired => 411,
            Status::ContentTooLarge => 413,
            Status::UriTooLong => 414,
            Status::UnsupportedMediaType => 415,
            Status::ExpectationFailed => 417,
            Status::HeadersTooLarge => 431,
            Status::NotImplemented => 501,
            Status::Unavailable => 503,
            Status::VersionNotSupported => 505,
        }
    }

    /// The number's words.
    pub const fn words(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::BadRequest => "Bad Request",
            Status::Unauthorized => "Unauthorized",
            Status::NotFound => "Not Found",
            Status::MethodNotAllowed => "Method Not Allowed",
            Status::RequestTimeout => "Request Timeout",
            Status::LengthRequired => "Length Required",
            Status::ContentTooLarge => "Content Too Large",
            Status::UriTooLong => "URI Too Long",
            Status::UnsupportedMediaType => "Unsupported Media Type",
            Status::ExpectationFailed => "Expectation Failed",
            Status::HeadersTooLarge => "Request Header Fields Too Large",
            Status::NotImplemented => "Not Implemented",
            Status::Unavailable => "Service Unavailable",
            Status::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// What is said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the request.
    pub status: Status,
    /// What the body is, as a media type.
    pub content_type: &'static str,
    /// The methods to name in `Allow`; none: no such header.
    pub allow: &'static str,
    /// Further header lines, each with its end.
    pub headers: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The media type of plain text.
    pub const TEXT: &str = "text/plain; charset=utf-8";

    /// One line of plain text.
    pub fn line(status: Status, line: &str) -> Self {
        let body = format!("{line}\n").into_bytes();
        Answer { status, content_type: Answer::TEXT, allow: "", headers: "", body }
    }

    /// Appends the answer to `request`. Returns whether another request may follow
    /// on the connection: the answer has said so.
    pub fn write(&self, request: &Request, out: &mut Vec<u8>) -> bool {
        self.append(out, request.version, request.keep_alive, request.method == "HEAD");
        request.keep_alive
    }

    /// Appends the answer to what is no request, and the connection's end.
    pub fn write_last(&self, out: &mut Vec<u8>) {
        self.append(out, Version::Http11, false, false);
    }

    fn append(&self, out: &mut Vec<u8>, version: Version, keep_alive: bool, head_only: bool) {
        let Answer { status, content_type, allow, headers, body } = self;
        let mut head = |line: std::fmt::Arguments<'_>| {
            out.write_fmt(line).expect("invariant: a Vec takes everything");
        };
        head(format_args!("HTTP/1.1 {} {}\r\n", status.code(), status.words()));
        head(format_args!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()));
        if !allow.is_empty() {
            head(format_args!("Allow: {allow}\r\n"));
        }
        head(format_args!("{headers}"));
        match (keep_alive, version) {
            (false, _) => head(format_args!("Connection: close\r\n")),
            (true, Version::Http10) => head(format_args!("Connection: keep-alive\r\n")),
            (true, Version::Http11) => {}
        }
        head(format_args!("\r\n"));
        if !head_only {
            out.extend_from_slice(body);
        }
    }
}
