//! The real media engine of our node, in virtual time: its ports, its ticks, and who has been told what.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_call::Port;
use offhook_media::event::{Audio, Channel, Chunk, Command, Event, LegConfig, LegId, RecordingId};
use offhook_media::{Clock, Engine, FRAME, Need, PHASES, is_span_turn, is_turn_at_rest};
use offhook_worlds::node::EPOCH;

/// From the beginning of one phase to that of the next.
const SLOT: Duration = Duration::from_millis(2);

/// The engine and its sockets.
pub(crate) struct Media {
    pub(crate) engine: Engine,
    start: Instant,
    legs: HashMap<Port, LegId>,
    ports: HashMap<LegId, Port>,
    /// The frame that each phase has next, at least.
    next: [u64; PHASES as usize],
    /// Key presses that reached a leg, by where their packets came from and their time; and how many it was told of.
    pressed: HashMap<LegId, (HashSet<(SocketAddr, u32)>, usize)>,
}

impl Media {
    pub(crate) fn new(start: Instant, seed: u64) -> Self {
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            engine: Engine::new(Clock { mono: start, unix_ms: EPOCH }, bytes),
            start,
            legs: HashMap::new(),
            ports: HashMap::new(),
            next: [0; PHASES as usize],
            pressed: HashMap::new(),
        }
    }

    pub(crate) fn open(&mut self, now: Instant, port: Port, leg: LegId, config: LegConfig) {
        assert!(self.legs.insert(port, leg).is_none(), "{port:?} is in use");
        self.ports.insert(leg, port);
        self.engine.command(now, Command::AddLeg { leg, config });
    }

    /// A packet comes to one of our ports: to a leg, if one is there that listens to whoever sent it.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, to: u16, bytes: &[u8]) {
        let channel = if to.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
        let Some(&leg) = self.legs.get(&Port(to & !1)) else { return };
        match self.engine.peer(leg, channel) {
            Some(peer) if peer != from => return,
            Some(_) => self.engine.receive(now, leg, channel, bytes),
            None => self.engine.receive_from(now, leg, channel, from, bytes),
        }
        if let Some(time) = crate::voice::key_time(bytes) {
            self.pressed.entry(leg).or_default().0.insert((from, time));
        }
    }

    /// Applications are told of a key that came in packets: of each press once at most (reliability R7, G8).
    pub(crate) fn told_of_key(&mut self, leg: LegId) {
        let (pressed, told) = self.pressed.entry(leg).or_default();
        *told += 1;
        assert!(*told <= pressed.len(), "{leg:?}: {told} keys of {}", pressed.len());
    }

    /// When the next phase is due, since the start, and which it is.
    pub(crate) fn due(&self, at: Duration) -> Option<(Duration, u8)> {
        (0..PHASES).filter_map(|phase| Some((self.due_of(phase, at)?, phase))).min()
    }

    fn due_of(&self, phase: u8, at: Duration) -> Option<Duration> {
        let need = self.engine.needs(phase);
        if need == Need::Nobody {
            return None;
        }
        let offset = SLOT * u32::from(phase);
        let now = at.saturating_sub(offset).as_nanos().div_ceil(FRAME.as_nanos());
        let mut frame = self.next[usize::from(phase)].max(u64::try_from(now).expect("some years"));
        let is_turn = |frame| match need {
            Need::Nothing => is_turn_at_rest(frame, phase),
            Need::Spans => is_span_turn(frame, phase),
            _ => true,
        };
        while !is_turn(frame) {
            frame += 1;
        }
        Some(FRAME * u32::try_from(frame).expect("some years") + offset)
    }

    pub(crate) fn tick(&mut self, at: Duration, phase: u8) {
        let since = at.saturating_sub(SLOT * u32::from(phase)).as_nanos() / FRAME.as_nanos();
        let frame = u64::try_from(since).expect("some years");
        self.next[usize::from(phase)] = frame + 1;
        self.engine.tick(self.start + at, phase, frame);
    }

    /// What the engine tells, and the recordings that have their end mark. Its packets go nowhere: nobody listens.
    pub(crate) fn drain(&mut self) -> (Vec<RecordingId>, Vec<Event>) {
        while self.engine.poll_transmit().is_some() {}
        let mut ended = Vec::new();
        while let Some(Audio { recording, chunk }) = self.engine.poll_audio() {
            if chunk == Chunk::End {
                ended.push(recording);
            }
        }
        let mut events = Vec::new();
        while let Some(event) = self.engine.poll_event() {
            if let Event::LegRemoved { leg, .. } = event
                && let Some(port) = self.ports.remove(&leg)
            {
                self.legs.remove(&port);
            }
            events.push(event);
        }
        (ended, events)
    }
}
