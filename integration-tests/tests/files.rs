//! The driver `file` in a real host: many files, rotated ones, and what is left of lines when
//! something goes wrong.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use fantail_integration_tests::{
    Host, SmallDisk, Starting, Workdir, binary, events, fantail, peers::send_unix, wait_for,
};
use rustix::process::Signal;

/// An input, and an exporter `out` into files, with these settings, that gets everything.
fn config(exporter: &str) -> String {
    format!(
        "
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
  driver = file
  format = json
  retry_max_pause = 100 ms
{exporter}
}}
metric all {{
  filter = event=*
  exporter = out
}}
"
    )
}

/// Events of one sender.
fn lines_of(sender: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| events::json(sender, n)).collect()
}

/// Sends from several senders at a time, in pieces over a connection each, and returns what was
/// sent. The pieces may overtake each other.
fn send_all(dir: &Workdir, senders: &[&str], count: usize) -> Vec<String> {
    thread::scope(|scope| {
        for sender in senders {
            scope.spawn(move || {
                for piece in lines_of(sender, count).chunks(500) {
                    send_unix(dir.path("in.sock"), &events::lines(piece.to_vec()));
                }
            });
        }
    });
    senders.iter().flat_map(|sender| lines_of(sender, count)).collect()
}

/// The lines of all files in a directory, compressed ones included, sorted.
fn lines_below(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.extension().is_some_and(|end| end == "gz") {
            Command::new("gzip").arg("-dc").arg(&path).output().unwrap().stdout
        } else {
            fs::read(&path).unwrap()
        };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends in a line", path.display());
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn each_user_has_a_file() {
    let dir = Workdir::new();
    let path = "  file_path = $DIR/logs/%{user | domain | lower}/%{time | date('%Y-%m')}\n  \
                file_create_directories = yes\n  file_max_open = 2";
    // Nothing of the path is in the payload.
    let config = config(path).replace("  exporter = out", "  exporter = out\n  fields = n");
    let done = fantail(["check", "-c", dir.config("fantail.conf", &config).to_str().unwrap()]);
    assert_eq!(
        (done.status, done.stderr.contains("directory")),
        (Some(0), false),
        "{}",
        done.stderr
    );
    let host = Host::start(&dir, &config);
    let event = |n: usize| {
        let user = ["a@X.example", "b@y.example", "c@x.example", "../d"][n % 4];
        events::json_with("e", &format!("\"user\":\"{user}\",\"n\":{n}"))
    };
    send_unix(dir.path("in.sock"), &events::lines((0..4_000).map(event)));
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 4_000);
    let mut expected = BTreeMap::<&str, Vec<String>>::new();
    for n in 0..4_000 {
        let directory = ["x.example", "y.example", "x.example", "_"][n % 4];
        expected.entry(directory).or_default().push(events::json("e", n));
    }
    assert_eq!(fs::read_dir(dir.path("logs")).unwrap().count(), 3);
    for (directory, lines) in expected {
        assert_eq!(dir.lines(&format!("logs/{directory}/2026-03")), lines, "{directory}");
    }
}

#[test]
fn a_path_at_fault_is_counted_and_told_of() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("logs")).unwrap();
    dir.write("precious", "do not touch\n");
    std::os::unix::fs::symlink(dir.path("precious"), dir.path("logs/bad")).unwrap();
    let host = Host::start(&dir, &config("  file_path = $DIR/logs/%{event}"));
    send_all(&dir, &["good", "bad"], 100);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.delivered, ledger.dropped("refused")), (100, 100));
    ended.one_line_with("it is a symbolic link");
    assert_eq!(dir.lines("logs/good"), lines_of("good", 100));
    assert_eq!(dir.read("precious"), b"do not touch\n");
}

#[test]
fn rotation_under_load_loses_no_line() {
    for more in ["", "  file_rotate_compress = gzip\n  file_fsync = batch"] {
        let dir = Workdir::new();
        fs::create_dir(dir.path("logs")).unwrap();
        let settings = "  file_path = $DIR/logs/out\n  file_rotate_size = 200 KiB\n";
        let host = Host::start(&dir, &config(&format!("{settings}{more}")));
        let sent = send_all(&dir, &["a", "b", "c"], 5_000);
        if !more.is_empty() {
            wait_for("a compressed file", || {
                let mut names = fs::read_dir(dir.path("logs")).unwrap();
                names
                    .any(|name| name.unwrap().path().extension().is_some_and(|end| end == "gz"))
                    .then_some(())
            });
        }
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.exporter("out").delivered, 15_000);
        let files: Vec<_> = fs::read_dir(dir.path("logs")).unwrap().collect();
        assert!(files.len() >= 10, "{files:?}");
        for file in files {
            assert!(file.unwrap().metadata().unwrap().len() <= 200 << 10);
        }
        assert_eq!(lines_below(&dir.path("logs")), sorted(sent));
    }
}

#[test]
fn the_rotated_files_that_are_kept_are_the_last() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("logs")).unwrap();
    let settings = "  file_path = $DIR/logs/out\n  file_rotate_size = 10 KiB\n  \
                    file_rotate_keep = 2\n  batch_max_size = 2 KiB";
    let host = Host::start(&dir, &config(settings));
    send_unix(dir.path("in.sock"), &events::lines(lines_of("a", 5_000)));
    wait_for("old files to be removed", || {
        (fs::read_dir(dir.path("logs")).unwrap().count() == 3
            && dir.lines("logs/out").last() == lines_of("a", 5_000).last())
        .then_some(())
    });
    host.stop().expect_status(0);
    let left = lines_below(&dir.path("logs"));
    let expected = lines_of("a", 5_000).split_off(5_000 - left.len());
    assert!(left.len() > 50);
    assert_eq!(left, sorted(expected));
}

#[test]
fn reopening_under_load_loses_no_line() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("logs")).unwrap();
    let host = Host::start(&dir, &config("  file_path = $DIR/logs/%{event}"));
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let moves = scope.spawn(|| {
            for number in 0.. {
                let (from, to) = (dir.path("logs/a"), dir.path(&format!("logs/a.{number}")));
                if fs::rename(from, to).is_ok() {
                    host.signal(Signal::USR1);
                }
                if done.load(Ordering::Relaxed) {
                    return number;
                }
                thread::yield_now();
            }
            0
        });
        let sent = send_all(&dir, &["a", "b"], 10_000);
        done.store(true, Ordering::Relaxed);
        assert!(moves.join().unwrap() > 0);
        sent
    });
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 20_000);
    assert!(fs::read_dir(dir.path("logs")).unwrap().count() > 2);
    assert_eq!(lines_below(&dir.path("logs")), sorted(sent));
    assert_eq!(sorted(dir.lines("logs/b")), sorted(lines_of("b", 10_000)));
}

#[test]
fn a_killed_host_leaves_no_torn_line_behind() {
    let dir = Workdir::new();
    let settings = config("  file_path = $DIR/out");
    for round in 0..5 {
        let host = Host::start(&dir, &settings);
        let size = || fs::metadata(dir.path("out")).map_or(0, |metadata| metadata.len());
        let before = size();
        thread::scope(|scope| {
            // Its end is not known: the host is killed while it reads.
            scope.spawn(|| {
                let lines = events::lines(lines_of(&format!("r{round}"), 50_000));
                let mut peer =
                    std::os::unix::net::UnixStream::connect(dir.path("in.sock")).unwrap();
                let _ = std::io::Write::write_all(&mut peer, &lines);
            });
            wait_for("lines", || (size() > before + 100_000).then_some(()));
            host.signal(Signal::KILL);
        });
        assert_eq!(host.wait().status, None);
        // As a write leaves it that was cut short.
        let torn = events::json("torn", round);
        let mut file = fs::OpenOptions::new().append(true).open(dir.path("out")).unwrap();
        std::io::Write::write_all(&mut file, &torn.as_bytes()[..torn.len() / 2]).unwrap();
    }
    let host = Host::start(&dir, &settings);
    send_all(&dir, &["last"], 1);
    let ended = host.stop().expect_status(0);
    ended.one_line_with("of a line that was left torn");
    let lines = dir.lines("out");
    let mut next = BTreeMap::<String, usize>::new();
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(&line).expect(&line);
        let name = event["event"].as_str().unwrap().to_owned();
        let number = next.entry(name.clone()).or_default();
        assert_eq!(line, events::json(&name, *number));
        *number += 1;
    }
    let rounds = ["last", "r0", "r1", "r2", "r3", "r4"].map(str::to_owned);
    assert!(next.keys().eq(&rounds), "{next:?}");
}

#[test]
fn lines_are_synced_when_that_is_asked_for() {
    for fsync in ["never", "batch", "interval\n  file_fsync_interval = 1 ms"] {
        let dir = Workdir::new();
        let settings = format!("  file_path = $DIR/%{{event}}\n  file_fsync = {fsync}");
        let host = Host::start(&dir, &config(&settings));
        send_all(&dir, &["a", "b"], 2_000);
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.exporter("out").delivered, 4_000);
        assert_eq!(sorted(dir.lines("a")), sorted(lines_of("a", 2_000)));
    }
}

/// A program that is the host, whose first fdatasync(2) in each thread fails. `None` where nobody
/// may trace a process, as in some containers.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn failing_host(dir: &Workdir) -> Option<PathBuf> {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let traced = traced.expect("strace is installed: it is in Debian's package of that name");
    if !traced.status.success() {
        println!("left out: {}", String::from_utf8_lossy(&traced.stderr));
        return None;
    }
    let script = format!(
        "#!/bin/sh\nexec strace -D -f -qq -o /dev/null -e trace=fdatasync \\\n  \
         -e inject=fdatasync:error=EIO:when=1 '{}' \"$@\"\n",
        binary().display()
    );
    let path = dir.write("failing-host", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    Some(path)
}

/// What docs/file.md says of a sync that fails: the batch is written once more, or the log tells of
/// lines that may be lost.
#[test]
fn a_failed_sync_is_no_delivery() {
    const EVENTS: usize = 100;
    for (fsync, said, is_twice) in [
        ("batch", "payloads not delivered", true),
        ("interval\n  file_fsync_interval = 1 ms", "may be lost", false),
    ] {
        let dir = Workdir::new();
        let config = config(&format!("  file_path = $DIR/out\n  file_fsync = {fsync}"));
        let config = dir.config("fantail.conf", &config);
        let Some(failing) = failing_host(&dir) else { return };
        let host = Starting::with([config]).binary(failing).start();
        send_all(&dir, &["a"], EVENTS);
        let said = host.wait_for_log(said);
        assert!(said.contains("Input/output error"), "{said}");
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.exporter("out").delivered, EVENTS as u64);
        let mut lines = sorted(dir.lines("out"));
        assert_eq!(lines.len() > EVENTS, is_twice, "{} lines", lines.len());
        lines.dedup();
        assert_eq!(lines, sorted(lines_of("a", EVENTS)));
    }
}

#[test]
fn a_full_disk_tears_no_line() {
    for settings in ["out", "%{event}", "out\n  file_rotate_size = 50 KiB"] {
        let dir = Workdir::new();
        let Some(disk) = SmallDisk::mount(&dir.path("disk"), 256) else { return };
        disk.fill(180);
        let host = Host::start(&dir, &config(&format!("  file_path = $DIR/disk/{settings}")));
        let sent = send_all(&dir, &["a"], 1_000);
        let said = host.wait_for_log("payloads not delivered");
        assert!(said.contains("No space left"), "{said}");
        disk.free();
        host.wait_for_log("delivering again");
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.exporter("out").delivered, 1_000);
        assert_eq!(lines_below(&dir.path("disk")), sorted(sent));
    }
}

/// While the disk is full, what finds no room in the queue is dropped and counted; nothing else is
/// missing, and no line is torn.
fn check_drops_on_a_full_disk(queue_full: &str) {
    const EVENTS: usize = 10_000;
    let dir = Workdir::new();
    let Some(disk) = SmallDisk::mount(&dir.path("disk"), 4096) else { return };
    disk.fill(4000);
    let settings = format!(
        "  file_path = $DIR/disk/out\n  queue_full = {queue_full}\n  queue_max_size = 64 KiB\n  \
         batch_max_size = 4 KiB"
    );
    let host = Host::start(&dir, &config(&settings));
    let sent = send_all(&dir, &["a"], EVENTS);
    host.wait_for_log("No space left");
    disk.free();
    host.wait_for_log("delivering again");
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.queued), (EVENTS as u64, 0));
    assert!(ledger.dropped("queue_full") > 0);
    assert_eq!(ledger.delivered + ledger.dropped("queue_full"), EVENTS as u64);
    let arrived = dir.lines("disk/out");
    assert_eq!(arrived.len() as u64, ledger.delivered);
    let sent: std::collections::HashSet<_> = sent.into_iter().collect();
    assert!(arrived.iter().all(|line| sent.contains(line)), "a line is torn");
}

#[test]
fn a_full_disk_drops_the_newest_exactly() {
    check_drops_on_a_full_disk("drop_newest");
}

#[test]
fn a_full_disk_drops_the_oldest_exactly() {
    check_drops_on_a_full_disk("drop_oldest");
}
