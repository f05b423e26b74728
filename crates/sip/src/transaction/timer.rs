//! Timers (RFC 3261 §17, appendix A). A deadline is state: each transaction and session says when it next wants to be
//! called, and [`Deadlines`] is the index over all of them. Nothing is ever scheduled, so nothing can fire late for a
//! state that is gone.
//!
//! | timer | in | is |
//! |---|---|---|
//! | A | `invite_client` Calling | INVITE retransmission: T1, doubling; UDP only |
//! | B | `invite_client` Calling | nobody answers: 64·T1 |
//! | D | `invite_client` Completed | retransmitted refusals are acknowledged: 64·T1; 0 on TCP |
//! | M | `invite_client` Accepted | further 2xx are passed up: 64·T1 (RFC 6026) |
//! | E | `client` Trying, Proceeding | request retransmission: T1, doubling to T2; UDP only |
//! | F | `client` Trying, Proceeding | nobody answers: 64·T1 |
//! | K | `client` Completed | retransmitted responses are absorbed: T4; 0 on TCP |
//! | | `invite_server` Proceeding | nothing was sent yet: 100 after 200 ms (§17.2.1) |
//! | G | `invite_server` Completed | retransmission of the refusal: T1, doubling to T2; UDP only |
//! | H | `invite_server` Completed | no ACK comes: 64·T1 |
//! | I | `invite_server` Confirmed | retransmitted ACKs are absorbed: T4; 0 on TCP |
//! | L | `invite_server` Accepted | retransmitted INVITEs are absorbed: 64·T1 (RFC 6026) |
//! | C | `session::outbound` Proceeding | nobody answers after the last 101–199: 180 s (§16.6) |
//! | J | `server` Completed | the response is repeated: 64·T1; 0 on TCP |

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The base values of all timers (RFC 3261 appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// An estimate of the round trip; 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
    /// Timer C: how long after the last 101–199 an INVITE of ours is given up; 180 s.
    pub c: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(180),
        }
    }
}

impl Timers {
    /// 64·T1, 32 s by default: after it a transaction has failed, and its duplicates have died out.
    pub(crate) fn timeout(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// A retransmission with a growing interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retransmit {
    /// When the next one is due.
    pub(crate) at: Instant,
    interval: Duration,
}

impl Retransmit {
    /// The first one, T1 from now.
    pub(crate) fn after(now: Instant, t1: Duration) -> Self {
        Self { at: now + t1, interval: t1 }
    }

    /// The one after this: twice the interval, up to `cap`. Counted from now, so that a process that stood still for
    /// a while sends one message and not a burst (reliability E6).
    pub(crate) fn doubled(self, now: Instant, cap: Duration) -> Self {
        // An interval of zero, which only a strange configuration brings, would never let the time pass.
        const SHORTEST: Duration = Duration::from_millis(1);
        let interval = self.interval.saturating_mul(2).min(cap).max(SHORTEST);
        Self { at: now + interval, interval }
    }

    /// The next one with the interval of T2 (a request in Proceeding, RFC 3261 §17.1.2.2).
    pub(crate) fn slowed(now: Instant, t2: Duration) -> Self {
        Self { at: now + t2, interval: t2 }
    }
}

/// The index of deadlines: who wants to be called next, and when.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    pub(crate) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }

    /// Moves, sets or (with `None`) removes the one deadline of a key.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Whose deadline has come, in order. They stay in the index until they are set anew.
    pub(crate) fn due(&self, now: Instant) -> Vec<K> {
        self.by_time.iter().take_while(|&&(at, _)| at <= now).map(|&(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    #[test]
    fn one_deadline_per_key_in_order() {
        let at = |ms| epoch() + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        deadlines.set(1, Some(at(30)));
        deadlines.set(2, Some(at(20)));
        deadlines.set(1, Some(at(10)));
        deadlines.set(3, Some(at(40)));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.due(at(20)), [1, 2]);
        deadlines.set(1, None);
        deadlines.set(2, None);
        assert_eq!((deadlines.due(at(39)), deadlines.next()), (vec![], Some(at(40))));
    }

    #[test]
    fn intervals_of_a_2xx() {
        let timers = Timers::default();
        let mut next = Retransmit::after(epoch(), timers.t1);
        let mut at = Vec::new();
        while next.at <= epoch() + timers.timeout() {
            at.push((next.at - epoch()).as_millis());
            next = next.doubled(next.at, timers.t2);
        }
        // RFC 3261 §13.3.1.4: T1, doubling to T2, for 64·T1.
        assert_eq!(at, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    }
}
