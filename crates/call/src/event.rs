//! What applications are told (`sys.call.on_*`). Every action ends with exactly one completion event, every call with
//! exactly one [`EventKind::Released`], which is its last.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_media::event::{Codec, Detected, DigitSource, Key, Trouble};
use offhook_sip::event::{Body, GatewayName, Header, RegistrationState};

use crate::cause::{Cause, Failure};
use crate::disk::RecordedFile;
use crate::error::Direction;
use crate::id::{CallId, ConferenceId, MessageId};
use crate::state::State;

/// Wall time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixMs(pub i64);

/// An event, and the call it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which call.
    pub call: CallId,
    /// When it happened.
    pub time: UnixMs,
    /// The `user_data` given to `construct` or `answer`.
    pub user_data: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// Begin and end of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When its request was accepted.
    pub begin: UnixMs,
    /// When it ended.
    pub end: UnixMs,
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A call came in.
    Incoming {
        /// The caller's URI.
        from_uri: String,
        /// The caller's name, as its side gives it.
        from_name: Option<String>,
        /// The callee's URI.
        to_uri: String,
        /// When it came.
        begin: UnixMs,
        /// The names of the codecs it offers.
        codecs: Vec<String>,
        /// The gateway that it came from.
        gateway: GatewayName,
        /// What the caller's side says of the caller and of the way the call took, in the order of the message.
        headers: Vec<Header>,
    },
    /// The far end of an outbound call rings; told once.
    Ringing {
        /// When it began to ring.
        time: UnixMs,
    },
    /// `answer` has come to its end.
    AnswerCompleted {
        /// Why it failed.
        error: Option<Failure>,
        /// When.
        span: Span,
    },
    /// An outbound call was answered, or is over.
    DialCompleted {
        /// Why it failed.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// When it was answered.
        answer_time: Option<UnixMs>,
        /// Where a 3xx that was not followed would have sent the call.
        contacts: Vec<String>,
        /// Who rang too and has not answered, where the call was forked: their URIs.
        also_rang: Vec<String>,
    },
    /// A play ended.
    PlayCompleted {
        /// Why it did not end by itself, by `play_stop` or by a finish key.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// The key that ended it.
        finish_key: Option<Key>,
        /// The first file that could not be read to its end, where that is the error.
        file: Option<String>,
        /// How much was sent.
        played: Duration,
    },
    /// A recording ended; its file is complete.
    RecordCompleted {
        /// Why it did not end by a finish key.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// The key that ended it.
        finish_key: Option<Key>,
        /// The file, as the application named it.
        file: String,
        /// The length of the recording.
        duration: Duration,
        /// What there is on the disk.
        recorded: RecordedFile,
    },
    /// Digits have been sent.
    SendDtmfCompleted {
        /// Why not all of them.
        error: Option<Failure>,
        /// When.
        span: Span,
    },
    /// Digits have been collected.
    ReceiveDtmfCompleted {
        /// Why it did not end by enough keys, a finish key or the stop.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// What was collected.
        keys: String,
        /// The key that ended it.
        finish_key: Option<Key>,
    },
    /// A connection ended; told of its first party.
    ConnectCompleted {
        /// Why it did not end by `connect_stop`.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// Whose hang-up ended it.
        hangup: Option<CallId>,
    },
    /// A stay in a conference ended.
    ConfCompleted {
        /// Why it did not end by `conf_exit`.
        error: Option<Failure>,
        /// Which conference.
        conference: ConferenceId,
        /// When.
        span: Span,
    },
    /// What `transfer` asked of the far end has come to its end.
    TransferCompleted {
        /// Why nobody else talks to the far end now.
        error: Option<Failure>,
        /// When.
        span: Span,
        /// What the far end said last of it; none where the call was over before it said anything.
        sip_status: Option<u16>,
    },
    /// The far end asks to be connected with somebody else.
    TransferRequested {
        /// With whom.
        to_uri: String,
        /// Who says so.
        referred_by: Option<String>,
    },
    /// The far end sent a message inside the call.
    Message(Message),
    /// A message to the far end has been answered.
    MessageCompleted {
        /// Which.
        message: MessageId,
        /// Why it did not arrive.
        error: Option<Failure>,
        /// The answer; none where the call was over before.
        sip_status: Option<u16>,
    },
    /// Something was heard that `detect_start` asked for.
    Detected(Detected),
    /// What `detect_start` began is over.
    DetectCompleted {
        /// Why it did not end by `detect_stop`.
        error: Option<Failure>,
        /// When.
        span: Span,
    },
    /// The call is over.
    Released(Box<Released>),
    /// A key was pressed (opt-in).
    Dtmf {
        /// Which.
        key: Key,
        /// How it was heard.
        source: DigitSource,
        /// How long it was pressed.
        duration: Duration,
    },
    /// The far end has put the call on hold, or takes it back: it does not want to hear us, or does again (opt-in).
    Hold {
        /// Whether it is on hold now.
        held: bool,
    },
    /// Something is wrong with the media.
    MediaAlarm(MediaAlarm),
    /// The call's state changed (opt-in).
    StateChanged {
        /// The state it is in now.
        state: State,
        /// The state before; none for a new call.
        prior: Option<State>,
        /// Whose call it is.
        parties: Box<Parties>,
    },
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// Which of them is the node.
    pub direction: Direction,
    /// The caller's URI.
    pub from_uri: String,
    /// The caller's name.
    pub from_name: Option<String>,
    /// The callee's URI.
    pub to_uri: String,
    /// The gateway that the call came from, or goes to.
    pub gateway: Option<GatewayName>,
}

/// What is wrong with the media of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaAlarm {
    /// Nothing comes from a far end that has agreed to send. If it stays so the call is hung up (408).
    NoRtpIn {
        /// For how long.
        silent: Duration,
    },
    /// Its media comes from another address than it named, and goes there from now on (symmetric RTP).
    SourceChanged {
        /// What it named.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// Packets come from elsewhere than the far end is known to be, and are not taken.
    Stranger {
        /// Where they come from.
        address: SocketAddr,
    },
    /// Media flows badly.
    Trouble(Trouble),
}

/// A message that came in (RFC 3428).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's URI.
    pub from_uri: String,
    /// The receiver's URI.
    pub to_uri: String,
    /// What it says.
    pub body: Body,
}

/// An event that is of no call (`sys.node.on_*`).
#[derive(Clone, Debug, PartialEq)]
pub struct NodeEvent {
    /// When it happened.
    pub time: UnixMs,
    /// What happened.
    pub kind: NodeEventKind,
}

/// What happened to the node, its gateways and its messages outside of calls.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEventKind {
    /// Whether a gateway answers to OPTIONS: told at first, and when it changes.
    GatewayState {
        /// Which.
        gateway: GatewayName,
        /// Whether it does, at one of its addresses at least.
        up: bool,
        /// The last status: 408 where nobody answered.
        sip_status: u16,
    },
    /// What a registration has come to.
    RegistrationState {
        /// With which gateway.
        gateway: GatewayName,
        /// To what.
        state: RegistrationState,
    },
    /// A message came in outside of any call.
    Message {
        /// From which gateway; none where it was of a call that is over.
        gateway: Option<GatewayName>,
        /// The message.
        message: Message,
    },
    /// A message that was sent outside of any call has been answered.
    MessageCompleted {
        /// Which.
        message: MessageId,
        /// Why it did not arrive.
        error: Option<Failure>,
        /// The answer: 408 where nobody answered, 503 where it could not be sent.
        sip_status: u16,
    },
}

/// A whole call, told at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// Who called whom.
    pub direction: Direction,
    /// The caller's URI.
    pub from_uri: String,
    /// The callee's URI.
    pub to_uri: String,
    /// When it began.
    pub begin: UnixMs,
    /// When it was answered.
    pub answer_time: Option<UnixMs>,
    /// When it ended.
    pub end: UnixMs,
    /// Why it ended.
    pub cause: Cause,
    /// The far end's Reason headers (RFC 3326), where it ended the call and said so.
    pub reason: Option<String>,
    /// The SIP Call-ID; empty where no INVITE could be sent.
    pub sip_call_id: String,
    /// The gateway that it came from, or went to.
    pub gateway: Option<GatewayName>,
    /// How long it was there, by the monotonic clock: whoever sets the other one does not lengthen calls.
    pub lasted: Duration,
    /// How long it was answered, by the same clock.
    pub talked: Option<Duration>,
    /// The codec of an answered call.
    pub codec: Option<Codec>,
    /// The first of its recordings, as the application named them, in their order: those of its connections too, where it was
    /// their first party.
    pub recordings: Vec<String>,
    /// What its media has seen.
    pub stats: offhook_media::event::LegStats,
}
