//! Whether gateways are there, asked by OPTIONS; and messages outside of dialogs.

use std::time::Duration;

use offhook_sip::event::{
    Body, Command, CommandError, Credentials, Event, Flow, Header, Page, PageId, Ping, Route, Transport,
};

use crate::stage::{OURS, Sent, Stage, address, route, udp};

const INTERVAL: Duration = Duration::from_secs(60);

fn ping(to: &str) -> Command {
    Command::Ping(Box::new(Ping { gateway: "gw".into(), route: route(to), interval: INTERVAL }))
}

fn told(up: bool, status: u16) -> Event {
    Event::Gateway { gateway: "gw".into(), up, status }
}

/// Lets the interval pass; gives the question at its end.
#[track_caller]
fn next(stage: &mut Stage) -> Sent {
    let mut sent = stage.pass(INTERVAL);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let (after, sent) = sent.remove(0);
    assert_eq!((after, sent.kind()), (60_000, "OPTIONS".to_owned()));
    sent
}

#[test]
fn the_first_answer_and_every_change_are_told() {
    let mut stage = Stage::new();
    stage.command(ping("sip:192.0.2.7"));
    let first = stage.one();
    assert!(first.text.starts_with("OPTIONS sip:192.0.2.7 SIP/2.0\r\n"));
    assert!(first.header("From").starts_with("<sip:198.51.100.1:5060>;tag="));
    assert_eq!((first.header("To"), first.header("CSeq")), ("<sip:192.0.2.7>", "1 OPTIONS"));
    // Whoever answers is there, whatever it says.
    stage.receive(&first.response("404 Not Found", "x", ""));
    assert_eq!(stage.event(), told(true, 404));
    let second = next(&mut stage);
    assert_ne!(second.header("Call-ID"), first.header("Call-ID"));
    stage.receive(&second.response("200 OK", "x", ""));
    assert_eq!(stage.events(), []);

    // One answer that is missing says nothing, two in a row do.
    let third = next(&mut stage);
    stage.receive(&third.response("503 Service Unavailable", "x", ""));
    assert_eq!(stage.events(), []);
    let fourth = next(&mut stage);
    stage.receive(&fourth.response("401 Unauthorized", "x", ""));
    assert_eq!(stage.events(), []);
    for told_at in [false, true] {
        next(&mut stage);
        // It is asked again by UDP for 32 s, and the interval counts from the end of that.
        assert!(stage.pass(Duration::from_secs(32)).iter().all(|(_, sent)| sent.kind() == "OPTIONS"));
        assert_eq!(stage.events(), if told_at { vec![told(false, 408)] } else { Vec::new() });
    }
    let back = next(&mut stage);
    stage.receive(&back.response("200 OK", "x", ""));
    assert_eq!(stage.event(), told(true, 200));

    stage.command(Command::Unping { gateway: "gw".into() });
    let again = stage.endpoint.command(stage.now, Command::Unping { gateway: "gw".into() });
    assert_eq!(again, Err(CommandError::Unknown));
    stage.assert_nothing_left();
}

#[test]
fn a_gateway_that_never_answers_is_down() {
    let mut stage = Stage::new();
    stage.command(ping("sip:192.0.2.7;transport=tcp"));
    let first = stage.one();
    let flow = Flow { transport: Transport::Tcp, local: address(OURS), remote: first.to, name: None };
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.events(), []);
    next(&mut stage);
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.event(), told(false, 503));
    next(&mut stage);
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.events(), []);
}

#[test]
fn one_address_that_answers_is_enough() {
    let mut stage = Stage::new();
    stage.command(ping("sip:gw.example.com"));
    let Event::Resolve { query, .. } = stage.event() else { panic!() };
    stage.command(Command::Resolved { query, targets: vec![udp("192.0.2.11:5060"), udp("192.0.2.12:5060")] });
    let first = stage.one();
    stage.receive_from("192.0.2.11:5060", &first.response("503 Full", "x", ""));
    let second = stage.one();
    assert_eq!(second.to, address("192.0.2.12:5060"));
    stage.receive_from("192.0.2.12:5060", &second.response("200 OK", "x", ""));
    assert_eq!(stage.event(), told(true, 200));
}

#[test]
fn a_second_ping_replaces_the_first() {
    let mut stage = Stage::new();
    stage.command(ping("sip:192.0.2.7"));
    let first = stage.one();
    stage.command(ping("sip:192.0.2.8"));
    let second = stage.one();
    assert_eq!(second.to, address("192.0.2.8:5060"));
    stage.receive(&first.response("200 OK", "x", ""));
    assert_eq!(stage.events(), [], "nobody waits for it");
    stage.receive_from("192.0.2.8:5060", &second.response("200 OK", "x", ""));
    assert_eq!(stage.event(), told(true, 200));
    stage.command(Command::Unping { gateway: "gw".into() });
    stage.assert_nothing_left();
}

fn page(number: u64, route: Route) -> Page {
    Page {
        page: PageId(number),
        from: "sip:offhook@example.com".to_owned(),
        route,
        headers: vec![Header { name: "X-Account".to_owned(), value: "7".to_owned() }],
        body: Body { content_type: "text/plain".to_owned(), bytes: b"hello".to_vec() },
    }
}

#[test]
fn a_message_is_sent_and_its_answer_told() {
    let mut stage = Stage::new();
    let credentials = Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
    let to = Route { credentials: Some(credentials), ..route("sip:100@192.0.2.7") };
    stage.command(Command::Page(Box::new(page(1, to))));
    let first = stage.one();
    assert!(first.text.starts_with("MESSAGE sip:100@192.0.2.7 SIP/2.0\r\n"));
    assert!(first.text.ends_with("\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
    assert_eq!((first.header("X-Account"), first.header("To")), ("7", "<sip:100@192.0.2.7>"));
    // RFC 3428 §4: no Contact.
    assert_eq!(first.all("Contact").len(), 0);
    let challenge = "Proxy-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";
    stage.receive(&first.response("407 Proxy Authentication Required", "x", challenge));
    let second = stage.one();
    assert_eq!((second.all("Proxy-Authorization").len(), second.header("CSeq")), (1, "2 MESSAGE"));
    let twice = stage.endpoint.command(stage.now, Command::Page(Box::new(page(1, route("sip:a@192.0.2.7")))));
    assert_eq!(twice, Err(CommandError::WrongState));
    stage.receive(&second.response("202 Accepted", "x", ""));
    assert_eq!(stage.event(), Event::Paged { page: PageId(1), status: 202 });
    stage.assert_nothing_left();
}

#[test]
fn a_message_that_nobody_takes() {
    let mut stage = Stage::new();
    stage.command(Command::Page(Box::new(page(1, route("sip:100@192.0.2.7")))));
    stage.pass(Duration::from_secs(32));
    assert_eq!(stage.event(), Event::Paged { page: PageId(1), status: 408 });
    stage.command(Command::Page(Box::new(page(2, route("sips:100@192.0.2.7")))));
    assert_eq!(stage.event(), Event::Paged { page: PageId(2), status: 503 });
    let mut bad = page(3, route("sip:100@192.0.2.7"));
    bad.headers[0].value = "7\r\nX: y".to_owned();
    let result = stage.endpoint.command(stage.now, Command::Page(Box::new(bad)));
    assert_eq!(result, Err(CommandError::BadHeader("X-Account".to_owned())));
    stage.assert_nothing_left();
}

#[test]
fn messages_under_way_are_limited() {
    let mut stage = Stage::new();
    for number in 0..1000 {
        stage.command(Command::Page(Box::new(page(number, route("sip:100@192.0.2.7")))));
    }
    let more = Command::Page(Box::new(page(1000, route("sip:100@192.0.2.7"))));
    assert_eq!(stage.endpoint.command(stage.now, more), Err(CommandError::Full));
}
