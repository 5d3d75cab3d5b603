//! The very same events to Fantail and to Dovecot's own stats process, whose exports and
//! statistics are then the same.

use fantail_integration_tests::{
    Workdir,
    expect::same_set,
    peers::dovecot::{Dovecot, MailServer, Script, Stream, Tee},
};

use super::{
    pair::{Order, Pair},
    rounds, with_each,
};

/// Plays a script to a server whose events go to both, and compares them. Returns what each
/// process has sent.
fn live(dovecot: &Dovecot, script: Script) -> Vec<Stream> {
    let dir = Workdir::new();
    MailServer::prepare(&dir);
    let pair = Pair::start(dovecot);
    let paths = [MailServer::stats_writer(&dir), MailServer::login_stats_writer(&dir)];
    let tee = Tee::listen(&paths, pair.writers());
    let server = MailServer::start(dovecot, &dir);
    script.play(&server.ports());
    server.stop();
    let streams = tee.finish();
    assert!(streams.len() > script.users, "{} processes", streams.len());
    if let Some(dumps) = pair.dumps(&[]) {
        // Groups are told in the order of their first events.
        let [ours, theirs] = dumps.map(|dump| dump.lines().map(str::to_owned).collect::<Vec<_>>());
        same_set("doveadm stats dump", &theirs, &ours, str::to_owned);
    }
    pair.compare(Order::Sessions);
    streams
}

/// Plays streams to both, one after the other, and compares them in order.
fn replayed(dovecot: &Dovecot, streams: &[Stream]) {
    let pair = Pair::start(dovecot);
    pair.play(streams);
    if let Some([ours, theirs]) = pair.dumps(&[]) {
        assert_eq!(ours, theirs);
    }
    pair.compare(Order::All);
}

#[test]
fn live_events_are_exported_as_dovecot_does() {
    with_each(|dovecot| {
        for round in 0..rounds() {
            let streams = live(dovecot, Script { seed: round, users: 8 });
            replayed(dovecot, &streams);
        }
    });
}
