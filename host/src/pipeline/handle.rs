//! What those hold who read a running host.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use fantail_sdk::Timestamp;

use super::{
    observer::{Figures, Observer},
    order::{Orders, Pending, Signal},
};
use crate::{dead_letters::DeadLetters, queue::Wake, statistics::Statistics};

/// What a host is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not every input is open yet.
    Starting,
    /// It takes events.
    Ready,
    /// It takes no more, and delivers what it has.
    Stopping,
}

/// The stage of a host, which all who read it share.
#[derive(Clone, Debug)]
pub(super) struct Life {
    stage: Arc<AtomicU8>,
}

/// A host, for those who read it.
#[derive(Clone)]
pub struct Handle {
    observer: Observer,
    orders: Orders,
    life: Life,
    /// When it was started, on both clocks.
    started: (Timestamp, Instant),
}

impl Life {
    pub(super) fn starting() -> Self {
        Life { stage: Arc::new(AtomicU8::new(Stage::Starting as u8)) }
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        let stages = [Stage::Starting, Stage::Ready, Stage::Stopping];
        let now = self.stage.load(Ordering::Relaxed);
        stages.into_iter().find(|stage| *stage as u8 == now).unwrap_or(Stage::Stopping)
    }
}

impl Handle {
    pub(super) fn new(observer: Observer, orders: Orders, life: Life) -> Self {
        Handle { observer, orders, life, started: (Timestamp::now(), Instant::now()) }
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        self.observer.figures()
    }

    /// The dead letters of an exporter.
    ///
    /// # Errors
    ///
    /// When there is no such exporter, or it keeps none.
    pub fn dead_letters(&self, exporter: &str) -> Result<Arc<DeadLetters>, String> {
        self.observer.dead_letters(exporter)
    }

    /// The statistics of all metrics.
    pub fn statistics(&self) -> Statistics {
        self.observer.statistics()
    }

    /// What the host is at.
    pub fn stage(&self) -> Stage {
        self.life.stage()
    }

    /// When it was started.
    pub fn started(&self) -> Timestamp {
        self.started.0
    }

    /// How long it has been running, in seconds.
    pub fn uptime(&self) -> f64 {
        self.started.1.elapsed().as_secs_f64()
    }

    /// Tells the host something; `wake` is called when the outcome is there.
    pub fn ask(&self, signal: Signal, wake: &Wake) -> Pending {
        self.orders.ask(signal, wake)
    }
}
