//! After the last call every table is empty, those too that no counter shows.

use std::time::Duration;

use crate::event::{Body, Command, Event, Flow, Invite, Route, SessionId, Transport};
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
        routes: vec![Route { to: format!("sip:200@{host}"), proxy: None, credentials: None }],
        redirect_hosts: Vec::new(),
        headers: Vec::new(),
        body: Body { content_type: "application/sdp".to_owned(), bytes: Vec::new() },
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

    let mut ended = 0;
    let mut last = now;
    loop {
        while endpoint.poll_transmit().is_some() {}
        while let Some(event) = endpoint.poll_event() {
            ended += usize::from(matches!(event, Event::Ended { .. }));
        }
        let Some(at) = endpoint.poll_timeout() else { break };
        last = at;
        endpoint.handle_timeout(at);
    }
    assert_eq!(ended, 4);
    assert!(last - now < Duration::from_secs(32 + 8 + 32 + 5));
    assert!(endpoint.sessions.is_empty() && endpoint.ended.is_empty() && endpoint.dialogs.is_empty());
    assert!(endpoint.core.queries.is_empty());
    endpoint.core.transactions.assert_empty();
}
