//! One trial: one system does one work once.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{PATIENCE, Workdir, load::Load, memory_kib};

use crate::{
    process,
    systems::{Check, Output, Running, System},
    work::{Expected, Input, Work},
};

/// What a trial showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Named events that were sent while it was measured.
    pub(crate) events: u64,
    /// Seconds from the first event sent to the last sign of work.
    pub(crate) wall: f64,
    /// Processor seconds of the system's processes.
    pub(crate) cpu: f64,
    /// Resident memory before the first event, in KiB.
    pub(crate) rest_kib: u64,
    /// The most that was ever resident, in KiB.
    pub(crate) peak_kib: u64,
    /// Events for each processor second, of all worker threads together; of Fantail only.
    pub(crate) capacity: Option<f64>,
}

/// How long a trial is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// As many processor seconds, at least one round of a load ...
    pub(crate) cpu_seconds: f64,
    /// ... and at most about so many events.
    pub(crate) events_max: u64,
    /// Warms up until it has taken so many processor seconds.
    pub(crate) warm_up_seconds: f64,
}

/// A load, and a shorter one to warm up with.
pub(crate) struct Loads {
    pub(crate) main: Load,
    pub(crate) warm_up: Load,
}

/// A system without any sign of work for so long has done everything.
const SETTLED: Duration = Duration::from_millis(250);

/// What waits in a queue at most, in bytes.
const QUEUE: u64 = 32 << 20;

/// What a file grows by at most in a trial, in bytes.
const GROWTH_MAX: u64 = 256 << 20;

/// Runs a trial.
///
/// # Panics
///
/// When the system did not take every event, or did not let pass what it should.
pub(crate) fn run(system: &dyn System, work: &Work, loads: &Loads, effort: Effort) -> Figures {
    let dir = Workdir::new();
    let running = system.start(work, &loads.main, &dir);
    let (rest_kib, _) = memory(&*running);
    let mut trial =
        Trial { work, running: &*running, expected: Expected::default(), rounds: [0, 0] };
    let cpu_for_event = trial.warm_up(loads, effort);
    // What is very slow gets the short load.
    let is_slow = cpu_for_event * loads.main.all.events as f64 > 4.0 * effort.cpu_seconds;
    let (load, at) = if is_slow { (&loads.warm_up, 0) } else { (&loads.main, 1) };
    let events = load.all.events * work.workers as u64;
    let mut rounds_max = effort.events_max / events;
    if running.output().is_some() {
        rounds_max = rounds_max.min(GROWTH_MAX / work.expect(load, work.workers as u64).json_bytes);
    }
    let rounds = (effort.cpu_seconds / (cpu_for_event * events as f64)) as u64;
    let rounds = rounds.clamp(1, rounds_max.max(1));
    let workers_before = worker_seconds(&*running);
    let (wall, cpu) = trial.send(load, rounds);
    trial.rounds[at] += rounds;
    let capacity = (system.name().starts_with("Fantail"))
        .then(|| capacity(&workers_before, &worker_seconds(&*running), rounds * events));
    let expected = trial.expected;
    let (_, peak_kib) = memory(&*running);
    check_output(running.output(), &trial, loads);
    running.finish(&expected);
    Figures { events: rounds * events, wall, cpu, rest_kib, peak_kib, capacity }
}

struct Trial<'a> {
    work: &'a Work,
    running: &'a dyn Running,
    expected: Expected,
    /// How often the load to warm up with was sent, and the main one.
    rounds: [u64; 2],
}

impl Trial<'_> {
    /// Sends until it is warm, and returns the processor seconds for each event.
    fn warm_up(&mut self, loads: &Loads, effort: Effort) -> f64 {
        let mut rounds = 1;
        loop {
            let (_, cpu) = self.send(&loads.warm_up, rounds);
            self.rounds[0] += rounds;
            let events = rounds * self.work.workers as u64 * loads.warm_up.all.events;
            if cpu >= effort.warm_up_seconds || events >= effort.events_max / 4 {
                return cpu.max(0.001) / events as f64;
            }
            rounds *= 4;
        }
    }

    /// Sends a load so often, waits until all is done, and returns the seconds by the clock and
    /// by the processors.
    fn send(&mut self, load: &Load, rounds: u64) -> (f64, f64) {
        let expected = self.work.expect(load, rounds * self.work.workers as u64);
        if let Some(output) = self.running.output() {
            touch_memory(output.path.parent().unwrap(), expected.json_bytes);
        }
        let before = cpu_seconds(self.running);
        let start = Instant::now();
        self.running.entrance().send(load, rounds, self.work.workers);
        self.expected += expected;
        let done = self.settle();
        (done.duration_since(start).as_secs_f64(), cpu_seconds(self.running) - before)
    }

    /// Waits until the system rests, and its file has what it should if that is known by its
    /// size. Returns when it was last seen to work.
    fn settle(&self) -> Instant {
        let output = self.running.output();
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let size = || output.as_ref().map_or(0, |output| size(&output.path));
        let is_by_size = output.as_ref().is_some_and(|output| output.check == Check::Bytes);
        let mut seen = (size(), cpu_seconds(self.running));
        let mut last = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(5));
            let now = (size(), cpu_seconds(self.running));
            if now != seen {
                (seen, last) = (now, Instant::now());
            }
            let is_complete = !is_by_size || now.0 >= self.expected.json_bytes;
            if is_complete && last.elapsed() > SETTLED {
                return last;
            }
            let missing = self.expected.json_bytes.saturating_sub(now.0);
            assert!(last.elapsed() < PATIENCE, "the file is {missing} bytes short");
        }
    }
}

/// Has the machine use the memory that a file of so many bytes will take in its cache, and a queue
/// in front of it.
///
/// A virtual machine gives free memory back to its host within seconds. To get it again costs ten
/// times what it costs to write to it; whoever writes first is charged for that, and it is no work of
/// the system that is measured. A cache takes memory in pieces as large as what is written to it at
/// once: a page, or a full batch.
fn touch_memory(directory: &Path, bytes: u64) {
    let paths = [4 << 10, 64 << 10].map(|size| {
        let path = directory.join(format!("touched.{size}"));
        let mut file = File::create(&path).unwrap();
        let piece = vec![b'.'; size];
        for _ in 0..(bytes + QUEUE) / size as u64 {
            file.write_all(&piece).unwrap();
        }
        path
    });
    paths.into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

fn cpu_seconds(running: &dyn Running) -> f64 {
    running.pids().into_iter().map(process::cpu_seconds).sum()
}

/// What is resident now, and was at most.
fn memory(running: &dyn Running) -> (u64, u64) {
    let each = running.pids().into_iter().map(memory_kib);
    each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The processor seconds of each worker thread.
fn worker_seconds(running: &dyn Running) -> Vec<f64> {
    let mut threads: Vec<_> = running.pids().into_iter().flat_map(process::threads).collect();
    threads.retain(|(name, _)| name.starts_with("worker "));
    threads.sort_by(|one, other| one.0.cmp(&other.0));
    threads.into_iter().map(|(_, seconds)| seconds).collect()
}

/// The events for each processor second, of all workers together. Each had one connection,
/// and so the same share of the events.
fn capacity(before: &[f64], after: &[f64], events: u64) -> f64 {
    assert!(!after.is_empty() && before.len() == after.len(), "the worker threads are known");
    let share = events as f64 / after.len() as f64;
    let each = before.iter().zip(after).map(|(before, after)| share / (after - before).max(0.001));
    each.sum()
}

/// Requires that the file holds what was sent and passes, and nothing else.
fn check_output(output: Option<Output>, trial: &Trial<'_>, loads: &Loads) {
    let Some(Output { path, check }) = output else { return };
    let work = trial.work;
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = BufReader::with_capacity(1 << 20, file);
    match check {
        // What Dovecot's protocol brings in has the time of its export, so only its size is known.
        Check::Bytes if work.input == Input::StatsWriter => {
            let bytes = path.metadata().unwrap().len();
            assert_eq!(bytes, trial.expected.json_bytes, "bytes in the file for {work:?}");
        }
        Check::Bytes => check_content(file, trial, loads),
        Check::Lines(text) => {
            let lines = file.split(b'\n').map(Result::unwrap);
            let lines = lines.filter(|line| String::from_utf8_lossy(line).contains(text));
            let payloads = trial.expected.payloads;
            assert_eq!(lines.count() as u64, payloads, "lines in the file for {work:?}");
        }
    }
}

/// Requires that the file is the very lines that were sent and pass, in their order.
fn check_content(mut file: impl Read, trial: &Trial<'_>, loads: &Loads) {
    let mut buffer = Vec::new();
    for (load, rounds) in [(&loads.warm_up, trial.rounds[0]), (&loads.main, trial.rounds[1])] {
        let lines = trial.work.passing_lines(load);
        buffer.resize(lines.len(), 0);
        for round in 0..rounds {
            file.read_exact(&mut buffer).unwrap();
            assert!(buffer == lines, "round {round}: other lines for {:?}", trial.work);
        }
    }
    assert_eq!(file.read(&mut [0]).unwrap(), 0, "there is more in the file");
}
