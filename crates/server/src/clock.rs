//! The only clock of the product. Everything below `server` gets its time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_call::Now;
use offhook_call::event::UnixMs;

/// What the kernel has stamped is not older than this; a stamp that is has been overtaken by the clock, which was set.
const OLDEST: Duration = Duration::from_secs(1);

/// One moment by both clocks, finer than [`Now`]: for what the kernel stamps by the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// By the monotonic clock.
    pub mono: Instant,
    /// By the wall clock, since 1970.
    wall: Duration,
}

impl Clocks {
    /// The moment of a stamp; this one, where the clock has been set since.
    pub fn moment(self, stamp: Duration) -> Instant {
        let age = self.wall.checked_sub(stamp).filter(|age| *age < OLDEST).unwrap_or_default();
        self.mono.checked_sub(age).unwrap_or(self.mono)
    }
}

/// The moment this is called, by the monotonic clock and by the wall clock.
pub fn now() -> Now {
    let Clocks { mono, wall } = both();
    Now { mono, wall: UnixMs(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)) }
}

/// The same, as fine as the clocks are.
#[allow(clippy::disallowed_methods, reason = "this is the place that reads the clocks")]
pub fn both() -> Clocks {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Clocks { mono: Instant::now(), wall }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_a_moment_unless_the_clock_was_set() {
        let clocks = both();
        let ms = Duration::from_millis;
        for (age, expected) in [(0, 0), (75, 75), (999, 999), (1_000, 0), (3_600_000, 0)] {
            assert_eq!(clocks.moment(clocks.wall - ms(age)), clocks.mono - ms(expected), "{age} ms ago");
        }
        assert_eq!(clocks.moment(clocks.wall + ms(3_600_000)), clocks.mono);
    }
}
