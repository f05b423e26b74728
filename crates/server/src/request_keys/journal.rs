//! Keys on the disk: two files of `node.data_dir`, a line for each time that a request begins and for what it came to.
//!
//! ```text
//!   request_keys      8c41…  {"at":…,"name":{…},"print":…}                          begun
//!                     05fe…  {"at":…,"name":{…},"print":…,"outcome":{"result":…}}   over
//!   request_keys.old  the same, of the day before
//! ```
//! A line begins with its own checksum, so that one which was cut off is known. It is handed to the kernel before the request
//! is carried out, and before its answer goes out: a process that is killed loses nothing. (Nothing waits for the disk
//! itself, as for recordings: a machine that loses its power may lose the last seconds, and every call with them.)
//!
//! Nothing is ever rewritten. When the first line of the file is older than a key is kept, or the file is large, it becomes
//! the old one, and what was the old one is gone.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use offhook_call::event::UnixMs;
use offhook_client::wire::ErrorData;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{BYTES_MAX, KEEP, Kept, Name, Outcome, Print, short_hash};
use crate::files;

/// The file, and the one of before.
const FILES: [&str; 2] = ["request_keys", "request_keys.old"];
/// How large the file gets before it becomes the old one: together they hold what the table holds.
const FILE_MAX: u64 = BYTES_MAX as u64 / 2;
/// The most notes that wait for the disk; then keyed requests are refused. It takes thousands a second.
const WAITING_MAX: usize = 1_024;
/// How many of them are written at a time.
const BATCH_MAX: usize = 256;
/// The longest line that is read: a name, and a result with the largest `user_data`, every byte of it escaped.
const LINE_MAX: u64 = 64 << 10;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Unix time in milliseconds.
    at: i64,
    name: Name,
    print: Print,
    /// None where the request begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    notes: SyncSender<Note>,
}

#[derive(Debug)]
struct Note {
    line: Vec<u8>,
    at: UnixMs,
    written: oneshot::Sender<io::Result<()>>,
}

/// Opens the files of `data_dir`, making them where they are missing: what is kept, and the way to write more.
pub(crate) fn open(data_dir: &Path, now: UnixMs) -> io::Result<(Vec<Kept>, Journal)> {
    files::make_private(data_dir)?;
    let [path, old] = FILES.map(|name| data_dir.join(name));
    let kept = read(&[&old, &path])?;
    let writer = Writer::open(path, old, now)?;
    let (notes, waiting) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("request-keys".to_owned()).spawn(move || writer.run(&waiting))?;
    Ok((kept, Journal { notes }))
}

impl Journal {
    /// Notes that a request begins, or what it came to. Returns when that would survive the end of the process.
    pub(crate) async fn note(
        &self,
        at: UnixMs,
        name: &Name,
        print: Print,
        outcome: Option<Outcome>,
    ) -> Result<(), NotNoted> {
        let line = encode(&Line { at: at.0, name: name.clone(), print, outcome });
        let (written, answer) = oneshot::channel();
        match self.notes.try_send(Note { line, at, written }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(NotNoted::Full { limit: WAITING_MAX }),
            Err(TrySendError::Disconnected(_)) => {
                return Err(NotNoted::Disk(io::ErrorKind::BrokenPipe.into()));
            }
        }
        match answer.await {
            Ok(result) => result.map_err(NotNoted::Disk),
            Err(_) => Err(NotNoted::Disk(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// Why something is not on the disk.
#[derive(Debug)]
pub(crate) enum NotNoted {
    /// Too much waits for it.
    Full {
        /// How much may.
        limit: usize,
    },
    /// It cannot be written.
    Disk(io::Error),
}

struct Writer {
    path: PathBuf,
    old: PathBuf,
    file: File,
    bytes: u64,
    /// When the first line of the file was written.
    since: UnixMs,
}

impl Writer {
    fn open(path: PathBuf, old: PathBuf, now: UnixMs) -> io::Result<Self> {
        let since = lines(&path)?.next().map_or(now, |line| UnixMs(line.at));
        let mut file = open_to_append(&path)?;
        let bytes = file.metadata()?.len();
        if bytes > 0 {
            // What was cut off is a line of its own, which no checksum fits.
            file.write_all(b"\n")?;
        }
        Ok(Self { path, old, file, bytes: bytes + 1, since })
    }

    /// Writes until nobody can have anything to note.
    fn run(mut self, waiting: &Receiver<Note>) {
        while let Ok(first) = waiting.recv() {
            let batch: Vec<Note> =
                std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1)).collect();
            let at = batch.last().map_or(self.since, |note| note.at);
            let lines: Vec<u8> = batch.iter().flat_map(|note| note.line.iter().copied()).collect();
            let result = self.write(&lines, at);
            if let Err(error) = &result {
                tracing::error!(%error, path = %self.path.display(), "request keys cannot be kept");
            }
            for note in batch {
                // Nobody may wait any more.
                let _ = note.written.send(match &result {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.kind().into()),
                });
            }
        }
    }

    /// Whether the file still has its name: what is written to one that was taken away nobody reads.
    fn is_in_place(&self) -> io::Result<bool> {
        let (ours, there) = (self.file.metadata()?, fs::metadata(&self.path));
        Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }

    fn write(&mut self, lines: &[u8], at: UnixMs) -> io::Result<()> {
        if !self.is_in_place()? {
            files::make_private(self.path.parent().unwrap_or(&self.path))?;
            self.file = open_to_append(&self.path)?;
            (self.bytes, self.since) = (0, at);
            tracing::error!(path = %self.path.display(), "request keys were taken away, and are lost at the next start");
        }
        let age = at.0.saturating_sub(self.since.0);
        if self.bytes > FILE_MAX || u128::try_from(age).is_ok_and(|age| age > KEEP.as_millis()) {
            fs::rename(&self.path, &self.old)?;
            self.file = open_to_append(&self.path)?;
            (self.bytes, self.since) = (0, at);
        }
        let written = self.file.write_all(lines);
        self.bytes += lines.len() as u64;
        if written.is_err() {
            // Half a line may be there: the next one must not go on in it.
            let _ = self.file.write_all(b"\n");
        }
        written
    }
}

/// Results may hold what is nobody else's business.
fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What the files keep, oldest first. A request that began and has no outcome was cut off by the end of the node: nobody
/// knows what came of it, and that is its outcome.
fn read(paths: &[&Path]) -> io::Result<Vec<Kept>> {
    let mut last: HashMap<Name, usize> = HashMap::new();
    let mut kept = Vec::new();
    for path in paths {
        for Line { at, name, print, outcome } in lines(path)? {
            let outcome = outcome.unwrap_or(Outcome::Error(ErrorData::OutcomeUnknown));
            let line = Kept { at: UnixMs(at), name: name.clone(), print, outcome };
            // The last line of a name counts, where nothing was done there is nothing to keep.
            if let Some(before) = last.insert(name, kept.len()) {
                kept[before] = None;
            }
            kept.push(Some(line).filter(|line| line.outcome.is_final()));
        }
    }
    Ok(kept.into_iter().flatten().collect())
}

/// The lines of a file that are whole.
fn lines(path: &Path) -> io::Result<impl Iterator<Item = Line> + use<>> {
    let file = match File::open(path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut reader = file;
    Ok(std::iter::from_fn(move || next_line(reader.as_mut()?)))
}

fn next_line(reader: &mut BufReader<File>) -> Option<Line> {
    loop {
        let mut line = Vec::new();
        let read = io::Read::take(&mut *reader, LINE_MAX).read_until(b'\n', &mut line);
        if line.is_empty() || read.is_err() {
            return None;
        }
        if let Some(line) = decode(&line) {
            return Some(line);
        }
    }
}

fn encode(line: &Line) -> Vec<u8> {
    let json = serde_json::to_vec(line).expect("a line is strings and numbers");
    let mut text = format!("{:032x} ", short_hash(&[&json])).into_bytes();
    text.extend(json);
    text.push(b'\n');
    text
}

fn decode(text: &[u8]) -> Option<Line> {
    let (sum, json) = text.strip_suffix(b"\n").unwrap_or(text).split_at_checked(33)?;
    let sum = u128::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    if sum != short_hash(&[json]) {
        return None;
    }
    serde_json::from_slice(json).ok()
}
