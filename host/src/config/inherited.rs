//! Sockets that were opened for us and that no block of the configuration is for: those of
//! a stats-writer become inputs, those of a stats-reader or for HTTP listeners.
//!
//! A process of Dovecot's gets the listeners that Dovecot has by itself, too; they
//! stand in no file.

use std::path::PathBuf;

use super::inputs;
use super::reader::{Reader, Section};
use super::settings::{
    Assumed, InputConfig, InputDriver, ListenerConfig, ListenerDriver, OpenMetricsCompat, Socket,
};
use super::source::{Place, Placed};
use super::table::BlockKind;
use super::tree::Tree;
use crate::inherited::{Address, Offer, Purpose};
use crate::socket::Endpoint;

/// Adds an input or a listener for each of the `offers` that none of those there is for.
pub(super) fn add(
    reader: &mut Reader<'_>,
    offers: &[Offer],
    inputs: &mut Vec<(usize, InputConfig)>,
    listeners: &mut Vec<ListenerConfig>,
) {
    let is_elsewhere = |reader: &Reader<'_>, name: &Placed<String>, socket: &Socket| {
        reader.variables.is_assumed(name.place) && opened_elsewhere(&name.value, socket, offers)
    };
    inputs.retain(|(_, input)| match &input.driver {
        InputDriver::StatsWriter { socket, .. } => !is_elsewhere(reader, &input.name, socket),
        _ => true,
    });
    listeners.retain(|listener| match &listener.driver {
        ListenerDriver::StatsReader { socket } => !is_elsewhere(reader, &listener.name, socket),
        ListenerDriver::Http { .. } => true,
    });
    let inputs_places = inputs.iter().filter_map(|(_, input)| place_of_input(&input.driver));
    let listeners_places = listeners.iter().flat_map(|one| places_of_listener(&one.driver));
    let taken: Vec<Endpoint> = inputs_places.chain(listeners_places).collect();
    for offer in offers {
        let Some(purpose) = offer.purpose else { continue };
        if taken.iter().any(|endpoint| offer.address.is_at(endpoint)) {
            continue;
        }
        let is_known = |name: &str| {
            inputs.iter().any(|(_, input)| input.name.value == name)
                || listeners.iter().any(|listener| listener.name.value == name)
        };
        let name = Placed::new(unused_name(offer, is_known), Place::default());
        match (purpose, &offer.address) {
            (Purpose::Writer, Address::Unix(_)) => {
                inputs.push((usize::MAX, writer(reader, name, &offer.address)));
            }
            (Purpose::Reader, Address::Unix(_)) => {
                let driver = ListenerDriver::StatsReader { socket: socket(&offer.address) };
                listeners.push(ListenerConfig { name, driver });
            }
            (Purpose::Http, Address::Tcp(address)) => {
                let addresses = vec![Placed::new(address.to_string(), Place::default())];
                let driver = ListenerDriver::Http { addresses, compat: OpenMetricsCompat::Off };
                listeners.push(ListenerConfig { name, driver });
            }
            // Another kind of socket than its name says: it is among those that nobody uses.
            _ => {}
        }
    }
}

/// Whether a listener that Dovecot has without writing it was opened at another path than we
/// take it for: then its `base_dir` is one that the configuration does not say.
fn opened_elsewhere(name: &str, assumed: &Socket, offers: &[Offer]) -> bool {
    let paths = || {
        offers.iter().filter_map(|offer| match &offer.address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        })
    };
    let is_called = |path: &PathBuf| {
        path.ends_with(name) && (name.contains('/') || !path.ends_with("login/stats-writer"))
    };
    paths().any(is_called) && paths().all(|path| *path != assumed.path.value)
}

/// The socket's name, or with a number behind it when there is one of that name. Of Dovecot's
/// sockets two are called `stats-writer`: the one for login processes is `login/stats-writer`.
fn unused_name(offer: &Offer, is_known: impl Fn(&str) -> bool) -> String {
    let is_for_login = match &offer.address {
        Address::Unix(path) => path.parent().is_some_and(|parent| parent.ends_with("login")),
        Address::Tcp(_) => false,
    };
    let wanted = match is_for_login && !offer.name.contains('/') {
        true => format!("login/{}", offer.name),
        false => offer.name.clone(),
    };
    let numbered = (2..).map(|number: usize| format!("{wanted}-{number}"));
    let mut names = std::iter::once(wanted.clone()).chain(numbered);
    names.find(|name| !is_known(name)).expect("invariant: there are more numbers than blocks")
}

fn writer(reader: &mut Reader<'_>, name: Placed<String>, address: &Address) -> InputConfig {
    let input = Section { id: Tree::TOP, kind: BlockKind::Input };
    let driver = InputDriver::StatsWriter {
        socket: socket(address),
        max_connections: reader.count(input, "max_connections"),
        open_events: inputs::open_events(reader, input),
    };
    InputConfig { name, driver, line_limit: reader.size(input, "line_limit") }
}

/// The socket as it is: its rights are not ours to change.
fn socket(address: &Address) -> Socket {
    Socket {
        path: Placed::new(address.to_string().into(), Place::default()),
        mode: 0o600,
        user: None,
        group: None,
        assumed: Assumed::Nothing,
    }
}

fn place_of_input(driver: &InputDriver) -> Option<Endpoint> {
    match driver {
        InputDriver::StatsWriter { socket, .. } | InputDriver::Unix { socket, .. } => {
            Some(unix(socket))
        }
        InputDriver::Tcp { address, .. } => Some(Endpoint::tcp(&address.value)),
        InputDriver::Http(http) => Some(Endpoint::tcp(&http.address.value)),
        InputDriver::Stdin { .. } | InputDriver::File { .. } => None,
    }
}

fn places_of_listener(driver: &ListenerDriver) -> Vec<Endpoint> {
    match driver {
        ListenerDriver::StatsReader { socket } => vec![unix(socket)],
        ListenerDriver::Http { addresses, .. } => {
            addresses.iter().map(|address| Endpoint::tcp(&address.value)).collect()
        }
    }
}

fn unix(socket: &Socket) -> Endpoint {
    Endpoint::Unix(socket.path.value.clone(), socket.mode, None, None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Checks, Config, Surroundings, check_filter, parse};
    use crate::{
        config::settings::{InputDriver, ListenerDriver},
        inherited::{Address, Offer, Purpose},
        plugin::{Pins, Placement, Registry},
    };

    fn load(text: &str, offers: &[Offer]) -> Option<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fantail.conf");
        std::fs::write(&path, text).unwrap();
        let none = Registry::find(&[], &[], &Pins::new(), Placement::InPlace);
        let checks = Checks { schemas: &none, filter: &check_filter, inputs_required: true };
        let parsed = parse(&[path], Surroundings::MACHINE).with_sockets(offers.to_vec());
        parsed.load(checks).config
    }

    fn names(config: &Config) -> Vec<String> {
        let inputs = config.inputs.iter().map(|input| format!("input {}", input.name.value));
        let listeners = config.listeners.iter();
        let listeners = listeners.map(|listener| format!("listener {}", listener.name.value));
        inputs.chain(listeners).collect()
    }

    #[test]
    fn what_nothing_is_for_becomes_an_input_or_a_listener() {
        let unix = |name: &str, path: &str, purpose| Offer {
            name: name.into(),
            address: Address::Unix(path.into()),
            purpose,
        };
        let tcp = |purpose| Offer {
            name: "http".into(),
            address: Address::Tcp("0.0.0.0:9900".parse().unwrap()),
            purpose,
        };
        let (writer, reader) = (Some(Purpose::Writer), Some(Purpose::Reader));
        let offers = [
            unix("stats-writer", "/run/d/stats-writer", writer),
            unix("stats-writer", "/run/d/login/stats-writer", writer),
            unix("stats-reader", "/run/d/stats-reader", reader),
            tcp(Some(Purpose::Http)),
            unix("else", "/run/d/else", None),
            tcp(Some(Purpose::Writer)),
        ];
        let check = |text: &str, expected: &[&str]| {
            let config = load(text, &offers).expect(text);
            assert_eq!(names(&config), expected, "{text}");
        };
        let all = [
            "input stats-writer",
            "input login/stats-writer",
            "listener stats-reader",
            "listener http",
        ];
        check("", &all);
        // Those of the configuration come first, and theirs are not given twice.
        check(
            "input own {\n driver = stats-writer\n path = /run/d/stats-writer\n}\n\
             listener web {\n driver = http\n listen = *:9900\n}\n",
            &["input own", "input login/stats-writer", "listener web", "listener stats-reader"],
        );
        // A Dovecot's own listeners are not assumed anywhere else than where they are.
        check("protocols = imap\n", &all);
        check(
            "protocols = imap\nbase_dir = /run/d\n",
            &["input login/stats-writer", "input stats-writer", all[2], all[3]],
        );
        assert!(load("", &[]).is_none(), "there is no input");
        // With the defaults of an input.
        let config = load("", &offers).unwrap();
        let InputDriver::StatsWriter { socket, max_connections, .. } = &config.inputs[0].driver
        else {
            unreachable!()
        };
        assert_eq!(socket.path.value, Path::new("/run/d/stats-writer"));
        assert_eq!((*max_connections, config.inputs[0].line_limit), (10_000, 128 << 10));
        let ListenerDriver::Http { addresses, .. } = &config.listeners[1].driver else {
            unreachable!()
        };
        assert_eq!(addresses[0].value, "0.0.0.0:9900");
    }
}
