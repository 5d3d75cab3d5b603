//! A spool beside a map of what should be in it, with random operations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::spool::simulated::Faults;

#[derive(Clone, Debug)]
enum Operation {
    Append(Vec<usize>),
    AppendToFullDisk(Vec<usize>, u64),
    Publish,
    Sync,
    SyncFails(u64),
    Read(usize, usize),
    /// Parts of what is in flight, in permille.
    Acknowledge(u64, u64),
    Rewind,
    Discard,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![8 => 0_usize..3000, 4 => 0_usize..40_000, 1 => 0_usize..300_000];
    let some = prop::collection::vec(length, 1..20);
    prop_oneof![
        8 => some.clone().prop_map(Operation::Append),
        1 => (some, 0_u64..20_000).prop_map(|(some, room)| Operation::AppendToFullDisk(some, room)),
        3 => Just(Operation::Publish),
        3 => Just(Operation::Sync),
        1 => (1_u64..5).prop_map(Operation::SyncFails),
        8 => (1_usize..30, 1_usize..100_000).prop_map(|(some, bytes)| Operation::Read(some, bytes)),
        8 => (0_u64..1000, 0_u64..1000).prop_map(|(from, to)| Operation::Acknowledge(from, to)),
        1 => Just(Operation::Rewind),
        1 => Just(Operation::Discard),
        1 => Just(Operation::Reopen),
    ]
}

/// A spool, and what it should have in it.
struct Twin {
    storage: Simulated,
    opened: Option<Opened<Simulated>>,
    /// Lengths of what isn't acknowledged or discarded, by number.
    held: BTreeMap<u64, usize>,
    in_flight: BTreeSet<u64>,
    /// The next number to be appended, and to be read.
    next: u64,
    next_read: u64,
    /// Before it everything can be read.
    published: u64,
}

impl Twin {
    fn new() -> Twin {
        let storage = Simulated::new();
        let opened = Some(open(&storage));
        let (held, in_flight) = (BTreeMap::new(), BTreeSet::new());
        Twin { storage, opened, held, in_flight, next: 1, next_read: 1, published: 1 }
    }

    fn spool(&mut self) -> &mut Opened<Simulated> {
        self.opened.as_mut().unwrap()
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Append(lengths) => self.append(&lengths),
            Operation::AppendToFullDisk(lengths, room) => {
                let room = Some(self.storage.used() + room);
                self.storage.set_faults(Faults { room, ..Faults::default() });
                self.append(&lengths);
                self.storage.set_faults(Faults::default());
            }
            Operation::Publish => {
                self.spool().writer.publish();
                self.published = self.next;
            }
            Operation::Sync => self.sync(),
            Operation::SyncFails(failing_syncs) => {
                self.storage.set_faults(Faults { failing_syncs, ..Faults::default() });
                let _ = self.spool().writer.sync();
                self.storage.set_faults(Faults::default());
                self.sync();
            }
            Operation::Read(payloads, bytes) => self.read(payloads, bytes),
            Operation::Acknowledge(from, to) => self.acknowledge(from, to),
            Operation::Rewind => {
                self.spool().reader.rewind();
                self.rewound();
            }
            Operation::Discard => self.discard(),
            Operation::Reopen => {
                self.opened = None;
                self.opened = Some(open(&self.storage));
                assert_eq!(self.spool().findings, []);
                self.published = self.next;
                self.rewound();
            }
        }
        self.check();
    }

    fn append(&mut self, lengths: &[usize]) {
        let appended = append(&mut self.spool().writer, lengths);
        assert_eq!(appended.sequences.start, self.next);
        let count = (appended.sequences.end - self.next) as usize;
        assert_eq!(count == lengths.len(), appended.stop.is_none());
        self.held.extend((self.next..).zip(lengths[..count].iter().copied()));
        self.next = appended.sequences.end;
        // A segment that was completed has been synced, and can be read.
        let queued = self.spool().reader.queued().payloads as usize;
        let end = self.held.keys().nth(queued).copied().unwrap_or(self.next);
        assert!(self.published <= end && end <= self.next);
        self.published = end;
    }

    fn sync(&mut self) {
        // There may be no room to write something again, until there is.
        while self.spool().writer.sync().is_err() {
            self.spool().reader.acknowledge(0..=u64::MAX).1.unwrap();
            for number in std::mem::take(&mut self.in_flight) {
                self.held.remove(&number);
            }
            self.discard();
        }
        self.published = self.next;
    }

    fn rewound(&mut self) {
        self.in_flight.clear();
        self.next_read = 0;
    }

    fn read(&mut self, payloads: usize, bytes: usize) {
        let mut taken = Taken::default();
        self.spool().reader.read(&mut taken, payloads, bytes).unwrap();
        check_taken(&taken);
        let ready = self.held.range(self.next_read..self.published.max(self.next_read));
        let mut expected = Vec::new();
        let mut held = 0;
        for (&number, &length) in ready.take(payloads) {
            held += length + if number.is_multiple_of(3) { 5 } else { 0 };
            if held > bytes && !expected.is_empty() {
                break;
            }
            expected.push(number);
        }
        assert_eq!(taken.sequences(), expected);
        self.in_flight.extend(&expected);
        self.next_read = expected.last().map_or(self.next_read, |last| last + 1);
    }

    fn acknowledge(&mut self, from: u64, to: u64) {
        let Some((&first, &last)) = self.in_flight.first().zip(self.in_flight.last()) else {
            return;
        };
        let at = |part: u64| first + (last - first) * part / 999;
        let (from, to) = (at(from.min(to)), at(from.max(to)));
        let (made, result) = self.spool().reader.acknowledge(from..=to);
        result.unwrap();
        let mut expected = Amount::default();
        for number in self.in_flight.range(from..=to).copied().collect::<Vec<_>>() {
            self.in_flight.remove(&number);
            if let Some(length) = self.held.remove(&number) {
                expected.payloads += 1;
                expected.bytes += length as u64;
            }
        }
        assert_eq!((made.payloads, made.bytes), (expected.payloads, expected.bytes));
    }

    fn discard(&mut self) {
        let Ok(discarded) = self.spool().writer.discard_oldest() else { return };
        assert_eq!(discarded.payloads == 0, self.held.range(..self.published).next().is_none());
        let mut bytes = 0;
        for _ in 0..discarded.payloads {
            bytes += self.held.pop_first().unwrap().1 as u64;
        }
        assert_eq!(discarded.bytes, bytes);
        // If it was the last segment, it was completed.
        let queued = self.spool().reader.queued().payloads as usize;
        self.published =
            self.published.max(self.held.keys().nth(queued).copied().unwrap_or(self.next));
    }

    fn check(&mut self) {
        let ready = self.held.range(..self.published);
        let expected = ready.fold(Amount::default(), |sum, (_, &length)| Amount {
            payloads: sum.payloads + 1,
            bytes: sum.bytes + length as u64,
        });
        assert_eq!(self.spool().reader.queued(), expected);
        assert_eq!(self.spool().reader.lost(), Amount::default());
        let used = self.storage.used();
        assert!(used <= MAX_SIZE_LEAST, "{used}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn a_spool_is_a_queue(operations in prop::collection::vec(operation(), 1..80)) {
        let mut twin = Twin::new();
        for operation in operations {
            twin.apply(operation);
        }
        twin.apply(Operation::Reopen);
        for _ in 0..2000 {
            twin.apply(Operation::Read(10, 100_000));
            twin.apply(Operation::Acknowledge(0, 999));
            if twin.held.is_empty() {
                break;
            }
        }
        assert!(twin.held.is_empty());
    }
}
