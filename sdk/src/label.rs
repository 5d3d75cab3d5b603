//! What a driver may know of an event besides its payload.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part of an event that a driver asks for, to know where a payload belongs.
///
/// A driver names its parts by [`Driver::wants`](crate::Driver::wants); each
/// payload then comes with their values, in that order, as
/// [`Batch::label`](crate::Batch::label). What an event does not have is empty. The values are of the
/// event itself, whatever its exporter leaves out of the payload; of a long one the first 1024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelPart {
    /// The value of the field of this name: a number in decimal digits, a point in time as a
    /// [`Timestamp`](crate::Timestamp) is displayed, a list's elements joined by commas.
    Field(String),
    /// The event's name.
    Event,
    /// The name of the machine where it happened.
    Hostname,
    /// When it began, in microseconds since 1970-01-01T00:00:00Z.
    StartTime,
    /// When it ended, in microseconds since then. The ends of one exporter's events
    /// are not always in order.
    EndTime,
    /// The severity as Dovecot's number, 0 (debug) to 5 (panic).
    LogType,
    /// What this version does not know. Always empty.
    Unknown,
}

/// The parts as they cross the boundary.
pub(crate) fn to_json(parts: &[LabelPart]) -> String {
    serde_json::json!(parts).to_string()
}

/// The way back. A part that is not known keeps its place, so that the others do.
pub(crate) fn from_json(text: &str) -> Vec<LabelPart> {
    let parts: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let part = |part| serde_json::from_value(part).unwrap_or(LabelPart::Unknown);
    parts.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::{from_json, to_json, LabelPart};

    #[test]
    fn parts_cross_as_json() {
        let parts = [
            LabelPart::Field("user".to_owned()),
            LabelPart::Event,
            LabelPart::Hostname,
            LabelPart::StartTime,
            LabelPart::EndTime,
            LabelPart::LogType,
        ];
        let text = to_json(&parts);
        assert_eq!(
            text,
            r#"[{"field":"user"},"event","hostname","start_time","end_time","log_type"]"#
        );
        assert_eq!(from_json(&text), parts);
        assert_eq!(to_json(&[]), "[]");
    }

    #[test]
    fn what_a_later_version_asks_for_keeps_its_place() {
        let parts = from_json(r#"["event",{"later":["x"]},"also_later",{"field":"a"}]"#);
        let unknown = LabelPart::Unknown;
        let field = LabelPart::Field("a".to_owned());
        assert_eq!(parts, [LabelPart::Event, unknown.clone(), unknown, field]);
        assert_eq!(from_json(""), []);
    }
}
