//! Which way requests take: transports, sizes, addresses and routes.

use std::time::Duration;

use offhook_sip::Config;
use offhook_sip::event::{Command, EndCause, Event, Flow, Invite, Lookup, Refuser, Route, Target, Transport};

use crate::stage::{OURS, OUTBOUND, Sent, Stage, address, config, invite, request, route, sdp, udp};

/// The end of a call for which nobody was reached.
fn unreached(status: u16, phrase: &str) -> Event {
    let (phrase, by) = (phrase.to_owned(), Refuser::Us);
    Event::Ended { session: OUTBOUND, cause: EndCause::Refused { status, phrase, by, retry_after: None } }
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
