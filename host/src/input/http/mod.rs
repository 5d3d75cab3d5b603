//! Events as HTTP requests: what the driver `http-post` sends, or anybody else.
//!
//! A request carries one event or many, as JSON (one object behind the other, a line for each, or
//! an array) or as lines of tab-text, compressed or not. It is taken whole or not at all: when
//! one of its events is malformed nothing of it is taken, and the answer says where. It is
//! answered with 200 once every exporter that wanted an event of it has that where it was
//! configured to be: in its queue in memory, or on disk. Until then the connection is not read.
//!
//! What stands in the way is waited for, but not for ever: after `http_answer_timeout` the answer
//! is 503, mostly without that anything was taken. A sender that names its payloads (see
//! [`window`]) can repeat any request, and none is taken twice.
//!
//! | file | what |
//! | --- | --- |
//! | `content` | from a body to the texts of events |
//! | `identity` | the names of a request's payloads |
//! | `ranges`, `window` | which of them have been taken |
//! | `verdict` | what a request is told |
//! | `secrets` | tokens and certificates |
//! | `session` | from bytes to requests, events in a lane, and answers; without IO |
//! | `connection` | a socket, TLS if there is any, and a session |
//!
//! Left out: HTTP/2, other methods than POST, events whose fields are in the URL.

mod connection;
mod content;
mod identity;
mod ranges;
mod secrets;
mod session;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

pub(super) use connection::HttpConnection;
pub use secrets::{SecretFiles, Secrets};
pub use session::{HTTP_HEAD_MAX, HttpSession};
use window::Window;

use crate::decode::Protocol;

/// What the sessions of an input have in common.
#[derive(Debug)]
pub struct HttpPlan {
    /// The path of events.
    pub path: String,
    /// How events are written, if the configuration says so.
    pub protocol: Option<Protocol>,
    /// The longest body of a request, packed and unpacked, in bytes.
    pub request_max: usize,
    /// All bodies that are being read together, in bytes.
    pub requests_max: usize,
    /// How long a request may take from its first byte to its last.
    pub request_timeout: Duration,
    /// How long a connection stays open without a request, or with an answer that is not read.
    pub idle_timeout: Duration,
    /// How long a request may wait for its answer.
    pub answer_timeout: Duration,
    /// Who may send.
    pub secrets: Secrets,
    /// What outlives a change of the settings.
    pub memory: Arc<Memory>,
}

/// What an input remembers, and what it keeps of requests that are being read.
#[derive(Debug, Default)]
pub struct Memory {
    window: Window,
    held: AtomicUsize,
    /// What is in effect now, and how often that has changed: connections outlive their settings.
    current: Mutex<Weak<HttpPlan>>,
    changes: AtomicU64,
}

impl HttpPlan {
    /// Has all sessions of the input go by this from their next request on.
    pub fn take_effect(self: &Arc<Self>) {
        let mut current = self.memory.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::downgrade(self);
        self.memory.changes.fetch_add(1, Ordering::Release);
    }
}

impl Memory {
    /// How often the settings have changed.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The settings in effect.
    fn current(&self) -> Option<Arc<HttpPlan>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// A session holds `now` bytes, and held `before`. Returns what all of them hold.
    fn changed(&self, before: usize, now: usize) -> usize {
        if now >= before {
            self.held.fetch_add(now - before, Ordering::Relaxed) + (now - before)
        } else {
            self.held.fetch_sub(before - now, Ordering::Relaxed) - (before - now)
        }
    }
}
