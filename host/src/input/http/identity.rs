//! The names of a request's payloads, from its headers.
//!
//! `Fantail-Source` is the source that numbered them, 128 bits in hexadecimal; `Fantail-Numbers`
//! are their numbers in it, rising, as ranges: `5-9,12`. Both are there, or none.

use super::{
    ranges::Ranges,
    verdict::Refused,
    window::{Names, RANGES_MAX},
};
use crate::http::{Request, Status};

/// The names that the headers give; `None` when there are no such headers.
pub(super) fn names(request: &Request) -> Result<Option<Names>, Refused> {
    let wrong = |text: &str| Err(Refused::new(Status::BadRequest, "identity", text));
    let mut sources = request.values("fantail-source");
    let mut numbers = request.values("fantail-numbers");
    let (source, numbers) = match (sources.next(), numbers.next(), sources.next(), numbers.next()) {
        (None, None, None, None) => return Ok(None),
        (Some(source), Some(numbers), None, None) => (source, numbers),
        _ => return wrong("expected Fantail-Source and Fantail-Numbers once each, or neither"),
    };
    let is_source = source.len() == 32 && source.iter().all(u8::is_ascii_hexdigit);
    let source = std::str::from_utf8(source).unwrap_or_default();
    let Some(source) = u128::from_str_radix(source, 16).ok().filter(|_| is_source) else {
        return wrong("Fantail-Source: expected 32 hexadecimal digits");
    };
    let numbers = std::str::from_utf8(numbers).unwrap_or_default();
    match Ranges::parse(numbers, RANGES_MAX) {
        Some(numbers) => Ok(Some(Names { source, numbers })),
        None => wrong("Fantail-Numbers: expected rising numbers and ranges, as 5-9,12"),
    }
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::{
        http::{Request, Version},
        input::http::{ranges::Ranges, window::Names},
    };

    #[test]
    fn payloads_have_names() {
        let check = |headers: &[(&str, &str)], expected: Option<Option<Names>>| {
            let headers = headers
                .iter()
                .map(|(name, value)| (format!("fantail-{name}"), value.as_bytes().to_vec()));
            let request = Request {
                method: "POST",
                target: "/".into(),
                version: Version::Http11,
                headers: headers.collect(),
                body: Vec::new(),
                keep_alive: true,
            };
            assert_eq!(names(&request).ok(), expected, "{request:?}");
        };
        let source = "00000000000000000000000000000aFf";
        let numbers = Ranges::parse("5-9,12", 9).unwrap();
        let found = Names { source: 0xaff, numbers };
        check(&[], Some(None));
        check(&[("numbers", "5-9,12"), ("source", source)], Some(Some(found)));
        check(&[("source", source)], None);
        check(&[("numbers", "1")], None);
        check(&[("source", source), ("source", source), ("numbers", "1")], None);
        check(&[("source", "aff"), ("numbers", "1")], None);
        check(&[("source", "+0000000000000000000000000000aff"), ("numbers", "1")], None);
        check(&[("source", source), ("numbers", "2,1")], None);
        check(&[("source", source), ("numbers", "\u{fc}")], None);
    }
}
