//! The load that benchmarks send: a host makes of it what it says of itself.

use fantail_integration_tests::{
    Host, Workdir,
    load::{GREETING, HOSTNAME, Load},
    peers::StatsClient,
};

/// A line without the time of its export, which a host takes from its clock.
fn without_end_time(line: &str) -> String {
    let (start, rest) = line.split_once("\"end_time\":").expect("a line has an end time");
    let (_, rest) = rest.split_once(',').expect("more members follow");
    format!("{start}{rest}")
}

#[test]
fn both_languages_tell_of_the_same_events() {
    check(&Load::new(7, 1500));
    check(&Load::alone(7, 1500));
}

fn check(load: &Load) {
    let dir = Workdir::new();
    let config = format!(
        "hostname = {HOSTNAME}\ninput load {{\n driver = stats-writer\n path = $DIR/stats\n}}\n\
         event_exporter sink {{\n driver = file\n format = json\n file_path = $DIR/out\n}}\n\
         metric all {{\n filter = event=*\n exporter = sink\n}}\n"
    );
    let host = Host::start(&dir, &config);
    let mut client = StatsClient::connect(dir.path("stats"));
    client.send(GREETING.as_bytes());
    // It can be sent over and over.
    client.send(&load.stats);
    client.send(&load.stats);
    client.finish();
    let ended = host.stop().expect_status(0);
    let input = ended.input("load");
    assert_eq!(input.rejected.len(), 0);
    // The VERSION line is none that could be rejected.
    let greeting = GREETING.lines().count() as u64 - 1;
    assert_eq!(input.received, greeting + 2 * load.stats_lines);
    assert_eq!(input.events, 2 * (load.all.events + load.begins));
    let exported = dir.lines("out");
    let told: Vec<_> = std::str::from_utf8(&load.json).unwrap().lines().collect();
    assert_eq!(exported.len(), 2 * told.len());
    for (exported, told) in exported.iter().zip(told.iter().chain(&told)) {
        assert_eq!(without_end_time(exported), without_end_time(told));
    }
}
