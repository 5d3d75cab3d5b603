//! The texts that a configuration was read from, and places within them.

use std::path::{Path, PathBuf};

/// One text of a [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileId(usize);

/// A stretch of bytes of one text: where something was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The text.
    pub file: FileId,
    /// The first byte's offset.
    pub start: usize,
    /// The offset behind the last byte.
    pub end: usize,
}

/// A value and where it was written.
///
/// Only the values are compared: two configurations are equal when they say
/// the same, wherever they say it. A reload relies on this.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it was written; for a default, where its block begins.
    pub place: Place,
}

/// Every text that was read, in the order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    text: String,
    root: usize,
}

// === impl Place ===

impl Place {
    /// The empty place at the beginning of this one.
    pub fn head(self) -> Place {
        Place { end: self.start, ..self }
    }

    /// From the beginning of this place to the end of `other`, which stands
    /// behind it in the same text; otherwise this place.
    pub fn to(self, other: Place) -> Place {
        if self.file == other.file && other.end >= self.start {
            Place { end: other.end, ..self }
        } else {
            self
        }
    }
}

// === impl Placed ===

impl<T> Placed<T> {
    /// `value`, as written at `place`.
    pub fn new(value: T, place: Place) -> Self {
        Placed { value, place }
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

// === impl Sources ===

impl Sources {
    /// Adds a text. `root` tells which of the paths that the caller named led
    /// to it, itself or through includes.
    pub(super) fn add(&mut self, path: PathBuf, text: String, root: usize) -> FileId {
        self.0.push(Source { path, text, root });
        FileId(self.0.len() - 1)
    }

    /// The file's number in the order of reading.
    pub(super) fn order(&self, file: FileId) -> usize {
        file.0
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The file's path, as the caller or an include wrote it.
    pub fn path(&self, file: FileId) -> &Path {
        &self.0[file.0].path
    }

    /// The file's text.
    pub fn text(&self, file: FileId) -> &str {
        &self.0[file.0].text
    }

    /// Which of the caller's paths led to the file.
    pub(super) fn root(&self, file: FileId) -> usize {
        self.0[file.0].root
    }

    /// The line and the column, in characters, of a place's first byte; both
    /// count from 1.
    pub fn line_and_column(&self, place: Place) -> (usize, usize) {
        let before = &self.text(place.file)[..place.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
