//! Answering-machine detection: whether a person or a machine has answered, by the rhythm of the greeting. A person says
//! a word or two and waits; a machine talks on.
//!
//! ```text
//!   answered   ___/‾‾‾‾\__________________      "Hello?"                        a short greeting, then silence: human
//!              ___/‾‾‾\_/‾‾‾‾‾‾\_/‾‾‾‾‾‾‾‾      "You have reached the …"        too long, too many words: machine
//!              __________________________       nothing                         unsure
//!              ___/TTTT\____/TTTT\_______       busy, fax                       unsure, a tone
//!                │    │ after-greeting silence
//!                initial silence
//! ```
//! The line by itself, its noise or its hum, is known as that only after 240 ms, and what was counted of it is taken back.
//! A tone is no greeting: where a network, a fax machine or a modem answers nobody speaks, and that is told as it is.
//!
//! The rules are those that users of Asterisk's AMD know, with these differences: voice is told from silence by a floor
//! that follows the line ([`Vad`](super::vad::Vad)) and not by a fixed threshold, and a call on which nothing is heard
//! at first is `unsure`, not a machine.
//!
//! What comes of each greeting is decided once. Figures over synthesised greetings are in `tests/detectors/amd.rs`, and over those
//! with noise behind them in `tests/detectors/noise.rs`. A breath, a cough and music are taken for a person.

use std::time::Duration;

use super::STEP_TIME;
use super::tonal::Heard;

/// How long a word may be that was the line by itself: that is told after 240 ms, and the steps in which it began count.
const LINE: Duration = Duration::from_millis(280);

/// When what is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long nothing may be heard before the first word: longer is unsure.
    pub initial_silence: Duration,
    /// The silence after a greeting that makes it a person's: it waits for an answer.
    pub after_greeting_silence: Duration,
    /// The voice in a greeting, without its pauses, that makes it a machine's.
    pub greeting: Duration,
    /// More words than this make it a machine's.
    pub words: u32,
    /// The shortest word: less is noise.
    pub least_word: Duration,
    /// The shortest pause between two words.
    pub between_words: Duration,
    /// Tones, without a word before them, that make it nobody's. Of each the first 80 ms do not count.
    pub tones: Duration,
    /// When it is decided at the latest; unsure if nothing was.
    pub total: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial_silence: Duration::from_millis(3000),
            after_greeting_silence: Duration::from_millis(800),
            greeting: Duration::from_millis(2000),
            words: 6,
            least_word: Duration::from_millis(100),
            between_words: Duration::from_millis(60),
            tones: Duration::from_millis(600),
            total: Duration::from_millis(6000),
        }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answerer {
    /// A person.
    Human,
    /// A machine.
    Machine,
    /// It cannot be told.
    Unsure,
}

/// What it was told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A short greeting and then silence: human.
    ShortGreeting,
    /// A greeting that went on: machine.
    LongGreeting,
    /// A greeting of too many words: machine.
    ManyWords,
    /// Nothing was heard: unsure.
    InitialSilence,
    /// Tones were heard, and no word: unsure, and nobody who speaks.
    Tone,
    /// The time was over before anything was clear: unsure.
    TooLong,
}

/// Listens to a greeting.
#[derive(Clone, Debug)]
pub struct Amd {
    settings: Settings,
    elapsed: Duration,
    /// Voice without a pause, up to now.
    voice: Duration,
    /// No voice, up to now.
    pause: Duration,
    /// No word, up to now: what is shorter than a word does not break a silence.
    silence: Duration,
    /// Voice in all words.
    greeting: Duration,
    words: u32,
    /// Tones before any word.
    tones: Duration,
    is_decided: bool,
}

impl Amd {
    /// A call that has just been answered.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            elapsed: Duration::ZERO,
            voice: Duration::ZERO,
            pause: Duration::ZERO,
            silence: Duration::ZERO,
            greeting: Duration::ZERO,
            words: 0,
            tones: Duration::ZERO,
            is_decided: false,
        }
    }

    /// Takes what the next 20 ms are. Returns who answered, once.
    pub fn push(&mut self, heard: Heard) -> Option<(Answerer, Reason)> {
        if self.is_decided {
            return None;
        }
        self.elapsed += STEP_TIME;
        self.silence += STEP_TIME;
        let is_within_word = self.voice >= self.settings.least_word && self.pause.is_zero();
        match heard {
            Heard::Voice => self.hear_voice(),
            Heard::Unclear if is_within_word => self.hear_voice(),
            Heard::Tone => {
                self.pause += STEP_TIME;
                self.tones += STEP_TIME;
            }
            Heard::Line => {
                self.retract();
                self.pause += STEP_TIME;
            }
            Heard::Unclear | Heard::Nothing => self.pause += STEP_TIME,
        }
        let decision = self.decide();
        self.is_decided = decision.is_some();
        decision
    }

    fn hear_voice(&mut self) {
        let Settings { least_word, between_words, .. } = self.settings;
        // A shorter gap is within a word: the closure of a stop, such as the `k` of "speaking".
        if std::mem::take(&mut self.pause) >= between_words {
            self.voice = Duration::ZERO;
        }
        let is_new = self.voice < least_word;
        self.voice += STEP_TIME;
        if self.voice >= least_word {
            self.silence = Duration::ZERO;
            self.words += u32::from(is_new);
            self.greeting += if is_new { self.voice } else { STEP_TIME };
        }
    }

    /// Takes back the word that goes on, if it was none: all of it was as even as the line.
    fn retract(&mut self) {
        if self.pause.is_zero() && (self.settings.least_word..=LINE).contains(&self.voice) {
            self.words = self.words.saturating_sub(1);
            self.greeting = self.greeting.saturating_sub(self.voice);
            self.voice = Duration::ZERO;
        }
    }

    fn decide(&self) -> Option<(Answerer, Reason)> {
        let Settings { initial_silence, after_greeting_silence, greeting, words, tones, total, .. } =
            self.settings;
        if self.words == 0 && self.tones >= tones {
            Some((Answerer::Unsure, Reason::Tone))
        } else if self.words == 0 && self.elapsed >= initial_silence {
            let why = if self.tones.is_zero() { Reason::InitialSilence } else { Reason::Tone };
            Some((Answerer::Unsure, why))
        } else if self.words > words {
            Some((Answerer::Machine, Reason::ManyWords))
        } else if self.greeting >= greeting {
            Some((Answerer::Machine, Reason::LongGreeting))
        } else if self.words > 0 && self.silence >= after_greeting_silence {
            Some((Answerer::Human, Reason::ShortGreeting))
        } else if self.elapsed >= total {
            Some((Answerer::Unsure, Reason::TooLong))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::{Ear, STEP};
    use crate::detect::testing::{Signal, steps};
    use crate::detect::tonal::Listener;

    /// Stretches of milliseconds, silence first and then in turn, and what was told when.
    fn told(stretches: &[u64]) -> Vec<(u64, Answerer, Reason)> {
        told_of(Heard::Voice, stretches)
    }

    fn told_of(sound: Heard, stretches: &[u64]) -> Vec<(u64, Answerer, Reason)> {
        let mut amd = Amd::new(Settings::default());
        let steps = stretches
            .iter()
            .enumerate()
            .flat_map(|(n, &ms)| std::iter::repeat_n(n % 2 == 1, usize::try_from(ms / 20).unwrap()));
        (20..)
            .step_by(20)
            .zip(steps.map(|is_loud| if is_loud { sound } else { Heard::Nothing }))
            .filter_map(|(at, heard)| amd.push(heard).map(|(who, why)| (at, who, why)))
            .collect()
    }

    #[test]
    fn a_word_and_silence_is_a_person_after_that_silence() {
        assert_eq!(told(&[500, 400, 3000]), [(1700, Answerer::Human, Reason::ShortGreeting)]);
        // "Hello, Smith speaking."
        assert_eq!(
            told(&[0, 300, 200, 400, 60, 500, 3000]),
            [(2260, Answerer::Human, Reason::ShortGreeting)]
        );
    }

    #[test]
    fn talk_that_goes_on_is_a_machine() {
        assert_eq!(told(&[500, 3000]), [(2500, Answerer::Machine, Reason::LongGreeting)]);
        let words = [500, 160, 80, 160, 80, 160, 80, 160, 80, 160, 80, 160, 80, 160, 80, 160];
        assert_eq!(told(&words), [(2040, Answerer::Machine, Reason::ManyWords)]);
    }

    #[test]
    fn silence_and_hesitation_are_unsure() {
        assert_eq!(told(&[10_000]), [(3000, Answerer::Unsure, Reason::InitialSilence)]);
        // Clicks are no words.
        assert_eq!(
            told(&[500, 60, 500, 60, 500, 60, 5000]),
            [(3000, Answerer::Unsure, Reason::InitialSilence)]
        );
        let hesitant = [2400, 160, 700, 160, 700, 160, 700, 160, 700, 160];
        assert_eq!(told(&hesitant), [(6000, Answerer::Unsure, Reason::TooLong)]);
    }

    /// A hum of the line that begins, however loud: it is known after 240 ms, and says nothing then. In it a word is a person's.
    #[test]
    fn the_hum_of_a_line_is_nobody() {
        let answered = |signal: &Signal| {
            let (mut ear, mut listener, mut amd) =
                (Ear::new(), Listener::new(), Amd::new(Settings::default()));
            let mut push = |step: [i16; STEP]| amd.push(listener.push(&step, || ear.hear(&step)));
            steps(&signal.samples()).find_map(&mut push)
        };
        let hums: [&[(f64, f64)]; 4] =
            [&[(50.0, 0.0)], &[(150.0, 0.0)], &[(250.0, 0.0)], &[(50.0, -6.0), (150.0, 0.0), (250.0, -3.0)]];
        for (hum, level) in hums.into_iter().flat_map(|hum| [-30.0, -20.0, -10.0].map(|level| (hum, level))) {
            let hum: Vec<_> = hum.iter().map(|(hz, beside)| (*hz, level + beside)).collect();
            for begin in [0.0, 300.0, 1010.0] {
                let mut signal = Signal::new(1);
                signal.silence(begin);
                signal.tone(&hum, 5000.0);
                let told = answered(&signal);
                assert_eq!(told, Some((Answerer::Unsure, Reason::InitialSilence)), "{hum:?} from {begin}");
            }
            let mut signal = Signal::new(2);
            signal.silence(300.0);
            signal.tone(&hum, 700.0);
            signal.syllable(level + 12.0, 200.0);
            signal.syllable(level + 12.0, 200.0);
            signal.tone(&hum, 3000.0);
            let told = answered(&signal);
            assert_eq!(told, Some((Answerer::Human, Reason::ShortGreeting)), "a word in {hum:?}");
        }
    }

    #[test]
    fn tones_are_nobody() {
        assert_eq!(told_of(Heard::Tone, &[500, 3000]), [(1100, Answerer::Unsure, Reason::Tone)]);
        // CNG.
        assert_eq!(told_of(Heard::Tone, &[500, 420, 3000, 420]), [(3000, Answerer::Unsure, Reason::Tone)]);
    }

    #[test]
    fn a_gap_within_a_word_makes_no_two_words() {
        let stutter = [500, 100, 40, 100, 40, 100, 40, 100, 40, 100, 40, 100, 40, 100, 40, 100, 2000];
        assert_eq!(told(&stutter).first().map(|told| told.1), Some(Answerer::Human));
    }
}
