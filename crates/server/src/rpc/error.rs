//! The error table of the API (`call-api.md` §1): from the calls' errors to JSON-RPC error objects.

use jsonrpsee::types::ErrorObjectOwned;
use offhook_call::error::{Error, FileFault};
use offhook_call::id::NodeId;
use offhook_client::wire::{ErrorData, REPLAYED};

use super::names;

/// The error object that goes out.
pub(crate) fn object(data: ErrorData) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(data.code(), message(&data), Some(data))
}

/// The same, told again to a repeat of the request that met it.
pub(crate) fn replayed(data: ErrorData) -> ErrorObjectOwned {
    let (code, message) = (data.code(), message(&data));
    let mut data = serde_json::to_value(data).unwrap_or_default();
    if let Some(data) = data.as_object_mut() {
        data.insert(REPLAYED.to_owned(), true.into());
    }
    ErrorObjectOwned::owned(code, message, Some(data))
}

/// A refusal of the calls, as the API tells it.
pub(crate) fn data(node: NodeId, error: Error) -> ErrorData {
    match error {
        Error::NotFound { call } => ErrorData::ResourceNotFound { res_id: node.res_id(call) },
        Error::NoConference { conference } => {
            ErrorData::ResourceNotFound { res_id: node.conf_res_id(conference) }
        }
        Error::InvalidState { call, state, allowed } => ErrorData::InvalidState {
            res_id: node.res_id(call),
            state: names::state(state),
            allowed: allowed.iter().copied().map(names::state).collect(),
            detail: None,
        },
        Error::NotNow { call, state, detail } => ErrorData::InvalidState {
            res_id: node.res_id(call),
            state: names::state(state),
            allowed: Vec::new(),
            detail: Some(detail.to_owned()),
        },
        Error::WrongDirection { call, direction } => {
            ErrorData::WrongDirection { res_id: node.res_id(call), call_dir: names::direction(direction) }
        }
        Error::InvalidParam { param, expected } => {
            ErrorData::InvalidParams { param: param.to_owned(), expected }
        }
        Error::File { fault, param, file, item } => of_file(fault, place(param, item), file, item),
        Error::LimitReached { limit, value } => ErrorData::LimitReached { limit: limit.to_owned(), value },
        Error::GatewayUnavailable { gateway, retry_in } => ErrorData::GatewayUnavailable {
            gateway: gateway.to_string(),
            // A part of a second is one to wait.
            retry_in: retry_in.map(|rest| rest.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
        },
        Error::NotNegotiated { message } => ErrorData::NotNegotiated { detail: message },
        Error::ShuttingDown => ErrorData::ShuttingDown,
        Error::AnswerFailed { sip_status } => ErrorData::AnswerFailed { sip_status },
        Error::Internal { message } => internal(&message),
    }
}

/// The reason of a refusal alone.
pub(crate) fn reason(node: NodeId, error: Error) -> String {
    if let Error::Internal { .. } = error {
        return "internal".to_owned();
    }
    let data = serde_json::to_value(data(node, error)).unwrap_or_default();
    data["reason"].as_str().unwrap_or_default().to_owned()
}

/// What is wrong with a file, which stands at this place of the parameters.
fn of_file(fault: FileFault, param: String, file: String, item: Option<usize>) -> ErrorData {
    let unsupported = |param, file, detail: &str| {
        let detail = detail.to_owned();
        ErrorData::FileUnsupported { param, file, detail, item }
    };
    match fault {
        FileFault::NotFound => ErrorData::FileNotFound { param, file, item },
        FileFault::Unreadable => ErrorData::FileUnreadable { param, file, item },
        FileFault::Unsupported => unsupported(param, file, "the format is not supported"),
        FileFault::Empty => unsupported(param, file, "it is empty"),
        FileFault::Forbidden => forbidden(param, file, "no plain name of a file below its directory", item),
        FileFault::Link => forbidden(param, file, "a symbolic link, and links are not followed", item),
        FileFault::Irregular => forbidden(param, file, "a folder, a device, a FIFO or a socket", item),
        FileFault::Exists => ErrorData::FileExists { param, file },
        FileFault::DiskFull => ErrorData::DiskFull { param, file },
        FileFault::Unspoken => ErrorData::SpeechFailed { param, text: file, item },
        FileFault::Busy { limit } => ErrorData::LimitReached { limit: "prompts".to_owned(), value: limit },
    }
}

/// Where a file stands in the parameters: an item begins with what is played.
fn place(param: &str, item: Option<usize>) -> String {
    item.map_or_else(|| param.to_owned(), |item| format!("{param}[{item}][0]"))
}

/// A name that may not be used, and what it is.
pub(crate) fn forbidden(param: String, file: String, detail: &str, item: Option<usize>) -> ErrorData {
    ErrorData::FileForbidden { param, file, detail: detail.to_owned(), item }
}

/// A defect of ours: the log has what it is, the application the number to find it by.
pub(crate) fn internal(message: &str) -> ErrorData {
    let mut bytes = [0; 16];
    // Without random bytes the trace is still an answer, only not a unique one.
    let _ = getrandom::fill(&mut bytes);
    let trace_id = format!("{:032x}", u128::from_ne_bytes(bytes));
    tracing::error!(trace_id, message, "defect");
    ErrorData::Internal { trace_id }
}

fn message(data: &ErrorData) -> String {
    match data {
        ErrorData::InvalidRequest { expected } => format!("invalid request: expected {expected}"),
        ErrorData::MethodNotFound { method } => format!("there is no method {method}"),
        ErrorData::InvalidParams { param, expected } => format!("{param}: expected {expected}"),
        ErrorData::Internal { trace_id } => format!("a defect of the server, logged as {trace_id}"),
        ErrorData::ResourceNotFound { res_id } => {
            format!("there is no {res_id}, or it has been released")
        }
        ErrorData::InvalidState { detail: Some(detail), .. } => format!("not allowed now: {detail}"),
        ErrorData::InvalidState { state, .. } => format!("not allowed while the call is in {state:?}"),
        ErrorData::WrongDirection { call_dir, .. } => format!("not for {call_dir:?} calls").to_lowercase(),
        ErrorData::FileNotFound { file, item, .. } => format!("there is no file {file}{}", of_item(*item)),
        ErrorData::FileUnreadable { file, item, .. } => {
            format!("the file {file}{} cannot be read or written", of_item(*item))
        }
        ErrorData::FileUnsupported { file, detail, item, .. } => {
            format!("{file}{} cannot be played: {detail}", of_item(*item))
        }
        ErrorData::FileForbidden { file, detail, item, .. } => {
            format!("{file}{} is {detail}", of_item(*item))
        }
        ErrorData::FileExists { file, .. } => format!("the file {file} exists"),
        ErrorData::SpeechFailed { item, .. } => {
            format!("the text{} cannot be spoken: the log says why", of_item(*item))
        }
        ErrorData::DiskFull { file, .. } => format!("the disk of {file} is full"),
        ErrorData::LimitReached { limit, value } => format!("the limit {limit} of {value} is reached"),
        ErrorData::GatewayUnavailable { gateway, .. } => {
            format!("the gateway {gateway} cannot be called now")
        }
        ErrorData::NotNegotiated { detail } => format!("the peer cannot do it: {detail}"),
        ErrorData::ShuttingDown => "the node is shutting down".to_owned(),
        ErrorData::KeyReused { param } => format!("{param}: it was that of another request"),
        ErrorData::NotPermitted { scope } => {
            format!("not permitted: a token of the scope {} is required", scope.name())
        }
        ErrorData::OutcomeUnknown => {
            "the node ended while it carried out this request; what came of it is not known".to_owned()
        }
        ErrorData::AnswerFailed { sip_status } => {
            format!("the answer did not reach the caller ({sip_status})")
        }
    }
}

/// Which item of a list a file is of, for a message.
fn of_item(item: Option<usize>) -> String {
    item.map_or_else(String::new, |item| format!(" (of item {item}, the first being 0)"))
}

#[cfg(test)]
mod tests {
    use offhook_call::error::Direction;
    use offhook_call::id::{CallId, ConferenceId};
    use offhook_call::state::State;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(error: Error, code: i32, expected: Value) {
        let object = object(data(NodeId([1, 2, 3]), error));
        let data: Value = serde_json::from_str(object.data().unwrap().get()).unwrap();
        assert_eq!((object.code(), data), (code, expected));
        assert!(!object.message().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_file_has_its_row() {
        for (fault, reason) in [
            (FileFault::NotFound, "file_not_found"),
            (FileFault::Unreadable, "file_unreadable"),
            (FileFault::Exists, "file_exists"),
            (FileFault::DiskFull, "disk_full"),
        ] {
            let error = Error::File { fault, param: "record_file", file: "a/b.wav".to_owned(), item: None };
            check(error, -32004, json!({ "reason": reason, "param": "record_file", "file": "a/b.wav" }));
        }
        let error = Error::File {
            fault: FileFault::NotFound,
            param: "content",
            file: "en/7.wav".to_owned(),
            item: Some(2),
        };
        check(
            error,
            -32004,
            json!({ "reason": "file_not_found", "param": "content[2][0]", "file": "en/7.wav", "item": 2 }),
        );
        let error = Error::File {
            fault: FileFault::Unspoken,
            param: "content",
            file: "hello".to_owned(),
            item: Some(0),
        };
        check(
            error,
            -32004,
            json!({ "reason": "speech_failed", "param": "content[0][0]", "text": "hello", "item": 0 }),
        );
    }

    /// The table of `call-api.md` §1, row by row.
    #[test]
    fn every_error_has_its_row() {
        let call = CallId(7);
        let res_id = "1.2.3-sys.call-7";
        check(Error::NotFound { call }, -32001, json!({ "reason": "resource_not_found", "res_id": res_id }));
        let conference = ConferenceId(8);
        let not_found = json!({ "reason": "resource_not_found", "res_id": "1.2.3-sys.conf-8" });
        check(Error::NoConference { conference }, -32001, not_found);
        check(
            Error::InvalidState { call, state: State::Play, allowed: &[State::Idle] },
            -32002,
            json!({ "reason": "invalid_state", "res_id": res_id, "state": "Play", "allowed": ["Idle"] }),
        );
        let detail = "nothing is being detected";
        check(
            Error::NotNow { call, state: State::Idle, detail },
            -32002,
            json!({ "reason": "invalid_state", "res_id": res_id, "state": "Idle", "allowed": [], "detail": detail }),
        );
        check(
            Error::WrongDirection { call, direction: Direction::Outbound },
            -32003,
            json!({ "reason": "wrong_direction", "res_id": res_id, "call_dir": "outbound" }),
        );
        check(
            Error::InvalidParam { param: "call_res_id", expected: "another call".to_owned() },
            -32602,
            json!({ "reason": "invalid_params", "param": "call_res_id", "expected": "another call" }),
        );
        check(
            Error::GatewayUnavailable {
                gateway: "carrier".into(),
                retry_in: Some(std::time::Duration::from_millis(29_001)),
            },
            -32009,
            json!({ "reason": "gateway_unavailable", "gateway": "carrier", "retry_in": 30 }),
        );
        check(
            Error::GatewayUnavailable { gateway: "carrier".into(), retry_in: None },
            -32009,
            json!({ "reason": "gateway_unavailable", "gateway": "carrier", "retry_in": null }),
        );
        check(
            Error::LimitReached { limit: "calls", value: 10_000 },
            -32005,
            json!({ "reason": "limit_reached", "limit": "calls", "value": 10_000 }),
        );
        let message = "no common codec".to_owned();
        check(
            Error::NotNegotiated { message },
            -32006,
            json!({ "reason": "not_negotiated", "detail": "no common codec" }),
        );
        check(Error::ShuttingDown, -32007, json!({ "reason": "shutting_down" }));
        let failed = Error::AnswerFailed { sip_status: 487 };
        check(failed, -32008, json!({ "reason": "answer_failed", "sip_status": 487 }));
    }

    #[test]
    fn a_file_that_cannot_be_had_is_told_what_it_is() {
        for (fault, reason, detail) in [
            (FileFault::Unsupported, "file_unsupported", "the format is not supported"),
            (FileFault::Empty, "file_unsupported", "it is empty"),
            (FileFault::Forbidden, "file_forbidden", "no plain name of a file below its directory"),
            (FileFault::Link, "file_forbidden", "a symbolic link, and links are not followed"),
            (FileFault::Irregular, "file_forbidden", "a folder, a device, a FIFO or a socket"),
        ] {
            let error = Error::File { fault, param: "record_file", file: "a/b.wav".to_owned(), item: None };
            check(
                error,
                -32004,
                json!({ "reason": reason, "param": "record_file", "file": "a/b.wav", "detail": detail }),
            );
        }
    }

    #[test]
    fn a_defect_says_no_more_than_its_trace() {
        let object = object(data(NodeId::default(), Error::Internal { message: "secret".to_owned() }));
        let data: Value = serde_json::from_str(object.data().unwrap().get()).unwrap();
        assert_eq!((object.code(), &data["reason"]), (-32603, &json!("internal")));
        assert_eq!(data["trace_id"].as_str().unwrap().len(), 32);
        assert!(!format!("{object:?}").contains("secret"));
    }

    #[test]
    fn the_list_of_reasons_is_the_enum() {
        let schema = serde_json::to_value(schemars::schema_for!(ErrorData)).unwrap();
        let variants = schema["oneOf"].as_array().unwrap();
        let mut in_enum: Vec<&str> = variants
            .iter()
            .map(|variant| variant["properties"]["reason"]["const"].as_str().unwrap())
            .collect();
        let mut listed: Vec<&str> = ErrorData::REASONS.iter().map(|(reason, _)| *reason).collect();
        in_enum.sort_unstable();
        listed.sort_unstable();
        assert_eq!(in_enum, listed);
    }
}
