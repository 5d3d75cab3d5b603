//! How an exporter and its peer get on, for whoever watches: the state of its circuit breaker
//! (see `driver/breaker.rs`, which decides it).

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CircuitState {
    /// Whole batches are sent.
    #[default]
    Closed,
    /// A few payloads are being sent, which decide.
    HalfOpen,
    /// Nothing is sent, until the next attempt.
    Open,
}

impl CircuitState {
    /// Every state.
    pub const ALL: [CircuitState; 3] =
        [CircuitState::Closed, CircuitState::HalfOpen, CircuitState::Open];

    /// The word for it, in figures and logs.
    pub const fn name(self) -> &'static str {
        match self {
            CircuitState::Closed => "closed",
            CircuitState::HalfOpen => "half_open",
            CircuitState::Open => "open",
        }
    }
}

/// A breaker at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitFigures {
    /// Its state.
    pub state: CircuitState,
    /// How many attempts have failed in a row.
    pub failures: u32,
    /// When the first of them failed.
    pub failing_since: Option<Instant>,
    /// When the next attempt is made, while one is waited for.
    pub next_attempt: Option<Instant>,
}

/// Where an exporter's thread writes them, and others read.
#[derive(Debug, Default)]
pub struct Circuit {
    figures: Mutex<CircuitFigures>,
}

impl Circuit {
    /// Says how it is from now on.
    pub fn set(&self, figures: CircuitFigures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// How it is now.
    pub fn figures(&self) -> CircuitFigures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
