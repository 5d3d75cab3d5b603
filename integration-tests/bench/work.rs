//! The works that are measured: what comes in, what passes, where it goes.

use fantail_integration_tests::load::{Load, Share};
use serde_json::Value;

/// One work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// A word for the command line.
    pub(crate) id: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    pub(crate) input: Input,
    pub(crate) select: Select,
    /// How many filters are asked; one of them is [`Work::select`]'s.
    pub(crate) routes: usize,
    pub(crate) sink: Sink,
    /// Worker threads and connections.
    pub(crate) workers: usize,
    /// Whether events inherit fields from sessions and commands, or have all themselves.
    pub(crate) inherits: bool,
}

/// How events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Dovecot's protocol over a UNIX socket.
    StatsWriter,
    /// Lines of JSON over TCP.
    JsonTcp,
}

/// Which events pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// All that have a name.
    All,
    /// The FETCH commands.
    Fifth,
    /// Those of the most active user.
    User,
}

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// They are only counted.
    Count,
    /// They are written in this format and discarded.
    Drop(&'static str),
    /// They are written as lines of JSON into a file.
    JsonFile,
    /// They are posted as JSON, one by one, to this port.
    JsonHttp(u16),
}

const fn stats(id: &'static str, title: &'static str, sink: Sink) -> Work {
    let (input, select) = (Input::StatsWriter, Select::All);
    Work { id, title, input, select, routes: 1, sink, workers: 1, inherits: true }
}

const fn tcp(id: &'static str, title: &'static str, select: Select, routes: usize) -> Work {
    let (input, sink) = (Input::JsonTcp, Sink::JsonFile);
    Work { id, title, input, select, routes, sink, workers: 1, inherits: true }
}

const fn users(id: &'static str, title: &'static str, routes: usize) -> Work {
    Work { select: Select::User, routes, ..stats(id, title, Sink::Drop("json")) }
}

/// The same work with events that inherit nothing.
const fn alone(id: &'static str, work: Work) -> Work {
    Work { id, title: "the same, events that inherit nothing", inherits: false, ..work }
}

const COUNT: Work = stats("count", "stats-writer, one metric, no exporter", Sink::Count);
const TAB_DROP: Work =
    stats("tab-drop", "stats-writer, `tab-text`, `drop`", Sink::Drop("tab-text"));

/// All works, in the order of the table.
pub(crate) const WORKS: &[Work] = &[
    COUNT,
    alone("count-alone", COUNT),
    stats("none-drop", "stats-writer, `none`, `drop`", Sink::Drop("none")),
    ONE_WORKER,
    alone("json-drop-alone", ONE_WORKER),
    TWO_WORKERS,
    TAB_DROP,
    alone("tab-drop-alone", TAB_DROP),
    stats("json-file", "stats-writer, `json`, `file`", Sink::JsonFile),
    users("users-1", "stats-writer, one metric with `user=`", 1),
    users("users-1000", "the same with 1,000 such metrics", 1000),
    users("users-10000", "the same with 10,000 such metrics", 10_000),
    tcp("tcp-fifth", "JSON lines by TCP, a fifth passes, to a file", Select::Fifth, 1),
    tcp("tcp-all", "JSON lines by TCP, everything passes, to a file", Select::All, 1),
    tcp("tcp-users-1", "JSON lines by TCP, one route by user, to a file", Select::User, 1),
    tcp("tcp-users-1000", "the same with 1,000 such routes", Select::User, 1000),
];

/// What one worker carries, over one connection.
pub(crate) const ONE_WORKER: Work =
    stats("json-drop", "stats-writer, `json`, `drop`", Sink::Drop("json"));

/// What two workers carry, over two connections.
pub(crate) const TWO_WORKERS: Work = Work {
    id: "two-workers",
    title: "stats-writer, `json`, `drop`, 2 workers, 2 connections",
    workers: 2,
    ..ONE_WORKER
};

/// What must have happened when everything was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Events that came in: for stats-writer with those that BEGIN, which have no name.
    pub(crate) events: u64,
    /// Events that passed.
    pub(crate) payloads: u64,
    /// The bytes of these as lines of JSON.
    pub(crate) json_bytes: u64,
}

impl Work {
    /// The share of `load` that passes.
    fn share(&self, load: &Load) -> Share {
        match self.select {
            Select::All => load.all,
            Select::Fifth => load.fetches,
            Select::User => load.top_user,
        }
    }

    /// What must happen when `load` is sent `rounds` times.
    pub(crate) fn expect(&self, load: &Load, rounds: u64) -> Expected {
        let share = self.share(load);
        let begins = if self.input == Input::StatsWriter { load.begins } else { 0 };
        Expected {
            events: rounds * (load.all.events + begins),
            payloads: rounds * share.events,
            json_bytes: rounds * share.json_bytes,
        }
    }

    /// The lines of JSON that pass, found the slow and simple way.
    pub(crate) fn passing_lines(&self, load: &Load) -> Vec<u8> {
        let passes = |line: &&[u8]| {
            let event: Value = serde_json::from_slice(line).unwrap();
            match self.select {
                Select::All => true,
                Select::Fifth => {
                    event["event"] == "imap_command_finished"
                        && event["fields"]["cmd_name"] == "FETCH"
                }
                Select::User => event["fields"]["user"] == load.top_user_name.as_str(),
            }
        };
        load.json.split_inclusive(|byte| *byte == b'\n').filter(passes).flatten().copied().collect()
    }

    /// The users whose events are asked for, a filter each; only the most active one, in
    /// the middle, ever comes. Empty for other works.
    pub(crate) fn users(&self, top_user: &str) -> Vec<String> {
        let user = |number: usize| match number == self.routes / 2 {
            true => top_user.to_owned(),
            false => format!("nobody.{number}@example.com"),
        };
        let routes = if self.select == Select::User { self.routes } else { 0 };
        (0..routes).map(user).collect()
    }

    /// The filters in Dovecot's event filter language.
    fn filters(&self, top_user: &str) -> Vec<String> {
        match self.select {
            Select::All => vec!["event=*".to_owned()],
            Select::Fifth => vec!["event=imap_command_finished AND cmd_name=FETCH".to_owned()],
            Select::User => {
                // What has no name, Dovecot counts in some versions and not in others.
                let filter = |user: &String| format!("event=* AND user=\"{user}\"");
                self.users(top_user).iter().map(filter).collect()
            }
        }
    }

    /// The metrics, for Fantail and Dovecot: `metric_N`.
    pub(crate) fn metrics(&self, top_user: &str) -> String {
        let exporter = if self.sink == Sink::Count { "" } else { "  exporter = sink\n" };
        let metric = |(number, filter): (usize, &String)| {
            format!("metric metric_{number} {{\n  filter = {filter}\n{exporter}}}\n")
        };
        self.filters(top_user).iter().enumerate().map(metric).collect()
    }
}

impl std::ops::AddAssign for Expected {
    fn add_assign(&mut self, more: Self) {
        self.events += more.events;
        self.payloads += more.payloads;
        self.json_bytes += more.json_bytes;
    }
}
