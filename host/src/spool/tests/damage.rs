//! Damaged, missing and foreign files: what they cost, and what is told of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::spool::{Contents, Item, Problem};

/// Where each record of a spool is: its number, file, begin and end.
fn records(storage: &Simulated) -> Vec<(u64, String, usize, usize)> {
    let mut contents = Contents::new(storage.clone()).unwrap();
    let mut records = Vec::new();
    while let Some(item) = contents.next().unwrap() {
        let Item::Payload(kept) = item else { panic!("{item:?}") };
        assert_eq!(kept.payload, bytes(kept.sequence, kept.payload.len()));
        let name = format!("{:016x}.segment", kept.segment);
        let begin = kept.offset as usize;
        records.push((
            kept.sequence,
            name,
            begin,
            begin + 44 + kept.label.len() + kept.payload.len(),
        ));
    }
    records
}

/// A spool of some segments, of which the first payload is acknowledged, and its records.
fn filled() -> (Simulated, Vec<(u64, String, usize, usize)>) {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    let lengths: Vec<_> = (0..400).map(|number| number * 37 % 1500).collect();
    assert!(append(&mut writer, &lengths).stop.is_none());
    writer.sync().unwrap();
    let mut taken = Taken::default();
    reader.read(&mut taken, 1, 1).unwrap();
    reader.acknowledge(1..=1).1.unwrap();
    drop((writer, reader));
    let records = records(&storage);
    assert_eq!(records.len(), 400);
    (storage, records)
}

#[derive(Clone, Debug)]
enum Harm {
    Flip(usize, u8),
    Zero(usize, usize),
    Cut(usize),
    /// Bytes from elsewhere in the file.
    Copy(usize, usize, usize),
    Insert(usize, usize),
    Remove,
}

fn harm() -> impl Strategy<Value = (usize, Harm)> {
    let at = 0_usize..140_000;
    let length = prop_oneof![1_usize..100, 1_usize..20_000];
    let harm = prop_oneof![
        6 => (at.clone(), 1_u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        // Headers are few.
        1 => (0_usize..84, 1_u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        2 => (at.clone(), length.clone()).prop_map(|(at, length)| Harm::Zero(at, length)),
        1 => at.clone().prop_map(Harm::Cut),
        1 => (at.clone(), at.clone(), length.clone()).prop_map(|(from, to, length)| Harm::Copy(from, to, length)),
        1 => (at, length).prop_map(|(at, length)| Harm::Insert(at, length)),
        1 => Just(Harm::Remove),
    ];
    (0_usize..4, harm)
}

/// Harms a file: the stretch of it that may be unreadable.
fn apply(storage: &Simulated, name: &str, harm: &Harm) -> (usize, usize) {
    let Some(mut bytes) = storage.bytes(name) else { return (0, 0) };
    let length = bytes.len();
    if length == 0 {
        return (0, 0);
    }
    let within = |at: usize| at % length;
    let hit = match *harm {
        Harm::Flip(at, bits) => {
            bytes[within(at)] ^= bits;
            (within(at), within(at) + 1)
        }
        Harm::Zero(at, count) => {
            let end = (within(at) + count).min(length);
            bytes[within(at)..end].fill(0);
            (within(at), end)
        }
        Harm::Cut(at) => {
            bytes.truncate(within(at));
            (within(at), usize::MAX)
        }
        Harm::Copy(from, to, count) => {
            let count = count.min(length - within(from)).min(length - within(to));
            bytes.copy_within(within(from)..within(from) + count, within(to));
            (within(to), within(to) + count)
        }
        Harm::Insert(at, count) => {
            bytes.splice(within(at)..within(at), super::bytes(count as u64, count));
            // What is behind it isn't in its place any more.
            (within(at), usize::MAX)
        }
        Harm::Remove => {
            storage.take(name);
            return (0, usize::MAX);
        }
    };
    storage.put(name, bytes);
    hit
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn damage_costs_what_it_hits(harms in prop::collection::vec(harm(), 1..4)) {
        let (storage, records) = filled();
        let mut names: Vec<_> = storage.names();
        names.retain(|name| name.ends_with("segment"));
        let mut hit = BTreeSet::new();
        for (index, harm) in &harms {
            let name = &names[index % names.len()];
            let (from, to) = apply(&storage, name, harm);
            let touched = |(_, file, begin, end): &&(u64, String, usize, usize)| {
                file == name && *begin < to && from < *end
            };
            hit.extend(records.iter().filter(touched).map(|record| record.0));
        }
        let mut again = open(&storage);
        let read: BTreeSet<u64> = read_all(&mut again.reader).into_iter().collect();
        let lost = again.reader.lost();
        prop_assert_eq!(read.len() as u64 + lost.payloads, again.queued.payloads);
        let missing: Vec<u64> =
            (2..=400).filter(|number| !read.contains(number) && !hit.contains(number)).collect();
        prop_assert!(missing.is_empty(), "{:?} are missing", missing);
        prop_assert!(!read.contains(&1));
        let findings = [again.findings.clone(), again.reader.take_findings().0].concat();
        prop_assert!(read.len() == 399 || !findings.is_empty());
        prop_assert!(storage.used() <= MAX_SIZE_LEAST);
        again.reader.acknowledge(0..=u64::MAX).1.unwrap();
        prop_assert_eq!(again.reader.queued(), Amount::default());
        prop_assert!(append(&mut again.writer, &[10]).stop.is_none());
        again.writer.sync().unwrap();
        prop_assert_eq!(read_all(&mut again.reader).len(), 1);
    }

    #[test]
    fn any_bytes_are_survived(
        files in prop::collection::vec((0_u64..4, prop::collection::vec(any::<u8>(), 0..300)), 1..4),
        cursor in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let storage = Simulated::new();
        for (ordinal, bytes) in files {
            storage.put(&format!("{ordinal:016x}.segment"), bytes);
        }
        storage.put("cursor", cursor);
        let mut again = open(&storage);
        prop_assert!(read_all(&mut again.reader).is_empty());
        append(&mut again.writer, &[10, 20]);
        again.writer.sync().unwrap();
        prop_assert_eq!(read_all(&mut again.reader).len(), 2);
    }
}

#[test]
fn a_damaged_record_is_set_aside_and_told_of() {
    let (storage, records) = filled();
    let (sequence, name, begin, end) = records[50].clone();
    let mut bytes = storage.bytes(&name).unwrap();
    bytes[begin + 60] ^= 1;
    storage.put(&name, bytes.clone());
    let mut again = open(&storage);
    assert_eq!(again.queued.payloads, 399);
    assert_eq!(again.findings, []);
    let read = read_all(&mut again.reader);
    assert_eq!(read.len(), 398);
    assert!(!read.contains(&sequence));
    let length = (50 * 37 % 1500) as u64;
    assert_eq!(again.reader.lost(), Amount { payloads: 1, bytes: length });
    let (findings, left_out) = again.reader.take_findings();
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((finding.problem, finding.lost, left_out), (Problem::Damaged, 1, 0));
    assert_eq!((&finding.file, finding.offset), (&name, begin as u64));
    let text = format!("{name}: {} bytes from {begin} on", end - begin);
    assert_eq!(finding.to_string(), format!("{text} are damaged; set aside; a payload is lost"));
    let aside = storage.bytes("damaged").unwrap();
    let title = format!("{text}, payloads {sequence} to before {}\n", sequence + 1);
    assert!(aside.starts_with(title.as_bytes()));
    assert_eq!(&aside[title.len()..aside.len() - 1], &bytes[begin..end]);
    // All others can be acknowledged, and nothing is left of it.
    again.reader.acknowledge(0..=u64::MAX).1.unwrap();
    assert_eq!(again.reader.queued(), Amount::default());
}

/// What is acknowledged out of order and then lost is neither queued nor taken from what is.
#[test]
fn acknowledged_ranges_count_as_far_as_they_are_there() {
    for cut in 0..3 {
        let storage = Simulated::new();
        let Opened { mut writer, mut reader, .. } = open(&storage);
        append(&mut writer, &lengths(300, 1000));
        writer.sync().unwrap();
        assert_eq!(read_all(&mut reader).len(), 300);
        reader.acknowledge(100..=250).1.unwrap();
        drop((writer, reader));
        let records = records(&storage);
        let names: BTreeSet<_> = records.iter().map(|(_, name, ..)| name.clone()).collect();
        assert!(names.len() >= 3);
        // Its first record is in the middle of what is acknowledged, or all of it.
        let record = &records[175 + 20 * cut];
        for name in names.iter().filter(|name| **name >= record.1) {
            storage.put(name, storage.bytes(name).unwrap()[..84].to_vec());
        }
        if cut == 2 {
            storage.put(&record.1, vec![1]);
        }
        let mut again = open(&storage);
        let queued = again.queued.payloads;
        let read = read_all(&mut again.reader);
        assert!(read.iter().all(|number| !(100..=250).contains(number)), "{read:?}");
        assert_eq!(read.len() as u64 + again.reader.lost().payloads, queued);
        again.reader.acknowledge(0..=u64::MAX).1.unwrap();
        assert_eq!(again.reader.queued().payloads, 0);
    }
}

#[test]
fn what_is_set_aside_is_bounded() {
    let (storage, records) = filled();
    for (_, name, begin, _) in &records {
        let mut bytes = storage.bytes(name).unwrap();
        bytes[begin + 4] ^= 1;
        storage.put(name, bytes);
    }
    let mut again = open(&storage);
    assert!(read_all(&mut again.reader).is_empty());
    let aside = storage.bytes("damaged").unwrap().len() as u64;
    assert!(aside > 30_000 && aside <= MAX_SIZE_LEAST / 32, "{aside}");
}

#[test]
fn the_first_bytes_of_other_versions_are_understood() {
    let (storage, _) = filled();
    let name = storage.names().pop().unwrap();
    for file in [name.as_str(), "cursor"] {
        let old = storage.bytes(file).unwrap();
        let mut bytes = old.clone();
        for slot in if file == "cursor" { vec![0, 2048] } else { vec![0] } {
            bytes[slot + 8..slot + 12].copy_from_slice(&2_u32.to_le_bytes());
            let crc = crc32c::crc32c(&bytes[slot..slot + 12]);
            bytes[slot + 12..slot + 16].copy_from_slice(&crc.to_le_bytes());
        }
        storage.put(file, bytes);
        let options = Options { max_size: MAX_SIZE_LEAST };
        let Err(error) = open_in(storage.clone(), options) else { panic!("{file} is newer") };
        assert_eq!(error.kind(), crate::spool::ErrorKind::Newer);
        assert_eq!(
            error.to_string(),
            format!(
                "{file} is in version 2 of the spool's format, and this host knows versions up to \
                 1: a later fantail has written it, and can read it"
            )
        );
        storage.put(file, old);
    }
}

#[test]
fn foreign_files_are_left_alone() {
    let (storage, _) = filled();
    let (other, _) = filled();
    let foreign = other.bytes("0000000000000002.segment").unwrap();
    storage.put("0000000000000009.segment", foreign.clone());
    storage.put("notes.txt", b"mine".to_vec());
    // A copy under another name.
    storage.put("0000000000000008.segment", storage.bytes("0000000000000001.segment").unwrap());
    let mut again = open(&storage);
    let found: Vec<_> =
        again.findings.iter().map(|finding| (finding.file.as_str(), finding.problem)).collect();
    let expected = ["0000000000000008.segment", "0000000000000009.segment", "notes.txt"];
    assert_eq!(found.len(), 3);
    assert!(expected.iter().all(|name| found.contains(&(*name, Problem::Foreign))), "{found:?}");
    assert_eq!(read_all(&mut again.reader).len(), 399);
    again.reader.acknowledge(0..=u64::MAX).1.unwrap();
    assert_eq!(storage.bytes("0000000000000009.segment"), Some(foreign));
}

#[test]
fn without_a_cursor_everything_comes_again() {
    for harm in [None, Some(vec![]), Some(vec![0; 4096])] {
        let (storage, _) = filled();
        match harm.clone() {
            None => storage.take("cursor"),
            Some(bytes) => storage.put("cursor", bytes),
        }
        let mut again = open(&storage);
        assert_eq!(again.findings.len(), usize::from(harm.is_some_and(|bytes| !bytes.is_empty())));
        assert_eq!(read_all(&mut again.reader), (1..=400).collect::<Vec<_>>());
    }
}
