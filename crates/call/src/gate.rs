//! Who gets in: the node's limits on new calls, inbound and outbound alike.

use std::time::{Duration, Instant};

use crate::Config;

/// What a refused caller is told to wait before it tries again. Long enough for a node to restart.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Why there is no room for one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The node is draining.
    Draining,
    /// As many calls as are allowed are alive.
    Calls,
    /// As many calls as are allowed have begun within a second.
    Rate,
}

/// Leave for one call to get in, at the moment it was given.
#[derive(Debug)]
pub(crate) struct Ticket {
    full_at: Instant,
}

/// The node's limits on new calls.
///
/// Calls per second are a token bucket that holds one second's worth, kept as the moment at which it will be full again:
/// each call moves that moment on by `1 / rate`, and one that would move it more than a second ahead is refused.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    full_at: Option<Instant>,
    draining: bool,
    pub(crate) applications: usize,
}

impl Gate {
    /// From now on nobody gets in.
    pub(crate) fn close(&mut self) {
        self.draining = true;
    }

    /// Whether one more call gets in besides `live` others. It counts only when it is [`Self::enter`]ed.
    pub(crate) fn check(&self, now: Instant, config: &Config, live: usize) -> Result<Ticket, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if live >= config.max_calls {
            return Err(Refusal::Calls);
        }
        let share = Duration::from_secs(1).checked_div(config.max_calls_per_second).ok_or(Refusal::Rate)?;
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + share;
        if full_at.duration_since(now) > Duration::from_secs(1) {
            return Err(Refusal::Rate);
        }
        Ok(Ticket { full_at })
    }

    /// One more call is in.
    pub(crate) fn enter(&mut self, ticket: Ticket) {
        self.full_at = Some(ticket.full_at);
    }
}
