//! The INVITE server transaction (RFC 3261 §17.2.1, figure 7; Accepted from RFC 6026 §7.1). The 2xx is repeated by the
//! user agent core, not here: its ACK is no part of this transaction (§13.3.1.4).
//!
//! ```text
//!               INVITE: repeat the last 1xx
//!               200 ms without a response: 100
//!                     ┌──────┐
//!          INVITE  ┌──┴──────▼──┐
//!         ────────►│ Proceeding │
//!                  └─┬────────┬─┘
//!    300-699: send   │        │  2xx: send
//!            ┌───────▼───┐  ┌─▼────────┐
//!  INVITE, G:│ Completed │  │ Accepted │ INVITE: nothing
//!  send again└─┬───────┬─┘  └────┬─────┘ ACK: up
//!          ACK │       │ H       │ L
//!     ┌────────▼──┐    │         │
//!     │ Confirmed │    │         │
//!     └────────┬──┘    │         │
//!            I ▼       ▼         ▼
//!           ──────── Terminated ────────
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::timer::Retransmit;
use super::{Context, Fired, Machine, MergeKey, Pass};
use crate::event::{Flow, SessionId};

/// How long the user agent core may take until a 100 says that the INVITE has arrived (§17.2.1).
pub(crate) const TRYING_AFTER: Duration = Duration::from_millis(200);

/// One INVITE that we answer.
pub(crate) struct InviteServer {
    /// The session it belongs to; none where it was refused at once.
    pub(crate) user: Option<SessionId>,
    /// The tag in our responses; the answer to a CANCEL has the same (§9.2).
    pub(crate) to_tag: String,
    /// Where it came from: only from there may it be cancelled (reliability S2).
    pub(crate) source: IpAddr,
    /// Its identity when it comes again on another path.
    pub(crate) merge: MergeKey,
    reply: Flow,
    state: State,
}

enum State {
    Proceeding { last: Vec<u8>, trying: Option<(Instant, Vec<u8>)> },
    Completed { response: Vec<u8>, retransmit: Option<Retransmit>, give_up: Instant },
    Confirmed { end: Instant },
    Accepted { end: Instant },
    Terminated,
}

impl InviteServer {
    /// A transaction that has not answered anything yet.
    pub(crate) fn new(
        user: Option<SessionId>,
        to_tag: String,
        source: IpAddr,
        merge: MergeKey,
        reply: Flow,
    ) -> Self {
        Self {
            user,
            to_tag,
            source,
            merge,
            reply,
            state: State::Proceeding { last: Vec::new(), trying: None },
        }
    }

    /// Sends this 100 in 200 ms if nothing else is sent before.
    pub(crate) fn trying(&mut self, response: Vec<u8>, context: &mut Context<'_>) {
        if let State::Proceeding { last, trying } = &mut self.state
            && last.is_empty()
        {
            *trying = Some((context.now + TRYING_AFTER, response));
        }
    }

    /// Sends a response of the core. After a final one nothing more is sent.
    pub(crate) fn respond(&mut self, status: u16, response: Vec<u8>, context: &mut Context<'_>) {
        if !matches!(self.state, State::Proceeding { .. }) {
            return;
        }
        context.wire.send(self.reply, response.clone());
        let (now, timers) = (context.now, context.timers);
        self.state = match status {
            ..200 => State::Proceeding { last: response, trying: None },
            200..300 => State::Accepted { end: now + timers.timeout() },
            300.. => State::Completed {
                response,
                retransmit: (!self.reply.transport.is_reliable()).then(|| Retransmit::after(now, timers.t1)),
                give_up: now + timers.timeout(),
            },
        };
    }

    /// The INVITE again.
    pub(crate) fn on_invite(&mut self, context: &mut Context<'_>) {
        match &self.state {
            State::Proceeding { last: response, .. } | State::Completed { response, .. }
                if !response.is_empty() =>
            {
                context.wire.resend(self.reply, response);
            }
            _ => {}
        }
    }

    /// An ACK with the branch of this INVITE: ours, unless the INVITE was accepted.
    pub(crate) fn on_ack(&mut self, context: &mut Context<'_>) -> Pass {
        match self.state {
            State::Completed { .. } => {
                self.state = if self.reply.transport.is_reliable() {
                    State::Terminated
                } else {
                    State::Confirmed { end: context.now + context.timers.t4 }
                };
                Pass::Absorbed
            }
            State::Accepted { .. } => Pass::Up,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// Whether the same INVITE on another path is a merged one (§8.2.2.2). Once it is refused it is not: a hunt
    /// group may try us again with the same Call-ID and CSeq.
    pub(crate) fn is_ongoing(&self) -> bool {
        matches!(self.state, State::Proceeding { .. } | State::Accepted { .. })
    }
}

impl Machine for InviteServer {
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Completed { retransmit, give_up, .. } => {
                Some(retransmit.map_or(give_up, |retransmit| retransmit.at.min(give_up)))
            }
            State::Confirmed { end } | State::Accepted { end } => Some(end),
            State::Proceeding { ref trying, .. } => trying.as_ref().map(|&(at, _)| at),
            State::Terminated => None,
        }
    }

    fn on_deadline(&mut self, context: &mut Context<'_>) -> Fired {
        let now = context.now;
        match &mut self.state {
            State::Completed { give_up: end, .. } | State::Confirmed { end } | State::Accepted { end }
                if *end <= now =>
            {
                self.state = State::Terminated;
            }
            State::Completed { response, retransmit: Some(retransmit), .. } if retransmit.at <= now => {
                context.wire.resend(self.reply, response);
                *retransmit = retransmit.doubled(now, context.timers.t2);
            }
            State::Proceeding { last, trying } if trying.as_ref().is_some_and(|&(at, _)| at <= now) => {
                *last = trying.take().map(|(_, response)| response).unwrap_or_default();
                context.wire.send(self.reply, last.clone());
            }
            _ => {}
        }
        Fired::Nothing
    }

    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn is_quiet(&self) -> bool {
        matches!(self.state, State::Confirmed { .. } | State::Accepted { .. } | State::Terminated)
    }
}
