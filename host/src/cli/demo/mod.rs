//! `fantail demo`: a host at work, with recorded traffic of a real Dovecot, in a
//! directory of its own and on loopback only.

mod listener;
mod player;

use std::{
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, unbounded};

use super::{
    console::{errln, outln},
    load::{Purpose, load_in},
    run::reasons,
};
use crate::{
    config::{Surroundings, counted},
    exit_code::Exit,
    inherited::Inherited,
    pipeline::{self, Ended, ExporterStatus, Figures, Observer, Orders, Pipeline, Rebuild, Signal},
    telemetry::log as host_log,
};
use listener::WebListener;

/// The demonstration's configuration.
const CONFIG: &str = include_str!("../../../../conf.d/demo/demo.conf");

/// The files of the demonstration, within its directory.
const SOCKET: &str = "stats-writer";
const JSON_FILE: &str = "events.json";
const TAB_FILE: &str = "commands.tab";

/// How often the figures are shown.
const TICK: Duration = Duration::from_millis(400);

/// How much of a sample line is shown, in characters.
const SAMPLE_WIDTH: usize = 150;

/// Runs the demonstration.
pub(super) fn demo() -> Exit {
    host_log::start(log::LevelFilter::Warn);
    match demonstrate() {
        Ok(exit) => exit,
        Err(error) => {
            errln!("fantail demo: {error}");
            Exit::System
        }
    }
}

fn demonstrate() -> io::Result<Exit> {
    let directory = tempfile::Builder::new().prefix("fantail-demo-").tempdir()?.keep();
    let web = WebListener::start()?;
    let config_path = directory.join("demo.conf");
    std::fs::write(&config_path, CONFIG)?;
    let path = |name: &str| directory.join(name).display().to_string();
    let surroundings = [
        ("DEMO_SOCKET", path(SOCKET)),
        ("DEMO_JSON", path(JSON_FILE)),
        ("DEMO_TAB", path(TAB_FILE)),
        ("DEMO_URL", web.url()),
    ];
    let environment = |name: &str| {
        surroundings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let machine = Surroundings { environment: &environment, ..Surroundings::MACHINE };
    let loaded = load_in(std::slice::from_ref(&config_path), machine, Purpose::RunBriefly);
    let Some(pipeline) = loaded.pipeline else { return Ok(Exit::Config) };
    outln!("A host, in this process, with the configuration {}:", config_path.display());
    outln!("recorded connections of a real Dovecot 2.4 -> stats-writer socket -> filters");
    outln!("  -> json  -> file       {}", directory.join(JSON_FILE).display());
    outln!("  -> tab   -> file       {}", directory.join(TAB_FILE).display());
    outln!("  -> json  -> http-post  {} (a listener of this command's own)", web.url());
    outln!("");
    let observer = pipeline.observer();
    let ended = run_and_show(pipeline, &observer, &directory, &web)?;
    summary(&observer.figures(), &directory, &web);
    Ok(if ended == Ended::Clean { Exit::Success } else { Exit::EventsLost })
}

/// Runs the host beside a player, and shows the figures until both have ended.
fn run_and_show(
    pipeline: Pipeline,
    observer: &Observer,
    directory: &Path,
    web: &WebListener,
) -> io::Result<Ended> {
    let orders = Orders::default();
    let told = orders.clone();
    let (ready, is_ready) = unbounded();
    let host = thread::Builder::new().name("host".into()).spawn(move || {
        let ready = |_: &[String]| {
            // Whoever waits may have failed meanwhile.
            let _ = ready.send(());
        };
        let mut reread =
            |_: &mut Rebuild<'_>| Err(vec!["the demo has but one configuration".to_owned()]);
        pipeline::run(pipeline, &Inherited::default(), &told, ready, &mut reread)
    })?;
    if is_ready.recv().is_ok() {
        let socket = directory.join(SOCKET);
        let (done, is_done) = unbounded();
        let player = thread::Builder::new().name("player".into()).spawn(move || {
            let played = player::play(&socket);
            let _ = done.send(());
            played
        })?;
        show_until(&is_done, observer, directory, web);
        player.join().unwrap_or_else(|_| Err(io::Error::other("the player panicked")))?;
    }
    orders.tell(Signal::Stop);
    host.join().unwrap_or_else(|_| Err(io::Error::other("the host panicked")))
}

/// Shows a line of figures and a sample now and then, until `done`.
fn show_until(done: &Receiver<()>, observer: &Observer, directory: &Path, web: &WebListener) {
    outln!(
        "{:>6} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11}",
        "TIME",
        "LINES IN",
        "EVENTS",
        "REJECTED",
        "JSON FILE",
        "TAB FILE",
        "HTTP"
    );
    let start = Instant::now();
    let mut samples = [
        Sample::of_file("json file", directory.join(JSON_FILE)),
        Sample::of_file("tab file", directory.join(TAB_FILE)),
        Sample::of_web(web),
    ];
    let mut turn = 0;
    loop {
        let ended = done.recv_timeout(TICK).is_ok();
        let figures = observer.figures();
        let input = figures.inputs.first().map(|(_, input)| input.clone()).unwrap_or_default();
        let delivered =
            |at: usize| figures.exporters.get(at).map_or(0, |exporter| exporter.counts.delivered);
        outln!(
            "{:>5.1}s {:>9} {:>9} {:>9} {:>11} {:>11} {:>11}",
            start.elapsed().as_secs_f64(),
            input.received,
            input.events,
            input.received - input.decoded,
            delivered(0),
            delivered(1),
            delivered(2),
        );
        let count = samples.len();
        if let Some((name, line)) = samples[turn % count].next() {
            outln!("       {name}: {line}");
        }
        turn += 1;
        if ended {
            outln!("");
            return;
        }
    }
}

/// Where sample lines come from.
struct Sample<'a> {
    name: &'static str,
    source: SampleSource<'a>,
}

enum SampleSource<'a> {
    File(PathBuf),
    Web(&'a WebListener),
}

impl<'a> Sample<'a> {
    fn of_file(name: &'static str, path: PathBuf) -> Self {
        Sample { name, source: SampleSource::File(path) }
    }

    fn of_web(web: &'a WebListener) -> Self {
        Sample { name: "http", source: SampleSource::Web(web) }
    }

    /// The newest line, shortened.
    fn next(&mut self) -> Option<(&'static str, String)> {
        let line = match &self.source {
            SampleSource::File(path) => {
                let file = std::fs::File::open(path).ok()?;
                BufReader::new(file).lines().map_while(Result::ok).last()?
            }
            SampleSource::Web(web) => web.last_body()?,
        };
        let mut shown: String = line.chars().take(SAMPLE_WIDTH).collect();
        if shown.len() < line.len() {
            shown.push('…');
        }
        Some((self.name, shown))
    }
}

/// The ledger, and where everything lies.
fn summary(figures: &Figures, directory: &Path, web: &WebListener) {
    outln!("The ledger:");
    for (name, input) in &figures.inputs {
        outln!(
            "  input {name}: received {} lines = decoded {} + rejected {}; {} of them events",
            input.received,
            input.decoded,
            reasons(&input.rejected),
            input.events
        );
    }
    for (name, matched) in &figures.metrics {
        outln!("  metric {name}: matched {matched}");
    }
    for ExporterStatus { name, counts: exporter, .. } in &figures.exporters {
        outln!(
            "  exporter {name}: matched {} = delivered {} + dropped {} + queued {}",
            exporter.matched,
            exporter.delivered,
            reasons(&exporter.dropped),
            exporter.queued
        );
    }
    outln!("  the listener took {}", counted(web.requests(), "request"));
    outln!("");
    outln!("Everything lies in {}:", directory.display());
    for file in ["demo.conf", JSON_FILE, TAB_FILE] {
        let path = directory.join(file);
        let size = std::fs::metadata(&path).map_or(0, |status| status.len());
        outln!("  {file:<13} {size:>8} bytes");
    }
    outln!("");
    outln!(
        "Try: fantail filter 'event=imap_command_finished AND cmd_name=FETCH' {}",
        directory.join(JSON_FILE).display()
    );
}
