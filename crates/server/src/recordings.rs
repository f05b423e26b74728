//! The recording thread: opens, writes and completes recording files, off the control and media threads.
//!
//! Each chunk of audio (at most 200 ms) is appended and then the header is written anew in place, so the file is a
//! valid one at every moment, however the process ends (`reliability.md` D1).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use offhook_call::error::FileFault;
use offhook_call::{DiskEvent, JobId};
use offhook_media::event::{Audio, Chunk, RecordFormat, RecordingId};
use offhook_media::file::WavHeader;
use tokio::sync::mpsc;

use crate::files::Directory;
use crate::input::Input;

/// Messages that may wait for the disk: with 500 recordings of five chunks a second, a stall of 3 s. What comes beyond
/// waits in the media threads' outboxes.
const INBOX: usize = 8_192;

/// What the recording thread is told.
#[derive(Debug)]
pub enum ToDisk {
    /// Open a file.
    Open {
        /// The name of the answer.
        job: JobId,
        /// Relative to the recordings directory.
        file: String,
        /// Its format.
        format: RecordFormat,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// The name that its audio goes by.
        recording: RecordingId,
    },
    /// Audio of an open file.
    Audio(Audio),
}

/// Starts the thread; it ends when all senders are gone.
pub fn start(directory: Directory, control: mpsc::Sender<Input>) -> io::Result<SyncSender<ToDisk>> {
    let (sender, inbox) = sync_channel(INBOX);
    std::thread::Builder::new()
        .name("recordings".to_owned())
        .spawn(move || Recorder { directory, control, open: HashMap::new() }.run(&inbox))?;
    Ok(sender)
}

struct Recorder {
    directory: Directory,
    control: mpsc::Sender<Input>,
    open: HashMap<RecordingId, Recording>,
}

impl Recorder {
    fn run(mut self, inbox: &Receiver<ToDisk>) {
        while let Ok(message) = inbox.recv() {
            match message {
                ToDisk::Open { job, file, format, overwrite, recording } => {
                    let result = self.open(&file, format, overwrite, recording);
                    self.tell(DiskEvent::RecordingOpened { job, result });
                }
                ToDisk::Audio(Audio { recording, chunk: Chunk::Data(data) }) => self.append(recording, &data),
                ToDisk::Audio(Audio { recording, chunk: Chunk::End }) => self.close(recording),
            }
        }
    }

    fn open(
        &mut self,
        file: &str,
        format: RecordFormat,
        overwrite: bool,
        recording: RecordingId,
    ) -> Result<(), FileFault> {
        let file = self.directory.create(file, overwrite)?;
        let opened = Recording::begin(file, format).map_err(|error| fault(&error))?;
        self.open.insert(recording, opened);
        Ok(())
    }

    /// A failed recording is told once and closed as it is; audio that still comes finds no file and goes nowhere.
    fn append(&mut self, id: RecordingId, data: &[u8]) {
        let Some(recording) = self.open.get_mut(&id) else { return };
        if let Err(error) = recording.append(data) {
            tracing::error!(recording = id.0, %error, "recording cut off");
            self.open.remove(&id);
            self.tell(DiskEvent::RecordingFailed { recording: id, fault: fault(&error) });
        }
    }

    fn close(&mut self, id: RecordingId) {
        let Some(recording) = self.open.remove(&id) else { return };
        match recording.complete() {
            Ok(bytes) => self.tell(DiskEvent::RecordingClosed { recording: id, bytes }),
            Err(error) => self.tell(DiskEvent::RecordingFailed { recording: id, fault: fault(&error) }),
        }
    }

    fn tell(&self, event: DiskEvent) {
        // This thread may wait for the control loop; nothing that must not wait waits for this thread.
        let _ = self.control.blocking_send(Input::Disk(event));
    }
}

/// One open file.
struct Recording {
    file: File,
    header: WavHeader,
    /// Bytes of audio in the file.
    length: u64,
}

impl Recording {
    fn begin(mut file: File, format: RecordFormat) -> io::Result<Self> {
        let header = WavHeader::new(format);
        file.write_all(&header.header_bytes(0))?;
        Ok(Self { file, header, length: 0 })
    }

    /// Audio first, then the header that counts it: between the two the file is valid and merely shorter.
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.length += data.len() as u64;
        self.file.write_all_at(&self.header.header_bytes(self.length), 0)
    }

    /// Adds what the container wants at its end, and tells the size of the file.
    fn complete(mut self) -> io::Result<u64> {
        self.file.write_all(self.header.padding(self.length))?;
        Ok(self.file.metadata()?.len())
    }
}

fn fault(error: &io::Error) -> FileFault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileFault::DiskFull,
        _ => FileFault::Unreadable,
    }
}
