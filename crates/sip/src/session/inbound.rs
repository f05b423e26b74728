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

use super::accepted::Accepted;
use super::change::Standing;
use super::lane::Sender;
use super::leg::{Fate, Leg};
use super::refresh::{Agreed, Asking, judge};
use super::reliable::{Mode, Reliable};
use crate::core::{Core, Request};
use crate::dialog::Dialog;
use crate::event::{
    Body, CommandError, EndCause, Event, GatewayName, Header, Incoming, QueryId, Reason, Received, SessionId,
    Target,
};
use crate::message::{ALLOW, Head, Message, Name, Response, lossy, number};
use crate::options;
use crate::transaction::TransactionId;

/// How often a provisional response is repeated while the phone rings, so that no proxy on the way takes the call for
/// dead (its Timer C is more than 3 minutes; §13.3.1.1 asks for every minute).
const REFRESH: Duration = Duration::from_secs(60);

/// One inbound call.
pub(crate) struct Inbound {
    id: SessionId,
    leg: Leg,
    reliable: Reliable,
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
    /// The last provisional response above 100, and when it is due again; without its bytes where it is reliable.
    refresh: Option<(Instant, u16, Option<Vec<u8>>)>,
    /// When the invitation is void (its Expires, §13.3.1).
    expires: Option<Instant>,
    /// The session timer that a 2xx agrees to.
    timer: Option<Agreed>,
    /// The answer, which waits for the PRACK of a reliable provisional response.
    answer: Option<Body>,
}

/// The 2xx is not acknowledged.
struct Answered {
    accepted: Accepted,
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
        let mut leg = Leg::new(dialog, Asking::new(&core.config.session_timer));
        leg.change.learn(&request.message);
        leg.change.remote = request.message.body();
        let reliable = Reliable::new(core, &request);
        // A bad one has been refused before the call began.
        let timer = judge(&core.config.session_timer, &request.message).unwrap_or_default();
        let ringing = Box::new(Ringing { transaction, request, refresh: None, expires, timer, answer: None });
        Self { id, leg, reliable, state: State::Ringing(ringing) }
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
        if ringing.answer.is_some() {
            return Err(CommandError::WrongState);
        }
        match self.reliable.mode {
            Mode::Withheld => return Ok(()),
            Mode::Reliable => {
                self.reliable.push(status, body.cloned());
                self.progress_reliably(core, now);
                return Ok(());
            }
            Mode::Plain => {}
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
        ringing.refresh = Some((now + REFRESH, status, Some(bytes)));
        Ok(())
    }

    /// Sends the next reliable provisional response, if its turn has come.
    fn progress_reliably(&mut self, core: &mut Core, now: Instant) {
        let State::Ringing(ringing) = &mut self.state else { return };
        let Ringing { transaction, request, refresh, .. } = &mut **ringing;
        let to_tag = &self.leg.dialog.local_tag;
        if let Some(status) = self.reliable.advance(core, now, (*transaction, request), to_tag) {
            *refresh = Some((now + REFRESH, status, None));
            self.leg.change.local = self.reliable.answer().cloned();
        }
    }

    /// Sends the 200 and begins to wait for its ACK; after the PRACK of a reliable provisional response with a body.
    pub(crate) fn answer(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        let State::Ringing(ringing) = &mut self.state else { return Err(CommandError::WrongState) };
        if ringing.answer.is_some() {
            return Err(CommandError::WrongState);
        }
        if self.reliable.holds_answer() {
            ringing.answer = Some(body.clone());
        } else {
            self.accept_call(core, now, body);
        }
        Ok(())
    }

    /// Sends the 200. It has no body where a reliable provisional response has carried the answer.
    fn accept_call(&mut self, core: &mut Core, now: Instant, body: &Body) {
        let State::Ringing(ringing) = &self.state else { return };
        let Ringing { transaction, request, timer, .. } = &**ringing;
        let contact = core.contact(request);
        let mut headers = vec![("Allow", ALLOW.to_owned())];
        headers.push(("Supported", options::supported(&core.config).to_owned()));
        headers.extend(timer.iter().copied().flat_map(Agreed::headers));
        let body = self.reliable.answer().is_none().then_some(body);
        let response = Response {
            status: 200,
            to_tag: &self.leg.dialog.local_tag,
            contact: Some(&contact),
            headers: &headers,
            body,
            ..Response::default()
        };
        let ok = core.respond(now, *transaction, request, &response);
        self.leg.refresh.answered(now, *timer);
        if let Some(body) = body {
            self.leg.change.local = Some(body.clone());
        }
        let accepted = Accepted::new(core, now, request, ok);
        self.reliable.finish();
        self.state = State::Answered(Answered { accepted, then: Then::Talk });
    }

    /// Refuses or redirects. The transaction sees to the ACK; the session is over at once.
    pub(crate) fn reject(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        if !matches!(&self.state, State::Ringing(ringing) if ringing.answer.is_none()) {
            return Err(CommandError::WrongState);
        }
        if !(300..700).contains(&status) {
            return Err(CommandError::BadStatus);
        }
        self.refuse(core, now, status, headers);
        self.end(core, now, EndCause::Local);
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
            // The answer has not been sent, so there is nothing to hang up.
            State::Ringing(ringing) if ringing.answer.is_some() => {
                self.refuse(core, now, 480, &[]);
                self.end(core, now, EndCause::Local);
            }
            _ => return Err(CommandError::WrongState),
        }
        Ok(())
    }

    /// The peer cancels; its CANCEL has been answered. No effect once the INVITE has its final response.
    pub(crate) fn on_cancel(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        reason: Option<String>,
    ) {
        match &self.state {
            State::Ringing(ringing) if ringing.transaction == transaction => {
                self.refuse(core, now, 487, &[]);
                self.end(core, now, EndCause::Cancelled { reason });
            }
            _ => self.leg.on_cancel(core, now, transaction),
        }
    }

    /// A re-INVITE or an UPDATE.
    pub(crate) fn on_change(&mut self, core: &mut Core, now: Instant, request: &Request) {
        let standing = match &self.state {
            State::Ringing(_) => {
                // Until our answer is acknowledged, or at least sent where the offer is theirs, it is their turn.
                let offer = (self.reliable.answer().is_none() || self.reliable.holds_answer()).then_some(500);
                Standing { early: true, invite: Some(500), offer }
            }
            State::Answered(Answered { accepted, .. }) if accepted.offers => {
                Standing { early: false, invite: Some(491), offer: Some(491) }
            }
            State::Answered(_) => Standing { early: false, invite: Some(500), offer: None },
            State::Talking => Standing::default(),
            State::HangingUp(_) | State::Over => {
                return core.answer(now, request, &Response { status: 481, ..Response::default() });
            }
        };
        self.leg.on_change(core, now, self.id, request, standing);
    }

    /// A PRACK: the response that it acknowledges is not repeated any more, and the next one is sent, or the answer that
    /// has waited (RFC 3262 §3).
    pub(crate) fn on_prack(&mut self, core: &mut Core, now: Instant, request: &Request) {
        if !self.reliable.on_prack(&request.message) {
            return core.answer(now, request, &Response { status: 481, ..Response::default() });
        }
        if request.message.body().is_some() {
            self.leg.on_offer_in_prack(core, now, self.id, request);
        } else {
            core.answer(now, request, &Response { status: 200, ..Response::default() });
        }
        let answer = match &mut self.state {
            State::Ringing(ringing) => ringing.answer.take(),
            _ => return,
        };
        match answer {
            Some(body) => self.accept_call(core, now, &body),
            None => self.progress_reliably(core, now),
        }
    }

    /// Answers an offer of the peer.
    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        self.leg.accept(core, now, body)
    }

    /// Refuses an offer of the peer.
    pub(crate) fn refuse_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        self.leg.refuse(core, now, status, headers)
    }

    /// An ACK inside the dialog. Says whether it was the one we waited for.
    pub(crate) fn on_ack(&mut self, core: &mut Core, now: Instant, head: &Head, ack: &Message) -> bool {
        if head.from.tag() != self.leg.dialog.remote_tag {
            return false;
        }
        match &mut self.state {
            State::Answered(answered) if answered.accepted.cseq == head.cseq => {
                let offered = answered.accepted.offers;
                match std::mem::replace(&mut answered.then, Then::Talk) {
                    Then::Talk => {
                        self.state = State::Talking;
                        let body = ack.body();
                        if offered {
                            self.leg.change.remote.clone_from(&body);
                        }
                        core.tell(Event::Acked { session: self.id, body });
                    }
                    Then::HangUp(reason) => self.hang_up(core, now, reason, EndCause::Local),
                }
                true
            }
            _ => self.leg.on_ack(core, self.id, head, ack),
        }
    }

    /// The peer hangs up; its BYE has been answered.
    pub(crate) fn on_bye(&mut self, core: &mut Core, now: Instant, reason: Option<String>) {
        match self.state {
            State::Ringing(_) => {
                self.refuse(core, now, 487, &[]);
                self.end(core, now, EndCause::Bye { reason });
            }
            State::Answered(_) | State::Talking => {
                self.leg.abandon(&mut sender(core, now, self.id));
                self.end(core, now, EndCause::Bye { reason });
            }
            // The two BYEs crossed: ours still waits for its answer.
            State::HangingUp(_) | State::Over => {}
        }
    }

    /// The dialog with the peer, where the call is answered.
    pub(crate) fn dialog(&self) -> Option<&Dialog> {
        matches!(self.state, State::Answered(_) | State::Talking).then_some(&self.leg.dialog)
    }

    /// The INVITE, while it has no final response.
    pub(crate) fn received(&self) -> Option<Received> {
        let State::Ringing(ringing) = &self.state else { return None };
        Received::of(&ringing.request, &self.leg.dialog.local_tag)
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
        let fate = self.leg.on_response(&mut sender, transaction, response, otherwise);
        self.suffer(core, now, fate);
    }

    /// The answer of the name service.
    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        if self.leg.on_resolved(core, query, targets) {
            self.leg.advance(&mut sender(core, now, self.id));
            self.rest(core, now);
        }
    }

    /// The dialog with the peer of this tag.
    pub(crate) fn leg(&mut self, remote_tag: &str) -> Option<&mut Leg> {
        let live = !matches!(self.state, State::Over) && self.leg.dialog.remote_tag == remote_tag;
        live.then_some(&mut self.leg)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Ringing(ringing) => {
                ringing.refresh.as_ref().map(|&(at, ..)| at).into_iter().chain(ringing.expires).min()
            }
            State::Answered(answered) => Some(answered.accepted.deadline()),
            State::Talking | State::HangingUp(_) | State::Over => None,
        };
        own.into_iter().chain(self.reliable.deadline()).chain(self.leg.deadline()).min()
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        if !self.reliable.on_deadline(core, now) {
            // RFC 3262 §3: nobody acknowledges, so the INVITE is refused.
            self.refuse(core, now, 504, &[]);
            return self.end(core, now, EndCause::NoPrack);
        }
        if let State::Ringing(ringing) = &self.state
            && ringing.expires.is_some_and(|expires| expires <= now)
        {
            self.refuse(core, now, 487, &[]);
            return self.end(core, now, EndCause::Cancelled { reason: None });
        }
        self.remind(core, now);
        if let State::Answered(Answered { accepted, then }) = &mut self.state
            && !accepted.on_deadline(core, now)
        {
            let (reason, cause) = match std::mem::replace(then, Then::Talk) {
                Then::Talk => (None, EndCause::NoAck),
                Then::HangUp(reason) => (reason, EndCause::Local),
            };
            self.hang_up(core, now, reason, cause);
        }
        let fate = self.leg.on_deadline(&mut sender(core, now, self.id));
        self.suffer(core, now, fate);
    }

    /// Repeats the last provisional response every minute; a reliable one is a new one each time.
    fn remind(&mut self, core: &mut Core, now: Instant) {
        let State::Ringing(ringing) = &mut self.state else { return };
        let Some((at, status, bytes)) = ringing.refresh.as_mut().filter(|(at, ..)| *at <= now) else {
            return;
        };
        *at = now + REFRESH;
        let (status, bytes) = (*status, bytes.clone());
        match bytes {
            Some(bytes) => {
                core.transactions.respond(now, &mut core.wire, ringing.transaction, status, bytes);
            }
            None if self.reliable.is_idle() => {
                self.reliable.push(status, None);
                self.progress_reliably(core, now);
            }
            None => {}
        }
    }

    /// Draws the consequences of what became of a request of ours, or of the session timer.
    fn suffer(&mut self, core: &mut Core, now: Instant, fate: Fate) {
        match (fate.cause(), &self.state) {
            (Some(cause), State::Answered(_) | State::Talking) => self.hang_up(core, now, None, cause),
            _ => self.rest(core, now),
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
        self.rest(core, now);
    }

    /// Ends the session if its BYE has come to rest. A peer that did not acknowledge, or that is lost, will hardly
    /// answer a BYE: there it is enough that it was sent.
    fn rest(&mut self, core: &mut Core, now: Instant) {
        let State::HangingUp(cause) = &self.state else { return };
        let rests = match cause {
            EndCause::NoAck | EndCause::Lost | EndCause::Expired => !self.leg.is_waiting(),
            _ => self.leg.is_done(),
        };
        if rests {
            let cause = cause.clone();
            self.end(core, now, cause);
        }
    }

    fn end(&mut self, core: &mut Core, now: Instant, cause: EndCause) {
        self.leg.close_changes(core, now);
        self.state = State::Over;
        core.tell(Event::Ended { session: self.id, cause });
    }
}

/// A peer that calls us has given us no credentials for its challenges (reliability S6).
fn sender(core: &mut Core, now: Instant, session: SessionId) -> Sender<'_> {
    Sender { core, now, session, authenticator: None }
}
