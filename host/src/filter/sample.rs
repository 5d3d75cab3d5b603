//! Filters and events made from bytes, for tests and fuzz targets: of few names,
//! fields and values, so that they often meet.

use super::{Filter, FilterSet, Matcher};
use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Bytes, Categories, Event, LogType, Span};

/// Names of events, with what filters ask for them by.
const NAMES: [&str; 8] =
    ["a", "ab", "A", "imap_command_finished", "imap_x", "x_finished", "*", "5"];
const NAME_TESTS: [&str; 16] = [
    "a",
    "ab",
    "A",
    "imap_command_finished",
    "imap_x",
    "x_finished",
    "5",
    "\"\"",
    "*",
    "a*",
    "imap_*",
    "*_finished",
    "*_*",
    "?",
    "\"\\*\"",
    "*m*p*",
];

/// Categories, each with its parent.
const CATEGORIES: [(&str, Option<&str>); 7] = [
    ("storage", None),
    ("mailbox", Some("storage")),
    ("mail", Some("mailbox")),
    ("imap", None),
    ("service:imap", Some("imap")),
    ("debug", None),
    ("x", Some("debug")),
];
const CATEGORY_TESTS: [&str; 11] = [
    "storage",
    "mailbox",
    "mail",
    "imap",
    "service:imap",
    "\"\\debug\"",
    "debug",
    "error",
    "panic",
    "unknown",
    "\"\"",
];

const KEYS: [&str; 10] =
    ["user", "b", "l", "duration", "k y", "ip", "n", "bytes_in", "remote_ip", "User"];

/// What fields are compared with; the first [`TEXTS`] are texts as well.
const VALUES: [&str; 46] = [
    "x",
    "X",
    "xy",
    "u1",
    "u2",
    "U3",
    "5",
    "05",
    "404",
    "-1",
    "1024",
    "1KB",
    "1m",
    "1M",
    "12h",
    "43200000000",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.1.2.3",
    "1.2.3",
    "1.2.0.3",
    "::1",
    "fe80::1%lo",
    "fe80::/10",
    "2001:db8::1",
    "::ffff:10.1.2.3",
    "",
    "and",
    "ä",
    "tail@example.com",
    "0",
    "6",
    "9223372036854775807",
    "-9223372036854775808",
    "*",
    "?",
    "?*",
    "x*",
    "*x",
    "u?",
    "4*",
    "*0*",
    "10.*",
    "*@example.com",
    "*example*",
    "\\12h",
];
const TEXTS: usize = 34;

const NUMBERS: [i64; 12] =
    [0, 5, 6, -1, 404, 1024, 4, 43_200_000_000, 10, i64::MAX, i64::MIN, 1 << 20];

const ADDRESSES: [&str; 10] = [
    "10.0.0.1",
    "10.1.2.3",
    "1.2.0.3",
    "192.0.2.7",
    "::1",
    "fe80::1",
    "fe80::1%lo",
    "2001:db8::1",
    "::ffff:10.1.2.3",
    "1m",
];

const SOURCES: [&str; 3] = ["f.c", "main.c", "x:y.c"];
const SOURCE_TESTS: [&str; 6] = ["f.c", "f.c:1", "main.c:2", "\"x:y.c\"", "\"x:y.c:1\"", "f.c:01"];

/// A run of decisions.
#[derive(Clone, Debug)]
struct Dice<'b>(&'b [u8]);

impl<'b> Dice<'b> {
    /// Decisions that the bytes make; when they are used up, always the first choice.
    fn new(bytes: &'b [u8]) -> Self {
        Dice(bytes)
    }

    /// A number below `sides`, which is at most 256.
    fn roll(&mut self, sides: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % sides
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

/// Compares what the compiled filters say of a few events with what every filter
/// says alone; both filters and events are made from `bytes`. Returns how often a
/// filter was asked about an event, and how often it matched.
///
/// # Panics
///
/// When the answers differ.
pub fn compare(bytes: &[u8]) -> (usize, usize) {
    let mut dice = Dice::new(bytes);
    let few = dice.of(&[0, 0, 1, 4, 100]);
    let filters: Vec<Filter> = (0..=dice.roll(30)).map(|_| filter(&mut dice)).collect();
    let set = FilterSet::with_few(filters, dice.roll(3) > 0, few);
    let symbols = set.symbols();
    let mut matcher = Matcher::new(&set, &symbols);
    let (mut asked, mut matched) = (0, 0);
    for _ in 0..=dice.roll(8) {
        let chain = event(&mut dice).resolve(&symbols);
        asked += set.filters().len();
        matched += compare_event(&set, &chain.event(), &mut matcher);
        // The same event as a relayed one, whose categories are given by name.
        let names = CATEGORIES.map(|(name, _)| name).join("");
        let bytes = Bytes::new(names.as_bytes(), &[]);
        let spans = some_names(&mut dice);
        let relayed = Event { categories: Categories::Named(bytes, &spans), ..chain.event() };
        asked += set.filters().len();
        matched += compare_event(&set, &relayed, &mut matcher);
    }
    (asked, matched)
}

/// Compares for one event; returns how many filters match.
fn compare_event(set: &FilterSet, event: &Event<'_>, matcher: &mut Matcher) -> usize {
    let (mut expected, mut found) = (Vec::new(), vec![99]);
    set.matches_into_reporting(event, &mut expected, &mut |_| {});
    set.matches_into(event, matcher, &mut found);
    if found != expected {
        let filters: Vec<_> = set.filters().iter().map(Filter::canonical).collect();
        panic_on_difference(&filters, event, &found, &expected);
    }
    found.len()
}

#[expect(clippy::panic, reason = "a test's own assertion, with all that is needed to see why")]
fn panic_on_difference(filters: &[String], event: &Event<'_>, found: &[u32], expected: &[u32]) {
    let layers: Vec<Vec<_>> = event.layers().map(|layer| layer.fields().collect()).collect();
    panic!(
        "compiled: {found:?}, one by one: {expected:?}\nname {:?}, {:?}, {:?}, duration {}\n\
         fields {layers:#?}\nfilters {filters:#?}",
        event.name, event.log_type, event.source, event.duration
    );
}

/// Where some categories' names are among all of them in a row.
fn some_names(dice: &mut Dice<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (name, _) in CATEGORIES {
        let end = start + name.len();
        if dice.roll(2) == 1 {
            spans.push(Span::line(start, end));
        }
        start = end;
    }
    spans
}

/// A filter, rarely the empty one.
fn filter(dice: &mut Dice<'_>) -> Filter {
    let text = match dice.roll(20) {
        19 => String::new(),
        // A row of alternatives or of conditions.
        18 => row(dice, " OR "),
        17 => row(dice, " AND "),
        16 => format!("{} AND ({})", test(dice), row(dice, " OR ")),
        15 => format!("{} AND NOT ({})", test(dice), values(dice)),
        14 => format!("{} AND ({})", test(dice), values(dice)),
        13 => format!("({}) AND ({})", values(dice), values(dice)),
        12 => format!("NOT ({})", values(dice)),
        _ => expression(dice, 4),
    };
    Filter::parse(&text).expect("invariant: every text made here is a filter")
}

fn row(dice: &mut Dice<'_>, joint: &str) -> String {
    let parts: Vec<_> = (0..=dice.roll(40)).map(|_| expression(dice, 1)).collect();
    parts.join(joint)
}

/// Values of one field, joined by OR.
fn values(dice: &mut Dice<'_>) -> String {
    let key = dice.of(&KEYS);
    let parts: Vec<_> =
        (0..=dice.roll(9)).map(|_| format!("\"{key}\"=\"{}\"", dice.of(&VALUES))).collect();
    parts.join(" OR ")
}

fn expression(dice: &mut Dice<'_>, depth: usize) -> String {
    if depth == 0 {
        return test(dice);
    }
    match dice.roll(8) {
        0..=2 => test(dice),
        3 | 4 => format!("({} AND {})", expression(dice, depth - 1), expression(dice, depth - 1)),
        5 | 6 => format!("({} OR {})", expression(dice, depth - 1), expression(dice, depth - 1)),
        _ => format!("NOT {}", expression(dice, depth - 1)),
    }
}

fn test(dice: &mut Dice<'_>) -> String {
    match dice.roll(10) {
        0 | 1 => format!("event={}", dice.of(&NAME_TESTS)),
        2 => format!("category={}", dice.of(&CATEGORY_TESTS)),
        3 => format!("source_location={}", dice.of(&SOURCE_TESTS)),
        4 => {
            let op = dice.of(&[">", "<", ">=", "<="]);
            format!("\"{}\"{op}\"{}\"", dice.of(&KEYS), dice.of(&VALUES))
        }
        _ => format!("\"{}\"=\"{}\"", dice.of(&KEYS), dice.of(&VALUES)),
    }
}

/// An event, perhaps with parents and a global event.
fn event(dice: &mut Dice<'_>) -> EventChain {
    let registered = &CATEGORIES[..dice.of(&[7, 7, 7, 3])];
    let mut chain = EventChain::new(layer(dice), registered);
    let parents = dice.of(&[0, 0, 1, 1, 2, 3]);
    if parents > 0 {
        chain = chain.parents((0..parents).map(|_| layer(dice)));
    }
    let globals = dice.of(&[0, 0, 0, 1, 2]);
    if globals > 0 {
        chain = chain.global((0..globals).map(|_| layer(dice)));
    }
    chain
}

/// One event of a chain.
fn layer(dice: &mut Dice<'_>) -> EventBuilder {
    let mut event = EventBuilder::new();
    event = match dice.roll(12) {
        10 => event,
        11 => event.name(""),
        _ => event.name(dice.of(&NAMES)),
    };
    if let Some(log_type) = LogType::ALL.get(dice.roll(8)) {
        event = event.log_type(*log_type);
    }
    if dice.roll(2) == 1 {
        event = event.source(dice.of(&SOURCES), [1, 2][dice.roll(2)]);
    }
    event = event.start_time(0).last_sent(dice.of(&NUMBERS));
    for (name, _) in CATEGORIES {
        if dice.roll(5) == 4 {
            event = event.category(name);
        }
    }
    for key in KEYS {
        event = field(event, key, dice);
    }
    event
}

fn field(event: EventBuilder, key: &str, dice: &mut Dice<'_>) -> EventBuilder {
    let texts = &VALUES[..TEXTS];
    match dice.roll(20) {
        0..=7 => event.text(key, dice.of(texts)),
        8 | 9 => event.integer(key, dice.of(&NUMBERS)),
        10 | 11 => event.ip(key, dice.of(&ADDRESSES)),
        12 => event.timestamp(key, 5),
        13 | 14 => {
            let elements: Vec<_> = (0..dice.roll(4)).map(|_| dice.of(texts)).collect();
            event.list(key, &elements)
        }
        15 => event.json(key, dice.of(&["5", "1.5", "true", "x"])),
        _ => event,
    }
}
