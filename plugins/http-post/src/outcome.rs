//! What becomes of a payload, by what came back.

use std::time::Duration;

use ureq::{
    Error,
    http::{HeaderMap, StatusCode, header},
};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server has taken the payload.
    Delivered,
    /// The server will never take it.
    GiveUp(String),
    /// It may take it later.
    Later {
        /// What went wrong.
        reason: String,
        /// The pause that the server asks for.
        after: Option<Duration>,
    },
}

/// The longest pause that a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

impl Outcome {
    /// The outcome of a request that was answered.
    pub(crate) fn of_response(status: StatusCode, headers: &HeaderMap) -> Self {
        let reason = match status.canonical_reason() {
            Some(text) => format!("HTTP {} {text}", status.as_u16()),
            None => format!("HTTP {}", status.as_u16()),
        };
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match status.as_u16() {
            200..=299 => Outcome::Delivered,
            300..=399 => Outcome::GiveUp(match header(header::LOCATION) {
                Some(location) => format!("{reason}, to {location}"),
                None => reason,
            }),
            408 | 425 | 429 | 500.. => {
                let seconds = header(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
                let after =
                    seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
                Outcome::Later { reason, after }
            }
            _ => Outcome::GiveUp(reason),
        }
    }

    /// The outcome of a request that was not answered.
    pub(crate) fn of_error(error: &Error, timeout: Duration) -> Self {
        let reason = match error {
            Error::Timeout(_) => format!("no response within {} ms", timeout.as_millis()),
            Error::Io(error) => error.to_string(),
            Error::HostNotFound => "the host has no address".into(),
            Error::Protocol(error) => format!("the response is not HTTP: {error}"),
            Error::Rustls(error) => format!("TLS: {error}"),
            other => other.to_string(),
        };
        Outcome::Later { reason, after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(&'static str, &'static str)], expected: Outcome) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(Outcome::of_response(status, &map), expected);
    }

    #[test]
    fn a_response_decides() {
        let give_up = |reason: &str| Outcome::GiveUp(reason.into());
        let later = |reason: &str, seconds: Option<u64>| Outcome::Later {
            reason: reason.into(),
            after: seconds.map(Duration::from_secs),
        };
        check(200, &[], Outcome::Delivered);
        check(204, &[("retry-after", "7")], Outcome::Delivered);
        check(299, &[], Outcome::Delivered);
        check(301, &[("location", "/b")], give_up("HTTP 301 Moved Permanently, to /b"));
        check(304, &[], give_up("HTTP 304 Not Modified"));
        check(400, &[], give_up("HTTP 400 Bad Request"));
        check(401, &[("retry-after", "7")], give_up("HTTP 401 Unauthorized"));
        check(499, &[], give_up("HTTP 499"));
        check(408, &[], later("HTTP 408 Request Timeout", None));
        check(425, &[], later("HTTP 425 Too Early", None));
        check(429, &[("retry-after", " 7 ")], later("HTTP 429 Too Many Requests", Some(7)));
        check(500, &[], later("HTTP 500 Internal Server Error", None));
        check(503, &[("retry-after", "-1")], later("HTTP 503 Service Unavailable", None));
        check(503, &[("retry-after", "86400")], later("HTTP 503 Service Unavailable", Some(600)));
        check(999, &[], later("HTTP 999", None));
    }
}
