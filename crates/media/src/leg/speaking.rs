//! What a leg says in each frame, and its packets.

use std::time::Instant;

use super::{Leg, RoomAudio, clock_of};
use crate::codec::SAMPLE_RATE;
use crate::digits::{DigitFrame, Digits, EventStart};
use crate::event::{Channel, Idle};
use crate::packet::{Numbers, Packet};
use crate::record::Recording;
use crate::sdp::Direction;
use crate::shared::Shared;

/// The level of the noise that we describe, in −dBov: about −65 dBm0, the most that a line of G.712 has when it is idle.
const NOISE_LEVEL: u8 = 71;
/// From one description to the next, about a second. A leg at rest has a tick as often, and may have it a little sooner.
const NOISE_FRAMES: u64 = 45;

impl Leg {
    /// The second half of a frame: what the far end hears, and reports. A room is heard where there is nothing else.
    pub(super) fn speak(&mut self, now: Instant, room: Option<RoomAudio<'_>>, shared: &mut Shared) {
        if self.digits.is_none() || !self.speak_digits(shared) {
            self.speak_audio(room, shared);
        }
        self.report(now, shared);
        self.frames += 1;
    }

    /// A beep, or else a prompt, or else the room.
    fn speak_audio(&mut self, room: Option<RoomAudio<'_>>, shared: &mut Shared) {
        if self.playback.is_some() || room.is_some() {
            self.outgoing.lend(&mut shared.payload);
        }
        if let Some(samples) = self.recording.as_deref_mut().and_then(Recording::beep) {
            self.outgoing.say(&samples, SAMPLE_RATE);
            self.send_outgoing(shared);
            self.begin_recording();
        } else if let Some(playback) = &mut self.playback {
            let more = playback.frame(&mut self.outgoing);
            self.send_outgoing(shared);
            if !more {
                self.flush_outgoing(shared);
                self.end_playback(shared);
            }
        } else if let Some(audio) = room {
            let codec = self.media.codec;
            match audio {
                RoomAudio::Payload(payload) => self.outgoing.say_payload(codec, payload),
                RoomAudio::Samples(samples) => self.outgoing.say(samples, codec.sample_rate()),
            }
            self.send_outgoing(shared);
        } else if !self.hears_interpreted {
            self.rest(shared);
        }
    }

    /// There is nothing to say: silence in packets, or a description of it, where that is wanted, or nothing at all.
    fn rest(&mut self, shared: &mut Shared) {
        match self.idle() {
            Idle::Nothing => self.fall_silent(shared),
            Idle::ComfortNoise => self.describe_noise(shared),
            Idle::Silence => {
                if self.outgoing.has_samples() {
                    // What was said last is not in whole packets yet, and comes first.
                    self.flush_outgoing(shared);
                }
                self.outgoing.say_silence(self.media.codec.frame_samples());
                self.send_outgoing(shared);
            }
        }
    }

    /// Whether it has something to say in its next frame.
    pub(super) fn speaks(&self) -> bool {
        self.digits.is_some() || self.playback.is_some() || !self.outgoing.is_empty() || self.idles()
    }

    /// Whether it needs its next frame to say that it says nothing.
    fn idles(&self) -> bool {
        match self.idle() {
            Idle::Nothing => false,
            Idle::Silence => true,
            // Once described it lasts.
            Idle::ComfortNoise => self.sender.is_on(),
        }
    }

    /// What it sends while it says nothing. A party of a connection has the other one's pauses.
    fn idle(&self) -> Idle {
        match self.idle {
            _ if self.hears.is_some() || !self.may_send() => Idle::Nothing,
            Idle::ComfortNoise if self.media.comfort_noise.is_none() => Idle::Silence,
            idle => idle,
        }
    }

    /// What is said is over, or has been for a while: the noise that the peer is to make meanwhile.
    fn describe_noise(&mut self, shared: &mut Shared) {
        let Some(noise) = self.media.comfort_noise else { return };
        self.flush_outgoing(shared);
        if !self.sender.is_on() && self.frames < self.next_noise {
            return;
        }
        self.next_noise = self.frames + NOISE_FRAMES;
        let numbers = self.sender.noise(self.clock());
        self.presence.sent(self.media.codec, self.media.codec.frame_samples());
        self.send(numbers, noise.send_payload_type, 1, shared, |out| out.push(NOISE_LEVEL));
    }

    /// Says nothing for now.
    pub(super) fn fall_silent(&mut self, shared: &mut Shared) {
        self.flush_outgoing(shared);
        self.sender.pause();
    }

    /// One frame of digits; `false` if they are over and the frame is free for something else.
    fn speak_digits(&mut self, shared: &mut Shared) -> bool {
        let event = self.media.telephone_event;
        let is_event = |digits: &Digits| event.is_some_and(|event| digits.goes_as_event(event.events));
        let event = event.filter(|_| self.digits.as_deref().is_some_and(is_event));
        if event.is_some() {
            self.flush_outgoing(shared);
        }
        let codec = self.media.codec;
        let at = self.clock();
        let clocks = self.media.event_clocks();
        let start = event.map(|_| EventStart { timestamp: self.sender.begin(at).0, clocks });
        let Some(digits) = &mut self.digits else { return false };
        self.tone.resize(codec.frame_samples(), 0);
        match (digits.frame(start, &mut self.tone), event) {
            (DigitFrame::Over, _) => {
                self.end_digits(shared);
                return false;
            }
            (DigitFrame::Tone, _) => {
                self.outgoing.say(&self.tone, codec.sample_rate());
                self.send_outgoing(shared);
            }
            (DigitFrame::Event(packet), Some(event)) => {
                if self.may_send() {
                    let numbers = self.sender.event(packet.timestamp, packet.marker);
                    let payload = packet.payload;
                    self.send(numbers, event.send_payload_type, payload.len(), shared, |out| {
                        out.extend(payload)
                    });
                }
                self.sender.skip(clock_of(1, self.media.codec));
            }
            (DigitFrame::Rest | DigitFrame::Event(_), _) => self.sender.skip(clock_of(1, self.media.codec)),
        }
        true
    }

    /// Something of another party is about to be heard: a prompt that waits for that ends.
    pub(crate) fn give_way(&mut self, shared: &mut Shared) {
        if self.playback.as_ref().is_some_and(|playback| playback.yields) {
            self.flush_outgoing(shared);
            self.end_playback(shared);
        }
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.digits.is_some()
            || self.playback.is_some()
            || self.recording.as_deref().is_some_and(Recording::is_beeping)
    }

    // ---- Packets out ------------------------------------------------------------------------------------------

    /// Sends the packets that are full.
    pub(super) fn send_outgoing(&mut self, shared: &mut Shared) {
        let codec = self.media.codec;
        let (cut, mut payload) = self.outgoing.take_payload();
        cut.packets(&mut payload, |payload, samples| {
            if payload.is_empty() || !self.may_send() {
                return self.sender.pause();
            }
            let numbers = self.sender.audio(self.clock(), codec.samples_to_clock(samples));
            self.presence.sent(codec, samples);
            self.send(numbers, self.media.send_payload_type, payload.len(), shared, |out| {
                out.extend_from_slice(payload);
            });
        });
        self.outgoing.give_back(payload, &mut shared.payload);
    }

    /// Sends what does not fill a packet, with silence behind it.
    fn flush_outgoing(&mut self, shared: &mut Shared) {
        if !self.outgoing.is_empty() {
            self.outgoing.fill_up();
            self.send_outgoing(shared);
        }
    }

    pub(super) fn send(
        &mut self,
        numbers: Numbers,
        payload_type: u8,
        payload: usize,
        shared: &mut Shared,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.sender.count(payload);
        let Numbers { sequence, timestamp, marker, ssrc } = numbers;
        let destination = self.rtp_address();
        let protection = &mut self.protection;
        shared.send(self.id, Channel::Rtp, destination, |out| {
            let start = out.len();
            Packet { payload_type, marker, sequence, timestamp, ssrc, payload: &[] }.write(out);
            write(out);
            if let Some(protection) = protection {
                protection.protect_rtp(out, start);
            }
        });
    }

    /// Whether the peer wants to hear us, and may; an address of zeros is hold the old way.
    pub(super) fn may_send(&self) -> bool {
        matches!(self.media.direction, Direction::SendRecv | Direction::SendOnly)
            && !self.media.remote_rtp.ip().is_unspecified()
            && self.presence.may_hear()
    }
}
