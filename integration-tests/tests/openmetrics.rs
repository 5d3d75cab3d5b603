//! The page of metrics, as Prometheus' own tools read it.

use std::process::Command;

use fantail::config::group_by;
use fantail::event::builder::{EventBuilder, EventChain};
use fantail::statistics::openmetrics::Head;
use fantail::statistics::openmetrics::valid::{Syntax, left_out, page};
use fantail::statistics::plan::Level;
use fantail::statistics::{MetricPlan, Statistics};
use fantail_integration_tests::{Done, run};

/// Debian's own interpreter, which has the module that Debian packages.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Reads a page as strictly as OpenMetrics wants, and prints what is in it.
pub(crate) const READ_OPENMETRICS: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
text = sys.stdin.buffer.read().decode()
for family in text_string_to_metric_families(text):
    for sample in family.samples:
        print(family.type, sample.name, sample.value)
";

fn plan(name: &str, description: &str, fields: &str, group_by: &str) -> MetricPlan {
    let fields = fields.split_whitespace().map(str::to_owned).collect();
    let levels = group_by::parse(group_by).unwrap().iter().map(Level::of).collect();
    MetricPlan::new(name, description, fields, levels, 50)
}

/// Metrics of every kind, with the names and values that could hurt a page.
fn statistics() -> Statistics {
    let plans = vec![
        plan("plain", "", "", ""),
        plan("described", "with \\ and \" and\nlines", "n x-y 9x total é", ""),
        plan("described_n", "has a name that is taken", "", ""),
        plan("imap/log/select", "exports only", "n", "user"),
        plan("by_user", "overflows", "n", "user"),
        plan("by_two", "", "n", "user mailbox-name"),
        plan("by_lists", "", "", "l"),
        plan("times", "", "n", "duration:exponential:0:6:10"),
        plan("sizes", "", "n", "user n:linear:0:100:30"),
        plan("falling", "", "minus", "minus:linear:0:100:30"),
        plan("inner", "buckets outside", "", "n:exponential:0:3:2 user"),
        plan("le_and_quantile", "", "", "le quantile n:linear:0:10:5"),
        plan("unused", "", "n", ""),
        plan("unused_groups", "", "n", "user"),
        plan("unused_buckets", "", "n", "user n:linear:0:10:5"),
    ];
    assert_eq!(left_out(&plans), ["dovecot_described_total", "dovecot_described_n"]);
    let used = plans.len() - 3;
    let statistics = Statistics::new(plans);
    let symbols = statistics.symbols();
    let mut counter = statistics.counter(&symbols);
    const USERS: [&[u8]; 9] = [
        b"",
        b"a b",
        b"quo\"te",
        b"back\\slash",
        b"line\nend",
        b"\xff\xfe",
        "é… \u{2028}".as_bytes(),
        b"}",
        b"\x01\t\x7f",
    ];
    for number in 0..2000_u32 {
        let user = USERS[number as usize % USERS.len()];
        let mut event = EventBuilder::new()
            .last_sent(i64::from(number) * 997)
            .integer("n", i64::from(number % 100))
            .integer("9x", i64::MAX)
            .integer("minus", 50 - i64::from(number % 100))
            .text("le", user)
            .list("l", &USERS[..number as usize % USERS.len()]);
        event = match number % 5 {
            0 => event.text("user", format!("user{number}")),
            1 => event.text("user", "x".repeat(400 + number as usize % 3)),
            2 => event.timestamp("user", 1),
            3 => event.text("user", user).text("mailbox-name", user),
            _ => event,
        };
        let chain = EventChain::new(event, &[]).resolve(&symbols);
        (0..used).for_each(|metric| counter.count(metric, &chain.event()));
    }
    counter.publish();
    statistics
}

fn text(statistics: &Statistics, syntax: Syntax) -> String {
    let head = Head { version: "0.0.0-\"quoted\"", started: 1_600_000_000 };
    let mut text = String::new();
    statistics.read(|view| page(view, head, syntax, &mut text));
    text
}

/// A tool of Debian's that reads a page.
pub(crate) fn read(command: &mut Command, text: &str) -> Done {
    let read = run(command, text.as_bytes());
    assert_eq!(read.status, Some(0), "{}\n{}\n{text}", read.text(), read.stderr);
    read
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let text = text(&statistics(), Syntax::Prometheus);
    assert!(text.lines().count() > 300);
    let read = read(Command::new("promtool").args(["check", "metrics"]), &text);
    assert_eq!((read.text(), read.stderr.as_str()), ("", ""));
}

#[test]
fn promtool_does_complain_when_there_is_something() {
    let text = text(&statistics(), Syntax::Prometheus).replace("le=\"+Inf\"", "le=\"+Inf");
    let mut promtool = Command::new("promtool");
    assert_ne!(run(promtool.args(["check", "metrics"]), text.as_bytes()).status, Some(0));
}

#[test]
fn a_strict_reader_of_openmetrics_finds_all_lines() {
    let text = text(&statistics(), Syntax::OpenMetrics);
    let read = read(Command::new(PYTHON).args(["-c", READ_OPENMETRICS]), &text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(read.text().lines().count(), lines.count());
    // Every event is there once, whatever it was grouped by.
    let total = |name: &str| {
        let of = read.text().lines().filter_map(|line| line.strip_prefix(name));
        of.map(|value| value.trim().parse::<f64>().unwrap()).sum::<f64>()
    };
    for metric in ["plain", "by_user", "by_two", "inner"] {
        assert_eq!(total(&format!("counter dovecot_{metric}_total ")), 2000.0, "{metric}");
    }
    assert_eq!(total("histogram dovecot_times_count "), 2000.0);
    assert_eq!(total("counter dovecot_sizes_n_total "), (0..100).sum::<u32>() as f64 * 20.0);
}
