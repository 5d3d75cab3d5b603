use std::{
    io::{Read, Seek},
    mem::MaybeUninit,
    os::unix::net::{UnixDatagram, UnixListener},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use fantail_sdk::{
    Driver, DriverContext, LabelPart,
    runner::{DriverRunner, Sent, SentError, schema},
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use super::{Log, Settings};

/// A driver whose sockets are `syslog` and `journal` in the directory.
fn open(dir: &Path, target: &str) -> DriverRunner {
    open_with(dir, target, json!({}))
}

/// The same with more settings.
fn open_with(dir: &Path, target: &str, mut settings: Value) -> DriverRunner {
    settings["log_target"] = target.into();
    settings["log_syslog_socket"] = json!(dir.join("syslog"));
    settings["log_journal_socket"] = json!(dir.join("journal"));
    let context: DriverContext = serde_json::from_value(json!({ "exporter": "to\nlog" })).unwrap();
    DriverRunner::open_with::<Log>(&settings, &context).unwrap()
}

fn reason(sent: &Sent) -> &str {
    match &sent.error {
        Some(SentError::Retry(reason, None)) => reason,
        other => panic!("{other:?}"),
    }
}

fn receive(socket: &UnixDatagram) -> Vec<u8> {
    let mut datagram = vec![0; 1 << 20];
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let length = socket.recv(&mut datagram).unwrap();
    datagram.truncate(length);
    datagram
}

/// Compares a syslog record with the payload it should hold, its time with now.
fn check_record(record: &[u8], payload: &str) {
    let record = std::str::from_utf8(record).unwrap();
    let rest = record.strip_prefix("<22>").unwrap();
    let (time, rest) = rest.split_at(15);
    assert_eq!(rest, format!(" fantail[{}]: {payload}", std::process::id()));
    let now = jiff::Zoned::now();
    let around: Vec<_> = (0..5)
        .map(|ago| now.saturating_sub(jiff::SignedDuration::from_secs(ago)))
        .map(|zoned| zoned.strftime("%b %e %H:%M:%S").to_string())
        .collect();
    assert!(around.iter().any(|near| near == time), "{time} is not now, {now}");
}

fn entry(message: &str) -> Vec<u8> {
    let mut entry = b"SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=fantail\n\
        FANTAIL_EXPORTER\n\x06\0\0\0\0\0\0\0to\nlog\nPRIORITY=6\n"
        .to_vec();
    entry.extend_from_slice(message.as_bytes());
    entry
}

#[test]
fn settings_are_documented() {
    let schema = schema::<Settings>();
    let default = |name: &str| schema["properties"][name]["default"].clone();
    assert_eq!(default("log_target"), "auto");
    assert_eq!(default("log_syslog_socket"), "/dev/log");
    assert_eq!(default("log_journal_socket"), "/run/systemd/journal/socket");
    assert_eq!(schema.get("required").unwrap_or(&Value::Null), &Value::Null);
    assert!(DriverRunner::open::<Log>(&json!({ "log_target": "paper" })).is_err());
    assert_eq!(Log::FIELD_LENGTH_MAX, Some(1000));
}

#[test]
fn syslog_takes_datagrams() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let mut driver = open(dir.path(), "syslog");
    assert_eq!(driver.send(&["{\"event\":\"a\"}", "b\tc\nd"]), Sent::whole(2));
    assert_eq!(driver.send::<&str>(&[]), Sent::whole(0));
    check_record(&receive(&daemon), "{\"event\":\"a\"}");
    check_record(&receive(&daemon), "b\tc#012d");
}

/// A label's values by what the driver wants, from those that there are.
fn label(driver: &DriverRunner, values: &[(LabelPart, &str)]) -> Vec<String> {
    let value = |wanted: &LabelPart| {
        let found = values.iter().find(|(part, _)| part == wanted);
        found.map_or(String::new(), |(_, value)| (*value).to_owned())
    };
    driver.wants().iter().map(value).collect()
}

fn field(name: &str) -> LabelPart {
    LabelPart::Field(name.to_owned())
}

#[test]
fn structured_data_is_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let settings = json!({
        "log_format": "rfc5424", "log_facility": "local7", "log_severity": "event",
        "log_app_name": "mail-events", "log_fields": ["user", "event", "field:event", "none"],
    });
    let mut driver = open_with(dir.path(), "syslog", settings);
    let mut check = |values: &[(LabelPart, &str)], payload: &str, expected: &str| {
        let label = label(&driver, values);
        assert_eq!(driver.send_labelled(&[(payload, label)]), Sent::whole(1));
        let expected = expected.replace("PID", &std::process::id().to_string());
        assert_eq!(String::from_utf8(receive(&daemon)).unwrap(), expected);
    };
    let all = [
        (LabelPart::EndTime, "1795194309422744"),
        (LabelPart::Hostname, "mail.example.com"),
        (LabelPart::Event, "imap_command_finished_and_then_some_more"),
        (LabelPart::LogType, "3"),
        (field("user"), "a\t\"b\\c]d\u{fc}\n\0[="),
        (field("event"), "x y"),
    ];
    check(
        &all,
        "{\"a\":1}\tb\n\u{fc}",
        "<187>1 2026-11-20T17:05:09.422744Z mail.example.com mail-events PID \
         imap_command_finished_and_then_s [fantail@32473 user=\"a\t\\\"b\\\\c\\]d\u{fc}#012#000[=\" \
         event=\"imap_command_finished_and_then_some_more\" event=\"x y\"] {\"a\":1}\tb#012\u{fc}",
    );
    check(&[], "x", "<190>1 - - mail-events PID - - x");
    check(
        &[(LabelPart::Event, "a b\u{e9}")],
        "",
        "<190>1 - - mail-events PID a_b__ [fantail@32473 event=\"a b\u{e9}\"] ",
    );
    for (log_type, severity) in [("0", 7), ("1", 6), ("2", 4), ("4", 2), ("5", 1)] {
        let expected = format!("<{}>1 - - mail-events PID - - x", 23 * 8 + severity);
        check(&[(LabelPart::LogType, log_type)], "x", &expected);
    }
}

#[test]
fn the_journal_has_the_fields_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(dir.path().join("journal")).unwrap();
    let settings = json!({
        "log_facility": "local0", "log_severity": "event", "log_app_name": "x",
        "log_fields": ["user", "net_in_bytes", "a-b.c", "time"],
    });
    let mut driver = open_with(dir.path(), "journal", settings);
    let values = [
        (field("user"), "a\tb\nMESSAGE=c"),
        (field("a-b.c"), "="),
        (LabelPart::EndTime, "0"),
        (LabelPart::LogType, "0"),
    ];
    let label = label(&driver, &values);
    assert_eq!(driver.send_labelled(&[("m", label)]), Sent::whole(1));
    let expected = "SYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=x\n\
        FANTAIL_EXPORTER\n\x06\0\0\0\0\0\0\0to\nlog\nPRIORITY=7\n\
        FANTAIL_USER\n\x0d\0\0\0\0\0\0\0a\tb\nMESSAGE=c\nFANTAIL_A_B_C==\n\
        FANTAIL_TIME=1970-01-01T00:00:00Z\nMESSAGE=m\n";
    assert_eq!(String::from_utf8(receive(&journal)).unwrap(), expected);
}

#[test]
fn a_line_has_its_facility_severity_and_name() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let settings = json!({
        "log_facility": "daemon", "log_severity": "notice", "log_app_name": "x", "log_fields": ["a"],
    });
    let mut driver = open_with(dir.path(), "syslog", settings);
    assert_eq!(driver.send(&["y"]), Sent::whole(1));
    let record = String::from_utf8(receive(&daemon)).unwrap();
    assert!(record.starts_with("<29>"), "{record}");
    assert_eq!(record[4 + 15..], format!(" x[{}]: y", std::process::id()));
    assert_eq!(open(dir.path(), "syslog").wants(), []);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |settings| DriverRunner::open::<Log>(&settings).err().unwrap();
    for name in ["", "a b", "a:", "a[1]", &"x".repeat(49)] {
        let reason = refused(json!({ "log_app_name": name }));
        assert!(reason.starts_with("log_app_name must be 1 to 48"), "{reason}");
    }
    for name in ["", "field:", "a=b", "a|lower", "a}%{b", "\u{fc}", &"x".repeat(33)] {
        let reason = refused(json!({ "log_fields": [name] }));
        assert!(reason.starts_with(&format!("log_fields: `{name}` must be a name")), "{reason}");
    }
}

#[test]
fn syslog_takes_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixListener::bind(dir.path().join("syslog")).unwrap();
    let mut driver = open(dir.path(), "syslog");
    assert_eq!(driver.send(&["one", "two\0"]), Sent::whole(2));
    drop(driver);
    let mut stream = Vec::new();
    daemon.accept().unwrap().0.read_to_end(&mut stream).unwrap();
    let records: Vec<_> = stream.split(|byte| *byte == 0).collect();
    assert_eq!(records.len(), 3);
    check_record(records[0], "one");
    check_record(records[1], "two#000");
}

#[test]
fn a_restarted_daemon_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("syslog");
    let mut driver = open(dir.path(), "syslog");
    let absent = driver.send(&["one"]);
    let expected = format!("can't connect to {}: No such file or directory", path.display());
    assert!(reason(&absent).starts_with(&expected), "{absent:?}");

    let daemon = UnixDatagram::bind(&path).unwrap();
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    check_record(&receive(&daemon), "one");
    drop(daemon);
    assert!(reason(&driver.send(&["two"])).contains("Connection refused"));
    std::fs::remove_file(&path).unwrap();
    let daemon = UnixDatagram::bind(&path).unwrap();
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    check_record(&receive(&daemon), "two");
}

#[test]
fn a_record_too_long_for_syslog_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let mut driver = open(dir.path(), "syslog");
    let long = "x".repeat(1 << 20);
    let sent = driver.send(&["one", &long, "three"]);
    assert_eq!((sent.delivered, sent.error), (vec![0, 2], None));
    assert!(sent.given_up[0].1.ends_with("bytes are too long for syslog"), "{:?}", sent.given_up);
    check_record(&receive(&daemon), "one");
    check_record(&receive(&daemon), "three");
}

#[test]
fn a_log_that_does_not_read_delays_for_a_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let mut driver = open(dir.path(), "auto");
    let payloads: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let start = Instant::now();
    let sent = driver.send(&payloads);
    assert!((1..5).contains(&start.elapsed().as_secs()));
    assert!(reason(&sent).ends_with("the log does not read"), "{sent:?}");
    let delivered = sent.delivered.len();
    assert!((1..2000).contains(&delivered), "{delivered}");

    let reader = thread::spawn(move || {
        (0..2000).map(|_| receive(&daemon)).for_each(drop);
        daemon
    });
    assert_eq!(driver.send(&payloads[delivered..]), Sent::whole(2000 - delivered));
    let daemon = reader.join().unwrap();
    daemon.set_nonblocking(true).unwrap();
    assert!(daemon.recv(&mut [0; 8]).is_err(), "nothing twice");
}

#[test]
fn the_journal_takes_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(dir.path().join("journal")).unwrap();
    let mut driver = open(dir.path(), "journal");
    assert_eq!(driver.send(&["{\"event\":\"a\"}", "b\nMESSAGE=c"]), Sent::whole(2));
    assert_eq!(receive(&journal), entry("MESSAGE={\"event\":\"a\"}\n"));
    assert_eq!(receive(&journal), entry("MESSAGE\n\x0b\0\0\0\0\0\0\0b\nMESSAGE=c\n"));
}

#[test]
fn the_journal_takes_long_entries_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(dir.path().join("journal")).unwrap();
    let mut driver = open(dir.path(), "journal");
    let long = "x".repeat(1 << 20);
    assert_eq!(driver.send(&[&long]), Sent::whole(1));

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(&journal, &mut [], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert_eq!(received.bytes, 0);
    let Some(RecvAncillaryMessage::ScmRights(mut files)) = control.drain().next() else {
        panic!("no file came");
    };
    let mut file = std::fs::File::from(files.next().unwrap());
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    assert!(content == entry(&format!("MESSAGE={long}\n")));
    assert!(file.set_len(0).is_err(), "sealed");
}

#[test]
fn auto_takes_the_first_that_exists_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let syslog = UnixDatagram::bind(dir.path().join("syslog")).unwrap();
    let mut driver = open(dir.path(), "auto");
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    check_record(&receive(&syslog), "one");

    let journal = UnixDatagram::bind(dir.path().join("journal")).unwrap();
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    check_record(&receive(&syslog), "two");
    assert_eq!(driver.reopen(), None);
    assert_eq!(driver.send(&["three"]), Sent::whole(1));
    assert_eq!(receive(&journal), entry("MESSAGE=three\n"));
}

/// The directory in which the test below runs itself again, its standard error caught.
const CAUGHT: &str = "FANTAIL_TEST_CAUGHT_STDERR";

#[test]
fn stderr_takes_lines_until_a_socket_appears() {
    let Some(dir) = std::env::var_os(CAUGHT) else {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::stderr_takes_lines_until_a_socket_appears"])
            .env(CAUGHT, dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let expected = format!("one\ntwo\t#012\n{}\n", "x".repeat(10_000));
        assert!(String::from_utf8_lossy(&output.stderr) == expected);
        return;
    };
    let dir = Path::new(&dir);
    let mut driver = open(dir, "auto");
    assert_eq!(driver.send(&["one", "two\t\n"]), Sent::whole(2));
    assert_eq!(driver.send(&["x".repeat(10_000)]), Sent::whole(1));
    let syslog = UnixDatagram::bind(dir.join("syslog")).unwrap();
    assert_eq!(driver.send(&["three"]), Sent::whole(1));
    check_record(&receive(&syslog), "three");
}

/// The same, for a standard error that nobody reads.
const UNREAD: &str = "FANTAIL_TEST_UNREAD_STDERR";

#[test]
fn a_stderr_that_nobody_reads_delays_for_a_bounded_time() {
    if std::env::var_os(UNREAD).is_none() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::a_stderr_that_nobody_reads_delays_for_a_bounded_time"])
            .env(UNREAD, "")
            .stdout(std::process::Stdio::null())
            .stderr(writer)
            .status()
            .unwrap();
        assert!(status.success());
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert!((60_000..70_000).contains(&written.len()), "{}", written.len());
        return;
    }
    let mut driver = open(Path::new("/nowhere"), "stderr");
    let start = Instant::now();
    let sent = driver.send(&["x".repeat(30_000), "y".repeat(30_000), "z".repeat(30_000)]);
    assert_eq!(sent.delivered, [0, 1]);
    assert_eq!(reason(&sent), "nobody reads standard error");
    assert!((1..5).contains(&start.elapsed().as_secs()));
}
