//! A room: legs that hear each other, frame by frame in step.
//!
//! ```text
//!   frame of 20 ms   every member hears ─▶ mixer ◀─ prompts to all
//!                                            │
//!                    every member speaks ◀───┼─▶ recording
//!                      who says nothing: one payload for all of them that have one codec
//!                      who says something: samples of its own, encoded by the leg
//! ```
//! All members have their frames in the phase of their room, so what one says in a frame is in that frame of the others:
//! the room adds no delay, and every frame has exactly one of each member, however late its tick comes. A leg that joins
//! has its next frame up to 20 ms sooner or later than it would have had it, once.

mod commands;
mod input;

use std::time::Instant;

use crate::codec::{Codec, Encoder};
use crate::event::{ActionId, Event, LegId, MAX_PLAYS, RecordEnd, RoomEvent, RoomId};
use crate::fetch::{each_and_next, fetch};
use crate::leg::RoomAudio;
use crate::mixer::{Desk, Heard, Mixer, Rate, Seat, Voice};
use crate::numbered::Numbered;
use crate::pace::Pace;
use crate::playout::Stream;
use crate::record::Recording;
pub(crate) use crate::room::input::Input;
use crate::shared::Shared;
use crate::{Placed, strip};

/// Frames for which an encoder is kept that nobody wants, 10 s: members come and go, and talk now and then.
const KEEP_ENCODER: u32 = 500;

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    /// The phase in which its frames are run.
    pub(crate) phase: u8,
    tells_talking: bool,
    pace: Pace,
    members: Vec<Member>,
    mixer: Mixer,
    encodings: Vec<Encoding>,
    inputs: Vec<Input>,
    recording: Option<Recording>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    leg: LegId,
    seat: Seat,
}

/// What those hear who say nothing, in one codec.
#[derive(Debug)]
struct Encoding {
    encoder: Encoder,
    payload: Vec<u8>,
    /// Frames since somebody wanted it: 0 once it is made of this one.
    idle: u32,
}

impl Room {
    pub(crate) fn new(id: RoomId, phase: u8, tells_talking: bool) -> Self {
        Self {
            id,
            phase,
            tells_talking,
            pace: Pace::default(),
            members: Vec::new(),
            mixer: Mixer::new(),
            encodings: Vec::new(),
            inputs: Vec::new(),
            recording: None,
        }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = LegId> {
        self.members.iter().map(|member| member.leg)
    }

    // ---- The frame --------------------------------------------------------------------------------------------

    /// Runs the frames that are due, of all members.
    pub(crate) fn tick(&mut self, now: Instant, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        let due = self.pace.tick(now);
        if due.run == 0 {
            return;
        }
        for member in &self.members {
            if let Some(Placed { leg, .. }) = legs.get_mut(&member.leg) {
                leg.keep_pace(self.pace, due.skip, shared);
            }
        }
        if let Some(recording) = &mut self.recording {
            recording.skip(due.skip, shared);
        }
        for _ in 0..due.run {
            self.frame(now, legs, shared);
        }
    }

    fn frame(&mut self, now: Instant, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        let mut desk = shared.desk.take().unwrap_or_default();
        for (&Member { leg, seat }, next) in each_and_next(&self.members) {
            fetch(legs, next.map(|next| &next.leg));
            let Some(Placed { leg, .. }) = legs.get_mut(&leg) else { continue };
            self.mixer.set_rate(seat, Rate::for_hz(leg.codec().sample_rate()));
            leg.say_to_room(now, shared, |frame| self.mixer.say(&mut desk, seat, frame));
        }
        self.play_inputs(&mut desk, shared);
        if self.recording.is_some() {
            self.mixer.record(Some(self.mixer.rate()));
        }
        self.mixer.mix(&mut desk);
        self.encodings.retain_mut(|encoding| {
            encoding.idle += 1;
            encoding.idle < KEEP_ENCODER
        });
        for (&Member { leg, seat }, next) in each_and_next(&self.members) {
            fetch(legs, next.map(|next| &next.leg));
            let Some(Placed { leg, .. }) = legs.get_mut(&leg) else { continue };
            let audio = match self.mixer.heard(&mut desk, seat) {
                None => None,
                Some(Heard::Own(samples)) => Some(RoomAudio::Samples(samples)),
                Some(Heard::Common(samples)) => {
                    Some(RoomAudio::Payload(encoded(&mut self.encodings, leg.codec(), samples)))
                }
            };
            leg.hear_room(now, audio, shared);
        }
        self.write_recording(&mut desk, shared);
        self.tell_talks(shared);
        shared.desk = Some(desk);
    }

    fn play_inputs(&mut self, desk: &mut Desk, shared: &mut Shared) {
        let Self { id, inputs, .. } = self;
        inputs.retain_mut(|input| {
            let more = input.frame();
            let (rate, samples) = input.played_frame();
            if !samples.is_empty() {
                Mixer::play(desk, Rate::for_hz(rate), samples, input.gain());
            }
            if !more {
                tell_played(*id, input, shared);
            }
            more
        });
    }

    fn write_recording(&mut self, desk: &mut Desk, shared: &mut Shared) {
        let Some(recording) = &mut self.recording else { return };
        if let Some((rate, frame)) = self.mixer.recorded(desk) {
            recording.write(rate.hz(), strip::Heard::Linear(frame), Stream::Heard, None, shared);
        }
        if recording.is_full() {
            self.end_recording(RecordEnd::MaxDuration, shared);
        }
    }

    fn tell_talks(&mut self, shared: &mut Shared) {
        while let Some((seat, talking)) = self.mixer.poll_talk() {
            let member = self.members.iter().find(|member| member.seat == seat);
            if let Some(&Member { leg, .. }) = member.filter(|_| self.tells_talking) {
                tell(self.id, RoomEvent::Talking { leg, talking }, shared);
            }
        }
    }

    // ---- Commands ---------------------------------------------------------------------------------------------

    pub(crate) fn join(&mut self, leg: LegId, rate: u32, voice: Voice) {
        let seat = self.mixer.join(Rate::for_hz(rate), voice);
        self.members.push(Member { leg, seat });
    }

    /// A leg is no member any more.
    pub(crate) fn leave(&mut self, leg: LegId, shared: &mut Shared) {
        let Some(index) = self.members.iter().position(|member| member.leg == leg) else { return };
        self.mixer.leave(self.members.swap_remove(index).seat);
        tell(self.id, RoomEvent::Left { leg }, shared);
    }

    pub(crate) fn set_voice(&mut self, leg: LegId, voice: Voice) {
        if let Some(member) = self.members.iter().find(|member| member.leg == leg) {
            self.mixer.set_voice(member.seat, voice);
        }
    }

    pub(crate) fn play(&mut self, input: Input, shared: &mut Shared) {
        if self.inputs.len() < MAX_PLAYS {
            self.inputs.push(input);
        } else {
            tell_played(self.id, &input, shared);
        }
    }

    pub(crate) fn stop_play(&mut self, action: ActionId, shared: &mut Shared) {
        if let Some(index) = self.inputs.iter().position(|input| input.action() == action) {
            tell_played(self.id, &self.inputs.remove(index), shared);
        }
    }

    pub(crate) fn record(&mut self, recording: Recording, shared: &mut Shared) {
        self.end_recording(RecordEnd::Stopped, shared);
        self.recording = Some(recording);
    }

    pub(crate) fn stop_record(&mut self, action: ActionId, shared: &mut Shared) {
        if self.recording.as_ref().is_some_and(|recording| recording.action == action) {
            self.end_recording(RecordEnd::Stopped, shared);
        }
    }

    /// Ends the actions, each with its event.
    pub(crate) fn end_actions(&mut self, shared: &mut Shared) {
        for input in std::mem::take(&mut self.inputs) {
            tell_played(self.id, &input, shared);
        }
        self.end_recording(RecordEnd::RoomClosed, shared);
    }

    /// The last word, when its actions have ended and its members have left.
    pub(crate) fn close(self, shared: &mut Shared) {
        tell(self.id, RoomEvent::Closed, shared);
    }

    fn end_recording(&mut self, end: RecordEnd, shared: &mut Shared) {
        if let Some(recording) = self.recording.take() {
            self.mixer.record(None);
            let action = recording.action;
            let duration = recording.finish(shared);
            tell(self.id, RoomEvent::RecordEnded { action, duration, end }, shared);
        }
    }
}

/// The payload of what those hear who say nothing, made when the first asks for it.
fn encoded<'a>(encodings: &'a mut Vec<Encoding>, codec: Codec, samples: &[i16]) -> &'a [u8] {
    let index =
        encodings.iter().position(|encoding| encoding.encoder.codec() == codec).unwrap_or_else(|| {
            encodings.push(Encoding { encoder: Encoder::new(codec), payload: Vec::new(), idle: 1 });
            encodings.len() - 1
        });
    let Encoding { encoder, payload, idle } = &mut encodings[index];
    if std::mem::take(idle) > 0 {
        payload.clear();
        encoder.encode(samples, payload);
    }
    payload
}

fn tell(room: RoomId, event: RoomEvent, shared: &mut Shared) {
    shared.tell(Event::Room { room, event });
}

fn tell_played(room: RoomId, input: &Input, shared: &mut Shared) {
    tell(room, RoomEvent::PlayEnded { action: input.action(), played: input.played() }, shared);
}
