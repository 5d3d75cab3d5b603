//! A running host and those who read it: commands, pages, and peers that mean no good.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Command,
    thread,
};

use fantail_integration_tests::{
    Done, Host, PATIENCE, Starting, Workdir, events, fantail,
    peers::{SilentSink, get, get_with, send_unix, web},
    wait_for,
};
use rustix::process::Signal;

use crate::openmetrics::{PYTHON, READ_OPENMETRICS, read};

const CONFIG: &str = "
shutdown_timeout = 50 s
input in {
  driver = unix
  path = $DIR/in.sock
}
listener reader {
  driver = stats-reader
  path = $DIR/reader.sock
}
listener web {
  driver = http
  listen = 127.0.0.1:0
}
event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
metric all/events {
  filter = event=*
  exporter = out
}
";

const HELLO: &str = "VERSION\tstats-reader-client\t2\t0\n";

/// Runs a command that reads the host by this socket.
fn read_by(socket: &Path, arguments: &[&str]) -> Done {
    fantail(arguments.iter().copied().chain(["-s", socket.to_str().unwrap()]))
}

/// All that a reader's socket says to these bytes, until the end.
fn say(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    String::from_utf8(said).unwrap()
}

#[test]
fn status_shows_the_ledger_of_a_running_host() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let lines = [events::lines((0..3).map(|n| events::json("e", n))), b"garbage\n".into()];
    send_unix(dir.path("in.sock"), &lines.concat());
    dir.wait_for_lines("out", 3);
    let shown = read_by(&dir.path("reader.sock"), &["status"]);
    assert_eq!((shown.status, shown.stderr.as_str()), (Some(0), ""));
    let pid = host.pid();
    let begin = format!("process {pid}: ready, up for ");
    assert!(shown.text().lines().next().unwrap().contains(&begin), "{}", shown.text());
    let row = |start: &str| {
        let line = shown.text().lines().find(|line| line.starts_with(start)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    // The connection is gone, and the ledger balances.
    assert_eq!(row("in "), "0 4 3 1 3 (syntax 1)");
    assert_eq!(row("all/events "), "3");
    assert_eq!(row("out "), "3 3 0 0 0");
    // The same by its configuration, as one line of JSON.
    let config = dir.path("fantail.conf");
    let json = fantail(["status", "--json", "-c", config.to_str().unwrap()]);
    assert_eq!(json.text().lines().count(), 1);
    for part in [&format!("\"pid\":{pid},"), "\"received\":4,", "\"rejected\":{\"syntax\":1}"] {
        assert!(json.text().contains(part), "{}", json.text());
    }
    host.stop().expect_status(0);
    assert!(!dir.path("reader.sock").exists());
}

#[test]
fn statistics_are_dumped_as_doveadm_does() {
    let dir = Workdir::new();
    let config = "
metric mails {
  filter = event=mail
  fields = bytes
  group_by = user
}
";
    let host = Host::start(&dir, &format!("{CONFIG}{config}"));
    let mail = |user: &str, bytes: u32| {
        let fields = format!(r#""user":"{user}","bytes":{bytes},"duration":{}"#, bytes * 2);
        events::json_with("mail", &fields)
    };
    send_unix(dir.path("in.sock"), &events::lines([mail("b c", 10), mail("a", 20), mail("a", 40)]));
    dir.wait_for_lines("out", 3);
    let socket = dir.path("reader.sock");
    let dump = |arguments: &[&str]| {
        let done = read_by(&socket, &[&["stats", "dump"], arguments].concat());
        assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""));
        done.text().to_owned()
    };
    // Into a pipe: byte for byte what doveadm prints.
    let head = "metric_name\tfield\tcount\tsum\tmin\tmax\tavg\tmedian\tstddev\t%95\n";
    let all = "all/events\tduration\t3\t140\t20\t80\t46.67\t40\t24.94\t80\n";
    let begin = format!("{head}{all}mails\tduration\t3\t140\t");
    let shown = dump(&[]);
    assert!(shown.starts_with(&begin), "{shown}");
    assert_eq!(
        dump(&["-f", "count, sum", "--format", "json", "mails_*"]),
        "[\n{\"metric_name\":\"mails_b_c\",\"field\":\"duration\",\"count\":1,\"sum\":20},\n\
         {\"metric_name\":\"mails_b_c\",\"field\":\"bytes\",\"count\":1,\"sum\":10},\n\
         {\"metric_name\":\"mails_a\",\"field\":\"duration\",\"count\":2,\"sum\":120},\n\
         {\"metric_name\":\"mails_a\",\"field\":\"bytes\",\"count\":2,\"sum\":60}\n]\n"
    );
    let table = "metric_name  field     max\nmails        duration   80\n\
                 mails        bytes      40\n";
    assert_eq!(dump(&["-f", "max", "--format", "table", "-r"]).lines().count(), 8);
    let after = dump(&["-f", "max", "--format", "table", "mails"]);
    assert_eq!(after, table.replace("80", " 0").replace("40", " 0"));
    // What the ledger says is not reset.
    assert_eq!(get(&host.listener("web"), "/metrics").sum("fantail_metric_matched_total"), 6);
    let check = |arguments: &[&str], status: i32, said: &str| {
        let done = read_by(&socket, &[&["stats", "dump"], arguments].concat());
        assert_eq!((done.status, done.text()), (Some(status), ""));
        assert!(done.stderr.contains(said), "{}", done.stderr);
    };
    check(&["-f", "cuont"], 2, "there is no statistic `cuont`");
    check(&["-f", " "], 2, "no statistics are asked for");
    check(&["nothing"], 65, "no metric or group of this name");
    check(&["-r", "mails"], 2, "cannot be used with");
    host.stop().expect_status(0);
}

#[test]
fn reopen_makes_drivers_open_their_files_anew() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let send = |n| send_unix(dir.path("in.sock"), &events::lines([events::json("e", n)]));
    send(1);
    dir.wait_for_lines("out", 1);
    fs::rename(dir.path("out"), dir.path("out.1")).unwrap();
    let done = read_by(&dir.path("reader.sock"), &["reopen"]);
    assert_eq!((done.status, done.text(), done.stderr.as_str()), (Some(0), "", ""));
    send(2);
    dir.wait_for_lines("out", 1);
    host.stop().expect_status(0);
    assert_eq!(dir.lines("out.1").len(), 1);
}

#[test]
fn each_way_to_find_no_host_is_told() {
    let dir = Workdir::new();
    let check = |done: Done, status: i32, parts: &[&str]| {
        assert_eq!((done.status, done.text()), (Some(status), ""), "{}", done.stderr);
        for part in parts {
            assert!(done.stderr.contains(part), "{}", done.stderr);
        }
    };
    let absent = dir.path("absent");
    check(read_by(&absent, &["status"]), 69, &["there is no socket", "absent"]);
    check(read_by(&absent, &["reopen"]), 69, &["there is no socket", "absent"]);
    drop(UnixListener::bind(dir.path("stale")).unwrap());
    check(read_by(&dir.path("stale"), &["status"]), 69, &["nobody listens"]);
    // Somebody else's socket: one that speaks another protocol, one that says nothing.
    let other = |name: &str, says: &'static str| {
        let listener = UnixListener::bind(dir.path(name)).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(says.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        read_by(&dir.path(name), &["status"])
    };
    check(
        other("writer", "VERSION\tstats-server\t4\t0\n"),
        76,
        &["stats-server", "no stats-reader"],
    );
    check(other("mute", ""), 69, &["closed the connection without an answer"]);
    let strange = "VERSION\tstats-reader-server\t2\t0\nnonsense\n";
    check(other("strange", strange), 76, &["unexpected answer: `nonsense`"]);
    let older = "VERSION\tstats-reader-server\t2\t0\n-unknown command\n";
    check(other("older", older), 65, &["the host says: unknown command"]);
    // Configurations that have no such socket, or can't be read.
    let config = dir.config("none.conf", "input in {\n  driver = stdin\n}\n");
    let by = |path: &Path| fantail(["status", "-c", path.to_str().unwrap()]);
    check(by(&config), 78, &["no `listener NAME {` with `driver = stats-reader`"]);
    check(by(&absent), 78, &["absent"]);
}

#[test]
fn garbage_on_the_control_socket_harms_nobody() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let socket = dir.path("reader.sock");
    let version = "VERSION\tstats-reader-server\t2\t0\n";
    let refused = "-expected the line VERSION, stats-reader-client, 2, 0\n";
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(say(&socket, bytes), format!("{version}{expected}"));
    };
    check(b"", "");
    check(b"\0\xff\n", refused);
    check(b"GET / HTTP/1.1\r\n\r\n", refused);
    check(b"VERSION\tstats-client\t4\t0\n", refused);
    check(b"half a line", "");
    check(format!("{HELLO}half a line").as_bytes(), "");
    check(&[b'x'; 200_000], "-a line is longer than 65536 bytes\n");
    let unknown = [HELLO.as_bytes(), b"\x01\x07\xff\tx\n"].concat();
    let said = say(&socket, &unknown);
    assert!(said.starts_with(&format!("{version}-unknown command `")), "{said:?}");
    let many = format!("{HELLO}{}", "STATUS\n".repeat(5_000));
    let said = say(&socket, many.as_bytes());
    assert!(said.lines().skip(1).all(|line| line.starts_with("{\"version\"")));
    assert!(said.lines().count() > 1);
    assert_eq!(read_by(&socket, &["status"]).status, Some(0));
    host.stop().expect_status(0);
}

#[test]
fn garbage_on_the_web_port_is_answered_as_such() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let address = host.listener("web");
    let check = |request: &str, status: u16| {
        let answer = web(&address, request.as_bytes());
        let begin = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begin), "{status}: {answer}");
    };
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n")
    };
    check(&get("/healthz", ""), 200);
    check(&get("/healthz?a=b", ""), 200);
    check(&get("/", ""), 200);
    check(&get("/nothing", ""), 404);
    check(&get("/metrics/..", ""), 404);
    check(&get("/metrics", "").replace("GET", "DELETE"), 405);
    check("\x16\x03\x01\x02\x00\x01\x00", 400);
    check("GET /metrics\r\n\r\n", 400);
    check(&get("/", "no colon\r\n"), 400);
    check(&get("/", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400);
    check(&get("/", "Content-Length: 1000000\r\n"), 413);
    check(&get(&format!("/{}", "x".repeat(40_000)), ""), 414);
    check(&get("/", &format!("A: {}\r\n", "x".repeat(40_000))), 431);
    check(&get("/", &"A: b\r\n".repeat(200)), 431);
    check(&get("/", "").replace("GET", "BREW"), 501);
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    // A body that nobody wants is read, and the next request is heard.
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let head = get("/healthz", "").replace("GET", "HEAD");
    let answers = web(&address, format!("{post}{head}").as_bytes());
    let statuses: Vec<&str> =
        answers.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(statuses, ["HTTP/1.1 405 Method Not Allowed", "HTTP/1.1 200 OK"]);
    assert!(answers.contains("Allow: GET, HEAD\r\n") && answers.ends_with("\r\n\r\n"), "{answers}");
    host.stop().expect_status(0);
}

#[test]
fn readiness_ends_before_the_host_does() {
    let dir = Workdir::new();
    let _silent = SilentSink::listen(dir.path("out.sock"));
    let config = CONFIG
        .replace("driver = file", "driver = unix")
        .replace("file_path = $DIR/out", "unix_path = $DIR/out.sock");
    let host = Host::start(&dir, &config);
    let address = host.listener("web");
    let ready = get(&address, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    // More than the peer's socket takes.
    send_unix(dir.path("in.sock"), &events::lines((0..20_000).map(|n| events::json("e", n))));
    host.signal(Signal::TERM);
    wait_for("the host to say that it stops", || {
        let ready = get(&address, "/readyz");
        (ready.status == 503).then_some(ready)
    });
    let ready = get(&address, "/readyz");
    assert_eq!(ready.body, "stopping: no more events are taken\n");
    assert_eq!(get(&address, "/healthz").status, 200);
    assert_eq!(get(&address, "/metrics").figure("fantail_ready"), 0);
    let status = read_by(&dir.path("reader.sock"), &["status"]);
    assert!(status.text().contains(": stopping, up for "), "{}", status.text());
    // Told once more, a second later, it waits no longer.
    thread::sleep(std::time::Duration::from_millis(1_100));
    host.stop().expect_status(75);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let dir = Workdir::new();
    let _taken = UnixListener::bind(dir.path("reader.sock")).unwrap();
    let start = |config: &str| {
        Starting::with([dir.config("fantail.conf", config)]).spawn().wait().expect_status(71)
    };
    let ended = start(CONFIG);
    let line = ended.one_line_with("listener reader: ");
    assert!(line.contains("reader.sock") && line.contains("somebody listens there"), "{line}");
    // Nothing of it has begun.
    assert!(!dir.path("in.sock").exists() && !dir.path("out").exists());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    let config = CONFIG.replace("reader.sock", "free.sock").replace("127.0.0.1:0", &address);
    let ended = start(&config);
    let line = ended.one_line_with("listener web: ");
    assert!(line.contains(&address), "{line}");
    assert!(!dir.path("free.sock").exists());
}

#[test]
fn the_ledger_balances_in_the_metrics_after_faults() {
    let dir = Workdir::new();
    let _silent = SilentSink::listen(dir.path("out.sock"));
    let config =
        CONFIG.replace("driver = file", "driver = unix\n  queue_full = drop_newest").replace(
            "file_path = $DIR/out",
            "unix_path = $DIR/out.sock\n  queue_max_size = 16 KiB\n  batch_max_size = 4 KiB",
        );
    let more = "
metric mails {
  filter = event=mail_delivery_finished
}
listener compat {
  driver = http
  listen = 127.0.0.1:0
  openmetrics_compat = dovecot
}
";
    let host = Host::start(&dir, &format!("{}{more}", config.replace("50 s", "0")));
    let address = host.listener("web");
    let lines = events::lines((0..20_000).map(|n| events::json("e", n)));
    send_unix(dir.path("in.sock"), &[lines, b"garbage\n{\"x\":1}\n".repeat(5)].concat());
    let page = wait_for("all lines", || {
        let page = get(&address, "/metrics");
        (page.figure("fantail_input_received_total{input=\"in\"}") == 20_010).then_some(page)
    });
    let input = |name: &str| page.sum(&format!("fantail_input_{name}"));
    assert_eq!(input("received_total"), input("decoded_total") + input("rejected_total"));
    assert_eq!((input("rejected_total"), input("events_total")), (10, 20_000));
    let out = |name: &str| page.sum(&format!("fantail_exporter_{name}"));
    assert_eq!(
        out("matched_total"),
        out("delivered_total") + out("dropped_total") + out("queued_payloads")
    );
    let full = "fantail_exporter_dropped_total{exporter=\"out\",reason=\"queue_full\"}";
    assert!(page.figure(full) > 0, "{}", page.body);
    assert_eq!(page.sum("fantail_metric_matched_total"), 20_000);
    assert!(out("queue_bytes") <= out("queue_max_bytes") && out("queue_max_bytes") == 16 << 10);
    assert_eq!(out("delivery_seconds_count"), out("delivered_total"));
    assert!(out("batch_payloads_count") >= 1 && out("format_seconds_count") >= 1);
    assert!(page.body.contains("# TYPE dovecot_mails_total counter\ndovecot_mails_total 0\n"));
    let said = read(Command::new("promtool").args(["check", "metrics"]), &page.body);
    assert_eq!((said.text(), said.stderr.as_str()), ("", ""));
    // Prometheus asks for OpenMetrics, which ends with a mark.
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let page = get_with(&address, "/metrics", accept);
    assert!(page.headers.iter().any(|line| line.contains("application/openmetrics-text")));
    assert!(page.body.ends_with("\n# EOF\n") && page.body.matches("# EOF").count() == 1);
    let strict = read(Command::new(PYTHON).args(["-c", READ_OPENMETRICS]), &page.body);
    let lines = page.body.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(strict.text().lines().count(), lines.count());
    // As Dovecot shows it, with our own figures behind that.
    let page = get(&host.listener("compat"), "/metrics");
    for line in ["# TYPE dovecot_build info", "dovecot_mails_total 0", "fantail_ready 1"] {
        assert!(page.body.lines().any(|found| found == line), "{line}\n{}", page.body);
    }
    assert!(page.body.ends_with("\n# EOF\n") && page.body.matches("# EOF").count() == 1);
    host.stop().expect_status(75);
}

#[test]
fn slow_peers_are_closed_and_many_make_room() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let address = host.listener("web");
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    // Whoever does not finish is told so; whoever does not read is left.
    let mut half = connect();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost").unwrap();
    let deaf = UnixStream::connect(dir.path("reader.sock")).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let _ = (&deaf).write(HELLO.as_bytes());
    let lines = "STATUS\n".repeat(1_000);
    // Until nothing goes in any more: the host waits for its answers to be taken.
    wait_for("the socket to be full", || (&deaf).write(lines.as_bytes()).is_err().then_some(()));
    // Others are served meanwhile, however many there are.
    let crowd: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    assert_eq!(get(&address, "/healthz").status, 200);
    assert_eq!(read_by(&dir.path("reader.sock"), &["status"]).status, Some(0));
    let mut told = String::new();
    half.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    wait_for("the deaf one to be left", || {
        let written = (&deaf).write(b"\n");
        written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe).then_some(())
    });
    // The idle ones that had to make room are closed, the others are not.
    let is_open = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let open = crowd.iter().filter(|stream| is_open(stream)).count();
    assert!((30..100).contains(&open), "{open}");
    host.stop().expect_status(0);
}
