//! Every method by name and by position, against the golden examples of `proto/`; and all that a request can get wrong.

use std::path::Path;
use std::time::Duration;

use offhook_call::PromptSource;
use offhook_call::command::{Command, RingMode};
use offhook_call::conference;
use offhook_call::error::{Direction, Error, FileFault};
use offhook_call::event::UnixMs;
use offhook_call::gateway::GatewayStatus;
use offhook_call::id::{CallId, ConferenceId, MessageId};
use offhook_call::state::State;
use offhook_call::{Port, Reply, Snapshot};
use offhook_client::wire;
use offhook_media::event::{Codec, LegStats, VoiceMode};
use offhook_media::sdp::Suite;
use offhook_sip::event::SessionId;
use serde_json::{Value, json};

use crate::server::{Asked, Server};

/// What the calls of the golden examples answer.
pub(crate) fn golden(command: &Command) -> Result<Reply, Error> {
    Ok(match command {
        Command::Construct(construct) => {
            Reply::Constructed { call: CallId(1), user_data: construct.user_data.clone() }
        }
        Command::Exists { call } => Reply::Exists(*call == CallId(1)),
        Command::List { .. } => Reply::Page(vec![CallId(2)]),
        Command::RecordStart { file, .. } => Reply::Recording { file: file.clone() },
        Command::Get { call } => Reply::Snapshot(Box::new(Snapshot {
            call: *call,
            session: SessionId::Inbound(1),
            state: State::Idle,
            direction: Direction::Inbound,
            from_uri: "sip:1000@192.0.2.10:5060".to_owned(),
            from_name: Some("Alice".to_owned()),
            to_uri: "sip:2000@192.0.2.20:5060".to_owned(),
            gateway: Some("carrier".into()),
            begin: UnixMs(1_800_000_000_999),
            answer_time: Some(UnixMs(1_800_000_003_000)),
            user_data: Some("ivr".to_owned()),
            sip_call_id: Some("a84b4c76e66710@192.0.2.10".to_owned()),
            codec: Some(Codec::Pcma),
            srtp: Some(Suite::AesCm128HmacSha1_80),
            remote_media: Some("192.0.2.10:30000".parse().unwrap()),
            local_port: Some(Port(20_000)),
            connected_to: None,
            conference: None,
            recordings: Vec::new(),
            stats: LegStats {
                packets_sent: 500,
                bytes_sent: 80_000,
                packets_received: 499,
                bytes_received: 79_840,
                packets_lost: 1,
                jitter_ms: 0.5,
                round_trip_ms: Some(12.5),
                remote_lost: Some(0),
                concealed_ms: 20,
                mos: Some(4.375),
                ..LegStats::default()
            },
        })),
        Command::ConferenceConstruct(_) => Reply::ConferenceConstructed(ConferenceId(3)),
        Command::ConferenceList { .. } => Reply::Conferences(vec![ConferenceId(4)]),
        Command::Conference { command, .. } => of_a_conference(command),
        Command::SendMessage { .. } => Reply::Message(MessageId(8)),
        Command::SendPage(_) => Reply::Message(MessageId(9)),
        Command::Gateways => Reply::Gateways(vec![GatewayStatus {
            name: "carrier".into(),
            addresses: vec!["sip.example.com".to_owned(), "192.0.2.20:5070;transport=tcp".to_owned()],
            pinged: true,
            up: Some(true),
            registered: Some(true),
            calls: 3,
            max_calls: 30,
            max_calls_per_second: 0,
            rest: Some(Duration::from_millis(4_200)),
            rests: 2,
        }]),
        _ => Reply::Done,
    })
}

fn of_a_conference(command: &conference::Command) -> Reply {
    let part = |call, mode, volume, talking, user_data| conference::Part {
        call: CallId(call),
        mode,
        volume,
        talking,
        user_data,
    };
    match command {
        conference::Command::Exists => Reply::Exists(true),
        conference::Command::Get => Reply::Conference(Box::new(conference::Snapshot {
            conference: ConferenceId(3),
            begin: UnixMs(1_800_000_000_999),
            parts: 2,
            threshold: 0,
            is_playing: false,
            record_file: Some("2026/weekly.wav".to_owned()),
            user_data: Some("weekly".to_owned()),
        })),
        conference::Command::RecordStart { record, .. } => Reply::Recording { file: record.file.clone() },
        conference::Command::GetParts => Reply::Parts(vec![
            part(1, VoiceMode::HearAndSpeak, 3, true, Some("ivr".to_owned())),
            part(2, VoiceMode::HearOnly, 0, false, None),
        ]),
        _ => Reply::Done,
    }
}

#[tokio::test]
async fn every_method_by_name_and_by_position() {
    let mut server = Server::start(golden).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/examples");
    let mut methods = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Records are read from the database and time lines are the control loop's: neither is asked of the calls.
        let is_asked = ["sys.call.", "sys.conf.", "sys.node."].iter().any(|start| name.starts_with(start));
        if !is_asked || ["sys.call.cdr", "sys.call.explain"].contains(&name.as_str()) {
            continue;
        }
        methods += 1;
        let example: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut commands = Vec::new();
        for form in ["by_name", "by_position"] {
            let (status, response) = server.post(&example[form].to_string()).await;
            assert_eq!((status, &response), (200, &example["response"]), "{name} {form}");
            let Asked::Command(command) = server.asked().await else { panic!("a command") };
            commands.push(format!("{command:?}"));
        }
        assert_eq!(commands[0], commands[1], "{name}");
    }
    assert_eq!(methods, 49, "the methods of this version");
}

/// The commands that some of the examples come to, written by hand.
#[tokio::test]
async fn values_arrive_as_they_were_meant() {
    let mut server = Server::start(golden).await;
    let client = server.client().await;
    let construct = wire::Construct {
        from_uri: "1000@192.0.2.10".to_owned(),
        to_uri: "sip:2000@192.0.2.20:5070".into(),
        max_answer_seconds: 3600,
        codecs: Some(vec!["G711_ULAW_20MS".to_owned(), "pcma".to_owned()]),
        sip_proxy: Some("proxy.example".to_owned()),
        headers: [("X-Account".to_owned(), "4711".to_owned())].into(),
        ..Default::default()
    };
    let constructed = client.construct(&construct).await.unwrap();
    assert_eq!((constructed.res_id.as_str(), constructed.ipsc_info.process_id), ("0.0.0-sys.call-1", 7));
    let Asked::Command(Command::Construct(asked)) = server.asked().await else { panic!("construct") };
    assert_eq!(asked.from_uri, "sip:1000@192.0.2.10", "a port that was not given would make it another URI");
    assert_eq!(asked.to_uris, ["sip:2000@192.0.2.20:5070"]);
    assert_eq!((asked.max_answer, asked.max_ring), (Duration::from_secs(3600), Duration::from_secs(50)));
    assert_eq!(asked.codecs, [Codec::Pcmu, Codec::Pcma]);
    assert_eq!(asked.proxy.as_deref(), Some("proxy.example:5060"));
    assert_eq!((asked.headers[0].name.as_str(), asked.headers[0].value.as_str()), ("X-Account", "4711"));

    client.play_start(&constructed.res_id, "a.wav|b/c.wav", "#*").await.unwrap();
    let Asked::Command(Command::PlayStart { content, .. }) = server.asked().await else {
        panic!("play_start")
    };
    assert_eq!(content.sources, ["a.wav", "b/c.wav"].map(PromptSource::from));

    let item = |what: &str, kind| wire::Item {
        what: wire::What::Text(what.to_owned()),
        kind,
        options: String::new(),
    };
    client
        .play_start(&constructed.res_id, vec![item("a.wav", 0), item("x", -1), item("b.wav|c.wav", 7)], "")
        .await
        .unwrap();
    let Asked::Command(Command::PlayStart { content, .. }) = server.asked().await else {
        panic!("play_start")
    };
    let of_item = |name: &str, item| PromptSource { item: Some(item), ..name.into() };
    assert_eq!(content.sources, [of_item("a.wav", 0), of_item("b.wav", 2), of_item("c.wav", 2)]);

    assert!(client.exists(&constructed.res_id).await.unwrap());
    assert!(!client.exists("0.0.0-sys.call-2").await.unwrap());
    for no_name in ["", "1.0.0-sys.call-1", "0.0.0-sys.conf-1", "0.0.0-sys.call-01", "0.0.0-sys.call-x", "\0"]
    {
        assert!(!client.exists(no_name).await.unwrap(), "{no_name:?}");
    }
}

/// `call-api.md` §4: a call may be dialled for another, which hears a file when its number says.
#[tokio::test]
async fn a_call_that_is_dialled_for_another_says_what_that_hears() {
    let mut server = Server::start(golden).await;
    let client = server.client().await;
    for (number, expected) in [
        (0, RingMode::WhileRinging),
        (1, RingMode::UntilRinging),
        (2, RingMode::UntilAnswer),
        (3, RingMode::Before),
    ] {
        let params = json!({
            "parent_call_res_id": CALL, "ring_play_file": "a.wav|b.wav", "ring_play_mode": number
        });
        client.request("sys.call.construct", construct(params)).await.unwrap();
        let Asked::Command(Command::Construct(asked)) = server.asked().await else { panic!("construct") };
        let parent = asked.parent.expect("a parent");
        assert_eq!((parent.of, parent.mode), (CallId(1).into(), expected));
        assert_eq!(parent.content.expect("files").sources, ["a.wav", "b.wav"].map(PromptSource::from));
    }
    let params = construct(json!({ "parent_call_res_id": "", "parent_conf_res_id": "0.0.0-sys.conf-3" }));
    client.request("sys.call.construct", params).await.unwrap();
    let Asked::Command(Command::Construct(asked)) = server.asked().await else { panic!("construct") };
    assert_eq!(asked.parent.expect("a parent").of, ConferenceId(3).into());
}

/// A method, parameters, which of them is refused, and a part of what is expected instead.
pub(crate) type Fault = (&'static str, Value, &'static str, &'static str);

const CALL: &str = "0.0.0-sys.call-1";

/// The same of methods of `sys.call`.
async fn refused(faults: Vec<Fault>) {
    refused_of("sys.call", faults).await;
}

pub(crate) async fn refused_of(resource: &str, faults: Vec<Fault>) {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    for (method, params, param, expected) in faults {
        let error = client.request(&format!("{resource}.{method}"), params.clone()).await.unwrap_err();
        let offhook_client::Error::Rpc { code, data, .. } = &error else {
            panic!("{method} {params}: {error}")
        };
        let found = (*code, &data["reason"], &data["param"]);
        assert_eq!(found, (-32602, &json!("invalid_params"), &json!(param)), "{method} {params}");
        assert!(data["expected"].as_str().unwrap().contains(expected), "{method} {params}: {data}");
    }
}

/// Parameters of `construct` that are good, and these.
pub(crate) fn construct(extra: Value) -> Value {
    let mut params = json!({ "from_uri": "a@h", "to_uri": "b@h", "max_answer_seconds": 60 });
    params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    params
}

#[tokio::test]
async fn wrong_parameters_of_construct_are_named() {
    refused(vec![
        ("construct", json!({}), "from_uri", "a value: the parameter is required"),
        ("construct", construct(json!({ "form_uri": "a@h" })), "form_uri", "one of from_uri"),
        (
            "construct",
            construct(json!({ "from_uri": "a@h\r\nX-Evil: 1" })),
            "from_uri",
            "[[sip:]user@]host[:port]",
        ),
        ("construct", construct(json!({ "to_uri": 5 })), "to_uri", "a string"),
        (
            "construct",
            construct(json!({ "to_uri": "b@h;transport=ws" })),
            "to_uri",
            "transport=udp, tcp or tls",
        ),
        (
            "construct",
            construct(json!({ "max_answer_seconds": 0 })),
            "max_answer_seconds",
            "an integer of 1 to 604800",
        ),
        (
            "construct",
            construct(json!({ "max_ring_seconds": 3601 })),
            "max_ring_seconds",
            "an integer of 1 to 3600",
        ),
        (
            "construct",
            construct(json!({ "parent_call_res_id": CALL, "parent_conf_res_id": "0.0.0-sys.conf-3" })),
            "parent_conf_res_id",
            "null where there is a parent_call_res_id",
        ),
        (
            "construct",
            construct(json!({ "ring_play_file": "a.wav||b.wav" })),
            "ring_play_file",
            "a file name",
        ),
        ("construct", construct(json!({ "ring_play_mode": 4 })), "ring_play_mode", "an integer of 0 to 3"),
        ("construct", construct(json!({ "codecs": [] })), "codecs", "null, or a list"),
        ("construct", construct(json!({ "codecs": ["PCMA", "G729"] })), "codecs[1]", "PCMA, G722, opus"),
        ("construct", construct(json!({ "sip_proxy": "u@h" })), "sip_proxy", "[sip:]host[:port]"),
        ("construct", construct(json!({ "sip_auth_password": "p" })), "sip_auth_username", "a user name"),
        ("construct", construct(json!({ "to_uri": [] })), "to_uri", "a URI, or a list of 1 to 8"),
        ("construct", construct(json!({ "to_uri": vec!["b@h"; 9] })), "to_uri", "a URI, or a list of 1 to 8"),
        ("construct", construct(json!({ "to_uri": ["b@h", "b@h\r\nX: 1"] })), "to_uri[1]", "host[:port]"),
    ])
    .await;
}

#[tokio::test]
async fn wrong_words_of_construct_are_named() {
    let many = "x".repeat(5_000);
    refused(vec![
        ("construct", construct(json!({ "headers": { "Via": "x" } })), "headers.Via", "begins with X-"),
        ("construct", construct(json!({ "headers": { "Contact": "x" } })), "headers.Contact", "Diversion"),
        (
            "construct",
            construct(json!({ "headers": { "privacy": "id\r\nVia: x" } })),
            "headers.privacy",
            "without control characters",
        ),
        (
            "construct",
            construct(json!({ "headers": { "X-A": "x\ny" } })),
            "headers.X-A",
            "without control characters",
        ),
        ("construct", construct(json!({ "headers": { "X-A:": "x" } })), "headers.X-A:", "begins with X-"),
        (
            "construct",
            construct(json!({ "from_name": "a\r\nVia: x" })),
            "from_name",
            "without control characters",
        ),
        ("construct", construct(json!({ "from_name": "a".repeat(129) })), "from_name", "at most 128 bytes"),
        ("construct", construct(json!({ "user_data": many })), "user_data", "at most 4096 bytes"),
    ])
    .await;
}

#[tokio::test]
async fn wrong_parameters_of_calls_are_named() {
    refused(vec![
        ("answer", json!([CALL]), "max_answer_seconds", "a value: the parameter is required"),
        ("answer", json!([CALL, 60, null, "G729"]), "codec", "PCMA, G722, opus"),
        ("drop", json!([CALL, 299]), "cause", "an integer of 300 to 699"),
        ("drop", json!([CALL, 700]), "cause", "an integer of 300 to 699"),
        ("drop", json!([CALL, 486, 1]), "[2]", "at most 2 parameters: res_id, cause"),
        ("drop", json!([CALL, null]), "cause", "an integer of 300 to 699"),
        ("reject", json!([CALL, 200]), "cause", "an integer of 300 to 699"),
        ("redirect", json!([CALL, "u@h"]), "redirect_uri", "[sip:]host[:port]"),
        ("ring", json!([CALL, "a.wav||b.wav"]), "ring_play_file", "a file name"),
        ("ring", json!([CALL, null, 1]), "[2]", "at most 2 parameters: res_id, ring_play_file"),
        ("list", json!({ "limit": 0 }), "limit", "an integer of 1 to 1000"),
        ("list", json!({ "state": "Busy" }), "state", "Initiated"),
        ("list", json!({ "after": "x" }), "after", "res_id of a call"),
        ("connect_start", json!([CALL, 60, CALL, 4]), "connect_mode", "1, 2 or 3"),
        (
            "connect_start",
            json!([CALL, 60, CALL, 1, "r.wav", 9]),
            "record_format",
            "1, 2, 3, 4, 5, 6, 7 or 8",
        ),
        (
            "connect_start",
            json!({ "res_id": CALL, "max_seconds": 60, "call_res_id": CALL, "local_volume": 21 }),
            "local_volume",
            "an integer of -40 to 20",
        ),
        ("detect_start", json!([CALL]), "kinds", "a value: the parameter is required"),
        ("detect_start", json!([CALL, []]), "kinds", "one or more of voice, amd, beep, tones and fax"),
        ("detect_start", json!([CALL, ["amd", "amd"]]), "kinds", "each once"),
        ("detect_start", json!([CALL, ["speech"]]), "kinds[0]", "voice"),
        ("detect_start", json!([CALL, ["amd"], 0]), "max_seconds", "an integer of 1 to 604800"),
        ("detect_start", json!([CALL, ["tones"], 9, "xx"]), "country", "one of at, au, be"),
        ("transfer", json!([CALL, "b@h?Replaces=x"]), "to_uri", "host[:port]"),
        ("transfer_decline", json!([CALL, 200]), "cause", "an integer of 300 to 699"),
        ("transfer_notify", json!([CALL, 99]), "sip_status", "an integer of 100 to 699"),
        ("transfer_notify", json!([CALL]), "sip_status", "a value: the parameter is required"),
        ("send_message", json!([CALL, ""]), "content", "1 to 16384 bytes"),
        ("send_message", json!([CALL, "x".repeat(16_385)]), "content", "1 to 16384 bytes"),
        ("send_message", json!([CALL, "x", "text"]), "content_type", "a media type"),
        ("send_message", json!([CALL, "x", "text/plain\r\nVia: x"]), "content_type", "a media type"),
        ("nop", json!("x"), "params", "an object or an array"),
        ("nop", json!({ "res_id": [[CALL]] }), "res_id", "a string"),
    ])
    .await;
}

#[tokio::test]
async fn wrong_parameters_of_actions_are_named() {
    refused(vec![
        ("play_start", json!([CALL, ""]), "content", "a file name"),
        ("play_start", json!([CALL, "a.wav||b.wav"]), "content", "a file name"),
        ("play_start", json!([CALL, []]), "content", "1 to 30 items"),
        ("play_start", json!([CALL, vec![json!(["a.wav"]); 31]]), "content", "1 to 30 items"),
        ("play_start", json!([CALL, vec!["a"; 101].join("|")]), "content", "at most 100 files"),
        ("play_start", json!([CALL, [["hello", 9]]]), "content[0][1]", "0 to 7, 10, or below 0"),
        ("play_start", json!([CALL, [["hello", 8]]]), "content[0][1]", "0 to 7, 10, or below 0"),
        ("play_start", json!([CALL, [[5, 0]]]), "content[0][0]", "a file name"),
        ("play_start", json!([CALL, "a.wav", "12x"]), "finish_keys", "keys of 0-9*#A-D"),
        ("play_start", json!([CALL, "a.wav", "", -1]), "repeat", "an integer"),
        ("record_start", json!([CALL, 60, "yes", "a.wav"]), "beep", "true or false"),
        ("record_start", json!([CALL, 60, true, "a.wav", 9]), "record_format", "1, 2, 3, 4, 5, 6, 7 or 8"),
        // What the ending says must be what is in it.
        (
            "record_start",
            json!([CALL, 60, true, "a.mp3", 3]),
            "record_file",
            "the ending .wav of record_format 3, not .mp3",
        ),
        (
            "record_start",
            json!([CALL, 60, true, "a.WAV", 8]),
            "record_file",
            "the ending .opus or .ogg or .oga of record_format 8, not .wav",
        ),
        (
            "record_start",
            json!([CALL, 60, true, "a.gsm", 5]),
            "record_file",
            "the ending .wav of record_format 5, not .gsm",
        ),
        (
            "connect_start",
            json!({ "res_id": CALL, "max_seconds": 60, "call_res_id": "0.0.0-sys.call-2", "record_file": "a.mp3" }),
            "record_file",
            "the ending .wav of record_format 3, not .mp3",
        ),
        ("record_start", json!([CALL, 604_801, true, "a.wav"]), "max_seconds", "an integer of 1 to 604800"),
        ("send_dtmf_start", json!([CALL, ""]), "keys", "1 to 255 of"),
        ("send_dtmf_start", json!([CALL, "12w"]), "keys", "1 to 255 of"),
        ("receive_dtmf_start", json!([CALL, ""]), "valid_keys", "at least one key"),
        (
            "receive_dtmf_start",
            json!({ "res_id": CALL, "max_keys": 0 }),
            "max_keys",
            "an integer of 1 to 255",
        ),
        (
            "receive_dtmf_start",
            json!({ "res_id": CALL, "first_key_timeout": 0 }),
            "first_key_timeout",
            "1 to 86400",
        ),
        (
            "receive_dtmf_start",
            json!({ "res_id": CALL, "play_content": [] }),
            "play_content",
            "1 to 30 items",
        ),
    ])
    .await;
}

/// The bounds that the schema tells are those that the server keeps.
#[tokio::test]
async fn the_schemas_bounds_hold() {
    let server = Server::start(golden).await;
    let client = server.client().await;
    let document = client.request("rpc.discover", Value::Null).await.unwrap();
    let mut bounds = 0;
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let Some(example) = name.strip_prefix("sys.call.").and_then(|_| golden_request(name)) else {
            continue;
        };
        for param in method["params"].as_array().unwrap() {
            let (schema, param) = (&param["schema"], param["name"].as_str().unwrap());
            if schema["enum"].is_array() {
                continue; // its bounds are those of the type; the values are tested one by one
            }
            let mut values = Vec::new();
            if let Some(least) = schema["minimum"].as_i64() {
                values.extend([(least, true), (least - 1, false)]);
            }
            if let Some(most) = schema["maximum"].as_i64() {
                values.extend([(most, true), (most + 1, false)]);
            }
            for (value, good) in values {
                bounds += 1;
                let mut params = example.clone();
                params[param] = json!(value);
                let result = client.request(name, params).await;
                let refused = result.err().and_then(|error| error.reason().map(str::to_owned));
                assert_eq!(refused.is_none(), good, "{name} {param}={value}: {refused:?}");
            }
        }
    }
    assert!(bounds > 40, "{bounds}");
}

pub(crate) fn golden_request(method: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../proto/examples/{method}.json"));
    let example: Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    Some(example["by_name"]["params"].clone())
}

#[tokio::test]
async fn names_that_lead_out_of_their_directory_are_forbidden() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    let call = "0.0.0-sys.call-1";
    for name in
        ["/etc/passwd", "..", "../a.wav", "a/../../b.wav", "a\0b.wav", "a\nb.wav", "..\\a.wav", "a/.."]
    {
        let record = json!([call, 60, false, name]);
        let play = json!([call, format!("good.wav|{name}")]);
        let items = json!([call, [[name, 0]]]);
        let prompt = json!({ "res_id": call, "play_content": name });
        for (method, params, param, item) in [
            ("record_start", record, "record_file", None),
            ("play_start", play, "content", None),
            ("play_start", items, "content[0][0]", Some(0)),
            ("receive_dtmf_start", prompt, "play_content", None),
        ] {
            let error = client.request(&format!("sys.call.{method}"), params).await.unwrap_err();
            let (file, detail) = (name.to_owned(), "no plain name of a file below its directory".to_owned());
            let param = param.to_owned();
            let forbidden = wire::ErrorData::FileForbidden { param, file, detail, item };
            assert_eq!(error.data(), Some(forbidden), "{method} {name:?}");
            assert!(matches!(error, offhook_client::Error::Rpc { code: -32004, .. }));
        }
    }
}

/// A folder, a detour and a link are below the directory, so that the message must not say otherwise.
#[tokio::test]
async fn a_forbidden_file_is_not_said_to_be_outside() {
    let server = Server::start(|command| match command {
        Command::PlayStart { content, .. } => {
            let file = content.sources[0].sound.name().to_owned();
            Err(Error::File { fault: FileFault::Forbidden, param: "content", file, item: None })
        }
        other => panic!("{other:?}"),
    })
    .await;
    let client = server.client().await;
    for name in ["digits", "./x", "a/../b"] {
        let error = client.play_start(CALL, name, "").await.unwrap_err();
        let offhook_client::Error::Rpc { message, .. } = error else { panic!("{error}") };
        assert_eq!(message, format!("{name} is no plain name of a file below its directory"));
    }
}

#[tokio::test]
async fn a_name_that_names_no_call_is_not_found() {
    let server = Server::start(|command| match command {
        Command::Nop { call } => Err(Error::NotFound { call: *call }),
        other => panic!("{other:?}"),
    })
    .await;
    let client = server.client().await;
    for res_id in ["0.0.0-sys.call-9", "1.2.3-sys.call-9", "", "x", "0.0.0-sys.call-99999999999999999999999"]
    {
        let error = client.nop(res_id).await.unwrap_err();
        assert_eq!(error.data(), Some(wire::ErrorData::ResourceNotFound { res_id: res_id.to_owned() }));
        assert!(matches!(error, offhook_client::Error::Rpc { code: -32001, .. }));
    }
}

#[tokio::test]
async fn a_refusal_of_the_calls_reaches_the_application() {
    let server = Server::start(|command| match command {
        Command::PlayStart { call, .. } => {
            Err(Error::InvalidState { call: *call, state: State::Record, allowed: &[State::Idle] })
        }
        Command::RecordStart { file, .. } => Err(Error::File {
            fault: FileFault::Exists,
            param: "record_file",
            file: file.clone(),
            item: None,
        }),
        Command::Nop { .. } => Ok(Reply::Exists(true)), // a defect of ours: not the answer to this question
        other => panic!("{other:?}"),
    })
    .await;
    let client = server.client().await;
    let call = "0.0.0-sys.call-1";
    let error = client.play_start(call, "a.wav", "").await.unwrap_err();
    assert_eq!(error.reason(), Some("invalid_state"));
    let (state, allowed) = (wire::CallState::Record, vec![wire::CallState::Idle]);
    assert_eq!(
        error.data(),
        Some(wire::ErrorData::InvalidState { res_id: call.to_owned(), state, allowed, detail: None })
    );
    let record = wire::RecordStart {
        max_seconds: 5,
        record_file: "a.wav".to_owned(),
        res_id: call.to_owned(),
        ..Default::default()
    };
    assert_eq!(client.record_start(&record).await.unwrap_err().reason(), Some("file_exists"));
    assert_eq!(client.nop(call).await.unwrap_err().reason(), Some("internal"));
}

#[tokio::test]
async fn an_unknown_method_is_named() {
    let server = Server::start_unasked().await;
    let error = server.client().await.request("sys.call.explode", json!({})).await.unwrap_err();
    let offhook_client::Error::Rpc { code, data, .. } = error else { panic!("{error}") };
    assert_eq!((code, data), (-32601, json!({ "reason": "method_not_found", "method": "sys.call.explode" })));
}
