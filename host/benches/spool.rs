//! What the part of a queue on disk costs: payloads of 800 bytes in batches of 80, in the
//! directory for temporary files. Beside it, what can't be saved: a copy, a checksum, and
//! a write and a read of the same bytes.

use std::{
    fs::File,
    io::{Seek, Write},
    os::unix::fs::FileExt,
};

use divan::{Bencher, black_box, counter::BytesCount};
use fantail::{
    queue::Batch,
    spool::{self, Directory, Opened, Options, Payload, Taken},
};

// Shows the allocations beside the times: there should be none.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const PAYLOAD: usize = 800;
const BATCH: usize = 80;

/// Batches in a round.
const BATCHES: usize = 100;

/// Bytes of payloads in a round.
const BYTES: usize = PAYLOAD * BATCH * BATCHES;

fn batch() -> Batch {
    let mut batch = Batch::default();
    for number in 0..BATCH {
        let appended: Result<(), ()> = batch.append(|bytes| {
            bytes.resize(bytes.len() + PAYLOAD, number as u8);
            Ok(())
        });
        appended.expect("it can't fail");
    }
    batch
}

fn open() -> (tempfile::TempDir, Opened<Directory>) {
    let directory = tempfile::tempdir().expect("there is room");
    let options = Options { max_size: 256 << 20 };
    let opened = spool::open(&directory.path().join("spool"), options).expect("it is new");
    (directory, opened)
}

/// Appends a batch, and lets it be read at once, or when it is synced.
fn append(opened: &mut Opened<Directory>, batch: &Batch, is_synced: bool) {
    let appended = opened.writer.append(Payload::of(batch, 0));
    assert!(appended.stop.is_none());
    if is_synced {
        opened.writer.sync().expect("the disk works");
    } else {
        opened.writer.publish();
    }
}

fn read(opened: &mut Opened<Directory>, taken: &mut Taken) {
    opened.reader.read(taken, BATCH, usize::MAX).expect("the disk works");
    assert_eq!(taken.len(), BATCH);
    let last = black_box(&*taken).sequences()[BATCH - 1];
    opened.reader.acknowledge(0..=last).1.expect("the disk works");
}

/// Each batch is appended, read and acknowledged.
#[divan::bench(args = [false, true])]
fn append_and_read(bencher: Bencher<'_, '_>, is_synced: bool) {
    let (_directory, mut opened) = open();
    let (batch, mut taken) = (batch(), Taken::default());
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| {
        for _ in 0..BATCHES {
            append(&mut opened, black_box(&batch), is_synced);
            read(&mut opened, &mut taken);
        }
    });
}

/// All batches are appended; reading them isn't measured.
#[divan::bench]
fn append_alone(bencher: Bencher<'_, '_>) {
    let (_directory, opened) = open();
    let opened = std::cell::RefCell::new(opened);
    let (batch, mut taken) = (batch(), Taken::default());
    bencher
        .counter(BytesCount::new(BYTES))
        .with_inputs(|| {
            // What the last round has appended.
            while opened.borrow().reader.queued().payloads > 0 {
                read(&mut opened.borrow_mut(), &mut taken);
            }
        })
        .bench_local_values(|()| {
            for _ in 0..BATCHES {
                append(&mut opened.borrow_mut(), black_box(&batch), false);
            }
        });
}

/// The same bytes, copied with a checksum, written, read and copied with a checksum.
#[divan::bench]
fn what_cant_be_saved(bencher: Bencher<'_, '_>) {
    let mut file = tempfile::tempfile().expect("there is room");
    let (batch, mut buffer, mut taken) = (batch(), Vec::new(), Vec::new());
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| {
        // A queue can't write to the same pages again either.
        file.set_len(0).and_then(|()| file.rewind()).expect("the disk works");
        for number in 0..BATCHES {
            buffer.clear();
            for index in 0..BATCH {
                let payload = black_box(&batch).payload(index);
                black_box(crc32c::crc32c(payload));
                buffer.extend_from_slice(payload);
            }
            file.write_all(&buffer).expect("the disk works");
            read_back(&file, &mut buffer, (number * PAYLOAD * BATCH) as u64);
            taken.clear();
            for payload in buffer.chunks(PAYLOAD) {
                black_box(crc32c::crc32c(payload));
                taken.extend_from_slice(payload);
            }
        }
    });
}

fn read_back(file: &File, buffer: &mut [u8], offset: u64) {
    file.read_exact_at(buffer, offset).expect("it was written");
}
