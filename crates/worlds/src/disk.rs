//! A disk that is slow, full, or does not answer. Held against the calls: no file is left open by anybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use offhook_call::error::FileFault;
use offhook_call::{DiskEvent, DiskJob, JobId, PromptFault, RecordedFile};
use offhook_media::event::{Codec, Prompt, RecordingId};

use crate::{chance, soon};

/// What there is of every recording that failed is so long.
const LENGTH: Duration = Duration::from_secs(1);
/// What there is of every recording that ended.
const FILE: RecordedFile = RecordedFile { bytes: 8_058, parts: 1, gaps: Duration::ZERO };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Open,
    Failed,
    Closed,
}

/// What the disk is going to do.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It answers.
    Answer(DiskEvent),
    /// A file is open.
    Open(JobId, RecordingId),
    /// It cannot write to a file any more.
    Fail(RecordingId),
    /// A file is complete.
    Close(RecordingId),
}

/// A deed, and in how many milliseconds it is done.
pub type Later = (u64, Deed);

/// The files that were ever opened.
#[derive(Debug, Default)]
pub struct Disk {
    files: HashMap<RecordingId, File>,
}

impl Disk {
    /// At the end of the world.
    pub fn end(&self) {
        let open: Vec<_> = self.files.iter().filter(|&(_, &file)| file == File::Open).collect();
        assert!(open.is_empty(), "files left open: {open:?}");
    }

    /// What comes of a question; nothing where it is never answered.
    pub fn ask(&self, rng: &mut fastrand::Rng, job: JobId, request: DiskJob) -> Option<Later> {
        match request {
            DiskJob::AbandonRecording { recording } | DiskJob::DiscardRecording { recording } => {
                return Some((soon(rng, 50), Deed::Close(recording)));
            }
            // What was on its way comes all the same.
            DiskJob::AbandonPrompts { .. } => return None,
            DiskJob::LoadPrompts { .. } | DiskJob::OpenRecording { .. } => {}
        }
        let fault = chance(rng, 8).then(|| {
            let faults = [FileFault::NotFound, FileFault::Forbidden, FileFault::Exists, FileFault::DiskFull];
            *rng.choice(&faults).expect("four")
        });
        let answer = match request {
            DiskJob::LoadPrompts { sources, codec } => {
                let loaded = sources.iter().map(|_| prompt(rng, codec)).collect();
                let result =
                    fault.map_or(Ok(loaded), |fault| Err(PromptFault { fault, source: "p.wav".into() }));
                Deed::Answer(DiskEvent::Prompts { job, result })
            }
            DiskJob::OpenRecording { recording, .. } => match fault {
                Some(fault) => Deed::Answer(DiskEvent::RecordingOpened { job, result: Err(fault) }),
                None => Deed::Open(job, recording),
            },
            DiskJob::AbandonPrompts { .. }
            | DiskJob::AbandonRecording { .. }
            | DiskJob::DiscardRecording { .. } => unreachable!("above"),
        };
        match rng.u8(..50) {
            // It does not answer.
            0 => None,
            1 => Some((11_000, answer)),
            _ => Some((soon(rng, 300), answer)),
        }
    }

    /// The engine has handed out the last of a recording.
    pub fn end_mark(rng: &mut fastrand::Rng, recording: RecordingId) -> Later {
        let delay = if chance(rng, 95) { soon(rng, 50) } else { 4_000 };
        (delay, Deed::Close(recording))
    }

    /// The disk does something: what it says, and what it will do later.
    pub fn act(&mut self, rng: &mut fastrand::Rng, deed: Deed) -> (Option<DiskEvent>, Option<Later>) {
        match deed {
            Deed::Answer(event) => (Some(event), None),
            Deed::Open(job, recording) => {
                let before = self.files.insert(recording, File::Open);
                assert!(before.is_none(), "{recording:?} opened twice");
                let fails = chance(rng, 10).then(|| (soon(rng, 6_000), Deed::Fail(recording)));
                (Some(DiskEvent::RecordingOpened { job, result: Ok(()) }), fails)
            }
            Deed::Fail(recording) => {
                let fault = if rng.bool() { FileFault::DiskFull } else { FileFault::Unreadable };
                let failed = self.becomes(recording, File::Failed);
                (
                    failed.then_some(DiskEvent::RecordingFailed {
                        recording,
                        fault,
                        file: FILE,
                        duration: LENGTH,
                    }),
                    None,
                )
            }
            Deed::Close(recording) => {
                let closed = self.becomes(recording, File::Closed);
                (closed.then_some(DiskEvent::RecordingClosed { recording, file: FILE }), None)
            }
        }
    }

    /// Whether an open file became something else.
    fn becomes(&mut self, recording: RecordingId, next: File) -> bool {
        match self.files.get_mut(&recording) {
            Some(file @ File::Open) => {
                *file = next;
                true
            }
            _ => false,
        }
    }
}

/// A tenth of a second of something, or nothing.
fn prompt(rng: &mut fastrand::Rng, codec: Codec) -> Arc<Prompt> {
    let length = if chance(rng, 10) { 0 } else { 800 };
    Arc::new(Prompt::new(codec, vec![0; length]))
}
