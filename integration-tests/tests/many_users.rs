//! As many groups as a metric may have, and a hundred times more that want to be one.

use std::{fmt::Write as _, io::Write, net::Shutdown, os::unix::net::UnixStream};

use fantail_integration_tests::{Host, Workdir, fantail, memory_kib};

const USERS: usize = 1_000_000;

/// What `group_by_max_series` is without a setting.
const SERIES_MAX: usize = 10_000;

const CONFIG: &str = "
input in {
  driver = unix
  path = $DIR/in.sock
}
listener reader {
  driver = stats-reader
  path = $DIR/reader.sock
}
metric users {
  filter = event=e
  group_by = user
}
";

fn send(dir: &Workdir, users: std::ops::Range<usize>) {
    let mut stream = UnixStream::connect(dir.path("in.sock")).unwrap();
    let mut lines = String::new();
    for user in users {
        writeln!(lines, r#"{{"event":"e","fields":{{"user":"u{user}@example.com"}}}}"#).unwrap();
        if lines.len() > 1 << 16 {
            stream.write_all(lines.as_bytes()).unwrap();
            lines.clear();
        }
    }
    stream.write_all(lines.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap();
}

#[test]
fn a_million_users_make_ten_thousand_series() {
    let dir = Workdir::new();
    let host = Host::start(&dir, CONFIG);
    send(&dir, 0..2 * SERIES_MAX);
    let at_the_bound = memory_kib(host.pid()).0;
    send(&dir, 2 * SERIES_MAX..USERS);
    let in_the_end = memory_kib(host.pid()).0;
    // Ten thousand users more would take some 4 MiB; there are a million.
    assert!(in_the_end < at_the_bound + (8 << 10), "{at_the_bound} KiB, then {in_the_end} KiB");
    let socket = dir.path("reader.sock");
    let dump = ["stats", "dump", "-f", "count", "--format", "tab", "--socket-path"];
    let shown = fantail(dump.into_iter().chain([socket.to_str().unwrap()]));
    let count = |name: &str| {
        let lines = shown.text().lines();
        let mut fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
        let found = fields.find(|fields| fields[0] == name);
        found.unwrap_or_else(|| panic!("no {name}"))[2].parse::<usize>().unwrap()
    };
    assert_eq!(count("users"), USERS);
    assert_eq!(count("users_u9999@example.com"), 1);
    assert_eq!(count("users_(overflow)"), USERS - SERIES_MAX);
    assert_eq!(shown.text().lines().count(), 1 + 1 + SERIES_MAX + 1);
    host.stop().expect_status(0);
}
