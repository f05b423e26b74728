//! Why a request is refused. Each variant is one row of the API's error table.

use std::time::Duration;

use offhook_sip::event::GatewayName;

use crate::id::{CallId, ConferenceId, Resource};
use crate::state::State;

/// Why a request is refused; nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no such call, or it is over: also while its `on_released` is still to come.
    NotFound {
        /// Which.
        call: CallId,
    },
    /// There is no such conference, or it is over.
    NoConference {
        /// Which.
        conference: ConferenceId,
    },
    /// The state machine does not allow it now.
    InvalidState {
        /// Whose state.
        call: CallId,
        /// The state it is in.
        state: State,
        /// The states that would allow it.
        allowed: &'static [State],
    },
    /// Something else than its state does not allow it now.
    NotNow {
        /// Of which call.
        call: CallId,
        /// The state it is in, which is not the reason.
        state: State,
        /// What is.
        detail: &'static str,
    },
    /// The request does not fit the call's direction.
    WrongDirection {
        /// Which call.
        call: CallId,
        /// The direction it has.
        direction: Direction,
    },
    /// A parameter whose value only the state of things can judge (a call connected with itself).
    InvalidParam {
        /// The parameter's name in the API.
        param: &'static str,
        /// What it should have been.
        expected: String,
    },
    /// A prompt or a recording file is not to be had.
    File {
        /// What is wrong with it.
        fault: FileFault,
        /// The name in the API of the parameter that asks for it.
        param: &'static str,
        /// Which file, as the application named it, or as a word is named.
        file: String,
        /// Which item of a list asks for it, the first being 0.
        item: Option<usize>,
    },
    /// A limit of the node, or of a gateway.
    LimitReached {
        /// Its name: `calls`, `conferences`, `calls_per_second`, `ports`, `conference_plays`, `conference_recordings`,
        /// `messages`, `gateway_calls`, `gateway_calls_per_second`.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// No gateway on the way can be called now: it does not answer to OPTIONS, or it said when to come back.
    GatewayUnavailable {
        /// The first of them.
        gateway: GatewayName,
        /// When it may be tried again, where it said so.
        retry_in: Option<Duration>,
    },
    /// The peer cannot do it.
    NotNegotiated {
        /// What it cannot do.
        message: String,
    },
    /// The node is draining.
    ShuttingDown,
    /// The answer did not reach the connected state.
    AnswerFailed {
        /// 408 without an ACK, 487 when the caller gave up, 488 where its ACK has no codec of ours.
        sip_status: u16,
    },
    /// A defect of ours.
    Internal {
        /// What broke, for the log.
        message: String,
    },
}

impl Error {
    /// The same, where it is about a file that this parameter asks for.
    pub(crate) fn about(self, param: &'static str) -> Self {
        match self {
            Self::File { fault, file, item, .. } => Self::File { fault, param, file, item },
            other => other,
        }
    }

    pub(crate) fn not_found(resource: Resource) -> Self {
        match resource {
            Resource::Call(call) => Self::NotFound { call },
            Resource::Conference(conference) => Self::NoConference { conference },
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It is not there.
    NotFound,
    /// It is there and cannot be read or written.
    Unreadable,
    /// Its format is none that we read.
    Unsupported,
    /// There is nothing in it, not even a header.
    Empty,
    /// Its name is none of a file in its directory.
    Forbidden,
    /// It is a symbolic link, or behind one, and links are not followed.
    Link,
    /// It is a folder, a device, a FIFO or a socket.
    Irregular,
    /// It exists already and may not be replaced.
    Exists,
    /// The disk is full.
    DiskFull,
    /// Nobody speaks the text: there is no provider, or it has failed.
    Unspoken,
    /// As many requests for files wait already as may.
    Busy {
        /// So many.
        limit: u64,
    },
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The far end called us.
    Inbound,
    /// We called the far end.
    Outbound,
}
