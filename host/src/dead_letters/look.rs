//! Dead letters as they lie on disk, only to be looked at.

use std::{ffi::OsString, io, path::Path};

use super::{Envelope, Letter};
use crate::spool::{Contents, Directory, Error, Item};

/// Shows `visit` the letters in a directory, the oldest first, until it says false; a host may have
/// the directory open. What is damaged is passed over: how often.
///
/// # Errors
///
/// When the directory can't be read, or a later version of the host has written it.
pub fn letters(directory: &Path, mut visit: impl FnMut(Letter) -> bool) -> Result<u64, Error> {
    let mut contents = Contents::new(Directory::look(directory)?)?;
    let mut damaged = 0;
    while let Some(item) = contents.next()? {
        let kept = match item {
            Item::Payload(kept) if !kept.is_acknowledged => kept,
            Item::Payload(_) => continue,
            Item::Finding(_) => {
                damaged += 1;
                continue;
            }
        };
        let Some(envelope) = Envelope::decode(kept.label) else { continue };
        let id = envelope.id.unwrap_or(kept.sequence);
        let payload = kept.payload.to_vec();
        if !visit(Letter { id, read_at: kept.read_at, envelope, payload }) {
            break;
        }
    }
    Ok(damaged)
}

/// The names of the directories of dead letters, in order: none if there is no such place.
///
/// # Errors
///
/// The system's.
pub fn directories(parent: &Path) -> io::Result<Vec<OsString>> {
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}
