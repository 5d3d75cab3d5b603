//! A Dovecot process, as the stats-writer socket sees it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
};

use crate::PATIENCE;

/// A connection to a stats-writer socket.
#[derive(Debug)]
pub struct StatsClient {
    stream: BufReader<UnixStream>,
}

impl StatsClient {
    /// Connects, and says nothing.
    pub fn connect(path: impl AsRef<Path>) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StatsClient { stream: BufReader::new(stream) }
    }

    /// Connects and says which protocol it speaks, as Dovecot does.
    pub fn hello(path: impl AsRef<Path>) -> Self {
        let mut client = Self::connect(path);
        client.send(b"VERSION\tstats-client\t4\t0\n");
        client
    }

    /// The next line from the server, with its LF; empty when it has closed.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends lines, each with an LF. A server that has closed is no error.
    pub fn say(&mut self, lines: &[&str]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    /// Says that nothing more will come, and waits until the server has read all
    /// and closed. Returns what it had said.
    pub fn finish(mut self) -> String {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
        self.rest()
    }

    /// Waits until the server closes, and returns what it had said.
    pub fn rest(mut self) -> String {
        let mut said = Vec::new();
        // Lines that it did not read make its end a reset: that is an end as well.
        let _ = self.stream.read_to_end(&mut said);
        String::from_utf8(said).unwrap()
    }
}
