//! Against libsndfile and SoX, to the bit; `fixtures/codec` says how its files were made.

use super::{BLOCK_OCTETS, BLOCK_SAMPLES, Encoder, decode_block};

const INPUT: &[u8] = include_bytes!("../../../../../../fixtures/codec/input-8k.s16");
const MONO: &[u8] = include_bytes!("../../../../../../fixtures/codec/ima.wav");
const MONO_DECODED: &[u8] = include_bytes!("../../../../../../fixtures/codec/ima.s16");
const STEREO: &[u8] = include_bytes!("../../../../../../fixtures/codec/ima-stereo.wav");
const STEREO_DECODED: &[u8] = include_bytes!("../../../../../../fixtures/codec/ima-stereo.s16");

/// Octets before the audio of both files.
const WAV_HEADER: usize = 60;

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

fn decode(blocks: &[u8], block: usize, channels: usize) -> Vec<i16> {
    let mut out = Vec::new();
    blocks.chunks(block).for_each(|block| decode_block(block, channels, &mut out));
    out
}

#[test]
fn encodes_as_libsndfile_does() {
    let mut input = samples(INPUT);
    // The last block is filled up with silence.
    input.resize(10 * BLOCK_SAMPLES, 0);
    let mut encoder = Encoder::new();
    let blocks: Vec<u8> =
        input.as_chunks().0.iter().flat_map(|samples| encoder.encode_block(samples)).collect();
    assert_eq!(blocks.len(), 10 * BLOCK_OCTETS);
    assert!(blocks == MONO[WAV_HEADER..]);
}

#[test]
fn decodes_as_sox_does() {
    assert!(decode(&MONO[WAV_HEADER..], BLOCK_OCTETS, 1) == samples(MONO_DECODED));
    assert!(decode(&STEREO[WAV_HEADER..], 2 * BLOCK_OCTETS, 2) == samples(STEREO_DECODED));
}

#[test]
fn a_block_that_is_cut_off_gives_its_whole_groups() {
    let (mono, stereo) = (&MONO[WAV_HEADER..], &STEREO[WAV_HEADER..]);
    for (octets, expected) in [(0, 0), (3, 0), (4, 1), (7, 1), (8, 9), (11, 9), (12, 17)] {
        assert_eq!(decode(&mono[..octets], BLOCK_OCTETS, 1), samples(MONO_DECODED)[..expected], "{octets}");
    }
    for (octets, expected) in [(7, 0), (8, 2), (12, 2), (15, 2), (16, 18), (24, 34)] {
        assert_eq!(
            decode(&stereo[..octets], 2 * BLOCK_OCTETS, 2),
            samples(STEREO_DECODED)[..expected],
            "{octets}"
        );
    }
}

#[test]
fn any_octets_decode() {
    let mut random = fastrand::Rng::with_seed(17);
    for round in 0..2000 {
        let block: Vec<u8> = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
        let channels = round % 9;
        let mut out = Vec::new();
        decode_block(&block, channels, &mut out);
        assert_eq!(out.len().checked_rem(channels).unwrap_or(out.len()), 0);
    }
    // The largest step upon the largest sample.
    let mut block = [0x77; BLOCK_OCTETS];
    block[..4].copy_from_slice(&[0xff, 0x7f, 0xff, 0]);
    assert_eq!(decode(&block, BLOCK_OCTETS, 1), [i16::MAX; BLOCK_SAMPLES]);
}

#[test]
fn any_samples_encode() {
    let mut random = fastrand::Rng::with_seed(17);
    let mut encoder = Encoder::new();
    for _ in 0..200 {
        let extremes = std::array::from_fn(|_| if random.bool() { i16::MAX } else { i16::MIN });
        let block = encoder.encode_block(&extremes);
        assert_eq!(decode(&block, BLOCK_OCTETS, 1)[0], extremes[0]);
    }
}
