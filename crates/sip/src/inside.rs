//! What a request inside a dialog meets (RFC 3261 §12.2.2), and the ACK of a 2xx, which is no request of a transaction.
//!
//! ```text
//! tags ─► room ─► CSeq ─► method ─► Require ─► OPTIONS, BYE, INFO, …
//!  481    drop     500    405, 501    420
//! ```

use std::time::Instant;

use crate::Endpoint;
use crate::config::Config;
use crate::core::Request;
use crate::event::{Event, Flow, SessionId};
use crate::message::{Head, Message, Method, Name, Response, cut};
use crate::options;
use crate::session::{Leg, Sender};
use crate::uas::{RETRY_AFTER, Refusal, refuse_body, refuse_method, refuse_require, refuse_size};

/// The INFO packages that we take: none, which the empty list says (RFC 6086 §5.2.3).
const NO_PACKAGE: &str = "";

/// What an INFO may say: a digit, in the two ways that gateways use and no RFC describes.
const INFO_TYPES: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];

impl Endpoint {
    /// The ACK of a 2xx: it belongs to no transaction, and nothing answers it.
    pub(crate) fn on_ack(&mut self, now: Instant, request: &Request) {
        let head = &request.head;
        let taken = self.inside(request).is_some_and(|id| {
            self.touch(id, |session, core| session.on_ack(core, now, head, &request.message)).unwrap_or(false)
        });
        if !taken {
            self.core.counters.stray_acks += 1;
        }
    }

    /// A request inside a dialog (§12.2.2). These are never refused for want of room below twice the limit, so that
    /// calls can end; beyond it they are dropped, and their retransmissions come back later.
    pub(crate) fn on_inside(&mut self, now: Instant, request: &Request) {
        let head = &request.head;
        let Some(id) = self.inside(request) else { return self.refuse_unknown(request) };
        if self.core.transactions.len() >= self.core.config.max_transactions.saturating_mul(2) {
            self.core.counters.overload += 1;
            return;
        }
        if !self.authenticates_inside(now, id, request) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let unknown_bye = head.method == Method::Bye && session.takes_unknown_bye();
        let refusal = match session.leg(head.from.tag()) {
            Some(leg) => refuse_inside(&self.core.config, leg, request),
            None if unknown_bye => None,
            None => return self.refuse_unknown(request),
        };
        if let Some(refusal) = refusal {
            return self.refuse(now, request, refusal);
        }
        match head.method {
            Method::Options => {
                let capabilities = options::capabilities(&self.core.config);
                self.core.answer(now, request, &options::answer(&capabilities));
            }
            Method::Invite | Method::Update => {
                self.touch(id, |session, core| session.on_change(core, now, request));
            }
            Method::Prack => {
                self.touch(id, |session, core| session.on_prack(core, now, request));
            }
            Method::Info => self.on_info(now, id, request),
            Method::Message => self.on_message(now, request, Some(id), None),
            Method::Notify => self.on_notify(now, id, request),
            Method::Refer => self.on_refer(now, id, request),
            Method::Bye => {
                self.core.answer(now, request, &ok());
                let (tag, reason) = (head.from.tag(), request.message.reason());
                self.touch(id, |session, core| session.on_bye(core, now, tag, reason));
            }
            _ => self.core.answer(now, request, &ok()),
        }
    }

    /// INFO (RFC 6086), in its legacy use: we have asked for no package, so each is a wrong one (§4.2.2).
    fn on_info(&mut self, now: Instant, id: SessionId, request: &Request) {
        if request.message.value(Name::InfoPackage).is_some() {
            return self.refuse(now, request, Refusal::with(469, "Recv-Info", NO_PACKAGE));
        }
        let message = &request.message;
        let is_told = message.body_length() > 0 && is_info(message);
        if message.body_length() > 0 && !is_told && !message.may_ignore_body() {
            return self.refuse(now, request, Refusal::with(415, "Accept", INFO_TYPES.join(", ")));
        }
        let talks = self.in_call(now, id, request, |_, _| ()).is_some();
        self.core.answer(now, request, &ok());
        if let Some(body) = request.message.body().filter(|_| talks && is_told) {
            self.core.tell(Event::Info { session: id, body });
        }
    }

    /// NOTIFY (RFC 6665): of the subscription that our REFER has made, or of none.
    fn on_notify(&mut self, now: Instant, id: SessionId, request: &Request) {
        let notified = self.in_call(now, id, request, |leg, sender| leg.on_notify(sender, &request.message));
        match notified {
            Some(Ok(())) => self.core.answer(now, request, &ok()),
            Some(Err(refusal)) => self.refuse(now, request, refusal),
            None => self.refuse(now, request, Refusal::of(481)),
        }
    }

    /// REFER (RFC 3515): answered by the application. Before the call is answered there is nobody to be transferred.
    fn on_refer(&mut self, now: Instant, id: SessionId, request: &Request) {
        let refusal = match self.in_call(now, id, request, |leg, sender| leg.on_refer(sender, request)) {
            Some(referred) => referred.err(),
            None => Some(Refusal::with(500, "Retry-After", RETRY_AFTER)),
        };
        if let Some(refusal) = refusal {
            self.refuse(now, request, refusal);
        }
    }

    /// Gives a request to its dialog, if that is of a call that is answered and that nobody hangs up.
    fn in_call<T>(
        &mut self,
        now: Instant,
        id: SessionId,
        request: &Request,
        take: impl FnOnce(&mut Leg, &mut Sender<'_>) -> T,
    ) -> Option<T> {
        let taken = self.touch(id, |session, core| {
            let (leg, mut sender) = session.talking(core, now)?;
            (leg.dialog.remote_tag == request.head.from.tag()).then(|| take(leg, &mut sender))
        });
        taken.flatten()
    }

    /// The session whose dialog a request says it is in, by Call-ID and our tag; and where its gateway's dialogs are
    /// pinned, only if it comes from where the dialog was made (reliability S1).
    fn inside(&mut self, request: &Request) -> Option<SessionId> {
        let head = &request.head;
        let id = *self.dialogs.get(&(head.call_id.clone(), head.to.tag().to_owned()))?;
        let origin = self.origin(id, head);
        let pinned =
            origin.filter(|&origin| self.gateway_of(origin).is_some_and(|gateway| gateway.pin_source));
        if pinned.is_some_and(|origin| !request.flow.is_from_place_of(origin)) {
            self.core.counters.displaced += 1;
            return None;
        }
        Some(id)
    }

    /// Where the dialog was made that a request is in.
    fn origin(&mut self, id: SessionId, head: &Head) -> Option<Flow> {
        let leg = self.sessions.get_mut(&id)?.leg(head.from.tag())?;
        Some(leg.dialog.origin())
    }

    /// Whether a request inside a dialog shows who it is from, where the dialog's gateway has to; else it has been
    /// answered 401.
    fn authenticates_inside(&mut self, now: Instant, id: SessionId, request: &Request) -> bool {
        let origin = self.origin(id, &request.head);
        let gateway = origin.and_then(|origin| self.gateway_of(origin));
        match gateway.filter(|gateway| gateway.challenge_inside).and_then(|gateway| gateway.challenge.clone())
        {
            Some(credentials) => self.authenticates(now, request, &credentials),
            None => true,
        }
    }
}

/// Whether the body of an INFO is one that we understand.
fn is_info(message: &Message) -> bool {
    let content_type = message.value(Name::ContentType).unwrap_or_default();
    let (media_type, _) = cut(&content_type, b';');
    INFO_TYPES.iter().any(|known| media_type.eq_ignore_ascii_case(known.as_bytes()))
}

fn ok() -> Response<'static> {
    Response { status: 200, ..Response::default() }
}

/// What a request is refused for, before it is looked at what it is. After our BYE nothing but the peer's own is of the
/// dialog any more (§15.1.1).
fn refuse_inside(config: &Config, leg: &mut Leg, request: &Request) -> Option<Refusal<'static>> {
    let Request { message, head, .. } = request;
    if !leg.dialog.take_cseq(head.cseq) {
        Some(Refusal::of(500))
    } else if leg.is_closing() && head.method != Method::Bye {
        Some(Refusal::of(481))
    } else {
        refuse_method(head.method)
            .or_else(|| refuse_require(config, message))
            .or_else(|| refuse_size(head.method, message))
            .or_else(|| refuse_change(head.method, message))
    }
}

/// What describes a session is looked at as in the INVITE that made it (§14.2): a bad one changes nothing.
fn refuse_change(method: Method, message: &Message) -> Option<Refusal<'static>> {
    match method {
        Method::Invite | Method::Update | Method::Prack => refuse_body(message),
        _ => None,
    }
}
