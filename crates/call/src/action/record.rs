//! Record: what the far end says, into a file, until a finish key, the longest duration, `record_stop` or a fault of
//! the disk. Two threads take part besides this one, and their news come in any order: the media tells how long the
//! recording is, the disk that its file is complete. The recording has ended when both have spoken.

use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, RecordEnd, RecordFormat, RecordSpec, RecordingId};

use crate::action::{Outcome, Pending, STOPPED_WITHIN, failure_of};
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, KeySet};
use crate::disk::{DiskEvent, DiskJob, RecordedFile};
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
    Running(Running),
}

/// A recording that has begun.
#[derive(Debug)]
struct Running {
    action: ActionId,
    recording: RecordingId,
    audio: Audio,
    file: File,
}

/// What the media has said.
#[derive(Clone, Copy, Debug)]
enum Audio {
    /// The far end is recorded.
    Flowing,
    /// It has been stopped, and the media has to confirm it.
    Stopping { outcome: Outcome, guard: Option<Instant> },
    /// No more will come.
    Ended { outcome: Outcome, duration: Duration, guard: Option<Instant> },
}

/// What the disk has said.
#[derive(Clone, Copy, Debug)]
enum File {
    /// It writes.
    Open,
    /// The file is complete.
    Closed(RecordedFile),
    /// It cannot write any more; what it wrote before is complete.
    Failed(Failure, RecordedFile),
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
        let pending = Pending::ask(core, cx, request, |job| DiskJob::OpenRecording {
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

    pub(crate) fn handle(self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
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
                let running = Running::begin(core, cx, &wanted, recording_of(job));
                pending.accept(cx, Reply::Recording { file: wanted.file.clone() });
                let stage = Stage::Running(running);
                let stage = if is_paused { stage.pause(core, cx, true) } else { stage };
                match over {
                    Some(outcome) => stage.stop(core, cx, outcome, Duration::ZERO),
                    None => stage,
                }
            }
            (Stage::Opening { pending, .. }, Input::Due) if pending.is_late(cx) => {
                pending.give_up(cx);
                return Step::to(Phase::Idle(Idle::new(talk, cx)));
            }
            (stage, Input::Request { id, command: Command::RecordStop { .. } }) => {
                let stage = stage.stop(core, cx, Outcome::failed(Failure::Stopped), Duration::ZERO);
                cx.reply(id, Ok(Reply::Done));
                stage
            }
            (stage, Input::Stop) => stage.stop(core, cx, Outcome::failed(Failure::Stopped), Duration::ZERO),
            (stage, Input::Request { id, command: Command::RecordPause { is_paused, .. } }) => {
                let stage = stage.pause(core, cx, is_paused);
                cx.reply(id, Ok(Reply::Done));
                stage
            }
            (stage, Input::Media(media::Event::Digit { key, duration, .. })) => {
                if stage.is_running() && wanted.finish_keys.contains(key) {
                    stage.stop(core, cx, Outcome::finished(key), duration)
                } else {
                    talk.typed.push(key);
                    stage
                }
            }
            (Stage::Running(running), input) => Stage::Running(running.handle(core, cx, input)),
            (stage, other) => {
                pass_over(cx, other);
                stage
            }
        };
        match stage {
            Stage::Running(running) if running.is_complete() => {
                let completion = running.completion(cx, begin, wanted, Outcome::default());
                cx.forget_recording(running.recording);
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
        let completion = Some(running.completion(cx, self.begin, self.wanted, outcome));
        let recording = match running.file {
            File::Open => Some(running.recording),
            File::Closed(_) | File::Failed(..) => {
                cx.forget_recording(running.recording);
                None
            }
        };
        (self.talk, Cut { completion, action: Some(running.action), recording })
    }
}

impl Stage {
    fn is_running(&self) -> bool {
        match self {
            Self::Opening { over, .. } => over.is_none(),
            Self::Running(running) => matches!(running.audio, Audio::Flowing),
        }
    }

    /// Pauses it or goes on; one that is at its end has nothing to pause.
    fn pause(self, core: &Core, cx: &mut Context<'_>, is_paused: bool) -> Self {
        match self {
            Self::Opening { pending, over, .. } => Self::Opening { pending, is_paused, over },
            Self::Running(running) => {
                if let Audio::Flowing = running.audio {
                    let action = running.action;
                    cx.media(media::Command::PauseRecord { leg: core.leg(), action, is_paused });
                }
                Self::Running(running)
            }
        }
    }

    /// Ends it; what has ended it first stands.
    fn stop(self, core: &Core, cx: &mut Context<'_>, outcome: Outcome, trim: Duration) -> Self {
        match self {
            Self::Opening { pending, is_paused, over } => {
                Self::Opening { pending, is_paused, over: over.or(Some(outcome)) }
            }
            Self::Running(running) => Self::Running(running.stop(core, cx, outcome, trim)),
        }
    }
}

impl Running {
    fn begin(core: &Core, cx: &mut Context<'_>, wanted: &Wanted, recording: RecordingId) -> Self {
        let action = cx.new_action();
        cx.route_recording(recording, core.id);
        cx.media(media::Command::Record {
            leg: core.leg(),
            action,
            recording,
            beep: wanted.beep,
            max: wanted.max,
            trim_silence: wanted.trim_silence,
            mute_digits: wanted.mute_digits,
        });
        Self { action, recording, audio: Audio::Flowing, file: File::Open }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.audio {
            Audio::Flowing => None,
            Audio::Stopping { guard, .. } | Audio::Ended { guard, .. } => guard,
        }
    }

    fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Self {
        match input {
            Input::Media(media::Event::RecordEnded { action, duration, end, .. })
                if action == self.action =>
            {
                self.end(cx, duration, end);
            }
            Input::Disk(DiskEvent::RecordingClosed { recording, file }) if recording == self.recording => {
                self.file = File::Closed(file);
            }
            Input::Disk(DiskEvent::RecordingFailed { recording, fault, file })
                if recording == self.recording =>
            {
                self.file = File::Failed(failure_of(fault), file);
                return self.stop(core, cx, Outcome::default(), Duration::ZERO);
            }
            Input::Due if is_due(self.deadline(), cx) => self.give_up(cx),
            other => pass_over(cx, other),
        }
        self
    }

    fn stop(mut self, core: &Core, cx: &mut Context<'_>, outcome: Outcome, trim: Duration) -> Self {
        if let Audio::Flowing = self.audio {
            cx.media(media::Command::StopRecord { leg: core.leg(), action: self.action, trim });
            self.audio = Audio::Stopping { outcome, guard: cx.deadline(STOPPED_WITHIN) };
        }
        self
    }

    /// The media has handed out all audio.
    fn end(&mut self, cx: &Context<'_>, duration: Duration, end: RecordEnd) {
        let outcome = match (self.audio, end) {
            (Audio::Stopping { outcome, .. } | Audio::Ended { outcome, .. }, _) => outcome,
            (Audio::Flowing, RecordEnd::MaxDuration) => Outcome::failed(Failure::MaxSeconds),
            (
                Audio::Flowing,
                RecordEnd::Stopped | RecordEnd::LegRemoved | RecordEnd::RoomClosed | RecordEnd::Disconnected,
            ) => Outcome::failed(Failure::Internal),
        };
        self.audio = Audio::Ended { outcome, duration, guard: cx.deadline(STOPPED_WITHIN) };
    }

    /// Media or disk did not speak in time. A file that is still open is closed as it is.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        if let Audio::Stopping { outcome, .. } = self.audio {
            self.audio = Audio::Ended { outcome, duration: Duration::ZERO, guard: None };
        }
        if let File::Open = self.file {
            cx.abandon_recording(self.recording);
            self.file = File::Closed(RecordedFile::default());
        }
    }

    fn is_complete(&self) -> bool {
        matches!((self.audio, self.file), (Audio::Ended { .. }, File::Closed(_) | File::Failed(..)))
    }

    /// What is told of it. `cut` is what to say of a recording that nothing has ended yet; a fault of the disk is the
    /// more important news in any case, since the file lacks something.
    fn completion(&self, cx: &Context<'_>, begin: UnixMs, wanted: Wanted, cut: Outcome) -> EventKind {
        let (outcome, duration) = match self.audio {
            Audio::Flowing => (cut, Duration::ZERO),
            Audio::Stopping { outcome, .. } => (outcome, Duration::ZERO),
            Audio::Ended { outcome, duration, .. } => (outcome, duration),
        };
        let (error, recorded) = match self.file {
            File::Open => (outcome.error, RecordedFile::default()),
            File::Closed(recorded) => (outcome.error, recorded),
            File::Failed(failure, recorded) => (Some(failure), recorded),
        };
        EventKind::RecordCompleted {
            error,
            span: Span { begin, end: cx.now.wall },
            finish_key: outcome.finish_key,
            file: wanted.file,
            duration,
            recorded,
        }
    }
}
