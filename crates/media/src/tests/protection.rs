//! Legs whose media is protected (SRTP), and what else comes to a media port: forged packets, replays, other protocols, and
//! RTCP on the port of RTP.

use super::*;
use crate::srtp::{Keys, MasterKey, Suite};

fn key(suite: Suite, seed: u8) -> MasterKey {
    MasterKey::new(suite, &vec![seed; suite.master()]).unwrap()
}

/// One side's keys; the other side has them the other way round.
fn keys(suite: Suite, ours: u8, theirs: u8) -> Option<Keys> {
    Some(Keys::new(key(suite, ours), key(suite, theirs)))
}

fn protected(suite: Suite, ours: u8, theirs: u8) -> LegConfig {
    with(config(Codec::Pcmu), |media| media.keys = keys(suite, ours, theirs))
}

fn pair(suite: Suite) -> World {
    World::pair(1, Network::default(), protected(suite, 1, 2), protected(suite, 2, 1))
}

fn update(world: &mut World, leg: u64, to: u64, config: LegConfig) {
    let config = with(config, |media| (media.remote_rtp, media.remote_rtcp) = (address(to), address(to)));
    world.command(Command::UpdateLeg { leg: LegId(leg), config });
}

fn stats(world: &mut World, leg: u64) -> LegStats {
    world.command(Command::RemoveLeg { leg: LegId(leg) });
    match world.told().last() {
        Some(Event::LegRemoved { stats, .. }) => *stats,
        other => panic!("{other:?}"),
    }
}

fn receive(world: &mut World, leg: u64, channel: Channel, bytes: &[u8]) {
    let now = world.now();
    let home = world.homes[&LegId(leg)];
    world.engines[home].receive(now, LegId(leg), channel, bytes);
    world.drain();
}

#[test]
fn what_is_said_is_heard_and_cannot_be_read_on_the_way() {
    for suite in Suite::ALL {
        let mut world = pair(suite);
        let prompt = prompt(Codec::Pcmu, 8000, 3);
        world.record(2, 2, RecordFormat::Mulaw, 60_000);
        world.play(1, 1, &[&prompt], 0);
        world.send_digits(2, 3, "5");
        world.run(20_000);
        assert!(find(world.file(2), payload(&prompt)).is_some(), "{suite:?}");
        assert_eq!(world.digits_of(1), [('5', DigitSource::Rfc4733)]);
        let tag = if suite == Suite::AesCm128HmacSha1_32 {
            4
        } else if suite.master() == 30 {
            10
        } else {
            16
        };
        let packets = world.rtp_of(1);
        assert_eq!(packets.len(), 50);
        for (packet, plain) in packets.iter().zip(payload(&prompt).chunks(160)) {
            assert_eq!(packet.bytes.len(), 12 + 160 + tag);
            assert_eq!(packet.rtp().payload_type(), 0, "the header is in the clear");
            // Equal bytes are chance.
            let equal = packet.bytes[12..].iter().zip(plain).filter(|(secret, plain)| secret == plain);
            assert!(equal.count() < 10);
        }
        let stats = stats(&mut world, 2);
        assert_eq!((stats.packets_received, stats.packets_refused, stats.packets_lost), (50, 0, 0));
        assert!(stats.round_trip_ms.is_some(), "{suite:?}: reports are read");
    }
}

#[test]
fn a_protected_leg_and_one_in_the_clear_are_connected() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut world = World::new(3, 1, Network::default());
    world.add(0, 1, 2, protected(suite, 1, 2));
    world.add(1, 2, 1, protected(suite, 2, 1));
    world.add(1, 3, 4, config(Codec::Pcmu));
    world.add(2, 4, 3, config(Codec::Pcmu));
    world.command(Command::Connect {
        first: LegId(2),
        second: LegId(3),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    let (there, back) = (prompt(Codec::Pcmu, 16_000, 3), prompt(Codec::Pcmu, 16_000, 4));
    world.record(4, 4, RecordFormat::Mulaw, 60_000);
    world.record(1, 5, RecordFormat::Mulaw, 60_000);
    world.play(1, 1, &[&there], 0);
    world.play(4, 2, &[&back], 0);
    world.run(3000);
    assert!(find(world.file(4), payload(&there)).is_some());
    assert!(find(world.file(5), payload(&back)).is_some());
}

/// Eleven minutes: the sequence number, which begins below the middle, has turned at least once.
#[test]
fn r5_a_long_call_goes_on_when_the_sequence_number_turns() {
    let mut world = pair(Suite::AeadAes128Gcm);
    world.play(1, 1, &[&prompt(Codec::Pcmu, 80_000, 3)], 200);
    world.run(1_330_000);
    let packets = world.rtp_of(1);
    assert!(u16::from(packets[0].rtp().sequence_number()) < 0x8000);
    let sent = packets.len() as u64;
    assert!(sent > 1 << 16);
    let stats = stats(&mut world, 2);
    assert_eq!(stats.packets_refused, 0);
    assert!(stats.packets_received.abs_diff(sent) <= 2, "{} of {sent}", stats.packets_received);
}

// ---- Packets that are not the peer's ----------------------------------------------------------------------------

/// CVE-2021-41105: whoever sent a hundred bad packets ended the call.
#[test]
fn r3_a_flood_of_forged_packets_is_counted_and_changes_nothing() {
    for suite in Suite::ALL {
        let watched = |ours, theirs| LegConfig {
            silent_after: Some(Duration::from_secs(30)),
            unheard_limit: Some(Duration::from_secs(1)),
            ..protected(suite, ours, theirs)
        };
        let mut world = World::new(1, 1, Network::default());
        world.add(0, 1, 101, watched(1, 2));
        world.play(1, 1, &[&prompt(Codec::Pcmu, 80_000, 3)], 10);
        for index in 0..20_000_u32 {
            let [.., high, low] = index.to_be_bytes();
            let rtp = [&[0x80, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0x55; 170]].concat();
            receive(&mut world, 1, Channel::Rtp, &rtp);
            let rtcp = [&[0x80, 201, 0, 7, 0, 0, 0, 9][..], &[0x80; 40]].concat();
            receive(&mut world, 1, Channel::Rtcp, &rtcp);
            if index % 10 == 0 {
                world.run(20);
            }
        }
        // It was silence all the while, and no address has been heard of.
        let told = world.told();
        assert_eq!(told, [&Event::Silent { leg: LegId(1) }], "{suite:?}");
        assert_eq!(world.rtp_of(1).len(), 50, "a second to where nothing came from");
        let stats = stats(&mut world, 1);
        // Each has a count of its own: none of them is malformed.
        assert_eq!((stats.packets_not_authentic, stats.packets_refused), (40_000, 0), "{suite:?}");
        assert_eq!(stats.packets_received, 0);
        assert_eq!((stats.packets_lost, stats.jitter_ms, stats.round_trip_ms), (0, 0.0, None));
    }
}

#[test]
fn r3_packets_in_the_clear_are_not_taken_where_keys_are_agreed_on() {
    let mut world = pair(Suite::AesCm128HmacSha1_80);
    world.record(1, 1, RecordFormat::Mulaw, 10_000);
    for index in 0..50_u8 {
        let rtp = [&[0x80, 0, 0, index, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0x55; 160]].concat();
        receive(&mut world, 1, Channel::Rtp, &rtp);
        world.run(20);
    }
    world.stop_record(1, 1, false);
    assert!(!world.file(1).contains(&0x55));
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_not_authentic, stats.packets_refused), (50, 0));
}

#[test]
fn r3_a_replay_is_not_heard_again() {
    let mut world = pair(Suite::AesCm128HmacSha1_32);
    world.send_digits(1, 1, "7");
    world.run(1000);
    let replay: Vec<_> = world.rtp_of(1).iter().map(|sent| sent.bytes.clone()).collect();
    for _ in 0..3 {
        for packet in &replay {
            receive(&mut world, 2, Channel::Rtp, packet);
        }
        world.run(1000);
    }
    assert_eq!(world.digits_of(2), [('7', DigitSource::Rfc4733)]);
    let stats = stats(&mut world, 2);
    assert_eq!(stats.packets_received, replay.len() as u64);
    assert_eq!((stats.packets_refused, stats.packets_not_authentic), (3 * replay.len() as u64, 0));
}

// ---- Keys that change -------------------------------------------------------------------------------------------

#[test]
fn a_new_agreement_keeps_changes_and_drops_keys() {
    let suite = Suite::AeadAes256Gcm;
    let mut world = pair(suite);
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 3)], 100);
    let changes = [
        (protected(suite, 1, 2), protected(suite, 2, 1)),
        (protected(suite, 3, 2), protected(suite, 2, 3)),
        (protected(Suite::AesCm128HmacSha1_80, 5, 6), protected(Suite::AesCm128HmacSha1_80, 6, 5)),
        (config(Codec::Pcmu), config(Codec::Pcmu)),
        (protected(suite, 7, 8), protected(suite, 8, 7)),
    ];
    for (here, there) in changes {
        world.run(1000);
        update(&mut world, 1, 2, here);
        update(&mut world, 2, 1, there);
    }
    world.run(1000);
    let sent = world.rtp_of(1).len() as u64;
    let stats = stats(&mut world, 2);
    // One packet may be on its way at each change that takes protection away or brings it.
    assert!(stats.packets_received >= sent - 4, "{} of {sent}", stats.packets_received);
    let refused = stats.packets_refused + stats.packets_not_authentic;
    assert!(refused <= 3, "{refused}");
}

// ---- One port ---------------------------------------------------------------------------------------------------

#[test]
fn reports_share_the_port_of_rtp_where_that_is_agreed_on() {
    let suite = Suite::AesCm128HmacSha1_80;
    for keys in [[None, None], [keys(suite, 1, 2), keys(suite, 2, 1)]] {
        let mux = |keys| with(config(Codec::Pcmu), |media| (media.keys, media.rtcp_mux) = (keys, true));
        let mut world = World::pair(1, Network::default(), mux(keys[0]), mux(keys[1]));
        for leg in [1, 2] {
            world.play(leg, leg, &[&prompt(Codec::Pcmu, 8000, 3)], 100);
        }
        world.run(30_000);
        assert!(world.sent.iter().all(|sent| sent.channel == Channel::Rtp));
        let stats = stats(&mut world, 2);
        assert!(stats.round_trip_ms.is_some());
        assert_eq!((stats.packets_refused, stats.packets_not_authentic, stats.packets_lost), (0, 0, 0));
    }
}

/// Without an agreement a report on the port of RTP is nothing.
#[test]
fn r2_reports_on_the_port_of_rtp_are_refused_where_that_is_not_agreed_on() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    receive(&mut world, 1, Channel::Rtp, &[0x80, 201, 0, 1, 0, 0, 0, 9]);
    assert_eq!(stats(&mut world, 1).packets_refused, 1);
}

// ---- Other protocols --------------------------------------------------------------------------------------------

/// What WebRTC and others send to media ports (RFC 7983 §7): none of it is answered, believed or a sign of life.
#[test]
fn r4_what_is_neither_rtp_nor_rtcp_is_dropped_and_counted() {
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let dtls = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 1][..], &[0; 99]].concat();
    let zrtp = [&[0x10, 0, 0, 1][..], b"ZRTP", &[0; 120]].concat();
    let channel_data = [&[0x40, 0, 0, 160][..], &[0x55; 160]].concat();
    let quic = [&[0xc3, 0, 0, 0, 1][..], &[0; 1195]].concat();
    let others: [&[u8]; 9] = [
        &stun,
        &dtls,
        &zrtp,
        &channel_data,
        &quic,
        b"",
        b"\0",
        b"\r\n\r\n",
        b"OPTIONS sip:x SIP/2.0\r\n\r\n",
    ];
    let suite = Suite::AesCm128HmacSha1_80;
    for (keys, rtcp_mux) in
        [(None, false), (None, true), (keys(suite, 1, 2), false), (keys(suite, 1, 2), true)]
    {
        let mut world = World::new(1, 1, Network::default());
        let watched = LegConfig { silent_after: Some(Duration::from_secs(30)), ..config(Codec::Pcmu) };
        world.add(0, 1, 101, with(watched, |media| (media.keys, media.rtcp_mux) = (keys, rtcp_mux)));
        world.run(29_000);
        for other in others {
            receive(&mut world, 1, Channel::Rtp, other);
            receive(&mut world, 1, Channel::Rtcp, other);
        }
        world.run(2000);
        assert_eq!(world.told(), [&Event::Silent { leg: LegId(1) }]);
        assert!(world.rtp_of(1).iter().all(|sent| sent.bytes[1] == 201), "no answer but our own reports");
        let stats = stats(&mut world, 1);
        assert_eq!((stats.packets_refused + stats.packets_not_authentic, stats.packets_received), (18, 0));
    }
}
