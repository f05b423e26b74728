//! Prompts: what is heard is what was played.

use super::*;

#[test]
fn a_prompt_is_heard_as_it_was_played() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::pair(1, Network::default(), config(codec), config(codec));
        let format = if codec == Codec::Pcmu { RecordFormat::Mulaw } else { RecordFormat::Alaw };
        world.record(2, 1, format, 10_000);
        let prompt = prompt(codec, 16_037, 5);
        world.play(1, 2, &[&prompt], 0);
        world.run(3000);
        world.stop_record(2, 1, false);
        assert!(find(world.file(1), payload(&prompt)).is_some());
        let played = Duration::from_micros(16_037 * 125);
        assert!(world.told().contains(&&Event::PlayEnded { leg: LegId(1), action: ActionId(2), played }));
    }
}

#[test]
fn the_packets_of_a_prompt() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let first = prompt(Codec::Pcmu, 250, 1);
    let second = prompt(Codec::Pcmu, 150, 2);
    world.play(1, 1, &[&first, &second], 1);
    world.run(400);
    let packets = world.rtp_of(1);
    // Twice 400 samples without a gap: five packets.
    let expected = [payload(&first), payload(&second), payload(&first), payload(&second)].concat();
    let sent: Vec<u8> = packets.iter().flat_map(|packet| packet.rtp().payload().to_vec()).collect();
    assert_eq!(sent, expected);
    let markers: Vec<_> = packets.iter().map(|packet| packet.rtp().mark()).collect();
    assert_eq!(markers, [true, false, false, false, false]);
    for pair in packets.windows(2) {
        let (one, other) = (pair[0].rtp(), pair[1].rtp());
        assert_eq!(other.sequence_number() - one.sequence_number(), 1);
        assert_eq!(other.timestamp().wrapping_sub(one.timestamp()), 160);
        assert_eq!((one.payload_type(), other.ssrc()), (0, one.ssrc()));
        assert_eq!(pair[1].at_ms - pair[0].at_ms, 20);
    }
}

#[test]
fn after_a_pause_the_marker_and_the_time_that_passed() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let prompt = prompt(Codec::Pcmu, 160, 1);
    world.play(1, 1, &[&prompt], 0);
    world.run(1000);
    world.play(1, 2, &[&prompt], 0);
    world.run(100);
    let packets = world.rtp_of(1);
    let [first, second] = packets.as_slice() else { panic!("{packets:?}") };
    assert!(second.rtp().mark());
    let passed = second.rtp().timestamp().wrapping_sub(first.rtp().timestamp());
    assert_eq!(u64::from(passed), (second.at_ms - first.at_ms) * 8);
}

#[test]
fn any_packet_time_out() {
    for ptime_ms in [10, 20, 30, 40, 60] {
        let config = with(config(Codec::Pcmu), |media| media.ptime_ms = ptime_ms);
        let mut world = World::pair(1, Network::default(), config.clone(), config);
        world.record(2, 1, RecordFormat::Mulaw, 10_000);
        let prompt = prompt(Codec::Pcmu, 8_000, 9);
        world.play(1, 2, &[&prompt], 0);
        world.run(1500);
        world.stop_record(2, 1, false);
        assert!(find(world.file(1), payload(&prompt)).is_some(), "{ptime_ms} ms");
        for packet in world.rtp_of(1) {
            assert_eq!(packet.rtp().payload().len(), usize::from(ptime_ms) * 8);
        }
    }
}

#[test]
fn a_prompt_on_hold_runs_unheard() {
    for direction in [Direction::RecvOnly, Direction::Inactive] {
        let held = with(config(Codec::Pcmu), |media| media.direction = direction);
        let mut world = World::pair(1, Network::default(), held, config(Codec::Pcmu));
        world.play(1, 1, &[&prompt(Codec::Pcmu, 8000, 1)], 0);
        world.send_digits(1, 2, "1");
        world.run(1300);
        assert_eq!(world.rtp_of(1).len(), 0);
        let played = Duration::from_secs(1);
        assert!(world.told().contains(&&Event::PlayEnded { leg: LegId(1), action: ActionId(1), played }));
    }
}

#[test]
fn early_media_becomes_the_final_answer_while_a_prompt_plays() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcma));
    let prompt = prompt(Codec::Pcmu, 8000, 3);
    world.play(1, 1, &[&prompt], 0);
    world.run(500);
    let mut changed = config(Codec::Pcma);
    (changed.media.remote_rtp, changed.media.remote_rtcp) = (address(2), address(2));
    world.command(Command::UpdateLeg { leg: LegId(1), config: changed });
    world.run(800);
    let packets = world.rtp_of(1);
    let types: Vec<_> = packets.iter().map(|packet| packet.rtp().payload_type()).collect();
    assert_eq!(types.len(), 50);
    let turn = types.iter().position(|&payload_type| payload_type == 8).unwrap();
    assert_eq!(types, [vec![0; turn], vec![8; 50 - turn]].concat());
    let mut expected = Vec::new();
    Codec::Pcma.transcode(Codec::Pcmu, &payload(&prompt)[turn * 160..][..160], &mut expected);
    assert_eq!(packets[turn].rtp().payload(), expected);
}

#[test]
fn an_update_between_two_packets_loses_nothing() {
    for (before_ms, after_ms) in [(60, 60), (60, 20), (60, 10), (20, 60)] {
        let with_ptime = |ptime_ms| with(config(Codec::Pcmu), |media| media.ptime_ms = ptime_ms);
        for run_ms in [440, 460, 480] {
            let mut world = World::pair(1, Network::default(), with_ptime(before_ms), config(Codec::Pcmu));
            let prompt = prompt(Codec::Pcmu, 3840, 3);
            world.play(1, 1, &[&prompt], 0);
            world.run(run_ms);
            world.command(Command::UpdateLeg { leg: LegId(1), config: with_ptime(after_ms) });
            world.run(500);
            let sent: Vec<u8> =
                world.rtp_of(1).iter().flat_map(|packet| packet.rtp().payload().to_vec()).collect();
            assert!(sent[..3840] == *payload(&prompt), "{before_ms} to {after_ms} ms at {run_ms} ms");
        }
    }
}
