//! Connect: two calls hear each other. The first party has the action and its completion; the second is bound by it.
//! The two tell each other by [`Notice`], which is delivered within the same step, so nobody ever sees one of them
//! connected alone.
//!
//! ```text
//!   start ─▶ the prompt is loaded, the file opened ─▶ talking ─▶ the file is completed ─▶ over
//!            where any is wanted                                 where there is one
//! ```
//! A call that dials another may connect with it before the answer. As long as there is nothing to hear of that one's far end
//! the connection waits, and the first party hears what it would have heard without it; where it ends before the answer the
//! call goes on dialling.
//!
//! Until the disk has answered nobody hears anybody, and the request has no reply: what goes wrong there is an error in it,
//! and no event. A recording that fails later is no reason to end a talk; it is told at its end.

mod talking;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ConnectMode, Prompt, RecordSpec, RecordingId};

use crate::Calls;
use crate::action::connect::talking::Talking;
use crate::action::connect::waiting::Waiting;
use crate::action::dial::{self, Dial};
use crate::action::dialled::Dialled;
use crate::action::notice::{News, Notice};
use crate::action::{Pending, failure_of};
use crate::admit::Role;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Call, Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, ConnectExtras, ConnectRecord};
use crate::disk::{DiskEvent, DiskJob, JobId};
use crate::error::Error;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::{CallId, RequestId};
use crate::node::{Context, recording_of};
use crate::output::Reply;

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
    parties: Parties,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The disk is asked.
    Preparing(Preparing),
    /// There is nothing to hear of the second party yet, which is being dialled.
    Waiting(Waiting),
    /// They hear each other.
    Talking(Talking),
    /// They do not any more, and the file is being completed.
    Closing { recording: RecordingId, ended: Ended, guard: Option<Instant> },
}

/// All that a connection needs.
#[derive(Debug)]
struct Ready {
    wanted: Wanted,
    prompts: Vec<Arc<Prompt>>,
    recording: Option<RecordingId>,
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

/// Why a connection is over.
#[derive(Clone, Copy, Debug)]
struct Ended {
    error: Option<Failure>,
    hangup: Option<CallId>,
}

impl Calls {
    /// A request as a call hears it: the recording of a connection is to know what rate its second party has.
    pub(crate) fn asked(&self, id: RequestId, mut command: Command) -> Input {
        if let Command::ConnectStart { other, extras, .. } = &mut command
            && let Some(record) = &mut extras.record
        {
            let codec = self.find(*other).ok().and_then(Call::codec);
            record.second_rate = codec.map(media::Codec::sample_rate);
        }
        Input::Request { id, command }
    }
}

impl Connect {
    /// Connects a call with another, of which it is known that it is Idle, or that it is dialled for this one.
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        wanted: Wanted,
        dialled: Option<Dialled>,
    ) -> Step {
        let parties = Parties { second: wanted.second, begin: cx.now.wall, dialled: dialled.map(Box::new) };
        cx.notify(parties.second, Notice::Joined { first: core.id });
        let ConnectExtras { record, schedule, .. } = &wanted.extras;
        let pending = if let Some(schedule) = schedule {
            let (sources, codec) = (vec![schedule.source.clone()], talk.media.codec);
            let question = DiskJob::LoadPrompts { sources, codec };
            Some(Pending::ask(core, cx, request, "schedule_play_file", |_| question))
        } else {
            let ask =
                |record| Pending::ask(core, cx, request, "record_file", |job| opening(&talk, record, job));
            record.as_ref().map(ask)
        };
        let Some(pending) = pending else {
            let waiting = Waiting::new(cx, Ready { wanted, prompts: Vec::new(), recording: None });
            let step = waiting.go_on(parties, talk, core, cx);
            cx.reply(request, Ok(Reply::Done));
            return step;
        };
        let preparing = Preparing { pending, wanted, prompts: Vec::new(), is_stopped: false };
        parties.stay(talk, Stage::Preparing(preparing))
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
            Party::First(first) => first.parties.second,
            Party::Second { first } => *first,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let Party::First(first) = &self.party else { return None };
        match &first.stage {
            Stage::Preparing(preparing) => preparing.pending.deadline(),
            Stage::Waiting(waiting) => waiting.deadline(),
            Stage::Talking(talking) => talking.deadline(),
            Stage::Closing { guard, .. } => *guard,
        }
    }

    pub(crate) fn handle(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let Self { mut talk, party } = self;
        match (party, input) {
            (party, Input::Media(media::Event::Digit { key, .. })) => {
                talk.typed.push(key);
                Step::to(Phase::Connect(Self { talk, party }))
            }
            (Party::First(first), input) => {
                let First { mut parties, stage } = *first;
                let Some(input) = parties.hear(cx, input) else {
                    return match stage {
                        Stage::Waiting(waiting) => waiting.go_on(parties, talk, core, cx),
                        Stage::Preparing(preparing) => preparing.go_on(parties, talk, cx),
                        stage => parties.stay(talk, stage),
                    };
                };
                match stage {
                    Stage::Preparing(preparing) => preparing.handle(parties, talk, core, cx, input),
                    Stage::Waiting(waiting) => waiting.handle(parties, talk, core, cx, input),
                    Stage::Talking(talking) => talking.handle(parties, talk, core, cx, input),
                    Stage::Closing { recording, ended, guard } => {
                        close(parties, talk, cx, (recording, ended, guard), input)
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
        let First { parties, stage } = match self.party {
            Party::First(first) => *first,
            Party::Second { first } => {
                cx.notify(first, Notice::Gone);
                return (self.talk, Cut::default());
            }
        };
        let ended = Ended { error: Some(ending.cut_short()), hangup: Some(core.id) };
        let (completion, recording) = match stage {
            Stage::Preparing(preparing) => {
                preparing.pending.overtake(core, cx);
                parties.part(cx);
                (None, None)
            }
            Stage::Waiting(waiting) => {
                parties.part(cx);
                (Some(completion(cx, parties.begin, ended)), waiting.close(core, cx))
            }
            Stage::Talking(talking) => {
                parties.part(cx);
                (Some(completion(cx, parties.begin, ended)), talking.recording())
            }
            // What has ended it first stands.
            Stage::Closing { recording, ended, .. } => {
                parties.orphan(cx);
                (Some(completion(cx, parties.begin, ended)), Some(recording))
            }
        };
        (self.talk, Cut { completion, action: None, recording })
    }
}

/// What the first party remembers all the time.
#[derive(Debug)]
struct Parties {
    second: CallId,
    begin: UnixMs,
    /// The second party while it is not answered: this call dials it.
    dialled: Option<Box<Dialled>>,
}

impl Parties {
    /// It goes on in this stage.
    fn stay(self, talk: Talk, stage: Stage) -> Step {
        let first = First { parties: self, stage };
        Step::to(Phase::Connect(Connect { talk, party: Party::First(Box::new(first)) }))
    }

    /// It is over, or has never begun: the call is where it was before.
    fn back(self, talk: Talk, cx: &mut Context<'_>) -> Step {
        match self.dialled {
            Some(dialled) => Dial::resume(talk, cx, *dialled),
            None => Step::to(Phase::Idle(Idle::new(talk, cx))),
        }
    }

    /// It is over.
    fn leave(self, talk: Talk, cx: &mut Context<'_>, ended: Ended) -> Step {
        let completion = completion(cx, self.begin, ended);
        self.back(talk, cx).telling(completion)
    }

    /// News of a second party that is dialled; gives back what means more.
    fn hear(&mut self, cx: &mut Context<'_>, input: Input) -> Option<Input> {
        let Some(mut dialled) = self.dialled.take() else { return Some(input) };
        match input {
            Input::Notice(Notice::Child { news: News::Answered, .. }) => {
                dialled.hush(cx);
                None
            }
            Input::Notice(Notice::Child { news: News::Failed, .. }) => {
                dialled.fail(cx);
                Some(Input::Notice(Notice::Gone))
            }
            input => {
                let rest = dial::hear(&mut dialled, cx, input);
                self.dialled = Some(dialled);
                rest
            }
        }
    }

    /// The first party is hung up.
    fn part(&self, cx: &mut Context<'_>) {
        let notice = if self.dialled.is_some() { Notice::Orphaned } else { Notice::Parted };
        cx.notify(self.second, notice);
    }

    /// The first party is hung up after the connection was over.
    fn orphan(&self, cx: &mut Context<'_>) {
        if self.dialled.is_some() {
            cx.notify(self.second, Notice::Orphaned);
        }
    }
}

impl Preparing {
    /// Meanwhile the call hears what there is to hear of one that it dials.
    fn go_on(self, mut parties: Parties, talk: Talk, cx: &mut Context<'_>) -> Step {
        if let Some(dialled) = &mut parties.dialled {
            dialled.sound(cx);
        }
        parties.stay(talk, Stage::Preparing(self))
    }

    fn handle(
        mut self,
        parties: Parties,
        talk: Talk,
        core: &mut Core,
        cx: &mut Context<'_>,
        input: Input,
    ) -> Step {
        match input {
            Input::Disk(DiskEvent::Prompts { job, result }) if job == self.pending.job => match result {
                Ok(prompts) => {
                    self.prompts = prompts;
                    let Some(record) = &self.wanted.extras.record else {
                        return self.begin(parties, talk, core, cx, None);
                    };
                    self.pending =
                        self.pending.then_ask(&*core, cx, "record_file", |job| opening(&talk, record, job));
                }
                Err(fault) => return self.fail(parties, talk, cx, fault.into()),
            },
            Input::Disk(DiskEvent::RecordingOpened { job, result }) if job == self.pending.job => {
                let file = self.wanted.extras.record.as_ref().map(|record| record.file.clone());
                let file = file.unwrap_or_default();
                let fault = match result {
                    Ok(()) => {
                        core.remember_recording(&file);
                        return self.begin(parties, talk, core, cx, Some(recording_of(job)));
                    }
                    Err(fault) => fault,
                };
                let error = Error::File { fault, param: "record_file", file, item: None };
                return self.fail(parties, talk, cx, error);
            }
            Input::Due if self.pending.is_late(cx) => {
                self.pending.give_up(cx);
                cx.notify(parties.second, Notice::Parted);
                return parties.back(talk, cx);
            }
            Input::Notice(Notice::Gone) => {
                cx.forget_job(self.pending.job);
                self.pending.fail(cx, Error::NotFound { call: parties.second });
                return parties.back(talk, cx);
            }
            Input::Request { id, command: Command::ConnectStop { .. } } => {
                self.is_stopped = true;
                cx.reply(id, Ok(Reply::Done));
            }
            other => pass_over(cx, other),
        }
        parties.stay(talk, Stage::Preparing(self))
    }

    /// The disk has done its part.
    fn begin(
        self,
        parties: Parties,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        recording: Option<RecordingId>,
    ) -> Step {
        let Self { pending, wanted, prompts, is_stopped } = self;
        let waiting = Waiting::new(cx, Ready { wanted, prompts, recording });
        let step = if is_stopped {
            waiting.part(parties, talk, core, cx, Ended::stopped(None))
        } else {
            waiting.go_on(parties, talk, core, cx)
        };
        pending.accept(cx, Reply::Done);
        step
    }

    /// The disk cannot do its part.
    fn fail(self, parties: Parties, talk: Talk, cx: &mut Context<'_>, error: Error) -> Step {
        self.pending.fail(cx, error);
        cx.notify(parties.second, Notice::Parted);
        parties.back(talk, cx)
    }
}

/// The file is being completed, for which the disk has [`STOPPED_WITHIN`].
fn close(
    parties: Parties,
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
            return parties.stay(talk, Stage::Closing { recording, ended, guard });
        }
    };
    cx.forget_recording(recording);
    parties.leave(talk, cx, ended)
}

impl Ended {
    /// Both calls go on.
    fn stopped(error: Option<Failure>) -> Self {
        Self { error, hangup: None }
    }

    /// The same; but if there is nothing else to tell, that the recording lacks something.
    fn or(self, failure: Failure) -> Self {
        Self { error: self.error.or(Some(failure)), ..self }
    }
}

/// The file that both are recorded in. What keeps the rate of its leg has the higher one of both, whoever is named first.
fn opening(talk: &Talk, record: &ConnectRecord, job: JobId) -> DiskJob {
    let channels = if record.is_stereo { 2 } else { 1 };
    let rate = talk.media.codec.sample_rate().max(record.second_rate.unwrap_or_default());
    DiskJob::OpenRecording {
        file: record.file.clone(),
        spec: RecordSpec::new(record.format, rate, channels),
        overwrite: false,
        recording: recording_of(job),
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, ended: Ended) -> EventKind {
    let Ended { error, hangup } = ended;
    EventKind::ConnectCompleted { error, span: Span { begin, end: cx.now.wall }, hangup }
}
