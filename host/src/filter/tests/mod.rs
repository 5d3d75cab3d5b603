//! Tests of the filter language as a whole.

mod cases;
mod language;
mod properties;
mod warnings;
