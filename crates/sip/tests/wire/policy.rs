//! Who gets in, and what strangers cost (reliability S1–S4, S7, S8, S14, G17).

use std::time::Duration;

use offhook_sip::event::{Body, Command, EndCause, Event, SessionId, Transport};
use offhook_sip::{Config, Counters, Gateway, Strangers};

use crate::stage::{OURS, PEER, Stage, config, gateway, invite, kinds, request, sdp};

/// An address in no gateway's network.
const STRANGER: &str = "203.0.113.9:5060";
const CALL: SessionId = SessionId::Inbound(1);

fn refusing() -> Config {
    Config { strangers: Strangers::Refuse, ..config(OURS) }
}

/// A request of a call of its own.
fn numbered(cseq: &str, number: usize) -> String {
    request(cseq, &format!("n{number}"), "", "").replace("call-1@", &format!("n{number}@"))
}

/// The peer's INVITE has been answered and acknowledged; our tag is given back.
fn talking(stage: &mut Stage) -> String {
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    stage.events();
    tag
}

#[test]
fn the_gateway_is_told_with_the_call() {
    let networks = |text: &str| vec![text.parse().unwrap()];
    let named = |name: &str, text| Gateway { name: name.into(), ..gateway(networks(text)) };
    let gateways =
        vec![named("one", "192.0.2.7"), named("two", "192.0.2.0/24"), named("three", "2001:db8::/64")];
    let mut stage = Stage::with(Config { gateways, ..config(OURS) });
    for (number, (peer, name)) in [
        (PEER, "one"),
        ("192.0.2.8:5060", "two"),
        ("[::ffff:192.0.2.8]:5060", "two"),
        ("[2001:db8::9]:5060", "three"),
    ]
    .into_iter()
    .enumerate()
    {
        stage.receive_from(peer, &numbered("1 INVITE", number));
        let Event::Incoming(incoming) = stage.event() else { panic!() };
        assert_eq!(&*incoming.gateway, name);
    }
}

#[test]
fn s8_unauthenticated_invite_of_a_stranger_reaches_nobody() {
    for settings in [config(OURS), refusing()] {
        let mut stage = Stage::with(settings);
        for number in 0..50 {
            stage.receive_from(STRANGER, &numbered("1 INVITE", number));
            stage.receive_by(Transport::Tcp, "[2001:db8::66]:40000", &numbered("1 INVITE", number));
        }
        assert_eq!(stage.events(), []);
        assert_eq!((stage.endpoint.counters().transactions, stage.endpoint.counters().sessions), (0, 0));
        assert_eq!(stage.endpoint.poll_timeout(), None);
    }
}

#[test]
fn s7_strangers_all_get_the_same() {
    let mut answers = Vec::new();
    for method in ["INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE", "BYE"] {
        for user in ["sip:100@", "sip:nobody@", "sip:admin@"] {
            for more in ["", "Require: 100rel\r\n", "Authorization: Digest username=\"100\", realm=\"x\"\r\n"]
            {
                let mut stage = Stage::with(refusing());
                let message = request(&format!("1 {method}"), "b", "", more).replace("sip:100@", user);
                stage.receive_from(STRANGER, &message);
                let response = stage.one();
                assert_eq!((response.status(), stage.events().len()), (403, 0));
                assert_eq!(response.all("Server").len(), 0, "it does not say what we are");
                let tag = response.to_tag().to_owned();
                answers.push(response.text.replace(&tag, "").replace(method, "").replace(user, ""));
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[test]
fn s7_what_strangers_get_no_answer_to() {
    let mut stage = Stage::with(refusing());
    let invite = request("1 INVITE", "b", "", "");
    for message in [
        request("1 CANCEL", "b", "", ""),
        request("1 ACK", "b", "", ""),
        request("1 ACK", "b", "tag", ""),
        invite.replace("Max-Forwards: 70", "Max-Forwards: x"),
        invite.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        invite.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        format!("SIP/2.0 200 OK\r\n{}", invite.split_once("\r\n").unwrap().1),
        "\r\n\r\n".to_owned(),
    ] {
        stage.receive_from(STRANGER, &message);
        assert_eq!((stage.sent().len(), stage.events().len()), (0, 0), "{message}");
    }
}

#[test]
fn s4_a_403_goes_out_once_and_is_small() {
    let mut stage = Stage::with(refusing());
    // As short as a request can be that is answered.
    let short =
        "OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP a\r\nf:sip:a\r\nt:sip:a\r\ni:a\r\nCSeq:1 OPTIONS\r\n\r\n";
    for message in [short.to_owned(), numbered("1 OPTIONS", 1), numbered("1 INVITE", 2)] {
        stage.receive_from(STRANGER, &message);
        let response = stage.endpoint.poll_transmit().unwrap();
        assert_eq!(response.flow.remote.to_string(), STRANGER, "only ever to where it came from");
        assert!(
            response.bytes.len() < message.len() * 5 / 2,
            "{} of {}",
            response.bytes.len(),
            message.len()
        );
        assert_eq!(stage.pass(Duration::from_secs(64)).len(), 0);
    }
    // The same request again gets the same response again (RFC 3261 §8.2.7), another one another tag.
    let mut answer = |number| {
        stage.receive_from(STRANGER, &numbered("1 INVITE", number));
        stage.one().text
    };
    assert_eq!(answer(7), answer(7));
    assert_ne!(answer(7), answer(8));
}

#[test]
fn s3_a_source_that_sends_too_much_is_not_parsed() {
    let mut stage = Stage::with(Config { source_rate: 10, ..config(OURS) });
    for number in 0..1000 {
        stage.receive(&numbered("1 OPTIONS", number));
    }
    assert_eq!(stage.sent().len(), 10);
    assert_eq!(stage.endpoint.counters().over_source, 990);
    // Garbage costs as much as anything else: it is not parsed either.
    stage.receive("garbage");
    assert_eq!(stage.endpoint.counters().malformed, 0);
    // Another source has its own.
    stage.receive_from("192.0.2.8:5060", &numbered("1 OPTIONS", 2000));
    assert_eq!(stage.sent().len(), 1);
    // A tenth of a second brings one more.
    stage.pass(Duration::from_millis(100));
    for number in 3000..3010 {
        stage.receive(&numbered("1 OPTIONS", number));
    }
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn s3_on_a_stream_it_is_told_once() {
    let mut stage = Stage::with(Config { source_rate: 1, ..config(OURS) });
    let send = |stage: &mut Stage, peer: &str, cseq: &str, number| {
        stage.receive_by(Transport::Tcp, peer, &numbered(cseq, number));
        stage.sent()
    };
    assert_eq!(kinds(&send(&mut stage, PEER, "1 OPTIONS", 1)), ["200"]);
    let refused = send(&mut stage, PEER, "1 INVITE", 2);
    assert_eq!((refused[0].status(), refused[0].header("Retry-After"), refused.len()), (503, "5", 1));
    for number in 3..20 {
        assert_eq!(send(&mut stage, PEER, "1 INVITE", number).len(), 0);
    }
    assert_eq!(stage.endpoint.counters().transactions, 0);
    stage.pass(Duration::from_secs(1));
    assert_eq!(kinds(&send(&mut stage, PEER, "1 OPTIONS", 20)), ["200"]);
    assert_eq!(kinds(&send(&mut stage, PEER, "1 OPTIONS", 21)), ["503"]);
    // Strangers are told nothing.
    let mut stage = Stage::with(Config { source_rate: 1, ..refusing() });
    let answers: Vec<_> = (0..9).flat_map(|number| send(&mut stage, STRANGER, "1 OPTIONS", number)).collect();
    assert_eq!(kinds(&answers), ["403"]);
}

#[test]
fn s3_all_strangers_share_one_budget() {
    let mut stage = Stage::with(Config { stranger_rate: 20, source_rate: 5, ..refusing() });
    let mut answers = 0;
    for number in 0..1000 {
        let peer = format!("203.0.{}.{}:5060", number / 200, number % 200);
        stage.receive_from(&peer, &numbered("1 OPTIONS", number));
        answers += stage.sent().len();
    }
    assert_eq!(answers, 20);
    assert_eq!(stage.endpoint.counters().over_strangers, 980);
    // The gateways have nothing to do with it.
    stage.receive(&numbered("1 OPTIONS", 1000));
    assert_eq!(kinds(&stage.sent()), ["200"]);
}

#[test]
fn s3_calls_end_whatever_their_source_sends() {
    let mut stage = Stage::with(Config { source_rate: 10, ..config(OURS) });
    let tag = talking(&mut stage);
    for number in 0..1000 {
        stage.receive(&numbered("1 INVITE", number));
        // Those that only say that they belong to a call use up the other budget too.
        stage.receive(&request("2 INFO", &format!("f{number}"), "forged", ""));
    }
    stage.sent();
    let before = stage.endpoint.counters();
    stage.receive(&request("2 INFO", "again", "forged", ""));
    assert_eq!(stage.endpoint.counters().over_source, before.over_source + 1);
    // The tag shows that this one does belong to a call; its retransmission shows it by its branch, when the call is gone.
    for _ in 0..2 {
        stage.receive(&request("2 BYE", "bye", &tag, ""));
        assert_eq!(kinds(&stage.sent()), ["200"]);
    }
    assert!(stage.events().contains(&Event::Ended { session: CALL, cause: EndCause::Bye { reason: None } }));
}

#[test]
fn s3_what_belongs_to_something_live_is_let_past() {
    let mut stage = Stage::with(Config { source_rate: 2, stranger_rate: 2, ..config(OURS) });
    // A call of ours to a place that is no gateway's.
    stage.command(Command::Invite(Box::new(invite("sip:200@203.0.113.9"))));
    let ours = stage.one();
    stage.receive(&request("1 INVITE", "ringing", "", ""));
    stage.sent();
    stage.events();
    for number in 0..100 {
        for peer in [PEER, STRANGER] {
            stage.receive_from(peer, &request("1 OPTIONS", &format!("f{number}"), "forged", ""));
        }
    }
    stage.sent();
    stage.receive_from(
        STRANGER,
        &ours.response("180 Ringing", "bob", "").replace(ours.branch(), "z9hG4bKguess"),
    );
    assert_eq!(stage.events(), []);
    stage.receive_from(STRANGER, &ours.response("180 Ringing", "bob", ""));
    assert!(matches!(stage.event(), Event::Provisional { status: 180, .. }));
    stage.receive(&request("1 CANCEL", "nothing", "", ""));
    assert_eq!(stage.sent().len(), 0);
    stage.receive(&request("1 CANCEL", "ringing", "", ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"]);
}

#[test]
fn s2_a_cancel_comes_from_where_its_invite_came_from() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.drain();
    // Another gateway, which has seen branch and all.
    stage.receive_from("192.0.2.8:5060", &request("1 CANCEL", "invite", "", ""));
    assert_eq!(stage.one().status(), 481);
    stage.receive_from(STRANGER, &request("1 CANCEL", "invite", "", ""));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    // The right place with the wrong branch, or the wrong sent-by.
    stage.receive(&request("1 CANCEL", "guess", "", ""));
    stage.receive(&request("1 CANCEL", "invite", "", "").replace("UDP 192.0.2.7;", "UDP 192.0.2.7:5070;"));
    assert_eq!(kinds(&stage.sent()), ["481", "481"]);
    assert_eq!(stage.events(), []);
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"]);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Cancelled { reason: None } });
}

#[test]
fn s14_a_request_on_another_path_is_merged() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "path1", "", ""));
    stage.drain();
    stage.receive_from("192.0.2.8:5060", &request("1 INVITE", "path2", "", ""));
    assert_eq!((stage.one().status(), stage.events().len()), (482, 0));
    // It is another request by any of its three marks.
    for (from, to) in [("CSeq: 1", "CSeq: 2"), ("tag=alice", "tag=bob"), ("call-1@", "call-2@")] {
        stage.receive(&request("1 INVITE", to, "", "").replace(from, to));
        assert!(matches!(stage.event(), Event::Incoming(_)));
    }
}

/// Reliability G17: right Call-ID, wrong tag or branch.
#[test]
fn g17_forged_requests_touch_no_session() {
    let rate = 1_000_000;
    let mut stage = Stage::with(Config { source_rate: rate, stranger_rate: rate, ..config(OURS) });
    let tag = talking(&mut stage);
    stage.receive(&request("1 INVITE", "ringing", "", "").replace("call-1@", "call-2@"));
    stage.drain();
    let before = stage.endpoint.counters();
    let mut answers = 0;
    for number in 0..25_000 {
        let branch = format!("forged{number}");
        let guess = format!("{number:016x}");
        let bye = request("2 BYE", &branch, &guess, "");
        let cancel = request("1 CANCEL", &branch, "", "").replace("call-1@", "call-2@");
        let reinvite = request("2 INVITE", &branch, &guess, "");
        let wrong_from = request("2 BYE", &branch, &tag, "").replace("tag=alice", &format!("tag={guess}"));
        for (place, message) in [bye, cancel, reinvite, wrong_from].into_iter().enumerate() {
            let peer = if (number + place) % 2 == 0 { PEER } else { STRANGER };
            stage.receive_from(peer, &message);
            while let Some(transmit) = stage.endpoint.poll_transmit() {
                assert!(transmit.bytes.starts_with(b"SIP/2.0 481 "));
                answers += 1;
            }
        }
    }
    assert_eq!((answers, stage.events().len()), (50_000, 0), "481 for a gateway, nothing for a stranger");
    let Counters { sessions, transactions, .. } = stage.endpoint.counters();
    assert_eq!((sessions, transactions), (before.sessions, before.transactions));
    // Both calls go on as if nothing had been.
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200"]);
    let body = Body { content_type: "application/sdp".to_owned(), bytes: Vec::new() };
    stage.command(Command::Answer { session: SessionId::Inbound(2), body });
    assert_eq!(kinds(&stage.sent()), ["200"]);
}

/// An endpoint with a gateway whose dialogs stay where they were made.
fn pinned() -> Stage {
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    let gateways = vec![Gateway { pin_source: true, ..gateway(networks) }];
    Stage::with(Config { gateways, ..config(OURS) })
}

#[test]
fn s1_a_pinned_dialog_is_spoken_to_from_where_it_was_made() {
    let mut stage = pinned();
    let tag = talking(&mut stage);
    // Everything right but the address: another of the same gateway's, and a stranger's.
    for (number, method) in ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "OPTIONS"].into_iter().enumerate() {
        let message = request(&format!("9 {method}"), &format!("x{number}"), &tag, "");
        stage.receive_from("192.0.2.8:5060", &message);
        assert_eq!(stage.one().status(), 481, "{method}");
        stage.receive_from(STRANGER, &message);
        assert_eq!(stage.sent().len(), 0, "{method}");
    }
    assert_eq!((stage.events(), stage.endpoint.counters().displaced), (vec![], 12));
    // Another port is the same address: a NAT may change it. The number is not used up either.
    stage.receive_from("192.0.2.7:40000", &request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Bye { reason: None } });
}

#[test]
fn s1_a_pinned_dialog_takes_its_ack_from_there_too() {
    let mut stage = pinned();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.events();
    stage.receive_from("192.0.2.8:5060", &request("1 ACK", "ack", &tag, ""));
    assert_eq!((stage.events().len(), stage.endpoint.counters().stray_acks), (0, 1));
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    assert!(matches!(stage.event(), Event::Acked { .. }));
}

#[test]
fn s1_a_dialog_made_by_tls_stays_with_tls() {
    let mut stage = pinned();
    stage.receive_by(Transport::Tls, PEER, &request("1 INVITE", "invite", "", ""));
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.receive_by(Transport::Tls, PEER, &request("1 ACK", "ack", &tag, ""));
    stage.drain();
    for transport in [Transport::Udp, Transport::Tcp] {
        stage.receive_by(transport, PEER, &request("2 BYE", &format!("{transport}"), &tag, ""));
        assert_eq!(stage.one().status(), 481);
    }
    // A new connection from the same address is the same peer's.
    stage.receive_by(Transport::Tls, "192.0.2.7:41000", &request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.one().status(), 200);
}

#[test]
fn s1_our_own_calls_are_pinned_to_where_they_went() {
    let mut stage = pinned();
    stage.command(Command::Invite(Box::new(invite("sip:200@192.0.2.7"))));
    let ours = stage.one();
    stage.receive(&ours.response("200 OK", "bob", "Contact: <sip:bob@192.0.2.7>\r\n"));
    stage.drain();
    let from = ours.header("From").split(";tag=").nth(1).unwrap().to_owned();
    let bye = request("1 BYE", "bye", &from, "")
        .replace("tag=alice", "tag=bob")
        .replace("call-1@192.0.2.7", ours.header("Call-ID"));
    stage.receive_from("192.0.2.8:5060", &bye.replace("z9hG4bKbye", "z9hG4bKelse"));
    assert_eq!((stage.one().status(), stage.events().len()), (481, 0));
    stage.receive(&bye);
    assert_eq!((stage.one().status(), stage.events().len()), (200, 1));
}

#[test]
fn s1_without_a_pin_the_tags_are_enough() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive_from("192.0.2.8:5060", &request("2 BYE", "bye", &tag, ""));
    assert_eq!((stage.one().status(), stage.events().len()), (200, 1));
}
