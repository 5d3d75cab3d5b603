//! Sends a load to whoever is measured.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
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
