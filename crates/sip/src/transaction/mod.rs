//! The transaction layer (RFC 3261 §17): four machines, one file per figure of the RFC, and the tables that find the
//! machine for a message or a deadline.
//!
//! ```text
//!   session                         session
//!     │ start_invite, start            ▲ Delivery::To      ▲ new request
//!     ▼                                │                   │
//!   invite_client, client ─────────────┘       invite_server, server
//!     │ ▲ by branch                              │ ▲ by branch, sent-by, method
//!     ▼ │                                        ▼ │
//!   ─────────────────────────── Wire ───────────────────────────
//! ```

mod client;
mod invite_client;
mod invite_server;
mod server;
pub(crate) mod timer;

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Instant;

use client::Client;
use invite_client::InviteClient;
pub(crate) use invite_server::{InviteServer, TRYING_AFTER};
use server::Server;
use timer::{Deadlines, Timers};

use crate::event::{Flow, SessionId, Transmit};
use crate::message::{Head, Message, Method, Name};

/// The transaction user (RFC 3261 §17): whose a request of ours is, and whose a question to the name service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum User {
    /// A call.
    Session(SessionId),
    /// A registration, a ping or a message, outside of any call.
    Agent(AgentId),
}

impl From<SessionId> for User {
    fn from(session: SessionId) -> Self {
        Self::Session(session)
    }
}

/// A registration, a ping or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AgentId(pub(crate) u64);

impl From<AgentId> for User {
    fn from(agent: AgentId) -> Self {
        Self::Agent(agent)
    }
}

/// One transaction of any of the four kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TransactionId(u64);

/// The messages that wait for the driver. One input makes at most a few per transaction and session that it concerns,
/// and the driver drains them before the next input, so the queue needs no limit of its own.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) out: VecDeque<Transmit>,
    pub(crate) retransmissions: u64,
}

impl Wire {
    /// Sends a message for the first time.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.out.push_back(Transmit { flow, bytes });
    }

    /// Sends a message again.
    pub(crate) fn resend(&mut self, flow: Flow, bytes: &[u8]) {
        self.retransmissions += 1;
        self.send(flow, bytes.to_vec());
    }
}

/// What a machine is given with every input.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) timers: Timers,
    pub(crate) wire: &'a mut Wire,
}

/// Whether a message is for the transaction user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Up,
    Absorbed,
}

/// What a deadline did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fired {
    /// Nothing that concerns the transaction user.
    Nothing,
    /// No response came (Timer B, Timer F).
    TimedOut(User),
}

/// What the four machines have in common for the tables.
trait Machine {
    /// When the machine wants to be called.
    fn deadline(&self) -> Option<Instant>;
    /// Its deadline has come.
    fn on_deadline(&mut self, context: &mut Context<'_>) -> Fired;
    /// Whether it can be forgotten.
    fn is_terminated(&self) -> bool;
    /// Whether it only waits for duplicates to die out.
    fn is_quiet(&self) -> bool;
}

/// What identifies a request over all its retransmissions (§17.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServerKey {
    /// By the branch of the top Via, unique for its sender.
    Branch { branch: String, sent_by: String, method: Vec<u8> },
    /// A sender of RFC 2543, whose branch means nothing: by everything that a retransmission has in common.
    Legacy { uri: Vec<u8>, from_tag: String, call_id: String, cseq: u32, via: Vec<u8>, method: Vec<u8> },
}

impl ServerKey {
    /// The transaction that a request belongs to; for an ACK, that of its INVITE.
    pub(crate) fn of(request: &Message, head: &Head) -> Self {
        let method = if head.method == Method::Ack { b"INVITE" } else { request.method() };
        Self::with_method(request, head, method)
    }

    /// The INVITE that a CANCEL means (§9.2).
    pub(crate) fn of_cancelled(cancel: &Message, head: &Head) -> Self {
        Self::with_method(cancel, head, b"INVITE")
    }

    fn with_method(request: &Message, head: &Head, method: &[u8]) -> Self {
        let method = method.to_vec();
        match head.via.branch() {
            Some(branch) => {
                Self::Branch { branch: branch.to_owned(), sent_by: head.via.sent_by.clone(), method }
            }
            None => Self::Legacy {
                uri: request.request_uri().to_vec(),
                from_tag: head.from.tag().to_owned(),
                call_id: head.call_id.clone(),
                cseq: head.cseq,
                via: request.raw_values(Name::Via).next().unwrap_or_default().to_vec(),
                method,
            },
        }
    }
}

/// What a request has in common with its copies that took other paths (§8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MergeKey {
    from_tag: String,
    call_id: String,
    cseq: u32,
    method: Method,
}

impl MergeKey {
    pub(crate) fn of(head: &Head) -> Self {
        let Head { from, call_id, cseq, method, .. } = head;
        Self { from_tag: from.tag().to_owned(), call_id: call_id.clone(), cseq: *cseq, method: *method }
    }
}

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It belongs to nothing we sent.
    Stray,
    /// The transaction dealt with it.
    Absorbed,
    /// It is for this user, about this transaction.
    To(User, TransactionId),
}

/// A new request, as a server transaction needs to know it.
pub(crate) struct Opening {
    pub(crate) key: ServerKey,
    pub(crate) merge: MergeKey,
    pub(crate) user: Option<SessionId>,
    pub(crate) to_tag: String,
    /// The flow it came by.
    pub(crate) flow: Flow,
    /// The flow the responses take.
    pub(crate) reply: Flow,
}

/// Which table a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    InviteClient(TransactionId),
    Client(TransactionId),
    InviteServer(TransactionId),
    Server(TransactionId),
}

/// The machines of one kind, by number and by what a message says.
struct Table<K, M> {
    ids: HashMap<K, TransactionId>,
    machines: HashMap<TransactionId, (K, M)>,
    timer: fn(TransactionId) -> Timer,
}

impl<K: Clone + Eq + Hash, M: Machine> Table<K, M> {
    fn new(timer: fn(TransactionId) -> Timer) -> Self {
        Self { ids: HashMap::new(), machines: HashMap::new(), timer }
    }

    fn insert(&mut self, id: TransactionId, key: K, machine: M, deadlines: &mut Deadlines<Timer>) {
        self.ids.insert(key.clone(), id);
        self.machines.insert(id, (key, machine));
        self.settle(id, deadlines);
    }

    fn find(&mut self, key: &K) -> Option<(TransactionId, &mut M)> {
        let id = *self.ids.get(key)?;
        self.get(id).map(|machine| (id, machine))
    }

    fn get(&mut self, id: TransactionId) -> Option<&mut M> {
        self.machines.get_mut(&id).map(|(_, machine)| machine)
    }

    /// After every input to a machine: its new deadline, or its end.
    fn settle(&mut self, id: TransactionId, deadlines: &mut Deadlines<Timer>) {
        let Some((key, machine)) = self.machines.get(&id) else { return };
        if machine.is_terminated() {
            self.ids.remove(key);
            self.machines.remove(&id);
            deadlines.set((self.timer)(id), None);
        } else {
            deadlines.set((self.timer)(id), machine.deadline());
        }
    }

    fn fire(
        &mut self,
        id: TransactionId,
        context: &mut Context<'_>,
        deadlines: &mut Deadlines<Timer>,
    ) -> Fired {
        let Some(machine) = self.get(id) else { return Fired::Nothing };
        let fired = machine.on_deadline(context);
        self.settle(id, deadlines);
        fired
    }

    fn is_quiet(&self) -> bool {
        self.machines.values().all(|(_, machine)| machine.is_quiet())
    }
}

/// All transactions of an endpoint.
pub(crate) struct Transactions {
    timers: Timers,
    next: u64,
    invite_clients: Table<String, InviteClient>,
    clients: Table<(String, Method), Client>,
    invite_servers: Table<ServerKey, InviteServer>,
    servers: Table<ServerKey, Server>,
    merged: HashMap<MergeKey, TransactionId>,
    deadlines: Deadlines<Timer>,
}

impl Transactions {
    pub(crate) fn new(timers: Timers) -> Self {
        Self {
            timers,
            next: 0,
            invite_clients: Table::new(Timer::InviteClient),
            clients: Table::new(Timer::Client),
            invite_servers: Table::new(Timer::InviteServer),
            servers: Table::new(Timer::Server),
            merged: HashMap::new(),
            deadlines: Deadlines::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.invite_clients.machines.len()
            + self.clients.machines.len()
            + self.invite_servers.machines.len()
            + self.servers.machines.len()
    }

    /// Whether none has to send or to wait for anything but duplicates.
    pub(crate) fn is_quiet(&self) -> bool {
        self.invite_clients.is_quiet()
            && self.clients.is_quiet()
            && self.invite_servers.is_quiet()
            && self.servers.is_quiet()
    }

    /// The next deadline of any of them.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Sends an INVITE with this branch.
    pub(crate) fn start_invite(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        user: User,
        flow: Flow,
        branch: String,
        invite: Vec<u8>,
    ) -> TransactionId {
        let id = self.number();
        let mut context = Context { now, timers: self.timers, wire };
        let machine = InviteClient::start(user, flow, invite, &mut context);
        self.invite_clients.insert(id, branch, machine, &mut self.deadlines);
        id
    }

    /// Goes on with an INVITE of an earlier run that has this branch.
    pub(crate) fn resume_invite(
        &mut self,
        user: User,
        flow: Flow,
        branch: String,
        invite: Vec<u8>,
    ) -> TransactionId {
        let id = self.number();
        let machine = InviteClient::resume(user, flow, invite);
        self.invite_clients.insert(id, branch, machine, &mut self.deadlines);
        id
    }

    /// Sends another request with this branch.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        user: User,
        flow: Flow,
        (branch, method): (String, Method),
        request: Vec<u8>,
    ) -> TransactionId {
        let id = self.number();
        let mut context = Context { now, timers: self.timers, wire };
        let machine = Client::start(user, flow, request, &mut context);
        self.clients.insert(id, (branch, method), machine, &mut self.deadlines);
        id
    }

    /// The INVITE of a client transaction as it was sent, and where to: what its CANCEL is made of.
    pub(crate) fn sent_invite(&self, id: TransactionId) -> Option<(Flow, &[u8])> {
        self.invite_clients.machines.get(&id).map(|(_, machine)| (machine.flow, machine.invite()))
    }

    /// Forgets a request other than INVITE that nobody waits for any more.
    pub(crate) fn abandon(&mut self, id: TransactionId) {
        if let Some(machine) = self.clients.get(id) {
            machine.abandon();
        }
        self.clients.settle(id, &mut self.deadlines);
    }

    /// Forgets an INVITE that nobody waits for any more.
    pub(crate) fn abandon_invite(&mut self, id: TransactionId) {
        if let Some(machine) = self.invite_clients.get(id) {
            machine.abandon();
        }
        self.invite_clients.settle(id, &mut self.deadlines);
    }

    /// A response from the wire.
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        response: &Message,
        head: &Head,
    ) -> Delivery {
        let Some(branch) = head.via.branch().map(str::to_owned) else { return Delivery::Stray };
        let mut context = Context { now, timers: self.timers, wire };
        let (pass, user, id) = if head.method == Method::Invite {
            let Some((id, machine)) = self.invite_clients.find(&branch) else { return Delivery::Stray };
            let (pass, user) = (machine.on_response(response, &mut context), machine.user);
            self.invite_clients.settle(id, &mut self.deadlines);
            (pass, user, id)
        } else {
            let Some((id, machine)) = self.clients.find(&(branch, head.method)) else {
                return Delivery::Stray;
            };
            let (pass, user) = (machine.on_response(response, &mut context), machine.user);
            self.clients.settle(id, &mut self.deadlines);
            (pass, user, id)
        };
        match pass {
            Pass::Up => Delivery::To(user, id),
            Pass::Absorbed => Delivery::Absorbed,
        }
    }

    /// A request from the wire that may belong to a live transaction: `None` where it belongs to none.
    pub(crate) fn on_request(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        key: &ServerKey,
        method: Method,
    ) -> Option<Pass> {
        let mut context = Context { now, timers: self.timers, wire };
        if let Some((id, machine)) = self.invite_servers.find(key) {
            let pass = if method == Method::Ack {
                machine.on_ack(&mut context)
            } else {
                machine.on_invite(&mut context);
                Pass::Absorbed
            };
            self.settle_server(id);
            return Some(pass);
        }
        let (_, machine) = self.servers.find(key)?;
        machine.on_request(&mut context);
        Some(Pass::Absorbed)
    }

    /// Begins the server transaction of a new request.
    pub(crate) fn open(&mut self, opening: Opening) -> TransactionId {
        let id = self.number();
        let Opening { key, merge, user, to_tag, flow, reply } = opening;
        if !self.is_merged(&merge) {
            self.merged.insert(merge.clone(), id);
        }
        if merge.method == Method::Invite {
            let machine = InviteServer::new(user, to_tag, flow.remote.ip(), merge, reply);
            self.invite_servers.insert(id, key, machine, &mut self.deadlines);
        } else {
            self.servers.insert(id, key, Server::new(merge, reply), &mut self.deadlines);
        }
        id
    }

    /// Has an INVITE answered by this 100 in 200 ms, unless something else is sent before.
    pub(crate) fn trying(&mut self, now: Instant, wire: &mut Wire, id: TransactionId, response: Vec<u8>) {
        let mut context = Context { now, timers: self.timers, wire };
        if let Some(machine) = self.invite_servers.get(id) {
            machine.trying(response, &mut context);
        }
        self.settle_server(id);
    }

    /// Sends a response in a server transaction.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        id: TransactionId,
        status: u16,
        response: Vec<u8>,
    ) {
        let mut context = Context { now, timers: self.timers, wire };
        if let Some(machine) = self.invite_servers.get(id) {
            machine.respond(status, response, &mut context);
        } else if let Some(machine) = self.servers.get(id) {
            machine.respond(response, &mut context);
        }
        self.settle_server(id);
    }

    /// Whether a response to a request with this branch is waited for.
    pub(crate) fn awaits(&self, branch: &str, method: Method) -> bool {
        match method {
            Method::Invite => self.invite_clients.ids.contains_key(branch),
            _ => self.clients.ids.contains_key(&(branch.to_owned(), method)),
        }
    }

    /// Whether a request is being served, or its answer repeated.
    pub(crate) fn serves(&self, key: &ServerKey) -> bool {
        self.invite_servers.ids.contains_key(key) || self.servers.ids.contains_key(key)
    }

    /// The INVITE server transaction that a CANCEL means.
    pub(crate) fn cancelled(&mut self, key: &ServerKey) -> Option<(TransactionId, &InviteServer)> {
        self.invite_servers.find(key).map(|(id, machine)| (id, &*machine))
    }

    /// Whether a request that belongs to no live transaction is a copy of one that does.
    pub(crate) fn is_merged(&mut self, merge: &MergeKey) -> bool {
        let Some(&id) = self.merged.get(merge) else { return false };
        self.invite_servers.get(id).is_none_or(|machine| machine.is_ongoing())
    }

    /// The driver could not send on a flow: which requests have failed by it, in the order they were made.
    pub(crate) fn on_transport_failed(&mut self, flow: Flow) -> Vec<(User, TransactionId)> {
        let mut failed = Vec::new();
        for (&id, (_, machine)) in &mut self.invite_clients.machines {
            if machine.flow == flow && machine.on_transport_failed() {
                failed.push((machine.user, id));
            }
        }
        for (&id, (_, machine)) in &mut self.clients.machines {
            if machine.flow == flow && machine.on_transport_failed() {
                failed.push((machine.user, id));
            }
        }
        failed.sort_unstable_by_key(|&(_, id)| id);
        for &(_, id) in &failed {
            self.invite_clients.settle(id, &mut self.deadlines);
            self.clients.settle(id, &mut self.deadlines);
        }
        failed
    }

    /// Runs every deadline that has come; says which requests nobody answered.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire) -> Vec<(User, TransactionId)> {
        let mut context = Context { now, timers: self.timers, wire };
        let mut timed_out = Vec::new();
        for timer in self.deadlines.due(now) {
            let (fired, id) = match timer {
                Timer::InviteClient(id) => {
                    (self.invite_clients.fire(id, &mut context, &mut self.deadlines), id)
                }
                Timer::Client(id) => (self.clients.fire(id, &mut context, &mut self.deadlines), id),
                Timer::InviteServer(id) | Timer::Server(id) => {
                    self.fire_server(id, &mut context);
                    (Fired::Nothing, id)
                }
            };
            if let Fired::TimedOut(user) = fired {
                timed_out.push((user, id));
            }
        }
        timed_out
    }

    fn fire_server(&mut self, id: TransactionId, context: &mut Context<'_>) {
        if let Some(machine) = self.invite_servers.get(id) {
            machine.on_deadline(context);
        } else if let Some(machine) = self.servers.get(id) {
            machine.on_deadline(context);
        }
        self.settle_server(id);
    }

    /// Settles a server transaction; with its end the merge key goes, unless another transaction has it by now.
    fn settle_server(&mut self, id: TransactionId) {
        let merge = match (self.invite_servers.get(id), self.servers.get(id)) {
            (Some(machine), _) if machine.is_terminated() => Some(machine.merge.clone()),
            (_, Some(machine)) if machine.is_terminated() => Some(machine.merge.clone()),
            _ => None,
        };
        if let Some(merge) = merge
            && self.merged.get(&merge) == Some(&id)
        {
            self.merged.remove(&merge);
        }
        self.invite_servers.settle(id, &mut self.deadlines);
        self.servers.settle(id, &mut self.deadlines);
    }

    /// Asserts that nothing is left in any table.
    #[cfg(test)]
    pub(crate) fn assert_empty(&self) {
        assert_eq!((self.len(), self.merged.len(), self.deadlines.next()), (0, 0, None));
        assert!(self.invite_clients.ids.is_empty() && self.clients.ids.is_empty());
        assert!(self.invite_servers.ids.is_empty() && self.servers.ids.is_empty());
    }

    fn number(&mut self) -> TransactionId {
        self.next += 1;
        TransactionId(self.next)
    }
}
