//! What each source may still send. The table is bounded: sources that have been quiet are forgotten first, which loses
//! nothing (a full bucket is the same as none), and where all are busy the newcomers share one place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::bucket::Bucket;

/// The most sources that are told apart: more than a carrier has border controllers, and 300 KiB.
const MAX_SOURCES: usize = 4096;
/// How often a full table is looked through for sources that have been quiet. A bucket fills up in a second, so sooner
/// there is hardly anything new to find.
const SWEEP: Duration = Duration::from_secs(1);
/// The rate of requests and responses inside of calls, by that outside of them: a call that one INVITE begins has an
/// ACK, a BYE, responses to ours, and now and then an INFO or a refresh.
const INSIDE: u32 = 4;

/// Which of its budgets a message is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It begins something.
    Outside,
    /// It says that it belongs to something that has begun. It has a budget of its own, so that calls can end while new
    /// ones are too many.
    Inside,
}

/// The budgets of one source, or of all strangers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source {
    outside: Bucket,
    inside: Bucket,
    /// Whether it has been told 503 since it last had a request taken.
    told: bool,
}

impl Source {
    /// Takes one message where the budget allows it; `rate` is that of [`Kind::Outside`].
    pub(crate) fn take(&mut self, now: Instant, kind: Kind, rate: u32) -> bool {
        match kind {
            Kind::Outside => {
                let taken = self.outside.take(now, rate);
                self.told &= !taken;
                taken
            }
            Kind::Inside => self.inside.take(now, rate.saturating_mul(INSIDE)),
        }
    }

    /// Whether it is to be told that it sends too much: once, until it has a request taken again.
    pub(crate) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.outside.is_full(now) && self.inside.is_full(now)
    }
}

/// The sources that have been heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    table: HashMap<IpAddr, Source>,
    /// For those the table has no room for.
    rest: Source,
    swept: Option<Instant>,
}

impl Sources {
    /// The budgets of a source. IPv6 addresses of one /64 are one source: that is what a single host is given
    /// (RFC 6177), and it may use any of them.
    pub(crate) fn of(&mut self, now: Instant, address: IpAddr) -> &mut Source {
        let key = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        };
        if self.table.len() >= MAX_SOURCES && !self.table.contains_key(&key) {
            self.sweep(now);
            if self.table.len() >= MAX_SOURCES {
                return &mut self.rest;
            }
        }
        self.table.entry(key).or_default()
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| swept + SWEEP <= now) {
            self.swept = Some(now);
            self.table.retain(|_, source| !source.is_idle(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    fn take(sources: &mut Sources, ms: u64, address: &str, kind: Kind) -> bool {
        let now = epoch() + Duration::from_millis(ms);
        sources.of(now, address.parse().unwrap()).take(now, kind, 2)
    }

    #[test]
    fn each_source_has_its_own_and_calls_have_theirs() {
        let mut sources = Sources::default();
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            let taken = |_: &u32| take(&mut sources, 0, address, Kind::Outside);
            assert_eq!((0..9).filter(taken).count(), 2, "{address}");
        }
        assert!(!take(&mut sources, 0, "::ffff:192.0.2.1", Kind::Outside), "the same, mapped");
        assert!(!take(&mut sources, 0, "2001:db8::ffff:2", Kind::Outside), "the same /64");
        assert!(take(&mut sources, 0, "2001:db8:0:1::1", Kind::Outside));
        let inside = (0..20).filter(|_| take(&mut sources, 0, "192.0.2.1", Kind::Inside)).count();
        assert_eq!(inside, 8);
    }

    #[test]
    fn told_once_until_taken_again() {
        let mut source = Source::default();
        assert!(source.take(epoch(), Kind::Outside, 1));
        assert!(!source.take(epoch(), Kind::Outside, 1));
        assert_eq!((source.tell(), source.tell()), (true, false));
        assert!(source.take(epoch() + Duration::from_secs(2), Kind::Outside, 1));
        assert!(source.tell());
    }

    #[test]
    fn s3_the_table_of_sources_is_bounded() {
        let mut sources = Sources::default();
        let address = |number: usize| std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).to_string();
        for number in 0..MAX_SOURCES {
            assert!(take(&mut sources, 0, &address(number), Kind::Outside));
        }
        // All are busy: newcomers share what one source has.
        let newcomers: Vec<bool> = (0..9)
            .map(|number| take(&mut sources, 400, &address(MAX_SOURCES + number), Kind::Outside))
            .collect();
        assert_eq!(newcomers.iter().filter(|&&taken| taken).count(), 2);
        assert_eq!(sources.table.len(), MAX_SOURCES);
        // A second after the last look the quiet ones are gone.
        assert!(take(&mut sources, 1400, "203.0.113.9", Kind::Outside));
        assert_eq!(sources.table.len(), 1);
    }
}
