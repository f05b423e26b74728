//! Entering: a call that is to be in a conference leaves off what it does. That is stopped as its own stop would do it, and
//! completes; only then the call enters. So nobody has to wait for a prompt to end before the talk begins.

use crate::action::conf::Conf;
use crate::call::{Core, Input, Phase, Step};
use crate::cause::Ending;
use crate::command::ConfEnter;
use crate::error::Error;
use crate::id::RequestId;
use crate::node::Context;
use crate::state::State;

/// A call whose action is being stopped.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(super) doing: Box<Phase>,
    request: RequestId,
    enter: ConfEnter,
}

/// Begins with whatever the call does, which may be nothing.
pub(super) fn begin(
    doing: Phase,
    core: &mut Core,
    cx: &mut Context<'_>,
    request: RequestId,
    enter: ConfEnter,
) -> Step {
    let step = doing.act(core, cx, Input::Stop);
    follow(step, core, cx, request, enter)
}

impl Entering {
    pub(super) fn handle(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let step = self.doing.act(core, cx, input);
        follow(step, core, cx, self.request, self.enter)
    }

    /// The call is over before it could enter.
    pub(super) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        cx.reply(self.request, Err(Error::NotFound { call: core.id }));
        self.doing.end(core, cx, ending)
    }
}

/// If the action is over the call enters, else it goes on waiting.
fn follow(step: Step, core: &Core, cx: &mut Context<'_>, request: RequestId, enter: ConfEnter) -> Step {
    let Step { passing, phase, told } = step;
    match phase {
        Phase::Idle(idle) => {
            let entered = Conf::start(idle.talk, core, cx, request, enter).passing(State::Idle);
            Step { told, ..entered }
        }
        doing => {
            let phase = Phase::Entering(Entering { doing: Box::new(doing), request, enter });
            Step { passing, phase, told }
        }
    }
}
