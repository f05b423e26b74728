//! Events: what a subscription is told.

mod resource;
#[macro_use]
mod table;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CallDir, CallInfo, CallState, ConferenceInfo, ConferenceOver, DetectCause, DetectKind, DetectResult,
    DroppedBy, IpscInfo, PartInfo,
};
pub use values::*;

events! {
    /// A call came in. Answer it, redirect it or drop it.
    Incoming / OnIncoming = "sys.call.on_incoming" {
        /// The call.
        res_id: String,
        /// The caller's URI.
        from_uri: String,
        /// The caller's name as its side gives it (the display name of From), without its quotes; null where it gives none.
        from_name: Option<String>,
        /// The callee's URI.
        to_uri: String,
        /// When it came, Unix time in seconds.
        begin_time: i64,
        /// None yet.
        user_data: Option<String>,
        /// Where it lives.
        ipsc_info: IpscInfo,
        /// The codecs it offers.
        codecs: Vec<String>,
        /// The name of the gateway that it came from.
        gateway: String,
        /// What the caller's side says of the caller and of the way the call took, by the name of the header: all `X-*`,
        /// P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID, Privacy, Diversion, History-Info, Referred-By,
        /// Reason, Subject, Alert-Info, Call-Info, User-to-User, traceparent.
        headers: BTreeMap<String, Vec<String>>,
    }
    /// The far end of an outbound call rings; told once.
    Ringing / OnRinging = "sys.call.on_ringing" {
        /// The call.
        res_id: String,
        /// When, Unix time in seconds.
        ring_time: i64,
        /// As given to `construct`.
        user_data: Option<String>,
    }
    /// `answer` has come to its end.
    AnswerCompleted / OnAnswerCompleted = "sys.call.on_answer_completed" {
        /// The call.
        res_id: String,
        /// Why it failed.
        error: Option<ActionError>,
        /// When `answer` was accepted, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `answer`.
        user_data: Option<String>,
    }
    /// An outbound call was answered, or could not be.
    DialCompleted / OnDialCompleted = "sys.call.on_dial_completed" {
        /// The call.
        res_id: String,
        /// Why it failed.
        error: Option<ActionError>,
        /// When the dialling began, Unix time in seconds.
        begin_time: i64,
        /// When it was answered, Unix time in seconds.
        answer_time: Option<i64>,
        /// When the dialling ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct`.
        user_data: Option<String>,
        /// Where a redirection (3xx) that was not followed would have sent the call: its SIP URIs, the best first.
        contacts: Vec<String>,
        /// Who rang too and has not answered, where a proxy let several telephones ring: their SIP URIs.
        also_rang: Vec<String>,
    }
    /// A play ended.
    PlayCompleted / OnPlayCompleted = "sys.call.on_play_completed" {
        /// The call.
        res_id: String,
        /// Why it failed; null for its own end, `play_stop` and a finish key.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// The key that ended it.
        finish_key: Option<String>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// How much was played, in milliseconds.
        played_ms: u64,
        /// The file that could not be read to its end, with the error `file_unreadable`; it was played as far as it goes.
        file: Option<String>,
    }
    /// A recording ended; its file is complete.
    RecordCompleted / OnRecordCompleted = "sys.call.on_record_completed" {
        /// The call.
        res_id: String,
        /// Why it ended; null for a finish key only.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// The key that ended it.
        finish_key: Option<String>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// The file, relative to the recordings directory.
        record_file: String,
        /// Its length in milliseconds.
        duration_ms: u64,
        /// Its size, of all parts together.
        bytes: u64,
        /// Files that there are: a recording goes on in a new one after 4 GiB (`a.wav`, `a.2.wav`, …).
        parts: u32,
        /// Milliseconds of silence in it that stand for audio which a disk that stood still has cost.
        gap_ms: u64,
    }
    /// Keys have been sent.
    SendDtmfCompleted / OnSendDtmfCompleted = "sys.call.on_send_dtmf_completed" {
        /// The call.
        res_id: String,
        /// Why not all of them.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// Keys have been collected.
    ReceiveDtmfCompleted / OnReceiveDtmfCompleted = "sys.call.on_receive_dtmf_completed" {
        /// The call.
        res_id: String,
        /// Why it failed; null for enough keys, a finish key and the stop.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// What was collected.
        keys: String,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// The key that ended it.
        finish_key: Option<String>,
    }
    /// A connection of two calls ended; told of its first party.
    ConnectCompleted / OnConnectCompleted = "sys.call.on_connect_completed" {
        /// The first party.
        res_id: String,
        /// Why it ended; null for `connect_stop`.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// Whose hang-up ended it.
        hangup_res_id: Option<String>,
    }
    /// A stay in a conference ended; the call is Idle again.
    ConfCompleted / OnConfCompleted = "sys.call.on_conf_completed" {
        /// The call.
        res_id: String,
        /// Why it ended: `max_seconds`, `hangup`, `max_answer_seconds`, `kicked` (with the cause of `kick` as `sip_status`),
        /// `conf_released`; null for `conf_exit`.
        error: Option<ActionError>,
        /// The conference.
        conf_res_id: String,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// What `transfer` asked of the far end has come to its end.
    TransferCompleted / OnTransferCompleted = "sys.call.on_transfer_completed" {
        /// The call.
        res_id: String,
        /// Why nobody else talks to the far end now: `refused`, `timeout`, `hangup`.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// What the far end said last of its new call; null where this call was over before.
        sip_status: Option<u16>,
    }
    /// The far end asks to be connected with somebody else: `transfer_accept` or `transfer_decline`, else it is declined
    /// in a while.
    TransferRequested / OnTransferRequested = "sys.call.on_transfer_requested" {
        /// The call.
        res_id: String,
        /// With whom.
        to_uri: String,
        /// Who says so.
        referred_by: Option<String>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// The far end sent a message inside the call.
    Message / OnMessage = "sys.call.on_message" {
        /// The call.
        res_id: String,
        /// The sender's URI.
        from_uri: String,
        /// The receiver's URI.
        to_uri: String,
        /// Its media type.
        content_type: String,
        /// What it says.
        content: String,
        /// `base64` where the content is none of UTF-8; null: as it is.
        content_encoding: Option<String>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// A message of `sys.call.send_message` has been answered.
    MessageCompleted / OnMessageCompleted = "sys.call.on_message_completed" {
        /// The call.
        res_id: String,
        /// Which.
        message_id: u64,
        /// Why it did not arrive: `refused`, `timeout`, `hangup`.
        error: Option<ActionError>,
        /// The answer; null where the call was over before.
        sip_status: Option<u16>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// Something was heard that `detect_start` asked for.
    Detected / OnDetected = "sys.call.on_detected" {
        /// The call.
        res_id: String,
        /// What was asked for.
        kind: DetectKind,
        /// What was heard.
        result: DetectResult,
        /// Of `amd`: what it was told by.
        cause: Option<DetectCause>,
        /// Of `beep`: its frequency in Hz.
        frequency_hz: Option<u32>,
        /// Of `beep`, and of `voice` when it stops: how long it was, in milliseconds.
        duration_ms: Option<u64>,
        /// Of `ced`: whether its phase turns over, as that of a modem does which wants echo cancellers off.
        reversals: Option<bool>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// What `detect_start` began is over.
    DetectCompleted / OnDetectCompleted = "sys.call.on_detect_completed" {
        /// The call.
        res_id: String,
        /// Why it did not end by `detect_stop`: `max_seconds`, `hangup`.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
    }
    /// The call is over: its last event.
    Released / OnReleased = "sys.call.on_released" {
        /// The call.
        res_id: String,
        /// Who called whom.
        call_dir: CallDir,
        /// The caller's URI.
        from_uri: String,
        /// The callee's URI.
        to_uri: String,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it was answered, Unix time in seconds.
        answer_time: Option<i64>,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// Who ended it.
        dropped_by: DroppedBy,
        /// A SIP status: 200 for a normal hang-up.
        cause: u16,
        /// The far end's Reason headers (RFC 3326), e.g. `Q.850;cause=16`, where it ended the call and said so.
        reason: Option<String>,
        /// As given to `construct` or `answer`.
        user_data: Option<String>,
        /// Where it lived, and its SIP Call-ID.
        ipsc_info: IpscInfo,
    }
    /// A key was pressed. Sent only to subscribers that name it.
    Dtmf / OnDtmf = "sys.call.on_dtmf" {
        /// The call.
        res_id: String,
        /// Which key.
        key: String,
        /// How it was heard.
        source: DigitSource,
        /// How long it was pressed, in milliseconds.
        duration_ms: u64,
    }
    /// The far end has put the call on hold, or takes it back. What is played or sent to it on hold it does not hear; it
    /// ends when it would have ended. Sent only to subscribers that name it.
    Hold / OnHold = "sys.call.on_hold" {
        /// The call.
        res_id: String,
        /// Whether it is on hold now.
        held: bool,
    }
    /// Something is wrong with the media of a call.
    MediaAlarm / OnMediaAlarm = "sys.call.on_media_alarm" {
        /// The call.
        res_id: String,
        /// What is wrong.
        kind: MediaAlarm,
        /// In English, for people.
        detail: String,
    }
    /// The call's state changed. Sent only to subscribers that name it.
    StateChanged / OnStateChanged = "sys.call.on_state_changed" {
        /// The call.
        res_id: String,
        /// The state it is in now.
        state: CallState,
        /// The state before; null for a new call.
        prior_state: Option<CallState>,
        /// Who called whom.
        call_dir: CallDir,
        /// The caller's URI.
        from_uri: String,
        /// The caller's name, if it has one.
        from_name: Option<String>,
        /// The callee's URI.
        to_uri: String,
        /// The name of the gateway that it came from, or goes to; null where that is none.
        gateway: Option<String>,
    }
    /// A call has entered a conference.
    PartEntered / OnPartEntered = "sys.conf.on_part_entered" {
        /// The conference.
        res_id: String,
        /// The call.
        call_res_id: String,
        /// How many members there are with it.
        parts: u64,
        /// As given to `construct` of the conference.
        user_data: Option<String>,
    }
    /// A call is in a conference no longer.
    PartExited / OnPartExited = "sys.conf.on_part_exited" {
        /// The conference.
        res_id: String,
        /// The call.
        call_res_id: String,
        /// How many members are left.
        parts: u64,
        /// As given to `construct` of the conference.
        user_data: Option<String>,
    }
    /// What was played to all members of a conference ended.
    ConferencePlayCompleted / OnConferencePlayCompleted = "sys.conf.on_play_completed" {
        /// The conference.
        res_id: String,
        /// Why it failed: `conf_released`, `file_unreadable`; null for its own end and `play_stop`.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct`.
        user_data: Option<String>,
        /// How much was played, in milliseconds.
        played_ms: u64,
        /// The file that could not be read to its end, with the error `file_unreadable`; it was played as far as it goes.
        file: Option<String>,
    }
    /// A recording of a conference ended; its file is complete.
    ConferenceRecordCompleted / OnConferenceRecordCompleted = "sys.conf.on_record_completed" {
        /// The conference.
        res_id: String,
        /// Why it ended: `stopped`, `max_seconds`, `conf_released`, `disk_full`, `io`.
        error: Option<ActionError>,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct`.
        user_data: Option<String>,
        /// The file, relative to the recordings directory.
        record_file: String,
        /// Its length in milliseconds.
        duration_ms: u64,
        /// Bytes of all its parts.
        bytes: u64,
        /// Files: one, and another for each 4 GiB.
        parts: u32,
        /// Audio that a disk that stood still has cost, in milliseconds; it is silence in the file.
        gap_ms: u64,
    }
    /// A member of a conference begins or ends to talk. Sent only to subscribers that name it.
    Talking / OnTalking = "sys.conf.on_talking" {
        /// The conference.
        res_id: String,
        /// The call.
        call_res_id: String,
        /// Whether it talks now.
        talking: bool,
    }
    /// A conference is over: its last event.
    ConferenceReleased / OnConferenceReleased = "sys.conf.on_released" {
        /// The conference.
        res_id: String,
        /// When it began, Unix time in seconds.
        begin_time: i64,
        /// When it ended, Unix time in seconds.
        end_time: i64,
        /// As given to `construct`.
        user_data: Option<String>,
        /// Why it is over.
        reason: ConferenceOver,
    }
    /// A message came in outside of any call.
    NodeMessage / OnNodeMessage = "sys.node.on_message" {
        /// The name of the gateway that it came from; null where it was of a call that is over.
        gateway: Option<String>,
        /// The sender's URI.
        from_uri: String,
        /// The receiver's URI.
        to_uri: String,
        /// Its media type.
        content_type: String,
        /// What it says.
        content: String,
        /// `base64` where the content is none of UTF-8; null: as it is.
        content_encoding: Option<String>,
    }
    /// A message of `sys.node.send_message` has been answered.
    NodeMessageCompleted / OnNodeMessageCompleted = "sys.node.on_message_completed" {
        /// Which.
        message_id: u64,
        /// Why it did not arrive: `refused`, `timeout`.
        error: Option<ActionError>,
        /// The answer: 408 where nobody answered, 503 where it could not be sent.
        sip_status: u16,
    }
    /// Whether a gateway answers to OPTIONS: told at first, and when it changes.
    GatewayState / OnGatewayState = "sys.node.on_gateway_state" {
        /// Its name.
        gateway: String,
        /// Whether it does, at one of its addresses at least.
        up: bool,
        /// The last status: 408 where nobody answered.
        sip_status: u16,
    }
    /// What the registration with a gateway has come to. A refresh is told only where it changes something.
    RegistrationState / OnRegistrationState = "sys.node.on_registration_state" {
        /// Its name.
        gateway: String,
        /// Whether calls to our address arrive from there.
        registered: bool,
        /// For how many seconds, as the registrar said.
        expires: Option<u64>,
        /// Why it failed: `refused`, `timeout`.
        error: Option<ActionError>,
        /// In how many seconds it is tried again, where it failed.
        retry_in: Option<u64>,
    }
    /// The server has started. Nobody can be connected before: only a subscription with `after` sees it.
    NodeStarted / OnNodeStarted = "sys.node.on_started" {
        /// Its process, below 2^53.
        process_id: u64,
        /// Its version.
        version: String,
    }
    /// A recording was cut off by the end of the server, and is a complete file now. Told at the start of the server, before
    /// all other events and before anybody can be connected: only a subscription with `after` sees it, be it 0 or the last
    /// `seq` that was seen of the server before.
    RecordingRecovered / OnRecordingRecovered = "sys.node.on_recording_recovered" {
        /// The call or the conference whose it was; null where a server of an earlier version has left it.
        owner_res_id: Option<String>,
        /// Its file, relative to the recordings directory; of several parts, the first.
        record_file: String,
        /// How many files it has.
        parts: u32,
        /// Bytes of the last of them.
        bytes: u64,
        /// Whether it had more than its head told, or less, which is right now.
        repaired: bool,
    }
    /// Events that were asked for cannot be had. Sent to every subscriber that misses some, whatever it named. It is a
    /// notice to that subscriber and no event of the log: its `seq` is that of the last event before it, the last missing
    /// one, and a subscriber may have seen that number already.
    Gap / OnGap = "sys.event.on_gap" {
        /// Why.
        reason: GapReason,
        /// The first missing event; null where it cannot be told.
        first: Option<u64>,
        /// The last missing event; null where it cannot be told.
        last: Option<u64>,
    }
    /// What lives follows (`snapshot` of `sys.event.subscribe`), as of the event whose `seq` this notice has.
    SyncBegin / OnSyncBegin = "sys.event.on_sync_begin" {
        /// How many calls.
        calls: u64,
        /// How many conferences.
        conferences: u64,
    }
    /// A call that lives, as of `sys.event.on_sync_begin`.
    SyncCall / OnSyncCall = "sys.event.on_sync_call" {
        /// All that is known of it.
        call: Box<CallInfo>,
    }
    /// A conference that lives, as of `sys.event.on_sync_begin`.
    SyncConference / OnSyncConference = "sys.event.on_sync_conference" {
        /// What is known of it.
        conference: ConferenceInfo,
        /// Its members.
        parts: Vec<PartInfo>,
    }
    /// All that lived has been told; what comes now has happened since.
    SyncEnd / OnSyncEnd = "sys.event.on_sync_end" {}
    /// The server ends the subscription: its last notification, after which nothing comes. Resume with `after` = its
    /// `seq`. It is a notice to that subscriber and no event of the log: its `seq` is that of the last event before it,
    /// which the subscriber may have had already.
    Closed / OnClosed = "sys.event.on_closed" {
        /// Why.
        reason: CloseReason,
    }
}

/// What is told to one subscriber and is no event of the log: it repeats the `seq` of the last event before it.
pub const NOTICES: &[&str] = &[
    "sys.event.on_gap",
    "sys.event.on_sync_begin",
    "sys.event.on_sync_call",
    "sys.event.on_sync_conference",
    "sys.event.on_sync_end",
    "sys.event.on_closed",
];

/// The events that are sent only to subscribers that name them.
pub const OPT_IN_EVENTS: &[&str] =
    &["sys.call.on_dtmf", "sys.call.on_hold", "sys.call.on_state_changed", "sys.conf.on_talking"];

/// The name of the notification that carries an event.
pub const EVENT_NOTIFICATION: &str = "sys.event.on_event";

/// An event as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Envelope {
    /// Its number, rising by one per event of the node; of [`NOTICES`], the number of the last event before.
    pub seq: u64,
    /// When it happened, Unix time in milliseconds.
    pub time_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The trace that its call belongs to, where the far end or an application has named one (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
