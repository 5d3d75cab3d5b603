//! Files that are renamed when they are large or old.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use fantail_sdk::runner::Sent;
use serde_json::json;

use super::{names, open, open_with};

/// The rotated files of `out`, the oldest first, and `out` itself.
fn files(dir: &Path) -> Vec<PathBuf> {
    let rotated = crate::rotated::all(&dir.join("out")).unwrap();
    let mut files: Vec<_> = rotated.into_iter().map(|one| dir.join(one.name)).collect();
    files.push(dir.join("out"));
    files
}

/// The content of a file, compressed or not.
fn content(path: &Path) -> String {
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text)
    } else {
        fs::File::open(path).unwrap().read_to_string(&mut text)
    }
    .unwrap();
    text
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_file_grows_beyond_its_size() {
    for fsync in ["never", "batch", "interval"] {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            json!({ "file_rotate_size": 100, "file_fsync": fsync, "file_fsync_interval": 1 });
        let mut driver = open_with(&dir.path().join("out"), settings);
        let mut expected = String::new();
        for batch in 0..50 {
            let lines: Vec<_> = (0..3).map(|line| format!("line {batch}.{line}")).collect();
            assert_eq!(driver.send(&lines), Sent::whole(3));
            lines.iter().for_each(|line| expected += &format!("{line}\n"));
        }
        let files = files(dir.path());
        assert_eq!(files.len(), names(dir.path()).len());
        assert!(files.len() > 15, "{files:?}");
        let all: Vec<_> = files.iter().map(|path| content(path)).collect();
        assert!(all.iter().all(|text| text.len() <= 100 && text.ends_with('\n')), "{all:?}");
        assert_eq!(all.concat(), expected);
        assert_eq!(driver.flush(), None);
        // A batch is never split, whatever its size.
        assert_eq!(driver.send(&["x".repeat(300), "y".repeat(300)]), Sent::whole(2));
        assert_eq!(fs::metadata(dir.path().join("out")).unwrap().len(), 602);
    }
}

#[test]
fn each_period_has_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    open(&path).send(&["before"]);
    let of_yesterday = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::open(&path).unwrap().set_modified(of_yesterday).unwrap();
    let settings = json!({ "file_rotate_interval": 86_400_000 });
    let mut driver = open_with(&path, settings.clone());
    // Midnight may be now, but not twice.
    driver.send(&["one"]);
    drop(driver);
    assert_eq!(content(&files(dir.path())[0]), "before\n");
    let before = files(dir.path()).len();
    open_with(&path, settings.clone()).send(&["two"]);
    open_with(&path, settings).send(&["three"]);
    let files = files(dir.path());
    assert!(files.len() <= before + 1, "{files:?}");
    let all: Vec<_> = files.iter().map(|path| content(path)).collect();
    assert_eq!(all.concat(), "before\none\ntwo\nthree\n");
}

#[test]
fn what_is_rotated_is_kept_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = json!({
        "file_rotate_size": 10, "file_rotate_keep": 3, "file_rotate_compress": "gzip",
    });
    let mut driver = open_with(&dir.path().join("out"), settings.clone());
    for number in 0..10 {
        assert_eq!(driver.send(&[format!("number {number}")]), Sent::whole(1));
    }
    let done = || {
        let names = names(dir.path());
        names.len() == 4 && names.iter().filter(|name| name.ends_with(".gz")).count() == 3
    };
    wait_for("the rotated files", done);
    let kept: Vec<_> = files(dir.path()).iter().map(|path| content(path)).collect();
    assert_eq!(kept, ["number 6\n", "number 7\n", "number 8\n", "number 9\n"]);

    // What a crash has left is taken up by the next one.
    drop(driver);
    let left = dir.path().join("out.20200101T000000Z");
    fs::write(&left, "left\n").unwrap();
    fs::write(crate::compress::temporary(&left), "half a file").unwrap();
    let gone = dir.path().join("out.20200101T000001Z");
    fs::write(crate::compress::temporary(&gone), "half of one that is gone").unwrap();
    // Behind the one that was left: numbers 6, 7 and 8.
    files(dir.path())[1..3].iter().for_each(|path| fs::remove_file(path).unwrap());
    let mut driver = open_with(&dir.path().join("out"), settings);
    driver.send(&["n"]);
    wait_for("the file that was left", done);
    let kept: Vec<_> = files(dir.path()).iter().map(|path| content(path)).collect();
    assert_eq!(kept, ["left\n", "number 8\n", "number 9\n", "n\n"]);
}

#[test]
fn a_file_that_cannot_be_rotated_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // Too long a name with the time behind it.
    let path = dir.path().join("n".repeat(250));
    let mut driver = open_with(&path, json!({ "file_rotate_size": 10 }));
    for line in ["one", "two", "three", "four"] {
        assert_eq!(driver.send(&[line]), Sent::whole(1));
    }
    assert_eq!(content(&path), "one\ntwo\nthree\nfour\n");
    assert_eq!(names(dir.path()).len(), 1);
}

#[test]
fn a_file_that_others_take_away_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    // Removed: noticed at once, with and without rotation.
    for settings in [json!({}), json!({ "file_rotate_size": 1000 })] {
        let mut driver = open_with(&path, settings);
        driver.send(&["one"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(driver.send(&["two"]), Sent::whole(1));
        assert_eq!(content(&path), "two\n");
        fs::remove_file(&path).unwrap();
    }
    // Moved: noticed in time where it is rotated.
    let mut driver = open_with(&path, json!({ "file_rotate_size": 1 << 20 }));
    driver.send(&["moved"]);
    fs::rename(&path, dir.path().join("moved")).unwrap();
    let driver = std::cell::RefCell::new(driver);
    wait_for("a new file", || {
        assert_eq!(driver.borrow_mut().send(&["more"]), Sent::whole(1));
        path.exists()
    });
    assert!(content(&dir.path().join("moved")).starts_with("moved\n"));
    assert_eq!(content(&path), "more\n");
}
