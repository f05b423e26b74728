//! What can go wrong with a request.

use std::fmt;

use jsonrpsee_core::client::Error as Transport;
use jsonrpsee_types::ErrorObjectOwned;
use serde_json::Value;

use crate::wire::ErrorData;

/// Why a request failed.
#[derive(Debug)]
pub enum Error {
    /// The server refused it.
    Rpc {
        /// The JSON-RPC error code.
        code: i32,
        /// In English, for people.
        message: String,
        /// What a program needs; null where the server gave none.
        data: Value,
    },
    /// No reply came in time; whether the request was carried out is not known.
    Timeout,
    /// The connection could not be made, or is lost.
    Connection(String),
    /// The server does not take the connection: 401 without a token that it knows, 403 from a place that it does not serve.
    Refused {
        /// The status of HTTP.
        status: u16,
    },
    /// The server said what the contract does not allow.
    Protocol(String),
    /// Events came faster than [`Events::next`](crate::Events::next) was called; subscribe again with `after`.
    Lagged,
}

impl Error {
    /// The stable reason of a refusal, such as `invalid_state`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Rpc { data, .. } => data.get("reason")?.as_str(),
            _ => None,
        }
    }

    /// The typed form of a refusal's data, if this version of the client knows its reason.
    pub fn data(&self) -> Option<ErrorData> {
        match self {
            Self::Rpc { data, .. } => serde_json::from_value(data.clone()).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc { code, message, data: Value::Null } => write!(f, "{message} ({code})"),
            Self::Rpc { code, message, data } => write!(f, "{message} ({code}, {data})"),
            Self::Timeout => f.write_str("no reply in time"),
            Self::Connection(why) => write!(f, "connection: {why}"),
            Self::Refused { status } => write!(f, "the server refuses the connection ({status})"),
            Self::Protocol(why) => write!(f, "unexpected answer: {why}"),
            Self::Lagged => f.write_str("events came faster than they were read"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Transport> for Error {
    fn from(error: Transport) -> Self {
        match error {
            Transport::Call(refusal) => refusal.into(),
            Transport::RequestTimeout => Self::Timeout,
            Transport::ParseError(error) => Self::Protocol(error.to_string()),
            Transport::InvalidSubscriptionId => Self::Protocol("invalid subscription id".to_owned()),
            // The error itself is of a crate that only the WebSocket of jsonrpsee knows.
            Transport::Transport(error) => match refusal(&error.to_string()) {
                Some(status) => Self::Refused { status },
                None => Self::Connection(error.to_string()),
            },
            other => Self::Connection(other.to_string()),
        }
    }
}

/// The status in what a handshake that was rejected is told by.
fn refusal(text: &str) -> Option<u16> {
    text.strip_prefix("Connection rejected with status code: ")?.parse().ok()
}

impl From<ErrorObjectOwned> for Error {
    fn from(refusal: ErrorObjectOwned) -> Self {
        let data = refusal.data().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
        Self::Rpc { code: refusal.code(), message: refusal.message().to_owned(), data }
    }
}
