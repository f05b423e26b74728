//! What an application may ask of a conference (`sys.conf.*`).

use std::time::Duration;

use offhook_media::event::VoiceMode;

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
}
