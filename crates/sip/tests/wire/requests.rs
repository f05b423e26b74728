//! What a request gets that is no call: refusals, capabilities, silence.

use std::time::Duration;

use offhook_sip::Config;
use offhook_sip::event::{Command, Doors, Event, SessionId, Transport};

use crate::stage::{OURS, PEER, Stage, config, gateway, kinds, request, sdp};

/// What the one response to a request is.
#[track_caller]
fn check(message: &str, status: u16, headers: &[(&str, &str)]) {
    let mut stage = Stage::new();
    stage.receive(message);
    let response = stage.sent().pop().unwrap_or_else(|| panic!("no answer to\n{message}"));
    assert_eq!(response.status(), status, "{}", response.text);
    for (name, value) in headers {
        assert_eq!(response.header(name), *value);
    }
    assert_ne!(response.to_tag(), "");
    assert_eq!(stage.events(), []);
}

fn with_body(cseq: &str, headers: &str) -> String {
    request(cseq, "body", "", "").replace("Content-Length: 0\r\n\r\n", &format!("{headers}\r\nv=0\r\n"))
}

const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, NOTIFY, PRACK, REFER, UPDATE";

#[test]
fn who_takes_no_calls_says_so_to_options() {
    // RFC 3261 §11.2: OPTIONS is answered as an INVITE would be, so a gateway that asks sends its calls elsewhere.
    let mut stage = Stage::new();
    stage.receive(&request("1 OPTIONS", "before", "", ""));
    assert_eq!(stage.one().status(), 200);
    let retry_after = Duration::from_secs(17);
    for (number, doors) in [(2, Doors::NoCalls { retry_after }), (3, Doors::Shut { retry_after })] {
        stage.endpoint.set_doors(doors);
        stage.receive(&request(&format!("{number} OPTIONS"), &format!("closed{number}"), "", ""));
        let refused = stage.one();
        assert_eq!((refused.status(), refused.header("Retry-After")), (503, "17"));
    }
    stage.endpoint.set_doors(Doors::Open);
    stage.receive(&request("4 OPTIONS", "after", "", ""));
    assert_eq!(stage.one().status(), 200);
}

#[test]
fn each_refusal_says_what_is_wrong() {
    let r = |cseq: &str| request(cseq, "b", "", "");
    check(
        &r("1 OPTIONS"),
        200,
        &[("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", "100rel, norefersub, timer")],
    );
    check(&r("1 REGISTER"), 405, &[("Allow", ALLOW)]);
    check(&r("1 UPDATE"), 481, &[]);
    check(&r("1 PRACK"), 481, &[]);
    check(&r("1 BYE"), 481, &[]);
    check(&r("1 INFO"), 481, &[]);
    check(&r("1 CANCEL"), 481, &[]);
    check(&request("1 INVITE", "b", "no-such-tag", ""), 481, &[]);
    check(&r("1 INVITE").replace("INVITE sip:100@", "INVITE tel:100;x="), 416, &[]);
    // Neither UDP nor TCP is what it asks for (RFC 3261 §19.1): there is no TLS yet.
    check(&r("1 INVITE").replace("INVITE sip:", "INVITE sips:"), 416, &[]);
    check(&r("1 OPTIONS").replace("OPTIONS sip:", "OPTIONS SIPS:"), 416, &[]);
    check(&r("1 INVITE").replace("INVITE sip:100@198.51.100.1", "INVITE sip:100@"), 400, &[]);
    check(
        &r("1 INVITE").replace("sip:100@198.51.100.1 SIP", &format!("sip:{}@a SIP", "1".repeat(1024))),
        414,
        &[],
    );
    check(&r("1 INVITE").replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), 505, &[]);
    let require = request("1 INVITE", "b", "", "Require: 100rel\r\nRequire: timer, x\r\nRequire: y\r\n");
    check(&require, 420, &[("Unsupported", "x, y")]);
    let short = request("1 INVITE", "b", "", "Session-Expires: 89\r\nSupported: timer\r\n");
    check(&short, 422, &[("Min-SE", "90")]);
    check(&request("1 INVITE", "b", "", "x: soon\r\n"), 400, &[]);
    check(&with_body("1 INVITE", "Content-Type: text/plain\r\n"), 415, &[("Accept", "application/sdp")]);
    let gzip = "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n";
    check(&with_body("1 INVITE", gzip), 415, &[("Accept-Encoding", "identity")]);
    check(&with_body("1 INVITE", ""), 400, &[]);
    let routes = vec!["<sip:192.0.2.9;lr>"; 33].join(",");
    check(&request("1 INVITE", "b", "", &format!("Record-Route: {routes}\r\n")), 400, &[]);
}

#[test]
fn a_method_that_nobody_has_heard_of() {
    let mut stage = Stage::new();
    stage.receive(&request("1 FLY", "b", "", ""));
    // rsip has not heard of it either, so it is not asked.
    let response = String::from_utf8(stage.endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert!(response.starts_with("SIP/2.0 501 Not Implemented\r\n"), "{response}");
    assert!(response.contains(&format!("\r\nAllow: {ALLOW}\r\n")));
}

#[test]
fn each_bad_header_is_a_400() {
    let invite = request("1 INVITE", "b", "", "");
    for (from, to) in [
        ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: -1 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: 1"),
        ("CSeq: 1 INVITE\r\n", ""),
        ("CSeq: 1 INVITE", "CSeq: 1 INVITE\r\nCSeq: 2 INVITE"),
        ("Call-ID: call-1@192.0.2.7\r\n", ""),
        ("Call-ID: call-1@192.0.2.7", "Call-ID: a b"),
        ("Max-Forwards: 70", "Max-Forwards: 256"),
        ("Max-Forwards: 70", "Max-Forwards: x"),
        ("Content-Length: 0", "Content-Length: 1"),
        ("Content-Length: 0", "Content-Length: 99999999999999999999"),
        ("Content-Length: 0", "Content-Length: 0\r\nl: 0"),
        ("Contact: <sip:alice@192.0.2.7>", "Contact: <sip:alice@192.0.2.7"),
        ("Contact: <sip:alice@192.0.2.7>", "Record-Route: <tel:1>"),
        ("Max-Forwards: 70", "Max-Forwards 70"),
        ("To: <sip:100@198.51.100.1>", "To: \"open <sip:100@198.51.100.1>"),
    ] {
        assert!(invite.contains(from));
        let message = invite.replace(from, to);
        let mut stage = Stage::new();
        let flow = offhook_sip::event::Flow {
            transport: Transport::Udp,
            local: OURS.parse().unwrap(),
            remote: PEER.parse().unwrap(),
            name: None,
        };
        stage.endpoint.receive(stage.now, flow, message.as_bytes());
        // rsip is not asked: what is missing in the request is missing in the response.
        let response = stage.endpoint.poll_transmit().unwrap_or_else(|| panic!("no answer to\n{message}"));
        assert!(response.bytes.starts_with(b"SIP/2.0 400 "), "{message}");
        assert_eq!(stage.events(), []);
    }
}

#[test]
fn max_forwards_of_zero_is_for_proxies() {
    // RFC 4475 §3.3.11: an endpoint processes the request.
    check(&request("1 OPTIONS", "b", "", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), 200, &[]);
}

#[test]
fn strangers_get_no_answer() {
    let mut stage = Stage::new();
    for cseq in ["1 INVITE", "1 OPTIONS", "1 REGISTER", "1 FLY", "1 CANCEL", "1 BYE"] {
        stage.receive_from("203.0.113.9:5060", &request(cseq, "b", "", ""));
    }
    stage.receive_from("203.0.113.9:5060", &request("1 BYE", "c", "guess", ""));
    stage
        .receive_from("203.0.113.9:5060", &request("1 INVITE", "d", "", "").replace("Max-Forwards: 70", "x"));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    assert_eq!((stage.endpoint.counters().untrusted, stage.endpoint.counters().faulty), (8, 0));

    stage.endpoint.set_gateways(vec![gateway(vec!["203.0.113.0/24".parse().unwrap()])]);
    stage.receive_from("203.0.113.9:5060", &request("1 OPTIONS", "e", "", ""));
    assert_eq!(stage.one().status(), 200);
}

#[test]
fn a_merged_request_is_a_loop() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "path1", "", ""));
    for path in ["path2", "path3"] {
        stage.receive(&request("1 INVITE", path, "", ""));
        assert_eq!(stage.one().status(), 482);
    }
    assert_eq!(stage.events().len(), 1);
    // Once refused, a hunt group may try us again with the same Call-ID and CSeq.
    let reject = offhook_sip::event::Command::Reject {
        session: SessionId::Inbound(1),
        status: 486,
        headers: Vec::new(),
    };
    stage.command(reject);
    let tag = stage.one().to_tag().to_owned();
    stage.receive(&request("1 ACK", "path1", &tag, ""));
    stage.events();
    stage.receive(&request("1 INVITE", "path4", "", ""));
    assert_eq!(stage.sent().len(), 0);
    assert!(matches!(stage.event(), Event::Incoming(_)));
}

#[test]
fn a_full_house_refuses_new_calls_only() {
    let mut stage = Stage::with(Config { max_sessions: 1, ..config(OURS) });
    stage.receive(&request("1 INVITE", "one", "", ""));
    stage.events();
    stage.sent();
    let other = request("1 INVITE", "two", "", "").replace("call-1@", "call-2@");
    stage.receive(&other);
    let full = stage.one();
    assert_eq!((full.status(), full.header("Retry-After")), (503, "5"));
    assert_eq!((stage.endpoint.counters().overload, stage.events().len()), (1, 0));

    let mut stage = Stage::with(Config { max_transactions: 1, ..config(OURS) });
    stage.receive(&request("1 INVITE", "one", "", ""));
    stage.events();
    let session = SessionId::Inbound(1);
    stage.command(offhook_sip::event::Command::Progress { session, status: 180, body: None });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.receive(&other);
    assert_eq!(stage.one().status(), 503);
    assert_eq!(stage.endpoint.counters().transactions, 1, "nothing is kept of it");
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"], "inside the dialog there is room");
}

/// A refused INVITE stays in the table for 64·T1 like any other: who sends too many fills it for new calls, of everyone, and for
/// those that are established never.
#[test]
fn refused_calls_leave_room_for_established_ones() {
    let most = 40;
    let mut stage = Stage::with(Config { max_transactions: most, ..config(OURS) });
    stage.receive(&request("1 INVITE", "one", "", ""));
    stage.events();
    let session = SessionId::Inbound(1);
    stage.command(Command::Answer { session, body: sdp("") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    let mut refused = 0;
    for call in 2..=100 {
        let invite =
            request("1 INVITE", &format!("b{call}"), "", "").replace("call-1@", &format!("call-{call}@"));
        stage.receive(&invite);
        for event in stage.events() {
            if let Event::Incoming(incoming) = event {
                let session = incoming.session;
                stage.command(Command::Reject { session, status: 503, headers: Vec::new() });
                refused += 1;
            }
        }
    }
    stage.sent();
    assert_eq!((refused, stage.endpoint.counters().transactions), (most - 1, most));
    // What the far end asks in the call is taken, and what we ask goes out.
    stage.receive(&request("2 OPTIONS", "alive", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200"]);
    stage.command(Command::Bye { session, reason: None });
    assert_eq!(kinds(&stage.sent()), ["BYE"]);
}

#[test]
fn responses_go_back_as_via_says() {
    for (via, to, stamped) in [
        ("192.0.2.7", "192.0.2.7:5060", "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb"),
        ("192.0.2.7:5070", "192.0.2.7:5070", "SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKb"),
        ("10.0.0.5", "192.0.2.7:5060", "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb;received=192.0.2.7"),
        (
            "10.0.0.5;rport",
            "192.0.2.7:40000",
            "SIP/2.0/UDP 10.0.0.5;rport=40000;branch=z9hG4bKb;received=192.0.2.7",
        ),
    ] {
        let mut stage = Stage::new();
        let options = request("1 OPTIONS", "b", "", "");
        let options = options.replace("UDP 192.0.2.7;", &format!("UDP {via};"));
        let second = "\r\nVia: SIP/2.0/TCP  h.example.com ; branch = z9hG4bKq\r\nMax";
        stage.receive_from("192.0.2.7:40000", &options.replace("\r\nMax", second));
        let response = stage.one();
        assert_eq!(response.to.to_string(), to);
        assert_eq!(response.all("Via"), [stamped, "SIP/2.0/TCP  h.example.com ; branch = z9hG4bKq"]);
    }
}

#[test]
fn what_is_echoed_is_echoed_byte_for_byte() {
    let mut stage = Stage::new();
    let odd = request("1 OPTIONS", "b", "", "")
        .replace(
            "From: \"Alice\" <sip:alice@example.com>;tag=alice",
            "f:  \"A \\\" ;l\"  <SIP:a%20b@Example.COM>  ;  TAG = x;y",
        )
        .replace("CSeq: 1 OPTIONS", "CSeq: 0001   OPTIONS");
    stage.receive(&odd);
    // rsip cannot read this From, so it is not asked.
    let response = String::from_utf8(stage.endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert!(response.contains("\r\nFrom: \"A \\\" ;l\"  <SIP:a%20b@Example.COM>  ;  TAG = x;y\r\n"));
    assert!(response.contains("\r\nCSeq: 0001   OPTIONS\r\n"));
}

#[test]
fn stray_responses_change_nothing() {
    let mut stage = Stage::new();
    stage.receive(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
         Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    assert_eq!(stage.endpoint.counters().stray_responses, 1);
}

#[test]
fn forged_requests_leave_nothing_behind() {
    let mut stage = Stage::new();
    for number in 0..200 {
        let branch = format!("forged{number}");
        stage.receive(&request("2 BYE", &branch, "guess", ""));
        stage.receive(&request("1 CANCEL", &branch, "", ""));
        assert_eq!(kinds(&stage.sent()), ["481", "481"]);
    }
    assert_eq!(stage.endpoint.counters().transactions, 0);
}

#[test]
fn requests_leave_from_where_the_call_came_in() {
    use crate::stage::{address, sdp};
    use offhook_sip::event::{Command, Flow};
    // Two addresses; the call comes in by the second.
    let second = address("198.51.100.2:5060");
    let mut stage = Stage::with(Config { udp: vec![address(OURS), second], ..config(OURS) });
    let flow = Flow { transport: Transport::Udp, local: second, remote: address(PEER), name: None };
    let now = stage.now;
    stage.endpoint.receive(now, flow, request("1 INVITE", "invite", "", "").as_bytes());
    let session = SessionId::Inbound(1);
    stage.command(Command::Answer { session, body: sdp("") });
    let ok = stage.sent().pop().unwrap();
    assert_eq!(ok.header("Contact"), "<sip:198.51.100.2:5060>");
    stage.endpoint.receive(now, flow, request("1 ACK", "ack", ok.to_tag(), "").as_bytes());
    stage.command(Command::Bye { session, reason: None });
    let bye = stage.endpoint.poll_transmit().unwrap();
    assert_eq!(bye.flow, flow);
}

#[test]
fn what_is_too_large() {
    let body = |length: usize| {
        let headers = format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n");
        request("1 INVITE", "body", "", "")
            .replace("Content-Length: 0\r\n\r\n", &format!("{headers}\r\n{}", "a".repeat(length)))
    };
    // A description of a thousand streams is no better than one of a hundred, which is read (RFC 3261 §21.4.26).
    let warning = "399 offhook \"Session description of more than 16384 bytes\"";
    check(&body(16 * 1024 + 1), 488, &[("Warning", warning)]);
    check(&body(16 * 1024 + 1).replace("INVITE", "OPTIONS"), 413, &[]);
    let mut stage = Stage::new();
    stage.receive(&body(16 * 1024));
    assert!(matches!(stage.event(), Event::Incoming(_)));
}

#[test]
fn a_timestamp_comes_back_with_the_delay() {
    // RFC 3261 §8.2.6.1: the 100 leaves 200 ms after its request.
    for (value, echoed) in [("54", "54 0.2"), ("54.21 1.5", "54.21 0.2")] {
        let mut stage = Stage::new();
        stage.receive(&request("1 INVITE", "b", "", &format!("Timestamp: {value}\r\n")));
        let (at, trying) = stage.pass(std::time::Duration::from_secs(1)).remove(0);
        assert_eq!((at, trying.status(), trying.header("Timestamp")), (200, 100, echoed));
    }
}

#[test]
fn an_invitation_that_has_expired_is_void() {
    use offhook_sip::event::{Command, EndCause};
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "b", "", "Expires: 20\r\n"));
    let session = SessionId::Inbound(1);
    stage.command(Command::Progress { session, status: 180, body: None });
    stage.drain();
    assert_eq!(stage.pass(std::time::Duration::from_millis(19_999)).len(), 0);
    let sent = stage.pass(std::time::Duration::from_millis(1));
    assert_eq!((sent.len(), sent[0].1.status()), (1, 487));
    assert_eq!(stage.event(), Event::Ended { session, cause: EndCause::Cancelled { reason: None } });
    // Answered in time, it is void no more; nor where nobody can read when.
    for expires in ["20", "4294967295", "4294967296", "-1", "soon"] {
        let mut stage = Stage::new();
        stage.receive(&request("1 INVITE", "b", "", &format!("Expires: {expires}\r\n")));
        stage.pass(std::time::Duration::from_secs(19));
        stage.command(Command::Answer { session, body: crate::stage::sdp("v=0\r\n") });
        let tag = stage.sent().pop().unwrap().to_tag().to_owned();
        stage.receive(&request("1 ACK", "ack", &tag, ""));
        stage.drain();
        assert_eq!(stage.pass(std::time::Duration::from_secs(60)).len(), 0, "{expires}");
        assert_eq!(stage.events(), []);
    }
}

#[test]
fn what_is_said_of_the_caller_is_told() {
    let mut stage = Stage::new();
    let told = [
        ("P-Asserted-Identity", "\"Alice\" <sip:+4930123@192.0.2.7>"),
        ("P-Asserted-Identity", "<tel:+4930123>"),
        ("P-Preferred-Identity", "<sip:a@b>"),
        ("Remote-Party-ID", "<sip:a@b>;party=calling"),
        ("Privacy", "id;critical"),
        ("X-Account", "7"),
        ("Diversion", "<sip:1@b>;reason=no-answer"),
        ("Diversion", "<sip:2@b>;reason=user-busy"),
        ("History-Info", "<sip:1@b>;index=1, <sip:2@b>;index=1.1"),
        ("Referred-By", "<sip:r@b>"),
        ("Reason", "SIP;cause=302"),
        ("Subject", "lunch"),
        ("Alert-Info", "<http://example.com/ring>"),
        ("Call-Info", "<http://example.com/a.jpg>;purpose=icon"),
        ("User-to-User", "56a390f3d2b7310023a2;encoding=hex"),
    ];
    let mut more: String = told.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    more.push_str(
        "User-Agent: y\r\nPX-Not: 1\r\nOrganization: z\r\nsubject:\r\n in two\r\n  lines\r\nB: <sip:q@b>\r\n",
    );
    stage.receive(&request("1 INVITE", "b", "", &more));
    let Event::Incoming(incoming) = stage.event() else { panic!() };
    let found: Vec<_> =
        incoming.headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
    assert_eq!(found, [&told[..], &[("Subject", "in two lines"), ("Referred-By", "<sip:q@b>")]].concat());
}
