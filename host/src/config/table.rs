//! The table of the host's own settings.
//!
//! Names, types, defaults, checks, suggestions, the effective configuration
//! and the test of conf.d all come from here. Plugins bring tables of their
//! own, as JSON Schemas: see [`super::schema`].

use BlockKind::{
    Exporter, GroupBy, InetListener, Input, Listener, Method, Metric, Plugin, Top, UnixListener,
};
use Kind::{Choice, Duration, List, Mode, Number, Size, Text};

/// The kinds of blocks that have settings of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// Outside all blocks.
    Top,
    /// `input NAME { }`
    Input,
    /// `event_exporter NAME { }`
    Exporter,
    /// `metric NAME { }`
    Metric,
    /// `group_by FIELD { }` in a metric.
    GroupBy,
    /// `method linear { }` and the like in a group_by.
    Method,
    /// `plugin NAME { }`
    Plugin,
    /// `listener NAME { }`
    Listener,
    /// `unix_listener NAME { }` in Dovecot's `service stats { }`.
    UnixListener,
    /// `inet_listener NAME { }` there.
    InetListener,
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Words parted by blanks or commas; a block of `word = yes` lines, too.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, from the first to the second.
    Number(i64, i64),
    /// A duration in milliseconds, written `250 ms`.
    Duration,
    /// A number of bytes, from the first to the second, written `64k`.
    Size(u64, u64),
    /// A file mode, in octal.
    Mode,
}

/// One setting of the host.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Where it stands.
    pub block: BlockKind,
    /// Its name.
    pub name: &'static str,
    /// Other names that are read; the last one written counts.
    pub aliases: &'static [&'static str],
    /// The type of its value.
    pub kind: Kind,
    /// The default, as it would be written; empty: there is none.
    pub default: &'static str,
    /// The drivers (of an input) or methods (of a group_by) that have it;
    /// empty: all.
    pub only: &'static [&'static str],
    /// What it means.
    pub doc: &'static str,
}

/// The words of `exporter_include`.
pub const INCLUDES: &[&str] = &["name", "hostname", "timestamps", "categories", "fields"];

/// The drivers of inputs.
pub const INPUT_DRIVERS: &[&str] = &["stats-writer", "unix", "tcp", "http", "stdin", "file"];

/// The drivers of listeners.
pub const LISTENER_DRIVERS: &[&str] = &["stats-reader", "http"];

const UNIX: &[&str] = &["stats-writer", "unix"];
const SOCKETS: &[&str] = &["stats-writer", "unix", "tcp", "http"];
const LINES: &[&str] = &["unix", "tcp", "http", "stdin", "file"];
const HTTP: &[&str] = &["http"];

const fn setting(
    block: BlockKind,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { block, name, aliases: &[], kind, default, only: &[], doc }
}

const fn only(setting: Setting, only: &'static [&'static str]) -> Setting {
    Setting { only, ..setting }
}

const fn alias(setting: Setting, aliases: &'static [&'static str]) -> Setting {
    Setting { aliases, ..setting }
}

/// Every setting of the host, in the order in which people want to read them.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting(Top, "hostname", Text, "", "The host name that exported events carry. Without it, the machine's own."),
    setting(Top, "workers", Number(0, 1024), "0", "How many threads read, filter and format events. 0 is one for each core."),
    setting(Top, "plugin_dir", List, "", "Directories to look for plugins in, before `../lib/fantail/plugins` beside the program's directory, and that directory. Of two plugins of one name the first is used."),
    setting(Top, "shutdown_timeout", Duration, "10 s", "How long a stop waits for queued events to be delivered."),
    setting(Top, "log_level", Choice(&["error", "warning", "info", "debug"]), "info", "The least important messages that are logged."),
    setting(Top, "state_dir", Text, "/var/lib/fantail", "The directory for what outlives the host: the spools of queues on disk, and dead letters. Made when it is needed."),
    setting(Top, "unnamed_events", Choice(&["yes", "no"]), "yes", "Whether an event without a name can match a metric that asks for none. A stats process of Dovecot 2.3 never looks at such events, though it is sent them: so in a configuration of Dovecot 2.3 the default is `no`."),
    setting(Top, "base_dir", Text, "/run/dovecot", "Dovecot's setting: where the relative paths of `service stats` listeners begin."),

    setting(Plugin, "sha256", Text, "", "The digest of the plugin's file, in hexadecimal. Another file is refused."),

    setting(Input, "driver", Choice(INPUT_DRIVERS), "", "Where events come from. Required."),
    only(setting(Input, "path", List, "", "The socket's path; for `file` any number of files, with wildcards. Required."), &["stats-writer", "unix", "file"]),
    only(setting(Input, "address", Text, "", "The host and port to listen on: `127.0.0.1:9100`, `[::1]:9100`, `*:9100`. Required."), &["tcp", "http"]),
    only(setting(Input, "mode", Mode, "0660", "The socket's file mode, in octal."), UNIX),
    only(setting(Input, "user", Text, "", "The socket's owner. Without it, the user that the program runs as."), UNIX),
    only(setting(Input, "group", Text, "", "The socket's group. Without it, the group that the program runs as."), UNIX),
    only(setting(Input, "format", Choice(&["auto", "json", "tab-text", "stats-writer"]), "auto", "How events are written. `auto` goes by the first line of each connection or file, or a request's Content-Type; `stats-writer` is for files."), LINES),
    setting(Input, "line_limit", Size(1 << 10, 16 << 20), "128 KiB", "Longer lines are skipped and counted."),
    only(setting(Input, "max_connections", Number(1, 100_000_000), "10000", "How many connections may be open at once. One more is closed at once and counted."), SOCKETS),
    only(setting(Input, "http_path", Text, "/events", "The path that events are posted to."), HTTP),
    only(setting(Input, "http_bearer_token_file", Text, "", "A file with tokens, one a line: only who knows one may send. Without it, anybody may."), HTTP),
    only(setting(Input, "http_request_max_size", Size(1 << 10, 1 << 30), "16 MiB", "The largest body of a request, packed and unpacked."), HTTP),
    only(setting(Input, "http_requests_max_size", Size(1 << 10, 1 << 40), "256 MiB", "How much the requests that are being received, or wait for room, may take together. One more is to come again."), HTTP),
    only(setting(Input, "http_request_timeout", Duration, "30 s", "How long a request may take from its first byte to its last."), HTTP),
    only(setting(Input, "http_idle_timeout", Duration, "1 min", "How long a connection stays open without a request, or with an answer that its peer does not take."), HTTP),
    only(setting(Input, "http_answer_timeout", Duration, "5 s", "How long a request waits until its events are safe. Then it is answered with 503, to come again."), HTTP),
    only(setting(Input, "ssl_server_cert_file", Text, "", "Our certificate and its chain (PEM). With it, TLS is spoken."), HTTP),
    only(setting(Input, "ssl_server_key_file", Text, "", "The certificate's private key (PEM)."), HTTP),
    only(setting(Input, "ssl_server_ca_file", Text, "", "The authorities (PEM) that may have signed the peers' certificates. With it, a peer must have one."), HTTP),
    only(setting(Input, "open_events_max", Number(1, 100_000_000), "10000", "How many events one connection may keep open for later ones to refer to."), &["stats-writer", "file"]),
    only(setting(Input, "open_events_max_size", Size(1 << 10, 1 << 40), "256 MiB", "How much the open events of all the input's connections may take together."), &["stats-writer", "file"]),

    setting(Listener, "driver", Choice(LISTENER_DRIVERS), "", "What is offered to those who read the running host: `stats-reader` is the protocol of `doveadm stats` and `fantail stats`, `http` serves `/metrics`, `/healthz` and `/readyz`. Required."),
    only(setting(Listener, "path", Text, "", "The socket's path. Required."), &["stats-reader"]),
    only(setting(Listener, "mode", Mode, "0600", "The socket's file mode, in octal. Whoever may connect may also reset statistics."), &["stats-reader"]),
    only(setting(Listener, "user", Text, "", "The socket's owner. Without it, the user that the program runs as."), &["stats-reader"]),
    only(setting(Listener, "group", Text, "", "The socket's group. Without it, the group that the program runs as."), &["stats-reader"]),
    only(alias(setting(Listener, "listen", List, "", "The hosts and ports to listen on: `127.0.0.1:9900`, `[::1]:9900`, `*:9900`. Required."), &["address"]), &["http"]),
    only(setting(Listener, "openmetrics_compat", Choice(&["off", "dovecot"]), "off", "How metrics are shown: valid OpenMetrics, or as Dovecot shows them."), &["http"]),

    alias(setting(Exporter, "driver", Text, "log", "The driver plugin: where events go."), &["transport"]),
    setting(Exporter, "format", Text, "", "The format plugin: how events are written. Required."),
    setting(Exporter, "queue", Choice(&["memory", "spill", "durable"]), "memory", "Where events wait for the driver: in memory; in memory and, what does not fit, on disk; or all on disk, where they survive whatever ends the host."),
    setting(Exporter, "queue_max_size", Size(1 << 10, 1 << 40), "32 MiB", "How much may wait in memory."),
    setting(Exporter, "spool_max_size", Size(1 << 20, 1 << 50), "1 GiB", "How much may wait on disk, all of the spool's files together, if `queue` is spill or durable."),
    setting(Exporter, "queue_full", Choice(&["block", "drop_newest", "drop_oldest"]), "block", "What happens to an event that finds the queue full: inputs wait, or it is dropped, or the oldest batch is."),
    setting(Exporter, "batch_max_size", Size(1, 256 << 20), "64 KiB", "A batch of this size is handed to the driver at once."),
    setting(Exporter, "batch_max_events", Number(0, 1_000_000_000), "0", "A batch of so many events is handed to the driver at once. 0 is no limit."),
    setting(Exporter, "batch_timeout", Duration, "0", "How long a batch that is not full waits for more events. 0 hands it over as soon as nothing is left to read."),
    setting(Exporter, "retry_min_pause", Duration, "100 ms", "The pause after a first failure. Each further failure doubles it."),
    setting(Exporter, "retry_max_pause", Duration, "30 s", "The longest pause between two attempts."),
    setting(Exporter, "retry_max_attempts", Number(0, 1_000_000), "0", "How often an event is tried. Attempts at which the other side could not be reached do not count. 0 is no limit."),
    setting(Exporter, "retry_max_age", Duration, "0", "How old an event may be to be tried again. 0 is no limit."),
    setting(Exporter, "breaker_failures", Number(0, 1_000_000), "5", "After so many failures in a row only a few payloads are tried after each pause, until the peer takes some. 0 always sends whole batches."),
    setting(Exporter, "dead_letters", Choice(&["drop", "keep"]), "drop", "What becomes of events that are not tried again: they are dropped, or kept in state_dir, for `fantail dead-letters`."),
    setting(Exporter, "dead_letters_max_size", Size(1 << 20, 1 << 50), "64 MiB", "How much the files of the exporter's dead letters may take. What does not fit is dropped."),

    setting(Metric, "filter", Text, "", "The events that are meant, in the event filter language. Required."),
    setting(Metric, "fields", List, "", "Fields to export and to keep statistics of. Without it, all are exported."),
    setting(Metric, "exporter", Text, "", "The event_exporter that matching events go to. Without it, they are only counted."),
    setting(Metric, "exporter_include", List, "name hostname timestamps categories fields", "The parts of an event that are exported."),
    setting(Metric, "description", Text, "", "Explains the metric to whoever reads its statistics."),
    setting(Metric, "group_by", List, "", "Fields to keep separate statistics by: `FIELD[:METHOD[:ARGUMENTS]]`. The long form is a `group_by FIELD` block."),
    setting(Metric, "group_by_max_series", Number(1, 100_000_000), "10000", "How many sub-metrics the groups may make. What comes later is counted together."),

    only(alias(setting(Method, "modifier", Text, "", "The group's name, made from `%{value}`: `%{value | domain | lower}`."), &["discrete_modifier"]), &["discrete"]),
    only(alias(setting(Method, "min_magnitude", Number(0, 62), "0", "The first bucket ends at base^min_magnitude."), &["exponential_min_magnitude"]), &["exponential"]),
    only(alias(setting(Method, "max_magnitude", Number(0, 62), "", "The last bucket begins behind base^max_magnitude. Required."), &["exponential_max_magnitude"]), &["exponential"]),
    only(alias(setting(Method, "base", Number(2, 10), "10", "2 or 10."), &["exponential_base"]), &["exponential"]),
    only(alias(setting(Method, "min", Number(0, i64::MAX), "0", "The first bucket ends here."), &["linear_min"]), &["linear"]),
    only(alias(setting(Method, "max", Number(0, i64::MAX), "", "The last bucket begins behind this. Required."), &["linear_max"]), &["linear"]),
    only(alias(setting(Method, "step", Number(0, i64::MAX), "", "The width of a bucket. Required."), &["linear_step"]), &["linear"]),

    setting(UnixListener, "path", Text, "", "The socket's path, relative to base_dir. Without it, the listener's name."),
    setting(UnixListener, "type", Text, "", "Dovecot 2.4: `writer` or `reader`. Without it, the name tells."),
    setting(UnixListener, "mode", Mode, "0660", "The socket's file mode. 0 leaves the listener out."),
    setting(UnixListener, "user", Text, "", "The socket's owner."),
    setting(UnixListener, "group", Text, "", "The socket's group."),

    setting(InetListener, "type", Text, "", "Dovecot 2.4: `http`. Without it, the name tells."),
    setting(InetListener, "port", Number(0, 65_535), "0", "The port. 0 leaves the listener out."),
    alias(setting(InetListener, "listen", List, "", "The addresses. Without it, those of the setting `listen` of the top level, which are all by default."), &["address"]),
    setting(InetListener, "ssl", Text, "no", "Must be `no`: there is no TLS here."),
];

impl BlockKind {
    /// The long names' beginnings: `metric_filter` is a metric's `filter`.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Top | Plugin => &[],
            UnixListener => &["unix_listener_"],
            InetListener => &["inet_listener_"],
            Listener => &["listener_"],
            Input => &["input_"],
            Exporter => &["event_exporter_"],
            Metric => &["metric_"],
            GroupBy => &["metric_group_by_", "group_by_"],
            Method => &["metric_group_by_method_", "group_by_method_", "method_"],
        }
    }

    /// Whether long names at the top level are defaults for all blocks of the kind. Dovecot's
    /// listeners have defaults of their own instead.
    pub fn has_defaults(self) -> bool {
        !matches!(self, UnixListener | InetListener)
    }

    /// A setting's short name.
    pub fn short_name(self, name: &str) -> &str {
        self.prefixes().iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
    }

    /// The settings of such a block, in the table's order.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(move |setting| setting.block == self)
    }

    /// One setting of such a block, by its short name or an alias.
    pub fn setting(self, name: &str) -> Option<&'static Setting> {
        self.settings().find(|setting| setting.is_called(name))
    }
}

impl Setting {
    /// Whether this is the setting's short name or one of its aliases.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether a block with this driver or method has the setting.
    pub fn belongs_to(&self, variant: &str) -> bool {
        self.only.is_empty() || self.only.contains(&variant)
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockKind, Kind, SETTINGS};
    use crate::config::value;

    #[test]
    fn the_table_is_consistent() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let name = setting.name;
            assert!(setting.doc.ends_with('.'), "{name}");
            assert!(
                SETTINGS[..index].iter().all(|s| s.block != setting.block || !s.is_called(name)),
                "{name} stands in the table twice"
            );
            if setting.default.is_empty() {
                continue;
            }
            let good = match setting.kind {
                Kind::Text => true,
                Kind::List => value::words(setting.default).len() > 1,
                Kind::Choice(words) => words.contains(&setting.default),
                Kind::Number(min, max) => value::number(setting.default, min, max).is_ok(),
                Kind::Duration => value::duration(setting.default)
                    .is_ok_and(|length| value::print_duration(length) == setting.default),
                Kind::Size(min, max) => value::size(setting.default).is_ok_and(|bytes| {
                    (min..=max).contains(&bytes) && value::print_size(bytes) == setting.default
                }),
                Kind::Mode => value::mode(setting.default).is_ok(),
            };
            assert!(good, "the default of {name}");
        }
    }

    #[test]
    fn long_names_become_short() {
        assert_eq!(BlockKind::Metric.short_name("metric_filter"), "filter");
        assert_eq!(BlockKind::Metric.short_name("metric_group_by"), "group_by");
        assert_eq!(BlockKind::Method.short_name("metric_group_by_method_linear_min"), "linear_min");
        assert_eq!(BlockKind::Exporter.short_name("event_exporter_file_path"), "file_path");
        assert_eq!(BlockKind::Top.short_name("hostname"), "hostname");
    }
}
