//! What a peer is still to be told: shared texts, so that ten thousand peers that
//! do not listen cost no more memory than one.

use std::sync::Arc;

/// The texts that a peer has not taken yet: one on its way, and the newest behind
/// it. A peer needs no text that a newer one has overtaken.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    current: Arc<[u8]>,
    /// How much of `current` the peer has taken.
    taken: usize,
    next: Option<Arc<[u8]>>,
}

impl Outgoing {
    /// Adds a text; it takes the place of one that is not on its way yet.
    pub(super) fn say(&mut self, text: Arc<[u8]>) {
        if self.is_empty() {
            (self.current, self.taken) = (text, 0);
        } else {
            self.next = Some(text);
        }
    }

    /// What is to be written next.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.current[self.taken..]
    }

    /// The peer has taken the first `count` bytes.
    pub(super) fn taken(&mut self, count: usize) {
        self.taken += count;
        if self.bytes().is_empty() {
            *self = Outgoing { current: self.next.take().unwrap_or_default(), ..Self::default() };
        }
    }

    /// Whether the peer has been told everything.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Outgoing;

    #[test]
    fn only_the_newest_waits_behind_what_is_on_its_way() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.is_empty());
        for text in ["first", "second", "third"] {
            outgoing.say(text.as_bytes().into());
        }
        assert_eq!(outgoing.bytes(), b"first");
        outgoing.taken(2);
        assert_eq!(outgoing.bytes(), b"rst");
        outgoing.taken(3);
        assert_eq!(outgoing.bytes(), b"third");
        outgoing.taken(5);
        assert!(outgoing.is_empty());
        outgoing.say(b"fourth".as_slice().into());
        assert_eq!(outgoing.bytes(), b"fourth");
    }
}
