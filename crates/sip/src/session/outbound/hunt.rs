//! How an outbound call finds its callee (RFC 3261 §8.1.3, RFC 3263 §4.3): every address of a route, then the next
//! route; where a 3xx leads; and again with credentials.
//!
//! ```text
//!   refused, or nobody answers
//!   401, 407  and we have credentials for the place      ► the same INVITE again, with them
//!   422       and it wants a longer session timer        ► the same INVITE again, with that
//!   3xx       to a host that the call may go to          ► there
//!   503       made here: not reached by TCP for its size ► by UDP
//!   408, 503  made here: silent, or not reached          ► the next address, then the next route
//!   503       of the peer                                ► the same
//!   400-599   where a 3xx led                            ► the next of its contacts
//!   all else                                             ► the call ends
//! ```

use std::time::Instant;

use super::super::itinerary::{Kind, Stop};
use super::{Outbound, State, made_here};
use crate::auth::{Authenticator, Tries};
use crate::core::Core;
use crate::event::{EndCause, Event, Header, Refuser};
use crate::message::Message;
use crate::options;
use crate::redirect::contacts;
use crate::way::Way;

impl Outbound {
    /// A final response other than 2xx.
    pub(super) fn on_refused(&mut self, core: &mut Core, now: Instant, message: &Message) {
        match &self.state {
            State::Calling { .. } | State::Proceeding { .. } => {}
            State::CancelQueued { .. } => return self.end(core, now, EndCause::Local),
            State::Cancelling { cause, .. } => {
                let cause = cause.clone();
                return self.end(core, now, cause);
            }
            _ => return,
        }
        let status = message.status().unwrap_or_default();
        let refused = EndCause::Refused {
            status,
            phrase: message.phrase(),
            by: Refuser::Peer,
            retry_after: message.retry_after(),
            reason: message.reason(),
            contacts: match status {
                300..400 => contacts(message).iter().map(|uri| uri.as_str().to_owned()).collect(),
                _ => Vec::new(),
            },
        };
        match status {
            401 | 407 if self.is_answerable(message) => {
                self.renumber(core, now);
                self.send_invite(core, now);
            }
            // RFC 4028 §7.3: a longer session timer is wanted somewhere on the way.
            422 if self.asking.grow(message) => {
                self.renumber(core, now);
                self.send_invite(core, now);
            }
            300..400 if self.itinerary.redirect(&self.invite.uri, message) => {
                self.way.close();
                self.try_next(core, now, refused);
            }
            // RFC 3263 §4.3: this address is out of service, the next one may not be.
            503 => {
                self.tell_unavailable(core, message);
                self.try_next(core, now, refused);
            }
            400..600 if self.itinerary.is_redirected() => {
                self.way.close();
                self.try_next(core, now, refused);
            }
            _ => self.end(core, now, refused),
        }
    }

    /// Says of a route that it is out of service, once the last of its addresses has said for how long: one server of a
    /// name is not all of them.
    fn tell_unavailable(&self, core: &mut Core, message: &Message) {
        if self.redirected || self.way.goes_on(core) {
            return;
        }
        if let Some(retry_after) = message.retry_after() {
            core.tell(Event::Unavailable { session: self.id, route: self.itinerary.route(), retry_after });
        }
    }

    /// No response came.
    pub(super) fn on_no_answer(&mut self, core: &mut Core, now: Instant, otherwise: u16) {
        match self.state {
            State::Calling { .. } => {
                let not_sent = otherwise == 503;
                if not_sent && self.flow.is_some_and(|flow| self.way.fall_back(flow)) {
                    self.send_invite(core, now);
                } else {
                    self.try_next(core, now, made_here(otherwise));
                }
            }
            State::CancelQueued { .. } => self.end(core, now, EndCause::Local),
            _ => {}
        }
    }

    /// Sends the INVITE to the next address that we have a way to, of this stop or of one after it; or ends the call for
    /// the cause that brought us here.
    pub(super) fn try_next(&mut self, core: &mut Core, now: Instant, otherwise: EndCause) {
        self.forget_forks(core, now, |_| false);
        loop {
            if self.way.next(core) {
                if !self.itinerary.take_try() {
                    break;
                }
                return self.send_invite(core, now);
            }
            let Some(stop) = self.itinerary.next() else { break };
            if let Some(lookup) = self.enter(core, now, stop) {
                let limit = self.itinerary.query_limit();
                if !limit.is_zero() {
                    let query = core.ask(self.id, lookup);
                    let give_up = now + limit;
                    self.state = State::Resolving { query, asked: now, give_up, otherwise };
                    return;
                }
            }
        }
        self.end(core, now, otherwise);
    }

    /// Makes the INVITE one for this stop. A route has a callee and credentials of its own; a redirection keeps the To
    /// (§8.1.3.4), and the credentials are for where the route led, not for where it was sent on to.
    fn enter(&mut self, core: &mut Core, now: Instant, stop: Stop) -> Option<crate::event::Lookup> {
        let Stop { uri, destination, kind } = stop;
        if self.flow.is_some() {
            self.renumber(core, now);
        }
        if let Kind::Route(number, credentials) = kind {
            self.invite.to = format!("<{uri}>").into_bytes();
            self.authenticator = credentials.map(Authenticator::new);
            self.untold = Some(number);
            self.redirected = false;
        } else {
            self.redirected = true;
        }
        self.invite.uri = uri;
        self.tries = Tries::default();
        self.credentials.clear();
        let (way, lookup) = Way::to(destination);
        self.way = way;
        lookup
    }

    /// The next INVITE is another request, not the same one to another address.
    fn renumber(&mut self, core: &mut Core, now: Instant) {
        self.invite.cseq = self.invite.cseq.saturating_add(1);
        self.forget_forks(core, now, |_| false);
    }

    fn is_answerable(&mut self, challenge: &Message) -> bool {
        let Self { authenticator: Some(authenticator), flow: Some(flow), tries, .. } = self else {
            return false;
        };
        authenticator.challenged(tries, *flow, challenge)
    }

    fn send_invite(&mut self, core: &mut Core, now: Instant) {
        let Some(present) = self.way.present() else { return };
        if let Some(authenticator) = &mut self.authenticator {
            if !self.redirected {
                authenticator.sent_to(present);
            }
            let cnonce = core.random.token();
            self.credentials = authenticator.headers(present, "INVITE", &self.invite.uri, &cnonce);
        }
        let mut draft = self.invite.clone();
        let supported = options::supported(&core.config).to_owned();
        draft.headers.push(Header { name: "Supported".to_owned(), value: supported });
        draft.headers.extend(self.asking.headers());
        draft.headers.extend(self.credentials.iter().cloned());
        let flow = self.way.fit(core, &draft).unwrap_or(present);
        self.flow = Some(flow);
        let invite = core.send_invite(now, self.id, flow, &draft);
        if let Some(route) = self.untold.take() {
            core.tell(Event::Sent { session: self.id, call_id: draft.call_id, route });
        }
        self.sent = Some(invite);
        self.state = State::Calling { invite };
    }
}
