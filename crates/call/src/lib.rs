//! The call resources, sans-IO: a strict state machine between SIP, media and applications.
//!
//! ```text
//!   requests ──┐                      ┌── replies, events      (applications)
//!   sip events ┼──▶  Calls (a value) ─┼── sip commands
//!   media events┤                     ├── media commands
//!   disk results┘                     └── disk jobs
//! ```
//! [`Calls`] owns every call. It is given what happened and when, and is polled for what to do next; it has no socket,
//! no thread, no lock and no clock. Here calls are found by the names that the outside knows them by; what happens to a call
//! is in `call`, what it does in `action`, whether a request is allowed in [`admit`], which states follow which in
//! [`state`].

mod action;
pub mod admit;
mod call;
pub mod cause;
pub mod command;
pub mod conference;
mod disk;
pub mod error;
pub mod event;
mod gate;
pub mod gateway;
pub mod id;
mod info;
mod message;
mod node;
mod output;
pub mod prompt;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, Codec, Country};
use offhook_media::sdp::{Destinations, Seed};
use offhook_sip::event as sip;

use crate::action::notice::News;
use crate::call::{Call, Input, inbound, initiated};
use crate::cause::TurnedAway;
use crate::command::{Command, Construct, Request};
pub use crate::disk::{DiskEvent, DiskJob, JobId, PromptFault, PromptSource, RecordedFile, Sound, Speech};
use crate::error::{Direction, Error};
use crate::event::{NodeEventKind, UnixMs};
use crate::gate::Gate;
use crate::gateway::{Gateway, GatewayStatus};
use crate::id::{CallId, ConferenceId, RequestId, Resource};
use crate::node::{Context, Letter, Node, recording_of};
pub use crate::output::{Output, Reply, Snapshot};
use crate::state::State;

/// A moment, as the monotonic clock that deadlines go by and the wall clock that events are stamped with.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub mono: Instant,
    /// For stamps.
    pub wall: UnixMs,
}

/// What every call of the node has in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that our SDP names.
    pub media_address: IpAddr,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// Packet time to ask for and to send, in milliseconds.
    pub ptime_ms: u8,
    /// Whether our offers let RTCP come to the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether pauses may be described as comfort noise (RFC 3389).
    pub comfort_noise: bool,
    /// What the keys of protected media are drawn from; another one each time that the node starts.
    pub seed: Seed,
    /// The most calls at a time.
    pub max_calls: usize,
    /// The most new calls in a second.
    pub max_calls_per_second: u32,
    /// The most conferences at a time.
    pub max_conferences: usize,
    /// How loud the background of a conference is.
    pub conference_background: media::Gain,
    /// How long an inbound call waits for an application to act on it.
    pub incoming_timeout: Duration,
    /// How long an idle call waits for a request; zero for ever.
    pub idle_timeout: Duration,
    /// How long the far end's wish to be transferred waits for an application to act on it.
    pub transfer_timeout: Duration,
    /// When in-band tones are searched for digits.
    pub tones: ToneDetection,
    /// Whose ring-back tone is heard of a far end that rings without a sound.
    pub country: Country,
    /// Where media may be sent.
    pub destinations: Arc<Destinations>,
    /// How long a far end that has agreed to send may send nothing before it is hung up: an alarm at half of it; none
    /// for ever.
    pub silence_timeout: Option<Duration>,
    /// How much media is sent to an address that nothing has come from; none for any amount.
    pub unheard_limit: Option<Duration>,
    /// Whether a far end may turn out to be at another address than it named (symmetric RTP), unless its gateway says
    /// otherwise.
    pub symmetric: bool,
    /// What a far end hears while there is nothing for it to hear.
    pub idle: media::Idle,
    /// From when on it is told that the media flows badly.
    pub alarms: media::Alarms,
}

/// When in-band tones are searched for digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToneDetection {
    /// Where telephone-events are not negotiated.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A pair of local ports whose sockets are open and wait for a leg: RTP on `0`, RTCP on the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port(pub u16);

/// Every call of the node, and every conference.
#[derive(Debug)]
pub struct Calls {
    node: Node,
    gate: Gate,
    /// By pointer: a call is taken out and put back with every input, and its neighbours in the tree would have to move.
    calls: BTreeMap<CallId, Box<Entry>>,
    conferences: BTreeMap<ConferenceId, conference::Entry>,
    /// When each wants to be told that time has passed. One whose deadline has moved on meanwhile finds nothing to do when
    /// it is told, and is told again.
    deadlines: BTreeSet<(Instant, Resource)>,
    next_serial: u64,
}

/// A call, and its entry among the deadlines.
#[derive(Debug)]
struct Entry {
    call: Call,
    deadline: Option<Instant>,
}

impl Calls {
    /// No calls yet; `first_serial` is above every serial that the node has ever used.
    pub fn new(config: Config, first_serial: u64) -> Self {
        Self {
            node: Node::new(config, first_serial),
            gate: Gate::default(),
            calls: BTreeMap::new(),
            conferences: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_serial: first_serial,
        }
    }

    /// Handles a request. Every request gets exactly one [`Output::Reply`], at once or later.
    pub fn request(&mut self, now: Now, request: Request) {
        let Request { id, command } = request;
        if let Some(entry) = command.call().and_then(|call| self.calls.get_mut(&call)) {
            entry.call.touch(now.mono);
        }
        let result = match self.judge(&command) {
            Err(error) => Err(error),
            Ok(()) => match command {
                Command::Construct(construct) => return self.dial(now, id, construct),
                Command::ConferenceConstruct(construct) => {
                    return self.construct_conference(now, id, *construct);
                }
                Command::Conference { conference, command } => {
                    return self.ask_conference(now, id, conference, command);
                }
                Command::ConferenceList { after, limit } => Ok(self.list_conferences(after, limit)),
                Command::SendPage(page) => message::send(&mut self.context(now), *page),
                Command::Gateways => Ok(Reply::Gateways(self.gateways(now.mono))),
                Command::List { state, after, limit } => Ok(self.list(state, after, limit)),
                Command::Exists { call } => Ok(Reply::Exists(self.calls.contains_key(&call))),
                Command::Get { call } => self.snapshot(call),
                Command::Nop { .. } => Ok(Reply::Done),
                command => match command.call() {
                    Some(call) => return self.handle(call, now, self.asked(id, command)),
                    None => Ok(Reply::Done),
                },
            },
        };
        self.context(now).reply(id, result);
    }

    /// Other gateways than before: what is not there any more is neither asked nor registered with from now on.
    pub fn set_gateways(&mut self, gateways: Vec<Gateway>) {
        let commands = self.node.gateways.replace(gateways);
        self.node.outputs.extend(commands.into_iter().map(Output::Sip));
    }

    /// Takes over the limits of another configuration, and nothing else of it. What is already waited for is waited for as long
    /// as it was to be.
    pub fn set_limits(&mut self, config: &Config) {
        let own = &mut self.node.config;
        own.max_calls = config.max_calls;
        own.max_calls_per_second = config.max_calls_per_second;
        own.max_conferences = config.max_conferences;
        own.incoming_timeout = config.incoming_timeout;
        own.idle_timeout = config.idle_timeout;
        own.transfer_timeout = config.transfer_timeout;
    }

    /// What is known of each gateway, in the order of the configuration.
    pub fn gateways(&self, now: Instant) -> Vec<GatewayStatus> {
        self.node.gateways.status(now)
    }

    /// Handles news of the SIP user agent. [`sip::Event::Resolve`] is not for calls and is passed over.
    pub fn sip(&mut self, now: Now, event: sip::Event) {
        let session = match &event {
            sip::Event::Acked { session, .. }
            | sip::Event::Sent { session, .. }
            | sip::Event::Unavailable { session, .. }
            | sip::Event::Provisional { session, .. }
            | sip::Event::Answered { session, .. }
            | sip::Event::Info { session, .. }
            | sip::Event::Offer { session, .. }
            | sip::Event::Updated { session, .. }
            | sip::Event::Replied { session, .. }
            | sip::Event::Transfer { session, .. }
            | sip::Event::Referred { session, .. }
            | sip::Event::Ended { session, .. } => Some(*session),
            sip::Event::Message(message) => message.session,
            sip::Event::Incoming(_)
            | sip::Event::Resolve { .. }
            | sip::Event::Paged { .. }
            | sip::Event::Registration { .. }
            | sip::Event::Gateway { .. } => None,
        };
        match session.and_then(|session| self.node.routes.session(session)) {
            Some(call) => self.handle(call, now, Input::Sip(event)),
            None => self.sip_of_no_call(now, event),
        }
    }

    fn sip_of_no_call(&mut self, now: Now, event: sip::Event) {
        match event {
            sip::Event::Incoming(incoming) => self.incoming(now, *incoming),
            sip::Event::Paged { page, status } => message::paged(&mut self.context(now), page, status),
            sip::Event::Message(message) => {
                let sip::IncomingMessage { gateway, from, to, body, .. } = *message;
                let message = event::Message { from_uri: from, to_uri: to, body };
                self.context(now).tell_node(NodeEventKind::Message { gateway, message });
            }
            sip::Event::Registration { account, state } => {
                let news = self.node.gateways.registered(account, state);
                news.into_iter().for_each(|news| self.context(now).tell_node(news));
            }
            sip::Event::Gateway { gateway, up, status } => {
                if let Some((news, register)) = self.node.gateways.pinged(&gateway, up, status) {
                    self.context(now).tell_node(news);
                    self.node.outputs.extend(register.map(Output::Sip));
                }
            }
            // The call is over; its session still comes to rest.
            _ => {}
        }
    }

    /// Handles news of a media engine.
    pub fn media(&mut self, now: Now, event: media::Event) {
        let leg = match event {
            media::Event::Room { room, event } => {
                let conference = ConferenceId(room.0);
                return self.handle_conference(conference, now, conference::Input::Room(event));
            }
            media::Event::Digit { leg, .. }
            | media::Event::Detected { leg, .. }
            | media::Event::PlayEnded { leg, .. }
            | media::Event::RecordEnded { leg, .. }
            | media::Event::DigitsSent { leg, .. }
            | media::Event::Stats { leg, .. }
            | media::Event::Silent { leg }
            | media::Event::Heard { leg }
            | media::Event::PeerFound { leg, .. }
            | media::Event::Stranger { leg, .. }
            | media::Event::Trouble { leg, .. }
            | media::Event::LegRemoved { leg, .. } => leg,
        };
        self.handle(CallId(leg.0), now, Input::Media(event));
    }

    /// Handles news of the disk. A recording that was opened for a request overtaken meanwhile is removed.
    pub fn disk(&mut self, now: Now, event: DiskEvent) {
        let owner = match &event {
            DiskEvent::Prompts { job, .. } => self.node.routes.take_job(*job),
            DiskEvent::RecordingOpened { job, result } => {
                let owner = self.node.routes.take_job(*job);
                if owner.is_none() && result.is_ok() {
                    let recording = recording_of(*job);
                    self.context(now).discard_recording(recording);
                }
                owner
            }
            DiskEvent::RecordingFailed { recording, .. } | DiskEvent::RecordingClosed { recording, .. } => {
                self.node.routes.recording(*recording)
            }
        };
        match owner {
            Some(Resource::Call(call)) => self.handle(call, now, Input::Disk(event)),
            Some(Resource::Conference(conference)) => {
                self.handle_conference(conference, now, conference::Input::Disk(event));
            }
            None => {}
        }
    }

    /// Gives a spare pair of open ports. A call takes one when it comes in or is constructed, and every one that was
    /// taken comes back once, by [`Output::PortReleased`].
    pub fn lease(&mut self, port: Port) {
        self.node.spare.push_back(port);
    }

    /// How many pairs are spare.
    pub fn spare_ports(&self) -> usize {
        self.node.spare.len()
    }

    /// What is taken from outside: no call where the node has as many as it takes, or nobody is there to hear of it, and nothing
    /// where it drains. A call too many for one second is no matter of the next.
    pub fn doors(&self) -> sip::Doors {
        let retry_after = gate::RETRY_AFTER;
        match self.gate.is_draining() {
            true => sip::Doors::Shut { retry_after },
            false if self.node.applications == 0 || self.live() >= self.node.config.max_calls => {
                sip::Doors::NoCalls { retry_after }
            }
            false => sip::Doors::Open,
        }
    }

    /// How many applications are there to hear of inbound calls. Without any an INVITE is refused at once.
    pub fn set_applications(&mut self, subscribers: usize) {
        self.node.applications = subscribers;
    }

    /// From now on no new call gets in, either way, and gateways are told so: registrations are removed.
    pub fn drain(&mut self) {
        self.gate.close();
        let commands = self.node.gateways.close();
        self.node.outputs.extend(commands.into_iter().map(Output::Sip));
    }

    /// Drops every call, completion events first: cause 503, also for those that were answered; and releases every
    /// conference.
    pub fn hang_up_all(&mut self, now: Now) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.handle(call, now, Input::Shutdown);
        }
        let conferences: Vec<ConferenceId> = self.conferences.keys().copied().collect();
        for conference in conferences {
            self.handle_conference(conference, now, conference::Input::Shutdown);
        }
    }

    /// How many calls there are that have not been released.
    pub fn live(&self) -> usize {
        self.calls.len()
    }

    /// Packets that were refused, of all calls there have been, since they were not protected with the peer's key.
    pub fn packets_not_authentic(&self) -> u64 {
        let live = self.calls.values().filter_map(|entry| entry.call.stats());
        self.node.not_authentic + live.map(|stats| stats.packets_not_authentic).sum::<u64>()
    }

    /// Handles what has come due by `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        let last = Resource::Conference(ConferenceId(u64::MAX));
        let due = self.deadlines.range(..=(now.mono, last)).map(|&(_, owner)| owner);
        for owner in due.collect::<Vec<_>>() {
            match owner {
                Resource::Call(call) => self.handle(call, now, Input::Due),
                Resource::Conference(conference) => {
                    self.handle_conference(conference, now, conference::Input::Due);
                }
            }
        }
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// What to do next; to be asked until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.node.outputs.pop_front()
    }

    /// How many names, deadlines and places at gateways are remembered: none when no call lives and no conference.
    pub fn remembered(&self) -> usize {
        let named = self.node.routes.len() + self.node.conferences.len();
        named + self.deadlines.len() + self.node.gateways.held()
    }

    /// Whether a request is allowed now, of the call it names and of the other one where it names two.
    fn judge(&self, command: &Command) -> Result<(), Error> {
        let Some(call) = command.call() else { return Ok(()) };
        if let Command::Exists { .. } = command {
            return Ok(());
        }
        let standing = self.find(call)?.standing();
        admit::admit(standing, command).map_err(|denied| denied.into_error(call, standing))?;
        if let Command::ConfEnter(enter) = command
            && !self.node.conferences.contains(&enter.conference)
        {
            return Err(Error::NoConference { conference: enter.conference });
        }
        let Command::ConnectStart { other, .. } = *command else { return Ok(()) };
        if other == call {
            let expected = "another call".to_owned();
            return Err(Error::InvalidParam { param: "call_res_id", expected });
        }
        if standing.child == Some(other) {
            return Ok(());
        }
        let standing = self.find(other)?.standing();
        admit::admit(standing, command).map_err(|denied| denied.into_error(other, standing))
    }

    pub(crate) fn find(&self, call: CallId) -> Result<&Call, Error> {
        self.calls.get(&call).map(|entry| &entry.call).ok_or(Error::NotFound { call })
    }

    fn snapshot(&self, call: CallId) -> Result<Reply, Error> {
        Ok(Reply::Snapshot(Box::new(self.find(call)?.snapshot())))
    }

    /// Who has asked the disk, as long as they wait for the answer.
    pub fn asker(&self, job: JobId) -> Option<Resource> {
        self.node.routes.asker(job)
    }

    /// Whose recording was opened by a job, as long as it goes on.
    pub fn recorded(&self, job: JobId) -> Option<Resource> {
        self.node.routes.recording(recording_of(job))
    }

    /// The call of a SIP session.
    pub fn of_session(&self, session: sip::SessionId) -> Option<CallId> {
        self.node.routes.session(session)
    }

    /// Of every call that lives: which way it went, where it is, and what has come to it.
    pub fn standing(&self) -> impl Iterator<Item = (Direction, State, Option<&media::LegStats>)> + '_ {
        let calls = self.calls.values().map(|entry| &entry.call);
        let standing = calls.map(|call| (call.direction(), call.state(), call.stats()));
        standing.filter(|(_, state, _)| *state != State::Released)
    }

    /// All calls that live.
    pub fn all(&self) -> impl Iterator<Item = Snapshot> + '_ {
        let calls = self.calls.values().map(|entry| &entry.call);
        calls.filter(|call| call.state() != State::Released).map(Call::snapshot)
    }

    /// All conferences that live, and their members.
    pub fn all_conferences(
        &self,
    ) -> impl Iterator<Item = (conference::Snapshot, Vec<conference::Part>)> + '_ {
        self.conferences.values().filter_map(conference::Entry::standing)
    }

    /// What is known of a conference that calls can enter.
    pub fn conference(&self, conference: ConferenceId) -> Option<conference::Snapshot> {
        self.conferences.get(&conference)?.standing().map(|(known, _)| known)
    }

    /// All that is known of a call.
    pub fn get(&self, call: CallId) -> Option<Snapshot> {
        self.calls.get(&call).map(|entry| entry.call.snapshot())
    }

    /// A call that is over is not named: nothing can be asked of it any more.
    fn list(&self, state: Option<State>, after: Option<CallId>, limit: usize) -> Reply {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let calls = self.calls.range((from, Bound::Unbounded));
        let wanted = calls.filter(|(_, entry)| match entry.call.state() {
            State::Released => false,
            found => state.is_none_or(|state| found == state),
        });
        Reply::Page(wanted.map(|(&call, _)| call).take(limit).collect())
    }

    /// A call is to be placed. Whoever it is dialled for is asked first.
    fn dial(&mut self, now: Now, id: RequestId, construct: Box<Construct>) {
        match construct.parent.as_ref().map(|parent| parent.of) {
            None => self.construct(now, id, *construct),
            Some(Resource::Call(call)) => {
                let command = Command::Construct(construct);
                self.handle(call, now, Input::Request { id, command });
            }
            Some(Resource::Conference(conference)) => {
                self.dial_for_conference(now, id, conference, construct);
            }
        }
    }

    /// Places a call, and tells whoever it is dialled for what has come of that.
    fn construct(&mut self, now: Now, request: RequestId, construct: Construct) {
        let parent = construct.parent.as_ref().map(|parent| parent.of);
        let checked = self.gate.check(now.mono, &self.node.config, self.calls.len());
        let id = CallId(self.next_serial);
        let mut cx = self.context(now);
        let admitted = checked.map_err(|refusal| initiated::no_room(&cx, refusal)).and_then(|ticket| {
            let plan = initiated::plan(&cx, &construct)?;
            Ok((ticket, plan, cx.lease_port()?))
        });
        match admitted {
            Err(error) => {
                cx.reply(request, Err(error));
                parent.into_iter().for_each(|parent| cx.tell_parent(parent, id, News::NotPlaced));
            }
            Ok((ticket, plan, port)) => {
                let call = initiated::dial(id, &mut cx, request, port, construct, plan);
                parent.into_iter().for_each(|parent| cx.tell_parent(parent, id, News::Placed));
                self.gate.enter(ticket);
                self.next_serial += 1;
                self.keep(call);
            }
        }
    }

    fn incoming(&mut self, now: Now, incoming: sip::Incoming) {
        let ticket = self.gate.check(now.mono, &self.node.config, self.calls.len());
        let ticket = ticket.map_err(TurnedAway::from);
        let ticket = match ticket.and_then(|ticket| self.node.welcome(now, &incoming.gateway, ticket)) {
            Ok(ticket) => ticket,
            Err(why) => return inbound::turn_away(&mut self.context(now), incoming.session, why, Vec::new()),
        };
        let id = CallId(self.next_serial);
        // Also a call that is refused for its offer has cost us its share.
        self.gate.enter(ticket);
        if let Some(call) = inbound::receive(id, &mut self.context(now), incoming) {
            self.next_serial += 1;
            self.keep(call);
        }
    }

    fn context(&mut self, now: Now) -> Context<'_> {
        Context { now, node: &mut self.node }
    }

    /// One call handles one input, and those who are with it what they are told by that.
    fn handle(&mut self, call: CallId, now: Now, input: Input) {
        self.step(call, now, input);
        self.deliver(now);
    }

    /// Delivers what was written in a step. A conference writes one letter to each call that it has then no longer; what a
    /// letter to a call brings forth goes the other way at most twice (place, placed, go; orphaned, failed), and nobody
    /// answers those: this ends when all of them have been told.
    fn deliver(&mut self, now: Now) {
        while let Some(letter) = self.node.letters.pop_front() {
            match letter {
                Letter::Party(call, notice) => self.step(call, now, Input::Notice(notice)),
                Letter::Member(call, why) => self.step(call, now, Input::Dismissed(why)),
                Letter::Conference(conference, notice) => {
                    self.step_conference(conference, now, conference::Input::Notice(notice));
                }
                Letter::Place { request, construct } => self.construct(now, request, *construct),
            }
        }
        self.node.outputs.extend(self.node.completions.drain(..));
    }

    fn step(&mut self, id: CallId, now: Now, input: Input) {
        let Some(entry) = self.calls.remove(&id) else { return };
        let Entry { call, deadline } = *entry;
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, Resource::Call(id)));
        }
        let mut cx = Context { now, node: &mut self.node };
        if let Some(call) = call.handle(&mut cx, input) {
            self.keep(call);
        }
    }

    fn keep(&mut self, call: Call) {
        let id = call.id();
        let deadline = call.deadline(&self.node.config);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, Resource::Call(id)));
        }
        self.calls.insert(id, Box::new(Entry { call, deadline }));
    }
}
