//! No line may make the decoder panic, and what it takes must be within its buffers.

#![no_main]

use fantail::decode::{LineScratch, json_lines};

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let mut scratch = LineScratch::default();
    fantail_fuzz::check_line(line, json_lines::decode(line, &mut scratch));
});
