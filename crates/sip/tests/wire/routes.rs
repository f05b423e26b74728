//! Which way requests take: transports, sizes, addresses and routes.

use std::time::Duration;

use offhook_sip::Config;
use offhook_sip::event::{
    Command, CommandError, Credentials, EndCause, Event, Flow, Invite, Lookup, PeerName, Refuser, Route,
    Target, Transport,
};

use crate::stage::{OURS, OUTBOUND, Sent, Stage, address, config, invite, kinds, request, route, sdp, udp};

/// The end of a call for which nobody was reached.
fn unreached(status: u16, phrase: &str) -> Event {
    unreached_by(Refuser::Us, status, phrase)
}

/// And whose fault that is.
fn unreached_by(by: Refuser, status: u16, phrase: &str) -> Event {
    let phrase = phrase.to_owned();
    Event::Ended {
        session: OUTBOUND,
        cause: EndCause::Refused {
            status,
            phrase,
            by,
            retry_after: None,
            reason: None,
            contacts: Vec::new(),
        },
    }
}

fn place(stage: &mut Stage, invite: Invite) {
    stage.command(Command::Invite(Box::new(invite)));
}

/// Places a call that goes out at once.
#[track_caller]
fn placed(stage: &mut Stage, invite: Invite) -> Sent {
    place(stage, invite);
    stage.drain_events();
    stage.one()
}

/// Answers the one question to the name service.
#[track_caller]
fn resolve(stage: &mut Stage, targets: &[Target]) -> Lookup {
    let Event::Resolve { query, lookup } = stage.event() else { panic!("no question") };
    stage.command(Command::Resolved { query, targets: targets.to_vec() });
    lookup
}

fn by(transport: Transport, text: &str) -> Target {
    Target { transport, address: address(text), name: None }
}

fn with_tls() -> Config {
    Config { tls: vec![address("198.51.100.1:5061")], ..config(OURS) }
}

#[test]
fn sips_goes_by_tls_or_not_at_all() {
    let mut stage = Stage::with(with_tls());
    let sent = placed(&mut stage, invite("sips:100@192.0.2.7"));
    assert_eq!((sent.to, sent.transport), (address("192.0.2.7:5061"), Transport::Tls));
    assert!(sent.header("Via").starts_with("SIP/2.0/TLS 198.51.100.1:5061;"));
    assert_eq!(sent.header("Contact"), "<sips:198.51.100.1:5061>");

    let mut stage = Stage::with(with_tls());
    let sent = placed(&mut stage, invite("sip:100@192.0.2.7;transport=tls"));
    assert_eq!((sent.to, sent.transport), (address("192.0.2.7:5061"), Transport::Tls));
    assert_eq!(sent.header("Contact"), "<sip:198.51.100.1:5061;transport=tls>");

    // The proxy is reached as securely as the callee.
    let mut stage = Stage::with(with_tls());
    let routes =
        vec![Route { proxy: Some("192.0.2.50:5063".to_owned()), ..route("sips:100@gw.example.com") }];
    let sent = placed(&mut stage, Invite { routes, ..invite("") });
    assert_eq!((sent.to, sent.transport), (address("192.0.2.50:5063"), Transport::Tls));

    // No answer of the name service makes it less than that.
    let mut stage = Stage::with(with_tls());
    place(&mut stage, invite("sips:100@gw.example.com"));
    let targets = [udp("192.0.2.7:5060"), by(Transport::Tls, "192.0.2.8:5061")];
    let lookup = resolve(&mut stage, &targets);
    assert_eq!(
        (&*lookup.host, lookup.port, lookup.transport, lookup.secure),
        ("gw.example.com", None, None, true)
    );
    assert_eq!(stage.one().to, address("192.0.2.8:5061"));

    // Without TLS there is no way.
    let mut stage = Stage::new();
    place(&mut stage, invite("sips:100@192.0.2.7"));
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(stage.event(), unreached(503, "Service Unavailable"));
    stage.assert_nothing_left();
}

#[test]
fn a_large_request_goes_by_tcp_and_falls_back_to_udp() {
    let large = |to: &str| Invite { body: sdp(&"a=x\r\n".repeat(200)), ..invite(to) };
    let mut stage = Stage::new();
    let first = placed(&mut stage, large("sip:100@192.0.2.7"));
    assert_eq!((first.to, first.transport), (address("192.0.2.7:5060"), Transport::Tcp));
    assert!(first.header("Via").starts_with("SIP/2.0/TCP 198.51.100.1:5060;"));
    assert_eq!(first.header("Contact"), "<sip:198.51.100.1:5060;transport=tcp>");
    let flow = Flow { transport: Transport::Tcp, local: address(OURS), remote: first.to, name: None };
    stage.endpoint.transport_failed(stage.now, flow);
    let second = stage.one();
    assert_eq!((second.to, second.transport), (first.to, Transport::Udp));
    assert_eq!(second.header("Contact"), "<sip:198.51.100.1:5060>");
    assert_eq!((second.header("CSeq"), second.header("Call-ID")), ("1 INVITE", first.header("Call-ID")));
    stage.pass(Duration::from_secs(32));
    assert_eq!(stage.event(), unreached(408, "Request Timeout"));
    stage.assert_nothing_left();

    // Who says `transport=udp` means it; and without TCP there is no choice.
    let mut stage = Stage::new();
    assert_eq!(placed(&mut stage, large("sip:100@192.0.2.7;transport=udp")).transport, Transport::Udp);
    let mut stage = Stage::with(Config { tcp: Vec::new(), ..config(OURS) });
    assert_eq!(placed(&mut stage, large("sip:100@192.0.2.7")).transport, Transport::Udp);
}

#[test]
fn the_limit_of_a_datagram_is_exact() {
    let mut stage = Stage::new();
    let filled = |size: usize| Invite { body: sdp(&"x".repeat(size)), ..invite("sip:100@192.0.2.7") };
    let sent = placed(&mut stage, filled(500));
    let rest = 1300 - (sent.text.len() - 500);
    for (size, transport, length) in [(rest, Transport::Udp, 1300), (rest + 1, Transport::Tcp, 1301)] {
        let mut stage = Stage::new();
        let sent = placed(&mut stage, filled(size));
        assert_eq!(sent.transport, transport);
        if transport == Transport::Udp {
            assert_eq!(sent.text.len(), length);
        }
    }
}

#[test]
fn an_inbound_sips_call_has_to_come_by_tls() {
    let sips = request("1 INVITE", "a", "", "").replace("INVITE sip:100", "INVITE sips:100");
    let mut stage = Stage::with(with_tls());
    stage.receive_by(Transport::Tls, "192.0.2.7:40000", &sips);
    let Event::Incoming(incoming) = stage.event() else { panic!() };
    stage.command(Command::Progress { session: incoming.session, status: 180, body: None });
    // RFC 3261 §12.1.1: the Contact of a sips dialog is a sips URI.
    assert_eq!(stage.sent().last().unwrap().header("Contact"), "<sips:198.51.100.1:5061>");
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::with(with_tls());
        stage.receive_by(transport, "192.0.2.7:40000", &sips);
        assert_eq!(stage.one().status(), 416);
    }
}

fn refused_by_peer(status: u16, phrase: &str, retry_after: Option<Duration>) -> Event {
    let (phrase, by) = (phrase.to_owned(), Refuser::Peer);
    Event::Ended {
        session: OUTBOUND,
        cause: EndCause::Refused { status, phrase, by, retry_after, reason: None, contacts: Vec::new() },
    }
}

fn told_sent(sent: &Sent, route: usize) -> Event {
    Event::Sent { session: OUTBOUND, call_id: sent.header("Call-ID").to_owned(), route }
}

/// A call with a route by name, whose addresses are .11 and .12, and one to .21.
fn two_routes() -> Invite {
    let credentials =
        Some(Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() });
    let routes = vec![
        Route { credentials, ..route("sip:100@gw.example.com") },
        Route { proxy: Some("192.0.2.21:5070".to_owned()), ..route("sip:200@backup.example.com") },
    ];
    Invite { routes, ..invite("") }
}

#[test]
fn every_address_of_a_route_and_then_the_next_route() {
    let mut stage = Stage::new();
    place(&mut stage, two_routes());
    resolve(&mut stage, &[udp("192.0.2.11:5060"), udp("192.0.2.12:5060")]);
    let first = stage.one();
    assert_eq!((first.to, first.header("CSeq")), (address("192.0.2.11:5060"), "1 INVITE"));
    assert_eq!(stage.event(), told_sent(&first, 0));

    // Timer B at the first address, a failed socket at the second.
    let second = stage.pass(Duration::from_secs(32)).pop().unwrap();
    assert_eq!(
        (second.0, second.1.to, second.1.header("CSeq")),
        (32_000, address("192.0.2.12:5060"), "1 INVITE")
    );
    assert_eq!(stage.events(), []);
    let flow = Flow { transport: Transport::Udp, local: address(OURS), remote: second.1.to, name: None };
    stage.endpoint.transport_failed(stage.now, flow);

    let third = stage.one();
    assert_eq!((third.to, third.header("CSeq")), (address("192.0.2.21:5070"), "2 INVITE"));
    assert!(third.text.starts_with("INVITE sip:200@backup.example.com SIP/2.0\r\n"));
    assert_eq!(third.header("To"), "<sip:200@backup.example.com>");
    assert_eq!(
        (third.header("Call-ID"), third.header("From")),
        (first.header("Call-ID"), first.header("From"))
    );
    assert_eq!(stage.event(), told_sent(&third, 1));

    // The credentials of the first route are not those of the second.
    let challenge = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";
    stage.receive_from("192.0.2.21:5070", &third.response("401 Unauthorized", "x", challenge));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), refused_by_peer(401, "Unauthorized", None));
    stage.assert_nothing_left();
}

#[test]
fn a_503_moves_on_and_each_route_says_when_to_try_again() {
    let mut stage = Stage::new();
    place(&mut stage, two_routes());
    resolve(&mut stage, &[udp("192.0.2.11:5060")]);
    let first = stage.one();
    stage.drain_events();
    stage.receive_from("192.0.2.11:5060", &first.response("503 Full", "x", "Retry-After: 120\r\n"));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    assert_eq!(stage.events(), [unavailable(0, 120), told_sent(&sent[1], 1)]);
    let busy = "Retry-After: 18 (in a meeting);duration=60\r\n";
    stage.receive_from("192.0.2.21:5070", &sent[1].response("503 Full Too", "x", busy));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    let ended = refused_by_peer(503, "Full Too", Some(Duration::from_secs(18)));
    assert_eq!(stage.events(), [unavailable(1, 18), ended]);
    stage.assert_nothing_left();
}

fn unavailable(route: usize, seconds: u64) -> Event {
    Event::Unavailable { session: OUTBOUND, route, retry_after: Duration::from_secs(seconds) }
}

/// One server of a name is not the route: only where its last address says so is it told.
#[test]
fn a_route_is_out_of_service_with_its_last_address() {
    let mut stage = Stage::new();
    place(&mut stage, two_routes());
    resolve(&mut stage, &[udp("192.0.2.11:5060"), udp("192.0.2.12:5060")]);
    let first = stage.one();
    stage.drain_events();
    stage.receive_from("192.0.2.11:5060", &first.response("503 Full", "x", "Retry-After: 60\r\n"));
    let second = stage.sent().pop().expect("the next address");
    assert_eq!((second.to, stage.events()), (address("192.0.2.12:5060"), Vec::new()));
    stage.receive_from("192.0.2.12:5060", &second.response("503 Full", "x", "Retry-After: 30\r\n"));
    let third = stage.sent().pop().expect("the next route");
    assert_eq!(stage.events(), [unavailable(0, 30), told_sent(&third, 1)]);
    // Without a word of when, there is nothing to wait for.
    stage.receive_from("192.0.2.21:5070", &third.response("503 Full", "x", ""));
    assert_eq!(stage.events(), [refused_by_peer(503, "Full", None)]);
}

#[test]
fn any_other_refusal_ends_the_call_at_once() {
    for status in
        [400, 403, 404, 408, 413, 415, 416, 420, 480, 484, 486, 488, 491, 500, 501, 504, 600, 603, 606]
    {
        let mut stage = Stage::new();
        place(&mut stage, two_routes());
        resolve(&mut stage, &[udp("192.0.2.11:5060"), udp("192.0.2.12:5060")]);
        let first = stage.one();
        stage.drain_events();
        let refusal = first.response(&format!("{status} No"), "x", "Retry-After: 9\r\n");
        stage.receive_from("192.0.2.11:5060", &refusal);
        assert_eq!(kinds(&stage.sent()), ["ACK"], "{status}");
        assert_eq!(stage.event(), refused_by_peer(status, "No", Some(Duration::from_secs(9))));
    }
}

#[test]
fn a_cancel_ends_the_hunt() {
    let mut stage = Stage::new();
    place(&mut stage, two_routes());
    resolve(&mut stage, &[udp("192.0.2.11:5060"), udp("192.0.2.12:5060")]);
    let first = stage.one();
    stage.drain_events();
    stage.command(Command::Cancel { session: OUTBOUND, reason: None });
    stage.receive_from("192.0.2.11:5060", &first.response("503 Full", "x", ""));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), Event::Ended { session: OUTBOUND, cause: EndCause::Local });
    stage.assert_nothing_left();
}

#[test]
fn addresses_are_limited_in_all() {
    let mut stage = Stage::new();
    let routes = (0..4).map(|number| route(&format!("sip:100@gw{number}.example.com"))).collect();
    place(&mut stage, Invite { routes, ..invite("") });
    let mut tried = 0;
    let mut ended = Vec::new();
    while ended.is_empty() {
        for event in stage.events() {
            match event {
                Event::Resolve { query, .. } => {
                    let targets = (1..40).map(|last| udp(&format!("192.0.2.{last}:5060"))).collect();
                    stage.command(Command::Resolved { query, targets });
                }
                Event::Ended { cause, .. } => ended.push(cause),
                _ => {}
            }
        }
        for sent in stage.sent() {
            tried += 1;
            let flow = Flow { transport: Transport::Udp, local: address(OURS), remote: sent.to, name: None };
            stage.endpoint.transport_failed(stage.now, flow);
        }
    }
    assert_eq!(tried, 16);
    stage.assert_nothing_left();
}

#[test]
fn s18_a_call_waits_five_seconds_for_names_in_all() {
    let mut stage = Stage::new();
    let routes = ["a", "b", "c"].map(|name| route(&format!("sip:100@{name}.example.com"))).to_vec();
    place(&mut stage, Invite { routes, ..invite("") });
    let start = stage.now;
    let mut asked = Vec::new();
    let mut end = None;
    while end.is_none() {
        for event in stage.events() {
            match event {
                Event::Resolve { lookup, .. } => asked.push((lookup.host, (stage.now - start).as_millis())),
                ended => end = Some(ended),
            }
        }
        if let Some(at) = stage.endpoint.poll_timeout() {
            stage.now = at;
            stage.endpoint.handle_timeout(at);
        }
    }
    let asked: Vec<_> = asked.iter().map(|(host, at)| (&**host, *at)).collect();
    assert_eq!(asked, [("a.example.com", 0), ("b.example.com", 1666), ("c.example.com", 3333)]);
    assert_eq!(end, Some(unreached_by(Refuser::Names, 503, "Service Unavailable")));
    assert_eq!((stage.now - start).as_millis(), 5000);
    stage.assert_nothing_left();
}

#[test]
fn timer_c_gives_up_a_phone_that_rings_no_more() {
    let mut stage = Stage::new();
    let sent = placed(&mut stage, invite("sip:100@192.0.2.7"));
    stage.receive(&sent.response("100 Trying", "", ""));
    stage.pass(Duration::from_secs(100));
    stage.receive(&sent.response("180 Ringing", "bob", ""));
    stage.pass(Duration::from_secs(100));
    // A 100 is no sign of life of the callee.
    stage.receive(&sent.response("100 Trying", "", ""));
    stage.receive(&sent.response("183 Session Progress", "bob", ""));
    stage.drain_events();
    assert!(stage.pass(Duration::from_millis(179_999)).is_empty());
    let cancelled = stage.pass(Duration::from_millis(1));
    assert_eq!((cancelled[0].0, cancelled[0].1.kind()), (1, "CANCEL".to_owned()));
    assert_eq!(stage.events(), []);
    // Whoever commands it loses patience in the same moment.
    let late = stage.endpoint.command(stage.now, Command::Cancel { session: OUTBOUND, reason: None });
    assert_eq!(late, Err(CommandError::Unknown));
    stage.receive(&cancelled[0].1.response("200 OK", "bob", ""));
    stage.receive(&sent.response("487 Request Terminated", "bob", ""));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), unreached(408, "Request Timeout"));
    stage.assert_nothing_left();
}

#[test]
fn a_secure_dialog_stays_secure() {
    let sips = request("1 INVITE", "a", "", "")
        .replace("INVITE sip:100", "INVITE sips:100")
        .replace("Contact: <sip:alice@192.0.2.7>", "Contact: <sips:alice@pbx.example.com>");
    let mut stage = Stage::with(with_tls());
    let peer = "192.0.2.7:40000";
    stage.receive_by(Transport::Tls, peer, &sips);
    let Event::Incoming(incoming) = stage.event() else { panic!() };
    let session = incoming.session;
    stage.command(Command::Answer { session, body: sdp("") });
    let ok = stage.sent().pop().unwrap();
    stage.receive_by(Transport::Tls, peer, &request("1 ACK", "b", ok.to_tag(), ""));
    stage.drain_events();
    stage.command(Command::Bye { session, reason: None });
    resolve(&mut stage, &[udp("192.0.2.8:5060")]);
    // Back by the connection that it came by, rather than in the clear.
    let bye = stage.one();
    assert_eq!((bye.to, bye.transport), (address(peer), Transport::Tls));
}

/// A Contact that is the end of the connection means that connection, whoever it is that opened it: nobody else is told
/// what is said there.
#[test]
fn a_dialog_by_tls_goes_on_by_its_connection() {
    let peer = "192.0.2.7:40000";
    let contact = format!("Contact: <sip:alice@{peer};transport=tls>");
    let invite = request("1 INVITE", "a", "", "").replace("Contact: <sip:alice@192.0.2.7>", &contact);
    let mut stage = Stage::with(with_tls());
    let accepted = Flow {
        transport: Transport::Tls,
        local: with_tls().tls[0],
        remote: address(peer),
        name: Some(PeerName(0)),
    };
    stage.endpoint.receive(stage.now, accepted, invite.as_bytes());
    let Event::Incoming(incoming) = stage.event() else { panic!() };
    let session = incoming.session;
    stage.command(Command::Answer { session, body: sdp("") });
    let ok = stage.sent().pop().unwrap();
    stage.endpoint.receive(stage.now, accepted, request("1 ACK", "b", ok.to_tag(), "").as_bytes());
    stage.drain_events();
    stage.command(Command::Bye { session, reason: None });
    let bye = stage.endpoint.poll_transmit().unwrap();
    assert!(bye.bytes.starts_with(b"BYE "));
    assert_eq!(bye.flow, accepted);
}

#[test]
fn p9_a_caller_has_a_name_and_no_header_of_its_own() {
    let mut stage = Stage::new();
    let sent =
        placed(&mut stage, Invite { from_display: "Order desk".to_owned(), ..invite("sip:100@192.0.2.7") });
    assert!(sent.header("From").starts_with("\"Order desk\" <sip:offhook@example.com>;tag="));
    for name in ["a\r\nVia: x", "a\nb", "a\0", "\u{7f}"] {
        let call = Invite { from_display: name.to_owned(), ..invite("sip:100@192.0.2.7") };
        let mut stage = Stage::new();
        let command = Command::Invite(Box::new(call));
        let refused = Err(offhook_sip::event::CommandError::BadHeader("From".to_owned()));
        assert_eq!(stage.endpoint.command(stage.now, command), refused, "{name:?}");
    }
}
