//! What comes in as `json` goes out as `json`, byte for byte.

#![allow(clippy::panic, reason = "a test")]

mod relay;

use std::cell::RefCell;

use fantail::decode::json_lines::decode;
use fantail_json::Json;
use fantail_sdk::abi::format_table;
use proptest::{prelude::ProptestConfig, proptest};
use relay::{Relay, events};

#[test]
fn lines_of_dovecot_come_out_as_they_went_in() {
    Relay::new(decode, format_table::<Json>).check_cases("json");
}

#[test]
fn every_event_comes_out_as_it_went_in() {
    let relay = RefCell::new(Relay::new(decode, format_table::<Json>));
    proptest!(ProptestConfig::with_cases(2000), |(event in events())| {
        relay.borrow_mut().check(&event);
    });
}
