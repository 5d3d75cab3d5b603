//! A client that posts to one URL.

use std::{
    io::{self, Read},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use fantail_sdk::{DriverContext, PluginError};
use percent_encoding::percent_decode_str;
use ureq::{
    Agent, Proxy, ProxyProtocol,
    config::Config,
    http::{HeaderValue, Uri, header},
    unversioned::transport::DefaultConnector,
};

use crate::{Settings, names::Names, outcome::Outcome, tls};

/// Where requests go, and the connections there.
pub(crate) struct Client {
    agent: Agent,
    url: Uri,
    timeout: Duration,
    content_type: HeaderValue,
    authorization: Option<HeaderValue>,
}

/// The part of a response's body that is read, so that the connection can be used
/// again; a longer one costs the connection.
const BODY_MAX: u64 = 64 * 1024;

/// How long a connection stays open unused: less than the 5 seconds after which
/// common servers close theirs, so that no request meets a closing connection.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// The bytes a connection reads or writes at a time.
const BUFFER_SIZE: usize = 16 * 1024;

impl Client {
    /// Checks the settings and reads certificates; connects to nothing.
    pub(crate) fn open(settings: &Settings, context: &DriverContext) -> Result<Self, PluginError> {
        let url = parse_url(&settings.http_post_url)?;
        let content_type = match context.content_type.as_str() {
            "" => "application/octet-stream",
            set => set,
        };
        let config = config(settings, context, &url)?;
        Ok(Client {
            agent: Agent::with_parts(config, DefaultConnector::new(), Names::default()),
            timeout: settings.http_client_request_absolute_timeout.duration(),
            content_type: header_value("the format's content type", content_type)?,
            authorization: authorization(&url)?,
            url,
        })
    }

    /// Posts a payload and waits for the response.
    pub(crate) fn post(&self, payload: &[u8]) -> Outcome {
        let mut request =
            self.agent.post(&self.url).header(header::CONTENT_TYPE, &self.content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        match request.send(payload) {
            Ok(response) => {
                let outcome = Outcome::of_response(response.status(), response.headers());
                // The status has said it all: a body that breaks off changes nothing.
                let mut body = response.into_body().into_reader().take(BODY_MAX);
                let _ = io::copy(&mut body, &mut io::sink());
                outcome
            }
            Err(error) => Outcome::of_error(&error, self.timeout),
        }
    }
}

fn config(settings: &Settings, context: &DriverContext, url: &Uri) -> Result<Config, PluginError> {
    let user_agent = match settings.http_client_user_agent.as_str() {
        "" => &context.user_agent,
        set => set,
    };
    header_value("http_client_user_agent", user_agent)?;
    let connections = settings.http_client_max_parallel_connections as usize;
    let proxy = proxy(settings)?;
    let proxy_has_tls =
        proxy.as_ref().is_some_and(|proxy| proxy.protocol() == ProxyProtocol::Https);
    let mut config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(settings.http_client_request_absolute_timeout.duration()))
        .user_agent(user_agent)
        .input_buffer_size(BUFFER_SIZE)
        .output_buffer_size(BUFFER_SIZE)
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        .max_idle_age(IDLE_MAX);
    if proxy_has_tls || url.scheme_str() == Some("https") {
        config = config.tls_config(tls::config(settings)?);
    }
    Ok(config.proxy(proxy).build())
}

fn parse_url(url: &str) -> Result<Uri, PluginError> {
    // The text may hold a password: errors don't repeat it.
    let error = |why: &str| PluginError::new(format!("http_post_url {why}"));
    let url: Uri = url.parse().map_err(|why| error(&format!("is not a URL: {why}")))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(error(&format!("has the scheme {other}, not http or https"))),
        None => return Err(error("does not start with http:// or https://")),
    }
    if url.host().unwrap_or_default().is_empty() {
        return Err(error("names no host"));
    }
    Ok(url)
}

/// Basic authentication (RFC 7617) from the user and password in the URL.
fn authorization(url: &Uri) -> Result<Option<HeaderValue>, PluginError> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let Some((user_and_password, _)) = authority.rsplit_once('@') else { return Ok(None) };
    let (user, password) = user_and_password.split_once(':').unwrap_or((user_and_password, ""));
    let mut credentials: Vec<u8> = percent_decode_str(user).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    let mut value =
        header_value("http_post_url", &format!("Basic {}", BASE64_STANDARD.encode(credentials)))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn proxy(settings: &Settings) -> Result<Option<Proxy>, PluginError> {
    if settings.http_client_proxy_url.is_empty() {
        return Ok(None);
    }
    let error = || PluginError::new("http_client_proxy_url is not the URL of an HTTP proxy");
    let proxy = Proxy::new(&settings.http_client_proxy_url).map_err(|_| error())?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(error());
    }
    if settings.http_client_proxy_username.is_empty() {
        return Ok(Some(proxy));
    }
    Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port())
        .username(&settings.http_client_proxy_username)
        .password(&settings.http_client_proxy_password)
        .build()
        .map(Some)
        .map_err(|_| error())
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, PluginError> {
    HeaderValue::from_str(text)
        .map_err(|_| PluginError::new(format!("{what} can't stand in an HTTP header")))
}
