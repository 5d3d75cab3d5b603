//! Configurations of Dovecot 2.3 and what becomes of them.

use super::super::files::Memory;
use super::super::{Config, Converted, Surroundings, parse};
use super::{environment, good, load, load_parsed, plugins};

fn convert(text: &str, rename: bool) -> (Config, Converted) {
    let files = Memory::new(&[("a.conf", text)]);
    let parsed =
        parse(&["a.conf".into()], Surroundings { files: &files, environment: &environment });
    let loaded = load_parsed(parse(
        &["a.conf".into()],
        Surroundings { files: &files, environment: &environment },
    ));
    let shown = loaded.diagnostics.render(false);
    let config = loaded.config.unwrap_or_else(|| panic!("{text}\n{shown}"));
    let converted = parsed.converted(&config, &plugins(), rename);
    (config, converted)
}

/// The text of 2.4 that `text` becomes, without its comments; it has to mean the same.
fn same(text: &str) -> Converted {
    let (before, converted) = convert(text, false);
    let loaded = load(&converted.text);
    let shown = loaded.diagnostics.render(false);
    let after = loaded.config.unwrap_or_else(|| panic!("{}\n{shown}", converted.text));
    assert_eq!(after.exporters, before.exporters, "{text}\n{}", converted.text);
    assert_eq!(after.metrics, before.metrics, "{text}\n{}", converted.text);
    // Converted once more it stays as it is, but for the comments.
    let again = convert(&converted.text, false).1.text;
    let plain = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(plain(&again), plain(&converted.text));
    converted
}

/// Old words, and what none of them may be in the new text.
const OLD: &[&str] = &["transport", "format_args", "event_name", "categories = a", "group_by ="];

#[test]
fn every_combination_means_the_same_in_the_syntax_of_2_4() {
    let exporters = [
        "",
        "transport = log\nformat = json\nformat_args = time-rfc3339",
        "transport = drop\nformat = tab-text\nformat_args = time-unix\ntransport_args =",
        "transport = http-post\nformat = json\nformat_args = time-unix\n\
         transport_args = https://u:p@h/a?b=%20\ntransport_timeout = 500 msecs",
        "transport = http-post\nformat = none\ntransport_args = http://h/",
    ];
    let filters = [
        "filter = event=imap_command_finished AND \\\n  cmd_name = \"SELECT\"",
        "filter = \"\\\"a\\\"=\\\"b # c\\\"\"",
        "filter = (a=1 OR b=\"x\\\\\\\"y\") AND NOT c=\"$d\"",
        "event_name = x",
        "event_name = x*\ncategories = a b:c\nfilter {\n  k = v w\n  q = \"a\\\"b\"\n}",
        "source_location = a.c:3",
    ];
    let groups = [
        "",
        "group_by = user",
        "group_by = user:discrete:%{domain} duration:exponential:1:5:10 size:linear:0:100:10",
        "group_by = \"a\" duration:exponential:0:20:2",
    ];
    let rest = [
        "",
        "fields = user bytes_in duration",
        "fields = a\ndescription = It's \"a\" # comment\nexporter_include = name timestamps",
        "description = \"x # $y\"\nexporter_include =",
    ];
    let mut count = 0;
    for exporter in exporters {
        for filter in filters {
            for group in groups {
                for rest in rest {
                    let (block, user) = match exporter {
                        "" => (String::new(), ""),
                        _ => (format!("event_exporter e {{\n{exporter}\n}}\n"), "exporter = e"),
                    };
                    let text = format!(
                        "{block}metric a/b {{\n{filter}\n{group}\n{rest}\n{user}\n}}\n\
                         metric \"b c\" {{\nfilter = event=y\n}}\n"
                    );
                    let new = same(&text).text;
                    let is_old = |line: &&str| OLD.iter().any(|old| line.trim().starts_with(old));
                    assert_eq!(new.lines().find(is_old), None, "{text}\n{new}");
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 480);
}

#[test]
fn the_text_is_as_people_write_it() {
    let new = same(
        "protocols = imap\nevent_exporter e {\n  format = json\n  format_args = time-unix\n  \
         transport = http-post\n  transport_args = http://h/\n  transport_timeout = 1 mins\n}\n\
         metric m {\n  description = what\n  event_name = x\n  categories = imap\n  fields = user size\n  group_by = user \
         duration:exponential:1:5:10 size:linear:0:100:10\n  exporter = e\n  \
         exporter_include = fields name\n}\n",
    );
    let expected = "\
event_exporter e {
  driver = http-post
  format = json
  time_format = unix
  http_post_url = http://h/
  http_client_request_absolute_timeout = 1 min
}

metric m {
  description = what
  filter = \"event=\\\"x\\\" AND category=\\\"imap\\\"\"
  fields = user size
  group_by user {
    method discrete {
    }
  }
  group_by duration {
    method exponential {
      min_magnitude = 1
      max_magnitude = 5
      base = 10
    }
  }
  group_by size {
    method linear {
      min = 0
      max = 100
      step = 10
    }
  }
  exporter = e
  exporter_include = name fields
}
";
    assert_eq!(new, Converted { text: expected.to_owned(), notes: Vec::new() });
}

#[test]
fn service_stats_is_rewritten() {
    let check = |inner: &str, expected: &str| {
        let text = format!("service stats {{\n{inner}\n}}\n");
        let (_, converted) = convert(&text, false);
        let expected = match expected {
            "" => String::new(),
            expected => format!("service stats {{\n{expected}\n}}\n"),
        };
        assert_eq!(converted.text, expected, "{inner}");
    };
    // What doveconf prints of a service that nobody has changed.
    check(
        "chroot =\nclient_limit = 0\nexecutable = stats\nidle_kill = 4294967295 secs\n\
         service_count = 0\nuser = $default_internal_user\nvsz_limit = 18446744073709551615 B\n\
         unix_listener login/stats-writer {\n group =\n mode = 0600\n user = $default_login_user\n}\n\
         unix_listener stats-writer {\n group = $default_internal_group\n mode = 0660\n user =\n}",
        "",
    );
    check(
        "client_limit = 500\nidle_kill = 1 mins\nuser = $mail_user",
        "  client_limit = 500\n  idle_kill_interval = 1 mins\n  user = $SET:mail_user",
    );
    check(
        "unix_listener stats-reader {\n user = nagios\n mode = 0600\n}\n\
         unix_listener /srv/x/stats-writer {\n group = $default_internal_group\n}",
        "  unix_listener stats-reader {\n    user = nagios\n  }\n  unix_listener \
         /srv/x/stats-writer {\n    type = writer\n    group = $SET:default_internal_group\n  }",
    );
    check(
        "inet_listener http {\n address = 127.0.0.1, ::1\n haproxy = no\n port = 9900\n ssl = no\n}\n\
         inet_listener my-http {\n port = 1\n}",
        "  inet_listener http {\n    listen = 127.0.0.1, ::1\n    port = 9900\n  }\n  \
         inet_listener my-http {\n    type = http\n    port = 1\n  }",
    );
    check("protocol = imap", "  # `protocol = imap` has no counterpart");
}

#[test]
fn what_can_not_be_carried_over_is_told() {
    let check = |text: &str, line: usize, expected: &str| {
        let (_, converted) = convert(text, false);
        let note = format!("a.conf:{line}: {expected}");
        assert_eq!(converted.notes, [note], "{text}");
        assert!(converted.text.contains(&format!("# {expected}\n")), "{}", converted.text);
    };
    let exporter = |inner: &str| format!("event_exporter e {{\n{inner}\nformat = json\n}}\n");
    check(
        &exporter("transport = log\ntransport_timeout = 1s"),
        3,
        "`transport_timeout` says nothing to the driver `log`",
    );
    check(
        &exporter("driver = file\nfile_path = /x\nfile_rotate_size = 1M"),
        4,
        "`file_rotate_size` is Fantail's own: Dovecot does not know it",
    );
    check(
        &exporter("driver = drop\nqueue_full = drop_oldest"),
        3,
        "`queue_full` is Fantail's own: Dovecot does not know it",
    );
    check(
        "metric m {\n filter = \"user=\\\"%{x}\\\"\"\n}\n",
        2,
        "`%{` begins a variable in 2.4: write `%%{` if it is none",
    );
    check(
        "metric m {\n filter = event=x AND bytes_in > 5\n}\n",
        2,
        "events of 2.4 call `bytes_in` `net_in_bytes` (--rename-fields)",
    );
    check(
        "metric m {\n filter = event=x\n group_by = service\n}\n",
        2,
        "in events of 2.4's auth processes `service` is called `protocol`",
    );
    let (_, converted) = convert("stats_http_rawlog_dir = /x\n", false);
    assert_eq!(converted.text, "stats_server {\n  http_server_rawlog_dir = /x\n}\n");
}

#[test]
fn fields_get_the_names_that_they_have_in_2_4() {
    let check = |inner: &str, expected: &str| {
        let (_, converted) = convert(&format!("metric m {{\n{inner}\n}}\n"), true);
        let config = good(&converted.text);
        let metric = &config.metrics[0];
        let fields: Vec<&str> = metric.fields.iter().map(|field| field.value.as_str()).collect();
        let groups = metric.group_by.iter().map(|level| level.field.value.as_str());
        let found = [vec![metric.filter.value.as_str()], fields, groups.collect()].concat();
        assert_eq!(found.join(" | "), expected, "{inner}");
        assert_eq!(converted.notes, [""; 0], "{inner}");
    };
    check("filter = event=x\nfields = bytes_in bytes_in_x", "event=x | net_in_bytes | bytes_in_x");
    check("filter = event=x\ngroup_by = bytes_out", "event=x | net_out_bytes");
    check(
        "filter = bytes_in>1 AND \"bytes_out\" = 5 AND NOT x=bytes_in",
        "net_in_bytes>1 AND \"net_out_bytes\" = 5 AND NOT x=bytes_in",
    );
    check(
        "filter = passdb=sql AND passdb_name=main\nfields = passdb_name passdb",
        "passdb_driver=sql AND passdb=main | passdb | passdb_driver",
    );
    check("filter = a-bytes_in=1 OR bytes_in/2=3", "a-bytes_in=1 OR bytes_in/2=3");
}
