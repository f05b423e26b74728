//! Prompt files in, recording files out.

pub mod reader;
mod writer;

use std::time::Duration;

use crate::codec::Codec;
pub use reader::{PromptError, decode};
pub use writer::{RecordFormat, WavHeader};

/// A prompt, decoded and encoded once and shared by every leg that plays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    codec: Codec,
    payload: Box<[u8]>,
}

impl Prompt {
    /// A prompt of payload bytes that are already in `codec`.
    pub fn new(codec: Codec, payload: impl Into<Box<[u8]>>) -> Self {
        Self { codec, payload: payload.into() }
    }

    /// A prompt of linear samples at 8 kHz.
    pub fn encode(samples: &[i16], codec: Codec) -> Self {
        let mut payload = Vec::with_capacity(samples.len());
        codec.encode(samples, &mut payload);
        Self::new(codec, payload)
    }

    /// The codec its payload is in.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Its samples as payload bytes, to be cut into packets of any length.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.payload.len() as u64 * 125)
    }
}
