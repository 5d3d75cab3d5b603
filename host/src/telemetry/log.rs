//! The host's log: lines on standard error.
//!
//! Levels say who must act: an error needs the administrator now, a warning
//! wants a look, info tells what the host does, debug and trace are for whoever
//! searches for a fault.
//!
//! Under systemd each line begins with its priority (`<4>`), as sd-daemon(3)
//! has it; under Dovecot's master with its level in the way of Dovecot's processes
//! (`src/lib/failures.c` there); otherwise with the time.

use std::{
    fmt,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use fantail_sdk::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::io::ioctl_fionread;

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With the time and the level.
    Plain,
    /// With a priority, for the journal.
    Journal,
    /// With 0x01 and the level, for Dovecot's log process, which adds the time itself.
    Dovecot,
}

/// No longer writes to a pipe come apart: Dovecot's log process is sent longer lines in
/// pieces.
const PIPE_BUF: usize = 4096;

/// How long Dovecot's log process may take to read the first line: both start at once.
const LOG_PROCESS_START: Duration = Duration::from_secs(1);

/// Writes to standard error.
struct StderrLog(Style);

/// Starts the log. Later calls change the level only.
pub fn start(level: LevelFilter) {
    let style = Style::of_process();
    // A second call finds the logger of the first; only the level can change.
    if log::set_boxed_logger(Box::new(StderrLog(style))).is_ok() && style == Style::Dovecot {
        // Lines of ours shall begin with our name, not with that of the service.
        let _ = io::stderr().write_all(&dovecot_line(DOVECOT_OPTION, "prefix=fantail: "));
        wait_until_read(io::stderr().as_fd(), LOG_PROCESS_START);
    }
    log::set_max_level(level);
}

impl Style {
    /// How whoever reads the process's standard error wants lines to begin.
    pub fn of_process() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some();
        if is_set("LOG_SERVICE") && is_set("DOVECOT_CHILD_PROCESS") {
            Style::Dovecot
        } else if is_set("JOURNAL_STREAM") {
            Style::Journal
        } else {
            Style::Plain
        }
    }
}

/// What Dovecot's log process takes for no message, but for something about the process.
const DOVECOT_OPTION: u8 = 8;

/// Waits until nothing is left in a pipe, or for `limit`; not at all for what is no pipe.
///
/// The first read of a pipe by Dovecot's log process must be over before a line is written that
/// matters. Whatever that read finds behind the master's handshake lies there until more comes
/// (`log_connection_input` in `src/log/log-connection.c` there), which for the errors of a process
/// that ends with them may be never.
fn wait_until_read(pipe: BorrowedFd<'_>, limit: Duration) {
    let start = Instant::now();
    while ioctl_fionread(pipe).is_ok_and(|left| left > 0) && start.elapsed() < limit {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The levels of Dovecot's processes, one more than their numbers there.
fn dovecot_level(level: Level) -> u8 {
    match level {
        Level::Error => 4,
        Level::Warn => 3,
        Level::Info => 2,
        Level::Debug | Level::Trace => 1,
    }
}

/// A line, or several, for Dovecot's log process.
fn dovecot_line(level: u8, mut text: &str) -> Vec<u8> {
    let head = format!("\x01{}{} ", char::from(level), std::process::id());
    let mut lines = Vec::new();
    loop {
        let mut end = text.len().min(PIPE_BUF - head.len() - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        lines.extend_from_slice(head.as_bytes());
        lines.extend_from_slice(piece.as_bytes());
        lines.push(b'\n');
        text = rest;
        if text.is_empty() {
            return lines;
        }
    }
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
        let text = OneLine(record.args());
        let line = match self.0 {
            Style::Journal => format!("<{}>{text}\n", priority(record.level())).into_bytes(),
            Style::Dovecot => dovecot_line(dovecot_level(record.level()), &text.to_string()),
            Style::Plain => {
                let now = Timestamp::now();
                format!("{now} {}: {text}\n", word(record.level())).into_bytes()
            }
        };
        // Nobody is left to tell when standard error can't be written to.
        let mut lines = line.split_inclusive(|byte| *byte == b'\n');
        let _ = lines.try_for_each(|line| io::stderr().write_all(line));
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
    use std::{
        io::{self, Read, Write},
        os::fd::AsFd,
        thread,
        time::{Duration, Instant},
    };

    use super::{OneLine, PIPE_BUF, RateLimit, dovecot_line, wait_until_read};

    #[test]
    fn a_long_line_is_sent_to_dovecot_in_pieces() {
        let head = format!("\x01\x02{} ", std::process::id());
        assert_eq!(dovecot_line(2, "short"), format!("{head}short\n").into_bytes());
        let text = "é".repeat(5000);
        let sent = String::from_utf8(dovecot_line(2, &text)).unwrap();
        let pieces: Vec<&str> =
            sent.lines().map(|line| line.strip_prefix(&head).unwrap()).collect();
        assert_eq!(pieces.concat(), text);
        assert_eq!(pieces.len(), 3);
        assert!(sent.lines().all(|line| line.len() < PIPE_BUF));
    }

    #[test]
    fn the_first_line_is_read_before_the_next_is_written() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        wait_until_read(writer.as_fd(), Duration::MAX);
        writer.write_all(b"first\n").unwrap();
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        wait_until_read(writer.as_fd(), limit);
        assert!(start.elapsed() >= limit);
        thread::scope(|scope| {
            scope.spawn(|| reader.read_exact(&mut [0; 6]).unwrap());
            wait_until_read(writer.as_fd(), Duration::MAX);
        });
    }

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
