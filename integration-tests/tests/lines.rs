//! Lines of json and tab-text, in by every way and out again.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, Workdir, data, events,
    peers::{send_tcp, send_unix},
};

/// How lines get into a host.
#[derive(Clone, Copy, Debug)]
enum Way {
    Unix,
    Tcp,
    Stdin,
    File,
}

const WAYS: [Way; 4] = [Way::Unix, Way::Tcp, Way::Stdin, Way::File];

fn input(way: Way) -> &'static str {
    match way {
        Way::Unix => "input in {\n  driver = unix\n  path = $DIR/in.sock\n}\n",
        Way::Tcp => "input in {\n  driver = tcp\n  address = 127.0.0.1:0\n}\n",
        Way::Stdin => "input in {\n  driver = stdin\n}\n",
        Way::File => "input in {\n  driver = file\n  path = $DIR/in.txt\n}\n",
    }
}

fn output(format: &str, time_format: &str) -> String {
    format!(
        "hostname = relay
event_exporter out {{
  driver = file
  file_path = $DIR/out
  format = {format}
  time_format = {time_format}
}}
metric all {{
  filter = NOT no_such_field=x
  exporter = out
}}
"
    )
}

/// Sends `bytes` through a host; returns the file that came out, and the end.
fn relay(way: Way, bytes: &[u8], output: &str) -> (Vec<u8>, fantail_integration_tests::Ended) {
    let dir = Workdir::new();
    dir.write("in.txt", bytes);
    let mut host = Host::start(&dir, &(input(way).to_owned() + output));
    let ended = match way {
        Way::Unix => {
            send_unix(dir.path("in.sock"), bytes);
            host.stop()
        }
        Way::Tcp => {
            send_tcp(&host.address("in"), bytes);
            host.stop()
        }
        Way::Stdin => {
            host.take_stdin().write_all(bytes).unwrap();
            host.wait()
        }
        Way::File => host.wait(),
    };
    // Without an event there is no file.
    (fs::read(dir.path("out")).unwrap_or_default(), ended.expect_status(0))
}

#[track_caller]
fn unchanged(way: Way, what: &str, sent: &[u8], came: &[u8]) {
    let split = |bytes: &[u8]| -> Vec<String> {
        bytes
            .split(|byte| *byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).into())
            .collect()
    };
    for (at, (sent, came)) in split(sent).iter().zip(&split(came)).enumerate() {
        assert_eq!(sent, came, "{what} by {way:?}, line {}", at + 1);
    }
    assert_eq!(sent.len(), came.len(), "{what} by {way:?}");
}

#[test]
fn a_relay_changes_nothing() {
    let captured = |name: &str| fs::read(data("captures/dovecot-2.4/expected").join(name)).unwrap();
    let odd = concat!(
        r#"{"event":"odd","hostname":"ä\u0001\"\\","start_time":"1969-12-31T23:59:59.999999Z","#,
        r#""end_time":"2026-03-01T10:00:00.000000Z","categories":["z","a"],"#,
        r#""fields":{"minus":-9223372036854775808,"list":["","a","\t"],"empty":"","":"no key"}}"#,
        "\n",
        r#"{"hostname":"unnamed","start_time":"2026-03-01T10:00:00.000000Z","#,
        r#""end_time":"2026-03-01T10:00:00.000000Z","categories":[],"fields":{}}"#,
        "\n",
    );
    let json = [captured("all.json"), odd.as_bytes().to_vec()].concat();
    for way in WAYS {
        let (came, ended) = relay(way, &json, &output("json", "rfc3339"));
        unchanged(way, "json", &json, &came);
        let lines = json.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(ended.input("in").events, lines);
        assert_eq!(ended.exporter("out").delivered, lines);
        let tab = captured("all.tab");
        let (came, _) = relay(way, &tab, &output("tab-text", "unix"));
        unchanged(way, "tab-text", &tab, &came);
    }
    let unix = captured("all-unix.json");
    let (came, _) = relay(Way::File, &unix, &output("json", "unix"));
    unchanged(Way::File, "json with unix times", &unix, &came);
}

#[test]
fn a_relay_of_hosts_changes_nothing() {
    let json = fs::read(data("captures/dovecot-2.4/expected/all.json")).unwrap();
    let (near, far) = (Workdir::new(), Workdir::new());
    let last = Host::start(&far, &(input(Way::Unix).to_owned() + &output("json", "rfc3339")));
    let next = far.path("in.sock").display().to_string();
    let to_next = output("json", "rfc3339")
        .replace("driver = file", "driver = unix")
        .replace("file_path = $DIR/out", &format!("unix_path = {next}"));
    let first = Host::start(&near, &(input(Way::Tcp).to_owned() + &to_next));
    send_tcp(&first.address("in"), &json);
    first.stop().expect_status(0);
    let lines = json.iter().filter(|byte| **byte == b'\n').count();
    far.wait_for_lines("out", lines);
    last.stop().expect_status(0);
    unchanged(Way::Unix, "json over two hosts", &json, &far.read("out"));
}

#[test]
fn an_idle_host_adds_no_delay() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &(input(Way::Unix).to_owned() + &output("json", "rfc3339")));
    // The connection stays open: nothing but the line itself says that it is over.
    let mut stream = std::os::unix::net::UnixStream::connect(dir.path("in.sock")).unwrap();
    let mut delays = Vec::new();
    for n in 0..20 {
        let sent = Instant::now();
        stream.write_all(&events::lines([events::json("e", n)])).unwrap();
        dir.wait_for_lines("out", n + 1);
        delays.push(sent.elapsed());
    }
    delays.sort();
    // Some milliseconds are the test's own; a busy machine may delay some.
    assert!(delays[10] < Duration::from_millis(100), "{delays:?}");
    drop(stream);
    host.stop().expect_status(0);
}

#[test]
fn a_rare_event_does_not_wait_behind_a_busy_connection() {
    let dir = Workdir::new();
    let config = format!(
        "workers = 1\n{}{}",
        input(Way::Unix),
        "metric busy {
  filter = event=busy
  exporter = nowhere
}
metric rare {
  filter = event=rare
  exporter = out
}
event_exporter nowhere {
  driver = drop
  format = json
}
event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
"
    );
    let host = Host::start(&dir, &config);
    let path = dir.path("in.sock");
    let busy_until = Instant::now() + Duration::from_secs(3);
    let busy = thread::spawn(move || {
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let lines = events::lines((0..500).map(|n| events::json("busy", n)));
        while Instant::now() < busy_until {
            stream.write_all(&lines).unwrap();
        }
    });
    thread::sleep(Duration::from_millis(200));
    let mut stream = std::os::unix::net::UnixStream::connect(dir.path("in.sock")).unwrap();
    stream.write_all(&events::lines([events::json("rare", 1)])).unwrap();
    dir.wait_for_lines("out", 1);
    assert!(!busy.is_finished(), "it came only when nothing else was left to read");
    busy.join().unwrap();
    drop(stream);
    host.stop().expect_status(0);
}

#[test]
fn each_connection_speaks_its_own_language() {
    let dir = Workdir::new();
    let config = input(Way::Unix).to_owned() + &output("json", "rfc3339");
    let host = Host::start(&dir, &config);
    let json = events::lines([events::json("by-json", 1), events::json("by-json", 2)]);
    let tab = events::lines([events::tab_text("by-tab", 1), events::tab_text("by-tab", 2)]);
    send_unix(dir.path("in.sock"), &json);
    send_unix(dir.path("in.sock"), &tab);
    send_unix(dir.path("in.sock"), b"\n  \nwhat is this?\n");
    send_unix(dir.path("in.sock"), &json);
    let ended = host.stop().expect_status(0);
    let lines = dir.lines("out");
    let count = |name: &str| lines.iter().filter(|line| line.contains(name)).count();
    assert_eq!((count("by-json"), count("by-tab"), lines.len()), (4, 2, 6));
    assert_eq!(ended.input("in").rejected, [("unknown-format".to_owned(), 1)].into());
}

#[test]
fn a_malformed_line_costs_that_line_only() {
    let good = events::json("good", 1);
    let check = |bad: &str, reason: &str| {
        let text = format!("{good}\n{bad}\n{bad}\n{good}\n");
        for way in [Way::Unix, Way::Stdin] {
            let (came, ended) = relay(way, text.as_bytes(), &output("json", "rfc3339"));
            assert_eq!(String::from_utf8(came).unwrap(), format!("{good}\n{good}\n"), "{bad}");
            let rejected = ended.input("in").rejected;
            assert_eq!(rejected, [(reason.to_owned(), 2)].into(), "{bad}");
            let shown = ended.one_line_with(" rejected (");
            assert!(shown.contains("line 2 ") && shown.contains("column "), "{shown}");
        }
    };
    check("{\"event\":\"cut", "syntax");
    check("not even json", "syntax");
    check("{\"event\":5}", "wrong-type");
    check("{\"event\":\"a\",\"event\":\"b\"}", "duplicate");
    check("{\"event\":\"a\",\"start_time\":\"yesterday\"}", "time");
}

#[test]
fn a_last_line_may_lack_its_end() {
    let json = |n| events::json("e", n);
    let tab = |n| events::tab_text("e", n);
    let check = |way: Way, first: String, last: String, events: u64, rejected: &[&str]| {
        let text = format!("{first}\n{last}");
        let (came, ended) = relay(way, text.as_bytes(), &output("json", "rfc3339"));
        let ledger = ended.input("in");
        assert_eq!(ledger.events, events, "{last} by {way:?}");
        let reasons: Vec<_> = ledger.rejected.keys().map(String::as_str).collect();
        assert_eq!(reasons, rejected, "{last} by {way:?}");
        assert_eq!(came.iter().filter(|byte| **byte == b'\n').count() as u64, events);
    };
    check(Way::File, json(1), json(2), 2, &[]);
    check(Way::Stdin, json(1), json(2), 2, &[]);
    check(Way::Unix, json(1), json(2), 2, &[]);
    check(Way::File, tab(1), tab(2), 2, &[]);
    // A connection may have been cut anywhere: half a number looks like a whole one.
    check(Way::Unix, tab(1), tab(2), 1, &["truncated"]);
    check(Way::Unix, json(1), "{\"event\":\"e".into(), 1, &["truncated"]);
    check(Way::File, json(1), "{\"event\":\"e".into(), 1, &["syntax"]);
    // The first line as any other: before it nothing is known of the format.
    let check_first = |way: Way, line: &str, events: u64, rejected: &[&str]| {
        let (_, ended) = relay(way, line.as_bytes(), &output("json", "rfc3339"));
        let ledger = ended.input("in");
        let reasons: Vec<_> = ledger.rejected.keys().map(String::as_str).collect();
        assert_eq!((ledger.events, reasons.as_slice()), (events, rejected), "{line} by {way:?}");
    };
    check_first(Way::Unix, "event:x\tfield:a=12", 0, &["truncated"]);
    check_first(Way::Tcp, "even", 0, &["truncated"]);
    check_first(Way::Unix, "{\"event\":\"x\"", 0, &["truncated"]);
    check_first(Way::Unix, "{\"event\":\"x\"}", 1, &[]);
    check_first(Way::File, "event:x\tfield:a=12", 1, &[]);
    check_first(Way::Stdin, "{\"event\":\"x\"}", 1, &[]);
}

#[test]
fn lines_may_end_in_cr_and_lf() {
    let check = |format: &str, line: fn(&str, usize) -> String| {
        let sent = format!("{}\r\n\r\n{}\r\n", line("a", 1), line("b", 2));
        let (came, ended) = relay(Way::Unix, sent.as_bytes(), &output(format, "rfc3339"));
        let expected = format!("{}\n{}\n", line("a", 1), line("b", 2));
        assert_eq!(String::from_utf8(came).unwrap(), expected);
        assert_eq!(ended.input("in").rejected.len(), 0);
    };
    check("json", events::json);
    check("tab-text", events::tab_text);
}

#[test]
fn a_pipeline_ends_when_its_input_ends() {
    let dir = Workdir::new();
    let config = input(Way::Stdin).to_owned()
        + "
event_exporter out {
  driver = log
  log_target = stderr
  format = tab-text
}
metric all {
  filter = event=wanted
  exporter = out
  exporter_include = name fields
}
";
    let mut host = Host::start(&dir, &config);
    let events = [events::json("wanted", 1), events::json("other", 2), events::json("wanted", 3)];
    host.take_stdin().write_all(&events::lines(events)).unwrap();
    let ended = host.wait().expect_status(0);
    let shown = ended.lines_with("event:wanted");
    assert_eq!(shown, ["event:wanted\tfield:n=1", "event:wanted\tfield:n=3"]);
}

#[test]
fn many_connections_keep_their_order() {
    const CONNECTIONS: usize = 50;
    const EVENTS: usize = 400;
    let dir = Workdir::new();
    let config = input(Way::Unix).to_owned() + &output("tab-text", "rfc3339");
    let host = Host::start(&dir, &config);
    let path = dir.path("in.sock");
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let path = &path;
            scope.spawn(move || {
                let name = format!("c{connection}");
                let line: fn(&str, usize) -> String =
                    if connection % 2 == 0 { events::json } else { events::tab_text };
                send_unix(path, &events::lines((0..EVENTS).map(|n| line(&name, n))));
            });
        }
    });
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, (CONNECTIONS * EVENTS) as u64);
    let lines = dir.lines("out");
    for connection in 0..CONNECTIONS {
        let start = format!("event:c{connection}\t");
        let own = lines.iter().filter(|line| line.starts_with(&start));
        let numbers: Vec<_> = own.map(|line| line.rsplit_once("n=").unwrap().1).collect();
        let expected: Vec<_> = (0..EVENTS).map(|n| n.to_string()).collect();
        assert_eq!(numbers, expected, "events of connection {connection}");
    }
}

#[test]
fn a_socket_that_is_in_use_or_no_socket_is_left_alone() {
    let dir = Workdir::new();
    let config =
        dir.config("fantail.conf", &(input(Way::Unix).to_owned() + &output("json", "unix")));
    let run =
        || fantail_integration_tests::fantail(["run".as_ref(), "-c".as_ref(), config.as_os_str()]);
    dir.write("in.sock", "somebody's file");
    let done = run();
    assert_eq!(done.status, Some(71), "{}", done.stderr);
    assert!(done.stderr.contains("is no socket"), "{}", done.stderr);
    assert_eq!(dir.read("in.sock"), b"somebody's file");
    fs::remove_file(dir.path("in.sock")).unwrap();
    // A socket that nobody listens on any more is replaced.
    drop(std::os::unix::net::UnixListener::bind(dir.path("in.sock")).unwrap());
    let host = Host::start(&dir, &fs::read_to_string(&config).unwrap());
    let done = run();
    assert_eq!(done.status, Some(71), "{}", done.stderr);
    assert!(done.stderr.contains("listens there already"), "{}", done.stderr);
    send_unix(dir.path("in.sock"), &events::lines([events::json("still-there", 1)]));
    host.stop().expect_status(0);
    assert!(!dir.path("in.sock").exists());
    assert_eq!(dir.lines("out").len(), 1);
}
