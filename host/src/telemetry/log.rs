//! The host's log: lines on standard error.
//!
//! Levels say who must act: an error needs the administrator now, a warning
//! wants a look, info tells what the host does, debug and trace are for whoever
//! searches for a fault.
//!
//! Under systemd each line begins with its priority (`<4>`), as sd-daemon(3)
//! has it; otherwise with the time.

use std::{
    fmt,
    io::{self, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use fantail_sdk::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes to standard error.
struct StderrLog {
    for_journal: bool,
}

/// Starts the log. Later calls change the level only.
pub fn start(level: LevelFilter) {
    let for_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    // A second call finds the logger of the first; only the level can change.
    let _ = log::set_boxed_logger(Box::new(StderrLog { for_journal }));
    log::set_max_level(level);
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The HTTP and TLS libraries of plugins tell too much below warnings.
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = if self.for_journal {
            format!("<{}>{}\n", priority(record.level()), OneLine(record.args()))
        } else {
            let now = Timestamp::now();
            format!("{now} {}: {}\n", word(record.level()), OneLine(record.args()))
        };
        // Nobody is left to tell when standard error can't be written to.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The syslog priority of a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A text with its control characters made visible, so that it stays one line
/// and can't drive a terminal, whatever a peer has sent.
struct OneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for piece in text.split_inclusive(char::is_control) {
                    match piece.chars().next_back() {
                        Some(control) if control.is_control() => {
                            self.0.write_str(&piece[..piece.len() - control.len_utf8()])?;
                            write!(self.0, "{}", control.escape_default())?;
                        }
                        _ => self.0.write_str(piece)?,
                    }
                }
                Ok(())
            }
        }
        fmt::Write::write_fmt(&mut Escape(f), *self.0)
    }
}

/// Lets a message through once in a while, and counts the ones between.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl RateLimit {
    /// At most one message in `interval`.
    pub const fn new(interval: Duration) -> Self {
        RateLimit { interval, state: Mutex::new((None, 0)) }
    }

    /// Whether a message may be written at `now`: then with the number of those
    /// that were held back since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        self.add(now, 1).map(|sum| sum - 1)
    }

    /// Adds `amount` of what the messages tell of. Whether a message may be written
    /// at `now`: then with the sum since the last one, `amount` included.
    pub fn add(&self, now: Instant, amount: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, held) = &mut *state;
        *held = held.saturating_add(amount);
        match last {
            Some(last) if now.duration_since(*last) < self.interval => None,
            _ => {
                *last = Some(now);
                Some(std::mem::take(held))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{OneLine, RateLimit};

    #[test]
    fn control_characters_become_visible() {
        let check = |text: &str, expected: &str| {
            assert_eq!(OneLine(&format_args!("{text}")).to_string(), expected);
        };
        check("plain é text", "plain é text");
        check("two\nlines\t\x1b[31m", "two\\nlines\\t\\u{1b}[31m");
        check("", "");
    }

    #[test]
    fn held_back_messages_are_counted() {
        let limit = RateLimit::new(Duration::from_secs(60));
        let start = Instant::now();
        assert_eq!(limit.pass(start), Some(0));
        assert_eq!(limit.pass(start + Duration::from_secs(1)), None);
        assert_eq!(limit.pass(start + Duration::from_secs(59)), None);
        assert_eq!(limit.pass(start + Duration::from_secs(60)), Some(2));
        assert_eq!(limit.pass(start + Duration::from_secs(61)), None);
        assert_eq!(limit.add(start + Duration::from_secs(62), 10), None);
        assert_eq!(limit.add(start + Duration::from_secs(120), 5), Some(16));
    }
}
