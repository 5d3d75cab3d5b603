//! What every sub-command does alike.

use std::{
    fs::{File, OpenOptions},
    io,
    process::{Output, Stdio},
};

use fantail_integration_tests::{Workdir, command, events};

const CONFIG: &str = "input in {\n  driver = stdin\n}\nmetric all {\n  filter = event=*\n}\n";

/// Everything that prints, with the exit status when it can't.
fn printing(config: &str) -> Vec<(Vec<&str>, i32)> {
    vec![
        (vec!["--help"], 74),
        (vec!["help", "filter"], 74),
        (vec!["--version"], 74),
        (vec!["check", "-c", config], 74),
        (vec!["config", "-c", config], 74),
        (vec!["plugins", "list"], 74),
        (vec!["plugins", "show", "http-post"], 74),
        (vec!["demo"], 74),
        (vec!["filter", "--canonical", "event=a"], 2),
        (vec!["filter", "--count", "event=a"], 2),
        (vec!["filter", "--line-number", "event=a"], 2),
        (vec!["filter", "event=a"], 2),
    ]
}

/// Runs every printing command with these as standard output and standard error.
fn each(
    output: impl Fn() -> Stdio,
    errors: impl Fn() -> Stdio,
    look: impl Fn(&[&str], Output, i32),
) {
    let dir = Workdir::new();
    let config = dir.config("fantail.conf", CONFIG).display().to_string();
    let input = dir.write("events.json", events::lines([events::json("a", 1)]));
    for (arguments, status) in printing(&config) {
        let mut command = command();
        // What `demo` leaves for people to look at goes with the test.
        command.args(&arguments).env("TMPDIR", dir.path("")).stdin(File::open(&input).unwrap());
        let done = command.stdout(output()).stderr(errors()).spawn().unwrap().wait_with_output();
        look(&arguments, done.unwrap(), status);
    }
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn output_that_can_not_be_written_is_an_error() {
    each(full, Stdio::piped, |arguments, done, status| {
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(status), "{arguments:?}: {errors}");
        assert!(errors.ends_with(" (os error 28)\n"), "{arguments:?}: {errors}");
        assert_eq!(errors.matches("standard output can't be written to").count(), 1, "{errors}");
    });
    // With nobody left to tell, the status still says it.
    each(full, full, |arguments, done, status| {
        assert_eq!(done.status.code(), Some(status), "{arguments:?}");
    });
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() {
    let broken = || {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        writer.into()
    };
    each(broken, Stdio::piped, |arguments, done, _| {
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
    });
}
