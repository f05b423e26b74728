//! Against FFmpeg, to the bit; `fixtures/codec` says how its files were made.

use super::{Decoder, Encoder};

const INPUT: &[u8] = include_bytes!("../../../../../fixtures/codec/input-16k.s16");
const ENCODED: &[u8] = include_bytes!("../../../../../fixtures/codec/g722.g722");
const DECODED: &[u8] = include_bytes!("../../../../../fixtures/codec/g722.s16");

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn encodes_as_ffmpeg_does() {
    let input = samples(INPUT);
    assert_eq!((input.len(), ENCODED.len()), (9600, 4800));
    for block in [1, 2, 7, 320, input.len()] {
        let (mut encoder, mut out) = (Encoder::new(), Vec::new());
        for samples in input.chunks(block) {
            encoder.encode(samples, &mut out);
        }
        assert!(out == ENCODED, "in blocks of {block}");
    }
}

#[test]
fn decodes_as_ffmpeg_does() {
    let expected = samples(DECODED);
    for block in [1, 160, ENCODED.len()] {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        for octets in ENCODED.chunks(block) {
            decoder.decode(octets, &mut out);
        }
        assert!(out == expected, "in blocks of {block}");
    }
}

#[test]
fn any_octets_decode() {
    // Overflow would panic here. The extremes of both quantizers, and what is as far from speech as can be.
    let mut random = fastrand::Rng::with_seed(722);
    let noise = (0..200_000).map(|_| random.u8(..)).collect();
    for octets in [noise, vec![0x00; 10_000], vec![0xff; 10_000], vec![0xa0; 10_000], vec![0x04; 10_000]] {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        decoder.decode(&octets, &mut out);
        assert_eq!(out.len(), octets.len() * 2);
    }
}

#[test]
fn any_samples_encode() {
    let mut random = fastrand::Rng::with_seed(722);
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    let extremes: Vec<i16> = (0..200_000).map(|_| if random.bool() { i16::MAX } else { i16::MIN }).collect();
    encoder.encode(&extremes, &mut out);
    assert_eq!(out.len(), 100_000);
}
