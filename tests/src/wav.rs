//! What was heard, against what was played: level and correlation. Files that `hound` cannot read (mu-law, a-law) are
//! turned into linear PCM by sox, which also is the proof that someone else's program opens them.

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
    /// Normalised cross-correlation there: 1 = the same shape, 0 = nothing in common.
    pub correlation: f32,
    /// Level of the recording over the reference at that place, in dB.
    pub gain_db: f32,
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
        #[allow(clippy::cast_precision_loss, reason = "sample numbers of seconds, far below 2^24")]
        let sample = |n: u32| level * (std::f32::consts::TAU * hertz * n as f32 / RATE as f32).sin();
        Self((0..milliseconds * RATE / 1000).map(sample).collect())
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
        let mut best = Match { lag: 0, correlation: f32::MIN, gain_db: 0.0 };
        let energy = dot(there, there);
        // Of all windows in one go: the sums of squares up to each sample.
        let mut squares = vec![0.0_f64];
        squares.extend(here.iter().scan(0.0, |sum, &sample| {
            *sum += f64::from(sample) * f64::from(sample);
            Some(*sum)
        }));
        for lag in 0..=here.len() - there.len() {
            let window = &here[lag..lag + there.len()];
            #[allow(clippy::cast_possible_truncation, reason = "a sum of squares of samples below 1")]
            let square = (squares[lag + there.len()] - squares[lag]) as f32;
            let correlation = dot(window, there) / (square * energy).sqrt().max(f32::MIN_POSITIVE);
            if correlation > best.correlation {
                let gain_db = 10.0 * (mean_square(window) / mean_square(there)).log10();
                best = Match { lag, correlation, gain_db };
            }
        }
        best
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums at once let the compiler use wide registers; the order of adding does not matter here.
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 =
        a.chunks_exact(8).remainder().iter().zip(b.chunks_exact(8).remainder()).map(|(a, b)| a * b).sum();
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
    fn another_signal_is_not_taken_for_the_reference() {
        let found = Signal::sine(440.0, 0.5, 1000).find(&chord());
        assert!(found.correlation < 0.3, "{found:?}");
    }

    #[test]
    fn the_level_of_a_full_sine_is_minus_three_db() {
        assert!((Signal::sine(1000.0, 1.0, 1000).level_db() + 3.01).abs() < 0.02);
    }
}
