//! Where a format writes its payload.

use crate::{abi::RawBuffer, Prefix, Tail, BLOCK};

/// A growing run of bytes that one payload is appended to.
///
/// It also is a [`std::io::Write`] that never fails, for `write!` and for serializers.
pub struct Buffer<'a> {
    raw: &'a mut RawBuffer,
    start: usize,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(raw: &'a mut RawBuffer) -> Self {
        let start = raw.len();
        Buffer { raw, start }
    }

    /// The payload's end, for a format that appends many small pieces.
    #[inline(always)]
    pub fn tail(&mut self) -> Tail<'_> {
        self.raw.tail(self.start)
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.raw.push(byte);
    }

    /// Makes room for at least `additional` more bytes.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.raw.reserve(additional);
    }

    /// The number of bytes that this payload has so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.len() - self.start
    }

    /// Whether the payload has no byte yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.raw.as_slice()[self.start..]
    }

    /// Takes bytes away from the payload's end until `len` are left.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.raw.truncate(self.start.saturating_add(len));
    }
}

impl<'a> Prefix<'a, BLOCK> {
    /// A short text, which `block` begins with, unless one of its bytes is special; none either
    /// if it has more than [`BLOCK`] bytes, or there is no block. `special` has a bit for each byte
    /// of a block, the lowest for the first.
    ///
    /// No decision depends on the text's length, for which most texts are too different:
    /// what is looked at is a block.
    #[inline(always)]
    pub fn plain(
        text: &[u8],
        block: Option<&'a [u8; BLOCK]>,
        special: impl Fn(&[u8; BLOCK]) -> u32,
    ) -> Option<Self> {
        let (Some(block), len @ 0..=BLOCK) = (block, text.len()) else { return None };
        let own = ((1_u64 << len) - 1) as u32;
        (special(block) & own == 0).then(|| Prefix::new(block, len))
    }
}

impl Tail<'_> {
    /// Appends `text`, and in the place of each special byte the first bytes that `replace` has for
    /// it, and says how many bytes of `text` were taken: all, or those before the first special
    /// byte for which it has nothing. `block` and `special` are those of [`Prefix::plain`]; a
    /// byte that is special by them may still be replaced by itself.
    #[inline(always)]
    pub fn put_replacing(
        &mut self,
        text: &[u8],
        block: Option<&[u8; BLOCK]>,
        special: impl Fn(&[u8; BLOCK]) -> u32,
        replace: impl Fn(u8) -> Option<([u8; 8], usize)>,
    ) -> usize {
        let mut taken = 0;
        while taken < text.len() {
            let rest = &text[taken..];
            let first = &rest[..rest.len().min(BLOCK)];
            // Twice as long, so that a block can be read from every place of the first half.
            let mut window = [0; 2 * BLOCK];
            match rest.first_chunk().or(block.filter(|_| taken == 0)) {
                Some(block) => window[..BLOCK].copy_from_slice(block),
                None => window[..first.len()].copy_from_slice(first),
            }
            // What stands behind the text may be special, too.
            let mut places = special(block_at(&window, 0));
            let mut run = 0;
            while let Some(&byte) = first.get(places.trailing_zeros() as usize) {
                let place = places.trailing_zeros() as usize;
                places &= places - 1;
                self.put(Prefix::new(block_at(&window, run), place - run));
                let Some((replacement, len)) = replace(byte) else { return taken + place };
                self.put(Prefix::new(&replacement, len));
                run = place + 1;
            }
            self.put(Prefix::new(block_at(&window, run), first.len() - run));
            taken += first.len();
        }
        taken
    }

    /// Appends `text` if `is_plain` says so of every block of it; otherwise nothing is
    /// appended, and it is for the caller to write `text` another way. True when it was
    /// appended.
    ///
    /// Made for texts that hardly ever need escapes: the bytes are read once, sixteen at a
    /// time. All of them come in some block. A block is made of bytes of `text` only; where it is
    /// not full, some of them stand in it twice. Of an empty text there is none.
    #[inline(always)]
    pub fn extend_if(&mut self, text: &[u8], is_plain: impl Fn([u8; 16]) -> bool) -> bool {
        let before = self.len();
        // Copies of lengths that the compiler knows, and as few decisions as there can be: a
        // wrong guess of the processor costs more than copying some bytes twice.
        let passed = if let Some(last) = text.last_chunk::<16>() {
            let mut rest = text;
            loop {
                let Some((chunk, more)) = rest.split_first_chunk::<16>() else {
                    // The first bytes of the last block are there already.
                    self.truncate(self.len() + rest.len() - 16);
                    self.put(last);
                    break is_plain(*last);
                };
                if !is_plain(*chunk) {
                    break false;
                }
                self.put(chunk);
                rest = more;
            }
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            self.put((Prefix::new(&first.to_le_bytes(), text.len() - 8), &last.to_le_bytes()));
            is_plain(twice(first, last))
        } else {
            let word = match (text.first_chunk(), text.last_chunk()) {
                (Some(first), Some(last)) => {
                    let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
                    u64::from(first) | u64::from(last) << (8 * (text.len() - 4))
                }
                _ if text.is_empty() => return true,
                _ => {
                    let at = |index: usize| u64::from(text[index]) << (8 * index);
                    at(0) | at(text.len() / 2) | at(text.len() - 1)
                }
            };
            self.put(Prefix::new(&word.to_le_bytes(), text.len()));
            // The first byte in the place of those that are not there.
            let filling = (word & 0xff) * (EVERY << (8 * text.len()));
            is_plain(twice(word | filling, word | filling))
        };
        if !passed {
            self.truncate(before);
        }
        passed
    }
}

/// The block at a place of the first half.
#[inline(always)]
fn block_at(window: &[u8; 2 * BLOCK], place: usize) -> &[u8; BLOCK] {
    window[place..].first_chunk().expect("invariant: the window is twice as long as a block")
}

impl std::io::Write for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A word with 1 in each byte.
const EVERY: u64 = 0x0101_0101_0101_0101;

#[inline]
fn twice(one: u64, other: u64) -> [u8; 16] {
    (u128::from(one) | u128::from(other) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Prefix, BLOCK};
    use crate::abi::lend_buffer;

    /// A bit for each special byte, the lowest for the first.
    fn places(block: &[u8; BLOCK], is_special: impl Fn(u8) -> bool) -> u32 {
        block.iter().enumerate().map(|(at, &byte)| u32::from(is_special(byte)) << at).sum()
    }

    /// Every length, and every place of one special byte, also behind the text.
    #[test]
    fn a_short_text_is_plain_unless_it_is_special() {
        let special = |block: &[u8; BLOCK]| places(block, |byte| byte == b'!');
        let mut bytes = Vec::new();
        lend_buffer(&mut bytes, |raw| {
            let mut out = Buffer::new(raw);
            for len in 0..=BLOCK {
                for at in 0..=BLOCK {
                    let mut block = [b'.'; BLOCK];
                    if let Some(byte) = block.get_mut(at) {
                        *byte = b'!';
                    }
                    let text = &block[..len];
                    let prefix = Prefix::plain(text, Some(&block), special);
                    assert_eq!(prefix.is_some(), at >= len, "{text:?}");
                    if let Some(prefix) = prefix {
                        out.tail().put(prefix);
                        assert_eq!(out.as_slice(), text);
                    }
                    out.truncate(0);
                }
            }
            let long = [b'.'; BLOCK + 1];
            assert!(Prefix::plain(&long, long.first_chunk(), special).is_none());
            assert!(Prefix::plain(b"", None, special).is_none());
        });
    }

    /// Texts of every length with any special bytes, alone and with others behind them.
    #[test]
    fn special_bytes_are_replaced_until_one_can_not_be() {
        let is_special = |byte: u8| matches!(byte, b'"' | b'-' | b'!');
        let special = |block: &[u8; BLOCK]| places(block, is_special);
        let replace = |byte: u8| match byte {
            b'"' => Some((*b"\\quote; ", 7)),
            b'-' => Some((*b"-       ", 1)),
            _ => None,
        };
        let mut state = 1_u64;
        let mut bytes = Vec::new();
        lend_buffer(&mut bytes, |raw| {
            let mut out = Buffer::new(raw);
            for round in 0..20_000 {
                let (len, ordinary) = (round % 100, round % 7);
                let rest: [u8; 200] = std::array::from_fn(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let number = (state >> 33) as usize % (100 + 10 * ordinary);
                    *b"!\"\"\"--".get(number).unwrap_or(&b'x')
                });
                let text = &rest[..len];
                let (mut expected, mut replaceable) = (Vec::new(), 0);
                for &byte in text {
                    match replace(byte) {
                        Some((replacement, len)) => expected.extend(&replacement[..len]),
                        None if is_special(byte) => break,
                        None => expected.push(byte),
                    }
                    replaceable += 1;
                }
                let block = rest.first_chunk().filter(|_| round % 2 == 0);
                let taken = out.tail().put_replacing(text, block, special, replace);
                assert_eq!((taken, out.as_slice()), (replaceable, &expected[..]), "{text:?}");
                out.truncate(0);
            }
        });
    }

    /// Every length and every place of one byte that is not plain.
    #[test]
    fn texts_are_appended_whole_or_not_at_all() {
        let mut bytes = b"before".to_vec();
        lend_buffer(&mut bytes, |raw| {
            let mut out = Buffer::new(raw);
            for len in 0..70_usize {
                let mut text: Vec<u8> = (0..len).map(|at| b'0' + at as u8).collect();
                let is_plain = |block: [u8; 16]| !block.contains(&b'!');
                assert!(out.tail().extend_if(&text, is_plain), "{text:?}");
                assert_eq!(out.as_slice(), text);
                for at in 0..len {
                    let byte = std::mem::replace(&mut text[at], b'!');
                    assert!(!out.tail().extend_if(&text, is_plain), "{text:?}");
                    assert_eq!(out.len(), len);
                    text[at] = byte;
                }
                out.truncate(0);
            }
        });
        assert_eq!(bytes, b"before");
    }
}
