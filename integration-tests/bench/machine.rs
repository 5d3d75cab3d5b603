//! What the figures were measured on.

use std::{fs, process::Command};

/// A line each: processor, memory, system, when.
pub(crate) fn describe() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal:");
    let memory: u64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(0);
    vec![
        format!("{cores} cores, {}", field("/proc/cpuinfo", "model name\t:")),
        format!("{} GiB of memory", memory.div_ceil(1 << 20)),
        format!("{}, Linux {}", os(), said("uname", &["-r"])),
        format!("{}, commit {}", said("date", &["-u", "+%Y-%m-%d"]), commit()),
    ]
}

fn os() -> String {
    let name = field("/etc/os-release", "PRETTY_NAME=");
    name.trim_matches('"').to_owned()
}

/// The commit that was built, if it is known.
fn commit() -> String {
    let described = said("git", &["describe", "--always", "--dirty"]);
    if described.is_empty() { "unknown".to_owned() } else { described }
}

/// What stands behind `start` in the first line that begins so.
fn field(path: &str, start: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(start));
    found.unwrap_or("unknown").trim().to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
