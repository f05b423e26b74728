//! A token bucket that is one instant (the generic cell rate algorithm, ITU-T I.371 annex A): the time at which it would
//! be full again. A bucket that is full is the same as none, so whoever forgets one forgets nothing.

use std::time::{Duration, Instant};

/// How much a full bucket holds: what its rate brings in this time.
const DEPTH: Duration = Duration::from_secs(1);

/// What a source may still do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// When it is full again; `None` where it always was.
    full: Option<Instant>,
}

impl Bucket {
    /// Takes one token, where there is one: `rate` come in a second, and as many lie in a full bucket.
    pub(crate) fn take(&mut self, now: Instant, rate: u32) -> bool {
        let Some(interval) = DEPTH.checked_div(rate) else { return false };
        let full = self.full.map_or(now, |full| full.max(now)) + interval;
        let taken = full.saturating_duration_since(now) <= DEPTH;
        if taken {
            self.full = Some(full);
        }
        taken
    }

    /// Whether nothing is missing.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full.is_none_or(|full| full <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    fn taken(bucket: &mut Bucket, now: Instant, tries: usize, rate: u32) -> usize {
        (0..tries).filter(|_| bucket.take(now, rate)).count()
    }

    #[test]
    fn a_second_of_burst_then_the_rate() {
        let mut bucket = Bucket::default();
        assert!(bucket.is_full(epoch()));
        assert_eq!(taken(&mut bucket, epoch(), 100, 10), 10);
        assert!(!bucket.is_full(epoch()));
        let after = |ms| epoch() + Duration::from_millis(ms);
        assert_eq!(taken(&mut bucket, after(99), 100, 10), 0);
        assert_eq!(taken(&mut bucket, after(100), 100, 10), 1);
        assert_eq!(taken(&mut bucket, after(350), 100, 10), 2);
        assert!(bucket.is_full(after(1400)));
        assert_eq!(taken(&mut bucket, after(60_000), 100, 10), 10, "never more than it holds");
    }

    #[test]
    fn rates_at_the_ends() {
        assert_eq!(taken(&mut Bucket::default(), epoch(), 3, 0), 0);
        assert_eq!(taken(&mut Bucket::default(), epoch(), 3, 1), 1);
        assert_eq!(taken(&mut Bucket::default(), epoch(), 10_000, u32::MAX), 10_000, "no interval at all");
    }
}
