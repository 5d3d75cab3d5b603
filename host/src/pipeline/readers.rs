//! The threads that those who read a running host connect to: `control` speaks the
//! stats-reader protocol, `web` serves pages. A long answer of one does not delay the
//! other.

use std::io;

use super::handle::Handle;
use crate::{
    config::settings::OpenMetricsCompat,
    control,
    inherited::Inherited,
    queue::Wake,
    serve::{Dialog, Door, Server},
    socket::Endpoint,
    statistics::{View, openmetrics::valid::left_out},
    web,
};

/// A listener that is not open yet.
pub(super) struct ListenerPlan {
    /// Its name in the configuration.
    pub(super) name: String,
    /// Where it listens.
    pub(super) endpoints: Vec<Endpoint>,
    /// What it offers.
    pub(super) service: Service,
}

/// What a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// The stats-reader protocol.
    Control,
    /// Pages over HTTP.
    Web(OpenMetricsCompat),
}

impl Service {
    /// The thread that offers it, by its place.
    fn thread(self) -> usize {
        match self {
            Service::Control => 0,
            Service::Web(_) => 1,
        }
    }
}

/// The running threads. Dropped, they end.
pub(super) struct Readers {
    addresses: Vec<String>,
    servers: Vec<Server>,
}

impl Readers {
    /// Opens all listeners and begins to serve.
    ///
    /// # Errors
    ///
    /// When one can't be opened, with its name and address; when the system has no
    /// thread or descriptor left.
    pub(super) fn start(
        listeners: Vec<ListenerPlan>,
        inherited: &Inherited,
        handle: &Handle,
    ) -> io::Result<Self> {
        let is_page =
            |listener: &ListenerPlan| listener.service == Service::Web(OpenMetricsCompat::Off);
        if listeners.iter().any(is_page) {
            let left_out = |view: View<'_>| left_out(view.metrics().map(|metric| metric.plan()));
            for family in handle.statistics().read(left_out) {
                log::warn!("/metrics lacks {family}: figures of another metric have this name");
            }
        }
        let wakes = [Wake::new()?, Wake::new()?];
        let (mut addresses, mut doors) = (Vec::new(), [Vec::new(), Vec::new()]);
        for ListenerPlan { name, endpoints, service } in listeners {
            for endpoint in endpoints {
                let socket = inherited.open(&endpoint).map_err(|error| {
                    io::Error::new(error.kind(), format!("listener {name}: {error}"))
                })?;
                let socket = inherited.keep(socket);
                addresses.push(format!("listener {name} on {}", socket.address()));
                let (handle, wake) = (handle.clone(), wakes[service.thread()].clone());
                let dialog: Box<dyn Fn() -> Box<dyn Dialog> + Send> = match service {
                    Service::Control => {
                        Box::new(move || Box::new(control::Session::new(handle.clone(), &wake)))
                    }
                    Service::Web(compat) => {
                        Box::new(move || Box::new(web::Session::new(handle.clone(), compat)))
                    }
                };
                let name = format!("listener {name}");
                doors[service.thread()].push(Door { name, socket, dialog });
            }
        }
        let mut servers = Vec::new();
        for ((name, doors), wake) in ["control", "web"].into_iter().zip(doors).zip(wakes) {
            if !doors.is_empty() {
                servers.push(Server::start(name, doors, wake)?);
            }
        }
        Ok(Readers { addresses, servers })
    }

    /// Leaves sockets that others have as well to them, and our own (`all`) if they are wanted by
    /// a successor.
    pub(super) fn leave(&self, all: bool) {
        self.servers.iter().for_each(|server| server.leave(all));
    }

    /// What listens where, for messages.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }
}
