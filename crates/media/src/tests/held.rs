//! A key that is held, where it is pressed anew for the other party of a connection.

use super::*;
use crate::codec::Decoder;
use DigitSource::Rfc4733;

/// A peer with telephone-events, connected to `second`, which it cannot hear undecoded.
fn connected(second: LegConfig) -> World {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 11, config(Codec::G722));
    world.add(0, 2, 12, second);
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    world.run(20);
    world
}

/// The peer of leg 1 holds the 5 for so many packets of 20 ms, of which `lost` do not come, and tells the end three times.
fn hold(world: &mut World, packets: u16, lost: std::ops::Range<u16>, ends: bool) {
    for n in 1..=packets + 2 {
        let (ended, duration) = (n >= packets, n.min(packets) * 160);
        if !lost.contains(&n) && (ends || !ended) {
            let [high, low] = duration.to_be_bytes();
            let header = [0x80, 101, 0, u8::try_from(n).unwrap(), 0, 0, 1, 0, 0, 0, 0, 7];
            let packet = [&header[..], &[5, if ended { 0x8a } else { 10 }, high, low]].concat();
            let now = world.now();
            world.engines[0].receive(now, LegId(1), Channel::Rtp, &packet);
        }
        world.run(20);
    }
}

/// The telephone-events that leg 2 sent: when, whether it is an end, and how long they say, in ms.
fn events(world: &World) -> Vec<(u64, bool, u16)> {
    let sent = world.rtp_of(2).into_iter().filter(|packet| packet.rtp().payload_type() == 101);
    sent.map(|packet| {
        let &[5, flags, high, low] = packet.rtp().payload() else { panic!("no event of the 5") };
        (packet.at_ms, flags & 0x80 != 0, u16::from_be_bytes([high, low]) / 8)
    })
    .collect()
}

/// When leg 2 sent a tone, in ms, by its samples of 8 kHz.
fn tone(world: &World) -> (u64, u64) {
    let mut samples = Vec::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for packet in world.rtp_of(2) {
        samples.clear();
        Decoder::new(Codec::Pcma).decode(packet.rtp().payload(), &mut samples);
        if samples.iter().any(|sample| sample.unsigned_abs() > 2000) {
            (first, last) = (first.min(packet.at_ms), packet.at_ms + 20);
        }
    }
    (first, last)
}

/// RFC 4733 §2.5.1.2: an event is told from its beginning on and while it lasts.
#[test]
fn a_key_that_is_held_is_held_for_the_other_party() {
    for packets in [15, 50, 150] {
        let mut world = connected(config(Codec::Pcma));
        let begin = world.step * 2;
        hold(&mut world, packets, 0..0, true);
        world.run(500);
        let events = events(&world);
        let length = packets * 20;
        assert!(events[0].0 <= begin + 60, "it begins at once: {events:?}");
        assert_eq!(events[0].2, 20);
        let ends: Vec<_> = events.iter().filter(|event| event.1).collect();
        assert_eq!(ends.len(), 3, "{events:?}");
        assert!(ends.iter().all(|end| end.2.abs_diff(length) <= 20), "{length}: {events:?}");
        let going_on = events.iter().filter(|event| !event.1).count();
        assert!(going_on.abs_diff(usize::from(packets)) <= 2, "{going_on} of {packets}");
        assert_eq!(world.digits_of(1), [('5', Rfc4733)]);
    }
}

#[test]
fn a_key_that_is_held_is_a_tone_as_long_for_who_has_no_events() {
    let deaf = with(config(Codec::Pcma), |media| media.telephone_event = None);
    for packets in [15, 50] {
        let mut world = connected(deaf.clone());
        let begin = world.step * 2;
        hold(&mut world, packets, 0..0, true);
        world.run(500);
        let (first, last) = tone(&world);
        assert!(first <= begin + 40, "it begins at once: {first}, {begin}");
        assert!((last - first).abs_diff(u64::from(packets) * 20) <= 40, "{packets}: {first} to {last}");
    }
}

/// However it ends: where its end is lost, where the connection ends, and where its party goes.
#[test]
fn a_key_that_is_held_is_let_go() {
    let ends = [
        None,
        Some(Command::Disconnect { first: LegId(1), second: LegId(2) }),
        Some(Command::RemoveLeg { leg: LegId(1) }),
    ];
    for end in ends {
        let deaf = with(config(Codec::Pcma), |media| media.telephone_event = None);
        for second in [config(Codec::Pcma), deaf] {
            let mut world = connected(second);
            hold(&mut world, 25, 0..0, false);
            let held = world.step * 2;
            if let Some(end) = end.clone() {
                world.command(end);
            }
            world.run(1000);
            let over = match world.rtp_of(2).last().unwrap().rtp().payload_type() {
                101 => events(&world).iter().find(|event| event.1).expect("an end").0,
                _ => tone(&world).1,
            };
            // 200 ms after the last packet its end is taken for lost.
            assert!((held - 100..held + 240).contains(&over), "{over} ms, after {held}");
        }
    }
}

/// What is lost within makes it neither shorter nor two, and a short press is one of 100 ms, which anybody hears.
#[test]
fn a_press_is_one_whatever_is_lost_of_it() {
    for (packets, lost, expected) in [(30, 10..18, 600), (30, 1..5, 600), (3, 0..0, 100), (3, 1..3, 100)] {
        let mut world = connected(config(Codec::Pcma));
        hold(&mut world, packets, lost.clone(), true);
        world.run(500);
        let ends: Vec<u16> = events(&world).iter().filter(|event| event.1).map(|event| event.2).collect();
        assert_eq!(ends.len(), 3, "{packets}, {lost:?}");
        assert!(ends.iter().all(|end| end.abs_diff(expected) <= 20), "{packets}, {lost:?}: {ends:?}");
        assert_eq!(world.digits_of(1), [('5', Rfc4733)]);
    }
}

/// The same press by SIP INFO, whenever that comes, is no second one for the other party either.
#[test]
fn a_press_that_is_told_twice_is_pressed_once() {
    for at in [0, 200, 900] {
        let mut world = connected(config(Codec::Pcma));
        let (key, duration) = (Key::from_char('5').unwrap(), Duration::from_millis(250));
        let info = Command::InfoDigit { leg: LegId(1), key, duration };
        if at == 0 {
            world.command(info.clone());
        }
        hold(&mut world, 20, 0..0, true);
        if at > 0 {
            world.run(at - 200);
            world.command(info);
        }
        world.run(1500);
        let ends = events(&world).iter().filter(|event| event.1).count();
        assert_eq!((ends, world.digits_of(1).len()), (3, 1), "INFO {at} ms later");
    }
}
