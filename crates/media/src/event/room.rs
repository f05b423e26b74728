//! What may be asked of a room, and what it tells.
//!
//! A room is legs of one engine that hear each other. Its own prompts and recording are actions like those of legs: each
//! ends with exactly one event. A command for a room, a member or an action that is gone is ignored: it raced with an end.

use std::sync::Arc;
use std::time::Duration;

use super::{ActionId, LegId, Prompt, RecordEnd, RecordingId};
use crate::gain::Gain;
use crate::mixer::{MAX_TALKERS, Voice};

/// Legs that hear each other. Chosen by whoever opens the room, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u64);

/// Prompts that a room plays at once. What is said and played there is summed in numbers that bear as many of these as of those
/// who talk.
pub const MAX_PLAYS: usize = MAX_TALKERS;

/// What may be asked of a room.
#[derive(Clone, Debug)]
pub enum RoomCommand {
    /// Begin the room, empty.
    Open {
        /// Whether [`RoomEvent::Talking`] is told.
        tells_talking: bool,
    },
    /// End the room. Its actions end first, each with its event, then its members leave; then [`RoomEvent::Closed`].
    Close,
    /// A leg of this engine comes in. A connection or another room that it is in ends for it; its actions go on, and what
    /// it plays is heard by its far end in place of the room.
    Join {
        /// Which leg.
        leg: LegId,
        /// How it takes part.
        voice: Voice,
    },
    /// A leg goes: [`RoomEvent::Left`].
    Leave {
        /// Which leg.
        leg: LegId,
    },
    /// A member takes part in another way.
    SetVoice {
        /// Which leg.
        leg: LegId,
        /// How.
        voice: Voice,
    },
    /// Play prompts to all members, over or under their talk and what else is played to them, one after the other without
    /// a gap, `1 + repeat` times.
    Play {
        /// The action that begins. Where [`MAX_PLAYS`] run already it ends at once.
        action: ActionId,
        /// What to play, in any codec.
        prompts: Vec<Arc<Prompt>>,
        /// How many times more than once.
        repeat: u32,
        /// How loud.
        gain: Gain,
    },
    /// End the prompts: [`RoomEvent::PlayEnded`].
    StopPlay {
        /// Which action.
        action: ActionId,
    },
    /// Record what all members say, and what is played to all, at the highest rate of a member. Where that changes, so does
    /// the rate of the chunks.
    Record {
        /// The action that begins; one that runs ends.
        action: ActionId,
        /// The open file that the audio goes to.
        recording: RecordingId,
        /// The longest recording.
        max: Duration,
    },
    /// End a recording: [`RoomEvent::RecordEnded`].
    StopRecord {
        /// Which action.
        action: ActionId,
    },
}

impl RoomCommand {
    /// The leg it is about.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Self::Join { leg, .. } | Self::Leave { leg } | Self::SetVoice { leg, .. } => Some(*leg),
            _ => None,
        }
    }
}

/// What a room tells.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// A member began or ended to talk.
    Talking {
        /// Which leg.
        leg: LegId,
        /// Whether it talks.
        talking: bool,
    },
    /// A leg is no member any more: it was told so, removed, or the room was closed.
    Left {
        /// Which leg.
        leg: LegId,
    },
    /// Prompts to all ended.
    PlayEnded {
        /// Which action.
        action: ActionId,
        /// How much was played, repetitions included.
        played: Duration,
    },
    /// A recording ended; all of its audio has been handed out by `Engine::poll_audio`, its end mark last.
    RecordEnded {
        /// Which action.
        action: ActionId,
        /// Length of the recording.
        duration: Duration,
        /// Why.
        end: RecordEnd,
    },
    /// The room is gone; its last event.
    Closed,
}
