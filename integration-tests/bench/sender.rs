//! Sends a load to whoever is measured.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
};

use fantail_integration_tests::{
    load::{GREETING, Load},
    peers::StatsClient,
};

/// Where events are taken in.
#[derive(Clone, Debug)]
pub(crate) enum Entrance {
    /// A stats-writer socket.
    StatsWriter(PathBuf),
    /// A TCP port of this machine.
    Tcp(u16),
}

impl Entrance {
    /// Sends the load so often over each of `connections` connections, and waits until the
    /// other side has read everything and closed them.
    pub(crate) fn send(&self, load: &Load, rounds: u64, connections: usize) {
        thread::scope(|scope| {
            let senders: Vec<_> =
                (0..connections).map(|_| scope.spawn(|| self.send_one(load, rounds))).collect();
            for sender in senders {
                sender.join().expect("a sender has failed, and said why");
            }
        });
    }

    /// Sends the load so often over one connection, or until the other side ends or `stop`
    /// says so. Returns how often it was sent.
    pub(crate) fn send_until(
        &self,
        load: &Load,
        rounds: u64,
        mut stop: impl FnMut() -> bool,
    ) -> u64 {
        let Entrance::StatsWriter(path) = self else { unreachable!("invariant: a work of stats") };
        let mut stream = UnixStream::connect(path).unwrap();
        let mut sent = 0;
        let mut is_open = stream.write_all(GREETING.as_bytes()).is_ok();
        while is_open && sent < rounds && !stop() {
            is_open = stream.write_all(&load.stats).is_ok();
            sent += u64::from(is_open);
        }
        // Until everything is read, or nobody is there to read it.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        sent
    }

    fn send_one(&self, load: &Load, rounds: u64) {
        match self {
            Entrance::StatsWriter(path) => {
                let mut client = StatsClient::connect(path);
                client.send(GREETING.as_bytes());
                // With many metrics the filter is longer than the socket's buffer.
                assert_eq!(client.line(), "VERSION\tstats-server\t4\t0\n");
                assert!(client.line().starts_with("FILTER\t"));
                for _ in 0..rounds {
                    client.send(&load.stats);
                }
                assert_eq!(client.finish(), "", "nothing else is said");
            }
            Entrance::Tcp(port) => {
                let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
                for _ in 0..rounds {
                    stream.write_all(&load.json).unwrap();
                }
                stream.shutdown(Shutdown::Write).unwrap();
                // Whatever it says, or how it closes: what it read is checked elsewhere.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
}
