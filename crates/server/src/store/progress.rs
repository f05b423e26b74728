//! What the database of records and the copy of it in PostgreSQL have to know of each other, and what `/metrics` tells of that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

use super::Over;

/// How far the copy is. Each end reads it whenever it likes; nobody waits.
#[derive(Debug, Default)]
pub struct Progress {
    /// The `seq` up to which every record is copied: of all databases that there have been, since those numbers only rise.
    seq: AtomicU64,
    /// The number of the last record that is copied, and of the last one there is, in this database.
    copied_id: AtomicU64,
    newest_id: AtomicU64,
    copied: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
    bell: Notify,
}

/// The same, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyStatus {
    /// Records that are not in PostgreSQL yet.
    pub backlog: u64,
    /// Records that went there since the start.
    pub copied: u64,
    /// Records that it took for wrong, and that were passed over.
    pub refused: u64,
    /// Records that were too old, and too many, to wait for it any longer.
    pub lost: u64,
    /// How often it could not be written.
    pub failures: u64,
}

impl Progress {
    /// As it was when the last server ended: copied up to this `seq`.
    pub(super) fn from(seq: u64) -> Self {
        Self { seq: seq.into(), ..Self::default() }
    }

    /// The number of the last record there is.
    pub(super) fn recorded(&self, newest_id: u64) {
        self.newest_id.store(newest_id, Relaxed);
        self.bell.notify_one();
    }

    /// Waits until there are new records.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The `seq` up to which every record is copied.
    pub(super) fn seq(&self) -> u64 {
        self.seq.load(Relaxed)
    }

    /// The copy begins behind this record.
    pub(super) fn begin(&self, id: u64) {
        self.copied_id.store(id, Relaxed);
    }

    /// So many records are copied, of which this is the last one.
    pub(super) fn copied(&self, count: usize, last: &Over) {
        self.copied.fetch_add(count as u64, Relaxed);
        self.seq.store(last.seq, Relaxed);
        self.begin(last.record.id);
    }

    /// A record was taken for wrong.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// So many records went without being copied.
    pub(super) fn lost(&self, count: u64) {
        if self.lost.fetch_add(count, Relaxed) == 0 {
            tracing::error!(
                "records of calls are too old, and too many, to wait for PostgreSQL: the oldest are not copied"
            );
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// How things are.
    pub(crate) fn status(&self) -> CopyStatus {
        CopyStatus {
            backlog: self.newest_id.load(Relaxed).saturating_sub(self.copied_id.load(Relaxed)),
            copied: self.copied.load(Relaxed),
            refused: self.refused.load(Relaxed),
            lost: self.lost.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}
