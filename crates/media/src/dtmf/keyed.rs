//! Where keys lie in what is heard.
//!
//! ```text
//!   tone               a frame, and the two before it, since a tone is known as a key that late (`mute.rs`)
//!   telephone-event    from what is in the jitter buffer when its first packet comes, less the audio that was sent beside
//!                      it, to what is in there when its last one comes
//! ```
//! Counted in ticks of what is heard.

use std::ops::Range;
use std::time::Duration;

use super::mute::Mute;
use crate::codec::{FRAME_TICKS, TICKS};

/// Telephone-events that are known and not over in what is heard. A jitter buffer of 200 ms has no more presses in it that
/// anybody could make; of more, the last ones become one.
const MOST: usize = 4;

/// What of a frame belongs to keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// How much before the frame, too.
    before: u64,
    within: Range<u64>,
}

impl Keyed {
    /// The tone of a key has just been found in a frame, or goes on.
    pub fn by_tone() -> Self {
        Self { before: ticks_in(Mute::DELAY), within: 0..FRAME_TICKS as u64 }
    }

    /// What belongs to either.
    pub(crate) fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let within = self.within.start.min(other.within.start)..self.within.end.max(other.within.end);
        Self { before: self.before.max(other.before), within }
    }

    /// Silences what belongs to keys in a frame.
    pub(crate) fn silence(&self, frame: &mut [i16]) {
        let place = |ticks: u64| usize::try_from(ticks).unwrap_or(usize::MAX) * frame.len() / FRAME_TICKS;
        let range = place(self.within.start).min(frame.len())..place(self.within.end).min(frame.len());
        frame[range].fill(0);
    }

    /// Silences what belongs to keys in the frame before, or so many frames before that.
    pub(crate) fn silence_earlier(&self, frame: &mut [i16], ago: usize) {
        let ticks = self.before.saturating_sub((ago * FRAME_TICKS) as u64).min(FRAME_TICKS as u64);
        let samples = usize::try_from(ticks).unwrap_or(usize::MAX) * frame.len() / FRAME_TICKS;
        let begin = frame.len() - samples;
        frame[begin..].fill(0);
    }

    /// Silences what belongs to keys in samples that were heard just before the frame, at a rate.
    pub(crate) fn silence_before(&self, earlier: &mut [i16], rate: u32) {
        let samples = usize::try_from(self.before * u64::from(rate) / u64::from(TICKS)).unwrap_or(usize::MAX);
        let begin = earlier.len().saturating_sub(samples);
        earlier[begin..].fill(0);
    }
}

/// Telephone-events on their way through the jitter buffer.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// What has been heard.
    heard: u64,
    /// From where to where, if it is over; in order.
    events: Vec<(u64, Option<u64>)>,
    /// How much before the next frame the last one began.
    before: u64,
}

impl Events {
    /// One begins so much after what was heard last, or before if negative.
    pub(crate) fn begin(&mut self, until: i64) {
        self.before = self.before.max(until.min(0).unsigned_abs());
        if self.events.len() < MOST {
            self.events.push((self.heard + until.max(0).unsigned_abs(), None));
        } else if let Some((_, end)) = self.events.last_mut() {
            *end = None;
        }
    }

    /// The last one is over, so much after what was heard last.
    pub(crate) fn end(&mut self, until: u64) {
        let at = self.heard + until;
        if let Some((_, end)) = self.events.last_mut() {
            end.get_or_insert(at);
        }
    }

    /// Nobody hears what is in the jitter buffer.
    pub(crate) fn forget(&mut self) {
        self.events.retain(|(_, end)| end.is_none());
        for (begin, _) in &mut self.events {
            *begin = (*begin).min(self.heard);
        }
        self.before = 0;
    }

    /// The next frame is heard. Returns what of it belongs to events.
    pub(crate) fn frame(&mut self) -> Option<Keyed> {
        if self.events.is_empty() {
            return None;
        }
        let (begin, end) = (self.heard, self.heard + FRAME_TICKS as u64);
        let (before, mut keyed) = (std::mem::take(&mut self.before), None);
        for &(from, to) in &self.events {
            let within = from.max(begin)..to.map_or(end, |to| to.min(end));
            if within.start < within.end {
                let within = within.start - begin..within.end - begin;
                keyed = Some(Keyed { before, within }.and(keyed));
            }
        }
        self.events.retain(|(_, to)| to.is_none_or(|to| to > end));
        // While there is no event, nobody counts.
        self.heard = end;
        keyed
    }
}

/// Ticks in a short time.
pub(crate) fn ticks_in(time: Duration) -> u64 {
    u64::try_from(time.as_micros() * u128::from(TICKS) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    /// The first and last millisecond of each frame that belongs to events.
    fn frames(events: &mut Events, count: usize) -> Vec<Option<(u64, u64)>> {
        let ms = |keyed: Keyed| (keyed.within.start / 48, keyed.within.end / 48);
        (0..count).map(|_| events.frame().map(ms)).collect()
    }

    #[test]
    fn an_event_is_heard_once_the_jitter_buffer_reaches_it() {
        let mut events = Events::default();
        events.begin(30 * MS);
        assert_eq!(frames(&mut events, 3), [None, Some((10, 20)), Some((0, 20))]);
        events.end(5 * 48);
        assert_eq!(frames(&mut events, 2), [Some((0, 5)), None]);
        events.begin(0);
        events.end(20 * 48);
        events.begin(30 * MS);
        events.end(35 * 48);
        assert_eq!(frames(&mut events, 3), [Some((0, 20)), Some((10, 15)), None]);
    }

    #[test]
    fn what_was_heard_already_is_silenced_in_what_is_kept() {
        let mut events = Events::default();
        events.begin(-10 * MS);
        let keyed = events.frame().unwrap();
        let (mut earlier, mut frame) = ([1; 160], [1; 160]);
        keyed.silence_before(&mut earlier, 8000);
        keyed.silence(&mut frame);
        assert_eq!((earlier[79], earlier[80], frame), (1, 0, [0; 160]));
        let keyed = Keyed::by_tone().and(events.frame());
        assert_eq!(keyed, Keyed { before: 1920, within: 0..960 });
    }

    #[test]
    fn what_nobody_hears_is_forgotten_but_for_a_key_that_is_still_pressed() {
        let mut events = Events::default();
        events.begin(30 * MS);
        events.end(50 * 48);
        events.begin(70 * MS);
        events.forget();
        assert_eq!(frames(&mut events, 2), [Some((0, 20)), Some((0, 20))]);
    }
}
