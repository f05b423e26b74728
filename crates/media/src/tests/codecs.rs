//! Codecs of all kinds on the wire: other rates than 8 kHz, other sizes than a byte for a sample.

use super::*;

/// A sine of 500 Hz at the codec's rate.
fn sine(codec: Codec, seconds: f64) -> Vec<i16> {
    let rate = f64::from(codec.sample_rate());
    let sample = |n: u32| (8000.0 * (std::f64::consts::TAU * 500.0 * f64::from(n) / rate).sin()).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
    (0..(seconds * rate) as u32).map(|n| sample(n) as i16).collect()
}

/// How many ms of that sine are in samples at 8 kHz: 14 of the 16 samples of its period are far from zero.
fn heard_ms(samples: &[i16]) -> usize {
    samples.iter().filter(|sample| sample.unsigned_abs() > 500).count() / 7
}

/// How many ms of it are in samples at 8 kHz whose phase need not be that in which it was made: what is encoded twice is
/// shifted by parts of a sample.
fn loud_ms(samples: &[i16]) -> usize {
    10 * samples.chunks(80).filter(|part| level(part) > 1000.0).count()
}

/// The samples of a recording in linear PCM.
fn samples(file: &[u8]) -> Vec<i16> {
    file.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
}

/// The root of the mean square.
fn level(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// What a packet lasts where this was agreed on: what its codec can last (RFC 3551 §4.5.8.1, RFC 7587 §6.1), and no more
/// than a datagram carries.
fn expected_ms(codec: Codec, ptime_ms: u8) -> usize {
    match (codec, ptime_ms) {
        (Codec::Gsm, 10 | 30) | (Codec::Opus, 30) => 20,
        (Codec::L16Wide, 60) => 40,
        _ => ptime_ms.into(),
    }
}

#[test]
fn packets_of_every_codec_are_as_long_as_was_agreed() {
    for codec in Codec::ALL {
        for ptime_ms in [10, 20, 30, 40, 60] {
            let config = with(config(codec), |media| media.ptime_ms = ptime_ms);
            let mut world = World::pair(1, Network::default(), config.clone(), config);
            world.record(2, 1, RecordFormat::Pcm16, 10_000);
            world.play(1, 2, &[&Prompt::encode(&sine(codec, 1.0), codec)], 0);
            world.run(1500);
            world.stop_record(2, 1, false);
            let packets = world.rtp_of(1);
            let clock = |index: usize| packets[index].rtp().timestamp();
            let lasted: u32 = packets
                .windows(2)
                .map(|pair| {
                    let (one, other) = (pair[0].rtp(), pair[1].rtp());
                    let passed = other.timestamp().wrapping_sub(one.timestamp());
                    let samples = codec.samples_in(one.payload()).unwrap();
                    assert_eq!(passed, codec.samples_to_clock(samples), "{codec:?} {ptime_ms}");
                    let lasts_ms = samples * 1000 / codec.sample_rate() as usize;
                    assert_eq!(lasts_ms, expected_ms(codec, ptime_ms), "{codec:?} {ptime_ms}");
                    passed
                })
                .sum();
            assert_eq!(clock(packets.len() - 1).wrapping_sub(clock(0)), lasted);
            let played = Duration::from_secs(1);
            assert!(world.told().contains(&&Event::PlayEnded { leg: LegId(1), action: ActionId(2), played }));
            // All of it is heard, and what the end is taken for, a loss, fades away in 60 ms;
            // what is coded by its spectrum smears a little.
            let file = samples(world.file(1));
            let heard = loud_ms(&file);
            assert!((1000..=1080).contains(&heard), "{codec:?} {ptime_ms}: {heard} ms");
            let middle = level(&file[file.len() / 3..file.len() / 2]);
            assert!((5300.0..6000.0).contains(&middle), "{codec:?} {ptime_ms}: {middle}");
        }
    }
}

/// Each side sends as long packets as the other wants, and takes those that it gets.
#[test]
fn packet_times_of_both_ways_differ() {
    for codec in Codec::ALL {
        for times in [[10, 60], [60, 20], [40, 30]] {
            let [one, other] = times.map(|ms| with(config(codec), |media| media.ptime_ms = ms));
            let mut world = World::pair(1, Network::default(), one, other);
            for leg in [1, 2] {
                world.record(leg, leg, RecordFormat::Pcm16, 10_000);
                world.play(leg, leg + 2, &[&Prompt::encode(&sine(codec, 1.0), codec)], 0);
            }
            world.run(1500);
            for (leg, ptime_ms) in [(1, times[0]), (2, times[1])] {
                world.stop_record(leg, leg, false);
                let heard = loud_ms(&samples(world.file(leg)));
                assert!((1000..=1080).contains(&heard), "{codec:?} {times:?}: {heard} ms");
                let packets = world.rtp_of(leg);
                let samples = codec.samples_in(packets[1].rtp().payload()).unwrap();
                assert_eq!(samples * 1000 / codec.sample_rate() as usize, expected_ms(codec, ptime_ms));
            }
        }
    }
}

#[test]
fn tones_and_the_beep_are_heard_in_every_codec() {
    for codec in Codec::ALL {
        let deaf = with(config(codec), |media| media.telephone_event = None);
        let listener = LegConfig { detect_tones: true, ..deaf.clone() };
        let mut world = World::pair(1, Network::default(), deaf, listener);
        world.send_digits(1, 1, "1590#D");
        world.run(2000);
        let keys: String = world.digits_of(2).iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, "1590#D", "{codec:?}");
        world.record(1, 2, RecordFormat::Pcm16, 10_000);
        world.command(Command::Record {
            leg: LegId(2),
            action: ActionId(3),
            recording: RecordingId(3),
            beep: true,
            max: Duration::from_secs(1),
            trim_silence: false,
            mute_digits: false,
            finish_keys: KeySet::default(),
            format: RecordFormat::Pcm16,
        });
        world.run(600);
        world.stop_record(1, 2, false);
        let heard = samples(world.file(2));
        let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 1000).count();
        // 300 ms of a sine of 8 kHz samples, seldom below a tenth of its peak of 5700.
        assert!((2000..=2450).contains(&loud), "{codec:?}: {loud}");
    }
}

#[test]
fn equal_codecs_are_relayed_as_they_are() {
    for codec in Codec::ALL {
        let mut world = World::new(2, 1, Network::default());
        for (engine, leg, to) in [(0, 1, 11), (0, 2, 12), (1, 11, 1), (1, 12, 2)] {
            world.add(engine, leg, to, config(codec));
        }
        world.command(Command::Connect {
            first: LegId(1),
            second: LegId(2),
            mode: ConnectMode::Both,
            mute_digits: false,
        });
        world.play(11, 1, &[&Prompt::encode(&sine(codec, 0.5), codec)], 0);
        world.run(700);
        let payload = |leg| -> Vec<Vec<u8>> {
            world.rtp_of(leg).iter().map(|packet| packet.rtp().payload().to_vec()).collect()
        };
        assert_eq!(payload(2).len(), 25, "{codec:?}");
        assert_eq!(payload(2), payload(11), "{codec:?}");
    }
}

#[test]
fn a_prompt_and_a_recording_go_on_when_the_codec_changes_to_another_rate() {
    let (narrow, wide) = (Codec::Pcmu, Codec::L16Wide);
    let mut world = World::pair(1, Network::default(), config(narrow), config(narrow));
    world.record(2, 1, RecordFormat::Pcm16, 10_000);
    world.play(1, 2, &[&Prompt::encode(&sine(narrow, 3.0), narrow)], 0);
    world.run(1000);
    for (leg, to) in [(2, 1), (1, 2)] {
        let config =
            with(config(wide), |media| (media.remote_rtp, media.remote_rtcp) = (address(to), address(to)));
        world.command(Command::UpdateLeg { leg: LegId(leg), config });
    }
    world.run(2500);
    world.stop_record(2, 1, false);
    let played = Duration::from_secs(3);
    assert!(world.told().contains(&&Event::PlayEnded { leg: LegId(1), action: ActionId(2), played }));
    let file = samples(world.file(1));
    assert!(file.len().abs_diff(3500 * 8) <= 160, "{}", file.len());
    // The change of clocks begins another source (RFC 7160 §4.1), and the sound goes on.
    let mut sources: Vec<u32> = world.rtp_of(1).iter().map(|packet| packet.rtp().ssrc()).collect();
    sources.dedup();
    assert_eq!(sources.len(), 2);
    let heard = heard_ms(&file);
    assert!((2980..=3060).contains(&heard), "{heard} ms");
}

/// Two legs of one engine whose peers talk in these codecs, connected; 11 and 12 are the peers, on the other engine.
fn connected(first: Codec, second: Codec) -> World {
    let mut world = World::new(2, 1, Network::default());
    for (engine, leg, to, codec) in
        [(0, 1, 11, first), (0, 2, 12, second), (1, 11, 1, first), (1, 12, 2, second)]
    {
        world.add(engine, leg, to, config(codec));
    }
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    world
}

#[test]
fn parties_of_any_two_codecs_hear_each_other() {
    for (first, second) in Codec::ALL.into_iter().flat_map(|one| Codec::ALL.map(|other| (one, other))) {
        let mut world = connected(first, second);
        world.record(11, 1, RecordFormat::Pcm16, 10_000);
        world.record(12, 2, RecordFormat::Pcm16, 10_000);
        world.play(11, 3, &[&Prompt::encode(&sine(first, 1.0), first)], 0);
        world.run(200);
        world.play(12, 4, &[&Prompt::encode(&sine(second, 1.0), second)], 0);
        world.run(1600);
        world.stop_record(11, 1, false);
        world.stop_record(12, 2, false);
        for file in [1, 2] {
            let heard = samples(world.file(file));
            assert!((980..=1160).contains(&heard_ms(&heard)), "{first:?} {second:?}: {}", heard_ms(&heard));
            let loud = heard.iter().position(|sample| sample.unsigned_abs() > 2000).unwrap();
            let start = if file == 2 { 0 } else { 200 * 8 };
            assert!((start..start + 150 * 8).contains(&loud), "{first:?} {second:?} after {} ms", loud / 8);
            let level = level(&heard[loud + 2400..loud + 4800]);
            assert!((5200.0..6000.0).contains(&level), "{first:?} {second:?}: {level}");
        }
        // A pause is a pause on the other side too.
        let sent = world.rtp_of(2).len();
        world.run(500);
        assert_eq!(world.rtp_of(2).len(), sent);
    }
}

#[test]
fn keys_reach_who_speaks_another_codec_and_count_once() {
    let mut world = connected(Codec::G722, Codec::Gsm);
    world.play(11, 1, &[&Prompt::encode(&sine(Codec::G722, 1.0), Codec::G722)], 9);
    world.run(300);
    world.send_digits(11, 2, "7#");
    world.run(1500);
    let keys: String = world.digits_of(12).iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, "7#");
}

#[test]
fn a_connection_goes_on_when_the_codecs_differ_from_now_on_and_when_they_are_equal_again() {
    let mut world = connected(Codec::Pcmu, Codec::Pcmu);
    world.record(11, 1, RecordFormat::Pcm16, 100_000);
    for codec in [Codec::Pcmu, Codec::G722, Codec::Pcmu] {
        for (leg, to) in [(2, 12), (12, 2)] {
            let there = (address(to), address(to));
            let config = with(config(codec), |media| (media.remote_rtp, media.remote_rtcp) = there);
            world.command(Command::UpdateLeg { leg: LegId(leg), config });
        }
        let from = world.file(1).len() / 2;
        world.play(12, 2, &[&Prompt::encode(&sine(codec, 1.0), codec)], 0);
        world.run(1500);
        let heard = heard_ms(&samples(&world.file(1)[from * 2..]));
        assert!((980..=1100).contains(&heard), "{codec:?}: {heard}");
    }
}

#[test]
fn who_is_only_heard_hears_nothing_in_another_codec_either() {
    let mut world = connected(Codec::Pcmu, Codec::G722);
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::FirstHears,
        mute_digits: false,
    });
    world.play(11, 3, &[&Prompt::encode(&sine(Codec::Pcmu, 1.0), Codec::Pcmu)], 0);
    world.play(12, 4, &[&Prompt::encode(&sine(Codec::G722, 1.0), Codec::G722)], 0);
    world.run(500);
    assert_eq!(world.rtp_of(2).len(), 0);
    assert!(world.rtp_of(1).len() > 15);
    world.command(Command::Disconnect { first: LegId(1), second: LegId(2) });
    // What was already on its way to a packet is said.
    let sent = world.rtp_of(1).len();
    world.run(500);
    assert!(world.rtp_of(1).len() <= sent + 1);
}

#[test]
fn losses_are_made_up_for_in_every_codec() {
    for codec in Codec::ALL {
        for seed in 1..=3 {
            let network = Network { loss: 0.1, ..Network::default() };
            let mut world = World::pair(seed, network, config(codec), config(codec));
            world.record(2, 1, RecordFormat::Pcm16, 10_000);
            world.play(1, 2, &[&Prompt::encode(&sine(codec, 4.0), codec)], 0);
            world.run(4500);
            world.stop_record(2, 1, false);
            // A tenth is lost, 400 ms, and made up for: hardly a frame is gone. The sine's level is 5657; Opus takes two
            // frames to come back to it, with libopus alone as well.
            let heard = 20 * samples(world.file(1)).chunks(160).filter(|frame| level(frame) > 1000.0).count();
            let least = if codec == Codec::Opus { 3700 } else { 3900 };
            assert!((least..=4080).contains(&heard), "{codec:?}, seed {seed}: {heard} ms");
        }
    }
}
