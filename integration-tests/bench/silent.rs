//! A server that takes requests and never answers: what becomes of who posts to it.

use std::{
    thread,
    time::{Duration, Instant},
};

use fantail_integration_tests::{
    Workdir, living_memory_kib,
    load::Load,
    peers::{HttpSink, Reply},
};

use crate::{
    systems::System,
    work::{Input, Select, Sink, Work},
};

/// A word for the command line.
pub(crate) const ID: &str = "silent-server";

/// Who has not taken all events after so long gets no more.
const PATIENCE: Duration = Duration::from_secs(180);

/// What became of one system.
pub(crate) struct Outcome {
    pub(crate) system: String,
    /// Named events that it was sent.
    pub(crate) events: u64,
    /// The most that was seen resident, in KiB.
    pub(crate) peak_kib: u64,
    pub(crate) fate: String,
}

/// Sends `events` or a few less, each of which is to be posted. `None` when the system can't post.
pub(crate) fn run(system: &dyn System, load: &Load, events: u64) -> Option<Outcome> {
    let server = HttpSink::start(|_, _| Reply::never());
    let port = server.url("").rsplit_once(':')?.1.parse().ok()?;
    let work = Work {
        id: ID,
        title: "a server that never answers",
        input: Input::StatsWriter,
        select: Select::All,
        routes: 1,
        sink: Sink::JsonHttp(port),
        workers: 1,
        inherits: true,
    };
    if !system.can(&work) {
        return None;
    }
    let dir = Workdir::new();
    let running = system.start(&work, load, &dir);
    let (pids, start, mut peak_kib) = (running.pids(), Instant::now(), 0);
    let mut look = || {
        let each = pids.iter().map(|pid| living_memory_kib(*pid).map(|(_, peak)| peak));
        // What has ended told its peak before.
        peak_kib = peak_kib.max(each.sum::<Option<u64>>().unwrap_or_default());
    };
    let rounds = (events / load.all.events).max(1);
    let sent = running.entrance().send_until(load, rounds, || {
        look();
        start.elapsed() > PATIENCE
    });
    // Whatever it holds on to, it does by now.
    thread::sleep(Duration::from_secs(1));
    look();
    let expected = work.expect(load, sent);
    let (system, events) = (system.name(), expected.payloads);
    Some(Outcome { system, events, peak_kib, fate: running.fate(&expected) })
}
