//! Looking up names without waiting too long, or twice.
//!
//! A lookup can't be stopped: the system's function may take half a minute. So it runs
//! on a thread of its own, one at most for each client, and everybody who wants the
//! answer waits for that as long as the request may take.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use ureq::{
    Error, Timeout,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// How long addresses are good for.
const KEPT: Duration = Duration::from_secs(30);

/// How long it is good to know that there are none.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Looks up the names that a client connects to: mostly one, and more when it is redirected.
#[derive(Debug)]
pub(crate) struct Names {
    /// What is looked up in the place of every server: a proxy, as `host:port`.
    proxy: Option<String>,
    system: fn(&str) -> io::Result<Vec<SocketAddr>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lookup: Mutex<Lookup>,
    done: Condvar,
}

/// The lookup that runs, or the last one.
#[derive(Debug, Default)]
struct Lookup {
    running: bool,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    name: String,
    time: Instant,
    addresses: Result<Vec<SocketAddr>, String>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        url: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let server = || {
            let (scheme, authority) = url.scheme().zip(url.authority())?;
            DefaultResolver::host_and_port(scheme, authority)
        };
        let name = self.proxy.clone().or_else(server).ok_or(Error::HostNotFound)?;
        let addresses = match name.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) => self
                .look_up(&name, *timeout.after)
                .ok_or(Error::Timeout(Timeout::Resolve))?
                .map_err(|error| Error::Io(io::Error::other(error)))?,
        };
        let mut resolved = self.empty();
        addresses.into_iter().take(ADDRESSES_MAX).for_each(|address| resolved.push(address));
        if resolved.is_empty() { Err(Error::HostNotFound) } else { Ok(resolved) }
    }
}

impl Default for Names {
    fn default() -> Self {
        Names {
            proxy: None,
            system: |name| name.to_socket_addrs().map(Iterator::collect),
            shared: Arc::default(),
        }
    }
}

impl Names {
    /// The same, for a client that connects to nothing but this proxy, `host:port`.
    pub(crate) fn of_proxy(address: String) -> Self {
        Names { proxy: Some(address), ..Names::default() }
    }

    /// The addresses of `name`, or why it has none; `None` if that is not known in time.
    fn look_up(&self, name: &str, timeout: Duration) -> Option<Result<Vec<SocketAddr>, String>> {
        let start = Instant::now();
        let mut lookup = self.shared.lock();
        loop {
            if let Some(answer) = lookup.answer.as_ref().filter(|answer| answer.is_good(name)) {
                return Some(answer.addresses.clone());
            }
            if !lookup.running {
                lookup.running = true;
                self.start(name.to_owned(), &mut lookup);
                continue;
            }
            let left = timeout.checked_sub(start.elapsed())?;
            let waited = self.shared.done.wait_timeout(lookup, left);
            lookup = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn start(&self, name: String, lookup: &mut Lookup) {
        let (system, shared) = (self.system, Arc::clone(&self.shared));
        let asked = name.clone();
        let look_up = move || {
            let found = system(&asked);
            shared.lock().finish(asked, found);
            shared.done.notify_all();
        };
        if let Err(error) = thread::Builder::new().name("lookup".into()).spawn(look_up) {
            lookup.finish(name, Err(error));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lookup> {
        self.lookup.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Lookup {
    fn finish(&mut self, name: String, found: io::Result<Vec<SocketAddr>>) {
        let addresses = found.map_err(|error| error.to_string());
        self.running = false;
        self.answer = Some(Answer { name, time: Instant::now(), addresses });
    }
}

impl Answer {
    fn is_good(&self, name: &str) -> bool {
        let kept = if self.addresses.is_ok() { KEPT } else { FAILURE_KEPT };
        self.name == name && self.time.elapsed() < kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    fn names(system: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Names {
        Names { proxy: None, system, shared: Arc::default() }
    }

    #[test]
    fn a_slow_lookup_is_there_for_the_next_request() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let names = names(|_| {
            LOOKUPS.fetch_add(1, SeqCst);
            thread::sleep(Duration::from_millis(200));
            Ok(vec!["127.0.0.1:80".parse().unwrap()])
        });
        assert_eq!(names.look_up("a:80", SHORT), None);
        assert_eq!(names.look_up("a:80", SHORT), None);
        let expected = Ok(vec!["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(names.look_up("a:80", LONG), Some(expected.clone()));
        assert_eq!(names.look_up("a:80", Duration::ZERO), Some(expected));
        assert_eq!(LOOKUPS.load(SeqCst), 1);
    }

    #[test]
    fn a_name_without_addresses_is_said() {
        let names = names(|name| Err(io::Error::other(format!("no {name}"))));
        assert_eq!(names.look_up("a:80", LONG), Some(Err("no a:80".into())));
        assert_eq!(names.look_up("b:80", LONG), Some(Err("no b:80".into())));
    }
}
