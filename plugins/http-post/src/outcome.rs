//! What becomes of payloads, by what came back.
//!
//! The table stands in the crate's documentation. Its one rule: only what the server
//! says about *this content* costs an event. Whatever somebody can put right (a
//! password, a URL, a quota) is waited for.

use std::{
    fmt::Write,
    io,
    time::{Duration, SystemTime},
};

use ureq::{
    Error, Timeout,
    http::{HeaderMap, StatusCode, header},
};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server has taken the payloads.
    Delivered,
    /// The server will never take this content.
    Refused(String),
    /// It may take it later.
    Later(Trouble),
}

/// Why a request is to be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What went wrong.
    pub(crate) reason: String,
    /// The pause that the server asks for.
    pub(crate) after: Option<Duration>,
    /// Whose trouble it probably is.
    pub(crate) kind: Kind,
}

/// Whose trouble it probably is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server can't be reached: it knows nothing of the request.
    Unreached,
    /// The server takes nothing at all just now.
    Busy,
    /// Something went wrong on the way through the server, perhaps because of the
    /// payloads.
    Fault,
    /// The server takes nothing of the kind from us, until somebody changes that.
    Barred,
}

/// How long waits are, for reasons and limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For a request as a whole.
    pub(crate) request: Duration,
    /// For a response to begin.
    pub(crate) response: Duration,
    /// For a connection.
    pub(crate) connect: Duration,
    /// The longest pause that a server can ask for.
    pub(crate) retry_after_max: Duration,
}

/// The most characters of a server's own words in a reason.
const WORDS_MAX: usize = 200;

impl Outcome {
    /// The outcome of a request that was answered; `body` is the response's beginning.
    pub(crate) fn of_response(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        waits: &Waits,
    ) -> Self {
        let after = retry_after(headers, SystemTime::now())
            .filter(|_| !waits.retry_after_max.is_zero())
            .map(|after| after.min(waits.retry_after_max));
        let kind = match status.as_u16() {
            200..=299 => return Outcome::Delivered,
            // Of this size not now, RFC 9110.
            413 if after.is_some() => Kind::Busy,
            400 | 409 | 413 | 422 => return Outcome::Refused(reason(status, headers, body)),
            408 | 423 | 424 | 425 | 429 | 502..=504 => Kind::Busy,
            300..=399
            | 401..=407
            | 410..=412
            | 414
            | 415
            | 417
            | 421
            | 426
            | 428
            | 431
            | 501
            | 505
            | 511 => Kind::Barred,
            400..=499 => return Outcome::Refused(reason(status, headers, body)),
            _ => Kind::Fault,
        };
        Outcome::Later(Trouble { reason: reason(status, headers, body), after, kind })
    }

    /// The outcome of a request that was not answered; `connecting` says that it had no
    /// connection yet.
    pub(crate) fn of_error(error: &Error, connecting: bool, waits: &Waits) -> Self {
        let no = |what: &str, wait: Duration| format!("no {what} within {} ms", wait.as_millis());
        let reason = match error {
            Error::Timeout(Timeout::Connect) => no("connection", waits.connect),
            Error::Timeout(_) if connecting => no("connection", waits.request),
            Error::Timeout(Timeout::Resolve) => no("address", waits.request),
            Error::Timeout(Timeout::RecvResponse) => no("response", waits.response),
            Error::Timeout(_) => no("response", waits.request),
            Error::Io(error) => error.to_string(),
            Error::HostNotFound => "the host has no address".into(),
            Error::Protocol(error) => format!("the response is not HTTP: {error}"),
            Error::Rustls(error) => format!("TLS: {error}"),
            Error::ConnectProxyFailed(why) => format!("the proxy does not connect: {why}"),
            other => other.to_string(),
        };
        // The last is what looking up a name says.
        let unreached = connecting
            || matches!(error, Error::Timeout(Timeout::Resolve) | Error::HostNotFound)
            || matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::Other);
        let kind = if unreached { Kind::Unreached } else { Kind::Fault };
        Outcome::Later(Trouble { reason: cleaned(reason.as_bytes()), after: None, kind })
    }

    /// The outcome of a request that was not made.
    pub(crate) fn of_failure(error: &io::Error) -> Self {
        let reason = format!("the request can't be made: {error}");
        Outcome::Later(Trouble { reason, after: None, kind: Kind::Unreached })
    }
}

/// The status with its name, where a redirect leads, and what the server says itself.
fn reason(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let mut reason = format!("HTTP {}", status.as_u16());
    let mut add = |part: &str, text: &str| {
        // A String takes everything.
        let _ = write!(reason, "{part}{text}");
    };
    if let Some(text) = status.canonical_reason() {
        add(" ", text);
    }
    if let Some(location) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) {
        add(", to ", &cleaned(location.as_bytes()));
    }
    let words = cleaned(body);
    if !words.is_empty() {
        add(": ", &words);
    }
    reason
}

/// The beginning of a text that a server chose, fit for one line of a log: blanks
/// are one space, and what can't be printed is left out.
fn cleaned(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut cleaned = String::new();
    let mut count = 0;
    for word in text.split(|char: char| char.is_whitespace() || char.is_control()) {
        let word = word.chars().filter(|&char| is_shown(char));
        for (index, char) in word.enumerate() {
            if index == 0 && count > 0 {
                cleaned.push(' ');
                count += 1;
            }
            if count >= WORDS_MAX {
                cleaned.push_str("...");
                return cleaned;
            }
            cleaned.push(char);
            count += 1;
        }
    }
    cleaned
}

/// Whether a character shows, and leaves the order of the others alone.
fn is_shown(char: char) -> bool {
    !matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffd}'
    )
}

/// The pause that `Retry-After` asks for, in seconds or until a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // One that is over asks for no pause.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits {
        request: Duration::from_millis(250),
        response: Duration::from_secs(60),
        connect: Duration::ZERO,
        retry_after_max: Duration::from_secs(600),
    };

    fn headers(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    fn outcome(status: u16, pairs: &[(&'static str, &'static str)], body: &str) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        Outcome::of_response(status, &headers(pairs), body.as_bytes(), &WAITS)
    }

    #[test]
    fn a_status_decides() {
        let check = |statuses: &[u16], expected: &str| {
            for &status in statuses {
                let found = match outcome(status, &[], "") {
                    Outcome::Delivered => "delivered".to_owned(),
                    Outcome::Refused(_) => "refused".to_owned(),
                    Outcome::Later(trouble) => format!("{:?}", trouble.kind),
                };
                assert_eq!(found, expected, "{status}");
            }
        };
        check(&[200, 201, 202, 204, 207, 226, 299], "delivered");
        check(&[400, 409, 413, 416, 418, 420, 422, 451, 499], "refused");
        check(&[300, 301, 302, 303, 304, 307, 308, 399], "Barred");
        check(&[401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 414, 415, 417], "Barred");
        check(&[421, 426, 428, 431, 501, 505, 511], "Barred");
        check(&[408, 423, 424, 425, 429, 502, 503, 504], "Busy");
        check(&[100, 101, 103, 199, 500, 506, 507, 508, 520, 599, 600, 999], "Fault");
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let check = |status: u16, text: &'static str, expected: Option<u64>| {
            let Outcome::Later(trouble) = outcome(status, &[("retry-after", text)], "") else {
                panic!("{status} {text}")
            };
            assert_eq!(trouble.after, expected.map(Duration::from_secs), "{text}");
        };
        check(503, " 7 ", Some(7));
        check(429, "0", Some(0));
        check(413, "7", Some(7));
        check(503, "86400", Some(600));
        check(503, "Tue, 31 Dec 2199 23:59:59 GMT", Some(600));
        check(503, "Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
        for nonsense in ["-1", "soon", "", "7.5", "Sun, 06 Nov"] {
            check(503, nonsense, None);
        }
        let at = |text| headers(&[("retry-after", text)]);
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        let date = at("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after(&date, noon), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_reason_is_the_status_and_what_the_server_says() {
        let check = |status: u16, pairs: &[_], body: &str, expected: &str| {
            let (Outcome::Refused(reason) | Outcome::Later(Trouble { reason, .. })) =
                outcome(status, pairs, body)
            else {
                panic!("{status}")
            };
            assert_eq!(reason, expected);
        };
        check(400, &[], "", "HTTP 400 Bad Request");
        check(400, &[], " no\r\n\tfield\0 \u{1b}[31mx ", "HTTP 400 Bad Request: no field [31mx");
        check(422, &[], "\u{202e}\u{feff}a\u{200b}b", "HTTP 422 Unprocessable Entity: ab");
        check(499, &[("location", "/b")], "", "HTTP 499");
        check(302, &[("location", "/b")], "moved", "HTTP 302 Found, to /b: moved");
        check(503, &[], "down", "HTTP 503 Service Unavailable: down");
        let (cut, whole) = ("ä".repeat(200), "ä".repeat(201));
        check(400, &[], &cut, &format!("HTTP 400 Bad Request: {cut}"));
        check(400, &[], &whole, &format!("HTTP 400 Bad Request: {cut}..."));
    }

    #[test]
    fn what_is_not_answered_is_repeated() {
        let check = |error: Error, connecting: bool, kind, expected: &str| {
            let waits = Waits { connect: Duration::from_millis(9), ..WAITS };
            let trouble = Trouble { reason: expected.into(), after: None, kind };
            assert_eq!(Outcome::of_error(&error, connecting, &waits), Outcome::Later(trouble));
        };
        let reset = || Error::Io(io::ErrorKind::ConnectionReset.into());
        let (fault, unreached) = (Kind::Fault, Kind::Unreached);
        check(Error::Timeout(Timeout::Global), false, fault, "no response within 250 ms");
        check(Error::Timeout(Timeout::Global), true, unreached, "no connection within 250 ms");
        check(Error::Timeout(Timeout::RecvResponse), false, fault, "no response within 60000 ms");
        check(Error::Timeout(Timeout::Connect), true, unreached, "no connection within 9 ms");
        check(Error::Timeout(Timeout::Resolve), false, unreached, "no address within 250 ms");
        check(Error::HostNotFound, false, unreached, "the host has no address");
        let proxy = Error::ConnectProxyFailed("HTTP 407".into());
        check(proxy, true, unreached, "the proxy does not connect: HTTP 407");
        check(reset(), false, fault, "connection reset");
        check(reset(), true, unreached, "connection reset");
    }
}
