//! The words of LinkRTC and of SpRecord at the door (`notifications.md`): hooks, the handshake, and Server-Sent Events.

use std::process::Command;
use std::time::Duration;

use md5::{Digest, Md5};
use offhook_client::wire::{
    CallDir, CallState, EventKind, OnStateChanged, WebhookAdd, WebhookFormat, WebhookList,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::receiver::{OK, Received, Receiver};
use crate::server::{Server, patient};

fn change(server: &mut Server, call: u64, state: CallState, prior_state: Option<CallState>) {
    let kind = EventKind::StateChanged(OnStateChanged {
        res_id: format!("0.0.0-sys.call-{call}"),
        state,
        prior_state,
        call_dir: CallDir::Inbound,
        from_uri: "sip:1000@192.0.2.1".to_owned(),
        from_name: None,
        to_uri: "sip:2000@192.0.2.2".to_owned(),
        gateway: Some("carrier".to_owned()),
    });
    server.log.append(1, kind);
}

fn call(server: &mut Server, call: u64) {
    change(server, call, CallState::Initiated, None);
    change(server, call, CallState::Answer, Some(CallState::Initiated));
    change(server, call, CallState::Idle, Some(CallState::Answer));
    server.tell(call, true);
}

/// Python makes the signature as the document describes it.
#[tokio::test]
async fn a_hook_of_linkrtc_is_told_the_states_of_calls() {
    const CHECK: &str = "import sys, hashlib
h = lambda text: hashlib.md5(text.encode()).hexdigest().upper()
print(h(''.join(sorted(h(part) for part in sys.argv[1:]))), end='')";
    let mut server = Server::start_unasked().await;
    let mut receiver = Receiver::start(|_, _| OK.to_owned()).await;
    let hook = WebhookAdd {
        url: receiver.url("/"),
        format: WebhookFormat::Linkrtc,
        project_sid: Some("Project1".to_owned()),
        app_secret: Some("123abc".to_owned()),
        ..Default::default()
    };
    server.client().await.call(&hook).await.unwrap();
    call(&mut server, 1);
    for (state, prior) in [("pending", None), ("confirmed", Some("pending")), ("dropped", Some("confirmed"))]
    {
        let request = receiver.next().await;
        let (from, to) = if state == "dropped" { ("a", "b") } else { ("1000", "2000") };
        let expected = json!({
            "type": "event.CallStateChanged",
            "data": { "call": {
                "id": "0.0.0-sys.call-1", "dir": "incoming", "current_state": state, "prior_state": prior, "from": from, "to": to
            } }
        });
        assert_eq!(request.json(), expected);
        assert_eq!(request.headers["content-type"], "application/json; charset=utf-8");
        let timestamp = request.headers["x-linkrtc-timestamp"].as_str();
        let python =
            Command::new("python3").args(["-c", CHECK, "Project1", "123abc", timestamp]).output().unwrap();
        assert_eq!(request.headers["x-linkrtc-signature"].as_bytes(), python.stdout);
        assert!(!request.headers.contains_key("webhook-signature"), "it has no secret");
    }
}

/// A hook that answers the MD5 of what verifies it, in some form.
fn answer(form: impl Fn(String) -> String) -> impl Fn(usize, &Received) -> String {
    move |_, request| {
        let event = request.json();
        if event["event_type"] != "verification" {
            return OK.to_owned();
        }
        let digest = Md5::digest(event["payload"].as_str().unwrap());
        let body = form(digest.iter().map(|byte| format!("{byte:02X}")).collect());
        format!("200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }
}

async fn subscribe(server: &Server, hook: &str, kinds: &[&str]) -> (u16, Value) {
    let body = json!({ "hook": hook, "subscribe": kinds }).to_string();
    let request = format!(
        "POST /sys/subscribe_events HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let (status, text) = server.raw(&request).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_hook_of_sprecord_verifies_before_it_is_told() {
    let mut server = Server::start_unasked().await;
    let client = server.client().await;
    let mut bare = Receiver::start(answer(|digest| digest)).await;
    let mut object =
        Receiver::start(answer(|digest| json!({ "result": digest.to_lowercase() }).to_string())).await;
    let mut wrong =
        Receiver::start(answer(|digest| digest.replace(['0', '1', '2', '3', '4', '5', '6', '7'], "8"))).await;
    let mut refusing = Receiver::start(|_, _| "500 Internal Server Error\r\n".to_owned()).await;

    let kinds = ["call_end", "incoming_call"];
    let told = subscribe(&server, &bare.url("/a"), &kinds).await;
    // The settings, in the order of the document.
    assert_eq!(told, (200, json!({ "hook": bare.url("/a"), "subscribe": ["incoming_call", "call_end"] })));
    let verification = bare.next().await.json();
    assert_eq!(
        (&verification["device_id"], &verification["event_type"]),
        (&json!("0.0.0"), &json!("verification"))
    );

    for (hook, kinds, why) in [
        (wrong.url("/"), &kinds[..], "does not answer the MD5"),
        (refusing.url("/"), &kinds[..], "answers 500"),
        ("http://10.0.0.1/".to_owned(), &kinds[..], "allow_networks does not allow"),
        ("app.example".to_owned(), &kinds[..], "expected http://"),
        (bare.url("/a"), &["call_ends"][..], "there is no event \"call_ends\""),
    ] {
        let (status, told) = subscribe(&server, &hook, kinds).await;
        assert!(status == 400 && told["error"].as_str().unwrap().contains(why), "{status} {told}");
    }
    wrong.next().await;
    refusing.next().await;

    // The old settings have been kept.
    call(&mut server, 1);
    let (begun, end) = (bare.next().await.json(), bare.next().await.json());
    let payload = json!({
        "call_id": "0.0.0-sys.call-1", "call_src": "1000", "call_dst": "2000", "trunk": "carrier"
    });
    assert_eq!(begun, json!({ "device_id": "0.0.0", "event_type": "incoming_call", "payload": payload }));
    let payload =
        json!({ "call_id": "0.0.0-sys.call-1", "record_id": null, "duration": null, "status": "no_answer" });
    assert_eq!(end, json!({ "device_id": "0.0.0", "event_type": "call_end", "payload": payload }));

    // Another takes its place, and none that of the other.
    assert_eq!(subscribe(&server, &object.url("/b"), &["start_talk"]).await.0, 200);
    object.next().await;
    call(&mut server, 2);
    assert_eq!(object.next().await.json()["event_type"], "start_talk");
    assert_eq!(client.call(&WebhookList {}).await.unwrap().len(), 1);
    assert_eq!(subscribe(&server, "", &[]).await, (200, json!({ "hook": "", "subscribe": [] })));
    assert_eq!(client.call(&WebhookList {}).await.unwrap(), []);
    assert!(bare.rest().is_empty() && object.rest().is_empty());
}

/// A connection to `/sys/events`.
struct Events {
    socket: TcpStream,
    /// What has come of the body and was not asked for.
    text: String,
}

impl Events {
    /// With its head.
    async fn open(server: &Server, headers: &str) -> (Self, String) {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /sys/events HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", server.address);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self { socket, text: String::new() };
        let head = events.until("\r\n\r\n").await;
        (events, head)
    }

    async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(patient(self.socket.read_u8()).await.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    /// The next chunk of the body (RFC 9112 §7.1).
    async fn chunk(&mut self) -> String {
        let length = self.until("\r\n").await;
        let mut chunk = vec![0; usize::from_str_radix(length.trim(), 16).unwrap() + 2];
        patient(self.socket.read_exact(&mut chunk)).await.unwrap();
        String::from_utf8(chunk).unwrap().trim_end_matches("\r\n").to_owned()
    }

    /// The next frame, up to its blank line.
    async fn frame(&mut self) -> String {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                return frame;
            }
            let chunk = self.chunk().await;
            self.text.push_str(&chunk);
        }
    }

    /// The next event: its number and its JSON.
    async fn event(&mut self) -> (u64, Value) {
        loop {
            let frame = self.frame().await;
            if let Some((id, data)) = frame.strip_prefix("id: ").and_then(|rest| rest.split_once("\ndata: "))
            {
                return (id.parse().unwrap(), serde_json::from_str(data).unwrap());
            }
            assert!(frame.starts_with(':'), "{frame}");
        }
    }
}

#[tokio::test]
async fn events_stream_to_three_connections_and_are_resumed() {
    let mut server = Server::start_unasked().await;
    call(&mut server, 1);
    let (mut first, head) = Events::open(&server, "").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream\r\n"),
        "{head}"
    );
    assert!(first.frame().await.starts_with(": "), "a comment says that it is there");
    let (mut second, _) = Events::open(&server, "Last-Event-ID: 1\r\n").await;
    let (third, _) = Events::open(&server, "").await;
    let (_, head) = Events::open(&server, "").await;
    assert!(head.starts_with("HTTP/1.1 429"), "{head}");

    change(&mut server, 2, CallState::Initiated, None);
    let (id, event) = first.event().await;
    let payload = json!({
        "call_id": "0.0.0-sys.call-2", "call_src": "1000", "call_dst": "2000", "trunk": "carrier"
    });
    assert_eq!(
        (id, event),
        (5, json!({ "device_id": "0.0.0", "event_type": "incoming_call", "payload": payload }))
    );
    let mut resumed = Vec::new();
    for _ in 0..3 {
        let (id, event) = second.event().await;
        resumed.push((id, event["event_type"].as_str().unwrap().to_owned()));
    }
    let resumed: Vec<(u64, &str)> = resumed.iter().map(|(id, kind)| (*id, kind.as_str())).collect();
    assert_eq!(resumed, [(3, "start_talk"), (4, "call_end"), (5, "incoming_call")]);

    // Who goes makes room.
    drop(third);
    let again = async {
        loop {
            let (events, head) = Events::open(&server, "").await;
            if head.starts_with("HTTP/1.1 200") {
                return events;
            }
            tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.unwrap_err();
        }
    };
    let mut again = patient(again).await;
    change(&mut server, 2, CallState::Idle, Some(CallState::Initiated));
    assert_eq!((again.event().await.0, first.event().await.0), (6, 6));
    // At the end of the server all of them end, with a comment before it at most.
    server.stop();
    let end = again.until("0\r\n\r\n").await;
    assert!(end.ends_with("0\r\n\r\n") && !end.contains("data: "), "{end:?}");
    server.stopped().await;
}
