//! Whether the peer is there: silence told once, hold exempt, and little sent to where nothing came from.

use super::*;

const SECOND: u64 = 1000;

/// A leg that finds its peer silent after 30 s, at the address of nobody.
fn alone(change: impl FnOnce(&mut LegConfig)) -> World {
    let mut world = World::new(1, 1, Network::default());
    let mut config = watching();
    change(&mut config);
    world.add(0, 1, 101, config);
    world
}

fn watching() -> LegConfig {
    LegConfig { silent_after: Some(Duration::from_secs(30)), ..config(Codec::Pcmu) }
}

fn datagram(world: &mut World, channel: Channel, bytes: &[u8]) {
    let now = world.now();
    world.engines[0].receive(now, LegId(1), channel, bytes);
    world.drain();
}

fn packet(world: &mut World, payload_type: u8, payload: &[u8]) {
    let [.., high, low] = world.step.to_be_bytes();
    let head = [0x80, payload_type, high, low, 0, 0, 0, 0, 0, 0, 0, 1];
    datagram(world, Channel::Rtp, &[&head[..], payload].concat());
}

/// When silence was told, and when its end.
fn silences(world: &World) -> Vec<(u64, bool)> {
    let told = |(at, event): &(u64, Event)| match event {
        Event::Silent { .. } => Some((*at, true)),
        Event::Heard { .. } => Some((*at, false)),
        _ => None,
    };
    world.events.iter().filter_map(told).collect()
}

#[test]
fn s17_silence_is_told_once_and_so_is_its_end() {
    let mut world = alone(|_| {});
    world.run(29_980);
    assert_eq!(silences(&world), []);
    world.run(10 * SECOND);
    let [(at, true)] = silences(&world)[..] else { panic!("{:?}", silences(&world)) };
    assert!((30_000..30_040).contains(&at), "{at}");
    packet(&mut world, 0, &[0xff; 160]);
    packet(&mut world, 0, &[0xff; 160]);
    assert_eq!(silences(&world)[1..], [(39_980, false)]);
    world.run(29_980);
    assert_eq!(silences(&world).len(), 2);
    world.run(40);
    assert_eq!(silences(&world).len(), 3, "and again");
}

#[test]
fn s17_whatever_can_be_read_counts_as_life() {
    let sender_report =
        [&[0x80, 200, 0, 6][..], &[7; 24], &[0x81, 202, 0, 2, 7, 7, 7, 7, 1, 1, 97, 0]].concat();
    type Sign<'a> = (&'a str, &'a dyn Fn(&mut World));
    let life: [Sign<'_>; 4] = [
        ("audio", &|world| packet(world, 0, &[0xff; 160])),
        ("a telephone-event", &|world| packet(world, 101, &[5, 0x0a, 0, 160])),
        ("comfort noise, which was not negotiated", &|world| packet(world, 13, &[60])),
        ("a report", &|world| datagram(world, Channel::Rtcp, &sender_report)),
    ];
    for (what, live) in life {
        let mut world = alone(|_| {});
        for _ in 0..4 {
            world.run(20 * SECOND);
            live(&mut world);
        }
        assert_eq!(silences(&world), [], "{what}");
    }
    let mut world = alone(|_| {});
    for _ in 0..2 {
        world.run(20 * SECOND);
        datagram(&mut world, Channel::Rtp, b"SIP/2.0 200 OK");
        datagram(&mut world, Channel::Rtcp, &[0x80, 200, 0, 9]);
    }
    assert_eq!(silences(&world).len(), 1, "nonsense is no life");
}

#[test]
fn s17_a_peer_that_is_not_bound_to_send_is_never_silent() {
    for direction in [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
        let mut world = alone(|config| config.media.direction = direction);
        world.run(300 * SECOND);
        assert_eq!(silences(&world), [], "{direction:?}");
    }
    let mut world = alone(|config| config.silent_after = None);
    world.run(300 * SECOND);
    assert_eq!(silences(&world), [], "not asked for");
}

#[test]
fn s17_hold_ends_a_silence_and_a_resumed_peer_begins_anew() {
    let mut world = alone(|_| {});
    world.run(31 * SECOND);
    let held = LegConfig { ..with(watching(), |media| media.direction = Direction::RecvOnly) };
    world.command(Command::UpdateLeg { leg: LegId(1), config: held });
    assert_eq!(silences(&world)[1..], [(31_000, false)]);
    world.run(300 * SECOND);
    world.command(Command::UpdateLeg { leg: LegId(1), config: watching() });
    world.run(29 * SECOND);
    assert_eq!(silences(&world).len(), 2);
    world.run(2 * SECOND);
    let [.., (at, true)] = silences(&world)[..] else { panic!("{:?}", silences(&world)) };
    assert!((361_000..361_040).contains(&at), "{at}");
}

#[test]
fn p6_no_more_than_so_much_media_goes_where_nothing_came_from() {
    let limited = |config: &mut LegConfig| config.unheard_limit = Some(Duration::from_secs(5));
    let mut world = alone(limited);
    let prompt = prompt(Codec::Pcmu, 8000, 3);
    world.play(1, 1, &[&prompt], 19);
    world.run(10 * SECOND);
    assert_eq!(world.rtp_of(1).len(), 250, "5 s");
    packet(&mut world, 13, &[60]);
    world.run(2 * SECOND);
    assert_eq!(world.rtp_of(1).len(), 350, "it is there after all");
    // The prompt itself has gone on, so that it ends in time.
    let played = Duration::from_secs(20);
    world.run(9 * SECOND);
    assert!(world.told().contains(&&Event::PlayEnded { leg: LegId(1), action: ActionId(1), played }));

    // Another address has to be heard from anew.
    let sent = world.rtp_of(1).len();
    let mut moved = with(config(Codec::Pcmu), |media| media.remote_rtp = address(102));
    limited(&mut moved);
    world.command(Command::UpdateLeg { leg: LegId(1), config: moved });
    world.play(1, 2, &[&prompt], 19);
    world.run(10 * SECOND);
    assert_eq!(world.rtp_of(1).len() - sent, 250);
}
