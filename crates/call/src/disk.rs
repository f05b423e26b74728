//! What the disk is asked, and what it says. Files are read and written off the control thread, so every question is
//! answered later, in any order, or never: a call that asked does not wait for ever.

use std::sync::Arc;
use std::time::Duration;

use offhook_media::event::{Codec, Country, Prompt, RecordSpec, RecordingId};

use crate::error::{Error, FileFault};
use crate::prompt::Language;

/// A question to the disk, answered by [`Calls::disk`](crate::Calls::disk). Chosen by [`Calls`](crate::Calls), never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What the disk is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskJob {
    /// Load prompts, encoded for a leg.
    LoadPrompts {
        /// What they are made of.
        sources: Vec<PromptSource>,
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
    /// Let a text of a job be: nobody waits for its prompts any more, and no answer need come.
    AbandonPrompts {
        /// Which.
        job: JobId,
    },
    /// Close a recording to which no end mark has come in time.
    AbandonRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Remove a recording that was opened when the request for it had been overtaken: nothing will ever be in it.
    DiscardRecording {
        /// Which.
        recording: RecordingId,
    },
}

impl DiskJob {
    /// The first text that has to be spoken for it, which may take seconds.
    pub(crate) fn text(&self) -> Option<&PromptSource> {
        let Self::LoadPrompts { sources, .. } = self else { return None };
        sources.iter().find(|source| matches!(source.sound, Sound::Speech(_)))
    }
}

/// What a prompt is made of, and how it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSource {
    /// What is heard.
    pub sound: Sound,
    /// How much louder, in dB.
    pub gain_db: i8,
    /// Which item of a list it comes from, the first being 0; none where there was no list.
    pub item: Option<usize>,
}

/// What a prompt lets hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A file, by its name relative to the prompts directory.
    File(String),
    /// One turn of the tone that tells that a far end rings, to be heard over and over.
    RingBack(Country),
    /// A text that is spoken.
    Speech(Speech),
}

/// A text to be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// What is said.
    pub text: String,
    /// In which language.
    pub language: Language,
    /// By which voice, as whoever speaks calls it; none for that of the language.
    pub voice: Option<String>,
}

impl Sound {
    /// What it is called in errors and logs: a file by its name, a text by itself.
    pub fn name(&self) -> &str {
        match self {
            Self::File(name) => name,
            Self::RingBack(country) => country.code(),
            Self::Speech(speech) => &speech.text,
        }
    }
}

/// A prompt that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFault {
    /// What is wrong with it.
    pub fault: FileFault,
    /// Which one.
    pub source: PromptSource,
}

impl PromptFault {
    /// What is the fault of none in particular: it is told of the first.
    pub fn of_first(sources: &[PromptSource], fault: FileFault) -> Self {
        Self { fault, source: sources.first().cloned().unwrap_or_else(|| "".into()) }
    }
}

impl From<PromptFault> for Error {
    /// Of whichever parameter (`Error::about`).
    fn from(PromptFault { fault, source }: PromptFault) -> Self {
        Self::File { fault, param: "", file: source.sound.name().to_owned(), item: source.item }
    }
}

impl From<Sound> for PromptSource {
    /// As loud as it is.
    fn from(sound: Sound) -> Self {
        Self { sound, gain_db: 0, item: None }
    }
}

impl From<&str> for PromptSource {
    /// A file as loud as it is.
    fn from(name: &str) -> Self {
        Sound::File(name.to_owned()).into()
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
        /// How long that is.
        duration: Duration,
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
