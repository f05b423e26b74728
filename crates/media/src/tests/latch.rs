//! Peers that are elsewhere than they say (symmetric RTP), strangers, and what either of them gets.

use super::*;
use crate::srtp::{Keys, MasterKey, Suite};

/// The peer's own address, behind a NAT; the one that packets of it come from; those of a stranger.
const NAMED: u16 = 101;
const PEER: u16 = 7001;
const STRANGER: u16 = 6666;

fn symmetric(config: LegConfig) -> LegConfig {
    LegConfig { symmetric: true, ..config }
}

/// Another IP than the named one.
fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], port))
}

fn near(port: u16) -> SocketAddr {
    address(u64::from(port))
}

/// A leg that plays for as long as the tests last, to the address that was named.
fn playing(config: LegConfig) -> World {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, u64::from(NAMED), config);
    world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 1000);
    world
}

fn arrive(world: &mut World, source: SocketAddr, channel: Channel, bytes: &[u8]) {
    let now = world.now();
    world.engines[0].receive_from(now, LegId(1), channel, source, bytes);
    world.drain();
}

/// A packet of audio.
fn speak(world: &mut World, source: SocketAddr, ssrc: u8, sequence: u16) {
    let [high, low] = sequence.to_be_bytes();
    let head = [0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, ssrc];
    arrive(world, source, Channel::Rtp, &[&head[..], &[0x30; 160]].concat());
}

/// So many frames in which everybody sends a packet.
fn talk(world: &mut World, frames: std::ops::Range<u16>, sources: &[SocketAddr]) {
    for sequence in frames {
        for (ssrc, &source) in (1..).zip(sources) {
            speak(world, source, ssrc, sequence);
        }
        world.run(20);
    }
}

/// How many of our packets of media went to each address.
fn went(world: &World, to: SocketAddr) -> usize {
    world.sent.iter().filter(|sent| sent.channel == Channel::Rtp && sent.to == to).count()
}

fn found(world: &World) -> Vec<(Channel, SocketAddr)> {
    let found = |event: &&Event| match **event {
        Event::PeerFound { channel, address, .. } => Some((channel, address)),
        _ => None,
    };
    world.told().iter().filter_map(found).collect()
}

fn strangers(world: &World) -> Vec<(u64, SocketAddr)> {
    let stranger = |(at, event): &(u64, Event)| match event {
        Event::Stranger { address, .. } => Some((*at, *address)),
        _ => None,
    };
    world.events.iter().filter_map(stranger).collect()
}

fn peer(world: &World, channel: Channel) -> Option<SocketAddr> {
    world.engines[0].peer(LegId(1), channel)
}

fn stats(world: &mut World) -> LegStats {
    world.command(Command::RemoveLeg { leg: LegId(1) });
    match world.told().last() {
        Some(Event::LegRemoved { stats, .. }) => *stats,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r1_nobody_is_learnt_where_it_is_not_configured() {
    let mut world = playing(config(Codec::Pcmu));
    assert_eq!(peer(&world, Channel::Rtp), Some(near(NAMED)), "sockets are connected from the start");
    talk(&mut world, 0..500, &[near(STRANGER), elsewhere(STRANGER)]);
    assert_eq!((went(&world, near(STRANGER)), went(&world, elsewhere(STRANGER))), (0, 0));
    assert!(went(&world, near(NAMED)) >= 499);
    assert_eq!(found(&world), []);
}

#[test]
fn r1_a_peer_behind_a_nat_is_found_and_then_heard_and_spoken_to_there_alone() {
    for source in [near(PEER), elsewhere(PEER)] {
        let mut world = playing(symmetric(config(Codec::Pcmu)));
        assert_eq!((peer(&world, Channel::Rtp), peer(&world, Channel::Rtcp)), (None, None));
        talk(&mut world, 0..100, &[source]);
        assert_eq!(found(&world), [(Channel::Rtp, source)]);
        assert_eq!(peer(&world, Channel::Rtp), Some(source));
        let (named, learnt) = (went(&world, near(NAMED)), went(&world, source));
        assert!(named <= 5 && learnt >= 94, "{named} {learnt}");
        let stats = stats(&mut world);
        assert!(stats.packets_received >= 96, "{stats:?}");
    }
}

/// Whoever sprays packets at the port, before or after, gets nothing of ours (G16: 5 packets at most).
#[test]
fn r1_a_stranger_who_sprays_gets_nothing_once_the_peer_is_there() {
    for (source, stranger) in
        [(near(NAMED), near(STRANGER)), (near(NAMED), elsewhere(STRANGER)), (near(PEER), elsewhere(STRANGER))]
    {
        let mut world = playing(symmetric(config(Codec::Pcmu)));
        // Both begin at once, the stranger first in each frame; then each goes on for long.
        talk(&mut world, 0..500, &[stranger, source]);
        assert_eq!(went(&world, stranger), 0, "{source} {stranger}");
        assert!(went(&world, source) >= 490);
        // Late or early in sequence, with the peer's own numbers: nothing.
        for sequence in 500..600 {
            speak(&mut world, stranger, 2, sequence);
            world.run(20);
        }
        assert_eq!(went(&world, stranger), 0);
        assert_eq!(found(&world), [(Channel::Rtp, source)]);
    }
}

#[test]
fn r1_a_spray_without_order_is_never_learnt() {
    let mut world = playing(symmetric(config(Codec::Pcmu)));
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..2000 {
        let source = if random.bool() { elsewhere(random.u16(1..)) } else { near(random.u16(8000..)) };
        speak(&mut world, source, random.u8(..), random.u16(..));
        world.run(2);
    }
    assert_eq!(found(&world), []);
    assert!(world.sent.iter().all(|sent| sent.to == near(NAMED)));
    assert_eq!(stats(&mut world).packets_received, 0);
}

#[test]
fn r2_strangers_after_the_lock_are_counted_and_told_now_and_then() {
    let mut world = playing(symmetric(config(Codec::Pcmu)));
    talk(&mut world, 0..5, &[near(PEER)]);
    let before = world.now();
    talk(&mut world, 5..1255, &[near(PEER), elsewhere(STRANGER)]);
    assert_eq!(world.now().duration_since(before), Duration::from_secs(25));
    let told = strangers(&world);
    assert_eq!(told.iter().map(|(_, address)| *address).collect::<Vec<_>>(), [elsewhere(STRANGER); 3]);
    assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 10_000), "{told:?}");
    let stats = stats(&mut world);
    assert!(stats.packets_refused >= 1250, "{stats:?}");
    assert!((1250..=1255).contains(&stats.packets_received), "{stats:?}");
    assert_eq!(stats.packets_lost, 0);
}

#[test]
fn r1_what_was_not_agreed_on_teaches_nothing() {
    let mut world = playing(symmetric(config(Codec::Pcmu)));
    for sequence in 0..50u8 {
        let head = [0x80, 98, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1];
        arrive(&mut world, near(PEER), Channel::Rtp, &[&head[..], &[0x30; 160]].concat());
        arrive(&mut world, near(PEER), Channel::Rtp, b"SIP/2.0 200 OK");
        world.run(20);
    }
    assert_eq!((found(&world), peer(&world, Channel::Rtp)), (vec![], None));
}

#[test]
fn r1_the_lock_holds_until_a_description_names_another_address() {
    let mut world = playing(symmetric(config(Codec::Pcmu)));
    talk(&mut world, 0..10, &[elsewhere(PEER)]);
    let named = |port: u16| {
        with(symmetric(config(Codec::Pcmu)), |media| {
            (media.remote_rtp, media.remote_rtcp) = (near(port), near(port));
        })
    };
    let hold = with(symmetric(config(Codec::Pcmu)), |media| {
        media.remote_rtp = SocketAddr::from(([0, 0, 0, 0], NAMED));
    });
    for same in [named(NAMED), hold, named(NAMED)] {
        world.command(Command::UpdateLeg { leg: LegId(1), config: same });
        assert_eq!(peer(&world, Channel::Rtp), Some(elsewhere(PEER)));
    }
    world.command(Command::UpdateLeg { leg: LegId(1), config: named(102) });
    assert_eq!(peer(&world, Channel::Rtp), None, "to be learnt anew");
    let before = went(&world, elsewhere(PEER));
    talk(&mut world, 10..14, &[elsewhere(PEER)]);
    assert_eq!(went(&world, elsewhere(PEER)), before);
    talk(&mut world, 14..20, &[near(102)]);
    assert_eq!(found(&world).last(), Some(&(Channel::Rtp, near(102))));
    world.command(Command::UpdateLeg { leg: LegId(1), config: config(Codec::Pcmu) });
    assert_eq!(peer(&world, Channel::Rtp), Some(near(0)), "no longer symmetric");
}

#[test]
fn r1_reports_go_where_the_peer_sends_its_own_from() {
    let mut world = playing(symmetric(config(Codec::Pcmu)));
    let report = [&[0x80, 200, 0, 6][..], &[7; 24], &[0x81, 202, 0, 2, 7, 7, 7, 7, 1, 1, 97, 0]].concat();
    arrive(&mut world, elsewhere(PEER + 1), Channel::Rtcp, &report);
    talk(&mut world, 0..10, &[elsewhere(PEER)]);
    arrive(&mut world, near(STRANGER), Channel::Rtcp, &report);
    assert_eq!(found(&world), [(Channel::Rtp, elsewhere(PEER))]);
    arrive(&mut world, elsewhere(PEER + 9), Channel::Rtcp, b"nonsense");
    arrive(&mut world, elsewhere(PEER + 1), Channel::Rtcp, &report);
    assert_eq!(found(&world)[1..], [(Channel::Rtcp, elsewhere(PEER + 1))]);
    let before = world.sent.len();
    talk(&mut world, 10..1000, &[elsewhere(PEER)]);
    let reports = world.sent[before..].iter().filter(|sent| sent.channel == Channel::Rtcp);
    assert!(reports.clone().count() >= 2);
    assert!(reports.clone().all(|sent| sent.to == elsewhere(PEER + 1)));
}

#[test]
fn r3_only_authentic_packets_teach_where_media_is_protected() {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = |seed: u8| MasterKey::new(suite, &vec![seed; suite.master()]).unwrap();
    let keys = |ours, theirs| Some(Keys::new(key(ours), key(theirs)));
    let leg = symmetric(with(config(Codec::Pcmu), |media| media.keys = keys(1, 2)));
    let mut world = playing(leg);
    talk(&mut world, 0..100, &[near(STRANGER)]);
    assert_eq!(found(&world), []);
    // A peer that has the keys, in an engine of its own.
    world.engines.push(Engine::new(Clock { mono: world.epoch, unix_ms: 0 }, [9; 32]));
    world.add(1, 2, 1, with(config(Codec::Pcmu), |media| media.keys = keys(2, 1)));
    world.play(2, 2, &[&prompt(Codec::Pcmu, 8000, 3)], 0);
    for _ in 0..50 {
        let before = world.sent.len();
        world.run(20);
        let said: Vec<Vec<u8>> = world.sent[before..]
            .iter()
            .filter(|sent| sent.leg == LegId(2) && sent.channel == Channel::Rtp)
            .map(|sent| sent.bytes.clone())
            .collect();
        for bytes in said {
            arrive(&mut world, elsewhere(PEER), Channel::Rtp, &bytes);
            // A copy from elsewhere is a replay.
            arrive(&mut world, near(STRANGER), Channel::Rtp, &bytes);
        }
    }
    assert_eq!(found(&world), [(Channel::Rtp, elsewhere(PEER))]);
    assert_eq!(went(&world, near(STRANGER)), 0);
    assert!(went(&world, elsewhere(PEER)) >= 40);
}
