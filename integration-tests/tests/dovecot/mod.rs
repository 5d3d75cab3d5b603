//! Real Dovecots whose stats process is Fantail.
//!
//! Everything here runs with the installed Dovecot, and once more with the one that
//! `FANTAIL_DOVECOT_24` names.

#![expect(clippy::print_stdout, reason = "shown for a test that fails")]

mod blinded;
mod doveadm;
mod killed;
mod pair;
mod stand_in;
mod teed;
mod twice;

use fantail_integration_tests::{
    Workdir,
    peers::dovecot::{Dovecot, MailServer},
};

/// Runs a test with each Dovecot.
fn with_each(test: impl Fn(&Dovecot)) {
    for dovecot in Dovecot::required() {
        println!("with Dovecot {}", dovecot.version());
        test(&dovecot);
    }
}

/// A host's inputs: the sockets where a mail server's processes look for a stats process.
fn inputs(dir: &Workdir) -> String {
    let input = |name: &str, path: std::path::PathBuf| {
        // For processes that come back with the rights of their users.
        format!(
            "input {name} {{\n  driver = stats-writer\n  path = {}\n  mode = 0666\n}}\n",
            path.display()
        )
    };
    input("dovecot", MailServer::stats_writer(dir))
        + &input("login", MailServer::login_stats_writer(dir))
}

/// How often each live test is repeated, with other seeds: `FANTAIL_DOVECOT_ROUNDS`.
fn rounds() -> u64 {
    let rounds = std::env::var("FANTAIL_DOVECOT_ROUNDS");
    rounds.map_or(1, |rounds| rounds.parse().expect("FANTAIL_DOVECOT_ROUNDS is a number"))
}
