//! Connections: who hears whom, in which law, with which keys.

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::packet::Packet;
use DigitSource::{Inband, Info, Rfc4733};

/// Engine 0 with legs 1 and 2; engine 1 plays their peers, 11 and 12.
fn pair(first: LegConfig, second: LegConfig) -> World {
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 11, first.clone());
    world.add(0, 2, 12, second.clone());
    world.add(1, 11, 1, first);
    world.add(1, 12, 2, second);
    world
}

fn connect(world: &mut World, mode: ConnectMode) {
    world.command(Command::Connect { first: LegId(1), second: LegId(2), mode, mute_digits: false });
}

fn format(codec: Codec) -> RecordFormat {
    match codec {
        Codec::Pcmu => RecordFormat::Mulaw,
        Codec::Pcma => RecordFormat::Alaw,
        _ => RecordFormat::Pcm16,
    }
}

/// Both peers talk for a second; gives whether the first and the second heard the other.
fn who_hears(first: Codec, second: Codec, mode: Option<ConnectMode>) -> (bool, bool) {
    let mut world = pair(config(first), config(second));
    if let Some(mode) = mode {
        connect(&mut world, mode);
    }
    let (of_first, of_second) = (prompt(first, 8000, 1), prompt(second, 8000, 2));
    world.record(11, 1, format(first), 10_000);
    world.record(12, 2, format(second), 10_000);
    world.play(11, 3, &[&of_first], 0);
    world.play(12, 4, &[&of_second], 0);
    world.run(2000);
    world.stop_record(11, 1, false);
    world.stop_record(12, 2, false);
    let heard = |file: u64, from: &Prompt, codec: Codec| {
        let mut expected = Vec::new();
        codec.transcode(from.codec(), payload(from), &mut expected);
        find(world.file(file), &expected).is_some()
    };
    (heard(1, &of_second, first), heard(2, &of_first, second))
}

/// `call-api.md` §4: from a tone of ours to the early media of a far end and back no pause is longer than 60 ms, at whatever
/// moment of a frame the change comes.
#[test]
fn from_a_prompt_to_another_leg_and_back_there_is_no_gap() {
    for (second, moment) in
        [Codec::Pcmu, Codec::Pcma].into_iter().flat_map(|codec| (0..20).map(move |at| (codec, at)))
    {
        let mut world = pair(config(Codec::Pcmu), config(second));
        let tone = prompt(Codec::Pcmu, 8000, 1);
        world.play(12, 4, &[&prompt(second, 8000, 2)], 9);
        world.play(1, 1, &[&tone], u32::MAX);
        world.run(500 + moment);
        world.command(Command::StopPlay { leg: LegId(1), action: ActionId(1) });
        connect(&mut world, ConnectMode::FirstHears);
        world.run(500 + moment);
        world.command(Command::Disconnect { first: LegId(1), second: LegId(2) });
        world.play(1, 2, &[&tone], u32::MAX);
        world.run(500);
        let sent = world.rtp_of(1);
        let longest = sent.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).max();
        assert!(longest <= Some(60) && sent.len() > 70, "{second:?} at {moment} ms: {longest:?} ms");
    }
}

/// The same where the tone is to last until the far end is heard, which begins to send half a second later. As it comes, decoded,
/// with its keys turned, and louder. Of one that sends nothing the tone is heard on and on.
#[test]
fn a_prompt_that_yields_lasts_until_the_other_party_is_heard() {
    let tonal = LegConfig { detect_tones: true, ..with(config(Codec::Pcmu), |it| it.telephone_event = None) };
    let louder = Volumes { first: Gain::from_decibels(6), second: Gain::UNITY };
    for (second, volumes) in [
        (config(Codec::Pcmu), None),
        (config(Codec::Pcma), None),
        (config(Codec::G722), None),
        (tonal, None),
        (config(Codec::Pcmu), Some(louder)),
    ] {
        for (moment, late) in [(0, 500), (6, 500), (14, 500), (8, 0)] {
            let mut world = pair(config(Codec::Pcmu), second.clone());
            world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], u32::MAX);
            world.run(500 + moment);
            world.command(Command::YieldPlay { leg: LegId(1), action: ActionId(1) });
            connect(&mut world, ConnectMode::FirstHears);
            if let Some(volumes) = volumes {
                world.command(Command::SetVolumes { first: LegId(1), second: LegId(2), volumes });
            }
            world.run(late);
            assert!(ends_of(&world).is_empty(), "nothing of {:?} was heard yet", second.media.codec);
            let (codec, begin) = (second.media.codec, world.step * 2);
            world.play(12, 4, &[&prompt(codec, codec.sample_rate() as usize, 2)], 9);
            world.run(600);
            let sent = world.rtp_of(1);
            let longest = sent.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).max();
            assert!(longest <= Some(60), "{codec:?} at {moment} ms: {longest:?} ms");
            let frames = usize::try_from(world.step / 10).unwrap();
            assert!(sent.len().abs_diff(frames) <= 5, "{codec:?}: {} of {frames}", sent.len());
            let ends = ends_of(&world);
            assert!(
                ends.len() == 1 && (begin..begin + 200).contains(&ends[0]),
                "{codec:?}: {ends:?}, {begin}"
            );
        }
        let mut world = pair(config(Codec::Pcmu), second.clone());
        world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], u32::MAX);
        world.command(Command::YieldPlay { leg: LegId(1), action: ActionId(1) });
        connect(&mut world, ConnectMode::FirstHears);
        world.run(3000);
        assert!(ends_of(&world).is_empty() && world.rtp_of(1).len() >= 148);
        world.command(Command::StopPlay { leg: LegId(1), action: ActionId(1) });
        assert_eq!(ends_of(&world).len(), 1);
    }
}

/// When prompts ended.
fn ends_of(world: &World) -> Vec<u64> {
    let end = |(at, event): &(u64, Event)| matches!(event, Event::PlayEnded { .. }).then_some(*at);
    world.events.iter().filter_map(end).collect()
}

#[test]
fn the_three_modes() {
    for (first, second) in
        [(Codec::Pcmu, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)]
    {
        assert_eq!(who_hears(first, second, Some(ConnectMode::Both)), (true, true));
        assert_eq!(who_hears(first, second, Some(ConnectMode::SecondHears)), (false, true));
        assert_eq!(who_hears(first, second, Some(ConnectMode::FirstHears)), (true, false));
        assert_eq!(who_hears(first, second, None), (false, false));
    }
}

#[test]
fn a_connection_ends_with_disconnect_and_with_a_leg() {
    for remove in [false, true] {
        let mut world = pair(config(Codec::Pcmu), config(Codec::Pcmu));
        connect(&mut world, ConnectMode::Both);
        world.play(11, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 100);
        world.play(12, 2, &[&prompt(Codec::Pcmu, 8000, 2)], 100);
        world.run(500);
        assert!(world.rtp_of(1).len() >= 23);
        world.command(match remove {
            true => Command::RemoveLeg { leg: LegId(2) },
            false => Command::Disconnect { first: LegId(1), second: LegId(2) },
        });
        let before = (world.rtp_of(1).len(), world.rtp_of(2).len());
        world.run(500);
        assert_eq!((world.rtp_of(1).len(), world.rtp_of(2).len()), before);
        world.play(1, 3, &[&prompt(Codec::Pcmu, 800, 3)], 0);
        world.run(200);
        assert_eq!(world.rtp_of(1).len(), before.0 + 5);
    }
}

/// RFC 8866 §6.4: what a peer says by `a=maxptime` holds for what another party sends as well.
#[test]
fn packets_that_are_too_long_for_the_other_party_are_cut_anew() {
    for (first, second) in [(Codec::Pcmu, Codec::Pcmu), (Codec::Pcma, Codec::Pcmu)] {
        for (longest, expected) in [(None, 480), (Some(60), 480), (Some(20), 160)] {
            let talker = with(config(first), |media| media.ptime_ms = 60);
            let hearer = with(config(second), |media| media.max_ptime_ms = longest);
            let mut world = pair(talker, hearer);
            connect(&mut world, ConnectMode::Both);
            world.play(11, 1, &[&prompt(first, 16_000, 1)], 0);
            world.run(3000);
            let lengths: Vec<usize> = world.rtp_of(2).iter().map(|sent| sent.rtp().payload().len()).collect();
            assert!(lengths.iter().all(|&length| length == expected), "{longest:?}: {lengths:?}");
            // Two seconds of it, less what came before it was known.
            assert!(lengths.iter().sum::<usize>() >= 15_000, "{longest:?}: {}", lengths.len());
        }
    }
}

#[test]
fn relayed_packets_are_ours() {
    let mut world = pair(config(Codec::Pcmu), config(Codec::Pcmu));
    world.play(2, 9, &[&prompt(Codec::Pcmu, 320, 1)], 0);
    world.run(100);
    connect(&mut world, ConnectMode::Both);
    world.play(11, 1, &[&prompt(Codec::Pcmu, 1600, 2)], 0);
    world.run(400);
    let packets = world.rtp_of(2);
    assert_eq!(packets.len(), 12);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].rtp().sequence_number() - pair[0].rtp().sequence_number(), 1);
        assert_eq!(pair[1].rtp().ssrc(), pair[0].rtp().ssrc());
        assert!(pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp()) < 8000);
    }
    assert!(packets[2].rtp().mark() && !packets[3].rtp().mark());
}

fn numbered(number: u8, events: Events) -> TelephoneEvent {
    TelephoneEvent { send_payload_type: number, receive_payload_type: number, events, clock_rate: 8000 }
}

/// The flash of a hook is no key, and no harm between keys. Who takes it gets it from the other party.
#[test]
fn a_flash_is_passed_on_to_who_takes_it_and_is_no_key() {
    for (events, is_passed) in [(Events::OURS, true), (Events::KEYS, false)] {
        let second = with(config(Codec::Pcma), |media| media.telephone_event = Some(numbered(96, events)));
        let mut world = World::new(1, 1, Network::default());
        world.add(0, 1, 11, config(Codec::Pcmu));
        world.add(0, 2, 12, second);
        connect(&mut world, ConnectMode::Both);
        // Two packets of each event, and its end three times; a press of 5, the flash, a press of 6.
        for (sequence, (code, end)) in [5, 16, 6]
            .into_iter()
            .flat_map(|code| [0, 0, 0x80, 0x80, 0x80].map(|end| (code, end)))
            .enumerate()
        {
            let sequence = u8::try_from(sequence).unwrap();
            let timestamp = sequence / 5 * 8;
            let header = [0x80, 101, 0, sequence, 0, 0, timestamp, 0, 0, 0, 0, 7];
            let now = world.now();
            let packet = [&header[..], &[code, end | 10, 0, 160]].concat();
            world.engines[0].receive(now, LegId(1), Channel::Rtp, &packet);
            world.run(20);
        }
        assert_eq!(world.digits_of(1), [('5', Rfc4733), ('6', Rfc4733)]);
        let mut codes: Vec<u8> = world.rtp_of(2).iter().map(|packet| packet.rtp().payload()[0]).collect();
        codes.dedup();
        assert_eq!(codes, if is_passed { vec![5, 16, 6] } else { vec![5, 6] });
        world.command(Command::RemoveLeg { leg: LegId(1) });
        let stats = world.told().into_iter().find_map(|event| match event {
            Event::LegRemoved { leg: LegId(1), stats } => Some(*stats),
            _ => None,
        });
        let stats = stats.expect("it was removed");
        assert_eq!((stats.packets_refused, stats.packets_lost, stats.packets_received), (0, 0, 15));
    }
}

/// A key of the one party that the other does not take as an event is pressed for it as a tone (RFC 4733 §2.4.1).
#[test]
fn keys_that_a_peer_does_not_take_as_events_become_tones() {
    let few = Events::of(Some("0-9")).unwrap();
    let few = with(config(Codec::Pcmu), |media| media.telephone_event = Some(numbered(101, few)));
    let few = LegConfig { detect_tones: true, ..few };
    let mut world = pair(config(Codec::Pcmu), few);
    connect(&mut world, ConnectMode::Both);
    world.send_digits(11, 1, "1#2");
    world.run(2500);
    assert_eq!(world.digits_of(12), [('1', Rfc4733), ('#', Inband), ('2', Rfc4733)]);
    let is_hash = |packet: &&Sent| packet.rtp().payload_type() == 101 && packet.rtp().payload()[0] == 11;
    assert_eq!(world.rtp_of(2).iter().filter(|packet| is_hash(packet)).count(), 0);
}

#[test]
fn telephone_events_pass_with_the_other_sides_number() {
    let first = config(Codec::Pcmu);
    let second = with(config(Codec::Pcma), |media| {
        media.telephone_event = Some(numbered(96, Events::OURS));
    });
    let mut world = pair(first, second);
    connect(&mut world, ConnectMode::Both);
    world.send_digits(11, 1, "159D");
    world.run(1500);
    let expected = ['1', '5', '9', 'D'].map(|key| (key, Rfc4733));
    assert_eq!(world.digits_of(1), expected);
    assert_eq!(world.digits_of(12), expected);
    assert!(world.rtp_of(2).iter().all(|packet| packet.rtp().payload_type() == 96));
}

#[test]
fn keys_become_tones_for_who_has_no_events() {
    let deaf = with(config(Codec::Pcmu), |media| media.telephone_event = None);
    let deaf = LegConfig { detect_tones: true, ..deaf };
    let mut world = pair(config(Codec::Pcmu), deaf);
    connect(&mut world, ConnectMode::Both);
    world.send_digits(11, 1, "28");
    world.run(2000);
    assert_eq!(world.digits_of(12), [('2', Inband), ('8', Inband)]);
    // A key by SIP INFO goes the way that the other side has.
    let key = Key::from_char('4').unwrap();
    let duration = Duration::from_millis(100);
    world.command(Command::InfoDigit { leg: LegId(1), key, duration });
    world.command(Command::InfoDigit { leg: LegId(2), key, duration });
    world.run(500);
    assert_eq!(world.digits_of(12).last(), Some(&('4', Inband)));
    assert_eq!(world.digits_of(11), [('4', Rfc4733)]);
    assert_eq!(world.digits_of(1).last(), Some(&('4', Info)));
}

#[test]
fn a_held_party_is_sent_nothing() {
    let held = with(config(Codec::Pcmu), |media| media.direction = Direction::RecvOnly);
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 11, config(Codec::Pcmu));
    world.add(0, 2, 12, held);
    world.add(1, 11, 1, config(Codec::Pcmu));
    connect(&mut world, ConnectMode::Both);
    world.play(11, 1, &[&prompt(Codec::Pcmu, 8000, 2)], 0);
    world.run(1000);
    assert_eq!(world.rtp_of(2).len(), 0);
}

#[test]
fn a_leg_that_moves_goes_on_where_it_was() {
    let mut world = World::new(3, 1, Network::default());
    world.add(0, 1, 2, config(Codec::Pcmu));
    world.add(1, 2, 1, config(Codec::Pcmu));
    let prompt = prompt(Codec::Pcmu, 16_000, 4);
    world.record(2, 1, RecordFormat::Mulaw, 10_000);
    world.play(1, 2, &[&prompt], 0);
    world.run(500);
    for leg in [1, 2] {
        let home = world.homes.insert(LegId(leg), 2).unwrap();
        let now = world.now();
        let value = world.engines[home].detach(now, LegId(leg)).unwrap();
        assert_eq!((world.engines[home].legs(), phase_of(&world.engines[home], leg)), (0, None));
        world.engines[2].attach(now, LegId(leg), value);
    }
    world.run(2500);
    world.stop_record(2, 1, false);
    assert!(find(world.file(1), payload(&prompt)).is_some());
    let duration = world.file(1).len() / 8;
    assert!(duration.abs_diff(3000) <= 20, "{duration} ms");
}

/// Noise that one party describes is described to the other under the number that it has there, or not at all.
#[test]
fn comfort_noise_is_passed_on_to_who_knows_it() {
    let noise = |number| Some(ComfortNoise { send_payload_type: number, receive_payload_type: number });
    let noisy = |number| with(config(Codec::Pcmu), |media| media.comfort_noise = noise(number));
    for (second, expected) in [(noisy(99), vec![0, 99]), (config(Codec::Pcma), vec![8])] {
        let mut world = World::new(1, 1, Network::default());
        world.add(0, 1, 11, noisy(13));
        world.add(0, 2, 12, second);
        connect(&mut world, ConnectMode::Both);
        for (sequence, payload_type, payload) in [(1, 0, vec![0x20; 160]), (2, 13, vec![40])] {
            let header = [0x80, payload_type, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7];
            let now = world.now();
            world.engines[0].receive(now, LegId(1), Channel::Rtp, &[&header[..], &payload].concat());
            world.run(20);
        }
        let types: Vec<u8> = world.rtp_of(2).iter().map(|packet| packet.rtp().payload_type()).collect();
        assert_eq!(types, expected);
    }
}

/// Leg 1 in PCMU, whose peer describes its pauses, and leg 2, whose peer does not know comfort noise, hear each other.
fn with_pauses(second: Codec) -> World {
    let noise = ComfortNoise { send_payload_type: 13, receive_payload_type: 13 };
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 11, with(config(Codec::Pcmu), |media| media.comfort_noise = Some(noise)));
    world.add(0, 2, 12, config(second));
    connect(&mut world, ConnectMode::Both);
    world
}

/// Lets the peer of leg 1 send so many frames: a packet in each, or each tenth, or none after the first.
fn send(world: &mut World, sequence: &mut u16, frames: u16, every: u16, payload: (u8, &[u8])) {
    for frame in 0..frames {
        let timestamp = u32::try_from(world.step * 16).unwrap();
        let (payload_type, payload) = payload;
        if frame % every == 0 {
            let packet = Packet {
                payload_type,
                marker: false,
                sequence: *sequence,
                timestamp,
                ssrc: 7,
                payload: &payload[..payload.len().min(160)],
            };
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            let now = world.now();
            world.engines[0].receive(now, LegId(1), Channel::Rtp, &bytes);
            *sequence += 1;
        }
        world.run(20);
    }
}

/// The effective value of what was sent in some time, in decibels below a square wave at full scale.
fn level(codec: Codec, sent: &[&Sent], ms: std::ops::Range<u64>) -> f64 {
    let (mut decoder, mut samples, mut until) = (Decoder::new(codec), Vec::new(), Vec::new());
    for packet in sent {
        let before = samples.len();
        decoder.decode(packet.rtp().payload(), &mut samples);
        if ms.contains(&packet.at_ms) {
            until.extend_from_slice(&samples[before..]);
        }
    }
    let power = until.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / until.len() as f64;
    10.0 * (power / 32_768f64.powi(2)).log10()
}

/// RFC 3389 §4: the noise that was described lasts until there is audio again, whatever way the other party hears it, and
/// whether it is described again or not.
#[test]
fn noise_that_one_party_describes_lasts_for_the_other_until_audio_comes() {
    let talk = prompt(Codec::Pcmu, 160, 1);
    let codecs = Codec::ALL.into_iter().filter(|codec| *codec != Codec::Gsm);
    for (second, every) in codecs.flat_map(|codec| [(codec, 10), (codec, 1000)]) {
        let mut world = with_pauses(second);
        let mut sequence = 0;
        send(&mut world, &mut sequence, 50, 1, (0, payload(&talk)));
        send(&mut world, &mut sequence, 150, every, (13, &[40]));
        send(&mut world, &mut sequence, 50, 1, (0, payload(&talk)));
        let sent = world.rtp_of(2);
        let gap = sent.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).max();
        let markers = sent.iter().filter(|packet| packet.rtp().mark() && packet.at_ms > 1200).count();
        let levels = [1400..2600, 2600..3900, 4400..5000].map(|ms| level(second, &sent, ms));
        let what = format!("{second:?} each {every}: {gap:?} ms, {markers} markers, {levels:?}");
        assert!(gap <= Some(100) && markers == 0, "{what}");
        assert!(levels[..2].iter().all(|level| (-43.0..-37.0).contains(level)), "{what}");
        assert!(levels[2] > -25.0, "{what}");
    }
}

/// Who is put on hold says nothing any more, and makes no noise.
#[test]
fn noise_ends_where_its_party_is_put_on_hold() {
    for second in [Codec::L16Wide, Codec::Pcmu] {
        let talk = prompt(Codec::Pcmu, 160, 1);
        let mut world = with_pauses(second);
        let mut sequence = 0;
        send(&mut world, &mut sequence, 50, 1, (0, payload(&talk)));
        send(&mut world, &mut sequence, 50, 10, (13, &[40]));
        let config = with(config(Codec::Pcmu), |media| media.direction = Direction::SendOnly);
        world.command(Command::UpdateLeg { leg: LegId(1), config });
        world.run(200);
        let before = world.rtp_of(2).len();
        world.run(1000);
        assert!(before > 90, "{before}");
        assert_eq!(world.rtp_of(2).len(), before, "{second:?}");
    }
}

/// RFC 3264 §7: a peer that answers with several codecs sends any of them, and changes as it likes.
#[test]
fn any_codec_of_an_answer_is_passed_on_and_recorded() {
    let mut tone = Vec::new();
    for is_recorded in [false, true] {
        let mut world = World::new(1, 1, Network::default());
        let also = vec![(8, Codec::Pcma), (9, Codec::G722)];
        world.add(0, 1, 11, with(config(Codec::Pcmu), |media| media.also_received = also));
        world.add(0, 2, 12, config(Codec::Pcmu));
        connect(&mut world, ConnectMode::Both);
        if is_recorded {
            world.record(1, 1, RecordFormat::Pcm16, 10_000);
        }
        let mut sequence = 0;
        for (number, codec) in [(8, Codec::Pcma), (9, Codec::G722), (0, Codec::Pcmu), (8, Codec::Pcma)] {
            let (begin, mut encoder) = (world.step * 2, Encoder::new(codec));
            for _ in 0..50 {
                tone.clear();
                encoder.encode(&sine(codec.sample_rate()), &mut tone);
                send(&mut world, &mut sequence, 1, 1, (number, &tone));
            }
            let heard = level(Codec::Pcmu, &world.rtp_of(2), begin + 200..begin + 1000);
            assert!((-16.5..-14.5).contains(&heard), "{codec:?}: {heard} dB");
        }
        if is_recorded {
            world.stop_record(1, 1, false);
            let seconds = world.file(1).as_chunks::<16_000>().0;
            assert_eq!(seconds.len(), 4);
            for second in seconds {
                let sample = |&bytes: &[u8; 2]| f64::from(i16::from_le_bytes(bytes)).powi(2);
                let power = second[8_000..].as_chunks().0.iter().map(sample).sum::<f64>() / 4_000.0;
                assert!((5_300.0..6_000.0).contains(&power.sqrt()), "{}", power.sqrt());
            }
        }
    }
}

/// 20 ms of 500 Hz, at -15.3 dB.
#[expect(clippy::cast_possible_truncation, reason = "within the range")]
fn sine(rate: u32) -> Vec<i16> {
    let phase = |n: u32| std::f64::consts::TAU * 500.0 * f64::from(n) / f64::from(rate);
    (0..rate / 50).map(|n| (8000.0 * phase(n).sin()).round() as i16).collect()
}

/// What was not agreed on makes no sound in the pauses of one party for the other.
#[test]
fn what_was_not_agreed_on_is_nothing_to_the_other_party() {
    for second in [Codec::L16Wide, Codec::Pcmu] {
        let talk = prompt(Codec::Pcmu, 160, 1);
        let mut world = with_pauses(second);
        let mut sequence = 0;
        send(&mut world, &mut sequence, 50, 1, (0, payload(&talk)));
        send(&mut world, &mut sequence, 150, 10, (19, &[40]));
        let last = world.rtp_of(2).last().map(|packet| packet.at_ms);
        assert!(last < Some(1200), "{second:?}: {last:?}");
    }
}
