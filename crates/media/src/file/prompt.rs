//! A prompt: payload in one codec, made off the media threads, and played while it is still being made.
//!
//! ```text
//!   PromptWriter ──push──▶ ┌ 0.2 s ┬ 0.2 s ┬  0.4 s  ┬    0.8 s    ┬ …     each part is set once, then never changes
//!   (a loader's thread)    └───▲───┴───────┴─────────┴─────────────┴ …
//!                              └ read by any number of legs, without a lock
//! ```
//! Each part doubles what there is, so a few of them hold any prompt, and a loader that is twice as fast as the ear never
//! leaves it waiting.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::codec::{Codec, Encoder};

/// The first part, as a part of a second: 200 ms.
const FIRST_PART: u32 = 5;
/// Parts at most: 0.2 s doubled so often are 14 hours, seven times the longest prompt.
const PARTS: usize = 20;

/// A prompt, shared by every leg that plays it.
#[derive(Debug)]
pub struct Prompt {
    codec: Codec,
    /// Set in order, none of them empty.
    parts: [OnceLock<Box<[u8]>>; PARTS],
    /// Set when the last part has been.
    end: OnceLock<End>,
}

/// What is known of a prompt when all of it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// How many parts there are.
    parts: usize,
    /// Whether they are all that there should have been.
    is_whole: bool,
}

/// What is to be had of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Payload as streams of the codec are kept (`codec/stream.rs`).
    Payload(&'a [u8]),
    /// It is still being made.
    NotYet,
    /// That was all.
    End,
}

impl Prompt {
    fn empty(codec: Codec) -> Self {
        Self { codec, parts: Default::default(), end: OnceLock::new() }
    }

    /// A prompt of payload bytes that are already in `codec`, whole units of it.
    pub fn new(codec: Codec, payload: impl Into<Box<[u8]>>) -> Self {
        let prompt = Self::empty(codec);
        let payload = payload.into();
        let parts = usize::from(!payload.is_empty());
        if parts > 0 {
            prompt.parts[0].get_or_init(|| payload);
        }
        prompt.end.get_or_init(|| End { parts, is_whole: true });
        prompt
    }

    /// A prompt of all its samples, at the codec's rate.
    pub fn encode(samples: &[i16], codec: Codec) -> Arc<Self> {
        let mut writer = PromptWriter::new(codec);
        writer.push(samples);
        writer.finish()
    }

    /// The codec its payload is in.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether it is known to have no audio at all.
    pub fn is_empty(&self) -> bool {
        self.end.get().is_some_and(|end| end.parts == 0)
    }

    /// Whether it is known to end before it should: its file is damaged, or could not be read any further.
    pub fn is_cut_short(&self) -> bool {
        self.end.get().is_some_and(|end| !end.is_whole)
    }

    /// Whether all of it is made.
    pub fn is_complete(&self) -> bool {
        self.end.get().is_some()
    }

    /// The bytes of memory that its payload takes, so far.
    pub fn bytes(&self) -> usize {
        self.made().map(<[u8]>::len).sum()
    }

    /// How long it plays, so far.
    pub fn duration(&self) -> Duration {
        let samples: usize = self.made().map(|part| self.codec.samples_of_stream(part)).sum();
        Duration::from_micros(samples as u64 * 1_000_000 / u64::from(self.codec.sample_rate()))
    }

    /// The parts that are made.
    fn made(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map_while(OnceLock::get).map(AsRef::as_ref)
    }

    pub(crate) fn part(&self, index: usize) -> Part<'_> {
        match self.parts.get(index).and_then(OnceLock::get) {
            Some(payload) => Part::Payload(payload),
            None if self.end.get().is_none_or(|end| index < end.parts) => Part::NotYet,
            None => Part::End,
        }
    }
}

/// Makes a prompt, a few samples after the other. Dropped, it ends the prompt where it is, and that is cut short.
#[derive(Debug)]
pub struct PromptWriter {
    prompt: Arc<Prompt>,
    encoder: Encoder,
    /// Less than a unit.
    samples: Vec<i16>,
    /// Payload of the next part.
    payload: Vec<u8>,
    /// Parts that are set, and the samples in them.
    parts: usize,
    written: usize,
    is_whole: bool,
}

impl PromptWriter {
    /// A prompt of which nothing is made yet.
    pub fn new(codec: Codec) -> Self {
        Self {
            prompt: Arc::new(Prompt::empty(codec)),
            encoder: Encoder::new(codec),
            samples: Vec::new(),
            payload: Vec::new(),
            parts: 0,
            written: 0,
            is_whole: false,
        }
    }

    /// What is being made, to be played from now on.
    pub fn prompt(&self) -> &Arc<Prompt> {
        &self.prompt
    }

    /// Appends samples at the codec's rate. They can be heard once the part that they are in is full.
    pub fn push(&mut self, samples: &[i16]) {
        self.samples.extend_from_slice(samples);
        self.encode();
        let full = self.written.max((self.prompt.codec.sample_rate() / FIRST_PART) as usize);
        if self.prompt.codec.samples_of_stream(&self.payload) >= full && self.parts + 1 < PARTS {
            self.set_part();
        }
    }

    /// Ends the prompt: that was all.
    pub fn finish(mut self) -> Arc<Prompt> {
        self.is_whole = true;
        // The rest is done as it is dropped.
        Arc::clone(&self.prompt)
    }

    fn encode(&mut self) {
        let encoded = self.encoder.encode_units(&self.samples, &mut self.payload);
        self.samples.drain(..encoded);
    }

    fn set_part(&mut self) {
        self.written += self.prompt.codec.samples_of_stream(&self.payload);
        let payload = std::mem::take(&mut self.payload).into_boxed_slice();
        self.prompt.parts[self.parts].get_or_init(|| payload);
        self.parts += 1;
    }
}

impl Drop for PromptWriter {
    fn drop(&mut self) {
        let unit = self.prompt.codec.unit_samples();
        self.samples.resize(self.samples.len().next_multiple_of(unit), 0);
        self.encode();
        if !self.payload.is_empty() {
            self.set_part();
        }
        self.prompt.end.get_or_init(|| End { parts: self.parts, is_whole: self.is_whole });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(prompt: &Prompt) -> Vec<usize> {
        prompt.made().map(<[u8]>::len).collect()
    }

    #[test]
    fn parts_double_what_there_is() {
        let mut writer = PromptWriter::new(Codec::Pcmu);
        let prompt = Arc::clone(writer.prompt());
        assert_eq!((prompt.part(0), prompt.is_empty()), (Part::NotYet, false));
        for _ in 0..500 {
            writer.push(&[0; 100]);
        }
        assert_eq!(parts(&prompt), [1600, 1600, 3200, 6400, 12_800]);
        assert!(matches!(prompt.part(4), Part::Payload(_)));
        assert_eq!((prompt.part(5), prompt.is_complete()), (Part::NotYet, false));
        writer.finish();
        assert_eq!(parts(&prompt).last(), Some(&24_400));
        assert_eq!((prompt.part(6), prompt.is_complete()), (Part::End, true));
        assert_eq!((prompt.bytes(), prompt.duration()), (50_000, Duration::from_millis(6250)));
        assert!(!prompt.is_cut_short());
    }

    #[test]
    fn a_prompt_of_nothing_is_empty() {
        for prompt in [Prompt::encode(&[], Codec::Pcma), Arc::new(Prompt::new(Codec::Pcma, []))] {
            assert_eq!((prompt.part(0), prompt.is_empty(), prompt.bytes()), (Part::End, true, 0));
        }
    }

    #[test]
    fn a_loader_that_gives_up_ends_its_prompt() {
        let mut writer = PromptWriter::new(Codec::L16Wide);
        let prompt = Arc::clone(writer.prompt());
        writer.push(&[7; 10]);
        assert!(!prompt.is_cut_short(), "not yet");
        drop(writer);
        assert!(prompt.is_cut_short());
        assert_eq!(prompt.part(0), Part::Payload(&[0, 7].repeat(10)));
        assert_eq!(prompt.part(1), Part::End);
    }
}
