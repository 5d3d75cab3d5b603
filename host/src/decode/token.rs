//! The arguments of a line, separated by TABs.

use fantail_sdk::tab_escape;

use super::side_by_side::{BLOCK, contains, places_of};

/// One argument, still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Where in the line it starts.
    pub start: usize,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Token<'_> {
    /// Where in the line it ends.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.len()
    }

    /// What stands behind its first byte, which there must be.
    #[inline]
    pub(super) fn behind_first(&self) -> Self {
        Token { start: self.start + 1, bytes: &self.bytes[1..] }
    }
}

/// The arguments of one line in order; a line has one at least.
///
/// Arguments are some 8 bytes long, so looking for each TAB anew would cost more
/// than the looking: the TABs of a block are found together and kept as bits.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    line: &'a [u8],
    /// Where the next argument starts; beyond the line when there is none.
    start: usize,
    /// Where the first byte would be that has a bit in `tabs`.
    block: usize,
    /// A bit for each TAB of the block that was not reached yet.
    tabs: u64,
    /// How much of the line was looked at.
    seen: usize,
    escapes: bool,
}

impl<'a> Tokens<'a> {
    #[inline]
    pub(super) fn new(line: &'a [u8]) -> Self {
        let mut tokens = Tokens { line, start: 0, block: 0, tabs: 0, seen: 0, escapes: false };
        tokens.look();
        tokens
    }

    /// The whole line.
    pub(super) fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The column of the next argument, or of the line's end.
    pub(super) fn column(&self) -> usize {
        self.start.min(self.line.len())
    }

    /// Whether there is no argument left.
    #[inline(always)]
    pub(super) fn is_done(&self) -> bool {
        self.start > self.line.len()
    }

    /// Whether there may be an escape in what was read so far.
    #[inline]
    pub(super) fn has_escapes(&self) -> bool {
        self.escapes
    }

    /// What is left of the line; nothing also when there is no argument left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.line.get(self.start..).unwrap_or_default()
    }

    /// Passes over the next argument, which is `len` bytes long without its TAB.
    #[inline(always)]
    pub(super) fn pass(&mut self, len: usize) {
        let start = self.start;
        self.start = self.next_tab() + 1;
        debug_assert_eq!(self.start, start + len + 1, "the argument's length");
    }

    /// Passes over the next argument, whatever it is; there must be one.
    #[inline(always)]
    pub(super) fn pass_any(&mut self) {
        debug_assert!(!self.is_done(), "there is an argument");
        self.start = self.next_tab() + 1;
    }

    #[inline(always)]
    fn next_tab(&mut self) -> usize {
        while self.tabs == 0 {
            if self.seen >= self.line.len() {
                return self.line.len();
            }
            self.look();
        }
        let at = self.block + self.tabs.trailing_zeros() as usize;
        self.tabs &= self.tabs - 1;
        at
    }

    /// Looks at the next block.
    #[inline(always)]
    fn look(&mut self) {
        let (tabs, escapes) = block_at(self.line, self.seen);
        self.block = self.seen;
        self.seen += BLOCK;
        self.tabs = tabs;
        self.escapes |= escapes;
    }
}

/// The bits of the TABs among the 64 bytes at `start`, and whether there may be an escape.
// Not a method, so that whoever goes through the arguments keeps the state in registers.
#[inline(never)]
fn block_at(line: &[u8], start: usize) -> (u64, bool) {
    let rest = &line[start..];
    let places =
        |block, seen: usize| (places_of(b'\t', block) >> seen, contains(tab_escape::ESCAPE, block));
    if let Some(block) = rest.first_chunk::<BLOCK>() {
        return places(block, 0);
    }
    match line.last_chunk::<BLOCK>() {
        // With bytes before the start, which do not count.
        Some(block) => places(block, (BLOCK - rest.len()).min(BLOCK - 1)),
        None => {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            places(&block, 0)
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Token<'a>> {
        let start = self.start;
        if start > self.line.len() {
            return None;
        }
        let end = self.next_tab();
        self.start = end + 1;
        Some(Token { start, bytes: &self.line[start..end] })
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};

    fn check(line: &[u8]) {
        let mut start = 0;
        let expected = line.split(|&byte| byte == b'\t').map(|bytes| {
            let token = Token { start, bytes };
            start = token.end() + 1;
            token
        });
        let mut tokens = Tokens::new(line);
        assert!(tokens.by_ref().eq(expected), "{line:?}");
        assert_eq!(tokens.has_escapes(), line.contains(&1), "{line:?}");
        let mut passing = Tokens::new(line);
        for bytes in line.split(|&byte| byte == b'\t') {
            assert!(passing.rest().starts_with(bytes));
            passing.pass(bytes.len());
        }
        assert_eq!((passing.next(), passing.rest()), (None, &b""[..]));
    }

    #[test]
    fn arguments_are_what_stands_between_tabs() {
        let mut line = Vec::new();
        for step in 0_u32..4096 {
            // Every pattern of TABs, their neighbours and other bytes in 12 places.
            line.clear();
            line.extend(
                (0..12).map(|bit| [b'\t', [8, 10, 0x89, 1][bit % 4]][(step >> bit & 1) as usize]),
            );
            for len in 0..=line.len() {
                check(&line[..len]);
            }
        }
    }

    #[test]
    fn blocks_are_joined() {
        for len in 0..200 {
            for one in 0..len {
                for other in [one, (one + 1) % len, (one + 63) % len, (one + 64) % len] {
                    let mut line = vec![b'x'; len];
                    line[one] = b'\t';
                    line[other] = if one % 7 == 0 { 1 } else { b'\t' };
                    check(&line);
                }
            }
        }
    }
}
