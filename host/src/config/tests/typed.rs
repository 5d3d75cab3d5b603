//! Texts to typed settings.

use std::time::Duration;

use serde_json::json;

use super::super::group_by::{self, Function, Method, Modifier, ModifierPart};
use super::super::settings::{
    Include, InputDriver, InputFormat, ListenerConfig, ListenerDriver, LogLevel, OpenMetricsCompat,
    QueueFull, QueueKind,
};
use super::super::{Schemas as _, effective};
use super::{good, load, messages};

#[test]
fn an_empty_configuration_is_all_defaults() {
    let config = good("");
    assert_eq!(config.hostname, None);
    assert_eq!(config.workers, 0);
    assert_eq!(config.plugins, super::super::Plugins::default());
    assert_eq!(config.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(config.log_level, LogLevel::Info);
}

#[test]
fn the_top_level_is_typed() {
    let config = good(&format!(
        "hostname = mx1\nworkers = 4\nplugin_dir = /a \"/b c\"\nshutdown_timeout = 1min\n\
         log_level = debug\nplugin json {{\n sha256 = {}\n}}\n",
        "aF".repeat(32)
    ));
    assert_eq!(config.hostname.unwrap().value, "mx1");
    assert_eq!(config.workers, 4);
    let directories = config.plugins.directories.iter();
    let directories: Vec<_> = directories.map(|path| path.value.to_str().unwrap()).collect();
    assert_eq!(directories, ["/a", "/b c"]);
    assert_eq!(config.plugins.pins[0].name.value, "json");
    assert_eq!(config.plugins.pins[0].sha256.value, "af".repeat(32));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(60));
    assert_eq!(config.log_level, LogLevel::Debug);
}

#[test]
fn listeners_are_typed() {
    let config = good(
        "listener r {\n driver = stats-reader\n path = /run/r\n group = adm\n}\n\
         listener w {\n driver = http\n listen = [::1]:1 *:2\n openmetrics_compat = dovecot\n}\n\
         listener v {\n driver = http\n address = 127.0.0.1:3\n}\n\
         input s {\n driver = stdin\n}\nmetric m {\n filter = event=x\n}\n",
    );
    let [reader, web, other] = config.listeners.as_slice() else { panic!("{config:?}") };
    let ListenerDriver::StatsReader { socket } = &reader.driver else { panic!("{reader:?}") };
    assert_eq!((socket.mode, socket.path.value.to_str()), (0o600, Some("/run/r")));
    assert_eq!(socket.group.as_ref().unwrap().value, "adm");
    let http = |config: &ListenerConfig| match &config.driver {
        ListenerDriver::Http { addresses, compat } => {
            (addresses.iter().map(|one| one.value.clone()).collect::<Vec<_>>(), *compat)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(http(web), (vec!["[::1]:1".into(), "*:2".into()], OpenMetricsCompat::Dovecot));
    assert_eq!(http(other), (vec!["127.0.0.1:3".into()], OpenMetricsCompat::Off));
}

#[test]
fn inputs_are_typed() {
    let config = good(
        "input w {\n driver = stats-writer\n path = /run/w\n mode = 0600\n user = dovecot\n open_events_max = 5\n max_connections = 3\n}\n\
         input u {\n driver = unix\n input_path = /run/u\n format = json\n line_limit = 1 MiB\n}\n\
         input t {\n driver = tcp\n address = [::1]:9100\n}\n\
         input s {\n driver = stdin\n format = tab-text\n}\n\
         input f {\n driver = file\n path = /a/*.log \"/b c\"\n format = stats-writer\n}\n\
         metric m {\n filter = event=x\n}\n",
    );
    let InputDriver::StatsWriter { socket, max_connections, open_events } =
        &config.inputs[0].driver
    else {
        panic!("{:?}", config.inputs[0]);
    };
    assert_eq!((socket.mode, *max_connections, open_events.max), (0o600, 3, 5));
    assert_eq!(open_events.max_size, 256 << 20);
    assert_eq!(socket.path.value.to_str(), Some("/run/w"));
    assert_eq!(socket.user.as_ref().unwrap().value, "dovecot");
    assert_eq!(socket.group, None);
    assert_eq!(config.inputs[0].line_limit, 128 << 10);
    let InputDriver::Unix { socket, max_connections, format } = &config.inputs[1].driver else {
        panic!("{:?}", config.inputs[1]);
    };
    assert_eq!((socket.mode, *max_connections, *format), (0o660, 10_000, InputFormat::Json));
    assert_eq!(config.inputs[1].line_limit, 1 << 20);
    let InputDriver::Tcp { address, format, .. } = &config.inputs[2].driver else {
        panic!("{:?}", config.inputs[2]);
    };
    assert_eq!((address.value.as_str(), *format), ("[::1]:9100", InputFormat::Auto));
    assert_eq!(config.inputs[3].driver, InputDriver::Stdin { format: InputFormat::TabText });
    let InputDriver::File { paths, format, .. } = &config.inputs[4].driver else {
        panic!("{:?}", config.inputs[4]);
    };
    let paths: Vec<&str> = paths.iter().map(|path| path.value.as_str()).collect();
    assert_eq!(
        (paths.as_slice(), *format),
        (["/a/*.log", "/b c"].as_slice(), InputFormat::StatsWriter)
    );
}

#[test]
fn exporters_of_both_generations_are_typed() {
    let config = good(
        "http_client_max_parallel_connections = 7\nevent_exporter_queue_full = drop_oldest\n\
         event_exporter new {\n driver = http-post\n http_post_url = http://x/\n\
         http_client_request_absolute_timeout = 1sec\n format = json\n time_format = unix\n\
         queue_max_size = 1G\n batch_max_events = 1\n retry_max_pause = 1h\n\
         ssl_client_require_valid_cert = no\n test_size = 64k\n test_words = a \"b c\"\n}\n\
         event_exporter old {\n transport = http-post\n transport_args = http://y/\n\
         transport_timeout = 500msec\n format = tab-text\n format_args = time-unix\n}\n\
         event_exporter long {\n event_exporter_driver = file\n event_exporter_file_path = /x\n\
         event_exporter_format = none\n queue_full = block\n}\n\
         event_exporter default {\n format = json\n}\n\
         metric a {\n filter = event=x\n exporter = new\n}\nmetric b {\n filter = event=x\n exporter = old\n}\n\
         metric c {\n filter = event=x\n exporter = long\n}\n",
    );
    let [new, old, long, default] = config.exporters.as_slice() else { panic!() };
    let mut settings = new.driver_settings.clone();
    let defaults = super::plugins();
    let defaults = super::super::schema::properties(defaults.driver("http-post").unwrap());
    settings.retain(|name, value| {
        let property = defaults.iter().find(|property| property.name == name).unwrap();
        property.default != Some(value)
    });
    assert_eq!(
        serde_json::Value::from(settings),
        json!({
            "http_post_url": "http://x/", "http_client_request_absolute_timeout": 1000,
            "http_client_max_parallel_connections": 7, "ssl_client_require_valid_cert": false,
            "test_size": 65536, "test_words": ["a", "b c"],
        })
    );
    assert_eq!(
        serde_json::Value::from(new.format_settings.clone()),
        json!({"time_format": "unix"})
    );
    assert_eq!((new.queue, new.queue_full), (QueueKind::Memory, QueueFull::DropOldest));
    assert_eq!(
        (new.queue_max_size, new.batch_max_size, new.batch_max_events),
        (1 << 30, 64 << 10, 1)
    );
    assert_eq!(new.retry_min_pause, Duration::from_millis(100));
    assert_eq!(new.retry_max_pause, Duration::from_secs(3600));
    assert_eq!(old.driver.value, "http-post");
    assert_eq!(old.driver_settings["http_post_url"], "http://y/");
    assert_eq!(old.driver_settings["http_client_request_absolute_timeout"], 500);
    assert_eq!(old.format_settings["time_format"], "unix");
    assert_eq!(long.driver_settings["file_path"], "/x");
    assert_eq!(long.queue_full, QueueFull::Block);
    assert_eq!(default.driver.value, "log");
    assert_eq!(default.format_settings["time_format"], "rfc3339");
    assert_eq!(default.driver_settings["log_target"], "auto");
}

#[test]
fn arguments_of_2_3_that_say_nothing_are_only_warned_of() {
    let check = |body: &str, expected: &[&str]| {
        let text = format!(
            "event_exporter a {{\n{body}\n}}\nmetric m {{\n filter = event=x\n exporter = a\n}}"
        );
        let found = messages(&load(&text));
        assert_eq!(found[..found.len() - 1], *expected);
    };
    check(
        "transport = log\nformat = json\ntransport_args = x",
        &[
            "warning 4:1 [transport_args]: the driver of event_exporter `a` takes no `transport_args`",
        ],
    );
    check("transport = log\nformat = none\nformat_args = time-unix", &[]);
    check(
        "transport = log\nformat = none\ntime_format = unix",
        &["warning 4:1 [time_format]: the format of event_exporter `a` writes no times"],
    );
    check(
        "transport = log\nformat = json\nformat_args = time-unix pretty time-utc",
        &[
            "error 4:25 [pretty]: `pretty` is no format argument",
            "error 4:37 [utc]: `utc` is none of rfc3339, unix",
        ],
    );
}

#[test]
fn metrics_are_typed() {
    let config = good(
        "event_exporter e {\n format = none\n}\nmetric imap/log/select {\n filter = event=x AND \\\n   user=y\n\
         fields = user, cmd_name\n exporter = e\n exporter_include = timestamps fields\n description = What.\n\
         group_by_max_series = 7\n}\nmetric n {\n filter = event=x\n exporter_include {\n  hostname = no\n }\n}\n",
    );
    let metric = &config.metrics[0];
    assert_eq!(metric.name.value, "imap/log/select");
    assert_eq!(metric.filter.value, "event=x AND user=y");
    assert_eq!(metric.fields.len(), 2);
    assert_eq!(metric.exporter.as_ref().unwrap().value, "e");
    let two = Include { timestamps: true, fields: true, ..Include::default() };
    assert_eq!(metric.exporter_include, two);
    assert_eq!(metric.description, "What.");
    assert_eq!(metric.group_by_max_series, 7);
    let four = Include { name: true, hostname: false, categories: true, ..two };
    assert_eq!(config.metrics[1].exporter_include, four);
    assert_eq!(config.metrics[1].group_by_max_series, 10_000);
}

#[test]
fn group_by_has_two_forms_that_say_the_same() {
    let check = |short: &str, blocks: &str| {
        let short = good(&format!("metric m {{\n filter = event=x\n group_by = {short}\n}}"));
        let long = good(&format!("metric m {{\n filter = event=x\n{blocks}\n}}"));
        assert_eq!(short, long);
    };
    check("a b:discrete", "group_by a {\n}\nmetric_group_by b {\nmethod discrete {\n}\n}");
    check(
        "d:exponential:1:5:10",
        "group_by d {\n method exponential {\n min_magnitude = 1\n max_magnitude = 5\n }\n}",
    );
    check(
        "d:exponential:0:3:2",
        "group_by d {\n metric_group_by_method exponential {\n exponential_max_magnitude = 3\n\
         metric_group_by_method_exponential_base = 2\n }\n}",
    );
    check(
        "n:linear:0:50:20",
        "group_by n {\n method linear {\n max = 50\n linear_step = 20\n }\n}",
    );
    check(
        "u:discrete:%{domain}",
        "group_by u {\n method discrete {\n modifier = %{value | domain}\n }\n}",
    );
}

#[test]
fn the_short_group_by_is_checked() {
    let check =
        |text: &str, expected: Result<&[Method], &str>| match (group_by::parse(text), expected) {
            (Ok(levels), Ok(methods)) => {
                assert_eq!(
                    levels.into_iter().map(|level| level.method).collect::<Vec<_>>(),
                    methods
                );
            }
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{text}"),
            (found, _) => panic!("{text}: {found:?}"),
        };
    let plain = Method::Discrete { modifier: Modifier::default() };
    check("", Ok(&[]));
    check("cmd", Ok(std::slice::from_ref(&plain)));
    check("a b", Ok(&[plain.clone(), plain.clone()]));
    let domain = Modifier(vec![ModifierPart::Value(vec![Function::Domain, Function::Lower])]);
    check("a:discrete:%{value|domain|lower}", Ok(&[Method::Discrete { modifier: domain }]));
    let text = Modifier(vec![
        ModifierPart::Literal("at %".to_owned()),
        ModifierPart::Value(vec![Function::Upper]),
        ModifierPart::Literal("!".to_owned()),
    ]);
    check("\"a:discrete:at %%%{upper}!\"", Ok(&[Method::Discrete { modifier: text }]));
    let numbers = "`exponential` takes three numbers that are not negative \
                   (FIELD:exponential:MIN_MAGNITUDE:MAX_MAGNITUDE:BASE)";
    check("d:exponential:1:5", Err(numbers));
    check("d:exponential:-1:5:10", Err(numbers));
    check("d:exponential:a:5:10", Err(numbers));
    check(
        "d:exponential:5:1:10",
        Err("the largest magnitude must be more than the smallest (1 is not more than 5)"),
    );
    check("d:exponential:1:5:3", Err("the base is 3 (it is 2 or 10)"));
    check("d:exponential:1:19:10", Err("10^19 is too large (the largest magnitude is 18)"));
    check(
        "n:linear:0:10:11",
        Err("the step is larger than the whole range (from 0 to 10 it is 10)"),
    );
    check(
        "n:linear:10:10:1",
        Err("the largest value must be more than the smallest (10 is not more than 10)"),
    );
    check("n:linear:0:10:0", Err("the step must be more than 0"));
    check("n:linear:0:9999999:1", Err("this makes 9999999 buckets (there may be 10000)"));
    check(
        "n:foo",
        Err("`foo` is no group_by method (the methods are discrete, exponential, linear)"),
    );
    check("cmd:discrete:a:b", Err("`discrete` takes one argument (FIELD:discrete:MODIFIER)"));
    check(":discrete", Err("group_by needs a field (FIELD:METHOD:ARGUMENTS)"));
    check("a:discrete:%x", Err("`%` begins `%{value}` (write `%%` for a `%`)"));
}

#[test]
fn mistakes_in_group_by_have_their_places() {
    let check = |body: &str, expected: &str| {
        let found = messages(&load(&format!("metric m {{\nfilter = event=x\n{body}\n}}")));
        assert_eq!(found[0], expected);
    };
    check("group_by = a d:exponential:1:5:3", "error 3:32 [3]: the base is 3");
    check("group_by = u:discrete:%{nosuch}", "error 3:23 [%{nosuch}]: `%{nosuch}` is no modifier");
    check("group_by = a b a", "error 3:16 [a]: group_by names the field `a` twice");
    check(
        "group_by n {\nmethod linear {\nmax = 5\n}\n}",
        "error 4:8 [linear]: method `linear` has no `step`",
    );
    check("group_by n {\nmethod liner {\n}\n}", "error 4:8 [liner]: `liner` is no group_by method");
    check(
        "group_by n {\nmethod linear {\nbase = 2\nmax = 3\nstep = 1\n}\n}",
        "error 5:1 [base]: unknown setting `base` in method `linear`",
    );
    check(
        "group_by n {\nmethod discrete {\n}\nmethod linear {\n}\n}",
        "error 6:8 [linear]: group_by `n` has two methods",
    );
    check(
        "group_by n {\nlinear {\n}\n}",
        "error 4:1 [linear]: unknown block `linear` in group_by `n`",
    );
}

#[test]
fn settings_that_map_names_to_texts_are_blocks_or_words() {
    let check = |text: &str, expected: serde_json::Value| {
        let text = format!(
            "event_exporter a {{\n driver = http-post\n http_post_url = http://x\n format = json\n{text}\n}}\n\
             metric a {{\n filter = event=x\n exporter = a\n}}\n"
        );
        let config = good(&text);
        let settings = &config.exporters[0].driver_settings;
        assert_eq!(settings.get("test_pairs").cloned().unwrap_or_default(), expected, "{text}");
    };
    check("", serde_json::Value::Null);
    check("test_pairs = X-A=1 \"X-B=a b=c\"", json!({"X-A": "1", "X-B": "a b=c"}));
    check("test_pairs {\n X-A = 1\n X-B = \"a  b\"\n}", json!({"X-A": "1", "X-B": "a  b"}));
    check("test_pairs {\n X-A = 1\n X-A = 2\n X-B = 3\n X-B =\n}", json!({"X-A": "2"}));
    check("test_pairs = X-A=1\ntest_pairs {\n X-B = 2\n}", json!({"X-A": "1", "X-B": "2"}));
    check("test_pairs {\n X-B = 2\n}\ntest_pairs = X-A=1", json!({"X-A": "1"}));
    check(
        "event_exporter_test_pairs {\n X-B = $ENV:NAME\n}",
        json!({"X-B": "from the environment"}),
    );
}

#[test]
fn maps_may_be_secrets() {
    let text = "event_exporter a {\n driver = http-post\n http_post_url = http://x\n format = json\n\
                http_post_headers {\n X-Key = s3cret\n}\n}\n";
    let loaded = load(text);
    let config = loaded.config.unwrap();
    assert_eq!(config.exporters[0].driver_settings["http_post_headers"]["X-Key"], "s3cret");
    let shown = effective(&config, &super::plugins());
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("  # http_post_headers is set, and not shown\n"), "{shown}");
}
