//! The ledger as JSON, for `STATUS` and `fantail status --json`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    pipeline::{ExporterStatus, Handle, Stage},
    telemetry::ledger::InputFigures,
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
    let ExporterStatus { name, counts, queue, .. } = exporter;
    json!({
        "name": name,
        "matched": counts.matched,
        "recovered": counts.recovered,
        "delivered": counts.delivered,
        "dropped": reasons(&counts.dropped),
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
    })
}

fn reasons(counts: &BTreeMap<&'static str, u64>) -> Value {
    counts.iter().map(|(reason, count)| ((*reason).to_owned(), json!(count))).collect()
}
