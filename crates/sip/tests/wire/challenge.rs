//! Who is asked who it is, and what it takes to be believed (RFC 7616, RFC 8760; reliability S4, S5, S7, S8, G18). The
//! responses are computed here from the formula of RFC 7616 §3.4.1, not by the code under test.

use std::fmt::Write as _;
use std::time::Duration;

use md5::Md5;
use offhook_sip::event::{Command, Credentials, Event, SessionId};
use offhook_sip::{Config, Counters, Gateway};
use sha2::{Digest as _, Sha256};

use crate::stage::{OURS, PEER, Stage, config, gateway, kinds, request, sdp};

const CALL: SessionId = SessionId::Inbound(1);
const URI: &str = "sip:100@198.51.100.1";

/// An endpoint that asks its peers who they are: "trunk" with the password "p:w".
fn asking() -> Stage {
    let credentials = Credentials { username: "trunk".to_owned(), password: "p:w".to_owned() };
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    let gateways = vec![Gateway { challenge: Some(credentials), ..gateway(networks) }];
    Stage::with(Config { gateways, ..config(OURS) })
}

/// A request of its own each time, with what stands in Authorization.
fn with(cseq: &str, branch: &str, authorization: &str) -> String {
    let more =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    request(cseq, branch, "", &more)
}

/// The nonce of a challenge.
fn nonce(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap()
}

fn hash(algorithm: &str, text: &str) -> String {
    let bytes = match algorithm {
        "MD5" => Md5::digest(text).to_vec(),
        "SHA-256" => Sha256::digest(text).to_vec(),
        _ => panic!("{algorithm}"),
    };
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Credentials before they are written.
#[derive(Clone)]
struct Answer<'a> {
    username: &'a str,
    password: &'a str,
    realm: &'a str,
    nonce: &'a str,
    algorithm: &'a str,
    method: &'a str,
    uri: &'a str,
    nc: &'a str,
}

impl<'a> Answer<'a> {
    fn to(nonce: &'a str) -> Self {
        Self {
            username: "trunk",
            password: "p:w",
            realm: "198.51.100.1",
            nonce,
            algorithm: "SHA-256",
            method: "INVITE",
            uri: URI,
            nc: "00000001",
        }
    }

    /// As it stands in Authorization.
    fn text(&self) -> String {
        let Self { username, password, realm, nonce, algorithm, method, uri, nc } = self;
        let h = |text: &str| hash(algorithm, text);
        let (a1, a2) = (h(&format!("{username}:{realm}:{password}")), h(&format!("{method}:{uri}")));
        let response = h(&format!("{a1}:{nonce}:{nc}:0a4f:auth:{a2}"));
        format!(
            "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}, qop=auth, nc={nc}, cnonce=\"0a4f\""
        )
    }
}

/// The INVITE has been challenged; its nonce.
fn challenged(stage: &mut Stage) -> String {
    stage.receive(&with("1 INVITE", "first", ""));
    let refused = stage.one();
    assert_eq!(refused.status(), 401);
    nonce(refused.all("WWW-Authenticate")[0]).to_owned()
}

/// What comes of an INVITE with these credentials: whether it is let in, and else whether the challenge says `stale`.
#[track_caller]
fn let_in(stage: &mut Stage, branch: &str, authorization: &str) -> Result<(), bool> {
    stage.receive(&with("2 INVITE", branch, authorization).replace("call-1@", &format!("{branch}@")));
    let told = stage.events().iter().any(|event| matches!(event, Event::Incoming(_)));
    let sent = stage.sent();
    let refused = sent.iter().find(|response| response.status() == 401);
    assert_eq!(told, refused.is_none(), "{sent:#?}");
    refused.map_or(Ok(()), |refused| {
        let challenges = refused.all("WWW-Authenticate");
        let stale = challenges.iter().filter(|challenge| challenge.ends_with(", stale=true")).count();
        assert!([0, 2].contains(&stale) && challenges.len() == 2);
        Err(stale == 2)
    })
}

#[test]
fn s5_the_challenge() {
    let mut stage = asking();
    for (number, method) in ["INVITE", "OPTIONS", "REGISTER", "MESSAGE", "FLY"].into_iter().enumerate() {
        let message = with(&format!("1 {method}"), &format!("b{number}"), "");
        stage.receive(&message);
        let transmit = stage.endpoint.poll_transmit().unwrap();
        let text = String::from_utf8(transmit.bytes).unwrap();
        assert!(text.starts_with("SIP/2.0 401 Unauthorized\r\n"), "{text}");
        let challenges: Vec<_> =
            text.split("\r\n").filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
        let nonce = nonce(challenges[0]);
        let expected = ["SHA-256", "MD5"].map(|algorithm| {
            format!("Digest realm=\"198.51.100.1\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"")
        });
        assert_eq!(challenges, expected);
        assert!(text.len() < 3 * message.len(), "reliability S4: {} of {}", text.len(), message.len());
    }
    assert_eq!(stage.endpoint.counters().challenged, 5);
}

#[test]
fn s4_a_401_goes_out_once_and_leaves_nothing_behind() {
    let mut stage = asking();
    stage.receive(&with("1 INVITE", "first", ""));
    let refused = stage.one();
    assert_eq!(stage.pass(Duration::from_millis(900)).len(), 0);
    assert_eq!(stage.endpoint.poll_timeout(), None);
    // Again within the second: the same again, byte for byte.
    stage.receive(&with("1 INVITE", "first", ""));
    assert_eq!(stage.one().text, refused.text);
    stage.receive(&request("1 ACK", "first", refused.to_tag(), ""));
    stage.receive(&request("1 ACK", "first", "", ""));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    stage.assert_nothing_left();
}

#[test]
fn s8_unauthenticated_invite_of_a_challenged_gateway_reaches_nobody() {
    let mut stage = asking();
    for number in 0..1000 {
        stage
            .receive(&with("1 INVITE", &format!("b{number}"), "").replace("call-1@", &format!("c{number}@")));
        assert_eq!(kinds(&stage.sent()), ["401"]);
    }
    assert_eq!(stage.events(), []);
    let Counters { sessions, transactions, challenged, .. } = stage.endpoint.counters();
    assert_eq!((sessions, transactions, challenged), (0, 0, 1000));
}

#[test]
fn s5_who_knows_the_password_is_let_in() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut stage = asking();
        let nonce = challenged(&mut stage);
        stage.receive(&request("1 ACK", "first", "x", ""));
        let invite = with("2 INVITE", "second", &Answer { algorithm, ..Answer::to(&nonce) }.text());
        stage.receive(&invite);
        assert!(matches!(stage.event(), Event::Incoming(incoming) if &*incoming.gateway == "peer"));
        stage.sent();
        // Again: the transaction takes it, before anybody counts.
        stage.receive(&invite);
        assert!(stage.sent().iter().all(|response| response.status() == 100));
        assert_eq!(stage.events(), []);
        stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
        let tag = stage.sent().pop().unwrap().to_tag().to_owned();
        // ACK and BYE inside the dialog need no credentials; a CANCEL never does (RFC 3261 §22.1).
        stage.receive(&request("2 ACK", "ack", &tag, ""));
        assert!(matches!(stage.event(), Event::Acked { .. }));
        stage.receive(&request("3 BYE", "bye", &tag, ""));
        assert_eq!(stage.one().status(), 200);
        assert!(matches!(stage.event(), Event::Ended { .. }));
        assert_eq!(
            let_in(&mut stage, "next", &Answer { nc: "00000002", algorithm, ..Answer::to(&nonce) }.text()),
            Ok(())
        );
        stage.receive(&request("2 CANCEL", "next", "", "").replace("call-1@", "next@"));
        assert_eq!(kinds(&stage.sent()), ["200", "487"]);
    }
}

#[test]
fn s7_unknown_users_and_wrong_passwords_are_the_same() {
    let answer = |username: &str, password: &str| {
        let mut stage = asking();
        let nonce = challenged(&mut stage);
        stage.receive(&with(
            "2 INVITE",
            "second",
            &Answer { username, password, ..Answer::to(&nonce) }.text(),
        ));
        assert_eq!((stage.events().len(), stage.endpoint.counters().wrong_credentials), (0, 1));
        stage.one().text
    };
    let wrong = answer("trunk", "guess");
    for (username, password) in
        [("nobody", "guess"), ("nobody", "p:w"), ("", ""), ("trun", "k"), ("trunk2", "p:w")]
    {
        assert_eq!(answer(username, password), wrong);
    }
    assert!(!wrong.contains("stale"));
}

#[test]
fn g18_replayed_credentials_are_refused() {
    let mut stage = asking();
    let nonce = challenged(&mut stage);
    let count = |nc| Answer { nc, ..Answer::to(&nonce) }.text();
    for (number, (nc, result)) in [
        ("00000001", Ok(())),
        ("00000001", Err(true)),
        ("00000005", Ok(())),
        ("00000003", Ok(())),
        ("00000003", Err(true)),
        ("00000005", Err(true)),
        ("000000ff", Ok(())),
        ("00000006", Err(true)),
        ("000000FF", Err(true)),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(let_in(&mut stage, &format!("r{number}"), &count(nc)), result, "{nc}");
    }
    // Ten thousand times the first again, from here and there.
    for number in 0..10_000 {
        let peer = if number % 2 == 0 { PEER } else { "192.0.2.8:5060" };
        stage.receive_from(
            peer,
            &with("2 INVITE", &format!("x{number}"), &count("00000001")).replace("call-1@", "call-2@"),
        );
        if number % 500 == 0 {
            stage.pass(Duration::from_secs(1));
        }
        while let Some(transmit) = stage.endpoint.poll_transmit() {
            assert!(
                transmit.bytes.starts_with(b"SIP/2.0 401 ") || transmit.bytes.starts_with(b"SIP/2.0 100 ")
            );
        }
    }
    assert_eq!(stage.events(), []);
}

#[test]
fn g18_old_foreign_and_misplaced_credentials_are_refused() {
    let mut stage = asking();
    let nonce = challenged(&mut stage);
    let count = |nc| Answer { nc, ..Answer::to(&nonce) }.text();
    stage.pass(Duration::from_millis(59_900));
    assert_eq!(let_in(&mut stage, "young", &count("00000001")), Ok(()));
    stage.pass(Duration::from_millis(100));
    assert_eq!(let_in(&mut stage, "old", &count("00000002")), Err(true));
    let wrong = Answer { password: "guess", nc: "00000003", ..Answer::to(&nonce) }.text();
    assert_eq!(
        let_in(&mut stage, "guessing", &wrong),
        Err(false),
        "only who knows the password hears `stale`"
    );

    let mut stage = asking();
    let nonce = challenged(&mut stage);
    let forged = nonce.replacen("00000000", "00000001", 1);
    for (number, answer) in [
        Answer { realm: "example.com", ..Answer::to(&nonce) },
        Answer { realm: "", ..Answer::to(&nonce) },
        Answer::to(&forged),
        Answer::to("0123456789abcdef"),
        Answer { method: "REGISTER", ..Answer::to(&nonce) },
        Answer { uri: "sip:101@198.51.100.1", ..Answer::to(&nonce) },
        Answer { uri: "sip:100@example.com", ..Answer::to(&nonce) },
        Answer { uri: "sips:100@198.51.100.1", ..Answer::to(&nonce) },
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            let_in(&mut stage, &format!("w{number}"), &answer.text()),
            Err(false),
            "{}",
            answer.text()
        );
    }
    // The nonce of one source is nothing at another.
    let message = with("2 INVITE", "elsewhere", &Answer::to(&nonce).text());
    stage.receive_from("192.0.2.8:5060", &message);
    assert_eq!((stage.one().status(), stage.events().len()), (401, 0));
    // None of these has used it up.
    assert_eq!(let_in(&mut stage, "right", &Answer::to(&nonce).text()), Ok(()));
}

#[test]
fn s5_credentials_with_traps_in_them() {
    let mut stage = asking();
    let nonce = challenged(&mut stage);
    let right = Answer::to(&nonce).text();
    let response = right.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
    for (number, (from, to)) in [
        ("cnonce=\"0a4f\"", "cnonce=\"\""),
        (", cnonce=\"0a4f\"", ""),
        (", nc=00000001", ""),
        ("nc=00000001", "nc=00000000"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=+0000001"),
        (", qop=auth", ""),
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", "qop=\"auth,auth-int\""),
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("algorithm=SHA-256", "algorithm=MD5"),
        (", algorithm=SHA-256", ""),
        ("username=\"trunk\"", "username=\"trunk\", username=\"trunk\""),
        ("username=\"trunk\"", "username=\"trunk"),
        ("username=\"trunk\"", "username=\"tru\"nk\""),
        ("username=\"trunk\"", "username=\"x, \\\", username=\\\"trunk\\\"\""),
        ("username=\"trunk\"", "user=\"trunk\""),
        ("Digest ", "Basic "),
        ("Digest ", "Digest"),
        (response, &response.to_ascii_uppercase()),
        (response, &response[..63]),
        (response, ""),
        (response, &format!("{response}0")),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(right.contains(from), "{from}");
        let trap = right.replacen(from, to, 1);
        assert_eq!(let_in(&mut stage, &format!("t{number}"), &trap), Err(false), "{trap}");
    }
    // What is seen in the field and means nothing else.
    let count = |nc| Answer { nc, ..Answer::to(&nonce) }.text();
    for (number, harmless) in [
        right.replace("qop=auth", "qop=\"auth\""),
        count("00000002").replace("nc=00000002", "nc=\"00000002\""),
        count("00000003").replace("algorithm=SHA-256", "algorithm=\"sha-256\""),
        count("00000004").replace("Digest username=", "DIGEST  Username = ").replace(", uri", ",\r\n uri"),
        count("00000005").replace("username=\"trunk\"", "username=\"tr\\unk\""),
        format!("{},opaque=\"\", x=y", count("00000006")),
        format!("Digest realm=\"other\", username=\"a\"\r\nAuthorization: {}", count("00000007")),
        Answer { uri: "SIP:100@198.51.100.1;transport=udp", nc: "00000008", ..Answer::to(&nonce) }.text(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(let_in(&mut stage, &format!("h{number}"), &harmless), Ok(()), "{harmless}");
    }
}

#[test]
fn s1_requests_inside_a_dialog_are_challenged_where_that_is_wanted() {
    let credentials = Credentials { username: "trunk".to_owned(), password: "p:w".to_owned() };
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    let challenge = Some(credentials);
    let gateways = vec![Gateway { challenge, challenge_inside: true, ..gateway(networks) }];
    let mut stage = Stage::with(Config { gateways, ..config(OURS) });
    let first = challenged(&mut stage);
    stage.receive(&with("2 INVITE", "second", &Answer::to(&first).text()));
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.receive(&request("2 ACK", "ack", &tag, ""));
    stage.drain();
    // From the gateway's network and from outside: the dialog is the gateway's either way.
    for peer in [PEER, "203.0.113.9:5060"] {
        stage.receive_from(peer, &request("3 BYE", &format!("forged{}", peer.len()), &tag, ""));
        assert_eq!((stage.one().status(), stage.events().len()), (401, 0));
    }
    let answer = Answer { method: "BYE", nc: "00000002", ..Answer::to(&first) }.text();
    stage.receive(&request("3 BYE", "bye", &tag, &format!("Authorization: {answer}\r\n")));
    assert_eq!((stage.one().status(), stage.events().len()), (200, 1));
}
