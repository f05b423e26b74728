//! Ogg Opus, by libopus; of two channels it makes one itself.

use std::io::Read;

use super::{Audio, PromptError, cut_short, malformed, unreadable};
use crate::file::{ogg, opus};

/// What every Opus file can be decoded to, whatever it was made of (RFC 7845 §5.1).
const RATE: u32 = 48_000;

/// An Opus file being decoded.
pub(super) struct Opus<R>(opus::Reader<R>);

impl<R: Read> Opus<R> {
    pub(super) fn open(source: R) -> Result<Self, PromptError> {
        opus::Reader::new(source, RATE).map(Self).map_err(error)
    }
}

impl<R: Read> Audio for Opus<R> {
    fn rate(&self) -> u32 {
        RATE
    }

    fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError> {
        let more = self.0.read(out).map_err(error)?;
        if more || self.0.is_whole() { Ok(more) } else { Err(cut_short()) }
    }
}

fn error(error: ogg::Error) -> PromptError {
    match error {
        ogg::Error::Unsupported => PromptError::Unsupported("Opus with more than two channels".into()),
        ogg::Error::Malformed(what) => malformed(what),
        ogg::Error::Io(error) => unreadable(error),
    }
}
