//! An exporter's dead letters, for all who have to do with them while the host runs.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::store::{Letter, Store, Wanted};
use crate::spool::{Directory, Finding, Gauge, SpoolFigures, Stop};

/// How many letters are sent again in one batch at most.
const REPLAY_MAX: usize = 4096;

/// The letters of one exporter.
pub struct DeadLetters {
    directory: PathBuf,
    store: Mutex<Option<Open>>,
    /// The ids of those that are to be sent again.
    replay: Mutex<BTreeSet<u64>>,
    holds: Gauge,
}

struct Open {
    store: Store<Directory>,
    max_size: u64,
}

/// Which letters could not be kept, and why.
#[derive(Debug)]
pub struct Unkept {
    /// Their places among those that were to be kept, in order.
    pub indices: Vec<usize>,
    /// Why the first could not be.
    pub reason: String,
}

impl Unkept {
    /// Whether the one at this place is among them.
    pub fn has(&self, index: usize) -> bool {
        self.indices.binary_search(&index).is_ok()
    }
}

impl DeadLetters {
    /// The letters in a directory, which is not opened yet.
    pub fn new(directory: PathBuf) -> Self {
        DeadLetters {
            directory,
            store: Mutex::new(None),
            replay: Mutex::default(),
            holds: Gauge::new(0),
        }
    }

    /// Where they are.
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// Opens the directory, or makes it; again if it is open with another maximum size.
    ///
    /// # Errors
    ///
    /// What the system, or the spool, has against it, with the place.
    pub fn open(&self, max_size: u64) -> Result<(), String> {
        let mut open = self.lock();
        if open.as_ref().is_some_and(|open| open.max_size == max_size) {
            return Ok(());
        }
        // Both halves have to go before it can be opened anew.
        let before = open.take().map(|open| open.max_size);
        match self.open_anew(max_size) {
            Ok(opened) => *open = Some(opened),
            Err(reason) => {
                // Whoever has it open goes on with it as it was.
                *open = before.and_then(|max_size| self.open_anew(max_size).ok());
                return Err(reason);
            }
        }
        Ok(())
    }

    fn open_anew(&self, max_size: u64) -> Result<Open, String> {
        let opened = Store::open(&self.directory, max_size).map_err(|error| error.to_string());
        let (store, findings) = opened?;
        self.show(&findings, 0);
        self.holds.set_bytes_max(max_size);
        self.note(&store);
        Ok(Open { store, max_size })
    }

    /// How many there are now.
    pub fn figures(&self) -> SpoolFigures {
        self.holds.figures()
    }

    /// Keeps letters. Those that could be kept are safe when it returns.
    ///
    /// # Errors
    ///
    /// Which of them could not be kept, and why.
    pub fn put(&self, letters: &[Letter]) -> Result<(), Unkept> {
        let mut open = self.lock();
        let all = || (0..letters.len()).collect();
        let Some(Open { store, .. }) = open.as_mut() else {
            return Err(Unkept { indices: all(), reason: "the directory is not open".into() });
        };
        let (kept, stop) = store.put(letters);
        self.note(store);
        let indices: Vec<usize> = (0..letters.len()).filter(|&index| !kept[index]).collect();
        let reason = match stop {
            None => return Ok(()),
            Some(Stop::Full) => {
                "there is no more room for dead letters: see dead_letters_max_size, and `fantail \
                 dead-letters`"
                    .to_owned()
            }
            Some(Stop::TooLarge) => {
                "it is too large for a dead letter: see dead_letters_max_size".to_owned()
            }
            Some(Stop::Failed(error)) => format!("{}: {error}", self.directory.display()),
        };
        Err(Unkept { indices, reason })
    }

    /// Takes letters out, for good: how many.
    ///
    /// # Errors
    ///
    /// When some are not there (none is taken out then), or the system fails.
    pub fn drop_letters(&self, wanted: &Wanted) -> Result<u64, String> {
        self.with(|store| {
            missing(&store.find(wanted)?, wanted)?;
            store.remove(wanted)
        })
    }

    /// Has letters sent again by the exporter's thread: how many.
    ///
    /// # Errors
    ///
    /// When some are not there (none is sent then), or the system fails.
    pub fn ask_replay(&self, wanted: &Wanted) -> Result<u64, String> {
        let found = self.with(|store| {
            let found = store.find(wanted)?;
            missing(&found, wanted)?;
            Ok(found)
        })?;
        let count = found.len() as u64;
        self.wishes().extend(found);
        Ok(count)
    }

    /// The next letters that are to be sent again, of so many bytes.
    ///
    /// # Errors
    ///
    /// When the system fails: nothing more is to be sent again then.
    pub fn next_replay(&self, bytes_max: usize) -> Result<Vec<Letter>, String> {
        let wishes: BTreeSet<u64> = self.wishes().iter().copied().take(REPLAY_MAX).collect();
        if wishes.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = Wanted::Ids(wishes);
        let letters = self.with(|store| store.read(&wanted, bytes_max));
        // Dropped meanwhile, or impossible to read.
        if letters.as_ref().map_or(true, Vec::is_empty)
            && let Wanted::Ids(wishes) = wanted
        {
            self.wishes().retain(|id| !wishes.contains(id));
        }
        letters
    }

    /// Letters that were sent again have been delivered, or lie there once more.
    ///
    /// # Errors
    ///
    /// When that can't be written down: they may be sent again.
    pub fn replayed(&self, ids: &[u64]) -> Result<(), String> {
        let ids: BTreeSet<u64> = ids.iter().copied().collect();
        self.wishes().retain(|id| !ids.contains(id));
        self.with(|store| store.remove(&Wanted::Ids(ids))).map(drop)
    }

    /// Letters that were sent again were not taken, and could not be kept once more: they stay as they
    /// are, and are not sent again by themselves.
    pub fn not_replayed(&self, ids: &[u64]) {
        self.wishes().retain(|id| !ids.contains(id));
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(&mut Store<Directory>) -> io::Result<T>,
    ) -> Result<T, String> {
        let mut open = self.lock();
        let Some(Open { store, .. }) = open.as_mut() else {
            return Err(format!("{} is not open", self.directory.display()));
        };
        let answer = ask(store);
        self.note(store);
        let (findings, more) = store.take_findings();
        self.show(&findings, more);
        answer.map_err(|error| error.to_string())
    }

    /// Tells of damage: each finding is told once, for then it is passed over.
    fn show(&self, findings: &[Finding], more: u64) {
        let directory = self.directory.display();
        for finding in findings {
            log::warn!("dead letters in {directory}: {finding}");
        }
        if more > 0 {
            log::warn!("dead letters in {directory}: {more} more places are damaged");
        }
    }

    fn note(&self, store: &Store<Directory>) {
        self.holds.set(store.held());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wishes(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses ids of which there is no letter.
fn missing(found: &BTreeSet<u64>, wanted: &Wanted) -> io::Result<()> {
    let Wanted::Ids(ids) = wanted else { return Ok(()) };
    match ids.iter().find(|id| !found.contains(id)) {
        None => Ok(()),
        Some(id) => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no dead letter {id}")))
        }
    }
}
