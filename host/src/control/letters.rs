//! `DEAD-LETTERS`: what a reader may have done with dead letters.

use crate::dead_letters::Wanted;

/// What is to be done with which letters of which exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterOrder {
    /// What is to be done.
    pub what: LetterAction,
    /// The exporter.
    pub exporter: String,
    /// The letters.
    pub letters: Wanted,
}

/// What is to be done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterAction {
    /// They are sent again.
    Replay,
    /// They are dropped.
    Drop,
}

/// Reads the arguments: what, an exporter, and ids; without any, all are meant.
///
/// # Errors
///
/// What is wrong with them.
pub(super) fn parse(arguments: &[&[u8]]) -> Result<LetterOrder, String> {
    let (what, exporter, ids) = match arguments {
        [b"REPLAY", exporter, ids @ ..] => (LetterAction::Replay, exporter, ids),
        [b"DROP", exporter, ids @ ..] => (LetterAction::Drop, exporter, ids),
        _ => {
            return Err(
                "DEAD-LETTERS takes REPLAY or DROP, an exporter, and ids unless all are meant"
                    .into(),
            );
        }
    };
    let id = |id: &&[u8]| {
        let number = std::str::from_utf8(id).ok().and_then(|text| text.parse::<u64>().ok());
        number.ok_or_else(|| format!("`{}` is no number of a dead letter", id.escape_ascii()))
    };
    let letters = match ids {
        [] => Wanted::All,
        ids => Wanted::Ids(ids.iter().map(id).collect::<Result<_, _>>()?),
    };
    let exporter = String::from_utf8_lossy(exporter).into_owned();
    Ok(LetterOrder { what, exporter, letters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood_or_refused() {
        let check = |line: &str, expected: Result<(LetterAction, &str, Wanted), &str>| {
            let arguments: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b'\t').collect();
            let expected = expected.map_err(str::to_owned);
            let expected = expected.map(|(what, exporter, letters)| LetterOrder {
                what,
                exporter: exporter.to_owned(),
                letters,
            });
            assert_eq!(parse(&arguments), expected, "{line}");
        };
        let usage = "DEAD-LETTERS takes REPLAY or DROP, an exporter, and ids unless all are meant";
        check("REPLAY\tout", Ok((LetterAction::Replay, "out", Wanted::All)));
        let some = Wanted::Ids([7, 9].into());
        check("DROP\ta b\t9\t7", Ok((LetterAction::Drop, "a b", some)));
        check("DROP", Err(usage));
        check("", Err(usage));
        check("LIST\tout", Err(usage));
        check("DROP\tout\t-1", Err("`-1` is no number of a dead letter"));
        check("DROP\tout\t1\t", Err("`` is no number of a dead letter"));
    }
}
