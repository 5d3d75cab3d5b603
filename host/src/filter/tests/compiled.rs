//! The compiled filters against the ones that are asked one by one.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::filter::{Filter, FilterSet, sample};

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

#[test]
fn a_set_says_how_its_filters_are_found() {
    let check = |texts: &[&str], unnamed: bool, few: usize, expected: &[&str]| {
        let filters = texts.iter().map(|text| Filter::parse(text).unwrap());
        let set = FilterSet::with_few(filters, unnamed, few);
        let found: Vec<_> = set.strategies().iter().map(|(_, how)| how).collect();
        assert_eq!(found, expected, "{texts:?}");
    };
    check(&["a=1"], true, 4, &["asked for every event"]);
    check(&["a=1"], false, 4, &["asked for every named event"]);
    // What a name is needed for is known of every event that is asked about.
    check(&["event=*"], true, 4, &["not asked, because every named event matches"]);
    check(&["event=*"], true, 0, &["not asked, because every named event matches"]);
    check(
        &["event=*", "event=* AND a=1"],
        false,
        0,
        &["not asked, because every named event matches", "found by a field's value"],
    );
    check(&["NOT event=*"], true, 4, &["left out, because they can't match"]);
    // It is not, where unnamed events are of use to another filter.
    check(&["event=*", "a=1"], true, 4, &["asked for every event"]);
    check(
        &["event=*", "a=1"],
        true,
        0,
        &["found by a field's value", "found by a field's presence"],
    );
    check(
        &["a=1 AND a=\"\" OR NOT event=\"\""],
        true,
        0,
        &["not asked, because every event matches"],
    );
    check(&["event=\"\" OR a=x"], true, 0, &["found by a field's value"]);
}
