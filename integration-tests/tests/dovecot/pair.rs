//! Fantail and Dovecot's own stats process side by side, with the same exporters and metrics.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::PathBuf};

use fantail_integration_tests::{
    Done, Ended, Host, Starting, Workdir, data,
    expect::{normal_json, normal_tab_text, same_lines, same_set},
    peers::{
        HttpSink, Reply, StatsClient,
        dovecot::{Dovecot, Generation, StatsServer, Stream},
    },
    wait_for,
};
use serde_json::Value;

/// How much of the order in which events come is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Connections came one after the other: all of it.
    All,
    /// Connections came at the same time: that of each session in each kind of process.
    Sessions,
}

/// The two, before they are stopped.
pub(super) struct Pair {
    dovecot: Dovecot,
    host: Host,
    stats: StatsServer,
    posted: [HttpSink; 2],
    // Goes last: the others lie in it.
    dir: Workdir,
}

/// What `doveadm stats dump` is asked for.
const STATISTICS: &str = "count sum min max avg median stddev %95";

/// The exporters of the recordings' configurations that write lines, and how each is told from
/// others in 2.3, which writes them all to its log.
const EXPORTERS: &[(&str, &str)] =
    &[("select_tab", "start_time:"), ("all_json", "{"), ("all_tab", "event:")];

/// Those that only the configuration of 2.4 has.
const MORE_EXPORTERS: &[&str] = &["all_json_unix", "slow_json"];

/// An exporter by HTTP, in each language.
fn posting(generation: Generation, url: &str) -> String {
    let lines = match generation {
        Generation::V2_3 => format!(
            "format_args = time-unix\n  transport = http-post\n  transport_args = {url}\n  \
             transport_timeout = 1 min"
        ),
        Generation::V2_4 => format!(
            "time_format = unix\n  driver = http-post\n  http_post_url = {url}\n  \
             http_client_request_absolute_timeout = 1 min"
        ),
    };
    format!(
        "event_exporter posted {{\n  format = tab-text\n  {lines}\n}}\n\
         metric posted {{\n  filter = event=*\n  exporter = posted\n}}\n"
    )
}

impl Pair {
    /// Starts both, with the configuration that the recordings were made with.
    pub(super) fn start(dovecot: &Dovecot) -> Self {
        let dir = Workdir::new();
        let generation = dovecot.generation();
        let name = match generation {
            Generation::V2_3 => "captures/dovecot-2.3/metrics.conf",
            Generation::V2_4 => "captures/dovecot-2.4/metrics.conf",
        };
        let shared = fs::read_to_string(data(name)).unwrap();
        let posted = [(); 2].map(|()| HttpSink::start(|_, _| Reply::status(200)));
        let mut theirs = shared.clone();
        if generation == Generation::V2_4 {
            theirs = theirs.replace("file_path = out/", "file_path = $DIR/theirs.");
        }
        theirs += &posting(generation, &posted[1].url("/"));
        let stats = StatsServer::start(dovecot, &dir, &dir.fill_in(&theirs));
        // One worker: connections that come one after the other stay in order.
        let mut ours = String::from(
            "workers = 1\nshutdown_timeout = 50 s\ninput dovecot {\n  driver = stats-writer\n  path = $DIR/writer\n}\n\
             listener reader {\n  driver = stats-reader\n  path = $DIR/ours/stats-reader\n}\n",
        );
        // For doveadm each is a `base_dir`, in which no stats process takes its own events.
        for side in ["ours", "theirs"] {
            fs::create_dir(dir.path(side)).unwrap();
        }
        symlink(stats.reader(), dir.path("theirs/stats-reader")).unwrap();
        if generation == Generation::V2_3 {
            // As in a whole configuration of that generation.
            ours += "unnamed_events = no\n";
        }
        for exporter in exporters(generation) {
            let path = dir.path(&format!("ours.{exporter}"));
            ours += &format!(
                "event_exporter {exporter} {{\n  driver = file\n  file_path = {}\n}}\n",
                path.display()
            );
        }
        ours += &posting(generation, &posted[0].url("/"));
        let configs = [dir.write("shared.conf", shared), dir.config("ours.conf", &ours)];
        let host = Starting::with(configs).start();
        Pair { dovecot: dovecot.clone(), dir, host, stats, posted }
    }

    /// The sockets that take events: ours, then theirs.
    pub(super) fn writers(&self) -> [PathBuf; 2] {
        [self.dir.path("writer"), self.stats.writer()]
    }

    /// Runs `doveadm` against ours, then against theirs; `None` when there is none.
    pub(super) fn doveadm(&self, arguments: &[&str]) -> Option<[Done; 2]> {
        let run = |side: &str| {
            let config = self.dovecot.write_config(&self.dir.path(side));
            self.dovecot.doveadm(&config, arguments)
        };
        Some([run("ours")?, run("theirs")?])
    }

    /// What `doveadm stats dump` prints for ours, then for theirs, with these options more.
    pub(super) fn dumps(&self, options: &[&str]) -> Option<[String; 2]> {
        let arguments = ["stats", "dump", "-f", STATISTICS];
        let dumps = self.doveadm(&[&arguments, options].concat())?;
        Some(dumps.map(|done| {
            assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""));
            countable(done.text())
        }))
    }

    /// Moves away the files of all exporters, as who rotates them does.
    pub(super) fn move_files(&self) {
        for exporter in exporters(self.dovecot.generation()) {
            for name in [format!("ours.{exporter}"), their_file(exporter)] {
                fs::rename(self.dir.path(&name), self.dir.path(&format!("{name}.1"))).unwrap();
            }
        }
    }

    /// Plays streams to both, one after the other.
    pub(super) fn play(&self, streams: &[Stream]) {
        for stream in streams {
            for writer in self.writers() {
                let mut client = StatsClient::connect(writer);
                client.send(stream);
                client.finish();
            }
        }
    }

    /// Stops both when everything has come out, and compares it.
    pub(super) fn compare(self, order: Order) -> Ended {
        let Pair { dovecot, dir, host, stats, posted } = self;
        let generation = dovecot.generation();
        let ended = host.stop().expect_status(0);
        let input = ended.input("dovecot");
        assert!(input.rejected.is_empty() && input.events > 0, "{input:?}");
        // Theirs has read everything, but writes and posts when it likes.
        let count = posted[0].accepted().len();
        assert_eq!(count as u64, ended.exporter("posted").matched);
        posted[1].wait_for(count);
        let ours = |exporter: &str| dir.lines(&format!("ours.{exporter}"));
        if generation == Generation::V2_3 {
            let names = exporters(generation);
            let count: usize = names.iter().map(|exporter| ours(exporter).len()).sum();
            wait_for("Dovecot's log", || (stats.logged_payloads().len() >= count).then_some(()));
        }
        let logged = stats.stop();
        for exporter in exporters(generation) {
            let theirs = match generation {
                Generation::V2_3 => {
                    let start = EXPORTERS.iter().find(|(name, _)| *name == exporter).unwrap().1;
                    let lines = logged.iter().filter(|line| line.starts_with(start));
                    lines.cloned().collect()
                }
                Generation::V2_4 => dir.lines(&their_file(exporter)),
            };
            compare(exporter, &theirs, &ours(exporter), order);
        }
        let [ours, theirs] = posted.map(|sink| sink.accepted());
        // They post over several connections.
        same_set("posted", &theirs, &ours, |body| normal_tab_text(body.trim_end()));
        ended
    }
}

/// A dump without the columns that Dovecot guesses from samples when there are many values.
fn countable(dump: &str) -> String {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let many = columns[2].parse().is_ok_and(|count: u64| count > 480);
        columns[..if many { 6 } else { columns.len() }].join("\t") + "\n"
    };
    dump.lines().map(row).collect()
}

/// Compares what two wrote of the same events: byte by byte, but for the order of categories,
/// the moment of the export, and what is told of the machine.
fn compare(exporter: &str, theirs: &[String], ours: &[String], order: Order) {
    assert!(!theirs.is_empty() || !exporter.starts_with("all_"), "nothing came out of {exporter}");
    let is_json = exporter.contains("json");
    let normal = if is_json { normal_json } else { normal_tab_text };
    if order == Order::All {
        return same_lines(exporter, &theirs.join("\n"), &ours.join("\n"), normal);
    }
    same_set(exporter, theirs, ours, normal);
    if is_json {
        let [theirs, ours] = [theirs, ours].map(sessions);
        for (session, events) in theirs {
            let name = format!("{exporter}, {session:?}");
            same_lines(&name, &events.join("\n"), &ours[&session].join("\n"), normal);
        }
    }
}

/// The events of each session, in each kind of process that it passed.
fn sessions(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
    let mut sessions: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap();
        let Some(session) = event["fields"]["session"].as_str() else { continue };
        let categories = event["categories"].as_array().unwrap().iter();
        let mut categories = categories.map(|category| category.as_str().unwrap());
        let service = categories.find(|category| category.starts_with("service:"));
        let key = (session.to_owned(), service.unwrap_or_default().to_owned());
        sessions.entry(key).or_default().push(line.clone());
    }
    sessions
}

fn exporters(generation: Generation) -> Vec<&'static str> {
    let more = if generation == Generation::V2_4 { MORE_EXPORTERS } else { &[] };
    EXPORTERS.iter().map(|(name, _)| *name).chain(more.iter().copied()).collect()
}

/// The file that the recordings' configuration has for an exporter.
fn their_file(exporter: &str) -> String {
    let name = match exporter {
        "all_json_unix" => "all-unix.json".to_owned(),
        other => other.replace('_', "."),
    };
    format!("theirs.{name}")
}
