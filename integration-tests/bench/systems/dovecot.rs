//! Dovecot's stats process, under a master of its own.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use fantail_integration_tests::{Workdir, load::Load, peers::StatsClient};

use super::{
    Check, Output, Process, Program, Running, System, configure, is_program, is_root, version,
};
use crate::{
    process,
    sender::Entrance,
    work::{Expected, Input, Sink, Work},
};

struct Dovecot {
    binary: PathBuf,
    version: String,
    generation: Generation,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    V2_3,
    V2_4,
}

struct RunningDovecot {
    /// Before the directory goes, so must they.
    _master: Process,
    pids: Vec<u32>,
    base: PathBuf,
    output: Option<Output>,
}

/// The installed one, and the one that `DOVECOT_24` names.
pub(super) fn installed() -> Vec<Box<dyn System>> {
    let own = Program::find("dovecot-core", "dovecot").filter(|program| program.root.is_none());
    let named = env::var_os("DOVECOT_24").map(PathBuf::from);
    let binaries: Vec<_> = own.map(|program| program.binary).into_iter().chain(named).collect();
    if !binaries.is_empty() && !is_root() {
        eprintln!("Dovecot's master runs as root only: it is left out");
        return Vec::new();
    }
    binaries.into_iter().map(Dovecot::at).collect()
}

impl Dovecot {
    fn at(binary: PathBuf) -> Box<dyn System> {
        assert!(is_program(&binary), "{} is no program", binary.display());
        let version = version(Command::new(&binary).arg("--version"));
        let generation = match version.starts_with("2.3.") {
            true => Generation::V2_3,
            false => Generation::V2_4,
        };
        Box::new(Dovecot { binary, version, generation })
    }

    fn exporter(&self, sink: Sink) -> String {
        let (format, driver) = match sink {
            Sink::Count => return String::new(),
            Sink::Drop(format) => (format, "drop"),
            Sink::JsonFile if self.generation == Generation::V2_3 => ("json", "log"),
            Sink::JsonFile => ("json", "file\n  file_path = $DIR/out"),
        };
        match self.generation {
            Generation::V2_3 => format!(
                "event_exporter sink {{\n  format = {format}\n  format_args = time-rfc3339\n  \
                 transport = {driver}\n}}"
            ),
            Generation::V2_4 => format!(
                "event_exporter sink {{\n  format = {format}\n  time_format = rfc3339\n  \
                 driver = {driver}\n}}"
            ),
        }
    }
}

impl System for Dovecot {
    fn name(&self) -> String {
        format!("Dovecot {}", self.version)
    }

    fn can(&self, work: &Work) -> bool {
        let has_format = work.sink != Sink::Drop("none") || self.generation != Generation::V2_3;
        // 10,000 metrics would take minutes.
        work.input == Input::StatsWriter && work.workers == 1 && has_format && work.routes <= 1000
    }

    fn note(&self, work: &Work) -> Option<&'static str> {
        let is_log = work.sink == Sink::JsonFile && self.generation == Generation::V2_3;
        is_log.then_some("driver `log`")
    }

    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let template = match self.generation {
            Generation::V2_3 => include_str!("../config/dovecot-2.3.conf"),
            Generation::V2_4 => include_str!("../config/dovecot-2.4.conf"),
        };
        let (exporter, metrics) = (self.exporter(work.sink), work.metrics(&load.top_user_name));
        let places = [("$EXPORTER", exporter.as_str()), ("$METRICS", metrics.as_str())];
        let config = configure(dir, "dovecot.conf", template, &places);
        let mut master =
            Process::start(Command::new(&self.binary).arg("-F").arg("-c").arg(config), dir);
        let base = dir.path("run");
        let socket = base.join("stats-writer");
        master.wait_for("Dovecot's socket", || UnixStream::connect(&socket).ok());
        // The process is started by the first connection, and says this when it is ready.
        let mut client = StatsClient::hello(&socket);
        client.line();
        assert!(client.line().starts_with("FILTER\t"));
        let child = |name| process::child(master.pid(), name);
        let mut pids = vec![child("stats").expect("the stats process runs")];
        let output = (work.sink == Sink::JsonFile).then(|| {
            // An event's line, whatever the log has in front of it.
            let check = Check::Lines("{\"event\":\"");
            match self.generation {
                Generation::V2_3 => {
                    pids.push(child("log").expect("the log process runs"));
                    Output { path: dir.path("log"), check }
                }
                Generation::V2_4 => Output { path: dir.path("out"), check },
            }
        });
        Box::new(RunningDovecot { _master: master, pids, base, output })
    }
}

impl Running for RunningDovecot {
    fn pids(&self) -> Vec<u32> {
        self.pids.clone()
    }

    fn entrance(&self) -> Entrance {
        Entrance::StatsWriter(self.base.join("stats-writer"))
    }

    fn output(&self) -> Option<Output> {
        self.output.clone()
    }

    fn finish(self: Box<Self>, expected: &Expected) {
        let counted: u64 = dump(&self.base.join("stats-reader")).iter().sum();
        assert_eq!(counted, expected.payloads, "events that all metrics counted together");
    }
}

/// What each metric counted, as `doveadm stats dump` asks.
fn dump(socket: &Path) -> Vec<u64> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"VERSION\tstats-reader-client\t2\t0\nDUMP\tcount\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    // Behind the version, up to the empty line.
    let lines = lines.skip(1).take_while(|line| !line.is_empty());
    let count = |line: String| line.rsplit_once('\t').unwrap().1.parse().unwrap();
    lines.map(count).collect()
}
