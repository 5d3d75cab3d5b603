//! A connection's place among those that its input may have.
//!
//! It is taken before a worker hears of the connection, so that those on their way to
//! one count as well, and given back when it is dropped, whatever the reason. It is
//! counted in the ledger, which outlives a change of the input's settings: so those who
//! came before a change count against the limit that there is after it.

use std::{sync::Arc, time::Instant};

use super::session::Input;

/// A connection's or a file's place in its input.
#[derive(Debug)]
pub struct Seat {
    input: Arc<Input>,
}

impl Seat {
    /// A connection's place; `None` when [`Input::connections_max`] are open. That is
    /// counted, and logged once in a while.
    pub fn take(input: &Arc<Input>, peer: &str) -> Option<Self> {
        if input.ledger.admit(input.connections_max) {
            return Some(Seat { input: Arc::clone(input) });
        }
        if let Some(held) = input.turned_away.pass(Instant::now()) {
            let (name, max) = (&input.name, input.connections_max);
            let more = match held {
                0 => String::new(),
                held => format!(" ({held} more since the last message)"),
            };
            log::warn!(
                "input {name}: {peer}: the connection was closed at once: there are \
                 max_connections already, {max}{more}"
            );
        }
        None
    }

    /// A place for what the host itself has opened: there is no limit to that.
    pub fn reserved(input: &Arc<Input>) -> Self {
        input.ledger.connected();
        Seat { input: Arc::clone(input) }
    }

    /// Whose place it is.
    pub fn input(&self) -> &Arc<Input> {
        &self.input
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.input.ledger.disconnected();
    }
}
