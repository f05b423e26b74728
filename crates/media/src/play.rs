//! A list of prompts on its way out: slices of payload that was encoded once, without a gap from one to the next.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::Codec;
use crate::event::ActionId;
use crate::file::Prompt;
use crate::samples_to_duration;

/// Prompts being played.
#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) action: ActionId,
    /// None of them empty, so that every turn of the list makes headway.
    prompts: Vec<Arc<Prompt>>,
    /// Turns of the list after this one.
    repeat: u32,
    index: usize,
    offset: usize,
    /// Samples of prompts that went out.
    played: u64,
}

impl Playback {
    pub(crate) fn new(action: ActionId, mut prompts: Vec<Arc<Prompt>>, repeat: u32) -> Self {
        prompts.retain(|prompt| !prompt.payload().is_empty());
        Self { action, prompts, repeat, index: 0, offset: 0, played: 0 }
    }

    /// How much went out, repetitions included.
    pub(crate) fn played(&self) -> Duration {
        samples_to_duration(self.played)
    }

    /// Appends the next `samples` in `codec` to `out`, silence past the end, and nothing if there was nothing to play.
    /// Returns whether there is more.
    pub(crate) fn fill(&mut self, codec: Codec, samples: usize, out: &mut Vec<u8>) -> bool {
        if self.is_over() {
            return false;
        }
        let end = out.len() + samples;
        while out.len() < end && !self.is_over() {
            let prompt = &self.prompts[self.index];
            let rest = &prompt.payload()[self.offset..];
            let part = rest.len().min(end - out.len());
            codec.transcode(prompt.codec(), &rest[..part], out);
            self.offset += part;
            self.played += part as u64;
        }
        out.resize(end, codec.silence());
        !self.is_over()
    }

    /// Goes on to the next prompt where one is through; whether all are.
    fn is_over(&mut self) -> bool {
        let Some(prompt) = self.prompts.get(self.index) else { return true };
        if self.offset < prompt.payload().len() {
            return false;
        }
        if self.index + 1 < self.prompts.len() {
            (self.index, self.offset) = (self.index + 1, 0);
            return false;
        }
        match self.repeat.checked_sub(1) {
            None => true,
            Some(left) => {
                (self.repeat, self.index, self.offset) = (left, 0, 0);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prompts: &[&[u8]], repeat: u32, expected: &[&[u8]]) {
        let list = prompts.iter().map(|payload| Arc::new(Prompt::new(Codec::Pcmu, *payload))).collect();
        let mut playback = Playback::new(ActionId(1), list, repeat);
        for (index, expected_frame) in expected.iter().enumerate() {
            let mut frame = Vec::new();
            let more = playback.fill(Codec::Pcmu, 4, &mut frame);
            assert_eq!(frame, *expected_frame, "frame {index}");
            assert_eq!(more, index + 1 < expected.len(), "after frame {index}");
        }
        let samples =
            prompts.iter().map(|payload| payload.len() as u64).sum::<u64>() * (u64::from(repeat) + 1);
        assert_eq!(playback.played(), Duration::from_micros(125 * samples));
    }

    #[test]
    fn lists_and_repetitions_have_no_gap() {
        check(&[&[1, 2, 3, 4]], 0, &[&[1, 2, 3, 4]]);
        check(&[&[1, 2, 3]], 0, &[&[1, 2, 3, 0xff]]);
        check(&[&[1, 2, 3], &[], &[4, 5]], 1, &[&[1, 2, 3, 4], &[5, 1, 2, 3], &[4, 5, 0xff, 0xff]]);
        check(&[&[7]], 5, &[&[7, 7, 7, 7], &[7, 7, 0xff, 0xff]]);
        check(&[], 9, &[&[]]);
        check(&[&[], &[]], u32::MAX, &[&[]]);
    }

    #[test]
    fn a_prompt_in_the_other_law_is_converted() {
        // +4 kHz digital milliwatt values: mu-law 0x1e is a-law 0x34 (G.711 table 5 and 6: the same level).
        let mut playback = Playback::new(ActionId(1), vec![Arc::new(Prompt::new(Codec::Pcmu, [0x1e]))], 0);
        let mut frame = Vec::new();
        playback.fill(Codec::Pcma, 2, &mut frame);
        assert_eq!(frame, [0x34, 0xd5]);
    }
}
