//! Dovecot's own `doveadm`, unmodified, against Fantail and against Dovecot's own process.

use std::fs;

use fantail_integration_tests::{
    data,
    peers::dovecot::{Dovecot, Generation, Stream},
};

use super::{
    pair::{Order, Pair},
    with_each,
};

/// The connections that were recorded of a Dovecot of this generation.
fn recorded(dovecot: &Dovecot) -> Vec<Stream> {
    let streams = match dovecot.generation() {
        Generation::V2_3 => "captures/dovecot-2.3/streams",
        Generation::V2_4 => "captures/dovecot-2.4/streams",
    };
    let mut paths: Vec<_> =
        fs::read_dir(data(streams)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Requires the same dump of both; returns it.
fn same_dump(pair: &Pair, options: &[&str]) -> String {
    let [ours, theirs] = pair.dumps(options).expect("doveadm is installed");
    assert_eq!(ours, theirs);
    ours
}

/// Runs a command against both, which must end in the same way; whether that was without an
/// error. The status alone does not say so.
fn same_end(pair: &Pair, arguments: &[&str]) -> bool {
    let [ours, theirs] = pair.doveadm(arguments).expect("doveadm is installed");
    let ends = [&ours, &theirs].map(|done| (done.status, done.stderr.is_empty()));
    assert_eq!(ends[0], ends[1], "{arguments:?}: {ours:?}\n{theirs:?}");
    assert_eq!(ours.text(), theirs.text());
    ends[0] == (Some(0), true)
}

#[test]
fn doveadm_prints_the_same_tables() {
    with_each(|dovecot| {
        let pair = Pair::start(dovecot);
        let streams = recorded(dovecot);
        let (first, second) = streams.split_at(streams.len() / 2);
        pair.play(first);
        let before = same_dump(&pair, &[]);
        assert!(before.lines().count() > 50, "{before}");
        // What is added counts from now on.
        let add = [
            "stats",
            "add",
            "late",
            "event=imap_command_finished AND category=imap",
            "--description",
            "added while it runs",
            "--fields",
            "user cmd_name",
            "--group-by",
            "cmd_name tagged_reply_state",
        ];
        assert!(same_end(&pair, &add));
        assert!(!same_end(&pair, &add), "it is there already");
        let exported = [
            "stats",
            "add",
            "later",
            "event=auth*",
            "--exporter",
            "all_json",
            "--exporter-include",
            "name fields",
        ];
        assert!(same_end(&pair, &exported));
        pair.play(second);
        let dump = same_dump(&pair, &[]);
        assert!(dump.contains("\nlate_SELECT_OK\tduration\t"), "{dump}");
        // It prints what it resets.
        assert_eq!(same_dump(&pair, &["-r"]), dump);
        let reset = same_dump(&pair, &[]);
        assert!(reset.contains("\nlate\tduration\t0\t0\t0\t0\t0.00\t0\t0.00\t0\n"), "{reset}");
        assert!(same_end(&pair, &["stats", "remove", "late"]));
        assert!(!same_end(&pair, &["stats", "remove", "late"]), "it is gone");
        assert!(!same_dump(&pair, &[]).contains("late_"));
        assert!(!same_end(&pair, &["stats", "add", "bad", "event="]));
        // In 2.3 there is no such command, as no driver has a file.
        if dovecot.generation() == Generation::V2_4 {
            pair.move_files();
            assert!(same_end(&pair, &["stats", "reopen"]));
            pair.play(first);
        }
        pair.compare(Order::All);
    });
}
