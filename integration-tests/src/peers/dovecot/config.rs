//! What the configurations of both generations say, each in its own language.

use std::path::Path;

use super::{Generation, Ports};

/// Whose mail it is: everybody's here. No user of the machine's own, and one that any
/// system has.
const MAIL_USER: u32 = 65_534;

/// The password of every user.
pub(super) const PASSWORD: &str = "secret";

/// What every configuration begins with.
fn version(generation: Generation) -> &'static str {
    match generation {
        Generation::V2_3 => "",
        Generation::V2_4 => "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n",
    }
}

/// Just where the sockets are.
pub(super) fn doveadm(generation: Generation, base: &Path) -> String {
    format!("{}base_dir = {}\n", version(generation), base.display())
}

/// What both kinds of server need: a place of their own, and a log without times.
fn common(generation: Generation, place: &Path) -> String {
    let (version, place) = (version(generation), place.display());
    format!(
        "{version}base_dir = {place}/run\nstate_dir = {place}/state\nlog_path = {place}/log\n\
         log_timestamp = \"\"\ninstance_name = fantail-test\nssl = no\n"
    )
}

/// Nothing but the stats process and what it needs.
pub(super) fn stats_server(generation: Generation, place: &Path) -> String {
    // In 2.4 the process writes files: as whom, is nobody's business here.
    let more = match generation {
        Generation::V2_3 => "vsz_limit = 0",
        Generation::V2_4 => "vsz_limit = unlimited\n  user = root",
    };
    format!(
        "{}protocols =\nservice stats {{\n  {more}\n  client_limit = 4000\n  \
         unix_listener stats-writer {{\n    mode = 0600\n  }}\n  \
         unix_listener stats-reader {{\n    mode = 0600\n  }}\n}}\n",
        common(generation, place)
    )
}

/// A mail server that knows every user and has no stats process.
pub(super) fn mail_server(generation: Generation, place: &Path, ports: &Ports) -> String {
    let closed = ["stats-writer", "login/stats-writer", "stats-reader"].map(closed).concat();
    format!("{}service stats {{\n{closed}}}\n", mail(generation, place, ports))
}

/// The same with a stats process of its own.
pub(super) fn whole_server(
    generation: Generation,
    place: &Path,
    ports: &Ports,
    exporters_and_metrics: &str,
) -> String {
    let user = match generation {
        Generation::V2_3 => "",
        // For its files.
        Generation::V2_4 => "  user = root\n",
    };
    let mail = mail(generation, place, ports);
    format!("{mail}service stats {{\n{user}}}\n{exporters_and_metrics}")
}

/// The same whose stats process is this program, and a metric for it.
pub(super) fn server_of(
    generation: Generation,
    place: &Path,
    ports: &Ports,
    executable: &str,
) -> String {
    // So few connections that a program would be closed out that believes in it.
    format!(
        "{}service stats {{\n  executable = {executable}\n  client_limit = 3\n}}\n\
         metric all {{\n  filter = event=*\n}}\n",
        mail(generation, place, ports)
    )
}

fn closed(listener: &str) -> String {
    format!("  unix_listener {listener} {{\n    mode = 0\n  }}\n")
}

fn mail(generation: Generation, place: &Path, ports: &Ports) -> String {
    let mail = place.join("mail");
    let mail = mail.display();
    let users = match generation {
        Generation::V2_3 => format!(
            "disable_plaintext_auth = no\nauth_failure_delay = 0\nfirst_valid_uid = 1\n\
             mail_location = maildir:{mail}/%u\n\
             passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
             userdb {{\n  driver = static\n  args = uid={MAIL_USER} gid={MAIL_USER} \
             home={mail}/%u\n}}\n"
        ),
        Generation::V2_4 => format!(
            "auth_allow_cleartext = yes\nauth_failure_delay = 0\nfirst_valid_uid = 1\n\
             mail_driver = maildir\nmail_path = {mail}/%{{user}}\nmail_home = {mail}/%{{user}}\n\
             passdb static {{\n  password = {PASSWORD}\n}}\n\
             userdb static {{\n  fields {{\n    uid = {MAIL_USER}\n    gid = {MAIL_USER}\n    \
             home = {mail}/%{{user}}\n  }}\n}}\n"
        ),
    };
    let listener = |service: &str, name: &str, port: u16| {
        format!("service {service} {{\n  inet_listener {name} {{\n    port = {port}\n  }}\n}}\n")
    };
    [
        common(generation, place),
        // All users may come at once.
        "protocols = imap pop3 lmtp\nlisten = 127.0.0.1\npostmaster_address = p@example.com\n\
         default_process_limit = 2000\ndefault_client_limit = 20000\n"
            .into(),
        users,
        listener("imap-login", "imap", ports.imap),
        listener("imap-login", "imaps", 0),
        listener("pop3-login", "pop3", ports.pop3),
        listener("pop3-login", "pop3s", 0),
        listener("lmtp", "lmtp", ports.lmtp),
        // Without it failed logins of one address make its next ones slower.
        format!("service anvil {{\n{}}}\n", closed("anvil-auth-penalty")),
    ]
    .concat()
}
