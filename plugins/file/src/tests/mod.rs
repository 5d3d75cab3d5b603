//! The driver as a host runs it: one file here, many and rotated ones beside.

mod many;
mod rotation;
mod torn;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use fantail_sdk::runner::{DriverRunner, Sent, SentError, schema};
use serde_json::json;

use super::{File, Settings};

fn open(path: &Path) -> DriverRunner {
    open_with(path, json!({}))
}

fn open_with(path: &Path, mut settings: serde_json::Value) -> DriverRunner {
    settings["file_path"] = json!(path);
    DriverRunner::open::<File>(&settings).unwrap()
}

/// The names in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// The reason for which nothing was delivered.
fn refusal(sent: Sent) -> String {
    assert_eq!((sent.delivered, sent.given_up), (vec![], vec![]));
    match sent.error {
        Some(SentError::Retry(reason, None)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_are_documented() {
    let schema = schema::<Settings>();
    assert_eq!(schema["required"], json!(["file_path"]));
    assert_eq!(
        schema["properties"]["file_path"]["x-aliases"],
        json!(["event_exporter_file_path", "transport_args"])
    );
    assert_eq!(schema["properties"]["file_path"]["format"], "path-to-create");
    assert!(DriverRunner::open::<File>(&json!({})).is_err());
    assert!(DriverRunner::open::<File>(&json!({ "file_path": "" })).is_err());
}

#[test]
fn lines_are_appended_to_a_private_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events");
    let mut driver = open(&path);
    assert!(!path.exists(), "opened at the first batch only");
    assert_eq!(driver.send(&["one", "", "three\0\u{fc}"]), Sent::whole(3));
    assert_eq!(driver.send(&["four"]), Sent::whole(1));
    assert_eq!(driver.send::<&str>(&[]), Sent::whole(0));
    assert_eq!(fs::read(&path).unwrap(), "one\n\nthree\0\u{fc}\nfour\n".as_bytes());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let mut another = open(&path);
    assert_eq!(another.send(&["five"]), Sent::whole(1));
    assert_eq!(driver.send(&["six"]), Sent::whole(1));
    assert!(fs::read_to_string(&path).unwrap().ends_with("four\nfive\nsix\n"));
}

#[test]
fn a_moved_file_is_followed_until_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("events"), dir.path().join("events.1"));
    let mut driver = open(&path);
    driver.send(&["one"]);
    fs::rename(&path, &moved).unwrap();
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    assert!(!path.exists());
    assert_eq!(driver.reopen(), None);
    assert_eq!(driver.send(&["three"]), Sent::whole(1));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("target"), "kept").unwrap();
    std::os::unix::fs::symlink(at("target"), at("link")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    let made = Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();

    let check = |path: &Path, expected: &str| {
        let reason = refusal(open(path).send(&["one"]));
        assert_eq!(reason, format!("can't open {}: {expected}", path.display()));
    };
    check(&at("link"), "it is a symbolic link");
    check(&at("dangling"), "it is a symbolic link");
    check(&at("directory"), "it is not a regular file");
    check(&at("fifo"), "it is not a regular file");
    check(&at("socket"), "it is not a regular file");
    check(Path::new("/dev/null"), "it is not a regular file");
    check(&at("missing/events"), "its directory does not exist");
    check(&at("target/events"), "Not a directory (os error 20)");
    // A FIFO that somebody reads can be opened, and is refused all the same.
    let reader = fs::OpenOptions::new().read(true).write(true).open(at("fifo")).unwrap();
    check(&at("fifo"), "it is not a regular file");
    drop(reader);
    assert_eq!(fs::read(at("target")).unwrap(), b"kept");
    assert!(!at("nowhere").exists());
}

#[test]
fn a_directory_that_comes_later_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later/events");
    let mut driver = open(&path);
    refusal(driver.send(&["one"]));
    assert!(driver.reopen().is_some());
    fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(fs::read(&path).unwrap(), b"one\n");
}

/// The path at which the test below runs itself again, with a limit on files.
const LIMITED: &str = "FANTAIL_TEST_LIMITED_FILE";

/// A file may grow to 1024 bytes only: a write passes that by a part, as on a full disk.
#[test]
fn a_short_write_leaves_whole_lines() {
    let Some(path) = std::env::var_os(LIMITED) else {
        let dir = tempfile::tempdir().unwrap();
        let run_again = r#"trap "" XFSZ; ulimit -f 2; exec "$0" --exact tests::a_short_write_leaves_whole_lines"#;
        let test = std::env::current_exe().unwrap();
        let output = Command::new("sh")
            .args(["-c", run_again])
            .arg(test)
            .env(LIMITED, dir.path().join("events"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let written = fs::metadata(dir.path().join("events")).unwrap().size();
        assert_eq!(written, 1024, "the test ran with the limit");
        return;
    };
    let path = Path::new(&path);
    let mut driver = open(path);
    let line = "x".repeat(299);
    assert_eq!(driver.send(&[&line, &line]), Sent::whole(2));
    let sent = driver.send(&[&line, &line, &line]);
    assert_eq!(sent.delivered, [0]);
    assert!(matches!(sent.error, Some(SentError::Retry(reason, _)) if reason.contains("large")));
    let content = fs::read_to_string(path).unwrap();
    assert_eq!(content, format!("{line}\n").repeat(3), "no torn line");

    // Nothing fits, and nothing is left of it.
    assert_eq!(driver.send(&[&line]).delivered, [0; 0]);
    assert_eq!(fs::metadata(path).unwrap().size(), 900);
    assert_eq!(driver.send(&["y".repeat(123)]), Sent::whole(1));
    assert_eq!(fs::metadata(path).unwrap().size(), 1024);
}
