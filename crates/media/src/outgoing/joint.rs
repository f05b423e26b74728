//! Where one stored payload of G.722 ends and another begins.
//!
//! A decoder predicts each sample by the last ones, and by coefficients that it has learnt from them (`codec/g722.rs`). A
//! prompt was encoded for a decoder that has heard nothing. After another prompt it has, and hears the first tenth of a
//! second up to twice too loud. So the beginning is coded anew, for a decoder that has heard what this one has; and what is
//! encoded here after something that was not is encoded for such a one too.
//!
//! ```text
//!   said     …a stored payload├─ the next one, coded anew ─┼─ the next one, as it is stored …
//!   memory        └─ what both go by ┘
//! ```

use crate::codec::g722::{MEMORY, Recoder};
use crate::codec::{Codec, Encoder};

/// What the other end's decoder goes by.
#[derive(Debug, Default)]
pub(super) struct Joint {
    /// The last octets that were said, no more than [`MEMORY`].
    said: Vec<u8>,
    /// What codes stored payload anew, and how many octets of it are still to be.
    recoder: Option<(Recoder, usize)>,
    /// Whether the last octets came from somewhere else than our encoder, which does not go by them.
    is_out_of_step: bool,
}

impl Joint {
    /// Nothing has been said. None where decoders forget within a frame, or remember nothing.
    pub(super) fn of(codec: Codec) -> Option<Box<Self>> {
        (codec == Codec::G722).then(Box::default)
    }

    /// What is said next was made for a decoder that has heard nothing.
    pub(super) fn begin(&mut self) {
        self.recoder = (!self.said.is_empty()).then(|| (Recoder::after(&self.said), MEMORY));
    }

    /// Says stored payload.
    pub(super) fn say_stored(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        let anew = self.recoder.as_ref().map_or(0, |(_, left)| payload.len().min(*left));
        let (first, rest) = payload.split_at(anew);
        self.recoder = self.recoder.take().and_then(|(mut recoder, left)| {
            out.extend(first.iter().map(|&octet| recoder.recode(octet)));
            (left > anew).then_some((recoder, left - anew))
        });
        out.extend_from_slice(rest);
        self.said_beside_encoder(&out[from..]);
    }

    /// An encoder to go on with, where the one of before has not said the last.
    pub(super) fn encoder(&mut self) -> Option<Encoder> {
        std::mem::take(&mut self.is_out_of_step).then(|| {
            let mut encoder = Encoder::new(Codec::G722);
            encoder.follow(&self.said);
            encoder
        })
    }

    /// This has been said by our encoder.
    pub(super) fn said(&mut self, payload: &[u8]) {
        let from = payload.len().saturating_sub(MEMORY);
        self.said.extend_from_slice(&payload[from..]);
        self.said.drain(..self.said.len().saturating_sub(MEMORY));
    }

    /// This has been said, and not by our encoder.
    pub(super) fn said_beside_encoder(&mut self, payload: &[u8]) {
        self.said(payload);
        self.is_out_of_step |= !payload.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::codec::g722;
    use crate::codec::{Codec, Decoder};
    use crate::event::ActionId;
    use crate::file::Prompt;
    use crate::outgoing::Outgoing;
    use crate::play::Playback;

    /// 600 ms of speech at 16 kHz (`fixtures/codec/README.md`).
    fn speech() -> Vec<i16> {
        let bytes = include_bytes!("../../../../fixtures/codec/input-16k.s16");
        bytes.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect()
    }

    /// What a decoder hears that has heard all of it.
    fn heard(payload: &[u8]) -> Vec<i16> {
        let mut heard = Vec::new();
        Decoder::new(Codec::G722).decode(payload, &mut heard);
        heard
    }

    fn energy(samples: impl Iterator<Item = f64>) -> f64 {
        samples.map(|sample| sample * sample).sum()
    }

    /// What was said of these parts, one after the other, is what one encoder makes of all of them: in the two frames behind
    /// each joint it is 10 dB above what differs.
    #[track_caller]
    fn check(said: &[u8], parts: &[&[i16]]) {
        let mut whole = Vec::new();
        g722::Encoder::new().encode(&parts.concat(), &mut whole);
        let (ours, expected) = (heard(said), heard(&whole));
        let mut joint = 0;
        for part in &parts[..parts.len() - 1] {
            joint += part.len();
            for from in [joint, joint + 320] {
                let frame = from..from + 320;
                let signal = energy(expected[frame.clone()].iter().map(|&sample| sample.into()));
                let pairs = ours[frame.clone()].iter().zip(&expected[frame]);
                let noise = energy(pairs.map(|(&ours, &expected)| f64::from(ours) - f64::from(expected)));
                let ratio = 10.0 * (signal / noise).log10();
                assert!(ratio > 10.0, "{} ms: {ratio:.1} dB", from / 16);
            }
        }
    }

    /// Loud to its last sample, and loud from its first.
    fn halves() -> (Vec<i16>, Vec<i16>) {
        let speech = speech();
        let peak = (0..speech.len()).max_by_key(|&at| speech[at].unsigned_abs()).expect("samples");
        let (before, after) = speech.split_at(peak / 320 * 320);
        ([&speech, before].concat(), [after, &speech].concat())
    }

    fn said(outgoing: &mut Outgoing) -> Vec<u8> {
        let mut said = Vec::new();
        outgoing.packets(|payload, _| said.extend_from_slice(payload));
        said
    }

    #[test]
    fn a_prompt_after_another_is_heard_as_it_is() {
        let (first, second) = halves();
        let prompts: Vec<Arc<Prompt>> =
            [&first, &second, &first].map(|samples| Prompt::encode(samples, Codec::G722)).into();
        let mut playback = Playback::new(ActionId(1), prompts, 0);
        let mut outgoing = Outgoing::new(Codec::G722);
        let mut all = Vec::new();
        while playback.frame(&mut outgoing) {
            all.extend(said(&mut outgoing));
        }
        all.extend(said(&mut outgoing));
        check(&all, &[&first, &second, &first]);
    }

    #[test]
    fn what_is_said_after_a_prompt_is_heard_as_it_is() {
        let (first, second) = halves();
        let mut playback = Playback::new(ActionId(1), vec![Prompt::encode(&first, Codec::G722)], 0);
        let mut outgoing = Outgoing::new(Codec::G722);
        while playback.frame(&mut outgoing) {}
        second.chunks(320).for_each(|samples| outgoing.say(samples, 16_000));
        let all = said(&mut outgoing);
        check(&all, &[&first, &second]);
    }
}
