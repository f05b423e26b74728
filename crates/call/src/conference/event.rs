//! What applications are told of a conference (`sys.conf.on_*`), and what it answers when it is asked.

use std::time::Duration;

use offhook_media::event::VoiceMode;

use crate::cause::Failure;
use crate::disk::RecordedFile;
use crate::event::{Span, UnixMs};
use crate::id::{CallId, ConferenceId};

/// An event, and the conference it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which conference.
    pub conference: ConferenceId,
    /// When it happened.
    pub time: UnixMs,
    /// The `user_data` given to `construct`.
    pub user_data: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a conference.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A call is a member now.
    PartEntered {
        /// Which.
        call: CallId,
        /// How many members there are with it.
        parts: usize,
    },
    /// A call is no member any more.
    PartExited {
        /// Which.
        call: CallId,
        /// How many are left.
        parts: usize,
    },
    /// A member began or ended to talk (opt-in).
    Talking {
        /// Which.
        call: CallId,
        /// Whether it talks.
        talking: bool,
    },
    /// A play to all ended.
    PlayCompleted {
        /// Why it did not end by itself or by `play_stop`.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// The first file that could not be read to its end, where that is the error.
        file: Option<String>,
        /// How much was played.
        played: Duration,
    },
    /// A recording ended; its file is complete.
    RecordCompleted {
        /// Why.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// The file, as the application named it.
        file: String,
        /// The length of the recording.
        duration: Duration,
        /// What there is on the disk.
        recorded: RecordedFile,
    },
    /// The conference is over: its last event.
    Released {
        /// From its opening to its end.
        span: Span,
        /// Why.
        reason: Over,
    },
}

/// Why a conference is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// By `release`.
    Released,
    /// A member left, and too few were left then.
    PartsThreshold,
    /// It was as old as it might become.
    MaxSeconds,
    /// Nobody was in it for too long.
    Empty,
    /// The node ends.
    ShuttingDown,
}

impl Over {
    /// The word that logs have for it, which is that of events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::PartsThreshold => "parts_threshold",
            Self::MaxSeconds => "max_seconds",
            Self::Empty => "empty",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// What is known of a conference.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Which.
    pub conference: ConferenceId,
    /// When it was opened.
    pub begin: UnixMs,
    /// How many members it has.
    pub parts: usize,
    /// How many members are too few.
    pub threshold: i32,
    /// Whether something is played to all, beside the background.
    pub is_playing: bool,
    /// The file that is being recorded.
    pub record_file: Option<String>,
    /// The application's own mark.
    pub user_data: Option<String>,
}

/// A member of a conference.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which call.
    pub call: CallId,
    /// Whether it hears and is heard.
    pub mode: VoiceMode,
    /// How much louder the others hear it, in dB.
    pub volume: i8,
    /// Whether it talks now.
    pub talking: bool,
    /// The call's own mark.
    pub user_data: Option<String>,
}
