//! One connection's requests: from bytes to events in a lane, and answers.
//!
//! Nothing here does IO. A request goes through three stages: it is read; it is whole and waits
//! for room, or until somebody else's same payloads are through; its events are taken, and it
//! waits until they are where they should be. A request that is refused counts as one rejected
//! line; one that is taken as many decoded ones as it has events.

mod taking;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    HttpPlan,
    content::Content,
    identity,
    verdict::{Refused, TAKEN_BEFORE, judge, later, malformed, refused_by_codec},
    window::Names,
};
use crate::{
    decode::{Decoder, Protocol},
    http::{Answer, Codec, Limits, Read, Refusal, Request, Status},
    input::{Input, Seat},
    pipeline::Lane,
    queue::{Promise, Wake},
    telemetry::ledger::InputCounts,
};

/// The largest head of a request, in bytes.
pub const HTTP_HEAD_MAX: usize = 64 << 10;

/// How long a peer may go on sending after the last answer. To close before it has stopped could
/// destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);

/// One connection's requests.
pub struct HttpSession {
    seat: Seat,
    plan: Arc<HttpPlan>,
    /// Whose they are, for messages.
    peer: String,
    wake: Wake,
    codec: Codec,
    json: Option<Decoder>,
    tab_text: Option<Decoder>,
    state: State,
    counts: InputCounts,
    /// What the request takes, until it is taken or answered, as the memory has it.
    held: usize,
    /// When patience with the peer ends.
    deadline: Instant,
    /// No further request is read after this one.
    last: bool,
    /// How often the settings had changed when `plan` was in effect.
    changes: u64,
}

enum State {
    /// A request is read, or awaited.
    Reading(Reading),
    /// A request is whole, and nothing of it has been taken.
    Whole(Box<Whole>),
    /// A request has been taken.
    Taken(Box<Whole>, Arc<Promise>),
    /// The last word has been said.
    Over,
}

#[derive(Default)]
struct Reading {
    /// The head has been looked at.
    is_judged: bool,
    /// What was found against it: the body is passed over.
    refused: Option<Refused>,
    /// Something of the request has come.
    has_begun: bool,
}

/// A request that could be taken.
struct Whole {
    /// Without its body.
    request: Request,
    content: Content,
    /// How many events there are.
    count: usize,
    names: Option<Names>,
    /// When it is answered at the latest.
    until: Instant,
    /// The exporters that its events go to, once that was asked.
    destinations: Option<Vec<usize>>,
}

impl HttpSession {
    /// A session that has read nothing yet. `peer` is its name in messages; `wake` is the one of
    /// the thread that feeds it. `None` for the place of another kind of input.
    pub fn new(seat: Seat, peer: String, wake: Wake, now: Instant) -> Option<Self> {
        let plan = seat.input().http.as_ref()?;
        let changes = plan.memory.changes();
        let plan = plan.memory.current().unwrap_or_else(|| Arc::clone(plan));
        let limits = Limits { head: HTTP_HEAD_MAX, body: plan.request_max };
        Some(HttpSession {
            codec: Codec::new(limits),
            json: None,
            tab_text: None,
            state: State::Reading(Reading::default()),
            counts: InputCounts::default(),
            held: 0,
            deadline: now + plan.request_timeout,
            last: false,
            changes,
            seat,
            plan,
            peer,
            wake,
        })
    }

    /// Whose session it is.
    pub fn input(&self) -> &Arc<Input> {
        self.seat.input()
    }

    /// What its input's sessions have in common.
    pub(super) fn plan(&self) -> &HttpPlan {
        &self.plan
    }

    /// Whether a request waits for its answer: nothing is to be read meanwhile, and
    /// [`go_on`](Self::go_on) to be called now and then.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Whole(_) | State::Taken(..))
    }

    /// Whether the last word has been said.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether nothing of a request has been read.
    pub fn is_idle(&self) -> bool {
        matches!(&self.state, State::Reading(reading) if !reading.has_begun)
    }

    /// When [`late`](Self::late) is to be called.
    pub fn deadline(&self) -> Instant {
        match &self.state {
            State::Whole(whole) | State::Taken(whole, _) => whole.until,
            State::Reading(_) | State::Over => self.deadline,
        }
    }

    /// No further request is read after the one that has begun.
    pub fn retire(&mut self) {
        self.last = true;
    }

    /// After a change of the configuration exporters have other places.
    pub fn forget_destinations(&mut self) {
        if let State::Whole(whole) = &mut self.state {
            whole.destinations = None;
        }
    }

    /// Reads requests from `bytes`, as far as they can be answered at once; appends the answers
    /// to `out`. Returns how many bytes it is done with; the others must come first in the next
    /// call.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        lane: &mut Lane,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut consumed = 0;
        while let State::Reading(reading) = &mut self.state {
            if !reading.has_begun && consumed < bytes.len() {
                reading.has_begun = true;
                self.look_at_settings();
                self.deadline = now + self.plan.request_timeout;
            }
            let (count, read) = self.codec.read(&bytes[consumed..]);
            consumed += count;
            match read {
                Read::More => {
                    self.look_at_pending();
                    break;
                }
                Read::Continue => {
                    self.look_at_pending();
                    match self.refused() {
                        Some(refused) => self.last_word(&refused, now, out),
                        None => out.extend_from_slice(Codec::CONTINUE),
                    }
                }
                Read::Request(request) => self.whole(request, lane, now, out),
                Read::Refused(refusal) => {
                    self.last_word(&refused_by_codec(refusal), now, out);
                }
            }
        }
        if self.is_over() {
            consumed = bytes.len();
        }
        self.settle();
        consumed
    }

    /// Goes by the settings in effect. When they have changed, the peer is to come by another
    /// connection: who it is may have to be shown anew.
    fn look_at_settings(&mut self) {
        let changes = self.plan.memory.changes();
        if changes != self.changes {
            self.changes = changes;
            self.last = true;
            let Some(plan) = self.plan.memory.current() else { return };
            let before = std::mem::replace(&mut self.plan, plan);
            if let State::Reading(reading) = &mut self.state
                && !self.plan.secrets.allow_connections_of(&before.secrets)
            {
                let text = "who may connect has changed; come again by another connection";
                reading.refused = Some(Refused::new(Status::Unavailable, "reloaded", text));
            }
        }
    }

    /// What was found against the request that is being read.
    fn refused(&mut self) -> Option<Refused> {
        match &mut self.state {
            State::Reading(reading) => reading.refused.take(),
            State::Whole(_) | State::Taken(..) | State::Over => None,
        }
    }

    /// Looks at the head of a request whose body is being read, and at what that takes.
    fn look_at_pending(&mut self) {
        let State::Reading(reading) = &mut self.state else { return };
        let Some(pending) = self.codec.pending() else { return };
        if !std::mem::replace(&mut reading.is_judged, true) && reading.refused.is_none() {
            reading.refused = judge(&self.plan, pending).err();
        }
        let length = pending.body.len();
        let refused = match reading.refused.take() {
            None => self.hold(length).err(),
            refused => refused,
        };
        if refused.is_some() {
            self.codec.discard();
            self.release();
        }
        if let State::Reading(reading) = &mut self.state {
            reading.refused = refused;
        }
    }

    /// Holds so many bytes of a request, if all sessions together may.
    fn hold(&mut self, length: usize) -> Result<(), Refused> {
        let all = self.plan.memory.changed(std::mem::replace(&mut self.held, length), length);
        if all <= self.plan.requests_max {
            return Ok(());
        }
        let text = "too much is being received; come again";
        Err(Refused::new(Status::Unavailable, "busy", text))
    }

    /// Gives back what the request took.
    fn release(&mut self) {
        self.plan.memory.changed(std::mem::take(&mut self.held), 0);
    }

    /// A request has come to its end.
    fn whole(&mut self, mut request: Request, lane: &mut Lane, now: Instant, out: &mut Vec<u8>) {
        request.keep_alive &= !self.last;
        let body = std::mem::take(&mut request.body);
        let opened = match &mut self.state {
            State::Reading(Reading { refused: Some(refused), .. }) => Err(refused.clone()),
            _ => self.open(&request, body, lane),
        };
        self.state = State::Reading(Reading::default());
        self.deadline = now + self.plan.idle_timeout;
        match opened {
            Err(refused) => {
                let answer = self.refuse(&refused);
                self.say(&answer, &request, now, out);
            }
            Ok((content, count, names)) => {
                let until = now + self.plan.answer_timeout;
                let destinations = None;
                let whole = Whole { request, content, count, names, until, destinations };
                self.state = State::Whole(Box::new(whole));
                self.go_on(lane, now, out);
            }
        }
    }

    /// The content of a request, with the number of its events, all of which have been decoded
    /// once.
    fn open(
        &mut self,
        request: &Request,
        body: Vec<u8>,
        lane: &Lane,
    ) -> Result<(Content, usize, Option<Names>), Refused> {
        let (coding, kind) = judge(&self.plan, request)?;
        let names = identity::names(request)?;
        let content = Content::open(body, coding, kind, self.plan.request_max)?;
        self.hold(content.len())?;
        let line_limit = self.input().line_limit;
        let decoder = self.decoder(content.protocol, lane);
        let mut count = 0;
        for text in content.texts() {
            let text = text?;
            if text.bytes.len() > line_limit {
                let place = format!("line {}, column {}", text.line, text.column);
                let text = format!("expected an event of {line_limit} bytes at most at {place}");
                return Err(Refused::new(Status::BadRequest, "too-long", text));
            }
            decoder.decode(text.bytes).map_err(|error| malformed(&error, &text))?;
            count += 1;
        }
        if names.as_ref().is_some_and(|names| names.numbers.count() != count as u64) {
            let text = format!("Fantail-Numbers: expected {count} numbers, one for each event");
            return Err(Refused::new(Status::BadRequest, "identity", text));
        }
        Ok((content, count, names))
    }

    /// The decoder for a protocol, with the lane's names.
    fn decoder(&mut self, protocol: Protocol, lane: &Lane) -> &mut Decoder {
        let limits = self.seat.input().open_limits;
        let decoder = match protocol {
            Protocol::TabText => &mut self.tab_text,
            Protocol::Json | Protocol::StatsWriter => &mut self.json,
        };
        let protocol = match protocol {
            Protocol::TabText => Protocol::TabText,
            // No request has a body of that.
            Protocol::Json | Protocol::StatsWriter => Protocol::Json,
        };
        let decoder = decoder.get_or_insert_with(|| Decoder::new(protocol, limits, lane.symbols()));
        decoder.set_symbols(lane.symbols());
        decoder
    }

    /// The deadline has passed.
    pub fn late(&mut self, now: Instant, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Whole(whole) => {
                let text = "the events can't be taken now; come again";
                let answer = self.refuse(&Refused::new(Status::Unavailable, "busy", text));
                self.state = State::Reading(Reading::default());
                self.say(&answer, &whole.request, now, out);
            }
            State::Taken(whole, _) => {
                // They have been counted, and will be delivered.
                self.state = State::Reading(Reading::default());
                let answer = later("the events are not safe yet; come again");
                self.say(&answer, &whole.request, now, out);
            }
            State::Reading(reading) if reading.has_begun => {
                self.state = State::Reading(reading);
                self.last_word(&refused_by_codec(Refusal::TOO_LATE), now, out);
            }
            State::Reading(_) | State::Over => {}
        }
        self.settle();
    }

    /// The peer sends no more. What it has begun and not ended is counted.
    pub fn end(&mut self) {
        if let State::Reading(reading) = &self.state
            && reading.has_begun
        {
            let text = "the peer was cut off in the middle of a request";
            let _ = self.refuse(&Refused::new(Status::BadRequest, "truncated", text));
        }
        self.release();
        self.state = State::Over;
        self.settle();
    }

    /// Answers a request; then the next one may come, or the connection is at its end.
    fn say(&mut self, answer: &Answer, request: &Request, now: Instant, out: &mut Vec<u8>) {
        self.release();
        let goes_on = answer.write(request, out) && !self.last;
        self.deadline = now + if goes_on { self.plan.idle_timeout } else { LINGER };
        self.state = if goes_on { State::Reading(Reading::default()) } else { State::Over };
    }

    /// Answers what is no request, and ends the connection.
    fn last_word(&mut self, refused: &Refused, now: Instant, out: &mut Vec<u8>) {
        self.refuse(refused).write_last(out);
        self.release();
        self.deadline = now + LINGER;
        self.state = State::Over;
    }

    /// Counts a refused request and shows it, once in a while for each reason.
    fn refuse(&mut self, refused: &Refused) -> Answer {
        self.count_refused(refused.reason, &refused.text);
        refused.answer()
    }

    /// The same, for what can't be answered.
    pub(super) fn count_refused(&mut self, reason: &'static str, text: &str) {
        self.counts.reject(reason);
        if let Some(held) = self.input().may_show(reason) {
            let (name, peer) = (&self.input().name, &self.peer);
            let mut more = String::new();
            if held > 0 {
                let _ = write!(more, " ({held} more of the kind held back)");
            }
            log::warn!("input {name}: {peer}: request refused ({reason}): {text}{more}");
        }
    }

    /// Counts events that came again.
    fn taken_before(&mut self, count: u64) {
        (0..count).for_each(|_| self.counts.reject(TAKEN_BEFORE));
    }

    /// Tells the input what was counted.
    pub(super) fn settle(&mut self) {
        self.seat.input().ledger.add(&mut self.counts);
    }
}

impl Drop for HttpSession {
    fn drop(&mut self) {
        self.release();
        self.settle();
    }
}
