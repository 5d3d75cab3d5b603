//! Payloads handed to a driver together.

use std::cell::RefCell;

use crate::{
    abi::{outcome, RString, RawBatch, RawGivenUp},
    List,
};

/// Some payloads of one exporter, in order.
///
/// A driver that delivers them in order, all or a first part, can forget about
/// marking: it returns `Ok`, or calls [`delivered_until`](Self::delivered_until)
/// and returns an error. One that delivers several at a time marks each.
pub struct Batch<'a> {
    bytes: &'a [u8],
    ends: &'a [u32],
    labels: &'a [u8],
    label_ends: &'a [u32],
    label_parts: usize,
    source: u128,
    numbers: &'a [u64],
    id: u64,
    marks: RefCell<Marks<'a>>,
}

struct Marks<'a> {
    outcomes: &'a mut [u8],
    given_up: Vec<RawGivenUp>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(raw: &'a mut RawBatch<'_>) -> Self {
        Batch {
            bytes: raw.bytes.as_slice(),
            ends: raw.ends.as_slice(),
            labels: raw.labels.as_slice(),
            label_ends: raw.label_ends.as_slice(),
            label_parts: usize::try_from(raw.label_parts).unwrap_or(0),
            source: u128::from(raw.source_high) << 64 | u128::from(raw.source_low),
            numbers: raw.numbers.as_slice(),
            id: raw.id,
            marks: RefCell::new(Marks {
                outcomes: raw.outcomes.as_mut_slice(),
                given_up: Vec::new(),
            }),
        }
    }

    /// The number of payloads, at least 1.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no payload. The host never sends such a batch.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A number that grows from batch to batch of one exporter, and stays the
    /// same when the host sends the rest of a batch again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The payload at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len).
    pub fn payload(&self, index: usize) -> &'a [u8] {
        &self.bytes[place(self.ends, index)]
    }

    /// The label of the payload at `index`: the values of the parts that
    /// [`Driver::wants`](crate::Driver::wants) named, in that order. An empty list when
    /// it named none.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len).
    pub fn label(&self, index: usize) -> List<'a> {
        if self.label_ends.is_empty() {
            assert!(index < self.len(), "there is no payload {index}");
            return List::from_escaped(b"", 0);
        }
        List::from_escaped(&self.labels[place(self.label_ends, index)], self.label_parts)
    }

    /// All payloads in order.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + '_ {
        (0..self.len()).map(|index| self.payload(index))
    }

    /// The bytes of all payloads together.
    pub fn byte_len(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// What numbered the payloads: 128 bits that are random, and others whenever a queue begins
    /// anew. With [`number`](Self::number) they name a payload for ever: whoever gets the same name
    /// twice has got the payload twice.
    pub fn source(&self) -> u128 {
        self.source
    }

    /// The number of the payload at `index` in its [`source`](Self::source). Numbers rise, mostly by
    /// one, and stay the same whenever the host sends the payload again; if its queue is on disk, also
    /// after the host was started anew.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len).
    pub fn number(&self, index: usize) -> u64 {
        self.numbers[index]
    }

    /// Marks the payload at `index` as delivered: it is never sent again.
    pub fn delivered(&self, index: usize) {
        self.marks.borrow_mut().outcomes[index] = outcome::DELIVERED;
    }

    /// Marks the first `count` payloads as delivered, but for those given up.
    pub fn delivered_until(&self, count: usize) {
        for mark in &mut self.marks.borrow_mut().outcomes[..count] {
            if matches!(*mark, outcome::PENDING | outcome::TRIED) {
                *mark = outcome::DELIVERED;
            }
        }
    }

    /// Marks the payload at `index` as one that its peer had and has not taken, for now: it is
    /// sent again, and the host counts the attempt (`retry_max_attempts`). A peer that could
    /// not be reached had nothing: such an attempt says nothing about a payload and is
    /// not to be marked.
    pub fn tried(&self, index: usize) {
        let mark = &mut self.marks.borrow_mut().outcomes[index];
        if *mark == outcome::PENDING {
            *mark = outcome::TRIED;
        }
    }

    /// Marks the payload at `index` as one that can never be delivered (the
    /// peer refuses it, it is too large): the host counts it under that and does not
    /// send it again.
    pub fn give_up(&self, index: usize, reason: impl Into<String>) {
        let mut marks = self.marks.borrow_mut();
        if marks.outcomes[index] != outcome::GIVEN_UP {
            marks.outcomes[index] = outcome::GIVEN_UP;
            let reason = RString::from(reason.into());
            marks.given_up.push(RawGivenUp { index: index as u32, reason });
        }
    }

    pub(crate) fn rest_delivered(&self) {
        self.delivered_until(self.len());
    }

    pub(crate) fn take_given_up(&self) -> Vec<RawGivenUp> {
        std::mem::take(&mut self.marks.borrow_mut().given_up)
    }
}

/// Where the thing at `index` is among those that have these ends.
fn place(ends: &[u32], index: usize) -> std::ops::Range<usize> {
    let start = if index == 0 { 0 } else { ends[index - 1] as usize };
    start..ends[index] as usize
}
