//! Connections that do more than pass packets on: volumes, recordings of both sides, prompts over the talk. Levels are
//! measured by the definition of the decibel, on what the far ends record.

use std::f64::consts::TAU;

use super::*;
use crate::codec::Decoder;
use crate::{FRAME, SPAN_FRAMES};

const FIRST: LegId = LegId(1);
const SECOND: LegId = LegId(2);
/// The actions of the connection.
const RECORDING: u64 = 90;
const PROMPT: u64 = 91;

/// Two far ends, 11 and 12, whose legs 1 and 2 are connected. What the far ends hear is recorded as 1 and 2.
fn connected(network: Network, first: &LegConfig, second: &LegConfig, mode: ConnectMode) -> World {
    let mut world = World::new(2, 7, network);
    for (leg, config) in [(1, first), (2, second)] {
        world.add(0, leg, leg + 10, config.clone());
        world.add(1, leg + 10, leg, config.clone());
    }
    world.command(Command::Connect { first: FIRST, second: SECOND, mode, mute_digits: false });
    for (far_end, recording) in [(11, 1), (12, 2)] {
        world.record(far_end, recording, RecordFormat::Pcm16, 600_000);
    }
    world
}

fn pair(codec: Codec) -> World {
    connected(Network::default(), &config(codec), &config(codec), ConnectMode::Both)
}

fn volumes(world: &mut World, first: i8, second: i8) {
    let [first, second] = [first, second].map(Gain::from_decibels);
    let volumes = Volumes { first, second };
    world.command(Command::SetVolumes { first: FIRST, second: SECOND, volumes });
}

fn record(world: &mut World, is_stereo: bool, rate: u32) {
    let channels = if is_stereo { 2 } else { 1 };
    let spec = RecordSpec { format: RecordFormat::Pcm16, rate, channels };
    world.writers.insert(RecordingId(RECORDING), Writer::new(spec).unwrap());
    world.command(Command::RecordConnection {
        first: FIRST,
        second: SECOND,
        action: ActionId(RECORDING),
        recording: RecordingId(RECORDING),
        is_stereo,
        max: Duration::from_secs(3600),
    });
}

fn stop(world: &mut World) -> Duration {
    world.stop_record(1, RECORDING, false);
    recorded(world).0
}

/// How long the recording is, and why it ended.
fn recorded(world: &World) -> (Duration, RecordEnd) {
    let ended = |event: &&Event| match **event {
        Event::RecordEnded { leg: FIRST, action: ActionId(RECORDING), duration, end } => {
            Some((duration, end))
        }
        _ => None,
    };
    let told: Vec<_> = world.told().iter().filter_map(ended).collect();
    assert_eq!(told.len(), 1, "one end");
    assert!(world.closed.contains(&RecordingId(RECORDING)), "its end mark comes before");
    told[0]
}

#[allow(clippy::cast_possible_truncation, reason = "an amplitude of 16 bits")]
fn tone(hz: f64, amplitude: f64, rate: u32, ms: u32) -> Vec<i16> {
    let sample = |n: u32| amplitude * (TAU * hz * f64::from(n) / f64::from(rate)).sin();
    (0..rate / 1000 * ms).map(|n| sample(n).round() as i16).collect()
}

fn say(world: &mut World, leg: u64, action: u64, samples: &[i16], codec: Codec) {
    world.play(leg, action, &[&Prompt::encode(samples, codec)], 0);
}

/// The samples of a file of 16 bits.
fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn channel(world: &World, side: usize) -> Vec<i16> {
    samples(world.file(RECORDING)).into_iter().skip(side).step_by(2).collect()
}

/// The amplitude of a frequency (an even one, whose periods do not fall on the same samples again and again, or a law would
/// err by the same each time) among samples at 8 kHz, by its Fourier coefficient over whole periods: half a second from
/// a second before the end.
fn amplitude(samples: &[i16], hz: f64) -> f64 {
    let begin = samples.len() - 8000;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples[begin..begin + 4000].iter().enumerate() {
        let (sin, cos) = (TAU * hz * n as f64 / 8000.0).sin_cos();
        re += f64::from(sample) * cos;
        im += f64::from(sample) * sin;
    }
    (re * re + im * im).sqrt() / 2000.0
}

fn decibels(amplitude: f64, reference: f64) -> f64 {
    20.0 * (amplitude / reference).log10()
}

fn heard(world: &World, far_end: u64) -> Vec<i16> {
    samples(world.file(far_end - 10))
}

/// The payload of a leg's packets from a moment on, as samples of L16, whose order on the wire is the network's.
fn sent(world: &World, leg: u64, from_ms: u64) -> Vec<i16> {
    let packets = world.rtp_of(leg).into_iter().filter(|sent| sent.at_ms >= from_ms);
    let payload: Vec<u8> = packets.flat_map(|sent| sent.rtp().payload().to_vec()).collect();
    payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn volumes_are_what_they_say_each_way_for_itself() {
    for (codec, tolerance) in [(Codec::L16Narrow, 0.1), (Codec::Pcmu, 0.1)] {
        for (local, remote) in [(0, -6), (-20, 3), (10, -40), (20, 0)] {
            // The law has few steps for what is that soft.
            if codec == Codec::Pcmu && remote < -20 {
                continue;
            }
            let mut world = pair(codec);
            volumes(&mut world, local, remote);
            say(&mut world, 11, 1, &tone(438.0, 2000.0, 8000, 4000), codec);
            say(&mut world, 12, 2, &tone(812.0, 2000.0, 8000, 4000), codec);
            world.run(3500);
            for (far_end, hz, expected) in [(11, 812.0, local), (12, 438.0, remote)] {
                let found = decibels(amplitude(&heard(&world, far_end), hz), 2000.0);
                let error = (found - f64::from(expected)).abs();
                assert!(error < tolerance, "{codec:?}, {far_end} hears {found} for {expected}");
                assert!(amplitude(&heard(&world, far_end), 1250.0 - hz) < 20.0, "not itself");
            }
        }
    }
}

#[test]
fn parties_of_other_rates_hear_each_other_as_loud() {
    let (first, second) = (config(Codec::Pcmu), config(Codec::L16Wide));
    let mut world = connected(Network::default(), &first, &second, ConnectMode::Both);
    volumes(&mut world, -3, 6);
    record(&mut world, true, 16_000);
    say(&mut world, 11, 1, &tone(438.0, 4000.0, 8000, 4000), Codec::Pcmu);
    say(&mut world, 12, 2, &tone(812.0, 4000.0, 16_000, 4000), Codec::L16Wide);
    world.run(3500);
    for (far_end, hz, expected) in [(11, 812.0, -3.0), (12, 438.0, 6.0)] {
        let found = decibels(amplitude(&heard(&world, far_end), hz), 4000.0);
        assert!((found - expected).abs() < 0.1, "{far_end} hears {found}");
    }
    stop(&mut world);
    // At 16 kHz each of them has twice the samples of a period; both are as loud as they said it.
    for (side, hz) in [(0, 438.0), (1, 812.0)] {
        let narrow: Vec<i16> = channel(&world, side).into_iter().step_by(2).collect();
        let found = decibels(amplitude(&narrow, hz), 4000.0);
        assert!(found.abs() < 0.1, "{side}: {found}");
    }
}

/// Where both are decoded, as keys are kept from them, each channel is, sample by sample, what the other party was sent in
/// the same frames, whatever the network lost; and the file has one frame for each of our clock.
#[test]
fn a_stereo_recording_is_aligned_to_the_sample_over_a_bad_network() {
    let network = Network { loss: 0.05, duplication: 0.02, delay_ms: 30 };
    let codec = Codec::L16Narrow;
    let mut world = connected(network, &config(codec), &config(codec), ConnectMode::Both);
    let mode = ConnectMode::Both;
    world.command(Command::Connect { first: FIRST, second: SECOND, mode, mute_digits: true });
    say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 20_000), codec);
    say(&mut world, 12, 2, &tone(812.0, 5000.0, 8000, 20_000), codec);
    world.run(1000);
    record(&mut world, true, 8000);
    let begin = world.step * 2 + 2;
    world.run(10_000);
    let duration = stop(&mut world);
    assert_eq!(duration, Duration::from_secs(10), "one frame for each of our clock");
    let (left, right) = (channel(&world, 0), channel(&world, 1));
    assert_eq!((left.len(), right.len()), (80_000, 80_000));
    assert_eq!(sent(&world, 2, begin)[..80_000], left[..], "what the second heard is what the first said");
    assert_eq!(sent(&world, 1, begin)[..80_000], right[..]);
    assert!((decibels(amplitude(&left, 438.0), 3000.0)).abs() < 0.5, "with what was made up for losses");
    assert!((decibels(amplitude(&right, 812.0), 5000.0)).abs() < 0.5);
    assert!(amplitude(&left, 812.0) < 60.0 && amplitude(&right, 438.0) < 60.0, "nobody is in the other's");
}

/// Random codes of a law, of which two fit into one sample.
fn noise(codec: Codec, samples: usize, seed: u64) -> Arc<Prompt> {
    let mut random = fastrand::Rng::with_seed(seed);
    Prompt::encode(&(0..samples).map(|_| random.i16(-14_000..14_000)).collect::<Vec<_>>(), codec)
}

/// A recording of two equal codecs takes nothing away from the packets, and no time: each leaves in the step of 2 ms in which
/// it came, as it was. The recording has both sides as they were said, in the same frames.
#[test]
fn what_is_recorded_is_passed_on_as_it_comes() {
    for (codec, is_stereo) in [Codec::Pcmu, Codec::Pcma].into_iter().flat_map(|it| [(it, false), (it, true)])
    {
        let mut world = pair(codec);
        record(&mut world, is_stereo, 8000);
        world.run(500);
        let prompts = [noise(codec, 8000, 1), noise(codec, 8000, 2)];
        world.play(11, 1, &[&prompts[0]], 0);
        world.play(12, 2, &[&prompts[1]], 0);
        world.run(2500);
        assert!(world.engines[0].passes_on());
        for (from, to) in [(11, 2), (12, 1)] {
            let packets = |leg| {
                let packets = world.rtp_of(leg).into_iter();
                packets.map(|sent| (sent.at_ms, sent.rtp().payload().to_vec())).collect::<Vec<_>>()
            };
            let came: Vec<_> =
                packets(from).into_iter().map(|(at_ms, payload)| (at_ms + 2, payload)).collect();
            assert_eq!((packets(to), came.len()), (came, 50), "{codec:?}: a step of the network and no more");
        }
        assert_eq!(stop(&mut world), Duration::from_secs(3), "one frame for each of our clock");
        let said = prompts.each_ref().map(|prompt| {
            let mut samples = Vec::new();
            Decoder::new(codec).decode(payload(prompt), &mut samples);
            samples
        });
        if is_stereo {
            let begins = [0, 1].map(|side| find(&channel(&world, side), &said[side]));
            assert!(begins[0].is_some() && begins[0] == begins[1], "{codec:?}: {begins:?}");
        } else {
            let sums: Vec<i16> = said[0].iter().zip(&said[1]).map(|(one, other)| one + other).collect();
            assert!(find(&samples(world.file(RECORDING)), &sums).is_some(), "{codec:?}");
        }
    }
}

/// What the network loses is lost to the other party, and made up for in the recording.
#[test]
fn what_is_lost_before_it_is_passed_on_is_made_up_for_in_the_recording() {
    for codec in [Codec::L16Narrow, Codec::Pcmu] {
        let network = Network { loss: 0.05, duplication: 0.02, delay_ms: 30 };
        let mut world = connected(network, &config(codec), &config(codec), ConnectMode::Both);
        record(&mut world, true, 8000);
        say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 20_000), codec);
        say(&mut world, 12, 2, &tone(812.0, 5000.0, 8000, 20_000), codec);
        world.run(10_000);
        assert!(world.engines[0].passes_on());
        assert_eq!(stop(&mut world), Duration::from_secs(10), "one frame for each of our clock");
        let sides = [channel(&world, 0), channel(&world, 1)];
        for (side, (own, other), level) in [(0, (438.0, 812.0), 3000.0), (1, (812.0, 438.0), 5000.0)] {
            assert_eq!(sides[side].len(), 80_000);
            assert!(decibels(amplitude(&sides[side], own), level).abs() < 0.5, "{codec:?}, {side}");
            assert!(amplitude(&sides[side], other) < 60.0, "nobody is in the other's");
        }
        let sent = |leg| world.rtp_of(leg).len() as f64;
        let arrived = 0.95 * 1.02;
        for (from, to) in [(11, 2), (12, 1)] {
            let passed = sent(to) / sent(from);
            assert!((passed - arrived).abs() < 0.04, "{codec:?}: {passed} of what was sent");
        }
    }
}

/// What is recorded does not depend on when the frames are run: several at a time, or each when it is due, as it is while
/// there are commands.
#[test]
fn frames_that_are_run_together_are_the_same() {
    let recording = |is_commanded: bool| {
        let network = Network { loss: 0.05, duplication: 0.02, delay_ms: 60 };
        let pcmu = config(Codec::Pcmu);
        let mut world = connected(network, &pcmu, &pcmu, ConnectMode::Both);
        // Reports are sent with the frames, and would have their part of what happens by chance on the network.
        for (leg, to) in [(1, 11), (2, 12), (11, 1), (12, 2)] {
            let config = with(config(Codec::Pcmu), |media| {
                (media.remote_rtp, media.remote_rtcp) = (address(to), SocketAddr::from(([0; 4], 0)));
            });
            world.command(Command::UpdateLeg { leg: LegId(leg), config });
        }
        record(&mut world, true, 8000);
        say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 20_000), Codec::Pcmu);
        world.run(330);
        say(&mut world, 12, 2, &tone(812.0, 5000.0, 8000, 20_000), Codec::Pcmu);
        for _ in 0..2500 {
            world.run(2);
            if is_commanded {
                let action = ActionId(RECORDING);
                world.command(Command::PauseRecord { leg: FIRST, action, is_paused: false });
            }
        }
        assert_eq!(stop(&mut world), Duration::from_millis(5320));
        world.file(RECORDING).to_vec()
    };
    assert!(recording(false) == recording(true));
}

#[test]
fn a_mono_recording_is_the_sum_of_both() {
    let recording = |is_stereo: bool| {
        let codec = Codec::L16Narrow;
        let network = Network { loss: 0.05, duplication: 0.0, delay_ms: 30 };
        let mut world = connected(network, &config(codec), &config(codec), ConnectMode::SecondHears);
        record(&mut world, is_stereo, 8000);
        say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 4000), codec);
        say(&mut world, 12, 2, &tone(812.0, 5000.0, 8000, 4000), codec);
        world.run(3000);
        assert_eq!(stop(&mut world), Duration::from_secs(3));
        world
    };
    let (mono, stereo) = (recording(false), recording(true));
    let (left, right) = (channel(&stereo, 0), channel(&stereo, 1));
    let sums: Vec<i16> = left.iter().zip(&right).map(|(left, right)| left + right).collect();
    assert_eq!(samples(mono.file(RECORDING)), sums);
    assert!(amplitude(&right, 812.0) > 4500.0, "also who is not heard by the other is recorded");
}

#[test]
fn frames_that_nobody_could_hear_are_silence_in_a_recording() {
    let mut world = pair(Codec::L16Narrow);
    record(&mut world, true, 8000);
    world.run(1000);
    world.step += 2500;
    world.run(1000);
    let ms = stop(&mut world).as_millis();
    assert!(ms.abs_diff(7000) <= 20, "{ms} ms");
    assert_eq!(world.file(RECORDING).len() as u128, ms * 32, "two channels of 8 samples in each ms");
}

#[test]
fn a_prompt_is_heard_by_both_over_their_talk_and_recorded() {
    let codec = Codec::L16Narrow;
    let mut world = pair(codec);
    record(&mut world, true, 8000);
    say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 8000), codec);
    say(&mut world, 12, 2, &tone(812.0, 5000.0, 8000, 8000), codec);
    world.run(1000);
    // Of another rate than theirs.
    let prompt = Prompt::encode(&tone(1200.0, 1000.0, 16_000, 1500), Codec::L16Wide);
    let (action, prompts, repeat) = (ActionId(PROMPT), vec![prompt], 1);
    world.command(Command::PlayConnection { first: FIRST, second: SECOND, action, prompts, repeat });
    world.run(2500);
    for (far_end, hz, level) in [(11, 812.0, 5000.0), (12, 438.0, 3000.0)] {
        let heard = heard(&world, far_end);
        assert!(decibels(amplitude(&heard, hz), level).abs() < 0.1);
        assert!(decibels(amplitude(&heard, 1200.0), 1000.0).abs() < 0.1, "{far_end}");
    }
    world.run(3500);
    let played = Duration::from_secs(3);
    assert!(world.told().contains(&&Event::PlayEnded { leg: FIRST, action, played }));
    assert!(amplitude(&heard(&world, 11), 1200.0) < 20.0, "it is over");
    stop(&mut world);
    for side in [0, 1] {
        // The end of what was recorded of it: from 3.5 s to 4 s of seven.
        assert!(decibels(amplitude(&channel(&world, side)[..36_000], 1200.0), 1000.0).abs() < 0.1, "{side}");
    }
}

/// Without volumes, recordings and prompts packets are passed on as they come, before and after there were any.
#[test]
fn packets_are_passed_on_as_they_are_when_nothing_else_is_to_be_done() {
    let codec = Codec::Pcmu;
    let mut world = pair(codec);
    let is_relaying = |world: &World| world.engines[0].passes_on();
    let passes = |world: &mut World, action: u64| {
        let prompt = prompt(codec, 1600, action);
        world.play(11, action, &[&prompt], 0);
        world.run(600);
        let sent: Vec<u8> = world.rtp_of(2).iter().flat_map(|sent| sent.rtp().payload().to_vec()).collect();
        find(&sent, payload(&prompt)).is_some()
    };
    assert!(passes(&mut world, 1) && is_relaying(&world));
    for is_recorded in [true, false] {
        if is_recorded {
            record(&mut world, false, 8000);
        } else {
            stop(&mut world);
        }
        let seed = if is_recorded { 10 } else { 20 };
        assert!(passes(&mut world, seed) && is_relaying(&world), "recorded: {is_recorded}");
        volumes(&mut world, 3, -3);
        assert!(!passes(&mut world, seed + 1) && !is_relaying(&world));
        volumes(&mut world, 0, 0);
        assert!(passes(&mut world, seed + 2) && is_relaying(&world), "volumes as they were");
        let (action, prompts) = (ActionId(PROMPT), vec![prompt(codec, 800, 9)]);
        world.command(Command::PlayConnection { first: FIRST, second: SECOND, action, prompts, repeat: 0 });
        world.run(60);
        assert!(!is_relaying(&world));
        world.run(440);
        assert!(passes(&mut world, seed + 3) && is_relaying(&world), "a prompt ended by itself");
    }
    for pair in world.rtp_of(2).windows(2) {
        assert_eq!(pair[1].rtp().sequence_number() - pair[0].rtp().sequence_number(), 1);
        assert!(pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp()).cast_signed() > 0);
    }
}

#[test]
fn keys_pass_and_are_not_in_the_recording() {
    let mut world = pair(Codec::Pcmu);
    record(&mut world, false, 8000);
    world.run(500);
    world.send_digits(11, 1, "159");
    world.send_digits(12, 2, "2");
    world.run(2000);
    let keys = |leg| world.digits_of(leg).into_iter().map(|(key, _)| key).collect::<String>();
    assert_eq!((keys(12), keys(11)), ("159".to_owned(), "2".to_owned()));
    stop(&mut world);
    assert!(samples(world.file(RECORDING)).iter().all(|sample| sample.abs() < 10));
}

/// However a connection ends, its recording is whole, and its end is told once.
#[test]
fn a_recording_ends_with_its_connection() {
    type End = (&'static str, fn(&mut World));
    let ends: [End; 5] = [
        ("disconnect", |world| world.command(Command::Disconnect { first: FIRST, second: SECOND })),
        ("the first goes", |world| world.command(Command::RemoveLeg { leg: FIRST })),
        ("the second goes", |world| world.command(Command::RemoveLeg { leg: SECOND })),
        ("a room", |world| {
            let (room, voice) = (RoomId(1), Voice::default());
            world.command(Command::Room { room, command: RoomCommand::Open { tells_talking: false } });
            world.command(Command::Room { room, command: RoomCommand::Join { leg: SECOND, voice } });
        }),
        ("another connection", |world| {
            world.command(Command::Connect {
                first: LegId(3),
                second: FIRST,
                mode: ConnectMode::Both,
                mute_digits: false,
            });
        }),
    ];
    for (what, end) in ends {
        let codec = Codec::L16Narrow;
        let mut world = pair(codec);
        world.add(0, 3, 13, config(codec));
        volumes(&mut world, 3, 0);
        record(&mut world, true, 8000);
        say(&mut world, 11, 1, &tone(438.0, 3000.0, 8000, 4000), codec);
        world.run(2000);
        let prompts = vec![Prompt::encode(&tone(1200.0, 1000.0, 8000, 1500), codec)];
        let action = ActionId(PROMPT);
        world.command(Command::PlayConnection { first: FIRST, second: SECOND, action, prompts, repeat: 9 });
        world.run(1000);
        end(&mut world);
        world.run(1000);
        assert_eq!(recorded(&world), (Duration::from_secs(3), RecordEnd::Disconnected), "{what}");
        assert_eq!(channel(&world, 0).len(), 24_000, "{what}");
        let played = Duration::from_secs(1);
        let ended = Event::PlayEnded { leg: FIRST, action, played };
        assert_eq!(world.told().iter().filter(|event| ***event == ended).count(), 1, "{what}");
        let removed = |event: &&Event| matches!(event, Event::LegRemoved { leg: FIRST, .. });
        assert_eq!(
            world.told().iter().filter(|event| removed(event)).count(),
            usize::from(what == "the first goes")
        );
    }
}

/// A party that goes to another thread ends a recording whose frames are run several at a time where it is, in whichever of
/// them that is.
#[test]
fn a_recording_is_whole_when_a_party_is_moved() {
    for frames in 0..u64::from(SPAN_FRAMES) {
        let mut world = pair(Codec::Pcmu);
        record(&mut world, true, 8000);
        let ms = 1000 + frames * 20;
        world.run(ms);
        let now = world.now();
        world.engines[0].detach(now, SECOND).expect("the second party");
        world.drain();
        let (duration, end) = recorded(&world);
        assert_eq!(end, RecordEnd::Disconnected);
        let lacks = Duration::from_millis(ms).abs_diff(duration);
        assert!(lacks <= FRAME, "{duration:?} of {ms} ms");
    }
}

#[test]
fn what_comes_too_late_for_a_connection_ends_at_once() {
    let mut world = pair(Codec::Pcmu);
    world.command(Command::Disconnect { first: FIRST, second: SECOND });
    record(&mut world, false, 8000);
    assert_eq!(recorded(&world), (Duration::ZERO, RecordEnd::Disconnected));
    let (action, prompts) = (ActionId(PROMPT), vec![prompt(Codec::Pcmu, 800, 9)]);
    world.command(Command::PlayConnection { first: FIRST, second: SECOND, action, prompts, repeat: 0 });
    let ended = Event::PlayEnded { leg: FIRST, action, played: Duration::ZERO };
    assert_eq!(world.told().last(), Some(&&ended));
    volumes(&mut world, 9, 9);
    world.run(100);
    assert_eq!(
        phase_of(&world.engines[0], 1).map(|phase| world.engines[0].needs(phase)),
        Some(Need::Nothing)
    );
}
