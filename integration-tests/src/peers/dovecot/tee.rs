//! One stats-writer server that is two: what Dovecot's processes say goes to both, byte by
//! byte, and is recorded.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use crate::wait_for;

/// What one connection has sent, from its `VERSION` on.
pub type Stream = Vec<u8>;

/// Listens where Dovecot's processes expect a stats process.
#[derive(Debug)]
pub struct Tee {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they began.
    streams: Vec<Stream>,
    open: usize,
    /// What went wrong.
    faults: Vec<String>,
}

impl Tee {
    /// Begins to listen at `paths`. What the first of `servers` says goes to the clients; the
    /// second must say the same.
    pub fn listen(paths: &[PathBuf], servers: [PathBuf; 2]) -> Self {
        let tee = Tee { state: Arc::default() };
        for path in paths {
            let listener = UnixListener::bind(path).unwrap();
            // Processes come back with the rights of the users they work for.
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
            let (state, servers) = (Arc::clone(&tee.state), servers.clone());
            thread::spawn(move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let number = begin(&state);
                    let (state, servers) = (Arc::clone(&state), servers.clone());
                    thread::spawn(move || serve(client, number, &state, &servers));
                }
            });
        }
        tee
    }

    /// How many connections there are now.
    pub fn open(&self) -> usize {
        self.state.lock().unwrap().open
    }

    /// Waits until every connection has ended, and both servers have read all of it. Returns
    /// what was sent over each.
    ///
    /// # Panics
    ///
    /// When a server ended a connection before its client, or the servers said different
    /// things.
    pub fn finish(&self) -> Vec<Stream> {
        wait_for("the end of all connections", || (self.open() == 0).then_some(()));
        let state = self.state.lock().unwrap();
        assert!(state.faults.is_empty(), "{}", state.faults.join("\n"));
        state.streams.clone()
    }
}

fn begin(state: &Mutex<State>) -> usize {
    let mut state = state.lock().unwrap();
    state.open += 1;
    state.streams.push(Stream::new());
    state.streams.len() - 1
}

fn serve(client: UnixStream, number: usize, state: &Mutex<State>, servers: &[PathBuf; 2]) {
    let fault = |text: String| state.lock().unwrap().faults.push(text);
    match copy(client, servers) {
        Ok(stream) => state.lock().unwrap().streams[number] = stream,
        Err(error) => fault(format!("connection {number}: {error}")),
    }
    state.lock().unwrap().open -= 1;
}

/// Copies one connection, and returns what the client said.
fn copy(mut client: UnixStream, servers: &[PathBuf; 2]) -> Result<Stream, String> {
    let connect = |path: &Path| {
        UnixStream::connect(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut upstreams = [connect(&servers[0])?, connect(&servers[1])?];
    let answers = upstreams.each_ref().map(|upstream| upstream.try_clone().unwrap());
    let mut first = true;
    let readers = answers.map(|mut upstream| {
        // The first one's words go back to the client.
        let back = std::mem::take(&mut first).then(|| client.try_clone().unwrap());
        thread::spawn(move || {
            let (mut said, mut buffer) = (Stream::new(), [0; 4096]);
            while let Ok(count @ 1..) = upstream.read(&mut buffer) {
                said.extend_from_slice(&buffer[..count]);
                // A client that has gone needs no answer.
                let _ = back.as_ref().map(|mut client| client.write_all(&buffer[..count]));
            }
            said
        })
    });
    let (mut stream, mut buffer) = (Stream::new(), vec![0; 64 << 10]);
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        stream.extend_from_slice(&buffer[..count]);
        for (upstream, path) in upstreams.iter_mut().zip(servers) {
            let sent = upstream.write_all(&buffer[..count]);
            sent.map_err(|error| format!("{} takes no more: {error}", path.display()))?;
        }
    }
    for upstream in &upstreams {
        let _ = upstream.shutdown(Shutdown::Write);
    }
    let [ours, theirs] = readers.map(|reader| {
        let said = reader.join().unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    match ours == theirs {
        true => Ok(stream),
        false => Err(format!("the first server said\n{ours}\nand the second\n{theirs}")),
    }
}
