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

/// A moment for people to read, in UTC (RFC 3339 §5.6), to the second.
pub(crate) fn rfc3339(time: UnixMs) -> String {
    let (seconds, of_day) = (time.0.div_euclid(1000), time.0.div_euclid(1000).rem_euclid(86_400));
    // Days since 0000-03-01 of the Gregorian calendar, whose leap day is then the last of a year; in eras of 400 years.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `date --utc --date=@SECONDS +%FT%TZ`.
    #[test]
    fn a_moment_is_shown_as_a_date() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UnixMs(seconds * 1000 + 7)), expected);
        }
    }

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
