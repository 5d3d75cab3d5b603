//! What is measured: Fantail, and its peers where they are installed.

mod dovecot;
mod fantail;
mod fluent_bit;
mod rsyslog;
mod syslog_ng;

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use fantail_integration_tests::{Workdir, load::Load, wait_for};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    sender::Entrance,
    work::{Expected, Work},
};

/// A program that can do some of the works.
pub(crate) trait System {
    /// Its name and version.
    fn name(&self) -> String;

    /// Whether it has what the work needs.
    fn can(&self, work: &Work) -> bool;

    /// What the table has to say of how it does it.
    fn note(&self, _work: &Work) -> Option<&'static str> {
        None
    }

    /// Starts it, and waits until it takes events. What it writes for [`Sink::JsonFile`] is
    /// `out` in `dir`.
    ///
    /// [`Sink::JsonFile`]: crate::work::Sink::JsonFile
    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running>;
}

/// A running system.
pub(crate) trait Running {
    /// The processes that do the work.
    fn pids(&self) -> Vec<u32>;

    /// Where it takes events.
    fn entrance(&self) -> Entrance;

    /// Its file, and how its size or content shows that everything is there.
    fn output(&self) -> Option<Output> {
        None
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// When it counted something else.
    fn finish(self: Box<Self>, expected: &Expected);

    /// Stops it, after nothing of what was expected could be delivered, and says in a few words
    /// what had become of it.
    ///
    /// # Panics
    ///
    /// When it runs and counted something else.
    fn fate(self: Box<Self>, expected: &Expected) -> String;
}

/// A file that a system writes.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    pub(crate) check: Check,
}

/// How to know that a file is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Every byte is known: these are the lines that were sent.
    Bytes,
    /// The number of lines with this text is known.
    Lines(&'static str),
}

/// All that are there.
pub(crate) fn installed() -> Vec<Box<dyn System>> {
    let mut systems = fantail::installed();
    systems.extend(dovecot::installed());
    systems.extend(rsyslog::installed());
    systems.extend(syslog_ng::installed());
    systems.extend(fluent_bit::installed());
    systems
}

/// A program: installed by its package, or its package unpacked in a place of its own.
struct Program {
    binary: PathBuf,
    /// Where the package was unpacked.
    root: Option<PathBuf>,
}

impl Program {
    /// Looks in the usual directories, then in `$BENCH_PEERS/package`.
    fn find(package: &str, name: &str) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let directories = env::split_paths(&path).chain(["/usr/sbin".into()]);
        let installed =
            directories.map(|directory| directory.join(name)).find(|path| path.is_file());
        if let Some(binary) = installed {
            return Some(Program { binary, root: None });
        }
        let root = PathBuf::from(env::var_os("BENCH_PEERS")?).join(package);
        let binary = root.join("usr/sbin").join(name);
        binary.is_file().then_some(Program { binary, root: Some(root) })
    }

    /// The directory below the root that holds a file whose name begins so.
    fn directory_of(&self, start: &str) -> Option<PathBuf> {
        let mut directories = vec![self.root.clone()?];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name().to_string_lossy().starts_with(start) {
                    return Some(directory);
                }
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        panic!("{start} is not in the package of {}", self.binary.display())
    }
}

/// The first word of the output that begins with a digit.
fn version(command: &mut Command) -> String {
    let said = command.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut words = text.split_whitespace();
    words
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .unwrap_or_else(|| panic!("no version in: {text}"))
        .to_owned()
}

/// A peer's process; it is ended with this.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, dir: &Workdir) -> Self {
        let log = dir.path("stderr");
        let stderr = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(stderr.try_clone().unwrap()).stderr(stderr);
        let child = command.spawn().unwrap();
        Process { child, log }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `look` finds something.
    fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        wait_for(what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status}: {}", fs::read_to_string(&self.log).unwrap());
            }
            look()
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gently: Dovecot's master ends its other processes.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// A TCP port that nobody uses now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A peer that takes lines by TCP and writes a file.
struct LineServer {
    process: Process,
    port: u16,
    output: Output,
}

impl LineServer {
    /// Starts it, and waits until it listens.
    fn start(command: &mut Command, port: u16, dir: &Workdir, check: Check) -> Box<dyn Running> {
        let mut process = Process::start(command, dir);
        process.wait_for("the peer to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        let output = Output { path: dir.path("out"), check };
        Box::new(LineServer { process, port, output })
    }
}

impl Running for LineServer {
    fn pids(&self) -> Vec<u32> {
        vec![self.process.pid()]
    }

    fn entrance(&self) -> Entrance {
        Entrance::Tcp(self.port)
    }

    fn output(&self) -> Option<Output> {
        Some(self.output.clone())
    }

    fn finish(self: Box<Self>, _expected: &Expected) {
        // Its file is all that it has to show, and that is compared for every system.
    }

    fn fate(self: Box<Self>, _expected: &Expected) -> String {
        unreachable!("invariant: it does no work with HTTP")
    }
}

/// A configuration with its places filled in, written to `name` in `dir`.
fn configure(dir: &Workdir, name: &str, text: &str, places: &[(&str, &str)]) -> PathBuf {
    let mut text = text.to_owned();
    for (place, content) in places {
        text = text.replace(place, content);
    }
    dir.config(name, &text)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a path leads to a program.
fn is_program(path: &Path) -> bool {
    path.is_file()
}
