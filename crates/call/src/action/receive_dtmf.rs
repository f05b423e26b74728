//! ReceiveDtmf: keys from the far end, after a prompt or without one.
//!
//! ```text
//!              prompts loaded          end of prompt            key
//!   Loading ──────────────────▶ Prompting ──────────▶ Waiting ◀─────┐
//!      │ no prompt                  │ first key          │ └───────┘
//!      └───────────────▶ Waiting    ▼ (break_on_key)     │ time-out: Prompting again, `repeat` times
//!                                Breaking ──────────▶ Waiting
//! ```
//! It ends in any stage by enough keys, a finish key or the stop, and in Waiting by the last time-out; a prompt that is
//! still heard is stopped first.
//!
//! What the API leaves open is read so: keys typed ahead come first, so they may make the prompt needless; the keys of a
//! round that timed out are kept for the next; each round begins with the first-key clock, and goes on with the
//! next-key clock once it has brought a key.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::{self as media, ActionId, Key, Prompt};

use crate::action::{Outcome, Pending, STOPPED_WITHIN};
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{self, Command};
use crate::disk::{DiskEvent, DiskJob, JobId, PromptFault};
use crate::event::{EventKind, Span, UnixMs};
use crate::id::RequestId;
use crate::node::Context;
use crate::output::Reply;
use crate::state::State;

/// What the disk says of a prompt.
type Loaded = Result<Vec<Arc<Prompt>>, PromptFault>;

/// A call whose keys are collected.
#[derive(Debug)]
pub(crate) struct ReceiveDtmf {
    pub(crate) talk: Talk,
    collected: Collected,
    /// The prompt, while it may be played again.
    prompts: Vec<Arc<Prompt>>,
    /// How many more times it is played after a time-out.
    repeats: u32,
    stage: Stage,
}

/// What was asked for, and what has come of it.
#[derive(Debug)]
struct Collected {
    ask: Box<command::ReceiveDtmf>,
    begin: UnixMs,
    keys: String,
    /// How many keys there were when the round began.
    before: usize,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The prompt is being loaded. Keys wait in the type-ahead buffer.
    Loading { pending: Pending },
    /// The far end hears the prompt.
    Prompting { action: ActionId },
    /// The first key came, and the prompt is being stopped; the clock of the next key runs.
    Breaking { action: ActionId, guard: Option<Instant>, until: Option<Instant> },
    /// A key is awaited.
    Waiting { until: Option<Instant> },
    /// It is over, and the end of the prompt has to be confirmed.
    Stopping { action: ActionId, outcome: Outcome, guard: Option<Instant> },
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Ignored,
    Counted,
    Last(Outcome),
}

impl Collected {
    fn take(&mut self, key: Key) -> Taken {
        if !self.ask.valid_keys.contains(key) {
            return Taken::Ignored;
        }
        if self.ask.finish_keys.contains(key) {
            if self.ask.include_finish_key {
                self.keys.push(key.as_char());
            }
            return Taken::Last(Outcome::finished(key));
        }
        self.keys.push(key.as_char());
        if self.keys.len() >= self.ask.max_keys { Taken::Last(Outcome::default()) } else { Taken::Counted }
    }

    /// Takes the keys typed ahead, as far as they are needed. The outcome is there if they were enough.
    fn drain(&mut self, talk: &mut Talk) -> Option<Outcome> {
        while let Some(key) = talk.typed.pop() {
            if let Taken::Last(outcome) = self.take(key) {
                return Some(outcome);
            }
        }
        None
    }

    fn begin_round(&mut self) {
        self.before = self.keys.len();
    }

    /// When the wait for a key that begins now is over.
    fn clock(&self, cx: &Context<'_>) -> Option<Instant> {
        let round_has_key = self.keys.len() > self.before;
        cx.deadline(if round_has_key { self.ask.next_key_timeout } else { self.ask.first_key_timeout })
    }

    fn completion(self, cx: &Context<'_>, outcome: Outcome) -> EventKind {
        EventKind::ReceiveDtmfCompleted {
            error: outcome.error,
            span: Span { begin: self.begin, end: cx.now.wall },
            keys: self.keys,
            finish_key: outcome.finish_key,
        }
    }
}

impl ReceiveDtmf {
    pub(crate) fn start(
        mut talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        mut ask: Box<command::ReceiveDtmf>,
    ) -> Step {
        if ask.flush {
            talk.typed.clear();
        }
        let codec = talk.media.codec;
        let prompt = ask.prompt.take();
        let repeats = ask.repeat;
        let collected = Collected { ask, begin: cx.now.wall, keys: String::new(), before: 0 };
        let Some(prompt) = prompt else {
            cx.reply(request, Ok(Reply::Done));
            return begin(core, cx, talk, collected, Vec::new(), 0);
        };
        let question = DiskJob::LoadPrompts { sources: prompt.sources, codec };
        let pending = Pending::ask(core, cx, request, "play_content", |_| question);
        let stage = Stage::Loading { pending };
        Step::to(Phase::ReceiveDtmf(Self { talk, collected, prompts: Vec::new(), repeats, stage }))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Loading { pending } => pending.deadline(),
            Stage::Prompting { .. } => None,
            Stage::Waiting { until } => *until,
            Stage::Breaking { guard, .. } | Stage::Stopping { guard, .. } => *guard,
        }
    }

    pub(crate) fn handle(self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Disk(DiskEvent::Prompts { job, result }) => self.loaded(core, cx, job, result),
            Input::Media(media::Event::Digit { key, .. }) => self.key(core, cx, key),
            Input::Media(media::Event::PlayEnded { action, .. }) => self.prompt_ended(cx, action),
            Input::Request { id, command: Command::ReceiveDtmfStop { .. } } => {
                let step = self.over(core, cx, Outcome::default());
                cx.reply(id, Ok(Reply::Done));
                step
            }
            Input::Stop => self.over(core, cx, Outcome::default()),
            Input::Due if is_due(self.deadline(), cx) => self.due(core, cx),
            other => {
                pass_over(cx, other);
                Step::to(Phase::ReceiveDtmf(self))
            }
        }
    }

    fn loaded(self, core: &Core, cx: &mut Context<'_>, job: JobId, result: Loaded) -> Step {
        let Self { talk, collected, prompts, repeats, stage } = self;
        match (stage, result) {
            (Stage::Loading { pending }, Ok(prompts)) if pending.job == job => {
                pending.accept(cx, Reply::Done);
                begin(core, cx, talk, collected, prompts, repeats)
            }
            (Stage::Loading { pending }, Err(fault)) if pending.job == job => {
                pending.fail(cx, fault.into());
                Step::to(Phase::Idle(Idle::new(talk, cx)))
            }
            (stage, _) => Step::to(Phase::ReceiveDtmf(Self { talk, collected, prompts, repeats, stage })),
        }
    }

    fn key(mut self, core: &Core, cx: &mut Context<'_>, key: Key) -> Step {
        if let Stage::Loading { .. } | Stage::Stopping { .. } = self.stage {
            self.talk.typed.push(key);
            return Step::to(Phase::ReceiveDtmf(self));
        }
        match self.collected.take(key) {
            Taken::Ignored => {}
            Taken::Last(outcome) => return self.over(core, cx, outcome),
            Taken::Counted => {
                let until = self.collected.clock(cx);
                self.stage = match self.stage {
                    Stage::Prompting { action } if self.collected.ask.break_on_key => {
                        Stage::Breaking { action, guard: stop_prompt(core, cx, action), until }
                    }
                    Stage::Breaking { action, guard, .. } => Stage::Breaking { action, guard, until },
                    Stage::Waiting { .. } => Stage::Waiting { until },
                    stage => stage,
                };
            }
        }
        Step::to(Phase::ReceiveDtmf(self))
    }

    fn prompt_ended(mut self, cx: &Context<'_>, ended: ActionId) -> Step {
        self.stage = match self.stage {
            Stage::Prompting { action } if action == ended => {
                Stage::Waiting { until: self.collected.clock(cx) }
            }
            Stage::Breaking { action, until, .. } if action == ended => Stage::Waiting { until },
            Stage::Stopping { action, outcome, .. } if action == ended => {
                return complete(cx, self.talk, self.collected, outcome);
            }
            stage => stage,
        };
        Step::to(Phase::ReceiveDtmf(self))
    }

    /// Ends it; what has ended it first stands.
    fn over(mut self, core: &Core, cx: &mut Context<'_>, outcome: Outcome) -> Step {
        self.stage = match self.stage {
            Stage::Loading { pending } => {
                pending.stop(cx, Reply::Done);
                return complete(cx, self.talk, self.collected, outcome);
            }
            Stage::Prompting { action } => {
                Stage::Stopping { action, outcome, guard: stop_prompt(core, cx, action) }
            }
            Stage::Breaking { action, guard, .. } => Stage::Stopping { action, outcome, guard },
            Stage::Waiting { .. } => return complete(cx, self.talk, self.collected, outcome),
            stopping @ Stage::Stopping { .. } => stopping,
        };
        Step::to(Phase::ReceiveDtmf(self))
    }

    /// The time of its stage is over.
    fn due(self, core: &Core, cx: &mut Context<'_>) -> Step {
        let Self { talk, mut collected, prompts, repeats, stage } = self;
        match stage {
            Stage::Loading { pending } => {
                pending.give_up(cx);
                Step::to(Phase::Idle(Idle::new(talk, cx)))
            }
            Stage::Waiting { .. } => match repeats.checked_sub(1) {
                Some(repeats) => {
                    collected.begin_round();
                    prompt(core, cx, talk, collected, prompts, repeats)
                }
                None => complete(cx, talk, collected, Outcome::failed(Failure::Timeout)),
            },
            Stage::Breaking { until, .. } => {
                let stage = Stage::Waiting { until };
                Step::to(Phase::ReceiveDtmf(Self { talk, collected, prompts, repeats, stage }))
            }
            Stage::Stopping { outcome, .. } => complete(cx, talk, collected, outcome),
            stage @ Stage::Prompting { .. } => {
                Step::to(Phase::ReceiveDtmf(Self { talk, collected, prompts, repeats, stage }))
            }
        }
    }

    /// The call is over.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let outcome = match self.stage {
            Stage::Loading { pending } => {
                pending.overtake(core, cx);
                return (self.talk, Cut::default());
            }
            Stage::Stopping { outcome, .. } => outcome,
            Stage::Prompting { .. } | Stage::Breaking { .. } | Stage::Waiting { .. } => {
                Outcome::failed(ending.cut_short())
            }
        };
        let completion = Some(self.collected.completion(cx, outcome));
        (self.talk, Cut { completion, ..Cut::default() })
    }
}

/// It has begun: first come the keys typed ahead, then the prompt, unless they made it needless.
fn begin(
    core: &Core,
    cx: &mut Context<'_>,
    mut talk: Talk,
    mut collected: Collected,
    prompts: Vec<Arc<Prompt>>,
    repeats: u32,
) -> Step {
    if let Some(outcome) = collected.drain(&mut talk) {
        return complete(cx, talk, collected, outcome).passing(State::ReceiveDtmf);
    }
    // A prompt that nobody can hear is no prompt, and is not repeated either.
    let silent = prompts.iter().all(|prompt| prompt.is_empty());
    let repeats = if silent { 0 } else { repeats };
    let broken = collected.ask.break_on_key && !collected.keys.is_empty();
    if silent || broken {
        let stage = Stage::Waiting { until: collected.clock(cx) };
        return Step::to(Phase::ReceiveDtmf(ReceiveDtmf { talk, collected, prompts, repeats, stage }));
    }
    prompt(core, cx, talk, collected, prompts, repeats)
}

/// Plays the prompt, once.
fn prompt(
    core: &Core,
    cx: &mut Context<'_>,
    talk: Talk,
    collected: Collected,
    prompts: Vec<Arc<Prompt>>,
    repeats: u32,
) -> Step {
    let action = cx.new_action();
    cx.media(media::Command::Play { leg: core.leg(), action, prompts: prompts.clone(), repeat: 0 });
    let stage = Stage::Prompting { action };
    Step::to(Phase::ReceiveDtmf(ReceiveDtmf { talk, collected, prompts, repeats, stage }))
}

/// Stops the prompt; says how long that may take.
fn stop_prompt(core: &Core, cx: &mut Context<'_>, action: ActionId) -> Option<Instant> {
    cx.media(media::Command::StopPlay { leg: core.leg(), action });
    cx.deadline(STOPPED_WITHIN)
}

fn complete(cx: &Context<'_>, talk: Talk, collected: Collected, outcome: Outcome) -> Step {
    Step::to(Phase::Idle(Idle::new(talk, cx))).telling(collected.completion(cx, outcome))
}
