//! A regular file that grows by whole lines.

use std::{fmt, fs::File, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// An open file, and whether its end is a piece of a line of ours.
pub(crate) struct Appender {
    file: File,
    torn: bool,
}

/// How far an append went.
pub(crate) struct Appended {
    /// The number of lines that are in the file whole.
    pub(crate) lines: usize,
    /// Why not all of them, if so.
    pub(crate) result: Result<(), Errno>,
}

/// Why a file can't be opened.
#[derive(Debug)]
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

impl Appender {
    /// Opens the file, creating it with mode 0600. Does not wait for anything: a
    /// FIFO without a reader is an error.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, mode));
        let file = File::from(opened.map_err(|errno| match errno {
            Errno::LOOP => OpenError::Link,
            Errno::NOENT => OpenError::NoDirectory,
            Errno::NXIO | Errno::ISDIR => OpenError::NotRegular,
            other => OpenError::System(other),
        })?);
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            Ok(Appender { file, torn: false })
        } else {
            Err(OpenError::NotRegular)
        }
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
    fn write(&self, bytes: &[u8]) -> (usize, Result<(), Errno>) {
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::write(&self.file, &bytes[written..]) {
                Ok(0) => return (written, Err(Errno::IO)),
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(errno) => return (written, Err(errno)),
            }
        }
        (written, Ok(()))
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
        self.torn = cut().is_err();
    }

    fn end_torn_line(&mut self) -> Result<(), Errno> {
        if self.torn {
            self.write(b"\n").1?;
            self.torn = false;
        }
        Ok(())
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
