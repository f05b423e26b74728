//! Voice activity: whether somebody speaks, by how far the sound rises over what the line sounds like by itself.
//!
//! ```text
//!   level   ____/‾‾\__/‾‾‾\_______/‾‾\______      of each 20 ms, in dBm0
//!   floor   ................................      the least of the last 1.5 s: noise never pauses, speech always does
//!   voice       ‾‾‾‾  ‾‾‾‾‾       ‾‾‾‾            8 dB above the floor; hissing sounds from 5 dB, all within talk from 2 dB
//!   talk        ‾‾‾‾‾‾‾‾‾‾‾‾‾____ ‾‾‾‾‾‾‾‾___     voice for 60 ms, until none for 300 ms
//! ```
//! [`Vad`] judges single steps by their level; [`Talk`] bridges the gaps between words, which is what is told. A noise that goes
//! on unchanged for more than 1.5 s is the line and not a voice; what is a tone, or a noise before that, is told by
//! [`tonal`](super::tonal).

use std::time::Duration;

use super::STEP_TIME;
use super::sound::{STEP, level};
use super::tonal::Heard;

/// How far a voice is above the floor, in dB. A pause in speech is some 15 dB below it.
const VOICED: f32 = 8.0;
/// How far a hissing sound is above the floor, in dB: `s` and `f` are softer than vowels by 10 dB and more.
const UNVOICED: f32 = 5.0;
/// How far a sound within talk is above the floor, in dB, where the noise of the line is known: noise varies by less.
const TALKING: f32 = 2.0;
/// Changes of sign in 20 ms that make a sound hissing: 2.5 kHz and up. White noise has as many, and does not rise.
const HISSING: usize = 100;
/// The softest voice, in dBm0; telephones are built for −20 (ITU-T P.56), and a far one has −40.
const SOFTEST: f32 = -48.0;
/// Where the floor may lie, in dBm0: no line is quieter, and what is louder is a voice although it never pauses.
const FLOOR: (f32, f32) = (-60.0, -22.0);
/// The floor of a line that has not been heard yet: that of a noisy one, for the first word shall not be a click.
const FIRST_FLOOR: f32 = -46.0;
/// The floor is the least level of so many stretches of [`STRETCH`], 1.5 s together: longer than anybody speaks without a
/// dip between syllables.
const STRETCHES: usize = 5;
/// Steps in a stretch.
const STRETCH: u32 = 15;
/// How much of the level of the step before is in that of the floor, which a single soft step shall not pull down.
const SMOOTH: f32 = 0.5;

/// Says of each step of 20 ms whether it has a voice.
#[derive(Clone, Debug)]
pub struct Vad {
    smooth: f32,
    /// The least level of each of the last stretches, the oldest first; the last is that which is being heard.
    least: [f32; STRETCHES],
    steps: u32,
}

impl Default for Vad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad {
    /// A line that has not been heard yet.
    pub fn new() -> Self {
        Self { smooth: FIRST_FLOOR, least: [FIRST_FLOOR; STRETCHES], steps: 0 }
    }

    /// Whether there is a voice in these 20 ms at 8 kHz. `is_talk` where somebody has just been speaking: then softer sounds are
    /// of it too.
    pub fn hears(&mut self, step: &[i16; STEP], is_talk: bool) -> bool {
        let level = level(step);
        self.follow(level);
        if is_talk {
            return level >= SOFTEST.max(self.floor() + TALKING);
        }
        let crossings = step.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        let margin = if crossings >= HISSING { UNVOICED } else { VOICED };
        level >= SOFTEST.max(self.floor() + margin)
    }

    /// What the line sounds like by itself, in dBm0.
    pub fn floor(&self) -> f32 {
        self.least.iter().copied().fold(FLOOR.1, f32::min)
    }

    fn follow(&mut self, level: f32) {
        self.smooth += (level.max(FLOOR.0) - self.smooth) * (1.0 - SMOOTH);
        self.steps += 1;
        if self.steps == STRETCH {
            self.steps = 0;
            self.least.rotate_left(1);
            self.least[STRETCHES - 1] = self.smooth;
        }
        let now = &mut self.least[STRETCHES - 1];
        *now = now.min(self.smooth);
    }
}

/// Talk beginning and ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkEvent {
    /// Somebody begins to speak.
    Started,
    /// Nobody speaks any more.
    Stopped {
        /// How long somebody did, pauses between words included.
        duration: Duration,
    },
}

/// Steps with a voice, of the last five, for talk to begin: 60 ms, which no click has and every syllable.
const ONSET: u32 = 3;
/// The steps that [`ONSET`] is of, as a mask.
const ONSET_OF: u8 = 0b1_1111;
/// Steps without a voice for talk to end: 300 ms, the longest pause between words that is no hesitation.
const HANGOVER: u32 = 15;

/// Says when talk begins and ends.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// The last steps, the newest lowest: whether they had a voice.
    heard: u8,
    talking: Option<Talking>,
}

#[derive(Clone, Copy, Debug)]
struct Talking {
    steps: u32,
    silent: u32,
}

impl Talk {
    /// Nobody has spoken.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the next 20 ms are.
    pub fn push(&mut self, heard: Heard) -> Option<TalkEvent> {
        let voice = heard == Heard::Voice || (heard == Heard::Unclear && self.is_talking());
        self.heard = (self.heard << 1 | u8::from(voice)) & ONSET_OF;
        let Some(talking) = &mut self.talking else {
            if self.heard.count_ones() < ONSET {
                return None;
            }
            self.talking = Some(Talking { steps: ONSET, silent: 0 });
            return Some(TalkEvent::Started);
        };
        talking.steps = talking.steps.saturating_add(1);
        talking.silent = if voice { 0 } else { talking.silent + 1 };
        if talking.silent < HANGOVER {
            return None;
        }
        let duration = STEP_TIME * (talking.steps - HANGOVER);
        self.talking = None;
        Some(TalkEvent::Stopped { duration })
    }

    /// Whether somebody is speaking, pauses between words included.
    pub fn is_talking(&self) -> bool {
        self.talking.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::Ear;
    use crate::detect::testing::{Signal, steps};
    use crate::detect::tonal::Listener;

    /// When talk began and ended, in milliseconds.
    fn told(signal: &Signal) -> Vec<(u64, TalkEvent)> {
        let (mut ear, mut listener, mut talk) = (Ear::new(), Listener::new(), Talk::new());
        let steps = steps(&signal.samples()).collect::<Vec<_>>();
        let mut push = |step| talk.push(listener.push(step, || ear.hear(step)));
        (20..).step_by(20).zip(&steps).filter_map(|(at, step)| Some((at, push(step)?))).collect()
    }

    #[test]
    fn words_over_noise_are_one_talk_from_their_beginning_to_their_end() {
        for (noise, seed) in [(-70.0, 1), (-50.0, 2), (-40.0, 3)] {
            let mut signal = Signal::new(seed);
            signal.silence(3000.0);
            for _ in 0..5 {
                signal.syllable(-20.0, 180.0);
                signal.silence(120.0);
            }
            signal.silence(2000.0);
            signal.noise(noise);
            let told = told(&signal);
            let [(start, TalkEvent::Started), (stop, TalkEvent::Stopped { duration })] = told[..] else {
                panic!("{noise}: {told:?}");
            };
            // From 3,000 to 4,380 ms.
            assert!((3040..=3120).contains(&start), "{noise}: {told:?}");
            assert!((4600..=4760).contains(&stop), "{noise}: {told:?}");
            assert!(duration.abs_diff(Duration::from_millis(1380)) <= Duration::from_millis(100), "{told:?}");
        }
    }

    #[test]
    fn pauses_longer_than_the_hangover_are_told() {
        let mut signal = Signal::new(4);
        for _ in 0..3 {
            signal.silence(1000.0);
            signal.syllable(-25.0, 300.0);
        }
        signal.silence(1000.0);
        signal.noise(-55.0);
        let told = told(&signal);
        assert_eq!(told.len(), 6, "{told:?}");
    }

    /// What makes a colour of white noise.
    type Colour = Box<dyn FnMut(f64) -> f64>;

    /// Whatever its level and its colour, and whenever it begins, noise is the line from its beginning on: also where nothing
    /// came before, or for a while.
    #[test]
    fn noise_is_no_voice() {
        let white = |white: f64| white;
        // Falling by about 3 dB an octave: white noise through three leaking sums.
        let mut sums = [0.0; 3];
        let pink = move |white: f64| {
            for (sum, (leak, share)) in
                sums.iter_mut().zip([(0.997_65, 0.099), (0.963, 0.2965), (0.57, 1.0527)])
            {
                *sum = *sum * leak + white * share;
            }
            sums.iter().sum::<f64>() + white * 0.1848
        };
        // By 6 dB an octave, above 25 Hz.
        let mut sum = 0.0;
        let brown = move |white: f64| {
            sum = 0.98 * sum + white;
            sum
        };
        let colours: [(&str, Colour); 3] =
            [("white", Box::new(white)), ("pink", Box::new(pink)), ("brown", Box::new(brown))];
        for (name, mut colour) in colours {
            for (level, seed) in [-70.0, -50.0, -48.0, -45.0, -40.0, -30.0, -15.0].into_iter().zip(5..) {
                // 290 ms: it begins within a step.
                for begins in [0.0, 290.0, 1005.0] {
                    let mut signal = Signal::new(seed);
                    signal.silence(20_000.0);
                    signal.noise_from(begins, level, &mut colour);
                    let mut again = Signal::new(seed);
                    again.samples_of(&signal.samples());
                    again.silence(310.0);
                    again.samples_of(&signal.samples()[4000..]);
                    assert_eq!(told(&again), [], "{name}, {level}, from {begins} ms on");
                }
            }
        }
    }

    /// A busy tone over a noisy line: neither the tone nor the noise between is a voice.
    #[test]
    fn noise_between_tones_is_no_voice() {
        for (noise, seed) in [-45.0, -40.0, -35.0].into_iter().zip(12..) {
            let mut signal = Signal::new(seed);
            for _ in 0..10 {
                signal.tone(&[(425.0, -15.0)], 480.0);
                signal.silence(480.0);
            }
            signal.noise(noise);
            assert_eq!(told(&signal), [], "{noise}");
        }
    }

    /// A word over the noise of the line, at whatever time after it was heard first.
    #[test]
    fn the_first_word_over_noise_is_heard() {
        for silence in [0.0, 100.0, 200.0, 500.0, 1500.0] {
            let mut signal = Signal::new(11);
            signal.silence(silence);
            signal.syllable(-20.0, 250.0);
            signal.silence(1000.0);
            signal.noise(-42.0);
            let told = told(&signal);
            let [(start, TalkEvent::Started), (_, TalkEvent::Stopped { duration })] = told[..] else {
                panic!("{silence}: {told:?}");
            };
            assert!(start as f64 <= silence + 140.0, "{silence}: {told:?}");
            assert!(duration >= Duration::from_millis(140), "{silence}: {told:?}");
        }
    }

    #[test]
    fn a_tone_is_no_talk_and_what_goes_on_is_the_line() {
        let mut signal = Signal::new(7);
        signal.tone(&[(440.0, -25.0)], 10_000.0);
        assert_eq!(told(&signal), []);
        let mut vad = Vad::new();
        let steps: Vec<_> = steps(&signal.samples()).collect();
        assert!(
            vad.hears(&steps[5], false)
                && !steps[6..].iter().map(|step| vad.hears(step, false)).last().unwrap()
        );
    }

    #[test]
    fn a_click_is_no_talk() {
        let mut signal = Signal::new(8);
        for _ in 0..10 {
            signal.silence(500.0);
            signal.tone(&[(1000.0, -10.0)], 20.0);
        }
        assert_eq!(told(&signal), []);
    }

    /// `s`: noise above 2.5 kHz only, 6 dB over that of the line.
    #[test]
    fn hissing_sounds_count_from_5_db() {
        let mut vad = Vad::new();
        let mut signal = Signal::new(9);
        signal.silence(3000.0);
        signal.noise(-40.0);
        steps(&signal.samples()).for_each(|step| {
            vad.hears(&step, false);
        });
        let sounds = |frequency: f64| {
            let mut signal = Signal::new(10);
            signal.tone(&[(frequency, -33.5)], 200.0);
            let mut vad = vad.clone();
            steps(&signal.samples()).filter(|step| vad.hears(step, false)).count()
        };
        assert_eq!((sounds(3000.0), sounds(500.0)), (10, 0));
    }
}
