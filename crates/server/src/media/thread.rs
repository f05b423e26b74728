//! One media thread: its inbox, its sockets and its engine, in the slots of [`Pace`].

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use offhook_media::event::{Channel, Command, Event, LegId};
use offhook_media::{Clock, Engine, Need, PHASES};
use tokio::sync::mpsc;

use super::arrivals::{Arrivals, Look, Wanted};
use super::batch::{Batch, Packet};
use super::inbox::{Inbox, Woken};
use super::lateness::Lateness;
use super::pace::{Needs, Pace};
use super::places::Places;
use super::{Moved, SocketFault, ToMedia, Tried};
use crate::clock;
use crate::input::Input;
use crate::outbox::Outbox;
use crate::ports::Sockets;
use crate::recordings::{Feed, ToDisk};

/// The longest packet that a peer may send: longer datagrams are cut and refused by their header.
pub(super) const PACKET: usize = 2_048;

/// After so long without a packet none is looked for any more: the first that comes wakes the thread. A stream has one each
/// 20 ms, so that it is not woken by those of one that goes on.
const QUIET: Duration = Duration::from_secs(1);

/// From one look at which legs have frames to the next, in frames: 200 ms, in which a socket that is read in another way
/// than would be cheapest costs nothing to speak of.
const FRAMES_PER_CHANGE: u64 = 10;

/// Statistics are left out while so many events wait for the control loop; nothing else ever is.
const STATS_BACKLOG: usize = 256;

/// Events that may wait for the control loop while packets are still taken: a minute of 1,000 legs of which each tells
/// something every second. Beyond it packets stay in the kernel, which loses what it has no room for. Only what peers send
/// makes events without end: what else comes meanwhile is an end that has been asked for, and those are never lost.
pub(super) const MOST_EVENTS: usize = 65_536;

/// From the moment at which a thread begins to work to its first slot: half a frame. That moment is the answer of a call,
/// at which its peer begins to send: a frame in the same moment as each of its packets would find it or not by chance, and
/// the leg would have to make up for a jitter that no network has made.
const BESIDE: Duration = Duration::from_millis(10);

/// A leg that is on its way here.
struct Expected {
    coming: Receiver<Moved>,
    /// What is to be done with it when it has come: what the control loop asks for in the slot or two until the other
    /// thread looks into its inbox.
    waiting: Vec<ToMedia>,
}

/// One media thread.
pub(super) struct Thread {
    pub(super) engine: Engine,
    places: Places,
    arrivals: Box<dyn Arrivals>,
    expected: HashMap<LegId, Expected>,
    inbox: Inbox,
    events: Outbox<Input, mpsc::Sender<Input>>,
    audio: Feed,
    buffer: Vec<u8>,
    batch: Batch,
    pace: Pace,
    /// When a packet came last.
    heard: Instant,
    lateness: Arc<Lateness>,
}

impl Thread {
    pub(super) fn new(
        seed: [u8; 32],
        arrivals: Box<dyn Arrivals>,
        inbox: Inbox,
        control: mpsc::Sender<Input>,
        audio: Feed,
        lateness: Arc<Lateness>,
    ) -> Self {
        let now = clock::now();
        Self {
            engine: Engine::new(Clock { mono: now.mono, unix_ms: now.wall.0 }, seed),
            places: Places::default(),
            arrivals,
            expected: HashMap::new(),
            inbox,
            events: Outbox::new(control),
            audio,
            buffer: vec![0; PACKET],
            batch: Batch::new(),
            pace: Pace::new(now.mono),
            heard: now.mono,
            lateness,
        }
    }

    /// Runs until the control loop is gone.
    pub(super) fn run(mut self) {
        loop {
            let has_work = !self.engine.is_idle() || !self.has_sent_all();
            if !(has_work || self.sleep()) || !self.serve_inbox() {
                return;
            }
            let mut now = clock::now().mono;
            self.lateness.leaves_out(self.pace.catch_up(now));
            while self.pace.due() <= now {
                self.lateness.begins(now.saturating_duration_since(self.pace.due()));
                self.slot(now);
                now = clock::now().mono;
            }
        }
    }

    /// Waits until there is something to work for; `false` when nobody can send any more.
    fn sleep(&mut self) -> bool {
        loop {
            let message = self.inbox.try_recv();
            let now = clock::now().mono;
            match message {
                Ok(message) => self.obey(now, message),
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) if self.take_in(now) => self.flush(),
                Err(TryRecvError::Empty) => {
                    self.inbox.wait(None, None);
                    continue;
                }
            }
            self.pace = Pace::new(now + BESIDE);
            return true;
        }
    }

    /// Takes messages until the next slot is due; `false` when nobody can send any more.
    fn serve_inbox(&mut self) -> bool {
        loop {
            let message = self.inbox.try_recv();
            let now = clock::now().mono;
            match message {
                Ok(message) => {
                    self.obey(now, message);
                    self.pace.woken(now, &self.needs());
                }
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => {
                    let most = self.pace.due().saturating_duration_since(now);
                    let beside = self.arrivals.waker().filter(|_| self.is_quiet(now));
                    match self.inbox.wait(Some(most), beside) {
                        Woken::Rung if self.take_in(now) => {
                            self.flush();
                            self.pace.woken(now, &self.needs());
                        }
                        Woken::Rung => continue,
                        Woken::Beside => self.pace.hurry(clock::now().mono),
                        Woken::Late => return true,
                    }
                }
            }
            // However many messages there are, they do not hold up the slot.
            if self.pace.due() <= now {
                return true;
            }
        }
    }

    /// How many events wait for the control loop.
    #[cfg(test)]
    pub(super) fn backlog(&self) -> usize {
        self.events.backlog()
    }

    /// Whether all that is told and recorded has been handed on.
    fn has_sent_all(&self) -> bool {
        self.events.backlog() == 0 && self.audio.backlog() == 0
    }

    /// Whether there is nothing to look for until something comes.
    fn is_quiet(&self, now: Instant) -> bool {
        let needs = self.needs();
        let has_frames = needs.passes_on || needs.phases.into_iter().any(|need| need > Need::Nothing);
        !has_frames && self.has_sent_all() && now.saturating_duration_since(self.heard) >= QUIET
    }

    fn needs(&self) -> Needs {
        let mut phase = 0..PHASES;
        let next = |_| phase.next().map(|phase| self.engine.needs(phase)).unwrap_or_default();
        Needs { phases: std::array::from_fn(next), passes_on: self.engine.passes_on() }
    }

    pub(super) fn obey(&mut self, now: Instant, message: ToMedia) {
        self.accept(now, message);
        self.flush();
    }

    pub(super) fn accept(&mut self, now: Instant, message: ToMedia) {
        if let Some(expected) = self.awaits(&message).and_then(|leg| self.expected.get_mut(&leg)) {
            expected.waiting.push(message);
            return;
        }
        match message {
            ToMedia::Open { leg, sockets, config } => {
                self.places.insert(leg, sockets);
                self.engine.command(now, Command::AddLeg { leg, config });
                self.tie(leg);
            }
            ToMedia::Command(command) => self.command(now, command),
            ToMedia::Move { leg, to } => {
                self.hear_leg(leg);
                if let Some(moved) = self.engine.detach(now, leg).zip(self.give_up(leg)) {
                    to.give(Box::new(moved));
                }
            }
            ToMedia::Expect { leg, coming } => {
                self.expected.insert(leg, Expected { coming, waiting: Vec::new() });
            }
        }
    }

    /// Takes in the legs that have come from other threads, and does what has waited for them. Returns whether there were
    /// any.
    pub(super) fn take_in(&mut self, now: Instant) -> bool {
        let look = |(leg, expected): (&LegId, &Expected)| match expected.coming.try_recv() {
            Ok(moved) => Some((*leg, Some(moved))),
            // It was gone before it could be moved.
            Err(TryRecvError::Disconnected) => Some((*leg, None)),
            Err(TryRecvError::Empty) => None,
        };
        let come: Vec<_> = self.expected.iter().filter_map(look).collect();
        let has_come = !come.is_empty();
        for (leg, moved) in come {
            if let Some((value, sockets)) = moved.map(|moved| *moved) {
                self.engine.attach(now, leg, value);
                let place = self.places.insert(leg, sockets);
                self.listen(leg, place);
            }
            let expected = self.expected.remove(&leg);
            for message in expected.into_iter().flat_map(|expected| expected.waiting) {
                self.accept(now, message);
            }
        }
        has_come
    }

    /// The leg that has to arrive before this can be done.
    fn awaits(&self, message: &ToMedia) -> Option<LegId> {
        let (leg, second) = match message {
            ToMedia::Command(command) => (command.leg(), command.second()),
            // One that comes back waits until it has come and gone.
            ToMedia::Move { leg, .. } | ToMedia::Expect { leg, .. } => (Some(*leg), None),
            ToMedia::Open { .. } => return None,
        };
        [leg, second].into_iter().flatten().find(|leg| self.expected.contains_key(leg))
    }

    fn command(&mut self, now: Instant, command: Command) {
        let changed = match &command {
            Command::UpdateLeg { leg, .. } => Some(*leg),
            _ => None,
        };
        let legs = [command.leg(), command.second()];
        // What came before the command is not for what it begins, and for what it ends.
        legs.into_iter().flatten().for_each(|leg| self.hear_leg(leg));
        self.engine.command(now, command);
        if let Some(leg) = changed {
            self.tie(leg);
        }
        legs.into_iter().flatten().for_each(|leg| self.follow_leg(leg));
    }

    /// Takes the sockets of a leg that is gone, or goes on elsewhere.
    fn give_up(&mut self, leg: LegId) -> Option<Sockets> {
        let (sockets, numbers) = self.places.remove(leg)?;
        for (channel, number) in numbers.into_iter().flatten() {
            self.arrivals.remove(sockets.of(channel).as_fd(), number);
        }
        Some(sockets)
    }

    /// Ties the sockets to the peer, or opens them to whoever it may turn out to be.
    fn tie(&mut self, leg: LegId) {
        let Some(place) = self.places.of(leg) else { return };
        let Some(sockets) = self.places.sockets(place) else { return };
        for channel in [Channel::Rtp, Channel::Rtcp] {
            let peer = self.engine.peer(leg, channel);
            if let Err(error) = sockets.tie(channel, peer) {
                let fault = SocketFault { leg, channel, what: Tried::Tie(peer), error };
                self.events.send(Input::Socket(fault));
            }
        }
        self.listen(leg, place);
    }

    /// Listens to the sockets once it is known whom they are to hear: before that nobody reads.
    fn listen(&mut self, leg: LegId, place: usize) {
        let Some((sockets, numbers)) = self.places.begin_to_hear(place) else { return };
        for (channel, number) in numbers {
            if let Err(error) = self.arrivals.add(sockets.of(channel).as_fd(), number) {
                let fault = SocketFault { leg, channel, what: Tried::Listen, error };
                self.events.send(Input::Socket(fault));
            }
        }
    }

    /// What is to be done every 2 ms where there is anything to do: packets in, frames, packets out.
    pub(super) fn slot(&mut self, now: Instant) {
        self.take_in(now);
        let (phase, frame) = (self.pace.phase(&self.needs()), self.pace.frame());
        if self.events.backlog() < MOST_EVENTS {
            let (slots, passes_on) = (self.pace.passed(), self.engine.passes_on());
            self.hear(now, Look { slots, passes_on, frame: phase.map(|phase| (phase, frame)) });
        }
        if let Some(phase) = phase {
            self.engine.tick(now, phase, frame);
            // Whoever has no more frames is not read in them any more.
            if frame.is_multiple_of(FRAMES_PER_CHANGE) || self.engine.needs(phase) < Need::Frames {
                self.follow(phase);
            }
        }
        self.flush();
        let is_woken = self.arrivals.waker().is_some() && self.is_quiet(now);
        self.pace.done(&self.needs(), is_woken);
    }

    /// Lets the sockets of the legs of a phase be read in its frames, where they have any.
    fn follow(&mut self, phase: u8) {
        let legs: Vec<LegId> = self.engine.legs_of(phase).chain(self.places.in_phase(phase)).collect();
        legs.into_iter().for_each(|leg| self.follow_leg(leg));
    }

    fn follow_leg(&mut self, leg: LegId) {
        let frames = self.engine.frames_of(leg);
        let Some((sockets, number)) = self.places.follow(leg, frames) else { return };
        let channel = Channel::Rtp;
        if let Err(error) = self.arrivals.follow(sockets.of(channel).as_fd(), number, frames) {
            let fault = SocketFault { leg, channel, what: Tried::Listen, error };
            self.events.send(Input::Socket(fault));
        }
    }

    /// Takes the packets that have come.
    pub(super) fn hear(&mut self, now: Instant, look: Look) {
        let Self { engine, places, arrivals, buffer, batch, heard, .. } = self;
        let clocks = clock::both();
        let mut read = |number, wanted| {
            let Some((leg, channel, sockets)) = places.at(number) else { return 0 };
            if wanted == Wanted::Next {
                engine.fetch(leg);
                return 0;
            }
            if wanted == Wanted::Span {
                return batch
                    .read((sockets, channel), clocks, |packet| receive(engine, leg, channel, packet));
            }
            // An error is that of a packet sent before: its port at the peer is closed (ICMP).
            let Ok((length, source)) = sockets.receive(channel, buffer) else { return 0 };
            let bytes = buffer.get(..length).unwrap_or_default();
            receive(engine, leg, channel, Packet { at: now, source, bytes });
            1
        };
        if arrivals.read(look, &mut read) {
            *heard = now;
        }
    }

    /// Takes the packets that have come to a leg that is read in spans.
    fn hear_leg(&mut self, leg: LegId) {
        let Self { engine, places, batch, .. } = self;
        if let Some(sockets) = places.read_in_spans(leg) {
            let channel = Channel::Rtp;
            batch.read((sockets, channel), clock::both(), |packet| receive(engine, leg, channel, packet));
        }
    }

    /// Sends what the engine has to say.
    fn flush(&mut self) {
        while let Some(packet) = self.engine.poll_transmit() {
            if let Some(sockets) = self.places.of(packet.leg).and_then(|place| self.places.sockets(place)) {
                // A packet that cannot be sent now is lost, as on any network.
                let _ = sockets.send(packet.channel, packet.destination, packet.bytes);
            }
        }
        while let Some(audio) = self.engine.poll_audio() {
            self.audio.send(ToDisk::Audio(audio));
        }
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::LegRemoved { leg, .. } => drop(self.give_up(leg)),
                Event::PeerFound { leg, .. } => self.tie(leg),
                Event::Stats { .. } if self.events.backlog() > STATS_BACKLOG => continue,
                _ => {}
            }
            self.events.send(Input::Media(event));
        }
        self.events.flush();
        self.audio.flush();
    }
}

fn receive(engine: &mut Engine, leg: LegId, channel: Channel, Packet { at, source, bytes }: Packet<'_>) {
    match source {
        None => engine.receive(at, leg, channel, bytes),
        Some(source) => engine.receive_from(at, leg, channel, source, bytes),
    }
}
