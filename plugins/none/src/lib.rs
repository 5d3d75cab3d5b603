//! Fantail's bundled plugin `none`.
