//! When a media thread works: slots of 2 ms on absolute deadlines, one phase of the engine in each, and a sleep over
//! those in which nobody needs anything.
//!
//! ```text
//!   slot    0    1    2    3    4    5    6    7    8    9   10   11   12  …
//!   phase   0    1    2    3    4    5    6    7    8    9    0    1    2
//!   frame  ╰─────────────────────── 0 ───────────────────╯╰────── 1 ──────
//!   rests   ●                                                  ●              one phase a frame, so each in REST_FRAMES
//! ```
//! A phase whose legs have something to say or to hear in every frame is ticked in every frame; one whose legs are at
//! rest when its turn comes among those; and while packets are passed on from leg to leg, every slot looks for new ones.
//! A thread wakes at least once a frame, which is how long a packet to a leg at rest waits at most.

use std::time::{Duration, Instant};

use offhook_media::{FRAME, Need, PHASES, REST_FRAMES};

/// From one slot to the next.
const SLOT: Duration = Duration::from_millis(2);
const SLOT_NANOS: u64 = 2_000_000;

// A frame has a slot for each phase.
const _: () = assert!(FRAME.as_nanos() == SLOT.as_nanos() * PHASES as u128);

/// Slots that a thread that was held up makes up for, 200 ms as in the engine; beyond it (a machine that stood still)
/// they are left out.
const CATCH_UP_SLOTS: u64 = 100;

// Each phase has its turn at rest in one of REST_FRAMES frames.
const _: () = assert!(REST_FRAMES == PHASES as u32);

/// What the phases need, by their numbers.
pub(super) type Needs = [Need; PHASES as usize];

/// Where a thread is in its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    epoch: Instant,
    /// The slot that is to be worked in next.
    next: u64,
}

impl Pace {
    /// Begins with a slot that is due now.
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, next: 0 }
    }

    /// When the next slot is due.
    pub(super) fn due(&self) -> Instant {
        self.deadline(self.next)
    }

    /// The phase to be ticked in the next slot; none where there are only packets to look for.
    pub(super) fn phase(&self, needs: &Needs) -> Option<u8> {
        let phase = phase_of(self.next);
        (is_resting_turn(self.next) || need(needs, self.next) > Need::Nothing).then_some(phase)
    }

    /// The next slot has been worked in: on to the one after it that anybody needs.
    pub(super) fn done(&mut self, needs: &Needs) {
        self.next = needed_from(self.next + 1, needs);
    }

    /// Something may be needed that was not before: a slot before the next one, if it is still to come.
    pub(super) fn woken(&mut self, now: Instant, needs: &Needs) {
        let coming = self.elapsed(now) + 1;
        if coming < self.next {
            self.next = needed_from(coming, needs).min(self.next);
        }
    }

    /// Leaves out what is too late.
    pub(super) fn catch_up(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        if elapsed > self.next + CATCH_UP_SLOTS {
            self.next = elapsed;
        }
    }

    fn deadline(&self, slot: u64) -> Instant {
        self.epoch + Duration::from_nanos(slot.saturating_mul(SLOT_NANOS))
    }

    /// The last slot whose deadline has come.
    fn elapsed(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.epoch).as_nanos() / SLOT.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

/// The first slot from this one on in which there is something to do: at most a frame and a slot away.
fn needed_from(slot: u64, needs: &Needs) -> u64 {
    let relays = needs.contains(&Need::Arrivals);
    let is_needed = |slot: &u64| relays || is_resting_turn(*slot) || need(needs, *slot) > Need::Nothing;
    (slot..).find(is_needed).unwrap_or(slot)
}

fn need(needs: &Needs, slot: u64) -> Need {
    needs.get(usize::from(phase_of(slot))).copied().unwrap_or(Need::Nothing)
}

/// Whether this is the one slot of its frame that is worked in whatever the needs are.
fn is_resting_turn(slot: u64) -> bool {
    let frame = slot / u64::from(PHASES);
    frame % u64::from(REST_FRAMES) == u64::from(phase_of(slot))
}

fn phase_of(slot: u64) -> u8 {
    u8::try_from(slot % u64::from(PHASES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// The slots that are worked in up to 400 ms, with the phases ticked in them.
    fn worked(needs: &Needs) -> Vec<(u64, Option<u8>)> {
        let mut pace = Pace::new(clock::now().mono);
        let mut worked = Vec::new();
        while pace.next < 200 {
            worked.push((pace.next, pace.phase(needs)));
            pace.done(needs);
        }
        worked
    }

    #[test]
    fn phases_at_rest_are_ticked_once_in_ten_frames_each() {
        let worked = worked(&[Need::Nothing; 10]);
        let phases: Vec<_> = worked.iter().map(|&(_, phase)| phase.expect("nothing else to do")).collect();
        assert_eq!(phases, (0..10).chain(0..10).collect::<Vec<u8>>());
        let longest = worked.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        assert_eq!(longest, Some(11), "22 ms");
    }

    #[test]
    fn a_phase_with_frames_is_ticked_in_each_of_them() {
        let mut needs = [Need::Nothing; 10];
        needs[3] = Need::Frames;
        let slots: Vec<_> =
            worked(&needs).iter().filter(|(_, phase)| *phase == Some(3)).map(|(slot, _)| *slot).collect();
        assert_eq!(slots, (0..20).map(|frame| frame * 10 + 3).collect::<Vec<u64>>());
    }

    #[test]
    fn packets_to_pass_on_are_looked_for_in_every_slot() {
        let mut needs = [Need::Nothing; 10];
        needs[7] = Need::Arrivals;
        let worked = worked(&needs);
        assert_eq!(worked.len(), 200);
        assert_eq!(
            worked.iter().filter(|(_, phase)| phase.is_some()).count(),
            20 + 18,
            "phase 7, and the turns of the others"
        );
    }

    #[test]
    fn a_need_that_comes_up_brings_the_next_slot_forward_but_never_into_the_past() {
        let begun = clock::now().mono;
        let (mut pace, mut needs) = (Pace::new(begun), [Need::Nothing; 10]);
        pace.done(&needs);
        assert_eq!(pace.due(), begun + Duration::from_millis(22));
        needs[1] = Need::Frames;
        needs[4] = Need::Frames;
        pace.woken(begun + Duration::from_millis(5), &needs);
        assert_eq!((pace.due(), pace.phase(&needs)), (begun + Duration::from_millis(8), Some(4)));
        pace.woken(begun + Duration::from_millis(30), &needs);
        assert_eq!(pace.due(), begun + Duration::from_millis(8), "what is late is still made up for");
    }

    #[test]
    fn a_standstill_is_not_made_up_for() {
        let begun = clock::now().mono;
        let mut pace = Pace::new(begun);
        pace.catch_up(begun + Duration::from_millis(201));
        assert_eq!(pace.due(), begun);
        pace.catch_up(begun + Duration::from_millis(203));
        assert_eq!(pace.due(), begun + Duration::from_millis(202));
    }
}
