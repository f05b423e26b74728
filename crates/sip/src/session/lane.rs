//! The requests of ours inside a dialog (RFC 3261 §12.2.1), one after the other: each waits for the name of the next
//! hop if it must, has the next CSeq, and is sent again with credentials if it is challenged (§22.2).
//!
//! ```text
//!                 ┌───────────── 401, 407 that we can answer ──────────────┐
//!   push ──► waiting ── hop known, nothing sent ──► sent ── final response ┴──► Done: whose it was, and how it ended
//!                                                         or none (408, 503)
//! ```
//!
//! One at a time, so that the peer gets them in the order of their numbers whatever the wire does to them: what comes
//! too late it would have to refuse (§12.2.2), and digits by INFO would change places. The BYE alone waits for nobody.
//! The price: behind a NOTIFY or a refresh that nobody answers, digits wait for up to 64·T1. Whoever does not answer a
//! refresh is lost by then anyway, and a number that overtakes another is refused with 500 by a peer that goes by the book.

use std::collections::VecDeque;
use std::time::Instant;

use crate::auth::{Authenticator, Tries};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::{Body, Flow, Header, RequestId, SessionId};
use crate::message::Message;
use crate::transaction::TransactionId;

/// How many requests may wait for the one under way: a burst of digits. More than that means that whoever commands
/// them is faster than the peer.
const MAX_WAITING: usize = 16;

/// What the requests of a session are sent with.
pub(crate) struct Sender<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Instant,
    pub(crate) session: SessionId,
    /// What answers challenges, where the call has credentials.
    pub(crate) authenticator: Option<&'a mut Authenticator>,
}

/// What a request is for: whoever wants to know of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It ends the call.
    Bye,
    /// The application commanded it.
    Request(RequestId),
    /// It asks the peer to call somebody else.
    Refer,
    /// It tells the peer how the call goes that its REFER of this number asked for.
    Notify(u32),
    /// It refreshes the session (RFC 4028).
    Refresh,
    /// It acknowledges a reliable provisional response (RFC 3262).
    Prack,
}

/// A request to be sent.
pub(crate) struct Errand {
    pub(crate) purpose: Purpose,
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<Body>,
    tries: Tries,
}

impl Errand {
    pub(crate) fn new(
        purpose: Purpose,
        method: &'static str,
        headers: Vec<Header>,
        body: Option<Body>,
    ) -> Self {
        Self { purpose, method, headers, body, tries: Tries::default() }
    }
}

/// A request that has come to its end.
pub(crate) struct Done<'m> {
    pub(crate) purpose: Purpose,
    pub(crate) method: &'static str,
    pub(crate) transaction: TransactionId,
    /// The number it had, and the credentials: those of the ACK of a 2xx too.
    pub(crate) cseq: u32,
    pub(crate) credentials: Vec<Header>,
    /// Of the final response; 408 where nobody answered, 503 where it could not be sent.
    pub(crate) status: u16,
    /// The final response, if there was one.
    pub(crate) response: Option<&'m Message>,
}

impl Done<'_> {
    /// Whether the peer does not know the dialog any more, or is gone (§12.2.1.2). Of a NOTIFY only the subscription
    /// may be meant (RFC 6665 §4.2.2).
    pub(crate) fn is_lost(&self) -> bool {
        let forgiven = matches!(self.purpose, Purpose::Bye | Purpose::Notify(_) | Purpose::Prack);
        matches!(self.status, 408 | 481) && !forgiven
    }
}

/// A request on its way.
struct Sent {
    transaction: TransactionId,
    flow: Flow,
    cseq: u32,
    credentials: Vec<Header>,
    errand: Errand,
}

/// Requests that follow each other.
#[derive(Default)]
pub(crate) struct Lane {
    waiting: VecDeque<Errand>,
    sent: Option<Sent>,
}

impl Lane {
    /// Whether one more request may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Lines up a request, unless too many wait already.
    pub(crate) fn push(&mut self, errand: Errand) {
        if self.has_room() {
            self.waiting.push_back(errand);
        }
    }

    /// Whether a request for this purpose waits or is on its way.
    pub(crate) fn has(&self, purpose: Purpose) -> bool {
        let sent = self.sent.as_ref().map(|sent| &sent.errand);
        sent.into_iter().chain(&self.waiting).any(|errand| errand.purpose == purpose)
    }

    /// Forgets what waits to be sent for this purpose.
    pub(crate) fn forget(&mut self, purpose: Purpose) {
        self.waiting.retain(|errand| errand.purpose != purpose);
    }

    /// Forgets every request; says what they were for. The answer to one on its way finds nobody.
    pub(crate) fn clear(&mut self, core: &mut Core) -> Vec<Purpose> {
        if let Some(sent) = self.sent.as_ref().filter(|sent| sent.errand.method == "INVITE") {
            core.transactions.abandon_invite(sent.transaction);
        }
        let sent = self.sent.take().map(|sent| sent.errand);
        sent.into_iter().chain(self.waiting.drain(..)).map(|errand| errand.purpose).collect()
    }

    /// Whether an offer of ours is on its way.
    pub(crate) fn is_changing(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.errand.method == "INVITE")
    }

    /// Whether a request has not been sent.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there is no request.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_none()
    }

    /// Sends the next request, if it is known where to and none is on its way.
    pub(crate) fn advance(&mut self, dialog: &mut Dialog, sender: &mut Sender<'_>) {
        if self.sent.is_some() || self.waiting.is_empty() {
            return;
        }
        let Sender { core, now, session, authenticator } = sender;
        let Some(flow) = dialog.hop(core, *now, *session) else { return };
        let Some(errand) = self.waiting.pop_front() else { return };
        let mut credentials = Vec::new();
        if let Some(authenticator) = authenticator {
            let cnonce = core.random.token();
            credentials = authenticator.headers(flow, errand.method, &dialog.request_uri(), &cnonce);
        }
        let headers = errand.headers.iter().chain(&credentials).cloned().collect();
        let draft = dialog.request(errand.method, headers, errand.body.clone());
        let transaction = match errand.method {
            "INVITE" => core.send_invite(*now, *session, flow, &draft),
            _ => core.send_request(*now, *session, flow, &draft),
        };
        self.sent = Some(Sent { transaction, flow, cseq: draft.cseq, credentials, errand });
    }

    /// A final response to a request (`None`: none came, and `otherwise` says why). Gives back the request that has
    /// come to its end by it; the next one is sent by [`advance`](Self::advance).
    pub(crate) fn on_response<'m>(
        &mut self,
        dialog: &mut Dialog,
        sender: &mut Sender<'_>,
        transaction: TransactionId,
        response: Option<&'m Message>,
        otherwise: u16,
    ) -> Option<Done<'m>> {
        let status = response.and_then(Message::status).unwrap_or(otherwise);
        let ours = |sent: &mut Sent| sent.transaction == transaction && status >= 200;
        let Sent { flow, cseq, mut errand, credentials, .. } = self.sent.take_if(ours)?;
        let challenge = response.filter(|_| matches!(status, 401 | 407));
        if let (Some(challenge), Some(authenticator)) = (challenge, sender.authenticator.as_mut())
            && authenticator.challenged(&mut errand.tries, flow, challenge)
        {
            self.waiting.push_front(errand);
            self.advance(dialog, sender);
            return None;
        }
        let Errand { purpose, method, .. } = errand;
        Some(Done { purpose, method, transaction, cseq, credentials, status, response })
    }
}
