//! How long `json` takes for an event as IMAP servers send them: 15 fields, called
//! as the host calls it.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use divan::{Bencher, counter::BytesCount};
use fantail_json::Json;
use fantail_sdk::{
    FormatContext,
    abi::{FormatInstance, RSlice, RawEvent, RawField, format_table, value_kind},
};
use serde_json::json;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn text(key: &'static str, kind: u32, text: &'static str) -> RawField<'static> {
    let (key, text) = (key.as_bytes().into(), text.as_bytes().into());
    RawField { key, text, number: 0, kind, flags: 0 }
}

fn number(key: &'static str, kind: u32, number: i64) -> RawField<'static> {
    RawField { key: key.as_bytes().into(), text: RSlice::EMPTY, number, kind, flags: 0 }
}

fn fields() -> [RawField<'static>; 15] {
    use value_kind::{INTEGER, IP, TEXT, TIMESTAMP};
    [
        text("user", TEXT, "jeffpc@example.com"),
        text("session", TEXT, "xlBB1KqLz1isGwB+"),
        text("service", TEXT, "imap"),
        text("mailbox", TEXT, "INBOX"),
        number("command_tag", INTEGER, 5),
        text("cmd_name", TEXT, "SELECT"),
        text("cmd_args", TEXT, "INBOX"),
        text("tagged_reply_state", TEXT, "OK"),
        text("tagged_reply", TEXT, "OK [READ-WRITE] Done"),
        number("last_run_time", TIMESTAMP, 1_560_940_705_422_709),
        number("running_usecs", INTEGER, 1953),
        number("net_in_bytes", INTEGER, 7),
        number("net_out_bytes", INTEGER, 331),
        text("remote_ip", IP, "192.0.2.1"),
        number("duration", INTEGER, 2068),
    ]
}

fn run(bencher: Bencher<'_, '_>, time_format: &str) {
    let settings = json!({ "time_format": time_format });
    let context = FormatContext::default();
    let mut instance = FormatInstance::open(format_table::<Json>(), &settings, &context).unwrap();
    let fields = fields();
    let categories: [RSlice<'_, u8>; 2] =
        [b"imap".as_slice().into(), b"service:imap".as_slice().into()];
    let event = RawEvent {
        parts: 63,
        log_type: u32::MAX,
        name: b"imap_command_finished".as_slice().into(),
        hostname: b"mx1.example.com".as_slice().into(),
        start_micros: 1_560_940_705_422_744,
        end_micros: 1_560_940_712_250_000,
        categories: categories.as_slice().into(),
        fields: fields.as_slice().into(),
    };
    let mut payload = Vec::new();
    instance.format(&event, &mut payload).unwrap();
    bencher.counter(BytesCount::new(payload.len())).bench_local(|| {
        payload.clear();
        instance.format(divan::black_box(&event), &mut payload)
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
