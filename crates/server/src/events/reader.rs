//! A cursor in the event log: what is newest from memory, what is older from the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use offhook_client::wire::GapReason;

use super::segment::Place;
use super::{BATCH_MAX, Entry, EventLog};

/// What a reader finds after its cursor.
#[derive(Debug)]
pub enum Read {
    /// The next events in order; none when the reader has seen all there are.
    Batch(Vec<Entry>),
    /// The events `first..=last` are not kept any more, or are lost.
    Gap {
        /// Which of both.
        reason: GapReason,
        /// The first missing.
        first: u64,
        /// The last missing.
        last: u64,
    },
    /// The cursor was ahead of the log: it is of another log, or that one's numbers are lost. It stands at `resume` now.
    Restarted {
        /// One before the first event that is kept.
        resume: u64,
    },
}

/// A reader of the log.
#[derive(Debug)]
pub struct Reader {
    log: Arc<EventLog>,
    cursor: u64,
    place: Option<Place>,
    /// What was read and lies behind a hole, which is told before it: one batch at most.
    ahead: Vec<Entry>,
}

impl Reader {
    /// One that has seen everything up to `after`, a number of the log or any before.
    pub fn new(log: Arc<EventLog>, after: u64) -> Self {
        // Of what never was nothing is missing.
        let cursor = after.max(log.begin - 1);
        Self { log, cursor, place: None, ahead: Vec::new() }
    }

    /// The last event that was read, or that is known to be missing.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What comes next; does not wait for anything to happen. The cursor stands behind it then.
    ///
    /// # Errors
    /// The disk cannot be read. The cursor stays.
    pub async fn read(&mut self) -> io::Result<Read> {
        let read = self.look().await?;
        match &read {
            Read::Batch(entries) => self.cursor = entries.last().map_or(self.cursor, |entry| entry.seq),
            Read::Gap { last, .. } => self.cursor = *last,
            Read::Restarted { resume } => self.cursor = *resume,
        }
        Ok(read)
    }

    /// Waits until there is something to read.
    pub async fn wait(&self) {
        self.log.wait(self.cursor).await;
    }

    async fn look(&mut self) -> io::Result<Read> {
        let wanted = self.cursor + 1;
        let (oldest, newest) = (self.log.oldest.load(Ordering::Acquire), self.log.newest());
        if wanted > newest + 1 {
            return Ok(Read::Restarted { resume: oldest - 1 });
        }
        if wanted < oldest {
            return Ok(Read::Gap { reason: GapReason::Expired, first: wanted, last: oldest - 1 });
        }
        let shown = self.log.shown();
        if wanted > shown {
            return Ok(Read::Batch(Vec::new()));
        }
        // What memory lets go meanwhile is on the disk, unless that takes nothing.
        let kept = self.log.kept.load(Ordering::Acquire);
        let mut entries = self.next(wanted, shown).await?;
        let found = entries.first().map_or(kept.max(wanted + 1), |entry| entry.seq);
        if found > wanted {
            self.ahead = entries;
            return Ok(Read::Gap { reason: GapReason::Damaged, first: wanted, last: found - 1 });
        }
        let follow = entries.iter().zip(wanted..).take_while(|(entry, number)| entry.seq == *number).count();
        self.ahead = entries.split_off(follow);
        Ok(Read::Batch(entries))
    }

    /// Events from `wanted` on, in order, but not without holes.
    async fn next(&mut self, wanted: u64, shown: u64) -> io::Result<Vec<Entry>> {
        let mut ahead = std::mem::take(&mut self.ahead);
        // Some of it may have become too old meanwhile.
        ahead.retain(|entry| entry.seq >= wanted);
        if !ahead.is_empty() {
            return Ok(ahead);
        }
        let entries = self.in_memory(wanted, shown);
        if !entries.is_empty() {
            self.place = None;
            return Ok(entries);
        }
        self.on_disk(wanted, shown).await
    }

    fn in_memory(&self, wanted: u64, shown: u64) -> Vec<Entry> {
        let numbers = (wanted..=shown).take(BATCH_MAX);
        numbers.map_while(|seq| self.log.entries.get(&seq).map(|entry| entry.clone())).collect()
    }

    async fn on_disk(&mut self, wanted: u64, shown: u64) -> io::Result<Vec<Entry>> {
        let mut place = self.place.take().unwrap_or_else(|| Place::new(self.log.dir.clone()));
        let ended = |_| io::Error::other("the server ends");
        let permit = self.log.disk.clone().acquire_owned().await.map_err(ended)?;
        let read = tokio::task::spawn_blocking(move || {
            let entries = place.read(wanted, shown, BATCH_MAX);
            drop(permit);
            entries.map(|entries| (entries, place))
        });
        let (entries, place) = read.await.map_err(|_| io::Error::other("a read of the log broke"))??;
        self.place = Some(place);
        Ok(entries)
    }
}
