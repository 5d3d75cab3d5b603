//! A whole request's way into the lane, and to its answer.

use std::{sync::Arc, time::Instant};

use super::{HttpSession, Reading, State, Whole};
use crate::{
    decode::{Decoded, Decoder},
    event::Event,
    input::http::{
        content::Text,
        ranges::Ranges,
        verdict::{TAKEN_BEFORE, later, taken},
        window::{Begun, Names},
    },
    pipeline::Lane,
    queue::{Promise, Standing},
};

impl HttpSession {
    /// Looks whether a request that waits can be taken or answered.
    pub fn go_on(&mut self, lane: &mut Lane, now: Instant, out: &mut Vec<u8>) {
        let state = std::mem::replace(&mut self.state, State::Reading(Reading::default()));
        self.state = match state {
            State::Whole(whole) => self.take(whole, lane, now, out),
            other => other,
        };
        let standing = match &self.state {
            State::Taken(_, promise) => promise.standing(),
            _ => Standing::Open,
        };
        if standing != Standing::Open {
            let state = std::mem::replace(&mut self.state, State::Reading(Reading::default()));
            if let State::Taken(whole, _) = state {
                self.landed(&whole, standing, now, out);
            }
        }
        self.settle();
    }

    /// Takes a whole request, if there is room for it.
    fn take(
        &mut self,
        mut whole: Box<Whole>,
        lane: &mut Lane,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> State {
        let has_all = |names: &Names| self.plan.memory.window.has_all(names, now);
        if whole.names.as_ref().is_some_and(has_all) {
            self.taken_before(whole.count as u64);
            self.say(&taken(0), &whole.request, now, out);
            return std::mem::replace(&mut self.state, State::Over);
        }
        if !self.has_room(&mut whole, lane) {
            return State::Whole(whole);
        }
        let promise = Arc::new(Promise::new(self.wake.clone()));
        // Not kept before all events are on their way.
        let all = promise.receipt();
        let before = match &whole.names {
            None => None,
            Some(names) => match self.plan.memory.window.begin(names, &promise, now) {
                Begun::InFlight => return State::Whole(whole),
                Begun::Flying { before } => Some(before),
            },
        };
        lane.promise(Arc::clone(&promise));
        self.hand_on(&whole, before.as_ref(), lane);
        whole.content.clear();
        self.release();
        lane.close_promised();
        all.fulfil();
        State::Taken(whole, promise)
    }

    /// Gives the lane a request's events, but for those that were taken before.
    fn hand_on(&mut self, whole: &Whole, before: Option<&Ranges>, lane: &mut Lane) {
        let numbers = whole.names.iter().flat_map(|names| names.numbers.numbers());
        let mut known = numbers.map(|number| before.is_some_and(|before| before.contains(number)));
        let mut counts = std::mem::take(&mut self.counts);
        let decoder = self.decoder(whole.content.protocol, lane);
        for text in whole.content.texts().filter_map(Result::ok) {
            if known.next().unwrap_or(false) {
                counts.reject(TAKEN_BEFORE);
                continue;
            }
            match event(decoder, &text) {
                Some(event) => {
                    counts.received += 1;
                    counts.events += 1;
                    lane.event(&event);
                }
                // Only when the configuration has changed since the request was looked at.
                None => counts.reject("syntax"),
            }
        }
        self.counts = counts;
    }

    /// Whether the exporters that a request's events go to have room for them.
    fn has_room(&mut self, whole: &mut Whole, lane: &mut Lane) -> bool {
        let bytes = whole.content.len();
        if lane.has_room_everywhere(bytes) {
            return true;
        }
        let Whole { destinations, content, .. } = whole;
        let destinations = destinations.get_or_insert_with(|| {
            let mut destinations = Vec::new();
            let decoder = self.decoder(content.protocol, lane);
            for text in content.texts().filter_map(Result::ok) {
                if let Some(event) = event(decoder, &text) {
                    lane.destinations(&event, &mut destinations);
                }
            }
            destinations
        });
        lane.has_room_for(destinations, bytes)
    }

    /// A request's events are where they should be, or lost.
    fn landed(&mut self, whole: &Whole, standing: Standing, now: Instant, out: &mut Vec<u8>) {
        if let Some(names) = &whole.names {
            self.plan.memory.window.settle(names.source);
        }
        let answer = match standing {
            Standing::Kept => taken(whole.count),
            Standing::Open | Standing::Broken => later("the host is stopping; come again"),
        };
        self.say(&answer, &whole.request, now, out);
    }
}

fn event<'a>(decoder: &'a mut Decoder, text: &Text<'a>) -> Option<Event<'a>> {
    match decoder.decode(text.bytes) {
        Ok(Decoded::Event(event)) => Some(event),
        Ok(Decoded::Context | Decoded::Handshake) | Err(_) => None,
    }
}
