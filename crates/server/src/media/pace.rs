//! When a media thread works: slots of 2 ms on absolute deadlines, one phase of the engine in each, and a sleep over
//! those in which nobody needs anything.
//!
//! ```text
//!   slot    0    1    2    3    4    5    6    7    8    9   10   11   12  …
//!   phase   0    1    2    3    4    5    6    7    8    9    0    1    2
//!   frame  ╰─────────────────────── 0 ───────────────────╯╰────── 1 ──────
//!   works   ●              ●              ●                   ●                 phases 0, 3 and 6 have frames
//! ```
//! A phase whose legs have something to say or to hear in every frame is ticked in every frame; one whose legs are only
//! recorded, or at rest, when its turn comes; and while packets are passed on from leg to leg, every slot looks for new ones. While packets
//! come at all they are looked for at least once a frame, which is how long one to a leg at rest waits at most; when none
//! come, the first wakes the thread.

use std::time::{Duration, Instant};

use offhook_media::{FRAME, Need, PHASES, REST_FRAMES, is_span_turn, is_turn_at_rest};

/// From one slot to the next.
const SLOT: Duration = Duration::from_millis(2);
const SLOT_NANOS: u64 = 2_000_000;

// A frame has a slot for each phase.
const _: () = assert!(FRAME.as_nanos() == SLOT.as_nanos() * PHASES as u128);

/// Slots that a thread that was held up makes up for, 200 ms as in the engine; beyond it (a machine that stood still)
/// they are left out.
const CATCH_UP_SLOTS: u64 = 100;

/// Slots in a frame: after so many without work, packets are looked for.
const FRAME_SLOTS: u64 = PHASES as u64;
/// Slots from one turn of a phase at rest to the next: nobody needs longer to come to his own.
const REST_SLOTS: u64 = REST_FRAMES as u64 * FRAME_SLOTS;

/// What the engine needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    /// Of the phases, by their numbers.
    pub(super) phases: [Need; PHASES as usize],
    /// Packets are passed on as they come, so that each slot has to look for them.
    pub(super) passes_on: bool,
}

/// Where a thread is in its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    epoch: Instant,
    /// The slot that was worked in last.
    last: u64,
    /// The slot that is to be worked in next.
    next: u64,
}

impl Pace {
    /// Begins with a slot that is due now.
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, last: 0, next: 0 }
    }

    /// When the next slot is due.
    pub(super) fn due(&self) -> Instant {
        self.deadline(self.next)
    }

    /// How many slots are between the last one that was worked in and the next one.
    pub(super) fn passed(&self) -> u64 {
        self.next - self.last
    }

    /// The phase to be ticked in the next slot; none where there are only packets to look for.
    pub(super) fn phase(&self, needs: &Needs) -> Option<u8> {
        is_ticked(self.next, needs).then_some(phase_of(self.next))
    }

    /// The number of the frame that the next slot is in.
    pub(super) fn frame(&self) -> u64 {
        self.next / FRAME_SLOTS
    }

    /// The next slot has been worked in: on to the one after it that anybody needs, or in which packets are to be looked
    /// for, unless the first of them wakes the thread.
    pub(super) fn done(&mut self, needs: &Needs, is_woken: bool) {
        self.last = self.next;
        let most = self.last + if is_woken { REST_SLOTS } else { FRAME_SLOTS };
        self.next = needed_from(self.last + 1, needs).min(most);
    }

    /// Something may be needed that was not before: a slot before the next one, if it is still to come.
    pub(super) fn woken(&mut self, now: Instant, needs: &Needs) {
        let coming = self.elapsed(now) + 1;
        if coming < self.next {
            self.next = needed_from(coming, needs).min(self.next);
        }
    }

    /// A packet has come to a thread that did not look for any: the next slot is the one for it.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(self.elapsed(now) + 1).max(self.last + 1);
    }

    /// Leaves out what is too late: so many slots.
    pub(super) fn catch_up(&mut self, now: Instant) -> u64 {
        let elapsed = self.elapsed(now);
        if elapsed <= self.next + CATCH_UP_SLOTS {
            return 0;
        }
        elapsed - std::mem::replace(&mut self.next, elapsed)
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

/// The first slot from this one on in which there is something to do, if there ever is.
fn needed_from(slot: u64, needs: &Needs) -> u64 {
    if needs.passes_on {
        return slot;
    }
    (slot..slot + REST_SLOTS).find(|slot| is_ticked(*slot, needs)).unwrap_or(slot + REST_SLOTS)
}

fn is_ticked(slot: u64, needs: &Needs) -> bool {
    let (phase, frame) = (phase_of(slot), slot / FRAME_SLOTS);
    match needs.phases.get(usize::from(phase)).copied().unwrap_or_default() {
        Need::Nobody => false,
        Need::Nothing => is_turn_at_rest(frame, phase),
        Need::Spans => is_span_turn(frame, phase),
        Need::Frames => true,
    }
}

fn phase_of(slot: u64) -> u8 {
    u8::try_from(slot % FRAME_SLOTS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// The slots that are worked in up to 2 s, with the phases ticked in them.
    fn worked(needs: &Needs, is_woken: bool) -> Vec<(u64, Option<u8>)> {
        let mut pace = Pace::new(clock::now().mono);
        let mut worked = Vec::new();
        while pace.next < 1000 {
            worked.push((pace.next, pace.phase(needs)));
            pace.done(needs, is_woken);
        }
        worked
    }

    fn all(need: Need) -> Needs {
        Needs { phases: [need; 10], passes_on: false }
    }

    fn longest_rest(worked: &[(u64, Option<u8>)]) -> Option<u64> {
        worked.windows(2).map(|pair| pair[1].0 - pair[0].0).max()
    }

    #[test]
    fn phases_at_rest_are_ticked_once_a_second_each() {
        let needs = all(Need::Nothing);
        for (is_woken, longest) in [(false, 10), (true, 51)] {
            let worked = worked(&needs, is_woken);
            let phases: Vec<_> = worked.iter().filter_map(|&(_, phase)| phase).collect();
            assert_eq!(phases, (0..10).chain(0..10).collect::<Vec<u8>>());
            assert_eq!(longest_rest(&worked), Some(longest), "in slots of 2 ms");
        }
    }

    #[test]
    fn a_thread_with_a_few_legs_at_rest_works_once_a_second() {
        let mut needs = all(Need::Nobody);
        needs.phases[0] = Need::Nothing;
        assert_eq!(worked(&needs, true), [(0, Some(0)), (500, Some(0))]);
        assert_eq!(worked(&all(Need::Nobody), true), [(0, None), (500, None)], "what waits to be sent on");
    }

    #[test]
    fn a_phase_with_frames_is_ticked_in_each_of_them() {
        let mut needs = all(Need::Nobody);
        needs.phases[3] = Need::Frames;
        let slots: Vec<_> = (0..100).map(|frame| (frame * 10 + 3, Some(3))).collect();
        assert_eq!(worked(&needs, false)[1..], slots);
        needs.phases[2] = Need::Nothing;
        let of_3 = worked(&needs, false).into_iter().filter(|(_, phase)| *phase == Some(3));
        assert_eq!(of_3.collect::<Vec<_>>(), slots);
    }

    #[test]
    fn packets_to_pass_on_are_looked_for_in_every_slot() {
        let worked = worked(&Needs { passes_on: true, ..all(Need::Nothing) }, false);
        assert_eq!(worked.len(), 1000);
        assert_eq!(worked.iter().filter(|(_, phase)| phase.is_some()).count(), 20, "their turns");
    }

    #[test]
    fn a_need_that_comes_up_brings_the_next_slot_forward_but_never_into_the_past() {
        let begun = clock::now().mono;
        let (mut pace, mut needs) = (Pace::new(begun), all(Need::Nothing));
        pace.done(&needs, true);
        assert_eq!((pace.due(), pace.passed()), (begun + Duration::from_millis(102), 51));
        needs.phases[1] = Need::Frames;
        needs.phases[4] = Need::Frames;
        pace.woken(begun + Duration::from_millis(5), &needs);
        assert_eq!((pace.due(), pace.phase(&needs)), (begun + Duration::from_millis(8), Some(4)));
        pace.woken(begun + Duration::from_millis(30), &needs);
        assert_eq!(pace.due(), begun + Duration::from_millis(8), "what is late is still made up for");
    }

    #[test]
    fn a_packet_that_nobody_looked_for_is_taken_in_the_next_slot() {
        let begun = clock::now().mono;
        let (mut pace, needs) = (Pace::new(begun), all(Need::Nothing));
        pace.done(&needs, true);
        pace.hurry(begun + Duration::from_millis(41));
        assert_eq!((pace.due(), pace.phase(&needs)), (begun + Duration::from_millis(42), None));
        pace.done(&needs, false);
        assert_eq!(pace.due(), begun + Duration::from_millis(62), "from now on they are looked for");
        pace.hurry(begun + Duration::from_millis(41));
        assert_eq!(pace.due(), begun + Duration::from_millis(44), "not the same slot again");
    }

    #[test]
    fn a_standstill_is_not_made_up_for() {
        let begun = clock::now().mono;
        let mut pace = Pace::new(begun);
        assert_eq!(pace.catch_up(begun + Duration::from_millis(201)), 0);
        assert_eq!(pace.due(), begun);
        assert_eq!(pace.catch_up(begun + Duration::from_millis(203)), 101);
        assert_eq!(pace.due(), begun + Duration::from_millis(202));
    }
}
