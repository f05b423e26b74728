//! The log on a disk, through restarts, crashes and faults; and events in the words of the API.

mod calls;
mod conferences;
mod damage;
mod keeping;
mod words;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use offhook_client::wire::{GapReason, OnRinging};
use serde_json::{Value, json};

use super::*;

const KEEP: Retention = Retention { bytes: 1 << 20, age: Duration::from_secs(3600) };

/// A log in a directory of its own, whose disk writes when the test says so.
struct Rig {
    dir: PathBuf,
    retention: Retention,
    writer: EventWriter,
    log: Arc<EventLog>,
    store: Store,
    begin: Instant,
    now_ms: i64,
}

/// Goes with its directory.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn dir() -> Dir {
    static DIRS: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), DIRS.fetch_add(1, Ordering::Relaxed));
    Dir(std::env::temp_dir().join(format!("offhook-events-{process}-{number}")))
}

impl Rig {
    fn open(dir: &Dir, retention: Retention) -> Self {
        Self::open_from(dir, retention, First { number: 1, is_new: false })
    }

    fn open_from(dir: &Dir, retention: Retention, first: First) -> Self {
        let durability = Durability { sync: Duration::from_secs(60) };
        let (writer, log, store) = open(claim(&dir.0).unwrap(), retention, durability, first).unwrap();
        Self { dir: dir.0.clone(), retention, writer, log, store, begin: clock(), now_ms: 0 }
    }

    /// The process is killed, and another begins.
    fn restart(self) -> Self {
        let (dir, retention) = (Dir(self.dir.clone()), self.retention);
        drop(self);
        let rig = Self::open(&dir, retention);
        std::mem::forget(dir);
        rig
    }

    fn append(&mut self, time_ms: i64) -> u64 {
        self.now_ms = time_ms;
        self.writer.append(time_ms, ringing(time_ms))
    }

    /// Writes, at the time of the last event.
    fn commit(&mut self) -> io::Result<()> {
        self.store.commit_at(self.begin + Duration::from_millis(self.now_ms.unsigned_abs()))
    }

    /// Appends and writes.
    fn tell(&mut self, time_ms: i64) -> u64 {
        let seq = self.append(time_ms);
        self.commit().unwrap();
        seq
    }

    fn reader(&self, after: u64) -> Reader {
        Reader::new(self.log.clone(), after)
    }

    /// What a reader finds that has seen everything up to `after`.
    async fn read(&self, after: u64) -> Read {
        self.reader(after).read().await.unwrap()
    }

    /// The numbers that it finds, which must be a batch.
    async fn batch(&self, after: u64) -> Vec<u64> {
        match self.read(after).await {
            Read::Batch(entries) => entries.iter().map(|entry| entry.seq).collect(),
            other => panic!("not a batch: {other:?}"),
        }
    }

    /// All numbers that a reader finds from there on, and the ranges that it is told are missing.
    async fn all(&self, after: u64) -> (Vec<u64>, Vec<(u64, u64)>) {
        let (mut reader, mut seen, mut gaps) = (self.reader(after), Vec::new(), Vec::new());
        loop {
            match reader.read().await.unwrap() {
                Read::Batch(batch) if batch.is_empty() => return (seen, gaps),
                Read::Batch(batch) => {
                    assert!(batch.len() <= BATCH_MAX);
                    seen.extend(batch.iter().map(|entry| entry.seq));
                }
                Read::Gap { first, last, .. } => gaps.push((first, last)),
                Read::Restarted { resume } => panic!("resume after {resume}"),
            }
        }
    }

    /// The newest segment.
    fn newest_segment(&self) -> PathBuf {
        segment::path(&self.dir, *segment::list(&self.dir).unwrap().last().unwrap())
    }

    fn bytes_on_disk(&self) -> u64 {
        let segments = segment::list(&self.dir).unwrap();
        segments.iter().map(|first| fs::metadata(segment::path(&self.dir, *first)).unwrap().len()).sum()
    }
}

fn ringing(time: i64) -> EventKind {
    EventKind::Ringing(OnRinging { res_id: "0.0.0-sys.call-1".to_owned(), ring_time: time, user_data: None })
}

fn numbers(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

#[tokio::test]
async fn a_reader_sees_every_event_once_in_order() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    assert_eq!(rig.batch(0).await, [0_u64; 0]);
    for n in 1..=200 {
        assert_eq!(rig.tell(n), n.unsigned_abs());
    }
    assert_eq!(rig.all(0).await, (numbers(1, 200), vec![]));
}

#[tokio::test]
async fn the_envelope_is_written_once_with_its_number() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.writer.append(1_700_000_000_123, ringing(1_700_000_000));
    rig.commit().unwrap();
    let mut told = Vec::new();
    for rig in [rig.read(0).await, rig.restart().read(0).await] {
        let Read::Batch(entries) = rig else { panic!("a batch") };
        assert_eq!((entries[0].type_name, entries[0].time_ms), ("sys.call.on_ringing", 1_700_000_000_123));
        told.push(serde_json::from_str::<Value>(entries[0].json.get()).unwrap());
    }
    let expected = json!({
        "seq": 1, "time_ms": 1_700_000_000_123_i64, "type": "sys.call.on_ringing",
        "params": { "res_id": "0.0.0-sys.call-1", "ring_time": 1_700_000_000, "user_data": null }
    });
    assert_eq!(told, [expected.clone(), expected], "from memory, and from the disk");
}

#[tokio::test]
async fn nothing_is_shown_that_is_not_on_the_disk() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.append(1);
    rig.writer.publish(clock());
    assert_eq!((rig.batch(0).await, rig.log.newest(), rig.log.shown()), (vec![], 1, 0));
    rig.commit().unwrap();
    assert_eq!(rig.batch(0).await, [1]);
    // Whoever begins with what comes next may be ahead of what is shown.
    rig.append(2);
    assert_eq!(rig.batch(rig.log.newest()).await, [0_u64; 0]);
}

#[tokio::test]
async fn numbers_go_on_over_a_restart_without_a_hole() {
    let dir = dir();
    let mut rig = Rig::open_from(&dir, KEEP, First { number: 1_000, is_new: false });
    for run in 0..4 {
        for n in 0..500 {
            assert_eq!(rig.tell(n), 1_000 + run * 500 + n.unsigned_abs());
        }
        rig = rig.restart();
    }
    assert_eq!(rig.all(999).await, (numbers(1_000, 2_999), vec![]));
    assert_eq!(rig.all(1_777).await, (numbers(1_778, 2_999), vec![]));
    assert!(matches!(rig.read(5).await, Read::Gap { reason: GapReason::Expired, first: 6, last: 999 }));
}

/// The numbers of a node begin where its first run does: before that there was nothing, and what is taken away later was there.
#[tokio::test]
async fn of_what_never_was_nothing_is_missing() {
    let dir = dir();
    let keep = Retention { bytes: 256 << 10, ..KEEP };
    let mut rig = Rig::open_from(&dir, keep, First { number: 1_000, is_new: true });
    let reader = Reader::new(rig.log.clone(), 0);
    assert_eq!((rig.batch(0).await, reader.cursor()), (vec![], 999), "it waits for the first");
    rig.tell(1);
    assert_eq!((rig.batch(0).await, rig.batch(5).await), (vec![1_000], vec![1_000]));
    rig = rig.restart();
    rig.tell(2);
    assert_eq!(rig.all(0).await, (vec![1_000, 1_001], vec![]));
    for n in 2..5_000 {
        rig.tell(n);
    }
    assert!(matches!(rig.read(0).await, Read::Gap { first: 1_000, last: 1_001.., .. }));
    assert!(matches!(rig.restart().read(0).await, Read::Gap { first: 1, last: 1_001.., .. }));
}

/// As where somebody has deleted the file of the serial number, as its error message allows.
#[tokio::test]
async fn a_log_that_was_there_before_is_not_that_of_a_new_node() {
    let dir = dir();
    Rig::open_from(&dir, KEEP, First { number: 1_000, is_new: false }).tell(1);
    let rig = Rig::open_from(&dir, KEEP, First { number: 2_000, is_new: true });
    assert!(matches!(rig.read(0).await, Read::Gap { reason: GapReason::Expired, first: 1, last: 999 }));
}

/// What a process that was killed has left of its last event is taken out, wherever it was cut off, and the number used again:
/// nobody has seen it.
#[tokio::test]
async fn an_event_that_was_cut_off_is_taken_out() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    rig.tell(2);
    let path = rig.newest_segment();
    let two = fs::metadata(&path).unwrap().len();
    rig.tell(3);
    let whole = fs::read(&path).unwrap();
    for length in two..whole.len() as u64 {
        fs::write(&path, &whole[..usize::try_from(length).unwrap()]).unwrap();
        rig = rig.restart();
        assert_eq!(rig.all(0).await, (vec![1, 2], vec![]), "cut off at {length}");
        assert_eq!(rig.append(4), 3);
    }
}

#[tokio::test]
async fn a_line_that_is_damaged_is_a_gap() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    for n in 1..=9 {
        rig.tell(n);
    }
    let path = rig.newest_segment();
    let mut rig = rig.restart();
    rig.tell(10);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"ring_time\":4", "\"ring_time\":5")).unwrap();
    assert_eq!(rig.all(0).await, ([numbers(1, 3), numbers(5, 10)].concat(), vec![(4, 4)]));
}

/// In the newest file too, a restart later: what is whole stays, and no number that may have been told is given again.
#[tokio::test]
async fn a_damaged_end_of_the_log_is_a_gap_and_no_number_comes_again() {
    let harm: [fn(&mut Vec<u8>); 4] = [
        |bytes| {
            let at = bytes.len() - 300;
            bytes[at] ^= 1;
        },
        |bytes| {
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
        },
        |bytes| bytes.fill(0),
        Vec::clear,
    ];
    for (number, harm) in harm.into_iter().enumerate() {
        let dir = dir();
        let mut rig = Rig::open_from(&dir, KEEP, First { number: 1_000, is_new: false });
        for n in 0..20 {
            rig.tell(n);
        }
        let path = rig.newest_segment();
        let mut bytes = fs::read(&path).unwrap();
        harm(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let mut rig = rig.restart();
        let next = rig.tell(20);
        assert!(next > 1_020, "harm {number}: {next} may have been told");
        let (seen, gaps) = rig.all(999).await;
        let missing: Vec<u64> = gaps.iter().flat_map(|(first, last)| *first..=*last).collect();
        let mut all = [seen.clone(), missing].concat();
        all.sort_unstable();
        assert_eq!(all, numbers(1_000, next), "harm {number}: what is not there is told");
        assert_eq!(seen.len(), [20, 20, 1, 1][number], "harm {number}: what is whole is there");
    }
}

#[test]
fn events_are_for_nobody_else_to_read() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.0), 0o700);
    let segments: Vec<u32> =
        fs::read_dir(&dir.0).unwrap().map(|entry| mode(&entry.unwrap().path())).collect();
    assert_eq!(segments, [0o600]);
}

/// Files of others in the directory are left alone.
#[tokio::test]
async fn what_is_no_segment_is_not_looked_at() {
    let dir = dir();
    fs::create_dir_all(dir.0.join("folder.log")).unwrap();
    fs::write(dir.0.join("000.log"), "junk").unwrap();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    assert_eq!(rig.restart().all(0).await, (vec![1], vec![]));
    assert_eq!(fs::read(dir.0.join("000.log")).unwrap(), b"junk");
}

#[tokio::test]
async fn what_is_too_much_goes_and_leaves_a_gap() {
    let dir = dir();
    let keep = Retention { bytes: 256 << 10, ..KEEP };
    let mut rig = Rig::open(&dir, keep);
    for n in 1..=5_000 {
        rig.append(n);
        if n % 7 == 0 {
            rig.commit().unwrap();
            assert!(rig.bytes_on_disk() <= keep.bytes, "{}", rig.bytes_on_disk());
        }
    }
    rig.commit().unwrap();
    for rig in [&rig] {
        let (seen, gaps) = rig.all(0).await;
        let [(1, last)] = gaps[..] else { panic!("{gaps:?}") };
        assert!(last > 3_000 && last < 4_000, "{last}: most of what may be kept is");
        assert_eq!(seen, numbers(last + 1, 5_000));
        assert!(
            matches!(rig.read(10).await, Read::Gap { reason: GapReason::Expired, first: 11, last: same } if same == last)
        );
    }
    let memory: u64 = rig.log.entries.iter().map(|entry| entry.cost()).sum();
    assert!(memory <= keep.bytes + 512, "{memory}");
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let dir = dir();
    let mut rig = Rig::open(&dir, Retention { age: Duration::from_secs(16), ..KEEP });
    // Segments of a second and a bit.
    for second in 0..60 {
        rig.tell(second * 1_000);
        let oldest = match rig.read(0).await {
            Read::Gap { last, .. } => i64::try_from(last).unwrap(),
            Read::Batch(_) => 0,
            other => panic!("{other:?}"),
        };
        assert!(
            (second - 18..=second - 16).contains(&oldest) || oldest == 0 && second < 19,
            "{oldest} at {second}"
        );
    }
}

#[tokio::test]
async fn the_newest_event_stays_whatever_the_bounds() {
    let dir = dir();
    let mut rig = Rig::open(&dir, Retention { bytes: 0, age: Duration::ZERO });
    for n in 1..=3 {
        rig.tell(n * 1_000);
    }
    assert_eq!(rig.batch(2).await, [3]);
    let rig = rig.restart();
    assert_eq!(rig.batch(2).await, [3]);
}

/// A subscriber that was at event 5 of a log that is lost is told what it misses, whether anything has happened since or not.
#[tokio::test]
async fn a_cursor_of_a_lost_log_finds_a_gap() {
    let dir = dir();
    let mut rig = Rig::open_from(&dir, KEEP, First { number: 1_000, is_new: false });
    assert!(matches!(rig.read(5).await, Read::Gap { reason: GapReason::Expired, first: 6, last: 999 }));
    assert!(matches!(rig.read(0).await, Read::Gap { reason: GapReason::Expired, first: 1, last: 999 }));
    assert_eq!((rig.batch(999).await, rig.log.newest()), (vec![], 999));
    for n in 1_000..=1_009 {
        assert_eq!(rig.tell(n), n.unsigned_abs());
    }
    assert!(matches!(rig.read(5).await, Read::Gap { reason: GapReason::Expired, first: 6, last: 999 }));
    assert_eq!(rig.batch(999).await, numbers(1_000, 1_009));
}

#[tokio::test]
async fn a_cursor_ahead_of_the_log_is_from_another_life() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    assert!(matches!(rig.read(7).await, Read::Restarted { resume: 0 }));
    rig.tell(1);
    assert!(matches!(rig.read(7).await, Read::Restarted { resume: 0 }));
    assert_eq!(rig.batch(1).await, [0_u64; 0]);
}

/// What a machine that loses its power has told last may not be on its disk. Its numbers are not used again.
#[tokio::test]
async fn after_a_failure_of_power_readers_are_told_of_a_gap() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    rig.tell(2);
    let path = rig.newest_segment();
    let text = fs::read_to_string(&path).unwrap();
    let (_, boot) = text.lines().next().unwrap().split_once("boot ").unwrap();
    fs::write(&path, text.replace(boot, "of-another-run")).unwrap();
    let mut rig = rig.restart();
    let next = rig.tell(3);
    assert!(next > 1_000, "{next}");
    assert_eq!(rig.all(0).await, (vec![1, 2, next], vec![(3, next - 1)]));
    // A reader that had seen an event that is lost.
    assert_eq!(rig.all(5).await, (vec![next], vec![(6, next - 1)]));
}

/// A file is where the directory was, which can neither be used nor be made.
fn no_directory(dir: &Dir) {
    fs::remove_dir_all(&dir.0).unwrap();
    fs::write(&dir.0, "").unwrap();
}

/// Whoever tidies up takes away what was told, and nothing of what comes: it is on the disk again, for this run and the next,
/// and what is gone is told. Another server is kept from the new directory as from the old one.
#[tokio::test]
async fn a_directory_that_is_taken_away_is_made_anew() {
    for moved in [false, true] {
        let dir = dir();
        let elsewhere = Dir(dir.0.with_extension("elsewhere"));
        let mut rig = Rig::open(&dir, KEEP);
        rig.tell(1);
        rig.tell(2);
        match moved {
            false => fs::remove_dir_all(&dir.0).unwrap(),
            true => fs::rename(&dir.0, &elsewhere.0).unwrap(),
        }
        rig.append(3);
        assert_eq!(rig.tell(4), 4);
        assert_eq!(rig.log.unwritten(), 0);
        let text = fs::read_to_string(rig.newest_segment()).unwrap();
        assert_eq!(text.matches("\"seq\":").count(), 2, "{text}");
        assert!(claim(&dir.0).is_err(), "it is locked");
        let gap = vec![(1, 2)];
        assert_eq!(rig.all(0).await, (vec![3, 4], gap.clone()));
        let mut rig = rig.restart();
        assert_eq!(rig.tell(5), 5);
        assert_eq!(rig.all(0).await, (vec![3, 4, 5], gap));
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_keeps_no_event_from_its_readers() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    no_directory(&dir);
    let now = clock();
    rig.append(1);
    rig.writer.publish(now);
    assert!(rig.commit().is_err());
    assert_eq!(rig.batch(0).await, [0_u64; 0]);
    assert_eq!(rig.writer.poll_timeout(), Some(now + PATIENCE));
    rig.writer.publish(now + PATIENCE);
    assert_eq!((rig.batch(0).await, rig.log.unwritten()), (vec![1], 1));
    assert_eq!(rig.writer.poll_timeout(), None);
    // It is written when there is a disk again.
    fs::remove_file(&dir.0).unwrap();
    rig.tell(2);
    assert_eq!(rig.log.unwritten(), 0);
    assert_eq!(rig.restart().all(0).await, (vec![1, 2], vec![]));
}

#[test]
fn two_servers_cannot_have_one_log() {
    let dir = dir();
    let _rig = Rig::open(&dir, KEEP);
    let error = claim(&dir.0).unwrap_err();
    assert!(error.to_string().contains("in use by another server"), "{error}");
}

#[tokio::test]
async fn a_waiting_reader_is_woken() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    let reader = tokio::spawn({
        let reader = rig.reader(0);
        async move { reader.wait().await }
    });
    tokio::task::yield_now().await;
    rig.append(1);
    rig.tell(2);
    reader.await.unwrap();
    rig.reader(0).wait().await;
}

/// On its thread: what is appended is shown, and when the writing end goes everything is on the disk.
#[tokio::test]
async fn the_thread_writes_what_is_appended() {
    let dir = dir();
    let Rig { mut writer, log, store, .. } = Rig::open(&dir, KEEP);
    let thread = store.start().unwrap();
    for n in 1..=1_000 {
        writer.append(n, ringing(n));
        writer.publish(clock());
    }
    log.wait(999).await;
    writer.append(1_001, ringing(1_001));
    drop(writer);
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    assert_eq!(log.shown(), 1_001);
    assert_eq!(Rig::open(&dir, KEEP).all(0).await, (numbers(1, 1_001), vec![]));
}

/// Events, commits, crashes that tear the last write, and readers, at random: what a reader has seen stays, in its order and
/// with its text, and what it is not shown it is told of.
#[tokio::test]
async fn whatever_a_reader_has_seen_is_there_after_a_crash() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let dir = dir();
        let keep = Retention { bytes: if rng.bool() { 64 << 10 } else { 10 << 20 }, ..KEEP };
        let mut rig = Rig::open(&dir, keep);
        let (mut seen, mut time) = (Vec::<(u64, i64)>::new(), 0);
        for _ in 0..200 {
            match rng.u32(..10) {
                0..=5 => (0..rng.u32(1..40)).for_each(|_| {
                    time += 1;
                    rig.append(time);
                }),
                6..=7 => rig.commit().unwrap(),
                8 => {
                    let mut reader = rig.reader(seen.last().map_or(0, |(seq, _)| *seq));
                    loop {
                        match reader.read().await.unwrap() {
                            Read::Batch(batch) if batch.is_empty() => break,
                            Read::Batch(batch) => seen.extend(batch.iter().map(|e| (e.seq, e.time_ms))),
                            Read::Gap { .. } => {}
                            Read::Restarted { .. } => panic!("seed {seed}: a reader is ahead of the log"),
                        }
                    }
                }
                _ => {
                    // What was being written when the process died.
                    if let Some(last) = segment::list(&dir.0).unwrap().last() {
                        let file = File::options().append(true).open(segment::path(&dir.0, *last)).unwrap();
                        (&file).write_all(&b"5d1c9a07 {\"seq\":9,\"time"[..rng.usize(..23)]).unwrap();
                    }
                    rig = rig.restart();
                }
            }
        }
        assert!(seen.is_sorted_by(|one, other| one.0 < other.0), "seed {seed}: in order, and once");
        let after = match rig.read(0).await {
            Read::Gap { last, .. } => last,
            _ => 0,
        };
        let mut reader = rig.reader(after);
        let mut kept = std::collections::BTreeMap::new();
        loop {
            match reader.read().await.unwrap() {
                Read::Batch(batch) if batch.is_empty() => break,
                Read::Batch(batch) => kept.extend(batch.iter().map(|entry| (entry.seq, entry.time_ms))),
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        for (seq, time_ms) in seen.iter().filter(|(seq, _)| *seq > after) {
            assert_eq!(kept.get(seq), Some(time_ms), "seed {seed}: event {seq}");
        }
    }
}

fn clock() -> Instant {
    crate::clock::now().mono
}
