//! Sentences of the document of `sys.call` that are kept at the door, each by what arrives at the calls.

use std::time::Duration;

use offhook_call::Reply;
use offhook_call::command::{Command, ConnectExtras};
use offhook_call::event::UnixMs;
use offhook_call::state::State;
use offhook_media::event::ConnectMode;
use serde_json::{Value, json};

use crate::server::{Asked, Server};

const CALL: &str = "0.0.0-sys.call-1";
const OTHER: &str = "0.0.0-sys.call-2";

async fn asked(server: &mut Server, method: &str, params: Value) -> Command {
    server.client().await.request(method, params).await.unwrap();
    let Asked::Command(command) = server.asked().await else { panic!("a command") };
    command
}

async fn connected(server: &mut Server, more: &[(&str, Value)]) -> (ConnectMode, ConnectExtras) {
    let mut params = json!({ "res_id": CALL, "max_seconds": 60, "call_res_id": OTHER });
    for (name, value) in more {
        params[*name] = value.clone();
    }
    match asked(server, "sys.call.connect_start", params).await {
        Command::ConnectStart { mode, extras, .. } => (mode, extras),
        other => panic!("{other:?}"),
    }
}

/// `schedule_play_loop`: 0 表示不播放，1 表示播放一次，2 表示播放 2 次，以此类推。
#[tokio::test]
async fn a_scheduled_file_is_played_as_many_times_as_the_document_says() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let at = [("schedule_play_time", json!(1_800_000_000)), ("schedule_play_file", json!("a.wav"))];
    for (times, repeat) in
        [(None, None), (Some(0), None), (Some(1), Some(0)), (Some(2), Some(1)), (Some(7), Some(6))]
    {
        let times = times.map(|times| ("schedule_play_loop", json!(times)));
        let params: Vec<(&str, Value)> = at.iter().cloned().chain(times.clone()).collect();
        let schedule = connected(&mut server, &params).await.1.schedule;
        assert_eq!(schedule.as_ref().map(|schedule| schedule.repeat), repeat, "{times:?}");
        if let Some(schedule) = schedule {
            assert_eq!(schedule.at, UnixMs(1_800_000_000_000));
        }
    }
}

/// 1 双方均可互相听到, 2 仅第二方可以听到第一方, 3 仅第一方可以听到第二方; a file that is null or empty is none.
#[tokio::test]
async fn a_connection_has_the_modes_and_the_files_of_the_document() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    for (number, expected) in
        [(1, ConnectMode::Both), (2, ConnectMode::SecondHears), (3, ConnectMode::FirstHears)]
    {
        assert_eq!(connected(&mut server, &[("connect_mode", json!(number))]).await.0, expected);
    }
    assert_eq!(connected(&mut server, &[]).await.0, ConnectMode::Both);
    for none in [json!(null), json!("")] {
        let extras = connected(&mut server, &[("record_file", none)]).await.1;
        assert!(extras.record.is_none());
    }
    let record = connected(&mut server, &[("record_file", json!("a.wav"))]).await.1.record.unwrap();
    assert_eq!(record.file, "a.wav");
}

/// Every state can be asked for, and is asked for as that.
#[tokio::test]
async fn calls_are_listed_by_every_state() {
    let mut server = Server::start(|_| Ok(Reply::Page(Vec::new()))).await;
    for state in State::ALL {
        let Command::List { state: asked, .. } =
            asked(&mut server, "sys.call.list", json!([state.name()])).await
        else {
            panic!("list")
        };
        assert_eq!(asked, Some(state));
    }
}

/// The defaults of the document, as they arrive: `drop` 603, `receive_dtmf_start` all of them.
#[tokio::test]
async fn what_is_left_out_arrives_as_the_documents_default() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let Command::Drop { cause, .. } = asked(&mut server, "sys.call.drop", json!([CALL])).await else {
        panic!("drop")
    };
    assert_eq!(cause, 603);
    let receive = asked(&mut server, "sys.call.receive_dtmf_start", json!([CALL])).await;
    let Command::ReceiveDtmfStart(receive) = receive else { panic!("receive_dtmf_start") };
    let seconds = Duration::from_secs;
    assert_eq!((receive.max_keys, receive.repeat, receive.prompt), (11, 0, None));
    assert_eq!((receive.first_key_timeout, receive.next_key_timeout), (seconds(45), seconds(30)));
    assert_eq!((receive.break_on_key, receive.include_finish_key, receive.flush), (true, false, false));
    for key in "0123456789*#ABCD".chars() {
        let key = offhook_media::event::Key::from_char(key).unwrap();
        assert!(receive.valid_keys.contains(key));
        assert_eq!(
            receive.finish_keys.contains(key),
            key == offhook_media::event::Key::from_char('#').unwrap()
        );
    }
}
