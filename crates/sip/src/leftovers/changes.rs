//! Calls with reliable provisional responses, changes and refreshes, whose peer falls silent before each of its messages,
//! or answers only so many of ours.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{OURS, assert_empty, flow, outbound};
use crate::event::{Body, Command, Event, InDialog, RequestId, SessionId, Target, Transmit, Transport};
use crate::testing::epoch;
use crate::{Config, Endpoint};

const TIMER: &str = "Supported: timer, 100rel\r\nSession-Expires: 90;refresher=uac\r\n";

/// What a peer is like.
#[derive(Clone, Copy, Debug)]
struct Manners {
    /// How many messages of its script it sends.
    steps: usize,
    /// How many of our requests it answers, and how.
    answers: usize,
    status: &'static str,
    /// Whether it lets us refresh by UPDATE.
    allows_update: bool,
    /// The host of its Contact, and whether a name is ever resolved.
    host: &'static str,
    resolves: bool,
    /// Who hangs up after a while, if anybody does.
    hangs_up: Option<Side>,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Us,
    Peer,
}

/// A step of a script.
#[derive(Clone, Copy)]
enum Step {
    /// The peer sends this request, with these headers and this body.
    Asks(&'static str, &'static str, &'static str),
    /// The peer answers our INVITE.
    Answers(&'static str, &'static str),
    Command(fn(SessionId) -> Command),
    /// Time passes.
    Waits(u64),
}

use Step::{Answers, Asks, Command as Does, Waits};

fn sdp(text: &str) -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: text.into() }
}

const ACCEPT: Step = Does(|session| Command::Accept { session, body: sdp("ours") });
const REFUSE: Step = Does(|session| Command::Refuse { session, status: 488, headers: Vec::new() });
const INFO: Step = Does(|session| Command::Request {
    session,
    request: RequestId(1),
    method: InDialog::Info,
    body: sdp("1"),
});

const INBOUND: &[Step] = &[
    Asks("1 INVITE", TIMER, "theirs"),
    Does(|session| Command::Progress { session, status: 183, body: Some(sdp("early")) }),
    Does(|session| Command::Progress { session, status: 180, body: None }),
    Asks("2 PRACK", "RAck: {rseq} 1 INVITE\r\n", "changed"),
    ACCEPT,
    Does(|session| Command::Answer { session, body: sdp("early") }),
    Asks("3 PRACK", "RAck: {rseq} 1 INVITE\r\n", ""),
    Waits(1),
    Asks("1 ACK", "", ""),
    Asks("4 INVITE", "", "theirs too"),
    INFO,
    ACCEPT,
    Asks("4 ACK", "", ""),
    Asks("5 INVITE", "Supported: timer\r\nSession-Expires: 90\r\n", ""),
    ACCEPT,
    Waits(1),
    Asks("5 ACK", "", "theirs"),
    Asks("6 UPDATE", "Supported: timer\r\nSession-Expires: 90\r\n", "theirs again"),
    ACCEPT,
    Asks("7 INVITE", "", "nonsense"),
    REFUSE,
    Asks("7 ACK", "", ""),
    Waits(50),
    INFO,
    Asks("8 UPDATE", "", "again"),
    Waits(50),
];

const OUTBOUND: &[Step] = &[
    Does(|_| outbound(1, "127.0.0.2")),
    Answers("183 Session Progress", "Require: 100rel\r\nRSeq: 7\r\n"),
    Answers("180 Ringing", "Require: 100rel\r\nRSeq: 8\r\n"),
    Asks("1 UPDATE", "", "early"),
    ACCEPT,
    Answers("200 OK", "Require: timer\r\nSession-Expires: 90;refresher=uac\r\n"),
    Answers("200 OK", "Require: timer\r\nSession-Expires: 90;refresher=uac\r\n"),
    Asks("2 INVITE", TIMER, "theirs"),
    ACCEPT,
    Waits(1),
    Asks("2 ACK", "", ""),
    Asks("3 UPDATE", "Supported: timer\r\nSession-Expires: 90\r\n", ""),
    Waits(46),
    INFO,
    Asks("4 INVITE", "", "theirs"),
    Waits(100),
];

/// An endpoint and its peer.
struct World {
    endpoint: Endpoint,
    now: Instant,
    manners: Manners,
    session: SessionId,
    /// What the peer has learned of us: our tag, or all of our INVITE, and the last RSeq.
    ours: String,
    invite: String,
    rseq: String,
    /// How many messages of its script the peer has sent: each has a Contact of its own.
    said: usize,
    ended: usize,
    /// What was sent: methods, and statuses with the method that they answer.
    sent: BTreeSet<String>,
}

/// The value of a header.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

impl World {
    fn new(session: SessionId, manners: Manners) -> Self {
        Self {
            endpoint: Endpoint::new(Config::new(vec![OURS.parse().unwrap()]), [1; 32]),
            now: epoch(),
            manners,
            session,
            ours: String::new(),
            invite: String::new(),
            rseq: "1".to_owned(),
            said: 0,
            ended: 0,
            sent: BTreeSet::new(),
        }
    }

    /// Everything that the peer says of itself.
    fn fields(&self, headers: &str, body: &str) -> String {
        let Manners { host, allows_update, .. } = self.manners;
        let allow = if allows_update { "Allow: INVITE, UPDATE\r\n" } else { "" };
        let headers = headers.replace("{rseq}", &self.rseq);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (length, said) = (body.len(), self.said);
        format!(
            "Contact: <sip:{said}@{host}>\r\n{allow}{headers}{kind}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn request(&self, cseq: &str, headers: &str, body: &str) -> String {
        let (number, method) = cseq.split_once(' ').unwrap();
        let call_id = header(&self.invite, "Call-ID").unwrap_or("x");
        let tag = if self.ours.is_empty() { String::new() } else { format!(";tag={}", self.ours) };
        // The ACK of a refusal belongs to its INVITE.
        let branch = if method == "ACK" && number == "7" { "INVITE" } else { method };
        let mut request = format!("{method} sip:100@127.0.0.1 SIP/2.0\r\n");
        write!(request, "Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK{branch}{number}\r\n").unwrap();
        write!(request, "From: <sip:a@127.0.0.2>;tag=a\r\nTo: <sip:100@127.0.0.1>{tag}\r\n").unwrap();
        write!(request, "Call-ID: {call_id}\r\nCSeq: {cseq}\r\nMax-Forwards: 70\r\n").unwrap();
        request + &self.fields(headers, body)
    }

    fn response(&self, request: &str, status: &str, headers: &str, body: &str) -> String {
        let to = header(request, "To").unwrap();
        let tag = if to.contains(";tag=") { "" } else { ";tag=a" };
        let [via, from, call_id, cseq] =
            ["Via", "From", "Call-ID", "CSeq"].map(|name| header(request, name).unwrap());
        format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\n{}",
            self.fields(headers, body)
        )
    }

    fn receive(&mut self, message: &str) {
        self.endpoint.receive(self.now, flow(), message.as_bytes());
        self.pump();
    }

    /// The peer reads and answers what was sent, and the events are looked at.
    fn pump(&mut self) {
        while let Some(Transmit { bytes, .. }) = self.endpoint.poll_transmit() {
            let message = String::from_utf8(bytes).unwrap();
            let cseq = header(&message, "CSeq").unwrap().split_once(' ').unwrap().1;
            let status = message.strip_prefix("SIP/2.0 ").map(|rest| format!("{} ", &rest[..3]));
            self.sent.insert(status.unwrap_or_default() + cseq);
            if message.starts_with("SIP/2.0 ") {
                if let Some((_, tag)) = header(&message, "To").unwrap().split_once(";tag=")
                    && header(&message, "CSeq") == Some("1 INVITE")
                {
                    tag.clone_into(&mut self.ours);
                }
                if let Some(rseq) = header(&message, "RSeq") {
                    rseq.clone_into(&mut self.rseq);
                }
            } else if message.starts_with("INVITE ") && self.invite.is_empty() && self.ours.is_empty() {
                header(&message, "From").unwrap().split_once(";tag=").unwrap().1.clone_into(&mut self.ours);
                self.invite = message;
            } else if !message.starts_with("ACK ") && message != self.invite && self.manners.answers > 0 {
                self.manners.answers -= 1;
                self.answer(&message);
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.ended += usize::from(matches!(event, Event::Ended { .. }));
            if let (Event::Resolve { query, .. }, true) = (event, self.manners.resolves) {
                let address = "127.0.0.2:5060".parse().unwrap();
                let targets = vec![Target { transport: Transport::Udp, address, name: None }];
                self.endpoint.command(self.now, Command::Resolved { query, targets }).unwrap();
                self.pump();
            }
        }
    }

    fn answer(&mut self, request: &str) {
        let timer = "Require: timer\r\nSession-Expires: 90;refresher=uac\r\nMin-SE: 100\r\n";
        let invite = request.starts_with("INVITE ");
        let body = if invite && self.manners.status.starts_with('2') { "elsewhere" } else { "" };
        let response = self.response(request, self.manners.status, timer, body);
        self.receive(&response);
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|&at| at <= until) {
            self.now = at;
            self.endpoint.handle_timeout(at);
            self.pump();
        }
        self.now = until;
    }

    fn play(&mut self, script: &[Step]) {
        for step in script {
            let silent = self.said == self.manners.steps;
            match *step {
                Asks(cseq, headers, body) if !silent => {
                    self.said += 1;
                    self.receive(&self.request(cseq, headers, body));
                }
                Answers(status, headers) if !silent => {
                    self.said += 1;
                    self.receive(&self.response(&self.invite, status, headers, "theirs"));
                }
                // Whether it is welcome depends on what the peer has said.
                Does(command) => drop(self.endpoint.command(self.now, command(self.session))),
                Waits(seconds) => self.pass(Duration::from_secs(seconds)),
                Asks(..) | Answers(..) => {}
            }
            self.pump();
        }
    }

    /// The call ends, by itself if nobody hangs up, and all is forgotten.
    fn finish(&mut self) {
        let session = self.session;
        match self.manners.hangs_up {
            Some(Side::Us) => drop(self.endpoint.command(self.now, Command::Bye { session, reason: None })),
            Some(Side::Peer) => self.receive(&self.request("99 BYE", "", "")),
            None => {}
        }
        self.pump();
        self.manners.answers = self.manners.answers.min(3);
        // Long enough for the session interval that we ask for ourselves, some times over.
        self.pass(Duration::from_secs(7200));
        // Whoever is called but says nothing is not made to.
        let _ =
            self.endpoint.command(self.now, Command::Reject { session, status: 480, headers: Vec::new() });
        let _ = self.endpoint.command(self.now, Command::Cancel { session, reason: None });
        self.pass(Duration::from_secs(7200));
        assert_eq!((self.ended, self.endpoint.poll_timeout()), (1, None), "{:?}", self.manners);
        assert_empty(&self.endpoint);
    }
}

fn every_peer(script: &[Step], session: SessionId, first: usize) {
    let spoken = script.iter().filter(|step| matches!(step, Asks(..) | Answers(..))).count();
    for steps in first..=spoken {
        for answers in [0, 1, 2, 3, 100] {
            for status in ["200 OK", "422 Session Interval Too Small", "491 Request Pending", "405 No"] {
                for (host, resolves) in
                    [("127.0.0.2", false), ("pbx.example.com", true), ("pbx.example.com", false)]
                {
                    for hangs_up in [None, Some(Side::Us), Some(Side::Peer)] {
                        let allows_update = (steps + answers) % 2 == 0;
                        let manners =
                            Manners { steps, answers, status, allows_update, host, resolves, hangs_up };
                        let mut world = World::new(session, manners);
                        world.play(script);
                        world.finish();
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_left_of_inbound_calls_with_prack_changes_and_refreshes() {
    every_peer(INBOUND, SessionId::Inbound(1), 1);
}

#[test]
fn nothing_is_left_of_outbound_calls_with_prack_changes_and_refreshes() {
    every_peer(OUTBOUND, SessionId::Outbound(1), 0);
}

/// A peer that plays its part to the end sees all of this.
#[test]
fn the_scripts_lead_where_they_should() {
    const INBOUND_SENT: &str = "180 INVITE, 183 INVITE, 200 INVITE, 200 PRACK, 200 UPDATE, 488 INVITE, \
        504 UPDATE, INFO, UPDATE";
    const OUTBOUND_SENT: &str = "100 INVITE, 200 INVITE, 200 UPDATE, ACK, INFO, INVITE, PRACK";
    let plays = [
        (INBOUND, SessionId::Inbound(1), true, INBOUND_SENT),
        (OUTBOUND, SessionId::Outbound(1), false, OUTBOUND_SENT),
    ];
    for (script, session, allows_update, expected) in plays {
        let (steps, answers, status, host) = (100, 100, "200 OK", "127.0.0.2");
        let manners =
            Manners { steps, answers, status, allows_update, host, resolves: false, hangs_up: None };
        let mut world = World::new(session, manners);
        world.play(script);
        let missing: Vec<_> = expected.split(", ").filter(|&one| !world.sent.contains(one)).collect();
        assert!(missing.is_empty() && world.ended == 0, "{missing:?} of {:?}", world.sent);
    }
}
