//! One endpoint, and a test that plays everybody else by hand-written messages.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use offhook_sip::event::{Body, Command, Event, Flow, Invite, Route, SessionId, Target, Transmit, Transport};
use offhook_sip::{Config, Endpoint, Gateway, Network};

use crate::judge;

/// The address of the endpoint under test.
pub(crate) const OURS: &str = "198.51.100.1:5060";
/// The address of the peer that the test plays.
pub(crate) const PEER: &str = "192.0.2.7:5060";

/// The beginning of the tests' time.
#[allow(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise; the tests only add to it")]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An address that is reached by UDP.
pub(crate) fn udp(text: &str) -> Target {
    Target { transport: Transport::Udp, address: address(text), name: None }
}

pub(crate) fn config(ours: &str) -> Config {
    let networks = ["192.0.2.0/24", "198.51.100.0/24"].map(|network| network.parse::<Network>().unwrap());
    let gateways = vec![gateway(networks.to_vec())];
    Config { gateways, tcp: vec![address(ours)], ..Config::new(vec![address(ours)]) }
}

/// A gateway that is trusted without being asked who it is.
pub(crate) fn gateway(networks: Vec<Network>) -> Gateway {
    Gateway { name: "peer".into(), networks, challenge: None, challenge_inside: false, pin_source: false }
}

/// The endpoint, its clock, and what it has sent and told but the test has not looked at yet.
pub(crate) struct Stage {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(config(OURS))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { endpoint: Endpoint::new(config, [7; 32]), now: epoch() }
    }

    /// The peer sends a message by UDP.
    pub(crate) fn receive(&mut self, message: &str) {
        self.receive_from(PEER, message);
    }

    pub(crate) fn receive_from(&mut self, peer: &str, message: &str) {
        self.receive_by(Transport::Udp, peer, message);
    }

    pub(crate) fn receive_by(&mut self, transport: Transport, peer: &str, message: &str) {
        let flow = Flow { transport, local: address(OURS), remote: address(peer), name: None };
        self.endpoint.receive(self.now, flow, message.as_bytes());
    }

    /// What the endpoint has sent since the last look, with where to.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).map(Sent::new).collect()
    }

    /// The peer sends bytes that may be anything.
    pub(crate) fn receive_bytes(&mut self, bytes: &[u8]) {
        let flow =
            Flow { transport: Transport::Udp, local: address(OURS), remote: address(PEER), name: None };
        self.endpoint.receive(self.now, flow, bytes);
    }

    /// The statuses of the responses since the last look. They echo what rsip cannot read, so it is not asked.
    pub(crate) fn sent_statuses(&mut self) -> Vec<u16> {
        let status = |transmit: Transmit| {
            let status = transmit.bytes.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap();
            std::str::from_utf8(status).unwrap().parse().unwrap()
        };
        std::iter::from_fn(|| self.endpoint.poll_transmit()).map(status).collect()
    }

    /// Forgets what the endpoint has sent and told.
    pub(crate) fn drain(&mut self) {
        while self.endpoint.poll_transmit().is_some() {}
        while self.endpoint.poll_event().is_some() {}
    }

    /// Forgets what the endpoint has told.
    pub(crate) fn drain_events(&mut self) {
        while self.endpoint.poll_event().is_some() {}
    }

    /// The one message that the endpoint has sent since the last look.
    #[track_caller]
    pub(crate) fn one(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.remove(0)
    }

    /// What the endpoint has told since the last look.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.remove(0)
    }

    #[track_caller]
    pub(crate) fn command(&mut self, command: Command) {
        self.endpoint.command(self.now, command).unwrap();
    }

    /// Lets time pass; gives what is sent on the way, with the milliseconds since now.
    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<(u128, Sent)> {
        let (start, end) = (self.now, self.now + duration);
        let mut sent = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.endpoint.handle_timeout(self.now);
            let millis = (self.now - start).as_millis();
            sent.extend(self.sent().into_iter().map(|message| (millis, message)));
        }
        self.now = end;
        sent
    }

    /// Lets everything die out and asserts that nothing is left.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&mut self) {
        assert!(self.endpoint.is_quiet());
        self.pass(Duration::from_secs(64));
        let counters = self.endpoint.counters();
        assert_eq!((counters.sessions, counters.transactions), (0, 0));
        assert_eq!(self.endpoint.poll_timeout(), None);
        assert_eq!(self.sent().len(), 0);
        assert_eq!(self.events(), []);
    }
}

/// A message that the endpoint has sent; rsip has read it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) text: String,
}

impl Sent {
    fn new(transmit: Transmit) -> Self {
        judge::check(&transmit.bytes);
        let Flow { transport, remote, .. } = transmit.flow;
        Self { to: remote, transport, text: String::from_utf8(transmit.bytes).unwrap() }
    }

    /// The method of a request, or the status of a response, with the CSeq method.
    pub(crate) fn kind(&self) -> String {
        let first = self.text.split(' ').next().unwrap();
        if first == "SIP/2.0" { self.status().to_string() } else { first.to_owned() }
    }

    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap()
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.split("\r\n").filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
    }

    /// The one value of a header.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in\n{}", self.text);
        all[0]
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }

    pub(crate) fn to_tag(&self) -> &str {
        self.header("To").split(";tag=").nth(1).unwrap_or_default()
    }

    pub(crate) fn branch(&self) -> &str {
        let via = self.all("Via")[0];
        via.split(';').find_map(|part| part.strip_prefix("branch=")).unwrap()
    }

    /// A response of the peer to this request, as a peer writes it.
    pub(crate) fn response(&self, status: &str, to_tag: &str, more: &str) -> String {
        let to = match (to_tag, self.to_tag()) {
            ("", _) => self.header("To").to_owned(),
            (tag, "") => format!("{};tag={tag}", self.header("To")),
            _ => self.header("To").to_owned(),
        };
        format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
            self.header("Via"),
            self.header("From"),
            self.header("Call-ID"),
            self.header("CSeq"),
        )
    }
}

pub(crate) fn kinds(sent: &[Sent]) -> Vec<String> {
    sent.iter().map(Sent::kind).collect()
}

/// The milliseconds at which messages of a kind were sent.
pub(crate) fn times(sent: &[(u128, Sent)], kind: &str) -> Vec<u128> {
    sent.iter().filter(|(_, message)| message.kind() == kind).map(|&(at, _)| at).collect()
}

/// A request of the peer: `cseq` as in the header, `to_tag` empty outside of a dialog.
pub(crate) fn request(cseq: &str, branch: &str, to_tag: &str, more: &str) -> String {
    let method = cseq.split(' ').nth(1).unwrap();
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} sip:100@198.51.100.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=alice\r\n\
         To: <sip:100@198.51.100.1>{to_tag}\r\n\
         Call-ID: call-1@192.0.2.7\r\n\
         CSeq: {cseq}\r\n\
         Contact: <sip:alice@192.0.2.7>\r\n\
         {more}Content-Length: 0\r\n\r\n"
    )
}

/// The same message with a session description.
pub(crate) fn with_sdp(message: &str, sdp: &str) -> String {
    let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    message.replace("Content-Length: 0\r\n\r\n", &length)
}

pub(crate) fn sdp(text: &str) -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: text.as_bytes().to_vec() }
}

pub(crate) const OUTBOUND: SessionId = SessionId::Outbound(1);

pub(crate) fn route(to: &str) -> Route {
    Route { to: to.to_owned(), proxy: None, credentials: None }
}

pub(crate) fn invite(to: &str) -> Invite {
    Invite {
        session: OUTBOUND,
        from: "sip:offhook@example.com".to_owned(),
        from_display: String::new(),
        routes: vec![route(to)],
        redirect_hosts: Vec::new(),
        headers: Vec::new(),
        body: sdp("v=0\r\n"),
    }
}
