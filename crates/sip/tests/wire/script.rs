//! Any bytes, read as a script of what happens to an endpoint: datagrams, connections, commands and time. The fuzz target
//! `endpoint` and the tests run the same scripts, so what one finds the others replay.
//!
//! Whatever happens, what is sent are whole messages, what is told has no control characters (reliability P9), and once
//! the application lets go of everything and time passes nothing is left.

#![allow(dead_code, reason = "each fuzz target uses a part")]

#[path = "input.rs"]
mod input;

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_sip::event::{
    Body, Command, Credentials, EndCause, Event, Flow, Header, InDialog, Invite, Page, PageId, Ping, QueryId,
    Reason, Registration, RegistrationState, RequestId, Route, SessionId, Target, Transport,
};
use offhook_sip::{Config, Endpoint, Gateway, StreamFramer};

use input::Input;

/// The most steps of one script, and the most messages and sessions that it looks back at.
const STEPS: usize = 200;
const MEMORY: usize = 16;

/// An endpoint, everybody around it, and what they remember.
pub(crate) struct Script {
    endpoint: Endpoint,
    now: Instant,
    sessions: VecDeque<SessionId>,
    /// What has begun and not come to its end: each ends exactly once.
    alive: HashSet<SessionId>,
    pages: HashSet<PageId>,
    requests: HashSet<(SessionId, RequestId)>,
    queries: VecDeque<QueryId>,
    /// What the endpoint has sent, and what it was sent: the latest.
    sent: VecDeque<String>,
    received: VecDeque<Vec<u8>>,
    next: u64,
    /// What has come to pass: the methods and responses that were sent, and the names of the events.
    pub(crate) seen: HashSet<String>,
}

impl Script {
    /// An endpoint that trusts its peers, at a beginning of time.
    pub(crate) fn new(now: Instant) -> Self {
        let udp: SocketAddr = "198.51.100.1:5060".parse().unwrap();
        let config = Config {
            tcp: vec![udp],
            gateways: vec![gateway(None, false)],
            source_rate: u32::MAX,
            stranger_rate: u32::MAX,
            ..Config::new(vec![udp])
        };
        Self {
            endpoint: Endpoint::new(config, [7; 32]),
            now,
            sessions: VecDeque::new(),
            alive: HashSet::new(),
            pages: HashSet::new(),
            requests: HashSet::new(),
            queries: VecDeque::new(),
            sent: VecDeque::new(),
            received: VecDeque::new(),
            next: 0,
            seen: HashSet::new(),
        }
    }

    /// Plays a script.
    pub(crate) fn play(&mut self, script: &[u8]) {
        let mut input = Input(script);
        for _ in 0..STEPS {
            if input.0.is_empty() {
                break;
            }
            self.step(&mut input);
            self.drain();
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 => {
                let length = usize::from(input.byte()) << 3;
                let datagram = input.bytes(length).to_vec();
                self.receive(input, datagram);
            }
            1 => self.let_time_pass(input),
            2 => self.command(input),
            3 => self.respond(input),
            4 => self.request_inside(input),
            5 => self.invite(input),
            6 => {
                let at = usize::from(input.byte()) % MEMORY;
                if let Some(again) = self.received.get(at).cloned() {
                    self.receive(input, again);
                }
            }
            _ => match input.byte() % 4 {
                0 => {
                    let credentials = Credentials { username: "peer".into(), password: "secret".into() };
                    self.trust(Some(credentials), false);
                }
                1 => self.trust(None, true),
                2 => self.trust(None, false),
                _ => {
                    let flow = flow(input);
                    self.endpoint.transport_failed(self.now, flow);
                }
            },
        }
    }

    /// Tells the endpoint anew whom it trusts, and how far.
    fn trust(&mut self, challenge: Option<Credentials>, pin_source: bool) {
        self.endpoint.set_gateways(vec![gateway(challenge, pin_source)]);
    }

    /// Gives the endpoint a datagram, whole and at once.
    pub(crate) fn datagram(&mut self, datagram: Vec<u8>) {
        self.receive(&mut Input(&[]), datagram);
        self.drain();
    }

    fn receive(&mut self, input: &mut Input<'_>, message: Vec<u8>) {
        self.endpoint.receive(self.now, flow(input), &message);
        self.received.push_front(message);
        self.received.truncate(MEMORY);
    }

    fn let_time_pass(&mut self, input: &mut Input<'_>) {
        let millis = input.of(&[1, 50, 200, 500, 4_000, 32_000, 180_000, 1_800_000]);
        self.pass(Duration::from_millis(millis));
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..100_000 {
            let Some(at) = self.endpoint.poll_timeout().filter(|&at| at <= end) else { break };
            self.now = at.max(self.now);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.endpoint.poll_timeout().is_none_or(|at| at > end), "a timer that never rests");
        self.now = end;
    }

    /// A response to one of the latest requests of the endpoint.
    fn respond(&mut self, input: &mut Input<'_>) {
        let at = usize::from(input.byte()) % MEMORY;
        let requests = self.sent.iter().filter(|message| !message.starts_with("SIP/2.0"));
        let Some(request) = requests.skip(at).chain(&self.sent).next().cloned() else { return };
        let status = input.of(&[
            "100", "180", "183", "200", "202", "302", "401", "407", "408", "422", "423", "481", "486", "487",
            "491", "503", "600",
        ]);
        let tag = input.of(&["", ";tag=a", ";tag=b", ";tag=c"]);
        let body = input.of(&BODIES);
        let more = input.of(&[
            "",
            "Contact: <sip:bob@192.0.2.7>\r\n",
            "Contact: <sip:bob@192.0.2.7>\r\nRequire: 100rel\r\nRSeq: 1\r\n",
            "Contact: <sip:bob@gw.example.com;transport=tcp>\r\nRecord-Route: <sip:a;lr>,<sip:192.0.2.9>\r\n",
            "Contact: <sip:offhook@198.51.100.1>;expires=60\r\nMin-Expires: 1800\r\nExpires: 90\r\n",
            "Session-Expires: 90;refresher=uac\r\nMin-SE: 1800\r\nContact: <sip:b@192.0.2.7>\r\n",
            "WWW-Authenticate: Digest realm=\"192.0.2.7\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n",
            "Proxy-Authenticate: Digest realm=\"example.com\",nonce=\"m\",stale=true\r\nRetry-After: 5\r\n",
            "Contact: <sip:bob@192.0.2.7>\r\nRequire: 100rel\r\nRSeq: 2\r\n",
            "Contact: <sip:bob@192.0.2.7>\r\nRequire: timer\r\nSession-Expires: 90;refresher=uas\r\nAllow: UPDATE\r\n",
            "Contact: <sip:bob@192.0.2.7>\r\nRequire: timer\r\nSession-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n",
        ]);
        let extra = input.chunk();
        let of = |name: &str| header(&request, name).unwrap_or_default().to_owned();
        let to = of("To");
        let to = if to.contains(";tag=") { to } else { format!("{to}{tag}") };
        let mut message = format!(
            "SIP/2.0 {status} Any\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}",
            of("Via"),
            of("From"),
            of("Call-ID"),
            of("CSeq"),
        )
        .into_bytes();
        message.extend_from_slice(extra);
        message.extend_from_slice(body.as_bytes());
        self.receive(input, message);
    }

    /// A request of the peer in the dialog of one of the latest messages that we sent.
    fn request_inside(&mut self, input: &mut Input<'_>) {
        let at = usize::from(input.byte()) % MEMORY;
        let Some(ours) = self.sent.get(at).cloned() else { return };
        let of = |name: &str| header(&ours, name).unwrap_or_default().to_owned();
        // Of a request of ours the peer is the To, of a response of ours the From.
        let (from, to) = match ours.starts_with("SIP/2.0") {
            true => (of("From"), of("To")),
            false => (of("To"), of("From")),
        };
        let from = if from.contains(";tag=") { from } else { format!("{from};tag=a") };
        let method = input.of(&[
            "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "REFER",
            "UPDATE",
        ]);
        // Mostly in order and of its own, as peers write them; sometimes neither.
        self.next += 1;
        let number = match input.byte() {
            odd @ 240.. => u64::from(odd - 239),
            _ => self.next + 1,
        };
        let cseq = match method {
            "ACK" | "CANCEL" => of("CSeq").split(' ').next().unwrap_or("1").to_owned(),
            _ => number.to_string(),
        };
        let via = match method {
            "CANCEL" if ours.starts_with("SIP/2.0") => of("Via"),
            _ => format!("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{number}"),
        };
        // What a reliable response of ours is acknowledged with (RFC 3262 §7.2).
        let rack = format!("RAck: {} {}\r\n", header(&ours, "RSeq").unwrap_or("1"), of("CSeq"));
        let more = input.of(&[
            "",
            "Contact: <sip:bob@192.0.2.7>\r\n",
            &rack,
            "Refer-To: <sip:carol@192.0.2.8?Replaces=x>\r\nReferred-By: <sip:alice@example.com>\r\n",
            "Event: refer\r\nSubscription-State: active;expires=60\r\n",
            "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
            "Session-Expires: 100;refresher=uas\r\nMin-SE: 90\r\nSupported: timer\r\n",
            "Reason: SIP;cause=200;text=\"a\x01b\"\r\n",
            "Contact: <sip:bob@192.0.2.8:5070>\r\nSupported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
            "Contact: <sip:bob@192.0.2.7>\r\nAllow: UPDATE\r\nSupported: timer\r\nSession-Expires: 60\r\n",
        ]);
        let body = match (method, input.of(&BODIES)) {
            // What an INFO may say, and what not.
            ("INFO", body) if body.starts_with("Content-Type") && !body.contains("multipart") => DIGIT,
            (_, body) => body,
        };
        let extra = input.chunk();
        let mut message = format!(
            "{method} sip:100@198.51.100.1 SIP/2.0\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{more}",
            of("Call-ID"),
        )
        .into_bytes();
        message.extend_from_slice(extra);
        message.extend_from_slice(body.as_bytes());
        self.receive(input, message);
    }

    /// A new request of the peer.
    fn invite(&mut self, input: &mut Input<'_>) {
        let number = input.byte() % 64;
        let method =
            input.of(&["INVITE", "INVITE", "INVITE", "OPTIONS", "MESSAGE", "REGISTER", "REFER", "SUBSCRIBE"]);
        let more = input.of(&[
            "",
            "Supported: 100rel, timer\r\nSession-Expires: 90\r\n",
            "Require: 100rel\r\n",
            "Record-Route: <sip:192.0.2.9;lr>,<sip:192.0.2.10>\r\n",
            "P-Asserted-Identity: \"A\x02\" <sip:a@b>, <tel:+1>\r\nPrivacy: id\r\nX-Y: \x07\r\n",
            "Replaces: x;to-tag=a;from-tag=b\r\nAccept: text/plain\r\n",
            "Allow: UPDATE\r\nSupported: 100rel, timer\r\nSession-Expires: 90;refresher=uas\r\n",
            "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
        ]);
        let body = input.of(&BODIES);
        let extra = input.chunk();
        let mut message = format!(
            "{method} sip:100@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKi{number}\r\n\
             From: \"A\x03\" <sip:alice@example.com>;tag=alice\r\nTo: <sip:100@198.51.100.1>\r\n\
             Call-ID: {number}@192.0.2.7\r\nCSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.7>\r\nMax-Forwards: 70\r\n{more}",
        )
        .into_bytes();
        message.extend_from_slice(extra);
        message.extend_from_slice(body.as_bytes());
        self.receive(input, message);
    }

    fn command(&mut self, input: &mut Input<'_>) {
        let at = usize::from(input.byte()) % MEMORY;
        let session = self.sessions.get(at).copied().unwrap_or(SessionId::Inbound(1));
        let body = Body { content_type: "application/sdp".to_owned(), bytes: b"v=0\r\n".to_vec() };
        let status = input.of(&[180, 183, 200, 202, 302, 486, 488, 603, 999]);
        let headers = vec![Header { name: "X-A".to_owned(), value: input.text() }];
        let reason = Some(Reason { cause: 486, text: input.text() });
        let to =
            input.of(&["sip:100@192.0.2.7", "sip:100@gw.example.com;transport=tcp", "tel:+1", "sip:\r\n"]);
        let proxy = input.of(&[None, Some("192.0.2.9"), Some("proxy.example.com:5070")]);
        let credentials = Some(Credentials { username: "u\"\\".into(), password: "p".into() });
        let route = Route { to: to.to_owned(), proxy: proxy.map(str::to_owned), credentials };
        self.next += 1;
        let next = self.next;
        let (from, redirect_hosts) = ("sip:offhook@example.com".to_owned(), vec!["192.0.2.8".to_owned()]);
        let command = match input.byte() % 20 {
            0..=2 => {
                let session = SessionId::Outbound(next);
                let routes = vec![route.clone(), route];
                let from_display = headers.iter().map(|header| header.value.clone()).collect();
                Command::Invite(Box::new(Invite {
                    session,
                    from,
                    from_display,
                    routes,
                    redirect_hosts,
                    headers,
                    body,
                }))
            }
            3 => Command::Progress { session, status, body: Some(body) },
            4 | 5 => Command::Answer { session, body },
            6 => Command::Reject { session, status, headers },
            7 => Command::Cancel { session, reason },
            8 => Command::Bye { session, reason },
            9 => Command::Accept { session, body },
            10 => Command::Refuse { session, status, headers: Vec::new() },
            11 => Command::Request { session, request: RequestId(next), method: InDialog::Info, body },
            12 => Command::Refer { session, to: to.to_owned() },
            13 => Command::AnswerRefer { session, status },
            14 => Command::ReferStatus { session, status },
            15 => Command::Page(Box::new(Page { page: PageId(next), from, route, headers, body })),
            16 => Command::Register(Box::new(Registration {
                account: "account".into(),
                registrar: route,
                aor: from,
                contact_user: "offhook".to_owned(),
                expires: Duration::from_secs(60),
            })),
            17 => Command::Unregister { account: "account".into() },
            18 => Command::Ping(Box::new(Ping {
                gateway: "peer".into(),
                route,
                interval: Duration::from_secs(30),
            })),
            _ => {
                let Some(query) = self.queries.pop_front() else { return };
                let addresses = ["192.0.2.7:5060", "192.0.2.8:5070", "[2001:db8::1]:5060"];
                let count = usize::from(input.byte()) % 4;
                let target = |text: &&str| Target {
                    transport: Transport::Udp,
                    address: text.parse().unwrap(),
                    name: None,
                };
                Command::Resolved { query, targets: addresses.iter().take(count).map(target).collect() }
            }
        };
        self.give(command);
    }

    /// Gives a command, and remembers what has begun by it.
    fn give(&mut self, command: Command) {
        if self.endpoint.command(self.now, command.clone()).is_err() {
            return;
        }
        match command {
            Command::Invite(invite) => {
                self.remember(invite.session);
                assert!(self.alive.insert(invite.session));
            }
            Command::Page(page) => assert!(self.pages.insert(page.page)),
            Command::Request { session, request, .. } => assert!(self.requests.insert((session, request))),
            _ => {}
        }
    }

    /// Whether an event comes when it may.
    fn check_order(&mut self, event: &Event) {
        match event {
            Event::Incoming(incoming) => assert!(self.alive.insert(incoming.session), "{event:?}"),
            Event::Ended { session, .. } => {
                assert!(self.alive.remove(session), "ended twice: {event:?}");
                assert!(
                    self.requests.iter().all(|(of, _)| of != session),
                    "requests without an end: {event:?}"
                );
            }
            Event::Replied { session, request, .. } => {
                assert!(self.requests.remove(&(*session, *request)), "replied twice: {event:?}");
            }
            Event::Paged { page, .. } => assert!(self.pages.remove(page), "paged twice: {event:?}"),
            _ => {}
        }
        if let Some(session) = session_of(event).filter(|_| !matches!(event, Event::Ended { .. })) {
            assert!(self.alive.contains(&session), "after the end: {event:?}");
        }
    }

    fn remember(&mut self, session: SessionId) {
        self.sessions.push_front(session);
        self.sessions.truncate(256);
    }

    /// Looks at everything that the endpoint sends and tells.
    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if transmit.bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let mut framer = StreamFramer::new();
            framer.push(&transmit.bytes);
            let framed = framer.next_message();
            assert_eq!(
                framed,
                Ok(Some(transmit.bytes.clone())),
                "{:?}",
                String::from_utf8_lossy(&transmit.bytes)
            );
            assert!(!framer.is_partial());
            let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
            self.seen.insert(deed(&text));
            self.sent.push_front(text);
            self.sent.truncate(MEMORY);
        }
        while let Some(event) = self.endpoint.poll_event() {
            for text in texts(&event) {
                assert!(!text.chars().any(char::is_control), "{event:?}");
            }
            self.check_order(&event);
            self.seen.insert(name(&event).to_owned());
            match event {
                Event::Incoming(incoming) => self.remember(incoming.session),
                Event::Resolve { query, .. } => self.queries.push_back(query),
                _ => {}
            }
        }
    }

    /// The application lets go of everything, nobody answers any more, and time passes: nothing is left.
    pub(crate) fn finish(mut self) {
        for gateway in ["peer", "account"] {
            let _ = self.endpoint.command(self.now, Command::Unping { gateway: gateway.into() });
            let _ = self.endpoint.command(self.now, Command::Unregister { account: gateway.into() });
        }
        for _ in 0..2 {
            for session in self.sessions.clone() {
                let reject = Command::Reject { session, status: 486, headers: Vec::new() };
                let _ = self.endpoint.command(self.now, reject);
                let _ = self.endpoint.command(self.now, Command::Cancel { session, reason: None });
                let _ = self.endpoint.command(self.now, Command::Bye { session, reason: None });
            }
            self.drain();
            while let Some(query) = self.queries.pop_front() {
                let _ = self.endpoint.command(self.now, Command::Resolved { query, targets: Vec::new() });
                self.drain();
            }
            self.pass(Duration::from_secs(400));
        }
        let counters = self.endpoint.counters();
        assert_eq!((counters.sessions, counters.transactions), (0, 0), "left: {:?}", self.sent);
        assert_eq!(self.endpoint.poll_timeout(), None);
        assert!(self.endpoint.is_quiet());
        let pending = (&self.alive, &self.pages, &self.requests);
        assert!(self.alive.is_empty() && self.pages.is_empty() && self.requests.is_empty(), "{pending:?}");
    }
}

const DIGIT: &str = "Content-Type: application/dtmf\r\nContent-Length: 1\r\n\r\n5";

/// What follows the header fields, with the empty line.
const BODIES: [&str; 5] = [
    "Content-Length: 0\r\n\r\n",
    "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
    "Content-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x--\r\n",
    "Content-Type: message/sipfrag\r\n\r\nSIP/2.0 200 OK\r\n",
    "Content-Type: application/sdp\r\n\r\nv=0\r\ns=another\r\n",
];

fn gateway(challenge: Option<Credentials>, pin_source: bool) -> Gateway {
    let networks = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    Gateway { name: "peer".into(), networks, challenge, challenge_inside: pin_source, pin_source }
}

fn flow(input: &mut Input<'_>) -> Flow {
    let transport = input.of(&[Transport::Udp, Transport::Udp, Transport::Udp, Transport::Tcp]);
    let remote = input.of(&["192.0.2.7:5060", "192.0.2.8:40000", "[2001:db8::1]:5060"]);
    Flow {
        transport,
        local: "198.51.100.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        name: None,
    }
}

/// The first value of a header that the endpoint wrote or echoed in its own spelling.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What a message of ours is: its method, or its status and the method that it answers.
fn deed(message: &str) -> String {
    let method = header(message, "CSeq").and_then(|cseq| cseq.split(' ').next_back()).unwrap_or_default();
    match message.strip_prefix("SIP/2.0 ") {
        Some(response) => format!("{} {method}", &response[..3]),
        None => method.to_owned(),
    }
}

/// What an event is called.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Incoming(_) => "Incoming",
        Event::Acked { .. } => "Acked",
        Event::Sent { .. } => "Sent",
        Event::Unavailable { .. } => "Unavailable",
        Event::Provisional { .. } => "Provisional",
        Event::Answered { .. } => "Answered",
        Event::Offer { .. } => "Offer",
        Event::Updated { .. } => "Updated",
        Event::Replied { .. } => "Replied",
        Event::Transfer { .. } => "Transfer",
        Event::Referred { .. } => "Referred",
        Event::Message(_) => "Message",
        Event::Paged { .. } => "Paged",
        Event::Registration { .. } => "Registration",
        Event::Gateway { .. } => "Gateway",
        Event::Info { .. } => "Info",
        Event::Ended { .. } => "Ended",
        Event::Resolve { .. } => "Resolve",
    }
}

/// The session that an event is of.
fn session_of(event: &Event) -> Option<SessionId> {
    match event {
        Event::Incoming(incoming) => Some(incoming.session),
        Event::Message(message) => message.session,
        Event::Acked { session, .. }
        | Event::Sent { session, .. }
        | Event::Unavailable { session, .. }
        | Event::Provisional { session, .. }
        | Event::Answered { session, .. }
        | Event::Offer { session, .. }
        | Event::Updated { session, .. }
        | Event::Replied { session, .. }
        | Event::Transfer { session, .. }
        | Event::Referred { session, .. }
        | Event::Info { session, .. }
        | Event::Ended { session, .. } => Some(*session),
        Event::Paged { .. } | Event::Registration { .. } | Event::Gateway { .. } | Event::Resolve { .. } => {
            None
        }
    }
}

/// Every string of an event that can come from the wire.
pub(crate) fn texts(event: &Event) -> Vec<&str> {
    fn body(body: &Option<Body>) -> Vec<&str> {
        body.iter().map(|body| &*body.content_type).collect()
    }
    match event {
        Event::Incoming(incoming) => {
            let names = incoming.headers.iter().flat_map(|header| [&*header.name, &*header.value]);
            let own = [
                &incoming.request_uri,
                &incoming.from,
                &incoming.from_display,
                &incoming.to,
                &incoming.call_id,
            ];
            own.into_iter().map(|text| &**text).chain(names).chain(body(&incoming.body)).collect()
        }
        Event::Acked { body: content, .. }
        | Event::Provisional { body: content, .. }
        | Event::Offer { body: content, .. } => body(content),
        Event::Answered { body: content, also_rang, .. } => {
            also_rang.iter().map(|contact| &**contact).chain(body(content)).collect()
        }
        Event::Sent { call_id, .. } => vec![call_id],
        Event::Transfer { phrase, .. } => vec![phrase],
        Event::Referred { to, referred_by, .. } => {
            [Some(&**to), referred_by.as_deref()].into_iter().flatten().collect()
        }
        Event::Message(message) => vec![&message.from, &message.to, &message.body.content_type],
        Event::Registration { state: RegistrationState::Failed { phrase, .. }, .. } => vec![phrase],
        Event::Info { body, .. } | Event::Updated { body, .. } => vec![&body.content_type],
        Event::Ended { cause, .. } => match cause {
            EndCause::Refused { phrase, .. } => vec![phrase],
            EndCause::Bye { reason: Some(reason) } => vec![reason],
            _ => Vec::new(),
        },
        Event::Resolve { lookup, .. } => vec![&lookup.host],
        Event::Unavailable { .. }
        | Event::Replied { .. }
        | Event::Paged { .. }
        | Event::Registration { .. }
        | Event::Gateway { .. } => Vec::new(),
    }
}
