//! Dovecot's master process, in the foreground and in a place of its own.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::Dovecot;
use crate::wait_for;

/// A running master. It ends with this, and its processes with it.
#[derive(Debug)]
pub(super) struct Master {
    child: Child,
    place: PathBuf,
    /// How much an earlier one in this place had said in its log.
    said_before: usize,
}

impl Master {
    /// Writes the configuration into `place` and starts Dovecot with it, and with these
    /// variables in its environment.
    pub(super) fn start(
        dovecot: &Dovecot,
        place: &Path,
        config: &str,
        environment: &[(&str, &Path)],
    ) -> Self {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join("dovecot.conf"), config).unwrap();
        // What one that was here before has said is not this one's.
        let _ = fs::remove_file(place.join("log"));
        let stderr = fs::File::create(place.join("stderr")).unwrap();
        let mut command = Command::new(&dovecot.binary);
        command.arg("-F").arg("-c").arg(place.join("dovecot.conf")).stdin(Stdio::null());
        // Its processes stay in its group: so none can be left behind.
        command.stdout(stderr.try_clone().unwrap()).stderr(stderr).process_group(0);
        command.envs(environment.iter().copied());
        let said_before = fs::metadata(place.join("log")).map_or(0, |log| log.len() as usize);
        let child = command.spawn().unwrap();
        Master { child, place: place.to_owned(), said_before }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says in its log that it has started; otherwise returns what it said.
    pub(super) fn wait(&mut self) -> Result<(), String> {
        wait_for("Dovecot to start", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(Err(format!("{status}\n{}", self.said())));
            }
            let log = fs::read(self.place.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(log.get(self.said_before..).unwrap_or_default());
            log.contains(" starting up ").then_some(Ok(()))
        })
    }

    /// Its children of this name.
    pub(super) fn children(&self, name: &str) -> Vec<Pid> {
        let is_one = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // `7 (name) S 1 ...`: its state and its parent. Nobody has waited for a Z.
            let words = status.strip_prefix(&format!("{pid} ({name}) "));
            let mut words = words.unwrap_or_default().split(' ');
            words.next() != Some("Z") && words.next() == Some(&self.pid().to_string())
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_one).filter_map(Pid::from_raw).collect()
    }

    /// Waits until it has ended, as somebody has told it to.
    pub(super) fn wait_for_end(&mut self) {
        wait_for("the end of Dovecot", || self.child.try_wait().unwrap());
    }

    /// All that it has said.
    pub(super) fn said(&self) -> String {
        let stderr = fs::read(self.place.join("stderr")).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&stderr), self.log())
    }

    /// Its log so far.
    pub(super) fn log(&self) -> String {
        let log = fs::read(self.place.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Whether it or one of its processes still runs. Otherwise its number may be another's.
    fn has_processes(&mut self) -> bool {
        // A master that nobody has waited for would count as one.
        let _ = self.child.try_wait();
        rustix::process::test_kill_process_group(Pid::from_child(&self.child)).is_ok()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        // The master tells its processes to end.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(10);
        while self.has_processes() {
            if Instant::now() > until {
                let _ = kill_process_group(pid, Signal::KILL);
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.wait();
        if thread::panicking() {
            // Not what exporters write there.
            let said = self.said();
            let said: Vec<&str> =
                said.lines().filter(|line| !line.starts_with("stats: Info: ")).collect();
            println!("Dovecot at {}:\n{}", self.place.display(), said.join("\n"));
        }
    }
}
