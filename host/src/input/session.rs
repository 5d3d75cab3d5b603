//! One connection's or file's lines: from bytes to events in a lane.
//!
//! A session does no IO: it is fed what was read. A line that is malformed or too
//! long costs that line: it is counted by reason, shown once in a while with
//! what was wrong and where, and the session goes on.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use memchr::memchr;

use super::{HttpPlan, seat::Seat, share::Share};
use crate::{
    decode::{Decoded, Decoder, Line, LineError, Protocol},
    event::{OpenLimits, Symbols},
    pipeline::Lane,
    telemetry::{
        ledger::{InputCounts, InputLedger},
        log::RateLimit,
    },
};

/// How often a rejected line is shown for each reason.
const SHOW_INTERVAL: Duration = Duration::from_secs(60);

/// How much of a rejected line is shown, in bytes.
const SHOWN_BYTES: usize = 160;

/// What an input's sessions have in common.
#[derive(Debug)]
pub struct Input {
    /// Its name in the configuration.
    pub name: String,
    /// What its sessions speak.
    pub kind: InputKind,
    /// The longest line, its end not included, in bytes.
    pub line_limit: usize,
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// What a stats-writer connection may keep open.
    pub open_limits: OpenLimits,
    /// Bytes of the events that all its sessions may keep open together.
    pub open_bytes_max: usize,
    /// What its sessions have in common besides, when they read requests.
    pub http: Option<Arc<HttpPlan>>,
    /// What is counted; it outlives a change of the input's settings.
    pub ledger: Arc<InputLedger>,
    /// Tells of connections that found no [`Seat`].
    pub(super) turned_away: RateLimit,
    shown: Mutex<BTreeMap<&'static str, RateLimit>>,
}

/// What an input's sessions speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Dovecot's stats-writer protocol.
    StatsWriter,
    /// Lines in this format, or in the one that the first line shows.
    Lines(Option<Protocol>),
    /// Anything a file may hold, as its first line shows.
    Any,
    /// Requests with events in them: [`HttpSession`](super::HttpSession) reads those.
    Http,
}

/// What a session wants after it was fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// More.
    More,
    /// To wait: an exporter that it feeds has no room. There may be whole lines
    /// among what was not consumed.
    Blocked,
    /// To be closed: its peer speaks another protocol.
    Close,
}

/// How a session's bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A file's or a pipeline's end: a last line needs no LF.
    OfFile,
    /// A connection's end: a line without LF may have been cut.
    OfConnection,
}

/// One connection's or file's lines.
#[derive(Debug)]
pub struct Session {
    seat: Seat,
    share: Share,
    /// Whose lines they are, for messages.
    peer: String,
    decoder: Option<Decoder>,
    /// The rest of a line that was too long is passed over.
    skipping: bool,
    /// How much of what was not consumed is known to have no LF in it.
    scanned: usize,
    lines: u64,
    counts: InputCounts,
}

impl Input {
    /// An input that has received nothing yet. It may have any number of connections, and
    /// of open events what each of them may keep.
    pub fn new(name: String, kind: InputKind, line_limit: usize, open_limits: OpenLimits) -> Self {
        Input {
            name,
            kind,
            line_limit,
            connections_max: usize::MAX,
            open_limits,
            open_bytes_max: usize::MAX,
            http: None,
            ledger: Arc::default(),
            turned_away: RateLimit::new(SHOW_INTERVAL),
            shown: Mutex::default(),
        }
    }

    /// Whether both are the same input, perhaps with other settings.
    pub fn is_same(&self, other: &Input) -> bool {
        Arc::ptr_eq(&self.ledger, &other.ledger)
    }

    /// Whether something may be shown for this reason, and how many were held back.
    pub(super) fn may_show(&self, reason: &'static str) -> Option<u64> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.entry(reason).or_insert_with(|| RateLimit::new(SHOW_INTERVAL)).pass(Instant::now())
    }
}

impl Session {
    /// A session that has read nothing yet. `peer` is its name in messages;
    /// `symbols` are those of the lane it will feed.
    pub fn new(seat: Seat, peer: String, symbols: &Arc<Symbols>) -> Self {
        let input = seat.input();
        let protocol = match input.kind {
            InputKind::StatsWriter => Some(Protocol::StatsWriter),
            InputKind::Lines(protocol) => protocol,
            InputKind::Any | InputKind::Http => None,
        };
        let decoder = protocol.map(|protocol| Decoder::new(protocol, input.open_limits, symbols));
        let share = Share::new(Arc::clone(&input.ledger), input.open_bytes_max);
        Session {
            seat,
            share,
            peer,
            decoder,
            skipping: false,
            scanned: 0,
            lines: 0,
            counts: InputCounts::default(),
        }
    }

    /// Whose session it is.
    pub fn input(&self) -> &Arc<Input> {
        self.seat.input()
    }

    /// Reads the whole lines in `bytes`; returns how many bytes it is done with,
    /// and what it wants. The others must come first in the next call.
    pub fn feed(&mut self, bytes: &[u8], lane: &mut Lane) -> (usize, Fed) {
        self.prepare(lane);
        let mut consumed = 0;
        let mut fed = Fed::More;
        while fed == Fed::More {
            let rest = &bytes[consumed..];
            let scanned = std::mem::take(&mut self.scanned).min(rest.len());
            let Some(end) = memchr(b'\n', &rest[scanned..]) else {
                let done_with = self.incomplete(rest);
                self.scanned = rest.len() - done_with;
                consumed += done_with;
                break;
            };
            let end = scanned + end;
            consumed += end + 1;
            if !std::mem::take(&mut self.skipping) {
                fed = self.line(Line::first_of(rest, end), lane);
            }
        }
        self.settle();
        (consumed, fed)
    }

    /// Reads what is left when no more will come.
    pub fn end(&mut self, rest: &[u8], end: End, lane: &mut Lane) {
        self.prepare(lane);
        if !rest.is_empty() && !self.skipping {
            // A line of JSON that was cut is no JSON any more. In the other
            // formats a cut line may look whole: it counts only where nobody
            // would have cut it.
            let known = self.decoder.as_ref().map(Decoder::protocol);
            let is_json = known.or_else(|| Protocol::detect(rest)) == Some(Protocol::Json);
            let may_be_cut = match end {
                End::OfConnection => true,
                End::OfFile => known == Some(Protocol::StatsWriter),
            };
            if !may_be_cut || self.is_blank(rest) {
                self.line(Line::from(rest), lane);
            } else if !is_json || self.try_line(Line::from(rest), lane).is_err() {
                self.lines += u64::from(!is_json);
                self.reject("truncated", "the line has no end: the peer was cut off", rest);
            }
        }
        self.settle();
    }

    /// Has the decoder look names up where the lane does: it may have gone over to
    /// another configuration since the last read. And allows it as many open events as
    /// there is room for now.
    fn prepare(&mut self, lane: &Lane) {
        if let Some(decoder) = &mut self.decoder {
            decoder.set_symbols(lane.symbols());
            self.share.lend(decoder);
        }
    }

    /// Tells the input what was counted, and what is open now.
    fn settle(&mut self) {
        if let Some(decoder) = &self.decoder {
            self.share.settle(decoder);
        }
        self.seat.input().ledger.add(&mut self.counts);
    }

    /// How much of a line without an end can be dropped: nothing, unless it is
    /// too long already.
    fn incomplete(&mut self, rest: &[u8]) -> usize {
        if self.skipping {
            return rest.len();
        }
        if rest.len() <= self.input().line_limit {
            return 0;
        }
        self.too_long(rest);
        self.skipping = true;
        rest.len()
    }

    fn too_long(&mut self, line: &[u8]) {
        self.lines += 1;
        let limit = self.input().line_limit;
        self.reject(
            "too-long",
            &format!("the line is longer than line_limit, {limit} bytes"),
            line,
        );
    }

    fn line(&mut self, line: Line<'_>, lane: &mut Lane) -> Fed {
        match self.try_line(line, lane) {
            Ok(fed) => fed,
            Err(error) => {
                self.reject_error(&error, line.bytes());
                if error.closes_connection() { Fed::Close } else { Fed::More }
            }
        }
    }

    /// Reads a line. One that its decoder refuses is counted among the lines, and
    /// the caller must reject it.
    #[inline]
    fn try_line(&mut self, whole: Line<'_>, lane: &mut Lane) -> Result<Fed, LineError> {
        let line = whole.bytes();
        if line.len() > self.input().line_limit {
            self.too_long(line);
            return Ok(Fed::More);
        }
        self.lines += 1;
        if self.is_blank(line) {
            self.counts.received += 1;
            return Ok(Fed::More);
        }
        if self.decoder.is_none() && !self.detect(line, lane) {
            return Ok(Fed::More);
        }
        let Some(decoder) = &mut self.decoder else { return Ok(Fed::More) };
        match decoder.decode(whole)? {
            Decoded::Event(event) => {
                self.counts.received += 1;
                self.counts.events += 1;
                lane.event(&event);
                Ok(if lane.blocked_by().is_empty() { Fed::More } else { Fed::Blocked })
            }
            Decoded::Context => {
                self.counts.received += 1;
                Ok(Fed::More)
            }
            Decoded::Handshake => Ok(Fed::More),
        }
    }

    /// Whether there is nothing in the line, as between the lines of people and
    /// scripts: no event, and no mistake either. (Dovecot's protocol has none.)
    fn is_blank(&self, line: &[u8]) -> bool {
        let of_lines = self.decoder.as_ref().map(Decoder::protocol) != Some(Protocol::StatsWriter);
        of_lines && line.trim_ascii().is_empty()
    }

    /// Finds out from the first line what the peer speaks; a line that shows
    /// nothing is rejected, and the next one is asked.
    fn detect(&mut self, line: &[u8], lane: &Lane) -> bool {
        let detected = Protocol::detect(line).filter(|protocol| match self.input().kind {
            InputKind::Any => true,
            InputKind::Lines(_) | InputKind::StatsWriter | InputKind::Http => {
                *protocol != Protocol::StatsWriter
            }
        });
        let Some(protocol) = detected else {
            let expected = match self.input().kind {
                InputKind::Any => "json, tab-text or a recorded stats-writer stream",
                InputKind::Lines(_) | InputKind::StatsWriter | InputKind::Http => {
                    "json or tab-text"
                }
            };
            self.reject("unknown-format", &format!("this is no line of {expected}"), line);
            return false;
        };
        let mut decoder = Decoder::new(protocol, self.input().open_limits, lane.symbols());
        self.share.lend(&mut decoder);
        self.decoder = Some(decoder);
        true
    }

    #[cold]
    fn reject_error(&mut self, error: &LineError, line: &[u8]) {
        self.reject(error.reason().word(), &error.to_string(), line);
    }

    /// Counts a line as rejected and shows it, once in a while for each reason.
    #[cold]
    fn reject(&mut self, reason: &'static str, what: &str, line: &[u8]) {
        self.counts.reject(reason);
        if let Some(held) = self.input().may_show(reason) {
            let (name, peer, number) = (&self.input().name, &self.peer, self.lines);
            let mut shown = excerpt(line);
            if held > 0 {
                let _ = write!(shown, " ({held} more of the kind held back)");
            }
            log::warn!("input {name}: {peer}: line {number} rejected ({reason}): {what}: {shown}");
        }
    }
}

/// The beginning of a line, with everything but plain characters escaped.
fn excerpt(line: &[u8]) -> String {
    let shown = &line[..line.len().min(SHOWN_BYTES)];
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("\"{}{more}\"", shown.escape_ascii())
}
