//! By what time events and records of calls become too old. A wall clock that is wrong for a moment must not take away what is
//! kept for a year, so the stamps of events are believed only as far as the monotonic clock bears them out.
//!
//! ```text
//!   stamps       ────────┐ set back                  ┌── +400 days ──┐
//!                        └──────────────────────────┘               └─────
//!   this clock   ────────┐                           /  twice as fast
//!                        └──────────────────────────/───────────────┐─────
//! ```
//! It is never ahead of the stamps, but that it goes on while nothing happens; and where they are ahead of it, it goes twice as fast
//! as the time that really passes until it has caught up. At a start nothing is known of the time since the last end: where
//! the stamps of what is kept, and the first of this run, are days apart from each other, it may be that, or that the clock is wrong, and
//! somebody has an hour to put it right.

use std::time::{Duration, Instant};

/// Stamps that are as far from each other are doubted, in milliseconds: four days, more than a long weekend without a call.
const DOUBT_MS: i64 = 4 * 86_400_000;

/// How long a start with such stamps deletes nothing for its age.
const HOUR: Duration = Duration::from_secs(3600);

/// A time at which nothing is too old.
pub(crate) const BEFORE_ALL: i64 = i64::MIN;

/// Such a clock.
#[derive(Debug)]
pub(super) struct AgeClock {
    begin: Instant,
    /// The newest stamp of former runs.
    former: Option<i64>,
    /// What it showed when an event was seen last.
    last: Option<(Instant, i64)>,
    /// Whether it shows nothing for an hour.
    is_doubted: bool,
}

impl AgeClock {
    /// At the start, given the stamps of what is kept, in the order in which it happened.
    pub(super) fn new(now: Instant, stamps: &[i64]) -> Self {
        let mut clock = Self { begin: now, former: None, last: None, is_doubted: false };
        stamps.iter().for_each(|stamp| clock.follow(*stamp));
        clock
    }

    /// Where no event is kept the last record of a call says when the node was there.
    pub(super) fn knows(&mut self, stamp: Option<i64>) {
        self.former = self.former.or(stamp);
    }

    fn follow(&mut self, stamp: i64) {
        self.is_doubted |= self.former.is_some_and(|former| stamp.saturating_sub(former) > DOUBT_MS);
        self.former = Some(stamp);
    }

    /// An event of this time is written.
    pub(super) fn saw(&mut self, now: Instant, stamp: i64) {
        let Some((at, shown)) = self.last else {
            self.follow(stamp);
            if self.is_doubted {
                tracing::warn!(
                    "what is kept and the clock are days apart: for an hour nothing is deleted for its age"
                );
            }
            self.last = Some((now, stamp));
            return;
        };
        let passed = millis(now.saturating_duration_since(at));
        let most = shown.saturating_add(passed.saturating_mul(2));
        if self.is_in_doubt(now) || stamp <= most {
            self.last = Some((now, stamp));
        } else if passed > 0 {
            // Less than a millisecond is not lost by being asked often.
            self.last = Some((now, most));
        }
    }

    /// What it shows, Unix time in milliseconds.
    pub(super) fn at(&self, now: Instant) -> i64 {
        match self.last {
            Some((at, shown)) if !self.is_in_doubt(now) => {
                shown.saturating_add(millis(now.saturating_duration_since(at)))
            }
            _ => BEFORE_ALL,
        }
    }

    fn is_in_doubt(&self, now: Instant) -> bool {
        self.is_doubted && now < self.begin + HOUR
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A second of events a millisecond apart, by a clock that is off.
    fn second(clock: &mut AgeClock, begin: Instant, stamp: i64) -> i64 {
        for n in 0..1_000 {
            clock.saw(begin + ms(n), stamp + n.cast_signed());
        }
        clock.at(begin + ms(1_000))
    }

    #[test]
    fn a_clock_that_jumps_ages_nothing_faster_than_twice() {
        let begin = crate::clock::now().mono;
        let mut clock = AgeClock::new(begin, &[0, DAY]);
        assert_eq!(clock.at(begin), BEFORE_ALL, "nothing is known yet");
        assert_eq!(second(&mut clock, begin, 2 * DAY), 2 * DAY + 1_000);
        let ahead = second(&mut clock, begin + ms(1_000), 402 * DAY);
        assert!((2 * DAY + 2_000..=2 * DAY + 3_000).contains(&ahead), "{ahead}");
        assert_eq!(second(&mut clock, begin + ms(2_000), 2 * DAY + 2_000), 2 * DAY + 3_000);
        // Set back, and right again.
        assert_eq!(second(&mut clock, begin + ms(3_000), 2 * DAY - 3_597_000), 2 * DAY - 3_596_000);
        let again = second(&mut clock, begin + ms(4_000), 2 * DAY + 4_000);
        assert!((2 * DAY - 3_595_000..=2 * DAY - 3_594_000).contains(&again), "{again}");
        clock.saw(begin + ms(2 * 3_600_000), 2 * DAY + 2 * 3_600_000);
        assert_eq!(clock.at(begin + ms(2 * 3_600_000)), 2 * DAY + 2 * 3_600_000, "it has caught up");
        assert_eq!(clock.at(begin + ms(3 * 3_600_000)), 2 * DAY + 3 * 3_600_000, "it goes on without events");
    }

    /// A quiet node has records of calls, and no events.
    #[test]
    fn a_record_of_a_call_is_known_where_no_event_is() {
        let begin = crate::clock::now().mono;
        for (kept, is_doubted) in [(vec![], true), (vec![6 * DAY], false)] {
            let mut clock = AgeClock::new(begin, &kept);
            clock.knows(Some(DAY));
            clock.saw(begin, 7 * DAY);
            assert_eq!(clock.at(begin) == BEFORE_ALL, is_doubted, "{kept:?}");
        }
    }

    #[test]
    fn a_start_days_after_the_last_event_deletes_nothing_for_an_hour() {
        let begin = crate::clock::now().mono;
        let almost = begin + HOUR - ms(1);
        for (kept, first, is_doubted) in [
            (vec![], 400 * DAY, false),
            (vec![0, DAY], 5 * DAY, false),
            (vec![0, DAY], 5 * DAY + 1, true),
            // The second start with a clock that is wrong.
            (vec![0, DAY, 401 * DAY], 401 * DAY + 1, true),
            // It is right again.
            (vec![0, DAY, 401 * DAY], DAY + 1, true),
            (vec![3 * DAY], 2 * DAY, false),
        ] {
            let mut clock = AgeClock::new(begin, &kept);
            clock.saw(begin, first);
            let expected = if is_doubted { BEFORE_ALL } else { first };
            assert_eq!(clock.at(begin), expected, "{kept:?}, {first}");
            clock.saw(almost, DAY);
            assert_eq!(clock.at(almost) == BEFORE_ALL, is_doubted, "{kept:?}, {first}");
            assert_eq!(clock.at(begin + HOUR), DAY + 1, "whatever it was, it is right by then");
        }
    }
}
