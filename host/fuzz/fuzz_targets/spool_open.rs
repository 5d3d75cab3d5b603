//! A spool's files with any bytes in them: it is opened, or refused as a later version's;
//! everything is read, appended to, acknowledged; nothing panics, goes on for ever, or
//! takes more memory than the files have bytes.
//!
//! Few inputs have the right checksums, so most of them change a good spool's files.

#![no_main]

use std::cell::RefCell;

use fantail::spool::{
    self, Contents, ErrorKind, MAX_SIZE_LEAST, Opened, Options, Payload, Taken,
    simulated::Simulated,
};
use libfuzzer_sys::fuzz_target;

const OPTIONS: Options = Options { max_size: MAX_SIZE_LEAST };

/// More steps than any input needs.
const STEPS_MAX: usize = 100_000;

/// The files of a spool with three segments: after a crash a new one is begun.
fn good() -> Vec<(String, Vec<u8>)> {
    let payload = [0xf5; 1000];
    let mut storage = Simulated::new();
    for round in 0..3 {
        let Opened { mut writer, mut reader, .. } =
            spool::open_in(storage.clone(), OPTIONS).ok().expect("it is good");
        for number in 0..8 {
            let bytes = &payload[..number * 50 * round];
            let payload = Payload { bytes, label: &payload[..number], read_at: 1 };
            assert!(writer.append([payload; 2]).stop.is_none());
        }
        writer.sync().expect("nothing fails");
        let mut taken = Taken::default();
        reader.read(&mut taken, 10, 10_000).expect("nothing fails");
        assert!(reader.acknowledge(3..=4).1.is_ok());
        storage = storage.after_power_loss(|| true);
    }
    let names = storage.names();
    assert_eq!(names.len(), 4);
    names.into_iter().map(|name| (name.clone(), storage.bytes(&name).unwrap_or_default())).collect()
}

/// Changes a file as the next bytes of the input say; false at the input's end.
fn change(files: &mut [(String, Vec<u8>)], input: &mut &[u8]) -> bool {
    let [which, how, high, low, length, rest @ ..] = *input else { return false };
    *input = rest;
    let count = files.len();
    let (_, bytes) = &mut files[usize::from(*which) % count];
    let at = (usize::from(*high) << 8 | usize::from(*low)) % (bytes.len() + 1);
    let given = &rest[..usize::from(*length).min(rest.len())];
    match how % 6 {
        // Other bytes, up to the whole file.
        0 => {
            *bytes = given.to_vec();
            *input = &rest[given.len()..];
        }
        1 => {
            let end = (at + given.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&given[..end - at]);
            *input = &rest[given.len()..];
        }
        2 => bytes.truncate(at),
        3 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= length | 1),
        4 => bytes.resize(at + (usize::from(*length) << 4), 0),
        _ => {
            let end = (at + (usize::from(*length) << 4)).min(bytes.len());
            bytes.copy_within(at..end, 0);
        }
    }
    true
}

/// Reads until there is nothing more.
fn drain(opened: &mut Opened<Simulated>) -> u64 {
    let (mut taken, mut read, mut last) = (Taken::default(), 0, 0);
    for _ in 0..STEPS_MAX {
        opened.reader.read(&mut taken, 100, 100_000).expect("nothing fails");
        if taken.is_empty() {
            return read;
        }
        for &sequence in taken.sequences() {
            assert!(sequence > last || read == 0, "{sequence} after {last}");
            last = sequence;
            read += 1;
        }
    }
    panic!("it doesn't end")
}

thread_local! {
    static GOOD: RefCell<Vec<(String, Vec<u8>)>> = RefCell::new(good());
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let mut files = GOOD.with_borrow(Clone::clone);
    while change(&mut files, &mut input) {}
    let storage = Simulated::new();
    for (name, bytes) in files {
        storage.put(&name, bytes);
    }
    if let Ok(mut contents) = Contents::new(storage.clone()) {
        let ended = (0..STEPS_MAX).any(|_| !matches!(contents.next(), Ok(Some(_))));
        assert!(ended, "it doesn't end");
    }
    let mut opened = match spool::open_in(storage, OPTIONS) {
        Ok(opened) => opened,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Newer, "{error}");
            return;
        }
    };
    let queued = opened.queued.payloads;
    let read = drain(&mut opened);
    assert_eq!(read + opened.reader.lost().payloads, queued);
    assert!(opened.reader.acknowledge(0..=u64::MAX).1.is_ok());
    assert_eq!(opened.reader.queued().payloads, 0);
    let payload = Payload { bytes: b"more", label: b"", read_at: 1 };
    assert!(opened.writer.append([payload; 2]).stop.is_none());
    opened.writer.sync().expect("nothing fails");
    assert_eq!(drain(&mut opened), 2);
});
