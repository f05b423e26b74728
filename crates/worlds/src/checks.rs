//! What is promised to applications, kept as a ledger and checked after each step:
//! every request has exactly one reply; every action that began has exactly one completion, after its reply;
//! `on_released` comes exactly once and last; states follow the table; ports come back; nothing is remembered of calls
//! that are gone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::event::{Event, EventKind, Released};
use offhook_call::id::{CallId, ConferenceId, RequestId, Resource};
use offhook_call::state::State;
use offhook_call::{Calls, Port, Reply, conference};
use offhook_media::event::LegId;

/// How much later than configured a call may end (reliability G23).
const BOUND: Duration = Duration::from_secs(1);

/// How long after what a hang-up cut off `on_released` may come (`call-api.md` §3).
const APART: Duration = Duration::from_millis(5);

/// Actions by the name of their completion.
type Counts = BTreeMap<&'static str, u32>;

#[derive(Debug, Default)]
struct Ledger {
    state: Option<State>,
    begun: Counts,
    completed: Counts,
    held: bool,
    max_answer: Option<Duration>,
    /// When it was told that a hang-up had ended what the call did.
    cut_off: Option<Instant>,
    released: bool,
    port: Option<Port>,
    port_freed: bool,
}

/// What has been told of a conference.
#[derive(Debug, Default)]
struct Room {
    members: HashSet<CallId>,
    begun: Counts,
    completed: Counts,
    released: bool,
}

/// A request that is not answered.
#[derive(Debug)]
struct Asked {
    /// The completion that it begins, if it is accepted.
    begins: &'static str,
    about: Option<Resource>,
    /// The longest talk of the call that it places or answers.
    max_answer: Option<Duration>,
}

/// What has been asked and told.
#[derive(Debug, Default)]
pub struct Checks {
    open: HashMap<RequestId, Asked>,
    answered: HashSet<RequestId>,
    calls: BTreeMap<CallId, Ledger>,
    conferences: BTreeMap<ConferenceId, Room>,
    made: u64,
    told: BTreeMap<String, u32>,
}

/// What both kinds of worlds must have seen many times, or they prove nothing of it.
const SEEN: &[&str] = &[
    "answer ok",
    "answer cancelled",
    "answer no_ack",
    "answer not_negotiated",
    "answer dropped",
    "dial ok",
    "dial rejected",
    "dial ring_timeout",
    "dial not_negotiated",
    "play ok",
    "play hangup",
    "record stopped",
    "record hangup",
    "record disk_full",
    "record io",
    "send ok",
    "send hangup",
    "receive ok",
    "receive timeout",
    "receive hangup",
    "connect ok",
    "connect max_seconds",
    "connect hangup",
    "conf ok",
    "conf hangup",
    "conf kicked",
    "conference record max_seconds",
    "detected",
    "hold true",
    "hold false",
    "message ok",
    "message refused",
    "message hangup",
    "silent",
    "transfer ok",
    "transfer refused",
    "transfer hangup",
];

/// All worlds together have seen everything, and what these worlds alone can see.
pub fn saw_everything(told: &BTreeMap<String, u32>, these_alone: impl IntoIterator<Item = String>) {
    let wanted = SEEN.iter().map(|&what| what.to_owned()).chain(these_alone);
    let unseen: Vec<_> = wanted.filter(|what| told.get(what).copied().unwrap_or(0) < 5).collect();
    assert!(unseen.is_empty(), "hardly ever seen: {unseen:?} of {told:#?}");
}

/// The completion that a request begins, if it is accepted.
fn completion_of(command: &Command) -> &'static str {
    match command {
        Command::Construct(_) => "dial",
        Command::Answer { .. } => "answer",
        Command::PlayStart { .. } => "play",
        Command::RecordStart { .. } => "record",
        Command::SendDtmfStart { .. } => "send",
        Command::ReceiveDtmfStart(_) => "receive",
        Command::ConnectStart { .. } => "connect",
        Command::ConfEnter(_) => "conf",
        Command::Transfer { .. } => "transfer",
        Command::SendMessage { .. } => "message",
        Command::DetectStart { .. } => "detect",
        Command::ConferenceConstruct(construct) if construct.record.is_some() => "record",
        Command::Conference { command: conference::Command::PlayStart { .. }, .. } => "play",
        Command::Conference { command: conference::Command::RecordStart { .. }, .. } => "record",
        Command::Get { .. } => "get",
        _ => "",
    }
}

impl Ledger {
    /// The call is released: the last that is told of it, within its bounds, and with all that it began completed.
    fn release(&mut self, now: Instant, call: CallId, released: &Released) {
        self.released = true;
        assert_eq!(self.state, Some(State::Released));
        assert_eq!(self.begun, self.completed, "{call:?} is released");
        let since = self.cut_off.map(|at| now - at);
        assert!(since.is_none_or(|since| since <= APART), "{call:?} is released {since:?} later");
        if let (Some(answer), Some(max)) = (released.answer_time, self.max_answer) {
            let talked = u64::try_from(released.end.0 - answer.0).expect("forward");
            assert!(Duration::from_millis(talked) <= max + BOUND, "{call:?} talked for {talked} ms");
        }
    }
}

impl Checks {
    /// An application asks.
    pub fn asked(&mut self, request: RequestId, command: &Command) {
        let conference = match command {
            Command::Conference { conference, .. } => Some(Resource::Conference(*conference)),
            _ => None,
        };
        let about = command.call().map(Resource::Call).or(conference);
        let max_answer = match command {
            Command::Construct(construct) => Some(construct.max_answer),
            Command::Answer { max_answer, .. } => Some(*max_answer),
            _ => None,
        };
        self.open.insert(request, Asked { begins: completion_of(command), about, max_answer });
    }

    /// It is answered.
    pub fn replied(&mut self, request: RequestId, result: Result<Reply, Error>) {
        assert!(self.answered.insert(request), "{request:?} answered twice");
        let Asked { begins, about, max_answer } = self.open.remove(&request).expect("a reply to a request");
        self.made += 1;
        let name = match &result {
            Err(error) => format!("error {:?}", std::mem::discriminant(error)),
            Ok(reply) => format!("reply {:?}", std::mem::discriminant(reply)),
        };
        *self.told.entry(name).or_default() += 1;
        let about = match (&result, about) {
            (Ok(Reply::Constructed { call, .. }), _) => Resource::Call(*call),
            (Ok(Reply::ConferenceConstructed(conference)), None) => {
                let known = self.conferences.insert(*conference, Room::default());
                assert!(known.is_none() && !self.calls.contains_key(&CallId(conference.0)), "{conference:?}");
                Resource::Conference(*conference)
            }
            (Ok(Reply::Snapshot(snapshot)), Some(Resource::Call(call))) => {
                assert_eq!(Some(snapshot.state), self.calls[&call].state, "get of {call:?}");
                assert_ne!(snapshot.state, State::Released);
                return;
            }
            (Ok(_) | Err(Error::AnswerFailed { .. }), Some(about)) => about,
            (Err(Error::Internal { message }), _) => {
                // Only the disk may have been at fault.
                assert!(message.starts_with("the disk did not answer"), "{message}");
                return;
            }
            _ => return,
        };
        if let (Resource::Call(call), Some(_)) = (about, max_answer) {
            self.calls.entry(call).or_default().max_answer = max_answer;
        }
        if !begins.is_empty() {
            let begun = match about {
                Resource::Call(call) => &mut self.calls.entry(call).or_default().begun,
                Resource::Conference(conference) => {
                    &mut self.conferences.entry(conference).or_default().begun
                }
            };
            *begun.entry(begins).or_default() += 1;
        }
    }

    /// Applications are told of a call.
    pub fn told(&mut self, now: Instant, event: &Event) {
        self.made += 1;
        let ledger = self.calls.entry(event.call).or_default();
        assert!(!ledger.released, "after on_released: {event:?}");
        let (name, error) = match &event.kind {
            EventKind::AnswerCompleted { error, .. } => ("answer", error),
            EventKind::DialCompleted { error, .. } => ("dial", error),
            EventKind::PlayCompleted { error, .. } => ("play", error),
            EventKind::RecordCompleted { error, .. } => ("record", error),
            EventKind::SendDtmfCompleted { error, .. } => ("send", error),
            EventKind::ReceiveDtmfCompleted { error, .. } => ("receive", error),
            EventKind::ConnectCompleted { error, .. } => ("connect", error),
            EventKind::ConfCompleted { error, conference, .. } => {
                assert!(self.conferences.contains_key(conference), "{event:?}");
                ("conf", error)
            }
            EventKind::TransferCompleted { error, .. } => ("transfer", error),
            EventKind::MessageCompleted { error, .. } => ("message", error),
            EventKind::DetectCompleted { error, .. } => ("detect", error),
            EventKind::Detected(_) => {
                assert_ne!(ledger.begun.get("detect"), ledger.completed.get("detect"), "nobody listens");
                *self.told.entry("detected".to_owned()).or_default() += 1;
                return;
            }
            EventKind::Released(released) => {
                ledger.release(now, event.call, released);
                *self.told.entry("released".to_owned()).or_default() += 1;
                return;
            }
            EventKind::StateChanged { state, prior, .. } => {
                assert_eq!(ledger.state, *prior, "{:?}", event.call);
                assert!(prior.is_none_or(|prior| prior.may_become(*state)), "{prior:?} {state:?}");
                ledger.state = Some(*state);
                if let Some(prior) = prior {
                    *self.told.entry(format!("{} to {}", prior.name(), state.name())).or_default() += 1;
                }
                return;
            }
            EventKind::Hold { held } => {
                assert_ne!(std::mem::replace(&mut ledger.held, *held), *held, "{:?}", event.call);
                *self.told.entry(format!("hold {held}")).or_default() += 1;
                return;
            }
            EventKind::MediaAlarm(_) => {
                *self.told.entry("silent".to_owned()).or_default() += 1;
                return;
            }
            EventKind::Incoming { .. }
            | EventKind::Ringing { .. }
            | EventKind::Dtmf { .. }
            | EventKind::TransferRequested { .. }
            | EventKind::Message(_) => return,
        };
        *ledger.completed.entry(name).or_default() += 1;
        assert!(
            ledger.completed[name] <= ledger.begun.get(name).copied().unwrap_or(0),
            "too many: {event:?}"
        );
        let code = error.map_or("ok", |error| error.code());
        // A connection is cut off by the hang-up of either party.
        if code == "hangup" && matches!(name, "play" | "record" | "send" | "receive" | "conf") {
            ledger.cut_off = Some(now);
        }
        *self.told.entry(format!("{name} {code}")).or_default() += 1;
    }

    /// Applications are told of a conference.
    pub fn conference_told(&mut self, event: &conference::Event) {
        self.made += 1;
        let room = self.conferences.get_mut(&event.conference).expect("a conference that was constructed");
        assert!(!room.released, "after on_released: {event:?}");
        match event.kind {
            conference::EventKind::PartEntered { call, parts } => {
                assert!(room.members.insert(call), "entered twice: {event:?}");
                assert_eq!(room.members.len(), parts);
            }
            conference::EventKind::PartExited { call, parts } => {
                assert!(room.members.remove(&call), "was not in: {event:?}");
                assert_eq!(room.members.len(), parts);
            }
            conference::EventKind::PlayCompleted { error, .. } => {
                *room.completed.entry("play").or_default() += 1;
                self.saw(format!("conference play {}", error.map_or("ok", |error| error.code())));
            }
            conference::EventKind::RecordCompleted { error, .. } => {
                *room.completed.entry("record").or_default() += 1;
                self.saw(format!("conference record {}", error.map_or("ok", |error| error.code())));
            }
            conference::EventKind::Talking { call, .. } => {
                assert!(room.members.contains(&call), "is not in: {event:?}");
                self.saw("talking".to_owned());
            }
            conference::EventKind::Released { .. } => {
                assert!(room.members.is_empty(), "{event:?} with {:?}", room.members);
                assert_eq!(room.begun, room.completed, "{event:?}");
                room.released = true;
                self.saw("conference released".to_owned());
            }
        }
    }

    /// The media of a call is opened.
    pub fn opened(&mut self, port: Port, leg: LegId) {
        self.made += 1;
        let taken = self.calls.values().any(|ledger| ledger.port == Some(port) && !ledger.port_freed);
        assert!(!taken, "{port:?} is in use");
        self.calls.entry(CallId(leg.0)).or_default().port = Some(port);
    }

    /// The ports of a call are free again.
    pub fn freed(&mut self, port: Port) {
        self.made += 1;
        let user = self.calls.values_mut().find(|ledger| ledger.port == Some(port) && !ledger.port_freed);
        if let Some(ledger) = user {
            assert!(ledger.released, "{port:?} is free before on_released");
            ledger.port_freed = true;
        }
    }

    /// After each step.
    pub fn step(&mut self, calls: &Calls, now: Instant) {
        self.made += 1;
        for gateway in calls.gateways(now) {
            assert!(gateway.max_calls == 0 || gateway.calls <= gateway.max_calls, "{gateway:?}");
        }
        if calls.live() == 0 && calls.conferences() == 0 {
            assert_eq!(calls.remembered(), 0, "something is remembered of calls that are gone");
            assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        }
    }

    /// At the end of the world.
    pub fn end(&self, calls: &Calls, ports: usize) {
        assert_eq!(calls.live(), 0);
        assert!(self.alive().is_empty(), "never released: {:?}", self.alive());
        assert_eq!(calls.conferences(), 0);
        assert!(self.conferences.values().all(|room| room.released), "{:?}", self.conferences);
        assert_eq!(calls.spare_ports(), ports, "ports are lost");
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
    }

    /// Calls that have been heard of and are not released.
    pub fn alive(&self) -> Vec<CallId> {
        self.calls.iter().filter(|(_, ledger)| !ledger.released).map(|(&call, _)| call).collect()
    }

    /// A call and its state: mostly one that lives.
    pub fn any_call(&self, rng: &mut fastrand::Rng) -> Option<(CallId, State)> {
        let gone = rng.u8(..20) == 0;
        let calls = self.calls.iter().filter(|(_, ledger)| gone || !ledger.released);
        rng.choice(calls.collect::<Vec<_>>()).and_then(|(&call, ledger)| Some((call, ledger.state?)))
    }

    /// A call that is Idle.
    pub fn any_idle(&self, rng: &mut fastrand::Rng) -> Option<CallId> {
        let idle = self.calls.iter().filter(|(_, ledger)| ledger.state == Some(State::Idle));
        rng.choice(idle.map(|(&call, _)| call).collect::<Vec<_>>())
    }

    /// A conference: mostly one that is there.
    pub fn any_conference(&self, rng: &mut fastrand::Rng) -> Option<ConferenceId> {
        let gone = rng.u8(..20) == 0;
        let all = self.conferences.iter().filter(|(_, room)| gone || !room.released);
        rng.choice(all.map(|(&conference, _)| conference).collect::<Vec<_>>())
    }

    /// A member of it, or any call.
    pub fn any_member(&self, conference: ConferenceId, rng: &mut fastrand::Rng) -> CallId {
        let members = self.conferences.get(&conference).map(|room| &room.members);
        let member = rng.choice(members.into_iter().flatten().copied().collect::<BTreeSet<_>>());
        member.or_else(|| self.any_call(rng).map(|(call, _)| call)).unwrap_or(CallId(1))
    }

    /// A call that is not answered.
    pub fn any_unanswered(&self, rng: &mut fastrand::Rng) -> Option<CallId> {
        let initiated = self.calls.iter().filter(|(_, ledger)| ledger.state == Some(State::Initiated));
        rng.choice(initiated.map(|(&call, _)| call).collect::<Vec<_>>())
    }

    /// Something of the rest of the world that must have been seen.
    pub fn saw(&mut self, what: String) {
        *self.told.entry(what).or_default() += 1;
    }

    /// The conference that a call is in.
    pub fn conference_of(&self, call: CallId) -> Option<ConferenceId> {
        let is_in = |(_, room): &(_, &Room)| room.members.contains(&call);
        self.conferences.iter().find(is_in).map(|(&conference, _)| conference)
    }

    /// Whether a call has ports that are not free again.
    pub fn holds_port(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|ledger| ledger.port.is_some() && !ledger.port_freed)
    }

    /// Calls that have been heard of.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How often something was held against a promise: each reply, event and port, and the whole after each step.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Adds what was seen, and how often, to what other worlds saw.
    pub fn count(&self, told: &mut BTreeMap<String, u32>) {
        for (name, count) in &self.told {
            *told.entry(name.clone()).or_default() += count;
        }
    }
}
