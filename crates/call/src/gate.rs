//! Who gets in: the node's limits on new calls, inbound and outbound alike.

use std::time::{Duration, Instant};

use crate::Config;
use crate::cause::TurnedAway;

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

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Draining => Self::ShuttingDown,
            Refusal::Calls => Self::Calls,
            Refusal::Rate => Self::CallsPerSecond,
        }
    }
}

/// Leave for one call to get in, at the moment it was given.
#[derive(Debug)]
pub(crate) struct Ticket {
    full_at: Instant,
}

/// New calls per second: a token bucket that holds one second's worth, kept as the moment at which it will be full again.
/// Each call moves that moment on by `1 / rate`, and one that would move it more than a second ahead is refused.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Leave for one more call; none where as many as `rate` have begun within a second. It counts only when it is
    /// [`Self::take`]n.
    pub(crate) fn check(&self, now: Instant, rate: u32) -> Option<Ticket> {
        let ticket = self.force(now, rate)?;
        (ticket.full_at.duration_since(now) <= Duration::from_secs(1)).then_some(ticket)
    }

    /// The same for a call that cannot be held up any more: the ones after it wait the longer.
    pub(crate) fn force(&self, now: Instant, rate: u32) -> Option<Ticket> {
        let share = Duration::from_secs(1).checked_div(rate)?;
        Some(Ticket { full_at: self.full_at.map_or(now, |full_at| full_at.max(now)) + share })
    }

    /// One more call has begun.
    pub(crate) fn take(&mut self, ticket: Ticket) {
        self.full_at = Some(ticket.full_at);
    }
}

/// The node's limits on new calls.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    bucket: Bucket,
    draining: bool,
}

impl Gate {
    /// From now on nobody gets in.
    pub(crate) fn close(&mut self) {
        self.draining = true;
    }

    /// Whether nobody gets in any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether one more call gets in besides `live` others. It counts only when it is [`Self::enter`]ed.
    pub(crate) fn check(&self, now: Instant, config: &Config, live: usize) -> Result<Ticket, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if live >= config.max_calls {
            return Err(Refusal::Calls);
        }
        self.bucket.check(now, config.max_calls_per_second).ok_or(Refusal::Rate)
    }

    /// One more call is in.
    pub(crate) fn enter(&mut self, ticket: Ticket) {
        self.bucket.take(ticket);
    }
}
