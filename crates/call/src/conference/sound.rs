//! What a conference plays to all its members, and records of them: one of each at a time, each with exactly one
//! completion. The background and what is heard when a member enters are no actions, and nobody waits for their ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{ActionId, Gain, Prompt, RecordSpec, RecordingId, RoomCommand, RoomEvent};

use super::{Core, EventKind, PROMPTS, RecordFile};
use crate::action::recording::{Recorded, Recording};
use crate::action::{Outcome, Pending, STOPPED_WITHIN, damaged};
use crate::call::is_due;
use crate::cause::Failure;
use crate::command::Content;
use crate::disk::{DiskEvent, DiskJob, JobId};
use crate::error::Error;
use crate::event::{Span, UnixMs};
use crate::id::RequestId;
use crate::node::{Context, recording_of};
use crate::output::Reply;

/// Turns of what is looped after the first: as good as for ever.
pub(super) const OVER_AND_OVER: u32 = u32::MAX;

/// The rate of recordings that keep the rate of what they hear: that of its members changes as they come and go, and wide
/// speech is what most of those have that are more than a telephone.
const RECORDED_RATE: u32 = 16_000;

/// Both actions, where they run.
#[derive(Debug, Default)]
pub(super) struct Sound {
    play: Option<Play>,
    record: Option<Record>,
}

/// A play to all.
#[derive(Debug)]
struct Play {
    begin: UnixMs,
    /// Names, in the order of the prompts.
    files: Vec<String>,
    repeat: u32,
    stage: PlayStage,
}

#[derive(Debug)]
enum PlayStage {
    /// The prompts are being loaded.
    Loading { pending: Pending },
    /// All hear them.
    Playing { action: ActionId, prompts: Vec<Arc<Prompt>> },
    /// It is over, and the media has to confirm it.
    Stopping { action: ActionId, error: Option<Failure>, guard: Option<Instant> },
}

/// A recording of all.
#[derive(Debug)]
struct Record {
    begin: UnixMs,
    file: String,
    max: Duration,
    stage: RecordStage,
}

#[derive(Debug)]
enum RecordStage {
    /// The file is being opened.
    Opening { pending: Pending, is_stopped: bool },
    /// Media and disk are at work.
    Running(Recording),
}

/// The question for the file of a recording.
pub(super) fn opening(record: &RecordFile, job: JobId) -> DiskJob {
    DiskJob::OpenRecording {
        file: record.file.clone(),
        spec: RecordSpec::new(record.format, RECORDED_RATE, 1),
        overwrite: false,
        recording: recording_of(job),
    }
}

impl Sound {
    pub(super) fn is_playing(&self) -> bool {
        self.play.is_some()
    }

    /// The file that is being recorded.
    pub(super) fn record_file(&self) -> Option<&str> {
        self.record.as_ref().map(|record| record.file.as_str())
    }

    /// When it wants to be told that time has passed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let play = self.play.as_ref().and_then(|play| match &play.stage {
            PlayStage::Loading { pending } => pending.deadline(),
            PlayStage::Playing { .. } => None,
            PlayStage::Stopping { guard, .. } => *guard,
        });
        let record = self.record.as_ref().and_then(|record| match &record.stage {
            RecordStage::Opening { pending, .. } => pending.deadline(),
            RecordStage::Running(running) => running.deadline(),
        });
        play.into_iter().chain(record).min()
    }

    /// Begins a play, if none runs.
    pub(super) fn start_play(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        content: Content,
        is_loop: bool,
    ) {
        if self.play.is_some() {
            return cx.reply(request, Err(Error::LimitReached { limit: "conference_plays", value: 1 }));
        }
        let files = content.sources.iter().map(|source| source.sound.name().to_owned()).collect();
        let question = DiskJob::LoadPrompts { sources: content.sources, codec: PROMPTS };
        let pending = Pending::ask(core.id, cx, request, "content", |_| question);
        let stage = PlayStage::Loading { pending };
        let repeat = if is_loop { OVER_AND_OVER } else { 0 };
        self.play = Some(Play { begin: cx.now.wall, files, repeat, stage });
    }

    /// Ends the play, if one runs.
    pub(super) fn stop_play(&mut self, core: &Core, cx: &mut Context<'_>) {
        self.play = match self.play.take() {
            Some(Play { stage: PlayStage::Loading { pending }, begin, .. }) => {
                pending.stop(cx, Reply::Done);
                let (span, played) = (Span { begin, end: cx.now.wall }, Duration::ZERO);
                // After the reply to the stop.
                core.tell_at_last(cx, EventKind::PlayCompleted { error: None, span, file: None, played });
                None
            }
            Some(Play { stage: PlayStage::Playing { action, .. }, begin, files, repeat }) => {
                core.tell_room(cx, RoomCommand::StopPlay { action });
                let stage = PlayStage::Stopping { action, error: None, guard: cx.deadline(STOPPED_WITHIN) };
                Some(Play { begin, files, repeat, stage })
            }
            // What has ended it first stands.
            other => other,
        };
    }

    /// Begins a recording, if none runs.
    pub(super) fn start_record(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        record: RecordFile,
        max: Duration,
    ) {
        if self.record.is_some() {
            return cx.reply(request, Err(Error::LimitReached { limit: "conference_recordings", value: 1 }));
        }
        let pending = Pending::ask(core.id, cx, request, "record_file", |job| opening(&record, job));
        let stage = RecordStage::Opening { pending, is_stopped: false };
        self.record = Some(Record { begin: cx.now.wall, file: record.file, max, stage });
    }

    /// Records into a file that is open.
    pub(super) fn record(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        file: String,
        recording: RecordingId,
        max: Duration,
    ) {
        let stage = RecordStage::Running(run(core, cx, recording, max));
        self.record = Some(Record { begin: core.begin, file, max, stage });
    }

    /// Ends the recording, if one runs.
    pub(super) fn stop_record(&mut self, core: &Core, cx: &mut Context<'_>) {
        match self.record.as_mut().map(|record| &mut record.stage) {
            Some(RecordStage::Opening { is_stopped, .. }) => *is_stopped = true,
            Some(RecordStage::Running(running)) => {
                stop(running, core, cx, Outcome::failed(Failure::Stopped));
            }
            None => {}
        }
    }

    /// Its room has news.
    pub(super) fn hear(&mut self, core: &Core, cx: &mut Context<'_>, event: &RoomEvent) {
        match *event {
            RoomEvent::PlayEnded { action, played } => self.play_ended(core, cx, action, played),
            RoomEvent::RecordEnded { action, duration, end } => {
                if let Some(Record { stage: RecordStage::Running(running), .. }) = &mut self.record {
                    running.ended(cx, action, duration, end);
                }
                self.settle_record(core, cx);
            }
            _ => {}
        }
    }

    /// The disk has news.
    pub(super) fn disk(&mut self, core: &Core, cx: &mut Context<'_>, event: DiskEvent) {
        match event {
            DiskEvent::Prompts { job, result } => {
                self.loaded(core, cx, job, result.map_err(Error::from));
            }
            DiskEvent::RecordingOpened { job, result } => {
                let result = result.map_err(|fault| {
                    let file = self.record_file().unwrap_or_default().to_owned();
                    Error::File { fault, param: "record_file", file, item: None }
                });
                self.opened(core, cx, job, result);
            }
            event => {
                if let Some(Record { stage: RecordStage::Running(running), .. }) = &mut self.record
                    && running.disk(&event)
                {
                    stop(running, core, cx, Outcome::default());
                }
                self.settle_record(core, cx);
            }
        }
    }

    /// Time has passed.
    pub(super) fn due(&mut self, core: &Core, cx: &mut Context<'_>) {
        self.play = match self.play.take() {
            Some(Play { stage: PlayStage::Loading { pending }, .. }) if pending.is_late(cx) => {
                pending.give_up(cx);
                None
            }
            Some(play) => match play.stage {
                PlayStage::Stopping { error, guard, .. } if is_due(guard, cx) => {
                    tell_played(core, cx, play.begin, (error, None), Duration::ZERO);
                    None
                }
                _ => Some(play),
            },
            None => None,
        };
        self.record = match self.record.take() {
            Some(Record { stage: RecordStage::Opening { pending, .. }, .. }) if pending.is_late(cx) => {
                pending.give_up(cx);
                None
            }
            Some(Record { stage: RecordStage::Running(mut running), begin, file, max }) => {
                running.due(cx);
                Some(Record { stage: RecordStage::Running(running), begin, file, max })
            }
            other => other,
        };
        self.settle_record(core, cx);
    }

    /// The conference is over, and its room ends both: what has not begun is refused, the rest completes.
    pub(super) fn end(&mut self, core: &Core, cx: &mut Context<'_>) {
        let guard = cx.deadline(STOPPED_WITHIN);
        self.play = match self.play.take() {
            Some(Play { stage: PlayStage::Loading { pending }, .. }) => {
                pending.overtake(core.id, cx);
                None
            }
            Some(Play { stage: PlayStage::Playing { action, .. }, begin, files, repeat }) => {
                let error = Some(Failure::ConferenceReleased);
                let stage = PlayStage::Stopping { action, error, guard };
                Some(Play { stage, begin, files, repeat })
            }
            other => other,
        };
        self.record = match self.record.take() {
            Some(Record { stage: RecordStage::Opening { pending, .. }, .. }) => {
                pending.overtake(core.id, cx);
                None
            }
            Some(Record { stage: RecordStage::Running(mut running), begin, file, max }) => {
                // The room ends it, so nobody has to be told.
                running.stop(cx, Outcome::failed(Failure::ConferenceReleased));
                Some(Record { stage: RecordStage::Running(running), begin, file, max })
            }
            None => None,
        };
    }

    /// Whether nothing is to come any more.
    pub(super) fn is_over(&self) -> bool {
        self.play.is_none() && self.record.is_none()
    }

    /// Waits no longer: what is still to come is told as far as it is known.
    pub(super) fn give_up(&mut self, core: &Core, cx: &mut Context<'_>) {
        if let Some(Play { stage: PlayStage::Stopping { error, .. }, begin, .. }) = self.play.take() {
            tell_played(core, cx, begin, (error, None), Duration::ZERO);
        }
        if let Some(Record { stage: RecordStage::Running(running), .. }) = &mut self.record {
            running.give_up(cx);
        }
        self.settle_record(core, cx);
    }

    /// The prompts are there, or not to be had.
    fn loaded(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        job: JobId,
        result: Result<Vec<Arc<Prompt>>, Error>,
    ) {
        let is_answer =
            |play: &mut Play| matches!(&play.stage, PlayStage::Loading { pending } if pending.job == job);
        let Some(Play { begin, files, repeat, stage: PlayStage::Loading { pending } }) =
            self.play.take_if(is_answer)
        else {
            return;
        };
        let prompts = match result {
            Ok(prompts) => prompts,
            Err(error) => return pending.fail(cx, error),
        };
        pending.accept(cx, Reply::Done);
        if prompts.iter().all(|prompt| prompt.is_empty()) {
            return tell_played(core, cx, begin, broken(&files, &prompts), Duration::ZERO);
        }
        let (action, gain) = (cx.new_action(), Gain::UNITY);
        core.tell_room(cx, RoomCommand::Play { action, prompts: prompts.clone(), repeat, gain });
        let stage = PlayStage::Playing { action, prompts };
        self.play = Some(Play { begin, files, repeat, stage });
    }

    /// The media has played an action to its end; it may be another one.
    fn play_ended(&mut self, core: &Core, cx: &mut Context<'_>, ended: ActionId, played: Duration) {
        let is_it = |play: &mut Play| match play.stage {
            PlayStage::Playing { action, .. } | PlayStage::Stopping { action, .. } => action == ended,
            PlayStage::Loading { .. } => false,
        };
        let Some(play) = self.play.take_if(is_it) else { return };
        let outcome = match &play.stage {
            PlayStage::Playing { prompts, .. } => broken(&play.files, prompts),
            PlayStage::Stopping { error, .. } => (*error, None),
            PlayStage::Loading { .. } => (None, None),
        };
        tell_played(core, cx, play.begin, outcome, played);
    }

    /// The file is open, or not to be had.
    fn opened(&mut self, core: &Core, cx: &mut Context<'_>, job: JobId, result: Result<(), Error>) {
        let is_answer = |record: &mut Record| matches!(&record.stage, RecordStage::Opening { pending, .. } if pending.job == job);
        let Some(Record { begin, file, max, stage: RecordStage::Opening { pending, is_stopped } }) =
            self.record.take_if(is_answer)
        else {
            return;
        };
        if let Err(error) = result {
            return pending.fail(cx, error);
        }
        let mut running = run(core, cx, recording_of(job), max);
        pending.accept(cx, Reply::Recording { file: file.clone() });
        if is_stopped {
            stop(&mut running, core, cx, Outcome::failed(Failure::Stopped));
        }
        self.record = Some(Record { begin, file, max, stage: RecordStage::Running(running) });
    }

    /// Tells of the recording when media and disk have both spoken.
    fn settle_record(&mut self, core: &Core, cx: &mut Context<'_>) {
        let is_complete = |record: &mut Record| matches!(&record.stage, RecordStage::Running(running) if running.is_complete());
        let Some(Record { begin, file, stage: RecordStage::Running(running), .. }) =
            self.record.take_if(is_complete)
        else {
            return;
        };
        let Recorded { outcome, duration, file: recorded } = running.close(cx, Outcome::default());
        let span = Span { begin, end: cx.now.wall };
        let error = outcome.error;
        core.tell(cx, EventKind::RecordCompleted { error, span, file, duration, recorded });
    }
}

fn run(core: &Core, cx: &mut Context<'_>, recording: RecordingId, max: Duration) -> Recording {
    let running = Recording::begin(core.id, cx, recording);
    core.tell_room(cx, RoomCommand::Record { action: running.action, recording, max });
    running
}

fn stop(running: &mut Recording, core: &Core, cx: &mut Context<'_>, outcome: Outcome) {
    if running.stop(cx, outcome) {
        core.tell_room(cx, RoomCommand::StopRecord { action: running.action });
    }
}

/// What is told of prompts that have come to their ends, which may be nearer than they should be.
fn broken(files: &[String], prompts: &[Arc<Prompt>]) -> (Option<Failure>, Option<String>) {
    let file = damaged(files, prompts);
    (file.as_ref().map(|_| Failure::FileUnreadable), file)
}

fn tell_played(
    core: &Core,
    cx: &mut Context<'_>,
    begin: UnixMs,
    (error, file): (Option<Failure>, Option<String>),
    played: Duration,
) {
    let span = Span { begin, end: cx.now.wall };
    core.tell(cx, EventKind::PlayCompleted { error, span, file, played });
}
