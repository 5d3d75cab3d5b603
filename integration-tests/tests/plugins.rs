//! Plugins from outside the workspace, built by another compiler, and files that
//! are none.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
    time::Instant,
};

use fantail_integration_tests::{
    Host, PATIENCE, Workdir, build_dir, events, fantail,
    outside::{compiler_version, install, library, other_compiler},
    peers::send_unix,
};
use rustix::process::Signal;

/// Both plugin directories, an input, and an exporter `out` that gets everything.
fn config(exporter: &str) -> String {
    format!(
        "
plugin_dir = $DIR/plugins $BUILD
input in {{
  driver = unix
  path = $DIR/in.sock
}}
event_exporter out {{
{exporter}
}}
metric all {{
  filter = event=*
  exporter = out
}}
"
    )
}

const NOTEBOOK: &str =
    "  driver = notebook\n  notebook_path = $DIR/notes\n  notebook_mark = >\n  format = json";

fn send(dir: &Workdir, names: &[&str]) {
    let lines = names.iter().enumerate().map(|(n, name)| events::json(name, n));
    send_unix(dir.path("in.sock"), &events::lines(lines));
}

#[test]
fn a_plugin_of_another_compiler_delivers() {
    let ours = compiler_version(Path::new("rustc"));
    let theirs = compiler_version(&other_compiler());
    assert_ne!(ours, theirs, "the compilers must differ");
    let dir = Workdir::new();
    install(&dir, "notebook");
    let host = Host::start(&dir, &config(NOTEBOOK));
    // What a plugin logs comes out under its name.
    let said = host.wait_for_log("notebook of out");
    assert!(said.contains("notebook: ") || said.contains("plugin notebook"), "{said}");
    let names: Vec<_> = (0..500).map(|n| format!("e{n}")).collect();
    send(&dir, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 500);
    let expected: Vec<_> =
        names.iter().enumerate().map(|(n, name)| format!(">{}", events::json(name, n))).collect();
    assert_eq!(dir.lines("notes"), expected);
    assert_eq!(ended.lines_with("plugin refused").len(), 0);
}

#[test]
fn a_driver_is_told_what_it_wants_and_only_then() {
    let dir = Workdir::new();
    install(&dir, "notebook");
    let label = "\n  notebook_label = %{user | domain}/%{event}/%{time | date('%F')}";
    let names_only = "  exporter = out\n  exporter_include = name";
    let labelled = config(&format!("{NOTEBOOK}{label}")).replace("  exporter = out", names_only);
    let host = Host::start(&dir, &labelled);
    let event = |name, user| events::json_with(name, &format!("\"user\":\"{user}\",\"n\":1"));
    let sent = [event("a", "x@y"), event("b", "\\ta@b\\tc"), event("c", "")];
    send_unix(dir.path("in.sock"), &events::lines(sent));
    dir.wait_for_lines("notes", 3);
    // Without a label it is not in the notes, and with another one it changes.
    dir.config("fantail.conf", &labelled.replace("%{user | domain}/", ""));
    host.signal(rustix::process::Signal::HUP);
    host.wait_for_log("reloaded: ");
    send_unix(dir.path("in.sock"), &events::lines([event("d", "x@y")]));
    host.stop().expect_status(0);
    let expected = [
        "y/a/2026-03-01>{\"event\":\"a\"}",
        "b\tc/b/2026-03-01>{\"event\":\"b\"}",
        "/c/2026-03-01>{\"event\":\"c\"}",
        "d/2026-03-01>{\"event\":\"d\"}",
    ];
    assert_eq!(dir.lines("notes"), expected);

    let path = dir.config("fantail.conf", &config(&format!("{NOTEBOOK}\n  notebook_label = x%{{")));
    let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
    assert_eq!(done.status, Some(78), "{}", done.stderr);
    assert!(
        done.stderr.contains("notebook_label: character 4: expected the name"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_plugin_of_a_later_sdk_delivers_and_one_of_another_is_refused() {
    let dir = Workdir::new();
    install(&dir, "later-minor");
    install(&dir, "later-major");
    let host = Host::start(&dir, &config(NOTEBOOK));
    send(&dir, &["a"]);
    let ended = host.stop().expect_status(0);
    assert_eq!(dir.lines("notes").len(), 1);
    let refused = ended.one_line_with("plugin refused");
    assert!(refused.contains("/later-major.so "), "{refused}");
    assert!(refused.contains("fantail-sdk 2.0.0"), "{refused}");
    assert!(refused.contains("incompatible plugin interface"), "{refused}");
}

#[test]
fn its_settings_are_checked_like_the_hosts_own() {
    let dir = Workdir::new();
    install(&dir, "notebook");
    let text = "
  driver = notebook
  notebook_mrak = >
  format = json";
    let path = dir.config("fantail.conf", &config(text));
    let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
    assert_eq!(done.status, Some(78), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `notebook_mark`?"), "{}", done.stderr);
    assert!(done.stderr.contains("has no `notebook_path`"), "{}", done.stderr);
}

#[test]
fn a_driver_that_panics_on_a_payload_loses_only_that() {
    let dir = Workdir::new();
    install(&dir, "faulty-driver");
    let exporter = "  driver = faulty-driver
  faulty_when = poison
  faulty_path = $DIR/out
  format = json
  retry_min_pause = 1 ms
  retry_max_pause = 10 ms";
    let host = Host::start(&dir, &config(exporter));
    send(&dir, &["a", "b", "poison", "c", "d"]);
    dir.wait_for_lines("out", 4);
    let ended = host.stop().expect_status(0);
    let ledger = ended.exporter("out");
    assert_eq!((ledger.matched, ledger.delivered), (5, 4));
    assert_eq!(ledger.dropped, [("panic".to_owned(), 1)].into());
    let names: Vec<_> = dir.lines("out").iter().map(|line| line[10..11].to_owned()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let dropped = ended.one_line_with("dropped 1 payloads (panic");
    assert!(dropped.contains("no luck with this payload"), "{dropped}");
}

/// A healthy exporter beside `out`.
const HEALTHY: &str = "
event_exporter healthy {
  driver = file
  file_path = $DIR/healthy
  format = json
}
metric healthy {
  filter = event=*
  exporter = healthy
}
";

#[test]
fn a_driver_that_always_panics_harms_no_other() {
    let dir = Workdir::new();
    install(&dir, "faulty-driver");
    let exporter = "  driver = faulty-driver
  faulty_when = send
  faulty_path = $DIR/out
  format = json
  retry_min_pause = 1 ms
  retry_max_pause = 5 ms";
    let host = Host::start(&dir, &(config(exporter) + HEALTHY));
    send(&dir, &["a", "b", "c"]);
    dir.wait_for_lines("healthy", 3);
    let trouble = host.wait_for_log("will try again with a new instance");
    assert!(trouble.contains("no luck when sending"), "{trouble}");
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("healthy").delivered, 3);
    // Each payload is dropped only after it has brought the driver down again and again.
    assert_eq!(ended.exporter("out").dropped, [("panic".to_owned(), 3)].into());
}

/// A driver that has stopped and can't be made anew, with a queue on disk.
fn broken_driver(dir: &Workdir) -> (Host, String) {
    install(dir, "faulty-driver");
    let exporter = "  driver = faulty-driver
  faulty_when = never
  faulty_path = $DIR/out
  format = json
  queue = durable
  retry_max_pause = 100 ms";
    let config = config(exporter) + "state_dir = $DIR/state\nshutdown_timeout = 50 s\n";
    let host = Host::start(dir, &config);
    dir.write("broken", "");
    send(dir, &["a", "b", "c"]);
    host.wait_for_log("no new driver: broken");
    (host, config)
}

#[test]
fn a_driver_that_can_not_be_made_anew_leaves_its_spool_at_a_reload() {
    let dir = Workdir::new();
    let (host, config) = broken_driver(&dir);
    let healthy = config
        .replace("driver = faulty-driver\n  faulty_when = never", "driver = file")
        .replace("faulty_path", "file_path");
    dir.config("fantail.conf", &healthy);
    host.signal(Signal::HUP);
    dir.wait_for_lines("out", 3);
    let ledger = host.stop().expect_status(0).exporter("out");
    assert_eq!((ledger.matched, ledger.delivered, ledger.queued), (3, 3, 0));
}

#[test]
fn a_driver_that_can_not_be_made_anew_does_not_hold_a_stop_up() {
    let dir = Workdir::new();
    let (host, _) = broken_driver(&dir);
    let begun = Instant::now();
    let ledger = host.stop().expect_status(0).exporter("out");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!((ledger.matched, ledger.delivered, ledger.queued), (3, 0, 3));
}

#[test]
fn a_driver_that_panics_on_open_is_an_error_of_the_configuration() {
    let dir = Workdir::new();
    install(&dir, "faulty-driver");
    let exporter = "  driver = faulty-driver
  faulty_when = open
  faulty_path = $DIR/out
  format = json";
    let path = dir.config("fantail.conf", &config(exporter));
    for command in ["check", "run"] {
        let done = fantail([command.as_ref(), "-c".as_ref(), path.as_os_str()]);
        assert_eq!(done.status, Some(78), "{}", done.stderr);
        let lines: Vec<_> =
            done.stderr.lines().filter(|line| line.contains("no luck when opening")).collect();
        assert!(
            !lines.is_empty() && lines.iter().any(|line| line.contains("out")),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn a_format_that_panics_costs_those_events_only() {
    let dir = Workdir::new();
    install(&dir, "faulty-format");
    let exporter = "  driver = file
  file_path = $DIR/out
  format = faulty-format";
    let host = Host::start(&dir, &(config(exporter) + HEALTHY));
    send(&dir, &["a", "refused", "b", "refused", "c"]);
    send(&dir, &["d", "panicking"]);
    dir.wait_for_lines("healthy", 7);
    // After a panic the format rests for a moment; then it works again.
    fantail_integration_tests::wait_for("the format to come back", || {
        let before = dir.lines("out").len();
        send(&dir, &["later"]);
        dir.wait_for_lines("healthy", 1);
        (before > 4).then_some(())
    });
    let ended = host.stop().expect_status(0);
    let lines = dir.lines("out");
    assert_eq!(lines[..4], ["a", "b", "c", "d"]);
    assert!(lines[4..].iter().all(|line| line == "later"), "{lines:?}");
    let ledger = ended.exporter("out");
    assert_eq!(ledger.delivered, lines.len() as u64);
    assert_eq!(ledger.dropped.keys().collect::<Vec<_>>(), ["format"]);
    assert!(ledger.dropped("format") >= 3, "{ledger:?}");
    assert!(ended.one_line_with("could not be written").contains("I do not like this event"));
    assert_eq!(ended.exporter("healthy").delivered, ended.input("in").events);
}

/// Puts files that are no usable plugins beside a good one; each must be refused
/// in one line, and the good one must be there.
#[test]
fn each_file_that_is_no_plugin_is_refused_in_one_line() {
    let dir = Workdir::new();
    install(&dir, "notebook");
    install(&dir, "other-root");
    install(&dir, "other-mechanism");
    install(&dir, "no-plugin");
    dir.write("plugins/text.so", "this is a text\n");
    dir.write("plugins/notes.txt", "passed over without a word\n");
    let copy = |name: &str, mode: u32| {
        let path = dir.path("plugins").join(name);
        fs::copy(library("faulty-driver"), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    copy("writable.so", 0o666);
    symlink("nowhere", dir.path("plugins/dangling.so")).unwrap();
    fs::create_dir(dir.path("plugins/directory.so")).unwrap();
    let mut expected = vec![
        ("other-root.so", "layout"),
        ("other-mechanism.so", "incompatible plugin interface"),
        ("no-plugin.so", "exports no Fantail plugin"),
        ("text.so", "not a loadable library"),
        ("writable.so", "chmod go-w"),
        ("dangling.so", "can't be read"),
        ("directory.so", "not a regular file"),
    ];
    // Only root can give files away.
    if rustix::process::geteuid().is_root() {
        chown(copy("foreign.so", 0o644), Some(12345), None).unwrap();
        expected.push(("foreign.so", "belongs to user 12345"));
    }
    let plugins = dir.path("plugins").display().to_string();
    let done = fantail(["plugins", "list", "--plugin-dir", &plugins]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.text().lines().any(|line| line.starts_with("notebook ")), "{}", done.text());
    for (file, reason) in &expected {
        let lines: Vec<_> = done.stderr.lines().filter(|line| line.contains(file)).collect();
        assert_eq!(lines.len(), 1, "{file}: {}", done.stderr);
        assert!(lines[0].contains("plugin refused: ") && lines[0].contains(reason), "{lines:?}");
        assert!(lines[0].len() < 700, "{lines:?}");
    }
    assert_eq!(done.stderr.lines().count(), expected.len(), "{}", done.stderr);
}

/// What a library says that runs, whether it is a plugin or not.
const RUNS: &str = "tell-tale: I run";

#[test]
fn only_what_a_configuration_names_is_loaded() {
    let dir = Workdir::new();
    let notebook = install(&dir, "notebook");
    install(&dir, "tell-tale");
    dir.write("plugins/text.so", "this is a text\n");
    let path = dir.config("fantail.conf", &config(NOTEBOOK));
    let check = || fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
    let named = check();
    assert_eq!((named.status, named.stderr.as_str()), (Some(0), ""));
    // A second file of the name is passed over, and not in silence.
    fs::create_dir(dir.path("other")).unwrap();
    fs::copy(library("tell-tale"), dir.path("other/libfantail_notebook.so")).unwrap();
    let text = config(NOTEBOOK).replace("$DIR/plugins $BUILD", "$DIR/plugins $DIR/other");
    dir.config("fantail.conf", &text);
    let twice = check();
    assert_eq!(twice.status, Some(0), "{}", twice.stderr);
    assert!(twice.stderr.contains("is a second plugin named `notebook`"), "{}", twice.stderr);
    assert!(!twice.stderr.contains(RUNS), "{}", twice.stderr);
    // A plugin whose file is called otherwise is looked for in every file.
    fs::rename(notebook, dir.path("plugins/a-book.so")).unwrap();
    dir.config("fantail.conf", &config(NOTEBOOK));
    let searched = check();
    assert_eq!(searched.status, Some(0), "{}", searched.stderr);
    assert!(searched.stderr.contains(RUNS), "{}", searched.stderr);
    assert!(searched.stderr.contains("text.so is not a loadable library"), "{}", searched.stderr);
}

#[test]
fn nothing_of_a_library_with_a_wrong_digest_runs() {
    let dir = Workdir::new();
    install(&dir, "tell-tale");
    let mut from = dir.path("plugins/tell-tale.so");
    for (file, name) in
        [("json.so", "json"), ("libfantail_json.so", "json"), ("tell_tale.so", "tell-tale")]
    {
        let place = dir.path("plugins").join(file);
        fs::rename(&from, &place).unwrap();
        let pin = format!("plugin {name} {{\n  sha256 = {}\n}}\n", "0".repeat(64));
        let text = config("  driver = drop\n  format = json") + &pin;
        let path = dir.config("fantail.conf", &text);
        let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
        let refused = format!("{file} has the SHA-256 digest ");
        assert!(done.stderr.contains(&refused), "{}", done.stderr);
        assert!(!done.stderr.contains(RUNS), "{}", done.stderr);
        from = place;
    }
}

#[test]
fn a_pin_of_no_plugin_is_an_error() {
    let dir = Workdir::new();
    let pin = format!("plugin jsno {{\n  sha256 = {}\n}}\n", "0".repeat(64));
    let path = dir.config("fantail.conf", &pin);
    let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
    assert_eq!(done.status, Some(78), "{}", done.stderr);
    for text in ["fantail.conf:1:8", "no plugin `jsno`", "did you mean `json`?"] {
        assert!(done.stderr.contains(text), "{text} in {}", done.stderr);
    }
}

#[test]
fn refused_files_hide_none_after_them() {
    let dir = Workdir::new();
    // Called otherwise and found last: everything before it is looked at.
    let notebook = install(&dir, "notebook");
    fs::rename(notebook, dir.path("plugins/zz.so")).unwrap();
    // Loaded, and refused only then; the loader goes on knowing them by name.
    for (name, first) in [("no-plugin", "aa"), ("other-root", "ab")] {
        let place = install(&dir, name);
        fs::rename(place, dir.path(&format!("plugins/{first}.so"))).unwrap();
    }
    // Cut off, as by a full disk or while it is copied: touched, it would end the process.
    let whole = fs::read(build_dir().join("libfantail_json.so")).unwrap();
    for length in [1000, 100_000] {
        dir.write(&format!("plugins/ac-{length}.so"), &whole[..length]);
    }
    let refused = ["aa.so", "ab.so", "ac-1000.so", "ac-100000.so"];
    let plugins = dir.path("plugins").display().to_string();
    let path = dir.config("fantail.conf", &config(NOTEBOOK));
    let list = fantail(["plugins", "list", "--plugin-dir", &plugins]);
    let check = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
    assert!(list.text().lines().any(|line| line.starts_with("notebook ")), "{}", list.text());
    assert_eq!(check.status, Some(0), "{}", check.stderr);
    for (said, file) in
        [&list, &check].into_iter().flat_map(|done| refused.map(|file| (done, file)))
    {
        let all = format!("{}{}", said.stderr, said.text());
        let lines: Vec<_> =
            all.lines().filter(|line| line.contains(&format!("/plugins/{file}"))).collect();
        assert_eq!(lines.len(), 1, "{file} in\n{all}");
        assert_eq!(lines[0].contains("cut off or damaged"), file.starts_with("ac"), "{lines:?}");
    }
}

#[test]
fn a_link_to_a_plugin_is_that_plugin() {
    let dir = Workdir::new();
    let place = install(&dir, "notebook");
    symlink(&place, dir.path("plugins/zz-again.so")).unwrap();
    let host = Host::start(&dir, &config(NOTEBOOK));
    send(&dir, &["a"]);
    let ended = host.stop().expect_status(0);
    assert_eq!(dir.lines("notes").len(), 1);
    assert_eq!(ended.lines_with("plugin refused").len(), 0);
}

#[test]
fn a_plugin_can_be_pinned() {
    let dir = Workdir::new();
    let place = install(&dir, "notebook");
    let sum = Command::new("sha256sum").arg(&place).output().unwrap().stdout;
    let digest = String::from_utf8(sum).unwrap()[..64].to_owned();
    for name in ["notebook", "other-name"] {
        fs::rename(&place, dir.path(&format!("plugins/{name}.so"))).unwrap();
        let right = format!("plugin notebook {{\n  sha256 = {digest}\n}}\n");
        let path = dir.config("fantail.conf", &(config(NOTEBOOK) + &right));
        let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        let wrong = right.replace(&digest, &"a".repeat(64));
        let path = dir.config("fantail.conf", &(config(NOTEBOOK) + &wrong));
        let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
        assert_eq!(done.status, Some(78), "{}", done.stderr);
        assert!(done.stderr.contains(&digest), "{}", done.stderr);
        fs::rename(dir.path(&format!("plugins/{name}.so")), &place).unwrap();
    }
}

#[test]
fn replacing_a_loaded_plugin_harms_nothing() {
    let dir = Workdir::new();
    let place = install(&dir, "notebook");
    let host = Host::start(&dir, &config(NOTEBOOK));
    send(&dir, &["before"]);
    dir.wait_for_lines("notes", 1);
    // By rename, as it should be; then overwritten in place, as it should not.
    install(&dir, "faulty-driver");
    fs::rename(dir.path("plugins/faulty-driver.so"), &place).unwrap();
    send(&dir, &["renamed"]);
    dir.wait_for_lines("notes", 2);
    fs::write(&place, vec![0; 1 << 20]).unwrap();
    send(&dir, &["overwritten"]);
    dir.wait_for_lines("notes", 3);
    fs::remove_file(&place).unwrap();
    send(&dir, &["removed"]);
    let ended = host.stop().expect_status(0);
    assert_eq!(ended.exporter("out").delivered, 4);
    assert_eq!(dir.lines("notes").len(), 4);
}

#[test]
fn plugins_are_listed_and_shown() {
    let done = fantail(["plugins", "list"]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let bundled = ["drop", "file", "http-post", "json", "log", "none", "tab-text", "unix"];
    for name in bundled {
        let listed = done.text().lines().any(|line| line.split_whitespace().next() == Some(name));
        assert!(listed, "{name} in\n{}", done.text());
    }
    let dir = Workdir::new();
    install(&dir, "notebook");
    let plugins = dir.path("plugins").display().to_string();
    let done = fantail(["plugins", "list", "--plugin-dir", &plugins]);
    let line = done.text().lines().find(|line| line.starts_with("notebook")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["notebook", "driver", "0.7.0"], "{line}");
    assert!(line.ends_with("The plugin notebook, from outside"), "{line}");
    // Before the built-in ones, which are there all the same.
    let place = |name: &str| done.text().lines().position(|line| line.starts_with(name)).unwrap();
    assert!(place("notebook") < place("http-post"), "{}", done.text());
    let done = fantail(["plugins", "show", "notebook", "--plugin-dir", &plugins]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    for text in
        ["notebook_path", "required", "notebook_mark", "What stands before each note", "sha256"]
    {
        assert!(done.text().contains(text), "{text} in\n{}", done.text());
    }
    for name in bundled {
        assert_eq!(fantail(["plugins", "show", name]).status, Some(0));
    }
    let unknown = fantail(["plugins", "show", "nosuch"]);
    assert_eq!(unknown.status, Some(78));
    assert!(unknown.stderr.contains("http-post"), "{}", unknown.stderr);
    assert!(build_dir().join("libfantail_json.so").is_file());
}
