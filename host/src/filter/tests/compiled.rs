//! The compiled filters against the ones that are asked one by one.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::filter::sample;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_filters_say_what_each_says_alone(bytes in vec(any::<u8>(), 200..3_000)) {
        sample::compare(&bytes);
    }
}

#[test]
fn the_filters_and_events_of_the_comparison_meet() {
    let (mut asked, mut matched) = (0, 0);
    let mut state = 1_u32;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..2_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let (more_asked, more_matched) = sample::compare(&bytes);
        asked += more_asked;
        matched += more_matched;
    }
    assert!(asked > 5_000 && matched * 10 > asked && matched * 2 < asked, "{matched} of {asked}");
}
