//! A connection to a running host, for the commands that read one.

use std::{
    fmt,
    io::{self, BufRead, BufReader, IsTerminal, Write, stderr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use fantail_sdk::tab_escape;

use super::console::{errln, write_err};
use crate::{
    config::{self, Surroundings},
    exit_code::Exit,
};

/// Where a host is looked for unless told otherwise.
const SOCKET: &str = "/run/fantail/stats-reader";

/// How long the host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const HELP: &str = "\
Exit status: 0 if the host did what was asked, 65 if it refused, 69 if there is none, 76
if what answers is none, 77 if the socket is not for this user.";

/// Which host.
#[derive(Debug, Args)]
pub(super) struct ReaderArgs {
    /// The socket of a listener with `driver = stats-reader`, this host's or Dovecot's.
    /// Without it, the one of the configuration; without that, /run/fantail/stats-reader.
    #[arg(short = 's', long = "socket-path", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The host's configuration: a file, or a directory whose *.conf files are read in
    /// name order. Can be given several times.
    #[arg(short = 'c', long = "config", value_name = "FILE", conflicts_with = "socket")]
    config: Vec<PathBuf>,
}

/// A host that has told its version.
pub(super) struct Host {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// Why there is no answer; how the command ends, and what to say before.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into() }
    }

    /// Says it, and how the command ends.
    pub(super) fn show(self) -> Exit {
        if !self.message.is_empty() {
            errln!("error: {}", self.message);
        }
        self.exit
    }
}

impl ReaderArgs {
    /// The host's `state_dir`, if a configuration was given.
    pub(super) fn state_dir(&self) -> Result<Option<PathBuf>, Failure> {
        if self.config.is_empty() {
            return Ok(None);
        }
        let (state_dir, diagnostics) =
            config::parse(&self.config, Surroundings::MACHINE).state_dir();
        if state_dir.is_none() {
            write_err(format_args!("{}", diagnostics.render(stderr().is_terminal())));
            return Err(Failure::new(Exit::Config, ""));
        }
        Ok(state_dir)
    }

    /// Connects to the host.
    pub(super) fn connect(&self) -> Result<Host, Failure> {
        let path = match (&self.socket, self.config.is_empty()) {
            (Some(path), _) => path.clone(),
            (None, true) => SOCKET.into(),
            (None, false) => configured(&self.config)?,
        };
        let stream = UnixStream::connect(&path).map_err(|error| unreachable(&path, &error))?;
        let ready = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let mut host = Host { stream: BufReader::new(stream), path };
        ready.map_err(|error| host.lost(&error))?;
        host.say(&[b"VERSION", b"stats-reader-client", b"2", b"0"])?;
        let version = host.line()?;
        match version.split(|byte| *byte == b'\t').collect::<Vec<_>>().as_slice() {
            [b"VERSION", b"stats-reader-server", b"2", _] => Ok(host),
            _ => {
                let said = String::from_utf8_lossy(&version);
                let said: String = said.chars().take(80).flat_map(char::escape_debug).collect();
                Err(Failure::new(
                    Exit::Protocol,
                    format!("{} is no stats-reader of version 2: it says `{said}`", host.shown()),
                ))
            }
        }
    }
}

/// The first socket for readers in a configuration.
fn configured(paths: &[PathBuf]) -> Result<PathBuf, Failure> {
    let (sockets, diagnostics) = config::parse(paths, Surroundings::MACHINE).reader_sockets();
    if let Some(path) = sockets.into_iter().next() {
        return Ok(path);
    }
    if diagnostics.has_errors() {
        write_err(format_args!("{}", diagnostics.render(stderr().is_terminal())));
        return Err(Failure::new(Exit::Config, ""));
    }
    let message = "the configuration has no `listener NAME {` with `driver = stats-reader`, so a \
                   host that runs with it can't be read";
    Err(Failure::new(Exit::Config, message))
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    let (exit, message) = match error.kind() {
        io::ErrorKind::NotFound => (
            Exit::Unavailable,
            format!(
                "there is no socket {path}: does a host run, with a `listener` whose `driver` is \
                 `stats-reader` and whose `path` is this?"
            ),
        ),
        io::ErrorKind::ConnectionRefused => (
            Exit::Unavailable,
            format!("nobody listens on {path}: the host has ended, or it is none of its sockets"),
        ),
        io::ErrorKind::PermissionDenied => (
            Exit::Forbidden,
            format!("{path} is not for you: the listener's `mode`, `user` and `group` say whose"),
        ),
        _ => (Exit::Unavailable, format!("can't connect to {path}: {error}")),
    };
    Failure::new(exit, message)
}

impl Host {
    /// Sends a line of arguments.
    pub(super) fn say(&mut self, arguments: &[&[u8]]) -> Result<(), Failure> {
        let mut line = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                line.push(b'\t');
            }
            tab_escape::escape_into(argument, &mut line);
        }
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        sent.map_err(|error| self.lost(&error))
    }

    /// The next line of the answer, without its end.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        read.map_err(|error| self.lost(&error))?;
        if line.pop() != Some(b'\n') {
            let message = format!("{} closed the connection without an answer", self.shown());
            return Err(Failure::new(Exit::Unavailable, message));
        }
        Ok(line)
    }

    /// The error that a line says, if it begins with `-`: each of its lines.
    pub(super) fn refusal(line: &[u8]) -> Option<Failure> {
        let mut reason = Vec::new();
        tab_escape::unescape_into(line.strip_prefix(b"-")?, &mut reason);
        let reason = String::from_utf8_lossy(&reason).into_owned();
        Some(Failure::new(Exit::Refused, format!("the host says: {reason}")))
    }

    /// Sends an order and waits until it is done.
    pub(super) fn order(&mut self, arguments: &[&[u8]]) -> Result<(), Failure> {
        self.say(arguments)?;
        let line = self.line()?;
        match line.as_slice() {
            b"+" => Ok(()),
            line => Err(Host::refusal(line).unwrap_or_else(|| self.strange(line))),
        }
    }

    /// An answer that nobody expects.
    pub(super) fn strange(&self, line: &[u8]) -> Failure {
        let line = String::from_utf8_lossy(line);
        let line: String = line.chars().take(80).flat_map(char::escape_debug).collect();
        let message = format!("{} gave an unexpected answer: `{line}`", self.shown());
        Failure::new(Exit::Protocol, message)
    }

    fn lost(&self, error: &io::Error) -> Failure {
        let path = self.shown();
        let message = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{path} did not answer within {} s", PATIENCE.as_secs())
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                format!("{path} closed the connection without an answer")
            }
            _ => format!("{path}: {error}"),
        };
        Failure::new(Exit::Unavailable, message)
    }

    fn shown(&self) -> impl fmt::Display {
        self.path.display()
    }
}
