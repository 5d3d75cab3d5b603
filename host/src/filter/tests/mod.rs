//! Tests of the filter language as a whole.

mod cases;
mod compiled;
mod language;
mod properties;
mod warnings;
