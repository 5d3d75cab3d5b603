//! An exporter, and the handle on its thread: what a `Delivery` works with, and what it can be told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossbeam_channel::{Sender, unbounded};
use fantail_sdk::{
    DriverContext,
    abi::{DriverInstance, DriverTableRef},
};
use serde_json::Value;

use super::{Burial, Pauses, RetryLimits, delivery::Delivery};
use crate::{
    queue::{Outlet, Queue, Wants},
    telemetry::{ledger::ExporterLedger, meter::ExporterMeter},
};

/// How to make instances of an exporter's driver.
#[derive(Clone)]
pub struct DriverSource {
    /// The driver's functions.
    pub table: DriverTableRef,
    /// Its settings.
    pub settings: Value,
    /// What else it is told.
    pub context: DriverContext,
}

impl DriverSource {
    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// What the driver has against its settings.
    pub fn open(&self) -> Result<DriverInstance, String> {
        DriverInstance::open(self.table, &self.settings, &self.context)
    }
}

/// What an exporter's thread can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Have the driver open its files and connections anew.
    Reopen,
    /// The host has a moment by which it must have ended: try again now, and pause
    /// briefly from here on. Batches may still come.
    Hurry,
    /// The exporter is no more in the configuration: deliver, in your own time, until
    /// nobody can push any more and nothing is left, and end.
    Retire,
    /// No batch will be pushed any more: deliver what is there and end.
    Finish,
    /// Give up at once: count what is there as dropped, and end.
    Abandon,
}

/// Everything that an exporter's thread works with.
pub struct Exporter {
    /// Its name in the configuration.
    pub name: String,
    /// Where its batches wait.
    pub queue: Arc<Queue>,
    /// What it counts.
    pub ledger: Arc<ExporterLedger>,
    /// What is measured.
    pub meter: Arc<ExporterMeter>,
    /// How to make its driver.
    pub source: DriverSource,
    /// When it tries again.
    pub retry: RetryPlan,
    /// How many payloads a batch from the disk has at most.
    pub payloads_max: usize,
    /// Whether one of its name and spool ran before, in this process.
    pub successor: bool,
    /// Where it keeps what it does not try again, if it does.
    pub letters: Option<Burial>,
}

/// When an exporter tries again what it could not deliver.
#[derive(Clone, Copy, Debug)]
pub struct RetryPlan {
    /// How long it waits between attempts.
    pub pauses: Pauses,
    /// After so many failures in a row only small attempts are made; 0: that never happens.
    pub breaker_failures: u32,
    /// How long it tries.
    pub limits: RetryLimits,
}

/// A running exporter.
pub struct ExporterThread {
    /// Its name in the configuration.
    pub name: String,
    /// What it counts.
    pub ledger: Arc<ExporterLedger>,
    queue: Arc<Queue>,
    control: Sender<Control>,
    handle: thread::JoinHandle<()>,
    abandoned: Arc<AtomicBool>,
}

impl ExporterThread {
    /// Starts the thread; `driver` is its first instance.
    ///
    /// # Errors
    ///
    /// When the system can't start a thread.
    pub fn start(exporter: Exporter, driver: DriverInstance) -> std::io::Result<Self> {
        let (control, commands) = unbounded();
        let name = exporter.name.clone();
        let ledger = Arc::clone(&exporter.ledger);
        let abandoned = Arc::new(AtomicBool::new(false));
        let queue = Arc::clone(&exporter.queue);
        let wants = Wants {
            label_parts: driver.wants().len(),
            payloads_max: exporter.payloads_max,
            successor: exporter.successor,
        };
        let outlet = Outlet::open(Arc::clone(&queue), Arc::clone(&ledger), wants)?;
        let delivery = Delivery::new(exporter, driver, outlet, commands, Arc::clone(&abandoned));
        let handle = thread::Builder::new()
            .name(format!("exporter {name}"))
            .spawn(move || delivery.run())?;
        Ok(ExporterThread { name, ledger, queue, control, handle, abandoned })
    }

    /// Tells the thread something.
    pub fn tell(&self, control: Control) {
        if control == Control::Abandon {
            self.abandoned.store(true, Ordering::Relaxed);
        }
        // A thread that has ended needs to be told nothing.
        let _ = self.control.send(control);
    }

    /// The last word on its ledger: what is neither delivered nor on disk is lost.
    pub fn settle(&self) {
        let kept = self.queue.disk().map_or(0, |disk| disk.figures().payloads);
        self.ledger.settle(kept);
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}
