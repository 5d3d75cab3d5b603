//! IP addresses and networks, read as leniently as Dovecot reads them: an IPv4
//! address may have one to four parts (`1.2.3` is 1.2.0.3), also in octal and
//! hexadecimal. See inet_aton(3) and RFC 4007, section 11, for scopes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name that an interface can have.
const SCOPE_BYTES_MAX: usize = 15;

/// A network: an address, and how many of its leading bits count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The normalised text.
    text: Box<str>,
    address: Address<Box<str>>,
    bits: u32,
}

/// An address with its scope: an interface's name, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address<S> {
    ip: IpAddr,
    scope: Option<S>,
}

/// The leading bits of an address: those behind them are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Prefix {
    length: PrefixLength,
    bits: u128,
}

/// How many leading bits count, of an address of which family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PrefixLength {
    is_ipv4: bool,
    bits: u32,
}

impl Network {
    /// Reads `address` or `address/bits`; an IPv6 address may be in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = lenient_address(address)?;
        let bits_max = if address.ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => bits_max,
        };
        if bits > bits_max {
            return None;
        }
        let mut text = normalised(address.ip);
        if let Some(scope) = &address.scope {
            text = format!("{text}%{scope}");
        }
        if bits < bits_max {
            text = format!("{text}/{bits}");
        }
        Some(Network { text: text.into(), address, bits })
    }

    /// The normalised text, which text in a field is compared with.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the address with this canonical text lies in the network. An IPv4
    /// address that is written as an IPv6 one (`::ffff:1.2.3.4`) is the IPv4 one;
    /// a network without a scope has the addresses of every scope.
    pub fn contains(&self, address: &[u8]) -> bool {
        Address::read(address).is_some_and(|address| self.contains_address(address))
    }

    /// Whether the address lies in the network.
    pub(super) fn contains_address(&self, address: Address<&str>) -> bool {
        match (address.ip.to_canonical(), self.address.ip) {
            (IpAddr::V4(ip), IpAddr::V4(network)) => {
                let differing = ip.to_bits() ^ network.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(ip), IpAddr::V6(network)) => {
                let differing = ip.to_bits() ^ network.to_bits();
                let wanted = self.address.scope.as_deref();
                differing.leading_zeros() >= self.bits
                    && (wanted.is_none() || wanted == address.scope)
            }
            _ => false,
        }
    }

    /// Whether it is more than one address.
    pub(super) fn is_wide(&self) -> bool {
        self.bits < if self.address.ip.is_ipv4() { 32 } else { 128 }
    }

    /// The bits that all its addresses have in common.
    pub(super) fn prefix(&self) -> Prefix {
        let length = PrefixLength { is_ipv4: self.address.ip.is_ipv4(), bits: self.bits };
        let ip = self.address.ip;
        length.of_bits(left_aligned(ip))
    }
}

impl Prefix {
    /// How long it is.
    pub(super) fn length(self) -> PrefixLength {
        self.length
    }
}

impl PrefixLength {
    /// The address's leading bits, as every network of that length that contains
    /// it has them; `None` when it is of the other family.
    pub(super) fn of(self, address: Address<&str>) -> Option<Prefix> {
        let ip = address.ip.to_canonical();
        (ip.is_ipv4() == self.is_ipv4).then(|| self.of_bits(left_aligned(ip)))
    }

    fn of_bits(self, bits: u128) -> Prefix {
        let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
        Prefix { length: self, bits: bits & mask }
    }
}

/// The address's bits, the first of them the highest.
fn left_aligned(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

impl<'a> Address<&'a str> {
    /// Reads the canonical text that an event's field has.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(text).ok().and_then(strict_address)
    }
}

/// An address as an event's field has it.
fn strict_address(text: &str) -> Option<Address<&str>> {
    let (ip, scope) = match text.split_once('%') {
        Some((ip, scope)) => (ip, Some(scope)),
        None => (text, None),
    };
    Some(Address { ip: ip.parse().ok()?, scope })
}

fn lenient_address(text: &str) -> Option<Address<Box<str>>> {
    if let Some(ip) = dotted_decimal(text).or_else(|| any_base_ipv4(text)) {
        return Some(Address { ip: IpAddr::V4(ip), scope: None });
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let Address { ip: IpAddr::V6(ip), scope } = strict_address(inner.unwrap_or(text))? else {
        return None;
    };
    let scope = match scope {
        Some(scope) => normalised_scope(ip, scope)?,
        None => None,
    };
    Some(Address { ip: IpAddr::V6(ip), scope })
}

/// Four parts below 256, each with as many leading zeros as it likes.
fn dotted_decimal(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// One to four parts, each decimal, octal (`0..`) or hexadecimal (`0x..`); the
/// last one fills all the bytes that are left.
fn any_base_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut address: u32 = 0;
    let mut bits_left = 32;
    let mut parts = text.split('.').peekable();
    while let Some(part) = parts.next() {
        let number = any_base_number(part)?;
        let bits = if parts.peek().is_some() { 8 } else { bits_left };
        if bits_left < bits || bits_left == 0 || u64::from(number) >> bits != 0 {
            return None;
        }
        bits_left -= bits;
        address |= number << bits_left;
    }
    Some(Ipv4Addr::from_bits(address))
}

fn any_base_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // Otherwise a sign would do.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u32::from_str_radix(digits, radix).ok() } else { None }
}

/// The scope's text, `Some(None)` for 0, which is none, and `None` for what is
/// no scope of that address. Whether an interface exists is not looked up.
fn normalised_scope(ip: Ipv6Addr, scope: &str) -> Option<Option<Box<str>>> {
    if scope.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u32 = scope.parse().ok()?;
        return Some((number != 0).then(|| number.to_string().into()));
    }
    let link_local = ip.is_unicast_link_local() || ip.segments()[0] & 0xff0f == 0xff02;
    let name = scope.len() <= SCOPE_BYTES_MAX
        && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?\\%\"'".contains(&byte));
    (link_local && name).then(|| Some(scope.into()))
}

/// An address as the C library writes it.
fn normalised(ip: IpAddr) -> String {
    match ip {
        // An embedded IPv4 address is written as one, which the standard library
        // does for `::ffff:0:0/96` only. `::` and `::1` have no other address in them.
        IpAddr::V6(ip) if ip.to_bits() >> 32 == 0 && ip.segments()[6] != 0 => {
            format!("::{}", Ipv4Addr::from_bits(ip.to_bits() as u32))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn texts_are_normalised() {
        let check = |text: &str, expected: &str| {
            let network = Network::parse(text);
            assert_eq!(network.as_ref().map_or("none", Network::text), expected, "{text}");
        };
        check("127.0.0.1", "127.0.0.1");
        check("010.1.1.008", "10.1.1.8");
        check("010.1", "8.0.0.1");
        check("0x10", "0.0.0.16");
        check("0X7f.1", "127.0.0.1");
        check("1.5", "1.0.0.5");
        check("1.2.3", "1.2.0.3");
        check("1.2.65535", "1.2.255.255");
        check("1.2.65536", "none");
        check("1.16777216", "none");
        check("256.1.1.1", "none");
        check("0x1ffffffff", "none");
        check("08.1", "none");
        check("0x", "none");
        check("0xg", "none");
        check("0x+1", "none");
        check("1.+2", "none");
        check("1.2.3.4.5", "none");
        check("1.2.3.4.", "none");
        check(".1", "none");
        check("", "none");
        check("10.0.0.1/8", "10.0.0.1/8");
        check("10.0.0.1/32", "10.0.0.1");
        check("10.0.0.1/008", "10.0.0.1/8");
        check("10.0.0.1/", "none");
        check("10.0.0.1/+8", "none");
        check("10.0.0.1/33", "none");
        check("10.0.0.1/8/8", "none");
        check("2001:0:0:0:0:0:0:1", "2001::1");
        check("[::1]", "::1");
        check("[::1]/64", "::1/64");
        check("[1.2.3.4]", "none");
        check("::1:2", "::0.1.0.2");
        check("::ffff:1.2.3.4", "::ffff:1.2.3.4");
        check("fe80::1%lo", "fe80::1%lo");
        check("fe80::1%007", "fe80::1%7");
        check("fe80::1%0", "fe80::1");
        check("fe80::1%", "none");
        check("fe80::1%e*", "none");
        check("2001::1%lo", "none");
        check("2001::1%3/64", "2001::1%3/64");
        check("fe80::%eth0/64", "fe80::%eth0/64");
    }

    #[test]
    fn networks_contain_addresses_of_their_family_and_scope() {
        let check = |network: &str, address: &str, expected: bool| {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.as_bytes()), expected, "{network:?} {address}");
        };
        check("10.0.0.0/0", "8.8.8.8", true);
        check("10.0.0.0/0", "::1", false);
        check("10.0.0.7/31", "10.0.0.6", true);
        check("10.0.0.7/31", "10.0.0.8", false);
        check("::/0", "10.0.0.1", false);
        check("::/0", "::ffff:10.0.0.1", false);
        check("10.0.0.1", "::ffff:10.0.0.1", true);
        check("::ffff:10.0.0.1", "::ffff:10.0.0.1", false);
        check("fe80::1%lo", "fe80::1%lo", true);
        check("fe80::1%lo", "fe80::1%eth0", false);
        check("fe80::1%lo", "fe80::1", false);
        check("fe80::1", "fe80::1%lo", true);
        check("fe80::/10", "fe80::9%lo", true);
        check("10.0.0.1", "nonsense", false);
        check("10.0.0.1", "", false);
    }
}
