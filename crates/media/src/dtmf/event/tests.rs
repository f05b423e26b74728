//! RFC 4733 by its own examples and by what networks do to it.

use std::time::{Duration, Instant};

use super::{EventClocks, EventPacket, EventPayload, EventReceiver, EventSender};
use crate::dtmf::{Key, KeyEvent};

#[allow(clippy::disallowed_methods, reason = "an epoch for a clock that the test owns")]
fn epoch() -> Instant {
    Instant::now()
}

/// Events beside audio of the same clock.
fn one(clock: u32) -> EventClocks {
    EventClocks::new(clock, clock)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn key(char: char) -> Key {
    Key::from_char(char).unwrap()
}

fn start(char: char) -> KeyEvent {
    KeyEvent::Start(key(char))
}

fn end(char: char, ticks: u64) -> KeyEvent {
    KeyEvent::End { key: key(char), duration: Duration::from_micros(ticks * 125) }
}

/// The wire form, written by hand: event, E and volume, duration.
fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
    let [high, low] = duration.to_be_bytes();
    [event, if end { 0x8a } else { 0x0a }, high, low]
}

/// Packets as (milliseconds, timestamp, event, end, duration), and all that the receiver told of them.
fn told(packets: &[(u64, u32, u8, bool, u16)]) -> Vec<KeyEvent> {
    let epoch = epoch();
    let mut receiver = EventReceiver::new(one(8000));
    let mut told = Vec::new();
    for &(at, timestamp, event, end, duration) in packets {
        let now = epoch + ms(at);
        told.extend(receiver.handle_timeout(now));
        told.extend(receiver.receive(now, timestamp, &payload(event, end, duration)));
    }
    told.extend(receiver.handle_timeout(epoch + ms(1_000_000)));
    told
}

/// All packets of one press.
fn sent(char: char, millis: u64, timestamp: u32, packet_millis: u64) -> Vec<EventPacket> {
    sent_at(one(8000), char, millis, timestamp, packet_millis)
}

/// All packets of one press, by other clocks.
fn sent_at(
    clocks: EventClocks,
    char: char,
    millis: u64,
    timestamp: u32,
    packet_millis: u64,
) -> Vec<EventPacket> {
    let mut sender = EventSender::new(key(char), ms(millis), timestamp, clocks, ms(packet_millis));
    std::iter::from_fn(|| sender.poll()).collect()
}

#[test]
fn a_payload_is_laid_out_as_in_section_2_3() {
    let five_at_minus_ten_dbm0 = EventPayload { event: 5, end: true, volume: 10, duration: 1600 };
    assert_eq!(five_at_minus_ten_dbm0.to_bytes(), [0x05, 0x8a, 0x06, 0x40]);
    assert_eq!(EventPayload::parse(&[0x05, 0x8a, 0x06, 0x40]), Some(five_at_minus_ten_dbm0));
    // The reserved bit "MUST be ignored on reception"; what follows the block too.
    assert_eq!(EventPayload::parse(&[0x05, 0xca, 0x06, 0x40, 0xff]), Some(five_at_minus_ten_dbm0));
    assert_eq!(EventPayload::parse(&[0x05, 0x8a, 0x06]), None);
    assert_eq!(EventPayload::parse(&[]), None);
}

#[test]
fn dialling_911_as_in_section_5() {
    // The example sends each 50 ms; the 9 is pressed from 0 to 200 ms, the first 1 from 880 to 1130 ms (timestamp 7040).
    let fields = |packets: &[EventPacket]| -> Vec<(bool, u32, u8, bool, u16)> {
        let parse = |p: &EventPacket| EventPayload::parse(&p.payload).unwrap();
        packets
            .iter()
            .map(|p| (p.marker, p.timestamp, parse(p).event, parse(p).end, parse(p).duration))
            .collect()
    };
    assert_eq!(
        fields(&sent('9', 200, 0, 50)),
        [
            (true, 0, 9, false, 400),
            (false, 0, 9, false, 800),
            (false, 0, 9, false, 1200),
            (false, 0, 9, true, 1600),
            (false, 0, 9, true, 1600),
            (false, 0, 9, true, 1600),
        ]
    );
    let one = fields(&sent('1', 250, 7040, 50));
    assert_eq!(one.iter().map(|p| p.4).collect::<Vec<_>>(), [400, 800, 1200, 1600, 2000, 2000, 2000]);
    assert!(one.iter().all(|p| p.1 == 7040 && p.2 == 1));
}

#[test]
fn a_press_that_is_no_multiple_of_the_packet_time_ends_with_its_own_duration() {
    let durations: Vec<u16> =
        sent('5', 45, 0, 20).iter().map(|p| EventPayload::parse(&p.payload).unwrap().duration).collect();
    assert_eq!(durations, [160, 320, 360, 360, 360]);
}

#[test]
fn r7_a_press_is_told_once_through_updates_and_three_ends() {
    let packets = [
        (20, 1000, 5, false, 160),
        (40, 1000, 5, false, 320),
        (60, 1000, 5, true, 480),
        (80, 1000, 5, true, 480),
        (100, 1000, 5, true, 480),
    ];
    assert_eq!(told(&packets), [start('5'), end('5', 480)]);
    // Any single packet is enough.
    for packet in packets {
        assert_eq!(told(&[packet]), [start('5'), end('5', u64::from(packet.4))]);
    }
}

#[test]
fn r7_lost_ends_release_the_key_200_ms_after_the_last_packet() {
    let epoch = epoch();
    let mut receiver = EventReceiver::new(one(8000));
    assert_eq!(receiver.receive(epoch, 7, &payload(11, false, 160)), [start('#')]);
    assert_eq!(receiver.receive(epoch + ms(20), 7, &payload(11, false, 320)), []);
    assert_eq!(receiver.poll_timeout(), Some(epoch + ms(220)));
    assert_eq!(receiver.handle_timeout(epoch + ms(219)), None);
    assert_eq!(receiver.handle_timeout(epoch + ms(220)), Some(end('#', 320)));
    assert_eq!(receiver.poll_timeout(), None);
    // What still comes of that press is no new one.
    assert_eq!(receiver.receive(epoch + ms(300), 7, &payload(11, true, 480)), []);
}

#[test]
fn r7_the_next_press_ends_one_whose_ends_were_lost() {
    let packets = [(20, 0, 1, false, 160), (120, 800, 1, false, 160), (140, 800, 1, true, 320)];
    assert_eq!(told(&packets), [start('1'), end('1', 160), start('1'), end('1', 320)]);
}

#[test]
fn r7_reordered_packets_neither_shorten_nor_repeat_a_press() {
    let packets = [
        (20, 0, 2, false, 320),
        (21, 0, 2, false, 160),
        (60, 0, 2, true, 640),
        (61, 0, 2, false, 480),
        (80, 800, 3, false, 160),
        (81, 0, 2, true, 640),
        (90, 800, 3, true, 320),
        (91, 0, 2, true, 640),
    ];
    assert_eq!(told(&packets), [start('2'), end('2', 640), start('3'), end('3', 320)]);
}

#[test]
fn r7_a_timestamp_that_wraps_is_a_later_one() {
    let packets =
        [(20, 0xffff_ff00, 4, true, 160), (120, 544, 4, true, 160), (121, 0xffff_ff00, 4, true, 160)];
    assert_eq!(told(&packets), [start('4'), end('4', 160), start('4'), end('4', 160)]);
}

#[test]
fn a_new_timeline_is_not_mistaken_for_a_late_packet() {
    let packets = [(20, 3_000_000_000, 4, true, 160), (500, 2_000_000_000, 6, true, 160)];
    assert_eq!(told(&packets), [start('4'), end('4', 160), start('6'), end('6', 160)]);
}

#[test]
fn events_that_are_no_keys_change_nothing() {
    let flash_and_fax =
        [(20, 0, 8, false, 160), (30, 80, 16, true, 80), (31, 90, 36, false, 80), (40, 0, 8, true, 320)];
    assert_eq!(told(&flash_and_fax), [start('8'), end('8', 320)]);
}

#[test]
fn r7_a_long_press_goes_on_in_segments() {
    // §2.5.1.3: no end bit and no marker at 0xffff; the next segment's timestamp is where the last one ended.
    let packets = sent('0', 20_000, 1000, 20);
    assert_eq!(packets.iter().filter(|p| p.marker).count(), 1);
    let first_of_segment: Vec<u32> =
        packets.chunk_by(|a, b| a.timestamp == b.timestamp).map(|segment| segment[0].timestamp).collect();
    assert_eq!(first_of_segment, [1000, 1000 + 0xffff, 1000 + 2 * 0xffff]);
    let full = packets.iter().filter(|p| p.payload == [0, 8, 0xff, 0xff]).count();
    assert_eq!(full, 2);
    let ends: Vec<[u8; 4]> =
        packets.iter().map(|p| p.payload).filter(|payload| payload[1] & 0x80 != 0).collect();
    // 160,000 ticks less two segments are 28,930 = 0x7102.
    assert_eq!(ends, [[0, 0x88, 0x71, 0x02]; 3]);
    // One packet each 20 ms: 1,000 and two more ends.
    assert_eq!(packets.len(), 1002);

    let epoch = epoch();
    let mut receiver = EventReceiver::new(one(8000));
    let mut told = Vec::new();
    for (packet, at) in packets.iter().zip((20..).step_by(20)) {
        told.extend(receiver.handle_timeout(epoch + ms(at)));
        told.extend(receiver.receive(epoch + ms(at), packet.timestamp, &packet.payload));
    }
    assert_eq!(told, [start('0'), end('0', 160_000)]);
}

#[test]
fn r7_a_duration_that_wraps_instead_of_a_segment_is_counted_on() {
    let packets = [
        (20, 0, 9, false, 65_000),
        (40, 0, 9, false, 65_400),
        (60, 0, 9, false, 264),
        (61, 0, 9, false, 65_500),
        (80, 0, 9, true, 464),
    ];
    assert_eq!(told(&packets), [start('9'), end('9', 66_000)]);
}

#[test]
fn a_new_ssrc_releases_the_key_and_begins_a_new_timeline() {
    let now = epoch();
    let mut receiver = EventReceiver::new(one(8000));
    assert_eq!(receiver.receive(now, 5000, &payload(1, false, 160)), [start('1')]);
    assert_eq!(receiver.reset(), Some(end('1', 160)));
    assert_eq!(receiver.reset(), None);
    assert_eq!(receiver.receive(now, 4000, &payload(1, true, 160)), [start('1'), end('1', 160)]);
}

/// Random presses through a network that loses, duplicates and delays by up to 60 ms, so that packets of neighbours cross:
/// every press that was heard of before a later one is told once, and starts and ends alternate.
#[test]
fn r7_presses_survive_loss_duplication_and_reordering() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut wire = Vec::new();
        for press in 0..8u32 {
            let char = char::from(b"0123456789*#ABCD"[random.usize(..16)]);
            for (n, packet) in sent(char, 100, press * 1280, 20).into_iter().enumerate() {
                let at = u64::from(press) * 160 + 20 * (n as u64 + 1);
                for _ in 0..random.usize(..4).min(2) {
                    wire.push((at + random.u64(..60), packet));
                }
            }
        }
        wire.sort_by_key(|&(at, _)| at);
        let mut expected: Vec<(u32, u8)> = Vec::new();
        for (_, packet) in &wire {
            if expected.last().is_none_or(|&(timestamp, _)| packet.timestamp > timestamp) {
                expected.push((packet.timestamp, packet.payload[0]));
            }
        }

        let epoch = epoch();
        let mut receiver = EventReceiver::new(one(8000));
        let mut told = Vec::new();
        for (at, packet) in wire {
            told.extend(receiver.handle_timeout(epoch + ms(at)));
            told.extend(receiver.receive(epoch + ms(at), packet.timestamp, &packet.payload));
        }
        told.extend(receiver.handle_timeout(epoch + ms(60_000)));
        let heard: Vec<u8> = told
            .chunks(2)
            .map(|pair| match pair {
                [KeyEvent::Start(start), KeyEvent::End { key, .. }] if start == key => key.code(),
                other => panic!("seed {seed}: {other:?}"),
            })
            .collect();
        assert_eq!(heard, expected.iter().map(|&(_, event)| event).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// The packets of a press with their times of sending, one packet time apart, as (milliseconds, packet).
fn flight(
    clocks: EventClocks,
    char: char,
    millis: u64,
    timestamp: u32,
) -> impl Iterator<Item = (u64, EventPacket)> {
    (20..).step_by(20).zip(sent_at(clocks, char, millis, timestamp, 20))
}

fn heard(clocks: EventClocks, packets: impl IntoIterator<Item = (u64, EventPacket)>) -> Vec<KeyEvent> {
    let epoch = epoch();
    let mut receiver = EventReceiver::new(clocks);
    let mut told = Vec::new();
    for (at, packet) in packets {
        told.extend(receiver.handle_timeout(epoch + ms(at)));
        told.extend(receiver.receive(epoch + ms(at), packet.timestamp, &packet.payload));
    }
    told.extend(receiver.handle_timeout(epoch + ms(10_000_000)));
    told
}

fn end_after(char: char, millis: u64) -> KeyEvent {
    KeyEvent::End { key: key(char), duration: ms(millis) }
}

/// 100 ms are 800 ticks at 8 kHz, 1,600 at 16 kHz and 4,800 at 48 kHz, and 100 ms again for whoever hears of them.
#[test]
fn r7_durations_are_in_ticks_of_the_clock_of_the_stream() {
    for (clock, ticks) in [(8_000, 160), (16_000, 320), (48_000, 960)] {
        let packets: Vec<_> = flight(one(clock), '5', 100, 7).collect();
        let durations: Vec<u16> = packets
            .iter()
            .map(|(_, packet)| EventPayload::parse(&packet.payload).unwrap().duration)
            .collect();
        assert_eq!(durations, [1, 2, 3, 4, 5, 5, 5].map(|n| n * ticks), "{clock}");
        assert_eq!(heard(one(clock), packets), [start('5'), end_after('5', 100)], "{clock}");
    }
}

/// 5 s are one segment at 8 kHz, and 65,535 ticks of 48 kHz are 1.365 s: three full segments and 0.904 s more.
#[test]
fn r7_a_press_of_five_seconds_takes_four_segments_at_48_khz() {
    for (clock, segments) in [(8_000, 1), (16_000, 2), (48_000, 4)] {
        let packets: Vec<_> = flight(one(clock), '0', 5_000, 1_000).collect();
        let starts: Vec<u32> =
            packets.chunk_by(|a, b| a.1.timestamp == b.1.timestamp).map(|part| part[0].1.timestamp).collect();
        let expected: Vec<u32> = (0..segments).map(|n| 1_000 + n * 0xffff).collect();
        assert_eq!(starts, expected, "{clock}");
        assert_eq!(heard(one(clock), packets.clone()), [start('0'), end_after('0', 5_000)], "{clock}");
        // Whichever of its packets is lost, it is one press, and as long.
        for lost in 0..packets.len() {
            let rest = packets.iter().enumerate().filter(|&(n, _)| n != lost).map(|(_, &packet)| packet);
            assert_eq!(
                heard(one(clock), rest),
                [start('0'), end_after('0', 5_000)],
                "{clock} without {lost}"
            );
        }
    }
}

/// Named as 8 kHz beside Opus: durations count by that, and timestamps by the 48 kHz of the audio, also where a segment of 8.19 s is full.
#[test]
fn r7_events_of_8_khz_beside_audio_of_48_khz() {
    let clocks = EventClocks::new(8_000, 48_000);
    let packets: Vec<_> = flight(clocks, '7', 10_000, 1_000).collect();
    let told = |(_, packet): &(u64, EventPacket)| {
        (packet.timestamp, EventPayload::parse(&packet.payload).unwrap().duration)
    };
    assert_eq!(packets[..3].iter().map(told).collect::<Vec<_>>(), [(1_000, 160), (1_000, 320), (1_000, 480)]);
    assert_eq!(packets.last().map(told), Some((1_000 + 6 * 0xffff, 14_465)));
    for lost in 0..packets.len() {
        let rest = packets.iter().enumerate().filter(|&(n, _)| n != lost).map(|(_, &packet)| packet);
        assert_eq!(heard(clocks, rest), [start('7'), end_after('7', 10_000)], "without {lost}");
    }
    // Of two in one packet the second begins 50 ms later: 2,400 ticks.
    let mut receiver = EventReceiver::new(clocks);
    let both = [payload(1, true, 400), payload(2, false, 80)].concat();
    assert_eq!(receiver.receive(epoch(), 1_000, &both), [start('1'), end('1', 400), start('2')]);
    assert_eq!(receiver.receive(epoch(), 3_400, &payload(2, true, 800)), [end('2', 800)]);
    // What was sent beside a press is told by its timestamp, up to how long it lasts.
    assert_eq!(receiver.beside(3_400 + 2_400), ms(50));
    assert_eq!(receiver.beside(3_400 + 48_000), ms(100));
}

/// A sender that begins a segment when the next update would not fit any more: 409 updates of 160 are 65,440 ticks.
#[test]
fn r7_a_segment_that_ends_before_it_is_full_is_gone_on_from() {
    let packets = [
        (20, 1_000, 9, false, 65_280),
        (40, 1_000, 9, false, 65_440),
        (60, 66_440, 9, false, 160),
        (61, 1_000, 9, false, 65_440),
        (80, 66_440, 9, true, 320),
        (100, 66_440, 9, true, 320),
    ];
    assert_eq!(told(&packets), [start('9'), end('9', 65_760)]);
}

/// §2.5.1.5: events without a pause between them in one packet. Its timestamp is that of the first; each of the others
/// begins where the one before it ended.
#[test]
fn r7_two_keys_in_one_packet_are_two_presses() {
    let now = epoch();
    let packet = |blocks: &[(u8, bool, u16)]| -> Vec<u8> {
        blocks.iter().flat_map(|&(event, end, duration)| payload(event, end, duration)).collect()
    };
    let both = packet(&[(1, true, 400), (2, false, 80)]);
    let mut receiver = EventReceiver::new(one(8000));
    assert_eq!(receiver.receive(now, 1000, &both), [start('1'), end('1', 400), start('2')]);
    assert_eq!(receiver.receive(now, 1000, &both), []);
    assert_eq!(receiver.receive(now, 1400, &payload(2, true, 480)), [end('2', 480)]);
    assert_eq!(receiver.receive(now, 1000, &both), []);

    // Repetitions of the end of one key together with the whole of the next.
    let mut receiver = EventReceiver::new(one(8000));
    assert_eq!(receiver.receive(now, 1000, &payload(1, true, 400)), [start('1'), end('1', 400)]);
    let both = packet(&[(1, true, 400), (1, true, 400)]);
    assert_eq!(receiver.receive(now, 1000, &both), [start('1'), end('1', 400)]);
    assert_eq!(receiver.receive(now, 1000, &both), []);

    // What follows a block that is not over is padding, however much like a block it looks; so is what is too short.
    let mut receiver = EventReceiver::new(one(8000));
    let padded = packet(&[(3, false, 160), (4, true, 160)]);
    assert_eq!(receiver.receive(now, 1000, &padded), [start('3')]);
    assert_eq!(receiver.receive(now, 1000, &[3, 0x80, 0, 200, 4, 0x80, 0]), [end('3', 200)]);
    // A payload full of keys is no way to press a hundred.
    let flood: Vec<u8> = (0..100).flat_map(|n| payload(n % 16, true, 8)).collect();
    assert_eq!(EventReceiver::new(one(8000)).receive(now, 0, &flood).len(), 2 * 4);
}

/// One timestamp is one press: another key under the same timestamp, or the same key under it after its end, is none.
#[test]
fn r7_one_timestamp_is_one_press() {
    let packets = [
        (20, 1000, 1, false, 160),
        (21, 1000, 2, false, 160),
        (40, 1000, 1, true, 320),
        (41, 1000, 2, true, 320),
        (300, 1000, 1, false, 160),
    ];
    assert_eq!(told(&packets), [start('1'), end('1', 320)]);
}

/// Two keys held at once cannot be told as overlapping (§2.5.1.5): a sender begins the second under a timestamp of its own
/// while the first has not ended, and what still comes of the first is of the past.
#[test]
fn r7_two_keys_at_once_are_two_presses_and_the_second_ends_the_first() {
    let packets = [
        (20, 1000, 1, false, 160),
        (40, 1160, 2, false, 160),
        (41, 1000, 1, false, 320),
        (60, 1160, 2, true, 320),
        (61, 1000, 1, true, 480),
        (80, 1000, 1, true, 480),
    ];
    assert_eq!(told(&packets), [start('1'), end('1', 160), start('2'), end('2', 320)]);
}

/// Figure G8: 100,000 keys at 5 % loss, 40 ms of jitter, 2 % duplicates and 2 % that come 60 ms late and so out of order;
/// and at 20 % loss. By each clock a third.
#[test]
fn g8_digits_through_a_bad_network() {
    for (loss, least) in [(0.05, 0.999), (0.2, 0.99)] {
        let (mut sent, mut heard) = (0, 0);
        for (seed, clock) in [8_000, 16_000, 48_000].into_iter().enumerate() {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            let expected: Vec<char> =
                (0..33_334).map(|_| char::from(b"0123456789*#ABCD"[random.usize(..16)])).collect();
            let keys = g8_received(clock, &expected, loss, &mut random);
            // A key told twice, or one that nobody sent, would not be found in the rest of what was sent.
            let mut rest = expected.iter();
            for (n, key) in keys.iter().enumerate() {
                assert!(rest.any(|sent| sent == key), "{clock} Hz, loss {loss}: key {n} is one too many");
            }
            sent += expected.len();
            heard += keys.len();
        }
        println!("loss {loss}: {heard} of {sent}");
        assert!(heard as f64 >= least * sent as f64, "loss {loss}: {heard} of {sent}");
    }
}

/// The keys that are heard of those sent, each 100 ms long with a gap of 100 ms.
fn g8_received(clock: u32, keys: &[char], loss: f64, random: &mut fastrand::Rng) -> Vec<char> {
    let mut wire = Vec::new();
    for (press, &char) in keys.iter().enumerate() {
        let begin = 200 * press as u64;
        let timestamp = u32::try_from(begin * u64::from(clock) / 1000).unwrap();
        for (at, packet) in flight(one(clock), char, 100, timestamp) {
            let copies = if random.f64() < 0.02 { 2 } else { 1 };
            for _ in 0..copies {
                let late = if random.f64() < 0.02 { 60 } else { 0 };
                if random.f64() >= loss {
                    wire.push((begin + at + random.u64(0..=40) + late, packet));
                }
            }
        }
    }
    wire.sort_by_key(|&(at, _)| at);
    heard(one(clock), wire)
        .into_iter()
        .filter_map(|event| match event {
            KeyEvent::Start(key) => Some(key.as_char()),
            KeyEvent::End { .. } => None,
        })
        .collect()
}
