//! Registrations with trunks (RFC 3261 §10.2), one message at a time.

use std::time::Duration;

use offhook_sip::event::{
    Command, CommandError, Credentials, Event, GatewayName, Registration, RegistrationState, Route,
};

use crate::stage::{Sent, Stage, address, kinds, route, udp};

const REGISTRAR: &str = "sip:192.0.2.7";
const CONTACT: &str = "sip:trunk@198.51.100.1:5060";

fn registration(registrar: Route) -> Registration {
    Registration {
        account: "trunk".into(),
        registrar,
        aor: "sip:4711@example.com".to_owned(),
        contact_user: "trunk".to_owned(),
        expires: Duration::from_secs(3600),
    }
}

fn with_credentials(to: &str) -> Route {
    let credentials = Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
    Route { credentials: Some(credentials), ..route(to) }
}

fn told(state: RegistrationState) -> Event {
    Event::Registration { account: "trunk".into(), state }
}

fn registered(seconds: u64) -> Event {
    told(RegistrationState::Registered { expires: Duration::from_secs(seconds) })
}

fn unregister() -> Command {
    Command::Unregister { account: "trunk".into() }
}

#[track_caller]
fn register(stage: &mut Stage, registration: Registration) -> Sent {
    stage.command(Command::Register(Box::new(registration)));
    stage.one()
}

/// The registrar binds the Contact for so long.
fn bind(stage: &mut Stage, sent: &Sent, seconds: u64) {
    let contact = format!("Contact: <{CONTACT}>;expires={seconds}\r\n");
    stage.receive_from(&sent.to.to_string(), &sent.response("200 OK", "reg", &contact));
}

/// What is sent next, and after how many milliseconds; time passes until then.
#[track_caller]
fn next(stage: &mut Stage) -> (u128, Sent) {
    let start = stage.now;
    let at = stage.endpoint.poll_timeout().unwrap();
    stage.now = at;
    stage.endpoint.handle_timeout(at);
    let sent = stage.sent();
    if sent.is_empty() {
        let (more, sent) = next(stage);
        return ((at - start).as_millis() + more, sent);
    }
    assert_eq!(sent.len(), 1);
    ((at - start).as_millis(), sent.into_iter().next().unwrap())
}

#[track_caller]
fn failed(stage: &mut Stage) -> (u16, Duration) {
    match stage.event() {
        Event::Registration { state: RegistrationState::Failed { status, retry_in, .. }, .. } => {
            (status, retry_in)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bound_refreshed_and_removed() {
    let mut stage = Stage::new();
    let first = register(&mut stage, registration(route(REGISTRAR)));
    assert!(first.text.starts_with("REGISTER sip:192.0.2.7 SIP/2.0\r\n"));
    assert_eq!(first.to, address("192.0.2.7:5060"));
    assert_eq!(first.header("To"), "<sip:4711@example.com>");
    assert!(first.header("From").starts_with("<sip:4711@example.com>;tag="));
    assert_eq!((first.header("Contact"), first.header("Expires")), ("<sip:trunk@198.51.100.1:5060>", "3600"));
    assert_eq!(first.header("CSeq"), "1 REGISTER");

    // The answered expiry of our own Contact counts, not that of others, nor what we asked for.
    let contacts = format!(
        "Contact: <sip:other@192.0.2.99>;expires=9999\r\nContact: <{CONTACT}>;expires=600\r\nExpires: 7200\r\n"
    );
    stage.receive(&first.response("200 OK", "reg", &contacts));
    assert_eq!(stage.event(), registered(600));
    assert_eq!((stage.endpoint.counters().accounts, stage.endpoint.counters().registered), (1, 1));
    assert!(stage.endpoint.is_quiet());

    let mut last = first;
    for cseq in 2..5 {
        let (after, refresh) = next(&mut stage);
        assert!((300_000..=450_000).contains(&after), "{after}");
        assert_eq!(refresh.header("CSeq"), format!("{cseq} REGISTER"));
        for name in ["Call-ID", "From", "To", "Contact"] {
            assert_eq!(refresh.header(name), last.header(name));
        }
        assert_ne!(refresh.branch(), last.branch());
        bind(&mut stage, &refresh, 600);
        assert_eq!(stage.events(), [], "nothing has changed");
        last = refresh;
    }
    // A shorter expiry is a change.
    let (_, refresh) = next(&mut stage);
    bind(&mut stage, &refresh, 60);
    assert_eq!(stage.event(), registered(60));

    stage.command(unregister());
    let gone = stage.one();
    assert_eq!((gone.header("Expires"), gone.header("CSeq")), ("0", "6 REGISTER"));
    assert_eq!(gone.header("Contact"), "<sip:trunk@198.51.100.1:5060>");
    stage.receive(&gone.response("200 OK", "reg", ""));
    assert_eq!(stage.event(), told(RegistrationState::Unregistered));
    stage.assert_nothing_left();
    assert_eq!(stage.endpoint.counters().accounts, 0);
    assert_eq!(stage.endpoint.command(stage.now, unregister()), Err(CommandError::Unknown));
}

#[test]
fn challenges_are_answered_and_their_nonce_is_used_again() {
    let mut stage = Stage::new();
    let first = register(&mut stage, registration(with_credentials(REGISTRAR)));
    assert_eq!(first.all("Authorization").len(), 0);
    let challenge = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n1\", qop=\"auth\"\r\n";
    stage.receive(&first.response("401 Unauthorized", "reg", challenge));
    let second = stage.one();
    assert!(second.header("Authorization").contains("nc=00000001"));
    assert!(second.header("Authorization").contains("uri=\"sip:192.0.2.7\""));
    assert_eq!(second.header("CSeq"), "2 REGISTER");
    bind(&mut stage, &second, 60);
    assert_eq!(stage.event(), registered(60));

    let (_, refresh) = next(&mut stage);
    assert!(refresh.header("Authorization").contains("nc=00000002"));
    let stale = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n2\", qop=\"auth\", stale=true\r\n";
    stage.receive(&refresh.response("401 Unauthorized", "reg", stale));
    let again = stage.one();
    assert!(again.header("Authorization").contains("nonce=\"n2\""));
    assert!(again.header("Authorization").contains("nc=00000001"));
    assert_eq!(again.header("CSeq"), "4 REGISTER");

    // A wrong password is a failure like any other, and not tried again at once.
    let wrong = "WWW-Authenticate: Digest realm=\"gw\", nonce=\"n3\", qop=\"auth\"\r\n";
    stage.receive(&again.response("401 Unauthorized", "reg", wrong));
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(failed(&mut stage).0, 401);
}

#[test]
fn too_brief_is_made_longer_once() {
    let mut stage = Stage::new();
    let wanted = Registration { expires: Duration::from_secs(60), ..registration(route(REGISTRAR)) };
    let first = register(&mut stage, wanted);
    stage.receive(&first.response("423 Interval Too Brief", "reg", "Min-Expires: 1800\r\n"));
    let second = stage.one();
    assert_eq!((second.header("Expires"), second.header("CSeq")), ("1800", "2 REGISTER"));
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    stage.receive(&second.response("423 Interval Too Brief", "reg", "Min-Expires: 3600\r\n"));
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(failed(&mut stage).0, 423);
}

#[test]
fn failures_are_tried_again_later_and_later() {
    let mut stage = Stage::new();
    let mut sent = register(&mut stage, registration(route(REGISTRAR)));
    // RFC 5626 §4.5 with 30 s and 30 min: half to all of 60 s, 120 s, …
    for upper in [60, 120, 240, 480, 960, 1800, 1800, 1800] {
        stage.receive(&sent.response("403 Forbidden", "reg", ""));
        let (status, retry_in) = failed(&mut stage);
        assert_eq!(status, 403);
        let upper = Duration::from_secs(upper);
        assert!((upper / 2..=upper).contains(&retry_in), "{retry_in:?} of {upper:?}");
        let (after, again) = next(&mut stage);
        assert_eq!(after, retry_in.as_millis());
        assert_eq!(again.header("Call-ID"), sent.header("Call-ID"));
        sent = again;
    }
    // The registrar knows better, for up to a day.
    stage.receive(&sent.response("503 Service Unavailable", "reg", "Retry-After: 7200\r\n"));
    assert_eq!(failed(&mut stage), (503, Duration::from_secs(7200)));
    let (_, sent) = next(&mut stage);
    stage.receive(&sent.response("500 Server Internal Error", "reg", "Retry-After: 4294967295\r\n"));
    assert_eq!(failed(&mut stage), (500, Duration::from_secs(86_400)));
    let (_, sent) = next(&mut stage);
    // After a success it begins anew.
    bind(&mut stage, &sent, 600);
    assert_eq!(stage.event(), registered(600));
    let (_, sent) = next(&mut stage);
    stage.receive(&sent.response("403 Forbidden", "reg", ""));
    assert!(failed(&mut stage).1 <= Duration::from_secs(60));
    assert_eq!(stage.endpoint.counters().registered, 0);
}

#[test]
fn a_silent_registrar_has_another_address() {
    let mut stage = Stage::new();
    stage.command(Command::Register(Box::new(registration(route("sip:example.com")))));
    let Event::Resolve { query, .. } = stage.event() else { panic!() };
    let targets = vec![udp("192.0.2.11:5060"), udp("192.0.2.12:5060"), udp("192.0.2.13:5060")];
    stage.command(Command::Resolved { query, targets });
    let first = stage.one();
    assert_eq!(first.to, address("192.0.2.11:5060"));
    let (after, second) = stage.pass(Duration::from_secs(32)).pop().unwrap();
    assert_eq!((after, second.to), (32_000, address("192.0.2.12:5060")));
    stage.receive_from("192.0.2.12:5060", &second.response("503 Busy", "reg", ""));
    let third = stage.one();
    assert_eq!((third.to, third.header("Call-ID")), (address("192.0.2.13:5060"), first.header("Call-ID")));
    bind(&mut stage, &third, 600);
    assert_eq!(stage.event(), registered(600));
}

#[test]
fn nobody_answers_and_names_without_addresses() {
    let mut stage = Stage::new();
    register(&mut stage, registration(route(REGISTRAR)));
    stage.pass(Duration::from_secs(32));
    assert_eq!(failed(&mut stage).0, 408);
    stage.command(unregister());
    assert_eq!(stage.event(), told(RegistrationState::Unregistered), "nothing was bound");
    stage.assert_nothing_left();

    stage.command(Command::Register(Box::new(registration(route("sip:example.com")))));
    let Event::Resolve { .. } = stage.event() else { panic!() };
    stage.pass(Duration::from_secs(5));
    assert_eq!(failed(&mut stage).0, 503);
}

#[test]
fn s8_a_registrar_may_only_send_us_to_its_own() {
    let mut stage = Stage::new();
    let first = register(&mut stage, registration(with_credentials(REGISTRAR)));
    let contacts = "Contact: <sip:203.0.113.66>, <sip:192.0.2.7:5080>;q=0.5\r\n";
    stage.receive(&first.response("302 Moved Temporarily", "reg", contacts));
    let second = stage.one();
    assert!(second.text.starts_with("REGISTER sip:192.0.2.7:5080 SIP/2.0\r\n"));
    assert_eq!((second.to, second.header("CSeq")), (address("192.0.2.7:5080"), "2 REGISTER"));
    stage.receive_from(
        "192.0.2.7:5080",
        &second.response("301 Moved Permanently", "reg", "Contact: <sip:203.0.113.66>\r\n"),
    );
    assert_eq!(stage.sent().len(), 0);
    assert_eq!(failed(&mut stage).0, 301);
}

#[test]
fn what_is_commanded_while_a_request_is_under_way_waits_for_it() {
    let mut stage = Stage::new();
    let first = register(&mut stage, registration(route(REGISTRAR)));
    // RFC 3261 §10.2: no second request before the first has its final response.
    stage.command(unregister());
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    bind(&mut stage, &first, 600);
    assert_eq!(stage.event(), registered(600));
    let gone = stage.one();
    assert_eq!((gone.header("Expires"), gone.header("CSeq")), ("0", "2 REGISTER"));
    // It is wanted again before it has ended.
    stage.command(Command::Register(Box::new(registration(with_credentials(REGISTRAR)))));
    assert_eq!(stage.sent().len(), 0);
    stage.receive(&gone.response("200 OK", "reg", ""));
    let again = stage.one();
    assert_eq!((again.header("Expires"), again.header("CSeq")), ("3600", "3 REGISTER"));
    bind(&mut stage, &again, 600);
    assert_eq!(stage.event(), registered(600));
}

#[test]
fn what_is_not_sent_yet_is_not_waited_for() {
    let mut stage = Stage::new();
    stage.command(Command::Register(Box::new(registration(route("sip:example.com")))));
    let Event::Resolve { query, .. } = stage.event() else { panic!() };
    stage.command(unregister());
    assert_eq!(stage.event(), told(RegistrationState::Unregistered));
    let late = Command::Resolved { query, targets: vec![udp("192.0.2.11:5060")] };
    assert_eq!(stage.endpoint.command(stage.now, late), Err(CommandError::Unknown));
    stage.assert_nothing_left();
}

#[test]
fn another_contact_of_the_same_account_replaces_the_first() {
    let mut stage = Stage::new();
    let first = register(&mut stage, registration(route(REGISTRAR)));
    bind(&mut stage, &first, 600);
    assert_eq!(stage.event(), registered(600));
    let other =
        Registration { aor: "sip:4712@example.com".to_owned(), ..registration(route("sip:192.0.2.8")) };
    stage.command(Command::Register(Box::new(other)));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["REGISTER", "REGISTER"]);
    assert_eq!((sent[0].to, sent[0].header("Expires")), (address("192.0.2.7:5060"), "0"));
    assert_eq!((sent[1].to, sent[1].header("Expires")), (address("192.0.2.8:5060"), "3600"));
    assert_ne!(sent[1].header("Call-ID"), first.header("Call-ID"));
    stage.receive(&sent[0].response("200 OK", "reg", ""));
    assert_eq!(stage.events(), [], "the account goes on");
    bind(&mut stage, &sent[1], 600);
    assert_eq!(stage.event(), registered(600));
    assert_eq!(stage.endpoint.counters().accounts, 1);
}

#[test]
fn accounts_are_checked_and_limited() {
    let mut stage = Stage::new();
    let check = |stage: &mut Stage, wanted: Registration, error: CommandError| {
        let result = stage.endpoint.command(stage.now, Command::Register(Box::new(wanted)));
        assert_eq!(result, Err(error));
        assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    };
    let wanted = || registration(route(REGISTRAR));
    let bad = |text: &str| CommandError::BadUri(text.to_owned());
    check(&mut stage, registration(route("registrar")), bad("registrar"));
    check(&mut stage, Registration { aor: "tel:4711".to_owned(), ..wanted() }, bad("tel:4711"));
    for user in ["a@b", "a b", "a>\r\nX: y", "a?b"] {
        check(&mut stage, Registration { contact_user: user.to_owned(), ..wanted() }, bad(user));
    }
    for number in 0..1000 {
        let account = GatewayName::from(format!("account {number}"));
        stage.command(Command::Register(Box::new(Registration { account, ..wanted() })));
    }
    stage.drain();
    check(&mut stage, wanted(), CommandError::Full);
}
