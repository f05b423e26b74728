//! Bodies that nobody honest sends (`reliability.md` A3): each is answered, nothing of it is done, and the connection that it
//! came by goes on.

use offhook_call::Reply;
use serde_json::{Value, json};

use crate::server::{RawWebSocket, Server, patient};

const CALL: &str = "0.0.0-sys.call-1";

/// A request for `method` with `params` as they are written.
fn body(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// Posts `body`, then sends it over a WebSocket too, which must go on: gives the error of the first.
async fn error_of(server: &Server, socket: &mut RawWebSocket, body: &str) -> Value {
    let (_, response) = server.post(body).await;
    let shown: String = body.chars().take(200).collect();
    assert!(response.get("result").is_none(), "{shown}: {response}");
    socket.send(body).await;
    socket
        .send(
            &json!({ "jsonrpc": "2.0", "id": "on", "method": "sys.call.exists", "params": [""] }).to_string(),
        )
        .await;
    patient(socket.read_until(r#""id":"on","result":false}"#)).await;
    response["error"].clone()
}

#[tokio::test]
async fn a3_a_body_that_is_too_large() {
    let server = Server::start_unasked().await;
    let body = body("sys.call.nop", &format!(r#"["{}"]"#, "x".repeat(1 << 20)));
    let (status, response) = server.post(&body).await;
    assert_eq!((status, &response["error"]["code"]), (413, &json!(-32600)));
    assert_eq!(response["error"]["data"]["reason"], "invalid_request");

    // Over WebSocket too, in the same words; and the connection goes on.
    let mut socket = RawWebSocket::connect(&server).await;
    socket.send(&body).await;
    let answer = patient(socket.read_until("}}")).await;
    assert!(answer.contains(r#""id":null,"error":{"code":-32600,"#), "{answer}");
    assert!(answer.contains(r#""reason":"invalid_request""#), "{answer}");
    error_of(&server, &mut socket, "{").await;
}

#[tokio::test]
async fn a3_deep_nesting() {
    let server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [33, 127, 1_000, 100_000] {
            let inside = if close == "}" { "1" } else { "" };
            let deep = format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
            let error = error_of(&server, &mut socket, &body("sys.call.play_start", &deep)).await;
            assert_eq!(
                (&error["code"], &error["data"]["param"]),
                (&json!(-32602), &json!("params")),
                "{depth}"
            );
        }
        let broken = open.repeat(100_000);
        let error = error_of(&server, &mut socket, &body("sys.call.play_start", &broken)).await;
        assert_eq!(error["code"], -32700);
        let error = error_of(&server, &mut socket, &broken).await;
        assert_eq!(error["code"], -32700);
    }
}

#[tokio::test]
async fn a3_a_batch_of_too_many() {
    let server = Server::start(|_| Ok(Reply::Done)).await;
    let mut socket = RawWebSocket::connect(&server).await;
    let nop = body("sys.call.nop", &json!([CALL]).to_string());
    for count in [101, 5_000] {
        let batch = format!("[{}]", vec![nop.as_str(); count].join(","));
        // One error for all of it.
        let error = error_of(&server, &mut socket, &batch).await;
        assert_eq!(error["code"], -32600, "{count}");
        assert_eq!(error["data"]["reason"], "invalid_request", "{count}");
        let mut other = RawWebSocket::connect(&server).await;
        other.send(&batch).await;
        let answer = patient(other.read_until("}}")).await;
        assert!(answer.contains(r#""id":null,"error":{"code":-32600,"#), "{answer}");
        assert!(answer.contains(r#""reason":"invalid_request""#), "{answer}");
    }
    let rubbish = format!("[{}]", vec!["5"; 100].join(","));
    let (_, answers) = server.post(&rubbish).await;
    let answers = answers.as_array().unwrap();
    assert!(answers.len() == 100 && answers.iter().all(|answer| answer["error"]["code"] == -32600));
    let empty = error_of(&server, &mut socket, "[]").await;
    assert_eq!(empty["code"], -32600);
}

#[tokio::test]
async fn a3_names_that_come_twice() {
    let server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    let twice = format!(r#"{{"res_id":"{CALL}","cause":486,"res_id":"{CALL}"}}"#);
    let error = error_of(&server, &mut socket, &body("sys.call.drop", &twice)).await;
    assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("res_id")));
    let header =
        r#"{"from_uri":"a@h","to_uri":"b@h","max_answer_seconds":1,"headers":{"X-A":"1","X-A":"2"}}"#;
    let error = error_of(&server, &mut socket, &body("sys.call.construct", header)).await;
    assert_eq!(error["code"], -32602);
    assert!(error["data"]["param"].as_str().unwrap().starts_with("headers"), "{error}");
    for (member, code) in [
        (r#""method":"sys.call.nop""#, json!(-32600)),
        (r#""params":[]"#, json!(-32600)),
        (r#""jsonrpc":"2.0""#, json!(-32600)),
        // With two names for itself it has none, like a notification, which is told and does nothing.
        (r#""id":2"#, Value::Null),
    ] {
        let whole =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"sys.call.nop","params":["{CALL}"],{member}}}"#);
        assert_eq!(error_of(&server, &mut socket, &whole).await["code"], code, "{member}");
    }
}

#[tokio::test]
async fn a3_numbers_that_are_none() {
    let server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    for number in ["1e400", "-1e400", "1e999999999", "486.0", "4.86e2", "-0", "-0.0", "18446744073709551616"]
    {
        let params = format!(r#"["{CALL}",{number}]"#);
        let error = error_of(&server, &mut socket, &body("sys.call.drop", &params)).await;
        assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("cause")), "{number}");
    }
    for no_json in ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1e", "--1", "1_000"] {
        let params = format!(r#"["{CALL}",{no_json}]"#);
        let error = error_of(&server, &mut socket, &body("sys.call.drop", &params)).await;
        assert_eq!(error["code"], -32700, "{no_json}");
    }
}

#[tokio::test]
async fn a3_half_of_a_surrogate_pair() {
    let server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    for half in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x", r"\udfff\ud800"] {
        let error = error_of(&server, &mut socket, &body("sys.call.nop", &format!(r#"["{half}"]"#))).await;
        assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("res_id")), "{half}");
        let named = format!(r#"{{"{half}":1}}"#);
        let error = error_of(&server, &mut socket, &body("sys.call.nop", &named)).await;
        assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("params")), "{half}");
        let error = error_of(&server, &mut socket, &body(half, "[]")).await;
        assert!([json!(-32600), json!(-32700)].contains(&error["code"]), "{half}: {error}");
    }
    // A whole pair is a character.
    let error = error_of(&server, &mut socket, &body("sys.call.nop", r#"["\ud83d\ude00"]"#)).await;
    assert_eq!(error["data"]["res_id"], "😀");
}

/// The longest body that is taken.
const MIB: usize = 1 << 20;

/// What all bodies may take together: sixty-four of the longest, and each its first 16 KiB for nothing.
const LONG_BODIES: usize = 65;

/// Those of POST and of WebSockets: of a message the library makes room for all as soon as its head is there.
#[tokio::test]
async fn a3_bodies_of_all_connections_together_have_a_bound() {
    let server = Server::start(|_| Ok(Reply::Done)).await;
    let waiting = long_messages(&server).await;
    let nop =
        |length: usize| format!("{}{}", body("sys.call.nop", &format!(r#"["{CALL}"]"#)), " ".repeat(length));
    let refused = async {
        loop {
            // The others are read when the server comes to it.
            let (status, response) = server.post(&nop(200_000)).await;
            if status == 503 {
                return response;
            }
        }
    };
    let response = patient(refused).await;
    let error = &response["error"];
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32005), &json!("limit_reached")));
    assert_eq!((&error["data"]["limit"], &error["data"]["value"]), (&json!("bodies"), &json!(64 * MIB)));
    assert_eq!(server.post(&nop(0)).await.0, 200, "what is short is always taken");
    // Those that are gone leave their room.
    drop(waiting);
    patient(async { while server.post(&nop(200_000)).await.0 != 200 {} }).await;
}

/// So many as there is room for, each with its head there and nothing else.
async fn long_messages(server: &Server) -> Vec<RawWebSocket> {
    let mut waiting = Vec::new();
    for _ in 0..LONG_BODIES {
        let mut socket = RawWebSocket::connect(server).await;
        socket.send_head(MIB).await;
        waiting.push(socket);
    }
    waiting
}

#[tokio::test]
async fn a3_messages_of_all_websockets_together_have_a_bound() {
    let server = Server::start(|_| Ok(Reply::Done)).await;
    let waiting = long_messages(&server).await;
    let nop = body("sys.call.nop", &format!(r#"["{CALL}"]"#));
    let mut one_more = RawWebSocket::connect(&server).await;
    let cut = async {
        // The others are read when the server comes to it.
        loop {
            one_more.send_head(MIB).await;
            if one_more.is_closed().await {
                return;
            }
            one_more = RawWebSocket::connect(&server).await;
        }
    };
    patient(cut).await;
    let mut short = RawWebSocket::connect(&server).await;
    short.send(&nop).await;
    patient(short.read_until(r#""result":null}"#)).await;
    // Those that are gone leave their room.
    drop(waiting);
    let long = format!("{nop}{}", " ".repeat(MIB - 200));
    let mut socket = RawWebSocket::connect(&server).await;
    socket.send(&long).await;
    patient(socket.read_until(r#""result":null}"#)).await;
}
