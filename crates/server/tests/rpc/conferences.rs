//! The methods of conferences: what arrives, and all that a request can get wrong.

use std::time::Duration;

use offhook_call::Reply;
use offhook_call::command::{Command, Content};
use offhook_call::conference::Command as Ask;
use offhook_call::error::Error;
use offhook_call::id::{CallId, ConferenceId};
use offhook_client::wire;
use offhook_media::event::{RecordFormat, VoiceMode};
use serde_json::{Value, json};

use crate::methods::refused_of;
use crate::server::{Asked, Server};

const CALL: &str = "0.0.0-sys.call-1";
const CONFERENCE: &str = "0.0.0-sys.conf-3";

fn opens(command: &Command) -> Result<Reply, Error> {
    Ok(match command {
        Command::ConferenceConstruct(_) => Reply::ConferenceConstructed(ConferenceId(3)),
        _ => Reply::Done,
    })
}

async fn command(server: &mut Server) -> Command {
    let Asked::Command(command) = server.asked().await else { panic!("a command") };
    command
}

#[tokio::test]
async fn values_arrive_as_they_were_meant() {
    let mut server = Server::start(opens).await;
    let client = server.client().await;
    let construct = wire::ConfConstruct { max_seconds: 60, ..Default::default() };
    assert_eq!(client.call(&construct).await.unwrap().res_id, CONFERENCE);
    let Command::ConferenceConstruct(asked) = command(&mut server).await else { panic!("construct") };
    assert_eq!((asked.max, asked.threshold, asked.user_data), (Duration::from_secs(60), 1, None));

    let enter = json!([CALL, CONFERENCE, 30, 3, -6, "ding.wav|name.wav"]);
    client.request("sys.call.conf_enter", enter).await.unwrap();
    let Command::ConfEnter(enter) = command(&mut server).await else { panic!("conf_enter") };
    assert_eq!((enter.call, enter.conference, enter.volume), (CallId(1), ConferenceId(3), -6));
    assert_eq!((enter.max, enter.mode), (Duration::from_secs(30), VoiceMode::HearOnly));
    let files = |names: &[&str]| Some(Content { sources: names.iter().map(|&name| name.into()).collect() });
    assert_eq!(enter.welcome, files(&["ding.wav", "name.wav"]));

    client.request("sys.conf.set_part_volume", json!([CONFERENCE, CALL, 20])).await.unwrap();
    let Command::Conference { conference, command: Ask::SetVolume { call, volume } } =
        command(&mut server).await
    else {
        panic!("set_part_volume")
    };
    assert_eq!((conference, call, volume), (ConferenceId(3), CallId(1), 20));
    for (number, expected) in [
        (1, VoiceMode::HearAndSpeak),
        (2, VoiceMode::SpeakOnly),
        (3, VoiceMode::HearOnly),
        (4, VoiceMode::Neither),
    ] {
        client.request("sys.conf.set_part_voice_mode", json!([CONFERENCE, CALL, number])).await.unwrap();
        let Command::Conference { command: Ask::SetVoiceMode { mode, .. }, .. } = command(&mut server).await
        else {
            panic!("set_part_voice_mode")
        };
        assert_eq!(mode, expected);
    }
    let construct = json!([60, "all.opus", 8, "rain.wav|wind.wav", -1, null, "0.0.0"]);
    client.request("sys.conf.construct", construct).await.unwrap();
    let Command::ConferenceConstruct(asked) = command(&mut server).await else { panic!("construct") };
    let record = asked.record.expect("a recording");
    assert_eq!((record.file.as_str(), record.format), ("all.opus", RecordFormat::Opus));
    assert_eq!((asked.background, asked.threshold), (files(&["rain.wav", "wind.wav"]), -1));
}

#[tokio::test]
async fn what_cannot_be_a_conference_is_none() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    for no_name in ["", "1.0.0-sys.conf-1", CALL, "0.0.0-sys.conf-01", "0.0.0-sys.conf-x"] {
        let exists = client.request("sys.conf.exists", json!([no_name])).await.unwrap();
        assert_eq!(exists, Value::Bool(false), "{no_name:?}");
        let error = client.request("sys.conf.nop", json!([no_name])).await.unwrap_err();
        // That of a call is a mistake in the parameter: the call may well be there.
        let reason = if no_name == CALL { "invalid_params" } else { "resource_not_found" };
        assert_eq!(error.reason(), Some(reason), "{no_name:?}");
    }
}

#[tokio::test]
async fn wrong_parameters_of_conferences_are_named() {
    let member = |extra: (&str, Value)| {
        let mut params = json!({ "res_id": CONFERENCE, "call_res_id": CALL });
        params[extra.0] = extra.1;
        params
    };
    refused_of(
        "sys.conf",
        vec![
            ("construct", json!({}), "max_seconds", "a value: the parameter is required"),
            ("construct", json!([0]), "max_seconds", "an integer of 1 to 604800"),
            ("construct", json!([604_801]), "max_seconds", "an integer of 1 to 604800"),
            (
                "construct",
                json!({ "max_seconds": 1, "parts_threshold": "x" }),
                "parts_threshold",
                "an integer",
            ),
            ("construct", json!({ "max_seconds": 1, "node": "9.9.9" }), "node", "null or 0.0.0"),
            (
                "construct",
                json!({ "max_seconds": 1, "user_data": "x".repeat(4097) }),
                "user_data",
                "at most 4096 bytes",
            ),
            ("construct", json!({ "max_seconds": 1, "seconds": 1 }), "seconds", "one of max_seconds"),
            (
                "construct",
                json!({ "max_seconds": 1, "record_format": 9 }),
                "record_format",
                "1, 2, 3, 4, 5, 6, 7 or 8",
            ),
            ("list", json!({ "after": CALL }), "after", "the res_id of a conference"),
            ("list", json!({ "limit": 0 }), "limit", "an integer of 1 to 1000"),
            ("set_part_voice_mode", member(("mode", json!(0))), "mode", "an integer of 1 to 4"),
            ("set_part_voice_mode", member(("mode", json!(5))), "mode", "an integer of 1 to 4"),
            ("set_part_volume", member(("volume", json!(21))), "volume", "an integer of -40 to 20"),
            ("set_part_volume", member(("volume", json!(-41))), "volume", "an integer of -40 to 20"),
            ("kick", member(("cause", json!(299))), "cause", "an integer of 300 to 699"),
            ("kick", member(("reason", json!(1))), "reason", "one of res_id, call_res_id, cause"),
            ("kick", json!([CONFERENCE, CALL]), "cause", "a value: the parameter is required"),
        ],
    )
    .await;
}

#[tokio::test]
async fn wrong_files_of_conferences_are_named() {
    refused_of(
        "sys.conf",
        vec![
            ("construct", json!({ "max_seconds": 1, "bg_file": "a.wav|" }), "bg_file", "a file name of 1 to"),
            (
                "record_start",
                json!([CONFERENCE, "x".repeat(300), 7, 60]),
                "record_file",
                "no part has more than 255 bytes",
            ),
            ("play_start", json!([CONFERENCE, [["a.wav", 99]]]), "content[0][1]", "0 to 7, 10, or below 0"),
            ("play_start", json!([CONFERENCE, "a.wav", "x"]), "is_loop", "true or false"),
            ("record_start", json!([CONFERENCE, "", 7, 60]), "record_file", "a file name of 1 to"),
            (
                "record_start",
                json!([CONFERENCE, "a.mp3", 7, 60]),
                "record_file",
                "the ending .wav of record_format 7",
            ),
            ("construct", json!([60, "a.wav", 6]), "record_file", "the ending .mp3 of record_format 6"),
            (
                "record_start",
                json!([CONFERENCE, "a.wav", 0, 60]),
                "record_format",
                "1, 2, 3, 4, 5, 6, 7 or 8",
            ),
            (
                "record_start",
                json!([CONFERENCE, "a.wav", 7]),
                "max_seconds",
                "a value: the parameter is required",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn wrong_parameters_of_members_are_named() {
    let enter = |extra: (&str, Value)| {
        let mut params = json!({ "res_id": CALL, "conf_res_id": CONFERENCE, "max_seconds": 60 });
        params[extra.0] = extra.1;
        params
    };
    refused_of(
        "sys.call",
        vec![
            ("conf_enter", json!([CALL, CONFERENCE]), "max_seconds", "a value: the parameter is required"),
            ("conf_enter", enter(("voice_mode", json!(5))), "voice_mode", "an integer of 1 to 4"),
            ("conf_enter", enter(("volume", json!(21))), "volume", "an integer of -40 to 20"),
            ("conf_enter", enter(("max_seconds", json!(0))), "max_seconds", "an integer of 1 to 604800"),
            ("conf_exit", json!([CALL]), "conf_res_id", "a value: the parameter is required"),
        ],
    )
    .await;
}
