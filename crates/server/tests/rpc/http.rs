//! The port itself: paths, POST, batches, tokens, origins, and what is too large or broken.

use std::time::Duration;

use offhook::events::Retention;
use offhook_call::Reply;
use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_client::{Client, Error};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Asked, PATIENCE, RawWebSocket, Server};

const NOP: &str = r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.nop","params":["0.0.0-sys.call-1"]}"#;

#[tokio::test]
async fn paths() {
    let server = Server::start_unasked().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let (status, body) = server.raw(&get("/healthz")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok"}"#));
    assert_eq!(server.raw(&get("/readyz")).await, (200, r#"{"status":"ready"}"#.to_owned()));
    assert_eq!(server.raw(&get("/console")).await.0, 404);
    assert_eq!(server.raw(&get("/rpc/")).await.0, 404);
    let get_rpc = get("/rpc").replace("Host: h", "Host: localhost");
    assert_eq!(server.raw(&get_rpc).await.0, 405, "no side effects by GET");
    assert_eq!(server.raw(&get("/rpc")).await.0, 403, "a name that may be anybody's");
    assert_eq!(server.raw("POST /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.0, 405);
    assert_eq!(server.raw("rubbish\r\n\r\n").await.0, 400);
}

/// The console is for who has no token yet too, and nothing may run in it but what is its own.
#[tokio::test]
async fn the_console() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(60) };
    let server = Server::start_with(&["admin:s3cret"], retention, |_| Ok(Reply::Done)).await;
    let get = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (status, page) = server.raw(get).await;
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    let head = server.head(get).await.to_lowercase();
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    let policy = head.lines().find(|line| line.starts_with("content-security-policy: ")).expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(server.raw(&get.replace("GET", "POST")).await.0, 405);
    // The token of its WebSocket, by which it is agreed to speak; s3cret in base64.
    let upgrade = |names: &str| {
        format!(
            "GET /rpc HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {names}\r\n\r\n"
        )
    };
    let head = server.head(&upgrade("offhook, offhook.bearer.czNjcmV0")).await.to_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("sec-websocket-protocol: offhook\r\n"),
        "{head}"
    );
    assert!(!head.contains("cznjcmv0"), "{head}");
    let head = server.head(&upgrade("offhook, offhook.bearer.d3Jvbmc")).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
}

/// The exposition format of Prometheus: each family once with its help and type, and its samples below it.
#[tokio::test]
async fn metrics() {
    let server = Server::start_unasked().await;
    let get = "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (status, text) = server.raw(get).await;
    assert_eq!(status, 200);
    for line in [
        "# TYPE offhook_calls gauge",
        "offhook_calls 5",
        "# TYPE offhook_conferences gauge",
        "offhook_conferences 2",
        "offhook_gateway_up{gateway=\"carrier\"} 1",
        "offhook_gateway_registered{gateway=\"carrier\"} 0",
        "offhook_gateway_calls{gateway=\"local\"} 3",
        "offhook_gateway_resting{gateway=\"carrier\"} 1",
        "offhook_gateway_rests_total{gateway=\"carrier\"} 2",
        "offhook_gateway_max_calls{gateway=\"carrier\"} 30",
        "# TYPE offhook_sip_received_total counter",
        "offhook_sip_received_total 17",
        "offhook_sip_sessions 2",
        "offhook_sip_unsent_total 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Requests are counted by method and code, alone and in a batch, and by no name that there is not.
    server.post(r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.nope","params":[]}"#).await;
    let exists = r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.exists","params":["x"]}"#;
    server.post(&format!("[{exists},{exists}]")).await;
    server.post(r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.exists","params":[7]}"#).await;
    let (_, counted) = server.raw(get).await;
    for line in [
        r#"offhook_rpc_requests_total{method="sys.call.exists",code="ok"} 2"#,
        r#"offhook_rpc_requests_total{method="sys.call.exists",code="-32602"} 1"#,
        r#"offhook_rpc_requests_total{method="unknown",code="-32601"} 1"#,
    ] {
        assert!(counted.lines().any(|found| found == line), "{line} is not in\n{counted}");
    }
    assert!(!counted.contains("nope"));
    // What is not known is not there, rather than wrong.
    assert!(!text.contains("offhook_gateway_up{gateway=\"local\"}"));
    assert!(!text.contains("offhook_gateway_max_calls{gateway=\"local\"}"));
    let mut families = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.split(' ').next().unwrap()), "{family} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(families.contains(name.split('{').next().unwrap()), "{line} before its type");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(server.raw("POST /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.0, 405);
}

#[tokio::test]
async fn post_and_batch() {
    let server = Server::start(|_| Ok(Reply::Done)).await;
    assert_eq!(server.post(NOP).await, (200, json!({ "jsonrpc": "2.0", "id": 1, "result": null })));

    let unknown = r#"{"jsonrpc":"2.0","id":"two","method":"nope"}"#;
    let (status, batch) = server.post(&format!("[{NOP},{unknown},5]")).await;
    assert_eq!((status, batch.as_array().unwrap().len()), (200, 3));
    assert_eq!(batch[0]["result"], Value::Null);
    assert_eq!((&batch[1]["id"], &batch[1]["error"]["code"]), (&json!("two"), &json!(-32601)));
    assert_eq!(batch[1]["error"]["data"]["reason"], "method_not_found");
    assert_eq!(batch[2]["error"]["code"], -32600);

    let hundred = vec![NOP; 100].join(",");
    assert_eq!(server.post(&format!("[{hundred}]")).await.1.as_array().unwrap().len(), 100);
    let (_, refused) = server.post(&format!("[{hundred},{NOP}]")).await;
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(refused["error"]["data"]["reason"], "invalid_request");
}

#[tokio::test]
async fn what_is_not_json_rpc() {
    let server = Server::start_unasked().await;
    for (body, code) in [("{", -32700), ("", -32700), ("[]", -32600), (r#"{"id":1}"#, -32600)] {
        let (_, response) = server.post(body).await;
        assert_eq!(response["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn subscriptions_need_a_websocket_and_no_batch() {
    let server = Server::start_unasked().await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.subscribe"}"#;
    let (_, response) = server.post(subscribe).await;
    assert_eq!(
        (&response["error"]["code"], &response["error"]["data"]["reason"]),
        (&json!(-32600), &json!("invalid_request"))
    );
    let (_, response) = server.post(&format!("[{subscribe}]")).await;
    assert_eq!(response[0]["error"]["code"], -32600);
}

/// What is pipelined on one WebSocket reaches the calls in the order in which it was written. The runtime is of one
/// thread, as in production: see `request` in `src/rpc/mod.rs`.
#[tokio::test(flavor = "current_thread")]
async fn pipelined_requests_keep_their_order() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let socket = RawWebSocket::connect(&server).await;
    // Every other request is much longer to read than its neighbours, which therefore would overtake it.
    let content = vec!["a/long/name/of/a/prompt.wav"; 100].join("|");
    let request = |n: u64| {
        let res_id = format!("0.0.0-sys.call-{n}");
        let (method, params) = match n % 2 {
            0 => ("sys.call.play_start", json!({ "content": content, "res_id": res_id })),
            _ => ("sys.call.nop", json!([res_id])),
        };
        json!({ "jsonrpc": "2.0", "id": n, "method": method, "params": params }).to_string()
    };
    let _open = socket.send_burst(&(1..=500).map(request).collect::<Vec<_>>()).await;
    for n in 1..=500 {
        let call = match server.asked().await {
            Asked::Command(Command::Nop { call } | Command::PlayStart { call, .. }) => call,
            other => panic!("{other:?}"),
        };
        assert_eq!(call, CallId(n));
    }
}

/// Heads and bodies that never come to an end are given up after 30 s, as is a connection that asks for nothing.
#[tokio::test(flavor = "current_thread")]
async fn a2_who_does_not_come_to_an_end_is_not_waited_for() {
    let server = Server::start_unasked().await;
    let whole = server.request("", NOP);
    let (head, body) = whole.split_at(whole.find("\r\n\r\n").unwrap() + 4);
    for begun in ["", "POST /rp", &head[..head.len() - 2], head, &format!("{head}{}", &body[..20])] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(begun.as_bytes()).await.unwrap();
        // It is there, and read.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        let waiting = tokio::time::timeout(Duration::from_millis(50), socket.read_to_end(&mut answer)).await;
        assert!(waiting.is_err(), "{begun:?} was given up at once: {}", String::from_utf8_lossy(&answer));
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(30_001)).await;
        tokio::time::resume();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{begun:?} is still waited for");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{begun:?} was answered");
    }
}

/// One that asks and never listens is not read any more, so that answers do not pile up.
#[tokio::test]
async fn a2_who_does_not_listen_is_not_heard() {
    let server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    // Large questions, larger answers: far more of both than the sockets can hold.
    let padding = " ".repeat(50_000);
    let question = format!(r#"{{"jsonrpc":"2.0","id":1,{padding}"method":"rpc.discover"}}"#);
    let mut taken = 0;
    while tokio::time::timeout(Duration::from_millis(500), socket.send(&question)).await.is_ok() {
        taken += 1;
        assert!(taken < 4_000, "200 MB of questions were taken in");
    }
    // Others are served all the while.
    assert_eq!(server.post(r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#).await.0, 200);
}

#[tokio::test]
async fn tokens() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(60) };
    let server = Server::start_with(&["s3cret"], retention, |_| Ok(Reply::Done)).await;
    assert_eq!(server.post(NOP).await.0, 401);
    assert!(matches!(Client::connect(&server.url(), None).await, Err(Error::Refused { status: 401 })));
    let wrong = Client::connect(&server.url(), Some("wrong")).await;
    assert!(matches!(wrong, Err(Error::Refused { status: 401 })));
    Client::connect(&server.url(), Some("s3cret")).await.unwrap().nop("0.0.0-sys.call-1").await.unwrap();
    let (status, _) = server.raw("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status, 200, "health is for whoever watches");
}

#[tokio::test]
async fn a10_pages_of_other_origins() {
    let server = Server::start(|_| Ok(Reply::Done)).await;
    let post = |origin: &str| {
        format!(
            "POST /rpc HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{NOP}",
            server.address,
            NOP.len()
        )
    };
    assert_eq!(server.raw(&post("http://evil.example")).await.0, 403);
    assert_eq!(server.raw(&post(&format!("http://{}", server.address))).await.0, 200);
}

#[tokio::test]
async fn a_full_queue_is_an_answer() {
    // A control loop that hears nothing: its queue of one fills up.
    let (tx, _rx) = tokio::sync::mpsc::channel(1);
    let control = offhook::control_handle::ControlHandle::new(tx);
    let command = || Command::Nop { call: CallId(1) };
    let first = tokio::spawn({
        let control = control.clone();
        async move { control.request(command()).await }
    });
    tokio::task::yield_now().await;
    let second = control.request(command()).await;
    assert_eq!(second, Err(offhook_call::error::Error::LimitReached { limit: "queue", value: 1 }));
    first.abort();
}
