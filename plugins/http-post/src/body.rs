//! Payloads to requests: which go together, and how they stand in a body.

use std::{
    io::{self, Write},
    ops::Range,
};

use fantail_sdk::PluginError;
use flate2::write::GzEncoder;
use zstd::bulk::Compressor;

use crate::settings::{Batching, Compression, Settings};

/// The form of the bodies of one exporter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    batching: Batching,
    compression: Compression,
    events_max: usize,
    bytes_max: usize,
}

/// The memory in which one thread makes its bodies.
#[derive(Default)]
pub(crate) struct Scratch {
    plain: Vec<u8>,
    packed: Vec<u8>,
    zstd: Option<Compressor<'static>>,
}

impl Shape {
    /// The form that the settings ask for, of payloads of this content type.
    ///
    /// # Errors
    ///
    /// When payloads of this type can't stand so.
    pub(crate) fn new(settings: &Settings, content_type: &str) -> Result<Self, PluginError> {
        let batching = settings.http_post_batch;
        let of_json = matches!(batching, Batching::Ndjson | Batching::JsonArray);
        if of_json && !is_json(content_type) {
            let name = if batching == Batching::Ndjson { "ndjson" } else { "json-array" };
            return Err(PluginError::new(format!(
                "http_post_batch = {name} is for JSON, and the format writes {content_type}: use \
                 lines"
            )));
        }
        Ok(Shape {
            batching,
            compression: settings.http_post_compression,
            events_max: match (batching, settings.http_post_batch_max_events as usize) {
                (Batching::None, _) => 1,
                (_, 0) => usize::MAX,
                (_, events) => events,
            },
            bytes_max: usize::try_from(settings.http_post_batch_max_size.0).unwrap_or(usize::MAX),
        })
    }

    /// The bodies' content type, of payloads of this one.
    pub(crate) fn content_type(self, payloads: &str) -> &str {
        match self.batching {
            Batching::Ndjson => "application/x-ndjson",
            Batching::JsonArray => "application/json",
            Batching::None | Batching::Lines => payloads,
        }
    }

    /// The bodies' content encoding, if they have one.
    pub(crate) fn encoding(self) -> Option<&'static str> {
        match self.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// What is wrong with a payload that can't stand in such a body.
    pub(crate) fn flaw(self, payload: &[u8]) -> Option<&'static str> {
        match self.batching {
            Batching::Lines if payload.contains(&b'\n') => {
                Some("an event of several lines does not fit into http_post_batch = lines")
            }
            Batching::JsonArray if payload.is_empty() => {
                Some("an event without a text does not fit into http_post_batch = json-array")
            }
            _ => None,
        }
    }

    /// Which payloads go together: as many as fit, and not more of those from
    /// the one at `index` on than `cap(index)`. A payload with a flaw goes nowhere.
    pub(crate) fn groups(
        self,
        payloads: &[&[u8]],
        cap: impl Fn(usize) -> usize,
    ) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        let (mut bytes, mut most) = (0, 0);
        for (index, payload) in payloads.iter().enumerate() {
            if self.flaw(payload).is_some() {
                continue;
            }
            // With what parts it from the next, or ends the line.
            let length = payload.len() + 1;
            let cap = cap(index).max(1);
            match groups.last_mut() {
                Some(group)
                    if group.end == index
                        && group.len() < most.min(cap)
                        && bytes + length <= self.bytes_max =>
                {
                    group.end += 1;
                    bytes += length;
                    most = most.min(cap);
                }
                _ => {
                    groups.push(index..index + 1);
                    // The brackets of an array.
                    bytes = length + 1;
                    most = self.events_max.min(cap);
                }
            }
        }
        groups
    }

    /// The body of these payloads, of which there is at least one.
    ///
    /// # Errors
    ///
    /// When a compressor fails: there is no memory.
    pub(crate) fn body<'a>(
        self,
        payloads: &[&'a [u8]],
        scratch: &'a mut Scratch,
    ) -> io::Result<&'a [u8]> {
        let Scratch { plain, packed, zstd } = scratch;
        let plain: &[u8] = match (self.batching, payloads) {
            (Batching::None, [payload, ..]) => payload,
            _ => {
                plain.clear();
                self.join(payloads, plain);
                plain
            }
        };
        packed.clear();
        match self.compression {
            Compression::None => return Ok(plain),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(&mut *packed, flate2::Compression::default());
                encoder.write_all(plain)?;
                encoder.finish()?;
            }
            Compression::Zstd => {
                let compressor = match zstd {
                    Some(compressor) => compressor,
                    None => zstd.insert(Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?),
                };
                packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                compressor.compress_to_buffer(plain, packed)?;
            }
        }
        Ok(packed)
    }

    fn join(self, payloads: &[&[u8]], out: &mut Vec<u8>) {
        match self.batching {
            Batching::None | Batching::Lines => {
                for payload in payloads {
                    out.extend_from_slice(payload);
                    out.push(b'\n');
                }
            }
            Batching::Ndjson => {
                for payload in payloads {
                    // Between the tokens of JSON a line's end is a blank, and within
                    // them there is none.
                    let one_line = payload.iter().map(|&byte| match byte {
                        b'\n' | b'\r' => b' ',
                        other => other,
                    });
                    out.extend(one_line);
                    out.push(b'\n');
                }
            }
            Batching::JsonArray => {
                for (index, payload) in payloads.iter().enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    out.extend_from_slice(payload);
                }
                out.push(b']');
            }
        }
    }
}

/// Whether a content type is JSON: `application/json`, or another `+json` of RFC 6839.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(batching: Batching, events_max: usize, bytes_max: usize) -> Shape {
        Shape { batching, compression: Compression::None, events_max, bytes_max }
    }

    #[test]
    fn payloads_that_fit_go_together() {
        let check =
            |batching, events_max, bytes_max, payloads: &[&str], expected: &[(usize, usize)]| {
                let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
                let shape = shape(batching, events_max, bytes_max);
                let groups = shape.groups(&payloads, |_| usize::MAX);
                let found: Vec<_> = groups.iter().map(|group| (group.start, group.end)).collect();
                assert_eq!(found, expected, "{payloads:?}");
                for group in groups.into_iter().filter(|group| group.len() > 1) {
                    let mut scratch = Scratch::default();
                    assert!(shape.body(&payloads[group], &mut scratch).unwrap().len() <= bytes_max);
                }
            };
        let five = ["a", "b", "c", "d", "e"];
        check(Batching::Ndjson, 100, 100, &[], &[]);
        check(Batching::Ndjson, 100, 100, &five, &[(0, 5)]);
        check(Batching::Ndjson, 2, 100, &five, &[(0, 2), (2, 4), (4, 5)]);
        check(Batching::Ndjson, 100, 1, &five[..2], &[(0, 1), (1, 2)]);
        check(Batching::Lines, 100, 100, &["a", "b\n", "c", "d"], &[(0, 1), (2, 4)]);
        check(Batching::Ndjson, 100, 100, &["{\n}", "b"], &[(0, 2)]);
        check(Batching::JsonArray, 100, 100, &["a", "", "c"], &[(0, 1), (2, 3)]);
        check(Batching::JsonArray, 100, 5, &["a", "b", "c"], &[(0, 2), (2, 3)]);
        check(Batching::JsonArray, 100, 5, &["aaaaaaaaa", "b", "c"], &[(0, 1), (1, 3)]);
    }

    #[test]
    fn groups_can_be_capped() {
        let shape = shape(Batching::Ndjson, 100, 100);
        let caps = [usize::MAX, usize::MAX, 2, 2, 1, 0, usize::MAX];
        let groups = shape.groups(&[b"x".as_slice(); 7], |index| caps[index]);
        assert_eq!(groups, [0..2, 2..4, 4..5, 5..6, 6..7]);
    }

    #[test]
    fn bodies_are_what_their_names_say() {
        let check = |batching, payloads: &[&str], expected: &str| {
            let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
            let mut scratch = Scratch::default();
            let body = shape(batching, 100, 100).body(&payloads, &mut scratch).unwrap();
            assert_eq!(body, expected.as_bytes());
        };
        check(Batching::None, &["a\n"], "a\n");
        check(Batching::Lines, &["a\tb", "", "c"], "a\tb\n\nc\n");
        check(Batching::Ndjson, &["{}", "{\r\n\"a\":1}"], "{}\n{  \"a\":1}\n");
        check(Batching::JsonArray, &["{}"], "[{}]");
        check(Batching::JsonArray, &["{}", "1", "[]"], "[{},1,[]]");
    }

    #[test]
    fn json_is_known_by_its_type() {
        for yes in ["application/json", "Application/JSON; charset=utf-8", "application/ecs+json"] {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["text/plain", "application/octet-stream", "application/jsonx", ""] {
            assert!(!is_json(no), "{no}");
        }
    }
}
