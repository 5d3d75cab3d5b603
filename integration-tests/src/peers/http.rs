//! An HTTP server that does what a test tells it to.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::wait_for;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// Method and path: `POST /events`.
    pub line: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// What was posted, decompressed.
    pub body: String,
}

/// What the server answers, and when.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code; 0 closes the connection without an answer.
    pub status: u16,
    /// How long the server thinks about it.
    pub delay: Duration,
    /// Further header lines.
    pub headers: Vec<String>,
    /// What comes instead of an answer, before the connection is closed.
    pub instead: Option<&'static [u8]>,
}

/// A server on a free port of the loopback interface.
pub struct HttpSink {
    address: SocketAddr,
    state: Arc<State>,
}

type Behaviour = dyn Fn(usize, &Request) -> Reply + Send + Sync;

struct State {
    behave: Box<Behaviour>,
    requests: Mutex<Vec<(Request, u16)>>,
    begun: AtomicUsize,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    /// At once, with this status.
    pub fn status(status: u16) -> Self {
        Reply { status, delay: Duration::ZERO, headers: Vec::new(), instead: None }
    }

    /// These bytes, and the connection's end.
    pub fn raw(bytes: &'static [u8]) -> Self {
        Reply { instead: Some(bytes), ..Reply::status(0) }
    }

    /// The same with one more header line.
    pub fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// The same, after a while.
    pub fn after(self, delay: Duration) -> Self {
        Reply { delay, ..self }
    }

    /// Never, while the test runs.
    pub fn never() -> Self {
        Reply::status(200).after(Duration::from_secs(3600))
    }
}

impl HttpSink {
    /// Starts a server. `behave` is asked for the reply to each request, with the
    /// number of those before it.
    pub fn start(behave: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), behave)
    }

    /// The same at an address that somebody knows already.
    pub fn start_at(
        address: SocketAddr,
        behave: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            behave: Box::new(behave),
            requests: Mutex::default(),
            begun: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                let connection = state.connections.fetch_add(1, Ordering::SeqCst);
                // A client that goes away in the middle is no failure of the test.
                thread::spawn(move || drop(serve(stream, connection, &state)));
            }
        });
        HttpSink { address, state }
    }

    /// The address of `path` on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far that were answered (or will be), with the status.
    pub fn requests(&self) -> Vec<(Request, u16)> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The bodies that were answered with status 200, in order.
    pub fn accepted(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests.filter(|(_, status)| *status == 200).map(|(request, _)| request.body).collect()
    }

    /// Waits until so many requests were answered with 200, and returns their bodies.
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        wait_for(&format!("{count} accepted requests"), || {
            Some(self.accepted()).filter(|bodies| bodies.len() >= count)
        })
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many requests have been under way at the same time, at most.
    pub fn in_flight_max(&self) -> usize {
        self.state.in_flight_max.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, connection: usize, state: &State) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, connection)? {
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.in_flight_max.fetch_max(now, Ordering::SeqCst);
        let before = state.begun.fetch_add(1, Ordering::SeqCst);
        let reply = (state.behave)(before, &request);
        state.requests.lock().unwrap().push((request, reply.status));
        thread::sleep(reply.delay);
        state.in_flight.fetch_sub(1, Ordering::SeqCst);
        if reply.status == 0 {
            writer.write_all(reply.instead.unwrap_or_default())?;
            break;
        }
        let headers: String = reply.headers.iter().map(|line| format!("{line}\r\n")).collect();
        let status = reply.status;
        let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: 0\r\n\r\n");
        writer.write_all(head.as_bytes())?;
    }
    Ok(())
}

/// Reads a request with a `Content-Length`; `None` at the connection's end.
fn read_request(reader: &mut impl BufRead, connection: usize) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        connection,
        line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut plain = Vec::new();
    match request.header("content-encoding") {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain)?),
        Some("zstd") => zstd::stream::copy_decode(&body[..], &mut plain)?,
        Some(_) | None => plain = body,
    }
    request.body = String::from_utf8_lossy(&plain).into_owned();
    Ok(Some(request))
}
