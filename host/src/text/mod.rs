//! Leaf encodings, each with its own specification.

pub mod rfc3339;
