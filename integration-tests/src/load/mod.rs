//! A load: the events of a mail server, made from a seed, the same for the same seed.
//!
//! Names, fields and their order are those of the recordings in `data/captures` (of
//! deliveries, which were not recorded: those of Dovecot's sources): users log in, IMAP
//! sessions open, run commands and close, mails are delivered. Some users are far more
//! active than others, and many sessions are open at a time. An event has some 510 bytes
//! on its way from Dovecot, and 19 fields. A [`Load`] is one round of it, which ends with all
//! sessions closed, so that it can be sent over and over by one connection; its last event
//! is a FETCH of the most active user.
//!
//! The same events are there twice: as Dovecot's processes write them (`stats-writer`), and
//! as the format `json` writes them. Addresses are sent as text, as Dovecot 2.3 does: so
//! both generations read the same bytes.

mod event;
mod mail;
mod users;

use event::Layer;
pub use users::Users;

/// What is sent once for each connection, before the events of [`Load::stats`].
pub const GREETING: &str = concat!(
    "VERSION\tstats-client\t4\t0\n",
    "CATEGORY\tservice:imap-login\n",
    "CATEGORY\tauth-client\n",
    "CATEGORY\tservice:imap\n",
    "CATEGORY\timap\n",
    "CATEGORY\tservice:lmtp\n",
    "CATEGORY\tlmtp\n",
    "CATEGORY\tstorage\n",
    "CATEGORY\tmaildir\tstorage\n",
    "CATEGORY\tmailbox\tstorage\n",
    "CATEGORY\tmail\tmailbox\n",
    "CATEGORY\tlocal-delivery\n",
);

/// The host name in the lines of JSON.
pub const HOSTNAME: &str = "mail1.example.com";

/// One round of events.
#[derive(Clone, Debug)]
pub struct Load {
    /// Lines of the stats-writer protocol, without the [`GREETING`].
    pub stats: Vec<u8>,
    /// The same events as lines of JSON.
    pub json: Vec<u8>,
    /// All of them that have a name.
    pub all: Share,
    /// Events in [`Load::stats`] without a name: those that BEGIN, as sessions do.
    pub begins: u64,
    /// The FETCH commands among them: about a fifth.
    pub fetches: Share,
    /// What belongs to the most active user.
    pub top_user: Share,
    /// The most active user's name.
    pub top_user_name: String,
    /// Lines in [`Load::stats`].
    pub stats_lines: u64,
    /// The fields of all events together, inherited ones and `duration` included.
    pub fields: u64,
    inherits: Inherits,
}

/// What events have from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inherits {
    /// Their sessions' fields, or those of the command that they belong to.
    Sessions,
    Nothing,
}

/// How many of a load's events some filter lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub events: u64,
    /// Bytes of the events' lines of JSON, with the line ends.
    pub json_bytes: u64,
}

impl Load {
    /// A round of about so many named events, a few more or less.
    pub fn new(seed: u64, events: usize) -> Self {
        mail::Server::new(seed, Inherits::Sessions).run(events)
    }

    /// The same server's events, each of which has all of its fields itself: nothing is begun, and
    /// nothing inherited. The longest texts are cut, so that events have about as many bytes.
    pub fn alone(seed: u64, events: usize) -> Self {
        mail::Server::new(seed, Inherits::Nothing).run(events)
    }

    fn empty(top_user_name: String, inherits: Inherits) -> Self {
        Load {
            inherits,
            stats: Vec::new(),
            json: Vec::new(),
            all: Share::default(),
            begins: 0,
            fetches: Share::default(),
            top_user: Share::default(),
            top_user_name,
            stats_lines: 0,
            fields: 0,
        }
    }

    fn add_line(&mut self, line: &str) {
        debug_assert!(!line.contains('\n'), "a line is one line");
        self.stats.extend_from_slice(line.as_bytes());
        self.stats.push(b'\n');
        self.stats_lines += 1;
    }

    /// Adds a session or another event that later ones refer to.
    fn begin(&mut self, parent: &[Layer], own: &Layer) {
        if self.inherits == Inherits::Nothing {
            return;
        }
        self.add_line(&own.begin_line(parent.last().map_or(0, |layer| layer.id)));
        self.begins += 1;
    }

    fn end(&mut self, id: u64) {
        if self.inherits == Inherits::Sessions {
            self.add_line(&format!("END\t{id}"));
        }
    }

    /// Adds an event with its ancestors, oldest first, and those of its global event.
    fn event(&mut self, global: &[Layer], parents: &[Layer], own: &Layer) {
        let id = |chain: &[Layer]| chain.last().map_or(0, |layer| layer.id);
        let ancestors = || global.iter().chain(parents);
        let mut fields = event::flatten(ancestors().chain([own]));
        match self.inherits {
            Inherits::Sessions => self.add_line(&own.event_line(id(global), id(parents))),
            Inherits::Nothing => {
                fields = event::alone(fields);
                self.add_line(&own.alone_line(ancestors(), &fields));
            }
        }
        let line = own.json_line(ancestors(), &fields);
        let is_fetch = own.name == "imap_command_finished"
            && fields.iter().any(|(key, value)| *key == "cmd_name" && value.is("FETCH"));
        self.fields += fields.len() as u64;
        let mut shares = vec![&mut self.all];
        if is_fetch {
            shares.push(&mut self.fetches);
        }
        let top = &self.top_user_name;
        if fields.iter().any(|(key, value)| *key == "user" && value.is(top)) {
            shares.push(&mut self.top_user);
        }
        for share in shares {
            share.events += 1;
            share.json_bytes += line.len() as u64 + 1;
        }
        self.json.extend_from_slice(line.as_bytes());
        self.json.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
