//! Codecs by their names in SDP, what each needs on the wire, and the samples in and out of them.
//!
//! Linear audio is 16-bit samples at 8 kHz everywhere in the engine. [`Codec::encode`] and [`Codec::decode`] append, so
//! that one buffer serves a whole packet; [`Codec::transcode`] goes from law to law without linear samples between.

pub mod adpcm;
pub mod g722;
pub mod gsm;
mod pcma;
mod pcmu;
pub mod resample;
#[cfg(test)]
mod tests;

/// Samples per second of linear audio in the engine, and of both laws of G.711.
pub const SAMPLE_RATE: u32 = 8000;

/// A codec that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law, static payload type 0.
    Pcmu,
    /// G.711 a-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// The encoding name of its `a=rtpmap` (RFC 3551), which the API uses too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The codec of an encoding name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pcmu, Self::Pcma].into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        SAMPLE_RATE
    }

    /// The payload type we offer it with.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// Appends the payload bytes of `samples` to `out`: one byte per sample.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Pcmu => out.extend(samples.iter().map(|&sample| pcmu::encode(sample))),
            Self::Pcma => out.extend(samples.iter().map(|&sample| pcma::encode(sample))),
        }
    }

    /// Appends the samples of `payload` to `out`: one sample per byte. Every byte is valid.
    pub fn decode(self, payload: &[u8], out: &mut Vec<i16>) {
        let table = match self {
            Self::Pcmu => &pcmu::DECODED,
            Self::Pcma => &pcma::DECODED,
        };
        out.extend(payload.iter().map(|&code| table[usize::from(code)]));
    }

    /// The payload byte of silence.
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcmu => pcmu::SILENCE,
            Self::Pcma => pcma::SILENCE,
        }
    }

    /// Appends to `out`, in this codec, the payload `bytes` that are in the codec `from`.
    ///
    /// Each code becomes the one that its decoded value encodes to.
    pub fn transcode(self, from: Codec, bytes: &[u8], out: &mut Vec<u8>) {
        let table = match (from, self) {
            (Self::Pcmu, Self::Pcma) => &MU_TO_A,
            (Self::Pcma, Self::Pcmu) => &A_TO_MU,
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => return out.extend_from_slice(bytes),
        };
        out.extend(bytes.iter().map(|&code| table[usize::from(code)]));
    }
}

const MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = pcma::encode(pcmu::DECODED[code]);
        code += 1;
    }
    table
};

const A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = pcmu::encode(pcma::DECODED[code]);
        code += 1;
    }
    table
};
