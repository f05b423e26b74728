//! Actions: each that begins on a leg ends with exactly one event, in any order of commands.

use std::collections::HashSet;

use super::*;

/// What became of the actions in one random course of commands on four legs.
fn course(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let network = Network { loss: 0.05, duplication: 0.02, delay_ms: 30 };
    let mut world = World::new(2, seed, network);
    let listening = LegConfig { detect_tones: true, ..config(Codec::Pcma) };
    world.add(0, 1, 11, config(Codec::Pcmu));
    world.add(0, 2, 12, listening.clone());
    world.add(1, 11, 1, config(Codec::Pcmu));
    world.add(1, 12, 2, listening);
    let mut begun = HashSet::new();
    for number in 1..120 {
        let leg = *random.choice(&[1, 2, 11, 12]).unwrap();
        let action = ActionId(random.u64(0..number));
        let alive = phase_of(&world.engines[world.homes[&LegId(leg)]], leg).is_some();
        match random.u8(0..15) {
            0..3 => {
                let prompt = prompt(Codec::Pcmu, random.usize(0..4000), number);
                world.play(leg, number, &[&prompt], random.u32(0..3));
                begun.extend(alive.then_some(number));
            }
            3..5 => {
                world.record(leg, number, RecordFormat::Pcm8, random.u64(0..500));
                begun.extend(alive.then_some(number));
            }
            5 => {
                world.send_digits(leg, number, "1,2");
                begun.extend(alive.then_some(number));
            }
            6 => world.command(Command::StopPlay { leg: LegId(leg), action }),
            7 => {
                let by_key = random.bool();
                world.command(Command::StopRecord { leg: LegId(leg), action, by_key });
            }
            8 => world.command(Command::StopDigits { leg: LegId(leg), action }),
            9 => world.command(Command::Connect {
                first: LegId(1),
                second: LegId(2),
                mode: ConnectMode::Both,
                mute_digits: false,
            }),
            10 => world.command(Command::Disconnect { first: LegId(2), second: LegId(1) }),
            11 if random.u8(0..10) == 0 => world.command(Command::RemoveLeg { leg: LegId(leg) }),
            12 => world.command(Command::UpdateLeg {
                leg: LegId(leg),
                config: with(config(Codec::Pcma), |media| media.remote_rtp = address(leg)),
            }),
            13 => {
                let kinds = Kind::ALL.into_iter().filter(|_| random.bool()).collect();
                world.command(Command::Detect { leg: LegId(leg), kinds, country: None });
            }
            _ => world.run(random.u64(0..300)),
        }
    }
    world.run(20_000);
    for leg in [1, 2, 11, 12] {
        world.command(Command::RemoveLeg { leg: LegId(leg) });
    }
    check(&world, &begun, seed);
}

fn check(world: &World, begun: &HashSet<u64>, seed: u64) {
    let mut ended = HashSet::new();
    let mut removed = HashSet::new();
    let mut recorded = 0;
    for event in world.told() {
        let (leg, action) = match event {
            Event::PlayEnded { leg, action, .. } | Event::DigitsSent { leg, action } => (leg, Some(action)),
            Event::RecordEnded { leg, action, duration, .. } => {
                recorded += 1;
                let samples = world.file(action.0).len() as u128;
                // A RIFF chunk has an even length.
                assert_eq!(samples, (duration.as_micros() / 125).next_multiple_of(2), "seed {seed}");
                (leg, Some(action))
            }
            Event::Digit { leg, .. }
            | Event::Detected { leg, .. }
            | Event::Silent { leg }
            | Event::Heard { leg }
            | Event::PeerFound { leg, .. }
            | Event::Stranger { leg, .. }
            | Event::Trouble { leg, .. } => (leg, None),
            Event::Stats { .. } | Event::Room { .. } => continue,
            Event::LegRemoved { leg, .. } => {
                assert!(removed.insert(*leg), "seed {seed}: {leg:?} twice");
                continue;
            }
        };
        assert!(!removed.contains(leg), "seed {seed}: {event:?} after its leg");
        if let Some(action) = action {
            assert!(ended.insert(action.0), "seed {seed}: {action:?} ended twice");
        }
    }
    assert_eq!(&ended, begun, "seed {seed}");
    assert_eq!((removed.len(), world.closed.len()), (4, recorded), "seed {seed}");
}

#[test]
fn every_action_ends_exactly_once() {
    for seed in 0..60 {
        course(seed);
    }
}

#[test]
fn a_stopped_prompt_tells_what_was_played() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], u32::MAX);
    world.run(2500);
    world.command(Command::StopPlay { leg: LegId(1), action: ActionId(2) });
    assert!(world.told().is_empty(), "another action");
    world.command(Command::StopPlay { leg: LegId(1), action: ActionId(1) });
    world.command(Command::StopPlay { leg: LegId(1), action: ActionId(1) });
    let packets = world.rtp_of(1).len();
    assert!((124..=125).contains(&packets));
    let played = Duration::from_millis(packets as u64 * 20);
    assert_eq!(world.told(), [&Event::PlayEnded { leg: LegId(1), action: ActionId(1), played }]);
    world.run(100);
    assert_eq!(world.rtp_of(1).len(), packets);
}

#[test]
fn an_empty_prompt_ends_at_once() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.play(1, 1, &[], u32::MAX);
    world.run(40);
    let end = Event::PlayEnded { leg: LegId(1), action: ActionId(1), played: Duration::ZERO };
    assert_eq!(world.told(), [&end]);
    assert_eq!(world.rtp_of(1).len(), 0);
}

#[test]
fn commands_for_legs_that_are_gone_do_nothing() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.command(Command::RemoveLeg { leg: LegId(1) });
    let told = world.told().len();
    world.command(Command::RemoveLeg { leg: LegId(1) });
    world.play(1, 1, &[&prompt(Codec::Pcmu, 160, 1)], 0);
    world.send_digits(1, 2, "1");
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    world.run(500);
    assert_eq!(world.told().len(), told);
    assert_eq!(world.rtp_of(1).len(), 0);
}
