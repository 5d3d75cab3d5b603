//! Any bytes either are a filter, whose canonical text is an equal one, or an
//! error at a place within them.

#![no_main]

use fantail::filter::{ErrorKind, Filter, warnings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let filter = match Filter::parse(bytes) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(bytes.get(error.span()).is_some(), "{error:?}");
            return;
        }
    };
    for warning in warnings(&filter) {
        assert!(bytes.get(warning.span.clone()).is_some(), "{warning:?}");
    }
    let canonical = filter.canonical();
    match Filter::parse(&canonical) {
        Ok(again) => {
            assert_eq!(again, filter);
            assert_eq!(again.canonical(), canonical);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooDeep, "{canonical}: {error}"),
    }
});
