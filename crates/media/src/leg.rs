//! One leg: the pipeline of one party's stream, in both directions.
//!
//! ```text
//!   arrival (cheap)   header ─▶ source, sequence ─▶ jitter buffer          only if somebody listens
//!                                 │                └▶ telephone-events ─▶ digits
//!                                 └▶ the other party of a connection, in its own numbers
//!
//!   frame of 20 ms    hear:   playout ─▶ tone detector ─▶ recording
//!   (the work)        speak:  digits, or a beep, or a prompt ─▶ packets
//!                     report: RTCP, statistics
//! ```
//! Time is counted in frames of our clock. A leg that nobody speaks to or listens to does next to nothing in its frame.

mod connection;
mod presence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::digits::{DigitFrame, Digits, EventStart};
use crate::dtmf::dedup::Dedup;
use crate::dtmf::event::EventReceiver;
use crate::dtmf::tone::ToneDetector;
use crate::dtmf::{Key, KeyEvent};
use crate::event::{
    ActionId, Channel, Dial, DigitSource, Event, LegConfig, LegId, LegStats, Prompt, RecordEnd,
};

use crate::jitter::Inserted;
use crate::leg::connection::Relayed;
use crate::leg::presence::Presence;
use crate::packet::{Arrival, Numbers, Packet, Receiver, Sender};
use crate::play::Playback;
use crate::playout::Playout;
use crate::record::Recording;
use crate::report::{Reports, Stream};
use crate::sdp::{Direction, Negotiated};
use crate::shared::Shared;
use crate::{FRAME, FRAME_SAMPLES};

/// Frames that a late tick makes up for, 200 ms: what a busy machine costs now and then, and no more than a jitter buffer
/// holds. After a longer standstill the peer has given up waiting, so those frames are skipped and the timestamps tell
/// the gap.
const MAX_CATCH_UP: u64 = 10;
/// How a frame's deadline follows the ticks that come: by this part of the difference, so that lateness of one tick does
/// not show and a driver that began its ticks anew is soon followed.
const FOLLOW: u32 = 16;
/// The longest payload that is taken: 60 ms, the longest packet time (reliability.md P5).
const MAX_PAYLOAD: usize = 480;
/// Times that we take another SSRC because the peer uses ours. Once is a collision; again, it is an echo of ourselves.
const MAX_COLLISIONS: u8 = 1;

/// One party's media. A plain value: it may be detached from one engine and attached to another, on another thread.
#[derive(Debug)]
pub struct Leg {
    id: LegId,
    media: Negotiated,
    /// What held before: packets of it are still on their way (RFC 3264 §8.3.2).
    former: Option<Negotiated>,
    presence: Presence,

    // What comes in.
    receiver: Receiver,
    playout: Playout,
    events: EventReceiver,
    tones: Option<Box<ToneDetector>>,
    dedup: Dedup,
    /// The key of a telephone-event that lasts.
    pressed: Option<Key>,
    /// Frames to keep out of a recording after a key: what was sent with it is still in the jitter buffer.
    muted: usize,
    recording: Option<Recording>,

    // What goes out.
    sender: Sender,
    collisions: u8,
    digits: Option<Digits>,
    playback: Option<Playback>,
    /// Encoded audio that does not fill a packet yet.
    outgoing: Vec<u8>,
    scratch: Vec<i16>,

    // The connection.
    talks_to: Option<LegId>,
    hears: Option<LegId>,

    // Time and books.
    /// The deadline of the next frame; none before the first tick.
    frame_due: Option<Instant>,
    /// Frames since the leg began.
    frames: u64,
    reports: Reports,
}

/// What a payload type says is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Audio(Codec),
    TelephoneEvent,
}

impl Leg {
    pub(crate) fn new(now: Instant, id: LegId, config: LegConfig, shared: &mut Shared) -> Self {
        let [sequence_high, sequence_low, ..] = shared.random().to_be_bytes();
        let sequence = u16::from_be_bytes([sequence_high, sequence_low]);
        Self {
            id,
            former: None,
            presence: Presence::new(now, &config),
            receiver: Receiver::default(),
            playout: Playout::new(config.media.codec),
            events: EventReceiver::new(config.media.codec.clock_rate()),
            tones: config.detect_tones.then(Box::default),
            dedup: Dedup::new(),
            pressed: None,
            muted: 0,
            recording: None,
            sender: Sender::new(shared.random(), sequence, shared.random()),
            collisions: 0,
            digits: None,
            playback: None,
            outgoing: Vec::new(),
            scratch: Vec::new(),
            talks_to: None,
            hears: None,
            frame_due: None,
            frames: 0,
            reports: Reports::new(now, shared),
            media: config.media,
        }
    }

    // ---- Arrival ----------------------------------------------------------------------------------------------

    /// Takes a packet. Returns it where the other party of a connection shall have it.
    pub(crate) fn receive_rtp<'a>(
        &mut self,
        now: Instant,
        bytes: &'a [u8],
        shared: &mut Shared,
    ) -> Option<Relayed<'a>> {
        let packet = Packet::parse(bytes);
        if packet.is_some() && self.presence.heard(now) {
            shared.tell(Event::Heard { leg: self.id });
        }
        let Some((packet, content)) = packet.and_then(|packet| Some((packet, self.content(&packet)?))) else {
            self.reports.refused += 1;
            return None;
        };
        if packet.ssrc == self.sender.ssrc() && self.collisions < MAX_COLLISIONS {
            self.collisions += 1;
            self.sender.change_ssrc(shared.random());
        }
        let arrival = self.receiver.arrive(packet.ssrc, packet.sequence);
        let place = match arrival {
            Arrival::Probation => return None,
            Arrival::InSequence(place) => place,
            Arrival::Restart(place) => {
                self.playout.restart(self.media.codec);
                if let Some(end) = self.events.reset() {
                    self.key(now, DigitSource::Rfc4733, end, shared);
                }
                place
            }
        };
        self.reports.bytes_received += packet.payload.len() as u64;
        match content {
            Content::Audio(codec) => {
                self.receiver.timing(self.samples_at(now), packet.timestamp);
                self.queue(place, codec, packet.payload);
            }
            Content::TelephoneEvent => {
                // It keeps its place, so that it is not taken for a loss.
                self.queue(place, self.media.codec, &[]);
                for event in self.events.receive(now, packet.timestamp, packet.payload) {
                    self.key(now, DigitSource::Rfc4733, event, shared);
                }
            }
        }
        self.talks_to.map(|_| Relayed { packet, arrival, content })
    }

    pub(crate) fn receive_rtcp(&mut self, now: Instant, bytes: &[u8], shared: &mut Shared) {
        let is_report = self.reports.receive(now, bytes, self.sender.ssrc(), shared);
        if is_report && self.presence.heard(now) {
            shared.tell(Event::Heard { leg: self.id });
        }
    }

    /// What is in a packet, if it is one of those that are negotiated, or were until now.
    fn content(&self, packet: &Packet<'_>) -> Option<Content> {
        if !(1..=MAX_PAYLOAD).contains(&packet.payload.len()) {
            return None;
        }
        [Some(&self.media), self.former.as_ref()].into_iter().flatten().find_map(|media| {
            let event = media.telephone_event.map(|event| event.receive_payload_type);
            if packet.payload_type == media.receive_payload_type {
                Some(Content::Audio(media.codec))
            } else {
                (Some(packet.payload_type) == event).then_some(Content::TelephoneEvent)
            }
        })
    }

    fn queue(&mut self, place: u64, codec: Codec, payload: &[u8]) {
        if !self.is_listened_to() {
            return;
        }
        let jitter = self.receiver.jitter();
        let inserted = if codec == self.media.codec {
            self.playout.insert(place, payload, jitter)
        } else {
            let mut recoded = Vec::new();
            self.media.codec.transcode(codec, payload, &mut recoded);
            self.playout.insert(place, &recoded, jitter)
        };
        self.reports.late += u64::from(inserted != Inserted::Queued);
    }

    /// Whether anybody wants to hear what arrives, here and frame by frame.
    fn is_listened_to(&self) -> bool {
        self.tones.is_some() || self.recording.is_some()
    }

    fn key(&mut self, now: Instant, source: DigitSource, event: KeyEvent, shared: &mut Shared) {
        match event {
            KeyEvent::Start(key) if source == DigitSource::Rfc4733 => self.pressed = Some(key),
            KeyEvent::Start(_) => {
                if let Some(recording) = &mut self.recording {
                    recording.silence_onset();
                }
            }
            KeyEvent::End { key, duration } => {
                if source == DigitSource::Rfc4733 {
                    self.pressed = None;
                    self.muted = self.playout.target() / FRAME_SAMPLES + 1;
                }
                self.digit(now, key, source, duration, shared);
            }
        }
    }

    /// Tells a press, unless it was told by another way. Tones reach the other party in the audio; the rest is passed on.
    pub(crate) fn digit(
        &mut self,
        now: Instant,
        key: Key,
        source: DigitSource,
        duration: Duration,
        shared: &mut Shared,
    ) {
        if !self.dedup.admit(now, key, source, duration) {
            return;
        }
        shared.tell(Event::Digit { leg: self.id, key, source, duration });
        if let (Some(peer), DigitSource::Rfc4733 | DigitSource::Info) = (self.talks_to, source) {
            shared.pass_on(peer, key, source);
        }
    }

    // ---- The frame --------------------------------------------------------------------------------------------

    /// Runs the frames that are due.
    pub(crate) fn tick(&mut self, now: Instant, shared: &mut Shared) {
        let due = *self.frame_due.get_or_insert(now);
        if now + FRAME / 2 < due {
            return;
        }
        let behind = now.saturating_duration_since(due);
        let frames =
            u64::try_from((behind + FRAME / 2).as_nanos() / FRAME.as_nanos()).unwrap_or(u64::MAX) + 1;
        let run = if frames > MAX_CATCH_UP { 1 } else { frames };
        self.skip(frames - run, shared);
        for _ in 0..run {
            self.frame(now, shared);
        }
        let next = due + FRAME * u32::try_from(frames).unwrap_or(u32::MAX);
        let on_time = now + FRAME;
        self.frame_due = Some(match on_time.checked_duration_since(next) {
            Some(late) => next + late / FOLLOW,
            None => next - next.duration_since(on_time) / FOLLOW,
        });
    }

    /// Lets frames pass that nobody could hear any more.
    fn skip(&mut self, frames: u64, shared: &mut Shared) {
        if frames == 0 {
            return;
        }
        self.frames += frames;
        self.sender.skip(samples_of(frames));
        if let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_beeping()) {
            recording.write_silence(frames, shared);
        }
    }

    fn frame(&mut self, now: Instant, shared: &mut Shared) {
        if self.presence.falls_silent(now) {
            shared.tell(Event::Silent { leg: self.id });
        }
        if let Some(end) = self.events.handle_timeout(now) {
            self.key(now, DigitSource::Rfc4733, end, shared);
        }
        self.hear(now, shared);
        self.speak(shared);
        self.report(now, shared);
        self.frames += 1;
    }

    /// Playout, tone detector, recording.
    fn hear(&mut self, now: Instant, shared: &mut Shared) {
        if !self.is_listened_to() {
            return;
        }
        let codec = self.media.codec;
        let frame = self.playout.frame();
        let mut is_tone = false;
        if let Some(tones) = &mut self.tones {
            self.scratch.clear();
            codec.decode(&frame, &mut self.scratch);
            let events = tones.push(&self.scratch);
            is_tone = tones.is_tone();
            for event in events {
                self.key(now, DigitSource::Inband, event, shared);
            }
        }
        let is_key = is_tone || self.pressed.is_some() || self.muted > 0;
        self.muted = self.muted.saturating_sub(1);
        let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_beeping()) else {
            return;
        };
        if is_key {
            recording.write_silence(1, shared);
        } else {
            recording.write(codec, &frame, shared);
        }
        if recording.is_full() {
            self.end_recording(RecordEnd::MaxDuration, Duration::ZERO, shared);
        }
    }

    /// Digits, or else a beep, or else a prompt.
    fn speak(&mut self, shared: &mut Shared) {
        if self.digits.is_some() && self.speak_digits(shared) {
            return;
        }
        let codec = self.media.codec;
        if let Some(samples) = self.recording.as_mut().and_then(Recording::beep) {
            codec.encode(&samples, &mut self.outgoing);
            self.send_outgoing(shared);
        } else if let Some(playback) = &mut self.playback {
            let more = playback.fill(codec, FRAME_SAMPLES, &mut self.outgoing);
            self.send_outgoing(shared);
            if !more {
                self.flush_outgoing(shared);
                self.end_playback(shared);
            }
        } else {
            self.flush_outgoing(shared);
            self.sender.pause();
        }
    }

    /// One frame of digits; `false` if they are over and the frame is free for something else.
    fn speak_digits(&mut self, shared: &mut Shared) -> bool {
        let event = self.media.telephone_event.map(|event| event.send_payload_type);
        if event.is_some() {
            self.flush_outgoing(shared);
        }
        let (at, clock) = (self.clock(), self.media.codec.clock_rate());
        let start = event.map(|_| EventStart { timestamp: self.sender.begin(at).0, clock });
        let Some(digits) = &mut self.digits else { return false };
        let mut tone = [0; FRAME_SAMPLES];
        match (digits.frame(start, &mut tone), event) {
            (DigitFrame::Over, _) => {
                self.end_digits(shared);
                return false;
            }
            (DigitFrame::Tone, _) => {
                self.media.codec.encode(&tone, &mut self.outgoing);
                self.send_outgoing(shared);
            }
            (DigitFrame::Event(packet), Some(payload_type)) => {
                if self.may_send() {
                    let numbers = self.sender.event(packet.timestamp, packet.marker);
                    let payload = packet.payload;
                    self.send(numbers, payload_type, payload.len(), shared, |out| out.extend(payload));
                }
                self.sender.skip(samples_of(1));
            }
            (DigitFrame::Rest | DigitFrame::Event(_), _) => self.sender.skip(samples_of(1)),
        }
        true
    }

    fn report(&mut self, now: Instant, shared: &mut Shared) {
        let mut stream = Stream {
            leg: self.id,
            destination: self.media.remote_rtcp,
            sender: &self.sender,
            receiver: &mut self.receiver,
            clock: samples_of(self.frames),
        };
        self.reports.tick(now, &mut stream, shared);
    }

    // ---- Packets out ------------------------------------------------------------------------------------------

    /// Sends the packets that are full.
    fn send_outgoing(&mut self, shared: &mut Shared) {
        let samples = self.packet_samples();
        let mut outgoing = std::mem::take(&mut self.outgoing);
        let mut packets = outgoing.chunks_exact(samples);
        for payload in &mut packets {
            if !self.may_send() {
                self.sender.pause();
                continue;
            }
            let numbers = self.sender.audio(self.clock(), u32::try_from(samples).unwrap_or_default());
            self.send(numbers, self.media.send_payload_type, samples, shared, |out| {
                out.extend_from_slice(payload)
            });
        }
        let sent = outgoing.len() - packets.remainder().len();
        outgoing.drain(..sent);
        self.outgoing = outgoing;
    }

    /// Sends what does not fill a packet, with silence behind it.
    fn flush_outgoing(&mut self, shared: &mut Shared) {
        if !self.outgoing.is_empty() {
            let full = self.outgoing.len().next_multiple_of(self.packet_samples());
            self.outgoing.resize(full, self.media.codec.silence());
            self.send_outgoing(shared);
        }
    }

    fn send(
        &mut self,
        numbers: Numbers,
        payload_type: u8,
        payload: usize,
        shared: &mut Shared,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.sender.count(payload);
        self.presence.sent(payload);
        let Numbers { sequence, timestamp, marker, ssrc } = numbers;
        shared.send(self.id, Channel::Rtp, self.media.remote_rtp, |out| {
            Packet { payload_type, marker, sequence, timestamp, ssrc, payload: &[] }.write(out);
            write(out);
        });
    }

    fn packet_samples(&self) -> usize {
        usize::from(self.media.ptime_ms.clamp(10, 60)) * (FRAME_SAMPLES / 20)
    }

    /// Whether the peer wants to hear us, and may; an address of zeros is hold the old way.
    fn may_send(&self) -> bool {
        matches!(self.media.direction, Direction::SendRecv | Direction::SendOnly)
            && !self.media.remote_rtp.ip().is_unspecified()
            && self.presence.may_hear()
    }

    fn is_speaking(&self) -> bool {
        self.digits.is_some()
            || self.playback.is_some()
            || self.recording.as_ref().is_some_and(Recording::is_beeping)
    }

    /// Samples since the leg began, as of this frame.
    fn clock(&self) -> u32 {
        samples_of(self.frames)
    }

    /// Our clock at an arrival, finer than a frame.
    fn samples_at(&self, now: Instant) -> u32 {
        let since = self.frame_due.map_or(Duration::ZERO, |due| (now + FRAME).saturating_duration_since(due));
        self.clock().wrapping_add(u32::try_from(since.as_micros() / 125).unwrap_or(u32::MAX))
    }

    // ---- Commands ---------------------------------------------------------------------------------------------

    pub(crate) fn update(&mut self, now: Instant, config: LegConfig, shared: &mut Shared) {
        let is_elsewhere = config.media.remote_rtp != self.media.remote_rtp;
        if self.presence.agreed(now, &config, is_elsewhere) {
            shared.tell(Event::Heard { leg: self.id });
        }
        let listened = self.is_listened_to();
        match (&self.tones, config.detect_tones) {
            (None, true) => self.tones = Some(Box::default()),
            (Some(_), false) => self.tones = None,
            _ => {}
        }
        let (former, codec) = (self.media.codec, config.media.codec);
        if !listened {
            self.playout.restart(codec);
        }
        if codec != former {
            self.playout.recode(codec);
            let outgoing = std::mem::take(&mut self.outgoing);
            codec.transcode(former, &outgoing, &mut self.outgoing);
        }
        self.former = Some(std::mem::replace(&mut self.media, config.media));
    }

    pub(crate) fn play(
        &mut self,
        action: ActionId,
        prompts: Vec<Arc<Prompt>>,
        repeat: u32,
        shared: &mut Shared,
    ) {
        self.end_playback(shared);
        self.playback = Some(Playback::new(action, prompts, repeat));
    }

    pub(crate) fn stop_play(&mut self, action: ActionId, shared: &mut Shared) {
        if self.playback.as_ref().is_some_and(|playback| playback.action == action) {
            self.end_playback(shared);
        }
    }

    pub(crate) fn record(&mut self, recording: Recording, shared: &mut Shared) {
        self.end_recording(RecordEnd::Stopped, Duration::ZERO, shared);
        if !self.is_listened_to() {
            self.playout.restart(self.media.codec);
        }
        self.recording = Some(recording);
    }

    pub(crate) fn stop_record(&mut self, action: ActionId, trim: Duration, shared: &mut Shared) {
        if self.recording.as_ref().is_some_and(|recording| recording.action == action) {
            self.end_recording(RecordEnd::Stopped, trim, shared);
        }
    }

    pub(crate) fn send_digits(&mut self, action: ActionId, digits: Vec<Dial>, shared: &mut Shared) {
        self.end_digits(shared);
        self.digits = Some(Digits::new(action, digits));
    }

    pub(crate) fn stop_digits(&mut self, action: ActionId) {
        if let Some(digits) = self.digits.as_mut().filter(|digits| digits.action == Some(action)) {
            digits.stop();
        }
    }

    /// Ends the actions, each with its event, and says good-bye.
    pub(crate) fn remove(mut self, now: Instant, shared: &mut Shared) -> LegStats {
        self.end_playback(shared);
        self.end_recording(RecordEnd::LegRemoved, Duration::ZERO, shared);
        self.end_digits(shared);
        let mut stream = Stream {
            leg: self.id,
            destination: self.media.remote_rtcp,
            sender: &self.sender,
            receiver: &mut self.receiver,
            clock: samples_of(self.frames),
        };
        self.reports.say_bye(now, &mut stream, shared);
        self.reports.stats(&self.sender, &self.receiver)
    }

    // ---- Ends, each told once ---------------------------------------------------------------------------------

    fn end_playback(&mut self, shared: &mut Shared) {
        if let Some(playback) = self.playback.take() {
            let (action, played) = (playback.action, playback.played());
            shared.tell(Event::PlayEnded { leg: self.id, action, played });
        }
    }

    fn end_recording(&mut self, end: RecordEnd, trim: Duration, shared: &mut Shared) {
        if let Some(recording) = self.recording.take() {
            let action = recording.action;
            let duration = recording.finish(end, trim, shared);
            shared.tell(Event::RecordEnded { leg: self.id, action, duration, end });
        }
    }

    fn end_digits(&mut self, shared: &mut Shared) {
        if let Some(action) = self.digits.take().and_then(|digits| digits.action) {
            shared.tell(Event::DigitsSent { leg: self.id, action });
        }
    }
}

/// Samples in so many frames, modulo 2^32 as timestamps are.
fn samples_of(frames: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "timestamps count modulo 2^32")]
    let samples = (frames * FRAME_SAMPLES as u64) as u32;
    samples
}
