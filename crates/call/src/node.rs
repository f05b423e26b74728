//! What the calls of a node share, and their one way to the outside: everything that a call wants done becomes an
//! [`Output`] here, and every name that the outside knows a call by is entered in [`Routes`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, RecordingId};
use offhook_sip::event::{self as sip, SessionId};

use crate::action::notice::{News, Notice};
use crate::cause::{Failure, TurnedAway};
use crate::command::Construct;
use crate::conference;
use crate::disk::{DiskJob, JobId, PromptSource};
use crate::error::Error;
use crate::event::{NodeEvent, NodeEventKind};
use crate::gate::Ticket;
use crate::gateway::Gateways;
use crate::id::{CallId, ConferenceId, MessageId, RequestId, Resource};
use crate::message::Pages;
use crate::output::{Output, Reply};
use crate::{Config, Now, Port};

/// Which call or conference an answer from outside belongs to. Legs and rooms need no entry: the leg of a call bears the
/// call's own number, and so does the room of a conference.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    sessions: HashMap<SessionId, CallId>,
    jobs: HashMap<JobId, Asked>,
    recordings: HashMap<RecordingId, Resource>,
}

/// A question to the disk that is not answered.
#[derive(Debug)]
struct Asked {
    by: Resource,
    /// The first text that has to be spoken for it.
    text: Option<PromptSource>,
}

impl Routes {
    pub(crate) fn session(&self, session: SessionId) -> Option<CallId> {
        self.sessions.get(&session).copied()
    }

    pub(crate) fn recording(&self, recording: RecordingId) -> Option<Resource> {
        self.recordings.get(&recording).copied()
    }

    /// Who asked, once: a job has one answer.
    pub(crate) fn take_job(&mut self, job: JobId) -> Option<Resource> {
        self.jobs.remove(&job).map(|asked| asked.by)
    }

    /// Who waits for the answer.
    pub(crate) fn asker(&self, job: JobId) -> Option<Resource> {
        self.jobs.get(&job).map(|asked| asked.by)
    }

    /// How many entries there are; none when no call lives.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len() + self.jobs.len() + self.recordings.len()
    }
}

/// What calls and conferences tell each other, delivered within the same step.
#[derive(Debug)]
pub(crate) enum Letter {
    /// To a call that it has to do with.
    Party(CallId, Notice),
    /// To a member: it is in its conference no longer, and why.
    Member(CallId, Failure),
    /// To a conference.
    Conference(ConferenceId, conference::Notice),
    /// To the node: a call is to be placed for another, and the request waits for it.
    Place { request: RequestId, construct: Box<Construct> },
}

/// What the calls of a node share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    /// Ports that are open and belong to no call yet.
    pub(crate) spare: VecDeque<Port>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) letters: VecDeque<Letter>,
    /// The conferences that calls can enter.
    pub(crate) conferences: HashSet<ConferenceId>,
    /// What comes of what was completed in this step, when every call that it touches has reached its new state: whoever
    /// hears of the end of a connection finds both parties Idle.
    pub(crate) completions: Vec<Output>,
    /// How many ports belong to calls.
    pub(crate) leased: usize,
    pub(crate) gateways: Gateways,
    /// Packets of the calls that have been released that were not protected with their peers' keys.
    pub(crate) not_authentic: u64,
    /// Messages outside of calls.
    pub(crate) pages: Pages,
    /// How many applications are there to hear of what happens.
    pub(crate) applications: usize,
    actions: u64,
    jobs: u64,
    requests: u64,
    next_message: u64,
}

impl Node {
    /// Whether a call from a gateway, for which the node has room, has somebody to act on it and room at its gateway.
    pub(crate) fn welcome(&mut self, now: Now, gateway: &str, ticket: Ticket) -> Result<Ticket, TurnedAway> {
        if self.applications == 0 {
            return Err(TurnedAway::NoApplication);
        }
        self.gateways.admit(now.mono, gateway).map(|()| ticket)
    }

    pub(crate) fn new(config: Config, first_message: u64) -> Self {
        Self {
            config,
            routes: Routes::default(),
            spare: VecDeque::new(),
            outputs: VecDeque::new(),
            letters: VecDeque::new(),
            conferences: HashSet::new(),
            completions: Vec::new(),
            leased: 0,
            not_authentic: 0,
            gateways: Gateways::default(),
            pages: Pages::default(),
            applications: 0,
            actions: 0,
            jobs: 0,
            requests: 0,
            next_message: first_message,
        }
    }
}

/// One call's view of the node while it handles one input.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) node: &'a mut Node,
}

impl Context<'_> {
    /// The moment `after` from now; none where that is beyond all time.
    pub(crate) fn deadline(&self, after: Duration) -> Option<Instant> {
        self.now.mono.checked_add(after)
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.node.outputs.push_back(output);
    }

    pub(crate) fn sip(&mut self, command: sip::Command) {
        self.output(Output::Sip(command));
    }

    pub(crate) fn media(&mut self, command: media::Command) {
        self.output(Output::Media(command));
    }

    pub(crate) fn reply(&mut self, request: RequestId, result: Result<Reply, Error>) {
        self.output(Output::Reply { request, result });
    }

    /// Says that an INVITE became no call.
    pub(crate) fn turned_away(&mut self, session: SessionId, why: TurnedAway) {
        self.output(Output::TurnedAway { session, why });
    }

    /// Tells all applications what is of no call.
    pub(crate) fn tell_node(&mut self, kind: NodeEventKind) {
        self.output(Output::NodeEvent(NodeEvent { time: self.now.wall, kind }));
    }

    pub(crate) fn notify(&mut self, call: CallId, notice: Notice) {
        self.node.letters.push_back(Letter::Party(call, notice));
    }

    /// Tells whoever a call is dialled for of it.
    pub(crate) fn tell_parent(&mut self, parent: Resource, child: CallId, news: News) {
        match parent {
            Resource::Call(call) => self.notify(call, Notice::Child { child, news }),
            Resource::Conference(conference) => {
                self.report(conference, conference::Notice::Child { child, news });
            }
        }
    }

    /// Tells a call that it is in its conference no longer.
    pub(crate) fn dismiss(&mut self, call: CallId, why: Failure) {
        self.node.letters.push_back(Letter::Member(call, why));
    }

    /// Tells a conference of a member.
    pub(crate) fn report(&mut self, conference: ConferenceId, notice: conference::Notice) {
        self.node.letters.push_back(Letter::Conference(conference, notice));
    }

    /// Ports for a call; they must come back by [`Self::release_port`].
    pub(crate) fn lease_port(&mut self) -> Result<Port, Error> {
        let none_left = Error::LimitReached { limit: "ports", value: self.node.leased as u64 };
        let port = self.node.spare.pop_front().ok_or(none_left)?;
        self.node.leased += 1;
        Ok(port)
    }

    /// Gives back ports that nobody was told of.
    pub(crate) fn return_port(&mut self, port: Port) {
        self.node.leased -= 1;
        self.node.spare.push_front(port);
    }

    pub(crate) fn release_port(&mut self, port: Port) {
        self.node.leased -= 1;
        self.node.completions.push(Output::PortReleased(port));
    }

    /// A name for a new action.
    pub(crate) fn new_action(&mut self) -> ActionId {
        self.node.actions += 1;
        ActionId(self.node.actions)
    }

    /// A name for a request inside a dialog.
    pub(crate) fn new_request(&mut self) -> sip::RequestId {
        self.node.requests += 1;
        sip::RequestId(self.node.requests)
    }

    /// A name for a message.
    pub(crate) fn new_message(&mut self) -> MessageId {
        let message = MessageId(self.node.next_message);
        self.node.next_message += 1;
        message
    }

    /// From now on the session's events are the call's.
    pub(crate) fn route_session(&mut self, session: SessionId, call: CallId) {
        self.node.routes.sessions.insert(session, call);
    }

    pub(crate) fn forget_session(&mut self, session: SessionId) {
        self.node.routes.sessions.remove(&session);
    }

    /// Asks the disk; the answer will be routed to `owner` until [`Self::forget_job`].
    pub(crate) fn ask_disk(&mut self, owner: Resource, question: impl FnOnce(JobId) -> DiskJob) -> JobId {
        let job = self.new_job();
        let request = question(job);
        self.node.routes.jobs.insert(job, Asked { by: owner, text: request.text().cloned() });
        self.output(Output::Disk { job, request });
        job
    }

    /// Whether a question takes a text that has to be spoken.
    pub(crate) fn is_spoken(&self, job: JobId) -> bool {
        self.node.routes.jobs.get(&job).is_some_and(|asked| asked.text.is_some())
    }

    /// Nobody waits for the answer any more. Gives the first text that was being spoken for it, which is left off.
    pub(crate) fn forget_job(&mut self, job: JobId) -> Option<PromptSource> {
        let text = self.node.routes.jobs.remove(&job)?.text?;
        let request = DiskJob::AbandonPrompts { job };
        let job = self.new_job();
        self.output(Output::Disk { job, request });
        Some(text)
    }

    /// From now on what the disk says of the recording is its owner's.
    pub(crate) fn route_recording(&mut self, recording: RecordingId, owner: impl Into<Resource>) {
        self.node.routes.recordings.insert(recording, owner.into());
    }

    pub(crate) fn forget_recording(&mut self, recording: RecordingId) {
        self.node.routes.recordings.remove(&recording);
    }

    /// Has a recording closed to which no leg will send an end mark. Nobody waits for it.
    pub(crate) fn abandon_recording(&mut self, recording: RecordingId) {
        let job = self.new_job();
        self.output(Output::Disk { job, request: DiskJob::AbandonRecording { recording } });
    }

    /// Has the file of a recording removed that nobody knows any more.
    pub(crate) fn discard_recording(&mut self, recording: RecordingId) {
        let job = self.new_job();
        self.output(Output::Disk { job, request: DiskJob::DiscardRecording { recording } });
    }

    fn new_job(&mut self) -> JobId {
        self.node.jobs += 1;
        JobId(self.node.jobs)
    }
}

/// The name of the recording that a job opens: the job's own number. So a file that is opened for a call which has gone
/// meanwhile can be removed although nothing is remembered of it.
pub(crate) fn recording_of(job: JobId) -> RecordingId {
    RecordingId(job.0)
}
