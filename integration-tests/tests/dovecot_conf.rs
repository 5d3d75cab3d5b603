//! Dovecot's configurations, as administrators have them and as Dovecot prints them: the one that is
//! installed, and the one that `FANTAIL_DOVECOT_24` names.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use fantail_integration_tests::{
    Done, Starting, Workdir, events, fantail, feed,
    peers::{
        StatsClient,
        dovecot::{Dovecot, Generation},
    },
};

fn with(command: &str, path: &Path, options: &[&str]) -> Done {
    let mut arguments: Vec<OsString> = vec![command.into(), "-c".into(), path.into()];
    arguments.extend(options.iter().map(Into::into));
    fantail(arguments)
}

/// What ought to be understood without a word, but one line about what is ignored.
fn is_understood(path: &Path) -> Done {
    let done = with("check", path, &[]);
    assert_eq!(done.status, Some(0), "{}: {}", path.display(), done.stderr);
    assert!(!done.stderr.contains("error"), "{}: {}", path.display(), done.stderr);
    let said = done.stderr.lines().filter(|line| line.contains("ignored (`fantail check -v`"));
    assert_eq!(said.count(), 1, "{}: {}", path.display(), done.stderr);
    done
}

/// The settings that every Dovecot has, in words of both generations.
const COMMON: &str = "
protocols = imap lmtp
login_greeting = \"Hello # there\"
hostname = lda.example.com
base_dir = $DIR
passdb {
  driver = pam
}
service imap-login {
  inet_listener imaps {
    port = 993
  }
}
service stats {
  client_limit = 1000
}
protocol imap {
  imap_idle_notify_interval = 2 mins
}
local_name mail.example.com {
  imap_capability = IMAP4
}
!include conf.d/*.conf
!include_try local.conf
!include_try nothing/*.conf
";

const METRICS_23: &str = "
event_exporter log {
  format = json
  format_args = time-rfc3339
  transport = log
}
event_exporter web {
  format = tab-text
  format_args = time-unix
  transport = http-post
  transport_args = http://127.0.0.1:1/
  transport_timeout = 500 msecs
}
metric imap_select {
  filter = event=imap_command_finished AND \\
    (cmd_name = \"SELECT\" OR cmd_name = EXAMINE)
  fields = user bytes_in bytes_out
  group_by = cmd_name duration:exponential:1:5:10
  exporter = web
  exporter_include = name timestamps fields
}
metric imap/log/all {
  filter = category=service:imap AND NOT user=\"a b\"
  exporter = log
}
";

const METRICS_24: &str = "
metric_fields {
  session = yes
}
event_exporter out {
  driver = file
  file_path = $DIR/%{env:FANTAIL_TEST_FILE | default('events')}.json
  format = json
  time_format = rfc3339
}
event_exporter web {
  driver = http-post
  format = tab-text
  time_format = unix
  http_post_url = http://127.0.0.1:1/
  http_client_request_absolute_timeout = 0
  ssl_client {
    require_valid_cert = no
  }
}
metric all {
  filter = event=*
  exporter = out
  exporter_include = name fields
}
metric imap_select {
  metric_filter = event=imap_command_finished and \\
    cmd_name=SELECT
  metric_fields = user net_in_bytes
  exporter = web
  group_by cmd_name {
    method discrete {
      modifier = %{value | lower}
    }
  }
  group_by duration {
    method exponential {
      min_magnitude = 1
      max_magnitude = 5
    }
  }
  group_by net_in_bytes {
    method linear {
      max = 100
      step = 10
    }
  }
}
";

/// A configuration of 2.3 with its files.
fn of_2_3(dir: &Workdir) -> PathBuf {
    dir.config("conf.d/10-metrics.conf", METRICS_23);
    dir.config("conf.d/20-mail.conf", "mail_plugins = $mail_plugins quota\nssl_key = </nowhere\n");
    dir.config("dovecot.conf", COMMON)
}

/// A configuration of 2.4 with its files.
fn of_2_4(dir: &Workdir) -> PathBuf {
    dir.config("conf.d/10-metrics.conf", METRICS_24);
    let common = COMMON.replace("passdb {\n  driver = pam", "passdb pam {");
    let versions = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0";
    dir.config("dovecot.conf", &format!("{versions}{common}"))
}

#[test]
fn both_generations_are_understood_and_each_ignored_line_can_be_named() {
    for (of, names) in [
        (of_2_3 as fn(&Workdir) -> _, ["passdb", "ssl_key"]),
        (of_2_4, ["passdb pam", "protocols"]),
    ] {
        let dir = Workdir::new();
        let path = of(&dir);
        is_understood(&path);
        let verbose = with("check", &path, &["-v"]);
        assert_eq!(verbose.status, Some(0), "{}", verbose.stderr);
        let text = verbose.text();
        for name in names.into_iter().chain(["hostname", "client_limit", "local_name mail.example"])
        {
            assert!(text.contains(&format!("  {name}")), "no {name} in {text}");
        }
        assert!(text.contains("/dovecot.conf:"), "{text}");
        assert!(text.contains("setting of Dovecot's stats process"), "{text}");
    }
}

#[test]
fn a_dovecot_conf_is_run_as_it_is() {
    let dir = Workdir::new();
    let path = of_2_4(&dir);
    // Dovecot's own users are ones that this machine may not have.
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let local = format!(
        "default_internal_group = {group}\ndefault_login_user = {user}\nservice stats {{\n  \
         unix_listener stats-writer {{\n    mode = 0600\n  }}\n}}\n"
    );
    dir.config("local.conf", &local);
    fs::create_dir(dir.path("login")).unwrap();
    let host = Starting::with(&[path]).environment("FANTAIL_TEST_FILE", "named").start();
    for socket in ["login/stats-writer", "stats-writer"] {
        let mut client = StatsClient::hello(dir.path(socket));
        client.say(&[&events::stats(socket, 1)]);
        client.finish();
    }
    assert!(dir.path("stats-reader").exists());
    let ended = host.stop().expect_status(0);
    assert_eq!(dir.lines("named.json").len(), 2);
    ended.one_line_with("ignored (`fantail check -v` names them)");
}

#[test]
fn listeners_that_are_switched_off_say_what_to_do() {
    let dir = Workdir::new();
    let off = |name: &str| format!("  unix_listener {name} {{\n    mode = 0\n  }}\n");
    let listeners: String =
        ["login/stats-writer", "stats-writer", "stats-reader"].map(off).concat();
    let text = format!(
        "protocols = imap\nservice stats {{\n{listeners}}}\nmetric m {{\n  filter = event=x\n}}\n"
    );
    let done = with("run", &dir.config("dovecot.conf", &text), &[]);
    assert_eq!(done.status, Some(78), "{}", done.stderr);
    assert!(done.stderr.contains("`driver = stats-writer`"), "{}", done.stderr);
}

/// What is in effect of it that concerns statistics: exporters and metrics.
fn in_effect(path: &Path) -> String {
    let done = with("config", path, &[]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let text = done.text();
    let start = text.find("\nevent_exporter ").unwrap_or_else(|| panic!("{text}"));
    // Dovecot prints blocks in another order.
    let mut blocks: Vec<&str> = text[start..].split("\n\n").map(str::trim).collect();
    blocks.sort_unstable();
    blocks.join("\n\n")
}

/// The Dovecots of this machine, of which there has to be one.
fn dovecots() -> Vec<Dovecot> {
    let found = Dovecot::found();
    assert!(!found.is_empty(), "Dovecot is not installed: package dovecot-core");
    found
}

#[test]
fn what_dovecot_prints_means_the_same_and_is_understood() {
    for dovecot in dovecots() {
        let dir = Workdir::new();
        let path = match dovecot.generation() {
            Generation::V2_3 => of_2_3(&dir),
            Generation::V2_4 => of_2_4(&dir),
        };
        for option in ["-n", "-a"] {
            let text = String::from_utf8(dovecot.printed(&path, option)).unwrap();
            let copy = dir.write("printed.conf", &text);
            is_understood(&copy);
            assert_eq!(in_effect(&copy), in_effect(&path), "{option}: {text}");
        }
    }
}

#[test]
fn the_installed_configuration_is_understood() {
    let path = Path::new("/etc/dovecot/dovecot.conf");
    // It is there when dovecot-core is.
    if path.exists() {
        is_understood(path);
    }
}

/// Runs `fantail convert`; `stdin` is what it reads there.
fn convert(arguments: &[&str], stdin: &str) -> (Option<i32>, String, String) {
    let done = feed([&["convert"], arguments].concat(), stdin.as_bytes());
    (done.status, done.text().to_owned(), done.stderr)
}

#[test]
fn a_configuration_of_2_3_becomes_one_of_2_4() {
    let dir = Workdir::new();
    let path = of_2_3(&dir);
    let (status, new, notes) = convert(&[path.to_str().unwrap()], "");
    assert_eq!(status, Some(0), "{notes}");
    // Two fields have another name there, and that is all there is to say.
    assert_eq!(notes.matches("note: ").count(), 2, "{notes}");
    assert!(notes.contains("/10-metrics.conf:15: events of 2.4 call `bytes_in`"), "{notes}");
    assert!(new.contains("service stats {\n  client_limit = 1000\n}\n"), "{new}");
    assert!(!new.contains("imaps"), "{new}");
    let copy = dir.write("converted.conf", &new);
    assert_eq!(in_effect(&copy), in_effect(&path), "{new}");
    let (status, renamed, notes) = convert(&["--rename-fields", path.to_str().unwrap()], "");
    assert_eq!((status, notes.as_str()), (Some(0), ""));
    assert!(renamed.contains("fields = user net_in_bytes net_out_bytes\n"), "{renamed}");
    // A real 2.4 takes it, and says the same.
    for dovecot in dovecots().iter().filter(|one| one.generation() == Generation::V2_4) {
        let versions = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n";
        let whole = dir.write("whole.conf", format!("{versions}!include converted.conf\n"));
        let printed = dir.write("printed.conf", dovecot.printed(&whole, "-n"));
        assert_eq!(in_effect(&printed), in_effect(&path));
    }
}

#[test]
fn a_converted_configuration_comes_from_standard_input_too() {
    let (status, new, notes) = convert(&[], METRICS_23);
    assert_eq!(status, Some(0), "{notes}");
    assert!(new.contains("\n  http_client_request_absolute_timeout = 500 ms\n"), "{new}");
    let (status, new, notes) = convert(&["-"], "protocols = imap\n");
    assert_eq!((status, new.as_str()), (Some(0), ""));
    assert!(notes.contains("says nothing about statistics"), "{notes}");
    let (status, new, notes) = convert(&[], "metric m {\n  fitler = event=x\n}\n");
    assert_eq!((status, new.as_str()), (Some(78), ""));
    assert!(notes.contains("-:2:3") && notes.contains("did you mean `filter`"), "{notes}");
}
