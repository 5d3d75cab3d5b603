//! Dead letters beside a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Envelope, directory,
    letters::DeadLetters,
    look,
    store::{Letter, Store, Wanted},
};
use crate::spool::{
    Stop,
    simulated::{Faults, Simulated},
};

fn letter(number: u64, size: usize) -> Letter {
    let envelope = Envelope {
        id: None,
        exporter: "out".into(),
        driver: "http-post".into(),
        content_type: "text/plain".into(),
        reason: "refused".into(),
        detail: "HTTP 400 \u{fc}".into(),
        died_at: 1_700_000_000_000_000 + number,
        attempts: 3,
        source: u128::MAX - 1,
        number,
        label_parts: 2,
        label: format!("a{number}\tb\n").into_bytes(),
    };
    let payload = format!("{number}:").bytes().chain(std::iter::repeat_n(b'x', size)).collect();
    Letter { id: 0, read_at: 1_600_000_000_000_000 + number, envelope, payload }
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Wanted {
    Wanted::Ids(ids.into_iter().collect())
}

#[test]
fn an_envelope_comes_back_as_it_was() {
    let mut envelope = letter(7, 0).envelope;
    assert_eq!(Envelope::decode(&envelope.encode()), Some(envelope.clone()));
    (envelope.id, envelope.label_parts, envelope.label) = (Some(9), 0, Vec::new());
    assert_eq!(Envelope::decode(&envelope.encode()), Some(envelope.clone()));
    envelope.detail = "\u{fc}".repeat(10_000);
    let decoded = Envelope::decode(&envelope.encode()).unwrap();
    assert_eq!(decoded.detail, "\u{fc}".repeat(512));
    for bytes in [&b""[..], b"{}", b"{}\n", b"x\n", b"[1]\n", b"{\"exporter\":\"a\"}\n"] {
        assert_eq!(Envelope::decode(bytes), None, "{bytes:?}");
    }
}

#[test]
fn names_are_names_of_directories() {
    let check = |name: &str, expected: &str| {
        assert_eq!(
            directory("/s".as_ref(), name),
            std::path::Path::new("/s/dead-letters").join(expected)
        );
    };
    check("out", "out");
    check("a/b", "a%2Fb");
    check("..", "%2E.");
    check("a-b_c.d", "a-b_c.d");
    check("\u{fc} %", "%C3%BC%20%25");
}

/// What can be done to a directory.
#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    /// The letters at these places of those that are there.
    Remove(Vec<prop::sample::Index>),
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..20).prop_map(Step::Put),
        4 => prop::collection::vec(any::<prop::sample::Index>(), 1..12).prop_map(Step::Remove),
        1 => Just(Step::Open),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any letters are taken out, in any order, with the process ended and begun between.
    #[test]
    fn letters_are_those_that_were_put_in_and_not_taken_out(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let disk = Simulated::default();
        let mut store = Some(Store::open_in(disk.clone(), 1 << 20));
        let mut model: BTreeMap<u64, Letter> = BTreeMap::new();
        let mut number = 0;
        for step in steps {
            let open = store.as_mut().unwrap();
            match step {
                Step::Put(count) => {
                    let letters: Vec<Letter> =
                        (number..number + count).map(|number| letter(number, 10)).collect();
                    number += count;
                    let (kept, stop) = open.put(&letters);
                    prop_assert!(stop.is_none() && kept.iter().all(|kept| *kept));
                    let all = open.find(&Wanted::All).unwrap();
                    let new: Vec<u64> =
                        all.into_iter().filter(|id| !model.contains_key(id)).collect();
                    prop_assert_eq!(new.len(), letters.len());
                    model.extend(new.into_iter().zip(letters));
                }
                Step::Remove(places) => {
                    if model.is_empty() {
                        continue;
                    }
                    let known: Vec<u64> = model.keys().copied().collect();
                    let gone: BTreeSet<u64> =
                        places.iter().map(|place| *place.get(&known)).collect();
                    let count = open.remove(&Wanted::Ids(gone.clone())).unwrap();
                    prop_assert_eq!(count, gone.len() as u64);
                    model.retain(|id, _| !gone.contains(id));
                }
                Step::Open => {
                    drop(store.take());
                    store = Some(Store::open_in(disk.clone(), 1 << 20));
                }
            }
            let open = store.as_mut().unwrap();
            let mut found = open.read(&Wanted::All, usize::MAX).unwrap();
            prop_assert_eq!(open.held().payloads, found.len() as u64);
            found.sort_by_key(|letter| letter.id);
            let ids: Vec<u64> = found.iter().map(|letter| letter.id).collect();
            prop_assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
            for (found, kept) in found.iter().zip(model.values()) {
                prop_assert_eq!(&found.payload, &kept.payload);
                prop_assert_eq!(&found.envelope.label, &kept.envelope.label);
                prop_assert_eq!(found.read_at, kept.read_at);
            }
        }
    }
}

/// Every second one of many is taken out: more gaps than a cursor has room for.
#[test]
fn gaps_outlive_the_process() {
    let disk = Simulated::default();
    let mut store = Store::open_in(disk.clone(), 1 << 20);
    let letters: Vec<Letter> = (0..400).map(|number| letter(number, 20)).collect();
    assert!(store.put(&letters).1.is_none());
    let all: Vec<u64> = store.find(&Wanted::All).unwrap().into_iter().collect();
    for id in all.iter().copied().skip(1).step_by(2) {
        assert_eq!(store.remove(&ids([id])).unwrap(), 1);
    }
    drop(store);
    let mut store = Store::open_in(disk, 1 << 20);
    let left: Vec<u64> = store.find(&Wanted::All).unwrap().into_iter().collect();
    assert_eq!(left, all.iter().copied().step_by(2).collect::<Vec<_>>());
    let last = *left.last().unwrap();
    let read = store.read(&ids([last]), 0).unwrap();
    assert_eq!((read.len(), read[0].envelope.number), (1, 398));
}

/// Takes out every second one of 200, and the last one first, until one can't be taken out: the
/// letters that must be there then, each once. After they have been put in, `befalls` may happen.
fn take_every_second(
    store: &mut Store<Simulated>,
    size: usize,
    befalls: impl FnOnce(),
) -> (Vec<u64>, Vec<u64>, bool) {
    let letters: Vec<Letter> = (0..200).map(|number| letter(number, size)).collect();
    assert!(store.put(&letters).1.is_none());
    befalls();
    let mut left: Vec<u64> = store.find(&Wanted::All).unwrap().into_iter().collect();
    let mut wanted: Vec<u64> = left.iter().copied().skip(1).step_by(2).collect();
    wanted.rotate_right(1);
    let mut has_failed = false;
    for id in wanted {
        has_failed = store.remove(&ids([id])).is_err();
        if has_failed {
            break;
        }
        left.retain(|other| *other != id);
    }
    let found = store.read(&Wanted::All, usize::MAX).unwrap();
    let mut found: Vec<u64> = found.iter().map(|letter| letter.id).collect();
    found.sort_unstable();
    (left, found, has_failed)
}

/// More than a spool keeps in memory is written once more: what is read of it meanwhile is not
/// taken for letters that are still to be written.
#[test]
fn letters_that_are_moved_together_are_there_once() {
    let mut store = Store::open_in(Simulated::default(), 64 << 20);
    let (left, found, has_failed) = take_every_second(&mut store, 60_000, || ());
    assert!(!has_failed);
    assert_eq!(found, left);
}

#[test]
fn letters_that_can_not_be_moved_together_are_there_once() {
    let disk = Simulated::default();
    // As large as the letters, and some of them once more.
    disk.set_faults(Faults { room: Some(500_000), ..Faults::default() });
    let mut store = Store::open_in(disk.clone(), 64 << 20);
    let (left, found, has_failed) = take_every_second(&mut store, 1500, || ());
    assert!(has_failed);
    assert_eq!(found, left);
    // With room it can be done, and what was begun does not come back.
    disk.set_faults(Faults::default());
    assert!(store.put(&[letter(999, 1)]).1.is_none());
    assert_eq!(store.read(&Wanted::All, usize::MAX).unwrap().len(), left.len() + 1);
    assert_eq!(store.remove(&ids([left[1]])).unwrap(), 1);
    assert_eq!(store.read(&Wanted::All, usize::MAX).unwrap().len(), left.len());
}

/// The same of a disk that takes small files only: the cursor, but not the letters once more.
#[test]
fn letters_that_were_not_moved_together_do_not_appear_later() {
    let disk = Simulated::default();
    let mut store = Store::open_in(disk.clone(), 64 << 20);
    let faults = Faults { sync_max: Some(4096), ..Faults::default() };
    let (left, found, has_failed) = take_every_second(&mut store, 1500, || disk.set_faults(faults));
    assert!(has_failed);
    assert_eq!(found, left);
    disk.set_faults(Faults::default());
    assert!(store.put(&[letter(999, 1)]).1.is_none());
    assert_eq!(store.read(&Wanted::All, usize::MAX).unwrap().len(), left.len() + 1);
}

/// They are counted as lost: each is kept, or it is not there.
#[test]
fn what_could_not_be_synced_does_not_appear_later() {
    let check = |size: usize, faults: Faults, expected: usize| {
        let disk = Simulated::default();
        let mut store = Store::open_in(disk.clone(), 64 << 20);
        disk.set_faults(faults);
        let many: Vec<Letter> = (0..6).map(|number| letter(number, size)).collect();
        let (kept, stop) = store.put(&many);
        assert!(matches!(stop, Some(Stop::Failed(_))), "{stop:?}");
        let count = kept.iter().filter(|kept| **kept).count();
        assert_eq!((count, store.held().payloads), (expected, expected as u64));
        disk.set_faults(Faults::default());
        assert!(store.put(&[letter(7, 1)]).1.is_none());
        let is_there = |store: &mut Store<Simulated>| {
            let found = store.read(&Wanted::All, usize::MAX).unwrap();
            let numbers: Vec<u64> = found.iter().map(|letter| letter.envelope.number).collect();
            let kept = (0..6).zip(&kept).filter(|(_, kept)| **kept).map(|(number, _)| number);
            assert_eq!(numbers, kept.chain([7]).collect::<Vec<u64>>());
        };
        is_there(&mut store);
        drop(store);
        is_there(&mut Store::open_in(disk.after_power_loss(|| false), 64 << 20));
    };
    check(10, Faults { sync_max: Some(84), ..Faults::default() }, 0);
    check(10, Faults { failing_syncs: 9, ..Faults::default() }, 0);
    // The header, and then as much as a spool keeps in memory.
    check(1 << 20, Faults { syncs_left: Some(2), ..Faults::default() }, 3);
}

#[test]
fn what_does_not_fit_is_not_kept() {
    let mut store = Store::open_in(Simulated::default(), 1 << 20);
    let (kept, stop) = store.put(&[letter(0, 10), letter(1, 2 << 20), letter(2, 10)]);
    assert_eq!(kept, [true, false, true]);
    assert!(matches!(stop, Some(Stop::TooLarge)), "{stop:?}");
    let many: Vec<Letter> = (3..100).map(|number| letter(number, 50_000)).collect();
    let (kept, stop) = store.put(&many);
    assert!(matches!(stop, Some(Stop::Full)), "{stop:?}");
    let count = kept.iter().filter(|kept| **kept).count();
    assert!((10..21).contains(&count), "{count}");
    assert_eq!(store.held().payloads, 2 + count as u64);
    // There is room again.
    let all = store.find(&Wanted::All).unwrap();
    assert_eq!(store.remove(&Wanted::All).unwrap(), all.len() as u64);
    assert!(store.put(&many[..5]).1.is_none());
}

#[test]
fn letters_are_replayed_once_and_can_be_seen_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let path = directory(dir.path(), "out");
    let letters = DeadLetters::new(path.clone());
    assert!(letters.put(&[letter(0, 1)]).is_err());
    letters.open(1 << 20).unwrap();
    let many: Vec<Letter> = (0..10).map(|number| letter(number, 100)).collect();
    letters.put(&many).unwrap();
    let seen = || {
        let mut seen = Vec::new();
        let damaged = look::letters(&path, |letter| {
            seen.push(letter.envelope.number);
            true
        });
        assert_eq!(damaged.unwrap(), 0);
        seen
    };
    assert_eq!(seen(), (0..10).collect::<Vec<_>>());
    let parent = path.parent().unwrap();
    assert_eq!(look::directories(parent).unwrap(), ["out"]);
    assert_eq!(look::directories(&parent.join("none")).unwrap().len(), 0);
    assert_eq!(letters.next_replay(1000).unwrap(), []);
    assert!(letters.ask_replay(&ids([999])).unwrap_err().contains("no dead letter 999"));
    assert_eq!(letters.ask_replay(&Wanted::All), Ok(10));
    // With a label of 5 bytes each.
    let first = letters.next_replay(220).unwrap();
    assert_eq!(first.len(), 2);
    // Dropped while it waits.
    let third = first[1].id + 1;
    assert_eq!(letters.drop_letters(&ids([third])), Ok(1));
    letters.replayed(&[first[0].id, first[1].id]).unwrap();
    assert_eq!(seen(), (3..10).collect::<Vec<_>>());
    let rest = letters.next_replay(1 << 20).unwrap();
    assert_eq!(rest.len(), 7);
    letters.replayed(&rest.iter().map(|letter| letter.id).collect::<Vec<_>>()).unwrap();
    assert_eq!((letters.next_replay(1).unwrap(), letters.figures().payloads), (vec![], 0));
    // With another size, beside itself: it is the same directory.
    letters.open(2 << 20).unwrap();
    assert_eq!(letters.figures().bytes_max, 2 << 20);
    // One that is impossible leaves it as it was.
    assert!(letters.open(1).unwrap_err().contains("too small"));
    letters.put(&many[..1]).unwrap();
    assert_eq!((letters.figures().bytes_max, letters.figures().payloads), (2 << 20, 1));
    assert!(DeadLetters::new(path).open(1 << 20).unwrap_err().contains("in use"));
}

/// Thousands are replayed, a batch at a time, while others stay.
#[test]
fn many_letters_are_replayed_in_batches() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(directory(dir.path(), "out"));
    letters.open(16 << 20).unwrap();
    let many: Vec<Letter> = (0..6000).map(|number| letter(number, 20)).collect();
    letters.put(&many).unwrap();
    assert_eq!(letters.ask_replay(&Wanted::All), Ok(6000));
    // Those that come later are not meant.
    letters.put(&[letter(6000, 20)]).unwrap();
    let (mut replayed, mut batches) = (Vec::new(), 0);
    loop {
        let batch = letters.next_replay(4000).unwrap();
        if batch.is_empty() {
            break;
        }
        replayed.extend(batch.iter().map(|letter| letter.envelope.number));
        batches += 1;
        letters.replayed(&batch.iter().map(|letter| letter.id).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(replayed, (0..6000).collect::<Vec<_>>());
    assert!(batches > 40, "{batches} batches");
    assert_eq!(letters.figures().payloads, 1);
}
