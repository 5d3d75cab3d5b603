//! The ledger as JSON, for `STATUS` and `fantail status --json`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    pipeline::{ExporterStatus, Handle, Stage},
    telemetry::{circuit::CircuitFigures, ledger::InputFigures},
};

/// What a host is, and where every line and every payload is.
pub(super) fn json(host: &Handle) -> Value {
    let figures = host.figures();
    let metrics = figures.metrics.iter();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "stage": match host.stage() {
            Stage::Starting => "starting",
            Stage::Ready => "ready",
            Stage::Stopping => "stopping",
        },
        "started": seconds(host.started().as_micros()),
        "uptime": (host.uptime() * 1000.0).round() / 1000.0,
        "inputs": figures.inputs.iter().map(input).collect::<Vec<_>>(),
        "metrics": metrics
            .map(|(name, matched)| json!({"name": name, "matched": matched}))
            .collect::<Vec<_>>(),
        "exporters": figures.exporters.iter().map(exporter).collect::<Vec<_>>(),
    })
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn input((name, figures): &(String, InputFigures)) -> Value {
    let InputFigures { received, decoded, events, connections, open, turned_away, rejected } =
        figures;
    json!({
        "name": name,
        "connections": connections,
        "open": open,
        "turned_away": turned_away,
        "received": received,
        "decoded": decoded,
        "rejected": reasons(rejected),
        "events": events,
    })
}

fn exporter(exporter: &ExporterStatus) -> Value {
    let ExporterStatus { name, counts, queue, meter, letters } = exporter;
    json!({
        "name": name,
        "matched": counts.matched,
        "recovered": counts.recovered,
        "replayed": counts.replayed,
        "delivered": counts.delivered,
        "dropped": reasons(&counts.dropped),
        "dead_lettered": reasons(&counts.dead_lettered),
        "queued": counts.queued,
        "retries": counts.retries,
        "queue": {
            "batches": queue.batches,
            "bytes": queue.bytes,
            "bytes_max": queue.bytes_max,
        },
        "spool": {
            "payloads": queue.disk.payloads,
            "bytes": queue.disk.bytes,
            "bytes_max": queue.disk.bytes_max,
        },
        "dead_letters": letters.as_ref().map(|(letters, directory)| json!({
            "directory": directory.to_string_lossy(),
            "payloads": letters.payloads,
            "bytes": letters.bytes,
            "bytes_max": letters.bytes_max,
        })),
        "breaker": breaker(&meter.circuit, Instant::now()),
    })
}

/// Times in seconds from `now` on, or until `now`.
fn breaker(figures: &CircuitFigures, now: Instant) -> Value {
    let CircuitFigures { state, failures, failing_since, next_attempt } = *figures;
    let seconds = |length: Duration| (length.as_secs_f64() * 1000.0).round() / 1000.0;
    json!({
        "state": state.name(),
        "failures": failures,
        "failing_for": failing_since.map(|since| seconds(now.saturating_duration_since(since))),
        "next_attempt_in": next_attempt.map(|next| seconds(next.saturating_duration_since(now))),
    })
}

fn reasons(counts: &BTreeMap<&'static str, u64>) -> Value {
    counts.iter().map(|(reason, count)| ((*reason).to_owned(), json!(count))).collect()
}
