//! Fantail's bundled plugin `drop`.
