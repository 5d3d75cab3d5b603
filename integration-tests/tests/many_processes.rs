//! Thousands of Dovecot processes at once: each has a connection to the stats-writer socket, and
//! each of them waits for its filter before it does anything else.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, Workdir, events, fantail, peers::StatsClient, status, wait_for,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many there are; this process needs a descriptor for each.
const PROCESSES: usize = 5000;

/// How many threads of ours play them.
const THREADS: usize = 10;

const CONFIG: &str = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
}
listener reader {
  driver = stats-reader
  path = $DIR/reader
}
metric wanted {
  filter = event=wanted
}
";

/// A Dovecot process that is not told its filter stands still for 5 s.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Far above a second, which is what Dovecot promises: the machine is busy with other tests.
const PUSH_MAX: Duration = Duration::from_secs(20);

#[test]
fn five_thousand_processes_at_once_are_told_at_once_what_is_wanted() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let needed = PROCESSES as u64 + 1000;
    assert!(hard >= needed, "this test needs {needed} descriptors; ulimit -Hn says {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard).unwrap();
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let (together, path) = (Barrier::new(THREADS), dir.path("stats-writer"));
    let connect = || {
        let mut slowest = Duration::ZERO;
        together.wait();
        let clients = (0..PROCESSES / THREADS).map(|_| {
            let start = Instant::now();
            let mut client = StatsClient::hello(&path);
            assert_eq!(client.line(), "VERSION\tstats-server\t4\t0\n");
            assert_eq!(client.line(), "FILTER\t(event=\"wanted\")\n");
            slowest = slowest.max(start.elapsed());
            client
        });
        let clients: Vec<StatsClient> = clients.collect();
        (clients, slowest)
    };
    let mut clients = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(connect)).collect();
        for thread in threads {
            let (its, slowest) = thread.join().unwrap();
            assert!(slowest < HANDSHAKE_MAX, "a handshake took {slowest:?}");
            clients.extend(its);
        }
    });
    assert_eq!(clients.len(), PROCESSES);
    assert_eq!(status(dir.path("reader"))["inputs"][0]["open"], PROCESSES);

    // What is wanted changes: every one of them hears so.
    let start = Instant::now();
    let reader = dir.path("reader").display().to_string();
    let added = fantail(["stats", "add", "-s", &reader, "more", "event=more"]);
    assert_eq!(added.status, Some(0), "{added:?}");
    for client in &mut clients {
        assert_eq!(client.line(), "FILTER\t(event=\"wanted\") OR (event=\"more\")\n");
    }
    let push = start.elapsed();
    assert!(push < PUSH_MAX, "the last one was told after {push:?}");

    // And each of them is heard.
    for client in &mut clients {
        client.say(&[&events::stats("more", 1)]);
    }
    clients.into_iter().for_each(drop);
    wait_for("the last one to leave", || {
        (status(dir.path("reader"))["inputs"][0]["open"] == 0).then_some(())
    });
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.input("dovecot").events, PROCESSES as u64);
}
