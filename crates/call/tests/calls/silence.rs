//! Far ends from which nothing comes any more (reliability.md S17), in virtual time. The time-out is 60 s; the media
//! tells of a silence of half of it. And those whose media comes from elsewhere than they named (R1).

use std::net::SocketAddr;
use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::gateway::Gateway;
use offhook_call::id::CallId;
use offhook_call::{Config, Output};
use offhook_media::event::{Channel, Event, LegId, Trouble};
use offhook_sip::event as sip;

use crate::rig::*;

const CALL: CallId = CallId(1);

fn silent() -> Event {
    Event::Silent { leg: LegId(CALL.0) }
}

fn heard() -> Event {
    Event::Heard { leg: LegId(CALL.0) }
}

#[test]
fn s17_a_silent_far_end_is_told_and_then_hung_up_with_408() {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(rig.media(silent()), ["1: silent for 30s"]);
    assert!(rig.ms(29_999).is_empty());
    assert_eq!(rig.ms(1), ["sip bye Some(408)", "media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 408 System", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn s17_an_action_of_a_lost_call_ends_before_the_call() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    rig.media(silent());
    assert_eq!(rig.secs(30), ["sip bye Some(408)", "media remove 1", "1: Play→Idle", "1: Idle→Released"]);
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["1: play hangup 0ns", "1: released answered, 408 System", "free 20000"]
    );
}

#[test]
fn s17_a_far_end_that_comes_back_in_time_is_kept() {
    let mut rig = Rig::new();
    rig.answered();
    for _ in 0..3 {
        rig.media(silent());
        assert!(rig.ms(29_999).is_empty());
        assert!(rig.media(heard()).is_empty());
        assert!(rig.secs(100).is_empty());
    }
}

#[test]
fn s17_hold_suspends_the_time_out() {
    let mut rig = Rig::new();
    rig.answered();
    rig.media(silent());
    rig.secs(20);
    let held =
        sip::Event::Offer { session: inbound(CALL), body: Some(sdp(&format!("{OFFER}a=sendonly\r\n"))) };
    rig.sip(held);
    // The leg says so when it takes the change.
    rig.media(heard());
    assert!(rig.secs(500).is_empty());
}

#[test]
fn s17_the_time_out_can_be_switched_off() {
    let mut rig = Rig::with(Config { silence_timeout: None, ..config() });
    rig.invite(Some(OFFER));
    rig.request(answer(CALL));
    rig.calls.sip(rig.now(), acked(CALL));
    let outputs = rig.outputs();
    let Some(Output::OpenLeg { config, .. }) = outputs.first() else { panic!("{outputs:?}") };
    assert_eq!((config.silent_after, config.unheard_limit), (None, Some(Duration::from_secs(300))));
}

#[test]
fn s17_the_application_may_drop_a_silent_call_before() {
    let mut rig = Rig::new();
    rig.answered();
    rig.media(silent());
    rig.request(Command::Drop { call: CALL, cause: 603 });
    assert!(rig.secs(1).is_empty());
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: released answered, 200 System");
    assert!(rig.secs(60).is_empty());
}

#[test]
fn a_far_end_that_is_elsewhere_than_it_named_is_told() {
    let mut rig = Rig::new();
    rig.answered();
    let leg = LegId(CALL.0);
    let found = |channel, address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        Event::PeerFound { leg, channel, address }
    };
    let named = found(Channel::Rtp, "192.0.2.7:4000");
    assert_eq!(rig.media(named), [""; 0], "where it said");
    assert_eq!(rig.media(found(Channel::Rtcp, "192.0.2.7:9001")), [""; 0]);
    assert_eq!(
        rig.media(found(Channel::Rtp, "198.51.100.9:61000")),
        ["1: at 198.51.100.9:61000 instead of 192.0.2.7:4000"]
    );
    // Its media goes there, until a description names another place; one of zeros (hold the old way) is none.
    let media_to = |rig: &mut Rig| rig.get(CALL).remote_media.map(|address| address.to_string());
    assert_eq!(media_to(&mut rig).as_deref(), Some("198.51.100.9:61000"));
    for (named, expected) in [
        ("0.0.0.0", "0.0.0.0:4000"),
        ("192.0.2.7", "198.51.100.9:61000"),
        ("192.0.2.8", "192.0.2.8:4000"),
        ("192.0.2.7", "192.0.2.7:4000"),
    ] {
        let body = Some(sdp(&OFFER.replace("192.0.2.7", named)));
        rig.sip(sip::Event::Offer { session: inbound(CALL), body });
        assert_eq!(media_to(&mut rig).as_deref(), Some(expected), "{named}");
    }
    let address = SocketAddr::from(([203, 0, 113, 1], 5));
    assert_eq!(rig.media(Event::Stranger { leg, address }), ["1: stranger at 203.0.113.1:5"]);
}

#[test]
fn a_gateway_says_for_itself_whether_its_media_may_come_from_elsewhere() {
    for (of_node, of_gateway, expected) in
        [(false, None, false), (true, None, true), (true, Some(false), false), (false, Some(true), true)]
    {
        let mut rig = Rig::with(Config { symmetric: of_node, ..config() });
        rig.calls.set_gateways(vec![Gateway { symmetric: of_gateway, ..gateway("first", &[1]) }]);
        rig.outputs();
        rig.request(call_to(&["sip:1@first"]));
        let body = Some(sdp(OFFER));
        let answered =
            sip::Event::Answered { session: sip::SessionId::Outbound(1), body, also_rang: Vec::new() };
        rig.calls.sip(rig.now(), answered);
        let opened = rig.outputs().into_iter().find_map(|output| match output {
            Output::OpenLeg { config, .. } => Some(config.symmetric),
            _ => None,
        });
        assert_eq!(opened, Some(expected));
    }
}

#[test]
fn media_that_flows_badly_is_told_and_ends_nothing() {
    let mut rig = Rig::new();
    rig.answered();
    for trouble in [
        Trouble::LossIn { percent: 12 },
        Trouble::LossOut { percent: 20 },
        Trouble::OneWay { lasted: Duration::from_secs(11) },
    ] {
        let event = Event::Trouble { leg: LegId(CALL.0), trouble };
        assert_eq!(rig.media(event), [format!("1: {trouble:?}")]);
    }
    assert!(rig.secs(100).is_empty());
}
