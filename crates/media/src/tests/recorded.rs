//! What is in a recording, to the packet: all that was said between its command and its end, and nothing else, whatever keys
//! come between.

use std::collections::BTreeMap;

use super::record::ended;
use super::*;
use crate::packet::Packet;

/// RTP as a telephone sends it, in which each packet of audio has a byte of its own: 0x80 and its number modulo 100. The keys,
/// each pressed for so many packets, begin with the packets that are named; while they last there is no audio.
fn numbered(packets: u32, presses: &[(char, u32, u32)]) -> Vec<(u64, Vec<u8>)> {
    let (mut sequence, mut sent) = (0u16, Vec::new());
    for n in 0..packets {
        let press = presses.iter().find(|(_, begin, length)| (*begin..begin + length).contains(&n));
        let (payload_type, timestamp, payload) = match press {
            Some(&(key, begin, length)) => {
                let end = if n + 1 == begin + length { 0x80 } else { 0 };
                let [.., high, low] = ((n + 1 - begin) * 160).to_be_bytes();
                (101, begin * 160, vec![Key::from_char(key).unwrap().code(), end | 10, high, low])
            }
            None => (0, n * 160, vec![0x80 + u8::try_from(n % 100).unwrap(); 160]),
        };
        // The end of an event is sent three times.
        for _ in
            0..if payload.get(1).is_some_and(|flags| payload.len() == 4 && flags & 0x80 != 0) { 3 } else { 1 }
        {
            let packet =
                Packet { payload_type, marker: false, sequence, timestamp, ssrc: 7, payload: &payload };
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            sequence += 1;
            sent.push((u64::from(n) * 20, bytes));
        }
    }
    sent
}

/// Leg 2 records into mu-law what such a telephone sends.
fn from_telephone(packets: u32, presses: &[(char, u32, u32)]) -> World {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    for (order, (at, bytes)) in (0..).zip(numbered(packets, presses)) {
        world.flying.insert((at / 2 + 1, order), (LegId(2), Channel::Rtp, bytes));
    }
    world
}

fn record_until_five(world: &mut World, id: u64) {
    world.formats.insert(RecordingId(id), RecordFormat::Mulaw);
    world.command(Command::Record {
        leg: LegId(2),
        action: ActionId(id),
        recording: RecordingId(id),
        beep: false,
        max: Duration::from_secs(60),
        trim_silence: false,
        mute_digits: true,
        finish_keys: KeySet::parse("5").unwrap(),
        format: RecordFormat::Mulaw,
    });
}

/// However long the key was that ended a recording, the next one begins with what is said.
#[test]
fn a_key_that_ended_a_recording_is_not_silence_in_the_next() {
    for length in [4, 8, 15] {
        for wait in [60, 300, 2000] {
            let mut world = from_telephone(300, &[('5', 50, length)]);
            world.run(200);
            record_until_five(&mut world, 1);
            while world.digits_of(2).is_empty() {
                world.run(2);
            }
            world.stop_record(2, 1, true);
            world.run(wait);
            record_until_five(&mut world, 2);
            world.run(600);
            world.stop_record(2, 2, false);
            let silent = world.file(2).iter().take_while(|&&code| code == 0xff).count() / 8;
            assert!(silent <= 40, "{length} packets, {wait} ms later: {silent} ms of silence");
        }
    }
}

/// The packets whose audio is in a file, each with its samples.
fn packets_in(file: &[u8]) -> BTreeMap<u8, usize> {
    let mut packets = BTreeMap::new();
    for code in file.iter().filter(|&&code| (0x80..0xe4).contains(&code)) {
        *packets.entry(code - 0x80).or_default() += 1;
    }
    packets
}

/// What was said before a telephone-event is in the file, all of it, and what it silences is not more than it lasted.
#[test]
fn what_was_said_before_a_telephone_event_is_recorded() {
    for length in [2, 4, 8, 15] {
        for offset in [0, 6, 14] {
            let mut world = from_telephone(200, &[('1', 40, length), ('5', 70, length)]);
            world.run(200 + offset);
            record_until_five(&mut world, 1);
            while world.digits_of(2).len() < 2 {
                world.run(2);
            }
            world.run(4);
            world.stop_record(2, 1, true);
            world.run(200);
            let what = format!("{length} packets, {offset} ms");
            let packets = packets_in(world.file(1));
            // The first one after a key is faded in; those behind it are stretched until the jitter buffer has its delay again.
            for n in (20..40).chain(40 + u8::try_from(length).unwrap()..70) {
                let samples = packets.get(&n).copied().unwrap_or_default();
                let least = if u32::from(n) == 40 + length { 80 } else { 160 };
                assert!((least..200).contains(&samples), "{what}: packet {n} of {packets:?}");
            }
            // What is made up where a packet lacks is faded out, through their codes.
            assert!(packets.iter().all(|(n, samples)| *n < 70 || *samples < 4), "{what}: {packets:?}");
            let after = world.file(1).iter().rev().take_while(|&&code| code != 0x80 + 69).count() / 8;
            assert!(after <= 20, "{what}: {after} ms after the last packet");
            assert_eq!(ended(&world).0.as_micros(), world.file(1).len() as u128 * 125, "{what}");
        }
    }
}

/// What comes between the command to begin and the end is in the file, all of it and nothing else, however late it is heard:
/// whether it ends by a command or with its leg, and whether somebody listened before.
#[test]
fn a_recording_has_what_was_said_between_its_beginning_and_its_end() {
    for offset in [0, 6, 14] {
        for (is_removed, is_listened_to) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut world = from_telephone(90, &[]);
            if is_listened_to {
                let kinds = [Kind::Beep].into_iter().collect();
                world.command(Command::Detect { leg: LegId(2), kinds, country: None });
            }
            world.run(400 + offset);
            world.record(2, 1, RecordFormat::Mulaw, 60_000);
            world.run(700);
            let last = world.step * 2 / 20;
            if is_removed {
                world.command(Command::RemoveLeg { leg: LegId(2) });
            } else {
                world.stop_record(2, 1, false);
            }
            let what = format!("{offset} ms, removed {is_removed}, listened to {is_listened_to}");
            let (duration, end) = ended(&world);
            assert!(
                duration.abs_diff(Duration::from_millis(700)) <= Duration::from_millis(20),
                "{what}: {duration:?}"
            );
            assert_eq!(end, if is_removed { RecordEnd::LegRemoved } else { RecordEnd::Stopped });
            // Each comes 2 ms after it was sent.
            let packets = packets_in(world.file(1));
            let (first, last) = (20 + u8::from(offset > 2), u8::try_from(last).unwrap());
            for n in first..last {
                assert_eq!(packets.get(&n), Some(&160), "{what}: packet {n} of {packets:?}");
            }
            assert!(packets.keys().all(|n| (first - 1..=last).contains(n)), "{what}: {packets:?}");
        }
    }
}

/// A key that came by an INFO says when it was released, and is not in what is said: nothing is cut off for it.
#[test]
fn a_key_that_was_not_seen_to_begin_cuts_nothing_off() {
    let mut world = from_telephone(90, &[]);
    world.run(400);
    record_until_five(&mut world, 1);
    world.run(700);
    world.stop_record(2, 1, true);
    let (duration, _) = ended(&world);
    assert!(duration.abs_diff(Duration::from_millis(700)) <= Duration::from_millis(20), "{duration:?}");
    let packets = packets_in(world.file(1));
    assert!((20..54).all(|n| packets.get(&n) == Some(&160)), "{packets:?}");
}

/// A finish key that is pressed while the recording begins ends it there.
#[test]
fn a_finish_key_that_was_pressed_before_leaves_nothing() {
    let mut world = from_telephone(200, &[('5', 20, 30)]);
    world.run(500);
    record_until_five(&mut world, 1);
    while world.digits_of(2).is_empty() {
        world.run(2);
    }
    world.stop_record(2, 1, true);
    assert_eq!((ended(&world).0, world.file(1).len()), (Duration::ZERO, 0));
}

/// The file is as long as the clock says up to the key, also of somebody who says nothing, or not all the time.
#[test]
fn a_recording_with_pauses_is_as_long_as_until_its_finish_key() {
    // Packets that are said, then nothing until the key.
    for said in [0, 2, 30, 60] {
        for length in [4, 15] {
            let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
            for (order, (at, bytes)) in (0..).zip(numbered(100, &[('5', 75, length)])) {
                if (at < 20 * said || at >= 75 * 20) && at < 20 * u64::from(75 + length) {
                    world.flying.insert((at / 2 + 1, order), (LegId(2), Channel::Rtp, bytes));
                }
            }
            record_until_five(&mut world, 1);
            while world.digits_of(2).is_empty() {
                world.run(2);
            }
            world.stop_record(2, 1, true);
            let duration = ended(&world).0;
            let what = format!("{said} packets, {length} of the key: {duration:?}");
            assert!(duration.abs_diff(Duration::from_millis(1500)) <= Duration::from_millis(30), "{what}");
        }
    }
}
