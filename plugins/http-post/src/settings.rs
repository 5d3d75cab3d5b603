//! What a configuration can set.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use fantail_sdk::{Bytes, Millis, PluginError};

fantail_sdk::settings! {
    /// How events stand in a request's body.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Batching {
        /// One event a request.
        None,
        /// JSON, a line for each event.
        Ndjson,
        /// One JSON array of all events.
        #[serde(rename = "json-array")]
        JsonArray,
        /// Whatever the format writes, a line for each event.
        Lines,
    }
}

fantail_sdk::settings! {
    /// How bodies are made smaller.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Compression {
        /// Not at all.
        None,
        /// gzip (RFC 1952).
        Gzip,
        /// Zstandard (RFC 8878).
        Zstd,
    }
}

fantail_sdk::settings! {
    /// Where to, in what form, how patiently, as whom and whom to trust.
    pub struct Settings {
        /// The URL to post to, `http://` or `https://`. A user and password in it
        /// (`https://user:password@host/`, percent-encoded) become Basic authentication. No
        /// default.
        #[schemars(extend("x-aliases" = ["event_exporter_http_post_url", "transport_args"]))]
        pub(crate) http_post_url: String,
        /// What one request carries: `none` is one event; `ndjson` is a line of JSON for each
        /// of many, `json-array` one JSON array of them, `lines` a line of whatever the format
        /// writes. Default: none.
        #[serde(default = "batching")]
        pub(crate) http_post_batch: Batching,
        /// The most events of a request, 0 to 1000000. 0 is no limit but that of the exporter's
        /// batches. Default: 1000.
        #[serde(default = "batch_max_events")]
        #[schemars(extend("minimum" = 0, "maximum" = BATCH_EVENTS_MAX))]
        pub(crate) http_post_batch_max_events: u32,
        /// The most bytes of a request's body before it is compressed, 1 to 1 GiB; one event that
        /// is larger goes alone. Default: 1 MiB.
        #[serde(default = "batch_max_size")]
        #[schemars(extend("minimum" = 1, "maximum" = BATCH_SIZE_MAX.0))]
        pub(crate) http_post_batch_max_size: Bytes,
        /// How bodies are compressed: none, gzip or zstd. The server must know it. Default: none.
        #[serde(default = "compression")]
        pub(crate) http_post_compression: Compression,
        /// For another Fantail: requests say what their events are called, so that none is taken
        /// twice, and follow each other, so that they stay in order. Default: no.
        #[serde(default)]
        pub(crate) http_post_relay: bool,
        /// Further headers of every request: `http_post_headers { X-Name = value }`. Their
        /// values are not shown. Default: none.
        #[serde(default)]
        #[schemars(extend("writeOnly" = true))]
        pub(crate) http_post_headers: BTreeMap<String, String>,
        /// The user's name for Basic authentication. Default: empty, for none.
        #[serde(default)]
        pub(crate) http_post_username: String,
        /// The user's password for Basic authentication. Default: empty.
        #[serde(default)]
        #[schemars(extend("writeOnly" = true))]
        pub(crate) http_post_password: String,
        /// A file with that password; it is read again after a change. Default: empty, for none.
        #[serde(default)]
        pub(crate) http_post_password_file: PathBuf,
        /// A file with the token for Bearer authentication; it is read again after a change.
        /// Default: empty, for none.
        #[serde(default)]
        pub(crate) http_post_bearer_token_file: PathBuf,
        /// How long a request may take from its start, connecting included, to the end of
        /// the response, up to 1 h; 0 is 1 h, too. Default: 250 ms.
        #[serde(default = "request_absolute_timeout")]
        #[schemars(extend(
            "minimum" = 0, "maximum" = TIMEOUT_MAX.0,
            "x-aliases" = ["transport_timeout"], "x-global" = true
        ))]
        pub(crate) http_client_request_absolute_timeout: Millis,
        /// How long the server may take to begin its response once it has the request, up to 1 h; 0
        /// is 1 h, too. (The absolute timeout ends it earlier, unless that is longer.) Default: 60 s.
        #[serde(default = "request_timeout")]
        #[schemars(extend("minimum" = 0, "maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_request_timeout: Millis,
        /// How long connecting may take, TLS included, up to 1 h. Default: 0, for as long as the
        /// request may.
        #[serde(default)]
        #[schemars(extend("maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_connect_timeout: Millis,
        /// How long a connection stays open without a request, up to 1 h; 0 closes it at once.
        /// Default: 4 s, less than the 5 s after which common servers close theirs.
        #[serde(default = "max_idle_time")]
        #[schemars(extend("maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_max_idle_time: Millis,
        /// How many requests may be under way at a time, each on its connection, 1 to
        /// 64. Default: 4.
        #[serde(default = "max_parallel_connections")]
        #[schemars(extend("minimum" = 1, "maximum" = CONNECTIONS_MAX, "x-global" = true))]
        pub(crate) http_client_max_parallel_connections: u32,
        /// How often an event is sent at most; then it is given up. A server that could not be
        /// reached does not count. Default: 0, for no limit.
        #[serde(default)]
        #[schemars(extend("minimum" = 0, "maximum" = ATTEMPTS_MAX))]
        pub(crate) http_client_request_max_attempts: u32,
        /// The least pause after the server could not be reached; each further failure doubles
        /// it. Default: 0, for the pauses of the exporter alone.
        #[serde(default)]
        #[schemars(extend("maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_connect_backoff_time: Millis,
        /// The longest pause that `http_client_connect_backoff_time` grows to. Default: 1 min.
        #[serde(default = "connect_backoff_max_time")]
        #[schemars(extend("maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_connect_backoff_max_time: Millis,
        /// The longest pause that a server can ask for by `Retry-After`; a longer one is cut to
        /// this. Up to 1 h. Default: 10 min.
        #[serde(default = "max_auto_retry_delay")]
        #[schemars(extend("maximum" = TIMEOUT_MAX.0, "x-global" = true))]
        pub(crate) http_client_max_auto_retry_delay: Millis,
        /// How many redirects a request follows, 0 to 20: as a POST, with the same body, and to
        /// another server without headers of yours. Default: 0.
        #[serde(default)]
        #[schemars(extend("minimum" = 0, "maximum" = REDIRECTS_MAX, "x-global" = true))]
        pub(crate) http_client_request_max_redirects: u32,
        /// Whether redirects are followed at all. Default: yes.
        #[serde(default = "yes")]
        #[schemars(extend("x-global" = true))]
        pub(crate) http_client_auto_redirect: bool,
        /// The `User-Agent` of requests. Default: empty, for the host's name and version.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) http_client_user_agent: String,
        /// The HTTP proxy to go through, `http://host:port` or `https://host:port`. What is for
        /// https:// servers has a tunnel (CONNECT). Default: empty, for none.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) http_client_proxy_url: String,
        /// The user's name for the proxy. Default: empty, for none.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) http_client_proxy_username: String,
        /// The user's password for the proxy. Default: empty.
        #[serde(default)]
        #[schemars(extend("x-global" = true, "writeOnly" = true))]
        pub(crate) http_client_proxy_password: String,
        /// The certificates (PEM) of the authorities that may have signed the server's.
        /// Default: empty, for the system's.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) ssl_client_ca_file: PathBuf,
        /// Our certificate and its chain (PEM), for servers that ask for one. Default:
        /// empty, for none.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) ssl_client_cert_file: PathBuf,
        /// Our certificate's private key (PEM). Default: empty, for none.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) ssl_client_key_file: PathBuf,
        /// Whether the server's certificate must be valid. `no` lets anybody listen in.
        /// Default: yes.
        #[serde(default = "yes")]
        #[schemars(extend("x-global" = true))]
        pub(crate) ssl_client_require_valid_cert: bool,
    }
}

const TIMEOUT_MAX: Millis = Millis(3_600_000);
const CONNECTIONS_MAX: u32 = 64;
const BATCH_EVENTS_MAX: u32 = 1_000_000;
const BATCH_SIZE_MAX: Bytes = Bytes(1 << 30);
const ATTEMPTS_MAX: u32 = 1_000_000;
const REDIRECTS_MAX: u32 = 20;

fn batching() -> Batching {
    Batching::None
}

fn batch_max_events() -> u32 {
    1000
}

fn batch_max_size() -> Bytes {
    Bytes(1 << 20)
}

fn compression() -> Compression {
    Compression::None
}

fn request_absolute_timeout() -> Millis {
    Millis(250)
}

fn request_timeout() -> Millis {
    Millis(60_000)
}

fn max_idle_time() -> Millis {
    Millis(4_000)
}

fn max_parallel_connections() -> u32 {
    4
}

fn connect_backoff_max_time() -> Millis {
    Millis(60_000)
}

fn max_auto_retry_delay() -> Millis {
    Millis(600_000)
}

/// What is no limit to Dovecot is the longest here: a driver must come back some time.
fn limit(timeout: Millis) -> Duration {
    if timeout.0 == 0 { TIMEOUT_MAX.duration() } else { timeout.duration() }
}

fn yes() -> bool {
    true
}

impl Settings {
    /// Refuses numbers out of range, in case that the schema was not asked.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        let must = |fits: bool, text: &str| {
            if fits { Ok(()) } else { Err(PluginError::new(text)) }
        };
        must(
            self.http_client_request_absolute_timeout <= TIMEOUT_MAX,
            "http_client_request_absolute_timeout must be 0 to 1 h",
        )?;
        must(
            self.http_client_request_timeout <= TIMEOUT_MAX,
            "http_client_request_timeout must be 0 to 1 h",
        )?;
        must(
            (1..=CONNECTIONS_MAX).contains(&self.http_client_max_parallel_connections),
            "http_client_max_parallel_connections must be 1 to 64",
        )?;
        must(
            self.http_client_request_max_redirects <= REDIRECTS_MAX,
            "http_client_request_max_redirects must be 0 to 20",
        )?;
        must(
            (Bytes(1)..=BATCH_SIZE_MAX).contains(&self.http_post_batch_max_size),
            "http_post_batch_max_size must be 1 to 1 GiB",
        )
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        limit(self.http_client_request_absolute_timeout)
    }

    /// How long a response may take to begin.
    pub(crate) fn response_timeout(&self) -> Duration {
        limit(self.http_client_request_timeout)
    }

    /// How many requests may be under way at a time.
    pub(crate) fn connections(&self) -> u32 {
        if self.http_post_relay { 1 } else { self.http_client_max_parallel_connections }
    }

    /// The number of redirects that a request follows.
    pub(crate) fn redirects(&self) -> u32 {
        if self.http_client_auto_redirect { self.http_client_request_max_redirects } else { 0 }
    }
}
