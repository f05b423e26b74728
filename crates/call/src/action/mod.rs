//! The actions of a call, one file each. Each takes the call's [`Talk`](crate::call::Talk) when it starts and gives it
//! back when it ends, which it does exactly once, with exactly one completion event.
//!
//! Where files are needed an action has two phases: the request is admitted and the call is in the action's state while
//! the disk is asked ([`Pending`]); only when the disk has answered has the action begun, and the request its reply. What
//! goes wrong before that is an error in the reply, and no event.
//!
//! A stop is a command to the media, and the completion waits for its confirmation: [`STOPPED_WITHIN`] and no longer.

pub(crate) mod conf;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod dialled;
pub(crate) mod notice;
pub(crate) mod play;
pub(crate) mod receive_dtmf;
pub(crate) mod record;
pub(crate) mod recording;
pub(crate) mod send_dtmf;

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{Key, Prompt};

use crate::call::is_due;
use crate::cause::Failure;
use crate::disk::{DiskJob, JobId, PromptFault};
use crate::error::{Error, FileFault};
use crate::id::{RequestId, Resource};
use crate::node::Context;
use crate::output::Reply;

/// How long the media may take to confirm a stop, and the disk to complete a file. Both need some 20 ms, and a digit
/// that is on its way 200 ms; a media thread that is stuck must not keep the call in a state.
pub(crate) const STOPPED_WITHIN: Duration = Duration::from_secs(2);

/// How long the disk may take to open a file before the request is refused. A caller hears nothing meanwhile.
pub(crate) const OPENED_WITHIN: Duration = Duration::from_secs(10);

/// How long texts may take to be spoken, from the request: they may wait for others, and for each other. Who waits longer has
/// hung up, and a stop ends it at once.
pub(crate) const SPOKEN_WITHIN: Duration = Duration::from_secs(30);

/// Why an action ended, as far as its completion event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) error: Option<Failure>,
    pub(crate) finish_key: Option<Key>,
}

impl Outcome {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { error: Some(failure), finish_key: None }
    }

    pub(crate) fn finished(key: Key) -> Self {
        Self { error: None, finish_key: Some(key) }
    }
}

/// A request that waits for the disk.
#[derive(Debug)]
pub(crate) struct Pending {
    request: RequestId,
    pub(crate) job: JobId,
    /// The parameter that says what is asked for.
    param: &'static str,
    guard: Option<Instant>,
}

impl Pending {
    /// Asks the disk for what a parameter of the request says.
    pub(crate) fn ask(
        owner: impl Into<Resource>,
        cx: &mut Context<'_>,
        request: RequestId,
        param: &'static str,
        question: impl FnOnce(JobId) -> DiskJob,
    ) -> Self {
        let job = cx.ask_disk(owner.into(), question);
        let within = if cx.is_spoken(job) { SPOKEN_WITHIN } else { OPENED_WITHIN };
        Self { request, job, param, guard: cx.deadline(within) }
    }

    /// Asks again, for what another parameter of the same request says, and within the same time.
    pub(crate) fn then_ask(
        self,
        owner: impl Into<Resource>,
        cx: &mut Context<'_>,
        param: &'static str,
        question: impl FnOnce(JobId) -> DiskJob,
    ) -> Self {
        Self { job: cx.ask_disk(owner.into(), question), param, ..self }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.guard
    }

    pub(crate) fn is_late(&self, cx: &Context<'_>) -> bool {
        is_due(self.guard, cx)
    }

    /// The disk has answered, and the action has begun.
    pub(crate) fn accept(self, cx: &mut Context<'_>, reply: Reply) {
        cx.reply(self.request, Ok(reply));
    }

    /// The disk has answered, and what has begun by it has the reply.
    pub(crate) fn into_request(self) -> RequestId {
        self.request
    }

    /// The disk has answered, and the action cannot begin.
    pub(crate) fn refuse(self, cx: &mut Context<'_>, fault: FileFault, file: String) {
        let param = self.param;
        self.fail(cx, Error::File { fault, param, file, item: None });
    }

    /// It cannot begin, for whatever reason.
    pub(crate) fn fail(self, cx: &mut Context<'_>, error: Error) {
        cx.reply(self.request, Err(error.about(self.param)));
    }

    /// The disk did not answer in time. A file that it opens later is abandoned.
    pub(crate) fn give_up(self, cx: &mut Context<'_>) {
        let message = || format!("the disk did not answer within {} s", OPENED_WITHIN.as_secs());
        let error = match cx.forget_job(self.job) {
            Some(source) => PromptFault { fault: FileFault::Unspoken, source }.into(),
            None => Error::Internal { message: message() },
        };
        self.fail(cx, error);
    }

    /// It is stopped before the disk has answered: it has begun and is over, and nobody waits for the answer.
    pub(crate) fn stop(self, cx: &mut Context<'_>, reply: Reply) {
        cx.forget_job(self.job);
        cx.reply(self.request, Ok(reply));
    }

    /// Who asked is over before the disk has answered.
    pub(crate) fn overtake(self, owner: impl Into<Resource>, cx: &mut Context<'_>) {
        cx.forget_job(self.job);
        cx.reply(self.request, Err(Error::not_found(owner.into())));
    }
}

/// The first file that was not heard to its end, since it turned out to be damaged.
pub(crate) fn damaged(files: &[String], prompts: &[Arc<Prompt>]) -> Option<String> {
    let damaged = prompts.iter().position(|prompt| prompt.is_cut_short())?;
    files.get(damaged).cloned()
}

/// What a fault of the disk means to a recording that was running.
pub(crate) fn failure_of(fault: FileFault) -> Failure {
    match fault {
        FileFault::DiskFull => Failure::DiskFull,
        _ => Failure::Io,
    }
}
