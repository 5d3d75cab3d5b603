//! `fantail run`

use std::{path::PathBuf, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use super::{
    console::write_err,
    load::{Purpose, load, load_anew},
};
use crate::{
    config::{Config, counted, settings::LogLevel},
    exit_code::Exit,
    pipeline::{self, Ended, ExporterStatus, Figures, Orders, Pipeline, Rebuild, Signal},
    telemetry::log as host_log,
};

/// Runs a host until it is told to stop or its inputs have ended.
pub(super) fn run(paths: &[PathBuf]) -> Exit {
    host_log::start(log::LevelFilter::Info);
    // First of all: a signal that came while plugins are loaded would end the process.
    let orders = Orders::default();
    if let Err(error) = obey_signals(orders.clone()) {
        log::error!("signals can't be received: {error}");
        return Exit::System;
    }
    abort_on_panic();
    raise_descriptor_limit();
    let loaded = load(paths, Purpose::Run);
    let (Some(config), Some(pipeline)) = (loaded.config, loaded.pipeline) else {
        return Exit::Config;
    };
    start_log(&config);
    let observer = pipeline.observer();
    let ready = |addresses: &[String]| {
        log::info!("fantail {} is ready", env!("CARGO_PKG_VERSION"));
        addresses.iter().for_each(|address| log::info!("{address}"));
    };
    let mut reread = |rebuild: &mut Rebuild<'_>| reread(paths, rebuild);
    let ended = pipeline::run(pipeline, &orders, ready, &mut reread);
    match ended {
        Ok(Ended::Clean) => {
            log_figures(&observer.figures());
            Exit::Success
        }
        Ok(Ended::InputFailed) => {
            log_figures(&observer.figures());
            Exit::NoInput
        }
        Ok(Ended::Lost(count)) => {
            log_figures(&observer.figures());
            log::error!("{} lost: not delivered in time", counted(count, "payload"));
            Exit::EventsLost
        }
        Err(error) => {
            log::error!("{error}");
            Exit::System
        }
    }
}

/// The configuration and its plugins as they are now, made a pipeline of; otherwise
/// everything that is wrong with them.
fn reread(paths: &[PathBuf], rebuild: &mut Rebuild<'_>) -> Result<Pipeline, Vec<String>> {
    let (loaded, report) = load_anew(paths, rebuild);
    write_err(format_args!("{report}"));
    let (Some(config), Some(pipeline)) = (loaded.config, loaded.pipeline) else {
        return Err(report.lines().map(str::to_owned).collect());
    };
    start_log(&config);
    Ok(pipeline)
}

fn start_log(config: &Config) {
    host_log::start(match config.log_level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warning => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
    });
}

/// A panic in a thread of the host is a bug, and a host that goes on without that
/// thread would lose events unseen: it ends instead, and says why. (Plugins' panics
/// are caught in the plugins.)
fn abort_on_panic() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        show(panic);
        std::process::abort();
    }));
}

/// Allows as many descriptors as the system lets us have: each peer needs one, and
/// a Dovecot process that is not accepted stands still.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!("the limit of descriptors stays at {:?}: {error}", limit.current);
    }
}

/// Turns the process's signals into orders.
fn obey_signals(orders: Orders) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => orders.tell(Signal::Reopen),
                SIGHUP => orders.tell(Signal::Reload),
                _ => orders.tell(Signal::Stop),
            }
        }
    })?;
    Ok(())
}

/// Writes the ledger to the log, once, at the end.
fn log_figures(figures: &Figures) {
    for (name, input) in &figures.inputs {
        log::info!(
            "input {name}: received {} = decoded {} + rejected {}; {} events",
            input.received,
            input.decoded,
            reasons(&input.rejected),
            input.events,
        );
    }
    for ExporterStatus { name, counts: exporter, .. } in &figures.exporters {
        let more = |what: &str, count: u64| match count {
            0 => String::new(),
            count => format!(" + {what} {count}"),
        };
        let recovered = more("recovered", exporter.recovered);
        let replayed = more("replayed", exporter.replayed);
        let dead = match exporter.dead_lettered.is_empty() {
            true => String::new(),
            false => format!(" + dead letters {}", reasons(&exporter.dead_lettered)),
        };
        log::info!(
            "exporter {name}: matched {}{recovered}{replayed} = delivered {} + dropped {}{dead} + \
             queued {}",
            exporter.matched,
            exporter.delivered,
            reasons(&exporter.dropped),
            exporter.queued,
        );
    }
}

/// A sum with its parts: `3 (syntax 2, too-long 1)`.
pub(super) fn reasons(counts: &std::collections::BTreeMap<&'static str, u64>) -> String {
    let sum: u64 = counts.values().sum();
    if counts.is_empty() {
        return sum.to_string();
    }
    let parts: Vec<_> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("{sum} ({})", parts.join(", "))
}
