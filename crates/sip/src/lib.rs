//! The SIP user agent of offhook, sans-IO (RFC 3261): bytes and commands go in with a `now`, bytes and events are
//! polled out. It has no socket, no thread, no clock and no lock; it knows no media and no calls.
//!
//! ```text
//!             receive(now, flow, bytes)                    poll_transmit
//!   wire ────────────────────────────► ┌────────────┐ ────────────────────► wire
//!             command(now, command)    │  Endpoint  │        poll_event
//!   calls ───────────────────────────► └────────────┘ ────────────────────► calls
//!             handle_timeout(now)        ▲        │        poll_timeout
//!   clock ───────────────────────────────┘        └────────────────────────► clock
//! ```
//!
//! The rule for the driver: give one input, then poll transmits and events until both are empty, then arm one timer
//! for [`Endpoint::poll_timeout`].
//!
//! Inside, from the wire up: `message` (bytes and typed views), `transaction` (RFC 3261 §17, one file per
//! figure), `dialog` (§12), `session` (§13–§15, one value per call), `uas` and `inside` (§8.2 and §12.2.2, what happens to
//! a request).

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod admission;
mod agent;
mod auth;
mod config;
mod core;
mod counters;
mod dialog;
mod digest;
pub mod event;
mod flow;
mod glance;
mod inside;
#[cfg(test)]
mod leftovers;
mod message;
mod network;
mod options;
mod page_in;
mod policy;
mod random;
mod redirect;
mod remains;
mod resolve;
mod session;
#[cfg(test)]
mod testing;
mod transaction;
mod uas;
mod way;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::agent::Agents;
pub use crate::config::{Config, Gateway, SessionTimer, Strangers, Timers};
use crate::core::Core;
pub use crate::counters::Counters;
use crate::event::{
    Command, CommandError, Doors, Event, Flow, Header, Invite, QueryId, Reason, Remains, SessionId, Target,
    Transmit, Transport,
};
pub use crate::glance::{First, Glance};
pub use crate::message::{FramingError, StreamFramer};
use crate::message::{Head, Message};
pub use crate::network::{BadNetwork, Network};
use crate::policy::Gateways;
use crate::session::{Inbound, Leg, Outbound, Sender, Session, check};
use crate::transaction::timer::Deadlines;
use crate::transaction::{Delivery, TransactionId, User};

/// A SIP user agent: all calls, dialogs and transactions of one process.
pub struct Endpoint {
    core: Core,
    sessions: HashMap<SessionId, Session>,
    /// Those of the sessions that have ended and only wait for late 2xx.
    ended: HashSet<SessionId>,
    /// Call-ID and our tag of every session.
    dialogs: HashMap<(String, String), SessionId>,
    deadlines: Deadlines<SessionId>,
    next_inbound: u64,
    agents: Agents,
    doors: Doors,
}

impl Endpoint {
    /// An endpoint with no calls. Tags, branches and Call-IDs come from `seed`, which must be secret and fresh in
    /// production.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            core: Core::new(config, seed),
            sessions: HashMap::new(),
            ended: HashSet::new(),
            dialogs: HashMap::new(),
            deadlines: Deadlines::new(),
            next_inbound: 0,
            agents: Agents::new(),
            doors: Doors::default(),
        }
    }

    /// Takes one whole message from the wire: a datagram, or what [`StreamFramer`] cut out of a stream. Bytes that
    /// are no message are counted and dropped.
    pub fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        self.core.counters.received += 1;
        if !self.admits(now, flow, bytes) {
            return;
        }
        match Message::parse(bytes) {
            Err(_) => self.core.counters.malformed += 1,
            Ok(message) if message.status().is_some() => self.on_response(now, &message),
            Ok(message) => self.on_request(now, flow, message),
        }
    }

    /// Does what the application asks. An error means that nothing was sent and nothing changed.
    pub fn command(&mut self, now: Instant, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Invite(invite) => self.invite(now, *invite),
            Command::Progress { session, status, body } => {
                body.as_ref().map_or(Ok(()), check::body)?;
                self.on_inbound(session, |call, core| call.progress(core, now, status, body.as_ref()))
            }
            Command::Answer { session, body } => {
                check::body(&body)?;
                self.on_inbound(session, |call, core| call.answer(core, now, &body))
            }
            Command::Reject { session, status, headers } => self.reject(now, session, status, &headers),
            Command::Cancel { session, reason } => self.commanded(session, |session, core| match session {
                Session::Outbound(call) => call.cancel(core, now, reason),
                Session::Inbound(_) => Err(CommandError::WrongState),
            }),
            Command::Bye { session, reason } => self.bye(now, session, reason),
            Command::Request { session, request, method, body } => {
                check::body(&body)?;
                self.on_talking(now, session, |leg, sender| leg.request(sender, request, method, body))
            }
            Command::Refer { session, to } => {
                check::callee(&to)?;
                self.on_talking(now, session, |leg, sender| leg.refer(sender, &to))
            }
            Command::AnswerRefer { session, status } => {
                self.on_talking(now, session, |leg, sender| leg.answer_refer(sender, status))
            }
            Command::ReferStatus { session, status } => {
                self.on_talking(now, session, |leg, sender| leg.refer_status(sender, status))
            }
            Command::Accept { session, body } => {
                check::body(&body)?;
                self.commanded(session, |session, core| session.accept(core, now, &body))
            }
            Command::Refuse { session, status, headers } => {
                check::headers(&headers, false)?;
                self.commanded(session, |session, core| session.refuse_offer(core, now, status, &headers))
            }
            Command::Page(page) => self.agents.page(&mut self.core, now, *page),
            Command::Farewell(farewell) => {
                let (remains, reason) = *farewell;
                match remains {
                    Remains::Dialog(dialog) => {
                        self.agents.farewell(&mut self.core, now, dialog, reason.as_ref())
                    }
                    Remains::Received(received) => self.refuse_received(now, received, reason.as_ref()),
                    Remains::Sent(sent) => self.cancel_sent(now, sent, reason.as_ref()),
                }
            }
            Command::Register(registration) => self.agents.register(&mut self.core, now, *registration),
            Command::Unregister { account } => self.agents.unregister(&mut self.core, now, &account),
            Command::Ping(ping) => self.agents.ping(&mut self.core, now, *ping),
            Command::Unping { gateway } => self.agents.unping(&mut self.core, &gateway),
            Command::Resolved { query, targets } => self.resolved(now, query, &targets),
        }
    }

    /// Runs everything whose time has come. To be called at or after [`poll_timeout`](Self::poll_timeout); any time
    /// else does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (user, transaction) in self.core.transactions.handle_timeout(now, &mut self.core.wire) {
            self.on_no_response(now, user, transaction, 408);
        }
        for session in self.deadlines.due(now) {
            self.touch(session, |session, core| session.on_deadline(core, now));
        }
        self.agents.handle_timeout(&mut self.core, now);
    }

    /// The driver could not send on a flow, or its connection has closed: requests under way on it have failed.
    pub fn transport_failed(&mut self, now: Instant, flow: Flow) {
        for (user, transaction) in self.core.transactions.on_transport_failed(flow) {
            self.on_no_response(now, user, transaction, 503);
        }
    }

    /// The next message to send; `None` when there is none for now.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.wire.out.pop_front()
    }

    /// The next thing to tell the application; `None` when there is none for now.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next; `None` when nothing waits for time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own =
            [self.core.transactions.next_deadline(), self.deadlines.next(), self.agents.next_deadline()];
        own.into_iter().flatten().min()
    }

    /// Says what is taken from outside of dialogs. Where that is no call, whoever asks by OPTIONS is told so (RFC 3261 §11.2), so
    /// that gateways send their calls elsewhere. Refusing the INVITE itself is the application's.
    pub fn set_doors(&mut self, doors: Doors) {
        self.doors = doors;
    }

    /// Replaces the gateways, who alone may send requests outside of a dialog.
    pub fn set_gateways(&mut self, gateways: Vec<Gateway>) {
        self.core.policy.gateways = Gateways::of(&gateways);
        self.core.config.gateways = gateways;
    }

    /// Takes over the limits of another configuration, and nothing else of it.
    pub fn set_limits(&mut self, config: &Config) {
        let own = &mut self.core.config;
        (own.source_rate, own.stranger_rate) = (config.source_rate, config.stranger_rate);
        (own.max_sessions, own.max_transactions) = (config.max_sessions, config.max_transactions);
    }

    /// What another run of the process needs to end a call ([`Command::Farewell`]), where that can be done.
    pub fn remains(&self, session: SessionId) -> Option<Remains> {
        self.sessions.get(&session)?.remains(&self.core)
    }

    /// Whether no session lives, and nothing has to be sent or waits for a response: a shutdown loses nothing.
    pub fn is_quiet(&self) -> bool {
        self.live_sessions() == 0
            && self.core.wire.out.is_empty()
            && self.core.transactions.is_quiet()
            && self.agents.is_quiet()
    }

    /// What has been seen so far, and how much lives.
    pub fn counters(&self) -> Counters {
        let (accounts, registered) = self.agents.registrations();
        Counters {
            accounts,
            registered,
            retransmissions: self.core.wire.retransmissions,
            sessions: self.live_sessions(),
            transactions: self.core.transactions.len(),
            ..self.core.counters
        }
    }

    fn live_sessions(&self) -> usize {
        self.sessions.len().saturating_sub(self.ended.len())
    }

    fn on_response(&mut self, now: Instant, message: &Message) {
        let core = &mut self.core;
        let delivery = match Head::of(message) {
            Ok(head) => {
                let delivery = core.transactions.on_response(now, &mut core.wire, message, &head);
                (delivery, Some(head))
            }
            Err(_) => (Delivery::Stray, None),
        };
        match delivery {
            (Delivery::To(User::Session(session), transaction), Some(head)) => {
                self.touch(session, |session, core| {
                    session.on_response(core, now, transaction, Some((message, &head)), 0);
                });
            }
            (Delivery::To(User::Agent(agent), transaction), Some(_)) => {
                let Self { agents, core, .. } = self;
                agents.on_response(core, now, (agent, transaction), Some(message), 0);
            }
            (Delivery::Stray, _) => self.core.counters.stray_responses += 1,
            _ => {}
        }
    }

    fn on_no_response(&mut self, now: Instant, user: User, transaction: TransactionId, status: u16) {
        match user {
            User::Session(session) => {
                self.touch(session, |session, core| {
                    session.on_response(core, now, transaction, None, status);
                });
            }
            User::Agent(agent) => {
                self.agents.on_response(&mut self.core, now, (agent, transaction), None, status);
            }
        }
    }

    fn invite(&mut self, now: Instant, invite: Invite) -> Result<(), CommandError> {
        let id = invite.session;
        if !matches!(id, SessionId::Outbound(_)) || self.sessions.contains_key(&id) {
            return Err(CommandError::WrongState);
        }
        let destinations = check::invite(&invite)?;
        let full = self.live_sessions() >= self.core.config.max_sessions
            || self.core.transactions.len() >= self.core.config.max_transactions;
        if full {
            return Err(CommandError::Full);
        }
        let call = Outbound::start(&mut self.core, now, invite, destinations);
        self.insert(id, Session::Outbound(Box::new(call)));
        Ok(())
    }

    fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        check::headers(headers, (300..400).contains(&status))?;
        self.on_inbound(session, |call, core| call.reject(core, now, status, headers))
    }

    fn bye(&mut self, now: Instant, session: SessionId, reason: Option<Reason>) -> Result<(), CommandError> {
        self.commanded(session, |session, core| match session {
            Session::Inbound(call) => call.bye(core, now, reason),
            Session::Outbound(call) => call.bye(core, now, reason),
        })
    }

    fn resolved(&mut self, now: Instant, query: QueryId, targets: &[Target]) -> Result<(), CommandError> {
        let (user, secure) = self.core.queries.remove(&query).ok_or(CommandError::Unknown)?;
        // What is to be secure is not made insecure by an answer (RFC 3261 §26.2.2).
        let good = |target: &Target| !secure || target.transport == Transport::Tls;
        let targets: Vec<_> = targets.iter().copied().filter(good).collect();
        match user {
            User::Session(session) => {
                self.touch(session, |session, core| session.on_resolved(core, now, query, &targets));
            }
            User::Agent(agent) => self.agents.on_resolved(&mut self.core, now, agent, query, &targets),
        }
        Ok(())
    }

    /// A command to an inbound call.
    fn on_inbound(
        &mut self,
        session: SessionId,
        command: impl FnOnce(&mut Inbound, &mut Core) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        self.commanded(session, |session, core| match session {
            Session::Inbound(call) => command(call, core),
            Session::Outbound(_) => Err(CommandError::WrongState),
        })
    }

    /// A command to a call that is answered and that nobody hangs up.
    fn on_talking(
        &mut self,
        now: Instant,
        session: SessionId,
        command: impl FnOnce(&mut Leg, &mut Sender<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        self.commanded(session, |session, core| {
            let (leg, mut sender) = session.talking(core, now).ok_or(CommandError::WrongState)?;
            command(leg, &mut sender)
        })
    }

    /// A command to a call that has not ended.
    fn commanded(
        &mut self,
        session: SessionId,
        command: impl FnOnce(&mut Session, &mut Core) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        if self.ended.contains(&session) {
            return Err(CommandError::Unknown);
        }
        self.touch(session, command).unwrap_or(Err(CommandError::Unknown))
    }

    fn insert(&mut self, id: SessionId, session: Session) {
        self.dialogs.insert(session.key(), id);
        self.sessions.insert(id, session);
        self.settle(id);
    }

    /// Gives a session one input, and draws the consequences; `None` where there is no such session.
    fn touch<T>(&mut self, id: SessionId, input: impl FnOnce(&mut Session, &mut Core) -> T) -> Option<T> {
        let output = input(self.sessions.get_mut(&id)?, &mut self.core);
        self.settle(id);
        Some(output)
    }

    /// After every input to a session: its new deadline, or its end.
    fn settle(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.is_over() {
            session.forget_queries(&mut self.core);
            self.dialogs.remove(&session.key());
            self.ended.remove(&id);
            self.deadlines.set(id, None);
            self.sessions.remove(&id);
        } else {
            self.deadlines.set(id, session.deadline());
            if session.is_ended() {
                self.ended.insert(id);
            }
        }
    }
}
