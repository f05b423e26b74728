//! Telephone-events: keys as RTP packets of their own (RFC 4733), both ways.
//!
//! ```text
//!  0                   1                   2                   3      §2.3
//! ┌───────────────┬─┬─┬───────────┬───────────────────────────────┐
//! │     event     │E│R│  volume   │           duration            │  duration so far, in ticks of the RTP clock
//! └───────────────┴─┴─┴───────────┴───────────────────────────────┘
//!
//! ts 1000  M  5 .  160    first packet: marker
//! ts 1000     5 .  320    an update each packet time, with the same timestamp
//! ts 1000     5 E  480    the end, three times
//! ts 1000     5 E  480
//! ts 1000     5 E  480
//! ```
//!
//! The timestamp names the press: all packets of one press carry that of its start, so loss, duplication and reordering
//! neither lose a press nor make two of it. The marker bit is not looked at on receipt: some senders set it on every
//! packet, and the packet that carries it can be lost.
//!
//! The clock is that of the audio beside the events (§2.1: one stream, one base of time): 8 kHz, with wideband codecs 16 kHz or
//! 48 kHz. Durations are in its ticks, so a press that takes one segment at 8 kHz may take six at 48 kHz. Many peers name events of
//! 8 kHz alone whatever their audio: then durations count by 8 kHz, and timestamps by the audio as ever ([`EventClocks`]).

use std::time::{Duration, Instant};

use super::{Key, KeyEvent, duration_to_samples};

#[cfg(test)]
mod tests;

/// Silence on the event stream after which a key counts as released. Packets come each 20 to 60 ms; this outlasts a
/// burst of three losses at 60 ms, and an application that waits for a digit does not yet feel it.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(200);

/// Packets of a press that began up to so many seconds before the last one known are late and count for nothing: the
/// longest press without a new segment (8.2 s at 8 kHz), and the longest delay of a packet that still comes. A step
/// further back is no delay but a sender that began a new timeline.
const LATE_SECONDS: u32 = 10;

/// The blocks of a packet that are looked at. Packed events have to be over but for the last (§2.5.1.5), so a packet time
/// holds two keys at most; twice that is taken, and a payload cannot make us tell a key for each four bytes of it.
const MAX_BLOCKS: usize = 4;

/// Times that the end of a press is sent (§2.5.1.4).
const END_PACKETS: u8 = 3;

/// The longest duration that a payload can tell; a longer press goes on in a new segment (§2.5.1.3). Of a segment's last
/// packet no copies are sent: whatever comes of the next segment tells the same.
const SEGMENT_TICKS: u16 = 0xffff;

/// Bytes of one event in a payload.
pub(crate) const BLOCK_BYTES: usize = 4;

/// The level that our events are sent with, in −dBm0: that of our own tones.
const VOLUME: u8 = 8;

/// A telephone-event payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// The event code: 0–15 are the keys, the rest are tones and signals that mean nothing to us.
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// The tone's power in −dBm0, 0–63.
    pub volume: u8,
    /// How long the event has lasted since its packet's timestamp, in timestamp units.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first event block of a payload. `None` if it is too short to be one. The reserved bit and whatever is
    /// behind the block are passed over.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else { return None };
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The four bytes of the payload.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }
}

/// What a stream of telephone-events counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClocks {
    /// Ticks of its durations in a second: what `a=rtpmap` says of it.
    durations: u32,
    /// Ticks of a timestamp in one of a duration.
    ratio: u32,
}

impl EventClocks {
    /// Those of events that are described by a rate in Hz (at least 1), beside audio with a clock of another, or the same.
    pub fn new(rate: u32, audio: u32) -> Self {
        let durations = rate.max(1);
        Self { durations, ratio: (audio / durations).max(1) }
    }

    /// Ticks of timestamps in a second.
    fn timestamps(self) -> u32 {
        self.durations.saturating_mul(self.ratio)
    }
}

/// Turns telephone-events that arrive into key presses, each told once.
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clocks: EventClocks,
    /// The last press: the one that lasts, or the last that ended, whose late packets are known by its timestamp.
    press: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: Key,
    /// Timestamp of the current segment.
    timestamp: u32,
    /// Ticks of the segments before it.
    earlier: u64,
    /// Ticks in the current segment, as far as is known.
    ticks: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Pressed { last_packet: Instant },
    Released,
}

impl EventReceiver {
    /// A receiver that has heard nothing.
    pub fn new(clocks: EventClocks) -> Self {
        Self { clocks, press: None }
    }

    /// Takes the payload of a telephone-event packet and its RTP timestamp. Returns what it tells, in order: nothing
    /// for an update, up to three events where it ends a press whose end was lost and is itself a whole one, and more
    /// where several are packed into it.
    ///
    /// Malformed payloads and events that are no keys are passed over.
    pub fn receive(&mut self, now: Instant, timestamp: u32, payload: &[u8]) -> Vec<KeyEvent> {
        let mut told = Vec::new();
        let (mut timestamp, mut rest) = (timestamp, payload);
        for _ in 0..MAX_BLOCKS {
            let Some(block) = EventPayload::parse(rest) else { break };
            self.block(now, timestamp, block, &mut told);
            // Events that are packed follow each other without a gap, so all but the last are over. Anything else behind
            // a block is some sender's padding.
            if !block.end {
                break;
            }
            timestamp = timestamp.wrapping_add(u32::from(block.duration).wrapping_mul(self.clocks.ratio));
            rest = &rest[BLOCK_BYTES..];
        }
        told
    }

    fn block(&mut self, now: Instant, timestamp: u32, block: EventPayload, told: &mut Vec<KeyEvent>) {
        let Some(key) = Key::from_code(block.event) else { return };
        let EventClocks { durations: clock, ratio } = self.clocks;
        let late = self.clocks.timestamps().saturating_mul(LATE_SECONDS);
        match self.press.as_mut() {
            Some(press) if timestamp == press.timestamp => press.update(now, key, block, clock, told),
            Some(press) if press.goes_on_at(timestamp, key, ratio) => {
                press.earlier += u64::from(timestamp.wrapping_sub(press.timestamp) / ratio);
                press.timestamp = timestamp;
                press.ticks = u64::from(block.duration);
                press.update(now, key, block, clock, told);
            }
            Some(press) if press.timestamp.wrapping_sub(timestamp) <= late => {}
            _ => {
                told.extend(self.reset());
                told.push(KeyEvent::Start(key));
                let phase = Phase::Pressed { last_packet: now };
                let ticks = u64::from(block.duration);
                let press = self.press.insert(Press { key, timestamp, earlier: 0, ticks, phase });
                press.update(now, key, block, clock, told);
            }
        }
    }

    /// How long the last press has lasted, as far as is known.
    pub fn elapsed(&self) -> Duration {
        self.press.map_or(Duration::ZERO, |press| press.elapsed(self.clocks.durations))
    }

    /// How much of the audio that ends at this timestamp was sent beside the last press: some gateways leave the tone in it.
    pub fn beside(&self, audio_end: u32) -> Duration {
        let Some(press) = self.press else { return Duration::ZERO };
        let ticks = audio_end.wrapping_sub(press.timestamp).cast_signed().max(0).unsigned_abs();
        let beside =
            Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(self.clocks.timestamps()));
        beside.min(press.elapsed(self.clocks.durations))
    }

    /// When [`Self::handle_timeout`] is due: while a key is pressed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.press?.phase {
            Phase::Pressed { last_packet } => Some(last_packet + RELEASE_TIMEOUT),
            Phase::Released => None,
        }
    }

    /// Ends a press whose packets have ceased without an end. Returns its end if it was due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<KeyEvent> {
        if self.poll_timeout()? > now {
            return None;
        }
        let clock = self.clocks.durations;
        self.press.as_mut().and_then(|press| press.release(clock))
    }

    /// Forgets the timeline and ends a press that lasts: the stream began anew with another SSRC.
    pub fn reset(&mut self) -> Option<KeyEvent> {
        self.press.take()?.release(self.clocks.durations)
    }
}

impl Press {
    /// A packet with the timestamp of this press. After its end it is a repetition; another key under the same timestamp
    /// is no press of its own (§2.2: one timestamp, one event).
    fn update(
        &mut self,
        now: Instant,
        key: Key,
        payload: EventPayload,
        clock: u32,
        told: &mut Vec<KeyEvent>,
    ) {
        if key != self.key || !matches!(self.phase, Phase::Pressed { .. }) {
            return;
        }
        // Compared as serial numbers: an update that was overtaken is behind and adds nothing, and a sender that lets the
        // 16 bits wrap instead of beginning a segment is ahead.
        let [low, high, ..] = self.ticks.to_le_bytes();
        let ahead = payload.duration.wrapping_sub(u16::from_le_bytes([low, high]));
        if ahead < 0x8000 {
            self.ticks += u64::from(ahead);
        }
        self.phase = Phase::Pressed { last_packet: now };
        if payload.end {
            told.extend(self.release(clock));
        }
    }

    /// Whether a packet of another timestamp continues this press: a new segment begins where the one before ended
    /// (§2.5.1.3), which is when it was full. Some senders begin one earlier, with the last packet that still fits; its
    /// duration then says where the next begins, and no second press of a key begins where the first has not ended.
    fn goes_on_at(&self, timestamp: u32, key: Key, ratio: u32) -> bool {
        let segment = u64::from(timestamp.wrapping_sub(self.timestamp));
        let follows =
            [u64::from(SEGMENT_TICKS), self.ticks].map(|ticks| ticks * u64::from(ratio)).contains(&segment);
        matches!(self.phase, Phase::Pressed { .. }) && follows && key == self.key
    }

    fn release(&mut self, clock: u32) -> Option<KeyEvent> {
        match std::mem::replace(&mut self.phase, Phase::Released) {
            Phase::Released => None,
            Phase::Pressed { .. } => Some(KeyEvent::End { key: self.key, duration: self.elapsed(clock) }),
        }
    }

    fn elapsed(&self, clock: u32) -> Duration {
        let ticks = self.earlier.saturating_add(self.ticks);
        Duration::from_micros(ticks.saturating_mul(1_000_000) / u64::from(clock))
    }
}

/// One packet of a press that we send. Sequence number and payload type are the stream's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The marker bit: set on the first packet of a press.
    pub marker: bool,
    /// The RTP timestamp: that of the press's start, in all of its packets.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Sends one key press: polled once each packet time, from its first packet to its third end.
#[derive(Clone, Debug)]
pub struct EventSender {
    key: Key,
    /// Where the current segment began.
    timestamp: u32,
    /// Ticks of the segments before it.
    earlier: u64,
    /// Ticks since the press began, as of the last packet.
    elapsed: u64,
    /// Ticks of the whole press.
    total: u64,
    packet_ticks: u64,
    clocks: EventClocks,
    ends_left: u8,
}

impl EventSender {
    /// A press of `key` for `duration`, which begins at the RTP timestamp `timestamp` and is told every `packet_time`. Its first
    /// packet is due one packet time after its start. [`Duration::MAX`] is until it is released.
    pub fn new(
        key: Key,
        duration: Duration,
        timestamp: u32,
        clocks: EventClocks,
        packet_time: Duration,
    ) -> Self {
        // No press is shorter than a tick, nor a packet time, so that every poll makes headway.
        let total = duration_to_samples(duration, clocks.durations).max(1);
        let packet_ticks = duration_to_samples(packet_time, clocks.durations).max(1);
        Self { key, timestamp, earlier: 0, elapsed: 0, total, packet_ticks, clocks, ends_left: END_PACKETS }
    }

    /// Ends a press so long after it began, or now, if that is past: its next packet is an end.
    pub fn release(&mut self, duration: Duration) {
        self.total = duration_to_samples(duration, self.clocks.durations).max(self.elapsed).max(1);
    }

    /// The packet of this packet time. `None` when the press is over and its end has been sent three times.
    pub fn poll(&mut self) -> Option<EventPacket> {
        let marker = self.elapsed == 0;
        self.elapsed = self.total.min(self.elapsed + self.packet_ticks);
        let timestamp = self.timestamp;
        let Ok(duration) = u16::try_from(self.elapsed - self.earlier) else {
            // The segment is full: it is told so, and the next packet begins another where it ended.
            self.earlier += u64::from(SEGMENT_TICKS);
            self.timestamp = timestamp.wrapping_add(u32::from(SEGMENT_TICKS).wrapping_mul(self.clocks.ratio));
            return Some(EventPacket { marker, timestamp, payload: self.payload(SEGMENT_TICKS, false) });
        };
        let end = self.elapsed == self.total;
        if end {
            self.ends_left = self.ends_left.checked_sub(1)?;
        }
        Some(EventPacket { marker, timestamp, payload: self.payload(duration, end) })
    }

    fn payload(&self, duration: u16, end: bool) -> [u8; 4] {
        EventPayload { event: self.key.code(), end, volume: VOLUME, duration }.to_bytes()
    }
}
