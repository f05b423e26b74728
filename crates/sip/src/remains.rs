//! What another run of the process needs of a call to end it ([`Command::Farewell`](crate::event::Command::Farewell)): of one that
//! is answered its dialog, and of an INVITE that is not, what its transaction goes on with. By a stream nothing goes on: the
//! connection has ended with the process, and the peer's transaction with it (RFC 3261 §17.1.4).
//!
//! ```text
//!   INVITE of the peer's ─▶ 500 with the tag of before, repeated until its ACK comes (§17.2.1),
//!                           to where the responses of before went (§18.2.2)
//!   INVITE of ours       ─▶ CANCEL with its branch, to where it went (§9.1)
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use crate::Endpoint;
use crate::core::Request;
use crate::event::{CommandError, DialogState, Flow, Reason, SessionId, Transport};
use crate::message::{Head, Message, Response, essence_of, reason_header};
use crate::session::{Outbound, Session};
use crate::transaction::ServerKey;

/// What there is to be ended of a call of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Its dialog.
    Dialog(DialogState),
    /// The INVITE that has no final response.
    Received(Received),
    /// The INVITE that rings.
    Sent(Sent),
}

/// An INVITE that came by UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Our address that it came to.
    pub local: SocketAddr,
    /// Where it came from.
    pub remote: SocketAddr,
    /// As much of it as its responses are made of.
    pub invite: String,
    /// Our tag.
    pub tag: String,
}

/// An INVITE that was sent by UDP, and has had a provisional response: else it may not be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The number of its session, which must be nobody else's in the run that ends it.
    pub session: u64,
    /// Our address that it was sent from.
    pub local: SocketAddr,
    /// Where it was sent.
    pub remote: SocketAddr,
    /// As much of it as CANCEL and ACK are made of.
    pub invite: String,
}

impl Sent {
    pub(crate) fn of(session: SessionId, flow: Flow, invite: &[u8]) -> Option<Self> {
        let Flow { transport, local, remote, .. } = flow;
        let SessionId::Outbound(session) = session else { return None };
        let message = Message::parse(invite).ok().filter(|_| transport == Transport::Udp)?;
        let invite = String::from_utf8(essence_of(&message)).ok()?;
        Some(Self { session, local, remote, invite })
    }
}

impl Received {
    /// Of an INVITE that has been answered with this tag, and not for good.
    pub(crate) fn of(request: &Request, tag: &str) -> Option<Self> {
        let Flow { transport, local, remote, .. } = request.flow;
        (transport == Transport::Udp).then(|| Self {
            local,
            remote,
            // What is no UTF-8, in a display name, is nothing that the transaction is found by.
            invite: String::from_utf8_lossy(&essence_of(&request.message)).into_owned(),
            tag: tag.to_owned(),
        })
    }
}

impl Endpoint {
    /// Cancels an INVITE of an earlier run. The end of its session is told as of any other.
    pub(crate) fn cancel_sent(
        &mut self,
        now: Instant,
        sent: Sent,
        reason: Option<&Reason>,
    ) -> Result<(), CommandError> {
        let Sent { session, local, remote, invite } = sent;
        let id = SessionId::Outbound(session);
        if self.sessions.contains_key(&id) {
            return Err(CommandError::WrongState);
        }
        let core = &mut self.core;
        if core.transactions.len() >= core.config.max_transactions {
            return Err(CommandError::Full);
        }
        let flow = Flow { transport: Transport::Udp, local, remote, name: None };
        let call = Outbound::resume(core, now, id, (flow, invite.as_bytes()), reason);
        let call = call.ok_or(CommandError::Unknown)?;
        self.insert(id, Session::Outbound(Box::new(call)));
        Ok(())
    }

    /// Refuses an INVITE that an earlier run has not answered. Where it has come again meanwhile it is one of this run, which is
    /// left alone.
    pub(crate) fn refuse_received(
        &mut self,
        now: Instant,
        received: Received,
        reason: Option<&Reason>,
    ) -> Result<(), CommandError> {
        let Received { local, remote, invite, tag } = received;
        let message = Message::parse(invite.as_bytes()).map_err(|_| CommandError::Unknown)?;
        let head = Head::of(&message).map_err(|_| CommandError::Unknown)?;
        let core = &mut self.core;
        if core.transactions.len() >= core.config.max_transactions {
            return Err(CommandError::Full);
        }
        if core.transactions.serves(&ServerKey::of(&message, &head)) {
            return Err(CommandError::Unknown);
        }
        let flow = Flow { transport: Transport::Udp, local, remote, name: None };
        let request = Request { message, head, flow };
        let transaction = core.open(&request, None, &tag);
        let header = reason.map(reason_header);
        let headers: Vec<_> = header.iter().map(|header| ("Reason", header.value.clone())).collect();
        let response = Response { status: 500, to_tag: &tag, headers: &headers, ..Response::default() };
        core.respond(now, transaction, &request, &response);
        Ok(())
    }
}
