//! One world: our node, what is around it, and the agenda of what happens when.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_call::command::{Command, Request};
use offhook_call::event::{Event, EventKind, UnixMs};
use offhook_call::id::{CallId, RequestId};
use offhook_call::{Calls, Config, Now, Port};
use offhook_exchange::{Exchange, Note, Output};
use offhook_media::event::{self as media, DigitSource, LegId};
use offhook_media::sdp::Protection;
use offhook_sip::event::{self as sip, Flow, QueryId, Target, Transport};
use offhook_sip::{Endpoint, Gateway, SessionTimer};
use offhook_worlds::applications::Applications;
use offhook_worlds::checks::Checks;
use offhook_worlds::disk::{Deed, Disk, Later};
use offhook_worlds::node::{EPOCH, config, epoch, gateway};
use offhook_worlds::{chance, soon};

use crate::leftovers::Leftovers;
use crate::media::Media;
use crate::peer::Peer;
use crate::rude::{Cue, Rude};
use crate::voice::Voice;
use crate::wire::{OURS, PEER, RUDE, Wire};

/// What kind of world it is.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) wire: Wire,
    /// How many calls may come or be placed, and the longest time between two of them in milliseconds.
    pub(crate) calls: usize,
    pub(crate) every: u64,
    /// Pairs of ports of our node.
    pub(crate) ports: u16,
    /// The most calls with each gateway; 0 for any number.
    pub(crate) gateway_calls: usize,
    /// Whether we offer to protect media.
    pub(crate) srtp: Protection,
    /// Of a hundred far ends that learn where our media is, how many speak.
    pub(crate) speaking: u8,
    pub(crate) node: Config,
    /// The interval of session timers that we ask for.
    pub(crate) refresh: Duration,
    pub(crate) people: People,
    /// By then everything must have ended by itself.
    pub(crate) all_over: Duration,
}

impl Setting {
    /// One with so many calls, ten in a second, room for all of them, and nobody who speaks.
    pub(crate) fn quiet(wire: Wire, calls: usize, node: Config, people: People) -> Self {
        Self {
            wire,
            calls,
            every: 100,
            ports: 2_000,
            gateway_calls: 0,
            srtp: Protection::Off,
            speaking: 0,
            node,
            refresh: Duration::from_secs(1_800),
            people,
            all_over: Duration::from_secs(600),
        }
    }
}

/// Who uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum People {
    /// Applications and far ends that do anything.
    Anything,
    /// An application that calls, or is called, and a far end that answers; whoever called hangs up.
    Polite,
    /// An application that is called, or calls, and waits for the end; far ends that all follow one script.
    Waiting(crate::rude::Script),
}

/// What is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A far end calls, or an application places a call.
    NewCall,
    /// An application does something.
    Application,
    /// An application asks for this.
    Ask(Command),
    /// A port is opened and leased.
    Lease(Port),
    /// A SIP message arrives.
    Message { transport: Transport, from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// A media packet arrives at one of our ports.
    Packet { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// The name service answers.
    Resolved { query: QueryId, targets: Vec<Target> },
    /// News of the media engine arrives.
    Media(media::Event),
    /// The disk does something.
    Disk(Deed),
    /// Whoever uses the peer wants something.
    Peer(sip::Command),
    /// The rude far end remembers what it wanted to do.
    Rude(Cue),
    /// A far end's next packet is due.
    Speak(SocketAddr),
}

pub(crate) struct World {
    pub(crate) rng: fastrand::Rng,
    pub(crate) setting: Setting,
    start: Instant,
    /// Since the start.
    pub(crate) at: Duration,
    agenda: BTreeMap<(Duration, u64), Happening>,
    happenings: u64,
    requests: u64,
    pub(crate) applications: Applications,
    pub(crate) exchange: Exchange,
    pub(crate) media: Media,
    /// How long news of the media is on its way.
    lag: Duration,
    disk: Disk,
    pub(crate) peer: Peer,
    pub(crate) rude: Rude,
    pub(crate) voices: HashMap<SocketAddr, Voice>,
    pub(crate) checks: Checks,
    pub(crate) leftovers: Leftovers,
    /// Calls that were released, with the time of that and what was told.
    pub(crate) released: Vec<(Duration, CallId, offhook_call::event::Released)>,
}

/// The endpoint of our node.
pub(crate) fn endpoint(refresh: Duration, seed: u64) -> Endpoint {
    let of = |name: &str, address: SocketAddr| Gateway {
        name: name.into(),
        networks: vec![address.ip().to_string().parse().expect("an address is a network")],
        challenge: None,
        challenge_inside: false,
        pin_source: false,
    };
    let session_timer = SessionTimer { expires: refresh, ..SessionTimer::default() };
    let gateways = vec![of("peer", PEER), of("rude", RUDE)];
    let tcp = vec![OURS];
    let config = offhook_sip::Config { gateways, session_timer, tcp, ..offhook_sip::Config::new(vec![OURS]) };
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    Endpoint::new(config, secret)
}

impl World {
    pub(crate) fn new(seed: u64, setting: Setting) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut calls = Calls::new(setting.node.clone(), 1 + rng.u64(..1000));
        let limited = |name, number| offhook_call::gateway::Gateway {
            max_calls: setting.gateway_calls,
            srtp: setting.srtp,
            ..gateway(name, &[number])
        };
        calls.set_gateways(vec![limited("peer", 9), limited("rude", 10)]);
        let by_tcp = "sip:5@192.0.2.9;transport=tcp";
        let callees = ["sip:1@192.0.2.9", by_tcp, "sip:2@192.0.2.10", "sip:3@rude", "sip:4@far.example"];
        let start = epoch();
        let lag = Duration::from_millis(*rng.choice(&[0, 5]).expect("two"));
        let mut world = Self {
            start,
            at: Duration::ZERO,
            agenda: BTreeMap::new(),
            happenings: 0,
            requests: 0,
            applications: Applications { callees: callees.map(str::to_owned).into(), to_come: setting.calls },
            exchange: Exchange::new(endpoint(setting.refresh, seed), calls),
            media: Media::new(start, seed),
            lag,
            disk: Disk::default(),
            peer: Peer::new(setting.refresh, seed),
            rude: Rude::default(),
            voices: HashMap::new(),
            checks: Checks::default(),
            leftovers: Leftovers::default(),
            released: Vec::new(),
            rng,
            setting,
        };
        world.exchange.set_applications(world.now(), 1);
        for number in 0..world.setting.ports {
            world.exchange.lease(Port(20_000 + 2 * number));
        }
        world.later(0, Happening::NewCall);
        if world.setting.people == People::Anything {
            world.later(0, Happening::Application);
        }
        world
    }

    pub(crate) fn now(&self) -> Now {
        let wall = EPOCH + i64::try_from(self.at.as_millis()).expect("some years");
        Now { mono: self.start + self.at, wall: UnixMs(wall) }
    }

    /// Something happens within `within` milliseconds; often in this very one.
    pub(crate) fn soon(&mut self, within: u64, happening: Happening) {
        let delay = soon(&mut self.rng, within);
        self.later(delay, happening);
    }

    /// Something happens in so many milliseconds.
    pub(crate) fn later(&mut self, delay: u64, happening: Happening) {
        self.after(Duration::from_millis(delay), happening);
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.happenings += 1;
        self.agenda.insert((self.at + delay, self.happenings), happening);
    }

    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        chance(&mut self.rng, percent)
    }

    /// A datagram goes into the network.
    pub(crate) fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        arrival: fn(SocketAddr, SocketAddr, Vec<u8>) -> Happening,
    ) {
        let arrivals: Vec<_> = self.setting.wire.carry(&mut self.rng).collect();
        for delay in arrivals {
            self.after(delay, arrival(from, to, bytes.to_vec()));
        }
    }

    /// A SIP message goes into the network. Over TCP it comes, once, and after those before it.
    pub(crate) fn send_sip(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if transport == Transport::Udp {
            return self.send(from, to, bytes, |from, to, bytes| Happening::Message {
                transport: Transport::Udp,
                from,
                to,
                bytes,
            });
        }
        self.checks.saw(format!("by {transport}"));
        let bytes = bytes.to_vec();
        self.later(self.setting.wire.delay, Happening::Message { transport, from, to, bytes });
    }

    fn request(&mut self, command: Command) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.checks.asked(id, &command);
        self.exchange.request(self.now(), Request { id, command });
    }

    /// When something has to be done next, since the start: a deadline of one of the user agents or of the calls, or a
    /// frame of the media.
    fn deadline(&self) -> Option<Duration> {
        let since = |deadline: Instant| deadline.saturating_duration_since(self.start);
        let deadlines = [self.exchange.poll_timeout(), self.peer.endpoint.poll_timeout()];
        let tick = self.media.due(self.at).map(|(at, _)| at);
        deadlines.into_iter().flatten().map(since).chain(tick).min()
    }

    /// One thing happens: what is due first, deadlines before the agenda.
    fn step(&mut self) -> bool {
        let agenda = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        let deadline = self.deadline();
        let Some(next) = deadline.into_iter().chain(agenda).min() else { return false };
        self.at = self.at.max(next);
        let now = self.now();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now.mono);
        if is_due(self.exchange.poll_timeout()) {
            self.leftovers.is_awake(self.at);
            self.exchange.handle_timeout(now);
        } else if is_due(self.peer.endpoint.poll_timeout()) {
            self.peer.endpoint.handle_timeout(now.mono);
        } else if let Some((_, phase)) = self.media.due(self.at).filter(|&(at, _)| at <= self.at) {
            self.media.tick(self.at, phase);
        } else if let Some((_, happening)) = self.agenda.pop_first() {
            self.happen(happening);
        }
        self.settle();
        true
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::NewCall => self.new_call(),
            Happening::Application => self.application(),
            Happening::Ask(command) => self.request(command),
            Happening::Lease(port) => self.exchange.lease(port),
            Happening::Message { transport, from, to, bytes } => self.arrive(transport, from, to, &bytes),
            Happening::Packet { from, to, bytes } => self.media.receive(now.mono, from, to.port(), &bytes),
            Happening::Resolved { query, targets } => self.exchange.resolved(now, query, targets),
            Happening::Media(event) => self.exchange.media(now, event),
            Happening::Disk(deed) => {
                let (event, later) = self.disk.act(&mut self.rng, deed);
                self.disk_will(later);
                if let Some(event) = event {
                    self.exchange.disk(now, event);
                }
            }
            Happening::Peer(command) => self.command_peer(command),
            Happening::Rude(cue) => self.cue(cue),
            Happening::Speak(from) => self.speak(from),
        }
    }

    fn arrive(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        let flow = Flow { transport, local: to, remote: from, name: None };
        match to {
            OURS => self.exchange.receive(now, flow, bytes),
            PEER => self.peer.endpoint.receive(now.mono, flow, bytes),
            RUDE => self.rude_hears(bytes),
            // Where a transfer or a redirection leads nobody is at home.
            _ => {}
        }
    }

    fn new_call(&mut self) {
        let Some(left) = self.applications.to_come.checked_sub(1) else { return };
        self.applications.to_come = left;
        self.soon(self.setting.every, Happening::NewCall);
        match self.setting.people {
            People::Anything => match self.rng.u8(..4) {
                0 => self.peer_calls(),
                1 => self.rude_calls(),
                _ => {
                    let wall = self.now().wall;
                    let command = self.applications.construct(&mut self.rng, &self.checks, wall);
                    self.request(command);
                }
            },
            People::Polite if left.is_multiple_of(2) => self.peer_calls(),
            People::Polite => self.request(crate::loss::call()),
            People::Waiting(script) if script.calls() => self.rude_calls(),
            People::Waiting(_) => self.request(crate::dead::call()),
        }
    }

    fn application(&mut self) {
        if self.applications.to_come == 0 && self.exchange.calls().live() == 0 {
            return;
        }
        self.soon(200, Happening::Application);
        let wall = self.now().wall;
        for command in self.applications.next(&mut self.rng, &self.checks, wall) {
            self.request(command);
        }
    }

    fn disk_will(&mut self, later: Option<Later>) {
        if let Some((delay, deed)) = later {
            self.later(delay, Happening::Disk(deed));
        }
    }

    /// Lets everybody say what they have to say, and checks the promises.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.exchange.poll_output() {
                is_quiet = false;
                self.act(output);
            }
            let (ended, events) = self.media.drain();
            is_quiet &= ended.is_empty() && events.is_empty();
            for recording in ended {
                let closes = Disk::end_mark(&mut self.rng, recording);
                self.disk_will(Some(closes));
            }
            for event in events {
                self.after(self.lag, Happening::Media(event));
            }
            if is_quiet && !self.hear_peer() {
                break;
            }
        }
        let now = self.now().mono;
        self.checks.step(self.exchange.calls(), now);
        self.leftovers.step(self.at, &self.exchange, &self.media, &self.checks);
    }

    fn act(&mut self, output: Output) {
        let now = self.now().mono;
        match output {
            Output::Transmit(message) => {
                let Flow { transport, local, remote, .. } = message.flow;
                self.send_sip(transport, local, remote, &message.bytes);
            }
            Output::Resolve { query, .. } => self.resolve(query),
            Output::OpenLeg { port, leg, config } => {
                self.checks.opened(port, leg);
                self.media.open(now, port, leg, config);
            }
            Output::Media(command) => self.media.engine.command(now, command),
            Output::Disk { job, request } => {
                let answer = self.disk.ask(&mut self.rng, job, request);
                self.disk_will(answer);
            }
            Output::Reply { request, result } => self.checks.replied(request, result),
            Output::Event(event) => self.told(&event),
            Output::ConferenceEvent(event) => self.checks.conference_told(&event),
            Output::NodeEvent(_) => self.checks.saw("node".to_owned()),
            Output::PortReleased(port) => {
                self.checks.freed(port);
                self.later(100, Happening::Lease(port));
            }
            Output::Note(note @ (Note::Refused { .. } | Note::Restless)) => panic!("a defect: {note:?}"),
            Output::Note(Note::TurnedAway { .. } | Note::Sent { .. } | Note::Ended { .. }) => {}
        }
    }

    /// The name service knows where it is, or nothing; late or never it does not say so: the server gives it five seconds.
    fn resolve(&mut self, query: QueryId) {
        let address = *self.rng.choice(&[PEER, RUDE]).expect("two");
        let target = Target { transport: Transport::Udp, address, name: None };
        let targets = if self.chance(80) { vec![target] } else { Vec::new() };
        let within = if self.chance(80) { 100 } else { 5_000 };
        self.soon(within, Happening::Resolved { query, targets });
    }

    fn told(&mut self, event: &Event) {
        self.checks.told(self.now().mono, event);
        let call = event.call;
        match &event.kind {
            EventKind::Dtmf { source: DigitSource::Rfc4733, .. } => {
                self.checks.saw("key".to_owned());
                self.media.told_of_key(LegId(call.0));
            }
            EventKind::Incoming { .. } if self.setting.people != People::Anything => {
                self.later(100, Happening::Ask(crate::loss::answer(call)));
            }
            EventKind::DialCompleted { error: None, .. } if self.setting.people == People::Polite => {
                self.later(crate::loss::TALK, Happening::Ask(Command::Drop { call, cause: 603 }));
            }
            EventKind::Released(released) => {
                self.leftovers.released(self.at, call, released);
                self.released.push((self.at, call, (**released).clone()));
            }
            _ => {}
        }
    }

    /// Runs until nothing happens any more; where `hang_up_at` is said, the node ends then.
    pub(crate) fn run(&mut self, hang_up_at: Option<Duration>) {
        let mut hang_up_at = hang_up_at;
        while self.step() {
            assert!(self.at < self.setting.all_over, "a call has wedged: {:?}", self.checks.alive());
            if hang_up_at.is_some_and(|at| at <= self.at) {
                hang_up_at = None;
                self.applications.to_come = 0;
                self.exchange.drain(self.now());
                self.exchange.hang_up_all(self.now());
                self.settle();
            }
        }
        self.checks.end(self.exchange.calls(), usize::from(self.setting.ports));
        self.disk.end();
        self.leftovers.end(&self.exchange, &self.media);
        self.peer.end();
    }
}

/// A world in which anything may happen.
pub(crate) fn anything(seed: u64) -> Setting {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let idle_timeout = if rng.bool() { Duration::from_secs(20) } else { Duration::ZERO };
    let node = Config {
        incoming_timeout: Duration::from_secs(10),
        idle_timeout,
        symmetric: rng.bool(),
        silence_timeout: Some(Duration::from_secs(*rng.choice(&[10, 60]).expect("two"))),
        ..config()
    };
    Setting {
        wire: Wire::any(&mut rng),
        calls: 50,
        every: 4_000,
        ports: 12,
        gateway_calls: 6,
        srtp: *rng.choice(&[Protection::Off, Protection::Optional]).expect("two"),
        speaking: *rng.choice(&[0, 0, 20, 100]).expect("four"),
        node,
        refresh: Duration::from_secs(*rng.choice(&[90, 1800]).expect("two")),
        people: People::Anything,
        all_over: Duration::from_secs(1_800),
    }
}
