//! Fantail's bundled plugin `tab-text`.
