//! Recordings as WAV files that are valid at every moment.
//!
//! The header's length never changes, so whoever writes the file puts it first with a length of 0, appends audio, and
//! from time to time writes it again in place: after a crash the file plays up to the last time. The header is a value;
//! files belong to the driver.
//!
//! ```text
//! linear PCM                            a-law, mu-law
//! RIFF size WAVE                        RIFF size WAVE
//! fmt  16   tag 1                       fmt  18   tag 6 or 7, no extension
//!                                       fact 4    samples                      (required of all but tag 1)
//! data size … [pad]                     data size … [pad]
//! ```

use crate::codec::{Codec, Encoder, SAMPLE_RATE};

/// What a recording is written as; all are WAV files at 8 kHz, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordFormat {
    /// Linear PCM, 8 bit (the API's 1).
    Pcm8,
    /// G.711 a-law (2).
    Alaw,
    /// G.711 mu-law (3).
    Mulaw,
    /// Linear PCM, 16 bit (7).
    Pcm16,
}

impl RecordFormat {
    /// The format of a number in the API's `record_format`; `None` for those that are not (or not yet) ours.
    pub fn from_api(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Pcm8),
            2 => Some(Self::Alaw),
            3 => Some(Self::Mulaw),
            7 => Some(Self::Pcm16),
            _ => None,
        }
    }

    /// Its number in the API's `record_format`.
    pub fn api_number(self) -> u8 {
        match self {
            Self::Pcm8 => 1,
            Self::Alaw => 2,
            Self::Mulaw => 3,
            Self::Pcm16 => 7,
        }
    }

    /// Appends the bytes of `samples` at 8 kHz to `out`.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Pcm8 => out.extend(samples.iter().map(|&sample| to_unsigned_8(sample))),
            Self::Alaw => Encoder::new(Codec::Pcma).encode(samples, out),
            Self::Mulaw => Encoder::new(Codec::Pcmu).encode(samples, out),
            Self::Pcm16 => out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
        }
    }

    /// Appends the bytes of that many samples of silence to `out`.
    pub fn silence(self, samples: usize, out: &mut Vec<u8>) {
        let sample: &[u8] = match self {
            Self::Pcm8 => &[0x80],
            Self::Alaw => Codec::Pcma.silence(),
            Self::Mulaw => Codec::Pcmu.silence(),
            Self::Pcm16 => &[0, 0],
        };
        (0..samples).for_each(|_| out.extend_from_slice(sample));
    }

    /// How many bytes that many samples are.
    pub fn bytes_for(self, samples: u64) -> u64 {
        samples.saturating_mul(u64::from(self.bytes_per_sample()))
    }

    fn bytes_per_sample(self) -> u16 {
        match self {
            Self::Pcm8 | Self::Alaw | Self::Mulaw => 1,
            Self::Pcm16 => 2,
        }
    }

    /// The WAVE format tag (RFC 2361).
    fn tag(self) -> u16 {
        match self {
            Self::Pcm8 | Self::Pcm16 => 1,
            Self::Alaw => 6,
            Self::Mulaw => 7,
        }
    }
}

/// The nearest of 256 levels; WAV has 8-bit samples unsigned, 128 in the middle.
fn to_unsigned_8(sample: i16) -> u8 {
    let [high, _] = sample.saturating_add(0x80).to_be_bytes();
    high ^ 0x80
}

/// The header of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavHeader {
    format: RecordFormat,
}

impl WavHeader {
    /// The header of a recording in `format`.
    pub fn new(format: RecordFormat) -> Self {
        Self { format }
    }

    /// The header of a file with `data_len` bytes of audio, always of the same length. Sizes beyond the 32 bits of the
    /// container are told as its largest, which readers take as "to the end of the file".
    pub fn header_bytes(&self, data_len: u64) -> Vec<u8> {
        let width = self.format.bytes_per_sample();
        let mut rest = Vec::with_capacity(64);
        rest.extend_from_slice(b"WAVE");
        let linear = self.format.tag() == 1;
        rest.extend_from_slice(b"fmt ");
        rest.extend_from_slice(&if linear { 16u32 } else { 18 }.to_le_bytes());
        rest.extend_from_slice(&self.format.tag().to_le_bytes());
        rest.extend_from_slice(&1u16.to_le_bytes());
        rest.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
        rest.extend_from_slice(&(SAMPLE_RATE * u32::from(width)).to_le_bytes());
        rest.extend_from_slice(&width.to_le_bytes());
        rest.extend_from_slice(&(width * 8).to_le_bytes());
        if !linear {
            rest.extend_from_slice(&0u16.to_le_bytes());
            rest.extend_from_slice(b"fact");
            rest.extend_from_slice(&4u32.to_le_bytes());
            rest.extend_from_slice(&size(data_len).to_le_bytes());
        }
        rest.extend_from_slice(b"data");
        rest.extend_from_slice(&size(data_len).to_le_bytes());

        let padding = self.padding(data_len).len();
        let riff_len = data_len.saturating_add((rest.len() + padding) as u64);
        let mut bytes = Vec::with_capacity(rest.len() + 8);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&size(riff_len).to_le_bytes());
        bytes.extend_from_slice(&rest);
        bytes
    }

    /// What has to follow `data_len` bytes of audio in a complete file: chunks lie at even places.
    pub fn padding(&self, data_len: u64) -> &'static [u8] {
        if data_len.is_multiple_of(2) { &[] } else { &[0] }
    }
}

fn size(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RecordFormat; 4] =
        [RecordFormat::Pcm8, RecordFormat::Alaw, RecordFormat::Mulaw, RecordFormat::Pcm16];

    fn file(format: RecordFormat, samples: &[i16]) -> Vec<u8> {
        let mut data = Vec::new();
        format.encode(samples, &mut data);
        let header = WavHeader::new(format);
        let len = data.len() as u64;
        [header.header_bytes(len), data, header.padding(len).to_vec()].concat()
    }

    /// SoX writes the same header for the same audio, byte for byte.
    #[test]
    fn headers_are_those_that_sox_writes() {
        let fixtures: [(RecordFormat, &[u8]); 4] = [
            (RecordFormat::Pcm8, include_bytes!("../../../../fixtures/wav/8k-mono-u8.wav")),
            (RecordFormat::Alaw, include_bytes!("../../../../fixtures/wav/8k-mono-alaw.wav")),
            (RecordFormat::Mulaw, include_bytes!("../../../../fixtures/wav/8k-mono-mulaw.wav")),
            (RecordFormat::Pcm16, include_bytes!("../../../../fixtures/wav/8k-mono-s16.wav")),
        ];
        for (format, sox) in fixtures {
            let header = WavHeader::new(format).header_bytes(format.bytes_for(1600));
            assert_eq!(header, sox[..header.len()], "{format:?}");
            assert_eq!(sox.len() - header.len(), 1600 * if format == RecordFormat::Pcm16 { 2 } else { 1 });
        }
    }

    #[test]
    fn a_header_has_one_length_whatever_it_tells() {
        for format in ALL {
            let lengths = [0, 1, 1600, u64::from(u32::MAX), u64::MAX / 2]
                .map(|len| WavHeader::new(format).header_bytes(len).len());
            assert_eq!(lengths, [if format.tag() == 1 { 44 } else { 58 }; 5]);
        }
    }

    #[test]
    fn an_odd_length_is_padded_and_the_padding_counted_outside_of_the_data() {
        let bytes = file(RecordFormat::Mulaw, &[0; 3]);
        assert_eq!(bytes.len(), 62);
        // RIFF counts all that follows its size; data counts 3.
        assert_eq!(bytes[4..8], [54, 0, 0, 0]);
        assert_eq!(bytes[54..58], [3, 0, 0, 0]);
        assert_eq!(bytes[58..], [0xff, 0xff, 0xff, 0]);
    }

    #[test]
    fn sizes_beyond_the_container_are_told_as_its_largest() {
        let bytes = WavHeader::new(RecordFormat::Pcm16).header_bytes(5_000_000_000);
        assert_eq!(bytes[4..8], [0xff; 4]);
        assert_eq!(bytes[40..44], [0xff; 4]);
    }

    #[test]
    fn hound_reads_linear_recordings() {
        let samples: Vec<i16> = vec![0, 1, -1, 127, 128, -128, -129, 1000, -1000, i16::MAX, i16::MIN];
        let bytes = file(RecordFormat::Pcm16, &samples);
        let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 8000, 16));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);

        let bytes = file(RecordFormat::Pcm8, &samples);
        let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.spec().bits_per_sample), (8000, 8));
        // Hound gives 8-bit samples signed; each is the nearest multiple of 256.
        let expected: [i16; 11] = [0, 0, 0, 0, 1, 0, -1, 4, -4, 127, -128];
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn silence_is_what_zero_encodes_to() {
        for format in ALL {
            let (mut silence, mut zeros) = (Vec::new(), Vec::new());
            format.silence(5, &mut silence);
            format.encode(&[0; 5], &mut zeros);
            assert_eq!(silence, zeros);
            assert_eq!(silence.len() as u64, format.bytes_for(5));
        }
    }

    #[test]
    fn numbers_are_those_of_the_api() {
        assert_eq!(ALL.map(RecordFormat::api_number), [1, 2, 3, 7]);
        for number in 0..=u8::MAX {
            let known = RecordFormat::from_api(number).map(RecordFormat::api_number);
            assert_eq!(known, [1, 2, 3, 7].contains(&number).then_some(number));
        }
    }
}
