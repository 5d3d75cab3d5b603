//! Real Dovecots in a directory of the test: a mail server whose processes send events, and
//! its own stats process alone, for comparison.
//!
//! Nothing of the machine's own Dovecot is read or touched; its programs are used. They
//! must be started by root.

mod clients;
mod config;
mod master;
mod script;
mod servers;
mod tee;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

pub use clients::{Imap, Lmtp, Pop3};
pub use script::{Did, Script};
pub use servers::{MailServer, Ports, StatsServer};
pub use tee::{Stream, Tee};

use crate::command::{self, run};

/// The variable that names a `dovecot` of another version than the installed one. `doveadm`
/// is looked for beside it and in `../bin`.
const OTHER: &str = "FANTAIL_DOVECOT_24";

/// Which language a Dovecot's configuration is written in, and what its events are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 2.3
    V2_3,
    /// 2.4
    V2_4,
}

/// Dovecot's programs.
#[derive(Clone, Debug)]
pub struct Dovecot {
    binary: PathBuf,
    version: String,
    generation: Generation,
}

impl Dovecot {
    /// The installed one, and the one that `FANTAIL_DOVECOT_24` names.
    pub fn found() -> Vec<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let directories = env::split_paths(&path).chain(["/usr/sbin".into()]);
        let mut installed = directories.map(|place| place.join("dovecot"));
        let installed = installed.find(|binary| binary.is_file());
        let named = env::var_os(OTHER).map(PathBuf::from);
        installed.into_iter().chain(named).map(|binary| Self::at(&binary)).collect()
    }

    /// The same for tests of a mail server, which must not pass without one.
    ///
    /// # Panics
    ///
    /// When there is none, or no root to start it.
    pub fn required() -> Vec<Self> {
        assert!(
            rustix::process::geteuid().is_root(),
            "Dovecot's master can be started by root only: run these tests as root, or leave \
             them out with `--skip dovecot::`"
        );
        let found = Self::found();
        assert!(
            !found.is_empty(),
            "Dovecot is not installed: these tests need the packages dovecot-core, \
             dovecot-imapd, dovecot-pop3d and dovecot-lmtpd, see integration-tests/run"
        );
        found
    }

    /// The program at this path.
    ///
    /// # Panics
    ///
    /// When there is none, or it tells no version.
    pub fn at(binary: &Path) -> Self {
        let said = run(Command::new(binary).arg("--version"), b"");
        let version = said.text().split_whitespace().next().unwrap_or_default().to_owned();
        let is_version = version.starts_with(|first: char| first.is_ascii_digit());
        assert!(is_version, "{}: no version in {said:?}", binary.display());
        let generation = match version.starts_with("2.3.") {
            true => Generation::V2_3,
            false => Generation::V2_4,
        };
        Dovecot { binary: binary.to_owned(), version, generation }
    }

    /// `2.3.19.1`
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What its configuration is like.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What it prints of a configuration: with `-n` what was written, with `-a` all.
    ///
    /// # Panics
    ///
    /// When it does not accept the configuration.
    pub fn printed(&self, config: &Path, option: &str) -> Vec<u8> {
        let done = run(Command::new(&self.binary).arg(option).arg("-c").arg(config), b"");
        assert_eq!(done.status, Some(0), "{}: {}", config.display(), done.stderr);
        done.stdout
    }

    /// Writes a configuration for `doveadm`, which looks for sockets in this directory.
    pub fn write_config(&self, base: &Path) -> PathBuf {
        let path = base.join("doveadm.conf");
        fs::write(&path, config::doveadm(self.generation, base)).unwrap();
        path
    }

    /// Runs `doveadm` with this configuration; `None` when it is not where it should be.
    pub fn doveadm(&self, config: &Path, arguments: &[&str]) -> Option<command::Done> {
        let directory = self.binary.parent()?;
        let places = [directory.join("doveadm"), directory.join("../bin/doveadm")];
        let doveadm = places.into_iter().find(|path| path.is_file())?;
        Some(run(Command::new(doveadm).arg("-c").arg(config).args(arguments), b""))
    }
}
