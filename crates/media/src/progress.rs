//! Call-progress tones: what a network lets a caller hear of a call, per country. Made here, and the table that the
//! detector compares with.
//!
//! ```text
//!   busy       ‾‾‾__‾‾‾__‾‾‾__      one frequency or two, on and off by a cadence
//!   ring-back  ‾‾‾‾______‾‾‾‾___
//! ```
//! What networks use is collected in ITU-T E.180 Supplement 2. The values here were not taken from it, but are those that are in common
//! use in configurations of exchanges, compared with the tone zones of Asterisk; compare with it what you change.

use std::time::Duration;

use crate::dtmf::generate::{Oscillator, RAMP, raised_cosine, round};

/// Level of a tone in dBm0, all its frequencies together (ITU-T E.180 §3: −10 ± 5).
const LEVEL: f64 = -12.0;

/// What a tone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The network waits for a number.
    Dial,
    /// The far end rings.
    RingBack,
    /// The far end is busy.
    Busy,
    /// The network is; fast busy, reorder.
    Congestion,
}

/// What sounds while a tone is on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sound {
    One(f64),
    Two(f64, f64),
    /// A frequency whose amplitude is modulated by another.
    Modulated(f64, f64),
}

/// One tone of a country: what sounds, and for how many milliseconds it is on and off in turn. Without any it goes on.
#[derive(Clone, Copy, Debug)]
struct Pattern(Sound, &'static [u16]);

/// A country's row: its code (ISO 3166), then dial tone, ring-back, busy, congestion.
type Row = (&'static str, Pattern, Pattern, Pattern, Pattern);

const fn one(frequency: f64, cadence: &'static [u16]) -> Pattern {
    Pattern(Sound::One(frequency), cadence)
}

const fn two(first: f64, second: f64, cadence: &'static [u16]) -> Pattern {
    Pattern(Sound::Two(first, second), cadence)
}

const fn modulated(frequency: f64, by: f64, cadence: &'static [u16]) -> Pattern {
    Pattern(Sound::Modulated(frequency, by), cadence)
}

const ALWAYS: &[u16] = &[];
const DOUBLE: &[u16] = &[400, 200, 400, 2000];
const HALF: &[u16] = &[500, 500];
const QUARTER: &[u16] = &[250, 250];
const FIFTH: &[u16] = &[200, 200];
const ONE_FOUR: &[u16] = &[1000, 4000];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("at", one(420.0, ALWAYS), one(420.0, &[1000, 5000]), one(420.0, &[400, 400]), one(420.0, FIFTH)),
    ("au", two(413.0, 438.0, ALWAYS), two(413.0, 438.0, DOUBLE), one(425.0, &[375, 375]), one(425.0, &[375, 375])),
    ("be", one(425.0, ALWAYS), one(425.0, &[1000, 3000]), one(425.0, HALF), one(425.0, &[167, 167])),
    ("br", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, QUARTER), one(425.0, &[250, 250, 750, 250])),
    ("ch", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, FIFTH)),
    ("cn", one(450.0, ALWAYS), one(450.0, ONE_FOUR), one(450.0, &[350, 350]), one(450.0, &[700, 700])),
    ("cz", one(425.0, &[330, 330, 660, 660]), one(425.0, ONE_FOUR), one(425.0, &[330, 330]), one(425.0, &[165, 165])),
    ("de", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, &[480, 480]), one(425.0, &[240, 240])),
    ("dk", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, FIFTH)),
    ("es", one(425.0, ALWAYS), one(425.0, &[1500, 3000]), one(425.0, FIFTH), one(425.0, &[200, 200, 200, 200, 200, 600])),
    ("fi", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, &[300, 300]), one(425.0, FIFTH)),
    ("fr", one(440.0, ALWAYS), one(440.0, &[1500, 3500]), one(440.0, HALF), one(440.0, QUARTER)),
    ("gb", two(350.0, 440.0, ALWAYS), two(400.0, 450.0, DOUBLE), one(400.0, &[375, 375]), one(400.0, &[400, 350, 225, 525])),
    ("hk", two(350.0, 440.0, ALWAYS), two(440.0, 480.0, &[400, 200, 400, 3000]), two(480.0, 620.0, HALF), two(480.0, 620.0, QUARTER)),
    ("in", modulated(400.0, 25.0, ALWAYS), modulated(400.0, 25.0, DOUBLE), one(400.0, &[750, 750]), one(400.0, QUARTER)),
    ("it", one(425.0, &[200, 200, 600, 1000]), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, FIFTH)),
    ("jp", one(400.0, ALWAYS), modulated(400.0, 16.0, &[1000, 2000]), one(400.0, HALF), one(400.0, HALF)),
    ("mx", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, QUARTER), one(425.0, QUARTER)),
    ("nl", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, QUARTER)),
    ("no", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, FIFTH)),
    ("pl", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, HALF), one(425.0, HALF)),
    ("pt", one(425.0, ALWAYS), one(425.0, &[1000, 5000]), one(425.0, HALF), one(425.0, FIFTH)),
    ("ru", one(425.0, ALWAYS), one(425.0, ONE_FOUR), one(425.0, &[350, 350]), one(425.0, &[175, 175])),
    ("se", one(425.0, ALWAYS), one(425.0, &[1000, 5000]), one(425.0, QUARTER), one(425.0, &[250, 750])),
    ("sg", one(425.0, ALWAYS), modulated(425.0, 24.0, DOUBLE), one(425.0, &[750, 750]), one(425.0, QUARTER)),
    ("tr", one(450.0, ALWAYS), one(450.0, &[2000, 4000]), one(450.0, HALF), one(450.0, &[200, 200, 200, 200, 200, 200, 600, 200])),
    ("us", two(350.0, 440.0, ALWAYS), two(440.0, 480.0, &[2000, 4000]), two(480.0, 620.0, HALF), two(480.0, 620.0, QUARTER)),
    ("za", modulated(400.0, 33.0, ALWAYS), modulated(400.0, 33.0, DOUBLE), one(400.0, HALF), one(400.0, QUARTER)),
];

/// A country whose tones are known.
#[derive(Clone, Copy, Debug)]
pub struct Country(&'static Row);

impl PartialEq for Country {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Country {}

impl Country {
    /// The country of a code of two letters (ISO 3166), in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|country| country.code().eq_ignore_ascii_case(code))
    }

    /// All that are known.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(Self)
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        self.0.0
    }

    /// For how many milliseconds a tone of the country is on and off in turn; empty if it goes on.
    pub fn cadence(self, progress: Progress) -> &'static [u16] {
        self.pattern(progress).1
    }

    fn pattern(self, progress: Progress) -> &'static Pattern {
        let (_, dial, ring_back, busy, congestion) = self.0;
        match progress {
            Progress::Dial => dial,
            Progress::RingBack => ring_back,
            Progress::Busy => busy,
            Progress::Congestion => congestion,
        }
    }
}

/// A call-progress tone, which goes on until it is dropped.
#[derive(Clone, Debug)]
pub struct ProgressTone {
    voices: [Oscillator; 2],
    /// What modulates the first voice.
    modulator: Option<Oscillator>,
    /// Samples on and off in turn.
    cadence: Vec<u64>,
    /// Which of them, and how far in it.
    at: (usize, u64),
    ramp: u64,
}

impl ProgressTone {
    /// A tone of a country at so many samples per second, from its beginning.
    pub fn new(country: Country, progress: Progress, rate: u32) -> Self {
        let Pattern(sound, cadence) = *country.pattern(progress);
        let half_power = LEVEL - 10.0 * 2f64.log10();
        let silent = Oscillator::silent();
        let (voices, modulator) = match sound {
            Sound::One(frequency) => ([Oscillator::new(frequency, LEVEL, rate), silent], None),
            Sound::Two(first, second) => {
                ([first, second].map(|frequency| Oscillator::new(frequency, half_power, rate)), None)
            }
            Sound::Modulated(frequency, by) => {
                let carrier = Oscillator::new(frequency, LEVEL - 10.0 * 1.5f64.log10(), rate);
                ([carrier, silent], Some(Oscillator::unit(by, rate)))
            }
        };
        let samples = |ms: u64| ms * u64::from(rate) / 1000;
        Self {
            voices,
            modulator,
            cadence: cadence.iter().map(|&ms| samples(u64::from(ms))).collect(),
            at: (0, 0),
            ramp: samples(u64::try_from(RAMP.as_millis()).unwrap_or_default()),
        }
    }

    /// How long it takes until it begins anew; none for one that goes on. Whatever plays that long over and over plays
    /// the tone.
    pub fn period(&self, rate: u32) -> Option<Duration> {
        let samples: u64 = self.cadence.iter().sum();
        (samples > 0).then(|| Duration::from_micros(samples * 1_000_000 / u64::from(rate.max(1))))
    }

    /// Fills `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let voice: f64 = self.voices.iter_mut().map(Oscillator::next).sum();
            let modulation = self.modulator.as_mut().map_or(1.0, |modulator| 1.0 + modulator.next());
            *sample = round(voice * modulation * self.envelope());
        }
    }

    /// 0 to 1, with ramps at both ends of a sound. Goes on by a sample.
    fn envelope(&mut self) -> f64 {
        let (step, position) = self.at;
        let Some(&length) = self.cadence.get(step) else {
            // It goes on: there is a beginning and no end.
            self.at.1 = position.saturating_add(1);
            return raised_cosine(position, self.ramp);
        };
        self.at =
            if position + 1 < length { (step, position + 1) } else { ((step + 1) % self.cadence.len(), 0) };
        if step % 2 == 1 { 0.0 } else { raised_cosine(position.min(length - 1 - position), self.ramp) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Progress; 4] = [Progress::Dial, Progress::RingBack, Progress::Busy, Progress::Congestion];

    fn samples(country: &str, progress: Progress, rate: u32, seconds: usize) -> Vec<i16> {
        let mut samples = vec![0; rate as usize * seconds];
        ProgressTone::new(Country::from_code(country).unwrap(), progress, rate).fill(&mut samples);
        samples
    }

    /// The lengths in milliseconds of sound and silence, in turn: silence is 3 ms without a sample.
    fn cadence(samples: &[i16], rate: u32) -> Vec<usize> {
        let millisecond = rate as usize / 1000;
        let mut lengths = Vec::new();
        let loud: Vec<bool> = samples
            .chunks(millisecond)
            .map(|chunk| chunk.iter().any(|&sample| sample.unsigned_abs() > 60))
            .collect();
        for run in loud.chunk_by(|a, b| a == b) {
            match lengths.last_mut() {
                // A zero of the beat within a sound.
                Some(length) if lengths_is_beat(run.len()) => *length += run.len(),
                _ => lengths.push(run.len()),
            }
        }
        lengths
    }

    fn lengths_is_beat(run: usize) -> bool {
        run <= 8
    }

    #[test]
    fn the_tones_of_china() {
        // GB/T 3380 gives the same: 450 Hz, busy 0.35 s, congestion 0.7 s, ring-back 1 s in 5.
        for rate in [8000, 16_000, 48_000] {
            let busy = cadence(&samples("cn", Progress::Busy, rate, 3), rate);
            assert!(busy[..6].iter().all(|&ms| ms.abs_diff(350) <= 3), "{busy:?}");
            let congestion = cadence(&samples("CN", Progress::Congestion, rate, 5), rate);
            assert!(congestion[..5].iter().all(|&ms| ms.abs_diff(700) <= 3), "{congestion:?}");
            let ring = cadence(&samples("cn", Progress::RingBack, rate, 11), rate);
            assert!(ring[0].abs_diff(1000) <= 3 && ring[1].abs_diff(4000) <= 3, "{ring:?}");
            let dial = samples("cn", Progress::Dial, rate, 2);
            let crossings = dial.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((899..=901).contains(&crossings), "{rate}: {crossings}");
        }
    }

    #[test]
    fn ring_back_of_britain_rings_twice() {
        let ring = cadence(&samples("gb", Progress::RingBack, 8000, 7), 8000);
        for (length, expected) in ring.iter().zip([400, 200, 400, 2000, 400, 200, 400]) {
            assert!(length.abs_diff(expected) <= 16, "{ring:?}");
        }
    }

    #[test]
    fn every_tone_is_at_its_level_without_clipping() {
        for country in Country::all() {
            for progress in ALL {
                let mut samples = vec![0; 16_000];
                let mut tone = ProgressTone::new(country, progress, 8000);
                tone.fill(&mut samples);
                // The first 160 ms are on in every country.
                let on = &samples[80..1280];
                let level = crate::detect::sound::level(on);
                assert!((f64::from(level) - LEVEL).abs() < 1.2, "{} {progress:?}: {level}", country.code());
                assert!(samples.iter().all(|sample| sample.unsigned_abs() < 20_000));
            }
        }
    }

    #[test]
    fn a_period_over_and_over_is_the_tone() {
        let tone = ProgressTone::new(Country::from_code("gb").unwrap(), Progress::RingBack, 8000);
        assert_eq!(tone.period(8000), Some(Duration::from_secs(3)));
        let dial = ProgressTone::new(Country::from_code("gb").unwrap(), Progress::Dial, 8000);
        assert_eq!(dial.period(8000), None);
    }

    #[test]
    fn codes_are_two_letters_and_each_once() {
        let codes: Vec<_> = Country::all().map(Country::code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b) && codes.iter().all(|code| code.len() == 2));
        assert_eq!(Country::from_code("xx"), None);
        for country in Country::all() {
            for progress in ALL {
                assert!(country.cadence(progress).len().is_multiple_of(2));
            }
        }
    }
}
