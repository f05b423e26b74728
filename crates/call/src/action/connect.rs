//! Connect: two calls hear each other. The first party has the action and its completion; the second is bound by it.
//! The two tell each other by [`Notice`], which is delivered within the same step, so nobody ever sees one of them
//! connected alone.
//!
//! ```text
//!   start ─▶ the prompt is loaded, the file opened ─▶ talking ─▶ the file is completed ─▶ over
//!            where any is wanted                                 where there is one
//! ```
//! Until the disk has answered nobody hears anybody, and the request has no reply: what goes wrong there is an error in it,
//! and no event. A recording that fails later is no reason to end a talk; it is told at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, ConnectMode, Prompt, RecordSpec, RecordingId, Volumes};

use crate::action::{Pending, STOPPED_WITHIN, failure_of};
use crate::admit::Role;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, leg_of, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, ConnectExtras, ConnectRecord};
use crate::disk::{DiskEvent, DiskJob, JobId};
use crate::error::Error;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::{CallId, RequestId};
use crate::node::{Context, recording_of};
use crate::output::Reply;

/// What one party tells the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To the second: you are connected with me.
    Joined { first: CallId },
    /// To the second: we are connected no longer.
    Parted,
    /// To the first: I was hung up.
    Gone,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) second: CallId,
    pub(crate) max: Duration,
    pub(crate) mode: ConnectMode,
    pub(crate) extras: ConnectExtras,
}

/// A party of a connection.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) talk: Talk,
    party: Party,
}

/// Which of the two.
#[derive(Debug)]
enum Party {
    First(Box<First>),
    Second { first: CallId },
}

/// The first party.
#[derive(Debug)]
struct First {
    second: CallId,
    begin: UnixMs,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The disk is asked.
    Preparing(Preparing),
    /// They hear each other.
    Talking(Talking),
    /// They do not any more, and the file is being completed.
    Closing { recording: RecordingId, ended: Ended, guard: Option<Instant> },
}

/// A connection that waits for the disk.
#[derive(Debug)]
struct Preparing {
    pending: Pending,
    wanted: Wanted,
    /// What is to be played; loaded before the file is opened.
    prompts: Vec<Arc<Prompt>>,
    /// Whether it was stopped already.
    is_stopped: bool,
}

/// A connection that stands.
#[derive(Debug)]
struct Talking {
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

/// Why a connection is over.
#[derive(Clone, Copy, Debug)]
struct Ended {
    error: Option<Failure>,
    hangup: Option<CallId>,
}

impl Connect {
    /// Connects a call with another, of which it is known that it is Idle.
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        wanted: Wanted,
    ) -> Step {
        let (second, begin) = (wanted.second, cx.now.wall);
        let ConnectExtras { record, schedule, .. } = &wanted.extras;
        let pending = if let Some(schedule) = schedule {
            let (sources, codec) = (vec![schedule.source.clone()], talk.media.codec);
            Some(Pending::ask(core, cx, request, |_| DiskJob::LoadPrompts { sources, codec }))
        } else {
            record.as_ref().map(|record| Pending::ask(core, cx, request, |job| opening(&talk, record, job)))
        };
        let stage = match pending {
            Some(pending) => {
                Stage::Preparing(Preparing { pending, wanted, prompts: Vec::new(), is_stopped: false })
            }
            None => Stage::Talking(Talking::begin(core, cx, wanted, Vec::new(), None)),
        };
        cx.notify(second, Notice::Joined { first: core.id });
        if let Stage::Talking(_) = stage {
            cx.reply(request, Ok(Reply::Done));
        }
        First { second, begin, stage }.stay(talk)
    }

    /// Becomes the second party.
    pub(crate) fn join(talk: Talk, first: CallId) -> Step {
        Step::to(Phase::Connect(Self { talk, party: Party::Second { first } }))
    }

    pub(crate) fn role(&self) -> Role {
        match self.party {
            Party::First(_) => Role::Own,
            Party::Second { .. } => Role::SecondParty,
        }
    }

    /// The other party.
    pub(crate) fn other(&self) -> CallId {
        match &self.party {
            Party::First(first) => first.second,
            Party::Second { first } => *first,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let Party::First(first) = &self.party else { return None };
        match &first.stage {
            Stage::Preparing(preparing) => preparing.pending.deadline(),
            Stage::Talking(talking) => talking.deadline(),
            Stage::Closing { guard, .. } => *guard,
        }
    }

    pub(crate) fn handle(self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { mut talk, party } = self;
        match (party, input) {
            (party, Input::Media(media::Event::Digit { key, .. })) => {
                talk.typed.push(key);
                Step::to(Phase::Connect(Self { talk, party }))
            }
            (Party::First(first), input) => {
                let First { second, begin, stage } = *first;
                let first = Parties { second, begin };
                match stage {
                    Stage::Preparing(preparing) => preparing.handle(first, talk, core, cx, input),
                    Stage::Talking(talking) => talking.handle(first, talk, core, cx, input),
                    Stage::Closing { recording, ended, guard } => {
                        close(first, talk, cx, (recording, ended, guard), input)
                    }
                }
            }
            (Party::Second { .. }, Input::Notice(Notice::Parted)) => {
                Step::to(Phase::Idle(Idle::new(talk, cx)))
            }
            (party, other) => {
                pass_over(cx, other);
                Step::to(Phase::Connect(Self { talk, party }))
            }
        }
    }

    /// The call is over, and with it the connection: the removal of its leg ends that too.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let First { second, begin, stage } = match self.party {
            Party::First(first) => *first,
            Party::Second { first } => {
                cx.notify(first, Notice::Gone);
                return (self.talk, Cut::default());
            }
        };
        let (completion, recording) = match stage {
            Stage::Preparing(preparing) => {
                preparing.pending.overtake(core, cx);
                cx.notify(second, Notice::Parted);
                (None, None)
            }
            Stage::Talking(talking) => {
                cx.notify(second, Notice::Parted);
                let ended = Ended { error: Some(ending.cut_short()), hangup: Some(core.id) };
                let recording = match talking.file {
                    File::Open(_, recording) => Some(recording),
                    File::None | File::Failed(_) => None,
                };
                (Some(completion(cx, begin, ended)), recording)
            }
            // What has ended it first stands.
            Stage::Closing { recording, ended, .. } => (Some(completion(cx, begin, ended)), Some(recording)),
        };
        (self.talk, Cut { completion, action: None, recording })
    }
}

/// What the first party remembers all the time.
#[derive(Clone, Copy, Debug)]
struct Parties {
    second: CallId,
    begin: UnixMs,
}

impl First {
    /// It goes on in this stage.
    fn stay(self, talk: Talk) -> Step {
        Step::to(Phase::Connect(Connect { talk, party: Party::First(Box::new(self)) }))
    }
}

impl Parties {
    fn stay(self, talk: Talk, stage: Stage) -> Step {
        First { second: self.second, begin: self.begin, stage }.stay(talk)
    }

    /// It is over.
    fn leave(self, talk: Talk, cx: &Context<'_>, ended: Ended) -> Step {
        Step::to(Phase::Idle(Idle::new(talk, cx))).telling(completion(cx, self.begin, ended))
    }
}

impl Preparing {
    fn handle(mut self, first: Parties, talk: Talk, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Disk(DiskEvent::Prompts { job, result }) if job == self.pending.job => match result {
                Ok(prompts) => {
                    self.prompts = prompts;
                    let Some(record) = &self.wanted.extras.record else {
                        return self.begin(first, talk, core, cx, None);
                    };
                    self.pending = self.pending.then_ask(core, cx, |job| opening(&talk, record, job));
                }
                Err(fault) => return self.fail(first, talk, cx, fault.into()),
            },
            Input::Disk(DiskEvent::RecordingOpened { job, result }) if job == self.pending.job => {
                let fault = match result {
                    Ok(()) => return self.begin(first, talk, core, cx, Some(recording_of(job))),
                    Err(fault) => fault,
                };
                let file = self.wanted.extras.record.as_ref().map(|record| record.file.clone());
                let error = Error::File { fault, file: file.unwrap_or_default(), item: None };
                return self.fail(first, talk, cx, error);
            }
            Input::Due if self.pending.is_late(cx) => {
                self.pending.give_up(cx);
                cx.notify(first.second, Notice::Parted);
                return Step::to(Phase::Idle(Idle::new(talk, cx)));
            }
            Input::Notice(Notice::Gone) => {
                cx.forget_job(self.pending.job);
                self.pending.fail(cx, Error::NotFound { call: first.second });
                return Step::to(Phase::Idle(Idle::new(talk, cx)));
            }
            Input::Request { id, command: Command::ConnectStop { .. } } => {
                self.is_stopped = true;
                cx.reply(id, Ok(Reply::Done));
            }
            other => pass_over(cx, other),
        }
        first.stay(talk, Stage::Preparing(self))
    }

    /// The disk has done its part.
    fn begin(
        self,
        first: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        recording: Option<RecordingId>,
    ) -> Step {
        let Self { pending, wanted, prompts, is_stopped } = self;
        let talking = Talking::begin(core, cx, wanted, prompts, recording);
        pending.accept(cx, Reply::Done);
        if is_stopped {
            return talking.part(first, talk, core, cx, None);
        }
        first.stay(talk, Stage::Talking(talking))
    }

    /// The disk cannot do its part.
    fn fail(self, first: Parties, talk: Talk, cx: &mut Context<'_>, error: Error) -> Step {
        self.pending.fail(cx, error);
        cx.notify(first.second, Notice::Parted);
        Step::to(Phase::Idle(Idle::new(talk, cx)))
    }
}

impl Talking {
    fn begin(
        core: &Core,
        cx: &mut Context<'_>,
        wanted: Wanted,
        prompts: Vec<Arc<Prompt>>,
        recording: Option<RecordingId>,
    ) -> Self {
        let Wanted { second, max, mode, extras } = wanted;
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
        Self { until: cx.deadline(max), scheduled, file }
    }

    fn deadline(&self) -> Option<Instant> {
        let scheduled = self.scheduled.as_ref().and_then(|scheduled| scheduled.at);
        self.until.into_iter().chain(scheduled).min()
    }

    fn handle(mut self, first: Parties, talk: Talk, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Request { id, command: Command::ConnectStop { .. } } => {
                let step = self.part(first, talk, core, cx, None);
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            Input::Due if is_due(self.until, cx) => {
                return self.part(first, talk, core, cx, Some(Failure::MaxSeconds));
            }
            Input::Due => self.play(first, core, cx),
            Input::Notice(Notice::Gone) => {
                let ended = Ended { error: Some(Failure::Hangup), hangup: Some(first.second) };
                return self.end(first, talk, cx, ended);
            }
            Input::Disk(DiskEvent::RecordingFailed { recording, fault, .. }) => {
                if let File::Open(action, open) = self.file
                    && open == recording
                {
                    let (leg, trim) = (core.leg(), Duration::ZERO);
                    cx.media(media::Command::StopRecord { leg, action, trim });
                    cx.forget_recording(recording);
                    self.file = File::Failed(failure_of(fault));
                }
            }
            other => pass_over(cx, other),
        }
        first.stay(talk, Stage::Talking(self))
    }

    /// What was scheduled is played, when its time has come.
    fn play(&mut self, first: Parties, core: &Core, cx: &mut Context<'_>) {
        let is_due = self.scheduled.as_ref().is_some_and(|scheduled| is_due(scheduled.at, cx));
        if let Some(Scheduled { prompts, repeat, .. }) = self.scheduled.take_if(|_| is_due) {
            let (second, action) = (leg_of(first.second), cx.new_action());
            let first = core.leg();
            cx.media(media::Command::PlayConnection { first, second, action, prompts, repeat });
        }
    }

    /// Ends the connection; both calls go on.
    fn part(
        self,
        first: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        error: Option<Failure>,
    ) -> Step {
        cx.media(media::Command::Disconnect { first: core.leg(), second: leg_of(first.second) });
        cx.notify(first.second, Notice::Parted);
        self.end(first, talk, cx, Ended { error, hangup: None })
    }

    /// They do not hear each other any more: when the file is complete it is over.
    fn end(self, first: Parties, talk: Talk, cx: &Context<'_>, ended: Ended) -> Step {
        match self.file {
            File::None => first.leave(talk, cx, ended),
            File::Failed(failure) => first.leave(talk, cx, ended.or(failure)),
            File::Open(_, recording) => {
                let guard = cx.deadline(STOPPED_WITHIN);
                first.stay(talk, Stage::Closing { recording, ended, guard })
            }
        }
    }
}

/// The file is being completed, for which the disk has [`STOPPED_WITHIN`].
fn close(
    first: Parties,
    talk: Talk,
    cx: &mut Context<'_>,
    (recording, ended, guard): (RecordingId, Ended, Option<Instant>),
    input: Input,
) -> Step {
    let ended = match input {
        Input::Disk(DiskEvent::RecordingClosed { recording: closed, .. }) if closed == recording => ended,
        Input::Disk(DiskEvent::RecordingFailed { recording: failed, fault, .. }) if failed == recording => {
            ended.or(failure_of(fault))
        }
        Input::Due if is_due(guard, cx) => {
            cx.abandon_recording(recording);
            ended
        }
        other => {
            if let Input::Request { id, command: Command::ConnectStop { .. } } = other {
                cx.reply(id, Ok(Reply::Done));
            } else {
                pass_over(cx, other);
            }
            return first.stay(talk, Stage::Closing { recording, ended, guard });
        }
    };
    cx.forget_recording(recording);
    first.leave(talk, cx, ended)
}

impl Ended {
    /// The same; but if there is nothing else to tell, that the recording lacks something.
    fn or(self, failure: Failure) -> Self {
        Self { error: self.error.or(Some(failure)), ..self }
    }
}

/// The file that both are recorded in. What keeps the rate of its leg has that of the first party.
fn opening(talk: &Talk, record: &ConnectRecord, job: JobId) -> DiskJob {
    let channels = if record.is_stereo { 2 } else { 1 };
    DiskJob::OpenRecording {
        file: record.file.clone(),
        spec: RecordSpec::new(record.format, talk.media.codec.sample_rate(), channels),
        overwrite: false,
        recording: recording_of(job),
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, ended: Ended) -> EventKind {
    let Ended { error, hangup } = ended;
    EventKind::ConnectCompleted { error, span: Span { begin, end: cx.now.wall }, hangup }
}
