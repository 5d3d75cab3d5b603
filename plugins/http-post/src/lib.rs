//! The driver `http-post`: events as POST requests, one or many in each.
//!
//! By default a payload is a request's body; `http_post_batch` puts many into one. A
//! batch's requests go over up to `http_client_max_parallel_connections` connections
//! at a time, which stay open for the next ones. The timeout is each request's own,
//! from its start: a slow server delays events and loses none.
//!
//! Only what the server says about *this content* costs an event. Whatever somebody can
//! put right (a password, a URL, a certificate, a quota) is waited for:
//!
//! | what comes back | what becomes of the payloads |
//! | --- | --- |
//! | 2xx, 207 and 204 too | delivered, whatever the body |
//! | 400, 409, 413, 422; 4xx that are not named here | *refused*: a request of several is halved until the one is found; that one is given up, with the status and the body's beginning as reason |
//! | 3xx (unless followed), 401 to 407, 410, 411, 412, 414, 415, 417, 421, 426, 428, 431, 501, 505, 511 | *barred*: sent again later |
//! | 408, 423, 424, 425, 429, 502, 503, 504; 413 with `Retry-After` | *busy*: sent again later |
//! | 500 and other 5xx, 1xx, no HTTP, no response in time, a connection that breaks | *fault*: sent again later |
//! | no address, no connection, a certificate that is not valid, a proxy that does not connect | *unreached*: sent again later |
//!
//! `Retry-After`, in seconds or as a date, is obeyed with every status that is sent again
//! later, up to `http_client_max_auto_retry_delay`.
//!
//! A payload may also bring down the server, or be what a firewall bars. So from its third
//! fault or bar on, a payload is in requests of half the size each time, until it is alone.
//! One that is barred alone five times, while the server takes others, is given up; so is
//! one that `http_client_request_max_attempts` ends.
//!
//! As many failures in a row as there are connections, a `Retry-After` or 5
//! seconds end a batch early: what has not been sent is left to the host. A request whose
//! connection broke may have arrived all the same; it is sent again. Over one connection
//! payloads arrive in their order; over several, later ones may be first.
//!
//! Names are looked up beside the requests, one lookup at a time, and kept for 30
//! seconds: one that takes longer than a request may is there for the next.

#![deny(unsafe_code)]

mod batch;
mod body;
mod client;
mod forward;
mod headers;
mod history;
mod names;
mod outcome;
mod reach;
mod redirect;
mod secrets;
mod settings;
mod tls;

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

use batch::Poster;
use body::Shape;
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
        let shape = Shape::new(settings, headers::content_type(context))?;
        let client = Client::open(settings, context, shape)?;
        Ok(Poster::new(client, shape, settings))
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

    /// Closes all connections, forgets addresses, and reads certificates and secrets anew.
    fn reopen(&mut self) -> Result<(), SendError> {
        self.poster = Self::poster(&self.settings, &self.context).map_err(SendError::retry)?;
        Ok(())
    }
}

export_driver!(HttpPost, "http-post");

#[cfg(test)]
mod tests;
