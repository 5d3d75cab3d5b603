//! What the system says of processes: `/proc`, see proc(5).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The processor seconds, user's and system's, of a process with all its threads, the ended
/// ones included. In steps of 10 ms.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    seconds_of(&PathBuf::from(format!("/proc/{pid}/stat")))
}

/// The processor seconds of each living thread of a process, by name.
pub(crate) fn threads(pid: u32) -> Vec<(String, f64)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads = threads.map(|thread| thread.unwrap().path());
    let thread = |path: PathBuf| {
        let name = fs::read_to_string(path.join("comm")).unwrap();
        (name.trim_end().to_owned(), seconds_of(&path.join("stat")))
    };
    threads.map(thread).collect()
}

/// The child of `parent` whose program has this name.
pub(crate) fn child(parent: u32, name: &str) -> Option<u32> {
    let pids = fs::read_dir("/proc").unwrap();
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        let (start, fields) = split(&stat);
        let its_parent = fields.split(' ').nth(1);
        start.ends_with(&format!("({name}")) && its_parent == Some(&parent.to_string())
    })
}

fn seconds_of(stat: &Path) -> f64 {
    let stat = fs::read_to_string(stat).unwrap_or_else(|error| {
        panic!("{}: {error}: has the process ended?", stat.display());
    });
    let fields: Vec<_> = split(&stat).1.split(' ').collect();
    // Behind the name come the fields from the third on; 14 and 15 are utime and stime.
    let ticks = |field: usize| fields[field - 3].parse::<u64>().unwrap();
    (ticks(14) + ticks(15)) as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Parts a stat line behind the name, which may hold anything.
fn split(stat: &str) -> (&str, &str) {
    stat.rsplit_once(") ").expect("invariant: the name stands in parentheses")
}
