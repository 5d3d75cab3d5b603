//! Why a spool can't be opened.

use std::{fmt, io, path::Path};

/// Why a spool can't be opened, in a sentence.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process has it open.
    InUse,
    /// A later version of the host has written it.
    Newer,
    /// It belongs to somebody else, or others may change it.
    NotOurs,
    /// The maximum size is below [`MAX_SIZE_LEAST`](super::MAX_SIZE_LEAST).
    TooSmall,
    /// The system says that it is not allowed.
    Denied,
    /// Another error of the system's.
    Io,
}

impl Error {
    /// The kind of reason.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Io,
        };
        Error { kind, message: format!("{}: {error}", path.display()) }
    }

    /// The same of a file in this directory.
    pub(super) fn within(self, directory: &Path) -> Error {
        let message = format!("the spool {}: {}", directory.display(), self.message);
        Error { message, ..self }
    }

    pub(super) fn file(name: &str, error: &io::Error) -> Error {
        Error::io(Path::new(name), error)
    }

    pub(super) fn in_use(path: &Path, holder: Option<u32>) -> Error {
        let holder = match holder {
            // After a reload there can be two of one name for a while.
            Some(process) if process == std::process::id() => {
                "by an exporter of this host that has been changed or removed, until it has delivered \
                 what it has"
                    .to_owned()
            }
            Some(process) => format!("by process {process}"),
            None => "by another process (`fuser` says which)".to_owned(),
        };
        let message = format!("the spool {} is in use {holder}", path.display());
        Error { kind: ErrorKind::InUse, message }
    }

    pub(super) fn newer(name: &str, version: u32, ours: u32) -> Error {
        let message = format!(
            "{name} is in version {version} of the spool's format, and this host knows versions \
             up to {ours}: a later fantail has written it, and can read it"
        );
        Error { kind: ErrorKind::Newer, message }
    }

    pub(super) fn not_ours(path: &Path, why: String) -> Error {
        let message = format!(
            "the spool {} is refused since {why}: it must belong to the user that the host runs \
             as, and be writable by nobody else",
            path.display()
        );
        Error { kind: ErrorKind::NotOurs, message }
    }

    pub(super) fn too_small(size: u64, least: u64) -> Error {
        let message = format!("a spool of {size} bytes is too small: at least {least} are needed");
        Error { kind: ErrorKind::TooSmall, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
