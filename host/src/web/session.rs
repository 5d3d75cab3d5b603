//! One connection: requests in, pages out.

use super::{own, text::Page};
use crate::{
    config::settings::OpenMetricsCompat,
    http::{Answer, Codec, Limits, Read, Refusal, Request, Status},
    pipeline::{Handle, Stage},
    serve::{Dialog, Next, Turn},
    statistics::{
        View,
        openmetrics::{
            Head, dovecot,
            valid::{self, Syntax},
        },
    },
};

/// How much a peer may send for one request. Nobody needs a body here.
const LIMITS: Limits = Limits { head: 16 * 1024, body: 4 * 1024 };

/// What can be done with every page.
const METHODS: &str = "GET, HEAD";

/// What stands at `/`.
const INDEX: &str = "\
/metrics   figures, for Prometheus
/healthz   200 as long as the host runs
/readyz    200 while the host takes events, 503 otherwise
";

/// One connection.
pub struct Session {
    host: Handle,
    compat: OpenMetricsCompat,
    codec: Codec,
}

impl Session {
    /// A connection to a host's pages, with its metrics shown in this way.
    pub fn new(host: Handle, compat: OpenMetricsCompat) -> Self {
        Session { host, compat, codec: Codec::new(LIMITS) }
    }

    fn answer(&self, request: &Request) -> Answer {
        let page: fn(&Self, &Request) -> Answer = match request.path() {
            "/metrics" => Self::metrics,
            "/healthz" => |_, _| Answer::line(Status::Ok, "running"),
            "/readyz" => Self::readyz,
            "/" => |_, _| Answer { body: INDEX.into(), ..Answer::line(Status::Ok, "") },
            _ => return Answer::line(Status::NotFound, "there is no such page"),
        };
        if !["GET", "HEAD"].contains(&request.method) {
            let refusal = Answer::line(Status::MethodNotAllowed, "pages can only be read");
            return Answer { allow: METHODS, ..refusal };
        }
        page(self, request)
    }

    fn readyz(&self, _: &Request) -> Answer {
        match self.host.stage() {
            Stage::Ready => Answer::line(Status::Ok, "ready"),
            Stage::Starting => {
                Answer::line(Status::Unavailable, "starting: not every input is open yet")
            }
            Stage::Stopping => {
                Answer::line(Status::Unavailable, "stopping: no more events are taken")
            }
        }
    }

    fn metrics(&self, request: &Request) -> Answer {
        let syntax = match self.compat {
            OpenMetricsCompat::Off => wanted(request),
            // Which it says it is.
            OpenMetricsCompat::Dovecot => Syntax::OpenMetrics,
        };
        let started = self.host.started().seconds();
        let head = Head { version: env!("CARGO_PKG_VERSION"), started };
        let mut text = String::new();
        self.host.statistics().read(|view: View<'_>| match self.compat {
            OpenMetricsCompat::Off => valid::page(view, head, syntax, &mut text),
            OpenMetricsCompat::Dovecot => dovecot::page(view, head, &mut text),
        });
        // The host's own figures come before the end.
        let end = text.ends_with(END).then(|| text.split_off(text.len() - END.len()));
        let mut page = Page::new(text, syntax);
        own::append(&self.host, &mut page);
        page.text.extend(end);
        let content_type = syntax.content_type();
        let body = page.text.into_bytes();
        Answer { status: Status::Ok, content_type, allow: "", headers: "", body }
    }
}

/// The end of a page of OpenMetrics.
const END: &str = "# EOF\n";

/// The syntax that a request asks for.
fn wanted(request: &Request) -> Syntax {
    let is_openmetrics = |word: &String| word.starts_with("application/openmetrics-text");
    match request.words("accept").iter().any(is_openmetrics) {
        true => Syntax::OpenMetrics,
        false => Syntax::Prometheus,
    }
}

impl Dialog for Session {
    fn greet(&mut self, _: &mut Vec<u8>) {}

    fn turn(&mut self, received: &[u8], answers: &mut Vec<u8>) -> Turn {
        let (consumed, read) = self.codec.read(received);
        let next = match read {
            Read::More => Next::More,
            Read::Continue => {
                answers.extend_from_slice(Codec::CONTINUE);
                Next::More
            }
            Read::Request(request) => match self.answer(&request).write(&request, answers) {
                true => Next::Answered,
                false => Next::Close,
            },
            Read::Refused(refusal) => {
                refusal.answer().write_last(answers);
                Next::Close
            }
        };
        Turn { consumed, next }
    }

    fn is_between_requests(&self) -> bool {
        self.codec.is_between_requests()
    }

    fn too_late(&mut self, answers: &mut Vec<u8>) {
        Refusal::TOO_LATE.answer().write_last(answers);
    }
}
