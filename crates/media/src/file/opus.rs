//! Opus files: samples out of [`super::ogg`] and into it.

use std::io::Read;

use super::ogg::{self, Audio, Head};
use crate::codec::opus::{Decoder, Encoder, Error as CodecError, SAMPLE_RATE, Settings};

/// Packets a second of the files that we write.
const PACKETS: u32 = 50;

/// Reads a file's samples, one channel.
#[derive(Debug)]
pub struct Reader<R> {
    packets: ogg::Reader<R>,
    decoder: Decoder,
    /// Samples at 48 kHz for each of ours.
    ratio: usize,
    /// What the file wants the samples to be multiplied by.
    gain: f32,
}

impl<R: Read> Reader<R> {
    /// Reads a file's head. Samples will be at `rate` Hz: 8,000, 12,000, 16,000, 24,000 or 48,000.
    ///
    /// # Errors
    /// [`ogg::Error`] if it is no Opus file or the rate another one.
    pub fn new(source: R, rate: u32) -> Result<Self, ogg::Error> {
        let packets = ogg::Reader::new(source)?;
        let decoder = Decoder::new(rate).map_err(|_| ogg::Error::Unsupported)?;
        let gain = 10f32.powf(f32::from(packets.head().gain) / (20.0 * 256.0));
        Ok(Self { packets, decoder, ratio: (SAMPLE_RATE / rate) as usize, gain })
    }

    /// Whether its last page has been read.
    pub fn is_whole(&self) -> bool {
        self.packets.is_whole()
    }

    /// Appends the samples of the next packet to `out`; of one that is damaged, the like of what was before. `false` at the
    /// end of the file.
    ///
    /// # Errors
    /// [`ogg::Error::Io`] if reading fails.
    pub fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, ogg::Error> {
        let Some(Audio { packet, skip, samples }) = self.packets.next_packet()? else {
            return Ok(false);
        };
        let start = out.len();
        if self.decoder.decode(&packet, out).is_err() {
            let length = crate::codec::opus::samples_in(&packet).unwrap_or_default() / self.ratio;
            // A length that cannot be concealed is left out.
            let _ = self.decoder.conceal(length, out);
        }
        let end = out.len().min(start + (skip + samples) / self.ratio);
        out.truncate(end);
        out.drain(start..end.min(start + skip / self.ratio));
        if self.gain != 1.0 {
            out[start..].iter_mut().for_each(|sample| *sample = scaled(*sample, self.gain));
        }
        Ok(true)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
fn scaled(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain).round() as i16
}

/// Makes a file of samples, whole at every moment as [`ogg::Writer`] says.
#[derive(Debug)]
pub struct Writer {
    encoder: Encoder,
    pages: ogg::Writer,
    /// Samples of a packet, of all channels.
    frame: usize,
    /// Samples that wait for the rest of their packet.
    pending: Vec<i16>,
    /// Samples at 48 kHz that were taken, that were encoded, and that the encoder is late by.
    taken: u64,
    encoded: u64,
    delay: u64,
    /// Samples at 48 kHz for each of ours, of all channels.
    ratio: Ratio,
    packet: Vec<u8>,
}

/// Samples at 48 kHz for so many of ours.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    theirs: u64,
    ours: u64,
}

impl Writer {
    /// Appends the head of a file to `out`. Samples are at `rate` Hz: 8,000, 12,000, 16,000, 24,000 or 48,000, with one or
    /// two channels in turn.
    ///
    /// # Errors
    /// [`CodecError`] for other rates or channels, or where there is no memory.
    pub fn new(
        rate: u32,
        channels: u8,
        settings: Settings,
        serial: u32,
        out: &mut Vec<u8>,
    ) -> Result<Self, CodecError> {
        let encoder = Encoder::new(rate, usize::from(channels), settings)?;
        let delay = encoder.delay()?;
        let pre_skip = u16::try_from(delay).map_err(|_| CodecError::Unsupported)?;
        let head = Head { channels, pre_skip, rate, gain: 0 };
        let ratio = Ratio { theirs: u64::from(SAMPLE_RATE / rate), ours: u64::from(channels) };
        let frame = (rate / PACKETS) as usize * usize::from(channels);
        let pages = ogg::Writer::new(&head, serial, out);
        let (delay, packet) = (u64::from(delay), Vec::new());
        Ok(Self { encoder, pages, frame, pending: Vec::new(), taken: 0, encoded: 0, delay, ratio, packet })
    }

    /// Takes samples, and appends the pages that they complete to `out`.
    ///
    /// # Errors
    /// [`CodecError`] if libopus fails.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.taken += samples.len() as u64 * self.ratio.theirs / self.ratio.ours;
        self.pending.extend_from_slice(samples);
        self.encode(out)
    }

    /// The page that would end the file now. Samples that do not fill a packet yet are not on it.
    pub fn tail(&self) -> Vec<u8> {
        self.pages.tail(self.encoded.saturating_sub(self.taken + self.delay))
    }

    /// Ends the file: appends all that is left to `out`.
    ///
    /// # Errors
    /// [`CodecError`] if libopus fails.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        while self.encoded < self.taken + self.delay {
            self.pending.resize(self.frame, 0);
            self.encode(out)?;
        }
        out.extend_from_slice(&self.tail());
        Ok(())
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let whole = self.pending.len() / self.frame * self.frame;
        for frame in self.pending[..whole].chunks_exact(self.frame) {
            self.packet.clear();
            self.encoder.encode(frame, &mut self.packet)?;
            let samples = (SAMPLE_RATE / PACKETS) as usize;
            self.pages.packet(&self.packet, samples, out);
            self.encoded += samples as u64;
        }
        self.pending.drain(..whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
