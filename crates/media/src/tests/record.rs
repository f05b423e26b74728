//! Recordings: as long as they lasted, whatever the network did.

use std::f64::consts::TAU;

use super::*;
use crate::FRAME;
use crate::dtmf::event::{EventClocks, EventSender};

pub(super) fn ended(world: &World) -> (Duration, RecordEnd) {
    let mut ends = world.told().into_iter().filter_map(|event| match *event {
        Event::RecordEnded { duration, end, .. } => Some((duration, end)),
        _ => None,
    });
    let end = ends.next().unwrap();
    assert_eq!(ends.next(), None);
    end
}

#[test]
fn the_longest_duration_is_exact() {
    for seed in 0..3 {
        let network = Network { loss: 0.1, duplication: 0.02, delay_ms: 60 };
        let mut world = World::pair(seed, network, config(Codec::Pcmu), config(Codec::Pcmu));
        world.play(1, 1, &[&prompt(Codec::Pcmu, 800, 1)], 1000);
        world.record(2, 2, RecordFormat::Pcm16, 2345);
        // It has what was said in that time, which is heard later, and is looked at in spans of 100 ms.
        world.run(2640);
        assert_eq!(ended(&world), (Duration::from_millis(2345), RecordEnd::MaxDuration));
        assert_eq!(world.file(2).len(), 2345 * 8 * 2);
        assert_eq!(world.closed, [RecordingId(2)]);
    }
}

#[test]
fn a_stopped_recording_is_as_long_as_the_clock_says() {
    // With loss, and with a peer that sends nothing at all.
    for loss in [0.1, 1.0] {
        for ms in [500, 1234, 3336] {
            let network = Network { loss, ..Network::default() };
            let mut world = World::pair(ms, network, config(Codec::Pcma), config(Codec::Pcma));
            world.play(1, 1, &[&prompt(Codec::Pcma, 800, 1)], 1000);
            world.run(100);
            world.record(2, 2, RecordFormat::Pcm16, 100_000);
            world.run(ms);
            world.stop_record(2, 2, false);
            let (duration, end) = ended(&world);
            assert_eq!(end, RecordEnd::Stopped);
            assert!(
                duration.abs_diff(Duration::from_millis(ms)) <= Duration::from_millis(20),
                "{ms}: {duration:?}"
            );
            assert_eq!(world.file(2).len() as u128, duration.as_micros() / 125 * 2);
        }
    }
}

/// At most 160 ms behind, the jitter buffer's 40 included, and for MP3, of which the encoder keeps 94 ms back, 100: a thread
/// that writes looks for it each 20 ms, and a crash costs 200 ms at most.
#[test]
fn audio_is_handed_out_at_most_160_ms_behind() {
    use RecordFormat::{Mp3, Mulaw};
    for (format, mute_digits, finish_keys, most) in [
        (Mulaw, false, "", 140),
        (Mulaw, false, "5", 160),
        (Mulaw, true, "5", 140),
        (Mp3, false, "", 60),
        (Mp3, true, "5", 100),
    ] {
        let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
        world.formats.insert(RecordingId(1), RecordFormat::Mulaw);
        world.command(Command::Record {
            leg: LegId(2),
            action: ActionId(1),
            recording: RecordingId(1),
            beep: false,
            max: Duration::from_secs(100),
            trim_silence: false,
            mute_digits,
            finish_keys: KeySet::parse(finish_keys).unwrap(),
            format,
        });
        for ms in (20..3000).step_by(20) {
            world.run(20);
            let handed_out = world.file(1).len() as u64 / 8;
            assert!(ms - handed_out.min(ms) <= most, "{format:?}, {finish_keys:?}, {ms} ms: {handed_out} ms");
        }
    }
}

/// What a recording has, what its leg tells of the stream and when it tells of keys do not depend on when packets are read:
/// they have their own times. Keys are told a span later at most.
#[test]
fn what_is_read_in_spans_is_recorded_as_what_is_read_at_once() {
    for seed in 0..6 {
        let network = Network { loss: 0.03, duplication: 0.02, delay_ms: 70 };
        let [at_once, in_spans] = [false, true].map(|reads_in_spans| {
            let mut world = World::new(2, seed, network);
            world.add(0, 1, 2, config(Codec::Pcmu));
            // Whose reports go nowhere: when they leave would change what the network does to others.
            world.add(1, 2, 102, config(Codec::Pcmu));
            world.reads_in_spans = reads_in_spans;
            world.record(2, 2, RecordFormat::Mulaw, 60_000);
            world.run(46);
            world.play(1, 1, &[&prompt(Codec::Pcmu, 16_000, 1)], 0);
            world.run(2006);
            world.send_digits(1, 3, "5");
            world.run(1000);
            world.play(1, 4, &[&prompt(Codec::Pcmu, 16_000, 2)], 0);
            world.run(1234);
            world.stop_record(2, 2, false);
            world.command(Command::RemoveLeg { leg: LegId(2) });
            world
        });
        assert!(at_once.file(2).len() > 4200 * 8);
        assert_eq!(at_once.file(2), in_spans.file(2), "{seed}");
        let keys = [&at_once, &in_spans].map(|world| {
            let key = |(at, event): &(u64, Event)| {
                matches!(event, Event::Digit { leg: LegId(2), .. }).then_some(*at)
            };
            world.events.iter().find_map(key).expect("a key")
        });
        assert!((keys[0]..=keys[0] + 100).contains(&keys[1]), "{keys:?}");
        let stats = [&at_once, &in_spans].map(|world| {
            let stats = |event: &&Event| match event {
                Event::LegRemoved { stats, .. } => Some(*stats),
                _ => None,
            };
            world.told().iter().find_map(stats).expect("its statistics")
        });
        let [jitter, of_spans] = stats.map(|stats| stats.jitter_ms);
        assert!((jitter - of_spans).abs() < 0.001, "{jitter} {of_spans}");
        assert_eq!(
            stats.map(|stats| (stats.packets_received, stats.packets_late, stats.concealed_ms)),
            [(stats[0].packets_received, stats[0].packets_late, stats[0].concealed_ms); 2]
        );
    }
}

/// A key that ends a recording ends it where it ended itself, less what is to be left out, however late it is told.
#[test]
fn a_finish_key_that_is_told_late_ends_the_recording_where_it_was_pressed() {
    let lengths = [false, true].map(|reads_in_spans| {
        let lengths = (0..10).map(|offset| {
            let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
            world.reads_in_spans = reads_in_spans;
            world.record(2, 2, RecordFormat::Mulaw, 60_000);
            world.run(1000 + offset * 20);
            world.send_digits(1, 3, "5");
            while world.digits_of(2).is_empty() {
                world.run(2);
            }
            world.stop_record(2, 2, true);
            ended(&world).0.as_millis()
        });
        lengths.collect::<Vec<_>>()
    });
    for (at_once, in_spans) in lengths[0].iter().zip(&lengths[1]) {
        assert!(at_once.abs_diff(*in_spans) <= 20, "{lengths:?}");
    }
}

/// RTP as a telephone sends it: silence in mu-law, and from `begin` on a key that is pressed for so long.
fn telephone(world: &mut World, from: u64, ms: u64, begin: u64, press_ms: u64) {
    let mut press = EventSender::new(
        Key::from_char('5').unwrap(),
        Duration::from_millis(press_ms),
        u32::try_from(begin * 8).unwrap(),
        EventClocks::new(8000, 8000),
        FRAME,
    );
    for (sequence, at) in (0..ms).step_by(20).enumerate() {
        let event = (at > begin).then(|| press.poll()).flatten();
        let (payload_type, timestamp, payload) = match event {
            Some(event) => (101, event.timestamp, event.payload.to_vec()),
            None => (0, u32::try_from(at * 8).unwrap(), vec![0xff; 160]),
        };
        let head = [0x80, payload_type].into_iter().chain(u16::try_from(sequence).unwrap().to_be_bytes());
        let rest = timestamp.to_be_bytes().into_iter().chain([9, 9, 9, 9]);
        let packet = head.chain(rest).chain(payload).collect();
        world.flying.insert((world.step + (from + at) / 2, at), (LegId(2), Channel::Rtp, packet));
    }
}

/// However long a finish key is pressed, the file ends where it began, and is as long as is told.
#[test]
fn a_recording_ends_where_its_finish_key_began() {
    for format in [RecordFormat::Mulaw, RecordFormat::Pcm16, RecordFormat::Mp3] {
        for (mute_digits, reads_in_spans) in [(false, false), (false, true), (true, false)] {
            for press in [40, 60, 100, 160, 240, 400, 1000, 4000] {
                let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
                world.reads_in_spans = reads_in_spans;
                // Two packets until the source is believed.
                let offset = press % 18;
                telephone(&mut world, offset, 60 + 1000 + press + 200, 1060, press);
                world.run(60);
                world.formats.insert(RecordingId(1), RecordFormat::Pcm16);
                world.command(Command::Record {
                    leg: LegId(2),
                    action: ActionId(1),
                    recording: RecordingId(1),
                    beep: false,
                    max: Duration::from_secs(60),
                    trim_silence: false,
                    mute_digits,
                    finish_keys: KeySet::parse("5").unwrap(),
                    format,
                });
                while world.digits_of(2).is_empty() {
                    world.run(2);
                }
                // As long as a control thread takes.
                world.run(4);
                world.stop_record(2, 1, true);
                let duration = ended(&world).0;
                let expected = Duration::from_millis(1000 + offset);
                let what = format!("{format:?}, muted {mute_digits}, in spans {reads_in_spans}, {press} ms");
                assert!(duration.abs_diff(expected) <= Duration::from_millis(20), "{what}: {duration:?}");
                assert_eq!(world.file(1).len() as u128, duration.as_micros() / 125 * 2, "{what}");
            }
        }
    }
}

/// A file in the law of the leg has what was sent, bit for bit: with the second zero of mu-law, which is lost wherever codes
/// become samples. What has to be made up for a loss is in it at its place.
#[test]
fn a_recording_in_the_law_of_its_leg_has_the_codes_that_were_sent() {
    for (codec, format) in [(Codec::Pcmu, RecordFormat::Mulaw), (Codec::Pcma, RecordFormat::Alaw)] {
        let sent: Vec<u8> = (0..16_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let mut start = None;
        for loss in [0.0, 0.02] {
            let mut world =
                World::pair(3, Network { loss, ..Network::default() }, config(codec), config(codec));
            world.record(2, 2, format, 100_000);
            world.play(1, 1, &[&Arc::new(Prompt::new(codec, sent.clone()))], 0);
            world.run(1900);
            world.stop_record(2, 2, false);
            let file = world.file(2);
            let start = *start.get_or_insert_with(|| find(file, &sent[..160]).unwrap());
            let frames = file[start..].chunks_exact(160).zip(sent.chunks(160));
            let (all, as_sent) = (frames.len(), frames.filter(|(one, other)| one == other).count());
            let least = if loss > 0.0 { all - 15 } else { all };
            assert!(all >= 90 && as_sent >= least, "{codec:?}, loss of {loss}: {as_sent} of {all}");
        }
    }
}

/// Somebody who begins to listen in the middle, and stops, changes nothing of what is recorded.
#[test]
fn a_listener_beside_a_recording_is_not_heard_in_it() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let said = prompt(Codec::Pcmu, 16_000, 1);
    world.record(2, 2, RecordFormat::Mulaw, 100_000);
    world.play(1, 1, &[&said], 0);
    for kinds in [Kinds::default(), [Kind::Beep].into_iter().collect(), Kinds::default()] {
        world.command(Command::Detect { leg: LegId(2), kinds, country: None });
        world.run(700);
    }
    world.stop_record(2, 2, false);
    assert!(find(world.file(2), payload(&said)).is_some());
}

#[test]
fn the_beep_comes_first_and_is_not_in_the_file() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.play(2, 9, &[&prompt(Codec::Pcmu, 16_000, 1)], 0);
    world.command(Command::Record {
        leg: LegId(1),
        action: ActionId(1),
        recording: RecordingId(1),
        beep: true,
        max: Duration::from_secs(1),
        trim_silence: false,
        mute_digits: false,
        finish_keys: KeySet::default(),
        format: RecordFormat::Pcm16,
    });
    world.run(1200);
    assert!(world.closed.is_empty(), "the second begins after the beep of 300 ms");
    world.run(200);
    assert_eq!(ended(&world), (Duration::from_secs(1), RecordEnd::MaxDuration));
    let beep = world.rtp_of(1);
    assert_eq!(beep.len(), 15);
    // Loud in the middle: 0x40 in the low seven bits is an amplitude of 1884 (G.711 table 2a), smaller codes are more.
    assert!(beep[7].rtp().payload().iter().any(|code| code & 0x7f < 0x40));
}

#[test]
fn a_removed_leg_completes_its_recording() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.record(2, 1, RecordFormat::Mulaw, 100_000);
    world.run(1000);
    world.command(Command::RemoveLeg { leg: LegId(2) });
    let (duration, end) = ended(&world);
    assert_eq!((world.file(1).len() as u128, end), (duration.as_micros() / 125, RecordEnd::LegRemoved));
    assert!(matches!(world.told().last(), Some(Event::LegRemoved { .. })));
}

#[test]
fn keys_are_in_the_file_unless_that_is_not_wanted() {
    for (events, mute_digits) in [(true, true), (false, true), (true, false), (false, false)] {
        let peer = with(config(Codec::Pcmu), |media| {
            media.telephone_event = media.telephone_event.filter(|_| events);
        });
        let recorder = LegConfig { detect_tones: !events, ..peer.clone() };
        let mut world = World::pair(1, Network::default(), peer, recorder);
        world.formats.insert(RecordingId(1), RecordFormat::Mulaw);
        world.command(Command::Record {
            leg: LegId(2),
            action: ActionId(1),
            recording: RecordingId(1),
            beep: false,
            max: Duration::from_secs(100),
            trim_silence: false,
            mute_digits,
            finish_keys: KeySet::default(),
            format: RecordFormat::Pcm16,
        });
        world.run(500);
        world.send_digits(1, 2, "#");
        world.run(500);
        world.stop_record(2, 1, false);
        assert_eq!(world.digits_of(2).len(), 1);
        // mu-law 0x7f and 0xff are the two zeros.
        let loud = world.file(1).iter().filter(|&&code| code & 0x7f < 0x60).count();
        // A tone of 100 ms; an event has no sound.
        let expected = if events || mute_digits { 0..=80 } else { 700..=800 };
        assert!(expected.contains(&loud), "events {events}, muted {mute_digits}: {loud} samples of sound");
    }
}

/// With jitter the buffer takes longer to fill, and that is not at the beginning of the file, as long as the talker talks.
#[test]
fn what_jitter_takes_to_fill_the_buffer_is_in_no_file() {
    for seed in 0..20 {
        let network = Network { delay_ms: 60, ..Network::default() };
        let mut world = World::pair(seed, network, config(Codec::Pcmu), config(Codec::Pcmu));
        world.play(1, 1, &[&prompt(Codec::Pcmu, 80_000, 1)], 0);
        world.run(2500);
        world.record(2, 1, RecordFormat::Mulaw, 60_000);
        world.run(1500);
        world.stop_record(2, 1, false);
        let silent = world.file(1).iter().take_while(|&&code| code | 0x80 == 0xff).count() / 8;
        // Nothing may come for 60 ms.
        assert!(silent <= 40, "seed {seed}: {silent} ms of silence");
        let duration = ended(&world).0;
        assert!(duration.abs_diff(Duration::from_millis(1500)) <= Duration::from_millis(20), "{duration:?}");
    }
}

#[test]
fn what_is_heard_in_a_pause_is_not_in_the_file() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let pause = |world: &mut World, is_paused| {
        world.command(Command::PauseRecord { leg: LegId(2), action: ActionId(1), is_paused });
    };
    world.record(2, 1, RecordFormat::Mulaw, 2000);
    world.run(1000);
    pause(&mut world, true);
    world.play(1, 9, &[&prompt(Codec::Pcmu, 16_000, 1)], 0);
    world.run(2500);
    pause(&mut world, false);
    assert!(
        world.told().iter().all(|event| !matches!(event, Event::RecordEnded { .. })),
        "a pause takes no time"
    );
    // What is said comes 40 ms late into the file, and is looked at in spans of 100.
    world.run(1140);
    assert_eq!(ended(&world), (Duration::from_secs(2), RecordEnd::MaxDuration));
    assert_eq!(world.file(1).len(), 16_000);
    let loud = world.file(1).iter().filter(|&&code| code & 0x7f < 0x70).count();
    assert_eq!(loud, 0, "samples of the pause");
}

/// A tone that is said until the pause, one in it, and one after it: of the one in it there is nothing, and all of the last,
/// however much the jitter buffer has come to hold since the recording began.
#[test]
fn what_is_said_in_a_pause_is_in_no_file_whatever_the_jitter() {
    let tone = |frequency: f64, ms: u32| {
        let sample = |n: u32| 6000.0 * (TAU * frequency * f64::from(n) / 8000.0).sin();
        #[expect(clippy::cast_possible_truncation, reason = "within the range")]
        let samples: Vec<i16> = (0..ms * 8).map(|n| sample(n) as i16).collect();
        Prompt::encode(&samples, Codec::Pcmu)
    };
    let said = [tone(500.0, 1500), tone(1000.0, 1000), tone(2000.0, 1500), tone(3000.0, 500)];
    for (seed, delay_ms) in (0..4).flat_map(|seed| [(seed, 0), (seed, 60), (seed, 120)]) {
        let network = Network { delay_ms, ..Network::default() };
        let mut world = World::pair(seed, network, config(Codec::Pcmu), config(Codec::Pcmu));
        world.record(2, 1, RecordFormat::Pcm16, 60_000);
        world.play(1, 9, &said.each_ref(), 0);
        while world.rtp_of(1).is_empty() {
            world.run(2);
        }
        for (ms, is_paused) in [(1500, true), (1000, false)] {
            world.run(ms);
            world.command(Command::PauseRecord { leg: LegId(2), action: ActionId(1), is_paused });
        }
        world.run(1700);
        world.stop_record(2, 1, false);
        let samples: Vec<i16> =
            world.file(1).as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect();
        // In steps of 10 ms: a tone is there with more than half of its amplitude.
        let ms = |frequency: f64| {
            let is_there = |block: &&[i16]| {
                let parts = block.iter().zip(0..).map(|(&sample, n)| {
                    let at = TAU * frequency * f64::from(n) / 8000.0;
                    (f64::from(sample) * at.sin(), f64::from(sample) * at.cos())
                });
                let (sine, cosine) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
                2.0 * f64::hypot(sine, cosine) / 80.0 > 3000.0
            };
            10 * samples.chunks_exact(80).filter(is_there).count()
        };
        let heard = [500.0, 1000.0, 2000.0].map(ms);
        // A packet has what was said in the 20 ms before it, and jitter is known within as much.
        let is_right = heard[0] >= 1400 && heard[1] <= 20 && heard[2] >= 1480;
        assert!(is_right, "{delay_ms} ms of jitter, seed {seed}: {heard:?}");
    }
}

#[test]
fn quiet_ends_are_left_out_where_that_is_wanted() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.formats.insert(RecordingId(1), RecordFormat::Mulaw);
    world.command(Command::Record {
        leg: LegId(2),
        action: ActionId(1),
        recording: RecordingId(1),
        beep: false,
        max: Duration::from_secs(60),
        trim_silence: true,
        mute_digits: false,
        finish_keys: KeySet::default(),
        format: RecordFormat::Pcm16,
    });
    world.run(1500);
    let said = prompt(Codec::Pcmu, 8000, 1);
    world.play(1, 9, &[&said], 0);
    world.run(4000);
    world.stop_record(2, 1, false);
    let (duration, _) = ended(&world);
    // A second of sound, and 200 ms around it; sound begins and ends within a frame.
    assert!(duration.abs_diff(Duration::from_millis(1400)) <= Duration::from_millis(60), "{duration:?}");
    assert_eq!(world.file(1).len() as u128, duration.as_micros() / 125);
    assert!(find(world.file(1), payload(&said)).is_some());
}

#[test]
fn a_standstill_is_in_the_file_as_silence() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.record(2, 1, RecordFormat::Mulaw, 100_000);
    world.run(1000);
    world.step += 2500;
    world.run(1000);
    world.stop_record(2, 1, false);
    let (duration, _) = ended(&world);
    assert!(duration.abs_diff(Duration::from_secs(7)) <= Duration::from_millis(20), "{duration:?}");
}

/// Row G8: 5 % loss, 40 ms of jitter with the reordering that comes of it, 2 % duplicates.
#[test]
fn r6_an_hour_over_a_bad_network_is_an_hour() {
    let network = Network { loss: 0.05, duplication: 0.02, delay_ms: 40 };
    let mut world = World::pair(8, network, config(Codec::Pcmu), config(Codec::Pcmu));
    let prompt = prompt(Codec::Pcmu, 80_000, 1);
    world.play(1, 1, &[&prompt], 400);
    world.run(100);
    world.record(2, 2, RecordFormat::Mulaw, 5_000_000);
    world.run(3_600_000);
    world.stop_record(2, 2, false);
    let (duration, _) = ended(&world);
    let hour = Duration::from_secs(3600);
    assert!(duration.abs_diff(hour) < Duration::from_millis(20), "{duration:?}");
    assert_eq!(world.file(2).len(), 3600 * 8000);
    // What is said is where it was said: the frames of the prompt that were heard whole come every ten seconds, to
    // within what the delay may change by.
    let file = world.file(2);
    let mark = &payload(&prompt)[40_000..40_080];
    let places: Vec<usize> = (0..360)
        .filter_map(|turn| {
            let start = turn * 80_000;
            find(&file[start..(start + 80_000).min(file.len())], mark).map(|place| start + place)
        })
        .collect();
    assert!(places.len() > 300, "{}", places.len());
    let offsets: Vec<usize> = places.iter().map(|place| place % 80_000).collect();
    let spread = offsets.iter().max().unwrap() - offsets.iter().min().unwrap();
    assert!(spread <= 180 * 8, "{} ms", spread / 8);
}
