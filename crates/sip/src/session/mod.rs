//! The INVITE usage (RFC 3261 §13, §14, §15): one value per call, from its first message to Ended.
//!
//! ```text
//!   inbound    a call that a peer makes: one INVITE, one dialog
//!   outbound   a call that we make: one INVITE, a dialog per fork
//!     fork       one of its dialogs and the ACK of its 2xx
//!     forks      what becomes of them together
//!   leg        a dialog and our requests inside it, on either side
//!     lane       requests that follow each other
//!     refer    the transfer that we ask the peer for
//!     referred the transfer that the peer asks us for
//!     change     re-INVITE, UPDATE and refreshes
//!     refresh    the session timer
//!   accepted   a 2xx of ours that waits for its ACK
//!   ack        our ACK of a 2xx
//!   reliable   provisional responses that are acknowledged
//!   check      what a command may put on the wire
//! ```

mod accepted;
mod ack;
mod change;
pub(crate) mod check;
mod fork;
mod forks;
mod inbound;
mod itinerary;
mod lane;
mod leg;
mod outbound;
mod refer;
mod referred;
pub(crate) mod refresh;
mod reliable;

use std::time::Instant;

pub(crate) use inbound::Inbound;
pub(crate) use lane::Sender;
pub(crate) use leg::Leg;
pub(crate) use outbound::Outbound;

use crate::core::{Core, Request};
use crate::dialog::Dialog;
use crate::event::{Body, CommandError, Header, QueryId, Remains, Sent, Target};
use crate::message::{Head, Message, Response};
use crate::transaction::TransactionId;

/// One call, of either direction: what the endpoint can say to both.
pub(crate) enum Session {
    Inbound(Box<Inbound>),
    Outbound(Box<Outbound>),
}

impl Session {
    /// The Call-ID and our tag: what finds the session for a request inside its dialogs.
    pub(crate) fn key(&self) -> (String, String) {
        match self {
            Self::Inbound(call) => call.key(),
            Self::Outbound(call) => call.key(),
        }
    }

    /// A response to a request of the session; `None` where none came, and `otherwise` says why.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<(&Message, &Head)>,
        otherwise: u16,
    ) {
        match self {
            Self::Inbound(call) => {
                let response = response.map(|(message, _)| message);
                call.on_response(core, now, transaction, response, otherwise);
            }
            Self::Outbound(call) => call.on_response(core, now, transaction, response, otherwise),
        }
    }

    /// The dialog with the peer of this tag, early or confirmed.
    pub(crate) fn leg(&mut self, remote_tag: &str) -> Option<&mut Leg> {
        match self {
            Self::Inbound(call) => call.leg(remote_tag),
            Self::Outbound(call) => call.leg(remote_tag),
        }
    }

    /// What another run needs to end it: once it is answered its dialog, before that the INVITE.
    pub(crate) fn remains(&self, core: &Core) -> Option<Remains> {
        let dialog = |dialog: &Dialog| Remains::Dialog(dialog.state());
        match self {
            Self::Inbound(call) => {
                call.dialog().map(dialog).or_else(|| call.received().map(Remains::Received))
            }
            Self::Outbound(call) => call.dialog().map(dialog).or_else(|| {
                let (flow, invite) = call.ringing(core)?;
                Sent::of(call.id, flow, invite).map(Remains::Sent)
            }),
        }
    }

    /// Whether a BYE with our tag, but a tag of the peer that we never saw, is still this session's.
    pub(crate) fn takes_unknown_bye(&self) -> bool {
        match self {
            Self::Inbound(_) => false,
            Self::Outbound(call) => call.is_unanswered(),
        }
    }

    pub(crate) fn on_bye(&mut self, core: &mut Core, now: Instant, remote_tag: &str, reason: Option<String>) {
        match self {
            Self::Inbound(call) => call.on_bye(core, now, reason),
            Self::Outbound(call) => call.on_bye(core, now, remote_tag, reason),
        }
    }

    /// A re-INVITE or an UPDATE.
    pub(crate) fn on_change(&mut self, core: &mut Core, now: Instant, request: &Request) {
        match self {
            Self::Inbound(call) => call.on_change(core, now, request),
            Self::Outbound(call) => call.on_change(core, now, request),
        }
    }

    /// A PRACK, which only whom we called back could send to a call of ours.
    pub(crate) fn on_prack(&mut self, core: &mut Core, now: Instant, request: &Request) {
        match self {
            Self::Inbound(call) => call.on_prack(core, now, request),
            Self::Outbound(_) => core.answer(now, request, &Response { status: 481, ..Response::default() }),
        }
    }

    /// Answers the offer of a re-INVITE or an UPDATE.
    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        match self {
            Self::Inbound(call) => call.accept(core, now, body),
            Self::Outbound(call) => call.accept(core, now, body),
        }
    }

    /// Refuses it.
    pub(crate) fn refuse_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        match self {
            Self::Inbound(call) => call.refuse_offer(core, now, status, headers),
            Self::Outbound(call) => call.refuse_offer(core, now, status, headers),
        }
    }

    /// The ACK of a 2xx. Says whether one waited for it.
    pub(crate) fn on_ack(&mut self, core: &mut Core, now: Instant, head: &Head, ack: &Message) -> bool {
        match self {
            Self::Inbound(call) => call.on_ack(core, now, head, ack),
            Self::Outbound(call) => call.on_ack(core, head, ack),
        }
    }

    /// The peer cancels an INVITE of its own.
    pub(crate) fn on_cancel(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        reason: Option<String>,
    ) {
        match self {
            Self::Inbound(call) => call.on_cancel(core, now, transaction, reason),
            Self::Outbound(call) => call.on_cancel(core, now, transaction),
        }
    }

    /// The dialog of a call that is answered and that nobody hangs up, and what its requests are sent with.
    pub(crate) fn talking<'a>(
        &'a mut self,
        core: &'a mut Core,
        now: Instant,
    ) -> Option<(&'a mut Leg, Sender<'a>)> {
        match self {
            Self::Inbound(call) => call.talking(core, now),
            Self::Outbound(call) => call.talking(core, now),
        }
    }

    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        match self {
            Self::Inbound(call) => call.on_resolved(core, now, query, targets),
            Self::Outbound(call) => call.on_resolved(core, now, query, targets),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Inbound(call) => call.deadline(),
            Self::Outbound(call) => call.deadline(),
        }
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        match self {
            Self::Inbound(call) => call.on_deadline(core, now),
            Self::Outbound(call) => call.on_deadline(core, now),
        }
    }

    /// Whether Ended was told.
    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Self::Inbound(call) => call.is_over(),
            Self::Outbound(call) => call.is_ended(),
        }
    }

    /// Whether nothing is left to do, after Ended too.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Inbound(call) => call.is_over(),
            Self::Outbound(call) => call.is_over(),
        }
    }

    /// The session goes: no answer of the name service is wanted any more.
    pub(crate) fn forget_queries(&self, core: &mut Core) {
        match self {
            Self::Inbound(call) => call.forget_queries(core),
            Self::Outbound(call) => call.forget_queries(core),
        }
    }
}
