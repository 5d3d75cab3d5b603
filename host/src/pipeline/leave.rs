//! A host leaves: a successor has its sockets already.
//!
//! A Dovecot process that loses its connection comes back at once if it had it for 10 s;
//! otherwise it waits until these 10 s are over, and what it has to tell meanwhile is lost. So
//! nobody is let in any more, and each connection is ended when that costs nothing. (Dovecot's
//! own stats process waits for all of its peers to go.)
//!
//! A successor must not wait for that in turn: what only one process can have is given up
//! first, and who has a queue or dead letters on disk leaves at once.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::{
    order::{Order, Signal},
    run::Running,
};
use crate::{config::settings::QueueKind, input::Command};

/// Who has been connected for so long comes back at once: `STATS_CLIENT_RECONNECT_INTERVAL_MSECS`
/// of Dovecot's, and a little for its clock.
const COMES_BACK_AT_ONCE: Duration = Duration::from_millis(10_100);

/// For so long nobody is sent away: at the moment of a reload Dovecot's sockets may be missing
/// (seen with 2.4), and of those that come back just then some don't get in (2.3).
const MASTER_SETTLES: Duration = Duration::from_secs(2);

/// How often connections are looked at.
const TICK: Duration = Duration::from_millis(100);

impl Running {
    /// Lets nobody in any more, and ends each connection when its peer comes back at once. Returns
    /// when that is done, or the host is told to stop.
    pub(super) fn leave(&mut self, orders: &Receiver<Order>) {
        if let Some(listener) = self.listener.take() {
            listener.stop();
        }
        self.inherited.release();
        let start = Instant::now();
        while !self.holds_alone() && self.has_connections() && start.elapsed() < COMES_BACK_AT_ONCE
        {
            if start.elapsed() >= MASTER_SETTLES
                && let Some(before) = Instant::now().checked_sub(COMES_BACK_AT_ONCE)
            {
                self.workers.iter().for_each(|worker| worker.handle.tell(Command::Part(before)));
            }
            let Ok(order) = orders.recv_timeout(TICK) else { continue };
            match order.signal() {
                Signal::Stop => return order.done(Ok(())),
                Signal::Reopen => {
                    self.reopen();
                    order.done(Ok(()));
                }
                // Who reads the configuration now is the successor.
                _ => order.done(Err(vec!["the host is stopping".into()])),
            }
        }
    }

    /// Whether there is something on disk that a successor waits for.
    fn holds_alone(&self) -> bool {
        let mut exporters = self.config.exporters.iter();
        exporters.any(|exporter| exporter.queue != QueueKind::Memory || exporter.dead_letters)
    }

    fn has_connections(&self) -> bool {
        self.workers.iter().any(|worker| worker.handle.connections() > 0)
    }
}
