//! Offers and answers: expected values are written by hand from RFC 3264 and RFC 8866.

use super::parse::Description;
use super::*;
use proptest::prelude::*;

pub(super) fn local() -> LocalMedia {
    LocalMedia {
        address: "192.0.2.1".parse().unwrap(),
        port: 20000,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        order: Order::Theirs,
        telephone_events: true,
        comfort_noise: false,
        rtcp_mux: false,
        protection: Protection::Off,
        seed: Seed([7; 32]),
        ptime_ms: 20,
        session_id: 7,
        version: 1,
        destinations: Arc::default(),
    }
}

pub(super) fn events(send_payload_type: u8, receive_payload_type: u8, events: Events) -> TelephoneEvent {
    TelephoneEvent { send_payload_type, receive_payload_type, events, clock_rate: 8000 }
}

/// A body of one audio stream with these lines after `m=audio 40000 RTP/AVP <formats>`.
pub(super) fn body(formats: &str, lines: &[&str]) -> String {
    let mut body = format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.2\r\ns=x\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n"
    );
    for line in lines {
        body.push_str(line);
        body.push_str("\r\n");
    }
    body
}

/// A gateway that wants tones only: telephone-events are in none of our descriptions, and taken from none of its.
#[test]
fn telephone_events_can_be_left_out() {
    let tones = LocalMedia { telephone_events: false, ..local() };
    assert!(!offer(&tones).contains("telephone-event"));
    let theirs = body("0 101", &["a=rtpmap:101 telephone-event/8000"]);
    let (text, media) = answer(theirs.as_bytes(), &tones).unwrap();
    assert!(!text.contains("telephone-event") && text.contains("m=audio 20000 RTP/AVP 0\r\n"), "{text}");
    assert_eq!(media.telephone_event, None);
}

fn negotiated(offer: &str) -> Negotiated {
    answer(offer.as_bytes(), &local()).unwrap().1
}

fn fails(body: &[u8], expected: &SdpError) {
    for result in [answer(body, &local()).map(|(_, negotiated)| negotiated), accept(body, &local())] {
        match (result.unwrap_err(), expected) {
            (SdpError::Malformed(_), SdpError::Malformed(_)) => {}
            (error, expected) => assert_eq!(&error, expected, "{}", String::from_utf8_lossy(body)),
        }
    }
}

#[test]
fn our_offer_as_written() {
    assert_eq!(
        offer(&local()),
        "v=0\r\no=offhook 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n"
    );
}

#[test]
fn an_answer_takes_the_offerers_order_and_numbers() {
    let offer = body("18 8 0 98", &["a=rtpmap:98 telephone-event/8000", "a=fmtp:98 0-16", "a=ptime:30"]);
    let (text, negotiated) = answer(offer.as_bytes(), &local()).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=offhook 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8 98\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:98 telephone-event/8000\r\na=fmtp:98 0-16\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n"
    );
    assert_eq!(
        negotiated,
        Negotiated {
            codec: Codec::Pcma,
            send_payload_type: 8,
            receive_payload_type: 8,
            also_received: Vec::new(),
            telephone_event: Some(events(98, 98, Events::OURS)),
            opus: opus::Wishes::default(),
            comfort_noise: None,
            remote_rtp: "198.51.100.2:40000".parse().unwrap(),
            remote_rtcp: "198.51.100.2:40001".parse().unwrap(),
            rtcp_mux: false,
            ptime_ms: 30,
            max_ptime_ms: None,
            direction: Direction::SendRecv,
            keys: None,
        }
    );
}

#[test]
fn other_streams_are_rejected_in_their_place() {
    let offer = "v=0\no=- 1 1 IN IP4 198.51.100.2\ns=x\nt=0 0\nm=video 5000 RTP/AVP 31 34\nc=IN IP4 198.51.100.9\n\
                 m=audio 0 RTP/AVP 0\nm=audio 40000 RTP/AVP 0\nc=IN IP4 198.51.100.3\nm=application 9 UDP/BFCP *\n";
    let (text, negotiated) = answer(offer.as_bytes(), &local()).unwrap();
    let streams: Vec<_> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        streams,
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/AVP 0",
            "m=audio 20000 RTP/AVP 0",
            "m=application 0 UDP/BFCP *"
        ]
    );
    assert_eq!(negotiated.remote_rtp, "198.51.100.3:40000".parse().unwrap());
    assert_eq!(negotiated.telephone_event, None);
}

/// RFC 3264 §7: who answers with several codecs may send any of them, with the numbers of our offer.
#[test]
fn an_answer_with_several_codecs_lets_any_of_them_come() {
    let local = LocalMedia { codecs: vec![Codec::Pcmu, Codec::G722, Codec::Pcma], ..local() };
    let theirs = body("8 96 97 101", &["a=rtpmap:96 G722/8000", "a=rtpmap:97 PCMU/8000"]);
    let negotiated = accept(theirs.as_bytes(), &local).unwrap();
    assert_eq!((negotiated.codec, negotiated.send_payload_type), (Codec::Pcma, 8));
    assert_eq!(negotiated.also_received, [(9, Codec::G722), (0, Codec::Pcmu)]);
    // We answer with one, and nothing else comes.
    assert_eq!(answer(theirs.as_bytes(), &local).unwrap().1.also_received, []);
}

#[test]
fn an_answer_with_numbers_of_its_own() {
    let answer = body("96 97", &["a=rtpmap:96 pcma/8000/1", "a=rtpmap:97 Telephone-Event/8000"]);
    let negotiated = accept(answer.as_bytes(), &local()).unwrap();
    assert_eq!(
        (negotiated.codec, negotiated.send_payload_type, negotiated.receive_payload_type),
        (Codec::Pcma, 96, 8)
    );
    assert_eq!(negotiated.telephone_event, Some(events(97, 101, Events::KEYS)));
}

#[test]
fn directions_are_mirrored() {
    for (line, ours, theirs) in [
        ("a=sendrecv", "a=sendrecv", Direction::SendRecv),
        ("a=sendonly", "a=recvonly", Direction::RecvOnly),
        ("a=recvonly", "a=sendonly", Direction::SendOnly),
        ("a=inactive", "a=inactive", Direction::Inactive),
    ] {
        let (text, negotiated) = answer(body("0", &[line]).as_bytes(), &local()).unwrap();
        assert!(text.lines().any(|written| written == ours), "{text}");
        assert_eq!(negotiated.direction, theirs);
        let session = body("0", &[]).replace("t=0 0", &format!("t=0 0\r\n{line}"));
        assert_eq!(accept(session.as_bytes(), &local()).unwrap().direction, theirs, "at session level");
    }
}

#[test]
fn an_address_of_zeros_is_hold() {
    let held = body("0", &[]).replace("c=IN IP4 198.51.100.2", "c=IN IP4 0.0.0.0");
    assert_eq!(negotiated(&held).direction, Direction::RecvOnly);
    let deaf = body("0", &["a=recvonly"]).replace("c=IN IP4 198.51.100.2", "c=IN IP4 0.0.0.0");
    assert_eq!(negotiated(&deaf).direction, Direction::Inactive);
}

#[test]
fn packet_times_out_of_range_do_not_count() {
    for (lines, expected) in [
        (vec!["a=ptime:0"], 20),
        (vec!["a=ptime:9"], 20),
        (vec!["a=ptime:10"], 10),
        (vec!["a=ptime:60"], 60),
        (vec!["a=ptime:61"], 20),
        (vec!["a=ptime:65535"], 20),
        (vec!["a=ptime:-20"], 20),
        (vec!["a=ptime:40", "a=maxptime:30"], 30),
    ] {
        assert_eq!(negotiated(&body("0", &lines)).ptime_ms, expected, "{lines:?}");
    }
    for (line, expected) in [("a=maxptime:20", Some(20)), ("a=maxptime:200", None), ("a=ptime:20", None)] {
        assert_eq!(negotiated(&body("0", &[line])).max_ptime_ms, expected, "{line}");
    }
}

#[test]
fn where_reports_go() {
    let port = negotiated(&body("0", &["a=rtcp:50000"]));
    assert_eq!(port.remote_rtcp, "198.51.100.2:50000".parse().unwrap());
    let full = negotiated(&body("0", &["a=rtcp:50000 IN IP4 198.51.100.7"]));
    assert_eq!(full.remote_rtcp, "198.51.100.7:50000".parse().unwrap());
    let nonsense = negotiated(&body("0", &["a=rtcp:abc"]));
    assert_eq!(nonsense.remote_rtcp, "198.51.100.2:40001".parse().unwrap());
}

#[test]
fn both_address_families() {
    let six = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local() };
    assert!(offer(&six).contains("\r\nc=IN IP6 2001:db8::1\r\n"));
    let body = body("0", &[]).replace("c=IN IP4 198.51.100.2", "c=IN IP6 2001:db8::2");
    let negotiated = answer(body.as_bytes(), &six).unwrap().1;
    assert_eq!(negotiated.remote_rtp, "[2001:db8::2]:40000".parse().unwrap());
    fails(body.as_bytes(), &SdpError::BadAddress);
}

#[test]
fn addresses_that_are_no_target() {
    for address in ["224.2.1.1/127", "255.255.255.255", "host.example.com", "192.0.2.256"] {
        let body = body("0", &[]).replace("c=IN IP4 198.51.100.2", &format!("c=IN IP4 {address}"));
        fails(body.as_bytes(), &SdpError::BadAddress);
    }
    let ourselves = body("0", &[]).replace("198.51.100.2", "192.0.2.1").replace("40000", "20000");
    fails(ourselves.as_bytes(), &SdpError::BadAddress);
}

#[test]
fn what_is_no_description() {
    let any = SdpError::Malformed(String::new());
    for text in ["", "hello", "v=1\r\n", "s=x\r\nv=0\r\n", "v=0\r\nnonsense\r\n", "v=0\r\nm=audio\r\n"] {
        fails(text.as_bytes(), &any);
    }
    fails(body("0", &["a=fmtp:0 \0"]).as_bytes(), &any);
    fails(body("0", &[]).replace("40000", "70000").as_bytes(), &any);
    fails(body("0", &[]).replace("40000", "-1").as_bytes(), &any);
    fails(body("0", &[]).replace("40000", "65535").as_bytes(), &any);
    fails(body("0", &[]).replace("c=IN IP4 198.51.100.2\r\n", "").as_bytes(), &any);
    fails(body(&["0"; 65].join(" "), &[]).as_bytes(), &any);
    fails(body("0", &["m=audio 1 RTP/AVP 0"; 16]).as_bytes(), &any);
    assert!(answer(body(&["0"; 64].join(" "), &["m=audio 1 RTP/AVP 0"; 15]).as_bytes(), &local()).is_ok());
}

#[test]
fn nothing_in_common() {
    fails(body("18 3 96", &["a=rtpmap:96 opus/48000/2"]).as_bytes(), &SdpError::NoCommonCodec);
    fails(body("96", &["a=rtpmap:96 PCMU/16000"]).as_bytes(), &SdpError::NoCommonCodec);
    fails(body("0", &["a=rtpmap:0 G722/8000"]).as_bytes(), &SdpError::NoCommonCodec);
    fails(body("0", &[]).replace("40000", "0").as_bytes(), &SdpError::NoAudio);
    fails(body("0", &[]).replace("RTP/AVP", "RTP/SAVP").as_bytes(), &SdpError::Protected);
    fails(body("0", &[]).replace("RTP/AVP", "UDP/TLS/RTP/SAVPF").as_bytes(), &SdpError::NoAudio);
    let only_a_law = LocalMedia { codecs: vec![Codec::Pcma], ..local() };
    assert_eq!(answer(body("0", &[]).as_bytes(), &only_a_law).unwrap_err(), SdpError::NoCommonCodec);
}

#[test]
fn names_as_offered() {
    let lines = ["a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:97 iLBC/8000"];
    let names = offered(body("96 0 8 9 97 99 101 13 0", &lines).as_bytes()).unwrap();
    assert_eq!(names, ["opus", "PCMU", "PCMA", "G722", "iLBC"]);
}

#[test]
fn names_of_codecs_are_spelled_as_the_api_spells_them() {
    let lines = [
        "a=rtpmap:0 pcmu/8000",
        "a=rtpmap:96 Pcma/8000",
        "a=rtpmap:9 g722/8000",
        "a=rtpmap:97 OPUS/48000/2",
        "a=rtpmap:3 gsm/8000",
        "a=rtpmap:98 Ilbc/8000",
    ];
    let names = offered(body("0 96 9 97 3 98 8", &lines).as_bytes()).unwrap();
    assert_eq!(names, ["PCMU", "PCMA", "G722", "opus", "GSM", "Ilbc"]);
}

#[test]
fn codecs_in_odd_spelling_and_under_odd_numbers_are_used() {
    let offer = body("096 0101", &["a=rtpmap:96  pCmU/8000/1 ", "a=rtpmap:101 TELEPHONE-EVENT/8000"]);
    let (text, negotiated) = answer(offer.as_bytes(), &local()).unwrap();
    assert!(text.contains("m=audio 20000 RTP/AVP 96 101\r\na=rtpmap:96 PCMU/8000\r\n"), "{text}");
    assert_eq!(
        (negotiated.codec, negotiated.send_payload_type, negotiated.receive_payload_type),
        (Codec::Pcmu, 96, 96)
    );
}

#[test]
fn what_real_agents_send() {
    let linphone = include_bytes!("../../../../fixtures/sdp/linphone.sdp");
    let negotiated = answer(linphone, &local()).unwrap().1;
    assert_eq!((negotiated.codec, negotiated.receive_payload_type), (Codec::Pcmu, 0));
    assert_eq!(negotiated.telephone_event.unwrap().send_payload_type, 100);
    let sipp = include_bytes!("../../../../fixtures/sdp/sipp.sdp");
    let negotiated = answer(sipp, &local()).unwrap().1;
    assert_eq!((negotiated.codec, negotiated.telephone_event), (Codec::Pcmu, None));
    let gateway = include_bytes!("../../../../fixtures/sdp/gateway.sdp");
    let negotiated = answer(gateway, &local()).unwrap().1;
    assert_eq!((negotiated.codec, negotiated.ptime_ms), (Codec::Pcma, 20));
    assert_eq!(negotiated.telephone_event.unwrap().send_payload_type, 100);
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = (answer(&bytes, &local()), accept(&bytes, &local()), offered(&bytes));
    }

    #[test]
    fn mutations_of_an_offer_never_panic(changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..8)) {
        let mut bytes = include_bytes!("../../../../fixtures/sdp/linphone.sdp").to_vec();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if let Ok((text, _)) = answer(&bytes, &local()) {
            // Whatever was offered, what we answer is a description again.
            prop_assert!(Description::parse(text.as_bytes()).is_ok(), "{text}");
        }
    }
}
