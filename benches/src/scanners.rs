//! What those cost who have no business here: an endpoint without sockets is fed the messages that scanners send
//! (`OPTIONS`, `REGISTER` and `INVITE` as SIPVicious writes them), and forged requests inside of dialogs. Printed is the CPU
//! time of this process for each; the reading from the socket comes on top.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_sip::event::{Credentials, Flow, Transport};
use offhook_sip::{Config, Endpoint, Gateway, Strangers};

use crate::process::CpuTime;

/// How many different messages there are; each comes from an address of its own.
const MESSAGES: usize = 4096;
/// What one may cost (issue of the SIP user agent: "scanners cost less than 20 µs each").
const LIMIT: Duration = Duration::from_micros(20);
/// Where it listens.
const OURS: &str = "198.51.100.1:5060";

/// Feeds each kind of load and prints what it cost; whether all of it is below the limit.
pub(crate) fn run(count: u32) -> bool {
    let strangers =
        |strangers, rate| Config { strangers, source_rate: rate, stranger_rate: rate, ..config(false) };
    let open = u32::MAX;
    println!("{count} messages of each kind, CPU time of each:");
    [
        load("strangers, dropped", strangers(Strangers::Drop, open), count, scan),
        load("strangers, refused with 403", strangers(Strangers::Refuse, open), count, scan),
        load("strangers, refused, over the budget", strangers(Strangers::Refuse, 100), count, scan),
        load("a gateway's network, challenged with 401", config(true), count, scan),
        load("a gateway's network, guessing a password", config(true), count, guess),
        load("a gateway's network, forged BYE", config(true), count, forge),
        load("strangers, forged BYE", strangers(Strangers::Drop, open), count, forge),
    ]
    .into_iter()
    .all(|good| good)
}

/// Everybody is a stranger, or of a gateway that has to say who it is; among 1,000 gateways.
fn config(trusted: bool) -> Config {
    let gateway = |number: u32| Gateway {
        name: format!("gateway {number}").into(),
        networks: vec![format!("10.{}.{}.0/24", number / 250, number % 250).parse().expect("a network")],
        challenge: Some(Credentials { username: "trunk".to_owned(), password: "secret".to_owned() }),
        challenge_inside: false,
        pin_source: true,
    };
    let mut gateways: Vec<_> = (0..1000).map(gateway).collect();
    if trusted {
        gateways
            .push(Gateway { networks: vec!["203.0.0.0/16".parse().expect("a network")], ..gateway(1000) });
    }
    Config {
        gateways,
        source_rate: u32::MAX,
        stranger_rate: u32::MAX,
        ..Config::new(vec![OURS.parse().expect("an address")])
    }
}

/// Gives an endpoint its load, and says what it cost.
fn load(name: &str, config: Config, count: u32, message: fn(usize, &str) -> String) -> bool {
    let mut endpoint = Endpoint::new(config, [7; 32]);
    let mut now = Instant::now();
    let nonces = (0..MESSAGES).map(|number| nonce(&mut endpoint, now, number));
    let messages: Vec<_> =
        nonces.enumerate().map(|(number, nonce)| (flow(number), message(number, &nonce))).collect();
    let before = CpuTime::of(std::process::id());
    let mut answers = 0_u32;
    for (flow, message) in messages.iter().cycle().take(count as usize) {
        now += Duration::from_micros(10);
        endpoint.receive(now, *flow, message.as_bytes());
        while endpoint.poll_transmit().is_some() {
            answers += 1;
        }
        assert!(endpoint.poll_event().is_none(), "nobody gets in");
    }
    let each = CpuTime::of(std::process::id()).since(before).total() / count;
    println!("{:8.2} µs  {name} ({answers} answers)", each.as_secs_f64() * 1e6);
    assert_eq!(endpoint.counters().transactions, 0, "nothing is kept");
    each < LIMIT
}

/// The nonce that a source is given, if it is challenged.
fn nonce(endpoint: &mut Endpoint, now: Instant, number: usize) -> String {
    endpoint.receive(now, flow(number), scan(number * 3 + 1, "").as_bytes());
    let answer = endpoint.poll_transmit().map(|answer| String::from_utf8_lossy(&answer.bytes).into_owned());
    let nonce = answer.and_then(|text| Some(text.split_once("nonce=\"")?.1.split_once('"')?.0.to_owned()));
    nonce.unwrap_or_default()
}

fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0xcb00_0000 + u32::try_from(number).unwrap_or_default())
}

fn flow(number: usize) -> Flow {
    let remote = SocketAddr::new(source(number).into(), 5060);
    Flow { transport: Transport::Udp, local: OURS.parse().expect("an address"), remote, name: None }
}

/// One of three methods, for one of many users.
fn scan(number: usize, _nonce: &str) -> String {
    write(["OPTIONS", "REGISTER", "INVITE"][number % 3], number, "", "")
}

/// An INVITE whose password is wrong: the whole check has to be made.
fn guess(number: usize, nonce: &str) -> String {
    let uri = format!("sip:{}@198.51.100.1", 100 + number);
    let response = "0123456789abcdef".repeat(4);
    let answer = format!(
        "Authorization: Digest username=\"{number}\", realm=\"198.51.100.1\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"0a4f113b\"\r\n"
    );
    write("INVITE", number, "", &answer)
}

/// A BYE with a tag that was guessed.
fn forge(number: usize, _nonce: &str) -> String {
    write("BYE", number, &format!(";tag={number:016x}"), "")
}

fn write(method: &str, number: usize, to_tag: &str, more: &str) -> String {
    let (user, host) = (100 + number, source(number));
    format!(
        "{method} sip:{user}@198.51.100.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {host}:5060;branch=z9hG4bK-{number};rport\r\n\
         Content-Length: 0\r\n\
         From: \"sipvicious\"<sip:100@1.1.1.1>;tag=3633643336336434313363340131{number}\r\n\
         Accept: application/sdp\r\n\
         User-Agent: friendly-scanner\r\n\
         To: \"sipvicious\"<sip:{user}@198.51.100.1>{to_tag}\r\n\
         Contact: sip:100@{host}:5060\r\n\
         CSeq: 1 {method}\r\n\
         Call-ID: 845752980453913316694142{number}\r\n\
         {more}Max-Forwards: 70\r\n\r\n"
    )
}
