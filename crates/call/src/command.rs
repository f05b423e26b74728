//! What an application may ask of a call. Values are checked at the door of the server: a command that exists is well
//! formed, and only [`admit`](crate::admit) decides whether the state of the call allows it.

use std::time::Duration;

pub use offhook_media::event::KeySet;
use offhook_media::event::{Codec, ConnectMode, Country, Dial, Kinds, RecordFormat, VoiceMode, Volumes};
use offhook_sip::event::{Body, Credentials, Header};

use crate::conference;
use crate::disk::PromptSource;
use crate::event::UnixMs;
use crate::id::{CallId, ConferenceId, RequestId, Resource};
use crate::state::State;

/// A request of an application; its reply carries the same [`RequestId`].
#[derive(Clone, Debug)]
pub struct Request {
    /// Given back in [`Output::Reply`](crate::Output::Reply).
    pub id: RequestId,
    /// What is asked.
    pub command: Command,
}

/// What an application may ask (`sys.call.*`, `sys.conf.*`).
#[derive(Clone, Debug)]
pub enum Command {
    /// Place a call.
    Construct(Box<Construct>),
    /// Answer an inbound call. The reply comes when the call is Idle, or as `answer_failed`.
    Answer {
        /// Which call.
        call: CallId,
        /// The longest talk, from the answer.
        max_answer: Duration,
        /// The application's own mark.
        user_data: Option<String>,
        /// Answer with this codec only. One that the caller does not offer is refused ([`Error::NotNegotiated`]) and
        /// the call stays as it is; a caller that makes no offer is asked for it, and may end the call by not having it.
        ///
        /// [`Error::NotNegotiated`]: crate::error::Error::NotNegotiated
        codec: Option<Codec>,
    },
    /// End a call in any state before Released.
    Drop {
        /// Which call.
        call: CallId,
        /// A SIP status, 300–699.
        cause: u16,
    },
    /// Refuse an inbound call before its answer.
    Reject {
        /// Which call.
        call: CallId,
        /// A SIP status, 300–699.
        cause: u16,
    },
    /// Send an inbound call elsewhere before its answer (302).
    Redirect {
        /// Which call.
        call: CallId,
        /// `host[:port]`, IPv6 in brackets.
        target: String,
    },
    /// Let an inbound call ring, or hear something, before its answer.
    Ring {
        /// Which call.
        call: CallId,
        /// What the caller hears over and over (183); none for a tone of its own making (180).
        content: Option<Content>,
    },
    /// Whether there is such a call: true until its `on_released`. To every other command a call that is over is none
    /// any more.
    Exists {
        /// Which call.
        call: CallId,
    },
    /// Restart the idle clock.
    Nop {
        /// Which call.
        call: CallId,
    },
    /// All that is known of a call.
    Get {
        /// Which call.
        call: CallId,
    },
    /// A page of calls in the order of their birth, without those that are over.
    List {
        /// Only those in this state.
        state: Option<State>,
        /// Only those after this one.
        after: Option<CallId>,
        /// At most so many.
        limit: usize,
    },
    /// Play files to the far end.
    PlayStart {
        /// Which call.
        call: CallId,
        /// What to play.
        content: Content,
        /// Keys that end it.
        finish_keys: KeySet,
        /// How many times more than once.
        repeat: u32,
    },
    /// End a play.
    PlayStop {
        /// Which call.
        call: CallId,
    },
    /// Record the far end.
    RecordStart {
        /// Which call.
        call: CallId,
        /// The longest recording.
        max: Duration,
        /// Whether a beep comes first.
        beep: bool,
        /// The file, relative to the recordings directory.
        file: String,
        /// Its format.
        format: RecordFormat,
        /// Keys that end it.
        finish_keys: KeySet,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// Whether quiet before the first sound and after the last is left out.
        trim_silence: bool,
        /// Whether the keys that the far end presses are silence in the file. Where there are finish keys they are in any
        /// case, since none of those may be heard in it.
        mute_digits: bool,
    },
    /// End a recording.
    RecordStop {
        /// Which call.
        call: CallId,
    },
    /// Pause a recording, or go on with it.
    RecordPause {
        /// Which call.
        call: CallId,
        /// Whether it pauses from now on.
        is_paused: bool,
    },
    /// Send digits.
    SendDtmfStart {
        /// Which call.
        call: CallId,
        /// What to send.
        digits: Vec<Dial>,
    },
    /// End the sending of digits.
    SendDtmfStop {
        /// Which call.
        call: CallId,
    },
    /// Collect digits.
    ReceiveDtmfStart(Box<ReceiveDtmf>),
    /// End the collection of digits.
    ReceiveDtmfStop {
        /// Which call.
        call: CallId,
    },
    /// Let two calls hear each other.
    ConnectStart {
        /// The first party.
        call: CallId,
        /// The second party.
        other: CallId,
        /// The longest connection.
        max: Duration,
        /// Who hears whom.
        mode: ConnectMode,
        /// What else there is to it.
        extras: ConnectExtras,
    },
    /// End a connection; only its first party may.
    ConnectStop {
        /// The first party.
        call: CallId,
    },
    /// Let a call enter a conference. What it does is stopped first.
    ConfEnter(Box<ConfEnter>),
    /// Take a call out of its conference.
    ConfExit {
        /// Which call.
        call: CallId,
        /// The conference that it is in.
        conference: ConferenceId,
    },
    /// Ask the far end to call somebody else instead (REFER, RFC 3515).
    Transfer {
        /// Which call.
        call: CallId,
        /// Whom.
        to_uri: String,
    },
    /// Agree to a transfer that the far end asked for.
    TransferAccept {
        /// Which call.
        call: CallId,
    },
    /// Decline a transfer that the far end asked for.
    TransferDecline {
        /// Which call.
        call: CallId,
        /// A SIP status, 300–699.
        cause: u16,
    },
    /// Tell the far end how the call goes that it asked for.
    TransferNotify {
        /// Which call.
        call: CallId,
        /// A SIP status, 100–699; one from 200 on is the last.
        sip_status: u16,
    },
    /// Send a message inside a call (RFC 3428).
    SendMessage {
        /// Which call.
        call: CallId,
        /// What it says.
        body: Body,
    },
    /// Listen for what [`Kinds`] says in what the far end sends.
    DetectStart {
        /// Which call.
        call: CallId,
        /// For what: one kind at least.
        kinds: Kinds,
        /// For how long at most.
        max: Duration,
        /// Whose call-progress tones are expected first.
        country: Option<Country>,
    },
    /// End that.
    DetectStop {
        /// Which call.
        call: CallId,
    },
    /// Send a message outside of any call.
    SendPage(Box<SendPage>),
    /// The state of every gateway.
    Gateways,
    /// Open a conference.
    ConferenceConstruct(Box<conference::Construct>),
    /// A page of conferences in the order of their birth, without those that are over.
    ConferenceList {
        /// Only those after this one.
        after: Option<ConferenceId>,
        /// At most so many.
        limit: usize,
    },
    /// Something of a conference.
    Conference {
        /// Which.
        conference: ConferenceId,
        /// What.
        command: conference::Command,
    },
}

impl Command {
    /// The call it is about: the first party, where there are two; the one that a call is dialled for.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::List { .. }
            | Self::SendPage(_)
            | Self::Gateways
            | Self::ConferenceConstruct(_)
            | Self::ConferenceList { .. }
            | Self::Conference { .. } => None,
            Self::Construct(construct) => match construct.parent.as_ref()?.of {
                Resource::Call(call) => Some(call),
                Resource::Conference(_) => None,
            },
            Self::ReceiveDtmfStart(receive) => Some(receive.call),
            Self::ConfEnter(enter) => Some(enter.call),
            Self::Answer { call, .. }
            | Self::Drop { call, .. }
            | Self::Reject { call, .. }
            | Self::Redirect { call, .. }
            | Self::Ring { call, .. }
            | Self::Exists { call }
            | Self::Nop { call }
            | Self::Get { call }
            | Self::PlayStart { call, .. }
            | Self::PlayStop { call }
            | Self::RecordStart { call, .. }
            | Self::RecordStop { call }
            | Self::RecordPause { call, .. }
            | Self::SendDtmfStart { call, .. }
            | Self::SendDtmfStop { call }
            | Self::ReceiveDtmfStop { call }
            | Self::ConnectStart { call, .. }
            | Self::ConnectStop { call }
            | Self::ConfExit { call, .. }
            | Self::Transfer { call, .. }
            | Self::TransferAccept { call }
            | Self::TransferDecline { call, .. }
            | Self::TransferNotify { call, .. }
            | Self::DetectStart { call, .. }
            | Self::DetectStop { call }
            | Self::SendMessage { call, .. } => Some(*call),
        }
    }
}

/// An outbound call to place.
#[derive(Clone, Debug)]
pub struct Construct {
    /// The caller's URI.
    pub from_uri: String,
    /// The caller's name.
    pub from_name: Option<String>,
    /// The callee's URIs in the order to try them, at least one; the host of each is a gateway's name, or an address.
    pub to_uris: Vec<String>,
    /// The longest talk, from the answer.
    pub max_answer: Duration,
    /// The longest ringing, from the first 180 or 183.
    pub max_ring: Duration,
    /// The application's own mark.
    pub user_data: Option<String>,
    /// Codecs to offer in order of preference; empty for the gateway's own list, or the node's.
    pub codecs: Vec<Codec>,
    /// An outbound proxy, `host[:port]`; none for the gateway's.
    pub proxy: Option<String>,
    /// For digest challenges; none for the gateway's.
    pub credentials: Option<Credentials>,
    /// Extra headers.
    pub headers: Vec<Header>,
    /// Whom it is dialled for.
    pub parent: Option<Parent>,
}

/// A call or a conference that a call is dialled for, and what is heard there meanwhile.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Which.
    pub of: Resource,
    /// When the file is heard.
    pub mode: RingMode,
    /// The file; none for the far end's own tone at any time.
    pub content: Option<Content>,
}

/// When a parent hears the file that it is to hear while a call is dialled for it (`ring_play_mode`). At other times it hears
/// the far end's tone, from when that rings: its early media, or a ring-back tone of ours where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RingMode {
    /// Over and over from the far end's ringing to its answer, and silence before.
    #[default]
    WhileRinging,
    /// Over and over until the far end rings.
    UntilRinging,
    /// Over and over until the answer.
    UntilAnswer,
    /// Once, before the call is dialled.
    Before,
}

/// What a connection does beside letting two calls hear each other.
#[derive(Clone, Debug, Default)]
pub struct ConnectExtras {
    /// Whether the keys of each are kept from the other.
    pub mute_digits: bool,
    /// How loud they hear each other.
    pub volumes: Volumes,
    /// A recording of both.
    pub record: Option<ConnectRecord>,
    /// What both are to hear over their talk.
    pub schedule: Option<SchedulePlay>,
}

/// A recording of both parties of a connection.
#[derive(Clone, Debug)]
pub struct ConnectRecord {
    /// The file, relative to the recordings directory; one that exists is not replaced.
    pub file: String,
    /// Its format.
    pub format: RecordFormat,
    /// Whether the first party is left and the second right; both are in one channel otherwise.
    pub is_stereo: bool,
    /// The sample rate of the second party, where it is known: it is put here when the request is carried out.
    pub second_rate: Option<u32>,
}

/// A prompt to both parties of a connection, at its time.
#[derive(Clone, Debug)]
pub struct SchedulePlay {
    /// When; at once where that is past.
    pub at: UnixMs,
    /// What.
    pub source: PromptSource,
    /// How many times more than once.
    pub repeat: u32,
}

/// How a call is to be in a conference.
#[derive(Clone, Debug)]
pub struct ConfEnter {
    /// Which call.
    pub call: CallId,
    /// Which conference.
    pub conference: ConferenceId,
    /// The longest stay.
    pub max: Duration,
    /// Whether it hears and is heard.
    pub mode: VoiceMode,
    /// How much louder the others hear it, in dB.
    pub volume: i8,
    /// What all members hear when it enters.
    pub welcome: Option<Content>,
}

/// A message outside of any call.
#[derive(Clone, Debug)]
pub struct SendPage {
    /// The sender's URI.
    pub from_uri: String,
    /// The receiver's URI; its host is a gateway's name, or an address.
    pub to_uri: String,
    /// What it says.
    pub body: Body,
}

/// Digits to collect.
#[derive(Clone, Debug)]
pub struct ReceiveDtmf {
    /// Which call.
    pub call: CallId,
    /// Keys that count; others are ignored.
    pub valid_keys: KeySet,
    /// How many keys complete it, at least 1.
    pub max_keys: usize,
    /// Keys that complete it early, where they are valid.
    pub finish_keys: KeySet,
    /// How long to wait for the first key after the prompt.
    pub first_key_timeout: Duration,
    /// How long to wait for each further key.
    pub next_key_timeout: Duration,
    /// The prompt, if any.
    pub prompt: Option<Content>,
    /// How many times the prompt is played again after a time-out.
    pub repeat: u32,
    /// Whether the first valid key ends the prompt.
    pub break_on_key: bool,
    /// Whether the finish key is part of the result.
    pub include_finish_key: bool,
    /// Whether keys typed ahead are thrown away first.
    pub flush: bool,
}

/// Something to play, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// At least one, unless every item was of a type to skip.
    pub sources: Vec<PromptSource>,
}
