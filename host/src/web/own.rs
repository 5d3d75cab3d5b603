//! The host's own figures, a table of them.
//!
//! Each name stands in `docs/metrics.md` with the same words; a test compares. Labels
//! are names in the configuration and reasons, never anything that a peer chooses.

use super::{
    process::Process,
    text::{Family, Kind, Page},
};
use crate::{
    pipeline::{ExporterStatus, Figures, Handle, Stage},
    telemetry::{
        circuit::CircuitState,
        histogram::HistogramFigures,
        ledger::{DeadReason, DropReason, InputFigures},
    },
};

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// What the figures are made from.
struct Facts {
    figures: Figures,
    stage: Stage,
    process: Process,
}

/// A family, and where its figures come from.
struct Entry {
    family: Family,
    source: Source,
}

/// Where a family's figures come from.
enum Source {
    /// One for each input.
    Input(fn(&InputFigures) -> u64),
    /// One for each exporter.
    Exporter(fn(&ExporterStatus) -> u64),
    /// One for each exporter, so many to the unit.
    Histogram(fn(&ExporterStatus) -> &HistogramFigures, u64),
    /// Something else.
    Other(fn(&Facts, &mut Page, &str)),
}

const fn entry(kind: Kind, name: &'static str, help: &'static str, source: Source) -> Entry {
    Entry { family: Family { name, kind, help }, source }
}

use Kind::{Counter, Gauge, Histogram};

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    entry(Gauge, "fantail_ready", "1 while every input is open and events are taken, otherwise 0.", Source::Other(|facts, page, name| {
        page.figure(name, &[], u8::from(facts.stage == Stage::Ready));
    })),
    entry(Counter, "fantail_cpu_seconds_total", "The processors' time that the process has used.", Source::Other(|facts, page, name| {
        page.figure(name, &[], facts.process.cpu);
    })),
    entry(Gauge, "fantail_resident_memory_bytes", "The memory that the process has.", Source::Other(|facts, page, name| {
        optional(page, name, facts.process.memory);
    })),
    entry(Gauge, "fantail_open_descriptors", "The descriptors that the process has open.", Source::Other(|facts, page, name| {
        optional(page, name, facts.process.descriptors);
    })),
    entry(Gauge, "fantail_max_descriptors", "How many descriptors it may have open.", Source::Other(|facts, page, name| {
        optional(page, name, facts.process.descriptors_max);
    })),

    entry(Counter, "fantail_input_connections_total", "Connections of the input, or files that it has opened.", Source::Input(|input| input.connections)),
    entry(Gauge, "fantail_input_open_connections", "Those of them that are open.", Source::Input(|input| input.open)),
    entry(Counter, "fantail_input_turned_away_connections_total", "Others, which were closed at once: there were max_connections already.", Source::Input(|input| input.turned_away)),
    entry(Counter, "fantail_input_received_total", "Lines that have arrived, handshakes aside: decoded and rejected ones.", Source::Input(|input| input.received)),
    entry(Counter, "fantail_input_decoded_total", "Lines that were understood.", Source::Input(|input| input.decoded)),
    entry(Counter, "fantail_input_rejected_total", "Lines that were not understood, by reason. Only reasons that have occurred.", Source::Other(|facts, page, name| {
        for (input, figures) in &facts.figures.inputs {
            for (reason, count) in &figures.rejected {
                page.figure(name, &[("input", input), ("reason", reason)], count);
            }
        }
    })),
    entry(Counter, "fantail_input_events_total", "Events among the decoded lines; the others begin, change or end contexts.", Source::Input(|input| input.events)),

    entry(Counter, "fantail_metric_matched_total", "Events that the metric's filter has matched. Resets of statistics do not concern it.", Source::Other(|facts, page, name| {
        for (metric, matched) in &facts.figures.metrics {
            page.figure(name, &[("metric", metric)], matched);
        }
    })),

    entry(Counter, "fantail_exporter_matched_total", "Payloads that metrics asked for. With the recovered and replayed ones, they are delivered, dropped, dead letters or queued.", Source::Exporter(|exporter| exporter.counts.matched)),
    entry(Counter, "fantail_exporter_recovered_total", "Payloads that an earlier run had left on disk.", Source::Exporter(|exporter| exporter.counts.recovered)),
    entry(Counter, "fantail_exporter_delivered_total", "Payloads that the driver has delivered.", Source::Exporter(|exporter| exporter.counts.delivered)),
    entry(Counter, "fantail_exporter_dropped_total", "Payloads that never will be, by reason.", Source::Other(|facts, page, name| {
        for exporter in &facts.figures.exporters {
            for reason in DropReason::ALL.map(DropReason::name) {
                let count = exporter.counts.dropped.get(reason).copied().unwrap_or(0);
                page.figure(name, &[("exporter", &exporter.name), ("reason", reason)], count);
            }
        }
    })),
    entry(Counter, "fantail_exporter_dead_lettered_total", "Payloads that became dead letters, by reason.", Source::Other(|facts, page, name| {
        for exporter in &facts.figures.exporters {
            for reason in DeadReason::ALL.map(DeadReason::name) {
                let count = exporter.counts.dead_lettered.get(reason).copied().unwrap_or(0);
                page.figure(name, &[("exporter", &exporter.name), ("reason", reason)], count);
            }
        }
    })),
    entry(Counter, "fantail_exporter_replayed_total", "Dead letters that were sent again and are delivered, or dead once more.", Source::Exporter(|exporter| exporter.counts.replayed)),
    entry(Gauge, "fantail_exporter_dead_letters", "The dead letters that are kept; 0 where none are.", Source::Exporter(|exporter| exporter.letters.as_ref().map_or(0, |(letters, _)| letters.payloads))),
    entry(Gauge, "fantail_exporter_dead_letters_bytes", "The bytes of their payloads.", Source::Exporter(|exporter| exporter.letters.as_ref().map_or(0, |(letters, _)| letters.bytes))),
    entry(Gauge, "fantail_exporter_queued_payloads", "Payloads on their way: in open batches, in the queue, on disk, with the driver.", Source::Exporter(|exporter| exporter.counts.queued)),
    entry(Counter, "fantail_exporter_retries_total", "How often a batch, or the rest of one, had to be sent again.", Source::Exporter(|exporter| exporter.counts.retries)),
    entry(Gauge, "fantail_exporter_breaker", "1 for the state that the exporter's circuit breaker is in, 0 for the others.", Source::Other(|facts, page, name| {
        for exporter in &facts.figures.exporters {
            for state in CircuitState::ALL {
                let is_it = u8::from(exporter.meter.circuit.state == state);
                page.figure(name, &[("exporter", &exporter.name), ("state", state.name())], is_it);
            }
        }
    })),
    entry(Gauge, "fantail_exporter_failures_in_row", "How many attempts have failed since the peer last took something.", Source::Exporter(|exporter| u64::from(exporter.meter.circuit.failures))),
    entry(Gauge, "fantail_exporter_queue_batches", "Batches that wait in the queue.", Source::Exporter(|exporter| exporter.queue.batches)),
    entry(Gauge, "fantail_exporter_queue_bytes", "What they take of queue_max_size.", Source::Exporter(|exporter| exporter.queue.bytes)),
    entry(Gauge, "fantail_exporter_queue_max_bytes", "The setting queue_max_size.", Source::Exporter(|exporter| exporter.queue.bytes_max)),
    entry(Gauge, "fantail_exporter_spool_payloads", "Payloads that wait on disk.", Source::Exporter(|exporter| exporter.queue.disk.payloads)),
    entry(Gauge, "fantail_exporter_spool_bytes", "Their bytes.", Source::Exporter(|exporter| exporter.queue.disk.bytes)),
    entry(Gauge, "fantail_exporter_spool_max_bytes", "The setting spool_max_size; 0 for a queue in memory.", Source::Exporter(|exporter| exporter.queue.disk.bytes_max)),
    entry(Histogram, "fantail_exporter_batch_payloads", "Payloads in a batch, when the driver is first given it. Its count is the number of batches.", Source::Histogram(|exporter| &exporter.meter.batch, 1)),
    entry(Histogram, "fantail_exporter_delivery_seconds", "For each delivered payload, the time from the read that brought its batch's first event to the end of the driver's call.", Source::Histogram(|exporter| &exporter.meter.delivery, NANOS)),
    entry(Histogram, "fantail_exporter_send_seconds", "The time of each call of the driver plugin with a batch.", Source::Histogram(|exporter| &exporter.meter.send, NANOS)),
    entry(Histogram, "fantail_exporter_format_seconds", "The time of the format plugin's call for the first event of each batch.", Source::Histogram(|exporter| &exporter.meter.format, NANOS)),
];

/// Appends a host's figures to the page.
pub(super) fn append(host: &Handle, page: &mut Page) {
    let (figures, stage) = (host.figures(), host.stage());
    write(&Facts { figures, stage, process: Process::now() }, page);
}

fn write(facts: &Facts, page: &mut Page) {
    let Figures { inputs, exporters, .. } = &facts.figures;
    for Entry { family, source } in ENTRIES {
        page.family(family);
        let name = family.name;
        match source {
            Source::Input(of) => {
                for (input, figures) in inputs {
                    page.figure(name, &[("input", input)], of(figures));
                }
            }
            Source::Exporter(of) => {
                for exporter in exporters {
                    page.figure(name, &[("exporter", &exporter.name)], of(exporter));
                }
            }
            Source::Histogram(of, per_unit) => {
                for exporter in exporters {
                    let labels = [("exporter", exporter.name.as_str())];
                    page.histogram(name, &labels, of(exporter), *per_unit);
                }
            }
            Source::Other(write) => write(facts, page, name),
        }
    }
}

fn optional(page: &mut Page, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        page.figure(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        ENTRIES, ExporterStatus, Facts, Figures, InputFigures, Kind, Page, Process, Stage, write,
    };

    use crate::statistics::openmetrics::valid::Syntax;

    const DOC: &str = include_str!("../../../docs/metrics.md");

    fn kind(kind: Kind) -> &'static str {
        match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// A host of which there is something of everything to tell.
    fn facts() -> Facts {
        let input = InputFigures { rejected: [("syntax", 1)].into(), ..InputFigures::default() };
        let exporter = ExporterStatus { name: "out\"".into(), ..ExporterStatus::default() };
        let figures = Figures {
            inputs: vec![("in".into(), input)],
            metrics: vec![("imap/log".into(), 5)],
            exporters: vec![exporter],
        };
        let (memory, descriptors) = (Some(1), Some(2));
        let process = Process { cpu: 0.5, memory, descriptors, descriptors_max: Some(3) };
        Facts { figures, stage: Stage::Ready, process }
    }

    #[test]
    fn every_figure_is_explained_and_nothing_else() {
        let rows = DOC.lines().filter(|line| line.starts_with("| `fantail_"));
        let found: Vec<&str> = rows.collect();
        // One is on the statistics' page.
        let build = "| `fantail_build_info{version}` | info | The version of the host. |";
        let wanted = ENTRIES.iter().map(|entry| {
            let labels = labels(entry.family.name);
            let family = &entry.family;
            format!("| `{}{labels}` | {} | {} |", family.name, kind(family.kind), family.help)
        });
        let wanted: Vec<String> = std::iter::once(build.to_owned()).chain(wanted).collect();
        assert_eq!(found, wanted, "docs/metrics.md should have:\n{}\n", wanted.join("\n"));
    }

    /// The labels of a family's figures, as they are served: `{input,reason}`.
    fn labels(name: &str) -> String {
        let mut page = Page::new(String::new(), Syntax::Prometheus);
        write(&facts(), &mut page);
        let line = page.text.lines().find(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
        });
        let line = line.unwrap_or_else(|| panic!("nothing of {name} is served"));
        let Some((_, labels)) = line.split_once('{') else { return String::new() };
        let labels = labels.split("\",").filter_map(|label| label.split_once('='));
        let names: Vec<&str> = labels.map(|(name, _)| name).filter(|name| *name != "le").collect();
        format!("{{{}}}", names.join(","))
    }

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let mut names = BTreeSet::new();
        for entry in ENTRIES {
            let name = entry.family.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(entry.family.help.ends_with('.') && !entry.family.help.contains('|'));
            assert_eq!(name.ends_with("_total"), entry.family.kind == Kind::Counter, "{name}");
        }
        // A family's name and those of its figures are different things in OpenMetrics.
        for name in &names {
            let short = name.trim_end_matches("_total");
            assert!(short == *name || !names.contains(short), "{short}");
        }
    }

    #[test]
    fn the_figures_are_those_of_the_host() {
        let mut page = Page::new(String::new(), Syntax::OpenMetrics);
        write(&facts(), &mut page);
        for line in [
            "fantail_ready 1",
            "# TYPE fantail_input_rejected counter",
            "fantail_input_rejected_total{input=\"in\",reason=\"syntax\"} 1",
            "fantail_metric_matched_total{metric=\"imap/log\"} 5",
            "fantail_exporter_dropped_total{exporter=\"out\\\"\",reason=\"queue_full\"} 0",
            "fantail_exporter_breaker{exporter=\"out\\\"\",state=\"closed\"} 1",
            "fantail_exporter_breaker{exporter=\"out\\\"\",state=\"open\"} 0",
            "fantail_exporter_send_seconds_count{exporter=\"out\\\"\"} 0",
        ] {
            assert!(page.text.lines().any(|found| found == line), "{line}\n{}", page.text);
        }
    }
}
