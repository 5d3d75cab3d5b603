//! How much memory a host with a configuration takes at most. `docs/delivery.md` has the sum in
//! words; the program itself and the groups of its metrics come on top.

use crate::{
    config::{
        Config, ExporterConfig, InputConfig,
        settings::{HttpConfig, InputDriver, QueueKind},
    },
    input::HTTP_HEAD_MAX,
    queue::{DISK_MEMORY_MAX, SPARE_MEMORY_MAX},
};

/// Bytes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    exporters: u64,
    inputs: u64,
}

impl Memory {
    /// What a host with this configuration and so many workers takes.
    pub(super) fn of(config: &Config, workers: usize) -> Memory {
        let workers = workers as u64;
        let exporters = config.exporters.iter();
        let inputs = config.inputs.iter();
        Memory {
            exporters: sum(exporters.map(|exporter| of_exporter(exporter, config, workers))),
            inputs: sum(inputs.map(|input| of_input(input, workers))),
        }
    }

    /// The same as a line.
    pub(super) fn text(self) -> String {
        let Memory { exporters, inputs } = self;
        let whole = rough(exporters.saturating_add(inputs));
        let (exporters, inputs) = (rough(exporters), rough(inputs));
        format!("at most {whole} and the program (exporters {exporters}, inputs {inputs})")
    }
}

fn of_exporter(exporter: &ExporterConfig, config: &Config, workers: u64) -> u64 {
    // A batch is closed behind the event, or the request, with which it is full.
    let open = |last: u64| exporter.batch_max_size.saturating_add(last);
    let lasts = config.inputs.iter().map(|input| match http(input) {
        Some(http) => http.request_max_size,
        None => input.line_limit,
    });
    let largest = open(lasts.max().unwrap_or(0));
    let readers = config.inputs.iter().filter(|input| {
        matches!(input.driver, InputDriver::Stdin { .. } | InputDriver::File { .. })
    });
    sum([
        exporter.queue_max_size,
        largest.saturating_mul(workers),
        sum(readers.map(|input| open(input.line_limit))),
        // With the driver, and on its way there.
        largest.saturating_mul(2),
        SPARE_MEMORY_MAX as u64,
        if exporter.queue == QueueKind::Memory { 0 } else { DISK_MEMORY_MAX as u64 },
    ])
}

fn of_input(input: &InputConfig, workers: u64) -> u64 {
    let lines = |connections: usize| input.line_limit.saturating_mul(connections as u64);
    match &input.driver {
        InputDriver::StatsWriter { max_connections, open_events, .. } => {
            lines(*max_connections).saturating_add(open_events.max_size)
        }
        InputDriver::Unix { max_connections, .. } | InputDriver::Tcp { max_connections, .. } => {
            lines(*max_connections)
        }
        InputDriver::Http(http) => sum([
            (HTTP_HEAD_MAX as u64).saturating_mul(http.max_connections as u64),
            http.requests_max_size,
            http.request_max_size.saturating_mul(workers),
        ]),
        InputDriver::Stdin { .. } => lines(1),
        InputDriver::File { open_events, .. } => lines(1).saturating_add(open_events.max_size),
    }
}

fn http(input: &InputConfig) -> Option<&HttpConfig> {
    match &input.driver {
        InputDriver::Http(http) => Some(http),
        _ => None,
    }
}

fn sum(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

/// A size for people, rounded up.
fn rough(bytes: u64) -> String {
    let mib = bytes.div_ceil(1 << 20);
    if mib < 1024 {
        return format!("{mib} MiB");
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::rough;

    #[test]
    fn sizes_are_rounded_up() {
        let check = |bytes: u64, expected: &str| assert_eq!(rough(bytes), expected);
        check(0, "0 MiB");
        check(1, "1 MiB");
        check(32 << 20, "32 MiB");
        check((1023 << 20) + 1, "1.0 GiB");
        check(1 << 30, "1.0 GiB");
        check((1 << 30) + 1, "1.1 GiB");
        check(5 << 40, "5120.0 GiB");
    }
}
