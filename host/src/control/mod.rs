//! The stats-reader protocol, version 2.0: how `doveadm stats` and `fantail stats` talk to
//! a running host.
//!
//! Lines of arguments parted by TAB, with Dovecot's TAB escapes. Both sides begin with
//! a `VERSION` line. Then the client asks:
//!
//! | line | answer |
//! | --- | --- |
//! | `DUMP`, names of statistics | a line for each series: see [`dump`](crate::statistics::dump); then an empty line |
//! | `DUMP-RESET`, the same | the same; afterwards everything counts from 0 |
//! | `METRICS-ADD`, [seven arguments](crate::config::added::ARGUMENTS) | `+`: what matches this metric is counted, and exported, as well; it outlives a reload |
//! | `METRICS-REMOVE`, a name | `+`: there is no metric of this name; one of the configuration comes back with the next reload |
//! | `REOPEN` | `+`: each exporter opens its files and connections anew before its next batch |
//! | `RELOAD` | `+`: the configuration as it is now has been taken over; ours, not Dovecot's |
//! | `DEAD-LETTERS`, `REPLAY` or `DROP`, an exporter, ids | `+` and a number: so many of its dead letters are to be sent again, or are dropped; without ids all. Ours, not Dovecot's |
//! | `STATUS` | the ledger, as one line of JSON; ours, not Dovecot's |
//!
//! What can't be done is answered with a line that begins with `-` and has no TAB. A [`Session`] is the
//! server's side of one connection; it does no IO.

mod letters;
mod session;
mod status;

pub use letters::{LetterAction, LetterOrder};
pub use session::Session;
