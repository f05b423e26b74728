//! Call-progress tones, heard: busy, congestion, ring-back and dial tone of any country, by their cadence, and the special
//! information tone.
//!
//! ```text
//!   busy         ‾‾__‾‾__‾‾__       as long on as off, 0.29 s and more            three times
//!   congestion   ‾_‾_‾_‾_‾_         as long on as off, less than that             four times
//!                ‾‾_‾__‾‾_‾__       or unequal, repeating itself                  twice
//!   ring-back    ‾‾‾‾_________      0.7 to 2.2 s on, or twice 0.3 to 0.6 s        then 1.5 s of silence
//!   dial         ‾‾‾‾‾‾‾‾‾‾‾‾       2.5 s and more
//!   special      ╱‾‾╱‾‾╱‾‾          950, 1400, 1800 Hz, 0.33 s each (ITU-T E.180 §7)
//! ```
//! Every country's tones lie at 350 to 620 Hz, one or two at a time. What is busy in one country is congestion in another
//! (0.25 s on and off in Brazil and in the Netherlands): with a [`Country`] its own cadences are tried first.

use super::sound::Sound;
use crate::progress::{Country, Progress};

/// The part of a sound that must lie where networks have their tones.
const LEAST_SHARE: f32 = 0.85;
/// How far the middle of the tones may be from that of the burst, in Hz: two that are 40 Hz apart look like one that
/// wavers between them.
const STEADY: f32 = 35.0;
/// The softest tone in dBm0.
const SOFTEST: f32 = -38.0;
/// How far below the tone silence is, in dB.
const DROP: f32 = 10.0;
/// Milliseconds of a step.
const STEP_MS: u32 = 20;
/// How far a length may be from that of the cadence: in milliseconds, and in parts of the length (E.180 §4: ± 10 %).
const TOLERANCE: (u32, u32) = (30, 8);
/// The bursts that are remembered: two repetitions of the longest cadence (Turkey's congestion, four), and one.
const REMEMBERED: usize = 9;
/// Steps of anything else within a burst that end it: one step is the edge, two are something else.
const STRANGE: u32 = 3;
/// Steps of silence that end a burst: a tone that is modulated by 16 Hz (Japan) has two within it.
const QUIET: u32 = 3;
/// Milliseconds of a tone that goes on: longer than any ring-back is on (2 s).
const DIAL_MS: u32 = 2500;
/// Milliseconds of silence after a burst that cannot be busy any more.
const RING_SILENCE_MS: u32 = 1500;
/// Milliseconds of silence after which all is over: the longest within a cadence is 5 s.
const OVER_MS: u32 = 7000;

/// What the tones tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkTone {
    /// One of the call-progress tones.
    Progress(Progress),
    /// The special information tone: an announcement follows that says why there is no call.
    SpecialInformation,
}

/// Hears call-progress tones.
#[derive(Clone, Debug)]
pub struct ProgressDetector {
    country: Option<Country>,
    burst: Option<Burst>,
    /// The level of the last burst in dBm0.
    level: f32,
    /// Steps in a row that are neither of the burst, nor silence.
    strange: u32,
    /// Steps in a row that are silence, before it counts as one.
    quiet: u32,
    /// Milliseconds of silence since the last burst.
    silence: u32,
    /// Milliseconds on and off of the last bursts, the oldest first; the last is followed by the present silence.
    heard: Vec<(u32, u32)>,
    /// What has been told and still goes on.
    told: Option<Progress>,
    special: Special,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    middle: f32,
    ms: u32,
}

impl ProgressDetector {
    /// Nothing has been heard. `country` says whose cadences are tried first.
    pub fn new(country: Option<Country>) -> Self {
        Self {
            country,
            burst: None,
            level: SOFTEST,
            strange: 0,
            quiet: 0,
            silence: OVER_MS,
            heard: Vec::with_capacity(REMEMBERED),
            told: None,
            special: Special::default(),
        }
    }

    /// Takes what the next 20 ms sound like. Each tone is told once, and again only after something else.
    pub fn push(&mut self, sound: &Sound) -> Option<NetworkTone> {
        if self.special.push(sound) {
            return Some(NetworkTone::SpecialInformation);
        }
        match middle(sound) {
            Some(middle) => self.hear_tone(middle, sound.level),
            None => self.hear_other(sound.level),
        }
        let progress = self.judge()?;
        if self.told == Some(progress) {
            return None;
        }
        self.told = Some(progress);
        Some(NetworkTone::Progress(progress))
    }

    fn hear_tone(&mut self, middle: f32, level: f32) {
        match &mut self.burst {
            Some(burst) if (middle - burst.middle).abs() <= STEADY => {
                // What was strange within it was part of it after all.
                burst.ms += STEP_MS * (1 + self.strange + self.quiet);
                (self.strange, self.quiet) = (0, 0);
                burst.middle += (middle - burst.middle) / 8.0;
                self.level = self.level.max(level);
            }
            Some(_) => self.hear_strange(),
            None => {
                if let Some(last) = self.heard.last_mut() {
                    last.1 = self.silence;
                }
                (self.silence, self.strange, self.quiet) = (0, 0, 0);
                self.level = level;
                self.burst = Some(Burst { middle, ms: STEP_MS });
            }
        }
    }

    fn hear_other(&mut self, level: f32) {
        if level >= self.level - DROP {
            return self.hear_strange();
        }
        if let Some(Burst { ms, .. }) = self.burst {
            self.quiet += 1;
            if self.quiet < QUIET {
                return;
            }
            if self.heard.len() == REMEMBERED {
                self.heard.remove(0);
            }
            self.heard.push((ms, 0));
            self.burst = None;
            self.silence = STEP_MS * (self.strange + self.quiet);
        } else {
            self.silence += STEP_MS;
        }
        (self.strange, self.quiet) = (0, 0);
        if self.silence >= OVER_MS {
            self.forget();
        }
    }

    /// What is no tone of a network: the edge of one, or, if it goes on, speech or music, and then there was no cadence.
    fn hear_strange(&mut self) {
        self.strange += 1;
        if self.burst.is_none() {
            self.silence += STEP_MS;
        }
        if self.strange >= STRANGE {
            self.forget();
        }
    }

    fn forget(&mut self) {
        (self.burst, self.told) = (None, None);
        (self.strange, self.quiet, self.silence) = (0, 0, OVER_MS);
        self.heard.clear();
    }

    fn judge(&self) -> Option<Progress> {
        if let Some(burst) = &self.burst {
            // At the beginning of a burst, the silence before it is known as well.
            return if burst.ms >= DIAL_MS {
                Some(Progress::Dial)
            } else if burst.ms == 2 * STEP_MS {
                self.of_country().or_else(|| self.of_class())
            } else {
                None
            };
        }
        // The last burst of a line that is busy, which has hung up, is no ring.
        let is_over = matches!(self.told, Some(Progress::Busy | Progress::Congestion));
        (self.silence == RING_SILENCE_MS && !is_over && self.is_ring()).then_some(Progress::RingBack)
    }

    /// The tone of the country whose cadence the last bursts are, twice, or three times if it has one on and one off.
    fn of_country(&self) -> Option<Progress> {
        let country = self.country?;
        [Progress::Busy, Progress::Congestion, Progress::Dial].into_iter().find(|&progress| {
            let cadence = country.cadence(progress);
            let times = if cadence.len() == 2 { 3 } else { 2 };
            let expected: Vec<(u32, u32)> =
                cadence.chunks_exact(2).map(|pair| (u32::from(pair[0]), u32::from(pair[1]))).collect();
            !expected.is_empty() && self.repeats(&expected, times)
        })
    }

    /// Whether the last bursts are `cadence` so many times, whatever of it came first.
    fn repeats(&self, cadence: &[(u32, u32)], times: usize) -> bool {
        let Some(from) = self.heard.len().checked_sub(cadence.len() * times) else { return false };
        let last = &self.heard[from..];
        (0..cadence.len()).any(|first| {
            last.iter()
                .zip(cadence.iter().cycle().skip(first))
                .all(|(heard, expected)| is_like(*heard, *expected))
        })
    }

    /// The tone that such bursts mean in most countries.
    fn of_class(&self) -> Option<Progress> {
        let &(on, off) = self.heard.last()?;
        let is_short = |&(on, off): &(u32, u32)| (120..=900).contains(&on) && (120..=900).contains(&off);
        if is_alike(on, off) && is_short(&(on, off)) {
            let (progress, times) =
                if on + off >= 580 { (Progress::Busy, 3) } else { (Progress::Congestion, 4) };
            return self.repeats(&[(on, off)], times).then_some(progress);
        }
        (1..=4).find_map(|length| {
            let from = self.heard.len().checked_sub(length)?;
            let cadence = &self.heard[from..];
            (cadence.iter().all(is_short) && self.repeats(cadence, 2) && self.heard.len() >= 4)
                .then_some(Progress::Congestion)
        })
    }

    /// Whether the last bursts, after which there has been silence for longer than a busy line has any, are a ring.
    fn is_ring(&self) -> bool {
        let is_half = |on: u32| (300..=600).contains(&on);
        match *self.heard.as_slice() {
            [.., (first, gap), (second, _)] if is_half(first) && is_half(second) => {
                (140..=320).contains(&gap) && is_alike(first, second)
            }
            [.., (on, _)] => (700..=2200).contains(&on),
            [] => false,
        }
    }
}

/// The middle of the one or two tones that a sound is, if it is.
fn middle(sound: &Sound) -> Option<f32> {
    let is_tone = sound.level >= SOFTEST && sound.network.share >= LEAST_SHARE;
    is_tone.then_some(sound.network.frequency)
}

fn is_like(heard: (u32, u32), expected: (u32, u32)) -> bool {
    is_alike(heard.0, expected.0) && is_alike(heard.1, expected.1)
}

fn is_alike(length: u32, other: u32) -> bool {
    let (least, part) = TOLERANCE;
    length.abs_diff(other) <= least.max(length.max(other) / part)
}

/// The special information tone: three tones, each higher than the one before, hardly a gap between them.
#[derive(Clone, Copy, Debug, Default)]
struct Special {
    /// How many of the three have been heard, and the steps of the last.
    tones: usize,
    steps: u32,
    gap: u32,
}

/// The three tones in Hz, with what networks make of them (North America: 914 to 985, 1371 to 1429, 1777).
const SPECIAL: [std::ops::RangeInclusive<f32>; 3] = [895.0..=1005.0, 1345.0..=1455.0, 1750.0..=1855.0];
/// Steps of each: 274 to 380 ms, and a step at either edge.
const SPECIAL_STEPS: std::ops::RangeInclusive<u32> = 11..=22;
/// Steps between two of them at most: 30 ms, and the edges.
const SPECIAL_GAP: u32 = 4;

impl Special {
    /// Whether the third tone has just been heard for long enough.
    fn push(&mut self, sound: &Sound) -> bool {
        let is = |which: usize| {
            sound.is_tone()
                && sound.level >= SOFTEST
                && SPECIAL.get(which).is_some_and(|range| range.contains(&sound.first.frequency))
        };
        if self.tones > 0 && is(self.tones - 1) && self.gap == 0 {
            self.steps += 1;
            return self.tones == SPECIAL.len() && self.steps == *SPECIAL_STEPS.start();
        }
        if is(self.tones) && (self.tones == 0 || SPECIAL_STEPS.contains(&self.steps)) {
            *self = Self { tones: self.tones + 1, steps: 1, gap: 0 };
        } else if self.tones > 0 {
            self.gap += 1;
            if self.gap > SPECIAL_GAP {
                *self = Self::default();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::Ear;
    use crate::detect::testing::{Signal, steps};
    use crate::progress::ProgressTone;

    fn told(signal: &Signal, country: Option<Country>) -> Vec<(u64, NetworkTone)> {
        let (mut ear, mut detector) = (Ear::new(), ProgressDetector::new(country));
        let steps: Vec<_> = steps(&signal.samples()).collect();
        (20..)
            .step_by(20)
            .zip(steps)
            .filter_map(|(at, step)| Some((at, detector.push(&ear.hear(&step))?)))
            .collect()
    }

    /// A tone of a country for so many seconds, over noise, after some silence that shifts it against the steps.
    fn signal(country: Country, progress: Progress, seconds: usize, noise: f64) -> Signal {
        let mut signal = Signal::new(seconds as u64);
        signal.silence(537.0);
        let mut samples = vec![0; 8000 * seconds];
        ProgressTone::new(country, progress, 8000).fill(&mut samples);
        signal.samples_of(&samples);
        signal.noise(noise);
        signal
    }

    /// Each tone of each country, by its own country and by class, through noise 20 dB and more below. Prints the table:
    /// `cargo test -p offhook-media the_tones_of_every_country -- --nocapture`.
    #[test]
    fn the_tones_of_every_country_are_heard() {
        use Progress::{Busy, Congestion, Dial, RingBack};
        println!("| country | tone | cadence (ms) | by country after | by class |");
        for country in Country::all() {
            for progress in [Dial, RingBack, Busy, Congestion] {
                let cadence = country.cadence(progress);
                let mut after = Vec::new();
                for noise in [-70.0, -35.0] {
                    let signal = signal(country, progress, 14, noise);
                    let heard = told(&signal, Some(country));
                    // Where busy and congestion are the same, nobody can tell them apart.
                    let busy = country.cadence(Busy);
                    let expected = if progress == Congestion && cadence == busy { Busy } else { progress };
                    let [(at, NetworkTone::Progress(tone))] = heard[..] else {
                        panic!("{} {progress:?} {noise}: {heard:?}", country.code());
                    };
                    assert_eq!(tone, expected, "{} {noise}", country.code());
                    after.push(at - 537);
                }
                let by_class = told(&signal(country, progress, 14, -50.0), None);
                let class: Vec<_> = by_class.iter().map(|(_, tone)| tone).collect();
                println!("| {} | {progress:?} | {cadence:?} | {after:?} ms | {class:?} |", country.code());
                match progress {
                    RingBack => assert_eq!(class, [&NetworkTone::Progress(RingBack)], "{}", country.code()),
                    Dial if cadence.is_empty() => assert_eq!(class, [&NetworkTone::Progress(Dial)]),
                    Dial => {}
                    // Busy or congestion: that there is no call, all the same.
                    Busy | Congestion => assert!(
                        matches!(class[..], [NetworkTone::Progress(Busy | Congestion)]),
                        "{} {progress:?}: {class:?}",
                        country.code()
                    ),
                }
            }
        }
    }

    #[test]
    fn a_call_that_rings_and_turns_out_busy() {
        let us = Country::from_code("us").unwrap();
        let mut both = signal(us, Progress::RingBack, 9, -60.0);
        let mut samples = vec![0; 8000 * 6];
        ProgressTone::new(us, Progress::Busy, 8000).fill(&mut samples);
        both.samples_of(&samples);
        let tones: Vec<_> = told(&both, None).into_iter().map(|(_, tone)| tone).collect();
        let expected = [Progress::RingBack, Progress::Busy].map(NetworkTone::Progress);
        assert_eq!(tones, expected);
    }

    #[test]
    fn the_special_information_tone_is_told_once() {
        for (gap, milliseconds) in [(0.0, 330.0), (15.0, 330.0), (30.0, 330.0), (0.0, 274.0), (0.0, 380.0)] {
            let mut signal = Signal::new(7);
            signal.silence(513.0);
            for frequency in [950.0, 1400.0, 1800.0] {
                signal.tone(&[(frequency, -14.0)], milliseconds);
                signal.silence(gap);
            }
            signal.silence(1000.0);
            signal.noise(-50.0);
            let told = told(&signal, None);
            assert!(
                matches!(told[..], [(_, NetworkTone::SpecialInformation)]),
                "{gap} {milliseconds}: {told:?}"
            );
        }
    }

    #[test]
    fn speech_and_other_tones_are_none() {
        let mut signal = Signal::new(8);
        for n in 0..400 {
            signal.syllable(-18.0, 120.0 + f64::from(n % 7) * 60.0);
            signal.silence(60.0 + f64::from(n % 5) * 110.0);
        }
        for frequency in [1000.0, 1400.0, 2100.0] {
            for _ in 0..6 {
                signal.tone(&[(frequency, -12.0)], 500.0);
                signal.silence(500.0);
            }
        }
        signal.noise(-55.0);
        assert_eq!(told(&signal, None), []);
        let mut twice = Signal::new(9);
        for _ in 0..2 {
            twice.tone(&[(425.0, -12.0)], 500.0);
            twice.silence(500.0);
        }
        twice.silence(8000.0);
        assert_eq!(told(&twice, None), []);
    }
}
