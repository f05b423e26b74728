//! The non-INVITE client transaction (RFC 3261 §17.1.2, figure 6): BYE and CANCEL.
//!
//! ```text
//!              E: send again          1xx, E: send again
//!              ┌──────┐            ┌──────┐
//!  request  ┌──┴──────▼─┐  1xx  ┌──┴──────▼──┐
//!  ────────►│  Trying   ├──────►│ Proceeding │
//!           └┬─────┬────┘       └─┬────┬─────┘
//!            │     │ 200-699: up  │    │
//!            │     └──────┬───────┘    │
//!            │     ┌──────▼────┐       │
//!   F, error │     │ Completed │       │ F, error
//!         up │     └──────┬────┘       │ up
//!            ▼            ▼ K          ▼
//!           ──────────── Terminated ──────────
//! ```

use std::time::Instant;

use super::timer::Retransmit;
use super::{Context, Fired, Machine, Pass, User};
use crate::event::Flow;
use crate::message::Message;

/// One request other than INVITE on its way.
pub(crate) struct Client {
    /// Whose request it is.
    pub(crate) user: User,
    /// Where it is sent.
    pub(crate) flow: Flow,
    request: Vec<u8>,
    state: State,
}

enum State {
    Trying { retransmit: Option<Retransmit>, give_up: Instant },
    Proceeding { retransmit: Option<Retransmit>, give_up: Instant },
    Completed { end: Instant },
    Terminated,
}

impl Client {
    /// Sends the request.
    pub(crate) fn start(user: User, flow: Flow, request: Vec<u8>, context: &mut Context<'_>) -> Self {
        let (now, timers) = (context.now, context.timers);
        context.wire.send(flow, request.clone());
        let retransmit = (!flow.transport.is_reliable()).then(|| Retransmit::after(now, timers.t1));
        let state = State::Trying { retransmit, give_up: now + timers.timeout() };
        Self { user, flow, request, state }
    }

    /// A response with the branch and the method of this request.
    pub(crate) fn on_response(&mut self, response: &Message, context: &mut Context<'_>) -> Pass {
        let status = response.status().unwrap_or_default();
        match self.state {
            State::Trying { retransmit, give_up } | State::Proceeding { retransmit, give_up } => {
                if status < 200 {
                    self.state = State::Proceeding { retransmit, give_up };
                    return Pass::Absorbed;
                }
                self.state = if self.flow.transport.is_reliable() {
                    State::Terminated
                } else {
                    State::Completed { end: context.now + context.timers.t4 }
                };
                Pass::Up
            }
            State::Completed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// The driver could not send on this transaction's flow. Says whether that ends the transaction.
    pub(crate) fn on_transport_failed(&mut self) -> bool {
        let fatal = matches!(self.state, State::Trying { .. } | State::Proceeding { .. });
        if fatal {
            self.state = State::Terminated;
        }
        fatal
    }

    /// The transaction user no longer wants to know.
    pub(crate) fn abandon(&mut self) {
        self.state = State::Terminated;
    }
}

impl Machine for Client {
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Trying { retransmit, give_up } | State::Proceeding { retransmit, give_up } => {
                Some(retransmit.map_or(give_up, |retransmit| retransmit.at.min(give_up)))
            }
            State::Completed { end } => Some(end),
            State::Terminated => None,
        }
    }

    fn on_deadline(&mut self, context: &mut Context<'_>) -> Fired {
        let (now, timers) = (context.now, context.timers);
        match &mut self.state {
            State::Trying { give_up, .. } | State::Proceeding { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                Fired::TimedOut(self.user)
            }
            State::Trying { retransmit: Some(retransmit), .. } if retransmit.at <= now => {
                context.wire.resend(self.flow, &self.request);
                *retransmit = retransmit.doubled(now, timers.t2);
                Fired::Nothing
            }
            State::Proceeding { retransmit: Some(retransmit), .. } if retransmit.at <= now => {
                context.wire.resend(self.flow, &self.request);
                *retransmit = Retransmit::slowed(now, timers.t2);
                Fired::Nothing
            }
            State::Completed { end } if *end <= now => {
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
        matches!(self.state, State::Completed { .. } | State::Terminated)
    }
}
