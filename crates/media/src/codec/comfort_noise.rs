//! Comfort noise (RFC 3389): what a sender tells of the silence in between, and noise that sounds like it.
//!
//! ```text
//!  0 1 2 3 4 5 6 7   0 1 2 3 4 5 6 7
//! ┌─┬─────────────┬─────────────────┬───
//! │0│    level    │ N1 (8 bits)     │ N2 … reflection coefficients, as many as the sender likes
//! └─┴─────────────┴─────────────────┴───
//!   in −dBov         258 · (N − 127) / 32768
//! ```
//!
//! 0 dBov is a square wave at full scale (§3.1). The coefficients are those of the lattice filter that white noise is sent
//! through (§3.2); the first is negative where low sounds prevail, as in ITU-T Recommendations and in what FFmpeg and
//! WebRTC send. One that is left out is 0, so that any number makes a filter, and so do the first of them alone.

#[cfg(test)]
mod tests;

/// The most coefficients that are looked at. Ten is what is usually sent at 8 kHz; more would be heard by nobody.
pub const MAX_ORDER: usize = 12;

/// The coefficients that we send.
const ORDER: usize = 10;

/// The lowest level there is, in −dBov.
const QUIETEST: u8 = 127;

/// The loudest noise that is made, in −dBov: 4 dB below what speech is aligned to (−26 dBov, as measured by ITU-T P.56). What is
/// louder is no pause, whatever it says of itself, and 0 would be noise at full scale in somebody's ear.
const LOUDEST: u8 = 30;

/// The index of the coefficient 0.
const ZERO: u8 = 127;

/// The largest index (§3.2); 255 is reserved, and would make a filter that never comes to rest.
const MAX_INDEX: u8 = 254;

/// A part of this many to its target moves the level every sample, so that a new one does not click.
const SMOOTHING: f32 = 128.0;

/// A silence insertion descriptor: the content of a comfort noise packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sid {
    level: u8,
    /// The indexes of the coefficients.
    indexes: [u8; MAX_ORDER],
    order: usize,
}

impl Sid {
    /// Of a payload. `None` if it is empty.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&level, sent) = payload.split_first()?;
        let order = sent.len().min(MAX_ORDER);
        let mut indexes = [ZERO; MAX_ORDER];
        indexes[..order].copy_from_slice(&sent[..order]);
        // The first bit is 0; that of one who sets it nonetheless is no level.
        Some(Self { level: level & 0x7f, indexes, order })
    }

    /// Describes `samples`, which should be some 20 to 80 ms of silence. None are the quietest silence.
    pub fn of(samples: &[i16]) -> Self {
        let power = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
        let decibels = -10.0 * (power / samples.len().max(1) as f64 / FULL_SCALE.powi(2)).log10();
        let level = code(decibels, QUIETEST);
        let mut indexes = [ZERO; MAX_ORDER];
        for (index, reflection) in indexes.iter_mut().zip(reflections(samples)) {
            *index = code(reflection * 32_768.0 / 258.0 + f64::from(ZERO), MAX_INDEX);
        }
        Self { level, indexes, order: ORDER }
    }

    /// The level in −dBov, 0 to 127.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Appends the payload to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.level);
        out.extend_from_slice(&self.indexes[..self.order]);
    }

    fn reflections(&self) -> [f32; MAX_ORDER] {
        self.indexes.map(|index| 258.0 * (f32::from(index.min(MAX_INDEX)) - f32::from(ZERO)) / 32_768.0)
    }
}

/// Makes noise as a [`Sid`] describes it.
#[derive(Clone, Debug)]
pub struct Generator {
    reflections: [f32; MAX_ORDER],
    delays: [f32; MAX_ORDER + 1],
    /// The level of the white noise, and the one that it is moving to.
    gain: f32,
    target: f32,
    /// Of the white noise; never 0.
    random: u32,
}

impl Generator {
    /// One that is silent until it is told of a noise. The same seed makes the same noise.
    pub fn new(seed: u32) -> Self {
        Self {
            reflections: [0.0; MAX_ORDER],
            delays: [0.0; MAX_ORDER + 1],
            gain: 0.0,
            target: 0.0,
            random: seed | 1,
        }
    }

    /// Makes the noise of `sid` from now on, no louder than 30 dB below full scale.
    pub fn update(&mut self, sid: &Sid) {
        self.reflections = sid.reflections();
        // The filter raises the level by the root of the product of 1 / (1 − k²).
        let raised = self.reflections.iter().map(|k| f64::from(1.0 - k * k)).product::<f64>();
        let level = FULL_SCALE * 10f64.powf(-f64::from(sid.level.max(LOUDEST)) / 20.0);
        self.target = single(level * raised.sqrt());
    }

    /// Fills `frame` with noise.
    pub fn fill(&mut self, frame: &mut [i16]) {
        frame.fill_with(|| {
            self.gain += (self.target - self.gain) / SMOOTHING;
            let white = self.white() * self.gain;
            round(self.filter(white))
        });
    }

    /// White noise of an effective value of 1: evenly spread from −√3 to √3.
    fn white(&mut self) -> f32 {
        // Marsaglia's xorshift. Nobody has to be unable to guess it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        (self.random.cast_signed() as f32 / 2f32.powi(31)) * 3f32.sqrt()
    }

    /// The lattice filter, whose poles are those that the coefficients tell of.
    fn filter(&mut self, sample: f32) -> f32 {
        let mut forward = sample;
        for (n, &reflection) in self.reflections.iter().enumerate().rev() {
            forward -= reflection * self.delays[n];
            self.delays[n + 1] = self.delays[n] + reflection * forward;
        }
        self.delays[0] = forward;
        forward
    }
}

/// The level of a square wave at full scale.
const FULL_SCALE: f64 = 32_768.0;

/// The reflection coefficients of the filter that makes white noise into the like of `samples`: Levinson's recursion over
/// the autocorrelation under a window.
fn reflections(samples: &[i16]) -> [f64; ORDER] {
    let mut reflections = [0.0; ORDER];
    let turn = std::f64::consts::TAU / samples.len().max(1) as f64;
    let window = |n: usize| 0.5 - 0.5 * (turn * (n as f64 + 0.5)).cos();
    let signal: Vec<f64> = samples.iter().enumerate().map(|(n, &s)| f64::from(s) * window(n)).collect();
    let correlation: [f64; ORDER + 1] = std::array::from_fn(|lag| {
        signal.iter().skip(lag).zip(&signal).map(|(now, then)| now * then).sum::<f64>()
    });
    // A millionth of noise keeps a pure tone from making a filter that rings for ever.
    let mut error = correlation[0] * 1.000_001 + 1e-9;
    let mut predictor = [0.0; ORDER + 1];
    predictor[0] = 1.0;
    for (n, reflection) in reflections.iter_mut().enumerate() {
        let missed: f64 = (0..=n).map(|k| predictor[k] * correlation[n + 1 - k]).sum();
        *reflection = -missed / error;
        let last = predictor;
        for k in 1..=n + 1 {
            predictor[k] = last[k] + *reflection * last[n + 1 - k];
        }
        error *= 1.0 - *reflection * *reflection;
    }
    reflections
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range; the logarithm of nothing becomes the limit"
)]
fn code(value: f64, limit: u8) -> u8 {
    value.round().clamp(0.0, f64::from(limit)) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "less precise is enough")]
fn single(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float beyond the range becomes its end, and none becomes 0"
)]
fn round(sample: f32) -> i16 {
    sample.round() as i16
}
