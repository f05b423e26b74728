//! The user agent server (RFC 3261 §8.2): a request is looked at in the order of the RFC, and whoever is wrong is told
//! what is wrong. Strangers are told nothing (reliability S3, S4, S7).
//!
//! ```text
//! bytes ─► Head::of ─► live transaction? ─► CANCEL ─► dialog? ──► inside (a file of its own)
//!            400          again                          └──► outside: trust, method, URI, merged, Require, body, room,
//!                                                             then a session
//! ```

use std::time::Instant;

use crate::Endpoint;
use crate::config::{Config, Gateway, Strangers};
use crate::core::Request;
use crate::dialog::Dialog;
use crate::event::{Doors, Flow, GatewayName, SessionId, Transport};
use crate::message::{
    ALLOW, Content, Fault, Head, Message, Method, Name, Response, Scheme, Uri, UriError, lossy,
};
use crate::options::{self, ACCEPT, ACCEPT_ENCODING};
use crate::session::{Inbound, Session, refresh};
use crate::transaction::{MergeKey, Pass, ServerKey};

/// When a refused caller may try again, in seconds: long enough for calls to end, short enough for a person to wait.
pub(crate) const RETRY_AFTER: &str = "5";

/// A refusal before it is sent.
pub(crate) struct Refusal<'a> {
    status: u16,
    phrase: Option<&'a str>,
    header: Option<(&'a str, String)>,
}

impl Refusal<'_> {
    pub(crate) fn of(status: u16) -> Self {
        Self { status, phrase: None, header: None }
    }

    pub(crate) fn with(status: u16, name: &'static str, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..Self::of(status) }
    }

    pub(crate) fn from_fault(fault: Fault) -> Self {
        Self { phrase: Some(fault.phrase), ..Self::of(fault.status) }
    }
}

impl Endpoint {
    /// A request from the wire.
    pub(crate) fn on_request(&mut self, now: Instant, flow: Flow, message: Message) {
        let head = match Head::of(&message) {
            Ok(head) => head,
            Err(fault) => return self.on_faulty(flow, &message, fault),
        };
        let key = ServerKey::of(&message, &head);
        let core = &mut self.core;
        let live = core.transactions.on_request(now, &mut core.wire, &key, head.method);
        let request = Request { message, head, flow };
        match (live, request.head.method) {
            (Some(Pass::Absorbed), _) => {}
            (_, Method::Ack) => self.on_ack(now, &request),
            (_, Method::Cancel) => self.on_cancel(now, &request),
            _ if request.head.to.tag().is_empty() => self.on_outside(now, request),
            _ => self.on_inside(now, &request),
        }
    }

    /// The gateway that a flow comes from; `None` where that is a stranger's.
    pub(crate) fn gateway_of(&self, flow: Flow) -> Option<&Gateway> {
        self.core.config.gateways.get(self.core.policy.gateways.find(flow.remote.ip())?)
    }

    /// A request that cannot be understood: the fault is told once, and nothing is kept of it.
    fn on_faulty(&mut self, flow: Flow, message: &Message, fault: Fault) {
        self.core.counters.faulty += 1;
        // A stream brings a header without its body only where that is too long to be waited for.
        let has_body = fault != Fault::SHORT || !flow.transport.is_reliable();
        let fault = if has_body { fault } else { Fault::TOO_LARGE };
        let Some(via) = message.top_via().or_else(|| message.readable_via()) else { return };
        if message.method() != b"ACK" && self.gateway_of(flow).is_some() {
            self.refuse_stateless(message, flow, via.reply_flow(flow), Refusal::from_fault(fault));
        }
    }

    /// §9.2: the INVITE with the same branch and sent-by, cancelled by whoever sent it.
    fn on_cancel(&mut self, now: Instant, request: &Request) {
        let key = ServerKey::of_cancelled(&request.message, &request.head);
        let source = request.flow.remote.ip();
        let invite = self.core.transactions.cancelled(&key).filter(|(_, invite)| invite.source == source);
        let Some((invite, user, tag)) = invite.map(|(id, invite)| (id, invite.user, invite.to_tag.clone()))
        else {
            return self.refuse_unknown(request);
        };
        let transaction = self.core.open(request, None, &tag);
        let response = Response { status: 200, to_tag: &tag, ..Response::default() };
        self.core.respond(now, transaction, request, &response);
        if let Some(id) = user {
            let reason = request.message.reason();
            self.touch(id, |session, core| session.on_cancel(core, now, invite, reason));
        }
    }

    /// A request outside of a dialog.
    fn on_outside(&mut self, now: Instant, request: Request) {
        let Some(gateway) = self.gateway_of(request.flow) else { return self.refuse_stranger(&request) };
        let (gateway, challenge) = (gateway.name.clone(), gateway.challenge.clone());
        if self.core.transactions.len() >= self.core.config.max_transactions {
            self.core.counters.overload += 1;
            let refusal = Refusal::with(503, "Retry-After", RETRY_AFTER);
            return self.refuse_stateless(&request.message, request.flow, request.reply_flow(), refusal);
        }
        if challenge.is_some_and(|credentials| !self.authenticates(now, &request, &credentials)) {
            return;
        }
        match (self.refuse_outside(&request), request.head.method) {
            (Some(refusal), _) => self.refuse(now, &request, refusal),
            (None, Method::Invite) => self.on_invite(now, request, gateway),
            (None, Method::Options) => {
                let capabilities = options::capabilities(&self.core.config);
                self.core.answer(now, &request, &options::answer(&capabilities));
            }
            (None, Method::Message) => self.on_message(now, &request, None, Some(gateway)),
            // Whoever is in no call of ours is not to make us call anybody (reliability S8).
            (None, Method::Refer) => self.refuse(now, &request, Refusal::of(403)),
            // BYE, INFO and NOTIFY mean nothing without a dialog.
            (None, _) => self.refuse(now, &request, Refusal::of(481)),
        }
    }

    /// §8.2.1 to §8.2.3, in the order of the RFC. A Request-URI that is none at all goes before: it is no matter of the
    /// method (RFC 5118 §4.2).
    fn refuse_outside(&mut self, request: &Request) -> Option<Refusal<'static>> {
        let uri = Uri::parse(request.message.request_uri());
        if uri == Err(UriError::Malformed) {
            return Some(Refusal::from_fault(Fault::bad("Bad Request-URI")));
        }
        if let Some(refusal) = refuse_method(request.head.method) {
            return Some(refusal);
        }
        match uri {
            // `sips:` asks for TLS all the way (§26.2.2): to be believed where it came by TLS.
            Ok(uri) if uri.scheme() == Scheme::Sip || request.flow.transport == Transport::Tls => {}
            Err(UriError::TooLong) => return Some(Refusal::of(414)),
            Ok(_) | Err(_) => return Some(Refusal::of(416)),
        }
        if self.core.transactions.is_merged(&MergeKey::of(&request.head)) {
            return Some(Refusal::of(482));
        }
        let message = &request.message;
        let refusal =
            refuse_require(&self.core.config, message).or_else(|| refuse_size(request.head.method, message));
        refusal.or_else(|| match request.head.method {
            Method::Invite => refuse_body(message).or_else(|| {
                let bad = refresh::refuse(&self.core.config.session_timer, message)?;
                let (status, phrase, header) = bad.refusal();
                Some(Refusal { status, phrase, header })
            }),
            method => self.refuse_at_the_door(method),
        })
    }

    fn refuse_at_the_door(&self, method: Method) -> Option<Refusal<'static>> {
        let retry_after = match (self.doors, method) {
            (Doors::NoCalls { retry_after } | Doors::Shut { retry_after }, Method::Options) => retry_after,
            (Doors::Shut { retry_after }, Method::Message) => retry_after,
            _ => return None,
        };
        Some(Refusal::with(503, "Retry-After", retry_after.as_secs().to_string()))
    }

    /// §13.3.1: a new call.
    fn on_invite(&mut self, now: Instant, request: Request, gateway: GatewayName) {
        if self.live_sessions() >= self.core.config.max_sessions {
            self.core.counters.overload += 1;
            return self.refuse(now, &request, Refusal::with(503, "Retry-After", RETRY_AFTER));
        }
        let tag = self.core.random.token();
        let Some(dialog) = Dialog::of_request(&request, tag) else {
            let fault = Fault::bad("Bad Contact or Record-Route");
            return self.refuse(now, &request, Refusal::from_fault(fault));
        };
        self.next_inbound += 1;
        let id = SessionId::Inbound(self.next_inbound);
        let call = Inbound::start(&mut self.core, now, id, (request, gateway), dialog);
        self.insert(id, Session::Inbound(Box::new(call)));
    }

    /// 481 for those we trust, and nothing is kept of it: forged requests must not fill the tables (reliability G17).
    pub(crate) fn refuse_unknown(&mut self, request: &Request) {
        if self.gateway_of(request.flow).is_some() {
            self.refuse_stateless(&request.message, request.flow, request.reply_flow(), Refusal::of(481));
        } else {
            self.refuse_stranger(request);
        }
    }

    /// Nothing, or a 403 that is the same whatever was asked and for whom, as early as it can be (reliability S7). It
    /// goes out once, is hardly longer than the request and does not say what we are (S4).
    fn refuse_stranger(&mut self, request: &Request) {
        let Request { message, head, flow } = request;
        self.core.counters.untrusted += 1;
        // A CANCEL has no more to lose, and its INVITE has been answered already (§9.2).
        if self.core.config.strangers == Strangers::Refuse && head.method != Method::Cancel {
            let tag = self.core.policy.stateless_tag(message);
            let response = Response { status: 403, to_tag: &tag, ..Response::default() };
            let bytes = response.encode(message, flow.remote, "");
            self.core.wire.send(request.reply_flow(), bytes);
        }
    }

    pub(crate) fn refuse(&mut self, now: Instant, request: &Request, refusal: Refusal<'_>) {
        let Refusal { status, phrase, header } = refusal;
        let headers: Vec<_> = header.into_iter().collect();
        let response = Response { status, phrase, headers: &headers, ..Response::default() };
        self.core.answer(now, request, &response);
    }

    pub(crate) fn refuse_stateless(
        &mut self,
        message: &Message,
        flow: Flow,
        reply: Flow,
        refusal: Refusal<'_>,
    ) {
        let Refusal { status, phrase, header } = refusal;
        let headers: Vec<_> = header.into_iter().collect();
        let tag = self.core.policy.stateless_tag(message);
        let response = Response { status, phrase, to_tag: &tag, headers: &headers, ..Response::default() };
        self.core.respond_stateless(message, flow, reply, &response);
    }
}

/// §8.2.1: 405 for what others may support, 501 for what nobody has heard of.
pub(crate) fn refuse_method(method: Method) -> Option<Refusal<'static>> {
    match method {
        Method::Refused => Some(Refusal::with(405, "Allow", ALLOW)),
        Method::Unknown => Some(Refusal::with(501, "Allow", ALLOW)),
        _ => None,
    }
}

/// §8.2.2.3: an extension that is required and not supported.
pub(crate) fn refuse_require(config: &Config, message: &Message) -> Option<Refusal<'static>> {
    let Some(options) = message.list(Name::Require) else {
        return Some(Refusal::from_fault(Fault::bad("Bad Require")));
    };
    let unknown = |option: &&Vec<u8>| !option.is_empty() && !options::supports(config, option);
    let mut unknown = options.iter().filter(unknown).map(|option| lossy(option)).peekable();
    unknown.peek()?;
    let mut told = String::new();
    for option in unknown.filter(|option| !option.is_empty()) {
        if told.len() + option.len() > MAX_UNSUPPORTED {
            break;
        }
        told.push_str(if told.is_empty() { "" } else { ", " });
        told.push_str(&option);
    }
    Some(if told.is_empty() { Refusal::of(420) } else { Refusal::with(420, "Unsupported", told) })
}

/// As much of what is required and unknown is told, in bytes: some thirty option tags. A header that is longer than one may
/// be would make our answer unreadable, and a large one pay back more than was sent (reliability S4).
const MAX_UNSUPPORTED: usize = 1000;

/// The largest body: a session description has one or two thousand bytes, a MESSAGE 1,300 at most (RFC 3428 §8).
const MAX_BODY: usize = 16 * 1024;

/// §21.4.11. That holds tomorrow as well, so there is no Retry-After. A session that is described at such a length is not
/// acceptable (§21.4.26), as is one of too many streams within the limit.
pub(crate) fn refuse_size(method: Method, message: &Message) -> Option<Refusal<'static>> {
    if message.body_length() <= MAX_BODY {
        return None;
    }
    Some(match method {
        Method::Invite | Method::Update | Method::Prack => {
            let why = format!("399 offhook \"Session description of more than {MAX_BODY} bytes\"");
            Refusal::with(488, "Warning", why)
        }
        _ => Refusal::of(413),
    })
}

/// §8.2.3: a session is described by SDP, as it is or as one of several parts; and so is our answer (§20.1).
pub(crate) fn refuse_body(message: &Message) -> Option<Refusal<'static>> {
    let encoding = message.value(Name::ContentEncoding).filter(|_| message.body().is_some());
    match message.content() {
        Content::Bad(fault) => Some(Refusal::from_fault(fault)),
        Content::Unknown => Some(Refusal::with(415, "Accept", ACCEPT)),
        Content::Understood
            if encoding
                .is_some_and(|encoding| !encoding.eq_ignore_ascii_case(ACCEPT_ENCODING.as_bytes())) =>
        {
            Some(Refusal::with(415, "Accept-Encoding", ACCEPT_ENCODING))
        }
        Content::Understood if !options::accepts_sdp(message) => {
            Some(Refusal::with(406, "Warning", "399 offhook \"Sessions are described by application/sdp\""))
        }
        Content::Understood => None,
    }
}
