//! Spools in real directories: who may open them, and who may look.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;
use crate::spool::{self, Contents, Directory, Error, ErrorKind, Item, Problem};

const OPTIONS: Options = Options { max_size: MAX_SIZE_LEAST };

fn refused(path: &Path) -> Error {
    match spool::open(path, OPTIONS) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn files_are_their_owners_and_one_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    let mut opened = spool::open(&path, OPTIONS).unwrap();
    let payload = Payload { bytes: b"payload", label: b"label", read_at: 5 };
    assert!(opened.writer.append([payload]).stop.is_none());
    opened.writer.sync().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::InUse);
    let text = format!("the spool {} is in use by an exporter of this host ", path.display());
    assert!(error.to_string().starts_with(&text), "{error}");

    // It can be looked at meanwhile.
    let mut contents = Contents::new(Directory::look(&path).unwrap()).unwrap();
    assert_eq!(contents.identity(), Some(opened.identity));
    let Some(Item::Payload(kept)) = contents.next().unwrap() else { panic!("there is one") };
    assert_eq!((kept.sequence, kept.payload, kept.label), (1, &b"payload"[..], &b"label"[..]));
    assert!(!kept.is_acknowledged);
    assert!(contents.next().unwrap().is_none());

    drop(opened);
    let mut again = spool::open(&path, OPTIONS).unwrap();
    assert_eq!(again.findings, []);
    let mut taken = Taken::default();
    again.reader.read(&mut taken, 10, 1000).unwrap();
    assert_eq!(taken.payload(0), b"payload");
    assert_eq!((taken.label(0), taken.read_at()), (&b"label"[..], &[5][..]));
    again.reader.acknowledge(1..=1).1.unwrap();
    let mut contents = Contents::new(Directory::look(&path).unwrap()).unwrap();
    let Some(Item::Payload(kept)) = contents.next().unwrap() else { panic!("it is still there") };
    assert!(kept.is_acknowledged);
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    drop(spool::open(&path, OPTIONS).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::NotOurs);
    assert!(error.to_string().contains("others may write to it (mode 0770)"), "{error}");
    let error = refused(&directory.path().join("no/such/parent"));
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    drop(spool::open(&path, OPTIONS).unwrap());
    fs::create_dir(path.join("0000000000000007.segment")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("0000000000000008.segment")).unwrap();
    let opened = spool::open(&path, OPTIONS).unwrap();
    assert_eq!(opened.findings.len(), 2);
    assert!(opened.findings.iter().all(|finding| finding.problem == Problem::Foreign));
}

#[test]
fn a_spool_that_is_too_small_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { max_size: MAX_SIZE_LEAST - 1 };
    let Err(error) = spool::open(&directory.path().join("spool"), options) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::TooSmall);
}

#[test]
fn what_a_later_version_has_written_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    let mut opened = spool::open(&path, OPTIONS).unwrap();
    let payload = Payload { bytes: b"payload", label: b"", read_at: 5 };
    assert!(opened.writer.append([payload]).stop.is_none());
    drop(opened);
    let segment = path.join("0000000000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, bytes).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Newer);
    let text =
        format!("the spool {}: 0000000000000001.segment is in version 2 of ", path.display());
    assert!(error.to_string().starts_with(&text), "{error}");
}
