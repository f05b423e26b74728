//! Streams that flow badly: loss either way, and a peer that hears nothing of us.

use super::*;

fn watched() -> LegConfig {
    let alarms = Alarms { loss_percent: Some(10), one_way_after: Some(Duration::from_secs(10)) };
    LegConfig { alarms, ..config(Codec::Pcmu) }
}

/// What a leg told, and when.
fn troubles(world: &World, leg: u64) -> Vec<(u64, Trouble)> {
    let trouble = |(at, event): &(u64, Event)| match event {
        Event::Trouble { leg: of, trouble } if *of == LegId(leg) => Some((*at, *trouble)),
        _ => None,
    };
    world.events.iter().filter_map(trouble).collect()
}

fn talk(world: &mut World, legs: &[u64]) {
    for &leg in legs {
        world.play(leg, leg, &[&prompt(Codec::Pcmu, 8000, leg)], 1000);
    }
}

#[test]
fn loss_is_told_once_each_way() {
    let lossy = Network { loss: 0.3, ..Network::default() };
    let mut world = World::pair(3, lossy, watched(), config(Codec::Pcmu));
    talk(&mut world, &[1, 2]);
    world.run(120_000);
    let told = troubles(&world, 1);
    let [(_, first), (_, second)] = told[..] else { panic!("{told:?}") };
    for trouble in [first, second] {
        let (Trouble::LossIn { percent } | Trouble::LossOut { percent }) = trouble else {
            panic!("{told:?}")
        };
        assert!((20..=40).contains(&percent), "{told:?}");
    }
    assert_ne!(std::mem::discriminant(&first), std::mem::discriminant(&second));
    assert_eq!(troubles(&world, 2), [], "it does not want to know");
    // It is over, and comes back: told again.
    world.network = Network::default();
    world.run(60_000);
    world.network = lossy;
    world.run(60_000);
    assert_eq!(troubles(&world, 1).len(), 4);
}

#[test]
fn a_good_line_is_no_trouble() {
    let fair = Network { loss: 0.02, duplication: 0.02, delay_ms: 40 };
    let mut world = World::pair(3, fair, watched(), watched());
    talk(&mut world, &[1, 2]);
    world.run(300_000);
    assert_eq!((troubles(&world, 1), troubles(&world, 2)), (vec![], vec![]));
}

#[test]
fn a_peer_that_is_heard_and_hears_nothing_is_told_once() {
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 99, watched());
    world.add(1, 2, 1, config(Codec::Pcmu));
    talk(&mut world, &[1, 2]);
    world.run(60_000);
    let told = troubles(&world, 1);
    let [(at, Trouble::OneWay { lasted })] = told[..] else { panic!("{told:?}") };
    assert!(lasted >= Duration::from_secs(10) && (10_000..25_000).contains(&at), "{told:?}");
    // Of one that says nothing either it is not known; that is silence.
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 99, watched());
    talk(&mut world, &[1]);
    world.run(60_000);
    assert_eq!(troubles(&world, 1), []);
}
