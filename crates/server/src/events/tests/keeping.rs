//! What is kept is kept, and no longer than it is said: on a disk that is full, on a node that is quiet, in little room.

use std::sync::mpsc;

use super::*;

/// The next segment is on a disk that takes nothing.
fn fill(dir: &Dir, next: u64) -> PathBuf {
    let path = segment::path(&dir.0, next);
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    path
}

/// What readers were shown while the disk was full is lost with the process; its numbers never come again, and readers are told.
#[tokio::test]
async fn the_number_of_an_event_that_is_lost_never_comes_again() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    let mut rig = rig.restart();
    let full = fill(&dir, 2);
    rig.append(2);
    let error = rig.commit().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let now = clock();
    rig.writer.publish(now);
    rig.writer.publish(now + PATIENCE);
    assert_eq!(rig.batch(1).await, [2], "it is shown");
    fs::remove_file(&full).unwrap();
    // A run that tells nothing forgets nothing of it.
    let mut rig = rig.restart().restart();
    let next = rig.tell(3);
    assert!(next > 1_000, "{next}");
    assert_eq!(rig.all(2).await, (vec![next], vec![(3, next - 1)]));
    // But once.
    let mut rig = rig.restart();
    assert_eq!(rig.tell(4), next + 1);
    assert_eq!(rig.all(0).await, (vec![1, next, next + 1], vec![(2, next - 1)]));
}

#[tokio::test]
async fn where_the_disk_has_taken_them_in_the_end_no_number_is_left_out() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    let mut rig = rig.restart();
    let full = fill(&dir, 2);
    rig.append(2);
    assert!(rig.commit().is_err());
    fs::remove_file(&full).unwrap();
    rig.tell(3);
    let mut rig = rig.restart();
    assert_eq!(rig.tell(4), 4);
    assert_eq!(rig.all(0).await, (numbers(1, 4), vec![]));
}

/// Hands on what is written.
struct Handed(mpsc::Sender<Vec<u8>>);

impl Write for Handed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_owned()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log of errors that this leaves.
fn errors(run: impl FnOnce()) -> Vec<String> {
    let (sender, written) = mpsc::channel();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_ansi(false)
        .with_writer(move || Handed(sender.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let text = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A file system that writes nothing in place when it is full does not take the mark either: that numbers may come again is said, and
/// once each time.
#[test]
fn what_cannot_be_marked_is_said_once() {
    let dir = dir();
    let mut rig = Rig::open(&dir, KEEP);
    rig.tell(1);
    for (number, next) in [(2, 2), (3, 4)] {
        let newest = rig.newest_segment();
        let kept = newest.with_extension("kept");
        rig = rig.restart();
        let full = fill(&dir, next);
        fs::rename(&newest, &kept).unwrap();
        std::os::unix::fs::symlink("/dev/full", &newest).unwrap();
        rig.append(number);
        let lines = errors(|| {
            for _ in 0..3 {
                rig.commit().unwrap_err();
            }
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("make room before the server ends"), "{lines:?}");
        assert!(lines[0].contains("No space left"), "{lines:?}");
        fs::rename(&kept, &newest).unwrap();
        fs::remove_file(full).unwrap();
        rig.commit().unwrap();
        rig.tell(number + 1);
    }
}

/// A quiet node deletes too, and its numbers go on.
#[tokio::test]
async fn what_is_too_old_goes_while_nothing_happens() {
    let dir = dir();
    let mut rig = Rig::open(&dir, Retention { age: Duration::from_secs(16), ..KEEP });
    for n in 1..=5 {
        rig.tell(n * 1_000);
    }
    let tidy = |rig: &mut Rig, second| rig.store.tidy(rig.begin + Duration::from_secs(second)).unwrap();
    for second in 6..16 {
        tidy(&mut rig, second);
    }
    let seen = rig.reader(0).read().await.unwrap();
    assert!(matches!(seen, Read::Batch(batch) if batch.len() == 5), "none is older than 16 s");
    for second in 16..25 {
        tidy(&mut rig, second);
    }
    assert!(matches!(rig.read(0).await, Read::Gap { reason: GapReason::Expired, first: 1, last: 5 }));
    assert!(rig.bytes_on_disk() < 100, "{}", rig.bytes_on_disk());
    assert_eq!((rig.batch(5).await, rig.log.newest()), (vec![], 5));
    let mut rig = rig.restart();
    assert_eq!(rig.tell(26_000), 6);
    assert_eq!(rig.batch(5).await, [6]);
}

/// A clock that is wrong for some seconds takes nothing away, and what was written by it goes with the rest.
#[tokio::test]
async fn a_clock_that_jumps_deletes_nothing() {
    const AHEAD: i64 = 400 * 86_400_000;
    let dir = dir();
    let mut rig = Rig::open(&dir, Retention { age: Duration::from_secs(16), ..KEEP });
    let tell = |rig: &mut Rig, second: i64, ahead| {
        rig.append(second * 1_000 + ahead);
        rig.store.commit_at(rig.begin + Duration::from_secs(second.unsigned_abs())).unwrap();
    };
    (0..3).for_each(|second| tell(&mut rig, second, 0));
    (3..6).for_each(|second| tell(&mut rig, second, AHEAD));
    (6..10).for_each(|second| tell(&mut rig, second, 0));
    assert_eq!(rig.all(0).await.0, numbers(1, 10), "all is there");
    (10..40).for_each(|second| tell(&mut rig, second, 0));
    let Read::Gap { last, .. } = rig.read(0).await else { panic!("the old ones go") };
    assert!((20..=24).contains(&last), "{last}");
}

/// The smallest log that may be asked for keeps nearly what it may.
#[test]
fn little_room_is_made_use_of() {
    let dir = dir();
    let keep = Retention { bytes: 65_536, ..KEEP };
    let mut rig = Rig::open(&dir, keep);
    for n in 1..=2_000 {
        rig.append(n);
        if n % 50 == 0 {
            rig.commit().unwrap();
            assert!(rig.bytes_on_disk() <= keep.bytes, "{}", rig.bytes_on_disk());
        }
        if n >= 1_000 && n % 50 == 0 {
            assert!(rig.bytes_on_disk() > keep.bytes * 3 / 4, "{}", rig.bytes_on_disk());
        }
    }
}

#[tokio::test]
async fn memory_is_bounded_where_the_disk_takes_nothing() {
    let dir = dir();
    let keep = Retention { bytes: 64 << 10, ..KEEP };
    let mut rig = Rig::open(&dir, keep);
    no_directory(&dir);
    let now = clock();
    for n in 1..=1_000 {
        rig.append(n);
        assert!(rig.commit().is_err());
    }
    rig.writer.publish(now);
    rig.writer.publish(now + PATIENCE);
    let (seen, gaps) = rig.all(0).await;
    let [(1, last)] = gaps[..] else { panic!("{gaps:?}") };
    assert_eq!(seen, numbers(last + 1, 1_000));
    assert!(seen.len() > 100, "{} are kept", seen.len());
    fs::remove_file(&dir.0).unwrap();
    rig.tell(1_001);
    let (again, gaps) = rig.restart().all(0).await;
    assert_eq!((again.last(), gaps.len()), (Some(&1_001), 1), "what memory had is on the disk now");
}
