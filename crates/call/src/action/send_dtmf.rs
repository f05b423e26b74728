//! SendDtmf: digits to the far end, until the last of them or `send_dtmf_stop`: by the media, or by SIP INFO where the
//! gateway wants it so.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, Dial, Key};
use offhook_sip::event::{self as sip, Body, InDialog};

use crate::action::STOPPED_WITHIN;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::Command;
use crate::event::{EventKind, Span, UnixMs};
use crate::gateway::DtmfWay;
use crate::id::RequestId;
use crate::node::Context;
use crate::output::Reply;

/// How long a digit by INFO lasts, and the rest after it: as the media sends one.
const INFO_DIGIT: Duration = Duration::from_millis(100);
/// The half second of a `,`.
const PAUSE: Duration = Duration::from_millis(500);

/// A call that digits are sent to.
#[derive(Debug)]
pub(crate) struct SendDtmf {
    pub(crate) talk: Talk,
    begin: UnixMs,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The media sends digits.
    Sending { action: ActionId },
    /// The media has been stopped, and has to confirm it.
    Stopping { action: ActionId, guard: Option<Instant> },
    /// Digits go by INFO.
    Info(Infos),
}

/// Digits that go by INFO: the next one when the one before has had its time and its answer, so that none overtakes
/// another.
#[derive(Debug)]
struct Infos {
    rest: VecDeque<Dial>,
    /// The INFO that is not answered.
    waits_for: Option<sip::RequestId>,
    /// When the next one may go.
    next: Option<Instant>,
}

impl Infos {
    /// Sends the next digit, if its time has come; whether there is none any more.
    fn go_on(&mut self, core: &Core, cx: &mut Context<'_>) -> bool {
        if self.waits_for.is_some() || self.next.is_some() && !is_due(self.next, cx) {
            return false;
        }
        let lasts = match self.rest.pop_front() {
            None => return true,
            Some(Dial::Pause) => PAUSE,
            Some(Dial::Key(key)) => {
                let request = cx.new_request();
                self.waits_for = Some(request);
                let (session, method, body) = (core.session, InDialog::Info, digit(key));
                cx.sip(sip::Command::Request { session, request, method, body });
                INFO_DIGIT * 2
            }
        };
        self.next = cx.deadline(lasts);
        false
    }
}

/// What gateways take for a digit, by no RFC.
fn digit(key: Key) -> Body {
    let text = format!("Signal={}\r\nDuration={}\r\n", key.as_char(), INFO_DIGIT.as_millis());
    Body { content_type: "application/dtmf-relay".to_owned(), bytes: text.into_bytes() }
}

impl SendDtmf {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        digits: Vec<Dial>,
    ) -> Step {
        let stage = if core.dtmf(cx) == DtmfWay::Info {
            let mut infos = Infos { rest: digits.into(), waits_for: None, next: None };
            infos.go_on(core, cx);
            Stage::Info(infos)
        } else {
            let action = cx.new_action();
            cx.media(media::Command::SendDigits { leg: core.leg(), action, digits });
            Stage::Sending { action }
        };
        cx.reply(request, Ok(Reply::Done));
        Step::to(Phase::SendDtmf(Self { talk, begin: cx.now.wall, stage }))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Sending { .. } => None,
            Stage::Stopping { guard, .. } => *guard,
            Stage::Info(infos) => infos.next.filter(|_| infos.waits_for.is_none()),
        }
    }

    pub(crate) fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match (input, &mut self.stage) {
            (
                Input::Media(media::Event::DigitsSent { action: sent, .. }),
                Stage::Sending { action } | Stage::Stopping { action, .. },
            ) if sent == *action => return self.complete(cx, None),
            (Input::Due, Stage::Stopping { guard, .. }) if is_due(*guard, cx) => {
                return self.complete(cx, None);
            }
            (Input::Due, Stage::Info(infos)) => {
                if infos.go_on(core, cx) {
                    return self.complete(cx, None);
                }
            }
            (Input::Sip(sip::Event::Replied { request, status, .. }), Stage::Info(infos))
                if infos.waits_for == Some(request) =>
            {
                infos.waits_for = None;
                let error = Failure::of_status(status);
                if error.is_some() || infos.go_on(core, cx) {
                    return self.complete(cx, error);
                }
            }
            (Input::Request { id, command: Command::SendDtmfStop { .. } }, _) => {
                let step = self.stop(core, cx);
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            (Input::Stop, _) => return self.stop(core, cx),
            (Input::Media(media::Event::Digit { key, .. }), _) => self.talk.typed.push(key),
            (other, _) => pass_over(cx, other),
        }
        Step::to(Phase::SendDtmf(self))
    }

    fn stop(mut self, core: &Core, cx: &mut Context<'_>) -> Step {
        match self.stage {
            Stage::Sending { action } => {
                cx.media(media::Command::StopDigits { leg: core.leg(), action });
                self.stage = Stage::Stopping { action, guard: cx.deadline(STOPPED_WITHIN) };
            }
            Stage::Stopping { .. } => {}
            Stage::Info(_) => return self.complete(cx, None),
        }
        Step::to(Phase::SendDtmf(self))
    }

    fn complete(self, cx: &Context<'_>, error: Option<Failure>) -> Step {
        let completion = completion(cx, self.begin, error);
        Step::to(Phase::Idle(Idle::new(self.talk, cx))).telling(completion)
    }

    /// The call is over.
    pub(crate) fn cut(self, cx: &Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let (error, action) = match self.stage {
            Stage::Sending { action } => (Some(ending.cut_short()), Some(action)),
            Stage::Stopping { action, .. } => (None, Some(action)),
            Stage::Info(_) => (Some(ending.cut_short()), None),
        };
        let completion = Some(completion(cx, self.begin, error));
        (self.talk, Cut { completion, action, recording: None })
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, error: Option<Failure>) -> EventKind {
    EventKind::SendDtmfCompleted { error, span: Span { begin, end: cx.now.wall } }
}
