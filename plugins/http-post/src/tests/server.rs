//! A small HTTP server that does what a test tells it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// What the server does with a request.
pub(crate) enum Reply {
    /// Sends this status (`200 OK`), these header lines and this body.
    Status(&'static str, &'static str, Vec<u8>),
    /// Waits, then sends `200 OK`.
    Slow(Duration),
    /// Sends these bytes and closes.
    Raw(&'static str),
    /// Says nothing for a minute.
    Never,
}

/// `200 OK`.
pub(crate) fn ok() -> Reply {
    Reply::Status("200 OK", "", b"thanks".to_vec())
}

/// A running server; it lives as long as the test's process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

type Script = dyn Fn(usize, &Request) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    requests: Mutex<Vec<Request>>,
    count: AtomicUsize,
    connections: AtomicUsize,
}

/// A request as it came; its body is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header, if there is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A connection, with TLS or without.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Server {
    /// A server that asks `script` about each request; the first is number 0.
    pub(crate) fn start(
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Self::start_with(script, |stream| Box::new(stream))
    }

    /// The same behind something that is done with each connection first.
    pub(crate) fn start_with(
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: Mutex::default(),
            count: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let (server, wrap) = (Server { address, shared: shared.clone() }, Arc::new(wrap));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, wrap, stream) = (shared.clone(), wrap.clone(), stream.unwrap());
                shared.connections.fetch_add(1, SeqCst);
                thread::spawn(move || shared.serve(&stream.try_clone().unwrap(), wrap(stream)));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The bodies that came, sorted.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<_> = self.requests().into_iter().map(|request| request.body).collect();
        bodies.sort();
        bodies
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }
}

impl Shared {
    fn serve(&self, socket: &TcpStream, stream: Box<dyn Stream>) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream) {
            let number = self.count.fetch_add(1, SeqCst);
            let reply = (self.script)(number, &request);
            self.requests.lock().unwrap().push(request);
            let stream = stream.get_mut();
            // The client may be gone: that is its affair.
            let written = match reply {
                Reply::Status(status, head, body) => {
                    let length = body.len();
                    let head =
                        format!("HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\n\r\n");
                    stream.write_all(&[head.as_bytes(), &body].concat())
                }
                Reply::Slow(time) => {
                    thread::sleep(time);
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                }
                Reply::Raw(bytes) => stream
                    .write_all(bytes.as_bytes())
                    .and_then(|()| socket.shutdown(Shutdown::Both))
                    .and(Err(std::io::ErrorKind::NotConnected.into())),
                Reply::Never => {
                    thread::sleep(Duration::from_secs(60));
                    Ok(())
                }
            };
            if written.and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    let body = match head.lines().find_map(|line| line.strip_prefix("content-encoding: ")) {
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zstd") => zstd::decode_all(&body[..]).unwrap(),
        Some(other) => panic!("{other}"),
        None => body,
    };
    Some(Request { head, body: String::from_utf8(body).unwrap() })
}
