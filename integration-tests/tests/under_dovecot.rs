//! The host as a service of a real Dovecot's own master process.

#![allow(clippy::print_stdout, reason = "the test harness shows it for a test that failed")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fantail_integration_tests::{
    Done, Workdir, binary, events,
    peers::{HttpSink, Reply, StatsClient},
    run, wait_for,
};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// A Dovecot of our own, with a password that everybody has.
const DOVECOT: &str = "
protocols =
listen = 127.0.0.1
ssl = no
base_dir = $DIR/run
state_dir = $DIR/state
log_path = $DIR/dovecot.log
instance_name = fantail-test
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/tmp
}
metric all {
  filter = event=*
}
service stats {
  executable = $FANTAIL
  client_limit = 3
}
";

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

/// A running Dovecot. Dropped, it ends.
struct Dovecot {
    dir: Workdir,
}

impl Dovecot {
    /// Starts it with `$FANTAIL` as its stats process; `None` when only root could.
    fn start(arguments: &str) -> Option<Self> {
        if !geteuid().is_root() {
            println!("left out: only root can start a Dovecot that is like an installed one");
            return None;
        }
        let dir = Workdir::new();
        // Its unprivileged processes have to reach their sockets.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(""), open).unwrap();
        let fantail = format!("{} {arguments}", binary().display());
        let fantail = dir.fill_in(&fantail);
        dir.config("dovecot.conf", &DOVECOT.replace("$FANTAIL", &fantail));
        dir.config("fantail.conf", OUT);
        let dovecot = Dovecot { dir };
        dovecot.begin();
        Some(dovecot)
    }

    fn begin(&self) {
        // Its processes keep standard output and error: what they say is in its log.
        let started = self.command("dovecot").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(started.is_ok_and(|status| status.success()), "{}", self.log());
    }

    /// `dovecot` or `doveadm`, with our configuration.
    fn command(&self, name: &str) -> Command {
        let is_there = |place: &&str| Path::new(place).join(name).is_file();
        let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
        let place = places.into_iter().find(is_there).unwrap_or_else(|| {
            panic!(
                "{name} is not there: the package dovecot-core is needed, see integration-tests/run"
            )
        });
        let mut command = Command::new(Path::new(place).join(name));
        command.arg("-c").arg(self.dir.path("dovecot.conf"));
        command
    }

    fn doveadm(&self, arguments: &[&str]) -> Done {
        run(self.command("doveadm").args(arguments), b"")
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

    /// The process that its master has started.
    fn fantail(&self) -> Pid {
        self.fantails().into_iter().next().expect("Fantail runs")
    }

    fn fantails(&self) -> Vec<Pid> {
        let mark = self.dir.path("run").join("stats-writer").display().to_string();
        let is_ours = |pid: &i32| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = fs::read_to_string(format!("/proc/{pid}/environ"));
            command.starts_with("dovecot-fantail-test/fantail")
                && environment.is_ok_and(|environment| environment.contains(&mark))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_ours).filter_map(Pid::from_raw).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path("dovecot.log")).unwrap_or_default()
    }

    fn wait_for_log(&self, text: &str, count: usize) {
        wait_for(&format!("`{text}` in Dovecot's log"), || {
            (self.log().matches(text).count() >= count).then_some(())
        });
    }

    fn stop(&self) {
        let done = self.doveadm(&["stop"]);
        assert_eq!(done.status, Some(0), "{done:?}");
        wait_for("Fantail's end", || self.fantails().is_empty().then_some(()));
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.doveadm(&["stop"]);
        for pid in self.fantails() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if thread::panicking() {
            println!("log of Dovecot:\n{}", self.log());
        }
    }
}

#[test]
fn events_flow_on_after_kills_and_reloads() {
    let arguments = "run -c $DIR/dovecot.conf -c $DIR/fantail.conf";
    let Some(dovecot) = Dovecot::start(arguments) else { return };
    dovecot.login_arrives();
    let first = dovecot.fantail();

    // Who connects to a socket that nobody accepts on waits for the next process.
    kill_process(first, Signal::KILL).unwrap();
    let mut client = StatsClient::hello(dovecot.dir.path("run/stats-writer"));
    client.say(&[&events::stats("ours", 1)]);
    client.finish();
    wait_for("our event", || {
        dovecot.dir.lines("out").iter().any(|line| line.contains("\"ours\"")).then_some(())
    });
    // The process `auth` comes back, as Dovecot's clients do.
    dovecot.login_arrives();
    let second = dovecot.fantail();
    assert_ne!(first, second);
    dovecot.wait_for_log("fantail: Info: fantail ", 2);

    // Idle or not, it stays, and the master hears so.
    kill_process(second, Signal::INT).unwrap();
    dovecot.login_arrives();
    assert_eq!(dovecot.fantail(), second);

    let done = dovecot.doveadm(&["reload"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    wait_for("the end of the second", || (!dovecot.fantails().contains(&second)).then_some(()));
    dovecot.login_arrives();
    dovecot.wait_for_log("fantail: Info: fantail ", 3);

    // A stop leaves nothing that a start would stumble over, though a client is still there.
    let _client = StatsClient::hello(dovecot.dir.path("run/stats-writer"));
    dovecot.stop();
    dovecot.begin();
    dovecot.login_arrives();
    dovecot.stop();
    let log = dovecot.log();
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
fn dovecots_own_configuration_and_sockets_are_enough() {
    let Some(dovecot) = Dovecot::start("run") else { return };
    let counted = || {
        let done = dovecot.doveadm(&["stats", "dump"]);
        let line = done.text().lines().find(|line| line.starts_with("all\t"))?.to_owned();
        line.split('\t').nth(2)?.parse::<u64>().ok()
    };
    dovecot.log_in();
    let some = wait_for("events", || counted().filter(|count| *count > 0));
    dovecot.log_in();
    wait_for("more events", || counted().filter(|count| *count > some));
    for name in
        ["input stats-writer on ", "input login/stats-writer on ", "listener stats-reader on "]
    {
        dovecot.wait_for_log(&format!("fantail: Info: {name}"), 1);
    }
    // Beyond the service's client_limit the master would begin to close connections, if it
    // were told so: it hears of connections within a second.
    let hello = || StatsClient::hello(dovecot.dir.path("run/stats-writer"));
    let _clients: Vec<StatsClient> = (0..10).map(|_| hello()).collect();
    thread::sleep(Duration::from_millis(1500));
    let _more: Vec<StatsClient> = (0..10).map(|_| hello()).collect();
    let status = dovecot.doveadm(&["service", "status", "stats"]);
    for line in ["process_count: 1\n", "process_avail: 1\n"] {
        assert!(status.text().contains(line), "{status:?}");
    }
    dovecot.stop();
    assert!(!dovecot.log().contains("client_limit"), "{}", dovecot.log());
}

#[test]
fn an_error_in_the_configuration_is_told_in_dovecots_log() {
    let Some(dovecot) = Dovecot::start("run -c $DIR/wrong.conf") else { return };
    dovecot.dir.config("wrong.conf", "metric broken {\n  filter = event=\n}\n");
    let _waiting = UnixStream::connect(dovecot.dir.path("run/stats-writer")).unwrap();
    dovecot.wait_for_log("fantail: Error: ", 1);
    dovecot.wait_for_log("wrong.conf:2", 1);
    // Put right, it goes on by itself.
    dovecot.dir.config("wrong.conf", "metric right {\n  filter = event=*\n}\n");
    let _client = StatsClient::hello(dovecot.dir.path("run/stats-writer"));
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
    // The old one waits for an answer until shutdown_timeout.
    let server = HttpSink::start(|_, _| Reply::never());
    let arguments = "run -c $DIR/dovecot.conf -c $DIR/durable.conf";
    let Some(dovecot) = Dovecot::start(arguments) else { return };
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
    dovecot.dir.config("durable.conf", &text);
    dovecot.log_in();
    wait_for("a request", || (server.connections() > 0).then_some(()));
    let old = dovecot.fantail();
    dovecot.doveadm(&["reload"]);
    dovecot.wait_for_log("Dovecot's master has gone", 1);
    // It is served by the new one, as soon as that has the queue.
    let mut client = StatsClient::hello(dovecot.dir.path("run/stats-writer"));
    assert!(client.line().starts_with("VERSION\t"));
    assert!(!dovecot.fantails().contains(&old));
    dovecot.wait_for_log("perhaps a predecessor has not ended yet", 1);
    let log = dovecot.log();
    assert_eq!(log.matches("trying again").count(), 1, "{log}");
    assert!(!log.contains("startup failed") && !log.contains("fantail: Fatal:"), "{log}");
}
