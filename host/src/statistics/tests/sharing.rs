//! Many counters and readers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Statistics, of, plan, shown};
use crate::event::builder::{EventBuilder, EventChain};
use crate::statistics::series::METRIC;

const THREADS: u64 = 4;
const EVENTS: u64 = 50_000;

/// An event of one of a hundred users.
fn chain(user: u64) -> EventChain {
    EventChain::new(EventBuilder::new().text("user", format!("u{user}")).last_sent(7), &[])
}

/// Counts `EVENTS` events of a hundred users, in reads of a hundred.
fn count_in_reads(statistics: &Statistics) {
    let symbols = statistics.symbols();
    let chains: Vec<_> = (0..100).map(|user| chain(user).resolve(&symbols)).collect();
    let mut counter = statistics.counter(&symbols);
    for _ in 0..EVENTS / 100 {
        chains.iter().for_each(|chain| counter.count(0, &chain.event()));
        counter.publish();
    }
}

#[test]
fn readers_see_all_of_it_and_never_less_than_before() {
    let statistics = of(plan(&[], "user", 50));
    let done = AtomicBool::new(false);
    let statistics = &statistics;
    thread::scope(|scope| {
        let counting = (0..THREADS).map(|_| scope.spawn(|| count_in_reads(statistics)));
        let counting: Vec<_> = counting.collect();
        let reader = scope.spawn(|| {
            let mut before = 0;
            while !done.load(Ordering::Relaxed) {
                let (count, sum) = statistics.read(|view| {
                    let metric = view.metrics().next().unwrap();
                    let total = metric.distribution(METRIC, 0);
                    // A reader never sees half a read.
                    let ids = 1..metric.series().len() as u32;
                    let groups = ids.map(|id| metric.distribution(id, 0).count());
                    assert_eq!(groups.sum::<u64>(), total.count());
                    (total.count(), total.sum())
                });
                assert_eq!(sum, i128::from(7 * count));
                assert!(count >= before, "{count} after {before}");
                before = count;
            }
        });
        counting.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert_eq!(
        shown(statistics)[0],
        format!("m duration {} {}", THREADS * EVENTS, 7 * THREADS * EVENTS)
    );
    assert_eq!(statistics.matched(), [THREADS * EVENTS]);
}

#[test]
fn resets_lose_nothing_and_count_nothing_twice() {
    let statistics = of(plan(&[], "user", 1000));
    let done = AtomicBool::new(false);
    let statistics = &statistics;
    let read = thread::scope(|scope| {
        let counting = (0..THREADS).map(|_| scope.spawn(|| count_in_reads(statistics)));
        let counting: Vec<_> = counting.collect();
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(Ordering::Relaxed) {
                read += statistics.read_and_reset(|view| {
                    view.metrics().next().unwrap().distribution(METRIC, 0).count()
                });
            }
            read
        });
        counting.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    let rest =
        statistics.read(|view| view.metrics().next().unwrap().distribution(METRIC, 0).count());
    assert_eq!(read + rest, THREADS * EVENTS);
    assert_eq!(statistics.matched(), [THREADS * EVENTS]);
}

#[test]
fn a_large_shard_is_merged_by_its_counter() {
    let statistics = of(plan(&[], "", 1));
    let symbols = statistics.symbols();
    let chain = chain(1).resolve(&symbols);
    let mut counter = statistics.counter(&symbols);
    for _ in 0..1 << 19 {
        counter.count(0, &chain.event());
    }
    counter.publish();
    // While somebody reads it is not, and nothing is lost.
    statistics.read(|_| {
        for _ in 0..1 << 19 {
            counter.count(0, &chain.event());
        }
        counter.publish();
    });
    assert_eq!(statistics.matched(), [1 << 20]);
    assert_eq!(shown(&statistics), [format!("m duration {} {}", 1 << 20, 7 << 20)]);
}

#[test]
fn a_metric_goes_on_in_the_statistics_that_follow() {
    let metric = || plan(&[], "user", 50);
    let first = of(metric());
    let count_in = |statistics: &Statistics, place: usize, user: u64| {
        let symbols = statistics.symbols();
        let mut counter = statistics.counter(&symbols);
        counter.count(place, &chain(user).resolve(&symbols).event());
        counter
    };
    // Published before, after, and never read between: all of it is there once.
    drop(count_in(&first, 0, 1));
    let late = count_in(&first, 0, 2);
    let second = first.successor([(plan(&["a"], "", 50), None), (metric(), Some(0))]);
    drop(count_in(&second, 1, 3));
    let third = second.successor([(metric(), Some(1))]);
    drop(count_in(&third, 0, 1));
    assert_eq!(third.matched(), [3]);
    drop(late);
    assert_eq!(third.matched(), [4]);
    let lines = ["m duration 4 28", "m_u1 duration 2 14", "m_u2 duration 1 7", "m_u3 duration 1 7"];
    assert_eq!(shown(&third), lines);
    // Nothing is left of those before, and nothing comes twice.
    assert_eq!((first.matched(), shown(&third)), (vec![0], lines.map(str::to_owned).to_vec()));
    // Another metric begins at nothing.
    assert_eq!(third.successor([(metric(), None)]).matched(), [0]);
    third.read_and_reset(|_| {});
    assert_eq!(third.successor([(metric(), Some(0))]).matched(), [4]);
}
