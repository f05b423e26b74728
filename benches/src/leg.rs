//! A leg as most calls have it: PCMU, in the clear, 20 ms.

use std::net::SocketAddr;

use offhook_media::event::{Codec, LegConfig, Negotiated};

/// Its agreement with a peer at this address.
pub(crate) fn config(remote: SocketAddr) -> LegConfig {
    LegConfig::new(Negotiated::plain(Codec::Pcmu, remote))
}
