//! What is too much, too large or ambiguous, row by row of the reliability table: sizes (P1), numbers (P2), strictness where
//! security depends on it (P3), bodies of several parts (P4), time (P8), and characters that mean something to somebody else
//! (P9).

use std::time::{Duration, Instant};

use offhook_sip::event::{
    Body, Command, CommandError, Credentials, EndCause, Event, Header, InDialog, Incoming, Invite, Page,
    PageId, Ping, Reason, Registration, RequestId, Route, SessionId, Transport,
};
use offhook_sip::{FramingError, StreamFramer};

use crate::script::texts;
use crate::stage::{OUTBOUND, PEER, Stage, invite, request, sdp};

/// The statuses that a fresh endpoint answers a message with.
fn answer(message: &str) -> Vec<u16> {
    let mut stage = Stage::new();
    stage.receive(message);
    stage.sent_statuses()
}

fn options(more: &str) -> String {
    request("1 OPTIONS", "b", "", more)
}

/// An INVITE with this body.
fn with_body(content_type: &str, body: &str) -> String {
    let head = request("1 INVITE", "b", "", &format!("Content-Type: {content_type}\r\n"));
    head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn incoming(message: &str) -> Incoming {
    let mut stage = Stage::new();
    stage.receive(message);
    match stage.event() {
        Event::Incoming(incoming) => *incoming,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p1_the_limits_of_a_message() {
    let padded = |length: usize| options(&format!("X-Pad: {}\r\n", "a".repeat(length)));
    let folded = |folds: usize| options(&format!("X-Pad: {}\r\n", "a\r\n ".repeat(folds)));
    let fields = |count: usize| options(&"X: y\r\n".repeat(count));
    let body = |length: usize| {
        options("").replace("Content-Length: 0\r\n\r\n", &format!("\r\n{}", "a".repeat(length)))
    };
    for (message, answered) in [
        (padded(8192 - "X-Pad: ".len()), true),
        (padded(8193 - "X-Pad: ".len()), false),
        (folded((8192 - "X-Pad: ".len()) / 4), true),
        (folded((8192 - "X-Pad: ".len()) / 4 + 1), false),
        (fields(256 - 8), true),
        (fields(257 - 8), false),
        (body(65_535 - body(0).len()), true),
        (body(65_536 - body(0).len()), false),
        (options("").replace("\r\n\r\n", "\r\n"), false),
        (options("").replace("Max-Forwards: 70", "Max-\0Forwards: 70"), false),
        (options("X: a\0b\r\n"), false),
        (options("X: \"a\\\0b\"\r\n"), true),
        (options("X: \"a\\\\\0b\"\r\n"), false),
        (options("").replace("\r\nMax-Forwards", "\nMax-Forwards"), false),
        (options("X: a\rb\r\n"), false),
    ] {
        let mut stage = Stage::new();
        stage.receive(&message);
        assert_eq!(stage.sent_statuses().len(), usize::from(answered), "{} bytes", message.len());
        assert_eq!(stage.endpoint.counters().malformed, u64::from(!answered));
    }
}

#[test]
fn p1_the_limits_of_a_uri_and_of_a_list() {
    let uri = |length: usize| format!("sip:{}@192.0.2.7", "u".repeat(length - "sip:@192.0.2.7".len()));
    let to = |uri: &str| options("").replace("sip:100@198.51.100.1>", &format!("{uri}>"));
    let start = |uri: &str| options("").replace("OPTIONS sip:100@198.51.100.1", &format!("OPTIONS {uri}"));
    let from = |uri: &str| options("").replace("sip:alice@example.com", uri);
    assert_eq!(answer(&to(&uri(1024))), [200]);
    assert_eq!(answer(&to(&uri(1025))), [400]);
    assert_eq!(answer(&from(&uri(1024))), [200]);
    assert_eq!(answer(&from(&uri(1025))), [400]);
    assert_eq!(answer(&start(&uri(1024))), [200]);
    assert_eq!(answer(&start(&uri(1025))), [414]);
    let require = |count: usize| options(&format!("Require: {}\r\n", vec!["a"; count].join(",")));
    assert_eq!(answer(&require(256)), [420]);
    assert_eq!(answer(&require(257)), [400]);
}

#[test]
fn p1_a_stream_holds_back_one_message_and_believes_no_length() {
    let head = options("").replace("Content-Length: 0\r\n\r\n", "");
    for (length, error) in [
        ("4294967296", FramingError::ContentLength),
        ("99999999999999999999", FramingError::ContentLength),
        ("-1", FramingError::ContentLength),
        ("+1", FramingError::ContentLength),
        ("0x1", FramingError::ContentLength),
        ("1 1", FramingError::ContentLength),
        ("", FramingError::ContentLength),
        ("1\r\nl: 2", FramingError::ContentLength),
        ("1\r\nContent-Length: 1", FramingError::ContentLength),
    ] {
        let mut framer = StreamFramer::new();
        framer.push(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes());
        assert_eq!(framer.next_message(), Err(error), "{length}");
    }
    // Nobody waits for them, but their sender is told (RFC 3261 §21.4.11).
    for length in ["65536", "4294967295"] {
        let mut framer = StreamFramer::new();
        framer.push(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes());
        let header = framer.next_message().expect("a header").expect("a header");
        assert_eq!(framer.next_message(), Err(FramingError::TooLarge), "{length}");
        let mut stage = Stage::new();
        stage.receive_by(Transport::Tcp, PEER, std::str::from_utf8(&header).expect("text"));
        assert_eq!(stage.sent_statuses(), [413], "{length}");
    }
    let whole = format!("{head}Content-Length: 60000\r\n\r\n{}", "a".repeat(60_000));
    let mut framer = StreamFramer::new();
    for piece in whole.as_bytes().chunks(7) {
        assert_eq!(framer.next_message(), Ok(None));
        framer.push(piece);
    }
    assert_eq!(framer.next_message().unwrap().map(|message| message.len()), Some(whole.len()));
    assert!(!framer.is_partial());
}

#[test]
fn p2_numbers_are_digits_and_bounded() {
    let with = |from: &str, to: &str| answer(&options("").replace(from, to));
    let cseq = |number: &str| with("CSeq: 1 ", &format!("CSeq: {number} "));
    assert_eq!(cseq("2147483647"), [200]);
    assert_eq!(cseq("0000000001"), [200]);
    let bad = [
        "2147483648",
        "4294967295",
        "4294967297",
        "18446744073709551617",
        "-1",
        "+1",
        "1.0",
        "0x1",
        "1e3",
        "٣",
        "",
    ];
    for number in bad {
        assert_eq!(cseq(number), [400], "CSeq: {number}");
    }
    let forwards = |number: &str| with("Max-Forwards: 70", &format!("Max-Forwards: {number}"));
    assert_eq!((forwards("255"), forwards("0")), (vec![200], vec![200]));
    for number in ["256", "4294967297", "-1", "x", ""] {
        assert_eq!(forwards(number), [400], "Max-Forwards: {number}");
    }
    let length = |number: &str| with("Content-Length: 0", &format!("Content-Length: {number}"));
    assert_eq!(length("00"), [200]);
    for number in ["1", "65536", "4294967296", "18446744073709551616", "-1", "+0", "0x0", "0 0", ""] {
        assert_eq!(length(number), [400], "Content-Length: {number}");
    }
    let port =
        |port: &str| with("OPTIONS sip:100@198.51.100.1", &format!("OPTIONS sip:100@198.51.100.1:{port}"));
    assert_eq!((port("1"), port("65535")), (vec![200], vec![200]));
    for number in ["0", "65536", "65597", "4294972356", "-1", "+1", "5060x", ""] {
        assert_eq!(port(number), [400], "port {number}");
    }
    // Of a bad port in Via only the host is of use: the answer goes to where the request came from.
    for number in ["0", "65536", "-1", "x"] {
        assert_eq!(with("UDP 192.0.2.7;", &format!("UDP 192.0.2.7:{number};")), [], "Via port {number}");
    }
}

#[test]
fn p3_strict_where_security_depends_on_it() {
    // What a proxy before us may have read in another way than we do (CVE-2020-28361) is read by its name all the same:
    // RFC 3261 §25.1 allows blanks before the colon, so a header that it hides is none that it can hide from us.
    assert_eq!(answer(&options("").replace("Max-Forwards:", "Max-Forwards :")), [200]);
    assert_eq!(answer(&options("Max-Forwards : 70\r\n")), [400]);
    assert_eq!(answer(&options("Content-Length : 0\r\n")), [400]);
    assert_eq!(answer(&options("l: 0\r\n")), [400]);
    assert_eq!(answer(&options("l : 5\r\n")), [400]);
    // One of each, whatever they say.
    for field in ["To: <sip:x@y>", "f: <sip:x@y>;tag=1", "i: other", "CSeq: 1 OPTIONS", "Max-Forwards: 70"] {
        assert_eq!(answer(&options(&format!("{field}\r\n"))), [400], "{field}");
    }
    // A header name is a token, and there is one.
    for field in ["X Y: z", ": z", "X\u{7f}: z", "no colon", "X\t\tY: z", "(X): z"] {
        assert_eq!(answer(&options(&format!("{field}\r\n"))), [400], "{field}");
    }
    assert_eq!(answer(&options("").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE")), [400]);
    assert_eq!(answer(&options("").replace("CSeq: 1 OPTIONS", "CSeq: 1 options")), [400]);
    // Without a top Via that says who asks nobody is told anything.
    for via in [
        "",
        "Via: \r\n",
        "Via: SIP/2.0/UDP\r\n",
        "Via: HTTP/1.1/UDP 192.0.2.7\r\n",
        "Via: SIP/2.0/UDP a b\r\n",
    ] {
        let message = options("");
        let (head, rest) = message.split_once("Via: ").unwrap();
        let (_, rest) = rest.split_once("\r\n").unwrap();
        assert_eq!(answer(&format!("{head}{via}{rest}")), [], "{via}");
    }
}

#[test]
fn p3_a_bad_via_is_told_so_and_believed_in_nothing() {
    let mut stage = Stage::new();
    let via = "SIP/2.0/UDP 192.0.2.9:5090;;,;,,;rport;maddr=203.0.113.1";
    stage.receive(&options("").replace("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb", via));
    let answer = stage.endpoint.poll_transmit().unwrap();
    assert_eq!(answer.flow.remote.to_string(), "192.0.2.7:5090");
    let answer = String::from_utf8(answer.bytes).unwrap();
    assert!(answer.starts_with("SIP/2.0 400 Bad Via\r\n") && answer.contains(&format!("\r\nVia: {via}\r\n")));
}

fn part(header: &str, content: &str) -> String {
    format!("--x\r\n{header}\r\n{content}\r\n")
}

#[test]
fn p4_multipart_with_a_description_is_a_call() {
    let description = part("Content-Type: application/sdp\r\n", "v=0\r\n");
    let isup = "Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n";
    let body = format!("{description}{}--x--\r\n", part(isup, "\x01\x02"));
    for kind in ["mixed", "alternative", "related"] {
        let message = with_body(&format!("multipart/{kind};boundary=x"), &body);
        assert_eq!(incoming(&message).body, Some(sdp("v=0\r\n")), "{kind}");
    }
    let none = with_body("multipart/mixed;boundary=x", &format!("{}--x--\r\n", part(isup, "\x01")));
    assert_eq!(incoming(&none).body, None, "an INVITE without an offer");
    let mut stage = Stage::new();
    let required =
        part("Content-Type: application/isup\r\nContent-Disposition: signal;handling=required\r\n", "\x01");
    stage.receive(&with_body("multipart/mixed;boundary=x", &format!("{description}{required}--x--")));
    let refused = stage.one();
    assert_eq!((refused.status(), refused.header("Accept")), (415, "application/sdp"));
}

#[test]
fn p4_multipart_that_is_none_is_refused() {
    let description = part("Content-Type: application/sdp\r\n", "v=0\r\n");
    for (content_type, body) in [
        ("multipart/mixed", format!("{description}--x--")),
        ("multipart/mixed;boundary=\"\"", format!("{description}--x--")),
        ("multipart/mixed;boundary=y", format!("{description}--x--")),
        ("multipart/mixed;boundary=x", "--x--".to_owned()),
        ("multipart/mixed;boundary=x", description.clone()),
        ("multipart/mixed;boundary=x", description.repeat(2) + "--x--"),
        ("multipart/mixed;boundary=x", "--x\r\n\r\n\r\n".repeat(9) + "--x--"),
        ("multipart/mixed;boundary=x", "--x\r\n--x--".to_owned()),
    ] {
        assert_eq!(answer(&with_body(content_type, &body)), [400], "{content_type}: {body}");
    }
    let nested = part("Content-Type: multipart/mixed;boundary=y\r\n", "--y\r\n\r\n\r\n--y--");
    assert_eq!(answer(&with_body("multipart/mixed;boundary=x", &format!("{nested}--x--"))), [415]);
}

#[test]
fn p4_the_answer_may_be_one_part_of_several() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let ours = stage.one();
    stage.events();
    let body = format!("{}--x--", part("Content-Type: application/sdp\r\n", "v=0\r\n"));
    let more = "Contact: <sip:bob@192.0.2.7>\r\nContent-Type: multipart/mixed;boundary=x\r\n";
    let response = ours.response("200 OK", "bob", more);
    stage.receive(
        &response
            .replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len())),
    );
    assert_eq!(
        stage.event(),
        Event::Answered { session: OUTBOUND, body: Some(sdp("v=0\r\n")), also_rang: Vec::new() }
    );
}

/// The shapes that are worst for somebody: as long as asked for, up to 64 KiB.
fn worst(length: usize) -> Vec<(&'static str, String)> {
    let fields = |line: &str, each: usize| {
        let per_field = each.min(length);
        let one = line.repeat(per_field / line.len());
        move |name: &str| options(&format!("{name}: {one}\r\n").repeat((length / (one.len() + 12)).max(1)))
    };
    let commas = fields(",", 8000);
    let folds = fields("a\r\n ", 8000);
    let quotes = fields("\"\\\"\",", 8000);
    let angles = fields("<;>;", 8000);
    let params = fields(";a=b", 8000);
    let vias = fields("SIP/2.0/UDP a;b,", 8000);
    let parts = "--\r\n-\r\n--xy\n".repeat(length / 12);
    vec![
        ("commas", commas("Require")),
        ("folds", folds("Subject")),
        ("quotes", quotes("Route")),
        ("angles", angles("Record-Route")),
        ("parameters", params("Reason")),
        ("vias", vias("Via")),
        ("short fields", options(&"a:b\r\n".repeat((length / 5).min(240)))),
        ("parts", with_body("multipart/mixed;boundary=x", &parts)),
        ("line ends", format!("{}{}", "\r\n".repeat(length / 2), options(""))),
        ("backslashes", options(&format!("X: \"{}\r\n", "\\\\".repeat((length / 2).min(4000))))),
    ]
}

/// How often a cost is measured at most, before it is believed that it is too high.
const RUNS: usize = 200;

/// Runs both until the least times seen of them satisfy `linear`, or too often: other things run on this machine, and
/// they only ever make a time longer.
fn least(
    mut small: impl FnMut() -> Duration,
    mut large: impl FnMut() -> Duration,
    linear: impl Fn(Duration, Duration) -> bool,
) -> Result<(Duration, Duration), (Duration, Duration)> {
    let mut least = (Duration::MAX, Duration::MAX);
    for run in 0..RUNS {
        least = (least.0.min(small()), least.1.min(large()));
        if run >= 4 && linear(least.0, least.1) {
            return Ok(least);
        }
    }
    Err(least)
}

/// The time that something takes.
fn timed(work: impl FnOnce()) -> Duration {
    #[allow(clippy::disallowed_methods, reason = "this test is about real time")]
    let clock = Instant::now;
    let start = clock();
    work();
    clock() - start
}

/// The time that an endpoint needs for a message.
fn cost(message: &str) -> Duration {
    let mut stage = Stage::new();
    timed(|| {
        stage.receive(message);
        stage.sent_statuses();
    })
}

#[test]
fn p8_the_worst_messages_cost_linear_time() {
    for ((name, large), (_, small)) in worst(64_000).into_iter().zip(worst(16_000)) {
        assert!(large.len() <= 66_000, "{name}: {}", large.len());
        // Four times the length: linear is 4, quadratic 16. A floor keeps the noise of short times out. 2 ms as users run
        // it; tests are built with a third of the optimization.
        let linear = |small: Duration, large: Duration| {
            large < small * 9 + Duration::from_micros(100) && large < Duration::from_millis(6)
        };
        let (small, large) = least(|| cost(&small), || cost(&large), linear)
            .unwrap_or_else(|(small, large)| panic!("{name}: {small:?}, {large:?}"));
        println!("{name}: {small:?} for 16 KiB, {large:?} for 64 KiB");
    }
}

#[test]
fn p8_a_slow_stream_costs_linear_time() {
    let cost = |length: usize| {
        let head = options(&format!("X: {}\r\n", "a".repeat(4_000)).repeat(length / 16_000));
        let message =
            head.replace("Content-Length: 0", &format!("Content-Length: {length}")) + &"b".repeat(length);
        move || {
            let mut framer = StreamFramer::new();
            timed(|| {
                let mut found = None;
                for byte in message.as_bytes().chunks(1) {
                    framer.push(byte);
                    found = framer.next_message().unwrap();
                }
                assert!(found.is_some());
            })
        }
    };
    let (small, large) = least(cost(16_000), cost(48_000), |small, large| large < small * 6)
        .unwrap_or_else(|(small, large)| panic!("{small:?}, {large:?}"));
    println!("byte by byte: {small:?} for 20 KiB, {large:?} for 60 KiB");
}

/// Every command, with this text in every string that an application may give it.
fn commands(text: &str) -> Vec<Command> {
    let session = SessionId::Inbound(1);
    let route = |to: &str, proxy: Option<&str>| Route {
        to: to.to_owned(),
        proxy: proxy.map(str::to_owned),
        credentials: None,
    };
    let plain = || route("sip:100@192.0.2.7", None);
    let uri = format!("sip:a{text}@192.0.2.7");
    let header = |name: &str, value: &str| vec![Header { name: name.to_owned(), value: value.to_owned() }];
    let value = || header("X-A", text);
    let name = || header(&format!("X{text}"), "a");
    let body = || Body { content_type: format!("text/plain{text}"), bytes: Vec::new() };
    let call = || invite("sip:100@192.0.2.7");
    let page = || Page {
        page: PageId(1),
        from: "sip:a@b".to_owned(),
        route: plain(),
        headers: Vec::new(),
        body: sdp("x"),
    };
    let registration = || Registration {
        account: "a".into(),
        registrar: plain(),
        aor: "sip:a@b".to_owned(),
        contact_user: "a".to_owned(),
        expires: Duration::from_secs(60),
    };
    let ping = |route| {
        Command::Ping(Box::new(Ping { gateway: "a".into(), route, interval: Duration::from_secs(9) }))
    };
    let proxied = || route("sip:100@192.0.2.7", Some(text));
    let place = |invite: Invite| Command::Invite(Box::new(invite));
    let send = |page: Page| Command::Page(Box::new(page));
    let register = |registration: Registration| Command::Register(Box::new(registration));
    vec![
        place(Invite { from: uri.clone(), ..call() }),
        place(Invite { routes: vec![route(&uri, None)], ..call() }),
        place(Invite { routes: vec![proxied()], ..call() }),
        place(Invite { routes: vec![plain(), route(&uri, None)], ..call() }),
        place(Invite { routes: vec![plain(), proxied()], ..call() }),
        place(Invite { headers: value(), ..call() }),
        place(Invite { headers: name(), ..call() }),
        place(Invite { body: body(), ..call() }),
        Command::Progress { session, status: 183, body: Some(body()) },
        Command::Answer { session, body: body() },
        Command::Reject { session, status: 486, headers: value() },
        Command::Reject { session, status: 302, headers: header("Contact", text) },
        Command::Accept { session, body: body() },
        Command::Request { session, request: RequestId(1), method: InDialog::Message, body: body() },
        Command::Refer { session, to: uri.clone() },
        send(Page { from: uri.clone(), ..page() }),
        send(Page { route: route(&uri, None), ..page() }),
        send(Page { route: proxied(), ..page() }),
        send(Page { headers: value(), ..page() }),
        send(Page { body: body(), ..page() }),
        register(Registration { registrar: route(&uri, None), ..registration() }),
        register(Registration { registrar: proxied(), ..registration() }),
        register(Registration { aor: uri.clone(), ..registration() }),
        register(Registration { contact_user: text.to_owned(), ..registration() }),
        ping(route(&uri, None)),
        ping(proxied()),
    ]
}

#[test]
fn p9_nothing_that_an_application_says_is_a_message_of_its_own() {
    for text in ["\r\nVia: x", "\n", "\r", "\0", "a\u{85}b\r\n\r\nBYE sip:a SIP/2.0"] {
        for command in commands(text) {
            let mut stage = Stage::new();
            stage.receive(&request("1 INVITE", "a", "", ""));
            stage.drain();
            let refused = stage.endpoint.command(stage.now, command.clone());
            assert!(refused.is_err(), "{text:?}: {command:?}");
            assert_eq!((stage.sent().len(), stage.events()), (0, vec![]), "{text:?}: {command:?}");
        }
    }
    let mut stage = Stage::new();
    let headers = vec![Header { name: "Via".to_owned(), value: "x".to_owned() }];
    let own = Command::Invite(Box::new(Invite { headers, ..invite("sip:100@192.0.2.7") }));
    assert_eq!(stage.endpoint.command(stage.now, own), Err(CommandError::BadHeader("Via".to_owned())));
}

/// A reason and credentials are not refused: what could end their string is left out or escaped.
#[test]
fn p9_a_reason_and_credentials_stay_inside_their_quotes() {
    let mut stage = Stage::new();
    let evil = "a\"\r\nX-Evil: 1\r\n\0\\";
    let credentials = Some(Credentials { username: evil.to_owned(), password: evil.to_owned() });
    let route = Route { to: "sip:100@192.0.2.7".to_owned(), proxy: None, credentials };
    let call = Invite { routes: vec![route], ..invite("sip:100@192.0.2.7") };
    if stage.endpoint.command(stage.now, Command::Invite(Box::new(call))).is_ok() {
        let ours = stage.one();
        let challenge =
            "WWW-Authenticate: Digest realm=\"192.0.2.7\", nonce=\"n\", qop=\"auth\", algorithm=MD5\r\n";
        stage.receive(&ours.response("401 Unauthorized", "bob", challenge));
        for sent in stage.sent() {
            assert!(!sent.text.contains("\nX-Evil") && !sent.text.contains('\0'), "{}", sent.text);
        }
    }
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "a", "", ""));
    stage.command(Command::Answer { session: SessionId::Inbound(1), body: sdp("v=0\r\n") });
    let tag = stage.one().to_tag().to_owned();
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    let reason = Some(Reason { cause: 16, text: evil.to_owned() });
    if stage.endpoint.command(stage.now, Command::Bye { session: SessionId::Inbound(1), reason }).is_ok() {
        let bye = stage.one();
        assert_eq!(bye.header("Reason"), "SIP;cause=16;text=\"aX-Evil: 1\"");
    }
}

/// What the wire says with control characters and bytes that are no UTF-8 is told without them.
#[test]
fn p9_events_have_no_control_characters() {
    let evil = "\x1b[2J\x07\u{9b}31m\u{7f}";
    let quoted = evil.replace('\u{9b}', "\u{9b}\\\0");
    let more =
        format!("X-Evil: {evil}\r\nContent-Type: application/sdp\r\nSubject: {evil}\r\nX-Tab: a\tb\r\n");
    let message = request("1 INVITE", "a", "", &more).replace("\"Alice\"", &format!("\"{quoted}\""));
    let mut bytes = message.replace("Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\nv=0").into_bytes();
    let at = bytes.windows(6).position(|window| window == b"X-Tab:").unwrap();
    bytes.splice(at..at, b"X-Latin: \xe9\xff\r\n".iter().copied());
    let mut stage = Stage::new();
    stage.receive_bytes(&bytes);
    let event = stage.event();
    assert_eq!(texts(&event).into_iter().find(|text| text.contains(char::is_control)), None);
    let Event::Incoming(incoming) = event else { panic!() };
    assert_eq!(incoming.from_display, "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}31m\u{fffd}");
    let value = |name: &str| {
        incoming.headers.iter().find(|header| header.name == name).map(|header| header.value.clone()).unwrap()
    };
    assert_eq!(value("X-Evil"), "\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}");
    assert_eq!((value("X-Tab"), value("X-Latin")), ("a b".to_owned(), "\u{fffd}\u{fffd}".to_owned()));

    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let ours = stage.one();
    stage.events();
    stage.receive(&ours.response(&format!("486 {evil}"), "bob", ""));
    let Event::Ended { cause: EndCause::Refused { phrase, .. }, .. } = stage.event() else { panic!() };
    assert_eq!(phrase, "\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}");
}
