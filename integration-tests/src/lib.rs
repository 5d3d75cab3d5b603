//! Fantail driven from outside, as its users and its peers do.

pub mod format_cases;
