//! Detectors on legs: what was asked for is told, at any rate of the leg, beside a connection and across engines.

use super::*;
use crate::codec::Encoder;
use crate::detect::progress::NetworkTone;
use crate::progress::{Progress, ProgressTone};

/// So many seconds of the busy tone of the United States, in a codec.
fn busy(codec: Codec, seconds: usize) -> Arc<Prompt> {
    let mut samples = vec![0; codec.sample_rate() as usize * seconds];
    let us = Country::from_code("us").unwrap();
    ProgressTone::new(us, Progress::Busy, codec.sample_rate()).fill(&mut samples);
    let mut payload = Vec::new();
    Encoder::new(codec).encode(&samples, &mut payload);
    Arc::new(Prompt::new(codec, payload))
}

fn detect(leg: u64, kinds: &[Kind]) -> Command {
    Command::Detect { leg: LegId(leg), kinds: kinds.iter().copied().collect(), country: None }
}

/// What a leg told of what it heard.
fn heard(world: &World, leg: u64) -> Vec<Detected> {
    let detected = |event: &&Event| match event {
        Event::Detected { leg: of, detected } if *of == LegId(leg) => Some(*detected),
        _ => None,
    };
    world.told().iter().filter_map(detected).collect()
}

const BUSY: Detected = Detected::Tone(NetworkTone::Progress(Progress::Busy));

#[test]
fn tones_are_heard_at_every_rate_while_they_are_asked_for() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16Wide] {
        let mut world = World::pair(1, Network::default(), config(codec), config(codec));
        world.play(1, 1, &[&busy(codec, 5)], 0);
        world.command(detect(2, &[Kind::Tones, Kind::Fax]));
        world.run(6000);
        assert_eq!(heard(&world, 2), [BUSY], "{codec:?}");
        world.command(detect(2, &[]));
        world.play(1, 2, &[&busy(codec, 5)], 0);
        world.run(6000);
        assert_eq!(heard(&world, 2), [BUSY], "{codec:?}");
    }
}

#[test]
fn a_connection_that_is_listened_to_goes_on() {
    let mut world = World::new(3, 2, Network::default());
    world.add(0, 1, 11, config(Codec::Pcma));
    world.add(0, 2, 12, config(Codec::Pcma));
    world.add(1, 11, 1, config(Codec::Pcma));
    world.add(2, 12, 2, config(Codec::Pcma));
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    world.command(detect(1, &[Kind::Tones]));
    world.command(detect(12, &[Kind::Tones]));
    world.play(11, 1, &[&busy(Codec::Pcma, 5)], 0);
    world.run(6000);
    assert_eq!((heard(&world, 1), heard(&world, 12)), (vec![BUSY], vec![BUSY]));
}

/// Nothing comes at all, and that is something to tell: nobody has said a word.
#[test]
fn silence_is_listened_to_as_well() {
    use crate::detect::amd::{Answerer, Reason};
    let mut world = World::pair(3, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.command(detect(2, &[Kind::Amd]));
    world.run(4000);
    assert_eq!(heard(&world, 2), [Detected::Answerer(Answerer::Unsure, Reason::InitialSilence)]);
}
