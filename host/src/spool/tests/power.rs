//! The power is cut at every change of the disk, and any part of what was not synced is
//! lost.

use std::collections::BTreeSet;

use super::*;
use crate::spool::simulated::Faults;

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the spool has promised.
#[derive(Clone, Default)]
struct Promised {
    appended: BTreeSet<u64>,
    /// Synced, and not yet acknowledged or discarded.
    safe: BTreeSet<u64>,
    /// Acknowledged or discarded, written down or not.
    settled: BTreeSet<u64>,
    /// Those that are written down.
    written_down: BTreeSet<u64>,
    /// That, and synced.
    gone: BTreeSet<u64>,
    handed_out: BTreeSet<u64>,
}

impl Promised {
    fn settle(&mut self, numbers: &[u64], is_written_down: bool) {
        self.settled.extend(numbers);
        self.safe.retain(|number| !numbers.contains(number));
        if is_written_down {
            // With all that has been settled before.
            self.written_down.clone_from(&self.settled);
        }
    }
}

/// Does many different things, until the power is gone.
fn run(storage: &Simulated, seed: u64, publishes: bool) -> Promised {
    let mut dice = Dice(seed);
    let mut promised = Promised::default();
    let Ok(opened) = open_in(storage.clone(), Options { max_size: MAX_SIZE_LEAST }) else {
        return promised;
    };
    let Opened { mut writer, mut reader, .. } = opened;
    let mut taken = Taken::default();
    for _ in 0..70 {
        match dice.roll(12) {
            0..5 => {
                let lengths: Vec<_> =
                    (0..dice.roll(12)).map(|_| dice.roll(20_000) as usize).collect();
                promised.appended.extend(append(&mut writer, &lengths).sequences);
            }
            5 if publishes => writer.publish(),
            5 | 6 => {
                if writer.sync().is_ok() {
                    let all = promised.appended.difference(&promised.settled);
                    promised.safe = all.copied().collect();
                }
            }
            7 | 8 => {
                if reader.read(&mut taken, 1 + dice.roll(10) as usize, 100_000).is_err() {
                    break;
                }
                check_taken(&taken);
                promised.handed_out.extend(taken.sequences());
            }
            9 | 10 => acknowledge(&mut reader, &taken, &mut dice, &mut promised),
            _ if dice.roll(2) == 0 => {
                let discarded = writer.discard_oldest();
                // Even if it failed, payloads can be gone.
                let count = discarded.as_ref().map_or(usize::MAX, |made| made.payloads as usize);
                let left = promised.appended.difference(&promised.settled);
                let oldest: Vec<u64> = left.take(count).copied().collect();
                promised.settle(&oldest, discarded.is_ok_and(|made| made.payloads > 0));
            }
            _ => {
                if reader.sync().is_ok() {
                    promised.gone = promised.written_down.clone();
                }
            }
        }
    }
    promised
}

fn acknowledge(
    reader: &mut Reader<Simulated>,
    taken: &Taken,
    dice: &mut Dice,
    promised: &mut Promised,
) {
    let Some((&first, &last)) = taken.sequences().first().zip(taken.sequences().last()) else {
        return;
    };
    let from = first + dice.roll(3);
    let (_, result) = reader.acknowledge(from..=last);
    promised.settle(&(from..=last).collect::<Vec<_>>(), result.is_ok());
}

/// Opens what is left, and requires what was promised.
fn check_left(left: &Simulated, promised: &Promised, is_all_kept: bool, what: &str) {
    let mut again = open(left);
    let queued = again.queued;
    let read = read_all(&mut again.reader);
    let lost = again.reader.lost();
    assert_eq!(read.len() as u64 + lost.payloads, queued.payloads, "{what}");
    let read: BTreeSet<u64> = read.into_iter().collect();
    let missing: Vec<_> = promised.safe.difference(&read).collect();
    assert!(missing.is_empty(), "{what}: {missing:?} are missing");
    let invented: Vec<_> = read.difference(&promised.appended).collect();
    assert!(invented.is_empty(), "{what}: {invented:?} are invented");
    let gone = if is_all_kept { &promised.written_down } else { &promised.gone };
    let again_there: Vec<_> = read.intersection(gone).collect();
    assert!(again_there.is_empty(), "{what}: {again_there:?} are there again");
    assert!(left.used() <= MAX_SIZE_LEAST, "{what}");
    // Life goes on, with numbers that nobody has seen.
    let mut count = 0;
    loop {
        let appended = append(&mut again.writer, &[50, 60]);
        count += appended.sequences.count();
        if appended.stop.is_none() {
            break;
        }
        assert!(again.writer.discard_oldest().unwrap().payloads > 0, "{what}: full of nothing");
    }
    again.writer.sync().unwrap();
    let new = read_all(&mut again.reader);
    assert_eq!(new.len(), count, "{what}");
    let seen = promised.handed_out.last().copied().max(promised.safe.last().copied());
    assert!(Some(new[0]) > seen, "{what}: {} is used twice", new[0]);
    assert!(left.used() <= MAX_SIZE_LEAST, "{what}");
    again.reader.acknowledge(0..=u64::MAX).1.unwrap();
    drop(again);
    let again = open(left);
    assert_eq!((again.queued, again.findings), (Amount::default(), vec![]), "{what}");
}

/// Cuts the power at every change of one run.
fn cut_everywhere(seed: u64, publishes: bool) {
    let storage = Simulated::new();
    run(&storage, seed, publishes);
    let changes = storage.changes();
    assert!(changes > 50, "{changes}");
    for changes_left in 0..=changes {
        let storage = Simulated::new();
        let changes_left = Some(changes_left);
        storage.set_faults(Faults { changes_left, ..Faults::default() });
        let promised = run(&storage, seed, publishes);
        for kind in 0..5 {
            let mut dice = Dice(seed ^ kind);
            // Everything (the process was killed), nothing, and parts.
            let left = storage.after_power_loss(|| match kind {
                0 => true,
                1 => false,
                2 => dice.roll(10) > 0,
                3 => dice.roll(10) == 0,
                _ => dice.roll(2) == 0,
            });
            let what = format!("run {seed}, cut at {changes_left:?}, kind {kind}");
            check_left(&left, &promised, kind == 0, &what);
        }
    }
}

#[test]
fn what_was_synced_survives_a_power_loss_at_any_time() {
    for seed in [1, 2] {
        cut_everywhere(seed, false);
    }
}

#[test]
fn what_was_published_unsynced_is_lost_or_kept_and_never_another_payload() {
    for seed in [3, 4] {
        cut_everywhere(seed, true);
    }
}
