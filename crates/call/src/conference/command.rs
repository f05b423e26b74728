//! What an application may ask of a conference (`sys.conf.*`).

use std::time::Duration;

use offhook_media::event::{RecordFormat, VoiceMode};

use crate::command::Content;
use crate::id::CallId;

/// A conference to open.
#[derive(Clone, Debug)]
pub struct Construct {
    /// How long it lasts at most.
    pub max: Duration,
    /// How many members are too few for it to go on, once a second one has been in; negative: it goes on with none.
    pub threshold: i32,
    /// The application's own mark.
    pub user_data: Option<String>,
    /// What is heard under the talk, over and over.
    pub background: Option<Content>,
    /// A recording from its opening to its end.
    pub record: Option<RecordFile>,
}

/// A file that a conference is recorded in; one that exists is not replaced.
#[derive(Clone, Debug)]
pub struct RecordFile {
    /// Its name, relative to the recordings directory.
    pub file: String,
    /// Its format.
    pub format: RecordFormat,
}

/// What may be asked of a conference that is there.
#[derive(Clone, Debug)]
pub enum Command {
    /// End it: its members go back to Idle.
    Release,
    /// Whether it is there: true until its `on_released`.
    Exists,
    /// Restart the clock of a conference without members.
    Nop,
    /// What is known of it.
    Get,
    /// Its members.
    GetParts,
    /// Change whether a member hears and is heard.
    SetVoiceMode {
        /// Which.
        call: CallId,
        /// How from now on.
        mode: VoiceMode,
    },
    /// Change how loud the others hear a member.
    SetVolume {
        /// Which.
        call: CallId,
        /// How much louder than it is, in dB.
        volume: i8,
    },
    /// Change how many members are too few. It counts when the next one leaves.
    SetThreshold {
        /// As in [`Construct::threshold`].
        value: i32,
    },
    /// Take a member out.
    Kick {
        /// Which.
        call: CallId,
        /// Why, as the application has it: a SIP status, 300–699.
        cause: u16,
    },
    /// Play to all members.
    PlayStart {
        /// What.
        content: Content,
        /// Whether over and over.
        is_loop: bool,
    },
    /// End that; where nothing is played there is nothing to end.
    PlayStop,
    /// Record what all members say and hear.
    RecordStart {
        /// Where.
        record: RecordFile,
        /// The longest recording.
        max: Duration,
    },
    /// End that; where nothing is recorded there is nothing to end.
    RecordStop,
}

impl Command {
    /// The call that is named as a member.
    pub(crate) fn member(&self) -> Option<CallId> {
        match self {
            Self::SetVoiceMode { call, .. } | Self::SetVolume { call, .. } | Self::Kick { call, .. } => {
                Some(*call)
            }
            _ => None,
        }
    }
}
