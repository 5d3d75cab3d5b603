//! The driver `http-post`: one POST request an event.
//!
//! The payload is the request's body; `Content-Type` says what the format says. A
//! batch's requests go over up to `http_client_max_parallel_connections` connections
//! at a time, which stay open for the next ones. The timeout is each request's own,
//! from its start: a slow server delays events and loses none.
//!
//! | what comes back | what becomes of the payload |
//! | --- | --- |
//! | 2xx | delivered, whatever the body |
//! | 408, 425, 429, 5xx | sent again later; with `Retry-After: SECONDS`, not before that (10 min at most) |
//! | 3xx | given up: redirects are not followed, the reason says where to |
//! | other 4xx | given up: `HTTP 400 Bad Request` |
//! | no connection, a broken one, no response in time, no HTTP, a certificate that is not valid | sent again later |
//!
//! As many failures in a row as there are connections, a `Retry-After` or 5
//! seconds end a batch early: what has not been sent is left to the host. A request whose
//! connection broke may have arrived all the same; it is sent again.
//!
//! Names are looked up beside the requests, one lookup at a time, and kept for 30
//! seconds: one that takes longer than a request may is there for the next.

#![deny(unsafe_code)]

mod batch;
mod client;
mod names;
mod outcome;
mod settings;
mod tls;

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

use batch::Poster;
use client::Client;
pub use settings::Settings;

/// Posts to one URL.
pub struct HttpPost {
    settings: Settings,
    context: DriverContext,
    poster: Poster,
}

impl HttpPost {
    fn poster(settings: &Settings, context: &DriverContext) -> Result<Poster, PluginError> {
        let client = Client::open(settings, context)?;
        Ok(Poster::new(client, settings.http_client_max_parallel_connections))
    }
}

impl Driver for HttpPost {
    type Settings = Settings;

    fn open(settings: Settings, context: &DriverContext) -> Result<Self, PluginError> {
        settings.check()?;
        let poster = Self::poster(&settings, context)?;
        Ok(HttpPost { settings, context: context.clone(), poster })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        self.poster.send(batch)
    }

    /// Closes all connections, forgets addresses, and reads certificates anew.
    fn reopen(&mut self) -> Result<(), SendError> {
        self.poster = Self::poster(&self.settings, &self.context).map_err(SendError::retry)?;
        Ok(())
    }
}

export_driver!(HttpPost, "http-post");

#[cfg(test)]
mod tests;
