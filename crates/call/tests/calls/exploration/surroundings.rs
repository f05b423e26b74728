//! What is around the calls while they are explored: far ends, media and disk that remember what they owe, and let it come
//! only when that is the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use offhook_call::command::{Command, Request, RingMode};
use offhook_call::error::FileFault;
use offhook_call::event::UnixMs;
use offhook_call::id::{CallId, ConferenceId, RequestId, Resource};
use offhook_call::{Calls, DiskEvent, DiskJob, JobId, Now, Output, Port, PromptFault, RecordedFile};
use offhook_media::event::{
    self as media, ActionId, LegId, RecordEnd, RecordingId, RoomCommand, RoomEvent, RoomId,
};
use offhook_sip::event::{self as sip, EndCause, Refuser, SessionId};
use offhook_worlds::checks::Checks;

use super::step::{Step, command, owed};
use crate::rig::{self, EPOCH, OFFER};

const PORTS: u16 = 8;
const SECOND: Duration = Duration::from_secs(1);

/// What an exploration begins with, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// One call that has come in.
    Inbound,
    /// One that is being dialled.
    Outbound,
    /// One that is Idle, and may have another dialled for it.
    Parent,
    /// Two that are Idle.
    Pair,
    /// Three that are Idle, and a conference.
    Conference,
    /// A conference that may have one dialled for it.
    ConferenceAndChild,
    /// One that is Idle, and a conference that plays and records.
    ConferenceSounds,
}

/// A SIP session as its far end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Ringing,
    Answered,
    Calling,
    Up,
    Over,
}

/// What the media is doing.
#[derive(Clone, Copy, Debug)]
struct Doing {
    leg: LegId,
    room: Option<RoomId>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Play,
    Digits,
    Record(RecordingId),
}

pub(crate) struct Surroundings {
    beginning: Beginning,
    calls: Calls,
    start: Instant,
    elapsed: Duration,
    requests: u64,
    callers: u64,
    sessions: BTreeMap<CallId, (SessionId, Session)>,
    legs: BTreeSet<LegId>,
    actions: BTreeMap<ActionId, Doing>,
    rooms: BTreeMap<RoomId, bool>,
    jobs: BTreeMap<JobId, DiskJob>,
    /// Open files, and whether the last of them has been handed out.
    files: BTreeMap<RecordingId, bool>,
    checks: Checks,
}

impl Surroundings {
    /// After these steps from a beginning.
    pub(crate) fn after(beginning: Beginning, path: &[Step]) -> Self {
        let mut calls = Calls::new(rig::config(), 1);
        calls.set_applications(1);
        (0..PORTS).for_each(|port| calls.lease(Port(20_000 + 2 * port)));
        let mut world = Self {
            beginning,
            calls,
            start: rig::epoch(),
            elapsed: Duration::ZERO,
            requests: 0,
            callers: 0,
            sessions: BTreeMap::new(),
            legs: BTreeSet::new(),
            actions: BTreeMap::new(),
            rooms: BTreeMap::new(),
            jobs: BTreeMap::new(),
            files: BTreeMap::new(),
            checks: Checks::default(),
        };
        world.begin();
        for step in path {
            world.take(step.clone());
        }
        world
    }

    fn begin(&mut self) {
        let callers = match self.beginning {
            Beginning::Inbound => return self.caller(),
            Beginning::Outbound => return self.ask(Command::Construct(Box::new(rig::construct()))),
            Beginning::ConferenceAndChild => 0,
            Beginning::Parent | Beginning::ConferenceSounds => 1,
            Beginning::Pair => 2,
            Beginning::Conference => 3,
        };
        for call in (1..=callers).map(CallId) {
            self.caller();
            self.take(Step::Answer(call));
            self.take(Step::Acked(call));
        }
        if self.has_conference() {
            self.ask(rig::open_conference(1));
        }
    }

    fn has_conference(&self) -> bool {
        use Beginning::*;
        matches!(self.beginning, Conference | ConferenceAndChild | ConferenceSounds)
    }

    /// Opened after all who have called.
    fn conference(&self) -> ConferenceId {
        ConferenceId(self.callers + 1)
    }

    /// What the calls hold, without names, numbers, texts and times, and what is owed to them.
    pub(crate) fn state(&self) -> String {
        let all = format!("{:?}", self.calls);
        let from = all.find("gate: ").expect("the field before the calls");
        let to = all.find("deadlines: ").expect("the field behind them");
        let owed: BTreeSet<String> = self.possible().iter().filter_map(owed).collect();
        let owed: Vec<String> = owed.into_iter().collect();
        format!("{} {}", shape(&all[from..to]), owed.join(" "))
    }

    pub(crate) fn alive(&self) -> Vec<CallId> {
        self.checks.alive()
    }

    fn now(&self) -> Now {
        let millis = i64::try_from(self.elapsed.as_millis()).expect("some hours");
        Now { mono: self.start + self.elapsed, wall: UnixMs(EPOCH + millis) }
    }

    fn caller(&mut self) {
        self.callers += 1;
        let incoming = rig::incoming(self.callers, Some(OFFER));
        self.sessions.insert(CallId(self.callers), (incoming.session, Session::Ringing));
        self.calls.sip(self.now(), sip::Event::Incoming(Box::new(incoming)));
        self.settle();
    }

    fn ask(&mut self, command: Command) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.checks.asked(id, &command);
        self.calls.request(self.now(), Request { id, command });
        self.settle();
    }

    fn sip(&mut self, event: sip::Event) {
        self.calls.sip(self.now(), event);
        self.settle();
    }

    fn media(&mut self, event: media::Event) {
        self.calls.media(self.now(), event);
        self.settle();
    }

    fn disk(&mut self, event: DiskEvent) {
        self.calls.disk(self.now(), event);
        self.settle();
    }

    /// All that can happen now.
    pub(crate) fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for call in self.alive() {
            self.requests_of(call, &mut steps);
            self.far_end_of(call, &mut steps);
            // A key means something to the actions of a lone call only.
            let is_alone = matches!(self.beginning, Beginning::Inbound | Beginning::Outbound);
            if is_alone && self.legs.contains(&LegId(call.0)) {
                steps.extend([Step::Digit(call, '5'), Step::Digit(call, '#')]);
            }
        }
        if self.has_conference() && self.calls.conferences() > 0 {
            steps.push(Step::ReleaseConference);
        }
        let may_dial = self.sessions.is_empty() && self.calls.live() == 0 && self.jobs.is_empty();
        if self.beginning == Beginning::ConferenceAndChild && may_dial {
            steps.extend(dials_for(self.conference()));
        }
        if self.beginning == Beginning::ConferenceSounds {
            steps.extend([Step::PlayToAll, Step::PlayToAllStop, Step::RecordAll, Step::RecordAllStop]);
        }
        self.owed(&mut steps);
        if self.calls.poll_timeout().is_some() {
            steps.push(Step::Due);
        }
        steps
    }

    /// What media and disk owe.
    fn owed(&self, steps: &mut Vec<Step>) {
        steps.extend(self.actions.keys().map(|&action| Step::ActionEnds(action)));
        steps.extend(self.legs.iter().map(|&leg| Step::LegGoes(leg)));
        steps.extend(self.rooms.iter().filter(|(_, closes)| **closes).map(|(&room, _)| Step::RoomGoes(room)));
        steps.extend(self.jobs.keys().flat_map(|&job| [Step::Loaded(job, true), Step::Loaded(job, false)]));
        for (&recording, &is_last) in &self.files {
            steps.push(if is_last { Step::FileCloses(recording) } else { Step::FileFails(recording) });
        }
    }

    fn requests_of(&self, call: CallId, steps: &mut Vec<Step>) {
        use Step::*;
        let first_only = |steps: &mut Vec<Step>, more: &[Step]| {
            if call == super::FIRST {
                steps.extend_from_slice(more);
            }
        };
        steps.push(Drop(call));
        match self.beginning {
            Beginning::Inbound | Beginning::Outbound => {
                steps.extend([
                    Answer(call),
                    Reject(call),
                    Redirect(call),
                    Ring(call, false),
                    Ring(call, true),
                ]);
                steps.extend([Play(call), PlayStop(call), Record(call), RecordStop(call), RecordPause(call)]);
                steps.extend([SendDigits(call), SendDigitsStop(call), Receive(call), ReceiveStop(call)]);
            }
            Beginning::Parent => {
                if self.sessions.len() == 1 {
                    first_only(steps, &dials_for(call));
                }
                first_only(steps, &[Connect(call, CallId(2), false), Connect(call, CallId(2), true)]);
                steps.push(ConnectStop(call));
            }
            Beginning::Pair => {
                let other = CallId(3 - call.0);
                steps.extend([Connect(call, other, false), ConnectStop(call), Play(call)]);
                first_only(steps, &[Connect(call, other, true)]);
            }
            Beginning::ConferenceAndChild => steps.extend([Enter(call, false), Exit(call)]),
            Beginning::ConferenceSounds => steps.extend([Enter(call, true), Exit(call)]),
            Beginning::Conference => {
                steps.extend([Enter(call, false), Exit(call)]);
                first_only(steps, &[Enter(call, true), Kick(call), Play(call)]);
            }
        }
    }

    fn far_end_of(&self, call: CallId, steps: &mut Vec<Step>) {
        match self.sessions.get(&call).map(|&(_, session)| session) {
            Some(Session::Ringing) => steps.push(Step::HangsUp(call)),
            Some(Session::Answered) => {
                steps.extend([Step::Acked(call), Step::NoAck(call), Step::HangsUp(call)]);
            }
            Some(Session::Calling) => steps.extend([
                Step::Rings(call, false),
                Step::Rings(call, true),
                Step::PicksUp(call),
                Step::Refuses(call),
            ]),
            Some(Session::Up) => steps.push(Step::HangsUp(call)),
            Some(Session::Over) | None => {}
        }
    }

    /// Lets it happen.
    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Acked(_)
            | Step::NoAck(_)
            | Step::HangsUp(_)
            | Step::Rings(..)
            | Step::PicksUp(_)
            | Step::Refuses(_) => self.far_end(&step),
            Step::Digit(call, char) => self.media(rig::digit(call, char)),
            Step::ActionEnds(action) => self.action_ends(action, RecordEnd::Stopped),
            Step::LegGoes(leg) => self.leg_goes(leg),
            Step::RoomGoes(room) => self.room_goes(room),
            Step::Loaded(job, is_good) => self.answer(job, is_good),
            Step::FileCloses(recording) => {
                self.files.remove(&recording);
                self.disk(DiskEvent::RecordingClosed { recording, file: RecordedFile::default() });
            }
            Step::FileFails(recording) => {
                self.files.remove(&recording);
                let (fault, file) = (FileFault::DiskFull, RecordedFile::default());
                self.disk(DiskEvent::RecordingFailed { recording, fault, file, duration: Duration::ZERO });
            }
            Step::Due => {
                let due = self.calls.poll_timeout().expect("a deadline");
                self.elapsed = self.elapsed.max(due.duration_since(self.start));
                self.calls.handle_timeout(self.now());
                self.settle();
            }
            request => self.ask(command(&request, self.conference())),
        }
    }

    fn far_end(&mut self, step: &Step) {
        let (&call, next) = match step {
            Step::Acked(call) => (call, Session::Up),
            Step::PicksUp(call) => (call, Session::Up),
            Step::NoAck(call) | Step::HangsUp(call) | Step::Refuses(call) => (call, Session::Over),
            Step::Rings(call, _) => (call, Session::Calling),
            _ => return,
        };
        let (session, before) = self.sessions[&call];
        self.sessions.insert(call, (session, next));
        let body = || Some(rig::sdp(OFFER));
        let over = |cause| sip::Event::Ended { session, cause };
        let event = match step {
            Step::Acked(_) => sip::Event::Acked { session, body: None },
            Step::PicksUp(_) => sip::Event::Answered { session, body: body(), also_rang: Vec::new() },
            Step::Rings(_, has_media) => {
                let (status, body) = if *has_media { (183, body()) } else { (180, None) };
                sip::Event::Provisional { session, status, body }
            }
            Step::NoAck(_) => over(EndCause::NoAck),
            Step::HangsUp(_) if before == Session::Ringing => over(EndCause::Cancelled { reason: None }),
            Step::HangsUp(_) => over(EndCause::Bye { reason: None }),
            _ => over(EndCause::Refused {
                status: 486,
                phrase: String::new(),
                by: Refuser::Peer,
                retry_after: None,
                reason: None,
                contacts: Vec::new(),
            }),
        };
        self.sip(event);
    }

    fn action_ends(&mut self, action: ActionId, end: RecordEnd) {
        let Some(Doing { leg, room, kind }) = self.actions.remove(&action) else { return };
        if let Kind::Record(recording) = kind
            && let Some(is_last) = self.files.get_mut(&recording)
        {
            *is_last = true;
        }
        let (played, duration) = (SECOND, SECOND);
        let event = match (kind, room) {
            (Kind::Play, None) => media::Event::PlayEnded { leg, action, played },
            (Kind::Digits, _) => media::Event::DigitsSent { leg, action },
            (Kind::Record(_), None) => media::Event::RecordEnded { leg, action, duration, end },
            (Kind::Play, Some(room)) => {
                media::Event::Room { room, event: RoomEvent::PlayEnded { action, played } }
            }
            (Kind::Record(_), Some(room)) => {
                let event = RoomEvent::RecordEnded { action, duration, end };
                media::Event::Room { room, event }
            }
        };
        self.media(event);
    }

    fn leg_goes(&mut self, leg: LegId) {
        self.legs.remove(&leg);
        let of_it = self.actions.iter().filter(|(_, doing)| doing.leg == leg && doing.room.is_none());
        for action in of_it.map(|(&action, _)| action).collect::<Vec<_>>() {
            self.action_ends(action, RecordEnd::LegRemoved);
        }
        self.media(rig::leg_removed(CallId(leg.0)));
    }

    fn room_goes(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        let of_it = self.actions.iter().filter(|(_, doing)| doing.room == Some(room));
        for action in of_it.map(|(&action, _)| action).collect::<Vec<_>>() {
            self.action_ends(action, RecordEnd::RoomClosed);
        }
        self.media(media::Event::Room { room, event: RoomEvent::Closed });
    }

    fn answer(&mut self, job: JobId, is_good: bool) {
        let fault = FileFault::NotFound;
        let event = match self.jobs.remove(&job) {
            Some(DiskJob::LoadPrompts { sources, .. }) => {
                let prompts = Ok(vec![rig::prompt(); sources.len()]);
                let missing = Err(PromptFault { fault, source: "a.wav".into() });
                DiskEvent::Prompts { job, result: if is_good { prompts } else { missing } }
            }
            Some(DiskJob::OpenRecording { recording, .. }) => {
                if is_good {
                    self.files.insert(recording, false);
                }
                DiskEvent::RecordingOpened { job, result: if is_good { Ok(()) } else { Err(fault) } }
            }
            Some(
                DiskJob::AbandonPrompts { .. }
                | DiskJob::AbandonRecording { .. }
                | DiskJob::DiscardRecording { .. },
            )
            | None => return,
        };
        self.disk(event);
    }

    /// Ends all that there is, and lets come what is owed, and time pass, until nothing is left.
    pub(crate) fn end(mut self) {
        for call in self.alive() {
            self.take(Step::Drop(call));
        }
        self.take(Step::ReleaseConference);
        for _ in 0..1_000 {
            let mut owed = Vec::new();
            self.owed(&mut owed);
            let next = owed.into_iter().find(|step| !matches!(step, Step::FileFails(_)));
            match next {
                Some(step) => self.take(step),
                None if self.calls.poll_timeout().is_some() => self.take(Step::Due),
                None => break,
            }
        }
        assert!(self.files.is_empty(), "open files: {:?}", self.files);
        self.checks.end(&self.calls, usize::from(PORTS));
    }

    /// Takes what the calls want done.
    fn settle(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                Output::Sip(command) => self.tell_far_end(command),
                Output::OpenLeg { port, leg, .. } => {
                    self.checks.opened(port, leg);
                    assert!(self.legs.insert(leg), "{leg:?} twice");
                }
                Output::Media(command) => self.tell_media(command),
                Output::Disk { request: DiskJob::DiscardRecording { recording }, .. } => {
                    self.files.remove(&recording);
                }
                Output::Disk { request: DiskJob::AbandonRecording { recording }, .. } => {
                    if let Some(is_last) = self.files.get_mut(&recording) {
                        *is_last = true;
                    }
                }
                Output::Disk { job, request } => {
                    self.jobs.insert(job, request);
                }
                Output::Reply { request, result } => self.checks.replied(request, result),
                Output::Event(event) => self.checks.told(self.now().mono, &event),
                Output::ConferenceEvent(event) => self.checks.conference_told(&event),
                Output::NodeEvent(event) => panic!("nothing happens to the node: {event:?}"),
                Output::TurnedAway { .. } => {}
                Output::PortReleased(port) => {
                    self.checks.freed(port);
                    self.calls.lease(port);
                }
            }
        }
        let now = self.now().mono;
        self.checks.step(&self.calls, now);
    }

    fn tell_far_end(&mut self, command: sip::Command) {
        let (session, next) = match command {
            sip::Command::Invite(invite) => {
                let SessionId::Outbound(call) = invite.session else { panic!("{invite:?}") };
                self.sessions.insert(CallId(call), (invite.session, Session::Calling));
                return;
            }
            sip::Command::Answer { session, .. } => (session, Session::Answered),
            sip::Command::Reject { session, .. }
            | sip::Command::Cancel { session, .. }
            | sip::Command::Bye { session, .. } => (session, Session::Over),
            _ => return,
        };
        let found = self.sessions.values_mut().find(|(of, _)| *of == session);
        found.expect("a session that is there").1 = next;
    }

    fn tell_media(&mut self, command: media::Command) {
        let on = |leg, kind| Doing { leg, room: None, kind };
        match command {
            media::Command::Play { leg, action, .. } => {
                self.actions.insert(action, on(leg, Kind::Play));
            }
            media::Command::SendDigits { leg, action, .. } => {
                self.actions.insert(action, on(leg, Kind::Digits));
            }
            media::Command::Record { leg, action, recording, .. }
            | media::Command::RecordConnection { first: leg, action, recording, .. } => {
                self.actions.insert(action, on(leg, Kind::Record(recording)));
            }
            media::Command::Room { room, command } => self.tell_room(room, command),
            _ => {}
        }
    }

    fn tell_room(&mut self, room: RoomId, command: RoomCommand) {
        let of = |kind| Doing { leg: LegId(0), room: Some(room), kind };
        match command {
            RoomCommand::Open { .. } => {
                self.rooms.insert(room, false);
            }
            RoomCommand::Close => {
                self.rooms.insert(room, true);
            }
            RoomCommand::Play { action, .. } => {
                self.actions.insert(action, of(Kind::Play));
            }
            RoomCommand::Record { action, recording, .. } => {
                self.actions.insert(action, of(Kind::Record(recording)));
            }
            _ => {}
        }
    }
}

/// The ways in which a call is dialled for another, or for a conference.
fn dials_for(parent: impl Into<Resource>) -> [Step; 3] {
    let parent = parent.into();
    [(RingMode::UntilRinging, true), (RingMode::Before, true), (RingMode::WhileRinging, false)]
        .map(|(mode, has_file)| Step::DialFor(parent, mode, has_file))
}

/// The names of types and variants in a text of `Debug`, and what is true or false; what repeats itself once.
fn shape(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut is_quoted = false;
    for piece in text.split('"') {
        if !is_quoted {
            let names = piece.split(|char: char| !char.is_alphanumeric() && char != '_').filter(|word| {
                word.starts_with(|char: char| char.is_ascii_uppercase()) || matches!(*word, "true" | "false")
            });
            for word in names.filter(|word| *word != "Instant") {
                if words.last() != Some(&word) {
                    words.push(word);
                }
            }
        }
        is_quoted = !is_quoted;
    }
    words.join(" ")
}
