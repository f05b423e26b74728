//! Keys that one party has as tones only and the other as telephone-events: each is one event, and no tone beside it.

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

/// A key by SIP INFO whose tone is in the audio as well is one.
#[test]
fn a_key_that_comes_by_info_as_well_is_one_event() {
    let mut world = connected(&tonal(Codec::Pcmu), &config(Codec::Pcmu), ConnectMode::Both, false);
    world.send_digits(11, 1, "7");
    let (key, duration) = (Key::from_char('7').unwrap(), Duration::from_millis(100));
    world.run(100);
    world.command(Command::InfoDigit { leg: LegId(1), key, duration });
    world.run(900);
    assert_eq!(world.digits_of(12), keys("7", Rfc4733));
    assert_eq!(sent_since(&world, 2, 0), (1, 0));
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
