//! The records of calls that are over, in an embedded database of `node.data_dir`, and the calls that live, in a file beside it.
//!
//! ```text
//!   a call begins, is answered ─▶ calls.live  what is known of it, and how it can be hung up
//!   a call is over             ─▶ cdr         its record; then it is taken out of the file
//!   a conference and its parts ─▶ conf, part  until it is known that their ends are in the log
//! ```
//! The thread of the event log writes both, in one transaction for all that waits, before the events of that moment are written
//! and shown: whoever hears `on_released` finds the record, and what was heard of a call that lives is not forgotten when
//! the process is killed. What the next one finds in the file, and no record of, has been cut off ([`Ledger::lost`]); and a record
//! whose `on_released` did not get into the log is told ([`Ledger::untold`]), so that each call has exactly one.
//!
//! Others may read the file meanwhile (write-ahead log); the part that is slow, to bring that log into the file, has a
//! thread of its own.

pub(crate) mod conference;
mod former;
mod journal;
mod live;
mod note;
pub(crate) mod postgres;
mod progress;
mod read;
mod recover;
mod row;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use offhook_client::wire::CallRecord;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use serde::{Deserialize, Serialize};

use journal::{Journal, Known};
pub(crate) use live::{Live, Remains};
pub(crate) use note::{Writer, lives, note};
pub(crate) use progress::{CopyStatus, Progress};
pub(crate) use read::{look, page};
pub(crate) use recover::recover;

use crate::events::BEFORE_ALL;
use crate::files;

/// The file in `node.data_dir`.
pub(crate) const FILE: &str = "calls.db";

/// The form of the tables. A file of a later form is left alone.
const VERSION: i64 = 1;

/// How long a writer that is somebody else's may keep us out. Events wait for it.
const BUSY: Duration = Duration::from_millis(250);

/// Transactions after which the log of changes is brought into the file.
const CHECKPOINT_AFTER: u32 = 1_000;

/// And how long after a change at most.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// How many records go for being old with a transaction, beside twice those that come: more is done the next time.
const PRUNED_AT_LEAST: u32 = 20;

/// How often it is told how many have gone.
const TELL_DELETED_EVERY_MS: i64 = 3_600_000;

/// How many records that a copy does not have yet are kept for it, however old they are: months of a busy node, and about half a
/// gigabyte.
const BEHIND_MAX: i64 = 1_000_000;

/// How many statements are kept ready: all there are.
const STATEMENTS: usize = 24;

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    /// A call lives; what was known of it is replaced.
    Lives(Box<Live>),
    /// A call is over.
    Over(Box<Over>),
    /// A conference has changed.
    Conference(Box<conference::Change>),
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Over {
    /// Its record; the number is given by the database.
    pub(crate) record: CallRecord,
    /// The process that had it.
    pub(crate) process_id: u64,
    /// The number of its `on_released`.
    pub(crate) seq: u64,
}

/// The writing end. There is one.
#[derive(Debug)]
pub(crate) struct Ledger {
    connection: Connection,
    journal: Journal,
    data_dir: PathBuf,
    /// The longest time that a record is kept, in milliseconds.
    keep_ms: Option<i64>,
    /// How far another database is that has the records too.
    copy: Option<Arc<Progress>>,
    changes: u32,
    /// Records that went for being old and were not told of, and when some were.
    deleted: usize,
    deleted_told_ms: i64,
    /// Whether there may be any conference in it.
    conferences: bool,
    checkpoints: SyncSender<()>,
}

/// A database that cannot be used.
pub(crate) fn fault(error: rusqlite::Error) -> io::Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::Error::new(io::ErrorKind::StorageFull, error),
        _ => io::Error::other(error),
    }
}

impl Ledger {
    /// Opens the database of a directory, which is made where there is none.
    ///
    /// # Errors
    /// It cannot be written, is damaged, or is of a later version.
    pub(crate) fn open(data_dir: &Path, keep: Option<Duration>) -> io::Result<Self> {
        let connection = database(data_dir)?;
        let mut journal = Journal::open(data_dir)?;
        former::take_over(&connection, &mut journal)?;
        let keep_ms = keep.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let (checkpoints, data_dir) = (checkpointer(data_dir)?, data_dir.to_owned());
        Ok(Self {
            connection,
            journal,
            data_dir,
            keep_ms,
            copy: None,
            changes: 0,
            deleted: 0,
            deleted_told_ms: BEFORE_ALL,
            conferences: true,
            checkpoints,
        })
    }

    /// From now on records are kept until they are copied, and whoever copies is told of them.
    pub(crate) fn copied_by(mut self, copy: Option<Arc<Progress>>) -> io::Result<Self> {
        if let Some(copy) = &copy {
            copy.recorded(newest(&self.connection).map_err(fault)?.cast_unsigned());
        }
        self.copy = copy;
        Ok(self)
    }

    /// Writes what belongs into the database, all of it or nothing; events up to `told` are in the log, and records become too old
    /// by the time `now_ms`.
    pub(crate) fn record(&mut self, notes: &[Note], now_ms: i64, told: u64) -> io::Result<()> {
        if !notes.is_empty() && notes.iter().all(|note| matches!(note, Note::Lives(_))) {
            return Ok(());
        }
        // SQLite goes on with a file that has been taken away, and nobody would find what it writes.
        if !self.data_dir.join(FILE).try_exists()? {
            tracing::error!("the database of call records was taken away: another one is begun");
            self.connection = database(&self.data_dir)?;
            self.checkpoints = checkpointer(&self.data_dir)?;
            if let Some(copy) = &self.copy {
                copy.recorded(newest(&self.connection).map_err(fault)?.cast_unsigned());
            }
        }
        self.try_record(notes, now_ms, told).map_err(fault)?;
        self.changes += 1;
        if self.changes >= CHECKPOINT_AFTER {
            self.changes = 0;
            // Where it is at it already, it does that too.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) =
                self.checkpoints.try_send(());
        }
        Ok(())
    }

    /// Keeps what is to be known of calls beside the database, which has taken the ends among them, or not: then those are kept
    /// here too. The same may be said again.
    pub(crate) fn keep(&mut self, notes: &[Note], are_recorded: bool) -> io::Result<()> {
        for note in notes {
            match note {
                Note::Lives(live) => self.journal.lives(live),
                Note::Over(over) if are_recorded => self.journal.over(&over.record.res_id),
                Note::Over(over) => self.journal.ended(over),
                Note::Conference(_) => {}
            }
        }
        self.journal.write()
    }

    /// Both.
    pub(crate) fn write(&mut self, notes: &[Note], now_ms: i64, told: u64) -> io::Result<()> {
        self.record(notes, now_ms, told)?;
        self.keep(notes, true)
    }

    fn try_record(&mut self, notes: &[Note], now_ms: i64, told: u64) -> rusqlite::Result<()> {
        let changes_any = notes.iter().any(|note| matches!(note, Note::Conference(_)));
        let transaction = self.connection.transaction()?;
        let copy = self.copy.as_deref();
        let mut records: u32 = 0;
        let are_left = self.conferences && conference::forget(&transaction, told)?;
        for note in notes {
            match note {
                Note::Lives(_) => {}
                Note::Over(over) => {
                    records += 1;
                    row::insert(&transaction, over)?;
                }
                Note::Conference(change) => change.write(&transaction)?,
            }
        }
        let deleted = match self.keep_ms.filter(|_| now_ms > BEFORE_ALL) {
            Some(keep) => prune(&transaction, (now_ms, keep), records * 2 + PRUNED_AT_LEAST, copy)?,
            None => 0,
        };
        let newest = copy
            .filter(|_| records > 0)
            .map(|copy| newest(&transaction).map(|newest| (copy, newest)))
            .transpose()?;
        transaction.commit()?;
        self.conferences = are_left || changes_any;
        if let Some((copy, newest)) = newest {
            copy.recorded(newest.cast_unsigned());
        }
        self.tell_deleted(now_ms, deleted);
        Ok(())
    }

    fn tell_deleted(&mut self, now_ms: i64, deleted: usize) {
        self.deleted += deleted;
        if self.deleted > 0 && now_ms.saturating_sub(self.deleted_told_ms) >= TELL_DELETED_EVERY_MS {
            tracing::info!(records = self.deleted, "records of calls that are too old are deleted");
            (self.deleted, self.deleted_told_ms) = (0, now_ms);
        }
    }

    /// When the call was over that was recorded last; none, where there is no record.
    pub(crate) fn newest_end_ms(&self) -> Option<i64> {
        let newest = "SELECT end_time_ms FROM cdr ORDER BY id DESC LIMIT 1";
        self.connection.query_row(newest, [], |row| row.get(0)).ok()
    }

    /// The calls that lived when the last server ended without telling.
    pub(crate) fn lost(&self) -> io::Result<Vec<Live>> {
        let mut lost = Vec::new();
        for known in self.journal.all() {
            if let Known::Lives(call) = known
                && !row::exists(&self.connection, &call.res_id).map_err(fault)?
            {
                lost.push(*call);
            }
        }
        Ok(lost)
    }

    /// The ends that the database did not take until the last server ended, oldest first.
    fn unrecorded(&self) -> Vec<Note> {
        let ended = |known| match known {
            Known::Ended(over) => Some(over),
            Known::Lives(_) => None,
        };
        let mut over: Vec<Box<Over>> = self.journal.all().filter_map(ended).collect();
        over.sort_by_key(|over| over.seq);
        over.into_iter().map(Note::Over).collect()
    }

    /// The ends of calls that are recorded and were told under a number above this one, oldest first.
    pub(crate) fn untold(&self, newest: u64) -> io::Result<Vec<Over>> {
        let mut over = row::newer(&self.connection, newest).map_err(fault)?;
        over.reverse();
        Ok(over)
    }

    /// The conferences whose end was not told under a number up to this one.
    fn conferences(&self, told: u64) -> io::Result<Vec<conference::Untold>> {
        conference::untold(&self.connection, told).map_err(fault)
    }

    /// Such an end is told now.
    pub(crate) fn told(&self, res_id: &str, seq: u64) -> io::Result<()> {
        let told = "UPDATE cdr SET seq = ?2 WHERE res_id = ?1";
        self.connection.execute(told, (res_id, seq.cast_signed())).map(drop).map_err(fault)
    }
}

/// The number of the newest record; 0 where there is none.
fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let newest = "SELECT coalesce(max(id), 0) FROM cdr";
    connection.prepare_cached(newest)?.query_row([], |row| row.get(0))
}

/// Takes away the oldest records that ended so long ago, and that a copy has, or cannot be waited for to have; how many.
fn prune(
    transaction: &Transaction<'_>,
    (now_ms, keep_ms): (i64, i64),
    most: u32,
    copy: Option<&Progress>,
) -> rusqlite::Result<usize> {
    let (copied, kept_from) = match copy {
        Some(copy) => (copy.seq().cast_signed(), newest(transaction)? - BEHIND_MAX),
        None => (i64::MAX, i64::MAX),
    };
    // Without a LIMIT, for whose sake SQLite would prepare it anew each time.
    let oldest = "SELECT id, end_time_ms, seq FROM cdr ORDER BY id";
    let mut oldest = transaction.prepare_cached(oldest)?;
    let mut rows = oldest.query([])?;
    let (mut last, mut lost, mut uncopied): (Option<i64>, u64, u64) = (None, 0, 0);
    for _ in 0..most {
        let Some(row) = rows.next()? else { break };
        let (id, is_copied) = (row.get::<_, i64>(0)?, row.get::<_, i64>(2)? <= copied);
        let end_ms: i64 = row.get(1)?;
        if !is_copied && id > kept_from {
            break;
        }
        uncopied += u64::from(!is_copied);
        // One of a time that has not come is of a clock that was wrong: it goes with the next.
        if end_ms > now_ms {
            continue;
        }
        if end_ms >= now_ms.saturating_sub(keep_ms) {
            break;
        }
        (last, lost) = (Some(id), uncopied);
    }
    if let Some(copy) = copy.filter(|_| lost > 0) {
        copy.lost(lost);
    }
    match last {
        Some(id) => transaction.prepare_cached("DELETE FROM cdr WHERE id <= ?1")?.execute([id]),
        None => Ok(0),
    }
}

/// The database of a directory, which is made where there is none.
fn database(data_dir: &Path) -> io::Result<Connection> {
    files::make_private(data_dir)?;
    let path = data_dir.join(FILE);
    // Who called whom is nobody else's business; what SQLite puts beside the file has the mode of the file.
    File::options().create(true).append(true).mode(0o600).open(&path)?;
    let connection = open(&path).map_err(fault)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fault)?;
    if version > VERSION {
        return Err(io::Error::other(format!("it is of version {version}, this server writes {VERSION}")));
    }
    connection.execute_batch(SCHEMA).map_err(fault)?;
    connection.pragma_update(None, "user_version", VERSION).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// The thread that brings changes into the database, and what lives to the disk itself: when it is rung, and some time after the
/// last change. It ends with the ledger.
fn checkpointer(data_dir: &Path) -> io::Result<SyncSender<()>> {
    let (path, live) = (data_dir.join(FILE), data_dir.join(journal::FILE));
    let (bell, rung) = sync_channel(1);
    let run = move || {
        let mut connection = None;
        loop {
            let ended = rung.recv_timeout(CHECKPOINT_EVERY) == Err(RecvTimeoutError::Disconnected);
            if let Err(error) = checkpoint(&mut connection, &path) {
                tracing::warn!(%error, "the log of call records grows");
            }
            if let Err(error) = File::open(&live).and_then(|file| file.sync_data()) {
                tracing::warn!(%error, "calls that live may be forgotten if the machine goes down now");
            }
            if ended {
                return;
            }
        }
    };
    std::thread::Builder::new().name("cdr-checkpoint".to_owned()).spawn(run)?;
    Ok(bell)
}

fn checkpoint(kept: &mut Option<Connection>, path: &Path) -> rusqlite::Result<()> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(open(path)?),
    };
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Of `part` and `conf`, `seq` is the number of the event that tells of the end. `cdr` is for others to read too: a column for each thing, the recordings as a JSON array.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS conf (
    res_id TEXT PRIMARY KEY NOT NULL,
    begin_time_ms INTEGER NOT NULL,
    user_data TEXT,
    end_time_ms INTEGER,
    reason TEXT,
    seq INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conf_over ON conf (seq) WHERE seq IS NOT NULL;
CREATE TABLE IF NOT EXISTS part (
    res_id TEXT NOT NULL,
    call_res_id TEXT NOT NULL,
    entered INTEGER NOT NULL,
    parts INTEGER,
    seq INTEGER,
    PRIMARY KEY (res_id, call_res_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part_exited ON part (seq) WHERE seq IS NOT NULL;
CREATE TABLE IF NOT EXISTS cdr (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    res_id TEXT NOT NULL UNIQUE,
    call_dir TEXT NOT NULL,
    from_uri TEXT NOT NULL,
    to_uri TEXT NOT NULL,
    gateway TEXT,
    sip_call_id TEXT,
    begin_time_ms INTEGER NOT NULL,
    answer_time_ms INTEGER,
    end_time_ms INTEGER NOT NULL,
    duration_ms INTEGER,
    talk_ms INTEGER,
    cause INTEGER NOT NULL,
    reason TEXT,
    dropped_by TEXT NOT NULL,
    user_data TEXT,
    codec TEXT,
    packets_sent INTEGER NOT NULL,
    packets_received INTEGER NOT NULL,
    packets_lost INTEGER NOT NULL,
    jitter_ms REAL NOT NULL,
    round_trip_ms REAL,
    mos REAL,
    recordings TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
";

#[cfg(test)]
pub(crate) mod tests;
