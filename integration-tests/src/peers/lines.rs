//! Peers that speak lines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use crate::wait_for;

/// Sends bytes over a connection of their own, and waits until the host has
/// read them all and closed it.
pub fn send_unix(path: impl AsRef<Path>, bytes: &[u8]) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// The same over TCP.
pub fn send_tcp(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// Listens on a UNIX socket and collects lines, of all connections in the order in
/// which they came.
#[derive(Debug)]
pub struct LineSink {
    lines: Arc<Mutex<Vec<String>>>,
}

impl LineSink {
    /// Begins to listen.
    pub fn listen(path: impl AsRef<Path>) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&lines);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let collected = Arc::clone(&collected);
                thread::spawn(move || {
                    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                        let line = String::from_utf8_lossy(&line).into_owned();
                        collected.lock().unwrap().push(line);
                    }
                });
            }
        });
        LineSink { lines }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until so many lines have come, and returns them.
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        wait_for(&format!("{count} lines at the sink"), || {
            Some(self.lines()).filter(|lines| lines.len() >= count)
        })
    }
}

/// Listens on a UNIX socket and never reads.
#[derive(Debug)]
pub struct SilentSink {
    _listener: UnixListener,
}

impl SilentSink {
    /// Begins to listen: the system lets peers connect, and takes what fits into
    /// its buffer.
    pub fn listen(path: impl AsRef<Path>) -> Self {
        SilentSink { _listener: UnixListener::bind(path).unwrap() }
    }
}
