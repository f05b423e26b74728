//! What a request inside a dialog meets (RFC 3261 §12.2.2), and the ACK of a 2xx, which is no request of a transaction.
//!
//! ```text
//! tags ─► room ─► CSeq ─► method ─► Require ─► OPTIONS, BYE, INFO, …
//!  481    drop     500    405, 501    420
//! ```

use std::time::Instant;

use crate::Endpoint;
use crate::core::Request;
use crate::event::{Event, SessionId};
use crate::message::{Head, Method, Response};
use crate::options;
use crate::session::Session;
use crate::uas::{RETRY_AFTER, Refusal, refuse_method, refuse_require};

impl Endpoint {
    /// The ACK of a 2xx: it belongs to no transaction, and nothing answers it.
    pub(crate) fn on_ack(&mut self, now: Instant, request: &Request) {
        let head = &request.head;
        let taken = self.inside(head).is_some_and(|id| {
            self.touch(id, |session, core| match session {
                Session::Inbound(call) => call.on_ack(core, now, head, &request.message),
                Session::Outbound(_) => false,
            })
            .unwrap_or(false)
        });
        if !taken {
            self.core.counters.stray_acks += 1;
        }
    }

    /// A request inside a dialog (§12.2.2). These are never refused for want of room below twice the limit, so that
    /// calls can end; beyond it they are dropped, and their retransmissions come back later.
    pub(crate) fn on_inside(&mut self, now: Instant, request: &Request) {
        let head = &request.head;
        let tag = head.from.tag();
        let Some(id) = self.inside(head) else { return self.refuse_unknown(request) };
        if self.core.transactions.len() >= self.core.config.max_transactions.saturating_mul(2) {
            self.core.counters.overload += 1;
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let unknown_bye = head.method == Method::Bye && session.takes_unknown_bye();
        let in_order = match session.dialog(tag) {
            Some(dialog) => dialog.take_cseq(head.cseq),
            None if unknown_bye => true,
            None => return self.refuse_unknown(request),
        };
        let refusal = match head.method {
            _ if !in_order => Some(Refusal::of(500)),
            method => refuse_method(method)
                .or_else(|| refuse_require(&request.message))
                .or_else(|| (method == Method::Invite).then(|| refuse_change(session.reinvite_status()))),
        };
        if let Some(refusal) = refusal {
            return self.refuse(now, request, refusal);
        }
        let takes_info = session.takes_info(tag);
        match head.method {
            Method::Options => self.core.answer(now, request, &options::answer(&options::capabilities())),
            _ => self.core.answer(now, request, &Response { status: 200, ..Response::default() }),
        }
        match head.method {
            Method::Info if takes_info => {
                if let Some(body) = request.message.body() {
                    self.core.tell(Event::Info { session: id, body });
                }
            }
            Method::Bye => {
                let reason = request.message.reason();
                self.touch(id, |session, core| session.on_bye(core, now, tag, reason));
            }
            _ => {}
        }
    }

    /// The session whose dialog a request says it is in, by Call-ID and our tag.
    fn inside(&self, head: &Head) -> Option<SessionId> {
        self.dialogs.get(&(head.call_id.clone(), head.to.tag().to_owned())).copied()
    }
}

/// A change of the session inside its dialog: the session stays as it is (§14.2).
fn refuse_change(status: u16) -> Refusal<'static> {
    match status {
        500 => Refusal::with(500, "Retry-After", RETRY_AFTER),
        491 => Refusal::of(491),
        _ => Refusal::with(488, "Warning", "399 offhook \"The session cannot be changed\""),
    }
}
