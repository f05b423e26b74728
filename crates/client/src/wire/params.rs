//! The methods and their parameters, in the document's order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::limits::{
    CAUSE_MAX, CAUSE_MIN, CREDENTIAL_MAX, FILE_NAME_MAX, FILES_LENGTH_MAX, KEY_SECONDS_MAX, KEY_SET_MAX,
    KEYS_MAX, NAME_MAX, PAGE_MAX, REPEAT_MAX, RES_ID_MAX, RING_SECONDS_MAX, SECONDS_MAX, TRACEPARENT_MAX,
    UNIX_TIME_MAX, URI_MAX, USER_DATA_MAX, VOLUME_MAX, VOLUME_MIN, WORD_MAX,
};
use super::{CallInfo, CallState, Callees, Constructed, Content, Method, Recording};

methods_of! {
    "The call."
    /// Whether there is such a call; never an error.
    Exists = "sys.call.exists" -> bool;
    /// Restarts the idle clock of a call.
    Nop = "sys.call.nop" -> ();
    /// All that is known of a call.
    Get = "sys.call.get" -> CallInfo;
    /// Ends a play: `on_play_completed` without an error.
    PlayStop = "sys.call.play_stop" -> ();
    /// Ends a recording: `on_record_completed` with the error `stopped`; the file is complete.
    RecordStop = "sys.call.record_stop" -> ();
    /// Pauses a recording: what is heard until `record_resume` is not in the file, and takes no time in it. Digits are
    /// heard all the same.
    RecordPause = "sys.call.record_pause" -> ();
    /// Goes on with a recording.
    RecordResume = "sys.call.record_resume" -> ();
    /// Ends the sending of keys.
    SendDtmfStop = "sys.call.send_dtmf_stop" -> ();
    /// Ends the collection of keys.
    ReceiveDtmfStop = "sys.call.receive_dtmf_stop" -> ();
    /// The document's name of `receive_dtmf_stop`.
    StopReceiveDtmfStart = "sys.call.stop_receive_dtmf_start" -> ();
    /// Ends a connection; only its first party may.
    ConnectStop = "sys.call.connect_stop" -> ();
    /// Ends what `detect_start` began: `on_detect_completed` without an error.
    DetectStop = "sys.call.detect_stop" -> ();
    /// Agrees to a transfer that the far end asked for (202): the application places that call, and tells by
    /// `transfer_notify` how it goes.
    TransferAccept = "sys.call.transfer_accept" -> ();
}

/// Places a call. The result comes as soon as the INVITE is on its way; then `on_ringing`, `on_dial_completed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Construct {
    /// The caller: `[[sip:]user@]host[:port]`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "sip-uri")))]
    pub from_uri: String,
    /// The callee, `[[sip:]user@]host[:port]`, or a list of up to 8, tried in their order until one answers or refuses
    /// for good. The host is a gateway's name, or an address of a gateway, or any other host, which is then dialled as
    /// it is: as the name service says, or by the `;transport=` that it has.
    pub to_uri: Callees,
    /// The longest talk in seconds, from the answer.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_answer_seconds: u32,
    /// The longest ringing in seconds, from the first 180 or 183.
    #[serde(default = "fifty")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = RING_SECONDS_MAX)))]
    pub max_ring_seconds: u32,
    /// A call that it is dialled for: Idle until now, in Dial until this one is answered or not to be answered, and Idle again
    /// before `on_dial_completed` is told. It hears how this one is dialled; if it is hung up meanwhile, so is this one
    /// (error `hangup`). `connect_start` may connect the two before the answer. Null: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub parent_call_res_id: Option<String>,
    /// What the parent hears, a file or several joined by `|`, at the times that `ring_play_mode` says; null or empty: the
    /// far end's tone, which is what it lets be heard from when it rings (early media), or where that is nothing the
    /// ring-back tone of `media.country`. Without a parent, a call or a conference, it has no meaning.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILES_LENGTH_MAX), extend("format" = "file-names")))]
    pub ring_play_file: Option<String>,
    /// The application's own mark, at most 4096 bytes; every event of the call carries it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = USER_DATA_MAX), extend("format" = "text")))]
    pub user_data: Option<String>,
    /// A conference that it is dialled for, in place of a call: all members hear how it is dialled, beside their talk and
    /// other calls that are dialled for it, of which there are eight at most. When it is answered it is Idle and no
    /// member: `conf_enter` makes it one. If the conference is over meanwhile, so is this one (error `hangup`). Null: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub parent_conf_res_id: Option<String>,
    /// When the parent hears the file. 0: over and over from the far end's ringing to the answer; 1: over and over until the far
    /// end rings, then that one's tone; 2: over and over until the answer; 3: once before the far end is called, then that
    /// one's tone.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 3)))]
    pub ring_play_mode: u32,
    /// Codecs in order of preference; null for the gateway's own list, or the node's.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::codecs"))]
    pub codecs: Option<Vec<String>>,
    /// An outbound proxy, `[sip:]host[:port]`; null for the gateway's.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = URI_MAX), extend("format" = "sip-host")))]
    pub sip_proxy: Option<String>,
    /// The user name for a digest challenge; null for the gateway's.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CREDENTIAL_MAX), extend("format" = "credential")))]
    pub sip_auth_username: Option<String>,
    /// The password for a digest challenge; null for the gateway's.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CREDENTIAL_MAX), extend("format" = "credential")))]
    pub sip_auth_password: Option<String>,
    /// Extra headers of the INVITE: names that begin with `X-`, and P-Asserted-Identity, P-Preferred-Identity, Privacy,
    /// Diversion, History-Info, Subject, Alert-Info, Call-Info, User-to-User, Referred-By, Reason.
    #[serde(default, deserialize_with = "super::headers::each_once")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::headers::schema"))]
    pub headers: BTreeMap<String, String>,
    /// The caller's name, shown beside `from_uri` (the display name of From): at most 128 bytes without control characters.
    /// Null or empty: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = NAME_MAX), extend("format" = "display-name")))]
    pub from_name: Option<String>,
    /// The trace that the call belongs to (W3C Trace Context, `00-TRACE-PARENT-FLAGS`): it stands in the lines of the log, and goes on in
    /// the INVITE, in a header of the same name. Null: a trace of its own, or that of the call it is dialled for, and no header.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = TRACEPARENT_MAX), extend("format" = "traceparent")))]
    pub traceparent: Option<String>,
}
method!(Construct = "sys.call.construct" -> Constructed);

impl Default for Construct {
    fn default() -> Self {
        Self {
            from_uri: String::new(),
            to_uri: Callees::default(),
            max_answer_seconds: 0,
            max_ring_seconds: fifty(),
            parent_call_res_id: None,
            ring_play_file: None,
            user_data: None,
            parent_conf_res_id: None,
            ring_play_mode: 0,
            codecs: None,
            sip_proxy: None,
            sip_auth_username: None,
            sip_auth_password: None,
            headers: BTreeMap::new(),
            from_name: None,
            traceparent: None,
        }
    }
}

/// Answers an inbound call. The reply comes when the ACK has arrived and the call is Idle, or as `answer_failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The longest talk in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_answer_seconds: u32,
    /// The application's own mark, at most 4096 bytes.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = USER_DATA_MAX), extend("format" = "text")))]
    pub user_data: Option<String>,
    /// Answer with this codec only.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = WORD_MAX), extend("format" = "codec")))]
    pub codec: Option<String>,
}
method!(Answer = "sys.call.answer" -> ());

/// Ends a call in any state: a final response, a CANCEL or a BYE. `on_released` follows; its `cause` is the one given
/// here, except that a call that was answered and is dropped with the default 603 has had a normal hang-up: 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// A SIP status.
    #[serde(default = "decline")]
    #[cfg_attr(feature = "schema", schemars(range(min = CAUSE_MIN, max = CAUSE_MAX)))]
    pub cause: u16,
}
method!(Drop = "sys.call.drop" -> ());

/// Refuses an inbound call before its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// A SIP status.
    #[serde(default = "decline")]
    #[cfg_attr(feature = "schema", schemars(range(min = CAUSE_MIN, max = CAUSE_MAX)))]
    pub cause: u16,
}
method!(Reject = "sys.call.reject" -> ());

impl Default for Drop {
    fn default() -> Self {
        Self { res_id: String::new(), cause: decline() }
    }
}

impl Default for Reject {
    fn default() -> Self {
        Self { res_id: String::new(), cause: decline() }
    }
}

/// Lets an inbound call ring, or hear something, before its answer. The call stays Initiated and no completion event
/// comes, since nothing is completed: what is heard goes on until the call is answered, refused, redirected, dropped or
/// given up, or until the next `ring`. `limits.incoming_timeout_seconds` starts anew with each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// What the caller hears over and over: a file, or several joined by `|` (183 with our session description, which the
    /// answer repeats). Null or empty: the caller's own tone (180). A caller that offers no session description before the
    /// answer can only ring: `not_negotiated`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILES_LENGTH_MAX), extend("format" = "file-names")))]
    pub ring_play_file: Option<String>,
}
method!(Ring = "sys.call.ring" -> ());

/// Sends an inbound call elsewhere before its answer (302), the called user part kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// `[sip:]host[:port]`, IPv6 in brackets.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "sip-host")))]
    pub redirect_uri: String,
}
method!(Redirect = "sys.call.redirect" -> ());

/// A page of calls, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those in this state.
    #[serde(default)]
    pub state: Option<CallState>,
    /// Only those after this one: the last of the page before.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default = "hundred")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = PAGE_MAX)))]
    pub limit: u32,
}
method!(List = "sys.call.list" -> Vec<String>);

impl Default for List {
    fn default() -> Self {
        Self { state: None, after: None, limit: hundred() }
    }
}

/// Plays files to the far end; ends with `on_play_completed`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayStart {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// What to play; files are relative to the prompts directory.
    pub content: Content,
    /// Keys that end it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = KEY_SET_MAX), extend("format" = "keys")))]
    pub finish_keys: String,
    /// How many times more than once.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = REPEAT_MAX)))]
    pub repeat: u32,
}
method!(PlayStart = "sys.call.play_start" -> ());

/// Records the far end; ends with `on_record_completed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordStart {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The longest recording in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
    /// Whether the far end first hears a beep.
    pub beep: bool,
    /// The file, relative to the recordings directory; missing folders are made. `record_format` says what it is: a name that
    /// ends like another kind of sound (`a.mp3` of format 3) is refused, any other ending, or none, is taken as it is.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = FILE_NAME_MAX), extend("format" = "file-name")))]
    pub record_file: String,
    /// 1 PCM 8 bit, 2 a-law, 3 mu-law, 4 IMA ADPCM, 5 GSM 06.10, 6 MP3, 7 PCM 16 bit, 8 Opus in Ogg. 6 and 8 are files of
    /// their own kind, the others WAV; 7 and 8 have the rate of the call's codec, 6 has 24 kHz, the others 8 kHz.
    #[serde(default = "mu_law")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [1, 2, 3, 4, 5, 6, 7, 8])))]
    pub record_format: u32,
    /// Keys that end it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = KEY_SET_MAX), extend("format" = "keys")))]
    pub finish_keys: String,
    /// Whether an existing file may be replaced.
    #[serde(default)]
    pub overwrite: bool,
    /// Whether quiet before the first sound and after the last is left out, but for 200 ms. What is left out counts
    /// against `max_seconds` all the same.
    #[serde(default)]
    pub trim_silence: bool,
    /// Whether the keys that the far end presses are silence in the file, their tones from the very beginning. Where there
    /// are finish keys they are in any case.
    #[serde(default)]
    pub mute_digits: bool,
}
method!(RecordStart = "sys.call.record_start" -> Recording);

impl Default for RecordStart {
    fn default() -> Self {
        Self {
            res_id: String::new(),
            max_seconds: 0,
            beep: false,
            record_file: String::new(),
            record_format: mu_law(),
            finish_keys: String::new(),
            overwrite: false,
            trim_silence: false,
            mute_digits: false,
        }
    }
}

/// Sends keys to the far end; ends with `on_send_dtmf_completed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendDtmfStart {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// `0-9*#A-D`, and `,` for half a second of rest.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = KEYS_MAX), extend("format" = "dial-string")))]
    pub keys: String,
}
method!(SendDtmfStart = "sys.call.send_dtmf_start" -> ());

/// Collects keys, after a prompt if one is given; ends with `on_receive_dtmf_completed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReceiveDtmfStart {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// Keys that count; others are ignored.
    #[serde(default = "all_keys")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = KEY_SET_MAX), extend("format" = "keys")))]
    pub valid_keys: String,
    /// How many keys complete it.
    #[serde(default = "eleven")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = KEYS_MAX)))]
    pub max_keys: u32,
    /// Keys that complete it early; they must be valid keys too.
    #[serde(default = "hash")]
    #[cfg_attr(feature = "schema", schemars(length(max = KEY_SET_MAX), extend("format" = "keys")))]
    pub finish_keys: String,
    /// How many seconds to wait for the first key after the prompt.
    #[serde(default = "forty_five")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = KEY_SECONDS_MAX)))]
    pub first_key_timeout: u32,
    /// How many seconds to wait for each further key.
    #[serde(default = "thirty")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = KEY_SECONDS_MAX)))]
    pub continues_keys_timeout: u32,
    /// The prompt.
    #[serde(default)]
    pub play_content: Option<Content>,
    /// How many times the prompt is played again after a time-out.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = REPEAT_MAX)))]
    pub play_repeat: u32,
    /// Whether the first valid key ends the prompt.
    #[serde(default = "yes")]
    pub if_break_on_key: bool,
    /// Whether the finish key is part of the keys.
    #[serde(default)]
    pub including_finish_key: bool,
    /// Whether keys typed ahead are thrown away first.
    #[serde(default)]
    pub flush: bool,
}
method!(ReceiveDtmfStart = "sys.call.receive_dtmf_start" -> ());

impl Default for ReceiveDtmfStart {
    fn default() -> Self {
        Self {
            res_id: String::new(),
            valid_keys: all_keys(),
            max_keys: eleven(),
            finish_keys: hash(),
            first_key_timeout: forty_five(),
            continues_keys_timeout: thirty(),
            play_content: None,
            play_repeat: 0,
            if_break_on_key: yes(),
            including_finish_key: false,
            flush: false,
        }
    }
}

/// Lets two Idle calls hear each other; ends with `on_connect_completed` of the first party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConnectStart {
    /// The first party.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The longest connection in seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SECONDS_MAX)))]
    pub max_seconds: u32,
    /// The second party.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub call_res_id: String,
    /// 1 both hear each other, 2 only the second party hears, 3 only the first hears.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3)))]
    pub connect_mode: u32,
    /// A recording of both, each as loud as it speaks: a file, relative to the recordings directory. One that exists is not
    /// replaced. It is complete when `on_connect_completed` is told; null or empty: none. Its ending is as of `record_start`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILE_NAME_MAX), extend("format" = "file-name")))]
    pub record_file: Option<String>,
    /// Its format, as of `record_start`. Formats 7 and 8 have the higher sample rate of the codecs that the parties have when it
    /// begins, whoever is named first; of a second party from which nothing is heard yet it is not known.
    #[serde(default = "mu_law")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [1, 2, 3, 4, 5, 6, 7, 8])))]
    pub record_format: u32,
    /// How much louder the first party hears the second, in dB; null: as it is.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = VOLUME_MIN, max = VOLUME_MAX)))]
    pub local_volume: Option<i32>,
    /// How much louder the second party hears the first, in dB; null: as it is.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = VOLUME_MIN, max = VOLUME_MAX)))]
    pub remote_volume: Option<i32>,
    /// When `schedule_play_file` is played to both over their talk, Unix time in seconds. One that is past: at once.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = UNIX_TIME_MAX)))]
    pub schedule_play_time: Option<i64>,
    /// That file, in the prompts directory; null or empty: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = FILE_NAME_MAX), extend("format" = "file-name")))]
    pub schedule_play_file: Option<String>,
    /// How many times it is played; 0, as where it is left out: not at all.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = REPEAT_MAX)))]
    pub schedule_play_loop: u32,
    /// Whether the recording has the first party left and the second right; both are in one channel otherwise. Format 5
    /// (GSM) has one channel only.
    #[serde(default)]
    pub record_stereo: bool,
    /// Whether the keys of each party are kept from the other: neither tones nor telephone-events pass. The application is
    /// told of them as ever. What is said is heard 40 ms later then, and decoded on its way.
    #[serde(default)]
    pub mute_digits: bool,
}
method!(ConnectStart = "sys.call.connect_start" -> ());

impl Default for ConnectStart {
    fn default() -> Self {
        Self {
            res_id: String::new(),
            max_seconds: 0,
            call_res_id: String::new(),
            connect_mode: one(),
            record_file: None,
            record_format: mu_law(),
            local_volume: None,
            remote_volume: None,
            schedule_play_time: None,
            schedule_play_file: None,
            schedule_play_loop: 0,
            record_stereo: false,
            mute_digits: false,
        }
    }
}

/// This document: the methods of the server as OpenRPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Discover {}
method!(Discover = "rpc.discover" -> serde_json::Value);

fn fifty() -> u32 {
    50
}
pub(super) fn decline() -> u16 {
    603
}
pub(super) fn hundred() -> u32 {
    100
}
pub(super) fn mu_law() -> u32 {
    3
}
fn all_keys() -> String {
    "0123456789*#ABCD".to_owned()
}
fn eleven() -> u32 {
    11
}
fn hash() -> String {
    "#".to_owned()
}
fn forty_five() -> u32 {
    45
}
fn thirty() -> u32 {
    30
}
fn yes() -> bool {
    true
}
pub(super) fn one() -> u32 {
    1
}
