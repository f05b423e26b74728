//! Packet lengths against the table of RFC 6716, and the coder against what the codec promises. Files of FFmpeg are decoded,
//! and ours by FFmpeg, in the tests of the Ogg container.

use super::samples_in;

/// A first octet of a configuration and a code of frames.
fn toc(config: u8, code: u8) -> u8 {
    config << 3 | code
}

#[test]
fn a_packet_tells_its_length() {
    // Table 2: configurations, and the lengths of their frames in tenths of a millisecond.
    let table: [(std::ops::Range<u8>, &[usize]); 8] = [
        (0..4, &[100, 200, 400, 600]),
        (4..8, &[100, 200, 400, 600]),
        (8..12, &[100, 200, 400, 600]),
        (12..16, &[100, 200, 100, 200]),
        (16..20, &[25, 50, 100, 200]),
        (20..24, &[25, 50, 100, 200]),
        (24..28, &[25, 50, 100, 200]),
        (28..32, &[25, 50, 100, 200]),
    ];
    for (config, &tenths) in table.iter().flat_map(|(configs, lengths)| configs.clone().zip(*lengths)) {
        let samples = tenths * 48 / 10;
        for stereo in [0, 4] {
            assert_eq!(samples_in(&[toc(config, 0) | stereo]), Some(samples), "{config}");
            assert_eq!(samples_in(&[toc(config, 1) | stereo]), Some(2 * samples), "{config}");
            assert_eq!(samples_in(&[toc(config, 2) | stereo]), Some(2 * samples), "{config}");
            for frames in 0..64 {
                // Of the second octet only the lower six bits count frames. R5: at most 120 ms.
                let expected = (frames > 0 && frames * tenths <= 1200).then_some(frames * samples);
                let second = 0xc0 | u8::try_from(frames).unwrap();
                assert_eq!(samples_in(&[toc(config, 3) | stereo, second]), expected, "{config}, {frames}");
            }
        }
    }
}

#[test]
fn what_has_no_length_is_no_packet() {
    assert_eq!(samples_in(&[]), None);
    assert_eq!(samples_in(&[toc(1, 3)]), None);
    assert_eq!(samples_in(&[toc(1, 3), 0]), None);
}

#[cfg(feature = "opus")]
mod coder {
    use super::super::{Decoder, Encoder, Error, MAX_SAMPLES, SAMPLE_RATE, Settings, samples_in};

    /// The speech of `fixtures/codec`, at 48 kHz.
    fn speech() -> Vec<i16> {
        let bytes: &[u8] = include_bytes!("../../../../../fixtures/codec/input-16k.s16");
        let samples: Vec<i16> = bytes.as_chunks().0[..4800].iter().copied().map(i16::from_le_bytes).collect();
        crate::codec::resample::resample_all(&samples, 16_000, 48_000).unwrap()
    }

    fn encoder(settings: Settings) -> Encoder {
        Encoder::new(SAMPLE_RATE, 1, settings).unwrap()
    }

    fn encode(encoder: &mut Encoder, samples: &[i16]) -> Vec<u8> {
        let mut packet = Vec::new();
        encoder.encode(samples, &mut packet).unwrap();
        packet
    }

    fn packets(settings: Settings, samples: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = encoder(settings);
        samples.chunks_exact(960).map(|frame| encode(&mut encoder, frame)).collect()
    }

    /// 1 for two signals of the same shape.
    fn likeness(a: &[f64], b: &[f64]) -> f64 {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    #[test]
    fn speech_comes_through() {
        // Opus keeps how it sounds, not its shape: what is compared is how loud every 5 ms are.
        let loudness = |samples: &[i16]| -> Vec<f64> {
            let square = |&sample: &i16| f64::from(sample).powi(2);
            samples.chunks_exact(240).map(|part| part.iter().map(square).sum::<f64>().sqrt()).collect()
        };
        let speech = speech();
        let (mut decoder, mut out) = (Decoder::new(SAMPLE_RATE).unwrap(), Vec::new());
        let mut encoder = encoder(Settings::default());
        let delay = encoder.delay().unwrap() as usize;
        for frame in speech.chunks_exact(960) {
            let packet = encode(&mut encoder, frame);
            assert_eq!(samples_in(&packet), Some(960));
            decoder.decode(&packet, &mut out).unwrap();
        }
        assert_eq!(out.len(), speech.len());
        let likeness = likeness(&loudness(&speech[..12_000]), &loudness(&out[delay..][..12_000]));
        assert!(likeness > 0.97, "{likeness:.3}");
    }

    #[test]
    fn every_rate_and_length_is_decoded_to_what_was_encoded() {
        for rate in [8000, 12_000, 16_000, 24_000, 48_000] {
            for tenths in [25, 50, 100, 200, 400, 600] {
                for channels in [1, 2] {
                    let samples = rate as usize / 1000 * tenths / 10;
                    let mut encoder = Encoder::new(rate, channels, Settings::default()).unwrap();
                    let packet = encode(&mut encoder, &vec![0; samples * channels]);
                    assert_eq!(samples_in(&packet), Some(tenths * 48 / 10));
                    let (mut decoder, mut out) = (Decoder::new(rate).unwrap(), Vec::new());
                    decoder.decode(&packet, &mut out).unwrap();
                    assert_eq!(out.len(), samples, "{rate} Hz, {tenths}, {channels} channels");
                }
            }
        }
    }

    #[test]
    fn what_opus_has_not_is_refused() {
        let settings = Settings::default();
        for (rate, channels) in [(0, 1), (11_025, 1), (44_100, 2), (48_000, 0), (48_000, 3)] {
            assert_eq!(Encoder::new(rate, channels, settings).unwrap_err(), Error::Unsupported);
        }
        assert_eq!(Decoder::new(44_100).unwrap_err(), Error::Unsupported);
        for bitrate in [0, 5999, 510_001, u32::MAX] {
            let settings = Settings { bitrate, ..settings };
            assert_eq!(encoder(Settings::default()).set(settings), Err(Error::Unsupported));
        }
        for samples in [0, 1, 119, 160, 961, 3840, 5760, 100_000] {
            assert_eq!(encoder(settings).encode(&vec![0; samples], &mut Vec::new()), Err(Error::Length));
        }
        let mut out = Vec::new();
        let mut decoder = Decoder::new(SAMPLE_RATE).unwrap();
        for samples in [0, 1, 121, MAX_SAMPLES + 120, usize::MAX] {
            assert_eq!(decoder.conceal(samples, &mut out), Err(Error::Length));
            assert_eq!(decoder.decode_lost(&[8], samples, &mut out), Err(Error::Length));
        }
        assert_eq!(decoder.decode(&[], &mut out), Err(Error::Malformed));
        assert_eq!(decoder.decode_lost(&[], 960, &mut out), Err(Error::Malformed));
        assert_eq!(out, []);
    }

    #[test]
    fn a_lost_packet_is_heard_from_the_next_one() {
        // Two packets of three are lost, every third of which is one that the next tells of.
        let speech = speech();
        let packets = packets(Settings { expected_loss: 30, ..Settings::default() }, &speech);
        let decode = |lost: &dyn Fn(usize) -> bool, by_next: bool| {
            let (mut decoder, mut out) = (Decoder::new(SAMPLE_RATE).unwrap(), Vec::new());
            for (n, packet) in packets.iter().enumerate() {
                match packets.get(n + 1).filter(|_| by_next && !lost(n + 1)) {
                    _ if !lost(n) => decoder.decode(packet, &mut out).unwrap(),
                    Some(next) => decoder.decode_lost(next, 960, &mut out).unwrap(),
                    None => decoder.conceal(960, &mut out).unwrap(),
                }
            }
            out
        };
        let whole = decode(&|_| false, false);
        let wave = |samples: &[i16]| -> Vec<f64> { samples.iter().copied().map(f64::from).collect() };
        let likeness = |out: &[i16]| likeness(&wave(&whole), &wave(out));
        let lost = |n: usize| n % 3 == 1;
        let (told, concealed) = (likeness(&decode(&lost, true)), likeness(&decode(&lost, false)));
        println!("likeness to what was not lost: {told:.3} by the next packet, {concealed:.3} concealed");
        assert!(told > 0.9 && told > concealed + 0.05, "{told:.3}, {concealed:.3}");
        assert_eq!(decode(&lost, true).len(), whole.len());
    }

    #[test]
    fn packets_tell_of_the_one_before_where_loss_is_expected() {
        // What the first frame of 20 ms tells of the one before is the second bit after the first octet (§4.2.4).
        let told = |expected_loss| {
            let settings = Settings { expected_loss, bitrate: 24_000, ..Settings::default() };
            packets(settings, &speech())
                .iter()
                .filter(|packet| packet[0] >> 3 < 16 && packet[1] & 0x40 != 0)
                .count()
        };
        assert_eq!(told(0), 0);
        assert!(told(20) > 5, "{}", told(20));
    }

    #[test]
    fn the_bit_rate_is_kept() {
        let speech: Vec<i16> = speech().repeat(10);
        for bitrate in [12_000, 32_000, 64_000] {
            let settings = Settings { bitrate, ..Settings::default() };
            let octets: usize = packets(settings, &speech).iter().map(Vec::len).sum();
            let found = octets as f64 * 8.0 / (speech.len() as f64 / 48_000.0);
            assert!((found / f64::from(bitrate) - 1.0).abs() < 0.25, "{bitrate}: {found:.0}");
        }
    }

    #[test]
    fn silence_need_not_be_sent() {
        // Speech, then a second of silence: after some frames nothing more than two octets.
        let mut samples = speech();
        samples.resize(samples.len() + 48_000, 0);
        let settings = Settings { dtx: true, ..Settings::default() };
        let small = packets(settings, &samples).iter().filter(|packet| packet.len() <= 2).count();
        assert!(small > 20, "{small}");
        assert!(packets(Settings::default(), &samples).iter().all(|packet| packet.len() > 2));
    }

    #[test]
    fn any_octets_are_decoded_or_refused() {
        let mut random = fastrand::Rng::with_seed(6716);
        let good = packets(Settings::default(), &speech());
        let mut decoders = [8000, 48_000].map(|rate| Decoder::new(rate).unwrap());
        let (mut decoded, mut refused) = (0, 0);
        for round in 0..20_000 {
            let packet: Vec<u8> = if round % 2 == 0 {
                (0..random.usize(..200)).map(|_| random.u8(..)).collect()
            } else {
                let mut packet = good[random.usize(..good.len())].clone();
                let at = random.usize(..packet.len());
                packet[at] = random.u8(..);
                packet.truncate(random.usize(..=packet.len()));
                packet
            };
            let decoder = &mut decoders[round / 2 % 2];
            let mut out = Vec::new();
            let result = match round % 5 {
                0 => decoder.decode_lost(&packet, 120 * random.usize(..50), &mut out),
                1 => decoder.conceal(120 * random.usize(..50), &mut out),
                _ => decoder.decode(&packet, &mut out),
            };
            // What is refused has left nothing behind.
            assert_eq!(result.is_err(), out.is_empty());
            if result.is_ok() { decoded += 1 } else { refused += 1 }
        }
        assert!(decoded > 5000 && refused > 2000, "{decoded} {refused}");
    }
}
