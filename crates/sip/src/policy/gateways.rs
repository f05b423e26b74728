//! Whose network an address is in. The networks are cut into ranges that do not overlap, once; an address is then found
//! by one binary search, however many networks there are.
//!
//! ```text
//!   10.0.0.0/8      gateway 0   ├───────────────────────────────┤
//!   10.1.0.0/16     gateway 1            ├─────────┤               hidden: of two that overlap the first counts
//!   192.0.2.0/24    gateway 2                                         ├────┤
//!   ranges                   ──┼────────────── 0 ───────────────┼─ - ─┼─ 2 ┼─ - ──
//! ```

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::Gateway;

/// The index over the networks of all gateways.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    v4: Ranges,
    v6: Ranges,
}

/// Where a range begins, and the gateway that everything up to the next one belongs to.
type Ranges = Vec<(u128, Option<usize>)>;

impl Gateways {
    /// The index of these gateways.
    pub(crate) fn of(gateways: &[Gateway]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (number, gateway) in gateways.iter().enumerate() {
            for network in &gateway.networks {
                let (first, last) = network.range();
                let ends = if network.is_ipv4() { &mut v4 } else { &mut v6 };
                ends.push((first, number, true));
                // The last address of all has none after it.
                ends.extend(last.checked_add(1).map(|after| (after, number, false)));
            }
        }
        Self { v4: cut(v4), v6: cut(v6) }
    }

    /// The gateway that an address belongs to, by its place in the list.
    pub(crate) fn find(&self, address: IpAddr) -> Option<usize> {
        let (ranges, bits) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (&self.v6, address.to_bits()),
        };
        let after = ranges.partition_point(|&(first, _)| first <= bits);
        ranges.get(after.checked_sub(1)?)?.1
    }
}

/// From where networks begin and end to the ranges between: at each place the first of the gateways that are open.
fn cut(mut ends: Vec<(u128, usize, bool)>) -> Ranges {
    ends.sort_unstable();
    let mut ranges = Ranges::new();
    // A gateway may have the same network twice, so each of its openings counts.
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (at, (address, gateway, begins)) in ends.into_iter().enumerate() {
        if begins {
            open.insert((gateway, at));
        } else if let Some(&opening) = open.range((gateway, 0)..=(gateway, usize::MAX)).next() {
            open.remove(&opening);
        }
        let owner = open.first().map(|&(gateway, _)| gateway);
        match ranges.last_mut() {
            Some(last) if last.0 == address => last.1 = owner,
            Some(last) if last.1 == owner => {}
            _ => ranges.push((address, owner)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Network;

    fn gateways(networks: &[&[&str]]) -> Vec<Gateway> {
        let gateway = |networks: &&[&str]| Gateway {
            name: "gateway".into(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            challenge: None,
            challenge_inside: false,
            pin_source: false,
        };
        networks.iter().map(gateway).collect()
    }

    #[test]
    fn the_first_of_those_that_overlap() {
        let list: &[&[&str]] = &[
            &["10.1.0.0/16", "10.1.0.0/16"],
            &["10.0.0.0/8", "2001:db8::/32"],
            &["10.2.0.0/16", "192.0.2.1", "255.255.255.255"],
            &["2001:db8:1::/48", "::1", "ffff::/16"],
        ];
        let index = Gateways::of(&gateways(list));
        for (address, gateway) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some(1)),
            ("10.1.0.0", Some(0)),
            ("10.1.255.255", Some(0)),
            ("10.2.0.0", Some(1)),
            ("10.255.255.255", Some(1)),
            ("11.0.0.0", None),
            ("192.0.2.0", None),
            ("192.0.2.1", Some(2)),
            ("::ffff:192.0.2.1", Some(2)),
            ("192.0.2.2", None),
            ("255.255.255.255", Some(2)),
            ("::", None),
            ("::1", Some(3)),
            ("::2", None),
            ("2001:db8:1::1", Some(1)),
            ("2001:db9::", None),
            ("ffff:ffff::", Some(3)),
        ] {
            assert_eq!(index.find(address.parse().unwrap()), gateway, "{address}");
        }
        assert_eq!(Gateways::default().find("127.0.0.1".parse().unwrap()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The index says what a look at each network in turn says.
        #[test]
        fn the_same_as_one_by_one(
            networks in proptest::collection::vec((any::<u32>(), 1..=32_u32, 0..5_usize), 0..40),
            picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..40),
        ) {
            let mut list = gateways(&[&[], &[], &[], &[], &[]]);
            // Few bits, so that networks do overlap.
            let bits = |seed: u32| seed & 0xf00f_0003;
            for &(seed, prefix, gateway) in &networks {
                let address = bits(seed) & (u32::MAX << (32 - prefix));
                let network: Network = format!("{}/{prefix}", std::net::Ipv4Addr::from(address)).parse().unwrap();
                list[gateway].networks.push(network);
            }
            let index = Gateways::of(&list);
            for (pick, seed) in picks {
                let near = networks.get(pick.index(networks.len().max(1))).map_or(seed, |&(near, ..)| near);
                for address in [bits(seed), bits(near), bits(near).wrapping_sub(1), bits(near) | 0x0ff0_fffc] {
                    let address = IpAddr::V4(address.into());
                    let one_by_one = list
                        .iter()
                        .position(|gateway| gateway.networks.iter().any(|network| network.contains(address)));
                    prop_assert_eq!(index.find(address), one_by_one);
                }
            }
        }
    }
}
