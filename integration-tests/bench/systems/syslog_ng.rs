//! syslog-ng.

use std::{fmt::Write as _, process::Command};

use fantail_integration_tests::{Workdir, load::Load};

use super::{Check, LineServer, Program, Running, System, configure, free_port};
use crate::work::{Input, Select, Work};

struct SyslogNg {
    program: Program,
}

/// If it is there.
pub(super) fn installed() -> Option<Box<dyn System>> {
    Some(Box::new(SyslogNg { program: Program::find("syslog-ng-core", "syslog-ng")? }))
}

impl SyslogNg {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program.binary);
        if let Some(libraries) = self.program.directory_of("libsyslog-ng-") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(modules) = self.program.directory_of("libjson-plugin.so") {
            command.arg(format!("--module-path={}", modules.display()));
        }
        command
    }

    /// The version that a configuration has to name.
    fn config_version(&self) -> String {
        let said = self.command().arg("--version").output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Config version: "));
        line.expect("syslog-ng says the version of its configuration").to_owned()
    }
}

impl System for SyslogNg {
    fn name(&self) -> String {
        let said = self.command().arg("--version").output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Installer-Version: "));
        format!("syslog-ng {}", line.unwrap_or_default())
    }

    fn can(&self, work: &Work) -> bool {
        work.input == Input::JsonTcp
    }

    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let port = free_port();
        let conditions: Vec<String> = match work.select {
            Select::All => Vec::new(),
            Select::Fifth => vec![
                "\"${.json.event}\" eq \"imap_command_finished\" and \
                 \"${.json.fields.cmd_name}\" eq \"FETCH\""
                    .to_owned(),
            ],
            Select::User => work
                .users(&load.top_user_name)
                .iter()
                .map(|user| format!("\"${{.json.fields.user}}\" eq \"{user}\""))
                .collect(),
        };
        let (mut filters, mut routes) = (String::new(), String::new());
        for (number, condition) in conditions.iter().enumerate() {
            writeln!(filters, "filter f{number} {{ {condition} }};").unwrap();
            writeln!(routes, "  log {{ filter(f{number}); destination(sink); }};").unwrap();
        }
        if conditions.is_empty() {
            routes.push_str("  destination(sink);");
        }
        let config = configure(
            dir,
            "syslog-ng.conf",
            include_str!("../config/syslog-ng.conf"),
            &[
                ("$VERSION", &self.config_version()),
                ("$PORT", &port.to_string()),
                ("$FILTERS", &filters),
                ("$ROUTES", &routes),
            ],
        );
        let mut command = self.command();
        command.args(["-F", "--no-caps", "-f"]).arg(config);
        command.arg("-R").arg(dir.path("persist")).arg("-c").arg(dir.path("control"));
        command.arg("-p").arg(dir.path("pid"));
        LineServer::start(&mut command, port, dir, Check::Bytes)
    }
}
