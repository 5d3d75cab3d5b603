//! A regular file that grows by whole lines.

use std::{
    fmt,
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use fantail_sdk::log;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, Stat, flock},
    io::Errno,
};

/// An open file, and what is known of its end.
pub(crate) struct Appender {
    file: File,
    /// The size after our last write; `None` before the first look.
    end: Option<u64>,
    /// Whether the file's last byte is in the middle of a line.
    torn: bool,
    /// Whether lines were written that have not been synced.
    unsynced: bool,
}

/// How far an append went.
pub(crate) struct Appended {
    /// The number of lines that are in the file whole.
    pub(crate) lines: usize,
    /// Why not all of them, if so.
    pub(crate) result: Result<(), Errno>,
}

/// Why a file can't be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OpenError {
    /// The system says no.
    System(Errno),
    /// The directory that the file belongs in is not there.
    NoDirectory,
    /// The path ends in a symbolic link.
    Link,
    /// A directory, a FIFO, a device or a socket.
    NotRegular,
}

/// What is behind an open file.
pub(crate) enum Seen {
    /// A file of this size, to which lines can be appended.
    File {
        /// In bytes.
        size: u64,
    },
    /// Nothing any more: it was removed, and what is written is lost.
    Gone,
}

/// A torn line that is longer than this is not looked for.
const TORN_MAX: u64 = 16 << 20;

/// So often it is waited for a file that is locked: it was moved away just now.
const LOCKED_MAX: usize = 5;

impl Appender {
    /// Opens the file, creating it with mode 0600. Does not wait for anything: a
    /// FIFO without a reader is an error.
    ///
    /// The file gets a shared lock, which every writer of ours has; whoever has an
    /// exclusive one knows that no Fantail writes to it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        for _ in 0..LOCKED_MAX {
            let file = open_regular(path)?;
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                // Somebody compresses it, so it is not the one at this path any more.
                Err(Errno::WOULDBLOCK) => std::thread::yield_now(),
                // Not every file system has locks.
                Ok(()) | Err(_) => {
                    return Ok(Appender { file, end: None, torn: false, unsynced: false });
                }
            }
        }
        Err(OpenError::System(Errno::WOULDBLOCK))
    }

    /// Looks at the file before an append: whether it is still there, and whether its
    /// end is the end of a line. A torn line of an earlier run is cut off if it is
    /// certain that nobody else wrote it; else it will be ended.
    pub(crate) fn look(&mut self) -> Result<Seen, Errno> {
        let stat = rustix::fs::fstat(&self.file)?;
        if stat.st_nlink == 0 {
            return Ok(Seen::Gone);
        }
        let mut size = size_of(&stat);
        if self.end != Some(size) && !self.ends_with_line(size) {
            match self.end.is_none().then(|| self.cut_off_torn_line(&stat)).flatten() {
                Some(start) => size = start,
                None => self.torn = true,
            }
        }
        self.end = Some(size);
        Ok(Seen::File { size })
    }

    /// Whether the byte before `size` ends a line, as far as it can be read.
    fn ends_with_line(&self, size: u64) -> bool {
        let mut last = [0];
        size == 0 || self.file.read_exact_at(&mut last, size - 1).is_err() || last == *b"\n"
    }

    /// Cuts off the piece of a line at the file's end, if nobody but a Fantail of this user can have
    /// written it, and none writes now: the file belongs to us, others have no right to write,
    /// and no other has a lock on it. Returns the size then.
    fn cut_off_torn_line(&self, stat: &Stat) -> Option<u64> {
        let others_write = Mode::WGRP | Mode::WOTH;
        let is_private = stat.st_uid == rustix::process::geteuid().as_raw()
            && !Mode::from_raw_mode(stat.st_mode).intersects(others_write);
        if !is_private || flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_err() {
            // The shared lock may be lost on the way to the exclusive one.
            let _ = flock(&self.file, FlockOperation::NonBlockingLockShared);
            return None;
        }
        // Only now nobody adds to it any more.
        let size = self.file.metadata().map_or(0, |metadata| metadata.size());
        let start = self.torn_line(size);
        let cut = start.filter(|start| rustix::fs::ftruncate(&self.file, *start).is_ok());
        let _ = flock(&self.file, FlockOperation::NonBlockingLockShared);
        // Whoever wrote may have been in the middle of it, and is done.
        if let Some(start) = cut.filter(|start| *start < size) {
            log::info!("cut off {} bytes of a line that was left torn", size - start);
        }
        cut
    }

    /// Where the piece of a line at the end of so many bytes begins.
    fn torn_line(&self, size: u64) -> Option<u64> {
        let mut end = size;
        let least = end.saturating_sub(TORN_MAX);
        let mut piece = [0; 4096];
        while end > least {
            let start = end.saturating_sub(piece.len() as u64);
            let piece = &mut piece[..(end - start) as usize];
            self.file.read_exact_at(piece, start).ok()?;
            if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
                return Some(start + at as u64 + 1);
            }
            end = start;
        }
        (end == 0).then_some(0)
    }

    /// Appends lines; `ends` are their ends in `lines`, each after its line feed.
    pub(crate) fn append(&mut self, lines: &[u8], ends: impl Iterator<Item = usize>) -> Appended {
        if let Err(errno) = self.end_torn_line() {
            return Appended { lines: 0, result: Err(errno) };
        }
        let (written, result) = self.write(lines);
        let (count, whole) =
            ends.take_while(|end| *end <= written).fold((0, 0), |(count, _), end| (count + 1, end));
        if whole < written {
            self.cut_off(written - whole);
        }
        Appended { lines: count, result }
    }

    /// Writes all bytes, or as many as the system takes.
    fn write(&mut self, bytes: &[u8]) -> (usize, Result<(), Errno>) {
        let mut written = 0;
        let result = loop {
            if written == bytes.len() {
                break Ok(());
            }
            match rustix::io::write(&self.file, &bytes[written..]) {
                Ok(0) => break Err(Errno::IO),
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(errno) => break Err(errno),
            }
        };
        self.unsynced |= written > 0;
        self.end = self.end.map(|end| end + written as u64);
        (written, result)
    }

    /// Takes back the last `count` bytes, unless they are not the file's last any more.
    fn cut_off(&mut self, count: usize) {
        let cut = || {
            let end = rustix::fs::tell(&self.file)?;
            let size = self.file.metadata().map_or(0, |metadata| metadata.size());
            if end != size {
                return Err(Errno::BUSY);
            }
            rustix::fs::ftruncate(&self.file, end - count as u64)
        };
        match cut() {
            Ok(()) => self.end = self.end.map(|end| end.saturating_sub(count as u64)),
            Err(_) => self.torn = true,
        }
    }

    fn end_torn_line(&mut self) -> Result<(), Errno> {
        if self.torn {
            self.write(b"\n").1?;
            self.torn = false;
        }
        Ok(())
    }

    /// Sees to it that what was written is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), Errno> {
        if self.unsynced {
            rustix::fs::fdatasync(&self.file)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Whether `path` leads to this very file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), path.symlink_metadata()) {
            (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// When it was last written to, in seconds since 1970.
    pub(crate) fn modified(&self) -> Option<i64> {
        self.file.metadata().ok().map(|metadata| metadata.mtime())
    }
}

/// Opens a regular file for appending, and for reading where that is allowed.
fn open_regular(path: &Path) -> Result<File, OpenError> {
    let flags = OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let open = |access| {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::io::retry_on_intr(|| rustix::fs::open(path, flags | access, mode))
    };
    let opened = match open(OFlags::RDWR) {
        Err(Errno::ACCESS) => open(OFlags::WRONLY),
        opened => opened,
    };
    let file = File::from(opened.map_err(|errno| match errno {
        Errno::LOOP => OpenError::Link,
        Errno::NOENT => OpenError::NoDirectory,
        Errno::NXIO | Errno::ISDIR => OpenError::NotRegular,
        other => OpenError::System(other),
    })?);
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        Ok(file)
    } else {
        Err(OpenError::NotRegular)
    }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

impl OpenError {
    /// Whether this path is at fault, and not the system as a whole.
    pub(crate) fn is_of_the_path(self) -> bool {
        match self {
            OpenError::Link | OpenError::NotRegular | OpenError::NoDirectory => true,
            OpenError::System(errno) => matches!(
                errno,
                Errno::ACCESS
                    | Errno::PERM
                    | Errno::NOTDIR
                    | Errno::NAMETOOLONG
                    | Errno::INVAL
                    | Errno::ILSEQ
            ),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::System(errno) => std::io::Error::from(*errno).fmt(f),
            OpenError::NoDirectory => f.write_str("its directory does not exist"),
            OpenError::Link => f.write_str("it is a symbolic link"),
            OpenError::NotRegular => f.write_str("it is not a regular file"),
        }
    }
}
