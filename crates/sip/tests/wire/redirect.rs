//! Where a 3xx leads a call of ours (RFC 3261 §8.1.3.4), and where it does not (reliability S8).

use offhook_sip::event::{Command, Credentials, EndCause, Event, Invite, Refuser, Route};

use crate::stage::{OUTBOUND, Sent, Stage, address, config, invite, kinds, route};

const TO: &str = "sip:100@192.0.2.7";

fn refused(status: u16, phrase: &str) -> Event {
    refused_to(status, phrase, &[])
}

fn refused_to(status: u16, phrase: &str, contacts: &[&str]) -> Event {
    let contacts = contacts.iter().map(|&contact| contact.to_owned()).collect();
    let (phrase, by) = (phrase.to_owned(), Refuser::Peer);
    Event::Ended {
        session: OUTBOUND,
        cause: EndCause::Refused { status, phrase, by, retry_after: None, reason: None, contacts },
    }
}

/// A call that may be redirected to these hosts; gives its INVITE.
#[track_caller]
fn placed(stage: &mut Stage, hosts: &[&str], invite: Invite) -> Sent {
    let redirect_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
    stage.command(Command::Invite(Box::new(Invite { redirect_hosts, ..invite })));
    stage.drain_events();
    stage.one()
}

/// The peer that a request went to answers it by 302 with these Contact fields; gives what is sent then.
fn redirected(stage: &mut Stage, sent: &Sent, contacts: &str) -> Vec<Sent> {
    let from = sent.to.to_string();
    stage.receive_from(&from, &sent.response("302 Moved Temporarily", "x", contacts));
    stage.sent()
}

#[test]
fn contacts_are_tried_by_q() {
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["192.0.2.31", "192.0.2.32", "192.0.2.33"], invite(TO));
    let contacts = "Contact: <sip:a@192.0.2.31>;q=0.2, \"B\" <sip:b@192.0.2.32?X-Evil=1>;q=0.9\r\n\
                    Contact: <sip:c@192.0.2.33>\r\n";
    let sent = redirected(&mut stage, &first, contacts);
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    let best = &sent[1];
    assert!(best.text.starts_with("INVITE sip:c@192.0.2.33 SIP/2.0\r\n"));
    assert_eq!((best.to, best.header("CSeq")), (address("192.0.2.33:5060"), "2 INVITE"));
    for name in ["To", "From", "Call-ID"] {
        assert_eq!(best.header(name), first.header(name));
    }
    assert_eq!(stage.events(), [], "it is the same route");

    // Any refusal but 6xx leads to the next contact; what its URI wants to add to the request is left out.
    stage.receive_from("192.0.2.33:5060", &best.response("486 Busy Here", "c", ""));
    let second = stage.sent().pop().unwrap();
    assert!(second.text.starts_with("INVITE sip:b@192.0.2.32 SIP/2.0\r\n"));
    assert!(!second.text.contains("Evil"));
    stage.receive_from("192.0.2.32:5060", &second.response("404 Not Found", "b", ""));
    let third = stage.sent().pop().unwrap();
    assert_eq!((third.to, third.header("CSeq")), (address("192.0.2.31:5060"), "4 INVITE"));
    stage.receive_from("192.0.2.31:5060", &third.response("480 Temporarily Unavailable", "a", ""));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), refused(480, "Temporarily Unavailable"));
    stage.assert_nothing_left();
}

#[test]
fn a_600_ends_the_call_for_every_contact() {
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["192.0.2.31", "192.0.2.32"], invite(TO));
    let sent = redirected(&mut stage, &first, "Contact: <sip:a@192.0.2.31>, <sip:b@192.0.2.32>\r\n");
    stage.receive_from("192.0.2.31:5060", &sent[1].response("603 Decline", "a", ""));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), refused(603, "Decline"));
}

#[test]
fn s8_a_redirection_leads_to_allowed_hosts_only() {
    for (hosts, contact) in [
        (&[][..], "<sip:100@192.0.2.31>"),
        (&["192.0.2.31"][..], "<sip:100@203.0.113.66>"),
        // What is dialled is the address, whatever the host says; and the other way round.
        (&["192.0.2.31"][..], "<sip:100@192.0.2.31;maddr=203.0.113.66>"),
        (&["192.0.2.31"][..], "<sip:100@203.0.113.66;maddr=192.0.2.31>"),
        (&["192.0.2.31"][..], "<sip:192.0.2.31@203.0.113.66>"),
        (&["example.com"][..], "<sip:100@evil.example.com>"),
        (&["192.0.2.31"][..], "<tel:+19005550100>"),
        (&["192.0.2.31"][..], "<sip:100@192.0.2.31;method=BYE>"),
        (&["192.0.2.31"][..], "\"<sip:100@192.0.2.31>\" <sip:100@203.0.113.66>"),
        (&["192.0.2.31"][..], "garbage"),
    ] {
        let mut stage = Stage::new();
        let first = placed(&mut stage, hosts, invite(TO));
        let sent = redirected(&mut stage, &first, &format!("Contact: {contact}\r\n"));
        assert_eq!(kinds(&sent), ["ACK"], "{contact}");
        let told = contact.rsplit('<').next().and_then(|uri| uri.strip_suffix('>'));
        let told: Vec<_> =
            told.filter(|uri| uri.starts_with("sip:") && !uri.contains("method=")).into_iter().collect();
        assert_eq!(stage.event(), refused_to(302, "Moved Temporarily", &told), "{contact}");
        stage.assert_nothing_left();
    }
    // Names have no case.
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["gw2.example.com"], invite(TO));
    redirected(&mut stage, &first, "Contact: <sip:100@GW2.Example.com>\r\n");
    assert!(matches!(stage.event(), Event::Resolve { .. }));
}

#[test]
fn a_redirection_to_use_a_proxy_or_another_service_ends_the_call() {
    for status in ["305 Use Proxy", "380 Alternative Service"] {
        let mut stage = Stage::new();
        let first = placed(&mut stage, &["192.0.2.31"], invite(TO));
        stage.receive(&first.response(status, "x", "Contact: <sip:192.0.2.31>\r\n"));
        assert_eq!(kinds(&stage.sent()), ["ACK"]);
        assert!(matches!(stage.event(), Event::Ended { .. }));
    }
}

#[test]
fn a_redirection_goes_nowhere_twice_and_comes_to_an_end() {
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["192.0.2.7", "192.0.2.31"], invite(TO));
    let sent = redirected(&mut stage, &first, "Contact: <sip:100@192.0.2.31>\r\n");
    let sent = redirected(&mut stage, &sent[1], "Contact: <sip:100@192.0.2.7>\r\n");
    assert_eq!(kinds(&sent), ["ACK"], "there it was sent first");
    assert_eq!(stage.event(), refused_to(302, "Moved Temporarily", &["sip:100@192.0.2.7"]));

    let mut stage = Stage::new();
    let mut last = placed(&mut stage, &["192.0.2.31"], invite(TO));
    let mut hops = 0;
    loop {
        let mut sent = redirected(&mut stage, &last, &format!("Contact: <sip:{hops}@192.0.2.31>\r\n"));
        if sent.len() == 1 {
            break;
        }
        hops += 1;
        last = sent.pop().unwrap();
    }
    assert_eq!(hops, 5);
    assert_eq!(stage.event(), refused_to(302, "Moved Temporarily", &["sip:5@192.0.2.31"]));
    stage.assert_nothing_left();
}

#[test]
fn a_secure_call_stays_secure() {
    let tls = offhook_sip::Config { tls: vec![address("198.51.100.1:5061")], ..config(crate::stage::OURS) };
    let mut stage = Stage::with(tls);
    let first = placed(&mut stage, &["192.0.2.31"], invite("sips:100@192.0.2.7"));
    let contacts = "Contact: <sip:100@192.0.2.31>, <sips:100@192.0.2.31>;q=0.1\r\n";
    let sent = redirected(&mut stage, &first, contacts);
    assert!(sent[1].text.starts_with("INVITE sips:100@192.0.2.31 SIP/2.0\r\n"));
    assert_eq!(sent[1].transport, offhook_sip::event::Transport::Tls);
}

/// A route with credentials.
fn with_credentials(to: &str) -> Invite {
    let credentials = Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
    Invite { routes: vec![Route { credentials: Some(credentials), ..route(to) }], ..invite("") }
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";

#[test]
fn s6_no_password_goes_to_where_a_redirection_leads() {
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["192.0.2.31"], with_credentials(TO));
    stage.receive(&first.response("401 Unauthorized", "x", CHALLENGE));
    let second = stage.sent().pop().unwrap();
    assert_eq!(second.all("Authorization").len(), 1);
    let sent = redirected(&mut stage, &second, "Contact: <sip:100@192.0.2.31>\r\n");
    // Neither what is known already, nor an answer to its own challenge, in the very same realm.
    assert_eq!((sent[1].to, sent[1].all("Authorization").len()), (address("192.0.2.31:5060"), 0));
    stage.receive_from("192.0.2.31:5060", &sent[1].response("401 Unauthorized", "y", CHALLENGE));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), refused(401, "Unauthorized"));

    // To another user of the gateway itself they go.
    let mut stage = Stage::new();
    let first = placed(&mut stage, &["192.0.2.7"], with_credentials(TO));
    let sent = redirected(&mut stage, &first, "Contact: <sip:200@192.0.2.7>\r\n");
    stage.receive(&sent[1].response("401 Unauthorized", "y", CHALLENGE));
    assert_eq!(stage.sent().pop().unwrap().all("Authorization").len(), 1);
}

/// An application that may not be sent on by a 3xx is told where to, and decides itself.
#[test]
fn a_redirection_that_is_not_followed_says_where_it_leads() {
    let mut stage = Stage::new();
    let first = placed(&mut stage, &[], invite(TO));
    let contacts = "Contact: <sip:a@192.0.2.31>;q=0.2, \"B\" <sips:b@example.com:5061?X-Evil=1>;q=0.9\r\n\
                    Contact: <tel:+12125551212>, <mailto:a@b>\r\n";
    assert_eq!(kinds(&redirected(&mut stage, &first, contacts)), ["ACK"]);
    let Event::Ended { cause: EndCause::Refused { status, contacts, .. }, .. } = stage.event() else {
        panic!("no end");
    };
    assert_eq!((status, contacts), (302, vec!["sips:b@example.com:5061".into(), "sip:a@192.0.2.31".into()]));
    // Of another refusal a Contact is no place to go.
    let mut stage = Stage::new();
    let first = placed(&mut stage, &[], invite(TO));
    stage.receive(&first.response("485 Ambiguous", "x", "Contact: <sip:a@192.0.2.31>\r\n"));
    assert_eq!(stage.one().kind(), "ACK");
    let Event::Ended { cause: EndCause::Refused { contacts, .. }, .. } = stage.event() else {
        panic!("no end");
    };
    assert!(contacts.is_empty(), "{contacts:?}");
}
