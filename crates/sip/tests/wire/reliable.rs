//! Reliable provisional responses (RFC 3262), as the one who rings and as the one who listens.

use std::time::Duration;

use offhook_sip::Config;
use offhook_sip::event::{Command, CommandError, Credentials, EndCause, Event, Invite, Route, SessionId};

use crate::change::from_callee;
use crate::stage::{
    OURS, OUTBOUND, Sent, Stage, config, invite, kinds, request, route, sdp, times, with_sdp,
};

const CALL: SessionId = SessionId::Inbound(1);
const TO: &str = "sip:100@192.0.2.7";

/// An INVITE with an offer has come in.
fn called(stage: &mut Stage, headers: &str) {
    stage.receive(&with_sdp(&request("1 INVITE", "invite", "", headers), "theirs"));
    stage.events();
}

fn progress(status: u16, body: Option<&str>) -> Command {
    Command::Progress { session: CALL, status, body: body.map(sdp) }
}

fn answer(body: &str) -> Command {
    Command::Answer { session: CALL, body: sdp(body) }
}

fn prack(cseq: u32, response: &Sent) -> String {
    let rack = format!("RAck: {} 1 INVITE\r\n", response.header("RSeq"));
    request(&format!("{cseq} PRACK"), &format!("prack{cseq}"), response.to_tag(), &rack)
}

#[test]
fn a_response_is_repeated_until_its_prack() {
    for header in ["Require: 100rel\r\n", "Supported: timer, 100rel\r\n"] {
        let mut stage = Stage::new();
        called(&mut stage, header);
        stage.command(progress(183, Some("early")));
        let first = stage.one();
        assert_eq!((first.status(), first.header("Require"), first.body()), (183, "100rel", "early"));
        let rseq: u32 = first.header("RSeq").parse().unwrap();
        assert!((1..=1 << 31).contains(&rseq));
        let sent = stage.pass(Duration::from_millis(3_500));
        assert_eq!(times(&sent, "183"), [500, 1500, 3500]);
        assert!(sent.iter().all(|(_, message)| message.text == first.text));
        let wrong = prack(2, &first).replace(&rseq.to_string(), &(rseq + 1).to_string());
        stage.receive(&wrong);
        assert_eq!(stage.one().status(), 481);
        stage.receive(&prack(3, &first));
        let ok = stage.one();
        assert_eq!((ok.status(), ok.header("CSeq")), (200, "3 PRACK"));
        stage.receive(&prack(4, &first));
        assert_eq!(stage.one().status(), 481, "it is acknowledged");
        assert_eq!(stage.pass(Duration::from_secs(56)).len(), 0);
        assert_eq!(stage.events(), []);
        // Every minute a new one says that it still rings.
        let sent = stage.pass(Duration::from_millis(500));
        assert_eq!(sent[0].0, 500);
        assert_eq!(sent[0].1.header("RSeq"), (rseq + 1).to_string());
    }
}

#[test]
fn a_response_that_nobody_acknowledges_refuses_the_call() {
    let mut stage = Stage::new();
    called(&mut stage, "Require: 100rel\r\n");
    stage.command(progress(180, None));
    stage.one();
    let sent = stage.pass(Duration::from_millis(31_999));
    assert_eq!(times(&sent, "180"), [500, 1500, 3500, 7500, 15500, 31500], "without the cap of T2");
    let sent = stage.pass(Duration::from_millis(1));
    assert_eq!(times(&sent, "504"), [1]);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::NoPrack });
    stage.receive(&request("1 ACK", "invite", sent[0].1.to_tag(), ""));
    stage.assert_nothing_left();
}

#[test]
fn one_after_the_other_and_the_answer_last() {
    let mut stage = Stage::new();
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(183, Some("early")));
    let first = stage.one();
    stage.command(progress(180, None));
    stage.command(answer("early"));
    assert_eq!(stage.sent().len(), 0, "RFC 3262 §3: neither before the PRACK");
    assert_eq!(stage.endpoint.command(stage.now, answer("early")), Err(CommandError::WrongState));
    assert_eq!(stage.endpoint.command(stage.now, progress(180, None)), Err(CommandError::WrongState));
    stage.receive(&prack(2, &first));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["200", "200"]);
    assert_eq!((sent[0].header("CSeq"), sent[1].header("CSeq")), ("2 PRACK", "1 INVITE"));
    assert_eq!(sent[1].body(), "", "the answer has been given");
    stage.receive(&request("1 ACK", "ack", first.to_tag(), ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    // Our early answer is what a refresh repeats.
    stage.receive(&with_sdp(&request("3 UPDATE", "up", first.to_tag(), ""), "theirs"));
    assert_eq!(stage.one().body(), "early");
}

/// RFC 3264 §4: there is one answer to an offer. A second one would be none, and nobody could refuse it.
#[test]
fn the_answer_is_given_once() {
    let mut stage = Stage::new();
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(180, None));
    let ringing = stage.one();
    stage.command(progress(183, Some("early")));
    stage.command(progress(183, Some("early")));
    let mut last = ringing;
    for (cseq, body) in [(2, "early"), (3, ""), (4, "")] {
        stage.receive(&prack(cseq, &last));
        if cseq == 4 {
            stage.command(progress(183, Some("early")));
        }
        last = stage.sent().pop().expect("a 183");
        assert_eq!((last.status(), last.body()), (183, body));
    }
}

#[test]
fn a_response_without_a_description_holds_nothing_up() {
    let mut stage = Stage::new();
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(180, None));
    let first = stage.one();
    stage.command(progress(182, None));
    stage.command(answer("ours"));
    let ok = stage.one();
    assert_eq!((ok.status(), ok.body()), (200, "ours"));
    stage.receive(&request("1 ACK", "ack", first.to_tag(), ""));
    stage.events();
    assert_eq!(stage.pass(Duration::from_secs(40)).len(), 0, "nothing is repeated after the final response");
    stage.receive(&prack(2, &first));
    assert_eq!(stage.one().status(), 200, "a PRACK on its way is welcome");
}

/// The statuses and bodies that come out, one for each PRACK.
fn acknowledged(stage: &mut Stage, first: Sent) -> Vec<(u16, String)> {
    let (mut found, mut last) = (Vec::new(), first);
    for cseq in 2..20 {
        stage.receive(&prack(cseq, &last));
        let mut sent = stage.sent();
        assert_eq!(sent.remove(0).status(), 200, "the PRACK's own");
        match sent.pop() {
            Some(next) => last = next,
            None => break,
        }
        found.push((last.status(), last.body().to_owned()));
    }
    found
}

/// However often an application changes its mind while a PRACK is awaited: nothing is refused, and nothing is sent that
/// does not hold any more.
#[test]
fn a_peer_that_has_fallen_behind_hears_how_things_are() {
    let (ringing, early) = ((180, None), (183, Some("early")));
    for (newest, expected) in
        [(ringing, &[(183, "early"), (180, "")][..]), (early, &[(183, "early"), (183, "")])]
    {
        let mut stage = Stage::new();
        called(&mut stage, "Supported: 100rel\r\n");
        stage.command(progress(180, None));
        let first = stage.one();
        for (status, body) in [early, ringing].into_iter().cycle().take(12).chain([newest]) {
            stage.command(progress(status, body));
        }
        assert_eq!(stage.sent().len(), 0, "RFC 3262 §3: one after the other");
        let found = acknowledged(&mut stage, first);
        let found: Vec<_> = found.iter().map(|(status, body)| (*status, &**body)).collect();
        assert_eq!(found, expected);
    }
    // What was said before the description is over with it; and what was said before the last word without one.
    let mut stage = Stage::new();
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(180, None));
    let first = stage.one();
    for (status, body) in [(182, None), (181, None), early] {
        stage.command(progress(status, body));
    }
    assert_eq!(acknowledged(&mut stage, first), [(183, "early".to_owned())]);
}

#[test]
fn a_call_that_ends_while_its_answer_waits() {
    let waiting = || {
        let mut stage = Stage::new();
        called(&mut stage, "Supported: 100rel\r\n");
        stage.command(progress(183, Some("early")));
        stage.one();
        stage.command(answer("early"));
        stage
    };
    let mut stage = waiting();
    stage.command(Command::Bye { session: CALL, reason: None });
    assert_eq!(stage.one().status(), 480, "nobody has heard of the answer");
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Local });
    let mut stage = waiting();
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"]);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Cancelled { reason: None } });
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn an_offer_in_a_prack() {
    let mut stage = Stage::new();
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(183, Some("early")));
    let first = stage.one();
    stage.receive(&with_sdp(&prack(2, &first), "other codecs"));
    assert_eq!(stage.event(), Event::Offer { session: CALL, body: Some(sdp("other codecs")) });
    stage.command(Command::Accept { session: CALL, body: sdp("agreed") });
    let ok = stage.one();
    assert_eq!((ok.status(), ok.header("CSeq"), ok.body()), (200, "2 PRACK", "agreed"));
    // And one by UPDATE, as the first is answered (RFC 3311 §5.2).
    stage.receive(&with_sdp(&request("3 UPDATE", "up", first.to_tag(), ""), "hold"));
    assert_eq!(stage.event(), Event::Offer { session: CALL, body: Some(sdp("hold")) });
    // The call is given up meanwhile: nothing waits for ever.
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487", "487"]);
    stage.events();
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn an_invite_without_an_offer_gets_no_reliable_response() {
    // RFC 3262 §5: it would have to carry our offer.
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", "Require: 100rel\r\n"));
    stage.events();
    stage.command(progress(180, None));
    let sent = stage.pass(Duration::from_secs(1));
    assert_eq!(kinds(&sent.into_iter().map(|(_, sent)| sent).collect::<Vec<_>>()), ["100"]);
    stage.command(answer("our offer"));
    assert_eq!(stage.one().body(), "our offer");
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", "Supported: 100rel\r\n"));
    stage.command(progress(180, None));
    assert_eq!(stage.one().all("RSeq").len(), 0);
}

#[test]
fn it_can_be_switched_off() {
    let mut stage = Stage::with(Config { reliable_provisionals: false, ..config(OURS) });
    stage.receive(&request("1 INVITE", "b", "", "Require: 100rel\r\n"));
    let refused = stage.one();
    assert_eq!((refused.status(), refused.header("Unsupported")), (420, "100rel"));
    stage.receive(&request("1 ACK", "b", refused.to_tag(), ""));
    called(&mut stage, "Supported: 100rel\r\n");
    stage.command(progress(180, None));
    assert_eq!(stage.one().all("RSeq").len(), 0);
    stage.command(Command::Invite(Box::new(invite(TO))));
    assert_eq!(stage.one().header("Supported"), "norefersub, timer");
}

fn placed(stage: &mut Stage) -> Sent {
    stage.command(Command::Invite(Box::new(invite(TO))));
    stage.events();
    stage.one()
}

fn reliable(invite: &Sent, status: &str, tag: &str, rseq: u32) -> String {
    let host = if tag == "bob" { "192.0.2.31" } else { "192.0.2.32" };
    let headers = format!("Contact: <sip:{tag}@{host}>\r\nRequire: 100rel\r\nRSeq: {rseq}\r\n");
    invite.response(status, tag, &headers)
}

fn provisional(status: u16) -> Event {
    Event::Provisional { session: OUTBOUND, status, body: None }
}

#[test]
fn s13_a_prack_for_each_response_of_each_early_dialog() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    assert!(invite.header("Supported").contains("100rel"));
    stage.receive(&reliable(&invite, "183 Progress", "bob", 7));
    let bobs = stage.one();
    assert_eq!(
        (bobs.kind(), bobs.header("RAck"), bobs.header("CSeq")),
        ("PRACK".to_owned(), "7 1 INVITE", "2 PRACK")
    );
    assert!(bobs.text.starts_with("PRACK sip:bob@192.0.2.31 SIP/2.0\r\n"));
    assert_eq!((bobs.to.to_string(), bobs.to_tag()), ("192.0.2.31:5060".to_owned(), "bob"));
    assert_eq!(stage.event(), provisional(183));
    // Another phone, with numbers of its own.
    stage.receive(&reliable(&invite, "180 Ringing", "carol", 7));
    let carols = stage.one();
    assert_eq!(
        (carols.header("RAck"), carols.header("CSeq"), carols.to_tag()),
        ("7 1 INVITE", "2 PRACK", "carol")
    );
    assert_eq!(stage.event(), provisional(180));
    stage.receive(&carols.response("200 OK", "", ""));
    // Repeated: absorbed. One is missing: dropped, until it comes.
    stage.receive(&reliable(&invite, "183 Progress", "bob", 7));
    stage.receive(&reliable(&invite, "180 Ringing", "bob", 9));
    assert_eq!((stage.sent().len(), stage.events()), (0, vec![]));
    stage.receive(&bobs.response("200 OK", "", ""));
    stage.receive(&reliable(&invite, "182 Queued", "bob", 8));
    let next = stage.one();
    assert_eq!((next.header("RAck"), next.header("CSeq")), ("8 1 INVITE", "3 PRACK"));
    assert_eq!(stage.event(), provisional(182));
    // Bob picks up: his numbers go on, the ACK has that of the INVITE.
    stage.receive(&invite.response("200 OK", "bob", "Contact: <sip:bob@192.0.2.31>\r\n"));
    let ack = stage.one();
    assert_eq!((ack.kind(), ack.header("CSeq")), ("ACK".to_owned(), "1 ACK"));
    stage.receive(&next.response("200 OK", "", ""));
    stage.events();
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    assert_eq!(stage.one().header("CSeq"), "4 BYE");
    // So does Carol, too late, and is hung up with her next number.
    stage.receive(&invite.response("200 OK", "carol", "Contact: <sip:carol@192.0.2.32>\r\n"));
    let sent = stage.sent();
    assert_eq!((kinds(&sent), sent[1].header("CSeq")), (vec!["ACK".to_owned(), "BYE".to_owned()], "3 BYE"));
}

#[test]
fn s13_the_tag_of_the_2xx_may_be_a_new_one() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&reliable(&invite, "183 Progress", "bob", 1));
    let prack = stage.one();
    stage.receive(&prack.response("200 OK", "", ""));
    stage.receive(&invite.response("200 OK", "voicemail", "Contact: <sip:vm@192.0.2.33>\r\n"));
    let ack = stage.one();
    assert_eq!((ack.to_tag(), ack.to.to_string()), ("voicemail", "192.0.2.33:5060".to_owned()));
    stage.events();
    // Bob's early dialog is no way to talk to this call.
    stage.receive(&with_sdp(&from_callee(&invite, "1 UPDATE", "up", ""), "x"));
    assert_eq!(stage.one().status(), 481);
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    assert_eq!((bye.to_tag(), bye.header("CSeq")), ("voicemail", "2 BYE"));
    stage.receive(&bye.response("200 OK", "", ""));
    stage.events();
    stage.assert_nothing_left();
}

#[test]
fn an_answer_in_a_reliable_response_opens_the_early_dialog() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&with_sdp(&reliable(&invite, "183 Progress", "bob", 1), "early"));
    stage.sent();
    assert_eq!(
        stage.event(),
        Event::Provisional { session: OUTBOUND, status: 183, body: Some(sdp("early")) }
    );
    stage.receive(&with_sdp(&from_callee(&invite, "1 UPDATE", "up", ""), "music"));
    assert_eq!(stage.event(), Event::Offer { session: OUTBOUND, body: Some(sdp("music")) });
    stage.command(Command::Accept { session: OUTBOUND, body: sdp("heard") });
    let ok = stage.one();
    assert_eq!((ok.status(), ok.body(), ok.all("Session-Expires").len()), (200, "heard", 0));
}

#[test]
fn a_prack_that_nobody_answers_leaves_the_call() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&reliable(&invite, "180 Ringing", "bob", 1));
    stage.events();
    stage.one();
    let sent = stage.pass(Duration::from_secs(33));
    assert_eq!(times(&sent, "PRACK").len(), 10);
    assert_eq!(stage.events(), [], "whoever rings will refuse it, or be cancelled");
    stage.receive(&invite.response("486 Busy", "bob", ""));
    assert!(matches!(stage.event(), Event::Ended { .. }));
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn a_prack_is_authenticated() {
    let mut stage = Stage::new();
    let credentials = Some(Credentials { username: "u".to_owned(), password: "p".to_owned() });
    let call = Invite { routes: vec![Route { credentials, ..route(TO) }], ..invite(TO) };
    stage.command(Command::Invite(Box::new(call)));
    let invite = stage.one();
    let ringing = "Contact: <sip:bob@192.0.2.7>\r\nRequire: 100rel\r\nRSeq: 5\r\n";
    stage.receive(&invite.response("180 Ringing", "bob", ringing));
    let prack = stage.one();
    let challenge = "Proxy-Authenticate: Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"\r\n";
    stage.receive(&prack.response("407 Who", "", challenge));
    let again = stage.one();
    assert_eq!((again.header("RAck"), again.header("CSeq")), ("5 1 INVITE", "3 PRACK"));
    assert_eq!(again.all("Proxy-Authorization").len(), 1);
}
