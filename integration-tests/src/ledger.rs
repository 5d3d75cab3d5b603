//! The ledger, as a host writes it to its log when it ends.

use std::collections::BTreeMap;

/// Counts by reason.
pub type Counts = BTreeMap<String, u64>;

/// `input NAME: received 5 = decoded 3 + rejected 2 (syntax 2); 3 events`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputLedger {
    /// Lines that arrived.
    pub received: u64,
    /// Lines that were understood.
    pub decoded: u64,
    /// Lines that were not, by reason.
    pub rejected: Counts,
    /// Events among the decoded ones.
    pub events: u64,
}

/// `exporter NAME: matched 5 = delivered 3 + dropped 2 (refused 2) + queued 0`; where there are any,
/// ` + replayed 2` behind what matched, ` + dead letters 1 (refused 1)` behind what was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterLedger {
    /// Payloads that metrics asked for.
    pub matched: u64,
    /// Payloads that an earlier run had left on disk.
    pub recovered: u64,
    /// Dead letters that were sent again.
    pub replayed: u64,
    /// Payloads that arrived.
    pub delivered: u64,
    /// Payloads that never will, by reason.
    pub dropped: Counts,
    /// Payloads that became dead letters, by reason.
    pub dead_letters: Counts,
    /// Payloads that are still under way.
    pub queued: u64,
}

impl InputLedger {
    /// Finds an input's line and requires that it balances.
    #[track_caller]
    pub fn find(log: &[String], name: &str) -> Self {
        let text = line(log, &format!("input {name}: received "));
        let (received, rest) = text.split_once(" = decoded ").expect(text);
        let (decoded, rest) = rest.split_once(" + rejected ").expect(text);
        let (rejected, events) = rest.split_once("; ").expect(text);
        let ledger = InputLedger {
            received: number(received),
            decoded: number(decoded),
            rejected: counts(rejected),
            events: number(events.strip_suffix(" events").expect(text)),
        };
        let sum = ledger.decoded + ledger.rejected.values().sum::<u64>();
        assert_eq!(ledger.received, sum, "{text}");
        ledger
    }
}

impl ExporterLedger {
    /// Finds an exporter's line and requires that it balances.
    #[track_caller]
    pub fn find(log: &[String], name: &str) -> Self {
        let text = line(log, &format!("exporter {name}: matched "));
        let (matched, rest) = text.split_once(" = delivered ").expect(text);
        let (matched, replayed) = matched.split_once(" + replayed ").unwrap_or((matched, "0"));
        let (matched, recovered) = matched.split_once(" + recovered ").unwrap_or((matched, "0"));
        let (delivered, rest) = rest.split_once(" + dropped ").expect(text);
        let (dropped, queued) = rest.split_once(" + queued ").expect(text);
        let (dropped, dead) = dropped.split_once(" + dead letters ").unwrap_or((dropped, "0"));
        let ledger = ExporterLedger {
            matched: number(matched),
            recovered: number(recovered),
            replayed: number(replayed),
            delivered: number(delivered),
            dropped: counts(dropped),
            dead_letters: counts(dead),
            queued: number(queued),
        };
        let sum = ledger.delivered + ledger.dropped.values().sum::<u64>() + ledger.queued;
        let dead = ledger.dead_letters.values().sum::<u64>();
        let came = ledger.matched + ledger.recovered + ledger.replayed;
        assert_eq!(came, sum + dead, "{text}");
        ledger
    }

    /// So many payloads dropped for this reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.dropped.get(reason).copied().unwrap_or(0)
    }
}

/// What stands behind `start` in the last line that has it.
#[track_caller]
fn line<'a>(log: &'a [String], start: &str) -> &'a str {
    let found = log.iter().rev().find_map(|line| Some(line.split_once(start)?.1));
    found.unwrap_or_else(|| panic!("no line `{start}...` in the log:\n{}", log.join("\n")))
}

#[track_caller]
fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// Reads `2 (syntax 1, utf8 1)`; requires that the parts make the sum.
#[track_caller]
fn counts(text: &str) -> Counts {
    let (sum, parts) = match text.split_once(" (") {
        Some((sum, parts)) => (number(sum), parts.strip_suffix(')').expect(text)),
        None => (number(text), ""),
    };
    let parts = parts.split(", ").filter(|part| !part.is_empty()).map(|part| {
        let (reason, count) = part.rsplit_once(' ').expect(text);
        (reason.to_owned(), number(count))
    });
    let counts = Counts::from_iter(parts);
    assert_eq!(counts.values().sum::<u64>(), sum, "{text}");
    counts
}
