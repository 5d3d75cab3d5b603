//! What it costs to tell a driver what it wants to know of an event.

use divan::{Bencher, black_box};
use fantail::event::builder::{EventBuilder, EventChain};
use fantail::format::{Here, Label};
use fantail_sdk::{LabelPart, Timestamp};

// Shows the allocations beside the times: there should be none.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A command of IMAP with its session above it.
fn event() -> EventChain {
    let command = EventBuilder::new()
        .name("imap_command_finished")
        .text("cmd_name", "SELECT")
        .text("tagged_reply_state", "OK")
        .integer("net_in_bytes", 7)
        .integer("net_out_bytes", 331)
        .list("flags", &["\\Seen", "a\tb"]);
    let session = EventBuilder::new()
        .text("session", "xlBB1KqLz1isGwB+")
        .text("user", "jo@example.com")
        .text("service", "imap");
    EventChain::new(command, &[]).parents([session])
}

fn bench(bencher: Bencher<'_, '_>, parts: &[LabelPart]) {
    let chain = event();
    let mut label = Label::new(parts.to_vec());
    let mut written = Vec::with_capacity(1 << 10);
    let here = Here { hostname: b"mail.example.com", now: Timestamp::from_micros(0) };
    // The scratch grows before it is measured.
    label.write(&chain.event(), here, &mut written);
    bencher.bench_local(|| {
        written.clear();
        label.write(black_box(&chain.event()), here, &mut written);
    });
}

fn field(name: &str) -> LabelPart {
    LabelPart::Field(name.to_owned())
}

#[divan::bench]
fn a_user(bencher: Bencher<'_, '_>) {
    bench(bencher, &[field("user")]);
}

#[divan::bench]
fn user_event_and_time(bencher: Bencher<'_, '_>) {
    bench(bencher, &[field("user"), LabelPart::Event, LabelPart::EndTime]);
}

#[divan::bench]
fn a_list(bencher: Bencher<'_, '_>) {
    bench(bencher, &[field("flags")]);
}
