//! The whole vocabulary of the crate: what may be asked of the user agent ([`Command`]) and what it tells ([`Event`]).
//!
//! Bodies are opaque bytes: this crate knows no SDP, no media and no calls. One [`SessionId`] names one INVITE usage
//! (RFC 3261 §13) from its first message to [`Event::Ended`], which is the last event of every session and comes
//! exactly once, whoever ends it and however.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::dialog::DialogState;
pub use crate::flow::{Flow, Lookup, PeerName, Target, Transmit, Transport};
pub use crate::remains::{Received, Remains, Sent};

/// One INVITE usage. Whoever starts a session numbers it, so the two sides of this interface never collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionId {
    /// The peer's INVITE began it; numbered by the endpoint.
    Inbound(u64),
    /// [`Command::Invite`] began it; numbered by whoever commanded it.
    Outbound(u64),
}

/// What is taken from outside of dialogs. [`Endpoint::set_doors`](crate::Endpoint::set_doors) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doors {
    /// Calls and messages.
    #[default]
    Open,
    /// Messages. An INVITE would be refused by the application.
    NoCalls {
        /// When to come back.
        retry_after: Duration,
    },
    /// Nothing.
    Shut {
        /// When to come back.
        retry_after: Duration,
    },
}

/// A question to the name service, answered by [`Command::Resolved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// A request of [`Command::Request`], numbered by whoever commanded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A MESSAGE outside of a dialog, numbered by whoever commanded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId(pub u64);

/// The name of a gateway or of an account with one, as it is configured.
pub type GatewayName = Arc<str>;

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

/// One way to the callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Request-URI and To, a full URI such as `sip:100@192.0.2.1:5060;transport=udp`.
    pub to: String,
    /// Where the request is sent instead of to the host of `to`: `host[:port][;transport=…]` of an outbound proxy.
    pub proxy: Option<String>,
    /// What answers a 401 or 407 of the place the request was sent to; without it a challenge is a refusal.
    pub credentials: Option<Credentials>,
}

/// An outbound call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The new session's number, an unused [`SessionId::Outbound`].
    pub session: SessionId,
    /// The From URI, e.g. `sip:alice@example.com`.
    pub from: String,
    /// The display name beside it, any text but control characters ([`CommandError::BadHeader`]); empty for none.
    pub from_display: String,
    /// The ways to the callee in the order to try them, at least one. The next one is tried when every address of
    /// one is silent (408), refuses to serve (503) or cannot be reached; any other final response ends the call.
    pub routes: Vec<Route>,
    /// The hosts that a 3xx may send the call to, in lower case, without ports; empty: a 3xx ends the call.
    pub redirect_hosts: Vec<String>,
    /// Extra headers.
    pub headers: Vec<Header>,
    /// The offer.
    pub body: Body,
}

/// What a request of [`Command::Request`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDialog {
    /// INFO (RFC 6086, in its legacy use: digits).
    Info,
    /// MESSAGE (RFC 3428).
    Message,
}

/// A MESSAGE outside of a dialog (RFC 3428).
#[derive(Clone, Debug)]
pub struct Page {
    /// Its number.
    pub page: PageId,
    /// The From URI.
    pub from: String,
    /// Where it goes.
    pub route: Route,
    /// Extra headers.
    pub headers: Vec<Header>,
    /// What it says.
    pub body: Body,
}

/// A registration with a trunk (RFC 3261 §10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The account; a second registration of the same one replaces the first.
    pub account: GatewayName,
    /// The registrar: Request-URI (`sip:example.com`), and the way to it.
    pub registrar: Route,
    /// The address-of-record, To and From: `sip:user@example.com`.
    pub aor: String,
    /// The user part of our Contact.
    pub contact_user: String,
    /// The expiry to ask for; the registrar's answer counts.
    pub expires: Duration,
}

/// What a registration has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Our Contact is bound; refreshed in time before this has passed.
    Registered {
        /// As the registrar answered.
        expires: Duration,
    },
    /// Refused, or nobody answered (408, 503).
    Failed {
        /// The final status.
        status: u16,
        /// Its reason phrase.
        phrase: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// [`Command::Unregister`] has come to its end.
    Unregistered,
}

/// A gateway to be asked by OPTIONS whether it is there.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Its name; a second ping of the same one replaces the first.
    pub gateway: GatewayName,
    /// What is asked: Request-URI (`sip:gw.example.com`), and the way to it.
    pub route: Route,
    /// From one answer to the next question.
    pub interval: Duration,
}

/// What may be asked of the user agent.
#[derive(Clone, Debug)]
pub enum Command {
    /// Place a call.
    Invite(Box<Invite>),
    /// Send 180, or 183 with early media, to an inbound INVITE; reliably (RFC 3262) where the peer wants it so.
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
    /// Answer [`Event::Offer`]: the session is changed.
    Accept {
        /// Which call.
        session: SessionId,
        /// The answer, or the offer where the peer's re-INVITE had none; then [`Event::Acked`] brings the answer.
        body: Body,
    },
    /// Refuse [`Event::Offer`]: the session stays as it is (RFC 3261 §14.2).
    Refuse {
        /// Which call.
        session: SessionId,
        /// 488 and the like, 400–699.
        status: u16,
        /// Extra headers: `Warning`.
        headers: Vec<Header>,
    },
    /// Send a request inside the dialog of an answered call. Its end is [`Event::Replied`].
    Request {
        /// Which call.
        session: SessionId,
        /// Its number.
        request: RequestId,
        /// What it is.
        method: InDialog,
        /// What it carries.
        body: Body,
    },
    /// Ask the peer of an answered call to call somebody else (REFER, RFC 3515). Its progress is [`Event::Transfer`].
    /// One at a time.
    Refer {
        /// Which call.
        session: SessionId,
        /// Whom: the URI of Refer-To.
        to: String,
    },
    /// Answer [`Event::Referred`]: 202, or a refusal.
    AnswerRefer {
        /// Which call.
        session: SessionId,
        /// 202, or 300–699.
        status: u16,
    },
    /// Tell the peer how the call that it asked for goes (NOTIFY with `message/sipfrag`). The first final status is the
    /// last word. [`CommandError::Unknown`] where no transfer is under way any more: the peer is told for 300 s at most.
    ReferStatus {
        /// Which call.
        session: SessionId,
        /// 100–699.
        status: u16,
    },
    /// Send a MESSAGE outside of a dialog. Its end is [`Event::Paged`].
    Page(Box<Page>),
    /// End a call of an earlier run; nothing is told of it.
    Farewell(Box<(Remains, Option<Reason>)>),
    /// Register, and keep the registration alive until [`Command::Unregister`].
    Register(Box<Registration>),
    /// Remove our Contact from the registrar, and end the registration.
    Unregister {
        /// Which.
        account: GatewayName,
    },
    /// Ask a gateway by OPTIONS, again and again.
    Ping(Box<Ping>),
    /// Ask no more. A gateway that was down is told of no more either.
    Unping {
        /// Which.
        gateway: GatewayName,
    },
    /// The answer to [`Event::Resolve`], in the order to try them; empty where the name has none.
    Resolved {
        /// The question.
        query: QueryId,
        /// Where the host can be reached, and how.
        targets: Vec<Target>,
    },
}

/// An inbound INVITE that asks for a new call. A 100 is sent unless it is answered within 200 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The new session.
    pub session: SessionId,
    /// Where it came from.
    pub flow: Flow,
    /// The gateway whose networks that is in.
    pub gateway: GatewayName,
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
    /// All `X-*` headers, and what RFC 3325, 3323, 5806, 7044, 3892 and 3326 say of the caller and of how the call came
    /// here: P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID, Privacy, Diversion, History-Info, Referred-By,
    /// Reason, Subject, Alert-Info, Call-Info, User-to-User, traceparent. In the order of the message.
    pub headers: Vec<Header>,
}

/// Who made a final response to our INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refuser {
    /// The peer: it was on the wire.
    Peer,
    /// This side: nobody answered (408), or there was no way to ask (503).
    Us,
    /// This side too: the name service knows nowhere to ask (503).
    Names,
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
        /// When to try again, where the response says so.
        retry_after: Option<Duration>,
        /// The response's Reason headers (RFC 3326), e.g. `Q.850;cause=17`, as they came.
        reason: Option<String>,
        /// Where a 3xx that was not followed would have sent the call: its SIP URIs, the highest q first.
        contacts: Vec<String>,
    },
    /// The peer cancelled its INVITE before we had answered it, or had said by Expires that it would wait no longer.
    Cancelled {
        /// The Reason headers of its CANCEL, e.g. `SIP;cause=200;text="Call completed elsewhere"`, as they came.
        reason: Option<String>,
    },
    /// The peer hung up.
    Bye {
        /// The Reason headers of its BYE, as they came.
        reason: Option<String>,
    },
    /// No ACK for our 2xx within 64·T1, and a BYE has been sent (RFC 3261 §13.3.1.4).
    NoAck,
    /// No PRACK for a reliable provisional response within 64·T1, and the INVITE has been refused with 504 (RFC 3262 §3).
    NoPrack,
    /// A request of ours inside the dialog got 481, 408 or no response: the peer no longer knows the call. What ends a
    /// call first is its cause, so this may also be a peer whose BYE was overtaken by its 481, or came after it: that BYE
    /// is answered and changes nothing.
    Lost,
    /// Nobody refreshed the session in time (RFC 4028 §10); a BYE has been sent.
    Expired,
    /// We ended it, by [`Command::Cancel`] or [`Command::Bye`], and the wire has come to rest; or by
    /// [`Command::Reject`], where the transaction alone still waits for the ACK.
    Local,
}

/// What the user agent tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new inbound call.
    Incoming(Box<Incoming>),
    /// The ACK of our 2xx arrived, of the first one or of that to a re-INVITE; `body` is the answer where the 2xx carried
    /// the offer.
    Acked {
        /// Which call.
        session: SessionId,
        /// A late answer.
        body: Option<Body>,
    },
    /// The INVITE of an outbound session is on its way to the first address of a route. Says the dialog's Call-ID.
    Sent {
        /// Which call.
        session: SessionId,
        /// The Call-ID, the same for every route.
        call_id: String,
        /// Which of [`Invite::routes`], from 0.
        route: usize,
    },
    /// A route of an outbound session is out of service, and its peer said for how long: 503 with Retry-After, of the last
    /// of its addresses (RFC 3261 §21.5.4). The call goes on to the next route, or [`Event::Ended`] follows. Nothing of the
    /// kind is told of where a 3xx led.
    Unavailable {
        /// Which call.
        session: SessionId,
        /// Which of [`Invite::routes`], from 0.
        route: usize,
        /// When to come back, as it said.
        retry_after: Duration,
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
        /// Who rang too (180) where the INVITE has forked, by their Contacts.
        also_rang: Vec<String>,
    },
    /// The peer wants to change the session, by re-INVITE or UPDATE (RFC 3261 §14.2, RFC 3311): answered by
    /// [`Command::Accept`] or [`Command::Refuse`] at once, since its transaction waits. A mere refresh (RFC 4028) without a
    /// body is answered here and not told.
    Offer {
        /// Which call.
        session: SessionId,
        /// The offer; none where the peer wants ours.
        body: Option<Body>,
    },
    /// The answer to a refresh of ours (RFC 4028, by re-INVITE with our last description) is not what the peer said last:
    /// from now on this holds.
    Updated {
        /// Which call.
        session: SessionId,
        /// The answer.
        body: Body,
    },
    /// A [`Command::Request`] has been answered.
    Replied {
        /// Which call.
        session: SessionId,
        /// Which request.
        request: RequestId,
        /// The final status: 408 where nobody answered, 503 where it could not be sent, 487 where the call was hung up,
        /// by whichever side, before the answer came. It always comes, once, before [`Event::Ended`].
        status: u16,
    },
    /// How the call goes that [`Command::Refer`] asked the peer for.
    Transfer {
        /// Which call.
        session: SessionId,
        /// What the peer says of it, 100–699; the status of its refusal; 408 where it says nothing for too long, or ends
        /// the subscription without a final status; 487 where the call is hung up, by whichever side, before that: a peer
        /// may take the REFER and hang up without a word. A final status is the last one, and always comes before
        /// [`Event::Ended`]. Where the peer offers no progress (RFC 4488) it is the 2xx to the REFER.
        status: u16,
        /// The reason phrase.
        phrase: String,
    },
    /// The peer asks us to call somebody else (REFER): answered by [`Command::AnswerRefer`] within 20 s, else it is
    /// declined.
    Referred {
        /// Which call.
        session: SessionId,
        /// Whom: the URI of Refer-To, with its headers.
        to: String,
        /// The URI of Referred-By.
        referred_by: Option<String>,
    },
    /// A MESSAGE (RFC 3428); it has been answered 200.
    Message(Box<IncomingMessage>),
    /// A [`Command::Page`] has been answered.
    Paged {
        /// Which.
        page: PageId,
        /// The final status: 408 where nobody answered, 503 where it could not be sent.
        status: u16,
    },
    /// A registration has come to something. Told of a refresh only when that changes what was told last.
    Registration {
        /// Which.
        account: GatewayName,
        /// To what.
        state: RegistrationState,
    },
    /// Whether a gateway answers to OPTIONS. Told of the first answer, and of every change.
    Gateway {
        /// Which.
        gateway: GatewayName,
        /// Whether any response came that is neither 408 nor 503.
        up: bool,
        /// The last status: 408 where nobody answered, 503 where it could not be asked.
        status: u16,
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
        /// What is known of it.
        lookup: Lookup,
    },
}

/// A MESSAGE that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The call in whose dialog it came, if in any.
    pub session: Option<SessionId>,
    /// The gateway that it came from, where it came outside of a dialog.
    pub gateway: Option<GatewayName>,
    /// The URI of From.
    pub from: String,
    /// The URI of To.
    pub to: String,
    /// What it says.
    pub body: Body,
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
