//! Fantail's bundled plugin `file`.
