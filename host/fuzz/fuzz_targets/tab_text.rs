//! No line may make the decoder panic, and what it takes must be within its buffers.

#![no_main]

use fantail::decode::{LineScratch, tab_text};

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let mut scratch = LineScratch::default();
    fantail_fuzz::check_line(line, tab_text::decode(line, &mut scratch));
});
