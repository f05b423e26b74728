//! The event log: one writer, the control loop, and any number of readers, each with a cursor of its own.
//!
//! ```text
//!   control ─▶ EventWriter::append ─▶ [ seq 17 | 18 | 19 | 20 ] ─▶ Store::commit ─▶ segments on the disk
//!                                       ▲ oldest go first  │
//!                                                          └ shown once it is written ─▶ Reader (after 17), Reader (after 20)
//! ```
//! There is no queue per reader: a slow one falls behind in the log and, past its bounds, finds a gap, which it is told
//! ([`Read::Gap`]). It slows neither the writer nor another reader. An event is serialised once, when it is appended. The
//! newest are in memory; who is further behind reads from the disk, also what former runs have told: numbers go on over
//! restarts, without a hole.

mod age;
mod calls;
mod conference;
mod convert;
mod group;
mod groups;
mod heard;
mod listeners;
mod pattern;
mod reader;
mod record;
mod segment;
mod store;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use offhook_client::wire::{Envelope, EventKind};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Notify, Semaphore};

pub(crate) use age::BEFORE_ALL;
pub(crate) use conference::{conference_event, conference_over};
pub use convert::append_recovered;
#[cfg(test)]
pub(crate) use convert::recovered_event;
pub(crate) use convert::{call_event, dropped_by, node_event};
pub use group::Takeover;
pub use groups::{Deserted, GROUPS_MAX, Groups, Membership};
pub use listeners::Listening;
pub use pattern::{Types, UnknownPattern};
pub use reader::{Read, Reader};
pub use store::{Durability, LAST_WAIT, Store};

pub(crate) use calls::Then;

use crate::call_log::Names;
use crate::serial::First;
use crate::store::{Ledger, Note};
use crate::trace::TraceId;
use listeners::Listeners;

/// How many events a reader is handed at a time, so that one that is far behind does not hold them all.
const BATCH_MAX: usize = 64;

/// What an entry costs beside its text: the table's slot, the pointers, the counters; rounded up.
const ENTRY_OVERHEAD: u64 = 128;

/// The most bytes of events that are on the disk and in memory as well, for readers that keep up: some seconds of a busy node.
const MEMORY_MAX: u64 = 16 << 20;

/// How long the disk may take to write an event before readers are shown it all the same.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How many readers are read for from the disk at a time; each such read is short, and a disk that hangs must not take
/// more threads.
const DISK_READERS: usize = 4;

/// How much is kept. The newest event is kept however few bytes may be.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// In bytes, on the disk; in memory no more than that is kept either, even where the disk takes nothing.
    pub bytes: u64,
    /// In time, by a clock that is not trusted when it jumps.
    pub age: Duration,
}

/// A directory that no other server writes to.
#[derive(Debug)]
pub struct Claim {
    dir: Arc<Path>,
    directory: File,
}

/// Takes a directory, which is made where there is none, for a log.
///
/// # Errors
/// It cannot be made or opened, or another server has it.
pub fn claim(dir: &Path) -> io::Result<Claim> {
    Ok(Claim { dir: dir.into(), directory: store::claim(dir)? })
}

/// Opens the log in its directory: the end that writes, the end that is shared by readers,
/// and the end that writes to the disk. It goes on where the last run has ended; a new log begins with `first`, at
/// least 1, which must be above every number of former runs.
///
/// # Errors
/// The directory cannot be read and written.
pub fn open(
    Claim { dir, directory }: Claim,
    retention: Retention,
    durability: Durability,
    first: First,
) -> io::Result<(EventWriter, Arc<EventLog>, Store)> {
    let found = store::find(&dir, directory, first)?;
    let log = Arc::new(EventLog {
        entries: DashMap::new(),
        dir,
        begin: found.begin,
        oldest: AtomicU64::new(found.oldest),
        kept: AtomicU64::new(found.next),
        written: AtomicU64::new(found.next - 1),
        shown: AtomicU64::new(found.next - 1),
        appended: AtomicU64::new(found.next - 1),
        news: Notify::new(),
        disk: Arc::new(Semaphore::new(DISK_READERS)),
        bytes: AtomicU64::new(0),
        listeners: Listeners::default(),
    });
    // One ring is enough, however many events there are.
    let (bell, rung) = sync_channel(1);
    let store = Store::new(log.clone(), found, retention, durability, rung);
    let writer = EventWriter {
        log: log.clone(),
        retention,
        bytes: 0,
        told: 0,
        rung_for: 0,
        unshown: None,
        bell,
        notes: None,
        noted: false,
    };
    Ok((writer, log, store))
}

/// Has notes of calls written to a database, each before what is appended after it is shown.
pub(crate) fn record_calls(writer: &mut EventWriter, store: &mut Store, ledger: Ledger) {
    let over_ms = ledger.newest_end_ms();
    let (notes, calls) = calls::open(ledger);
    writer.notes = Some(notes);
    store.record_calls(calls, over_ms);
}

/// An event in the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it happened, Unix time in milliseconds.
    pub time_ms: i64,
    /// Its name.
    pub type_name: &'static str,
    /// The whole envelope.
    pub json: Arc<RawValue>,
}

impl Entry {
    /// The call or the conference that it is of.
    pub fn res_id(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            params: Params<'a>,
        }
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            res_id: Option<Cow<'a, str>>,
        }
        serde_json::from_str::<Envelope<'_>>(self.json.get()).ok()?.params.res_id
    }

    /// The trace that its call belongs to.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            trace_id: Option<Cow<'a, str>>,
        }
        let Envelope { trace_id } = serde_json::from_str(self.json.get()).ok()?;
        TraceId::parse(&trace_id?)
    }

    /// Whether nothing follows of that call or conference.
    pub fn is_last(&self) -> bool {
        matches!(self.type_name, "sys.call.on_released" | "sys.conf.on_released")
    }

    fn cost(&self) -> u64 {
        self.json.get().len() as u64 + ENTRY_OVERHEAD
    }
}

/// The writing end. There is one, so that numbers are given in the order of events.
#[derive(Debug)]
pub struct EventWriter {
    log: Arc<EventLog>,
    retention: Retention,
    /// Of the events in memory.
    bytes: u64,
    /// Events that this run has appended.
    told: u64,
    /// The last event that the store was woken for.
    rung_for: u64,
    /// The first event that no reader has been shown, and since when.
    unshown: Option<(u64, Instant)>,
    bell: SyncSender<()>,
    /// Where what is known of calls goes.
    notes: Option<calls::Notes>,
    /// Whether something has gone there that no event tells.
    noted: bool,
}

impl EventWriter {
    /// The number that the next event will have.
    pub(crate) fn next(&self) -> u64 {
        self.log.appended.load(Ordering::Relaxed) + 1
    }

    /// Has something of a call recorded, before what is appended from now on is shown.
    pub(crate) fn note(&mut self, of: &Names, note: Note) {
        if let Some(notes) = &self.notes {
            notes.send(of, note);
            self.noted = true;
        }
    }

    /// Has something done once what was noted before it is written: who is told of a call finds it again after a kill.
    pub(crate) fn once_noted(&mut self, then: Then) {
        match &self.notes {
            Some(notes) => notes.then(then),
            None => then.run(),
        }
        self.noted = true;
    }

    /// Appends an event and returns its number. It is written and shown after [`Self::publish`].
    pub fn append(&mut self, time_ms: i64, kind: EventKind) -> u64 {
        self.append_of(time_ms, kind, None)
    }

    /// The same of a call that belongs to a trace, where it does.
    pub fn append_of(&mut self, time_ms: i64, kind: EventKind, trace_id: Option<TraceId>) -> u64 {
        let log = &self.log;
        let seq = self.next();
        let type_name = kind.type_name();
        let trace_id = trace_id.map(|trace| trace.to_string());
        let envelope = Envelope { seq, time_ms, kind, trace_id };
        let json = to_raw_value(&envelope).expect("an event is strings and numbers");
        let entry = Entry { seq, time_ms, type_name, json: json.into() };
        self.bytes += entry.cost();
        self.told += 1;
        log.entries.insert(seq, entry);
        log.appended.store(seq, Ordering::Release);
        self.forget_old();
        seq
    }

    /// Has the store write what is new. To wake another thread costs more than to append an event, so it is done once for all
    /// events of a turn of the control loop.
    pub fn publish(&mut self, now: Instant) {
        let log = &self.log;
        let appended = log.appended.load(Ordering::Relaxed);
        let noted = std::mem::take(&mut self.noted);
        if std::mem::replace(&mut self.rung_for, appended) != appended || noted {
            // A bell that still rings is one for these events too.
            let _ = self.bell.try_send(());
        }
        let first = log.shown.load(Ordering::Acquire) + 1;
        self.unshown = match self.unshown {
            _ if first > appended => None,
            Some((waits, since)) if waits == first && now >= since + PATIENCE => {
                tracing::error!(seq = first, "the disk takes no events; readers are shown what is not on it");
                log.show(appended);
                None
            }
            Some((waits, since)) if waits == first => Some((waits, since)),
            _ => Some((first, now)),
        };
    }

    /// When [`Self::publish`] should be called again, be there anything new or not.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.unshown.map(|(_, since)| since + PATIENCE)
    }

    /// How many events this run has told.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The reading end.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Lets go of the oldest events in memory past the bounds: those that are on the disk soon, others when there is no more
    /// room for them.
    fn forget_old(&mut self) {
        let log = &self.log;
        let (written, last) = (log.written.load(Ordering::Acquire), log.appended.load(Ordering::Relaxed));
        let mut first = log.kept.load(Ordering::Relaxed);
        while first < last
            && (self.bytes > self.retention.bytes || (self.bytes > MEMORY_MAX && first <= written))
        {
            // `kept` moves on before the entry goes, so that a reader that misses one knows why.
            log.kept.store(first + 1, Ordering::Release);
            if let Some((_, entry)) = log.entries.remove(&first) {
                self.bytes -= entry.cost();
            }
            first += 1;
        }
    }
}

/// What readers share.
#[derive(Debug)]
pub struct EventLog {
    /// The newest events.
    entries: DashMap<u64, Entry>,
    /// Where the segments are.
    dir: Arc<Path>,
    /// The first event that there can have been: that of the node, where it is known.
    begin: u64,
    /// The oldest event on the disk; where there is none, the next one.
    oldest: AtomicU64,
    /// The oldest event in memory.
    kept: AtomicU64,
    /// The newest event on the disk.
    written: AtomicU64,
    /// The newest event that readers see.
    shown: AtomicU64,
    /// The newest event.
    appended: AtomicU64,
    /// Something has been shown.
    news: Notify,
    /// Places to read from the disk.
    disk: Arc<Semaphore>,
    /// Of the segments on the disk.
    bytes: AtomicU64,
    /// Who is told of events as they come.
    listeners: Listeners,
}

impl EventLog {
    /// The number of the newest event, whether readers see it already or not: who begins after it hears what happens from
    /// now on. Before the first event, one less than its number.
    pub fn newest(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// The number of the oldest event that is kept; where there is none, of the next one.
    pub fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    /// The number of the newest event that readers see.
    pub fn shown(&self) -> u64 {
        self.shown.load(Ordering::Acquire)
    }

    /// How many events are not on the disk.
    pub fn unwritten(&self) -> u64 {
        self.newest().saturating_sub(self.written.load(Ordering::Acquire))
    }

    /// Bytes of the events on the disk.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Shows readers all events up to this one.
    fn show(&self, seq: u64) {
        self.shown.fetch_max(seq, Ordering::AcqRel);
        self.news.notify_waiters();
    }

    /// Returns when an event after `after` is shown, at once if there is one already.
    pub async fn wait(&self, after: u64) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.shown() > after {
                return;
            }
            news.await;
        }
    }
}

#[cfg(test)]
mod tests;
