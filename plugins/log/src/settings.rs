//! What can be set.

use std::path::PathBuf;

fantail_sdk::settings! {
    /// Which log, and how.
    pub struct Settings {
        /// Where lines go: `syslog`, `journal`, `stderr`, or `auto` for the journal if
        /// its socket exists, else syslog if its socket exists, else stderr. Default: auto.
        #[serde(default)]
        pub(crate) log_target: Target,
        /// The socket of the syslog daemon, datagram or stream. Default: /dev/log.
        #[serde(default = "syslog_socket")]
        pub(crate) log_syslog_socket: PathBuf,
        /// The socket of systemd's journal. Default: /run/systemd/journal/socket.
        #[serde(default = "journal_socket")]
        pub(crate) log_journal_socket: PathBuf,
        /// What a record for syslog looks like: `line`, as programs write it since ever (RFC 3164),
        /// or `rfc5424`, with the event's time, host and name, and with fields as structured
        /// data. Default: line.
        #[serde(default)]
        pub(crate) log_format: Format,
        /// The facility: `mail`, `user`, `daemon`, `auth`, `authpriv`, `syslog` or `local0` to
        /// `local7`. Default: mail.
        #[serde(default)]
        pub(crate) log_facility: Facility,
        /// The severity: `debug`, `info`, `notice`, `warning`, `err` or `crit`; or `event` for the
        /// event's own, as far as it has one. Default: info.
        #[serde(default)]
        pub(crate) log_severity: Severity,
        /// The program's name in the log, 1 to 48 printable characters of ASCII without spaces and
        /// without `:` and `[`. Default: fantail.
        #[serde(default = "app_name")]
        pub(crate) log_app_name: String,
        /// What of the event is written beside the payload: names of fields, `event`, `hostname`,
        /// `time`, `start_time`. In the journal each is a field, `FANTAIL_` and the name in
        /// capitals; with `log_format = rfc5424` it is structured data, `[fantail@32473 user="..."]`;
        /// otherwise it is left out. Default: none.
        #[serde(default)]
        pub(crate) log_fields: Vec<String>,
    }
}

fantail_sdk::settings! {
    /// Where lines go.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum Target {
        /// The first of journal, syslog and stderr that exists.
        #[default]
        Auto,
        /// The syslog daemon.
        Syslog,
        /// systemd's journal.
        Journal,
        /// The host's standard error.
        Stderr,
    }
}

fantail_sdk::settings! {
    /// What a record for syslog looks like.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum Format {
        /// As RFC 3164 has it.
        #[default]
        Line,
        /// As RFC 5424 has it.
        Rfc5424,
    }
}

fantail_sdk::settings! {
    /// Syslog's facility.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum Facility {
        /// Programs of users.
        User = 1,
        /// Mail.
        #[default]
        Mail = 2,
        /// Daemons.
        Daemon = 3,
        /// Authentication.
        Auth = 4,
        /// Syslog itself.
        Syslog = 5,
        /// Authentication, not for everybody's eyes.
        Authpriv = 10,
        /// For local use.
        Local0 = 16,
        /// For local use.
        Local1,
        /// For local use.
        Local2,
        /// For local use.
        Local3,
        /// For local use.
        Local4,
        /// For local use.
        Local5,
        /// For local use.
        Local6,
        /// For local use.
        Local7,
    }
}

fantail_sdk::settings! {
    /// Syslog's severity.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum Severity {
        /// 2.
        Crit = 2,
        /// 3.
        Err = 3,
        /// 4.
        Warning = 4,
        /// 5.
        Notice = 5,
        /// 6.
        #[default]
        Info = 6,
        /// 7.
        Debug = 7,
        /// The event's own, or 6.
        Event = 8,
    }
}

fn syslog_socket() -> PathBuf {
    "/dev/log".into()
}

fn journal_socket() -> PathBuf {
    "/run/systemd/journal/socket".into()
}

fn app_name() -> String {
    "fantail".to_owned()
}
