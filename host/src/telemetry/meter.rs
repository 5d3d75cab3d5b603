//! How long things take in an exporter, how large its batches are, and how it gets on with
//! its peer.
//!
//! Measured for each batch, never for each event: what it costs is a few looks at the
//! clock for some 64 KiB of payloads.

use std::time::Duration;

use super::{
    circuit::{Circuit, CircuitFigures},
    histogram::{Histogram, HistogramFigures},
};

/// Nanoseconds of a microsecond, a millisecond and a second.
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;

/// Of a format's calls.
const FORMAT_TIMES: &[u64] =
    &[250, 500, US, 2_500, 5 * US, 10 * US, 25 * US, 50 * US, 100 * US, MS, 10 * MS, 100 * MS];

/// Of a driver's calls.
const SEND_TIMES: &[u64] = &[
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    60 * S,
];

/// From arrival to delivery.
const DELIVERY_TIMES: &[u64] = &[
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    300 * S,
    3600 * S,
];

/// Payloads in a batch.
const BATCH_SIZES: &[u64] = &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// What is measured of one exporter.
#[derive(Debug)]
pub struct ExporterMeter {
    format: Histogram,
    send: Histogram,
    delivery: Histogram,
    batch: Histogram,
    /// Its circuit breaker.
    pub circuit: Circuit,
}

/// What was measured of one exporter until one moment; times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterFigures {
    /// The time of a format's call, for the first event of each batch.
    pub format: HistogramFigures,
    /// The time of a driver's call.
    pub send: HistogramFigures,
    /// The time from the read that brought the first event of a batch to the payload's
    /// delivery, for each delivered payload.
    pub delivery: HistogramFigures,
    /// The payloads in a batch when the driver was first given it.
    pub batch: HistogramFigures,
    /// The circuit breaker.
    pub circuit: CircuitFigures,
}

impl Default for ExporterMeter {
    fn default() -> Self {
        ExporterMeter {
            format: Histogram::new(FORMAT_TIMES),
            send: Histogram::new(SEND_TIMES),
            delivery: Histogram::new(DELIVERY_TIMES),
            batch: Histogram::new(BATCH_SIZES),
            circuit: Circuit::default(),
        }
    }
}

impl ExporterMeter {
    /// A format's call took so long.
    pub fn formatted(&self, took: Duration) {
        self.format.add(nanos(took), 1);
    }

    /// The driver begins with a batch of so many payloads.
    pub fn begins(&self, payloads: usize) {
        self.batch.add(payloads as u64, 1);
    }

    /// A driver's call took so long.
    pub fn sent(&self, took: Duration) {
        self.send.add(nanos(took), 1);
    }

    /// So many payloads were delivered, whose batch is so old.
    pub fn delivered(&self, payloads: usize, age: Duration) {
        if payloads > 0 {
            self.delivery.add(nanos(age), payloads as u64);
        }
    }

    /// What was measured until now.
    pub fn figures(&self) -> MeterFigures {
        MeterFigures {
            format: self.format.figures(),
            send: self.send.figures(),
            delivery: self.delivery.figures(),
            batch: self.batch.figures(),
            circuit: self.circuit.figures(),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
