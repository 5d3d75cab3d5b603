//! `fantail demo`, the first thing that people try.

use std::fs;

use fantail_integration_tests::{ExporterLedger, Workdir, command, fantail};

#[test]
fn it_shows_a_host_at_work_and_says_where_everything_lies() {
    let dir = Workdir::new();
    let mut demo = command();
    demo.arg("demo").env("TMPDIR", dir.path(""));
    let done = demo.output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let errors = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), errors.as_str()), (Some(0), ""), "{said}");
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();

    // The ledger balances, with nothing lost.
    let input = lines.iter().find(|line| line.contains("input dovecot: received ")).unwrap();
    assert!(input.contains(" + rejected 0; "), "{input}");
    let exporters = ["json_file", "tab_file", "web"].map(|name| ExporterLedger::find(&lines, name));
    for exporter in &exporters {
        assert!(exporter.delivered > 10, "{exporter:?}");
        assert_eq!(exporter.delivered, exporter.matched);
    }
    let [json, tab, web] = exporters;
    assert!(said.contains(&format!("took {} requests", web.delivered)), "{said}");

    // The files are where it says, and hold what it says.
    let place = |name: &str| {
        let words = said.split_whitespace().find(|word| word.ends_with(name));
        words.unwrap_or_else(|| panic!("no {name} in\n{said}")).to_owned()
    };
    let count = |path: &str| fs::read_to_string(path).unwrap().lines().count() as u64;
    assert_eq!(count(&place("/events.json")), json.delivered);
    assert_eq!(count(&place("/commands.tab")), tab.delivered);

    // What it suggests to try works.
    let suggestion =
        lines.iter().find_map(|line| line.strip_prefix("Try: fantail filter '")).unwrap();
    let (filter, file) = suggestion.split_once("' ").unwrap();
    let tried = fantail(["filter", "-c", filter, file]);
    assert_eq!(tried.status, Some(0), "{}", tried.stderr);
}
