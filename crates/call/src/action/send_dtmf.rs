//! SendDtmf: digits to the far end, until the last of them or `send_dtmf_stop`.

use std::time::Instant;

use offhook_media::event::{self as media, ActionId, Dial};

use crate::action::STOPPED_WITHIN;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::Command;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::RequestId;
use crate::node::Context;
use crate::output::Reply;

/// A call that digits are sent to.
#[derive(Debug)]
pub(crate) struct SendDtmf {
    pub(crate) talk: Talk,
    begin: UnixMs,
    action: ActionId,
    stage: Stage,
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Digits are being sent.
    Sending,
    /// It has been stopped, and the media has to confirm it.
    Stopping { guard: Option<Instant> },
}

impl SendDtmf {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        digits: Vec<Dial>,
    ) -> Step {
        let action = cx.new_action();
        cx.media(media::Command::SendDigits { leg: core.leg(), action, digits });
        cx.reply(request, Ok(Reply::Done));
        Step::to(Phase::SendDtmf(Self { talk, begin: cx.now.wall, action, stage: Stage::Sending }))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Sending => None,
            Stage::Stopping { guard } => guard,
        }
    }

    pub(crate) fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Media(media::Event::DigitsSent { action, .. }) if action == self.action => {
                return self.complete(cx);
            }
            Input::Due if is_due(self.deadline(), cx) => return self.complete(cx),
            Input::Request { id, command: Command::SendDtmfStop { .. } } => {
                if let Stage::Sending = self.stage {
                    cx.media(media::Command::StopDigits { leg: core.leg(), action: self.action });
                    self.stage = Stage::Stopping { guard: cx.deadline(STOPPED_WITHIN) };
                }
                cx.reply(id, Ok(Reply::Done));
            }
            Input::Media(media::Event::Digit { key, .. }) => self.talk.typed.push(key),
            other => pass_over(cx, other),
        }
        Step::to(Phase::SendDtmf(self))
    }

    fn complete(self, cx: &Context<'_>) -> Step {
        let completion = completion(cx, self.begin, None);
        Step::to(Phase::Idle(Idle::new(self.talk, cx))).telling(completion)
    }

    /// The call is over.
    pub(crate) fn cut(self, cx: &Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let error = match self.stage {
            Stage::Sending => Some(ending.cut_short()),
            Stage::Stopping { .. } => None,
        };
        let completion = Some(completion(cx, self.begin, error));
        (self.talk, Cut { completion, action: Some(self.action), recording: None })
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, error: Option<Failure>) -> EventKind {
    EventKind::SendDtmfCompleted { error, span: Span { begin, end: cx.now.wall } }
}
