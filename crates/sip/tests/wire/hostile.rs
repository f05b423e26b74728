//! Bytes that mean harm: an endpoint survives them, forgets them, and the next call works (reliability P1, P8, G1).

use std::time::Duration;

use proptest::prelude::*;

use offhook_sip::StreamFramer;
use offhook_sip::event::{Command, Event, SessionId};

use crate::stage::{OUTBOUND, Stage, invite, request, sdp};
use crate::torture::cases;

/// An endpoint in the middle of things: a call that rings, one that talks, one that we make.
fn busy() -> (Stage, Vec<String>) {
    let mut stage = Stage::new();
    let ringing = request("1 INVITE", "ringing", "", "").replace("call-1@", "call-2@");
    let talking = request("1 INVITE", "talking", "", "Record-Route: <sip:192.0.2.9;lr>\r\n");
    stage.receive(&ringing);
    stage.receive(&talking);
    stage.command(Command::Answer { session: SessionId::Inbound(2), body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    let ack = request("1 ACK", "ack", &tag, "");
    stage.receive(&ack);
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let ours = stage.one();
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
    stage.events();
    let seeds = vec![
        request("1 CANCEL", "ringing", "", "").replace("call-1@", "call-2@"),
        request("2 INFO", "info", &tag, "Content-Type: application/dtmf-relay\r\n"),
        request("3 INVITE", "re", &tag, ""),
        request("4 BYE", "bye", &tag, "Reason: SIP;cause=200;text=\"x\"\r\n"),
        ours.response(
            "180 Ringing",
            "bob",
            "Contact: <sip:bob@192.0.2.7>\r\nRecord-Route: <sip:a;lr>,<sip:b>\r\n",
        ),
        ours.response("401 Unauthorized", "bob", challenge),
        ours.response("200 OK", "bob", "Contact: \"B\" <sip:bob@[2001:db8::1]:5060;transport=tcp>\r\n"),
        ringing,
        talking,
        ack,
    ];
    (stage, seeds)
}

/// Whatever has happened: a new call can be made, and everything dies out.
fn assert_alive(mut stage: Stage) {
    stage.drain();
    stage.receive(&request("1 INVITE", "alive", "", "").replace("call-1@", "alive@"));
    let incoming = stage.events().into_iter().find_map(|event| match event {
        Event::Incoming(incoming) => Some(incoming.session),
        _ => None,
    });
    let session = incoming.expect("a new call");
    assert_eq!(
        stage.endpoint.command(stage.now, Command::Reject { session, status: 486, headers: Vec::new() }),
        Ok(())
    );
    for number in 1..=9 {
        let session = SessionId::Inbound(number);
        let _ =
            stage.endpoint.command(stage.now, Command::Reject { session, status: 603, headers: Vec::new() });
        let _ = stage.endpoint.command(stage.now, Command::Bye { session, reason: None });
    }
    let _ = stage.endpoint.command(stage.now, Command::Cancel { session: OUTBOUND, reason: None });
    let _ = stage.endpoint.command(stage.now, Command::Bye { session: OUTBOUND, reason: None });
    stage.drain();
    let end = stage.now + Duration::from_secs(200);
    while let Some(at) = stage.endpoint.poll_timeout().filter(|&at| at <= end) {
        stage.now = at;
        stage.endpoint.handle_timeout(at);
        stage.drain();
    }
    let counters = stage.endpoint.counters();
    assert_eq!((counters.sessions, counters.transactions, stage.endpoint.poll_timeout()), (0, 0, None));
}

/// What an attacker writes into a message.
fn poison() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(vec![
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\0",
            "\"",
            "<",
            ">",
            ";",
            ",",
            ":",
            "@",
            "=",
            " ",
            "%00",
            "\\",
            "[",
            "]",
            "sip:",
            "tel:",
            ";tag=",
            ";lr",
            ";rport",
            ";branch=z9hG4bK",
            "SIP/2.0",
            "Via: ",
            "To: ",
            "Content-Length: 4294967296\r\n",
            "CSeq: 2147483648 INVITE\r\n",
            "999999999999",
            "-1",
            "é",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// One edit: where (as a fraction), how much is cut out, what is put in.
fn edits() -> impl Strategy<Value = Vec<(f64, usize, Vec<u8>)>> {
    proptest::collection::vec((0.0..1.0_f64, 0..20_usize, poison()), 1..6)
}

fn edited(seed: &[u8], edits: &[(f64, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (place, cut, put) in edits {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a small length"
        )]
        let from = ((bytes.len() as f64) * place) as usize;
        let to = (from + cut).min(bytes.len());
        bytes.splice(from..to, put.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5)) {
        let (mut stage, _) = busy();
        for message in messages {
            stage.receive_bytes(&message);
        }
        assert_alive(stage);
    }

    #[test]
    fn mutated_messages(picks in proptest::collection::vec((any::<prop::sample::Index>(), edits()), 1..6)) {
        let (mut stage, mut seeds) = busy();
        let torture = cases().into_iter().map(|case| case.bytes);
        let seeds: Vec<Vec<u8>> = seeds.drain(..).map(String::into_bytes).chain(torture).collect();
        for (pick, edits) in &picks {
            stage.receive_bytes(&edited(&seeds[pick.index(seeds.len())], edits));
        }
        assert_alive(stage);
    }

    #[test]
    fn mutated_streams(pick in any::<prop::sample::Index>(), edits in edits(), piece in 1..50_usize) {
        let stream: Vec<u8> = cases().into_iter().flat_map(|case| case.bytes).collect();
        let offset = pick.index(stream.len());
        let stream = edited(&stream[offset..], &edits);
        let mut framer = StreamFramer::new();
        'stream: for piece in stream.chunks(piece) {
            framer.push(piece);
            loop {
                match framer.next_message() {
                    Ok(Some(message)) => assert!(message.len() <= 65_535),
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}
