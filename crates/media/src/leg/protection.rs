//! What stands between a leg and the network: which protocol a datagram is of, and whether it is the peer's.
//!
//! ```text
//!   datagram ─▶ RTP or RTCP (RFC 5761 §4, where both share a port) ─▶ unprotected, where keys are agreed on ─▶ the leg
//! ```
//! It comes before everything else: a packet that fails here has not been heard, is no sign of life and teaches nothing
//! (reliability.md R3). It is counted, and that is all that it does.

use super::Leg;
use crate::event::Channel;
use crate::srtp::{Keys, Session};

/// The second byte of RTCP where RTP comes to the same port: 64–95 with a marker are no payload types there
/// (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

impl Leg {
    /// The protocol and the plain bytes of a datagram; nothing, if it is not believed. Of a protected one `plain` takes the
    /// bytes.
    pub(crate) fn open<'a>(
        &mut self,
        channel: Channel,
        datagram: &'a [u8],
        plain: &'a mut Vec<u8>,
    ) -> Option<(Channel, &'a [u8])> {
        let is_rtcp = datagram.get(1).is_some_and(|second| RTCP_TYPES.contains(second));
        let channel = if self.media.rtcp_mux && is_rtcp { Channel::Rtcp } else { channel };
        let Some(protection) = &mut self.protection else { return Some((channel, datagram)) };
        plain.clear();
        plain.extend_from_slice(datagram);
        let length = match channel {
            Channel::Rtp => protection.unprotect_rtp(plain),
            Channel::Rtcp => protection.unprotect_rtcp(plain),
        };
        if length.is_none() {
            self.reports.refused += 1;
        }
        Some((channel, &plain[..length?]))
    }

    /// Other keys than before, the same, or none.
    pub(super) fn change_keys(&mut self, keys: Option<&Keys>) {
        match (&mut self.protection, keys) {
            (Some(protection), Some(keys)) => protection.change(keys),
            (protection, keys) => *protection = keys.map(|keys| Box::new(Session::new(keys))),
        }
    }

    /// Where our RTCP leaves.
    pub(super) fn report_channel(&self) -> Channel {
        if self.media.rtcp_mux { Channel::Rtp } else { Channel::Rtcp }
    }
}
