//! What the disk is asked, and what it says. Files are read and written off the control thread, so every question is
//! answered later, in any order, or never: a call that asked does not wait for ever.

use std::sync::Arc;
use std::time::Duration;

use offhook_media::event::{Codec, Prompt, RecordSpec, RecordingId};

use crate::error::{Error, FileFault};

/// A question to the disk, answered by [`Calls::disk`](crate::Calls::disk). Chosen by [`Calls`](crate::Calls), never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What the disk is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskJob {
    /// Load prompts, encoded for a leg.
    LoadPrompts {
        /// The files.
        files: Vec<PromptFile>,
        /// The codec they are wanted in.
        codec: Codec,
    },
    /// Open a recording file.
    OpenRecording {
        /// The file to be, relative to the recordings directory.
        file: String,
        /// What it will be.
        spec: RecordSpec,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// The name its audio goes by.
        recording: RecordingId,
    },
    /// Close a recording to which no leg will send an end mark, because the request for it was overtaken.
    AbandonRecording {
        /// Which.
        recording: RecordingId,
    },
}

/// A prompt file, and how it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptFile {
    /// Its name, relative to the prompts directory.
    pub name: String,
    /// How much louder, in dB.
    pub gain_db: i8,
    /// Which item of a list it comes from, the first being 0; none where there was no list.
    pub item: Option<usize>,
}

/// A prompt file that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFault {
    /// What is wrong with it.
    pub fault: FileFault,
    /// Which one.
    pub file: PromptFile,
}

impl From<PromptFault> for Error {
    fn from(PromptFault { fault, file }: PromptFault) -> Self {
        Self::File { fault, file: file.name, item: file.item }
    }
}

impl From<&str> for PromptFile {
    /// A file as loud as it is.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// What the disk says.
#[derive(Clone, Debug)]
pub enum DiskEvent {
    /// The prompts of a job, in its order.
    Prompts {
        /// Which job.
        job: JobId,
        /// The prompts, or the first that is not to be had.
        result: Result<Vec<Arc<Prompt>>, PromptFault>,
    },
    /// The recording of a job is open.
    RecordingOpened {
        /// Which job.
        job: JobId,
        /// Or why not.
        result: Result<(), FileFault>,
    },
    /// Writing failed; what was written until then is a complete file. Audio that still comes is thrown away.
    RecordingFailed {
        /// Which.
        recording: RecordingId,
        /// Why.
        fault: FileFault,
        /// What there is.
        file: RecordedFile,
    },
    /// The end mark of a recording has been written and its file is complete.
    RecordingClosed {
        /// Which.
        recording: RecordingId,
        /// What there is.
        file: RecordedFile,
    },
}

/// What the disk has of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedFile {
    /// Bytes, of all parts.
    pub bytes: u64,
    /// Files: one, and another for each 4 GiB.
    pub parts: u32,
    /// Audio that a disk that stood still has cost, and that is silence in the file.
    pub gaps: Duration,
}
