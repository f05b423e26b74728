//! Concealment of lost packets in linear samples, in the manner of ITU-T G.711 Appendix I, at any rate and without delay.
//!
//! ```text
//! heard before the loss        lost                              heard again
//! ───╮ ╭──╮ ╭──╮ ╭──╮ ╭──┆──╮ ╭──╮ ╭──╮ ╭──┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┆┄┄╮ ╭──╮ ╭──
//!    ╰─╯  ╰─╯  ╰─╯  ╰─╯  ┆  ╰─╯  ╰─╯  ╰─╯                    ┆  ╰─╯  ╰─╯
//!               └ period ┘  repeated, from 10 ms on fading     └ faded over
//! ```
//!
//! The last period of the voice is found by correlation and repeated. A short period repeated for long is heard as a tone,
//! so after 10 ms two periods are repeated and after 20 ms three. From 10 ms on the repetition fades, and is gone at 60 ms:
//! what was said then is no guide any more. What comes after the loss is faded over, the longer the loss the slower.
//!
//! Appendix I delays everything by 3.75 ms, so that it can still smooth the end of what it heard. Here nothing is delayed:
//! the step that the repetition begins with is added to it and let down over a quarter of a period.

#[cfg(test)]
mod tests;

use super::{Codec, Decoder};

/// The pitch that is looked for: periods of 5 to 15 ms, 66 to 200 Hz, in 1/1000 s.
const PERIOD_MS: [usize; 2] = [5, 15];

/// How much of the past is compared to the past before, in ms.
const WINDOW_MS: usize = 20;

/// The most periods that are repeated.
const MAX_PERIODS: usize = 3;

/// After how long a further period is repeated, and from when on it fades, in ms.
const STAGE_MS: usize = 10;

/// When the repetition has faded to nothing, in ms.
const SILENT_MS: usize = 60;

/// The longest fade to what comes after the loss, and how much longer it is for every 10 ms after the first, in ms.
const REJOIN_MS: [usize; 2] = [10, 4];

/// Codes that are kept before the older ones are forgotten: those of 128 ms, of which 49 are to be remembered.
const MAX_CODES: usize = 1024;

/// Points a second at which the first search looks; 41 periods at 80 points.
const COARSE_RATE: usize = 4000;

/// Conceals losses in one stream of samples.
#[derive(Clone, Debug)]
pub struct Concealer {
    /// Samples per second.
    rate: usize,
    /// The last samples that were put out, three and a quarter of the longest periods.
    history: Vec<i16>,
    /// What arrived after these, in codes of a law: nobody needs them as samples until there is a loss.
    codes: Vec<u8>,
    law: Codec,
    /// The loss that is concealed or being faded from.
    loss: Option<Loss>,
}

/// A loss that is being concealed.
#[derive(Clone, Debug)]
struct Loss {
    /// The end of what was heard, three and a quarter periods.
    heard: Vec<i16>,
    period: usize,
    /// Where the next sample comes from.
    source: Source,
    /// Where it came from before the number of periods changed, and since how many samples.
    before: Option<(Source, usize)>,
    /// What the repetition is off by where it begins.
    step: f32,
    /// Samples made so far.
    length: usize,
    /// How many samples the fade to what came after takes, since something has come, and how many are done.
    fade: Option<usize>,
    faded: usize,
}

/// A place in the last so many periods of what was heard.
#[derive(Clone, Copy, Debug)]
struct Source {
    periods: usize,
    place: usize,
}

impl Concealer {
    /// For samples at `rate` Hz. Rates below 1,000 Hz are taken as that.
    pub fn new(rate: u32) -> Self {
        let rate = usize::try_from(rate).unwrap_or(usize::MAX).max(1000);
        let longest = samples(rate, PERIOD_MS[1]);
        Self {
            rate,
            history: vec![0; MAX_PERIODS * longest + longest.div_ceil(4)],
            codes: Vec::new(),
            law: Codec::Pcmu,
            loss: None,
        }
    }

    /// Passes samples that arrived. The first of them after a loss are changed, to follow what concealed it.
    pub fn arrived(&mut self, frame: &mut [i16]) {
        if frame.is_empty() {
            return;
        }
        self.catch_up();
        if let Some(mut loss) = self.loss.take() {
            let fade = *loss.fade.get_or_insert(self.rejoin(&loss));
            for sample in frame.iter_mut().take(fade - loss.faded) {
                loss.faded += 1;
                let part = loss.faded as f32 / (fade + 1) as f32;
                *sample = round(loss.next(self.rate) * (1.0 - part) + f32::from(*sample) * part);
            }
            self.loss = (loss.faded < fade).then_some(loss);
        }
        self.remember(frame);
    }

    /// Whether the next samples that arrive are changed, to follow what concealed a loss.
    pub(crate) fn is_fading(&self) -> bool {
        self.loss.is_some()
    }

    /// Notes what arrived and is heard as it is ([`Concealer::is_fading`]).
    pub(crate) fn arrived_in(&mut self, law: Codec, codes: &[u8]) {
        if self.law != law {
            self.catch_up();
            self.law = law;
        }
        if self.codes.len() >= MAX_CODES {
            self.codes.drain(..self.codes.len().saturating_sub(self.history.len()));
        }
        self.codes.extend_from_slice(codes);
    }

    /// Makes samples of the codes that are still to be remembered.
    fn catch_up(&mut self) {
        if !self.codes.is_empty() {
            let mut samples = Vec::new();
            Decoder::new(self.law).decode(&self.codes, &mut samples);
            self.codes.clear();
            self.remember(&samples);
        }
    }

    /// Fills `frame` with what stands for samples that did not arrive.
    pub fn lost(&mut self, frame: &mut [i16]) {
        self.catch_up();
        let going_on = self.loss.take().filter(|loss| loss.fade.is_none());
        let mut loss = going_on.unwrap_or_else(|| self.begin());
        frame.fill_with(|| round(loss.next(self.rate)));
        self.loss = Some(loss);
        self.remember(frame);
    }

    /// Forgets what was: what arrives next follows silence.
    pub fn restart(&mut self) {
        self.history.fill(0);
        self.codes.clear();
        self.loss = None;
    }

    fn begin(&self) -> Loss {
        let period = self.period();
        let heard = self.history[self.history.len() - MAX_PERIODS * period - period.div_ceil(4)..].to_vec();
        let [before, last] = [heard.len() - period - 1, heard.len() - 1].map(|at| f32::from(heard[at]));
        let source = Source { periods: 1, place: 0 };
        Loss { heard, period, source, before: None, step: last - before, length: 0, fade: None, faded: 0 }
    }

    /// How many samples the fade to what comes after the loss takes.
    fn rejoin(&self, loss: &Loss) -> usize {
        let [longest, each] = REJOIN_MS.map(|ms| samples(self.rate, ms));
        let stages = loss.length / samples(self.rate, STAGE_MS);
        (loss.period / 4 + stages.saturating_sub(1) * each).min(longest)
    }

    fn remember(&mut self, frame: &[i16]) {
        let room = self.history.len();
        let frame = &frame[frame.len().saturating_sub(room)..];
        self.history.copy_within(frame.len().., 0);
        self.history[room - frame.len()..].copy_from_slice(frame);
    }

    /// The period, in samples, at which the end of the past is most like the past before.
    fn period(&self) -> usize {
        let stride = (self.rate / COARSE_RATE).max(1);
        let [shortest, longest] = PERIOD_MS.map(|ms| samples(self.rate, ms));
        let likeness = |&period: &usize| self.likeness(period, stride);
        let coarse = best((shortest..=longest).step_by(stride), likeness).unwrap_or(shortest);
        let near = (coarse + 1).saturating_sub(stride).max(shortest)..=(coarse + stride - 1).min(longest);
        best(near, likeness).unwrap_or(coarse)
    }

    /// The correlation of the last samples with those a period before, by the level of the latter.
    fn likeness(&self, period: usize, stride: usize) -> f32 {
        let window = samples(self.rate, WINDOW_MS);
        let end = self.history.len();
        let now = &self.history[end - window..];
        let then = &self.history[end - window - period..end - period];
        let (mut product, mut power) = (0.0, 0.0);
        for (&now, &then) in now.iter().zip(then).step_by(stride) {
            product += f32::from(now) * f32::from(then);
            power += f32::from(then) * f32::from(then);
        }
        // Where there is next to nothing to compare, one unit of noise a sample keeps the quotient small.
        product / (power + (window / stride) as f32).sqrt()
    }
}

impl Loss {
    fn next(&mut self, rate: usize) -> f32 {
        let stage = samples(rate, STAGE_MS);
        let periods = (self.length / stage + 1).min(MAX_PERIODS);
        if periods > self.source.periods {
            self.before = Some((self.source, 0));
            // The same phase, in the oldest of the periods.
            self.source = Source { periods, place: self.source.place % self.period };
        }
        let mut sample = self.take(self.source);
        self.source = self.source.next(self.period);
        let quarter = self.period.div_ceil(4);
        if let Some((source, since)) = self.before {
            let part = (since + 1) as f32 / (quarter + 1) as f32;
            sample = sample * part + self.take(source) * (1.0 - part);
            self.before = (since + 1 < quarter).then(|| (source.next(self.period), since + 1));
        }
        sample += self.step * quarter.saturating_sub(self.length) as f32 / quarter as f32;
        let (fade, silent) = (stage, samples(rate, SILENT_MS));
        let left = silent.saturating_sub(self.length) as f32 / (silent - fade) as f32;
        self.length = self.length.saturating_add(1);
        sample * left.min(1.0)
    }

    /// The sample at a place. The end of the last period becomes what came before the first, so that the one leads to the
    /// other.
    fn take(&self, source: Source) -> f32 {
        let (span, quarter) = (source.periods * self.period, self.period.div_ceil(4));
        let start = self.heard.len() - span;
        let sample = f32::from(self.heard[start + source.place]);
        match (source.place + quarter).checked_sub(span) {
            None => sample,
            Some(n) => {
                let part = (n + 1) as f32 / (quarter + 1) as f32;
                sample * (1.0 - part) + f32::from(self.heard[start - quarter + n]) * part
            }
        }
    }
}

impl Source {
    fn next(self, period: usize) -> Self {
        Self { place: (self.place + 1) % (self.periods * period), ..self }
    }
}

/// The candidate with the highest score.
fn best(candidates: impl Iterator<Item = usize>, score: impl Fn(&usize) -> f32) -> Option<usize> {
    candidates
        .map(|candidate| (candidate, score(&candidate)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(c, _)| c)
}

fn samples(rate: usize, milliseconds: usize) -> usize {
    rate * milliseconds / 1000
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
fn round(sample: f32) -> i16 {
    sample.round() as i16
}
