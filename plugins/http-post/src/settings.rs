//! What a configuration can set.

use std::path::PathBuf;

use fantail_sdk::{Millis, PluginError};

fantail_sdk::settings! {
    /// Where to, how patiently and whom to trust.
    pub struct Settings {
        /// The URL to post to, `http://` or `https://`. A user and password in it
        /// (`https://user:password@host/`, percent-encoded) become Basic authentication. No
        /// default.
        #[schemars(extend("x-aliases" = ["event_exporter_http_post_url", "transport_args"]))]
        pub(crate) http_post_url: String,
        /// How long a request may take from its start, connecting included, to the end of
        /// the response, 1 ms to 1 h. Default: 250 ms.
        #[serde(default = "request_absolute_timeout")]
        #[schemars(extend(
            "minimum" = 1, "maximum" = TIMEOUT_MAX.0,
            "x-aliases" = ["transport_timeout"], "x-global" = true
        ))]
        pub(crate) http_client_request_absolute_timeout: Millis,
        /// How many requests may be under way at a time, each on its connection, 1 to
        /// 64. Default: 4.
        #[serde(default = "max_parallel_connections")]
        #[schemars(extend("minimum" = 1, "maximum" = CONNECTIONS_MAX, "x-global" = true))]
        pub(crate) http_client_max_parallel_connections: u32,
        /// The `User-Agent` of requests. Default: empty, for the host's name and version.
        #[serde(default)]
        #[schemars(extend("x-global" = true))]
        pub(crate) http_client_user_agent: String,
        /// The HTTP proxy to connect through by CONNECT, `http://host:port` or
        /// `https://host:port`. Default: empty, for none.
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
        #[serde(default = "require_valid_cert")]
        #[schemars(extend("x-global" = true))]
        pub(crate) ssl_client_require_valid_cert: bool,
    }
}

const TIMEOUT_MIN: Millis = Millis(1);
const TIMEOUT_MAX: Millis = Millis(3_600_000);
const CONNECTIONS_MAX: u32 = 64;

fn request_absolute_timeout() -> Millis {
    Millis(250)
}

fn max_parallel_connections() -> u32 {
    4
}

fn require_valid_cert() -> bool {
    true
}

impl Settings {
    /// Refuses numbers out of range, in case that the schema was not asked.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        let timeout = self.http_client_request_absolute_timeout;
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
            let text = "http_client_request_absolute_timeout must be 1 ms to 1 h";
            return Err(PluginError::new(text));
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.http_client_max_parallel_connections) {
            let text = "http_client_max_parallel_connections must be 1 to 64";
            return Err(PluginError::new(text));
        }
        Ok(())
    }
}
