//! The same script to two mail servers, one with Fantail and one with Dovecot's own stats
//! process: what happens twice is told twice, event by event.

use fantail_integration_tests::{
    Host, OUT, Workdir,
    expect::same_set,
    peers::dovecot::{Dovecot, Generation, MailServer, Script},
};
use serde_json::Value;

use super::{inputs, rounds, with_each};

/// Fields whose values are left out, since they differ from run to run; that they are there is
/// compared.
const CHANGING: &[&str] = &[
    // Numbers that are given anew: to processes, connections, sessions and requests.
    "remote_pid",
    "session",
    "connection_id",
    "transaction_id",
    "id",
    "login_request_id",
    "remote_port",
    "real_remote_port",
    "local_port",
    "real_local_port",
    // Paths below the test's directory.
    "socket_path",
    // When something was; the numbers of cache files are such times, too.
    "last_used",
    "last_run_time",
    "file_seq",
    "prev_file_seq",
    // How long something took.
    "duration",
    "running_usecs",
    "lock_wait_usecs",
    "auth_usecs",
    "connected_usecs",
    // How long the answers are, which tell how long the commands took.
    "bytes_out",
    "net_out_bytes",
];

/// The same of the connections between Dovecot's processes, which tell each other their
/// numbers and sessions.
const CHANGING_OF_CONNECTIONS: &[&str] = &["bytes_in", "net_in_bytes"];

/// Texts with times and numbers of caches and mailboxes in them, which are compared without
/// their digits.
const WITH_NUMBERS: &[&str] = &["tagged_reply", "reason"];

/// What the system says of a process: a field is there only if it is not 0.
const USAGE: &[&str] = &[
    "utime",
    "stime",
    "minor_faults",
    "major_faults",
    "vol_cs",
    "invol_cs",
    "rss",
    "vsz",
    "rchar",
    "wchar",
    "syscr",
    "syscw",
];

const SESSIONS: u64 = 4;

/// An event without what differs.
fn kind(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap();
    let name = event["event"].as_str().unwrap();
    let of_connection = name.ends_with("_connection_disconnected");
    let mut categories: Vec<&str> =
        event["categories"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    categories.sort_unstable();
    let value = |name: &str, value: &Value| {
        let is_changing =
            CHANGING.contains(&name) || of_connection && CHANGING_OF_CONNECTIONS.contains(&name);
        match value.to_string() {
            _ if is_changing => String::new(),
            text if WITH_NUMBERS.contains(&name) => text.replace(|it: char| it.is_numeric(), ""),
            text => text,
        }
    };
    let fields = event["fields"].as_object().unwrap().iter();
    let fields = fields.filter(|(name, _)| !USAGE.contains(&name.as_str()));
    // Where `duration` stands is chance: a process merges an event with its parent unless the
    // parent has been sent before.
    let mut fields: Vec<String> =
        fields.map(|(name, it)| format!("{name}={}", value(name, it))).collect();
    fields.sort_unstable();
    format!("{name} {categories:?} {}", fields.join(" "))
}

/// Plays some sessions one after the other. How many processes share the work of those that
/// come at the same time is chance.
fn play(server: &MailServer, seed: u64) {
    for part in 0..SESSIONS {
        Script { seed: seed * SESSIONS + part, users: 1 }.play(&server.ports());
    }
}

/// What a server with Fantail tells of the script.
fn with_fantail(dovecot: &Dovecot, seed: u64) -> Vec<String> {
    let dir = Workdir::new();
    MailServer::prepare(&dir);
    let host = Host::start(&dir, &(inputs(&dir) + OUT));
    let server = MailServer::start(dovecot, &dir);
    play(&server, seed);
    server.stop();
    host.stop().expect_status(0);
    dir.lines("out")
}

/// The same of one with a stats process of its own.
fn with_its_own(dovecot: &Dovecot, seed: u64) -> Vec<String> {
    let dir = Workdir::new();
    let driver = match dovecot.generation() {
        Generation::V2_3 => "format_args = time-rfc3339\n  transport = log",
        Generation::V2_4 => "driver = file\n  file_path = $DIR/out",
    };
    let config = format!(
        "event_exporter out {{\n  format = json\n  {driver}\n}}\n\
         metric all {{\n  filter = event=*\n  exporter = out\n}}\n"
    );
    let server = MailServer::start_whole(dovecot, &dir, &dir.fill_in(&config));
    play(&server, seed);
    let logged = server.stop();
    if dovecot.generation() == Generation::V2_3 { logged } else { dir.lines("out") }
}

#[test]
fn what_happens_twice_is_told_twice() {
    with_each(|dovecot| {
        for round in 0..rounds() {
            let ours = with_fantail(dovecot, round);
            let theirs = with_its_own(dovecot, round);
            assert!(theirs.len() > 100, "{} events", theirs.len());
            same_set("two servers", &theirs, &ours, kind);
        }
    });
}
