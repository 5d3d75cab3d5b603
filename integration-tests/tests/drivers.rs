//! The bundled drivers and their peers.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixDatagram,
    },
    thread,
    time::Duration,
};

use fantail_integration_tests::{
    Host, Workdir, events,
    peers::{HttpSink, LineSink, Reply, send_unix},
    wait_for,
};
use rustix::process::Signal;

/// An input, and an exporter `out` with these settings that gets everything.
fn config(exporter: &str) -> String {
    format!(
        "
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
{exporter}
}}
metric all {{
  filter = event=*
  exporter = out
}}
"
    )
}

fn send(dir: &Workdir, from: usize, to: usize) {
    send_unix(dir.path("in.sock"), &events::lines((from..to).map(|n| events::json("e", n))));
}

fn expected(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| events::json("e", n)).collect()
}

const FILE: &str = "  driver = file\n  file_path = $DIR/out\n  format = json";

#[test]
fn file_appends_lines_to_a_private_file() {
    let dir = Workdir::new();
    for from in [0, 10] {
        let host = Host::start(&dir, &config(FILE));
        send(&dir, from, from + 10);
        host.stop().expect_status(0);
    }
    assert_eq!(dir.lines("out"), expected(0, 20));
    assert!(dir.read("out").ends_with(b"\n"));
    let mode = fs::metadata(dir.path("out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn file_is_opened_anew_by_sigusr1() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config(FILE));
    send(&dir, 0, 10);
    dir.wait_for_lines("out", 10);
    fs::rename(dir.path("out"), dir.path("out.1")).unwrap();
    // A file that was moved away is still the one that is written to.
    send(&dir, 10, 20);
    dir.wait_for_lines("out.1", 20);
    host.signal(Signal::USR1);
    // The signal and the next lines take different ways through the host.
    wait_for("the file to be opened anew", || {
        let old = dir.lines("out.1").len();
        send(&dir, 20, 21);
        wait_for("the line", || {
            (dir.lines("out").len() + dir.lines("out.1").len() > old).then_some(())
        });
        dir.path("out").exists().then_some(())
    });
    let ended = host.stop().expect_status(0);
    let lines = dir.lines("out.1").len() + dir.lines("out").len();
    assert_eq!(lines as u64, ended.exporter("out").delivered);
}

#[test]
fn file_refuses_a_symbolic_link() {
    let dir = Workdir::new();
    dir.write("precious", "do not touch\n");
    symlink(dir.path("precious"), dir.path("out")).unwrap();
    let host = Host::start(&dir, &(config(FILE) + "shutdown_timeout = 500 ms\n"));
    send(&dir, 0, 10);
    host.wait_for_log("exporter out: ");
    let ended = host.stop().expect_status(75);
    assert_eq!(dir.read("precious"), b"do not touch\n");
    assert_eq!(ended.exporter("out").dropped("shutdown"), 10);
    // With the link gone the events arrive.
    fs::remove_file(dir.path("out")).unwrap();
    let host = Host::start(&dir, &config(FILE));
    send(&dir, 0, 10);
    host.stop().expect_status(0);
    assert_eq!(dir.lines("out"), expected(0, 10));
}

#[test]
fn file_waits_for_its_directory() {
    let dir = Workdir::new();
    let exporter = FILE.replace("$DIR/out", "$DIR/later/out") + "\n  retry_max_pause = 200 ms";
    let host = Host::start(&dir, &config(&exporter));
    send(&dir, 0, 100);
    host.wait_for_log("payloads not delivered, will try again");
    fs::create_dir(dir.path("later")).unwrap();
    dir.wait_for_lines("later/out", 100);
    host.wait_for_log("delivering again");
    host.stop().expect_status(0);
    assert_eq!(dir.lines("later/out"), expected(0, 100));
}

#[test]
fn unix_loses_nothing_while_its_peer_is_absent() {
    let dir = Workdir::new();
    let exporter =
        "  driver = unix\n  unix_path = $DIR/out.sock\n  format = json\n  retry_max_pause = 200 ms";
    let host = Host::start(&dir, &config(exporter));
    send(&dir, 0, 5_000);
    let trouble = host.wait_for_log("payloads not delivered, will try again");
    assert!(trouble.contains("out.sock"), "{trouble}");
    let sink = LineSink::listen(dir.path("out.sock"));
    assert_eq!(sink.wait_for(5_000), expected(0, 5_000));
    send(&dir, 5_000, 6_000);
    assert_eq!(sink.wait_for(6_000), expected(0, 6_000));
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 6_000);
    assert_eq!(ended.lines_with("not delivered").len(), 1);
}

#[test]
fn unix_finds_a_peer_that_was_restarted() {
    let dir = Workdir::new();
    let exporter =
        "  driver = unix\n  unix_path = $DIR/out.sock\n  format = json\n  retry_max_pause = 200 ms";
    let host = Host::start(&dir, &config(exporter));
    let accept_lines = |listener: &std::os::unix::net::UnixListener, count: usize| {
        use std::io::{BufRead, BufReader};
        let (stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream).lines().take(count);
        lines.map(Result::unwrap).collect::<Vec<_>>()
    };
    for round in 0..3 {
        let _ = fs::remove_file(dir.path("out.sock"));
        let listener = std::os::unix::net::UnixListener::bind(dir.path("out.sock")).unwrap();
        send(&dir, 10 * round, 10 * round + 10);
        let lines = accept_lines(&listener, 10);
        assert_eq!(lines, expected(10 * round, 10 * round + 10));
    }
    host.stop().expect_status(0);
}

fn http(url: &str, more: &str) -> String {
    config(&format!("  driver = http-post\n  http_post_url = {url}\n  format = json\n{more}"))
}

#[test]
fn http_posts_each_event_by_itself_over_few_connections() {
    let check = |format: &str, content_type: &str| {
        let server = HttpSink::start(|_, _| Reply::status(200));
        let dir = Workdir::new();
        let config = http(&server.url("/events?a=b"), "").replace("format = json", format);
        let host = Host::start(&dir, &config);
        send(&dir, 0, 100);
        server.wait_for(100);
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.exporter("out").delivered, 100);
        let requests = server.requests();
        assert_eq!(requests.len(), 100);
        for (request, _) in &requests {
            assert_eq!(request.line, "POST /events?a=b");
            assert_eq!(request.header("content-type"), Some(content_type));
            let agent = request.header("user-agent").unwrap();
            assert!(agent.starts_with("fantail/"), "{agent}");
        }
        assert!(server.connections() <= 8, "{} connections", server.connections());
        let mut bodies = server.accepted();
        bodies.sort();
        bodies
    };
    let mut all = expected(0, 100);
    all.sort();
    assert_eq!(check("format = json", "application/json"), all);
    check("format = tab-text", "text/plain");
    check("format = none", "application/octet-stream");
}

#[test]
fn http_has_several_requests_under_way() {
    let server = HttpSink::start(|_, _| Reply::status(200).after(Duration::from_millis(20)));
    let dir = Workdir::new();
    let host =
        Host::start(&dir, &http(&server.url("/"), "  http_client_max_parallel_connections = 4"));
    send(&dir, 0, 200);
    server.wait_for(200);
    host.stop().expect_status(0);
    assert!((2..=4).contains(&server.in_flight_max()), "{} under way", server.in_flight_max());
}

#[test]
fn http_tries_again_what_the_server_could_not_take() {
    // The first three fail; each event is accepted exactly once.
    let server = HttpSink::start(|before, _| Reply::status(if before < 3 { 500 } else { 200 }));
    let dir = Workdir::new();
    let host = Host::start(&dir, &http(&server.url("/"), "  retry_max_pause = 200 ms"));
    send(&dir, 0, 100);
    let mut bodies = server.wait_for(100);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 100);
    bodies.sort();
    let mut all = expected(0, 100);
    all.sort();
    assert_eq!(bodies, all);
    assert_eq!(server.requests().len(), 103);
}

#[test]
fn http_gives_up_what_the_server_will_never_take() {
    let server = HttpSink::start(|_, request| {
        Reply::status(if request.body.contains("\"n\":7}") { 400 } else { 200 })
    });
    let dir = Workdir::new();
    let host = Host::start(&dir, &http(&server.url("/"), ""));
    send(&dir, 0, 20);
    server.wait_for(19);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered), (20, 19));
    assert_eq!(ledger.dropped, [("refused".to_owned(), 1)].into());
    assert!(ended.one_line_with("dropped 1 payloads").contains("400"));
}

#[test]
fn http_delivers_all_to_a_server_that_takes_its_time() {
    // Dovecot delivers 5 of these 200: its timeout runs while they wait in line.
    let server = HttpSink::start(|_, _| Reply::status(200).after(Duration::from_millis(50)));
    let dir = Workdir::new();
    let host = Host::start(&dir, &http(&server.url("/"), ""));
    send(&dir, 0, 200);
    assert_eq!(server.wait_for(200).len(), 200);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 200);
}

#[test]
fn http_survives_a_server_that_hangs_up() {
    let server = HttpSink::start(|before, _| Reply::status(if before % 5 == 0 { 0 } else { 200 }));
    let dir = Workdir::new();
    let host = Host::start(&dir, &http(&server.url("/"), "  retry_max_pause = 100 ms"));
    send(&dir, 0, 50);
    let bodies = server.wait_for(50);
    host.stop().expect_status(0);
    let distinct: std::collections::BTreeSet<_> = bodies.iter().collect();
    assert_eq!(distinct.len(), 50);
}

#[test]
fn log_writes_to_standard_error() {
    let dir = Workdir::new();
    let exporter = "  driver = log\n  log_target = stderr\n  format = json";
    let host = Host::start(&dir, &config(exporter));
    send(&dir, 0, 10);
    let ended = host.stop().expect_status(0);
    let shown: Vec<_> = ended.log.iter().filter(|line| line.starts_with('{')).collect();
    assert_eq!(shown, expected(0, 10).iter().collect::<Vec<_>>());
}

#[test]
fn log_writes_to_a_syslog_socket() {
    let dir = Workdir::new();
    let daemon = UnixDatagram::bind(dir.path("log")).unwrap();
    daemon.set_read_timeout(Some(fantail_integration_tests::PATIENCE)).unwrap();
    let receiver = thread::spawn(move || {
        let mut buffer = [0; 65536];
        let record = |_| {
            let count = daemon.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..count].to_vec()).unwrap()
        };
        (0..10).map(record).collect::<Vec<_>>()
    });
    let exporter =
        "  driver = log\n  log_target = syslog\n  log_syslog_socket = $DIR/log\n  format = json";
    let host = Host::start(&dir, &config(exporter));
    send(&dir, 0, 10);
    for (record, event) in receiver.join().unwrap().iter().zip(expected(0, 10)) {
        assert!(record.starts_with("<22>"), "{record}");
        assert!(record.contains(&format!("fantail[{}]: ", host.pid())), "{record}");
        assert!(record.ends_with(&event), "{record}");
    }
    host.stop().expect_status(0);
}

#[test]
fn log_writes_structured_data() {
    let dir = Workdir::new();
    let daemon = UnixDatagram::bind(dir.path("log")).unwrap();
    daemon.set_read_timeout(Some(fantail_integration_tests::PATIENCE)).unwrap();
    let exporter = "  driver = log\n  log_target = syslog\n  log_syslog_socket = $DIR/log\n  \
                    format = none\n  log_format = rfc5424\n  log_facility = local3\n  \
                    log_app_name = events\n  log_fields = user n";
    let host = Host::start(&dir, &config(exporter));
    let event = events::json_with("e", "\"user\":\"a\\tb\",\"n\":7");
    send_unix(dir.path("in.sock"), &events::lines([event]));
    let mut record = [0; 1000];
    let count = daemon.recv(&mut record).unwrap();
    let expected = format!(
        "<158>1 2026-03-01T10:00:00.000002Z mail1 events {} e \
         [fantail@32473 user=\"a\tb\" n=\"7\"] ",
        host.pid()
    );
    assert_eq!(String::from_utf8_lossy(&record[..count]), expected);
    host.stop().expect_status(0);
}

#[test]
fn log_cuts_long_fields() {
    let dir = Workdir::new();
    let exporter = "  driver = log\n  log_target = stderr\n  format = json";
    let host = Host::start(&dir, &config(exporter));
    let long = events::json_with("long", &format!("\"text\":\"{}\"", "x".repeat(5000)));
    send_unix(dir.path("in.sock"), &events::lines([long]));
    let ended = host.stop().expect_status(0);
    let shown = ended.one_line_with("\"event\":\"long\"");
    assert!(shown.contains(&format!("{}...\"", "x".repeat(1000))), "{shown}");
    assert!(!shown.contains(&"x".repeat(1001)), "{shown}");
}

#[test]
fn drop_takes_everything() {
    let dir = Workdir::new();
    let host = Host::start(&dir, &config("  driver = drop\n  format = json"));
    send(&dir, 0, 10_000);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered), (10_000, 10_000));
    assert_eq!(ledger.dropped.len(), 0);
}
