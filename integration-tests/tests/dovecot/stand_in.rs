//! Fantail at the sockets of a mail server that has no stats process: what it exports,
//! against what the users did.

use std::collections::BTreeMap;

use fantail_integration_tests::{
    Host, OUT, Workdir,
    expect::same_set,
    peers::{
        HttpSink, LineSink, Reply,
        dovecot::{Did, Dovecot, MailServer, Script},
    },
    wait_for,
};
use serde_json::Value;

use super::{inputs, rounds, with_each};

/// Every driver with a format that fits, and every event to each.
const EXPORTERS: &str = "
shutdown_timeout = 50 s
event_exporter json {
  driver = file
  file_path = $DIR/out.json
  format = json
}
event_exporter tab {
  driver = file
  file_path = $DIR/out.tab
  format = tab-text
}
event_exporter unix {
  driver = unix
  unix_path = $DIR/unix.sock
  format = json
}
event_exporter http {
  driver = http-post
  http_post_url = $URL
  # So that nothing is sent twice when the machine is busy.
  http_client_request_absolute_timeout = 1 min
  format = json
}
event_exporter log {
  driver = log
  format = json
}
event_exporter drop {
  driver = drop
  format = json
}
metric json {
  filter = event=*
  exporter = json
}
metric tab {
  filter = event=*
  exporter = tab
}
metric unix {
  filter = event=*
  exporter = unix
}
metric http {
  filter = event=*
  exporter = http
}
metric log {
  filter = event=*
  exporter = log
}
metric drop {
  filter = event=*
  exporter = drop
}
";

/// What the lines say of each user.
pub(super) fn told(lines: &[String]) -> BTreeMap<String, Did> {
    let mut users: BTreeMap<String, Did> = BTreeMap::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| event["fields"][name].as_str().unwrap_or_default().to_owned();
        let user = field("user");
        let did = users.entry(user.clone()).or_insert_with(|| Did { user, ..Did::default() });
        match event["event"].as_str().unwrap() {
            "imap_command_finished" => {
                did.commands.push((field("cmd_name"), field("tagged_reply_state")));
            }
            "mail_delivery_finished" => did.delivered += 1,
            "auth_request_finished" if field("success") == "yes" => did.logins += 1,
            "auth_request_finished" => did.failed += 1,
            _ => {}
        }
    }
    users
}

/// Plays a script to a server that has Fantail, and compares.
fn play(dovecot: &Dovecot, script: Script) {
    let dir = Workdir::new();
    MailServer::prepare(&dir);
    let unix = LineSink::listen(dir.path("unix.sock"));
    let http = HttpSink::start(|_, _| Reply::status(200));
    let exporters = EXPORTERS.replace("$URL", &http.url("/"));
    let host = Host::start(&dir, &(inputs(&dir) + &exporters));
    let server = MailServer::start(dovecot, &dir);
    let done = script.play(&server.ports());
    server.stop();
    let ended = host.stop().expect_status(0);
    let inputs = ["dovecot", "login"].map(|name| ended.input(name));
    for input in &inputs {
        assert!(input.rejected.is_empty(), "{input:?}");
    }
    let lines = dir.lines("out.json");
    // Unnamed ones are no `event=*`.
    let events = inputs.iter().map(|input| input.events).sum::<u64>();
    assert!(!lines.is_empty() && lines.len() as u64 <= events, "{} of {events}", lines.len());
    let told = told(&lines);
    for did in &done {
        assert_eq!(told.get(&did.user), Some(did));
    }
    // All exporters have the same.
    for name in ["json", "tab", "unix", "http", "log", "drop"] {
        let exporter = ended.exporter(name);
        assert_eq!(exporter.matched, lines.len() as u64, "{name}");
        assert_eq!(exporter.delivered, exporter.matched, "{name}");
    }
    assert_eq!(dir.lines("out.tab").len(), lines.len());
    let same = |what: &str, found: &[String]| same_set(what, &lines, found, str::to_owned);
    same("unix", &unix.wait_for(lines.len()));
    let posted = http.accepted();
    let posted: Vec<String> =
        posted.iter().flat_map(|body| body.lines()).map(str::to_owned).collect();
    same("http-post", &posted);
    let payload = |line: &String| line.find("{\"event\":").map(|start| line[start..].to_owned());
    same("log", &ended.log.iter().filter_map(payload).collect::<Vec<_>>());
}

#[test]
fn everything_that_users_do_is_told() {
    with_each(|dovecot| {
        for round in 0..rounds() {
            play(dovecot, Script { seed: round, users: 8 });
        }
    });
}

#[test]
fn of_five_hundred_sessions_at_once_nothing_is_lost() {
    with_each(|dovecot| play(dovecot, Script { seed: 500, users: 500 }));
}

#[test]
fn a_restarted_mail_server_is_heard_again() {
    with_each(|dovecot| {
        let dir = Workdir::new();
        MailServer::prepare(&dir);
        let host = Host::start(&dir, &(inputs(&dir) + OUT));
        let mut told_before = 0;
        for seed in 1..=3 {
            let server = MailServer::start(dovecot, &dir);
            let done = Script { seed, users: 3 }.play(&server.ports());
            server.stop();
            wait_for("what the users of this start did", || {
                let lines = dir.lines("out").split_off(told_before);
                let told = told(&lines);
                done.iter().all(|did| told.get(&did.user) == Some(did)).then_some(())
            });
            told_before = dir.lines("out").len();
        }
        let ended = host.stop().expect_status(0);
        for input in ["dovecot", "login"] {
            assert!(ended.input(input).rejected.is_empty(), "{:?}", ended.input(input));
        }
        assert_eq!(dir.lines("out").len(), told_before);
    });
}
