//! Audio that waits, by the sample: linear, or codes of a law of G.711 as they came, as long as nobody looks into them.
//! What is only kept for a while and written to a file of the same law is neither decoded nor encoded then.
//!
//! ```text
//!   codes   ──▶ ▒▒▒▒▒▒▒▒▒▒▒▒ ──▶ codes, as they came
//!   samples ──▶ all of it becomes samples, until codes come again ──▶ samples
//! ```
//! A code that becomes a sample and a code again is what it was, but for the second zero of mu-law.

use crate::codec::{Codec, Decoder, Encoder};

/// A stretch of audio, in one of two forms.
#[derive(Debug, Default)]
pub(crate) struct Strip {
    /// The law, where it is codes; otherwise it is samples. The other list is empty, and keeps its memory.
    law: Option<Codec>,
    codes: Vec<u8>,
    samples: Vec<i16>,
}

/// What is in a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    Linear(&'a [i16]),
    Codes(Codec, &'a [u8]),
}

impl Heard<'_> {
    /// Samples in it, whatever its form.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Linear(samples) => samples.len(),
            Self::Codes(_, codes) => codes.len(),
        }
    }
}

impl Strip {
    /// Samples in it, whatever its form.
    pub(crate) fn len(&self) -> usize {
        self.codes.len() + self.samples.len()
    }

    /// The law, where it is codes.
    pub(crate) fn law(&self) -> Option<Codec> {
        self.law
    }

    pub(crate) fn clear(&mut self) {
        self.codes.clear();
        self.samples.clear();
    }

    pub(crate) fn heard(&self) -> Heard<'_> {
        match self.law {
            Some(law) => Heard::Codes(law, &self.codes),
            None => Heard::Linear(&self.samples),
        }
    }

    /// It as samples.
    pub(crate) fn linear(&mut self) -> &mut Vec<i16> {
        if let Some(law) = self.law.take() {
            Decoder::new(law).decode(&self.codes, &mut self.samples);
            self.codes.clear();
        }
        &mut self.samples
    }

    /// It as codes of a law.
    pub(crate) fn codes(&mut self, law: Codec) -> &mut Vec<u8> {
        if self.law != Some(law) {
            self.linear();
            Encoder::new(law).encode(&self.samples, &mut self.codes);
            self.samples.clear();
            self.law = Some(law);
        }
        &mut self.codes
    }

    /// Puts more to its end, in the form of that.
    pub(crate) fn append(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Codes(law, codes) => self.codes(law).extend_from_slice(codes),
            Heard::Linear(samples) => self.linear().extend_from_slice(samples),
        }
    }

    /// Moves its first samples to the end of another, in its own form.
    pub(crate) fn pour(&mut self, samples: usize, into: &mut Self) {
        match self.law {
            Some(law) => take(&mut self.codes, samples, |codes| into.codes(law).extend_from_slice(codes)),
            None => take(&mut self.samples, samples, |samples| into.linear().extend_from_slice(samples)),
        }
    }
}

/// Takes the first so many of a list, as one piece.
pub(crate) fn take<T, R>(list: &mut Vec<T>, count: usize, by: impl FnOnce(&[T]) -> R) -> R {
    let taken = by(&list[..count]);
    list.drain(..count);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_its_form_and_not_what_is_heard() {
        for law in [Codec::Pcmu, Codec::Pcma] {
            // Each code but the negative zero of mu-law, which no sample becomes.
            let all: Vec<u8> = (0..=255).filter(|code| *code != 0x7f).collect();
            let mut samples = Vec::new();
            Decoder::new(law).decode(&all, &mut samples);
            let mut strip = Strip::default();
            strip.codes(law).extend(&all);
            assert_eq!(strip.heard(), Heard::Codes(law, &all));
            assert_eq!(*strip.linear(), samples);
            assert_eq!((strip.len(), strip.heard()), (samples.len(), Heard::Linear(&samples)));
            assert_eq!(*strip.codes(law), all);
        }
    }

    #[test]
    fn what_is_poured_keeps_its_order_and_its_form() {
        let (mut from, mut to) = (Strip::default(), Strip::default());
        to.linear().extend([8_031, -8_031]);
        from.codes(Codec::Pcmu).extend([0x8f, 0xff, 0x80]);
        from.pour(2, &mut to);
        // The segment to 2,015, 8,060 in 16 bits, ends with the codes 0xa0 and 0x20 (G.711 tables 2a and 2b).
        assert_eq!(to.heard(), Heard::Codes(Codec::Pcmu, &[0xa0, 0x20, 0x8f, 0xff]));
        assert_eq!(from.heard(), Heard::Codes(Codec::Pcmu, &[0x80]));
        from.linear();
        from.pour(1, &mut to);
        assert_eq!((from.len(), to.len()), (0, 5));
        assert!(matches!(to.heard(), Heard::Linear([.., 32_124])));
    }
}
