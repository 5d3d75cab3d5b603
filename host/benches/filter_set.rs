//! How long an event takes to find the filters that match it, by how many filters
//! there are and what they have in common; compiled, and asked one by one.
//!
//! The event is a command of an IMAP user with 17 fields, three of them its
//! session's; one filter of each set matches it, or none when the name says so.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use divan::{Bencher, black_box};
use fantail::event::builder::{EventBuilder, EventChain};
use fantail::filter::{Filter, FilterSet, Matcher};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const CATEGORIES: [(&str, Option<&str>); 4] = [
    ("storage", None),
    ("mailbox", Some("storage")),
    ("imap", None),
    ("service:imap", Some("imap")),
];

/// What the filters of a set look like; number 0 matches.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// `user=`
    User,
    /// one name and `user=`
    NameAndUser,
    /// a name for each
    Names,
    /// a hundred names, a hundred users
    NamesAndUsers,
    /// a category for each
    Categories,
    /// `user=*@domain`
    Wildcards,
    /// `remote_ip=` a network
    Networks,
    /// `user=` this one or that one, ten of them
    OrLists,
    /// a field for each
    Fields,
    /// one name and a bound for `duration` that no event exceeds
    Bounds,
}

const SHAPES: [Shape; 10] = [
    Shape::User,
    Shape::NameAndUser,
    Shape::Names,
    Shape::NamesAndUsers,
    Shape::Categories,
    Shape::Wildcards,
    Shape::Networks,
    Shape::OrLists,
    Shape::Fields,
    Shape::Bounds,
];

const SIZES: [usize; 4] = [1, 10, 1_000, 10_000];

fn filter(shape: Shape, number: usize) -> String {
    match shape {
        Shape::User => format!("user=u{number}"),
        Shape::NameAndUser => format!("event=imap_command_finished AND user=u{number}"),
        Shape::Names if number == 0 => "event=imap_command_finished".to_owned(),
        Shape::Names => format!("event=name_{number}"),
        Shape::NamesAndUsers if number < 100 => {
            format!("event=imap_command_finished AND user=u{number}")
        }
        Shape::NamesAndUsers => format!("event=name_{} AND user=u{}", number / 100, number % 100),
        Shape::Categories if number == 0 => "category=imap".to_owned(),
        Shape::Categories => format!("category=c{number}"),
        Shape::Wildcards => format!("folder=\"*/f{number}\""),
        Shape::Networks => {
            format!("remote_ip=10.{}.{}.0/24", number / 256, number % 256)
        }
        Shape::OrLists => {
            let users: Vec<_> = (0..10).map(|it| format!("user=u{}", 10 * number + it)).collect();
            users.join(" OR ")
        }
        Shape::Fields if number == 0 => "cmd_name=SELECT".to_owned(),
        Shape::Fields => format!("field_{number}=x"),
        Shape::Bounds if number == 0 => "event=imap_command_finished AND duration>1".to_owned(),
        Shape::Bounds => {
            format!("event=imap_command_finished AND duration>{}", 1_000_000 + number)
        }
    }
}

fn set(shape: Shape, size: usize) -> FilterSet {
    FilterSet::new((0..size).map(|number| Filter::parse(filter(shape, number)).unwrap()))
}

fn event(name: &str) -> EventChain {
    let own = EventBuilder::new()
        .name(name)
        .start_time(1_560_940_705_422_744)
        .last_sent(1_560_940_705_424_812)
        .category("service:imap")
        .text("cmd_tag", "5")
        .text("cmd_name", "SELECT")
        .text("cmd_input_name", "SELECT")
        .text("cmd_args", "INBOX")
        .text("cmd_human_args", "INBOX")
        .text("folder", "mail/f0")
        .text("tagged_reply_state", "OK")
        .text("tagged_reply", "OK [READ-WRITE] Select completed")
        .integer("last_run_time", 1_560_940_705)
        .integer("running_usecs", 1953)
        .integer("lock_wait_usecs", 0)
        .integer("bytes_in", 7)
        .integer("bytes_out", 331);
    let session = EventBuilder::new()
        .category("imap")
        .text("user", "u0")
        .text("session", "xlBB1KqLz1isGwB+")
        .ip("remote_ip", "10.0.0.7")
        .ip("local_ip", "192.0.2.1");
    EventChain::new(own, &CATEGORIES).parents([session])
}

fn ask(bencher: Bencher<'_, '_>, set: &FilterSet, name: &str, expected: usize) {
    let symbols = set.symbols();
    let chain = event(name).resolve(&symbols);
    let event = chain.event();
    let (mut matcher, mut matched) = (Matcher::new(set, &symbols), Vec::new());
    set.matches_into(&event, &mut matcher, &mut matched);
    assert_eq!(matched.len(), expected);
    bencher.bench_local(|| {
        set.matches_into(black_box(&event), &mut matcher, &mut matched);
        matched.len()
    });
}

#[divan::bench(args = SHAPES, consts = SIZES)]
fn one_matches<const SIZE: usize>(bencher: Bencher<'_, '_>, shape: &Shape) {
    ask(bencher, &set(*shape, SIZE), "imap_command_finished", 1);
}

#[divan::bench(args = [Shape::User, Shape::NameAndUser, Shape::Names], consts = SIZES)]
fn another_name<const SIZE: usize>(bencher: Bencher<'_, '_>, shape: &Shape) {
    ask(bencher, &set(*shape, SIZE), "imap_other", usize::from(matches!(shape, Shape::User)));
}

#[divan::bench(args = SHAPES, consts = [1, 1_000])]
fn one_by_one<const SIZE: usize>(bencher: Bencher<'_, '_>, shape: &Shape) {
    let set = set(*shape, SIZE);
    let chain = event("imap_command_finished");
    let event = chain.event();
    let mut matched = Vec::new();
    bencher.bench_local(|| {
        set.matches_into_reporting(black_box(&event), &mut matched, &mut |_| {});
        matched.len()
    });
}

#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, size: usize) {
    bencher.bench_local(|| set(Shape::NameAndUser, size));
}
