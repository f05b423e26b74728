//! A connection that does more than pass packets on: volumes, a recording of both sides, a prompt over their talk.
//!
//! ```text
//!   frame of 20 ms   first's  ──┬─▶ volume ─▶ + ─▶ limiter ─▶ second
//!                               │             ▲
//!                    prompt   ──┼─────────────┤
//!                               │             ▼
//!                    second's ──┼─▶ volume ─▶ + ─▶ limiter ─▶ first
//!                               ╰─▶ recording: one left and one right, or both in one
//! ```
//! Both parties have their frames in one phase, as in a room: what one says in a frame is heard by the other in that frame,
//! and recorded beside what the other says in it, however late its tick comes and whatever the network lost. Between equal
//! rates it is the same samples. What is recorded is as loud as it was said.
//!
//! Where nothing is changed in what they hear, and their codecs are alike, packets are passed on as they come
//! (`leg/connection.rs`), and a recording has the frames for itself: codes of a law stay what they are until both sides come
//! together in it, and the frames are run several at a time, since nobody waits for them. A connection that has nothing of all this to do is none of these.

use std::sync::Arc;
use std::time::Instant;

use crate::codec::resample::Resampler;
use crate::event::{ActionId, Event, LegId, Prompt, RecordEnd, Volumes};
use crate::fetch::fetch;
use crate::gain::Gain;
use crate::leg::RoomAudio;
use crate::mixer::Limiter;
use crate::numbered::Numbered;
use crate::pace::{Due, Pace};
use crate::playout::Stream;
use crate::record::Recording;
use crate::room::Input;
use crate::shared::Shared;
use crate::strip::{Heard, Strip};
use crate::{Placed, SPAN_FRAMES};

/// Frames that are run together at most where nobody waits for them. A recording of other connections holds back as much.
const SPAN: usize = SPAN_FRAMES as usize;

/// A connection whose frames are run together.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// The phase in which they are run.
    pub(crate) phase: u8,
    pace: Pace,
    first: Party,
    second: Party,
    prompt: Option<Input>,
    recording: Option<Recording>,
    recorder: Recorder,
    /// When the frames were due that are still to be run.
    due: Vec<Instant>,
    /// Whether nobody waits for them, as far as is known.
    may_wait: bool,
    /// Whether something has begun or ended, or changed, by which the parties may have to hear each other in another way.
    is_unsettled: bool,
}

/// One party, with what it hears.
#[derive(Debug)]
struct Party {
    leg: LegId,
    /// How loud it hears the other.
    hears: Gain,
    /// Whether it hears the other at all.
    is_hearing: bool,
    /// Whether that comes as it is, past this.
    is_passed: bool,
    /// What it says in the present frame, and the rate of that.
    said: Strip,
    rate: u32,
    /// Whether there is anything in it.
    has_sound: bool,
    /// From the other, and from the prompt, to its rate.
    voice: Way,
    prompt: Way,
    sum: Vec<i32>,
    limiter: Limiter,
    heard: Vec<i16>,
}

/// Both sides at one rate, on their way into the file.
#[derive(Debug)]
struct Recorder {
    sides: [Way; 2],
    prompt: Way,
    sums: [Vec<i32>; 2],
    limiters: [Limiter; 2],
    limited: [Vec<i16>; 2],
    frame: Vec<i16>,
}

/// The way of frames from one rate to another: one frame out for each one in.
#[derive(Debug, Default)]
struct Way {
    resampler: Option<(u32, u32, Resampler)>,
    ready: Vec<i16>,
}

impl Bridge {
    /// Between two parties of one phase, whose frames come at `pace`.
    pub(crate) fn new(phase: u8, pace: Pace, parties: [LegId; 2]) -> Self {
        let [first, second] = parties;
        Self {
            phase,
            pace,
            first: Party::new(first),
            second: Party::new(second),
            prompt: None,
            recording: None,
            recorder: Recorder::new(),
            due: Vec::new(),
            may_wait: false,
            is_unsettled: true,
        }
    }

    pub(crate) fn parties(&self) -> [LegId; 2] {
        [self.first.leg, self.second.leg]
    }

    /// Whether the parties hear something else than what was said.
    pub(crate) fn changes_what_is_heard(&self) -> bool {
        let are_unchanged = [&self.first, &self.second].iter().all(|party| party.hears == Gain::UNITY);
        !are_unchanged || self.prompt.is_some()
    }

    /// Whether it has nothing to do.
    pub(crate) fn is_needless(&self) -> bool {
        !self.changes_what_is_heard() && self.recording.is_none()
    }

    /// Whether it has to be settled how the parties hear each other.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.is_unsettled
    }

    /// That is settled for now.
    pub(crate) fn settled(&mut self) {
        self.is_unsettled = false;
    }

    // ---- The frame --------------------------------------------------------------------------------------------

    /// Runs the frames that are due, of both. Returns whether packets are passed on beside them.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        legs: &mut Numbered<LegId, Placed>,
        shared: &mut Shared,
    ) -> bool {
        let Due { skip, run, .. } = self.pace.tick(now);
        if skip > 0 {
            self.run(now, legs, shared);
            self.skip(skip, legs, shared);
        }
        self.due.extend((0..run).map(|_| now));
        if !self.may_wait || self.due.len() >= SPAN || shared.tells_stats {
            self.run(now, legs, shared);
        }
        self.first.is_passed || self.second.is_passed
    }

    /// Brings it to the present: something is to be done to it, or one of its parties, that frames may be waited for after.
    pub(crate) fn wake(&mut self, now: Instant, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        self.run(now, legs, shared);
        self.may_wait = false;
    }

    /// Lets frames pass that nobody could hear any more.
    fn skip(&mut self, frames: u64, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        for party in self.parties() {
            if let Some(Placed { leg, .. }) = legs.get_mut(&party) {
                leg.keep_pace(self.pace, frames, shared);
            }
        }
        if let Some(recording) = &mut self.recording {
            recording.skip(frames, shared);
        }
    }

    /// Runs the frames that are still to be run.
    fn run(&mut self, now: Instant, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        if self.due.is_empty() {
            return;
        }
        self.parties().iter().for_each(|party| fetch(legs, Some(party)));
        let mut may_wait = self.recording.is_some() && !self.changes_what_is_heard();
        for party in self.parties() {
            if let Some(Placed { leg, .. }) = legs.get_mut(&party) {
                leg.keep_pace(self.pace, 0, shared);
                may_wait &= leg.may_have_its_frames_later();
            }
        }
        self.may_wait = may_wait;
        for frame in 0..self.due.len() {
            self.frame(now, self.due[frame], legs, shared);
        }
        self.due.clear();
        if let Some(recording) = self.recording.as_mut().filter(|_| may_wait) {
            recording.hand_out_all(shared);
        }
    }

    fn frame(&mut self, now: Instant, due: Instant, legs: &mut Numbered<LegId, Placed>, shared: &mut Shared) {
        let Self { first, second, prompt, .. } = self;
        first.hear((now, due), second.leg, legs, shared);
        second.hear((now, due), first.leg, legs, shared);
        let has_more = prompt.as_mut().is_none_or(Input::frame);
        let played = prompt.as_ref().map(Input::played_frame);
        first.speak(now, second, played, legs, shared);
        second.speak(now, first, played, legs, shared);
        if let Some(recording) = &mut self.recording {
            let rate = first.rate.max(second.rate);
            let frame = self.recorder.frame(rate, [first, second], played, recording.channels());
            recording.write(rate, Heard::Linear(frame), Stream::Heard, None, shared);
        }
        if !has_more {
            self.end_prompt(shared);
        }
        if self.recording.as_ref().is_some_and(Recording::is_full) {
            self.end_recording(RecordEnd::MaxDuration, shared);
        }
    }

    // ---- Commands ---------------------------------------------------------------------------------------------

    pub(crate) fn set_volumes(&mut self, volumes: Volumes) {
        (self.first.hears, self.second.hears) = (volumes.first, volumes.second);
        self.is_unsettled = true;
    }

    pub(crate) fn play(
        &mut self,
        action: ActionId,
        prompts: Vec<Arc<Prompt>>,
        repeat: u32,
        shared: &mut Shared,
    ) {
        self.end_prompt(shared);
        self.prompt = Some(Input::new(action, prompts, repeat, Gain::UNITY));
        self.is_unsettled = true;
    }

    pub(crate) fn stop_play(&mut self, action: ActionId, shared: &mut Shared) {
        if self.prompt.as_ref().is_some_and(|prompt| prompt.action() == action) {
            self.end_prompt(shared);
        }
    }

    pub(crate) fn record(&mut self, recording: Recording, shared: &mut Shared) {
        self.end_recording(RecordEnd::Stopped, shared);
        self.recording = Some(recording);
    }

    pub(crate) fn pause_record(&mut self, action: ActionId, is_paused: bool) {
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.action == action) {
            recording.pause(is_paused, None);
        }
    }

    pub(crate) fn stop_record(&mut self, action: ActionId, shared: &mut Shared) {
        if self.recording.as_ref().is_some_and(|recording| recording.action == action) {
            self.end_recording(RecordEnd::Stopped, shared);
        }
    }

    /// The connection is over: its actions end, each with its event.
    pub(crate) fn end_actions(&mut self, shared: &mut Shared) {
        self.end_prompt(shared);
        self.end_recording(RecordEnd::Disconnected, shared);
    }

    fn end_prompt(&mut self, shared: &mut Shared) {
        if let Some(prompt) = self.prompt.take() {
            self.is_unsettled = true;
            let (action, played) = (prompt.action(), prompt.played());
            shared.tell(Event::PlayEnded { leg: self.first.leg, action, played });
        }
    }

    fn end_recording(&mut self, end: RecordEnd, shared: &mut Shared) {
        if let Some(recording) = self.recording.take() {
            self.is_unsettled = true;
            let action = recording.action;
            let duration = recording.finish(shared);
            shared.tell(Event::RecordEnded { leg: self.first.leg, action, duration, end });
            self.recorder = Recorder::new();
        }
    }
}

impl Party {
    fn new(leg: LegId) -> Self {
        Self {
            leg,
            hears: Gain::UNITY,
            is_hearing: false,
            is_passed: false,
            said: Strip::default(),
            rate: 0,
            has_sound: false,
            voice: Way::default(),
            prompt: Way::default(),
            sum: Vec::new(),
            limiter: Limiter::new(),
            heard: Vec::new(),
        }
    }

    /// The first half of a frame, and when that was due: what it says.
    fn hear(
        &mut self,
        (now, due): (Instant, Instant),
        other: LegId,
        legs: &mut Numbered<LegId, Placed>,
        shared: &mut Shared,
    ) {
        self.said.clear();
        let Some(Placed { leg, .. }) = legs.get_mut(&self.leg) else { return };
        self.rate = leg.codec().sample_rate();
        self.is_hearing = leg.hears() == Some(other);
        self.is_passed = self.is_hearing && !leg.hears_interpreted();
        self.has_sound = leg.say_to_bridge(now, due, &mut self.said, shared);
    }

    /// The second half: what it hears of the other, and of a prompt.
    fn speak(
        &mut self,
        now: Instant,
        other: &mut Self,
        played: Option<(u32, &[i16])>,
        legs: &mut Numbered<LegId, Placed>,
        shared: &mut Shared,
    ) {
        let Some(Placed { leg, .. }) = legs.get_mut(&self.leg) else { return };
        if self.is_passed || !self.is_hearing && played.is_none() {
            return leg.hear_room(now, None, shared);
        }
        self.sum.clear();
        self.sum.resize(frame_samples(self.rate), 0);
        if self.is_hearing && other.has_sound {
            leg.give_way(shared);
        }
        if self.is_hearing {
            let voice = self.voice.frame(other.said.linear(), other.rate, self.rate);
            add(&mut self.sum, voice.iter().map(|&sample| self.hears.of(sample)));
        }
        if let Some((rate, samples)) = played {
            add(&mut self.sum, self.prompt.frame(samples, rate, self.rate).iter().map(|&s| i32::from(s)));
        }
        self.limiter.limit(&self.sum, &mut self.heard);
        leg.hear_room(now, Some(RoomAudio::Samples(&self.heard)), shared);
    }
}

impl Recorder {
    fn new() -> Self {
        Self {
            sides: Default::default(),
            prompt: Way::default(),
            sums: Default::default(),
            limiters: [Limiter::new(); 2],
            limited: Default::default(),
            frame: Vec::new(),
        }
    }

    /// A frame of what both say and hear of a prompt: one channel, or two with their samples in turn.
    fn frame(
        &mut self,
        rate: u32,
        parties: [&mut Party; 2],
        played: Option<(u32, &[i16])>,
        channels: u16,
    ) -> &[i16] {
        let channels = usize::from(channels);
        for sum in &mut self.sums[..channels] {
            sum.clear();
            sum.resize(frame_samples(rate), 0);
        }
        for (side, (way, party)) in self.sides.iter_mut().zip(parties).enumerate() {
            let said = way.frame(party.said.linear(), party.rate, rate);
            add(&mut self.sums[side % channels], said.iter().map(|&sample| i32::from(sample)));
        }
        if let Some((from, samples)) = played {
            let played = self.prompt.frame(samples, from, rate);
            for sum in &mut self.sums[..channels] {
                add(sum, played.iter().map(|&sample| i32::from(sample)));
            }
        }
        let sums = self.sums[..channels].iter();
        for ((sum, limiter), limited) in sums.zip(&mut self.limiters).zip(&mut self.limited) {
            limiter.limit(sum, limited);
        }
        if channels == 1 {
            return &self.limited[0];
        }
        let [left, right] = &self.limited;
        self.frame.clear();
        self.frame.extend(left.iter().zip(right).flat_map(|(&left, &right)| [left, right]));
        &self.frame
    }
}

impl Way {
    /// The frame at another rate. What the filter holds back at first is silence before it.
    fn frame<'a>(&'a mut self, samples: &'a [i16], from: u32, to: u32) -> &'a [i16] {
        let wanted = frame_samples(to);
        if from == to {
            self.resampler = None;
            return &samples[..wanted.min(samples.len())];
        }
        let kept = self.resampler.take().filter(|(of, at, _)| (*of, *at) == (from, to));
        if kept.is_none() {
            self.ready.clear();
        }
        self.resampler = kept.or_else(|| Some((from, to, Resampler::new(from, to)?)));
        self.ready.drain(..self.ready.len().min(wanted));
        if let Some((_, _, resampler)) = &mut self.resampler {
            resampler.push(samples, &mut self.ready);
        }
        let held_back = wanted.saturating_sub(self.ready.len());
        self.ready.splice(..0, std::iter::repeat_n(0, held_back));
        &self.ready[..wanted.min(self.ready.len())]
    }
}

fn frame_samples(rate: u32) -> usize {
    rate as usize / 50
}

fn add(sum: &mut [i32], samples: impl Iterator<Item = i32>) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum += sample;
    }
}
