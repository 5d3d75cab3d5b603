//! From a rotated file to a `.gz` beside it.
//!
//! The compressed file has another name until it is complete and on the disk; then it is renamed,
//! and only then the plain one is removed. So whatever ends the process, there is one of
//! them whole, and what was begun is begun anew.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressed {
    /// There is a `.gz` in the file's place.
    Done,
    /// Somebody still writes to the file, or compresses it.
    Busy,
    /// There was no time.
    Stopped,
}

/// What is compressed between two looks at the clock, in bytes.
const PIECE: usize = 64 << 10;

const TEMPORARY: &[u8] = b".gz.tmp";

/// The name under which the compressed file is made: hidden, and no rotated file's.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(OsStr::from_bytes(TEMPORARY));
    path.with_file_name(name)
}

/// Removes what was begun for files that are no more; `is_rotated` says whether a name is that of a
/// rotated file.
pub(crate) fn remove_stale(directory: &Path, is_rotated: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let name = entry?.file_name();
        let of = name.as_bytes().strip_prefix(b".").and_then(|name| name.strip_suffix(TEMPORARY));
        let Some(of) = of.filter(|of| is_rotated(of)) else { continue };
        if directory.join(OsStr::from_bytes(of)).symlink_metadata().is_ok() {
            continue;
        }
        let path = directory.join(&name);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
        let stale = OpenOptions::new().write(true).custom_flags(flags).open(&path);
        if stale.is_ok_and(|stale| matches!(lock(&stale), Ok(true)) && is_at(&stale, &path)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Compresses the file at `path`, until `stops` says that there is no time left.
pub(crate) fn compress(path: &Path, stops: &dyn Fn() -> bool) -> io::Result<Compressed> {
    let not_regular = || io::Error::other("it is not a regular file");
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    let plain = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = plain.metadata()?;
    if !metadata.is_file() {
        return Err(not_regular());
    }
    let temporary = temporary(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let made = options.open(&temporary)?;
    // Every writer of ours has a lock on the file it writes to.
    if !lock(&plain)? || !lock(&made)? || !is_at(&made, &temporary) {
        return Ok(Compressed::Busy);
    }
    if !made.metadata()?.is_file() {
        return Err(not_regular());
    }
    made.set_len(0)?;
    let done = write(plain, made, metadata.mode(), stops);
    match done {
        Ok(true) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".gz");
            fs::rename(&temporary, name)?;
            File::open(super::rotated::directory(path))?.sync_all()?;
            fs::remove_file(path)?;
            Ok(Compressed::Done)
        }
        other => {
            fs::remove_file(&temporary)?;
            other.map(|_| Compressed::Stopped)
        }
    }
}

/// Writes the compressed file and brings it to the disk; false when there was no time.
fn write(mut plain: File, made: File, mode: u32, stops: &dyn Fn() -> bool) -> io::Result<bool> {
    rustix::fs::fchmod(&made, Mode::from_raw_mode(mode & 0o777))?;
    let mut encoder = GzEncoder::new(made, Compression::default());
    let mut piece = vec![0; PIECE];
    loop {
        if stops() {
            return Ok(false);
        }
        match plain.read(&mut piece)? {
            0 => break,
            count => encoder.write_all(&piece[..count])?,
        }
    }
    encoder.finish()?.sync_all()?;
    Ok(true)
}

/// Takes the exclusive lock; false when another has one. Where there are no locks,
/// nobody can have one.
fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOLCK) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether `path` leads to this file: it may have been renamed before it was locked.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::PermissionsExt};

    use rustix::fs::{FlockOperation, flock};

    use super::{Compressed, compress, temporary};

    #[test]
    fn a_file_is_replaced_only_by_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, gz) = (dir.path().join("out"), dir.path().join("out.gz"));
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        // Stopped on the way.
        let looks = std::cell::Cell::new(0);
        let stops = || looks.replace(looks.get() + 1) == 2;
        assert_eq!(compress(&path, &stops).unwrap(), Compressed::Stopped);
        assert!(path.exists() && !gz.exists() && !temporary(&path).exists());

        // Killed on the way: its piece is written over.
        fs::write(temporary(&path), vec![b'x'; 2 << 20]).unwrap();
        assert_eq!(compress(&path, &|| false).unwrap(), Compressed::Done);
        assert!(!path.exists() && !temporary(&path).exists());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(fs::File::open(&gz).unwrap()).read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
        assert_eq!(fs::metadata(&gz).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_that_is_written_to_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(&path, "one\n").unwrap();
        let writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
        flock(&writer, FlockOperation::NonBlockingLockShared).unwrap();
        assert_eq!(compress(&path, &|| false).unwrap(), Compressed::Busy);
        assert!(path.exists());
        drop(writer);
        // So is one that another compresses.
        let other = fs::File::create(temporary(&path)).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(compress(&path, &|| false).unwrap(), Compressed::Busy);
        drop(other);
        assert_eq!(compress(&path, &|| false).unwrap(), Compressed::Done);
        assert!(!path.exists());
    }
}
