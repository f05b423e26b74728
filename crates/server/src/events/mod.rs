//! The event log: one writer, the control loop, and any number of readers, each with a cursor of its own.
//!
//! ```text
//!   control ─▶ EventWriter::append ─▶ [ seq 17 | 18 | 19 | 20 ] ◀─ EventLog::read(after 17)  (subscription a)
//!                                       ▲ oldest go first       ◀─ EventLog::read(after 20)  (subscription b, waits)
//! ```
//! There is no queue per reader: a slow one falls behind in the log and, past its bounds, finds a gap, which it is told
//! ([`Read::Gap`]). It slows neither the writer nor another reader. An event is serialised once, when it is appended.
//!
//! The log lives in memory until it is made durable; the interface stays. What a former run had is gone with it, and
//! because numbers never repeat over runs, a cursor of a former run finds a gap as well.

mod conference;
mod convert;
mod heard;
mod pattern;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use offhook_client::wire::{Envelope, EventKind};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Notify;

pub use conference::append_conference_event;
pub use convert::{append_call_event, append_node_event, append_recovered};
pub use pattern::{Types, UnknownPattern};

/// How many events a reader is handed at a time, so that one that is far behind does not hold them all.
const BATCH_MAX: usize = 64;

/// What an entry costs beside its text: the table's slot, the pointers, the counters; rounded up.
const ENTRY_OVERHEAD: u64 = 128;

/// How much is kept. The newest event is kept whatever the bounds say.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// In bytes of memory, text and table.
    pub bytes: u64,
    /// In time, measured from the newest event.
    pub age: Duration,
}

/// A new, empty log: the end that writes and the end that is shared by readers. Its first event will be `first_seq`, at
/// least 1, which must be above every number of former runs.
pub fn log(retention: Retention, first_seq: u64) -> (EventWriter, Arc<EventLog>) {
    let first = first_seq.max(1);
    let log = Arc::new(EventLog {
        entries: DashMap::new(),
        first: AtomicU64::new(first),
        last: AtomicU64::new(first - 1),
        appended: Notify::new(),
    });
    (EventWriter { log: log.clone(), retention, bytes: 0, published: first - 1 }, log)
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
    fn cost(&self) -> u64 {
        self.json.get().len() as u64 + ENTRY_OVERHEAD
    }
}

/// What a reader finds after its cursor.
#[derive(Debug)]
pub enum Read {
    /// The next events in order; none when the reader has seen all there are.
    Batch(Vec<Entry>),
    /// The events `first..=last` are not kept any more, or were of a former run; read on after `last`.
    Gap {
        /// The first missing.
        first: u64,
        /// The last missing.
        last: u64,
    },
    /// The cursor is ahead of the log: it is of another log, or that one's numbers are lost; read on after `resume`.
    Restarted {
        /// One before the first event that is kept.
        resume: u64,
    },
}

/// The writing end. There is one, so that numbers are given in the order of events.
#[derive(Debug)]
pub struct EventWriter {
    log: Arc<EventLog>,
    retention: Retention,
    bytes: u64,
    /// The last event that waiting readers were woken for.
    published: u64,
}

impl EventWriter {
    /// Appends an event and returns its number. Readers that wait hear of it by [`Self::publish`].
    pub fn append(&mut self, time_ms: i64, kind: EventKind) -> u64 {
        let log = &self.log;
        let seq = log.last.load(Ordering::Relaxed) + 1;
        let type_name = kind.type_name();
        let json = to_raw_value(&Envelope { seq, time_ms, kind }).expect("an event is strings and numbers");
        let entry = Entry { seq, time_ms, type_name, json: json.into() };
        self.bytes += entry.cost();
        log.entries.insert(seq, entry);
        log.last.store(seq, Ordering::Release);
        self.forget_old(time_ms);
        seq
    }

    /// Wakes the readers that wait, if there is anything new. To wake another thread costs more than to append an event,
    /// so it is done once for all events of a turn of the control loop.
    pub fn publish(&mut self) {
        let last = self.log.last.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.published, last) != last {
            self.log.appended.notify_waiters();
        }
    }

    /// Lets go of the oldest events past the bounds.
    fn forget_old(&mut self, now_ms: i64) {
        let age_ms = i64::try_from(self.retention.age.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.saturating_sub(age_ms);
        let last = self.log.last.load(Ordering::Relaxed);
        let mut first = self.log.first.load(Ordering::Relaxed);
        while first < last {
            let bytes = self.bytes;
            let over = |entry: &Entry| bytes > self.retention.bytes || entry.time_ms < oldest;
            // `first` moves on before the entry goes, so that a reader that misses one knows why.
            if !self.log.entries.get(&first).is_none_or(|entry| over(&entry)) {
                break;
            }
            self.log.first.store(first + 1, Ordering::Release);
            if let Some((_, entry)) = self.log.entries.remove(&first) {
                self.bytes -= entry.cost();
            }
            first += 1;
        }
    }
}

/// The reading end.
#[derive(Debug)]
pub struct EventLog {
    entries: DashMap<u64, Entry>,
    /// The oldest event that is kept.
    first: AtomicU64,
    /// The newest event; before this run's first, one less than that will be.
    last: AtomicU64,
    appended: Notify,
}

impl EventLog {
    /// The number of the newest event; before this run's first, one less than that will be.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// What comes after event `after`.
    pub fn read(&self, after: u64) -> Read {
        let last = self.last();
        let first = self.first.load(Ordering::Acquire);
        if after > last {
            return Read::Restarted { resume: first - 1 };
        }
        if after + 1 < first {
            return Read::Gap { first: after + 1, last: first - 1 };
        }
        let wanted = (after + 1..=last).take(BATCH_MAX);
        // An entry that goes while we read ends the batch; the next read finds the gap.
        let batch: Vec<Entry> = wanted.map_while(|seq| self.entries.get(&seq).map(|e| e.clone())).collect();
        if batch.is_empty() && after < last { self.read(after) } else { Read::Batch(batch) }
    }

    /// Returns when an event after `after` is published, at once if there is one already.
    pub async fn wait(&self, after: u64) {
        loop {
            let appended = self.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            if self.last() > after {
                return;
            }
            appended.await;
        }
    }
}

#[cfg(test)]
mod tests;
