//! Against libgsm, to the bit; `fixtures/codec` says how its files were made.

use super::{BLOCK_OCTETS, BLOCK_SAMPLES, Decoder, Encoder, FRAME_OCTETS, FRAME_SAMPLES};

const INPUT: &[u8] = include_bytes!("../../../../../fixtures/codec/input-8k.s16");
const ENCODED: &[u8] = include_bytes!("../../../../../fixtures/codec/gsm.gsm");
const DECODED: &[u8] = include_bytes!("../../../../../fixtures/codec/gsm.s16");
const WAV: &[u8] = include_bytes!("../../../../../fixtures/codec/gsm.wav");

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

/// The blocks of the WAV file, behind a header of 60 octets.
fn blocks() -> &'static [[u8; BLOCK_OCTETS]] {
    assert_eq!(&WAV[52..56], b"data");
    WAV[60..].as_chunks().0
}

#[test]
fn encodes_as_libgsm_does() {
    let input = samples(INPUT);
    assert_eq!((input.len(), ENCODED.len()), (30 * FRAME_SAMPLES, 30 * FRAME_OCTETS));
    for block in [1, 80, 160, 240, 4799, 4800] {
        let (mut encoder, mut out) = (Encoder::new(), Vec::new());
        input.chunks(block).for_each(|samples| encoder.encode(samples, &mut out));
        assert!(out == ENCODED, "in blocks of {block}");
    }
}

#[test]
fn decodes_as_libgsm_does() {
    for frames in [1, 3, 30] {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        ENCODED.chunks(frames * FRAME_OCTETS).for_each(|payload| decoder.decode(payload, &mut out));
        assert!(out == samples(DECODED), "{frames} frames a payload");
    }
}

#[test]
fn wav_blocks_encode_as_libgsm_does() {
    let input = samples(INPUT);
    let mut encoder = Encoder::new();
    for (n, (samples, block)) in input.as_chunks::<BLOCK_SAMPLES>().0.iter().zip(blocks()).enumerate() {
        assert_eq!(encoder.encode_block(samples), *block, "block {n}");
    }
    assert_eq!(blocks().len(), 15);
}

#[test]
fn wav_blocks_decode_to_what_frames_do() {
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    blocks().iter().for_each(|block| decoder.decode_block(block, &mut out));
    assert!(out == samples(DECODED));
}

#[test]
fn a_rest_of_a_payload_is_passed_over() {
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    decoder.decode(&ENCODED[..FRAME_OCTETS - 1], &mut out);
    assert_eq!(out, []);
    decoder.decode(&ENCODED[..FRAME_OCTETS + 5], &mut out);
    assert_eq!(out, samples(DECODED)[..FRAME_SAMPLES]);
}

#[test]
fn any_octets_decode() {
    // Overflow would panic here; lags that are none are among them.
    let mut random = fastrand::Rng::with_seed(610);
    let noise = (0..2000 * FRAME_OCTETS).map(|_| random.u8(..)).collect();
    for octets in [noise, vec![0x00; 100 * FRAME_OCTETS], vec![0xff; 100 * FRAME_OCTETS]] {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        decoder.decode(&octets, &mut out);
        assert_eq!(out.len(), octets.len() / FRAME_OCTETS * FRAME_SAMPLES);
    }
}

#[test]
fn any_samples_encode() {
    let mut random = fastrand::Rng::with_seed(610);
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    let extremes: Vec<i16> =
        (0..1000 * FRAME_SAMPLES).map(|_| if random.bool() { i16::MAX } else { i16::MIN }).collect();
    encoder.encode(&extremes, &mut out);
    assert_eq!(out.len(), 1000 * FRAME_OCTETS);
}
