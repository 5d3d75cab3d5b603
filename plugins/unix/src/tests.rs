use std::{
    io::{BufRead, BufReader, Read},
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fantail_sdk::runner::{DriverRunner, Sent, SentError, schema};
use serde_json::json;

use super::{Settings, Unix};

fn open_with(path: &Path, timeout: u64) -> DriverRunner {
    let settings = json!({
        "unix_path": path, "unix_connect_timeout": timeout, "unix_write_timeout": timeout,
    });
    DriverRunner::open::<Unix>(&settings).unwrap()
}

/// A driver that has time, for tests that are not about time.
fn open(path: &Path) -> DriverRunner {
    open_with(path, 10_000)
}

fn open_hasty(path: &Path) -> DriverRunner {
    open_with(path, 100)
}

fn reason(sent: &Sent) -> &str {
    match &sent.error {
        Some(SentError::Retry(reason, None)) => reason,
        other => panic!("{other:?}"),
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

fn accept(listener: &UnixListener) -> BufReader<UnixStream> {
    BufReader::new(listener.accept().unwrap().0)
}

#[test]
fn settings_are_documented() {
    let schema = schema::<Settings>();
    assert_eq!(schema["required"], json!(["unix_path"]));
    let connect_timeout = &schema["properties"]["unix_connect_timeout"];
    assert_eq!(
        (&connect_timeout["default"], &connect_timeout["maximum"]),
        (&json!(250), &json!(3_600_000))
    );
    assert_eq!(
        connect_timeout["x-aliases"],
        json!(["event_exporter_unix_connect_timeout", "transport_timeout"])
    );
    let refused = |settings| DriverRunner::open::<Unix>(&settings).err().unwrap();
    assert_eq!(refused(json!({ "unix_path": "" })), "unix_path is empty");
    for (name, value) in [("unix_connect_timeout", 0), ("unix_write_timeout", u64::MAX)] {
        assert_eq!(
            refused(json!({ "unix_path": "/a", name: value })),
            "unix_connect_timeout and unix_write_timeout must be 1 ms to 1 h"
        );
    }
}

#[test]
fn lines_arrive_over_one_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open(&path);
    assert_eq!(driver.send(&["one", "", "three\0"]), Sent::whole(3));
    assert_eq!(driver.send(&["four"]), Sent::whole(1));
    assert_eq!(driver.send::<&str>(&[]), Sent::whole(0));
    drop(driver);
    let mut received = String::new();
    accept(&listener).read_to_string(&mut received).unwrap();
    assert_eq!(received, "one\n\nthree\0\nfour\n");
}

#[test]
fn an_absent_peer_is_waited_for_by_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let mut driver = open(&path);
    let check = |sent: &Sent, expected: &str| {
        assert_eq!((sent.delivered.len(), sent.given_up.len()), (0, 0));
        assert_eq!(reason(sent), format!("can't connect to {}: {expected}", path.display()));
    };
    check(&driver.send(&["one"]), "No such file or directory (os error 2)");
    drop(UnixListener::bind(&path).unwrap());
    check(&driver.send(&["one"]), "Connection refused (os error 111)");
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(line(&mut accept(&listener)), "one\n");
}

#[test]
fn a_path_too_long_is_said() {
    let path = "/x".repeat(100);
    let sent = open(Path::new(&path)).send(&["one"]);
    assert_eq!(reason(&sent), format!("can't connect to {path}: File name too long (os error 36)"));
}

#[test]
fn a_full_backlog_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let first = UnixStream::connect(&path).unwrap();

    let start = Instant::now();
    let sent = open_hasty(&path).send(&["one"]);
    assert!(reason(&sent).ends_with("its backlog stayed full for 100 ms"), "{sent:?}");
    assert!((100..5000).contains(&start.elapsed().as_millis()));

    let acceptor = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        drop(listener.accept().unwrap());
        line(&mut accept(&listener))
    });
    assert_eq!(open(&path).send(&["one"]), Sent::whole(1));
    assert_eq!(acceptor.join().unwrap(), "one\n");
    drop(first);
}

#[test]
fn a_restarted_peer_is_connected_to_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open(&path);
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(line(&mut accept(&listener)), "one\n");
    assert_eq!(driver.send(&["two", "three"]), Sent::whole(2));
    assert_eq!(line(&mut accept(&listener)), "two\n");
}

#[test]
fn reopening_connects_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open(&path);
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(driver.reopen(), None);
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    let (mut first, mut second) = (accept(&listener), accept(&listener));
    assert_eq!((line(&mut first), line(&mut first)), ("one\n".into(), String::new()));
    assert_eq!(line(&mut second), "two\n");
}

/// Payloads of a size at which a socket's buffer ends inside one.
fn large_payloads() -> Vec<String> {
    (0..10).map(|number| number.to_string().repeat(100_001)).collect()
}

#[test]
fn a_peer_that_does_not_read_delays_for_a_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open_hasty(&path);
    let payloads = large_payloads();
    let start = Instant::now();
    let sent = driver.send(&payloads);
    assert!((100..5000).contains(&start.elapsed().as_millis()));
    assert!(reason(&sent).ends_with("the peer does not read"), "{sent:?}");
    let mut delivered = sent.delivered.len();
    assert!((1..10).contains(&delivered), "{delivered}");

    // The same connection goes on where it was, when the peer reads.
    let reader = thread::spawn(move || {
        let mut peer = accept(&listener);
        (0..10).map(|_| line(&mut peer)).collect::<Vec<_>>()
    });
    while delivered < 10 {
        delivered += driver.send(&payloads[delivered..]).delivered.len();
    }
    let expected: Vec<_> = payloads.iter().map(|payload| format!("{payload}\n")).collect();
    assert!(reader.join().unwrap() == expected);
}

#[test]
fn a_payload_begun_and_then_dropped_ends_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open_hasty(&path);
    let payloads = large_payloads();
    let delivered = driver.send(&payloads).delivered.len();
    assert_eq!(driver.send(&["next"]), Sent::whole(1));
    let (mut first, mut second) = (accept(&listener), accept(&listener));
    for payload in &payloads[..delivered] {
        assert!(line(&mut first) == format!("{payload}\n"));
    }
    assert!(!line(&mut first).ends_with('\n'), "a piece, then the end");
    assert_eq!(line(&mut second), "next\n");
}

#[test]
fn a_payload_cut_by_a_break_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open(&path);
    let payloads = large_payloads();
    let closer = thread::spawn(move || {
        // Reads a piece of the first payload, and goes.
        listener.accept().unwrap().0.read_exact(&mut [0; 1000]).unwrap();
        listener
    });
    let sent = driver.send(&payloads);
    let broken = reason(&sent);
    assert!(broken.contains("Broken pipe") || broken.contains("reset by peer"), "{broken}");
    let delivered = sent.delivered.len();
    assert!(delivered < 10);

    let listener = closer.join().unwrap();
    let reader = thread::spawn(move || line(&mut accept(&listener)));
    assert_eq!(driver.send(&payloads[delivered..=delivered]), Sent::whole(1));
    assert!(reader.join().unwrap() == format!("{}\n", payloads[delivered]));
}

fn open_datagram(path: &Path, timeout: u64) -> DriverRunner {
    let settings = json!({
        "unix_path": path, "unix_write_timeout": timeout, "unix_socket_type": "datagram",
    });
    DriverRunner::open::<Unix>(&settings).unwrap()
}

fn receive(socket: &UnixDatagram) -> String {
    let mut datagram = vec![0; 1 << 20];
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = socket.recv(&mut datagram).unwrap();
    String::from_utf8(datagram[..length].to_vec()).unwrap()
}

#[test]
fn datagrams_are_payloads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let mut driver = open_datagram(&path, 10_000);
    assert!(reason(&driver.send(&["one"])).ends_with("No such file or directory (os error 2)"));
    let peer = UnixDatagram::bind(&path).unwrap();
    let long = "x".repeat(1 << 22);
    let sent = driver.send(&["one", "", &long, "four\n"]);
    assert_eq!((sent.delivered.as_slice(), sent.error), (&[0, 1, 3][..], None));
    assert_eq!(sent.given_up, [(2, "4194304 bytes are too long for a datagram".to_owned())]);
    assert_eq!([receive(&peer), receive(&peer), receive(&peer)], ["one", "", "four\n"]);

    // A peer that has restarted.
    drop(peer);
    std::fs::remove_file(&path).unwrap();
    let peer = UnixDatagram::bind(&path).unwrap();
    let sent = driver.send(&["five"]);
    assert!(reason(&sent).contains("Connection refused"), "{sent:?}");
    assert_eq!(driver.send(&["five"]), Sent::whole(1));
    assert_eq!(receive(&peer), "five");
}

#[test]
fn datagrams_wait_for_a_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let peer = UnixDatagram::bind(&path).unwrap();
    let mut driver = open_datagram(&path, 100);
    let payloads: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let sent = driver.send(&payloads);
    assert!(reason(&sent).ends_with("the peer does not read"), "{sent:?}");
    let mut delivered = sent.delivered.len();
    assert!((1..2000).contains(&delivered));
    let reader = thread::spawn(move || (0..2000).map(|_| receive(&peer)).collect::<Vec<_>>());
    while delivered < 2000 {
        delivered += driver.send(&payloads[delivered..]).delivered.len();
    }
    assert_eq!(reader.join().unwrap(), payloads);
}

/// What the peer of each connection does, in turn, with lines that are not lost by it: some read
/// nothing, some a piece, some are slow. Every line arrives whole.
#[test]
fn lines_survive_peers_of_all_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut driver = open_hasty(&path);
    let payloads = large_payloads();
    let peers = thread::spawn(move || {
        drop(listener.accept().unwrap());
        let mut piece = vec![0; 150_000];
        listener.accept().unwrap().0.read_exact(&mut piece).unwrap();
        // Slow: less than a line in the time that the driver waits.
        let mut slow = listener.accept().unwrap().0;
        let mut read = Vec::new();
        let mut piece = [0; 10_000];
        while let Ok(count @ 1..) = slow.read(&mut piece) {
            read.extend_from_slice(&piece[..count]);
            thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8(read).unwrap()
    });
    let mut left: Vec<_> = payloads.clone();
    let start = Instant::now();
    while !left.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        let sent = driver.send(&left);
        left.drain(..sent.delivered.len());
    }
    drop(driver);
    let read = peers.join().unwrap();
    // What the first two took is lost with them, but all of the last one's lines are whole.
    let lines: Vec<_> = read.lines().collect();
    assert!(read.ends_with('\n') && !lines.is_empty());
    assert!(lines == payloads[payloads.len() - lines.len()..]);
}
