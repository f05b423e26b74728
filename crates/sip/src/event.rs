//! The whole vocabulary of the crate: what may be asked of the user agent ([`Command`]) and what it tells ([`Event`]).
//!
//! Bodies are opaque bytes: this crate knows no SDP, no media and no calls. One [`SessionId`] names one INVITE usage
//! (RFC 3261 §13) from its first message to [`Event::Ended`], which is the last event of every session and comes
//! exactly once, whoever ends it and however.

use std::fmt;
use std::net::SocketAddr;

/// One INVITE usage. Whoever starts a session numbers it, so the two sides of this interface never collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionId {
    /// The peer's INVITE began it; numbered by the endpoint.
    Inbound(u64),
    /// [`Command::Invite`] began it; numbered by whoever commanded it.
    Outbound(u64),
}

/// A question to the name service, answered by [`Command::Resolved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// How a message travels (RFC 3261 §18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message per datagram; requests and responses are retransmitted.
    Udp,
    /// A stream, framed by `Content-Length`; nothing but the 2xx to INVITE is retransmitted.
    Tcp,
}

impl Transport {
    /// Whether the transport itself guarantees delivery, which sets half of the timers to zero (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self == Self::Tcp
    }
}

impl fmt::Display for Transport {
    /// As it stands in a Via (`UDP`, `TCP`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A path between one local and one remote address. Responses go back by the flow their request came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport protocol.
    pub transport: Transport,
    /// Our listening (UDP) or connected (TCP) address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// One whole message to put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes, and from which of our addresses.
    pub flow: Flow,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A message body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of Content-Type, e.g. `application/sdp`.
    pub content_type: String,
    /// The content, never interpreted here.
    pub bytes: Vec<u8>,
}

/// A header that the application adds or hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The field name, e.g. `X-Account`.
    pub name: String,
    /// The value. CR, LF and NUL are refused in commands ([`CommandError::BadHeader`]).
    pub value: String,
}

/// A user name and password for digest authentication (RFC 7616, RFC 8760). `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The digest user name.
    pub username: String,
    /// The digest password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a BYE or CANCEL is sent: the `Reason: SIP;cause=…` header (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A SIP status code, 100–699.
    pub cause: u16,
    /// The optional text.
    pub text: String,
}

/// An outbound call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The new session's number, an unused [`SessionId::Outbound`].
    pub session: SessionId,
    /// Request-URI and To, a full URI such as `sip:100@192.0.2.1:5060;transport=udp`.
    pub to: String,
    /// The From URI, e.g. `sip:alice@example.com`.
    pub from: String,
    /// Where the request is sent instead of to the host of `to`: `host[:port]` of an outbound proxy.
    pub proxy: Option<String>,
    /// What answers a 401 or 407 of the place the INVITE was sent to; without it a challenge ends the call.
    pub credentials: Option<Credentials>,
    /// Extra headers.
    pub headers: Vec<Header>,
    /// The offer.
    pub body: Body,
}

/// What may be asked of the user agent.
#[derive(Clone, Debug)]
pub enum Command {
    /// Place a call.
    Invite(Box<Invite>),
    /// Send 180, or 183 with early media, to an inbound INVITE.
    Progress {
        /// Which call.
        session: SessionId,
        /// 180–199.
        status: u16,
        /// Early media, if any.
        body: Option<Body>,
    },
    /// Send the 200 to an inbound INVITE, repeated until its ACK arrives ([`Event::Acked`]) or 64·T1 have passed.
    Answer {
        /// Which call.
        session: SessionId,
        /// The answer, or the offer if the INVITE had none.
        body: Body,
    },
    /// Refuse or redirect an inbound INVITE that is not answered.
    Reject {
        /// Which call.
        session: SessionId,
        /// 300–699.
        status: u16,
        /// Extra headers: `Contact` of a redirection, `Retry-After`, `Reason`.
        headers: Vec<Header>,
    },
    /// Give up an outbound INVITE that is not answered. The CANCEL waits for the first provisional response; a 200
    /// that crosses it is acknowledged and hung up.
    Cancel {
        /// Which call.
        session: SessionId,
        /// Why.
        reason: Option<Reason>,
    },
    /// Hang up an answered call. Where the 2xx of an inbound INVITE is not acknowledged yet, the BYE waits for the
    /// ACK or for the end of its retransmissions (RFC 3261 §15).
    Bye {
        /// Which call.
        session: SessionId,
        /// Why.
        reason: Option<Reason>,
    },
    /// The answer to [`Event::Resolve`], addresses in the order to try them; empty where the name has none.
    Resolved {
        /// The question.
        query: QueryId,
        /// Where the host can be reached.
        addresses: Vec<SocketAddr>,
    },
}

/// An inbound INVITE that asks for a new call. A 100 has been sent already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The new session.
    pub session: SessionId,
    /// Where it came from.
    pub flow: Flow,
    /// The request URI.
    pub request_uri: String,
    /// The URI of From, without display name and parameters of the header.
    pub from: String,
    /// The display name of From, empty where there is none.
    pub from_display: String,
    /// The URI of To.
    pub to: String,
    /// The Call-ID.
    pub call_id: String,
    /// The offer, if the INVITE carries one.
    pub body: Option<Body>,
    /// All `X-*` headers.
    pub headers: Vec<Header>,
}

/// Who made a final response to our INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refuser {
    /// The peer: it was on the wire.
    Peer,
    /// This side: nobody answered (408), or there was no way to ask (503).
    Us,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Our INVITE was refused, or nobody answered it: a final response of the peer, or 408 (no response at all) and
    /// 503 (no way to send) made here.
    Refused {
        /// The final status, 300–699.
        status: u16,
        /// The reason phrase.
        phrase: String,
        /// Whose response it is.
        by: Refuser,
    },
    /// The peer cancelled its INVITE before we had answered it.
    Cancelled,
    /// The peer hung up.
    Bye {
        /// The peer's Reason header with protocol SIP, if it sent one.
        reason: Option<Reason>,
    },
    /// No ACK for our 2xx within 64·T1; a BYE has been sent (RFC 3261 §13.3.1.4).
    NoAck,
    /// A request of ours inside the dialog got 481, 408 or no response: the peer no longer knows the call.
    Lost,
    /// We ended it, by [`Command::Cancel`] or [`Command::Bye`], and the wire has come to rest; or by
    /// [`Command::Reject`], where the transaction alone still waits for the ACK.
    Local,
}

/// What the user agent tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new inbound call.
    Incoming(Box<Incoming>),
    /// The ACK of our 2xx arrived; `body` is the answer where the 2xx carried the offer.
    Acked {
        /// Which call.
        session: SessionId,
        /// A late answer.
        body: Option<Body>,
    },
    /// The INVITE of an outbound session is on its way to a resolved address. Says the dialog's Call-ID.
    Sent {
        /// Which call.
        session: SessionId,
        /// The Call-ID chosen.
        call_id: String,
    },
    /// A provisional response above 100 to our INVITE.
    Provisional {
        /// Which call.
        session: SessionId,
        /// 101–199.
        status: u16,
        /// Early media.
        body: Option<Body>,
    },
    /// The 2xx to our INVITE; its ACK has been sent, or is sent as soon as the name in its Contact is resolved.
    Answered {
        /// Which call.
        session: SessionId,
        /// The answer.
        body: Option<Body>,
    },
    /// An INFO inside the dialog (digits by `application/dtmf-relay`); it has been answered 200.
    Info {
        /// Which call.
        session: SessionId,
        /// What it carries.
        body: Body,
    },
    /// The last event of the session.
    Ended {
        /// Which call.
        session: SessionId,
        /// Why.
        cause: EndCause,
    },
    /// Where can this host be reached? Answered by [`Command::Resolved`].
    Resolve {
        /// The number of the question.
        query: QueryId,
        /// A host name; never an IP literal.
        host: String,
        /// The port of the URI; 5060 where the URI has none.
        port: u16,
    },
}

/// Why a command was refused. Nothing was sent and nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such session or query, or it is over: a race the caller may ignore.
    Unknown,
    /// The session is in a state that does not allow the command (e.g. [`Command::Answer`] of an answered call).
    WrongState,
    /// A status outside the command's range.
    BadStatus,
    /// A URI that is no valid `sip:` URI.
    BadUri(String),
    /// A header name or value with CR, LF, NUL or a forbidden character, or a header that is the endpoint's own.
    BadHeader(String),
    /// The table of sessions or transactions is full.
    Full,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such session"),
            Self::WrongState => f.write_str("the session's state does not allow this"),
            Self::BadStatus => f.write_str("the status is outside the range of the command"),
            Self::BadUri(uri) => write!(f, "not a SIP URI: {uri:?}"),
            Self::BadHeader(name) => write!(f, "header {name:?} is not allowed here"),
            Self::Full => f.write_str("too many sessions"),
        }
    }
}

impl std::error::Error for CommandError {}
