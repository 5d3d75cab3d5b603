//! What it costs to hand a batch from a worker to an exporter: pushed and taken, the batch's
//! memory given back, with the count of bytes and the check for room.

use std::{convert::Infallible, sync::Arc, thread};

use divan::{Bencher, counter::ItemsCount};
use fantail::{
    queue::{Batch, Pushed, Queue, QueueFull},
    telemetry::ledger::ExporterLedger,
};

// Shows the allocations beside the times: there should be none in the steady state.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// Bytes of payloads in a batch, as many as a full one has.
const BATCH_BYTES: usize = 64 << 10;

/// Batches that are handed over in a round.
const BATCHES: usize = 1000;

fn queue() -> Queue {
    let ledger = Arc::new(ExporterLedger::default());
    Queue::new("out", 32 << 20, QueueFull::Block, ledger)
}

fn fill(batch: &mut Batch) {
    while batch.bytes().len() < BATCH_BYTES {
        let Ok(()) = batch.append::<Infallible>(|bytes| {
            bytes.resize(bytes.len() + 800, b'x');
            Ok(())
        });
    }
}

/// Pushes a batch; an empty one comes back.
fn push(queue: &Queue, mut batch: Batch) -> Batch {
    loop {
        match queue.push(batch) {
            Pushed::Taken(empty) => return empty,
            Pushed::Full(back) => batch = back,
        }
        thread::yield_now();
    }
}

fn take(queue: &Queue) -> bool {
    let Ok(batch) = queue.receiver().try_recv() else { return false };
    queue.received(&batch);
    queue.recycle(batch);
    true
}

#[divan::bench]
fn by_one_thread(bencher: Bencher<'_, '_>) {
    let queue = queue();
    let mut batch = Batch::default();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        for _ in 0..BATCHES {
            fill(&mut batch);
            batch = push(&queue, std::mem::take(&mut batch));
            assert!(take(&queue), "it was pushed");
        }
    });
}

/// The same without the queue: what filling the batch takes of it.
#[divan::bench]
fn filling_alone(bencher: Bencher<'_, '_>) {
    let mut batch = Batch::default();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        for _ in 0..BATCHES {
            batch.clear();
            fill(&mut batch);
        }
    });
}

#[divan::bench]
fn between_two_threads(bencher: Bencher<'_, '_>) {
    let queue = queue();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut taken = 0;
                while taken < BATCHES {
                    if take(&queue) {
                        taken += 1;
                    } else {
                        thread::yield_now();
                    }
                }
            });
            let mut batch = Batch::default();
            for _ in 0..BATCHES {
                fill(&mut batch);
                batch = push(&queue, std::mem::take(&mut batch));
            }
        });
    });
}
