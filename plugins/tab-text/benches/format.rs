//! How long `tab-text` takes for an event as IMAP servers send them, called as the
//! host calls it.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use fantail_integration_tests::events::{imap_command, mail, with_raws};
use fantail_sdk::{
    FormatContext,
    abi::{FormatInstance, format_table},
};
use fantail_tab_text::TabText;
use serde_json::json;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn run(bencher: Bencher<'_, '_>, time_format: &str) {
    let settings = json!({ "time_format": time_format });
    let context = FormatContext::default();
    let mut instance =
        FormatInstance::open(format_table::<TabText>(), &settings, &context).unwrap();
    let mut payload = Vec::new();
    imap_command().with_raw(|event| {
        instance.format(event, &mut payload).unwrap();
        bencher.counter(BytesCount::new(payload.len())).bench_local(|| {
            payload.clear();
            instance.format(divan::black_box(event), &mut payload)
        });
    });
}

#[divan::bench]
fn rfc3339(bencher: Bencher<'_, '_>) {
    run(bencher, "rfc3339");
}

#[divan::bench]
fn unix(bencher: Bencher<'_, '_>) {
    run(bencher, "unix");
}

/// Events as they come from many sessions: what one event needs teaches the processor
/// nothing about the next.
#[divan::bench]
fn mail_events(bencher: Bencher<'_, '_>) {
    let context = FormatContext::default();
    let mut instance =
        FormatInstance::open(format_table::<TabText>(), &json!({}), &context).unwrap();
    let mut payloads = Vec::new();
    with_raws(&mail(1000), |events| {
        bencher.counter(ItemsCount::new(events.len())).bench_local(|| {
            payloads.clear();
            for event in events {
                instance.format(divan::black_box(event), &mut payloads).unwrap();
            }
        });
    });
}
