//! The control loop: one thread that owns the SIP endpoint and the calls, and lets each hear what the other says.
//!
//! ```text
//!   sockets, names ──┐                 ┌─▶ Endpoint ⇄ Calls ─┬─▶ sockets
//!   media threads ───┼─▶ Input ─▶ take ┘        pump         ├─▶ media threads (Router)
//!   disk ────────────┤                                       ├─▶ disk
//!   applications ────┘  Ask                                  └─▶ replies, event log
//! ```
//! One input changes the cores once; then `Control::pump` drains them until they are quiet. A turn of the loop takes
//! what there is, and then wakes those who wait for replies and events, once: to wake a thread costs as much as to handle
//! an input. No locks: whoever wants something of a call sends it here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use offhook_call::command::Request;
use offhook_call::error::Error;
use offhook_call::id::{NodeId, RequestId};
use offhook_call::{Calls, DiskEvent, DiskJob, JobId, Now, Output, Port, Reply};
use offhook_media::event::{self as media, Audio, Chunk};
use offhook_sip::event::{self as sip, CommandError, Transport};
use offhook_sip::{Counters, Endpoint};
use tokio::sync::{mpsc, oneshot};

use crate::config;
use crate::control_handle::Ask;
use crate::events::{EventWriter, call_event, conference_event, node_event};
use crate::input::Input;
use crate::media::{MOST_WAITING, Router};
use crate::metrics::Metrics;
use crate::net::{dns, stream, tls, udp};
use crate::ports::Ports;
use crate::prompts::Loaders;
use crate::recordings::{Feed, ToDisk};
use crate::{call_log, clock};

/// Requests of applications that may wait; one more is refused (`limit_reached`).
pub const ASKS: usize = 4_096;

/// Inputs of each kind taken in a turn, before the timers are looked at again and replies are handed out: some
/// milliseconds of work.
const BATCH: usize = 64;

/// Pairs of ports that are kept open for the next calls.
const SPARE_PORTS: usize = 32;

/// Rounds of one pump. The cores answer each other a few times at most; more is a defect, and is cut off here.
const MAX_ROUNDS: usize = 1_000;

/// How long the last BYEs may take to be answered when the server ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long it may take where it was asked to end at once: enough for the last events and the ends of recordings.
const AT_ONCE: Duration = Duration::from_millis(250);

/// How often it is told at most what the SIP endpoint has counted.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

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
    /// The SIP user agent.
    pub endpoint: Endpoint,
    /// The calls.
    pub calls: Calls,
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
    /// Our name.
    pub node: NodeId,
    /// Our process, as the API names it.
    pub process_id: u64,
    /// What the sockets have to know.
    pub sip: config::Sip,
    /// How long calls may go on after the first [`Input::Shutdown`].
    pub drain: Duration,
}

/// The sockets that the loop listens on, opened and not started yet.
#[derive(Debug, Default)]
pub struct Sockets {
    /// SIP over UDP.
    #[allow(clippy::disallowed_types, reason = "handed from the start of the server to the control thread")]
    pub udp: Vec<std::net::UdpSocket>,
    /// SIP over TCP.
    pub tcp: Vec<std::net::TcpListener>,
    /// SIP over TLS.
    pub tls: Vec<std::net::TcpListener>,
}

impl Sockets {
    /// The addresses that they are bound to, those of one transport in their order.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        let udp = self.udp.iter().map(|socket| (Transport::Udp, socket.local_addr()));
        let streams = |transport, sockets: &[std::net::TcpListener]| {
            let local = sockets.iter().map(|socket| (transport, socket.local_addr()));
            local.collect::<Vec<_>>()
        };
        let tcp = streams(Transport::Tcp, &self.tcp);
        let tls = streams(Transport::Tls, &self.tls);
        let all = udp.chain(tcp).chain(tls);
        all.filter_map(|(transport, local)| Some((transport, local.ok()?))).collect()
    }
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
    requests: u64,
    stage: Stage,
    /// What the endpoint had counted when it was last told.
    counted: (Instant, Counters),
    /// Datagrams that the kernel had no room for.
    unsent: u64,
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
        let counted = (clock::now().mono, parts.endpoint.counters());
        let stage = Stage::Serving;
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
            requests: 0,
            stage,
            counted,
            unsent: 0,
        })
    }

    /// Runs until the server has ended.
    pub async fn run(mut self) {
        self.pump(clock::now());
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
                    self.parts.endpoint.receive(now.mono, flow, bytes);
                    self.pump(now);
                }
                udp::Received::Nothing => {}
                udp::Received::Empty => return,
            }
        }
    }

    /// Hands out what this turn has brought to those who wait for it.
    fn publish(&mut self) {
        for (reply, result) in self.answered.drain(..) {
            // Whoever asked may have gone meanwhile.
            let _ = reply.send(result);
        }
        self.parts.log.publish(clock::now().mono);
    }

    fn take(&mut self, input: Input) {
        let now = clock::now();
        let Parts { endpoint, calls, router, .. } = &mut self.parts;
        match input {
            Input::Message { flow, bytes } => endpoint.receive(now.mono, flow, &bytes),
            Input::FlowClosed(flow) if self.streams.is_open(flow) => {}
            Input::FlowClosed(flow) => endpoint.transport_failed(now.mono, flow),
            Input::Resolved { query, targets } => {
                self.command(now, sip::Command::Resolved { query, targets })
            }
            Input::Media(event) => {
                if let media::Event::LegRemoved { leg, .. } = event {
                    router.forget(leg);
                }
                calls.media(now, event);
            }
            Input::Disk(event) => calls.disk(now, event),
            Input::Shutdown => self.shut_down(now),
        }
        self.pump(now);
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
                self.parts.calls.request(now, Request { id, command });
            }
            Ask::Applications(subscribers) => self.parts.calls.set_applications(subscribers),
            // Whoever asked may have gone meanwhile.
            Ask::Metrics(reply) => drop(reply.send(self.metrics())),
        }
        self.pump(now);
    }

    fn metrics(&self) -> Metrics {
        let Parts { endpoint, calls, recordings, log, .. } = &self.parts;
        Metrics {
            events_newest: log.log().newest(),
            events_unwritten: log.log().unwritten(),
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
        let Parts { endpoint, calls, router, .. } = &mut self.parts;
        if endpoint.poll_timeout().is_some_and(|due| due <= now.mono) {
            endpoint.handle_timeout(now.mono);
        }
        if calls.poll_timeout().is_some_and(|due| due <= now.mono) {
            calls.handle_timeout(now);
        }
        router.flush();
        self.parts.recordings.flush();
        if let Stage::Draining { until } = self.stage
            && (now.mono >= until || self.parts.calls.live() == 0)
        {
            self.hang_up(now, GOODBYE);
        }
        self.tell_counted(now);
        self.pump(now);
    }

    /// Lets the cores talk until they have nothing more to say.
    fn pump(&mut self, now: Now) {
        for _ in 0..MAX_ROUNDS {
            self.top_up_ports(now);
            let mut quiet = true;
            while let Some(event) = self.parts.endpoint.poll_event() {
                quiet = false;
                self.hear(now, event);
            }
            while let Some(output) = self.parts.calls.poll_output() {
                quiet = false;
                self.act(now, output);
            }
            while let Some(message) = self.parts.endpoint.poll_transmit() {
                quiet = false;
                self.transmit(now, message);
            }
            if quiet {
                let Parts { endpoint, calls, .. } = &mut self.parts;
                endpoint.set_doors(calls.doors());
                return;
            }
        }
        tracing::error!("the control loop does not come to rest; going on with the next input");
    }

    fn top_up_ports(&mut self, now: Now) {
        while self.parts.calls.spare_ports() < SPARE_PORTS {
            let Some(port) = self.parts.ports.lease(now.mono) else { return };
            self.parts.calls.lease(port);
        }
    }

    fn hear(&mut self, now: Now, event: sip::Event) {
        match event {
            sip::Event::Resolve { query, lookup } => self.names.resolve(query, lookup),
            event => self.parts.calls.sip(now, event),
        }
    }

    fn act(&mut self, now: Now, output: Output) {
        match output {
            Output::Sip(command) => self.command(now, command),
            Output::OpenLeg { port, leg, config } => self.open_leg(now, port, leg, config),
            Output::Media(command) => self.parts.router.command(command),
            Output::Disk { job, request } => self.ask_disk(now, job, request),
            Output::Reply { request, result } => {
                let reply = self.replies.remove(&request);
                self.answered.extend(reply.map(|reply| (reply, result)));
            }
            Output::Event(event) => {
                let Parts { log, node, process_id, .. } = &mut self.parts;
                call_log::note(*node, &event);
                log.append(event.time.0, call_event(*node, *process_id, event));
            }
            Output::ConferenceEvent(event) => {
                let Parts { log, node, .. } = &mut self.parts;
                call_log::note_conference(*node, &event);
                log.append(event.time.0, conference_event(*node, event));
            }
            Output::NodeEvent(event) => {
                call_log::note_node(&event.kind);
                self.parts.log.append(event.time.0, node_event(event.kind));
            }
            Output::PortReleased(port) => self.parts.ports.release(now.mono, port),
        }
    }

    /// A command that comes too late for its session is a race and no fault. What would have had an end has it at once.
    fn command(&mut self, now: Now, command: sip::Command) {
        if let sip::Command::Reject { session, status, .. } = &command {
            tracing::info!(?session, status, "inbound call refused");
        }
        let end = end_of(&command);
        let Err(error) = self.parts.endpoint.command(now.mono, command) else { return };
        if let Some(end) = end {
            tracing::debug!(%error, "SIP command refused");
            self.parts.calls.sip(now, end(&error));
        } else if error != CommandError::Unknown {
            tracing::warn!(%error, "SIP command refused");
        }
    }

    fn open_leg(&mut self, now: Now, port: Port, leg: media::LegId, config: media::LegConfig) {
        match self.parts.ports.take(port) {
            Some(sockets) => self.parts.router.open(leg, sockets, config),
            None => {
                tracing::error!(port = port.0, "a leg was opened on a port that has no sockets");
                let stats = media::LegStats::default();
                self.parts.calls.media(now, media::Event::LegRemoved { leg, stats });
            }
        }
    }

    fn ask_disk(&mut self, now: Now, job: JobId, request: DiskJob) {
        match request {
            DiskJob::LoadPrompts { sources, codec } => {
                if let Err(fault) = self.parts.prompts.ask(job, sources, codec) {
                    let result = Err(fault);
                    self.parts.calls.disk(now, DiskEvent::Prompts { job, result });
                }
            }
            DiskJob::OpenRecording { file, spec, overwrite, recording } => {
                self.parts.recordings.send(ToDisk::Open { job, file, spec, overwrite, recording });
            }
            DiskJob::AbandonRecording { recording } => {
                self.parts.recordings.send(ToDisk::Audio(Audio { recording, chunk: Chunk::End }));
            }
        }
    }

    fn transmit(&mut self, now: Now, message: sip::Transmit) {
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
                tracing::debug!(remote = %flow.remote, ?failed, "SIP message not sent");
                self.parts.endpoint.transport_failed(now.mono, flow);
            }
        }
    }

    fn shut_down(&mut self, now: Now) {
        match self.stage {
            Stage::Serving => {
                tracing::info!(calls = self.parts.calls.live(), "draining");
                self.parts.calls.drain();
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
        let counters = self.parts.endpoint.counters();
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
        tracing::info!(calls = self.parts.calls.live(), "ending");
        self.parts.calls.hang_up_all(now);
        self.stage = Stage::Ending { until: now.mono + within };
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Ending { until } => {
                let Parts { calls, endpoint, .. } = &self.parts;
                let quiet = calls.live() == 0 && calls.conferences() == 0 && endpoint.is_quiet();
                quiet || clock::now().mono >= until
            }
            Stage::Serving | Stage::Draining { .. } => false,
        }
    }

    fn deadline(&self) -> Instant {
        let stage = match self.stage {
            Stage::Serving => None,
            Stage::Draining { until } | Stage::Ending { until } => Some(until),
        };
        let Parts { endpoint, calls, log, .. } = &self.parts;
        let due = [endpoint.poll_timeout(), calls.poll_timeout(), log.poll_timeout(), stage];
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
