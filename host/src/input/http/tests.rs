//! What a session takes and answers, whole and in pieces.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::any, proptest, sample::select};

use super::{
    HttpPlan, HttpSession, Memory, SecretFiles, Secrets,
    ranges::Ranges,
    window::{Begun, Names},
};
use crate::{
    event::OpenLimits,
    input::{Input, InputKind, Seat},
    pipeline::Lane,
    queue::{Promise, Receipt, Wake},
};

const EVENT: &str = r#"{"event":"e","fields":{}}"#;

fn input() -> Arc<Input> {
    let mut input = Input::new("in".into(), InputKind::Http, 200, OpenLimits::default());
    input.http = Some(plan(&SecretFiles::default(), Arc::default()));
    Arc::new(input)
}

fn plan(files: &SecretFiles, memory: Arc<Memory>) -> Arc<HttpPlan> {
    Arc::new(HttpPlan {
        path: "/events".into(),
        protocol: None,
        request_max: 1000,
        requests_max: 2000,
        request_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(60),
        answer_timeout: Duration::from_secs(5),
        secrets: Secrets::read(files).unwrap(),
        memory,
    })
}

/// A certificate, with the authorities that peers' ones need, if they need one.
fn certificates(authorities: Option<&str>) -> SecretFiles {
    let file = |name: &str| {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/data/tls")).join(name)
    };
    SecretFiles {
        tokens: None,
        certificate: Some(file("server.pem")),
        key: Some(file("server.key")),
        authorities: authorities.map(file),
    }
}

fn session(input: &Arc<Input>) -> HttpSession {
    let wake = Wake::new().unwrap();
    HttpSession::new(Seat::reserved(input), "peer".into(), wake, Instant::now()).unwrap()
}

/// What is said to bytes that come in pieces of this size.
fn answers(input: &Arc<Input>, bytes: &[u8], piece: usize) -> String {
    let (mut session, mut lane, now) = (session(input), Lane::empty(), Instant::now());
    let (mut held, mut out) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        held.extend_from_slice(piece);
        let consumed = session.feed(&held, &mut lane, now, &mut out);
        held.drain(..consumed);
        assert!(!session.is_waiting(), "nobody wants anything, so nothing is waited for");
    }
    session.end();
    drop(session);
    String::from_utf8(out).unwrap()
}

/// The lines of answers, without the version.
fn statuses_of(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "))
}

/// A request of these headers and this body, and the length of it.
fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// Checks the statuses and last lines of the answers.
#[track_caller]
fn check(request: &str, expected: &[(u16, &str)]) {
    for piece in [request.len(), 1, 7] {
        let input = input();
        let said = answers(&input, request.as_bytes(), piece);
        let mut found = Vec::new();
        for answer in said.split("HTTP/1.1 ").skip(1) {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            found.push((head[..3].parse().unwrap(), body.trim_end()));
        }
        assert_eq!(found, expected, "in pieces of {piece}: {request}");
        let figures = input.ledger.figures();
        let refused = expected.iter().filter(|(status, _)| *status >= 300).count() as u64;
        assert_eq!(figures.rejected.values().sum::<u64>(), refused, "{request}");
        let memory = &input.http.as_ref().unwrap().memory;
        assert_eq!(memory.changed(0, 0), 0, "everything is given back");
    }
}

#[test]
fn events_are_taken() {
    check(&post("", EVENT), &[(200, "1 taken")]);
    check(&post("", ""), &[(200, "0 taken")]);
    let two = format!("{EVENT}\n{EVENT}\n");
    check(&post("Content-Type: application/x-ndjson\r\n", &two), &[(200, "2 taken")]);
    let array = format!("[{EVENT},\n{EVENT},{EVENT}]");
    check(&post("Content-Type: application/json\r\n", &array), &[(200, "3 taken")]);
    let text = "event:e\nevent:f\n";
    check(&post("Content-Type: text/plain\r\n", text), &[(200, "2 taken")]);
    // One request behind the other.
    let three = [post("", EVENT), post("", &two), post("", EVENT)].concat();
    check(&three, &[(200, "1 taken"), (200, "2 taken"), (200, "1 taken")]);
    let length = EVENT.len();
    let chunked = format!(
        "POST /events?x=y HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{EVENT}\r\n0\r\n\r\n"
    );
    check(&chunked, &[(200, "1 taken")]);
    check(&post("Expect: 100-continue\r\n", EVENT), &[(100, ""), (200, "1 taken")]);
}

#[test]
fn what_is_not_taken_is_told_why() {
    let one = |request: String, status, text: &str| check(&request, &[(status, text)]);
    one(post("", "x"), 400, "expected an event of json or tab-text at line 1, column 1");
    let ndjson = "Content-Type: application/x-ndjson\r\n";
    let body = format!("{EVENT}\n{EVENT}\n{{\"event\":5}}\n");
    one(post(ndjson, &body), 400, "expected a string as the event's name at line 3, column 10");
    let array = format!("[{EVENT},\n  {{\"event\":5}}]");
    let json = "Content-Type: application/json\r\n";
    one(post(json, &array), 400, "expected a string as the event's name at line 2, column 12");
    let long = format!("{{\"event\":\"{}\"}}", "x".repeat(200));
    let text = "expected an event of 200 bytes at most at line 1, column 1";
    one(post(json, &long), 400, text);
    let text = "expected 2 numbers, one for each event";
    let names = "Fantail-Source: 000102030405060708090a0b0c0d0e0f\r\nFantail-Numbers: 5-7\r\n";
    one(post(names, &format!("{EVENT}{EVENT}")), 400, &format!("Fantail-Numbers: {text}"));
    let get = |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    one(get("GET /events", ""), 405, "expected POST");
    one(get("POST /", ""), 404, "events go to /events");
    let text = "expected Content-Length or Transfer-Encoding: chunked";
    one(get("POST /events", ""), 411, text);
    let text =
        "Content-Type: expected application/json, application/x-ndjson or text/plain, not x/y";
    one(post("Content-Type: x/y\r\n", EVENT), 415, text);
    let text = "Content-Encoding: expected gzip or zstd, not br";
    one(post("Content-Encoding: br\r\n", EVENT), 415, text);
    one(get("POST /events", "Content-Length: 1001\r\n"), 413, "the body is too large");
    one(get("BREW /events", ""), 501, "this method is not known");
    one(
        get("POST /events", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        400,
        "there are Transfer-Encoding and Content-Length",
    );
    // After a refusal that leaves no doubt where the request ends, the next one is read.
    let both = [post("Content-Type: x/y\r\n", EVENT), post("", EVENT)].concat();
    let said = answers(&input(), both.as_bytes(), 9);
    assert!(said.contains("415 ") && said.ends_with("1 taken\n"), "{said}");
    // Who waits before it sends is told before.
    let waits = get("POST /no", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    one(waits, 404, "events go to /events");
}

#[test]
fn too_much_at_once_is_to_come_again() {
    let input = input();
    let (mut lane, now) = (Lane::empty(), Instant::now());
    let begin = "POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n";
    let begin = format!("{begin}{}", " ".repeat(800));
    let mut sessions: Vec<_> = (0..3).map(|_| session(&input)).collect();
    let feed = |session: &mut HttpSession, lane: &mut Lane, bytes: &[u8]| {
        let mut out = Vec::new();
        assert_eq!(session.feed(bytes, lane, now, &mut out), bytes.len());
        String::from_utf8(out).unwrap()
    };
    for session in &mut sessions {
        assert_eq!(feed(session, &mut lane, begin.as_bytes()), "");
    }
    let said: Vec<_> = sessions.iter_mut().map(|one| feed(one, &mut lane, &[b' '; 100])).collect();
    assert!(said[..2].iter().all(|one| one.contains("200 OK")), "{said:?}");
    assert!(said[2].contains("503 ") && said[2].contains("Retry-After: 1\r\n"), "{said:?}");
    assert!(feed(&mut sessions[2], &mut lane, post("", EVENT).as_bytes()).contains("1 taken"));
}

#[test]
fn what_has_been_taken_is_not_taken_again() {
    let input = input();
    let named = |numbers: &str, events: usize| {
        let source = "000102030405060708090a0b0c0d0e0f";
        let headers = format!("Fantail-Source: {source}\r\nFantail-Numbers: {numbers}\r\n");
        post(&headers, &EVENT.repeat(events))
    };
    let say = |request: String| {
        let said = answers(&input, request.as_bytes(), 1000);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        let figures = input.ledger.figures();
        let before = figures.rejected.get("taken-before").copied().unwrap_or(0);
        (figures.events, before)
    };
    assert_eq!(say(named("5-7", 3)), (3, 0));
    assert_eq!(say(named("5-7", 3)), (3, 3));
    assert_eq!(say(named("6-9", 4)), (5, 5));
    assert_eq!(say(named("1,7-10", 5)), (7, 8));
    assert_eq!(say(post("", EVENT)), (8, 8));
}

#[test]
fn what_is_in_flight_is_waited_for() {
    let source = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
    let names = Names { source, numbers: Ranges::parse("5-7", 1).unwrap() };
    let headers = "Fantail-Source: 000102030405060708090a0b0c0d0e0f\r\nFantail-Numbers: 6-8\r\n";
    let request = post(headers, &EVENT.repeat(3));
    let check = |fate: fn(Receipt), status: &str, counts: (u64, u64)| {
        let input = input();
        let memory = &input.http.as_ref().unwrap().memory;
        let (mut session, mut lane, now) = (session(&input), Lane::empty(), Instant::now());
        let mut out = Vec::new();
        let promise = Arc::new(Promise::new(Wake::new().unwrap()));
        let receipt = promise.receipt();
        assert!(matches!(memory.window.begin(&names, &promise, now), Begun::Flying { .. }));
        let second = [request.as_bytes(), b"POST"].concat();
        let consumed = session.feed(&second, &mut lane, now, &mut out);
        assert_eq!(consumed, request.len(), "what comes behind it waits");
        session.go_on(&mut lane, now, &mut out);
        assert!(session.is_waiting() && out.is_empty());
        assert_eq!(memory.changed(0, 0), 3 * EVENT.len());
        assert_eq!(session.deadline(), now + Duration::from_secs(5));
        fate(receipt);
        session.go_on(&mut lane, now, &mut out);
        if session.is_waiting() {
            session.late(session.deadline(), &mut out);
        }
        let said = String::from_utf8(out).unwrap();
        assert!(said.starts_with(status) && session.is_idle(), "{said}");
        assert_eq!(memory.changed(0, 0), 0);
        let figures = input.ledger.figures();
        assert_eq!((figures.events, figures.received), counts, "{said}");
    };
    check(Receipt::fulfil, "HTTP/1.1 200 ", (1, 3));
    check(drop, "HTTP/1.1 200 ", (3, 3));
    check(std::mem::forget, "HTTP/1.1 503 ", (0, 1));
}

#[test]
fn settings_hold_for_connections_that_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "t").unwrap();
    let none = SecretFiles::default();
    let token = SecretFiles { tokens: Some(tokens), ..none.clone() };
    let (tls, both) = (certificates(None), certificates(Some("ca.pem")));
    let check = |before: &SecretFiles, after: &SecretFiles, status: &str| {
        let memory = Arc::new(Memory::default());
        let (before, after) = (plan(before, Arc::clone(&memory)), plan(after, memory));
        let mut input = Input::new("in".into(), InputKind::Http, 200, OpenLimits::default());
        input.http = Some(Arc::clone(&before));
        before.take_effect();
        let mut session = session(&Arc::new(input));
        let (mut lane, now) = (Lane::empty(), Instant::now());
        let mut say = || {
            let mut out = Vec::new();
            session.feed(post("", EVENT).as_bytes(), &mut lane, now, &mut out);
            (String::from_utf8(out).unwrap(), session.is_over())
        };
        assert!(say().0.starts_with("HTTP/1.1 200 "));
        after.take_effect();
        let (said, is_over) = say();
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert!(is_over && said.contains("\r\nConnection: close\r\n"), "{said}");
    };
    check(&none, &none, "200");
    check(&none, &token, "401");
    check(&none, &tls, "503");
    check(&tls, &none, "200");
    check(&tls, &both, "503");
    check(&both, &both, "200");
    check(&both, &tls, "200");
}

#[test]
fn slow_peers_are_left() {
    let input = input();
    let (mut session, mut lane, now) = (session(&input), Lane::empty(), Instant::now());
    let mut out = Vec::new();
    assert!(session.is_idle());
    session.feed(b"POST /events HT", &mut lane, now, &mut out);
    let later = now + Duration::from_secs(20);
    session.feed(b"POST /events HTT", &mut lane, later, &mut out);
    assert_eq!(session.deadline(), now + Duration::from_secs(30), "from the first byte");
    session.late(session.deadline(), &mut out);
    assert!(String::from_utf8(out).unwrap().starts_with("HTTP/1.1 408 "));
    assert!(session.is_over());
    assert_eq!(input.ledger.figures().rejected["too-slow"], 1);
}

proptest! {
    /// Whatever comes: how it is cut does not matter, and nothing is kept.
    #[test]
    fn pieces_make_the_whole(
        parts in vec(select(vec![
            "POST /events HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\n", "Content-Length: 27\r\n",
            "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "\r\n", "19\r\n", "0\r\n\r\n",
            "Content-Encoding: gzip\r\n", EVENT, "[", ",", "event:x\n", "\0",
        ]), 0..12),
        bytes in vec(any::<u8>(), 0..20),
        piece in 1_usize..40,
    ) {
        let stream = [parts.concat().as_bytes(), &bytes].concat();
        let statuses = |piece| {
            let input = input();
            let said = answers(&input, &stream, piece);
            let memory = &input.http.as_ref().unwrap().memory;
            assert_eq!(memory.changed(0, 0), 0);
            let figures = input.ledger.figures();
            assert_eq!(figures.received, figures.decoded + figures.rejected.values().sum::<u64>());
            // Which of several faults is named may depend on how much has been seen.
            let statuses: Vec<bool> =
                statuses_of(&said).map(|status| status.starts_with('4')).collect();
            (statuses, figures.events)
        };
        assert_eq!(statuses(stream.len()), statuses(piece));
    }
}
