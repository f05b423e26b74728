//! The ACK of a 2xx (RFC 3261 §13.2.2.4): it waits for the name of the next hop if it must, is kept, and is sent again for
//! every repeated 2xx.

use super::lane::Sender;
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::{Flow, Header};

/// The ACK of one 2xx.
pub(super) enum Ack {
    /// Where it goes is being resolved. Its number and its credentials are those of the INVITE.
    Waiting { cseq: u32, credentials: Vec<Header> },
    /// Sent; this is sent again.
    Sent { flow: Flow, bytes: Vec<u8> },
}

impl Ack {
    pub(super) fn new(cseq: u32, credentials: Vec<Header>) -> Self {
        Self::Waiting { cseq, credentials }
    }

    /// Sends it if it is known where to and it was not sent before. The credentials go only to where those of the INVITE
    /// went. Says whether it has been sent.
    pub(super) fn advance(&mut self, dialog: &mut Dialog, sender: &mut Sender<'_>) -> bool {
        let Self::Waiting { cseq, credentials } = self else { return true };
        let Some(flow) = dialog.hop(sender.core, sender.now, sender.session) else { return false };
        let same_place = sender.authenticator.as_ref().is_some_and(|auth| auth.is_place_of(flow));
        let credentials = if same_place { std::mem::take(credentials) } else { Vec::new() };
        let bytes = sender.core.send_ack(flow, &dialog.ack(*cseq, credentials));
        *self = Self::Sent { flow, bytes };
        true
    }

    /// The 2xx came again: our ACK was lost.
    pub(super) fn again(&self, core: &mut Core) {
        if let Self::Sent { flow, bytes } = self {
            core.wire.resend(*flow, bytes);
        }
    }
}
