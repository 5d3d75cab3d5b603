//! Many events in one request, batches that wait for more of them, and secrets that nobody is shown.

use std::{io::Write, time::Duration};

use fantail_integration_tests::{
    Host, Workdir, events,
    peers::{HttpSink, Reply, send_unix},
    wait_for,
};
use rustix::process::Signal;

/// One worker, and an exporter `out` that posts everything with these settings.
fn config(server: &HttpSink, more: &str) -> String {
    format!(
        "
workers = 1
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
  driver = http-post
  http_post_url = {}
  http_client_request_absolute_timeout = 10 s
  format = json
{more}
}}
metric all {{
  filter = event=*
  exporter = out
}}
",
        server.url("/events")
    )
}

/// Sends events one by one, each by a connection of its own.
fn send_single(dir: &Workdir, from: usize, to: usize) {
    for n in from..to {
        send_unix(dir.path("in.sock"), &events::lines([events::json("e", n)]));
    }
}

fn lines(server: &HttpSink) -> Vec<String> {
    let bodies = server.accepted().into_iter();
    bodies.flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn wait_for_lines(server: &HttpSink, count: usize) {
    wait_for(&format!("{count} lines"), || (lines(server).len() >= count).then_some(()));
}

fn expected(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| events::json("e", n)).collect()
}

fn check_batches(compression: &str, batch: &str) {
    const BAD: usize = 1234;
    let bad = format!("\"n\":{BAD}}}");
    let server = HttpSink::start(move |before, request| {
        Reply::status(match request.body.contains(&bad) {
            true => 400,
            false if before % 7 == 3 => 503,
            false => 200,
        })
    });
    let dir = Workdir::new();
    let more = format!(
        "  http_post_batch = {batch}\n  http_post_batch_max_events = 100\n  \
         http_post_compression = {compression}\n  retry_max_pause = 100 ms"
    );
    let host = Host::start(&dir, &config(&server, &more));
    send_unix(dir.path("in.sock"), &events::lines((0..5000).map(|n| events::json("e", n))));
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered), (5000, 4999));
    assert_eq!(ledger.dropped, [("refused".to_owned(), 1)].into());
    let dropped = ended.one_line_with("dropped 1 payloads");
    assert!(dropped.contains("HTTP 400 Bad Request"), "{dropped}");
    let requests = server.requests();
    assert!(requests.len() < 200, "{} requests", requests.len());
    let encoding = (compression != "none").then_some(compression);
    assert!(requests.iter().all(|(request, _)| request.header("content-encoding") == encoding));
    let mut found: Vec<String> = match batch {
        "json-array" => server
            .accepted()
            .iter()
            .flat_map(|body| serde_json::from_str::<Vec<serde_json::Value>>(body).unwrap())
            .map(|event| event["fields"]["n"].to_string())
            .collect(),
        _ => {
            let number = |line: &String| line.rsplit_once("\"n\":").unwrap().1.replace("}}", "");
            lines(&server).iter().map(number).collect()
        }
    };
    found.sort_by_key(|number| number.parse::<usize>().unwrap());
    let expected = (0..5000).filter(|&n| n != BAD).map(|n| n.to_string());
    assert_eq!(found, expected.collect::<Vec<_>>(), "each once: no request broke");
}

#[test]
fn one_bad_event_costs_itself() {
    check_batches("none", "ndjson");
}

#[test]
fn one_bad_event_in_compressed_arrays_costs_itself() {
    check_batches("gzip", "json-array");
}

#[test]
fn one_bad_event_in_zstd_costs_itself() {
    check_batches("zstd", "ndjson");
}

#[test]
fn text_goes_in_lines() {
    let server = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let text =
        config(&server, "  http_post_batch = lines").replace("format = json", "format = tab-text");
    let host = Host::start(&dir, &text);
    send_unix(dir.path("in.sock"), &events::lines((0..100).map(|n| events::tab_text("e", n))));
    host.stop().expect_status(0);
    let expected: Vec<_> = (0..100).map(|n| events::tab_text("e", n)).collect();
    assert_eq!(lines(&server), expected);
    let (request, _) = &server.requests()[0];
    assert_eq!(request.header("content-type"), Some("text/plain"));
}

#[test]
fn a_batch_waits_until_it_is_full() {
    let server = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let more = "  http_post_batch = ndjson\n  batch_timeout = 1 hour\n  batch_max_events = 5";
    let host = Host::start(&dir, &config(&server, more));
    send_single(&dir, 0, 12);
    wait_for_lines(&server, 10);
    let ended = host.stop().expect_status(0);
    let batches: Vec<_> = server.accepted().iter().map(|body| body.lines().count()).collect();
    assert_eq!(batches, [5, 5, 2], "the rest goes with the host");
    assert_eq!(ended.exporter("out").delivered, 12);
}

#[test]
fn a_batch_waits_until_it_is_old_enough() {
    let server = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let more = "  http_post_batch = ndjson\n  batch_timeout = 300 ms";
    let host = Host::start(&dir, &config(&server, more));
    for round in 0..3 {
        send_single(&dir, 3 * round, 3 * round + 3);
        wait_for_lines(&server, 3 * round + 3);
    }
    assert_eq!(lines(&server), expected(0, 9));
    host.stop().expect_status(0);
}

#[test]
fn a_batch_that_waits_delays_no_other() {
    let server = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let waiting = config(&server, "  http_post_batch = ndjson\n  batch_timeout = 1 hour");
    let other = "
event_exporter file {
  driver = file
  file_path = $DIR/out
  format = json
}
metric other {
  filter = event=*
  exporter = file
}
";
    let text = format!("{waiting}{other}");
    let host = Host::start(&dir, &text);
    send_single(&dir, 0, 3);
    dir.wait_for_lines("out", 3);
    assert_eq!(lines(&server), [""; 0]);

    // An exporter that changes delivers at once what it has, one that stays does not.
    dir.config("fantail.conf", &text.replace("$DIR/out", "$DIR/out2"));
    host.signal(Signal::HUP);
    host.wait_for_log("reloaded");
    send_single(&dir, 3, 6);
    dir.wait_for_lines("out2", 3);
    assert_eq!(lines(&server), [""; 0]);
    dir.config("fantail.conf", &text.replace("batch_timeout = 1 hour", "batch_timeout = 2 hours"));
    host.signal(Signal::HUP);
    wait_for_lines(&server, 6);
    let batches: Vec<_> = server.accepted().iter().map(|body| body.lines().count()).collect();
    assert_eq!(batches, [6]);
    host.stop().expect_status(0);
}

#[test]
fn a_batch_of_standard_input_is_closed_in_time() {
    let server = HttpSink::start(|_, _| Reply::status(200));
    let dir = Workdir::new();
    let more = "  http_post_batch = ndjson\n  batch_timeout = 200 ms";
    let text =
        config(&server, more).replace("driver = unix\n  path = $DIR/in.sock", "driver = stdin");
    let mut host = Host::start(&dir, &text);
    let mut stdin = host.take_stdin();
    for round in 0..3 {
        stdin.write_all(&events::lines([events::json("e", round)])).unwrap();
        stdin.flush().unwrap();
        wait_for_lines(&server, round + 1);
    }
    drop(stdin);
    host.wait().expect_status(0);
    assert_eq!(lines(&server), expected(0, 3));
}

#[test]
fn secrets_are_shown_nowhere() {
    let server = HttpSink::start(|_, request| {
        let known = request.header("authorization") == Some("Bearer t0psecret");
        Reply::status(if known { 200 } else { 401 }).after(Duration::from_millis(1))
    });
    let dir = Workdir::new();
    dir.write("token", "old-t0psecret\n");
    let more = "  http_post_bearer_token_file = $DIR/token\n  http_post_headers {\n    \
                X-Api-Key = k3y\n  }\n  retry_max_pause = 100 ms";
    let host = Host::start(&dir, &config(&server, more));
    send_single(&dir, 0, 3);
    host.wait_for_log("HTTP 401 Unauthorized");
    dir.write("token", "t0psecret\n");
    server.wait_for(3);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 3);
    assert!(ended.log.iter().any(|line| line.contains("every user of this machine may read it")));
    assert!(!ended.log.iter().any(|line| line.contains("t0psecret") || line.contains("k3y")));
    let (request, _) = server.requests().pop().unwrap();
    assert_eq!(request.header("x-api-key"), Some("k3y"));
}
