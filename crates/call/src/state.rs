//! The states of a call as the API names them, and the table of their transitions (`call-api.md` §3).
//!
//! ```text
//!                answer              ACK            *_start, construct on it
//!   Initiated ───────────▶ Answer ────────▶ Idle ◀──────────▶ Play Record SendDtmf ReceiveDtmf Dial Connect Conf
//!       │  outbound: answered ──────────────▲ │      its end
//!       └──────────────▶ Released ◀───────────┘
//! ```
//! A hang-up during an action goes by Idle: the action ends, then the call.
//!
//! What guards it: a call is one struct of the state it is in, an input consumes that and makes the next, and
//! `Call::handle` is the only one to put it in its place and to tell of it, by `change`. So a call is always in exactly
//! one state, and what is told is where it is. *Which* state follows is written in the file of each state; `change` holds
//! it against the table wherever debug assertions are on, which is in all tests, and the seeded worlds of
//! `tests/calls/world` hold what is told against it once more. No input brings forth a transition of its own, so a
//! release build does not compare again: an impossible one is a mistake in the code, which those tests are there to find.

use crate::call::Core;
use crate::event::{EventKind, Parties};
use crate::node::Context;

/// Where a call is in its life (`call-api.md` §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It came in, or is being dialled, and is not answered.
    Initiated,
    /// `answer` has been sent and its ACK is awaited.
    Answer,
    /// Answered, and waiting for the application's next request.
    Idle,
    /// A prompt is being played.
    Play,
    /// The far end is being recorded.
    Record,
    /// Digits are being sent.
    SendDtmf,
    /// Digits are being collected.
    ReceiveDtmf,
    /// Another call is dialled for it.
    Dial,
    /// It is a party of a two-party connection.
    Connect,
    /// It is a member of a conference.
    Conf,
    /// Over. What it was doing is being completed; its events end with `on_released`.
    Released,
}

impl State {
    /// Every state, in the order of a call's life.
    pub const ALL: [Self; 11] = [
        Self::Initiated,
        Self::Answer,
        Self::Idle,
        Self::Play,
        Self::Record,
        Self::SendDtmf,
        Self::ReceiveDtmf,
        Self::Dial,
        Self::Connect,
        Self::Conf,
        Self::Released,
    ];

    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initiated => "Initiated",
            Self::Answer => "Answer",
            Self::Idle => "Idle",
            Self::Play => "Play",
            Self::Record => "Record",
            Self::SendDtmf => "SendDtmf",
            Self::ReceiveDtmf => "ReceiveDtmf",
            Self::Dial => "Dial",
            Self::Connect => "Connect",
            Self::Conf => "Conf",
            Self::Released => "Released",
        }
    }

    /// The state of a name, as it is spelled in the API.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The transition table. It does not steer a call, it judges one; the top of the file says when.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Initiated => matches!(next, Self::Answer | Self::Idle | Self::Released),
            Self::Answer => matches!(next, Self::Idle | Self::Released),
            Self::Idle => !matches!(next, Self::Initiated | Self::Answer | Self::Idle),
            Self::Play | Self::Record | Self::SendDtmf | Self::ReceiveDtmf | Self::Conf => next == Self::Idle,
            Self::Dial => matches!(next, Self::Idle | Self::Connect),
            Self::Connect => matches!(next, Self::Idle | Self::Dial),
            Self::Released => false,
        }
    }
}

/// Tells that a call is in a state now.
pub(crate) fn tell(core: &Core, cx: &mut Context<'_>, state: State, prior: Option<State>) {
    let parties = Parties {
        direction: core.direction,
        from_uri: core.from_uri.clone(),
        from_name: core.from_name.clone(),
        to_uri: core.to_uri.clone(),
        gateway: core.gateway.clone(),
    };
    core.tell(cx, EventKind::StateChanged { state, prior, parties: Box::new(parties) });
}

/// Tells of the way of a call from `prior` to `next`, by way of `passing` where a state was entered and left within one
/// step. The call itself is moved by [`Call::handle`](crate::call::Call::handle), which is the only one to come here.
pub(crate) fn change(core: &Core, cx: &mut Context<'_>, prior: State, passing: Option<State>, next: State) {
    let mut at = prior;
    for state in passing.into_iter().chain([next]) {
        if state != at {
            debug_assert!(at.may_become(state), "{at:?} does not become {state:?}");
            tell(core, cx, state, Some(at));
            at = state;
        }
    }
}
