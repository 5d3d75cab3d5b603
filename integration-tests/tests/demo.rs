//! `fantail demo`, the first thing that people try.

use fantail_integration_tests::{Workdir, command};

#[test]
fn it_shows_itself_and_leaves_nothing_but_what_it_says() {
    let dir = Workdir::new();
    let mut demo = command();
    demo.arg("demo").current_dir(dir.path("")).env("TMPDIR", dir.path(""));
    let done = demo.output().unwrap();
    let (said, stderr) =
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert_eq!(done.status.code(), Some(0), "{said}\n{stderr}");
    for word in ["ledger", "matched", "delivered"] {
        assert!(said.contains(word), "{word} in\n{said}");
    }
}
