//! The driver `file`: appends each payload and a line feed to a file.
//!
//! The file is opened when the first batch comes: created with mode 0600 if it is
//! not there, never through a symbolic link (in the last part of the path),
//! and only if it is a regular file. A file that somebody moved away is still the
//! one that is written to, until the host calls `reopen`, as after a rotation of logs;
//! then the path is opened again.
//!
//! A batch is one write. When the system takes a part of it only (a full disk, a
//! quota, a limit on a file's size), the lines that went in whole are delivered,
//! the torn rest is cut off again, and the host sends those payloads later. The
//! cut is made only if nobody else has appended meanwhile; otherwise the torn line
//! is ended before the next one starts. Delivered says that the system has the
//! bytes, not that they are on the disk: nothing is synced.

#![deny(unsafe_code)]

mod appender;

use std::path::PathBuf;

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

use appender::Appender;

fantail_sdk::settings! {
    /// Which file.
    pub struct Settings {
        /// The file that payloads are appended to, each with a line feed.
        /// Created with mode 0600 in a directory that must exist. No default.
        #[schemars(extend(
            "format" = "path-to-create",
            "x-aliases" = ["event_exporter_file_path", "transport_args"]
        ))]
        file_path: PathBuf,
    }
}

/// Appends to one file.
pub struct File {
    path: PathBuf,
    appender: Option<Appender>,
    lines: Vec<u8>,
}

/// The room for lines that is kept from batch to batch, in bytes.
const LINES_KEPT_MAX: usize = 1 << 20;

impl File {
    fn appender(&mut self) -> Result<&mut Appender, SendError> {
        if self.appender.is_none() {
            let opened = Appender::open(&self.path);
            self.appender = Some(opened.map_err(|error| self.retry("open", &error))?);
        }
        Ok(self.appender.as_mut().expect("invariant: opened above"))
    }

    fn retry(&self, what: &str, error: &dyn std::fmt::Display) -> SendError {
        SendError::retry(format_args!("can't {what} {}: {error}", self.path.display()))
    }
}

impl Driver for File {
    type Settings = Settings;

    fn open(settings: Settings, _context: &DriverContext) -> Result<Self, PluginError> {
        if settings.file_path.as_os_str().is_empty() {
            return Err(PluginError::new("file_path is empty"));
        }
        Ok(File { path: settings.file_path, appender: None, lines: Vec::new() })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        self.lines.clear();
        self.lines.shrink_to(LINES_KEPT_MAX);
        for payload in batch.payloads() {
            self.lines.extend_from_slice(payload);
            self.lines.push(b'\n');
        }
        let lines = std::mem::take(&mut self.lines);
        let appended = self.appender().map(|appender| {
            let ends = batch.payloads().scan(0, |end, payload| {
                *end += payload.len() + 1;
                Some(*end)
            });
            appender.append(&lines, ends)
        });
        self.lines = lines;
        let appended = appended?;
        batch.delivered_until(appended.lines);
        appended.result.map_err(|error| self.retry("write to", &error))
    }

    fn reopen(&mut self) -> Result<(), SendError> {
        self.appender = None;
        self.appender().map(|_| ())
    }
}

export_driver!(File, "file");

#[cfg(test)]
mod tests;
