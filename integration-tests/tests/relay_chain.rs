//! Hosts in a chain: `http-post` to an `http` input.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use fantail_integration_tests::{
    Host, PATIENCE, Starting, Workdir, data, events,
    peers::{LineSink, send_unix, web},
    wait_for,
};

use rustix::process::Signal;

/// The end of a chain: an `http` input with these settings, and a file.
fn collector(more: &str, format: &str) -> String {
    format!(
        "
workers = 2
input in {{
  driver = http
  address = 127.0.0.1:0
{more}
}}
event_exporter out {{
  driver = file
  file_path = $DIR/out
  format = {format}
}}
metric all {{
  filter = event=*
  exporter = out
}}
"
    )
}

/// The beginning of a chain: lines on a socket, and requests to this address.
fn sender(address: &str, more: &str, format: &str) -> String {
    format!(
        "
workers = 2
shutdown_timeout = 30 s
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
  driver = http-post
  http_post_url = {address}
  http_post_relay = yes
  http_client_request_absolute_timeout = 10 s
  retry_min_pause = 10 ms
  retry_max_pause = 100 ms
  format = {format}
{more}
}}
metric all {{
  filter = event=*
  exporter = out
}}
"
    )
}

fn url(host: &Host) -> String {
    format!("http://{}/events", host.address("in"))
}

/// Events with what a relay could lose: a host name of their own, times, durations, categories in
/// an order of their own, and none of these.
fn line(format: &str, n: usize) -> String {
    match (format, n % 4) {
        ("json", 0) => events::json("e", n),
        ("json", 1) => format!(
            "{{\"event\":\"f\",\"hostname\":\"m\\u00fc\\n2\",\"start_time\":\
             \"2026-03-01T10:00:00.000001Z\",\"end_time\":\"2026-03-01T10:00:03.000002Z\",\
             \"categories\":[\"z\",\"imap\",\"a\"],\"fields\":{{\"duration\":17,\"n\":{n},\
             \"list\":[\"]\",\"}}\"],\"text\":\"\\\\\\\"{{[\"}}}}"
        )
        .replace("\\u00fc", "\u{fc}"),
        ("json", 2) => format!("{{\"event\":\"g\",\"fields\":{{\"n\":{n}}}}}"),
        ("json", _) => format!("{{\"event\":\"h\",\"categories\":[],\"fields\":{{\"n\":{n}}}}}"),
        (_, 0 | 1) => events::tab_text("e", n),
        (_, 2) => format!("event:g\tfield:n={n}"),
        (_, _) => {
            format!("event:h\thostname:x\tfield:a=1\\t2\tfield:n={n}").replace("\\t", "\u{1}t")
        }
    }
}

/// Checks thousands of lines, and shows the first that is another one.
#[track_caller]
fn check_lines(found: &[String], expected: &[String]) {
    if let Some(at) = (0..expected.len()).find(|&at| found.get(at) != Some(&expected[at])) {
        panic!("line {at}: {:?} instead of {:?}", found.get(at), expected[at]);
    }
    assert_eq!(found.len(), expected.len(), "{:?} is too much", found.get(expected.len()));
}

fn check_chain(format: &str, more: &str, count: usize) {
    let (first, last) = (Workdir::new(), Workdir::new());
    let end = Host::start(&last, &collector("", format));
    let begin = Host::start(&first, &sender(&url(&end), more, format));
    let lines: Vec<String> = (0..count).map(|n| line(format, n)).collect();
    send_unix(first.path("in.sock"), &events::lines(lines.clone()));
    let ended = begin.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, count as u64);
    let ended = end.stop().expect_status(0);
    // Each as it came in, in the order of its connection.
    check_lines(&last.lines("out"), &lines);
    let ledger = ended.input("in");
    assert_eq!((ledger.received, ledger.events), (count as u64, count as u64));
}

#[test]
fn one_event_a_request_passes_unchanged() {
    check_chain("json", "", 200);
}

#[test]
fn lines_of_json_pass_unchanged() {
    check_chain("json", "  http_post_batch = ndjson\n  http_post_compression = zstd", 5000);
}

#[test]
fn an_array_passes_unchanged() {
    check_chain("json", "  http_post_batch = json-array\n  http_post_compression = gzip", 5000);
}

#[test]
fn json_in_lines_passes_unchanged() {
    check_chain("json", "  http_post_batch = lines", 5000);
}

#[test]
fn tab_text_passes_unchanged() {
    check_chain("tab-text", "  http_post_batch = lines\n  http_post_compression = gzip", 5000);
    check_chain("tab-text", "", 100);
}

/// A proxy that passes requests on, and closes instead of passing on the answers whose turn `loses`
/// says.
fn losing_proxy(target: String, loses: fn(usize) -> bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&target).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
            });
            let (mut server, mut client) = (server, client);
            let answers = Arc::clone(&answers);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = server.read(&mut bytes) {
                    if loses(answers.fetch_add(1, Ordering::SeqCst)) {
                        break;
                    }
                    if client.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    format!("http://{address}/events")
}

#[test]
fn a_lost_answer_makes_no_duplicate() {
    const COUNT: usize = 2000;
    let (first, last) = (Workdir::new(), Workdir::new());
    let end = Host::start(&last, &collector("", "json"));
    let proxy = losing_proxy(end.address("in"), |answer| answer % 2 == 0);
    let more = "  http_post_batch = ndjson\n  http_post_batch_max_events = 100";
    let begin = Host::start(&first, &sender(&proxy, more, "json"));
    let lines: Vec<String> = (0..COUNT).map(|n| line("json", n)).collect();
    send_unix(first.path("in.sock"), &events::lines(lines.clone()));
    last.wait_for_lines("out", COUNT);
    let ended = begin.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, COUNT as u64);
    let ledger = end.stop().expect_status(0).input("in");
    check_lines(&last.lines("out"), &lines);
    assert!(ledger.rejected["taken-before"] >= 1000, "{ledger:?}");
    assert_eq!(ledger.events, COUNT as u64);
}

#[test]
fn a_bad_event_costs_itself() {
    const BAD: usize = 333;
    let (first, last) = (Workdir::new(), Workdir::new());
    // What the sender takes for an event is too long for the collector.
    let end = Host::start(&last, &collector("  line_limit = 1 KiB", "json"));
    let more = "  http_post_batch = ndjson\n  http_post_batch_max_events = 256";
    let begin = Host::start(&first, &sender(&url(&end), more, "json"));
    let line = |n: usize| match n {
        BAD => events::json_with("e", &format!("\"long\":\"{}\",\"n\":{n}", "x".repeat(2000))),
        n => events::json("e", n),
    };
    send_unix(first.path("in.sock"), &events::lines((0..1000).map(line)));
    let ended = begin.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.delivered, ledger.dropped("refused")), (999, 1));
    assert!(ended.one_line_with("dropped 1 payloads").contains("1024 bytes at most at line 1"));
    let ledger = end.stop().expect_status(0).input("in");
    let expected: Vec<String> = (0..1000).filter(|&n| n != BAD).map(line).collect();
    // No other is lost or doubled.
    check_lines(&last.lines("out"), &expected);
    assert_eq!(ledger.events, 999);
}

/// A collector whose exporter reaches nobody until somebody listens.
fn stuck() -> String {
    collector("  http_answer_timeout = 300 ms", "json").replace(
        "driver = file\n  file_path = $DIR/out",
        "driver = unix\n  unix_path = $DIR/out.sock\n  queue_max_size = 16 KiB\n  \
         batch_max_size = 4 KiB\n  retry_max_pause = 100 ms",
    )
}

#[test]
fn a_full_queue_is_waited_for_and_nothing_is_lost() {
    const COUNT: usize = 3000;
    let (first, last) = (Workdir::new(), Workdir::new());
    let end = Host::start(&last, &stuck());
    let more = "  http_post_batch = ndjson\n  http_post_batch_max_events = 20";
    let begin = Host::start(&first, &sender(&url(&end), more, "json"));
    let lines: Vec<String> = (0..COUNT).map(|n| line("json", n)).collect();
    send_unix(first.path("in.sock"), &events::lines(lines.clone()));
    let said = begin.wait_for_log("HTTP 503");
    assert!(said.contains("come again"), "{said}");
    let sink = LineSink::listen(last.path("out.sock"));
    sink.wait_for(COUNT);
    begin.stop().expect_status(0);
    let ledger = end.stop().expect_status(0).input("in");
    check_lines(&sink.lines(), &lines);
    assert_eq!(ledger.events, COUNT as u64);
    assert!(ledger.rejected["busy"] >= 1, "{ledger:?}");
}

fn post(host: &Host, headers: &str, body: &[u8]) -> String {
    let head = format!(
        "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\
         \r\n",
        body.len()
    );
    web(&host.address("in"), &[head.as_bytes(), body].concat())
}

#[test]
fn only_who_knows_the_token_may_send() {
    let (first, last) = (Workdir::new(), Workdir::new());
    let tokens = last.write("tokens", "old\n");
    let end = Host::start(&last, &collector("  http_bearer_token_file = $DIR/tokens", "json"));
    first.write("token", "new\n");
    let more = "  http_post_bearer_token_file = $DIR/token";
    let begin = Host::start(&first, &sender(&url(&end), more, "json"));
    send_unix(first.path("in.sock"), &events::lines([line("json", 0)]));
    begin.wait_for_log("HTTP 401 Unauthorized");
    let event = line("json", 1);
    assert!(post(&end, "", event.as_bytes()).contains("\r\nWWW-Authenticate: Bearer\r\n"));
    assert!(post(&end, "Authorization: Bearer old\r\n", event.as_bytes()).contains(" 200 OK"));
    // The files are read again at a reload, though the configuration is the same.
    std::fs::write(&tokens, "old\nnew\n").unwrap();
    end.signal(Signal::HUP);
    end.wait_for_log("reloaded");
    begin.stop().expect_status(0);
    end.stop().expect_status(0);
    assert_eq!(last.lines("out"), [line("json", 1), line("json", 0)]);
}

#[test]
fn bombs_garbage_and_slow_peers_cost_themselves() {
    let dir = Workdir::new();
    let more = "  http_request_timeout = 300 ms\n  http_request_max_size = 1 MiB";
    let host = Host::start(&dir, &collector(more, "json"));
    let zeros = vec![b' '; 64 << 20];
    let bomb = zstd::bulk::compress(&zeros, 3).unwrap();
    let said = post(&host, "Content-Encoding: zstd\r\n", &bomb);
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    let said = post(&host, "", &zeros[..2 << 20]);
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    let said = web(&host.address("in"), b"\x16\x03\x01garbage\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    // Byte by byte, and no end.
    let mut slow = TcpStream::connect(host.address("in")).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    slow.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").unwrap();
    let mut trickle = slow.try_clone().unwrap();
    thread::spawn(move || {
        while trickle.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut said = [0; 12];
    slow.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 408");
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    // Everybody else is served.
    assert!(post(&host, "", line("json", 1).as_bytes()).contains(" 200 OK"));
    let ledger = host.stop().expect_status(0).input("in");
    assert_eq!(
        (ledger.events, ledger.rejected["too-large"], ledger.rejected["too-slow"]),
        (1, 2, 1)
    );
}

const DEATHS: usize = 10;
const EACH: usize = 500;

/// Sends events through three hosts, the middle one of which is ended by this signal again and again
/// while they pass; returns the numbers of those that arrived at the end, in their order.
fn end_the_middle(queue: &str, signal: Signal) -> Vec<usize> {
    let (first, middle, last) = (Workdir::new(), Workdir::new(), Workdir::new());
    let end = Host::start(&last, &collector("", "json"));
    // A port that stays the same.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more =
        format!("  http_post_batch = ndjson\n  http_post_batch_max_events = 50\n  queue = {queue}");
    let onward = sender(&url(&end), &more, "json").replace(
        "driver = unix\n  path = $DIR/in.sock",
        &format!("driver = http\n  address = {port}"),
    );
    let state = "state_dir = $DIR/state\n";
    let begin = sender(&format!("http://{port}/events"), &more, "json");
    let begin = Host::start(&first, &(state.to_owned() + &begin));
    let path = middle.config("fantail.conf", &(state.to_owned() + &onward));
    let mut running = Starting::with([&path]).start();
    let mut sent = 0;
    for round in 0..DEATHS {
        let lines = (sent..sent + EACH).map(|n| events::json("e", n));
        send_unix(first.path("in.sock"), &events::lines(lines));
        sent += EACH;
        // Something of the round has come through.
        wait_for("some events", || (last.lines("out").len() > round * EACH / 4).then_some(()));
        running.signal(signal);
        let status = running.wait().status;
        assert_eq!(status, (signal == Signal::TERM).then_some(0));
        running = Starting::with([&path]).start();
    }
    if queue == "durable" {
        // Nobody stops before all has come: what is on disk would stay there.
        let all_came = || {
            let mut numbers = events::numbers(&last.whole_lines("out"));
            numbers.sort_unstable();
            numbers.dedup();
            (numbers.len() == sent).then_some(())
        };
        wait_for("all events", all_came);
    }
    let ended = begin.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, sent as u64);
    running.stop().expect_status(0);
    end.stop().expect_status(0);
    events::numbers(&last.lines("out"))
}

/// How many came more than once.
fn repeated(numbers: &[usize]) -> usize {
    let mut seen = vec![0_usize; DEATHS * EACH];
    numbers.iter().for_each(|&n| seen[n] += 1);
    seen.iter().map(|count| count.saturating_sub(1)).sum()
}

#[test]
fn a_chain_in_memory_loses_only_what_dies_with_a_host() {
    let numbers = end_the_middle("memory", Signal::KILL);
    // A queue in memory dies with its host: what was in the middle may be lost. Nothing is
    // invented, nothing comes twice within one life of the middle, and what comes twice was in
    // requests that no answer came to: one for each death at most.
    assert!(repeated(&numbers) <= DEATHS * 50, "{} came twice", repeated(&numbers));
    // All of the last life came through.
    assert!(numbers.contains(&(DEATHS * EACH - 1)), "the last event");
}

#[test]
fn a_durable_chain_loses_nothing() {
    let numbers = end_the_middle("durable", Signal::KILL);
    // The last host has not died, and knows what it has got: the middle's repetitions are none at
    // the end. The first host's can be, of requests that the middle died over.
    assert!(repeated(&numbers) <= DEATHS * 50, "{} came twice", repeated(&numbers));
    let mut seen = vec![false; DEATHS * EACH];
    let mut first_time = numbers.clone();
    first_time.retain(|&n| !std::mem::replace(&mut seen[n], true));
    assert_eq!(first_time, Vec::from_iter(0..DEATHS * EACH), "all of them, and in their order");
}

#[test]
fn a_middle_that_is_stopped_again_and_again_loses_nothing() {
    let numbers = end_the_middle("memory", Signal::TERM);
    assert!(repeated(&numbers) <= DEATHS * 50, "{} came twice", repeated(&numbers));
    assert!((0..DEATHS * EACH).all(|n| numbers.contains(&n)));
}

#[test]
fn only_who_has_a_certificate_may_send() {
    let tls = |name: &str| data("tls").join(name).display().to_string();
    let (first, last, stranger) = (Workdir::new(), Workdir::new(), Workdir::new());
    let more = format!(
        "  ssl_server_cert_file = {}\n  ssl_server_key_file = {}\n  ssl_server_ca_file = {}",
        tls("server.pem"),
        tls("server.key"),
        tls("ca.pem")
    );
    let end = Host::start(&last, &collector(&more, "json"));
    let address = url(&end).replace("http:", "https:");
    let trusting = format!("  http_post_batch = ndjson\n  ssl_client_ca_file = {}", tls("ca.pem"));
    let known = format!(
        "{trusting}\n  ssl_client_cert_file = {}\n  ssl_client_key_file = {}",
        tls("client.pem"),
        tls("client.key")
    );
    let nobody = Host::start(&stranger, &sender(&address, &trusting, "json"));
    send_unix(stranger.path("in.sock"), &events::lines([events::json("stranger", 0)]));
    nobody.wait_for_log("not delivered");
    end.wait_for_log("request refused (tls)");
    let begin = Host::start(&first, &sender(&address, &known, "json"));
    // More than one record of TLS, and than one read.
    let lines: Vec<String> = (0..20_000).map(|n| line("json", n)).collect();
    send_unix(first.path("in.sock"), &events::lines(lines.clone()));
    begin.stop().expect_status(0);
    end.stop().expect_status(0);
    check_lines(&last.lines("out"), &lines);
    drop(nobody);
}
