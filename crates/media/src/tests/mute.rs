//! Keys that nobody shall hear: what is left of their two frequencies in a connection and in a recording.

use std::f64::consts::TAU;

use super::*;
use crate::codec::Decoder;
use crate::dtmf::generate::ToneGenerator;
use crate::packet::Packet;

/// Rows and columns (Q.23).
const FREQUENCIES: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];

/// A key of so many milliseconds, -6 dBm0 per tone or so, that begins so many samples into a quiet second and a half.
fn pressed(key: char, begin: usize, ms: usize) -> Vec<i16> {
    let (row, column) = frequencies(key);
    let at = |frequency: f64, n: usize| (TAU * frequency * n as f64 / 8000.0).sin();
    let mut samples = vec![0i16; 12_000];
    for (n, sample) in samples[begin..begin + ms * 8].iter_mut().enumerate() {
        #[allow(clippy::cast_possible_truncation, reason = "within the range")]
        let value = (8000.0 * (at(row, n) + at(column, n))) as i16;
        *sample = value;
    }
    samples
}

fn frequencies(key: char) -> (f64, f64) {
    let place = "123A456B789C*0#D".find(key).unwrap();
    (FREQUENCIES[place / 4], FREQUENCIES[4 + place % 4])
}

/// Milliseconds in which either frequency of the key is there, with more than this part of the amplitude it was sent with; in
/// steps of 5 ms.
fn audible_ms(samples: &[i16], rate: usize, key: char, part: f64) -> usize {
    let (row, column) = frequencies(key);
    let amplitude = |block: &[i16], frequency: f64| {
        let (mut cosine, mut sine) = (0.0, 0.0);
        for (n, &sample) in block.iter().enumerate() {
            let phase = TAU * frequency * n as f64 / rate as f64;
            cosine += f64::from(sample) * phase.cos();
            sine += f64::from(sample) * phase.sin();
        }
        2.0 * cosine.hypot(sine) / block.len() as f64
    };
    let is_there = |block: &&[i16]| amplitude(block, row).max(amplitude(block, column)) > part * 8000.0;
    5 * samples.chunks_exact(rate / 200).filter(is_there).count()
}

/// What a leg sent, decoded.
fn sent(world: &World, leg: u64, codec: Codec) -> Vec<i16> {
    let (mut decoder, mut samples) = (Decoder::new(codec), Vec::new());
    for packet in world.rtp_of(leg).iter().filter(|packet| packet.rtp().payload_type() != 101) {
        decoder.decode(packet.rtp().payload(), &mut samples);
    }
    samples
}

/// Engine 0 with legs 1 and 2, whose peers are 11 and 12; what 11 plays is recorded by leg 1, or heard by 12.
fn world(codecs: (Codec, Codec), connects: Option<bool>, records: Option<bool>) -> World {
    let mut world = World::new(2, 1, Network::default());
    for (engine, leg, to, codec) in
        [(0, 1, 11, codecs.0), (0, 2, 12, codecs.1), (1, 11, 1, codecs.0), (1, 12, 2, codecs.1)]
    {
        world.add(engine, leg, to, with(config(codec), |media| media.telephone_event = None));
    }
    if let Some(mute_digits) = connects {
        let (first, second, mode) = (LegId(1), LegId(2), ConnectMode::Both);
        world.command(Command::Connect { first, second, mode, mute_digits });
    }
    if let Some(mute_digits) = records {
        record(&mut world, 1, mute_digits);
    }
    world
}

fn record(world: &mut World, leg: u64, mute_digits: bool) {
    world.command(Command::Record {
        leg: LegId(leg),
        action: ActionId(9),
        recording: RecordingId(9),
        beep: false,
        max: Duration::from_secs(60),
        trim_silence: false,
        mute_digits,
        finish_keys: KeySet::parse("5").unwrap(),
        format: RecordFormat::Pcm16,
    });
}

fn recorded(world: &mut World, leg: u64) -> Vec<i16> {
    world.stop_record(leg, 9, false);
    world.file(9).as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
}

fn play(world: &mut World, leg: u64, samples: &[i16], codec: Codec, run_ms: u64) {
    let rate = codec.sample_rate();
    let samples = crate::codec::resample::resample_all(samples, 8000, rate).unwrap();
    world.play(leg, 1, &[&Prompt::encode(&samples, codec)], 0);
    world.run(run_ms);
}

/// Every key, beginning anywhere in a frame, of the shortest and of longer lengths: not a moment of it is heard, neither by
/// the other party nor in a recording. Where that is not asked for, all of it is.
#[test]
fn a_key_is_not_heard_from_its_first_moment_where_that_is_asked_for() {
    for (index, key) in "1234567890*#ABCD".chars().enumerate() {
        let (begin, ms) = (4000 + 23 * index, [45, 60, 100, 250][index % 4]);
        let samples = pressed(key, begin, ms);
        for (mute, least, most) in [(true, 0, 0), (false, ms - 5, ms + 10)] {
            let mut world = world((Codec::Pcmu, Codec::Pcmu), Some(mute), None);
            play(&mut world, 11, &samples, Codec::Pcmu, 2000);
            let heard = audible_ms(&sent(&world, 2, Codec::Pcmu), 8000, key, 0.01);
            assert!((least..=most).contains(&heard), "{key} of {ms} ms, muted {mute}: {heard} ms connected");
            let mut world = self::world((Codec::Pcmu, Codec::Pcmu), None, Some(mute));
            play(&mut world, 11, &samples, Codec::Pcmu, 2000);
            let heard = audible_ms(&recorded(&mut world, 1), 8000, key, 0.01);
            assert!((least..=most).contains(&heard), "{key} of {ms} ms, muted {mute}: {heard} ms recorded");
        }
    }
}

/// A finish key is told when its tone is over, or later; from its first moment on nothing is in the file.
#[test]
fn a_recording_ends_where_the_tone_of_its_finish_key_began() {
    for (codec, ms) in [(Codec::Pcmu, 45), (Codec::Pcma, 100), (Codec::G722, 240), (Codec::Pcmu, 700)] {
        for late in [0, 20, 60] {
            let peer = with(config(codec), |media| media.telephone_event = None);
            let recorder = LegConfig { detect_tones: true, ..peer.clone() };
            let mut world = World::pair(1, Network::default(), peer, recorder);
            world.rates.insert(RecordingId(9), codec.sample_rate());
            record(&mut world, 2, false);
            let begin = 4000 + 23 * late;
            play(&mut world, 1, &pressed('5', begin, ms), codec, 0);
            while world.digits_of(2).is_empty() {
                world.run(2);
            }
            world.run(late as u64);
            world.stop_record(2, 9, true);
            let file = world.file(9).len() / 2 / (codec.sample_rate() as usize / 1000);
            let heard = audible_ms(&recorded(&mut world, 2), codec.sample_rate() as usize, '5', 0.01);
            assert!(heard <= 5, "{codec:?} {ms} ms, {late} ms later: {heard} ms of the key");
            // The jitter buffer has three frames at most here.
            let (least, most) = (begin / 8 - 40, begin / 8 + 60);
            assert!((least..=most).contains(&file), "{codec:?} {ms} ms, {late} ms later: {file} ms");
        }
    }
}

/// Of a finish key that is held for longer than anything is held back the rest is in the file, as silence.
#[test]
fn a_finish_key_that_is_held_for_long_is_silence() {
    let peer = with(config(Codec::Pcmu), |media| media.telephone_event = None);
    let recorder = LegConfig { detect_tones: true, ..peer.clone() };
    let mut world = World::pair(1, Network::default(), peer, recorder);
    record(&mut world, 2, false);
    let (row, column) = frequencies('5');
    let at = |frequency: f64, n: usize| (TAU * frequency * n as f64 / 8000.0).sin();
    #[allow(clippy::cast_possible_truncation, reason = "within the range")]
    let tone: Vec<i16> = (0..56_000).map(|n| (8000.0 * (at(row, n) + at(column, n))) as i16).collect();
    play(&mut world, 1, &tone, Codec::Pcmu, 0);
    while world.digits_of(2).is_empty() {
        world.run(2);
    }
    let heard = audible_ms(&recorded(&mut world, 2), 8000, '5', 0.01);
    assert!(world.file(9).len() / 16 > 1500, "more than 1.5 s of the seven are not held back");
    assert!(heard <= 5, "{heard} ms of the key");
}

#[test]
fn a_key_is_not_heard_in_any_codec() {
    for from in [Codec::G722, Codec::Opus, Codec::Gsm] {
        for to in [Codec::Pcma, Codec::Opus] {
            for offset in [0, 53, 107] {
                let mut world = world((from, to), Some(true), None);
                play(&mut world, 11, &pressed('5', 4000 + offset, 120), from, 2000);
                let rate = usize::try_from(to.sample_rate()).unwrap();
                // GSM has an echo of what it coded before.
                let heard = audible_ms(&sent(&world, 2, to), rate, '5', 0.1);
                assert_eq!(heard, 0, "{from:?} to {to:?}, {offset}");
            }
        }
    }
}

/// A gateway that leaves the tone in the audio until it knows the key, 40 ms, or all through, and sends events from then on.
#[test]
fn the_tone_beside_an_event_is_not_heard() {
    for leaves_tone in [false, true] {
        for connects in [false, true] {
            let mut world = World::new(1, 1, Network::default());
            world.add(0, 1, 11, config(Codec::Pcmu));
            world.add(0, 2, 12, config(Codec::Pcmu));
            if connects {
                let (first, second, mode) = (LegId(1), LegId(2), ConnectMode::Both);
                world.command(Command::Connect { first, second, mode, mute_digits: true });
            } else {
                record(&mut world, 1, true);
            }
            gateway(&mut world, '8', leaves_tone);
            let heard = if connects { sent(&world, 2, Codec::Pcmu) } else { recorded(&mut world, 1) };
            assert_eq!(
                audible_ms(&heard, 8000, '8', 0.01),
                0,
                "leaves it {leaves_tone}, connected {connects}"
            );
            assert_eq!(world.digits_of(1), [('8', DigitSource::Rfc4733)], "told once, and as an event");
            let events = world.rtp_of(2).iter().filter(|packet| packet.rtp().payload_type() == 101).count();
            assert_eq!(events, 0, "the other party has no key");
        }
    }
}

/// Packets to leg 1: audio of 20 ms each, in which a key of 160 ms begins after half a second and 5 ms; and its events.
fn gateway(world: &mut World, key: char, leaves_tone: bool) {
    let samples = pressed(key, 4040, 160);
    let code = Key::from_char(key).unwrap().code();
    let (mut sequence, mut payload) = (0, Vec::new());
    let mut deliver = |world: &mut World, payload_type, marker, timestamp, payload: &[u8]| {
        sequence += 1;
        let mut bytes = Vec::new();
        let packet = Packet { payload_type, marker, sequence, timestamp, ssrc: 7, payload };
        packet.write(&mut bytes);
        let now = world.now();
        world.engines[0].receive(now, LegId(1), Channel::Rtp, &bytes);
    };
    for (frame, samples) in (0u16..).zip(samples.chunks_exact(160)) {
        // The frames with the tone are 25 to 33; the key is known with 27, and ends with 33.
        let event = (27..=35).contains(&frame);
        if !event || leaves_tone {
            payload.clear();
            crate::codec::Encoder::new(Codec::Pcmu).encode(samples, &mut payload);
            deliver(world, 0, false, u32::from(frame) * 160, &payload);
        }
        if event {
            let end = if frame >= 33 { 0x80 } else { 0 };
            let [high, low] = ((frame.min(33) - 25) * 160).to_be_bytes();
            deliver(world, 101, frame == 27, 25 * 160, &[code, end | 10, high, low]);
        }
        world.run(20);
    }
    world.run(400);
}

/// Of a party that has agreed to telephone-events and sends tones all the same: what is taken out is told, once for each press.
#[test]
fn keys_that_are_taken_out_are_told_where_tones_are_not_looked_for() {
    for connects in [false, true] {
        let mut world = World::new(2, 1, Network::default());
        for (engine, leg, to) in [(0, 1, 11), (0, 2, 12), (1, 11, 1), (1, 12, 2)] {
            world.add(engine, leg, to, config(Codec::Pcmu));
        }
        if connects {
            let (first, second, mode) = (LegId(1), LegId(2), ConnectMode::Both);
            world.command(Command::Connect { first, second, mode, mute_digits: true });
        } else {
            record(&mut world, 1, true);
        }
        play(&mut world, 11, &pressed('6', 4000, 100), Codec::Pcmu, 1600);
        play(&mut world, 11, &pressed('6', 4000, 60), Codec::Pcmu, 1600);
        assert_eq!(world.digits_of(1), [('6', DigitSource::Inband); 2], "connected {connects}");
        let heard = if connects { sent(&world, 2, Codec::Pcmu) } else { recorded(&mut world, 1) };
        assert_eq!(audible_ms(&heard, 8000, '6', 0.01), 0, "connected {connects}");
    }
}

/// In a room, where tones are looked for: nothing of a key that is told is heard.
#[test]
fn a_key_is_not_heard_in_a_room_from_its_first_moment() {
    for (index, key) in "159D".chars().enumerate() {
        let mut world = World::new(2, 1, Network::default());
        let deaf = with(config(Codec::Pcmu), |media| media.telephone_event = None);
        let room = RoomId(1);
        world.command(Command::Room { room, command: RoomCommand::Open { tells_talking: false } });
        for (leg, detect_tones) in [(1, true), (2, false)] {
            world.add(0, leg, leg + 10, LegConfig { detect_tones, ..deaf.clone() });
            world.add(1, leg + 10, leg, deaf.clone());
            let command = RoomCommand::Join { leg: LegId(leg), voice: Voice::default() };
            world.command(Command::Room { room, command });
        }
        play(&mut world, 11, &pressed(key, 4000 + 23 * index, 100), Codec::Pcmu, 2000);
        assert_eq!(world.digits_of(1), [(key, DigitSource::Inband)]);
        assert_eq!(audible_ms(&sent(&world, 2, Codec::Pcmu), 8000, key, 0.01), 0, "{key}");
    }
}

/// What is said comes through as it was, 40 ms later than by the same way without.
#[test]
fn what_is_no_key_is_heard_as_it_was() {
    let mut said = ToneGenerator::beep(8000);
    let mut samples = vec![0; 1600];
    let mut beep = vec![0; usize::try_from(said.remaining()).unwrap()];
    said.fill(&mut beep);
    samples.extend_from_slice(&beep);
    samples.resize(12_000, 0);
    let run = |mute| {
        let mut world = world((Codec::Pcmu, Codec::Pcma), Some(mute), None);
        // Through a decoder in either case, so that only the muting differs.
        record(&mut world, 1, false);
        play(&mut world, 11, &samples, Codec::Pcmu, 2000);
        sent(&world, 2, Codec::Pcma)
    };
    let (plain, muted) = (run(false), run(true));
    let begin = |samples: &[i16]| samples.iter().position(|sample| sample.unsigned_abs() > 500).unwrap();
    let (plain, muted) = (&plain[begin(&plain)..], &muted[begin(&muted)..]);
    assert_eq!(plain[..beep.len() - 100], muted[..beep.len() - 100]);
}

/// The keys of either party, also those that come as events or by INFO, stay with us; a later connection has them again.
#[test]
fn keys_are_kept_from_the_other_party_and_told() {
    let mut world = World::new(2, 1, Network::default());
    for (engine, leg, to) in [(0, 1, 11), (0, 2, 12), (1, 11, 1), (1, 12, 2)] {
        world.add(engine, leg, to, config(Codec::Pcmu));
    }
    let connect = |world: &mut World, mute_digits| {
        let (first, second, mode) = (LegId(1), LegId(2), ConnectMode::Both);
        world.command(Command::Connect { first, second, mode, mute_digits });
    };
    let press = |world: &mut World| {
        world.send_digits(11, 1, "12");
        world.send_digits(12, 2, "3");
        world.run(1000);
        let (key, duration) = (Key::from_char('4').unwrap(), Duration::from_millis(100));
        world.command(Command::InfoDigit { leg: LegId(1), key, duration });
        world.run(1000);
        let keys = |leg| world.digits_of(leg).into_iter().map(|(key, _)| key).collect::<String>();
        [keys(1), keys(2), keys(11), keys(12)]
    };
    connect(&mut world, true);
    assert_eq!(press(&mut world), ["124", "3", "", ""]);
    world.command(Command::Disconnect { first: LegId(1), second: LegId(2) });
    connect(&mut world, false);
    let [.., to_first, to_second] = press(&mut world);
    assert_eq!((to_first.as_str(), to_second.len()), ("3", 3));
}
