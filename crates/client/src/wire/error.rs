//! The errors of the API (`call-api.md` §1): the `data` of a JSON-RPC error object.

use serde::{Deserialize, Serialize};

use super::{CallDir, CallState, Scope};

/// The `data` of an error: the stable `reason`, and what a program needs to react.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ErrorData {
    /// A parameter is missing, unknown, out of range or of a wrong type (-32602).
    InvalidParams {
        /// Which parameter.
        param: String,
        /// What it should have been.
        expected: String,
    },
    /// There is no such method (-32601).
    MethodNotFound {
        /// What was asked for.
        method: String,
    },
    /// The request cannot be had over this transport, or is too large (-32600).
    InvalidRequest {
        /// What it should have been.
        expected: String,
    },
    /// There is no such call, or it has been released (-32001).
    ResourceNotFound {
        /// The name that names nothing.
        res_id: String,
    },
    /// The state machine does not allow it now (-32002).
    InvalidState {
        /// Whose state.
        res_id: String,
        /// The state it is in.
        state: CallState,
        /// The states that would allow it; none where the state is not the reason.
        allowed: Vec<CallState>,
        /// The reason, where it is not the state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The method is for calls of the other direction (-32003).
    WrongDirection {
        /// Which call.
        res_id: String,
        /// The direction it has.
        call_dir: CallDir,
    },
    /// The file is not there (-32004).
    FileNotFound {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it, or as the word of a value is named.
        file: String,
        /// Which item of a list asks for it, the first being 0; left out where there is no list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
    },
    /// The file is there and cannot be read or written (-32004).
    FileUnreadable {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it, or as the word of a value is named.
        file: String,
        /// Which item of a list asks for it, the first being 0; left out where there is no list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
    },
    /// The file's format is none that is read (-32004).
    FileUnsupported {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it, or as the word of a value is named.
        file: String,
        /// What is wrong with it, in words.
        #[serde(default)]
        detail: String,
        /// Which item of a list asks for it, the first being 0; left out where there is no list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
    },
    /// The name is no plain name of a file below its directory: it is absolute, leads out, has `.` or `..` in it, or
    /// names a folder, a link or a device (-32004).
    FileForbidden {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it, or as the word of a value is named.
        file: String,
        /// What it is instead, in words.
        #[serde(default)]
        detail: String,
        /// Which item of a list asks for it, the first being 0; left out where there is no list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
    },
    /// The file exists and `overwrite` is false (-32004).
    FileExists {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it.
        file: String,
    },
    /// The disk is full (-32004).
    DiskFull {
        /// The parameter that asks for it, or the place in it (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// As the request named it.
        file: String,
    },
    /// A text cannot be spoken: there is no provider of speech, or it has failed; the log says how (-32004).
    SpeechFailed {
        /// The place of the text in the parameters (`content[2][0]`).
        #[serde(default)]
        param: String,
        /// The text.
        text: String,
        /// Which item of a list it is, the first being 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
    },
    /// A limit of the node, or of a gateway (-32005).
    LimitReached {
        /// Which: `calls`, `calls_per_second`, `ports`, `queue`, `subscriptions`, `messages`, `prompts` (requests that wait
        /// for their files), `gateway_calls`, `gateway_calls_per_second`, `bodies` (of all requests together, in bytes).
        limit: String,
        /// Its value.
        value: u64,
    },
    /// The peer cannot do it (-32006).
    NotNegotiated {
        /// What it cannot do, in words.
        detail: String,
    },
    /// The node is draining (-32007).
    ShuttingDown,
    /// The answer did not reach the connected state (-32008).
    AnswerFailed {
        /// 408 without an ACK, 487 when the caller gave up, 488 without a common codec.
        sip_status: u16,
    },
    /// No gateway on the way can be called now: it does not answer to OPTIONS, or it said when to come back (-32009).
    GatewayUnavailable {
        /// The first of them.
        gateway: String,
        /// In how many seconds it may be tried again, where it said so.
        retry_in: Option<u64>,
    },
    /// The `request_key` is that of another request, of another method or with other parameters (-32602).
    KeyReused {
        /// Always `request_key`.
        param: String,
    },
    /// A request with this `request_key` was being carried out when the node ended, and nobody knows what came of it. It is not
    /// carried out again: who wants that takes another key (-32012).
    OutcomeUnknown,
    /// The token does not reach so far (-32013). By POST, outside of a batch, the status is 403.
    NotPermitted {
        /// What the method needs.
        scope: Scope,
    },
    /// A defect, logged with the same `trace_id` (-32603).
    Internal {
        /// Hexadecimal.
        trace_id: String,
    },
}

impl ErrorData {
    /// The JSON-RPC error code that goes with it.
    pub fn code(&self) -> i32 {
        match self {
            Self::InvalidRequest { .. } => -32600,
            Self::MethodNotFound { .. } => -32601,
            Self::InvalidParams { .. } | Self::KeyReused { .. } => -32602,
            Self::Internal { .. } => -32603,
            Self::ResourceNotFound { .. } => -32001,
            Self::InvalidState { .. } => -32002,
            Self::WrongDirection { .. } => -32003,
            Self::FileNotFound { .. }
            | Self::FileUnreadable { .. }
            | Self::FileUnsupported { .. }
            | Self::FileForbidden { .. }
            | Self::FileExists { .. }
            | Self::DiskFull { .. }
            | Self::SpeechFailed { .. } => -32004,
            Self::LimitReached { .. } => -32005,
            Self::NotNegotiated { .. } => -32006,
            Self::ShuttingDown => -32007,
            Self::AnswerFailed { .. } => -32008,
            Self::GatewayUnavailable { .. } => -32009,
            Self::OutcomeUnknown => -32012,
            Self::NotPermitted { .. } => -32013,
        }
    }

    /// Every reason and its code, in the order of the codes.
    pub const REASONS: &[(&str, i32)] = &[
        ("invalid_request", -32600),
        ("method_not_found", -32601),
        ("invalid_params", -32602),
        ("key_reused", -32602),
        ("internal", -32603),
        ("resource_not_found", -32001),
        ("invalid_state", -32002),
        ("wrong_direction", -32003),
        ("file_not_found", -32004),
        ("file_unreadable", -32004),
        ("file_unsupported", -32004),
        ("file_forbidden", -32004),
        ("file_exists", -32004),
        ("disk_full", -32004),
        ("speech_failed", -32004),
        ("limit_reached", -32005),
        ("not_negotiated", -32006),
        ("shutting_down", -32007),
        ("answer_failed", -32008),
        ("gateway_unavailable", -32009),
        ("outcome_unknown", -32012),
        ("not_permitted", -32013),
    ];
}
