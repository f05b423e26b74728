//! A dialog that can be hung up: the BYE, which waits for the name of the next hop if it must, and which is sent again
//! with credentials if it is challenged (RFC 3261 §15.1, §22.2).

use std::time::Instant;

use crate::auth::Authenticator;
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::{Flow, QueryId, Reason, SessionId, Target};
use crate::message::{Message, reason_header};
use crate::transaction::TransactionId;

/// A dialog and its BYE.
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    bye: Bye,
}

enum Bye {
    /// Nobody hangs up.
    Unwanted,
    /// Where it goes is being resolved.
    Waiting(Option<Reason>),
    /// On its way.
    Sent { transaction: TransactionId, flow: Flow, reason: Option<Reason> },
    /// Answered, or nobody answers: this is over.
    Done,
}

impl Leg {
    pub(crate) fn new(dialog: Dialog) -> Self {
        Self { dialog, bye: Bye::Unwanted }
    }

    /// Hangs up.
    pub(crate) fn hang_up(
        &mut self,
        core: &mut Core,
        now: Instant,
        session: SessionId,
        reason: Option<Reason>,
        mut authenticator: Option<&mut Authenticator>,
    ) {
        if let Bye::Unwanted = self.bye {
            self.bye = Bye::Waiting(reason);
            if let Some(authenticator) = &mut authenticator {
                authenticator.begin();
            }
            self.advance(core, now, session, authenticator);
        }
    }

    /// Sends the BYE that waits, if it is known where to.
    pub(crate) fn advance(
        &mut self,
        core: &mut Core,
        now: Instant,
        session: SessionId,
        authenticator: Option<&mut Authenticator>,
    ) {
        let Bye::Waiting(reason) = &self.bye else { return };
        let reason = reason.clone();
        let Some(flow) = self.dialog.hop(core, now, session) else { return };
        let mut headers: Vec<_> = reason.iter().map(reason_header).collect();
        if let Some(authenticator) = authenticator {
            let cnonce = core.random.token();
            headers.extend(authenticator.headers(flow, "BYE", &self.dialog.request_uri(), &cnonce));
        }
        let draft = self.dialog.request("BYE", headers);
        let transaction = core.send_request(now, session, flow, &draft);
        self.bye = Bye::Sent { transaction, flow, reason };
    }

    /// A final response to a BYE (`None`: nobody answered). Says whether it was this leg's.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        (session, transaction): (SessionId, TransactionId),
        response: Option<&Message>,
        authenticator: Option<&mut Authenticator>,
    ) -> bool {
        let Bye::Sent { transaction: ours, flow, reason } = &mut self.bye else { return false };
        if *ours != transaction {
            return false;
        }
        let challenge = response.filter(|response| matches!(response.status(), Some(401 | 407)));
        if let (Some(challenge), Some(authenticator)) = (challenge, authenticator)
            && authenticator.challenged(*flow, challenge)
        {
            self.bye = Bye::Waiting(reason.take());
            self.advance(core, now, session, Some(authenticator));
        } else {
            self.bye = Bye::Done;
        }
        true
    }

    /// Takes the answer of the name service; says whether it was for this leg.
    pub(crate) fn on_resolved(&mut self, core: &Core, query: QueryId, targets: &[Target]) -> bool {
        self.dialog.on_resolved(core, query, targets)
    }

    /// Whether a BYE still waits for an address.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.bye, Bye::Waiting(_))
    }

    /// Whether the BYE has come to rest.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.bye, Bye::Done)
    }
}
