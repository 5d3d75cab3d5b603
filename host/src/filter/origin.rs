//! Where in its text each part of a filter stands, for messages only: two
//! filters that mean the same may come from different texts.

use std::ops::Range;

use super::ast::TestId;
use super::literal::Taken;

/// What a filter's text says beyond what the filter means.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub(super) tests: Vec<TestOrigin>,
    /// The ANDs and ORs that join a result of the other one, without parentheses.
    pub(super) mixed: Vec<Range<usize>>,
    /// The quote at the end that never ends.
    pub(super) unclosed: Option<Range<usize>>,
    /// The length of the text.
    pub(super) len: usize,
}

/// Where a test stands in the filter's text, in bytes.
#[derive(Clone, Debug)]
pub struct TestOrigin {
    /// Its key, quotes included.
    pub key: Range<usize>,
    /// Its value, quotes included.
    pub value: Range<usize>,
    /// What the value was taken for, when that may have been meant as text.
    pub taken: Option<Taken>,
}

impl Origin {
    /// Where the test stands.
    pub fn test(&self, id: TestId) -> &TestOrigin {
        &self.tests[id.index()]
    }
}

impl TestOrigin {
    /// The whole test: key, operator and value.
    pub fn span(&self) -> Range<usize> {
        self.key.start..self.value.end
    }
}
