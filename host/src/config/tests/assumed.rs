//! What Dovecot's configurations mean without saying it, and in older words.

use super::super::Config;
use super::super::files::Memory;
use super::super::settings::{InputDriver, ListenerDriver, Socket};
use super::{good, ignored, load, load_files, messages};

/// The sockets for writers and for readers.
fn sockets(config: &Config) -> (Vec<String>, Vec<String>) {
    let path = |socket: &Socket| {
        let owner = [&socket.user, &socket.group]
            .map(|name| name.as_ref().map_or(String::new(), |name| name.value.clone()));
        format!("{} {:o} {}", socket.path.value.display(), socket.mode, owner.join(":"))
    };
    let writers = config.inputs.iter().filter_map(|input| match &input.driver {
        InputDriver::StatsWriter { socket, .. } => Some(path(socket)),
        _ => None,
    });
    let readers = config.listeners.iter().filter_map(|listener| match &listener.driver {
        ListenerDriver::StatsReader { socket } => Some(path(socket)),
        ListenerDriver::Http { .. } => None,
    });
    (writers.collect(), readers.collect())
}

#[test]
fn dovecots_own_listeners_count_without_being_written() {
    const ALL: &[&str] = &[
        "/run/dovecot/login/stats-writer 600 dovenull:",
        "/run/dovecot/stats-writer 660 :dovecot",
    ];
    let check = |text: &str, writers: &[&str], readers: usize| {
        let config = good(&format!("{text}\nmetric m {{\n filter = event=x\n}}\n"));
        let mut found = sockets(&config);
        found.0.sort();
        assert_eq!(found.0, writers, "{text}");
        assert_eq!(found.1.len(), readers, "{text}");
    };
    check("protocols = imap", ALL, 1);
    check("dovecot_config_version = 2.4.0\npassdb pam {\n}", ALL, 1);
    check("service stats {\n inet_listener http {\n port = 9900\n }\n}", ALL, 1);
    // Who says what is different has the rest as it is.
    check(
        "protocols = imap\nservice stats {\n unix_listener stats-writer {\n mode = 0666\n }\n}",
        &[ALL[0], "/run/dovecot/stats-writer 666 :dovecot"],
        1,
    );
    let off =
        "unix_listener stats-writer {\n mode = 0\n }\n unix_listener stats-reader {\n mode = 0\n }";
    check(&format!("protocols = imap\nservice stats {{\n {off}\n}}"), &ALL[..1], 0);
    // Who has inputs of his own says all; and a file of our own means what it says.
    check("protocols = imap\ninput i {\n driver = stdin\n}", &[], 0);
    check("base_dir = /x", &[], 0);
    check("ssl_client {\n}", &[], 0);
    let own = "service stats {\n unix_listener stats-writer {\n }\n}";
    check(own, &ALL[1..], 0);
}

#[test]
fn a_stats_process_of_2_3_looks_at_named_events_only() {
    let check = |text: &str, expected: bool| {
        let config = good(&format!("{text}\nmetric m {{\n filter = category=x\n}}\n"));
        assert_eq!(config.unnamed_events, expected, "{text}");
    };
    check("protocols = imap", false);
    check("protocols = imap\nunnamed_events = yes", true);
    check("dovecot_config_version = 2.4.0\nprotocols = imap", true);
    check("dovecot_config_version = 2.4.0\nprotocols = imap\nunnamed_events = no", false);
    // Nothing here is Dovecot's alone.
    check("base_dir = /x", true);
    check("unnamed_events = no", false);
    // A part of a configuration of 2.4.
    check("mail_driver = maildir\nprotocols = imap", true);
    check("protocols = imap\nstats_server {\n}", true);
    check("protocols = imap\nmail_location = maildir:~", false);
}

#[test]
fn login_processes_without_a_directory_are_left_out() {
    let check = |files: &[(&str, &str)], writers: usize, warnings: usize| {
        let text = "protocols = imap\nbase_dir = /d\nmetric m {\n filter = event=x\n}\n";
        let mut all = vec![("/a.conf", text)];
        all.extend(files);
        let loaded = load_files(&Memory::new(&all), &["/a.conf"]);
        let shown = loaded.diagnostics.render(false);
        let config = loaded.config.unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(sockets(&config).0.len(), writers, "{shown}");
        assert_eq!(shown.matches("there is no directory /d/login").count(), warnings, "{shown}");
    };
    check(&[], 2, 0);
    check(&[("/d/master.pid", "")], 1, 1);
    check(&[("/d/master.pid", ""), ("/d/login/login", "")], 2, 0);
}

#[test]
fn what_only_sounds_like_ours_is_dovecots() {
    let text = "protocols = imap\nhostname = lda.example.com\nstate_dir = /var/lib/dovecot\n\
                metric m {\n filter = event=x\n description = $SET:hostname\n}\n";
    let loaded = load(text);
    let expected = ["protocols", "hostname", "state_dir"];
    let names: Vec<&str> = loaded.ignored.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, expected);
    let config = loaded.config.unwrap();
    assert_eq!(config.hostname, None);
    assert_eq!(config.state_dir.value.to_str(), Some("/var/lib/fantail"));
    assert_eq!(config.metrics[0].description, "lda.example.com");
    // In a file of our own they are ours, whatever stands there besides.
    let own = good(&format!("{text}input i {{\n driver = stdin\n}}\n"));
    assert_eq!(own.hostname.unwrap().value, "lda.example.com");
    let own = good("base_dir = /x\nhostname = h\nmetric m {\n filter = event=x\n}\n");
    assert_eq!(own.hostname.unwrap().value, "h");
}

/// In the manner of `doveconf -a` of 2.4, which prints defaults as if they were written.
#[test]
fn a_full_dump_means_no_more_than_what_was_written() {
    let dump = "dovecot_config_version = 2.4.0\nevent_exporter_driver = log\n\
        event_exporter_name =\nevent_exporter_time_format = rfc3339\n\
        http_client_max_parallel_connections = 1\nhttp_client_request_absolute_timeout = 0\n\
        http_client_request_timeout = 1 mins\nmetric_exporter_include =\nmetric_fields =\n\
        metric_group_by_field =\nmetric_group_by_method_exponential_base = 10\n\
        metric_group_by_method_linear_max = 0\nmetric_group_by_method_method = discrete\n\
        metric_name =\nstats_http_rawlog_dir =\nssl_client_ca_file = /ca\n";
    let own = "event_exporter e {\n driver = http-post\n format = json\n http_post_url = http://x/\n}\n\
        metric m {\n exporter = e\n filter = event=x\n metric_group_by user {\n \
        metric_group_by_method discrete {\n  modifier = %{value | domain}\n  }\n }\n}\n";
    let config = good(&format!("{dump}{own}"));
    let plain = good(&format!("dovecot_config_version = 2.4.0\nssl_client_ca_file = /ca\n{own}"));
    assert_eq!(config, plain);
    assert_eq!(config.exporters[0].driver_settings["http_client_max_parallel_connections"], 4);
    let said = ignored(&load(&format!("{dump}{own}")));
    assert!(
        said.iter().any(|line| line.contains("stats_http_rawlog_dir: setting of Dovecot's stats"))
    );
    // Written by hand, the same means what it says.
    let config = good(&format!("http_client_max_parallel_connections = 1\n{own}"));
    assert_eq!(config.exporters[0].driver_settings["http_client_max_parallel_connections"], 1);
    let config = good(&format!("metric_exporter_include =\n{own}"));
    assert!(!config.metrics[0].exporter_include.fields);
}

#[test]
fn dovecots_own_metrics_are_known() {
    let names = |text: &str| -> Vec<String> {
        let config = good(text);
        config.metrics.iter().map(|metric| metric.name.value.clone()).collect()
    };
    assert_eq!(
        names("@metric_defaults = proxy\n"),
        ["auth_successes", "auth_failures", "login_aborted", "proxy_session_established"]
    );
    let config = good("@metric_defaults = backend\nmetric imap_commands {\n fields = user\n}\n");
    assert_eq!(config.metrics.len(), 6);
    let commands = &config.metrics[0];
    assert_eq!(commands.filter.value, "event=imap_command_finished");
    assert_eq!(commands.group_by[0].field.value, "tagged_reply_state");
    assert_eq!(commands.fields[0].value, "user");
    // A group of one's own of that name is that group.
    let own = "group @metric_defaults proxy {\n metric own {\n filter = event=x\n }\n}\n";
    assert_eq!(names(&format!("{own}@metric_defaults = proxy\n")), ["own"]);
}

#[test]
fn filters_from_before_2_3_12_are_filters() {
    let check = |inner: &str, expected: &str| {
        let config = good(&format!("metric m {{\n{inner}\n}}\n"));
        assert_eq!(config.metrics[0].filter.value, expected, "{inner}");
    };
    check("event_name = imap_command_finished", "event=\"imap_command_finished\"");
    check(
        "event_name = imap_*\ncategories = imap service:imap\nfilter {\n cmd_name = SELECT\n user = a@b\n}",
        "event=\"imap_*\" AND category=\"imap\" AND category=\"service:imap\" AND \
         \"cmd_name\"=\"SELECT\" AND \"user\"=\"a@b\"",
    );
    check("source_location = a.c:12", "source_location=\"a.c:12\"");
    check("filter {\n name = a\"b\\c\n}", "\"name\"=\"a\\\"b\\\\c\"");
    check("metric_name = m\ncategories =\nfilter = event=x", "event=x");
    let found = messages(&load("metric m {\n filter = event=x\n event_name = y\n}\n"));
    assert!(found[0].starts_with("error 2:11 [event=x]: metric `m` has two filters"), "{found:?}");
    let found = messages(&load("metric m {\n event_nmae = y\n}\n"));
    assert!(found[1].contains("unknown setting `event_nmae`"), "{found:?}");
}

#[test]
fn variables_that_are_the_same_for_all_events_are_replaced() {
    let path = |path: &str| {
        let text = format!(
            "event_exporter e {{\n driver = file\n format = json\n file_path = {path}\n}}\n"
        );
        let hostname = ("/proc/sys/kernel/hostname", "mail1\n");
        load_files(&Memory::new(&[("a.conf", &text), hostname]), &["a.conf"])
    };
    let check = |written: &str, expected: &str| {
        let loaded = path(written);
        let shown = loaded.diagnostics.render(false);
        let config = loaded.config.unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(config.exporters[0].driver_settings["file_path"], expected, "{written}");
    };
    check("/a/%{env:NAME}/%{user}", "/a/from the environment/%{user}");
    check("\"/a/%{ env:NAME }\"", "/a/%{ env:NAME }");
    check("/a/%{env:NAME | upper}", "/a/FROM THE ENVIRONMENT");
    check("/a/%{env:NONE | default('x') | upper}", "/a/X");
    check("/a/%%{env:NAME}", "/a/%%{env:NAME}");
    check("/a/%{system:hostname}.log", "/a/mail1.log");
    let warned = messages(&path("/a/%{env:NONE}"));
    assert!(
        warned.iter().any(|line| line.starts_with("warning 4:17 [%{env:NONE}]: the environment")),
        "{warned:?}"
    );
    for (wrong, why) in [("%{env:NAME | sha1}", "unknown here"), ("%{system:os}", "is unknown")] {
        let said = messages(&path(wrong));
        assert!(said[1].starts_with(&format!("error 4:14 [{wrong}]")), "{said:?}");
        assert!(said[1].contains(why), "{said:?}");
    }
}

/// 2.3's `doveconf` prints the arguments of drivers that have none.
#[test]
fn arguments_that_nobody_needs_are_ignored() {
    let exporter = |timeout: &str| {
        format!(
            "event_exporter e {{\n transport = log\n format = json\n transport_args =\n \
             transport_timeout = {timeout}\n}}\n"
        )
    };
    let said = ignored(&load(&exporter("250 ms")));
    assert_eq!(said.len(), 2, "{said:?}");
    let warned = messages(&load(&exporter("1s")));
    assert!(warned.iter().any(|line| line.contains("takes no `transport_timeout`")), "{warned:?}");
}

#[test]
fn long_names_of_2_4_are_the_short_ones() {
    let exporter = "event_exporter e {\n driver = drop\n format = none\n}\n";
    let long = "metric m {\n metric_filter = event=x\n metric_fields = a b\n metric_exporter = e\n \
        metric_exporter_include = name\n metric_description = d\n metric_group_by size {\n \
        metric_group_by_method linear {\n metric_group_by_method_linear_max = 100\n \
        linear_step = 10\n }\n }\n}\nservice stats {\n service_client_limit = 10\n \
        unix_listener stats-writer {\n unix_listener_mode = 0666\n unix_listener_group = g\n }\n}\n";
    let short = "metric m {\n filter = event=x\n fields = a b\n exporter = e\n \
        exporter_include = name\n description = d\n group_by size {\n method linear {\n \
        max = 100\n step = 10\n }\n }\n}\nservice stats {\n client_limit = 10\n \
        unix_listener stats-writer {\n mode = 0666\n group = g\n }\n}\n";
    let (long, short) = (format!("{exporter}{long}"), format!("{exporter}{short}"));
    assert_eq!(good(&long), good(&short));
    assert_eq!(sockets(&good(&long)).0, ["/run/dovecot/stats-writer 666 :g"]);
    // Defaults of Dovecot's listeners are its own, wherever `doveconf -a` prints others.
    let listed = format!("unix_listener_mode = 0600\nprotocols = imap\n{exporter}");
    let found = sockets(&good(&listed)).0;
    assert!(found.contains(&"/run/dovecot/stats-writer 660 :dovecot".to_owned()), "{found:?}");
}

#[test]
fn lists_have_defaults_outside_of_metrics() {
    let fields = |text: &str| -> String {
        let config = good(text);
        let fields = config.metrics[0].fields.iter().map(|field| field.value.as_str());
        fields.collect::<Vec<_>>().join(" ")
    };
    let metric = |inner: &str| format!("metric m {{\n filter = event=x\n{inner}\n}}\n");
    let outside = "metric_fields {\n a = yes\n b = yes\n}\n";
    assert_eq!(fields(&format!("{outside}{}", metric(""))), "a b");
    assert_eq!(fields(&format!("{outside}{}", metric("fields = c"))), "c");
    assert_eq!(fields(&format!("metric_fields = c\n{outside}{}", metric(""))), "c a b");
    assert_eq!(fields(&format!("{outside}{}", metric("fields {\n b = no\n c = yes\n}"))), "a c");
    // As doveconf of 2.4 prints it.
    let include = "metric_exporter_include {\n name = yes\n timestamps = no\n}\n";
    let config = good(&format!("{include}{}", metric("")));
    let include = config.metrics[0].exporter_include;
    assert_eq!((include.name, include.timestamps, include.fields), (true, false, true));
}
