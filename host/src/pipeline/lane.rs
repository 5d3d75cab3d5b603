//! What every thread that reads events has for itself: the way of an event from
//! its decoder to the exporters' queues, without sharing anything with another
//! thread but the queues and the sums.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fantail_sdk::Timestamp;

use crate::{
    event::{Event, Symbols, flatten::Flattener},
    filter::FilterSet,
    format::{Closed, Here, Stage, StagePlan},
    queue::Promise,
    route::{Router, Routes},
    statistics::{Counter, Statistics},
};

/// How long a payload may wait in an open batch while there is always something
/// else to read, unless its exporter has it wait longer.
const OPEN_MAX: Duration = Duration::from_millis(100);

/// What lanes are made from.
#[derive(Clone)]
pub struct LanePlan {
    /// The metrics.
    pub routes: Arc<Routes>,
    /// What is counted of them.
    pub statistics: Statistics,
    /// One for each exporter, in the order of the configuration.
    pub stages: Vec<StagePlan>,
    /// This machine's name in exports.
    pub hostname: Arc<[u8]>,
}

/// What a lane takes over: all of it made beside the lane, so that taking it over
/// can't fail.
pub struct LaneUpdate {
    router: Router,
    counter: Counter,
    stages: Vec<StageUpdate>,
    hostname: Arc<[u8]>,
}

/// An exporter's stage after an update.
enum StageUpdate {
    /// The one that the lane has at this place, with its open batch.
    Keep(usize),
    /// A new one.
    New(Box<Stage>),
}

/// One thread's way from events to batches.
pub struct Lane {
    router: Router,
    counter: Counter,
    stages: Vec<Stage>,
    /// Stages of exporters that are no more, until their last batches are in the
    /// queues.
    retiring: Vec<Stage>,
    flattener: Flattener,
    hostname: Arc<[u8]>,
    now: Timestamp,
    /// The moment of `now` on the clock that only goes forward.
    read_at: Instant,
    /// When it was last looked which batches are to be closed.
    flushed_at: Instant,
    /// When to look again while there is always something to read.
    flush_interval: Duration,
    /// The stages, by their places, that an event since the last tick met full and
    /// whose queues block.
    blocked_by: Vec<usize>,
    /// What is told once the events of now are where they should be.
    promise: Option<Arc<Promise>>,
}

impl LaneUpdate {
    /// An update to `plan`, with own instances of all formats. `kept` says for
    /// each exporter of the plan which place it has in the lane already, if it
    /// is to go on unchanged.
    ///
    /// # Errors
    ///
    /// What a format has against its settings, with the exporter's name.
    pub fn open(plan: &LanePlan, kept: &[Option<usize>]) -> Result<Self, (String, String)> {
        let stages = plan.stages.iter().zip(kept).map(|(stage, kept)| match kept {
            Some(place) => Ok(StageUpdate::Keep(*place)),
            None => match Stage::open(stage) {
                Ok(stage) => Ok(StageUpdate::New(Box::new(stage))),
                Err(reason) => Err((stage.exporter.clone(), reason)),
            },
        });
        Ok(LaneUpdate {
            router: Router::new(Arc::clone(&plan.routes)),
            counter: plan.statistics.counter(&plan.routes.symbols),
            stages: stages.collect::<Result<_, _>>()?,
            hostname: Arc::clone(&plan.hostname),
        })
    }
}

impl Lane {
    /// A lane with its own instances of all formats.
    ///
    /// # Errors
    ///
    /// What a format has against its settings, with the exporter's name.
    pub fn open(plan: &LanePlan) -> Result<Self, (String, String)> {
        let update = LaneUpdate::open(plan, &vec![None; plan.stages.len()])?;
        let mut lane = Lane::empty();
        lane.adopt(update);
        Ok(lane)
    }

    /// A lane that leads nowhere yet: no event matches.
    pub fn empty() -> Self {
        let nowhere = Routes { filters: FilterSet::new(Vec::new()), ..Routes::default() };
        Lane {
            router: Router::new(Arc::new(nowhere)),
            counter: Statistics::new([]).counter(&Symbols::default()),
            stages: Vec::new(),
            retiring: Vec::new(),
            flattener: Flattener::default(),
            hostname: Arc::default(),
            now: Timestamp::now(),
            read_at: Instant::now(),
            flushed_at: Instant::now(),
            flush_interval: OPEN_MAX,
            blocked_by: Vec::new(),
            promise: None,
        }
    }

    /// Goes on with what the update says; called between two events. Whoever waits
    /// for an exporter must forget its place, and try again.
    ///
    /// # Panics
    ///
    /// When the update was made for a lane with other exporters: a bug.
    pub fn adopt(&mut self, update: LaneUpdate) {
        self.publish();
        self.router = update.router;
        self.counter = update.counter;
        self.hostname = update.hostname;
        let mut old: Vec<Option<Stage>> =
            std::mem::take(&mut self.stages).into_iter().map(Some).collect();
        for stage in update.stages {
            self.stages.push(match stage {
                StageUpdate::New(stage) => *stage,
                StageUpdate::Keep(place) => {
                    old[place].take().expect("invariant: an exporter is kept in one place")
                }
            });
        }
        self.retiring.extend(old.into_iter().flatten());
        let timeouts = self.stages.iter().map(Stage::timeout).filter(|timeout| !timeout.is_zero());
        self.flush_interval = timeouts.fold(OPEN_MAX, Duration::min);
        self.blocked_by.clear();
        self.close_retiring();
    }

    /// Closes the batches of exporters that are no more; true when none is left.
    fn close_retiring(&mut self) -> bool {
        self.retiring.retain_mut(|stage| !stage.close_batch());
        self.retiring.is_empty()
    }

    /// Looks at the clock; called once for every read. The events decoded from
    /// it are exported "now".
    pub fn tick(&mut self) {
        self.read_at = Instant::now();
        if self.read_at.duration_since(self.flushed_at) >= self.flush_interval {
            // What does not fit now is tried again at the next tick or flush.
            self.flush_due_at(self.read_at);
        }
        self.now = Timestamp::now();
        self.blocked_by.clear();
    }

    /// The names that this lane asks events for: the decoder of an event must have
    /// looked its fields up there.
    pub fn symbols(&self) -> &Arc<Symbols> {
        self.router.symbols()
    }

    /// Routes an event: counts it, formats it for every exporter that wants it.
    #[inline]
    pub fn event(&mut self, event: &Event<'_>) {
        let Lane { router, counter, stages, flattener, hostname, now, read_at, .. } = self;
        let Lane { blocked_by, promise, .. } = self;
        router.route(event, |metric, route| {
            counter.count(metric, event);
            let Some(exporter) = route.exporter else { return };
            let stage = &mut stages[exporter];
            flattener.with_raw(event, &route.export, hostname, *now, |raw| {
                stage.format(raw, event, Here { hostname, now: *now }, *read_at);
            });
            if let Some(promise) = promise {
                stage.promise(promise);
            }
            if stage.is_full() && !stage.close_batch() && !blocked_by.contains(&exporter) {
                blocked_by.push(exporter);
            }
        });
    }

    /// Promises the events from now on, until [`close_promised`](Self::close_promised).
    pub fn promise(&mut self, promise: Arc<Promise>) {
        self.promise = Some(promise);
    }

    /// Promises no further event, and closes the open batches in which there are promised ones,
    /// as far as there is room; [`unblock`](Self::unblock) tries the others again.
    pub fn close_promised(&mut self) {
        self.promise = None;
        for stage in self.stages.iter_mut().filter(|stage| stage.is_promised()) {
            stage.close_batch();
        }
    }

    /// Whether every exporter has room for events of so many bytes, as far as one can know.
    pub fn has_room_everywhere(&self, bytes: usize) -> bool {
        self.stages.iter().all(|stage| stage.has_room_for(bytes))
    }

    /// Adds the exporters that the event would go to, each once, and counts nothing.
    pub fn destinations(&mut self, event: &Event<'_>, exporters: &mut Vec<usize>) {
        self.router.route(event, |_, route| {
            if let Some(exporter) = route.exporter.filter(|one| !exporters.contains(one)) {
                exporters.push(exporter);
            }
        });
    }

    /// The exporters that have no room and that an event since the last
    /// [`tick`](Self::tick) went to: whoever brought it should stop until
    /// [`has_room`](Self::has_room) for all of them. Its payloads are kept.
    pub fn blocked_by(&self) -> &[usize] {
        &self.blocked_by
    }

    /// Whether none of these exporters is full here.
    pub fn has_room(&self, exporters: &[usize]) -> bool {
        exporters.iter().all(|&exporter| !self.stages[exporter].is_full())
    }

    /// Whether these exporters have room for events of so many bytes, as far as one can know. If
    /// not, there is a wake-up when that may have changed.
    pub fn has_room_for(&self, exporters: &[usize], bytes: usize) -> bool {
        exporters.iter().all(|&exporter| self.stages[exporter].has_room_for(bytes))
    }

    /// Closes the open batches that don't wait for more, because there is nothing left
    /// to read.
    pub fn flush_due(&mut self) -> Closed {
        self.flush_due_at(Instant::now())
    }

    fn flush_due_at(&mut self, now: Instant) -> Closed {
        let mut closed = if self.close_retiring() { Closed::All } else { Closed::Blocked };
        for stage in &mut self.stages {
            closed = closed.and(stage.close_due(now));
        }
        self.counter.publish();
        self.flushed_at = now;
        closed
    }

    /// Closes every open batch, however long it might wait for more. False when some
    /// queue has no room: call again when it has.
    pub fn flush(&mut self) -> bool {
        let mut flushed = self.close_retiring();
        for stage in &mut self.stages {
            flushed &= stage.close_batch();
        }
        self.counter.publish();
        self.flushed_at = Instant::now();
        flushed
    }

    /// Tries the stages again that are full or have promised events.
    pub fn unblock(&mut self) {
        let is_waited_for = |stage: &&mut Stage| stage.is_full() || stage.is_promised();
        for stage in self.stages.iter_mut().filter(is_waited_for) {
            stage.close_batch();
        }
        self.close_retiring();
    }

    /// Whether any batch is open.
    pub fn has_open_batches(&self) -> bool {
        self.stages.iter().chain(&self.retiring).any(Stage::has_open_batch)
    }

    /// Adds to the ledgers what was counted here, and lets readers of the statistics
    /// have it; called once for every read.
    pub fn publish(&mut self) {
        self.stages.iter_mut().for_each(Stage::publish);
        self.counter.publish();
    }
}
