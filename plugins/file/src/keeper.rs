//! What is done with rotated files, on a thread of its own with the least priority: the oldest
//! are removed when there are too many, the others are compressed.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use fantail_sdk::log;

use crate::{
    compress::{Compressed, compress, remove_stale},
    rotated,
};

/// What is to be done with rotated files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// How many of each file's are kept; `None` for all.
    pub(crate) count: Option<usize>,
    /// Whether they are compressed.
    pub(crate) compress: bool,
}

/// The thread, if anything was to be done so far.
pub(crate) struct Keeper {
    keeping: Keeping,
    running: Option<Running>,
}

struct Running {
    /// `None` once it is told to end.
    files: Option<SyncSender<PathBuf>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// So many files wait to be looked after. One that finds no room is looked after when it is
/// rotated the next time.
const WAITING_MAX: usize = 1024;

/// The pause before a file is looked after again that was busy.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

impl Keeper {
    pub(crate) fn new(keeping: Keeping) -> Self {
        Keeper { keeping, running: None }
    }

    /// Has the rotated files of `path` looked after, soon.
    pub(crate) fn look_after(&mut self, path: &Path) {
        if !self.keeping.compress && self.keeping.count.is_none() {
            return;
        }
        if self.running.is_none() {
            match Running::start(self.keeping) {
                Ok(running) => self.running = Some(running),
                Err(error) => log::warn!("no thread for rotated files: {error}"),
            }
        }
        if let Some(files) = self.running.as_ref().and_then(|running| running.files.as_ref()) {
            // The thread never ends before it is told to; without room: see above.
            let _ = files.try_send(path.to_owned());
        }
    }
}

impl Running {
    fn start(keeping: Keeping) -> io::Result<Self> {
        let (files, received) = sync_channel(WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let run = move || {
            // Of this thread only; it matters little if that is not possible.
            let _ = rustix::process::nice(19);
            run(keeping, &received, &stops);
        };
        let thread = std::thread::Builder::new().name("rotated files".to_owned()).spawn(run)?;
        Ok(Running { files: Some(files), stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    /// Ends the thread within a moment: what it is at is begun anew by the next one.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.files = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told of by then.
            let _ = thread.join();
        }
    }
}

fn run(keeping: Keeping, files: &Receiver<PathBuf>, stop: &AtomicBool) {
    let stops = || stop.load(Ordering::Relaxed);
    let mut busy = BTreeSet::new();
    loop {
        let next = match busy.is_empty() {
            true => files.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => files.recv_timeout(BUSY_PAUSE),
        };
        let todo = match next {
            Ok(path) => vec![path],
            Err(RecvTimeoutError::Timeout) => std::mem::take(&mut busy).into_iter().collect(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for path in todo {
            match look_after(&path, keeping, &stops) {
                Ok(Compressed::Busy) if busy.len() < WAITING_MAX => drop(busy.insert(path)),
                Ok(_) => {}
                Err(error) => log::warn!("rotated files of {}: {error}", path.display()),
            }
            if stops() {
                return;
            }
        }
    }
}

/// Removes the oldest and compresses the others.
fn look_after(path: &Path, keeping: Keeping, stops: &dyn Fn() -> bool) -> io::Result<Compressed> {
    let directory = rotated::directory(path);
    let mut files = rotated::all(path)?;
    // A file and its compressed one, both there after a crash, are one.
    let mut kept = 0;
    let mut last = None;
    for file in files.iter().rev() {
        if last.replace(file).is_none_or(|last| !last.is_same(file)) {
            kept += 1;
        }
        if keeping.count.is_some_and(|count| kept > count) {
            fs::remove_file(directory.join(&file.name))?;
        }
    }
    if keeping.compress {
        let base = path.file_name().unwrap_or_default().as_bytes();
        remove_stale(directory, &|name| rotated::is_of(base, name))?;
    }
    files.retain(|file| !file.compressed && directory.join(&file.name).exists());
    let mut outcome = Compressed::Done;
    for file in files.iter().filter(|_| keeping.compress) {
        match compress(&directory.join(&file.name), stops)? {
            Compressed::Done => {}
            Compressed::Busy => outcome = Compressed::Busy,
            Compressed::Stopped => return Ok(Compressed::Stopped),
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Keeping, look_after};
    use crate::compress::Compressed;

    #[test]
    fn the_newest_are_kept_and_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let check = |files: &[&str], count, compress, expected: &[&str]| {
            for name in files {
                fs::write(dir.path().join(name), name).unwrap();
            }
            let done = look_after(&path, Keeping { count, compress }, &|| false).unwrap();
            assert_eq!(done, Compressed::Done);
            let mut left: Vec<_> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            left.sort();
            assert_eq!(left, expected);
            left.iter().for_each(|name| fs::remove_file(dir.path().join(name)).unwrap());
        };
        let (a, b, c) = ("out.20261120T000000Z", "out.20261121T000000Z", "out.20261121T000000Z-1");
        let foreign = ["out", "out.1", "out.20261119T000000Z.old", "out2.20261119T000000Z"];
        check(&[a, b, c], None, false, &[a, b, c]);
        check(&[a, b, c], Some(2), false, &[b, c]);
        check(&[a, b, c], Some(0), true, &[]);
        // What another name has is nobody's business.
        check(&[&foreign[..], &[a]].concat(), Some(0), true, &foreign);
        // Both after a crash: the same file.
        let [a_gz, b_gz, c_gz] = [a, b, c].map(|name| format!("{name}.gz"));
        check(&[a, b, c], Some(2), true, &[&c_gz, &b_gz]);
        check(&[a, &a_gz, b, &b_gz], Some(2), true, &[&a_gz, &b_gz]);
        check(&[a, &a_gz, b, &b_gz], Some(1), true, &[&b_gz]);
    }
}
