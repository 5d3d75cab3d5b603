//! What a batch of 64 KiB costs: by the driver, and by the system calls alone that could
//! write it.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::{
    fs::{self, File, OpenOptions},
    io::{IoSlice, Write},
    path::Path,
};

use divan::{Bencher, counter::BytesCount};
use fantail_sdk::{
    DriverContext, List,
    abi::{DriverInstance, Payloads, driver_table},
};
use serde_json::json;

/// A payload as `json` writes it of an IMAP command.
const PAYLOAD: &[u8] = &[b'x'; 440];
const COUNT: usize = 149;
/// A file is emptied when it has this size.
const FILE_MAX: u64 = 64 << 20;

fn main() {
    divan::main();
}

fn payloads() -> (Vec<u8>, Vec<u32>) {
    let bytes = PAYLOAD.repeat(COUNT);
    let ends = (1..=COUNT).map(|count| (count * PAYLOAD.len()) as u32).collect();
    (bytes, ends)
}

fn bound(file: &File) {
    if file.metadata().unwrap().len() > FILE_MAX {
        file.set_len(0).unwrap();
    }
}

/// The driver, with payloads of so many labels in turn.
fn driver(bencher: Bencher<'_, '_>, name: &str, labels_in_turn: usize) {
    let dir = tempfile::tempdir().unwrap();
    let settings = json!({
        "file_path": dir.path().join(name), "file_max_open": 1024, "file_create_directories": false,
        "file_rotate_size": 0, "file_rotate_interval": 0, "file_rotate_keep": 0,
    });
    let table = driver_table::<fantail_file::File>();
    let mut driver = DriverInstance::open(table, &settings, &DriverContext::default()).unwrap();
    let parts = driver.wants().len();
    let (bytes, ends) = payloads();
    let (mut labels, mut label_ends) = (Vec::new(), Vec::new());
    for index in (0..COUNT).filter(|_| parts > 0) {
        labels.extend(List::escape(&[format!("user{}@example.com", index % labels_in_turn)]));
        label_ends.push(labels.len() as u32);
    }
    let numbers: Vec<u64> = (0..COUNT as u64).collect();
    let payloads = Payloads {
        bytes: &bytes,
        ends: &ends,
        labels: &labels,
        label_ends: &label_ends,
        label_parts: parts,
        source: 1,
        numbers: &numbers,
    };
    let mut outcomes = vec![0; COUNT];
    let mut batches = 0;
    bencher.counter(BytesCount::new(bytes.len() + COUNT)).bench_local(|| {
        batches += 1;
        outcomes.fill(0);
        let sent = driver.send(&payloads, &mut outcomes, batches);
        assert!(sent.instance_is_usable() && outcomes.iter().all(|outcome| *outcome == 1));
        if batches % 1024 == 0 {
            let files = fs::read_dir(dir.path()).unwrap();
            files.for_each(|file| bound(&open(&file.unwrap().path())));
        }
    });
}

#[divan::bench]
fn one_file(bencher: Bencher<'_, '_>) {
    driver(bencher, "out", 1);
}

#[divan::bench(args = [1, 2, 16, 149])]
fn by_user(bencher: Bencher<'_, '_>, users: usize) {
    driver(bencher, "%{user}", users);
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// The system calls: `write` gets the file and the payloads' bytes.
fn bare(bencher: Bencher<'_, '_>, mut write: impl FnMut(&mut File, &[u8])) {
    let dir = tempfile::tempdir().unwrap();
    let mut file = open(&dir.path().join("out"));
    let (bytes, _) = payloads();
    let mut batches = 0;
    bencher.counter(BytesCount::new(bytes.len() + COUNT)).bench_local(|| {
        batches += 1;
        write(&mut file, &bytes);
        if batches % 1024 == 0 {
            bound(&file);
        }
    });
}

#[divan::bench]
fn bare_write_of_lines(bencher: Bencher<'_, '_>) {
    let lines = [PAYLOAD, b"\n"].concat().repeat(COUNT);
    bare(bencher, |file, _| file.write_all(&lines).unwrap());
}

#[divan::bench]
fn bare_copy_and_write(bencher: Bencher<'_, '_>) {
    let mut lines = Vec::new();
    bare(bencher, |file, bytes| {
        lines.clear();
        for payload in bytes.chunks(PAYLOAD.len()) {
            lines.extend_from_slice(payload);
            lines.push(b'\n');
        }
        file.write_all(&lines).unwrap();
    });
}

#[divan::bench]
fn bare_writev(bencher: Bencher<'_, '_>) {
    bare(bencher, |file, bytes| {
        let slices: Vec<_> = bytes
            .chunks(PAYLOAD.len())
            .flat_map(|payload| [IoSlice::new(payload), IoSlice::new(b"\n")])
            .collect();
        assert_eq!(file.write_vectored(&slices).unwrap(), bytes.len() + COUNT);
    });
}
