//! What may be left of calls that have ended: nothing, 40 s later (reliability G7, G23).

use std::collections::BTreeSet;
use std::time::Duration;

use offhook_call::error::Direction;
use offhook_call::event::Released;
use offhook_call::id::CallId;
use offhook_exchange::Exchange;
use offhook_worlds::checks::Checks;

use crate::media::Media;

/// 64·T1 for what is still on its way, and some rest.
pub(crate) const GONE_WITHIN: Duration = Duration::from_secs(40);

/// How much longer a session may last that was hung up while our answer was not acknowledged: the BYE waits for the ACK or
/// for the end of the transaction (RFC 3261 §15).
const UNACKNOWLEDGED: Duration = Duration::from_secs(32);

/// Calls that were released not long ago.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Until when they may leave something.
    recent: BTreeSet<(Duration, CallId)>,
    last_release: Duration,
    /// When our user agent or the calls last had anything to wait for.
    last_deadline: Duration,
}

impl Leftovers {
    pub(crate) fn released(&mut self, at: Duration, call: CallId, released: &Released) {
        let is_in = released.direction == Direction::Inbound;
        let waits = is_in && released.answer_time.is_none();
        self.recent.insert((at + GONE_WITHIN + if waits { UNACKNOWLEDGED } else { Duration::ZERO }, call));
        self.last_release = at;
    }

    pub(crate) fn is_awake(&mut self, at: Duration) {
        self.last_deadline = at;
    }

    /// How long after the last call anything was waited for.
    pub(crate) fn aftermath(&self) -> Duration {
        self.last_deadline.saturating_sub(self.last_release)
    }

    /// After each step: no more sessions and legs than calls that live or have ended a moment ago, and the ports of those
    /// that ended before are free.
    pub(crate) fn step(&mut self, at: Duration, exchange: &Exchange, media: &Media, checks: &Checks) {
        while let Some(&(until, call)) = self.recent.first()
            && until < at
        {
            assert!(!checks.holds_port(call), "{call:?} still has its ports");
            self.recent.pop_first();
        }
        let most = exchange.calls().live() + self.recent.len();
        let sessions = exchange.endpoint().counters().sessions;
        assert!(sessions <= most, "{sessions} sessions of {most} calls");
        let legs = media.engine.legs();
        assert!(legs <= most, "{legs} legs of {most} calls");
    }

    /// At the end of the world nothing is left at all.
    pub(crate) fn end(&self, exchange: &Exchange, media: &Media) {
        let counters = exchange.endpoint().counters();
        assert_eq!((counters.sessions, counters.transactions), (0, 0), "left over");
        assert!(exchange.is_quiet() && exchange.poll_timeout().is_none());
        assert!(media.engine.is_idle(), "{} legs are left", media.engine.legs());
    }
}
