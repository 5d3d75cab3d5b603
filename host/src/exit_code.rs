//! What the `fantail` command says by its exit status: the numbers of sysexits(3),
//! and grep's for `fantail filter`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Success,
    /// 1: `filter` found no match.
    NoMatch,
    /// 2: the arguments are wrong.
    Usage,
    /// 2: `filter` could not do its work, or not write what it found.
    FilterError,
    /// 66, EX_NOINPUT: a `file` or `stdin` input could not be read to its end; what
    /// could be read has been delivered.
    NoInput,
    /// 65, EX_DATAERR: the running host refused what it was asked for.
    Refused,
    /// 69, EX_UNAVAILABLE: there is no running host where it was looked for, or it
    /// does not answer.
    Unavailable,
    /// 76, EX_PROTOCOL: what answered is no host that we understand.
    Protocol,
    /// 77, EX_NOPERM: the running host's socket is not for this user.
    Forbidden,
    /// 71, EX_OSERR: the system refused something: a socket, a file, a thread.
    System,
    /// 74, EX_IOERR: standard output could not be written to.
    Output,
    /// 75, EX_TEMPFAIL: the host stopped with events still queued after
    /// `shutdown_timeout`; they are lost, and counted as dropped.
    EventsLost,
    /// 78, EX_CONFIG: the configuration has errors.
    Config,
}

impl Exit {
    /// The number.
    pub const fn status(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::NoMatch => 1,
            Exit::Usage | Exit::FilterError => 2,
            Exit::Refused => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::System => 71,
            Exit::Output => 74,
            Exit::EventsLost => 75,
            Exit::Protocol => 76,
            Exit::Forbidden => 77,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.status())
    }
}
