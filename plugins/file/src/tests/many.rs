//! Paths with variables.

use std::{fs, os::unix::fs::PermissionsExt};

use fantail_sdk::{
    LabelPart,
    runner::{DriverRunner, Sent},
};
use serde_json::json;

use super::{File, names, open_with};

#[test]
fn each_line_goes_to_its_file_in_order() {
    // With room for all files, and for one at a time.
    for max in [128, 1] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("%{user | username}.log");
        let mut driver = open_with(&path, json!({ "file_max_open": max }));
        assert_eq!(driver.wants(), [LabelPart::Field("user".into())]);
        let batch = [("1", ["a@x"]), ("2", ["b"]), ("3", ["b@y"]), ("4", ["a@z"]), ("5", [""])];
        assert_eq!(driver.send_labelled(&batch), Sent::whole(5));
        assert_eq!(driver.send_labelled(&[("6", ["b"]), ("7", ["a"])]), Sent::whole(2));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            [read("a.log"), read("b.log"), read("_.log")],
            ["1\n4\n7\n", "2\n3\n6\n", "5\n"]
        );
        assert_eq!(names(dir.path()).len(), 3);
        assert_eq!(driver.reopen(), None);
    }
}

#[test]
fn a_path_at_fault_costs_only_its_own_payloads() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path().join("target"), dir.path().join("link")).unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    let mut driver = open_with(&dir.path().join("%{a}"), json!({}));
    let long = "n".repeat(150);
    let labels = ["link", "good", "directory", "link", "good", "../up"];
    let batch = labels.map(|label| (label, [label]));
    let sent = driver.send_labelled(&batch);
    assert_eq!((sent.delivered.as_slice(), &sent.error), (&[1, 4, 5][..], &None));
    let path = dir.path().join("link");
    let reason = format!("can't open {}: it is a symbolic link", path.display());
    let link = |at| (at, reason.clone());
    let path = dir.path().join("directory");
    let directory = (2, format!("can't open {}: it is not a regular file", path.display()));
    assert_eq!(sent.given_up, [link(0), link(3), directory]);
    assert_eq!(names(dir.path()), ["_._up", "directory", "good", "link"]);

    let mut driver = open_with(&dir.path().join("%{a}%{b}"), json!({}));
    let sent = driver.send_labelled(&[("x", [&long, &long])]);
    assert!(sent.given_up[0].1.contains("name too long"), "{sent:?}");
}

#[test]
fn directories_are_made_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs/%{domain}/%{event}");
    let batch = [("1", ["a", "e"]), ("2", ["..", "/"])];
    // What no value is at fault for is waited for.
    let sent = open_with(&path, json!({})).send_labelled(&batch);
    let reason = super::refusal(sent);
    assert!(reason.ends_with("its directory does not exist"), "{reason}");
    fs::create_dir(dir.path().join("logs")).unwrap();
    let sent = open_with(&path, json!({})).send_labelled(&batch);
    assert_eq!((sent.given_up.len(), sent.error), (2, None));
    assert!(sent.given_up[0].1.ends_with("its directory does not exist"));
    fs::remove_dir(dir.path().join("logs")).unwrap();
    for fsync in ["never", "batch"] {
        let settings = json!({ "file_create_directories": true, "file_fsync": fsync });
        assert_eq!(open_with(&path, settings).send_labelled(&batch), Sent::whole(2));
    }
    let logs = dir.path().join("logs");
    assert_eq!(names(&logs), ["_.", "a"]);
    assert_eq!(fs::read_to_string(logs.join("a/e")).unwrap(), "1\n1\n");
    assert_eq!(fs::read_to_string(logs.join("_./_")).unwrap(), "2\n2\n");
    for made in [logs.clone(), logs.join("a")] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let check = |settings, expected: &str| {
        assert_eq!(DriverRunner::open::<File>(&settings).err().as_deref(), Some(expected));
    };
    let character = "file_path character 7: there is no filter `x`, but lower, upper, username, \
                     domain, substr, default, date";
    check(json!({ "file_path": "%{a | x}" }), character);
    check(json!({ "file_path": "" }), "file_path is empty");
    check(json!({ "file_path": "a/%{b}/" }), "file_path names a directory, not a file");
    let with = |name: &str, value: u64| json!({ "file_path": "a", name: value });
    check(with("file_max_open", 0), "file_max_open must be 1 to 65536");
    check(with("file_rotate_interval", 1500), "file_rotate_interval must be in whole seconds");
    check(with("file_fsync_interval", 0), "file_fsync_interval must be from 1 ms");
}
