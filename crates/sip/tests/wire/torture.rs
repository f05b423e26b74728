//! The messages of RFC 4475 and RFC 5118, given to a live endpoint: that each gets what `TORTURE.md` says, and that the
//! next request works. The table is read, so that what it says and what happens cannot part.

use std::fs;
use std::path::{Path, PathBuf};

use offhook_sip::event::Event;

use crate::stage::{Stage, request};

/// What an endpoint does with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The application hears of a call.
    Call,
    /// The application hears of a MESSAGE, which is answered 200.
    Message,
    /// This response, and nothing else.
    Status(u16),
    /// A response that is understood and belongs to no request.
    Stray,
    /// Unreadable.
    Malformed,
}

use Outcome::{Call, Malformed, Status, Stray};

impl Outcome {
    fn of(text: &str) -> Self {
        match text {
            "call" => Call,
            "message" => Self::Message,
            "stray" => Stray,
            "malformed" => Malformed,
            status => Status(status.parse().unwrap()),
        }
    }
}

/// A line of the table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    rfc: String,
    valid: bool,
    so: String,
    outcome: Outcome,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sip")
}

/// One message of the fixtures, as `rfc4475/wsinv`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(format!("{name}.sip"))).unwrap()
}

/// The table, line by line.
pub(crate) fn cases() -> Vec<Case> {
    let mut rfc = String::new();
    let mut cases = Vec::new();
    for line in include_str!("../../TORTURE.md").lines() {
        if let Some(title) = line.strip_prefix("## RFC ") {
            rfc = format!("rfc{title}");
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, valid @ ("yes" | "no"), _, outcome, so, _, _] = cells[..] else { continue };
        cases.push(Case {
            name: name.to_owned(),
            bytes: fixture(&format!("{rfc}/{name}")),
            rfc: rfc.clone(),
            valid: valid == "yes",
            so: so.to_owned(),
            outcome: Outcome::of(outcome),
        });
    }
    cases
}

/// What a fresh endpoint does with a message.
fn outcome(stage: &mut Stage, bytes: &[u8]) -> Outcome {
    stage.receive_bytes(bytes);
    let statuses = stage.sent_statuses();
    let counters = stage.endpoint.counters();
    match (&*statuses, &*stage.events()) {
        ([], [Event::Incoming(_)]) => Call,
        ([200], [Event::Message(_)]) => Outcome::Message,
        ([status], []) => Status(*status),
        ([], []) if counters.stray_responses == 1 => Stray,
        ([], []) if counters.malformed == 1 => Malformed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_each_message_gets() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut stage = Stage::new();
        let outcome = outcome(&mut stage, &case.bytes);
        if outcome != case.outcome {
            wrong.push((case.name.clone(), outcome, case.outcome));
        }
        stage.receive(&request("1 OPTIONS", "alive", "", ""));
        assert_eq!(stage.one().status(), 200, "{}", case.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_is_complete_and_means_something() {
    let cases = cases();
    let of = |rfc: &str| cases.iter().filter(|case| case.rfc == rfc).count();
    let files = |rfc: &str| fs::read_dir(fixtures().join(rfc)).unwrap().count();
    assert_eq!((of("rfc4475"), of("rfc5118")), (49, 12));
    assert_eq!((files("rfc4475"), files("rfc5118")), (49, 12));
    for case in &cases {
        let refused = matches!(case.outcome, Malformed | Status(400));
        assert!(!(case.valid && refused), "{} is valid", case.name);
        assert!(["asked", "allowed", "role"].contains(&&*case.so), "{}: {}", case.name, case.so);
        assert!(case.so != "role" || case.outcome == Status(405), "{}", case.name);
    }
    let so = |so: &str| cases.iter().filter(|case| case.so == so).count();
    println!(
        "RFC 4475: {} of 49, RFC 5118: {} of 12; as asked {}, as allowed {}, by role {}",
        of("rfc4475"),
        of("rfc5118"),
        so("asked"),
        so("allowed"),
        so("role"),
    );
}

#[test]
fn a_retransmission_is_no_second_call() {
    for Case { name, bytes, outcome: expected, .. } in cases() {
        let mut stage = Stage::new();
        outcome(&mut stage, &bytes);
        stage.now += std::time::Duration::from_millis(200);
        stage.endpoint.handle_timeout(stage.now);
        let trying = stage.sent_statuses();
        assert_eq!(trying, if expected == Call { vec![100] } else { vec![] }, "{name}");
        stage.receive_bytes(&bytes);
        let statuses = stage.sent_statuses();
        assert_eq!(stage.events(), [], "{name}");
        match expected {
            Call => assert_eq!(statuses, [100], "{name}"),
            Outcome::Message => assert_eq!(statuses, [200], "{name}"),
            Status(status) => assert_eq!(statuses, [status], "{name}"),
            Stray | Malformed => assert_eq!(statuses, [], "{name}"),
        }
    }
}

#[test]
fn an_unknown_method_is_told_which_are_known() {
    for name in ["intmeth", "esc02"] {
        let mut stage = Stage::new();
        stage.receive_bytes(&fixture(&format!("rfc4475/{name}")));
        let response = String::from_utf8(stage.endpoint.poll_transmit().unwrap().bytes).unwrap();
        assert!(response.contains("\r\nAllow: INVITE, ACK, "), "{response}");
    }
}

#[test]
fn a_call_of_rfc_2543_from_ringing_to_its_end() {
    use offhook_sip::event::{Command, EndCause, SessionId};
    let mut stage = Stage::new();
    let bytes = fixture("rfc4475/inv2543");
    assert_eq!(outcome(&mut stage, &bytes), Call);
    let session = SessionId::Inbound(1);
    stage.command(Command::Reject { session, status: 486, headers: Vec::new() });
    let refused = stage.endpoint.poll_transmit().unwrap();
    let refused = String::from_utf8(refused.bytes).unwrap();
    let tag = refused.lines().find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1)).unwrap();
    // The ACK of RFC 2543: the Request-URI, Call-ID, CSeq number, Via and From of the INVITE, the To of the response.
    let invite = std::str::from_utf8(&bytes).unwrap();
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
