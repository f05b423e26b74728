//! Against SoX and libsndfile, to the bit; `fixtures/codec` says how its files were made.

use super::{WEIGHTS, decode_block};

const MONO: &[u8] = include_bytes!("../../../../../../fixtures/codec/microsoft.wav");
const MONO_DECODED: &[u8] = include_bytes!("../../../../../../fixtures/codec/microsoft.s16");
const STEREO: &[u8] = include_bytes!("../../../../../../fixtures/codec/microsoft-stereo.wav");
const STEREO_DECODED: &[u8] = include_bytes!("../../../../../../fixtures/codec/microsoft-stereo.s16");

/// Octets before the audio of both files.
const WAV_HEADER: usize = 90;

/// Octets of the files' blocks, of each channel.
const BLOCK_OCTETS: usize = 256;

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

fn decode(blocks: &[u8], block: usize, channels: usize) -> Vec<i16> {
    let mut out = Vec::new();
    blocks.chunks(block).for_each(|block| decode_block(block, channels, &WEIGHTS, &mut out));
    out
}

#[test]
fn decodes_as_sox_does() {
    assert!(decode(&MONO[WAV_HEADER..], BLOCK_OCTETS, 1) == samples(MONO_DECODED));
    assert!(decode(&STEREO[WAV_HEADER..], 2 * BLOCK_OCTETS, 2) == samples(STEREO_DECODED));
}

#[test]
fn the_weights_are_those_of_the_format_chunk() {
    // In SoX's file: size (2), samples a block (2), how many (2), and the pairs.
    let (count, pairs) = (&MONO[40..42], &MONO[42..70]);
    assert_eq!(count, [7, 0]);
    assert_eq!(samples(pairs), WEIGHTS.as_flattened());
}

#[test]
fn a_block_that_is_cut_off_gives_what_is_there() {
    let mono = &MONO[WAV_HEADER..];
    for (octets, expected) in [(0, 0), (6, 0), (7, 2), (8, 4), (20, 28)] {
        assert_eq!(decode(&mono[..octets], BLOCK_OCTETS, 1), samples(MONO_DECODED)[..expected], "{octets}");
    }
}

#[test]
fn any_octets_decode() {
    let mut random = fastrand::Rng::with_seed(2);
    for channels in 0..5 {
        for _ in 0..500 {
            let block: Vec<u8> = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
            let weights: Vec<_> = (0..random.usize(..9)).map(|_| [random.i16(..), random.i16(..)]).collect();
            let mut out = Vec::new();
            decode_block(&block, channels, &weights, &mut out);
            assert!(out.len() <= 2 * block.len());
        }
    }
    // The largest products, and steps that only grow.
    let mut block = vec![0x88; 600];
    block[..7].copy_from_slice(&[0, 0xff, 0x7f, 0, 0x80, 0, 0x80]);
    decode_block(&block, 1, &[[i16::MIN, i16::MIN]], &mut Vec::new());
}
