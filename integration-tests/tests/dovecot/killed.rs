//! Fantail is killed while users work: their commands never fail and never wait for it, and
//! when it is back, events flow again.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, OUT, Workdir,
    peers::dovecot::{Imap, MailServer, Ports},
    wait_for,
};
use rustix::process::Signal;

use super::{inputs, with_each};

/// How long a command may take, on a machine that is busy with other tests: below the 5 s that a
/// process waits for a stats process that says nothing.
const BOUND: Duration = Duration::from_secs(4);

/// How long each part of the test lasts.
const PART: Duration = Duration::from_secs(2);

const USERS: usize = 6;

/// The parts of the test.
const PARTS: [&str; 3] = ["before", "without it", "after"];

/// How long one command took, and in which part of the test it was given.
struct Took {
    part: u8,
    time: Duration,
}

/// Works with one connection, and with a new one now and then, until told to stop.
fn work(ports: &Ports, user: &str, part: &AtomicU8, stop: &AtomicBool) -> Vec<Took> {
    let mut times = Vec::new();
    let mut timed = |work: &mut dyn FnMut() -> std::io::Result<()>| {
        let (part, begun) = (part.load(Ordering::SeqCst), Instant::now());
        work().unwrap_or_else(|error| panic!("{user}, {}: {error}", PARTS[usize::from(part)]));
        times.push(Took { part, time: begun.elapsed() });
    };
    let mut old = Imap::login(ports, user).unwrap();
    old.append("INBOX", "Subject: one\r\n\r\ntext\r\n").unwrap();
    timed(&mut || old.command("SELECT INBOX").map(drop));
    while !stop.load(Ordering::SeqCst) {
        for command in ["NOOP", "FETCH 1 BODY[]", "SEARCH TEXT text", "STORE 1 +FLAGS (\\Seen)"] {
            timed(&mut || old.command(command).map(drop));
        }
        // A new session: new processes, which find the sockets or do not.
        timed(&mut || {
            let mut new = Imap::login(ports, user)?;
            new.command("STATUS INBOX (MESSAGES)")?;
            new.logout()
        });
    }
    old.logout().unwrap();
    times
}

/// Requires that no command took too long, and tells how long they took.
fn judge(mut times: Vec<Took>) {
    times.sort_by_key(|took| took.time);
    for (number, name) in (0..).zip(PARTS) {
        let part: Vec<_> =
            times.iter().filter(|took| took.part == number).map(|took| took.time).collect();
        assert!(part.len() > 10, "{} commands {name}", part.len());
        let (median, longest) = (part[part.len() / 2], part[part.len() - 1]);
        println!("{name}: {} commands, median {median:?}, longest {longest:?}", part.len());
        assert!(longest < BOUND, "{name}: a command took {longest:?}");
    }
}

#[test]
fn a_killed_host_disturbs_no_command() {
    with_each(|dovecot| {
        let dir = Workdir::new();
        MailServer::prepare(&dir);
        let config = inputs(&dir) + &OUT.replace("event=*", "event=imap_command_finished");
        let mut host = Host::start(&dir, &config);
        let server = MailServer::start(dovecot, &dir);
        let ports = server.ports();
        let (part, stop) = (AtomicU8::new(0), AtomicBool::new(false));
        let times = thread::scope(|scope| {
            let (part, stop, ports) = (&part, &stop, &ports);
            let users: Vec<_> = (0..USERS)
                .map(|user| scope.spawn(move || work(ports, &format!("u{user}"), part, stop)))
                .collect();
            thread::sleep(PART);
            host.signal(Signal::KILL);
            wait_for("the host's end", || (!host.is_running()).then_some(()));
            part.store(1, Ordering::SeqCst);
            thread::sleep(PART);
            let before = dir.lines("out").len();
            assert!(before > 10, "{before} lines before it was killed");
            host = Host::start(&dir, &config);
            part.store(2, Ordering::SeqCst);
            // New processes find it; old ones may have given it up.
            dir.wait_for_lines("out", before + USERS);
            thread::sleep(PART);
            stop.store(true, Ordering::SeqCst);
            users.into_iter().flat_map(|user| user.join().expect("it has said why")).collect()
        });
        judge(times);
        server.stop();
        let ended = host.stop().expect_status(0);
        for input in ["dovecot", "login"] {
            assert!(ended.input(input).rejected.is_empty(), "{:?}", ended.input(input));
        }
    });
}
