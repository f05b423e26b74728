//! Two endpoints on a wire that loses, doubles and delays, in virtual time. Every message on it is read by rsip; on
//! TCP it goes through a [`StreamFramer`] in pieces of any size. One seed decides everything.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_sip::event::{
    Command, CommandError, EndCause, Event, Flow, InDialog, Invite, RequestId, SessionId, Transport,
};
use offhook_sip::{Config, Endpoint, StreamFramer};

use crate::judge;
use crate::stage::{address, config, epoch, route, sdp};

/// No run needs more steps; a loop that never ends would.
const MAX_STEPS: usize = 5_000_000;

/// How bad the wire is.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) transport: Transport,
    /// Of a hundred messages, how many are lost.
    pub(crate) loss: u8,
    /// Of a hundred messages, how many come twice.
    pub(crate) doubled: u8,
    /// The longest a message takes, in milliseconds; two may overtake each other.
    pub(crate) delay: u64,
}

/// What the people at both ends do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum People {
    /// Every call is answered and talks for a while.
    Talk,
    /// Every call is answered and talks for minutes, with session timers of 90 s; the wire hides from both sides that the
    /// other knows UPDATE, or does not.
    Stay { by_reinvite: bool },
    /// They ring, refuse, cancel, answer and hang up at any moment.
    Anything,
}

/// The life of one session, as its application heard it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) call_id: String,
    /// Answered (outbound) or acknowledged (inbound).
    pub(crate) connected: bool,
    pub(crate) ended: Option<EndCause>,
    /// The requests of its own whose answers it waits for.
    requests: HashSet<RequestId>,
    /// Whether it waits for the last word of a transfer that it asked for.
    transfer: bool,
    /// What it was told of in all.
    pub(crate) replies: usize,
    pub(crate) transfers: usize,
}

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    address: SocketAddr,
    pub(crate) stories: HashMap<SessionId, Story>,
    framer: StreamFramer,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    rng: fastrand::Rng,
    pub(crate) nodes: [Node; 2],
    wire: Wire,
    people: People,
    /// What happens when; the serial number keeps the order of equal times.
    agenda: BTreeMap<(Instant, u64), Happening>,
    serial: u64,
    last_end: Instant,
    /// When an endpoint last had anything to wait for.
    last_timer: Instant,
    /// Whether rsip reads every message, or every sixteenth.
    pub(crate) thorough: bool,
    sent: u64,
    pub(crate) refreshes: usize,
}

enum Happening {
    Arrival { node: usize, flow: Flow, bytes: Vec<u8> },
    Command { node: usize, command: Command },
}

fn settings(text: &str, people: People) -> Config {
    let mut config = config(text);
    if matches!(people, People::Stay { .. }) {
        config.session_timer.expires = config.session_timer.min;
    }
    config
}

impl World {
    pub(crate) fn new(seed: u64, wire: Wire, people: People) -> Self {
        let node = |text: &str, seed: u8| Node {
            endpoint: Endpoint::new(settings(text, people), [seed; 32]),
            address: address(text),
            stories: HashMap::new(),
            framer: StreamFramer::new(),
        };
        Self {
            now: epoch(),
            rng: fastrand::Rng::with_seed(seed),
            nodes: [node("192.0.2.1:5060", 1), node("192.0.2.2:5060", 2)],
            wire,
            people,
            agenda: BTreeMap::new(),
            serial: 0,
            last_end: epoch(),
            last_timer: epoch(),
            thorough: true,
            sent: 0,
            refreshes: 0,
        }
    }

    /// Plans calls between both nodes, one every 50 ms.
    pub(crate) fn plan(&mut self, calls: u64) {
        for number in 0..calls {
            let caller = usize::from(self.people == People::Anything && self.rng.bool());
            let session = SessionId::Outbound(number);
            let transport = self.wire.transport.to_string().to_lowercase();
            let to = format!("sip:{number}@{};transport={transport}", self.nodes[1 - caller].address);
            let invite = Invite {
                session,
                from: "sip:offhook@example.com".to_owned(),
                from_display: String::new(),
                routes: vec![route(&to)],
                redirect_hosts: Vec::new(),
                headers: Vec::new(),
                body: sdp("v=0\r\n"),
            };
            let start = number * 50;
            self.after(start, caller, Command::Invite(Box::new(invite)));
            if self.people == People::Anything && self.rng.u8(..100) < 25 {
                let patience = self.rng.u64(..6_000);
                self.after(start + patience, caller, Command::Cancel { session, reason: None });
            }
            // Nobody waits for ever: this is what the call layer's limits do.
            self.after(start + 40_000, caller, Command::Cancel { session, reason: None });
            let patience = if matches!(self.people, People::Stay { .. }) { 400_000 } else { 90_000 };
            self.after(start + patience, caller, Command::Bye { session, reason: None });
        }
    }

    /// Runs until nothing happens any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..MAX_STEPS {
            for node in 0..self.nodes.len() {
                self.pump(node);
            }
            let agenda = self.agenda.keys().next().map(|&(at, _)| at);
            let timers = self.nodes.iter().filter_map(|node| node.endpoint.poll_timeout());
            let Some(next) = agenda.into_iter().chain(timers).min() else { return };
            assert!(next >= self.now, "time runs forward");
            self.now = next;
            self.step();
        }
        panic!("the world does not come to rest");
    }

    fn step(&mut self) {
        for node in &mut self.nodes {
            if node.endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                node.endpoint.handle_timeout(self.now);
                self.last_timer = self.now;
            }
        }
        let due =
            self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now).map(|entry| entry.remove());
        match due {
            Some(Happening::Arrival { node, flow, bytes }) => self.arrive(node, flow, &bytes),
            Some(Happening::Command { node, command }) => self.command(node, command),
            None => {}
        }
    }

    fn arrive(&mut self, node: usize, flow: Flow, bytes: &[u8]) {
        let Node { endpoint, framer, .. } = &mut self.nodes[node];
        match flow.transport {
            Transport::Udp => endpoint.receive(self.now, flow, bytes),
            Transport::Tcp | Transport::Tls => {
                for piece in bytes.chunks(self.rng.usize(1..200)) {
                    framer.push(piece);
                    while let Some(message) = framer.next_message().unwrap() {
                        endpoint.receive(self.now, flow, &message);
                    }
                }
            }
        }
    }

    fn command(&mut self, node: usize, command: Command) {
        let session = match &command {
            Command::Invite(invite) => Some(invite.session),
            _ => None,
        };
        let Node { endpoint, stories, .. } = &mut self.nodes[node];
        let result = endpoint.command(self.now, command.clone());
        match command {
            Command::Request { session, request, .. } if result.is_ok() => {
                assert!(stories.get_mut(&session).unwrap().requests.insert(request));
            }
            Command::Refer { session, .. } if result.is_ok() => {
                let story = stories.get_mut(&session).unwrap();
                assert!(!std::mem::replace(&mut story.transfer, true), "one at a time");
            }
            _ => {}
        }
        match (result, session) {
            (Ok(()), Some(session)) => drop(stories.insert(session, Story::default())),
            (Ok(()) | Err(CommandError::Unknown | CommandError::WrongState), None) => {}
            (result, _) => panic!("{result:?}"),
        }
    }

    /// Takes out what a node sends and tells, until it is quiet.
    fn pump(&mut self, node: usize) {
        while let Some(mut transmit) = self.nodes[node].endpoint.poll_transmit() {
            self.sent += 1;
            if self.thorough || self.sent.is_multiple_of(16) {
                judge::check(&transmit.bytes);
            }
            if let People::Stay { by_reinvite } = self.people {
                let text = String::from_utf8(transmit.bytes).unwrap();
                self.refreshes +=
                    usize::from(text.contains(";refresher=uac\r\n") && !text.starts_with("SIP"));
                transmit.bytes = if by_reinvite { text.replace(", UPDATE", "") } else { text }.into_bytes();
            }
            assert_eq!(transmit.flow.transport, self.wire.transport);
            let peer = 1 - node;
            assert_eq!(transmit.flow.remote, self.nodes[peer].address);
            let flow = Flow { local: transmit.flow.remote, remote: transmit.flow.local, ..transmit.flow };
            let copies = if self.rng.u8(..100) < self.wire.doubled { 2 } else { 1 };
            for _ in 0..copies {
                if self.rng.u8(..100) >= self.wire.loss {
                    let delay = self.rng.u64(1..=self.wire.delay);
                    let bytes = transmit.bytes.clone();
                    self.at(delay, Happening::Arrival { node: peer, flow, bytes });
                }
            }
        }
        while let Some(event) = self.nodes[node].endpoint.poll_event() {
            self.hear(node, event);
        }
    }

    fn hear(&mut self, node: usize, event: Event) {
        match event {
            Event::Incoming(incoming) => {
                let story = Story { call_id: incoming.call_id, ..Story::default() };
                let before = self.nodes[node].stories.insert(incoming.session, story);
                assert!(before.is_none(), "a session begins once");
                self.pick_up(node, incoming.session);
            }
            Event::Answered { session, .. } | Event::Acked { session, .. } => {
                self.story(node, session).connected = true;
                // Long enough for every ACK to come through.
                let talk = match self.people {
                    People::Talk => 40_000,
                    People::Stay { .. } => 200_000,
                    People::Anything => self.rng.u64(..8_000),
                };
                if self.people == People::Anything || matches!(session, SessionId::Outbound(_)) {
                    self.after(talk, node, Command::Bye { session, reason: None });
                }
                if self.people == People::Anything {
                    self.talk(node, session);
                }
            }
            Event::Replied { session, request, .. } => {
                let story = self.story(node, session);
                assert!(story.requests.remove(&request), "one reply to each request");
                story.replies += 1;
            }
            Event::Transfer { session, status, .. } => {
                let story = self.story(node, session);
                assert!(story.transfer, "nothing after the last word");
                story.transfer = status < 200;
                story.transfers += usize::from(!story.transfer);
            }
            Event::Referred { session, .. } => {
                self.story(node, session);
                let status = if self.rng.bool() { 202 } else { 603 };
                let thinks = self.rng.u64(..25_000);
                self.after(thinks, node, Command::AnswerRefer { session, status });
                for status in [180, 200] {
                    let later = thinks + self.rng.u64(..3_000);
                    self.after(later, node, Command::ReferStatus { session, status });
                }
            }
            Event::Ended { session, cause } => {
                let story = self.story(node, session);
                assert!(story.requests.is_empty() && !story.transfer, "told before the end");
                story.ended = Some(cause);
                self.last_end = self.now;
            }
            Event::Sent { session, call_id, .. } => self.story(node, session).call_id = call_id,
            Event::Provisional { session, .. } | Event::Info { session, .. } => {
                self.story(node, session);
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// A session of which something is heard: it has begun, and it has not ended.
    fn story(&mut self, node: usize, session: SessionId) -> &mut Story {
        let story = self.nodes[node].stories.get_mut(&session).expect("a session that began");
        assert_eq!(story.ended, None, "{session:?}: Ended is the last event");
        story
    }

    /// Digits and a transfer, at any moment of the call.
    fn talk(&mut self, node: usize, session: SessionId) {
        for number in 0..self.rng.u64(..4) {
            let body = sdp("Signal=1\r\n");
            let request = RequestId(number);
            let info = Command::Request { session, request, method: InDialog::Info, body };
            let at = self.rng.u64(..4_000);
            self.after(at, node, info);
        }
        if self.rng.u8(..100) < 50 {
            let to = "sip:carol@example.org".to_owned();
            let at = self.rng.u64(..4_000);
            self.after(at, node, Command::Refer { session, to });
        }
    }

    fn pick_up(&mut self, node: usize, session: SessionId) {
        let answer = Command::Answer { session, body: sdp("v=0\r\n") };
        let refusal = |status| Command::Reject { session, status, headers: Vec::new() };
        let ring = Command::Progress { session, status: 180, body: None };
        let first = self.rng.u64(..1_000);
        let second = first + self.rng.u64(..4_000);
        match self.rng.u8(..100) {
            _ if self.people != People::Anything => {
                self.after(100, node, ring);
                self.after(1_000, node, answer);
            }
            ..20 => self.after(first, node, refusal(486)),
            20..30 => self.after(first, node, ring),
            _ => {
                self.after(first, node, ring);
                self.after(second, node, answer);
                if self.rng.u8(..100) < 10 {
                    self.after(second, node, Command::Bye { session, reason: None });
                }
            }
        }
        let patience = if matches!(self.people, People::Stay { .. }) { 400_000 } else { 90_000 };
        self.after(patience, node, refusal(480));
        self.after(patience, node, Command::Bye { session, reason: None });
    }

    fn after(&mut self, millis: u64, node: usize, command: Command) {
        self.at(millis, Happening::Command { node, command });
    }

    fn at(&mut self, millis: u64, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((self.now + Duration::from_millis(millis), self.serial), happening);
    }

    /// What must hold when the world has come to rest, whatever happened in it.
    pub(crate) fn assert_at_rest(&self) {
        for node in &self.nodes {
            for (session, story) in &node.stories {
                assert!(story.ended.is_some(), "{session:?} never ended");
            }
            let counters = node.endpoint.counters();
            assert_eq!((counters.sessions, counters.transactions), (0, 0));
            assert!(node.endpoint.is_quiet());
            assert_eq!((counters.malformed, counters.faulty, counters.untrusted), (0, 0, 0));
        }
    }

    /// How long after the last Ended something was still remembered.
    pub(crate) fn aftermath(&self) -> Duration {
        self.last_timer.saturating_duration_since(self.last_end)
    }

    pub(crate) fn connected(&self, node: usize) -> usize {
        self.nodes[node].stories.values().filter(|story| story.connected).count()
    }
}
