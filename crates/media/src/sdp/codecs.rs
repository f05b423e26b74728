//! Every codec in descriptions: expected values are written by hand from RFC 3551, RFC 4733 and RFC 7587.

use super::tests::{body, events, local};
use super::*;

fn with(codecs: &[Codec]) -> LocalMedia {
    LocalMedia { codecs: codecs.to_vec(), ..local() }
}

/// The `m=` line and the attributes of payload types.
pub(super) fn types(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| ["m=", "a=rtpmap:", "a=fmtp:"].iter().any(|start| line.starts_with(start)))
        .collect()
}

#[test]
fn an_offer_of_each_codec() {
    let tones = |codec| LocalMedia { telephone_events: false, ..with(&[codec]) };
    for (codec, expected) in [
        (Codec::Pcmu, ["m=audio 20000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"]),
        (Codec::Gsm, ["m=audio 20000 RTP/AVP 3", "a=rtpmap:3 GSM/8000"]),
        (Codec::Pcma, ["m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000"]),
        (Codec::G722, ["m=audio 20000 RTP/AVP 9", "a=rtpmap:9 G722/8000"]),
        (Codec::L16Narrow, ["m=audio 20000 RTP/AVP 96", "a=rtpmap:96 L16/8000"]),
        (Codec::L16Wide, ["m=audio 20000 RTP/AVP 96", "a=rtpmap:96 L16/16000"]),
    ] {
        assert_eq!(types(&offer(&tones(codec))), expected);
    }
}

/// Telephone-events count by the clock of the audio beside them, so there is one for each clock (RFC 4733 §2.1).
#[test]
fn an_offer_of_several_clocks() {
    let text = offer(&with(&[Codec::L16Wide, Codec::G722, Codec::L16Narrow, Codec::Pcmu]));
    assert_eq!(
        types(&text),
        [
            "m=audio 20000 RTP/AVP 96 9 97 0 101 102",
            "a=rtpmap:96 L16/16000",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:97 L16/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=rtpmap:102 telephone-event/16000",
            "a=fmtp:102 0-16",
        ]
    );
}

#[test]
fn an_answer_has_the_events_of_its_codecs_clock() {
    let events =
        ["a=rtpmap:97 L16/16000", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:102 telephone-event/16000"];
    for (formats, expected) in [
        ("97 0 101 102", "m=audio 20000 RTP/AVP 97 102"),
        ("0 97 101 102", "m=audio 20000 RTP/AVP 0 101"),
        ("9 97 101 102", "m=audio 20000 RTP/AVP 9 101"),
        ("97 101", "m=audio 20000 RTP/AVP 97 101"),
    ] {
        let local = with(&[Codec::Pcmu, Codec::G722, Codec::L16Wide]);
        let (text, media) = answer(body(formats, &events).as_bytes(), &local).unwrap();
        assert_eq!(types(&text)[0], expected);
        let event = expected.split(' ').nth(4).map(|number| number.parse().unwrap());
        assert_eq!(media.telephone_event.map(|event| event.send_payload_type), event, "{formats}");
    }
}

/// Opus names two channels whatever it has, and 48 kHz whatever its band (RFC 7587 §7).
#[cfg(feature = "opus")]
#[test]
fn opus_both_ways() {
    let local = with(&[Codec::Opus, Codec::Pcmu]);
    assert_eq!(
        types(&offer(&local)),
        [
            "m=audio 20000 RTP/AVP 96 0 101 102",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=rtpmap:102 telephone-event/48000",
            "a=fmtp:102 0-16",
        ]
    );
    let lines = [
        "a=rtpmap:111 OPUS/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=20000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=ptime:20",
    ];
    let (text, media) = answer(body("111 0 126 110", &lines).as_bytes(), &local).unwrap();
    assert_eq!(
        types(&text),
        [
            "m=audio 20000 RTP/AVP 111 110",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 useinbandfec=1",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-15",
        ]
    );
    let of = |clock_rate, number| TelephoneEvent { clock_rate, ..events(number, number, Events::KEYS) };
    assert_eq!((media.codec, media.telephone_event), (Codec::Opus, Some(of(48_000, 110))));
    // Many name events of 8 kHz alone.
    let (text, media) = answer(body("111 126", &lines).as_bytes(), &local).unwrap();
    assert_eq!(types(&text)[0], "m=audio 20000 RTP/AVP 111 126");
    assert!(text.contains("a=rtpmap:126 telephone-event/8000\r\n"));
    assert_eq!((media.codec, media.telephone_event), (Codec::Opus, Some(of(8_000, 126))));
    for map in ["opus/48000", "opus/48000/1", "opus/8000/2", "opus/16000/2"] {
        let odd = body("96", &[&format!("a=rtpmap:96 {map}")]);
        assert_eq!(answer(odd.as_bytes(), &local).unwrap_err(), SdpError::NoCommonCodec, "{map}");
    }
}

/// What a peer says of the Opus that it wants (RFC 7587 §6.1), and what that comes to.
#[cfg(feature = "opus")]
#[test]
fn what_a_peer_asks_of_opus() {
    use crate::codec::opus::Wishes;
    let none = Wishes::default();
    for (parameters, expected) in [
        ("", none),
        ("stereo=1;sprop-stereo=1;sprop-maxcapturerate=16000", none),
        ("maxplaybackrate=16000; sprop-maxcapturerate=16000", Wishes { playback_rate: 16_000, ..none }),
        (
            "maxplaybackrate=8000;maxaveragebitrate=20000",
            Wishes { playback_rate: 8000, max_bitrate: Some(20_000), ..none },
        ),
        ("useinbandfec=1;usedtx=1;cbr=1", Wishes { fec: true, dtx: true, cbr: true, ..none }),
        ("UseInbandFEC=1; useDTX=0 ;cbr=0", Wishes { fec: true, ..none }),
        ("maxplaybackrate=7999;maxaveragebitrate=5999;useinbandfec=2", none),
        ("maxplaybackrate=48001;maxaveragebitrate=510001;usedtx=yes;cbr", none),
        ("maxaveragebitrate=-1;;=;maxplaybackrate=99999999999", none),
    ] {
        let described = body("111", &["a=rtpmap:111 opus/48000/2", &format!("a=fmtp:111 {parameters}")]);
        let local = with(&[Codec::Opus]);
        let answered = answer(described.as_bytes(), &local).unwrap().1.opus;
        let accepted = accept(described.as_bytes(), &local).unwrap().opus;
        assert_eq!((answered, accepted), (expected, expected), "{parameters}");
    }
    // Another codec has none, whatever is said of it.
    let lines = ["a=rtpmap:111 opus/48000/2", "a=fmtp:0 cbr=1", "a=fmtp:111 cbr=1"];
    let media = answer(body("0 111", &lines).as_bytes(), &with(&[Codec::Opus, Codec::Pcmu])).unwrap().1;
    assert_eq!((media.codec, media.opus), (Codec::Pcmu, none));
}

/// The packet time of every codec is what the peer wants, up to what it takes, and what we take is said.
#[test]
fn packet_times_of_every_codec() {
    for codec in Codec::ALL {
        let local = with(&[codec]);
        let text = offer(&local);
        assert!(text.contains("a=ptime:20\r\na=maxptime:60\r\n"), "{text}");
        let (number, rtpmap) = map(codec, 96);
        for (lines, expected) in [
            (["a=ptime:10", "a=maxptime:60"], 10),
            (["a=ptime:40", "a=maxptime:120"], 40),
            (["a=ptime:60", "a=maxptime:30"], 30),
            (["a=maxptime:10", "a=x"], 10),
            (["a=maxptime:200", "a=x"], 20),
            // Nothing beyond 60 ms is sent (reliability.md P5).
            (["a=ptime:120", "a=maxptime:120"], 20),
        ] {
            let described = body(&number.to_string(), &[&rtpmap, lines[0], lines[1]]);
            let (text, media) = answer(described.as_bytes(), &local).unwrap();
            assert!(text.contains("a=ptime:20\r\na=maxptime:60\r\n"), "{text}");
            let accepted = accept(described.as_bytes(), &local).unwrap();
            assert_eq!((media.ptime_ms, accepted.ptime_ms), (expected, expected), "{codec:?} {lines:?}");
        }
    }
}

/// Neither a rate nor a number of channels that a codec does not have makes it that codec.
#[test]
fn names_with_other_rates_and_channels_are_other_codecs() {
    for map in ["G722/16000", "L16/44100", "L16/16000/2", "GSM/16000", "PCMU/16000", "PCMU/8000/2"] {
        let offered = body("96", &[&format!("a=rtpmap:96 {map}")]);
        assert_eq!(
            answer(offered.as_bytes(), &with(&Codec::ALL)).unwrap_err(),
            SdpError::NoCommonCodec,
            "{map}"
        );
    }
    for map in ["g722/8000", "G722/8000/1", "l16/16000/1", "gsm/8000"] {
        let offered = body("96", &[&format!("a=rtpmap:96 {map}")]);
        assert!(answer(offered.as_bytes(), &with(&Codec::ALL)).is_ok(), "{map}");
    }
}

#[test]
fn an_answer_by_either_order() {
    let theirs = with(&[Codec::Pcma, Codec::G722, Codec::Pcmu]);
    let ours = LocalMedia { order: Order::Ours, ..theirs.clone() };
    for (formats, by_theirs, by_ours) in [
        ("0 9 8", Codec::Pcmu, Codec::Pcma),
        ("18 9 0", Codec::G722, Codec::G722),
        ("0 9", Codec::Pcmu, Codec::G722),
    ] {
        let codec = |local| answer(body(formats, &[]).as_bytes(), local).unwrap().1.codec;
        assert_eq!((codec(&theirs), codec(&ours)), (by_theirs, by_ours), "{formats}");
    }
    // An answer to our offer is in the order of who answers, whatever we prefer (RFC 3264 §6.1).
    assert_eq!(accept(body("0 8", &[]).as_bytes(), &ours).unwrap().codec, Codec::Pcmu);
}

/// Whoever offers again keeps the numbers, also where a codec is in use that has none of its own.
#[test]
fn numbers_stay_over_offers_both_ways() {
    let mut session = Session::new(with(&[Codec::L16Wide, Codec::Pcmu]));
    let first = session.offer();
    assert_eq!(types(&first)[0], "m=audio 20000 RTP/AVP 96 0 101 102");
    // Their numbers differ, and are what we send with.
    let answer = body("110 111", &["a=rtpmap:110 L16/16000", "a=rtpmap:111 telephone-event/16000"]);
    let media = session.accept(answer.as_bytes()).unwrap();
    assert_eq!((media.codec, media.send_payload_type, media.receive_payload_type), (Codec::L16Wide, 110, 96));
    assert_eq!(
        media.telephone_event,
        Some(TelephoneEvent { clock_rate: 16_000, ..events(111, 102, Events::KEYS) })
    );
    assert_eq!(session.offer(), first, "the same again");
    // They offer under their own numbers, which count for both from then on.
    let (text, media) = session.answer(answer.as_bytes()).unwrap();
    assert_eq!(types(&text)[0], "m=audio 20000 RTP/AVP 110 111");
    assert_eq!(media.receive_payload_type, 110);
    assert_eq!(types(&session.offer())[0], "m=audio 20000 RTP/AVP 110 0 101 111");
}

/// A peer that names one of our numbers for something else takes it from us.
#[test]
fn a_number_has_one_meaning() {
    let mut session = Session::new(with(&[Codec::L16Wide, Codec::L16Narrow, Codec::Pcmu]));
    session.offer();
    let lines = ["a=rtpmap:97 L16/16000", "a=rtpmap:96 telephone-event/16000"];
    session.answer(body("97 96", &lines).as_bytes()).unwrap();
    assert_eq!(
        types(&session.offer())[..5],
        [
            "m=audio 20000 RTP/AVP 97 98 0 101 96",
            "a=rtpmap:97 L16/16000",
            "a=rtpmap:98 L16/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
        ]
    );
}

#[test]
fn both_sides_by_ipv6() {
    let six = LocalMedia { address: "2001:db8::1".parse().unwrap(), rtcp_mux: true, ..with(&Codec::ALL) };
    let peer = LocalMedia { address: "2001:db8::2".parse().unwrap(), port: 30_000, ..six.clone() };
    let (text, media) = answer(offer(&peer).as_bytes(), &six).unwrap();
    assert_eq!(media.remote_rtp, "[2001:db8::2]:30000".parse().unwrap());
    let media = accept(text.as_bytes(), &peer).unwrap();
    assert_eq!(
        (media.remote_rtp, media.remote_rtcp.port()),
        ("[2001:db8::1]:20000".parse().unwrap(), 20_000)
    );
}

/// The `a=rtpmap` of a codec, and its number: its own, or this one.
fn map(codec: Codec, dynamic: u8) -> (u8, String) {
    let number = codec.static_payload_type().unwrap_or(dynamic);
    let channels = if codec == Codec::Opus { "/2" } else { "" };
    (number, format!("a=rtpmap:{number} {}/{}{channels}", codec.name(), codec.clock_rate()))
}

/// An INVITE without an offer gets all that we have, and the ACK to our answer takes any of it (RFC 3264 §5). It stays in
/// use until an offer has it no more, and leads our next offer.
#[test]
fn a_delayed_offer_with_every_codec_and_a_change_to_every_other() {
    for codec in Codec::ALL {
        let mut session = Session::new(with(&Codec::ALL));
        let ours = session.offer();
        let dynamic = ours.lines().find_map(|line| {
            let (number, meaning) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            map(codec, 0).1.ends_with(meaning).then(|| number.parse().unwrap())
        });
        let (number, rtpmap) = map(codec, dynamic.unwrap());
        let answer = body(&format!("{number} 101"), &[&rtpmap, "a=rtpmap:101 telephone-event/8000"]);
        let media = session.accept(answer.as_bytes()).unwrap();
        assert_eq!((media.codec, media.receive_payload_type), (codec, number));
        assert_eq!(media.telephone_event.map(|event| event.clock_rate), Some(8000), "{codec:?}");
        let first = format!("m=audio 20000 RTP/AVP {number} ");
        assert!(types(&session.offer())[0].starts_with(&first), "{codec:?}");
        for other in Codec::ALL {
            let mut session = session.clone();
            let ((one, one_map), (two, two_map)) = (map(codec, number), map(other, 120));
            let both = body(&format!("{two} {one}"), &[&two_map, &one_map]);
            assert_eq!(session.answer(both.as_bytes()).unwrap().1.codec, codec, "it is still there");
            let (text, media) = session.answer(body(&two.to_string(), &[&two_map]).as_bytes()).unwrap();
            assert_eq!((media.codec, media.send_payload_type), (other, two), "{codec:?} to {other:?}");
            assert_eq!(types(&text)[0], format!("m=audio 20000 RTP/AVP {two}"));
        }
    }
}

/// Every way of hold, and back, with video beside it that stays rejected at its place (RFC 3264 §6, §8.4; RFC 2543 §B.5).
#[test]
fn holds_of_every_way_with_streams_that_stay_rejected() {
    for codec in Codec::ALL {
        let (number, rtpmap) = map(codec, 96);
        let offer = |address: &str, direction: &str| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 198.51.100.2\r\ns=x\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
                 m=video 40002 RTP/AVP 31 34\r\nm=audio 40000 RTP/AVP {number}\r\n{rtpmap}\r\n{direction}m=text 5000 RTP/AVP 98\r\n"
            )
        };
        let mut session = Session::new(with(&Codec::ALL));
        for (address, direction, ours, expected) in [
            ("198.51.100.2", "", "a=sendrecv", Direction::SendRecv),
            ("198.51.100.2", "a=sendonly\r\n", "a=recvonly", Direction::RecvOnly),
            ("198.51.100.2", "a=sendrecv\r\n", "a=sendrecv", Direction::SendRecv),
            ("198.51.100.2", "a=inactive\r\n", "a=inactive", Direction::Inactive),
            ("0.0.0.0", "", "a=recvonly", Direction::RecvOnly),
            ("0.0.0.0", "a=recvonly\r\n", "a=inactive", Direction::Inactive),
            ("198.51.100.2", "a=recvonly\r\n", "a=sendonly", Direction::SendOnly),
            ("198.51.100.2", "", "a=sendrecv", Direction::SendRecv),
        ] {
            let (text, media) = session.answer(offer(address, direction).as_bytes()).unwrap();
            assert_eq!((media.codec, media.direction), (codec, expected), "{address} {direction}");
            assert!(text.lines().any(|line| line == ours), "{text}");
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
            let audio = format!("m=audio 20000 RTP/AVP {number}");
            assert_eq!(lines, ["m=video 0 RTP/AVP 31", audio.as_str(), "m=text 0 RTP/AVP 98"]);
        }
        let ours = session.offer();
        let lines: Vec<&str> = ours.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!((lines[0], lines[2]), ("m=video 0 RTP/AVP 31", "m=text 0 RTP/AVP 98"));
    }
}
