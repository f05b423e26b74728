//! What the writer writes, byte for byte as SoX does, and at every moment a file.

use super::*;
use crate::file::reader::decode;
use crate::file::reader::tests::heard;

fn spec(format: RecordFormat, channels: u16) -> RecordSpec {
    RecordSpec::new(format, 8000, channels)
}

/// A file being written: what a disk has after each step.
struct File {
    writer: Writer,
    bytes: Vec<u8>,
}

impl File {
    fn new(spec: RecordSpec) -> Self {
        let mut writer = Writer::new(spec).unwrap();
        let bytes = writer.begin();
        Self { writer, bytes }
    }

    /// Obeys one patch, and gives what the disk has after each of its bytes that matters: within the audio, before the
    /// header, after it. `look` hears whether a write was torn, which a power failure can do and the end of a process cannot.
    fn push(&mut self, chunk: &Chunk, mut look: impl FnMut(&[u8], bool)) {
        self.writer.push(chunk);
        let Patch { at, audio, header } = self.writer.patch();
        let at = usize::try_from(at).unwrap();
        assert!(at <= self.bytes.len(), "a hole at {at} of {}", self.bytes.len());
        for part in [audio.len() / 3, audio.len()] {
            self.bytes.resize(self.bytes.len().max(at + part), 0);
            self.bytes[at..at + part].copy_from_slice(&audio[..part]);
            look(&self.bytes, part < audio.len());
        }
        self.bytes[..header.len()].copy_from_slice(&header);
        look(&self.bytes, false);
        assert_eq!(self.writer.length(), self.bytes.len() as u64);
    }
}

fn data(channels: u16, samples: &[i16]) -> Chunk {
    Chunk::Data { rate: 8000, channels, samples: samples.to_vec() }
}

fn whole(spec: RecordSpec, samples: &[i16]) -> Vec<u8> {
    let mut file = File::new(spec);
    file.push(&data(spec.channels, samples), |_, _| ());
    file.push(&Chunk::End, |_, _| ());
    file.bytes
}

/// What SoX's `synth sine` and the laws' tables gave, made from the 16-bit fixture of the same signal.
#[test]
fn files_are_those_that_sox_writes() {
    let fixtures: [(RecordFormat, &[u8]); 6] = [
        (RecordFormat::Pcm8, include_bytes!("../../../../../fixtures/wav/8k-mono-u8.wav")),
        (RecordFormat::Alaw, include_bytes!("../../../../../fixtures/wav/8k-mono-alaw.wav")),
        (RecordFormat::Mulaw, include_bytes!("../../../../../fixtures/wav/8k-mono-mulaw.wav")),
        (RecordFormat::Ima, include_bytes!("../../../../../fixtures/wav/8k-mono-ima.wav")),
        (RecordFormat::Gsm, include_bytes!("../../../../../fixtures/wav/8k-mono-gsm.wav")),
        (RecordFormat::Pcm16, include_bytes!("../../../../../fixtures/wav/8k-mono-s16.wav")),
    ];
    let samples = decode(fixtures[5].1, "a.wav").unwrap();
    for (format, sox) in fixtures {
        let ours = whole(spec(format, 1), &samples);
        if format == RecordFormat::Gsm {
            // Five blocks, which SoX leaves so and pads; the rest is as it writes an even number.
            assert_eq!((ours.len(), sox.len()), (60 + 6 * 65, 60 + 5 * 65 + 1));
            assert_eq!((&ours[4..8], &ours[56..60]), (&[186, 1, 0, 0][..], &[134, 1, 0, 0][..]));
            assert_eq!((&ours[..4], &ours[8..56]), (&sox[..4], &sox[8..56]));
            continue;
        }
        assert_eq!(ours.len(), sox.len(), "{format:?}");
        let header = match format {
            RecordFormat::Pcm8 | RecordFormat::Pcm16 => 44,
            RecordFormat::Ima => 60,
            _ => 58,
        };
        assert_eq!(ours[..header], sox[..header], "{format:?}");
    }
}

/// Codes of a law are written as they are where the file is in it, and otherwise as the samples that they stand for.
#[test]
fn codes_are_the_samples_that_they_stand_for() {
    let codes: Vec<u8> = (0..=255).chain(0..=255).collect();
    for (law, same) in [(Codec::Pcmu, RecordFormat::Mulaw), (Codec::Pcma, RecordFormat::Alaw)] {
        let mut samples = Vec::new();
        Decoder::new(law).decode(&codes, &mut samples);
        for format in RecordFormat::ALL {
            for channels in 1..=2 {
                let spec = spec(format, channels);
                if Writer::new(spec).is_none() {
                    // This build has no Opus.
                    continue;
                }
                let whole_of = |chunk: Chunk| {
                    let mut file = File::new(spec);
                    file.push(&chunk, |_, _| ());
                    file.push(&Chunk::End, |_, _| ());
                    file.bytes
                };
                let file = whole_of(Chunk::Codes { law, codes: codes.clone() });
                if (format, channels) == (same, 1) {
                    assert_eq!(file[58..], codes);
                } else {
                    assert_eq!(file, whole_of(data(1, &samples)), "{law:?} to {format:?}, {channels}");
                }
            }
        }
    }
}

/// Of two channels the header of SoX is the same but for its counts; this is RFC 2361's own arithmetic.
#[test]
fn two_channels_are_told_in_the_header() {
    let file = whole(spec(RecordFormat::Pcm16, 2), &[1, -1, 2, -2]);
    assert_eq!(file[22..24], [2, 0], "channels");
    assert_eq!(file[28..32], 32_000u32.to_le_bytes(), "bytes per second");
    assert_eq!(file[32..36], [4, 0, 16, 0], "block, bits");
    assert_eq!(file[44..], [1, 0, 0xff, 0xff, 2, 0, 0xfe, 0xff]);
}

/// A file has the channels of its spec, whatever comes: of GSM, which has one, both parties mixed; and of what is one
/// party's in a file of two, both the same.
#[test]
fn other_channels_are_mixed_or_doubled() {
    let mut file = File::new(spec(RecordFormat::Pcm16, 1));
    file.push(&data(2, &[100, 300, -100, -101, i16::MAX, i16::MAX, i16::MIN, i16::MIN]), |_, _| ());
    let expected: Vec<u8> =
        [200i16, -100, i16::MAX, i16::MIN].into_iter().flat_map(i16::to_le_bytes).collect();
    assert_eq!(file.bytes[44..], expected);
    let mut file = File::new(spec(RecordFormat::Pcm16, 2));
    file.push(&data(1, &[1, -2]), |_, _| ());
    assert_eq!(file.bytes[44..], [1, 0, 1, 0, 0xfe, 0xff, 0xfe, 0xff]);
}

#[test]
fn an_odd_length_is_padded_and_the_padding_counted_outside_of_the_data() {
    let bytes = whole(spec(RecordFormat::Mulaw, 1), &[0; 3]);
    assert_eq!(bytes.len(), 62);
    // RIFF counts all that follows its size; data counts 3.
    assert_eq!(bytes[4..8], [54, 0, 0, 0]);
    assert_eq!(bytes[54..58], [3, 0, 0, 0]);
    assert_eq!(bytes[58..], [0xff, 0xff, 0xff, 0]);
}

/// An even number of GSM's blocks: nothing has to be padded, at any length.
#[test]
fn blocks_of_gsm_come_in_pairs() {
    for samples in [0, 1, 319, 320, 321, 640, 641, 960] {
        let mut file = File::new(spec(RecordFormat::Gsm, 1));
        file.push(&data(1, &vec![0; samples]), |_, _| ());
        let blocks: usize = samples.div_ceil(640) * 2;
        assert_eq!(file.bytes.len(), 60 + blocks * 65, "{samples}");
        assert_eq!(file.bytes[56..60], u32::try_from(blocks * 65).unwrap().to_le_bytes());
        // The `fact` chunk tells how many of the samples count.
        assert_eq!(file.bytes[48..52], u32::try_from(samples).unwrap().to_le_bytes());
    }
}

#[test]
fn hound_reads_linear_recordings() {
    let samples: Vec<i16> = vec![0, 1, -1, 127, 128, -128, -129, 1000, -1000, i16::MAX, i16::MIN];
    let bytes = whole(spec(RecordFormat::Pcm16, 1), &samples);
    let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
    let spec16 = reader.spec();
    assert_eq!((spec16.channels, spec16.sample_rate, spec16.bits_per_sample), (1, 8000, 16));
    assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);

    let bytes = whole(spec(RecordFormat::Pcm8, 1), &samples);
    let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
    assert_eq!((reader.spec().sample_rate, reader.spec().bits_per_sample), (8000, 8));
    // Hound gives 8-bit samples signed; each is the nearest multiple of 256.
    let expected: [i16; 11] = [0, 0, 0, 0, 1, 0, -1, 4, -4, 127, -128];
    assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), expected);
}

/// A recording of a tone that ends anywhere: what was written up to there is a file, which plays all that was pushed
/// before the patch that was cut off.
#[test]
fn the_file_is_valid_at_every_moment() {
    let tone: Vec<i16> = (0..8000).map(|n| if n % 20 < 10 { 8000 } else { -8000 }).collect();
    for format in RecordFormat::ALL {
        for channels in [1, 2] {
            let spec = spec(format, channels);
            let channels = spec.channels;
            let mut file = File::new(spec);
            let mut random = fastrand::Rng::with_seed(3);
            let (mut at, mut pushed) = (0, 0);
            while at < tone.len() {
                let len = random.usize(1..1000).min(tone.len() - at) / 2 * 2;
                let chunk = data(channels, &tone[at..at + len.max(2)]);
                file.push(&chunk, |bytes, is_torn| {
                    // An MP3 file before its first frame is an empty one.
                    if format == RecordFormat::Mp3 && pushed < 800 && decode(bytes, "a").is_err() {
                        return;
                    }
                    // Only a torn Ogg file lacks the page that ends it, and is read as one that was cut short.
                    let (samples, error) = heard(bytes, "a");
                    assert!(
                        error.is_none() || format == RecordFormat::Opus && is_torn,
                        "{format:?}: {error:?}"
                    );
                    // An MP3 encoder keeps two frames, and half a frame of the decoder's delay is no sound (2,260 samples).
                    let behind = match format {
                        RecordFormat::Mp3 => 2260 / 3 + 1,
                        // A page of 200 ms that takes the place of the last one.
                        RecordFormat::Opus if is_torn => 1600 + 160,
                        _ => 160,
                    };
                    assert!(samples.len() + behind >= pushed, "{format:?}: {} of {pushed}", samples.len());
                });
                at += len.max(2);
                pushed = at / usize::from(channels);
            }
        }
    }
}

#[test]
fn another_rate_is_resampled_and_lasts_as_long() {
    for format in RecordFormat::ALL {
        let spec = spec(format, 2);
        let mut file = File::new(spec);
        // A second at each rate.
        for rate in [48_000u32, 8000, 16_000] {
            let samples = vec![5000; rate as usize * usize::from(spec.channels)];
            file.push(&Chunk::Data { rate, channels: spec.channels, samples }, |_, _| ());
            file.push(&Chunk::Silence { rate, samples: u64::from(rate) * 2 }, |_, _| ());
        }
        file.push(&Chunk::End, |_, _| ());
        let read = decode(file.bytes.as_slice(), "a").unwrap();
        assert!(read.len().abs_diff(9 * 8000) <= 3, "{format:?}: {} samples", read.len());
        for second in [0, 3, 6] {
            if matches!(format, RecordFormat::Gsm | RecordFormat::Opus | RecordFormat::Mp3) {
                // GSM takes a level that does not change for an offset, and compensates it (EN 300 961 §5.2.2); the others
                // do so too, as nobody hears one.
                continue;
            }
            let middle = &read[second * 8000 + 500..][..7000];
            assert!(middle.iter().all(|sample| sample.abs_diff(5000) < 200), "{format:?}, second {second}");
            let silence = &read[second * 8000 + 8500..][..15_000];
            assert!(silence.iter().all(|sample| sample.abs() <= 100), "{format:?}, second {second}");
        }
    }
}

/// Wherever a file is cut off, or its last head was not written, repairing it gives one that tells all of its whole blocks.
#[test]
fn a_file_that_was_cut_off_is_repaired() {
    let tone: Vec<i16> = (0..4000).map(|n| if n % 20 < 10 { 8000 } else { -8000 }).collect();
    let is_wav = |format: &RecordFormat| !matches!(format, RecordFormat::Mp3 | RecordFormat::Opus);
    for format in RecordFormat::ALL.into_iter().filter(is_wav) {
        for channels in [1, 2] {
            let spec = spec(format, channels);
            let empty = Writer::new(spec).unwrap().begin();
            let whole = whole(spec, &tone);
            assert_eq!(repair(spec, &whole, whole.len() as u64), None, "{format:?}: it is whole");
            // The head tells of nothing yet, or of more than there is.
            for (length, head) in
                (empty.len()..whole.len()).step_by(7).flat_map(|n| [(n, &empty), (n, &whole)])
            {
                let mut cut = whole[..length].to_vec();
                cut[..empty.len()].copy_from_slice(&head[..empty.len()]);
                if let Some((head, length)) = repair(spec, &cut, cut.len() as u64) {
                    cut.truncate(usize::try_from(length).unwrap());
                    cut[..head.len()].copy_from_slice(&head);
                }
                assert_eq!(
                    repair(spec, &cut, cut.len() as u64),
                    None,
                    "{format:?}, {length}: once is enough"
                );
                let told = u32::from_le_bytes(cut[empty.len() - 4..empty.len()].try_into().unwrap());
                let (told, has) = (usize::try_from(told).unwrap(), length - empty.len());
                // No more than a block of IMA ADPCM of two channels is given up.
                assert!(told <= has && told + 512 > has, "{format:?}: {told} of {has}");
                assert_eq!(cut.len(), empty.len() + told, "{format:?}");
                let samples = decode(cut.as_slice(), "a").unwrap().len();
                let of_all = told * tone.len() / usize::from(spec.channels) / (whole.len() - empty.len());
                assert!(samples.abs_diff(of_all) <= 640, "{format:?}: {samples} of {of_all}");
            }
        }
    }
    // What never got its head, and what has none that counts.
    assert_eq!(repair(spec(RecordFormat::Mulaw, 1), b"RIFF", 4), None);
    assert_eq!(repair(spec(RecordFormat::Opus, 1), &[0; 128], 1000), None);
}

#[test]
fn numbers_are_those_of_the_api() {
    assert_eq!(RecordFormat::ALL.map(RecordFormat::api_number), [1, 2, 3, 4, 5, 6, 7, 8]);
    for number in 0..300 {
        let known = RecordFormat::from_api(number).map(RecordFormat::api_number);
        assert_eq!(known.map(u32::from), [1, 2, 3, 4, 5, 6, 7, 8].contains(&number).then_some(number));
    }
}
