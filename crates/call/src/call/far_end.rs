//! Where the media of a far end goes: to where it says in its description, unless what it sends comes from elsewhere
//! (symmetric RTP, RFC 4961).

use std::net::SocketAddr;

/// Where a far end turned out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FarEnd {
    /// The address that it named last then, and the one that it sends from.
    found: Option<(SocketAddr, SocketAddr)>,
}

impl FarEnd {
    /// It has shown where it is, and named this address.
    pub(crate) fn found(&mut self, named: SocketAddr, address: SocketAddr) {
        self.found = Some((named, address));
    }

    /// It names an address, the same or another. One of zeros is hold the old way, and no other place.
    pub(crate) fn names(&mut self, named: SocketAddr) {
        if self.found.is_some_and(|(when, _)| when != named && !named.ip().is_unspecified()) {
            self.found = None;
        }
    }

    /// Where what we send goes, if it named this address.
    pub(crate) fn address(&self, named: SocketAddr) -> SocketAddr {
        self.found.filter(|(when, _)| *when == named).map_or(named, |(_, address)| address)
    }
}
