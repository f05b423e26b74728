//! A list of prompts on its way out: payload that was encoded once, without a gap from one to the next.
//!
//! What is in another codec than the leg's, because that has changed since, is decoded and encoded on its way out.
//! A prompt that is still being made and not far enough is waited for in silence, which does not count as played.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::{FRAME_TICKS, TICKS};
use crate::event::ActionId;
use crate::file::{Part, Prompt};
use crate::outgoing::Outgoing;

/// Prompts being played.
#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) action: ActionId,
    /// Whether it ends with the first that is heard of another party.
    pub(crate) yields: bool,
    prompts: Vec<Arc<Prompt>>,
    /// Turns of the list after this one.
    repeat: u32,
    /// The prompt of the list, its part, and the byte of that, to be played next. The prompt is kept here too, as the list is
    /// memory of its own, which has left the caches by the next frame.
    prompt: Option<Arc<Prompt>>,
    index: usize,
    part: usize,
    offset: usize,
    /// Ticks played in this turn, and in all. A turn that plays nothing is the last.
    turn: u64,
    played: u64,
    /// Ticks that the last frame had more than its time, as units may be longer than what was left of it.
    ahead: usize,
}

impl Playback {
    pub(crate) fn new(action: ActionId, prompts: Vec<Arc<Prompt>>, repeat: u32) -> Self {
        let prompt = prompts.first().cloned();
        Self {
            action,
            yields: false,
            prompts,
            repeat,
            prompt,
            index: 0,
            part: 0,
            offset: 0,
            turn: 0,
            played: 0,
            ahead: 0,
        }
    }

    /// Reads something of what the next frame needs, to bring it into the caches.
    pub(crate) fn fetch(&self) -> bool {
        let part = self.prompt.as_ref().map(|prompt| prompt.part(self.part));
        let payload =
            part.and_then(|part| if let Part::Payload(part) = part { part.get(self.offset) } else { None });
        (payload == Some(&0)) ^ (self.played == 0)
    }

    /// How much went out, repetitions included.
    pub(crate) fn played(&self) -> Duration {
        Duration::from_micros(self.played.saturating_mul(1_000_000) / u64::from(TICKS))
    }

    /// Says the next frame, with silence past the end; nothing if there was nothing to play. Returns whether there is
    /// more.
    pub(crate) fn frame(&mut self, out: &mut Outgoing) -> bool {
        let mut left = FRAME_TICKS.saturating_sub(self.ahead);
        self.ahead = self.ahead.saturating_sub(FRAME_TICKS);
        if !self.goes_on() {
            return false;
        }
        while left > 0 {
            // Not by a reference that is counted: all who play it on all threads would wait for the place of the count.
            let Some(prompt) = &self.prompt else { break };
            let Part::Payload(part) = prompt.part(self.part) else { break };
            let codec = prompt.codec();
            let wanted = left.div_ceil(codec.sample_ticks());
            let Some(piece) = codec.piece(&part[self.offset..], wanted) else { break };
            if (self.part, self.offset) == (0, 0) {
                out.begin_payload();
            }
            out.say_payload(codec, piece.payload);
            self.offset += piece.bytes;
            let ticks = piece.samples * codec.sample_ticks();
            self.turn += ticks as u64;
            self.played += ticks as u64;
            self.ahead += ticks.saturating_sub(left);
            left = left.saturating_sub(ticks);
            if !self.goes_on() {
                break;
            }
        }
        if left > 0 {
            out.say_silence(left / out.codec().sample_ticks());
        }
        self.goes_on()
    }

    /// Goes on to the prompt and the part that are to be played next, which have payload or will have; `false` if all are
    /// through.
    fn goes_on(&mut self) -> bool {
        // Ends: every step goes on by a part or a prompt, and a turn in which nothing was played is the last.
        loop {
            let Some(prompt) = &self.prompt else {
                let more = self.turn > 0 && self.repeat > 0;
                if !more {
                    return false;
                }
                self.repeat -= 1;
                self.turn = 0;
                self.turn_to(0);
                continue;
            };
            match prompt.part(self.part) {
                Part::Payload(part) if self.offset < part.len() => return true,
                Part::Payload(_) => (self.part, self.offset) = (self.part + 1, 0),
                Part::NotYet => return true,
                Part::End => self.turn_to(self.index + 1),
            }
        }
    }

    /// Goes to the beginning of a prompt of the list.
    fn turn_to(&mut self, index: usize) {
        self.prompt = self.prompts.get(index).cloned();
        (self.index, self.part, self.offset) = (index, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::file::PromptWriter;

    /// The payload of each frame, until the end.
    fn frames(playback: &mut Playback, codec: Codec) -> Vec<Vec<u8>> {
        let mut out = Outgoing::new(codec);
        let mut frames = Vec::new();
        loop {
            let more = playback.frame(&mut out);
            out.packets(|payload, _| frames.push(payload.to_vec()));
            if !more {
                return frames;
            }
        }
    }

    fn payload(byte: u8, length: usize) -> Vec<u8> {
        vec![byte; length]
    }

    fn check(prompts: &[Vec<u8>], repeat: u32, expected: &[Vec<u8>]) {
        let list = prompts.iter().map(|payload| Arc::new(Prompt::new(Codec::Pcmu, &payload[..]))).collect();
        let mut playback = Playback::new(ActionId(1), list, repeat);
        assert_eq!(frames(&mut playback, Codec::Pcmu), expected);
        let samples = prompts.iter().map(|payload| payload.len() as u64).sum::<u64>();
        let turns = if samples == 0 { 0 } else { u64::from(repeat) + 1 };
        assert_eq!(playback.played(), Duration::from_micros(125 * samples * turns));
    }

    #[test]
    fn lists_and_repetitions_have_no_gap() {
        check(&[payload(1, 160)], 0, &[payload(1, 160)]);
        check(&[payload(1, 120)], 0, &[[payload(1, 120), payload(0xff, 40)].concat()]);
        check(
            &[payload(1, 120), vec![], payload(2, 80)],
            1,
            &[
                [payload(1, 120), payload(2, 40)].concat(),
                [payload(2, 40), payload(1, 120)].concat(),
                [payload(2, 80), payload(0xff, 80)].concat(),
            ],
        );
        check(&[payload(7, 40)], 5, &[payload(7, 160), [payload(7, 80), payload(0xff, 80)].concat()]);
        check(&[], 9, &[]);
        check(&[vec![], vec![]], u32::MAX, &[]);
    }

    #[test]
    fn a_prompt_in_the_other_law_is_converted() {
        // +4 kHz digital milliwatt values: mu-law 0x1e is a-law 0x34 (G.711 table 5 and 6: the same level).
        let mut playback = Playback::new(ActionId(1), vec![Arc::new(Prompt::new(Codec::Pcmu, [0x1e]))], 0);
        let frames = frames(&mut playback, Codec::Pcma);
        assert_eq!(frames, [[vec![0x34], payload(0xd5, 159)].concat()]);
    }

    #[test]
    fn a_prompt_at_another_rate_lasts_as_long() {
        let prompt = Prompt::encode(&[1000; 16_000], Codec::L16Wide);
        let mut playback = Playback::new(ActionId(1), vec![prompt], 1);
        let mut out = Outgoing::new(Codec::L16Narrow);
        let mut sent = 0;
        while playback.frame(&mut out) {
            out.packets(|_, samples| sent += samples);
        }
        out.fill_up();
        out.packets(|_, samples| sent += samples);
        assert_eq!((sent, playback.played()), (16_000, Duration::from_secs(2)));
    }

    #[test]
    fn a_prompt_that_is_not_made_yet_is_waited_for_in_silence() {
        let mut writer = PromptWriter::new(Codec::L16Narrow);
        let mut playback = Playback::new(ActionId(1), vec![Arc::clone(writer.prompt())], 0);
        let mut out = Outgoing::new(Codec::L16Narrow);
        let mut frame = |playback: &mut Playback| {
            let more = playback.frame(&mut out);
            let mut sent = Vec::new();
            out.packets(|payload, _| sent.extend_from_slice(payload));
            (sent, more)
        };
        assert_eq!(frame(&mut playback), (payload(0, 320), true));
        writer.push(&[0x0101; 1680]);
        for _ in 0..10 {
            assert_eq!(frame(&mut playback), (payload(1, 320), true));
        }
        // The first part had all of it, as pushed at once; now nothing, then the rest.
        let rest = [payload(1, 160), payload(0, 160)].concat();
        assert_eq!(frame(&mut playback), (rest, true));
        assert_eq!(frame(&mut playback), (payload(0, 320), true));
        writer.push(&[0x0202; 40]);
        writer.finish();
        assert_eq!(frame(&mut playback), ([payload(2, 80), payload(0, 240)].concat(), false));
        assert_eq!(playback.played(), Duration::from_millis(215));
    }
}
