//! A call that is dialled for somebody, as that one hears it: another call, which is in [`Dial`](crate::action::dial::Dial)
//! meanwhile, or a conference. Where they differ is in the [`Ear`] alone.
//!
//! Everything that can be heard is loaded before the call is placed, so that it follows each other without a gap. What a call
//! heard before early media was described lasts until the first of that comes: many describe it and send it later, or never.

use std::sync::Arc;

use offhook_media::event::{
    self as media, ActionId, Codec, ConnectMode, Gain, LegId, Prompt, RoomCommand, RoomId, Voice, VoiceMode,
};

use crate::action::notice::{FarEnd, Notice};
use crate::call::early::OVER_AND_OVER;
use crate::call::leg_of;
use crate::command::{Parent, RingMode};
use crate::disk::{DiskJob, Sound};
use crate::id::CallId;
use crate::node::Context;

/// A call that is dialled for somebody, and what is heard of it there.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) child: CallId,
    ear: Ear,
    far_end: FarEnd,
    ring: Ring,
    heard: Heard,
    /// A file or a tone that is heard until its far end is, wherever that is heard.
    lasting: Heard,
}

/// Whose ear it is that hears a call being dialled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ear {
    /// That of the far end of a leg.
    Leg(LegId),
    /// Those of all who are in a room.
    Room(RoomId),
}

/// What can be heard of it.
#[derive(Debug)]
pub(crate) struct Ring {
    mode: RingMode,
    /// Empty for the far end's tone at any time.
    file: Vec<Arc<Prompt>>,
    /// A turn of the ring-back tone.
    tone: Vec<Arc<Prompt>>,
}

/// What is heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// The file once, before the call.
    Announcement(ActionId),
    File(ActionId),
    Tone(ActionId),
    /// What the far end lets be heard.
    FarEnd,
}

/// What is to be heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    File,
    Tone,
    FarEnd,
}

/// Whether a child waits for an announcement to its parent before it calls.
pub(crate) fn waits(parent: Option<&Parent>) -> bool {
    parent.is_some_and(|parent| parent.mode == RingMode::Before && parent.content.is_some())
}

impl Ring {
    /// The question for all that can be heard of a call that is dialled.
    pub(crate) fn question(cx: &Context<'_>, parent: Option<&Parent>, codec: Codec) -> DiskJob {
        let content = parent.and_then(|parent| parent.content.clone());
        let mut sources = content.map(|content| content.sources).unwrap_or_default();
        sources.push(Sound::RingBack(cx.node.config.country).into());
        DiskJob::LoadPrompts { sources, codec }
    }

    /// Its answer: the file, where there is one, and the tone.
    pub(crate) fn of(parent: Option<&Parent>, mut prompts: Vec<Arc<Prompt>>) -> Self {
        let tone = prompts.pop().into_iter().collect();
        if prompts.iter().all(|prompt| prompt.is_empty()) {
            prompts.clear();
        }
        Self { mode: parent.map(|parent| parent.mode).unwrap_or_default(), file: prompts, tone }
    }
}

impl Dialled {
    /// The child is there: it calls, after an announcement where one is wanted.
    pub(crate) fn begin(ear: Ear, cx: &mut Context<'_>, child: CallId, ring: Ring) -> Self {
        let (far_end, heard, lasting) = (FarEnd::Silent, Heard::Nothing, Heard::Nothing);
        let mut dialled = Self { child, ear, far_end, ring, heard, lasting };
        if dialled.ring.mode == RingMode::Before && !dialled.ring.file.is_empty() {
            let action = ear.play(cx, &dialled.ring.file, 0);
            dialled.heard = Heard::Announcement(action);
        } else {
            cx.notify(child, Notice::Go);
        }
        dialled
    }

    /// Whether its announcement is being heard.
    pub(crate) fn announces(&self) -> bool {
        matches!(self.heard, Heard::Announcement(_))
    }

    /// Whether something of it is heard.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard != Heard::Nothing
    }

    /// Whether there is something to be heard of it.
    pub(crate) fn has_sound(&self) -> bool {
        self.part() != Part::Nothing
    }

    /// Whether the far end lets be heard something of its own.
    pub(crate) fn sounds(&self) -> bool {
        self.far_end == FarEnd::Sounds
    }

    /// What there is to hear of its far end has changed.
    pub(crate) fn set_far_end(&mut self, far_end: FarEnd) {
        self.far_end = far_end;
    }

    /// Something that was played has ended: the announcement, after which the child calls, or what its far end is heard instead
    /// of now. Whether it was any of these.
    pub(crate) fn played(&mut self, cx: &mut Context<'_>, action: ActionId) -> bool {
        let has_announced = self.heard == Heard::Announcement(action);
        let has_lasted = self.lasting.plays(action);
        if has_announced {
            self.heard = Heard::Nothing;
            cx.notify(self.child, Notice::Go);
        } else if has_lasted {
            self.lasting = Heard::Nothing;
        }
        has_announced || has_lasted
    }

    /// Lets be heard what there is to hear now. An announcement is heard to its end.
    pub(crate) fn sound(&mut self, cx: &mut Context<'_>) {
        let part = self.part();
        if self.announces() || self.heard.part() == part {
            return;
        }
        if part == Part::FarEnd {
            self.give_way(cx);
        } else if self.lasting.part() == part {
            self.cease(cx);
            self.heard = std::mem::replace(&mut self.lasting, Heard::Nothing);
            return;
        } else {
            self.hush(cx);
        }
        self.heard = match part {
            Part::Nothing => Heard::Nothing,
            Part::File => Heard::File(self.ear.play(cx, &self.ring.file, OVER_AND_OVER)),
            Part::Tone => Heard::Tone(self.ear.play(cx, &self.ring.tone, OVER_AND_OVER)),
            Part::FarEnd => {
                self.ear.listen(cx, self.child);
                Heard::FarEnd
            }
        };
    }

    fn part(&self) -> Part {
        part(self.ring.mode, !self.ring.file.is_empty(), self.far_end)
    }

    /// It will not be answered. What was heard of its far end is gone with its leg.
    pub(crate) fn fail(mut self, cx: &mut Context<'_>) {
        if self.heard == Heard::FarEnd {
            self.heard = Heard::Nothing;
        }
        self.hush(cx);
    }

    /// Nothing of it is heard any more. A child that waits for the announcement calls now.
    pub(crate) fn hush(&mut self, cx: &mut Context<'_>) {
        if let Heard::File(action) | Heard::Tone(action) =
            std::mem::replace(&mut self.lasting, Heard::Nothing)
        {
            self.ear.stop(cx, action);
        }
        self.cease(cx);
    }

    /// Its far end is to be heard now, by whoever asks for this. A call hears a file or a tone until it is; a conference, in which
    /// both would be heard at once, does not.
    pub(crate) fn give_way(&mut self, cx: &mut Context<'_>) {
        if let (Ear::Leg(leg), Heard::File(action) | Heard::Tone(action)) = (self.ear, self.heard) {
            cx.media(media::Command::YieldPlay { leg, action });
            self.lasting = std::mem::replace(&mut self.heard, Heard::Nothing);
        } else {
            self.cease(cx);
        }
    }

    /// Ends what is heard of it, but for what lasts until its far end is heard.
    fn cease(&mut self, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.heard, Heard::Nothing) {
            Heard::Nothing => {}
            Heard::Announcement(action) => {
                self.ear.stop(cx, action);
                cx.notify(self.child, Notice::Go);
            }
            Heard::File(action) | Heard::Tone(action) => self.ear.stop(cx, action),
            Heard::FarEnd => self.ear.turn_away(cx, self.child),
        }
    }
}

impl Ear {
    fn play(self, cx: &mut Context<'_>, prompts: &[Arc<Prompt>], repeat: u32) -> ActionId {
        let (action, prompts) = (cx.new_action(), prompts.to_vec());
        cx.media(match self {
            Self::Leg(leg) => media::Command::Play { leg, action, prompts, repeat },
            Self::Room(room) => {
                let command = RoomCommand::Play { action, prompts, repeat, gain: Gain::UNITY };
                media::Command::Room { room, command }
            }
        });
        action
    }

    fn stop(self, cx: &mut Context<'_>, action: ActionId) {
        cx.media(match self {
            Self::Leg(leg) => media::Command::StopPlay { leg, action },
            Self::Room(room) => media::Command::Room { room, command: RoomCommand::StopPlay { action } },
        });
    }

    /// It hears what the far end of a child lets be heard; that one hears nothing.
    fn listen(self, cx: &mut Context<'_>, child: CallId) {
        let leg = leg_of(child);
        cx.media(match self {
            Self::Leg(first) => {
                let mode = ConnectMode::FirstHears;
                media::Command::Connect { first, second: leg, mode, mute_digits: false }
            }
            Self::Room(room) => {
                let voice = Voice { mode: VoiceMode::SpeakOnly, ..Voice::default() };
                media::Command::Room { room, command: RoomCommand::Join { leg, voice } }
            }
        });
    }

    fn turn_away(self, cx: &mut Context<'_>, child: CallId) {
        let leg = leg_of(child);
        cx.media(match self {
            Self::Leg(first) => media::Command::Disconnect { first, second: leg },
            Self::Room(room) => media::Command::Room { room, command: RoomCommand::Leave { leg } },
        });
    }
}

impl Heard {
    fn plays(self, action: ActionId) -> bool {
        self == Self::File(action) || self == Self::Tone(action)
    }

    fn part(self) -> Part {
        match self {
            Self::Nothing => Part::Nothing,
            Self::Announcement(_) | Self::File(_) => Part::File,
            Self::Tone(_) => Part::Tone,
            Self::FarEnd => Part::FarEnd,
        }
    }
}

/// What is heard of a call that is dialled, its announcement apart.
fn part(mode: RingMode, has_file: bool, far_end: FarEnd) -> Part {
    match (mode, far_end) {
        (RingMode::WhileRinging, FarEnd::Rings | FarEnd::Sounds) if has_file => Part::File,
        (RingMode::UntilRinging, FarEnd::Silent) if has_file => Part::File,
        (RingMode::UntilAnswer, _) if has_file => Part::File,
        (_, FarEnd::Silent) => Part::Nothing,
        (_, FarEnd::Rings) => Part::Tone,
        (_, FarEnd::Sounds) => Part::FarEnd,
    }
}
