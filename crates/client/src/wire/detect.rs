//! The methods that listen for other things than keys, and the words for what they hear.

use serde::{Deserialize, Serialize};

use super::Method;
#[cfg(feature = "schema")]
use super::limits::{KINDS_MAX, RES_ID_MAX, SECONDS_MAX};

/// Listens for other things than keys in what the far end sends, beside whatever the call does: it is no action, and
/// allowed in every state of an answered call, of both parties of a connection too. Whatever is heard is told by
/// `on_detected`, any number of times, until `detect_stop`, `max_seconds` or the end of the call; then comes exactly one
/// `on_detect_completed`. A second one before the end of the first is `invalid_state`.
///
/// `voice`: somebody begins to speak (`started`, 60 ms after) and stops (`stopped`, 300 ms after), with `duration_ms`. Tones
/// of networks, fax machines, mailboxes and keys are no talk; music and the noise of modems are.
///
/// `amd`: who answered, once, counted from this request, which belongs right after the answer. `human`: a greeting of at
/// most 6 words and less than 2 s of voice, then 800 ms of silence (`short_greeting`). `machine`: more voice
/// (`long_greeting`) or more words (`many_words`). `unsure`: nothing for 3 s (`initial_silence`), a tone and no word
/// (`tone`), or nothing clear after 6 s (`too_long`). A word is 100 ms of voice or more; a pause of less than 60 ms is
/// within it. Which tone it is, of the network or of a fax machine, is told by `tones` and `fax` where they are asked for.
///
/// `beep`: one tone of 400 to 2500 Hz for 100 ms to 2 s and then silence, for 200 ms; below 700 Hz, where networks have
/// their tones, for 0.7 s at most and then 1.1 s of silence. With `frequency_hz` and `duration_ms`. `ced` is none, nor is `cng`; but by itself the first tone
/// of a fax machine that calls is just like a beep of 1060 to 1140 Hz for 0.4 to 0.6 s. Such a one is a beep where
/// something else was heard for 200 ms in the 5 s before, a greeting, and otherwise not.
///
/// `tones`: what the network says: `busy`, `congestion`, `ringback`, `dial`, or `sit`, which comes before an announcement
/// of why there is no call. Each once, and again only after something else.
///
/// `fax`: `cng`, a fax machine that calls; `ced`, a fax machine or modem that has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DetectStart {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// What to listen for, each at most once.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = KINDS_MAX)))]
    pub kinds: Vec<DetectKind>,
    /// For how long at most, in seconds.
    #[serde(default = "a_minute")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
    /// The country whose call-progress tones are expected, by its code of two letters (ISO 3166); null for those that most
    /// have in common. What is busy in one is congestion in another, which only this tells apart.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 2, max = 2), extend("format" = "country")))]
    pub country: Option<String>,
}
method!(DetectStart = "sys.call.detect_start" -> ());

impl Default for DetectStart {
    fn default() -> Self {
        Self { res_id: String::new(), kinds: Vec::new(), max_seconds: a_minute(), country: None }
    }
}

fn a_minute() -> u32 {
    60
}

/// What can be listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DetectKind {
    /// Somebody speaks.
    Voice,
    /// A person or a machine has answered.
    Amd,
    /// A beep, such as that of a voice mailbox.
    Beep,
    /// Call-progress tones.
    Tones,
    /// The tones of fax machines and modems.
    Fax,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DetectResult {
    /// `voice`: somebody begins to speak.
    Started,
    /// `voice`: nobody speaks any more.
    Stopped,
    /// `amd`: a person has answered.
    Human,
    /// `amd`: a machine has.
    Machine,
    /// `amd`: it cannot be told.
    Unsure,
    /// `beep`: one is over.
    Beep,
    /// `tones`: the far end is busy.
    Busy,
    /// `tones`: the network is.
    Congestion,
    /// `tones`: the far end rings.
    Ringback,
    /// `tones`: the network waits for a number.
    Dial,
    /// `tones`: the special information tone.
    Sit,
    /// `fax`: a fax machine that calls.
    Cng,
    /// `fax`: a fax machine or modem that has answered.
    Ced,
}

/// What was told by, of `amd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DetectCause {
    /// A short greeting and then silence: human.
    ShortGreeting,
    /// A greeting that went on: machine.
    LongGreeting,
    /// A greeting of too many words: machine.
    ManyWords,
    /// Nothing was heard: unsure.
    InitialSilence,
    /// A tone of the network, of a fax machine or of another device was heard, and no word: unsure, and nobody who speaks.
    Tone,
    /// The time was over before anything was clear: unsure.
    TooLong,
}
