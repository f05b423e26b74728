//! Which addresses a web hook may be at: those of the world, and of others only the networks that the configuration allows.
//!
//! Who may say where events are sent must not make this server knock at doors that only it can reach: its own services,
//! its neighbours, the metadata of a cloud. A name is resolved, what it comes to is looked at here, and the connection
//! goes to that very address: nothing is resolved twice, so a name that means something else a moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::value::Network;

/// Whether a hook may be at this address.
pub(super) fn may_be_at(address: IpAddr, allowed: &[Network]) -> bool {
    let within = inner(address);
    is_of_the_world(within) || allowed.iter().any(|network| network.0.contains(within))
}

/// Whether a URL says by itself that it is where no hook may be; of a name that is seen when it is asked for.
pub(crate) fn is_denied(url: &str, allowed: &[Network]) -> bool {
    let places = addresses(url);
    !places.is_empty() && !places.iter().any(|place| may_be_at(*place, allowed))
}

/// The addresses of a URL, as far as it is known without asking.
pub(crate) fn addresses(url: &str) -> Vec<IpAddr> {
    let url = url.parse::<http::Uri>().ok();
    let host = url.as_ref().and_then(http::Uri::host).unwrap_or_default();
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    host.trim_start_matches('[').trim_end_matches(']').parse().into_iter().collect()
}

/// The IPv4 address that an IPv6 address stands for, where it does: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1),
/// NAT64 (RFC 6052), 6to4 (RFC 3056). Otherwise it itself.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let low = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => low(a, b),
        [0x2002, a, b, ..] => low(a, b),
        _ => address,
    }
}

/// IANA's registries of special-purpose addresses (RFC 6890 and what follows it): what is not globally reachable.
fn is_of_the_world(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !is_special_v4(v4),
        IpAddr::V6(v6) => !is_special_v6(v6),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b) {
        // This host, private, loopback, multicast and what is reserved with the broadcast address.
        (0 | 10 | 127 | 224.., _) => true,
        // Shared by carriers (RFC 6598), link-local with the metadata of clouds, private.
        (100, 64..128) | (169, 254) | (172, 16..32) | (192, 168) => true,
        // Assignments of protocols, documentation, 6to4 relays, benchmarks.
        (192, 0) => c == 0 || c == 2,
        (192, 88) => c == 99,
        (198, 18 | 19) => true,
        (198, 51) => c == 100,
        (203, 0) => c == 113,
        _ => false,
    }
}

/// Of IPv6 only 2000::/3 is given out; within it the assignments of protocols (Teredo among them, and ORCHID) and the
/// documentation are no places.
fn is_special_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => true,
        [first, ..] => !(0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 \
        127.1.2.3 127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 \
        192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 \
        198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255";
    const V6: &str = ":: ::1 fe80::1 fe80::1:2:3 febf::1 fec0::1 fc00::1 fd00:ec2::254 fdff::1 ff02::1 ff0e::1 100::1 \
        2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 5f00::1 4000::1 64:ff9b:1::1 \
        ::ffff:0:7f00:1 ::2:0:0:0:1";

    /// Each in its usual forms: what RFC 6890 and its successors name, the metadata of clouds, and IPv4 inside IPv6.
    #[test]
    fn a6_what_only_this_server_can_reach_is_denied() {
        let mut denied = 0;
        for text in V4.split(' ').chain(V6.split(' ')) {
            let address: IpAddr = text.parse().unwrap();
            assert!(!may_be_at(address, &[]), "{address}");
            denied += 1;
        }
        for text in V4.split(' ') {
            let bits = text.parse::<Ipv4Addr>().unwrap().to_bits();
            let [high, low] = [bits >> 16, bits & 0xffff];
            for text in [
                format!("::ffff:{text}"),
                format!("::{high:x}:{low:x}"),
                format!("64:ff9b::{text}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2002:{high:x}:{low:x}:ffff::abcd"),
            ] {
                let address: IpAddr = text.parse().unwrap();
                assert!(!may_be_at(address, &[]), "{address}");
                denied += 1;
            }
        }
        assert!(denied >= 190, "{denied}");
    }

    #[test]
    fn what_is_of_the_world_is_not() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2003::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(may_be_at(text.parse().unwrap(), &[]), "{text}");
        }
    }

    #[test]
    fn a_network_may_be_allowed_and_no_other_is_by_that() {
        let allowed: Vec<Network> = ["127.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        for (text, may) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("fd12::1", true),
            ("::1", false),
            ("10.0.0.1", false),
            ("169.254.169.254", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(may_be_at(text.parse().unwrap(), &allowed), may, "{text}");
        }
    }
}
