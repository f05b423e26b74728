//! Streams and reports: late ticks, sources that change, numbers that wrap, RTCP, statistics.

use std::collections::HashMap;

use super::*;
use crate::packet::Packet;

/// Delivers packets of a source that we are not.
fn deliver(world: &mut World, leg: u64, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) {
    deliver_as(0, world, leg, ssrc, sequence, timestamp, payload);
}

fn deliver_as(
    payload_type: u8,
    world: &mut World,
    leg: u64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload: &[u8],
) {
    let mut bytes = Vec::new();
    Packet { payload_type, marker: false, sequence, timestamp, ssrc, payload }.write(&mut bytes);
    let now = world.now();
    world.engines[0].receive(now, LegId(leg), Channel::Rtp, &bytes);
}

/// Delivers comfort noise (RFC 3389) in its fixed payload type.
fn deliver_noise(world: &mut World, leg: u64, sequence: u16, timestamp: u32, level: u8) {
    let mut bytes = Vec::new();
    Packet { payload_type: 13, marker: false, sequence, timestamp, ssrc: 7, payload: &[level] }
        .write(&mut bytes);
    let now = world.now();
    world.engines[0].receive(now, LegId(leg), Channel::Rtp, &bytes);
}

fn single() -> World {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 9, config(Codec::Pcmu));
    world
}

fn stats(world: &mut World, leg: u64) -> LegStats {
    world.command(Command::RemoveLeg { leg: LegId(leg) });
    match world.told().last() {
        Some(Event::LegRemoved { stats, .. }) => *stats,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r5_another_source_is_heard_after_its_second_packet() {
    let mut world = single();
    world.record(1, 1, RecordFormat::Mulaw, 10_000);
    for index in 0..100u16 {
        let (ssrc, sequence, code) =
            if index < 50 { (7, 100 + index, 0x20) } else { (8, 9000 + index, 0x30) };
        deliver(&mut world, 1, ssrc, sequence, u32::from(index) * 160, &[code; 160]);
        world.run(20);
    }
    world.run(200);
    world.stop_record(1, 1, false);
    let count = |code| world.file(1).iter().filter(|&&byte| byte == code).count();
    // At the change what was queued of the old is gone, and the first of the new.
    assert!((48 * 160..=50 * 160).contains(&count(0x20)), "{}", count(0x20));
    // The end is taken for a loss, whose first 10 ms are as loud.
    assert!((49 * 160..=49 * 160 + 100).contains(&count(0x30)), "{}", count(0x30));
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_received, stats.packets_lost), (99, 0));
}

/// A talkspurt, a description of the noise after it, and a second of nothing. 13 is comfort noise by the clock of telephones also
/// where nobody agreed on it (RFC 3551 table 4), unless something else has that number.
#[test]
fn r2_comfort_noise_is_heard_where_its_number_means_nothing_else() {
    let agreed = Some(ComfortNoise { send_payload_type: 13, receive_payload_type: 13 });
    let dynamic = Some(ComfortNoise { send_payload_type: 97, receive_payload_type: 97 });
    let event = TelephoneEvent {
        send_payload_type: 13,
        receive_payload_type: 13,
        events: Events::OURS,
        clock_rate: 8000,
    };
    let noisy = |noise| with(config(Codec::Pcmu), |media| media.comfort_noise = noise);
    let other = with(config(Codec::Pcmu), |media| media.telephone_event = Some(event));
    for (config, is_heard) in
        [(noisy(agreed), true), (noisy(None), true), (noisy(dynamic), true), (other, false)]
    {
        let mut world = World::new(1, 1, Network::default());
        world.add(0, 1, 9, config);
        world.record(1, 1, RecordFormat::Mulaw, 10_000);
        for index in 0..10u16 {
            deliver(&mut world, 1, 7, index, u32::from(index) * 160, &[0x20; 160]);
            world.run(20);
        }
        // 40 dB below the loudest.
        deliver_noise(&mut world, 1, 10, 1600, 40);
        world.run(1000);
        world.stop_record(1, 1, false);
        let file = world.file(1);
        // 0xff and 0x7f are the zeros of mu-law.
        let sounds = file[file.len() - 4000..].iter().filter(|code| **code | 0x80 != 0xff).count();
        assert_eq!(sounds > 3000, is_heard, "{sounds}");
        let stats = stats(&mut world, 1);
        assert_eq!((stats.packets_refused, stats.packets_received), (0, 11));
    }
}

#[test]
fn comfort_noise_by_the_clock_of_telephones_is_not_that_of_another_clock() {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 9, config(Codec::L16Wide));
    for index in 0..10u16 {
        deliver_as(96, &mut world, 1, 7, index, u32::from(index) * 320, &[1; 640]);
    }
    deliver_noise(&mut world, 1, 10, 3200, 40);
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_refused, stats.packets_received, stats.packets_lost), (1, 11, 0));
}

/// 19 is what comfort noise was before it was 13, and some gateways send it unasked. It came, whatever it is, and our
/// reports say so (RFC 3550 A.1, A.3).
#[test]
fn r6_what_was_not_agreed_on_is_not_lost() {
    let mut world = single();
    for index in 0..700u16 {
        let timestamp = u32::from(index) * 160;
        match index % 10 {
            8 | 9 => deliver_as(19, &mut world, 1, 7, index, timestamp, &[0x2d]),
            _ => deliver(&mut world, 1, 7, index, timestamp, &[0x20; 160]),
        }
        world.run(20);
    }
    let reports = world.sent.iter().filter(|sent| sent.channel == Channel::Rtcp);
    // The block of a receiver report (RFC 3550 §6.4.2) is that of the source, with the part that was lost and the number.
    let lost: Vec<&[u8]> = reports.map(|sent| &sent.bytes[12..16]).collect();
    assert!(lost.len() >= 2 && lost.iter().all(|lost| *lost == [0; 4]), "{lost:?}");
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_refused), (700, 0, 140));
    assert!(stats.mos > Some(4.0), "{:?}", stats.mos);
}

/// Audio of fifty packets that differ, each followed by what `beside` delivers.
fn heard_beside(beside: impl Fn(&mut World, u16)) -> LegStats {
    let mut world = single();
    world.record(1, 1, RecordFormat::Mulaw, 10_000);
    let mut expected = Vec::new();
    let mut sequence = 0;
    for index in 0..50u8 {
        let payload = [0x80 + index; 160];
        expected.extend(payload);
        deliver(&mut world, 1, 7, sequence, u32::from(index) * 160, &payload);
        beside(&mut world, sequence);
        sequence += 2;
        world.run(20);
    }
    world.run(200);
    world.stop_record(1, 1, false);
    assert!(find(world.file(1), &expected).is_some(), "nothing is made up between");
    stats(&mut world, 1)
}

/// What keeps a way through a NAT open may be of any payload type, in the sequence of the audio (RFC 6263 §4.6).
#[test]
fn r6_what_was_not_agreed_on_leaves_no_gap_in_what_is_heard() {
    let stats = heard_beside(|world, sequence| deliver_as(77, world, 1, 7, sequence + 1, 0, &[]));
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_refused), (100, 0, 50));
}

/// Of another source, or far off in the sequence, it is nothing: it moves us nowhere and is only counted.
#[test]
fn r2_what_was_not_agreed_on_moves_us_to_no_other_stream() {
    let stats = heard_beside(|world, sequence| {
        deliver_as(77, world, 1, 8, 9000 + sequence, 0, &[1; 160]);
        deliver_as(77, world, 1, 8, 9001 + sequence, 0, &[1; 160]);
        deliver_as(77, world, 1, 7, 30_000 + sequence, 0, &[1; 160]);
        deliver_as(77, world, 1, 7, 30_001 + sequence, 0, &[1; 160]);
        // The one that belongs there.
        deliver_as(77, world, 1, 7, sequence + 1, 0, &[1; 160]);
    });
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_refused), (100, 0, 250));
}

#[test]
fn r5_sequence_and_timestamp_wrap_unheard() {
    let mut world = single();
    world.record(1, 1, RecordFormat::Mulaw, 10_000);
    let mut expected = Vec::new();
    for index in 0..50u16 {
        let payload = [0x80 + u8::try_from(index).unwrap(); 160];
        expected.extend(payload);
        let timestamp = (u32::MAX - 3000).wrapping_add(u32::from(index) * 160);
        deliver(&mut world, 1, 7, 65_520u16.wrapping_add(index), timestamp, &payload);
        world.run(20);
    }
    world.run(200);
    world.stop_record(1, 1, false);
    assert!(find(world.file(1), &expected).is_some());
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_lost, stats.packets_late, stats.bytes_received), (0, 0, 8000));
    assert!(stats.jitter_ms < 3.0, "{}", stats.jitter_ms);
}

#[test]
fn a_late_tick_catches_up_a_bounded_number_of_frames() {
    for (gap_ms, expected) in [(60, 4), (180, 10), (200, 1), (5000, 1)] {
        let mut world = single();
        world.play(1, 1, &[&prompt(Codec::Pcmu, 160_000, 1)], 0);
        world.run(1000);
        let before = world.rtp_of(1).len();
        // The step after the gap has the leg's phase, as a driver that held its phases would come.
        world.step += gap_ms / 2;
        world.run(20);
        let packets = world.rtp_of(1);
        assert_eq!(packets.len() - before, expected, "{gap_ms} ms");
        let passed = packets.last().unwrap().rtp().timestamp().wrapping_sub(packets[0].rtp().timestamp());
        assert_eq!(u64::from(passed), (1000 + gap_ms) * 8, "{gap_ms} ms");
        let numbers: Vec<u16> = packets.iter().map(|packet| packet.rtp().sequence_number().into()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1));
    }
}

#[test]
fn ticks_that_begin_anew_elsewhere_lose_no_frame() {
    // The driver's ticks shift by every number of ms, as after a standstill; each frame still has its packet.
    for shift in 0..10 {
        let mut world = single();
        world.play(1, 1, &[&prompt(Codec::Pcmu, 160_000, 1)], 0);
        world.run(1000);
        let before = world.rtp_of(1).len();
        world.epoch += Duration::from_millis(2 * shift + 1);
        world.run(2000);
        let sent = world.rtp_of(1).len() - before;
        assert!((100..=101).contains(&sent), "shift of {shift}: {sent}");
    }
}

#[test]
fn an_idle_leg_sends_only_reports() {
    let mut world = single();
    world.run(60_000);
    assert_eq!(world.rtp_of(1).len(), 0);
    // 2.5 to 7.5 s apart.
    assert!((8..=24).contains(&world.sent.len()), "{}", world.sent.len());
    assert!(world.sent.iter().all(|sent| sent.bytes[1] == 201), "receiver reports");
    assert!(world.events.is_empty(), "statistics come while packets flow");
}

/// Who sends nothing but what was not negotiated is told with it.
#[test]
fn r8_what_is_refused_is_told_where_nothing_else_comes() {
    let mut world = single();
    for index in 0..50u16 {
        deliver_as(77, &mut world, 1, 7, index, u32::from(index) * 160, &[0x20; 160]);
        world.run(20);
    }
    world.run(1_100);
    let told = world.events.iter().rev().find_map(|(_, event)| match event {
        Event::Stats { leg: LegId(1), stats } => Some((stats.packets_received, stats.packets_refused)),
        _ => None,
    });
    assert_eq!(told, Some((0, 50)));
}

/// Each second packet lost, and the others sent twice.
#[test]
fn r6_duplicates_hide_no_loss() {
    let mut world = single();
    world.record(1, 1, RecordFormat::Mulaw, 10_000);
    for index in 0..200u16 {
        for _ in 0..(index % 2) * 2 {
            deliver(&mut world, 1, 7, index, u32::from(index) * 160, &[0x20; 160]);
        }
        world.run(20);
    }
    let stats = stats(&mut world, 1);
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_late), (200, 99, 0));
    assert!(stats.mos.is_some_and(|mos| mos < 2.0), "{:?}", stats.mos);
}

#[test]
fn both_ends_learn_the_round_trip_and_the_loss() {
    let mut world = World::pair(
        3,
        Network { delay_ms: 20, loss: 0.1, ..Network::default() },
        config(Codec::Pcmu),
        config(Codec::Pcmu),
    );
    for (leg, action) in [(1, 1), (2, 2)] {
        world.play(leg, action, &[&prompt(Codec::Pcmu, 8000, 1)], 1000);
    }
    world.run(60_000);
    let seconds =
        world.events.iter().filter(|(_, event)| matches!(event, Event::Stats { leg: LegId(1), .. })).count();
    assert!((58..=60).contains(&seconds), "{seconds}");
    let (first, second) = (stats(&mut world, 1), stats(&mut world, 2));
    for stats in [first, second] {
        let round_trip = stats.round_trip_ms.unwrap();
        // Twice 2 to 22 ms.
        assert!((3.0..=46.0).contains(&round_trip), "{round_trip}");
        assert!((2990..=3001).contains(&stats.packets_sent));
        let lost = f64::from(i32::try_from(stats.packets_lost).unwrap()) / 3000.0;
        assert!((0.07..0.13).contains(&lost), "{lost}");
        assert!(stats.jitter_ms > 1.0 && stats.jitter_ms < 20.0, "{}", stats.jitter_ms);
    }
    assert!(first.remote_lost.unwrap() > 0 && first.remote_lost.unwrap() <= second.packets_lost);
}

#[test]
fn a_removed_leg_says_bye() {
    let mut world = single();
    world.play(1, 1, &[&prompt(Codec::Pcmu, 160, 1)], 0);
    world.run(100);
    world.command(Command::RemoveLeg { leg: LegId(1) });
    let last = world.sent.last().unwrap();
    let ssrc = world.rtp_of(1)[0].rtp().ssrc();
    assert_eq!(last.channel, Channel::Rtcp);
    assert_eq!(last.bytes[last.bytes.len() - 8..], [&[0x81, 203, 0, 1][..], &ssrc.to_be_bytes()].concat());
}

#[test]
fn r9_a_bye_of_the_peer_ends_nothing() {
    let mut world = single();
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 0);
    deliver(&mut world, 1, 7, 1, 0, &[0x20; 160]);
    let bye = [0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 203, 0, 1, 0, 0, 0, 7];
    let now = world.now();
    world.engines[0].receive(now, LegId(1), Channel::Rtcp, &bye);
    world.run(500);
    assert!(world.told().is_empty());
    assert!(world.rtp_of(1).len() > 20);
}

#[test]
fn r9_a_collision_changes_our_ssrc_once() {
    let mut world = single();
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 10);
    world.run(100);
    // An echo: everything we send comes back.
    for _ in 0..20 {
        let echo = world.rtp_of(1).last().unwrap().bytes.clone();
        let now = world.now();
        world.engines[0].receive(now, LegId(1), Channel::Rtp, &echo);
        world.run(20);
    }
    let mut sources: Vec<u32> = world.rtp_of(1).iter().map(|packet| packet.rtp().ssrc()).collect();
    sources.dedup();
    assert_eq!(sources.len(), 2);
    // RFC 3550 §8.2: a BYE for the old one, before anything under the new one (§6.6: 203, and the source it is for).
    let bye = |sent: &Sent| {
        let mut rest = &sent.bytes[..];
        while let Some(&[_, kind, high, low, a, b, c, d]) = rest.first_chunk() {
            if kind == 203 {
                return Some(u32::from_be_bytes([a, b, c, d]));
            }
            rest = &rest[4 + 4 * usize::from(u16::from_be_bytes([high, low]))..];
        }
        None
    };
    let said: Vec<u32> =
        world.sent.iter().filter(|sent| sent.channel == Channel::Rtcp).filter_map(bye).collect();
    assert_eq!(said, sources[..1], "once");
    let place = |is: &dyn Fn(&Sent) -> bool| world.sent.iter().position(is);
    let renewed = place(&|sent| sent.channel == Channel::Rtp && sent.rtp().ssrc() == sources[1]);
    assert!(place(&|sent| sent.channel == Channel::Rtcp && bye(sent).is_some()) < renewed);
    assert!(stats(&mut world, 1).packets_received >= 18, "an echo is heard");
}

/// RFC 3550 §6.4.1: the counts of sender reports begin anew with another SSRC; those of the leg do not.
#[test]
fn r9_after_a_collision_reports_count_what_went_out_since() {
    let mut world = single();
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 30);
    world.run(6_000);
    let echo = world.rtp_of(1).last().unwrap().bytes.clone();
    let now = world.now();
    world.engines[0].receive(now, LegId(1), Channel::Rtp, &echo);
    world.run(10_000);
    let (mut sent, mut reports) = (HashMap::<u32, u32>::new(), 0);
    for packet in &world.sent {
        let word = |at: usize| u32::from_be_bytes(packet.bytes[at..at + 4].try_into().unwrap());
        if packet.channel == Channel::Rtp {
            *sent.entry(packet.rtp().ssrc()).or_default() += 1;
        } else if packet.bytes[1] == 200 {
            let packets = sent[&word(4)];
            assert_eq!((word(20), word(24)), (packets, 160 * packets), "after {reports} reports");
            reports += 1;
        }
    }
    assert!(sent.len() == 2 && reports >= 3, "{sent:?}, {reports}");
    assert_eq!(stats(&mut world, 1).packets_sent, u64::from(sent.values().sum::<u32>()));
}

#[test]
fn a_phase_is_filled_before_the_next_is_begun_and_then_they_are_evened_out() {
    let mut world = World::new(1, 1, Network::default());
    let phases = |world: &World| -> Vec<usize> {
        (0..PHASES).map(|phase| world.engines[0].legs_of(phase).count()).collect()
    };
    let add = |world: &mut World, legs: std::ops::RangeInclusive<u64>| {
        for leg in legs.map(LegId) {
            let now = world.now();
            world.engines[0].command(now, Command::AddLeg { leg, config: config(Codec::Pcmu) });
        }
    };
    add(&mut world, 1..=880);
    assert_eq!(phases(&world), [400, 0, 0, 400, 0, 0, 80, 0, 0, 0]);
    for leg in (1..=30).map(LegId) {
        let now = world.now();
        world.engines[0].command(now, Command::RemoveLeg { leg });
    }
    add(&mut world, 881..=910);
    assert_eq!(phases(&world), [400, 0, 0, 400, 0, 0, 80, 0, 0, 0], "room in the first is used first");
    add(&mut world, 911..=4040);
    assert_eq!(phases(&world), [401; 10]);
}

#[test]
fn legs_that_compute_fill_a_phase_sooner() {
    let mut world = World::new(1, 1, Network::default());
    for leg in (1..=100).map(LegId) {
        let now = world.now();
        world.engines[0].command(now, Command::AddLeg { leg, config: config(Codec::G722) });
    }
    let legs: Vec<usize> = (0..PHASES).map(|phase| world.engines[0].legs_of(phase).count()).collect();
    assert_eq!(legs, [80, 0, 0, 20, 0, 0, 0, 0, 0, 0]);
}
