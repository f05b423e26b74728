//! Talking: the parties of a connection hear each other, and may be recorded, and hear what was scheduled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, Prompt, RecordingId, Volumes};

use super::{Ended, Parties, Ready, Stage, Wanted};
use crate::action::notice::Notice;
use crate::action::{STOPPED_WITHIN, failure_of};
use crate::call::{Core, Input, Step, Talk, is_due, leg_of, pass_over};
use crate::cause::Failure;
use crate::command::Command;
use crate::disk::DiskEvent;
use crate::node::Context;
use crate::output::Reply;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Talking {
    until: Option<Instant>,
    scheduled: Option<Scheduled>,
    file: File,
}

/// What both are to hear, once.
#[derive(Debug)]
struct Scheduled {
    at: Option<Instant>,
    prompts: Vec<Arc<Prompt>>,
    repeat: u32,
}

/// The recording.
#[derive(Clone, Copy, Debug)]
enum File {
    None,
    Open(ActionId, RecordingId),
    Failed(Failure),
}

impl Talking {
    pub(super) fn begin(core: &Core, cx: &mut Context<'_>, ready: Ready, until: Option<Instant>) -> Self {
        let Ready { wanted: Wanted { second, max, mode, extras }, prompts, recording } = ready;
        let (first, second) = (core.leg(), leg_of(second));
        cx.media(media::Command::Connect { first, second, mode, mute_digits: extras.mute_digits });
        if extras.volumes != Volumes::default() {
            cx.media(media::Command::SetVolumes { first, second, volumes: extras.volumes });
        }
        let file = recording.map_or(File::None, |recording| {
            let action = cx.new_action();
            cx.route_recording(recording, core.id);
            let is_stereo = extras.record.as_ref().is_some_and(|record| record.is_stereo);
            cx.media(media::Command::RecordConnection { first, second, action, recording, is_stereo, max });
            File::Open(action, recording)
        });
        let scheduled = extras.schedule.map(|schedule| {
            let ahead = u64::try_from(schedule.at.0.saturating_sub(cx.now.wall.0)).unwrap_or_default();
            let at = cx.deadline(Duration::from_millis(ahead));
            Scheduled { at, prompts, repeat: schedule.repeat }
        });
        Self { until, scheduled, file }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let scheduled = self.scheduled.as_ref().and_then(|scheduled| scheduled.at);
        self.until.into_iter().chain(scheduled).min()
    }

    pub(super) fn handle(
        mut self,
        parties: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        input: Input,
    ) -> Step {
        match input {
            Input::Request { id, command: Command::ConnectStop { .. } } => {
                let step = self.part(parties, talk, core, cx, None);
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            Input::Due if is_due(self.until, cx) => {
                return self.part(parties, talk, core, cx, Some(Failure::MaxSeconds));
            }
            Input::Due => self.play(&parties, core, cx),
            Input::Notice(Notice::Gone) => {
                let ended = Ended { error: Some(Failure::Hangup), hangup: Some(parties.second) };
                return self.end(parties, talk, cx, ended);
            }
            // It has reached the longest duration, which is the connection's, a moment before that.
            Input::Disk(DiskEvent::RecordingClosed { recording, .. })
                if self.recording() == Some(recording) =>
            {
                cx.forget_recording(recording);
                self.file = File::None;
            }
            Input::Disk(DiskEvent::RecordingFailed { recording, fault, .. }) => {
                if let File::Open(action, open) = self.file
                    && open == recording
                {
                    cx.media(media::Command::StopRecord { leg: core.leg(), action, by_key: false });
                    cx.forget_recording(recording);
                    self.file = File::Failed(failure_of(fault));
                }
            }
            other => pass_over(cx, other),
        }
        parties.stay(talk, Stage::Talking(self))
    }

    /// What was scheduled is played, when its time has come.
    fn play(&mut self, parties: &Parties, core: &Core, cx: &mut Context<'_>) {
        let is_due = self.scheduled.as_ref().is_some_and(|scheduled| is_due(scheduled.at, cx));
        if let Some(Scheduled { prompts, repeat, .. }) = self.scheduled.take_if(|_| is_due) {
            let (second, action) = (leg_of(parties.second), cx.new_action());
            let first = core.leg();
            cx.media(media::Command::PlayConnection { first, second, action, prompts, repeat });
        }
    }

    /// Ends the connection; both calls go on.
    fn part(
        self,
        parties: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        error: Option<Failure>,
    ) -> Step {
        cx.media(media::Command::Disconnect { first: core.leg(), second: leg_of(parties.second) });
        cx.notify(parties.second, Notice::Parted);
        self.end(parties, talk, cx, Ended::stopped(error))
    }

    /// They do not hear each other any more: when the file is complete it is over.
    fn end(self, parties: Parties, talk: Talk, cx: &mut Context<'_>, ended: Ended) -> Step {
        match self.file {
            File::None => parties.leave(talk, cx, ended),
            File::Failed(failure) => parties.leave(talk, cx, ended.or(failure)),
            File::Open(_, recording) => {
                let guard = cx.deadline(STOPPED_WITHIN);
                parties.stay(talk, Stage::Closing { recording, ended, guard })
            }
        }
    }

    /// The file that is being written.
    pub(super) fn recording(&self) -> Option<RecordingId> {
        match self.file {
            File::Open(_, recording) => Some(recording),
            File::None | File::Failed(_) => None,
        }
    }
}
