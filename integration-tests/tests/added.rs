//! Metrics that are added to a running host, and removed from it.

use fantail_integration_tests::{
    Done, Host, Workdir, events, fantail,
    peers::{StatsClient, send_unix},
    wait_for,
};

const CONFIG: &str = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
}
input lines {
  driver = unix
  path = $DIR/in.sock
}
listener reader {
  driver = stats-reader
  path = $DIR/reader
}
event_exporter out {
  driver = file
  file_path = $DIR/out
  format = json
}
metric a {
  filter = event=a
  exporter = out
  exporter_include = name fields
}
";

/// Runs `fantail stats` with these arguments.
fn stats(dir: &Workdir, arguments: &[&str]) -> Done {
    let reader = dir.path("reader");
    let socket = ["-s", reader.to_str().unwrap()];
    fantail([&["stats"], arguments, &socket].concat())
}

#[track_caller]
fn done(dir: &Workdir, arguments: &[&str]) {
    let done = stats(dir, arguments);
    assert_eq!((done.status, done.text(), done.stderr.as_str()), (Some(0), "", ""));
}

/// What has been counted: names and counts.
fn counts(dir: &Workdir) -> String {
    let dump = stats(dir, &["dump", "-f", "count", "--format", "tab"]);
    assert_eq!(dump.status, Some(0), "{}", dump.stderr);
    let durations = dump.text().lines().filter_map(|line| {
        let (name, count) = line.split_once("\tduration\t")?;
        Some(format!("{name} {count}"))
    });
    durations.collect::<Vec<_>>().join(", ")
}

fn wait_for_counts(dir: &Workdir, expected: &str) {
    wait_for(expected, || (counts(dir) == expected).then_some(()));
}

fn send(dir: &Workdir, name: &str, n: usize) {
    send_unix(dir.path("in.sock"), &events::lines([events::json(name, n)]));
}

fn reload(dir: &Workdir, config: &str) {
    dir.config("fantail.conf", config);
    let reader = dir.path("reader");
    let reloaded = fantail(["reload", "-s", reader.to_str().unwrap()]);
    assert_eq!((reloaded.status, reloaded.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_added_metric_counts_and_exports_until_it_is_removed() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let mut writer = StatsClient::hello(dir.path("stats-writer"));
    assert_eq!(writer.line(), "VERSION\tstats-server\t4\t0\n");
    assert_eq!(writer.line(), "FILTER\t(event=\"a\")\n");
    send(&dir, "a", 1);
    send(&dir, "b", 2);
    dir.wait_for_lines("out", 1);

    let include = "name fields";
    let more = ["--exporter", "out", "--exporter-include", include, "--group-by", "n"];
    done(&dir, &[&["add", "b", "event=b"], more.as_slice()].concat());
    assert_eq!(writer.line(), "FILTER\t(event=\"a\") OR (event=\"b\")\n");
    writer.say(&[&events::stats("b", 3)]);
    send(&dir, "a", 4);
    let out = dir.wait_for_lines("out", 3);
    assert!(out.iter().any(|line| line.contains("\"event\":\"b\"") && line.contains("\"n\":3")));
    wait_for_counts(&dir, "a 2, b 1, b_3 1");

    done(&dir, &["remove", "b"]);
    assert_eq!(writer.line(), "FILTER\t(event=\"a\")\n");
    send(&dir, "b", 5);
    send(&dir, "a", 6);
    wait_for_counts(&dir, "a 3");
    assert_eq!(writer.finish(), "");
    host.wait_for_log("metric b: added");
    host.wait_for_log("metric b: removed");
    host.stop().expect_status(0);
    assert_eq!(dir.lines("out").len(), 4);
}

#[test]
fn what_can_not_be_added_or_removed_changes_nothing() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let mut writer = StatsClient::hello(dir.path("stats-writer"));
    writer.line();
    writer.line();
    let check = |arguments: &[&str], said: &str| {
        let refused = stats(&dir, arguments);
        let said = format!("error: the host says: {said}\n");
        let shown = (refused.status, refused.text(), refused.stderr.as_str());
        assert_eq!(shown, (Some(65), "", said.as_str()));
    };
    check(&["add", "a", "event=x"], "METRICS-ADD: there is a metric `a` already");
    check(
        &["add", "x", "event="],
        "METRICS-ADD: filter: line 1, column 7: expected a value, but the filter ends here",
    );
    check(
        &["add", "x", "event=x", "--group-by", "n:linear:0:10"],
        "METRICS-ADD: group_by: `linear` takes three numbers that are not negative \
         (FIELD:linear:MIN:MAX:STEP)",
    );
    check(
        &["add", "x", "event=x", "--exporter", "nosuch"],
        "METRICS-ADD: there is no event_exporter `nosuch`: there are out",
    );
    check(
        &["add", "x", "event=x", "--exporter-include", "nmae"],
        "METRICS-ADD: exporter_include: nothing of an event is called `nmae`, did you mean \
         `name`? (name hostname timestamps categories fields)",
    );
    check(&["add", "", "event=x"], "METRICS-ADD: name: expected one, got nothing");
    check(&["remove", "x"], "metrics 'x' not found");
    assert_eq!(stats(&dir, &["add", "x"]).status, Some(2));
    // The writer was told nothing.
    assert_eq!(writer.finish(), "");
    assert_eq!(counts(&dir), "a 0");
    host.stop().expect_status(0);
}

#[test]
fn an_added_metric_outlives_a_reload_but_not_one_of_its_name() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    done(&dir, &["add", "b", "event=b", "--exporter", "out"]);
    done(&dir, &["add", "c", "event=c"]);
    for (n, name) in ["b", "b", "c"].into_iter().enumerate() {
        send(&dir, name, n);
    }
    wait_for_counts(&dir, "a 0, b 2, c 1");

    // The counts live on.
    let other = CONFIG.replace("$DIR/out", "$DIR/other");
    reload(&dir, &other);
    assert_eq!(counts(&dir), "a 0, b 2, c 1");
    send(&dir, "b", 3);
    dir.wait_for_lines("other", 1);
    wait_for_counts(&dir, "a 0, b 3, c 1");

    // The exporter is no more: nobody is left to wonder.
    let without = CONFIG.replace("event_exporter out", "event_exporter another");
    reload(&dir, &without.replace("exporter = out", "exporter = another"));
    host.wait_for_log(
        "metric b, which was added, is counted only: there is no event_exporter `out`",
    );

    // One of the configuration takes its place, for good.
    reload(&dir, &format!("{CONFIG}metric c {{\n filter = event=other\n}}\n"));
    send(&dir, "c", 4);
    send(&dir, "other", 5);
    wait_for_counts(&dir, "a 0, c 1, b 3");
    reload(&dir, CONFIG);
    assert_eq!(counts(&dir), "a 0, b 3");

    // One of the configuration can be removed, until that is read again.
    done(&dir, &["remove", "a"]);
    assert_eq!(counts(&dir), "b 3");
    reload(&dir, CONFIG);
    assert_eq!(counts(&dir), "a 0, b 3");
    done(&dir, &["remove", "b"]);
    reload(&dir, CONFIG);
    assert_eq!(counts(&dir), "a 0");
    host.stop().expect_status(0);
}

#[test]
fn there_is_a_limit_to_added_metrics() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    let mut reader = StatsClient::connect(dir.path("reader"));
    reader.line();
    reader.say(&["VERSION\tstats-reader-client\t2\t0"]);
    let mut add = |n: usize| {
        reader.say(&[&format!("METRICS-ADD\tm{n}\t\t\t\tevent=e\t\t")]);
        reader.line()
    };
    (0..256).for_each(|n| assert_eq!(add(n), "+\n"));
    assert!(add(256).starts_with("-METRICS-ADD: 256 metrics have been added already: "));
    done(&dir, &["remove", "m7"]);
    assert_eq!(add(256), "+\n");
    host.stop().expect_status(0);
}
