//! What of calls goes into the database beside the log, and before it: their notes wait here until the thread of the log
//! writes them.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::store::{Ledger, Note};

/// The most notes that wait: some tens of megabytes, and many seconds of a busy node. Where the database takes nothing for that
/// long, one more is lost, and that is told.
const NOTES_MAX: usize = 65_536;

/// How many are written in one transaction.
const BATCH_MAX: usize = 4_096;

/// How long a database that has failed is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// The end that the control loop has.
#[derive(Clone, Debug)]
pub(super) struct Notes(SyncSender<Note>);

impl Notes {
    /// Has a note written before what is appended from now on is shown.
    pub(super) fn send(&self, note: Note) {
        if let Err(TrySendError::Full(note) | TrySendError::Disconnected(note)) = self.0.try_send(note) {
            tracing::error!(res_id = note.res_id(), "the database takes nothing: a call is not recorded");
        }
    }
}

/// The end that writes.
#[derive(Debug)]
pub(super) struct Calls {
    ledger: Ledger,
    waiting: Receiver<Note>,
    /// What could not be written, and comes first the next time.
    kept: Vec<Note>,
    failing: Option<Failing>,
}

/// A database that does not take notes.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    tried: Instant,
}

/// Both ends.
pub(super) fn open(ledger: Ledger) -> (Notes, Calls) {
    let (notes, waiting) = sync_channel(NOTES_MAX);
    (Notes(notes), Calls { ledger, waiting, kept: Vec::new(), failing: None })
}

impl Calls {
    /// Writes the notes that wait. An error holds up the events of this moment; past [`super::PATIENCE`] they go on without, and
    /// what could not be written is written when that is possible.
    pub(super) fn commit(&mut self, now: Instant, now_ms: i64) -> io::Result<()> {
        if self.failing.is_some_and(|failing| now < failing.tried + RETRY && failing.is_old(now)) {
            return Ok(());
        }
        loop {
            let room = BATCH_MAX.saturating_sub(self.kept.len());
            self.kept.extend(self.waiting.try_iter().take(room));
            if self.kept.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.ledger.write(&self.kept, now_ms) {
                return self.failed(now, error);
            }
            self.kept.clear();
            if self.failing.take().is_some() {
                tracing::warn!("calls are recorded again");
            }
        }
    }

    fn failed(&mut self, now: Instant, error: io::Error) -> io::Result<()> {
        let first = self.failing.is_none();
        let failing = Failing { since: self.failing.map_or(now, |failing| failing.since), tried: now };
        self.failing = Some(failing);
        if first {
            tracing::error!(%error, "calls cannot be recorded; it is tried again");
        }
        if failing.is_old(now) {
            return Ok(());
        }
        Err(io::Error::new(error.kind(), format!("call records: {error}")))
    }
}

impl Failing {
    /// Whether the events have waited long enough for it.
    fn is_old(self, now: Instant) -> bool {
        now >= self.since + super::PATIENCE
    }
}
