//! A running host.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{ExporterLedger, InputLedger, Workdir, binary, command::clean, wait_for};

/// How to start a host.
#[derive(Debug, Default)]
pub struct Starting {
    configs: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    current_dir: Option<PathBuf>,
    descriptors_max: Option<u32>,
    binary: Option<PathBuf>,
}

/// A host that runs. When a test fails it is killed, and its log is shown.
#[derive(Debug)]
pub struct Host {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Log,
    log_reader: Option<JoinHandle<()>>,
    stdout_reader: Option<JoinHandle<Vec<u8>>>,
    ended: bool,
}

/// The lines of the log so far.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// What a host left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; `None` after a signal.
    pub status: Option<i32>,
    /// Its log's lines.
    pub log: Vec<String>,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

impl Starting {
    /// With these configuration files.
    pub fn with(configs: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let configs = configs.into_iter().map(|path| path.as_ref().to_owned());
        Starting { configs: configs.collect(), ..Starting::default() }
    }

    /// With a variable in its environment.
    pub fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// In this directory.
    pub fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.current_dir = Some(path.as_ref().to_owned());
        self
    }

    /// With at most so many descriptors.
    pub fn descriptors_max(mut self, count: u32) -> Self {
        self.descriptors_max = Some(count);
        self
    }

    /// Another build of the host, with its own plugins beside it.
    pub fn binary(mut self, path: impl AsRef<Path>) -> Self {
        self.binary = Some(path.as_ref().to_owned());
        self
    }

    /// Starts the host; it may not be ready yet.
    pub fn spawn(self) -> Host {
        let program = self.binary.unwrap_or_else(binary);
        let mut command = match self.descriptors_max {
            None => clean(Command::new(program)),
            Some(count) => {
                let mut shell = clean(Command::new("sh"));
                let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(program);
                shell
            }
        };
        command.arg("run").envs(self.environment);
        for config in &self.configs {
            command.arg("-c").arg(config);
        }
        if let Some(directory) = &self.current_dir {
            command.current_dir(directory);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Log::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log_reader = thread::spawn({
            let log = log.clone();
            move || {
                for line in stderr.split(b'\n').map_while(Result::ok) {
                    log.0.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                }
            }
        });
        let mut stdout = child.stdout.take().unwrap();
        let stdout_reader = thread::spawn(move || {
            let mut content = Vec::new();
            stdout.read_to_end(&mut content).unwrap();
            content
        });
        Host {
            stdin: child.stdin.take(),
            child,
            log,
            log_reader: Some(log_reader),
            stdout_reader: Some(stdout_reader),
            ended: false,
        }
    }

    /// Starts the host and waits until it says that it is ready.
    pub fn start(self) -> Host {
        let mut host = self.spawn();
        wait_for("the host to be ready", || {
            if let Some(status) = host.child.try_wait().unwrap() {
                thread::sleep(std::time::Duration::from_millis(50));
                panic!("the host ended before it was ready, with {status}");
            }
            host.logged(" is ready").then_some(())
        });
        host
    }
}

impl Host {
    /// Starts a host with this configuration, `$DIR` filled in, and waits until
    /// it is ready.
    pub fn start(dir: &Workdir, config: &str) -> Self {
        Starting::with([dir.config("fantail.conf", config)]).start()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input; dropped, it ends.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("taken once")
    }

    /// The log's lines so far.
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// Whether a line of the log contains `text`.
    pub fn logged(&self, text: &str) -> bool {
        self.log.0.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits until a line of the log contains `text`, and returns it.
    pub fn wait_for_log(&self, text: &str) -> String {
        wait_for(&format!("`{text}` in the log"), || {
            self.log().into_iter().find(|line| line.contains(text))
        })
    }

    /// The address that the input listens on, for a TCP port of the system's choice.
    pub fn address(&self, input: &str) -> String {
        self.address_of("input", input)
    }

    /// The address of a listener.
    pub fn listener(&self, name: &str) -> String {
        self.address_of("listener", name)
    }

    fn address_of(&self, kind: &str, name: &str) -> String {
        let start = format!("{kind} {name} on ");
        let line = self.wait_for_log(&start);
        line.split_once(&start).unwrap().1.to_owned()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Stops it as an administrator does, by SIGTERM.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> Ended {
        drop(self.stdin.take());
        let status = wait_for("the host's end", || self.child.try_wait().unwrap());
        self.end(status)
    }

    fn end(&mut self, status: ExitStatus) -> Ended {
        self.ended = true;
        self.log_reader.take().unwrap().join().unwrap();
        let stdout = self.stdout_reader.take().unwrap().join().unwrap();
        if thread::panicking() {
            self.show_log();
        }
        Ended { status: status.code(), log: self.log(), stdout }
    }

    fn show_log(&self) {
        // Caught by the test harness and shown for the test that failed.
        println!("log of the host:\n{}", self.log().join("\n"));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.show_log();
        }
    }
}

impl Ended {
    /// Requires this exit status; shows the log otherwise.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "log of the host:\n{}", self.log.join("\n"));
        self
    }

    /// The lines of the log that contain `text`.
    pub fn lines_with(&self, text: &str) -> Vec<&str> {
        self.log.iter().map(String::as_str).filter(|line| line.contains(text)).collect()
    }

    /// Requires that exactly one line of the log contains `text`, and returns it.
    #[track_caller]
    pub fn one_line_with(&self, text: &str) -> &str {
        let found = self.lines_with(text);
        assert_eq!(found.len(), 1, "lines with `{text}` in the log:\n{}", self.log.join("\n"));
        found[0]
    }

    /// The input's final counts, which balance.
    #[track_caller]
    pub fn input(&self, name: &str) -> InputLedger {
        InputLedger::find(&self.log, name)
    }

    /// The exporter's final counts, which balance.
    #[track_caller]
    pub fn exporter(&self, name: &str) -> ExporterLedger {
        ExporterLedger::find(&self.log, name)
    }
}
