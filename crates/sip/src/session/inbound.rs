//! A call that a peer makes (RFC 3261 §13.3): the user agent server's side of one INVITE and its dialog.
//!
//! ```text
//!            progress: 18x                     T1..T2: 200 again
//!              ┌──────┐                            ┌──────┐
//!   INVITE  ┌──┴──────▼─┐      answer: 200      ┌──┴──────▼─┐  ACK   ┌─────────┐
//!  ────────►│  Ringing  ├──────────────────────►│ Answered  ├───────►│ Talking │
//!   100     └┬──────────┘                       └┬─────────┬┘        └┬───────┬┘
//!            │ reject: 3xx-6xx                   │ 64·T1:  │          │ bye   │
//!            │ CANCEL: 487                       │ BYE     │ BYE  ┌───▼────┐  │ BYE
//!            │ BYE: 487                          └─────────┼─────►│Hanging │  │ from peer
//!            │                                             │      │   up   │  │
//!            ▼                                             ▼      └───┬────┘  ▼
//!           ──────────────────────────── Over: Ended was told ────────────────────
//! ```

use std::time::{Duration, Instant};

use super::lane::Sender;
use super::leg::{Fate, Leg};
use crate::core::{Core, Request};
use crate::dialog::Dialog;
use crate::event::{
    Body, CommandError, EndCause, Event, Flow, GatewayName, Header, Incoming, QueryId, Reason, SessionId,
    Target,
};
use crate::message::{ALLOW, Head, Message, Name, Response, lossy, number};
use crate::transaction::TransactionId;
use crate::transaction::timer::Retransmit;

/// How often a provisional response is repeated while the phone rings, so that no proxy on the way takes the call for
/// dead (its Timer C is more than 3 minutes; §13.3.1.1 asks for every minute).
const REFRESH: Duration = Duration::from_secs(60);

/// One inbound call.
pub(crate) struct Inbound {
    id: SessionId,
    leg: Leg,
    state: State,
}

enum State {
    Ringing(Box<Ringing>),
    Answered(Answered),
    Talking,
    HangingUp(EndCause),
    Over,
}

/// The INVITE is not answered.
struct Ringing {
    transaction: TransactionId,
    request: Request,
    /// The last provisional response above 100, and when it is due again.
    refresh: Option<(Instant, u16, Vec<u8>)>,
    /// When the invitation is void (its Expires, §13.3.1).
    expires: Option<Instant>,
}

/// The 2xx is not acknowledged.
struct Answered {
    ok: Vec<u8>,
    reply: Flow,
    /// The number of the INVITE: that of its ACK too.
    cseq: u32,
    retransmit: Retransmit,
    give_up: Instant,
    then: Then,
}

/// What the ACK, or its absence, leads to.
enum Then {
    Talk,
    HangUp(Option<Reason>),
}

impl Inbound {
    /// Takes a new INVITE, and the application is told. The dialog's tag is that of all responses.
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        id: SessionId,
        (request, gateway): (Request, GatewayName),
        dialog: Dialog,
    ) -> Self {
        let transaction = core.open(&request, Some(id), &dialog.local_tag);
        core.trying(now, transaction, &request);
        core.tell(Event::Incoming(Box::new(Incoming {
            session: id,
            flow: request.flow,
            gateway,
            request_uri: lossy(request.message.request_uri()),
            from: request.head.from.uri.clone(),
            from_display: request.head.from.display.clone(),
            to: request.head.to.uri.clone(),
            call_id: dialog.call_id.clone(),
            body: request.message.body(),
            headers: request.message.extension_headers(),
        })));
        let expires = request.message.value(Name::Expires).and_then(|value| number(&value, u32::MAX));
        let expires = expires.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        let ringing = Box::new(Ringing { transaction, request, refresh: None, expires });
        Self { id, leg: Leg::new(dialog), state: State::Ringing(ringing) }
    }

    /// Sends 18x.
    pub(crate) fn progress(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        body: Option<&Body>,
    ) -> Result<(), CommandError> {
        let State::Ringing(ringing) = &mut self.state else { return Err(CommandError::WrongState) };
        if !(180..200).contains(&status) {
            return Err(CommandError::BadStatus);
        }
        let contact = core.contact(&ringing.request);
        let response = Response {
            status,
            to_tag: &self.leg.dialog.local_tag,
            contact: Some(&contact),
            body,
            ..Response::default()
        };
        let bytes = core.respond(now, ringing.transaction, &ringing.request, &response);
        ringing.refresh = Some((now + REFRESH, status, bytes));
        Ok(())
    }

    /// Sends the 200 and begins to wait for its ACK.
    pub(crate) fn answer(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        let State::Ringing(ringing) = &self.state else { return Err(CommandError::WrongState) };
        let Ringing { transaction, request, .. } = &**ringing;
        let contact = core.contact(request);
        let response = Response {
            status: 200,
            to_tag: &self.leg.dialog.local_tag,
            contact: Some(&contact),
            headers: &[("Allow", ALLOW.to_owned())],
            body: Some(body),
            ..Response::default()
        };
        let ok = core.respond(now, *transaction, request, &response);
        let timers = core.timers();
        self.state = State::Answered(Answered {
            ok,
            reply: request.reply_flow(),
            cseq: request.head.cseq,
            retransmit: Retransmit::after(now, timers.t1),
            give_up: now + timers.timeout(),
            then: Then::Talk,
        });
        Ok(())
    }

    /// Refuses or redirects. The transaction sees to the ACK; the session is over at once.
    pub(crate) fn reject(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        if !matches!(self.state, State::Ringing(_)) {
            return Err(CommandError::WrongState);
        }
        if !(300..700).contains(&status) {
            return Err(CommandError::BadStatus);
        }
        self.refuse(core, now, status, headers);
        self.end(core, EndCause::Local);
        Ok(())
    }

    /// Hangs up an answered call.
    pub(crate) fn bye(
        &mut self,
        core: &mut Core,
        now: Instant,
        reason: Option<Reason>,
    ) -> Result<(), CommandError> {
        match &mut self.state {
            State::Answered(Answered { then: then @ Then::Talk, .. }) => *then = Then::HangUp(reason),
            State::Talking => self.hang_up(core, now, reason, EndCause::Local),
            _ => return Err(CommandError::WrongState),
        }
        Ok(())
    }

    /// The peer cancels; its CANCEL has been answered. No effect once the INVITE has its final response.
    pub(crate) fn on_cancel(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(_) = self.state {
            self.refuse(core, now, 487, &[]);
            self.end(core, EndCause::Cancelled);
        }
    }

    /// An ACK inside the dialog. Says whether it was the one we waited for.
    pub(crate) fn on_ack(&mut self, core: &mut Core, now: Instant, head: &Head, ack: &Message) -> bool {
        if head.from.tag() != self.leg.dialog.remote_tag {
            return false;
        }
        match &mut self.state {
            State::Answered(answered) if answered.cseq == head.cseq => {
                match std::mem::replace(&mut answered.then, Then::Talk) {
                    Then::Talk => {
                        self.state = State::Talking;
                        core.tell(Event::Acked { session: self.id, body: ack.body() });
                    }
                    Then::HangUp(reason) => self.hang_up(core, now, reason, EndCause::Local),
                }
                true
            }
            _ => false,
        }
    }

    /// The peer hangs up; its BYE has been answered.
    pub(crate) fn on_bye(&mut self, core: &mut Core, now: Instant, reason: Option<Reason>) {
        match self.state {
            State::Ringing(_) => {
                self.refuse(core, now, 487, &[]);
                self.end(core, EndCause::Bye { reason });
            }
            State::Answered(_) | State::Talking => {
                self.leg.abandon(&mut sender(core, now, self.id));
                self.end(core, EndCause::Bye { reason });
            }
            // The two BYEs crossed: ours still waits for its answer.
            State::HangingUp(_) | State::Over => {}
        }
    }

    /// The dialog of a call that is answered and that nobody hangs up, and what its requests are sent with.
    pub(crate) fn talking<'a>(
        &'a mut self,
        core: &'a mut Core,
        now: Instant,
    ) -> Option<(&'a mut Leg, Sender<'a>)> {
        match self.state {
            State::Answered(Answered { then: Then::Talk, .. }) | State::Talking => {
                Some((&mut self.leg, sender(core, now, self.id)))
            }
            _ => None,
        }
    }

    /// A final response to a request of ours; `None` where none came, and `otherwise` says why.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        let mut sender = sender(core, now, self.id);
        match (self.leg.on_response(&mut sender, transaction, response, otherwise), &self.state) {
            (Fate::Lost, State::Talking) => self.hang_up(core, now, None, EndCause::Lost),
            _ => self.rest(core),
        }
    }

    /// The answer of the name service.
    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        if self.leg.on_resolved(core, query, targets) {
            self.leg.advance(&mut sender(core, now, self.id));
            self.rest(core);
        }
    }

    /// The dialog with the peer of this tag.
    pub(crate) fn leg(&mut self, remote_tag: &str) -> Option<&mut Leg> {
        let live = !matches!(self.state, State::Over) && self.leg.dialog.remote_tag == remote_tag;
        live.then_some(&mut self.leg)
    }

    /// What the peer's INVITE inside the dialog is refused with: a first one is not answered yet (§14.2), or the
    /// session is not changed.
    pub(crate) fn reinvite_status(&self) -> u16 {
        if matches!(self.state, State::Ringing(_)) { 500 } else { 488 }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Ringing(ringing) => {
                ringing.refresh.as_ref().map(|&(at, ..)| at).into_iter().chain(ringing.expires).min()
            }
            State::Answered(answered) => Some(answered.retransmit.at.min(answered.give_up)),
            State::Talking | State::HangingUp(_) | State::Over => None,
        };
        own.into_iter().chain(self.leg.deadline()).min()
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        self.leg.on_deadline(&mut sender(core, now, self.id));
        self.rest(core);
        match &mut self.state {
            State::Ringing(ringing) if ringing.expires.is_some_and(|expires| expires <= now) => {
                self.refuse(core, now, 487, &[]);
                self.end(core, EndCause::Cancelled);
            }
            State::Ringing(ringing) => {
                if let Some((at, status, bytes)) = &mut ringing.refresh
                    && *at <= now
                {
                    *at = now + REFRESH;
                    let (status, bytes) = (*status, bytes.clone());
                    core.transactions.respond(now, &mut core.wire, ringing.transaction, status, bytes);
                }
            }
            State::Answered(answered) if answered.give_up <= now => {
                let (reason, cause) = match std::mem::replace(&mut answered.then, Then::Talk) {
                    Then::Talk => (None, EndCause::NoAck),
                    Then::HangUp(reason) => (reason, EndCause::Local),
                };
                self.hang_up(core, now, reason, cause);
            }
            State::Answered(answered) if answered.retransmit.at <= now => {
                core.wire.resend(answered.reply, &answered.ok);
                answered.retransmit = answered.retransmit.doubled(now, core.timers().t2);
            }
            _ => {}
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The session is forgotten: so is its question.
    pub(crate) fn forget_queries(&self, core: &mut Core) {
        self.leg.dialog.forget_query(core);
    }

    /// What finds this session for a request inside its dialog.
    pub(crate) fn key(&self) -> (String, String) {
        (self.leg.dialog.call_id.clone(), self.leg.dialog.local_tag.clone())
    }

    fn refuse(&mut self, core: &mut Core, now: Instant, status: u16, headers: &[Header]) {
        let State::Ringing(ringing) = &self.state else { return };
        let headers: Vec<_> = headers.iter().map(|header| (&*header.name, header.value.clone())).collect();
        let to_tag = &*self.leg.dialog.local_tag;
        let response = Response { status, to_tag, headers: &headers, ..Response::default() };
        core.respond(now, ringing.transaction, &ringing.request, &response);
    }

    fn hang_up(&mut self, core: &mut Core, now: Instant, reason: Option<Reason>, cause: EndCause) {
        self.leg.hang_up(&mut sender(core, now, self.id), reason.as_ref());
        self.state = State::HangingUp(cause);
        self.rest(core);
    }

    /// Ends the session if its BYE has come to rest. A peer that did not acknowledge, or that is lost, will hardly
    /// answer a BYE: there it is enough that it was sent.
    fn rest(&mut self, core: &mut Core) {
        let State::HangingUp(cause) = &self.state else { return };
        let rests = match cause {
            EndCause::NoAck | EndCause::Lost => !self.leg.is_waiting(),
            _ => self.leg.is_done(),
        };
        if rests {
            let cause = cause.clone();
            self.end(core, cause);
        }
    }

    fn end(&mut self, core: &mut Core, cause: EndCause) {
        self.state = State::Over;
        core.tell(Event::Ended { session: self.id, cause });
    }
}

/// A peer that calls us has given us no credentials for its challenges (reliability S6).
fn sender(core: &mut Core, now: Instant, session: SessionId) -> Sender<'_> {
    Sender { core, now, session, authenticator: None }
}
