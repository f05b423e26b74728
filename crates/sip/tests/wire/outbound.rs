//! Calls that we make, one message at a time.

use std::time::Duration;

use offhook_sip::event::{
    Command, CommandError, Credentials, EndCause, Event, Header, Invite, Lookup, Reason, Refuser, Route,
    SessionId, Transport,
};

use crate::stage::{OURS, OUTBOUND, PEER, Sent, Stage, address, config, invite, kinds, request, route, udp};

pub(crate) const TO: &str = "sip:100@192.0.2.7";
pub(crate) const CONTACT: &str = "Contact: <sip:100@192.0.2.7>\r\n";

fn ended(cause: EndCause) -> Event {
    Event::Ended { session: OUTBOUND, cause }
}

fn final_response(status: u16, phrase: &str, by: Refuser) -> Event {
    let phrase = phrase.to_owned();
    ended(EndCause::Refused { status, phrase, by, retry_after: None, reason: None, contacts: Vec::new() })
}

fn refused(status: u16, phrase: &str) -> Event {
    final_response(status, phrase, Refuser::Peer)
}

/// Nobody answered, or nobody could be asked.
fn unreached(status: u16, phrase: &str) -> Event {
    final_response(status, phrase, Refuser::Us)
}

fn cancel(reason: Option<Reason>) -> Command {
    Command::Cancel { session: OUTBOUND, reason }
}

/// Places a call; gives the INVITE.
#[track_caller]
pub(crate) fn placed(stage: &mut Stage, invite: Invite) -> Sent {
    stage.command(Command::Invite(Box::new(invite)));
    let sent = stage.one();
    let call_id = sent.header("Call-ID").to_owned();
    assert_eq!(stage.event(), Event::Sent { session: OUTBOUND, call_id, route: 0 });
    sent
}

/// A call that has been answered; gives the INVITE.
pub(crate) fn answered(stage: &mut Stage) -> Sent {
    let invite = placed(stage, invite(TO));
    stage.receive(&invite.response("200 OK", "bob", CONTACT));
    assert_eq!(stage.one().kind(), "ACK");
    assert_eq!(stage.event(), Event::Answered { session: OUTBOUND, body: None, also_rang: Vec::new() });
    invite
}

/// A request of the callee inside the dialog of our INVITE.
pub(crate) fn from_callee(invite: &Sent, cseq: &str, branch: &str, tag: &str) -> String {
    let our_tag = invite.header("From").split(";tag=").nth(1).unwrap();
    request(cseq, branch, our_tag, "")
        .replace("tag=alice", &format!("tag={tag}"))
        .replace("call-1@192.0.2.7", invite.header("Call-ID"))
}

#[test]
fn a_call_from_invite_to_bye() {
    let mut stage = Stage::new();
    let mut call = invite(TO);
    call.headers.push(Header { name: "X-Account".to_owned(), value: "7".to_owned() });
    let invite = placed(&mut stage, call);
    assert!(invite.text.starts_with("INVITE sip:100@192.0.2.7 SIP/2.0\r\n"));
    assert_eq!((invite.to, invite.transport), (address(PEER), Transport::Udp));
    assert_eq!(invite.header("To"), "<sip:100@192.0.2.7>");
    assert_eq!(invite.header("Contact"), "<sip:198.51.100.1:5060>");
    assert_eq!((invite.header("CSeq"), invite.header("X-Account")), ("1 INVITE", "7"));
    assert!(invite.header("Via").starts_with("SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bK"));
    assert!(invite.text.ends_with("\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"));

    stage.receive(&invite.response("100 Trying", "", ""));
    assert_eq!(stage.events(), []);
    stage.receive(&invite.response("180 Ringing", "bob", CONTACT));
    assert_eq!(stage.event(), Event::Provisional { session: OUTBOUND, status: 180, body: None });
    // RFC 3261 §12.1.2: the route set is the Record-Route of the response, reversed.
    let routes =
        "Record-Route: <sip:192.0.2.21;lr>, <sip:192.0.2.22;lr=on>\r\nContact: <sip:bob@192.0.2.30:5080>\r\n";
    stage.receive(&invite.response("200 OK", "bob", routes));
    let ack = stage.one();
    assert!(ack.text.starts_with("ACK sip:bob@192.0.2.30:5080 SIP/2.0\r\n"));
    assert_eq!(ack.all("Route"), ["<sip:192.0.2.22;lr=on>", "<sip:192.0.2.21;lr>"]);
    assert_eq!((ack.header("CSeq"), ack.to), ("1 ACK", address("192.0.2.22:5060")));
    assert_eq!((ack.to_tag(), ack.header("From")), ("bob", invite.header("From")));
    assert_ne!(ack.branch(), invite.branch());
    assert_eq!(stage.event(), Event::Answered { session: OUTBOUND, body: None, also_rang: Vec::new() });

    stage.command(Command::Bye {
        session: OUTBOUND,
        reason: Some(Reason { cause: 200, text: String::new() }),
    });
    let bye = stage.one();
    assert_eq!((bye.header("CSeq"), bye.header("Reason"), bye.to), ("2 BYE", "SIP;cause=200", ack.to));
    // The 2xx comes again, long after: the same ACK goes again.
    stage.receive(&invite.response("200 OK", "bob", routes));
    assert_eq!(stage.one().text, ack.text);
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.receive(&invite.response("200 OK", "bob", routes));
    assert_eq!(stage.one().text, ack.text, "after the end too");
    assert!(stage.endpoint.is_quiet());
    stage.assert_nothing_left();
}

#[test]
fn a_strict_router_is_fed_its_own_uri() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    let routes = "Record-Route: <sip:192.0.2.21;lr>\r\nRecord-Route: <sip:192.0.2.22>\r\nContact: <sip:bob@192.0.2.30>\r\n";
    stage.receive(&invite.response("200 OK", "bob", routes));
    let ack = stage.one();
    // RFC 3261 §12.2.1.1.
    assert!(ack.text.starts_with("ACK sip:192.0.2.22 SIP/2.0\r\n"));
    assert_eq!(ack.all("Route"), ["<sip:192.0.2.21;lr>", "<sip:bob@192.0.2.30>"]);
    assert_eq!(ack.to, address("192.0.2.22:5060"));
}

#[test]
fn the_callee_hangs_up() {
    let mut stage = Stage::new();
    let invite = answered(&mut stage);
    stage.receive(&from_callee(&invite, "7 BYE", "bye", "bob"));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.event(), ended(EndCause::Bye { reason: None }));
    stage.receive(&from_callee(&invite, "8 INFO", "late", "bob"));
    assert_eq!(stage.one().status(), 481, "no request revives a call");
    stage.assert_nothing_left();
}

#[test]
fn inside_the_dialog() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.receive(&invite.response("180 Ringing", "bob", CONTACT));
    stage.events();
    stage.receive(&invite.response("200 OK", "bob", CONTACT));
    stage.sent();
    stage.receive(&from_callee(&invite, "3 INFO", "info", "carol"));
    assert_eq!(stage.one().status(), 481);
}

#[test]
fn a_refusal_is_acknowledged_and_told() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    let busy = invite.response("486 Busy as usual", "bob", "");
    stage.receive(&busy);
    let ack = stage.one();
    assert_eq!((ack.kind(), ack.branch(), ack.to_tag()), ("ACK".to_owned(), invite.branch(), "bob"));
    assert_eq!((ack.header("CSeq"), ack.header("From")), ("1 ACK", invite.header("From")));
    assert!(ack.text.starts_with("ACK sip:100@192.0.2.7 SIP/2.0\r\n"));
    assert_eq!(stage.event(), refused(486, "Busy as usual"));
    stage.receive(&busy);
    assert_eq!(stage.one().text, ack.text);
    stage.assert_nothing_left();
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.command(cancel(Some(Reason { cause: 487, text: "enough".to_owned() })));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    stage.receive(&invite.response("100 Trying", "", ""));
    let cancel = stage.one();
    assert_eq!(
        (cancel.kind(), cancel.branch(), cancel.to),
        ("CANCEL".to_owned(), invite.branch(), invite.to)
    );
    assert_eq!((cancel.header("CSeq"), cancel.header("To")), ("1 CANCEL", invite.header("To")));
    assert_eq!((cancel.all("Via"), cancel.header("From")), (invite.all("Via"), invite.header("From")));
    assert_eq!(cancel.header("Reason"), "SIP;cause=487;text=\"enough\"");
    stage.receive(&cancel.response("200 OK", "bob", ""));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    stage.receive(&invite.response("487 Request Terminated", "bob", ""));
    assert_eq!(stage.one().kind(), "ACK");
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn a_cancel_that_crosses_the_answer_hangs_up() {
    for provisional in [true, false] {
        let mut stage = Stage::new();
        let invite = placed(&mut stage, invite(TO));
        if provisional {
            stage.receive(&invite.response("180 Ringing", "bob", CONTACT));
            stage.events();
        }
        stage.command(cancel(None));
        stage.sent();
        stage.receive(&invite.response("200 OK", "bob", CONTACT));
        let sent = stage.sent();
        assert_eq!(kinds(&sent), ["ACK", "BYE"], "never told as answered");
        assert_eq!(stage.events(), []);
        stage.receive(&sent[1].response("200 OK", "", ""));
        assert_eq!(stage.event(), ended(EndCause::Local));
        // The peer does not answer the CANCEL: its transaction runs out.
        stage.pass(Duration::from_secs(32));
        stage.assert_nothing_left();
    }
}

#[test]
fn after_a_cancel_64_t1_are_enough() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.receive(&invite.response("180 Ringing", "bob", CONTACT));
    stage.command(cancel(None));
    let cancelled = stage.one();
    stage.receive(&cancelled.response("200 OK", "bob", ""));
    stage.events();
    stage.pass(Duration::from_millis(31_999));
    assert_eq!(stage.events(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn names_are_resolved_and_tried_in_order() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@gw.example.com"))));
    assert_eq!(stage.sent().len(), 0);
    let Event::Resolve { query, lookup: Lookup { host, port, .. } } = stage.event() else { panic!() };
    assert_eq!((&*host, port), ("gw.example.com", None));
    let targets = ["[2001:db8::1]:5060", "192.0.2.11:5060", "192.0.2.12:5060", "192.0.2.13:5060"];
    stage.command(Command::Resolved { query, targets: targets.map(udp).to_vec() });
    // We have no IPv6 address, so the first one is none.
    let first = stage.one();
    assert_eq!(first.to, address("192.0.2.11:5060"));
    let call_id = first.header("Call-ID").to_owned();
    assert_eq!(stage.event(), Event::Sent { session: OUTBOUND, call_id, route: 0 });

    let sent = stage.pass(Duration::from_secs(32));
    let second = &sent.last().unwrap().1;
    assert_eq!((second.to, second.header("CSeq")), (address("192.0.2.12:5060"), "1 INVITE"));
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    assert_ne!(second.branch(), first.branch());
    assert_eq!(stage.events(), []);

    stage.receive_from("192.0.2.12:5060", &second.response("503 Service Unavailable", "x", ""));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    assert_eq!(sent[1].to, address("192.0.2.13:5060"));
    let flow = offhook_sip::event::Flow {
        transport: Transport::Udp,
        local: address(OURS),
        remote: sent[1].to,
        name: None,
    };
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.event(), unreached(503, "Service Unavailable"));
    stage.assert_nothing_left();
}

#[test]
fn a_name_without_an_address_ends_the_call() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@gw.example.com"))));
    let Event::Resolve { query, .. } = stage.event() else { panic!() };
    stage.command(Command::Resolved { query, targets: Vec::new() });
    assert_eq!(stage.event(), final_response(503, "Service Unavailable", Refuser::Names));
    stage.assert_nothing_left();

    // Nobody answers the question at all; and the caller gives up while it is asked.
    stage.command(Command::Invite(Box::new(invite("sip:100@gw.example.com"))));
    stage.events();
    stage.pass(Duration::from_secs(5));
    assert_eq!(stage.event(), final_response(503, "Service Unavailable", Refuser::Names));
    stage.command(Command::Invite(Box::new(invite("sip:100@gw.example.com"))));
    stage.events();
    stage.command(cancel(None));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn nobody_answers() {
    let mut stage = Stage::new();
    placed(&mut stage, invite(TO));
    stage.pass(Duration::from_secs(32));
    assert_eq!(stage.event(), unreached(408, "Request Timeout"));
    stage.assert_nothing_left();
}

#[test]
fn who_refused_is_told() {
    // The peer's own 408 and 503 look like ours, and are its word all the same.
    for (status, phrase) in [(408, "Request Timeout"), (503, "Service Unavailable")] {
        let mut stage = Stage::new();
        let invite = placed(&mut stage, invite(TO));
        stage.receive(&invite.response(&format!("{status} {phrase}"), "bob", ""));
        assert_eq!(stage.event(), refused(status, phrase));
    }
    // So is the 503 of a proxy whose other addresses we have no way to.
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@gw.example.com"))));
    let Event::Resolve { query, .. } = stage.event() else { panic!() };
    let targets = ["192.0.2.11:5060", "[2001:db8::1]:5060"].map(udp).to_vec();
    stage.command(Command::Resolved { query, targets });
    let sent = stage.one();
    stage.events();
    stage.receive_from("192.0.2.11:5060", &sent.response("503 Full", "x", ""));
    assert_eq!(stage.event(), refused(503, "Full"));
    // A connection that is refused says nothing.
    let mut stage = Stage::new();
    let sent = placed(&mut stage, invite("sip:100@192.0.2.7;transport=tcp"));
    let flow = offhook_sip::event::Flow {
        transport: Transport::Tcp,
        local: address(OURS),
        remote: sent.to,
        name: None,
    };
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.event(), unreached(503, "Service Unavailable"));
}

#[test]
fn the_proxy_and_the_transport_say_where() {
    let mut stage = Stage::new();
    let mut call = invite("sip:100@gw.example.com;transport=tcp");
    call.routes[0].proxy = Some("192.0.2.50:5070".to_owned());
    let sent = placed(&mut stage, call);
    assert_eq!((sent.to, sent.transport), (address("192.0.2.50:5070"), Transport::Tcp));
    assert!(sent.text.starts_with("INVITE sip:100@gw.example.com;transport=tcp SIP/2.0\r\n"));
    assert_eq!(sent.header("Contact"), "<sip:198.51.100.1:5060;transport=tcp>");
    // TCP repeats nothing, and gives up all the same.
    let again = stage.pass(Duration::from_secs(32));
    assert_eq!(again.len(), 0);
    assert_eq!(stage.event(), unreached(408, "Request Timeout"));
}

#[test]
fn the_advertised_address_is_told() {
    let config = offhook_sip::Config { advertise: Some("203.0.113.80".to_owned()), ..config(OURS) };
    let mut stage = Stage::with(config);
    let sent = placed(&mut stage, invite(TO));
    assert!(sent.header("Via").starts_with("SIP/2.0/UDP 203.0.113.80:5060;"));
    assert_eq!(sent.header("Contact"), "<sip:203.0.113.80:5060>");
}

/// SIP and SIP over TLS never share a port, so the one that is advertised is not that of TLS.
#[test]
fn the_advertised_port_is_not_that_of_tls() {
    for (advertise, host) in [("203.0.113.80:5070", "203.0.113.80"), ("pbx:5070", "pbx")] {
        let config = offhook_sip::Config {
            advertise: Some(advertise.to_owned()),
            tls: vec![address("198.51.100.1:5061")],
            ..config(OURS)
        };
        for (to, transport, port, tail) in [
            ("sip:100@192.0.2.7", "UDP", 5070, ""),
            ("sip:100@192.0.2.7;transport=tcp", "TCP", 5070, ";transport=tcp"),
            ("sip:100@192.0.2.7;transport=tls", "TLS", 5061, ";transport=tls"),
        ] {
            let mut stage = Stage::with(config.clone());
            let sent = placed(&mut stage, invite(to));
            let via = format!("SIP/2.0/{transport} {host}:{port};");
            assert!(sent.header("Via").starts_with(&via), "{}", sent.header("Via"));
            assert_eq!(sent.header("Contact"), format!("<sip:{host}:{port}{tail}>"));
        }
    }
}

#[test]
fn every_2xx_lost_and_the_peer_gave_up() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.receive(&invite.response("100 Trying", "", ""));
    stage.receive(&from_callee(&invite, "1 BYE", "bye", "bob"));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.event(), ended(EndCause::Bye { reason: None }));
    stage.assert_nothing_left();
}

#[test]
fn what_cannot_be_placed() {
    let mut stage = Stage::with(offhook_sip::Config { max_sessions: 1, ..config(OURS) });
    let check = |stage: &mut Stage, invite: Invite, error| {
        let result = stage.endpoint.command(stage.now, Command::Invite(Box::new(invite)));
        assert_eq!(result, Err(error));
        assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    };
    for to in ["", "100", "tel:100", "sip:1\r\n00@192.0.2.7", "<sip:100@192.0.2.7>"] {
        check(&mut stage, invite(to), CommandError::BadUri(to.to_owned()));
    }
    let from = "sip:a@b>\r\nX: y".to_owned();
    check(&mut stage, Invite { from: from.clone(), ..invite(TO) }, CommandError::BadUri(from));
    check(
        &mut stage,
        Invite { routes: vec![Route { proxy: Some("a b".to_owned()), ..route(TO) }], ..invite(TO) },
        CommandError::BadUri("a b".to_owned()),
    );
    let header = Header { name: "Route".to_owned(), value: "<sip:x;lr>".to_owned() };
    check(
        &mut stage,
        Invite { headers: vec![header], ..invite(TO) },
        CommandError::BadHeader("Route".to_owned()),
    );
    let inbound = Invite { session: SessionId::Inbound(1), ..invite(TO) };
    check(&mut stage, inbound, CommandError::WrongState);
    placed(&mut stage, invite(TO));
    check(&mut stage, invite(TO), CommandError::WrongState);
    check(&mut stage, Invite { session: SessionId::Outbound(2), ..invite(TO) }, CommandError::Full);
}

fn credentials() -> Option<Credentials> {
    Some(Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() })
}

/// The parameter of a digest header, without quotes.
fn param<'a>(header: &'a str, name: &str) -> &'a str {
    let header = header.strip_prefix("Digest ").unwrap();
    let value = header.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap();
    value.trim_matches('"')
}

/// The response of a digest, computed by rsip: independent of the code under test.
fn expected(header: &str, method: rsip::Method, algorithm: rsip::headers::auth::Algorithm) -> String {
    use rsip::headers::auth::AuthQop;
    let qop = header.contains("qop=auth").then(|| AuthQop::Auth {
        cnonce: param(header, "cnonce").to_owned(),
        nc: param(header, "nc").parse().unwrap(),
    });
    let uri = rsip::Uri::try_from(param(header, "uri")).unwrap();
    rsip::services::DigestGenerator {
        username: "Mufasa",
        password: "Circle of Life",
        algorithm,
        nonce: param(header, "nonce"),
        method: &method,
        qop: qop.as_ref(),
        uri: &uri,
        realm: param(header, "realm"),
    }
    .compute()
}

#[test]
fn a_challenge_is_answered_by_the_strongest_known_digest() {
    use rsip::headers::auth::Algorithm;
    let mut stage = Stage::new();
    let first = placed(
        &mut stage,
        Invite { routes: vec![Route { credentials: credentials(), ..route(TO) }], ..invite(TO) },
    );
    assert_eq!(first.all("Authorization").len(), 0);
    let challenges = "WWW-Authenticate: Basic realm=\"gw\"\r\n\
        WWW-Authenticate: Digest realm=\"gw\", nonce=\"weak\", algorithm=MD5, qop=\"auth\"\r\n\
        WWW-Authenticate: Digest realm=\"gw\", nonce=\"n,1\", opaque=\"o\", algorithm=SHA-256, qop=\"auth-int,auth\"\r\n\
        WWW-Authenticate: Digest realm=\"gw\", nonce=\"x\", algorithm=SHA-512-256, qop=\"auth\"\r\n";
    stage.receive(&first.response("401 Unauthorized", "srv", challenges));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    let second = &sent[1];
    assert_eq!((second.header("CSeq"), second.to_tag()), ("2 INVITE", ""));
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    assert_eq!(second.header("From"), first.header("From"));
    assert_ne!(second.branch(), first.branch());
    let answer = second.header("Authorization");
    assert_eq!(
        (param(answer, "algorithm"), param(answer, "opaque"), param(answer, "nc")),
        ("SHA-256", "o", "00000001")
    );
    // The nonce has a comma, which `param` does not read: the quoted text does.
    assert!(answer.contains("nonce=\"n,1\""));
    assert_eq!(stage.events(), [], "the application does not hear of it");

    // A stale nonce is answered again; by MD5 without qop, as RFC 2069 has it, this time.
    let stale = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n2\", stale=TRUE\r\n";
    stage.receive(&second.response("401 Unauthorized", "srv", stale));
    let third = stage.sent().pop().unwrap();
    let answer = third.header("Authorization");
    assert!(!answer.contains("qop") && !answer.contains("algorithm"));
    assert_eq!(param(answer, "response"), expected(answer, rsip::Method::Invite, Algorithm::Md5));

    // Refused without `stale`: the password is wrong.
    let again = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n3\", qop=\"auth\"\r\n";
    stage.receive(&third.response("401 Unauthorized", "srv", again));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), refused(401, "Unauthorized"));
    stage.assert_nothing_left();
}

#[test]
fn the_whole_call_is_authenticated() {
    use rsip::headers::auth::Algorithm;
    let mut stage = Stage::new();
    let first = placed(
        &mut stage,
        Invite { routes: vec![Route { credentials: credentials(), ..route(TO) }], ..invite(TO) },
    );
    stage.receive(&first.response("180 Ringing", "early", CONTACT));
    stage.events();
    let challenge = "Proxy-Authenticate: Digest realm=\"gw\", nonce=\"n1\", qop=\"auth\"\r\n";
    stage.receive(&first.response("407 Proxy Authentication Required", "srv", challenge));
    let second = stage.sent().pop().unwrap();
    let answer = second.header("Proxy-Authorization").to_owned();
    assert_eq!(param(&answer, "response"), expected(&answer, rsip::Method::Invite, Algorithm::Md5));
    stage.receive(&second.response("200 OK", "bob", CONTACT));
    let ack = stage.one();
    // RFC 3261 §22.1: the ACK has the credentials of its INVITE.
    assert_eq!((ack.header("Proxy-Authorization"), ack.header("CSeq")), (&*answer, "2 ACK"));

    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    let answer = bye.header("Proxy-Authorization");
    assert_eq!((param(answer, "nc"), bye.header("CSeq")), ("00000002", "3 BYE"));
    assert_eq!(param(answer, "response"), expected(answer, rsip::Method::Bye, Algorithm::Md5));
    stage.events();
    let challenge = "Proxy-Authenticate: Digest realm=\"gw\", nonce=\"n9\", qop=\"auth\"\r\n";
    stage.receive(&bye.response("407 Again", "", challenge));
    let bye = stage.one();
    let answer = bye.header("Proxy-Authorization");
    assert_eq!(
        (param(answer, "nonce"), param(answer, "nc"), bye.header("CSeq")),
        ("n9", "00000001", "4 BYE")
    );
    assert_eq!(stage.events(), []);
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn s6_no_password_goes_to_where_a_contact_leads() {
    let mut stage = Stage::new();
    let invite = placed(
        &mut stage,
        Invite { routes: vec![Route { credentials: credentials(), ..route(TO) }], ..invite(TO) },
    );
    let challenge = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";
    stage.receive(&invite.response("401 Unauthorized", "srv", challenge));
    let invite = stage.sent().pop().unwrap();
    assert_eq!(invite.all("Authorization").len(), 1);
    stage.receive(&invite.response("200 OK", "bob", "Contact: <sip:mallory@203.0.113.66>\r\n"));
    let ack = stage.one();
    assert_eq!((ack.to, ack.all("Authorization").len()), (address("203.0.113.66:5060"), 0));
    stage.events();
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    assert_eq!((bye.to, bye.all("Authorization").len()), (address("203.0.113.66:5060"), 0));
    stage.receive_from("203.0.113.66:5060", &bye.response("401 Unauthorized", "", challenge));
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(stage.event(), ended(EndCause::Local));
}

#[test]
fn challenges_come_to_an_end() {
    let mut stage = Stage::new();
    let mut last = placed(
        &mut stage,
        Invite { routes: vec![Route { credentials: credentials(), ..route(TO) }], ..invite(TO) },
    );
    let mut rounds = 0;
    while stage.events().is_empty() {
        rounds += 1;
        let stale = format!("WWW-Authenticate: Digest realm=\"gw\", nonce=\"n{rounds}\", stale=true\r\n");
        stage.receive(&last.response("401 Unauthorized", "srv", &stale));
        last = stage.sent().pop().unwrap();
        assert!(rounds < 10);
    }
    assert_eq!(rounds, 5);
}

#[test]
fn s6_the_callee_of_an_inbound_call_learns_no_password() {
    // CVE-2021-41158: whoever called challenges our BYE with the realm of one of our gateways. An inbound call has no
    // credentials, so there is nothing to answer with, whatever calls of ours to that gateway are under way.
    let mut stage = Stage::new();
    let routes = vec![Route { credentials: credentials(), ..route(TO) }];
    let ours = placed(&mut stage, Invite { routes, ..invite(TO) });
    let challenge = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";
    stage.receive(&ours.response("401 Unauthorized", "srv", challenge));
    assert_eq!(stage.sent().pop().unwrap().all("Authorization").len(), 1);

    stage.receive(&request("1 INVITE", "in", "", ""));
    stage.events();
    let session = SessionId::Inbound(1);
    stage.command(Command::Answer { session, body: crate::stage::sdp("") });
    let ok = stage.sent().pop().unwrap();
    stage.receive(&request("1 ACK", "ack", ok.to_tag(), ""));
    stage.command(Command::Bye { session, reason: None });
    let bye = stage.sent().pop().unwrap();
    assert_eq!((bye.kind(), bye.all("Authorization").len()), ("BYE".to_owned(), 0));
    stage.events();
    stage.receive(&bye.response("401 Unauthorized", "", challenge));
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(stage.event(), Event::Ended { session, cause: EndCause::Local });
}
