//! A client that posts to one URL.

use std::{
    io::{self, Read},
    time::Duration,
};

use fantail_sdk::{DriverContext, PluginError};
use ureq::{
    Agent, Proxy, ProxyProtocol,
    config::Config,
    http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header},
    unversioned::transport::{Connector, DefaultConnector, TcpConnector},
};

use crate::{
    Settings,
    body::Shape,
    forward::{self, WholeUrls},
    headers,
    names::Names as Addresses,
    outcome::{Outcome, Waits},
    reach::{self, Watched},
    redirect,
    secrets::{self, Authorization},
    tls,
};

/// Where requests go, what they say besides their bodies, and the connections there.
pub(crate) struct Client {
    agent: Agent,
    url: Uri,
    headers: HeaderMap,
    authorization: Authorization,
    redirects_max: u32,
    /// What is told a proxy to which whole URLs are sent; `None` for one that makes
    /// tunnels, and for none.
    forward: Option<Forward>,
    waits: Waits,
}

/// What numbered a request's events, and their numbers, if the server is told.
pub(crate) type Names = Option<(String, String)>;

/// How plain HTTP goes through a proxy.
struct Forward {
    authorization: Option<HeaderValue>,
}

/// The part of a response's body that is read, so that the connection can be used
/// again; a longer one costs the connection.
const BODY_MAX: u64 = 64 * 1024;

/// The part of it that may become part of a reason.
const BODY_KEPT: u64 = 1024;

/// The bytes a connection reads or writes at a time.
const BUFFER_SIZE: usize = 16 * 1024;

impl Client {
    /// Checks the settings and reads certificates and secrets; connects to nothing.
    pub(crate) fn open(
        settings: &Settings,
        context: &DriverContext,
        shape: Shape,
    ) -> Result<Self, PluginError> {
        let url = parse_url(&settings.http_post_url)?;
        let proxy = proxy(settings)?;
        let forwards = |proxy: &&Proxy| {
            proxy.protocol() == ProxyProtocol::Http && url.scheme_str() == Some("http")
        };
        let forward_to = proxy.as_ref().filter(forwards);
        let tunnel = proxy.clone().filter(|_| forward_to.is_none());
        let config = config(settings, context, &url, tunnel)?;
        let agent = match forward_to {
            Some(proxy) => {
                let connector = ().chain(TcpConnector::default()).chain(WholeUrls::to(&url));
                let connector = Watched(connector);
                Agent::with_parts(config, connector, Addresses::of_proxy(forward::address(proxy)))
            }
            None => {
                Agent::with_parts(config, Watched(DefaultConnector::new()), Addresses::default())
            }
        };
        let forward = forward_to.map(forward_of).transpose()?;
        let authorization = Authorization::open(settings, &url)?;
        let is_authorized = authorization.value().is_some();
        Ok(Client {
            agent,
            forward,
            headers: headers::headers(settings, context, shape, is_authorized)?,
            authorization,
            redirects_max: settings.redirects(),
            waits: Waits {
                request: settings.request_timeout(),
                response: settings.response_timeout(),
                connect: settings.http_client_connect_timeout.duration(),
                retry_after_max: settings.http_client_max_auto_retry_delay.duration(),
            },
            url,
        })
    }

    /// Posts a body and waits for the response; once more if the server does not
    /// believe us and we have something new to say.
    /// `names` are further headers.
    pub(crate) fn post(&self, body: &[u8], names: &Names) -> Outcome {
        let told = self.authorization.value();
        match self.follow(told.as_ref(), body, names) {
            Ok(response)
                if response.status() == StatusCode::UNAUTHORIZED
                    && self.authorization.renew(told.as_ref()) =>
            {
                drained(response);
                self.follow(self.authorization.value().as_ref(), body, names)
            }
            other => other,
        }
        .map_or_else(
            |error| Outcome::of_error(&error, reach::is_connecting(), &self.waits),
            |response| {
                let (status, headers) = (response.status(), response.headers().clone());
                let words = drained(response);
                Outcome::of_response(status, &headers, &words, &self.waits)
            },
        )
    }

    /// Posts a body there, or where the server says instead.
    fn follow(
        &self,
        authorization: Option<&HeaderValue>,
        body: &[u8],
        names: &Names,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut response = self.request(&self.url, true, authorization, body, names)?;
        let mut url = self.url.clone();
        for _ in 0..self.redirects_max {
            let Some(next) = redirect::target(&url, &response) else { break };
            if self.forward.is_some() && !redirect::same_server(&self.url, &next) {
                // It takes another way, past the proxy or through a tunnel.
                break;
            }
            drained(response);
            let is_ours = redirect::same_server(&self.url, &next);
            let authorization = authorization.filter(|_| is_ours);
            response = self.request(&next, is_ours, authorization, body, names)?;
            url = next;
        }
        Ok(response)
    }

    /// The one place where requests are made. What the configuration tells `ours` is
    /// nobody else's business.
    fn request(
        &self,
        url: &Uri,
        ours: bool,
        authorization: Option<&HeaderValue>,
        body: &[u8],
        names: &Names,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        reach::begin();
        let mut request = self.agent.post(url);
        for (name, value) in self.headers.iter().filter(|(_, value)| ours || !value.is_sensitive())
        {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some((source, numbers)) = names {
            request = request.header(headers::SOURCE, source).header(headers::NUMBERS, numbers);
        }
        let forward = self.forward.as_ref();
        if let Some(authorization) = forward.and_then(|forward| forward.authorization.as_ref()) {
            request = request.header(header::PROXY_AUTHORIZATION, authorization);
        }
        request.send(body)
    }
}

/// Reads a response to its end, if that is near, for its connection to be used again.
/// Returns its beginning.
fn drained(response: Response<ureq::Body>) -> Vec<u8> {
    // The status has said it all: a body that breaks off changes nothing.
    let mut words = Vec::new();
    let mut body = response.into_body().into_reader().take(BODY_MAX);
    if body.by_ref().take(BODY_KEPT).read_to_end(&mut words).is_ok() {
        let _ = io::copy(&mut body, &mut io::sink());
    }
    words
}

fn config(
    settings: &Settings,
    context: &DriverContext,
    url: &Uri,
    proxy: Option<Proxy>,
) -> Result<Config, PluginError> {
    let user_agent = match settings.http_client_user_agent.as_str() {
        "" => &context.user_agent,
        set => set,
    };
    headers::value("http_client_user_agent", user_agent)?;
    let idle_max = settings.http_client_max_idle_time.duration();
    let connections = match idle_max {
        Duration::ZERO => 0,
        _ => settings.connections() as usize,
    };
    let set = |length: Duration| (!length.is_zero()).then_some(length);
    let proxy_has_tls =
        proxy.as_ref().is_some_and(|proxy| proxy.protocol() == ProxyProtocol::Https);
    let mut config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(settings.request_timeout()))
        .timeout_recv_response(Some(settings.response_timeout()))
        .timeout_connect(set(settings.http_client_connect_timeout.duration()))
        .user_agent(user_agent)
        .input_buffer_size(BUFFER_SIZE)
        .output_buffer_size(BUFFER_SIZE)
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        .max_idle_age(idle_max);
    // A redirect may lead from one to the other.
    if proxy_has_tls || url.scheme_str() == Some("https") || settings.redirects() > 0 {
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

fn forward_of(proxy: &Proxy) -> Result<Forward, PluginError> {
    let (user, password) = (proxy.username(), proxy.password().unwrap_or_default());
    let authorization = user.map(|user| {
        secrets::basic("http_client_proxy_password", user.as_bytes(), password.as_bytes())
    });
    Ok(Forward { authorization: authorization.transpose()? })
}
