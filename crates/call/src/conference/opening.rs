//! A conference that waits for the disk: its background is loaded, then the file of its recording is opened. Only when
//! both are there does the request have its reply; until then the conference has no name for anybody, and what goes wrong
//! is an error and no event.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::{Prompt, RecordingId, RoomCommand};

use super::sound::{OVER_AND_OVER, opening};
use super::{Construct, Core, Input, Open, PROMPTS, Phase};
use crate::action::Pending;
use crate::disk::{DiskEvent, DiskJob};
use crate::error::Error;
use crate::id::RequestId;
use crate::node::{Context, recording_of};
use crate::output::Reply;

/// It waits.
#[derive(Debug)]
pub(super) struct Opening {
    pending: Pending,
    construct: Construct,
    background: Vec<Arc<Prompt>>,
}

impl Opening {
    /// Asks the disk for what is wanted; none where nothing is.
    pub(super) fn ask(
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: &Construct,
    ) -> Option<Self> {
        let pending = if let Some(content) = construct.background.clone() {
            let question = DiskJob::LoadPrompts { sources: content.sources, codec: PROMPTS };
            Pending::ask(core.id, cx, request, "bg_file", |_| question)
        } else {
            let record = construct.record.as_ref()?;
            Pending::ask(core.id, cx, request, "record_file", |job| opening(record, job))
        };
        Some(Self { pending, construct: construct.clone(), background: Vec::new() })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.deadline()
    }

    /// None when it cannot be opened; the request has its error then.
    pub(super) fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Option<Phase> {
        match input {
            Input::Disk(DiskEvent::Prompts { job, result }) if job == self.pending.job => match result {
                Err(fault) => {
                    self.pending.fail(cx, fault.into());
                    return None;
                }
                Ok(prompts) => {
                    self.background = prompts;
                    let Some(record) = &self.construct.record else {
                        return Some(self.open(core, cx, None));
                    };
                    self.pending =
                        self.pending.then_ask(core.id, cx, "record_file", |job| opening(record, job));
                }
            },
            Input::Disk(DiskEvent::RecordingOpened { job, result }) if job == self.pending.job => {
                let Err(fault) = result else { return Some(self.open(core, cx, Some(recording_of(job)))) };
                let file = self.construct.record.map(|record| record.file).unwrap_or_default();
                self.pending.refuse(cx, fault, file);
                return None;
            }
            Input::Due if self.pending.is_late(cx) => {
                self.pending.give_up(cx);
                return None;
            }
            Input::Shutdown => {
                cx.forget_job(self.pending.job);
                self.pending.fail(cx, Error::ShuttingDown);
                return None;
            }
            _ => {}
        }
        Some(Phase::Opening(Box::new(self)))
    }

    fn open(self, core: &Core, cx: &mut Context<'_>, recording: Option<RecordingId>) -> Phase {
        let Self { pending, construct, background } = self;
        let mut open = Open::begin(core, cx, &construct);
        if !background.iter().all(|prompt| prompt.is_empty()) {
            let (action, gain) = (cx.new_action(), cx.node.config.conference_background);
            let play = RoomCommand::Play { action, prompts: background, repeat: OVER_AND_OVER, gain };
            core.tell_room(cx, play);
        }
        if let (Some(record), Some(recording)) = (construct.record, recording) {
            open.sound.record(core, cx, record.file, recording, construct.max);
        }
        pending.accept(cx, Reply::ConferenceConstructed(core.id));
        Phase::Open(open)
    }
}
