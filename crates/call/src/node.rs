//! What the calls of a node share, and their one way to the outside: everything that a call wants done becomes an
//! [`Output`] here, and every name that the outside knows a call by is entered in [`Routes`].

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, RecordingId};
use offhook_sip::event::{self as sip, SessionId};

use crate::action::connect::Notice;
use crate::disk::{DiskJob, JobId};
use crate::error::Error;
use crate::event::{Event, NodeEvent, NodeEventKind};
use crate::gateway::Gateways;
use crate::id::{CallId, MessageId, RequestId};
use crate::message::Pages;
use crate::output::{Output, Reply};
use crate::{Config, Now, Port};

/// Which call an answer from outside belongs to. Legs need no entry: the leg of a call bears the call's own number.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    sessions: HashMap<SessionId, CallId>,
    jobs: HashMap<JobId, CallId>,
    recordings: HashMap<RecordingId, CallId>,
}

impl Routes {
    pub(crate) fn session(&self, session: SessionId) -> Option<CallId> {
        self.sessions.get(&session).copied()
    }

    pub(crate) fn recording(&self, recording: RecordingId) -> Option<CallId> {
        self.recordings.get(&recording).copied()
    }

    /// The call that asked, once: a job has one answer.
    pub(crate) fn take_job(&mut self, job: JobId) -> Option<CallId> {
        self.jobs.remove(&job)
    }

    /// How many entries there are; none when no call lives.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len() + self.jobs.len() + self.recordings.len()
    }
}

/// What the calls of a node share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    /// Ports that are open and belong to no call yet.
    pub(crate) spare: VecDeque<Port>,
    pub(crate) outputs: VecDeque<Output>,
    /// What the parties of connections have to tell each other.
    pub(crate) notices: VecDeque<(CallId, Notice)>,
    /// What was completed in this step, to be told when every call it touches has reached its new state: whoever hears
    /// of the end of a connection finds both parties Idle.
    pub(crate) completions: Vec<Event>,
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
    pub(crate) fn new(config: Config, first_message: u64) -> Self {
        Self {
            config,
            routes: Routes::default(),
            spare: VecDeque::new(),
            outputs: VecDeque::new(),
            notices: VecDeque::new(),
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

    /// Tells all applications what is of no call.
    pub(crate) fn tell_node(&mut self, kind: NodeEventKind) {
        self.output(Output::NodeEvent(NodeEvent { time: self.now.wall, kind }));
    }

    pub(crate) fn notify(&mut self, call: CallId, notice: Notice) {
        self.node.notices.push_back((call, notice));
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
        self.output(Output::PortReleased(port));
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

    /// Asks the disk; the answer will be routed to `call` until [`Self::forget_job`].
    pub(crate) fn ask_disk(&mut self, call: CallId, question: impl FnOnce(JobId) -> DiskJob) -> JobId {
        let job = self.new_job();
        self.node.routes.jobs.insert(job, call);
        self.output(Output::Disk { job, request: question(job) });
        job
    }

    pub(crate) fn forget_job(&mut self, job: JobId) {
        self.node.routes.jobs.remove(&job);
    }

    /// From now on what the disk says of the recording is the call's.
    pub(crate) fn route_recording(&mut self, recording: RecordingId, call: CallId) {
        self.node.routes.recordings.insert(recording, call);
    }

    pub(crate) fn forget_recording(&mut self, recording: RecordingId) {
        self.node.routes.recordings.remove(&recording);
    }

    /// Has a recording closed to which no leg will send an end mark. Nobody waits for it.
    pub(crate) fn abandon_recording(&mut self, recording: RecordingId) {
        let job = self.new_job();
        self.output(Output::Disk { job, request: DiskJob::AbandonRecording { recording } });
    }

    fn new_job(&mut self) -> JobId {
        self.node.jobs += 1;
        JobId(self.node.jobs)
    }
}

/// The name of the recording that a job opens: the job's own number. So a file that is opened for a call which has gone
/// meanwhile can be abandoned although nothing is remembered of it.
pub(crate) fn recording_of(job: JobId) -> RecordingId {
    RecordingId(job.0)
}
