//! A leg's part in a room or a bridge, which runs its frames: first all members are heard, then all of them hear.

use std::time::Instant;

use super::Leg;
use crate::codec::Codec;
use crate::pace::Pace;
use crate::shared::Shared;
use crate::strip::Strip;

/// One frame of what a room has for a member, in the member's codec or at its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RoomAudio<'a> {
    /// The same payload as for others.
    Payload(&'a [u8]),
    /// Samples of its own.
    Samples(&'a [i16]),
}

impl Leg {
    pub(crate) fn codec(&self) -> Codec {
        self.media.codec
    }

    /// When its frames are due.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether the bridge that it is in takes what it says from now on.
    pub(crate) fn set_says_to_bridge(&mut self, says: bool) {
        self.take_what_waits(None);
        self.says_to_bridge = says;
        self.said.clear();
    }

    /// Whether it does not matter when its frames are run: nobody waits for what they have, and it says nothing in them.
    pub(crate) fn may_have_its_frames_later(&self) -> bool {
        self.is_only_recorded() && !self.speaks()
    }

    /// The first half of a frame that was due at some moment, for the other party of a connection and its recording, as it
    /// came if nobody looks into it. Of one that nothing comes from it is silence. Returns whether there is anything in it.
    pub(crate) fn say_to_bridge(
        &mut self,
        now: Instant,
        due: Instant,
        frame: &mut Strip,
        shared: &mut Shared,
    ) -> bool {
        self.take_what_waits(Some(due));
        self.said.clear();
        self.hear(now, shared);
        std::mem::swap(frame, &mut self.said);
        if frame.len() == 0 {
            frame.linear().resize(self.media.codec.frame_samples(), 0);
        }
        self.hearing.has_sound()
    }

    /// Whether a room wants to hear it.
    pub(crate) fn set_says_to_room(&mut self, says: bool) {
        self.says_to_room = says;
    }

    /// Follows the ticks of the room, and lets frames pass that nobody could hear any more.
    pub(crate) fn keep_pace(&mut self, pace: Pace, skip: u64, shared: &mut Shared) {
        self.pace = pace;
        self.skip(skip, shared);
    }

    /// The first half of a frame. What the member says is for `say`, if the room wants to hear it.
    pub(crate) fn say_to_room(&mut self, now: Instant, shared: &mut Shared, say: impl FnOnce(&[i16])) {
        self.hear(now, shared);
        if self.says_to_room {
            say(&shared.frame);
        }
    }

    /// The second half.
    pub(crate) fn hear_room(&mut self, now: Instant, audio: Option<RoomAudio<'_>>, shared: &mut Shared) {
        self.speak(now, audio, shared);
    }
}
