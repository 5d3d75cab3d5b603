//! The driver `file`: appends each payload and a line feed to a file.
//!
//! Files are opened when the first line comes for them: created with mode 0600 if they
//! are not there, never through a symbolic link (in the last part of the path),
//! and only if they are regular files. The path may have variables; then some files are
//! open at a time, and each payload's line goes to its own, in the order of payloads.
//!
//! *Moved away by others*: without rotation here, a file that somebody moved away is still the one
//! that is written to, until the host calls `reopen`; then the path is opened again. With
//! rotation that is noticed within a second. One that was removed is noticed at the next batch.
//!
//! *Whole lines*: the lines of a batch for a file are one write. When the system takes a part of
//! it only (a full disk, a quota, a limit on a file's size), the lines that went in whole
//! are delivered, the torn rest is cut off again, and the host sends those payloads later.
//! The cut is made only if nobody else has appended meanwhile; otherwise the torn line
//! is ended before the next one starts. A file that ends within a line when it is opened was left so
//! by a crash, or by another program. The piece is cut off if only a Fantail of this
//! user can have written it: the file is ours, nobody else may write to it, and no other Fantail
//! has it open. Otherwise it is ended by a line feed, as is one that another program leaves
//! while the file is open.
//!
//! *Delivered* says that the system has the bytes: a crash of this program loses none of
//! them, one of the machine may. `file_fsync = batch` says that they are on the disk. When that
//! fails, the batch is written again, and its lines may be in the file twice.
//!
//! *A path at fault* (a link, no directory, no right) costs only its own payloads: with
//! variables in the path they are given up, since others must not wait for them. Without, or if
//! the directory is missing that stands before the first variable, they wait until the path
//! is usable.

#![deny(unsafe_code)]

mod appender;
mod compress;
mod files;
mod keeper;
mod path;
mod rotated;
mod settings;

use std::{
    collections::HashMap,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, Instant},
};

use fantail_sdk::{
    Batch, Driver, DriverContext, LabelPart, PluginError, SendError, Timestamp, export_driver, log,
};

use files::{Failure, Files};
use keeper::Keeper;
use path::PathTemplate;
use settings::Fsync;
pub use settings::Settings;

/// Appends to files.
pub struct File {
    path: PathTemplate,
    files: Files,
    lines: Vec<u8>,
    /// The payloads of a batch by their paths.
    groups: Groups,
    /// How long lines may stay in memory, if they are brought to the disk from time to time.
    sync_interval: Option<Duration>,
    synced_at: Instant,
}

/// The payloads of a batch that belong into the same file, in their order.
#[derive(Default)]
struct Groups {
    by_path: HashMap<Box<[u8]>, usize>,
    members: Vec<(Box<[u8]>, Vec<usize>)>,
}

/// The room for lines that is kept from batch to batch, in bytes.
const LINES_KEPT_MAX: usize = 1 << 20;

impl File {
    /// Appends the payloads at `members` to the file at `path`; how many are there then, and why
    /// not all.
    fn append(
        &mut self,
        path: &Path,
        batch: &Batch<'_>,
        members: impl Iterator<Item = usize> + Clone,
        now: Timestamp,
    ) -> (usize, Result<(), Failure>) {
        self.lines.clear();
        self.lines.shrink_to(LINES_KEPT_MAX);
        for index in members.clone() {
            self.lines.extend_from_slice(batch.payload(index));
            self.lines.push(b'\n');
        }
        let ends = members.scan(0, |end, index| {
            *end += batch.payload(index).len() + 1;
            Some(*end)
        });
        self.files.append(path, &self.lines, ends, now)
    }

    /// Appends each payload to a file of its own path. What its path is at fault for is given up.
    fn append_by_label(&mut self, batch: &Batch<'_>, now: Timestamp) -> Result<(), Failure> {
        let mut groups = std::mem::take(&mut self.groups);
        groups.divide(&self.path, batch);
        let mut result = Ok(());
        for (path, members) in &groups.members {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            let (count, appended) = self.append(path, batch, members.iter().copied(), now);
            members[..count].iter().for_each(|&index| batch.delivered(index));
            match appended {
                Err(failure) if failure.is_of_the_path && self.path.has_base() => {
                    members[count..].iter().for_each(|&at| batch.give_up(at, &failure.reason));
                }
                appended => result = result.and(appended),
            }
        }
        groups.clear();
        self.groups = groups;
        result
    }

    /// Brings lines to the disk, if it is time. They count as delivered already, so a failure is
    /// only told of.
    fn sync_from_time_to_time(&mut self) {
        if self.sync_interval.is_none_or(|interval| self.synced_at.elapsed() < interval) {
            return;
        }
        self.synced_at = Instant::now();
        if let Err(failure) = self.files.sync() {
            log::error!("{}; {}", failure.reason, files::MAY_BE_LOST);
        }
    }
}

impl Groups {
    fn divide(&mut self, template: &PathTemplate, batch: &Batch<'_>) {
        let mut path = Vec::new();
        let (mut label, mut group) = (None, 0);
        for index in 0..batch.len() {
            let own = batch.label(index);
            if label.replace(own) != Some(own) {
                template.of(&own, &mut path);
                group = match self.by_path.get(path.as_slice()) {
                    Some(group) => *group,
                    None => self.add(&path),
                };
            }
            self.members[group].1.push(index);
        }
    }

    fn add(&mut self, path: &[u8]) -> usize {
        self.by_path.insert(path.into(), self.members.len());
        self.members.push((path.into(), Vec::new()));
        self.members.len() - 1
    }

    fn clear(&mut self) {
        self.by_path.clear();
        self.members.clear();
    }
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        SendError::retry(failure.reason)
    }
}

impl Driver for File {
    type Settings = Settings;

    fn open(settings: Settings, _context: &DriverContext) -> Result<Self, PluginError> {
        let path = PathTemplate::parse(&settings.file_path)
            .map_err(|reason| PluginError::new(format!("file_path {reason}")))?;
        let keeper = Keeper::new(settings.keeping());
        let interval = settings.file_fsync_interval.duration();
        Ok(File {
            path,
            files: Files::new(settings.policy()?, keeper),
            lines: Vec::new(),
            groups: Groups::default(),
            sync_interval: (settings.file_fsync == Fsync::Interval).then_some(interval),
            synced_at: Instant::now(),
        })
    }

    fn wants(&self) -> Vec<LabelPart> {
        self.path.wants().to_vec()
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let now = Timestamp::now();
        match self.path.constant().map(Path::to_owned) {
            Some(path) => {
                let (count, appended) = self.append(&path, batch, 0..batch.len(), now);
                batch.delivered_until(count);
                appended?;
            }
            None => self.append_by_label(batch, now)?,
        }
        self.sync_from_time_to_time();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SendError> {
        self.synced_at = Instant::now();
        Ok(self.files.sync()?)
    }

    fn reopen(&mut self) -> Result<(), SendError> {
        let closed = self.files.close_all();
        if let Some(path) = self.path.constant().map(Path::to_owned) {
            self.files.open(&path, Timestamp::now())?;
        }
        Ok(closed?)
    }
}

export_driver!(File, "file");

#[cfg(test)]
mod tests;
