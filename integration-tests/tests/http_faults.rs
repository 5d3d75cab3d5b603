//! A server with every fault there is, one after the other: nothing is lost, each event arrives.

use std::{net::TcpListener, thread, time::Duration};

use fantail_integration_tests::{
    Host, Workdir, events,
    peers::{HttpSink, Reply, send_unix},
};

fn config(server: &str, more: &str) -> String {
    format!(
        "
shutdown_timeout = 30 s
state_dir = $DIR/state
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter web {{
  driver = http-post
  http_post_url = {server}
  format = json
  retry_min_pause = 10 ms
  retry_max_pause = 100 ms
  {more}
}}
metric web {{
  filter = event=e
  exporter = web
}}
"
    )
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| events::json("e", n)).collect()
}

/// What the server does with a request, until it does as it should.
fn fault(number: usize) -> Reply {
    match number % 8 {
        0 => Reply::status(0),
        1 => Reply::status(500),
        2 => Reply::status(503).header("Retry-After: 1"),
        // Longer than Dovecot's 250 ms.
        3 => Reply::status(200).after(Duration::from_millis(600)),
        4 => Reply::raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        5 => Reply::raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        6 => Reply::status(429).header("Retry-After: 0"),
        _ => Reply::status(200).after(Duration::from_millis(50)),
    }
}

fn check_faults(more: &str) {
    const EVENTS: usize = 300;
    // Nobody listens there yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(&format!("http://{address}/"), more));
    send_unix(dir.path("in.sock"), &events::lines(lines(EVENTS)));
    host.wait_for_log("not delivered");
    let server = HttpSink::start_at(address, |number, _| match number {
        0..80 => fault(number),
        _ => Reply::status(200),
    });
    // (What was answered after the timeout, or not to the end, counts here and comes again.)
    let arrived = || {
        let mut lines: Vec<String> = server
            .accepted()
            .iter()
            .flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    };
    fantail_integration_tests::wait_for("all events", || (arrived().len() == EVENTS).then_some(()));
    let ledger = host.stop().expect_status(0).exporter("web");
    assert_eq!(
        (ledger.matched, ledger.delivered, ledger.queued),
        (EVENTS as u64, EVENTS as u64, 0)
    );
    let mut expected = lines(EVENTS);
    expected.sort_unstable();
    assert_eq!(arrived(), expected);
}

#[test]
fn every_fault_costs_time_and_no_event() {
    check_faults("");
}

#[test]
fn every_fault_costs_batches_no_event() {
    check_faults("http_post_batch = ndjson\n  http_post_batch_max_events = 20");
}

#[test]
fn every_fault_costs_a_durable_queue_no_event() {
    check_faults("http_post_batch = ndjson\n  http_post_batch_max_events = 20\n  queue = durable");
}

/// What Dovecot delivers 5 of.
#[test]
fn two_hundred_of_two_hundred_arrive_after_fifty_milliseconds() {
    let server = HttpSink::start(|_, _| Reply::status(200).after(Duration::from_millis(50)));
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(&server.url("/"), ""));
    for line in lines(200) {
        send_unix(dir.path("in.sock"), &events::lines([line]));
        thread::sleep(Duration::from_millis(1));
    }
    let ledger = host.stop().expect_status(0).exporter("web");
    assert_eq!((ledger.delivered, ledger.queued), (200, 0));
    let mut arrived = server.accepted();
    arrived.sort_unstable();
    let mut expected = lines(200);
    expected.sort_unstable();
    assert_eq!(arrived, expected, "each once");
}
