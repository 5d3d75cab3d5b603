//! What a Dovecot configuration means without saying it, and what it says that
//! only sounds like ours.
//!
//! * Its stats service has three listeners unless they are switched off. They
//!   count here if the configuration is Dovecot's and has no `input` block:
//!   who writes one says himself where events come from.
//! * A stats process of 2.3 never looks at unnamed events.
//! * Since 2.4.2 the settings groups `@metric_defaults` `proxy` and `backend`
//!   exist without being written.
//! * `hostname` and `state_dir` are settings of Dovecot's as well, and mean
//!   something else there.
//! * `doveconf -a` (`doveconf` before 2.4) prints defaults of Dovecot's other
//!   clients, which would otherwise be taken for wishes.

use std::collections::HashSet;
use std::path::PathBuf;

use super::dovecot;
use super::ignored::{Ignored, Reason};
use super::parser::Parser;
use super::source::{Place, Sources};
use super::tree::{Setting, Tree};

/// The path of texts that nobody wrote.
const NAME: &str = "Dovecot's defaults";

/// The listeners of Dovecot's stats service. Their modes and owners are known to
/// those who read them.
const LISTENERS: &str = "\
service stats {
  unix_listener login/stats-writer {
  }
  unix_listener stats-reader {
  }
  unix_listener stats-writer {
  }
}
";

/// The metrics of Dovecot's own groups: the group's names, the metric's, the name of
/// its event, and the rest of its block.
#[rustfmt::skip]
const METRICS: &[(&[&str], &str, &str, &str)] = &[
    (&["proxy", "backend"], "auth_successes", "auth_request_finished AND success=yes", ""),
    (&["proxy", "backend"], "auth_failures", "auth_request_finished AND NOT success=yes", ""),
    (&["proxy"], "login_aborted", "login_aborted", "group_by reason {\n}\n"),
    (&["proxy"], "proxy_session_established", "proxy_session_established", ""),
    (&["backend"], "imap_commands", "imap_command_finished", "group_by tagged_reply_state {\n}\n"),
    (&["backend"], "mail_deliveries", "mail_delivery_finished", ""),
    (&["backend"], "mail_submissions", "smtp_submit_finished", ""),
    (&["backend"], "mail_user_session_finished", "mail_user_session_finished", "fields = rss utime\n"),
];

/// Settings that are Dovecot's where a configuration is.
const DOVECOTS: &[&str] = &["hostname", "state_dir"];

/// Settings and blocks that Dovecot has since 2.4. A part of a configuration need not say
/// which version the whole is of. (`ssl_client` and `ssl_server` may be ours as well.)
const MODERN: &[&str] = &[
    "dict_server",
    "dovecot_config_version",
    "dovecot_storage_version",
    "mail_driver",
    "mail_path",
    "ssl_server_cert_file",
    "stats_server",
];

/// Settings of Dovecot 2.4 that are never written, and printed by `doveconf -a`: each
/// block's name.
const NAMES: &[&str] = &[
    "event_exporter_name",
    "metric_name",
    "metric_group_by_field",
    "metric_group_by_method_method",
];

/// What `doveconf -a` prints of an HTTP client that nobody has set.
const CLIENT: &[(&str, &str)] = &[
    ("http_client_connect_timeout", "0"),
    ("http_client_max_connect_attempts", "0"),
    ("http_client_max_idle_time", "0"),
    ("http_client_max_parallel_connections", "1"),
    ("http_client_request_absolute_timeout", "0"),
    ("http_client_request_max_attempts", "1"),
    ("http_client_request_max_redirects", "0"),
    ("http_client_request_timeout", "1 mins"),
];

/// Takes away or disowns what only sounds like ours, which is returned, and adds what is
/// meant without being written.
pub(super) fn complete(parser: &mut Parser, sources: &mut Sources) -> Vec<Ignored> {
    let roots = dovecot::roots(&parser.tree, sources);
    let mut found = take_names(parser);
    found.extend(disown_dovecots(parser, sources, &roots.sure));
    if let Some(group) = metric_group(&parser.tree) {
        add(parser, sources, group);
    }
    if !roots.sure.is_empty() && is_of_2_3(&parser.tree) {
        add(parser, sources, "unnamed_events = no\n".to_owned());
    }
    let has_input =
        parser.tree.children(Tree::TOP).any(|(_, block)| block.kind.as_str() == "input");
    if !has_input && (!roots.sure.is_empty() || has_service_without_sockets(&parser.tree)) {
        add(parser, sources, LISTENERS.to_owned());
    }
    found
}

/// Whether nobody wrote what stands at a place: it is one of Dovecot's defaults.
pub(super) fn is_assumed(place: Place, sources: &Sources) -> bool {
    sources.path(place.file).as_os_str() == NAME
}

fn add(parser: &mut Parser, sources: &mut Sources, text: String) {
    let file = sources.add(PathBuf::from(NAME), text.clone(), usize::MAX);
    parser.text(file, &text, &mut |_, _| {});
}

/// The settings of `doveconf -a` that say nothing, and with them those that would say
/// something else than what was meant.
fn take_names(parser: &mut Parser) -> Vec<Ignored> {
    let settings = &parser.tree.block(Tree::TOP).settings;
    if !settings.iter().any(|setting| NAMES.contains(&setting.key.as_str())) {
        return Vec::new();
    }
    let is_default = |setting: &Setting| {
        let (key, value) = (setting.key.as_str(), setting.value.written().as_str());
        NAMES.contains(&key)
            || CLIENT.contains(&(key, value))
            // All parts are included by default, and none is printed.
            || key == "metric_exporter_include" && value.is_empty()
    };
    ignored(parser.tree.take_settings(Tree::TOP, is_default).iter())
}

fn disown_dovecots(parser: &mut Parser, sources: &Sources, roots: &HashSet<usize>) -> Vec<Ignored> {
    // In a configuration that has blocks of ours as well, nobody can tell.
    let own: HashSet<usize> = parser
        .tree
        .children(Tree::TOP)
        .filter(|(_, block)| matches!(block.kind.as_str(), "input" | "listener"))
        .map(|(_, block)| sources.root(block.kind.place().file))
        .collect();
    parser.tree.disown(Tree::TOP, |setting| {
        let root = sources.root(setting.key.place().file);
        DOVECOTS.contains(&setting.key.as_str()) && roots.contains(&root) && !own.contains(&root)
    });
    let settings = parser.tree.block(Tree::TOP).settings.iter();
    ignored(settings.filter(|setting| setting.foreign))
}

fn ignored<'a>(settings: impl Iterator<Item = &'a Setting>) -> Vec<Ignored> {
    let one = |setting: &Setting| {
        Ignored::new(Reason::Setting, setting.key.as_str(), setting.key.place())
    };
    settings.map(one).collect()
}

/// Dovecot's own group of metrics, if it is used and none of that name is written.
fn metric_group(tree: &Tree) -> Option<String> {
    let settings = &tree.block(Tree::TOP).settings;
    let used = settings.iter().rev().find(|setting| setting.key.as_str() == "@metric_defaults")?;
    let wanted = used.value.written().as_str();
    let is_written = tree.children(Tree::TOP).any(|(_, block)| {
        let name = block.name.as_ref().map_or("", |name| name.as_str());
        block.kind.as_str() == "group" && name.split_whitespace().eq(["@metric_defaults", wanted])
    });
    let metrics = METRICS.iter().filter(|(groups, ..)| groups.contains(&wanted));
    let metrics = metrics.map(|(_, name, event, more)| {
        format!("metric {name} {{\nfilter = event={event}\n{more}}}\n")
    });
    let metrics: String = metrics.collect();
    (!is_written && !metrics.is_empty())
        .then(|| format!("group @metric_defaults {wanted} {{\n{metrics}}}\n"))
}

/// Whether a Dovecot configuration is one of 2.3, and does not say itself what becomes of
/// unnamed events.
fn is_of_2_3(tree: &Tree) -> bool {
    let settings = tree.block(Tree::TOP).settings.iter().map(|setting| setting.key.as_str());
    let blocks = tree.children(Tree::TOP).map(|(_, block)| block.kind.as_str());
    !settings.chain(blocks).any(|name| name == "unnamed_events" || MODERN.contains(&name))
}

/// Whether there is a `service stats` that says nothing about sockets.
fn has_service_without_sockets(tree: &Tree) -> bool {
    tree.children(Tree::TOP).any(|(id, block)| {
        dovecot::is_stats(block)
            && !tree.children(id).any(|(_, inner)| inner.kind.as_str() == "unix_listener")
    })
}
