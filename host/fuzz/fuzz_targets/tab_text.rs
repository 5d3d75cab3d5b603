//! No line may make the decoder panic, what it takes must be within its buffers, and
//! what was learned of the lines before must not change it.

#![no_main]

use fantail::decode::tab_text;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fantail_fuzz::check_lines(bytes, tab_text::decode));
