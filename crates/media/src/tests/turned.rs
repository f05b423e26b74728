//! Keys that one party has as tones only and the other as telephone-events: each is one event, and no tone beside it.

use std::f64::consts::TAU;

use super::*;
use DigitSource::{Inband, Rfc4733};

const ALL: &str = "1234567890*#ABCD";

/// A peer without telephone-events, whose tones are looked for.
fn tonal(codec: Codec) -> LegConfig {
    let config = with(config(codec), |media| media.telephone_event = None);
    LegConfig { detect_tones: true, ..config }
}

/// Engine 0 with legs 1 and 2, connected; engine 1 plays their peers, 11 and 12.
fn connected(first: &LegConfig, second: &LegConfig, mode: ConnectMode, mute_digits: bool) -> World {
    let mut world = World::new(2, 1, Network::default());
    for (engine, leg, to, config) in
        [(0, 1, 11, first), (0, 2, 12, second), (1, 11, 1, first), (1, 12, 2, second)]
    {
        world.add(engine, leg, to, config.clone());
    }
    world.command(Command::Connect { first: LegId(1), second: LegId(2), mode, mute_digits });
    world
}

/// Another description for a leg and its peer.
fn renew(world: &mut World, leg: u64, config: &LegConfig) {
    for (leg, to) in [(leg, leg + 10), (leg + 10, leg)] {
        let config = with(config.clone(), |media| {
            (media.remote_rtp, media.remote_rtcp) = (address(to), address(to));
        });
        world.command(Command::UpdateLeg { leg: LegId(leg), config });
    }
}

/// What a leg sent from some packet on: how many events began, and how many packets of audio have any sound in them.
fn sent_since(world: &World, leg: u64, from: usize) -> (usize, usize) {
    let (mut decoder, mut samples) = (crate::codec::Decoder::new(Codec::Pcmu), Vec::new());
    let (mut events, mut sounding) = (Vec::new(), 0);
    for packet in &world.rtp_of(leg)[from..] {
        let packet = packet.rtp();
        if packet.payload_type() == 101 {
            events.push(packet.timestamp());
            continue;
        }
        samples.clear();
        decoder.decode(packet.payload(), &mut samples);
        sounding += usize::from(samples.iter().any(|sample| sample.unsigned_abs() > 100));
    }
    events.dedup();
    (events.len(), sounding)
}

fn keys(keys: &str, source: DigitSource) -> Vec<(char, DigitSource)> {
    keys.chars().map(|key| (key, source)).collect()
}

#[test]
fn a_key_in_the_audio_is_one_event_for_who_has_events() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        let mut world = connected(&tonal(codec), &config(Codec::Pcmu), ConnectMode::Both, false);
        world.send_digits(11, 1, ALL);
        world.run(4500);
        assert_eq!(world.digits_of(1), keys(ALL, Inband), "{codec:?}");
        assert_eq!(world.digits_of(12), keys(ALL, Rfc4733), "{codec:?}");
        assert_eq!(sent_since(&world, 2, 0), (ALL.len(), 0), "{codec:?}: events, and no tone beside them");
        // The other way they come as tones, as ever.
        world.send_digits(12, 2, "5");
        world.run(500);
        assert_eq!(world.digits_of(11), keys("5", Inband));
    }
}

/// A key by SIP INFO whose tone is in the audio as well is one: after it, and before, within and after one that is held.
#[test]
fn a_key_that_comes_by_info_as_well_is_one_event() {
    for (held, at) in [(100, 100), (600, 2), (600, 300), (600, 900)] {
        let mut world = connected(&tonal(Codec::Pcmu), &config(Codec::Pcmu), ConnectMode::Both, false);
        say(&mut world, &tones(0.0, &[(0, held)]));
        let (key, duration) = (Key::from_char('5').unwrap(), Duration::from_millis(100));
        world.run(at);
        world.command(Command::InfoDigit { leg: LegId(1), key, duration });
        world.run(1800 - at);
        assert_eq!(world.digits_of(12), keys("5", Rfc4733), "{held} ms, INFO at {at}");
        assert_eq!(sent_since(&world, 2, 0), (1, 0), "{held} ms, INFO at {at}");
        assert_eq!(world.digits_of(1).len(), 1);
    }
}

/// So many milliseconds of a voice of 300 Hz with an amplitude, in which the 5 is pressed instead from some moments on, for so long.
fn tones(voice: f64, presses: &[(usize, usize)]) -> Vec<i16> {
    let sine = |hz: f64, amplitude: f64, n: usize| amplitude * (TAU * hz * n as f64 / 8000.0).sin();
    let is_pressed = |n: usize| presses.iter().any(|&(from, ms)| (from * 8..(from + ms) * 8).contains(&n));
    let sample = |n: usize| match is_pressed(n) {
        true => sine(770.0, 6000.0, n) + sine(1336.0, 6000.0, n),
        false => sine(300.0, voice, n),
    };
    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    let samples = (0..presses.last().map_or(0, |(from, ms)| from + ms + 1000) * 8).map(|n| sample(n) as i16);
    samples.collect()
}

/// The peer of leg 1 says this.
fn say(world: &mut World, samples: &[i16]) {
    world.play(11, 1, &[&Prompt::encode(samples, Codec::Pcmu)], 0);
}

/// The events that leg 2 sent: when their first packets went and their first ends, and how long they say that they were.
fn events_of(world: &World) -> Vec<(u64, u64, u64)> {
    let mut events: Vec<(u32, u64, u64, u64)> = Vec::new();
    for sent in world.rtp_of(2) {
        let packet = sent.rtp();
        let &[_, flags, high, low] = packet.payload() else { continue };
        match events.last_mut().filter(|event| event.0 == packet.timestamp()) {
            None => events.push((packet.timestamp(), sent.at_ms, 0, 0)),
            Some((.., end, length)) if flags & 0x80 != 0 && *end == 0 => {
                (*end, *length) = (sent.at_ms, u64::from(u16::from_be_bytes([high, low])) / 8);
            }
            Some(_) => {}
        }
    }
    events.into_iter().map(|(_, begin, end, length)| (begin, end, length)).collect()
}

/// When leg 2 sent audio that is not silent.
fn voice_of(world: &World) -> Vec<u64> {
    let (mut decoder, mut samples) = (crate::codec::Decoder::new(Codec::Pcmu), Vec::new());
    let mut is_voice = |sent: &&Sent| {
        samples.clear();
        decoder.decode(sent.rtp().payload(), &mut samples);
        samples.iter().any(|sample| sample.unsigned_abs() > 1000)
    };
    let audio = world.rtp_of(2).into_iter().filter(|sent| sent.rtp().payload_type() == 0);
    audio.filter(|sent| is_voice(sent)).map(|sent| sent.at_ms).collect()
}

/// RFC 4733 §2.5.1.2: an event is told while its key is pressed. Before and after it its presser is heard: the next key takes 100 ms
/// of rest, so nothing is heard of him for as long behind one.
#[test]
fn a_tone_is_an_event_while_it_lasts() {
    for held in [150, 300, 1000, 3000] {
        let mut world = connected(&tonal(Codec::Pcmu), &config(Codec::Pcmu), ConnectMode::Both, false);
        say(&mut world, &tones(4000.0, &[(500, held), (800 + held, 100)]));
        let duration = u64::try_from(held).unwrap();
        world.run(duration + 2500);
        let (events, voice) = (events_of(&world), voice_of(&world));
        assert_eq!(events.len(), 2, "{held}: {events:?}");
        // As late as the voice is, which is known to the frame.
        let late = voice[0];
        for ((begin, end, length), (pressed, held)) in
            events.into_iter().zip([(500, duration), (800 + duration, 100)])
        {
            let pressed = pressed + late;
            assert!((pressed - 20..=pressed + 60).contains(&begin), "{held}: {begin}, pressed at {pressed}");
            assert!(end.abs_diff(pressed + held) <= 60, "{held}: {end}, pressed at {pressed}");
            assert!(length.abs_diff(held) <= 40, "{held}: {length} ms");
            let before = voice.iter().rfind(|&&at| at < pressed + 20).unwrap();
            let after = voice.iter().find(|&&at| at > pressed + held / 2).unwrap();
            assert!(*before >= pressed - 60, "{held}: voice until {before}, pressed at {pressed}");
            assert!(*after <= pressed + held + 160, "{held}: voice from {after}, pressed at {pressed}");
        }
        assert_eq!(world.digits_of(1), keys("55", Inband));
        assert_eq!(world.digits_of(12), keys("55", Rfc4733));
    }
}

/// However it ends: where the connection does, the party goes or its packets do, and where tones are no longer looked for or turned.
#[test]
fn a_tone_that_lasts_is_let_go() {
    let silent = LegConfig { detect_tones: false, ..tonal(Codec::Pcmu) };
    let connect = |mode| Command::Connect { first: LegId(1), second: LegId(2), mode, mute_digits: false };
    let ends: [&dyn Fn(&mut World); 8] = [
        &|world| world.command(Command::Disconnect { first: LegId(1), second: LegId(2) }),
        &|world| world.command(Command::RemoveLeg { leg: LegId(1) }),
        &|world| world.network.loss = 1.0,
        &|world| renew(world, 1, &silent),
        &|world| renew(world, 1, &config(Codec::Pcmu)),
        &|world| renew(world, 1, &with(tonal(Codec::Pcmu), |media| media.direction = Direction::Inactive)),
        &|world| world.command(connect(ConnectMode::FirstHears)),
        &|world| world.command(connect(ConnectMode::Both)),
    ];
    for (number, end) in ends.iter().enumerate() {
        let mut world = connected(&tonal(Codec::Pcmu), &config(Codec::Pcmu), ConnectMode::Both, false);
        say(&mut world, &tones(4000.0, &[(500, 2000)]));
        world.run(1000);
        end(&mut world);
        world.run(2500);
        let events = events_of(&world);
        assert_eq!(events.len(), 1, "{number}: one event and no second one of the same press: {events:?}");
        let (begin, end, _) = events[0];
        assert!(begin <= 660 && (1000..=1200).contains(&end), "{number}: {events:?}");
        // The next press is whole where the connection goes on.
        if number == 7 {
            world.send_digits(11, 2, "5");
            world.run(600);
            assert_eq!(events_of(&world).len(), 2);
        }
    }
}

/// What SIP INFO says of its length costs the presser little of his voice (ITU-T Q.24: a receiver takes 40 ms for a key).
#[test]
fn a_key_that_is_over_is_pressed_anew_for_a_quarter_of_a_second_at_most() {
    let deaf = with(config(Codec::Pcmu), |media| media.telephone_event = None);
    for second in [config(Codec::Pcmu), deaf, config(Codec::Pcma)] {
        let mut world = connected(&config(Codec::Pcmu), &second, ConnectMode::Both, false);
        world.play(11, 1, &[&prompt(Codec::Pcmu, 80_000, 1)], 0);
        world.run(1000);
        let key = Key::from_char('5').unwrap();
        for duration in [250, 2000, 10_000].map(Duration::from_millis) {
            let from = world.rtp_of(2).len();
            world.command(Command::InfoDigit { leg: LegId(1), key, duration });
            world.run(1000);
            let relayed =
                world.rtp_of(2)[from..].iter().filter(|sent| sent.rtp().payload().len() == 160).count();
            let events =
                world.rtp_of(2)[from..].iter().filter(|sent| sent.rtp().payload().len() == 4).count();
            // A tone goes in as many packets of audio as the voice that it takes the place of.
            assert!(
                relayed >= 30 && (events > 10 || second.media.telephone_event.is_none()),
                "{relayed}, {events}"
            );
        }
    }
}

/// In the recording of a connection, with its volumes, in one direction only, and not where keys are kept.
#[test]
fn keys_are_turned_whatever_else_the_connection_does() {
    for (mode, mute_digits, is_bridged, expected) in [
        (ConnectMode::Both, false, true, 2),
        (ConnectMode::SecondHears, false, false, 2),
        (ConnectMode::Both, true, false, 0),
        (ConnectMode::Both, true, true, 0),
        (ConnectMode::FirstHears, false, false, 0),
    ] {
        let mut world = connected(&tonal(Codec::Pcmu), &config(Codec::Pcmu), mode, mute_digits);
        if is_bridged {
            world.command(Command::RecordConnection {
                first: LegId(1),
                second: LegId(2),
                action: ActionId(7),
                recording: RecordingId(7),
                is_stereo: false,
                max: Duration::from_secs(60),
            });
        }
        world.send_digits(11, 1, "12");
        world.run(1500);
        assert_eq!(world.digits_of(1), keys("12", Inband));
        assert_eq!(
            sent_since(&world, 2, 0),
            (expected, 0),
            "{mode:?}, kept {mute_digits}, bridged {is_bridged}"
        );
    }
}

/// Where both have telephone-events, or neither has, packets go on as they come.
#[test]
fn nothing_is_interpreted_where_both_have_the_same() {
    for peer in [config(Codec::Pcmu), tonal(Codec::Pcmu)] {
        let mut world = connected(&peer, &peer, ConnectMode::Both, false);
        let said = prompt(Codec::Pcmu, 1600, 1);
        world.play(11, 1, &[&said], 0);
        world.run(500);
        let sent: Vec<u8> = world.rtp_of(2).iter().flat_map(|sent| sent.rtp().payload().to_vec()).collect();
        assert!(find(&sent, payload(&said)).is_some() && world.engines[0].passes_on());
    }
}

/// `call-api.md` §4: early media that is heard instead of a tone of ours begins within 60 ms, also where its keys are turned.
#[test]
fn from_a_prompt_to_a_party_whose_keys_are_turned_there_is_no_gap() {
    for moment in 0..20 {
        let mut world = connected(&config(Codec::Pcmu), &tonal(Codec::Pcmu), ConnectMode::FirstHears, false);
        world.command(Command::Disconnect { first: LegId(1), second: LegId(2) });
        world.play(12, 4, &[&prompt(Codec::Pcmu, 8000, 2)], 9);
        world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], u32::MAX);
        world.run(500 + moment);
        world.command(Command::StopPlay { leg: LegId(1), action: ActionId(1) });
        let (first, second, mode) = (LegId(1), LegId(2), ConnectMode::FirstHears);
        world.command(Command::Connect { first, second, mode, mute_digits: false });
        world.run(500);
        let sent = world.rtp_of(1);
        let longest = sent.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).max();
        assert!(longest <= Some(60) && sent.len() > 40, "at {moment} ms: {longest:?} ms");
    }
}

/// An offer in the middle of the call, of either party, changes it either way.
#[test]
fn another_description_turns_keys_or_leaves_them() {
    let (with_events, without) = (config(Codec::Pcmu), tonal(Codec::Pcmu));
    let mut world = connected(&without, &without, ConnectMode::Both, false);
    let press = |world: &mut World, key: &str| {
        let from = world.rtp_of(2).len();
        world.send_digits(11, 1, key);
        world.run(700);
        let (events, sounding) = sent_since(world, 2, from);
        (events, sounding > 0, world.digits_of(12).last().copied(), world.engines[0].passes_on())
    };
    let as_it_comes = |key| (0, true, Some((key, Inband)), true);
    assert_eq!(press(&mut world, "1"), as_it_comes('1'));
    renew(&mut world, 2, &with_events);
    // What the second says still goes on as it comes.
    assert_eq!(press(&mut world, "2"), (1, false, Some(('2', Rfc4733)), true));
    renew(&mut world, 1, &with_events);
    let (events, is_heard, told, _) = press(&mut world, "3");
    assert_eq!((events, is_heard, told), (1, false, Some(('3', Rfc4733))), "an event as it came");
    assert_eq!(world.digits_of(1).last(), Some(&('3', Rfc4733)));
    renew(&mut world, 1, &without);
    assert_eq!(press(&mut world, "4"), (1, false, Some(('4', Rfc4733)), true));
    renew(&mut world, 2, &without);
    assert_eq!(press(&mut world, "5"), as_it_comes('5'));
}
