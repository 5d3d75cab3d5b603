//! The load is what it says. (That a host reads it as it was meant is tested with a host.)

use std::collections::BTreeSet;

use super::{Load, Users};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_seed_decides_everything() {
    let load = Load::new(1, 500);
    let again = Load::new(1, 500);
    assert!(load.stats == again.stats && load.json == again.json);
    assert_ne!(load.stats, Load::new(2, 500).stats);
}

#[test]
fn a_load_is_like_a_mail_server() {
    let load = Load::new(1, 8192);
    let events = load.all.events;
    assert!((8184..=8200).contains(&events), "{events} events");
    let on_average = |sum: u64| sum as f64 / events as f64;
    let bytes = on_average(load.stats.len() as u64);
    assert!((500.0..525.0).contains(&bytes), "{bytes} bytes for each event");
    let fields = on_average(load.fields);
    assert!((18.0..19.0).contains(&fields), "{fields} fields in each event");
    let fetches = on_average(load.fetches.events);
    assert!((0.19..0.21).contains(&fetches), "{fetches} are FETCH");
    let top = on_average(load.top_user.events);
    assert!((0.05..0.2).contains(&top), "{top} are of the most active user");
    let names: BTreeSet<_> = (0..Users::COUNT).map(Users::name).collect();
    assert_eq!(names.len(), Users::COUNT);
}

#[test]
fn events_that_inherit_nothing_are_as_long() {
    let (load, alone) = (Load::new(1, 8192), Load::alone(1, 8192));
    assert_eq!((alone.all.events, alone.begins), (load.all.events, 0));
    assert_eq!((alone.fields, alone.fetches.events), (load.fields, load.fetches.events));
    assert!(text(&alone.stats).lines().all(|line| line.starts_with("EVENT\t0\t0\t0\t")));
    let bytes = alone.stats.len() as f64 / alone.all.events as f64;
    assert!((520.0..560.0).contains(&bytes), "{bytes} bytes for each event");
}

#[test]
fn the_counts_are_those_of_the_lines() {
    [Load::new(3, 1000), Load::alone(3, 1000)].iter().for_each(check_counts);
}

fn check_counts(load: &Load) {
    let stats: Vec<_> = text(&load.stats).lines().collect();
    let json: Vec<_> = text(&load.json).lines().collect();
    let starts = |start| stats.iter().filter(|line| line.starts_with(start)).count() as u64;
    assert_eq!(load.stats_lines, stats.len() as u64);
    assert_eq!(load.all.events, starts("EVENT\t"));
    assert_eq!(load.begins, starts("BEGIN\t"));
    assert_eq!(load.begins, starts("END\t"));
    assert_eq!(load.all.events, json.len() as u64);
    assert_eq!(load.all.json_bytes, load.json.len() as u64);
    let fetches = json.iter().filter(|line| line.contains("\"cmd_name\":\"FETCH\""));
    let finished = fetches.filter(|line| line.contains("\"event\":\"imap_command_finished\""));
    assert_eq!(load.fetches.events, finished.count() as u64);
    let user = format!("\"user\":\"{}\"", load.top_user_name);
    let top: Vec<_> = json.iter().filter(|line| line.contains(&user)).collect();
    assert_eq!(load.top_user.events, top.len() as u64);
    let bytes: u64 = top.iter().map(|line| line.len() as u64 + 1).sum();
    assert_eq!(load.top_user.json_bytes, bytes);
    let last = json.last().unwrap();
    assert!(last.contains(&user) && last.contains("FETCH"), "{last}");
}
