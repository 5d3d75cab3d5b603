//! Files that end within a line.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use fantail_sdk::runner::Sent;
use rustix::fs::{FlockOperation, flock};

use super::open;

fn file(dir: &Path, content: &[u8], mode: u32) -> PathBuf {
    let path = dir.join("out");
    let _ = fs::remove_file(&path);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_torn_line_of_ours_is_cut_off_and_one_of_others_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let check = |content: &[u8], mode: u32, expected: &[u8]| {
        let path = file(dir.path(), content, mode);
        assert_eq!(open(&path).send(&["new"]), Sent::whole(1));
        assert_eq!(
            fs::read(&path).unwrap().escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    };
    let long = [b"one\n".as_slice(), &[b'x'; 10_000]].concat();
    for mode in [0o600, 0o644, 0o660, 0o602] {
        check(b"", mode, b"new\n");
        check(b"one\n", mode, b"one\nnew\n");
    }
    for mode in [0o600, 0o640, 0o644] {
        check(b"one\ntw", mode, b"one\nnew\n");
        check(b"on", mode, b"new\n");
        check(&long, mode, b"one\nnew\n");
    }
    for mode in [0o620, 0o602, 0o666] {
        check(b"one\ntw", mode, b"one\ntw\nnew\n");
    }
}

#[test]
fn a_piece_of_a_line_is_not_cut_off_while_another_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), b"one\ntw", 0o600);
    let other = fs::File::open(&path).unwrap();
    flock(&other, FlockOperation::NonBlockingLockShared).unwrap();
    open(&path).send(&["new"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nnew\n");
}

#[test]
fn what_others_append_meanwhile_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut driver = open(&path);
    driver.send(&["one"]);
    let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
    other.write_all(b"whole\n").unwrap();
    driver.send(&["two"]);
    other.write_all(b"torn").unwrap();
    driver.send(&["three", "four"]);
    // Emptied, as by a program that copies and truncates.
    let expected = "one\nwhole\ntwo\ntorn\nthree\nfour\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    other.set_len(0).unwrap();
    driver.send(&["five"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
}
