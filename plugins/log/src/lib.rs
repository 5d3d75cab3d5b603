//! Fantail's bundled plugin `log`.
