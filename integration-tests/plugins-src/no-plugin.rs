//! A shared library that is no plugin at all.

#[unsafe(no_mangle)]
pub extern "C" fn fantail_test_answer() -> u32 {
    42
}
