//! Whether the peer is there: how long nothing has come from it, and how much has been sent to where nothing came from.
//!
//! ```text
//!                 silent_after without a packet
//!     heard ────────────────────────────────────▶ silent     told once each way
//!       ▲──── any packet, or a new agreement ────────┘
//! ```
//! Whatever can be read as RTP or RTCP counts as life, comfort noise and payload types that were not negotiated
//! included. A peer that is not bound to send, on hold or only listening, is never silent.

use std::time::{Duration, Instant};

use crate::codec::{Codec, TICKS};
use crate::event::LegConfig;
use crate::sdp::Direction;

/// What is known of the peer's presence.
#[derive(Debug)]
pub(super) struct Presence {
    /// As long as this without a packet is silence; none where the peer owes us nothing.
    silent_after: Option<Duration>,
    /// When a packet came last, or the peer was last bound to send.
    since: Instant,
    is_silent: bool,
    /// Audio that may still be sent while nothing comes, in ticks; none without a limit, or once heard.
    credit: Option<u64>,
}

impl Presence {
    pub(super) fn new(now: Instant, config: &LegConfig) -> Self {
        Self { silent_after: owed(config), since: now, is_silent: false, credit: credit(config) }
    }

    /// Something came; `true` if that ends a silence.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        (self.since, self.credit) = (now, None);
        std::mem::take(&mut self.is_silent)
    }

    /// There is a new agreement, maybe with another address; `true` if that ends a silence.
    pub(super) fn agreed(&mut self, now: Instant, config: &LegConfig, is_elsewhere: bool) -> bool {
        (self.since, self.silent_after) = (now, owed(config));
        if is_elsewhere {
            self.credit = credit(config);
        }
        std::mem::take(&mut self.is_silent)
    }

    /// Time passes; `true` if the peer falls silent.
    pub(super) fn falls_silent(&mut self, now: Instant) -> bool {
        let is_due = |after| now.saturating_duration_since(self.since) >= after;
        let falls = !self.is_silent && self.silent_after.is_some_and(is_due);
        self.is_silent |= falls;
        falls
    }

    /// Whether more may be sent to where nothing has come from.
    pub(super) fn may_hear(&self) -> bool {
        self.credit != Some(0)
    }

    /// So many samples were sent.
    pub(super) fn sent(&mut self, codec: Codec, samples: usize) {
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_sub((samples * codec.sample_ticks()) as u64);
        }
    }
}

fn owed(config: &LegConfig) -> Option<Duration> {
    config.silent_after.filter(|_| config.media.direction == Direction::SendRecv)
}

fn credit(config: &LegConfig) -> Option<u64> {
    config.unheard_limit.map(|limit| limit.as_secs() * u64::from(TICKS))
}
