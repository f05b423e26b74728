//! Gateways: which one a URI means, the ways to it, its limits, and what is told of it.

use std::time::Duration;

use offhook_call::command::{Command, Construct};
use offhook_call::gateway::{Address, DtmfWay, Gateway};
use offhook_call::id::CallId;
use offhook_call::{Output, Reply};
use offhook_media::event::{Codec, Dial, Key};
use offhook_media::sdp::{Order, Protection};
use offhook_sip::event::{self as sip, Credentials, EndCause, Refuser, RegistrationState, SessionId};

use crate::rig::{ALAW, OFFER, Rig, acked, answer, call_to, construct, ended, gateway, inbound, page};

pub(crate) fn rig(gateways: Vec<Gateway>) -> Rig {
    let mut rig = Rig::new();
    rig.calls.set_gateways(gateways);
    rig.lines();
    rig
}

fn credentials(name: &str) -> Option<Credentials> {
    Some(Credentials { username: name.to_owned(), password: "secret".to_owned() })
}

/// The INVITE that a request comes to.
fn invited(rig: &mut Rig, command: Command) -> sip::Invite {
    let Command::Construct(construct) = command else { panic!("no construct") };
    let id = offhook_call::id::RequestId(999);
    let command = Command::Construct(construct);
    rig.calls.request(rig.now(), offhook_call::command::Request { id, command });
    match rig.outputs().into_iter().next() {
        Some(Output::Sip(sip::Command::Invite(invite))) => *invite,
        other => panic!("no INVITE: {other:?}"),
    }
}

#[track_caller]
fn check_routes(gateways: Vec<Gateway>, uris: &[&str], expected: &[&str]) {
    let mut rig = rig(gateways);
    let invite = invited(&mut rig, call_to(uris));
    let routes: Vec<&str> = invite.routes.iter().map(|route| route.to.as_str()).collect();
    assert_eq!(routes, expected, "{uris:?}");
}

fn tls(number: u8, port: Option<u16>) -> Address {
    Address { host: format!("192.0.2.{number}"), port, transport: Some("tls".to_owned()) }
}

#[test]
fn a_uri_means_a_gateway_by_its_name_or_by_an_address_of_it() {
    let gateways = || {
        let ported = Address { port: Some(5070), ..gateway("", &[2]).addresses.remove(0) };
        let mut second = gateway("second", &[1]);
        second.addresses.push(ported);
        vec![
            gateway("first", &[1, 3]),
            second,
            Gateway { addresses: vec![tls(4, None)], ..gateway("third", &[]) },
        ]
    };
    let check = |uri: &str, expected: &[&str]| check_routes(gateways(), &[uri], expected);
    check("sip:100@FIRST", &["sip:100@192.0.2.1", "sip:100@192.0.2.3"]);
    check("sip:second", &["sip:192.0.2.1", "sip:192.0.2.2:5070"]);
    check(
        "sip:100;x=y@second;user=phone;transport=tcp",
        &["sip:100;x=y@192.0.2.1;user=phone", "sip:100;x=y@192.0.2.2:5070;user=phone"],
    );
    // An address that two have is the first's, and the port that is meant may be left out or written.
    check("sip:100@192.0.2.1", &["sip:100@192.0.2.1", "sip:100@192.0.2.3"]);
    check("sip:100@192.0.2.1:5060", &["sip:100@192.0.2.1", "sip:100@192.0.2.3"]);
    // What was named comes first, and with the transport that it was named with.
    check("sip:100@192.0.2.3;transport=tcp", &["sip:100@192.0.2.3;transport=tcp", "sip:100@192.0.2.1"]);
    check("sip:100@192.0.2.2:5070", &["sip:100@192.0.2.2:5070", "sip:100@192.0.2.1"]);
    check("sip:100@192.0.2.4", &["sip:100@192.0.2.4;transport=tls"]);
    check("sip:100@192.0.2.4:5061", &["sip:100@192.0.2.4;transport=tls"]);
    // Nobody's: as it is.
    check("sip:100@192.0.2.2", &["sip:100@192.0.2.2"]);
    check("sip:100@192.0.2.1:5071", &["sip:100@192.0.2.1:5071"]);
    check("sip:100@first:5060", &["sip:100@first:5060"]);
    check("sip:100@elsewhere.example;transport=tcp", &["sip:100@elsewhere.example;transport=tcp"]);
}

#[test]
fn a_list_is_tried_in_its_order() {
    let gateways = vec![gateway("first", &[1, 2]), gateway("second", &[3])];
    check_routes(
        gateways,
        &["sip:1@second", "sip:2@x.example", "sip:3@first"],
        &["sip:1@192.0.2.3", "sip:2@x.example", "sip:3@192.0.2.1", "sip:3@192.0.2.2"],
    );
}

/// Also reliability S6: credentials go to the gateway whose they are, and to nobody else on the list.
#[test]
fn s6_each_route_has_the_credentials_and_the_proxy_of_its_gateway() {
    let first = Gateway {
        credentials: credentials("alice"),
        proxy: Some("192.0.2.99;transport=tcp".to_owned()),
        ..gateway("first", &[1])
    };
    let mut rig = rig(vec![first, gateway("second", &[2])]);
    let shown = |invite: &sip::Invite| -> Vec<(Option<String>, Option<String>)> {
        let routes = invite.routes.iter();
        routes
            .map(|route| (route.credentials.as_ref().map(|it| it.username.clone()), route.proxy.clone()))
            .collect()
    };
    let uris = ["sip:1@first", "sip:1@second", "sip:1@nobody.example"];
    let proxy = Some("192.0.2.99;transport=tcp".to_owned());
    let invite = invited(&mut rig, call_to(&uris));
    assert_eq!(shown(&invite), [(Some("alice".to_owned()), proxy), (None, None), (None, None)]);
    let own = Construct {
        to_uris: vec![uris[0].to_owned()],
        credentials: credentials("bob"),
        proxy: Some("192.0.2.98:5060".to_owned()),
        ..construct()
    };
    let invite = invited(&mut rig, Command::Construct(Box::new(own)));
    assert_eq!(shown(&invite), [(Some("bob".to_owned()), Some("192.0.2.98:5060".to_owned()))]);
}

#[test]
fn s8_a_redirection_leads_to_hosts_of_gateways_and_only_where_it_may() {
    let first = Gateway { follow_redirects: true, ..gateway("first", &[2, 1]) };
    let mut rig = rig(vec![first, gateway("second", &[3])]);
    assert_eq!(
        invited(&mut rig, call_to(&["sip:1@first"])).redirect_hosts,
        ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    );
    assert_eq!(invited(&mut rig, call_to(&["sip:1@second"])).redirect_hosts, [""; 0]);
    assert_eq!(invited(&mut rig, call_to(&["sip:1@nobody.example"])).redirect_hosts, [""; 0]);
}

#[test]
fn a_gateways_codecs_come_before_the_nodes_and_after_the_applications() {
    let first = Gateway { codecs: vec![Codec::Pcmu], ..gateway("first", &[1]) };
    let mut rig = rig(vec![first]);
    let audio = |invite: sip::Invite| {
        let sdp = String::from_utf8(invite.body.bytes).expect("text");
        sdp.lines().find(|line| line.starts_with("m=")).expect("audio").to_owned()
    };
    assert_eq!(audio(invited(&mut rig, call_to(&["sip:1@first"]))), "m=audio 20000 RTP/AVP 0 101");
    assert_eq!(audio(invited(&mut rig, call_to(&["sip:1@x.example"]))), "m=audio 20002 RTP/AVP 8 0 101");
    let own = Construct { codecs: vec![Codec::Pcma], to_uris: vec!["sip:1@first".to_owned()], ..construct() };
    let invite = invited(&mut rig, Command::Construct(Box::new(own)));
    assert_eq!(audio(invite), "m=audio 20004 RTP/AVP 8 101");
}

#[test]
fn the_order_of_codecs_is_the_offers_or_the_gateways() {
    for (codec_order, expected) in [(Order::Theirs, Codec::Pcmu), (Order::Ours, Codec::Pcma)] {
        let first = Gateway { codec_order, ..gateway("peer", &[1]) };
        let mut rig = rig(vec![first]);
        rig.invite(Some(&OFFER.replace("8 0 101", "0 8 101")));
        rig.request(answer(CallId(1)));
        rig.sip(acked(CallId(1)));
        assert_eq!(rig.get(CallId(1)).codec, Some(expected));
    }
}

/// One INVITE goes to all gateways of a list: its offer is what the strictest of them asks for.
#[test]
fn an_offer_is_protected_as_the_strictest_gateway_asks() {
    let with = |name: &str, number, srtp| Gateway { srtp, ..gateway(name, &[number]) };
    let gateways = vec![
        with("off", 1, Protection::Off),
        with("optional", 2, Protection::Optional),
        with("required", 3, Protection::Required),
    ];
    let mut rig = rig(gateways);
    for (uris, profile, cryptos) in [
        (&["sip:1@off"][..], "RTP/AVP", 0),
        (&["sip:1@nobody.example"], "RTP/AVP", 0),
        (&["sip:1@optional"], "RTP/AVP", 4),
        (&["sip:1@required"], "RTP/SAVP", 4),
        (&["sip:1@off", "sip:1@optional"], "RTP/AVP", 4),
        (&["sip:1@off", "sip:1@required"], "RTP/SAVP", 4),
    ] {
        let sdp = String::from_utf8(invited(&mut rig, call_to(uris)).body.bytes).expect("text");
        let audio = sdp.lines().find(|line| line.starts_with("m=audio")).expect("audio");
        assert_eq!(audio.split(' ').nth(2), Some(profile), "{uris:?}");
        assert_eq!(sdp.matches("\r\na=crypto:").count(), cryptos, "{uris:?}");
    }
}

fn calls_of(rig: &mut Rig) -> Vec<usize> {
    rig.calls.gateways(rig.now().mono).iter().map(|status| status.calls).collect()
}

fn sent(call: u64, route: usize) -> sip::Event {
    sip::Event::Sent { session: SessionId::Outbound(call), call_id: "id".to_owned(), route }
}

fn refused(call: u64, status: u16, retry_after: Option<u64>) -> sip::Event {
    let (phrase, retry_after) = (String::new(), retry_after.map(Duration::from_secs));
    let cause = EndCause::Refused {
        status,
        phrase,
        by: Refuser::Peer,
        retry_after,
        reason: None,
        contacts: Vec::new(),
    };
    ended(SessionId::Outbound(call), cause)
}

/// The way of a call says when to come back.
fn unavailable(call: u64, route: usize, seconds: u64) -> sip::Event {
    let (session, retry_after) = (SessionId::Outbound(call), Duration::from_secs(seconds));
    sip::Event::Unavailable { session, route, retry_after }
}

#[test]
fn a_gateway_never_has_more_calls_than_it_takes() {
    let small = || Gateway { max_calls: 1, ..gateway("peer", &[1]) };
    let mut rig = rig(vec![small(), gateway("second", &[2])]);
    rig.request(call_to(&["sip:1@peer"]));
    assert_eq!(calls_of(&mut rig), [1, 0]);
    let full = r#"refuse LimitReached { limit: "gateway_calls", value: 1 }"#;
    assert_eq!(rig.request(call_to(&["sip:1@peer"])), [full]);
    assert_eq!(rig.invite(Some(OFFER)).join(" "), "sip 503 Retry-After: 10 turned away: gateway_calls");
    // The next of a list is tried where the first is full.
    let lines = rig.request(call_to(&["sip:1@peer", "sip:1@second"]));
    assert_eq!(lines[0], "sip invite sip:1@192.0.2.2 from sip:1000@192.0.2.1");
    assert_eq!(calls_of(&mut rig), [1, 1]);
    rig.sip(refused(1, 486, None));
    assert_eq!(calls_of(&mut rig), [0, 1]);
    assert_eq!(rig.invite(Some(OFFER))[0], "sip 180");
    assert_eq!(calls_of(&mut rig), [1, 1]);
}

#[test]
fn calls_per_second_are_a_gateways_own() {
    let slow = Gateway { max_calls_per_second: 2, ..gateway("peer", &[1]) };
    let mut rig = rig(vec![slow, gateway("second", &[2])]);
    for _ in 0..2 {
        assert_eq!(rig.request(call_to(&["sip:1@peer"])).len(), 3);
    }
    let refusal = r#"refuse LimitReached { limit: "gateway_calls_per_second", value: 2 }"#;
    assert_eq!(rig.request(call_to(&["sip:1@peer"])), [refusal]);
    assert_eq!(rig.request(call_to(&["sip:1@second"])).len(), 3);
    rig.ms(499);
    assert_eq!(rig.request(call_to(&["sip:1@peer"])), [refusal]);
    rig.ms(1);
    assert_eq!(rig.invite(Some(OFFER))[0], "sip 180", "half a second is one call");
    assert_eq!(rig.request(call_to(&["sip:1@peer"])), [refusal], "and that was it");
}

/// A call holds a place wherever it may still go, so that it finds it free when it comes there.
#[test]
fn a_call_that_is_passed_on_counts_where_it_goes() {
    let mut rig = rig(vec![gateway("first", &[1]), gateway("second", &[2]), gateway("third", &[3])]);
    rig.request(call_to(&["sip:1@first", "sip:1@second", "sip:1@third"]));
    assert_eq!(calls_of(&mut rig), [1, 1, 1]);
    rig.sip(sent(1, 0));
    assert_eq!(rig.get(CallId(1)).gateway.as_deref(), Some("first"));
    rig.sip(sent(1, 1));
    assert_eq!(calls_of(&mut rig), [0, 1, 1]);
    let snapshot = rig.get(CallId(1));
    assert_eq!((snapshot.gateway.as_deref(), snapshot.to_uri.as_str()), (Some("second"), "sip:1@second"));
    rig.sip(sip::Event::Answered {
        session: SessionId::Outbound(1),
        body: Some(crate::rig::sdp(OFFER)),
        also_rang: Vec::new(),
    });
    assert_eq!(calls_of(&mut rig), [0, 1, 0], "an answered call goes nowhere else");
    rig.sip(crate::rig::bye(SessionId::Outbound(1)));
    rig.media(crate::rig::leg_removed(CallId(1)));
    assert_eq!(calls_of(&mut rig), [0, 0, 0]);
    assert!(rig.is_clean());
}

#[test]
fn the_error_of_a_failed_list_names_the_last_status() {
    let mut rig = rig(vec![gateway("first", &[1]), gateway("second", &[2])]);
    rig.request(call_to(&["sip:1@first", "sip:1@second"]));
    rig.sip(sent(1, 1));
    let lines = rig.sip(refused(1, 404, None));
    assert_eq!(lines[1], "1: dial rejected 404");
}

#[test]
fn a_gateway_that_says_when_to_come_back_rests_until_then() {
    let mut rig = rig(vec![gateway("first", &[1]), gateway("second", &[2])]);
    rig.request(call_to(&["sip:1@first"]));
    rig.sip(unavailable(1, 0, 30));
    rig.sip(refused(1, 503, Some(30)));
    let resting = |seconds: &str| {
        vec![format!(r#"refuse GatewayUnavailable {{ gateway: "first", retry_in: Some({seconds}) }}"#)]
    };
    assert_eq!(rig.request(call_to(&["sip:1@first"])), resting("30s"));
    assert_eq!(rig.request(page("sip:1@first")), resting("30s"), "messages too");
    let lines = rig.request(call_to(&["sip:1@first", "sip:1@second"]));
    assert_eq!(lines[0], "sip invite sip:1@192.0.2.2 from sip:1000@192.0.2.1");
    rig.ms(29_999);
    assert_eq!(rig.request(call_to(&["sip:1@first"])), resting("1ms"));
    rig.ms(1);
    assert_eq!(rig.request(call_to(&["sip:1@first"])).len(), 3);
    // No longer than ten minutes, whatever it says; and another status means nothing of the kind.
    rig.sip(unavailable(3, 0, 86_400));
    rig.sip(refused(3, 503, Some(86_400)));
    assert_eq!(rig.request(call_to(&["sip:1@first"])), resting("600s"));
    rig.request(call_to(&["sip:1@second"]));
    rig.sip(refused(4, 486, Some(30)));
    assert_eq!(rig.request(call_to(&["sip:1@second"])).len(), 3);
}

#[test]
fn how_long_a_gateway_rests_can_be_seen() {
    let mut rig = rig(vec![gateway("first", &[1])]);
    let rest = |rig: &Rig| {
        let status = &rig.calls.gateways(rig.now().mono)[0];
        (status.rest, status.rests)
    };
    assert_eq!(rest(&rig), (None, 0));
    rig.request(call_to(&["sip:1@first"]));
    rig.sip(unavailable(1, 0, 30));
    rig.sip(refused(1, 503, Some(30)));
    assert_eq!(rest(&rig), (Some(Duration::from_secs(30)), 1));
    rig.secs(29);
    assert_eq!(rest(&rig), (Some(Duration::from_secs(1)), 1));
    rig.secs(1);
    assert_eq!(rest(&rig), (None, 1));
}

/// A way that a call was passed on from rests as well: the call's end says nothing of it.
#[test]
fn a_gateway_that_a_call_was_passed_on_from_rests_too() {
    let mut rig = rig(vec![gateway("local", &[1]), gateway("second", &[2])]);
    rig.request(call_to(&["sip:1@local", "sip:1@second"]));
    rig.sip(sent(1, 0));
    rig.sip(unavailable(1, 0, 60));
    rig.sip(sent(1, 1));
    rig.sip(refused(1, 486, None));
    let rests: Vec<_> =
        rig.calls.gateways(rig.now().mono).iter().map(|status| (status.rest, status.rests)).collect();
    assert_eq!(rests, [(Some(Duration::from_secs(60)), 1), (None, 0)]);
    let resting = r#"refuse GatewayUnavailable { gateway: "local", retry_in: Some(60s) }"#;
    assert_eq!(rig.request(call_to(&["sip:1@local"])), [resting]);
    let lines = rig.request(call_to(&["sip:1@local", "sip:1@second"]));
    assert_eq!(lines[0], "sip invite sip:1@192.0.2.2 from sip:1000@192.0.2.1");
}

/// Each address rests on its own, and the gateway while all do, until the first may be called again.
#[test]
fn an_address_rests_and_the_gateway_with_its_last() {
    let mut rig = rig(vec![gateway("first", &[1, 2])]);
    let rest = |rig: &Rig| rig.calls.gateways(rig.now().mono)[0].rest;
    rig.request(call_to(&["sip:1@first"]));
    rig.sip(unavailable(1, 0, 60));
    rig.sip(sent(1, 1));
    rig.sip(refused(1, 486, None));
    assert_eq!(rest(&rig), None, "the other may be called");
    let routes = |rig: &mut Rig| -> Vec<String> {
        invited(rig, call_to(&["sip:1@192.0.2.1"])).routes.into_iter().map(|route| route.to).collect()
    };
    assert_eq!(routes(&mut rig), ["sip:1@192.0.2.2"], "even where the first is named");
    // Now it is the only way, and says the same.
    rig.sip(unavailable(2, 0, 30));
    rig.sip(refused(2, 503, Some(30)));
    assert_eq!(rest(&rig), Some(Duration::from_secs(30)));
    let resting = r#"refuse GatewayUnavailable { gateway: "first", retry_in: Some(30s) }"#;
    assert_eq!(rig.request(call_to(&["sip:1@first"])), [resting]);
    rig.secs(30);
    assert_eq!(routes(&mut rig), ["sip:1@192.0.2.2"]);
    rig.secs(30);
    assert_eq!(routes(&mut rig), ["sip:1@192.0.2.1", "sip:1@192.0.2.2"]);
}

/// The far end knows no names of ours: it is told where the gateway is.
#[test]
fn a_transfer_to_a_gateway_by_its_name() {
    let ping = Some(Duration::from_secs(30));
    let mut rig = rig(vec![Gateway { ping, ..gateway("first", &[1, 2]) }]);
    let call = rig.answered();
    let to = |uri: &str| Command::Transfer { call, to_uri: uri.to_owned() };
    let refer = |rig: &mut Rig, uri: &str| {
        let lines = rig.request(to(uri));
        rig.sip(sip::Event::Transfer { session: inbound(call), status: 603, phrase: String::new() });
        lines[0].clone()
    };
    assert_eq!(refer(&mut rig, "sip:3000@FIRST;user=phone"), "sip refer sip:3000@192.0.2.1;user=phone");
    rig.sip(pinged("first", false, 408));
    assert_eq!(refer(&mut rig, "sip:3000@first"), "sip refer sip:3000@192.0.2.2");
    // An address is meant as it is, whether we reach it or not.
    assert_eq!(refer(&mut rig, "sip:3000@192.0.2.1"), "sip refer sip:3000@192.0.2.1");
    assert_eq!(refer(&mut rig, "sip:3000@example.com"), "sip refer sip:3000@example.com");
    assert_eq!(refer(&mut rig, "sip:3000@first:5080"), "sip refer sip:3000@first:5080", "that is a host");
    rig.sip(pinged("first#1", false, 408));
    let refused = r#"refuse GatewayUnavailable { gateway: "first", retry_in: None }"#;
    assert_eq!(refer(&mut rig, "sip:3000@first"), refused);
}

fn pinged(name: &str, up: bool, status: u16) -> sip::Event {
    sip::Event::Gateway { gateway: name.into(), up, status }
}

#[test]
fn every_address_is_asked_and_one_that_answers_is_enough() {
    let asked = Gateway { ping: Some(Duration::from_secs(10)), ..gateway("first", &[1, 2]) };
    let mut rig = Rig::new();
    rig.calls.set_gateways(vec![asked]);
    assert_eq!(rig.lines(), ["sip ping first sip:192.0.2.1", "sip ping first#1 sip:192.0.2.2"]);
    assert_eq!(rig.calls.gateways(rig.now().mono)[0].up, None);
    assert_eq!(rig.sip(pinged("first", false, 408)), [""; 0], "the other may be there");
    assert_eq!(rig.sip(pinged("first#1", true, 200)), ["node: first is up 200"]);
    assert_eq!(
        rig.request(call_to(&["sip:1@first"]))[0],
        "sip invite sip:1@192.0.2.2 from sip:1000@192.0.2.1"
    );
    assert_eq!(rig.sip(pinged("first", true, 200)), [""; 0]);
    assert_eq!(rig.sip(pinged("first#1", false, 503)), [""; 0]);
    assert_eq!(rig.sip(pinged("first", false, 408)), ["node: first is down 408"]);
    let down = r#"refuse GatewayUnavailable { gateway: "first", retry_in: None }"#;
    assert_eq!(rig.request(call_to(&["sip:1@first"])), [down]);
    assert_eq!(rig.request(call_to(&["sip:1@192.0.2.2"])), [down], "also by its address");
    assert_eq!(rig.sip(pinged("first", true, 404)), ["node: first is up 404"]);
    assert_eq!(rig.sip(pinged("stranger", true, 200)), [""; 0]);
}

/// A gateway that we register with and that is asked whether it is there.
fn registered_with(name: &str) -> Gateway {
    let registration = sip::Registration {
        account: name.into(),
        registrar: sip::Route {
            to: "sip:192.0.2.1".to_owned(),
            proxy: None,
            credentials: credentials("alice"),
        },
        aor: "sip:alice@192.0.2.1".to_owned(),
        contact_user: "alice".to_owned(),
        expires: Duration::from_secs(3600),
    };
    let ping = Some(Duration::from_secs(10));
    Gateway { registration: Some(registration), ping, ..gateway(name, &[1]) }
}

#[test]
fn registrations_are_made_told_and_removed_at_the_end() {
    let first = registered_with("first");
    let mut rig = Rig::new();
    rig.calls.set_gateways(vec![first.clone()]);
    assert_eq!(rig.lines(), ["sip register first as sip:alice@192.0.2.1", "sip ping first sip:192.0.2.1"]);
    assert_eq!(rig.calls.gateways(rig.now().mono)[0].registered, Some(false));
    let state = |state| sip::Event::Registration { account: "first".into(), state };
    let registered = RegistrationState::Registered { expires: Duration::from_secs(300) };
    assert_eq!(rig.sip(state(registered)), ["node: first Registered { expires: 300s }"]);
    assert_eq!(rig.calls.gateways(rig.now().mono)[0].registered, Some(true));
    // Taken out of the configuration, its calls go on.
    rig.request(call_to(&["sip:1@first"]));
    rig.calls.set_gateways(vec![gateway("second", &[2])]);
    assert_eq!(rig.lines(), ["sip unping first", "sip unregister first"]);
    assert_eq!(rig.sip(pinged("first", false, 408)), [""; 0]);
    rig.sip(refused(1, 486, None));
    assert!(rig.is_clean());
    rig.calls.set_gateways(vec![first]);
    rig.lines();
    rig.calls.drain();
    assert_eq!(rig.lines(), ["sip unping first", "sip unregister first"], "while the calls go on");
}

/// Or it would send no calls until the next try by itself, which may be half an hour away.
#[test]
fn a_gateway_that_comes_back_is_registered_with_at_once() {
    let mut rig = Rig::new();
    rig.calls.set_gateways(vec![registered_with("first")]);
    rig.lines();
    assert_eq!(rig.sip(pinged("first", false, 408)), ["node: first is down 408"]);
    let back = ["node: first is up 200", "sip register first as sip:alice@192.0.2.1"];
    assert_eq!(rig.sip(pinged("first", true, 200)), back);
    let state = RegistrationState::Registered { expires: Duration::from_secs(300) };
    rig.sip(sip::Event::Registration { account: "first".into(), state });
    assert_eq!(rig.sip(pinged("first", false, 408)), ["node: first is down 408"]);
    assert_eq!(rig.sip(pinged("first", true, 200)), ["node: first is up 200"], "it knows us");
}

/// Other limits than before count the calls that there are.
#[test]
fn a_gateway_of_the_same_name_keeps_its_calls() {
    let mut rig = rig(vec![gateway("first", &[1])]);
    rig.request(call_to(&["sip:1@first"]));
    rig.calls.set_gateways(vec![Gateway { max_calls: 1, ..gateway("first", &[7]) }]);
    assert_eq!(calls_of(&mut rig), [1]);
    let full = r#"refuse LimitReached { limit: "gateway_calls", value: 1 }"#;
    assert_eq!(rig.request(call_to(&["sip:1@first"])), [full]);
    rig.sip(refused(1, 486, None));
    assert_eq!(calls_of(&mut rig), [0]);
}

#[test]
fn the_state_of_gateways_can_be_asked_for() {
    let first = Gateway { max_calls: 3, max_calls_per_second: 4, ..gateway("first", &[1]) };
    let ported = Gateway { addresses: vec![tls(4, Some(5071))], ..gateway("second", &[]) };
    let mut rig = rig(vec![first, ported]);
    rig.calls.request(
        rig.now(),
        offhook_call::command::Request { id: offhook_call::id::RequestId(1), command: Command::Gateways },
    );
    let Some(Output::Reply { result: Ok(Reply::Gateways(gateways)), .. }) = rig.outputs().pop() else {
        panic!("no answer")
    };
    assert_eq!((gateways[0].max_calls, gateways[0].max_calls_per_second), (3, 4));
    assert_eq!(gateways[1].addresses, ["192.0.2.4:5071;transport=tls"]);
    assert_eq!((gateways[1].up, gateways[1].registered), (None, None));
}

/// A call to the gateway `first`, answered by `answer`.
fn answered(dtmf: DtmfWay, answer: &str) -> (Rig, Vec<String>) {
    let mut rig = rig(vec![Gateway { dtmf, ..gateway("first", &[1]) }]);
    rig.request(call_to(&["sip:1@first"]));
    let body = Some(crate::rig::sdp(answer));
    let lines =
        rig.sip(sip::Event::Answered { session: SessionId::Outbound(1), body, also_rang: Vec::new() });
    (rig, lines)
}

fn replied(request: u64, status: u16) -> sip::Event {
    sip::Event::Replied { session: SessionId::Outbound(1), request: sip::RequestId(request), status }
}

fn digits(text: &str) -> Command {
    let digits = text.chars().map(|char| Key::from_char(char).map_or(Dial::Pause, Dial::Key)).collect();
    Command::SendDtmfStart { call: CallId(1), digits }
}

/// One INFO after the other: 200 ms from one to the next at least, and none before the one before is answered.
#[test]
fn digits_go_by_info_where_the_gateway_wants_it_so() {
    let (mut rig, _) = answered(DtmfWay::Info, OFFER);
    let info = |number: u64, key: char| format!("sip Info {number} Signal={key}\r\nDuration=100\r\n");
    assert_eq!(
        rig.request(digits("1#,2")),
        [info(1, '1'), "reply Done".to_owned(), "1: Idle→SendDtmf".to_owned()]
    );
    rig.ms(50);
    assert_eq!(rig.sip(replied(1, 200)), [""; 0]);
    assert_eq!(rig.ms(149), [""; 0]);
    assert_eq!(rig.ms(1), [info(2, '#')]);
    rig.ms(250);
    // A late answer is followed by the pause at once, and by the next digit when that is over.
    assert_eq!(rig.sip(replied(2, 200)), [""; 0]);
    assert_eq!(rig.ms(499), [""; 0]);
    assert_eq!(rig.ms(1), [info(3, '2')]);
    rig.sip(replied(3, 200));
    assert_eq!(rig.ms(200), ["1: SendDtmf→Idle", "1: send ok"]);
}

#[test]
fn an_info_that_is_refused_ends_the_digits_and_a_stop_does_at_once() {
    let (mut rig, _) = answered(DtmfWay::Info, OFFER);
    rig.request(digits("12"));
    assert_eq!(rig.sip(replied(1, 415)), ["1: SendDtmf→Idle", "1: send refused"]);
    rig.request(digits("12"));
    let stop = Command::SendDtmfStop { call: CallId(1) };
    assert_eq!(rig.request(stop), ["reply Done", "1: SendDtmf→Idle", "1: send ok"]);
    rig.request(digits("3"));
    assert_eq!(rig.sip(replied(2, 481)), [""; 0], "of the digits before");
    let lines = rig.sip(crate::rig::bye(SessionId::Outbound(1)));
    assert_eq!(lines.last().map(String::as_str), Some("1: Idle→Released"));
    assert_eq!(rig.media(crate::rig::leg_removed(CallId(1)))[0], "1: send hangup");
}

#[test]
fn tones_are_searched_as_the_gateway_wants_it() {
    let opened = |dtmf, answer| answered(dtmf, answer).1.remove(0);
    assert_eq!(opened(DtmfWay::Auto, OFFER), "open 1 on 20000 PCMA");
    assert_eq!(opened(DtmfWay::Auto, ALAW), "open 1 on 20000 PCMA tones");
    assert_eq!(opened(DtmfWay::Rfc4733, ALAW), "open 1 on 20000 PCMA");
    assert_eq!(opened(DtmfWay::Inband, OFFER), "open 1 on 20000 PCMA tones", "no events are negotiated");
    assert_eq!(opened(DtmfWay::Info, ALAW), "open 1 on 20000 PCMA tones");
}
