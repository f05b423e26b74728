//! Tones made here: the sixteen keys (ITU-T Q.23) and the beep before a recording.
//!
//! Each tone is a recurrence of one multiplication per sample, `y[n] = 2 cos ω · y[n−1] − y[n−2]`, which runs on from block
//! to block. A raised cosine of 5 ms at either end keeps the switching from being heard as a click, and from spreading
//! energy over the other frequencies of the pad, which a detector would take for speech. The rate is that of the audio they
//! go into: 8, 16 or 48 kHz.

use std::f64::consts::PI;
use std::time::Duration;

use super::{COLUMNS, Key, ROWS, duration_to_samples};

/// Level of the row tone in dBm0. With the column: −5.9 dBm0, and 6 dB under the clipping of either law at the peaks.
const ROW_LEVEL: f64 = -10.0;
/// Level of the column tone in dBm0: 2 dB more than the row, since lines lose more of the higher tones.
const COLUMN_LEVEL: f64 = -8.0;
/// Level of the beep in dBm0; like loud speech.
const BEEP_LEVEL: f64 = -12.0;
/// The beep's frequency in Hz: that of the recording-warning tone, and of no key.
const BEEP_FREQUENCY: f64 = 1400.0;
/// How long the beep sounds.
const BEEP_DURATION: Duration = Duration::from_millis(300);
/// Peak amplitude of a sine of 0 dBm0: 3.14 dB under full scale (ITU-T G.711 §4).
const ZERO_DBM0: f64 = 22_826.0;
/// How long each of the two ramps is.
pub(crate) const RAMP: Duration = Duration::from_millis(5);

/// A tone of a given length, made block by block.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    voices: [Oscillator; 2],
    position: u64,
    length: u64,
    ramp: u64,
    rate: u32,
}

impl ToneGenerator {
    /// The two tones of a key for as long as it is pressed, at so many samples per second. [`Duration::MAX`] is until it is released.
    pub fn new(key: Key, duration: Duration, rate: u32) -> Self {
        let (row, column) = key.place();
        let row = Oscillator::new(f64::from(ROWS[row]), ROW_LEVEL, rate);
        Self::of([row, Oscillator::new(f64::from(COLUMNS[column]), COLUMN_LEVEL, rate)], duration, rate)
    }

    /// The beep before a recording, 300 ms of 1400 Hz, at so many samples per second.
    pub fn beep(rate: u32) -> Self {
        let beep = Oscillator::new(BEEP_FREQUENCY, BEEP_LEVEL, rate);
        Self::of([beep, Oscillator::silent()], BEEP_DURATION, rate)
    }

    fn of(voices: [Oscillator; 2], duration: Duration, rate: u32) -> Self {
        let samples = |duration| duration_to_samples(duration, rate);
        Self { voices, position: 0, length: samples(duration), ramp: samples(RAMP), rate }
    }

    /// Ends the tone so long after it began, or now, if that is past: with its ramp.
    pub fn release(&mut self, duration: Duration) {
        self.length = duration_to_samples(duration, self.rate).max(self.position + self.ramp);
    }

    /// Fills `out` with the next samples, and with silence past the end. Returns how many are tone: fewer than
    /// `out.len()` once the tone ends within this block, 0 when it was over before.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let left = usize::try_from(self.length - self.position).unwrap_or(usize::MAX);
        let (tone, rest) = out.split_at_mut(left.min(out.len()));
        for sample in tone.iter_mut() {
            let sum: f64 = self.voices.iter_mut().map(Oscillator::next).sum();
            *sample = round(sum * self.envelope());
            self.position += 1;
        }
        rest.fill(0);
        tone.len()
    }

    /// How many samples of tone are left.
    pub fn remaining(&self) -> u64 {
        self.length - self.position
    }

    /// 0 to 1, rising over the first and falling over the last [`RAMP`].
    fn envelope(&self) -> f64 {
        raised_cosine(self.position.min(self.length - 1 - self.position), self.ramp)
    }
}

/// 0 to 1, rising over so many samples from an edge.
pub(crate) fn raised_cosine(from_edge: u64, ramp: u64) -> f64 {
    if from_edge >= ramp {
        return 1.0;
    }
    let part = (from_edge as f64 + 0.5) / ramp as f64;
    (1.0 - (PI * part).cos()) / 2.0
}

/// One sine, by recurrence.
#[derive(Clone, Debug)]
pub(crate) struct Oscillator {
    coefficient: f64,
    last: f64,
    before_last: f64,
}

impl Oscillator {
    /// A sine of a frequency in Hz at a level in dBm0.
    pub(crate) fn new(frequency: f64, level_dbm0: f64, rate: u32) -> Self {
        Self::of(frequency, ZERO_DBM0 * 10f64.powf(level_dbm0 / 20.0), rate)
    }

    /// A sine of amplitude 1, to multiply with.
    pub(crate) fn unit(frequency: f64, rate: u32) -> Self {
        Self::of(frequency, 1.0, rate)
    }

    fn of(frequency: f64, amplitude: f64, rate: u32) -> Self {
        let step = 2.0 * PI * frequency / f64::from(rate.max(1));
        Self {
            coefficient: 2.0 * step.cos(),
            last: -amplitude * step.sin(),
            before_last: -amplitude * (2.0 * step).sin(),
        }
    }

    /// Nothing.
    pub(crate) fn silent() -> Self {
        Self { coefficient: 0.0, last: 0.0, before_last: 0.0 }
    }

    /// The next sample; the first is 0, rising.
    pub(crate) fn next(&mut self) -> f64 {
        let value = self.coefficient * self.last - self.before_last;
        self.before_last = std::mem::replace(&mut self.last, value);
        value
    }
}

/// The nearest sample.
#[expect(clippy::cast_possible_truncation, reason = "rounded and clamped to the range just before")]
pub(crate) fn round(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Decoder};

    fn key(char: char) -> Key {
        Key::from_char(char).unwrap()
    }

    /// All samples of a tone, made in blocks of that size.
    fn samples(mut generator: ToneGenerator, block: usize) -> Vec<i16> {
        let (mut all, mut buffer) = (Vec::new(), vec![99; block]);
        loop {
            let count = generator.fill(&mut buffer);
            all.extend_from_slice(&buffer[..count]);
            assert!(buffer[count..].iter().all(|&sample| sample == 0));
            if count == 0 {
                return all;
            }
        }
    }

    /// Amplitude of a frequency, by correlation with it over a second, without the ramps.
    fn amplitude(samples: &[i16], frequency: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &sample) in samples[100..8100].iter().enumerate() {
            let angle = 2.0 * PI * frequency * n as f64 / 8000.0;
            re += f64::from(sample) * angle.cos();
            im += f64::from(sample) * angle.sin();
        }
        2.0 * re.hypot(im) / 8000.0
    }

    /// Level of a frequency in dBm0. What 0 dBm0 is, is told by Table 5/G.711: these eight codes over and over are a sine
    /// of 1 kHz at that level.
    fn level(samples: &[i16], frequency: f64) -> f64 {
        let codes = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].repeat(1100);
        let mut reference = Vec::new();
        Decoder::new(Codec::Pcma).decode(&codes, &mut reference);
        20.0 * (amplitude(samples, frequency) / amplitude(&reference, 1000.0)).log10()
    }

    #[test]
    fn every_key_is_its_two_frequencies_at_their_levels() {
        // ITU-T Q.23, Figure 1.
        let rows = [(697.0, "123A"), (770.0, "456B"), (852.0, "789C"), (941.0, "*0#D")];
        let columns = [1209.0, 1336.0, 1477.0, 1633.0];
        for (row, chars) in rows {
            for (column, char) in columns.into_iter().zip(chars.chars()) {
                let samples = samples(ToneGenerator::new(key(char), Duration::from_secs(2), 8000), 160);
                assert!((level(&samples, row) + 10.0).abs() < 0.05, "{char}: {}", level(&samples, row));
                assert!((level(&samples, column) + 8.0).abs() < 0.05, "{char}: {}", level(&samples, column));
                let others =
                    rows.map(|row| row.0).into_iter().chain(columns).filter(|&f| f != row && f != column);
                for other in others {
                    assert!(level(&samples, other) < -80.0, "{char} at {other} Hz");
                }
            }
        }
    }

    #[test]
    fn it_lasts_as_long_as_asked_however_it_is_cut() {
        let whole = samples(ToneGenerator::new(key('5'), Duration::from_millis(100), 8000), 800);
        assert_eq!(whole.len(), 800);
        for block in [1, 80, 160, 333, 5000] {
            assert_eq!(samples(ToneGenerator::new(key('5'), Duration::from_millis(100), 8000), block), whole);
        }
        assert_eq!(samples(ToneGenerator::new(key('5'), Duration::ZERO, 8000), 160), []);
        let mut generator = ToneGenerator::new(key('5'), Duration::from_millis(100), 8000);
        generator.fill(&mut [0; 300]);
        assert_eq!(generator.remaining(), 500);
    }

    /// A tone that is switched abruptly begins or ends anywhere up to its peak of 16,300.
    #[test]
    fn it_begins_and_ends_without_a_click() {
        for millis in [40, 61, 100] {
            let samples = samples(ToneGenerator::new(key('D'), Duration::from_millis(millis), 8000), 160);
            let peak = |part: &[i16]| part.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!(peak(&samples[..4]) < 500 && peak(&samples[samples.len() - 4..]) < 500);
            assert!(peak(&samples[40..samples.len() - 40]) > 14_000);
            assert!(peak(&samples) < 32_768 / 2);
        }
    }

    /// At 16 and 48 kHz every second, every sixth sample is that of 8 kHz.
    #[test]
    fn a_key_is_the_same_at_every_rate() {
        let narrow = samples(ToneGenerator::new(key('7'), Duration::from_millis(100), 8000), 160);
        for (rate, times) in [(16_000, 2), (48_000, 6)] {
            let wide = samples(ToneGenerator::new(key('7'), Duration::from_millis(100), rate), 960);
            assert_eq!(wide.len(), 800 * times);
            // Between the ramps, which lie by half a sample otherwise.
            for n in 40..760 {
                assert!(narrow[n].abs_diff(wide[n * times]) <= 1, "{rate} {n}");
            }
        }
    }

    #[test]
    fn the_shortest_tones_are_sound() {
        for samples_long in 0..=100 {
            let duration = Duration::from_micros(samples_long * 125);
            assert_eq!(samples(ToneGenerator::new(key('1'), duration, 8000), 7).len() as u64, samples_long);
        }
    }

    #[test]
    fn the_beep_is_one_tone_of_300_ms() {
        let beep = samples(ToneGenerator::beep(8000), 160);
        assert_eq!(beep.len(), 2400);
        let crossings = beep.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        // 1400 Hz.
        assert!((419..=421).contains(&crossings), "{crossings}");
    }
}
