//! Play: prompts to the far end, until their end, a finish key or `play_stop`. A prompt that ends before it should, since
//! its file turned out to be damaged while it was heard already, is played as far as it goes; the completion says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, Prompt};

use crate::action::{Outcome, Pending, STOPPED_WITHIN, damaged};
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, Content, KeySet};
use crate::disk::{DiskEvent, DiskJob};
use crate::event::{EventKind, Span, UnixMs};
use crate::id::RequestId;
use crate::node::Context;
use crate::output::Reply;

/// A call that is being played to.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) talk: Talk,
    ask: Ask,
    stage: Stage,
}

/// What was asked for.
#[derive(Debug)]
struct Ask {
    begin: UnixMs,
    /// Names, in the order of the prompts.
    files: Vec<String>,
    finish_keys: KeySet,
    repeat: u32,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The prompts are being loaded.
    Loading { pending: Pending },
    /// The far end hears them.
    Playing { action: ActionId, prompts: Vec<Arc<Prompt>> },
    /// It is over, and the media has to confirm it.
    Stopping { action: ActionId, outcome: Outcome, guard: Option<Instant> },
}

impl Play {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        content: Content,
        finish_keys: KeySet,
        repeat: u32,
    ) -> Step {
        let files = content.sources.iter().map(|source| source.sound.name().to_owned()).collect();
        let question = DiskJob::LoadPrompts { sources: content.sources, codec: talk.media.codec };
        let pending = Pending::ask(core, cx, request, "content", |_| question);
        let ask = Ask { begin: cx.now.wall, files, finish_keys, repeat };
        Step::to(Phase::Play(Self { talk, ask, stage: Stage::Loading { pending } }))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Loading { pending } => pending.deadline(),
            Stage::Playing { .. } => None,
            Stage::Stopping { guard, .. } => *guard,
        }
    }

    pub(crate) fn handle(self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { mut talk, ask, stage } = self;
        let stage = match (stage, input) {
            (Stage::Loading { pending }, Input::Disk(DiskEvent::Prompts { job, result }))
                if pending.job == job =>
            {
                return match result {
                    Ok(prompts) => {
                        pending.accept(cx, Reply::Done);
                        begin(core, cx, talk, ask, prompts)
                    }
                    Err(fault) => {
                        pending.fail(cx, fault.into());
                        Step::to(Phase::Idle(Idle::new(talk, cx)))
                    }
                };
            }
            (Stage::Loading { pending }, Input::Due) if pending.is_late(cx) => {
                pending.give_up(cx);
                return Step::to(Phase::Idle(Idle::new(talk, cx)));
            }
            (stage, Input::Request { id, command: Command::PlayStop { .. } }) => {
                let step = Self { talk, ask, stage }.over(core, cx, Outcome::default());
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            (stage, Input::Stop) => return Self { talk, ask, stage }.over(core, cx, Outcome::default()),
            (stage, Input::Media(media::Event::Digit { key, .. })) => {
                let is_over = matches!(stage, Stage::Stopping { .. });
                if !is_over && ask.finish_keys.contains(key) {
                    return Self { talk, ask, stage }.over(core, cx, Outcome::finished(key));
                }
                talk.typed.push(key);
                stage
            }
            (
                Stage::Playing { action, prompts },
                Input::Media(media::Event::PlayEnded { action: ended, played, .. }),
            ) if action == ended => {
                return played_through(cx, talk, ask, &prompts, played);
            }
            (
                Stage::Stopping { action, outcome, .. },
                Input::Media(media::Event::PlayEnded { action: ended, played, .. }),
            ) if action == ended => {
                return complete(cx, talk, ask, outcome, played);
            }
            (Stage::Stopping { outcome, guard, .. }, Input::Due) if is_due(guard, cx) => {
                return complete(cx, talk, ask, outcome, Duration::ZERO);
            }
            (stage, other) => {
                pass_over(cx, other);
                stage
            }
        };
        Step::to(Phase::Play(Self { talk, ask, stage }))
    }

    /// Ends it; what has ended it first stands. Before the prompts are there it ends at once: a text may take seconds to be
    /// spoken.
    fn over(self, core: &Core, cx: &mut Context<'_>, outcome: Outcome) -> Step {
        let Self { talk, ask, stage } = self;
        let stage = match stage {
            Stage::Loading { pending } => {
                pending.stop(cx, Reply::Done);
                return complete(cx, talk, ask, outcome, Duration::ZERO);
            }
            Stage::Playing { action, .. } => {
                cx.media(media::Command::StopPlay { leg: core.leg(), action });
                Stage::Stopping { action, outcome, guard: cx.deadline(STOPPED_WITHIN) }
            }
            stopping @ Stage::Stopping { .. } => stopping,
        };
        Step::to(Phase::Play(Self { talk, ask, stage }))
    }

    /// The call is over.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let (action, outcome) = match self.stage {
            Stage::Loading { pending } => {
                pending.overtake(core, cx);
                return (self.talk, Cut::default());
            }
            Stage::Playing { action, .. } => (action, Outcome::failed(ending.cut_short())),
            Stage::Stopping { action, outcome, .. } => (action, outcome),
        };
        let completion = Some(completion(cx, &self.ask, outcome, None, Duration::ZERO));
        (self.talk, Cut { completion, action: Some(action), recording: None })
    }
}

/// The prompts are there. Nothing is played where there is nothing to hear.
fn begin(core: &Core, cx: &mut Context<'_>, talk: Talk, ask: Ask, prompts: Vec<Arc<Prompt>>) -> Step {
    if prompts.iter().all(|prompt| prompt.is_empty()) {
        return played_through(cx, talk, ask, &prompts, Duration::ZERO);
    }
    let action = cx.new_action();
    let repeat = ask.repeat;
    cx.media(media::Command::Play { leg: core.leg(), action, prompts: prompts.clone(), repeat });
    Step::to(Phase::Play(Play { talk, ask, stage: Stage::Playing { action, prompts } }))
}

/// The prompts have been heard to their ends, which may be nearer than they should be.
fn played_through(cx: &Context<'_>, talk: Talk, ask: Ask, prompts: &[Arc<Prompt>], played: Duration) -> Step {
    let Some(file) = damaged(&ask.files, prompts) else {
        return complete(cx, talk, ask, Outcome::default(), played);
    };
    let outcome = Outcome::failed(Failure::FileUnreadable);
    let completion = completion(cx, &ask, outcome, Some(file), played);
    Step::to(Phase::Idle(Idle::new(talk, cx))).telling(completion)
}

fn complete(cx: &Context<'_>, talk: Talk, ask: Ask, outcome: Outcome, played: Duration) -> Step {
    let completion = completion(cx, &ask, outcome, None, played);
    Step::to(Phase::Idle(Idle::new(talk, cx))).telling(completion)
}

fn completion(
    cx: &Context<'_>,
    ask: &Ask,
    outcome: Outcome,
    file: Option<String>,
    played: Duration,
) -> EventKind {
    EventKind::PlayCompleted {
        error: outcome.error,
        span: Span { begin: ask.begin, end: cx.now.wall },
        finish_key: outcome.finish_key,
        file,
        played,
    }
}
