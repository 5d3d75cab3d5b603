//! `docs/dovecot.md`: each of its configurations is checked, and each recipe with an event
//! is run and has to put out what the page says.

use std::{fs, path::Path};

use fantail_integration_tests::{
    Starting, Workdir, fantail,
    peers::{HttpSink, Reply},
    repository,
};

/// A fenced block of the page.
#[derive(Debug)]
struct Block {
    /// What stands behind the fence: `dovecot` and `fantail` are configurations, `event` is what
    /// comes in, `output` what goes out.
    kind: String,
    text: String,
    /// The line of the fence, from 1.
    line: usize,
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(repository().join("docs/dovecot.md")).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(""), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => {
                let kind = kind.to_owned();
                open = Some(Block { kind, text: String::new(), line: index + 1 });
            }
            (Some(_), Some(block)) => panic!("{block:?}: a fence within a fence"),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{open:?} is never closed");
    blocks
}

/// A configuration of the page, with this machine's paths, users and addresses in the place of
/// those of a mail server.
fn of_this_machine(text: &str, dir: &Workdir, url: &str) -> String {
    let user = rustix::process::geteuid().as_raw().to_string();
    let group = rustix::process::getegid().as_raw().to_string();
    let text = text
        .replace("/run/dovecot/", dir.path("").to_str().unwrap())
        .replace("/var/log/", dir.path("").to_str().unwrap())
        .replace("user = dovenull", &format!("user = {user}"))
        .replace("group = dovecot", &format!("group = {group}"));
    text.replace("https://events.example.com/dovecot", url)
}

#[test]
fn every_configuration_of_the_page_is_right() {
    let mut count = 0;
    for block in blocks() {
        if !matches!(block.kind.as_str(), "dovecot" | "fantail") {
            continue;
        }
        let dir = Workdir::new();
        let text = of_this_machine(&block.text, &dir, "http://127.0.0.1:1/");
        let path = dir.config("block.conf", &text);
        let done = fantail(["check".as_ref(), "-c".as_ref(), path.as_os_str()]);
        assert_eq!(done.status, Some(0), "line {}: {}", block.line, done.stderr);
        // A block is a part of a configuration: it may lack the rest.
        let said = done.stderr.lines().filter(|line| line.starts_with("warning"));
        let said: Vec<&str> = said.filter(|line| !line.contains("there is no ")).collect();
        assert!(said.is_empty(), "line {}: {said:?}", block.line);
        count += 1;
    }
    assert!(count > 15, "{count} configurations");
}

#[test]
fn every_recipe_puts_out_what_the_page_says() {
    let blocks = blocks();
    let mut count = 0;
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == "event") {
        let output = blocks.get(index + 1).filter(|output| output.kind == "output");
        let output = output.unwrap_or_else(|| panic!("line {}: no output", block.line));
        // The generations' blocks stand before the event, one directly behind the other.
        let mut line = block.line;
        let of_recipe = blocks[..index].iter().rev().take_while(|config| {
            let end = config.line + config.text.lines().count() + 2;
            let is_near = end == line && config.kind != "output";
            line = config.line;
            is_near
        });
        let of_recipe: Vec<&Block> = of_recipe.collect();
        assert!(!of_recipe.is_empty(), "line {}: no configuration", block.line);
        for config in of_recipe {
            let found = run(&config.text, &block.text);
            assert_eq!(found, output.text, "line {}", config.line);
            count += 1;
        }
    }
    assert!(count >= 11, "{count} recipes");
}

/// What a configuration puts out for these events: into files, to a server, or into the log.
fn run(config: &str, events: &str) -> String {
    let dir = Workdir::new();
    fs::create_dir(dir.path("out")).unwrap();
    let sink = HttpSink::start(|_, _| Reply::status(200));
    let config = of_this_machine(&config.replace("/var/log/", "$DIR/out/"), &dir, &sink.url("/"));
    dir.write("events.json", events);
    let input = "input page {\n  driver = file\n  path = $DIR/events.json\n}\n\
                 event_exporter_log_target = stderr\n";
    let config = dir.config("recipe.conf", &format!("{config}{input}"));
    let log = Starting::with([&config]).spawn().wait().expect_status(0).log;
    let files = fs::read_dir(dir.path("out")).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.collect();
    let written: String = files.iter().map(|path| read(path)).collect();
    let sent: String = sink.accepted().iter().map(|body| format!("{body}\n")).collect();
    // The host's own messages begin with a time.
    let is_payload =
        |line: &&String| ["{", "event:", "start_time:"].iter().any(|p| line.starts_with(p));
    let logged: String = log.iter().filter(is_payload).map(|line| format!("{line}\n")).collect();
    written + &sent + &logged
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
