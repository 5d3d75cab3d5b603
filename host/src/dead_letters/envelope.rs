//! What is known of a dead letter besides its payload.

use serde_json::{Value, json};

/// The longest reason that is kept, in bytes.
const DETAIL_MAX: usize = 1024;

/// What is known of a dead letter besides its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Its id, if that is not the number of its record: it was moved.
    pub id: Option<u64>,
    /// The exporter.
    pub exporter: String,
    /// Its driver.
    pub driver: String,
    /// The MIME type of its format's payloads.
    pub content_type: String,
    /// Why it is not tried again: a word.
    pub reason: String,
    /// The same, in the driver's or its peer's words.
    pub detail: String,
    /// When that was: microseconds since 1970.
    pub died_at: u64,
    /// The attempts at which its peer had it.
    pub attempts: u32,
    /// What numbered the payload, and its number there: its name for its peer.
    pub source: u128,
    /// See `source`.
    pub number: u64,
    /// The values of its label.
    pub label_parts: usize,
    /// Its label, as the driver was given it.
    pub label: Vec<u8>,
}

impl Envelope {
    /// As it lies in a record's label.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut json = self.json();
        if let Some(id) = self.id {
            json["id"] = id.into();
        }
        if self.label_parts > 0 {
            json["label_parts"] = self.label_parts.into();
        }
        let mut bytes = json.to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.label);
        bytes
    }

    /// From a record's label; `None` when it is none of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Envelope> {
        let end = memchr::memchr(b'\n', bytes)?;
        let json: Value = serde_json::from_slice(&bytes[..end]).ok()?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| json[name].as_u64();
        Some(Envelope {
            id: number("id"),
            exporter: json["exporter"].as_str()?.to_owned(),
            driver: text("driver"),
            content_type: text("content_type"),
            reason: json["reason"].as_str()?.to_owned(),
            detail: text("detail"),
            died_at: number("died_at").unwrap_or(0),
            attempts: number("attempts").and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            source: u128::from_str_radix(&text("source"), 16).unwrap_or(0),
            number: number("number").unwrap_or(0),
            label_parts: number("label_parts")
                .and_then(|parts| usize::try_from(parts).ok())
                .unwrap_or(0),
            label: bytes[end + 1..].to_vec(),
        })
    }

    /// What people and programs may want to know of it.
    pub fn json(&self) -> Value {
        let mut end = self.detail.len().min(DETAIL_MAX);
        while !self.detail.is_char_boundary(end) {
            end -= 1;
        }
        json!({
            "exporter": self.exporter,
            "driver": self.driver,
            "content_type": self.content_type,
            "reason": self.reason,
            "detail": &self.detail[..end],
            "died_at": self.died_at,
            "attempts": self.attempts,
            "source": format!("{:032x}", self.source),
            "number": self.number,
        })
    }
}
