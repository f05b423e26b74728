//! The far end that is a user agent like ours, and the people who use it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use offhook_sip::event::{
    Body, Command, CommandError, EndCause, Event, InDialog, Incoming, Invite, RequestId, Route, SessionId,
};
use offhook_sip::{Config, Endpoint, Gateway, SessionTimer};

use crate::message::description;
use crate::wire::{OURS, PEER, address};
use crate::world::{Happening, People, World};

/// How long anybody waits at most for an answer, or talks, in milliseconds.
const PATIENCE: u64 = 90_000;

/// The life of one session, as its people heard it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) connected: bool,
    pub(crate) ended: Option<EndCause>,
    requests: HashSet<RequestId>,
    transferring: bool,
    /// Where its media comes from.
    port: u16,
}

/// A user agent and what its sessions have come to.
pub(crate) struct Peer {
    pub(crate) endpoint: Endpoint,
    pub(crate) stories: HashMap<SessionId, Story>,
    calls: u64,
}

impl Peer {
    pub(crate) fn new(refresh: Duration, seed: u64) -> Self {
        let gateway = Gateway {
            name: "offhook".into(),
            networks: vec!["192.0.2.1".parse().expect("an address is a network")],
            challenge: None,
            challenge_inside: false,
            pin_source: false,
        };
        let session_timer = SessionTimer { expires: refresh, ..SessionTimer::default() };
        let config =
            Config { gateways: vec![gateway], session_timer, tcp: vec![PEER], ..Config::new(vec![PEER]) };
        let mut secret = [9; 32];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        Self { endpoint: Endpoint::new(config, secret), stories: HashMap::new(), calls: 0 }
    }

    fn begin(&mut self, session: SessionId) -> Body {
        let number = u16::try_from(self.stories.len() % 10_000).expect("small");
        let port = 20_000 + 2 * number;
        let before = self.stories.insert(session, Story { port, ..Story::default() });
        assert!(before.is_none(), "a session begins once");
        self.describe(session)
    }

    fn describe(&self, session: SessionId) -> Body {
        let port = self.stories[&session].port;
        Body { content_type: "application/sdp".to_owned(), bytes: description(9, port).into_bytes() }
    }

    /// A session of which something is heard: it has begun, and it has not ended.
    fn story(&mut self, session: SessionId) -> &mut Story {
        let story = self.stories.get_mut(&session).expect("a session that began");
        assert_eq!(story.ended, None, "{session:?}: Ended is the last event");
        story
    }

    /// At the end of the world all sessions have ended, and nothing is left of them.
    pub(crate) fn end(&self) {
        let open = self.stories.iter().find(|(_, story)| story.ended.is_none());
        assert!(open.is_none(), "never ended: {open:?}");
        let counters = self.endpoint.counters();
        assert_eq!((counters.sessions, counters.transactions), (0, 0), "left over at the peer");
    }
}

impl World {
    /// Somebody at the peer calls us, and is patient or not.
    pub(crate) fn peer_calls(&mut self) {
        let session = SessionId::Outbound(self.peer.calls);
        self.peer.calls += 1;
        let body = self.peer.begin(session);
        let by_tcp = self.setting.people == People::Anything && self.chance(25);
        let to = format!("sip:4000@{OURS}{}", if by_tcp { ";transport=tcp" } else { "" });
        let invite = Invite {
            session,
            from: "sip:alice@192.0.2.9".to_owned(),
            from_display: String::new(),
            routes: vec![Route { to, proxy: None, credentials: None }],
            redirect_hosts: Vec::new(),
            headers: Vec::new(),
            body,
        };
        self.command_peer(Command::Invite(Box::new(invite)));
        if self.setting.people == People::Anything && self.chance(25) {
            self.soon(6_000, Happening::Peer(Command::Cancel { session, reason: None }));
        }
        self.later(PATIENCE, Happening::Peer(Command::Cancel { session, reason: None }));
    }

    /// What its people want may come too late.
    pub(crate) fn command_peer(&mut self, command: Command) {
        let result = self.peer.endpoint.command(self.now().mono, command.clone());
        match (result, command) {
            (Ok(()), Command::Request { session, request, .. }) => {
                assert!(self.peer.story(session).requests.insert(request));
            }
            (Ok(()), Command::Refer { session, .. }) => self.peer.story(session).transferring = true,
            (Ok(()) | Err(CommandError::Unknown | CommandError::WrongState), _) => {}
            (Err(error), command) => panic!("{error}: {command:?}"),
        }
    }

    /// Takes out what the peer sends and tells; whether there was anything.
    pub(crate) fn hear_peer(&mut self) -> bool {
        let mut is_quiet = true;
        while let Some(message) = self.peer.endpoint.poll_transmit() {
            is_quiet = false;
            self.send_sip(message.flow.transport, PEER, message.flow.remote, &message.bytes);
        }
        while let Some(event) = self.peer.endpoint.poll_event() {
            is_quiet = false;
            self.peer_hears(event);
        }
        !is_quiet
    }

    fn peer_hears(&mut self, event: Event) {
        match event {
            Event::Incoming(incoming) => {
                self.peer.begin(incoming.session);
                self.peer_picks_up(*incoming);
            }
            Event::Answered { session, body, .. } | Event::Acked { session, body } => {
                let story = self.peer.story(session);
                let (first, port) = (!std::mem::replace(&mut story.connected, true), story.port);
                if let Some(body) = body {
                    self.peer_speaks(port, &body);
                }
                if first {
                    self.peer_talks(session);
                }
            }
            Event::Replied { session, request, .. } => {
                assert!(self.peer.story(session).requests.remove(&request), "one reply to each request");
            }
            Event::Transfer { session, status, .. } => {
                let story = self.peer.story(session);
                assert!(story.transferring, "nothing after the last word");
                story.transferring = status < 200;
            }
            Event::Referred { session, .. } => {
                self.peer.story(session);
                let status = if self.rng.bool() { 202 } else { 603 };
                self.soon(5_000, Happening::Peer(Command::AnswerRefer { session, status }));
                for status in [180, 200] {
                    self.soon(20_000, Happening::Peer(Command::ReferStatus { session, status }));
                }
            }
            Event::Offer { session, .. } => {
                self.peer.story(session);
                let body = self.peer.describe(session);
                self.command_peer(Command::Accept { session, body });
            }
            Event::Ended { session, cause } => {
                let story = self.peer.story(session);
                assert!(story.requests.is_empty() && !story.transferring, "told before the end");
                story.ended = Some(cause);
                let port = story.port;
                self.voices.remove(&address(9, port));
            }
            Event::Message(_) => {}
            Event::Sent { session, .. }
            | Event::Provisional { session, .. }
            | Event::Unavailable { session, .. }
            | Event::Updated { session, .. }
            | Event::Info { session, .. } => {
                self.peer.story(session);
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }

    fn peer_speaks(&mut self, port: u16, body: &Body) {
        let description = String::from_utf8_lossy(&body.bytes).into_owned();
        self.may_speak(address(9, port), &description);
    }

    fn peer_picks_up(&mut self, incoming: Incoming) {
        let session = incoming.session;
        if let Some(body) = &incoming.body {
            let port = self.peer.stories[&session].port;
            self.peer_speaks(port, body);
        }
        let answer = Command::Answer { session, body: self.peer.describe(session) };
        let refusal = |status| Command::Reject { session, status, headers: Vec::new() };
        let ring = Command::Progress { session, status: 180, body: None };
        if self.setting.people == People::Polite {
            self.later(100, Happening::Peer(ring));
            return self.later(1_000, Happening::Peer(answer));
        }
        match self.rng.u8(..100) {
            ..15 => self.soon(1_000, Happening::Peer(refusal(486))),
            15..25 => self.soon(1_000, Happening::Peer(ring)),
            25..35 => {
                let body = Some(self.peer.describe(session));
                self.soon(1_000, Happening::Peer(Command::Progress { session, status: 183, body }));
                self.soon(6_000, Happening::Peer(answer));
            }
            often => {
                self.soon(1_000, Happening::Peer(ring));
                self.soon(5_000, Happening::Peer(answer));
                if often < 45 {
                    self.soon(5_000, Happening::Peer(Command::Bye { session, reason: None }));
                }
            }
        }
        self.later(PATIENCE, Happening::Peer(refusal(480)));
    }

    /// Keys, messages and transfers at any moment, and at last the end.
    fn peer_talks(&mut self, session: SessionId) {
        let bye = Command::Bye { session, reason: None };
        if self.setting.people == People::Polite {
            // The other side hangs up where it has called.
            if matches!(session, SessionId::Outbound(_)) {
                self.later(crate::loss::TALK, Happening::Peer(bye));
            }
            return;
        }
        for number in 0..self.rng.u64(..3) {
            let (method, content_type, text) = if self.rng.bool() {
                (InDialog::Info, "application/dtmf-relay", "Signal=1\r\nDuration=100\r\n")
            } else {
                (InDialog::Message, "text/plain", "hello")
            };
            let body = Body { content_type: content_type.to_owned(), bytes: text.as_bytes().to_vec() };
            let ask = Command::Request { session, request: RequestId(number), method, body };
            self.soon(20_000, Happening::Peer(ask));
        }
        if self.chance(20) {
            let to = "sip:400@192.0.2.40".to_owned();
            self.soon(20_000, Happening::Peer(Command::Refer { session, to }));
        }
        let talk = if self.chance(70) { 20_000 } else { PATIENCE };
        self.soon(talk, Happening::Peer(bye.clone()));
        self.later(PATIENCE, Happening::Peer(bye));
    }
}
