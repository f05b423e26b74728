//! The two ways through a codec, each a value with what that codec remembers from packet to packet.

use super::{Codec, g722, gsm, opus, pcma, pcmu};

/// Samples of one stream to its payload.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    memory: EncoderMemory,
    /// Samples that are encoded at once.
    unit: usize,
    /// Of a codec whose packets are whole.
    packet: Vec<u8>,
}

#[derive(Debug)]
enum EncoderMemory {
    None,
    G722(Box<g722::Encoder>),
    Gsm(Box<gsm::Encoder>),
    #[cfg(feature = "opus")]
    Opus(Box<opus::Encoder>),
}

impl Encoder {
    /// An encoder that has encoded nothing.
    pub fn new(codec: Codec) -> Self {
        let memory = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide => EncoderMemory::None,
            Codec::G722 => EncoderMemory::G722(Box::default()),
            Codec::Gsm => EncoderMemory::Gsm(Box::default()),
            #[cfg(feature = "opus")]
            Codec::Opus => {
                let encoder = opus::Encoder::new(opus::SAMPLE_RATE, 1, opus::Settings::default());
                EncoderMemory::Opus(Box::new(encoder.expect("libopus has memory, or nothing has")))
            }
            #[cfg(not(feature = "opus"))]
            Codec::Opus => EncoderMemory::None,
        };
        Self { codec, memory, unit: codec.unit_samples(), packet: Vec::new() }
    }

    /// Encodes so from now on, where the codec is Opus: packets of so many samples, a length that it has.
    #[cfg_attr(not(feature = "opus"), allow(unused_variables, reason = "no other codec has a choice"))]
    pub(crate) fn shape(&mut self, settings: opus::Settings, samples: usize) {
        #[cfg(feature = "opus")]
        if let EncoderMemory::Opus(coder) = &mut self.memory {
            self.unit = samples;
            // Out of range they would be those of before.
            coder.set(settings).unwrap_or_default();
        }
    }

    /// The codec it encodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Goes on from what the other end has heard, which another encoder has made. Those that remember nothing, or forget
    /// within a frame, need not know.
    pub(crate) fn follow(&mut self, heard: &[u8]) {
        if let EncoderMemory::G722(coder) = &mut self.memory {
            coder.follow(heard);
        }
    }

    /// Appends the payload of `samples`, a whole number of units of the codec, to `out`; of Opus, one packet.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match (self.codec, &mut self.memory) {
            (_, EncoderMemory::G722(coder)) => coder.encode(samples, out),
            (_, EncoderMemory::Gsm(coder)) => coder.encode(samples, out),
            #[cfg(feature = "opus")]
            // What is no packet's length is not to be had.
            (_, EncoderMemory::Opus(coder)) => coder.encode(samples, out).unwrap_or_default(),
            (Codec::Pcmu, _) => out.extend(samples.iter().map(|&sample| pcmu::encode(sample))),
            (Codec::Pcma, _) => out.extend(samples.iter().map(|&sample| pcma::encode(sample))),
            (Codec::L16Narrow | Codec::L16Wide, _) => {
                out.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
            }
            (_, EncoderMemory::None) => {}
        }
    }
}

impl Encoder {
    /// Appends the whole units at the beginning of `samples` to `stream`, as payload is kept there. Returns how many samples
    /// those are.
    pub(crate) fn encode_units(&mut self, samples: &[i16], stream: &mut Vec<u8>) -> usize {
        let unit = self.unit;
        let whole = samples.len() / unit * unit;
        if self.codec.unit().is_some() {
            self.encode(&samples[..whole], stream);
        } else {
            for frame in samples[..whole].chunks_exact(unit) {
                self.packet.clear();
                let mut packet = std::mem::take(&mut self.packet);
                self.encode(frame, &mut packet);
                self.codec.append(&packet, stream);
                self.packet = packet;
            }
        }
        whole
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
    #[cfg(feature = "opus")]
    Opus(Box<opus::Decoder>),
}

impl Decoder {
    /// A decoder that has decoded nothing.
    pub fn new(codec: Codec) -> Self {
        let memory = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide => DecoderMemory::None,
            Codec::G722 => DecoderMemory::G722(Box::default()),
            Codec::Gsm => DecoderMemory::Gsm(Box::default()),
            #[cfg(feature = "opus")]
            Codec::Opus => {
                let decoder = opus::Decoder::new(opus::SAMPLE_RATE);
                DecoderMemory::Opus(Box::new(decoder.expect("libopus has memory, or nothing has")))
            }
            #[cfg(not(feature = "opus"))]
            Codec::Opus => DecoderMemory::None,
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
            #[cfg(feature = "opus")]
            (_, DecoderMemory::Opus(coder)) => {
                let end = out.len() + self.codec.samples_in(payload).unwrap_or_default();
                // Bytes that mean nothing are silence.
                let _ = coder.decode(payload, out);
                out.resize(end, 0);
            }
            (Codec::Pcmu, _) => out.extend(payload.iter().map(|&code| pcmu::DECODED[usize::from(code)])),
            (Codec::Pcma, _) => out.extend(payload.iter().map(|&code| pcma::DECODED[usize::from(code)])),
            (Codec::L16Narrow | Codec::L16Wide, _) => {
                let (samples, _) = payload.as_chunks::<2>();
                out.extend(samples.iter().map(|&bytes| i16::from_be_bytes(bytes)));
            }
            (_, DecoderMemory::None) => {}
        }
    }

    /// Appends `samples` samples that stand for a packet that was lost, of what the one after it tells, if it is there.
    /// `false` where the codec knows nothing of losses.
    #[cfg_attr(
        not(feature = "opus"),
        allow(unused_variables, clippy::ptr_arg, reason = "no other codec does")
    )]
    pub(crate) fn decode_lost(&mut self, next: Option<&[u8]>, samples: usize, out: &mut Vec<i16>) -> bool {
        match (&mut self.memory, next) {
            #[cfg(feature = "opus")]
            (DecoderMemory::Opus(coder), Some(next)) => coder.decode_lost(next, samples, out).is_ok(),
            #[cfg(feature = "opus")]
            (DecoderMemory::Opus(coder), None) => coder.conceal(samples, out).is_ok(),
            _ => false,
        }
    }
}
