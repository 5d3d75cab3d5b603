//! IP addresses in the text that Dovecot writes them in.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How an address came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In its canonical text: it can be used as it is.
    Canonical,
    /// In another form; the canonical text was appended.
    Other,
}

/// Appends the canonical text of the address that is all of `text`, unless
/// `text` is that already; `None` when it is no address, and nothing is
/// appended then.
///
/// As in Dovecot, numbers of an IPv4 address may have leading zeros, an IPv6
/// address may stand in brackets and may have a scope (`fe80::1%eth0`), which is
/// kept as it is: whether this host has such an interface does not matter.
pub(super) fn canonical(text: &[u8], out: &mut Vec<u8>) -> Option<Form> {
    if let Some((address, form)) = ipv4(text) {
        if form == Form::Other {
            write_to(out, format_args!("{address}"));
        }
        return Some(form);
    }
    let inner = match text {
        [b'[', inner @ .., b']'] => inner,
        _ => text,
    };
    let (address, scope) = match memchr::memchr(b'%', inner) {
        Some(at) => (&inner[..at], &inner[at..]),
        None => (inner, &b""[..]),
    };
    if scope == b"%" || !scope.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
    let start = out.len();
    match compatible_ipv4(address) {
        Some(ipv4) => write_to(out, format_args!("::{ipv4}")),
        None => write_to(out, format_args!("{address}")),
    }
    out.extend_from_slice(scope);
    if &out[start..] != text {
        return Some(Form::Other);
    }
    out.truncate(start);
    Some(Form::Canonical)
}

fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: a vector takes every byte");
}

fn ipv4(text: &[u8]) -> Option<(Ipv4Addr, Form)> {
    let mut octets = [0_u8; 4];
    let mut form = Form::Canonical;
    let mut at = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let first = at;
        let mut number = 0_u32;
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            number = number * 10 + u32::from(digit - b'0');
            if number > 255 {
                return None;
            }
            at += 1;
        }
        if at == first {
            return None;
        }
        if text[first] == b'0' && at - first > 1 {
            form = Form::Other;
        }
        *octet = number as u8;
    }
    (at == text.len()).then_some((octets.into(), form))
}

/// The IPv4 address in an IPv6 address that the C library writes with dots,
/// unlike the standard library: `::192.0.2.1`.
fn compatible_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, canonical};

    #[test]
    fn addresses_become_canonical() {
        let check = |text: &str, expected: Option<&str>| {
            let mut out = b"before".to_vec();
            let form = canonical(text.as_bytes(), &mut out);
            let found = match form {
                Some(Form::Canonical) => Some(text.as_bytes()),
                Some(Form::Other) => Some(&out[6..]),
                None => None,
            };
            assert_eq!(found, expected.map(str::as_bytes), "{text}");
            assert_eq!(out.len() > 6, form == Some(Form::Other), "{text}");
        };
        let same = |text: &str| check(text, Some(text));
        same("127.0.0.1");
        same("255.255.255.255");
        same("0.0.0.0");
        same("::");
        same("::1");
        same("2001:db8::1");
        same("fe80::1%eth0");
        same("::ffff:192.0.2.1");
        same("::192.0.2.1");
        check("010.1.02.3", Some("10.1.2.3"));
        check("[::1]", Some("::1"));
        check("2001:DB8:0:0::1", Some("2001:db8::1"));
        check("::FFFF:c000:201", Some("::ffff:192.0.2.1"));
        check("FE80::1%eth0", Some("fe80::1%eth0"));
        for bad in ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", ".1.2.3", "1..2.3", "x", ":"]
        {
            check(bad, None);
        }
        for bad in ["::1%", "::1%a b", "1.2.3.4%eth0", "[::1", "::1]", "[1.2.3.4]", "1:2:3", "[]"] {
            check(bad, None);
        }
    }
}
