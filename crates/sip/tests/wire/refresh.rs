//! Session timers (RFC 4028), row S16 of the reliability table, to the millisecond.

use std::time::Duration;

use offhook_sip::event::{Command, EndCause, Event, SessionId};
use offhook_sip::{Config, SessionTimer};

use crate::change::{from_callee, outbound, talking};
use crate::stage::{OURS, OUTBOUND, Sent, Stage, config, invite, kinds, request, sdp, times, with_sdp};

const CALL: SessionId = SessionId::Inbound(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An inbound call is talking whose INVITE had these headers; our 200 is given back.
fn inbound(stage: &mut Stage, headers: &str) -> Sent {
    stage.receive(&with_sdp(&request("1 INVITE", "invite", "", headers), "theirs"));
    stage.events();
    stage.command(Command::Answer { session: CALL, body: sdp("ours") });
    let ok = stage.one();
    stage.receive(&request("1 ACK", "ack", ok.to_tag(), ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    ok
}

fn ended(session: SessionId, cause: EndCause) -> Event {
    Event::Ended { session, cause }
}

#[test]
fn s16_we_refresh_by_update_at_half_the_interval() {
    let mut stage = Stage::new();
    let ok = inbound(&mut stage, "Supported: timer\r\nSession-Expires: 100\r\nAllow: INVITE, UPDATE\r\n");
    assert_eq!((ok.header("Session-Expires"), ok.header("Require")), ("100;refresher=uas", "timer"));
    assert_eq!(ok.header("Supported"), "100rel, norefersub, timer");
    for _ in 0..3 {
        let sent = stage.pass(seconds(50));
        assert_eq!(times(&sent, "UPDATE"), [50_000]);
        let update = &sent[0].1;
        assert_eq!((update.header("Session-Expires"), update.body()), ("100;refresher=uac", ""));
        assert_eq!(update.header("Contact"), "<sip:198.51.100.1:5060>");
        assert!(update.header("Supported").contains("timer"));
        stage.receive(&update.response(
            "200 OK",
            "",
            "Session-Expires: 100;refresher=uac\r\nRequire: timer\r\n",
        ));
        assert_eq!(stage.events(), [], "a refresh touches no media");
    }
}

#[test]
fn s16_we_refresh_by_reinvite_with_the_same_description() {
    let mut stage = Stage::new();
    let ok = inbound(&mut stage, "Session-Expires: 100\r\n");
    // Whoever does not know of timers is told of none by Require, and refreshes nothing.
    assert_eq!((ok.header("Session-Expires"), ok.all("Require").len()), ("100;refresher=uas", 0));
    let sent = stage.pass(seconds(50));
    assert_eq!(times(&sent, "INVITE"), [50_000]);
    let reinvite = &sent[0].1;
    assert_eq!((reinvite.body(), reinvite.header("Session-Expires")), ("ours", "100;refresher=uac"));
    stage.receive(&reinvite.response("100 Trying", "", ""));
    // While ours is on its way the peer's changes wait (S12).
    stage.receive(&with_sdp(&request("2 INVITE", "glare", ok.to_tag(), ""), "x"));
    assert_eq!(stage.one().status(), 491);
    stage.receive(&request("2 ACK", "glare", ok.to_tag(), ""));
    stage.receive(&with_sdp(&request("3 UPDATE", "glare3", ok.to_tag(), ""), "x"));
    assert_eq!(stage.one().status(), 491);
    let accepted = reinvite.response(
        "200 OK",
        "",
        "Contact: <sip:alice@192.0.2.7>\r\nSession-Expires: 100;refresher=uac\r\n",
    );
    let accepted = with_sdp(&accepted, "theirs");
    stage.receive(&accepted);
    let ack = stage.one();
    assert_eq!((ack.kind(), ack.header("CSeq")), ("ACK".to_owned(), "1 ACK"));
    stage.receive(&accepted);
    assert_eq!(stage.one().text, ack.text, "the repeated 2xx gets its ACK again");
    assert_eq!(stage.events(), []);
    // The next one is answered by something else: that is told.
    let sent = stage.pass(seconds(50));
    assert_eq!((times(&sent, "INVITE"), sent[0].1.body()), (vec![50_000], "ours"));
    let moved = sent[0].1.response("200 OK", "", "Session-Expires: 100;refresher=uac\r\n");
    stage.receive(&with_sdp(&moved, "elsewhere"));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    assert_eq!(stage.event(), Event::Updated { session: CALL, body: sdp("elsewhere") });
}

#[test]
fn s16_nobody_refreshes_and_the_call_ends() {
    // RFC 4028 §10: at expiry, less 32 s or a third.
    for (interval, end) in [(90, 60), (93, 62), (96, 64), (300, 268)] {
        let mut stage = Stage::new();
        let expires = format!("Supported: timer\r\nSession-Expires: {interval};refresher=uac\r\n");
        let ok = inbound(&mut stage, &expires);
        assert_eq!(ok.header("Session-Expires"), format!("{interval};refresher=uac"));
        assert_eq!(stage.pass(seconds(end) - Duration::from_millis(1)).len(), 0);
        assert_eq!(stage.events(), []);
        let sent = stage.pass(Duration::from_millis(1));
        assert_eq!(times(&sent, "BYE"), [1], "{interval}");
        assert_eq!(stage.event(), ended(CALL, EndCause::Expired));
        stage.pass(seconds(32));
        stage.assert_nothing_left();
    }
}

#[test]
fn s16_the_peers_refresh_is_answered_here() {
    let mut stage = Stage::new();
    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let tag = inbound(&mut stage, timer).to_tag().to_owned();
    for number in 2..8 {
        assert_eq!(stage.pass(seconds(45)).len(), 0);
        let (method, body) = if number % 2 == 0 { ("INVITE", "theirs") } else { ("UPDATE", "") };
        let refresh = request(&format!("{number} {method}"), &number.to_string(), &tag, timer);
        stage.receive(&if body.is_empty() { refresh } else { with_sdp(&refresh, body) });
        let ok = stage.one();
        assert_eq!((ok.status(), ok.header("Session-Expires")), (200, "90;refresher=uac"));
        assert_eq!(ok.body(), if body.is_empty() { "" } else { "ours" });
        stage.receive(&request(&format!("{number} ACK"), &format!("ack{number}"), &tag, ""));
        assert_eq!(stage.events(), [], "it is nobody's business");
    }
    let sent = stage.pass(seconds(60));
    assert_eq!(times(&sent, "BYE"), [60_000], "counted from the last refresh");
    assert_eq!(stage.event(), ended(CALL, EndCause::Expired));
}

#[test]
fn s16_a_refresh_that_nobody_answers_ends_the_call() {
    for status in ["", "481 Gone", "408 Timeout"] {
        let mut stage = Stage::new();
        inbound(&mut stage, "Supported: timer\r\nSession-Expires: 300\r\nAllow: UPDATE\r\n");
        let sent = stage.pass(seconds(150));
        if !status.is_empty() {
            stage.receive(&sent[0].1.response(status, "", ""));
            assert_eq!(kinds(&stage.sent()), ["BYE"], "{status}");
        } else {
            assert_eq!(times(&stage.pass(seconds(32)), "BYE"), [32_000]);
        }
        assert_eq!(stage.event(), ended(CALL, EndCause::Lost));
    }
}

#[test]
fn s16_min_se_games() {
    let timer = SessionTimer { min: seconds(120), ..SessionTimer::default() };
    let mut stage = Stage::with(Config { session_timer: timer, ..config(OURS) });
    for (expires, supported) in [("1", ""), ("89", "Supported: timer\r\n"), ("119", "")] {
        let short = format!("{supported}Session-Expires: {expires}\r\n");
        stage.receive(&request("1 INVITE", &format!("b{expires}"), "", &short));
        let refused = stage.one();
        assert_eq!((refused.status(), refused.header("Min-SE")), (422, "120"));
        stage.receive(&request("1 ACK", &format!("b{expires}"), refused.to_tag(), ""));
    }
    assert_eq!(stage.events(), []);
    let tag = talking(&mut stage);
    stage.receive(&request("2 UPDATE", "up", &tag, "Session-Expires: 100\r\n"));
    assert_eq!(stage.one().status(), 422);
    // No refresh every second, whatever a 2xx says.
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let sent = stage.one();
    stage.receive(&sent.response("200 OK", "bob", "Session-Expires: 1;refresher=uac\r\n"));
    stage.sent();
    assert_eq!(times(&stage.pass(seconds(45)), "INVITE"), [45_000]);
}

#[test]
fn s16_we_ask_and_obey_a_422() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    stage.events();
    let first = stage.one();
    assert_eq!((first.header("Session-Expires"), first.header("Min-SE")), ("1800", "90"));
    assert_eq!(first.header("Supported"), "100rel, norefersub, timer");
    stage.receive(&first.response("422 Too Small", "x", "Min-SE: 3600\r\n"));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    let second = &sent[1];
    assert_eq!((second.header("Session-Expires"), second.header("Min-SE")), ("3600", "3600"));
    assert_eq!((second.header("CSeq"), second.header("Call-ID")), ("2 INVITE", first.header("Call-ID")));
    let ok = "Contact: <sip:100@192.0.2.7>\r\nAllow: UPDATE\r\nSession-Expires: 3600;refresher=uac\r\n";
    stage.receive(&second.response("200 OK", "bob", ok));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    let sent = stage.pass(seconds(1800));
    assert_eq!(times(&sent, "UPDATE"), [1_800_000]);
    // A proxy on the way has become stricter: the refresh too is sent again at once.
    stage.receive(&sent[0].1.response("422 Too Small", "", "Min-SE: 4000\r\n"));
    let again = stage.one();
    assert_eq!((again.header("Session-Expires"), again.header("Min-SE")), ("4000;refresher=uac", "4000"));
    // A 422 that asks for what it was given is obeyed no more.
    stage.receive(&again.response("422 Too Small", "", "Min-SE: 4000\r\n"));
    assert_eq!(stage.sent().len(), 0);
}

#[test]
fn s16_a_2xx_without_session_expires_ends_the_timer() {
    let mut stage = Stage::new();
    outbound(&mut stage);
    assert_eq!(stage.pass(seconds(10_000)).len(), 0);
    // We do not ask, and the peer does not: none.
    let timer = SessionTimer { request: false, ..SessionTimer::default() };
    let mut stage = Stage::with(Config { session_timer: timer, ..config(OURS) });
    let ok = inbound(&mut stage, "Supported: timer\r\n");
    assert_eq!(ok.all("Session-Expires").len(), 0);
    assert_eq!(stage.pass(seconds(10_000)).len(), 0);
    stage.command(Command::Bye { session: CALL, reason: None });
    stage.pass(seconds(32));
    stage.events();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    assert_eq!(stage.one().all("Session-Expires").len(), 0);
}

#[test]
fn s16_a_peer_that_does_not_know_update_after_all() {
    let mut stage = Stage::new();
    inbound(&mut stage, "Supported: timer\r\nSession-Expires: 100\r\nAllow: UPDATE\r\n");
    let sent = stage.pass(seconds(50));
    stage.receive(&sent[0].1.response("405 Method Not Allowed", "", ""));
    let reinvite = stage.one();
    assert_eq!((reinvite.kind(), reinvite.body()), ("INVITE".to_owned(), "ours"));
    // Refused for any other cause it is tried again in half of the time that is left, and the session stays.
    stage.receive(&reinvite.response("500 Busy", "", ""));
    assert_eq!(kinds(&stage.sent()), ["ACK"]);
    let sent = stage.pass(seconds(9));
    assert_eq!(times(&sent, "INVITE").len(), 1);
    let at = sent[0].0;
    // The end is at 100 s less 32 s: half of the 18 s that are left.
    assert_eq!(at, 9_000);
    assert_eq!(stage.events(), []);
}

#[test]
fn s12_the_back_off_of_a_refresh_after_glare() {
    let owner = |stage: &mut Stage| {
        stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
        let sent = stage.one();
        let ok = "Contact: <sip:100@192.0.2.7>\r\nSession-Expires: 1000;refresher=uac\r\n";
        stage.receive(&with_sdp(&sent.response("200 OK", "bob", ok), "theirs"));
        stage.sent();
        stage.events();
    };
    let other = |stage: &mut Stage| drop(inbound(stage, "Supported: timer\r\nSession-Expires: 1000\r\n"));
    // RFC 3261 §14.1: 2.1 to 4 s for whoever owns the Call-ID, 0 to 2 s for the other, in units of 10 ms.
    for (is_owner, low, high) in [(true, 2_100, 4_000), (false, 0, 2_000)] {
        let mut stage = Stage::new();
        if is_owner {
            owner(&mut stage)
        } else {
            other(&mut stage)
        }
        let mut reinvite = stage.pass(seconds(500)).remove(0).1;
        for _ in 0..20 {
            stage.receive(&reinvite.response("491 Request Pending", "", ""));
            assert_eq!(kinds(&stage.sent()), ["ACK"]);
            let sent = stage.pass(Duration::from_millis(high));
            let at = times(&sent, "INVITE")[0];
            assert!(at >= low && at.is_multiple_of(10), "{at}");
            reinvite = sent.into_iter().find(|(_, sent)| sent.kind() == "INVITE").unwrap().1;
        }
        assert_eq!(stage.events(), [], "the session stays as it is");
    }
}

#[test]
fn s12_a_refresh_waits_for_the_peers_change() {
    let mut stage = Stage::new();
    let tag = inbound(&mut stage, "Supported: timer\r\nSession-Expires: 100\r\n").to_tag().to_owned();
    stage.pass(Duration::from_millis(49_900));
    stage.receive(&with_sdp(&request("2 INVITE", "re", &tag, ""), "hold"));
    stage.events();
    let sent = stage.pass(seconds(3));
    assert_eq!(times(&sent, "INVITE").len(), 0, "RFC 3261 §14.1: not while theirs is in progress");
    stage.command(Command::Accept { session: CALL, body: sdp("held") });
    stage.receive(&request("2 ACK", "ack2", &tag, ""));
    stage.sent();
    // The change counts as a refresh: a new interval of 1800 s, since this INVITE asked for none.
    let sent = stage.pass(seconds(900));
    assert_eq!((times(&sent, "INVITE"), sent[0].1.body()), (vec![900_000], "held"));
}

#[test]
fn s16_hanging_up_ends_a_refresh_on_its_way() {
    let mut stage = Stage::new();
    inbound(&mut stage, "Supported: timer\r\nSession-Expires: 100\r\n");
    let reinvite = stage.pass(seconds(50)).remove(0).1;
    stage.receive(&reinvite.response("100 Trying", "", ""));
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    stage.assert_nothing_left();
    // The same where the peer hangs up.
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let sent = stage.one();
    stage.receive(&sent.response("200 OK", "bob", "Session-Expires: 100;refresher=uac\r\n"));
    stage.sent();
    let reinvite = stage.pass(seconds(50)).remove(0).1;
    stage.receive(&reinvite.response("100 Trying", "", ""));
    stage.events();
    stage.receive(&from_callee(&sent, "1 BYE", "bye", ""));
    assert_eq!(kinds(&stage.sent()), ["200"]);
    assert_eq!(stage.event(), ended(OUTBOUND, EndCause::Bye { reason: None }));
    stage.assert_nothing_left();
}
