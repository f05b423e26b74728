//! Why calls end.

use std::fmt;

use offhook_media::sdp::SdpError;
use offhook_sip::event::{EndCause, Reason, Refuser};

use crate::event::UnixMs;

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DroppedBy {
    /// This node: an application's request, a time limit, a fault.
    System,
    /// The far end.
    User,
}

/// Why a call ended, as `on_released` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Who ended it.
    pub by: DroppedBy,
    /// A SIP status: 200 for a normal hang-up after the answer, otherwise the final response or the `drop` cause.
    pub status: u16,
}

/// Why an INVITE was refused at once, and is no call that anybody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnedAway {
    /// The node is draining.
    ShuttingDown,
    /// As many calls as are allowed are alive.
    Calls,
    /// As many calls as are allowed have begun within a second.
    CallsPerSecond,
    /// As many calls of its gateway as are allowed there are alive.
    GatewayCalls,
    /// As many calls of its gateway as are allowed there have begun within a second.
    GatewayCallsPerSecond,
    /// There is no application that could act on it.
    NoApplication,
    /// No RTP port is free.
    Ports,
    /// Its offer has nothing that could be accepted (488).
    NotAcceptable,
}

impl TurnedAway {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ShuttingDown,
        Self::Calls,
        Self::CallsPerSecond,
        Self::GatewayCalls,
        Self::GatewayCallsPerSecond,
        Self::NoApplication,
        Self::Ports,
        Self::NotAcceptable,
    ];

    /// Its name; of a limit, and of the end, that which `construct` is refused with.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting_down",
            Self::Calls => "calls",
            Self::CallsPerSecond => "calls_per_second",
            Self::GatewayCalls => "gateway_calls",
            Self::GatewayCallsPerSecond => "gateway_calls_per_second",
            Self::NoApplication => "no_application",
            Self::Ports => "ports",
            Self::NotAcceptable => "not_acceptable",
        }
    }

    /// What the far end is told.
    pub fn status(self) -> u16 {
        match self {
            Self::NotAcceptable => 488,
            _ => 503,
        }
    }
}

/// Why an action or a dialling ended other than well: the `error` of its completion event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The call was hung up, by the far end or by `drop`; of a dialling, the call that it was for.
    Hangup,
    /// `record_stop` ended a recording, which by the API's contract is an error.
    Stopped,
    /// A recording, a connection or a stay in a conference reached its longest duration.
    MaxSeconds,
    /// The call reached its longest duration.
    MaxAnswerSeconds,
    /// No key came in time, or no answer.
    Timeout,
    /// Nobody answered the ringing in time.
    RingTimeout,
    /// The far end refused, or could not be reached.
    Rejected {
        /// The final response.
        sip_status: u16,
    },
    /// The far end wants credentials, and there are none, or not the right ones.
    Unauthorized {
        /// 401 or 407.
        sip_status: u16,
    },
    /// The name service knows no address of the callee.
    Unresolved,
    /// The far end refused a transfer, a message or digits, or could not be reached with them.
    Refused {
        /// The final response.
        sip_status: u16,
    },
    /// `drop` ended the dialling.
    Dropped,
    /// The caller gave up before its call was answered.
    Cancelled,
    /// The answer was not acknowledged in time.
    NoAck,
    /// Ringing was not acknowledged in time (PRACK), so the answer was never sent.
    NoPrack,
    /// The far end's answer to our offer cannot be used.
    NotNegotiated(Unagreed),
    /// The disk is full.
    DiskFull,
    /// The disk does not work.
    Io,
    /// A prompt ended before it should have: its file is damaged, or could not be read any further.
    FileUnreadable,
    /// `kick` took the call out of its conference.
    Kicked {
        /// The cause that was given.
        sip_status: u16,
    },
    /// The conference is over.
    ConferenceReleased,
    /// A defect of ours.
    Internal,
}

/// Why the far end's answer to our offer cannot be used. As words it follows "the far end".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unagreed {
    /// It has none of our codecs.
    Codecs,
    /// It has no keys, where media has to be protected.
    NoKeys,
    /// Its keys are none that answer ours: what they are.
    Keys(&'static str),
    /// Its keys ask for something that we do not do: what that is.
    KeyParameter(&'static str),
    /// It is protected, where media must not be.
    Protected,
    /// There is none, or none of audio that could be reached.
    Description,
}

impl Unagreed {
    /// The reason that the far end is given (RFC 3326).
    fn reason(self) -> &'static str {
        match self {
            Self::Codecs => "No common codec",
            Self::NoKeys => "No keys for SRTP",
            Self::Keys(_) | Self::KeyParameter(_) => "Keys for SRTP cannot be used",
            Self::Protected => "SRTP was not offered",
            Self::Description => "No usable description",
        }
    }
}

impl From<SdpError> for Unagreed {
    fn from(error: SdpError) -> Self {
        match error {
            SdpError::NoCommonCodec => Self::Codecs,
            SdpError::NoKeys => Self::NoKeys,
            SdpError::CryptoAnswer(keys) => Self::Keys(keys),
            SdpError::CryptoParameter(asked) => Self::KeyParameter(asked),
            SdpError::Protected => Self::Protected,
            SdpError::Malformed(_) | SdpError::NoAudio | SdpError::BadAddress => Self::Description,
        }
    }
}

impl fmt::Display for Unagreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codecs => write!(f, "accepts none of the codecs"),
            Self::NoKeys => write!(f, "has no keys for SRTP, and media has to be protected"),
            Self::Keys(keys) => write!(f, "answers with a=crypto {keys}"),
            Self::KeyParameter(asked) => write!(f, "answers with keys for SRTP that have {asked}"),
            Self::Protected => write!(f, "answers with SRTP, which was not offered"),
            Self::Description => write!(f, "describes no audio that can be used"),
        }
    }
}

impl Failure {
    /// What the final response to a request inside a call, or to a message, means; none where it is good.
    pub(crate) fn of_status(sip_status: u16) -> Option<Self> {
        match sip_status {
            ..300 => None,
            408 => Some(Self::Timeout),
            _ => Some(Self::Refused { sip_status }),
        }
    }

    /// The stable code of the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Stopped => "stopped",
            Self::MaxSeconds => "max_seconds",
            Self::MaxAnswerSeconds => "max_answer_seconds",
            Self::Timeout => "timeout",
            Self::RingTimeout => "ring_timeout",
            Self::Rejected { .. } => "rejected",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Unresolved => "unresolved",
            Self::Refused { .. } => "refused",
            Self::Dropped => "dropped",
            Self::Cancelled => "cancelled",
            Self::NoAck => "no_ack",
            Self::NoPrack => "no_prack",
            Self::NotNegotiated(_) => "not_negotiated",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::FileUnreadable => "file_unreadable",
            Self::Kicked { .. } => "kicked",
            Self::ConferenceReleased => "conf_released",
            Self::Internal => "internal",
        }
    }

    /// Why an answer cannot be used, where that is it.
    pub fn unagreed(self) -> Option<Unagreed> {
        if let Self::NotNegotiated(why) = self { Some(why) } else { None }
    }

    /// The SIP status behind it, where there is one.
    pub fn sip_status(self) -> Option<u16> {
        match self {
            Self::Rejected { sip_status }
            | Self::Unauthorized { sip_status }
            | Self::Refused { sip_status }
            | Self::Kicked { sip_status } => Some(sip_status),
            Self::Cancelled | Self::RingTimeout => Some(487),
            Self::NoAck => Some(408),
            Self::NoPrack => Some(504),
            Self::NotNegotiated(_) => Some(488),
            _ => None,
        }
    }
}

/// What a `drop` without a cause of its own means, and what [`Ending::MaxAnswer`] is told as (RFC 3261 §21.6.2).
const DECLINE: u16 = 603;

/// What ends a call, whatever it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The caller gave up before the answer.
    Cancelled,
    /// The far end hung up.
    Bye,
    /// Our answer was not acknowledged in time.
    NoAck,
    /// Our ringing was not acknowledged in time, though the far end wants that done.
    NoPrack,
    /// The far end no longer knows the call.
    Lost,
    /// The far end refused, or could not be reached.
    Refused {
        /// The final response.
        status: u16,
        /// Whose response: the far end's, or one made here.
        by: DroppedBy,
        /// Where it would have sent the call.
        contacts: Vec<String>,
    },
    /// The callee's name leads nowhere.
    Unresolved,
    /// `drop` or `reject`.
    Drop {
        /// As the application gave it.
        cause: u16,
    },
    /// `redirect`.
    Redirected {
        /// The value of Contact.
        contact: String,
    },
    /// No application acted on the inbound call.
    Unattended,
    /// The call that it was dialled for is over.
    Orphaned,
    /// It rang too long.
    RingTimeout,
    /// The far end took the INVITE and then neither rang nor decided.
    NoRinging,
    /// Nothing has come from it for too long.
    Silent,
    /// The longest talk is over.
    MaxAnswer,
    /// It was idle too long.
    IdleTimeout,
    /// The answer to our offer cannot be used.
    NotNegotiated(Unagreed),
    /// The node ends.
    Shutdown,
    /// Its media is gone, and nobody has asked for that.
    MediaGone,
    /// Its session is gone, and nobody has asked for that.
    SessionGone,
}

/// What the far end said of why it ended the call.
pub(crate) fn reason_of(cause: &EndCause) -> Option<String> {
    match cause {
        EndCause::Refused { reason, .. } | EndCause::Cancelled { reason } | EndCause::Bye { reason } => {
            reason.clone()
        }
        EndCause::NoAck | EndCause::NoPrack | EndCause::Lost | EndCause::Expired | EndCause::Local => None,
    }
}

impl Ending {
    /// What the end of its SIP session means to a call.
    pub(crate) fn of_session(cause: &EndCause) -> Self {
        match cause {
            EndCause::Refused { by: Refuser::Names, .. } => Self::Unresolved,
            EndCause::Refused { status, by, contacts, .. } => {
                let by = match by {
                    Refuser::Peer => DroppedBy::User,
                    Refuser::Us | Refuser::Names => DroppedBy::System,
                };
                Self::Refused { status: *status, by, contacts: contacts.clone() }
            }
            EndCause::Cancelled { .. } => Self::Cancelled,
            EndCause::Bye { .. } => Self::Bye,
            EndCause::NoAck => Self::NoAck,
            EndCause::NoPrack => Self::NoPrack,
            EndCause::Lost | EndCause::Expired => Self::Lost,
            // We are told so only of what we ended, and then no call is routed to it any more.
            EndCause::Local => Self::SessionGone,
        }
    }

    /// Why the call ended, as `on_released` tells it (`call-api.md` §7, last line). "A normal hang-up by either side
    /// after the answer is 200" is read so: the far end's BYE, and a `drop` with its default cause 603. Another cause
    /// of a `drop` is the application's own word and stays. A BYE before the ACK is a caller that gave up.
    pub(crate) fn cause(&self, answered: Option<UnixMs>) -> Cause {
        let (by, status) = match self {
            Self::Cancelled => (DroppedBy::User, 487),
            Self::Bye if answered.is_some() => (DroppedBy::User, 200),
            Self::Bye => (DroppedBy::User, 487),
            Self::Refused { status, by, .. } => (*by, *status),
            Self::Drop { cause: DECLINE } if answered.is_some() => (DroppedBy::System, 200),
            Self::Drop { cause } => (DroppedBy::System, *cause),
            Self::Redirected { .. } => (DroppedBy::System, 302),
            Self::RingTimeout | Self::Orphaned => (DroppedBy::System, 487),
            Self::NoAck | Self::Lost | Self::NoRinging | Self::Silent => (DroppedBy::System, 408),
            Self::NoPrack => (DroppedBy::System, 504),
            Self::MaxAnswer => (DroppedBy::System, DECLINE),
            Self::Unattended | Self::IdleTimeout => (DroppedBy::System, 480),
            Self::NotNegotiated(_) => (DroppedBy::System, 488),
            Self::Shutdown | Self::Unresolved => (DroppedBy::System, 503),
            Self::MediaGone | Self::SessionGone => (DroppedBy::System, 500),
        };
        Cause { by, status }
    }

    /// What it means to an action that was running.
    pub(crate) fn cut_short(&self) -> Failure {
        match self {
            Self::MaxAnswer => Failure::MaxAnswerSeconds,
            Self::MediaGone | Self::SessionGone => Failure::Internal,
            _ => Failure::Hangup,
        }
    }

    /// What it means to an `answer` or a dialling that was under way.
    pub(crate) fn not_answered(&self) -> Failure {
        match self {
            Self::Cancelled | Self::Bye => Failure::Cancelled,
            Self::NoAck => Failure::NoAck,
            Self::NoPrack => Failure::NoPrack,
            Self::Drop { .. } | Self::Shutdown => Failure::Dropped,
            Self::RingTimeout => Failure::RingTimeout,
            Self::Orphaned => Failure::Hangup,
            Self::NotNegotiated(why) => Failure::NotNegotiated(*why),
            Self::MediaGone | Self::SessionGone => Failure::Internal,
            Self::Unresolved => Failure::Unresolved,
            Self::Refused { status: status @ (401 | 407), by: DroppedBy::User, .. } => {
                Failure::Unauthorized { sip_status: *status }
            }
            _ => Failure::Rejected { sip_status: self.cause(None).status },
        }
    }

    /// Why the far end is told to hang up (RFC 3326); none where it ended the call, or SIP did, and needs no telling.
    pub(crate) fn farewell(&self) -> Option<Reason> {
        let text = match self {
            Self::Cancelled | Self::Bye | Self::NoAck | Self::NoPrack | Self::Lost => return None,
            Self::Refused { .. } | Self::Unresolved | Self::SessionGone => return None,
            Self::Drop { .. } => "Dropped",
            Self::Redirected { .. } => "Redirected",
            Self::Unattended => "Unattended",
            Self::Orphaned => "Caller hung up",
            Self::RingTimeout => "Rang too long",
            Self::NoRinging => "No ringing",
            Self::Silent => "No media",
            Self::MaxAnswer => "Longest duration reached",
            Self::IdleTimeout => "Idle too long",
            Self::NotNegotiated(why) => why.reason(),
            Self::Shutdown => "Shutting down",
            Self::MediaGone => "Media failed",
        };
        Some(Reason { cause: self.cause(None).status, text: text.to_owned() })
    }
}
