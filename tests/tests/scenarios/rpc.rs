//! What a wrong request gets (`call-api.md` §1, the table of errors), while a call goes on that has nothing to do with it.

use offhook_client::Error;
use offhook_client::wire::{PlayStart, RecordStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use serde_json::{Value, json};

/// Asks, and says with which code and reason it was refused.
async fn refusal(app: &App, method: &str, params: Value) -> (i32, String, Value) {
    match app.client.request(method, params.clone()).await {
        Err(Error::Rpc { code, data, .. }) => {
            (code, data["reason"].as_str().unwrap_or_default().to_owned(), data)
        }
        other => panic!("{method}({params}) gave {other:?}"),
    }
}

#[tokio::test]
async fn wrong_requests_get_the_errors_of_the_table() {
    let server = Server::start("rpc-errors").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let call = caller.res_id.clone();
    let gone = call.replace("call-", "call-9999999999");
    let long =
        PlayStart { res_id: call.clone(), content: "welcome.wav".into(), repeat: 50, ..Default::default() };

    for (method, params, code, reason) in [
        (
            "sys.call.play_start",
            json!({"res_id": gone, "content": "welcome.wav"}),
            -32001,
            "resource_not_found",
        ),
        ("sys.call.drop", json!({"res_id": gone}), -32001, "resource_not_found"),
        ("sys.call.drop", json!({"res_id": "no such thing"}), -32001, "resource_not_found"),
        ("sys.call.play_start", json!({"res_id": call, "content": "missing.wav"}), -32004, "file_not_found"),
        (
            "sys.call.play_start",
            json!({"res_id": call, "content": "../offhook.toml"}),
            -32004,
            "file_forbidden",
        ),
        (
            "sys.call.play_start",
            json!({"res_id": call, "content": "/etc/hostname"}),
            -32004,
            "file_forbidden",
        ),
        ("sys.call.play_start", json!({"res_id": call, "content": "make.sh"}), -32004, "file_unsupported"),
        ("sys.call.record_start", record(&call, "../out.wav"), -32004, "file_forbidden"),
        ("sys.call.record_start", record(&call, "/tmp/out.wav"), -32004, "file_forbidden"),
        ("sys.call.play_start", json!({"res_id": call, "content": 5}), -32602, "invalid_params"),
        ("sys.call.play_start", json!({"res_id": 5, "content": "welcome.wav"}), -32602, "invalid_params"),
        ("sys.call.play_start", json!({"res_id": call}), -32602, "invalid_params"),
        ("sys.call.drop", json!({"res_id": call, "cause": 200}), -32602, "invalid_params"),
        ("sys.call.drop", json!({"res_id": call, "cause": "603"}), -32602, "invalid_params"),
        ("sys.call.answer", json!({"res_id": call, "max_answer_seconds": 0}), -32602, "invalid_params"),
        ("sys.call.answer", json!({"res_id": call, "max_answer_seconds": 60}), -32002, "invalid_state"),
        ("sys.call.play_stop", json!({"res_id": call}), -32002, "invalid_state"),
        (
            "sys.call.connect_start",
            json!({"res_id": call, "max_seconds": 5, "call_res_id": gone}),
            -32001,
            "resource_not_found",
        ),
    ] {
        let (got_code, got_reason, data) = refusal(&app, method, params.clone()).await;
        assert_eq!((got_code, got_reason.as_str()), (code, reason), "{method}({params}): {data}");
    }
    let (_, _, unknown) = refusal(&app, "sys.call.drop", json!({"res_id": call, "casue": 603})).await;
    assert_eq!(unknown["param"], "casue", "{unknown}");
    let (code, ..) = refusal(&app, "sys.call.frobnicate", json!({})).await;
    assert_eq!(code, -32601);

    // Nothing of all that has touched the call.
    app.client.call(&long).await.expect("a play");
    let (_, reason, data) =
        refusal(&app, "sys.call.play_start", json!({"res_id": call, "content": "welcome.wav"})).await;
    assert_eq!((reason.as_str(), &data["state"]), ("invalid_state", &json!("Play")), "{data}");
    caller.rtp.hear_more(25, PATIENCE).await;
    caller.assert_unbroken();
    caller.hang_up().await;
    app.released(&call).await;
    app.check_order();
}

fn record(call: &str, file: &str) -> Value {
    json!({"res_id": call, "max_seconds": 5, "beep": false, "record_file": file})
}

#[tokio::test]
async fn parameters_go_by_position_as_well() {
    let server = Server::start("by-position").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let call = caller.res_id.clone();
    assert_eq!(app.client.request("sys.call.exists", json!([call])).await.expect("an answer"), json!(true));
    app.client.request("sys.call.play_start", json!([call, "thank-you.wav"])).await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    assert_eq!(app.client.request("sys.call.list", json!([])).await.expect("an answer"), json!([call]));
    app.client.request("sys.call.drop", json!([call, 480])).await.expect("a drop");
    caller.is_hung_up_on(PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 480);
    assert!(!app.client.exists(&call).await.expect("an answer"));
    app.check_order();
}

#[tokio::test]
async fn an_existing_recording_is_not_overwritten_unless_asked() {
    let server = Server::start("overwrite").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let call = caller.res_id.clone();
    std::fs::write(server.recording("precious.wav"), "precious").expect("a file");
    let (code, reason, _) = refusal(&app, "sys.call.record_start", record(&call, "precious.wav")).await;
    assert_eq!((code, reason.as_str()), (-32004, "file_exists"));
    assert_eq!(std::fs::read(server.recording("precious.wav")).expect("the file"), b"precious");
    let start = RecordStart {
        res_id: call.clone(),
        max_seconds: 1,
        record_file: "precious.wav".into(),
        overwrite: true,
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    assert_eq!(app.recorded(&call).await.error.expect("a limit").code, "max_seconds");
    assert!(std::fs::read(server.recording("precious.wav")).expect("the file").starts_with(b"RIFF"));
    caller.hang_up().await;
    app.released(&call).await;
    app.check_order();
}
