//! What stands beside the codecs in descriptions. Expected values are written by hand from RFC 3389 §4,
//! RFC 3551 table 4 and RFC 4733 §2.4.1.

use super::codecs::types;
use super::tests::{body, events, local};
use super::*;

fn noisy(codecs: &[Codec]) -> LocalMedia {
    LocalMedia { codecs: codecs.to_vec(), telephone_events: false, comfort_noise: true, ..local() }
}

fn both(number: u8) -> Option<ComfortNoise> {
    Some(ComfortNoise { send_payload_type: number, receive_payload_type: number })
}

/// Its payload type is fixed at 8 kHz, which is also the clock of G.722, and dynamic at any other clock.
#[test]
fn comfort_noise_is_offered_by_the_clocks_of_the_codecs() {
    for (codecs, expected) in [
        (&[Codec::Pcmu, Codec::Pcma][..], &["0 8 13", "13 CN/8000"][..]),
        (&[Codec::G722], &["9 13", "13 CN/8000"]),
        (&[Codec::Gsm], &["3 13", "13 CN/8000"]),
        (&[Codec::L16Wide], &["96 101", "101 CN/16000"]),
        (&[Codec::L16Wide, Codec::Pcmu], &["96 0 13 101", "13 CN/8000", "101 CN/16000"]),
    ] {
        let text = offer(&noisy(codecs));
        assert_eq!(types(&text)[0], format!("m=audio 20000 RTP/AVP {}", expected[0]));
        let noises: Vec<_> = text.lines().filter(|line| line.contains("CN/")).collect();
        assert_eq!(noises, expected[1..].iter().map(|map| format!("a=rtpmap:{map}")).collect::<Vec<_>>());
    }
    let with_keys = LocalMedia { telephone_events: true, ..noisy(&[Codec::Pcmu]) };
    assert_eq!(types(&offer(&with_keys))[0], "m=audio 20000 RTP/AVP 0 101 13");
    assert!(!offer(&LocalMedia { comfort_noise: false, ..with_keys }).contains("CN/"));
}

/// Opus describes its pauses itself (RFC 7587 §3.1.3).
#[cfg(feature = "opus")]
#[test]
fn comfort_noise_is_not_beside_opus() {
    assert_eq!(types(&offer(&noisy(&[Codec::Opus])))[0], "m=audio 20000 RTP/AVP 96");
    let lines = ["a=rtpmap:96 opus/48000/2", "a=rtpmap:97 CN/48000"];
    let (text, media) = answer(body("96 97 13", &lines).as_bytes(), &noisy(&[Codec::Opus])).unwrap();
    assert_eq!((types(&text)[0], media.comfort_noise), ("m=audio 20000 RTP/AVP 96", None));
}

#[test]
fn comfort_noise_is_answered_where_it_is_offered_by_the_clock_of_the_codec() {
    let local = noisy(&[Codec::Pcmu, Codec::G722, Codec::L16Wide]);
    let wide = ["a=rtpmap:97 L16/16000", "a=rtpmap:98 cn/16000", "a=rtpmap:99 CN/8000"];
    for (formats, answered, expected) in [
        ("0 13", "0 13", both(13)),
        ("9 13 98", "9 13", both(13)),
        ("0 99", "0 99", both(99)),
        ("97 13 98", "97 98", both(98)),
        ("97 13", "97", None),
        ("0 98", "0", None),
        ("0", "0", None),
    ] {
        let offered = body(formats, &wide);
        let (text, media) = answer(offered.as_bytes(), &local).unwrap();
        assert_eq!(types(&text)[0], format!("m=audio 20000 RTP/AVP {answered}"));
        assert_eq!(media.comfort_noise, expected, "{formats}");
        let silent = LocalMedia { comfort_noise: false, ..local.clone() };
        let (text, media) = answer(offered.as_bytes(), &silent).unwrap();
        assert!(!text.contains("CN/") && media.comfort_noise.is_none(), "{text}");
    }
}

#[test]
fn comfort_noise_is_agreed_on_by_the_answer_to_our_offer() {
    let local = noisy(&[Codec::L16Wide, Codec::Pcmu]);
    let lines = ["a=rtpmap:110 L16/16000", "a=rtpmap:111 CN/16000"];
    let theirs = Some(ComfortNoise { send_payload_type: 111, receive_payload_type: 101 });
    for (formats, expected) in [("0 13", both(13)), ("0", None), ("110 111", theirs), ("110 13", None)] {
        assert_eq!(accept(body(formats, &lines).as_bytes(), &local).unwrap().comfort_noise, expected);
    }
    let silent = LocalMedia { comfort_noise: false, ..local };
    assert_eq!(accept(body("0 13", &[]).as_bytes(), &silent).unwrap().comfort_noise, None);
}

/// Who means something else by 13 has no comfort noise of ours at 8 kHz.
#[test]
fn a_number_of_comfort_noise_that_is_taken_is_not_given_twice() {
    let mut session = Session::new(noisy(&[Codec::Pcmu, Codec::L16Wide]));
    session.answer(body("13", &["a=rtpmap:13 PCMU/8000"]).as_bytes()).unwrap();
    assert_eq!(types(&session.offer())[0], "m=audio 20000 RTP/AVP 13 96 101");
}

/// We take the sixteen keys and the flash; what is agreed on is what both take.
#[test]
fn events_are_offered_and_those_of_both_are_answered() {
    assert!(offer(&local()).contains("a=fmtp:101 0-16\r\n"));
    for (list, answered) in [
        (Some("0-15"), Some("0-15")),
        (Some("0-16"), Some("0-16")),
        (Some("0-15,16"), Some("0-16")),
        (Some("0-11,32-49"), Some("0-11")),
        (None, Some("0-15")),
        (Some("nonsense"), Some("0-15")),
        (Some("32-49"), None),
    ] {
        let parameters = list.map(|list| format!("a=fmtp:100 {list}"));
        let lines = ["a=rtpmap:100 telephone-event/8000", "a=fmtp:0 annexb=no"];
        let lines: Vec<&str> = lines.into_iter().chain(parameters.as_deref()).collect();
        let described = body("0 100", &lines);
        let (text, media) = answer(described.as_bytes(), &local()).unwrap();
        let expected = answered.map(|list| format!("a=fmtp:100 {list}"));
        let fmtp = text.lines().find(|line| line.starts_with("a=fmtp:"));
        assert_eq!(fmtp, expected.as_deref(), "{list:?}");
        assert_eq!(text.contains("telephone-event"), answered.is_some(), "{list:?}");
        let common = answered.and_then(|list| Events::of(Some(list)));
        assert_eq!(media.telephone_event, common.map(|common| events(100, 100, common)), "{list:?}");
        let media = accept(described.as_bytes(), &local()).unwrap();
        assert_eq!(media.telephone_event, common.map(|common| events(100, 101, common)), "{list:?}");
    }
}

/// Of several lines for one payload type the first counts, and a line for another says nothing about it.
#[test]
fn parameters_belong_to_their_payload_type() {
    let lines = ["a=fmtp:101 0-9", "a=rtpmap:100 telephone-event/8000", "a=fmtp:100 0-11", "a=fmtp:100 0-15"];
    let (text, _) = answer(body("0 100", &lines).as_bytes(), &local()).unwrap();
    assert!(text.contains("a=fmtp:100 0-11\r\n"), "{text}");
}
