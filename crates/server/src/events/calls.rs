//! What of calls goes into the database beside the log, and before it: their notes wait here until the thread of the log
//! writes them.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::call_log::{Names, line};
use crate::store::{Ledger, Note};

/// The most notes that wait: some tens of megabytes, and many seconds of a busy node. Where the database takes nothing for that
/// long, one more is lost, and that is told.
const NOTES_MAX: usize = 65_536;

/// How many are taken at a time.
const BATCH_MAX: usize = 4_096;

/// The most that wait for a database that fails, of which each goes into the file beside it meanwhile.
const KEPT_MAX: usize = 16_384;

/// How long a database that has failed is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// What is done once all notes before it are written.
pub(crate) struct Then(Box<dyn FnOnce() + Send>);

impl Then {
    pub(crate) fn new(then: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(then))
    }

    pub(super) fn run(self) {
        (self.0)();
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// What waits for the database.
#[derive(Debug)]
enum Waiting {
    Note(Note),
    Then(Then),
}

/// The end that the control loop has.
#[derive(Clone, Debug)]
pub(super) struct Notes(SyncSender<Waiting>);

impl Notes {
    /// Has a note of a call or a conference written before what is appended from now on is shown.
    pub(super) fn send(&self, of: &Names, note: Note) {
        if self.0.try_send(Waiting::Note(note)).is_err() {
            line!(error, of, "the database takes nothing: a call or conference is not recorded");
        }
    }

    /// Has something done once what was sent before is written; at once, where that is not to be expected.
    pub(super) fn then(&self, then: Then) {
        if let Err(TrySendError::Full(waiting) | TrySendError::Disconnected(waiting)) =
            self.0.try_send(Waiting::Then(then))
            && let Waiting::Then(then) = waiting
        {
            then.run();
        }
    }
}

/// The end that writes.
#[derive(Debug)]
pub(super) struct Calls {
    ledger: Ledger,
    waiting: Receiver<Waiting>,
    /// What could not be written, and comes first the next time.
    kept: Vec<Note>,
    /// So many of those are in the file beside the database.
    filed: usize,
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
    (Notes(notes), Calls { ledger, waiting, kept: Vec::new(), filed: 0, failing: None })
}

impl Calls {
    /// Writes the notes that wait, and does what waits for them; events up to `written` are on the disk. An error holds up the
    /// events of this moment; past [`super::PATIENCE`] they go on without, and what could not be written is written when that
    /// is possible. Whoever waits for notes that cannot be written waits no longer.
    pub(super) fn commit(&mut self, now: Instant, now_ms: i64, written: u64) -> io::Result<()> {
        let rests = self.failing.is_some_and(|failing| now < failing.tried + RETRY && failing.is_old(now));
        loop {
            let then = self.take();
            if self.kept.len() == if rests { self.filed } else { 0 } {
                then.into_iter().for_each(Then::run);
                return Ok(());
            }
            let result = if rests { self.file() } else { self.write(now_ms, written) };
            then.into_iter().for_each(Then::run);
            if let Err(error) = result {
                return self.failed(now, error);
            }
            if !rests && self.failing.take().is_some() {
                tracing::warn!("calls are recorded again");
            }
        }
    }

    /// How many records of calls wait for a database that does not take them.
    pub(super) fn unwritten(&self) -> usize {
        self.kept.iter().filter(|note| matches!(note, Note::Over(_))).count()
    }

    fn write(&mut self, now_ms: i64, written: u64) -> io::Result<()> {
        if let Err(error) = self.ledger.record(&self.kept, now_ms, written) {
            self.file()?;
            return Err(error);
        }
        self.ledger.keep(&self.kept, true)?;
        self.kept.clear();
        self.filed = 0;
        Ok(())
    }

    /// What the database does not take goes beside it, so that it is known after a kill: who lives, and of whom has been told that
    /// they do not.
    fn file(&mut self) -> io::Result<()> {
        self.ledger.keep(&self.kept[self.filed..], false)?;
        self.kept.retain(|note| !matches!(note, Note::Lives(_)));
        self.filed = self.kept.len();
        Ok(())
    }

    /// Takes the notes that wait, and what is to be done after them.
    fn take(&mut self) -> Vec<Then> {
        let room = KEPT_MAX.saturating_sub(self.kept.len()).min(BATCH_MAX);
        let mut then = Vec::new();
        for waiting in self.waiting.try_iter().take(room) {
            match waiting {
                Waiting::Note(note) => self.kept.push(note),
                Waiting::Then(one) => then.push(one),
            }
        }
        then
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
