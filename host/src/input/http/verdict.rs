//! What becomes of a request, and what is said to it.

use super::{
    HttpPlan,
    content::{Coding, Kind, Text},
};
use crate::{
    decode::LineError,
    http::{Answer, Refusal, Request, Status},
};

/// What is said to a peer that should come again.
const LATER: &str = "Retry-After: 1\r\n";

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The kind of trouble.
    pub(super) status: Status,
    /// The word by which it is counted.
    pub(super) reason: &'static str,
    /// What exactly, for people.
    pub(super) text: String,
}

impl Refused {
    pub(super) fn new(status: Status, reason: &'static str, text: impl Into<String>) -> Self {
        Refused { status, reason, text: text.into() }
    }

    /// What to say to the peer.
    pub(super) fn answer(&self) -> Answer {
        let headers = match self.status {
            Status::Unauthorized => "WWW-Authenticate: Bearer\r\n",
            Status::Unavailable => LATER,
            _ => "",
        };
        let allow = if self.status == Status::MethodNotAllowed { "POST" } else { "" };
        Answer { headers, allow, ..Answer::line(self.status, &self.text) }
    }
}

/// The word by which events are counted that were taken before.
pub(super) const TAKEN_BEFORE: &str = "taken-before";

/// What is said once everything is where it should be.
pub(super) fn taken(count: usize) -> Answer {
    Answer::line(Status::Ok, &format!("{count} taken"))
}

pub(super) fn later(text: &str) -> Answer {
    Answer { headers: LATER, ..Answer::line(Status::Unavailable, text) }
}

pub(super) fn malformed(error: &LineError, text: &Text<'_>) -> Refused {
    let (line, column) = text.place(error.column());
    let said = format!("expected {} at line {line}, column {column}", error.expected());
    Refused::new(Status::BadRequest, error.reason().word(), said)
}

pub(super) fn refused_by_codec(refusal: Refusal) -> Refused {
    let reason = match refusal.status {
        Status::RequestTimeout => "too-slow",
        Status::ContentTooLarge => "too-large",
        _ => "no-request",
    };
    Refused::new(refusal.status, reason, refusal.reason)
}

/// Whether a request is one that this input takes, as far as its head says.
pub(super) fn judge(plan: &HttpPlan, request: &Request) -> Result<(Coding, Kind), Refused> {
    if !plan.secrets.admit(request.values("authorization")) {
        let text = "expected a known token: Authorization: Bearer TOKEN";
        return Err(Refused::new(Status::Unauthorized, "unauthorized", text));
    }
    if request.path() != plan.path {
        let text = format!("events go to {}", plan.path);
        return Err(Refused::new(Status::NotFound, "path", text));
    }
    if request.method != "POST" {
        return Err(Refused::new(Status::MethodNotAllowed, "method", "expected POST"));
    }
    let mut lengths = request.values("content-length").chain(request.values("transfer-encoding"));
    if lengths.next().is_none() {
        let text = "expected Content-Length or Transfer-Encoding: chunked";
        return Err(Refused::new(Status::LengthRequired, "length", text));
    }
    let configured = plan.protocol;
    Ok((Coding::of(request)?, Kind::of(request, configured)?))
}
