//! Measures Fantail and its peers on the same events: see `docs/performance.md`.
//!
//! `integration-tests/bench/run` installs what is needed, builds, and runs this.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark stops at the first surprise")]

mod work;
mod sender;
mod systems;
mod process;
mod trial;
mod silent;
mod figure;
mod table;
mod machine;

use std::{path::PathBuf, time::Instant};

use clap::Parser;
use fantail_integration_tests::load::Load;

use crate::{
    figure::short,
    systems::System,
    table::Results,
    trial::{Effort, Loads},
    work::{WORKS, Work},
};

/// Measures Fantail and the peers that are installed.
#[derive(Parser)]
struct Arguments {
    /// How often every system does every work.
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Shows that everything works and nothing is lost, in a minute; its figures say nothing.
    #[arg(long)]
    quick: bool,

    /// Only works with this in their ids; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,

    /// Only systems with this in their names, beside Fantail; may be given several times.
    #[arg(long, value_name = "TEXT")]
    peer: Vec<String>,

    /// The seed of the events.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// A Markdown document that gets the results in the place of its last ones.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// A full run. Two million events at most, a trial of 2.5 processor seconds at most.
const FULL: Effort = Effort { cpu_seconds: 2.5, events_max: 2_000_000, warm_up_seconds: 0.1 };

/// A few thousand events.
const QUICK: Effort = Effort { cpu_seconds: 1.0, events_max: 1, warm_up_seconds: 0.0 };

fn main() {
    let mut arguments = Arguments::parse();
    let (effort, events, warm_up) =
        if arguments.quick { (QUICK, 1024, 128) } else { (FULL, 16_384, 1024) };
    if arguments.quick {
        arguments.rounds = 1;
    }
    let loads = |new: fn(u64, usize) -> Load| Loads {
        main: new(arguments.seed, events),
        warm_up: new(arguments.seed + 1, warm_up),
    };
    let (sessions, alone) = (loads(Load::new), loads(Load::alone));
    let mut systems = systems::installed();
    systems.retain(|system| wants_system(&arguments, &**system));
    let names: Vec<_> = systems.iter().map(|system| system.name()).collect();
    eprintln!("measuring {}", names.join(", "));
    let is_wanted =
        |id: &str| arguments.only.is_empty() || arguments.only.iter().any(|text| id.contains(text));
    let works = WORKS.iter().filter(|work| is_wanted(work.id));
    let tasks: Vec<(&'static Work, &dyn System)> = works
        .flat_map(|work| systems.iter().map(move |system| (work, &**system)))
        .filter(|(work, system)| system.can(work))
        .collect();
    let mut results = Results::default();
    let start = Instant::now();
    let count = arguments.rounds * tasks.len();
    for round in 0..arguments.rounds {
        for (at, (work, system)) in tasks.iter().enumerate() {
            let at = round * tasks.len() + at + 1;
            eprint!(
                "{:>4} s  {at}/{count}  {}: {}: ",
                start.elapsed().as_secs(),
                work.id,
                system.name()
            );
            let figures =
                trial::run(*system, work, if work.inherits { &sessions } else { &alone }, effort);
            eprintln!(
                "{} CPU s / million, {} events / s, {} events",
                short(figures.cpu * 1e6 / figures.events as f64),
                short(figures.events as f64 / figures.wall),
                figures.events
            );
            results.add(work, &system.name(), system.note(work), figures);
        }
    }
    if is_wanted(silent::ID) {
        let events = if arguments.quick { 20_000 } else { 1_000_000 };
        for system in &systems {
            eprint!("{:>4} s  {}: {}: ", start.elapsed().as_secs(), silent::ID, system.name());
            let Some(outcome) = silent::run(&**system, &sessions.warm_up, events) else {
                eprintln!("does not post");
                continue;
            };
            let memory = short(outcome.peak_kib as f64 / 1024.0);
            eprintln!("{} events, {memory} MiB, {}", outcome.events, outcome.fate);
            results.add_silent(outcome);
        }
    }
    let text = results.markdown(&describe(&sessions.main, &alone.main), arguments.rounds);
    match &arguments.write {
        Some(document) => table::insert(document, &text),
        None => print!("{text}"),
    }
}

fn wants_system(arguments: &Arguments, system: &dyn System) -> bool {
    let name = system.name().to_lowercase();
    let is_wanted = |text: &String| name.contains(&text.to_lowercase());
    arguments.peer.is_empty() || name.starts_with("fantail") || arguments.peer.iter().any(is_wanted)
}

/// What the events are like.
fn describe(sessions: &Load, alone: &Load) -> String {
    let each = |load: &Load| {
        let events = load.all.events;
        let (stats, json) = (load.stats.len() as u64 / events, load.json.len() as u64 / events);
        format!(
            "each {stats} bytes from Dovecot, {json} as JSON, {:.1} fields",
            load.fields as f64 / events as f64
        )
    };
    let events = sessions.all.events;
    let (sessions, alone) = (each(sessions), each(alone));
    format!("{events} events, over and over: {sessions}; those that inherit nothing: {alone}")
}
