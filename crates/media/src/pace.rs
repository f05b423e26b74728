//! The deadlines of frames: one every 20 ms of our clock, whenever the ticks come.
//!
//! ```text
//!   ticks    |      |      |          |  |      |                                    |      |
//!   frames   1      2      3          4  5      6      one skip for those nobody waits for, 7      8
//! ```

use std::time::{Duration, Instant};

use crate::FRAME;

/// Frames that a late tick makes up for, 200 ms: what a busy machine costs now and then, and no more than a jitter buffer
/// holds. After a longer standstill the peer has given up waiting, so those frames are skipped and the timestamps tell
/// the gap.
const MAX_CATCH_UP: u32 = 10;
/// How a frame's deadline follows the ticks that come: by this part of the difference, so that lateness of one tick does
/// not show and a driver that began its ticks anew is soon followed.
const FOLLOW: u32 = 16;

/// When the next frame is due; none before the first tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    due: Option<Instant>,
}

/// What is due at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Frames to let pass first, that nobody could hear any more.
    pub(crate) skip: u64,
    /// Frames to run.
    pub(crate) run: u64,
    /// When the first of these is due.
    first: Instant,
}

impl Due {
    /// When each of the frames to run is due, or `now`, if that is sooner.
    pub(crate) fn times(self, now: Instant) -> impl Iterator<Item = Instant> {
        let times = std::iter::successors(Some(self.first), |time| Some(*time + FRAME));
        times.zip(0..self.run).map(move |(time, _)| time.min(now))
    }
}

impl Pace {
    /// A tick. Says which frames are due, and goes on behind them.
    pub(crate) fn tick(&mut self, now: Instant) -> Due {
        let due = *self.due.get_or_insert(now);
        if now + FRAME / 2 < due {
            return Due { skip: 0, run: 0, first: due };
        }
        let behind = now.saturating_duration_since(due) + FRAME / 2;
        // Nearly always it is this one, and no division is needed to say so.
        let more = if behind < FRAME { 0 } else { behind.as_nanos() / FRAME.as_nanos() };
        let frames = u64::try_from(more).unwrap_or(u64::MAX).saturating_add(1);
        let run = if frames > u64::from(MAX_CATCH_UP) { 1 } else { frames };
        let next = due + FRAME * u32::try_from(frames).unwrap_or(u32::MAX);
        let on_time = now + FRAME;
        self.due = Some(match on_time.checked_duration_since(next) {
            Some(late) => next + late / FOLLOW,
            None => next - next.duration_since(on_time) / FOLLOW,
        });
        let first = due + FRAME * u32::try_from(frames - run).unwrap_or(u32::MAX);
        Due { skip: frames - run, run, first }
    }

    /// A frame that is due before this moment, if there is one that can still be made up for, and goes on behind it.
    pub(crate) fn before(&mut self, moment: Instant) -> Option<Instant> {
        let due = self.due.filter(|due| *due < moment && moment < *due + FRAME * MAX_CATCH_UP)?;
        self.due = Some(due + FRAME);
        Some(due)
    }

    /// Whether a tick has come yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.due.is_some()
    }

    /// Whether a whole frame has passed that should have been run.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due + FRAME <= now)
    }

    /// Microseconds at a moment from the deadline of the present frame on; negative before that.
    pub(crate) fn since(&self, moment: Instant) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let Some(due) = self.due else { return 0 };
        let (since, until) = (moment + FRAME, due);
        micros(since.saturating_duration_since(until)) - micros(until.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_every_20_ms_made_up_for_up_to_200() {
        #[allow(clippy::disallowed_methods, reason = "any instant serves as the epoch of a virtual clock")]
        let epoch = Instant::now();
        let mut pace = Pace::default();
        let mut check = |ms, skip, run| {
            let due = pace.tick(epoch + Duration::from_millis(ms));
            assert_eq!((due.skip, due.run), (skip, run), "at {ms} ms");
        };
        check(0, 0, 1);
        check(20, 0, 1);
        // Early by less than half a frame is this frame, by more is none.
        check(31, 0, 1);
        check(40, 0, 0);
        check(60, 0, 1);
        check(180, 0, 6);
        check(380, 0, 10);
        check(700, 15, 1);
        check(720, 0, 1);
    }
}
