//! How far tokens reach (`operations.md`: read, call, admin; `reliability.md` A1: in one place for HTTP, WebSocket and batch): every
//! method of the contract with every token, each way in.

use std::time::Duration;

use offhook::events::Retention;
use offhook_call::error::Error;
use offhook_client::Client;
use offhook_client::wire::{self, CloseReason, EventKind, OnClosed};
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, patient};

/// What changes nothing, written down by hand. What is not here needs `call`, or more.
const READING: &[&str] = &[
    "rpc.discover",
    "sys.call.exists",
    "sys.call.get",
    "sys.call.list",
    "sys.conf.exists",
    "sys.conf.get",
    "sys.conf.get_parts",
    "sys.conf.list",
    "sys.call.cdr",
    "sys.call.explain",
    "sys.event.ack",
    "sys.event.subscribe",
    "sys.event.unsubscribe",
    "sys.node.gateways",
];
/// What is for the owner of the node.
const ADMIN: &[&str] = &[
    "sys.event.webhook_add",
    "sys.event.webhook_list",
    "sys.event.webhook_redeliver",
    "sys.event.webhook_remove",
    "sys.event.webhook_test",
];
/// A token of each scope.
const TOKENS: [&str; 3] = ["read:r", "call:c", "admin:a"];

async fn server() -> Server {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(60) };
    Server::start_with(&TOKENS, retention, |_| Err(Error::ShuttingDown)).await
}

/// The place of a scope in their order.
fn rank(scope: &str) -> usize {
    ["read", "call", "admin"].iter().position(|name| *name == scope).unwrap()
}

fn needed(method: &str) -> usize {
    if READING.contains(&method) {
        rank("read")
    } else if ADMIN.contains(&method) {
        rank("admin")
    } else {
        rank("call")
    }
}

async fn methods(server: &Server) -> Vec<(String, String)> {
    let client = Client::connect(&server.url(), Some("r")).await.unwrap();
    let document = client.request("rpc.discover", Value::Null).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let methods = document["methods"].as_array().unwrap().iter();
    methods.map(|method| (text(&method["name"]), text(&method["x-scope"]))).collect()
}

fn is_refused(error: &Value, needed: usize) -> bool {
    let refused = error["data"]["reason"] == "not_permitted";
    if refused {
        assert_eq!(error["code"], -32013);
        assert_eq!(rank(error["data"]["scope"].as_str().unwrap()), needed);
    }
    refused
}

#[tokio::test]
async fn a1_every_method_with_every_token_each_way_in() {
    let server = server().await;
    let methods = methods(&server).await;
    assert!(methods.len() > 50, "{}", methods.len());
    for (method, shown) in methods {
        let needed = needed(&method);
        assert_eq!(rank(&shown), needed, "{method}: what the contract says");
        for (has, token) in ["r", "c", "a"].into_iter().enumerate() {
            // By position, so that what it needs is there and nothing is begun: no such call, or parameters that are none.
            let params = if method == "rpc.discover" { json!([]) } else { json!([{ "no": "such" }]) };
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            let headers = format!("Authorization: Bearer {token}\r\n");
            let expected = has < needed;

            let (status, answer) = server.post_as(&headers, &request.to_string()).await;
            assert_eq!(
                is_refused(&answer["error"], needed),
                expected,
                "{method} by POST as {token}: {answer}"
            );
            assert_eq!(status, if expected { 403 } else { 200 }, "{method} by POST as {token}");

            let (status, answer) = server.post_as(&headers, &json!([request]).to_string()).await;
            assert_eq!(status, 200);
            assert_eq!(
                is_refused(&answer[0]["error"], needed),
                expected,
                "{method} in a batch as {token}: {answer}"
            );

            let client = Client::connect(&server.url(), Some(token)).await.unwrap();
            let answer = client.request(&method, params).await;
            let refused = answer.as_ref().is_err_and(|error| error.reason() == Some("not_permitted"));
            assert_eq!(refused, expected, "{method} by WebSocket as {token}: {answer:?}");
        }
    }
}

/// A reader hears of everything, and takes nobody's calls away.
#[tokio::test]
async fn a_reader_joins_no_group() {
    let server = server().await;
    let reader = Client::connect(&server.url(), Some("r")).await.unwrap();
    reader.subscribe(None, None).await.unwrap();
    for params in [json!({ "group": "ivr" }), json!([null, "ivr"])] {
        let error = reader.request("sys.event.subscribe", params).await.unwrap_err();
        assert_eq!(error.reason(), Some("not_permitted"));
    }
    let worker = Client::connect(&server.url(), Some("c")).await.unwrap();
    let group = wire::Subscribe { group: Some("ivr".to_owned()), ..Default::default() };
    worker.subscribe_as(&group).await.unwrap();
}

/// Who may only read cannot act on a call: it is no application that an inbound call would wait for.
#[tokio::test]
async fn a_reader_is_no_application() {
    let mut server = server().await;
    let reader = Client::connect(&server.url(), Some("r")).await.unwrap();
    let _reading = reader.subscribe(None, None).await.unwrap();
    let worker = Client::connect(&server.url(), Some("c")).await.unwrap();
    let working = worker.subscribe(None, None).await.unwrap();
    server.applications(1).await;
    working.unsubscribe().await.unwrap();
    server.applications(0).await;
}

/// There is no way round by what is not quite the method's name.
#[tokio::test]
async fn a1_names_are_taken_as_they_are() {
    let server = server().await;
    for name in ["sys.call.DROP", " sys.call.drop", "sys.call.drop ", "sys.call.drop\u{0}"] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": ["0.0.0-sys.call-1"] });
        let (_, answer) = server.post_as("Authorization: Bearer r\r\n", &request.to_string()).await;
        assert_eq!(answer["error"]["data"]["reason"], "method_not_found", "{name:?}");
    }
    // A notification has no answer, and does nothing either.
    let request = json!({ "jsonrpc": "2.0", "method": "sys.call.drop", "params": ["0.0.0-sys.call-1"] });
    let (_, answer) = server.post_as("Authorization: Bearer r\r\n", &request.to_string()).await;
    assert_eq!(answer, Value::Null);
}

/// `EventSource` of a browser has no other way; nothing else takes a token from there.
#[tokio::test]
async fn a_stream_may_show_its_token_in_the_query() {
    let server = server().await;
    let ask = async |target: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[9..]).into_owned()
    };
    assert_eq!(ask("/sys/events?access_token=r").await, "200");
    assert_eq!(ask("/sys/events?access_token=x").await, "401");
    assert_eq!(ask("/sys/events").await, "401");
    assert_eq!(ask("/rpc?access_token=r").await, "401");
}

/// What a token has opened ends when it is taken away, or reaches less far; what others have opened goes on.
#[tokio::test]
async fn a_token_that_is_taken_away_ends_what_it_opened() {
    let server = server().await;
    let connect = async |token| {
        let client = Client::connect(&server.url(), Some(token)).await.unwrap();
        let events = client.subscribe(None, None).await.unwrap();
        (client, events)
    };
    let (worker, mut working) = connect("c").await;
    let (owner, mut owning) = connect("a").await;
    let (reader, mut reading) = connect("r").await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request =
        format!("GET /sys/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer c\r\n\r\n", server.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let good = |tokens: &[&str]| tokens.iter().map(|token| (*token).to_owned().try_into().unwrap()).collect();

    server.tokens.send_replace(good(&["read:r", "admin:a"]));
    let revoked = EventKind::Closed(OnClosed { reason: CloseReason::TokenRevoked });
    let told = patient(working.next()).await.unwrap().unwrap();
    assert_eq!(told.kind, revoked, "it is told why");
    assert!(!matches!(patient(working.next()).await, Some(Ok(_))));
    assert!(worker.call(&wire::Exists { res_id: "0.0.0-sys.call-1".to_owned() }).await.is_err());
    let mut rest = Vec::new();
    let _ = patient(stream.read_to_end(&mut rest)).await;

    server.tokens.send_replace(good(&["read:r", "read:a"]));
    assert_eq!(patient(owning.next()).await.unwrap().unwrap().kind, revoked);
    assert!(!matches!(patient(owning.next()).await, Some(Ok(_))));
    drop(owner);
    // The reader has heard nothing of all that.
    assert!(reader.subscribe(None, None).await.is_ok());
    assert!(tokio::time::timeout(Duration::from_millis(50), reading.next()).await.is_err());
}
