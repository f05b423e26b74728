//! Two sessions of ours face each other: whoever offers, and whatever each can do, both always mean the same.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::srtp::{Keys, Protection, Seed};

fn side(number: u8) -> impl Strategy<Value = LocalMedia> {
    let codecs = subsequence(Codec::ALL.to_vec(), 1..=Codec::ALL.len()).prop_shuffle();
    let order = select(vec![Order::Theirs, Order::Ours]);
    let protection = select(vec![Protection::Off, Protection::Optional, Protection::Required]);
    let ptime = select(vec![10_u8, 20, 30, 40, 60]);
    let choices = (codecs, order, protection, any::<[bool; 3]>(), ptime);
    choices.prop_map(
        move |(codecs, order, protection, [telephone_events, comfort_noise, rtcp_mux], ptime_ms)| {
            LocalMedia {
                address: format!("192.0.2.{number}").parse().unwrap(),
                port: 20_000 + 1000 * u16::from(number),
                codecs,
                order,
                telephone_events,
                comfort_noise,
                rtcp_mux,
                protection,
                seed: Seed([number; 32]),
                ptime_ms,
                session_id: number.into(),
                version: 1,
                destinations: Arc::default(),
            }
        },
    )
}

fn mirrored(direction: Direction) -> Direction {
    match direction {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        both => both,
    }
}

fn swapped(keys: Option<Keys>) -> Option<Keys> {
    keys.map(|Keys { ours, theirs, our_mki, their_mki }| Keys {
        ours: theirs,
        theirs: ours,
        our_mki: their_mki,
        their_mki: our_mki,
    })
}

/// That what one side believes is what the other does.
fn agree(one: &Negotiated, one_is: &LocalMedia, other: &Negotiated, other_is: &LocalMedia) {
    assert_eq!(one.codec, other.codec);
    assert_eq!(one.send_payload_type, other.receive_payload_type);
    assert_eq!(one.receive_payload_type, other.send_payload_type);
    let crossed = other.telephone_event.map(|event| TelephoneEvent {
        send_payload_type: event.receive_payload_type,
        receive_payload_type: event.send_payload_type,
        events: Events::OURS,
        clock_rate: one.codec.clock_rate(),
    });
    assert_eq!(one.telephone_event, crossed);
    let crossed = other.comfort_noise.map(|noise| ComfortNoise {
        send_payload_type: noise.receive_payload_type,
        receive_payload_type: noise.send_payload_type,
    });
    assert_eq!(one.comfort_noise, crossed);
    assert_eq!(one.keys, swapped(other.keys));
    assert_eq!(one.rtcp_mux, other.rtcp_mux);
    assert_eq!(one.direction, mirrored(other.direction));
    let ports = |local: &LocalMedia| {
        let report = if one.rtcp_mux { local.port } else { local.port + 1 };
        (SocketAddr::new(local.address, local.port), SocketAddr::new(local.address, report))
    };
    assert_eq!((one.remote_rtp, one.remote_rtcp), ports(other_is));
    assert_eq!((other.remote_rtp, other.remote_rtcp), ports(one_is));
}

fn version(text: &str) -> u64 {
    text.split("\r\n").nth(1).and_then(|line| line.split(' ').nth(2)).unwrap().parse().unwrap()
}

/// What one side has told so far.
#[derive(Default)]
struct Told {
    last: Option<String>,
    meanings: HashMap<String, String>,
}

impl Told {
    fn tell(&mut self, text: &str) {
        if let Some(last) = &self.last {
            let rise = u64::from(last != text);
            assert_eq!(version(text), version(last) + rise, "{last}\n{text}");
        }
        for map in text.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")) {
            let (number, meaning) = map.split_once(' ').unwrap();
            let known = self.meanings.entry(number.to_owned()).or_insert_with(|| meaning.to_owned());
            assert_eq!(known, meaning, "payload type {number} meant something else");
        }
        self.last = Some(text.to_owned());
    }
}

fn streams(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("m=")).count()
}

proptest! {
    #[test]
    fn two_sessions_always_agree(
        one in side(1),
        other in side(2),
        rounds in proptest::collection::vec((any::<bool>(), select(vec!["sendrecv", "sendonly", "recvonly", "inactive"])), 1..6),
    ) {
        let mut sessions = [Session::new(one.clone()), Session::new(other.clone())];
        let mut told = [Told::default(), Told::default()];
        let locals = [one, other];
        let common = locals[0].codecs.iter().any(|codec| locals[1].codecs.contains(codec));
        let policies = [locals[0].protection, locals[1].protection];
        let may_protect = !(policies.contains(&Protection::Off) && policies.contains(&Protection::Required));
        for (first_offers, direction) in rounds {
            let (offerer, answerer) = if first_offers { (0, 1) } else { (1, 0) };
            let offer = sessions[offerer].offer();
            told[offerer].tell(&offer);
            let sent = offer.replace("a=sendrecv", &format!("a={direction}"));
            match sessions[answerer].answer(sent.as_bytes()) {
                Ok((text, answered)) => {
                    told[answerer].tell(&text);
                    prop_assert_eq!(streams(&text), streams(&sent));
                    let accepted = sessions[offerer].accept(text.as_bytes()).unwrap();
                    agree(&accepted, &locals[offerer], &answered, &locals[answerer]);
                    prop_assert_eq!(accepted.keys.is_some(), !policies.contains(&Protection::Off));
                    prop_assert!(common && may_protect);
                }
                Err(error) => {
                    // Whose policy is off cannot be offered what must be protected, nor offer it.
                    let unprotected = match locals[answerer].protection {
                        Protection::Off => SdpError::Protected,
                        Protection::Optional | Protection::Required => SdpError::NoKeys,
                    };
                    prop_assert_eq!(error, if may_protect { SdpError::NoCommonCodec } else { unprotected });
                    prop_assert!(!common || !may_protect);
                }
            }
        }
    }

    /// An answer has a line for each line of the offer, in its order, and takes one of them.
    #[test]
    fn every_answer_has_as_many_streams_as_the_offer(
        lines in proptest::collection::vec(
            (
                select(vec!["audio", "video", "image", "application", "AUDIO"]),
                select(vec!["0", "9", "40000", "65534"]),
                select(vec!["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "udptl", "UDP/TLS/RTP/SAVPF", "TCP/BFCP"]),
                select(vec!["0", "8 0", "96", "t38", "*"]),
                select(vec!["", "a=bundle-only\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"]),
            ),
            1..=16,
        ),
        local in side(1),
    ) {
        let mut offer = "v=0\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n".to_owned();
        for (kind, port, protocol, formats, attribute) in &lines {
            offer.push_str(&format!("m={kind} {port} {protocol} {formats}\r\n{attribute}"));
        }
        if let Ok((text, _)) = answer(offer.as_bytes(), &local) {
            let answered: Vec<Vec<&str>> = text
                .lines()
                .filter_map(|line| line.strip_prefix("m="))
                .map(|line| line.split(' ').collect())
                .collect();
            prop_assert_eq!(answered.len(), lines.len());
            for (answered, (kind, _, protocol, ..)) in answered.iter().zip(&lines) {
                prop_assert!(answered[0].eq_ignore_ascii_case(kind) && answered[2] == *protocol);
            }
            prop_assert_eq!(answered.iter().filter(|line| line[1] != "0").count(), 1);
        }
    }
}
