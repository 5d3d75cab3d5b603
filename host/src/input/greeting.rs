//! What a stats-writer connection is told: our version, and which events are wanted.

use std::sync::Arc;

use fantail_sdk::tab_escape;

use crate::filter::FilterSet;

/// The lines for stats-writer connections, made once for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// What is said first. Nothing is waited for: a Dovecot process stands still
    /// until it has the filter.
    pub first: Arc<[u8]>,
    /// The FILTER line alone, for connections that know our version.
    pub filter: Arc<[u8]>,
}

impl Greeting {
    /// The lines that ask for what these filters match.
    pub fn new(filters: &FilterSet) -> Self {
        let mut filter = b"FILTER\t".to_vec();
        tab_escape::escape_into(filters.canonical().as_bytes(), &mut filter);
        filter.push(b'\n');
        let first = [b"VERSION\tstats-server\t4\t0\n".as_slice(), &filter].concat();
        Greeting { first: first.into(), filter: filter.into() }
    }
}
