//! What a far end changes about a call, in every state of it: each offer is answered at once, and what the call is doing
//! goes on. Descriptions are written by hand as RFC 3264 has them.

use std::time::Duration;

use offhook_call::Output;
use offhook_call::command::{Command, ConnectExtras};
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_media::event::{ConnectMode, Dial, RecordFormat};
use offhook_sip::event as sip;

use crate::rig::*;

const CALL: CallId = CallId(1);

/// Of two calls, as they are after `Rig::answered` twice.
const DOING: [State; 6] =
    [State::Idle, State::Play, State::Record, State::SendDtmf, State::ReceiveDtmf, State::Connect];

fn offer(body: Option<&str>) -> sip::Event {
    sip::Event::Offer { session: inbound(CALL), body: body.map(sdp) }
}

fn acked_with(body: Option<&str>) -> sip::Event {
    sip::Event::Acked { session: inbound(CALL), body: body.map(sdp) }
}

fn with(lines: &str) -> String {
    format!("{OFFER}{lines}\r\n")
}

fn zeros() -> String {
    OFFER.replace("c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0")
}

/// A call that does something, and another one.
fn doing(state: State) -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    match state {
        State::Play => {
            rig.request(play(CALL, &["a.wav"], ""));
            rig.disk(loaded(1));
        }
        State::Record => {
            rig.request(Command::RecordStart {
                call: CALL,
                max: Duration::from_secs(60),
                beep: false,
                file: "r.wav".to_owned(),
                format: RecordFormat::Pcm16,
                finish_keys: keys(""),
                overwrite: false,
                trim_silence: false,
                mute_digits: false,
            });
            rig.disk(offhook_call::DiskEvent::RecordingOpened {
                job: offhook_call::JobId(1),
                result: Ok(()),
            });
        }
        State::SendDtmf => {
            rig.request(Command::SendDtmfStart { call: CALL, digits: vec![Dial::Key(key('1'))] });
        }
        State::ReceiveDtmf => {
            rig.request(Command::ReceiveDtmfStart(Box::new(receive(CALL, None))));
        }
        State::Connect => {
            let (other, max) = (CallId(2), Duration::from_secs(60));
            rig.request(Command::ConnectStart {
                call: CALL,
                other,
                max,
                mode: ConnectMode::Both,
                extras: ConnectExtras::default(),
            });
        }
        _ => {}
    }
    assert_eq!(rig.get(CALL).state, state);
    rig
}

/// What we answered to an offer.
fn accepted(rig: &mut Rig, event: sip::Event) -> String {
    rig.calls.sip(rig.now(), event);
    let outputs = rig.outputs();
    let [Output::Sip(sip::Command::Accept { session, body }), ..] = &outputs[..] else {
        panic!("not accepted: {outputs:?}")
    };
    assert_eq!((*session, body.content_type.as_str()), (inbound(CALL), "application/sdp"));
    String::from_utf8(body.bytes.clone()).expect("a description is text")
}

fn version(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("o=offhook 1 "))
        .expect("o=")
        .split(' ')
        .next()
        .expect("a number")
}

#[test]
fn hold_and_resume_in_every_state() {
    for state in DOING {
        for (hold, ours, direction) in [
            (with("a=sendonly"), "a=recvonly", "192.0.2.7:4000 20 RecvOnly"),
            (with("a=inactive"), "a=inactive", "192.0.2.7:4000 20 Inactive"),
            (zeros(), "a=recvonly", "0.0.0.0:4000 20 RecvOnly"),
        ] {
            let mut rig = doing(state);
            let before = rig.get(CALL);
            let mut twin = doing(state);
            let text = accepted(&mut twin, offer(Some(&hold)));
            assert!(text.ends_with(&format!("{ours}\r\n")), "{text}");
            assert_eq!(version(&text), "2");
            assert_eq!(
                rig.sip(offer(Some(&hold))),
                [
                    "sip accept".to_owned(),
                    format!("media update 1 PCMA {direction} events 101"),
                    "1: hold".to_owned()
                ],
                "{state:?}"
            );
            assert!(rig.sip(offer(Some(&hold))).eq(&["sip accept"]), "a refresh changes nothing");
            assert_eq!(
                rig.sip(offer(Some(OFFER))),
                ["sip accept", "media update 1 PCMA 192.0.2.7:4000 20 SendRecv events 101", "1: resumed"]
            );
            assert_eq!(rig.get(CALL), before, "{state:?}");
        }
    }
}

#[test]
fn a_peer_that_only_listens_is_not_on_hold() {
    let mut rig = doing(State::Idle);
    assert_eq!(
        rig.sip(offer(Some(&with("a=recvonly")))),
        ["sip accept", "media update 1 PCMA 192.0.2.7:4000 20 SendOnly events 101"]
    );
}

#[test]
fn codec_address_packet_time_and_events_change_in_every_state() {
    for state in DOING {
        let mut rig = doing(state);
        for (body, expected) in [
            // The codec in use is kept, whatever the order.
            (OFFER.replace("8 0 101", "0 8 101"), None),
            (OFFER.replace("8 0 101", "0 101"), Some("PCMU 192.0.2.7:4000 20 SendRecv events 101")),
            (OFFER.to_owned(), None),
            (OFFER.replace("8 0 101", "8 101"), Some("PCMA 192.0.2.7:4000 20 SendRecv events 101")),
            (OFFER.replace("4000", "4002"), Some("PCMA 192.0.2.7:4002 20 SendRecv events 101")),
            (OFFER.replace("192.0.2.7", "192.0.2.8"), Some("PCMA 192.0.2.8:4000 20 SendRecv events 101")),
            (with("a=ptime:30"), Some("PCMA 192.0.2.7:4000 30 SendRecv events 101")),
            (OFFER.replace("101", "96"), Some("PCMA 192.0.2.7:4000 20 SendRecv events 96")),
            (ALAW.to_owned(), Some("PCMA 192.0.2.7:4000 20 SendRecv")),
        ] {
            let lines = rig.sip(offer(Some(&body)));
            let update = expected.map(|expected| format!("media update 1 {expected}"));
            let expected: Vec<_> = std::iter::once("sip accept".to_owned()).chain(update).collect();
            assert_eq!(lines, expected, "{state:?} {body}");
        }
        assert_eq!(rig.get(CALL).state, state);
    }
}

#[test]
fn tones_are_searched_for_where_events_are_negotiated_no_more() {
    let mut rig = doing(State::Idle);
    rig.calls.sip(rig.now(), offer(Some(ALAW)));
    let outputs = rig.outputs();
    let Some(Output::Media(offhook_media::event::Command::UpdateLeg { config, .. })) = outputs.get(1) else {
        panic!("{outputs:?}")
    };
    assert!(config.detect_tones);
}

#[test]
fn p5_a_bad_offer_is_refused_and_the_call_goes_on_as_it_was() {
    for state in DOING {
        let mut rig = doing(state);
        let before = rig.get(CALL);
        for bad in [
            "hello".to_owned(),
            G729.to_owned(),
            OFFER.replace("m=audio 4000", "m=audio 0"),
            OFFER.replace("m=audio 4000", "m=audio 70000"),
            OFFER.replace("c=IN IP4 192.0.2.7\r\n", ""),
            OFFER.replace("c=IN IP4 192.0.2.7", "c=IN IP4 224.0.0.1"),
            OFFER.replace("c=IN IP4 192.0.2.7", "c=IN IP4 127.0.0.1"),
            OFFER.replace("c=IN IP4 192.0.2.7", "c=IN IP4 192.0.2.1").replace("4000", "20000"),
            OFFER.replace("RTP/AVP", "RTP/SAVP"),
            with("a=\0"),
            format!("{OFFER}{}", "m=audio 4000 RTP/AVP 8\r\n".repeat(1000)),
        ] {
            assert_eq!(rig.sip(offer(Some(&bad))), ["sip refuse 488"], "{state:?} {bad}");
        }
        let body = sip::Body { content_type: "text/plain".to_owned(), bytes: OFFER.as_bytes().to_vec() };
        let other = sip::Event::Offer { session: inbound(CALL), body: Some(body) };
        assert_eq!(rig.sip(other), ["sip refuse 488"]);
        assert_eq!(rig.get(CALL), before, "{state:?}");
        assert_eq!(rig.sip(offer(Some(&with("a=inactive"))))[0], "sip accept", "and can still be changed");
    }
}

#[test]
fn without_an_offer_ours_is_made_and_the_ack_answers_it() {
    for state in DOING {
        let mut rig = doing(state);
        let text = accepted(&mut rig, offer(None));
        assert!(
            text.contains("m=audio 20000 RTP/AVP 8 0 101\r\n") && text.ends_with("a=sendrecv\r\n"),
            "{text}"
        );
        // Until it is answered no other change can begin (RFC 3261 §14.2).
        assert_eq!(rig.sip(offer(Some(OFFER))), ["sip refuse 491"]);
        assert_eq!(rig.sip(offer(None)), ["sip refuse 491"]);
        assert_eq!(
            rig.sip(acked_with(Some(&OFFER.replace("8 0 101", "0 101")))),
            ["media update 1 PCMU 192.0.2.7:4000 20 SendRecv events 101"],
            "{state:?}"
        );
        assert_eq!(rig.sip(offer(Some(OFFER))), ["sip accept"]);
    }
}

#[test]
fn p5_an_ack_with_a_bad_answer_or_none_leaves_the_call_as_it_was() {
    for answer in [None, Some("hello"), Some(G729)] {
        let mut rig = doing(State::Play);
        let before = rig.get(CALL);
        rig.sip(offer(None));
        assert!(rig.sip(acked_with(answer)).is_empty());
        assert_eq!(rig.get(CALL), before);
        assert!(rig.sip(acked_with(Some(ALAW))).is_empty(), "an ACK of nothing we offered means nothing");
        assert_eq!(rig.sip(offer(Some(OFFER))), ["sip accept"]);
    }
}

#[test]
fn a_held_call_that_is_asked_for_an_offer_is_resumed_by_its_answer() {
    let mut rig = doing(State::Idle);
    rig.sip(offer(Some(&with("a=sendonly"))));
    let text = accepted(&mut rig, offer(None));
    assert!(text.ends_with("a=sendrecv\r\n"), "we hold nobody: {text}");
    assert_eq!(rig.sip(acked_with(Some(OFFER)))[1], "1: resumed");
}

#[test]
fn the_version_rises_only_with_what_we_say_anew() {
    let mut rig = doing(State::Idle);
    // The first answer had PCMA and telephone-events.
    let mut said = |event| version(&accepted(&mut rig, event)).to_owned();
    assert_eq!(said(offer(Some(OFFER))), "1");
    assert_eq!(said(offer(Some(&OFFER.replace("4000", "5000")))), "1");
    assert_eq!(said(offer(Some(&with("a=sendonly")))), "2");
    assert_eq!(said(offer(Some(&with("a=sendonly")))), "2");
    assert_eq!(said(offer(Some(OFFER))), "3");
}

#[test]
fn a_call_answered_on_hold_says_so() {
    let mut rig = Rig::new();
    rig.invite(Some(&with("a=sendonly")));
    rig.request(answer(CALL));
    assert_eq!(rig.sip(acked(CALL))[..2], ["open 1 on 20000 PCMA", "1: hold"]);
    assert_eq!(rig.sip(offer(Some(OFFER)))[2], "1: resumed");
}

#[test]
fn the_codec_that_the_application_asked_for_is_the_only_one_for_good() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    let codec = Some(offhook_media::event::Codec::Pcma);
    let max_answer = Duration::from_secs(600);
    rig.request(Command::Answer { call: CALL, max_answer, user_data: None, codec });
    rig.sip(acked(CALL));
    assert_eq!(rig.sip(offer(Some(&OFFER.replace("8 0 101", "0 101")))), ["sip refuse 488"]);
}

#[test]
fn an_update_before_the_ack_is_taken_where_our_answer_is_out() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    assert_eq!(rig.sip(offer(Some(OFFER))), ["sip refuse 500"], "their first offer is not answered");
    rig.request(answer(CALL));
    assert_eq!(rig.sip(offer(Some(G729))), ["sip refuse 488"]);
    assert_eq!(rig.sip(offer(None)), ["sip refuse 491"]);
    assert_eq!(rig.sip(offer(Some(&OFFER.replace("8 0 101", "0 101")))), ["sip accept"]);
    assert_eq!(rig.sip(acked(CALL))[0], "open 1 on 20000 PCMU");

    let mut rig = Rig::new();
    rig.invite(None);
    rig.request(answer(CALL));
    assert_eq!(rig.sip(offer(Some(OFFER))), ["sip refuse 491"], "our offer is not answered");
}

/// A refresh by re-INVITE carries our last description, and its answer may say something new (RFC 4028 §9).
#[test]
fn what_the_answer_to_a_refresh_changes_holds() {
    for state in DOING {
        let mut rig = doing(state);
        let held = sip::Event::Updated { session: inbound(CALL), body: sdp(&with("a=sendonly")) };
        let lines = rig.sip(held);
        assert!(lines.iter().any(|line| line.contains("RecvOnly")), "{state:?}: {lines:?}");
        let bad = sip::Event::Updated { session: inbound(CALL), body: sdp("v=0") };
        assert_eq!(rig.sip(bad), Vec::<String>::new(), "{state:?}");
        assert_eq!(rig.get(CALL).state, state);
    }
}

/// RFC 3261 §20.43: a change that is refused says why, as the refusal of a call does.
#[test]
fn a_refused_change_says_why() {
    let mut rig = Rig::new();
    rig.answered();
    for (bad, code) in [
        (G729.to_owned(), "305"),
        (OFFER.replace("audio", "video"), "304"),
        (OFFER.replace("192.0.2.7", "224.2.1.1"), "301"),
        ("hello".to_owned(), "399"),
    ] {
        let offer = sip::Event::Offer { session: inbound(CALL), body: Some(sdp(&bad)) };
        rig.calls.sip(rig.now(), offer);
        let warnings: Vec<String> = rig
            .outputs()
            .into_iter()
            .filter_map(|output| match output {
                Output::Sip(sip::Command::Refuse { status: 488, headers, .. }) => Some(headers),
                _ => None,
            })
            .flatten()
            .map(|header| format!("{}: {}", header.name, header.value))
            .collect();
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&format!("Warning: {code} offhook \"")),
            "{warnings:?}"
        );
    }
}
