//! What goes wrong with a queue's spool, as the log tells of it.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::telemetry::log::RateLimit;

/// How often one thread may complain of a spool.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// One thread's complaints of a spool.
#[derive(Debug)]
pub(super) struct Trouble {
    exporter: String,
    directory: PathBuf,
    limit: RateLimit,
}

impl Trouble {
    /// For the spool in this directory.
    pub(super) fn new(exporter: &str, directory: &Path) -> Self {
        let limit = RateLimit::new(INTERVAL);
        Trouble { exporter: exporter.to_owned(), directory: directory.to_owned(), limit }
    }

    /// Writes a line to the log, unless there was one a moment ago.
    pub(super) fn complain(&self, what: &dyn Display) {
        if let Some(line) = self.line(what, Instant::now()) {
            log::warn!("{line}");
        }
    }

    /// Writes a line to the log in any case: nobody tries again.
    pub(super) fn last_word(&self, what: &dyn Display) {
        log::error!("{}", self.whole(what));
    }

    fn line(&self, what: &dyn Display, now: Instant) -> Option<String> {
        let held = self.limit.pass(now)?;
        Some(format!("{} ({held} more held back)", self.whole(what)))
    }

    fn whole(&self, what: &dyn Display) -> String {
        format!("exporter {}: spool {}: {what}", self.exporter, self.directory.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_few() {
        let trouble = Trouble::new("out", "/s".as_ref());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let line = |held| Some(format!("exporter out: spool /s: no ({held} more held back)"));
        assert_eq!(trouble.line(&"no", at(0)), line(0));
        assert_eq!(trouble.line(&"no", at(59)), None);
        assert_eq!(trouble.line(&"no", at(60)), line(1));
    }
}
