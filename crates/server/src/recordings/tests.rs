//! Disks that are full, disks that stand still, and files that become too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use offhook_call::id::{CallId, ConferenceId};
use offhook_media::event::RecordFormat;
use offhook_media::file::decode;

use super::*;
use crate::call_log::testing::{lines_of, said, whose};

/// A folder of its own for each test, removed at its end.
struct Temp(std::path::PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("offhook-recordings-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn places(&self, min_free: u64, part_bytes: u64) -> Places {
        Places { directory: Directory::open(&self.0).unwrap(), min_free, part_bytes }
    }

    fn samples(&self, name: &str) -> Vec<i16> {
        decode(File::open(self.0.join(name)).unwrap(), name).unwrap()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file on a disk with so much room; a write beyond it is done as far as it goes.
#[derive(Debug)]
struct Cramped {
    file: File,
    room: Arc<AtomicUsize>,
}

impl Store for Cramped {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let more = usize::try_from((at + bytes.len() as u64).saturating_sub(length)).unwrap();
        let room = self.room.load(Ordering::Relaxed);
        let fits = bytes.len() - more.saturating_sub(room);
        self.room.store(room.saturating_sub(more), Ordering::Relaxed);
        FileExt::write_all_at(&self.file, &bytes[..fits], at)?;
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

const MU_LAW: RecordSpec = RecordSpec { format: RecordFormat::Mulaw, rate: 8000, channels: 1 };

/// 60 ms of the `n`th level.
fn chunk(n: i16) -> Chunk {
    Chunk::Data { rate: 8000, channels: 1, samples: vec![(n + 1) * 100; 480] }
}

#[test]
fn d2_a_full_disk_leaves_a_valid_file_and_is_told_at_once() {
    for room in (58..4000).step_by(97) {
        let temp = Temp::new(&format!("full-{room}"));
        let places = temp.places(0, PART_BYTES);
        let name = Name { file: "a.wav".to_owned(), overwrite: false };
        let file = places.directory.create("a.wav", false).unwrap();
        let store = Cramped { file, room: Arc::new(AtomicUsize::new(room)) };
        let file = OpenFile::on(Box::new(store), MU_LAW).unwrap();
        let recording = Recording::of_file((RecordingId(1), whose()), name, MU_LAW, file);
        let (control, mut told) = mpsc::channel(8);
        let mut recorder = Recorder::new(places, control);
        recorder.open.insert(RecordingId(1), recording);
        let now = clock::now().mono;
        for n in 0..10 {
            recorder.append(RecordingId(1), |recording, places| recording.append(now, places, &chunk(n)));
            recorder.write(now + WAIT, true);
        }
        let whole = (room - 58) / 480;
        let Ok(Input::Disk(DiskEvent::RecordingFailed { recording, fault, file, duration })) =
            told.try_recv()
        else {
            panic!("{room}: nothing was told");
        };
        assert_eq!((recording, fault), (RecordingId(1), FileFault::DiskFull));
        assert_eq!(file, RecordedFile { bytes: 58 + 480 * whole as u64, parts: 1, gaps: Duration::ZERO });
        assert!(told.try_recv().is_err(), "it is told once");
        assert!(recorder.open.is_empty());
        assert_eq!(std::fs::metadata(temp.0.join("a.wav")).unwrap().len(), file.bytes, "{room}");
        assert_eq!(temp.samples("a.wav").len(), whole * 480, "{room}");
        assert_eq!(duration.as_millis(), whole as u128 * 60, "what the file has");
    }
}

/// A disk that stood still until the call was gone: the file that was opened for it is there no more, nor noted as open.
#[test]
fn a_file_that_was_opened_for_nobody_is_removed() {
    let temp = Temp::new("discard");
    let (control, mut told) = mpsc::channel(8);
    let mut recorder = Recorder::new(temp.places(0, PART_BYTES), control);
    let (now, recording) = (clock::now().mono, RecordingId(1));
    let file = "in/a.wav".to_owned();
    let open = ToDisk::Open { job: JobId(1), file, spec: MU_LAW, overwrite: false, recording, of: whose() };
    recorder.obey(now, open);
    assert!(matches!(told.try_recv(), Ok(Input::Disk(DiskEvent::RecordingOpened { result: Ok(()), .. }))));
    recorder.obey(now, ToDisk::Discard(recording));
    assert!(!temp.0.join("in/a.wav").exists() && !temp.0.join(".open/1").exists());
    assert!(recorder.open.is_empty() && told.try_recv().is_err());
}

/// Two calls into one file, the second of which may replace what is there: not what the first one writes.
#[test]
fn what_is_being_recorded_is_not_replaced() {
    let temp = Temp::new("claimed");
    let places = temp.places(0, PART_BYTES);
    let name = || Name { file: "a.wav".to_owned(), overwrite: true };
    let begin = |id| Recording::begin(&places, (RecordingId(id), whose()), name(), MU_LAW);
    let mut first = begin(1).unwrap();
    first.append(clock::now().mono, &places, &chunk(1)).unwrap();
    assert_eq!(begin(2).map(|_| ()), Err(FileFault::Exists));
    first.complete().unwrap();
    drop(first);
    assert_eq!(temp.samples("a.wav").len(), 480);
    assert_eq!(begin(3).map(|_| ()), Ok(()), "it is complete");
}

/// Whom a disk that stood still held up is told once, and for how long.
#[test]
fn a_standstill_is_told_with_those_that_it_held_up() {
    let temp = Temp::new("standstill");
    let places = temp.places(0, PART_BYTES);
    let recordings: Vec<_> = (1..=3)
        .map(|id| {
            let of = Names { of: CallId(10 + id).into(), ..whose() };
            let name = Name { file: format!("{id}.wav"), overwrite: false };
            (RecordingId(id), Recording::begin(&places, (RecordingId(id), of), name, MU_LAW).unwrap())
        })
        .collect();
    let (control, _told) = mpsc::channel(8);
    let mut recorder = Recorder::new(places, control);
    recorder.open.extend(recordings);
    let now = clock::now().mono;
    assert_eq!(lines_of(|| recorder.tell_standstill(now)), [] as [serde_json::Value; 0]);
    let lines = lines_of(|| recorder.tell_standstill(now - Duration::from_secs(36)));
    let [line] = &lines[..] else { panic!("one line") };
    let text = |field: &str| line[field].as_str().unwrap_or_default();
    assert_eq!(text("level"), "WARN");
    assert_eq!(text("res_ids"), r#"["0.0.0-sys.call-11", "0.0.0-sys.call-12", "0.0.0-sys.call-13"]"#);
    assert!(text("stood_still").starts_with("36."), "{line}");
}

/// What comes within 80 ms is written at once, and no later. A whole span does not wait, of which enough has been held back,
/// nor does MP3, as its encoder holds enough back.
#[test]
fn audio_waits_for_more_and_not_for_long() {
    let temp = Temp::new("wait");
    for (format, piece, wait) in [
        (RecordFormat::Mulaw, 40, 80),
        (RecordFormat::Mulaw, 100, 0),
        (RecordFormat::Pcm16, 40, 80),
        (RecordFormat::Mp3, 40, 0),
    ] {
        let name = format!("{format:?}-{piece}.wav");
        let length = || std::fs::metadata(temp.0.join(&name)).unwrap().len();
        let (sender, inbox) = sync_channel(100);
        let (control, _told) = mpsc::channel(8);
        let mut recorder = Recorder::new(temp.places(0, PART_BYTES), control);
        let (begun, recording) = (clock::now().mono, RecordingId(1));
        let spec = RecordSpec::new(format, 8000, 1);
        let open = ToDisk::Open {
            job: JobId(1),
            file: name.clone(),
            spec,
            overwrite: false,
            recording,
            of: whose(),
        };
        recorder.obey(begun, open);
        let mut last_written = (0, length());
        for ms in (0..2000).step_by(20) {
            // As the engine hands it out.
            if ms % piece == 0 {
                let chunk = Chunk::Data {
                    rate: 8000,
                    channels: 1,
                    samples: vec![3000; usize::try_from(piece * 8).unwrap()],
                };
                sender.send(ToDisk::Audio(Audio { recording, chunk })).unwrap();
            }
            assert!(recorder.look(begun + Duration::from_millis(ms), &inbox));
            if length() > last_written.1 {
                let since = ms - last_written.0;
                assert!(last_written.0 == 0 || since.abs_diff(wait + piece) <= 20, "{format:?}: {since} ms");
                last_written = (ms, length());
            }
        }
        assert!(last_written.0 >= 1800, "{format:?}");
        // What has come last is written when nobody can send any more.
        let chunk = Chunk::Data { rate: 8000, channels: 1, samples: vec![3000; 1600] };
        sender.send(ToDisk::Audio(Audio { recording, chunk })).unwrap();
        drop(sender);
        assert!(!recorder.look(begun + Duration::from_millis(2000), &inbox));
        assert!(length() > last_written.1, "{format:?}");
    }
}

#[test]
fn d2_nothing_new_begins_below_the_floor() {
    let temp = Temp::new("floor");
    let name = Name { file: "a.wav".to_owned(), overwrite: false };
    let begin = |min_free, name| {
        Recording::begin(&temp.places(min_free, PART_BYTES), (RecordingId(1), whose()), name, MU_LAW)
            .map(|_| ())
    };
    assert_eq!(begin(u64::MAX, name.clone()), Err(FileFault::DiskFull));
    assert!(!temp.0.join("a.wav").exists());
    assert_eq!(begin(0, name), Ok(()));
    // The folder of what is open is no place for a recording.
    let name = Name { file: ".open/a.wav".to_owned(), overwrite: true };
    assert_eq!(begin(0, name), Err(FileFault::Forbidden));
}

/// A process that was killed while it wrote, at worst between audio and head: the next one completes the files and tells
/// of them once. What was completed in time, and what is gone, is not told.
/// What is refused leaves nothing behind, be it its file or its entry that cannot be made.
#[test]
fn a_recording_that_cannot_begin_leaves_no_file() {
    let temp = Temp::new("refused");
    let places = temp.places(0, PART_BYTES);
    std::fs::write(temp.0.join(journal::FOLDER), "no folder").unwrap();
    let name = Name { file: "b.wav".to_owned(), overwrite: false };
    assert!(Recording::begin(&places, (RecordingId(1), whose()), name, MU_LAW).is_err());
    let left: Vec<_> = std::fs::read_dir(&temp.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [journal::FOLDER]);
    // `/dev/full` takes the name and no byte.
    std::fs::remove_file(temp.0.join(journal::FOLDER)).unwrap();
    assert!(OpenFile::on(Box::new(File::options().write(true).open("/dev/full").unwrap()), MU_LAW).is_err());
}

#[test]
fn d1_what_was_open_is_recovered_and_told_once() {
    let temp = Temp::new("recover");
    let places = temp.places(0, 58 + 2 * 480);
    let begin = |id, file: &str| {
        let name = Name { file: file.to_owned(), overwrite: false };
        Recording::begin(&places, (RecordingId(id), whose()), name, MU_LAW).unwrap()
    };
    let say = |recording: &mut Recording, chunks| {
        for n in 0..chunks {
            recording.append(clock::now().mono, &places, &chunk(n)).unwrap();
            recording.write().unwrap();
        }
    };
    let (control, _told) = mpsc::channel(8);
    let mut recorder = Recorder::new(temp.places(0, PART_BYTES), control);
    let mut whole = begin(1, "whole.wav");
    say(&mut whole, 2);
    recorder.open.insert(RecordingId(1), whole);
    recorder.close(RecordingId(1));
    say(&mut begin(2, "inbox/open.wav"), 1);
    // Three chunks in the first part, two in the second.
    say(&mut begin(3, "inbox/parts.wav"), 5);
    say(&mut begin(4, "gone.wav"), 1);
    std::fs::remove_file(temp.0.join("gone.wav")).unwrap();
    // More audio than the head tells: 101 bytes, of which the last would need padding.
    let torn = temp.0.join("inbox/open.wav");
    let bytes = [std::fs::read(&torn).unwrap(), vec![0x80; 101]].concat();
    std::fs::write(&torn, bytes).unwrap();

    let owner = || Owner {
        res_id: "0.0.0-sys.call-7".to_owned(),
        sip_call_id: Some("a84b4c76e66710@192.0.2.10".to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    };
    let found = |file: &str, parts, bytes, repaired| {
        let owner = Some(owner());
        Recovered { owner, file: file.to_owned(), parts, bytes, repaired }
    };
    let expected =
        [found("inbox/open.wav", 1, 58 + 480 + 100, true), found("inbox/parts.wav", 2, 58 + 2 * 480, false)];
    let mut recovered = Vec::new();
    let lines = said(|| recovered = recover(&places.directory));
    assert_eq!(recovered, expected);
    assert_eq!(lines, ["WARN a recording that was open cannot be looked at"], "it is gone");
    assert_eq!(temp.samples("inbox/open.wav").len(), 580);
    assert_eq!(recover(&places.directory), []);
}

/// An entry of the earlier form ends with the name, and a conference has neither trace nor Call-ID.
#[test]
fn what_an_entry_does_not_say_is_not_known() {
    let temp = Temp::new("entries");
    let places = temp.places(0, PART_BYTES);
    let name = |file: &str| Name { file: file.to_owned(), overwrite: false };
    let of = Names { of: ConferenceId(9).into(), sip_call_id: None, trace_id: None, ..whose() };
    Recording::begin(&places, (RecordingId(1), of), name("conf.wav"), MU_LAW).unwrap();
    Recording::begin(&places, (RecordingId(2), whose()), name("old.wav"), MU_LAW).unwrap();
    std::fs::write(temp.0.join(".open/2"), "3 8000 1 1\nold.wav").unwrap();
    let conference = Owner { res_id: "0.0.0-sys.conf-9".to_owned(), sip_call_id: None, trace_id: None };
    let owners: Vec<_> =
        recover(&places.directory).into_iter().map(|found| (found.file, found.owner)).collect();
    assert_eq!(owners, [("conf.wav".to_owned(), Some(conference)), ("old.wav".to_owned(), None)]);
}

/// A stall, a full disk, and an entry that somebody has taken away.
#[test]
fn what_befalls_a_recording_is_told_by_the_names_of_the_call() {
    let temp = Temp::new("names");
    let places = temp.places(0, PART_BYTES);
    let (now, id) = (clock::now().mono, RecordingId(1));
    let name = Name { file: "a.wav".to_owned(), overwrite: false };
    let file = places.directory.create("a.wav", false).unwrap();
    let mut recording =
        Recording::begin(&places, (id, whose()), Name { file: "b.wav".to_owned(), ..name }, MU_LAW).unwrap();
    let store = Cramped { file, room: Arc::new(AtomicUsize::new(600)) };
    recording.file = OpenFile::on(Box::new(store), MU_LAW).unwrap();
    std::fs::remove_file(temp.0.join(".open/1")).unwrap();
    let (control, _told) = mpsc::channel(8);
    let mut recorder = Recorder::new(places, control);
    recorder.open.insert(id, recording);
    let lines = said(|| {
        recorder.obey(now, ToDisk::Gap { recording: id, length: Duration::from_secs(1) });
        recorder.write(now + WAIT, true);
    });
    let told = [
        "WARN gap in a recording: the disk stood still",
        "WARN a recording cannot be written",
        "WARN a recording is complete and still noted as open",
        "ERROR recording cut off",
    ];
    assert_eq!(lines, told);
}

#[test]
fn d4_a_long_recording_goes_on_in_another_part() {
    let temp = Temp::new("parts");
    // The counter that stands for 4 GiB: after three chunks the first part is beyond it.
    let places = temp.places(0, 58 + 2 * 480);
    let name = Name { file: "day.1/a.wav".to_owned(), overwrite: false };
    let mut recording = Recording::begin(&places, (RecordingId(1), whose()), name, MU_LAW).unwrap();
    for n in 0..8 {
        recording.append(clock::now().mono, &places, &chunk(n)).unwrap();
        recording.write().unwrap();
    }
    let file = recording.complete().unwrap();
    assert_eq!(file, RecordedFile { bytes: 3 * 58 + 8 * 480, parts: 3, gaps: Duration::ZERO });
    let parts = ["day.1/a.wav", "day.1/a.2.wav", "day.1/a.3.wav"].map(|name| temp.samples(name));
    assert_eq!(parts.each_ref().map(Vec::len), [3 * 480, 3 * 480, 2 * 480]);
    let levels: Vec<i16> = parts.concat().chunks(480).map(|chunk| (chunk[0] + 50) / 100).collect();
    assert_eq!(levels, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn parts_are_named_before_the_ending() {
    let part = |file: &str, part| Name { file: file.to_owned(), overwrite: false }.of_part(part);
    assert_eq!(part("a.wav", 1), "a.wav");
    assert_eq!(part("a.wav", 2), "a.2.wav");
    assert_eq!(part("x.y/a", 12), "x.y/a.12");
    assert_eq!(part("x/.hidden", 2), "x/.hidden.2");
    assert_eq!(part("a.b.opus", 2), "a.b.2.opus");
}

/// A disk that stands still for 30 s while 50 recordings go on: their audio is neither waited for nor piled up, and what
/// was left out is silence of the same length in the file.
#[test]
fn d3_a_stall_of_30_seconds_is_a_gap_of_the_right_length() {
    let temp = Temp::new("stall");
    let places = temp.places(0, PART_BYTES);
    let (sender, inbox) = sync_channel(INBOX);
    let mut feed = Feed::new(vec![(sender, std::thread::current())]);
    let (control, mut told) = mpsc::channel(1000);
    let mut recorder = Recorder::new(places, control);
    let ids = 1..=50u64;
    for id in ids.clone() {
        let (job, recording, file) = (JobId(id), RecordingId(id), format!("{id}.wav"));
        feed.send(ToDisk::Open { job, file, spec: MU_LAW, overwrite: false, recording, of: whose() });
    }
    let say = |feed: &mut Feed, n: i16| {
        for id in ids.clone() {
            feed.send(ToDisk::Audio(Audio { recording: RecordingId(id), chunk: chunk(n) }));
        }
    };
    // The thread runs, then stands still for 500 chunks of 60 ms, then runs again.
    let mut run = || {
        assert!(recorder.look(clock::now().mono, &inbox));
        assert_eq!(inbox.try_recv().map(|_| ()), Err(TryRecvError::Empty));
    };
    (0..10).for_each(|n| say(&mut feed, n));
    run();
    (10..310).for_each(|n| say(&mut feed, n));
    (10..210).for_each(|n| say(&mut feed, n));
    assert_eq!(feed.backlog(), 0, "no audio waits outside of the bounded queue");
    run();
    (0..10).for_each(|n| say(&mut feed, n));
    for id in ids.clone() {
        feed.send(ToDisk::Audio(Audio { recording: RecordingId(id), chunk: Chunk::End }));
    }
    run();
    const INBOX_EACH: u32 = 8192 / 50;
    let mut gaps = Duration::ZERO;
    while let Ok(Input::Disk(event)) = told.try_recv() {
        if let DiskEvent::RecordingClosed { file, .. } = event {
            assert_eq!(file.bytes, 58 + 520 * 480);
            let least = Duration::from_millis(60) * (499 - INBOX_EACH);
            assert!((least..=least + Duration::from_millis(60)).contains(&file.gaps), "{file:?}");
            gaps += file.gaps;
        }
    }
    assert_eq!(feed.gaps(), gaps);
    for id in ids {
        let samples = temp.samples(&format!("{id}.wav"));
        assert_eq!(samples.len(), 520 * 480);
        // Before, and after, and silence between.
        assert!(samples[480].abs_diff(200) < 10 && samples[519 * 480].abs_diff(1000) < 50, "{id}");
        let silent = samples.iter().filter(|&&sample| sample == 0).count();
        assert!(silent.abs_diff((500 - INBOX / 50) * 480) <= 480, "{id}: {silent}");
    }
}
