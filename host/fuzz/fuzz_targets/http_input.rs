//! A connection's bytes at an `http` input: the session never panics, answers the same whole and in
//! pieces, counts every request, and keeps nothing when it has ended.

#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use fantail::{
    event::OpenLimits,
    input::{HttpPlan, HttpSession, Input, InputKind, Memory, Seat, SecretFiles, Secrets},
    pipeline::Lane,
    queue::Wake,
};
use libfuzzer_sys::fuzz_target;

static WAKE: LazyLock<Wake> = LazyLock::new(|| Wake::new().expect("an eventfd"));

fn input() -> Arc<Input> {
    let mut input = Input::new("in".into(), InputKind::Http, 1000, OpenLimits::default());
    input.http = Some(Arc::new(HttpPlan {
        path: "/events".into(),
        protocol: None,
        request_max: 4096,
        requests_max: 8192,
        request_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        answer_timeout: Duration::from_secs(1),
        secrets: Secrets::read(&SecretFiles::default()).expect("no files"),
        memory: Arc::new(Memory::default()),
    }));
    Arc::new(input)
}

/// The statuses of the answers, refusals as one, and the number of events.
fn read(bytes: &[u8], piece: usize) -> (Vec<bool>, u64) {
    let (input, now) = (input(), Instant::now());
    let seat = Seat::reserved(&input);
    let mut session =
        HttpSession::new(seat, "peer".into(), WAKE.clone(), now).expect("an http input");
    let (mut lane, mut held, mut out) = (Lane::empty(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        let consumed = session.feed(&held, &mut lane, now, &mut out);
        held.drain(..consumed);
        assert!(!session.is_waiting());
        assert!(held.len() <= 64 << 10);
    }
    session.end();
    drop(session);
    let figures = input.ledger.figures();
    assert_eq!(figures.received, figures.decoded + figures.rejected.values().sum::<u64>());
    let said = String::from_utf8(out).expect("answers are texts");
    let answers = said.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    let answers = answers.map(|answer| answer.starts_with(['4', '5']));
    (answers.collect(), figures.events)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, usize::from(piece % 64) + 1));
});
