//! Writing messages. Requests are written from a [`Draft`]; responses, ACK of a refusal and CANCEL copy what RFC 3261
//! wants copied from the request they belong to, byte for byte (§8.2.6.2, §9.1, §17.1.1.3).

use std::net::SocketAddr;

use super::name::{ALLOW, Name};
use super::scan;
use super::{Message, Via};
use crate::event::{Body, Header, Reason};

/// How many hops a request of ours may take (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// The room that a message begins with, besides its body: most need no more, so that it is not moved while it grows.
const ROOM: usize = 1024;

/// A message while it is written.
struct Writer(Vec<u8>);

impl Writer {
    /// Begins with the first line, given in parts; `body` is the length of what will be its content.
    fn begin(line: &[&[u8]], body: usize) -> Self {
        let mut bytes = Vec::with_capacity(ROOM + body);
        line.iter().for_each(|part| bytes.extend_from_slice(part));
        Self(bytes)
    }

    fn request(method: &[u8], uri: &[u8], body: usize) -> Self {
        Self::begin(&[method, b" ", uri, b" SIP/2.0\r\n"], body)
    }

    fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for part in [name.as_bytes(), b": ", value.as_ref(), b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }

    /// Copies every field of a name from another message, byte for byte.
    fn copy(&mut self, from: &Message, name: Name, label: &str) {
        for value in from.raw_values(name) {
            self.field(label, value);
        }
    }

    fn finish(mut self, body: Option<&Body>) -> Vec<u8> {
        let content = body.map_or(b"".as_slice(), |body| &body.bytes);
        if let Some(body) = body {
            self.field("Content-Type", &body.content_type);
        }
        self.field("Content-Length", content.len().to_string());
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(content);
        // A transaction keeps it for half a minute.
        self.0.shrink_to_fit();
        self.0
    }
}

/// A request before it is known which way, and so with which Via, it leaves.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The method.
    pub(crate) method: &'static str,
    /// The Request-URI.
    pub(crate) uri: String,
    /// The values of Route, in order.
    pub(crate) routes: Vec<String>,
    /// The value of From, with our tag.
    pub(crate) from: Vec<u8>,
    /// The value of To, with the peer's tag where it is known.
    pub(crate) to: Vec<u8>,
    /// The Call-ID.
    pub(crate) call_id: String,
    /// The sequence number.
    pub(crate) cseq: u32,
    /// Everything that only this request has: credentials, Reason, what the application adds.
    pub(crate) headers: Vec<Header>,
    /// The content.
    pub(crate) body: Option<Body>,
}

impl Draft {
    /// Writes the request. `via` is the whole value; `contact` goes where a target must be told (INVITE).
    pub(crate) fn encode(&self, via: &str, contact: Option<&str>, agent: &str) -> Vec<u8> {
        let body = self.body.as_ref().map_or(0, |body| body.bytes.len());
        let mut out = Writer::request(self.method.as_bytes(), self.uri.as_bytes(), body);
        out.field("Via", via);
        for route in &self.routes {
            out.field("Route", route);
        }
        out.field("Max-Forwards", MAX_FORWARDS.to_string());
        out.field("From", &self.from);
        out.field("To", &self.to);
        out.field("Call-ID", &self.call_id);
        out.field("CSeq", format!("{} {}", self.cseq, self.method));
        if let Some(contact) = contact {
            out.field("Contact", contact);
            out.field("Allow", ALLOW);
        }
        out.field("User-Agent", agent);
        for header in &self.headers {
            out.field(&header.name, &header.value);
        }
        out.finish(self.body.as_ref())
    }
}

/// A response before it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response<'a> {
    /// 100–699.
    pub(crate) status: u16,
    /// The reason phrase; the one of the RFC where this is `None`.
    pub(crate) phrase: Option<&'a str>,
    /// Our tag, added where the request's To has none; 100 has none.
    pub(crate) to_tag: &'a str,
    /// The value of Contact.
    pub(crate) contact: Option<&'a str>,
    /// Further fields.
    pub(crate) headers: &'a [(&'a str, String)],
    /// The content.
    pub(crate) body: Option<&'a Body>,
}

impl Response<'_> {
    /// Writes the response to a request that came from `source`; without a Server field where `server` is empty.
    pub(crate) fn encode(&self, request: &Message, source: SocketAddr, server: &str) -> Vec<u8> {
        let phrase = self.phrase.unwrap_or_else(|| phrase(self.status));
        let body = self.body.map_or(0, |body| body.bytes.len());
        let status = self.status.to_string();
        let line = [b"SIP/2.0 ", status.as_bytes(), b" ", phrase.as_bytes(), b"\r\n"];
        let mut out = Writer::begin(&line, body);
        let via = request.top_via();
        for (at, value) in request.raw_values(Name::Via).enumerate() {
            match &via {
                Some(via) if at == 0 => out.field("Via", stamp(value, via, source)),
                _ => out.field("Via", value),
            }
        }
        if self.status > 100 && self.status < 300 {
            out.copy(request, Name::RecordRoute, "Record-Route");
        }
        out.copy(request, Name::From, "From");
        for value in request.raw_values(Name::To) {
            let tagged = super::Address::parse(&scan::unfold(value)).is_none_or(|to| !to.tag().is_empty());
            if tagged || self.to_tag.is_empty() {
                out.field("To", value);
            } else {
                out.field("To", [value, b";tag=", self.to_tag.as_bytes()].concat());
            }
        }
        out.copy(request, Name::CallId, "Call-ID");
        out.copy(request, Name::CSeq, "CSeq");
        if let Some(contact) = self.contact {
            out.field("Contact", contact);
        }
        if !server.is_empty() {
            out.field("Server", server);
        }
        for (name, value) in self.headers {
            out.field(name, value);
        }
        out.finish(self.body)
    }
}

/// The top Via with `received` and the value of `rport` (RFC 3261 §18.2.1, RFC 3581 §4).
fn stamp(value: &[u8], via: &Via, source: SocketAddr) -> Vec<u8> {
    let (received, rport) = via.wants(source.ip());
    if !received {
        return value.to_vec();
    }
    let end = scan::find(value, b',').flatten().unwrap_or(value.len());
    let Some((first, rest)) = value.split_at_checked(end) else { return value.to_vec() };
    let mut stamped = Vec::with_capacity(value.len() + 64);
    for (at, part) in scan::split(first, b';').unwrap_or_default().into_iter().enumerate() {
        if at > 0 {
            stamped.push(b';');
        }
        let is_rport = rport && scan::cut(part, b'=').0.eq_ignore_ascii_case(b"rport");
        if is_rport {
            stamped.extend_from_slice(format!("rport={}", source.port()).as_bytes());
        } else {
            stamped.extend_from_slice(part);
        }
    }
    stamped.extend_from_slice(format!(";received={}", source.ip()).as_bytes());
    stamped.extend_from_slice(rest);
    stamped
}

/// The ACK of a final response other than 2xx: the transaction's own, with the branch, the Request-URI and the Route
/// of the INVITE and the To of the response (§17.1.1.3).
pub(crate) fn ack_of_refusal(invite: &Message, response: &Message) -> Vec<u8> {
    let mut out = follow_up(invite, b"ACK");
    out.copy(response, Name::To, "To");
    finish_follow_up(out, invite, "ACK", None)
}

/// An INVITE without what nothing is made of that belongs to it: not its responses, nor its ACK, nor its CANCEL.
pub(crate) fn essence_of(invite: &Message) -> Vec<u8> {
    let mut out = follow_up(invite, b"INVITE");
    out.copy(invite, Name::To, "To");
    finish_follow_up(out, invite, "INVITE", None)
}

/// The CANCEL of an INVITE: the same Request-URI, branch, Route and To (§9.1).
pub(crate) fn cancel_of(invite: &Message, reason: Option<&Reason>) -> Vec<u8> {
    let mut out = follow_up(invite, b"CANCEL");
    out.copy(invite, Name::To, "To");
    finish_follow_up(out, invite, "CANCEL", reason)
}

fn follow_up(invite: &Message, method: &[u8]) -> Writer {
    let mut out = Writer::request(method, invite.request_uri(), 0);
    out.copy(invite, Name::Via, "Via");
    out.copy(invite, Name::Route, "Route");
    out.field("Max-Forwards", MAX_FORWARDS.to_string());
    out.copy(invite, Name::From, "From");
    out
}

fn finish_follow_up(mut out: Writer, invite: &Message, method: &str, reason: Option<&Reason>) -> Vec<u8> {
    out.copy(invite, Name::CallId, "Call-ID");
    if let Ok(head) = super::Head::of(invite) {
        out.field("CSeq", format!("{} {method}", head.cseq));
    }
    if let Some(reason) = reason {
        let Header { name, value } = reason_header(reason);
        out.field(&name, value);
    }
    out.finish(None)
}

/// `Reason: SIP;cause=…` (RFC 3326). The text comes from the application: what could end the string is left out.
pub(crate) fn reason_header(reason: &Reason) -> Header {
    let mut value = format!("SIP;cause={}", reason.cause);
    let text: String = reason.text.chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).collect();
    if !text.is_empty() {
        value.push_str(&format!(";text=\"{text}\""));
    }
    Header { name: "Reason".to_owned(), value }
}

/// The reason phrase of a status (RFC 3261 §21).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match status / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
