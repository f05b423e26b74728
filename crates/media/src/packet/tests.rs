//! Packets as they are on the wire, and the books of streams with wraps, jumps, duplicates and other sources.

use super::*;

#[test]
fn a_packet_as_on_the_wire() {
    // RFC 3550 §5.1, built by hand: V=2, M, PT 8, sequence 258, timestamp 16, SSRC 0x01020304.
    let bytes = [0x80, 0x88, 1, 2, 0, 0, 0, 16, 1, 2, 3, 4, 0xd5, 0xd5];
    let packet = Packet {
        payload_type: 8,
        marker: true,
        sequence: 258,
        timestamp: 16,
        ssrc: 0x0102_0304,
        payload: &[0xd5, 0xd5],
    };
    assert_eq!(Packet::parse(&bytes), Some(packet));
    let mut written = Vec::new();
    packet.write(&mut written);
    assert_eq!(written, bytes);
}

#[test]
fn r8_packets_that_do_not_fit_are_refused() {
    let header = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    let with = |first: u8, rest: &[u8]| [&[first][..], &header[1..], rest].concat();
    for (bytes, why) in [
        (header[..11].to_vec(), "short"),
        (with(0x40, &[]), "version 1"),
        (with(0x8f, &[0; 56]), "15 CSRC in 56 bytes"),
        (with(0x90, &[0, 0, 0, 2, 0, 0, 0, 0]), "extension of 8 bytes in 4"),
        (with(0xa0, &[0]), "padding of 0"),
        (with(0xa0, &[1, 3]), "padding of 3 in 2"),
        (with(0xa0, &[]), "padding in nothing"),
    ] {
        assert_eq!(Packet::parse(&bytes), None, "{why}");
    }
    let padded = with(0xa0, &[7, 8, 0, 2]);
    assert_eq!(Packet::parse(&padded).unwrap().payload, [7, 8]);
}

#[test]
fn r5_loss_across_the_wrap() {
    let mut receiver = Receiver::default();
    assert_eq!(receiver.arrive(1, 65_534), Arrival::Restart((1 << 16) + 65_534));
    assert_eq!(receiver.arrive(1, 65_535), Arrival::InSequence((1 << 16) + 65_535));
    assert_eq!(receiver.arrive(1, 1), Arrival::InSequence((2 << 16) + 1));
    assert_eq!(receiver.lost(), 1);
    assert_eq!(receiver.arrive(1, 0), Arrival::InSequence(2 << 16));
    assert_eq!((receiver.lost(), receiver.received()), (0, 4));
    assert_eq!(receiver.arrive(1, 0), Arrival::InSequence(2 << 16));
    assert_eq!((receiver.lost(), receiver.received()), (0, 5), "it was there");
    let report = receiver.report().unwrap();
    assert_eq!(report.lost, -1, "a duplicate counts as received (A.3)");
}

#[test]
fn a_report_has_the_loss_since_the_last() {
    let mut receiver = Receiver::default();
    for sequence in [0, 1, 2, 7] {
        receiver.arrive(9, sequence);
    }
    let report = receiver.report().unwrap();
    // 4 of 8 lost: 128/256.
    assert_eq!((report.fraction_lost, report.lost, report.highest), (128, 4, 7));
    receiver.arrive(9, 8);
    let report = receiver.report().unwrap();
    assert_eq!((report.fraction_lost, report.lost), (0, 4));
}

#[test]
fn r5_a_jump_needs_two_packets() {
    let mut receiver = Receiver::default();
    receiver.arrive(1, 100);
    assert_eq!(receiver.arrive(1, 5000), Arrival::Probation);
    assert_eq!(receiver.arrive(1, 101), Arrival::InSequence((1 << 16) + 101));
    assert_eq!(receiver.arrive(1, 5000), Arrival::Probation);
    assert_eq!(receiver.arrive(1, 5001), Arrival::Restart((1 << 16) + 5001));
    assert_eq!(receiver.lost(), 0);
    assert_eq!(receiver.arrive(1, 5001 + 2999), Arrival::InSequence((1 << 16) + 8000));
    assert_eq!(receiver.arrive(1, 8000 - 100), Arrival::InSequence((1 << 16) + 7900));
    assert_eq!(receiver.arrive(1, 8000 - 101), Arrival::Probation);
}

#[test]
fn r5_another_source_is_believed_when_the_present_one_is_silent() {
    let mut receiver = Receiver::default();
    receiver.arrive(1, 10);
    assert_eq!(receiver.arrive(2, 500), Arrival::Probation);
    receiver.arrive(1, 11);
    assert_eq!(receiver.arrive(2, 501), Arrival::Probation);
    assert_eq!(receiver.arrive(2, 502), Arrival::Restart((1 << 16) + 502));
    assert_eq!(receiver.arrive(2, 503), Arrival::InSequence((1 << 16) + 503));
}

/// `cycles` of RFC 3550 A.1 is 0 for each new source, and counts the turns of its own numbers.
#[test]
fn a_report_counts_the_cycles_of_its_source_only() {
    let mut receiver = Receiver::default();
    let mut highest_of = |ssrc, from: u16| {
        for step in 0..300 {
            receiver.arrive(ssrc, from.wrapping_add(step));
        }
        receiver.report().map(|report| report.highest)
    };
    assert_eq!(highest_of(1, 50_000), Some(50_299));
    assert_eq!(highest_of(2, 40_000), Some(40_299));
    assert_eq!(highest_of(3, 65_500), Some(65_799));
    assert_eq!(highest_of(4, 10), Some(309));
}

#[test]
fn what_the_first_packet_overtook_makes_up_for_no_loss() {
    let mut receiver = Receiver::default();
    for (sequence, lost, lost_in_report) in [(11, 0, 0), (10, 0, -1), (10, 0, -2), (12, 0, -2), (14, 1, -1)] {
        receiver.arrive(1, sequence);
        assert_eq!(receiver.lost(), lost, "{sequence}");
        assert_eq!(receiver.report().unwrap().lost, lost_in_report, "{sequence}");
    }
    // Of another source it begins anew, and what was lost of the first stays so.
    for sequence in [499, 500, 499] {
        receiver.arrive(2, sequence);
    }
    assert_eq!(receiver.lost(), 1);
}

#[test]
fn jitter_of_a_constant_alternation() {
    // Every second packet 8 samples late: |D| is 8 each time, and J approaches 8 by sixteenths (A.8).
    let mut receiver = Receiver::default();
    receiver.arrive(1, 0);
    let mut expected = 0.0;
    for index in 0..50u32 {
        receiver.timing(index * 160 + (index % 2) * 8, index * 160, 8000);
        if index > 0 {
            expected += (8.0 - expected) / 16.0;
        }
    }
    assert!((receiver.jitter() - expected).abs() < 1e-9);
    assert!(receiver.jitter() > 7.5);
    // Whoever jumps in his timestamps has another timeline now, and no network took so long.
    for index in 50..60u32 {
        receiver.timing(index * 160 + (index % 2) * 8, index * 160 + 10_000_000, 8000);
    }
    assert!(receiver.jitter() < 8.0);
}

#[test]
fn own_packets_follow_and_pauses_are_marked() {
    let mut sender = Sender::new(5, 65_535, u32::MAX - 159);
    let first = sender.audio(0, 160);
    assert_eq!(first, Numbers { sequence: 65_535, timestamp: u32::MAX - 159, marker: true, ssrc: 5 });
    let second = sender.audio(163, 160);
    assert_eq!(second, Numbers { sequence: 0, timestamp: 0, marker: false, ssrc: 5 });
    sender.pause();
    let third = sender.audio(1600, 160);
    assert_eq!(third, Numbers { sequence: 1, timestamp: 1440, marker: true, ssrc: 5 });
}

#[test]
fn relayed_packets_keep_their_order_gaps_and_timing() {
    let packet = |sequence, timestamp| Packet {
        payload_type: 0,
        marker: false,
        sequence,
        timestamp,
        ssrc: 77,
        payload: &[],
    };
    let mut sender = Sender::new(5, 100, 1000);
    let mut relay = |place, sequence, timestamp| {
        let numbers = sender.relay(0, place, &packet(sequence, timestamp), 160)?;
        Some((numbers.sequence, numbers.timestamp, numbers.marker))
    };
    assert_eq!(relay(10, 9000, 50), Some((100, 1000, true)));
    assert_eq!(relay(13, 9003, 530), Some((103, 1480, false)));
    assert_eq!(relay(12, 9002, 370), Some((102, 1320, false)));
    assert_eq!(relay(9, 8999, u32::MAX), None);
    // Our own packet then comes after the furthest, in number and in time.
    assert_eq!(sender.audio(0, 160), Numbers { sequence: 104, timestamp: 1640, marker: true, ssrc: 5 });
}
