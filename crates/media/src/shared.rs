//! What the legs of one engine share: where their packets, audio and events wait to be polled, and the generator of
//! numbers that nobody shall guess.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Clock;
use crate::digits::Pressed;
use crate::dtmf::Key;
use crate::event::{Audio, Channel, Chunk, DigitSource, Event, LegId, RecordingId, RoomEvent, Transmit};
use crate::mixer::Desk;
use crate::outgoing::Memory;

/// Packets that wait for the driver. It polls after every call, so this is one phase of 4,000 legs that catch up; beyond
/// it packets are lost, as on any network.
const MAX_PACKETS: usize = 16_384;
/// Digits, talks, strangers and statistics that wait for the driver; beyond it they are left out. Ends of actions always wait: there are
/// no more of them than actions.
const MAX_NEWS: usize = 16_384;

/// The outputs of an engine.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) epoch: Clock,
    random: ChaCha12Rng,
    /// The bytes of all packets that wait; its memory is used again when they are gone.
    arena: Vec<u8>,
    packets: VecDeque<Queued>,
    audio: VecDeque<Audio>,
    events: VecDeque<Event>,
    passed_on: VecDeque<PassedOn>,
    /// Of the payload that is being said.
    pub(crate) payload: Memory,
    /// Of the frame that is being heard.
    pub(crate) frame: Vec<i16>,
    /// Of the frame that is being mixed.
    pub(crate) desk: Option<Box<Desk>>,
    /// Whether the statistics of the legs that are being ticked are to be told.
    pub(crate) tells_stats: bool,
}

#[derive(Debug)]
struct Queued {
    leg: LegId,
    channel: Channel,
    destination: SocketAddr,
    bytes: std::ops::Range<usize>,
}

/// A key that one party of a connection pressed, for the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassedOn {
    pub(crate) to: LegId,
    pub(crate) key: Key,
    pub(crate) source: DigitSource,
    pub(crate) pressed: Pressed,
}

impl Shared {
    pub(crate) fn new(epoch: Clock, seed: [u8; 32]) -> Self {
        Self {
            epoch,
            random: ChaCha12Rng::from_seed(seed),
            arena: Vec::new(),
            packets: VecDeque::new(),
            audio: VecDeque::new(),
            events: VecDeque::new(),
            passed_on: VecDeque::new(),
            payload: Memory::default(),
            frame: Vec::new(),
            desk: None,
            tells_stats: false,
        }
    }

    pub(crate) fn random(&mut self) -> u32 {
        self.random.next_u32()
    }

    /// Queues the packet that `write` appends, if it does.
    pub(crate) fn send(
        &mut self,
        leg: LegId,
        channel: Channel,
        destination: SocketAddr,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.packets.len() == MAX_PACKETS {
            return;
        }
        if self.packets.is_empty() {
            self.arena.clear();
        }
        let start = self.arena.len();
        write(&mut self.arena);
        if self.arena.len() == start {
            return;
        }
        self.packets.push_back(Queued { leg, channel, destination, bytes: start..self.arena.len() });
    }

    pub(crate) fn record(&mut self, recording: RecordingId, chunk: Chunk) {
        self.audio.push_back(Audio { recording, chunk });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let is_news = matches!(
            event,
            Event::Digit { .. }
                | Event::Stats { .. }
                | Event::Stranger { .. }
                | Event::Trouble { .. }
                | Event::Room { event: RoomEvent::Talking { .. }, .. }
        );
        if !is_news || self.events.len() < MAX_NEWS {
            self.events.push_back(event);
        }
    }

    pub(crate) fn pass_on(&mut self, passed_on: PassedOn) {
        self.passed_on.push_back(passed_on);
    }

    pub(crate) fn poll_passed_on(&mut self) -> Option<PassedOn> {
        self.passed_on.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        let Queued { leg, channel, destination, bytes } = self.packets.pop_front()?;
        Some(Transmit { leg, channel, destination, bytes: &self.arena[bytes] })
    }

    pub(crate) fn poll_audio(&mut self) -> Option<Audio> {
        self.audio.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
