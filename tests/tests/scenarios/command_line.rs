//! The client side of the command line (`operations.md`), by the binary itself: what it prints, and what the shell is told.

use std::process::Stdio;
use std::time::Duration;

use offhook_client::wire::{ConfConstruct, ConfEnter};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::{Server, Setup, binary};
use offhook_tests::wait::{self, PATIENCE};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Standard output, standard error and the exit code of `offhook ARGUMENTS`.
async fn offhook(url: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(binary());
    command.args(arguments).env("OFFHOOK_URL", url).stdin(Stdio::null()).kill_on_drop(true);
    let output = wait::within("offhook", PATIENCE, command.output()).await.expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

async fn good(server: &Server, arguments: &[&str]) -> String {
    let (out, err, code) = offhook(&server.rpc_url(), arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

#[tokio::test]
async fn calls_and_conferences_are_listed_shown_and_dropped() {
    let server = Server::start("cli-calls").await;
    let mut app = App::connect(&server).await;
    assert_eq!(good(&server, &["call", "ls"]).await.lines().count(), 1, "the head alone");
    let caller = Caller::answered(&server, &mut app).await;
    let table = good(&server, &["call", "ls"]).await;
    let row = table.lines().nth(1).expect("a call");
    assert!(row.starts_with(&caller.res_id) && row.contains("Idle") && row.contains("peers"), "{table}");
    let json: Value =
        serde_json::from_str(&good(&server, &["--output", "json", "call", "ls"]).await).expect("JSON");
    assert_eq!(json[0]["res_id"], caller.res_id);
    let shown = good(&server, &["call", "show", &caller.res_id]).await;
    assert!(shown.lines().any(|line| line.starts_with("media.packets_received ")), "{shown}");

    let open =
        ConfConstruct { max_seconds: 60, ..serde_json::from_str("{\"max_seconds\": 60}").expect("defaults") };
    let conference = app.client.call(&open).await.expect("a conference").res_id;
    let enter = serde_json::json!({ "res_id": caller.res_id, "conf_res_id": conference, "max_seconds": 60 });
    let enter: ConfEnter = serde_json::from_value(enter).expect("parameters");
    app.client.call(&enter).await.expect("a member");
    let table = good(&server, &["conf", "ls"]).await;
    assert!(table.lines().nth(1).is_some_and(|row| row.starts_with(&conference)), "{table}");
    let shown = good(&server, &["conf", "show", &conference]).await;
    assert!(shown.contains(&caller.res_id), "{shown}");

    good(&server, &["call", "drop", &caller.res_id]).await;
    app.released(&caller.res_id).await;
    let (_, err, code) = offhook(&server.rpc_url(), &["call", "show", &caller.res_id]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&caller.res_id), "{err}");
}

#[tokio::test]
async fn any_method_can_be_asked() {
    let server = Server::start("cli-rpc").await;
    let gateways: Value =
        serde_json::from_str(&good(&server, &["rpc", "sys.node.gateways"]).await).expect("JSON");
    assert_eq!(gateways[0]["name"], "peers");
    let exists = good(&server, &["rpc", "sys.call.exists", r#"["0.0.0-sys.call-1"]"#]).await;
    assert_eq!(exists.trim(), "false");
    assert_eq!(offhook(&server.rpc_url(), &["rpc", "sys.call.exists", "{"]).await.2, Some(2), "no JSON");
    assert_eq!(offhook(&server.rpc_url(), &["rpc", "sys.call.nothing"]).await.2, Some(1));
}

#[tokio::test]
async fn events_are_shown_as_they_come_and_from_where_one_left_off() {
    let mut server = Server::start("cli-events").await;
    let mut app = App::connect(&server).await;
    let mut command = Command::new(binary());
    command.args(["events", "tail", "--after", "0", "--output", "json"]).env("OFFHOOK_URL", server.rpc_url());
    let mut tail = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a program");
    let mut lines = BufReader::new(tail.stdout.take().expect("its output")).lines();
    let caller = Caller::answered(&server, &mut app).await;
    caller.hang_up().await;
    let released = async {
        loop {
            let line = lines.next_line().await.expect("a line").expect("more lines");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["type"] == "sys.call.on_released" {
                return event;
            }
        }
    };
    let event = wait::within("on_released", PATIENCE, released).await;
    assert_eq!(event["params"]["res_id"], caller.res_id);
    // It goes on over a restart, where it was.
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let next = async {
        let line = lines.next_line().await.expect("a line").expect("more lines");
        serde_json::from_str::<Value>(&line).expect("JSON")
    };
    let next = wait::within("the next event", PATIENCE, next).await;
    assert_eq!(next["seq"].as_u64(), event["seq"].as_u64().map(|seq| seq + 1), "{next}");
    // Ctrl-C.
    let id = tail.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(id.expect("an id"), rustix::process::Signal::INT).expect("a signal");
    let status = wait::within("the end", PATIENCE, tail.wait()).await.expect("a status");
    assert_eq!(status.code(), Some(130));
}

/// 69 not reachable, 77 not permitted: by no token, by one that does not reach so far.
#[tokio::test]
async fn what_the_shell_is_told() {
    let setup = Setup { rpc: "tokens = [\"read:watcher\", \"call:worker\"]".into(), ..Setup::default() };
    let server = Server::start_with("cli-tokens", &setup).await;
    let url = server.rpc_url();
    assert_eq!(offhook("ws://127.0.0.1:1/rpc", &["call", "ls"]).await.2, Some(69));
    let (_, err, code) = offhook(&url, &["call", "ls"]).await;
    assert_eq!(code, Some(77));
    assert!(err.contains("OFFHOOK_TOKEN"), "{err}");
    assert_eq!(offhook(&url, &["call", "ls", "--token", "wrong"]).await.2, Some(77));
    assert_eq!(offhook(&url, &["call", "ls", "--token", "watcher"]).await.2, Some(0));
    let call = "0.0.0-sys.call-1";
    let (_, err, code) = offhook(&url, &["call", "drop", call, "--token", "watcher"]).await;
    assert_eq!(code, Some(77));
    assert!(err.contains("scope call"), "{err}");
    assert_eq!(offhook(&url, &["call", "drop", call, "--token", "worker"]).await.2, Some(1), "no such call");
    assert_eq!(offhook(&url, &["call"]).await.2, Some(2));
}

#[tokio::test]
async fn the_doctor_finds_a_port_that_is_taken() {
    let mut server = Server::start("cli-doctor").await;
    let file = server.configuration().display().to_string();
    let (out, err, code) = offhook("", &["doctor", "--config", &file]).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.lines().any(|line| line.starts_with("bad  rpc port: ") && line.contains("is in use")),
        "{out}"
    );
    server.terminate();
    server.end(Duration::from_secs(10)).await;
    let (out, err, code) = offhook("", &["doctor", "--config", &file]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    for matter in
        ["rpc port", "SIP port", "RTP ports", "advertised", "descriptors", "clock", "data disk", "codecs"]
    {
        assert!(out.contains(&format!("{matter}: ")), "{matter} is not in\n{out}");
    }
}

/// A recording whose head counts less than it has, as a machine without power leaves it; sox reads what is there in the end.
#[tokio::test]
async fn a_recording_that_was_cut_off_is_repaired() {
    let dir = offhook_tests::dir::TestDir::new("cli-repair");
    let (whole, cut) = (dir.join("whole.wav"), dir.folder("below").join("cut.wav"));
    let made = std::process::Command::new("sox")
        .args(["-n", "-r", "8000", "-b", "16", "-c", "1"])
        .arg(&whole)
        .args(["synth", "2", "sine", "440"])
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut bytes = std::fs::read(&whole).expect("a file");
    bytes[4..8].copy_from_slice(&36_u32.to_le_bytes());
    bytes[40..44].copy_from_slice(&0_u32.to_le_bytes());
    std::fs::write(&cut, &bytes).expect("a file");
    let (out, err, code) = offhook("", &["recording", "repair", &dir.path().display().to_string()]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("below/cut.wav: 32044 bytes") && out.contains("1 of 2 WAV files repaired"), "{out}");
    assert_eq!(std::fs::read(&cut).expect("a file"), std::fs::read(&whole).expect("a file"));
}

/// What bash completes with it, asked as bash asks.
#[tokio::test]
async fn completions_complete() {
    let (script, _, code) = offhook("", &["completions", "bash"]).await;
    assert_eq!(code, Some(0));
    let ask =
        "\nCOMP_WORDS=(offhook conf l); COMP_CWORD=2; _offhook offhook l conf; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", &(script + ask)]).output().await.expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ls");
}
