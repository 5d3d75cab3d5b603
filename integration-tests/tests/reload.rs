//! A running host takes over another configuration: what is new begins, what is no
//! more ends when it has delivered, what has not changed does not notice.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use fantail_integration_tests::{
    Host, Workdir, events, fantail,
    peers::{LineSink, StatsClient, send_unix},
};
use rustix::process::Signal;

/// A stats-writer and a line input, and `rest`.
fn config(rest: &str) -> String {
    format!(
        "
input dovecot {{
  driver = stats-writer
  path = $DIR/stats-writer
}}
input lines {{
  driver = unix
  path = $DIR/in.sock
}}
listener reader {{
  driver = stats-reader
  path = $DIR/reader
}}
{rest}"
    )
}

fn file_exporter(name: &str, file: &str) -> String {
    format!(
        "
event_exporter {name} {{
  driver = file
  file_path = $DIR/{file}
  format = json
}}
"
    )
}

fn metric(name: &str, filter: &str, exporter: &str) -> String {
    format!(
        "
metric {name} {{
  filter = {filter}
  exporter = {exporter}
  exporter_include = name fields
}}
"
    )
}

/// Writes the configuration anew and waits until the host has taken it over; returns
/// the line of the log that says so.
fn reload(host: &Host, dir: &Workdir, text: &str) -> String {
    dir.config("fantail.conf", text);
    let before = lines_with(host, "reloaded").len();
    host.signal(Signal::HUP);
    fantail_integration_tests::wait_for("the reload", || {
        lines_with(host, "reloaded").into_iter().nth(before)
    })
}

fn lines_with(host: &Host, text: &str) -> Vec<String> {
    host.log().into_iter().filter(|line| line.contains(text)).collect()
}

fn out(name: &str, n: usize) -> String {
    format!("{{\"event\":\"{name}\",\"fields\":{{\"n\":{n}}}}}")
}

#[test]
fn connections_stay_open_and_writers_get_their_new_filter() {
    let dir = Workdir::new();
    let file = file_exporter("out", "out");
    let host = Host::start(&dir, &config(&format!("{file}{}", metric("a", "event=a", "out"))));
    let mut writer = StatsClient::hello(dir.path("stats-writer"));
    assert_eq!(writer.line(), "VERSION\tstats-server\t4\t0\n");
    assert_eq!(writer.line(), "FILTER\t(event=\"a\")\n");
    let mut lines = UnixStream::connect(dir.path("in.sock")).unwrap();
    // A context that was opened before, and a line that is cut by the reload.
    writer.say(&["BEGIN\t7\t0\t0\t1700000000\t0\tnsession\tSuser\tbob"]);
    let line = events::lines([events::json("a", 1), events::json("b", 2)]);
    let (before, after) = line.split_at(line.len() - 20);
    lines.write_all(before).unwrap();
    dir.wait_for_lines("out", 1);

    reload(&host, &dir, &config(&format!("{file}{}", metric("b", "event=b", "out"))));
    assert_eq!(writer.line(), "FILTER\t(event=\"b\")\n");
    lines.write_all(after).unwrap();
    dir.wait_for_lines("out", 2);
    writer.say(&["EVENT\t0\t7\t0\t1700000000\t0\tl1700000000\t25\tnb\tIn\t3"]);
    dir.wait_for_lines("out", 3);

    // The same configuration once more: there is nothing to tell the writer.
    reload(&host, &dir, &config(&format!("{file}{}", metric("b", "event=b", "out"))));
    assert_eq!(writer.finish(), "");
    drop(lines);
    let ended = host.stop().expect_status(0);
    let with_parent = "{\"event\":\"b\",\"fields\":{\"user\":\"bob\",\"duration\":25,\"n\":3}}";
    assert_eq!(dir.lines("out"), [out("a", 1), out("b", 2), with_parent.to_owned()]);
    assert_eq!(ended.exporter("out").delivered, 3);
    assert_eq!(ended.input("lines").received, 2);
}

#[test]
fn an_error_leaves_everything_as_it_was() {
    let dir = Workdir::new();
    let good =
        config(&format!("{}{}", file_exporter("out", "out"), metric("all", "event=*", "out")));
    let host = Host::start(&dir, &good);
    let check = |bad: &str, said: &str| {
        let before = lines_with(&host, "not reloaded").len();
        dir.config("fantail.conf", bad);
        host.signal(Signal::HUP);
        fantail_integration_tests::wait_for(said, || {
            let failed = lines_with(&host, "not reloaded").len() > before;
            (failed && host.logged(said)).then_some(())
        });
    };
    check(&good.replace("filter = event=*", "filter = event="), "a value");
    check(&good.replace("driver = file", "driver = flie"), "did you mean `file`?");
    check(&good.replace("exporter = out", "exporter = uot"), "uot");
    // Everything else could be had, but not this socket.
    let taken = LineSink::listen(dir.path("taken.sock"));
    let socket = "input more {\n driver = unix\n path = $DIR/taken.sock\n}\n";
    let other = good.replace("$DIR/out", "$DIR/other");
    check(&format!("{other}{socket}"), "taken.sock");
    drop(taken);
    check("{", "expected");

    // Whoever asks is told, too.
    let refused = fantail(["reload", "-s", dir.path("reader").to_str().unwrap()]);
    assert_ne!(refused.status, Some(0));
    assert!(refused.stderr.contains("fantail.conf:1"), "{}", refused.stderr);
    dir.config("fantail.conf", &good);
    let done = fantail(["reload", "-s", dir.path("reader").to_str().unwrap()]);
    assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""));

    send_unix(dir.path("in.sock"), &events::lines([events::json("x", 1)]));
    assert_eq!(dir.wait_for_lines("out", 1), [out("x", 1)]);
    assert!(!dir.path("other").exists());
    host.stop().expect_status(0);
}

#[test]
fn what_has_changed_begins_and_what_is_no_more_delivers_first() {
    let dir = Workdir::new();
    let both = |rest: &str| {
        config(&format!(
            "{rest}{}{}",
            metric("a", "event=a", "kept"),
            metric("b", "event=b", "changed")
        ))
    };
    let unix = "
event_exporter changed {
  driver = unix
  unix_path = $DIR/late.sock
  format = json
  retry_min_pause = 10ms
  retry_max_pause = 50ms
}
";
    let kept = file_exporter("kept", "kept");
    let host = Host::start(&dir, &both(&format!("{kept}{unix}")));
    // Nobody listens yet: these wait.
    send_unix(dir.path("in.sock"), &events::lines([events::json("b", 1), events::json("a", 2)]));
    dir.wait_for_lines("kept", 1);

    let said =
        reload(&host, &dir, &both(&format!("{kept}{}", file_exporter("changed", "changed"))));
    assert!(said.contains("exporters: 1 begun, 1 retired"), "{said}");
    send_unix(dir.path("in.sock"), &events::lines([events::json("b", 3), events::json("a", 4)]));
    assert_eq!(dir.wait_for_lines("changed", 1), [out("b", 3)]);
    assert_eq!(dir.wait_for_lines("kept", 2), [out("a", 2), out("a", 4)]);

    // What waited for the old one is delivered where the old one was to deliver it.
    let sink = LineSink::listen(dir.path("late.sock"));
    assert_eq!(sink.wait_for(1), [out("b", 1)]);
    host.wait_for_log("exporter changed: has delivered what it had, and ends");
    let ended = host.stop().expect_status(0);
    let changed = ended.exporter("changed");
    assert_eq!((changed.matched, changed.delivered), (2, 2));
    assert_eq!(ended.exporter("kept").delivered, 2);
}

#[test]
fn inputs_come_and_go() {
    let dir = Workdir::new();
    let rest = format!("{}{}", file_exporter("out", "out"), metric("all", "event=*", "out"));
    let input = |name: &str, path: &str, more: &str| {
        format!("input {name} {{\n driver = unix\n path = $DIR/{path}\n{more}}}\n")
    };
    let host = Host::start(&dir, &format!("{}{rest}", input("one", "1.sock", "")));
    let mut first = UnixStream::connect(dir.path("1.sock")).unwrap();
    first.write_all(&events::lines([events::json("x", 1)])).unwrap();
    dir.wait_for_lines("out", 1);

    // Another limit for the same socket: the connection stays, with its old limit.
    let text = format!(
        "{}{}{rest}",
        input("one", "1.sock", "line_limit = 1 k\nmode = 0600\n"),
        input("two", "2.sock", "")
    );
    let said = reload(&host, &dir, &text);
    assert!(said.contains("inputs: 1 opened, 0 closed"), "{said}");
    let long = events::json_with("x", &format!("\"n\":2,\"pad\":\"{}\"", "x".repeat(2000)));
    first.write_all(&events::lines([long.clone()])).unwrap();
    dir.wait_for_lines("out", 2);
    send_unix(dir.path("1.sock"), &events::lines([long, events::json("x", 3)]));
    send_unix(dir.path("2.sock"), &events::lines([events::json("x", 4)]));
    dir.wait_for_lines("out", 4);
    host.wait_for_log("longer than line_limit, 1024 bytes");

    // Without `one`: its connection ends when what it had sent has been read.
    first.write_all(&events::lines([events::json("x", 5)])).unwrap();
    let said = reload(&host, &dir, &format!("{}{rest}", input("two", "2.sock", "")));
    assert!(said.contains("inputs: 0 opened, 1 closed"), "{said}");
    fantail_integration_tests::wait_for("the end of the connection", || {
        first.write_all(b"\n").is_err().then_some(())
    });
    assert!(!dir.path("1.sock").exists());
    send_unix(dir.path("2.sock"), &events::lines([events::json("x", 6)]));
    dir.wait_for_lines("out", 6);
    host.stop().expect_status(0);
}

#[test]
fn a_hundred_reloads_under_load_lose_nothing() {
    let dir = Workdir::new();
    let sink = LineSink::listen(dir.path("out.sock"));
    let unix = "
event_exporter kept {
  driver = unix
  unix_path = $DIR/out.sock
  format = json
  queue_max_size = 256 k
}
";
    let text = |round: usize| {
        let file = format!("changed.{}", round % 3);
        let other = format!("event=load OR event=other{round}");
        config(&format!(
            "{unix}{}{}{}",
            file_exporter("changed", &file),
            metric("kept", "event=load", "kept"),
            metric("changed", &other, "changed")
        ))
    };
    let host = Host::start(&dir, &text(0));
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for connection in 0..3 {
            let (dir, stop, sent) = (&dir, &stop, &sent);
            scope.spawn(move || {
                let mut writer = StatsClient::hello(dir.path("stats-writer"));
                let mut lines = UnixStream::connect(dir.path("in.sock")).unwrap();
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    if connection == 0 {
                        writer.send(format!("{}\n", events::stats("load", n)).as_bytes());
                    } else {
                        let events = (n..n + 20).map(|n| events::json("load", n));
                        lines.write_all(&events::lines(events)).unwrap();
                        n += 19;
                    }
                    n += 1;
                    // The peer that writes one at a time sees every FILTER, too.
                }
                drop(lines);
                writer.finish();
                sent.fetch_add(n, Ordering::Relaxed);
            });
        }
        for round in 1..=100 {
            reload(&host, &dir, &text(round));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let sent = sent.into_inner();
    // The metric that never changed has counted all along.
    let counted = format!("{{\"name\":\"kept\",\"matched\":{sent}}}");
    let reader = dir.path("reader");
    fantail_integration_tests::wait_for(&counted, || {
        let status =
            fantail(["status".as_ref(), "--json".as_ref(), "-s".as_ref(), reader.as_os_str()]);
        status.text().contains(&counted).then_some(())
    });
    let ended = host.stop().expect_status(0);
    let (lines, writer) = (ended.input("lines"), ended.input("dovecot"));
    assert_eq!(lines.events + writer.events, sent as u64);
    for exporter in ["kept", "changed"] {
        let figures = ended.exporter(exporter);
        assert_eq!((figures.matched, figures.delivered), (sent as u64, sent as u64), "{exporter}");
    }
    assert_eq!(sink.wait_for(sent).len(), sent);
    let files = (0..3).map(|file| dir.lines(&format!("changed.{file}")).len());
    assert_eq!(files.sum::<usize>(), sent);
}
