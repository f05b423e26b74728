//! The messages of RFC 4475, given to a live endpoint: what each of them gets, and that the next call works.
//!
//! Where the RFC leaves a choice, or we differ from it, the line says so.

use offhook_sip::event::Event;

use crate::stage::{Stage, request};

/// What an endpoint does with a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A call: the application hears of it, and a 100 is sent in 200 ms.
    Call,
    /// This response, and nothing else.
    Status(u16),
    /// No answer.
    Dropped,
}

use Outcome::{Call, Dropped, Status};

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../fixtures/sip/rfc4475/", $name, ".sip")).as_slice())
    };
}

/// Name and bytes of a message, and what it gets.
type Case = ((&'static str, &'static [u8]), Outcome);

/// The messages of RFC 4475, section by section.
pub(crate) const CASES: [Case; 48] = [
    // §3.1.1, valid. `wsinv` has a To tag of a dialog that we do not know.
    (fixture!("wsinv"), Status(481)),
    (fixture!("intmeth"), Status(501)),
    (fixture!("esc01"), Call),
    (fixture!("escnull"), Status(405)),
    (fixture!("esc02"), Status(501)),
    (fixture!("lwsdisp"), Status(200)),
    (fixture!("longreq"), Call),
    // Only the first of the two, a REGISTER, is a message.
    (fixture!("dblreq"), Status(405)),
    (fixture!("semiuri"), Status(200)),
    (fixture!("transports"), Status(200)),
    (fixture!("unreason"), Dropped),
    (fixture!("noreason"), Dropped),
    // §3.1.2, invalid. Without one good Via there is nowhere to send a 400.
    (fixture!("badinv01"), Dropped),
    (fixture!("clerr"), Status(400)),
    (fixture!("ncl"), Status(400)),
    (fixture!("scalar02"), Status(400)),
    (fixture!("scalarlg"), Dropped),
    (fixture!("quotbal"), Status(400)),
    (fixture!("ltgtruri"), Status(400)),
    (fixture!("lwsruri"), Status(400)),
    (fixture!("lwsstart"), Status(400)),
    (fixture!("trws"), Status(400)),
    // Headers in a Request-URI are ignored: nothing of the URI is put into a request.
    (fixture!("escruri"), Call),
    // The Date is not looked at.
    (fixture!("baddate"), Call),
    (fixture!("regbadct"), Status(405)),
    (fixture!("badaspec"), Status(400)),
    // What the display name was meant to be is plain: the RFC allows to infer the quotes.
    (fixture!("baddn"), Status(200)),
    (fixture!("badvers"), Status(505)),
    (fixture!("mismatch01"), Status(400)),
    (fixture!("mismatch02"), Status(400)),
    (fixture!("bigcode"), Dropped),
    // §3.2, transaction layer.
    (fixture!("badbranch"), Status(200)),
    // §3.3, application layer.
    (fixture!("insuf"), Status(400)),
    (fixture!("unkscm"), Status(416)),
    (fixture!("novelsc"), Status(416)),
    (fixture!("unksm2"), Status(405)),
    (fixture!("bext01"), Status(420)),
    (fixture!("invut"), Status(415)),
    (fixture!("regaut01"), Status(405)),
    (fixture!("multi01"), Status(400)),
    (fixture!("mcl01"), Status(400)),
    (fixture!("bcast"), Dropped),
    (fixture!("zeromf"), Status(200)),
    (fixture!("cparam01"), Status(405)),
    (fixture!("cparam02"), Status(405)),
    (fixture!("regescrt"), Status(405)),
    // Whether our SDP is acceptable is for the call layer.
    (fixture!("sdp01"), Call),
    // §3.4, RFC 2543: no branch, no tag, no Contact.
    (fixture!("inv2543"), Call),
];

/// What a fresh endpoint does with a message.
fn outcome(stage: &mut Stage, bytes: &[u8]) -> Outcome {
    stage.receive_bytes(bytes);
    let statuses = stage.sent_statuses();
    let calls = stage.events().iter().filter(|event| matches!(event, Event::Incoming(_))).count();
    match (&*statuses, calls) {
        ([], 1) => Call,
        ([status], 0) => Status(*status),
        ([], 0) => Dropped,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_each_message_gets() {
    let mut wrong = Vec::new();
    for ((name, bytes), expected) in &CASES {
        let mut stage = Stage::new();
        let outcome = outcome(&mut stage, bytes);
        if outcome != *expected {
            wrong.push((name, outcome, expected));
        }
        stage.receive(&request("1 OPTIONS", "alive", "", ""));
        assert_eq!(stage.one().status(), 200, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_retransmission_is_no_second_call() {
    for ((name, bytes), expected) in &CASES {
        let mut stage = Stage::new();
        outcome(&mut stage, bytes);
        stage.now += std::time::Duration::from_millis(200);
        stage.endpoint.handle_timeout(stage.now);
        let trying = stage.sent_statuses();
        assert_eq!(trying, if *expected == Call { vec![100] } else { vec![] }, "{name}");
        stage.receive_bytes(bytes);
        let statuses = stage.sent_statuses();
        assert_eq!(stage.events(), [], "{name}");
        match expected {
            Call => assert_eq!(statuses, [100], "{name}"),
            Status(status) => assert_eq!(statuses, [*status], "{name}"),
            Dropped => assert_eq!(statuses, [], "{name}"),
        }
    }
}

#[test]
fn a_call_of_rfc_2543_from_ringing_to_its_end() {
    use offhook_sip::event::{Command, EndCause, SessionId};
    let mut stage = Stage::new();
    let (_, bytes) = fixture!("inv2543");
    assert_eq!(outcome(&mut stage, bytes), Call);
    let session = SessionId::Inbound(1);
    stage.command(Command::Reject { session, status: 486, headers: Vec::new() });
    let refused = stage.endpoint.poll_transmit().unwrap();
    let refused = String::from_utf8(refused.bytes).unwrap();
    let tag = refused.lines().find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1)).unwrap();
    // The ACK of RFC 2543: the Request-URI, Call-ID, CSeq number, Via and From of the INVITE, the To of the response.
    let invite = std::str::from_utf8(bytes).unwrap();
    let (head, _) = invite.split_once("\r\n\r\n").unwrap();
    let ack = head
        .replace("INVITE", "ACK")
        .replace("ss1.example.net;user=phone\r\n", &format!("ss1.example.net;user=phone;tag={tag}\r\n"))
        + "\r\n\r\n";
    stage.receive(&ack);
    assert_eq!(stage.event(), Event::Ended { session, cause: EndCause::Local });
    assert_eq!(stage.endpoint.counters().stray_acks, 0);
    assert_eq!(stage.pass(std::time::Duration::from_secs(4)).len(), 0, "nothing is repeated");
}
