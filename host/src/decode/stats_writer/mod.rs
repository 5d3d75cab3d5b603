//! Dovecot's stats-writer protocol: one connection's lines, one after the other.
//!
//! Lines end in LF, their arguments are separated by TAB and escaped as in
//! [`tab_escape`]. A client first says which protocol it speaks; then:
//!
//! | command | arguments |
//! | --- | --- |
//! | `VERSION` | `stats-client`, major version, minor version; the first line only |
//! | `CATEGORY` | name, parent's name if it has one |
//! | `BEGIN` | id, parent's id, log type, event: opens an event, which also counts as sent |
//! | `UPDATE` | id, parent's id, event: changes an open event |
//! | `END` | id: closes it |
//! | `EVENT` | global event's id, parent's id, log type, event |
//!
//! An event is the time of its creation (seconds, microseconds) and items (see
//! the room `item`). Ids are 64-bit numbers of the client's choice; 0 stands for
//! none. The facts are those of Dovecot 2.3 and 2.4 (`src/stats/client-writer.c`
//! and `src/lib/lib-event.c` there), with one difference: a bad line costs that
//! line only, where Dovecot's server closes the connection.

mod address;
mod category_run;
mod item;
mod number;
mod time;

use std::sync::Arc;

use fantail_sdk::tab_escape;

use super::{Decoded, Line, LineError, Reason};
use crate::decode::token::{Token, Tokens};
use crate::event::{
    Ancestors, Categories, CategoryError, CategoryRegistry, Event, LogType, OpenContent, OpenError,
    OpenEvents, OpenId, OpenLimits, Parts, Symbols,
};
use item::{Draft, Fields, argument, syntax};

/// Bytes in the longest line that is looked at. Dovecot's server takes 128 KiB;
/// the limit that users know is whoever cuts the lines, this one keeps numbers small.
pub const LINE_MAX: usize = 16 << 20;

/// What Dovecot's clients call their end.
const CLIENT_SERVICE: &[u8] = b"stats-client";
/// The protocol's major version; another one is another protocol.
const MAJOR_VERSION: u32 = 4;

/// The state of one connection from a client.
#[derive(Debug)]
pub struct StatsWriter {
    registry: CategoryRegistry,
    open: OpenEvents,
    draft: Draft,
    version_seen: bool,
}

impl Default for StatsWriter {
    fn default() -> Self {
        Self::new(OpenLimits::default(), Arc::default())
    }
}

impl StatsWriter {
    /// A connection that has sent nothing yet, and may keep what `limits` says.
    /// The configuration asks for `symbols`.
    pub fn new(limits: OpenLimits, symbols: Arc<Symbols>) -> Self {
        let mut draft = Draft::default();
        draft.set_symbols(Arc::clone(&symbols));
        StatsWriter {
            registry: CategoryRegistry::new(symbols),
            open: OpenEvents::new(limits),
            draft,
            version_seen: false,
        }
    }

    /// Goes over to the names of another configuration: what is known so far is
    /// looked up anew.
    pub fn set_symbols(&mut self, symbols: &Arc<Symbols>) {
        if Arc::ptr_eq(self.draft.symbols(), symbols) {
            return;
        }
        self.open.resolve(symbols);
        self.registry.set_symbols(Arc::clone(symbols));
        self.draft.set_symbols(Arc::clone(symbols));
    }

    #[cfg(test)]
    pub(super) fn shapes(&mut self) -> &mut super::shape::Shapes {
        &mut self.draft.shapes
    }

    /// The events that the client has open.
    pub fn open_events(&self) -> &OpenEvents {
        &self.open
    }

    /// Allows so many bytes of open events for now; see [`OpenEvents::set_allowed`].
    pub fn set_open_allowed(&mut self, bytes: usize) {
        self.open.set_allowed(bytes);
    }

    /// Decodes the next line, given without its LF. Called for every line.
    ///
    /// # Errors
    ///
    /// When the line is not one that the client may send now. It changes nothing
    /// then, and the connection goes on with the next line unless the error says
    /// that it must be closed.
    pub fn decode<'a>(&'a mut self, line: impl Into<Line<'a>>) -> Result<Decoded<'a>, LineError> {
        let line = line.into();
        if line.len() > LINE_MAX {
            return Err(LineError::new(Reason::TooLong, LINE_MAX, "the end of the line"));
        }
        let mut tokens = Tokens::new(line.bytes());
        let command = argument(&mut tokens, "a command")?;
        if !self.version_seen {
            version(command, &mut tokens)?;
            self.version_seen = true;
            return Ok(Decoded::Handshake);
        }
        match command.bytes {
            b"EVENT" => self.event(line, tokens),
            b"BEGIN" => self.begin(line, tokens),
            b"UPDATE" => self.update(line, tokens),
            b"END" => self.end(tokens),
            b"CATEGORY" => self.category(tokens),
            _ => Err(LineError::new(
                Reason::UnknownCommand,
                command.start,
                "one of CATEGORY, BEGIN, UPDATE, END and EVENT",
            )),
        }
    }

    fn event<'a>(
        &'a mut self,
        line: Line<'a>,
        mut tokens: Tokens<'a>,
    ) -> Result<Decoded<'a>, LineError> {
        let (token, global) = id(&mut tokens, "the global event's id, or 0")?;
        let global = self.open_event(token, global, Reason::UnknownEvent)?;
        let (token, parent) = id(&mut tokens, "the parent's id, or 0")?;
        let parent = self.open_event(token, parent, Reason::UnknownParent)?;
        let log_type = log_type(&mut tokens)?;
        self.draft.read(&mut tokens, &self.registry, Fields::Wanted)?;
        let duration = self.draft.add_duration();
        Ok(Decoded::Event(self.sent(line, log_type, duration, parent, global)))
    }

    fn begin<'a>(
        &'a mut self,
        line: Line<'a>,
        mut tokens: Tokens<'a>,
    ) -> Result<Decoded<'a>, LineError> {
        let (token, peer_id) = id(&mut tokens, "the event's id")?;
        if self.open.find(peer_id).is_some() {
            let expected = "an id that is not open";
            return Err(LineError::new(Reason::DuplicateEvent, token.start, expected));
        }
        let (parent_token, parent) = id(&mut tokens, "the parent's id, or 0")?;
        let parent = self.open_event(parent_token, parent, Reason::UnknownParent)?;
        let log_type = log_type(&mut tokens)?;
        self.draft.read(&mut tokens, &self.registry, Fields::All)?;
        let duration = self.draft.add_duration();
        let content = content(&self.draft, line.bytes(), Some(log_type));
        self.open
            .begin(peer_id, parent, &content)
            .map_err(|error| refused(error, token, parent_token))?;
        Ok(Decoded::Event(self.sent(line, log_type, duration, parent, None)))
    }

    /// The event in the draft, which is complete.
    fn sent<'a>(
        &'a self,
        line: Line<'a>,
        log_type: LogType,
        duration: i64,
        parent: Option<OpenId>,
        global: Option<OpenId>,
    ) -> Event<'a> {
        // What stands behind the line comes along, for whoever copies blocks.
        let text = line.text();
        Event {
            name: self.draft.name_in(text),
            log_type: Some(log_type),
            source: self.draft.source_in(text),
            hostname: None,
            start_time: self.draft.created,
            end_time: None,
            duration,
            parts: Parts::ALL,
            own: self.draft.layer(text),
            ancestors: Ancestors { open: Some(&self.open), parent, global },
            categories: Categories::Registered(&self.registry),
        }
    }

    /// An update leaves the field `duration` as the BEGIN set it: nothing was sent.
    fn update(
        &mut self,
        line: Line<'_>,
        mut tokens: Tokens<'_>,
    ) -> Result<Decoded<'static>, LineError> {
        let (token, peer_id) = id(&mut tokens, "the event's id")?;
        let Some(event) = self.open.find(peer_id) else {
            return Err(unknown(Reason::UnknownEvent, token));
        };
        let (parent_token, parent) = id(&mut tokens, "the parent's id, or 0")?;
        let parent = if parent == 0 { None } else { self.open.find(parent) };
        if self.open.parent(event) != parent {
            let expected = "the parent that the event was begun with";
            return Err(LineError::new(Reason::ChangedParent, parent_token.start, expected));
        }
        self.draft.read(&mut tokens, &self.registry, Fields::All)?;
        let content = content(&self.draft, line.bytes(), None);
        self.open.update(event, &content).map_err(|error| refused(error, token, parent_token))?;
        Ok(Decoded::Context)
    }

    fn end(&mut self, mut tokens: Tokens<'_>) -> Result<Decoded<'static>, LineError> {
        let (token, peer_id) = id(&mut tokens, "the event's id")?;
        if self.open.end(peer_id) {
            Ok(Decoded::Context)
        } else {
            Err(unknown(Reason::UnknownEvent, token))
        }
    }

    fn category(&mut self, mut tokens: Tokens<'_>) -> Result<Decoded<'static>, LineError> {
        let name = argument(&mut tokens, "the category's name")?;
        let parent = tokens.next();
        let unescaped = |token: Token<'_>| {
            let mut plain = Vec::with_capacity(token.bytes.len());
            tab_escape::unescape_into(token.bytes, &mut plain);
            plain
        };
        let parent_name = parent.map(unescaped);
        let parent_at = parent.map_or(tokens.column(), |parent| parent.start);
        match self.registry.register(&unescaped(name), parent_name.as_deref()) {
            Ok(_) => Ok(Decoded::Context),
            Err(CategoryError::UnknownParent) => Err(LineError::new(
                Reason::UnknownCategory,
                parent_at,
                "a registered category as the parent",
            )),
            Err(CategoryError::ParentChanged) => Err(LineError::new(
                Reason::ChangedCategory,
                parent_at,
                "the parent that the category was registered with",
            )),
            Err(CategoryError::Full) => {
                Err(LineError::new(Reason::TooMany, name.start, "no more than 1024 categories"))
            }
            Err(CategoryError::TooLong) => {
                Err(syntax(name, "a category's name of 255 bytes at most"))
            }
        }
    }

    /// The open event that the client calls `peer_id`; none for 0.
    fn open_event(
        &self,
        token: Token<'_>,
        peer_id: u64,
        reason: Reason,
    ) -> Result<Option<OpenId>, LineError> {
        if peer_id == 0 {
            return Ok(None);
        }
        self.open.find(peer_id).map(Some).ok_or_else(|| unknown(reason, token))
    }
}

/// Checks the line that must be a connection's first.
fn version(command: Token<'_>, tokens: &mut Tokens<'_>) -> Result<(), LineError> {
    let wrong = |column, expected| Err(LineError::new(Reason::Version, column, expected));
    if command.bytes != b"VERSION" {
        return wrong(command.start, "VERSION as the first line's command");
    }
    let line = tokens.line();
    let mut next = || tokens.next().unwrap_or(Token { start: line.len(), bytes: b"" });
    let service = next();
    if service.bytes != CLIENT_SERVICE {
        return wrong(service.start, "stats-client as the client's service");
    }
    let major = next();
    if number::unsigned_32(line, major) != Some(MAJOR_VERSION) {
        return wrong(major.start, "4 as the protocol's major version");
    }
    let minor = next();
    if number::unsigned_32(line, minor).is_none() {
        return wrong(minor.start, "a number as the protocol's minor version");
    }
    match tokens.next() {
        Some(token) => wrong(token.start, "nothing behind the minor version"),
        None => Ok(()),
    }
}

fn id<'a>(tokens: &mut Tokens<'a>, expected: &'static str) -> Result<(Token<'a>, u64), LineError> {
    let token = argument(tokens, expected)?;
    let id = number::unsigned_small(tokens.line(), token).ok_or_else(|| syntax(token, expected))?;
    Ok((token, id))
}

fn log_type(tokens: &mut Tokens<'_>) -> Result<LogType, LineError> {
    let expected = "a log type from 0 to 5";
    let token = argument(tokens, expected)?;
    number::unsigned_small(tokens.line(), token)
        .and_then(LogType::from_number)
        .ok_or_else(|| syntax(token, expected))
}

/// What the draft says about an event that is, or will be, open.
fn content<'a>(draft: &'a Draft, line: &'a [u8], log_type: Option<LogType>) -> OpenContent<'a> {
    OpenContent {
        name: draft.name,
        log_type,
        source: draft.source,
        created: draft.created,
        last_sent: draft.last_sent,
        own: draft.layer(line),
    }
}

fn unknown(reason: Reason, token: Token<'_>) -> LineError {
    LineError::new(reason, token.start, "the id of an open event")
}

fn refused(error: OpenError, id: Token<'_>, parent: Token<'_>) -> LineError {
    match error {
        OpenError::DuplicateId => {
            LineError::new(Reason::DuplicateEvent, id.start, "an id that is not open")
        }
        OpenError::TooMany => LineError::new(
            Reason::TooMany,
            id.start,
            "open events within the limits of number, fields and bytes",
        ),
        OpenError::NoRoom => LineError::new(
            Reason::NoRoom,
            id.start,
            "an event that fits into open_events_max_size with all that the input has open,",
        ),
        OpenError::TooDeep => LineError::new(
            Reason::TooMany,
            parent.start,
            "an event with no more parents above it than the limit",
        ),
    }
}

#[cfg(test)]
mod tests;
