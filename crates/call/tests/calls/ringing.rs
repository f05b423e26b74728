//! Early media: what callers hear before the answer, and that nothing of it is left however the call goes on.

use std::time::Duration;

use offhook_call::command::{Command, Content};
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_call::{DiskEvent, JobId, Output};
use offhook_media::event::{self as media, Channel, Codec, LegId};
use offhook_sip::event::{self as sip, Body, EndCause};

use crate::rig::*;

const CALL: CallId = CallId(1);

fn ring(file: Option<&str>) -> Command {
    let content = file.map(|file| Content { sources: vec![file.into()] });
    Command::Ring { call: CALL, content }
}

/// An inbound call that hears a file.
fn hearing() -> Rig {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    rig.disk(loaded(1));
    rig
}

/// The descriptions that the far end is sent, with the command that carries each.
fn described(outputs: &[Output]) -> Vec<(&'static str, Body)> {
    let of = |output: &Output| match output {
        Output::Sip(sip::Command::Progress { body: Some(body), .. }) => Some(("183", body.clone())),
        Output::Sip(sip::Command::Answer { body, .. }) => Some(("200", body.clone())),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

#[test]
fn a_caller_hears_a_file_until_the_answer_which_goes_on_with_its_media() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    assert_eq!(rig.request(ring(Some("tone.wav"))), ["disk 1 load tone.wav PCMA"]);
    assert_eq!(
        rig.disk(loaded(1)),
        [
            "open 1 on 20000 PCMA",
            "media play 1 on 1: 1 prompts, repeat 4294967295",
            "sip 183 with an answer",
            "reply Done"
        ]
    );
    let snapshot = rig.get(CALL);
    assert_eq!((snapshot.state, snapshot.codec), (State::Initiated, Some(Codec::Pcma)));
    assert_eq!((snapshot.answer_time, snapshot.local_port.map(|port| port.0)), (None, Some(20000)));
    assert_eq!(rig.request(answer(CALL)), ["sip 200", "media stop play 1", "1: Initiated→Answer"]);
    assert_eq!(
        rig.sip(acked(CALL)),
        [
            "media update 1 PCMA 192.0.2.7:4000 20 SendRecv events 101",
            "reply Done",
            "1: Answer→Idle",
            "1: answer ok"
        ]
    );
    // The end of what was played before is no news to what is played now.
    assert_eq!(rig.media(play_ended(CALL, 1, 500)), [""; 0]);
    assert_eq!(rig.sip(bye(inbound(CALL))), ["media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.is_clean());
}

/// Where it sends from is known from before the answer, and the call is told of it once there is one.
#[test]
fn a_caller_who_was_found_in_early_media_is_still_there_when_it_is_answered() {
    let mut rig = hearing();
    let address = "198.51.100.9:61000".parse().unwrap();
    let found = media::Event::PeerFound { leg: LegId(CALL.0), channel: Channel::Rtp, address };
    assert_eq!(rig.media(found), [""; 0]);
    assert_eq!(rig.get(CALL).remote_media, Some(address));
    rig.request(answer(CALL));
    let told = "1: at 198.51.100.9:61000 instead of 192.0.2.7:4000";
    assert!(rig.sip(acked(CALL)).iter().any(|line| line == told));
    assert_eq!(rig.get(CALL).remote_media, Some(address));
    let elsewhere = Some(sdp(&OFFER.replace("192.0.2.7", "192.0.2.8")));
    rig.sip(sip::Event::Offer { session: inbound(CALL), body: elsewhere });
    assert_eq!(rig.get(CALL).remote_media, "192.0.2.8:4000".parse().ok());
}

/// RFC 3261 §13.2.1: the caller takes the first description for the answer, so the 200 must not say anything else.
#[test]
fn the_200_repeats_the_answer_of_the_183() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    rig.calls.disk(rig.now(), loaded(1));
    let mut outputs = rig.outputs();
    let request =
        offhook_call::command::Request { id: offhook_call::id::RequestId(9), command: answer(CALL) };
    rig.calls.request(rig.now(), request);
    outputs.extend(rig.outputs());
    let described = described(&outputs);
    let [("183", early), ("200", last)] = described.as_slice() else {
        panic!("{described:?}");
    };
    assert_eq!(early, last);
}

#[test]
fn ringing_is_asked_for_again_and_again() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    // It rings already, and nobody has to be told twice.
    assert_eq!(rig.request(ring(None)), ["reply Done"]);
    rig.request(ring(Some("tone.wav")));
    rig.disk(loaded(1));
    assert_eq!(rig.request(ring(Some("other.wav"))), ["disk 2 load other.wav PCMA"]);
    assert_eq!(
        rig.disk(loaded(2)),
        ["media stop play 1", "media play 2 on 1: 1 prompts, repeat 4294967295", "reply Done"]
    );
    assert_eq!(rig.request(ring(None)), ["media stop play 2", "sip 180", "reply Done"]);
    rig.request(ring(Some("tone.wav")));
    assert_eq!(
        rig.disk(loaded(3)),
        ["media play 3 on 1: 1 prompts, repeat 4294967295", "sip 183 with an answer", "reply Done"]
    );
}

#[test]
fn a_file_that_is_still_being_loaded_is_replaced() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("first.wav")));
    assert_eq!(rig.request(ring(Some("second.wav"))), ["reply Done", "disk 2 load second.wav PCMA"]);
    assert_eq!(rig.disk(loaded(1)), [""; 0]);
    assert_eq!(rig.disk(loaded(2))[1], "media play 1 on 1: 1 prompts, repeat 4294967295");
}

#[test]
fn a_file_that_is_not_to_be_had_changes_nothing() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("none.wav")));
    let fault = DiskEvent::Prompts { job: JobId(1), result: Err(not_there("none.wav", None)) };
    assert_eq!(
        rig.disk(fault),
        ["refuse File { fault: NotFound, param: \"ring_play_file\", file: \"none.wav\", item: None }"]
    );
    assert_eq!(rig.request(answer(CALL)), ["sip 200", "1: Initiated→Answer"]);
    assert_eq!(rig.sip(acked(CALL))[0], "open 1 on 20000 PCMA");
}

#[test]
fn a_disk_that_is_stuck_is_not_waited_for() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    assert_eq!(rig.secs(10), ["refuse Internal { message: \"the disk did not answer within 10 s\" }"]);
    assert_eq!(rig.disk(loaded(1)), [""; 0]);
    // Nobody has acted on the call for a minute in all.
    assert_eq!(rig.secs(50)[0], "sip 480");
    assert!(rig.is_clean());
}

#[test]
fn an_application_that_rings_has_acted() {
    let mut rig = hearing();
    rig.secs(59);
    assert_eq!(rig.request(ring(None)), ["media stop play 1", "sip 180", "reply Done"]);
    assert_eq!(rig.ms(59_999), [""; 0]);
    assert_eq!(rig.ms(1), ["sip 480", "media remove 1", "1: Initiated→Released"]);
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released 480 System", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn a_caller_without_an_offer_can_only_ring() {
    let mut rig = Rig::new();
    rig.invite(None);
    let refused = "refuse NotNegotiated { message: \"the caller offers nothing before the answer\" }";
    assert_eq!(rig.request(ring(Some("tone.wav"))), [refused]);
    assert_eq!(rig.request(ring(None)), ["reply Done"]);
}

#[test]
fn the_codec_of_what_is_heard_is_that_of_the_answer() {
    let mut rig = hearing();
    let with =
        |codec| Command::Answer { call: CALL, max_answer: Duration::from_secs(9), user_data: None, codec };
    let refused = "refuse NotNegotiated { message: \"PCMA is what the caller hears already\" }";
    assert_eq!(rig.request(with(Some(Codec::Pcmu))), [refused]);
    assert_eq!(rig.request(with(Some(Codec::Pcma)))[0], "sip 200");
}

#[test]
fn an_answer_overtakes_the_file() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    assert_eq!(rig.request(answer(CALL)), ["refuse 1: Answer [Initiated]", "sip 200", "1: Initiated→Answer"]);
    assert_eq!(rig.disk(loaded(1)), [""; 0]);
    assert_eq!(rig.sip(acked(CALL))[0], "open 1 on 20000 PCMA");
}

/// However it ends while it is heard: the leg is removed, the ports come back when it is gone, and nothing is left.
#[test]
fn every_end_frees_everything() {
    let request = |command| move |rig: &mut Rig| rig.request(command);
    let session = |cause| move |rig: &mut Rig| rig.sip(ended(inbound(CALL), cause));
    type End = Box<dyn FnOnce(&mut Rig) -> Vec<String>>;
    let redirect = Command::Redirect { call: CALL, target: "192.0.2.9".to_owned() };
    let ends: [(End, &str); 7] = [
        (Box::new(request(Command::Drop { call: CALL, cause: 486 })), "486 System"),
        (Box::new(request(Command::Reject { call: CALL, cause: 404 })), "404 System"),
        (Box::new(request(redirect)), "302 System"),
        (Box::new(session(EndCause::Cancelled { reason: None })), "487 User"),
        (Box::new(session(EndCause::NoAck)), "408 System"),
        (Box::new(session(EndCause::NoPrack)), "504 System"),
        (Box::new(|rig: &mut Rig| rig.secs(60)), "480 System"),
    ];
    for (end, cause) in ends {
        let mut rig = hearing();
        let lines = end(&mut rig);
        assert!(lines.contains(&"media remove 1".to_owned()), "{cause}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("free")), "{cause}: {lines:?}");
        let lines = rig.media(leg_removed(CALL));
        assert_eq!(lines, [format!("1: released {cause}"), "free 20000".to_owned()]);
        assert!(rig.is_clean(), "{cause}");
    }
}

#[test]
fn a_caller_that_gives_up_while_the_file_is_loaded_leaves_nothing() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    assert_eq!(
        rig.sip(ended(inbound(CALL), EndCause::Cancelled { reason: None })),
        [
            "refuse NotFound { call: CallId(1) }",
            "1: Initiated→Released",
            "1: released 487 User",
            "free 20000"
        ]
    );
    assert_eq!(rig.disk(loaded(1)), [""; 0]);
    assert!(rig.is_clean());
}

#[test]
fn it_ends_before_its_ack_too() {
    let mut rig = hearing();
    rig.request(answer(CALL));
    assert_eq!(
        rig.sip(bye(inbound(CALL))),
        ["refuse AnswerFailed { sip_status: 487 }", "media remove 1", "1: Answer→Released",]
    );
    assert_eq!(rig.media(leg_removed(CALL)), ["1: answer cancelled", "1: released 487 User", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn media_that_fails_ends_the_call() {
    let mut rig = hearing();
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["sip 500", "1: Initiated→Released", "1: released 500 System", "free 20000"]
    );
    assert!(rig.is_clean());
    let mut rig = hearing();
    rig.request(answer(CALL));
    assert_eq!(rig.media(leg_removed(CALL))[0], "sip bye Some(500)");
    assert!(rig.is_clean());
}

/// RFC 3311 §5.2: once a reliable 183 has carried our answer the caller may offer something else, before the 200 and
/// before its ACK.
#[test]
fn the_caller_changes_what_it_hears() {
    let mut rig = hearing();
    let offer = |text: &str| sip::Event::Offer { session: inbound(CALL), body: Some(sdp(text)) };
    assert_eq!(
        rig.sip(offer(&OFFER.replace("4000", "5000"))),
        ["sip accept", "media update 1 PCMA 192.0.2.7:5000 20 SendRecv events 101"]
    );
    assert_eq!(rig.sip(offer(G729)), ["sip refuse 488"]);
    rig.request(answer(CALL));
    assert_eq!(
        rig.sip(offer(&OFFER.replace("4000", "6000"))),
        ["sip accept", "media update 1 PCMA 192.0.2.7:6000 20 SendRecv events 101"]
    );
    assert_eq!(rig.sip(acked(CALL))[0], "media update 1 PCMA 192.0.2.7:6000 20 SendRecv events 101");
}

/// Silence is a fault from the answer on: a caller that only listens to the ringing owes us nothing.
#[test]
fn silence_counts_from_the_answer() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(ring(Some("tone.wav")));
    rig.calls.disk(rig.now(), loaded(1));
    let silent_after = |outputs: Vec<Output>| {
        outputs.into_iter().find_map(|output| match output {
            Output::OpenLeg { config, .. } | Output::Media(media::Command::UpdateLeg { config, .. }) => {
                Some(config.silent_after)
            }
            _ => None,
        })
    };
    assert_eq!(silent_after(rig.outputs()), Some(None));
    rig.request(answer(CALL));
    rig.calls.sip(rig.now(), acked(CALL));
    assert_eq!(silent_after(rig.outputs()), Some(Some(Duration::from_secs(30))));
}
