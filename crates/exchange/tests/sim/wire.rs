//! The network: it loses, doubles, delays, and lets datagrams overtake each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Our SIP.
pub(crate) const OURS: SocketAddr = address(1, 5060);
/// The far end that is a user agent like ours.
pub(crate) const PEER: SocketAddr = address(9, 5060);
/// The far end that is whatever it likes.
pub(crate) const RUDE: SocketAddr = address(10, 5060);

/// `192.0.2.<number>:<port>`.
pub(crate) const fn address(number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)), port)
}

/// How bad it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// Of a hundred datagrams, how many are lost.
    pub(crate) loss: u8,
    /// Of a hundred, how many come twice.
    pub(crate) doubled: u8,
    /// The longest that one takes, in milliseconds.
    pub(crate) delay: u64,
}

impl Wire {
    /// Nothing is lost, and nothing takes any time.
    pub(crate) const GOOD: Self = Self { loss: 0, doubled: 0, delay: 0 };

    /// Any wire.
    pub(crate) fn any(rng: &mut fastrand::Rng) -> Self {
        let loss = *rng.choice(&[0, 0, 2, 10, 30]).expect("five");
        let doubled = *rng.choice(&[0, 2, 10]).expect("three");
        let delay = *rng.choice(&[0, 40, 300]).expect("three");
        Self { loss, doubled, delay }
    }

    /// When the copies of a datagram arrive that is sent now.
    pub(crate) fn carry(self, rng: &mut fastrand::Rng) -> impl Iterator<Item = Duration> {
        let copies = if rng.u8(..100) < self.doubled { 2 } else { 1 };
        let arrivals = [0, 1].map(|copy| {
            let delay = Duration::from_micros(rng.u64(..=self.delay * 1_000));
            (copy < copies && rng.u8(..100) >= self.loss).then_some(delay)
        });
        arrivals.into_iter().flatten()
    }
}
