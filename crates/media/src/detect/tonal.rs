//! Voice or tone: what is loud on a line is somebody who speaks, unless it is a tone of the network, of a machine or of a
//! key. Talk and answering-machine detection go by this.
//!
//! ```text
//!   level      __/‾‾‾‾‾‾‾‾‾‾‾‾‾\____/‾‾\_/‾‾‾\__
//!   spectrum     one line, or two,      many, moving
//!                where they were
//!   heard        u u u u T T T T        V V  V V V     u: unclear, for the first 80 ms of a tone
//! ```
//! One sound or two that hold nearly all the power do occur in speech, in a long vowel, but hardly where tones are and not
//! for 100 ms without moving. While it is unclear, talk that goes on goes on, and none begins.

use super::noise::{Judged, Noise};
use super::sound::{STEP, Sound};
use super::vad::Vad;

/// The lowest frequency of a tone in Hz: the first of the network's is at 350. Below are voices' own.
const LOWEST: f32 = 330.0;
/// The least share of the power that one tone has, or all of a network's.
const ONE: f32 = 0.85;
/// The least share that two have together, such as those of a key.
const TWO: f32 = 0.9;
/// How far a tone may waver from step to step, in Hz: two that are 40 Hz apart look like one that does.
const STEADY: f32 = 35.0;
/// Steps that make it a tone: 100 ms.
const STEPS: u32 = 5;
/// Steps of anything else within a tone: where its phase turns over, or it is modulated by 16 Hz.
const GAP: u32 = 2;

/// Steps with a voice, one after the other, that are talk: 60 ms, which no click has.
const ONSET: u32 = 3;
/// Steps in which talk goes on after that, where the line by itself is known: as long as a pause between sentences.
const TALK: u32 = 40;
/// Steps in which it does so where the line is not known: as long as between two words.
const BRIDGE: u32 = 10;
/// How far what is known of the line by itself may be below its floor, in dB: noise has come since, or music, if it is more.
const KNOWN: f32 = 6.0;

/// What 20 ms are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing above the noise of the line.
    Nothing,
    /// A voice.
    Voice,
    /// A tone, which has begun at least 80 ms ago.
    Tone,
    /// What may become a tone.
    Unclear,
    /// The line by itself, as loud as in the 220 ms before: what of these was taken for a voice was none.
    Line,
}

/// Tells voices from tones and from noise.
#[derive(Clone, Debug)]
pub struct Listener {
    vad: Vad,
    noise: Noise,
    /// Where the tone is that is being heard, in Hz, and its steps.
    middle: f32,
    steps: u32,
    /// Steps since the last one of it.
    gap: u32,
    /// Steps with a voice since the last that was soft, and steps since they were talk.
    voices: u32,
    since_talk: u32,
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// A line that has not been heard yet.
    pub fn new() -> Self {
        let (vad, noise) = (Vad::new(), Noise::default());
        Self { vad, noise, middle: 0.0, steps: 0, gap: 0, voices: 0, since_talk: u32::MAX }
    }

    /// Takes the next 20 ms at 8 kHz. `sound`, what they sound like, is asked for where they are loud.
    pub fn push(&mut self, step: &[i16; STEP], sound: impl FnOnce() -> Sound) -> Heard {
        let is_talk = self.is_talk();
        self.since_talk = self.since_talk.saturating_add(1);
        if !self.vad.hears(step, is_talk) {
            self.noise.pass(step);
            self.miss();
            self.voices = 0;
            return Heard::Nothing;
        }
        let sound = sound();
        let Some(middle) = middle(&sound) else {
            self.miss();
            return self.judge(step, is_talk);
        };
        self.noise.pass(step);
        if self.steps > 0 && (middle - self.middle).abs() > STEADY {
            let was_tone = self.steps >= STEPS;
            self.miss();
            if self.steps == 0 || !was_tone {
                (self.middle, self.steps, self.gap) = (middle, 1, 0);
            }
            // Behind a tone comes the next one, or its own other phase; a voice moves on.
            return if was_tone { Heard::Unclear } else { Heard::Voice };
        }
        self.steps = self.steps.saturating_add(1);
        self.gap = 0;
        self.middle = if self.steps == 1 { middle } else { self.middle + (middle - self.middle) / 8.0 };
        if self.steps >= STEPS { Heard::Tone } else { Heard::Unclear }
    }

    /// Whether somebody has just been speaking, over a line that is known by itself.
    fn is_talk(&self) -> bool {
        let is_known = |line| line >= self.vad.floor() - KNOWN;
        self.since_talk < TALK && self.noise.line().is_some_and(is_known)
    }

    /// What a loud step is that is no tone.
    fn judge(&mut self, step: &[i16; STEP], is_talk: bool) -> Heard {
        match self.noise.judge(step) {
            Judged::Voice => {
                self.voices = self.voices.saturating_add(1);
                if self.voices >= ONSET {
                    self.since_talk = 0;
                }
                Heard::Voice
            }
            Judged::Unclear if (is_talk || self.since_talk <= BRIDGE) && self.noise.is_above_line() => {
                Heard::Voice
            }
            Judged::Unclear => Heard::Nothing,
            Judged::Line => {
                self.voices = 0;
                Heard::Line
            }
        }
    }

    fn miss(&mut self) {
        self.gap += 1;
        if self.gap > GAP {
            (self.steps, self.gap) = (0, 0);
        }
    }
}

/// The middle of the tone, or of the two, that a sound is, in Hz.
fn middle(sound: &Sound) -> Option<f32> {
    let Sound { first, second, network, .. } = sound;
    if network.share >= ONE {
        Some(network.frequency)
    } else if first.share >= ONE && first.frequency >= LOWEST {
        Some(first.frequency)
    } else if first.share + second.share >= TWO && first.frequency.min(second.frequency) >= LOWEST {
        // Whichever of them is the stronger now.
        Some((first.frequency + second.frequency) / 2.0)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::Ear;
    use crate::detect::testing::{Signal, steps};

    /// A letter for each step.
    fn drawn(signal: &Signal) -> String {
        let (mut ear, mut listener) = (Ear::new(), Listener::new());
        let letter = |step| match listener.push(&step, || ear.hear(&step)) {
            Heard::Nothing | Heard::Line => '_',
            Heard::Voice => 'V',
            Heard::Tone => 'T',
            Heard::Unclear => 'u',
        };
        steps(&signal.samples()).map(letter).collect()
    }

    #[test]
    fn a_tone_is_one_after_100_ms() {
        for tones in [&[(1000.0, -15.0)][..], &[(425.0, -15.0)], &[(697.0, -15.0), (1209.0, -15.0)]] {
            let mut signal = Signal::new(1);
            signal.silence(200.0);
            signal.tone(tones, 200.0);
            signal.silence(100.0);
            let drawn = drawn(&signal);
            assert!(drawn.starts_with("__________uuuuTTTTTT"), "{tones:?}: {drawn}");
        }
    }

    #[test]
    fn a_low_hum_is_a_voice_until_it_goes_on_and_so_is_what_moves() {
        let mut signal = Signal::new(2);
        signal.silence(200.0);
        signal.tone(&[(220.0, -15.0)], 400.0);
        // Its first step may be a part of one.
        assert_eq!(drawn(&signal), format!("{}{}{}", "_".repeat(11), "V".repeat(10), "_".repeat(9)));
        let mut signal = Signal::new(2);
        for hz in [500.0, 560.0, 620.0, 680.0, 740.0, 800.0, 860.0] {
            signal.tone(&[(hz, -15.0)], 40.0);
        }
        assert!(!drawn(&signal).contains('T'), "{}", drawn(&signal));
    }

    /// V.25: for a step or two where its phase turns over a tone is not one line.
    #[test]
    fn a_tone_goes_on_where_its_phase_turns_over() {
        let turned = |n: usize| if (n / 3600).is_multiple_of(2) { 4000.0 } else { -4000.0 };
        let sample = |n: usize| turned(n) * (std::f32::consts::TAU * 2100.0 * n as f32 / 8000.0).sin();
        #[expect(clippy::cast_possible_truncation, reason = "4,000 at most")]
        let samples: Vec<i16> = (0..10_800).map(|n| sample(n).round() as i16).collect();
        let mut signal = Signal::new(3);
        signal.samples_of(&samples);
        let drawn = drawn(&signal);
        let between: Vec<&str> = drawn.split('T').skip(1).filter(|others| !others.is_empty()).collect();
        assert!(!between.is_empty() && between.iter().all(|others| others.len() <= 2), "{drawn}");
    }
}
