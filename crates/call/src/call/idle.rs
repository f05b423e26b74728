//! Idle: answered, and free for the next action.

use std::time::Instant;

use offhook_media::event as media;

use crate::Config;
use crate::action::connect::{Connect, Wanted};
use crate::action::dial::Dial;
use crate::action::notice::Notice;
use crate::action::play::Play;
use crate::action::receive_dtmf::ReceiveDtmf;
use crate::action::record::{self, Record};
use crate::action::send_dtmf::SendDtmf;
use crate::call::ended::Cut;
use crate::call::{Core, Input, Phase, Step, Talk, hang_up, is_due, pass_over};
use crate::cause::Ending;
use crate::command::Command;
use crate::id::RequestId;
use crate::node::Context;

/// A call that waits for a request.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) talk: Talk,
    /// When it became idle, or a request last named it.
    since: Instant,
}

impl Idle {
    pub(crate) fn new(talk: Talk, cx: &Context<'_>) -> Self {
        Self { talk, since: cx.now.mono }
    }

    pub(crate) fn touch(&mut self, now: Instant) {
        self.since = now;
    }

    /// When it has been idle too long.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        if config.idle_timeout.is_zero() { None } else { self.since.checked_add(config.idle_timeout) }
    }

    pub(crate) fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Request { id, command } => return self.start(core, cx, id, command),
            Input::Notice(Notice::Joined { first }) => return Connect::join(self.talk, first),
            Input::Due if is_due(self.deadline(&cx.node.config), cx) => {
                return self.end(core, cx, Ending::IdleTimeout);
            }
            Input::Media(media::Event::Digit { key, .. }) => self.talk.typed.push(key),
            other => pass_over(cx, other),
        }
        Step::to(Phase::Idle(self))
    }

    fn start(self, core: &Core, cx: &mut Context<'_>, id: RequestId, command: Command) -> Step {
        let talk = self.talk;
        match command {
            Command::PlayStart { content, finish_keys, repeat, .. } => {
                Play::start(talk, core, cx, id, content, finish_keys, repeat)
            }
            Command::RecordStart {
                max,
                beep,
                file,
                format,
                finish_keys,
                overwrite,
                trim_silence,
                mute_digits,
                ..
            } => {
                let wanted = record::Wanted {
                    file,
                    format,
                    overwrite,
                    max,
                    beep,
                    trim_silence,
                    mute_digits,
                    finish_keys,
                };
                Record::start(talk, core, cx, id, wanted)
            }
            Command::Construct(construct) => Dial::start(talk, core, cx, id, construct),
            Command::SendDtmfStart { digits, .. } => SendDtmf::start(talk, core, cx, id, digits),
            Command::ReceiveDtmfStart(ask) => ReceiveDtmf::start(talk, core, cx, id, ask),
            Command::ConnectStart { other: second, max, mode, extras, .. } => {
                Connect::start(talk, core, cx, id, Wanted { second, max, mode, extras }, None)
            }
            command => {
                pass_over(cx, Input::Request { id, command });
                Step::to(Phase::Idle(Self { talk, since: self.since }))
            }
        }
    }

    pub(crate) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        hang_up(core, cx, self.talk, &ending, Cut::default())
    }
}
