//! Both directions of one leg, over what offers and answers change about their keys.

use crate::srtp::{Inbound, Keys, Outbound, Refused};

/// The protection of one leg.
#[derive(Debug)]
pub(crate) struct Session {
    keys: Keys,
    outbound: Outbound,
    inbound: Inbound,
    /// What the peer protected with until now: packets of it may still be on their way (RFC 3264 §8.3.2). It is forgotten
    /// with the first packet under the new key.
    former: Option<Inbound>,
}

impl Session {
    pub(crate) fn new(keys: &Keys) -> Self {
        let mut session = Self {
            keys: *keys,
            outbound: Outbound::new(&keys.ours),
            inbound: Inbound::new(&keys.theirs),
            former: None,
        };
        session.name_keys();
        session
    }

    fn name_keys(&mut self) {
        self.outbound.0.mki = self.keys.our_mki;
        self.inbound.context.mki = self.keys.their_mki;
    }

    /// Other keys than before, or the same. One that stays keeps its place, so that no index of it is used again.
    pub(crate) fn change(&mut self, keys: &Keys) {
        if keys.ours != self.keys.ours {
            // Our roll-over counters begin anew. Ours changes with its suite only, or where media was not protected meanwhile
            // (`sdp::Session`), and for these receivers make a new context, whose counters are 0 until a packet says otherwise.
            self.outbound = Outbound::new(&keys.ours);
        }
        if keys.theirs != self.keys.theirs {
            let inbound = Inbound::after(&keys.theirs, &self.inbound);
            self.former = Some(std::mem::replace(&mut self.inbound, inbound));
        }
        self.keys = *keys;
        self.name_keys();
    }

    /// Protects the RTP packet that `out` ends with, from `start`; one that cannot be is taken off.
    pub(crate) fn protect_rtp(&mut self, out: &mut Vec<u8>, start: usize) {
        // A packet that is sent a second time, or under no key any more, is one that is lost.
        let _ = self.outbound.protect_rtp(out, start);
    }

    /// The same of a compound of RTCP.
    pub(crate) fn protect_rtcp(&mut self, out: &mut Vec<u8>, start: usize) {
        let _ = self.outbound.protect_rtcp(out, start);
    }

    /// Makes of a protected RTP packet the plain one, in its place; its length.
    pub(crate) fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.unprotect(packet, Inbound::unprotect_rtp)
    }

    /// The same of a compound of RTCP.
    pub(crate) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.unprotect(packet, Inbound::unprotect_rtcp)
    }

    fn unprotect(
        &mut self,
        packet: &mut [u8],
        by: impl Fn(&mut Inbound, &mut [u8]) -> Result<usize, Refused>,
    ) -> Result<usize, Refused> {
        match (by(&mut self.inbound, packet), &mut self.former) {
            (Ok(length), _) => {
                self.former = None;
                Ok(length)
            }
            (Err(_), Some(former)) => by(former, packet),
            (Err(refused), None) => Err(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::{packet, report, some_key};
    use crate::srtp::{Mki, Suite};

    fn keys(ours: u8, theirs: u8) -> Keys {
        let suite = Suite::AesCm128HmacSha1_80;
        Keys::new(some_key(suite, ours), some_key(suite, theirs))
    }

    fn sent(session: &mut Session, sequence: u16) -> Vec<u8> {
        let mut out = packet(sequence, 1);
        session.protect_rtp(&mut out, 0);
        out
    }

    fn is_taken(session: &mut Session, secret: &[u8]) -> bool {
        session.unprotect_rtp(&mut secret.to_vec()).is_ok()
    }

    #[test]
    fn keys_that_stay_keep_their_place() {
        let (mut here, mut there) = (Session::new(&keys(1, 2)), Session::new(&keys(2, 1)));
        let first = sent(&mut here, 7);
        assert!(is_taken(&mut there, &first));
        here.change(&keys(1, 2));
        there.change(&keys(2, 1));
        assert!(sent(&mut here, 7).is_empty(), "an index is used once");
        assert!(!is_taken(&mut there, &first), "and taken once");
    }

    #[test]
    fn packets_under_the_former_key_are_taken_until_the_first_under_the_new_one() {
        let (mut here, mut there) = (Session::new(&keys(1, 2)), Session::new(&keys(2, 1)));
        let (on_its_way, late) = (sent(&mut here, 7), sent(&mut here, 8));
        here.change(&keys(3, 2));
        there.change(&keys(2, 3));
        assert!(is_taken(&mut there, &on_its_way));
        assert!(!is_taken(&mut there, &on_its_way), "once, all the same");
        let new = sent(&mut here, 9);
        assert!(is_taken(&mut there, &new));
        assert!(!is_taken(&mut there, &late));
    }

    /// A peer that changes its key at the sequence number that follows `last`, under which its roll-over counter is 1, as RFC 3711
    /// §3.3.1 has it (`keeps`) or as a new context. Its reports may be there first.
    fn re_keyed(last: u16, keeps: bool, reports_first: bool) -> (Session, Session) {
        let (mut here, mut there) = (Session::new(&keys(1, 2)), Session::new(&keys(2, 1)));
        for sequence in [65_535, 0, last] {
            let secret = sent(&mut there, sequence);
            assert!(is_taken(&mut here, &secret));
        }
        let counted = there.outbound.0.streams.clone();
        for (ours, theirs) in [(1, 3), (1, 4)] {
            here.change(&keys(ours, theirs));
            there.change(&keys(theirs, ours));
            if reports_first {
                let mut report = report(1);
                there.protect_rtcp(&mut report, 0);
                assert!(here.unprotect_rtcp(&mut report).is_ok());
            }
        }
        if keeps {
            there.outbound.0.streams = counted;
        }
        (here, there)
    }

    #[test]
    fn a_new_key_goes_on_with_the_roll_over_counter_or_begins_anew() {
        for (last, keeps, reports_first) in
            [(7, true, false), (7, false, false), (7, true, true), (2000, false, true)]
        {
            let (mut here, mut there) = re_keyed(last, keeps, reports_first);
            let mut forged = sent(&mut Session::new(&keys(5, 1)), 8);
            assert!(here.unprotect_rtp(&mut forged.clone()).is_err());
            assert_eq!(here.unprotect_rtp(&mut forged), Err(Refused::NotAuthentic));
            for ahead in [1, 3, 2] {
                let secret = sent(&mut there, last.wrapping_add(ahead));
                assert!(is_taken(&mut here, &secret), "{last} {keeps} {reports_first}: {ahead}");
                assert!(!is_taken(&mut here, &secret), "once");
            }
            // By then it is known how it counts.
            let (_, mut other) = re_keyed(last, !keeps, false);
            let secret = sent(&mut other, last.wrapping_add(4));
            assert!(!is_taken(&mut here, &secret), "{last} {keeps} {reports_first}");
        }
    }

    /// The key changes with the packet at which the counter rolls over.
    #[test]
    fn a_new_key_where_the_roll_over_counter_rises() {
        let (mut here, mut there) = (Session::new(&keys(1, 2)), Session::new(&keys(2, 1)));
        let secret = sent(&mut there, 65_535);
        assert!(is_taken(&mut here, &secret));
        let counted = there.outbound.0.streams.clone();
        here.change(&keys(1, 3));
        there.change(&keys(3, 1));
        there.outbound.0.streams = counted;
        for sequence in [0, 1] {
            let secret = sent(&mut there, sequence);
            assert!(is_taken(&mut here, &secret), "{sequence}");
        }
    }

    /// The name of a key that stays may change; its indices go on.
    #[test]
    fn a_key_that_is_named_anew_keeps_its_place() {
        let named = |ours, theirs, mki| {
            let mki = Mki::new(mki, 4);
            Keys { our_mki: mki, their_mki: mki, ..keys(ours, theirs) }
        };
        let (mut here, mut there) = (Session::new(&named(1, 2, 1)), Session::new(&named(2, 1, 1)));
        let first = sent(&mut here, 7);
        assert!(is_taken(&mut there, &first));
        here.change(&named(1, 2, 2));
        assert!(sent(&mut here, 7).is_empty(), "an index is used once");
        let next = sent(&mut here, 8);
        assert!(!is_taken(&mut there, &next), "it names another key");
        there.change(&named(2, 1, 2));
        assert!(is_taken(&mut there, &next));
        assert!(!is_taken(&mut there, &next), "and is taken once");
    }

    /// Only our key changes: what the peer has sent is still not taken twice.
    #[test]
    fn each_direction_changes_by_itself() {
        let (mut here, mut there) = (Session::new(&keys(1, 2)), Session::new(&keys(2, 1)));
        let first = sent(&mut there, 7);
        assert!(is_taken(&mut here, &first));
        here.change(&keys(3, 2));
        assert!(!is_taken(&mut here, &first));
        there.change(&keys(2, 3));
        assert!(sent(&mut there, 7).is_empty());
        let next = sent(&mut here, 7);
        assert!(is_taken(&mut there, &next));
    }
}
