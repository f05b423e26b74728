//! The end of the log that writes to the disk, on a thread of its own: what has been appended since it last looked is
//! written in one go (group commit), and only then shown to readers.
//!
//! ```text
//!   append, append, append ─▶ [ 18 19 20 ] ─▶ commit: one write ─▶ readers see 18, 19, 20
//!                                               └─ from time to time: sync, prune, a new segment
//! ```
//! So whatever a reader has seen is there after the process was killed. What the machine itself loses when its power
//! fails are at most the events of [`Durability::sync`]; the numbers of the next run then leave room for them, and readers
//! are told of a gap.
//!
//! A disk that takes nothing does not keep events from their readers: past [`super::PATIENCE`] they are shown all the same,
//! wait in memory as long as that is bounded, and are written when the disk takes them. Until then the newest segment is marked
//! ([`segment::mark`]): however the process ends, the next one leaves room for their numbers, which never come again. Where the disk
//! takes not even the mark, that is an error of the log.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::age::AgeClock;
use super::calls::Calls;
use super::{EventLog, Retention, record, segment};
use crate::serial::First;
use crate::{clock, files};

/// The log is in so many segments, so that a bound is kept to a part of this.
const SEGMENTS: u32 = 16;
/// The bounds of a segment, in bytes: the shortest has some events, of which the last may be longer than all others.
const SEGMENT_MIN: u64 = 4 << 10;
const SEGMENT_MAX: u64 = 16 << 20;
/// At least as long as the first and the last line of a segment, which are no events.
const FRAME: u64 = 128;
/// The most bytes of one write.
const WRITE_MAX: usize = 64 << 10;
/// How long a disk that has failed is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the server waits for a disk that takes nothing: somebody may make room, and whoever stops services waits as
/// long as that.
pub const LAST_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked, while nothing happens, for what has become too old: not for every second of a short time, and soon
/// enough of a long one.
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(3600);
/// How many numbers are left free where the machine may have lost events that readers have seen: more than it could have
/// told between two syncs.
const ROOM: u64 = 1_000_000;

/// How the head of a segment ends whose first event is the first of the node.
const FIRST: &str = ", the first";

/// When events are safe from a failure of power.
#[derive(Clone, Copy, Debug)]
pub struct Durability {
    /// How long after it was written an event is synced to the disk at most; zero: before any reader sees it.
    pub sync: Duration,
}

/// A segment that is complete.
#[derive(Debug)]
struct Closed {
    first: u64,
    bytes: u64,
    newest_ms: i64,
}

/// The segment that is written.
#[derive(Debug)]
struct Active {
    first: u64,
    file: Arc<File>,
    bytes: u64,
    /// When it was begun.
    begun: Instant,
    /// The time of its newest event.
    newest_ms: Option<i64>,
    synced: bool,
}

/// The writing end on the disk.
#[derive(Debug)]
pub struct Store {
    log: Arc<EventLog>,
    bell: Receiver<()>,
    retention: Retention,
    durability: Durability,
    closed: VecDeque<Closed>,
    active: Option<Active>,
    /// The last event that is written, or will never be.
    written: u64,
    boot: String,
    lines: Vec<u8>,
    /// What is recorded of calls, before the events that tell of them.
    calls: Option<Calls>,
    /// The last event that former runs have left, which is not always the one before the next.
    last: u64,
    /// The segments that are marked: readers may have seen events that are in none.
    marked: Vec<u64>,
    /// The disk takes no mark either, which has been told.
    is_unmarked: bool,
    /// By what time events become too old.
    age_clock: AgeClock,
    /// Holds the lock on the directory.
    directory: File,
}

/// What is on the disk at the start.
#[derive(Debug)]
pub(super) struct Found {
    closed: VecDeque<Closed>,
    directory: File,
    /// The oldest event; where there is none, the next one.
    pub(super) oldest: u64,
    /// The last event; 0 where there is none.
    last: u64,
    /// The number of the next event.
    pub(super) next: u64,
    /// The first event that there can have been.
    pub(super) begin: u64,
    /// The segments that are marked.
    marked: Vec<u64>,
    /// When each segment begins and ends, one after the other.
    stamps: Vec<i64>,
}

/// Makes the directory where there is none, and keeps others from it.
pub(super) fn claim(dir: &Path) -> io::Result<File> {
    files::make_private(dir)?;
    let directory = File::open(dir)?;
    files::claim(&directory)?;
    Ok(directory)
}

/// Finds what former runs have left, and repairs its end. The first event of a new log is `run`'s.
pub(super) fn find(dir: &Path, directory: File, run: First) -> io::Result<Found> {
    let mut closed = VecDeque::new();
    let (mut next, mut whole) = (run.number.max(1), true);
    let (mut last, mut begin, mut marked, mut stamps) = (0, None, Vec::new(), Vec::new());
    for first in segment::list(dir)? {
        let path = segment::path(dir, first);
        let contents = repaired(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let is_first = contents.head.ends_with(FIRST);
        whole = !contents.damaged && (contents.closed || contents.head == head(&boot(), is_first));
        next = next.max(first);
        // One without any event has the number of the next, where all that was before it has become too old.
        last = next - 1;
        if contents.marked {
            marked.push(first);
        }
        if let Some((newest, newest_ms)) = contents.last {
            if is_first {
                begin = Some(first);
            }
            closed.push_back(Closed { first, bytes: contents.whole, newest_ms });
            (last, next) = (newest, newest + 1);
            stamps.extend([contents.begin_ms.unwrap_or(newest_ms), newest_ms]);
        }
    }
    let oldest = closed.front().map_or(next, |segment| segment.first);
    // Where no segment says that nothing was before it, anything may have been.
    let begin = begin.unwrap_or(if run.is_new && closed.is_empty() { next } else { 1 });
    if !marked.is_empty() {
        tracing::warn!(
            "the disk had not taken all events when the server ended: some that had been told are lost"
        );
        next += ROOM;
    } else if !whole {
        tracing::warn!(
            "the machine went down, or the log is damaged: events that had been told last may be lost"
        );
        next += ROOM;
    }
    Ok(Found { closed, directory, oldest, last, next, begin, marked, stamps })
}

/// What a segment has, of which what was cut off while it was written is taken out. One without any event goes, under another
/// name where there is something in it.
fn repaired(path: &Path) -> io::Result<segment::Contents> {
    let file = File::options().read(true).write(true).open(path)?;
    let contents = segment::scan(&file)?;
    let length = file.metadata()?.len();
    let (file_name, cut) = (path.display(), length - contents.whole);
    if contents.damaged && length > 0 {
        tracing::error!(file = %file_name, "events in it are damaged, and lost");
    }
    if contents.last.is_none() {
        match contents.damaged && length > 0 {
            true => fs::rename(path, path.with_extension("damaged"))?,
            false => fs::remove_file(path)?,
        }
    } else if cut > 0 {
        tracing::warn!(file = %file_name, bytes = cut, "an event that was cut off is taken out");
        file.set_len(contents.whole)?;
    }
    Ok(contents)
}

/// What a segment begins with: the form of its lines, which run of the machine wrote them, and whether the node has had any before.
fn head(boot: &str, is_first: bool) -> String {
    format!("{}, boot {boot}{}", segment::HEAD, if is_first { FIRST } else { "" })
}

/// The run of the machine. Where it has no name each run counts as another.
fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map_or_else(|_| format!("at {}", clock::now().wall.0), |boot| boot.trim().to_owned())
}

impl Store {
    pub(super) fn new(
        log: Arc<EventLog>,
        found: Found,
        retention: Retention,
        durability: Durability,
        bell: Receiver<()>,
    ) -> Self {
        let Found { closed, directory, last, next, marked, stamps, .. } = found;
        let age_clock = AgeClock::new(clock::now().mono, &stamps);
        Self {
            log,
            bell,
            retention,
            durability,
            closed,
            active: None,
            written: next - 1,
            boot: boot(),
            lines: Vec::new(),
            calls: None,
            last,
            marked,
            is_unmarked: false,
            age_clock,
            directory,
        }
    }

    /// From now on it has calls recorded too, of which the last one recorded was over then.
    pub(super) fn record_calls(&mut self, calls: Calls, over_ms: Option<i64>) {
        self.age_clock.knows(over_ms);
        self.calls = Some(calls);
    }

    /// The number of the last event that former runs have left; 0 where there is none.
    pub(crate) fn last_found(&self) -> u64 {
        self.last
    }

    /// Runs it on a thread until the writing end of the log is dropped and everything is on the disk.
    pub fn start(self) -> io::Result<JoinHandle<()>> {
        let (syncs, files) = sync_channel::<Arc<File>>(1);
        let syncer = std::thread::Builder::new().name("events-sync".to_owned()).spawn(move || {
            for file in files {
                tell(file.sync_data());
            }
        })?;
        std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            self.run(&syncs);
            drop(syncs);
            let _ = syncer.join();
        })
    }

    fn run(mut self, syncs: &SyncSender<Arc<File>>) {
        let mut last_sync = clock::now().mono;
        let mut next_look = last_sync + self.look_every();
        let mut failing = false;
        loop {
            let result = self.commit();
            if failing != result.is_err() {
                failing = result.is_err();
                match &result {
                    Ok(()) => tracing::warn!("events are written again"),
                    Err(error) => tracing::error!(%error, "events cannot be written, and are kept in memory"),
                }
            }
            let now = clock::now().mono;
            if !failing && now >= next_look {
                next_look = now + self.look_every();
                if let Err(error) = self.tidy(now) {
                    tracing::error!(%error, "events that are too old cannot be deleted");
                }
            }
            last_sync = self.sync_if_due(now, last_sync, syncs);
            let rung = if failing {
                self.leave_alone(now + RETRY)
            } else {
                let look = next_look.saturating_duration_since(now);
                self.bell.recv_timeout(self.rest(now, last_sync).map_or(look, |rest| rest.min(look)))
            };
            if rung == Err(RecvTimeoutError::Disconnected) {
                return self.end();
            }
        }
    }

    /// Writes the last events and records, and waits for some time for a disk that does not take them.
    fn end(mut self) {
        let until = clock::now().mono + LAST_WAIT;
        loop {
            let result = self.commit();
            let (events, records) = (self.log.unwritten(), self.calls.as_ref().map_or(0, Calls::unwritten));
            if events == 0 && records == 0 {
                return tell(result.and_then(|()| self.close()));
            }
            let error = result.err().map(|error| error.to_string()).unwrap_or_default();
            if clock::now().mono >= until {
                return tracing::error!(events, records, error, "the disk has not taken them: they are lost");
            }
            tracing::warn!(events, records, error, "the end waits for a disk that does not take them");
            std::thread::park_timeout(RETRY);
            self.log.show(self.log.newest());
        }
    }

    /// Waits until then, whatever the bell says, but for the end.
    fn leave_alone(&self, until: Instant) -> Result<(), RecvTimeoutError> {
        loop {
            let left = until.saturating_duration_since(clock::now().mono);
            match self.bell.recv_timeout(left) {
                Ok(()) => {}
                ended => return ended,
            }
        }
    }

    /// How long there is nothing to do but for new events: for ever, where all is synced.
    fn rest(&self, now: Instant, last_sync: Instant) -> Option<Duration> {
        let unsynced = self.active.as_ref().is_some_and(|active| !active.synced);
        unsynced.then(|| (last_sync + self.durability.sync).saturating_duration_since(now))
    }

    /// Has the disk asked to keep what is written, where it is time, by another thread: writing goes on meanwhile.
    fn sync_if_due(&mut self, now: Instant, last: Instant, syncs: &SyncSender<Arc<File>>) -> Instant {
        let Some(active) = self.active.as_mut().filter(|active| !active.synced) else { return last };
        if now < last + self.durability.sync {
            return last;
        }
        // One that is still busy with the last is asked again after the same time.
        if !matches!(syncs.try_send(active.file.clone()), Err(TrySendError::Full(_))) {
            active.synced = true;
        }
        now
    }

    /// Writes what has been appended, and shows it to readers.
    pub fn commit(&mut self) -> io::Result<()> {
        self.commit_at(clock::now().mono)
    }

    /// The same at a moment.
    pub(super) fn commit_at(&mut self, now: Instant) -> io::Result<()> {
        let result = self.write_all(now);
        match result {
            Ok(()) => self.unmark(),
            Err(_) => self.mark(),
        }
        result
    }

    fn write_all(&mut self, now: Instant) -> io::Result<()> {
        let appended = self.log.appended.load(Ordering::Acquire);
        // After the look at the events: the notes of those are there, and may be of later ones too.
        self.commit_calls()?;
        while self.written < appended {
            self.write_some(now, appended)?;
            self.log.written.store(self.written, Ordering::Release);
            self.log.show(self.written);
        }
        Ok(())
    }

    pub(super) fn commit_calls(&mut self) -> io::Result<()> {
        let now = clock::now().mono;
        let (written, age_ms) = (self.written, self.age_clock.at(now));
        self.calls.as_mut().map_or(Ok(()), |calls| calls.commit(now, age_ms, written))
    }

    /// Notes in the newest segment that readers may be shown events that it does not have.
    fn mark(&mut self) {
        let newest = self.active.as_ref().map(|active| active.first);
        let Some(first) = newest.or(self.closed.back().map(|segment| segment.first)) else { return };
        if self.marked.contains(&first) {
            return;
        }
        match segment::mark(&self.log.dir, first, true) {
            Ok(()) => self.marked.push(first),
            // A file system that writes nothing in place has no room for that either.
            Err(error) if !self.is_unmarked => {
                tracing::error!(
                    %error,
                    "nor can it be noted that events are missing: make room before the server ends, or the numbers of those that \
                     were told come again, for others"
                );
                self.is_unmarked = true;
            }
            Err(_) => {}
        }
    }

    /// What readers have seen is on the disk, behind the numbers of what is not: a segment that is gone needs no word.
    fn unmark(&mut self) {
        self.is_unmarked = false;
        if self.active.is_some() {
            self.marked.retain(|first| {
                let unmarked = segment::mark(&self.log.dir, *first, false);
                unmarked.is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
            });
        }
    }

    /// Writes one piece: events that follow each other, of one segment.
    fn write_some(&mut self, now: Instant, appended: u64) -> io::Result<()> {
        self.lines.clear();
        let mut last = self.written;
        let mut newest = None;
        let most = usize::try_from(self.segment_bytes()).unwrap_or(usize::MAX).min(WRITE_MAX);
        while last < appended && self.lines.len() < most {
            let Some(entry) = self.log.entries.get(&(last + 1)) else { break };
            record::write(&mut self.lines, &entry.json);
            newest = Some(entry.time_ms);
            last += 1;
        }
        let Some(newest) = newest else {
            // It was let go while the disk took nothing: the numbers show it.
            self.written += 1;
            return Ok(());
        };
        self.stay_in_place()?;
        self.age_clock.saw(now, newest);
        self.make_room(now)?;
        let inline = self.durability.sync.is_zero();
        let active = self.writable(now)?;
        let (file, at) = (active.file.clone(), active.bytes);
        // What a failure has left of the piece is written over.
        file.write_all_at(&self.lines, at)?;
        if inline {
            file.sync_data()?;
        }
        let bytes = self.lines.len() as u64;
        let Some(active) = &mut self.active else { return Ok(()) };
        active.bytes += bytes;
        active.newest_ms = Some(newest);
        active.synced = inline;
        self.written = last;
        self.log.bytes.store(self.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Of all segments.
    fn bytes(&self) -> u64 {
        let closed = self.closed.iter().map(|segment| segment.bytes).sum::<u64>();
        closed + self.active.as_ref().map_or(0, |active| active.bytes)
    }

    /// Makes the directory anew where somebody has taken it away, or put another in its place: what is written to a file
    /// without a name nobody reads. The events that were in it are lost, and told as a gap.
    fn stay_in_place(&mut self) -> io::Result<()> {
        let ours = self.directory.metadata()?;
        let there = fs::metadata(&self.log.dir);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        self.directory = claim(&self.log.dir)?;
        (self.active, self.closed) = (None, VecDeque::new());
        self.log.oldest.store(self.written + 1, Ordering::Release);
        tracing::error!(dir = %self.log.dir.display(), "events were taken away with their directory, which is made anew");
        Ok(())
    }

    /// How long a segment gets.
    fn segment_bytes(&self) -> u64 {
        (self.retention.bytes / u64::from(SEGMENTS)).clamp(SEGMENT_MIN, SEGMENT_MAX)
    }

    /// How often it is looked for what has become too old.
    fn look_every(&self) -> Duration {
        (self.retention.age / SEGMENTS).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Begins another segment where this one is full, and takes the oldest away.
    fn make_room(&mut self, now: Instant) -> io::Result<()> {
        let full = self.active.as_ref().is_some_and(|active| {
            let is_old = now.saturating_duration_since(active.begun) > self.retention.age / SEGMENTS;
            active.bytes >= self.segment_bytes() || (is_old && active.newest_ms.is_some())
        });
        if full {
            self.close()?;
        }
        let age_ms = self.age_clock.at(now);
        let before_ms =
            age_ms.saturating_sub(i64::try_from(self.retention.age.as_millis()).unwrap_or(i64::MAX));
        let coming = self.lines.len() as u64 + FRAME;
        while let Some(oldest) = self.closed.front() {
            // One of a time that has not come is of a clock that was wrong: it goes with the next.
            let known = self.closed.iter().map(|segment| segment.newest_ms).find(|time| *time <= age_ms);
            let is_old = known.is_some_and(|time| time < before_ms);
            if !is_old && self.bytes() + coming <= self.retention.bytes {
                break;
            }
            let (first, path) = (oldest.first, segment::path(&self.log.dir, oldest.first));
            self.closed.pop_front();
            let next = self.closed.front().map(|segment| segment.first);
            let next = next.or(self.active.as_ref().map(|active| active.first)).unwrap_or(self.written + 1);
            // Readers know that it goes before it does.
            self.log.oldest.store(next, Ordering::Release);
            fs::remove_file(path)?;
            if is_old {
                tracing::info!(first, last = next - 1, "events that are too old are deleted");
            }
        }
        Ok(())
    }

    /// Takes away what has become too old while nothing happened. Where that is everything an empty segment goes on with the numbers.
    pub(super) fn tidy(&mut self, now: Instant) -> io::Result<()> {
        self.stay_in_place()?;
        self.lines.clear();
        self.make_room(now)?;
        if self.active.is_none() {
            self.writable(now)?;
        }
        self.log.bytes.store(self.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// The segment that is written; begun where there is none.
    fn writable(&mut self, now: Instant) -> io::Result<&mut Active> {
        if self.active.is_none() {
            let first = self.written + 1;
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(segment::path(&self.log.dir, first))?;
            let head = format!("{}\n", head(&self.boot, first == self.log.begin));
            file.write_all_at(head.as_bytes(), 0)?;
            let bytes = head.len() as u64;
            let (file, newest_ms) = (file.into(), None);
            self.active = Some(Active { first, file, bytes, begun: now, newest_ms, synced: true });
        }
        self.active.as_mut().ok_or_else(|| io::Error::other("no segment"))
    }

    /// Ends the segment that is written.
    fn close(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let end = format!("{}\n", segment::CLOSED);
        let bytes = active.bytes + end.len() as u64;
        active.file.write_all_at(end.as_bytes(), active.bytes)?;
        active.file.set_len(bytes)?;
        active.file.sync_data()?;
        let newest_ms = active.newest_ms.unwrap_or(i64::MAX);
        self.closed.push_back(Closed { first: active.first, bytes, newest_ms });
        self.active = None;
        Ok(())
    }
}

fn tell(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "events may be lost if the machine goes down now");
    }
}
