//! One of the dialogs that an INVITE of ours forks into (RFC 3261 §12.1.2, §13.2.2.4): early while its phone rings,
//! then the call itself or one too many. The ACK is kept and sent again for every repeated 2xx.

use super::lane::Sender;
use super::leg::Leg;
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::{Flow, Header};

/// One dialog of an outbound call.
pub(crate) struct Fork {
    pub(crate) leg: Leg,
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

/// The ACK of a 2xx.
enum Ack {
    /// Where it goes is being resolved. Its number is that of the INVITE.
    Waiting { cseq: u32 },
    /// Sent; this is sent again.
    Sent { flow: Flow, bytes: Vec<u8> },
}

impl Fork {
    pub(crate) fn early(dialog: Dialog) -> Self {
        Self { leg: Leg::new(dialog), stage: Stage::Early }
    }

    pub(crate) fn kept(dialog: Dialog, cseq: u32) -> Self {
        Self { leg: Leg::new(dialog), stage: Stage::Kept(Ack::Waiting { cseq }) }
    }

    pub(crate) fn dropped(dialog: Dialog, cseq: u32) -> Self {
        Self { leg: Leg::new(dialog), stage: Stage::Dropped(Ack::Waiting { cseq }) }
    }

    pub(crate) fn is_early(&self) -> bool {
        matches!(self.stage, Stage::Early)
    }

    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.stage, Stage::Kept(_))
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.leg.dialog.remote_tag == tag
    }

    /// Sends what waits for the address of the next hop: the ACK first, then the requests.
    ///
    /// `credentials` are those of the INVITE; the ACK has them only where it goes to the same place.
    pub(crate) fn advance(&mut self, sender: &mut Sender<'_>, credentials: &[Header]) {
        let (Stage::Kept(ack) | Stage::Dropped(ack)) = &mut self.stage else { return };
        if let Ack::Waiting { cseq } = *ack {
            let Some(flow) = self.leg.dialog.hop(sender.core, sender.now, sender.session) else { return };
            let same_place = sender.authenticator.as_ref().is_some_and(|auth| auth.is_place_of(flow));
            let credentials = if same_place { credentials.to_vec() } else { Vec::new() };
            let bytes = sender.core.send_ack(flow, &self.leg.dialog.ack(cseq, credentials));
            *ack = Ack::Sent { flow, bytes };
        }
        self.leg.advance(sender);
    }

    /// Does what is due.
    pub(crate) fn on_deadline(&mut self, sender: &mut Sender<'_>, credentials: &[Header]) {
        self.leg.on_deadline(sender);
        self.advance(sender, credentials);
    }

    /// The 2xx came again: our ACK was lost.
    pub(crate) fn acknowledge_again(&self, core: &mut Core) {
        if let Stage::Kept(Ack::Sent { flow, bytes }) | Stage::Dropped(Ack::Sent { flow, bytes }) =
            &self.stage
        {
            core.wire.resend(*flow, bytes);
        }
    }
}
