//! Legs that have nothing to say: nothing, or silence where that is wanted.

use super::*;
use crate::sdp::ComfortNoise;

fn silent(codec: Codec) -> LegConfig {
    LegConfig { idle: Idle::Silence, ..config(codec) }
}

/// A leg, towards nobody.
fn alone(config: LegConfig) -> World {
    let mut world = World::new(1, 1, Network::default());
    world.add(0, 1, 101, config);
    world
}

/// The payloads that a leg sent, of packets that follow each other without a gap: in sequence, in time by the samples of
/// each, and with a marker on the first alone.
fn unbroken(world: &World, leg: u64, samples: u32) -> Vec<Vec<u8>> {
    let packets = world.rtp_of(leg);
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(packet.rtp().mark(), index == 0, "{index}");
    }
    for pair in packets.windows(2) {
        assert_eq!(pair[1].rtp().sequence_number() - pair[0].rtp().sequence_number(), 1);
        assert_eq!(pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp()), samples);
    }
    packets.iter().map(|packet| packet.rtp().payload().to_vec()).collect()
}

#[test]
fn a_leg_with_nothing_to_say_sends_nothing_unless_that_is_wanted() {
    let mut world = alone(config(Codec::Pcmu));
    world.record(1, 1, RecordFormat::Mulaw, 60_000);
    world.run(5000);
    assert_eq!(world.rtp_of(1).len(), 0);
}

/// The silence of G.711: +0 of either law (0xff and 0xd5, G.711 tables 1a and 2a), every 20 ms.
#[test]
fn silence_is_sent_at_the_pace_of_audio() {
    for (codec, silence) in [(Codec::Pcmu, 0xff), (Codec::Pcma, 0xd5)] {
        let mut world = alone(silent(codec));
        world.run(5000);
        let sent = unbroken(&world, 1, 160);
        assert!((249..=250).contains(&sent.len()), "{}", sent.len());
        assert!(sent.iter().all(|payload| *payload == [silence; 160]));
    }
    for (codec, clock) in [(Codec::G722, 160), (Codec::Gsm, 160), (Codec::L16Wide, 320)] {
        let mut world = alone(silent(codec));
        world.run(1000);
        assert!(unbroken(&world, 1, clock).len() >= 49);
    }
    let slow = with(silent(Codec::Pcmu), |media| media.ptime_ms = 60);
    let mut world = alone(slow);
    world.run(6000);
    let sent = unbroken(&world, 1, 480);
    assert!((99..=100).contains(&sent.len()) && sent.iter().all(|payload| *payload == [0xff; 480]));
}

#[test]
fn a_prompt_takes_the_place_of_silence_without_a_gap() {
    let mut world = alone(silent(Codec::Pcmu));
    world.record(1, 2, RecordFormat::Mulaw, 60_000);
    world.run(500);
    let prompt = prompt(Codec::Pcmu, 8000, 1);
    world.play(1, 1, &[&prompt], 0);
    world.run(2000);
    let sent = unbroken(&world, 1, 160);
    assert!((124..=125).contains(&sent.len()), "one packet each 20 ms of 2.5 s: {}", sent.len());
    let sent = sent.concat();
    let begin = find(&sent, payload(&prompt)).expect("the prompt as it is");
    assert!(sent[..begin].iter().chain(&sent[begin + 8000..]).all(|byte| *byte == 0xff));
    // One at another rate ends amid a filter, whose rest comes before the silence.
    let mut world = alone(silent(Codec::Pcmu));
    world.play(1, 1, &[&Prompt::encode(&[1000; 16_100], Codec::L16Wide)], 0);
    world.run(2000);
    let sent = unbroken(&world, 1, 160).concat();
    let end = sent.iter().rposition(|byte| *byte != 0xff).expect("a prompt");
    assert!((8040..=8100).contains(&end), "{end}: the prompt and 6 ms of a filter");
}

#[test]
fn a_peer_that_does_not_want_to_hear_us_is_sent_no_silence() {
    let mut world = alone(silent(Codec::Pcmu));
    world.run(500);
    let held = with(silent(Codec::Pcmu), |media| media.direction = Direction::RecvOnly);
    world.command(Command::UpdateLeg { leg: LegId(1), config: held });
    let before = world.rtp_of(1).len();
    world.run(5000);
    assert_eq!(world.rtp_of(1).len(), before);
    world.command(Command::UpdateLeg { leg: LegId(1), config: silent(Codec::Pcmu) });
    world.run(500);
    let resumed = &world.rtp_of(1)[before..];
    assert!(resumed.len() >= 24 && resumed[0].rtp().mark());
    let last = world.rtp_of(1)[before - 1].rtp().timestamp();
    let pause = resumed[0].rtp().timestamp().wrapping_sub(last);
    assert!((39_800..=40_400).contains(&pause), "{pause}: as long as the pause");
}

/// Of silence too no more goes to where nothing came from than is allowed (P6).
#[test]
fn silence_counts_as_media_to_where_nothing_came_from() {
    let mut world = alone(LegConfig { unheard_limit: Some(Duration::from_secs(3)), ..silent(Codec::Pcmu) });
    world.run(10_000);
    assert_eq!(world.rtp_of(1).len(), 150);
}

fn noisy(codec: Codec) -> LegConfig {
    let noise = ComfortNoise { send_payload_type: 13, receive_payload_type: 13 };
    let config = with(config(codec), |media| media.comfort_noise = Some(noise));
    LegConfig { idle: Idle::ComfortNoise, ..config }
}

/// RFC 3389 §3.1 and §4: a packet with a level when silence begins, without a marker, and one now and then; the next talkspurt
/// has the marker and its place in time.
#[test]
fn noise_is_described_when_silence_begins_and_each_second() {
    let mut world = alone(noisy(Codec::Pcmu));
    world.run(10_000);
    let packets = world.rtp_of(1);
    assert!((10..=12).contains(&packets.len()), "{}", packets.len());
    for packet in &packets {
        let rtp = packet.rtp();
        assert_eq!((rtp.payload_type(), rtp.mark(), rtp.payload()), (13, false, &[71][..]));
    }
    let begun = packets.len();
    world.play(1, 1, &[&prompt(Codec::Pcmu, 1600, 1)], 0);
    world.run(300);
    let packets = world.rtp_of(1);
    let talk = &packets[begun..];
    let kinds: Vec<_> =
        talk.iter().map(|packet| (packet.rtp().payload_type(), packet.rtp().mark())).collect();
    assert_eq!(kinds[0], (0, true));
    assert_eq!(kinds[1..10], [(0, false); 9]);
    assert_eq!(kinds[10], (13, false), "at once");
    assert_eq!(kinds.len(), 11);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].rtp().sequence_number() - pair[0].rtp().sequence_number(), 1);
        let (ms, ticks) = (
            pair[1].at_ms - pair[0].at_ms,
            pair[1].rtp().timestamp().wrapping_sub(pair[0].rtp().timestamp()),
        );
        assert!(u64::from(ticks).abs_diff(ms * 8) <= 160, "{ticks} ticks in {ms} ms");
    }
}

#[test]
fn who_does_not_know_comfort_noise_gets_silence() {
    let mut world = alone(LegConfig { idle: Idle::ComfortNoise, ..config(Codec::Pcmu) });
    world.run(1000);
    assert!(unbroken(&world, 1, 160).iter().all(|payload| *payload == [0xff; 160]));
    // And who does while it records: the way stays open.
    let mut world = alone(noisy(Codec::Pcma));
    world.record(1, 1, RecordFormat::Mulaw, 60_000);
    world.run(5000);
    assert!((5..=7).contains(&world.rtp_of(1).len()));
}

/// Who hears another party has its pauses; packets of our own between its would be out of order.
#[test]
fn a_party_of_a_connection_is_sent_what_the_other_says_and_no_more() {
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 11, silent(Codec::Pcmu));
    world.add(0, 2, 12, silent(Codec::Pcmu));
    world.add(1, 11, 1, config(Codec::Pcmu));
    world.add(1, 12, 2, config(Codec::Pcmu));
    let (first, second) = (LegId(1), LegId(2));
    world.command(Command::Connect { first, second, mode: ConnectMode::SecondHears, mute_digits: false });
    world.play(11, 1, &[&prompt(Codec::Pcmu, 8000, 2)], 0);
    world.run(3000);
    assert_eq!(world.rtp_of(2).len(), 50, "what the first one said");
    assert!(world.rtp_of(1).len() >= 149, "it hears nobody");
    world.command(Command::Disconnect { first, second });
    let before = world.rtp_of(2).len();
    world.run(1000);
    assert!(world.rtp_of(2).len() >= before + 49);
}

/// Members of a room that do not hear it: their far ends and the NATs between get what a leg at rest sends.
#[test]
fn a_member_that_does_not_hear_sends_what_a_leg_at_rest_sends() {
    for mode in [VoiceMode::SpeakOnly, VoiceMode::Neither] {
        let mut world = alone(silent(Codec::Pcmu));
        let room = |command| Command::Room { room: RoomId(1), command };
        world.command(room(RoomCommand::Open { tells_talking: false }));
        let voice = Voice { mode, ..Voice::default() };
        world.command(room(RoomCommand::Join { leg: LegId(1), voice }));
        let prompt = prompt(Codec::Pcmu, 8000, 1);
        let (action, prompts) = (ActionId(1), vec![prompt]);
        world.command(room(RoomCommand::Play { action, prompts, repeat: 0, gain: Gain::UNITY }));
        world.run(3000);
        let sent = unbroken(&world, 1, 160);
        assert!((149..=150).contains(&sent.len()), "{mode:?}: {}", sent.len());
        assert!(sent.iter().all(|payload| *payload == [0xff; 160]), "{mode:?}");
    }
}
