//! Dial: a call hears how another, its child, is dialled for it, until that is answered or not to be answered. What comes of
//! it is told by the child's `on_dial_completed`; this call is Idle by then.
//!
//! ```text
//!   construct ─▶ file and tone are loaded ─▶ the child is placed ─▶ [the file, once] ─▶ dialling ─▶ Idle
//!                                                                                         ⇅ connect_start, connect_stop
//!                                                                                       Connect
//! ```
//! What is heard is the matter of [`Dialled`]. If this call is hung up the child is cancelled: nobody is there to talk to.

use std::time::Instant;

use offhook_media::event as media;

use crate::action::Pending;
use crate::action::connect::{Connect, Wanted};
use crate::action::dialled::{Dialled, Ear, Ring};
use crate::action::notice::{News, Notice};
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, pass_over};
use crate::command::{Command, Construct};
use crate::disk::DiskEvent;
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

impl Dial {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: Box<Construct>,
    ) -> Step {
        let question = Ring::question(cx, construct.parent.as_ref(), talk.media.codec);
        let pending = Pending::ask(core, cx, request, "ring_play_file", |_| question);
        Self { talk, stage: Stage::Loading { pending, construct } }.stay()
    }

    /// Goes on after a connection that was over before the answer.
    pub(crate) fn resume(talk: Talk, cx: &mut Context<'_>, mut dialled: Dialled) -> Step {
        dialled.sound(cx);
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
            (Stage::Placing(ring), Input::Notice(Notice::Child { child, news: News::Placed })) => {
                let mut dialled = Dialled::begin(Ear::Leg(core.leg()), cx, child, ring);
                dialled.sound(cx);
                Stage::Dialling(dialled)
            }
            (Stage::Placing(_), Input::Notice(Notice::Child { news: News::NotPlaced, .. })) => {
                return idle(talk, cx);
            }
            (Stage::Dialling(mut dialled), Input::Notice(Notice::Child { news: News::Answered, .. })) => {
                dialled.hush(cx);
                return idle(talk, cx);
            }
            (Stage::Dialling(dialled), Input::Notice(Notice::Child { news: News::Failed, .. })) => {
                dialled.fail(cx);
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
                if let Some(input) = hear(&mut dialled, cx, input) {
                    pass_over(cx, input);
                }
                dialled.sound(cx);
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

/// News of the child and of what is played; gives back what means nothing to it.
pub(super) fn hear(dialled: &mut Dialled, cx: &mut Context<'_>, input: Input) -> Option<Input> {
    match input {
        Input::Notice(Notice::Child { news: News::FarEnd(far_end), .. }) => dialled.set_far_end(far_end),
        Input::Media(media::Event::PlayEnded { action, .. }) if dialled.played(cx, action) => {}
        other => return Some(other),
    }
    None
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
            let prompts = match result {
                Ok(prompts) => prompts,
                Err(fault) => {
                    pending.fail(cx, fault.into());
                    return idle(talk, cx);
                }
            };
            let ring = Ring::of(construct.parent.as_ref(), prompts);
            cx.node.letters.push_back(Letter::Place { request: pending.into_request(), construct });
            Dial { talk, stage: Stage::Placing(ring) }.stay()
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
