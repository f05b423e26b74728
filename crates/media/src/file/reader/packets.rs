//! MPEG audio, FLAC, and Vorbis and FLAC in Ogg, by symphonia; what nobody needs of their heads is kept from it.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader};

use super::{Audio, MAX_CHANNELS, MAX_GAP, PromptError, cut_short, malformed, skip, to_i16, unreadable};

/// Packets in a row that may be damaged. Sounds are lost with them, and the prompt goes on.
const MAX_DAMAGED: u32 = 50;

/// The samples that the frame of an MP3's header would have: some writers count it among those of the audio.
const MPEG_FRAME: u64 = 1152;

/// A file of packets being decoded.
pub(super) struct Packets<'s> {
    reader: Box<dyn FormatReader + 's>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    /// Samples that there must be, where the header says that, and those up to the end of the last packet.
    claimed: u64,
    reached: u64,
    budget: Budget,
    interleaved: Vec<f32>,
}

/// Bytes that may be read before the next packet, shared with the source that counts them.
#[derive(Clone, Debug)]
struct Budget(Arc<AtomicU64>);

impl Budget {
    fn renew(&self) {
        self.0.store(MAX_GAP, Ordering::Relaxed);
    }
}

/// A source that ends where no packet has come of what was read.
struct Metered<R> {
    source: R,
    budget: Budget,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.0.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no audio within reach"));
        }
        let read = self.source.read(buffer)?;
        self.budget.0.store(left.saturating_sub(read as u64), Ordering::Relaxed);
        Ok(read)
    }
}

/// Whether these are the first octets of a frame of MPEG audio: synchronisation, a layer, a bit rate and a sampling rate
/// (ISO/IEC 11172-3 §2.4.2.3).
pub(super) fn is_mpeg_frame(head: &[u8]) -> bool {
    let Some(&[sync, version, rates]) = head.first_chunk() else { return false };
    let (layer, version) = (version >> 1 & 3, version & 0xf8);
    sync == 0xff
        && version >= 0xe0
        && version & 0x18 != 0x08
        && layer != 0
        && rates >> 4 != 15
        && rates >> 2 & 3 != 3
}

impl<'s> Packets<'s> {
    /// MPEG audio, behind its ID3 tags.
    pub(super) fn mpeg(mut source: impl Read + Send + Sync + 's) -> Result<Self, PromptError> {
        let head = loop {
            let mut head = [0; 10];
            source.read_exact(&mut head).map_err(unreadable)?;
            let [b'I', b'D', b'3', _, _, flags, a, b, c, d] = head else { break head };
            // ID3v2 §3.1: seven bits in each octet, and a footer of ten octets where the flag says so.
            let size = [a, b, c, d].iter().fold(0, |size, octet| size << 7 | u64::from(octet & 0x7f));
            let footer = if flags & 0x10 != 0 { 10 } else { 0 };
            if size > MAX_GAP {
                return Err(malformed("no audio within reach"));
            }
            skip(&mut source, size + footer)?;
        };
        let mut mpeg = Self::open(Cursor::new(head).chain(source), |stream| {
            Ok(Box::new(MpaReader::try_new(stream, FormatOptions::default())?))
        })?;
        mpeg.claimed = mpeg.claimed.saturating_sub(MPEG_FRAME);
        Ok(mpeg)
    }

    /// FLAC. Of its metadata the stream's description alone, the first block, which says all that is needed (RFC 9639 §8).
    pub(super) fn flac(mut source: impl Read + Send + Sync + 's) -> Result<Self, PromptError> {
        const DESCRIPTION: usize = 34;
        let mut head = [0; 4 + 4 + DESCRIPTION];
        source.read_exact(&mut head).map_err(unreadable)?;
        let is_last = |kind: u8| kind & 0x80 != 0;
        let mut more = !is_last(head[4]);
        if head[4] & 0x7f != 0 || head[5..8] != [0, 0, 34] {
            return Err(malformed("no description of the stream"));
        }
        head[4] = 0x80;
        let mut budget = MAX_GAP;
        while more {
            let mut block = [0; 4];
            source.read_exact(&mut block).map_err(unreadable)?;
            let [kind, a, b, c] = block;
            let size = u64::from(u32::from_be_bytes([0, a, b, c]));
            budget = budget.checked_sub(size + 4).ok_or_else(|| malformed("no audio within reach"))?;
            skip(&mut source, size)?;
            more = !is_last(kind);
        }
        Self::open(Cursor::new(head).chain(source), |stream| {
            Ok(Box::new(FlacReader::try_new(stream, FormatOptions::default())?))
        })
    }

    /// Ogg with Vorbis or FLAC in it.
    pub(super) fn ogg(source: impl Read + Send + Sync + 's) -> Result<Self, PromptError> {
        let ogg =
            Self::open(source, |stream| Ok(Box::new(OggReader::try_new(stream, FormatOptions::default())?)));
        ogg.map_err(|error| match error {
            // What it knows nothing of in a file of Ogg it does not find there.
            PromptError::Malformed(_) => {
                PromptError::Unsupported("Ogg without Vorbis, FLAC or Opus, or damaged".into())
            }
            other => other,
        })
    }

    fn open<R: Read + Send + Sync + 's>(
        source: R,
        reader: impl FnOnce(MediaSourceStream<'s>) -> Result<Box<dyn FormatReader + 's>, Error>,
    ) -> Result<Self, PromptError> {
        let budget = Budget(Arc::new(AtomicU64::new(MAX_GAP)));
        let source = ReadOnlySource::new(Metered { source, budget: budget.clone() });
        let stream = MediaSourceStream::new(Box::new(source), Default::default());
        let reader = reader(stream).map_err(from_symphonia)?;
        let (track, claimed, parameters) = reader
            .default_track(TrackType::Audio)
            .and_then(|track| {
                Some((
                    track.id,
                    track.num_frames.unwrap_or_default(),
                    track.codec_params.as_ref()?.audio()?.clone(),
                ))
            })
            .ok_or_else(|| malformed("no audio track"))?;
        let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count());
        if channels > usize::from(MAX_CHANNELS) {
            return Err(PromptError::Unsupported(format!("{channels} channels")));
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .map_err(from_symphonia)?;
        let rate = parameters.sample_rate.unwrap_or_default();
        Ok(Self { reader, decoder, track, rate, claimed, reached: 0, budget, interleaved: Vec::new() })
    }
}

impl Audio for Packets<'_> {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError> {
        for _ in 0..MAX_DAMAGED {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) if self.reached >= self.claimed => return Ok(false),
                Ok(None) => return Err(cut_short()),
                // FLAC with less than it says, or Ogg without its last page (RFC 3533 §6).
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(cut_short());
                }
                Err(error) => return Err(from_symphonia(error)),
            };
            self.budget.renew();
            if packet.track_id != self.track {
                continue;
            }
            let end = packet.pts.saturating_add(packet.dur).get();
            self.reached = self.reached.max(u64::try_from(end).unwrap_or_default());
            match self.decoder.decode(&packet) {
                Ok(audio) => {
                    let channels = audio.spec().channels().count().max(1);
                    self.interleaved.resize(audio.samples_interleaved(), 0.0);
                    audio.copy_to_slice_interleaved(&mut self.interleaved);
                    out.extend(self.interleaved.chunks_exact(channels).map(mean));
                    return Ok(true);
                }
                Err(Error::DecodeError(_)) => {}
                Err(error) => return Err(from_symphonia(error)),
            }
        }
        Err(malformed("nothing but damaged packets"))
    }
}

/// The mean of one moment's channels, of which 1.0 is full scale.
fn mean(channels: &[f32]) -> i16 {
    to_i16(channels.iter().sum::<f32>() / channels.len() as f32 * 32_768.0)
}

fn from_symphonia(error: Error) -> PromptError {
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::InvalidData => {
            PromptError::Malformed(error.to_string())
        }
        Error::IoError(error) => unreadable(error),
        Error::Unsupported(what) => PromptError::Unsupported(what.into()),
        other => PromptError::Malformed(other.to_string()),
    }
}
