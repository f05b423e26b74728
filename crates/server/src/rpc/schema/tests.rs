//! The files in `proto/` are what the types say. `cargo xtask proto` writes them, by `OFFHOOK_WRITE_PROTO=1` here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use offhook_client::wire::{EVENT_TYPES, ErrorData};
use serde_json::Value;

use super::{asyncapi, examples::examples, openrpc};

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

fn files() -> Vec<(PathBuf, Value)> {
    let examples = examples().into_iter().map(|(name, value)| (Path::new("examples").join(name), value));
    let config = schemars::schema_for!(crate::config::Config).to_value();
    let documents =
        [("openrpc.json", openrpc()), ("asyncapi.json", asyncapi()), ("config.schema.json", config)];
    let documents = documents.map(|(name, value)| (name.into(), value));
    documents.into_iter().chain(examples).collect()
}

#[test]
fn proto_is_what_the_types_say() {
    let write = std::env::var_os("OFFHOOK_WRITE_PROTO").is_some();
    for (name, value) in files() {
        let path = proto().join(&name);
        let text = format!("{value:#}\n");
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "proto/{} has drifted; `cargo xtask proto` writes it", name.display());
        }
    }
}

#[test]
fn proto_has_nothing_else() {
    let expected: BTreeSet<PathBuf> = files().into_iter().map(|(name, _)| proto().join(name)).collect();
    for folder in [proto(), proto().join("examples")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.is_dir() || expected.contains(&path), "{} is made by nothing", path.display());
        }
    }
}

/// Every `$ref` of a document leads somewhere.
#[test]
fn references_are_not_broken() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let target = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(target).is_some(), "{reference}");
                }
                map.values().for_each(|value| walk(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    for document in [openrpc(), asyncapi()] {
        walk(&document, &document);
    }
}

/// The methods, parameters and defaults of the document of `sys.call`, copied by hand from it.
#[test]
fn the_contract_is_the_documents() {
    let document = openrpc();
    for (method, expected) in [
        (
            "construct",
            "from_uri to_uri max_answer_seconds max_ring_seconds=50 parent_call_res_id=null ring_play_file=null \
             user_data=null",
        ),
        ("exists", "res_id"),
        ("nop", "res_id"),
        ("answer", "res_id max_answer_seconds user_data=null"),
        ("drop", "res_id cause=603"),
        ("redirect", "res_id redirect_uri"),
        ("play_start", "res_id content finish_keys=\"\""),
        ("play_stop", "res_id"),
        ("record_start", "res_id max_seconds beep record_file record_format=3 finish_keys=\"\""),
        ("record_stop", "res_id"),
        ("send_dtmf_start", "res_id keys"),
        (
            "receive_dtmf_start",
            "res_id valid_keys=\"0123456789*#ABCD\" max_keys=11 finish_keys=\"#\" first_key_timeout=45 \
             continues_keys_timeout=30 play_content=null play_repeat=0 if_break_on_key=true",
        ),
        ("stop_receive_dtmf_start", "res_id"),
        (
            "connect_start",
            "res_id max_seconds call_res_id connect_mode=1 record_file=null record_format=3 local_volume=null \
             remote_volume=null schedule_play_time=null schedule_play_file=null schedule_play_loop=0",
        ),
        ("connect_stop", "res_id"),
    ] {
        let methods = document["methods"].as_array().unwrap();
        let found = methods.iter().find(|found| found["name"] == format!("sys.call.{method}")).unwrap();
        let describe = |param: &Value| {
            let name = param["name"].as_str().unwrap();
            let default = &param["schema"]["default"];
            if param["required"] == true { name.to_owned() } else { format!("{name}={default}") }
        };
        let params: Vec<String> = found["params"].as_array().unwrap().iter().map(describe).collect();
        let expected: Vec<&str> = expected.split(' ').filter(|param| !param.is_empty()).collect();
        assert!(params.len() >= expected.len(), "{method}");
        assert_eq!(params[..expected.len()], expected, "{method}");
    }
}

/// The result of a request with a key is an object with one member more: so what it is without has to be an object, or null.
#[test]
fn a_result_that_may_be_told_again_has_room_for_that() {
    let document = openrpc();
    let mut keyed = 0;
    for method in document["methods"].as_array().unwrap() {
        let takes_key =
            method["params"].as_array().unwrap().iter().any(|param| param["name"] == "request_key");
        let schema = &method["result"]["schema"];
        let plain = if takes_key { &schema["anyOf"][0] } else { schema };
        let plain = match plain["$ref"].as_str() {
            Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => plain,
        };
        if takes_key {
            keyed += 1;
            let kind = plain["type"].as_str().unwrap();
            assert!(
                kind == "null" || kind == "object" && plain["properties"]["replayed"].is_null(),
                "{method}"
            );
        } else {
            // Whatever tells nothing has done something.
            assert_ne!(plain["type"], "null", "{method}");
        }
    }
    assert!(keyed > 35, "{keyed}");
}

#[test]
fn every_event_has_an_example() {
    let examples = examples();
    let (_, events) = examples.iter().find(|(name, _)| name == "events.json").unwrap();
    let shown: BTreeSet<&str> =
        events.as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(shown, EVENT_TYPES.iter().copied().collect());
}

#[test]
fn codes_and_reasons_agree() {
    let data = ErrorData::FileExists { param: String::new(), file: String::new() };
    assert!(ErrorData::REASONS.contains(&("file_exists", data.code())));
    for data in [
        ErrorData::NotNegotiated { detail: String::new() },
        ErrorData::ShuttingDown,
        ErrorData::AnswerFailed { sip_status: 408 },
        ErrorData::ResourceNotFound { res_id: String::new() },
        ErrorData::LimitReached { limit: String::new(), value: 0 },
        ErrorData::GatewayUnavailable { gateway: String::new(), retry_in: None },
    ] {
        let reason = serde_json::to_value(&data).unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(ErrorData::REASONS.contains(&(reason.as_str(), data.code())), "{reason}");
    }
}
