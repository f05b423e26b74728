//! MESSAGE (RFC 3428), inside a dialog and outside: what is said is told to the application, and answered 200 at once.
//! Its retransmissions meet the transaction and say nothing twice.

use std::time::Instant;

use crate::Endpoint;
use crate::core::Request;
use crate::event::{Body, Event, GatewayName, IncomingMessage, SessionId};
use crate::message::{Fault, Message, Name, Response, cut, lossy};
use crate::options::ACCEPT_ENCODING;
use crate::uas::Refusal;

/// The longest message. RFC 3428 §8 wants 1300 bytes on the way; a long text in 3-byte characters over a stream still
/// fits, and nobody fills the event log by one datagram.
const MAX_TEXT: usize = 16 * 1024;

/// What a message may be of, where the other half of the media type does not matter. Not
/// `application/im-iscomposing+xml` and the like, whose senders expect somebody to look at them.
const ACCEPT_TEXT: &str = "text/*, message/*, multipart/*";

impl Endpoint {
    /// A MESSAGE in a call, or from a gateway.
    pub(crate) fn on_message(
        &mut self,
        now: Instant,
        request: &Request,
        session: Option<SessionId>,
        gateway: Option<GatewayName>,
    ) {
        let body = match text_of(&request.message) {
            Ok(body) => body,
            Err(refusal) => return self.refuse(now, request, refusal),
        };
        self.core.answer(now, request, &Response { status: 200, ..Response::default() });
        // Without a body nothing has been said.
        if let Some(body) = body {
            let (from, to) = (request.head.from.uri.clone(), request.head.to.uri.clone());
            let message = IncomingMessage { session, gateway, from, to, body };
            self.core.tell(Event::Message(Box::new(message)));
        }
    }
}

/// What a message says, or why it is refused (RFC 3428 §7, RFC 3261 §8.2.3).
fn text_of(message: &Message) -> Result<Option<Body>, Refusal<'static>> {
    let bytes = message.bytes();
    if bytes.len() > MAX_TEXT {
        return Err(Refusal::of(413));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let Some(content_type) = message.value(Name::ContentType) else {
        return Err(Refusal::from_fault(Fault::bad("Missing Content-Type")));
    };
    let family = cut(&content_type, b'/').0;
    if !["text", "message", "multipart"].iter().any(|known| family.eq_ignore_ascii_case(known.as_bytes())) {
        return Err(Refusal::with(415, "Accept", ACCEPT_TEXT));
    }
    let encoding = message.value(Name::ContentEncoding);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(ACCEPT_ENCODING.as_bytes())) {
        return Err(Refusal::with(415, "Accept-Encoding", ACCEPT_ENCODING));
    }
    Ok(Some(Body { content_type: lossy(&content_type), bytes: bytes.to_vec() }))
}
