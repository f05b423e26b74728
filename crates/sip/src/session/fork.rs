//! One of the dialogs that an INVITE of ours forks into (RFC 3261 §12.1.2, §13.2.2.4): early while its phone rings,
//! then the call itself or one too many. The ACK is kept and sent again for every repeated 2xx.

use std::time::Instant;

use super::ack::Ack;
use super::lane::Sender;
use super::leg::{Fate, Leg};
use super::refresh::Asking;
use super::reliable::{Heard, Order};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::Body;
use crate::message::Message;

/// One dialog of an outbound call.
pub(crate) struct Fork {
    pub(crate) leg: Leg,
    /// The reliable provisional responses that came while it was early.
    heard: Heard,
    /// Whether one of them has carried the answer.
    pub(super) has_answer: bool,
    /// Whether its telephone has rung.
    has_rung: bool,
    stage: Stage,
}

enum Stage {
    /// A provisional response came.
    Early,
    /// Its 2xx was the first: this is the call.
    Kept(Ack),
    /// Its 2xx was not the first: acknowledged, and hung up.
    Dropped(Ack),
}

impl Fork {
    /// A dialog of the INVITE that offered this.
    pub(super) fn early(dialog: Dialog, asking: Asking, offer: Option<Body>) -> Self {
        let mut leg = Leg::new(dialog, asking);
        leg.change.local = offer;
        Self { leg, heard: Heard::default(), has_answer: false, has_rung: false, stage: Stage::Early }
    }

    /// A provisional response in this early dialog. Says whether it is news.
    pub(super) fn on_provisional(&mut self, sender: &mut Sender<'_>, message: &Message, cseq: u32) -> bool {
        let rseq = message.rseq();
        self.has_rung |= message.status() == Some(180);
        match rseq.map(|rseq| self.heard.take(rseq)) {
            Some(Order::Again | Order::Ahead) => return false,
            Some(Order::Next) | None => {}
        }
        if let Some(body) = message.body().filter(|_| !self.has_answer) {
            self.leg.change.remote = Some(body);
            self.has_answer = rseq.is_some();
        }
        self.leg.change.learn(message);
        if let Some(rseq) = rseq {
            self.leg.prack(sender, format!("{rseq} {cseq} INVITE"));
        }
        true
    }

    /// The 2xx of the call: its session timer, and what the peer describes.
    pub(super) fn on_answer(&mut self, now: Instant, message: &Message) {
        self.leg.refresh.accepted(now, message);
        self.leg.change.learn(message);
        if let Some(body) = message.body().filter(|_| !self.has_answer) {
            self.leg.change.remote = Some(body);
        }
    }

    /// Its 2xx was the first: this is the call.
    pub(super) fn keep(&mut self, ack: Ack) {
        self.stage = Stage::Kept(ack);
    }

    /// Its 2xx was not the first.
    pub(super) fn drop_it(&mut self, ack: Ack) {
        self.stage = Stage::Dropped(ack);
    }

    pub(crate) fn is_early(&self) -> bool {
        matches!(self.stage, Stage::Early)
    }

    /// Whose telephone rings that has not answered.
    pub(super) fn ringing(&self) -> Option<&str> {
        (self.is_early() && self.has_rung).then(|| self.leg.dialog.target())
    }

    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.stage, Stage::Kept(_))
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.leg.dialog.remote_tag == tag
    }

    /// Sends what waits for the address of the next hop: the ACK first, then the requests.
    pub(crate) fn advance(&mut self, sender: &mut Sender<'_>) {
        let acknowledged = match &mut self.stage {
            Stage::Early => true,
            Stage::Kept(ack) | Stage::Dropped(ack) => ack.advance(&mut self.leg.dialog, sender),
        };
        if acknowledged {
            self.leg.advance(sender);
        }
    }

    /// Does what is due; the ACK before all other. Says what that means for the call.
    pub(super) fn on_deadline(&mut self, sender: &mut Sender<'_>) -> Fate {
        self.leg.dialog.on_deadline(sender.core, sender.now);
        self.advance(sender);
        self.leg.on_deadline(sender)
    }

    /// The 2xx came again: our ACK was lost.
    pub(crate) fn acknowledge_again(&self, core: &mut Core) {
        if let Stage::Kept(ack) | Stage::Dropped(ack) = &self.stage {
            ack.again(core);
        }
    }
}
