//! Fantail itself, and an older build of it to compare with.

use std::{env, path::PathBuf, process::Command};

use fantail_integration_tests::{Host, Starting, Workdir, binary, load::Load};

use super::{Check, Output, Running, System, configure, version};
use crate::{
    sender::Entrance,
    work::{Expected, Input, Sink, Work},
};

struct Fantail {
    name: String,
    binary: PathBuf,
}

struct RunningFantail {
    host: Host,
    entrance: Entrance,
    output: Option<Output>,
    is_counting: bool,
}

/// The build beside this program, and the one that `FANTAIL_BASELINE` names.
pub(super) fn installed() -> Vec<Box<dyn System>> {
    let own = binary();
    let name = format!("Fantail {}", version(Command::new(&own).arg("--version")));
    let mut systems: Vec<Box<dyn System>> = vec![Box::new(Fantail { name, binary: own })];
    if let Some(binary) = env::var_os("FANTAIL_BASELINE").map(PathBuf::from) {
        systems.push(Box::new(Fantail { name: "Fantail (baseline)".to_owned(), binary }));
    }
    systems
}

/// A queue of 32 MiB that drops, as whoever feeds it is not to wait.
fn posting(port: u16) -> String {
    format!(
        "driver = http-post\n http_post_url = http://127.0.0.1:{port}/\n \
         queue_max_size = 32 MiB\n queue_full = drop_oldest"
    )
}

impl System for Fantail {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn can(&self, _work: &Work) -> bool {
        true
    }

    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let input = match work.input {
            Input::StatsWriter => "input load {\n driver = stats-writer\n path = $DIR/stats\n}",
            Input::JsonTcp => "input load {\n driver = tcp\n address = 127.0.0.1:0\n}",
        };
        let driver = match work.sink {
            Sink::Count => None,
            Sink::Drop(format) => Some((format, "driver = drop".to_owned())),
            Sink::JsonFile => Some(("json", "driver = file\n file_path = $DIR/out".to_owned())),
            Sink::JsonHttp(port) => Some(("json", posting(port))),
        };
        let exporter = driver.map(|(format, driver)| {
            format!("event_exporter sink {{\n format = {format}\n {driver}\n}}")
        });
        let config = configure(
            dir,
            "fantail.conf",
            include_str!("../config/fantail.conf"),
            &[
                ("$WORKERS", &work.workers.to_string()),
                ("$INPUT", input),
                ("$EXPORTER", &exporter.unwrap_or_default()),
                ("$METRICS", &work.metrics(&load.top_user_name)),
            ],
        );
        let host = Starting::with([config]).binary(&self.binary).start();
        let entrance = match work.input {
            Input::StatsWriter => Entrance::StatsWriter(dir.path("stats")),
            Input::JsonTcp => {
                let address = host.address("load");
                let port = address.rsplit_once(':').unwrap().1;
                Entrance::Tcp(port.parse().unwrap())
            }
        };
        let output = Output { path: dir.path("out"), check: Check::Bytes };
        Box::new(RunningFantail {
            host,
            entrance,
            output: (work.sink == Sink::JsonFile).then_some(output),
            is_counting: work.sink == Sink::Count,
        })
    }
}

impl Running for RunningFantail {
    fn pids(&self) -> Vec<u32> {
        vec![self.host.pid()]
    }

    fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    fn output(&self) -> Option<Output> {
        self.output.clone()
    }

    fn finish(self: Box<Self>, expected: &Expected) {
        let ended = self.host.stop().expect_status(0);
        let input = ended.input("load");
        assert!(input.rejected.is_empty(), "rejected: {:?}", input.rejected);
        assert_eq!(input.events, expected.events, "events that came in");
        if !self.is_counting {
            let exporter = ended.exporter("sink");
            assert_eq!(exporter.matched, expected.payloads, "events that passed");
            assert_eq!(exporter.delivered, expected.payloads, "payloads that were delivered");
        }
    }

    fn fate(self: Box<Self>, expected: &Expected) -> String {
        let ended = self.host.stop().expect_status(75);
        let exporter = ended.exporter("sink");
        let (dropped, left) = (exporter.dropped("queue_full"), exporter.dropped("shutdown"));
        assert_eq!(exporter.matched, expected.payloads, "events that passed");
        assert_eq!((exporter.delivered, dropped + left), (0, expected.payloads), "its ledger");
        format!("runs; {left} wait, {dropped} are dropped and counted")
    }
}
