//! What becomes of payloads that a peer does not take.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use fantail_integration_tests::{
    Host, SmallDisk, Workdir, events, fantail,
    peers::{HttpSink, Reply, get, send_unix},
    status, wait_for,
};
use serde_json::Value;

/// One worker, readers, and an exporter `out` that posts everything with these settings.
fn config(server: &HttpSink, more: &str) -> String {
    format!(
        "
workers = 1
state_dir = $DIR/state
input in {{
  driver = unix
  path = $DIR/in.sock
}}
listener reader {{
  driver = stats-reader
  path = $DIR/reader.sock
}}
listener web {{
  driver = http
  listen = 127.0.0.1:0
}}
event_exporter out {{
  driver = http-post
  http_post_url = {}
  http_client_request_absolute_timeout = 10 s
  retry_max_pause = 200 ms
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

fn send(dir: &Workdir, from: usize, to: usize) {
    send_unix(dir.path("in.sock"), &events::lines((from..to).map(|n| events::json("e", n))));
}

fn expected(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| events::json("e", n)).collect()
}

/// What `fantail status --json` says of the exporter.
fn exporter(dir: &Workdir) -> Value {
    status(dir.path("reader.sock"))["exporters"][0].take()
}

/// Waits until the exporter is as `look` wants it.
fn wait_for_exporter(dir: &Workdir, what: &str, look: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || Some(exporter(dir)).filter(&look))
}

/// A server that answers `status` until it is well, and the switch.
fn ill_server(status: u16) -> (HttpSink, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let server = HttpSink::start(move |_, _| {
        Reply::status(if well.load(Ordering::SeqCst) { 200 } else { status })
    });
    (server, is_well)
}

#[test]
fn the_breaker_opens_and_closes_and_can_be_seen() {
    let (server, is_well) = ill_server(503);
    let dir = Workdir::new();
    let more = "  breaker_failures = 3\n  http_client_max_parallel_connections = 1\n  \
                http_post_batch = ndjson";
    let host = Host::start(&dir, &config(&server, more));
    assert_eq!(exporter(&dir)["breaker"]["state"], "closed");
    send(&dir, 0, 100);
    let seen = wait_for_exporter(&dir, "the breaker to open", |seen| {
        seen["breaker"]["state"] == "open" && seen["breaker"]["failures"].as_u64() >= Some(10)
    });
    assert_eq!(seen["queued"], 100, "{seen}");
    assert!(seen["breaker"]["failing_for"].as_f64() > Some(0.0), "{seen}");
    assert!(seen["breaker"]["next_attempt_in"].as_f64() <= Some(0.2), "{seen}");
    let socket = dir.path("reader.sock");
    wait_for("the breaker in the table", || {
        let shown = fantail(["status", "-s", socket.to_str().unwrap()]);
        shown.text().contains("breaker open: ").then_some(())
    });
    wait_for("the breaker on the page", || {
        let page = get(&host.listener("web"), "/metrics").body;
        let open = "fantail_exporter_breaker{exporter=\"out\",state=\"open\"} 1";
        page.lines().any(|line| line == open).then_some(())
    });
    // From the fourth attempt on a few payloads are sent.
    let sizes: Vec<usize> =
        server.requests().iter().map(|(request, _)| request.body.lines().count()).collect();
    assert_eq!(sizes[3], 1, "{sizes:?}");
    assert!(sizes[3..].iter().all(|size| *size <= 16), "{sizes:?}");
    is_well.store(true, Ordering::SeqCst);
    let seen = wait_for_exporter(&dir, "all to be delivered", |seen| seen["delivered"] == 100);
    assert_eq!(seen["breaker"]["state"], "closed", "{seen}");
    assert_eq!((&seen["breaker"]["failures"], &seen["queued"]), (&0.into(), &0.into()));
    let lines = |body: String| body.lines().map(str::to_owned).collect::<Vec<_>>();
    let arrived: Vec<String> = server.accepted().into_iter().flat_map(lines).collect();
    assert_eq!(arrived, expected(0, 100));
    let ended = host.stop().expect_status(0);
    ended.one_line_with("circuit breaker open after 3 failures in a row");
    ended.one_line_with("delivering again, circuit breaker closed, after ");
}

/// A server that answers `status` to the events for which `is_bad` says so, as long as it is ill.
fn picky_server(status: u16, is_bad: fn(&str) -> bool) -> (HttpSink, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let server = HttpSink::start(move |_, request| {
        let is_bad = is_bad(&request.body) && !well.load(Ordering::SeqCst);
        Reply::status(if is_bad { status } else { 200 })
    });
    (server, is_well)
}

#[test]
fn an_event_is_tried_so_often_and_others_are_delivered() {
    let (server, _) = picky_server(500, |body| body.contains("\"n\":3}"));
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(&server, "  retry_max_attempts = 3"));
    send(&dir, 0, 10);
    wait_for_exporter(&dir, "the event to be given up", |seen| seen["queued"] == 0);
    let bad = server.requests().into_iter().filter(|(_, status)| *status == 500);
    assert_eq!(bad.count(), 3);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered, ledger.dropped("attempts")), (10, 9, 1));
    ended.one_line_with("dropped 1 payloads (attempts");
}

#[test]
fn a_peer_that_can_not_be_reached_costs_nothing_unless_events_grow_old() {
    let check = |more: &str, dropped: &str, is_over: fn(&Value) -> bool| {
        let dir = Workdir::new();
        let config = "  driver = unix\n  unix_path = $DIR/out.sock\n  format = json\n  \
                      retry_min_pause = 10 ms\n  retry_max_pause = 50 ms\n  retry_max_attempts = 2\n  ";
        let text = format!(
            "shutdown_timeout = 100 ms
input in {{\n  driver = unix\n  path = $DIR/in.sock\n}}
listener reader {{\n  driver = stats-reader\n  path = $DIR/reader.sock\n}}
event_exporter out {{\n{config}{more}\n}}
metric all {{\n  filter = event=*\n  exporter = out\n}}\n"
        );
        let host = Host::start(&dir, &text);
        send(&dir, 0, 20);
        wait_for_exporter(&dir, dropped, is_over);
        let ended = host.stop();
        assert_eq!(ended.exporter("out").dropped(dropped), 20, "{:?}", ended.log);
    };
    check("", "shutdown", |seen| seen["breaker"]["failures"].as_u64() >= Some(20));
    check("retry_max_age = 1 s", "age", |seen| seen["queued"] == 0);
}

const KEEP: &str = "  dead_letters = keep\n";

/// The bodies that were answered with 200, sorted.
fn accepted(server: &HttpSink) -> Vec<String> {
    let mut bodies = server.accepted();
    bodies.sort();
    bodies
}

#[test]
fn what_a_server_refuses_becomes_a_dead_letter() {
    let (server, _) = picky_server(400, |body| body.contains("\"n\":3}"));
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(&server, KEEP));
    send(&dir, 0, 10);
    let seen = wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    assert_eq!(seen["dead_lettered"], serde_json::json!({"refused": 1}), "{seen}");
    assert_eq!(seen["dead_letters"]["payloads"], 1, "{seen}");
    let page = get(&host.listener("web"), "/metrics");
    let name = "fantail_exporter_dead_lettered_total{exporter=\"out\",reason=\"refused\"}";
    assert_eq!(page.figure(name), 1);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered, ledger.dropped.len()), (10, 9, 0));
    assert_eq!(ledger.dead_letters, [("refused".to_owned(), 1)].into());
    ended.one_line_with("1 payloads became dead letters (refused): HTTP 400");
    // It is still there.
    let host = Host::start(&dir, &config(&server, KEEP));
    assert_eq!(exporter(&dir)["dead_letters"]["payloads"], 1);
    host.stop().expect_status(0);
}

/// An event of some 50 KB.
fn long(n: usize) -> String {
    events::json_with("e", &format!("\"n\":{n},\"x\":\"{}\"", "x".repeat(50_000)))
}

/// A host with less room for dead letters than 30 events take, to which all of them were sent;
/// and what its exporter shows then.
fn overfilled(server: &HttpSink, dir: &Workdir) -> (Host, Value) {
    let more = format!("{KEEP}  dead_letters_max_size = 1M\n  queue_max_size = 64 MiB");
    let host = Host::start(dir, &config(server, &more));
    send_unix(dir.path("in.sock"), &events::lines((0..30).map(long)));
    let seen = wait_for_exporter(dir, "all to have ended", |seen| seen["queued"] == 0);
    (host, seen)
}

#[test]
fn a_full_directory_of_dead_letters_drops_and_says_so() {
    let (server, _) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let (host, seen) = overfilled(&server, &dir);
    let count = |value: &Value| value.as_u64().unwrap();
    let kept = count(&seen["dead_lettered"]["refused"]);
    assert_eq!((count(&seen["dropped"]["not_kept"]), count(&seen["matched"])), (30 - kept, 30));
    assert_eq!(count(&seen["dead_letters"]["payloads"]), kept);
    assert!((5..25).contains(&kept), "{seen}");
    let size: u64 = std::fs::read_dir(dir.path("state/dead-letters/out"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size <= 1 << 20, "{size}");
    host.stop().expect_status(0).one_line_with("there is no more room for dead letters");
}

/// What the ledger says is there is there, and what has no space is counted, until there is some.
#[test]
fn a_full_disk_keeps_exactly_the_letters_that_are_counted() {
    let (server, _) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let Some(disk) = SmallDisk::mount(&dir.path("state"), 1024) else { return };
    disk.fill(600);
    let host = Host::start(&dir, &config(&server, KEEP));
    let send = |from: usize, to: usize| {
        send_unix(dir.path("in.sock"), &events::lines((from..to).map(long)));
        wait_for_exporter(&dir, "all to have ended", |seen| {
            seen["matched"] == to && seen["queued"] == 0
        })
    };
    let count = |value: &Value| value.as_u64().unwrap() as usize;
    let check = |seen: &Value, matched: usize| {
        let kept = count(&seen["dead_lettered"]["refused"]);
        assert_eq!(kept + count(&seen["dropped"]["not_kept"]), matched, "{seen}");
        assert_eq!(count(&seen["dead_letters"]["payloads"]), kept, "{seen}");
        assert_eq!(listed(&dir).len(), kept);
        kept
    };
    let kept = check(&send(0, 20), 20);
    assert!((1..20).contains(&kept), "{kept}");
    host.wait_for_log("No space left on device");
    disk.free();
    assert_eq!(check(&send(20, 25), 25), kept + 5);
    host.stop().expect_status(0);
}

#[test]
fn a_letter_that_is_refused_again_stays_where_there_is_no_room_for_another() {
    let (server, is_well) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let (host, seen) = overfilled(&server, &dir);
    let not_kept = seen["dropped"]["not_kept"].clone();
    let before = listed(&dir);
    assert!((5..25).contains(&before.len()), "{seen}");
    assert_eq!(letters(&dir, &["replay", "--all"]).status, Some(0));
    let attempts = 30 + before.len();
    wait_for("all to be sent", || (server.requests().len() >= attempts).then_some(()));
    // What comes behind them is delivered when they are through.
    is_well.store(true, Ordering::SeqCst);
    send(&dir, 0, 1);
    wait_for_exporter(&dir, "another event", |seen| seen["delivered"] == 1);
    assert_eq!(listed(&dir), before);
    assert_eq!(exporter(&dir)["dropped"]["not_kept"], not_kept);
    assert_eq!(letters(&dir, &["replay", "--all"]).status, Some(0));
    wait_for_exporter(&dir, "all to arrive", |seen| seen["delivered"] == before.len() + 1);
    assert_eq!(listed(&dir), []);
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!(ledger.replayed, before.len() as u64);
}

#[test]
fn a_state_dir_that_can_not_be_used_is_an_error_only_where_it_is_needed() {
    let (server, _) = picky_server(400, |_| false);
    let dir = Workdir::new();
    dir.write("state", "a file");
    Host::start(&dir, &config(&server, "")).stop().expect_status(0);
    let config = dir.config("keep.conf", &config(&server, KEEP));
    assert_eq!(fantail(["check", "-c", config.to_str().unwrap()]).status, Some(0));
    let ended = fantail_integration_tests::Starting::with([config]).spawn().wait();
    let line = ended.expect_status(71);
    line.one_line_with("exporter out: its dead letters can't be kept: ");
}

/// `fantail dead-letters` with these arguments, to the host by its socket.
fn letters(dir: &Workdir, arguments: &[&str]) -> fantail_integration_tests::Done {
    let socket = dir.path("reader.sock");
    let arguments = arguments.iter().copied().chain(["-s", socket.to_str().unwrap()]);
    fantail(["dead-letters"].into_iter().chain(arguments))
}

/// The letters, as `list --json` shows them: their ids and payloads.
fn listed(dir: &Workdir) -> Vec<(String, String)> {
    let done = letters(dir, &["list", "--json"]);
    assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = done.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (text(&line["id"]), text(&line["payload"]))).collect()
}

#[test]
fn dead_letters_are_listed_shown_replayed_and_dropped() {
    let (server, is_well) = picky_server(422, |body| !body.contains("\"n\":1"));
    let dir = Workdir::new();
    let text = config(&server, KEEP);
    let host = Host::start(&dir, &text);
    send(&dir, 0, 10);
    wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    let dead: Vec<String> =
        expected(0, 10).into_iter().filter(|e| !e.contains("\"n\":1")).collect();
    let all = listed(&dir);
    let mut payloads: Vec<String> = all.iter().map(|(_, payload)| payload.clone()).collect();
    payloads.sort();
    assert_eq!(payloads, dead);
    let shown = letters(&dir, &["list", "out"]);
    let first = shown.text().lines().nth(1).unwrap();
    assert!(first.starts_with(&all[0].0) && first.contains(" refused "), "{first}");
    assert!(shown.text().ends_with("9 dead letters, 1341 bytes\n"), "{}", shown.text());
    assert_eq!(letters(&dir, &["list", "other"]).text(), "");
    let shown = letters(&dir, &["show", &all[0].0]);
    assert!(shown.text().contains("\ndetail: HTTP 422 "), "{}", shown.text());
    assert!(shown.text().ends_with(&format!("\n\n{}\n", all[0].1)), "{}", shown.text());

    // One that is refused once more is there again, under another id.
    let done = letters(&dir, &["replay", &all[0].0]);
    assert_eq!(done.text(), "out: 1 dead letter to be sent again\n", "{}", done.stderr);
    let seen = wait_for_exporter(&dir, "the letter to be replayed", |seen| {
        seen["dead_lettered"]["refused"] == 10
    });
    assert_eq!((&seen["dead_lettered"]["refused"], &seen["queued"]), (&10.into(), &0.into()));
    let ids =
        |letters: &[(String, String)]| letters.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let now = listed(&dir);
    assert_eq!(ids(&now)[..8], ids(&all)[1..]);
    assert_eq!(now[8].1, all[0].1);

    let done = letters(&dir, &["drop", &now[2].0, &now[4].0]);
    assert_eq!(done.text(), "out: 2 dead letters dropped\n", "{}", done.stderr);
    let gone = letters(&dir, &["drop", &now[2].0]);
    assert_eq!(gone.status, Some(65), "{}", gone.stderr);
    assert_eq!(letters(&dir, &["show", &now[2].0]).status, Some(65));
    assert_eq!(letters(&dir, &["replay", "nobody/1"]).status, Some(65));
    assert_eq!(letters(&dir, &["replay", "out"]).status, Some(2));
    assert_eq!(letters(&dir, &["replay"]).status, Some(2));

    is_well.store(true, Ordering::SeqCst);
    let left = listed(&dir);
    assert_eq!(letters(&dir, &["replay", &left[6].0]).status, Some(0));
    wait_for_exporter(&dir, "one to arrive", |seen| seen["replayed"] == 2);
    assert_eq!(server.accepted()[1..], [left[6].1.clone()]);
    let done = letters(&dir, &["replay", "--all"]);
    assert_eq!(done.text(), "out: 6 dead letters to be sent again\n", "{}", done.stderr);
    wait_for_exporter(&dir, "all to arrive", |seen| seen["replayed"] == 8);
    let mut arrived: Vec<String> = left.into_iter().map(|(_, payload)| payload).collect();
    arrived.extend(expected(1, 2));
    arrived.sort();
    assert_eq!(accepted(&server), arrived);
    assert_eq!(listed(&dir), []);
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.replayed, ledger.delivered), (10, 8, 8));
    assert_eq!(ledger.dead_letters["refused"], 10);
}

#[test]
fn dead_letters_are_there_without_a_host_and_after_a_kill() {
    let (server, is_well) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let text = config(&server, KEEP);
    let host = Host::start(&dir, &text);
    send(&dir, 0, 5);
    wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    host.signal(rustix::process::Signal::KILL);
    host.wait();
    let config = dir.config("fantail.conf", &text);
    let by = |arguments: &[&str]| {
        let arguments = arguments.iter().copied().chain(["-c", config.to_str().unwrap()]);
        fantail(["dead-letters"].into_iter().chain(arguments))
    };
    let list = by(&["list", "--json"]);
    assert_eq!((list.status, list.text().lines().count()), (Some(0), 5), "{}", list.stderr);
    let second: Value = serde_json::from_str(list.text().lines().nth(1).unwrap()).unwrap();
    let second = second["id"].as_str().unwrap();
    assert_eq!(by(&["replay", second]).status, Some(69));
    assert_eq!(by(&["drop", second]).text(), "out: 1 dead letter dropped\n");
    assert_eq!(by(&["show", second]).status, Some(65));
    is_well.store(true, Ordering::SeqCst);
    let host = Host::start(&dir, &text);
    // The host has the directory now, and the command finds it.
    let third: Value =
        serde_json::from_str(by(&["list", "--json"]).text().lines().nth(1).unwrap()).unwrap();
    let third = third["id"].as_str().unwrap().to_owned();
    assert_eq!(by(&["drop", &third]).text(), "out: 1 dead letter dropped\n");
    assert_eq!(by(&["replay", "--all", "out"]).text(), "out: 3 dead letters to be sent again\n");
    wait_for_exporter(&dir, "all to arrive", |seen| seen["replayed"] == 3);
    assert_eq!(server.accepted().len(), 3);
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.replayed, ledger.delivered), (0, 3, 3));
    assert_eq!(by(&["list"]).text(), "");
}

#[test]
fn a_stop_does_not_wait_for_letters_that_are_replayed() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let server = HttpSink::start(move |_, _| {
        Reply::status(if down.load(Ordering::SeqCst) { 503 } else { 400 })
    });
    let dir = Workdir::new();
    let host = Host::start(&dir, &(config(&server, KEEP) + "shutdown_timeout = 50 s\n"));
    send(&dir, 0, 5);
    wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    is_down.store(true, Ordering::SeqCst);
    assert_eq!(letters(&dir, &["replay", "--all"]).status, Some(0));
    wait_for_exporter(&dir, "an attempt", |seen| seen["breaker"]["failures"].as_u64() > Some(0));
    assert_eq!(exporter(&dir)["queued"], 0);
    let begun = std::time::Instant::now();
    let ledger = host.stop().expect_status(0).exporter("out");
    assert!(begun.elapsed() < std::time::Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!((ledger.replayed, ledger.dead_letters["refused"]), (0, 5));
    let host = Host::start(&dir, &config(&server, KEEP));
    assert_eq!(listed(&dir).len(), 5);
    host.stop().expect_status(0);
}

#[test]
fn what_is_a_dead_letter_is_no_more_in_a_durable_queue() {
    let (server, _) = picky_server(400, |body| body.contains("\"n\":3}"));
    let dir = Workdir::new();
    let text = config(&server, &format!("{KEEP}  queue = durable"));
    let host = Host::start(&dir, &text);
    send(&dir, 0, 10);
    let seen = wait_for_exporter(&dir, "all to have ended", |seen| {
        seen["matched"] == 10 && seen["queued"] == 0
    });
    assert_eq!((&seen["delivered"], &seen["spool"]["payloads"]), (&9.into(), &0.into()), "{seen}");
    assert_eq!(seen["dead_letters"]["payloads"], 1, "{seen}");
    host.stop().expect_status(0);
    let host = Host::start(&dir, &text);
    // The same name as in the spool, where it is no more.
    assert_eq!(letters(&dir, &["replay", "--all"]).text(), "out: 1 dead letter to be sent again\n");
    let seen = wait_for_exporter(&dir, "it to be dead again", |seen| {
        seen["dead_lettered"]["refused"] == 1
    });
    assert_eq!((&seen["recovered"], &seen["queued"]), (&0.into(), &0.into()), "{seen}");
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.replayed, ledger.dead_letters["refused"]), (1, 1));
}

#[test]
fn a_directory_can_be_had_again_once_the_old_exporter_has_left_it() {
    let (server, is_well) = ill_server(503);
    let dir = Workdir::new();
    let path = dir.config("fantail.conf", &config(&server, KEEP));
    let host = fantail_integration_tests::Starting::with([&path]).start();
    send(&dir, 0, 5);
    wait_for_exporter(&dir, "an attempt", |seen| seen["retries"].as_u64() > Some(0));
    let reload = |more: &str| {
        dir.config("fantail.conf", &config(&server, more));
        fantail(["reload", "-c", path.to_str().unwrap()])
    };
    // The first exporter goes on beside the second one, and may still have letters to keep.
    assert_eq!(reload("").status, Some(0));
    let refused = reload(KEEP);
    assert_ne!(refused.status, Some(0));
    let why = "is in use by an exporter of this host that has been changed or removed";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    is_well.store(true, Ordering::SeqCst);
    host.wait_for_log("has delivered what it had, and ends");
    wait_for("the directory", || (reload(KEEP).status == Some(0)).then_some(()));
    assert!(exporter(&dir)["dead_letters"].is_object());
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.delivered), (5, 5));
}

#[test]
fn a_damaged_letter_costs_no_other_and_is_told_of() {
    let (server, is_well) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let text = config(&server, KEEP);
    let host = Host::start(&dir, &text);
    send(&dir, 0, 5);
    wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    host.stop().expect_status(0);
    let segment = dir.path("state/dead-letters/out/0000000000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(6).position(|part| part == b"\"n\":3}").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    is_well.store(true, Ordering::SeqCst);
    let host = Host::start(&dir, &text);
    assert_eq!(
        letters(&dir, &["replay", "--all"]).text(),
        "out: 4 dead letters to be sent again\n"
    );
    wait_for_exporter(&dir, "the others to arrive", |seen| seen["delivered"] == 4);
    assert_eq!(exporter(&dir)["dead_letters"]["payloads"], 0);
    let ended = host.stop().expect_status(0);
    let line = ended.one_line_with("are damaged; set aside");
    assert!(line.contains("dead letters in ") && line.contains("a payload is lost"), "{line}");
}

#[test]
fn dead_letters_outlive_a_reload() {
    let (server, is_well) = picky_server(400, |_| true);
    let dir = Workdir::new();
    let path = dir.config("fantail.conf", &config(&server, KEEP));
    let host = fantail_integration_tests::Starting::with([&path]).start();
    send(&dir, 0, 5);
    wait_for_exporter(&dir, "all to have ended", |seen| seen["queued"] == 0);
    // The exporter becomes another one, which has the same directory, with another size.
    let more = format!("{KEEP}  dead_letters_max_size = 2 MiB\n  batch_timeout = 1 ms");
    dir.config("fantail.conf", &config(&server, &more));
    assert_eq!(fantail(["reload", "-c", path.to_str().unwrap()]).status, Some(0));
    let seen = exporter(&dir);
    assert_eq!(seen["dead_letters"]["payloads"], 5, "{seen}");
    assert_eq!(seen["dead_letters"]["bytes_max"], 2 << 20, "{seen}");
    is_well.store(true, Ordering::SeqCst);
    assert_eq!(letters(&dir, &["replay", "--all"]).status, Some(0));
    wait_for_exporter(&dir, "all to arrive", |seen| seen["delivered"] == 5);
    host.stop().expect_status(0);
}
