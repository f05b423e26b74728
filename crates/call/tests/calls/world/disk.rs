//! A disk that is slow, full, or does not answer. Held against the calls: no file is left open by anybody.

use std::collections::HashMap;
use std::time::Duration;

use offhook_call::error::FileFault;
use offhook_call::{DiskEvent, DiskJob, JobId, PromptFault, RecordedFile};
use offhook_media::event::{Codec, Prompt, RecordingId};

use super::{Happening, World};

/// What there is of every recording that ended.
const FILE: RecordedFile = RecordedFile { bytes: 8_058, parts: 1, gaps: Duration::ZERO };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Open,
    Failed,
    Closed,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    files: HashMap<RecordingId, File>,
}

impl Disk {
    /// At the end of the world.
    pub(super) fn end(&self) {
        let open: Vec<_> = self.files.iter().filter(|&(_, &file)| file == File::Open).collect();
        assert!(open.is_empty(), "files left open: {open:?}");
    }
}

impl World {
    pub(super) fn ask_disk(&mut self, job: JobId, request: DiskJob) {
        if let DiskJob::AbandonRecording { recording } = request {
            return self.soon(50, Happening::FileCloses(recording));
        }
        let fault = self.chance(8).then(|| {
            let faults = [FileFault::NotFound, FileFault::Forbidden, FileFault::Exists, FileFault::DiskFull];
            *self.rng.choice(&faults).expect("four")
        });
        let answer = match request {
            DiskJob::LoadPrompts { sources, codec } => {
                let loaded = sources.iter().map(|_| self.prompt(codec)).collect();
                let result =
                    fault.map_or(Ok(loaded), |fault| Err(PromptFault { fault, source: "p.wav".into() }));
                Happening::Disk(DiskEvent::Prompts { job, result })
            }
            DiskJob::OpenRecording { recording, .. } => match fault {
                Some(fault) => Happening::Disk(DiskEvent::RecordingOpened { job, result: Err(fault) }),
                None => Happening::FileOpen(job, recording),
            },
            DiskJob::AbandonRecording { .. } => unreachable!("above"),
        };
        match self.rng.u8(..50) {
            // It does not answer.
            0 => {}
            1 => self.later(11_000, answer),
            _ => self.soon(300, answer),
        }
    }

    fn prompt(&mut self, codec: Codec) -> std::sync::Arc<Prompt> {
        let length = if self.chance(10) { 0 } else { 800 };
        std::sync::Arc::new(Prompt::new(codec, vec![0; length]))
    }

    /// The engine has handed out the last of a recording.
    pub(super) fn end_mark(&mut self, recording: RecordingId) {
        if self.chance(95) {
            self.soon(50, Happening::FileCloses(recording));
        } else {
            self.later(4_000, Happening::FileCloses(recording));
        }
    }

    pub(super) fn disk(&mut self, happening: Happening) {
        let event = match happening {
            Happening::Disk(event) => event,
            Happening::FileOpen(job, recording) => {
                let before = self.disk.files.insert(recording, File::Open);
                assert!(before.is_none(), "{recording:?} opened twice");
                if self.chance(10) {
                    self.soon(6_000, Happening::FileFails(recording));
                }
                DiskEvent::RecordingOpened { job, result: Ok(()) }
            }
            Happening::FileFails(recording) if self.become_file(recording, File::Failed) => {
                let fault = if self.rng.bool() { FileFault::DiskFull } else { FileFault::Unreadable };
                DiskEvent::RecordingFailed { recording, fault, file: FILE }
            }
            Happening::FileCloses(recording) if self.become_file(recording, File::Closed) => {
                DiskEvent::RecordingClosed { recording, file: FILE }
            }
            _ => return,
        };
        self.calls.disk(self.now(), event);
    }

    /// Whether an open file became something else.
    fn become_file(&mut self, recording: RecordingId, next: File) -> bool {
        match self.disk.files.get_mut(&recording) {
            Some(file @ File::Open) => {
                *file = next;
                true
            }
            _ => false,
        }
    }
}
