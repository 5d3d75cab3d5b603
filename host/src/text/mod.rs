//! Leaf encodings, each with its own specification.

pub mod tab_escape;
