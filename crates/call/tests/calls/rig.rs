//! One node's calls with the test in the place of everything around them. What they want done is read as lines of text,
//! so that a test shows a whole exchange, in its order.

mod lines;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use lines::line;
use offhook_call::command::{Command, ConfEnter, Construct, Content, KeySet, ReceiveDtmf, Request, SendPage};
use offhook_call::error::FileFault;
use offhook_call::event::UnixMs;
use offhook_call::gateway::{Address, DtmfWay, Gateway};
use offhook_call::id::{CallId, ConferenceId, RequestId};
use offhook_call::{
    Calls, Config, DiskEvent, Now, Output, Port, PromptFault, PromptSource, Reply, ToneDetection, conference,
};
use offhook_media::event::{
    self as media, ActionId, Alarms, Codec, Country, DigitSource, Idle, Key, Kind, LegId, LegStats, Prompt,
    VoiceMode,
};
use offhook_media::sdp::{Order, Protection, Seed};
use offhook_sip::event::{self as sip, Body, EndCause, SessionId, Transport};

/// Both codecs and telephone-events, as a telephone of RFC 3264's days would offer them.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
/// A-law only, and no telephone-events.
pub(crate) const ALAW: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\n";
/// A codec that we do not have.
pub(crate) const G729: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 18\r\n";

/// Wall time at the beginning of every test.
pub(crate) const EPOCH: i64 = 1_700_000_000_000;

pub(crate) fn config() -> Config {
    Config {
        media_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        codecs: vec![Codec::Pcma, Codec::Pcmu],
        ptime_ms: 20,
        rtcp_mux: false,
        comfort_noise: false,
        seed: Seed([7; 32]),
        max_calls: 100,
        max_calls_per_second: 100,
        max_conferences: 3,
        conference_background: media::Gain::from_decibels(-20),
        incoming_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(3600),
        transfer_timeout: Duration::from_secs(15),
        tones: ToneDetection::Auto,
        country: Country::from_code("gb").expect("known"),
        destinations: Arc::default(),
        silence_timeout: Some(Duration::from_secs(60)),
        unheard_limit: Some(Duration::from_secs(300)),
        symmetric: false,
        idle: Idle::Nothing,
        alarms: Alarms::default(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be made from the clock; every other one is this plus a duration"
)]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

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

pub(crate) fn construct() -> Construct {
    Construct {
        from_uri: "sip:1000@192.0.2.1".to_owned(),
        from_name: None,
        to_uris: vec!["sip:100@192.0.2.9:5060".to_owned()],
        max_answer: Duration::from_secs(600),
        max_ring: Duration::from_secs(50),
        user_data: Some("mark".to_owned()),
        codecs: Vec::new(),
        proxy: None,
        credentials: None,
        headers: Vec::new(),
        parent: None,
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

pub(crate) fn text(text: &str) -> Body {
    Body { content_type: "text/plain".to_owned(), bytes: text.as_bytes().to_vec() }
}

/// A gateway at `192.0.2.<number>` each, without limits.
pub(crate) fn gateway(name: &str, numbers: &[u8]) -> Gateway {
    let address = |number: &u8| Address { host: format!("192.0.2.{number}"), port: None, transport: None };
    Gateway {
        name: name.into(),
        addresses: numbers.iter().map(address).collect(),
        proxy: None,
        credentials: None,
        max_calls: 0,
        max_calls_per_second: 0,
        codecs: Vec::new(),
        codec_order: Order::Theirs,
        srtp: Protection::Off,
        dtmf: DtmfWay::Auto,
        symmetric: None,
        follow_redirects: false,
        ping: None,
        registration: None,
    }
}

pub(crate) fn keys(keys: &str) -> KeySet {
    KeySet::parse(keys).expect("keys of a test")
}

pub(crate) fn key(char: char) -> Key {
    Key::from_char(char).expect("a key of a test")
}

pub(crate) fn play(call: CallId, files: &[&str], finish_keys: &str) -> Command {
    let content = Content { sources: files.iter().map(|&file| file.into()).collect() };
    Command::PlayStart { call, content, finish_keys: keys(finish_keys), repeat: 0 }
}

/// A conference of an hour that ends when so many members are left.
pub(crate) fn open_conference(threshold: i32) -> Command {
    Command::ConferenceConstruct(Box::new(conference_of(threshold)))
}

pub(crate) fn conference_of(threshold: i32) -> conference::Construct {
    let (max, user_data) = (Duration::from_secs(3600), Some("room".to_owned()));
    conference::Construct { max, threshold, user_data, background: None, record: None }
}

pub(crate) fn of_conference(conference: ConferenceId, command: conference::Command) -> Command {
    Command::Conference { conference, command }
}

/// For five minutes, hearing and heard.
pub(crate) fn enter(call: CallId, conference: ConferenceId) -> Command {
    Command::ConfEnter(Box::new(conf_enter(call, conference)))
}

pub(crate) fn conf_enter(call: CallId, conference: ConferenceId) -> ConfEnter {
    let (max, mode) = (Duration::from_secs(300), VoiceMode::HearAndSpeak);
    ConfEnter { call, conference, max, mode, volume: 0, welcome: None }
}

/// Four keys at most, `#` ends, three seconds for the first and one for each other.
pub(crate) fn detect(call: CallId, kinds: &[Kind]) -> Command {
    let kinds = kinds.iter().copied().collect();
    Command::DetectStart { call, kinds, max: Duration::from_secs(30), country: None }
}

pub(crate) fn receive(call: CallId, prompt: Option<&str>) -> ReceiveDtmf {
    ReceiveDtmf {
        call,
        valid_keys: keys("0123456789#"),
        max_keys: 4,
        finish_keys: keys("#"),
        first_key_timeout: Duration::from_secs(3),
        next_key_timeout: Duration::from_secs(1),
        prompt: prompt.map(|file| Content { sources: vec![file.into()] }),
        repeat: 0,
        break_on_key: true,
        include_finish_key: false,
        flush: false,
    }
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
