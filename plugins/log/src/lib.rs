//! The driver `log`: one info line an event in the system's log.
//!
//! `log_target = auto` looks when a batch comes and no socket is open: the journal's
//! socket exists: `journal`; else the syslog socket exists: `syslog`; else
//! `stderr`. A log once found is kept, also while it is away for a
//! restart, until the host calls `reopen`.
//!
//! | target | what is written |
//! | --- | --- |
//! | `syslog` | a record as syslog daemons take it locally: `<22>Jun 19 10:38:25 fantail[4711]: PAYLOAD` (facility mail, severity info, local time); a datagram each, or ended by NUL where the socket is a stream |
//! | `journal` | an entry with `MESSAGE` (the payload, any bytes), `PRIORITY=6`, `SYSLOG_FACILITY=2`, `SYSLOG_IDENTIFIER=fantail` and `FANTAIL_EXPORTER` |
//! | `stderr` | the payload and a line feed |
//!
//! For syslog and stderr, control characters other than TAB are written as
//! `#` and three octal digits, so that an event stays one line and the terminal unharmed. A
//! batch waits for at most one second in all for a log that does not read.

#![deny(unsafe_code)]

mod journal;
mod line;
mod socket;
mod stderr;
mod syslog;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

use journal::Journal;
use stderr::Stderr;
use syslog::Syslog;

fantail_sdk::settings! {
    /// Which log.
    pub struct Settings {
        /// Where lines go: `syslog`, `journal`, `stderr`, or `auto` for the journal if
        /// its socket exists, else syslog if its socket exists, else stderr. Default: auto.
        #[serde(default)]
        log_target: Target,
        /// The socket of the syslog daemon, datagram or stream. Default: /dev/log.
        #[serde(default = "syslog_socket")]
        log_syslog_socket: PathBuf,
        /// The socket of systemd's journal. Default: /run/systemd/journal/socket.
        #[serde(default = "journal_socket")]
        log_journal_socket: PathBuf,
    }
}

fantail_sdk::settings! {
    /// Where lines go.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Target {
        /// The first of journal, syslog and stderr that exists.
        #[default]
        Auto,
        /// The syslog daemon.
        Syslog,
        /// systemd's journal.
        Journal,
        /// The host's standard error.
        Stderr,
    }
}

fn syslog_socket() -> PathBuf {
    "/dev/log".into()
}

fn journal_socket() -> PathBuf {
    "/run/systemd/journal/socket".into()
}

/// How long a batch waits in all for a log that does not read.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Writes to one log.
pub struct Log {
    settings: Settings,
    exporter: String,
    found: Option<Target>,
    sink: Option<Sink>,
}

enum Sink {
    Journal(Journal),
    Syslog(Syslog),
    Stderr(Stderr),
}

/// Why a payload is not in the log.
#[derive(Debug)]
enum LogError {
    /// It never can be.
    GiveUp(String),
    /// It may be later, over the same sink.
    Wait(String),
    /// It may be later, over a new sink.
    Lost(String),
}

impl Log {
    /// The target that stands for `auto` now.
    fn find(&self) -> Target {
        if self.settings.log_journal_socket.exists() {
            Target::Journal
        } else if self.settings.log_syslog_socket.exists() {
            Target::Syslog
        } else {
            Target::Stderr
        }
    }

    fn sink(&mut self) -> Result<&mut Sink, LogError> {
        let target = match (self.settings.log_target, self.found) {
            (Target::Auto, None | Some(Target::Stderr)) => *self.found.insert(self.find()),
            (Target::Auto, Some(found)) => found,
            (set, _) => set,
        };
        if matches!((&self.sink, target), (Some(Sink::Stderr(_)), Target::Journal | Target::Syslog))
        {
            self.sink = None;
        }
        if self.sink.is_none() {
            self.sink = Some(match target {
                Target::Journal => {
                    Sink::Journal(Journal::open(&self.settings.log_journal_socket, &self.exporter)?)
                }
                Target::Syslog => Sink::Syslog(Syslog::open(&self.settings.log_syslog_socket)?),
                Target::Stderr | Target::Auto => Sink::Stderr(Stderr::default()),
            });
        }
        Ok(self.sink.as_mut().expect("invariant: opened above"))
    }

    fn write(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
        let sink = self.sink()?;
        let deadline = Instant::now() + WAIT_MAX;
        for (index, payload) in batch.payloads().enumerate() {
            match sink.write(payload, deadline) {
                Ok(()) => batch.delivered(index),
                Err(LogError::GiveUp(reason)) => batch.give_up(index, reason),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Sink {
    fn write(&mut self, payload: &[u8], deadline: Instant) -> Result<(), LogError> {
        match self {
            Sink::Journal(journal) => journal.write(payload, deadline),
            Sink::Syslog(syslog) => syslog.write(payload, deadline),
            Sink::Stderr(stderr) => stderr.write(payload, deadline),
        }
    }
}

impl Driver for Log {
    type Settings = Settings;

    const FIELD_LENGTH_MAX: Option<usize> = Some(1000);

    fn open(settings: Settings, context: &DriverContext) -> Result<Self, PluginError> {
        Ok(Log { settings, exporter: context.exporter.clone(), found: None, sink: None })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        self.write(batch).map_err(|error| match error {
            LogError::Lost(reason) => {
                self.sink = None;
                SendError::retry(reason)
            }
            LogError::Wait(reason) | LogError::GiveUp(reason) => SendError::retry(reason),
        })
    }

    fn reopen(&mut self) -> Result<(), SendError> {
        (self.found, self.sink) = (None, None);
        Ok(())
    }
}

export_driver!(Log, "log");

#[cfg(test)]
mod tests;
