//! A server that takes connections and never answers.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use fantail_integration_tests::{
    Host, Workdir, events, memory_kib,
    peers::{HttpSink, Reply},
};

const EVENTS: usize = 1_000_000;

fn config(server: &str, queue_full: &str) -> String {
    format!(
        "
shutdown_timeout = 1 s
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter silent {{
  driver = http-post
  http_post_url = {server}
  format = json
  queue_max_size = 32 MiB
  queue_full = {queue_full}
}}
event_exporter counted {{
  driver = drop
  format = none
}}
metric silent {{
  filter = event=e
  exporter = silent
}}
metric counted {{
  filter = event=e
  exporter = counted
}}
"
    )
}

fn check(queue_full: &str) {
    let server = HttpSink::start(|_, _| Reply::never());
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(&server.url("/"), queue_full));
    let mut stream = UnixStream::connect(dir.path("in.sock")).unwrap();
    let mut sent = 0;
    while sent < EVENTS {
        let lines = events::lines((sent..sent + 1000).map(|n| events::json("e", n)));
        stream.write_all(&lines).unwrap();
        sent += 1000;
    }
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    // Whatever the driver holds on to, it does by now.
    thread::sleep(Duration::from_secs(1));
    let (_, peak) = memory_kib(host.pid());
    assert!(peak < 100 << 10, "{peak} KiB");
    let ended = host.stop().expect_status(75);
    let ledger = ended.exporter("silent");
    assert_eq!((ledger.matched, ledger.delivered, ledger.queued), (EVENTS as u64, 0, 0));
    let dropped = ledger.dropped("queue_full") + ledger.dropped("shutdown");
    assert_eq!(dropped, EVENTS as u64);
    assert!(ledger.dropped("queue_full") > 0 && ledger.dropped("shutdown") > 0);
    // The others get everything.
    assert_eq!(ended.exporter("counted").delivered, EVENTS as u64);
}

#[test]
fn a_million_events_for_a_silent_server_keep_to_the_bound() {
    check("drop_oldest");
}

#[test]
fn the_newest_can_be_dropped_as_well() {
    check("drop_newest");
}
