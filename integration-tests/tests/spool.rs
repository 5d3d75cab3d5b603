//! Queues on disk: what is in them outlives the peer, the host and the configuration.

use std::{thread, time::Duration};

use fantail_integration_tests::{
    Host, SmallDisk, Workdir, events,
    events::numbers,
    fantail,
    peers::{HttpSink, LineSink, Reply, send_unix, web},
    status, wait_for,
};
use rustix::process::Signal;
use serde_json::Value;

const EVENTS: usize = 20_000;

/// An exporter to a socket that nobody listens on yet.
fn config(queue: &str, more: &str) -> String {
    format!(
        "
state_dir = $DIR/state
shutdown_timeout = 5 s
input in {{
  driver = unix
  path = $DIR/in.sock
}}
listener reader {{
  driver = stats-reader
  path = $DIR/reader.sock
}}
event_exporter out {{
  driver = unix
  unix_path = $DIR/out.sock
  format = json
  queue = {queue}
  batch_max_size = 4 KiB
  retry_max_pause = 200 ms
  {more}
}}
metric all {{
  filter = event=e
  exporter = out
}}
"
    )
}

fn send(dir: &Workdir, numbers: std::ops::Range<usize>) {
    send_unix(dir.path("in.sock"), &events::lines(numbers.map(|n| events::json("e", n))));
}

/// What the running host says of its exporter.
fn exporter(dir: &Workdir) -> Value {
    status(dir.path("reader.sock"))["exporters"][0].take()
}

/// Waits until so many payloads are on the disk.
fn wait_for_spooled(dir: &Workdir, count: u64) {
    wait_for("payloads on the disk", || {
        (exporter(dir)["spool"]["payloads"] == count).then_some(())
    });
}

/// Waits until nothing is under way any more.
fn wait_until_all_ended(dir: &Workdir) {
    wait_for("all to have ended", || (exporter(dir)["queued"] == 0).then_some(()));
}

#[test]
fn what_is_durable_survives_a_kill() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("durable", ""));
    send(&dir, 0..EVENTS);
    wait_for_spooled(&dir, EVENTS as u64);
    host.signal(Signal::KILL);
    host.wait();
    // Nobody is there yet in the second life, either; it ends in order.
    let host = Host::start(&dir, &config("durable", ""));
    send(&dir, EVENTS..EVENTS + 10);
    wait_for_spooled(&dir, EVENTS as u64 + 10);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.recovered), (10, EVENTS as u64));
    assert_eq!((ledger.delivered, ledger.queued), (0, EVENTS as u64 + 10));
    // In the third, everything arrives, once and in order.
    let sink = LineSink::listen(dir.path("out.sock"));
    let host = Host::start(&dir, &config("durable", ""));
    send(&dir, EVENTS + 10..EVENTS + 20);
    let lines = sink.wait_for(EVENTS + 20);
    assert_eq!(numbers(&lines), Vec::from_iter(0..EVENTS + 20));
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.recovered), (10, EVENTS as u64 + 10));
    assert_eq!((ledger.delivered, ledger.queued), (EVENTS as u64 + 20, 0));
}

#[test]
fn what_does_not_fit_into_memory_is_spilled() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("spill", "queue_max_size = 64 KiB"));
    send(&dir, 0..EVENTS);
    let status = exporter(&dir);
    assert_eq!(status["matched"], EVENTS as u64);
    assert_eq!(status["queued"], EVENTS as u64);
    assert!(status["spool"]["payloads"].as_u64().unwrap() > EVENTS as u64 / 2, "{status}");
    let sink = LineSink::listen(dir.path("out.sock"));
    assert_eq!(numbers(&sink.wait_for(EVENTS)), Vec::from_iter(0..EVENTS));
    // What fits goes by memory again.
    send(&dir, EVENTS..EVENTS + 100);
    assert_eq!(sink.wait_for(EVENTS + 100).len(), EVENTS + 100);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.delivered, ledger.queued), (EVENTS as u64 + 100, 0));
}

/// Batches as large as the memory, or larger: what is in their way is spilled, too.
#[test]
fn large_batches_are_spilled_like_others() {
    let dir = Workdir::new();
    let text = config("spill", "queue_max_size = 64 KiB").replace("= 4 KiB", "= 64 KiB")
        + "input http {\n  driver = http\n  address = 127.0.0.1:0\n}\n";
    let host = Host::start(&dir, &text);
    send(&dir, 0..EVENTS);
    for _ in 0..3 {
        let body = events::lines((0..1000).map(|n| events::json("e", n)));
        let head = format!(
            "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = web(&host.address("http"), &[head.as_bytes(), &body].concat());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").queued, EVENTS as u64 + 3000);
}

#[test]
fn a_stop_leaves_what_was_in_memory_on_the_disk() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("spill", ""));
    send(&dir, 0..EVENTS);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").queued, EVENTS as u64);
    let sink = LineSink::listen(dir.path("out.sock"));
    let host = Host::start(&dir, &config("spill", ""));
    let mut arrived = numbers(&sink.wait_for(EVENTS));
    // A batch that was under way when the host was stopped went to the disk last.
    arrived.sort_unstable();
    assert_eq!(arrived, Vec::from_iter(0..EVENTS));
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.recovered, ledger.delivered), (EVENTS as u64, EVENTS as u64));
}

/// A spool of 1 MiB, which has room for a part of the events.
fn check_full(queue_full: &str) -> Vec<usize> {
    let dir = Workdir::new();
    let more =
        format!("spool_max_size = 1 MiB\nqueue_max_size = 64 KiB\nqueue_full = {queue_full}");
    let host = Host::start(&dir, &config("durable", &more));
    send(&dir, 0..EVENTS);
    let sink = LineSink::listen(dir.path("out.sock"));
    sink.wait_for(1000);
    wait_until_all_ended(&dir);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    let lines = sink.wait_for(usize::try_from(ledger.delivered).unwrap());
    assert_eq!(lines.len() as u64, ledger.delivered);
    assert_eq!(ledger.dropped("queue_full"), EVENTS as u64 - ledger.delivered);
    let numbers = numbers(&lines);
    assert!(numbers.is_sorted());
    numbers
}

#[test]
fn a_full_spool_drops_the_newest() {
    let kept = check_full("drop_newest");
    assert_eq!(kept[..1000], Vec::from_iter(0..1000));
    assert!(kept.len() < EVENTS);
}

#[test]
fn a_full_spool_drops_the_oldest() {
    let kept = check_full("drop_oldest");
    assert_eq!(kept[kept.len() - 1000..], Vec::from_iter(EVENTS - 1000..EVENTS));
    assert!(kept.len() < EVENTS);
}

#[test]
fn a_full_spool_blocks() {
    let dir = Workdir::new();
    let more = "spool_max_size = 1 MiB\nqueue_max_size = 64 KiB";
    let host = Host::start(&dir, &config("durable", more));
    let sender = thread::spawn({
        let socket = dir.path("in.sock");
        let lines = events::lines((0..EVENTS).map(|n| events::json("e", n)));
        move || send_unix(socket, &lines)
    });
    thread::sleep(Duration::from_millis(500));
    assert!(!sender.is_finished(), "the host has taken what it has no room for");
    let sink = LineSink::listen(dir.path("out.sock"));
    sender.join().unwrap();
    assert_eq!(numbers(&sink.wait_for(EVENTS)), Vec::from_iter(0..EVENTS));
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.delivered, ledger.queued), (EVENTS as u64, 0));
}

#[test]
fn a_changed_exporter_takes_the_spool_over() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("durable", ""));
    send(&dir, 0..EVENTS);
    wait_for_spooled(&dir, EVENTS as u64);
    let sink = LineSink::listen(dir.path("other.sock"));
    dir.config("fantail.conf", &config("durable", "").replace("out.sock", "other.sock"));
    host.signal(Signal::HUP);
    host.wait_for_log("reloaded");
    send(&dir, EVENTS..EVENTS + 10);
    let arrived = numbers(&sink.wait_for(EVENTS + 10));
    assert_eq!(arrived, Vec::from_iter(0..EVENTS + 10));
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.recovered), (EVENTS as u64 + 10, 0));
    assert_eq!((ledger.delivered, ledger.queued), (EVENTS as u64 + 10, 0));
}

#[test]
fn a_spool_is_taken_over_in_the_middle_of_a_long_pause() {
    let busy = HttpSink::start(|_, _| Reply::status(503).header("Retry-After: 600"));
    let well = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let to = |server: &HttpSink| {
        let driver = format!("driver = http-post\n  http_post_url = {}", server.url("/"));
        config("durable", "").replace("driver = unix\n  unix_path = $DIR/out.sock", &driver)
    };
    let host = Host::start(&dir, &to(&busy));
    send(&dir, 0..10);
    host.wait_for_log("not delivered");
    dir.config("fantail.conf", &to(&well));
    host.signal(Signal::HUP);
    wait_for("all to arrive", || (well.accepted().len() == 10).then_some(()));
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.delivered, ledger.queued), (10, 10, 0));
}

#[test]
fn one_spool_is_one_hosts() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("durable", ""));
    let other = config("durable", "").replace("in.sock", "in2.sock").replace("reader.sock", "r2");
    let other = dir.config("other.conf", &other);
    let refused = fantail(["run", "-c", other.to_str().unwrap()]);
    assert_ne!(refused.status, Some(0));
    assert!(refused.stderr.contains("is in use by process"), "{}", refused.stderr);
    host.stop().expect_status(0);
}

/// A disk with room for a part of the events, of which most is taken.
fn nearly_full(dir: &Workdir) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(&dir.path("state"), 1024)?;
    disk.fill(600);
    Some(disk)
}

#[test]
fn a_full_disk_waits_for_space() {
    let dir = Workdir::new();
    let Some(disk) = nearly_full(&dir) else { return };
    let host = Host::start(&dir, &config("durable", "queue_max_size = 64 KiB"));
    let sender = thread::spawn({
        let socket = dir.path("in.sock");
        let lines = events::lines((0..EVENTS).map(|n| events::json("e", n)));
        move || send_unix(socket, &lines)
    });
    host.wait_for_log("No space left on device");
    assert!(!sender.is_finished());
    disk.free();
    let sink = LineSink::listen(dir.path("out.sock"));
    sender.join().unwrap();
    assert_eq!(numbers(&sink.wait_for(EVENTS)), Vec::from_iter(0..EVENTS));
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.delivered, ledger.queued), (EVENTS as u64, 0));
}

/// While the disk is full, exactly what is counted as dropped is missing, and nobody waits.
fn check_drops_on_a_full_disk(queue: &str, queue_full: &str) {
    let dir = Workdir::new();
    let Some(disk) = nearly_full(&dir) else { return };
    let more = format!("queue_max_size = 64 KiB\n  queue_full = {queue_full}");
    let host = Host::start(&dir, &config(queue, &more));
    send(&dir, 0..EVENTS);
    host.wait_for_log("No space left on device");
    disk.free();
    let sink = LineSink::listen(dir.path("out.sock"));
    wait_until_all_ended(&dir);
    // With space again, everything passes.
    let before = exporter(&dir)["delivered"].as_u64().unwrap();
    send(&dir, EVENTS..EVENTS + 10);
    let lines = sink.wait_for(before as usize + 10);
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.delivered, ledger.queued), (before + 10, 0));
    assert!(ledger.dropped("queue_full") > 0);
    assert_eq!(ledger.delivered + ledger.dropped("queue_full"), EVENTS as u64 + 10);
    assert_eq!(lines.len() as u64, ledger.delivered);
    assert!(numbers(&lines).is_sorted_by(|one, other| one < other), "in order, each once");
}

#[test]
fn a_full_disk_drops_exactly() {
    for queue in ["durable", "spill"] {
        for queue_full in ["drop_newest", "drop_oldest"] {
            check_drops_on_a_full_disk(queue, queue_full);
        }
    }
}
