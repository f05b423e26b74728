//! What is told of streams that flow badly.

use std::time::Duration;

/// From when on a stream is in [`Event::Trouble`](super::Event::Trouble).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    /// Percent of the packets that never arrive, either way; none: never.
    pub loss_percent: Option<u8>,
    /// How long the peer's reports do not say that anything of ours has arrived; none: never.
    pub one_way_after: Option<Duration>,
}

/// What is wrong with a stream that flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// So many percent of what the peer sent in ten seconds never came.
    LossIn {
        /// Of what was due.
        percent: u8,
    },
    /// So many percent of what we sent never arrived, as the peer reports.
    LossOut {
        /// Of what was due since its report before.
        percent: u8,
    },
    /// Media comes, and so do reports; but nothing of what we send arrives, as far as they say.
    OneWay {
        /// For how long.
        lasted: Duration,
    },
}
