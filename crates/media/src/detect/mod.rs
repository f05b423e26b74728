//! Detectors: what can be heard in a call besides keys, each asked for by name and working only then.
//!
//! ```text
//!   samples at 8 kHz ─▶ steps of 20 ms ─┬─▶ tonal.rs  voice or not ─┬─▶ vad.rs: somebody speaks, stops    "voice"
//!                                       │                          └─▶ amd.rs: a person or a machine     "amd"
//!                                       └─▶ sound.rs  level, tones ─┬─▶ beep.rs                           "beep"
//!                                                                   ├─▶ progress.rs: busy, ring-back …    "tones"
//!                                                                   └─▶ fax.rs: CNG, CED                  "fax"
//! ```
//! A step is listened to once, however many of them want it: voice by its level and by not being a tone, tones by its spectrum.

pub mod amd;
pub mod beep;
pub mod fax;
mod noise;
pub mod progress;
pub mod sound;
#[cfg(test)]
mod testing;
pub mod tonal;
pub mod vad;

use std::time::Duration;

use crate::progress::Country;
use amd::{Amd, Answerer, Reason};
use beep::{Beep, BeepDetector};
use fax::{FaxDetector, FaxTone};
use progress::{NetworkTone, ProgressDetector};
use sound::{Ear, STEP};
use tonal::Listener;
use vad::{Talk, TalkEvent};

/// How long a step is.
const STEP_TIME: Duration = Duration::from_millis(20);

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody begins to speak, and stops.
    Voice,
    /// A person or a machine has answered.
    Amd,
    /// A beep, such as that of a voice mailbox.
    Beep,
    /// Call-progress tones.
    Tones,
    /// The tones of fax machines and modems.
    Fax,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Voice, Self::Amd, Self::Beep, Self::Tones, Self::Fax];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Amd => "amd",
            Self::Beep => "beep",
            Self::Tones => "tones",
            Self::Fax => "fax",
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has `kind`.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u8))
    }
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Detected {
    /// Talk begins or ends.
    Voice(TalkEvent),
    /// Who answered, told once.
    Answerer(Answerer, Reason),
    /// A beep is over.
    Beep(Beep),
    /// A call-progress tone.
    Tone(NetworkTone),
    /// A fax machine or modem.
    Fax(FaxTone),
}

impl Detected {
    /// The kind that it is of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Voice(_) => Kind::Voice,
            Self::Answerer(..) => Kind::Amd,
            Self::Beep(_) => Kind::Beep,
            Self::Tone(_) => Kind::Tones,
            Self::Fax(_) => Kind::Fax,
        }
    }
}

/// The detectors that were asked for, on one stream of samples.
#[derive(Clone, Debug)]
pub struct Detectors {
    /// Samples that do not yet fill a step.
    pending: [i16; STEP],
    filled: usize,
    ear: Ear,
    listener: Listener,
    talk: Option<Talk>,
    amd: Option<Amd>,
    beep: Option<BeepDetector>,
    tones: Option<ProgressDetector>,
    fax: Option<FaxDetector>,
}

impl Detectors {
    /// Detectors that have heard nothing. `country` says whose call-progress tones are expected.
    pub fn new(kinds: Kinds, country: Option<Country>) -> Self {
        let wants = |kind| kinds.contains(kind);
        Self {
            pending: [0; STEP],
            filled: 0,
            ear: Ear::new(),
            listener: Listener::new(),
            talk: wants(Kind::Voice).then(Talk::new),
            amd: wants(Kind::Amd).then(|| Amd::new(amd::Settings::default())),
            beep: wants(Kind::Beep).then(BeepDetector::new),
            tones: wants(Kind::Tones).then(|| ProgressDetector::new(country)),
            fax: wants(Kind::Fax).then(FaxDetector::new),
        }
    }

    /// Takes the next samples at 8 kHz. Returns what was heard in them, in order.
    pub fn push(&mut self, mut samples: &[i16]) -> Vec<Detected> {
        let mut told = Vec::new();
        while !samples.is_empty() {
            let (taken, rest) = samples.split_at(samples.len().min(STEP - self.filled));
            self.pending[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            samples = rest;
            if self.filled == STEP {
                self.filled = 0;
                self.step(&mut told);
            }
        }
        told
    }

    fn step(&mut self, told: &mut Vec<Detected>) {
        let step = &self.pending;
        self.ear.take(step);
        if self.talk.is_some() || self.amd.is_some() {
            let heard = self.listener.push(step, || self.ear.sound());
            told.extend(self.talk.as_mut().and_then(|talk| talk.push(heard)).map(Detected::Voice));
            let answerer = self.amd.as_mut().and_then(|amd| amd.push(heard));
            told.extend(answerer.map(|(who, why)| Detected::Answerer(who, why)));
        }
        if self.beep.is_none() && self.tones.is_none() && self.fax.is_none() {
            return;
        }
        let sound = self.ear.sound();
        told.extend(self.beep.as_mut().and_then(|beep| beep.push(&sound)).map(Detected::Beep));
        told.extend(self.tones.as_mut().and_then(|tones| tones.push(&sound)).map(Detected::Tone));
        told.extend(self.fax.as_mut().and_then(|fax| fax.push(step, &sound)).map(Detected::Fax));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::Signal;
    use crate::progress::{Progress, ProgressTone};

    /// A call that rings, is answered by a machine, and ends in a fax.
    fn call() -> Vec<i16> {
        let mut signal = Signal::new(1);
        let mut ring = vec![0; 8000 * 5];
        let gb = Country::from_code("gb").unwrap();
        ProgressTone::new(gb, Progress::RingBack, 8000).fill(&mut ring);
        signal.samples_of(&ring);
        signal.silence(500.0);
        signal.tone(&[(1000.0, -12.0)], 400.0);
        signal.silence(1500.0);
        signal.tone(&[(1100.0, -20.0)], 500.0);
        signal.silence(1000.0);
        signal.syllable(-20.0, 600.0);
        signal.silence(1000.0);
        signal.samples()
    }

    #[test]
    fn each_tells_its_own_and_only_if_asked() {
        for kind in Kind::ALL {
            let told = Detectors::new([kind].into_iter().collect(), None).push(&call());
            assert!(!told.is_empty(), "{kind:?}");
            assert!(told.iter().all(|told| told.kind() == kind), "{kind:?}: {told:?}");
        }
        assert_eq!(Detectors::new(Kinds::default(), None).push(&call()), []);
    }

    #[test]
    fn all_together_tell_what_each_does_however_the_samples_are_cut() {
        let mut each: Vec<Detected> = Vec::new();
        for kind in Kind::ALL {
            each.extend(Detectors::new([kind].into_iter().collect(), None).push(&call()));
        }
        let mut random = fastrand::Rng::with_seed(3);
        let mut all = Detectors::new(Kind::ALL.into_iter().collect(), None);
        let (samples, mut told) = (call(), Vec::new());
        let mut rest = samples.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(random.usize(..700).min(rest.len()));
            told.extend(all.push(now));
            rest = later;
        }
        assert_eq!(told.len(), each.len());
        assert!(told.iter().all(|one| each.contains(one)), "{told:?}");
    }
}
