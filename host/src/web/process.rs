//! What the process uses of the machine, as Linux tells it.

use std::fs;

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// What the process uses; what can't be found out is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// The processors' time, in seconds.
    pub(super) cpu: f64,
    /// The memory that it really has, in bytes.
    pub(super) memory: Option<u64>,
    /// The descriptors that are open.
    pub(super) descriptors: Option<u64>,
    /// How many there may be; `None`: any number.
    pub(super) descriptors_max: Option<u64>,
}

impl Process {
    /// What this process uses now.
    pub(super) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Process {
            cpu: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            memory: fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident),
            descriptors: fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64),
            descriptors_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The resident memory in the text of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim_end();
    kilobytes.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{Process, resident};

    #[test]
    fn the_process_uses_something() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   1234 kB\nVmData: 1 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("VmRSS: x kB"), None);
        let now = Process::now();
        assert!(now.cpu > 0.0 && now.memory > Some(100_000) && now.descriptors > Some(2));
    }
}
