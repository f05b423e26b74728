//! Negotiations that change under running actions: hold and resume, another codec, other payload types, another address.

use super::*;

fn update(world: &mut World, leg: u64, to: u64, config: LegConfig) {
    let config = with(config, |media| (media.remote_rtp, media.remote_rtcp) = (address(to), address(to)));
    world.command(Command::UpdateLeg { leg: LegId(leg), config });
}

fn held(direction: Direction) -> LegConfig {
    with(config(Codec::Pcmu), |media| media.direction = direction)
}

#[test]
fn a_prompt_on_hold_is_not_sent_and_ends_when_it_would_have_ended() {
    for direction in [Direction::RecvOnly, Direction::Inactive] {
        let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
        let prompt = prompt(Codec::Pcmu, 16_000, 3);
        world.play(1, 1, &[&prompt], 0);
        world.run(500);
        let before = world.rtp_of(1).len();
        update(&mut world, 1, 2, held(direction));
        world.run(1000);
        assert_eq!(world.rtp_of(1).len(), before, "nothing is sent to {direction:?}");
        update(&mut world, 1, 2, config(Codec::Pcmu));
        world.run(600);
        let (at, _) =
            world.events.iter().find(|(_, event)| matches!(event, Event::PlayEnded { .. })).unwrap();
        assert!((1980..=2020).contains(at), "{at}");
        let packets = world.rtp_of(1);
        let after = packets[before];
        assert!(after.rtp().mark(), "a talkspurt begins");
        // What is heard after a second of hold is what stands a second later in the prompt.
        let heard_at = find(payload(&prompt), after.rtp().payload()).unwrap();
        assert!(heard_at.abs_diff((before + 50) * 160) <= 320, "{heard_at}");
        let gap = after.rtp().timestamp().wrapping_sub(packets[before - 1].rtp().timestamp());
        assert!(gap.abs_diff(51 * 160) <= 320, "the timestamps tell the pause: {gap}");
    }
}

#[test]
fn digits_are_not_sent_to_hold_and_end_all_the_same() {
    let mut world = World::pair(1, Network::default(), held(Direction::Inactive), config(Codec::Pcmu));
    world.send_digits(1, 1, "123");
    world.run(1000);
    assert!(world.rtp_of(1).is_empty());
    assert!(world.told().contains(&&Event::DigitsSent { leg: LegId(1), action: ActionId(1) }));
}

#[test]
fn a_recording_goes_on_through_hold_as_silence_of_the_right_length() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let prompt = prompt(Codec::Pcmu, 8000, 3);
    world.play(2, 1, &[&prompt], 60);
    world.record(1, 9, RecordFormat::Mulaw, 60_000);
    world.run(2000);
    update(&mut world, 1, 2, held(Direction::Inactive));
    update(&mut world, 2, 1, held(Direction::Inactive));
    world.run(3000);
    update(&mut world, 1, 2, config(Codec::Pcmu));
    update(&mut world, 2, 1, config(Codec::Pcmu));
    world.run(2000);
    world.stop_record(1, 9, false);
    let file = world.file(9);
    assert!(file.len().abs_diff(7 * 8000) <= 160, "{}", file.len());
    let silence = |range: std::ops::Range<usize>| file[range].iter().all(|&byte| byte == 0xff);
    assert!(silence(2300 * 8..4950 * 8), "hold is silent");
    assert!(
        !silence(1500 * 8..1900 * 8) && !silence(5300 * 8..5600 * 8),
        "the talk before and after is there"
    );
}

#[test]
fn a_recording_goes_on_in_another_codec_without_a_gap() {
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    let prompt = prompt(Codec::Pcmu, 8000, 3);
    world.play(2, 1, &[&prompt], 9);
    world.record(1, 9, RecordFormat::Mulaw, 60_000);
    world.run(2000);
    // We change first, so that packets in the former codec still come.
    update(&mut world, 1, 2, config(Codec::Pcma));
    world.run(200);
    update(&mut world, 2, 1, config(Codec::Pcma));
    world.run(2000);
    world.stop_record(1, 9, false);
    let file = world.file(9);
    assert!(file.len().abs_diff(4200 * 8) <= 160, "{}", file.len());
    let silent = |frame: &[u8]| frame.iter().all(|&byte| byte == 0xff);
    let heard = file.chunks(160).position(|frame| !silent(frame)).unwrap();
    let gaps = file.chunks(160).skip(heard).filter(|frame| silent(frame)).count();
    assert_eq!(gaps, 0, "no frame is lost at the change");
    let refused = |leg| {
        world.events.iter().rev().find_map(|(_, event)| match event {
            Event::Stats { leg: of, stats } if *of == LegId(leg) => Some(stats.packets_refused),
            _ => None,
        })
    };
    assert_eq!(refused(1), Some(0));
}

#[test]
fn digits_are_heard_under_another_payload_type_and_still_under_the_former() {
    let numbered = |number| {
        let number = |event: TelephoneEvent| TelephoneEvent {
            send_payload_type: number,
            receive_payload_type: number,
            ..event
        };
        with(config(Codec::Pcmu), |media| media.telephone_event = media.telephone_event.map(number))
    };
    let mut world = World::pair(1, Network::default(), config(Codec::Pcmu), config(Codec::Pcmu));
    world.send_digits(2, 1, "1");
    world.run(300);
    update(&mut world, 1, 2, numbered(98));
    world.send_digits(2, 2, "2");
    world.run(300);
    update(&mut world, 2, 1, numbered(98));
    world.send_digits(2, 3, "3");
    world.run(300);
    let keys: String = world.digits_of(1).iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, "123");
    let types: Vec<_> = world.rtp_of(2).iter().map(|sent| sent.rtp().payload_type()).collect();
    assert!(types.contains(&98) && types.contains(&101));
}

#[test]
fn a_connection_goes_on_when_one_side_changes_its_codec_and_its_address() {
    let mut world = World::new(2, 1, Network::default());
    world.add(0, 1, 11, config(Codec::Pcmu));
    world.add(0, 2, 12, config(Codec::Pcmu));
    world.add(1, 11, 1, config(Codec::Pcmu));
    world.add(1, 13, 1, config(Codec::Pcma));
    world.add(1, 12, 2, config(Codec::Pcmu));
    world.command(Command::Connect {
        first: LegId(1),
        second: LegId(2),
        mode: ConnectMode::Both,
        mute_digits: false,
    });
    let prompt = prompt(Codec::Pcmu, 8000, 3);
    world.play(12, 1, &[&prompt], 9);
    world.run(1000);
    let before = world.rtp_of(1).len();
    update(&mut world, 1, 13, config(Codec::Pcma));
    world.run(1000);
    let packets = world.rtp_of(1);
    assert!(packets[..before].iter().all(|sent| sent.rtp().payload_type() == 0));
    assert!(
        packets.len() >= before + 48 && packets[before..].iter().all(|sent| sent.rtp().payload_type() == 8)
    );
    let sequences: Vec<u16> = packets.iter().map(|sent| sent.rtp().sequence_number().into()).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "one stream");
    // The party on hold hears nothing; the other goes on being heard by nobody.
    update(&mut world, 1, 13, with(config(Codec::Pcma), |media| media.direction = Direction::Inactive));
    let held = world.rtp_of(1).len();
    world.run(500);
    assert_eq!(world.rtp_of(1).len(), held);
    update(&mut world, 1, 13, config(Codec::Pcma));
    world.run(500);
    assert!(world.rtp_of(1).len() >= held + 23);
}
