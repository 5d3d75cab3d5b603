//! Dovecot's stats process, under a master of its own.

use fantail_integration_tests::{
    Workdir,
    load::Load,
    peers::dovecot::{Dovecot, Generation, StatsServer},
};

use super::{Check, Output, Running, System, is_root};
use crate::{
    process,
    sender::Entrance,
    work::{Expected, Input, Sink, Work},
};

struct StatsProcess {
    dovecot: Dovecot,
}

struct RunningStats {
    server: StatsServer,
    pids: Vec<u32>,
    output: Option<Output>,
}

/// The installed one, and the one that `FANTAIL_DOVECOT_24` names.
pub(super) fn installed() -> Vec<Box<dyn System>> {
    let found = Dovecot::found();
    if !found.is_empty() && !is_root() {
        eprintln!("Dovecot's master runs as root only: it is left out");
        return Vec::new();
    }
    let system = |dovecot| Box::new(StatsProcess { dovecot }) as Box<dyn System>;
    found.into_iter().map(system).collect()
}

impl StatsProcess {
    fn exporter(&self, sink: Sink) -> String {
        let (format, driver) = match sink {
            Sink::Count => return String::new(),
            Sink::Drop(format) => (format, "drop"),
            Sink::JsonFile if self.dovecot.generation() == Generation::V2_3 => ("json", "log"),
            Sink::JsonFile => ("json", "file\n  file_path = $DIR/out"),
            Sink::JsonHttp(port) => return self.posting(port),
        };
        match self.dovecot.generation() {
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

    /// The exporter by HTTP, and Dovecot's own default limit on memory; elsewhere there is none.
    fn posting(&self, port: u16) -> String {
        let url = format!("http://127.0.0.1:{port}/");
        let exporter = match self.dovecot.generation() {
            Generation::V2_3 => format!(
                "event_exporter sink {{\n  format = json\n  format_args = time-rfc3339\n  \
                 transport = http-post\n  transport_args = {url}\n}}"
            ),
            Generation::V2_4 => format!(
                "event_exporter sink {{\n  format = json\n  time_format = rfc3339\n  \
                 driver = http-post\n  http_post_url = {url}\n}}"
            ),
        };
        exporter + "\nservice stats {\n  vsz_limit = 256 M\n}"
    }
}

impl System for StatsProcess {
    fn name(&self) -> String {
        format!("Dovecot {}", self.dovecot.version())
    }

    fn can(&self, work: &Work) -> bool {
        let has_format =
            work.sink != Sink::Drop("none") || self.dovecot.generation() != Generation::V2_3;
        // 10,000 metrics would take minutes.
        work.input == Input::StatsWriter && work.workers == 1 && has_format && work.routes <= 1000
    }

    fn note(&self, work: &Work) -> Option<&'static str> {
        let is_log = work.sink == Sink::JsonFile && self.dovecot.generation() == Generation::V2_3;
        is_log.then_some("driver `log`")
    }

    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let config = self.exporter(work.sink) + "\n" + &work.metrics(&load.top_user_name);
        let server = StatsServer::start(&self.dovecot, dir, &dir.fill_in(&config));
        let child = |name| process::child(server.pid(), name);
        let mut pids = vec![child("stats").expect("the stats process runs")];
        let output = (work.sink == Sink::JsonFile).then(|| {
            // An event's line, whatever the log has in front of it.
            let check = Check::Lines("{\"event\":\"");
            match self.dovecot.generation() {
                Generation::V2_3 => {
                    pids.push(child("log").expect("the log process runs"));
                    Output { path: server.log_path(), check }
                }
                Generation::V2_4 => Output { path: dir.path("out"), check },
            }
        });
        Box::new(RunningStats { server, pids, output })
    }
}

impl Running for RunningStats {
    fn pids(&self) -> Vec<u32> {
        self.pids.clone()
    }

    fn entrance(&self) -> Entrance {
        Entrance::StatsWriter(self.server.writer())
    }

    fn output(&self) -> Option<Output> {
        self.output.clone()
    }

    fn finish(self: Box<Self>, expected: &Expected) {
        let counted: u64 = self.server.counts().iter().sum();
        assert_eq!(counted, expected.payloads, "events that all metrics counted together");
    }

    fn fate(self: Box<Self>, _expected: &Expected) -> String {
        let log = std::fs::read(self.server.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last_words = |line: &str| {
            let said = ["Fatal: ", "Panic: "].into_iter().find_map(|at| line.split_once(at))?;
            Some(format!("ended: `{}`", said.1.replace('|', "\\|")))
        };
        log.lines().find_map(last_words).unwrap_or_else(|| "runs".to_owned())
    }
}
