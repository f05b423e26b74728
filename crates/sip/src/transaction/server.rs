//! The non-INVITE server transaction (RFC 3261 §17.2.2, figure 8). The core answers every request at once, so
//! Proceeding, which repeats a provisional response, has no use here and Trying ends before the next message comes.
//!
//! ```text
//!          request ┌────────┐ 200-699: send ┌───────────┐  J
//!         ────────►│ Trying ├──────────────►│ Completed ├────► Terminated
//!                  └────────┘               └──┬─────▲──┘
//!                                              └─────┘ request: send again
//! ```

use std::time::Instant;

use super::{Context, Fired, Machine, MergeKey};
use crate::event::Flow;

/// One request other than INVITE that we answer.
pub(crate) struct Server {
    /// Its identity when it comes again on another path.
    pub(crate) merge: MergeKey,
    reply: Flow,
    state: State,
}

enum State {
    Trying,
    Completed { response: Vec<u8>, end: Instant },
    Terminated,
}

impl Server {
    /// A transaction that has not answered anything yet.
    pub(crate) fn new(merge: MergeKey, reply: Flow) -> Self {
        Self { merge, reply, state: State::Trying }
    }

    /// Sends the final response.
    pub(crate) fn respond(&mut self, response: Vec<u8>, context: &mut Context<'_>) {
        if !matches!(self.state, State::Trying) {
            return;
        }
        context.wire.send(self.reply, response.clone());
        self.state = if self.reply.transport.is_reliable() {
            State::Terminated
        } else {
            State::Completed { response, end: context.now + context.timers.timeout() }
        };
    }

    /// The request again.
    pub(crate) fn on_request(&mut self, context: &mut Context<'_>) {
        if let State::Completed { response, .. } = &self.state {
            context.wire.resend(self.reply, response);
        }
    }
}

impl Machine for Server {
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Completed { end, .. } => Some(end),
            State::Trying | State::Terminated => None,
        }
    }

    fn on_deadline(&mut self, context: &mut Context<'_>) -> Fired {
        if self.deadline().is_some_and(|end| end <= context.now) {
            self.state = State::Terminated;
        }
        Fired::Nothing
    }

    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn is_quiet(&self) -> bool {
        !matches!(self.state, State::Trying)
    }
}
