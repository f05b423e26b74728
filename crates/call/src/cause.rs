//! Why calls end.

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

/// Why an action or a dialling ended other than well: the `error` of its completion event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The call was hung up, by the far end or by `drop`.
    Hangup,
    /// `record_stop` ended a recording, which by the API's contract is an error.
    Stopped,
    /// A recording or a connection reached its longest duration.
    MaxSeconds,
    /// The call reached its longest duration.
    MaxAnswerSeconds,
    /// No key came in time.
    Timeout,
    /// Nobody answered the ringing in time.
    RingTimeout,
    /// The far end refused, or could not be reached.
    Rejected {
        /// The final response.
        sip_status: u16,
    },
    /// `drop` ended the dialling.
    Dropped,
    /// The caller gave up before its call was answered.
    Cancelled,
    /// The answer was not acknowledged in time.
    NoAck,
    /// The far end accepts none of our codecs.
    NotNegotiated,
    /// The disk is full.
    DiskFull,
    /// The disk does not work.
    Io,
    /// A prompt to be played again could not be had any more.
    File,
    /// A defect of ours.
    Internal,
}

impl Failure {
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
            Self::Dropped => "dropped",
            Self::Cancelled => "cancelled",
            Self::NoAck => "no_ack",
            Self::NotNegotiated => "not_negotiated",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::File => "file",
            Self::Internal => "internal",
        }
    }

    /// The SIP status behind it, where there is one.
    pub fn sip_status(self) -> Option<u16> {
        match self {
            Self::Rejected { sip_status } => Some(sip_status),
            Self::Cancelled | Self::RingTimeout => Some(487),
            Self::NoAck => Some(408),
            Self::NotNegotiated => Some(488),
            _ => None,
        }
    }
}
