//! `fantail check` and `fantail config`, and configurations that a host starts with.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::SystemTime,
};

use fantail_integration_tests::{
    Done, Host, IN, OUT, Starting, Workdir, data, events, fantail, peers::send_unix, repository,
};

fn with_configs(command: &str, paths: &[&Path]) -> Done {
    let mut arguments = vec![command.as_ref()];
    for path in paths {
        arguments.extend(["-c".as_ref(), path.as_os_str()]);
    }
    fantail(arguments)
}

fn check(paths: &[&Path]) -> Done {
    with_configs("check", paths)
}

/// A configuration whose input begins in its second line, and its exporter in the sixth.
static SMALL: LazyLock<String> = LazyLock::new(|| [IN, OUT].concat());

/// The sum of docs/delivery.md, worked out by hand.
#[test]
fn check_says_how_much_memory_a_host_takes_at_most() {
    let dir = Workdir::new();
    let check = |input: &str, exporter: &str, expected: &str| {
        let text = format!(
            "workers = 3\ninput in {{\n{input}\n}}\nevent_exporter out {{\n  driver = drop\n  \
             format = json\n  queue_max_size = 100 MiB\n  batch_max_size = 1 MiB\n{exporter}\n}}\n\
             metric all {{\n  filter = event=*\n  exporter = out\n}}\n"
        );
        let done = check(&[&dir.config("fantail.conf", &text)]);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        let line = done.text().lines().find(|line| line.contains("memory")).unwrap_or_default();
        assert_eq!(line, format!("  memory: at most {expected}"));
    };
    let tcp =
        "  driver = tcp\n  address = 127.0.0.1:0\n  max_connections = 50\n  line_limit = 1 MiB";
    // 100 + (3 open + 2 with the driver) * (1 + 1) + 16, and 50 lines.
    check(tcp, "", "176 MiB and the program (exporters 126 MiB, inputs 50 MiB)");
    // Twice, and what is being written to the disk.
    let other = "  queue = durable\n}\nevent_exporter other {\n  driver = drop\n  format = json\n  \
                 queue_max_size = 1 GiB\n  batch_max_size = 1 MiB";
    check(tcp, other, "1.3 GiB and the program (exporters 1.2 GiB, inputs 50 MiB)");
    check(tcp, "  queue = spill", "185 MiB and the program (exporters 135 MiB, inputs 50 MiB)");
    // A reader has an open batch, too.
    let stdin = "  driver = stdin\n  line_limit = 2 MiB";
    check(stdin, "", "136 MiB and the program (exporters 134 MiB, inputs 2 MiB)");
    let http = "  driver = http\n  address = 127.0.0.1:0\n  max_connections = 16\n  \
                http_request_max_size = 4 MiB\n  http_requests_max_size = 20 MiB";
    // Heads, bodies, and a body for each worker.
    check(http, "", "174 MiB and the program (exporters 141 MiB, inputs 33 MiB)");
    let writer = "  driver = stats-writer\n  path = $DIR/s\n  max_connections = 10\n  \
                  line_limit = 1 MiB\n  open_events_max_size = 40 MiB";
    check(writer, "", "176 MiB and the program (exporters 126 MiB, inputs 50 MiB)");
}

#[test]
fn a_certificate_that_can_not_be_read_is_an_error_in_its_place() {
    let dir = Workdir::new();
    let http = "driver = http\n  address = 127.0.0.1:0\n  ssl_server_cert_file = $DIR/none.pem";
    let path =
        dir.config("fantail.conf", &SMALL.replace("driver = unix\n  path = $DIR/in.sock", http));
    let done = check(&[&path]);
    assert_eq!(done.status, Some(78), "{}", done.stderr);
    assert!(done.stderr.contains("fantail.conf:5:26"), "{}", done.stderr);
    assert!(done.stderr.contains("none.pem: No such file or directory"), "{}", done.stderr);
}

#[test]
fn all_errors_are_shown_at_once_each_in_its_place() {
    let dir = Workdir::new();
    let one = dir.config(
        "one.conf",
        "event_exporter out {
  driver = fiel
  format = json
}
metric a {
  fitler = event=*
  filter = event=
  exporter = uot
}
",
    );
    let two = dir.config(
        "two.conf",
        "input in {\n  driver = unix\n  path = /x\n  line_limit = 5 parsecs\n}\n",
    );
    let expected = [
        ("one.conf:2:12", "fiel", "file"),
        ("one.conf:6:3", "fitler", "filter"),
        ("one.conf:7:", "filter of metric `a`", ""),
        ("one.conf:8:14", "uot", ""),
        ("two.conf:4:16", "parsecs", ""),
    ];
    for command in ["check", "run", "config"] {
        let done = with_configs(command, &[&one, &two]);
        assert_eq!(done.status, Some(78), "{command}: {}", done.stderr);
        for (place, text, suggestion) in expected {
            assert!(done.stderr.contains(place), "{command}: no {place} in\n{}", done.stderr);
            assert!(done.stderr.contains(text), "{command}: no {text} in\n{}", done.stderr);
            assert!(done.stderr.contains(suggestion), "{command}: {}", done.stderr);
        }
        assert!(done.stderr.contains("did you mean `filter`?"), "{}", done.stderr);
        // Compilers mark what they mean.
        assert!(done.stderr.contains("^^^^^^"), "{}", done.stderr);
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn what_plugins_and_the_system_refuse_is_shown_with_the_rest() {
    let dir = Workdir::new();
    let path = dir.config(
        "fantail.conf",
        "plugin_dir = $DIR/nowhere
input in {
  driver = unix
  path = $DIR/in.sock
  user = no-such-user
}
input file {
  driver = file
  path = $DIR/no-*.json
}
event_exporter web {
  driver = http-post
  http_post_url = ftp://example.com/
  format = json
}
event_exporter file {
  driver = file
  file_path = $DIR/none/out
  format = json
}
metric a {
  filter = event=
  exporter = web
}
service stats {
  unix_listener stats-writer {
    group = no-such-group
  }
}
",
    );
    let expected = [
        (1, "warning", "plugin_dir "),
        (5, "error", "input in: there is no user `no-such-user`"),
        (9, "error", "input file: there is no file "),
        (13, "error", "exporter web: driver http-post: "),
        (18, "warning", "there is no directory "),
        (22, "error", "filter of metric `a`: "),
        (27, "error", "input stats-writer: there is no group `no-such-group`"),
    ];
    for command in ["check", "run"] {
        let done = with_configs(command, &[&path]);
        assert_eq!(done.status, Some(78), "{command}: {}", done.stderr);
        for (line, severity, text) in expected {
            let shown = done.stderr.split("\n\n").find(|part| part.contains(text));
            let shown = shown.unwrap_or_else(|| panic!("no {text} in {}", done.stderr));
            assert!(shown.starts_with(&format!("{severity}: ")), "{shown}");
            assert!(shown.contains(&format!("/fantail.conf:{line}:")), "{shown}");
        }
    }
}

#[test]
fn a_file_without_its_directory_is_told_of_and_delivered_later() {
    let dir = Workdir::new();
    let text =
        SMALL.replace("$DIR/out", "$DIR/later/out") + "event_exporter_retry_max_pause = 1s\n";
    let done = check(&[&dir.config("fantail.conf", &text)]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("there is no directory "), "{}", done.stderr);
    assert!(done.stderr.contains("/fantail.conf:8:15"), "{}", done.stderr);
    let host = Host::start(&dir, &text);
    host.wait_for_log("there is no directory ");
    send_unix(dir.path("in.sock"), &events::lines([events::json("kept", 1)]));
    let said = host.wait_for_log("its directory does not exist");
    assert!(said.contains("exporter out: 1 payloads not delivered, will try again"), "{said}");
    fs::create_dir(dir.path("later")).unwrap();
    assert_eq!(dir.wait_for_lines("later/out", 1).len(), 1);
    let ended = host.stop().expect_status(0);
    // At most once a minute, however often it was tried.
    assert_eq!(ended.lines_with("its directory does not exist").len(), 1);
}

#[test]
fn what_is_counted_is_counted_in_english() {
    let dir = Workdir::new();
    let small = dir.config("small.conf", &SMALL);
    assert!(check(&[&small]).text().starts_with("ok: 1 input, 1 metric, 1 exporter, 0 warnings"));
    let wrong = dir.config("wrong.conf", "metric a {\n  filter = event=\n}\n");
    let done = check(&[&small, &wrong]);
    assert!(done.stderr.ends_with("1 error, 0 warnings\n"), "{}", done.stderr);
}

#[test]
fn check_says_how_filters_are_found_and_what_is_amiss() {
    let dir = Workdir::new();
    let metric = |name: &str, filter: &str| format!("metric {name} {{\n  filter = {filter}\n}}\n");
    let mut text: String = (0..300)
        .map(|number| metric(&format!("m{number}"), &format!("event=a AND user=u{number}")))
        .collect();
    text += &metric("negated", "NOT event=a");
    text += &metric("never", "event=a AND event=b");
    text += &metric("taken", "session=12h");
    text += &metric("mixed", "event=a OR event=b AND user=x");
    let done = check(&[&dir.config("many.conf", &text)]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let found = "  300 filters: found by the event's name, then by a field's value\n";
    assert!(done.text().contains(found), "{}", done.text());
    assert!(done.text().contains("  1 filter: asked for every event\n"), "{}", done.text());
    assert!(done.text().contains("  1 filter: left out, because they can't match\n"));
    for about in ["metric `never`", "metric `taken`", "metric `mixed`"] {
        assert!(done.stderr.contains(about), "{about}: {}", done.stderr);
    }
    assert!(done.text().contains(" 5 warnings\n"), "{}\n{}", done.text(), done.stderr);
}

#[test]
fn a_missing_file_and_an_empty_configuration_are_errors() {
    let dir = Workdir::new();
    let missing = check(&[&dir.path("missing.conf")]);
    assert_eq!(missing.status, Some(78), "{}", missing.stderr);
    assert!(missing.stderr.contains("missing.conf"), "{}", missing.stderr);
    // Nothing to do: `run` refuses; there is nothing wrong with it otherwise.
    let empty = dir.config("empty.conf", "# nothing\n");
    let run = with_configs("run", &[&empty]);
    assert_eq!(run.status, Some(78), "{}", run.stderr);
    assert!(run.stderr.contains("no input"), "{}", run.stderr);
    assert_eq!(with_configs("run", &[]).status, Some(2));
}

#[test]
fn an_input_file_that_is_not_there_is_named() {
    let dir = Workdir::new();
    let text = "input in {\n  driver = file\n  path = $DIR/no-*.json\n}\n";
    let path = dir.config("fantail.conf", text);
    for command in ["check", "run"] {
        let done = with_configs(command, &[&path]);
        assert_eq!(done.status, Some(78), "{}", done.stderr);
        assert!(done.stderr.contains("input in: there is no file"), "{}", done.stderr);
        assert!(done.stderr.contains("no-*.json"), "{}", done.stderr);
    }
}

/// The files of conf.d, in the order in which they are read.
fn conf_d() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("conf.d")).unwrap();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    paths.sort();
    assert!(paths.len() > 2, "{paths:?}");
    paths
}

#[test]
fn every_shipped_file_is_right() {
    let directory = repository().join("conf.d");
    let all = check(&[&directory]);
    assert_eq!(all.status, Some(0), "{}", all.stderr);
    assert!(all.text().starts_with("ok: "), "{}", all.text());
    assert_eq!(all.stderr, "");
    let files = conf_d();
    let done = check(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!((done.status, done.text()), (Some(0), all.text()), "{}", done.stderr);
    // Alone, a file may lack what others say; it is understood all the same.
    for file in &files {
        let alone = check(&[file]);
        assert!(!alone.stderr.contains("unknown setting"), "{}", alone.stderr);
    }
}

#[test]
fn recorded_configurations_are_right() {
    for version in ["2.3", "2.4"] {
        let path = data(&format!("captures/dovecot-{version}/metrics.conf"));
        let done = check(&[&path]);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        assert!(done.text().contains(" metrics, "), "{}", done.text());
        let row = done.text().lines().find(|line| line.starts_with("imap/log/select "));
        let row = row.unwrap_or_else(|| panic!("{}", done.text()));
        let words: Vec<&str> = row.split_whitespace().collect();
        assert!(words.windows(2).any(|pair| pair == ["select_tab", "tab-text"]), "{row}");
    }
}

/// One of each kind of thing.
const MANY: &str = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
  mode = 0600
}
input peers {
  driver = http
  address = 127.0.0.1:0
}
listener web {
  driver = http
  listen = 127.0.0.1:0
}
service stats {
  unix_listener stats-reader {
    mode = 0600
  }
}
base_dir = $DIR
event_exporter web {
  driver = http-post
  http_post_url = https://user:secret@example.com/events
  format = json
}
event_exporter file {
  driver = file
  file_path = $DIR/out
  format = tab-text
}
event_exporter log {
  format = none
}
metric logins {
  filter = event=auth_request_finished AND \\
    (success=yes OR success=no OR success=maybe)
  group_by = user success
  exporter = web
}
metric all {
  filter = event=*
  exporter = file
}
metric log {
  filter = event=x
  exporter = log
}
metric counted {
  filter = event=y
}
";

#[test]
fn check_shows_what_goes_where() {
    let dir = Workdir::new();
    let done = check(&[&dir.config("fantail.conf", MANY)]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let shown = done.text().replace(dir.path("").to_str().unwrap(), "/D/");
    let tables = shown.split_once("\n\n").unwrap().1;
    let expected = "\
INPUT    DRIVER        FROM
dovecot  stats-writer  /D/stats-writer (0600)
peers    http          http://127.0.0.1:0/events

LISTENER      DRIVER        AT
web           http          http://127.0.0.1:0/metrics
stats-reader  stats-reader  /D/stats-reader (0600)

METRIC   FILTER                                            GROUPS         EXPORTER  FORMAT    DRIVER     TARGET
logins   event=auth_request_finished AND (success=yes ...  user, success  web       json      http-post  https://example.com/events
all      event=*                                                          file      tab-text  file       /D/out
log      event=x                                                          log       none      log        auto
counted  event=y                                                          -
";
    assert_eq!(tables, expected);
}

#[test]
fn check_writes_nothing() {
    let dir = Workdir::new();
    let config = dir.config("conf/fantail.conf", &SMALL);
    let times = || -> Vec<(PathBuf, SystemTime)> {
        [dir.path(""), dir.path("conf"), config.clone()]
            .into_iter()
            .map(|path| (path.clone(), fs::metadata(path).unwrap().modified().unwrap()))
            .collect()
    };
    let before = times();
    let done = check(&[&config]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert_eq!(times(), before);
    let names: Vec<_> =
        fs::read_dir(dir.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["conf"]);
}

#[test]
fn the_effective_configuration_is_a_configuration() {
    let dir = Workdir::new();
    let conf_d = repository().join("conf.d");
    let small = dir.config("small.conf", &SMALL);
    let both = |version: &str| data(&format!("captures/dovecot-{version}/metrics.conf"));
    for paths in [
        vec![small.clone()],
        vec![conf_d],
        vec![both("2.3"), small.clone()],
        vec![both("2.4"), small],
    ] {
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let first = with_configs("config", &paths);
        assert_eq!(first.status, Some(0), "{}", first.stderr);
        let again = dir.write("effective.conf", &first.stdout);
        let second = with_configs("config", &[&again]);
        assert_eq!(second.status, Some(0), "{}\n{}", second.stderr, first.text());
        assert_eq!(second.text(), first.text());
        assert_eq!(check(&[&again]).text(), check(&paths).text());
    }
    let text = with_configs("config", &[&dir.path("small.conf")]);
    for default in ["queue_max_size", "shutdown_timeout", "line_limit", "time_format"] {
        assert!(text.text().contains(default), "{default} in {}", text.text());
    }
}

#[test]
fn blocks_merge_across_files_and_later_settings_win() {
    let dir = Workdir::new();
    let paths = [
        dir.config("10.conf", &SMALL),
        dir.config("20.conf", "event_exporter out {\n  file_path = $DIR/other\n}\n"),
        dir.config("30.conf", "metric all {\n  filter = event=wanted\n}\nhostname = renamed\n"),
    ];
    let host = Starting::with(&paths).start();
    let fields = "\"n\":1";
    let unhosted = format!("{{\"event\":\"wanted\",\"fields\":{{{fields}}}}}");
    let lines = [events::json("wanted", 1), events::json("other", 2), unhosted];
    send_unix(dir.path("in.sock"), &events::lines(lines));
    host.stop().expect_status(0);
    assert!(!dir.path("out").exists());
    let lines = dir.lines("other");
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("\"hostname\":\"mail1\""), "{}", lines[0]);
    assert!(!lines[1].contains("\"hostname\":\"mail1\""), "{}", lines[1]);
}

#[test]
fn a_directory_is_read_in_name_order_and_only_its_conf_files() {
    let dir = Workdir::new();
    dir.config("conf/20-last.conf", "hostname = last\n");
    dir.config("conf/10-first.conf", &format!("hostname = first\n{}", *SMALL));
    dir.config("conf/90-off.conf.off", "this is no configuration\n");
    let done = with_configs("config", &[&dir.path("conf")]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.text().contains("hostname = last"), "{}", done.text());
}

#[test]
fn the_host_name_is_the_configured_one() {
    let dir = Workdir::new();
    let config = SMALL.replace("unix", "stats-writer") + "hostname = mail.example.com\n";
    let host = Host::start(&dir, &config);
    let mut client = fantail_integration_tests::peers::StatsClient::hello(dir.path("in.sock"));
    client.say(&[&events::stats("named", 1)]);
    client.finish();
    host.stop().expect_status(0);
    let lines = dir.lines("out");
    assert!(lines[0].contains("\"hostname\":\"mail.example.com\""), "{lines:?}");
}

#[test]
fn secrets_and_files_of_others_are_not_needed_to_check() {
    // A directory that can't be written and a peer that is not there are no
    // mistakes of the configuration.
    let dir = Workdir::new();
    let config = dir.config(
        "fantail.conf",
        &SMALL.replace(
            "driver = file\n  file_path = $DIR/out",
            "driver = unix\n  unix_path = $DIR/nobody",
        ),
    );
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o500)).unwrap();
    let done = check(&[&config]);
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(done.status, Some(0), "{}", done.stderr);
}
