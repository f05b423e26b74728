//! Files without a header, known by their names: payload of a codec of ours, or bare samples.

use std::io::Read;

use super::{Audio, PromptError, unreadable};
use crate::codec::{Codec, Decoder, SAMPLE_RATE};

/// Bytes decoded at a time: whole frames of every codec, 0.2 s of the densest.
const BLOCK: usize = 33 * 96;

/// What is in a raw file.
enum Coding {
    Payload(Decoder),
    /// 16 bits at 8 kHz, the low byte first.
    Linear,
}

/// A raw file being decoded.
pub(super) struct Raw<'s> {
    source: Box<dyn Read + Send + 's>,
    coding: Coding,
}

/// How a file of that name is decoded, if its name says that it is raw.
pub(super) fn open<'s>(name: &str) -> Option<impl FnOnce(Box<dyn Read + Send + 's>) -> Raw<'s> + use<'s>> {
    let (_, ending) = name.rsplit_once('.')?;
    let coding = match ending.to_ascii_lowercase().as_str() {
        "alaw" | "al" => Coding::Payload(Decoder::new(Codec::Pcma)),
        "ulaw" | "ul" => Coding::Payload(Decoder::new(Codec::Pcmu)),
        "gsm" => Coding::Payload(Decoder::new(Codec::Gsm)),
        "g722" => Coding::Payload(Decoder::new(Codec::G722)),
        "sln" => Coding::Linear,
        _ => return None,
    };
    Some(move |source| Raw { source, coding })
}

impl Audio for Raw<'_> {
    fn rate(&self) -> u32 {
        match &self.coding {
            Coding::Payload(decoder) => decoder.codec().sample_rate(),
            Coding::Linear => SAMPLE_RATE,
        }
    }

    fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError> {
        let mut bytes = Vec::with_capacity(BLOCK);
        self.source.by_ref().take(BLOCK as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        match &mut self.coding {
            Coding::Payload(decoder) => decoder.decode(&bytes, out),
            Coding::Linear => {
                out.extend(bytes.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)));
            }
        }
        Ok(bytes.len() == BLOCK)
    }
}
