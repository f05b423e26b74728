//! Dial: a call hears how another, its child, is dialled for it, until that is answered or not to be answered. What comes of
//! it is told by the child's `on_dial_completed`; this call is Idle by then.
//!
//! ```text
//!   construct ─▶ file and tone are loaded ─▶ the child is placed ─▶ [the file, once] ─▶ dialling ─▶ Idle
//!                                                                                         ⇅ connect_start, connect_stop
//!                                                                                       Connect
//! ```
//! Everything that can be heard is loaded before, so that it follows each other without a gap. If this call is hung up the
//! child is cancelled: nobody is there to talk to.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::{self as media, ActionId, ConnectMode, Prompt};

use crate::action::Pending;
use crate::action::connect::{Connect, Wanted};
use crate::action::notice::{FarEnd, Notice};
use crate::call::early::OVER_AND_OVER;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, leg_of, pass_over};
use crate::command::{Command, Construct, Parent, RingMode};
use crate::disk::{DiskEvent, DiskJob, Sound};
use crate::id::{CallId, RequestId};
use crate::node::{Context, Letter};

/// A call for which another is dialled.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) talk: Talk,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// What it may hear is being loaded.
    Loading { pending: Pending, construct: Box<Construct> },
    /// The child is being placed, within this very step.
    Placing(Ring),
    /// There is a child.
    Dialling(Dialled),
}

/// A call that is dialled for another, as that one hears it.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) child: CallId,
    far_end: FarEnd,
    ring: Ring,
    heard: Heard,
}

/// What can be heard of it.
#[derive(Debug)]
struct Ring {
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

impl Dial {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: Box<Construct>,
    ) -> Step {
        let content = construct.parent.as_ref().and_then(|parent| parent.content.clone());
        let mut sources = content.map(|content| content.sources).unwrap_or_default();
        sources.push(Sound::RingBack(cx.node.config.country).into());
        let codec = talk.media.codec;
        let pending = Pending::ask(core, cx, request, |_| DiskJob::LoadPrompts { sources, codec });
        Self { talk, stage: Stage::Loading { pending, construct } }.stay()
    }

    /// Goes on after a connection that was over before the answer.
    pub(crate) fn resume(talk: Talk, core: &Core, cx: &mut Context<'_>, mut dialled: Dialled) -> Step {
        dialled.sound(core, cx);
        Self { talk, stage: Stage::Dialling(dialled) }.stay()
    }

    fn stay(self) -> Step {
        Step::to(Phase::Dial(self))
    }

    /// The call that is dialled for it.
    pub(crate) fn child(&self) -> Option<CallId> {
        match &self.stage {
            Stage::Dialling(dialled) => Some(dialled.child),
            Stage::Loading { .. } | Stage::Placing(_) => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Loading { pending, .. } => pending.deadline(),
            Stage::Placing(_) | Stage::Dialling(_) => None,
        }
    }

    pub(crate) fn handle(self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { mut talk, stage } = self;
        let stage = match (stage, input) {
            (stage, Input::Media(media::Event::Digit { key, .. })) => {
                talk.typed.push(key);
                stage
            }
            (Stage::Loading { pending, construct }, input) => {
                return load(talk, cx, (pending, construct), input);
            }
            (Stage::Placing(ring), Input::Notice(Notice::Placed { child })) => {
                Stage::Dialling(Dialled::begin(core, cx, child, ring))
            }
            (Stage::Placing(_), Input::Notice(Notice::NotPlaced)) => return idle(talk, cx),
            (Stage::Dialling(mut dialled), Input::Notice(Notice::Answered)) => {
                dialled.hush(core, cx);
                return idle(talk, cx);
            }
            (Stage::Dialling(dialled), Input::Notice(Notice::Failed)) => {
                dialled.fail(core, cx);
                return idle(talk, cx);
            }
            (
                Stage::Dialling(dialled),
                Input::Request {
                    id,
                    command: Command::ConnectStart { other: second, max, mode, extras, .. },
                },
            ) => {
                let wanted = Wanted { second, max, mode, extras };
                return Connect::start(talk, core, cx, id, wanted, Some(dialled));
            }
            (Stage::Dialling(mut dialled), input) => {
                if let Some(input) = dialled.hear(cx, input) {
                    pass_over(cx, input);
                }
                dialled.sound(core, cx);
                Stage::Dialling(dialled)
            }
            (stage @ Stage::Placing(_), other) => {
                pass_over(cx, other);
                stage
            }
        };
        Self { talk, stage }.stay()
    }

    /// The call is over.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>) -> (Talk, Cut) {
        match self.stage {
            Stage::Loading { pending, .. } => pending.overtake(core, cx),
            Stage::Placing(_) => {}
            Stage::Dialling(dialled) => cx.notify(dialled.child, Notice::Orphaned),
        }
        (self.talk, Cut::default())
    }
}

fn idle(talk: Talk, cx: &Context<'_>) -> Step {
    Step::to(Phase::Idle(Idle::new(talk, cx)))
}

/// The disk is asked, and the child is placed when it has answered.
fn load(
    talk: Talk,
    cx: &mut Context<'_>,
    (pending, construct): (Pending, Box<Construct>),
    input: Input,
) -> Step {
    match input {
        Input::Disk(DiskEvent::Prompts { job, result }) if job == pending.job => {
            let mut file = match result {
                Ok(prompts) => prompts,
                Err(fault) => {
                    pending.fail(cx, fault.into());
                    return idle(talk, cx);
                }
            };
            let tone = file.pop().into_iter().collect();
            if file.iter().all(|prompt| prompt.is_empty()) {
                file.clear();
            }
            let mode = construct.parent.as_ref().map(|parent| parent.mode).unwrap_or_default();
            cx.node.letters.push_back(Letter::Place { request: pending.into_request(), construct });
            Dial { talk, stage: Stage::Placing(Ring { mode, file, tone }) }.stay()
        }
        Input::Due if pending.is_late(cx) => {
            pending.give_up(cx);
            idle(talk, cx)
        }
        other => {
            pass_over(cx, other);
            Dial { talk, stage: Stage::Loading { pending, construct } }.stay()
        }
    }
}

/// Whether a child waits for an announcement to its parent before it calls.
pub(crate) fn waits(parent: Option<&Parent>) -> bool {
    parent.is_some_and(|parent| parent.mode == RingMode::Before && parent.content.is_some())
}

impl Dialled {
    fn begin(core: &Core, cx: &mut Context<'_>, child: CallId, ring: Ring) -> Self {
        let mut dialled = Self { child, far_end: FarEnd::Silent, ring, heard: Heard::Nothing };
        if dialled.ring.mode == RingMode::Before && !dialled.ring.file.is_empty() {
            let action = play(core, cx, &dialled.ring.file, 0);
            dialled.heard = Heard::Announcement(action);
        } else {
            cx.notify(child, Notice::Go);
            dialled.sound(core, cx);
        }
        dialled
    }

    /// Whether the far end lets be heard something of its own.
    pub(crate) fn sounds(&self) -> bool {
        self.far_end == FarEnd::Sounds
    }

    /// News of the child and of what is played; gives back what means nothing to it.
    pub(crate) fn hear(&mut self, cx: &mut Context<'_>, input: Input) -> Option<Input> {
        match input {
            Input::Notice(Notice::FarEnd(far_end)) => self.far_end = far_end,
            Input::Media(media::Event::PlayEnded { action, .. })
                if self.heard == Heard::Announcement(action) =>
            {
                self.heard = Heard::Nothing;
                cx.notify(self.child, Notice::Go);
            }
            other => return Some(other),
        }
        None
    }

    /// Lets be heard what there is to hear now. An announcement is heard to its end.
    pub(crate) fn sound(&mut self, core: &Core, cx: &mut Context<'_>) {
        let part = part(self.ring.mode, !self.ring.file.is_empty(), self.far_end);
        if matches!(self.heard, Heard::Announcement(_)) || self.heard.part() == part {
            return;
        }
        self.hush(core, cx);
        self.heard = match part {
            Part::Nothing => Heard::Nothing,
            Part::File => Heard::File(play(core, cx, &self.ring.file, OVER_AND_OVER)),
            Part::Tone => Heard::Tone(play(core, cx, &self.ring.tone, OVER_AND_OVER)),
            Part::FarEnd => {
                let (first, second) = (core.leg(), leg_of(self.child));
                let mode = ConnectMode::FirstHears;
                cx.media(media::Command::Connect { first, second, mode, mute_digits: false });
                Heard::FarEnd
            }
        };
    }

    /// It will not be answered. What was heard of its far end is gone with its leg.
    pub(crate) fn fail(mut self, core: &Core, cx: &mut Context<'_>) {
        if self.heard != Heard::FarEnd {
            self.hush(core, cx);
        }
    }

    /// Nothing of it is heard any more. A child that waits for the announcement calls now.
    pub(crate) fn hush(&mut self, core: &Core, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.heard, Heard::Nothing) {
            Heard::Nothing => {}
            Heard::Announcement(action) => {
                cx.media(media::Command::StopPlay { leg: core.leg(), action });
                cx.notify(self.child, Notice::Go);
            }
            Heard::File(action) | Heard::Tone(action) => {
                cx.media(media::Command::StopPlay { leg: core.leg(), action });
            }
            Heard::FarEnd => {
                let (first, second) = (core.leg(), leg_of(self.child));
                cx.media(media::Command::Disconnect { first, second });
            }
        }
    }
}

impl Heard {
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

fn play(core: &Core, cx: &mut Context<'_>, prompts: &[Arc<Prompt>], repeat: u32) -> ActionId {
    let (leg, action) = (core.leg(), cx.new_action());
    cx.media(media::Command::Play { leg, action, prompts: prompts.to_vec(), repeat });
    action
}
