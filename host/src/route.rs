//! Which event goes where: the metrics of a configuration, with their filters
//! compiled into one set.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    event::{Event, flatten::Export},
    filter::FilterSet,
};

/// One metric, as far as routing goes.
#[derive(Debug)]
pub struct Route {
    /// Its name in the configuration.
    pub metric: String,
    /// The exporter's place in the configuration, if it has one.
    pub exporter: Option<usize>,
    /// Which parts and fields of the event are exported.
    pub export: Export,
    matched: AtomicU64,
}

impl Route {
    /// A metric that has matched nothing yet.
    pub fn new(metric: String, exporter: Option<usize>, export: Export) -> Self {
        Route { metric, exporter, export, matched: AtomicU64::new(0) }
    }

    /// How many events have matched.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// Counts events that matched.
    pub fn add_matched(&self, count: u64) {
        self.matched.fetch_add(count, Ordering::Relaxed);
    }
}

/// All metrics, shared by the workers.
#[derive(Debug)]
pub struct Routes {
    /// The metrics' filters, in the metrics' order.
    pub filters: FilterSet,
    /// The metrics, in the order of the configuration.
    pub routes: Vec<Route>,
}

/// What one worker needs to ask the routes.
#[derive(Debug)]
pub struct Router {
    shared: Arc<Routes>,
    matched: Vec<u32>,
    counts: Vec<u64>,
}

impl Router {
    /// A worker's own view of the routes.
    pub fn new(shared: Arc<Routes>) -> Self {
        let counts = vec![0; shared.routes.len()];
        Router { shared, matched: Vec::new(), counts }
    }

    /// Counts the event for every metric it matches, and calls `export` for each
    /// of them that has an exporter, in the order of the configuration.
    #[inline]
    pub fn route(&mut self, event: &Event<'_>, mut export: impl FnMut(&Route, usize)) {
        self.shared.filters.matches_into(event, &mut self.matched);
        for &index in &self.matched {
            let index = index as usize;
            self.counts[index] += 1;
            let route = &self.shared.routes[index];
            if let Some(exporter) = route.exporter {
                export(route, exporter);
            }
        }
    }

    /// Adds to the metrics what was counted here.
    pub fn publish(&mut self) {
        for (route, count) in self.shared.routes.iter().zip(&mut self.counts) {
            if *count > 0 {
                route.add_matched(std::mem::take(count));
            }
        }
    }
}
