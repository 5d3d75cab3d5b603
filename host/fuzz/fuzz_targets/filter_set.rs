//! What the compiled filters say of an event is what each filter says alone.

#![no_main]

use fantail::filter::sample;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sample::compare(bytes);
});
