//! The RTP media engine, sans-IO: packets, ticks and commands in, packets, audio and events out.
//!
//! ```text
//!   datagrams ─▶ receive ─┐                 ┌─▶ poll_transmit   packets, to the leg's sockets
//!   20 ms     ─▶ tick    ─┼─▶ Engine, legs ─┼─▶ poll_audio      chunks, to recording files
//!   commands  ─▶ command ─┘                 └─▶ poll_event      ends of actions, digits, statistics
//! ```
//! [`Engine`] owns its legs and knows no socket, file, thread or clock. Whoever drives it hands in datagrams as they come,
//! calls [`Engine::tick`] every [`FRAME`]` / `[`PHASES`] with the next phase, and polls until nothing comes after each
//! call. `event.rs` is the whole vocabulary; `leg.rs` is the pipeline, `room.rs` that of many, `bridge.rs` that of two; the rest are values that know neither.

mod bridge;
pub mod codec;
mod complex;
mod connection;
pub mod detect;
mod digits;
pub mod dtmf;
pub mod event;
mod fetch;
pub mod file;
pub mod gain;
mod jitter;
mod leg;
pub mod mixer;
mod numbered;
mod outgoing;
mod pace;
mod packet;
mod play;
mod playout;
pub mod progress;
mod quality;
mod record;
mod report;
mod room;
mod rtcp;
pub mod sdp;
mod shared;
mod srtp;
mod stretch;
mod strip;
#[cfg(test)]
mod tests;
mod watch;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::bridge::Bridge;
use crate::codec::Codec;
use crate::event::{
    Audio, Channel, Command, DigitSource, Event, LegConfig, LegId, RecordFormat, RoomId, Transmit,
};
use crate::fetch::{each_and_next, fetch};
use crate::leg::Datagram;
pub use crate::leg::Leg;
pub use crate::numbered::{NumberHasher, Numbered};
use crate::record::{Keys, Recording, Wish};
use crate::room::Room;
use crate::shared::Shared;

/// The step of all media: what is played, heard and recorded goes by frames of this length, whatever the packet time.
pub const FRAME: Duration = Duration::from_millis(20);

/// The legs are spread over so many phases of one frame, so that their packets do not leave in one burst.
pub const PHASES: u8 = 10;

/// A phase takes legs of so much weight before another is begun: every phase in use is a wake-up of the driver in each
/// frame, after which nothing of it is in the caches, and so many light legs are done within two milliseconds.
const FULL_PHASE: usize = 400;

/// How much of a phase, and of a thread, a leg in a codec takes. What costs most in a frame is its packet, and computing where the
/// codec is no table: five and about thirty times as much.
pub fn weight(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide => 1,
        Codec::G722 | Codec::Gsm => 5,
        Codec::Opus => 30,
    }
}

/// From one phase that is begun to the next, so that few are spread over the frame; it takes in all of them, as it has no
/// divisor in common with their number.
const PHASE_STEP: u8 = 3;

/// A leg at rest wants a tick in one of so many frames, each second: soon enough for its reports and for its peer's
/// silence, which count by seconds.
pub const REST_FRAMES: u32 = 50;

// Each phase has its turn at rest in another frame.
const _: () = assert!(REST_FRAMES.is_multiple_of(PHASES as u32));

/// A leg that is only recorded, which nobody waits for, has its frames so many at a time, each 100 ms: what it costs is to
/// bring it and its packets into the caches, and a key, which is what is waited for, is told within a tenth of a second.
pub const SPAN_FRAMES: u32 = 5;

/// Whether the legs of a phase that have their frames in spans have their turn in this frame.
pub fn is_span_turn(frame: u64, phase: u8) -> bool {
    (frame + u64::from(phase)).is_multiple_of(u64::from(SPAN_FRAMES))
}

/// Whether a phase whose legs are at rest has its turn in this frame.
pub fn is_turn_at_rest(frame: u64, phase: u8) -> bool {
    frame % u64::from(REST_FRAMES) == u64::from(phase) * u64::from(REST_FRAMES) / u64::from(PHASES)
}

/// Between two tellings of [`Event::Stats`] of the legs of a phase.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// What the legs of a phase need of their driver, each more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// There are none.
    #[default]
    Nobody,
    /// They are at rest: a tick in one of [`REST_FRAMES`].
    Nothing,
    /// A tick in one of [`SPAN_FRAMES`] ([`is_span_turn`]), once what has come is received with the times at which it came.
    Spans,
    /// A tick in every frame.
    Frames,
}

/// When what comes to a leg is to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Before the ticks of which phase.
    pub phase: u8,
    /// Who hears it in them.
    pub heard: Heard,
}

/// Who hears what comes to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody in each frame.
    InFrames,
    /// A recording, in those of its turn ([`is_span_turn`]), with the moments at which it came.
    InSpans,
    /// Nobody: only keys are looked for, and whether it comes.
    ByNobody,
}

/// Samples in a frame at 8 kHz.
const FRAME_SAMPLES: usize = 160;

/// One moment by two clocks: for the stamps in RTCP, which count by the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// By the clock that all calls of the engine are timed with.
    pub mono: Instant,
    /// By the time of day, in milliseconds since 1970.
    pub unix_ms: i64,
}

/// The legs of one thread.
#[derive(Debug)]
pub struct Engine {
    legs: Numbered<LegId, Placed>,
    rooms: Numbered<RoomId, Room>,
    /// By their first parties.
    bridges: Numbered<LegId, Bridge>,
    phases: [Phase; PHASES as usize],
    shared: Shared,
    /// A protected datagram, unprotected; its memory is used again.
    plain: Vec<u8>,
}

#[derive(Debug)]
struct Placed {
    phase: u8,
    /// What it counts in its phase.
    weight: usize,
    /// What runs its frames; none if it has them by itself.
    group: Option<Group>,
    leg: Leg,
}

/// What runs the frames of several legs in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Room(RoomId),
    /// By its first party.
    Bridge(LegId),
}

/// What is due in a phase.
#[derive(Debug)]
struct Phase {
    /// Legs that have their frames by themselves.
    legs: Vec<LegId>,
    rooms: Vec<RoomId>,
    bridges: Vec<LegId>,
    /// The weight of its legs, those in rooms and bridges included.
    load: usize,
    /// What they needed when they were last ticked, and what has come up since.
    need: Need,
    /// Whether any of them passes on what comes, in the same way.
    passes_on: bool,
    /// When their statistics are to be told: together, as whoever takes them wakes up for it.
    next_stats: Instant,
}

impl Phase {
    fn new(number: u8, epoch: Instant) -> Self {
        let next_stats = epoch + STATS_INTERVAL + STATS_INTERVAL * u32::from(number) / u32::from(PHASES);
        Self {
            legs: Vec::new(),
            rooms: Vec::new(),
            bridges: Vec::new(),
            load: 0,
            need: Need::Nobody,
            passes_on: false,
            next_stats,
        }
    }

    /// What it needs at least, whatever its legs do.
    fn least_need(&self) -> Need {
        match (self.rooms.is_empty() && self.bridges.is_empty(), self.load) {
            (false, _) => Need::Frames,
            (true, 0) => Need::Nobody,
            (true, _) => Need::Nothing,
        }
    }

    /// Whether statistics are to be told in the present tick.
    fn tells_stats(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next_stats;
        if is_due {
            // A phase at rest is ticked as often, so the deadlines do not follow the ticks.
            let next = self.next_stats + STATS_INTERVAL;
            self.next_stats = if next > now { next } else { now + STATS_INTERVAL };
        }
        is_due
    }

    fn raise(&mut self, need: Need) {
        self.need = self.need.max(need);
    }

    fn raise_for(&mut self, leg: &Leg) {
        self.raise(leg.need());
        self.passes_on |= leg.passes_on();
    }
}

impl Engine {
    /// An engine without legs. `seed` yields what nobody shall guess: SSRCs, first sequence numbers and timestamps, and
    /// names in RTCP (RFC 3550 §5.1, §9.1). The same seed and inputs yield the same outputs.
    pub fn new(epoch: Clock, seed: [u8; 32]) -> Self {
        let mut phase = 0..PHASES;
        Self {
            legs: Numbered::default(),
            rooms: Numbered::default(),
            bridges: Numbered::default(),
            phases: std::array::from_fn(|_| Phase::new(phase.next().unwrap_or_default(), epoch.mono)),
            shared: Shared::new(epoch, seed),
            plain: Vec::new(),
        }
    }

    /// Takes a datagram that came at this moment to one of a leg's sockets from the peer they are connected to. What is
    /// malformed, not authentic or was not negotiated is counted and dropped.
    pub fn receive(&mut self, at: Instant, leg: LegId, channel: Channel, bytes: &[u8]) {
        self.take(at, leg, channel, None, bytes);
    }

    /// Takes a datagram that came to a socket that is connected to nobody yet ([`Engine::peer`]), from `source`. What is
    /// not the peer's is counted and dropped as well, once it is known where the peer is.
    pub fn receive_from(
        &mut self,
        at: Instant,
        leg: LegId,
        channel: Channel,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        self.take(at, leg, channel, Some(source), bytes);
    }

    /// Where a leg's peer is known to send from: the address to connect a socket to, of zeros where it is none. Nothing
    /// while the leg has still to learn it, and to be told the source of each datagram.
    pub fn peer(&self, leg: LegId, channel: Channel) -> Option<SocketAddr> {
        self.legs.get(&leg)?.leg.peer(channel)
    }

    fn take(&mut self, now: Instant, id: LegId, channel: Channel, source: Option<SocketAddr>, bytes: &[u8]) {
        let Some(Placed { leg, phase, group, .. }) = self.legs.get_mut(&id) else { return };
        if group.is_none() {
            leg.run_until(now, &mut self.shared);
        }
        let datagram = Datagram { channel, source, bytes };
        let mut plain = std::mem::take(&mut self.plain);
        let Some(Datagram { channel, bytes, .. }) = leg.open(now, datagram, &mut plain, &mut self.shared)
        else {
            self.plain = plain;
            return;
        };
        match channel {
            Channel::Rtcp => leg.receive_rtcp(now, source, bytes, &mut self.shared),
            Channel::Rtp => {
                let relayed = leg.receive_rtp(now, source, bytes, &mut self.shared);
                self.phases[usize::from(*phase)].raise_for(leg);
                if let (Some(relayed), Some(peer)) = (relayed, leg.talks_to())
                    && let Some(Placed { leg: peer, .. }) = self.legs.get_mut(&peer)
                {
                    peer.relay(now, &relayed, &mut self.shared);
                    if peer.misses_packets() {
                        self.tune(id);
                        self.on(id, |leg, _| leg.hear_again(now, &relayed));
                    }
                }
                self.pass_on(now);
            }
        }
        self.plain = plain;
    }

    /// A datagram of this leg is received next: what is needed for that is brought into the caches meanwhile, of the leg and
    /// of the one that it goes on to.
    pub fn fetch(&self, leg: LegId) {
        let Some(Placed { leg, .. }) = self.legs.get(&leg) else { return };
        leg.fetch_for_packet();
        if let Some(Placed { leg: peer, .. }) = leg.talks_to().and_then(|peer| self.legs.get(&peer)) {
            peer.fetch_for_relay();
        }
    }

    /// Does the work of the legs of one phase, which is due in each frame, of this number, or in those that its need is for.
    /// Phases from [`PHASES`] up have none.
    pub fn tick(&mut self, now: Instant, phase: u8, frame: u64) {
        let Some(due) = self.phases.get_mut(usize::from(phase)) else { return };
        // Who needs no frames has them with the others where there are none for anybody.
        let is_for_all = due.need < Need::Frames || is_span_turn(frame, phase);
        (due.need, due.passes_on) = (due.least_need(), false);
        self.shared.tells_stats = is_for_all && due.tells_stats(now);
        for (id, next) in each_and_next(&due.legs) {
            fetch(&self.legs, next);
            let Some(Placed { leg, .. }) = self.legs.get_mut(id) else { continue };
            let has_run = (is_for_all || leg.need() == Need::Frames) && leg.tick(now, &mut self.shared);
            due.need = due.need.max(leg.need());
            due.passes_on |= leg.passes_on();
            if !has_run {
                continue;
            }
            let Some((hearer, mut said, rate)) = leg.take_said() else { continue };
            if let Some(Placed { leg: hearer, .. }) = self.legs.get_mut(&hearer) {
                hearer.say_interpreted(said.linear(), rate, &mut self.shared);
            }
            if let Some(Placed { leg, .. }) = self.legs.get_mut(id) {
                leg.put_said_back(said);
            }
        }
        for (id, next) in each_and_next(&due.rooms) {
            fetch(&self.legs, next.and_then(|next| self.rooms.get(next)?.members().next()).as_ref());
            if let Some(room) = self.rooms.get_mut(id) {
                room.tick(now, &mut self.legs, &mut self.shared);
            }
        }
        for id in &due.bridges {
            if let Some(bridge) = self.bridges.get_mut(id) {
                due.passes_on |= bridge.tick(now, &mut self.legs, &mut self.shared);
            }
        }
        self.shared.tells_stats = false;
        self.settle_bridges(phase);
        self.pass_on(now);
    }

    /// Obeys. A command for a leg or an action that is gone has raced with its end and does nothing.
    pub fn command(&mut self, now: Instant, command: Command) {
        for leg in [command.leg(), command.second()].into_iter().flatten() {
            self.wake(now, leg);
        }
        match command {
            Command::AddLeg { leg, config } => self.add(now, leg, config),
            Command::RemoveLeg { leg: id } => {
                if let Some(leg) = self.detach(now, id) {
                    let stats = leg.remove(now, &mut self.shared);
                    self.shared.tell(Event::LegRemoved { leg: id, stats });
                }
            }
            Command::Room { room, command } => {
                self.obey_room(room, command);
                if let Some(room) = self.rooms.get(&room) {
                    self.phases[usize::from(room.phase)].raise(Need::Frames);
                }
            }
            Command::Connect { first, second, mode, mute_digits } => {
                self.connect(first, second, mode, mute_digits);
            }
            Command::SetVolumes { first, second, volumes } => self.set_volumes(first, second, volumes),
            Command::Disconnect { first, second } => self.end_connection(first, second),
            Command::RecordConnection { first, second, action, recording, is_stereo, max } => {
                let wish = Wish::of_talk(if is_stereo { 2 } else { 1 }, max);
                self.record_connection([first, second], action, recording, wish);
            }
            Command::PlayConnection { first, second, action, prompts, repeat } => {
                self.play_to_connection([first, second], action, prompts, repeat);
            }
            Command::UpdateLeg { leg, config } => {
                self.on(leg, |leg, shared| leg.update(now, config, shared));
                self.tune(leg);
            }
            Command::Play { leg, action, prompts, repeat } => {
                self.on(leg, |leg, shared| leg.play(action, prompts, repeat, shared));
            }
            Command::StopPlay { leg, action } => {
                self.on(leg, |leg, shared| leg.stop_play(action, shared));
                self.on_bridge_of(leg, |bridge, shared| bridge.stop_play(action, shared));
            }
            Command::YieldPlay { leg, action } => self.on(leg, |leg, _| leg.yield_play(action)),
            command @ Command::Record { .. } => self.record(command),
            Command::PauseRecord { leg, action, is_paused } => {
                self.on(leg, |leg, _| leg.pause_record(action, is_paused));
                self.on_bridge_of(leg, |bridge, _| bridge.pause_record(action, is_paused));
            }
            Command::StopRecord { leg, action, by_key } => {
                self.on(leg, |leg, shared| leg.stop_record(action, by_key, shared));
                self.on_bridge_of(leg, |bridge, shared| bridge.stop_record(action, shared));
            }
            Command::SendDigits { leg, action, digits } => {
                self.on(leg, |leg, shared| leg.send_digits(action, digits, shared));
            }
            Command::StopDigits { leg, action } => self.on(leg, |leg, _| leg.stop_digits(action)),
            Command::Detect { leg, kinds, country } => {
                self.on(leg, |leg, _| leg.detect(kinds, country));
            }
            Command::InfoDigit { leg, key, duration } => {
                self.on(leg, |leg, shared| leg.digit(now, key, DigitSource::Info, duration, shared));
            }
        }
        self.pass_on(now);
    }

    /// Begins a recording of a leg.
    fn record(&mut self, command: Command) {
        let Command::Record {
            leg,
            action,
            recording,
            beep,
            max,
            trim_silence,
            mute_digits,
            finish_keys,
            format,
        } = command
        else {
            return;
        };
        let in_spans = format != RecordFormat::Mp3;
        let keys = Keys { mute: mute_digits, finish: finish_keys };
        let wish = Wish { channels: 1, beep, max, trim_silence, keys, in_spans };
        let recording = Recording::new(action, recording, wish);
        self.on(leg, |leg, shared| leg.record(recording, shared));
    }

    /// The next packet to send. To be asked after every call, before sockets of removed legs are closed.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.shared.poll_transmit()
    }

    /// The next audio of a recording. To be asked after every call, and before [`Engine::poll_event`]: a recording's end
    /// mark comes before its end is told.
    pub fn poll_audio(&mut self) -> Option<Audio> {
        self.shared.poll_audio()
    }

    /// The next event. To be asked after every call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.poll_event()
    }

    /// The legs whose work is done in a phase.
    pub fn legs_of(&self, phase: u8) -> impl Iterator<Item = LegId> {
        let due = self.phases.get(usize::from(phase));
        let members = |id| self.rooms.get(id).into_iter().flat_map(Room::members);
        let parties = |id| self.bridges.get(id).into_iter().flat_map(Bridge::parties);
        due.into_iter().flat_map(move |due| {
            let groups = due.rooms.iter().flat_map(members).chain(due.bridges.iter().flat_map(parties));
            due.legs.iter().copied().chain(groups)
        })
    }

    /// What the legs of a phase need until its next tick; it may be more after each call.
    pub fn needs(&self, phase: u8) -> Need {
        self.phases.get(usize::from(phase)).map(|phase| phase.need).unwrap_or_default()
    }

    /// When what comes to a leg is to be received that has something to do in its frames, and passes nothing on as it comes.
    pub fn frames_of(&self, id: LegId) -> Option<Frames> {
        let Placed { phase, group, leg, .. } = self.legs.get(&id)?;
        let need = if group.is_some() { Need::Frames } else { leg.need() };
        let heard = match need {
            Need::Frames if leg.is_listened_to() => Heard::InFrames,
            Need::Frames => Heard::ByNobody,
            _ => Heard::InSpans,
        };
        (need > Need::Nothing && !leg.passes_on()).then_some(Frames { phase: *phase, heard })
    }

    /// Whether packets are passed on when they come, so that they are to be looked for more often than in each frame. Like
    /// the needs it may change with each call.
    pub fn passes_on(&self) -> bool {
        self.phases.iter().any(|phase| phase.passes_on)
    }

    /// How many legs there are.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Whether there is nothing to tick for, no leg and no room.
    pub fn is_idle(&self) -> bool {
        self.legs.is_empty() && self.rooms.is_empty()
    }

    /// Takes a leg out, to be attached to another engine. Its actions go on there; the room or connection it was in ends
    /// for it.
    pub fn detach(&mut self, now: Instant, leg: LegId) -> Option<Leg> {
        self.wake(now, leg);
        self.leave_room(leg);
        self.disconnect(leg);
        let Placed { phase, weight, leg: found, .. } = self.legs.remove(&leg)?;
        let phase = &mut self.phases[usize::from(phase)];
        phase.legs.retain(|&other| other != leg);
        phase.load -= weight;
        Some(found)
    }

    /// Goes on with a leg that was detached from another engine, under the name it had there. The frames that became due
    /// on its way are made up for.
    pub fn attach(&mut self, now: Instant, leg: LegId, mut value: Leg) {
        value.tick(now, &mut self.shared);
        self.place(leg, value);
    }

    fn add(&mut self, now: Instant, id: LegId, config: LegConfig) {
        if !self.legs.contains_key(&id) {
            let leg = Leg::new(now, id, config, &mut self.shared);
            self.place(id, leg);
        }
    }

    /// Puts a leg into a phase.
    fn place(&mut self, id: LegId, leg: Leg) {
        let (phase, weight) = (self.phase_with_room(), weight(leg.codec()));
        let due = &mut self.phases[usize::from(phase)];
        due.legs.push(id);
        due.load += weight;
        due.raise_for(&leg);
        self.legs.insert(id, Placed { phase, weight, group: None, leg });
    }

    /// The first phase that is in use and not full, or one that is not in use; once all are full, the lightest.
    fn phase_with_room(&self) -> u8 {
        let load = |phase: u8| self.phases[usize::from(phase)].load;
        let phases = || (0..PHASES).map(|number| number * PHASE_STEP % PHASES);
        let begun = phases().find(|&phase| (1..FULL_PHASE).contains(&load(phase)));
        begun.or_else(|| phases().find(|&phase| load(phase) == 0)).unwrap_or_else(|| self.calmest())
    }

    /// The lightest phase.
    fn calmest(&self) -> u8 {
        (0..PHASES).min_by_key(|&phase| self.phases[usize::from(phase)].load).unwrap_or_default()
    }

    fn on(&mut self, id: LegId, obey: impl FnOnce(&mut Leg, &mut Shared)) {
        if let Some(Placed { leg, phase, .. }) = self.legs.get_mut(&id) {
            obey(leg, &mut self.shared);
            self.phases[usize::from(*phase)].raise_for(leg);
        }
    }

    /// Brings a leg that has been at rest to the present, or the bridge that runs its frames: what it is told to do now is
    /// not for the frames that went by.
    fn wake(&mut self, now: Instant, id: LegId) {
        let Some(Placed { leg, group, .. }) = self.legs.get_mut(&id) else { return };
        match *group {
            None => leg.wake(now, &mut self.shared),
            Some(Group::Bridge(first)) => {
                if let Some(bridge) = self.bridges.get_mut(&first) {
                    bridge.wake(now, &mut self.legs, &mut self.shared);
                }
            }
            Some(Group::Room(_)) => {}
        }
    }
}
