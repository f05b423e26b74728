//! What every session and the user agent server share: the settings, the generator, the transactions, the queues to
//! the driver and to the application. The sessions change themselves and use this; it knows none of them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crate::config::Config;
use crate::counters::Counters;
use crate::event::Reason;
use crate::event::{Event, Flow, Lookup, QueryId, SessionId, Target, Transport};
use crate::message::{Draft, Head, Message, Method, Name, Response, cancel_of, lossy, split_host_port};
use crate::policy::Policy;
use crate::random::{BRANCH_LENGTH, Random};
use crate::transaction::timer::Timers;
use crate::transaction::{
    MergeKey, Opening, ServerKey, TRYING_AFTER, TransactionId, Transactions, User, Wire,
};

/// A request from the wire, with its mandatory fields read.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) message: Message,
    pub(crate) head: Head,
    /// The flow it came by.
    pub(crate) flow: Flow,
}

impl Request {
    /// The flow the responses take.
    pub(crate) fn reply_flow(&self) -> Flow {
        self.head.via.reply_flow(self.flow)
    }
}

/// The part of an endpoint that the sessions use.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) policy: Policy,
    pub(crate) wire: Wire,
    pub(crate) transactions: Transactions,
    pub(crate) counters: Counters,
    /// What the application has not heard yet. Each input makes at most a few events per session that it concerns,
    /// and they are drained before the next input.
    pub(crate) events: VecDeque<Event>,
    /// Who asked which question of the name service, and whether nothing but TLS will do for an answer; a session asks at
    /// most one at a time per dialog.
    pub(crate) queries: HashMap<QueryId, (User, bool)>,
    next_query: u64,
}

impl Core {
    pub(crate) fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Self {
            policy: Policy::new(&config, random.secret()),
            random,
            wire: Wire::default(),
            transactions: Transactions::new(config.timers),
            counters: Counters::default(),
            events: VecDeque::new(),
            queries: HashMap::new(),
            next_query: 0,
            config,
        }
    }

    pub(crate) fn timers(&self) -> Timers {
        self.config.timers
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Asks where a host is.
    pub(crate) fn ask(&mut self, user: impl Into<User>, lookup: Lookup) -> QueryId {
        self.next_query += 1;
        let query = QueryId(self.next_query);
        self.queries.insert(query, (user.into(), lookup.secure));
        self.tell(Event::Resolve { query, lookup });
        query
    }

    /// The flow to a target: from our first address of the same transport and family.
    pub(crate) fn flow_to(&self, target: Target) -> Option<Flow> {
        let Target { transport, address, name } = target;
        let local = self.first_local(transport, address)?;
        Some(Flow { transport, local, remote: address, name })
    }

    fn first_local(&self, transport: Transport, like: SocketAddr) -> Option<SocketAddr> {
        let ours = match transport {
            Transport::Udp => &self.config.udp,
            Transport::Tcp => &self.config.tcp,
            Transport::Tls => &self.config.tls,
        };
        ours.iter().copied().find(|local| local.is_ipv4() == like.is_ipv4())
    }

    /// Our address as the peer on a flow is told it. On a stream a flow's own local port may be a passing one, so the
    /// listening address is told.
    pub(crate) fn sent_by(&self, flow: Flow) -> String {
        let bound = match flow.transport {
            Transport::Udp => flow.local,
            stream => self.first_local(stream, flow.local).unwrap_or(flow.local),
        };
        let Some(advertised) = &self.config.advertise else { return bound.to_string() };
        match split_host_port(advertised) {
            // The advertised port is not that of TLS, which has none to share with the others.
            Some((host, Some(_))) if flow.transport == Transport::Tls => format!("{host}:{}", bound.port()),
            Some((_, Some(_))) => advertised.clone(),
            Some((host, None)) => format!("{host}:{}", bound.port()),
            // An IPv6 address may come without its brackets.
            None => format!("[{advertised}]:{}", bound.port()),
        }
    }

    /// The realm in which the peer on a flow is asked who it is: our host, as it knows it (RFC 3261 §22.1).
    pub(crate) fn realm(&self, flow: Flow) -> String {
        match &self.config.advertise {
            Some(host) => split_host_port(host).map_or(&**host, |(host, _)| host).to_owned(),
            None => flow.local.ip().to_string(),
        }
    }

    /// The URI of our Contact on a flow, in a message whose Request-URI is this: `sips:` where that is (§8.1.1.8, §12.1.1).
    pub(crate) fn contact_uri(&self, flow: Flow, request_uri: &[u8], user: Option<&str>) -> String {
        let secure = request_uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
        let (scheme, transport) = match flow.transport {
            Transport::Udp => ("sip", ""),
            Transport::Tcp => ("sip", ";transport=tcp"),
            Transport::Tls if secure => ("sips", ""),
            Transport::Tls => ("sip", ";transport=tls"),
        };
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        format!("{scheme}:{user}{}{transport}", self.sent_by(flow))
    }

    /// The value of Contact in a response to a request that makes a dialog.
    pub(crate) fn contact(&self, request: &Request) -> String {
        format!("<{}>", self.contact_uri(request.flow, request.message.request_uri(), None))
    }

    /// Writes a request of ours.
    fn write(&self, flow: Flow, draft: &Draft, branch: &str) -> Vec<u8> {
        let via = format!("SIP/2.0/{} {};rport;branch={branch}", flow.transport, self.sent_by(flow));
        let contact = matches!(draft.method, "INVITE" | "NOTIFY" | "REFER" | "UPDATE")
            .then(|| format!("<{}>", self.contact_uri(flow, draft.uri.as_bytes(), None)));
        draft.encode(&via, contact.as_deref(), &self.config.user_agent)
    }

    /// How many bytes a request has on a flow.
    pub(crate) fn size(&self, flow: Flow, draft: &Draft) -> usize {
        self.write(flow, draft, "").len() + BRANCH_LENGTH
    }

    /// Writes a request of ours with a new branch.
    fn encode(&mut self, flow: Flow, draft: &Draft) -> (String, Vec<u8>) {
        let branch = self.random.branch();
        let bytes = self.write(flow, draft, &branch);
        (branch, bytes)
    }

    /// Sends an INVITE.
    pub(crate) fn send_invite(
        &mut self,
        now: Instant,
        user: impl Into<User>,
        flow: Flow,
        draft: &Draft,
    ) -> TransactionId {
        let (branch, bytes) = self.encode(flow, draft);
        self.transactions.start_invite(now, &mut self.wire, user.into(), flow, branch, bytes)
    }

    /// Sends a request that is neither INVITE nor ACK nor CANCEL.
    pub(crate) fn send_request(
        &mut self,
        now: Instant,
        user: impl Into<User>,
        flow: Flow,
        draft: &Draft,
    ) -> TransactionId {
        let (branch, bytes) = self.encode(flow, draft);
        let method = Method::of(draft.method.as_bytes());
        self.transactions.start(now, &mut self.wire, user.into(), flow, (branch, method), bytes)
    }

    /// Sends the ACK of a 2xx, which is no transaction (RFC 3261 §13.2.2.4); gives it back for repeated 2xx.
    pub(crate) fn send_ack(&mut self, flow: Flow, draft: &Draft) -> Vec<u8> {
        let (_, bytes) = self.encode(flow, draft);
        self.wire.send(flow, bytes.clone());
        bytes
    }

    /// Sends the CANCEL of an INVITE, with its branch, to where it went (§9.1).
    pub(crate) fn send_cancel(
        &mut self,
        now: Instant,
        user: impl Into<User>,
        invite: TransactionId,
        reason: Option<&Reason>,
    ) {
        let Some((flow, bytes)) = self.transactions.sent_invite(invite) else { return };
        let Ok(message) = Message::parse(bytes) else { return };
        let Some(branch) = Head::of(&message).ok().and_then(|head| head.via.branch().map(str::to_owned))
        else {
            return;
        };
        let cancel = cancel_of(&message, reason);
        self.transactions.start(now, &mut self.wire, user.into(), flow, (branch, Method::Cancel), cancel);
    }

    /// Begins the server transaction of a request. Our tag is the one in its To, or the given one.
    pub(crate) fn open(&mut self, request: &Request, user: Option<SessionId>, tag: &str) -> TransactionId {
        self.transactions.open(Opening {
            key: ServerKey::of(&request.message, &request.head),
            merge: MergeKey::of(&request.head),
            user,
            to_tag: tag.to_owned(),
            flow: request.flow,
            reply: request.reply_flow(),
        })
    }

    /// Has an INVITE answered by 100 in 200 ms, unless something else is sent before.
    pub(crate) fn trying(&mut self, now: Instant, transaction: TransactionId, request: &Request) {
        // §8.2.6.1: the Timestamp comes back with how long it has waited here.
        let timestamp = request.message.value(Name::Timestamp).and_then(|value| {
            let sent = lossy(value.split(u8::is_ascii_whitespace).next().filter(|sent| !sent.is_empty())?);
            Some(("Timestamp", format!("{sent} {}", TRYING_AFTER.as_secs_f32())))
        });
        let headers: Vec<_> = timestamp.into_iter().collect();
        let response = Response { status: 100, headers: &headers, ..Response::default() };
        let bytes = self.encode_response(request, &response);
        self.transactions.trying(now, &mut self.wire, transaction, bytes);
    }

    /// Sends a response in a server transaction.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        request: &Request,
        response: &Response<'_>,
    ) -> Vec<u8> {
        let bytes = self.encode_response(request, response);
        self.transactions.respond(now, &mut self.wire, transaction, response.status, bytes.clone());
        bytes
    }

    /// Answers a request once and keeps nothing (§8.2.7).
    pub(crate) fn respond_stateless(
        &mut self,
        message: &Message,
        flow: Flow,
        reply: Flow,
        response: &Response<'_>,
    ) {
        let bytes = response.encode(message, flow.remote, &self.config.user_agent);
        self.wire.send(reply, bytes);
    }

    /// Opens a server transaction and answers it at once with a tag of its own.
    pub(crate) fn answer(&mut self, now: Instant, request: &Request, response: &Response<'_>) {
        let tag = self.random.token();
        let transaction = self.open(request, None, &tag);
        self.respond(now, transaction, request, &Response { to_tag: &tag, ..response.clone() });
    }

    pub(crate) fn encode_response(&self, request: &Request, response: &Response<'_>) -> Vec<u8> {
        response.encode(&request.message, request.flow.remote, &self.config.user_agent)
    }
}
