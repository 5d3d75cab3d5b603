//! `fantail run`

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use super::load::{load_anew, load_silently_anew, load_to_run};
use crate::{
    config::{Config, counted, settings::LogLevel},
    exit_code::Exit,
    inherited::{
        Inherited,
        dovecot::{self, Master, Talk},
        systemd::{self, Manager},
    },
    pipeline::{self, Ended, ExporterStatus, Figures, Observer, Orders, Pipeline, Rebuild, Signal},
    telemetry::log as host_log,
};

/// For how long a start is tried again as a service of Dovecot's: after a reload our
/// predecessor may not have ended, and have its queues on disk locked.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two tries.
const PREDECESSOR_TICK: Duration = Duration::from_millis(250);

/// What the process has from whoever started it.
struct Service {
    inherited: Inherited,
    /// Dovecot's master, until somebody talks with it.
    master: Option<Master>,
    /// Whether Dovecot's master has started us.
    is_dovecots: bool,
    /// Who talks with it.
    talk: Arc<OnceLock<Talk>>,
    /// What runs, for the one who talks.
    observer: Arc<Mutex<Observer>>,
}

/// Whether Dovecot's master says that it has started us. Then a configuration is known without
/// being named.
pub(super) fn is_configured_by_environment() -> bool {
    environment("DOVECOT_CHILD_PROCESS").is_some()
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs a host until it is told to stop or its inputs have ended.
pub(super) fn run(paths: &[PathBuf]) -> Exit {
    // First of all: nobody else may have opened anything.
    let (mut service, complaints) = Service::inherit();
    host_log::start(log::LevelFilter::Info);
    complaints.iter().for_each(|complaint| log::warn!("{complaint}"));
    // Then this: a signal that came while plugins are loaded would end the process.
    let orders = Orders::default();
    if let Err(error) = obey_signals(orders.clone(), service.is_dovecots, service.talk.clone()) {
        log::error!("signals can't be received: {error}");
        return Exit::System;
    }
    abort_on_panic();
    raise_descriptor_limit();
    let paths = match paths {
        [] => vec![dovecot::config_file(&environment).unwrap_or_else(|| DOVECOT_CONF.into())],
        paths => paths.to_vec(),
    };
    let loaded = load_to_run(&paths, &service.inherited);
    let (Some(config), Some(pipeline)) = (loaded.config, loaded.pipeline) else {
        return Exit::Config;
    };
    start_log(&config);
    if let Err(error) = service.talk(&orders) {
        log::error!("Dovecot's master can't be talked with: {error}");
        return Exit::System;
    }
    let (ended, observer) = service.run(pipeline, &paths, &orders);
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

/// What is read when Dovecot's master does not tell.
const DOVECOT_CONF: &str = "/etc/dovecot/dovecot.conf";

impl Service {
    /// Takes what there is, and says what is wrong with it.
    fn inherit() -> (Self, Vec<String>) {
        let mut complaints = Vec::new();
        // Dovecot's master hands on what it has from systemd. But who says there that he is ready, or
        // stops, says so for all of Dovecot.
        let manager = match is_configured_by_environment() {
            true => None,
            false => Manager::find(&environment, &mut complaints),
        };
        let inherited = Inherited::new(manager);
        systemd::inherit(&environment, &inherited, &mut complaints);
        let master = dovecot::inherit(&environment, &inherited, &mut complaints);
        let service = Service {
            inherited,
            is_dovecots: master.is_some(),
            master,
            talk: Arc::default(),
            observer: Arc::default(),
        };
        (service, complaints)
    }

    /// Begins to talk with Dovecot's master, if there is one.
    fn talk(&mut self, orders: &Orders) -> std::io::Result<()> {
        let Some(master) = self.master.take() else { return Ok(()) };
        let (observer, orders) = (Arc::clone(&self.observer), orders.clone());
        let open = move || {
            let observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
            observer.open_connections()
        };
        let gone = move || {
            log::info!("Dovecot's master has gone, or begins anew: stopping");
            orders.tell(Signal::Leave);
        };
        let talk = master.talk(open, gone)?;
        let _ = self.talk.set(talk);
        Ok(())
    }

    /// Runs the host to its end; and what shows the figures of it.
    fn run(
        &self,
        mut pipeline: Pipeline,
        paths: &[PathBuf],
        orders: &Orders,
    ) -> (std::io::Result<Ended>, Observer) {
        let start = Instant::now();
        let mut is_told = false;
        loop {
            let observer = pipeline.observer();
            *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = observer.clone();
            let mut reread = |rebuild: &mut Rebuild<'_>| reread(paths, &self.inherited, rebuild);
            let ready = |addresses: &[String]| self.ready(addresses);
            let ended = pipeline::run(pipeline, &self.inherited, orders, ready, &mut reread);
            let error = match ended {
                Err(error) if self.is_dovecots && start.elapsed() < PREDECESSOR_PATIENCE => error,
                ended => return (ended, observer),
            };
            if !std::mem::replace(&mut is_told, true) {
                log::warn!("{error}; perhaps a predecessor has not ended yet: trying again");
            }
            thread::sleep(PREDECESSOR_TICK);
            pipeline = match load_silently_anew(paths, &self.inherited).pipeline {
                Some(pipeline) => pipeline,
                None => return (Err(error), observer),
            };
        }
    }

    /// The host is ready: tells everybody.
    fn ready(&self, addresses: &[String]) {
        log::info!("fantail {} is ready", env!("CARGO_PKG_VERSION"));
        addresses.iter().for_each(|address| log::info!("{address}"));
        for offer in self.inherited.unused() {
            log::warn!(
                "nobody listens on {} (`{}`), which was opened for us: there is no input or \
                 listener for it",
                offer.address,
                offer.name
            );
        }
        if let Some(talk) = self.talk.get() {
            talk.ready();
        }
    }
}

/// The configuration and its plugins as they are now, made a pipeline of; otherwise
/// everything that is wrong with them.
fn reread(
    paths: &[PathBuf],
    inherited: &Inherited,
    rebuild: &mut Rebuild<'_>,
) -> Result<Pipeline, Vec<String>> {
    let (loaded, report) = load_anew(paths, inherited, rebuild);
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

/// Turns the process's signals into orders. Dovecot's master has a few of its own.
fn obey_signals(
    orders: Orders,
    is_dovecots: bool,
    talk: Arc<OnceLock<Talk>>,
) -> std::io::Result<()> {
    // With SIGQUIT Dovecot's master wants listeners closed, after it has closed its pipe:
    // that told us already.
    let more = is_dovecots.then_some(SIGQUIT);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP].into_iter().chain(more))?;
    let run = move || {
        // Who stops Dovecot stops what is left of its processes as well, a moment later:
        // that shall not cut short what the master has begun.
        let mut is_spared = true;
        for signal in signals.forever() {
            let has_gone = talk.get().is_some_and(Talk::has_gone);
            match signal {
                SIGUSR1 => orders.tell(Signal::Reopen),
                SIGHUP => orders.tell(Signal::Reload),
                SIGQUIT => {}
                // Idle processes may go, it says; and a terminal says it to all of them.
                SIGINT if is_dovecots => {
                    if let Some(talk) = talk.get() {
                        talk.stay();
                    }
                }
                SIGTERM if has_gone && std::mem::take(&mut is_spared) => {}
                _ => orders.tell(Signal::Stop),
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(run)?;
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
