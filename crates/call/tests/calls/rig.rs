//! One node's calls with the test in the place of everything around them. What they want done is read as lines of text,
//! so that a test shows a whole exchange, in its order.

mod lines;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use lines::line;
use offhook_call::command::{Command, Construct, Request, SendPage};
use offhook_call::error::FileFault;
use offhook_call::event::UnixMs;
use offhook_call::id::{CallId, ConferenceId, RequestId};
use offhook_call::{Calls, Config, DiskEvent, Now, Output, Port, PromptFault, PromptSource, Reply};
use offhook_media::event::{self as media, ActionId, Codec, DigitSource, Kind, LegId, LegStats, Prompt};
use offhook_sip::event::{self as sip, Body, EndCause, SessionId, Transport};
pub(crate) use offhook_worlds::asks::{
    conf_enter, conference_of, construct, files, key, keys, of_conference, receive, spoken, text,
};
pub(crate) use offhook_worlds::node::{EPOCH, config, epoch, gateway};

/// Both codecs and telephone-events, as a telephone of RFC 3264's days would offer them.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
/// A-law only, and no telephone-events.
pub(crate) const ALAW: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\n";
/// A codec that we do not have.
pub(crate) const G729: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 18\r\n";

pub(crate) struct Rig {
    pub(crate) calls: Calls,
    start: Instant,
    elapsed: Duration,
    requests: u64,
    sessions: u64,
}

impl Rig {
    /// One application listens, and ten ports are spare.
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let mut calls = Calls::new(config, 1);
        calls.set_applications(1);
        for port in 0..10 {
            calls.lease(Port(20000 + 2 * port));
        }
        Self { calls, start: epoch(), elapsed: Duration::ZERO, requests: 0, sessions: 0 }
    }

    pub(crate) fn now(&self) -> Now {
        let millis = i64::try_from(self.elapsed.as_millis()).expect("a test of some hours");
        Now { mono: self.start + self.elapsed, wall: UnixMs(EPOCH + millis) }
    }

    /// Lets time pass; what comes due comes due at its moment.
    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<String> {
        let end = self.elapsed + duration;
        while let Some(deadline) = self.calls.poll_timeout().filter(|&at| at <= self.start + end) {
            self.elapsed = self.elapsed.max(deadline - self.start);
            let now = self.now();
            self.calls.handle_timeout(now);
        }
        self.elapsed = end;
        self.lines()
    }

    pub(crate) fn ms(&mut self, millis: u64) -> Vec<String> {
        self.wait(Duration::from_millis(millis))
    }

    pub(crate) fn secs(&mut self, secs: u64) -> Vec<String> {
        self.wait(Duration::from_secs(secs))
    }

    pub(crate) fn request(&mut self, command: Command) -> Vec<String> {
        self.requests += 1;
        self.calls.request(self.now(), Request { id: RequestId(self.requests), command });
        self.lines()
    }

    pub(crate) fn sip(&mut self, event: sip::Event) -> Vec<String> {
        self.calls.sip(self.now(), event);
        self.lines()
    }

    pub(crate) fn media(&mut self, event: media::Event) -> Vec<String> {
        self.calls.media(self.now(), event);
        self.lines()
    }

    pub(crate) fn disk(&mut self, event: DiskEvent) -> Vec<String> {
        self.calls.disk(self.now(), event);
        self.lines()
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.calls.poll_output()).collect()
    }

    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.outputs().iter().map(line).collect()
    }

    /// An INVITE comes in.
    pub(crate) fn invite(&mut self, body: Option<&str>) -> Vec<String> {
        self.sessions += 1;
        let incoming = incoming(self.sessions, body);
        self.sip(sip::Event::Incoming(Box::new(incoming)))
    }

    /// An inbound call, answered; its number is that of its session and of its leg.
    pub(crate) fn answered(&mut self) -> CallId {
        self.invite(Some(OFFER));
        let call = CallId(self.sessions);
        self.request(answer(call));
        self.sip(acked(call));
        call
    }

    pub(crate) fn get(&mut self, call: CallId) -> offhook_call::Snapshot {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.calls.request(self.now(), Request { id, command: Command::Get { call } });
        match self.outputs().pop() {
            Some(Output::Reply { result: Ok(Reply::Snapshot(snapshot)), request }) if request == id => {
                *snapshot
            }
            other => panic!("no snapshot of {call:?}: {other:?}"),
        }
    }

    /// Nothing is left of any call.
    pub(crate) fn is_clean(&self) -> bool {
        self.calls.live() == 0 && self.calls.conferences() == 0 && self.calls.remembered() == 0
    }
}

pub(crate) fn incoming(session: u64, body: Option<&str>) -> sip::Incoming {
    let address = |port| std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    sip::Incoming {
        session: SessionId::Inbound(session),
        flow: sip::Flow {
            transport: Transport::Udp,
            local: address(5060),
            remote: address(5070),
            name: None,
        },
        gateway: "peer".into(),
        request_uri: "sip:4000;phone-context=x@198.51.100.1:5060".to_owned(),
        from: "sip:alice@192.0.2.7".to_owned(),
        from_display: String::new(),
        to: "sip:4000@198.51.100.1".to_owned(),
        call_id: format!("call-id-{session}"),
        body: body.map(sdp),
        headers: Vec::new(),
    }
}

pub(crate) fn sdp(text: &str) -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: text.as_bytes().to_vec() }
}

/// The session of the nth call, where all calls before it came in too.
pub(crate) fn inbound(call: CallId) -> SessionId {
    SessionId::Inbound(call.0)
}

pub(crate) fn acked(call: CallId) -> sip::Event {
    sip::Event::Acked { session: inbound(call), body: None }
}

pub(crate) fn bye(session: SessionId) -> sip::Event {
    sip::Event::Ended { session, cause: EndCause::Bye { reason: None } }
}

pub(crate) fn ended(session: SessionId, cause: EndCause) -> sip::Event {
    sip::Event::Ended { session, cause }
}

pub(crate) fn answer(call: CallId) -> Command {
    Command::Answer {
        call,
        max_answer: Duration::from_secs(600),
        user_data: Some("mark".to_owned()),
        codec: None,
    }
}

/// A call to these, in their order.
pub(crate) fn call_to(uris: &[&str]) -> Command {
    let to_uris = uris.iter().map(|&uri| uri.to_owned()).collect();
    Command::Construct(Box::new(Construct { to_uris, ..construct() }))
}

/// A message outside of any call.
pub(crate) fn page(to_uri: &str) -> Command {
    let (from_uri, to_uri) = ("sip:1000@192.0.2.1".to_owned(), to_uri.to_owned());
    Command::SendPage(Box::new(SendPage { from_uri, to_uri, body: text("hello") }))
}

pub(crate) fn play(call: CallId, files: &[&str], finish_keys: &str) -> Command {
    let content = self::files(files);
    Command::PlayStart { call, content, finish_keys: keys(finish_keys), repeat: 0 }
}

/// A conference of an hour that ends when so many members are left.
pub(crate) fn open_conference(threshold: i32) -> Command {
    Command::ConferenceConstruct(Box::new(conference_of(threshold)))
}

/// For five minutes, hearing and heard.
pub(crate) fn enter(call: CallId, conference: ConferenceId) -> Command {
    Command::ConfEnter(Box::new(conf_enter(call, conference)))
}

/// Four keys at most, `#` ends, three seconds for the first and one for each other.
pub(crate) fn detect(call: CallId, kinds: &[Kind]) -> Command {
    let kinds = kinds.iter().copied().collect();
    Command::DetectStart { call, kinds, max: Duration::from_secs(30), country: None }
}

/// A second of a-law silence.
pub(crate) fn prompt() -> Arc<Prompt> {
    Arc::new(Prompt::new(Codec::Pcma, vec![0xd5; 8000]))
}

pub(crate) fn loaded(job: u64) -> DiskEvent {
    DiskEvent::Prompts { job: offhook_call::JobId(job), result: Ok(vec![prompt()]) }
}

/// A prompt of an item of a list is not there.
pub(crate) fn not_there(name: &str, item: Option<usize>) -> PromptFault {
    PromptFault { fault: FileFault::NotFound, source: PromptSource { item, ..name.into() } }
}

pub(crate) fn digit(call: CallId, char: char) -> media::Event {
    let duration = Duration::from_millis(120);
    media::Event::Digit { leg: LegId(call.0), key: key(char), source: DigitSource::Rfc4733, duration }
}

pub(crate) fn play_ended(call: CallId, action: u64, played: u64) -> media::Event {
    let played = Duration::from_millis(played);
    media::Event::PlayEnded { leg: LegId(call.0), action: ActionId(action), played }
}

pub(crate) fn leg_removed(call: CallId) -> media::Event {
    media::Event::LegRemoved {
        leg: LegId(call.0),
        stats: LegStats { packets_sent: 7, ..LegStats::default() },
    }
}
