//! Dovecot's processes at the stats-writer socket, well-behaved and not.

use std::{os::unix::fs::PermissionsExt, thread};

use fantail_integration_tests::{Ended, Host, Workdir, events, peers::StatsClient};

/// Everything named goes to a file, by its name and fields.
const CONFIG: &str = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
  mode = 0600
}
event_exporter file {
  driver = file
  file_path = $DIR/out
  format = json
}
metric everything {
  filter = event=*
  exporter = file
  exporter_include = name fields
}
";

/// What CONFIG writes for `events::stats(name, n)`.
fn exported(name: &str, n: usize) -> String {
    format!("{{\"event\":\"{name}\",\"fields\":{{\"n\":{n},\"duration\":25}}}}")
}

/// Plays one connection that says hello and then `lines`; returns the lines that
/// came out, and the end of the host.
fn play(lines: &[&str]) -> (Vec<String>, Ended) {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let mut client = StatsClient::hello(dir.path("stats-writer"));
    client.say(lines);
    client.finish();
    let ended = host.stop().expect_status(0);
    (dir.lines("out"), ended)
}

#[test]
fn the_handshake_comes_at_once_and_as_dovecot_expects_it() {
    let dir = Workdir::new();
    let host = Host::start(
        &dir,
        "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
  mode = 0640
}
metric one {
  filter = event=imap_command_finished
}
metric two {
  filter = event = auth* AND NOT user=a
}
",
    );
    let mode = std::fs::metadata(dir.path("stats-writer")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    // The server speaks first: the client has not said a word yet.
    let mut client = StatsClient::connect(dir.path("stats-writer"));
    assert_eq!(client.line(), "VERSION\tstats-server\t4\t0\n");
    let filter =
        "(event=\"imap_command_finished\") OR ((event=\"auth*\" AND (NOT \"user\"=\"a\")))";
    assert_eq!(client.line(), format!("FILTER\t{filter}\n"));
    // It is a filter again, for whoever evaluates it.
    let wanted = events::lines([events::json("auth_x", 1), events::json("other", 2)]);
    let found = fantail_integration_tests::feed(["filter", "-n", filter], &wanted);
    assert_eq!(found.text(), "1\n", "{}", found.stderr);
    drop(client);
    host.stop().expect_status(0);
}

#[test]
fn the_filter_is_escaped() {
    let dir = Workdir::new();
    let config = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
}
metric odd {
  filter = user=\"a\tb\"
}
";
    let host = Host::start(&dir, config);
    let mut client = StatsClient::connect(dir.path("stats-writer"));
    assert_eq!(client.line(), "VERSION\tstats-server\t4\t0\n");
    assert_eq!(client.line(), "FILTER\t(\"user\"=\"a\u{1}tb\")\n");
    drop(client);
    host.stop().expect_status(0);
}

#[test]
fn without_metrics_nothing_is_wanted() {
    let dir = Workdir::new();
    let config = "input dovecot {\n  driver = stats-writer\n  path = $DIR/stats-writer\n}\n";
    let host = Host::start(&dir, config);
    let mut client = StatsClient::connect(dir.path("stats-writer"));
    assert_eq!(client.line(), "VERSION\tstats-server\t4\t0\n");
    assert_eq!(client.line(), "FILTER\t\n");
    drop(client);
    host.stop().expect_status(0);
}

#[test]
fn another_minor_version_is_welcome_and_others_are_not() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let event = events::stats("welcome", 1);
    let mut newer = StatsClient::connect(dir.path("stats-writer"));
    newer.say(&["VERSION\tstats-client\t4\t9", &event]);
    newer.finish();
    for wrong in ["VERSION\tstats-client\t5\t0", "VERSION\tother-client\t4\t0", "hello"] {
        let mut client = StatsClient::connect(dir.path("stats-writer"));
        client.say(&[wrong, &event]);
        // The server closes; the test does not.
        client.rest();
    }
    let ended = host.stop().expect_status(0);
    assert_eq!(dir.lines("out"), [exported("welcome", 1)]);
    assert_eq!(ended.input("dovecot").rejected["version"], 3);
    ended.one_line_with("rejected (version)");
}

#[test]
fn a_malformed_line_costs_that_line_only() {
    let good = events::stats("good", 7);
    let check = |line: &str, reason: &str| {
        let (lines, ended) = play(&[&good, line, line, line, &good]);
        assert_eq!(lines, [exported("good", 7), exported("good", 7)], "{line}");
        let ledger = ended.input("dovecot");
        assert_eq!((ledger.received, ledger.events), (5, 2), "{line}");
        assert_eq!(ledger.rejected, [(reason.to_owned(), 3)].into(), "{line}");
        // Shown once, with the place and the text.
        let shown = ended.one_line_with(" rejected (");
        assert!(shown.contains("line 3 "), "{shown}");
        let start = line.split('\t').next().unwrap();
        assert!(shown.contains(start), "{shown}");
    };
    check("EVNT\t0\t0", "unknown-command");
    check("EVENT\t0\t0\t0\tsoon\t0\tnx", "syntax");
    check("EVENT\t0\t0", "syntax");
    check("EVENT\t0\t0\t0\t1700000000\t0\tnx\tIn\tmany", "syntax");
    check("EVENT\t0\t4711\t0\t1700000000\t0\tnx", "unknown-parent");
    check("EVENT\t4711\t0\t0\t1700000000\t0\tnx", "unknown-event");
    check("EVENT\t0\t0\t0\t1700000000\t0\tnx\tcnever-registered", "unknown-category");
    check("BEGIN\t1\t4711\t0\t1700000000\t0", "unknown-parent");
    check("UPDATE\t4711\t0\t1700000000\t0", "unknown-event");
    check("END\t4711", "unknown-event");
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let mut client = StatsClient::hello(dir.path("stats-writer"));
    let good = |n| events::stats("good", n);
    let field = |bytes: usize| format!("{}\tSlong\t{}", good(2), "x".repeat(bytes));
    // The limit is 128 KiB: one below it, one just above, and one far above, which
    // comes in many reads.
    client.say(&[&good(1), &field(100 << 10), &field(128 << 10), &field(5 << 20), &good(3)]);
    client.finish();
    let ended = host.stop().expect_status(0);
    let lines = dir.lines("out");
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0], &lines[2]), (&exported("good", 1), &exported("good", 3)));
    assert!(lines[1].len() > 100 << 10);
    assert_eq!(ended.input("dovecot").rejected, [("too-long".to_owned(), 2)].into());
    assert!(ended.one_line_with("rejected (too-long)").len() < 1000);
}

#[test]
fn what_kills_dovecots_own_server_harms_nothing() {
    // A last sent before the creation; a list with an empty second element.
    let backwards = "EVENT\t0\t0\t0\t1700000000\t0\tl1600000000\t0\tnbackwards";
    let list = "EVENT\t0\t0\t0\t1700000000\t0\tnlist\tLlist\t2\ta\t";
    let (lines, ended) = play(&[backwards, list, &events::stats("good", 1)]);
    assert_eq!(ended.input("dovecot").rejected.len(), 0);
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains("\"list\":[\"a\",\"\"]"), "{}", lines[1]);
    assert_eq!(lines[2], exported("good", 1));
}

#[test]
fn open_events_are_parents_until_they_end() {
    let begin = "BEGIN\t1\t0\t0\t1700000000\t0\tnsession\tSuser\talice";
    let child = "EVENT\t0\t1\t0\t1700000000\t0\tnchild";
    let update = "UPDATE\t1\t0\t1700000000\t0\tnsession\tSuser\tbob";
    let (lines, ended) = play(&[begin, child, update, child, "END\t1", child]);
    let users: Vec<_> =
        lines.iter().map(|line| (line.contains("alice"), line.contains("bob"))).collect();
    assert_eq!(users, [(true, false), (true, false), (false, true)], "{lines:?}");
    assert_eq!(ended.input("dovecot").rejected, [("unknown-parent".to_owned(), 1)].into());
}

#[test]
fn open_events_are_bounded() {
    const OPENED: usize = 20_000;
    let dir = Workdir::new();
    let config = CONFIG.replace("mode = 0600", "open_events_max = 5000");
    let host = Host::start(&dir, &config);
    let mut client = StatsClient::hello(dir.path("stats-writer"));
    let begin = |id| format!("BEGIN\t{id}\t0\t0\t1700000000\t0\tnsession\tSuser\tu{id}");
    client.send(&events::lines((1..=OPENED).map(begin)));
    // Those that were refused are no parents; the others are.
    client.say(&["EVENT\t0\t5000\t0\t1700000000\t0\tnchild"]);
    client.say(&["EVENT\t0\t5001\t0\t1700000000\t0\tnchild"]);
    // Room comes back.
    client.send(&events::lines((1..=5000).map(|id| format!("END\t{id}"))));
    client.send(&events::lines((1..=10).map(begin)));
    client.finish();
    let ended = host.stop().expect_status(0);
    let rejected = ended.input("dovecot").rejected;
    assert_eq!(rejected["too-many"], OPENED as u64 - 5000);
    assert_eq!(rejected["unknown-parent"], 1);
    assert_eq!(dir.lines("out").len(), 5000 + 1 + 10);
}

#[test]
fn two_hundred_connections_at_once() {
    const CONNECTIONS: usize = 200;
    const EVENTS: usize = 100;
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let path = dir.path("stats-writer");
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let path = &path;
            scope.spawn(move || {
                let mut client = StatsClient::hello(path);
                let name = format!("c{connection}");
                client.send(&events::lines((0..EVENTS).map(|n| events::stats(&name, n))));
                client.finish();
            });
        }
    });
    let ended = host.stop().expect_status(0);
    let ledger = ended.input("dovecot");
    assert_eq!((ledger.received, ledger.events), (20_000, 20_000));
    assert_eq!(ended.exporter("file").delivered, 20_000);
    let lines = dir.lines("out");
    assert_eq!(lines.len(), CONNECTIONS * EVENTS);
    // Each connection's events are all there, in order.
    for connection in 0..CONNECTIONS {
        let name = format!("c{connection}");
        let start = format!("{{\"event\":\"{name}\",");
        let own: Vec<_> = lines.iter().filter(|line| line.starts_with(&start)).collect();
        let expected: Vec<_> = (0..EVENTS).map(|n| exported(&name, n)).collect();
        assert!(own.into_iter().eq(&expected), "events of {name}");
    }
}
