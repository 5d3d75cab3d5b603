//! The statistics as a page for Prometheus.
//!
//! [`valid`] is the page to serve; [`dovecot`] is the page as Dovecot writes it, for
//! whoever has built on that. In both, metrics whose name OpenMetrics does not
//! allow are left out: people name those `imap/log/select` that only export.

pub mod dovecot;
pub mod valid;

// What the valid page is made of.
mod names;
mod families;
mod label_sets;

/// What the pages say of the program.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its version.
    pub version: &'a str,
    /// When it was started, in seconds since the epoch.
    pub started: i64,
}
