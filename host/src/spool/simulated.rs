//! A storage in memory that can lose power, run full, and fail: for tests and fuzzing.
//!
//! What was written and not synced is lost in part when the power is cut: each sector of
//! each write, each change of a file's length, and each file made or removed, is kept or
//! lost on its own, whatever the order.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::storage::{Access, Entry, Storage, StoredFile};

/// What a disk writes as one, in bytes.
const SECTOR: usize = 512;

/// A storage; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    disk: Arc<Mutex<Disk>>,
}

/// A file of a [`Simulated`].
#[derive(Debug)]
pub struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// After so many changes nothing works any more.
    pub changes_left: Option<u64>,
    /// All files may have so many bytes.
    pub room: Option<u64>,
    /// So many next syncs of files fail, and forget what was to be synced.
    pub failing_syncs: u64,
    /// Syncs of files with more bytes than that fail in the same way.
    pub sync_max: Option<u64>,
    /// After so many syncs of files all fail so.
    pub syncs_left: Option<u64>,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    /// What a running process sees.
    names: BTreeMap<String, usize>,
    /// What a power loss leaves.
    durable_names: BTreeMap<String, usize>,
    /// Names made and removed since the directory was synced.
    name_changes: Vec<(String, Option<usize>)>,
    faults: Faults,
    changes: u64,
    bytes_read: u64,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Truncate(length) => bytes.resize(*length as usize, 0),
            Change::Write(offset, written) => {
                let end = *offset as usize + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset as usize..end].copy_from_slice(written);
            }
        }
    }

    /// The parts of it that are kept or lost on their own.
    fn pieces(&self) -> Vec<Change> {
        let Change::Write(offset, written) = self else { return vec![self.clone()] };
        let mut pieces = Vec::new();
        let (mut offset, mut rest) = (*offset, written.as_slice());
        while !rest.is_empty() {
            let count = (SECTOR - offset as usize % SECTOR).min(rest.len());
            pieces.push(Change::Write(offset, rest[..count].to_vec()));
            (offset, rest) = (offset + count as u64, &rest[count..]);
        }
        pieces
    }
}

impl Disk {
    /// Counts a change; an error when there can be none.
    fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.changes_left {
            if *left == 0 {
                return Err(io::Error::other("the power is off"));
            }
            *left -= 1;
        }
        self.changes += 1;
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].bytes.len() as u64).sum()
    }
}

impl Simulated {
    /// An empty storage.
    pub fn new() -> Simulated {
        Simulated::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }

    /// How many changes there were: writes, syncs, files made, cut and removed.
    pub fn changes(&self) -> u64 {
        self.disk().changes
    }

    /// How many bytes were read.
    pub fn bytes_read(&self) -> u64 {
        self.disk().bytes_read
    }

    /// The bytes of all files.
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// The bytes of a file, if there is one.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(name).map(|&inode| disk.inodes[inode].bytes.clone())
    }

    /// Puts a file there, or other bytes into one, for good.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let inode = Inode { durable: bytes.clone(), bytes, changes: Vec::new() };
        let number = disk.inodes.len();
        disk.inodes.push(inode);
        disk.names.insert(name.to_owned(), number);
        disk.durable_names.insert(name.to_owned(), number);
    }

    /// Takes a file away, for good.
    pub fn take(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.durable_names.remove(name);
    }

    /// What is there after a power loss. Of each change that wasn't synced, `is_kept` says
    /// whether it is.
    #[must_use]
    pub fn after_power_loss(&self, mut is_kept: impl FnMut() -> bool) -> Simulated {
        let disk = self.disk();
        let mut left = Disk { names: disk.durable_names.clone(), ..Disk::default() };
        for (name, inode) in &disk.name_changes {
            if is_kept() {
                match inode {
                    Some(inode) => left.names.insert(name.clone(), *inode),
                    None => left.names.remove(name),
                };
            }
        }
        for inode in &disk.inodes {
            let mut bytes = inode.durable.clone();
            for change in inode.changes.iter().flat_map(Change::pieces) {
                if is_kept() {
                    change.apply(&mut bytes);
                }
            }
            left.inodes.push(Inode { durable: bytes.clone(), bytes, changes: Vec::new() });
        }
        left.durable_names = left.names.clone();
        Simulated { disk: Arc::new(Mutex::new(left)) }
    }
}

impl Storage for Simulated {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let disk = self.disk();
        let entries = disk.names.iter().map(|(name, &inode)| Entry {
            name: name.clone(),
            length: Some(disk.inodes[inode].bytes.len() as u64),
        });
        Ok(entries.collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<SimulatedFile> {
        let mut disk = self.disk();
        let inode = match (disk.names.get(name).copied(), access) {
            (Some(_), Access::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, Access::Read) => return Err(io::ErrorKind::NotFound.into()),
            (None, Access::Write | Access::New) => {
                disk.change()?;
                let inode = disk.inodes.len();
                disk.inodes.push(Inode::default());
                disk.names.insert(name.to_owned(), inode);
                disk.name_changes.push((name.to_owned(), Some(inode)));
                inode
            }
        };
        Ok(SimulatedFile { disk: self.disk.clone(), inode })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        if disk.names.remove(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.name_changes.push((name.to_owned(), None));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        disk.durable_names = disk.names.clone();
        disk.name_changes.clear();
        Ok(())
    }
}

impl SimulatedFile {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, disk: &mut Disk, change: Change) {
        let inode = &mut disk.inodes[self.inode];
        change.apply(&mut inode.bytes);
        inode.changes.push(change);
    }
}

impl StoredFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk();
        let bytes = &disk.inodes[self.inode].bytes;
        let rest = &bytes[(offset as usize).min(bytes.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        disk.bytes_read += count as u64;
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk();
        if disk.change().is_err() {
            return Err(io::Error::other("the power is off"));
        }
        let length = disk.inodes[self.inode].bytes.len() as u64;
        let grows = (offset + bytes.len() as u64).saturating_sub(length);
        let room = disk.faults.room.map_or(u64::MAX, |room| room.saturating_sub(disk.used()));
        let count = bytes.len() - (grows - grows.min(room)) as usize;
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.apply(&mut disk, Change::Write(offset, bytes[..count].to_vec()));
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        let Faults { failing_syncs, sync_max, syncs_left, .. } = disk.faults;
        let length = disk.inodes[self.inode].bytes.len() as u64;
        let is_failing =
            failing_syncs > 0 || sync_max.is_some_and(|max| length > max) || syncs_left == Some(0);
        disk.faults.syncs_left = syncs_left.map(|left| left.saturating_sub(1));
        let inode = &mut disk.inodes[self.inode];
        let changes = std::mem::take(&mut inode.changes);
        if is_failing {
            // What it was to write is seen as long as it is in memory, and never written.
            disk.faults.failing_syncs = failing_syncs.saturating_sub(1);
            return Err(io::Error::other("the disk has failed to sync"));
        }
        for change in changes {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        self.apply(&mut disk, Change::Truncate(length));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk().inodes[self.inode].bytes.len() as u64)
    }
}
