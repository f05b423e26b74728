//! Rooms: who hears whom, in which codec, at which moment, and what is told.

use std::collections::HashSet;
use std::f64::consts::TAU;

use super::*;

const ROOM: RoomId = RoomId(1);

/// A room in engine 0 with legs 1 to n of these configurations; engine 1 plays their peers, 11 to 10 + n.
fn room(configs: &[LegConfig]) -> World {
    let mut world = World::new(2, 1, Network::default());
    command(&mut world, RoomCommand::Open { tells_talking: true });
    for (leg, config) in (1..).zip(configs) {
        world.add(0, leg, leg + 10, config.clone());
        world.add(1, leg + 10, leg, config.clone());
        join(&mut world, leg, Voice::default());
    }
    world
}

fn command(world: &mut World, command: RoomCommand) {
    world.command(Command::Room { room: ROOM, command });
}

fn join(world: &mut World, leg: u64, voice: Voice) {
    command(world, RoomCommand::Join { leg: LegId(leg), voice });
}

fn leave(world: &mut World, leg: u64) {
    command(world, RoomCommand::Leave { leg: LegId(leg) });
}

/// What rooms told, but for talks.
fn told(world: &World) -> Vec<RoomEvent> {
    let event = |event: &&Event| match event {
        Event::Room { event: RoomEvent::Talking { .. }, .. } => None,
        Event::Room { room: ROOM, event } => Some(event.clone()),
        _ => None,
    };
    world.told().iter().filter_map(event).collect()
}

/// The tone that identifies a member.
fn frequency(leg: u64) -> f64 {
    300.0 + 170.0 * f64::from(u32::try_from(leg).unwrap())
}

/// A prompt of a tone.
fn tone(codec: Codec, frequency: f64, amplitude: f64, ms: u32) -> Arc<Prompt> {
    let rate = codec.sample_rate();
    let sample = |n: u32| (amplitude * (TAU * frequency * f64::from(n) / f64::from(rate)).sin()).round();
    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    let samples: Vec<i16> = (0..ms * (rate / 1000)).map(|n| sample(n) as i16).collect();
    Prompt::encode(&samples, codec)
}

/// The amplitudes of these tones in the second half of a recording in linear PCM at 8 kHz.
fn amplitudes(file: &[u8], frequencies: &[f64]) -> Vec<f64> {
    let samples: Vec<i16> = file.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect();
    let heard = &samples[samples.len() / 2..];
    let amplitude = |frequency: &f64| {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in heard.iter().enumerate() {
            let at = TAU * frequency * n as f64 / 8000.0;
            (sine, cosine) = (sine + f64::from(sample) * at.sin(), cosine + f64::from(sample) * at.cos());
        }
        2.0 * f64::hypot(sine, cosine) / heard.len() as f64
    };
    frequencies.iter().map(amplitude).collect()
}

/// All peers say their tone for two seconds; gives what each hears of each.
fn who_hears_whom(configs: &[LegConfig], change: impl FnOnce(&mut World)) -> Vec<Vec<f64>> {
    let legs: Vec<u64> = (1..).zip(configs).map(|(leg, _)| leg).collect();
    let mut world = room(configs);
    change(&mut world);
    for (&leg, config) in legs.iter().zip(configs) {
        world.record(leg + 10, leg, RecordFormat::Pcm16, 10_000);
        let tone = tone(config.media.codec, frequency(leg), 4000.0, 2000);
        world.play(leg + 10, leg + 100, &[&tone], 0);
    }
    world.run(2000);
    let frequencies: Vec<f64> = legs.iter().map(|&leg| frequency(leg)).collect();
    let heard = |&leg: &u64| {
        world.stop_record(leg + 10, leg, false);
        amplitudes(world.file(leg), &frequencies)
    };
    legs.iter().map(heard).collect()
}

/// How far a tone may be off its level after two ways through a codec, in dB: those that are made for voices are no
/// instruments.
fn tolerance(codec: Codec) -> f64 {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16Narrow | Codec::L16Wide => 0.3,
        _ => 1.0,
    }
}

/// Checks it: a tone of 4,000 that is heard at `expected`, in dB, or not at all.
fn check(heard: &[Vec<f64>], tolerance: f64, expected: impl Fn(usize, usize) -> Option<f64>, what: &str) {
    for (hearer, heard) in heard.iter().enumerate() {
        for (talker, &amplitude) in heard.iter().enumerate() {
            let decibels = 20.0 * (amplitude / 4000.0).log10();
            match expected(hearer, talker) {
                Some(level) => assert!(
                    (decibels - level).abs() < tolerance,
                    "{what}: {} hears {} at {decibels:.2} dB",
                    hearer + 1,
                    talker + 1
                ),
                None => assert!(
                    decibels < -40.0,
                    "{what}: {} hears {} at {decibels:.2} dB",
                    hearer + 1,
                    talker + 1
                ),
            }
        }
    }
}

fn all_but_itself(hearer: usize, talker: usize) -> Option<f64> {
    (hearer != talker).then_some(0.0)
}

#[test]
fn three_hear_each_other_and_not_themselves_in_every_codec() {
    for codec in Codec::ALL {
        let heard = who_hears_whom(&[config(codec), config(codec), config(codec)], |_| {});
        check(&heard, tolerance(codec), all_but_itself, codec.name());
    }
}

#[test]
fn every_codec_hears_every_other() {
    // Two at a time: of all the tones at once GSM, a model of one throat, would make others beside them.
    for (one, other) in Codec::ALL.into_iter().flat_map(|one| Codec::ALL.map(|other| (one, other))) {
        let heard = who_hears_whom(&[config(one), config(other)], |_| {});
        let tolerance = tolerance(one).max(tolerance(other));
        check(&heard, tolerance, all_but_itself, &format!("{one:?} and {other:?}"));
    }
}

#[test]
fn packet_times_differ() {
    let of = |ptime_ms| with(config(Codec::Pcmu), |media| media.ptime_ms = ptime_ms);
    let heard = who_hears_whom(&[of(10), of(20), of(30), of(60)], |_| {});
    check(&heard, 0.3, all_but_itself, "packet times");
}

#[test]
fn modes_and_gains() {
    use VoiceMode::{HearAndSpeak, HearOnly, Neither, SpeakOnly};
    let set = |world: &mut World| {
        for (leg, mode) in [(2, SpeakOnly), (3, HearOnly), (4, Neither)] {
            let voice = Voice { mode, ..Voice::default() };
            command(world, RoomCommand::SetVoice { leg: LegId(leg), voice });
        }
        let (says, hears) = (Gain::from_decibels(6), Gain::from_decibels(-10));
        let voice = Voice { mode: HearAndSpeak, says, hears };
        command(world, RoomCommand::SetVoice { leg: LegId(5), voice });
    };
    let heard = who_hears_whom(&vec![config(Codec::Pcmu); 5], set);
    let expected = |hearer, talker| match (hearer, talker) {
        (1 | 3, _) | (_, 2 | 3) => None,
        _ if hearer == talker => None,
        (4, _) => Some(-10.0),
        (_, 4) => Some(6.0),
        _ => Some(0.0),
    };
    check(&heard, 0.3, expected, "modes and gains");
}

#[test]
fn one_voice_arrives_bit_by_bit_in_all_its_listeners_and_never_at_home() {
    let mut world = room(&vec![config(Codec::Pcmu); 5]);
    let prompt = prompt(Codec::Pcmu, 8000, 1);
    for leg in 1..=5 {
        world.record(leg + 10, leg, RecordFormat::Mulaw, 10_000);
    }
    world.play(11, 100, &[&prompt], 0);
    world.run(1500);
    let of = |leg| world.rtp_of(leg).iter().map(|packet| packet.rtp().payload().to_vec()).collect::<Vec<_>>();
    assert!(of(1).iter().all(|payload| *payload == [0xff; 160]), "silence is all it hears");
    for leg in 2..=5 {
        assert_eq!(of(leg), of(2));
        // Voices come in in 2 ms.
        assert!(find(&of(leg).concat(), &payload(&prompt)[160..]).is_some(), "leg {leg}");
        let said = world.rtp_of(11)[0].at_ms;
        let heard = world.rtp_of(leg);
        let heard = heard.iter().find(|sent| sent.rtp().payload() != [0xff; 160]).unwrap().at_ms;
        // The first delay that the playout aims at is 40 ms, and a frame is at most 20 ms away.
        assert!(heard - said <= 62, "{} ms", heard - said);
    }
}

/// However the ticks come, each member has one frame for every 20 ms.
#[test]
fn every_frame_has_one_of_each_member() {
    let mut world = room(&vec![config(Codec::Pcmu); 3]);
    world.run(100);
    for late in [4, 30, 100, 180] {
        world.run(500);
        // The machine stands still.
        world.step += late / 2;
    }
    world.run(1000);
    let counts: Vec<usize> = (1..=3).map(|leg| world.rtp_of(leg).len()).collect();
    let frames = usize::try_from(world.step * 2 / 20).unwrap();
    assert!(counts.iter().all(|count| count.abs_diff(frames) <= 1), "{counts:?} of {frames}");
    for leg in 1..=3 {
        let packets = world.rtp_of(leg);
        for pair in packets.windows(2) {
            let (one, other) = (pair[0].rtp(), pair[1].rtp());
            assert_eq!(other.timestamp().wrapping_sub(one.timestamp()), 160);
            assert_eq!(u16::from(other.sequence_number()).wrapping_sub(u16::from(one.sequence_number())), 1);
        }
    }
    // After more than the engine makes up for, the time is skipped for all of them.
    world.step += 500;
    world.run(100);
    for leg in 1..=3 {
        let packets = world.rtp_of(leg);
        let gap = |pair: &[&Sent]| pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp());
        let gaps: Vec<u32> = packets.windows(2).map(gap).filter(|&gap| gap != 160).collect();
        assert!(gaps.len() == 1 && gaps[0].abs_diff(8000) <= 160, "{gaps:?}");
    }
}

#[test]
fn who_joins_comes_into_step_and_who_leaves_stays_in_time() {
    let mut world = World::new(1, 1, Network::default());
    command(&mut world, RoomCommand::Open { tells_talking: false });
    for leg in 1..=20 {
        world.add(0, leg, leg + 100, config(Codec::Pcmu));
        world.play(leg, leg, &[&tone(Codec::Pcmu, 400.0, 4000.0, 60_000)], 0);
    }
    world.run(300);
    for leg in 1..=20 {
        join(&mut world, leg, Voice::default());
        world.run(26);
    }
    let phase = phase_of(&world.engines[0], 1);
    assert!((2..=20).all(|leg| phase_of(&world.engines[0], leg) == phase));
    world.run(200);
    for leg in 1..=20 {
        leave(&mut world, leg);
        world.run(26);
    }
    world.run(300);
    for leg in 1..=20 {
        let packets = world.rtp_of(leg);
        for pair in packets.windows(2) {
            let timestamps = pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp());
            assert_eq!(timestamps, 160, "leg {leg} loses nothing");
            assert!(pair[1].at_ms - pair[0].at_ms <= 40, "leg {leg}");
        }
        let lasted = world.step * 2 - packets[0].at_ms;
        // One at once, and one sooner or later by the change of phase.
        let expected = usize::try_from(lasted / 20).unwrap() + 1;
        assert!(packets.len().abs_diff(expected) <= 1, "leg {leg}: {} of {expected}", packets.len());
    }
}

#[test]
fn who_goes_is_told_once_whichever_way() {
    let mut world = room(&vec![config(Codec::Pcmu); 5]);
    world.run(200);
    leave(&mut world, 1);
    leave(&mut world, 1);
    world.command(Command::RemoveLeg { leg: LegId(2) });
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(3),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    assert_eq!(told(&world), [1, 2, 3].map(|leg| RoomEvent::Left { leg: LegId(leg) }));
    // A member of a connection that joins leaves that.
    join(&mut world, 3, Voice::default());
    world.play(11, 1, &[&tone(Codec::Pcmu, 400.0, 4000.0, 200)], 0);
    let before = world.rtp_of(3).len();
    world.run(200);
    assert_eq!(world.rtp_of(3).len(), before + 10, "from the room only");
    let now = world.now();
    let leg = world.engines[0].detach(now, LegId(4)).unwrap();
    world.engines[1].attach(now, LegId(4), leg);
    command(&mut world, RoomCommand::Close);
    command(&mut world, RoomCommand::Close);
    let mut ends = told(&world).split_off(3);
    assert_eq!(ends.pop(), Some(RoomEvent::Closed));
    let left: HashSet<LegId> = ends
        .iter()
        .map(|event| match event {
            RoomEvent::Left { leg } => *leg,
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!((ends.len(), left), (3, [3, 4, 5].map(LegId).into()));
    // Afterwards the legs are as they were before.
    let before = world.rtp_of(5).len();
    world.run(200);
    assert_eq!(world.rtp_of(5).len(), before);
    world.play(5, 2, &[&tone(Codec::Pcmu, 400.0, 4000.0, 200)], 0);
    world.run(300);
    assert_eq!(world.rtp_of(5).len(), before + 10);
    join(&mut world, 5, Voice::default());
    assert!(!world.engines[0].is_idle());
    for leg in [1, 3, 5] {
        world.command(Command::RemoveLeg { leg: LegId(leg) });
    }
    assert!(world.engines[0].is_idle());
}

#[test]
fn prompts_to_all_lie_over_the_talk_and_are_in_the_recording() {
    let mut world = room(&[config(Codec::Pcmu), config(Codec::L16Wide), config(Codec::Pcma)]);
    let (background, announcement) =
        (tone(Codec::Pcma, 2000.0, 4000.0, 130), tone(Codec::L16Wide, 1500.0, 4000.0, 1000));
    let play = |action, prompt: &Arc<Prompt>, repeat, decibels| RoomCommand::Play {
        action: ActionId(action),
        prompts: vec![Arc::clone(prompt)],
        repeat,
        gain: Gain::from_decibels(decibels),
    };
    let format = RecordFormat::Pcm16;
    let (action, recording) = (ActionId(53), RecordingId(53));
    let max = Duration::from_secs(60);
    command(&mut world, RoomCommand::Record { action, recording, max });
    command(&mut world, play(51, &background, u32::MAX, -20));
    world.run(1000);
    command(&mut world, play(52, &announcement, 1, 0));
    for leg in 1..=3 {
        world.record(leg + 10, leg, format, 10_000);
    }
    world.play(11, 101, &[&tone(Codec::Pcmu, frequency(1), 4000.0, 2000)], 0);
    world.run(2000);
    for leg in 1..=3 {
        let (leg, action) = (LegId(leg + 10), ActionId(leg));
        world.command(Command::StopRecord { leg, action, by_key: false });
    }
    world.run(60);
    for leg in 1..=3 {
        let heard = amplitudes(world.file(leg), &[2000.0, 1500.0, frequency(1)]);
        let expected = [400.0, 4000.0, if leg == 1 { 0.0 } else { 4000.0 }];
        let close = heard.iter().zip(expected).all(|(heard, expected)| (heard - expected).abs() < 120.0);
        assert!(close, "leg {leg}: {heard:?}");
    }
    command(&mut world, RoomCommand::StopPlay { action: ActionId(51) });
    command(&mut world, RoomCommand::StopRecord { action: ActionId(53) });
    let events = told(&world);
    assert!(
        matches!(events[0], RoomEvent::PlayEnded { action: ActionId(52), played } if played.as_secs() == 2)
    );
    assert!(matches!(events[1], RoomEvent::PlayEnded { action: ActionId(51), played }
        if played.as_millis().abs_diff(3060) <= 20));
    let RoomEvent::RecordEnded { duration, end: RecordEnd::Stopped, .. } = events[2] else {
        panic!("{events:?}");
    };
    assert!(duration.as_millis().abs_diff(3060) <= 20, "{duration:?}");
    let recorded = world.file(53);
    assert_eq!(recorded.len() as u128, duration.as_millis() * 16);
    let heard = amplitudes(&recorded[32_000..48_000], &[2000.0, 1500.0, frequency(1)]);
    let close = heard.iter().zip([400.0, 4000.0, 4000.0]).all(|(heard, level)| (heard - level).abs() < 250.0);
    assert!(close, "{heard:?}");
}

#[test]
fn a_recording_ends_at_its_longest_and_a_closed_room_ends_what_runs() {
    let mut world = room(&[config(Codec::Pcmu), config(Codec::Pcmu)]);
    let record = |action, ms| RoomCommand::Record {
        action: ActionId(action),
        recording: RecordingId(action),
        max: Duration::from_millis(ms),
    };
    command(&mut world, record(1, 500));
    world.run(1000);
    let (action, duration) = (ActionId(1), Duration::from_millis(500));
    let first = RoomEvent::RecordEnded { action, duration, end: RecordEnd::MaxDuration };
    assert_eq!((told(&world), world.file(1)), (vec![first], &[0; 8000][..]));
    command(&mut world, record(2, 5000));
    for action in 3..20 {
        let prompts = vec![tone(Codec::Pcmu, 400.0, 1000.0, 10_000)];
        let play = RoomCommand::Play { action: ActionId(action), prompts, repeat: 0, gain: Gain::UNITY };
        command(&mut world, play);
    }
    // Sixteen are played at once; one more ends at once.
    let (action, played) = (ActionId(19), Duration::ZERO);
    assert_eq!(told(&world)[1..], [RoomEvent::PlayEnded { action, played }]);
    world.run(200);
    command(&mut world, RoomCommand::Close);
    let events = told(&world).split_off(2);
    let played =
        |event: &RoomEvent| matches!(event, RoomEvent::PlayEnded { played, .. } if !played.is_zero());
    assert!(events[..16].iter().all(played), "{events:?}");
    assert!(matches!(events[16], RoomEvent::RecordEnded { end: RecordEnd::RoomClosed, .. }));
    assert!(matches!(events[17..], [RoomEvent::Left { .. }, RoomEvent::Left { .. }, RoomEvent::Closed]));
    assert!(world.closed.contains(&RecordingId(2)));
}

#[test]
fn talks_are_told() {
    let mut world = room(&[config(Codec::Pcmu), config(Codec::L16Wide)]);
    for (leg, codec) in [(11, Codec::Pcmu), (12, Codec::L16Wide)] {
        // A second that swells and fades as syllables do: what is even is no talk.
        let [loud, soft] = [4000.0, 1000.0].map(|amplitude| tone(codec, 400.0, amplitude, 100));
        world.play(leg, leg, &[&loud, &soft], 4);
        world.run(500);
    }
    world.run(2500);
    let talk = |(at, event): &(u64, Event)| match event {
        Event::Room { room: ROOM, event: RoomEvent::Talking { leg, talking } } => {
            Some((*at, leg.0, *talking))
        }
        _ => None,
    };
    let talks: Vec<_> = world.events.iter().filter_map(talk).collect();
    // 100 ms after it began, 600 ms after it ended, and 40 ms of playout.
    let expected = [(140, 1, true), (640, 2, true), (1640, 1, false), (2140, 2, false)];
    assert_eq!(talks.len(), expected.len(), "{talks:?}");
    for (talk, expected) in talks.iter().zip(expected) {
        let is_close = talk.0.abs_diff(expected.0) <= 60;
        assert!(is_close && (talk.1, talk.2) == (expected.1, expected.2), "{talks:?}");
    }
}

#[test]
fn a_member_on_hold_hears_nothing_and_comes_back_in_another_codec() {
    let heard = |world: &mut World, file: u64| {
        world.record(12, file, RecordFormat::Pcm16, 10_000);
        world.run(1000);
        world.stop_record(12, file, false);
        amplitudes(world.file(file), &[frequency(1)])[0]
    };
    let mut world = room(&[config(Codec::Pcmu), config(Codec::Pcmu)]);
    world.play(11, 1, &[&tone(Codec::Pcmu, frequency(1), 4000.0, 60_000)], 0);
    assert!((heard(&mut world, 1) - 4000.0).abs() < 120.0);
    let update = |world: &mut World, codec, direction| {
        for (leg, to) in [(2, 12), (12, 2)] {
            let config = with(config(codec), |media| {
                (media.remote_rtp, media.remote_rtcp) = (address(to), address(to));
                media.direction = direction;
            });
            world.command(Command::UpdateLeg { leg: LegId(leg), config });
        }
    };
    update(&mut world, Codec::Pcmu, Direction::Inactive);
    world.run(200);
    let before = world.rtp_of(2).len();
    assert!(heard(&mut world, 2) < 1.0);
    assert_eq!(world.rtp_of(2).len(), before);
    update(&mut world, Codec::L16Wide, Direction::SendRecv);
    assert!((heard(&mut world, 3) - 4000.0).abs() < 120.0);
    // And is heard in it.
    world.record(11, 4, RecordFormat::Pcm16, 10_000);
    world.play(12, 2, &[&tone(Codec::L16Wide, frequency(2), 4000.0, 1000)], 0);
    world.run(1000);
    world.stop_record(11, 4, false);
    let heard = amplitudes(world.file(4), &[frequency(1), frequency(2)]);
    assert!(heard[0] < 10.0 && (heard[1] - 4000.0).abs() < 120.0, "{heard:?}");
}

#[test]
fn keys_are_told_and_not_heard_and_prompts_of_a_member_take_the_place_of_the_room() {
    let deaf = with(config(Codec::Pcmu), |media| media.telephone_event = None);
    let mut world = room(&[LegConfig { detect_tones: true, ..deaf.clone() }, config(Codec::Pcmu), deaf]);
    world.record(12, 1, RecordFormat::Pcm16, 10_000);
    world.send_digits(11, 1, "5");
    world.run(400);
    assert_eq!(world.digits_of(1), [('5', DigitSource::Inband)]);
    world.stop_record(12, 1, false);
    // 770 and 1,336 Hz.
    let heard = amplitudes(world.file(1), &[770.0, 1336.0]);
    assert!(heard.iter().all(|&amplitude| amplitude < 40.0), "{heard:?}");
    world.play(12, 2, &[&tone(Codec::Pcmu, frequency(2), 4000.0, 2000)], 0);
    world.play(3, 3, &[&tone(Codec::Pcmu, 2500.0, 4000.0, 400)], 0);
    world.run(200);
    world.record(13, 4, RecordFormat::Pcm16, 10_000);
    world.run(200);
    world.stop_record(13, 4, false);
    let heard = amplitudes(world.file(4), &[2500.0, frequency(2)]);
    assert!(heard[0] > 3500.0 && heard[1] < 300.0, "{heard:?}");
    world.run(200);
    world.record(13, 5, RecordFormat::Pcm16, 10_000);
    world.run(400);
    world.stop_record(13, 5, false);
    let heard = amplitudes(world.file(5), &[2500.0, frequency(2)]);
    assert!(heard[0] < 100.0 && heard[1] > 3500.0, "{heard:?}");
}

/// A command for a room. Actions begin by their numbers, and any of them is stopped.
fn anything(random: &mut fastrand::Rng, leg: LegId, action: u64) -> RoomCommand {
    let modes = [VoiceMode::HearAndSpeak, VoiceMode::SpeakOnly, VoiceMode::HearOnly, VoiceMode::Neither];
    let gain = Gain::from_decibels(random.i8(-40..=20));
    let voice = Voice { mode: modes[random.usize(..4)], says: gain, hears: gain };
    let prompts = vec![prompt(Codec::Pcmu, random.usize(..4000), action)];
    let max = Duration::from_millis(random.u64(..2000));
    let (recording, of) = (RecordingId(action), ActionId(random.u64(1..=action)));
    let action = ActionId(action);
    match random.u8(..10) {
        0 => RoomCommand::Open { tells_talking: random.bool() },
        1 => RoomCommand::Close,
        2..=4 => RoomCommand::Join { leg, voice },
        5 => RoomCommand::Leave { leg },
        6 => RoomCommand::SetVoice { leg, voice },
        7 => RoomCommand::Play { action, prompts, repeat: random.u32(..3), gain },
        8 => RoomCommand::Record { action, recording, max },
        _ if random.bool() => RoomCommand::StopRecord { action: of },
        _ => RoomCommand::StopPlay { action: of },
    }
}

/// Rooms, members and actions at any moment and in any order: each join and each action ends once, and nothing is left.
#[test]
fn whatever_is_asked_ends_once() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let network = Network { loss: 0.05, duplication: 0.05, delay_ms: 40 };
        let mut world = World::new(2, seed, network);
        let mut action = 0;
        for leg in 1..=6 {
            let config = config(Codec::ALL[random.usize(..Codec::ALL.len())]);
            world.add(0, leg, leg + 10, config.clone());
            world.add(1, leg + 10, leg, config);
        }
        for _ in 0..150 {
            action += 1;
            let (leg, room) = (LegId(random.u64(1..=6)), RoomId(random.u64(1..=3)));
            let command = anything(&mut random, leg, action);
            world.command(Command::Room { room, command });
            match random.u8(..30) {
                0 => world.command(Command::RemoveLeg { leg }),
                1 => world.command(Command::Connect {
                    first: leg,
                    second: LegId(random.u64(1..=6)),
                    mode: ConnectMode::Both,
                    mute_digits: false,
                }),
                2..=5 => world.play(leg.0 + 10, 1000 + action, &[&prompt(Codec::Pcmu, 8000, seed)], 0),
                _ => {}
            }
            world.run(random.u64(..60));
        }
        for room in 1..=3 {
            world.command(Command::Room { room: RoomId(room), command: RoomCommand::Close });
        }
        let (mut ended, mut closed) = (HashSet::new(), HashSet::new());
        for event in world.told() {
            let Event::Room { room, event } = event else { continue };
            match event {
                RoomEvent::PlayEnded { action, .. } | RoomEvent::RecordEnded { action, .. } => {
                    assert!(ended.insert(*action), "seed {seed}: {action:?} ended twice");
                    if let RoomEvent::RecordEnded { duration, .. } = event {
                        let file = world.file(action.0).len() / 2;
                        assert_eq!(file as u128, duration.as_micros() / 125, "seed {seed}");
                        assert!(world.closed.contains(&RecordingId(action.0)), "seed {seed}");
                    }
                }
                RoomEvent::Closed => drop(closed.insert(*room)),
                RoomEvent::Left { .. } | RoomEvent::Talking { .. } => {}
            }
        }
        assert!(!closed.is_empty() && !ended.is_empty(), "seed {seed}");
        for leg in 1..=6 {
            world.command(Command::RemoveLeg { leg: LegId(leg) });
        }
        assert!(world.engines[0].is_idle(), "seed {seed}");
    }
}

/// Rooms are done in few phases, each a wake-up of the driver, and no phase has more than it can take, also where all were
/// opened before anybody came.
#[test]
fn rooms_fill_a_phase_before_another_is_begun() {
    let mut world = World::new(1, 1, Network::default());
    let rooms = || (1..=320).map(RoomId);
    for room in rooms() {
        world.command(Command::Room { room, command: RoomCommand::Open { tells_talking: false } });
    }
    for (leg, room) in (1..).zip(rooms().flat_map(|room| [room; 3])) {
        world.add(0, leg, 1000 + leg, config(Codec::Pcmu));
        let join = RoomCommand::Join { leg: LegId(leg), voice: Voice::default() };
        world.command(Command::Room { room, command: join });
    }
    let members = (0..PHASES).map(|phase| world.engines[0].legs_of(phase).count());
    let members: Vec<usize> = members.filter(|members| *members > 0).collect();
    assert_eq!((members.len(), members.iter().sum()), (3, 960), "{members:?}");
    // A phase that is not full takes one more room.
    assert!(members.iter().all(|members| *members <= 399 + 3), "{members:?}");
    world.run(40);
    assert_eq!(world.rtp_of(240).len(), 2);
}
