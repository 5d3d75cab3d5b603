//! Dovecot's own answers: `integration-tests/data/cases/stats_cases.json`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::config::{self, Checks, Config, Diagnostics, Schemas, check_filter, group_by};
use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Symbols, Wanted};
use crate::filter::{Filter, FilterSet, Matcher};
use crate::statistics::dump::{self, Statistic, Table};
use crate::statistics::group::Grouping;
use crate::statistics::openmetrics::{Head, dovecot};
use crate::statistics::plan::Level;
use crate::statistics::{Counter, MetricPlan, Statistics};

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/data/cases/stats_cases.json");

/// Where Dovecot runs and we have something against the configuration: what a
/// modifier means has to be known, and buckets need an upper end.
const ERRORS_OF_OURS: [&str; 2] = ["discrete-016", "exponential-005"];

/// Negative numbers are negative with us; with Dovecot they are huge.
const NEGATIVE: &str = "fields-003";
const NEGATIVE_DUMP: &str = "n\t2\t0\t-5\t5\t0.00\t0\t25.00\t5";

/// The line of the page's head that says who made it.
const BUILD: &str = "dovecot_build_info{version=\"2.4.4\",revision=\"\"} 1\n";

fn file() -> Json {
    serde_json::from_str(&fs::read_to_string(FILE).unwrap()).unwrap()
}

#[test]
fn every_case_comes_out_as_in_dovecot() {
    let file = file();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 54);
    assert_eq!(file["default_dump_fields"], dump::DEFAULT);
    let mut failures = Vec::new();
    for case in cases {
        check_keys(case);
        if let Err(failure) = check(case) {
            failures.push(format!("{}: {failure}", case["id"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// No case may say something that this test does not look at. What the reader's
/// commands are answered (`dynamic`), and Dovecot's own words about a configuration,
/// are not this room's.
fn check_keys(case: &Json) {
    const KNOWN: [&str; 14] = [
        "id",
        "topic",
        "note",
        "config",
        "config_error",
        "config_warnings",
        "warnings",
        "dynamic",
        "filter_export",
        "events",
        "dump_fields",
        "reader_dump",
        "doveadm_dump",
        "openmetrics",
    ];
    for key in case.as_object().unwrap().keys() {
        assert!(KNOWN.contains(&key.as_str()), "{}: unknown key {key}", case["id"]);
    }
}

fn check(case: &Json) -> Result<(), String> {
    let id = text(&case["id"]);
    let (config, diagnostics) = load(case);
    let shown = diagnostics.render(false);
    if case["config_error"].is_string() || ERRORS_OF_OURS.contains(&id) {
        return if config.is_none() { Ok(()) } else { Err(format!("no error\n{shown}")) };
    }
    let config = config.ok_or(shown)?;
    if case["config_warnings"].is_string() && diagnostics.is_empty() {
        return Err("no warning".to_owned());
    }
    let (statistics, filters) = statistics(case, &config);
    count(case, &statistics, &filters);

    let names = list(&case["dump_fields"]);
    let asked: Vec<Statistic> =
        names.iter().map(|name| Statistic::parse(text(name).as_bytes())).collect();
    let mut reply = Vec::new();
    statistics.read(|view| dump::reply(view, &asked, &mut reply));
    let mut expected = text(&case["reader_dump"]).to_owned();
    if id == NEGATIVE {
        let (before, _) = expected.split_once("n\t2\t0\t5\t1844").unwrap();
        expected = format!("{before}{NEGATIVE_DUMP}\n\n");
    }
    same("dump", &String::from_utf8(reply.clone()).unwrap(), &expected)?;

    if id != NEGATIVE {
        let columns = names.iter().map(text).collect::<Vec<_>>().join(" ");
        let table = Table::new(&columns.replace("variance", "stddev"));
        let arguments: Vec<_> = table.arguments().collect();
        assert_eq!(arguments.join(" "), columns);
        same("table", &table.tabbed(&reply), text(&case["doveadm_dump"]))?;
    }

    let head = Head { version: "0.1.0", started: 1_600_000_000 };
    let mut page = String::new();
    statistics.read(|view| dovecot::page(view, head, &mut page));
    let own = page.replace("version=\"0.1.0\"", "version=\"2.4.4\"");
    assert_ne!(own, page);
    assert!(own.contains(BUILD));
    same("page", &own, text(&case["openmetrics"]))
}

fn same(what: &str, got: &str, expected: &str) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}\n--- got\n{got}\n--- expected\n{expected}"))
}

/// The case's configuration, as it would be written.
fn load(case: &Json) -> (Option<Config>, Diagnostics) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("case.conf");
    fs::write(&path, configuration(&case["config"])).unwrap();
    let plugins = Plugins(json!({"properties": {}}));
    let checks = Checks { schemas: &plugins, filter: &check_filter, inputs_required: false };
    let loaded = config::load(&[path], checks);
    (loaded.config, loaded.diagnostics)
}

/// Plugins without settings.
struct Plugins(Json);

impl Schemas for Plugins {
    fn driver(&self, name: &str) -> Option<&Json> {
        self.driver_names().contains(&name).then_some(&self.0)
    }

    fn format(&self, name: &str) -> Option<&Json> {
        self.format_names().contains(&name).then_some(&self.0)
    }

    fn driver_names(&self) -> Vec<&str> {
        vec!["drop", "log"]
    }

    fn format_names(&self) -> Vec<&str> {
        vec!["json"]
    }
}

fn configuration(config: &Json) -> String {
    let mut out = String::new();
    for exporter in config["exporters"].as_array().unwrap_or(&Vec::new()) {
        let _ = writeln!(out, "event_exporter {} {{", text(&exporter["name"]));
        for key in ["driver", "format"] {
            let _ = writeln!(out, "  {key} = {}", text(&exporter[key]));
        }
        let _ = writeln!(out, "}}");
    }
    for metric in list(&config["metrics"]) {
        let _ = writeln!(out, "metric {} {{", text(&metric["name"]));
        for key in ["filter", "description", "exporter", "fields", "exporter_include"] {
            let value = match &metric[key] {
                Json::Null => continue,
                Json::Array(words) => words.iter().map(text).collect::<Vec<_>>().join(" "),
                value => text(value).to_owned(),
            };
            let _ = writeln!(out, "  {key} = {value}");
        }
        for level in metric["group_by"].as_array().unwrap_or(&Vec::new()) {
            let _ = writeln!(out, "  group_by {} {{", text(&level["field"]));
            let methods = match &level["method"] {
                Json::Array(methods) => methods.iter().map(text).collect(),
                Json::Null => Vec::new(),
                method => vec![text(method)],
            };
            for method in methods {
                let _ = writeln!(out, "    method {method} {{");
                for (key, value) in level.as_object().unwrap() {
                    if !["field", "method"].contains(&key.as_str()) {
                        let value = value.as_str().map_or(value.to_string(), str::to_owned);
                        let _ = writeln!(out, "      {key} = {value}");
                    }
                }
                let _ = writeln!(out, "    }}");
            }
            let _ = writeln!(out, "  }}");
        }
        let _ = writeln!(out, "}}");
    }
    out
}

/// Statistics of the configured metrics, and of those that were added and not
/// removed.
fn statistics(case: &Json, config: &Config) -> (Statistics, FilterSet) {
    let metrics = config.metrics.iter();
    let mut plans: Vec<_> =
        metrics.map(|metric| (MetricPlan::of(metric), metric.filter.value.clone())).collect();
    for command in case["dynamic"].as_array().unwrap_or(&Vec::new()) {
        let arguments: Vec<&str> = list(&command["args"]).iter().map(text).collect();
        match text(&command["command"]) {
            _ if command["reply"] != "+\n" => {}
            "METRICS-REMOVE" => plans.retain(|(plan, _)| plan.name != arguments[0]),
            _ => {
                let plan = MetricPlan::new(arguments[0], arguments[1], vec![], vec![], 1);
                plans.push((plan, arguments[4].to_owned()));
            }
        }
    }
    let (plans, filters): (Vec<_>, Vec<_>) = plans.into_iter().unzip();
    let filters: Vec<String> = filters;
    let filters = filters.iter().map(|filter| Filter::parse(filter).unwrap());
    (Statistics::new(plans), FilterSet::new(filters))
}

fn count(case: &Json, statistics: &Statistics, filters: &FilterSet) {
    let mut wanted = Wanted::default();
    filters.wants(&mut wanted);
    statistics.wants(&mut wanted);
    let symbols = Arc::new(Symbols::new(&wanted));
    let mut counter = statistics.counter(&symbols);
    for event in list(&case["events"]) {
        if event["reset"] == true {
            counter.publish();
            statistics.read_and_reset(|_| ());
        } else if let Some(times) = event["repeat"].as_u64() {
            (0..times).for_each(|_| count_event(&event["event"], filters, &symbols, &mut counter));
        } else {
            count_event(event, filters, &symbols, &mut counter);
        }
    }
    counter.publish();
}

fn count_event(event: &Json, filters: &FilterSet, symbols: &Arc<Symbols>, counter: &mut Counter) {
    let parents: Vec<_> =
        std::iter::successors(event.get("parent"), |parent| parent.get("parent")).collect();
    let chain = EventChain::new(build(event), &[]);
    let chain = chain.parents(parents.into_iter().rev().map(build)).resolve(symbols);
    let (mut matcher, mut matched) = (Matcher::new(filters, symbols), Vec::new());
    filters.matches_into(&chain.event(), &mut matcher, &mut matched);
    for metric in matched {
        counter.count(metric as usize, &chain.event());
    }
}

fn build(event: &Json) -> EventBuilder {
    const KNOWN: [&str; 7] =
        ["name", "log_type", "categories", "fields", "created", "duration_usecs", "parent"];
    let keys: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(keys.is_subset(&KNOWN.into()), "{keys:?}");
    let created = micros(&event["created"]);
    let sent = created + event["duration_usecs"].as_i64().unwrap();
    let mut built = EventBuilder::new().start_time(created).last_sent(sent);
    if let Some(name) = event["name"].as_str() {
        built = built.name(name);
    }
    for field in list(&event["fields"]) {
        let (key, value) = (text(&field["key"]), &field["value"]);
        built = match text(&field["type"]) {
            "str" => match field["value_hex"].as_str() {
                None => built.text(key, text(value)),
                Some(hex) => built.text(key, from_hex(hex)),
            },
            "int" => built.integer(key, value.as_i64().unwrap()),
            "time" => built.timestamp(key, micros(value)),
            "ip" => built.ip(key, text(value)),
            "strlist" => built.list(key, &list(value).iter().map(text).collect::<Vec<_>>()),
            other => panic!("no such type of field: {other}"),
        };
    }
    built
}

#[test]
fn the_short_group_by_means_the_same_as_in_dovecot() {
    let file = file();
    let cases = list(&file["legacy_group_by"]);
    assert_eq!(cases.len(), 18);
    for case in cases {
        let group_by = text(&case["group_by"]);
        let parsed = group_by::parse(group_by);
        match &case["parsed"] {
            Json::String(expected) => {
                let levels: Vec<_> = parsed.unwrap().iter().map(Level::of).collect();
                assert_eq!(levels.iter().map(shown).collect::<String>(), *expected);
            }
            _ => assert!(parsed.is_err(), "{group_by}"),
        }
    }
}

/// A level as the cases show it.
fn shown(level: &Level) -> String {
    let field = &level.field;
    match &level.grouping {
        Grouping::Values => format!("{field}|discrete|\n"),
        Grouping::Modified(modifier) => {
            format!("{field}|discrete|{}\n", modifier.to_string().replace(' ', ""))
        }
        Grouping::Buckets(buckets) => {
            let mut start = i64::MIN;
            let ranges = buckets.ends().iter().map(|&end| {
                let range = format!("({start},{end}]");
                start = end;
                range
            });
            format!("{field}|quantized||{}\n", ranges.collect::<Vec<_>>().join("|"))
        }
    }
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

fn micros(time: &Json) -> i64 {
    time["sec"].as_i64().unwrap() * 1_000_000 + time["usec"].as_i64().unwrap()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}
