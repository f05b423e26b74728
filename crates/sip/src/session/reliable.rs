//! Reliable provisional responses (RFC 3262).
//!
//! ```text
//!   UAS                                               UAC
//!    │── 183, Require: 100rel, RSeq: 7 ──────────────►│  T1 doubling, without a cap, for 64·T1
//!    │◄─ PRACK, RAck: 7 1 INVITE ─────────────────────│  in the order of RSeq, once per response
//!    │── 200 (PRACK) ────────────────────────────────►│
//!    │── 180, RSeq: 8 ──► …                             the next one only now, and a 200 that must wait too
//! ```
//!
//! What is said while one waits for its PRACK replaces what was said before it and was not sent: a peer that has fallen
//! behind hears how things are, not how they were. Only the first description is kept beside that, since it is the answer
//! to the peer's offer.
//!
//! An INVITE without an offer gets none: its first reliable response would have to carry our offer (§5), and the offer
//! of a call that nobody has answered is the application's to make, with [`Command::Answer`]. Where the peer only
//! supports 100rel its provisional responses are unreliable then; where it requires it, it gets none above 100.
//!
//! [`Command::Answer`]: crate::event::Command::Answer

use std::time::Instant;

use crate::core::{Core, Request};
use crate::event::{Body, Flow};
use crate::message::{Message, Name, Response};
use crate::transaction::TransactionId;
use crate::transaction::timer::Retransmit;

/// The first RSeq is random, and below this (§3).
const FIRST_RSEQ: u32 = 1 << 31;

/// How the provisional responses of an INVITE are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Once.
    Plain,
    /// Until they are acknowledged.
    Reliable,
    /// Not at all.
    Withheld,
}

/// The reliable provisional responses of one INVITE, as its UAS.
pub(super) struct Reliable {
    pub(super) mode: Mode,
    /// The number of the INVITE.
    cseq: u32,
    /// The number of the last response.
    rseq: u32,
    unacknowledged: Option<Unacknowledged>,
    waiting: Waiting,
    /// Our answer, once a response has carried it.
    answer: Option<Body>,
}

/// The responses that are sent next.
#[derive(Debug, Default)]
struct Waiting {
    /// First the one with our answer.
    described: Option<(u16, Body)>,
    /// Then the newest.
    newest: Option<u16>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.described.is_none() && self.newest.is_none()
    }

    fn next(&mut self) -> Option<(u16, Option<Body>)> {
        match self.described.take() {
            Some((status, body)) => Some((status, Some(body))),
            None => self.newest.take().map(|status| (status, None)),
        }
    }
}

struct Unacknowledged {
    bytes: Vec<u8>,
    reply: Flow,
    has_body: bool,
    /// None once the INVITE has its final response.
    timers: Option<(Retransmit, Instant)>,
}

impl Reliable {
    pub(super) fn new(core: &mut Core, request: &Request) -> Self {
        let (message, allowed) = (&request.message, core.config.reliable_provisionals);
        let required = message.lists(Name::Require, "100rel");
        let wanted = allowed && (required || message.lists(Name::Supported, "100rel"));
        let mode = match message.body() {
            Some(_) if wanted => Mode::Reliable,
            None if required => Mode::Withheld,
            _ => Mode::Plain,
        };
        Self {
            mode,
            cseq: request.head.cseq,
            rseq: core.random.below(FIRST_RSEQ),
            unacknowledged: None,
            waiting: Waiting::default(),
            answer: None,
        }
    }

    /// Lines up a response, in the place of the newest that waits; without its description where one before it has given
    /// the answer (RFC 3264 §4).
    pub(super) fn push(&mut self, status: u16, body: Option<Body>) {
        let is_answered = self.answer.is_some() || self.waiting.described.is_some();
        match body.filter(|_| !is_answered) {
            Some(body) => self.waiting = Waiting { described: Some((status, body)), newest: None },
            None => self.waiting.newest = Some(status),
        }
    }

    /// Whether nothing waits, neither for a PRACK nor to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.unacknowledged.is_none() && self.waiting.is_empty()
    }

    /// Whether a 2xx has to wait: a response that carries a description is not acknowledged (§3).
    pub(super) fn holds_answer(&self) -> bool {
        self.unacknowledged.as_ref().is_some_and(|response| response.has_body)
    }

    /// Our answer, if a response has carried it: the 2xx carries none then.
    pub(super) fn answer(&self) -> Option<&Body> {
        self.answer.as_ref()
    }

    /// Sends the next response, if none waits for its PRACK. Says which status it has.
    pub(super) fn advance(
        &mut self,
        core: &mut Core,
        now: Instant,
        (transaction, request): (TransactionId, &Request),
        to_tag: &str,
    ) -> Option<u16> {
        if self.unacknowledged.is_some() {
            return None;
        }
        let (status, body) = self.waiting.next()?;
        // Far below 2^32: it began below 2^31, and grows by one.
        self.rseq = self.rseq.saturating_add(1);
        let headers = [("Require", "100rel".to_owned()), ("RSeq", self.rseq.to_string())];
        let contact = core.contact(request);
        let response = Response {
            status,
            to_tag,
            contact: Some(&contact),
            headers: &headers,
            body: body.as_ref(),
            ..Response::default()
        };
        let bytes = core.respond(now, transaction, request, &response);
        let timers = core.timers();
        self.unacknowledged = Some(Unacknowledged {
            bytes,
            reply: request.reply_flow(),
            has_body: body.is_some(),
            timers: Some((Retransmit::after(now, timers.t1), now + timers.timeout())),
        });
        if self.answer.is_none() {
            self.answer = body;
        }
        Some(status)
    }

    /// A PRACK. Says whether it acknowledges the response that waits for it.
    pub(super) fn on_prack(&mut self, prack: &Message) -> bool {
        let matches = prack.rack() == Some((self.rseq, self.cseq));
        matches && self.unacknowledged.take().is_some()
    }

    /// The INVITE has its final response: nothing is repeated any more, but a PRACK on its way is still welcome (§3).
    pub(super) fn finish(&mut self) {
        self.waiting = Waiting::default();
        if let Some(response) = &mut self.unacknowledged {
            response.timers = None;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let (retransmit, give_up) = self.unacknowledged.as_ref()?.timers?;
        Some(retransmit.at.min(give_up))
    }

    /// Repeats the response if it is time. `false` once there is no more hope for its PRACK.
    pub(super) fn on_deadline(&mut self, core: &mut Core, now: Instant) -> bool {
        let Some(Unacknowledged { bytes, reply, timers: Some((retransmit, give_up)), .. }) =
            &mut self.unacknowledged
        else {
            return true;
        };
        if *give_up <= now {
            return false;
        }
        if retransmit.at <= now {
            core.wire.resend(*reply, bytes);
            // §3: doubling without the cap of T2.
            *retransmit = retransmit.doubled(now, core.timers().timeout());
        }
        true
    }
}

/// What a reliable response is, as the UAC of its early dialog sees it (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The next one: to be acknowledged.
    Next,
    /// One before this, again: its PRACK is on its way.
    Again,
    /// One is missing before it: it comes again.
    Ahead,
}

/// The reliable responses that have come in one early dialog.
#[derive(Debug, Default)]
pub(super) struct Heard {
    last: Option<u32>,
}

impl Heard {
    /// Takes a response with this number.
    pub(super) fn take(&mut self, rseq: u32) -> Order {
        match self.last {
            Some(last) if rseq <= last => Order::Again,
            Some(last) if rseq > last.saturating_add(1) => Order::Ahead,
            _ => {
                self.last = Some(rseq);
                Order::Next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_their_numbers() {
        let mut heard = Heard::default();
        let order: Vec<_> = [7, 7, 9, 8, 9, 7].into_iter().map(|rseq| heard.take(rseq)).collect();
        use Order::{Again, Ahead, Next};
        assert_eq!(order, [Next, Again, Ahead, Next, Next, Again]);
    }
}
