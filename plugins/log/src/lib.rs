//! The driver `log`: one line an event in the system's log.
//!
//! `log_target = auto` looks when a batch comes and no socket is open: the journal's
//! socket exists: `journal`; else the syslog socket exists: `syslog`; else
//! `stderr`. A log once found is kept, also while it is away for a
//! restart, until the host calls `reopen`.
//!
//! | target | what is written, with the defaults of the other settings |
//! | --- | --- |
//! | `syslog` | a record as syslog daemons take it locally: `<22>Jun 19 10:38:25 fantail[4711]: PAYLOAD` (facility mail, severity info, local time); a datagram each, or ended by NUL where the socket is a stream |
//! | `syslog`, `log_format = rfc5424` | `<22>1 2026-11-21T17:05:09Z mail.example.com fantail 4711 imap_command_finished [fantail@32473 user="jo"] PAYLOAD` |
//! | `journal` | an entry with `MESSAGE` (the payload, any bytes), `PRIORITY=6`, `SYSLOG_FACILITY=2`, `SYSLOG_IDENTIFIER=fantail`, `FANTAIL_EXPORTER`, and one for each of `log_fields`: `FANTAIL_USER` |
//! | `stderr` | the payload and a line feed |
//!
//! For syslog and stderr, control characters other than TAB are written as
//! `#` and three octal digits, so that an event stays one line and the terminal unharmed. A
//! batch waits for at most one second in all for a log that does not read.

#![deny(unsafe_code)]

mod journal;
mod line;
mod settings;
mod socket;
mod stderr;
mod style;
mod syslog;

use std::time::{Duration, Instant};

use fantail_sdk::{
    Batch, Driver, DriverContext, LabelPart, List, PluginError, SendError, export_driver,
};

use journal::Journal;
pub use settings::Settings;
use settings::Target;
use stderr::Stderr;
use style::Style;
use syslog::Syslog;

/// How long a batch waits in all for a log that does not read.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Writes to one log.
pub struct Log {
    settings: Settings,
    style: Style,
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

    fn open_sink(&mut self) -> Result<(), LogError> {
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
                Target::Journal => Sink::Journal(Journal::open(
                    &self.settings.log_journal_socket,
                    &self.style,
                    &self.exporter,
                )?),
                Target::Syslog => Sink::Syslog(Syslog::open(&self.settings.log_syslog_socket)?),
                Target::Stderr | Target::Auto => Sink::Stderr(Stderr::default()),
            });
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
        self.open_sink()?;
        let sink = self.sink.as_mut().expect("invariant: opened above");
        let deadline = Instant::now() + WAIT_MAX;
        for (index, payload) in batch.payloads().enumerate() {
            match sink.write(payload, &self.style, &batch.label(index), deadline) {
                Ok(()) => batch.delivered(index),
                Err(LogError::GiveUp(reason)) => batch.give_up(index, reason),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Sink {
    fn write(
        &mut self,
        payload: &[u8],
        style: &Style,
        label: &List<'_>,
        deadline: Instant,
    ) -> Result<(), LogError> {
        match self {
            Sink::Journal(journal) => journal.write(payload, style, label, deadline),
            Sink::Syslog(syslog) => syslog.write(payload, style, label, deadline),
            Sink::Stderr(stderr) => stderr.write(payload, deadline),
        }
    }
}

impl Driver for Log {
    type Settings = Settings;

    const FIELD_LENGTH_MAX: Option<usize> = Some(1000);

    fn open(settings: Settings, context: &DriverContext) -> Result<Self, PluginError> {
        let style = Style::new(&settings)?;
        let exporter = context.exporter.clone();
        Ok(Log { settings, style, exporter, found: None, sink: None })
    }

    fn wants(&self) -> Vec<LabelPart> {
        self.style.wants.clone()
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
