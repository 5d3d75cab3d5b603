//! Fantail's bundled plugin `json`.
