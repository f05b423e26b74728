//! The recording threads: they open, write and complete recording files, off the control and media threads.
//!
//! ```text
//!   media threads, control ──Feed──▶ bounded queue ─▶ thread 0..N, every 20 ms: Writer ─▶ file, every 100 or 120 ms
//!                              └ full: the audio is left out, and told as a gap when there is room again
//! ```
//! Audio is written behind the last and then the header that counts it, in place, so the file is a valid one at every
//! moment, however the process ends (`reliability.md` D1). A disk that stands still holds up these threads and nobody else
//! (D3): what does not fit into their queues is silence of the same length in the file.
//!
//! To wake a thread costs more than all that a recording's audio takes on its way, and to write to a file costs nearly the
//! same for much as for little. So audio wakes nobody, and is written when there is some; only what somebody waits for, a
//! file that is to be opened or completed, is looked for at once.

mod feed;
mod journal;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use offhook_call::error::FileFault;
use offhook_call::{DiskEvent, JobId, RecordedFile};
use offhook_media::event::{Audio, Chunk, RecordFormat, RecordingId};
use offhook_media::file::{RecordSpec, Writer};
use offhook_media::{FRAME, Numbered, SPAN_FRAMES};
use tokio::sync::mpsc;

use crate::call_log::{Names, line};
use crate::clock;
use crate::files::Directory;
use crate::input::Input;
pub use feed::Feed;
pub use journal::{Owner, Recovered};

/// Messages that may wait for one thread: of 250 recordings that hand out 25 chunks in a second, those of 1.3 s. Of 16-bit
/// samples at 48 kHz, 4 kB each, it is 31 MB.
const INBOX: usize = 8_192;

/// From one look at the queue to the next, while there is a file to write.
const PERIOD: Duration = Duration::from_millis(20);

/// How long audio waits for more, to be written together. With the 100 ms that the engine holds back and a period it is
/// 200 ms, which is what a crash may cost.
const WAIT: Duration = Duration::from_millis(80);

/// Audio as long as this does not wait: of a leg that has its frames in spans the engine has held 160 ms back.
const SPAN: Duration = FRAME.saturating_mul(SPAN_FRAMES);

/// The same of MP3, whose encoder holds back 94 ms.
const MP3_PERIOD: Duration = Duration::from_millis(5);
const MP3_WAIT: Duration = Duration::ZERO;

/// Recording threads at most: they wait for the disk more than they compute, but for the encoders of MP3 and Opus.
const MAX_THREADS: usize = 4;

/// What a disk that is merely busy does not take for one thing.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Of those that it held up so many are named: a line has to be read by somebody.
const MOST_NAMED: usize = 20;

/// Where a file ends and the next part begins: before the 32 bits of its sizes do.
const PART_BYTES: u64 = 0xffff_0000;

/// What a recording thread is told.
#[derive(Debug)]
pub enum ToDisk {
    /// Open a file.
    Open {
        /// The name of the answer.
        job: JobId,
        /// Relative to the recordings directory.
        file: String,
        /// What it will be.
        spec: RecordSpec,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// The name that its audio goes by.
        recording: RecordingId,
        /// Whose it is.
        of: Names,
    },
    /// Audio of an open file.
    Audio(Audio),
    /// Audio of an open file that found no room on its way here.
    Gap {
        /// Of which.
        recording: RecordingId,
        /// How long it was.
        length: Duration,
    },
    /// Remove a file to which nothing has come or will come.
    Discard(RecordingId),
}

impl ToDisk {
    fn recording(&self) -> RecordingId {
        match self {
            Self::Open { recording, .. }
            | Self::Audio(Audio { recording, .. })
            | Self::Gap { recording, .. }
            | Self::Discard(recording) => *recording,
        }
    }
}

/// Completes the recordings that were open when the server died, before any begins anew.
pub fn recover(directory: &Directory) -> Vec<Recovered> {
    journal::recover(directory)
}

/// Starts the threads; they end when all feeds are gone.
pub fn start(directory: Directory, min_free: u64, control: &mpsc::Sender<Input>) -> io::Result<Feed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut queues = Vec::with_capacity(threads);
    for index in 0..threads {
        let (sender, inbox): (SyncSender<ToDisk>, _) = sync_channel(INBOX);
        let places = Places { directory: directory.try_clone()?, min_free, part_bytes: PART_BYTES };
        let recorder = Recorder::new(places, control.clone());
        let thread = std::thread::Builder::new()
            .name(format!("recordings-{index}"))
            .spawn(move || recorder.run(&inbox))?;
        queues.push((sender, thread.thread().clone()));
    }
    Ok(Feed::new(queues))
}

struct Recorder {
    places: Places,
    control: mpsc::Sender<Input>,
    open: Numbered<RecordingId, Recording>,
}

/// Where files can be made.
struct Places {
    directory: Directory,
    /// Bytes that must be free for a new recording.
    min_free: u64,
    /// The longest file.
    part_bytes: u64,
}

impl Recorder {
    fn new(places: Places, control: mpsc::Sender<Input>) -> Self {
        Self { places, control, open: Numbered::default() }
    }

    fn run(mut self, inbox: &Receiver<ToDisk>) {
        // Without a file there is nothing to look for.
        while let Ok(message) = inbox.recv() {
            self.obey(clock::now().mono, message);
            while !self.open.is_empty() {
                if !self.look(clock::now().mono, inbox) {
                    return;
                }
                std::thread::park_timeout(self.period());
            }
        }
    }

    /// Takes what waits in the queue, and writes what has waited for long enough; `false` when nobody can send any more.
    fn look(&mut self, now: Instant, inbox: &Receiver<ToDisk>) -> bool {
        let mut goes_on = true;
        for _ in 0..INBOX {
            match inbox.try_recv() {
                Ok(message) => self.obey(now, message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    goes_on = false;
                    break;
                }
            }
        }
        self.write(now, goes_on);
        goes_on
    }

    /// Writes what has waited for long enough, or everything if nothing more will come.
    fn write(&mut self, now: Instant, goes_on: bool) {
        let begun = clock::now().mono;
        let is_due = |recording: &Recording| recording.due.is_some_and(|due| due <= now || !goes_on);
        let due = self.open.iter_mut().filter(|(_, recording)| is_due(recording));
        let failed: Vec<_> =
            due.filter_map(|(id, recording)| Some((*id, recording.write().err()?))).collect();
        self.tell_standstill(begun);
        for (id, fault) in failed {
            self.fail(id, fault);
        }
    }

    /// How long to rest until the next look.
    fn period(&self) -> Duration {
        let has_mp3 = self.open.values().any(|recording| recording.spec.format == RecordFormat::Mp3);
        if has_mp3 { MP3_PERIOD } else { PERIOD }
    }

    fn obey(&mut self, now: Instant, message: ToDisk) {
        match message {
            ToDisk::Open { job, file, spec, overwrite, recording, of } => {
                let (name, begun) = (Name { file, overwrite }, clock::now().mono);
                let opened = Recording::begin(&self.places, (recording, of), name, spec);
                let result = opened.map(|opened| drop(self.open.insert(recording, opened)));
                self.tell_standstill(begun);
                self.tell(DiskEvent::RecordingOpened { job, result });
            }
            ToDisk::Audio(Audio { recording, chunk: Chunk::End }) => self.close(recording),
            ToDisk::Audio(Audio { recording, chunk }) => {
                self.append(recording, |recording, places| recording.append(now, places, &chunk));
            }
            ToDisk::Gap { recording: id, length } => {
                self.append(id, |recording, places| recording.append_gap(now, places, length));
            }
            ToDisk::Discard(recording) => self.discard(recording),
        }
    }

    /// A failed recording is told once and closed as it is; audio that still comes finds no file and goes nowhere.
    fn append(
        &mut self,
        id: RecordingId,
        write: impl FnOnce(&mut Recording, &Places) -> Result<(), FileFault>,
    ) {
        let Some(recording) = self.open.get_mut(&id) else { return };
        if let Err(fault) = write(recording, &self.places) {
            self.fail(id, fault);
        }
    }

    fn close(&mut self, id: RecordingId) {
        let Some(recording) = self.open.get_mut(&id) else { return };
        let begun = clock::now().mono;
        let completed = recording.complete();
        self.tell_standstill(begun);
        match completed {
            Ok(file) => {
                if let Some(recording) = self.open.remove(&id) {
                    journal::forget(&self.places.directory, &recording);
                }
                self.tell(DiskEvent::RecordingClosed { recording: id, file });
            }
            Err(fault) => self.fail(id, fault),
        }
    }

    /// Nobody knows of it any more, and nothing is in it.
    fn discard(&mut self, id: RecordingId) {
        let Some(recording) = self.open.remove(&id) else { return };
        discard(&self.places.directory, &recording.name.file);
        journal::forget(&self.places.directory, &recording);
    }

    /// The disk has done what was asked of it at some moment. If it stood still meanwhile, it is told whom that held up.
    fn tell_standstill(&self, begun: Instant) {
        let stood_still = clock::now().mono.saturating_duration_since(begun);
        if stood_still < STANDSTILL {
            return;
        }
        let mut res_ids: Vec<String> = self.open.values().map(|recording| recording.of.res_id()).collect();
        res_ids.sort();
        let recordings = res_ids.len();
        res_ids.truncate(MOST_NAMED);
        tracing::warn!(
            ?res_ids,
            recordings,
            ?stood_still,
            "the disk of the recordings stood still and goes on"
        );
    }

    fn fail(&mut self, id: RecordingId, fault: FileFault) {
        let Some(recording) = self.open.remove(&id) else { return };
        journal::forget(&self.places.directory, &recording);
        let (file, duration) = (recording.facts(), recording.duration());
        line!(error, &recording.of, recording = id.0, ?fault, bytes = file.bytes, "recording cut off");
        self.tell(DiskEvent::RecordingFailed { recording: id, fault, file, duration });
    }

    fn tell(&self, event: DiskEvent) {
        // This thread may wait for the control loop; nothing that must not wait waits for this thread.
        let _ = self.control.blocking_send(Input::Disk(event));
    }
}

/// What a recording is called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    file: String,
    overwrite: bool,
}

impl Name {
    /// That of a part: `a.wav` is followed by `a.2.wav`, `a.3.wav` and so on.
    fn of_part(&self, part: u32) -> String {
        let folder = self.file.rfind('/').map_or(0, |slash| slash + 1);
        match self.file[folder..].rfind('.') {
            _ if part == 1 => self.file.clone(),
            Some(dot) if dot > 0 => {
                let (stem, ending) = self.file.split_at(folder + dot);
                format!("{stem}.{part}{ending}")
            }
            _ => format!("{}.{part}", self.file),
        }
    }
}

/// A file that can be written anywhere and cut; in tests, on a disk that fails.
trait Store: std::fmt::Debug {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    fn cut(&self, length: u64) -> io::Result<()>;
}

impl Store for File {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// One recording, of one file or of several parts.
#[derive(Debug)]
struct Recording {
    id: RecordingId,
    /// Whose it is.
    of: Names,
    name: Name,
    spec: RecordSpec,
    file: OpenFile,
    /// Of the parts before this one.
    former_bytes: u64,
    former_duration: Duration,
    part: u32,
    gaps: Duration,
    /// When audio has to be in the file that is not.
    due: Option<Instant>,
}

impl Recording {
    fn begin(
        places: &Places,
        (id, of): (RecordingId, Names),
        name: Name,
        spec: RecordSpec,
    ) -> Result<Self, FileFault> {
        if places.directory.free_bytes()? < places.min_free {
            return Err(FileFault::DiskFull);
        }
        if name.file.split('/').next() == Some(journal::FOLDER) {
            return Err(FileFault::Forbidden);
        }
        let file = OpenFile::begin(places, &name, 1, spec)?;
        let begun = Self::of_file((id, of), name, spec, file);
        journal::write(&places.directory, &begun)
            .inspect_err(|_| discard(&places.directory, &begun.name.file))?;
        Ok(begun)
    }

    /// One of which nothing is written yet.
    fn of_file((id, of): (RecordingId, Names), name: Name, spec: RecordSpec, file: OpenFile) -> Self {
        Self {
            id,
            of,
            name,
            spec,
            file,
            former_bytes: 0,
            former_duration: Duration::ZERO,
            part: 1,
            gaps: Duration::ZERO,
            due: None,
        }
    }

    /// Takes audio that is to be written with what comes soon.
    fn append(&mut self, now: Instant, places: &Places, chunk: &Chunk) -> Result<(), FileFault> {
        if self.file.length > places.part_bytes {
            let written = self.file.complete();
            self.told(written)?;
            let next = OpenFile::begin(places, &self.name, self.part + 1, self.spec)?;
            let former = std::mem::replace(&mut self.file, next);
            self.former_bytes += former.length;
            self.former_duration += former.duration;
            self.part += 1;
            journal::write(&places.directory, self)?;
        }
        self.file.writer.push(chunk);
        let wait = match self.spec.format {
            RecordFormat::Mp3 => MP3_WAIT,
            _ if length(chunk) >= SPAN => Duration::ZERO,
            _ => WAIT,
        };
        let due = now + wait;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
        Ok(())
    }

    fn write(&mut self) -> Result<(), FileFault> {
        self.due = None;
        let written = self.file.write();
        self.told(written)
    }

    fn told(&self, written: io::Result<()>) -> Result<(), FileFault> {
        written.map_err(|error| {
            line!(warn, &self.of, recording = self.id.0, %error, "a recording cannot be written");
            fault(&error)
        })
    }

    fn append_gap(&mut self, now: Instant, places: &Places, length: Duration) -> Result<(), FileFault> {
        line!(warn, &self.of, recording = self.id.0, ?length, "gap in a recording: the disk stood still");
        self.gaps += length;
        let rate = self.spec.rate;
        let samples = (length.as_nanos() * u128::from(rate) + 500_000_000) / 1_000_000_000;
        let samples = u64::try_from(samples).unwrap_or(u64::MAX);
        self.append(now, places, &Chunk::Silence { rate, samples })
    }

    fn complete(&mut self) -> Result<RecordedFile, FileFault> {
        let written = self.file.complete();
        self.told(written)?;
        Ok(self.facts())
    }

    /// How long what is written is.
    fn duration(&self) -> Duration {
        self.former_duration + self.file.duration
    }

    fn facts(&self) -> RecordedFile {
        RecordedFile { bytes: self.former_bytes + self.file.length, parts: self.part, gaps: self.gaps }
    }
}

/// One open file.
#[derive(Debug)]
struct OpenFile {
    store: Box<dyn Store + Send>,
    writer: Writer,
    /// Bytes of the valid file, and how long its audio is.
    length: u64,
    duration: Duration,
}

impl OpenFile {
    fn begin(places: &Places, name: &Name, part: u32, spec: RecordSpec) -> Result<Self, FileFault> {
        let path = name.of_part(part);
        let file = places.directory.create(&path, name.overwrite)?;
        Self::on(Box::new(file), spec).inspect_err(|_| discard(&places.directory, &path))
    }

    fn on(store: Box<dyn Store + Send>, spec: RecordSpec) -> Result<Self, FileFault> {
        let mut writer = Writer::new(spec).ok_or(FileFault::Unsupported)?;
        store.write_all_at(&writer.begin(), 0).map_err(|error| fault(&error))?;
        let length = writer.length();
        Ok(Self { store, writer, length, duration: Duration::ZERO })
    }

    fn complete(&mut self) -> io::Result<()> {
        self.writer.push(&Chunk::End);
        self.write()
    }

    /// Audio first, then the header that counts it: between the two the file is valid and merely shorter. Where there is
    /// no room for all of it, it stays as it was.
    fn write(&mut self) -> io::Result<()> {
        let patch = self.writer.patch();
        let audio = self.store.write_all_at(&patch.audio, patch.at);
        let written = audio.and_then(|()| self.store.write_all_at(&patch.header, 0));
        match written {
            Ok(()) => (self.length, self.duration) = (self.writer.length(), self.writer.duration()),
            Err(error) => {
                // Nothing reads what lies behind the end that the header tells, so this may fail too.
                let _ = self.store.cut(self.length);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Takes away the file of a recording that did not begin: nothing is in it, and nobody is told of it.
fn discard(directory: &Directory, path: &str) {
    if let Err(fault) = directory.remove(path) {
        tracing::warn!(?fault, "the file of a recording that could not begin stays");
    }
}

/// How long the audio in a chunk is.
fn length(chunk: &Chunk) -> Duration {
    let Some((rate, samples)) = chunk.length() else { return Duration::ZERO };
    let nanos = u128::from(samples) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn fault(error: &io::Error) -> FileFault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            FileFault::DiskFull
        }
        _ => FileFault::Unreadable,
    }
}
