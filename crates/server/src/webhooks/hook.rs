//! One web hook: its reader of the event log, its [`Delivery`], its requests and its memory, in one task.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use offhook_call::id::NodeId;
use offhook_client::wire::{GapReason, WebhookDeadLetter, WebhookInfo, WebhookState, WebhookTested};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinError, JoinSet};

use super::delivery::{Attempt, Counts, Dead, Delivery, Hole, Outcome, Saved};
use super::memory::{Memory, Remembered};
use super::post::{Answer, Client, Target};
use super::words::{Headers, Words, message_id};
use super::{Definition, Refusal};
use crate::clock;
use crate::config::secret::place_of_url;
use crate::events::{EventLog, Read, Reader};
use crate::trace::TraceId;

/// How long what has changed may wait to be remembered: what was delivered since is delivered again after a kill.
const REMEMBER_AFTER: Duration = Duration::from_secs(1);

/// How long reading rests when the log cannot be read.
const UNREADABLE_REST: Duration = Duration::from_secs(1);

/// How long a hook may take at the end of the server for what it has not been told.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Tests of one hook at a time.
const TESTS_MAX: usize = 4;

/// What is asked of a hook.
#[derive(Debug)]
pub(super) enum Ask {
    /// How it is.
    Status(oneshot::Sender<WebhookInfo>),
    /// To send a message that means nothing.
    Test(oneshot::Sender<Result<WebhookTested, Refusal>>),
    /// To begin again after an event.
    Redeliver { after: u64, done: oneshot::Sender<()> },
    /// To end, and to write nothing more; how far it was.
    End(oneshot::Sender<Saved>),
}

/// What all hooks share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) log: Arc<EventLog>,
    pub(super) client: Client,
    pub(super) memory: Memory,
    pub(super) node: NodeId,
    /// How many hooks hear of inbound calls.
    pub(super) listening: watch::Sender<usize>,
}

impl Shared {
    /// One more that hears of inbound calls, until this goes.
    pub(super) fn listener(&self) -> Listener {
        self.listening.send_modify(|count| *count += 1);
        Listener(self.listening.clone())
    }
}

/// Somebody who hears of inbound calls.
#[derive(Debug)]
pub(super) struct Listener(watch::Sender<usize>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// See above.
#[derive(Debug)]
pub(super) struct Hook {
    id: String,
    definition: Definition,
    /// Whether an application has added it, so that its definition must be remembered.
    is_added: bool,
    target: Target,
    words: Words,
    headers: Arc<Headers>,
    shared: Shared,
    delivery: Delivery,
    reader: Reader,
    is_caught_up: bool,
    /// The log is not read before.
    unreadable_until: Option<Instant>,
    requests: JoinSet<Outcome>,
    under_way: HashMap<task::Id, Attempt>,
    tests: JoinSet<()>,
    remember_at: Option<Instant>,
    /// There as long as it hears of inbound calls.
    listener: Option<Listener>,
}

impl Hook {
    /// One that goes on from what is remembered.
    pub(super) fn new(
        (definition, is_added): (Definition, bool),
        target: Target,
        saved: Saved,
        shared: Shared,
    ) -> Self {
        let words = Words::new(&definition, shared.node);
        let headers = Arc::new(Headers::new(&definition));
        let reader = Reader::new(shared.log.clone(), saved.from);
        let holes: Vec<Hole> = saved.pending.iter().filter_map(|pending| pending.hole).collect();
        let mut delivery = Delivery::new(saved, fastrand::u64(..));
        let now = clock::now().mono;
        let notices = holes.into_iter().filter_map(|hole| words.of_hole(hole));
        notices.for_each(|notice| delivery.push_notice(now, notice));
        let mut hook = Self {
            id: definition.id(),
            definition,
            is_added,
            target,
            words,
            headers,
            shared,
            delivery,
            reader,
            is_caught_up: false,
            unreadable_until: None,
            requests: JoinSet::new(),
            under_way: HashMap::new(),
            tests: JoinSet::new(),
            remember_at: None,
            listener: None,
        };
        hook.listen();
        hook
    }

    /// One that is disabled hears of nothing: calls that wait for an application do not wait for it.
    fn listen(&mut self) {
        let hears = self.definition.hears_of_calls() && !self.delivery.is_disabled();
        if hears != self.listener.is_some() {
            self.listener = hears.then(|| self.shared.listener());
        }
    }

    /// What must be remembered of it now.
    pub(super) fn remembered(&self) -> Remembered {
        let definition = Some(self.definition.clone()).filter(|_| self.is_added);
        Remembered { definition, saved: self.delivery.saved(clock::now().mono, self.words.needed()) }
    }

    /// Delivers until the server ends, or until it is asked to.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>, mut closing: watch::Receiver<bool>) {
        let mut ends_at = None;
        loop {
            let now = clock::now().mono;
            self.read(now).await;
            self.begin(now);
            if self.remember_at.is_some_and(|at| at <= now) {
                self.remember().await;
            }
            let is_done = self.is_caught_up && self.delivery.is_at_rest();
            if ends_at.is_some_and(|at| is_done || at <= now) {
                return self.remember().await;
            }
            let wants_more = self.delivery.wants_more() && self.unreadable_until.is_none();
            let times = [self.delivery.poll_timeout(), self.remember_at, self.unreadable_until, ends_at];
            tokio::select! {
                Some(ended) = self.requests.join_next_with_id() => self.finished(ended),
                () = self.reader.wait(), if wants_more && self.is_caught_up => self.is_caught_up = false,
                () = task::yield_now(), if wants_more && !self.is_caught_up => {}
                Some(ask) = asks.recv() => match ask {
                    Ask::End(ended) => {
                        let _ = ended.send(self.remembered().saved);
                        return;
                    }
                    ask => self.answer(ask),
                },
                Some(_) = self.tests.join_next() => {}
                () = at(times.into_iter().flatten().min()) => {}
                _ = closing.wait_for(|closing| *closing), if ends_at.is_none() => {
                    ends_at = Some(clock::now().mono + CLOSING_TIME);
                    self.is_caught_up = false;
                }
            }
        }
    }

    /// Reads on, if there is room and anything to read.
    async fn read(&mut self, now: Instant) {
        self.unreadable_until = self.unreadable_until.filter(|until| *until > now);
        if !self.delivery.wants_more() || self.is_caught_up || self.unreadable_until.is_some() {
            return;
        }
        match self.reader.read().await {
            Ok(Read::Batch(entries)) if entries.is_empty() => self.is_caught_up = true,
            Ok(Read::Batch(entries)) => {
                for entry in entries {
                    let messages = self.words.of(&entry);
                    messages.into_iter().for_each(|message| self.delivery.offer(now, message));
                    self.delivery.passed(entry.seq);
                }
                self.changed();
            }
            Ok(Read::Gap { reason, first, last }) => {
                if self.delivery.misses(first, last) {
                    self.tell_hole(reason, Some(first), last);
                }
            }
            Ok(Read::Restarted { resume }) => {
                self.delivery.restart(resume);
                self.tell_hole(GapReason::Restarted, None, resume);
            }
            Err(error) => {
                tracing::error!(%error, hook = self.id, "the event log cannot be read");
                self.unreadable_until = Some(now + UNREADABLE_REST);
            }
        }
    }

    fn tell_hole(&mut self, reason: GapReason, first: Option<u64>, last: u64) {
        tracing::warn!(
            hook = self.id,
            first,
            last,
            "a web hook has missed events that are not kept any more, or are lost"
        );
        let hole = Hole { reason, first, last, time_ms: clock::now().wall.0 };
        if let Some(notice) = self.words.of_hole(hole) {
            self.delivery.push_notice(clock::now().mono, notice);
        }
        self.changed();
    }

    /// Makes the requests that may be made now.
    fn begin(&mut self, now: Instant) {
        while let Some(attempt) = self.delivery.poll(now) {
            let request = self.post(message_id(attempt.id), attempt.body.clone(), attempt.trace);
            let task = self.requests.spawn(async move { outcome(request.await) });
            self.under_way.insert(task.id(), attempt);
        }
    }

    fn post(
        &self,
        id: String,
        body: bytes::Bytes,
        trace: Option<TraceId>,
    ) -> impl Future<Output = Result<Answer, String>> + use<> {
        let (client, target, headers) =
            (self.shared.client.clone(), self.target.clone(), self.headers.clone());
        async move {
            let now = clock::now();
            let headers = headers.of(&id, now.wall.0 / 1_000, &body, trace);
            client.post(&target, headers, body, now).await
        }
    }

    fn finished(&mut self, ended: Result<(task::Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let why = format!("a defect: {error}");
                tracing::error!(hook = self.id, why, "a request of a web hook broke");
                (error.id(), Outcome::Failed { why, retry_after: None })
            }
        };
        let Some(attempt) = self.under_way.remove(&id) else { return };
        let was_troubled = self.delivery.trouble().is_some();
        let dead = self.delivery.counts().dead;
        self.delivery.finished(clock::now(), &attempt, outcome);
        self.listen();
        match self.delivery.trouble() {
            Some(why) if !was_troubled => {
                let url = place_of_url(&self.definition.url);
                tracing::warn!(hook = self.id, url, why, "a web hook fails");
            }
            None if was_troubled => tracing::info!(hook = self.id, "a web hook answers again"),
            _ => {}
        }
        if self.delivery.counts().dead > dead {
            tracing::error!(
                hook = self.id,
                seq = attempt.id.seq,
                "a web hook was not told an event in three days"
            );
        }
        self.changed();
    }

    fn answer(&mut self, ask: Ask) {
        // Who has asked may wait no more.
        match ask {
            Ask::Status(reply) => _ = reply.send(self.status()),
            Ask::Test(reply) if self.tests.len() >= TESTS_MAX => {
                let _ = reply.send(Err(Refusal::TooMany(TESTS_MAX)));
            }
            Ask::Test(reply) => {
                let id = format!("test_{:016x}", fastrand::u64(..));
                let body = self.words.of_test(clock::now().wall.0);
                let request = self.post(id, body, None);
                self.tests.spawn(async move { _ = reply.send(Ok(tested(request.await))) });
            }
            Ask::Redeliver { after, done } => {
                // What is under way ends here, so that nothing of a resource is told beside what comes again.
                self.requests = JoinSet::new();
                self.under_way.clear();
                self.delivery.redeliver(after);
                self.listen();
                // Our own words need nothing of what was before; others are told of calls that had begun by then.
                let is_native = matches!(self.words, Words::Native(_));
                let from = if is_native { after } else { after.min(self.shared.log.oldest() - 1) };
                self.words = Words::new(&self.definition, self.shared.node);
                self.reader = Reader::new(self.shared.log.clone(), from);
                (self.is_caught_up, self.unreadable_until) = (false, None);
                self.changed();
                let _ = done.send(());
            }
            Ask::End(_) => {}
        }
    }

    fn status(&self) -> WebhookInfo {
        let delivery = &self.delivery;
        let newest = self.shared.log.newest();
        let state = match delivery.trouble() {
            _ if delivery.is_disabled() => WebhookState::Disabled,
            Some(_) => WebhookState::Failing,
            None => WebhookState::Active,
        };
        let Counts { delivered, failed, dead } = delivery.counts();
        WebhookInfo {
            id: self.id.clone(),
            url: self.definition.url.clone(),
            format: self.definition.format,
            types: self.definition.types.clone(),
            configured: !self.is_added,
            state,
            error: delivery.trouble().map(str::to_owned),
            read: delivery.read(),
            backlog: newest.saturating_sub(delivery.read()) + delivery.pending() as u64,
            delivered,
            failed,
            dead,
            dead_letters: delivery.dead().map(dead_letter).collect(),
        }
    }

    fn changed(&mut self) {
        if self.remember_at.is_none() {
            self.remember_at = Some(clock::now().mono + REMEMBER_AFTER);
        }
    }

    async fn remember(&mut self) {
        self.remember_at = None;
        let (memory, id, remembered) = (self.shared.memory.clone(), self.id.clone(), self.remembered());
        let written = task::spawn_blocking(move || memory.write(&id, &remembered)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, hook = self.id, "what a web hook was told cannot be remembered");
            self.changed();
        }
    }
}

/// Waits for a time: for ever, where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}

fn outcome(answer: Result<Answer, String>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_success() => Outcome::Delivered,
        Ok(Answer { status: StatusCode::GONE, .. }) => Outcome::Gone,
        Ok(Answer { status, retry_after, .. }) => Outcome::Failed { why: status.to_string(), retry_after },
        Err(why) => Outcome::Failed { why, retry_after: None },
    }
}

fn tested(answer: Result<Answer, String>) -> WebhookTested {
    let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
    let delivered = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
    WebhookTested { delivered, status, error: answer.err() }
}

fn dead_letter(dead: &Dead) -> WebhookDeadLetter {
    let Dead { seq, type_name, time_ms, why } = dead.clone();
    WebhookDeadLetter { seq, event: type_name, time_ms, error: why }
}
