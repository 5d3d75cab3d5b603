//! The language: quotes, variables, files, includes, merging.

use super::super::diagnostic::Severity;
use super::super::files::Memory;
use super::{good, load, load_files, messages};

/// The description of the only metric.
fn description(text: &str) -> String {
    good(&format!("{text}\nmetric m {{\n filter = event=x\n}}\n")).metrics[0].description.clone()
}

#[test]
fn values_are_read_as_dovecot_reads_them() {
    let check = |value: &str, expected: &str| {
        let text = format!("metric m {{\n description = {value}\n}}");
        assert_eq!(description(&text), expected, "{value}");
    };
    check("plain  text", "plain  text");
    check("\"quoted # text\"", "quoted # text");
    check("'it # is'", "it # is");
    check("\"a \\\" b \\\\ c\"", "a \" b \\ c");
    check("\"a\" = \"b\"", "a\" = \"b");
    check("a \\\n   b # c", "a b");
    check("= x", "= x");
    check("<<END\none\n  # two\n\nEND", "one\n  # two\n");
    check("$ENV:NAME and more", "from the environment and more");
    check("\"$ENV:NAME\"", "$ENV:NAME");
    check("cost: 5$", "cost: 5$");
    check("", "");
    check("\"  \"", "  ");
    check("\"<file\"", "<file");
}

#[test]
fn variables_are_other_settings() {
    let check = |text: &str, expected: &str| assert_eq!(description(text), expected, "{text}");
    // 2.3: the value so far, in the block or around it.
    check("hostname = h\nmetric m {\n description = $hostname x\n}", "h x");
    check("metric m {\n description = a\n description = $description b\n}", "a b");
    check("metric m {\n description = $nothing b\n}", "$nothing b");
    check("metric m {\n description = $hostname b\n}\nhostname = h", "$hostname b");
    check(
        "dovecot_config_version = 2.4.0\nhostname = h\nmetric m {\n description = $hostname\n}",
        "$hostname",
    );
    // 2.4: the final value, except for a setting's own name.
    check("metric m {\n description = $SET:hostname b\n}\nhostname = h", "h b");
    check("metric m {\n description = a\n description = $SET:description b\n}", "a b");
    check("metric m {\n description = $SET:default_internal_user\n}", "dovecot");
    check(
        "event_exporter e {\n driver = drop\n format = none\n}\nmetric m {\n description = $SET:event_exporter/e/driver\n exporter = e\n}",
        "drop",
    );
    check(
        "hostname = a $SET:workers\nworkers = 4\nmetric m {\n description = $SET:hostname\n}",
        "a 4",
    );
}

#[test]
fn variables_that_go_nowhere_are_reported() {
    let check = |text: &str, expected: &str| {
        let found = messages(&load(text));
        assert!(found.iter().any(|line| line == expected), "{found:?}");
    };
    check(
        "hostname = $ENV:NONE",
        "warning 1:12 [$ENV:NONE]: the environment variable `NONE` is not set",
    );
    check("hostname = a $SET:no/b", "error 1:14 [$SET:no/b]: there is no setting `no/b`");
    check(
        "hostname = $SET:base_dir\nbase_dir = $SET:hostname",
        "error 1:12 [$SET:base_dir]: too many variables for one value",
    );
    let bomb: String = (0..40).map(|n| format!("s{n} = $SET:s{0} $SET:s{0}\n", n + 1)).collect();
    check(
        &format!("plugin_dir = $SET:s0\nprotocols = imap\n{bomb}s40 = x"),
        "error 1:14 [$SET:s0]: too many variables for one value",
    );
}

#[test]
fn what_may_not_be_meant_is_told_but_only_in_what_is_ours() {
    assert_eq!(
        messages(&load("protocols = a#b\nplugin_dir = a#b")),
        [
            "warning 2:15 [#]: the value ends here: `#` begins a comment",
            "warning: there is no metric: all events are dropped",
            "note: 1 setting of other Dovecot services is ignored (`fantail check -v` names them)",
        ]
    );
    let forgotten = "the value goes on, but not in the next line: Dovecot itself forgets the whole setting then";
    let text = "plugin_dir = a \\\n# b\n  c\nprotocols = a \\\n\n";
    assert_eq!(messages(&load(text))[0], format!("warning 2:1 [# b]: {forgotten}"));
    assert_eq!(
        messages(&load("plugin_dir = a \\\n\nprotocols = b"))[0],
        format!("warning 1:16 [\\]: {forgotten}")
    );
    assert_eq!(
        messages(&load("hostname = \"a\\d\""))[0],
        "warning 1:14 [\\d]: this backslash is dropped"
    );
}

#[test]
fn files_are_values_when_they_are_asked_for() {
    let text = "protocols = </missing\nhostname = <name\ninput i {\n driver = stdin\n}\n";
    let files = Memory::new(&[("/etc/a.conf", text), ("/etc/name", "the host\n")]);
    let loaded = load_files(&files, &["/etc/a.conf"]);
    assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render(false));
    assert_eq!(loaded.config.unwrap().hostname.unwrap().value, "the host");
    let found = messages(&load("hostname = </missing"));
    assert!(found[0].starts_with("error 1:13 [/missing]: cannot read /missing: "), "{found:?}");
}

#[test]
fn blocks_of_one_name_are_one_block() {
    let config = good(
        "metric a/b {\n filter = event=x\n fields = a b\n}\nmetric c {\n filter = event=z\n}\n\
         metric \"a/b\" {\n filter = event=y\n metric_fields {\n  c = yes\n  a = no\n }\n}\n",
    );
    let names: Vec<&str> = config.metrics.iter().map(|metric| metric.name.value.as_str()).collect();
    assert_eq!(names, ["a/b", "c"]);
    assert_eq!(config.metrics[0].filter.value, "event=y");
    let fields = config.metrics[0].fields.iter();
    assert_eq!(fields.map(|field| field.value.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn directories_and_includes_are_read_in_name_order() {
    let files = Memory::new(&[
        ("/c/10.conf", "hostname = first\nworkers = 1\n"),
        ("/c/20.conf", "hostname = second\n!include sub/*.conf\nmetric a {\n!include body\n}\n"),
        ("/c/30.txt", "garbage"),
        ("/c/.40.conf", "garbage"),
        ("/c/sub/1.conf", "workers = 2\n"),
        ("/c/sub/2.conf", "workers = 3\n!include_try none*\n"),
        ("/c/body", "filter = event=x\n"),
    ]);
    let loaded = load_files(&files, &["/c"]);
    let config = loaded.config.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(false)));
    assert_eq!(config.hostname.unwrap().value, "second");
    assert_eq!(config.workers, 3);
    assert_eq!(config.metrics[0].filter.value, "event=x");
}

#[test]
fn includes_have_limits() {
    let check = |files: &[(&str, &str)], expected: &str| {
        let found = messages(&load_files(&Memory::new(files), &["/a"]));
        assert!(found.iter().any(|line| line.contains(expected)), "{found:?}");
    };
    check(&[("/a", "!include a")], "error 1:10 [a]: /a includes itself");
    check(&[("/a", "!include b"), ("/b", "!include a")], "/a includes itself");
    check(&[("/a", "!include none")], "no file matches `none`");
    check(&[("/a", "metric x {\n!include b\n"), ("/b", "}")], "this `}` closes nothing");
    check(&[], "cannot read /a: ");
    let deep: Vec<(String, String)> =
        (0..40).map(|n| (format!("/{n}"), format!("!include {}", n + 1))).collect();
    let mut deep: Vec<(&str, &str)> = deep.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    deep.push(("/a", "!include 0"));
    check(&deep, "includes are nested too deep");
    let many = "!include b\n".repeat(2000);
    check(&[("/a", &many), ("/b", "")], "more than 1000 files");
    let large = "#".repeat(5 << 20);
    check(&[("/a", &large)], "larger than");
    let nested = "x {\n".repeat(100);
    check(&[("/a", &nested)], "blocks are nested too deep");
}

#[test]
fn what_is_not_utf_8_has_a_place() {
    let mut files = Memory::default();
    files.0.insert("a".into(), b"hostname = \xff\n".to_vec());
    let loaded = load_files(&files, &["a"]);
    assert_eq!(messages(&loaded)[0], "error 1:12 [\u{fffd}]: not UTF-8");
    assert_eq!(loaded.diagnostics.iter().next().unwrap().severity, Severity::Error);
}
