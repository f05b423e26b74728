//! Record: what the far end says, into a file, until a finish key, the longest duration, `record_stop` or a fault of
//! the disk.

use std::time::{Duration, Instant};

use offhook_media::event::{self as media, RecordFormat, RecordSpec, RecordingId};

use crate::action::recording::{Recorded, Recording};
use crate::action::{Outcome, Pending};
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, KeySet};
use crate::disk::{DiskEvent, DiskJob};
use crate::event::{EventKind, Span, UnixMs};
use crate::id::RequestId;
use crate::node::{Context, recording_of};
use crate::output::Reply;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) file: String,
    pub(crate) format: RecordFormat,
    pub(crate) overwrite: bool,
    pub(crate) max: Duration,
    pub(crate) beep: bool,
    pub(crate) trim_silence: bool,
    pub(crate) mute_digits: bool,
    pub(crate) finish_keys: KeySet,
}

/// A call that is being recorded.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) talk: Talk,
    begin: UnixMs,
    wanted: Wanted,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The file is being opened. `over`: it was stopped already, by a command or by a key.
    Opening { pending: Pending, is_paused: bool, over: Option<Outcome> },
    /// Media and disk are at work.
    Running(Recording),
}

impl Record {
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        wanted: Wanted,
    ) -> Step {
        let spec = RecordSpec::new(wanted.format, talk.media.codec.sample_rate(), 1);
        let pending = Pending::ask(core, cx, request, "record_file", |job| DiskJob::OpenRecording {
            file: wanted.file.clone(),
            spec,
            overwrite: wanted.overwrite,
            recording: recording_of(job),
        });
        let stage = Stage::Opening { pending, is_paused: false, over: None };
        Step::to(Phase::Record(Self { talk, begin: cx.now.wall, wanted, stage }))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Opening { pending, .. } => pending.deadline(),
            Stage::Running(running) => running.deadline(),
        }
    }

    pub(crate) fn handle(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { mut talk, begin, wanted, stage } = self;
        let stage = match (stage, input) {
            (
                Stage::Opening { pending, is_paused, over },
                Input::Disk(DiskEvent::RecordingOpened { job, result }),
            ) if pending.job == job => {
                if let Err(fault) = result {
                    pending.refuse(cx, fault, wanted.file);
                    return Step::to(Phase::Idle(Idle::new(talk, cx)));
                }
                core.remember_recording(&wanted.file);
                let running = run(core, cx, &wanted, recording_of(job));
                pending.accept(cx, Reply::Recording { file: wanted.file.clone() });
                let stage = Stage::Running(running);
                let stage = if is_paused { stage.pause(core, cx, true) } else { stage };
                match over {
                    Some(outcome) => stage.stop(core, cx, outcome),
                    None => stage,
                }
            }
            (Stage::Opening { pending, .. }, Input::Due) if pending.is_late(cx) => {
                pending.give_up(cx);
                return Step::to(Phase::Idle(Idle::new(talk, cx)));
            }
            (stage, Input::Request { id, command: Command::RecordStop { .. } }) => {
                let stage = stage.stop(core, cx, Outcome::failed(Failure::Stopped));
                cx.reply(id, Ok(Reply::Done));
                stage
            }
            (stage, Input::Stop) => stage.stop(core, cx, Outcome::failed(Failure::Stopped)),
            (stage, Input::Request { id, command: Command::RecordPause { is_paused, .. } }) => {
                let stage = stage.pause(core, cx, is_paused);
                cx.reply(id, Ok(Reply::Done));
                stage
            }
            (stage, Input::Media(media::Event::Digit { key, .. })) => {
                if stage.is_running() && wanted.finish_keys.contains(key) {
                    stage.stop(core, cx, Outcome::finished(key))
                } else {
                    talk.typed.push(key);
                    stage
                }
            }
            (Stage::Running(running), input) => Stage::Running(hear(running, core, cx, input)),
            (stage, other) => {
                pass_over(cx, other);
                stage
            }
        };
        match stage {
            Stage::Running(running) if running.is_complete() => {
                let recorded = running.close(cx, Outcome::default());
                let completion = completion(cx, begin, wanted, recorded);
                Step::to(Phase::Idle(Idle::new(talk, cx))).telling(completion)
            }
            stage => Step::to(Phase::Record(Self { talk, begin, wanted, stage })),
        }
    }

    /// The call is over. A file that is not complete yet will be: the leg's removal ends the recording.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let running = match self.stage {
            Stage::Opening { pending, .. } => {
                pending.overtake(core, cx);
                return (self.talk, Cut::default());
            }
            Stage::Running(running) => running,
        };
        let outcome = Outcome::failed(ending.cut_short());
        let (action, recording) = (Some(running.action), running.open_file(cx));
        let completion = completion(cx, self.begin, self.wanted, running.recorded(outcome));
        (self.talk, Cut { completion: Some(completion), action, recording })
    }
}

impl Stage {
    fn is_running(&self) -> bool {
        match self {
            Self::Opening { over, .. } => over.is_none(),
            Self::Running(running) => running.is_flowing(),
        }
    }

    /// Pauses it or goes on; one that is at its end has nothing to pause.
    fn pause(self, core: &Core, cx: &mut Context<'_>, is_paused: bool) -> Self {
        match self {
            Self::Opening { pending, over, .. } => Self::Opening { pending, is_paused, over },
            Self::Running(running) => {
                if running.is_flowing() {
                    let action = running.action;
                    cx.media(media::Command::PauseRecord { leg: core.leg(), action, is_paused });
                }
                Self::Running(running)
            }
        }
    }

    /// Ends it; what has ended it first stands.
    fn stop(self, core: &Core, cx: &mut Context<'_>, outcome: Outcome) -> Self {
        match self {
            Self::Opening { pending, is_paused, over } => {
                Self::Opening { pending, is_paused, over: over.or(Some(outcome)) }
            }
            Self::Running(mut running) => {
                stop_running(&mut running, core, cx, outcome);
                Self::Running(running)
            }
        }
    }
}

fn run(core: &Core, cx: &mut Context<'_>, wanted: &Wanted, recording: RecordingId) -> Recording {
    let running = Recording::begin(core, cx, recording);
    cx.media(media::Command::Record {
        leg: core.leg(),
        action: running.action,
        recording,
        beep: wanted.beep,
        max: wanted.max,
        trim_silence: wanted.trim_silence,
        mute_digits: wanted.mute_digits,
        finish_keys: wanted.finish_keys,
        format: wanted.format,
    });
    running
}

/// What media and disk say of it.
fn hear(mut running: Recording, core: &Core, cx: &mut Context<'_>, input: Input) -> Recording {
    match input {
        Input::Media(media::Event::RecordEnded { action, duration, end, .. }) => {
            running.ended(cx, action, duration, end);
        }
        Input::Disk(event) => {
            if running.disk(&event) {
                stop_running(&mut running, core, cx, Outcome::default());
            }
        }
        Input::Due => running.due(cx),
        other => pass_over(cx, other),
    }
    running
}

fn stop_running(running: &mut Recording, core: &Core, cx: &mut Context<'_>, outcome: Outcome) {
    let by_key = outcome.finish_key.is_some();
    if running.stop(cx, outcome) {
        cx.media(media::Command::StopRecord { leg: core.leg(), action: running.action, by_key });
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, wanted: Wanted, recorded: Recorded) -> EventKind {
    let Recorded { outcome, duration, file } = recorded;
    EventKind::RecordCompleted {
        error: outcome.error,
        span: Span { begin, end: cx.now.wall },
        finish_key: outcome.finish_key,
        file: wanted.file,
        duration,
        recorded: file,
    }
}
