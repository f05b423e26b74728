//! libopus by audiopus. Nothing else names either.
//!
//! libopus takes any octets: a packet that is none is an error and changes nothing that is heard later. What it could be
//! wrongly given by us (no octets, lengths that are no packet's) is refused before it is asked.

use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::{Application, Bandwidth, Bitrate, Channels, ErrorCode, SampleRate};

use super::{BIT_RATES, MAX_OCTETS, MAX_SAMPLES, SAMPLE_RATE, Settings, samples_in};

/// How hard the encoder tries, of 0 to 10. At 5 a frame of 20 ms costs 180 µs; 10 costs twice that and nobody hears it in
/// a call.
const COMPLEXITY: u8 = 5;

/// Lengths that a packet may have, as parts of 2.5 ms.
const LENGTHS: [usize; 6] = [1, 2, 4, 8, 16, 24];

/// Parts of 2.5 ms in a second.
const UNITS: usize = 400;

/// Why nothing was encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer's packet is not Opus.
    Malformed,
    /// No packet has such a length.
    Length,
    /// Opus has no such rate of samples or bits, or number of channels.
    Unsupported,
    /// libopus failed, as without memory; says how.
    Library(String),
}

/// Encodes one or two channels.
#[derive(Debug)]
pub struct Encoder {
    library: LibEncoder,
    rate: u32,
    channels: usize,
}

impl Encoder {
    /// An encoder that has heard nothing, of samples at `rate` Hz: 8,000, 12,000, 16,000, 24,000 or, in a call, 48,000. It
    /// takes its channels in turn.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another rate, other than one or two channels or a bit rate out of range;
    /// [`Error::Library`] where there is no memory.
    pub fn new(rate: u32, channels: usize, settings: Settings) -> Result<Self, Error> {
        let number = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return Err(Error::Unsupported),
        };
        let library = LibEncoder::new(sample_rate(rate)?, number, Application::Voip).map_err(failed)?;
        let mut encoder = Self { library, rate, channels };
        encoder.library.set_complexity(COMPLEXITY).map_err(failed)?;
        encoder.set(settings)?;
        Ok(encoder)
    }

    /// Encodes by other settings from now on, as when reports of loss come in.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a bit rate out of range.
    pub fn set(&mut self, settings: Settings) -> Result<(), Error> {
        if !BIT_RATES.contains(&settings.bitrate) {
            return Err(Error::Unsupported);
        }
        let bitrate = Bitrate::BitsPerSecond(settings.bitrate.cast_signed());
        self.library.set_bitrate(bitrate).map_err(failed)?;
        self.library.set_max_bandwidth(band(settings.playback_rate)).map_err(failed)?;
        self.library.set_vbr(!settings.cbr).map_err(failed)?;
        self.library.set_inband_fec(settings.expected_loss > 0).map_err(failed)?;
        self.library.set_packet_loss_perc(settings.expected_loss.min(100)).map_err(failed)?;
        self.library.set_dtx(settings.dtx).map_err(failed)
    }

    /// How far the encoder is behind, in samples at 48 kHz. A file says so, that players cut it off (RFC 7845 §4.2).
    ///
    /// # Errors
    /// [`Error::Library`] if libopus does not know.
    pub fn delay(&self) -> Result<u32, Error> {
        self.library.lookahead().map(|samples| samples * (SAMPLE_RATE / self.rate)).map_err(failed)
    }

    /// Appends the packet of `samples` to `out`.
    ///
    /// # Errors
    /// [`Error::Length`] if they are not 2.5, 5, 10, 20, 40 or 60 ms.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), Error> {
        let unit = self.rate as usize / UNITS * self.channels;
        if !LENGTHS.iter().any(|units| units * unit == samples.len()) {
            return Err(Error::Length);
        }
        let start = out.len();
        out.resize(start + MAX_OCTETS, 0);
        let encoded = self.library.encode(samples, &mut out[start..]);
        out.truncate(start + *encoded.as_ref().unwrap_or(&0));
        encoded.map(|_| ()).map_err(failed)
    }
}

/// Decodes to one channel, mixed down where a packet has two.
#[derive(Debug)]
pub struct Decoder {
    library: LibDecoder,
    rate: u32,
}

impl Decoder {
    /// A decoder that has decoded nothing, to samples at `rate` Hz: 8,000, 12,000, 16,000, 24,000 or, in a call, 48,000.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another rate, [`Error::Library`] where there is no memory.
    pub fn new(rate: u32) -> Result<Self, Error> {
        let library = LibDecoder::new(sample_rate(rate)?, Channels::Mono).map_err(failed)?;
        Ok(Self { library, rate })
    }

    /// Appends the samples of `packet` to `out`; at 48 kHz as many as [`samples_in`] says.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is none; then nothing is appended.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), Error> {
        let samples = samples_in(packet).ok_or(Error::Malformed)?;
        self.run(Some(packet), samples / (SAMPLE_RATE / self.rate) as usize, false, out)
    }

    /// Appends `samples` samples of the packet that was lost before `next`: what `next` tells of it, or what
    /// [`Self::conceal`] would make where it tells nothing. `next` is to be decoded after that.
    ///
    /// # Errors
    /// [`Error::Malformed`] if `next` is no packet, [`Error::Length`] if no packet lasts `samples`.
    pub fn decode_lost(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> Result<(), Error> {
        samples_in(next).ok_or(Error::Malformed)?;
        self.run(Some(next), samples, true, out)
    }

    /// Appends `samples` samples that go on from what was heard, for a loss of that length.
    ///
    /// # Errors
    /// [`Error::Length`] if no packet lasts `samples`.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> Result<(), Error> {
        self.run(None, samples, false, out)
    }

    fn run(
        &mut self,
        packet: Option<&[u8]>,
        samples: usize,
        lost: bool,
        out: &mut Vec<i16>,
    ) -> Result<(), Error> {
        // A loss may be as long as the longest packet, and is counted in parts of 2.5 ms.
        let longest = MAX_SAMPLES / (SAMPLE_RATE / self.rate) as usize;
        if !(1..=longest).contains(&samples) || !samples.is_multiple_of(self.rate as usize / UNITS) {
            return Err(Error::Length);
        }
        let packet = packet.map(TryInto::try_into).transpose().map_err(failed)?;
        let start = out.len();
        out.resize(start + samples, 0);
        let room = (&mut out[start..]).try_into().map_err(failed)?;
        let decoded = self.library.decode(packet, room, lost);
        out.truncate(start + *decoded.as_ref().unwrap_or(&0));
        decoded.map(|_| ()).map_err(failed)
    }
}

fn sample_rate(rate: u32) -> Result<SampleRate, Error> {
    match rate {
        8000 => Ok(SampleRate::Hz8000),
        12_000 => Ok(SampleRate::Hz12000),
        16_000 => Ok(SampleRate::Hz16000),
        24_000 => Ok(SampleRate::Hz24000),
        SAMPLE_RATE => Ok(SampleRate::Hz48000),
        _ => Err(Error::Unsupported),
    }
}

/// The widest band that a player of this rate can play (RFC 6716 table 1).
fn band(rate: u32) -> Bandwidth {
    match rate {
        ..12_000 => Bandwidth::Narrowband,
        12_000..16_000 => Bandwidth::Mediumband,
        16_000..24_000 => Bandwidth::Wideband,
        24_000..SAMPLE_RATE => Bandwidth::Superwideband,
        _ => Bandwidth::Fullband,
    }
}

fn failed(error: audiopus::Error) -> Error {
    match error {
        audiopus::Error::Opus(ErrorCode::InvalidPacket) => Error::Malformed,
        other => Error::Library(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Wishes;
    use super::*;

    /// What libopus says of itself: bits per second, band, whether packets vary, FEC, expected loss, DTX.
    type Asked = (Bitrate, Bandwidth, bool, bool, u8, bool);

    fn asked(wishes: Wishes, loss: u8) -> Asked {
        let encoder = Encoder::new(SAMPLE_RATE, 1, wishes.settings(loss)).unwrap();
        let library = &encoder.library;
        (
            library.bitrate().unwrap(),
            library.max_bandwidth().unwrap(),
            library.vbr().unwrap(),
            library.inband_fec().unwrap(),
            library.packet_loss_perc().unwrap(),
            library.dtx().unwrap(),
        )
    }

    #[test]
    fn libopus_does_what_a_peer_asks() {
        let bits = Bitrate::BitsPerSecond;
        let none = Wishes::default();
        let unasked = (bits(32_000), Bandwidth::Fullband, true, false, 0, false);
        assert_eq!(asked(none, 0), unasked);
        assert_eq!(asked(none, 30), unasked, "who makes no use of FEC gets none");
        let fec = Wishes { fec: true, ..none };
        assert_eq!(asked(fec, 0), unasked, "nothing is lost");
        assert_eq!(asked(fec, 30), (bits(32_000), Bandwidth::Fullband, true, true, 30, false));
        let strict = Wishes { dtx: true, cbr: true, max_bitrate: Some(9000), ..none };
        assert_eq!(asked(strict, 0), (bits(9000), Bandwidth::Fullband, false, false, 0, true));
        assert_eq!(asked(Wishes { max_bitrate: Some(510_000), ..none }, 0), unasked, "we need no more");
        // RFC 7587 §3.1.1 and §6.1: the bands, and what is enough for speech in them.
        for (playback_rate, bitrate, band) in [
            (8000, 12_000, Bandwidth::Narrowband),
            (11_025, 16_000, Bandwidth::Narrowband),
            (12_000, 16_000, Bandwidth::Mediumband),
            (16_000, 20_000, Bandwidth::Wideband),
            (24_000, 28_000, Bandwidth::Superwideband),
            (44_100, 32_000, Bandwidth::Superwideband),
            (48_000, 32_000, Bandwidth::Fullband),
        ] {
            let found = asked(Wishes { playback_rate, ..none }, 0);
            assert_eq!((found.0, found.1), (bits(bitrate), band), "{playback_rate}");
        }
    }
}
