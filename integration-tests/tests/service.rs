//! A host among other services: what it takes from Dovecot, from systemd and from
//! the system's limits.

use std::{
    fs,
    net::Shutdown,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Host, IN, OUT, Starting, Workdir, data, events,
    expect::{normal_json, same_lines},
    fantail,
    peers::{HttpSink, Reply, SilentSink, StatsClient, send_unix},
    wait_for,
};
use rustix::process::Signal;

fn one_event() -> Vec<u8> {
    events::lines([events::json("e", 1)])
}

/// What an administrator of a mail server has: everything but the last blocks is
/// none of our business.
const DOVECOT_CONF: &str = "
protocols = imap lmtp
listen = *, ::
base_dir = $DIR
mail_location = maildir:~/Maildir
ssl = required
ssl_cert = </nonexistent/cert.pem
auth_mechanisms = plain login
passdb {
  driver = passwd-file
  args = scheme=CRYPT username_format=%u /etc/dovecot/users
}
userdb {
  driver = static
}
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = maildir:User quota
}
service imap-login {
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0600
    group = $GROUP
  }
  unix_listener login/stats-writer {
    mode = 0
  }
  unix_listener stats-reader {
    mode = 0600
  }
}
";

#[test]
fn an_existing_dovecot_conf_is_usable_as_it_is() {
    let dir = Workdir::new();
    // Dovecot's own default is a group that this machine may not have.
    let group = rustix::process::getegid().as_raw().to_string();
    let paths = [
        dir.config("dovecot.conf", &DOVECOT_CONF.replace("$GROUP", &group)),
        dir.config("ours.conf", OUT),
    ];
    let host = Starting::with(&paths).start();
    let mode = fs::metadata(dir.path("stats-writer")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let mut client = StatsClient::hello(dir.path("stats-writer"));
    client.say(&[&events::stats("from-dovecot", 1)]);
    client.finish();
    let ended = host.stop().expect_status(0);
    assert_eq!(dir.lines("out").len(), 1);
    // One summary, and no word about each of them.
    let start = ended.log.iter().position(|line| line.contains(" is ready")).unwrap();
    let before = ended.log[..start].join("\n");
    assert!(before.matches("note: ").count() <= 2, "{before}");
    assert!(!before.contains("error"), "{before}");
}

#[test]
fn a_group_that_dovecot_only_assumes_may_be_missing() {
    let dir = Workdir::new();
    let listener = |group: &str| {
        format!(
            "base_dir = $DIR\ndefault_internal_group = no-such-group\nservice stats {{\n  \
             unix_listener stats-writer {{\n    {group}\n  }}\n}}\n\
             metric all {{\n  filter = event=*\n}}\n"
        )
    };
    let host = Starting::with(&[dir.config("assumed.conf", &listener(""))]).start();
    assert!(dir.path("stats-writer").exists());
    let ended = host.stop().expect_status(0);
    ended.one_line_with("there is no group `no-such-group`");
    let written = dir.config("written.conf", &listener("group = no-such-group"));
    let output = fantail(["check", "-c", written.to_str().unwrap()]);
    assert_eq!(output.status, Some(78));
}

#[test]
fn relative_paths_begin_where_the_host_was_started() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("out")).unwrap();
    let capture = data("captures/dovecot-2.4");
    let input = format!(
        "workers = 1\ninput replay {{\n  driver = file\n  path = {}/*.stats-writer\n}}\n",
        capture.join("streams").display()
    );
    // Dovecot's own configuration writes to out/.
    let paths = [capture.join("metrics.conf"), dir.config("input.conf", &input)];
    Starting::with(&paths).current_dir(dir.path("")).start().wait().expect_status(0);
    let expected = fs::read_to_string(capture.join("expected/slow.json")).unwrap();
    let found = String::from_utf8(dir.read("out/slow.json")).unwrap();
    same_lines("slow.json", &expected, &found, normal_json);
}

#[test]
fn the_handshake_waits_for_nothing() {
    let dir = Workdir::new();
    let _silent = SilentSink::listen(dir.path("out.sock"));
    let config = "
shutdown_timeout = 100 ms
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
}
event_exporter out {
  driver = unix
  unix_path = $DIR/out.sock
  format = json
  queue_max_size = 64 KiB
}
metric all {
  filter = event=*
  exporter = out
}
";
    let host = Host::start(&dir, config);
    // Several connections send until the host takes no more, so that every worker
    // has some that stand still.
    let mut blocked = Vec::new();
    for connection in 0..8 {
        let mut client = UnixStream::connect(dir.path("stats-writer")).unwrap();
        client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let name = format!("c{connection}");
        let lines = events::lines((0..20_000).map(|n| events::stats(&name, n)));
        let hello = b"VERSION\tstats-client\t4\t0\n";
        let all = [hello.as_slice(), &lines].concat();
        assert!(std::io::Write::write_all(&mut client, &all).is_err(), "nothing is blocked");
        blocked.push(client);
    }
    // A login at that server would stand still for as long as this takes.
    for _ in 0..8 {
        let asked = Instant::now();
        let mut client = StatsClient::connect(dir.path("stats-writer"));
        assert!(client.line().starts_with("VERSION\t"));
        assert!(client.line().starts_with("FILTER\t"));
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    }
    drop(blocked);
    let ended = host.stop().expect_status(75);
    let (input, exporter) = (ended.input("dovecot"), ended.exporter("out"));
    assert_eq!((exporter.matched, exporter.queued), (input.events, 0));
}

/// The most memory that a process has had since it was asked last, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn memory_stays_within_what_the_queue_may_hold() {
    // 50,000 events for a server that never answers kill Dovecot's process.
    let server = HttpSink::start(|_, _| Reply::never());
    let dir = Workdir::new();
    let config = format!(
        "shutdown_timeout = 100 ms
workers = 2
{IN}
event_exporter out {{
  driver = http-post
  http_post_url = {}
  format = json
  queue_max_size = 1 MiB
  queue_full = drop_newest
}}
metric all {{
  filter = event=*
  exporter = out
}}
",
        server.url("/")
    );
    let host = Host::start(&dir, &config);
    // Forget what loading the plugins took.
    fs::write(format!("/proc/{}/clear_refs", host.pid()), "5").unwrap();
    let before = peak_memory(host.pid());
    send_unix(dir.path("in.sock"), &events::lines((0..200_000).map(|n| events::json("e", n))));
    let grown = peak_memory(host.pid()) - before;
    let ended = host.stop().expect_status(75);
    assert_eq!(ended.exporter("out").matched, 200_000);
    assert!(grown < 16 << 10, "{grown} KiB more");
}

#[test]
fn it_outlives_a_shortage_of_descriptors() {
    let dir = Workdir::new();
    let config = dir.config("fantail.conf", &(IN.to_owned() + OUT));
    let host = Starting::with([config]).descriptors_max(48).start();
    let connect = || UnixStream::connect(dir.path("in.sock")).unwrap();
    let connections: Vec<_> = (0..100).map(|_| connect()).collect();
    host.wait_for_log("a connection could not be accepted");
    // Those that got through still work, and when some go the others get through.
    for (n, mut connection) in connections.into_iter().enumerate() {
        std::io::Write::write_all(&mut connection, &events::lines([events::json("e", n)])).unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
    }
    dir.wait_for_lines("out", 100);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 100);
    ended.one_line_with("could not be accepted");
}

#[test]
fn the_journal_gets_priorities_and_others_the_time() {
    let dir = Workdir::new();
    let config = dir.config("fantail.conf", &(IN.to_owned() + OUT));
    let host = Starting::with([&config]).environment("JOURNAL_STREAM", "8:1").start();
    let ended = host.stop().expect_status(0);
    assert!(ended.log.iter().all(|line| line.starts_with("<6>")), "{:?}", ended.log);
    let ended = Starting::with([&config]).start().stop().expect_status(0);
    assert!(ended.log.iter().all(|line| line.starts_with("20")), "{:?}", ended.log);
}

#[test]
fn a_killed_host_leaves_a_socket_that_the_next_one_replaces() {
    let dir = Workdir::new();
    let mut host = Host::start(&dir, &(IN.to_owned() + OUT));
    host.signal(Signal::KILL);
    wait_for("its end", || (!host.is_running()).then_some(()));
    assert!(dir.path("in.sock").exists());
    let host = Host::start(&dir, &(IN.to_owned() + OUT));
    send_unix(dir.path("in.sock"), &one_event());
    host.stop().expect_status(0);
    assert_eq!(dir.lines("out").len(), 1);
}

#[test]
fn it_says_its_version_and_how_to_use_it() {
    let version = fantail(["--version"]);
    assert_eq!(version.text(), format!("fantail {}\n", env!("CARGO_PKG_VERSION")));
    let help = fantail(["--help"]);
    for command in ["run", "check", "config", "filter", "plugins", "demo"] {
        assert!(help.text().contains(&format!("\n  {command} ")), "{}", help.text());
        assert_eq!(fantail([command, "--help"]).status, Some(0));
    }
    assert_eq!(fantail(["nosuch"]).status, Some(2));
}

#[test]
fn the_help_tells_of_signals() {
    let help = fantail_integration_tests::fantail(["run", "--help"]);
    assert!(help.text().contains("kill -USR1"), "{}", help.text());
}
