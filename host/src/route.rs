//! Which event goes where: the metrics of a configuration, with their filters
//! compiled into one set.

use std::sync::Arc;

use crate::{
    event::{Event, Symbols, flatten::Export},
    filter::{FilterSet, Matcher},
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
}

/// All metrics, shared by the workers.
#[derive(Debug, Default)]
pub struct Routes {
    /// The metrics' filters, in the metrics' order.
    pub filters: FilterSet,
    /// The names that filters, metrics and exporters ask events for.
    pub symbols: Arc<Symbols>,
    /// The metrics, in the order of the configuration.
    pub routes: Vec<Route>,
}

/// What one worker needs to ask the routes.
#[derive(Debug)]
pub struct Router {
    shared: Arc<Routes>,
    matcher: Matcher,
    matched: Vec<u32>,
}

impl Router {
    /// A worker's own view of the routes.
    pub fn new(shared: Arc<Routes>) -> Self {
        Router {
            matcher: Matcher::new(&shared.filters, &shared.symbols),
            shared,
            matched: Vec::new(),
        }
    }

    /// The names that events are asked for; decoders look them up.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.shared.symbols
    }

    /// Calls `matched` for each metric that the event matches, with its place, in the
    /// order of the configuration.
    #[inline]
    pub fn route(&mut self, event: &Event<'_>, mut matched: impl FnMut(usize, &Route)) {
        self.shared.filters.matches_into(event, &mut self.matcher, &mut self.matched);
        for &metric in &self.matched {
            let metric = metric as usize;
            matched(metric, &self.shared.routes[metric]);
        }
    }
}
