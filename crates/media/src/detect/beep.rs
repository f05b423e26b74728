//! The beep of a voice mailbox: one tone of 400–2,500 Hz for 100 ms to 2 s, and then silence.
//!
//! ```text
//!   … after the tone.   ____/‾‾‾‾‾‾\____________
//!                           1000 Hz │ 200 ms of silence: told
//! ```
//! Below 700 Hz lie the tones of the network, busy above all, whose silences are up to 750 ms. There a beep is told only
//! after 1.1 s of silence, if it is no longer than 0.7 s, as ring-back is, and if it is the first of its kind for a
//! second. Three tones that follow each other are no beep (special information tone).
//!
//! Behind a beep there may be the noise of the line, as it was before: over white noise all are heard down to 6 dB, over pink noise, which
//! has tones by chance, down to 20 (`tests/detectors/noise.rs`).
//!
//! The tones of fax machines are no beeps. That of a called one (CED) is longer than any, and where its phase turns over there is
//! no silence before its last part. That of a calling one (CNG) is, by itself, just like a beep of 1100 Hz for half a second: such
//! a one is told as a beep where something else was heard in the 5 s before, as the greeting is before the beep of a mailbox.

use std::time::Duration;

use super::STEP_TIME;
use super::sound::Sound;

/// The frequencies of beeps, in Hz.
const FREQUENCIES: std::ops::RangeInclusive<f32> = 390.0..=2510.0;
/// Below this are the tones of the network.
const NETWORK: f32 = 700.0;
/// How far a tone may waver, in Hz.
const STEADY: f32 = 20.0;
/// Tones like that of a calling fax machine: in Hz, and steps.
const CNG: std::ops::RangeInclusive<f32> = 1060.0..=1140.0;
const CNG_STEPS: std::ops::RangeInclusive<u32> = 20..=30;
/// Steps in which something else must have been heard before such a tone for it to be a beep, and how many of them have: 200
/// ms of 5 s, more than a click and less than any word that is a greeting.
const GREETING: (u32, u32) = (250, 10);
/// The softest beep in dBm0.
const SOFTEST: f32 = -35.0;
/// Steps of a beep: the edges of one of 100 ms may take two from it.
const STEPS: std::ops::RangeInclusive<u32> = 4..=100;
/// Steps of a beep below [`NETWORK`] at most.
const NETWORK_STEPS: u32 = 35;
/// Steps of silence after a beep.
const SILENCE: u32 = 10;
/// Steps of silence after a beep below [`NETWORK`], and before it.
const NETWORK_SILENCE: u32 = 55;
/// How far below the tone silence is, in dB.
const DROP: f32 = 12.0;
/// The least share of the power that a beep has, of what is not the noise of the line.
const SHARE: f32 = 0.85;
/// How much of the power the noise of the line may be, for the beep to be judged by the rest: it is 6 dB below the beep then.
const NOISE: f32 = 0.25;
/// How far the noise of the line may be above its least level, in dB: noise of any colour varies by so much.
const ABOVE: f32 = 6.0;
/// How far it is below the tone at least, in dB.
const NOISE_DROP: f32 = 3.0;
/// Steps of the stretches in which the least level is looked for, the noise of the line: half a second.
const STRETCH: u32 = 25;
/// Steps in which a tone may end: the window that hears it reaches back.
const EDGE: u32 = 2;

/// A beep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beep {
    /// Its frequency in Hz.
    pub frequency: f32,
    /// How long it was.
    pub duration: Duration,
}

/// Hears beeps.
#[derive(Clone, Debug)]
pub struct BeepDetector {
    tone: Option<Run>,
    /// A tone that is over, and the steps since.
    ended: Option<(Run, u32)>,
    /// Steps since any tone.
    since: u32,
    /// Steps with other sounds, and those since the last one.
    others: u32,
    since_other: u32,
    /// The least levels without a tone, of this stretch and of the one before, and the steps of this one.
    least: [f32; 2],
    heard: u32,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    frequency: f32,
    level: f32,
    steps: u32,
    /// The level of the line before it.
    floor: f32,
    /// Steps without a tone before it.
    before: u32,
    /// Whether something else was heard before it.
    is_greeted: bool,
}

impl Default for BeepDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl BeepDetector {
    /// Nothing has been heard.
    pub fn new() -> Self {
        let least = [f32::INFINITY, f32::NEG_INFINITY];
        Self { tone: None, ended: None, since: u32::MAX, others: 0, since_other: 0, least, heard: 0 }
    }

    /// Takes what the next 20 ms sound like.
    pub fn push(&mut self, sound: &Sound) -> Option<Beep> {
        let is_pure = self.is_pure(sound);
        if is_pure && FREQUENCIES.contains(&sound.first.frequency) && sound.level >= SOFTEST {
            self.hear_tone(sound);
            return None;
        }
        self.since = self.since.saturating_add(1);
        // Behind a tone, its own edge is nothing else.
        let is_loud = sound.level >= SOFTEST.max(self.floor() + ABOVE);
        self.hear_other(is_loud && !is_pure && self.since > EDGE);
        self.hear_line(sound.level);
        if let Some(run) = self.tone.take() {
            self.ended = (run.could_be_a_beep()).then_some((run, 0));
            self.since = 1;
        }
        let (run, silent) = self.ended.as_mut()?;
        *silent += 1;
        if *silent > EDGE && sound.level > run.end() {
            // Something goes on: the tone was part of it.
            self.ended = None;
            return None;
        }
        let (run, silent) = (*run, *silent);
        if silent < EDGE + run.silence() {
            return None;
        }
        self.ended = None;
        Some(Beep { frequency: run.frequency, duration: STEP_TIME * run.steps })
    }

    /// Whether there is one tone and hardly anything else but the noise of the line.
    fn is_pure(&self, sound: &Sound) -> bool {
        let noise = 10f32.powf((self.floor() - sound.level) / 10.0).min(NOISE);
        sound.first.share >= SHARE * (1.0 - noise)
    }

    /// The level of the line by itself, before the tone if there is one; nothing at all before it is known.
    fn floor(&self) -> f32 {
        self.tone.as_ref().map_or(self.least[0].min(self.least[1]), |run| run.floor)
    }

    fn hear_line(&mut self, level: f32) {
        self.least[0] = self.least[0].min(level);
        self.heard += 1;
        if self.heard == STRETCH {
            (self.least, self.heard) = ([f32::INFINITY, self.least[0]], 0);
        }
    }

    /// Counts the steps with other sounds than tones, until there have been none for [`GREETING`].
    fn hear_other(&mut self, is_other: bool) {
        if is_other {
            (self.others, self.since_other) = (self.others.saturating_add(1), 0);
        } else {
            self.since_other = self.since_other.saturating_add(1);
            if self.since_other > GREETING.0 {
                (self.others, self.since_other) = (0, 0);
            }
        }
    }

    fn hear_tone(&mut self, sound: &Sound) {
        self.hear_other(false);
        let floor = self.floor();
        let (frequency, is_greeted) = (sound.first.frequency, self.others >= GREETING.1);
        self.ended = None;
        match &mut self.tone {
            Some(run) if (frequency - run.frequency).abs() <= STEADY => {
                run.steps = run.steps.saturating_add(1);
                // The first step may be half silent, and the last.
                run.frequency += (frequency - run.frequency) / run.steps.min(10) as f32;
                run.level = run.level.max(sound.level);
            }
            Some(run) => {
                // Another tone. What has just begun was the edge of it.
                let before = if run.steps <= EDGE { run.before } else { 0 };
                *run = Run { frequency, level: sound.level, steps: 1, floor, before, is_greeted };
            }
            None => {
                let (level, before) = (sound.level, self.since);
                self.tone = Some(Run { frequency, level, steps: 1, floor, before, is_greeted });
            }
        }
        self.since = 0;
    }
}

impl Run {
    fn could_be_a_beep(&self) -> bool {
        let is_network = self.frequency < NETWORK;
        let is_cng = CNG.contains(&self.frequency) && CNG_STEPS.contains(&self.steps);
        STEPS.contains(&self.steps)
            && self.before > EDGE
            && (!is_cng || self.is_greeted)
            && (!is_network || (self.steps <= NETWORK_STEPS && self.before >= NETWORK_SILENCE))
    }

    /// How loud it may be after it, in dBm0: silence, or what the line was before.
    fn end(&self) -> f32 {
        (self.level - DROP).max((self.floor + ABOVE).min(self.level - NOISE_DROP))
    }

    fn silence(&self) -> u32 {
        if self.frequency < NETWORK { NETWORK_SILENCE } else { SILENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::Ear;
    use crate::detect::testing::{Signal, steps};
    use crate::progress::{Country, Progress};

    fn told(signal: &Signal) -> Vec<(u64, Beep)> {
        let (mut ear, mut beeps) = (Ear::new(), BeepDetector::new());
        let steps: Vec<_> = steps(&signal.samples()).collect();
        (20..)
            .step_by(20)
            .zip(steps)
            .filter_map(|(at, step)| Some((at, beeps.push(&ear.hear(&step))?)))
            .collect()
    }

    #[test]
    fn beeps_of_all_kinds_are_told_200_ms_after_their_end() {
        for frequency in [800.0, 1000.0, 1400.0, 2000.0, 2480.0] {
            for milliseconds in [100.0, 180.0, 500.0, 1000.0, 1900.0] {
                let mut signal = Signal::new(1);
                for _ in 0..4 {
                    signal.syllable(-20.0, 250.0);
                    signal.silence(80.0);
                }
                signal.silence(300.0);
                signal.tone(&[(frequency, -15.0)], milliseconds);
                signal.silence(1000.0);
                signal.noise(-50.0);
                let told = told(&signal);
                let [(at, beep)] = told[..] else { panic!("{frequency} {milliseconds}: {told:?}") };
                assert!((f64::from(beep.frequency) - frequency).abs() < 10.0, "{beep:?}");
                let duration = beep.duration.as_secs_f64() * 1000.0;
                assert!((duration - milliseconds).abs() <= 50.0, "{milliseconds}: {beep:?}");
                let after = at as f64 - 1620.0 - milliseconds;
                assert!((180.0..=300.0).contains(&after), "{milliseconds}: {after}");
            }
        }
    }

    #[test]
    fn a_low_beep_is_told_after_a_second() {
        let mut signal = Signal::new(2);
        signal.silence(1500.0);
        signal.tone(&[(440.0, -15.0)], 400.0);
        signal.silence(2000.0);
        assert_eq!(told(&signal).len(), 1);
    }

    #[test]
    fn a_tone_like_that_of_a_fax_machine_is_a_beep_only_after_a_greeting() {
        for (is_greeted, expected) in [(false, 0), (true, 1)] {
            for milliseconds in [430.0, 500.0, 570.0] {
                let mut signal = Signal::new(2);
                signal.silence(1000.0);
                if is_greeted {
                    signal.syllable(-20.0, 250.0);
                    signal.syllable(-20.0, 250.0);
                }
                signal.silence(2000.0);
                signal.tone(&[(1100.0, -15.0)], milliseconds);
                signal.silence(3000.0);
                signal.noise(-50.0);
                assert_eq!(told(&signal).len(), expected, "{is_greeted} {milliseconds}");
            }
        }
    }

    #[test]
    fn what_is_shorter_longer_or_goes_on_is_no_beep() {
        for milliseconds in [40.0, 3000.0] {
            let mut signal = Signal::new(3);
            signal.silence(500.0);
            signal.tone(&[(1000.0, -15.0)], milliseconds);
            signal.silence(1000.0);
            assert_eq!(told(&signal), [], "{milliseconds}");
        }
        // A tune.
        let mut signal = Signal::new(3);
        for frequency in [880.0, 988.0, 1047.0, 880.0, 1175.0] {
            signal.tone(&[(frequency, -15.0)], 300.0);
        }
        signal.silence(1000.0);
        assert_eq!(told(&signal), []);
        // A tone under speech.
        let mut signal = Signal::new(3);
        signal.silence(500.0);
        signal.tone(&[(1000.0, -15.0)], 200.0);
        signal.syllable(-15.0, 600.0);
        signal.silence(1000.0);
        assert_eq!(told(&signal), []);
    }

    #[test]
    fn the_tones_of_no_country_and_no_key_are_beeps() {
        for country in Country::all() {
            for progress in [Progress::Dial, Progress::RingBack, Progress::Busy, Progress::Congestion] {
                let mut signal = Signal::new(4);
                let mut samples = vec![0; 8000 * 12];
                crate::progress::ProgressTone::new(country, progress, 8000).fill(&mut samples);
                signal.samples_of(&samples);
                signal.silence(2000.0);
                assert_eq!(told(&signal), [], "{} {progress:?}", country.code());
            }
        }
        let mut signal = Signal::new(5);
        for tones in [[697.0, 1209.0], [941.0, 1477.0]] {
            signal.silence(500.0);
            signal.tone(&tones.map(|frequency| (frequency, -10.0)), 200.0);
        }
        // ITU-T E.180 §7: the special information tone.
        signal.silence(500.0);
        for frequency in [950.0, 1400.0, 1800.0] {
            signal.tone(&[(frequency, -12.0)], 330.0);
        }
        signal.silence(1000.0);
        assert_eq!(told(&signal), []);
    }
}
