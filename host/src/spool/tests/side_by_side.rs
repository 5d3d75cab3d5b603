//! The two halves in two threads, and what one must not feel of the other.

use std::sync::{Arc, Condvar, Mutex, mpsc};

use super::*;
use crate::spool::{
    self, Storage,
    simulated::{Faults, SimulatedFile},
    storage::{Access, Entry, StoredFile},
};

/// Reads so many payloads while they come, and requires their order; `acknowledge` is called after each
/// reading, with the number of the next payload.
fn read_in_order(
    reader: &mut Reader<Simulated>,
    count: u64,
    mut acknowledge: impl FnMut(&mut Reader<Simulated>, &Taken, u64),
) {
    let (mut taken, mut next) = (Taken::default(), 1);
    while next <= count {
        reader.read(&mut taken, 64, 64 << 10).unwrap();
        check_taken(&taken);
        for &sequence in taken.sequences() {
            assert_eq!(sequence, next);
            next += 1;
        }
        acknowledge(reader, &taken, next);
    }
}

#[test]
fn the_halves_work_in_two_threads() {
    const COUNT: u64 = 20_000;
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut appended = 0;
            while appended < COUNT {
                let left = (COUNT - appended).min(40) as usize;
                let made = append(&mut writer, &lengths(left, 500));
                appended += made.sequences.end - made.sequences.start;
                match appended % 3 {
                    0 => writer.sync().unwrap(),
                    _ => writer.publish(),
                }
            }
            writer.sync().unwrap();
        });
        read_in_order(&mut reader, COUNT, |reader, taken, next| {
            let (made, result) = reader.acknowledge(1..=next);
            result.unwrap();
            assert_eq!(made.payloads, taken.len() as u64);
            assert!(storage.used() <= MAX_SIZE_LEAST);
        });
        assert_eq!(reader.queued(), Amount::default());
    });
}

#[test]
fn failing_syncs_take_nothing_from_a_reader() {
    const COUNT: u64 = 3000;
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    std::thread::scope(|scope| {
        let disk = storage.clone();
        scope.spawn(move || {
            while writer.next_sequence() <= COUNT {
                append(&mut writer, &lengths(5, 300));
                writer.publish();
                disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
                while writer.sync().is_err() {}
            }
        });
        read_in_order(&mut reader, COUNT, |reader, _, next| {
            // The cursor's sync may be the one that fails.
            let _ = reader.acknowledge(1..=next);
        });
        assert_eq!(reader.lost(), Amount::default());
    });
}

/// A storage that syncs and reads segments only when it is allowed to.
#[derive(Clone, Default)]
struct Slow {
    storage: Simulated,
    syncs: Arc<Gate>,
    reads: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// Whether it is closed, and how many wait.
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

struct SlowFile {
    file: SimulatedFile,
    slow: Option<Slow>,
}

impl Gate {
    fn set(&self, is_closed: bool) {
        self.state.lock().unwrap().0 = is_closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
    }

    fn wait_for_one(&self) {
        let mut state = self.state.lock().unwrap();
        while state.1 == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

impl Storage for Slow {
    type File = SlowFile;

    fn list(&self) -> std::io::Result<Vec<Entry>> {
        self.storage.list()
    }

    fn open(&self, name: &str, access: Access) -> std::io::Result<SlowFile> {
        let slow = name.ends_with("segment").then(|| self.clone());
        Ok(SlowFile { file: self.storage.open(name, access)?, slow })
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.storage.remove(name)
    }

    fn sync_dir(&self) -> std::io::Result<()> {
        self.storage.sync_dir()
    }
}

impl StoredFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.slow.iter().for_each(|slow| slow.reads.pass());
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.slow.iter().for_each(|slow| slow.syncs.pass());
        self.file.sync()
    }

    fn truncate(&self, length: u64) -> std::io::Result<()> {
        self.file.truncate(length)
    }

    fn length(&self) -> std::io::Result<u64> {
        self.file.length()
    }
}

#[test]
fn a_slow_sync_holds_up_neither_reading_nor_acknowledging() {
    let storage = Slow::default();
    let gate = storage.syncs.clone();
    let options = Options { max_size: MAX_SIZE_LEAST };
    let Opened { mut writer, mut reader, .. } = spool::open_in(storage, options).unwrap();
    let payload = Payload { bytes: b"payload", label: b"", read_at: 0 };
    assert!(writer.append([payload; 5]).stop.is_none());
    writer.publish();
    gate.set(true);
    let (said, done) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || said.send(writer.sync().is_ok()).unwrap());
        gate.wait_for_one();
        let mut taken = Taken::default();
        for number in 1..=5 {
            reader.read(&mut taken, 1, 100).unwrap();
            assert_eq!(taken.sequences(), [number]);
            reader.acknowledge(number..=number).1.unwrap();
        }
        assert_eq!(reader.queued(), Amount::default());
        // All that, while the sync still waits.
        assert!(done.try_recv().is_err());
        gate.set(false);
        assert!(done.recv().unwrap());
    });
}

#[test]
fn what_a_failed_sync_takes_while_it_is_read_is_read_again() {
    let storage = Slow::default();
    let (disk, gate) = (storage.storage.clone(), storage.reads.clone());
    let options = Options { max_size: MAX_SIZE_LEAST };
    let Opened { mut writer, mut reader, .. } = spool::open_in(storage, options).unwrap();
    let payload = Payload { bytes: b"payload", label: b"", read_at: 0 };
    assert!(writer.append([payload; 5]).stop.is_none());
    writer.publish();
    gate.set(true);
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut taken = Taken::default();
            reader.read(&mut taken, 10, 1000).unwrap();
            (taken.sequences().to_vec(), reader.lost(), reader.take_findings())
        });
        // It has the segment, and is about to read what is cut off now.
        gate.wait_for_one();
        disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
        writer.sync().unwrap();
        assert_eq!(writer.failed_syncs(), 1);
        gate.set(false);
        let nothing = (Vec::new(), 0);
        assert_eq!(read.join().unwrap(), (vec![1, 2, 3, 4, 5], Amount::default(), nothing));
    });
}
