//! A call that we make (RFC 3261 §13.2): the user agent client's side of one INVITE and of the dialogs it forks into.
//!
//! ```text
//!  Command::Invite
//!     │ name                     no answer, transport failed: next address
//!     ▼                                ┌───┐     ┌─────┐ 401, 407: again with credentials
//! ┌───────────┐ address          ┌─────┴───▼─┐   │  ┌──▼─────────┐
//! │ Resolving ├─────────────────►│  Calling  ├───┴─►│ Proceeding │ 18x: told
//! └─────┬─────┘                  └┬────┬─────┘ 1xx  └─┬──┬──────┬┘
//!       │ cancel           cancel │    └── 2xx: ACK ──┼──┼────┐ │ 300-699
//!       │              ┌──────────▼──┐     cancel:    │  │    │ │
//!       │              │CancelQueued │     CANCEL     │  │    │ │
//!       │              └──────────┬──┘  ┌────────────┐│  │    │ │
//!       │                     1xx └────►│ Cancelling │◄  │    │ │
//!       │                               └─┬───────┬──┘   │    │ │
//!       │               300-699 or 64·T1  │       │ 2xx: ACK, BYE
//!       │                                 │  ┌────▼─────┐│bye┌▼─▼──────┐
//!       │                                 │  │HangingUp │◄───┤ Answered │
//!       │                                 │  └────┬─────┘    └────┬────┘
//!       ▼                                 ▼       ▼ BYE rests     ▼ BYE from peer
//!      ─────────────── Over: Ended was told; repeated 2xx are still acknowledged ─────────
//! ```

mod hunt;
mod resume;

use std::time::Instant;

use super::fork::Fork;
use super::itinerary::Itinerary;
use super::lane::Sender;
use super::leg::{Fate, Leg};
use super::refresh::Asking;
use crate::auth::{Authenticator, Tries};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::{
    CommandError, EndCause, Event, Flow, Header, Invite, QueryId, Reason, Refuser, SessionId, Target,
};
use crate::message::{Draft, Head, Message, phrase};
use crate::resolve::Destination;
use crate::transaction::TransactionId;
use crate::way::Way;

/// One outbound call.
pub(crate) struct Outbound {
    pub(super) id: SessionId,
    /// The INVITE as it is sent next, without credentials.
    pub(super) invite: Draft,
    pub(super) local_tag: String,
    /// Which addresses of the present stop can still be tried.
    way: Way,
    /// What comes after them.
    itinerary: Itinerary,
    /// The route whose first INVITE is to be told of.
    untold: Option<usize>,
    /// Whether a 3xx has led to the present stop.
    redirected: bool,
    /// Where it was sent last.
    pub(super) flow: Option<Flow>,
    pub(super) authenticator: Option<Authenticator>,
    /// What the INVITE has been through.
    tries: Tries,
    /// The session timer that it asks for.
    pub(super) asking: Asking,
    /// The INVITE that was sent last.
    sent: Option<TransactionId>,
    /// The credentials of the last INVITE: its ACK has the same (§13.2.2.4).
    pub(super) credentials: Vec<Header>,
    pub(super) forks: Vec<Fork>,
    /// Until when further 2xx may come: 64·T1 after the first (§13.2.2.4).
    pub(super) linger: Option<Instant>,
    pub(super) state: State,
}

pub(super) enum State {
    /// The name of the destination is asked for.
    Resolving {
        query: QueryId,
        asked: Instant,
        give_up: Instant,
        /// How the call ends where the answer leads nowhere.
        otherwise: EndCause,
    },
    /// The INVITE is sent, nothing is heard.
    Calling { invite: TransactionId },
    /// A provisional response came. If no other above 100 comes until then, nobody answers (Timer C, §16.6).
    Proceeding { invite: TransactionId, timer_c: Instant },
    /// To be cancelled as soon as a provisional response comes.
    CancelQueued { invite: TransactionId, reason: Option<Reason> },
    /// The CANCEL is sent; the INVITE still owes a final response.
    Cancelling { invite: TransactionId, give_up: Instant, cause: EndCause },
    /// Talking.
    Answered,
    /// Our BYE is on its way.
    HangingUp(EndCause),
    /// Ended was told.
    Over,
}

impl Outbound {
    /// Places a call. The command has been checked (`super::check`).
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        command: Invite,
        destinations: Vec<Destination>,
    ) -> Self {
        let local_tag = core.random.token();
        let call_id = core.random.call_id();
        let itinerary = Itinerary::of(&command, destinations);
        let invite = Draft {
            method: "INVITE",
            uri: String::new(),
            routes: Vec::new(),
            from: from(&command.from_display, &command.from, &local_tag).into_bytes(),
            to: Vec::new(),
            call_id,
            cseq: 1,
            headers: command.headers,
            body: Some(command.body),
        };
        let mut call = Self {
            id: command.session,
            invite,
            local_tag,
            way: Way::default(),
            itinerary,
            untold: None,
            redirected: false,
            flow: None,
            authenticator: None,
            tries: Tries::default(),
            asking: Asking::new(&core.config.session_timer),
            sent: None,
            credentials: Vec::new(),
            forks: Vec::new(),
            linger: None,
            state: State::Over,
        };
        call.try_next(core, now, made_here(503));
        call
    }

    /// Gives up.
    pub(crate) fn cancel(
        &mut self,
        core: &mut Core,
        now: Instant,
        reason: Option<Reason>,
    ) -> Result<(), CommandError> {
        match self.state {
            State::Resolving { query, .. } => {
                core.queries.remove(&query);
                self.end(core, now, EndCause::Local);
            }
            State::Calling { invite } => self.state = State::CancelQueued { invite, reason },
            State::Proceeding { invite, .. } => {
                self.send_cancel(core, now, invite, reason.as_ref(), EndCause::Local);
            }
            // It has been given up already: Timer C was in time, and whoever commands this a moment late.
            State::Cancelling { .. } => return Err(CommandError::Unknown),
            _ => return Err(CommandError::WrongState),
        }
        Ok(())
    }

    /// Hangs up.
    pub(crate) fn bye(
        &mut self,
        core: &mut Core,
        now: Instant,
        reason: Option<Reason>,
    ) -> Result<(), CommandError> {
        if !matches!(self.state, State::Answered) {
            return Err(CommandError::WrongState);
        }
        self.hang_up(core, now, reason.as_ref(), EndCause::Local);
        Ok(())
    }

    /// The dialog with the peer, where the call is answered.
    pub(crate) fn dialog(&self) -> Option<&Dialog> {
        let State::Answered = self.state else { return None };
        Some(&self.forks.iter().find(|fork| fork.is_kept())?.leg.dialog)
    }

    /// The dialog of a call that is answered and that nobody hangs up, and what its requests are sent with.
    pub(crate) fn talking<'a>(
        &'a mut self,
        core: &'a mut Core,
        now: Instant,
    ) -> Option<(&'a mut Leg, Sender<'a>)> {
        let Self { id, authenticator, forks, state: State::Answered, .. } = self else { return None };
        let kept = forks.iter_mut().find(|fork| fork.is_kept())?;
        Some((&mut kept.leg, sender(core, now, *id, authenticator)))
    }

    fn hang_up(&mut self, core: &mut Core, now: Instant, reason: Option<&Reason>, cause: EndCause) {
        self.state = State::HangingUp(cause);
        if let Some(fork) = self.forks.iter_mut().find(|fork| fork.is_kept()) {
            fork.leg.hang_up(&mut sender(core, now, self.id, &mut self.authenticator), reason);
        }
        self.rest(core, now);
    }

    /// The answer of the name service.
    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        match &self.state {
            State::Resolving { query: ours, asked, otherwise, .. } if *ours == query => {
                let otherwise = otherwise.clone();
                let otherwise = if targets.is_empty() { unresolved(otherwise) } else { otherwise };
                self.itinerary.waited(now.saturating_duration_since(*asked));
                self.way.resolved(targets);
                self.try_next(core, now, otherwise);
            }
            _ => {
                for fork in &mut self.forks {
                    if fork.leg.on_resolved(core, query, targets) {
                        let mut sender = sender(core, now, self.id, &mut self.authenticator);
                        fork.advance(&mut sender);
                    }
                }
                self.rest(core, now);
            }
        }
    }

    /// A response that a client transaction passed up; `None` where nobody answered (408) or nothing could be sent
    /// (503), as `otherwise` says.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<(&Message, &Head)>,
        otherwise: u16,
    ) {
        let mut fate = Fate::Stays;
        for fork in &mut self.forks {
            let mut sender = sender(core, now, self.id, &mut self.authenticator);
            let message = response.map(|(message, _)| message);
            let what = fork.leg.on_response(&mut sender, transaction, message, otherwise);
            if what != Fate::Stays {
                fate = what;
            }
        }
        self.suffer(core, now, fate);
        if self.sent != Some(transaction) {
            return;
        }
        match response {
            Some((message, head)) if head.method == crate::message::Method::Invite => {
                match message.status().unwrap_or_default() {
                    ..200 => self.on_provisional(core, now, message, head),
                    200..300 => self.on_accepted(core, now, message, head),
                    300.. => self.on_refused(core, now, message),
                }
            }
            Some(_) => {}
            None => self.on_no_answer(core, now, otherwise),
        }
    }

    /// Whether a BYE with a tag never seen can only mean that every response of that peer was lost.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match self.state {
            State::Resolving { give_up: at, .. }
            | State::Cancelling { give_up: at, .. }
            | State::Proceeding { timer_c: at, .. } => Some(at),
            _ => None,
        };
        let forks = self.forks.iter().filter_map(|fork| fork.leg.deadline());
        own.into_iter().chain(self.linger).chain(forks).min()
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        let mut fate = Fate::Stays;
        for fork in &mut self.forks {
            let what = fork.on_deadline(&mut sender(core, now, self.id, &mut self.authenticator));
            if what != Fate::Stays {
                fate = what;
            }
        }
        self.suffer(core, now, fate);
        if self.linger.is_some_and(|linger| linger <= now) {
            self.linger = None;
            self.forget_forks(core, now, Fork::is_kept);
        }
        match &self.state {
            State::Resolving { query, give_up, .. } if *give_up <= now => {
                let query = *query;
                core.queries.remove(&query);
                self.on_resolved(core, now, query, &[]);
            }
            State::Proceeding { invite, timer_c } if *timer_c <= now => {
                self.send_cancel(core, now, *invite, None, made_here(408));
            }
            State::Cancelling { invite, give_up, cause } if *give_up <= now => {
                let cause = cause.clone();
                core.transactions.abandon_invite(*invite);
                self.end(core, now, cause);
            }
            _ => {}
        }
    }

    /// Whether nothing is left to do: no 2xx can come any more that wants an ACK.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over) && self.linger.is_none()
    }

    /// Whether Ended was told.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What finds this session for a request inside its dialogs.
    pub(crate) fn key(&self) -> (String, String) {
        (self.invite.call_id.clone(), self.local_tag.clone())
    }

    /// The session is forgotten: so are its questions.
    pub(crate) fn forget_queries(&self, core: &mut Core) {
        for fork in &self.forks {
            fork.leg.dialog.forget_query(core);
        }
    }

    pub(super) fn send_cancel(
        &mut self,
        core: &mut Core,
        now: Instant,
        invite: TransactionId,
        reason: Option<&Reason>,
        cause: EndCause,
    ) {
        core.send_cancel(now, self.id, invite, reason);
        self.state = State::Cancelling { invite, give_up: now + core.timers().timeout(), cause };
    }

    pub(super) fn dialog_of(&self, response: &Message) -> Option<Dialog> {
        Dialog::of_response(&self.invite, &self.local_tag, response, self.flow?)
    }

    /// Draws the consequences of what became of a request of ours, or of the session timer.
    fn suffer(&mut self, core: &mut Core, now: Instant, fate: Fate) {
        match fate.cause() {
            Some(cause) if matches!(self.state, State::Answered) => self.hang_up(core, now, None, cause),
            _ => self.rest(core, now),
        }
    }

    /// Ends the call if our BYE has come to rest; where the peer is lost it is enough that it was sent.
    pub(super) fn rest(&mut self, core: &mut Core, now: Instant) {
        let State::HangingUp(cause) = &self.state else { return };
        let lost = matches!(cause, EndCause::Lost | EndCause::Expired | EndCause::NoAck);
        let rests = |leg: &Leg| if lost { !leg.is_waiting() } else { leg.is_done() };
        if self.forks.iter().all(|fork| !fork.is_kept() || rests(&fork.leg)) {
            let cause = cause.clone();
            self.end(core, now, cause);
        }
    }

    pub(super) fn end(&mut self, core: &mut Core, now: Instant, cause: EndCause) {
        for fork in &mut self.forks {
            fork.leg.close_changes(core, now);
        }
        self.state = State::Over;
        core.tell(Event::Ended { session: self.id, cause });
    }
}

pub(super) fn sender<'a>(
    core: &'a mut Core,
    now: Instant,
    session: SessionId,
    authenticator: &'a mut Option<Authenticator>,
) -> Sender<'a> {
    Sender { core, now, session, authenticator: authenticator.as_mut() }
}

/// The end of a call to which no response came.
fn made_here(status: u16) -> EndCause {
    EndCause::Refused {
        status,
        phrase: phrase(status).to_owned(),
        by: Refuser::Us,
        retry_after: None,
        reason: None,
        contacts: Vec::new(),
    }
}

/// The end of a call whose callee's name leads nowhere; unless an address before that has said more.
fn unresolved(otherwise: EndCause) -> EndCause {
    match otherwise {
        EndCause::Refused { status: 503, by: Refuser::Us, phrase, retry_after, reason, contacts } => {
            EndCause::Refused { status: 503, by: Refuser::Names, phrase, retry_after, reason, contacts }
        }
        said => said,
    }
}

/// The value of From. A display name is always quoted, and what could end the quotes is escaped (RFC 3261 §25.1): whatever
/// it says, it cannot become the address.
fn from(display: &str, uri: &str, tag: &str) -> String {
    if display.is_empty() {
        return format!("<{uri}>;tag={tag}");
    }
    let escaped = display.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\" <{uri}>;tag={tag}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Address;

    /// RFC 3261 §25.1 `quoted-string`: what a name says stays a name, as others write it and as we read it.
    #[test]
    fn p9_a_display_name_never_becomes_the_address() {
        for (name, quoted) in [
            ("Alice", r#""Alice""#),
            ("J\u{fc}rg <sip:evil@example.com>", "\"J\u{fc}rg <sip:evil@example.com>\""),
            (r#"" <sip:evil@example.com>;tag=x, ""#, r#""\" <sip:evil@example.com>;tag=x, \"""#),
            (r"\", r#""\\""#),
            (r#"\" <sip:evil@example.com>"#, r#""\\\" <sip:evil@example.com>""#),
        ] {
            let from = from(name, "sip:us@example.com", "1");
            assert_eq!(from, format!("{quoted} <sip:us@example.com>;tag=1"));
            let read = Address::parse(from.as_bytes()).expect("an address");
            assert_eq!((&*read.display, &*read.uri, read.tag()), (name, "sip:us@example.com", "1"));
        }
        assert_eq!(from("", "sip:us@example.com", "1"), "<sip:us@example.com>;tag=1");
    }
}
