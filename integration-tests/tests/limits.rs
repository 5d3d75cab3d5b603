//! Peers that want more than there is for them, and the others beside them.

use fantail_integration_tests::{Host, Workdir, events, fantail, peers::StatsClient, status};
use rustix::process::Signal;
use serde_json::Value;

fn config(settings: &str) -> String {
    format!(
        "
input dovecot {{
  driver = stats-writer
  path = $DIR/stats-writer
  {settings}
}}
listener reader {{
  driver = stats-reader
  path = $DIR/reader
}}
event_exporter file {{
  driver = file
  file_path = $DIR/out
  format = json
}}
metric everything {{
  filter = event=*
  exporter = file
  exporter_include = name
}}
"
    )
}

/// What the running host in `dir` says of its input.
fn input_status(dir: &Workdir) -> Value {
    status(dir.path("reader"))["inputs"][0].take()
}

/// A connection that was let in.
fn let_in(dir: &Workdir) -> StatsClient {
    let mut client = StatsClient::hello(dir.path("stats-writer"));
    assert_ne!(client.line(), "");
    client
}

/// Connects and finds itself outside again.
fn turned_away(dir: &Workdir) {
    assert_eq!(StatsClient::connect(dir.path("stats-writer")).rest(), "");
}

#[test]
fn who_comes_too_many_is_turned_away() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("max_connections = 2"));
    let first = let_in(&dir);
    let mut second = let_in(&dir);
    turned_away(&dir);
    turned_away(&dir);
    host.wait_for_log("closed at once: there are max_connections already, 2");
    // The others go on, and one that ends makes room.
    second.say(&["EVENT\t0\t0\t0\t1700000000\t0\tnone"]);
    dir.wait_for_lines("out", 1);
    first.finish();
    let third = let_in(&dir);
    turned_away(&dir);
    let status = input_status(&dir);
    assert_eq!(
        [&status["connections"], &status["open"], &status["turned_away"]],
        [&Value::from(3), &Value::from(2), &Value::from(3)]
    );
    let reader = dir.path("reader");
    let shown = fantail(["status", "--socket-path", reader.to_str().unwrap()]);
    assert!(shown.text().contains("3 connections turned away"), "{}", shown.text());

    // Another limit is for those who come; those who are there count.
    dir.config("fantail.conf", &config("max_connections = 3"));
    host.signal(Signal::HUP);
    host.wait_for_log("reloaded: ");
    let fourth = let_in(&dir);
    turned_away(&dir);
    host.wait_for_log("there are max_connections already, 3");
    [second, third, fourth].into_iter().for_each(|client| drop(client.finish()));
    let ended = host.stop().expect_status(0);
    // The rest was held back.
    assert_eq!(ended.lines_with("max_connections already, 2").len(), 1);
}

#[test]
fn the_connections_of_an_input_share_its_room_for_open_events() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("open_events_max_size = 100 k"));
    let pad = "x".repeat(1_000);
    let begin = |id: usize| format!("BEGIN\t{id}\t0\t0\t1700000000\t0\tnbegun\tSpad\t{pad}");
    let (mut greedy, mut other) = (let_in(&dir), let_in(&dir));
    greedy.send(&events::lines((1..=300).map(begin)));
    host.wait_for_log("rejected (no-room)");
    host.wait_for_log("open_events_max_size");
    let status = fantail_integration_tests::wait_for("all lines", || {
        Some(input_status(&dir)).filter(|status| status["received"] == 300)
    });
    let opened = 300 - status["rejected"]["no-room"].as_u64().unwrap();
    assert!((40..100).contains(&opened), "{status}");
    // The others send what is in no need of room, and open something when there is.
    other.say(&["EVENT\t0\t0\t0\t1700000000\t0\tnsent", &begin(1)]);
    fantail_integration_tests::wait_for("both lines", || {
        Some(()).filter(|()| input_status(&dir)["received"] == 302)
    });
    greedy.finish();
    other.send(&events::lines((2..=11).map(begin)));
    other.finish();
    let ended = host.stop().expect_status(0);
    let no_room = ended.input("dovecot").rejected["no-room"];
    assert_eq!(no_room, 300 - opened + 1);
    // A BEGIN is an event as well.
    assert_eq!(dir.lines("out").len() as u64, opened + 1 + 10);
}
