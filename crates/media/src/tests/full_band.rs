//! Rooms of members with different bands: each hears, and the recording has, all that it can carry.

use std::f64::consts::TAU;

use super::*;

const ROOM: RoomId = RoomId(1);
/// What a telephone carries, and what it does not: sampled at 8 kHz as it is, the second would be heard at 2.5 kHz.
const LOW: f64 = 1000.0;
const HIGH: f64 = 10_500.0;
const ALIAS: f64 = 2500.0;

fn command(world: &mut World, command: RoomCommand) {
    world.command(Command::Room { room: ROOM, command });
}

/// Levels in dB, relative to the amplitude that was sent, in the second half of a recording at this rate.
fn levels(file: &[u8], rate: f64) -> [f64; 3] {
    let samples: Vec<i16> = file.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect();
    let heard = &samples[samples.len() / 2..];
    [LOW, HIGH, ALIAS].map(|frequency| {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in heard.iter().enumerate() {
            let at = TAU * frequency * n as f64 / rate;
            (sine, cosine) = (sine + f64::from(sample) * at.sin(), cosine + f64::from(sample) * at.cos());
        }
        20.0 * (2.0 * f64::hypot(sine, cosine) / heard.len() as f64 / 4000.0).log10()
    })
}

/// Two with Opus and one with PCMU: what the first says is heard at full band by the second and by who records the room, and
/// as a telephone has it by the third.
#[test]
fn a_member_with_opus_hears_another_at_full_band_beside_members_with_8_khz() {
    let mut world = World::new(2, 1, Network::default());
    command(&mut world, RoomCommand::Open { tells_talking: false });
    for (leg, codec) in [(1, Codec::Opus), (2, Codec::Opus), (3, Codec::Pcmu)] {
        world.add(0, leg, leg + 10, config(codec));
        world.add(1, leg + 10, leg, config(codec));
        command(&mut world, RoomCommand::Join { leg: LegId(leg), voice: Voice::default() });
    }
    let (action, recording, max) = (ActionId(50), RecordingId(50), Duration::from_secs(60));
    command(&mut world, RoomCommand::Record { action, recording, max });
    for (recording, rate) in [(50, 48_000), (2, 48_000), (3, 8000)] {
        world.rates.insert(RecordingId(recording), rate);
    }
    for leg in [2, 3] {
        world.record(leg + 10, leg, RecordFormat::Pcm16, 60_000);
    }
    let sample = |n: u32, frequency: f64| (TAU * frequency * f64::from(n) / 48_000.0).sin();
    #[allow(clippy::cast_possible_truncation, reason = "within the range")]
    let said: Vec<i16> =
        (0..96_000).map(|n| (4000.0 * (sample(n, LOW) + sample(n, HIGH))).round() as i16).collect();
    world.play(11, 1, &[&Prompt::encode(&said, Codec::Opus)], 0);
    world.run(2000);
    for leg in [2, 3] {
        world.stop_record(leg + 10, leg, false);
    }
    command(&mut world, RoomCommand::StopRecord { action });
    for (who, recording) in [("another", 2), ("the recording", 50)] {
        let [low, high, alias] = levels(world.file(recording), 48_000.0);
        assert!(low.abs() < 2.0 && high.abs() < 2.0 && alias < -30.0, "{who}: {low:.1} {high:.1} {alias:.1}");
    }
    let [low, _, alias] = levels(world.file(3), 8000.0);
    assert!(low.abs() < 2.0 && alias < -35.0, "the telephone: {low:.1} {alias:.1}");
}
