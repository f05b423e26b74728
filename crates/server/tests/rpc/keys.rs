//! `request_key` (`reliability.md` A4, G21): whatever is sent again, over whatever connections, is carried out once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offhook::events::Retention;
use offhook_call::Reply;
use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_client::Client;
use offhook_client::wire;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server::{Asked, RawWebSocket, Server, patient};

const CALL: &str = "0.0.0-sys.call-1";

/// Calls that are numbered as they are made; everything else is done.
fn numbered() -> impl Fn(&Command) -> Result<Reply, Error> + Send + 'static {
    let made = AtomicU64::new(0);
    move |command| match command {
        Command::Construct(construct) => {
            let call = CallId(made.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(Reply::Constructed { call, user_data: construct.user_data.clone() })
        }
        _ => Ok(Reply::Done),
    }
}

fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn construct(key: &str) -> Value {
    json!({ "from_uri": "a@h", "to_uri": "b@h", "max_answer_seconds": 60, "request_key": key })
}

/// Everything that the control loop has been asked so far.
fn asked(server: &mut Server) -> usize {
    let mut count = 0;
    while let Ok(asked) = server.asked.try_recv() {
        count += usize::from(matches!(asked, Asked::Command(_)));
    }
    count
}

#[tokio::test]
async fn a4_a_repeat_is_told_the_first_result_and_is_not_carried_out() {
    let mut server = Server::start(numbered()).await;
    let client = server.client().await;
    let first = client.request("sys.call.construct", construct("k")).await.unwrap();
    let told = |replayed: bool| json!({ "res_id": CALL, "ipsc_info": { "process_id": 7 }, "user_data": null, "replayed": replayed });
    assert_eq!(first, told(false));
    // Over another WebSocket, by POST and in a batch; with the names in another order and the defaults written out.
    assert_eq!(
        server.client().await.request("sys.call.construct", construct("k")).await.unwrap(),
        told(true)
    );
    let written_out = r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.construct","params":{"request_key":"k",
        "max_answer_seconds":60,"headers":{},"user_data":null,"max_ring_seconds":50,"to_uri":"b@h","from_uri":"a@h"}}"#;
    let (_, posted) = server.post(written_out).await;
    assert_eq!(posted["result"], told(true));
    let (_, batch) = server.post(&format!("[{written_out},{written_out}]")).await;
    assert_eq!((&batch[0]["result"], &batch[1]["result"]), (&told(true), &told(true)));
    assert_eq!(asked(&mut server), 1);
    // Another key is another call, and so is none.
    let other = client.request("sys.call.construct", construct("l")).await.unwrap();
    assert_eq!(other["res_id"], "0.0.0-sys.call-2");
    let mut plain = construct("k");
    plain.as_object_mut().unwrap().remove("request_key");
    let plain = client.request("sys.call.construct", plain).await.unwrap();
    assert_eq!((&plain["res_id"], plain.get("replayed")), (&json!("0.0.0-sys.call-3"), None));
}

/// What has nothing to say says whether it is a repeat, where a key asks for it.
#[tokio::test]
async fn a_result_that_is_null_becomes_an_object() {
    let mut server = Server::start(numbered()).await;
    let client = server.client().await;
    let nop = json!({ "res_id": CALL, "request_key": "k" });
    assert_eq!(client.request("sys.call.nop", nop.clone()).await.unwrap(), json!({ "replayed": false }));
    assert_eq!(client.request("sys.call.nop", nop).await.unwrap(), json!({ "replayed": true }));
    assert_eq!(client.request("sys.call.nop", json!([CALL])).await.unwrap(), Value::Null);
    let null = json!({ "res_id": CALL, "request_key": null });
    assert_eq!(client.request("sys.call.nop", null).await.unwrap(), Value::Null);
    assert_eq!(asked(&mut server), 3);
}

#[tokio::test]
async fn the_client_sends_a_request_once() {
    let mut server = Server::start(numbered()).await;
    let client = server.client().await;
    let nop = wire::Nop { res_id: CALL.to_owned() };
    let construct = wire::Construct {
        from_uri: "a@h".to_owned(),
        to_uri: "b@h".into(),
        max_answer_seconds: 60,
        ..Default::default()
    };
    for replayed in [false, true] {
        assert_eq!(client.call_once(&nop, "n").await.unwrap().replayed, replayed);
        let once = client.call_once(&construct, "c").await.unwrap();
        assert_eq!((once.result.res_id.as_str(), once.replayed), (CALL, replayed));
    }
    assert_eq!(asked(&mut server), 2);
}

#[tokio::test]
async fn a_key_of_another_request_is_an_error() {
    let mut server = Server::start(numbered()).await;
    let client = server.client().await;
    client.request("sys.call.construct", construct("k")).await.unwrap();
    let mut other = construct("k");
    other["max_answer_seconds"] = json!(61);
    for (method, params) in
        [("sys.call.construct", other), ("sys.call.nop", json!({ "res_id": CALL, "request_key": "k" }))]
    {
        let error = client.request(method, params).await.unwrap_err();
        let offhook_client::Error::Rpc { code, data, .. } = error else { panic!("{error}") };
        assert_eq!((code, data), (-32602, json!({ "reason": "key_reused", "param": "request_key" })));
    }
    assert_eq!(asked(&mut server), 1);
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_while_that_is_under_way() {
    let mut server = Server::start(numbered()).await;
    server.answers.forget_permits(usize::MAX >> 3);
    let client = server.client().await;
    let other = server.client().await;
    for (method, params) in [
        ("sys.call.construct", construct("k")),
        ("sys.call.nop", json!({ "res_id": CALL, "request_key": "n" })),
    ] {
        let first = client.request(method, params.clone());
        let repeat = other.request(method, params.clone());
        let answers = server.answers.clone();
        let release = async {
            // The first is in the control loop, which does not answer; the repeat has had the time to get there too.
            patient(server.asked.recv()).await.unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            answers.add_permits(1);
        };
        let (first, repeat, ()) = tokio::join!(first, repeat, release);
        let replayed = [first.unwrap()["replayed"].clone(), repeat.unwrap()["replayed"].clone()];
        assert!(replayed.contains(&json!(true)) && replayed.contains(&json!(false)), "{replayed:?}");
        assert_eq!(asked(&mut server), 0, "{method} was carried out twice");
    }
}

/// A client that gives up takes nothing back: what it asked is done, and told to whoever asks again.
#[tokio::test]
async fn a4_a_connection_that_ends_does_not_end_the_request() {
    let mut server = Server::start(numbered()).await;
    server.answers.forget_permits(usize::MAX >> 3);
    let nop = request("sys.call.nop", &json!({ "res_id": CALL, "request_key": "n" }));
    for body in [request("sys.call.construct", &construct("k")), nop] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(server.request("", &body).as_bytes()).await.unwrap();
        patient(server.asked.recv()).await.unwrap();
        drop(socket);
        // The library has seen the end once it serves others again.
        server.raw("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        server.answers.add_permits(1);
        assert_eq!(server.post(&body).await.1["result"]["replayed"], json!(true), "{body}");
        assert_eq!(asked(&mut server), 0);
    }
}

#[tokio::test]
async fn an_error_is_told_again_unless_nothing_was_done() {
    let tries = AtomicU64::new(0);
    let server = Server::start(move |command| {
        let first = tries.fetch_add(1, Ordering::Relaxed) == 0;
        match command {
            Command::Nop { call } => {
                Err(Error::InvalidState { call: *call, state: State::Record, allowed: &[State::Idle] })
            }
            _ if first => Err(Error::LimitReached { limit: "calls", value: 1 }),
            _ => Ok(Reply::Constructed { call: CallId(1), user_data: None }),
        }
    })
    .await;
    let client = server.client().await;
    // Nothing was done, and that may pass: the repeat is carried out.
    let error = client.request("sys.call.construct", construct("k")).await.unwrap_err();
    assert_eq!(error.reason(), Some("limit_reached"));
    let made = client.request("sys.call.construct", construct("k")).await.unwrap();
    assert_eq!((&made["res_id"], &made["replayed"]), (&json!(CALL), &json!(false)));

    let nop = json!({ "res_id": CALL, "request_key": "n" });
    for replayed in [Value::Null, json!(true), json!(true)] {
        let error = client.request("sys.call.nop", nop.clone()).await.unwrap_err();
        let offhook_client::Error::Rpc { code, data, .. } = &error else { panic!("{error}") };
        assert_eq!((*code, &data["reason"]), (-32002, &json!("invalid_state")));
        assert_eq!(data["replayed"], replayed);
        assert!(matches!(error.data(), Some(wire::ErrorData::InvalidState { .. })));
    }
}

#[tokio::test]
async fn one_token_never_sees_what_anothers_requests_came_to() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(60) };
    let mut server = Server::start_with(&["one", "two"], retention, numbered()).await;
    let body = request("sys.call.construct", &construct("k"));
    for (token, res_id, replayed) in
        [("one", 1, false), ("two", 2, false), ("one", 1, true), ("two", 2, true)]
    {
        let header = format!("Authorization: Bearer {token}\r\n");
        let (_, response) = server.post_as(&header, &body).await;
        assert_eq!(response["result"]["res_id"], json!(format!("0.0.0-sys.call-{res_id}")), "{token}");
        assert_eq!(response["result"]["replayed"], json!(replayed), "{token}");
        let client = Client::connect(&server.url(), Some(token)).await.unwrap();
        let result = client.request("sys.call.construct", construct("k")).await.unwrap();
        assert_eq!(result["res_id"], response["result"]["res_id"], "over WebSocket too");
    }
    assert_eq!(asked(&mut server), 2);
}

#[tokio::test]
async fn a_key_has_its_bounds_and_its_methods() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    let expected = "null, or 1 to 128 printable ASCII characters";
    for bad in [
        json!(""),
        json!("k".repeat(129)),
        json!("a\nb"),
        json!("\u{7f}"),
        json!("schlüssel"),
        json!(5),
        json!([]),
    ] {
        let params = json!({ "res_id": CALL, "request_key": bad });
        let error = client.request("sys.call.nop", params).await.unwrap_err();
        let data = wire::ErrorData::InvalidParams { param: "request_key".into(), expected: expected.into() };
        assert_eq!(error.data(), Some(data), "{bad}");
    }
    let twice = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"sys.call.nop","params":{{"request_key":"a","res_id":"{CALL}","request_key":"b"}}}}"#
    );
    assert_eq!(server.post(&twice).await.1["error"]["data"]["param"], "request_key");
    // What changes nothing has no use for a key, and by position there is none.
    for (method, params, param) in [
        ("sys.call.get", json!({ "res_id": CALL, "request_key": "k" }), "request_key"),
        ("sys.event.subscribe", json!({ "request_key": "k" }), "request_key"),
        ("sys.call.nop", json!([CALL, "k"]), "[1]"),
    ] {
        let error = client.request(method, params).await.unwrap_err();
        let offhook_client::Error::Rpc { data, .. } = error else { panic!("{error}") };
        assert_eq!(data["param"], param, "{method}");
    }
}

/// A request that is refused at the door leaves its key free for the request as it was meant.
#[tokio::test]
async fn a_wrong_parameter_does_not_use_a_key_up() {
    let server = Server::start(numbered()).await;
    let client = server.client().await;
    let mut wrong = construct("k");
    wrong["to_uri"] = json!("b@h\r\nX: 1");
    assert_eq!(
        client.request("sys.call.construct", wrong).await.unwrap_err().reason(),
        Some("invalid_params")
    );
    assert_eq!(client.request("sys.call.construct", construct("k")).await.unwrap()["replayed"], json!(false));
}

#[tokio::test]
async fn a4_the_next_run_knows_which_calls_were_placed() {
    let mut server = Server::start(numbered()).await;
    let client = server.client().await;
    let first = client.request("sys.call.construct", construct("k")).await.unwrap();
    let nop = json!({ "res_id": CALL, "request_key": "n" });
    client.request("sys.call.nop", nop.clone()).await.unwrap();
    // One that the node does not live to answer.
    server.answers.forget_permits(usize::MAX >> 3);
    let mut socket = RawWebSocket::connect(&server).await;
    socket.send(&request("sys.call.construct", &construct("cut off"))).await;
    let data = server.data.clone();
    for _ in 0..3 {
        patient(server.asked.recv()).await.unwrap();
    }
    drop(server);

    let mut next = Server::start_after(data, numbered()).await;
    let client = next.client().await;
    let again = client.request("sys.call.construct", construct("k")).await.unwrap();
    assert_eq!((&again["res_id"], &again["replayed"]), (&first["res_id"], &json!(true)));
    let error = client.request("sys.call.construct", construct("cut off")).await.unwrap_err();
    let offhook_client::Error::Rpc { code, data, .. } = error else { panic!("{error}") };
    assert_eq!((code, data), (-32012, json!({ "reason": "outcome_unknown", "replayed": true })));
    assert_eq!(asked(&mut next), 0);
    // What is over with the node is not kept.
    assert_eq!(client.request("sys.call.nop", nop).await.unwrap(), json!({ "replayed": false }));
}

/// G21 in short, without the network: each of 1,000 calls is asked for one to five times, by whatever way, and half way the
/// server is another one.
#[tokio::test]
async fn a_thousand_calls_asked_for_again_and_again_are_a_thousand() {
    let mut made = HashSet::new();
    let mut server = Server::start(numbered()).await;
    let mut random = fastrand::Rng::with_seed(21);
    let mut times: Vec<usize> = (0..1_000).flat_map(|n| vec![n; 1 + random.usize(..5)]).collect();
    random.shuffle(&mut times);
    let half = times.len() / 2;
    let mut carried_out = 0;
    for (at, n) in times.into_iter().enumerate() {
        if at == half {
            carried_out += asked(&mut server);
            let begun = AtomicU64::new(10_000);
            server = Server::start_after(server.data.clone(), move |_| {
                let call = CallId(begun.fetch_add(1, Ordering::Relaxed));
                Ok(Reply::Constructed { call, user_data: None })
            })
            .await;
        }
        let params = construct(&format!("call {n}"));
        let result = match random.usize(..3) {
            0 => server.client().await.request("sys.call.construct", params).await.unwrap(),
            1 => server.post(&request("sys.call.construct", &params)).await.1["result"].clone(),
            _ => {
                let body = request("sys.call.construct", &params);
                server.post(&format!("[{body},{body}]")).await.1[random.usize(..2)]["result"].clone()
            }
        };
        made.insert(result["res_id"].as_str().unwrap().to_owned());
    }
    carried_out += asked(&mut server);
    assert_eq!((carried_out, made.len()), (1_000, 1_000));
}
