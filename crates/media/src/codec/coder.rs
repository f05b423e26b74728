//! The two ways through a codec, each a value with what that codec remembers from packet to packet.

use super::{Codec, pcma, pcmu};

/// Samples of one stream to its payload.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
}

impl Encoder {
    /// An encoder that has encoded nothing.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// The codec it encodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload of `samples`, a whole number of units of the codec, to `out`.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match self.codec {
            Codec::Pcmu => out.extend(samples.iter().map(|&sample| pcmu::encode(sample))),
            Codec::Pcma => out.extend(samples.iter().map(|&sample| pcma::encode(sample))),
            Codec::L16Narrow | Codec::L16Wide => {
                out.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
            }
        }
    }
}

/// Payload of one stream to its samples.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
}

impl Decoder {
    /// A decoder that has decoded nothing.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// The codec it decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the samples of a payload to `out`: as many as [`Codec::samples_in`] says, whatever its bytes are. A
    /// payload that is none gives nothing.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        match self.codec {
            Codec::Pcmu => out.extend(payload.iter().map(|&code| pcmu::DECODED[usize::from(code)])),
            Codec::Pcma => out.extend(payload.iter().map(|&code| pcma::DECODED[usize::from(code)])),
            Codec::L16Narrow | Codec::L16Wide => {
                let (samples, _) = payload.as_chunks::<2>();
                out.extend(samples.iter().map(|&bytes| i16::from_be_bytes(bytes)));
            }
        }
    }
}
