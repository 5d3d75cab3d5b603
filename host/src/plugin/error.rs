//! Why a file in a plugin directory is not used.

use std::{fmt, io};

/// Why a file was refused. One line each; what `Display` writes stands behind the
/// file's path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The file, or its directory, can't be read.
    Unreadable(io::Error),
    /// The file is neither root's nor the host's user's.
    ForeignOwner(u32),
    /// Others than its owner may write to the file.
    WritableByOthers(u32),
    /// It is not a regular file.
    NotAFile,
    /// Its digest is not the one that the configuration pins (expected, found).
    WrongDigest(String, String),
    /// The system's loader refuses it: not a library, or one for another machine,
    /// or it needs another library that is not there.
    NotLoadable(String),
    /// It is a shared library, but exports no Fantail plugin.
    NotAPlugin,
    /// It was built with an SDK of another major version, or of another
    /// mechanism (found, ours).
    OtherVersion(String, &'static str),
    /// Its tables have another layout than ours (its SDK's version, ours, what differs).
    OtherLayout(String, &'static str, String),
    /// It failed while it was being initialised.
    Failed(String),
    /// Another file has the same name and was found earlier (the name, that file).
    Duplicate(String, String),
    /// What it says of itself makes no sense.
    Malformed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unreadable(error) => write!(f, "can't be read: {error}"),
            Refusal::ForeignOwner(owner) => write!(
                f,
                "belongs to user {owner}; plugins and their directories must belong to root or to \
                 the user that runs the host"
            ),
            Refusal::WritableByOthers(mode) => write!(
                f,
                "may be written by others (mode {mode:04o}); plugins and their directories must be \
                 writable by their owner only: chmod go-w"
            ),
            Refusal::NotAFile => f.write_str("is not a regular file"),
            Refusal::WrongDigest(expected, found) => {
                write!(f, "has the SHA-256 digest {found}, but the configuration pins {expected}")
            }
            Refusal::NotLoadable(reason) => write!(f, "is not a loadable library: {reason}"),
            Refusal::NotAPlugin => {
                f.write_str("is a shared library, but exports no Fantail plugin")
            }
            Refusal::OtherVersion(theirs, ours) => write!(
                f,
                "was built with the incompatible plugin interface {theirs}; this host has {ours}"
            ),
            Refusal::OtherLayout(theirs, ours, difference) => write!(
                f,
                "was built with fantail-sdk {theirs}, whose layout does not fit this host's \
                 {ours}: {difference}"
            ),
            Refusal::Failed(reason) => write!(f, "failed to initialise: {reason}"),
            Refusal::Duplicate(name, other) => {
                write!(f, "is a second plugin named `{name}`; {other} was found first")
            }
            Refusal::Malformed(what) => write!(f, "describes itself wrongly: {what}"),
        }
    }
}

impl std::error::Error for Refusal {}
