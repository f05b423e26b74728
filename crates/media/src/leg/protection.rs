//! What stands between a leg and the network: which protocol a datagram is of, and whether it is the peer's.
//!
//! ```text
//!   datagram ─▶ RTP or RTCP (RFC 5761 §4, where both share a port) ─▶ from where the peer is, if that was learnt
//!            ─▶ unprotected, where keys are agreed on ─▶ from who may be the peer, while that is learnt ─▶ the leg
//! ```
//! It comes before everything else: a packet that fails here has not been heard, is no sign of life and teaches nothing
//! (reliability.md R2, R3). It is counted, and that is all that it does.

use std::net::SocketAddr;
use std::time::Instant;

use super::Leg;
use super::latch::{Latch, Whose};
use crate::event::{Channel, Event, LegConfig};
use crate::packet::Packet;
use crate::rtcp;
use crate::shared::Shared;
use crate::srtp::{Keys, Refused, Session};

/// The second byte of RTCP where RTP comes to the same port: 64–95 with a marker are no payload types there
/// (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// What came to a socket, or what is left of it on its way through here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// The socket that it came to; then the protocol that it is of.
    pub(crate) channel: Channel,
    /// Where it came from, if the socket is not connected to the peer.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) bytes: &'a [u8],
}

/// What a leg has to learn before it knows where its peer is. One on hold the old way is nowhere.
pub(super) fn latch(config: &LegConfig) -> Option<Box<Latch>> {
    let is_somewhere = !config.media.remote_rtp.ip().is_unspecified();
    (config.symmetric && is_somewhere).then(|| Box::new(Latch::new(&config.media)))
}

impl Leg {
    /// A datagram with its protocol and its plain bytes; nothing, if it is not believed. Of a protected one `plain` takes
    /// the bytes.
    pub(crate) fn open<'a>(
        &mut self,
        now: Instant,
        datagram: Datagram<'a>,
        plain: &'a mut Vec<u8>,
        shared: &mut Shared,
    ) -> Option<Datagram<'a>> {
        let Datagram { channel, source, bytes } = datagram;
        let is_rtcp = bytes.get(1).is_some_and(|second| RTCP_TYPES.contains(second));
        let channel = if self.media.rtcp_mux && is_rtcp { Channel::Rtcp } else { channel };
        if let Some(source) = source
            && self.refuses(now, channel, source, shared)
        {
            return None;
        }
        let Some(protection) = &mut self.protection else { return Some(Datagram { channel, source, bytes }) };
        plain.clear();
        plain.extend_from_slice(bytes);
        let length = match channel {
            Channel::Rtp => protection.unprotect_rtp(plain),
            Channel::Rtcp => protection.unprotect_rtcp(plain),
        };
        match length {
            Ok(length) => return Some(Datagram { channel, source, bytes: &plain[..length] }),
            Err(Refused::NotAuthentic) => self.reports.not_authentic += 1,
            Err(Refused::Malformed | Refused::Repeated | Refused::Exhausted) => self.reports.refused += 1,
        }
        None
    }

    /// Whether the peer is known to be elsewhere. Whoever it is is counted, and told now and then.
    fn refuses(&mut self, now: Instant, channel: Channel, source: SocketAddr, shared: &mut Shared) -> bool {
        let Some(latch) = &mut self.latch else { return false };
        let refuses = match channel {
            Channel::Rtp => latch.refuses_rtp(source),
            Channel::Rtcp => latch.refuses_rtcp(source),
        };
        self.reports.refused += u64::from(refuses);
        if refuses && latch.tells(now) {
            shared.tell(Event::Stranger { leg: self.id, address: source });
        }
        refuses
    }

    /// Whether a packet is the peer's, as far as its source says. One of a kind that was not agreed on teaches nothing.
    pub(super) fn is_media_of_peer(
        &mut self,
        source: Option<SocketAddr>,
        packet: &Packet<'_>,
        shared: &mut Shared,
    ) -> bool {
        let Some(source) = source.filter(|_| self.latch.is_some()) else { return true };
        let is_agreed = self.agreed_content(packet).is_some();
        let Some(latch) = &mut self.latch else { return true };
        if !is_agreed && latch.found_rtp().is_none() {
            return false;
        }
        let whose = latch.media(source, packet.ssrc, packet.sequence);
        self.is_of_peer(Channel::Rtp, source, whose, shared)
    }

    /// Whether a report is the peer's, as far as its source says.
    pub(super) fn is_report_of_peer(
        &mut self,
        source: Option<SocketAddr>,
        bytes: &[u8],
        shared: &mut Shared,
    ) -> bool {
        let (Some(source), Some(latch)) = (source, &mut self.latch) else { return true };
        let is_report = rtcp::parse(bytes, self.sender.ssrc()).is_some();
        let whose = if is_report { latch.report(source) } else { Whose::Stranger };
        let is_peers = self.is_of_peer(Channel::Rtcp, source, whose, shared);
        self.reports.refused += u64::from(!is_peers);
        is_peers
    }

    fn is_of_peer(&self, channel: Channel, source: SocketAddr, whose: Whose, shared: &mut Shared) -> bool {
        if whose == Whose::Found {
            shared.tell(Event::PeerFound { leg: self.id, channel, address: source });
        }
        whose != Whose::Stranger
    }

    /// Where the peer is known to send from.
    pub(crate) fn peer(&self, channel: Channel) -> Option<SocketAddr> {
        match (&self.latch, channel) {
            (Some(latch), Channel::Rtp) => latch.found_rtp(),
            (Some(latch), Channel::Rtcp) => latch.found_rtcp(),
            (None, Channel::Rtp) => Some(self.media.remote_rtp),
            (None, Channel::Rtcp) => Some(self.media.remote_rtcp),
        }
    }

    /// Where media goes.
    pub(super) fn rtp_address(&self) -> SocketAddr {
        self.latch.as_ref().map_or(self.media.remote_rtp, |latch| latch.rtp())
    }

    /// Where reports go.
    pub(super) fn rtcp_address(&self) -> SocketAddr {
        self.latch.as_ref().map_or(self.media.remote_rtcp, |latch| latch.rtcp())
    }

    /// Another description than before. One that names the same addresses, or none (hold the old way), changes nothing
    /// about where the peer is.
    pub(super) fn change_latch(&mut self, config: &LegConfig) {
        let is_known = self
            .latch
            .as_ref()
            .is_some_and(|latch| latch.is_of(&config.media) || config.media.remote_rtp.ip().is_unspecified());
        if !is_known || !config.symmetric {
            self.latch = latch(config);
        }
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
