//! Audio on its way into packets: payload that is ready, or samples at any rate that are encoded here.
//!
//! ```text
//!   payload of prompts ──────────────────────────────┐
//!   samples ─▶ the codec's rate ─▶ whole units ─▶ encoder ─▶ payload ─▶ cut by the packet time
//! ```
//! Everything here lasts less than a packet, between two frames.

mod joint;

use self::joint::Joint;
use crate::codec::resample::{Resampler, resample_all};
use crate::codec::{Codec, Decoder, Encoder, opus};

/// The most payload bytes in a packet: with all headers of IPv6 it fits an Ethernet frame and what tunnels leave of one.
const MAX_BYTES: usize = 1320;
/// The lengths of one frame of Opus that are packet times as well, in milliseconds (RFC 6716 §2.1.4).
const OPUS_MS: [usize; 4] = [10, 20, 40, 60];

/// Audio that one leg says. What is needed of it in each frame is small, since each leg is brought into the caches for its own.
#[derive(Debug)]
pub(crate) struct Outgoing {
    codec: Codec,
    shape: Shape,
    payload: Vec<u8>,
    joint: Option<Box<Joint>>,
    /// Made when something is said for the first time that is not payload of the codec.
    coder: Option<Box<Coder>>,
}

/// The way to payload of the codec.
#[derive(Debug, Default)]
struct Coder {
    /// Made when samples are said for the first time.
    encoder: Option<Encoder>,
    /// From the rate of what is being said.
    resampler: Option<(u32, Resampler)>,
    /// Of payload in another codec, or in this one where it has to be encoded anew.
    decoder: Option<Decoder>,
    decoded: Vec<i16>,
    /// At the codec's rate, less than a unit between two calls.
    samples: Vec<i16>,
}

/// What the packets shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    ptime_ms: u8,
    opus: opus::Wishes,
    /// Packets of a hundred that the peer loses.
    loss: u8,
}

impl Outgoing {
    /// Nothing yet, for packets of 20 ms.
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            shape: Shape { ptime_ms: 20, opus: opus::Wishes::default(), loss: 0 },
            payload: Vec::new(),
            joint: Joint::of(codec),
            coder: None,
        }
    }

    /// The packets are as the peer wants them from now on.
    pub(crate) fn agree(&mut self, ptime_ms: u8, opus: opus::Wishes) {
        self.reshape(Shape { ptime_ms, opus, ..self.shape });
    }

    /// The peer loses so many packets of a hundred.
    pub(crate) fn expect_loss(&mut self, loss: u8) {
        self.reshape(Shape { loss, ..self.shape });
    }

    fn reshape(&mut self, shape: Shape) {
        if self.shape != shape {
            self.shape = shape;
            let samples = self.packet_samples();
            if let Some(encoder) = self.coder.as_mut().and_then(|coder| coder.encoder.as_mut()) {
                encoder.shape(shape.opus.settings(shape.loss), samples);
            }
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Goes on in another codec; what does not fill a packet yet goes along.
    pub(crate) fn recode(&mut self, codec: Codec) {
        let anew = Self { shape: self.shape, ..Self::new(codec) };
        let former = std::mem::replace(self, anew);
        if codec.transcodes(former.codec) {
            codec.transcode(former.codec, &former.payload, &mut self.payload);
            return;
        }
        let (from, to) = (former.codec.sample_rate(), codec.sample_rate());
        let (mut decoder, mut samples, mut at) = (Decoder::new(former.codec), Vec::new(), 0);
        while let Some(piece) = former.codec.piece(&former.payload[at..], former.codec.unit_samples()) {
            decoder.decode(piece.payload, &mut samples);
            at += piece.bytes;
        }
        samples.extend(former.coder.into_iter().flat_map(|coder| coder.samples));
        self.coder().samples = resample_all(&samples, from, to).unwrap_or_default();
        self.encode_what_waits();
    }

    /// The payload that is said next begins a stream: it does not go on from what was said before.
    pub(crate) fn begin_payload(&mut self) {
        if let Some(joint) = &mut self.joint {
            joint.begin();
        }
    }

    /// Says payload in `codec`: whole units of it, or a packet. It is decoded only where it has to be.
    pub(crate) fn say_payload(&mut self, codec: Codec, payload: &[u8]) {
        if codec == self.codec && self.takes_packets() {
            match &mut self.joint {
                Some(joint) => joint.say_stored(payload, &mut self.payload),
                None => codec.append(payload, &mut self.payload),
            }
        } else if codec != self.codec && self.codec.transcodes(codec) {
            self.codec.transcode(codec, payload, &mut self.payload);
        } else {
            let coder = self.coder();
            let kept = coder.decoder.take().filter(|decoder| decoder.codec() == codec);
            let mut decoded = std::mem::take(&mut coder.decoded);
            decoded.clear();
            coder.decoder.insert(kept.unwrap_or_else(|| Decoder::new(codec))).decode(payload, &mut decoded);
            self.say(&decoded, codec.sample_rate());
            self.coder().decoded = decoded;
        }
    }

    /// Whether payload of the codec goes out as it was made: what can be cut anywhere always, a packet of Opus if it is as
    /// the peer wants it.
    fn takes_packets(&self) -> bool {
        let is_usual = self.packet_samples() == self.codec.frame_samples();
        self.codec.unit().is_some() || is_usual && self.shape.opus.take_anything()
    }

    /// Says samples at `rate`.
    pub(crate) fn say(&mut self, samples: &[i16], rate: u32) {
        let to = self.codec.sample_rate();
        let coder = self.coder();
        if rate == to && coder.samples.is_empty() {
            // From where they are; what is no whole unit waits.
            let encoded = self.encode(samples);
            self.coder().samples.extend_from_slice(&samples[encoded..]);
            return;
        }
        if rate == to {
            coder.samples.extend_from_slice(samples);
        } else {
            let kept = coder.resampler.take().filter(|(from, _)| *from == rate);
            let resampler = kept.or_else(|| Some((rate, Resampler::new(rate, to)?)));
            coder.resampler = resampler.map(|(rate, mut resampler)| {
                resampler.push(samples, &mut coder.samples);
                (rate, resampler)
            });
        }
        self.encode_what_waits();
    }

    /// Says silence that lasts so many samples of the codec, whole units or packets. What is still in a filter comes first.
    pub(crate) fn say_silence(&mut self, samples: usize) {
        if let Some((rate, _)) = self.coder.as_ref().and_then(|coder| coder.resampler.as_ref()) {
            let (rate, to) = (*rate, self.codec.sample_rate());
            return self.say(&vec![0; samples * rate as usize / to as usize], rate);
        }
        let silence = self.codec.silence();
        match self.codec.unit() {
            Some(unit) => {
                let from = self.payload.len();
                let bytes = samples / unit.samples * unit.bytes;
                self.payload.extend(silence.iter().cycle().take(bytes));
                if let Some(joint) = &mut self.joint {
                    joint.said_beside_encoder(&self.payload[from..]);
                }
            }
            None if self.takes_packets() => (0..samples / self.codec.frame_samples())
                .for_each(|_| self.codec.append(silence, &mut self.payload)),
            None => {
                let waiting = &mut self.coder().samples;
                waiting.resize(waiting.len() + samples, 0);
                self.encode_what_waits();
            }
        }
    }

    /// Fills the last packet with silence: nothing comes after it.
    pub(crate) fn fill_up(&mut self) {
        let full = self.packet_samples();
        if self.has_samples() {
            let unit = self.codec.unit().map_or(full, |unit| unit.samples);
            let Coder { resampler, samples, .. } = self.coder();
            if let Some((_, resampler)) = resampler.take() {
                resampler.finish(samples);
            }
            samples.resize(samples.len().next_multiple_of(unit), 0);
            self.encode_what_waits();
        }
        if self.codec.unit().is_some() {
            let samples = self.codec.samples_of_stream(&self.payload);
            self.say_silence(samples.next_multiple_of(full) - samples);
        }
    }

    /// Whether samples wait that are no payload yet.
    pub(crate) fn has_samples(&self) -> bool {
        self.coder.as_ref().is_some_and(|coder| !coder.samples.is_empty() || coder.resampler.is_some())
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.payload.is_empty() && !self.has_samples()
    }

    /// Hands out each packet that is full: its payload, and the samples that it lasts. One without payload is not to be
    /// sent.
    pub(crate) fn packets(&mut self, packet: impl FnMut(&[u8], usize)) {
        self.cut().packets(&mut self.payload, packet);
    }

    /// Takes memory for payload, where there is none.
    pub(crate) fn lend(&mut self, memory: &mut Memory) {
        if self.payload.capacity() == 0 {
            self.payload = memory.0.take().unwrap_or_default();
        }
    }

    /// Takes the payload that waits, and how it is cut; what that leaves is to be given back.
    pub(crate) fn take_payload(&mut self) -> (Cut, Vec<u8>) {
        (self.cut(), std::mem::take(&mut self.payload))
    }

    /// Takes the rest of a payload back; where nothing is left, its memory is for whoever speaks next.
    pub(crate) fn give_back(&mut self, payload: Vec<u8>, memory: &mut Memory) {
        if payload.is_empty() && memory.0.is_none() {
            memory.0 = Some(payload);
        } else {
            self.payload = payload;
        }
    }

    fn coder(&mut self) -> &mut Coder {
        self.coder.get_or_insert_default()
    }

    fn cut(&self) -> Cut {
        let least = if self.codec == Codec::Opus && self.shape.opus.dtx { opus::DTX_OCTETS } else { 0 };
        Cut { codec: self.codec, full: self.packet_samples(), least }
    }

    fn encode_what_waits(&mut self) {
        let mut samples = std::mem::take(&mut self.coder().samples);
        let encoded = self.encode(&samples);
        samples.drain(..encoded);
        self.coder().samples = samples;
    }

    /// Encodes the whole units at the beginning. Returns how many samples those are.
    fn encode(&mut self, samples: &[i16]) -> usize {
        let (shape, full) = (self.shape, self.packet_samples());
        let Coder { encoder, .. } = &mut **self.coder.get_or_insert_default();
        if let Some(anew) = self.joint.as_mut().and_then(|joint| joint.encoder()) {
            *encoder = Some(anew);
        }
        let from = self.payload.len();
        let encoder = encoder.get_or_insert_with(|| {
            let mut encoder = Encoder::new(self.codec);
            encoder.shape(shape.opus.settings(shape.loss), full);
            encoder
        });
        let encoded = encoder.encode_units(samples, &mut self.payload);
        if let Some(joint) = &mut self.joint {
            joint.said(&self.payload[from..]);
        }
        encoded
    }

    /// Samples in a packet: of the packet time, but at least a unit, and no more than a datagram holds. A packet of Opus
    /// has one of the lengths that it can have (RFC 7587 §6.1).
    fn packet_samples(&self) -> usize {
        let ptime_ms = usize::from(self.shape.ptime_ms.clamp(10, 60));
        let of_ms = |ms: usize| ms * self.codec.sample_rate() as usize / 1000;
        let Some(unit) = self.codec.unit() else {
            let length = OPUS_MS.into_iter().rfind(|&ms| ms <= ptime_ms);
            return of_ms(length.unwrap_or(OPUS_MS[0]));
        };
        let units = |ms: usize| of_ms(ms) / unit.samples;
        let longest = (1..=6).map(|tens| units(tens * 10)).rfind(|units| units * unit.bytes <= MAX_BYTES);
        units(ptime_ms).min(longest.unwrap_or_default()).max(1) * unit.samples
    }
}

/// Memory for the payload of one leg after the other: what each has said lately is in the caches then, and memory of its own
/// would not be.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<Vec<u8>>);

/// How payload is cut into packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    codec: Codec,
    /// Samples in a packet.
    full: usize,
    /// Payload that is no longer than this says only that there is nothing to say.
    least: usize,
}

impl Cut {
    /// As [`Outgoing::packets`], of a payload that was taken.
    pub(crate) fn packets(self, payload: &mut Vec<u8>, mut packet: impl FnMut(&[u8], usize)) {
        let Self { codec, full, least } = self;
        let mut at = 0;
        while let Some(piece) = codec.piece(&payload[at..], full) {
            if piece.samples < full && codec.unit().is_some() {
                break;
            }
            let said = if piece.payload.len() > least { piece.payload } else { &[] };
            packet(said, piece.samples);
            at += piece.bytes;
        }
        payload.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the packets that so many frames of a rate become, the last one filled up.
    fn packets(codec: Codec, ptime_ms: u8, rate: u32, frames: usize) -> Vec<usize> {
        let mut outgoing = Outgoing::new(codec);
        outgoing.agree(ptime_ms, opus::Wishes::default());
        let mut lengths = Vec::new();
        for _ in 0..frames {
            outgoing.say(&vec![100; rate as usize / 50], rate);
            outgoing.packets(|payload, samples| {
                assert_eq!(codec.samples_in(payload), Some(samples));
                lengths.push(payload.len());
            });
        }
        outgoing.fill_up();
        outgoing.packets(|payload, _| lengths.push(payload.len()));
        assert!(outgoing.is_empty());
        lengths
    }

    #[test]
    fn the_packet_time_decides_how_much_is_in_a_packet() {
        assert_eq!(packets(Codec::Pcmu, 20, 8000, 3), [160; 3]);
        assert_eq!(packets(Codec::Pcmu, 30, 8000, 3), [240; 2]);
        assert_eq!(packets(Codec::Pcma, 60, 8000, 4), [480; 2]);
        assert_eq!(packets(Codec::L16Narrow, 10, 8000, 2), [160; 4]);
        assert_eq!(packets(Codec::L16Wide, 20, 16_000, 2), [640; 2]);
        assert_eq!(packets(Codec::L16Wide, 60, 16_000, 6), [1280; 3], "no longer than a datagram holds");
    }

    #[test]
    fn samples_of_any_rate_last_as_long() {
        for (codec, frame) in [(Codec::Pcmu, 160), (Codec::L16Wide, 640)] {
            for rate in [8000, 16_000, 48_000] {
                assert_eq!(packets(codec, 20, rate, 10), vec![frame; 10], "{codec:?} from {rate}");
            }
        }
    }

    #[test]
    fn what_waits_goes_on_in_another_codec() {
        let mut outgoing = Outgoing::new(Codec::Pcmu);
        // mu-law 0xaf is 4092 (G.711 table 2a: 1023, in units of 1/8159 of which each is four).
        outgoing.say_payload(Codec::Pcmu, &[0xaf; 80]);
        outgoing.recode(Codec::L16Narrow);
        outgoing.fill_up();
        let mut sent = Vec::new();
        outgoing.packets(|payload, _| sent.extend_from_slice(payload));
        assert_eq!(sent, [[0x0f, 0xfc].repeat(80), vec![0; 160]].concat());
    }
}
