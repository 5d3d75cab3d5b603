//! Fantail's bundled plugin `http-post`.
