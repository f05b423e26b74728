//! Digits: as telephone-events and tones, over bad networks, each counted once.

use super::*;
use DigitSource::{Inband, Info, Rfc4733};

const ALL: &str = "1234567890*#ABCD";

fn keys(world: &World, leg: u64) -> String {
    world.digits_of(leg).iter().map(|(key, _)| *key).collect()
}

#[test]
fn events_survive_loss_duplication_and_reordering() {
    // Seven packets tell a key. At 5 % loss one in 10^9 is lost; at 20 %, one in 80,000.
    for (loss, seeds) in [(0.05, 0..30), (0.2, 30..40)] {
        for seed in seeds {
            let network = Network { loss, duplication: 0.05, delay_ms: 60 };
            let mut world = World::pair(seed, network, config(Codec::Pcmu), config(Codec::Pcmu));
            world.send_digits(1, 1, ALL);
            world.run(4000);
            assert_eq!(keys(&world, 2), ALL, "seed {seed}");
            assert!(world.told().contains(&&Event::DigitsSent { leg: LegId(1), action: ActionId(1) }));
        }
    }
}

/// Figure G8, through whole engines: 1,000 keys of which many are the same as the one before, at 5 % loss, 2 % duplicates
/// and delays of up to 40 ms that each packet has for itself, so that one in eight is overtaken; and at 20 % loss.
#[test]
fn g8_a_thousand_digits_each_once() {
    for (loss, least) in [(0.05, 999), (0.2, 990)] {
        let network = Network { loss, duplication: 0.02, delay_ms: 40 };
        let mut world = World::pair(5, network, config(Codec::Pcmu), config(Codec::Pcmu));
        let mut random = fastrand::Rng::with_seed(11);
        let sent: String = (0..1000).map(|_| ['1', '2', '#'][random.usize(..3)]).collect();
        world.send_digits(1, 1, &sent);
        world.run(1000 * 200 + 1000);
        let heard = keys(&world, 2);
        let mut rest = sent.chars();
        assert!(heard.chars().all(|key| rest.any(|sent| sent == key)), "one too many at loss {loss}");
        assert!(heard.len() >= least, "{} at loss {loss}", heard.len());
    }
}

/// Between the packets of a prompt, those of keys are neither lost nor late, and the recording is as long as it lasted.
#[test]
fn r7_events_are_no_loss_of_audio() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.record(2, 1, RecordFormat::Mulaw, 60_000);
    world.play(1, 2, &[&prompt(Codec::Pcmu, 16_000, 1)], 0);
    world.run(500);
    world.send_digits(1, 3, "123");
    world.run(3000);
    world.stop_record(2, 1, false);
    world.command(Command::RemoveLeg { leg: LegId(2) });
    let stats = world.told().into_iter().find_map(|event| match event {
        Event::LegRemoved { leg: LegId(2), stats } => Some(*stats),
        _ => None,
    });
    let LegStats { packets_received, packets_lost, packets_late, .. } = stats.expect("it was removed");
    // 2 s of prompt and three keys of seven packets; the packets before the source is believed are not counted.
    assert!((120..=121).contains(&packets_received), "{packets_received}");
    assert_eq!((packets_lost, packets_late), (0, 0));
    assert_eq!(keys(&world, 2), "123");
    assert!((27_840..=28_000).contains(&world.file(1).len()), "{}", world.file(1).len());
}

#[test]
fn the_same_key_twice_is_two_keys() {
    let network = Network { loss: 0.05, duplication: 0.1, delay_ms: 40 };
    for seed in 0..10 {
        let mut world = World::pair(seed, network, config(Codec::Pcmu), config(Codec::Pcmu));
        world.send_digits(1, 1, "5555,55");
        world.run(3000);
        assert_eq!(keys(&world, 2), "555555", "seed {seed}");
    }
}

#[test]
fn tones_where_there_are_no_events() {
    let config = with(config(Codec::Pcma), |media| media.telephone_event = None);
    let listener = LegConfig { detect_tones: true, ..config.clone() };
    let mut world = World::pair(1, Network::default(), config, listener);
    world.send_digits(1, 1, ALL);
    world.run(4000);
    let expected: Vec<_> = ALL.chars().map(|key| (key, Inband)).collect();
    assert_eq!(world.digits_of(2), expected);
}

#[test]
fn events_and_info_of_one_press_count_once() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.send_digits(1, 1, "7");
    world.run(180);
    let key = Key::from_char('7').unwrap();
    let duration = Duration::from_millis(100);
    world.command(Command::InfoDigit { leg: LegId(2), key, duration });
    assert_eq!(world.digits_of(2), [('7', Rfc4733)]);
    world.run(3000);
    world.command(Command::InfoDigit { leg: LegId(2), key, duration });
    assert_eq!(world.digits_of(2), [('7', Rfc4733), ('7', Info)]);
}

#[test]
fn a_press_whose_end_is_lost_ends_by_itself() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.send_digits(1, 1, "9");
    world.run(80);
    world.network.loss = 1.0;
    world.run(1000);
    assert_eq!(keys(&world, 2), "9");
}

#[test]
fn the_packets_of_a_key() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.send_digits(1, 1, "1");
    world.run(400);
    let packets = world.rtp_of(1);
    // RFC 4733 §2.5: one timestamp, growing durations, the end three times, the marker first.
    let payloads: Vec<_> = packets.iter().map(|packet| packet.rtp().payload().to_vec()).collect();
    let durations: Vec<_> =
        payloads.iter().map(|payload| u16::from_be_bytes([payload[2], payload[3]])).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    let ends: Vec<_> = payloads.iter().map(|payload| payload[1] & 0x80 != 0).collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    assert!(packets.iter().enumerate().all(|(index, packet)| packet.rtp().mark() == (index == 0)));
    assert!(packets.iter().all(|packet| packet.rtp().timestamp() == packets[0].rtp().timestamp()));
    assert!(packets.iter().all(|packet| packet.rtp().payload_type() == 101));
}

/// A leg with Opus, whose events count by this clock.
#[cfg(feature = "opus")]
fn opus(clock_rate: u32) -> LegConfig {
    let by = |event: TelephoneEvent| TelephoneEvent { clock_rate, ..event };
    with(config(Codec::Opus), |media| media.telephone_event = media.telephone_event.map(by))
}

/// The durations that a leg's events tell, and how far their timestamps are from the first.
#[cfg(feature = "opus")]
fn events(world: &World, leg: u64) -> Vec<(u16, u32)> {
    let packets: Vec<&Sent> =
        world.rtp_of(leg).into_iter().filter(|packet| packet.rtp().payload_type() == 101).collect();
    let since = |packet: &&Sent| packet.rtp().timestamp().wrapping_sub(packets[0].rtp().timestamp());
    let duration = |packet: &&Sent| u16::from_be_bytes(*packet.rtp().payload().last_chunk().unwrap());
    packets.iter().map(|packet| (duration(packet), since(packet))).collect()
}

/// Two keys of 100 ms, 200 ms apart: timestamps by the 48 kHz of the audio, durations by what was agreed on.
#[cfg(feature = "opus")]
#[test]
fn events_beside_opus_by_either_clock() {
    for (clock, frame) in [(8_000, 160), (48_000, 960)] {
        let mut world = World::pair(1, Network::default(), opus(clock), opus(clock));
        world.send_digits(1, 1, "12");
        world.run(600);
        let durations = [1, 2, 3, 4, 5, 5, 5].map(|n| n * frame);
        let expected: Vec<_> = [0, 9_600].iter().flat_map(|&at| durations.map(|it| (it, at))).collect();
        assert_eq!(events(&world, 1), expected);
        let lengths = world.told().into_iter().filter_map(|event| match event {
            Event::Digit { leg: LegId(2), duration, .. } => Some(duration.as_millis()),
            _ => None,
        });
        assert_eq!(
            (lengths.collect::<Vec<_>>(), keys(&world, 2)),
            (vec![100, 100], "12".to_owned()),
            "{clock}"
        );
    }
}

/// Two parties with Opus, of which one counts events by 48 kHz and the other by 8: each key lasts as long for both.
#[cfg(feature = "opus")]
#[test]
fn events_of_one_clock_are_pressed_by_the_other() {
    for (first, second, frame) in [(8_000, 48_000, 960), (48_000, 8_000, 160)] {
        let mut world = World::new(2, 1, Network::default());
        for (leg, config) in [(1, opus(first)), (2, opus(second))] {
            world.add(0, leg, leg + 10, config.clone());
            world.add(1, leg + 10, leg, config);
        }
        world.command(Command::Connect {
            first: LegId(1),
            second: LegId(2),
            mode: ConnectMode::Both,
            mute_digits: false,
        });
        world.send_digits(11, 1, "7");
        world.run(600);
        let durations: Vec<_> = events(&world, 2).into_iter().map(|(duration, _)| duration).collect();
        assert_eq!(durations.last(), Some(&(5 * frame)), "{durations:?}");
        assert_eq!((keys(&world, 1), keys(&world, 12)), ("7".to_owned(), "7".to_owned()));
    }
}

#[test]
fn a_prompt_waits_for_digits_and_goes_on() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.record(2, 1, RecordFormat::Mulaw, 10_000);
    let prompt = prompt(Codec::Pcmu, 8000, 1);
    world.play(1, 2, &[&prompt], 0);
    world.send_digits(1, 3, "12");
    world.run(2500);
    world.stop_record(2, 1, false);
    assert_eq!(keys(&world, 2), "12");
    // The last half is beyond everything that the keys silenced.
    assert!(find(world.file(1), &payload(&prompt)[4000..]).is_some());
}

/// Only what the peer takes is sent as an event, in whatever order, and no packet of tones is torn by it.
#[test]
fn keys_that_the_peer_does_not_take_are_sent_as_tones() {
    let few = |ptime_ms| {
        with(config(Codec::Pcmu), |media| {
            media.ptime_ms = ptime_ms;
            media.telephone_event.as_mut().unwrap().events = Events::of(Some("0-3,6-9")).unwrap();
        })
    };
    for ptime_ms in [20, 30] {
        let listener = LegConfig { detect_tones: true, ..config(Codec::Pcmu) };
        let mut world = World::pair(1, Network::default(), few(ptime_ms), listener);
        world.send_digits(1, 1, "4451,6D#7");
        world.run(4000);
        let events = ['1', '6', '7'];
        let expected = ['4', '4', '5', '1', '6', 'D', '#', '7']
            .map(|key| (key, if events.contains(&key) { Rfc4733 } else { Inband }));
        assert_eq!(world.digits_of(2), expected, "{ptime_ms} ms");
        assert!(world.told().contains(&&Event::DigitsSent { leg: LegId(1), action: ActionId(1) }));
        let codes: Vec<u8> = world
            .rtp_of(1)
            .iter()
            .filter(|packet| packet.rtp().payload_type() == 101)
            .map(|packet| packet.rtp().payload()[0])
            .collect();
        assert!(codes.iter().all(|code| [1, 6, 7].contains(code)), "{codes:?}");
    }
}
