//! No line may make the decoder panic, what it takes must be within its buffers, and
//! what was learned of the lines before must not change it.

#![no_main]

use fantail::decode::{LineScratch, json_lines};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut scratch = LineScratch::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        // The second time it follows what was learned the first time.
        for _ in 0..2 {
            let mut fresh = LineScratch::default();
            let decoded = json_lines::decode(line, &mut scratch);
            fantail_fuzz::check_same(&decoded, &json_lines::decode(line, &mut fresh));
            fantail_fuzz::check_line(line, decoded);
        }
    }
});
