//! From the configuration's inputs to their ways in.

use std::{path::PathBuf, sync::Arc};

use super::{
    build::{Wrong, size},
    reload::Current,
};
use crate::{
    config::{
        InputConfig, Placed,
        settings::{HttpConfig, InputDriver, InputFormat, Socket},
    },
    decode::Protocol,
    event::OpenLimits,
    input::{HttpPlan, Input, InputKind, SecretFiles, Secrets, Source},
    socket::Endpoint,
};

/// An input that can be opened.
#[derive(Clone)]
pub(super) struct BuiltInput {
    /// What it was made from.
    pub(super) config: InputConfig,
    /// What its sessions have in common.
    pub(super) input: Arc<Input>,
    /// Its way in.
    pub(super) entrance: Entrance,
}

/// How an input's events get in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Entrance {
    /// By connections.
    Listen(Endpoint),
    /// By a reader of its own.
    Read(Source),
}

/// Makes an input, or finds it unchanged among those that run.
///
/// # Errors
///
/// What the system has against it.
pub(super) fn build_input(config: &InputConfig, current: &Current) -> Result<BuiltInput, Wrong> {
    let running = current.input(&config.name.value);
    let http = match &config.driver {
        InputDriver::Http(http) => Some(http_plan(http, running)?),
        _ => None,
    };
    // What files say may have changed, too.
    let is_same = |running: &&BuiltInput| {
        let secrets = |plan: &HttpPlan| plan.secrets.clone();
        running.config == *config
            && running.input.http.as_deref().map(secrets) == http.as_ref().map(secrets)
    };
    if let Some(running) = running.filter(is_same) {
        return Ok(running.clone());
    }
    let lines = |format: InputFormat| InputKind::Lines(protocol(format));
    let mut open_limits = OpenLimits::default();
    let mut connections_max = usize::MAX;
    let mut open_bytes_max = usize::MAX;
    let (kind, entrance) = match &config.driver {
        InputDriver::StatsWriter { socket, max_connections, open_events } => {
            connections_max = *max_connections;
            open_limits.events_max = open_events.max;
            open_bytes_max = size(open_events.max_size);
            (InputKind::StatsWriter, Entrance::Listen(endpoint(socket)?))
        }
        InputDriver::Unix { socket, max_connections, format } => {
            connections_max = *max_connections;
            (lines(*format), Entrance::Listen(endpoint(socket)?))
        }
        InputDriver::Tcp { address, max_connections, format } => {
            connections_max = *max_connections;
            (lines(*format), Entrance::Listen(Endpoint::tcp(&address.value)))
        }
        InputDriver::Http(http) => {
            connections_max = http.max_connections;
            (InputKind::Http, Entrance::Listen(Endpoint::tcp(&http.address.value)))
        }
        InputDriver::Stdin { format } => (lines(*format), Entrance::Read(Source::Stdin)),
        InputDriver::File { paths, format, open_events } => {
            open_limits.events_max = open_events.max;
            open_bytes_max = size(open_events.max_size);
            let kind = match format {
                InputFormat::Auto => InputKind::Any,
                InputFormat::StatsWriter => InputKind::StatsWriter,
                InputFormat::Json | InputFormat::TabText => lines(*format),
            };
            (kind, Entrance::Read(Source::Files(files(paths)?)))
        }
    };
    let name = config.name.value.clone();
    let mut input = Input::new(name, kind, size(config.line_limit), open_limits);
    input.connections_max = connections_max;
    input.open_bytes_max = open_bytes_max;
    input.http = http.map(Arc::new);
    if let Some(running) = running {
        input.ledger = Arc::clone(&running.input.ledger);
    }
    Ok(BuiltInput { config: config.clone(), input: Arc::new(input), entrance })
}

/// What the sessions of an `http` input have in common. What was taken is remembered by its
/// successor.
fn http_plan(config: &HttpConfig, running: Option<&BuiltInput>) -> Result<HttpPlan, Wrong> {
    let file = |file: &Option<Placed<PathBuf>>| file.as_ref().map(|file| file.value.clone());
    let files = SecretFiles {
        tokens: file(&config.bearer_token_file),
        certificate: file(&config.cert_file),
        key: file(&config.key_file),
        authorities: file(&config.ca_file),
    };
    let secrets = Secrets::read(&files).map_err(|reason| {
        let named = [
            ("http_bearer_token_file", &config.bearer_token_file),
            ("ssl_server_cert_file", &config.cert_file),
            ("ssl_server_key_file", &config.key_file),
            ("ssl_server_ca_file", &config.ca_file),
        ];
        let place = named.iter().find_map(|(name, file)| {
            file.as_ref().filter(|_| reason.starts_with(name)).map(|file| file.place)
        });
        (place.unwrap_or(config.address.place), reason)
    })?;
    let memory = running.and_then(|running| running.input.http.as_ref());
    Ok(HttpPlan {
        path: config.path.value.clone(),
        protocol: protocol(config.format),
        request_max: size(config.request_max_size),
        requests_max: size(config.requests_max_size),
        request_timeout: config.request_timeout,
        idle_timeout: config.idle_timeout,
        answer_timeout: config.answer_timeout,
        secrets,
        memory: memory.map(|plan| Arc::clone(&plan.memory)).unwrap_or_default(),
    })
}

fn protocol(format: InputFormat) -> Option<Protocol> {
    match format {
        InputFormat::Auto => None,
        InputFormat::Json => Some(Protocol::Json),
        InputFormat::TabText => Some(Protocol::TabText),
        InputFormat::StatsWriter => Some(Protocol::StatsWriter),
    }
}

/// The UNIX socket that is configured.
///
/// # Errors
///
/// When there is no such user or group.
pub(super) fn endpoint(socket: &Socket) -> Result<Endpoint, Wrong> {
    let id = |name: &Option<Placed<String>>, look_up: fn(&str) -> Result<u32, String>| {
        let name = name.as_ref()?;
        Some(look_up(&name.value).map_err(|reason| (name.place, reason)))
    };
    let user = id(&socket.user, user_id).transpose();
    let group = id(&socket.group, group_id).transpose();
    let or_none = |id: Result<Option<u32>, Wrong>, assumed: bool| match id {
        Err((_, reason)) if assumed => {
            log::warn!("{}: {reason}, as Dovecot assumes: left out", socket.path.value.display());
            Ok(None)
        }
        id => id,
    };
    let user = or_none(user, socket.assumed.is_user())?;
    let group = or_none(group, socket.assumed.is_group())?;
    Ok(Endpoint::Unix(socket.path.value.clone(), socket.mode, user, group))
}

fn user_id(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user `{name}`")),
        Err(error) => Err(format!("the user `{name}` can't be looked up: {error}")),
    }
}

fn group_id(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group `{name}`")),
        Err(error) => Err(format!("the group `{name}` can't be looked up: {error}")),
    }
}

/// The files that the paths and patterns name, all together in name order.
fn files(patterns: &[Placed<String>]) -> Result<Vec<PathBuf>, Wrong> {
    let mut paths = Vec::new();
    for Placed { value: pattern, place } in patterns {
        let wrong = |reason: String| (*place, reason);
        let found = glob::glob(pattern).map_err(|error| wrong(format!("`{pattern}`: {error}")))?;
        let before = paths.len();
        for path in found {
            paths.push(path.map_err(|error| wrong(error.to_string()))?);
        }
        if paths.len() == before {
            return Err(wrong(format!("there is no file `{pattern}`")));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}
