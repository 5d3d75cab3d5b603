//! Fantail's bundled plugin `unix`.
