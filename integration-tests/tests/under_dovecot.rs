//! The host as a service of a real Dovecot's own master process.

#![expect(clippy::print_stdout, reason = "shown for a test that fails")]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fantail_integration_tests::{
    Done, Workdir, binary, events,
    peers::{
        HttpSink, Reply, StatsClient,
        dovecot::{Dovecot, Imap, MailServer},
    },
    wait_for,
};
use rustix::process::{Pid, Signal, kill_process};

/// The metric has a name of its own: there is an `all` in the configuration of Dovecot.
const OUT: &str = "
event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
metric exported {
  filter = event=*
  exporter = out
}
";

/// Reads Dovecot's own configuration and another one.
const BOTH: &str = "run -c $DIR/mail/dovecot.conf -c $DIR/fantail.conf";

/// A Dovecot whose stats process is Fantail. Dropped, it ends.
struct Running<'a> {
    server: MailServer,
    dovecot: &'a Dovecot,
    dir: Workdir,
}

/// Runs a test with each Dovecot: the installed one, and the one that `FANTAIL_DOVECOT_24` names.
fn with_each(test: impl Fn(&Dovecot)) {
    for dovecot in Dovecot::required() {
        println!("with Dovecot {}", dovecot.version());
        test(&dovecot);
    }
}

impl<'a> Running<'a> {
    /// Starts it with Fantail, and these arguments, as its stats process.
    fn start(dovecot: &'a Dovecot, arguments: &str) -> Self {
        Self::start_in(Workdir::new(), dovecot, arguments, &[])
    }

    fn start_in(
        dir: Workdir,
        dovecot: &'a Dovecot,
        arguments: &str,
        environment: &[(&str, &Path)],
    ) -> Self {
        dir.config("fantail.conf", OUT);
        let executable = dir.fill_in(&format!("{} {arguments}", binary().display()));
        let server = MailServer::start_with_service(dovecot, &dir, &executable, environment);
        Running { server, dovecot, dir }
    }

    fn doveadm(&self, arguments: &[&str]) -> Done {
        let done = self.dovecot.doveadm(&self.server.config_path(), arguments);
        done.expect("doveadm is beside dovecot")
    }

    /// Has its process `auth` handle a login, which is an event of that process.
    fn log_in(&self) {
        let done = self.doveadm(&["auth", "test", "somebody", "secret"]);
        assert!(done.text().contains("auth succeeded"), "{done:?}");
    }

    /// Logs in until one more login than there were has been exported.
    fn login_arrives(&self) {
        let arrived = || {
            let lines = self.dir.lines("out");
            lines.iter().filter(|line| line.contains("auth_request_finished")).count()
        };
        let before = arrived();
        wait_for("the event of a login", || {
            self.log_in();
            thread::sleep(Duration::from_millis(100));
            (arrived() > before).then_some(())
        });
    }

    /// Where its processes look for a stats process.
    fn writer(&self) -> std::path::PathBuf {
        MailServer::stats_writer(&self.dir)
    }

    /// The process that its master has started.
    fn fantail(&self) -> Pid {
        self.fantails().into_iter().next().expect("Fantail runs")
    }

    fn fantails(&self) -> Vec<Pid> {
        self.server.processes("fantail")
    }

    fn log(&self) -> String {
        self.server.log()
    }

    fn wait_for_log(&self, text: &str, count: usize) {
        wait_for(&format!("`{text}` in Dovecot's log"), || {
            (self.log().matches(text).count() >= count).then_some(())
        });
    }

    /// Stops it as an administrator does, and waits until nothing of it is left.
    fn stop(mut self) -> Workdir {
        let done = self.doveadm(&["stop"]);
        assert_eq!(done.status, Some(0), "{done:?}");
        self.server.wait_for_end();
        self.server.stop();
        self.dir
    }
}

#[test]
fn events_flow_on_after_kills_and_reloads() {
    with_each(flow_on);
}

fn flow_on(dovecot: &Dovecot) {
    let running = Running::start(dovecot, BOTH);
    running.login_arrives();
    let first = running.fantail();

    // Who connects to a socket that nobody accepts on waits for the next process.
    kill_process(first, Signal::KILL).unwrap();
    let mut client = StatsClient::hello(running.writer());
    client.say(&[&events::stats("ours", 1)]);
    client.finish();
    wait_for("our event", || {
        running.dir.lines("out").iter().any(|line| line.contains("\"ours\"")).then_some(())
    });
    // The process `auth` comes back, as Dovecot's clients do.
    running.login_arrives();
    let second = running.fantail();
    assert_ne!(first, second);
    running.wait_for_log("fantail: Info: fantail ", 2);

    // Idle or not, it stays, and the master hears so.
    kill_process(second, Signal::INT).unwrap();
    running.login_arrives();
    assert_eq!(running.fantail(), second);

    let done = running.doveadm(&["reload"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    wait_for("the end of the second", || (!running.fantails().contains(&second)).then_some(()));
    running.login_arrives();
    running.wait_for_log("fantail: Info: fantail ", 3);

    // A stop leaves nothing that a start would stumble over, though a client is still there.
    let _client = StatsClient::hello(running.writer());
    let dir = running.stop();
    let mut log = String::from_utf8(dir.read("mail/log")).unwrap();
    let running = Running::start_in(dir, dovecot, BOTH, &[]);
    running.login_arrives();
    let dir = running.stop();
    log += str::from_utf8(&dir.read("mail/log")).unwrap();
    let expected = ["child", "killed with signal 9"];
    let is_wrong = |line: &&str| {
        line.contains("Error:") || line.contains("Fatal:") || line.contains("client_limit")
    };
    let wrong: Vec<&str> = log.lines().filter(is_wrong).collect();
    assert_eq!(wrong.len(), 1, "{log}");
    assert!(expected.iter().all(|part| wrong[0].contains(part)), "{log}");
    assert!(!log.contains("\u{1}"), "{log}");
}

#[test]
fn sessions_that_stay_over_a_kill_are_heard_again() {
    with_each(|dovecot| {
        let running = Running::start(dovecot, BOTH);
        let users = ["ann", "ben", "cat"];
        let login = |user| Imap::login(&running.server.ports(), user).unwrap();
        let mut sessions = users.map(login);
        // How many commands of each session have arrived.
        let arrived = || {
            let lines = running.dir.whole_lines("out");
            users.map(|user| {
                let user = format!("\"user\":\"{user}\"");
                let is_ours = |line: &&String| line.contains("\"NOOP\"") && line.contains(&user);
                lines.iter().filter(is_ours).count()
            })
        };
        let mut all_arrive = || {
            let before = arrived();
            wait_for("a command of each session", || {
                sessions.iter_mut().for_each(|session| drop(session.command("NOOP").unwrap()));
                thread::sleep(Duration::from_millis(100));
                arrived().iter().zip(before).all(|(now, before)| *now > before).then_some(())
            });
        };
        let processes = || running.server.processes("imap").into_iter().collect::<HashSet<_>>();
        all_arrive();
        let theirs = processes();
        assert!(theirs.len() >= users.len(), "{theirs:?}");
        kill_process(running.fantail(), Signal::KILL).unwrap();
        all_arrive();
        // It was they themselves who came back.
        assert_eq!(processes(), theirs);
        sessions.into_iter().for_each(|session| session.logout().unwrap());
    });
}

#[test]
fn who_has_just_connected_is_heard_over_a_reload() {
    with_each(|dovecot| {
        let running = Running::start(dovecot, BOTH);
        let mut old = StatsClient::hello(running.writer());
        running.wait_for_log("fantail: Info: fantail ", 1);
        let process = running.fantail();
        assert!(old.line().starts_with("VERSION\t") && old.line().starts_with("FILTER\t"));
        // Closed now, a process of Dovecot's would stay away until 10 s after it has connected.
        let done = running.doveadm(&["reload"]);
        assert_eq!(done.status, Some(0), "{done:?}");
        running.wait_for_log("Dovecot's master has gone", 1);
        old.say(&[&events::stats("old", 1)]);
        // Its successor is there for everybody else; but for a moment Dovecot's sockets are not.
        wait_for("both events", || {
            if let Ok(mut new) = UnixStream::connect(running.writer()) {
                let said = format!("VERSION\tstats-client\t4\t0\n{}\n", events::stats("new", 1));
                let _ = new.write_all(said.as_bytes());
            }
            let lines = running.dir.whole_lines("out");
            let has = |name: &str| lines.iter().any(|line| line.contains(name));
            (has("\"new\"") && has("\"old\"")).then_some(())
        });
        // Then it may go: it is told so, and its process ends.
        assert_eq!(old.line(), "");
        wait_for("the old process's end", || {
            (!running.fantails().contains(&process)).then_some(())
        });
    });
}

#[test]
fn systemd_hears_of_dovecots_start_and_end_from_dovecot_only() {
    with_each(|dovecot| {
        let dir = Workdir::new();
        let path = dir.path("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        // Any process of Dovecot's could.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&path, open).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let running = Running::start_in(dir, dovecot, BOTH, &[("NOTIFY_SOCKET", &path)]);
        running.login_arrives();
        let _dir = running.stop();
        let mut said = Vec::new();
        let mut message = [0; 4096];
        while let Ok(length) = systemd.recv(&mut message) {
            said.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
        let is_of = |whose: &str| said.iter().any(|one| one.contains(whose));
        assert!(is_of("running") && is_of("STOPPING=1"), "{said:?}");
        assert!(!is_of("inputs: ") && !is_of("delivers"), "{said:?}");
    });
}

#[test]
fn dovecots_own_configuration_and_sockets_are_enough() {
    with_each(|dovecot| {
        let running = Running::start(dovecot, "run");
        let counted = || {
            let done = running.doveadm(&["stats", "dump"]);
            let line = done.text().lines().find(|line| line.starts_with("all\t"))?.to_owned();
            line.split('\t').nth(2)?.parse::<u64>().ok()
        };
        running.log_in();
        let some = wait_for("events", || counted().filter(|count| *count > 0));
        running.log_in();
        wait_for("more events", || counted().filter(|count| *count > some));
        for name in
            ["input stats-writer on ", "input login/stats-writer on ", "listener stats-reader on "]
        {
            running.wait_for_log(&format!("fantail: Info: {name}"), 1);
        }
        // Beyond the service's client_limit the master would begin to close connections, if it
        // were told so: it hears of connections within a second.
        let hello = || StatsClient::hello(running.writer());
        let _clients: Vec<StatsClient> = (0..10).map(|_| hello()).collect();
        thread::sleep(Duration::from_millis(1500));
        let _more: Vec<StatsClient> = (0..10).map(|_| hello()).collect();
        let status = running.doveadm(&["service", "status", "stats"]);
        for line in ["process_count: 1\n", "process_avail: 1\n"] {
            assert!(status.text().contains(line), "{status:?}");
        }
        let dir = running.stop();
        let log = String::from_utf8(dir.read("mail/log")).unwrap();
        assert!(!log.contains("client_limit"), "{log}");
    });
}

#[test]
fn an_error_in_the_configuration_is_told_in_dovecots_log() {
    with_each(|dovecot| {
        let dir = Workdir::new();
        dir.config("wrong.conf", "metric broken {\n  filter = event=\n}\n");
        let running = Running::start_in(dir, dovecot, "run -c $DIR/wrong.conf", &[]);
        // By the first process already: who reports nothing for two seconds looks dead.
        let _waiting = UnixStream::connect(running.writer()).unwrap();
        running.wait_for_log("fantail: Error: ", 1);
        running.wait_for_log("wrong.conf:2", 1);
        // Put right, it goes on by itself.
        running.dir.config("wrong.conf", "metric right {\n  filter = event=*\n}\n");
        let _client = StatsClient::hello(running.writer());
    });
}

/// Starts a host by a shell that sets its descriptors and environment, and returns the lines of its
/// log that are warnings once it is ready.
fn warnings(shell: &str) -> Vec<String> {
    let dir = Workdir::new();
    let config = dir.config(
        "fantail.conf",
        "input in {\n driver = unix\n path = $DIR/in\n}\nmetric all {\n filter = event=*\n}\n",
    );
    let script = format!("{shell} exec \"$0\" run -c \"$1\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(binary()).arg(config).env_remove("JOURNAL_STREAM");
    // Descriptor 1 is a pipe, as those of Dovecot's master are.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut found = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap) {
        match line.split_once(" warning: ") {
            Some((_, warning)) => found.push(warning.to_owned()),
            None if line.contains(" is ready") => break,
            None => {}
        }
    }
    drop(child.stdout.take());
    child.kill().unwrap();
    child.wait().unwrap();
    found
}

#[test]
fn a_bad_environment_of_dovecots_gets_one_clear_line() {
    let check = |shell: &str, expected: &[&str]| {
        let found = warnings(shell);
        assert_eq!(found.len(), expected.len(), "{shell}: {found:?}");
        for (line, part) in found.iter().zip(expected) {
            assert!(line.contains(part), "{shell}: {line}");
        }
    };
    let master = "export DOVECOT_CHILD_PROCESS=1 GENERATION=1 CLIENT_LIMIT=100";
    check("", &[]);
    check("export DOVECOT_CHILD_PROCESS=1;", &["GENERATION is missing"]);
    check(&format!("{master} SOCKET_COUNT=many;"), &["SOCKET_COUNT is `many`"]);
    check(&format!("{master} SOCKET_COUNT=0; exec 5</dev/null 6</dev/null;"), &["5 and 6"]);
    check(
        &format!("{master} SOCKET_COUNT=2; exec 5>&1 6>&1 7</dev/null;"),
        &["SOCKET_COUNT is 2, but none of the descriptors 7 to 9 is a listening socket"],
    );
    check(
        &format!("{master} SOCKET_COUNT=0 CLIENT_LIMIT=1; exec 5>&1 6>&1;"),
        &["client_limit = 1"],
    );
}

#[test]
fn after_a_reload_the_new_process_waits_for_the_queues_of_the_old() {
    with_each(wait_for_queues);
}

fn wait_for_queues(dovecot: &Dovecot) {
    // The old one waits for an answer until shutdown_timeout.
    let server = HttpSink::start(|_, _| Reply::never());
    let text = format!(
        "shutdown_timeout = 3 s
state_dir = $DIR/fantail
event_exporter out {{
  driver = http-post
  http_post_url = {}
  http_client_request_absolute_timeout = 60 s
  format = json
  queue = durable
}}
metric exported {{
  filter = event=*
  exporter = out
}}
",
        server.url("/")
    );
    let dir = Workdir::new();
    dir.config("durable.conf", &text);
    let arguments = "run -c $DIR/mail/dovecot.conf -c $DIR/durable.conf";
    let running = Running::start_in(dir, dovecot, arguments, &[]);
    running.log_in();
    wait_for("a request", || (server.connections() > 0).then_some(()));
    let old = running.fantail();
    running.doveadm(&["reload"]);
    running.wait_for_log("Dovecot's master has gone", 1);
    // It is served by the new one, as soon as that has the queue.
    wait_for("the new one's greeting", || {
        // For a moment of the reload Dovecot's sockets are not there.
        let client = UnixStream::connect(running.writer()).ok()?;
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).ok()?;
        line.starts_with("VERSION\t").then_some(())
    });
    // The queue is free a little before the process has ended.
    wait_for("the end of the old", || (!running.fantails().contains(&old)).then_some(()));
    running.wait_for_log("perhaps a predecessor has not ended yet", 1);
    let log = running.log();
    assert_eq!(log.matches("trying again").count(), 1, "{log}");
    assert!(!log.contains("startup failed") && !log.contains("fantail: Fatal:"), "{log}");
}
