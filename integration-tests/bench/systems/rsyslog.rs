//! rsyslog.

use std::{fmt::Write as _, process::Command};

use fantail_integration_tests::{Workdir, load::Load};

use super::{Check, LineServer, Program, Running, System, configure, free_port, version};
use crate::work::{Input, Select, Work};

struct Rsyslog {
    program: Program,
}

/// If it is there.
pub(super) fn installed() -> Option<Box<dyn System>> {
    Some(Box::new(Rsyslog { program: Program::find("rsyslog", "rsyslogd")? }))
}

impl System for Rsyslog {
    fn name(&self) -> String {
        format!("rsyslog {}", version(Command::new(&self.program.binary).arg("-v")))
    }

    fn can(&self, work: &Work) -> bool {
        work.input == Input::JsonTcp
    }

    fn start(&self, work: &Work, load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let port = free_port();
        let mut routes = String::new();
        match work.select {
            Select::All => routes.push_str("  call sink"),
            Select::Fifth => routes.push_str(
                "  if $!event == \"imap_command_finished\" and $!fields!cmd_name == \"FETCH\" \
                 then call sink",
            ),
            Select::User => {
                for user in work.users(&load.top_user_name) {
                    writeln!(routes, "  if $!fields!user == \"{user}\" then call sink").unwrap();
                }
            }
        }
        let config = configure(
            dir,
            "rsyslog.conf",
            include_str!("../config/rsyslog.conf"),
            &[("$PORT", &port.to_string()), ("$ROUTES", &routes)],
        );
        let mut command = Command::new(&self.program.binary);
        if let Some(modules) = self.program.directory_of("imptcp.so") {
            command.arg("-M").arg(modules);
        }
        command.arg("-n").arg("-f").arg(config).arg("-i").arg(dir.path("pid"));
        LineServer::start(&mut command, port, dir, Check::Bytes)
    }
}
