//! What came of requests that carried a `request_key`, so that one that is sent again is not carried out again
//! (`reliability.md` A4).
//!
//! ```text
//!   begin(key, print) ─▶ First ─────▶ the request is carried out ─▶ finish(outcome) ─▶ kept for 24 h
//!                     ├▶ UnderWay ──▶ waits for that outcome          (or forgotten, if nothing was done)
//!                     ├▶ Known ─────▶ that outcome, once more
//!                     └▶ Reused ────▶ an error: the key was another request's
//! ```
//! The table is a value: time comes in, nothing waits. What a key stands for is its caller's own (`Scope`), so that no
//! token reads what another one's requests came to. Requests whose effect outlives the node, because somebody's telephone
//! rings, are also kept on the disk (`journal.rs`).

pub(crate) mod journal;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use offhook_call::event::UnixMs;
use offhook_client::wire::ErrorData;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::clock;
use journal::Journal;

/// The table of a node and its files, for all that serve requests.
#[derive(Debug)]
pub struct RequestKeys {
    #[allow(
        clippy::disallowed_types,
        reason = "requests of all connections share it, on one thread, and none waits while it has it; no call does"
    )]
    table: std::sync::Mutex<Keys>,
    pub(crate) journal: Journal,
}

impl RequestKeys {
    /// Opens the files of `data_dir`, making them where they are missing.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let now = clock::now().wall;
        let (kept, journal) = journal::open(data_dir, now)?;
        let mut table = Keys::new();
        table.load(now, kept);
        Ok(Self { table: table.into(), journal })
    }

    /// The table. Nothing in it can be half done, so that a panic elsewhere does not spoil it.
    pub(crate) fn table(&self) -> MutexGuard<'_, Keys> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an outcome is kept.
pub(crate) const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// The most outcomes that are kept: a quarter of an hour of a node that sets up 50 calls a second with five keyed requests
/// each. A retry comes within seconds.
const KEYS_MAX: usize = 1 << 18;
/// The most memory for them, in bytes: 256 for each.
const BYTES_MAX: usize = 64 << 20;
/// The most keyed requests under way: more than the connections there may be can have asked for at once.
const UNDER_WAY_MAX: usize = 1 << 14;
/// What an outcome costs beside its texts: two slots of the tables and the pointers, rounded up.
const OVERHEAD: usize = 192;

/// Whose keys: those of one token, or of everybody where no token is wanted. Nothing of the token can be read from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Scope(u128);

impl Scope {
    /// The scope of a token.
    pub(crate) fn of(token: &[u8]) -> Self {
        Self(short_hash(&[token]))
    }
}

/// What a request asks: its method and its parameters as they were understood, so that neither the order of names nor a
/// default that is written out makes it another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print(u128);

impl Print {
    /// The print of `params` of `method`.
    pub(crate) fn of(method: &str, params: &impl Serialize) -> Self {
        let params = serde_json::to_vec(params).expect("parameters are strings and numbers");
        Self(short_hash(&[method.as_bytes(), &[0], &params]))
    }
}

/// Half of a SHA-256: what two requests, or two tokens, never have in common.
fn short_hash(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    u128::from_be_bytes(hash.finalize()[..16].try_into().expect("16 of 32 bytes"))
}

/// A key, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) scope: Scope,
    pub(crate) key: Box<str>,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Its result, as JSON text.
    Result(Box<str>),
    /// Its error.
    Error(ErrorData),
}

impl Outcome {
    /// Whether a repeat gets it too. Errors that say that nothing was done, and why that may pass, are no outcome: the
    /// repeat is carried out.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Error(
                ErrorData::LimitReached { .. }
                    | ErrorData::GatewayUnavailable { .. }
                    | ErrorData::DiskFull { .. }
                    | ErrorData::ShuttingDown
            )
        )
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Result(text) => text.len(),
            // Few are longer, and by no more than a file name.
            Self::Error(_) => 256,
        }
    }
}

/// What a request with a key is.
#[derive(Debug)]
pub(crate) enum Begin {
    /// The first of its key: it is to be carried out, and [`Keys::finish`] told.
    First(Waiting),
    /// A repeat of one that is being carried out.
    UnderWay(Waiting),
    /// A repeat of one that is over.
    Known(Outcome),
    /// Another request than the key's first.
    Reused,
    /// Too many are under way.
    Full {
        /// How many may be.
        limit: usize,
    },
}

/// Where the outcome of a request under way will be; an end without one is a defect.
pub(crate) type Waiting = watch::Receiver<Option<Outcome>>;

/// The table.
#[derive(Debug)]
pub(crate) struct Keys {
    entries: HashMap<Name, Entry>,
    /// The names of all that is over, oldest first, and since when.
    over: VecDeque<(UnixMs, Name)>,
    /// What those cost.
    bytes: usize,
    limits: Limits,
}

/// The bounds of a table.
#[derive(Clone, Copy, Debug)]
struct Limits {
    keys: usize,
    bytes: usize,
    under_way: usize,
}

#[derive(Debug)]
struct Entry {
    print: Print,
    state: State,
}

#[derive(Debug)]
enum State {
    UnderWay(watch::Sender<Option<Outcome>>),
    Over(Outcome),
}

impl Keys {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self::bounded(Limits { keys: KEYS_MAX, bytes: BYTES_MAX, under_way: UNDER_WAY_MAX })
    }

    fn bounded(limits: Limits) -> Self {
        Self { entries: HashMap::new(), over: VecDeque::new(), bytes: 0, limits }
    }

    /// A request with a key has come.
    pub(crate) fn begin(&mut self, now: UnixMs, name: &Name, print: Print) -> Begin {
        self.forget_old(now);
        match self.entries.get(name) {
            Some(entry) if entry.print != print => Begin::Reused,
            Some(Entry { state: State::UnderWay(sender), .. }) => Begin::UnderWay(sender.subscribe()),
            Some(Entry { state: State::Over(outcome), .. }) => Begin::Known(outcome.clone()),
            None if self.entries.len() - self.over.len() >= self.limits.under_way => {
                Begin::Full { limit: self.limits.under_way }
            }
            None => {
                let (sender, waiting) = watch::channel(None);
                self.entries.insert(name.clone(), Entry { print, state: State::UnderWay(sender) });
                Begin::First(waiting)
            }
        }
    }

    /// The first request of a key is over: whoever waits is told, and whoever comes later, if the outcome is final.
    pub(crate) fn finish(&mut self, now: UnixMs, name: &Name, outcome: Outcome) {
        let Some(Entry { print, state: State::UnderWay(sender) }) = self.entries.remove(name) else { return };
        if outcome.is_final() {
            self.keep(now, name.clone(), print, outcome.clone());
        }
        // Nobody may wait any more.
        let _ = sender.send(Some(outcome));
        self.forget_old(now);
    }

    /// The first request of a key has ended without an outcome, as at the end of the server.
    pub(crate) fn abandon(&mut self, name: &Name) {
        if let Some(Entry { state: State::UnderWay(_), .. }) = self.entries.get(name) {
            self.entries.remove(name);
        }
    }

    /// Takes what a former run has kept, oldest first.
    pub(crate) fn load(&mut self, now: UnixMs, kept: impl IntoIterator<Item = Kept>) {
        for Kept { at, name, print, outcome } in kept {
            if !self.entries.contains_key(&name) {
                self.keep(at, name, print, outcome);
            }
        }
        self.forget_old(now);
    }

    fn keep(&mut self, at: UnixMs, name: Name, print: Print, outcome: Outcome) {
        self.bytes += cost(&name, &outcome);
        self.entries.insert(name.clone(), Entry { print, state: State::Over(outcome) });
        self.over.push_back((at, name));
    }

    /// Lets go of the oldest outcomes past the bounds. A clock that was set back keeps them for longer.
    fn forget_old(&mut self, now: UnixMs) {
        let oldest = UnixMs(now.0.saturating_sub(i64::try_from(KEEP.as_millis()).unwrap_or(i64::MAX)));
        while let Some((at, _)) = self.over.front() {
            let fits = self.over.len() <= self.limits.keys && self.bytes <= self.limits.bytes;
            if fits && *at >= oldest {
                break;
            }
            let Some((_, name)) = self.over.pop_front() else { break };
            if let Some(Entry { state: State::Over(outcome), .. }) = self.entries.remove(&name) {
                self.bytes -= cost(&name, &outcome);
            }
        }
    }
}

/// A name is kept twice: where it is looked up, and in the row of those that go.
fn cost(name: &Name, outcome: &Outcome) -> usize {
    2 * name.key.len() + outcome.bytes() + OVERHEAD
}

/// An outcome on the disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// When it was there.
    pub(crate) at: UnixMs,
    pub(crate) name: Name,
    pub(crate) print: Print,
    pub(crate) outcome: Outcome,
}
