//! What it costs to count an event, once its groups are known.

use divan::{Bencher, black_box};
use fantail::config::group_by;
use fantail::event::builder::{EventBuilder, EventChain};
use fantail::statistics::plan::Level;
use fantail::statistics::{Counter, MetricPlan, Statistics};

// Shows the allocations beside the times: there should be none.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// Events in a round: more than there are values.
const EVENTS: usize = 10_000;

/// An event with the fields of a command that has ended, of one of `users`.
fn event(number: usize, users: usize) -> EventChain {
    let command = ["SELECT", "UID FETCH", "LIST", "STATUS"][number % 4];
    let event = EventBuilder::new()
        .name("imap_command_finished")
        .last_sent(100 + (number * 7919 % 100_000) as i64)
        .text("cmd_name", command)
        .text("tagged_reply_state", ["OK", "NO", "BAD"][number % 3])
        .integer("net_in_bytes", (number % 1000) as i64)
        .integer("net_out_bytes", (number * 31 % 100_000) as i64)
        .text("user", format!("u{:06}@example.com", number % users));
    EventChain::new(event, &[])
}

/// Statistics of one metric with the short form's groups, and a counter that has met
/// every group often.
fn counting(fields: &[&str], groups: &str, chains: &mut Vec<EventChain>) -> (Statistics, Counter) {
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    let levels = group_by::parse(groups).expect("the groups are good");
    let levels = levels.iter().map(Level::of).collect();
    let statistics = Statistics::new([MetricPlan::new("m", "", fields, levels, 10_000)]);
    let symbols = statistics.symbols();
    *chains = std::mem::take(chains).into_iter().map(|chain| chain.resolve(&symbols)).collect();
    let mut counter = statistics.counter(&symbols);
    for chain in chains.iter().cycle().take(600 * chains.len().min(1000)) {
        counter.count(0, &chain.event());
    }
    (statistics, counter)
}

/// Times a round of events; the figure for one is a ten thousandth of it.
fn bench(bencher: Bencher<'_, '_>, fields: &[&str], groups: &str, users: usize) {
    let mut chains: Vec<_> = (0..EVENTS.max(users)).map(|number| event(number, users)).collect();
    let (_statistics, mut counter) = counting(fields, groups, &mut chains);
    bencher.counter(divan::counter::ItemsCount::new(EVENTS)).bench_local(|| {
        for chain in &chains[..EVENTS] {
            counter.count(0, black_box(&chain.event()));
        }
    });
}

#[divan::bench]
fn event_alone(bencher: Bencher<'_, '_>) {
    let chains: Vec<_> = (0..EVENTS).map(|number| event(number, 1)).collect();
    bencher.counter(divan::counter::ItemsCount::new(EVENTS)).bench_local(|| {
        for chain in &chains {
            black_box(&chain.event());
        }
    });
}

#[divan::bench]
fn ungrouped(bencher: Bencher<'_, '_>) {
    bench(bencher, &[], "", 1);
}

#[divan::bench]
fn with_two_fields(bencher: Bencher<'_, '_>) {
    bench(bencher, &["net_in_bytes", "net_out_bytes"], "", 1);
}

#[divan::bench(args = [100, 10_000])]
fn grouped_by_user(bencher: Bencher<'_, '_>, users: usize) {
    bench(bencher, &[], "user", users);
}

#[divan::bench(args = [100])]
fn grouped_by_domain(bencher: Bencher<'_, '_>, users: usize) {
    bench(bencher, &[], "user:discrete:%{value|domain|lower}", users);
}

/// Nine of ten users are in the overflow series.
#[divan::bench(args = [100_000])]
fn grouped_by_too_many_users(bencher: Bencher<'_, '_>, users: usize) {
    bench(bencher, &[], "user", users);
}

#[divan::bench]
fn two_levels(bencher: Bencher<'_, '_>) {
    bench(bencher, &[], "cmd_name tagged_reply_state", 1);
}

#[divan::bench]
fn exponential_buckets(bencher: Bencher<'_, '_>) {
    bench(bencher, &[], "duration:exponential:0:6:10", 1);
}
