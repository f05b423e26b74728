//! Changing a session from inside its dialog (RFC 3261 §14, RFC 3311), and refreshing it (RFC 4028).
//!
//! ```text
//!  re-INVITE, UPDATE ──► busy? ──► timer? ──► says nothing new? ──► Event::Offer ──► Command::Accept ──► 2xx
//!                       491, 500   422          2xx, not told                       Command::Refuse ──► 4xx-6xx
//!
//!  refresh due ──► UPDATE without a body, or a re-INVITE with our last description, byte for byte ──► 2xx: counts anew
//! ```
//!
//! A refresh says nothing new: it has no body, or the very bytes that the peer sent last. Nobody compares more than
//! that here, since bodies are opaque; whatever differs is told, and answered by whoever knows SDP. What is refused
//! changes nothing, neither the session nor where its requests go.

use std::time::{Duration, Instant};

use super::accepted::Accepted;
use super::ack::Ack;
use super::lane::{Done, Errand, Purpose, Sender};
use super::leg::{Fate, Leg};
use super::refresh::{Agreed, BadTimer, Due, judge};
use crate::core::{Core, Request};
use crate::event::{Body, CommandError, Event, Header, SessionId};
use crate::message::{ALLOW, Head, Message, Method, Name, Response};
use crate::options;
use crate::transaction::TransactionId;

/// How long the application may think about an offer: nobody is asked, so it takes a moment. After that the peer is told
/// to ask again by re-INVITE, which may take longer (RFC 3311 §5.2).
const OFFER_LIMIT: Duration = Duration::from_secs(10);
/// When a refresh is tried again that something of the peer's is in the way of.
const IN_THE_WAY: Duration = Duration::from_secs(2);
/// The longest that a peer is told to wait whose change comes while one is under way (RFC 3261 §14.2), in seconds.
const RETRY_AFTER: u32 = 10;

/// What both sides say the session is, and the change of it that is under way.
#[derive(Default)]
pub(super) struct Change {
    /// What we said last, and what the peer did, byte for byte.
    pub(super) local: Option<Body>,
    pub(super) remote: Option<Body>,
    /// Whether the peer's Allow names UPDATE.
    allows_update: bool,
    asked: Option<Asked>,
    /// Our 2xx to a re-INVITE, and whether its ACK is told.
    accepted: Option<(Accepted, bool)>,
}

/// A request of the peer that waits for the application.
struct Asked {
    transaction: TransactionId,
    request: Request,
    timer: Option<Agreed>,
    give_up: Instant,
}

/// How far the INVITE that makes the call has come, as far as a change must know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Whether the call is not answered: the session timer does not run yet.
    pub(super) early: bool,
    /// The status that a further INVITE gets because of it.
    pub(super) invite: Option<u16>,
    /// The status that a further offer gets because of it.
    pub(super) offer: Option<u16>,
}

impl Change {
    /// A request or response of the peer may say what it understands.
    pub(super) fn learn(&mut self, message: &Message) {
        if message.has(Name::Allow) {
            self.allows_update = message.lists(Name::Allow, "UPDATE");
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let asked = self.asked.as_ref().map(|asked| asked.give_up);
        let accepted = self.accepted.as_ref().map(|(accepted, _)| accepted.deadline());
        asked.into_iter().chain(accepted).min()
    }

    /// The status of a request that comes while a change is under way (RFC 3261 §14.2, RFC 3311 §5.2).
    fn busy(&self, method: Method, offers: bool) -> Option<u16> {
        let invite = method == Method::Invite;
        if let Some(asked) = &self.asked
            && (invite || offers || asked.request.head.method == method)
        {
            return Some(500);
        }
        let (accepted, _) = self.accepted.as_ref()?;
        match accepted.offers {
            true if invite || offers => Some(491),
            false if invite => Some(500),
            _ => None,
        }
    }
}

impl Leg {
    /// A re-INVITE or an UPDATE of the peer.
    pub(super) fn on_change(
        &mut self,
        core: &mut Core,
        now: Instant,
        session: SessionId,
        request: &Request,
        standing: Standing,
    ) {
        let (message, method) = (&request.message, request.head.method);
        let body = message.body();
        let ours = (method == Method::Invite || body.is_some()) && self.requests.is_changing();
        let standing_status = match method {
            Method::Invite => standing.invite,
            _ => standing.offer.filter(|_| body.is_some()),
        };
        let busy = standing_status
            .or_else(|| self.change.busy(method, body.is_some()))
            .or_else(|| ours.then_some(491));
        if let Some(status) = busy {
            return refuse_busy(core, now, request, status);
        }
        let timer = match judge(&core.config.session_timer, message) {
            Ok(timer) => timer.filter(|_| !standing.early),
            Err(bad) => return refuse_timer(core, now, request, bad),
        };
        if message.contact() == Some(None) {
            let phrase = Some("Bad Contact");
            return core.answer(now, request, &Response { status: 400, phrase, ..Response::default() });
        }
        let transaction = core.open(request, Some(session), &self.dialog.local_tag);
        let asked = Asked { transaction, request: request.clone(), timer, give_up: now + OFFER_LIMIT };
        let known = body.is_some() && body == self.change.remote && self.change.local.is_some();
        if known {
            let local = self.change.local.clone();
            self.agree(core, now, asked, local.as_ref(), false);
        } else if body.is_none() && method == Method::Update {
            self.agree(core, now, asked, None, false);
        } else {
            self.ask(core, now, session, asked);
        }
    }

    /// An offer in a PRACK, whose 2xx has to carry the answer (RFC 3262 §5). `false` where another one is under way.
    pub(super) fn on_offer_in_prack(
        &mut self,
        core: &mut Core,
        now: Instant,
        session: SessionId,
        request: &Request,
    ) {
        if let Some(status) = self.change.busy(Method::Prack, true) {
            return refuse_busy(core, now, request, status);
        }
        let transaction = core.open(request, Some(session), &self.dialog.local_tag);
        let give_up = now + OFFER_LIMIT;
        self.ask(core, now, session, Asked { transaction, request: request.clone(), timer: None, give_up });
    }

    /// Tells the application of an offer.
    fn ask(&mut self, core: &mut Core, now: Instant, session: SessionId, asked: Asked) {
        if asked.request.head.method == Method::Invite {
            core.trying(now, asked.transaction, &asked.request);
        }
        core.tell(Event::Offer { session, body: asked.request.message.body() });
        self.change.asked = Some(asked);
    }

    /// Whether an offer waits for the application.
    pub(super) fn is_asked(&self) -> bool {
        self.change.asked.is_some()
    }

    /// The application accepts.
    pub(super) fn accept(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        let asked = self.change.asked.take().ok_or(CommandError::WrongState)?;
        self.agree(core, now, asked, Some(body), true);
        Ok(())
    }

    /// The application refuses.
    pub(super) fn refuse(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        if !(400..700).contains(&status) {
            return Err(CommandError::BadStatus);
        }
        let asked = self.change.asked.take().ok_or(CommandError::WrongState)?;
        asked.refuse(core, now, (status, headers), &self.dialog.local_tag);
        Ok(())
    }

    /// Sends the 2xx of a change or of a refresh.
    fn agree(&mut self, core: &mut Core, now: Instant, asked: Asked, body: Option<&Body>, told: bool) {
        let Asked { transaction, request, timer, .. } = asked;
        let mut headers = Vec::new();
        let mut contact = None;
        // A PRACK neither refreshes the session nor the target.
        if request.head.method != Method::Prack {
            headers.push(("Allow", ALLOW.to_owned()));
            headers.push(("Supported", options::supported(&core.config).to_owned()));
            headers.extend(timer.into_iter().flat_map(Agreed::headers));
            contact = Some(core.contact(&request));
            self.dialog.retarget(core, &request.message);
            self.change.learn(&request.message);
            self.refresh.answered(now, timer);
        }
        let response = Response {
            status: 200,
            to_tag: &self.dialog.local_tag,
            contact: contact.as_deref(),
            headers: &headers,
            body,
            ..Response::default()
        };
        let ok = core.respond(now, transaction, &request, &response);
        if request.head.method == Method::Invite {
            self.change.accepted = Some((Accepted::new(core, now, &request, ok), told));
        }
        if body.is_some() {
            self.change.local = body.cloned();
        }
        if let Some(offer) = request.message.body() {
            self.change.remote = Some(offer);
        }
    }

    /// An ACK. Says whether it was that of a re-INVITE.
    pub(super) fn on_ack(&mut self, core: &mut Core, session: SessionId, head: &Head, ack: &Message) -> bool {
        let ours = |(accepted, _): &mut (Accepted, bool)| accepted.cseq == head.cseq;
        let Some((accepted, told)) = self.change.accepted.take_if(ours) else { return false };
        let body = ack.body().filter(|_| accepted.offers);
        if body.is_some() {
            self.change.remote.clone_from(&body);
        }
        if told {
            core.tell(Event::Acked { session, body });
        }
        true
    }

    /// The peer cancels its re-INVITE: the session stays as it is.
    pub(super) fn on_cancel(&mut self, core: &mut Core, now: Instant, transaction: TransactionId) {
        if let Some(asked) = self.change.asked.take_if(|asked| asked.transaction == transaction) {
            asked.refuse(core, now, (487, &[]), &self.dialog.local_tag);
        }
    }

    /// The session ends: what waits is refused (§15.1.2), and nothing is refreshed.
    pub(super) fn close_changes(&mut self, core: &mut Core, now: Instant) {
        self.refresh.stop();
        self.change.accepted = None;
        if let Some(asked) = self.change.asked.take() {
            asked.refuse(core, now, (487, &[]), &self.dialog.local_tag);
        }
    }

    /// Runs what is due of changes and refreshes.
    pub(super) fn on_change_deadline(&mut self, sender: &mut Sender<'_>) -> Fate {
        let now = sender.now;
        if let Some(asked) = self.change.asked.take_if(|asked| asked.give_up <= now) {
            asked.refuse(sender.core, now, (504, &[]), &self.dialog.local_tag);
        }
        if let Some((accepted, _)) = &mut self.change.accepted
            && !accepted.on_deadline(sender.core, now)
        {
            self.change.accepted = None;
            return Fate::NoAck;
        }
        match self.refresh.due(now) {
            Some(Due::Expiry) => return Fate::Expired,
            Some(Due::Refresh) => self.send_refresh(sender),
            None => {}
        }
        Fate::Stays
    }

    /// §7.4: by UPDATE without an offer, where the peer understands it.
    fn send_refresh(&mut self, sender: &mut Sender<'_>) {
        let mut headers = self.refresh.headers();
        let supported = options::supported(&sender.core.config).to_owned();
        headers.push(Header { name: "Supported".to_owned(), value: supported });
        let by_update = self.change.allows_update;
        let in_the_way = !by_update && (self.change.asked.is_some() || self.change.accepted.is_some());
        if in_the_way || !self.requests.has_room() {
            return self.refresh.postpone(sender.now, Some(IN_THE_WAY));
        }
        self.requests.push(if by_update {
            Errand::new(Purpose::Refresh, "UPDATE", headers, None)
        } else {
            Errand::new(Purpose::Refresh, "INVITE", headers, self.change.local.clone())
        });
        self.advance(sender);
    }

    /// A refresh of ours has its final response.
    pub(super) fn refreshed(&mut self, sender: &mut Sender<'_>, done: &Done<'_>) {
        let now = sender.now;
        match (done.status, done.response) {
            (200..300, Some(response)) => {
                self.dialog.retarget(sender.core, response);
                self.change.learn(response);
                self.refresh.accepted(now, response);
                if done.method == "INVITE" {
                    self.acknowledge(sender, done, response);
                }
            }
            (422, Some(response)) if self.refresh.grow(response) => self.send_refresh(sender),
            (405 | 501, _) if done.method == "UPDATE" => {
                self.change.allows_update = false;
                self.send_refresh(sender);
            }
            (491, _) => {
                let delay = back_off(sender.core, sender.session);
                self.refresh.postpone(now, Some(delay));
            }
            (_, response) => self.refresh.postpone(now, response.and_then(Message::retry_after)),
        }
    }

    /// The 2xx of our re-INVITE. An answer that is not what the peer said last is told.
    fn acknowledge(&mut self, sender: &mut Sender<'_>, done: &Done<'_>, response: &Message) {
        let mut ack = Ack::new(done.cseq, done.credentials.clone());
        ack.advance(&mut self.dialog, sender);
        self.ack = Some((done.transaction, ack));
        let body = response.body();
        if let Some(answer) = body.filter(|body| Some(body) != self.change.remote.as_ref()) {
            self.change.remote = Some(answer.clone());
            sender.core.tell(Event::Updated { session: sender.session, body: answer });
        }
    }
}

impl Asked {
    fn refuse(self, core: &mut Core, now: Instant, (status, headers): (u16, &[Header]), to_tag: &str) {
        let headers: Vec<_> = headers.iter().map(|header| (&*header.name, header.value.clone())).collect();
        let response = Response { status, to_tag, headers: &headers, ..Response::default() };
        core.respond(now, self.transaction, &self.request, &response);
    }
}

/// §14.1: how long a change waits after a 491. Who owns the Call-ID waits longer, so that the other comes first.
fn back_off(core: &mut Core, session: SessionId) -> Duration {
    let tens = match session {
        SessionId::Outbound(_) => 210 + core.random.below(191),
        SessionId::Inbound(_) => core.random.below(201),
    };
    Duration::from_millis(u64::from(tens) * 10)
}

/// A change that comes while another one is under way.
fn refuse_busy(core: &mut Core, now: Instant, request: &Request, status: u16) {
    let retry = ("Retry-After", core.random.below(RETRY_AFTER + 1).to_string());
    let headers = if status == 500 { vec![retry] } else { Vec::new() };
    core.answer(now, request, &Response { status, headers: &headers, ..Response::default() });
}

/// A change whose session timer is bad (RFC 4028 §9).
fn refuse_timer(core: &mut Core, now: Instant, request: &Request, bad: BadTimer) {
    let (status, phrase, header) = bad.refusal();
    let headers: Vec<_> = header.into_iter().collect();
    core.answer(now, request, &Response { status, phrase, headers: &headers, ..Response::default() });
}
