//! What a spool asks of the place that its files lie in. [`Storage`] and
//! [`StoredFile`] are the few operations; [`Directory`](super::Directory) has them on a
//! real file system, [`Simulated`](super::simulated::Simulated) on one that can lose power.

use std::io;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only for reading; it must exist.
    Read,
    /// For reading and writing; made if there is none.
    Write,
    /// For reading and writing; there must be none yet.
    New,
}

/// A file, or something else, in a spool's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a directory.
    pub name: String,
    /// Its bytes; none when it is not a regular file.
    pub length: Option<u64>,
}

/// A directory of a spool's own.
///
/// What [`open`](Self::open) makes and [`remove`](Self::remove) takes away may be forgotten
/// by a power loss until [`sync_dir`](Self::sync_dir) has succeeded.
pub trait Storage: Send + Sync {
    /// A file of it.
    type File: StoredFile;

    /// What is in the directory, in any order.
    ///
    /// # Errors
    ///
    /// The system's, as in all that follows.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens a file, or makes it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open(&self, name: &str, access: Access) -> io::Result<Self::File>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes sure that files made and removed stay so.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file. It may have been removed meanwhile, and can still be read then.
pub trait StoredFile: Send + Sync {
    /// Reads from `offset`; 0 at the end only.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes to `offset`, perhaps not everything: how much, at least 1.
    ///
    /// # Errors
    ///
    /// The system's; nothing has been written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes sure that what was written outlives a power loss (fdatasync).
    ///
    /// # Errors
    ///
    /// The system's. Whether what was written is there after a power loss isn't
    /// known then, and a later success says nothing about it.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// The file's bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn length(&self) -> io::Result<u64>;
}

/// Writes everything: how much has been written, and why not all.
pub(super) fn write_all(
    file: &impl StoredFile,
    bytes: &[u8],
    offset: u64,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Reads until `buffer` is full or the file ends: how much.
pub(super) fn read_full(
    file: &impl StoredFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
