//! A leg as most calls have it: PCMU, in the clear, 20 ms.

use std::net::SocketAddr;

use offhook_media::event::{Codec, LegConfig, Negotiated};
use offhook_media::sdp::Direction;

/// Its agreement with a peer at this address.
pub(crate) fn config(remote: SocketAddr) -> LegConfig {
    let media = Negotiated {
        codec: Codec::Pcmu,
        send_payload_type: 0,
        receive_payload_type: 0,
        telephone_event: None,
        opus: Default::default(),
        comfort_noise: None,
        remote_rtp: remote,
        remote_rtcp: remote,
        rtcp_mux: false,
        ptime_ms: 20,
        max_ptime_ms: None,
        direction: Direction::SendRecv,
        keys: None,
    };
    LegConfig::new(media)
}
