//! A spool's directory on a real file system: only its owner's, and only one process's
//! at a time.

use std::{
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, FileExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{
    error::Error,
    storage::{Access, Entry, Storage, StoredFile},
};

/// The name of the file whose lock says that a process has the spool open.
pub(super) const LOCK: &str = "lock";

/// A directory that is locked for this process, or only looked at.
#[derive(Debug)]
pub struct Directory {
    directory: OwnedFd,
    /// Locked as long as it is open.
    _lock: Option<File>,
}

impl Directory {
    /// Makes the directory (0700) if there is none, and locks it.
    ///
    /// # Errors
    ///
    /// When it can't be made or opened, belongs to another user, others may write to it,
    /// or another process has it open.
    pub fn lock(path: &Path) -> Result<Directory, Error> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => sync_parent(path).map_err(|error| Error::io(path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(path, &error)),
        }
        let directory = open_directory(path).map_err(|error| Error::io(path, &error))?;
        check_owner(path, &directory)?;
        let lock = open_at(&directory, LOCK, Access::Write);
        let lock = lock.map_err(|error| Error::io(&path.join(LOCK), &error))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::in_use(path, holder(&lock))),
            Err(error) => return Err(Error::io(&path.join(LOCK), &error.into())),
        }
        // For whoever finds it locked. That it can't be written is no reason to stop.
        let name = format!("{}\n", std::process::id());
        if lock.set_len(0).is_ok() {
            let _ = lock.write_all_at(name.as_bytes(), 0);
        }
        Ok(Directory { directory, _lock: Some(lock) })
    }

    /// Opens the directory to look at it, locked by another process or not.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn look(path: &Path) -> Result<Directory, Error> {
        let directory = open_directory(path).map_err(|error| Error::io(path, &error))?;
        Ok(Directory { directory, _lock: None })
    }
}

/// The process that has locked the file, as it says itself.
fn holder(lock: &File) -> Option<u32> {
    let mut text = [0; 16];
    let length = FileExt::read_at(lock, &mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Makes sure that a directory that was just made stays.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    File::open(parent)?.sync_all()
}

/// Refuses a directory that somebody else could change.
fn check_owner(path: &Path, directory: &OwnedFd) -> Result<(), Error> {
    let status = rustix::fs::fstat(directory).map_err(|error| Error::io(path, &error.into()))?;
    let own = rustix::process::geteuid().as_raw();
    if status.st_uid != own {
        return Err(Error::not_ours(path, format!("it belongs to the user {}", status.st_uid)));
    }
    if status.st_mode & 0o022 != 0 {
        let mode = status.st_mode & 0o7777;
        return Err(Error::not_ours(path, format!("others may write to it (mode {mode:04o})")));
    }
    Ok(())
}

fn open_at(directory: &OwnedFd, name: &str, access: Access) -> io::Result<File> {
    let flags = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::RDWR | OFlags::CREATE,
        Access::New => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
    };
    // NONBLOCK: a fifo that lies there must not make us wait; files don't know it.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
    Ok(File::from(file))
}

impl Storage for Directory {
    type File = File;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let status = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
            let length = match status {
                Ok(status) => FileType::from_raw_mode(status.st_mode)
                    .is_file()
                    .then(|| u64::try_from(status.st_size).unwrap_or(0)),
                // Removed meanwhile.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            entries.push(Entry { name: name.to_string_lossy().into_owned(), length });
        }
        Ok(entries)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<File> {
        open_at(&self.directory, name, access)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }
}

impl StoredFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}
