//! A call of an earlier run that was ringing: its INVITE is cancelled (RFC 3261 §9.1) and goes on from there as any other that is,
//! so that a refusal is acknowledged, and a 2xx that crosses the CANCEL is acknowledged and hung up.

use std::time::Instant;

use super::{Outbound, State};
use crate::auth::Tries;
use crate::core::Core;
use crate::event::{EndCause, Flow, Reason, SessionId};
use crate::message::{Draft, Head, Message, Name, lossy};
use crate::session::itinerary::Itinerary;
use crate::session::refresh::Asking;
use crate::way::Way;

impl Outbound {
    /// Cancels this INVITE, which went by this flow and has had a provisional response. None, where it is none.
    pub(crate) fn resume(
        core: &mut Core,
        now: Instant,
        id: SessionId,
        (flow, bytes): (Flow, &[u8]),
        reason: Option<&Reason>,
    ) -> Option<Self> {
        let message = Message::parse(bytes).ok()?;
        let head = Head::of(&message).ok()?;
        let branch = head.via.branch()?.to_owned();
        let value = |name| message.value(name).map(|value| value.into_owned()).unwrap_or_default();
        let invite = Draft {
            method: "INVITE",
            uri: lossy(message.request_uri()),
            routes: message.raw_values(Name::Route).map(lossy).collect(),
            from: value(Name::From),
            to: value(Name::To),
            call_id: head.call_id.clone(),
            cseq: head.cseq,
            headers: Vec::new(),
            body: None,
        };
        let sent = core.transactions.resume_invite(id.into(), flow, branch, bytes.to_vec());
        let mut call = Self {
            id,
            invite,
            local_tag: head.from.tag().to_owned(),
            way: Way::default(),
            itinerary: Itinerary::default(),
            untold: None,
            redirected: false,
            flow: Some(flow),
            authenticator: None,
            tries: Tries::default(),
            asking: Asking::new(&core.config.session_timer),
            sent: Some(sent),
            credentials: Vec::new(),
            forks: Vec::new(),
            linger: None,
            state: State::Over,
        };
        call.send_cancel(core, now, sent, reason, EndCause::Local);
        Some(call)
    }

    /// The INVITE that rings at the far end, or is given up while it does, and where it went.
    pub(crate) fn ringing<'a>(&self, core: &'a Core) -> Option<(Flow, &'a [u8])> {
        match self.state {
            State::Proceeding { invite, .. } | State::Cancelling { invite, .. } => {
                core.transactions.sent_invite(invite)
            }
            _ => None,
        }
    }
}
