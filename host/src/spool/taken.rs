//! Payloads that were read from a spool.

use std::convert::Infallible;

use crate::queue::Batch;

/// Payloads with what the spool knows of them. Keeps its memory when it is cleared.
#[derive(Debug, Default)]
pub struct Taken {
    batch: Batch,
    sequences: Vec<u64>,
    read_at: Vec<u64>,
    labels: Vec<u8>,
    label_ends: Vec<u32>,
}

impl Taken {
    /// The payloads, as a driver is given them.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The number of payloads.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// The bytes of all payloads.
    pub fn bytes(&self) -> &[u8] {
        self.batch.bytes()
    }

    /// The payload at `index`.
    pub fn payload(&self, index: usize) -> &[u8] {
        self.batch.payload(index)
    }

    /// The numbers of the payloads, which rise; mostly by one.
    pub fn sequences(&self) -> &[u64] {
        &self.sequences
    }

    /// When what each payload was made from was read: microseconds since 1970.
    pub fn read_at(&self) -> &[u64] {
        &self.read_at
    }

    /// The label of the payload at `index`.
    pub fn label(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.label_ends[index - 1] as usize };
        &self.labels[start..self.label_ends[index] as usize]
    }

    /// Takes the payloads out as a batch, whose labels have `label_parts` values.
    pub fn take_batch(&mut self, source: u128, label_parts: usize) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.number(source, self.sequences.iter().copied());
        batch.label_all(label_parts, (0..self.len()).map(|index| self.label(index)));
        let first = self.read_at.first().copied().unwrap_or(0);
        batch.read_later(self.read_at.iter().map(|read_at| read_at.saturating_sub(first)));
        batch
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.batch.clear();
        self.sequences.clear();
        self.read_at.clear();
        self.labels.clear();
        self.label_ends.clear();
    }

    /// The bytes of all payloads and labels.
    pub(super) fn held(&self) -> usize {
        self.batch.bytes().len() + self.labels.len()
    }

    pub(super) fn append(&mut self, sequence: u64, read_at: u64, label: &[u8], payload: &[u8]) {
        let Ok(()) = self.batch.append::<Infallible>(|bytes| {
            bytes.extend_from_slice(payload);
            Ok(())
        });
        self.sequences.push(sequence);
        self.read_at.push(read_at);
        self.labels.extend_from_slice(label);
        let end = u32::try_from(self.labels.len());
        self.label_ends.push(end.expect("invariant: labels have less bytes than are read at once"));
    }
}
