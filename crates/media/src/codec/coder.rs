//! The two ways through a codec, each a value with what that codec remembers from packet to packet.

use super::{Codec, g722, gsm, pcma, pcmu};

/// Samples of one stream to its payload.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    memory: EncoderMemory,
}

#[derive(Debug)]
enum EncoderMemory {
    None,
    G722(Box<g722::Encoder>),
    Gsm(Box<gsm::Encoder>),
}

impl Encoder {
    /// An encoder that has encoded nothing.
    pub fn new(codec: Codec) -> Self {
        let memory = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide => EncoderMemory::None,
            Codec::G722 => EncoderMemory::G722(Box::default()),
            Codec::Gsm => EncoderMemory::Gsm(Box::default()),
        };
        Self { codec, memory }
    }

    /// The codec it encodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload of `samples`, a whole number of units of the codec, to `out`.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match (self.codec, &mut self.memory) {
            (_, EncoderMemory::G722(coder)) => coder.encode(samples, out),
            (_, EncoderMemory::Gsm(coder)) => coder.encode(samples, out),
            (Codec::Pcmu, _) => out.extend(samples.iter().map(|&sample| pcmu::encode(sample))),
            (Codec::Pcma, _) => out.extend(samples.iter().map(|&sample| pcma::encode(sample))),
            (_, EncoderMemory::None) => {
                out.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
            }
        }
    }
}

/// Payload of one stream to its samples.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    memory: DecoderMemory,
}

#[derive(Debug)]
enum DecoderMemory {
    None,
    G722(Box<g722::Decoder>),
    Gsm(Box<gsm::Decoder>),
}

impl Decoder {
    /// A decoder that has decoded nothing.
    pub fn new(codec: Codec) -> Self {
        let memory = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide => DecoderMemory::None,
            Codec::G722 => DecoderMemory::G722(Box::default()),
            Codec::Gsm => DecoderMemory::Gsm(Box::default()),
        };
        Self { codec, memory }
    }

    /// The codec it decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the samples of a payload to `out`: as many as [`Codec::samples_in`] says, whatever its bytes are. A
    /// payload that is none gives nothing.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        match (self.codec, &mut self.memory) {
            (_, DecoderMemory::G722(coder)) => coder.decode(payload, out),
            (_, DecoderMemory::Gsm(coder)) => coder.decode(payload, out),
            (Codec::Pcmu, _) => out.extend(payload.iter().map(|&code| pcmu::DECODED[usize::from(code)])),
            (Codec::Pcma, _) => out.extend(payload.iter().map(|&code| pcma::DECODED[usize::from(code)])),
            (_, DecoderMemory::None) => {
                let (samples, _) = payload.as_chunks::<2>();
                out.extend(samples.iter().map(|&bytes| i16::from_be_bytes(bytes)));
            }
        }
    }
}
