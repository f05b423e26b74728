//! Engines against each other in virtual time, over a network that loses, delays, doubles and reorders by a seed.

mod actions;
mod bridge;
mod changes;
mod codecs;
mod connect;
mod detect;
mod digits;
#[cfg(feature = "opus")]
mod full_band;
mod held;
mod hostile;
mod idle;
mod latch;
mod mute;
#[cfg(feature = "opus")]
mod opus;
mod play;
mod presence;
mod protection;
mod record;
mod recorded;
mod rooms;
mod rtp;
mod trouble;
mod turned;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtp_rs::RtpReader;

use crate::event::*;
use crate::file::Part;
use crate::file::{RecordSpec, Writer};
use crate::sdp::{ComfortNoise, Direction, Events, TelephoneEvent};
use crate::{Clock, Engine, Frames, Heard, Need, PHASES, is_span_turn, is_turn_at_rest};

/// What the network does to a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    loss: f64,
    duplication: f64,
    /// The longest delay; each packet has its own, so that they overtake each other.
    delay_ms: u64,
}

/// A packet that an engine sent: when, from which leg, what.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    at_ms: u64,
    leg: LegId,
    channel: Channel,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn rtp(&self) -> RtpReader<'_> {
        RtpReader::new(&self.bytes).unwrap()
    }
}

/// Engines, the network between them, and all they said.
pub(crate) struct World {
    epoch: Instant,
    /// Steps of 2 ms since the epoch; each is one phase.
    step: u64,
    engines: Vec<Engine>,
    homes: HashMap<LegId, usize>,
    network: Network,
    random: fastrand::Rng,
    /// Packets on their way, by time and order.
    flying: BTreeMap<(u64, u64), (LegId, Channel, Vec<u8>)>,
    /// Whether packets wait in the sockets of their legs for as long as a driver may let them, and those.
    reads_in_spans: bool,
    waiting: Vec<(Instant, LegId, Channel, Vec<u8>)>,
    sent: Vec<Sent>,
    events: Vec<(u64, Event)>,
    /// The formats that recordings are wanted in, linear otherwise, and their rates, 8 kHz otherwise.
    formats: HashMap<RecordingId, RecordFormat>,
    rates: HashMap<RecordingId, u32>,
    writers: HashMap<RecordingId, Writer>,
    /// Where the audio begins in its file.
    starts: HashMap<RecordingId, u64>,
    files: HashMap<RecordingId, Vec<u8>>,
    closed: Vec<RecordingId>,
}

#[allow(clippy::disallowed_methods, reason = "any instant serves as the epoch of a virtual clock")]
fn any_instant() -> Instant {
    Instant::now()
}

impl World {
    fn new(engines: u8, seed: u64, network: Network) -> Self {
        let epoch = any_instant();
        let clock = Clock { mono: epoch, unix_ms: 1_800_000_000_000 };
        let engines = (0..engines).map(|index| Engine::new(clock, [index + 1; 32])).collect();
        Self {
            epoch,
            step: 0,
            engines,
            homes: HashMap::new(),
            network,
            random: fastrand::Rng::with_seed(seed),
            flying: BTreeMap::new(),
            reads_in_spans: false,
            waiting: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            formats: HashMap::new(),
            rates: HashMap::new(),
            writers: HashMap::new(),
            starts: HashMap::new(),
            files: HashMap::new(),
            closed: Vec::new(),
        }
    }

    /// Two engines with one leg each, 1 and 2, that face each other.
    fn pair(seed: u64, network: Network, first: LegConfig, second: LegConfig) -> Self {
        let mut world = Self::new(2, seed, network);
        world.add(0, 1, 2, first);
        world.add(1, 2, 1, second);
        world
    }

    /// Adds a leg that sends to the leg `to`; addresses name legs by their port.
    fn add(&mut self, engine: usize, leg: u64, to: u64, config: LegConfig) {
        self.homes.insert(LegId(leg), engine);
        let media = Negotiated { remote_rtp: address(to), remote_rtcp: address(to), ..config.media };
        self.command(Command::AddLeg { leg: LegId(leg), config: LegConfig { media, ..config } });
    }

    fn now(&self) -> Instant {
        self.epoch + Duration::from_millis(self.step * 2)
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        // Rooms are in the first engine.
        let engine = if command.room().is_some() { 0 } else { self.homes[&command.leg().unwrap()] };
        let legs = [command.leg(), command.second()];
        self.read(engine, |leg, _| legs.contains(&Some(leg)));
        self.engines[engine].command(now, command);
        self.drain();
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 2 {
            self.step += 1;
            let now = self.now();
            while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.step) {
                let (leg, channel, bytes) = entry.remove();
                self.waiting.push((now, leg, channel, bytes));
            }
            let phase = u8::try_from(self.step % u64::from(PHASES)).unwrap();
            let frame = self.step / u64::from(PHASES);
            let reads_in_spans = self.reads_in_spans;
            for index in 0..self.engines.len() {
                self.read(index, |_, frames| match frames.filter(|_| reads_in_spans) {
                    Some(Frames { phase: due, heard }) => {
                        due == phase && (heard != Heard::InSpans || is_span_turn(frame, phase))
                    }
                    None => true,
                });
                let engine = &mut self.engines[index];
                let is_due = match engine.needs(phase) {
                    Need::Nobody => false,
                    Need::Nothing => is_turn_at_rest(frame, phase),
                    Need::Spans => is_span_turn(frame, phase),
                    Need::Frames => true,
                };
                if is_due {
                    engine.tick(now, phase, frame);
                }
            }
            self.drain();
        }
    }

    /// Reads what has come to the sockets of an engine's legs that are due to be read, by when packets are to be received.
    fn read(&mut self, engine: usize, is_due: impl Fn(LegId, Option<Frames>) -> bool) {
        for (at, leg, channel, bytes) in std::mem::take(&mut self.waiting) {
            let home = self.homes.get(&leg).copied();
            let frames = self.engines[engine].frames_of(leg);
            if home == Some(engine) && is_due(leg, frames) {
                self.engines[engine].receive(at, leg, channel, &bytes);
            } else if home.is_some() {
                self.waiting.push((at, leg, channel, bytes));
            }
        }
    }

    fn drain(&mut self) {
        for index in 0..self.engines.len() {
            while let Some(packet) = self.engines[index].poll_transmit() {
                let (leg, channel, to) = (packet.leg, packet.channel, packet.destination);
                let bytes = packet.bytes.to_vec();
                self.sent.push(Sent { at_ms: self.step * 2, leg, channel, to, bytes: bytes.clone() });
                if !self.homes.contains_key(&LegId(u64::from(to.port()))) {
                    continue;
                }
                let copies = 1 + usize::from(self.random.f64() < self.network.duplication);
                for _ in 0..copies {
                    if self.random.f64() >= self.network.loss {
                        let delay = 1 + self.random.u64(0..=self.network.delay_ms / 2);
                        let order = self.sent.len() as u64 * 2 + self.random.u64(0..2);
                        let to = LegId(u64::from(to.port()));
                        self.flying.insert((self.step + delay, order), (to, channel, bytes.clone()));
                    }
                }
            }
            while let Some(Audio { recording, chunk }) = self.engines[index].poll_audio() {
                assert!(!self.closed.contains(&recording), "nothing comes after the end mark");
                let format = self.formats.get(&recording).copied().unwrap_or(RecordFormat::Pcm16);
                let rate = self.rates.get(&recording).copied().unwrap_or(8000);
                let spec = RecordSpec { format, rate, channels: 1 };
                let writer = self.writers.entry(recording).or_insert_with(|| Writer::new(spec).unwrap());
                writer.push(&chunk);
                let (patch, file) = (writer.patch(), self.files.entry(recording).or_default());
                let start = *self.starts.entry(recording).or_insert(patch.at);
                // What made its length even is overwritten.
                file.truncate(usize::try_from(patch.at - start).unwrap());
                file.extend(patch.audio);
                if chunk == Chunk::End {
                    self.closed.push(recording);
                }
            }
            while let Some(event) = self.engines[index].poll_event() {
                self.events.push((self.step * 2, event));
            }
        }
    }

    /// The RTP packets that a leg sent.
    fn rtp_of(&self, leg: u64) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.leg == LegId(leg) && sent.channel == Channel::Rtp).collect()
    }

    /// Events that are no statistics.
    fn told(&self) -> Vec<&Event> {
        self.events
            .iter()
            .map(|(_, event)| event)
            .filter(|event| !matches!(event, Event::Stats { .. }))
            .collect()
    }

    /// The keys that a leg told, and how they were heard.
    fn digits_of(&self, leg: u64) -> Vec<(char, DigitSource)> {
        let digit = |event: &&Event| match **event {
            Event::Digit { leg: of, key, source, .. } if of == LegId(leg) => Some((key.as_char(), source)),
            _ => None,
        };
        self.told().iter().filter_map(digit).collect()
    }

    /// The audio of a recording.
    fn file(&self, recording: u64) -> &[u8] {
        self.files.get(&RecordingId(recording)).map_or(&[], Vec::as_slice)
    }

    fn play(&mut self, leg: u64, action: u64, prompts: &[&Arc<Prompt>], repeat: u32) {
        let prompts = prompts.iter().map(|prompt| Arc::clone(prompt)).collect();
        self.command(Command::Play { leg: LegId(leg), action: ActionId(action), prompts, repeat });
    }

    fn record(&mut self, leg: u64, action: u64, format: RecordFormat, max_ms: u64) {
        self.formats.insert(RecordingId(action), format);
        self.command(Command::Record {
            leg: LegId(leg),
            action: ActionId(action),
            recording: RecordingId(action),
            beep: false,
            max: Duration::from_millis(max_ms),
            trim_silence: false,
            mute_digits: false,
            finish_keys: KeySet::parse("5").unwrap(),
            format,
        });
    }

    fn stop_record(&mut self, leg: u64, action: u64, by_key: bool) {
        self.command(Command::StopRecord { leg: LegId(leg), action: ActionId(action), by_key });
        // It goes on for what is in the jitter buffer.
        let is_over = |world: &Self| {
            world
                .told()
                .iter()
                .any(|event| matches!(event, Event::RecordEnded { action: ended, .. } if ended.0 == action))
        };
        for _ in 0..150 {
            if is_over(self) {
                return;
            }
            self.run(2);
        }
        panic!("recording {action} has not ended");
    }

    fn send_digits(&mut self, leg: u64, action: u64, keys: &str) {
        let digits = dial(keys);
        self.command(Command::SendDigits { leg: LegId(leg), action: ActionId(action), digits });
    }
}

/// The phase that a leg is in.
fn phase_of(engine: &Engine, leg: u64) -> Option<u8> {
    (0..PHASES).find(|&phase| engine.legs_of(phase).any(|other| other == LegId(leg)))
}

fn address(leg: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], u16::try_from(leg).unwrap()))
}

/// A leg with telephone-events 101, without comfort noise, and 20 ms, that does not look for tones.
fn config(codec: Codec) -> LegConfig {
    let (events, clock_rate) = (Events::OURS, codec.clock_rate());
    let event = TelephoneEvent { send_payload_type: 101, receive_payload_type: 101, events, clock_rate };
    LegConfig::new(Negotiated { telephone_event: Some(event), ..Negotiated::plain(codec, address(0)) })
}

fn with(config: LegConfig, change: impl FnOnce(&mut Negotiated)) -> LegConfig {
    let mut config = config;
    change(&mut config.media);
    config
}

fn dial(keys: &str) -> Vec<Dial> {
    keys.chars().map(|char| Key::from_char(char).map_or(Dial::Pause, Dial::Key)).collect()
}

/// A prompt of so many random samples, none of them silence in either law.
fn prompt(codec: Codec, samples: usize, seed: u64) -> Arc<Prompt> {
    let mut random = fastrand::Rng::with_seed(seed);
    let payload: Vec<u8> = (0..samples).map(|_| random.u8(0x10..0x50)).collect();
    Arc::new(Prompt::new(codec, payload))
}

/// The payload of a prompt that is in one part.
fn payload(prompt: &Prompt) -> &[u8] {
    match prompt.part(0) {
        Part::Payload(payload) => payload,
        Part::NotYet | Part::End => &[],
    }
}

/// Where `part` lies in `whole`.
fn find<T: PartialEq>(whole: &[T], part: &[T]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}
