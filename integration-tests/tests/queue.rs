//! Exporters whose peer does not take anything, and what `queue_full` makes of it.

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, PATIENCE, Workdir, events,
    events::numbers,
    peers::{LineSink, send_unix},
};

const EVENTS: usize = 20_000;

/// An exporter to a socket that nobody listens on yet, with room for a part of the
/// events.
fn config(queue_full: &str) -> String {
    format!(
        "
shutdown_timeout = 1 s
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
  driver = unix
  unix_path = $DIR/out.sock
  format = json
  queue_max_size = 64 KiB
  queue_full = {queue_full}
  batch_max_size = 4 KiB
  retry_max_pause = 200 ms
}}
metric all {{
  filter = event=e
  exporter = out
}}
"
    )
}

fn check_dead_sink(queue_full: &str) {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(queue_full));
    send_unix(dir.path("in.sock"), &events::lines((0..EVENTS).map(|n| events::json("e", n))));
    let ended = host.stop().expect_status(75);
    assert_eq!(ended.input("in").events, EVENTS as u64);
    // Said while it happens, at once, and not for every batch.
    let said = ended.one_line_with("payloads (queue_full)");
    assert!(said.contains("exporter out: dropped "), "{said}");
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered, ledger.queued), (EVENTS as u64, 0, 0));
    let reasons: Vec<_> = ledger.dropped.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["queue_full", "shutdown"]);
    ended.one_line_with(&format!("{} payloads lost", ledger.dropped("shutdown")));
}

#[test]
fn drop_newest_balances_with_a_dead_sink() {
    check_dead_sink("drop_newest");
}

#[test]
fn drop_oldest_balances_with_a_dead_sink() {
    check_dead_sink("drop_oldest");
}

/// The sink comes when everything has been sent: what was kept arrives.
fn check_late_sink(queue_full: &str) -> Vec<usize> {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(queue_full));
    send_unix(dir.path("in.sock"), &events::lines((0..EVENTS).map(|n| events::json("e", n))));
    let sink = LineSink::listen(dir.path("out.sock"));
    sink.wait_for(100);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    let lines = sink.wait_for(usize::try_from(ledger.delivered).unwrap());
    assert_eq!(lines.len() as u64, ledger.delivered);
    assert_eq!(ledger.matched, EVENTS as u64);
    assert_eq!(
        ledger.dropped,
        [("queue_full".to_owned(), EVENTS as u64 - ledger.delivered)].into()
    );
    let numbers = numbers(&lines);
    assert!(numbers.is_sorted());
    numbers
}

#[test]
fn drop_newest_keeps_the_oldest() {
    let kept = check_late_sink("drop_newest");
    // (A last, small batch may have found room.)
    assert_eq!(kept[..100], Vec::from_iter(0..100));
    assert!(kept.len() < EVENTS);
}

#[test]
fn drop_oldest_keeps_the_newest() {
    let kept = check_late_sink("drop_oldest");
    let newest: Vec<_> = (EVENTS - 100..EVENTS).collect();
    assert_eq!(kept[kept.len() - 100..], newest);
    assert!(kept.len() < EVENTS);
}

/// An exporter that takes everything it gets.
const HEALTHY: &str = "
event_exporter healthy {
  driver = file
  file_path = $DIR/healthy.out
  format = json
}
metric healthy {
  filter = event=healthy
  exporter = healthy
}
";

#[test]
fn block_holds_one_input_back_and_no_other() {
    let dir = Workdir::new();
    let more = "input healthy {\n  driver = unix\n  path = $DIR/healthy.sock\n}\n";
    let host = Host::start(&dir, &(config("block") + HEALTHY + more));
    let lines = events::lines((0..EVENTS).map(|n| events::json("e", n)));
    let mut blocked = UnixStream::connect(dir.path("in.sock")).unwrap();
    blocked.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    let error = loop {
        match blocked.write(&lines[written..]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
        assert!(written < lines.len(), "the host has read what it has no room for");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // Every worker has a share of the connections: all of them must get through.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let lines = events::lines((0..500).map(|n| events::json("healthy", n)));
                send_unix(dir.path("healthy.sock"), &lines);
            });
        }
    });
    dir.wait_for_lines("healthy.out", 8 * 500);
    // With somebody to take it, the blocked input goes on, and nothing is lost.
    let sink = LineSink::listen(dir.path("out.sock"));
    blocked.set_write_timeout(Some(PATIENCE)).unwrap();
    blocked.write_all(&lines[written..]).unwrap();
    blocked.shutdown(Shutdown::Write).unwrap();
    let arrived = sink.wait_for(EVENTS);
    assert_eq!(numbers(&arrived), Vec::from_iter(0..EVENTS));
    let ended = host.stop().expect_status(0);
    for exporter in ["out", "healthy"] {
        let ledger = ended.exporter(exporter);
        assert_eq!((ledger.matched, ledger.queued), (ledger.delivered, 0));
    }
}

#[test]
fn a_connection_that_feeds_both_waits_for_the_dead_one() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &(config("block") + HEALTHY));
    // While nothing for the dead exporter comes, the connection is not held up.
    let started = Instant::now();
    send_unix(dir.path("in.sock"), &events::lines((0..100).map(|n| events::json("healthy", n))));
    dir.wait_for_lines("healthy.out", 100);
    assert!(started.elapsed() < PATIENCE / 2);
    host.stop().expect_status(0);
}
