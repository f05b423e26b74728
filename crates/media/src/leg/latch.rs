//! Where the peer really is, learnt from its packets where the configuration allows that: symmetric RTP (RFC 4961), for
//! peers behind a NAT, whose descriptions name an address that is not the one they send from.
//!
//! ```text
//!   learning ─┬─ one packet from the address that was named ───────────────────────────────────▶ locked there
//!      ▲      ├─ 3 in sequence, of one SSRC, from another port of the named IP ────────────────▶ locked there
//!      │      └─ 5 in sequence, of one SSRC, from another IP, and none yet from the named one ─▶ locked there
//!      └──────────── a description that names another address ◀──────────────────────────────────────┘
//! ```
//! What we send goes to the named address until then, so whoever sprays packets at the port gets nothing of ours before he
//! has learnt what a packet of this call looks like, and nothing at all once the peer has been heard (reliability.md R1).
//! What comes from anywhere else, before and after, is not taken (R2). Where packets are protected only authentic ones get
//! here (R3).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::sdp::Negotiated;

/// Packets in sequence that teach us another port of the named IP: one more than make a source valid (MIN_SEQUENTIAL,
/// RFC 3550 A.1).
const FROM_NAMED_IP: u8 = 3;
/// Packets in sequence that teach us another IP. It is the whole window: who is at the named IP and begins at the same
/// time has shown itself before.
const FROM_OTHER_IP: u8 = 5;
/// Sources that are followed at a time. A peer is one; more than a few are an attack, and then the oldest of those that have
/// shown least makes room.
const CANDIDATES: usize = 4;
/// Between two tellings of strangers: what an attacker sends must not become a flood of events.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Whose a packet is, by where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The peer's.
    Peer,
    /// The peer's, and with it we know where it is.
    Found,
    /// Nobody's that we know. It is not to be taken.
    Stranger,
}

/// What we know of where the peer is.
#[derive(Debug)]
pub(super) struct Latch {
    named_rtp: SocketAddr,
    named_rtcp: SocketAddr,
    /// Whether RTCP comes to the port of RTP, and from there.
    is_muxed: bool,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    candidates: Vec<Candidate>,
    /// When a stranger was told last.
    told: Option<Instant>,
}

/// A source that may turn out to be the peer.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    /// The sequence number that would be the next.
    next: u16,
    in_sequence: u8,
}

impl Latch {
    pub(super) fn new(media: &Negotiated) -> Self {
        Self {
            named_rtp: media.remote_rtp,
            named_rtcp: media.remote_rtcp,
            is_muxed: media.rtcp_mux,
            rtp: None,
            rtcp: None,
            candidates: Vec::new(),
            told: None,
        }
    }

    /// What it knows is of a description that names these addresses.
    pub(super) fn is_of(&self, media: &Negotiated) -> bool {
        (self.named_rtp, self.named_rtcp, self.is_muxed)
            == (media.remote_rtp, media.remote_rtcp, media.rtcp_mux)
    }

    /// Where media goes.
    pub(super) fn rtp(&self) -> SocketAddr {
        self.rtp.unwrap_or(self.named_rtp)
    }

    /// Where reports go.
    pub(super) fn rtcp(&self) -> SocketAddr {
        if self.is_muxed { self.rtp() } else { self.rtcp.unwrap_or(self.named_rtcp) }
    }

    /// Where the peer's media is known to come from.
    pub(super) fn found_rtp(&self) -> Option<SocketAddr> {
        self.rtp
    }

    /// Where its reports are known to come from. Of one that sends them from the port of its media nothing is awaited on
    /// the other socket.
    pub(super) fn found_rtcp(&self) -> Option<SocketAddr> {
        if self.is_muxed { Some(self.named_rtcp) } else { self.rtcp }
    }

    /// Whether media from there is nobody's, whatever it says: the peer is known to be elsewhere.
    pub(super) fn refuses_rtp(&self, source: SocketAddr) -> bool {
        self.rtp.is_some_and(|rtp| rtp != source)
    }

    /// Whether a report from there is nobody's, whatever it says.
    pub(super) fn refuses_rtcp(&self, source: SocketAddr) -> bool {
        if self.is_muxed { self.rtp() != source } else { self.rtcp.is_some_and(|rtcp| rtcp != source) }
    }

    /// A packet of media that is what was agreed on, and authentic where that can be told.
    pub(super) fn media(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> Whose {
        match self.rtp {
            Some(rtp) if rtp == source => return Whose::Peer,
            Some(_) => return Whose::Stranger,
            None => {}
        }
        if source != self.named_rtp && !self.is_learnt(source, ssrc, sequence) {
            return Whose::Stranger;
        }
        self.rtp = Some(source);
        self.candidates = Vec::new();
        Whose::Found
    }

    /// A report that can be read, and is authentic where that can be told. It comes from where the media does, the port
    /// aside.
    pub(super) fn report(&mut self, source: SocketAddr) -> Whose {
        if self.is_muxed {
            return if source == self.rtp() { Whose::Peer } else { Whose::Stranger };
        }
        match self.rtcp {
            Some(rtcp) if rtcp == source => Whose::Peer,
            Some(_) => Whose::Stranger,
            None if source == self.named_rtcp || self.rtp.is_some_and(|rtp| rtp.ip() == source.ip()) => {
                self.rtcp = Some(source);
                Whose::Found
            }
            None => Whose::Stranger,
        }
    }

    /// Whether it is time to tell of a stranger.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let is_due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// Whether with this packet a source has shown that it is the peer.
    fn is_learnt(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let is_at_home = |address: SocketAddr| address.ip() == self.named_rtp.ip();
        if is_at_home(source) {
            self.candidates.retain(|candidate| is_at_home(candidate.address));
        } else if self.candidates.iter().any(|candidate| is_at_home(candidate.address)) {
            return false;
        }
        let needed = if is_at_home(source) { FROM_NAMED_IP } else { FROM_OTHER_IP };
        let is_it = |candidate: &&mut Candidate| (candidate.address, candidate.ssrc) == (source, ssrc);
        let next = sequence.wrapping_add(1);
        if let Some(candidate) = self.candidates.iter_mut().find(is_it) {
            let is_next = candidate.next == sequence;
            candidate.in_sequence = if is_next { candidate.in_sequence + 1 } else { 1 };
            candidate.next = next;
            return candidate.in_sequence == needed;
        }
        if self.candidates.len() == CANDIDATES {
            let least = self.candidates.iter().enumerate().min_by_key(|(_, candidate)| candidate.in_sequence);
            if let Some((least, _)) = least {
                self.candidates.remove(least);
            }
        }
        self.candidates.push(Candidate { address: source, ssrc, next, in_sequence: 1 });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    /// The address that the description names, and the one of its reports.
    const NAMED: (u8, u16) = (1, 4000);
    const NAMED_RTCP: (u8, u16) = (1, 4001);

    fn at((host, port): (u8, u16)) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    fn latch(rtcp_mux: bool) -> Latch {
        let remote_rtcp = at(if rtcp_mux { NAMED } else { NAMED_RTCP });
        Latch::new(&Negotiated { remote_rtcp, rtcp_mux, ..Negotiated::plain(Codec::Pcmu, at(NAMED)) })
    }

    /// Where packets (source, SSRC, sequence number) lead us: the number of the one that did, from 1, and its source.
    fn check(packets: &[((u8, u16), u32, u16)], expected: Option<(usize, (u8, u16))>) {
        let mut latch = latch(false);
        let mut found = None;
        for (index, &(source, ssrc, sequence)) in packets.iter().enumerate() {
            let before = latch.rtp();
            match latch.media(at(source), ssrc, sequence) {
                Whose::Found => found = Some((index + 1, source)),
                Whose::Stranger if found.is_none() => assert_eq!(latch.rtp(), before, "{packets:?}"),
                Whose::Stranger | Whose::Peer => {}
            }
        }
        assert_eq!(found, expected, "{packets:?}");
        assert_eq!(latch.rtp(), at(expected.map_or(NAMED, |(_, source)| source)), "{packets:?}");
    }

    fn run(source: (u8, u16), ssrc: u32, sequence: impl Iterator<Item = u16>) -> Vec<((u8, u16), u32, u16)> {
        sequence.map(|sequence| (source, ssrc, sequence)).collect()
    }

    #[test]
    fn r1_a_source_is_learnt_by_packets_in_sequence_and_no_more_than_five() {
        let (near, far) = ((1, 5000), (7, 4000));
        check(&run(NAMED, 1, 9..10), Some((1, NAMED)));
        check(&run(near, 1, 9..11), None);
        check(&run(near, 1, 9..20), Some((3, near)));
        check(&run(far, 1, 9..13), None);
        check(&run(far, 1, 9..20), Some((5, far)));
        check(&run(near, 1, [65_534, 65_535, 0].into_iter()), Some((3, near)));
    }

    #[test]
    fn r1_packets_out_of_sequence_or_of_several_sources_teach_nothing() {
        let near = (1, 5000);
        check(&run(near, 1, [1, 3, 2, 5, 4, 7, 6, 6, 6].into_iter()), None);
        check(&run(near, 1, [1, 2, 9, 10, 11].into_iter()), Some((5, near)));
        let ssrcs: Vec<_> = (0..50).map(|index| (near, u32::from(index), index)).collect();
        check(&ssrcs, None);
        let ports: Vec<_> = (0..50).map(|index| ((1, 5000 + index), 1, index)).collect();
        check(&ports, None);
    }

    #[test]
    fn r1_the_named_ip_is_believed_before_others() {
        let (near, far) = ((1, 5000), (7, 4000));
        let mut packets = run(far, 1, 0..4);
        packets.extend(run(near, 2, 0..1));
        packets.extend(run(far, 1, 4..30));
        check(&packets, None);
        packets.extend(run(near, 2, 1..3));
        check(&packets, Some((33, near)));
        // They come in turns, as of two who send every 20 ms.
        let turns = run(far, 1, 0..9).into_iter().zip(run(near, 2, 0..9)).flat_map(<[_; 2]>::from);
        check(&turns.collect::<Vec<_>>(), Some((6, near)));
        let turns = run(near, 1, 0..9).into_iter().zip(run(NAMED, 2, 0..9)).flat_map(<[_; 2]>::from);
        check(&turns.collect::<Vec<_>>(), Some((2, NAMED)));
    }

    #[test]
    fn r1_a_peer_is_learnt_through_a_flood_from_many_ports() {
        let (mut latch, mut random) = (latch(false), fastrand::Rng::with_seed(5));
        let peer = (9, 7000);
        for sequence in 0..5 {
            for _ in 0..3 {
                let source = (random.u8(20..), random.u16(1024..));
                assert_eq!(latch.media(at(source), random.u32(..), random.u16(..)), Whose::Stranger);
            }
            assert!(latch.candidates.len() <= CANDIDATES);
            let expected = if sequence == 4 { Whose::Found } else { Whose::Stranger };
            assert_eq!(latch.media(at(peer), 1, sequence), expected, "{sequence}");
        }
    }

    #[test]
    fn r2_after_the_lock_nobody_else_is_heard() {
        for peer in [NAMED, (1, 5000), (7, 4000)] {
            let mut latch = latch(false);
            for sequence in 0..5 {
                latch.media(at(peer), 1, sequence);
            }
            for other in [NAMED, (1, 5000), (7, 4000), (8, 1)].into_iter().filter(|other| *other != peer) {
                assert!(latch.refuses_rtp(at(other)));
                for sequence in 0..20 {
                    assert_eq!(latch.media(at(other), 1, sequence), Whose::Stranger);
                }
            }
            assert!(!latch.refuses_rtp(at(peer)));
            assert_eq!(latch.rtp(), at(peer));
        }
    }

    #[test]
    fn r1_reports_follow_the_media_and_its_ip() {
        let mut named = latch(false);
        assert_eq!(named.report(at((1, 5001))), Whose::Stranger, "where the media is is not known yet");
        assert_eq!(named.report(at(NAMED_RTCP)), Whose::Found);
        let mut elsewhere = latch(false);
        for sequence in 0..5 {
            elsewhere.media(at((7, 5000)), 1, sequence);
        }
        assert_eq!(elsewhere.rtcp(), at(NAMED_RTCP));
        assert_eq!(elsewhere.report(at((8, 5001))), Whose::Stranger);
        assert_eq!(elsewhere.report(at((7, 6001))), Whose::Found);
        assert_eq!((elsewhere.rtcp(), elsewhere.report(at((7, 5001)))), (at((7, 6001)), Whose::Stranger));
        assert!(elsewhere.refuses_rtcp(at(NAMED_RTCP)));
        // On the port of RTP they come from where that does (RFC 5761).
        let mut muxed = latch(true);
        assert_eq!((muxed.rtcp(), muxed.report(at(NAMED))), (at(NAMED), Whose::Peer));
        for sequence in 0..5 {
            muxed.media(at((7, 5000)), 1, sequence);
        }
        assert_eq!((muxed.rtcp(), muxed.report(at((7, 5000)))), (at((7, 5000)), Whose::Peer));
        assert_eq!(muxed.report(at((7, 5001))), Whose::Stranger);
    }
}
