//! The INVITE client transaction (RFC 3261 §17.1.1, figure 5; Accepted from RFC 6026 §7.2).
//!
//! ```text
//!             A: send again         1xx: up
//!              ┌──────┐            ┌──────┐
//!   INVITE  ┌──┴──────▼─┐  1xx  ┌──┴──────▼──┐
//!  ────────►│  Calling  ├──────►│ Proceeding │
//!           └┬─────┬────┘       └──────┬─────┘
//!   B, error │     └─────────┬─────────┘
//!         up │  300-699: ACK │  2xx: up
//!            │    ┌──────────┴──────────┐
//!            │ ┌──▼────────┐     ┌──────▼────┐
//!            │ │ Completed │     │ Accepted  │  2xx: up
//!            │ └──┬────────┘     └──────┬────┘
//!            ▼    ▼ D                   ▼ M
//!           ──────────── Terminated ──────────
//! ```

use std::time::Instant;

use super::timer::Retransmit;
use super::{Context, Fired, Machine, Pass, User};
use crate::event::Flow;
use crate::message::{Message, ack_of_refusal};

/// One INVITE on its way.
pub(crate) struct InviteClient {
    /// Whose INVITE it is.
    pub(crate) user: User,
    /// Where it is sent.
    pub(crate) flow: Flow,
    invite: Vec<u8>,
    state: State,
}

enum State {
    Calling { retransmit: Option<Retransmit>, give_up: Instant },
    Proceeding,
    Completed { ack: Vec<u8>, end: Instant },
    Accepted { end: Instant },
    Terminated,
}

impl InviteClient {
    /// Sends the INVITE.
    pub(crate) fn start(user: User, flow: Flow, invite: Vec<u8>, context: &mut Context<'_>) -> Self {
        let (now, timers) = (context.now, context.timers);
        context.wire.send(flow, invite.clone());
        let retransmit = (!flow.transport.is_reliable()).then(|| Retransmit::after(now, timers.t1));
        Self { user, flow, invite, state: State::Calling { retransmit, give_up: now + timers.timeout() } }
    }

    /// The INVITE that an earlier run has sent, which had a provisional response.
    pub(crate) fn resume(user: User, flow: Flow, invite: Vec<u8>) -> Self {
        Self { user, flow, invite, state: State::Proceeding }
    }

    /// The INVITE as it was sent, for the CANCEL that belongs to it.
    pub(crate) fn invite(&self) -> &[u8] {
        &self.invite
    }

    /// A response with the branch of this INVITE.
    pub(crate) fn on_response(&mut self, response: &Message, context: &mut Context<'_>) -> Pass {
        let status = response.status().unwrap_or_default();
        let timeout = context.timers.timeout();
        match (&self.state, status) {
            (State::Calling { .. } | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Pass::Up
            }
            (State::Calling { .. } | State::Proceeding, 200..=299) => {
                self.state = State::Accepted { end: context.now + timeout };
                Pass::Up
            }
            (State::Calling { .. } | State::Proceeding, 300..=699) => {
                self.refused(response, context);
                Pass::Up
            }
            (State::Completed { ack, .. }, 300..=699) => {
                context.wire.resend(self.flow, ack);
                Pass::Absorbed
            }
            (State::Accepted { .. }, 200..=299) => Pass::Up,
            _ => Pass::Absorbed,
        }
    }

    fn refused(&mut self, response: &Message, context: &mut Context<'_>) {
        // Our own INVITE always parses: it was written here.
        let ack =
            Message::parse(&self.invite).map(|invite| ack_of_refusal(&invite, response)).unwrap_or_default();
        context.wire.send(self.flow, ack.clone());
        self.state = if self.flow.transport.is_reliable() {
            State::Terminated
        } else {
            State::Completed { ack, end: context.now + context.timers.timeout() }
        };
    }

    /// The driver could not send on this transaction's flow. Says whether that ends the transaction.
    pub(crate) fn on_transport_failed(&mut self) -> bool {
        let fatal = matches!(self.state, State::Calling { .. });
        if fatal {
            self.state = State::Terminated;
        }
        fatal
    }

    /// The transaction user no longer waits (RFC 3261 §9.1: no final response within 64·T1 after the CANCEL).
    pub(crate) fn abandon(&mut self) {
        self.state = State::Terminated;
    }
}

impl Machine for InviteClient {
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Calling { retransmit, give_up } => {
                Some(retransmit.map_or(give_up, |retransmit| retransmit.at.min(give_up)))
            }
            State::Completed { end, .. } | State::Accepted { end } => Some(end),
            State::Proceeding | State::Terminated => None,
        }
    }

    fn on_deadline(&mut self, context: &mut Context<'_>) -> Fired {
        let now = context.now;
        match &mut self.state {
            State::Calling { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                Fired::TimedOut(self.user)
            }
            State::Calling { retransmit: Some(retransmit), .. } if retransmit.at <= now => {
                context.wire.resend(self.flow, &self.invite);
                // Timer A has no cap; Timer B ends it after seven requests.
                *retransmit = retransmit.doubled(now, context.timers.timeout());
                Fired::Nothing
            }
            State::Completed { end, .. } | State::Accepted { end } if *end <= now => {
                self.state = State::Terminated;
                Fired::Nothing
            }
            _ => Fired::Nothing,
        }
    }

    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn is_quiet(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Accepted { .. } | State::Terminated)
    }
}
