//! What a configuration says that means nothing here.
//!
//! A Dovecot configuration says far more than its stats process wants to know.
//! None of that is an error; one line tells how much of it there is, and
//! `fantail check -v` names each.

use super::diagnostic::counted;
use super::source::Place;

/// Why something is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A setting of other services of Dovecot's.
    Setting,
    /// A block of other services of Dovecot's.
    Block,
    /// A setting of Dovecot's stats process itself, or of its listeners.
    Process,
    /// A setting of Dovecot's HTTP and TLS clients that no plugin takes.
    Client,
    /// A setting of Dovecot 2.3's exporters that the driver does not need.
    Argument,
    /// A listener of the stats process that is none here.
    Listener,
}

/// One thing that is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Why.
    pub reason: Reason,
    /// The setting's name, or the block's first line without its brace.
    pub name: String,
    /// Where it was written.
    pub place: Place,
}

/// The reasons in the order in which they are told, with the words for one, and
/// where such things belong.
const REASONS: &[(Reason, &str, &str)] = &[
    (Reason::Setting, "setting", "of other Dovecot services"),
    (Reason::Block, "block", "of other Dovecot services"),
    (Reason::Process, "setting", "of Dovecot's stats process"),
    (Reason::Client, "setting", "of Dovecot's HTTP and TLS clients"),
    (Reason::Argument, "setting", "that the driver does not need"),
    (Reason::Listener, "listener", "for other protocols"),
];

impl Reason {
    /// The reason as `fantail check -v` tells it.
    pub fn text(self) -> String {
        let found = REASONS.iter().find(|(reason, ..)| *reason == self);
        found.map_or_else(String::new, |(_, noun, whose)| format!("{noun} {whose}"))
    }
}

impl Ignored {
    /// A setting, or a block, at `place`.
    pub(super) fn new(reason: Reason, name: impl Into<String>, place: Place) -> Self {
        Ignored { reason, name: name.into(), place }
    }
}

/// One line about everything that is ignored; `None` when nothing is.
pub(super) fn summary(ignored: &[Ignored]) -> Option<String> {
    let count = |wanted: Reason| ignored.iter().filter(|one| one.reason == wanted).count();
    let mut parts: Vec<String> = Vec::new();
    let mut whose_before = "";
    for (reason, noun, whose) in REASONS {
        let number = count(*reason);
        if number == 0 {
            continue;
        }
        let counted = counted(number, noun);
        match parts.last_mut().filter(|_| whose_before == *whose) {
            // Settings and blocks of the same people are told together.
            Some(last) => {
                let settings = last.strip_suffix(&format!(" {whose}")).unwrap_or(last).to_owned();
                *last = format!("{settings} and {counted} {whose}");
            }
            None => parts.push(format!("{counted} {whose}")),
        }
        whose_before = whose;
    }
    if parts.is_empty() {
        return None;
    }
    let verb = if ignored.len() == 1 { "is" } else { "are" };
    Some(format!("{} {verb} ignored (`fantail check -v` names them)", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{Ignored, Place, REASONS, Reason, summary};

    #[test]
    fn one_line_counts_all_kinds() {
        let check = |reasons: &[(Reason, usize)], expected: Option<&str>| {
            let ignored: Vec<_> = reasons
                .iter()
                .flat_map(|(reason, count)| {
                    let one = Ignored::new(*reason, "x", Place::default());
                    std::iter::repeat_n(one, *count)
                })
                .collect();
            let expected =
                expected.map(|text| format!("{text} ignored (`fantail check -v` names them)"));
            assert_eq!(summary(&ignored), expected);
        };
        check(&[], None);
        check(&[(Reason::Setting, 1)], Some("1 setting of other Dovecot services is"));
        check(
            &[(Reason::Block, 2), (Reason::Setting, 3)],
            Some("3 settings and 2 blocks of other Dovecot services are"),
        );
        check(
            &[(Reason::Block, 1), (Reason::Process, 1), (Reason::Client, 2), (Reason::Listener, 1)],
            Some(
                "1 block of other Dovecot services, 1 setting of Dovecot's stats process, 2 settings \
                 of Dovecot's HTTP and TLS clients, 1 listener for other protocols are",
            ),
        );
        check(&[(Reason::Argument, 2)], Some("2 settings that the driver does not need are"));
    }

    #[test]
    fn every_reason_has_words() {
        for (reason, ..) in REASONS {
            assert!(!reason.text().is_empty());
        }
    }
}
