//! Fluent Bit, of which Debian has no package.

use std::{env, path::PathBuf, process::Command};

use fantail_integration_tests::{Workdir, load::Load};

use super::{Check, LineServer, Running, System, configure, free_port, is_program};
use crate::work::{Input, Select, Work};

struct FluentBit {
    binary: PathBuf,
}

/// The one that `FLUENT_BIT` names.
pub(super) fn installed() -> Option<Box<dyn System>> {
    let binary = PathBuf::from(env::var_os("FLUENT_BIT")?);
    assert!(is_program(&binary), "{} is no program", binary.display());
    Some(Box::new(FluentBit { binary }))
}

impl System for FluentBit {
    fn name(&self) -> String {
        let said = Command::new(&self.binary).arg("--version").output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        // It begins `Fluent Bit v4.0.1`.
        text.lines().next().unwrap_or_default().replace(" v", " ")
    }

    fn can(&self, work: &Work) -> bool {
        work.input == Input::JsonTcp && work.select != Select::User
    }

    fn start(&self, work: &Work, _load: &Load, dir: &Workdir) -> Box<dyn Running> {
        let port = free_port();
        let filter = match work.select {
            Select::Fifth => {
                "[FILTER]\n    name         grep\n    match        events\n    \
                 regex        event ^imap_command_finished$\n    \
                 regex        $fields['cmd_name'] ^FETCH$\n"
            }
            Select::All | Select::User => "",
        };
        let config = configure(
            dir,
            "fluent-bit.conf",
            include_str!("../config/fluent-bit.conf"),
            &[("$PORT", &port.to_string()), ("$FILTER", filter)],
        );
        // It writes letters beyond ASCII as escapes, so the bytes are its own.
        let check = Check::Lines("\"event\":\"");
        LineServer::start(Command::new(&self.binary).arg("-c").arg(config), port, dir, check)
    }
}
