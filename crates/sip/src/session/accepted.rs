//! The 2xx of an INVITE, repeated until its ACK comes, on every transport (RFC 3261 §13.3.1.4): the first INVITE of a call
//! or one that changes it.

use std::time::Instant;

use crate::core::{Core, Request};
use crate::event::Flow;
use crate::transaction::timer::Retransmit;

/// A 2xx that is not acknowledged.
pub(super) struct Accepted {
    ok: Vec<u8>,
    reply: Flow,
    /// The number of the INVITE: that of its ACK too.
    pub(super) cseq: u32,
    /// Whether the 2xx carries our offer, so that the ACK brings the answer.
    pub(super) offers: bool,
    retransmit: Retransmit,
    give_up: Instant,
}

impl Accepted {
    /// The 2xx has been sent for the first time.
    pub(super) fn new(core: &Core, now: Instant, request: &Request, ok: Vec<u8>) -> Self {
        let timers = core.timers();
        Self {
            ok,
            reply: request.reply_flow(),
            cseq: request.head.cseq,
            offers: request.message.body().is_none(),
            retransmit: Retransmit::after(now, timers.t1),
            give_up: now + timers.timeout(),
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.retransmit.at.min(self.give_up)
    }

    /// Repeats the 2xx if it is time. `false` once there is no more hope for its ACK.
    pub(super) fn on_deadline(&mut self, core: &mut Core, now: Instant) -> bool {
        if self.give_up <= now {
            return false;
        }
        if self.retransmit.at <= now {
            core.wire.resend(self.reply, &self.ok);
            self.retransmit = self.retransmit.doubled(now, core.timers().t2);
        }
        true
    }
}
