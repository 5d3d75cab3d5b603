//! How a host ends: under load, with a peer that does not answer, told twice.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, OUT, Workdir, events,
    peers::{HttpSink, LineSink, Reply, SilentSink, send_unix},
};
use rustix::process::Signal;

const INPUT: &str = "
input in {
  driver = unix
  path = $DIR/in.sock
}
metric all {
  filter = event=*
  exporter = out
}
";

fn unix_exporter(settings: &str) -> String {
    format!(
        "{INPUT}
{settings}
event_exporter out {{
  driver = unix
  unix_path = $DIR/out.sock
  format = json
}}
"
    )
}

#[test]
fn a_stop_under_load_delivers_everything_that_was_accepted() {
    let dir = Workdir::new();
    let sink = LineSink::listen(dir.path("out.sock"));
    let host = Host::start(&dir, &unix_exporter(""));
    let stopped = AtomicBool::new(false);
    let ended = thread::scope(|scope| {
        for connection in 0..4 {
            let (path, stopped) = (dir.path("in.sock"), &stopped);
            scope.spawn(move || {
                let lines = (0..100).map(|n| events::json(&format!("c{connection}"), n));
                let lines = events::lines(lines);
                let mut stream = UnixStream::connect(path).unwrap();
                // The host closes in the middle: that is the point.
                while !stopped.load(Ordering::Relaxed) && stream.write_all(&lines).is_ok() {}
            });
        }
        sink.wait_for(5_000);
        let ended = host.stop();
        stopped.store(true, Ordering::Relaxed);
        ended
    })
    .expect_status(0);
    let input = ended.input("in");
    let exporter = ended.exporter("out");
    assert_eq!(exporter.matched, input.events);
    assert_eq!((exporter.delivered, exporter.queued), (exporter.matched, 0));
    assert_eq!(exporter.dropped.len(), 0);
    let lines = sink.wait_for(usize::try_from(exporter.delivered).unwrap());
    assert_eq!(lines.len() as u64, exporter.delivered);
    // Whatever was cut is the end of a connection, never the middle.
    assert!(input.rejected.values().sum::<u64>() <= 4, "{input:?}");
}

/// The host must give up after its timeout, and say what was lost.
fn check_gives_up(config: &str, events: usize, delivered: impl Fn() -> u64) {
    let dir = Workdir::new();
    let _silent = SilentSink::listen(dir.path("out.sock"));
    let host = Host::start(&dir, config);
    send_unix(dir.path("in.sock"), &events::lines((0..events).map(|n| events::json("e", n))));
    let asked = Instant::now();
    let ended = host.stop().expect_status(75);
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(1), "gave up after {took:?} already");
    assert!(took < Duration::from_secs(10), "took {took:?}");
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.queued), (events as u64, 0));
    assert_eq!(ledger.dropped.keys().collect::<Vec<_>>(), ["shutdown"]);
    assert!(ledger.delivered >= delivered(), "{ledger:?}");
    ended.one_line_with(&format!("{} payloads lost", ledger.dropped("shutdown")));
}

#[test]
fn a_socket_that_is_never_read_is_given_up_after_the_timeout() {
    check_gives_up(&unix_exporter("shutdown_timeout = 1 s"), 20_000, || 1);
}

#[test]
fn a_server_that_never_answers_is_given_up_after_the_timeout() {
    let server = HttpSink::start(|_, _| Reply::never());
    let config = format!(
        "{INPUT}
shutdown_timeout = 1 s
event_exporter out {{
  driver = http-post
  http_post_url = {}
  format = json
}}
",
        server.url("/events")
    );
    check_gives_up(&config, 5_000, || 0);
}

#[test]
fn a_stop_waits_for_a_peer_that_comes_in_time() {
    let dir = Workdir::new();
    let config = unix_exporter("shutdown_timeout = 50 s")
        .replace("format = json", "format = json\n  retry_max_pause = 300 ms");
    let host = Host::start(&dir, &config);
    send_unix(dir.path("in.sock"), &events::lines((0..1000).map(|n| events::json("e", n))));
    host.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(300));
    let sink = LineSink::listen(dir.path("out.sock"));
    let ended = host.wait().expect_status(0);
    assert_eq!(sink.wait_for(1000).len(), 1000);
    assert_eq!(ended.exporter("out").delivered, 1000);
}

/// An exporter that pauses for longer than the stop may take tries again in time.
fn check_long_pause(settings: &str) {
    const EVENTS: usize = 1_000;
    let dir = Workdir::new();
    let config = unix_exporter("shutdown_timeout = 20 s").replace(
        "format = json",
        &format!("format = json\n  retry_min_pause = 60 s\n  retry_max_pause = 60 s\n{settings}"),
    );
    let host = Host::start(&dir, &config);
    let mut stream = UnixStream::connect(dir.path("in.sock")).unwrap();
    stream.set_write_timeout(Some(fantail_integration_tests::PATIENCE)).unwrap();
    stream.write_all(&events::lines((0..EVENTS).map(|n| events::json("e", n)))).unwrap();
    // The first attempt has failed: the exporter pauses.
    host.wait_for_log("payloads not delivered, will try again");
    let sink = LineSink::listen(dir.path("out.sock"));
    let ended = host.stop().expect_status(0);
    assert_eq!(sink.wait_for(EVENTS).len(), EVENTS);
    assert_eq!(ended.exporter("out").delivered, EVENTS as u64);
}

#[test]
fn a_stop_does_not_wait_for_a_long_pause() {
    check_long_pause("");
}

#[test]
fn a_stop_does_not_wait_for_a_long_pause_behind_a_full_queue() {
    check_long_pause("  queue_max_size = 64 KiB\n  batch_max_size = 4 KiB\n  queue_full = block");
}

#[test]
fn told_twice_it_waits_no_longer() {
    let dir = Workdir::new();
    let mut host = Host::start(&dir, &unix_exporter("shutdown_timeout = 50 s"));
    send_unix(dir.path("in.sock"), &events::lines((0..10).map(|n| events::json("e", n))));
    let asked = Instant::now();
    host.signal(Signal::TERM);
    // The same once more, as timeout(1) does it, is the same stop; later it is another.
    host.signal(Signal::TERM);
    host.signal(Signal::INT);
    thread::sleep(Duration::from_millis(1200));
    assert!(host.is_running());
    let ended = host.stop().expect_status(75);
    assert!(asked.elapsed() < Duration::from_secs(20));
    assert_eq!(ended.exporter("out").dropped("shutdown"), 10);
    ended.one_line_with("stopped by a second signal");
    assert_eq!(ended.lines_with("shutdown_timeout").len(), 0);
}

#[test]
fn sigint_stops_like_sigterm() {
    let dir = Workdir::new();
    let sink = LineSink::listen(dir.path("out.sock"));
    let host = Host::start(&dir, &unix_exporter(""));
    send_unix(dir.path("in.sock"), &events::lines((0..10).map(|n| events::json("e", n))));
    host.signal(Signal::INT);
    host.wait().expect_status(0);
    assert_eq!(sink.wait_for(10).len(), 10);
    assert!(!dir.path("in.sock").exists());
}

#[test]
fn a_host_whose_inputs_have_all_ended_ends() {
    let dir = Workdir::new();
    dir.write("a.json", events::lines([events::json("a", 1)]));
    dir.write("b.json", events::lines([events::json("b", 1), events::json("b", 2)]));
    let inputs = "
input a {
  driver = file
  path = $DIR/a.json
}
input b {
  driver = file
  path = $DIR/b.json
}
input c {
  driver = stdin
}
";
    let mut host = Host::start(&dir, &(inputs.to_owned() + OUT));
    dir.wait_for_lines("out", 3);
    assert!(host.is_running(), "standard input is still open");
    drop(host.take_stdin());
    let ended = host.wait().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 3);
    assert_eq!((ended.input("a").events, ended.input("b").events), (1, 2));
}

#[test]
fn a_fifo_without_a_writer_does_not_delay_a_stop() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = Workdir::new();
    mknodat(CWD, dir.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let config = "
input in {
  driver = file
  path = $DIR/fifo
}
metric all {
  filter = event=*
  exporter = out
}
event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
";
    let begun = Instant::now();
    Host::start(&dir, config).stop().expect_status(0);
    // Far below shutdown_timeout, which is 10 s.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // With a writer it is read to that one's end.
    let host = Host::start(&dir, config);
    std::fs::write(dir.path("fifo"), events::lines([events::json("e", 1)])).unwrap();
    host.wait().expect_status(0);
    assert_eq!(dir.lines("out").len(), 1);
}
