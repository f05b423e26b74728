//! The delivery of events to one web hook, as a value: messages and `now` go in; attempts, and what to remember, come out.
//!
//! ```text
//!   log ─▶ offer ─▶ lane of call 7   [ 17 | 19 | 23 ] ─▶ poll ─▶ attempt ─▶ finished ─┬─ done: the next of the lane
//!                   lane of call 8   [ 18 | 22 ]          ≤ 8 at a time, one a lane    ├─ failed: the lane waits, others go on
//!                   lane of the node [ 20 ]                                            └─ for 3 days: a dead letter
//! ```
//! It holds no more than a window of the log: when that is full nothing is read until something is done, so a hook that
//! hangs costs the same memory for ever. What it must remember over a restart is how far the log was read and which of
//! those events are not done ([`Saved`]): at any moment, so that a killed process delivers a few events twice and none never.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_call::Now;
use offhook_client::wire::GapReason;
use serde::{Deserialize, Serialize};

use crate::trace::TraceId;

/// Requests at a time to one hook, each of another resource.
pub(super) const IN_FLIGHT_MAX: usize = 8;

/// Messages that are read and not done. A batch of the log may come on top.
pub(super) const PENDING_MAX: usize = 256;

/// Bytes of them: with the most hooks there may be, a part of what readers may take (`reliability.md` G13).
const BYTES_MAX: usize = 512 << 10;

/// Dead letters that are remembered; the log has the events themselves as long as it keeps them.
const DEAD_MAX: usize = 100;

/// How long a message waits after its first failure, its second, and so on, before jitter: together a little less than three
/// days. After as many failures again it is a dead letter.
const WAITS: [Duration; 11] = {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 3_600;
    let seconds =
        [1, 5, 30, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 20 * HOUR];
    let mut waits = [Duration::ZERO; 11];
    let mut at = 0;
    while at < seconds.len() {
        waits[at] = Duration::from_secs(seconds[at]);
        at += 1;
    }
    waits
};

/// The longest that a message may wait in all, however long a hook asks for (`Retry-After`).
const WAITED_MAX: Duration = Duration::from_secs(3 * 86_400);

/// The longest `Retry-After` that is kept to: longer ones are mistakes of units.
const REST_MAX: Duration = Duration::from_secs(86_400);

/// Failures in a row after which a hook counts as down. When it answers again, what waits is tried at once.
const DOWN_AFTER: u32 = 16;

/// The `part` of a notice that events are missing.
const NOTICE: u8 = u8::MAX;

/// Which message: of which event, and which of those that came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Id {
    pub(super) seq: u64,
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) part: u8,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_first(part: &u8) -> bool {
    *part == 0
}

impl Id {
    /// Of a notice that everything up to `last` is missing.
    pub(super) fn notice(last: u64) -> Self {
        Self { seq: last, part: NOTICE }
    }
}

fn expired() -> GapReason {
    GapReason::Expired
}

/// Events that are not kept any more, or are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hole {
    /// Which of both. Where it was not written down there was no other.
    #[serde(default = "expired")]
    pub(super) reason: GapReason,
    /// The first; none where the log is another one.
    pub(super) first: Option<u64>,
    pub(super) last: u64,
    /// When that was found out, Unix time in milliseconds.
    pub(super) time_ms: i64,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Id,
    /// What it is of: messages of one resource go one after the other. Empty for the node itself.
    pub(super) resource: String,
    /// The name of the event, for people.
    pub(super) type_name: &'static str,
    pub(super) body: Bytes,
    /// Of a call that belongs to a trace.
    pub(super) trace: Option<TraceId>,
    /// Of a notice: what it is about.
    pub(super) hole: Option<Hole>,
}

/// A request that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) id: Id,
    pub(super) body: Bytes,
    pub(super) trace: Option<TraceId>,
    resource: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Delivered,
    /// 410: nothing is wanted any more.
    Gone,
    /// Anything else.
    Failed {
        /// For people.
        why: String,
        /// How long the hook wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// What must be remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// Every event up to this one is done, or among `pending`.
    pub(super) read: u64,
    /// The event after which the log must be read for `pending`.
    pub(super) from: u64,
    #[serde(default)]
    pub(super) pending: Vec<Pending>,
    #[serde(default)]
    pub(super) dead: VecDeque<Dead>,
    #[serde(default)]
    pub(super) is_disabled: bool,
    #[serde(default)]
    pub(super) counts: Counts,
}

impl Saved {
    /// Of a hook that is told what comes after an event.
    pub(super) fn after(seq: u64) -> Self {
        Self { read: seq, from: seq, ..Self::default() }
    }
}

/// A message that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    #[serde(flatten)]
    pub(super) id: Id,
    #[serde(default)]
    pub(super) tries: Tries,
    /// How long it was still to wait.
    #[serde(default)]
    pub(super) wait_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hole: Option<Hole>,
}

/// How often something has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tries {
    failed: usize,
    waited_ms: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) seq: u64,
    pub(super) type_name: String,
    /// When, Unix time in milliseconds.
    pub(super) time_ms: i64,
    /// Why the last attempt failed.
    pub(super) why: String,
}

/// Since the hook is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Messages that arrived.
    pub(super) delivered: u64,
    /// Attempts that failed.
    pub(super) failed: u64,
    /// Messages that were given up.
    pub(super) dead: u64,
}

#[derive(Debug)]
struct Job {
    message: Message,
    tries: Tries,
}

/// The messages of one resource, in order.
type Lane = VecDeque<Job>;

/// See above.
#[derive(Debug)]
pub(super) struct Delivery {
    read: u64,
    /// Pending when the process before ended, and not read again yet.
    resumed: BTreeMap<Id, (Tries, u64)>,
    lanes: HashMap<String, Lane>,
    /// Whose first message may be sent, the one that has been so for longest first.
    ready: VecDeque<String>,
    /// Whose first message waits.
    waiting: BTreeSet<(Instant, String)>,
    in_flight: usize,
    jobs: usize,
    bytes: usize,
    /// The hook wants to be left alone until then.
    rests_until: Option<Instant>,
    /// Failures since something was delivered.
    failures: u32,
    /// Why the last one failed; none while it goes well.
    trouble: Option<String>,
    dead: VecDeque<Dead>,
    is_disabled: bool,
    counts: Counts,
    random: fastrand::Rng,
}

impl Delivery {
    /// Goes on from what was remembered: notices of holes are to be offered again at once, the log is to be read from
    /// `saved.from` on.
    pub(super) fn new(saved: Saved, seed: u64) -> Self {
        Self {
            read: saved.read,
            resumed: saved
                .pending
                .into_iter()
                .map(|pending| (pending.id, (pending.tries, pending.wait_ms)))
                .collect(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            in_flight: 0,
            jobs: 0,
            bytes: 0,
            rests_until: None,
            failures: 0,
            trouble: None,
            dead: saved.dead,
            is_disabled: saved.is_disabled,
            counts: saved.counts,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Whether more of the log should be read.
    pub(super) fn wants_more(&self) -> bool {
        !self.is_disabled && self.jobs < PENDING_MAX && self.bytes < BYTES_MAX
    }

    /// Takes a message; one that was done before a restart is passed over.
    pub(super) fn offer(&mut self, now: Instant, message: Message) {
        if message.id.seq > self.read {
            self.push(now, message, (Tries::default(), 0));
        } else if let Some(resumed) = self.resumed.remove(&message.id) {
            self.push(now, message, resumed);
        }
    }

    /// Everything up to an event has been offered.
    pub(super) fn passed(&mut self, seq: u64) {
        self.read = self.read.max(seq);
        // What was pending and is not wanted any more: the types of the hook are others than they were.
        self.resumed.retain(|id, _| id.seq > seq || id.part == NOTICE);
    }

    /// The events from `first` to `last` cannot be read: whether the hook misses any by that.
    pub(super) fn misses(&mut self, first: u64, last: u64) -> bool {
        let before = self.resumed.len();
        self.resumed.retain(|id, _| id.part == NOTICE || !(first..=last).contains(&id.seq));
        let misses = last > self.read || self.resumed.len() < before;
        self.read = self.read.max(last);
        misses
    }

    /// Takes a notice of a hole: it is sent, whatever its number.
    pub(super) fn push_notice(&mut self, now: Instant, message: Message) {
        let resumed = self.resumed.remove(&message.id).unwrap_or_default();
        self.push(now, message, resumed);
    }

    /// The log is another one than it was, with other numbers: nothing of the old ones can be read.
    pub(super) fn restart(&mut self, resume: u64) {
        self.resumed.clear();
        self.read = resume;
    }

    fn push(&mut self, now: Instant, message: Message, (tries, wait_ms): (Tries, u64)) {
        self.jobs += 1;
        self.bytes += message.body.len();
        let lane = self.lanes.entry(message.resource.clone()).or_default();
        if lane.is_empty() && wait_ms > 0 {
            let wait = Duration::from_millis(wait_ms).min(WAITED_MAX);
            self.waiting.insert((now + wait, message.resource.clone()));
        } else if lane.is_empty() {
            self.ready.push_back(message.resource.clone());
        }
        lane.push_back(Job { message, tries });
    }

    /// A request to be made now, if there is one.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Attempt> {
        while let Some((at, _)) = self.waiting.first()
            && *at <= now
            && let Some((_, resource)) = self.waiting.pop_first()
        {
            self.ready.push_back(resource);
        }
        self.rests_until = self.rests_until.filter(|until| *until > now);
        if self.is_disabled || self.in_flight >= IN_FLIGHT_MAX || self.rests_until.is_some() {
            return None;
        }
        let resource = self.ready.pop_front()?;
        let first = &self.lanes.get(&resource)?.front()?.message;
        self.in_flight += 1;
        Some(Attempt { id: first.id, body: first.body.clone(), trace: first.trace, resource })
    }

    /// When [`Self::poll`] has something to say that it has not now.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_disabled || self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        let waits = self.waiting.first().map(|(at, _)| *at);
        match self.rests_until {
            Some(until) if !self.ready.is_empty() => Some(until),
            Some(until) => waits.map(|at| at.max(until)),
            None => waits,
        }
    }

    /// What has come of an attempt.
    pub(super) fn finished(&mut self, now: Now, attempt: &Attempt, outcome: Outcome) {
        self.in_flight -= 1;
        match outcome {
            Outcome::Delivered => {
                self.counts.delivered += 1;
                self.trouble = None;
                self.next(&attempt.resource);
                if std::mem::take(&mut self.failures) >= DOWN_AFTER {
                    let waiting = std::mem::take(&mut self.waiting);
                    self.ready.extend(waiting.into_iter().map(|(_, resource)| resource));
                }
            }
            Outcome::Gone => {
                self.is_disabled = true;
                self.trouble = Some("410 Gone: it wants nothing any more".to_owned());
                self.ready.push_front(attempt.resource.clone());
            }
            Outcome::Failed { why, retry_after } => self.failed(now, attempt, why, retry_after),
        }
    }

    fn failed(&mut self, now: Now, attempt: &Attempt, why: String, retry_after: Option<Duration>) {
        self.counts.failed += 1;
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(why.clone());
        let rest = retry_after.map(|rest| rest.min(REST_MAX)).filter(|rest| !rest.is_zero());
        if let Some(rest) = rest {
            self.rests_until = self.rests_until.max(Some(now.mono + rest));
        }
        let jitter = 0.8 + 0.2 * self.random.f64();
        let Some(job) = self.lanes.get_mut(&attempt.resource).and_then(VecDeque::front_mut) else {
            return;
        };
        let wait = WAITS.get(job.tries.failed).map(|wait| wait.mul_f64(jitter).max(rest.unwrap_or_default()));
        let waited = |wait| Duration::from_millis(job.tries.waited_ms).saturating_add(wait);
        match wait.filter(|wait| waited(*wait) <= WAITED_MAX) {
            Some(wait) => {
                let waited = u64::try_from(waited(wait).as_millis()).unwrap_or(u64::MAX);
                job.tries = Tries { failed: job.tries.failed + 1, waited_ms: waited };
                self.waiting.insert((now.mono + wait, attempt.resource.clone()));
            }
            None => {
                let Message { id, type_name, .. } = job.message;
                let dead = Dead { seq: id.seq, type_name: type_name.to_owned(), time_ms: now.wall.0, why };
                self.counts.dead += 1;
                self.dead.push_back(dead);
                if self.dead.len() > DEAD_MAX {
                    self.dead.pop_front();
                }
                self.next(&attempt.resource);
            }
        }
    }

    /// The first message of a lane is done.
    fn next(&mut self, resource: &str) {
        let Some(lane) = self.lanes.get_mut(resource) else { return };
        if let Some(job) = lane.pop_front() {
            self.jobs -= 1;
            self.bytes -= job.message.body.len();
        }
        if lane.is_empty() {
            self.lanes.remove(resource);
        } else {
            self.ready.push_back(resource.to_owned());
        }
    }

    /// Begins once more after an event, which has the requests that are under way forgotten; a hook that was disabled is
    /// not any more.
    pub(super) fn redeliver(&mut self, after: u64) {
        self.resumed.clear();
        self.lanes.clear();
        self.ready.clear();
        self.waiting.clear();
        (self.read, self.in_flight, self.jobs, self.bytes) = (after, 0, 0, 0);
        (self.rests_until, self.failures, self.trouble, self.is_disabled) = (None, 0, None, false);
        self.dead.retain(|dead| dead.seq <= after);
    }

    /// What must be remembered at `now`. `needed` is the event after which the log must be read for other reasons.
    pub(super) fn saved(&self, now: Instant, needed: Option<u64>) -> Saved {
        let until: HashMap<&str, Instant> =
            self.waiting.iter().map(|(at, resource)| (resource.as_str(), *at)).collect();
        let jobs = self.lanes.iter().flat_map(|(resource, lane)| {
            let first = until.get(resource.as_str()).map(|at| at.saturating_duration_since(now));
            lane.iter().zip(first.into_iter().chain(std::iter::repeat(Duration::ZERO)))
        });
        let jobs = jobs.map(|(Job { message, tries }, wait)| Pending {
            id: message.id,
            tries: *tries,
            wait_ms: wait.as_millis().try_into().unwrap_or(u64::MAX),
            hole: message.hole,
        });
        let resumed = self.resumed.iter();
        let resumed = resumed.map(|(&id, &(tries, wait_ms))| Pending { id, tries, wait_ms, hole: None });
        let mut pending: Vec<Pending> = jobs.chain(resumed).collect();
        pending.sort_unstable_by_key(|pending| pending.id);
        let oldest = pending.iter().find(|pending| pending.id.part != NOTICE);
        let from = oldest.map_or(self.read, |pending| pending.id.seq.saturating_sub(1));
        let from = from.min(self.read).min(needed.unwrap_or(u64::MAX));
        Saved {
            read: self.read,
            from,
            pending,
            dead: self.dead.clone(),
            is_disabled: self.is_disabled,
            counts: self.counts,
        }
    }

    /// How many messages are read and not done.
    pub(super) fn pending(&self) -> usize {
        self.jobs + self.resumed.len()
    }

    /// Up to where the log has been read.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Whether it has answered 410.
    pub(super) fn is_disabled(&self) -> bool {
        self.is_disabled
    }

    /// Why the last attempt failed, where that is how it stands.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What was given up, the oldest first.
    pub(super) fn dead(&self) -> impl Iterator<Item = &Dead> {
        self.dead.iter()
    }

    /// What has been counted.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether nothing is under way, and nothing can go now.
    pub(super) fn is_at_rest(&self) -> bool {
        self.in_flight == 0 && (self.ready.is_empty() || self.is_disabled || self.rests_until.is_some())
    }
}

#[cfg(test)]
mod tests;
