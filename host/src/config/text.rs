//! Text that remembers where each of its bytes was written.
//!
//! A value may be joined from several lines, lose its quotes and backslashes,
//! and take in the values of variables. An error inside such a value is still
//! shown at the right place of the right file.

use std::ops::Range;

use super::source::Place;

/// A piece of configuration text with the places of its bytes.
#[derive(Clone, Debug)]
pub struct Text {
    text: String,
    chunks: Vec<Chunk>,
    /// Where the text begins; the place of an empty text.
    anchor: Place,
}

/// The bytes of a [`Text`] from `at` to the next chunk.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    at: usize,
    place: Place,
    /// Whether the bytes at `place` are these bytes, one for one. If not, all
    /// of them stand for the whole place.
    verbatim: bool,
}

impl Text {
    /// An empty text that stands at `anchor`.
    pub(super) fn new(anchor: Place) -> Self {
        Text { text: String::new(), chunks: Vec::new(), anchor }
    }

    /// `text`, all of which stands for `place`.
    pub(super) fn standing_for(text: &str, place: Place) -> Self {
        let mut new = Text::new(place);
        new.push_standing_for(text, place);
        new
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the whole text was written.
    pub fn place(&self) -> Place {
        self.place_of(0..self.text.len())
    }

    /// Where a part of the text was written.
    ///
    /// A range beyond the text's end is cut, and one that ends within a
    /// character is extended.
    pub fn place_of(&self, range: Range<usize>) -> Place {
        let mut start = range.start.min(self.text.len());
        let mut end = range.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let Some(first) = self.chunk_at(start) else { return self.anchor };
        let from = if first.verbatim {
            Place { start: first.place.start + (start - first.at), ..first.place }
        } else {
            first.place
        };
        if start == end {
            return if first.verbatim { from.head() } else { from };
        }
        match self.chunk_at(end - 1) {
            Some(last) if last.verbatim => {
                from.to(Place { end: last.place.start + (end - last.at), ..last.place })
            }
            Some(last) => from.to(last.place),
            None => from,
        }
    }

    /// Appends bytes that stand in the source exactly so, at `place`.
    pub(super) fn push_verbatim(&mut self, text: &str, place: Place) {
        if !text.is_empty() {
            self.chunks.push(Chunk { at: self.text.len(), place, verbatim: true });
            self.text.push_str(text);
        }
    }

    /// Appends bytes all of which stand for `place`.
    pub(super) fn push_standing_for(&mut self, text: &str, place: Place) {
        if !text.is_empty() {
            self.chunks.push(Chunk { at: self.text.len(), place, verbatim: false });
            self.text.push_str(text);
        }
    }

    /// Appends a part of `other` with its places.
    pub(super) fn push_part(&mut self, other: &Text, range: Range<usize>) {
        let shift = self.text.len();
        for (index, chunk) in other.chunks.iter().enumerate() {
            let chunk_end = other.chunks.get(index + 1).map_or(other.text.len(), |next| next.at);
            let start = chunk.at.max(range.start);
            if start >= chunk_end.min(range.end) {
                continue;
            }
            let mut place = chunk.place;
            if chunk.verbatim {
                place.start += start - chunk.at;
            }
            self.chunks.push(Chunk { at: shift + start - range.start, place, ..*chunk });
        }
        self.text.push_str(&other.text[range]);
    }

    /// A part of the text. The range lies on character boundaries.
    pub(super) fn part(&self, range: Range<usize>) -> Text {
        let mut part = Text::new(self.place_of(range.start..range.start));
        part.push_part(self, range);
        part
    }

    fn chunk_at(&self, at: usize) -> Option<Chunk> {
        let behind = self.chunks.partition_point(|chunk| chunk.at <= at);
        self.chunks.get(behind.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Text};

    #[test]
    fn parts_keep_their_places() {
        let place = |start, end| Place { start, end, ..Place::default() };
        let mut text = Text::new(place(0, 0));
        text.push_verbatim("one", place(10, 13));
        text.push_standing_for(" ", place(13, 13));
        text.push_verbatim("zw\u{f6}", place(20, 24));
        text.push_standing_for("value", place(30, 35));
        let check = |range: std::ops::Range<usize>, start, end| {
            assert_eq!(text.place_of(range), place(start, end));
        };
        check(0..3, 10, 13);
        check(1..2, 11, 12);
        check(1..5, 11, 21);
        check(4..4, 20, 20);
        check(4..8, 20, 24);
        // Half a character is a whole one.
        check(6..7, 22, 24);
        check(9..10, 30, 35);
        check(5..10, 21, 35);
        check(99..200, 30, 35);
        let part = text.part(2..9);
        assert_eq!(part.as_str(), "e zw\u{f6}v");
        assert_eq!(part.place(), place(12, 35));
        assert_eq!(part.place_of(2..3), place(20, 21));
        assert_eq!(Text::new(place(5, 5)).place_of(0..9), place(5, 5));
    }
}
