//! One press of a key that is heard in several ways counts once.
//!
//! A gateway may send a press as telephone-events, leave its tone in the audio, and tell it by SIP INFO, all three. Each
//! way has its own receiver and its own delay:
//!
//! ```text
//! rfc4733  ├────press────┤                  told at its end
//! inband       ├────press────┤              later by the jitter buffer and the detector's block
//! info                       ◆              at the start or the end, by another path, perhaps retransmitted
//! ```
//!
//! Two reports are one press if they name the same key, came by different ways, and their stretches of time overlap or lie
//! closer than the ways can be apart. A way tells each of its presses once, so two reports by the same way are always two
//! presses, however close.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Key;
use crate::event::DigitSource;

/// How far apart telephone-events and tones of one press can be heard: the jitter buffer (up to 120 ms), the detector
/// (60 ms at either edge) and a tick.
const MEDIA_SKEW: Duration = Duration::from_millis(200);

/// How far apart a press can be heard in the media and by INFO: one retransmission (T1, 500 ms) and the transit.
const INFO_SKEW: Duration = Duration::from_millis(600);

/// How long a press is remembered. An INFO may be sent at the start of a press whose end the media tell; longer presses
/// than this are not made.
const MEMORY: Duration = Duration::from_secs(10);

/// The most presses remembered: twice what a person dials in ten seconds. Beyond it the oldest are forgotten, and a second
/// report of one of those would count as a press.
const MEMORY_PRESSES: usize = 64;

/// Remembers the presses that counted, to know second reports of them.
#[derive(Clone, Debug, Default)]
pub struct Dedup {
    presses: VecDeque<Press>,
}

#[derive(Clone, Debug)]
struct Press {
    key: Key,
    start: Instant,
    end: Instant,
    heard: Vec<DigitSource>,
}

impl Dedup {
    /// Nothing heard so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a press that begins now by the way `source` is one that was told by another.
    pub fn knows(&self, now: Instant, key: Key, source: DigitSource) -> bool {
        self.presses.iter().any(|press| press.is_also(key, source, now, now))
    }

    /// Whether a press that was just told counts. `now` is its end, as far as the way `source` knows, and `duration` its
    /// length.
    pub fn admit(&mut self, now: Instant, key: Key, source: DigitSource, duration: Duration) -> bool {
        while self.presses.front().is_some_and(|press| press.end + MEMORY < now) {
            self.presses.pop_front();
        }
        let start = now.checked_sub(duration).unwrap_or(now);
        if let Some(press) = self.presses.iter_mut().find(|press| press.is_also(key, source, start, now)) {
            press.heard.push(source);
            press.start = press.start.min(start);
            press.end = press.end.max(now);
            return false;
        }
        if self.presses.len() == MEMORY_PRESSES {
            self.presses.pop_front();
        }
        self.presses.push_back(Press { key, start, end: now, heard: vec![source] });
        true
    }
}

impl Press {
    /// Whether a report is of this press.
    fn is_also(&self, key: Key, source: DigitSource, start: Instant, end: Instant) -> bool {
        if key != self.key || self.heard.contains(&source) {
            return false;
        }
        let in_media = |source: &DigitSource| *source != DigitSource::Info;
        let skew = if in_media(&source) && self.heard.iter().any(in_media) { MEDIA_SKEW } else { INFO_SKEW };
        start <= self.end + skew && self.start <= end + skew
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigitSource::{Inband, Info, Rfc4733};

    #[allow(clippy::disallowed_methods, reason = "an epoch for a clock that the test owns")]
    fn epoch() -> Instant {
        Instant::now()
    }

    /// Reports as (end in ms, key, way, duration in ms), and which of them count.
    fn check(reports: &[(u64, char, DigitSource, u64)], expected: &[bool]) {
        let epoch = epoch();
        let mut dedup = Dedup::new();
        let counted: Vec<bool> = reports
            .iter()
            .map(|&(end, key, source, duration)| {
                let key = Key::from_char(key).unwrap();
                dedup.admit(epoch + Duration::from_millis(end), key, source, Duration::from_millis(duration))
            })
            .collect();
        assert_eq!(counted, expected);
    }

    #[test]
    fn three_ways_count_once_in_any_order() {
        check(
            &[(1000, '5', Rfc4733, 100), (1160, '5', Inband, 100), (1300, '5', Info, 250)],
            &[true, false, false],
        );
        check(
            &[(1000, '5', Info, 0), (1080, '5', Rfc4733, 100), (1190, '5', Inband, 90)],
            &[true, false, false],
        );
        check(&[(1000, '5', Inband, 100), (1000, '5', Rfc4733, 100)], &[true, false]);
    }

    #[test]
    fn presses_by_one_way_are_never_merged() {
        check(
            &[(1000, '1', Rfc4733, 40), (1080, '1', Rfc4733, 40), (1080, '1', Rfc4733, 40)],
            &[true, true, true],
        );
        check(&[(1000, '1', Info, 250), (1001, '1', Info, 250)], &[true, true]);
    }

    #[test]
    fn fast_presses_of_one_key_by_two_ways_count_as_many_as_they_are() {
        // 40 ms on and off; the tone is told 150 ms late, after the next two presses have been told.
        let reports = [
            (1040, '1', Rfc4733, 40),
            (1120, '1', Rfc4733, 40),
            (1190, '1', Inband, 40),
            (1200, '1', Rfc4733, 40),
            (1270, '1', Inband, 40),
            (1350, '1', Inband, 40),
        ];
        check(&reports, &[true, true, false, true, false, false]);
    }

    #[test]
    fn a_press_that_one_way_missed_counts_by_the_other() {
        // The tone of the first press was not heard; both tell the second.
        check(
            &[(1000, '2', Rfc4733, 100), (3000, '2', Rfc4733, 100), (3060, '2', Inband, 100)],
            &[true, true, false],
        );
        check(&[(1000, '2', Rfc4733, 100), (3000, '2', Inband, 100)], &[true, true]);
    }

    #[test]
    fn an_info_at_the_start_of_a_long_press_is_that_press() {
        check(&[(1000, '*', Info, 250), (6000, '*', Rfc4733, 5000)], &[true, false]);
    }

    #[test]
    fn a_retransmitted_info_is_that_press_but_a_tone_as_late_is_another() {
        check(&[(1000, '7', Rfc4733, 100), (1690, '7', Info, 100)], &[true, false]);
        check(&[(1000, '7', Rfc4733, 100), (1690, '7', Inband, 100)], &[true, true]);
    }

    #[test]
    fn different_keys_are_different_presses() {
        check(&[(1000, '1', Rfc4733, 100), (1000, '2', Inband, 100)], &[true, true]);
    }

    #[test]
    fn a_flood_is_remembered_up_to_the_limit() {
        let epoch = epoch();
        let mut dedup = Dedup::new();
        let key = Key::from_char('1').unwrap();
        for n in 0..1000 {
            assert!(dedup.admit(epoch + Duration::from_millis(n), key, Info, Duration::ZERO));
        }
        assert_eq!(dedup.presses.len(), MEMORY_PRESSES);
    }
}
