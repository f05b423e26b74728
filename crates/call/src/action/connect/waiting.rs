//! Waiting: a connection with a call that is being dialled, of whose far end there is nothing to hear yet. The first party
//! hears what it hears of a call that is dialled for it; its time runs already.

use std::time::Instant;

use offhook_media::event::{ConnectMode, RecordingId};

use super::talking::Talking;
use super::{Ended, Parties, Ready, Stage};
use crate::action::STOPPED_WITHIN;
use crate::action::notice::Notice;
use crate::call::{Core, Input, Step, Talk, is_due, pass_over};
use crate::cause::Failure;
use crate::command::Command;
use crate::node::Context;
use crate::output::Reply;

/// A connection that has all that it needs but the second party's media.
#[derive(Debug)]
pub(super) struct Waiting {
    ready: Ready,
    until: Option<Instant>,
}

impl Waiting {
    pub(super) fn new(cx: &Context<'_>, ready: Ready) -> Self {
        Self { until: cx.deadline(ready.wanted.max), ready }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// They hear each other, if there is something to hear of the second party by now.
    pub(super) fn go_on(self, mut parties: Parties, talk: Talk, core: &Core, cx: &mut Context<'_>) -> Step {
        match &mut parties.dialled {
            Some(dialled) if !dialled.sounds() => {
                dialled.sound(cx);
                return parties.stay(talk, Stage::Waiting(self));
            }
            // The first party will not hear it before the answer, and nothing else by then.
            Some(dialled) if self.ready.wanted.mode == ConnectMode::SecondHears => dialled.hush(cx),
            Some(dialled) => dialled.give_way(cx),
            None => {}
        }
        let talking = Talking::begin(core, cx, self.ready, self.until);
        parties.stay(talk, Stage::Talking(talking))
    }

    pub(super) fn handle(
        self,
        parties: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        input: Input,
    ) -> Step {
        match input {
            Input::Request { id, command: Command::ConnectStop { .. } } => {
                cx.reply(id, Ok(Reply::Done));
                self.part(parties, talk, core, cx, Ended::stopped(None))
            }
            Input::Due if is_due(self.until, cx) => {
                self.part(parties, talk, core, cx, Ended::stopped(Some(Failure::MaxSeconds)))
            }
            Input::Notice(Notice::Gone) => {
                let ended = Ended { error: Some(Failure::Hangup), hangup: Some(parties.second) };
                self.end(parties, talk, core, cx, ended)
            }
            other => {
                pass_over(cx, other);
                parties.stay(talk, Stage::Waiting(self))
            }
        }
    }

    /// Ends the connection before anybody heard anybody by it; both calls go on.
    pub(super) fn part(
        self,
        parties: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        ended: Ended,
    ) -> Step {
        cx.notify(parties.second, Notice::Parted);
        self.end(parties, talk, core, cx, ended)
    }

    fn end(self, parties: Parties, talk: Talk, core: &Core, cx: &mut Context<'_>, ended: Ended) -> Step {
        match self.close(core, cx) {
            None => parties.leave(talk, cx, ended),
            Some(recording) => {
                let guard = cx.deadline(STOPPED_WITHIN);
                parties.stay(talk, Stage::Closing { recording, ended, guard })
            }
        }
    }

    /// The file that was opened for it is closed as empty as it is.
    pub(super) fn close(self, core: &Core, cx: &mut Context<'_>) -> Option<RecordingId> {
        let recording = self.ready.recording?;
        cx.route_recording(recording, core.id);
        cx.abandon_recording(recording);
        Some(recording)
    }
}
