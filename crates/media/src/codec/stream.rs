//! Payload one after the other, as prompts and packets in the making are kept: of codecs that are made of units, simply
//! that; of Opus, each packet behind its length.
//!
//! ```text
//!   PCMU   ▏ payload …                                    cut anywhere
//!   Opus   ▏ length ▏ packet ▏ length ▏ packet ▏ …        cut between packets
//! ```

use super::Codec;

/// The bytes of a length.
const LENGTH: usize = 2;

/// The beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// What it takes of the stream.
    pub(crate) bytes: usize,
    /// What a packet has of it.
    pub(crate) payload: &'a [u8],
    pub(crate) samples: usize,
}

impl Codec {
    /// A piece off the beginning of `stream` that lasts so many samples, rounded up to whole units, or what there is. Of
    /// Opus, the next packet, however long. Nothing where the stream is at its end.
    pub(crate) fn piece(self, stream: &[u8], samples: usize) -> Option<Piece<'_>> {
        let Some(unit) = self.unit() else {
            let (length, rest) = stream.split_first_chunk::<LENGTH>()?;
            let payload = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
            let samples = self.samples_in(payload)?;
            return Some(Piece { bytes: LENGTH + payload.len(), payload, samples });
        };
        let units = samples.div_ceil(unit.samples).min(stream.len() / unit.bytes);
        let payload = &stream[..units * unit.bytes];
        (units > 0).then_some(Piece { bytes: payload.len(), payload, samples: units * unit.samples })
    }

    /// Appends the payload of a packet to `stream`.
    pub(crate) fn append(self, payload: &[u8], stream: &mut Vec<u8>) {
        if self.unit().is_none() {
            let Ok(length) = u16::try_from(payload.len()) else { return };
            stream.extend(length.to_be_bytes());
        }
        stream.extend_from_slice(payload);
    }

    /// How many samples a stream lasts.
    pub(crate) fn samples_of_stream(self, stream: &[u8]) -> usize {
        if let Some(unit) = self.unit() {
            return stream.len() / unit.bytes * unit.samples;
        }
        let (mut at, mut samples) = (0, 0);
        while let Some(piece) = stream.get(at..).and_then(|rest| self.piece(rest, 1)) {
            (at, samples) = (at + piece.bytes, samples + piece.samples);
        }
        samples
    }
}
