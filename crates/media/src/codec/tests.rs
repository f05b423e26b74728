//! G.711 against the tables of the Recommendation, written down here without a look at the code under test.
//!
//! A code is found by searching the decision values of Table 1/G.711 and Table 2/G.711, as a person with the paper
//! would; G.191 adds only that negative samples are taken by ones' complement.

use super::{Codec, Decoder, Encoder};

/// Table 1a/G.711: 0, 2, 4 … 62 | 64, 68 … 124 | 128, 136 … | … 3968, of a range of 4096; each begins an interval.
fn a_law_decisions() -> Vec<i32> {
    let first = (0..32).map(|k| 2 * k);
    first.chain((1..7).flat_map(|s| (0..16).map(move |k| (32 << s) + k * (2 << s)))).collect()
}

/// Table 2a/G.711: 0, 1, 3 … 29 | 31, 35 … 91 | 95, 103 … | … 7903, of a range of 8159; each begins an interval.
fn mu_law_decisions() -> Vec<i32> {
    let first = [0].into_iter().chain((1..16).map(|k| 2 * k - 1));
    first.chain((1..8).flat_map(|s| (0..16).map(move |k| (32 << s) - 33 + k * (2 << s)))).collect()
}

fn interval(decisions: &[i32], magnitude: i32) -> u8 {
    u8::try_from(decisions.partition_point(|&decision| decision <= magnitude) - 1).unwrap()
}

fn magnitude(sample: i16) -> i32 {
    i32::from(if sample < 0 { !sample } else { sample })
}

/// Table 1/G.711 gives a range of 4096 to 12 magnitude bits, a unit being eight of 16 bits.
fn expected_a_law(decisions: &[i32], sample: i16) -> u8 {
    (interval(decisions, magnitude(sample) / 8) | if sample < 0 { 0 } else { 0x80 }) ^ 0x55
}

/// Table 2/G.711 gives a range of 8159 to 13 magnitude bits, a unit being four of 16 bits.
fn expected_mu_law(decisions: &[i32], sample: i16) -> u8 {
    (0x7f - interval(decisions, magnitude(sample) / 4)) | if sample < 0 { 0 } else { 0x80 }
}

fn encode(codec: Codec, sample: i16) -> u8 {
    let mut out = Vec::new();
    Encoder::new(codec).encode(&[sample], &mut out);
    out[0]
}

fn decode(codec: Codec, code: u8) -> i16 {
    let mut out = Vec::new();
    Decoder::new(codec).decode(&[code], &mut out);
    out[0]
}

/// The quantised value y of an interval: the middle between its decision values (the tables' last column).
fn middle(decisions: &[i32], range: i32, interval: usize) -> f64 {
    f64::from(decisions[interval] + decisions.get(interval + 1).copied().unwrap_or(range)) / 2.0
}

#[test]
fn the_decision_values_here_are_those_of_the_recommendation() {
    let a = a_law_decisions();
    assert_eq!(a.len(), 128);
    // Column 2 of Table 1a/G.711: the first value of each segment.
    assert_eq!([a[32], a[48], a[64], a[80], a[96], a[112], a[127]], [64, 128, 256, 512, 1024, 2048, 3968]);
    let mu = mu_law_decisions();
    assert_eq!(mu.len(), 128);
    // Column 2 of Table 2a/G.711.
    assert_eq!(
        [mu[16], mu[32], mu[48], mu[64], mu[80], mu[96], mu[112], mu[127]],
        [31, 95, 223, 479, 991, 2015, 4063, 7903]
    );
}

#[test]
fn all_65536_samples_get_the_code_of_the_recommendation() {
    let (a, mu) = (a_law_decisions(), mu_law_decisions());
    for sample in i16::MIN..=i16::MAX {
        assert_eq!(encode(Codec::Pcma, sample), expected_a_law(&a, sample), "a-law of {sample}");
        assert_eq!(encode(Codec::Pcmu, sample), expected_mu_law(&mu, sample), "mu-law of {sample}");
    }
}

#[test]
fn all_256_codes_decode_to_the_quantised_value_of_the_recommendation() {
    let (a, mu) = (a_law_decisions(), mu_law_decisions());
    for code in 0..=u8::MAX {
        let sign = if code & 0x80 == 0 { -1.0 } else { 1.0 };
        let y = middle(&a, 4096, usize::from((code ^ 0x55) & 0x7f));
        assert_eq!(f64::from(decode(Codec::Pcma, code)), sign * y * 8.0, "a-law {code:#04x}");
        // Table 2/G.711 puts y0 at 0, not into the middle of 0–1.
        let n = usize::from(0x7f - (code & 0x7f));
        let y = if n == 0 { 0.0 } else { middle(&mu, 8159, n) };
        assert_eq!(f64::from(decode(Codec::Pcmu, code)), sign * y * 4.0, "mu-law {code:#04x}");
    }
}

#[test]
fn the_recommendations_own_examples() {
    // Table 1a/G.711: y1, y17, y33, y49 … y128 of column 8, in units of 1/4096.
    for (character, y) in [
        (0x80, 1),
        (0xa0, 66),
        (0xb0, 132),
        (0xc0, 264),
        (0xd0, 528),
        (0xe0, 1056),
        (0xf0, 2112),
        (0xff, 4032),
    ] {
        assert_eq!(decode(Codec::Pcma, character ^ 0x55), y * 8);
    }
    // Table 2a/G.711: y0, y1, y16, y32 … y127 of column 8, in units of 1/8159.
    for (character, y) in [
        (0xff, 0),
        (0xfe, 2),
        (0xef, 33),
        (0xdf, 99),
        (0xcf, 231),
        (0xbf, 495),
        (0xaf, 1023),
        (0x9f, 2079),
        (0x8f, 4191),
        (0x80, 8031),
    ] {
        assert_eq!(decode(Codec::Pcmu, character), y * 4);
    }
    assert_eq!((Codec::Pcma.silence(), Codec::Pcmu.silence()), (&[0xd5][..], &[0xff][..]));
}

#[test]
fn a_code_survives_decoding_and_encoding() {
    for code in 0..=u8::MAX {
        assert_eq!(encode(Codec::Pcma, decode(Codec::Pcma, code)), code);
        // Mu-law has two zeros; the negative one decodes to 0, which is positive.
        let expected = if code == 0x7f { 0xff } else { code };
        assert_eq!(encode(Codec::Pcmu, decode(Codec::Pcmu, code)), expected);
    }
}

#[test]
fn transcoding_takes_the_code_of_the_decoded_value() {
    let (a, mu) = (a_law_decisions(), mu_law_decisions());
    let codes: Vec<u8> = (0..=u8::MAX).collect();
    let (mut to_a, mut to_mu, mut same) = (Vec::new(), Vec::new(), Vec::new());
    Codec::Pcma.transcode(Codec::Pcmu, &codes, &mut to_a);
    Codec::Pcmu.transcode(Codec::Pcma, &codes, &mut to_mu);
    Codec::Pcmu.transcode(Codec::Pcmu, &codes, &mut same);
    for code in 0..=u8::MAX {
        let index = usize::from(code);
        assert_eq!(to_a[index], expected_a_law(&a, decode(Codec::Pcmu, code)));
        assert_eq!(to_mu[index], expected_mu_law(&mu, decode(Codec::Pcma, code)));
    }
    assert_eq!(same, codes);
}

#[test]
fn linear_samples_have_the_high_byte_first() {
    // RFC 3551 §4.5.11: two's complement, network byte order.
    for codec in [Codec::L16Narrow, Codec::L16Wide] {
        let mut payload = Vec::new();
        Encoder::new(codec).encode(&[1, -2, 0x1234], &mut payload);
        assert_eq!(payload, [0, 1, 0xff, 0xfe, 0x12, 0x34]);
        let mut samples = Vec::new();
        Decoder::new(codec).decode(&payload, &mut samples);
        assert_eq!(samples, [1, -2, 0x1234]);
    }
}

#[test]
fn names_and_rates_name_one_codec_each() {
    for codec in Codec::ALL {
        let (name, rate) = (codec.name().to_lowercase(), codec.clock_rate());
        assert_eq!(Codec::from_rtpmap(&name, rate, codec.channels()), Some(codec));
        assert_eq!(Codec::from_rtpmap(&name, rate + 1, codec.channels()), None);
        assert_eq!(Codec::from_name(&name).map(Codec::name), Some(codec.name()));
    }
    assert_eq!(Codec::from_name("L16"), Some(Codec::L16Wide));
}

#[test]
fn payloads_of_any_length_are_whole_or_refused() {
    for codec in Codec::ALL {
        for length in 0..4000 {
            let payload = vec![0x55; length];
            let Some(samples) = codec.samples_in(&payload) else { continue };
            let longest_ms = if codec == Codec::Opus { 120 } else { 60 };
            let longest = (codec.sample_rate() * longest_ms / 1000) as usize;
            assert!(samples > 0 && samples <= longest, "{codec:?} {length}");
            let mut decoded = Vec::new();
            Decoder::new(codec).decode(&payload, &mut decoded);
            assert_eq!(decoded.len(), samples, "{codec:?} {length}");
        }
    }
}

#[test]
fn silence_decodes_to_silence() {
    for codec in Codec::ALL {
        let bytes = codec
            .unit()
            .map_or(codec.silence().len(), |unit| codec.frame_samples() / unit.samples * unit.bytes);
        let frame: Vec<u8> = codec.silence().iter().copied().cycle().take(bytes).collect();
        let loudest = |decoder: &mut Decoder| {
            let mut decoded = Vec::new();
            decoder.decode(&frame, &mut decoded);
            assert_eq!(decoded.len(), codec.frame_samples());
            decoded.iter().map(|sample| sample.unsigned_abs()).max().unwrap()
        };
        let mut decoder = Decoder::new(codec);
        // −60 dB of full scale; GSM's silence is 24.
        assert!(loudest(&mut decoder) <= 32, "{codec:?}");
        // After something loud, it dies away within a frame or two.
        let (mut loud, mut decoded) = (Vec::new(), Vec::new());
        let noise = |n: usize| if n % 7 < 3 { 9000 } else { -9000 };
        let samples: Vec<i16> = (0..codec.frame_samples() * 5).map(noise).collect();
        let mut encoder = Encoder::new(codec);
        for frame in samples.chunks(codec.frame_samples()) {
            loud.clear();
            encoder.encode(frame, &mut loud);
            decoder.decode(&loud, &mut decoded);
        }
        assert!(decoded.iter().any(|sample| sample.unsigned_abs() > 5000));
        let levels: Vec<u16> = (0..5).map(|_| loudest(&mut decoder)).collect();
        assert!(levels[2..].iter().all(|&level| level <= 32), "{codec:?}: {levels:?}");
    }
}
