//! What comes in as `tab-text` goes out as `tab-text`, byte for byte.

#![allow(clippy::panic, reason = "a test")]

mod relay;

use std::cell::RefCell;

use fantail::decode::tab_text::decode;
use fantail_sdk::abi::format_table;
use fantail_tab_text::TabText;
use proptest::{prelude::ProptestConfig, proptest};
use relay::{Relay, events};

#[test]
fn lines_of_dovecot_come_out_as_they_went_in() {
    Relay::new(decode, format_table::<TabText>).check_cases("tab-text");
}

#[test]
fn every_event_comes_out_as_it_went_in() {
    let relay = RefCell::new(Relay::new(decode, format_table::<TabText>));
    proptest!(ProptestConfig::with_cases(2000), |(event in events())| {
        relay.borrow_mut().check(&event);
    });
}
