//! The benchmark works, and whatever it measures loses nothing: in its short form, with
//! the peers that are installed. Its figures are of no interest here.

use std::process::Command;

use fantail_integration_tests::Workdir;

#[test]
fn the_benchmark_measures_without_a_loss() {
    let dir = Workdir::new();
    let document = "head\n<!-- results begin -->\nold\n<!-- results end -->\nfoot\n";
    let document = dir.write("performance.md", document);
    let mut bench = Command::new(env!("CARGO_BIN_EXE_fantail-bench"));
    bench.arg("--quick").arg("--write").arg(document);
    // A work of each kind; those with thousands of filters take their time in a debug build.
    for work in
        ["count", "json-file", "two-workers", "tcp-fifth", "tcp-users-1000", "silent-server"]
    {
        bench.args(["--only", work]);
    }
    let done = bench.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let document = String::from_utf8(dir.read("performance.md")).unwrap();
    assert!(document.starts_with("head\n") && document.ends_with("\nfoot\n"), "{document}");
    for row in [
        "| stats-writer, one metric, no exporter | Fantail ",
        "| stats-writer, `json`, `file` | Fantail ",
        "| the same, events that inherit nothing | Fantail ",
        "| stats-writer, `json`, `drop`, 2 workers, 2 connections | Fantail ",
        "| JSON lines by TCP, a fifth passes, to a file | Fantail ",
        "| the same with 1,000 such routes | Fantail ",
        "| TCP, one route | Fantail ",
        "never answers:\n\n| system | events sent | peak MiB | what became of it |",
    ] {
        assert!(document.contains(row), "no row {row} in\n{document}");
    }
    assert!(!document.contains("old"), "{document}");
}
