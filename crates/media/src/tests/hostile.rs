//! Whatever comes in, nothing panics and nothing grows.

use proptest::prelude::*;

use super::*;

/// An engine whose legs do everything at once.
fn busy() -> World {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 101, LegConfig { detect_tones: true, ..config(Codec::Pcmu) });
    world.add(0, 2, 102, config(Codec::Pcma));
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    world.record(1, 1, RecordFormat::Pcm16, 100_000);
    world
}

fn receive(world: &mut World, channel: Channel, bytes: &[u8]) {
    let now = world.now();
    world.engines[0].receive(now, LegId(1), channel, bytes);
    world.run(4);
}

/// A packet whose fields are any, and likely to be let in.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![8 => Just(0x80u8), 1 => any::<u8>()];
    let payload_type = prop_oneof![4 => Just(0u8), 4 => Just(101u8), 1 => any::<u8>()];
    let rest = (any::<u16>(), any::<u32>(), 0u32..3, proptest::collection::vec(any::<u8>(), 0..500));
    (head, payload_type, rest).prop_map(|(head, payload_type, (sequence, timestamp, ssrc, payload))| {
        let fixed =
            [vec![head, payload_type], sequence.to_be_bytes().to_vec(), timestamp.to_be_bytes().to_vec()];
        [fixed.concat(), ssrc.to_be_bytes().to_vec(), payload].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn r8_bytes_never_panic(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..40)) {
        let mut world = busy();
        for datagram in &datagrams {
            receive(&mut world, Channel::Rtp, datagram);
            receive(&mut world, Channel::Rtcp, datagram);
        }
    }

    #[test]
    fn r8_packets_never_panic(packets in proptest::collection::vec(packet(), 0..80)) {
        let mut world = busy();
        for packet in &packets {
            receive(&mut world, Channel::Rtp, packet);
        }
        world.run(1000);
        // The recording goes by the clock all the same.
        let expected = world.step * 2;
        world.stop_record(1, 1, false);
        let recorded = world.file(1).len() as u64 / 16;
        prop_assert!(recorded.abs_diff(expected) <= 20, "{recorded} of {expected} ms");
    }
}

#[test]
fn r8_what_was_not_negotiated_is_counted_and_dropped() {
    let mut world = busy();
    let mut bytes = [0x20; 172];
    bytes[..12].copy_from_slice(&[0x80, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    receive(&mut world, Channel::Rtp, &bytes);
    receive(&mut world, Channel::Rtp, &bytes[..11]);
    let too_long = [&[0x80, 0][..], &[0; 10], &[0; 481]].concat();
    receive(&mut world, Channel::Rtp, &too_long);
    receive(&mut world, Channel::Rtcp, &[0x80, 200, 0, 9]);
    let longest = [&[0x80, 0][..], &[0; 10], &[0; 480]].concat();
    receive(&mut world, Channel::Rtp, &longest);
    assert_eq!(world.rtp_of(2).len(), 1);
    world.command(Command::RemoveLeg { leg: LegId(1) });
    let Some(Event::LegRemoved { stats, .. }) = world.told().last() else { panic!() };
    assert_eq!((stats.packets_refused, stats.packets_received), (4, 1));
}

#[test]
fn a_flood_of_keys_is_bounded() {
    let mut world = busy();
    let now = world.now();
    for index in 0..200_000u32 {
        let timestamp = (index * 1000).to_be_bytes();
        let [high, low] = u16::try_from(index % 60_000).unwrap().to_be_bytes();
        let [a, b, c, d] = timestamp;
        let bytes = [0x80, 101, high, low, a, b, c, d, 0, 0, 0, 9, 5, 0x80, 0, 160];
        world.engines[0].receive(now, LegId(1), Channel::Rtp, &bytes);
    }
    world.run(20);
    assert!(world.events.len() <= 16_384 + 10, "{}", world.events.len());
    assert!(world.sent.len() <= 16_384 + 10, "{}", world.sent.len());
}
