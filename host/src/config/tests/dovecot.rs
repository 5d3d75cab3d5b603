//! Configurations that Dovecot's users have.

use std::path::PathBuf;

use super::super::files::Memory;
use super::super::settings::{InputConfig, InputDriver, ListenerConfig, ListenerDriver};
use super::super::{Loaded, Surroundings, parse};
use super::{ignored, load, load_files, load_parsed, messages};

fn load_data(file: &str) -> Loaded {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/data");
    load_parsed(parse(&[PathBuf::from(data).join(file)], Surroundings::MACHINE))
}

#[test]
fn configurations_of_both_generations_load_unchanged() {
    for (file, exporters, metrics) in
        [("captures/dovecot-2.3/metrics.conf", 3, 9), ("captures/dovecot-2.4/metrics.conf", 5, 13)]
    {
        let loaded = load_data(file);
        assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render(false));
        let mut found = messages(&loaded);
        // What 2.4's `cache` metric says is legal, and rightly warned of.
        found.retain(|line| !line.contains("AND and OR have the same precedence"));
        assert_eq!(found, ["warning: there is no input"], "{file}");
        let config = loaded.config.unwrap();
        assert_eq!((config.exporters.len(), config.metrics.len()), (exporters, metrics), "{file}");
    }
}

const OLD: &str = "\
protocols = imap lmtp
mail_location = maildir:~/Maildir
ssl_key = </etc/dovecot/private/key.pem
mail_plugins = $mail_plugins quota
plugin {
  quota = maildir:User quota
}
namespace inbox {
  mailbox Drafts {
    special_use = \\Drafts
  }
}
group @mailboxes english {
  mailbox \"Sent Messages\" {
  }
}
service imap-login {
  inet_listener imap {
    port = 143
  }
}
service stats {
  client_limit = 1000
  unix_listener stats-reader {
    user = nagios
  }
  unix_listener stats-writer {
    user = mail
    mode = 0666
  }
  unix_listener login/stats-writer {
  }
  unix_listener /srv/chroot/stats-writer {
    group = web
  }
  unix_listener unused/stats-writer {
    mode = 0
  }
  inet_listener {
    port = 9900
  }
}
event_exporter log {
  format = json
  format_args = time-rfc3339
  transport = log
}
metric imap_commands {
  exporter = log
  filter = event=* AND category=service:imap
}
";

#[test]
fn a_dovecot_conf_is_usable_as_it_is() {
    let loaded = load(OLD);
    assert_eq!(
        messages(&loaded),
        ["note: 4 settings and 4 blocks of other Dovecot services, 1 setting of Dovecot's stats \
             process, 1 listener for other protocols are ignored (`fantail check -v` names them)",]
    );
    let config = loaded.config.unwrap();
    let socket = |input: &InputConfig| match &input.driver {
        InputDriver::StatsWriter { socket, .. } => {
            let owner = |name: &Option<super::super::Placed<String>>| {
                name.as_ref().map_or(String::new(), |name| name.value.clone())
            };
            let path = socket.path.value.display();
            format!("{path} {:o} {}:{}", socket.mode, owner(&socket.user), owner(&socket.group))
        }
        other => panic!("{other:?}"),
    };
    let sockets: Vec<String> = config.inputs.iter().map(socket).collect();
    assert_eq!(
        sockets,
        [
            "/run/dovecot/stats-writer 666 mail:dovecot",
            "/run/dovecot/login/stats-writer 600 dovenull:",
            "/srv/chroot/stats-writer 660 :web",
        ]
    );
    let [ListenerConfig { driver: ListenerDriver::StatsReader { socket }, .. }] =
        config.listeners.as_slice()
    else {
        panic!("{:?}", config.listeners);
    };
    assert_eq!(socket.path.value.to_str(), Some("/run/dovecot/stats-reader"));
    assert_eq!((socket.mode, socket.group.as_ref()), (0o600, None));
    assert_eq!(socket.user.as_ref().unwrap().value, "nagios");
    super::good(OLD);
}

#[test]
fn inet_listeners_for_http_become_listeners() {
    let check = |top: &str, inner: &str, expected: &[&str]| {
        let text = format!(
            "protocols = imap\n{top}\nservice stats {{\n inet_listener {inner}\n }}\n}}\n\
             input i {{\n driver = stdin\n}}\nmetric m {{\n filter = event=x\n}}"
        );
        let config = super::good(&text);
        let found = config.listeners.iter().flat_map(|listener| match &listener.driver {
            ListenerDriver::Http { addresses, .. } => {
                addresses.iter().map(|address| address.value.as_str())
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
    };
    check("", "http {\n port = 9900", &["*:9900"]);
    check("", "metrics-http {\n port = 9900", &["*:9900"]);
    check("", "other {\n type = http\n port = 9900", &["*:9900"]);
    check("listen = 127.0.0.1 ::1", "http {\n port = 1", &["127.0.0.1:1", "[::1]:1"]);
    check("listen = x", "http {\n port = 1\n address = ::", &["[::]:1"]);
    check("listen = x", "http {\n port = 1\n listen = ::, *", &["*:1"]);
    check("", "http {\n port = 0", &[]);
    check("", "http {\n", &[]);
    check("", "other {\n port = 1", &[]);
    check("", "http {\n port = 1\n ssl = yes", &[]);
    check("", "http {\n port = 1\n haproxy = yes", &[]);
    check("", "http {\n port = 1\n haproxy = no", &["*:1"]);
    check("", "http {\n inet_listener_port = 1\n inet_listener_listen = ::1", &["[::1]:1"]);
}

#[test]
fn listeners_of_2_4_say_what_they_are() {
    let config = super::good(
        "base_dir = /run/d\ninput first {\n driver = stdin\n}\n\
         service stats {\n unix_listener one {\n  path = sub/one\n  type = writer\n  group = $SET:default_internal_group\n }\n\
         unix_listener stats-writer {\n  type = reader\n }\n}\ninput last {\n driver = unix\n path = /x\n}\n\
         metric m {\n filter = event=x\n}",
    );
    let names: Vec<&str> = config.inputs.iter().map(|input| input.name.value.as_str()).collect();
    assert_eq!(names, ["first", "one", "last"]);
    let InputDriver::StatsWriter { socket, .. } = &config.inputs[1].driver else { panic!() };
    assert_eq!(socket.path.value.to_str(), Some("/run/d/sub/one"));
    assert_eq!(socket.group.as_ref().unwrap().value, "dovecot");
}

#[test]
fn what_is_nearly_ours_is_not_ignored() {
    let check = |text: &str, expected: &str| {
        let found = messages(&load(text));
        assert!(found.iter().any(|line| line == expected), "{found:?}");
    };
    check("protocols = imap\nmetrik m {\n}", "error 2:1 [metrik]: unknown block `metrik`");
    check("protocols = imap\nhost_name = x", "error 2:1 [host_name]: unknown setting `host_name`");
    check(
        "protocols = imap\nauth_debug = yes",
        "note: 2 settings of other Dovecot services are ignored (`fantail check -v` names them)",
    );
    check(
        "protocols = imap\nmetric_fliter = event=x",
        "error 2:1 [metric_fliter]: unknown setting `metric_fliter`",
    );
    check("auth_debug = yes", "error 1:1 [auth_debug]: unknown setting `auth_debug`");
    check("dict x {\n}", "error 1:1 [dict]: unknown block `dict`");
    check(
        "protocols = imap\nmetric m {\n filter = event=x\n mail_location = y\n}",
        "error 4:2 [mail_location]: unknown setting `mail_location` in metric `m`",
    );
}

const GROUPS: &str = "\
group @exporters   usual {
  queue_full = drop_oldest
  driver = file
  file_path = /from/the/group
  format = tab-text
}
group @metric_defaults mine {
  metric logins {
    filter = event=login
    fields = user
  }
  metric commands {
    fields {
      user = yes
    }
  }
}
event_exporter out {
  format = json
  @exporters = usual
}
metric logins {
  fields = service
  exporter = out
}
metric commands {
  filter = event=imap_command_finished
  exporter = out
}
@metric_defaults = mine
";

#[test]
fn groups_count_behind_what_is_written() {
    let config = super::good(GROUPS);
    let out = &config.exporters[0];
    assert_eq!((out.driver.value.as_str(), out.format.value.as_str()), ("file", "json"));
    assert_eq!(out.driver_settings["file_path"], "/from/the/group");
    let metrics: Vec<String> = config
        .metrics
        .iter()
        .map(|metric| {
            let fields: Vec<&str> =
                metric.fields.iter().map(|field| field.value.as_str()).collect();
            format!("{} {} {}", metric.name.value, metric.filter.value, fields.join(","))
        })
        .collect();
    assert_eq!(
        metrics,
        ["logins event=login service", "commands event=imap_command_finished user"]
    );
    assert_eq!(messages(&load(GROUPS)), ["warning: there is no input"]);
}

#[test]
fn no_group_is_ignored_in_silence() {
    let check = |text: &str, expected: &[&str]| {
        let mut found = messages(&load(text));
        found.retain(|line| line != "warning: there is no input");
        assert_eq!(found, expected, "{text}");
    };
    check(
        "group @metric_defaults a {\n metric m {\n filter = event=x\n }\n}\n",
        &[
            "note 1:7 [@metric_defaults a]: no line uses the group `@metric_defaults a`: it says nothing",
        ],
    );
    check(
        "@metric_defaults = backed\n",
        &["warning 1:20 [backed]: there is no `group @metric_defaults backed {`"],
    );
    check(
        "group @g a {\n @h = b\n}\nmetric m {\n filter = event=x\n @g = a\n @g = c\n @g = a\n}\n",
        &["error 2:2 [@h]: a group can't use another group"],
    );
    check(
        "group @g alpha {\n}\nmetric m {\n filter = event=x\n @g = alhpa\n}\n",
        &[
            "error 5:7 [alhpa]: there is no `group @g alhpa {`",
            "note: 1 block of other Dovecot services is ignored (`fantail check -v` names them)",
        ],
    );
    check(
        "group @mailbox_defaults e {\n mailbox Sent {\n }\n}\n@mailbox_defaults = e\n",
        &["note: 1 setting and 1 block of other Dovecot services are ignored (`fantail check -v` \
            names them)"],
    );
    check(
        "group @g a {\n fitler = event=x\n}\nmetric m {\n filter = event=x\n @g = a\n}\n",
        &["error 2:2 [fitler]: unknown setting `fitler` in metric `m`"],
    );
}

#[test]
fn groups_do_not_grow_without_bound() {
    let settings: String = (0..1000).map(|n| format!(" description = {n}\n")).collect();
    let users: String =
        (0..101).map(|n| format!("metric m{n} {{\n filter = event=x\n @g = a\n}}\n")).collect();
    let found = messages(&load(&format!("group @g a {{\n{settings}}}\n{users}")));
    let expected = "[@g]: groups bring more than 100000 settings and blocks";
    assert_eq!(found.iter().filter(|line| line.ends_with(expected)).count(), 1, "{found:?}");
}

#[test]
fn tls_clients_have_blocks_as_well() {
    let exporter =
        "event_exporter a {\n driver = http-post\n http_post_url = http://x\n format = json\n";
    let ca_file = |config: &super::super::Config| {
        config.exporters[0].driver_settings["ssl_client_ca_file"].clone()
    };
    let block = "ssl_client {\n ca_file = /a\n ssl_client_cert_file = /b\n}\n";
    assert_eq!(ca_file(&super::good(&format!("{block}{exporter}}}\n"))), "/a");
    assert_eq!(ca_file(&super::good(&format!("{exporter}{block}}}\n"))), "/a");
    let text = format!("ssl_client {{\n ssl_cipher_list = HIGH\n}}\n{exporter}}}\n");
    assert_eq!(
        ignored(&load(&text)),
        ["2 ssl_cipher_list: setting of Dovecot's HTTP and TLS clients"]
    );
}

#[test]
fn what_dovecots_clients_can_be_told_is_no_error() {
    let names = ["http_client_rawlog_dir", "ssl_client_ca_dir", "ssl_min_protocol", "ssl_options"];
    let settings: String = names.iter().map(|name| format!(" {name} = 2\n")).collect();
    let exporter = format!(
        "event_exporter a {{\n driver = http-post\n http_post_url = http://x\n format = json\n{settings}}}\n"
    );
    let expected = |line: usize| -> Vec<String> {
        let names = names.iter().enumerate();
        let lines = names.map(|(n, name)| {
            format!("{} {name}: setting of Dovecot's HTTP and TLS clients", line + n)
        });
        lines.collect()
    };
    assert_eq!(ignored(&load(&exporter)), expected(5));
    assert_eq!(ignored(&load(&settings.replace(' ', ""))), expected(1));
    let mut found = messages(&load("http_client_request_max_attempts = 3\n"));
    found.retain(|line| line != "warning: there is no input");
    let name = "http_client_request_max_attempts";
    let expected = format!("note 1:1 [{name}]: `{name}` counts in event_exporter blocks only");
    assert_eq!(found, [expected]);
    let slip = exporter.replace("ssl_client_ca_dir", "ssl_client_ca_fiel");
    let found = load(&slip).diagnostics.render(false);
    assert!(found.contains("did you mean `ssl_client_ca_file`?"), "{found}");
}

#[test]
fn each_path_is_judged_on_its_own() {
    let files = Memory::new(&[
        ("/d/dovecot.conf", "protocols = imap\n!include conf.d/*.conf\n"),
        ("/d/conf.d/10.conf", "auth_debug = yes\n"),
        ("/f/local.conf", "auth_debug = yes\n"),
    ]);
    let found = messages(&load_files(&files, &["/d/dovecot.conf", "/f"]));
    assert_eq!(
        found,
        [
            "error 1:1 [auth_debug]: unknown setting `auth_debug`",
            "warning: there is no metric: all events are dropped",
            "note: 2 settings of other Dovecot services are ignored (`fantail check -v` names them)",
        ]
    );
}

/// The examples of the documentation, as people paste them.
#[test]
fn pasted_examples_load_or_say_what_is_missing() {
    let pasted = "\
event_exporter log_tab {
   format = tab-text
   transport = log
   format_args = time-rfc3339

metric imap/log/select {
  filter = event=imap_command_finished AND \\
           tagged_reply_state=OK AND \\
           (cmd_name = \"SELECT\" OR cmd_name = \"EXAMINE\") \\
           AND NOT mailbox = \"INBOX\"

  fields = user cmd_name \\
           mailbox duration \\
           bytes_in bytes_out session remote_ip

  exporter = log_tab
  exporter_include = timestamps fields

metric log/all {
  filter = event=* \\
           AND NOT event=mail_cache_lookup_finished
  exporter = log_tab
";
    let found = messages(&load(pasted));
    assert_eq!(
        found,
        [
            "error 6:1 [metric]: event_exporter `log_tab` is not closed before the next block",
            "error 19:1 [metric]: metric `imap/log/select` is not closed before the next block",
            "error 19:8 [log/all]: metric `log/all` is never closed",
            "warning: there is no input",
        ]
    );
    let repaired = pasted.replace("rfc3339\n", "rfc3339\n}\n");
    let repaired = repaired.replace("fields\n\nmetric", "fields\n}\nmetric") + "}\n";
    assert_eq!(super::good(&repaired).metrics[0].fields.len(), 8);
    super::good(
        "event_exporter datalake {\n  driver = http-post\n  http_post_url = https://datalake.example.com/api\n\
         http_client_request_absolute_timeout = 1sec\n\n  format = json\n  time_format = rfc3339\n}\n\n\
         metric imap_commands {\n  exporter = datalake\n  exporter_include = name hostname timestamps\n\
         filter = event=imap_command_finished\n}\n",
    );
}
