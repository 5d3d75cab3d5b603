//! From an exporter's configuration and its plugins to one that can be started.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fantail_sdk::{DriverContext, FormatContext};
use serde_json::Value;

use super::{
    build::{Wrong, size},
    reload::{Current, CurrentExporter},
};
use crate::{
    config::{
        ExporterConfig, Placed,
        settings::{QueueFull as FullSetting, QueueKind},
    },
    dead_letters::{self, DeadLetters},
    driver::{Burial, DriverSource, Exporter, Pauses, RetryLimits, RetryPlan},
    format::{BatchLimits, FormatSource, Label, StagePlan},
    plugin::Registry,
    queue::{Disk, DiskPlan, DiskUse, Producer, Queue, QueueFull},
    spool,
    telemetry::{ledger::ExporterLedger, log::RateLimit},
};

/// How often a line about an event that could not be written is let through.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(60);

/// An exporter that can be started, or goes on.
pub(super) struct BuiltExporter {
    /// What it was made from.
    pub(super) identity: ExporterIdentity,
    /// What lanes make their stages from.
    pub(super) stage: StagePlan,
    /// What its thread works with; `None` when the running one goes on.
    pub(super) exporter: Option<Exporter>,
}

/// Everything that an exporter is made from: two with the same are the same.
#[derive(Clone, PartialEq)]
pub(super) struct ExporterIdentity {
    config: ExporterConfig,
    /// The digests of the driver's and the format's files.
    plugins: [String; 2],
    hostname: String,
    /// Where its queue is on disk.
    disk: Option<DiskPlan>,
    /// Where its dead letters are, if it keeps any.
    dead_letters: Option<PathBuf>,
}

impl ExporterIdentity {
    fn new(config: &ExporterConfig, state_dir: &Path, registry: &Registry, hostname: &str) -> Self {
        let digest = |plugin: &str| {
            registry.library(plugin).map_or_else(String::new, |library| library.sha256.clone())
        };
        ExporterIdentity {
            config: config.clone(),
            plugins: [digest(&config.driver.value), digest(&config.format.value)],
            hostname: hostname.to_owned(),
            disk: disk_plan(config, state_dir),
            dead_letters: config
                .dead_letters
                .then(|| dead_letters::directory(state_dir, &config.name.value)),
        }
    }
}

/// Makes an exporter from its configuration, or finds that the running one goes on.
///
/// # Errors
///
/// What a plugin has against it, and where.
pub(super) fn build(
    config: &ExporterConfig,
    state_dir: &Path,
    registry: &Registry,
    hostname: &str,
    current: &Current,
) -> Result<BuiltExporter, Wrong> {
    let name = &config.name.value;
    let identity = ExporterIdentity::new(config, state_dir, registry, hostname);
    let running = current.exporter(name);
    if let Some(running) = running.filter(|running| running.identity == identity) {
        return Ok(BuiltExporter { identity, stage: running.stage.clone(), exporter: None });
    }
    let missing = |kind: &str, plugin: &Placed<String>| {
        (plugin.place, format!("there is no {kind} plugin `{}`", plugin.value))
    };
    // What a plugin is against is most likely the setting that it names.
    let refused = |kind: &str, plugin: &Placed<String>, reason: String| {
        let place = config.places.mentioned_in(&reason).unwrap_or(plugin.place);
        (place, format!("{kind} {}: {reason}", plugin.value))
    };
    let driver = registry
        .driver_table(&config.driver.value)
        .ok_or_else(|| missing("driver", &config.driver))?;
    let format = registry
        .format_table(&config.format.value)
        .ok_or_else(|| missing("format", &config.format))?;
    let field_length_max = usize::try_from(driver.field_length_max()).ok().filter(|max| *max > 0);
    let source = FormatSource {
        table: format,
        settings: Value::Object(config.format_settings.clone()),
        context: FormatContext::new(name, field_length_max),
    };
    // The instances made here show that the settings are right, and what the
    // format's payloads are.
    let instance = source.open().map_err(|reason| refused("format", &config.format, reason))?;
    let driver = DriverSource {
        table: driver,
        settings: Value::Object(config.driver_settings.clone()),
        context: DriverContext::new(name, instance.content_type(), hostname, user_agent()),
    };
    let instance = driver.open().map_err(|reason| refused("driver", &config.driver, reason))?;
    let label_parts = instance.wants().len();
    let label = Label::new(instance.wants());
    drop(instance);
    let (ledger, meter) = match running {
        Some(running) => (Arc::clone(&running.stage.ledger), Arc::clone(&running.stage.meter)),
        None => (Arc::default(), Arc::default()),
    };
    let letters = letters(identity.dead_letters.as_ref(), running);
    let limits = batch_limits(config);
    let queue = Arc::new(build_queue(config, identity.disk.clone(), &ledger));
    let successor = running.is_some_and(|running| follows(&queue, running.stage.queue.queue()));
    let stage = StagePlan {
        exporter: name.clone(),
        source,
        label,
        limits,
        queue: Producer::new(Arc::clone(&queue)),
        ledger: Arc::clone(&ledger),
        meter: Arc::clone(&meter),
        letters: letters.clone(),
        trouble: Arc::new(RateLimit::new(TROUBLE_INTERVAL)),
    };
    let exporter = Exporter {
        name: name.clone(),
        queue,
        ledger,
        meter,
        retry: retry(config),
        payloads_max: limits.events,
        successor,
        letters: letters.map(|letters| burial(config, letters, label_parts, &driver)),
        source: driver,
    };
    Ok(BuiltExporter { identity, stage, exporter: Some(exporter) })
}

/// The dead letters in this directory, if any are kept: those of the running exporter if they are
/// there. They are opened when the exporter's thread is started.
fn letters(
    directory: Option<&PathBuf>,
    running: Option<&CurrentExporter>,
) -> Option<Arc<DeadLetters>> {
    let directory = directory?;
    let running = running.and_then(|running| running.stage.letters.clone());
    let running = running.filter(|letters| letters.directory() == directory);
    Some(running.unwrap_or_else(|| Arc::new(DeadLetters::new(directory.clone()))))
}

/// What is written on the exporter's dead letters.
fn burial(
    config: &ExporterConfig,
    letters: Arc<DeadLetters>,
    label_parts: usize,
    driver: &DriverSource,
) -> Burial {
    Burial {
        letters,
        max_size: config.dead_letters_max_size,
        exporter: config.name.value.clone(),
        driver: config.driver.value.clone(),
        content_type: driver.context.content_type.clone(),
        label_parts,
        batch_bytes: size(config.batch_max_size),
    }
}

/// When what was not delivered is tried again.
fn retry(config: &ExporterConfig) -> RetryPlan {
    RetryPlan {
        pauses: Pauses { min: config.retry_min_pause, max: config.retry_max_pause },
        breaker_failures: config.breaker_failures,
        limits: RetryLimits {
            attempts_max: config.retry_max_attempts,
            age_max: config.retry_max_age,
        },
    }
}

/// When a batch is full.
fn batch_limits(config: &ExporterConfig) -> BatchLimits {
    BatchLimits {
        bytes: size(config.batch_max_size),
        events: match config.batch_max_events {
            0 => usize::MAX,
            events => size(events),
        },
        timeout: config.batch_timeout,
    }
}

fn build_queue(
    config: &ExporterConfig,
    disk: Option<DiskPlan>,
    ledger: &Arc<ExporterLedger>,
) -> Queue {
    let (name, bytes_max) = (&config.name.value, size(config.queue_max_size));
    let queue = Queue::new(name, bytes_max, when_full(config), Arc::clone(ledger));
    match disk {
        Some(plan) => queue.on_disk(Disk::new(plan)),
        None => queue,
    }
}

/// Whether the queue takes over the spool of one that runs.
fn follows(queue: &Queue, running: &Queue) -> bool {
    let directory = |queue: &Queue| queue.disk().map(|disk| disk.plan.directory.clone());
    directory(queue).is_some() && directory(queue) == directory(running)
}

/// Where the exporter's queue is on disk, if it is to be there.
fn disk_plan(config: &ExporterConfig, state_dir: &Path) -> Option<DiskPlan> {
    let usage = match config.queue {
        QueueKind::Memory => return None,
        QueueKind::Spill => DiskUse::Spill,
        QueueKind::Durable => DiskUse::Durable,
    };
    let directory = state_dir.join("spool").join(spool::directory_name(&config.name.value));
    Some(DiskPlan { directory, max_size: config.spool_max_size, usage })
}

fn when_full(config: &ExporterConfig) -> QueueFull {
    match config.queue_full {
        FullSetting::Block => QueueFull::Block,
        FullSetting::DropNewest => QueueFull::DropNewest,
        FullSetting::DropOldest => QueueFull::DropOldest,
    }
}

/// Who is calling, for peers that ask.
fn user_agent() -> &'static str {
    concat!("fantail/", env!("CARGO_PKG_VERSION"))
}
