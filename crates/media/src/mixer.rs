//! The mixer of a room: everybody hears all the others, and nobody itself.
//!
//! ```text
//!   each frame of 20 ms:  say    member ─▶ level ─▶ audible? ─▶ gain ─╮
//!                         play   prompts to all, background ──────────┤
//!                         mix                                         ▼
//!                                up to 16 talkers ─▶ one sum for each sample rate, and crossings between them
//!                         hear   who says nothing: the sum ──────────────────▶ limiter ─▶ one frame for all of them
//!                                who says something: the sum less its voice ─▶ limiter ─▶ a frame of its own
//! ```
//! What a frame costs is one sum for each talker, of whom there are never more than [`MAX_TALKERS`], and one limiter for
//! each frame that differs: a hundred who listen cost as much as one. Where rates differ, what is said at each crosses to
//! the others as one sum (`bus.rs`), so a member with 48 kHz is heard with 48 kHz by all who can.
//!
//! Where no more than eight may speak, everything is in the sum but silence and the noise of an idle line: nothing cuts the
//! beginning of a soft word, or the noise behind a voice. Of more, who has no voice is not in the sum, so that the noise of a
//! hundred rooms does not add up. Voices come in and go out in 2 ms, so that no switch clicks.

mod bus;
mod limiter;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::gain::Gain;
pub use crate::mixer::bus::Rate;
use crate::mixer::bus::{Bus, Crossing};
pub(crate) use crate::mixer::limiter::Limiter;
use crate::mixer::talk::{Talk, level};

/// Voices that are heard at once. More are a noise that nobody understands, and cost as much as they are many.
pub const MAX_TALKERS: usize = 16;
/// Members that may speak of whom everything is heard. The noises of eight are 9 dB louder than that of one, and each that is in the
/// sum hears a frame of its own, which has to be encoded.
pub const MAX_OPEN: usize = 8;
/// A voice that is in the sum stays there unless another is louder by this, 6 dB as power: no two that are equally loud
/// take turns.
const STAYS: f32 = 4.0;
/// The part of a frame in which a voice comes in or goes out: 2 ms of 20.
const RAMP: usize = 10;

/// Which way a member takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VoiceMode {
    /// It hears and is heard.
    #[default]
    HearAndSpeak,
    /// It is heard and hears nothing.
    SpeakOnly,
    /// It hears and is not heard.
    HearOnly,
    /// It is there, no more.
    Neither,
}

impl VoiceMode {
    /// Whether the others hear it.
    pub fn speaks(self) -> bool {
        matches!(self, Self::HearAndSpeak | Self::SpeakOnly)
    }

    /// Whether it hears the others.
    pub fn hears(self) -> bool {
        matches!(self, Self::HearAndSpeak | Self::HearOnly)
    }
}

/// How a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Which way.
    pub mode: VoiceMode,
    /// How loud the others hear it.
    pub says: Gain,
    /// How loud it hears the others.
    pub hears: Gain,
}

impl Default for Voice {
    fn default() -> Self {
        Self { mode: VoiceMode::default(), says: Gain::UNITY, hears: Gain::UNITY }
    }
}

/// A member's place in its mixer. It is given to another when the member has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat(usize);

/// What a member hears in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The same as everybody of its rate who says nothing: it need be encoded only once.
    Common(&'a [i16]),
    /// All but itself.
    Own(&'a [i16]),
}

/// The memory in which a frame is mixed, for one room after the other: it is in the caches then, where that of each room would
/// have to be brought into them. Between the frames there is nothing in it.
#[derive(Debug)]
pub struct Desk {
    /// By [`Rate::index`].
    buses: [Bus; Rate::ALL.len()],
    /// What members say in this frame, as loud as the others hear it; so many of these, and then none of the frame before.
    said: Vec<Vec<i32>>,
    taken: usize,
    is_mixed: bool,
    /// All but one member.
    others: Vec<i32>,
    own: Vec<i16>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            buses: Rate::ALL.map(Bus::new),
            said: Vec::new(),
            taken: 0,
            is_mixed: false,
            others: Vec::with_capacity(Rate::Full.frame()),
            own: Vec::with_capacity(Rate::Full.frame()),
        }
    }
}

impl Desk {
    /// A place for what the next member says, with what was said there once.
    fn place(&mut self) -> usize {
        if std::mem::take(&mut self.is_mixed) {
            self.taken = 0;
        }
        if self.taken == self.said.len() {
            self.said.push(Vec::with_capacity(Rate::Narrow.frame()));
        }
        self.taken += 1;
        self.taken - 1
    }
}

/// Who says what, and what each hears of it. What is between [`Mixer::say`] and [`Mixer::heard`] lies on a [`Desk`].
#[derive(Debug)]
pub struct Mixer {
    members: Vec<Option<Member>>,
    /// Of what those hear who say nothing, by [`Rate::index`].
    limiters: [Limiter; Rate::ALL.len()],
    crossings: Vec<(Rate, Rate, Crossing)>,
    /// The rate at which somebody records.
    recorded: Option<Rate>,
    /// At which rates somebody hears, or records.
    is_heard: [bool; Rate::ALL.len()],
    /// Whether so few may speak that everything is heard.
    is_open: bool,
    ranking: Vec<(f32, usize)>,
    talks: VecDeque<(Seat, bool)>,
}

#[derive(Debug)]
struct Member {
    rate: Rate,
    voice: Voice,
    talk: Talk,
    part: Part,
    /// Whether a frame came that may be in the sum.
    asks: bool,
    /// Where on the desk what it says in this frame is, if it asks or is in the sum.
    said: usize,
    limiter: Limiter,
}

/// Whether a voice is in the sum of this frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Out,
    Enters,
    In,
    Leaves,
}

impl Default for Mixer {
    fn default() -> Self {
        Self::new()
    }
}

impl Mixer {
    /// An empty room.
    pub fn new() -> Self {
        Self {
            members: Vec::new(),
            limiters: Rate::ALL.map(|_| Limiter::new()),
            crossings: Vec::new(),
            recorded: None,
            is_heard: [false; Rate::ALL.len()],
            is_open: true,
            ranking: Vec::new(),
            talks: VecDeque::new(),
        }
    }

    /// A member comes in.
    pub fn join(&mut self, rate: Rate, voice: Voice) -> Seat {
        let member = Some(Member::new(rate, voice));
        let seat = match self.members.iter().position(Option::is_none) {
            Some(free) => {
                self.members[free] = member;
                Seat(free)
            }
            None => {
                self.members.push(member);
                Seat(self.members.len() - 1)
            }
        };
        self.count();
        seat
    }

    /// A member goes. That its talk ends is not told any more.
    pub fn leave(&mut self, seat: Seat) {
        if let Some(place) = self.members.get_mut(seat.0) {
            *place = None;
        }
        self.talks.retain(|&(other, _)| other != seat);
        self.count();
    }

    /// A member takes part in another way, from the next frame on.
    pub fn set_voice(&mut self, seat: Seat, voice: Voice) {
        let Some(member) = self.members.get_mut(seat.0).and_then(Option::as_mut) else { return };
        member.voice = voice;
        if !voice.mode.speaks() {
            let talked = std::mem::replace(&mut member.talk, Talk::new()).is_talking();
            if talked {
                self.talks.push_back((seat, false));
            }
        }
        self.count();
    }

    /// A member speaks and hears at another rate, from the next frame on.
    pub fn set_rate(&mut self, seat: Seat, rate: Rate) {
        if let Some(member) = self.members.get_mut(seat.0).and_then(Option::as_mut)
            && member.rate != rate
        {
            (member.rate, member.part, member.asks) = (rate, Part::Out, false);
            self.count();
        }
    }

    /// Keeps [`Mixer::recorded`] ready at this rate.
    pub fn record(&mut self, rate: Option<Rate>) {
        if self.recorded != rate {
            self.recorded = rate;
            self.count();
        }
    }

    /// The highest rate of a member: that of all that can be heard.
    pub fn rate(&self) -> Rate {
        self.members.iter().flatten().map(|member| member.rate).max().unwrap_or(Rate::Narrow)
    }

    /// What a member says in the next frame, [`Rate::frame`] samples. Once for each frame; who says nothing is silent.
    pub fn say(&mut self, desk: &mut Desk, seat: Seat, frame: &[i16]) {
        let Some(member) = self.members.get_mut(seat.0).and_then(Option::as_mut) else { return };
        if member.voice.mode.speaks()
            && let Some(talks) = member.talk.hear(level(frame))
        {
            self.talks.push_back((seat, talks));
        }
        member.say(desk, frame, self.is_open);
    }

    /// Plays something to all in the next frame, at any rate.
    pub fn play(desk: &mut Desk, rate: Rate, frame: &[i16], gain: Gain) {
        desk.buses[rate.index()].add(frame.iter().map(|&sample| gain.of(sample)));
    }

    /// Ends a frame: what was said since the last one can be heard now, until anything is said or played on this desk.
    pub fn mix(&mut self, desk: &mut Desk) {
        self.choose();
        for member in self.members.iter().flatten().filter(|member| member.part != Part::Out) {
            let said = &mut desk.said[member.said];
            member.ramp(said);
            desk.buses[member.rate.index()].add(said.iter().copied());
        }
        self.cross(desk);
        desk.buses.iter_mut().for_each(Bus::turn);
        for (_, to, crossing) in &mut self.crossings {
            crossing.give(&mut desk.buses[to.index()]);
        }
        desk.is_mixed = true;
    }

    /// What a member hears of that; `None` if it hears nothing at all. Once for each frame.
    pub fn heard<'a>(&mut self, desk: &'a mut Desk, seat: Seat) -> Option<Heard<'a>> {
        let member = self.members.get_mut(seat.0)?.as_mut().filter(|member| member.voice.mode.hears())?;
        let Desk { buses, said, others, own, .. } = desk;
        let rate = member.rate.index();
        let gain = member.voice.hears;
        let total = buses[rate].total().iter();
        others.clear();
        match (member.part, gain) {
            (Part::Out, Gain::UNITY) => {
                let common = buses[rate].common(&mut self.limiters[rate]);
                member.limiter = self.limiters[rate];
                return Some(Heard::Common(common));
            }
            (Part::Out, _) => others.extend(total.map(|&sum| gain.of_sum(sum))),
            (_, Gain::UNITY) => others.extend(total.zip(&said[member.said]).map(|(sum, said)| sum - said)),
            (_, _) => {
                let said = &said[member.said];
                others.extend(total.zip(said).map(|(sum, said)| gain.of_sum(sum - said)));
            }
        }
        member.limiter.limit(others, own);
        Some(Heard::Own(own))
    }

    /// What all say together, at the rate that was asked for by [`Mixer::record`].
    pub fn recorded<'a>(&mut self, desk: &'a mut Desk) -> Option<(Rate, &'a [i16])> {
        let rate = self.recorded?;
        Some((rate, desk.buses[rate.index()].common(&mut self.limiters[rate.index()])))
    }

    /// The next member that began (`true`) or ended to talk.
    pub fn poll_talk(&mut self) -> Option<(Seat, bool)> {
        self.talks.pop_front()
    }

    /// Whether a member is talking.
    pub fn is_talking(&self, seat: Seat) -> bool {
        self.members.get(seat.0).and_then(Option::as_ref).is_some_and(|member| member.talk.is_talking())
    }

    /// Decides whose voices are in the sum: all that are to be heard, or the loudest of them.
    fn choose(&mut self) {
        self.ranking.clear();
        for (index, member) in self.members.iter_mut().enumerate() {
            let Some(member) = member else { continue };
            match (std::mem::take(&mut member.asks), member.is_to_be_heard(self.is_open)) {
                (true, true) => {
                    let loudness = member.talk.loudness();
                    let rank = if member.is_in() { loudness * STAYS } else { loudness };
                    self.ranking.push((rank, index));
                }
                (true, false) => member.goes(),
                (false, _) => member.part = Part::Out,
            }
        }
        if self.ranking.len() > MAX_TALKERS {
            self.ranking.select_nth_unstable_by(MAX_TALKERS - 1, |(a, _), (b, _)| b.total_cmp(a));
        }
        for (place, &(_, index)) in self.ranking.iter().enumerate() {
            if let Some(Some(member)) = self.members.get_mut(index) {
                if place < MAX_TALKERS { member.comes() } else { member.goes() }
            }
        }
    }

    /// Counts at which rates somebody hears, and how many may speak.
    fn count(&mut self) {
        let speakers = self.members.iter().flatten().filter(|member| member.voice.mode.speaks()).count();
        self.is_open = speakers <= MAX_OPEN;
        let members = || self.members.iter().flatten().filter(|member| member.voice.mode.hears());
        self.is_heard =
            Rate::ALL.map(|rate| self.recorded == Some(rate) || members().any(|member| member.rate == rate));
        self.crossings.retain(|(_, to, _)| self.is_heard[to.index()]);
    }

    /// Takes what is said at each rate to the others at which somebody hears.
    fn cross(&mut self, desk: &Desk) {
        for from in Rate::ALL.into_iter().filter(|from| !desk.buses[from.index()].is_silent()) {
            for to in Rate::ALL.into_iter().filter(|&to| to != from && self.is_heard[to.index()]) {
                let is_there = self.crossings.iter().any(|(of, at, _)| (*of, *at) == (from, to));
                if !is_there && let Some(crossing) = Crossing::new(from, to) {
                    self.crossings.push((from, to, crossing));
                }
            }
        }
        for (from, _, crossing) in &mut self.crossings {
            crossing.take(&desk.buses[from.index()]);
        }
    }
}

impl Member {
    fn new(rate: Rate, voice: Voice) -> Self {
        Self {
            rate,
            voice,
            talk: Talk::new(),
            part: Part::Out,
            asks: false,
            said: 0,
            limiter: Limiter::new(),
        }
    }

    /// Whether it is to be in the sum: its voice, or any sound where few may speak.
    fn is_to_be_heard(&self, is_open: bool) -> bool {
        self.talk.is_audible() || is_open && self.talk.is_sounding()
    }

    fn say(&mut self, desk: &mut Desk, frame: &[i16], is_open: bool) {
        self.asks = self.is_to_be_heard(is_open) || self.is_in();
        if self.asks {
            self.said = desk.place();
            let said = &mut desk.said[self.said];
            let gain = self.voice.says;
            let frame = &frame[..frame.len().min(self.rate.frame())];
            said.clear();
            match gain {
                Gain::UNITY => said.extend(frame.iter().map(|&sample| i32::from(sample))),
                _ => said.extend(frame.iter().map(|&sample| gain.of(sample))),
            }
            said.resize(self.rate.frame(), 0);
        }
    }

    /// Whether it was in the sum of the frame before.
    fn is_in(&self) -> bool {
        matches!(self.part, Part::Enters | Part::In)
    }

    fn comes(&mut self) {
        self.part = if self.is_in() { Part::In } else { Part::Enters };
    }

    fn goes(&mut self) {
        self.part = if self.is_in() { Part::Leaves } else { Part::Out };
    }

    /// Lets the voice come in or go out.
    fn ramp(&self, said: &mut [i32]) {
        let length = i32::try_from(self.rate.frame() / RAMP).unwrap_or(i32::MAX);
        let (ramp, rest) = said.split_at_mut(self.rate.frame() / RAMP);
        match self.part {
            Part::Enters => ramp.iter_mut().zip(0..).for_each(|(sample, n)| *sample = *sample * n / length),
            Part::Leaves => {
                ramp.iter_mut().zip(0..).for_each(|(sample, n)| *sample = *sample * (length - n) / length);
                rest.fill(0);
            }
            Part::In | Part::Out => {}
        }
    }
}
