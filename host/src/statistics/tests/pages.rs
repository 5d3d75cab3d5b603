//! The valid page: what is on it, and that nothing counts twice.

use std::collections::BTreeMap;

use super::{count, of, plan};
use crate::event::builder::EventBuilder;
use crate::statistics::openmetrics::Head;
use crate::statistics::openmetrics::valid::{Syntax, page};
use crate::statistics::{MetricPlan, Statistics};

fn text(statistics: &Statistics, syntax: Syntax) -> String {
    let head = Head { version: "1.2.3", started: 1_600_000_000 };
    let mut text = String::new();
    statistics.read(|view| page(view, head, syntax, &mut text));
    text
}

/// The lines behind the program's own.
#[track_caller]
fn check(plan: MetricPlan, events: impl IntoIterator<Item = EventBuilder>, expected: &str) {
    let statistics = of(plan);
    count(&statistics, events);
    let text = text(&statistics, Syntax::OpenMetrics);
    let (_, own) = text.split_once("version=\"1.2.3\"} 1\n").unwrap();
    assert_eq!(own, expected);
}

fn event(duration: i64) -> EventBuilder {
    EventBuilder::new().last_sent(duration)
}

#[test]
fn a_metric_is_counters() {
    let plan =
        MetricPlan { description: "Say \"x\\y\"\nof it".to_owned(), ..plan(&["n-1"], "", 1) };
    check(
        plan,
        [event(100).integer("n-1", 3), event(900_000)],
        "# HELP dovecot_m Say \\\"x\\\\y\\\"\\nof it: number of events\n\
         # TYPE dovecot_m counter\n\
         dovecot_m_total 2\n\
         # HELP dovecot_m_duration_seconds Say \\\"x\\\\y\\\"\\nof it: sum of the durations, in seconds\n\
         # TYPE dovecot_m_duration_seconds counter\n\
         dovecot_m_duration_seconds_total 0.9001\n\
         # HELP dovecot_m_n_1 Say \\\"x\\\\y\\\"\\nof it: sum of the field n-1\n\
         # TYPE dovecot_m_n_1 counter\n\
         dovecot_m_n_1_total 3\n\
         # EOF\n",
    );
}

#[test]
fn a_sum_that_can_fall_is_a_gauge() {
    check(
        plan(&["n"], "", 1),
        [event(-1).integer("n", -3), event(0).integer("n", 4)],
        "# HELP dovecot_m number of events\n\
         # TYPE dovecot_m counter\n\
         dovecot_m_total 2\n\
         # HELP dovecot_m_duration_seconds sum of the durations, in seconds\n\
         # TYPE dovecot_m_duration_seconds gauge\n\
         dovecot_m_duration_seconds -0.000001\n\
         # HELP dovecot_m_n sum of the field n\n\
         # TYPE dovecot_m_n gauge\n\
         dovecot_m_n 1\n\
         # EOF\n",
    );
}

#[test]
fn only_the_innermost_series_are_there() {
    let of = |a: &str, b: &str| event(1_000_000).text("a", a).text("b", b);
    check(
        plan(&[], "a b", 6),
        [
            of("x", "1"),
            of("x\"\\\t", "1"),
            of("x", "2"),
            event(1_000_000).text("a", "x").timestamp("b", 1),
            event(1_000_000).timestamp("a", 1),
            event(1_000_000).text("a", "x"),
        ],
        "# HELP dovecot_m number of events\n\
         # TYPE dovecot_m counter\n\
         dovecot_m_total{fantail_overflow=\"true\"} 2\n\
         dovecot_m_total{a=\"x\",b=\"1\"} 1\n\
         dovecot_m_total{a=\"x\",b=\"2\"} 1\n\
         dovecot_m_total{a=\"x\"} 1\n\
         dovecot_m_total{a=\"x\\\"\\\\\u{fffd}\",b=\"1\"} 1\n\
         # HELP dovecot_m_duration_seconds sum of the durations, in seconds\n\
         # TYPE dovecot_m_duration_seconds counter\n\
         dovecot_m_duration_seconds_total{fantail_overflow=\"true\"} 2.0\n\
         dovecot_m_duration_seconds_total{a=\"x\",b=\"1\"} 1.0\n\
         dovecot_m_duration_seconds_total{a=\"x\",b=\"2\"} 1.0\n\
         dovecot_m_duration_seconds_total{a=\"x\"} 1.0\n\
         dovecot_m_duration_seconds_total{a=\"x\\\"\\\\\u{fffd}\",b=\"1\"} 1.0\n\
         # EOF\n",
    );
}

#[test]
fn buckets_are_a_histogram_of_their_field() {
    let of = |a: &str, n: i64| event(1_000_000).text("a", a).integer("n", n);
    check(
        plan(&[], "a n:linear:10:20:5", 100),
        [of("x", 7), of("x", 16), of("x", 1000), of("y", 11), event(500_000).text("a", "x")],
        "# HELP dovecot_m events by the field n\n\
         # TYPE dovecot_m histogram\n\
         dovecot_m_bucket{a=\"x\",le=\"10.0\"} 1\n\
         dovecot_m_bucket{a=\"x\",le=\"15.0\"} 1\n\
         dovecot_m_bucket{a=\"x\",le=\"20.0\"} 2\n\
         dovecot_m_bucket{a=\"x\",le=\"+Inf\"} 3\n\
         dovecot_m_sum{a=\"x\"} 1023\n\
         dovecot_m_count{a=\"x\"} 3\n\
         dovecot_m_bucket{a=\"y\",le=\"10.0\"} 0\n\
         dovecot_m_bucket{a=\"y\",le=\"15.0\"} 1\n\
         dovecot_m_bucket{a=\"y\",le=\"20.0\"} 1\n\
         dovecot_m_bucket{a=\"y\",le=\"+Inf\"} 1\n\
         dovecot_m_sum{a=\"y\"} 11\n\
         dovecot_m_count{a=\"y\"} 1\n\
         # HELP dovecot_m_duration_seconds sum of the durations, in seconds\n\
         # TYPE dovecot_m_duration_seconds counter\n\
         dovecot_m_duration_seconds_total{a=\"x\"} 3.5\n\
         dovecot_m_duration_seconds_total{a=\"y\"} 1.0\n\
         # EOF\n",
    );
}

#[test]
fn a_histogram_of_durations_is_in_seconds() {
    check(
        plan(&[], "duration:exponential:3:6:10", 100),
        [event(1000), event(2_500_001)],
        "# HELP dovecot_m events by the field duration\n\
         # TYPE dovecot_m histogram\n\
         dovecot_m_bucket{le=\"0.001\"} 1\n\
         dovecot_m_bucket{le=\"0.01\"} 1\n\
         dovecot_m_bucket{le=\"0.1\"} 1\n\
         dovecot_m_bucket{le=\"1.0\"} 1\n\
         dovecot_m_bucket{le=\"+Inf\"} 2\n\
         dovecot_m_sum 2.501001\n\
         dovecot_m_count 2\n\
         # EOF\n",
    );
}

#[test]
fn prometheus_names_counters_in_full() {
    let text = text(&of(plan(&[], "", 1)), Syntax::Prometheus);
    assert_eq!(
        text,
        "# HELP process_start_time_seconds when the program was started\n\
         # TYPE process_start_time_seconds gauge\n\
         process_start_time_seconds 1600000000\n\
         # HELP fantail_build_info the program\n\
         # TYPE fantail_build_info gauge\n\
         fantail_build_info{version=\"1.2.3\"} 1\n\
         # HELP dovecot_m_total number of events\n\
         # TYPE dovecot_m_total counter\n\
         dovecot_m_total 0\n\
         # HELP dovecot_m_duration_seconds_total sum of the durations, in seconds\n\
         # TYPE dovecot_m_duration_seconds_total counter\n\
         dovecot_m_duration_seconds_total 0.0\n"
    );
}

#[test]
fn labels_that_look_the_same_are_one() {
    let long = |last: &str| event(1).text("le", "x".repeat(500) + last).text("__a.b", "\x01");
    let statistics = of(plan(&[], "le __a.b 9-b n:linear:0:1:1", 100));
    count(
        &statistics,
        [long("1"), long("2"), event(1).integer("n", 1), event(1).text("9-b", "9").integer("n", 3)],
    );
    let text = text(&statistics, Syntax::OpenMetrics);
    let mut lines = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(lines.insert(name, value).is_none(), "{name} twice\n{text}");
    }
    let label = "x".repeat(255);
    let long = format!("dovecot_m_duration_seconds_total{{le_=\"{label}…\"}}");
    assert_eq!(lines[long.as_str()], "0.000002");
    assert_eq!(lines["dovecot_m_count"], "1");
    assert_eq!(lines["dovecot_m_count{_9_b=\"9\"}"], "1");
}
