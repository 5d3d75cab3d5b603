//! What else stands in a dovecot.conf.
//!
//! An existing configuration is usable as it is. The rule for the top level,
//! where everything of every service stands:
//!
//! * What is ours is read.
//! * What is at most two slips away from a name of ours is an error, and so is
//!   an unknown name that begins like the long names of ours: `metric_fliter`.
//! * The rest is ignored and counted, if the path that the user named leads,
//!   itself or through includes, to something that only Dovecot has: a
//!   `service`, `protocol`, `passdb`, `userdb` or `namespace` block, a `plugin`
//!   block without a name, or one of a few well-known settings; and so are settings
//!   groups that bring nothing of ours.
//! * Otherwise it is an error.
//!
//! Inside our own blocks nothing is ignored but what belongs to Dovecot's HTTP and TLS
//! clients. Of `service stats`, the listeners for writers become inputs, those for
//! readers and for HTTP become listeners; how many processes Dovecot would run is its
//! own affair.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Severity};
use super::ignored::{Ignored, Reason};
use super::reader::{Reader, Section};
use super::settings::{
    Assumed, InputConfig, InputDriver, ListenerConfig, ListenerDriver, OpenMetricsCompat, Socket,
};
use super::source::{Placed, Sources};
use super::table::{BlockKind, Kind};
use super::text::Text;
use super::tree::{Block, BlockId, Setting, Tree};
use super::value;
use super::{exporters, inputs};

/// Settings that only a Dovecot configuration has.
const DOVECOT_SETTINGS: &[&str] = &[
    "auth_mechanisms",
    "auth_verbose",
    "base_dir",
    "default_internal_user",
    "disable_plaintext_auth",
    "dovecot_config_version",
    "dovecot_storage_version",
    "fts_autoindex",
    "listen",
    "log_path",
    "login_greeting",
    "mail_driver",
    "mail_location",
    "mail_path",
    "mail_plugins",
    "mail_privileged_group",
    "protocols",
    "ssl",
    "ssl_cert",
    "ssl_key",
    "ssl_server_cert_file",
    "stats_http_rawlog_dir",
    "syslog_facility",
];

/// Those of them that our own configurations may have as well.
const SHARED_SETTINGS: &[&str] = &["base_dir", "default_internal_user", "listen"];

/// Blocks that only a Dovecot configuration has.
const DOVECOT_BLOCKS: &[&str] = &[
    "dict_server",
    "local",
    "local_name",
    "namespace",
    "passdb",
    "protocol",
    "remote",
    "service",
    "ssl_client",
    "ssl_server",
    "stats_server",
    "userdb",
];

/// Those of them that our own configurations may have as well.
const SHARED_BLOCKS: &[&str] = &["ssl_client", "ssl_server"];

/// Blocks that are ours.
const OUR_BLOCKS: &[&str] = &["input", "listener", "event_exporter", "metric", "plugin"];

/// Blocks whose settings may stand at the top level, under their long names.
const LONG: &[BlockKind] = &[
    BlockKind::Exporter,
    BlockKind::Input,
    BlockKind::Listener,
    BlockKind::Method,
    BlockKind::Metric,
];

/// Whether a name is a setting of a plugin: of one that may stand at the top
/// level in its short form (`false`), or of any (`true`).
pub(super) type IsPlugins<'a> = dyn Fn(&str, bool) -> bool + 'a;

/// Which of the paths that the user named lead to Dovecot's configurations.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Those with anything that only Dovecot has.
    pub(super) any: HashSet<usize>,
    /// Those with something that our own configurations don't have either.
    pub(super) sure: HashSet<usize>,
}

/// Looks for what only Dovecot has.
pub(super) fn roots(tree: &Tree, sources: &Sources) -> Roots {
    let mut roots = Roots::default();
    let mut found = |root: usize, is_sure: bool| {
        roots.any.insert(root);
        if is_sure {
            roots.sure.insert(root);
        }
    };
    for setting in &tree.block(Tree::TOP).settings {
        let name = setting.key.as_str();
        if DOVECOT_SETTINGS.contains(&name) {
            found(sources.root(setting.key.place().file), !SHARED_SETTINGS.contains(&name));
        }
    }
    for (_, block) in tree.children(Tree::TOP) {
        let kind = block.kind.as_str();
        if DOVECOT_BLOCKS.contains(&kind) || kind == "plugin" && block.name.is_none() {
            let is_sure = !SHARED_BLOCKS.contains(&kind) && !is_stats(block);
            found(sources.root(block.kind.place().file), is_sure);
        }
    }
    roots
}

/// Goes through the top level: reports what is nearly ours, and counts what is not.
/// `is_plugins` tells settings of plugins.
pub(super) fn survey(reader: &mut Reader<'_>, sources: &Sources, is_plugins: &IsPlugins<'_>) {
    let tree = reader.tree;
    let top = tree.block(Tree::TOP);
    let dovecot = roots(tree, sources).any;
    let settings = top.settings.iter().map(|setting| &setting.key);
    for key in settings.filter(|key| !is_setting(key.as_str(), is_plugins)) {
        let is_dovecots = dovecot.contains(&sources.root(key.place().file));
        if exporters::is_dovecot_client(key.as_str()) && !is_dovecots {
            if is_plugins(key.as_str(), true) {
                let message = format!("`{}` counts in event_exporter blocks only", key.as_str());
                let note = Diagnostic::new(Severity::Note, Some(key.place()), message);
                reader.diagnostics.push(note);
            } else {
                reader.ignored.push(Ignored::new(Reason::Client, key.as_str(), key.place()));
            }
            // A plugin that takes it may just not be loaded.
            reader.plugin_missed = true;
            continue;
        }
        match unknown(key, "setting", &dovecot, sources) {
            Some(problem) => {
                reader.diagnostics.push(problem);
                reader.plugin_missed = true;
            }
            None => {
                let reason = match key.as_str() {
                    "stats_http_rawlog_dir" => Reason::Process,
                    _ => Reason::Setting,
                };
                reader.ignored.push(Ignored::new(reason, key.as_str(), key.place()));
            }
        }
    }
    for (_, block) in tree.children(Tree::TOP).filter(|(_, block)| !is_block(block)) {
        match unknown(&block.kind, "block", &dovecot, sources) {
            Some(problem) => reader.diagnostics.push(problem),
            None => {
                let reason = match block.kind.as_str() {
                    "stats_server" => Reason::Process,
                    _ => Reason::Block,
                };
                reader.ignored.push(Ignored::new(reason, written(block), block.kind.place()));
            }
        }
    }
}

/// A block's first line, without its brace.
fn written(block: &Block) -> String {
    let name = block.name.as_ref().map_or("", Text::as_str);
    format!("{} {name}", block.kind.as_str()).trim_end().to_owned()
}

/// Whether this is Dovecot's stats service.
pub(super) fn is_stats(block: &Block) -> bool {
    block.kind.as_str() == "service"
        && block.name.as_ref().is_some_and(|name| name.as_str() == "stats")
}

/// Whether a top-level setting is ours, or known to mean nothing here.
fn is_setting(name: &str, is_plugins: &IsPlugins<'_>) -> bool {
    let is_long = |kind: BlockKind| {
        let short = kind.short_name(name);
        let plugins = kind == BlockKind::Exporter && is_plugins(short, true);
        short != name && (kind.setting(short).is_some() || plugins)
    };
    matches!(name, "dovecot_config_version" | "dovecot_storage_version")
        || BlockKind::Top.setting(name).is_some()
        || is_plugins(name, false)
        || LONG.iter().any(|kind| is_long(*kind))
}

fn is_block(block: &Block) -> bool {
    let name = block.name.as_ref().map(Text::as_str);
    match block.kind.as_str() {
        "plugin" => name.is_some(),
        "service" => is_stats(block),
        // Defaults of lists: `metric_fields { user = yes }`.
        kind if block.name.is_none() && is_list(kind) => true,
        kind => OUR_BLOCKS.contains(&kind),
    }
}

fn is_list(name: &str) -> bool {
    LONG.iter().any(|kind| {
        let short = kind.short_name(name);
        let setting = kind.setting(short).filter(|_| short != name);
        setting.is_some_and(|setting| setting.kind == Kind::List)
    })
}

/// What to say about an unknown name, if anything.
fn unknown(
    key: &Text,
    what: &str,
    dovecot: &HashSet<usize>,
    sources: &Sources,
) -> Option<Diagnostic> {
    let name = key.as_str();
    // Groups that bring nothing of ours, and their use.
    if name == "group" && what == "block" || name.starts_with('@') {
        return None;
    }
    let candidates: Vec<&str> = match what {
        "block" => OUR_BLOCKS.to_vec(),
        _ => BlockKind::Top.settings().map(|setting| setting.name).collect(),
    };
    let distances = candidates.iter().map(|known| (strsim::osa_distance(name, known), *known));
    let near = distances
        .filter(|(distance, known)| *distance > 0 && *distance <= (known.len() / 3).min(2))
        .min();
    let problem = Diagnostic::error(key.place(), format!("unknown {what} `{name}`"));
    if let Some((_, near)) = near {
        return Some(problem.label(format!("did you mean `{near}`?")));
    }
    if let Some(kind) = LONG.iter().find(|kind| kind.short_name(name) != name) {
        let short = kind.short_name(name);
        let near = value::nearest(short, kind.settings().map(|setting| setting.name));
        return Some(match near {
            Some(near) => problem.label(format!("did you mean `{}{near}`?", kind.prefixes()[0])),
            None => problem,
        });
    }
    if dovecot.contains(&sources.root(key.place().file)) {
        return None;
    }
    Some(problem.help("settings of other programs belong in other files"))
}

/// Reads the listeners of `service stats`: those for writers become inputs, those for
/// readers and for HTTP listeners.
pub(super) fn listeners(
    reader: &mut Reader<'_>,
    service: BlockId,
    inputs: &mut Vec<(usize, InputConfig)>,
    listeners: &mut Vec<ListenerConfig>,
) {
    let tree = reader.tree;
    for setting in &tree.block(service).settings {
        let key = &setting.key;
        reader.ignored.push(Ignored::new(Reason::Process, key.as_str(), key.place()));
    }
    for (id, block) in tree.children(service) {
        match block.kind.as_str() {
            "unix_listener" => match unix_listener(reader, id) {
                Some(Unix::Input(input)) => inputs.push((block.order, *input)),
                Some(Unix::Listener(listener)) => listeners.push(*listener),
                None => {}
            },
            "inet_listener" => listeners.extend(inet_listener(reader, id)),
            "fifo_listener" => left_out(reader, block),
            _ => {
                let ignored = Ignored::new(Reason::Process, written(block), block.kind.place());
                reader.ignored.push(ignored);
            }
        }
    }
}

/// What a `unix_listener` is for us.
enum Unix {
    Input(Box<InputConfig>),
    Listener(Box<ListenerConfig>),
}

fn unix_listener(reader: &mut Reader<'_>, id: BlockId) -> Option<Unix> {
    let section = Section { id, kind: BlockKind::UnixListener };
    let block = reader.block(section);
    count_others(reader, section);
    let name = reader.name(section);
    let path = reader.path(section, "path");
    let path = path.unwrap_or_else(|| Placed::new(PathBuf::from(&name.value), name.place));
    let is_called =
        |file: &str| [Path::new(&name.value), &path.value].iter().any(|p| p.ends_with(file));
    let kind = reader.text(section, "type").map(|kind| kind.value);
    let is = |wanted: &str, file: &str| match kind.as_deref() {
        Some(kind) => kind == wanted,
        None => is_called(file),
    };
    let (is_writer, is_reader) = (is("writer", "stats-writer"), is("reader", "stats-reader"));
    // Users write `mode = 0` to be rid of a listener.
    let written = reader.is_written(section, "mode");
    let mode = reader.mode(section, "mode");
    if mode == 0 {
        return None;
    }
    if !is_writer && !is_reader {
        left_out(reader, block);
        return None;
    }
    let top = Section { id: Tree::TOP, kind: BlockKind::Top };
    let base = reader.path(top, "base_dir")?;
    // What Dovecot itself sets for its three listeners.
    let login = is_writer && is_called("login/stats-writer");
    if login && reader.variables.is_assumed(block.place()) && !has_login(reader, &base.value) {
        return None;
    }
    let default = |reader: &Reader<'_>, name: &str| Placed {
        value: reader.variables.dovecot(name),
        place: block.place(),
    };
    let mut socket = Socket {
        path: Placed::new(base.value.join(path.value), path.place),
        mode: if (login || is_reader) && !written { 0o600 } else { mode },
        user: reader.text(section, "user"),
        group: reader.text(section, "group"),
        assumed: Assumed::Nothing,
    };
    if is_reader {
        let driver = ListenerDriver::StatsReader { socket };
        return Some(Unix::Listener(Box::new(ListenerConfig { name, driver })));
    }
    if login && socket.user.is_none() {
        socket.user = Some(default(reader, "default_login_user"));
        socket.assumed = Assumed::User;
    } else if !login && socket.group.is_none() {
        socket.group = Some(default(reader, "default_internal_group"));
        socket.assumed = Assumed::Group;
    }
    let input = Section { id, kind: BlockKind::Input };
    let max_connections = reader.count(input, "max_connections");
    let open_events = inputs::open_events(reader, input);
    let line_limit = reader.size(input, "line_limit");
    let driver = InputDriver::StatsWriter { socket, max_connections, open_events };
    Some(Unix::Input(Box::new(InputConfig { name, driver, line_limit })))
}

/// Whether login processes can be in their directory, or it is not known yet. They cannot
/// when Dovecot's own directory is there and theirs is not.
fn has_login(reader: &mut Reader<'_>, base: &Path) -> bool {
    let login = base.join("login");
    if !reader.variables.is_dir(base) || reader.variables.is_dir(&login) {
        return true;
    }
    let message =
        format!("there is no directory {}: login processes can't be heard", login.display());
    let warning = Diagnostic::nowhere(Severity::Warning, message);
    reader.diagnostics.push(warning.help(
        "Dovecot makes it when it starts; `service stats {` with `unix_listener login/stats-writer {` \
         and `mode = 0` says that this is meant",
    ));
    false
}

/// Dovecot's way to offer OpenMetrics: an `inet_listener` of the type `http`.
fn inet_listener(reader: &mut Reader<'_>, id: BlockId) -> Option<ListenerConfig> {
    let section = Section { id, kind: BlockKind::InetListener };
    let block = reader.block(section);
    count_others(reader, section);
    let named = block.name.as_ref().map_or("", Text::as_str).to_owned();
    let kind = reader.text(section, "type").map(|kind| kind.value);
    // Without a type, what stands behind the last `-` of the name is it.
    let kind = kind.as_deref().or_else(|| named.rsplit('-').next());
    if kind != Some("http") {
        left_out(reader, block);
        return None;
    }
    let port = reader.number(section, "port")?;
    if port.value == 0 {
        return None;
    }
    if let Some(ssl) = reader.text(section, "ssl").filter(|ssl| ssl.value != "no") {
        let message = format!("{} is left out: there is no TLS here", block.title());
        reader.diagnostics.push(Diagnostic::warning(ssl.place, message));
        return None;
    }
    let is_on = |setting: &&Setting| {
        section.kind.short_name(setting.key.as_str()) == "haproxy"
            && value::boolean(setting.value.written().as_str()) == Ok(true)
    };
    if let Some(haproxy) = block.settings.iter().rev().find(is_on) {
        let message = format!("{} is left out: no HAProxy is understood here", block.title());
        reader.diagnostics.push(Diagnostic::warning(haproxy.key.place(), message));
        return None;
    }
    let mut hosts = reader.list(section, "listen");
    if hosts.is_empty() {
        let all = reader.variables.dovecot("listen");
        hosts = super::reader::split(&Text::standing_for(&all, port.place));
    }
    // `*` is every address here, those of IPv6 as well.
    if hosts.iter().any(|host| host.value == "*") {
        hosts.retain(|host| host.value != "::");
    }
    let address = |host: Placed<String>| {
        let (host, place) = (host.value, host.place);
        let ipv6 = host.contains(':') && !host.starts_with('[');
        let host = if ipv6 { format!("[{host}]") } else { host };
        Placed::new(format!("{host}:{}", port.value), place)
    };
    let name = Placed::new(named, block.place());
    let addresses = hosts.into_iter().map(address).collect();
    let driver = ListenerDriver::Http { addresses, compat: OpenMetricsCompat::Off };
    Some(ListenerConfig { name, driver })
}

/// Counts what a listener says that only Dovecot's master wants to know.
fn count_others(reader: &mut Reader<'_>, section: Section) {
    for setting in &reader.block(section).settings {
        let key = &setting.key;
        if section.kind.setting(section.kind.short_name(key.as_str())).is_none() {
            reader.ignored.push(Ignored::new(Reason::Process, key.as_str(), key.place()));
        }
    }
}

/// Counts a listener that is for something else.
fn left_out(reader: &mut Reader<'_>, block: &Block) {
    reader.ignored.push(Ignored::new(Reason::Listener, written(block), block.place()));
}
