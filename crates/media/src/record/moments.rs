//! The moments at which a recording begins, pauses and ends: as much later than it is told to as the jitter buffer held back
//! when it began. So it has what was said meanwhile and not what was heard meanwhile, and is as long as that took. What the
//! jitter buffer holds changes, so it begins anew after each pause, and of what is said in that nothing is recorded.
//!
//! ```text
//!   said         ……│a b c d e f│……        told to record between the bars
//!   heard        ……│· · a b c d│e f……     two frames later
//!                       └─────────┘        what is recorded
//! ```
//! Counted in ticks that have passed since it began, pauses included.

use crate::playout::{FIRST_TARGET, Stream};

/// What comes first of what is heard, and is not to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// So much, in ticks, had been said before.
    Before(u64),
    /// Nothing is heard yet: what the jitter buffer takes to fill, of which so much has passed. Of one that says nothing it is
    /// what that takes at least.
    Unheard {
        /// In ticks.
        filled: u64,
    },
}

/// What has been asked of a recording that is under way.
#[derive(Debug)]
pub(super) struct Moments {
    lead: Lead,
    /// How much was left out at the beginning, or held back at the end of the last pause, and everything else is later by.
    delay: u64,
    passed: u64,
    is_paused: bool,
    /// The pause that begins or ends then.
    turn: Option<u64>,
    end: Option<u64>,
}

impl Moments {
    pub(super) fn new() -> Self {
        Self { lead: Lead::Before(0), delay: 0, passed: 0, is_paused: false, turn: None, end: None }
    }

    /// It begins now, with this to be left out.
    pub(super) fn begin(&mut self, lead: Lead) {
        self.lead = lead;
    }

    /// The next frame of so many ticks. Returns how much of its beginning is to be left out; none in a pause, which is all
    /// of it.
    pub(super) fn frame(&mut self, ticks: u64, stream: Stream) -> Option<u64> {
        self.turn_if_due();
        self.passed += ticks;
        let left_out = match (&mut self.lead, stream) {
            (Lead::Before(rest), _) => {
                let left_out = ticks.min(*rest);
                *rest -= left_out;
                left_out
            }
            (lead @ Lead::Unheard { .. }, Stream::Heard) => {
                *lead = Lead::Before(0);
                0
            }
            (Lead::Unheard { filled }, Stream::Filling) => {
                *filled += ticks;
                ticks.min(filled.saturating_sub(self.delay))
            }
            (Lead::Unheard { .. }, Stream::None) => {
                ticks.min((FIRST_TARGET as u64).saturating_sub(self.delay))
            }
        };
        self.delay += left_out;
        (!self.is_paused).then_some(left_out)
    }

    /// How much everything is later by.
    pub(super) fn delay(&self) -> u64 {
        self.delay
    }

    fn turn_if_due(&mut self) {
        if self.turn.take_if(|turn| *turn <= self.passed).is_some() {
            self.is_paused = !self.is_paused;
        }
    }

    /// What is said from now on is, or is not, to be recorded: it is heard after so many ticks, if that is known. Two turns
    /// within the delay are none.
    pub(super) fn pause(&mut self, is_paused: bool, until: Option<u64>) {
        self.turn_if_due();
        let will_be = self.is_paused != self.turn.is_some();
        if is_paused != will_be {
            self.turn = match self.turn {
                Some(_) => None,
                // As an end, by the clock; but no later than the first that is not to be recorded.
                None if is_paused => Some(self.passed + until.unwrap_or(self.delay).min(self.delay)),
                // As a beginning.
                None => {
                    self.delay = until.map_or(self.delay, |until| until.saturating_sub(self.lead()));
                    Some(self.passed + until.unwrap_or(self.delay))
                }
            };
        }
        self.turn_if_due();
    }

    /// Whether it takes nothing at present.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Nothing that is said from now on is to be recorded.
    pub(super) fn end(&mut self) {
        let end = self.passed + self.delay;
        self.end.get_or_insert(end);
    }

    /// Once it was told to end: how many ticks have passed since that moment, if it has come. A pause does not wait for it.
    pub(super) fn since_end(&self) -> Option<u64> {
        let end = self.end?;
        let is_over = self.is_paused && self.turn.is_none();
        if is_over { Some(0) } else { self.passed.checked_sub(end) }
    }

    /// Whether it has been told to end.
    pub(super) fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// How much of what is heard next is to be left out.
    pub(super) fn lead(&self) -> u64 {
        match self.lead {
            Lead::Before(rest) => rest,
            Lead::Unheard { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs frames of 10 ms. Returns for each how many milliseconds of it are recorded.
    fn frames(moments: &mut Moments, count: usize, stream: Stream) -> Vec<u64> {
        let frame = |_| moments.frame(480, stream).map_or(0, |left_out| 10 - left_out / 48);
        (0..count).map(frame).collect()
    }

    fn begun(ms: u64) -> Moments {
        let mut moments = Moments::new();
        moments.begin(Lead::Before(ms * 48));
        moments
    }

    #[test]
    fn what_was_said_before_is_left_out_and_what_was_said_until_the_end_is_not() {
        let mut moments = begun(25);
        assert_eq!(frames(&mut moments, 5, Stream::Heard), [0, 0, 5, 10, 10]);
        moments.end();
        assert_eq!(moments.since_end(), None);
        frames(&mut moments, 2, Stream::Heard);
        assert_eq!(moments.since_end(), None);
        frames(&mut moments, 1, Stream::Heard);
        assert_eq!(moments.since_end(), Some(5 * 48));
    }

    /// Each time that nothing came and that the buffer took to fill, in frames, and how many are left out then.
    #[test]
    fn what_fills_the_buffer_is_left_out_until_something_is_heard() {
        for (none, filling, expected) in
            [(0, 2, 2), (0, 12, 12), (1, 2, 2), (3, 3, 3), (9, 2, 4), (9, 12, 12), (9, 0, 4)]
        {
            let mut moments = Moments::new();
            moments.begin(Lead::Unheard { filled: 0 });
            let mut recorded = frames(&mut moments, none, Stream::None);
            recorded.extend(frames(&mut moments, filling, Stream::Filling));
            let left_out = recorded.iter().filter(|ms| **ms == 0).count();
            assert_eq!(left_out, expected, "{none} and {filling}: {recorded:?}");
            assert_eq!(frames(&mut moments, 2, Stream::Heard), [10, 10]);
            // What stops later fills it again, which takes its time in the file.
            assert_eq!(frames(&mut moments, 2, Stream::Filling), [10, 10]);
            assert_eq!(moments.delay(), 480 * expected as u64);
        }
    }

    #[test]
    fn a_pause_is_as_late_as_the_beginning() {
        let mut moments = begun(20);
        frames(&mut moments, 3, Stream::Heard);
        moments.pause(true, None);
        assert_eq!(frames(&mut moments, 4, Stream::Heard), [10, 10, 0, 0]);
        moments.pause(true, None);
        moments.pause(false, None);
        assert_eq!(frames(&mut moments, 4, Stream::Heard), [0, 0, 10, 10]);
        // What was told to pause first and then to end has nothing to wait for but the pause.
        moments.pause(true, None);
        frames(&mut moments, 1, Stream::Heard);
        moments.end();
        assert_eq!(frames(&mut moments, 2, Stream::Heard), [10, 0]);
        assert_eq!(moments.since_end(), Some(0));
    }

    #[test]
    fn two_turns_within_the_delay_are_none() {
        let mut moments = begun(20);
        frames(&mut moments, 2, Stream::Heard);
        moments.pause(true, None);
        moments.pause(false, None);
        assert_eq!(frames(&mut moments, 3, Stream::Heard), [10, 10, 10]);
    }

    /// Begun with 20 ms in the jitter buffer: what is said in a pause is not recorded, whatever is in there at its ends, and what
    /// follows it is, for as long as it lasts.
    #[test]
    fn a_pause_is_of_what_is_said_in_it() {
        let ms = |ms: u64| Some(ms * 48);
        for (first, then, expected) in
            [(20, 50, "rr_____rrr"), (50, 50, "rr_____rrr"), (10, 10, "r__rrr"), (0, 20, "__ __rrr")]
        {
            let mut moments = begun(20);
            frames(&mut moments, 3, Stream::Heard);
            moments.pause(true, ms(first));
            let mut recorded = frames(&mut moments, 2, Stream::Heard);
            moments.pause(false, ms(then));
            recorded.extend(frames(&mut moments, 3, Stream::Heard));
            moments.end();
            while moments.since_end().is_none() {
                recorded.extend(frames(&mut moments, 1, Stream::Heard));
            }
            let drawn: String = recorded.iter().map(|ms| if *ms == 10 { 'r' } else { '_' }).collect();
            assert_eq!(drawn, expected.replace(' ', ""), "{first} and {then}");
        }
    }
}
