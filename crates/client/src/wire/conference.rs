//! The methods of conferences (`sys.conf.*`), and those of a call that is in one.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::limits::{
    CAUSE_MAX, CAUSE_MIN, FILE_NAME_MAX, FILES_LENGTH_MAX, PAGE_MAX, PARTS_MAX, PARTS_MIN, RES_ID_MAX,
    SECONDS_MAX, USER_DATA_MAX, VOLUME_MAX, VOLUME_MIN, WORD_MAX,
};
use super::params::{hundred, mu_law, one};
use super::{Content, Method, Recording};

methods_of! {
    "The conference."
    /// Ends a conference: its members go back to Idle, each with its `on_conf_completed`; then `on_released`.
    ConfRelease = "sys.conf.release" -> ();
    /// Whether there is such a conference; never an error.
    ConfExists = "sys.conf.exists" -> bool;
    /// Restarts the clock of a conference without members.
    ConfNop = "sys.conf.nop" -> ();
    /// What is known of a conference.
    ConfGet = "sys.conf.get" -> ConferenceInfo;
    /// Ends what is played to all: `on_play_completed` without an error; and what is heard of those who have entered. Where
    /// nothing is played there is nothing to end.
    ConfPlayStop = "sys.conf.play_stop" -> ();
    /// Ends the recording: `on_record_completed` with the error `stopped`; the file is complete. Where nothing is recorded
    /// there is nothing to end.
    ConfRecordStop = "sys.conf.record_stop" -> ();
    /// The members of a conference.
    GetParts = "sys.conf.get_parts" -> Vec<PartInfo>;
}

/// Opens a conference. It is released by `release`, when it is `max_seconds` old, when a member leaves and too few are
/// left (`parts_threshold`), and when nobody is in it for 180 s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfConstruct {
    /// How long it lasts at most, in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
    /// A recording from its opening to its end, which is told by `on_record_completed` with the error `conf_released` (or
    /// `max_seconds`, where that is its end): a file,
    /// relative to the recordings directory. One that exists is not replaced. Null or empty: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILE_NAME_MAX), extend("format" = "file-name")))]
    pub record_file: Option<String>,
    /// Its format, as of `sys.call.record_start`.
    #[serde(default = "mu_law")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [1, 2, 3, 4, 5, 6, 7, 8])))]
    pub record_format: u32,
    /// A file of the prompts directory, or several joined by `|`, played under the talk over and over, as loud as
    /// `media.conference_background_db` says; null or empty: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILES_LENGTH_MAX), extend("format" = "file-names")))]
    pub bg_file: Option<String>,
    /// Once a second member has been in: released when a member leaves and no more than so many are left. 1: when one is
    /// left, 0: when it is empty, negative: never by count.
    #[serde(default = "one_part")]
    #[cfg_attr(feature = "schema", schemars(range(min = PARTS_MIN, max = PARTS_MAX)))]
    pub parts_threshold: i32,
    /// The application's own mark, at most 4096 bytes; every event of the conference but `on_talking` carries it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = USER_DATA_MAX), extend("format" = "text")))]
    pub user_data: Option<String>,
    /// The node where it shall be: null or the `a.b.c` of this one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = WORD_MAX), extend("format" = "node-id")))]
    pub node: Option<String>,
}
method!(ConfConstruct = "sys.conf.construct" -> ConferenceConstructed);

impl Default for ConfConstruct {
    fn default() -> Self {
        Self {
            max_seconds: 0,
            record_file: None,
            record_format: mu_law(),
            bg_file: None,
            parts_threshold: one_part(),
            user_data: None,
            node: None,
        }
    }
}

/// The result of `sys.conf.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConferenceConstructed {
    /// The new conference.
    pub res_id: String,
}

/// Why a conference is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConferenceOver {
    /// By `release`.
    Released,
    /// A member left, and no more than `parts_threshold` were left.
    PartsThreshold,
    /// It was `max_seconds` old.
    MaxSeconds,
    /// Nobody was in it for 180 s.
    Empty,
    /// The node ends.
    ShuttingDown,
    /// The node was killed, or its machine went down: the next start tells it, with the time of that.
    CutOff,
}

/// The result of `sys.conf.get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConferenceInfo {
    /// The conference.
    pub res_id: String,
    /// When it began, Unix time in seconds.
    pub begin_time: i64,
    /// How many members it has.
    pub parts: u64,
    /// As given to `construct` or `set_parts_threshold`.
    pub parts_threshold: i32,
    /// Whether something is played to all by `play_start`.
    pub playing: bool,
    /// The file that is being recorded.
    pub record_file: Option<String>,
    /// As given to `construct`.
    pub user_data: Option<String>,
}

/// One of the results of `sys.conf.get_parts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartInfo {
    /// The call.
    pub res_id: String,
    /// 1 it hears and speaks, 2 it speaks only, 3 it hears only, 4 neither.
    pub voice_mode: u32,
    /// How much louder than it speaks the others hear it, in dB.
    pub volume: i32,
    /// Whether it talks now.
    pub talking: bool,
    /// As given to `construct` or `answer` of the call.
    pub user_data: Option<String>,
}

/// A page of conferences, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfList {
    /// Only those after this one: the last of the page before.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default = "hundred")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = PAGE_MAX)))]
    pub limit: u32,
}
method!(ConfList = "sys.conf.list" -> Vec<String>);

impl Default for ConfList {
    fn default() -> Self {
        Self { after: None, limit: hundred() }
    }
}

/// Changes whether a member of a conference hears and is heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPartVoiceMode {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The member.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub call_res_id: String,
    /// 1 it hears and speaks, 2 it speaks only, 3 it hears only, 4 neither.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 4)))]
    pub mode: u32,
}
method!(SetPartVoiceMode = "sys.conf.set_part_voice_mode" -> ());

/// Changes how loud the others hear a member of a conference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPartVolume {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The member.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub call_res_id: String,
    /// How much louder than it speaks, in dB.
    #[cfg_attr(feature = "schema", schemars(range(min = VOLUME_MIN, max = VOLUME_MAX)))]
    pub volume: i32,
}
method!(SetPartVolume = "sys.conf.set_part_volume" -> ());

/// Changes how many members are too few; it counts when the next one leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPartsThreshold {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// As `parts_threshold` of `construct`.
    #[cfg_attr(feature = "schema", schemars(range(min = PARTS_MIN, max = PARTS_MAX)))]
    pub value: i32,
}
method!(SetPartsThreshold = "sys.conf.set_parts_threshold" -> ());

/// Takes a member out of a conference: its `on_conf_completed` has the error `kicked`. The call goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The member.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub call_res_id: String,
    /// Why: a SIP status, the `sip_status` of that error.
    #[cfg_attr(feature = "schema", schemars(range(min = CAUSE_MIN, max = CAUSE_MAX)))]
    pub cause: u16,
}
method!(Kick = "sys.conf.kick" -> ());

/// Plays files to all members of a conference, over their talk; ends with `sys.conf.on_play_completed`. One at a time: a second
/// one is `limit_reached` (`conference_plays`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfPlayStart {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// What to play, as of `sys.call.play_start`.
    pub content: Content,
    /// Whether it is played over and over.
    #[serde(default)]
    pub is_loop: bool,
}
method!(ConfPlayStart = "sys.conf.play_start" -> ());

/// Records what all members say, and what is played to all; ends with `sys.conf.on_record_completed`. One at a time: a second one
/// is `limit_reached` (`conference_recordings`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfRecordStart {
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The file, relative to the recordings directory; missing folders are made. One that exists is not replaced.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = FILE_NAME_MAX), extend("format" = "file-name")))]
    pub record_file: String,
    /// As of `sys.call.record_start`; 7 and 8 have 16 kHz here, whoever is in.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [1, 2, 3, 4, 5, 6, 7, 8])))]
    pub record_format: u32,
    /// The longest recording in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
}
method!(ConfRecordStart = "sys.conf.record_start" -> Recording);

impl Default for ConfRecordStart {
    fn default() -> Self {
        Self { res_id: String::new(), record_file: String::new(), record_format: mu_law(), max_seconds: 0 }
    }
}

/// Lets a call enter a conference; ends with `on_conf_completed`. A play, a recording and keys that are sent or collected
/// are stopped first, as by their own stops, and complete, also where the conference is over by then; a `play_file` that is not to
/// be had stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfEnter {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The conference.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub conf_res_id: String,
    /// The longest stay in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
    /// 1 it hears and speaks, 2 it speaks only, 3 it hears only, 4 neither.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 4)))]
    pub voice_mode: u32,
    /// How much louder than it speaks the others hear it, in dB.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = VOLUME_MIN, max = VOLUME_MAX)))]
    pub volume: i32,
    /// A file of the prompts directory, or several joined by `|`, that all members hear when it enters, itself included, until
    /// their end, its leaving or `sys.conf.play_stop`; of more than four at once the oldest gives way. Null or empty: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILES_LENGTH_MAX), extend("format" = "file-names")))]
    pub play_file: Option<String>,
}
method!(ConfEnter = "sys.call.conf_enter" -> ());

impl Default for ConfEnter {
    fn default() -> Self {
        Self {
            res_id: String::new(),
            conf_res_id: String::new(),
            max_seconds: 0,
            voice_mode: one(),
            volume: 0,
            play_file: None,
        }
    }
}

/// Takes a call out of its conference: `on_conf_completed` without an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfExit {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The conference that it is in.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub conf_res_id: String,
}
method!(ConfExit = "sys.call.conf_exit" -> ());

fn one_part() -> i32 {
    1
}
