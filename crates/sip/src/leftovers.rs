//! After the last call every table is empty, those too that no counter shows.

mod changes;

use std::time::{Duration, Instant};

use crate::event::{
    Body, Command, Event, Flow, GatewayName, InDialog, Invite, Page, PageId, Ping, Registration, RequestId,
    Route, SessionId, Transmit, Transport,
};
use crate::testing::epoch;
use crate::{Config, Endpoint};

const OURS: &str = "127.0.0.1:5060";

fn flow() -> Flow {
    let remote = "127.0.0.2:5060".parse().unwrap();
    Flow { transport: Transport::Udp, local: OURS.parse().unwrap(), remote, name: None }
}

fn request(cseq: &str, branch: &str, to_tag: &str) -> String {
    let method = cseq.split(' ').nth(1).unwrap();
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK{branch}\r\n\
         From: <sip:a@127.0.0.2>;tag=a\r\nTo: <sip:100@127.0.0.1>{to_tag}\r\nCall-ID: x\r\nCSeq: {cseq}\r\n\
         Contact: <sip:a@pbx.example.com>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn outbound(number: u64, host: &str) -> Command {
    Command::Invite(Box::new(Invite {
        session: SessionId::Outbound(number),
        from: "sip:b@127.0.0.1".to_owned(),
        from_display: String::new(),
        routes: vec![route(&format!("sip:200@{host}"))],
        redirect_hosts: Vec::new(),
        headers: Vec::new(),
        body: Body { content_type: "application/sdp".to_owned(), bytes: Vec::new() },
    }))
}

/// Answers what the endpoint asks for inside its dialogs, as a peer that is there but for BYE.
fn answer(request: &str) -> Option<String> {
    let method = request.split(' ').next()?;
    let wanted = ["REFER", "NOTIFY", "INFO"].contains(&method);
    let fields: String = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "]
        .iter()
        .filter_map(|name| request.split("\r\n").find(|line| line.starts_with(name)))
        .map(|line| format!("{line}\r\n"))
        .collect();
    wanted.then(|| format!("SIP/2.0 202 Accepted\r\n{fields}Content-Length: 0\r\n\r\n"))
}

/// Runs until nothing is left to do; gives how many calls have ended, and when the last thing was done.
fn run(endpoint: &mut Endpoint, from: Instant) -> (usize, Instant) {
    let (mut ended, mut last) = (0, from);
    loop {
        while let Some(Transmit { bytes, .. }) = endpoint.poll_transmit() {
            if let Some(response) = answer(std::str::from_utf8(&bytes).unwrap()) {
                endpoint.receive(last, flow(), response.as_bytes());
            }
        }
        while let Some(event) = endpoint.poll_event() {
            ended += usize::from(matches!(event, Event::Ended { .. }));
        }
        let Some(at) = endpoint.poll_timeout() else { return (ended, last) };
        last = at;
        endpoint.handle_timeout(at);
    }
}

#[track_caller]
fn assert_empty(endpoint: &Endpoint) {
    assert!(endpoint.sessions.is_empty() && endpoint.ended.is_empty() && endpoint.dialogs.is_empty());
    assert!(endpoint.core.queries.is_empty());
    endpoint.core.transactions.assert_empty();
    endpoint.agents.assert_empty();
}

#[test]
fn nothing_is_left_of_what_was_going_on_inside_a_call() {
    let session = SessionId::Inbound(1);
    let info = |number| Command::Request {
        session,
        request: RequestId(number),
        method: InDialog::Info,
        body: Body { content_type: "application/dtmf-relay".to_owned(), bytes: b"Signal=1".to_vec() },
    };
    let refer = || Command::Refer { session, to: "sip:c@example.com".to_owned() };
    let answer_refer = |status| Command::AnswerRefer { session, status };
    let cases: [&[Command]; 6] = [
        &[info(1), info(2), info(3)],
        &[refer(), info(1)],
        &[answer_refer(202)],
        &[answer_refer(202), Command::ReferStatus { session, status: 180 }, refer()],
        &[answer_refer(603), refer()],
        &[],
    ];
    for (commands, hangs_up) in cases.iter().flat_map(|commands| [(commands, false), (commands, true)]) {
        let mut endpoint = Endpoint::new(Config::new(vec![OURS.parse().unwrap()]), [1; 32]);
        let now = epoch();
        let contact = |text: String| text.replace("pbx.example.com", "127.0.0.2");
        endpoint.receive(now, flow(), contact(request("1 INVITE", "one", "")).as_bytes());
        let body = Body { content_type: "application/sdp".to_owned(), bytes: Vec::new() };
        endpoint.command(now, Command::Answer { session, body }).unwrap();
        let ok = String::from_utf8(endpoint.poll_transmit().unwrap().bytes).unwrap();
        let tag = ok.split("\r\n").find(|line| line.starts_with("To: ")).unwrap();
        let tag = format!(";tag={}", tag.split(";tag=").nth(1).unwrap());
        endpoint.receive(now, flow(), request("1 ACK", "ack", &tag).as_bytes());
        let asked =
            request("2 REFER", "refer", &tag).replace("Content-Length", "r: <sip:c@d>\r\nContent-Length");
        endpoint.receive(now, flow(), asked.as_bytes());
        for command in *commands {
            endpoint.command(now, command.clone()).unwrap();
        }
        if hangs_up {
            endpoint.command(now, Command::Bye { session, reason: None }).unwrap();
        }
        // Long after the last subscription has run out, the peer hangs up, if we have not.
        let late = now + Duration::from_secs(600);
        let (ended, _) = run(&mut endpoint, now);
        endpoint.receive(late, flow(), request("3 BYE", "bye", &tag).as_bytes());
        assert_eq!(ended + run(&mut endpoint, late).0, 1);
        assert_empty(&endpoint);
    }
}

fn route(to: &str) -> Route {
    Route { to: to.to_owned(), proxy: None, credentials: None }
}

fn register(account: &str, user: &str, registrar: &str) -> Command {
    Command::Register(Box::new(Registration {
        account: account.into(),
        registrar: route(registrar),
        aor: format!("sip:{user}@example.com"),
        contact_user: user.to_owned(),
        expires: Duration::from_secs(3600),
    }))
}

fn page(number: u64, to: &str) -> Command {
    Command::Page(Box::new(Page {
        page: PageId(number),
        from: "sip:b@127.0.0.1".to_owned(),
        route: route(to),
        headers: Vec::new(),
        body: Body { content_type: "text/plain".to_owned(), bytes: b"hello".to_vec() },
    }))
}

#[test]
fn every_table_is_empty() {
    let mut endpoint = Endpoint::new(Config::new(vec![OURS.parse().unwrap()]), [1; 32]);
    let now = epoch();
    // An inbound call that is answered, never acknowledged, and whose BYE goes to a name that nobody resolves; its
    // copy on another path; a request of every other fate.
    endpoint.receive(now, flow(), request("1 INVITE", "one", "").as_bytes());
    endpoint.receive(now, flow(), request("1 INVITE", "two", "").as_bytes());
    endpoint.receive(now, flow(), request("1 OPTIONS", "three", "").as_bytes());
    endpoint.receive(now, flow(), request("1 REGISTER", "four", "").as_bytes());
    endpoint.receive(now, flow(), request("2 BYE", "five", ";tag=unknown").as_bytes());
    let body = Body { content_type: "application/sdp".to_owned(), bytes: Vec::new() };
    endpoint.command(now, Command::Answer { session: SessionId::Inbound(1), body }).unwrap();
    // Outbound calls: nobody answers; a name that nobody resolves; one that is given up while it is resolved.
    endpoint.command(now, outbound(1, "127.0.0.3")).unwrap();
    endpoint.command(now, outbound(2, "gw.example.com")).unwrap();
    endpoint.command(now, outbound(3, "gw.example.com")).unwrap();
    endpoint.command(now, Command::Cancel { session: SessionId::Outbound(3), reason: None }).unwrap();

    // A registration that nobody answers and that ends meanwhile; one that is replaced by another Contact; a gateway
    // that is asked no more; messages to a name that nobody resolves and to nobody.
    endpoint.command(now, register("a", "alice", "sip:127.0.0.4")).unwrap();
    endpoint.command(now, Command::Unregister { account: "a".into() }).unwrap();
    endpoint.command(now, register("b", "bob", "sip:gw.example.com")).unwrap();
    endpoint.command(now, register("b", "carol", "sip:127.0.0.4")).unwrap();
    endpoint.command(now, Command::Unregister { account: "b".into() }).unwrap();
    for to in ["sip:127.0.0.5", "sip:gw.example.com"] {
        let (gateway, interval) = (GatewayName::from(to), Duration::from_secs(60));
        let ping = Ping { gateway: gateway.clone(), route: route(to), interval };
        endpoint.command(now, Command::Ping(Box::new(ping))).unwrap();
        endpoint.command(now, Command::Unping { gateway }).unwrap();
    }
    endpoint.command(now, page(1, "sip:gw.example.com")).unwrap();
    endpoint.command(now, page(2, "sip:127.0.0.6")).unwrap();

    let (ended, last) = run(&mut endpoint, now);
    assert_eq!(ended, 4);
    assert!(last - now < Duration::from_secs(32 + 5 + 32 + 5));
    assert_empty(&endpoint);
}
