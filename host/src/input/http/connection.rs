//! One connection of an `http` input: a socket, TLS if the input speaks it, and the session.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use rustix::{
    event::epoll::EventFlags,
    net::{SendFlags, Shutdown},
};
use rustls::ServerConnection;

use super::HttpSession;
use crate::{
    input::{Input, buffer::ReadBuffer, connection::Wish},
    pipeline::Lane,
};

/// The room that one read of TLS must find: more than a record of it, and than rustls keeps.
const TLS_ROOM: usize = 40 << 10;

/// How often a connection is still read whose input is no more.
const LAST_READS_MAX: u32 = 256;

/// A socket and its session.
pub(in crate::input) struct HttpConnection {
    /// Before the socket: see the other connections.
    session: HttpSession,
    socket: OwnedFd,
    tls: Option<Box<ServerConnection>>,
    left_over: Vec<u8>,
    /// What the peer is still to be told, and how much of it it has taken.
    out: Vec<u8>,
    told: usize,
    /// The peer sends no more.
    ended: bool,
    /// We have said that we send no more.
    finished: bool,
    /// How often it may still be read, once its input is no more.
    last_reads: Option<u32>,
    /// What it is registered for with its worker's epoll; `None` if it is not.
    pub(in crate::input) interest: Option<EventFlags>,
}

impl HttpConnection {
    /// A connection that has said and heard nothing yet.
    ///
    /// # Errors
    ///
    /// When TLS can't begin: then nothing may be read from it.
    pub(in crate::input) fn new(
        socket: OwnedFd,
        session: HttpSession,
    ) -> Result<Self, rustls::Error> {
        let config = session.plan().secrets.tls.as_ref();
        let tls = config.map(|config| ServerConnection::new(Arc::clone(config))).transpose()?;
        Ok(HttpConnection {
            session,
            socket,
            tls: tls.map(Box::new),
            left_over: Vec::new(),
            out: Vec::new(),
            told: 0,
            ended: false,
            finished: false,
            last_reads: None,
            interest: None,
        })
    }

    /// Whose connection it is.
    pub(in crate::input) fn input(&self) -> &Arc<Input> {
        self.session.input()
    }

    /// Whether a request waits for its answer.
    pub(in crate::input) fn is_waiting(&self) -> bool {
        self.session.is_waiting()
    }

    /// After a change of the configuration exporters have other places.
    pub(in crate::input) fn forget_destinations(&mut self) {
        self.session.forget_destinations();
    }

    /// Reads once and feeds the session.
    pub(in crate::input) fn read(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        lane.tick();
        let (socket, tls) = (&self.socket, &mut self.tls);
        let read = buffer.fill(&mut self.left_over, |room| match tls {
            None => Ok(rustix::io::read(socket, room)?),
            Some(tls) => read_tls(tls, socket, room),
        });
        if let Some(left) = &mut self.last_reads {
            *left = left.saturating_sub(1);
            self.ended |= *left == 0;
        }
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if is_temporary(&error) => self.ended |= self.last_reads.is_some(),
            Err(error) => {
                if let Some(trouble) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    let trouble: &rustls::Error = trouble;
                    self.session.count_refused("tls", &format!("TLS: {trouble}"));
                }
                // What TLS has to say about it is said, if it can be.
                self.session.retire();
                self.ended = true;
            }
        }
        self.feed(buffer, lane)
    }

    /// Looks whether a request that waits can be answered.
    pub(in crate::input) fn go_on(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        lane.tick();
        self.session.go_on(lane, Instant::now(), &mut self.out);
        self.go_on_reading(buffer, lane)
    }

    /// The session's deadline, if it has passed.
    pub(in crate::input) fn is_late(&self, now: Instant) -> bool {
        now >= self.session.deadline()
    }

    /// Does what is to be done when the deadline has passed.
    pub(in crate::input) fn late(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        // Whoever does not take its answer, or is asked nothing, or goes on after the last word.
        if !self.is_waiting() && (self.session.is_idle() || self.session.is_over())
            || self.told < self.out.len()
        {
            return Wish::Close;
        }
        self.session.late(Instant::now(), &mut self.out);
        self.go_on_reading(buffer, lane)
    }

    /// Feeds the session what was left over.
    fn go_on_reading(&mut self, buffer: &mut ReadBuffer, lane: &mut Lane) -> Wish {
        // Nothing is read: the fill only moves what was left over.
        let _ = buffer.fill(&mut self.left_over, |_| Ok(0));
        self.feed(buffer, lane)
    }

    fn feed(&mut self, buffer: &ReadBuffer, lane: &mut Lane) -> Wish {
        let now = Instant::now();
        let consumed = self.session.feed(buffer.bytes(), lane, now, &mut self.out);
        buffer.keep(consumed, &mut self.left_over);
        lane.publish();
        self.write()
    }

    /// Writes what the peer takes of what it is to be told.
    pub(in crate::input) fn write(&mut self) -> Wish {
        match self.try_write() {
            Ok(true) => self.wish(),
            Ok(false) => Wish::Write,
            // It does not listen, so nothing more is to be taken from it.
            Err(_) => {
                self.session.end();
                Wish::Close
            }
        }
    }

    /// What it wants, all answers told.
    fn wish(&mut self) -> Wish {
        if self.session.is_waiting() {
            return Wish::Answer;
        }
        let is_between = self.session.is_idle() && self.left_over.is_empty();
        if self.ended || self.last_reads.is_some() && is_between {
            self.session.end();
            return Wish::Close;
        }
        if self.session.is_over() && !std::mem::replace(&mut self.finished, true) {
            if let Some(tls) = &mut self.tls {
                tls.send_close_notify();
                let _ = tls.write_tls(&mut Wire(&self.socket));
            }
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
        Wish::Read
    }

    /// Whether all could be written.
    fn try_write(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            while self.told < self.out.len() {
                match Wire(&self.socket).write(&self.out[self.told..]) {
                    Ok(count) => self.told += count,
                    Err(error) if is_temporary(&error) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            (self.out, self.told) = (Vec::new(), 0);
            return Ok(true);
        };
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut Wire(&self.socket)) {
                    Ok(_) => {}
                    Err(error) if is_temporary(&error) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            if self.told == self.out.len() {
                (self.out, self.told) = (Vec::new(), 0);
                return Ok(true);
            }
            self.told += tls.writer().write(&self.out[self.told..])?;
        }
    }

    /// Ends it soon: what has arrived is read, and answered.
    pub(in crate::input) fn retire(&mut self) {
        self.session.retire();
        self.stop_receiving();
        self.last_reads = Some(LAST_READS_MAX);
    }

    /// Lets nothing more come: what has arrived can still be read.
    pub(in crate::input) fn stop_receiving(&self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Read);
    }
}

impl AsFd for HttpConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket as rustls reads and writes it.
struct Wire<'a>(&'a OwnedFd);

impl Read for Wire<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, room)?)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(rustix::net::send(self.0, bytes, flags)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what there is, without TLS around it. Nothing of it stays behind: nobody would tell of it.
fn read_tls(tls: &mut ServerConnection, socket: &OwnedFd, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        match tls.reader().read(&mut room[filled..]) {
            // The peer has said that it is done; what comes behind that counts for nothing.
            Ok(0) => return Ok(filled),
            Ok(count) => {
                filled += count;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Its end, without having said so: HTTP has lengths of its own.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(filled),
            Err(error) => return Err(error),
        }
        if room.len() - filled < TLS_ROOM {
            return Ok(filled);
        }
        match tls.read_tls(&mut Wire(socket)) {
            Ok(0) => return Ok(filled),
            Ok(_) => {
                if let Err(trouble) = tls.process_new_packets() {
                    return Err(io::Error::other(trouble));
                }
            }
            Err(error) if is_temporary(&error) && filled > 0 => return Ok(filled),
            Err(error) => return Err(error),
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
