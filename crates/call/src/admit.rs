//! Whether the state machine allows a request now (`call-api.md` §3): a pure function, and nothing else decides it.

use crate::command::Command;
use crate::error::{Direction, Error};
use crate::id::CallId;
use crate::state::State;

/// All that admission asks of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Who called whom.
    pub direction: Direction,
    /// Whether it acts for itself.
    pub role: Role,
    /// The call that is being dialled for it.
    pub child: Option<CallId>,
    /// Whether a transfer that was asked of the far end is under way.
    pub transferring: bool,
    /// Whether it is listened to by `detect_start`.
    pub detecting: bool,
    /// Whether the far end asks for a transfer.
    pub referral: Referral,
    /// Whether what it does is being stopped so that it can enter a conference.
    pub entering: bool,
}

/// Whether the far end asks for a transfer (REFER).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referral {
    /// It does not.
    #[default]
    None,
    /// It does, and waits for an answer.
    Offered,
    /// It was told that its wish is being followed, and waits to hear how it goes.
    Accepted,
}

/// Whether a call acts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does: what it is doing was asked of it.
    Own,
    /// It is the second party of a connection, which was asked of the first.
    SecondParty,
}

/// Why a request is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The call is over: for whoever asks it is not there any more, though its `on_released` may still be to come.
    Over,
    /// Not in this state.
    State {
        /// The states in which this very command would be allowed of this call, as it stands otherwise.
        allowed: &'static [State],
    },
    /// In no state, as the call stands otherwise, for this reason.
    Standing(&'static str),
    /// Not with this direction, in any state.
    Direction,
}

impl Denied {
    /// As the API's error.
    pub fn into_error(self, call: CallId, standing: Standing) -> Error {
        match self {
            Self::Over => Error::NotFound { call },
            Self::State { allowed } => Error::InvalidState { call, state: standing.state, allowed },
            Self::Standing(detail) => Error::NotNow { call, state: standing.state, detail },
            Self::Direction => Error::WrongDirection { call, direction: standing.direction },
        }
    }
}

/// Whether `command` is allowed of a call that stands so.
pub fn admit(standing: Standing, command: &Command) -> Result<(), Denied> {
    let allowed: &'static [State] = match command {
        Command::Exists { .. }
        | Command::List { .. }
        | Command::SendPage(_)
        | Command::Gateways
        | Command::ConferenceConstruct(_)
        | Command::ConferenceList { .. }
        | Command::Conference { .. } => return Ok(()),
        _ if standing.state == State::Released => return Err(Denied::Over),
        Command::Drop { .. } | Command::Nop { .. } | Command::Get { .. } => return Ok(()),
        Command::Answer { .. } | Command::Reject { .. } | Command::Redirect { .. } | Command::Ring { .. } => {
            if standing.direction == Direction::Outbound {
                return Err(Denied::Direction);
            }
            &[State::Initiated]
        }
        // Its own child is not answered yet; what that lets hear already can be connected.
        Command::ConnectStart { other, .. } if standing.child == Some(*other) => &[State::Idle, State::Dial],
        Command::ConnectStop { .. } if standing.role == Role::SecondParty => {
            return Err(Denied::Standing("the connection was asked of its other party"));
        }
        Command::ConfEnter(_) if standing.entering => {
            return Err(Denied::Standing("it is about to enter a conference"));
        }
        // A second one would leave it open which of them the far end speaks of.
        Command::Transfer { .. } if standing.transferring => {
            return Err(Denied::Standing("a transfer is under way"));
        }
        Command::TransferAccept { .. } | Command::TransferDecline { .. } => match standing.referral {
            Referral::Offered => TALKING,
            Referral::None => return Err(Denied::Standing("the far end asks for no transfer")),
            Referral::Accepted => return Err(Denied::Standing("the transfer was accepted before")),
        },
        Command::TransferNotify { .. } if standing.referral != Referral::Accepted => {
            return Err(Denied::Standing("no transfer was accepted"));
        }
        // What is heard is told beside whatever the call does, so it would be hard to say which of two it is of.
        Command::DetectStart { .. } if standing.detecting => {
            return Err(Denied::Standing("it is listened to already"));
        }
        Command::DetectStop { .. } if !standing.detecting => {
            return Err(Denied::Standing("nothing is being detected"));
        }
        Command::SendMessage { .. }
        | Command::DetectStart { .. }
        | Command::DetectStop { .. }
        | Command::TransferNotify { .. } => TALKING,
        _ => doing(command),
    };
    if allowed.contains(&standing.state) { Ok(()) } else { Err(Denied::State { allowed }) }
}

/// The states of an answered call. What answers the far end's own wish, only sends text, or only listens, is no action: it
/// is allowed beside any, and of both parties of a connection.
const TALKING: &[State] = &[
    State::Idle,
    State::Play,
    State::Record,
    State::SendDtmf,
    State::ReceiveDtmf,
    State::Dial,
    State::Connect,
    State::Conf,
];

/// Starts need a call that does nothing, stops one that does just that. To enter a conference a call may leave off what it
/// does, unless another call is in it.
fn doing(command: &Command) -> &'static [State] {
    match command {
        Command::PlayStop { .. } => &[State::Play],
        Command::RecordStop { .. } | Command::RecordPause { .. } => &[State::Record],
        Command::SendDtmfStop { .. } => &[State::SendDtmf],
        Command::ReceiveDtmfStop { .. } => &[State::ReceiveDtmf],
        Command::ConnectStop { .. } => &[State::Connect],
        Command::ConfEnter(_) => {
            &[State::Idle, State::Play, State::Record, State::SendDtmf, State::ReceiveDtmf]
        }
        Command::ConfExit { .. } => &[State::Conf],
        _ => &[State::Idle],
    }
}
