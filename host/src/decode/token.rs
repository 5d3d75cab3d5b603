//! The arguments of a line, separated by TABs.

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
}

/// The arguments of one line in order; a line has one at least.
///
/// Arguments are some 8 bytes long, so looking for each TAB anew would cost more
/// than the looking: the TABs of 8 bytes are found together and kept in a mask.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    line: &'a [u8],
    /// Where the next argument starts; beyond the line when there is none.
    start: usize,
    /// Where the 8 bytes start that `tabs` is about.
    block: usize,
    /// The highest bit of each byte that is a TAB and was not reached yet.
    tabs: u64,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Tokens { line, start: 0, block: 0, tabs: tabs_at(line, 0) }
    }

    /// The column of the next argument, or of the line's end.
    pub(super) fn column(&self) -> usize {
        self.start.min(self.line.len())
    }

    fn next_tab(&mut self) -> usize {
        while self.tabs == 0 {
            self.block += 8;
            if self.block >= self.line.len() {
                return self.line.len();
            }
            self.tabs = tabs_at(self.line, self.block);
        }
        let at = self.block + self.tabs.trailing_zeros() as usize / 8;
        self.tabs &= self.tabs - 1;
        at
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    #[inline]
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

/// The highest bit of each byte that is a TAB, among the 8 bytes at `block`.
#[inline]
fn tabs_at(line: &[u8], block: usize) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const TABS: u64 = 0x0909_0909_0909_0909;
    let rest = &line[block..];
    let bytes = match rest.first_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        }
    };
    let differs = u64::from_le_bytes(bytes) ^ TABS;
    // No carry leaves its byte, so the mask is exact.
    !((differs & LOW).wrapping_add(LOW) | differs | LOW)
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};

    #[test]
    fn arguments_are_what_stands_between_tabs() {
        let mut line = Vec::new();
        for step in 0_u32..4096 {
            // Every pattern of TABs, their neighbours and other bytes in 12 places.
            line.clear();
            line.extend(
                (0..12).map(|bit| [b'\t', [8, 10, 0x89, 0][bit % 4]][(step >> bit & 1) as usize]),
            );
            for len in 0..=line.len() {
                let line = &line[..len];
                let mut start = 0;
                let expected = line.split(|&byte| byte == b'\t').map(|bytes| {
                    let token = Token { start, bytes };
                    start = token.end() + 1;
                    token
                });
                assert!(Tokens::new(line).eq(expected), "{line:?}");
            }
        }
    }
}
