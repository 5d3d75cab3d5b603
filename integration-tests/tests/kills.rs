//! A host that is killed again and again: what it has acknowledged is delivered all the same.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, Starting, Workdir, events,
    peers::{HttpSink, Reply},
};
use rustix::process::Signal;

const EVENTS: usize = 200_000;
const KILLS: usize = 50;

/// Events in a request, and in a batch of an exporter.
const BATCH: usize = 200;

/// An `http` input whose answers mean: on the disk; a file and a server to deliver to.
fn config(address: &str, server: &str) -> String {
    let queue = "queue = durable\n  batch_max_events = 200\n  retry_max_pause = 100 ms";
    format!(
        "
state_dir = $DIR/state
workers = 2
shutdown_timeout = 60 s
input in {{
  driver = http
  address = {address}
}}
event_exporter file {{
  driver = file
  file_path = $DIR/out
  format = json
  {queue}
}}
event_exporter web {{
  driver = http-post
  http_post_url = {server}
  http_post_batch = ndjson
  http_client_request_absolute_timeout = 10 s
  http_client_max_parallel_connections = 1
  format = json
  {queue}
}}
metric file {{
  filter = event=e
  exporter = file
}}
metric web {{
  filter = event=e
  exporter = web
}}
"
    )
}

/// The events from `first` on, as those of one attempt: what comes twice of the same attempt was
/// doubled by the host.
fn body(first: usize, attempt: usize) -> Vec<u8> {
    let event = |n| events::json_with("e", &format!("\"attempt\":{attempt},\"n\":{n}"));
    events::lines((first..first + BATCH).map(event))
}

/// Posts once; true when that was acknowledged.
fn post(address: &str, body: &[u8]) -> bool {
    let attempt = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let head = format!(
            "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    attempt().unwrap_or(false)
}

/// Posts until each request has been acknowledged, however often the host dies meanwhile.
fn send(address: &str, acknowledged: &AtomicUsize) {
    for first in (0..EVENTS).step_by(BATCH) {
        let mut attempt = 0;
        while !post(address, &body(first, attempt)) {
            attempt += 1;
            thread::sleep(Duration::from_millis(5));
        }
        acknowledged.store(first + BATCH, Ordering::Relaxed);
    }
}

/// How many events came twice from the same attempt; requires that each event came.
fn doubled<'l>(what: &str, lines: impl Iterator<Item = &'l str>) -> usize {
    let mut seen: HashMap<(usize, usize), usize> = HashMap::new();
    let mut events = vec![false; EVENTS];
    for line in lines {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{what}: {error}: {line}"));
        let number = |key| event["fields"][key].as_u64().unwrap() as usize;
        *seen.entry((number("n"), number("attempt"))).or_default() += 1;
        events[number("n")] = true;
    }
    let missing = events.iter().filter(|seen| !**seen).count();
    assert_eq!(missing, 0, "{what}: of {EVENTS} acknowledged events so many are lost");
    seen.values().map(|count| count - 1).sum()
}

#[test]
fn fifty_kills_lose_nothing_that_was_acknowledged() {
    let dir = Workdir::new();
    let server = HttpSink::start(|_, _| Reply::status(200));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = port.to_string();
    let path = dir.config("fantail.conf", &config(&address, &server.url("/events")));
    let start = || Some(Starting::with([&path]).start());
    let mut host: Option<Host> = start();
    let (acknowledged, is_sent) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut kills = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&address, &acknowledged);
            is_sent.store(true, Ordering::Relaxed);
        });
        let mut random = fastrand::Rng::with_seed(7);
        while kills < KILLS {
            // As many moments as there are kills, anywhere within them.
            let from = EVENTS / (KILLS + 1) * kills;
            let until = Instant::now() + Duration::from_secs(60);
            while acknowledged.load(Ordering::Relaxed) < from && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(random.u64(1..150)));
            assert!(!is_sent.load(Ordering::Relaxed), "after {kills} kills all was sent");
            if let Some(host) = host.take() {
                host.signal(Signal::KILL);
                host.wait();
            }
            kills += 1;
            host = start();
        }
    });
    let ended = host.expect("started again").stop().expect_status(0);
    for exporter in ["file", "web"] {
        // It balances, and nothing is left.
        let ledger = ended.exporter(exporter);
        assert_eq!((ledger.queued, ledger.dropped.len()), (0, 0), "{exporter}");
    }
    let lines = dir.lines("out");
    let in_file = doubled("file", lines.iter().map(String::as_str));
    let requests = server.accepted();
    let by_web = doubled("web", requests.iter().flat_map(|body| body.lines()));
    // At most a batch for each kill.
    assert!(in_file <= KILLS * BATCH && by_web <= KILLS * BATCH, "{in_file} and {by_web} doubled");
}
