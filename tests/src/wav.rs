//! What was heard, against what was played: level and correlation. Files that `hound` cannot read (mu-law, a-law) are
//! turned into linear PCM by sox, which also is the proof that someone else's program opens them.

mod fourier;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Samples per second of all audio here.
pub const RATE: u32 = 8000;

/// A signal of 8 kHz, mono, full scale = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal(pub Vec<f32>);

/// Where a reference was found in a recording, and how well it fits.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// Offset of the reference in the recording, in samples.
    pub lag: usize,
    /// Normalised cross-correlation there, or less than a sample beside it: 1 = the same shape, 0 = nothing in common.
    pub correlation: f32,
    /// Level of the recording over the reference at that place, in dB.
    pub gain_db: f32,
}

impl Match {
    /// Nothing that fits.
    const NONE: Self = Self { lag: 0, correlation: f32::MIN, gain_db: 0.0 };
}

impl Signal {
    /// Reads any file that sox can read; panics with what sox says when it cannot, or warns.
    pub fn read(path: &Path) -> Self {
        // A name of its own: several tests may read one file of the fixtures.
        static READ: AtomicU32 = AtomicU32::new(0);
        let number = READ.fetch_add(1, Ordering::Relaxed);
        let pcm = path.with_extension(format!("as-pcm-{}-{number}.wav", std::process::id()));
        let output = Command::new("sox")
            .args(["-V2", "-D"])
            .arg(path)
            .args(["-r", "8000", "-c", "1", "-b", "16", "-e", "signed-integer"])
            .arg(&pcm)
            .output()
            .expect("sox");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "sox on {}: {said}", path.display());
        let mut reader = hound::WavReader::open(&pcm).expect("what sox wrote");
        let samples = reader.samples::<i16>().map(|s| f32::from(s.expect("a sample")) / 32768.0).collect();
        // Beside the original only for the moment.
        let _ = std::fs::remove_file(&pcm);
        Self(samples)
    }

    /// A sine of `hertz` at `level` (1 = full scale) for `milliseconds`.
    pub fn sine(hertz: f32, level: f32, milliseconds: u32) -> Self {
        // Whole turns are left out where they are still exact, since it may last for minutes.
        #[allow(clippy::cast_possible_truncation, reason = "a part of a turn")]
        let turn = |n: u32| (f64::from(hertz) * f64::from(n) / f64::from(RATE)).fract() as f32;
        let sample = |n: u32| level * (std::f32::consts::TAU * turn(n)).sin();
        Self((0..RATE / 1000 * milliseconds).map(sample).collect())
    }

    /// The tones of keys (ITU-T Q.23), 100 ms each at −12 dB a tone, with 100 ms of quiet after each.
    pub fn keys(keys: &str) -> Self {
        const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
        const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
        let mut samples = Vec::new();
        for key in keys.chars() {
            let place = "123A456B789C*0#D".find(key).expect("a DTMF key");
            let (row, column) =
                (Self::sine(ROWS[place / 4], 0.25, 100), Self::sine(COLUMNS[place % 4], 0.25, 100));
            samples.extend(row.0.iter().zip(&column.0).map(|(row, column)| row + column));
            samples.extend([0.0; 800]);
        }
        Self(samples)
    }

    /// Writes it as linear PCM, 16 bit.
    pub fn write(&self, path: &Path) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).expect("a WAV file");
        for sample in &self.0 {
            #[allow(clippy::cast_possible_truncation, reason = "clamped to the range of i16")]
            writer.write_sample((sample * 32767.0).clamp(-32768.0, 32767.0) as i16).expect("a sample");
        }
        writer.finalize().expect("a WAV header");
    }

    /// Its length in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        self.0.len() as u64 * 1000 / u64::from(RATE)
    }

    /// Root mean square in dB of full scale; silence is −∞.
    pub fn level_db(&self) -> f32 {
        10.0 * mean_square(&self.0).log10()
    }

    /// How loud one frequency ever is here, in pieces of 20 ms, in dB of a full sine (Goertzel).
    pub fn tone_db(&self, hertz: f32) -> f32 {
        let turn = std::f32::consts::TAU * hertz / 8000.0;
        let powers = self.0.chunks_exact(160).map(|piece| {
            let (last, before) = piece
                .iter()
                .fold((0.0, 0.0), |(last, before), sample| (sample + 2.0 * turn.cos() * last - before, last));
            last * last + before * before - 2.0 * turn.cos() * last * before
        });
        10.0 * (powers.fold(0.0, f32::max) / (80.0 * 80.0)).log10()
    }

    /// Where `reference` fits best into this recording. Lags are searched over every sample, with the mean square of
    /// each window, so that neither a louder passage nor an offset can pass for a match.
    pub fn find(&self, reference: &Self) -> Match {
        let (here, there) = (&self.0, &reference.0);
        assert!(
            !there.is_empty() && here.len() >= there.len(),
            "{} samples heard, {} to be found",
            here.len(),
            there.len()
        );
        let mut best = Match::NONE;
        let energy = dot(there, there);
        // Of all windows in one go: the sums of squares up to each sample.
        let mut squares = vec![0.0_f64];
        squares.extend(here.iter().scan(0.0, |sum, &sample| {
            *sum += f64::from(sample) * f64::from(sample);
            Some(*sum)
        }));
        for (lag, product) in fourier::products(here, there).into_iter().enumerate() {
            #[allow(clippy::cast_possible_truncation, reason = "a sum of squares of samples below 1")]
            let square = (squares[lag + there.len()] - squares[lag]) as f32;
            // What is 80 dB below the reference is silence: it has no shape.
            let correlation = product / (square * energy).sqrt().max(1e-4 * energy).max(f32::MIN_POSITIVE);
            if correlation > best.correlation {
                best = Match { lag, correlation, gain_db: 0.0 };
            }
        }
        let window = &here[best.lag..best.lag + there.len()];
        best.gain_db = 10.0 * (mean_square(window) / mean_square(there)).log10();
        best.correlation = best.correlation.max(self.between_samples(reference, best));
        best
    }

    /// How well a reference fits half a sample to either side of where it fits best: a codec that works at another rate than
    /// ours is behind by some part of a sample, and half of one takes a tenth off a correlation of speech. The correlations
    /// of both at whole samples say what they are between them, as samples do.
    fn between_samples(&self, reference: &Self, best: Match) -> f32 {
        /// Whole samples to either side that have a say.
        const REACH: usize = 16;
        /// Places between two samples.
        const PLACES: i16 = 16;
        let length = reference.0.len();
        let Some(start) = best.lag.checked_sub(REACH) else { return best.correlation };
        let windows: Option<Vec<&[f32]>> =
            (start..=start + 2 * REACH).map(|lag| self.0.get(lag..lag + length)).collect();
        let Some(windows) = windows else { return best.correlation };
        let energy = dot(windows[REACH], windows[REACH]) * dot(&reference.0, &reference.0);
        let whole: Vec<f32> =
            windows.iter().map(|window| dot(window, &reference.0) / energy.sqrt()).collect();
        let at = |place: i16| {
            let place = f32::from(place) / f32::from(PLACES);
            let weighed = whole.iter().zip(-16_i8..).map(|(value, sample)| {
                let distance = f32::from(sample) - place;
                value * sinc(distance) * (1.0 + (std::f32::consts::PI * distance / 17.0).cos()) / 2.0
            });
            weighed.sum::<f32>()
        };
        (-PLACES / 2..=PLACES / 2).map(at).fold(best.correlation, f32::max).min(1.0)
    }

    /// How well what was `said` is heard here: its loud pieces of so many samples, those that fit worst first. Each is looked
    /// for where it has to be by the first that is found, so that a clock that slips or a delay that adapts spoils one or
    /// two.
    pub fn likeness(&self, said: &Self, piece: usize) -> Vec<Match> {
        /// A piece that is looked for anywhere: 100 ms, and what proves that it is found.
        const ANCHOR: usize = 800;
        const FOUND: f32 = 0.8;
        /// How far from its place a piece may be: 150 ms.
        const AROUND: usize = 1200;
        let loud = |length: usize| {
            let pieces = said.0.chunks_exact(length).enumerate();
            let pieces = pieces.map(move |(number, piece)| (number * length, Self(piece.to_vec())));
            pieces.filter(|(_, piece)| piece.level_db() > said.level_db() - 10.0)
        };
        let mut anchors = loud(ANCHOR.min(piece)).map(|(at, anchor)| (at, self.find(&anchor)));
        let Some((at, Match { lag, .. })) = anchors.find(|(_, found)| found.correlation > FOUND) else {
            return vec![Match::NONE];
        };
        let near = |(place, piece): (usize, Self)| {
            let from = (place + lag).saturating_sub(at + AROUND).min(self.0.len());
            let to = (place + lag + piece.0.len() + AROUND).saturating_sub(at).min(self.0.len());
            let here = Self(self.0[from..to].to_vec());
            // What was not heard to its end was not heard.
            if here.0.len() < piece.0.len() { Match::NONE } else { here.find(&piece) }
        };
        let mut found: Vec<Match> = loud(piece).map(near).collect();
        found.sort_by(|one, other| one.correlation.total_cmp(&other.correlation));
        found
    }
}

fn sinc(x: f32) -> f32 {
    let angle = std::f32::consts::PI * x;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums at once let the compiler use wide registers; the order of adding does not matter here.
    let mut sums = [0.0_f32; 8];
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = rest_of_a.iter().zip(rest_of_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn mean_square(samples: &[f32]) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "lengths of seconds, far below 2^24")]
    let count = samples.len().max(1) as f32;
    dot(samples, samples) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three tones at a time, so that one place only fits.
    fn chord() -> Signal {
        let [a, b, c] = [311.0, 523.0, 1187.0].map(|hertz| Signal::sine(hertz, 0.2, 400).0);
        Signal((0..a.len()).map(|n| a[n] + b[n] + c[n] * (n % 700) as f32 / 700.0).collect())
    }

    #[test]
    fn a_reference_is_found_where_it_was_put_at_its_level() {
        let mut heard = vec![0.0; 1234];
        heard.extend(chord().0.iter().map(|s| s * 0.5));
        heard.extend(vec![0.0; 777]);
        let found = Signal(heard).find(&chord());
        assert_eq!(found.lag, 1234);
        assert!(found.correlation > 0.9999, "{found:?}");
        assert!((found.gain_db + 6.02).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn half_a_sample_of_delay_is_no_difference() {
        // From 300 to 3,300 Hz, where half a sample at 8 kHz is 74 degrees: no other place fits.
        let sweep = |delay: f32| -> Vec<f32> {
            let times = (0..2000_u16).map(|sample| (f32::from(sample) - delay) / 8000.0);
            times.map(|time| (std::f32::consts::TAU * (300.0 * time + 6000.0 * time * time)).sin()).collect()
        };
        let found = Signal(sweep(0.5)).find(&Signal(sweep(0.0)[100..1900].to_vec()));
        assert!(found.correlation > 0.999, "{found:?}");
    }

    #[test]
    fn a_tone_is_as_loud_as_it_was_made() {
        let keys = Signal::keys("5");
        for (hertz, expected) in [(770.0, -12.0), (1336.0, -12.0)] {
            assert!((keys.tone_db(hertz) - expected).abs() < 1.0, "{} dB", keys.tone_db(hertz));
        }
        assert!(keys.tone_db(2500.0) < -30.0, "{} dB", keys.tone_db(2500.0));
        assert_eq!(Signal(vec![0.0; 800]).tone_db(770.0), f32::NEG_INFINITY);
    }

    #[test]
    fn another_signal_is_not_taken_for_the_reference() {
        let found = Signal::sine(440.0, 0.5, 1000).find(&chord());
        assert!(found.correlation < 0.3, "{found:?}");
    }

    #[test]
    fn pieces_are_found_each_near_its_place() {
        let correlations = |heard: &Signal, said: &Signal| -> Vec<f32> {
            heard.likeness(said, 1600).into_iter().map(|found| found.correlation).collect()
        };
        let said = Signal([chord().0, chord().0.into_iter().rev().collect()].concat());
        let mut heard = [&[0.0; 1000], &said.0[..], &[0.0; 1000]].concat();
        let found = correlations(&Signal(heard.clone()), &said);
        assert!(found.iter().all(|found| *found > 0.9999), "{found:?}");
        // A clock that slips by 2 ms in the middle, and a piece that is not there.
        heard.splice(4000..4000, [0.0; 16]);
        heard[6000..7600].fill(0.0);
        let found = correlations(&Signal(heard), &said);
        assert!(found[0] < 0.9 && found[1] < 0.98 && found[2] > 0.9999, "{found:?}");
        assert_eq!(correlations(&Signal(vec![0.0; 8000]), &said), [f32::MIN]);
    }

    #[test]
    fn the_level_of_a_full_sine_is_minus_three_db() {
        assert!((Signal::sine(1000.0, 1.0, 1000).level_db() + 3.01).abs() < 0.02);
    }
}
