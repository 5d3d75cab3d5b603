//! The web service of the demonstration: takes every POST and remembers the last.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tiny_http::{Response, Server};

/// A small HTTP server on loopback, until the process ends.
pub(super) struct WebListener {
    server: Arc<Server>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    last_body: Mutex<Option<String>>,
}

/// How many requests are answered at the same time.
const THREADS: usize = 4;

/// The longest body that is looked at, in bytes.
const BODY_MAX: u64 = 1 << 20;

impl WebListener {
    /// Starts to listen, on a port that the system chooses.
    pub(super) fn start() -> io::Result<Self> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(io::Error::other)?);
        let shared = Arc::new(Shared::default());
        for number in 0..THREADS {
            let (server, shared) = (Arc::clone(&server), Arc::clone(&shared));
            thread::Builder::new()
                .name(format!("demo listener {number}"))
                .spawn(move || answer(&server, &shared))?;
        }
        Ok(WebListener { server, shared })
    }

    /// The address that takes events.
    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.server.server_addr())
    }

    /// How many requests have come.
    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// What the last of them brought.
    pub(super) fn last_body(&self) -> Option<String> {
        self.shared.last_body.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(server: &Server, shared: &Shared) {
    use io::Read;
    while let Ok(mut request) = server.recv() {
        let mut body = String::new();
        // A body that is no text is counted all the same.
        let _ = request.as_reader().take(BODY_MAX).read_to_string(&mut body);
        *shared.last_body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let _ = request.respond(Response::empty(204));
    }
}
