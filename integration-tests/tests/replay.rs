//! Recorded traffic of real Dovecots, compared with what Dovecot itself exported.

use std::fs;

use fantail_integration_tests::{
    Starting, Workdir, data,
    expect::{normal_json, normal_tab_text, same_lines},
    peers::StatsClient,
};

/// A recording: where it lies, and its exporters with the files they write.
struct Recording {
    name: &'static str,
    exporters: &'static [(&'static str, &'static str)],
}

const DOVECOT_2_3: Recording = Recording {
    name: "captures/dovecot-2.3",
    exporters: &[("select_tab", "select.tab"), ("all_json", "all.json"), ("all_tab", "all.tab")],
};

const DOVECOT_2_4: Recording = Recording {
    name: "captures/dovecot-2.4",
    exporters: &[
        ("select_tab", "select.tab"),
        ("all_json", "all.json"),
        ("all_json_unix", "all-unix.json"),
        ("all_tab", "all.tab"),
        ("slow_json", "slow.json"),
    ],
};

impl Recording {
    /// Dovecot's own configuration, and after it this input and a file in the
    /// test's directory for each exporter.
    fn starting(&self, dir: &Workdir, input: &str) -> Starting {
        // One worker: connections that come one after the other stay in order.
        let mut ours = format!("workers = 1\n{input}\n");
        for (exporter, file) in self.exporters {
            ours += &format!(
                "event_exporter {exporter} {{\n  driver = file\n  file_path = $DIR/{file}\n}}\n"
            );
        }
        let dovecots = data(self.name).join("metrics.conf");
        Starting::with([dovecots, dir.config("ours.conf", &ours)])
    }

    fn compare(&self, dir: &Workdir) {
        for (_, file) in self.exporters {
            let expected = fs::read_to_string(data(self.name).join("expected").join(file)).unwrap();
            assert!(!expected.is_empty());
            let found = String::from_utf8(dir.read(file)).unwrap();
            let json = file.ends_with("json");
            same_lines(file, &expected, &found, if json { normal_json } else { normal_tab_text });
        }
    }

    fn replay_files(&self) {
        let dir = Workdir::new();
        let streams = data(self.name).join("streams");
        let input = format!(
            "input replay {{\n  driver = file\n  path = {}/*.stats-writer\n}}",
            streams.display()
        );
        let ended = self.starting(&dir, &input).start().wait().expect_status(0);
        assert_eq!(ended.input("replay").rejected.len(), 0);
        for (exporter, _) in self.exporters {
            let ledger = ended.exporter(exporter);
            assert_eq!((ledger.matched, ledger.queued), (ledger.delivered, 0));
        }
        self.compare(&dir);
    }

    fn replay_connections(&self) {
        let dir = Workdir::new();
        let input = "input replay {\n  driver = stats-writer\n  path = $DIR/stats-writer\n}";
        let host = self.starting(&dir, input).start();
        let mut streams: Vec<_> = fs::read_dir(data(self.name).join("streams"))
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        streams.sort();
        for stream in streams {
            let mut client = StatsClient::connect(dir.path("stats-writer"));
            client.send(&fs::read(stream).unwrap());
            let said = client.finish();
            assert!(said.starts_with("VERSION\tstats-server\t4\t0\nFILTER\t"), "{said}");
        }
        let ended = host.stop().expect_status(0);
        assert_eq!(ended.input("replay").rejected.len(), 0);
        self.compare(&dir);
    }
}

#[test]
fn dovecot_2_3_from_files() {
    DOVECOT_2_3.replay_files();
}

#[test]
fn dovecot_2_4_from_files() {
    DOVECOT_2_4.replay_files();
}

#[test]
fn dovecot_2_3_from_connections() {
    DOVECOT_2_3.replay_connections();
}

#[test]
fn dovecot_2_4_from_connections() {
    DOVECOT_2_4.replay_connections();
}
