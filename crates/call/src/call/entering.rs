//! Entering: a call that is to be in a conference leaves off what it does. That is stopped as its own stop would do it, and
//! completes; only then the call enters. So nobody has to wait for a prompt to end before the talk begins.
//!
//! ```text
//!   conf_enter ─▶ the file for all is loaded ─▶ what the call does is stopped, and completes ─▶ Conf
//!                 where there is one
//! ```
//! A file that is not to be had stops nothing: the call goes on with what it does.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::Prompt;

use crate::Config;
use crate::action::Pending;
use crate::action::conf::{self, Conf};
use crate::call::{Core, Input, Phase, Step};
use crate::cause::Ending;
use crate::command::ConfEnter;
use crate::disk::DiskEvent;
use crate::error::Error;
use crate::id::RequestId;
use crate::node::Context;
use crate::state::State;

/// A call that does something, and is to leave it off.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(super) doing: Box<Phase>,
    enter: Box<ConfEnter>,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// What all are to hear is being loaded; the call goes on with what it does.
    Loading(Pending),
    /// What it does is being stopped.
    Stopping { request: RequestId, welcome: Vec<Arc<Prompt>> },
}

/// Begins with whatever the call does, which may be nothing.
pub(super) fn begin(
    doing: Phase,
    core: &mut Core,
    cx: &mut Context<'_>,
    request: RequestId,
    enter: Box<ConfEnter>,
) -> Step {
    let stage = match conf::ask(core, cx, request, &enter) {
        Some(pending) => Stage::Loading(pending),
        None => Stage::Stopping { request, welcome: Vec::new() },
    };
    let step = match (doing, &stage) {
        (doing @ Phase::Idle(_), _) | (doing, Stage::Loading(_)) => Step::to(doing),
        (doing, Stage::Stopping { .. }) => doing.act(core, cx, Input::Stop),
    };
    follow(step, core, cx, enter, stage)
}

impl Entering {
    /// When it, or what the call does, wants to be told that time has passed.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Loading(pending) => pending.deadline(),
            Stage::Stopping { .. } => None,
        };
        own.into_iter().chain(self.doing.deadline(config)).min()
    }

    pub(super) fn handle(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { doing, enter, stage } = self;
        let (step, stage) = match (stage, input) {
            (Stage::Loading(pending), Input::Disk(DiskEvent::Prompts { job, result }))
                if job == pending.job =>
            {
                match result {
                    Err(fault) => {
                        pending.fail(cx, fault.into());
                        return Step::to(*doing);
                    }
                    Ok(welcome) => {
                        let stage = Stage::Stopping { request: pending.into_request(), welcome };
                        (doing.act(core, cx, Input::Stop), stage)
                    }
                }
            }
            (Stage::Loading(pending), Input::Due) if pending.is_late(cx) => {
                pending.give_up(cx);
                return doing.act(core, cx, Input::Due);
            }
            (stage, input) => (doing.act(core, cx, input), stage),
        };
        follow(step, core, cx, enter, stage)
    }

    /// The call is over before it could enter.
    pub(super) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        match self.stage {
            Stage::Loading(pending) => pending.overtake(core, cx),
            Stage::Stopping { request, .. } => cx.reply(request, Err(Error::NotFound { call: core.id })),
        }
        self.doing.end(core, cx, ending)
    }
}

/// If the action is over the call enters, as soon as its file is there; else it goes on waiting.
fn follow(step: Step, core: &Core, cx: &mut Context<'_>, enter: Box<ConfEnter>, stage: Stage) -> Step {
    let Step { passing, phase, told } = step;
    match phase {
        Phase::Idle(idle) => {
            let entered = match stage {
                Stage::Loading(pending) => Conf::prepare(idle.talk, cx, pending, enter),
                Stage::Stopping { request, welcome } => {
                    Conf::start(idle.talk, core, cx, request, &enter, welcome)
                }
            };
            Step { told, ..entered.passing(State::Idle) }
        }
        doing => {
            let phase = Phase::Entering(Entering { doing: Box::new(doing), enter, stage });
            Step { passing, phase, told }
        }
    }
}
