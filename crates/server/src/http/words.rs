//! What the JSON-RPC library says over a WebSocket by itself, and what is said in its place: errors with the code and the `data` that
//! the API promises (`call-api.md` §1), and a close that has a reason (RFC 6455 §7.4).
//!
//! The library writes every frame by itself, so one of these is known by all of its bytes, none of which are the end of anything
//! else that it writes: its JSON has no control characters. Were one cut in two, the library's own words would go out.

use std::sync::LazyLock;

use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::error::{reject_too_big_batch_request, reject_too_big_request};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use offhook_client::wire::ErrorData;

use super::{BATCH_MAX, BODY_MAX};
use crate::rpc;

/// The ping of the library.
pub(super) const PING: &[u8] = &[0x89, 0x00];

/// The close of the library: 1000, without a reason.
const CLOSE: &[u8] = &[0x88, 0x02, 0x03, 0xe8];

/// A close with a reason.
pub(super) type Close = LazyLock<Vec<u8>>;

/// The close of a WebSocket that has not answered a ping.
pub(super) static NO_PONG: Close = LazyLock::new(|| policy("no pong"));

/// The close of one whose token was taken away.
pub(super) static TOKEN_REVOKED: Close = LazyLock::new(|| policy("token revoked"));

/// 1008: a rule that it does not keep.
fn policy(reason: &str) -> Vec<u8> {
    frame(0x88, &[&1008_u16.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// Errors of the library, and ours.
static ERRORS: LazyLock<[(Vec<u8>, Vec<u8>); 2]> = LazyLock::new(|| {
    let expected = format!("a message of at most {BODY_MAX} bytes");
    [
        (error(reject_too_big_request(BODY_MAX)), error(invalid(expected))),
        (error(reject_too_big_batch_request(BATCH_MAX as usize)), error(invalid(too_many()))),
    ]
});

/// What is expected of a batch that has too many requests.
pub(super) fn too_many() -> String {
    format!("a batch of at most {BATCH_MAX} requests")
}

/// What is said in the place of these bytes, if that is something else; of a connection that is over, the close with the reason.
pub(super) fn in_place_of(bytes: &[u8], close: Option<&'static Close>) -> Option<&'static [u8]> {
    if let Some(close) = close.filter(|_| bytes == CLOSE) {
        return Some(close);
    }
    ERRORS.iter().find(|(theirs, _)| theirs == bytes).map(|(_, ours)| &ours[..])
}

fn invalid(expected: String) -> ErrorObjectOwned {
    rpc::error_object(ErrorData::InvalidRequest { expected })
}

/// An error as the library sends it, for a request whose `id` is not known.
fn error(error: ErrorObjectOwned) -> Vec<u8> {
    frame(0x81, MethodResponse::error(Id::Null, error).as_json().get().as_bytes())
}

/// A frame of a server, which has no mask (RFC 6455 §5.2); its first byte and a payload of some hundred bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let length = u16::try_from(payload.len()).expect("some hundred bytes");
    match u8::try_from(length) {
        Ok(short @ ..126) => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_of_the_library_are_said_otherwise() {
        assert_eq!(in_place_of(CLOSE, None), None);
        assert_eq!(in_place_of(CLOSE, Some(&NO_PONG)), Some(&b"\x88\x09\x03\xf0no pong"[..]));
        assert_eq!(in_place_of(CLOSE, Some(&TOKEN_REVOKED)), Some(&b"\x88\x0f\x03\xf0token revoked"[..]));
        assert_eq!(in_place_of(PING, Some(&NO_PONG)), None);
        let (theirs, ours) = &ERRORS[0];
        // One of each form of length (RFC 6455 §5.2).
        assert!(theirs.starts_with(b"\x81\x79{") && theirs.len() == 2 + 0x79, "{theirs:?}");
        assert!(ours.starts_with(b"\x81\x7e\x00"), "{ours:?}");
        assert_eq!(usize::from(ours[3]), ours.len() - 4);
        assert_eq!(in_place_of(theirs, None), Some(&ours[..]));
        assert_eq!(in_place_of(&theirs[1..], None), None);
        let text = String::from_utf8_lossy(&ours[4..]).into_owned();
        let said: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&said["error"]["code"], &said["id"]), (&(-32600).into(), &serde_json::Value::Null));
        assert_eq!(said["error"]["data"]["reason"], "invalid_request");
    }
}
