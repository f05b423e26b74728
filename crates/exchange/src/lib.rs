//! The SIP user agent and the calls as one value: each hears what the other says, and what is left over is for the
//! outside to do.
//!
//! ```text
//!   receive, resolved, transport_failed ─▶ Endpoint ─▶ Transmit, Resolve
//!                                           ⇅ pump
//!   request, media, disk, lease ─────────▶  Calls   ─▶ OpenLeg, Media, Disk, Reply, events, PortReleased
//! ```
//! The server drives it with sockets and threads, the simulator (`tests/sim/`) in virtual time: what couples the two
//! cores is the same in both. The rule for the driver: give one input, take outputs until there are none, then arm one timer
//! for [`Exchange::poll_timeout`].

mod output;

use std::collections::VecDeque;
use std::time::Instant;

use offhook_call::command::Request;
use offhook_call::{self as call, Calls, DiskEvent, Now, Port};
use offhook_media::event as media;
use offhook_sip::Endpoint;
use offhook_sip::event::{self as sip, CommandError, Flow, QueryId, Reason, Remains, SessionId, Target};

pub use crate::output::{Note, Output};

/// Rounds of one pump. The cores answer each other a few times at most; more is a defect, and is cut off here
/// ([`Note::Restless`]).
const MAX_ROUNDS: usize = 1_000;

/// What may change while calls are up: the limits of the two configurations, and the gateways.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Its limits, and its gateways.
    pub sip: offhook_sip::Config,
    /// Its limits.
    pub calls: call::Config,
    /// The gateways as the calls see them.
    pub gateways: Vec<call::gateway::Gateway>,
}

/// A SIP user agent and the calls that it carries.
pub struct Exchange {
    endpoint: Endpoint,
    calls: Calls,
    outputs: VecDeque<Output>,
}

impl Exchange {
    /// Puts the two together. What they already want to say is said after the first input.
    pub fn new(endpoint: Endpoint, calls: Calls) -> Self {
        Self { endpoint, calls, outputs: VecDeque::new() }
    }

    /// Takes one whole SIP message from the wire, see [`Endpoint::receive`].
    pub fn receive(&mut self, now: Now, flow: Flow, bytes: &[u8]) {
        self.endpoint.receive(now.mono, flow, bytes);
        self.pump(now);
    }

    /// The driver could not send on a flow, or its connection has closed.
    pub fn transport_failed(&mut self, now: Now, flow: Flow) {
        self.endpoint.transport_failed(now.mono, flow);
        self.pump(now);
    }

    /// The answer to [`Output::Resolve`], in the order to try; empty where the name has no address.
    pub fn resolved(&mut self, now: Now, query: QueryId, targets: Vec<Target>) {
        self.command(now, sip::Command::Resolved { query, targets });
        self.pump(now);
    }

    /// Takes news of a media engine.
    pub fn media(&mut self, now: Now, event: media::Event) {
        self.calls.media(now, event);
        self.pump(now);
    }

    /// Takes news of the disk.
    pub fn disk(&mut self, now: Now, event: DiskEvent) {
        self.calls.disk(now, event);
        self.pump(now);
    }

    /// Takes a request of an application. It gets exactly one [`Output::Reply`], at once or later.
    pub fn request(&mut self, now: Now, request: Request) {
        self.calls.request(now, request);
        self.pump(now);
    }

    /// How many applications are there to hear of inbound calls.
    pub fn set_applications(&mut self, now: Now, subscribers: usize) {
        self.calls.set_applications(subscribers);
        self.pump(now);
    }

    /// Gives a spare pair of open ports, see [`Calls::lease`].
    pub fn lease(&mut self, port: Port) {
        self.calls.lease(port);
    }

    /// Takes over gateways and limits while calls are up, which keep what they have.
    pub fn reload(&mut self, now: Now, reload: Reload) {
        self.endpoint.set_limits(&reload.sip);
        self.endpoint.set_gateways(reload.sip.gateways);
        self.calls.set_limits(&reload.calls);
        self.calls.set_gateways(reload.gateways);
        self.pump(now);
    }

    /// Ends a call of an earlier run. `false`: not now, as too much is under way; whoever has it may come again.
    pub fn farewell(&mut self, now: Now, remains: Remains) -> bool {
        let reason = Reason { cause: 500, text: "the server was restarted".to_owned() };
        let command = sip::Command::Farewell(Box::new((remains, Some(reason))));
        let result = self.endpoint.command(now.mono, command);
        self.pump(now);
        result != Err(CommandError::Full)
    }

    /// From now on no new call gets in, either way.
    pub fn drain(&mut self, now: Now) {
        self.calls.drain();
        self.pump(now);
    }

    /// Drops every call and releases every conference.
    pub fn hang_up_all(&mut self, now: Now) {
        self.calls.hang_up_all(now);
        self.pump(now);
    }

    /// Lets happen what has come due by `now`. To be called at or after [`Self::poll_timeout`]; any time else does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now.mono);
        if is_due(self.endpoint.poll_timeout()) {
            self.endpoint.handle_timeout(now.mono);
        }
        if is_due(self.calls.poll_timeout()) {
            self.calls.handle_timeout(now);
        }
        self.pump(now);
    }

    /// When [`Self::handle_timeout`] is wanted next; `None` when nothing waits for time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.calls.poll_timeout()].into_iter().flatten().min()
    }

    /// What to do next; to be asked after every input, until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The calls, to be looked at.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The SIP user agent, to be looked at.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether nothing lives and nothing waits for an answer: a shutdown loses nothing.
    pub fn is_quiet(&self) -> bool {
        self.calls.live() == 0 && self.calls.conferences() == 0 && self.endpoint.is_quiet()
    }

    /// Lets the cores talk until they have nothing more to say.
    fn pump(&mut self, now: Now) {
        for _ in 0..MAX_ROUNDS {
            let mut is_quiet = true;
            while let Some(event) = self.endpoint.poll_event() {
                is_quiet = false;
                self.hear(now, event);
            }
            while let Some(output) = self.calls.poll_output() {
                is_quiet = false;
                self.act(now, output);
            }
            while let Some(message) = self.endpoint.poll_transmit() {
                is_quiet = false;
                self.outputs.push_back(Output::Transmit(message));
            }
            if is_quiet {
                self.endpoint.set_doors(self.calls.doors());
                return;
            }
        }
        self.outputs.push_back(Output::Note(Note::Restless));
    }

    fn hear(&mut self, now: Now, event: sip::Event) {
        match event {
            sip::Event::Resolve { query, lookup } => {
                self.outputs.push_back(Output::Resolve { query, lookup })
            }
            event => {
                self.note_sent(&event);
                self.calls.sip(now, event);
            }
        }
    }

    /// Says by which Call-ID the messages of a call can be told, before the first of them goes out.
    fn note_sent(&mut self, event: &sip::Event) {
        if let sip::Event::Sent { session, call_id, .. } = event
            && let Some(call) = self.calls.of_session(*session)
        {
            let sip_call_id = call_id.clone();
            self.outputs.push_back(Output::Note(Note::Sent { call, sip_call_id }));
        }
    }

    fn act(&mut self, now: Now, output: call::Output) {
        let output = match output {
            call::Output::Sip(command) => return self.command(now, command),
            call::Output::OpenLeg { port, leg, config } => Output::OpenLeg { port, leg, config },
            call::Output::Media(command) => Output::Media(command),
            call::Output::Disk { job, request } => Output::Disk { job, request },
            call::Output::Reply { request, result } => Output::Reply { request, result },
            call::Output::Event(event) => Output::Event(event),
            call::Output::ConferenceEvent(event) => Output::ConferenceEvent(event),
            call::Output::NodeEvent(event) => Output::NodeEvent(event),
            call::Output::TurnedAway { session, why } => Output::Note(Note::TurnedAway { session, why }),
            call::Output::PortReleased(port) => Output::PortReleased(port),
        };
        self.outputs.push_back(output);
    }

    /// A command that comes too late for its session is a race and no fault. What would have had an end has it at once.
    fn command(&mut self, now: Now, command: sip::Command) {
        let end = end_of(&command);
        let session = session_of(&command);
        let Err(error) = self.endpoint.command(now.mono, command) else { return };
        let call = session.and_then(|session| self.calls.of_session(session));
        if let Some(end) = end {
            self.calls.sip(now, end(&error));
            self.outputs.push_back(Output::Note(Note::Ended { call, error }));
        } else if error != CommandError::Unknown {
            self.outputs.push_back(Output::Note(Note::Refused { call, error }));
        }
    }
}

/// The session that a command is for.
fn session_of(command: &sip::Command) -> Option<SessionId> {
    Some(match *command {
        sip::Command::Invite(ref invite) => invite.session,
        sip::Command::Progress { session, .. }
        | sip::Command::Answer { session, .. }
        | sip::Command::Reject { session, .. }
        | sip::Command::Cancel { session, .. }
        | sip::Command::Bye { session, .. }
        | sip::Command::Accept { session, .. }
        | sip::Command::Refuse { session, .. }
        | sip::Command::Request { session, .. }
        | sip::Command::Refer { session, .. }
        | sip::Command::AnswerRefer { session, .. }
        | sip::Command::ReferStatus { session, .. } => session,
        sip::Command::Page(_)
        | sip::Command::Farewell(_)
        | sip::Command::Register(_)
        | sip::Command::Unregister { .. }
        | sip::Command::Ping(_)
        | sip::Command::Unping { .. }
        | sip::Command::Resolved { .. } => return None,
    })
}

/// What the calls are told where a command was refused.
type End = Box<dyn FnOnce(&CommandError) -> sip::Event>;

/// How the calls hear that a command could not be carried out whose end they wait for.
fn end_of(command: &sip::Command) -> Option<End> {
    let status = |error: &CommandError| match error {
        CommandError::Full => 503,
        CommandError::Unknown | CommandError::WrongState => 481,
        CommandError::BadStatus | CommandError::BadUri(_) | CommandError::BadHeader(_) => 400,
    };
    Some(match *command {
        sip::Command::Invite(ref invite) => {
            let session = invite.session;
            Box::new(move |error| {
                let (status, phrase, by) = (status(error), error.to_string(), sip::Refuser::Us);
                let cause = sip::EndCause::Refused {
                    status,
                    phrase,
                    by,
                    retry_after: None,
                    reason: None,
                    contacts: Vec::new(),
                };
                sip::Event::Ended { session, cause }
            })
        }
        sip::Command::Refer { session, .. } => Box::new(move |error| {
            let (status, phrase) = (status(error), error.to_string());
            sip::Event::Transfer { session, status, phrase }
        }),
        sip::Command::Request { session, request, .. } => {
            Box::new(move |error| sip::Event::Replied { session, request, status: status(error) })
        }
        sip::Command::Page(ref page) => {
            let page = page.page;
            Box::new(move |error| sip::Event::Paged { page, status: status(error) })
        }
        _ => return None,
    })
}
