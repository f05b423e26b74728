//! Networks in CIDR notation (RFC 4632, RFC 4291 §2.3): who may send requests that begin something new.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A network such as `127.0.0.0/8` or `2001:db8::/32`; an address without a prefix is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no network: the address is bad, the prefix is too long, or bits are set beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a network in CIDR notation: {:?}", self.0)
    }
}

impl std::error::Error for BadNetwork {}

impl Network {
    /// 127.0.0.0/8.
    pub const LOOPBACK_V4: Self = Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };

    /// The loopback networks of both families.
    pub fn loopback() -> [Self; 2] {
        [
            Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
            Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
        ]
    }

    /// Whether an address belongs to the network. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`), as a
    /// dual-stack socket reports it, counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                masked(u128::from(network.to_bits()), 32, self.prefix)
                    == masked(u128::from(address.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                masked(network.to_bits(), 128, self.prefix) == masked(address.to_bits(), 128, self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it is a network of IPv4.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// The bits of its first and its last address.
    pub(crate) fn range(&self) -> (u128, u128) {
        let (first, width) = match self.address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let hosts = u128::MAX.checked_shr(u32::from(128 - width + self.prefix)).unwrap_or(0);
        (first, first | hosts)
    }

    /// From its first address to its last.
    pub fn addresses(&self) -> RangeInclusive<IpAddr> {
        let (_, last) = self.range();
        let last = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(last).unwrap_or(u32::MAX))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(last)),
        };
        self.address..=last
    }
}

/// The bits of an address of `width` bits that its prefix covers.
fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    bits.checked_shr(u32::from(width.saturating_sub(prefix))).unwrap_or(0)
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let (bits, width) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|&prefix| prefix <= width).ok_or_else(bad)?
            }
            Some(_) => return Err(bad()),
            None => width,
        };
        let kept = masked(bits, width, prefix).checked_shl(u32::from(width - prefix)).unwrap_or(0);
        if kept != bits {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_first_address_to_the_last() {
        for (network, first, last) in [
            ("192.0.2.16/28", "192.0.2.16", "192.0.2.31"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::/126", "2001:db8::", "2001:db8::3"),
            ("::1", "::1", "::1"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.addresses(), first.parse().unwrap()..=last.parse().unwrap());
        }
    }

    #[test]
    fn who_belongs() {
        for (network, address, belongs) in [
            ("127.0.0.0/8", "127.255.255.255", true),
            ("127.0.0.0/8", "128.0.0.0", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("192.0.2.16/28", "192.0.2.31", true),
            ("192.0.2.16/28", "192.0.2.32", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1/128", "::1", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), belongs, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in
            ["", "127.0.0.0/33", "127.0.0.0/", "127.0.0.0/+8", "127.0.0.1/8", "::1/129", "host/8", "1.2.3/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
