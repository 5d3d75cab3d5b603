//! How messages look, and that all of them come at once.

use super::super::Severity;
use super::{load, messages};

#[test]
fn messages_look_like_a_compilers() {
    let check = |text: &str, expected: &str| {
        let shown = load(text).diagnostics.render(false);
        assert!(shown.starts_with(expected.trim_start()), "{shown}");
    };
    check(
        "metric a {\n  fitler = event=x\n  filter = event=*\n}\n",
        "
error: unknown setting `fitler` in metric `a`
 --> a.conf:2:3
  |
2 |   fitler = event=x
  |   ^^^^^^ did you mean `filter`?
",
    );
    check(
        "metric a {\n  filter = event=x AND \\\n           user=a@b AND \\\n           b=c\n}\n",
        "
error: filter of metric `a`: expected AND, OR or the end of the filter; `@` may only stand inside quotes
 --> a.conf:3:18
  |
3 |            user=a@b AND \\
  |                  ^
",
    );
    check(
        "input a {\n  driver = stats-writer\n  path = s\n  line_limit = 5 parsecs\n}\n",
        "
error: `5 parsecs` has the unknown unit `parsecs`: use B, KiB, MiB, GiB or TiB
 --> a.conf:4:16
  |
4 |   line_limit = 5 parsecs
  |                ^^^^^^^^^
",
    );
}

/// Checks all that is said about a text, except that there is no input.
fn check(text: &str, expected: &[&str]) {
    let mut found = messages(&load(text));
    found.retain(|line| !line.ends_with("there is no input"));
    assert_eq!(found, expected, "{text}");
}

#[test]
fn all_errors_of_the_language_come_at_once() {
    check(
        "hostnme = a\n}\nx\n",
        &[
            "error 1:1 [hostnme]: unknown setting `hostnme`",
            "error 2:1 [}]: this `}` closes nothing",
            "error 3:1 [x]: expected `=` or `{`",
        ],
    );
    check(
        "metric a {\n",
        &["error 1:8 [a]: metric `a` is never closed", "error 1:8 [a]: metric `a` has no filter"],
    );
    check(
        "metric a {\n filter = event=x\nmetric b {\n filter = event=y\n}\n",
        &["error 3:1 [metric]: metric `a` is not closed before the next block"],
    );
    check(
        "metric a b {\n}\nmetric {\nfilter = event=x\n}\nmetric a{\n}",
        &[
            "error 1:1 [metric a b {]: expected `kind name {`",
            "error 3:1 [metric]: metric needs a name",
            "error 6:1 [metric a{]: expected `kind name {`",
        ],
    );
    check(
        "metric a { filter = event=x }\n",
        &[
            "error 1:8 [a]: metric `a` has no filter",
            "error 1:12 [filter = event=x }]: nothing stands behind `{`",
        ],
    );
    check("metric \"a {\n}\n", &["error 1:1 [metric \"a {]: expected `kind name {`"]);
}

#[test]
fn what_is_misspelt_is_not_missing_as_well() {
    check(
        "metric a {\n fitler = event=x\n}\n",
        &["error 2:2 [fitler]: unknown setting `fitler` in metric `a`"],
    );
    check(
        "metric a {\n descriptoin = x\n}\n",
        &[
            "error 1:8 [a]: metric `a` has no filter",
            "error 2:2 [descriptoin]: unknown setting `descriptoin` in metric `a`",
        ],
    );
    // In another block it is missing.
    check(
        "metric a {\n fitler = event=x\n}\nmetric b {\n}\n",
        &[
            "error 2:2 [fitler]: unknown setting `fitler` in metric `a`",
            "error 4:8 [b]: metric `b` has no filter",
        ],
    );
    check(
        "input a {\n drivr = tcp\n}\ninput b {\n driver = tcp\n adress = 127.0.0.1:1\n}\n\
         metric m {\n filter = event=x\n}\n",
        &[
            "error 2:2 [drivr]: unknown setting `drivr` in input `a`",
            "error 6:2 [adress]: unknown setting `adress` in input `b`",
        ],
    );
    check(
        "event_exporter a {\n driver = file\n file_path = /x\n fromat = json\n}\n",
        &["error 4:2 [fromat]: unknown setting `fromat` in event_exporter `a`"],
    );
}

#[test]
fn all_errors_of_exporters_come_at_once() {
    check(
        "event_exporter a {\n driver = fil\n format = xml\n quueue = memory\n}\n",
        &[
            "error 2:11 [fil]: unknown driver `fil`",
            "error 3:11 [xml]: unknown format `xml`",
            "error 4:2 [quueue]: unknown setting `quueue` in event_exporter `a`",
        ],
    );
    check(
        "event_exporter a {\n driver = file\n file_path =\n quueue = memory\n format=json\n}\n",
        &[
            "error 1:16 [a]: event_exporter `a` has no `file_path`",
            "warning 1:16 [a]: no metric uses event_exporter `a`",
            "error 4:2 [quueue]: unknown setting `quueue` in event_exporter `a`",
        ],
    );
    check(
        "event_exporter a {\n driver = unix\n unix_path = /x\n unix_connect_timeout = 2h\n format=json\n time_format = Unix\n queue = disk\n}\n",
        &[
            "warning 1:16 [a]: no metric uses event_exporter `a`",
            "error 4:25 [2h]: `2h` is more than 1 hour",
            "error 6:16 [Unix]: `Unix` is none of rfc3339, unix",
            "error 7:10 [disk]: `disk` is none of memory, spill, durable",
        ],
    );
    check(
        "metric a {\n filter = event=x\n exporter = b\n exporter_include = nmae\n}\n",
        &[
            "error 3:13 [b]: metric `a` refers to the event_exporter `b`, which does not exist",
            "warning 4:21 [nmae]: nothing of an event is called `nmae`",
        ],
    );
}

#[test]
fn requests_come_to_a_path_and_an_address() {
    let with = |more: &str| format!("input a {{\n driver = http\n{more}\n}}\n");
    let none = "warning: there is no metric: all events are dropped";
    check(&with(""), &["error 1:7 [a]: input `a` has no `address`", none]);
    let wrong = "error 4:14 [events]: `events` is not the path of a URL, which begins with /";
    check(&with(" address = *:1\n http_path = events"), &[wrong, none]);
    let tcp = "input b {\n driver = tcp\n address = *:1\n}\n";
    let twice = "error 8:12 [*:1]: the address `*:1` is used twice";
    check(&[&with(" address = *:1\n"), tcp].concat(), &[twice, none]);
    let unknown = "error 3:2 [http_path]: unknown setting `http_path` in input `a`";
    check("input a {\n driver = tcp\n http_path = /\n address = *:1\n}\n", &[unknown, none]);
}

#[test]
fn all_errors_of_inputs_and_plugins_come_at_once() {
    check(
        "input a {\n driver = tcp\n path = /x\n address = 1:2:3\n}\n",
        &[
            "error 3:2 [path]: unknown setting `path` in input `a`",
            "error 4:12 [1:2:3]: `1:2:3` is not HOST:PORT",
            "warning: there is no metric: all events are dropped",
        ],
    );
    check(
        "input a {\n driver = unix\n path = /x\n}\ninput b {\n driver = unix\n path = /x\n}\n",
        &[
            "error 7:9 [/x]: the path `/x` is used twice",
            "warning: there is no metric: all events are dropped",
        ],
    );
    check(
        "input a {\n driver = htp\n}\ninput b {\n}\n",
        &[
            "error 2:11 [htp]: `htp` is none of stats-writer, unix, tcp, http, stdin, file",
            "error 4:7 [b]: input `b` has no `driver`",
            "warning: there is no metric: all events are dropped",
        ],
    );
    check(
        "listener a {\n driver = http\n path = /x\n}\nlistener b {\n driver = tcp\n}\n\
         listener c {\n}\nlistener d {\n driver = stats-reader\n}\n",
        &[
            "error 1:10 [a]: listener `a` has no `listen`",
            "error 3:2 [path]: unknown setting `path` in listener `a`",
            "error 6:11 [tcp]: `tcp` is none of stats-reader, http",
            "error 8:10 [c]: listener `c` has no `driver`",
            "error 10:10 [d]: listener `d` has no `path`",
        ],
    );
    check(
        "input a {\n driver = unix\n path = /x\n}\nlistener b {\n driver = stats-reader\n \
         path = /x\n}\nlistener c {\n driver = http\n listen = *:1 80 *:1\n}\n",
        &[
            "error 7:9 [/x]: the path `/x` is used twice",
            "error 11:15 [80]: `80` is not HOST:PORT",
            "warning: there is no metric: all events are dropped",
        ],
    );
    check(
        "plugin a {\n sha256 = 12\n}\nplugin b {\n}\n",
        &["error 2:11 [12]: `12` is no SHA-256", "error 4:8 [b]: plugin `b` has no `sha256`"],
    );
    let digest = "0".repeat(64);
    check(
        &format!(
            "plugin htpt-post {{\n sha256 = {digest}\n}}\nplugin none {{\n sha256 = {digest}\n}}\n"
        ),
        &["error 1:8 [htpt-post]: there is no plugin `htpt-post` to be pinned"],
    );
}

#[test]
fn names_of_plugins_are_quoted() {
    let shown = load("event_exporter a {\n format = xml\n}\n").diagnostics.render(false);
    assert!(shown.contains("the formats that exist: `json`, `none`, `tab-text`"), "{shown}");
    let none = super::Plugins(Vec::new(), Vec::new());
    let files = super::Memory::new(&[("a", "event_exporter a {\n format = none\n}\n")]);
    let surroundings = super::Surroundings { files: &files, environment: &|_| None };
    let checks =
        super::Checks { schemas: &none, filter: &super::check_filter, inputs_required: false };
    let shown = super::parse(&["a".into()], surroundings).load(checks).diagnostics.render(false);
    assert!(shown.contains("no format plugin was found in any plugin directory"), "{shown}");
}

#[test]
fn a_file_that_can_not_be_made_is_warned_of() {
    let check = |path: &str, directory: Option<&str>| {
        let exporter =
            "event_exporter a {\n driver = http-post\n http_post_url = http://x\n format = json\n";
        let text = format!("{exporter} test_file = {path}\n}}\n");
        let file = path.lines().next().unwrap();
        let files = super::Memory::new(&[("/d/a.conf", &text)]);
        let mut found = messages(&super::load_files(&files, &["/d/a.conf"]));
        found.retain(|line| line.contains("directory"));
        let expected = directory
            .map(|directory| format!("warning 5:14 [{file}]: there is no directory {directory}"));
        assert_eq!(found, Vec::from_iter(expected));
    };
    check("/d/file", None);
    check("/file", None);
    check("/e/file", Some("/e"));
    check("/d/e/file", Some("/d/e"));
    check("e/file", Some("e"));
    // As far as it is known.
    check("/d/%{user}/file", None);
    check("/e/%{user}/file", Some("/e"));
    check("/d/e%{user}/file", None);
    check("/d/e/file\n test_directories = no", Some("/d/e"));
    check("/d/e/file\n test_directories = yes", None);
}

#[test]
fn a_run_needs_an_input() {
    let plugins = super::plugins();
    for (inputs_required, severity) in [(true, Severity::Error), (false, Severity::Warning)] {
        let checks =
            super::Checks { schemas: &plugins, filter: &super::check_filter, inputs_required };
        let loaded = super::parse(&[], super::Surroundings::MACHINE).load(checks);
        assert_eq!(loaded.diagnostics.iter().next().map(|found| found.severity), Some(severity));
        assert_eq!(loaded.config.is_none(), inputs_required);
    }
}

#[test]
fn a_secret_is_never_shown() {
    let check = |setting: &str, name: &str| {
        let text = format!(
            "event_exporter a {{\n driver = http-post\n http_post_url = http://x\n \
             format = json\n {setting}\n}}\n"
        );
        let config = load(&text).config.unwrap();
        let settings = &config.exporters[0].driver_settings;
        assert!(settings[name].as_str().unwrap().contains("hunter2"), "{settings:?}");
        let printed = super::effective(&config, &super::plugins());
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains(&format!("# {name} is set, and not shown")), "{printed}");
    };
    check("http_client_proxy_password = hunter2", "http_client_proxy_password");
    check("http_post_url = https://jane:hunter2@example.org/?a=1", "http_post_url");
}

#[test]
fn an_unknown_plugin_hides_no_other_mistake() {
    let text = "event_exporter a {\n driver = file\n flie_max_open = 1\n format = jsno\n batch_max_sise = 1\n}\n";
    let loaded = load(text);
    let found = messages(&loaded).join("\n");
    for expected in
        ["unknown format `jsno`", "`flie_max_open`", "`batch_max_sise`", "no `file_path`"]
    {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn blocks_stand_where_they_can() {
    let check = |inner: &str, expected: &[&str]| {
        let text = format!(
            "event_exporter a {{\ndriver = http-post\nhttp_post_url = http://x\nformat = json\n{inner}\n}}\n\
             metric a {{\nfilter = event=x\nexporter = a\n}}\n"
        );
        self::check(&text, expected);
    };
    check("test_pairs {\nX-A = 1\n}", &[]);
    check("test_pairs b {\nX-A = 1\n}", &["error 5:12 [b]: the block `test_pairs` has no name"]);
    check(
        "test_pairs {\ninner {\n}\n}",
        &["error 6:1 [inner]: the block `test_pairs` has no blocks"],
    );
    check("test_size {\n}", &["error 5:1 [test_size]: `test_size` is a setting, not a block"]);
    check("test_pairs = a b=c", &["error 5:14 [a b=c]: `a b=c` has a word that is not NAME=VALUE"]);
    check(
        "http_post_headers = s3cret",
        &["error 5:21 []: `http_post_headers` has a word that is not NAME=VALUE"],
    );
    check(
        "test_paris {\n}",
        &["error 5:1 [test_paris]: unknown block `test_paris` in event_exporter `a`"],
    );
}
