//! The control loop: one thread that owns the SIP user agent and the calls, as one [`Exchange`], and does what it says.
//!
//! ```text
//!   sockets, names ──┐                                ┌─▶ sockets
//!   media threads ───┼─▶ Input ─▶ take ─▶ Exchange ─▶ ┼─▶ media threads (Router)
//!   disk ────────────┤                     pump       ├─▶ disk
//!   applications ────┘  Ask                           └─▶ replies, event log
//! ```
//! One input changes the cores once; then `Control::pump` does what there is to do until there is nothing. A turn of the loop takes
//! what there is, and then wakes those who wait for replies and events, once: to wake a thread costs as much as to handle
//! an input. No locks: whoever wants something of a call sends it here.

mod sockets;

use std::collections::{HashMap, VecDeque};
use std::task::Poll;
use std::time::{Duration, Instant};

use offhook_call::command::Request;
use offhook_call::error::Error;
use offhook_call::id::{CallId, NodeId, RequestId, Resource};
use offhook_call::{DiskEvent, DiskJob, JobId, Now, Port, Reply};
use offhook_exchange::{Exchange, Note, Output, Reload};
use offhook_media::event::{self as media, Audio, Chunk};
use offhook_sip::Counters;
use offhook_sip::event::{self as sip, Remains, Transport};
use tokio::sync::{mpsc, oneshot};

use crate::call_log::{Names, line};
use crate::config;
use crate::control_handle::{Ask, Living};
use crate::events::{EventWriter, Then, call_event, conference_event, node_event};
use crate::explain::Timelines;
use crate::input::Input;
use crate::media::{MOST_WAITING, Router};
use crate::metrics::{Live, Metrics, Totals};
use crate::net::{dns, stream, tls, udp};
use crate::ports::Ports;
use crate::prompts::Loaders;
use crate::recordings::{Feed, ToDisk};
use crate::{call_log, clock, store};

pub use sockets::Sockets;

/// Requests of applications that may wait; one more is refused (`limit_reached`).
pub const ASKS: usize = 4_096;

/// Inputs of each kind taken in a turn, before the timers are looked at again and replies are handed out: some
/// milliseconds of work.
const BATCH: usize = 64;

/// Pairs of ports that are kept open for the next calls.
const SPARE_PORTS: usize = 32;

/// What is done of one input: all of it, as even the hang-up of ten thousand calls comes to less. More is a defect, that
/// of a message that fails and is sent again for that, and is cut off here.
const MAX_OUTPUTS: usize = 1_000_000;

/// How long the last BYEs may take to be answered when the server ends.
pub(crate) const GOODBYE: Duration = Duration::from_secs(5);

/// How long it may take where it was asked to end at once: enough for the last events and the ends of recordings.
const AT_ONCE: Duration = Duration::from_millis(250);

/// How often it is told at most what the SIP endpoint has counted.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

/// How many calls of the last server are ended at a time, and how long after the last ones: a gateway need not take the end of
/// ten thousand calls at once.
const FAREWELLS: usize = 20;
const FAREWELLS_EVERY: Duration = Duration::from_millis(100);

/// How long the control loop sleeps at most without a deadline.
const FOREVER: Duration = Duration::from_secs(3600);

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Not at all.
    Serving,
    /// No new calls; those there are may go on until then.
    Draining { until: Instant },
    /// All calls have been hung up; the last messages may take until then.
    Ending { until: Instant },
}

/// What the loop is made of.
pub struct Parts {
    /// The SIP user agent and the calls.
    pub exchange: Exchange,
    /// The media threads.
    pub router: Router,
    /// The RTP ports.
    pub ports: Ports,
    /// The prompt threads.
    pub prompts: Loaders,
    /// The recording threads.
    pub recordings: Feed,
    /// The event log.
    pub log: EventWriter,
    /// Calls of the last server that are still to be ended.
    pub farewells: VecDeque<Remains>,
    /// Our name.
    pub node: NodeId,
    /// Our process, as the API names it.
    pub process_id: u64,
    /// What the sockets have to know.
    pub sip: config::Sip,
    /// How long calls may go on after the first [`Input::Shutdown`].
    pub drain: Duration,
}

/// Where the reply to a request goes.
type ReplyTo = oneshot::Sender<Result<Reply, Error>>;

/// The control loop.
pub struct Control {
    parts: Parts,
    udp: Vec<udp::Listener>,
    streams: stream::Connections,
    names: dns::Resolver,
    inputs: mpsc::Receiver<Input>,
    asks: mpsc::Receiver<Ask>,
    /// Where datagrams are received.
    buffer: Vec<u8>,
    replies: HashMap<RequestId, ReplyTo>,
    /// Replies of this turn. No more than the requests that wait in `replies`.
    answered: Vec<(ReplyTo, Result<Reply, Error>)>,
    /// Those of them that name what the next run has to know of.
    promised: Vec<(ReplyTo, Result<Reply, Error>)>,
    requests: u64,
    stage: Stage,
    /// What the endpoint had counted when it was last told.
    counted: (Instant, Counters),
    /// Datagrams that the kernel had no room for.
    unsent: u64,
    /// When the next calls of the last server are ended.
    next_farewells: Instant,
    /// What has happened since the start.
    totals: Totals,
    /// What calls have been through.
    timelines: Timelines,
}

impl Control {
    /// Starts to listen. Must be called on the control thread, inside its `LocalSet`.
    pub fn start(
        parts: Parts,
        sockets: Sockets,
        (sender, inputs): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
        asks: mpsc::Receiver<Ask>,
    ) -> std::io::Result<Self> {
        let hosts = tls::Names::default();
        let names =
            dns::Resolver::new(sender.clone(), &parts.sip.nameservers, sockets.local(), hosts.clone())?;
        let fault = |(key, problem)| std::io::Error::other(format!("{key}: {problem}"));
        let secure = !sockets.tls.is_empty();
        let tls = secure.then(|| tls::Tls::start(parts.sip.tls.clone(), hosts, tls::RELOAD)).transpose();
        let tls = tls.map_err(fault)?;
        let udp = sockets.udp.into_iter().map(udp::Listener::start).collect::<Result<_, _>>()?;
        let streams = stream::Connections::new(sender.clone(), tls, stream::Limits::default());
        sockets.tcp.into_iter().try_for_each(|listener| streams.listen(Transport::Tcp, listener))?;
        sockets.tls.into_iter().try_for_each(|listener| streams.listen(Transport::Tls, listener))?;
        let replies = HashMap::new();
        let counted = (clock::now().mono, parts.exchange.endpoint().counters());
        let stage = Stage::Serving;
        let timelines = Timelines::new(parts.node);
        Ok(Self {
            parts,
            udp,
            streams,
            names,
            inputs,
            asks,
            buffer: vec![0; udp::DATAGRAM],
            replies,
            answered: Vec::new(),
            promised: Vec::new(),
            requests: 0,
            stage,
            next_farewells: counted.0,
            counted,
            unsent: 0,
            totals: Totals::default(),
            timelines,
        })
    }

    /// Runs until the server has ended.
    pub async fn run(mut self) {
        self.handle_timeouts();
        while !self.is_over() {
            let deadline = tokio::time::Instant::from_std(self.deadline());
            tokio::select! {
                Some(input) = self.inputs.recv() => self.take(input),
                Some(ask) = self.asks.recv() => self.ask(ask),
                () = datagrams(&self.udp) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
            for _ in 0..BATCH {
                let Ok(input) = self.inputs.try_recv() else { break };
                self.take(input);
            }
            for _ in 0..BATCH {
                let Ok(ask) = self.asks.try_recv() else { break };
                self.ask(ask);
            }
            for listener in 0..self.udp.len() {
                self.receive(listener);
            }
            self.handle_timeouts();
            self.publish();
        }
    }

    /// Takes the datagrams that wait at a listener.
    fn receive(&mut self, listener: usize) {
        for _ in 0..BATCH {
            let Some(listener) = self.udp.get(listener) else { return };
            match listener.receive(&mut self.buffer) {
                udp::Received::Message(flow, bytes) => {
                    let now = clock::now();
                    self.timelines.received(now.wall, flow, bytes);
                    self.parts.exchange.receive(now, flow, bytes);
                    self.pump(now);
                    self.timelines.handled();
                }
                udp::Received::Nothing => {}
                udp::Received::Empty => return,
            }
        }
    }

    /// Hands out what this turn has brought to those who wait for it.
    fn publish(&mut self) {
        // Whoever asked may have gone meanwhile.
        let tell = |(reply, result): (ReplyTo, _)| drop(reply.send(result));
        self.answered.drain(..).for_each(tell);
        let promised = std::mem::take(&mut self.promised);
        if !promised.is_empty() {
            self.parts.log.once_noted(Then::new(move || promised.into_iter().for_each(tell)));
        }
        self.parts.log.publish(clock::now().mono);
    }

    fn take(&mut self, input: Input) {
        let now = clock::now();
        let Parts { exchange, router, .. } = &mut self.parts;
        match input {
            Input::Message { flow, bytes } => {
                self.timelines.received(now.wall, flow, &bytes);
                exchange.receive(now, flow, &bytes);
            }
            Input::FlowClosed(flow) if self.streams.is_open(flow) => {}
            Input::FlowClosed(flow) => exchange.transport_failed(now, flow),
            Input::Resolved { query, targets } => exchange.resolved(now, query, targets),
            Input::Media(event) => {
                if let media::Event::LegRemoved { leg, .. } = event {
                    router.forget(leg);
                }
                exchange.media(now, event);
            }
            Input::Socket(fault) => {
                call_log::note_socket(&self.timelines.names(CallId(fault.leg.0)), &fault);
            }
            Input::Disk(event) => return self.hear_disk(now, event),
            Input::Reload(reload, drain) => self.reload(now, *reload, drain),
            Input::Shutdown => self.shut_down(now),
        }
        self.pump(now);
        self.timelines.handled();
    }

    fn hear_disk(&mut self, now: Now, event: DiskEvent) {
        let opened = match event {
            DiskEvent::RecordingOpened { job, result: Ok(()) } => Some(job),
            _ => None,
        };
        let answered = self.answered.len();
        self.parts.exchange.disk(now, event);
        self.pump(now);
        // Where this process is killed, the next one knows whose recording it was.
        let Parts { exchange, log, process_id, .. } = &mut self.parts;
        let Some(job) = opened else { return };
        let Some(owner) = exchange.calls().recorded(job) else { return };
        let of = self.timelines.names(owner);
        // Whoever writes the file knows it by this number.
        line!(debug, &of, recording = job.0, "recording");
        let Resource::Call(call) = owner else { return };
        let trace_is_given = self.timelines.given_trace(call).is_some();
        let writer = store::Writer { of: &of, trace_is_given, process_id: *process_id };
        if let Some(note) = store::lives(writer, call, exchange) {
            log.note(&of, note);
            self.promised.extend(self.answered.drain(answered..));
        }
    }

    fn ask(&mut self, ask: Ask) {
        let now = clock::now();
        match ask {
            Ask::Request { reply, .. } if self.parts.router.is_full() => {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(Err(Error::LimitReached { limit: "queue", value: MOST_WAITING as u64 }));
            }
            Ask::Request { command, reply } => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.replies.insert(id, reply);
                self.timelines.asked(now.wall, id, &command);
                self.parts.exchange.request(now, Request { id, command });
            }
            // Whoever asked may have gone meanwhile.
            Ask::Living(reply) => drop(reply.send(self.living())),
            // Whoever asked may have gone meanwhile.
            Ask::Explain(call, reply) => {
                let now = self.parts.exchange.calls().get(call);
                drop(reply.send(self.timelines.explain(call, now).map(Box::new)));
            }
            Ask::Applications(subscribers) => self.parts.exchange.set_applications(now, subscribers),
            // Whoever asked may have gone meanwhile.
            Ask::Metrics(reply) => drop(reply.send(self.metrics())),
        }
        self.pump(now);
        self.timelines.handled();
    }

    /// What lives, as of the last event: all that this turn has changed has been told.
    fn living(&self) -> Living {
        let calls = self.parts.exchange.calls();
        Living {
            seq: self.parts.log.log().newest(),
            calls: calls.all().collect(),
            conferences: calls.all_conferences().collect(),
        }
    }

    fn metrics(&self) -> Metrics {
        let Parts { exchange, recordings, log, ports, router, .. } = &self.parts;
        let (calls, endpoint) = (exchange.calls(), exchange.endpoint());
        Metrics {
            totals: self.totals.clone(),
            is_draining: !matches!(self.stage, Stage::Serving),
            events_newest: log.log().newest(),
            events_unwritten: log.log().unwritten(),
            events_told: log.told(),
            events_bytes: log.log().bytes(),
            listeners: log.log().listeners(),
            live: Live::of(calls.standing()),
            ports: ports.counts(),
            late: router.late(),
            recording_gaps: recordings.gaps(),
            calls: calls.live(),
            conferences: calls.conferences(),
            not_authentic: calls.packets_not_authentic(),
            spare_ports: calls.spare_ports(),
            gateways: calls.gateways(clock::now().mono),
            sip: endpoint.counters(),
            unsent: self.unsent,
        }
    }

    fn handle_timeouts(&mut self) {
        let now = clock::now();
        let Parts { exchange, router, recordings, .. } = &mut self.parts;
        exchange.handle_timeout(now);
        router.flush();
        recordings.flush();
        if let Stage::Draining { until } = self.stage
            && (now.mono >= until || self.parts.exchange.calls().live() == 0)
        {
            self.hang_up(now, GOODBYE);
        }
        self.tell_counted(now);
        self.say_farewell(now);
        self.pump(now);
    }

    /// Ends some of the calls that the last server had.
    fn say_farewell(&mut self, now: Now) {
        let Parts { exchange, farewells, .. } = &mut self.parts;
        if farewells.is_empty() || now.mono < self.next_farewells {
            return;
        }
        self.next_farewells = now.mono + FAREWELLS_EVERY;
        for _ in 0..FAREWELLS {
            let Some(remains) = farewells.front().cloned() else { return };
            if !exchange.farewell(now, remains) {
                return;
            }
            farewells.pop_front();
        }
    }

    /// Does what there is to do until there is nothing.
    fn pump(&mut self, now: Now) {
        for _ in 0..MAX_OUTPUTS {
            let Some(output) = self.parts.exchange.poll_output() else { return self.top_up_ports(now) };
            self.act(now, output);
        }
        tracing::error!("the control loop does not come to rest; going on with the next input");
    }

    fn top_up_ports(&mut self, now: Now) {
        let Parts { exchange, ports, .. } = &mut self.parts;
        while exchange.calls().spare_ports() < SPARE_PORTS {
            let Some(port) = ports.lease(now.mono) else { return };
            exchange.lease(port);
        }
    }

    fn act(&mut self, now: Now, output: Output) {
        match output {
            Output::Transmit(message) => self.transmit(now, message),
            Output::Resolve { query, lookup } => self.names.resolve(query, lookup),
            Output::OpenLeg { port, leg, config } => self.open_leg(now, port, leg, config),
            Output::Media(command) => {
                self.timelines.commanded(now.wall, &command);
                self.parts.router.command(command);
            }
            Output::Disk { job, request } => self.ask_disk(now, job, request),
            Output::Reply { request, result } => {
                self.timelines.replied(now.wall, request, &result);
                let Parts { exchange, log, node, .. } = &mut self.parts;
                if let Ok(Reply::ConferenceConstructed(id)) = result
                    && let Some(opened) = exchange.calls().conference(id)
                {
                    log.note(&self.timelines.names(id), store::conference::opened(*node, opened));
                }
                let reply = self.replies.remove(&request);
                let names_a_resource =
                    matches!(result, Ok(Reply::Constructed { .. } | Reply::ConferenceConstructed(_)));
                let told = if names_a_resource { &mut self.promised } else { &mut self.answered };
                told.extend(reply.map(|reply| (reply, result)));
            }
            Output::Event(event) => {
                self.totals.count(&event);
                self.timelines.told(&event);
                let Parts { exchange, log, node, process_id, .. } = &mut self.parts;
                let of = self.timelines.names(event.call);
                call_log::note(&of, &event);
                let trace = self.timelines.given_trace(event.call);
                let trace_is_given = trace.is_some();
                let writer = store::Writer { of: &of, trace_is_given, process_id: *process_id };
                if let Some(note) = store::note(writer, log.next(), &event, exchange) {
                    log.note(&of, note);
                }
                log.append_of(event.time.0, call_event(*node, *process_id, event), trace);
            }
            Output::ConferenceEvent(event) => {
                let Parts { log, node, .. } = &mut self.parts;
                call_log::note_conference(*node, &event);
                if let Some(note) = store::conference::change(*node, log.next(), &event) {
                    log.note(&self.timelines.names(event.conference), note);
                }
                log.append(event.time.0, conference_event(*node, event));
            }
            Output::NodeEvent(event) => {
                call_log::note_node(&event.kind);
                self.parts.log.append(event.time.0, node_event(event.kind));
            }
            Output::PortReleased(port) => self.parts.ports.release(now.mono, port),
            Output::Note(note) => {
                self.totals.count_note(&note);
                if let Note::Sent { call, sip_call_id } = &note {
                    self.timelines.dialled(*call, sip_call_id);
                }
                call_log::note_exchange(&note, &self.timelines);
            }
        }
    }

    fn open_leg(&mut self, now: Now, port: Port, leg: media::LegId, config: media::LegConfig) {
        self.timelines.media(now.wall, leg, &config);
        match self.parts.ports.take(port) {
            Some(sockets) => self.parts.router.open(leg, sockets, config),
            None => {
                let of = self.timelines.names(CallId(leg.0));
                line!(error, &of, port = port.0, "a leg was opened on a port that has no sockets");
                let stats = media::LegStats::default();
                self.parts.exchange.media(now, media::Event::LegRemoved { leg, stats });
            }
        }
    }

    fn ask_disk(&mut self, now: Now, job: JobId, request: DiskJob) {
        match request {
            DiskJob::LoadPrompts { sources, codec } => {
                let Some(of) = self.asker(job) else { return };
                if let Err(fault) = self.parts.prompts.ask((job, of), sources, codec) {
                    self.parts.exchange.disk(now, DiskEvent::Prompts { job, result: Err(fault) });
                }
            }
            DiskJob::AbandonPrompts { job } => self.parts.prompts.abandon(job),
            DiskJob::OpenRecording { file, spec, overwrite, recording } => {
                let Some(of) = self.asker(job) else { return };
                self.parts.recordings.send(ToDisk::Open { job, file, spec, overwrite, recording, of });
            }
            DiskJob::DiscardRecording { recording } => self.parts.recordings.send(ToDisk::Discard(recording)),
            DiskJob::AbandonRecording { recording } => {
                self.parts.recordings.send(ToDisk::Audio(Audio { recording, chunk: Chunk::End }));
            }
        }
    }

    /// Who asks the disk. What was let be in the same moment need not be asked.
    fn asker(&self, job: JobId) -> Option<Names> {
        self.parts.exchange.calls().asker(job).map(|owner| self.timelines.names(owner))
    }

    fn transmit(&mut self, now: Now, message: sip::Transmit) {
        let call = self.timelines.sent(now.wall, &message);
        let flow = message.flow;
        if flow.transport.is_reliable() {
            self.streams.send(flow, message.bytes);
            return;
        }
        let listener = self.udp.iter().find(|listener| listener.local() == flow.local);
        match listener.map(|listener| listener.send(&message.bytes, flow.remote)) {
            Some(Ok(udp::Sent::Whole)) => {}
            Some(Ok(udp::Sent::Lost)) => self.unsent += 1,
            failed => {
                match call.map(|call| self.timelines.names(call)) {
                    Some(of) => line!(debug, &of, remote = %flow.remote, ?failed, "SIP message not sent"),
                    None => tracing::debug!(remote = %flow.remote, ?failed, "SIP message not sent"),
                }
                self.parts.exchange.transport_failed(now, flow);
            }
        }
    }

    fn reload(&mut self, now: Now, reload: Reload, drain: Duration) {
        // A node that drains has told its gateways so.
        if matches!(self.stage, Stage::Serving) {
            self.parts.drain = drain;
            self.parts.exchange.reload(now, reload);
        }
    }

    fn shut_down(&mut self, now: Now) {
        match self.stage {
            Stage::Serving => {
                tracing::info!(calls = self.parts.exchange.calls().live(), "draining");
                self.parts.exchange.drain(now);
                self.stage = Stage::Draining { until: now.mono + self.parts.drain };
            }
            Stage::Draining { .. } => self.hang_up(now, AT_ONCE),
            Stage::Ending { .. } => self.stage = Stage::Ending { until: now.mono },
        }
    }

    /// Tells what the endpoint counted since the last time: above all requests that nobody got to see.
    fn tell_counted(&mut self, now: Now) {
        let (since, last) = self.counted;
        if now.mono.duration_since(since) < COUNTED_EVERY {
            return;
        }
        let counters = self.parts.exchange.endpoint().counters();
        if counters.untrusted > last.untrusted {
            let requests = counters.untrusted - last.untrusted;
            tracing::warn!(requests, "dropped: their sources are in no gateway's networks");
        }
        if counters != last {
            tracing::debug!(?counters, "SIP so far");
        }
        self.counted = (now.mono, counters);
    }

    fn hang_up(&mut self, now: Now, within: Duration) {
        tracing::info!(calls = self.parts.exchange.calls().live(), "ending");
        self.parts.exchange.hang_up_all(now);
        self.stage = Stage::Ending { until: now.mono + within };
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Ending { until } => self.parts.exchange.is_quiet() || clock::now().mono >= until,
            Stage::Serving | Stage::Draining { .. } => false,
        }
    }

    fn deadline(&self) -> Instant {
        let stage = match self.stage {
            Stage::Serving => None,
            Stage::Draining { until } | Stage::Ending { until } => Some(until),
        };
        let farewells = (!self.parts.farewells.is_empty()).then_some(self.next_farewells);
        let due = [self.parts.exchange.poll_timeout(), self.parts.log.poll_timeout(), stage, farewells];
        due.into_iter().flatten().min().unwrap_or_else(|| clock::now().mono + FOREVER)
    }
}

/// Waits until there is a datagram at one of the listeners.
async fn datagrams(listeners: &[udp::Listener]) {
    std::future::poll_fn(|cx| {
        let ready = listeners.iter().map(|listener| listener.poll_readable(cx).is_ready());
        // All of them are asked: each has to know whom to wake.
        if ready.fold(false, |any, ready| any | ready) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
